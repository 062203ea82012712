"""What happens to an order after its first document: refunds, returns, edits, cancellations, disputes.

A script returns the documents that follow the first one (bookkeeping 1.4, sections 2 and 5).
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from ladenbuch.simulators.lives.order import Line, ShopOrder
from ladenbuch.simulators.lives.people import Product
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
    ordered,
    over_rates,
    paid_now,
    parcel,
    pick,
    returned,
    row,
    shipped,
)


def refunding(order: ShopOrder) -> list[Line]:
    """A paid and shipped mixed order, some days before its refund."""
    lines = bought(order, (190, 70))
    shipped(order)
    order.wait(1 * DAY, 4 * DAY)
    return lines


def refund_partial(order: ShopOrder) -> Added:
    """One credit note at the refund, original rates (R4)."""
    lines = refunding(order)
    done = order.refund([(lines[-1], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def refund_full(order: ShopOrder) -> Added:
    """Full refund: one credit note over the whole invoice."""
    lines = refunding(order)
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def refund_amount_only(order: ShopOrder) -> Added:
    """Amount only: spread over the remaining gross per rate (P11, G6)."""
    refunding(order)
    cents = min(1000, order.claim() // 2)
    order.refund(adjust=cents)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    spread_out = over_rates(cents, dict(order.first))
    return [document(order, "credit_note", spread_out)]


def refund_shipping(order: ShopOrder) -> Added:
    """Shipping refunded."""
    refunding(order)
    done = order.refund(shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def refund_twice(order: ShopOrder) -> Added:
    """One credit note per refund."""
    lines = refunding(order)
    line = max(lines, key=lambda one: one.current)
    first = order.refund([(line, 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    second = order.refund(shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done)) for done in (first, second)]


def refund_pending(order: ShopOrder) -> None:
    """Refund pending: the credit note waits for the money (R3)."""
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")


def refund_failed(order: ShopOrder) -> None:
    """Refund failed: no credit note ever, and somebody must refund again (5.3)."""
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 2 * DAY)
    order.settle(order.payments[-1], "FAILURE")
    order.emit("orders/updated")


def refund_with_fee(order: ShopOrder) -> Added:
    """A fee was kept: credit note over the money returned only (R4, G8)."""
    lines = refunding(order)
    done = order.refund([(lines[0], 1)], fee=100)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    goods = {rate: cents for rate, cents in returned(done).items() if cents > 0}
    kept = over_rates(sum(goods.values()) - 100, goods)
    return [document(order, "credit_note", kept)]


def refund_two_rates_with_fee(order: ShopOrder) -> Added:
    """Goods of two rates come back and a fee is kept: it takes of both, in proportion (R4, 3.3 no. 10)."""
    lines = refunding(order)
    done = order.refund([(lines[0], 1), (lines[-1], 1)], fee=150)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    goods = {rate: cents for rate, cents in returned(done).items() if cents > 0}
    return [document(order, "credit_note", over_rates(sum(goods.values()) - 150, goods))]


def return_shipping_fee(order: ShopOrder) -> Added:
    """The fee stands in the return, the money in its refund: one credit note over the money (2.1, R4)."""
    lines = refunding(order)
    back = order.give_back([(lines[0], 1)], fee=120)
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")
    order.wait(2 * DAY, 5 * DAY)
    goods = {rate: cents for rate, cents in returned(back).items() if cents > 0}
    order.refund(cents=sum(goods.values()) - 120, of=back)
    order.extra["returnStatus"] = "RETURNED"
    order.emit("refunds/create", "order_transactions/create", "returns/close", "orders/updated")
    return [document(order, "credit_note", over_rates(sum(goods.values()) - 120, goods))]


def return_no_refund(order: ShopOrder) -> None:
    """Returned, not refunded: nothing falls before the money (R3)."""
    lines = refunding(order)
    order.give_back([(lines[0], 1)])
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")


def edit_up(order: ShopOrder) -> Added:
    """Edit after the tax point: supplementary invoice (R3)."""
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    done = order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    return [document(order, "supplementary", returned(done, 1))]


def edit_down(order: ShopOrder) -> None:
    """Reduced after payment: waits for the refund (R3)."""
    lines = bought(order, (190, 70))
    order.wait(2 * HOUR, 1 * DAY)
    order.edit(shrink=[(lines[-1], 1)])
    order.emit("orders/edited", "orders/updated")


def exchange(order: ShopOrder) -> None:
    """Equal gross per rate, no money: no document, noted in the certificate (1.4, 5.28)."""
    lines = refunding(order)
    twin = next(line for line in lines if line.product.rate == 190)
    fresh = Product("Becher „Robbe“", "BECH-09", twin.unit, 190, number=19)
    order.give_back([(twin, 1)], [(fresh, 1)])
    order.extra["returnStatus"] = "RETURNED"
    order.emit("returns/approve", "orders/edited", "orders/updated")


def upsell(order: ShopOrder) -> Added:
    """Added and paid within minutes of the order: a supplementary invoice (R3)."""
    bought(order)
    order.wait(1 * MINUTE, 30 * MINUTE)
    done = order.edit(more=[(pick(order, 190), 1)])
    order.pay("shopify_payments")
    order.emit("orders/edited", "order_transactions/create", "orders/updated")
    return [document(order, "supplementary", returned(done, 1))]


def cancel_after_payment(order: ShopOrder) -> None:
    """Cancelled, money not returned yet: credit note at the refund (1.4)."""
    bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")


def cancel_refunded(order: ShopOrder) -> Added:
    """Cancelled after payment: credit note at the refund (1.4)."""
    lines = bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("INVENTORY")
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping, restock="CANCEL")
    order.emit("orders/cancelled", "refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def chargeback(order: ShopOrder, *, ends: str | None) -> None:
    """No credit note for a chargeback; money lines on the gateway account (1.4)."""
    bought(order)
    shipped(order)
    order.wait(1 * DAY, 3 * DAY)
    node = {"id": f"gid://shopify/ShopifyPaymentsDispute/{order.new_id()}", "initiatedAs": "CHARGEBACK"}
    order.disputes = [{**node, "status": "NEEDS_RESPONSE"}]
    order.emit("disputes/create", "orders/updated")
    if ends is not None:
        order.wait(1 * DAY, 2 * DAY)
        order.disputes = [{**node, "status": ends}]
        order.emit("disputes/update", "orders/updated")


def refund_same_day(order: ShopOrder) -> Added:
    """Two equal refunds on one day: two credit notes (5.6)."""
    line = order.add(pick(order, 190), 2)
    order.add(pick(order, 70))
    parcel(order)
    order.place()
    card(order)
    shipped(order)
    notes = []
    for _ in range(2):
        order.wait(1 * HOUR, 3 * HOUR)
        done = order.refund([(line, 1)])
        order.emit("refunds/create", "order_transactions/create", "orders/updated")
        notes.append(document(order, "credit_note", returned(done)))
    return notes


def refund_then_amount(order: ShopOrder) -> Added:
    """An amount after a return: over what is left per rate (G6b)."""
    lines = refunding(order)
    first = order.refund([(lines[0], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 3 * DAY)
    cents = min(700, order.claim() // 2)
    order.refund(adjust=cents)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    left = Counter(order.first)
    left.subtract(returned(first))
    spread_out = over_rates(cents, left)
    return [document(order, "credit_note", rates) for rates in (returned(first), spread_out)]


def refund_over_both(order: ShopOrder) -> Added:
    """All back: a credit note for each invoice (5.19)."""
    lines = bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    more = order.edit(more=[(pick(order, 70), 1)])
    order.pay("shopify_payments")
    order.emit("orders/edited", "order_transactions/create", "orders/updated")
    shipped(order)
    order.wait(1 * DAY, 3 * DAY)
    order.refund([(line, line.current) for line in [*lines, order.lines[-1]]], shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    added = returned(more, 1)
    notes = [document(order, "credit_note", rates) for rates in (dict(order.first), added)]
    return [document(order, "supplementary", added), *notes]


def refund_over_two_ways(order: ShopOrder) -> Added:
    """Gift card and card paid, Shopify splits the refund over both: one credit note (5.21)."""
    lines = basket(order, (190, 70), 3)
    order.pay("gift_card", order.claim() // 2)
    card(order)
    shipped(order)
    order.wait(1 * DAY, 4 * DAY)
    back = [(line, line.current) for line in lines]
    order.refund(back, first=("gift_card", order.claim() // 3), shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", dict(order.first))]


def refund_store_credit(order: ShopOrder) -> Added:
    """Credit note; what the shop owes its customers rises (5.22)."""
    lines = refunding(order)
    done = order.refund([(lines[0], 1)], gateway="shopify_store_credit")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def return_then_refund(order: ShopOrder) -> Added:
    """Returned in one month, repaid in the next: dated by the money (5.4)."""
    lines = refunding(order)
    done = order.give_back([(lines[0], 1)])
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")
    order.wait(12 * DAY, 30 * DAY)
    order.refund(cents=-sum(gross for _, gross, _ in done.sold))
    order.extra["returnStatus"] = "RETURNED"
    order.emit("refunds/create", "order_transactions/create", "returns/close", "orders/updated")
    return [document(order, "credit_note", returned(done))]


def edit_up_shipped(order: ShopOrder) -> Added:
    """An unpaid addition: invoiced with its shipment (3.1)."""
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    done = order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    shipped(order)
    return [document(order, "supplementary", returned(done, 1))]


def edit_up_undone(order: ShopOrder) -> None:
    """Added and removed again before anything was paid or shipped for it: no document."""
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    order.edit(shrink=[(order.lines[-1], 1)])
    order.emit("orders/edited", "orders/updated")


def on_delivery(order: ShopOrder) -> list[Line]:
    """Shipped and not yet paid."""
    lines = basket(order, (190, 70))
    order.pay("cash_on_delivery", status="PENDING")
    ordered(order, "order_transactions/create")
    shipped(order)
    order.wait(1 * DAY, 3 * DAY)
    return lines


def edit_down_unpaid(order: ShopOrder) -> Added:
    """Unpaid and smaller: cancelled and invoiced anew (R5)."""
    lines = on_delivery(order)
    order.edit(shrink=[(lines[-1], lines[-1].current)])
    order.emit("orders/edited", "orders/updated")
    gone, anew = dict(order.first), dict(order.by_rate())
    return [document(order, "cancellation", gone), document(order, "invoice", anew)]


def cancel_unpaid_shipped(order: ShopOrder) -> Added:
    """Refused at the door: the invoice is cancelled (1.4)."""
    on_delivery(order)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")
    return [document(order, "cancellation", dict(order.first))]


CORRECTIONS: tuple[Situation, ...] = (
    row("refund_partial", refund_partial, 60),
    row("refund_full", refund_full, 30),
    row("refund_amount_only", refund_amount_only, 20),
    row("refund_shipping", refund_shipping),
    row("refund_twice", refund_twice),
    row("refund_same_day", refund_same_day),
    row("refund_then_amount", refund_then_amount),
    row("refund_pending", refund_pending),
    asked("refund_failed", "REFUND-FAILED", refund_failed, invoiced=True),
    row("refund_with_fee", refund_with_fee),
    row("refund_two_rates_with_fee", refund_two_rates_with_fee),
    row("return_shipping_fee", return_shipping_fee),
    row("refund_over_both", refund_over_both),
    row("refund_store_credit", refund_store_credit),
    row("refund_over_two_ways", refund_over_two_ways),
    row("return_no_refund", return_no_refund),
    row("return_then_refund", return_then_refund, longest=42 * DAY),
    row("edit_up_after_invoice", edit_up, 15),
    row("edit_up_shipped", edit_up_shipped),
    row("edit_up_undone", edit_up_undone),
    row("edit_down_after_invoice", edit_down, 15),
    row("edit_down_unpaid", edit_down_unpaid),
    row("exchange", exchange, 15),
    row("upsell", upsell, 15),
    row("cancel_after_payment", cancel_after_payment),
    row("cancel_refunded", cancel_refunded, 15),
    row("cancel_unpaid_shipped", cancel_unpaid_shipped),
    row("chargeback_open", partial(chargeback, ends=None)),
    row("chargeback_won", partial(chargeback, ends="WON")),
    asked("chargeback_lost", "DISPUTE", partial(chargeback, ends="LOST"), invoiced=True),
)  # fmt: skip
