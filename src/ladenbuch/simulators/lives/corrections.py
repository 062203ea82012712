"""What happens to an order after its first document: refunds, returns, edits, cancellations, disputes.

Each is an attention case of the first version. What the complete rule set adds to the first document is returned by the
script as the label's `later` (bookkeeping 1.4, sections 2 and 5).
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
    Situation,
    asked,
    basket,
    bought,
    card,
    document,
    nothing,
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
    lines = refunding(order)
    done = order.refund([(lines[-1], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]  # one credit note at the refund, original rates (R4)


def refund_full(order: ShopOrder) -> Added:
    lines = refunding(order)
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]  # full refund: one credit note over the whole invoice


def refund_amount_only(order: ShopOrder) -> Added:
    refunding(order)
    cents = min(1000, order.claim() // 2)
    order.refund(adjust=cents)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    spread_out = over_rates(cents, dict(order.first))
    return [document(order, "credit_note", spread_out)]  # amount only: spread over the remaining gross per rate (P11, G6)


def refund_shipping(order: ShopOrder) -> Added:
    refunding(order)
    done = order.refund(shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]  # shipping refunded


def refund_twice(order: ShopOrder) -> Added:
    lines = refunding(order)
    line = max(lines, key=lambda one: one.current)
    first = order.refund([(line, 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    second = order.refund(shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    later = document("credit_note", returned(first), "one credit note per refund")
    later["documents"] += document("credit_note", returned(second), "")["documents"]
    return later


def refund_pending(order: ShopOrder) -> Added:
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return []  # refund pending: the credit note waits for the money (R3)


def refund_failed(order: ShopOrder) -> Added:
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 2 * DAY)
    order.settle(order.payments[-1], "FAILURE")
    order.emit("orders/updated")
    return []  # refund failed: no credit note ever; the claim is open again, attention (5.3)


def refund_with_fee(order: ShopOrder) -> Added:
    lines = refunding(order)
    done = order.refund([(lines[0], 1)], fee=100)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    goods = {rate: cents for rate, cents in returned(done).items() if cents > 0}
    kept = over_rates(sum(goods.values()) - 100, goods)
    return [document(order, "credit_note", kept)]  # a fee was kept: credit note over the money returned only (R4, G8)


def return_no_refund(order: ShopOrder) -> Added:
    lines = refunding(order)
    order.give_back([(lines[0], 1)])
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")
    return []  # returned, not refunded: nothing falls before the money (R3)


def edit_up(order: ShopOrder) -> Added:
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    done = order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    return [document(order, "supplementary", returned(done, 1))]  # edit after the tax point: supplementary invoice (R3)


def edit_down(order: ShopOrder) -> Added:
    lines = bought(order, (190, 70))
    order.wait(2 * HOUR, 1 * DAY)
    order.edit(shrink=[(lines[-1], 1)])
    order.emit("orders/edited", "orders/updated")
    return []  # reduced after payment: waits for the refund (R3)


def exchange(order: ShopOrder) -> Added:
    lines = refunding(order)
    twin = next(line for line in lines if line.product.rate == 190)
    fresh = Product("Becher „Robbe“", "BECH-09", twin.unit, 190, number=19)
    order.give_back([(twin, 1)], [(fresh, 1)])
    order.extra["returnStatus"] = "RETURNED"
    order.emit("returns/approve", "orders/edited", "orders/updated")
    return []  # equal gross per rate, no money: no document, noted in the certificate (1.4, 5.28)


def upsell(order: ShopOrder) -> Added:
    bought(order)
    order.wait(1 * MINUTE, 30 * MINUTE)
    done = order.edit(more=[(pick(order, 190), 1)])
    order.pay("shopify_payments")
    order.emit("orders/edited", "order_transactions/create", "orders/updated")
    return [document(order, "supplementary", returned(done, 1))]  # with a grace of 60 minutes: one invoice over both (5.1)


def cancel_after_payment(order: ShopOrder) -> Added:
    bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")
    return []  # cancelled, money not returned yet: credit note at the refund (1.4)


def cancel_refunded(order: ShopOrder) -> Added:
    lines = bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("INVENTORY")
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping, restock="CANCEL")
    order.emit("orders/cancelled", "refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]  # cancelled after payment: credit note at the refund (1.4)


def chargeback(order: ShopOrder, *, ends: str | None) -> Added:
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
    return []  # no credit note for a chargeback; money lines on the gateway account (1.4)


def refund_same_day(order: ShopOrder) -> Added:
    line = order.add(pick(order, 190), 2)
    order.add(pick(order, 70))
    parcel(order)
    order.place()
    card(order)
    shipped(order)
    later = nothing("two equal refunds on one day: two credit notes (5.6)")
    for _ in range(2):
        order.wait(1 * HOUR, 3 * HOUR)
        done = order.refund([(line, 1)])
        order.emit("refunds/create", "order_transactions/create", "orders/updated")
        later["documents"] += document("credit_note", returned(done), "")["documents"]
    return later


def refund_then_amount(order: ShopOrder) -> Added:
    lines = refunding(order)
    first = order.refund([(lines[0], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 3 * DAY)
    cents = min(700, order.claim() // 2)
    order.refund(adjust=cents)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    left = Counter(order.first)
    left.subtract(returned(first))
    later = document("credit_note", returned(first), "an amount after a return: over what is left per rate (G6b)")
    later["documents"] += document("credit_note", over_rates(cents, left), "")["documents"]
    return later


def refund_over_both(order: ShopOrder) -> Added:
    lines = bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    more = order.edit(more=[(pick(order, 70), 1)])
    order.pay("shopify_payments")
    order.emit("orders/edited", "order_transactions/create", "orders/updated")
    shipped(order)
    order.wait(1 * DAY, 3 * DAY)
    order.refund([(line, line.current) for line in [*lines, order.lines[-1]]], shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    later = document("supplementary", returned(more, 1), "all back: a credit note for each invoice (5.19)")
    later["documents"] += document("credit_note", dict(order.first), "")["documents"]
    later["documents"] += document("credit_note", returned(more, 1), "")["documents"]
    return later


def refund_store_credit(order: ShopOrder) -> Added:
    lines = refunding(order)
    done = order.refund([(lines[0], 1)], gateway="shopify_store_credit")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return [document(order, "credit_note", returned(done))]  # credit note; how store credit is booked is asked (5.22)


def return_then_refund(order: ShopOrder) -> Added:
    lines = refunding(order)
    done = order.give_back([(lines[0], 1)])
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")
    order.wait(12 * DAY, 30 * DAY)
    order.refund(cents=-sum(gross for _, gross, _ in done.sold))
    order.extra["returnStatus"] = "RETURNED"
    order.emit("refunds/create", "order_transactions/create", "returns/close", "orders/updated")
    return document(
        "credit_note", returned(done), "returned in one month, repaid in the next: dated by the money (5.4)"
    )


def edit_up_shipped(order: ShopOrder) -> Added:
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    done = order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    shipped(order)
    return [document(order, "supplementary", returned(done, 1))]  # an unpaid addition: invoiced with its shipment (3.1)


def edit_up_undone(order: ShopOrder) -> Added:
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    order.edit(shrink=[(order.lines[-1], 1)])
    order.emit("orders/edited", "orders/updated")
    return []  # added and removed again before anything was paid or shipped for it: no document


def on_delivery(order: ShopOrder) -> list[Line]:
    """Shipped and not yet paid."""
    lines = basket(order, (190, 70))
    order.pay("cash_on_delivery", status="PENDING")
    ordered(order, "order_transactions/create")
    shipped(order)
    order.wait(1 * DAY, 3 * DAY)
    return lines


def edit_down_unpaid(order: ShopOrder) -> Added:
    lines = on_delivery(order)
    order.edit(shrink=[(lines[-1], lines[-1].current)])
    order.emit("orders/edited", "orders/updated")
    later = document("cancellation", dict(order.first), "unpaid and smaller: cancelled and invoiced anew (R5)")
    later["documents"] += document("invoice", dict(order.by_rate()), "")["documents"]
    return later


def cancel_unpaid_shipped(order: ShopOrder) -> Added:
    on_delivery(order)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")
    return [document(order, "cancellation", dict(order.first))]  # refused at the door: the invoice is cancelled (1.4)


_after = partial(row, invoiced=True)
CORRECTIONS: tuple[Situation, ...] = (
    _after("refund_partial", "REFUND", refund_partial, 60),
    _after("refund_full", "REFUND", refund_full, 30),
    _after("refund_amount_only", "REFUND", refund_amount_only, 20),
    _after("refund_shipping", "REFUND", refund_shipping),
    _after("refund_twice", "REFUND", refund_twice),
    _after("refund_same_day", "REFUND", refund_same_day),
    _after("refund_then_amount", "REFUND", refund_then_amount),
    _after("refund_pending", "REFUND", refund_pending),
    _after("refund_failed", "REFUND", refund_failed),
    _after("refund_with_fee", "REFUND", refund_with_fee),
    _after("refund_over_both", "REFUND", refund_over_both, also=("EDIT", "OVERPAID")),
    _after("refund_store_credit", "REFUND", refund_store_credit, also=("GATEWAY-UNMAPPED",),
           complete=asked("GATEWAY-UNMAPPED")),
    _after("return_no_refund", "RETURN", return_no_refund, also=("REFUND", "OVERPAID")),
    _after("return_then_refund", "RETURN", return_then_refund, longest=42 * DAY, also=("REFUND", "OVERPAID")),
    _after("edit_up_after_invoice", "EDIT", edit_up, 15, also=("OVERPAID",)),
    _after("edit_up_shipped", "EDIT", edit_up_shipped),
    _after("edit_up_undone", "EDIT", edit_up_undone, also=("REFUND",)),
    _after("edit_down_after_invoice", "EDIT", edit_down, 15, also=("REFUND", "OVERPAID")),
    _after("edit_down_unpaid", "EDIT", edit_down_unpaid, also=("REFUND",)),
    _after("exchange", "RETURN", exchange, 15, also=("REFUND", "EDIT")),
    _after("upsell", "EDIT", upsell, 15, also=("OVERPAID",)),
    _after("cancel_after_payment", "CANCELLED", cancel_after_payment, also=("OVERPAID",)),
    _after("cancel_refunded", "CANCELLED", cancel_refunded, 15, also=("REFUND",)),
    _after("cancel_unpaid_shipped", "CANCELLED", cancel_unpaid_shipped),
    _after("chargeback_open", "DISPUTE", partial(chargeback, ends=None)),
    _after("chargeback_won", "DISPUTE", partial(chargeback, ends="WON")),
    _after("chargeback_lost", "DISPUTE", partial(chargeback, ends="LOST"), complete=asked("DISPUTE")),
)  # fmt: skip
