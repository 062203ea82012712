"""The generator of order lives: its identities, its coverage, its determinism (bookkeeping 2.1-2.3, 2.6, 5)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from graphql import FieldNode, FragmentSpreadNode, OperationDefinitionNode, SelectionSetNode, parse

from ladenbuch.simulators.lives import EVERY_SITUATION_FROM, Life, generate, situations
from ladenbuch.simulators.lives.arithmetic import contained, half_up, spread
from ladenbuch.simulators.owed import Chain, chain_of

END = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPAN = timedelta(days=30)
SHOP = "seifenladen.myshopify.com"
DOCUMENTS = Path(__file__).resolve().parents[2] / "tools" / "admin_documents.graphql"
#: What stays a question, by situation; a deposit only where a month ended in between.
ATTENTION = {
    "overpaid": "OVERPAID", "chargeback_lost": "DISPUTE", "unknown_gateway": "GATEWAY-UNMAPPED",
    "helgoland": "TAX-FOREIGN", "buesingen": "TAX-FOREIGN",
    "fee_without_tax": "FEE", "duty_at_home": "DUTY",
    "gift_card_unclear": "GIFT-CARD", "gift_card_by_bank": "GIFT-CARD", "cash_rounding": "CASH-ROUNDING",
    "foreign_money": "CURRENCY",
    "channel_liable": "TAX-CHANNEL", "estimated_taxes": "TAX-ESTIMATED", "ship_from_poland": "TAX-SHIP-FROM",
    "wrong_rate": "TAX-RATE", "shipping_other_rate": "TAX-SHIPPING", "untaxed_line": "TAX-ZERO",
    "deposit": "PARTIAL-PREPAYMENT", "refund_failed": "REFUND-FAILED",
}  # fmt: skip


def make(mix: str, orders: int, seed: int = 1, **more: Any) -> list[Life]:
    return generate(seed, orders, **{"shop": SHOP, "mix": mix, "end": END, "span": SPAN, **more})


@pytest.fixture(scope="module")
def domestic() -> list[Life]:
    return make("domestic", 2000)


@pytest.fixture(scope="module")
def wide() -> list[Life]:
    return make("wide", 2000)


@pytest.fixture(scope="module")
def lives(domestic: list[Life], wide: list[Life]) -> list[Life]:
    return domestic + wide


def snapshots(lives: list[Life]) -> list[tuple[Life, dict[str, Any]]]:
    return [(life, event.snapshot) for life in lives for event in life.events]


def cents(bag: dict[str, Any] | None) -> int:
    return 0 if bag is None else int(Decimal(bag["shopMoney"]["amount"]) * 100)


def sales(order: dict[str, Any], kind: str | None = None) -> list[dict[str, Any]]:
    return [s for a in order["agreements"] if kind in (None, a["reason"]) for s in a["sales"]]


def test_first_agreement_is_the_original_total(lives: list[Life]) -> None:
    """Identity (a) of bookkeeping 2.1, in every state of every life."""
    for life, order in snapshots(lives):
        assert sum(cents(s["totalAmount"]) for s in sales(order, "ORDER")) == cents(order["originalTotalPriceSet"]), (
            life
        )


def test_all_sales_are_the_current_total_up_to_adjustments(lives: list[Life]) -> None:
    """Identity (b): an amount-only refund stands as an ADJUSTMENT, which refundDiscrepancySet explains."""
    for life, order in snapshots(lives):
        whole = sum(cents(s["totalAmount"]) for s in sales(order))
        adjusted = sum(cents(s["totalAmount"]) for s in sales(order) if s["lineType"] == "ADJUSTMENT")
        assert cents(order["currentTotalPriceSet"]) == whole - adjusted, life.label.situation
        assert cents(order["refundDiscrepancySet"]) == adjusted


def test_sale_of_a_line_is_its_price_less_all_allocations(lives: list[Life]) -> None:
    """Identity (d): ORDER sale = originalTotal - allocations (+ tax lines in a net shop), per line."""
    checked = 0
    for life in lives:
        order = life.events[0].snapshot
        sold = {s["lineItem"]["id"]: cents(s["totalAmount"]) for s in sales(order, "ORDER") if s.get("lineItem")}
        for line in order["lineItems"]:
            expected = cents(line["originalTotalSet"])
            expected -= sum(cents(part["allocatedAmountSet"]) for part in line["discountAllocations"])
            if not order["taxesIncluded"]:
                expected += sum(cents(tax["priceSet"]) for tax in line["taxLines"])
            assert sold[line["id"]] == expected, life.label.situation
            checked += 1
    assert checked > 4000


def test_discount_shares_are_whole_cents_of_a_discount(lives: list[Life]) -> None:
    """A fixed discount is shared out exactly; every allocation names a discount of the order."""
    fixed = 0
    for life in lives:
        order = life.events[0].snapshot
        shares: Counter[int] = Counter()
        for part in order["lineItems"] + order["shippingLines"]:
            for share in part["discountAllocations"]:
                shares[share["discountApplication"]["index"]] += cents(share["allocatedAmountSet"])
        for discount in order["discountApplications"]:
            if discount["value"]["__typename"] == "MoneyV2":
                assert shares[discount["index"]] == int(Decimal(discount["value"]["amount"]) * 100)
                fixed += 1
        assert set(shares) <= {discount["index"] for discount in order["discountApplications"]}
        assert sum(shares.values()) == cents(order["totalDiscountsSet"])
    assert fixed > 10


def test_taxes_of_a_sale_add_up_and_follow_the_rate(lives: list[Life]) -> None:
    """R21: every single tax is within a cent of gross x r/(1+r); two taxes only on shipping (G4)."""
    several = 0
    for life, order in snapshots(lives):
        for sale in sales(order):
            taxes = [(tax["taxLine"]["ratePercentage"], cents(tax["amount"])) for tax in sale["taxes"]]
            assert sum(amount for _, amount in taxes) == cents(sale["totalTaxAmount"]), life.label.situation
            if len(taxes) == 1:
                rate, tax = taxes[0]
                assert abs(tax - contained(cents(sale["totalAmount"]), round(rate * 10))) <= 1, life.label.situation
            elif taxes:
                several += 1
                assert sale["lineType"] == "SHIPPING"
    assert several


def test_tax_per_rate_within_the_bound_of_r21(domestic: list[Life]) -> None:
    """R21: the shop's tax per rate and the tax of gross amounts differ by at most (n + 1) / 2 cents."""
    for life in domestic:
        parts: dict[int, list[tuple[int, int]]] = {}
        for sale in sales(life.events[0].snapshot, "ORDER"):
            if len(sale["taxes"]) == 1:
                rate = round(sale["taxes"][0]["taxLine"]["ratePercentage"] * 10)
                parts.setdefault(rate, []).append((cents(sale["totalAmount"]), cents(sale["totalTaxAmount"])))
        for rate, entries in parts.items():
            difference = abs(sum(tax for _, tax in entries) - sum(contained(gross, rate) for gross, _ in entries))
            assert 2 * difference <= len(entries) + 1, life.label.situation


