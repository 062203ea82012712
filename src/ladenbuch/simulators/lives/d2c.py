"""A normal German direct-to-consumer shop: what its orders are, in ten-thousandths, told soberly.

Most lives are those of `domestic`, `corrections` and `wide` in the shares a shop has them; here are the ones only such
a shop makes often. The seller is the one `generate` describes. What stays a question is what no merchant decides
beforehand: a chargeback that is lost, francs, goods exchanged across tax rates, a shop that is set up wrongly.
Transfers are matched in sevdesk by the bank's own lines, which no simulator writes: a mix for plans, not for the stage.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ladenbuch.simulators.lives.domestic import DOMESTIC
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GOODS, Product, address
from ladenbuch.simulators.lives.stage import (
    DAY,
    HOUR,
    MINUTE,
    Added,
    Situation,
    asked,
    basket,
    bought,
    card,
    document,
    fill,
    maybe_shipped,
    ordered,
    paid_now,
    parcel,
    pick,
    returned,
    row,
    shipped,
)
from ladenbuch.simulators.lives.wide import OSS, WIDE, abroad

#: How often a shop has them, per ten thousand orders; the rest are plain orders by card or PayPal.
SHARES = {
    # what is bought, and how it is paid
    "card_paid_mixed": 700, "split_shipping_tax": 350, "line_discount": 200, "manual_discount": 60,
    "automatic_percentage": 250, "odd_quantities": 60, "free_shipping": 450, "shipping_discounted": 120,
    "no_shipping_line": 60, "large": 20, "very_large": 2, "zero_rated": 4, "net_prices": 4, "tip": 20,
    "additional_fee": 15, "captured_at_shipping": 650, "captured_before_shipping": 120, "pending_then_paid": 350,
    "failed_then_paid": 120, "two_gateways": 15, "instalments": 4, "vorkasse_paid": 450, "vorkasse_in_parts": 10,
    "cash_on_delivery": 15, "shipped_in_parts": 70, "all_discounted_shipping_paid": 12, "no_email": 15,
    "billing_elsewhere": 220, "no_billing_address": 20, "first_name_only": 15, "company_name": 150,
    # what does not come to a document, or not yet
    "authorised_open": 25, "pending_open": 20, "vorkasse_open": 80, "cancelled_unpaid": 110, "authorised_voided": 30,
    "authorised_expired": 8, "zero_total": 15, "test_order": 8, "pos": 20,
    # what happens afterwards
    "edit_line_added": 25, "edit_line_removed": 25, "edit_quantity": 20, "edit_up_after_invoice": 20,
    "edit_up_shipped": 6, "edit_up_undone": 4, "edit_down_after_invoice": 12, "edit_down_unpaid": 4, "upsell": 30,
    "refund_partial": 180, "refund_full": 180, "refund_amount_only": 60, "refund_shipping": 25, "refund_twice": 20,
    "refund_same_day": 4, "refund_then_amount": 6, "refund_pending": 12, "refund_failed": 4, "refund_with_fee": 25,
    "refund_over_both": 4, "return_no_refund": 40, "return_then_refund": 130, "exchange": 30,
    "cancel_after_payment": 12, "cancel_refunded": 120, "cancel_unpaid_shipped": 6, "chargeback_open": 6,
    "chargeback_won": 5,
    # gift cards and store credit
    "gift_card_sold": 25, "gift_card_returned": 2, "gift_card_unpaid": 2, "gift_card_with_goods": 8,
    "gift_card_by_credit": 2, "gift_card_captured_late": 1, "gift_card_and_goods_back": 2, "paid_with_gift_card": 45,
    "paid_with_store_credit": 8, "refund_store_credit": 10, "refund_over_two_ways": 6,
    # abroad, and companies
    "oss_at": 170, "oss_nl": 40, "oss_fr": 30, "export_ch": 10, "export_us": 2, "business_card": 30,
    "business_terms": 6, "eu_business": 4,
    # what a person is asked about
    "chargeback_lost": 8, "foreign_money": 8, "overpaid": 4, "shipping_other_rate": 4, "unknown_gateway": 2,
    "wrong_rate": 2, "untaxed_line": 2, "gift_card_unclear": 1, "gift_card_by_bank": 2,
}  # fmt: skip


def present(order: ShopOrder) -> None:
    """A present from a basket of some size on: listed, and free."""
    fill(order, (190,), 3)
    known = {line.product.sku for line in order.lines}
    free = order.rng.choice([product for product in GOODS[190] + GOODS[70] if product.sku not in known])
    order.discount("AutomaticDiscount", "Geschenk ab 30 €", percent=100, target=order.add(free))
    parcel(order)
    order.place()
    card(order, order.rng.choice(("shopify_payments", "paypal")))
    maybe_shipped(order)


def out_of_stock(order: ShopOrder) -> Added:
    """One article cannot be sent: its money goes back, then the rest leaves."""
    lines = bought(order, (190, 70))
    order.wait(2 * HOUR, 1 * DAY)
    done = order.refund([(lines[-1], lines[-1].current)], restock="NO_RESTOCK")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    shipped(order)
    return [document(order, "credit_note", returned(done))]


def smaller_before_capture(order: ShopOrder) -> None:
    """Authorised, then something is missing: less is sent, and less is captured."""
    lines = basket(order, (190, 70))
    hold = order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(1 * HOUR, 1 * DAY)
    order.edit(shrink=[(lines[-1], lines[-1].current)])
    order.emit("orders/edited", "orders/updated")
    shipped(order)
    order.wait(5, 10 * MINUTE)
    order.pay("klarna", kind="CAPTURE", parent=hold)
    paid_now(order)


def sent_back(order: ShopOrder, gateway: str) -> Added:
    """Some of it comes back, and its money goes where it came from."""
    lines = basket(order, (190, 70))
    waiting = order.pay(gateway, status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * HOUR, 2 * DAY)
    order.pay(gateway, parent=waiting)
    paid_now(order)
    shipped(order)
    order.wait(4 * DAY, 12 * DAY)
    done = order.refund([(lines[0], 1)], gateway=gateway)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def goodwill(order: ShopOrder) -> Added:
    """A return, and something on top for the trouble: at the rates of what came back (R4)."""
    lines = bought(order, (190, 70))
    shipped(order)
    order.wait(3 * DAY, 9 * DAY)
    line = max((line for line in lines if line.product.rate == 190), key=lambda one: one.current)
    extra = min(300, line.kept // 3)
    done = order.refund([(line, 1)], adjust=extra)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    left = order.first[190] - returned(done)[190]
    rates = {190: returned(done)[190] + min(extra, left), 70: max(0, extra - left)}
    return [document(order, "credit_note", rates)]


def kept_back(order: ShopOrder) -> Added:
    """Used goods come back, and less than their price is repaid: only the money counts (R4)."""
    lines = bought(order, (190, 70))
    shipped(order)
    order.wait(5 * DAY, 12 * DAY)
    line = max(lines, key=lambda one: one.unit)
    less = line.unit // 4
    done = order.refund([(line, 1)], adjust=-less)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    rates = {rate: cents - less for rate, cents in returned(done).items() if cents}
    return [document(order, "credit_note", rates)]


def all_back_as_an_amount(order: ShopOrder) -> Added:
    """The staff types the whole amount instead of the lines."""
    bought(order, (190, 70))
    order.wait(1 * HOUR, 5 * DAY)
    order.refund(adjust=order.claim())
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", dict(order.first))]


def refunded_days_later(order: ShopOrder) -> Added:
    """The provider takes some days to give the money back: dated by its arrival (R3)."""
    lines = bought(order, (190, 70))
    shipped(order)
    order.wait(2 * DAY, 6 * DAY)
    done = order.refund([(lines[-1], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 5 * DAY)
    order.settle(order.payments[-1], "SUCCESS")
    order.emit("order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def captured_in_parts(order: ShopOrder) -> None:
    """Two parcels, each captured when it leaves; one invoice with the first (3.1)."""
    lines = basket(order, (190, 70))
    hold = order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 2 * DAY)
    order.ship([(lines[0], lines[0].current)])
    order.pay("klarna", order.claim() // 2, kind="CAPTURE", parent=hold)
    order.emit("fulfillments/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 3 * DAY)
    order.ship([(line, line.current) for line in lines[1:]])
    order.pay("klarna", kind="CAPTURE", parent=hold)
    order.emit("fulfillments/create", "orders/fulfilled", "order_transactions/create", "orders/paid", "orders/updated")


def transferred_twice(order: ShopOrder) -> None:
    """Somebody transfers twice, and gets the second back: no document is about it."""
    basket(order)
    waiting = order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 3 * DAY)
    order.pay("bank_deposit", parent=waiting)
    paid_now(order)
    shipped(order)
    order.wait(1 * HOUR, 2 * DAY)
    order.pay("bank_deposit", order.claim(), parent=waiting)
    paid_now(order)
    order.wait(1 * HOUR, 2 * DAY)
    order.refund(cents=order.claim(), gateway="bank_deposit")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")


def express_added(order: ShopOrder) -> Added:
    """The buyer wants it faster, and pays for it afterwards: a supplementary invoice over the shipping."""
    bought(order)
    order.wait(10 * MINUTE, 5 * HOUR)
    line = order.ship_by("Express-Zuschlag", 890, (190,))
    done = order.agree("OrderEditAgreement", "ORDER_EDIT", [order.sell_shipping(line)])
    order.edited = True
    order.emit("orders/edited", "orders/updated")
    order.wait(5 * MINUTE, 2 * HOUR)
    order.pay("shopify_payments")
    paid_now(order)
    return [document(order, "supplementary", returned(done, 1))]


def exchanged(order: ShopOrder, price: int) -> Added:
    """A candle for another at `price`: the difference is paid or given back (1.4)."""
    first = order.add(Product("Kerze mittel", "KERZ-20", 2400, 190, number=40))
    parcel(order)
    order.place()
    card(order)
    shipped(order)
    order.wait(3 * DAY, 9 * DAY)
    done = order.give_back([(first, 1)], [(Product("Kerze, andere Größe", "KERZ-21", price, 190, number=41), 1)])
    order.extra["returnStatus"] = "RETURNED"
    order.emit("returns/approve", "orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    if price > 2400:
        order.pay("shopify_payments")
        paid_now(order)
        return [document(order, "supplementary", returned(done, 1))]
    order.refund(cents=2400 - price)
    order.emit("refunds/create", "order_transactions/create", "returns/close", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def exchanged_across_rates(order: ShopOrder) -> None:
    """A book for a candle of the same price: the value moves from one rate to another."""
    book = order.add(pick(order, 70))
    order.ship_by("DHL Paket", 490, (70,))
    order.place()
    card(order)
    shipped(order)
    order.wait(3 * DAY, 9 * DAY)
    order.give_back([(book, 1)], [(Product("Kerze", "KERZ-22", book.unit, 190, number=42), 1)])
    order.extra["returnStatus"] = "RETURNED"
    order.emit("returns/approve", "orders/edited", "orders/updated")


def mixed_to_austria(order: ShopOrder) -> None:
    """Goods and a book to Austria: 20 and 10 %."""
    order.rule = OSS
    order.billing = order.delivery = address(order.rng, "AT")
    order.add(pick(order, 190), rates=(200,))
    order.add(pick(order, 70), rates=(100,))
    order.ship_by("DHL Paket International", 1290, (200,))
    order.place()
    card(order)


def sent_back_from_abroad(order: ShopOrder) -> Added:
    """An Austrian sends one piece back: the same rule and rate (5.17)."""
    abroad(order, place="AT", rate=200)
    shipped(order)
    order.wait(5 * DAY, 14 * DAY)
    done = order.refund([(order.lines[0], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def _known(name: str, weight: int) -> Situation:
    table = {situation.name: situation for situation in (*DOMESTIC, *WIDE)}
    return replace(table[name], weight=weight)


OWN: tuple[Situation, ...] = (
    row("present", present, 250),
    row("out_of_stock", out_of_stock, 40),
    row("smaller_before_capture", smaller_before_capture, 25),
    row("sent_back_klarna", partial(sent_back, gateway="klarna"), 70, longest=18 * DAY),
    row("sent_back_paypal", partial(sent_back, gateway="paypal"), 60, longest=18 * DAY),
    row("sent_back_vorkasse", partial(sent_back, gateway="bank_deposit"), 15, longest=18 * DAY),
    row("goodwill", goodwill, 10),
    row("kept_back", kept_back, 25, longest=16 * DAY),
    row("all_back_as_an_amount", all_back_as_an_amount, 15),
    row("refunded_days_later", refunded_days_later, 60, longest=16 * DAY),
    row("captured_in_parts", captured_in_parts, 30),
    row("transferred_twice", transferred_twice, 4),
    row("express_added", express_added, 8),
    row("exchanged_dearer", partial(exchanged, price=3100), 12),
    row("exchanged_cheaper", partial(exchanged, price=1990), 12),
    asked("exchanged_across_rates", "EXCHANGE-RATES", exchanged_across_rates, 4, invoiced=True),
    row("oss_at_mixed", mixed_to_austria, 25),
    row("oss_be", partial(abroad, place="BE", rate=210), 20),
    row("oss_it", partial(abroad, place="IT", rate=220), 15),
    row("oss_pl", partial(abroad, place="PL", rate=230), 8),
    row("oss_dk", partial(abroad, place="DK", rate=250), 8),
    row("sent_back_from_abroad", sent_back_from_abroad, 20, longest=20 * DAY),
)  # fmt: skip

_LISTED = (*(_known(name, weight) for name, weight in SHARES.items()), *OWN)
#: The whole mix; the first row takes what the others leave.
WHOLE = 10_000
D2C: tuple[Situation, ...] = (_known("card_paid", WHOLE - sum(item.weight for item in _LISTED)), *_LISTED)

__all__ = ["D2C", "WHOLE"]
