"""Order -> dated facts: which there are and in what order, what proves them, when the tax arises (R1, R2, 2.1, 3.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.facts import Fact, Problem, TaxPoint, facts_of, moved, moved_at, point_of
from ladenbuch.domain.order import DiscountAllocation, Dispute, Line, Order, Refund, SaleTax, ShippingLine, TaxLine

ID = "gid://shopify/Order/5001"
AGAIN, EXCLUDE = ("read the order again later", "exclude"), ("update the connector", "exclude")
TX, SALE, LINE = "gid://shopify/OrderTransaction/9", "gid://shopify/Sale/1", "gid://shopify/LineItem/1"


# -- money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "amount", "test", "moves"),
    [
        ("SALE", "SUCCESS", 1190, False, 1190),
        ("CAPTURE", "SUCCESS", 1, False, 1),
        ("REFUND", "SUCCESS", 1190, False, -1190),
        ("CHANGE", "SUCCESS", 10, False, -10),
        ("SALE", "SUCCESS", 1190, True, 0),
        ("SALE", "SUCCESS", -1190, False, 0),
        ("SALE", "SUCCESS", 0, False, 0),
        ("SALE", "PENDING", 1190, False, 0),
        ("AUTHORIZATION", "SUCCESS", 1190, False, 0),
        ("VOID", "SUCCESS", 1190, False, 0),
    ],
)
def test_what_moves_money(kind: str, status: str, amount: int, test: bool, moves: int) -> None:
    assert moved(replace(payment(9, amount, T0, kind=kind, status=status), test=test)) == moves


def test_money_moves_when_it_was_processed_else_when_it_was_entered() -> None:
    one = payment(9, 1, at(5))
    assert moved_at(replace(one, created_at=at(1))) == at(5)
    assert moved_at(replace(one, processed_at=None, created_at=at(1))) == at(1)
    assert moved_at(replace(one, processed_at=None, created_at=None)) is None


def test_money_at_an_unknown_time_is_asked_about() -> None:
    lost = replace(payment(9, 1190, T0), processed_at=None, created_at=None)
    quiet = replace(payment(8, 1190, T0, status="FAILURE"), processed_at=None, created_at=None)
    found = facts_of(order(mug(), payments=(lost, quiet)))
    assert found.problems == (Problem("LEDGER", "money moved at an unknown time", (TX,)),)
    assert (found.money, [item.kind for item in found.items]) == (0, ["agreement"])


# -- all facts, in order of time ----------------------------------------------------------------------------------


def test_every_fact_has_its_id_its_kind_its_instant_and_its_amount() -> None:
    back = agreement(2, at(30), sale(2, -400, {"19": -64}, line="1", action="RETURN", quantity=-1), reason="RETURN")
    made = order(
        mug(),
        back,
        payments=(payment(9, 1190, at(10)), payment(10, 300, at(40), kind="REFUND")),
        fulfilments=(shipped(3, at(20)), replace(shipped(4, at(5)), status="CANCELLED")),
        cancelled_at=at(50),
        updated_at=at(60),
        disputes=(Dispute("gid://shopify/Dispute/7", "CHARGEBACK", "NEEDS_RESPONSE"),),
        edited=True,
    )
    found = facts_of(made)
    assert found.items == (
        Fact("gid://shopify/Agreement/1", "agreement", T0, 1190),
        Fact(TX, "money", at(10), 1190),
        Fact("gid://shopify/Fulfillment/3", "fulfilment", at(20), 0),
        Fact("gid://shopify/Agreement/2", "agreement", at(30), -400),
        Fact("gid://shopify/OrderTransaction/10", "money", at(40), -300),
        Fact(f"{ID}#cancelled", "cancellation", at(50), 0),
        Fact("gid://shopify/Dispute/7", "dispute", at(60), 0),
    )
    assert (found.claim, found.money, found.problems, found.unclear) == (790, 890, (), ())
    assert found.order == made and found.agreements == made.agreements
    assert found.tax_point == TaxPoint(at(10), "money", TX)
    assert found.first_supply == TaxPoint(at(20), "fulfilment", "gid://shopify/Fulfillment/3")
    assert facts_of(order(mug())).first_supply is None


def test_facts_of_one_instant_stand_by_kind_and_id() -> None:
    made = order(mug(), payments=(payment(9, 690, T0), payment(8, 500, T0)), fulfilments=(shipped(3, T0),))
    assert [item.id.rsplit("/", 2)[-2:] for item in facts_of(made).items] == [
        ["Agreement", "1"], ["Fulfillment", "3"], ["OrderTransaction", "8"], ["OrderTransaction", "9"],
    ]  # fmt: skip


def test_agreements_stand_by_time_and_id_and_are_cut_at_an_instant() -> None:
    one, two, three = (
        mug(),
        *(agreement(n, at(m), sale(n, 100, {"19": 16}), reason="ORDER_EDIT") for n, m in ((3, 9), (2, 9))),
    )
    found = facts_of(order(two, one, three, edited=True))
    assert [item.id[-1] for item in found.agreements] == ["1", "2", "3"]
    assert found.agreements_until(at(9)) == found.agreements
    assert found.agreements_until(at(9) - timedelta(microseconds=1)) == (one,)


def test_gaps_make_them_incomplete() -> None:
    assert facts_of(order(mug())).complete
    assert not facts_of(order(mug(), gaps=("transactions",))).complete


# -- the tax point ------------------------------------------------------------------------------------------------


def fact(kind: str, minutes: float, amount: int = 0, number: int = 1) -> Fact:
    return Fact(f"{kind} {number}", kind, at(minutes), amount)


def test_money_is_complete_at_the_first_instant_that_covers_the_claim() -> None:
    claim, part, rest = fact("agreement", 0, 1000), fact("money", 1, 999), fact("money", 2, 1, 2)
    assert point_of([claim, part]) is None
    assert point_of([claim, part, rest]) == TaxPoint(at(2), "money", "money 2")
    assert point_of([claim, replace(part, amount=1000), rest]) == TaxPoint(at(1), "money", "money 1")


def test_an_edit_that_lowers_the_claim_completes_it() -> None:
    facts = [fact("agreement", 0, 1000), fact("money", 1, 900), fact("agreement", 2, -100, 2)]
    assert point_of(facts) == TaxPoint(at(2), "money", "agreement 2")
    assert point_of([*facts[:2], replace(facts[2], amount=-99)]) is None


def test_facts_of_one_instant_are_taken_together() -> None:
    """What is added in the second of the payment belongs to it; of several payments the last completes."""
    both = [fact("agreement", 0, 1000), fact("agreement", 1, 500, 2), fact("money", 1, 1000)]
    assert point_of(both) is None
    paid = [fact("agreement", 0, 1000), fact("money", 1, 600), fact("money", 1, 400, 2)]
    assert point_of(paid) == TaxPoint(at(1), "money", "money 2")
    assert point_of([*paid, fact("dispute", 2)]) == TaxPoint(at(1), "money", "money 2")
    returned = [fact("agreement", 0, 1000), fact("money", 1, 1000), fact("money", 1, -1000, 2)]
    assert point_of(returned) is None


def test_a_tie_goes_to_the_shipment() -> None:
    tied = [fact("agreement", 0, 1000), fact("fulfilment", 1), fact("money", 1, 1000)]
    assert point_of(tied) == TaxPoint(at(1), "fulfilment", "fulfilment 1")
    assert point_of([fact("agreement", 0, 1000), fact("fulfilment", 1)]) == TaxPoint(
        at(1), "fulfilment", "fulfilment 1"
    )
    before = [fact("agreement", 0, 1000), fact("money", 1, 1000), fact("fulfilment", 2)]
    assert point_of(before) == TaxPoint(at(1), "money", "money 1")


def test_nothing_is_complete_where_nothing_is_owed() -> None:
    assert point_of([fact("agreement", 0, 0), fact("money", 1, 1)]) is None
    assert point_of([fact("agreement", 0, 1), fact("money", 1, 1)]) == TaxPoint(at(1), "money", "money 1")
    assert point_of([fact("agreement", 0, -1), fact("money", 1, 1)]) is None
    assert point_of([]) is None


def test_a_cancellation_or_a_dispute_completes_nothing() -> None:
    """Money that covered the claim already has its tax point; these only happen beside it."""
    facts = [fact("agreement", 0, 1000), fact("money", 1, 1000)]
    assert point_of([*facts, fact("cancellation", 2)]) == TaxPoint(at(1), "money", "money 1")
    only = [fact("agreement", 0, 1000), fact("money", 0, 1000), fact("cancellation", 0), fact("dispute", 0)]
    assert point_of(only) == TaxPoint(at(0), "money", "money 1")
    assert point_of([fact("cancellation", 0), fact("agreement", 1, 5), fact("dispute", 2)]) is None


def test_a_grace_moves_the_cut_and_not_the_day() -> None:
    assert TaxPoint(at(1), "money", "x").until == at(1)
    assert TaxPoint(at(1), "money", "x", at(61)).until == at(61)


def test_a_problem_may_name_neither_facts_nor_choices() -> None:
    assert Problem("X", "a sentence") == Problem("X", "a sentence", (), ())


# -- doubles ------------------------------------------------------------------------------------------------------


def test_what_is_listed_twice_has_happened_once_and_is_asked_about() -> None:
    dispute = Dispute("gid://shopify/Dispute/7", "CHARGEBACK", "WON")
    other = replace(payment(9, 500, at(3)), id="gid://shopify/CardTransaction/9")  # keys are made of the number
    made = order(
        mug(),
        payments=(payment(9, 1190, at(1)), other, payment(8, 1, at(4))),
        fulfilments=(shipped(3, at(2)), shipped(3, at(2))),
        disputes=(dispute, dispute),
    )
    found = facts_of(made)
    assert found.problems == (
        Problem("LEDGER", "one transaction is listed twice", (other.id,), AGAIN),
        Problem("LEDGER", "one shipment is listed twice", ("gid://shopify/Fulfillment/3",), AGAIN),
        Problem("LEDGER", "one dispute is listed twice", (dispute.id,), AGAIN),
    )
    assert found.order.payments == (made.payments[0], made.payments[2])
    assert (found.order.fulfilments, found.order.disputes) == (made.fulfilments[:1], (dispute,))
    assert found.money == 1191


# -- without a ledger ---------------------------------------------------------------------------------------------


def lines_only(**changes: Any) -> Order:
    """An order without a ledger, one line of two mugs less a discount, and shipping."""
    line = Line(
        LINE, "Tasse", 2, 2, 2580, 2380, allocations=(DiscountAllocation(150), DiscountAllocation(50)),
        tax_lines=(TaxLine("MwSt", Decimal(19), 300), TaxLine("MwSt", Decimal(7), 80, True)),
    )  # fmt: skip
    shipping = ShippingLine(
        "gid://shopify/ShippingLine/5", "Versand", 590, 490, 490, tax_lines=(TaxLine("MwSt", Decimal(19), 78, False),)
    )
    values: dict[str, Any] = {
        "agreements": (), "lines": (line,), "shipping_lines": (shipping,),
        "original_total": 2870, "current_total": 2870,
    }  # fmt: skip
    return replace(order(), **(values | changes))


def test_the_lines_of_an_order_that_was_never_touched_stand_in_for_its_ledger() -> None:
    (stand_in,) = facts_of(lines_only()).agreements
    assert (stand_in.id, stand_in.kind, stand_in.reason) == (f"{ID}#lines", "OrderAgreement", "ORDER")
    assert stand_in.happened_at == T0 and facts_of(lines_only()).problems == ()
    mugs, ship = stand_in.sales
    assert (mugs.id, mugs.line_type, mugs.action, mugs.total, mugs.tax) == (
        f"{LINE}#sale",
        "PRODUCT",
        "ORDER",
        2380,
        380,
    )
    assert (mugs.quantity, mugs.item_id, mugs.item_name) == (2, LINE, "Tasse")
    assert mugs.taxes == (SaleTax(300, Decimal(19), "MwSt", None), SaleTax(80, Decimal(7), "MwSt", True))
    assert (ship.id, ship.line_type, ship.total, ship.tax) == ("gid://shopify/ShippingLine/5#sale", "SHIPPING", 490, 78)
    assert (ship.quantity, ship.item_name) == (1, "Versand")
    assert ship.taxes == (SaleTax(78, Decimal(19), "MwSt", False),)


def test_the_lines_of_a_net_priced_order_and_of_a_gift_card() -> None:
    net = lines_only(taxes_included=False, original_total=2870 + 380 + 78, current_total=2870 + 380 + 78)
    assert [one.total for one in facts_of(net).agreements[0].sales] == [2760, 568]
    card = lines_only()
    card = replace(card, lines=(replace(card.lines[0], is_gift_card=True),))
    assert [one.line_type for one in facts_of(card).agreements[0].sales] == ["GIFT_CARD", "SHIPPING"]
    unnamed = lines_only()
    unnamed = replace(unnamed, shipping_lines=(replace(unnamed.shipping_lines[0], id=None),))
    assert facts_of(unnamed).agreements[0].sales[1].id == "shipping#sale"


REFUND = Refund("gid://shopify/Refund/1", None, 0)


@pytest.mark.parametrize(
    "changes",
    [{"edited": True}, {"refunds": (REFUND,)}, {"return_status": "RETURNED"}, {"original_total": 2871}, {"lines": ()}],
)
def test_lines_that_prove_nothing_are_not_used(changes: dict[str, Any]) -> None:
    found = facts_of(lines_only(**changes))
    said = Problem(
        "LEDGER", "the order has no sales ledger and its lines do not prove it", (ID,),
        ("read the order again later", "exclude the order"),
    )  # fmt: skip
    assert (found.agreements, found.problems) == ((), (said,))


def test_a_return_that_never_was_touches_nothing() -> None:
    assert len(facts_of(lines_only(return_status="NO_RETURN")).agreements) == 1


def test_an_order_over_nothing_needs_no_ledger() -> None:
    empty = {"lines": (), "shipping_lines": (), "original_total": 0, "current_total": 0}
    assert facts_of(lines_only(**empty)).problems == ()
    assert len(facts_of(lines_only(**empty, edited=True)).problems) == 1


# -- values Shopify may add one day -------------------------------------------------------------------------------


def one_sale(**changes: Any) -> Order:
    return order(agreement(1, T0, replace(sale(1, 1190, {"19": 190}), **changes)), edited=True)


LONG = "X" * 50
UNKNOWN: list[tuple[Order, str, str]] = [
    (order(replace(mug(), reason=LONG), original_total=0), f"unknown agreement reason {LONG[:40]!r}",
     "gid://shopify/Agreement/1"),
    (one_sale(line_type="FEE2"), "unknown sale line type 'FEE2'", SALE),
    (one_sale(action="SWAP"), "unknown sale action 'SWAP'", SALE),
    (order(mug(), payments=(payment(9, 1, T0, status="LATER"),)), "unknown transaction status 'LATER'", TX),
    (order(mug(), payments=(payment(9, 1, T0, kind="TIP"),)), "unknown transaction kind 'TIP'", TX),
    (order(mug(), fulfilments=(replace(shipped(3, T0), status="LOST"),)), "unknown fulfilment status 'LOST'",
     "gid://shopify/Fulfillment/3"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "message", "about"), UNKNOWN, ids=lambda one: str(one)[:30])
def test_a_value_nobody_knows_is_asked_about(made: Order, message: str, about: str) -> None:
    assert facts_of(made).problems == (Problem("ENUM", message, (about,), EXCLUDE),)


def test_every_value_shopify_has_today_is_known() -> None:
    sales = [
        replace(sale(n, 0, quantity=None), line_type=kind, action=action)
        for n, (kind, action) in enumerate(
            (kind, action)
            for kind in ("PRODUCT", "SHIPPING", "TIP", "GIFT_CARD", "DUTY", "FEE", "ADDITIONAL_FEE", "ADJUSTMENT")
            for action in ("ORDER", "RETURN", "UPDATE")
        )
    ]
    agreed = [
        replace(agreement(n, T0, *(sales if n == 0 else ())), reason=reason)
        for n, reason in enumerate(("ORDER", "ORDER_EDIT", "REFUND", "RETURN"))
    ]
    moves = ("SALE", "CAPTURE", "REFUND", "CHANGE", "AUTHORIZATION", "EMV_AUTHORIZATION", "VOID", "SUGGESTED_REFUND")
    stated = ("SUCCESS", "PENDING", "FAILURE", "ERROR", "AWAITING_RESPONSE")
    payments = tuple(
        payment(n, 0, T0, kind=kind, status=status)
        for n, (kind, status) in enumerate((kind, status) for kind in moves for status in stated)
    )
    shipments = tuple(
        replace(shipped(n, T0), status=status)
        for n, status in enumerate(("SUCCESS", "OPEN", "PENDING", "CANCELLED", "ERROR", "FAILURE"))
    )
    found = facts_of(order(*agreed, payments=payments, fulfilments=shipments, edited=True))
    assert found.problems == ()


def test_transactions_nobody_can_rely_on() -> None:
    negative = payment(9, -5, T0)
    assert facts_of(order(mug(), payments=(negative,))).problems == (
        Problem("LEDGER", "a transaction with a negative amount", (TX,)),
    )
    trial = replace(payment(9, 5, T0), test=True)
    said = Problem("TEST-PAYMENT", "a test transaction on a real order", (TX,), ("exclude the order",))
    assert facts_of(order(mug(), payments=(trial,))).problems == (said,)
    for quiet in (replace(trial, status="FAILURE"), replace(trial, kind="VOID")):
        assert facts_of(order(mug(), payments=(quiet,))).problems == ()
    assert facts_of(order(mug(), payments=(trial,), test=True)).problems == ()


# -- the ledger's own sums (2.1 a, b, d) --------------------------------------------------------------------------


def ledger(message: str, *about: str) -> Problem:
    return Problem("LEDGER", message, about or (ID,), AGAIN)


def test_one_agreement_or_one_sale_twice() -> None:
    twice = order(mug(), mug(), edited=True)
    assert facts_of(twice).problems[:2] == (ledger("one agreement appears twice"), ledger("one sale appears twice"))
    again = order(mug(), agreement(2, at(1), sale(1, 1190, {"19": 190}), reason="ORDER_EDIT"), edited=True)
    assert facts_of(again).problems == (ledger("one sale appears twice"),)


def test_a_the_first_agreement_is_the_original_total() -> None:
    more = agreement(2, at(1), sale(2, 100, {"19": 16}), reason="ORDER_EDIT")
    assert facts_of(order(mug(), more, edited=True)).problems == ()
    wrong = order(mug(), more, edited=True, original_total=1191)
    assert facts_of(wrong).problems == (ledger("the first agreement says 1190, the order says 1191"),)


def test_b_all_sales_are_the_current_total_with_adjustments_or_without() -> None:
    """Which of the two Shopify means is unproven: both are taken, nothing else."""
    less = agreement(2, at(1), sale(2, -100, kind="ADJUSTMENT", quantity=None, action="UPDATE"), reason="REFUND")
    for total, fits in ((1090, True), (1190, True), (1089, False), (1140, False), (1191, False)):
        found = facts_of(order(mug(), less, current_total=total)).problems
        assert found == (() if fits else (ledger(f"the ledger says 1090, the order says {total}"),))


def test_a_return_takes_away() -> None:
    """F1: returns are negative in total and quantity; a positive one is refused."""
    for total, tax, quantity, fits in (
        (-100, -16, -1, True), (0, 0, 0, True), (-100, -16, None, True), (1, 0, -1, False), (-100, -16, 1, False),
    ):  # fmt: skip
        one = replace(sale(2, total, {"19": tax}, line="1", quantity=quantity), action="RETURN")
        made = order(mug(), agreement(2, at(1), one, reason="RETURN"))
        refused = (ledger("a return with a positive amount", one.id),)
        assert facts_of(made).problems == (() if fits else refused)
    for kind in ("ADJUSTMENT", "FEE"):  # these say the direction by their sign (F2)
        one = replace(sale(2, 5, kind=kind, quantity=None), action="RETURN")
        assert facts_of(order(mug(), agreement(2, at(1), one, reason="RETURN"))).problems == ()
    kept = replace(sale(2, 5, {"19": 1}), action="UPDATE")
    assert facts_of(order(mug(), agreement(2, at(1), kept, reason="ORDER_EDIT"), edited=True)).problems == ()


def test_the_taxes_of_a_sale_are_its_tax() -> None:
    assert facts_of(one_sale(tax=191)).problems == (ledger("the taxes of a sale do not add up", SALE),)
    assert facts_of(one_sale(tax=191, taxes=())).problems == ()


def priced(line_total: int, **changes: Any) -> Order:
    """One line as the shop prices it, beside a ledger over 1190."""
    made = order(mug(), **changes)
    return replace(made, lines=(replace(made.lines[0], original_total=line_total),))


def test_d_each_line_is_its_price_less_all_discounts() -> None:
    off = (DiscountAllocation(100), DiscountAllocation(10))
    assert facts_of(priced(1190)).problems == ()
    said = ledger("the ledger sold a line for 1190, the line says 1191", LINE)
    assert facts_of(priced(1191)).problems == (said,)
    assert facts_of(priced(1191, edited=True)).problems == ()
    cut = priced(1300)
    assert facts_of(replace(cut, lines=(replace(cut.lines[0], allocations=off),))).problems == ()


def test_d_prices_of_a_net_shop_are_without_tax() -> None:
    assert facts_of(priced(1000, taxes_included=False)).problems == ()
    said = ledger("the ledger sold a line for 1190, the line says 1380", LINE)
    assert facts_of(priced(1190, taxes_included=False)).problems == (said,)


def test_d_only_first_sales_of_products_are_compared() -> None:
    two = agreement(1, T0, sale(1, 500, {"19": 80}), sale(2, 690, {"19": 110}, line="1"))
    assert facts_of(replace(order(two), lines=(replace(order(mug()).lines[0], original_total=1190),))).problems == ()
    later = agreement(2, at(1), sale(3, 100, {"19": 16}, line="1"), reason="ORDER_EDIT")
    assert facts_of(order(mug(), later)).problems == ()
    unsold = order(mug())
    unsold = replace(unsold, lines=(replace(unsold.lines[0], id="gid://shopify/LineItem/77"), *unsold.lines))
    assert facts_of(unsold).problems == ()
    wrong = replace(unsold, lines=tuple(replace(line, original_total=7) for line in unsold.lines))
    assert [item.facts for item in facts_of(wrong).problems] == [(LINE,)]
    second = agreement(1, T0, sale(1, 500, {"19": 80}), sale(2, 690, {"19": 110}))
    both = replace(order(second), lines=tuple(replace(line, original_total=1) for line in order(second).lines))
    assert len(facts_of(both).problems) == 2
    tip = order(agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 100, kind="TIP", line="1")))
    assert facts_of(tip).problems == ()