def test_returns_are_negative(wide: list[Life]) -> None:
    """F1: RETURN sales have negative totals, taxes and quantities."""
    seen = Counter(
        (s["lineType"], cents(s["totalAmount"]) < 0, (s["quantity"] or -1) < 0, cents(s["totalTaxAmount"]) <= 0)
        for life in wide for s in sales(life.final) if s["actionType"] == "RETURN"
    )  # fmt: skip
    assert {kind for kind, *_ in seen} == {"PRODUCT", "SHIPPING", "ADJUSTMENT", "GIFT_CARD"}
    assert all(signs == [True, True, True] for _, *signs in seen)


def test_payments_and_totals_of_the_order_agree(lives: list[Life]) -> None:
    """Received, refunded, net, outstanding and the displayed status follow from the transactions."""
    for life, order in snapshots(lives):
        done = [t for t in order["transactions"] if t["status"] == "SUCCESS"]
        received = sum(cents(t["amountSet"]) for t in done if t["kind"] in ("SALE", "CAPTURE"))
        back = sum(cents(t["amountSet"]) for t in done if t["kind"] == "REFUND")
        assert cents(order["totalReceivedSet"]) == received
        assert cents(order["totalRefundedSet"]) == back == sum(cents(r["totalRefundedSet"]) for r in order["refunds"])
        assert cents(order["netPaymentSet"]) == received - back
        if order["displayFinancialStatus"] == "PAID":
            assert received >= cents(order["currentTotalPriceSet"]), life.label.situation
        assert order["transactionsCount"]["count"] == len(order["transactions"])


