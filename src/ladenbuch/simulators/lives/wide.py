"""Orders of the wide world: refunds, edits after the invoice, foreign places, business buyers, odd money.

Each is an attention case of this version. What the complete rule set would add to the first document is returned by the
script as the label's `later` (bookkeeping 1.4, sections 2 and 5).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ladenbuch.simulators.lives.arithmetic import contained, iso, rate_key, spread
from ladenbuch.simulators.lives.order import Agreed, Line, ShopOrder
from ladenbuch.simulators.lives.people import GIFT_CARD, GOODS, Product, address
from ladenbuch.simulators.lives.stage import (
    DAY,
    HOUR,
    MINUTE,
    Later,
    Situation,
    basket,
    bought,
    card,
    fill,
    ordered,
    paid_now,
    parcel,
    pick,
    shipped,
)


def nothing(note: str) -> Later:
    """The complete rule set adds no document."""
    return {"documents": [], "note": note}


def document(kind: str, by_rate: dict[int, int], note: str) -> Later:
    """One document the complete rule set adds; gross cents per rate, positive."""
    rates = {rate_key(rate): cents for rate, cents in sorted(by_rate.items(), reverse=True) if cents}
    return {"documents": [{"kind": kind, "gross": sum(rates.values()), "by_rate": rates}], "note": note}


def returned(agreed: Agreed, sign: int = -1) -> dict[int, int]:
    """Gross per rate of an agreement, as a positive number for returns."""
    total: dict[int, int] = {}
    for _, _, parts in agreed.sold:
        for rate, cents in parts.items():
            total[rate] = total.get(rate, 0) + sign * cents
    return total


def over_rates(cents: int, weights: dict[int, int]) -> dict[int, int]:
    """Money spread over rates in proportion."""
    rates = sorted((rate for rate, weight in weights.items() if weight > 0), reverse=True)
    return dict(zip(rates, spread(cents, [weights[rate] for rate in rates]), strict=True))


def refunding(order: ShopOrder) -> list[Line]:
    """A paid and shipped mixed order, some days before its refund."""
    lines = bought(order, (190, 70))
    shipped(order)
    order.wait(1 * DAY, 4 * DAY)
    return lines


def refund_partial(order: ShopOrder) -> Later:
    lines = refunding(order)
    done = order.refund([(lines[-1], 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return document("credit_note", returned(done), "one credit note at the refund, original rates (R4)")


def refund_full(order: ShopOrder) -> Later:
    lines = refunding(order)
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return document("credit_note", returned(done), "full refund: one credit note over the whole invoice")


def refund_amount_only(order: ShopOrder) -> Later:
    refunding(order)
    cents = min(1000, order.claim() // 2)
    order.refund(adjust=cents)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    spread_out = over_rates(cents, dict(order.first))
    return document("credit_note", spread_out, "amount only: spread over the remaining gross per rate (P11, G6)")


def refund_shipping(order: ShopOrder) -> Later:
    refunding(order)
    done = order.refund(shipping=order.shippings[0].discounted)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return document("credit_note", returned(done), "shipping refunded")


def refund_twice(order: ShopOrder) -> Later:
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


def refund_pending(order: ShopOrder) -> Later:
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    return nothing("refund pending: the credit note waits for the money (R3)")


def refund_failed(order: ShopOrder) -> Later:
    lines = refunding(order)
    order.refund([(lines[0], 1)], status="PENDING")
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    order.wait(1 * DAY, 2 * DAY)
    order.settle(order.payments[-1], "FAILURE")
    order.emit("orders/updated")
    return nothing("refund failed: no credit note ever; the claim is open again, attention (5.3)")


def refund_with_fee(order: ShopOrder) -> Later:
    lines = refunding(order)
    done = order.refund([(lines[0], 1)], fee=100)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    goods = {rate: cents for rate, cents in returned(done).items() if cents > 0}
    kept = over_rates(sum(goods.values()) - 100, goods)
    return document("credit_note", kept, "a fee was kept: credit note over the money returned only (R4, G8)")


def return_no_refund(order: ShopOrder) -> Later:
    lines = refunding(order)
    order.give_back([(lines[0], 1)])
    order.extra["returnStatus"] = "IN_PROGRESS"
    order.emit("returns/approve", "orders/updated")
    return nothing("returned, not refunded: nothing falls before the money (R3)")


def edit_up(order: ShopOrder) -> Later:
    bought(order)
    order.wait(2 * HOUR, 1 * DAY)
    done = order.edit(more=[(pick(order, 70), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(1 * HOUR, 1 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    return document("supplementary", returned(done, 1), "edit after the tax point: supplementary invoice (R3)")


def edit_down(order: ShopOrder) -> Later:
    lines = bought(order, (190, 70))
    order.wait(2 * HOUR, 1 * DAY)
    order.edit(shrink=[(lines[-1], 1)])
    order.emit("orders/edited", "orders/updated")
    return nothing("reduced after payment: waits for the refund (R3)")


def exchange(order: ShopOrder) -> Later:
    lines = refunding(order)
    twin = next(line for line in lines if line.product.rate == 190)
    fresh = Product("Becher „Robbe“", "BECH-09", twin.unit, 190, number=19)
    order.give_back([(twin, 1)], [(fresh, 1)])
    order.extra["returnStatus"] = "RETURNED"
    order.emit("returns/approve", "orders/edited", "orders/updated")
    return nothing("equal gross per rate, no money: no document, noted in the certificate (1.4, 5.28)")


def upsell(order: ShopOrder) -> Later:
    bought(order)
    order.wait(1 * MINUTE, 30 * MINUTE)
    done = order.edit(more=[(pick(order, 190), 1)])
    order.pay("shopify_payments")
    order.emit("orders/edited", "order_transactions/create", "orders/updated")
    return document("supplementary", returned(done, 1), "with a grace of 60 minutes: one invoice over both (5.1)")


def cancel_after_payment(order: ShopOrder) -> Later:
    bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")
    return nothing("cancelled, money not returned yet: credit note at the refund (1.4)")


def cancel_refunded(order: ShopOrder) -> Later:
    lines = bought(order)
    order.wait(2 * HOUR, 2 * DAY)
    order.cancel("INVENTORY")
    shipping = order.shippings[0].discounted
    done = order.refund([(line, line.current) for line in lines], shipping=shipping, restock="CANCEL")
    order.emit("orders/cancelled", "refunds/create", "order_transactions/create", "orders/updated")
    return document("credit_note", returned(done), "cancelled after payment: credit note at the refund (1.4)")


def chargeback(order: ShopOrder, *, ends: str | None) -> Later:
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
    return nothing("no credit note for a chargeback; money lines on the gateway account (1.4)")


def abroad(order: ShopOrder, *, place: str, rate: int | None, kind: str) -> Later:
    """Shipped to another VAT territory at its rate, or untaxed."""
    order.billing = order.delivery = address(order.rng, place)
    rates = () if rate is None else (rate,)
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, rates=rates, price=product.price if rate else product.price - contained(product.price, 190))
    if place == "FR":
        order.add(GOODS[190][1], rates=rates)  # 9.99 at 20 %: an exact half cent (G7)
    order.ship_by("DHL Paket International", 1290, rates)
    order.place()
    card(order)
    return document(kind, dict(order.by_rate()), f"supply to {place}")


def eu_business(order: ShopOrder) -> Later:
    company(order, "FR", "FR40303265045")
    order.extra["taxExempt"] = True
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, 5, rates=())
    order.ship_by("Spedition", 4900, ())
    order.place()
    card(order)
    return document("invoice", dict(order.by_rate()), "intra-Community supply, rule 3, at fulfilment only (3.1)")


def company(order: ShopOrder, place: str = "DE", vat_id: str | None = "DE136695976") -> None:
    """A business buyer with its location."""
    home = address(order.rng, place, "Café Größenwahn UG")
    order.billing = order.delivery = home
    contact = None if order.customer is None else {"id": "gid://shopify/CompanyContact/7700000000001",
                                                   "customer": {"id": order.customer["id"]}}  # fmt: skip
    order.extra["purchasingEntity"] = {
        "__typename": "PurchasingCompany",
        "company": {"id": "gid://shopify/Company/7100000000001", "name": "Café Größenwahn UG", "externalId": None},
        "contact": contact,
        "location": {
            "id": "gid://shopify/CompanyLocation/7200000000001", "name": "Filiale", "externalId": None,
            "billingAddress": {
                "companyName": "Café Größenwahn UG", "recipient": home["name"], "address1": home["address1"],
                "address2": None, "zip": home["zip"], "city": home["city"], "zoneCode": home["provinceCode"],
                "countryCode": home["countryCodeV2"], "phone": None,
            },
            "taxSettings": {"taxRegistrationId": vat_id, "taxExempt": place != "DE", "taxExemptions": []},
        },
    }  # fmt: skip


def terms(order: ShopOrder, total: int) -> None:
    """Net 14 days from now."""
    balance = order.bag(total)["shopMoney"]
    order.extra["paymentTerms"] = {
        "id": f"gid://shopify/PaymentTerms/{order.new_id()}", "paymentTermsName": "Netto 14", "paymentTermsType": "NET",
        "dueInDays": 14, "overdue": False,
        "paymentSchedules": [{
            "id": f"gid://shopify/PaymentSchedule/{order.new_id()}", "issuedAt": iso(order.now),
            "dueAt": iso(order.now + 14 * DAY), "completedAt": None, "balanceDue": balance, "totalBalance": balance,
        }],
    }  # fmt: skip


def business_terms(order: ShopOrder) -> Later:
    company(order)
    order.extra["poNumber"] = "PO-2026-118"
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)
    return document("invoice", dict(order.first), "invoice at fulfilment with due date, stays open (1.4)")


def consumer_terms(order: ShopOrder) -> Later:
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)
    return document("invoice", dict(order.first), "invoice at fulfilment with due date")


def business_card(order: ShopOrder) -> Later:
    company(order)
    bought(order, (190, 70))
    return document("invoice", dict(order.first), "invoice to the company with PO and VAT id")


def gift_card_sold(order: ShopOrder) -> Later:
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    order.delivery = None
    order.place()
    card(order)
    return nothing("multi-purpose: liability, no revenue document; single-purpose: taxed now (2.5)")


def paid_with(order: ShopOrder, *, gateway: str) -> Later:
    """Part of the price comes from a gift card or store credit: a payment, not a discount."""
    basket(order)
    order.pay(gateway, order.claim() // 2)
    order.pay("shopify_payments")
    ordered(order, "order_transactions/create", "orders/paid")
    return nothing("a payment from the liability account; the invoice stays full (2.5)")


def unknown_gateway(order: ShopOrder) -> Later:
    basket(order)
    order.pay("mollie")
    ordered(order, "order_transactions/create", "orders/paid")
    return nothing("booked once somebody decides how this gateway is booked (4.2)")


def tip(order: ShopOrder) -> Later:
    fill(order)
    parcel(order)
    order.add(Product("Trinkgeld", "", 300, 0, ships=False), rates=(), kind="TIP")
    order.place()
    card(order)
    return document("invoice", {190: order.claim()}, "a tip in a web shop is consideration at the goods' rate (2.5)")


def duty(order: ShopOrder) -> Later:
    order.billing = order.delivery = address(order.rng, "US")
    line = order.add(pick(order, 190), rates=())
    order.ship_by("DHL Paket International", 1990, ())
    number = order.new_id()
    node = {"id": f"gid://shopify/Duty/{number}", "harmonizedSystemCode": "691200", "countryCodeOfOrigin": "DE",
            "price": order.bag(420), "taxLines": []}  # fmt: skip
    line.duties.append(node)
    order.place([(order.sale("DUTY", "ORDER", 1, 420, [], item={"duty": {"id": node["id"]}}), "DUTY", 420, {0: 420})])
    card(order)
    return nothing("export with duties paid by the seller: decided with the export rules")


def additional_fee(order: ShopOrder) -> Later:
    fill(order)
    parcel(order)
    tax = contained(250, 190)
    node = {"id": f"gid://shopify/AdditionalFee/{order.new_id()}", "name": "Geschenkverpackung",
            "price": order.bag(250), "taxLines": [order.tax_line(190, tax)]}  # fmt: skip
    order.fees.append(node)
    fee = order.sale("ADDITIONAL_FEE", "ORDER", 1, 250, [(190, tax)],
                     item={"additionalFee": {"id": node["id"], "name": node["name"]}})  # fmt: skip
    order.place([(fee, "ADDITIONAL_FEE", 250, {190: 250})])
    card(order)
    return document("invoice", dict(order.first), "the fee is a position at its own rate")


def cash_rounding(order: ShopOrder) -> Later:
    order.extra["totalCashRoundingAdjustment"] = {"paymentSet": order.bag(2), "refundSet": order.bag(0)}
    basket(order)
    order.pay("cash_on_delivery")
    order.payments[-1]["amountRoundingSet"] = order.bag(2)
    ordered(order, "order_transactions/create", "orders/paid")
    return nothing("rounded for cash: the difference goes to a rounding account")


def foreign_money(order: ShopOrder) -> Later:
    order.money_terms = ("EUR", "CHF", 943)
    bought(order)
    return nothing("the buyer paid in CHF: refused in v1 (5.26)")


def channel_liable(order: ShopOrder) -> Later:
    for line in fill(order):
        line.channel_liable = True
    parcel(order)
    order.place()
    card(order)
    return nothing("the channel owes the tax: no own VAT is booked")


def estimated(order: ShopOrder) -> Later:
    order.extra["estimatedTaxes"] = True
    bought(order)
    return document("invoice", dict(order.first), "once Shopify's taxes are final")


def ship_from_poland(order: ShopOrder) -> Later:
    basket(order)
    order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    shipped(order, "PL")
    return nothing("goods left from Poland: another place of supply (3.3 no. 13)")


def overpaid(order: ShopOrder) -> Later:
    bought(order)
    order.wait(5, 10 * MINUTE)
    order.pay("shopify_payments", order.claim())
    paid_now(order)
    return nothing("charged twice: the second charge is owed back, open by its amount")


def deposit(order: ShopOrder) -> Later:
    basket(order)
    order.pay("shopify_payments", order.claim() // 3)
    ordered(order, "order_transactions/create")
    order.wait(10 * DAY, 40 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    return nothing("over a month end: taxable on receipt, an advance invoice for the part (3.1)")


def wrong_rate(order: ShopOrder) -> Later:
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, rates=(160,))
    order.ship_by("DHL Paket", 490, (160,))
    order.place()
    card(order)
    return nothing("16 % was not a German rate on that day: the shop must be corrected")


def shipping_other_rate(order: ShopOrder) -> Later:
    fill(order, (70,))
    parcel(order, 190)
    order.place()
    card(order)
    return document("invoice", dict(order.first), "as charged, or following the goods, by policy (2.4)")


def untaxed_line(order: ShopOrder) -> Later:
    fill(order)
    order.add(pick(order, 70), rates=())
    parcel(order)
    order.place()
    card(order)
    return nothing("a priced line without any tax line and without a reason")


def _row(name: str, code: str, script: Callable[[ShopOrder], Later], weight: int = 10, *, invoiced: bool = False,
         longest: int = 14 * DAY, also: tuple[str, ...] = ()) -> Situation:  # fmt: skip
    return Situation(name, weight, "attention", code, script, longest, invoiced, also)


_after = partial(_row, invoiced=True)
WIDE: tuple[Situation, ...] = (
    _after("refund_partial", "REFUND", refund_partial, 60),
    _after("refund_full", "REFUND", refund_full, 30),
    _after("refund_amount_only", "REFUND", refund_amount_only, 20),
    _after("refund_shipping", "REFUND", refund_shipping),
    _after("refund_twice", "REFUND", refund_twice),
    _after("refund_pending", "REFUND", refund_pending),
    _after("refund_failed", "REFUND", refund_failed),
    _after("refund_with_fee", "REFUND", refund_with_fee),
    _after("return_no_refund", "RETURN", return_no_refund, also=("REFUND", "OVERPAID")),
    _after("edit_up_after_invoice", "EDIT", edit_up, 15, also=("OVERPAID",)),
    _after("edit_down_after_invoice", "EDIT", edit_down, 15, also=("REFUND", "OVERPAID")),
    _after("exchange", "RETURN", exchange, 15, also=("REFUND", "EDIT")),
    _after("upsell", "EDIT", upsell, 15, also=("OVERPAID",)),
    _after("cancel_after_payment", "CANCELLED", cancel_after_payment, also=("OVERPAID",)),
    _after("cancel_refunded", "CANCELLED", cancel_refunded, 15, also=("REFUND",)),
    _after("chargeback_open", "DISPUTE", partial(chargeback, ends=None)),
    _after("chargeback_won", "DISPUTE", partial(chargeback, ends="WON")),
    _after("chargeback_lost", "DISPUTE", partial(chargeback, ends="LOST")),
    _after("overpaid", "OVERPAID", overpaid),
    _after("paid_with_gift_card", "GATEWAY-UNMAPPED", partial(paid_with, gateway="gift_card"), 20),
    _after("paid_with_store_credit", "GATEWAY-UNMAPPED", partial(paid_with, gateway="shopify_store_credit")),
    _after("unknown_gateway", "GATEWAY-UNMAPPED", unknown_gateway),
    _row("oss_fr", "TAX-PLACE", partial(abroad, place="FR", rate=200, kind="invoice"), 20, also=("TAX-RATE",)),
    _row("oss_at", "TAX-PLACE", partial(abroad, place="AT", rate=200, kind="invoice"), 30, also=("TAX-RATE",)),
    _row("oss_nl", "TAX-PLACE", partial(abroad, place="NL", rate=210, kind="invoice"), 20, also=("TAX-RATE",)),
    _row("export_ch", "TAX-PLACE", partial(abroad, place="CH", rate=None, kind="invoice"), 20, also=("TAX-ZERO",)),
    _row("export_us", "TAX-PLACE", partial(abroad, place="US", rate=None, kind="invoice"), also=("TAX-ZERO",)),
    _row("export_gb", "TAX-PLACE", partial(abroad, place="GB", rate=None, kind="invoice"), also=("TAX-ZERO",)),
    _row("helgoland", "TAX-PLACE", partial(abroad, place="HELGOLAND", rate=190, kind="invoice")),
    _row("buesingen", "TAX-PLACE", partial(abroad, place="BUESINGEN", rate=190, kind="invoice")),
    _row("eu_business", "TAX-PLACE", eu_business, also=("B2B", "TAX-ZERO")),
    _row("business_terms", "B2B", business_terms, also=("TERMS",)),
    _row("business_card", "B2B", business_card),
    _row("consumer_terms", "TERMS", consumer_terms),
    _row("gift_card_sold", "GIFT-CARD", gift_card_sold, 15),
    _row("tip", "TIP", tip),
    _row("duty", "DUTY", duty, also=("TAX-PLACE", "TAX-ZERO")),
    _row("additional_fee", "FEE", additional_fee),
    _row("cash_rounding", "CASH-ROUNDING", cash_rounding),
    _row("foreign_money", "CURRENCY", foreign_money, 20),
    _row("channel_liable", "TAX-CHANNEL", channel_liable),
    _row("estimated_taxes", "TAX-ESTIMATED", estimated),
    _row("ship_from_poland", "TAX-SHIP-FROM", ship_from_poland),
    Situation("deposit", 10, "documented", None, deposit, 40 * DAY),  # attention where a month ended in between
    _row("wrong_rate", "TAX-RATE", wrong_rate),
    _row("shipping_other_rate", "TAX-SHIPPING", shipping_other_rate),
    _row("untaxed_line", "TAX-ZERO", untaxed_line),
)
