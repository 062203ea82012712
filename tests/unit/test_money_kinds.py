"""Every kind of money on an order, each by its name: discounts, free things, tips, duties, fees, cash, currencies.

Bookkeeping 2.1, 2.2, 2.4, 2.5, 3.3 no. 10, R4; situations 5.24, 5.26; checklist S98, S148. Orders are
those of the simulated shop, read by the product's own adapter; what is expected is worked out by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import Product, address
from ladenbuch.simulators.lives.snapshot import snapshot
from ladenbuch.vat_rates import rate_table

NOW = T0 + timedelta(days=2)
SHOP = replace(PROFILE, tips="taxed", oss_from=date(2026, 1, 1))
MUG, BOOK, SOAP = (
    Product("Becher", "BECH", 1295, 190),
    Product("Buch", "BUCH", 999, 70),
    Product("Seife", "SEIF", 999, 190),
)


class Told:
    """One order, its plan and its proof."""

    def __init__(self, script: Callable[[ShopOrder], Any], profile: Profile = SHOP, place: str = "DE") -> None:
        made = ShopOrder(random.Random(3), 5_000_000, 1001, int(T0.timestamp()), 1.0)
        made.snapshot = snapshot
        made.billing = made.delivery = {**address(made.rng, place), "firstName": "Erika", "lastName": "Muster"}
        made.email = "erika@example.org"
        script(made)
        if not made.events:
            made.emit("orders/create")
        self.facts: Facts = facts_of(order_from_envelope(made.events[-1].snapshot))
        self.plan: Plan = plan(self.facts, Books(), [profile], NOW, Evidence(rate_table()))
        assert certificate(self.facts, Books(), self.plan).holds

    @property
    def documents(self) -> list[tuple[str, int, dict[str, int]]]:
        """Kind, gross and gross per rate."""
        drafts = [item.document for item in self.plan.actions if item.kind in ("invoice", "credit_note")]
        return [
            (item.kind, item.draft.gross, {rate_text(r): t.gross for r, t in item.draft.sums.items() if t.gross})
            for item in drafts
            if item is not None
        ]

    @property
    def positions(self) -> list[tuple[int, str, int, str]]:
        """Quantity, name, gross and rate of the first document."""
        drafted = next(item.document for item in self.plan.actions if item.kind == "invoice")
        assert drafted is not None
        return [(item.quantity, item.name, item.gross, rate_text(item.rate)) for item in drafted.draft.positions]

    @property
    def codes(self) -> set[str]:
        return {item.code for item in self.plan.attention}


def paid(basket: Callable[[ShopOrder], Any]) -> Callable[[ShopOrder], None]:
    """The basket, ordered and paid."""

    def script(made: ShopOrder) -> None:
        basket(made)
        made.place()
        if made.claim():
            made.pay("shopify_payments")

    return script


# -- discounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DiscountCode", "AutomaticDiscount", "ManualDiscount", "ScriptDiscount"])
@pytest.mark.parametrize("method", ["ACROSS", "EACH", "ONE"])
def test_discount_of_every_kind_and_method_is_in_the_price(kind: str, method: str) -> None:
    """S148: what a discount is called and how it is shared out changes nothing: the ledger has the price paid."""

    def basket(made: ShopOrder) -> None:
        line = made.add(MUG, 2)
        made.add(BOOK, 3)
        made.discount(kind, "HERBST", fixed=300, target=None if method == "ACROSS" else line, method=method)

    told = Told(paid(basket))
    mugs, books = (2590, 2997) if method == "ACROSS" else (2290, 2997)
    if method == "ACROSS":  # 3.00 over 25.90 and 29.97
        mugs, books = 2590 - 139, 2997 - 161
    assert told.documents == [("invoice", mugs + books, {"19": mugs, "7": books})] and not told.codes
    assert all(gross > 0 for _, _, gross, _ in told.positions), "a discount is no position of its own"


def test_discount_order_level_percentage_over_two_rates() -> None:
    """S148, 2.2: rounded once over the whole, shared out to the cent, each share at its own rate."""

    def basket(made: ShopOrder) -> None:
        made.add(MUG, 1)
        made.add(BOOK, 1)
        made.discount("DiscountCode", "FÜNFZEHN", percent=15)

    told = Told(paid(basket))
    assert told.documents == [("invoice", 1950, {"19": 1101, "7": 849})]


def test_discount_line_level_only_touches_its_line() -> None:
    def basket(made: ShopOrder) -> None:
        line = made.add(MUG, 1)
        made.add(BOOK, 1)
        made.discount("ManualDiscount", "Kulanz", fixed=95, target=line)

    assert Told(paid(basket)).positions == [(1, "Becher", 1200, "19"), (1, "Buch", 999, "7")]


def test_discount_several_on_one_line_are_all_taken() -> None:
    """2.1: never discountedTotal less allocations, which would take line discounts twice."""

    def basket(made: ShopOrder) -> None:
        line = made.add(MUG, 2)
        made.discount("AutomaticDiscount", "Viertel", percent=25, target=line)
        made.discount("DiscountCode", "FÜNF", fixed=500)

    assert Told(paid(basket)).documents == [("invoice", 1442, {"19": 1442})]


def test_discount_of_shipping_in_part_and_of_all_of_it() -> None:
    """S148: half the shipping is charged at its rate; all of it leaves no position."""

    def shipped(percent: int) -> Callable[[ShopOrder], None]:
        def basket(made: ShopOrder) -> None:
            made.add(MUG)
            made.discount("DiscountCode", "PORTO", percent=percent, target=made.ship_by("DHL Paket", 490, (190,)))

        return basket

    assert Told(paid(shipped(50))).positions == [(1, "Becher", 1295, "19"), (1, "DHL Paket", 245, "19")]
    assert Told(paid(shipped(100))).positions == [(1, "Becher", 1295, "19")]


def test_discount_of_a_net_priced_shop() -> None:
    """G3: tax comes on top of what is left after the discount."""

    def basket(made: ShopOrder) -> None:
        made.gross = False
        made.add(MUG, 2)
        made.discount("DiscountCode", "ZEHN", percent=10)

    told = Told(paid(basket))
    assert told.documents == [("invoice", 2330, {"19": 2330})] and not told.codes  # 2 x 10.88 - 2.18 = 19.58 net


def test_discount_that_cannot_be_divided_by_the_quantity() -> None:
    """G2b: 3 x 9.99 less 20 % is 23.98, which no quantity of 3 has."""

    def basket(made: ShopOrder) -> None:
        made.add(SOAP, 3)
        made.discount("DiscountCode", "ZWANZIG", percent=20)

    assert Told(paid(basket)).positions == [(1, "3 x Seife", 2398, "19")]


def test_buy_x_get_y_on_one_line_and_with_a_present() -> None:
    """Three for two; a present is listed at 0.00 (5.24)."""

    def basket(made: ShopOrder) -> None:
        line = made.add(MUG, 3)
        made.discount("AutomaticDiscount", "Drei für zwei", fixed=1295, target=line)
        made.discount("AutomaticDiscount", "Geschenk", percent=100, target=made.add(BOOK))

    assert Told(paid(basket)).positions == [(1, "3 x Becher", 2590, "19"), (1, "Buch", 0, "7")]


def test_5_24_everything_free_and_shipping_paid_is_an_invoice_over_the_shipping() -> None:
    def basket(made: ShopOrder) -> None:
        made.add(MUG)
        made.ship_by("DHL Paket", 490, (190,))
        made.discount("DiscountCode", "GESCHENKT", percent=100)

    told = Told(paid(basket))
    assert told.positions == [(1, "Becher", 0, "19"), (1, "DHL Paket", 490, "19")]
    assert told.documents == [("invoice", 490, {"19": 490})]


def test_5_24_everything_free_and_shipping_free_is_no_document() -> None:
    """R1: excluded with its reason."""

    def basket(made: ShopOrder) -> None:
        made.add(MUG)
        made.ship_by("Versandkostenfrei", 0, (190,))
        made.discount("DiscountCode", "GESCHENKT", percent=100)

    told = Told(paid(basket))
    assert told.plan.exclusion is not None and told.plan.exclusion.code == "ZERO" and told.documents == []


def test_free_shipping_is_no_position() -> None:
    def basket(made: ShopOrder) -> None:
        made.add(MUG)
        made.ship_by("Versandkostenfrei", 0, (190,))

    assert Told(paid(basket)).positions == [(1, "Becher", 1295, "19")]


# -- beside the goods -------------------------------------------------------------------------------------------------


def test_tip_is_taxed_at_the_main_rate_of_the_goods_or_asked_about() -> None:
    """2.5: consideration in a web shop; whose it is, the profile says."""

    def basket(made: ShopOrder) -> None:
        made.add(MUG, 2)
        made.add(BOOK, 1)
        made.add(Product("Trinkgeld", "", 300, 0, ships=False), rates=(), kind="TIP")

    assert Told(paid(basket)).documents == [("invoice", 3889, {"19": 2890, "7": 999})]
    for tips in ("unset", "staff"):
        assert Told(paid(basket), replace(SHOP, tips=tips)).codes == {"TIP"}


def beside(kind: str, cents: int, rates: tuple[int, ...] = ()) -> Callable[[ShopOrder], None]:
    """A mug, and an entry that is no article."""

    def script(made: ShopOrder) -> None:
        made.add(MUG, rates=() if made.billing and made.billing["countryCodeV2"] == "CH" else None)
        item = {"duty": {"id": "gid://shopify/Duty/7"}} if kind == "DUTY" else {
            "additionalFee": {"id": "gid://shopify/AdditionalFee/7", "name": "Geschenkverpackung"}
        }  # fmt: skip
        taxes = [(rate, made.tax(cents, rate)) for rate in rates]
        made.place([(made.sale(kind, "ORDER", 1, cents, taxes, item=item), kind, cents, {(*rates, 0)[0]: cents})])
        made.pay("shopify_payments")
        made.emit("orders/create")
        made.wait(60, 60)
        made.ship()
        made.emit("fulfillments/create")

    return script


def test_duty_belongs_to_an_export_and_is_asked_about_elsewhere() -> None:
    """2.4: no rule of the facts covers an import duty on a taxed sale."""
    assert Told(beside("DUTY", 420), place="CH").documents == [("invoice", 1715, {"0": 1715})]
    for place in ("DE", "FR"):
        assert "DUTY" in Told(beside("DUTY", 420), place=place).codes
    assert Told(beside("DUTY", 420, (190,))).codes == {"DUTY"}


def test_additional_fee_is_a_position_at_its_own_rate_or_asked_about() -> None:
    """2.4: Shopify names its tax; without any nobody knows what it is for."""
    told = Told(beside("ADDITIONAL_FEE", 250, (190,)))
    assert told.positions == [(1, "Becher", 1295, "19"), (1, "Geschenkverpackung", 250, "19")]
    assert Told(beside("ADDITIONAL_FEE", 250)).codes == {"FEE"}
    assert Told(beside("ADDITIONAL_FEE", 250, (160,))).codes == {"TAX-RATE"}
    assert Told(beside("ADDITIONAL_FEE", 250), place="CH").documents == [("invoice", 1545, {"0": 1545})]


# -- fees that are kept -----------------------------------------------------------------------------------------------


def bought(made: ShopOrder) -> None:
    made.add(MUG, 2)
    made.add(BOOK, 2)
    made.place()
    made.pay("shopify_payments")
    made.emit("orders/create", "orders/paid")
    made.wait(86_400, 86_400)


@pytest.mark.parametrize("kind", ["RestockingFee", "ReturnShippingFee"])
def test_fee_kept_of_a_refund_is_no_turnover_of_its_own(kind: str) -> None:
    """R4, 3.3 no. 10, G8: the credit note is over the money that went back, and nothing is invoiced for the fee."""

    def script(made: ShopOrder) -> None:
        bought(made)
        made.refund([(made.lines[0], 1)], fee=200, kept=kind)
        made.emit("refunds/create")

    assert Told(script).documents[1:] == [("credit_note", 1095, {"19": 1095})]


def test_fee_kept_of_two_rates_takes_of_both_in_proportion() -> None:
    """R4: 12.95 at 19 % and 9.99 at 7 % come back, 2.00 are kept: 11.82 and 9.12 went back."""

    def script(made: ShopOrder) -> None:
        bought(made)
        made.refund([(made.lines[0], 1), (made.lines[1], 1)], fee=200)
        made.emit("refunds/create")

    assert Told(script).documents[1:] == [("credit_note", 2094, {"19": 1182, "7": 912})]


def test_fee_that_stands_in_the_return_is_taken_off_the_refund_behind_it() -> None:
    """2.1: reductions may sit in the return agreement, the money in the refund."""

    def script(made: ShopOrder) -> None:
        bought(made)
        back = made.give_back([(made.lines[0], 1)], fee=200)
        made.emit("returns/approve")
        made.wait(86_400, 86_400)
        made.refund(cents=1095, of=back)
        made.emit("refunds/create")

    told = Told(script)
    assert told.documents[1:] == [("credit_note", 1095, {"19": 1095})] and not told.codes and not told.plan.waiting


# -- cash -------------------------------------------------------------------------------------------------------------

TILL = replace(SHOP, include_pos=True, gateways={**SHOP.gateways, "cash": Gateway("off")})


def at_the_till(made: ShopOrder) -> None:
    made.extra["sourceName"] = "pos"
    made.add(MUG)
    made.place()
    taken = made.pay("cash", 2000)
    made.pay("cash", 705, kind="CHANGE", parent=taken)


def test_pos_is_off_by_default() -> None:
    """The cash register keeps these books; change and rounding are its business."""
    told = Told(at_the_till)
    assert told.plan.exclusion is not None and told.plan.exclusion.code == "POS" and told.plan.actions == ()


def test_change_makes_cash_smaller_where_it_is_booked_by_hand() -> None:
    """Facts 6: change reduces the cash received: 20.00 given, 7.05 back, an invoice over 12.95 and nothing too much."""
    told = Told(at_the_till, TILL)
    assert told.documents == [("invoice", 1295, {"19": 1295})] and not told.codes


def test_change_out_of_an_account_of_ours_is_asked_about() -> None:
    """2.5: a part of a line cannot be linked."""
    profile = replace(TILL, gateways={**SHOP.gateways, "cash": Gateway("clearing+payouts", "40")})
    told = Told(at_the_till, profile)
    assert told.codes == {"CASH-ROUNDING"} and told.documents and not any(item.booking for item in told.plan.actions)


def test_change_that_belongs_to_no_payment_is_asked_about() -> None:
    def script(made: ShopOrder) -> None:
        made.add(MUG)
        made.place()
        made.pay("cash", 2000)
        made.pay("cash", 705, kind="CHANGE")

    assert "CASH-ROUNDING" in Told(script, TILL).codes


@pytest.mark.parametrize("side", ["paymentSet", "refundSet"])
def test_cash_rounding_is_refused(side: str) -> None:
    """2.4: which account the difference belongs to is not certain."""

    def script(made: ShopOrder) -> None:
        made.add(MUG)
        made.place()
        made.pay("cash")
        none = made.bag(0)
        made.extra["totalCashRoundingAdjustment"] = {"paymentSet": none, "refundSet": none, side: made.bag(2)}

    told = Told(script, TILL)
    assert told.codes == {"CASH-ROUNDING"} and told.documents == []


# -- what is not ours, or not euros -----------------------------------------------------------------------------------


def test_test_order_never_reaches_the_books() -> None:
    def basket(made: ShopOrder) -> None:
        made.extra["test"] = True
        made.add(MUG)

    told = Told(paid(basket))
    assert told.plan.exclusion is not None and told.plan.exclusion.code == "TEST" and told.plan.actions == ()


def test_zero_total_with_a_shipment_is_no_document() -> None:
    """A free sample that was sent: a tax point, and nothing to tax."""
    made = order(agreement(1, T0, sale(1, 0, {"19": 0})))
    result = plan(facts_of(made), Books(), [SHOP], NOW)
    assert result.exclusion is not None and result.exclusion.code == "ZERO"


@pytest.mark.parametrize("terms", [("EUR", "CHF", 943), ("CHF", "CHF", 1000), ("EUR", "EUR", 1001)])
def test_5_26_other_money_than_euros_is_refused_both_ways(terms: tuple[str, str, int]) -> None:
    """5.26, 2.4: nothing is posted, no line, no credit note, whatever currency the buyer saw."""

    def script(made: ShopOrder) -> None:
        made.money_terms = terms
        bought(made)
        made.refund([(made.lines[0], 1)])
        made.emit("refunds/create")

    told = Told(script)
    assert "CURRENCY" in told.codes and told.plan.actions == ()


def test_overpaid_by_a_cent_is_listed_and_never_rounded_away() -> None:
    """5.31."""
    made = order(mug(), payments=(payment(9, 1191, at(1)),))
    result = plan(facts_of(made), Books(), [SHOP], NOW)
    assert {item.code for item in result.attention} == {"OVERPAID"} and not any(i.booking for i in result.actions)