def test_time_only_moves_forward_inside_the_span(lives: list[Life]) -> None:
    for life in lives:
        times = [event.at for event in life.events]
        assert times[0] >= END - SPAN
        assert times[-1] <= END
        assert all(a < b for a, b in pairwise(times)), life.label.situation
        for event in life.events:
            assert datetime.fromisoformat(event.snapshot["updatedAt"]) == event.at
            dated = [t["processedAt"] for t in event.snapshot["transactions"]]
            dated += [a["happenedAt"] for a in event.snapshot["agreements"]]
            assert all(datetime.fromisoformat(text) <= event.at for text in dated)
        assert "orders/create" in life.events[0].topics


@pytest.mark.parametrize("span", [timedelta(minutes=10), timedelta(hours=2), timedelta(days=90)])
def test_waiting_times_shrink_into_a_short_span(span: timedelta) -> None:
    found = make("wide", 250, span=span)
    assert all(END - span <= event.at <= END for life in found for event in life.events)
    for life in found:
        if life.label.outcome == "documented":
            assert documents(chain_of(life.final)) == labelled(life), life.label.situation


@pytest.mark.parametrize("mix", ["domestic", "wide"])
def test_every_situation_is_present(mix: str) -> None:
    found = Counter(life.label.situation for life in make(mix, EVERY_SITUATION_FROM, seed=9))
    assert set(found) == set(situations(mix))


def test_domestic_has_no_attention_and_mostly_plain_card(domestic: list[Life]) -> None:
    outcomes = Counter(life.label.outcome for life in domestic)
    assert set(outcomes) == {"documented", "waiting", "excluded"}
    assert sum(life.label.situation == "card_paid" for life in domestic) >= 0.55 * len(domestic)
    assert {life.label.code for life in domestic} == {None, "UNPAID", "CANCELLED-BEFORE", "ZERO", "TEST", "POS"}
    assert {tax["ratePercentage"] for life in domestic for tax in life.final["taxLines"]} == {19.0, 7.0, 0.0}


def test_wide_is_three_fifths_domestic_and_asks_only_real_questions(wide: list[Life]) -> None:
    strange = set(situations("wide")) - set(situations("domestic"))
    assert sum(life.label.situation in strange for life in wide) == len(wide) * 2 // 5
    asked = {(life.label.situation, life.label.code) for life in wide if life.label.outcome == "attention"}
    assert asked == set(ATTENTION.items())
    decided = {life.label.situation for life in wide if life.label.outcome == "documented"}
    assert decided & ATTENTION.keys() <= {"deposit"}
    waiting = {(life.label.situation, life.label.code) for life in wide if life.label.outcome == "waiting"}
    assert {name for name, code in waiting if code != "UNPAID"} == {"export_not_shipped"}


def documents(chain: Chain) -> list[tuple[str, int, dict[str, int], int]]:
    return [(paper.kind, paper.gross, paper.by_rate, paper.rule) for paper in chain.documents]


def labelled(life: Life) -> list[tuple[str, int, dict[str, int], int]]:
    return [(due.kind, due.gross, due.by_rate, due.rule) for due in life.label.documents]


def test_labels_agree_with_an_independent_replay(lives: list[Life]) -> None:
    """R2-R6, 1.4, 3.1: outcome, code, every document per rate and rule, the money on them and the letter."""
    kinds: Counter[str] = Counter()
    for life in lives:
        chain, label = chain_of(life.final), life.label
        assert chain.outcome == label.outcome, label.situation
        assert (chain.questions[0] if chain.questions else chain.reason) == label.code, label.situation
        assert chain.questions in ((), (label.code,)), label.situation
        assert documents(chain) == labelled(life), label.situation
        first = chain.documents[0] if chain.documents else None
        assert (label.invoice_gross, label.gross_by_rate) == ((first.gross, first.by_rate) if first else (None, {}))
        assert label.letters == (1 if first and life.final["email"] else 0), label.situation
        if label.outcome == "documented":
            booked = [b.cents for paper in chain.documents for b in paper.bookings if b.clearing]
            assert sum(cents for cents in booked if cents > 0) == label.paid_cents, label.situation
            assert -sum(cents for cents in booked if cents < 0) == label.refunded_cents, label.situation
        kinds.update(due.kind for due in label.documents)
    assert min(kinds[kind] for kind in ("invoice", "supplementary", "credit_note", "cancellation")) > 10
    assert {due.rule for life in lives for due in life.label.documents} == {1, 2, 3, 18}


def test_completing_event_holds_everything_due(lives: list[Life]) -> None:
    """From the completing event on every document and its money are due; before it one of them is missing."""
    for life in lives:
        label = life.label
        if label.outcome != "documented":
            continue
        assert label.completes is not None
        final, seen = chain_of(life.final), chain_of(life.events[label.completes].snapshot)
        assert documents(seen) == documents(final), label.situation
        assert seen.payments == final.payments, label.situation
        if label.completes:
            before = chain_of(life.events[label.completes - 1].snapshot)
            less = len(before.documents) < len(final.documents)
            if len(final.documents) == 1:
                less = less or sum(p.cents for p in before.payments if p.cents > 0) < label.paid_cents
            assert less, label.situation


def test_same_arguments_same_lives() -> None:
    assert make("wide", 300, seed=4) == make("wide", 300, seed=4)
    assert make("wide", 300, seed=4) != make("wide", 300, seed=5)


def test_ids_and_names_are_unique(lives: list[Life]) -> None:
    other = make("domestic", 300, shop="zweitladen.myshopify.com")
    ids = [life.order_id for life in lives + other]
    assert len(set(ids)) == len(ids)
    assert [life.name for life in other[:3]] == ["#1001", "#1002", "#1003"]
    created = [life.events[0].at for life in other]
    assert created == sorted(created)
    inner: list[str] = []
    for life in other:
        number = life.order_id.rsplit("/", 1)[-1]
        assert len(number) == 13
        inner += [line["id"] for line in life.final["lineItems"]]
        inner += [t["id"] for t in life.final["transactions"]] + [s["id"] for s in sales(life.final)]
    assert len(set(inner)) == len(inner)


def test_buyers_come_back_and_guests_have_no_customer(domestic: list[Life]) -> None:
    customers = Counter(life.final["customer"]["id"] for life in domestic if life.final["customer"])
    guests = sum(life.final["customer"] is None for life in domestic)
    assert 0.05 < guests / len(domestic) < 0.15
    assert 0.2 < (sum(customers.values()) - len(customers)) / len(domestic) < 0.4
    german = sum(life.final["customerLocale"] == "de" for life in domestic)
    assert 0.78 < german / len(domestic) < 0.92


def test_three_times_999_less_20_percent_is_2398(domestic: list[Life]) -> None:
    """G2b: 20 % of 29.97 is 5.99; 23.98 does not divide by three."""
    found = [life for life in domestic if life.label.situation == "odd_quantities"]
    assert {life.label.invoice_gross for life in found} == {2398}


def test_split_shipping_reproduces_both_taxes(domestic: list[Life]) -> None:
    """G4: the price follows the goods' gross per rate, and each part contains exactly its tax line."""
    found = [life for life in domestic if life.label.situation == "split_shipping_tax"]
    assert found
    for life in found:
        shipping = next(s for s in sales(life.final) if s["lineType"] == "SHIPPING")
        goods: Counter[float] = Counter()
        for s in sales(life.final):
            if s["lineType"] == "PRODUCT":
                goods[s["taxes"][0]["taxLine"]["ratePercentage"]] += cents(s["totalAmount"])
        parts = spread(cents(shipping["totalAmount"]), [goods[19.0], goods[7.0]])
        taxes = [contained(parts[0], 190), contained(parts[1], 70)]
        assert [cents(tax["amount"]) for tax in shipping["taxes"]] == taxes


def test_lines_and_sales_are_many_enough_to_page(domestic: list[Life]) -> None:
    """More than 10 sales in an agreement, more than 50 lines in an order: paging is exercised."""
    assert any(len(life.final["lineItems"]) > 50 for life in domestic)
    assert any(10 < len(life.final["lineItems"]) <= 50 for life in domestic)


def test_golden_arithmetic() -> None:
    """Figures of bookkeeping 2.6: contained taxes, shares, half cents away from zero."""
    assert [contained(3080, 190), contained(2997, 70), contained(2398, 190), contained(-899, 190)] == [
        492,
        196,
        383,
        -144,
    ]
    assert spread(590, [4000, 2000]) == [393, 197]
    assert spread(1000, [3080, 2997]) == [507, 493]
    assert spread(1000, [1785, 2997]) == [373, 627]
    assert spread(5, [0, 0]) == [5, 0]
    assert [half_up(5, 10), half_up(-5, 10), half_up(4, 10)] == [1, -1, 0]
    assert contained(999, 200) == 167  # 1.665: Shopify may say 1.67 where sevdesk says 1.66 (G7)


def test_a_refund_is_labelled_with_its_credit_note(wide: list[Life]) -> None:
    """R4: over the whole invoice where everything came back, over the amount where only money did."""
    for life in wide:
        if life.label.situation == "refund_full":
            _, due = life.label.documents
            assert (due.kind, due.gross) == ("credit_note", life.label.invoice_gross)
            assert due.by_rate == life.label.gross_by_rate
        if life.label.situation == "refund_amount_only":
            _, due = life.label.documents
            assert (due.kind, due.gross) == ("credit_note", cents(life.final["totalRefundedSet"]))
            assert due.gross == life.label.refunded_cents


@pytest.mark.parametrize(
    "wrong", [{"mix": "wild"}, {"end": datetime(2026, 1, 1)}, {"span": timedelta(minutes=1)}], ids=str
)
def test_senseless_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make(**{"mix": "domestic", "orders": 5, **wrong})


def missing(selection: SelectionSetNode, value: Any, path: str, fragments: dict[str, SelectionSetNode]) -> set[str]:
    """Paths a document selects and the value does not have; connections are plain lists in a snapshot."""
    if isinstance(value, list):
        found: set[str] = set()
        for item in value:
            found |= missing(selection, item, path, fragments)
        return found
    if not isinstance(value, dict):
        return set()
    found = set()
    for node in selection.selections:
        if isinstance(node, FragmentSpreadNode):
            found |= missing(fragments[node.name.value], value, path, fragments)
        elif isinstance(node, FieldNode):
            name = (node.alias or node.name).value
            if name not in value and name != "__typename":
                found.add(f"{path}.{name}")
            elif node.selection_set is not None:
                inner = node.selection_set
                while (step := wrapper(inner, fragments)) is not None:
                    inner = step
                found |= missing(inner, value[name], f"{path}.{name}", fragments)
        elif value.get("__typename") == node.type_condition.name.value:  # type: ignore[union-attr]
            found |= missing(node.selection_set, value, path, fragments)  # type: ignore[union-attr]
    return found


def wrapper(selection: SelectionSetNode, fragments: dict[str, SelectionSetNode]) -> SelectionSetNode | None:
    """The selection under `nodes` or `edges { node }`, which snapshots leave out."""
    for node in selection.selections:
        if isinstance(node, FragmentSpreadNode) and (step := wrapper(fragments[node.name.value], {})) is not None:
            return step
        if isinstance(node, FieldNode) and node.name.value in ("nodes", "edges", "node"):
            return node.selection_set
    return None


def test_every_field_the_connector_asks_for_is_there(lives: list[Life]) -> None:
    """Documents 03-08 and 44 of the field list: no selected field is absent from any life's snapshot."""
    parsed = parse(DOCUMENTS.read_text())
    wanted = {"OrderForInvoice", "OrderLinesPage", "OrderTransactions", "OrderRefunds", "OrderLedger"}
    wanted |= {"OrderFulfillments", "RefundDetail"}
    fragments = {d.name.value: d.selection_set for d in parsed.definitions if d.kind == "fragment_definition"}  # type: ignore[attr-defined]
    operations = {
        d.name.value: d.selection_set for d in parsed.definitions if isinstance(d, OperationDefinitionNode) and d.name
    }
    absent: set[str] = set()
    for life in lives:
        for name in wanted:
            top = operations[name].selections[0].selection_set  # type: ignore[union-attr]
            value = life.final["refunds"] if name == "RefundDetail" else life.final
            absent |= missing(top, value, name, fragments)  # type: ignore[arg-type]
    assert absent <= {"RefundDetail.order"}  # the way back to the order is the simulator's
    assert wanted <= set(operations)
