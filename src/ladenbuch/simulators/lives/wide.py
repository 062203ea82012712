"""Orders of the wide world: foreign places, business buyers, odd money, and everything of `corrections`.

Each is an attention case of the first version. What the complete rule set would post is returned by the script as the
label's `later` (bookkeeping 1.4, sections 2 and 5); `asked` marks what stays a question even then.
"""

from __future__ import annotations

from functools import partial

from ladenbuch.simulators.lives.arithmetic import contained, iso
from ladenbuch.simulators.lives.corrections import CORRECTIONS
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GIFT_CARD, GOODS, Product, address
from ladenbuch.simulators.lives.stage import (
    DAY,
    MINUTE,
    Situation,
    asked,
    basket,
    bought,
    card,
    document,
    fill,
    nothing,
    ordered,
    paid_now,
    parcel,
    pick,
    row,
    shipped,
)

OSS, EXPORT, INTRA_COMMUNITY = 18, 2, 3


def abroad(order: ShopOrder, *, place: str, rate: int | None, sent: bool = True) -> Added:
    """Sold to another VAT territory at its rate; or untaxed, then the tax point is the shipment."""
    order.rule = EXPORT if rate is None else 1 if len(place) > 2 else OSS
    order.billing = order.delivery = address(order.rng, place)
    rates = () if rate is None else (rate,)
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, rates=rates, price=product.price if rate else product.price - contained(product.price, 190))
    if place == "FR":
        order.add(GOODS[190][1], rates=rates)  # 9.99 at 20 %: an exact half cent (G7)
    order.ship_by("DHL Paket International", 1290, rates)
    order.place()
    card(order)
    if rate is None and sent:
        shipped(order)
    if rate is None and not sent:
        return []  # an export that has not left yet: its documents wait for the shipment (3.1)
    return [document(order, "invoice", dict(order.by_rate()))]  # supply to {place}


def eu_business(order: ShopOrder) -> Added:
    order.rule = INTRA_COMMUNITY
    company(order, "FR", "FR40303265045")
    order.extra["taxExempt"] = True
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, 5, rates=())
    order.ship_by("Spedition", 4900, ())
    order.place()
    card(order)
    shipped(order)
    return [document(order, "invoice", dict(order.by_rate()))]  # intra-Community supply, rule 3, at fulfilment only (3.1)


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


def business_terms(order: ShopOrder) -> Added:
    company(order)
    order.extra["poNumber"] = "PO-2026-118"
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)
    return [document(order, "invoice", dict(order.first))]  # invoice at fulfilment with due date, stays open (1.4)


def consumer_terms(order: ShopOrder) -> Added:
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)
    return [document(order, "invoice", dict(order.first))]  # invoice at fulfilment with due date


def business_card(order: ShopOrder) -> Added:
    company(order)
    bought(order, (190, 70))
    return [document(order, "invoice", dict(order.first))]  # invoice to the company with PO and VAT id


def gift_card_sold(order: ShopOrder) -> Added:
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    order.delivery = None
    order.place()
    card(order)
    return []  # multi-purpose: liability, no revenue document; single-purpose: taxed now (2.5)


def paid_with(order: ShopOrder, *, gateway: str) -> Added:
    """Part of the price comes from a gift card or store credit: a payment, not a discount."""
    basket(order)
    order.pay(gateway, order.claim() // 2)
    order.pay("shopify_payments")
    ordered(order, "order_transactions/create", "orders/paid")
    return []  # a payment from the liability account; the invoice stays full (2.5)


def unknown_gateway(order: ShopOrder) -> Added:
    basket(order)
    order.pay("mollie")
    ordered(order, "order_transactions/create", "orders/paid")
    return []  # booked once somebody decides how this gateway is booked (4.2)


def tip(order: ShopOrder) -> Added:
    fill(order)
    parcel(order)
    order.add(Product("Trinkgeld", "", 300, 0, ships=False), rates=(), kind="TIP")
    order.place()
    card(order)
    return [document(order, "invoice", {190: order.claim()})]  # a tip in a web shop is consideration at the goods' rate (2.5)


def duty(order: ShopOrder) -> Added:
    order.rule = EXPORT
    order.billing = order.delivery = address(order.rng, "US")
    line = order.add(pick(order, 190), rates=())
    order.ship_by("DHL Paket International", 1990, ())
    number = order.new_id()
    node = {"id": f"gid://shopify/Duty/{number}", "harmonizedSystemCode": "691200", "countryCodeOfOrigin": "DE",
            "price": order.bag(420), "taxLines": []}  # fmt: skip
    line.duties.append(node)
    order.place([(order.sale("DUTY", "ORDER", 1, 420, [], item={"duty": {"id": node["id"]}}), "DUTY", 420, {0: 420})])
    card(order)
    shipped(order)
    return [document(order, "invoice", dict(order.by_rate()))]  # export with duties paid by the seller: part of the export


def additional_fee(order: ShopOrder) -> Added:
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
    return [document(order, "invoice", dict(order.first))]  # the fee is a position at its own rate


def cash_rounding(order: ShopOrder) -> Added:
    order.extra["totalCashRoundingAdjustment"] = {"paymentSet": order.bag(2), "refundSet": order.bag(0)}
    basket(order)
    order.pay("cash_on_delivery")
    order.payments[-1]["amountRoundingSet"] = order.bag(2)
    ordered(order, "order_transactions/create", "orders/paid")
    return []  # rounded for cash: the difference goes to a rounding account


def foreign_money(order: ShopOrder) -> Added:
    order.money_terms = ("EUR", "CHF", 943)
    bought(order)
    return []  # the buyer paid in CHF: refused in v1 (5.26)


def channel_liable(order: ShopOrder) -> Added:
    for line in fill(order):
        line.channel_liable = True
    parcel(order)
    order.place()
    card(order)
    return []  # the channel owes the tax: no own VAT is booked


def estimated(order: ShopOrder) -> Added:
    order.extra["estimatedTaxes"] = True
    bought(order)
    return [document(order, "invoice", dict(order.first))]  # once Shopify's taxes are final


def ship_from_poland(order: ShopOrder) -> Added:
    basket(order)
    order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    shipped(order, "PL")
    return []  # goods left from Poland: another place of supply (3.3 no. 13)


def overpaid(order: ShopOrder) -> Added:
    bought(order)
    order.wait(5, 10 * MINUTE)
    order.pay("shopify_payments", order.claim())
    paid_now(order)
    return []  # charged twice: the second charge is owed back, open by its amount


def deposit(order: ShopOrder) -> Added:
    basket(order)
    order.pay("shopify_payments", order.claim() // 3)
    ordered(order, "order_transactions/create")
    order.wait(10 * DAY, 40 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    return []  # over a month end: taxable on receipt, an advance invoice for the part (3.1)


def wrong_rate(order: ShopOrder) -> Added:
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, rates=(160,))
    order.ship_by("DHL Paket", 490, (160,))
    order.place()
    card(order)
    return []  # 16 % was not a German rate on that day: the shop must be corrected


def shipping_other_rate(order: ShopOrder) -> Added:
    fill(order, (70,))
    parcel(order, 190)
    order.place()
    card(order)
    return [document(order, "invoice", dict(order.first))]  # as charged, or following the goods, by policy (2.4)


def untaxed_line(order: ShopOrder) -> Added:
    fill(order)
    order.add(pick(order, 70), rates=())
    parcel(order)
    order.place()
    card(order)
    return []  # a priced line without any tax line and without a reason


_after = partial(row, invoiced=True)
_unmapped = asked("GATEWAY-UNMAPPED")
WIDE: tuple[Situation, ...] = (
    *CORRECTIONS,
    _after("overpaid", "OVERPAID", overpaid, complete=asked("OVERPAID")),
    _after("paid_with_gift_card", "GATEWAY-UNMAPPED", partial(paid_with, gateway="gift_card"), 20,
           complete=_unmapped),
    _after("paid_with_store_credit", "GATEWAY-UNMAPPED", partial(paid_with, gateway="shopify_store_credit"),
           complete=_unmapped),
    _after("unknown_gateway", "GATEWAY-UNMAPPED", unknown_gateway, complete=_unmapped),
    row("oss_fr", "TAX-PLACE", partial(abroad, place="FR", rate=200), 20, also=("TAX-RATE",)),
    row("oss_at", "TAX-PLACE", partial(abroad, place="AT", rate=200), 30, also=("TAX-RATE",)),
    row("oss_nl", "TAX-PLACE", partial(abroad, place="NL", rate=210), 20, also=("TAX-RATE",)),
    row("export_ch", "TAX-PLACE", partial(abroad, place="CH", rate=None), 20, also=("TAX-ZERO",)),
    row("export_us", "TAX-PLACE", partial(abroad, place="US", rate=None), also=("TAX-ZERO",)),
    row("export_gb", "TAX-PLACE", partial(abroad, place="GB", rate=None), also=("TAX-ZERO",)),
    row("helgoland", "TAX-PLACE", partial(abroad, place="HELGOLAND", rate=190), complete=asked("TAX-FOREIGN")),
    row("buesingen", "TAX-PLACE", partial(abroad, place="BUESINGEN", rate=190), complete=asked("TAX-FOREIGN")),
    row("helgoland_untaxed", "TAX-PLACE", partial(abroad, place="HELGOLAND", rate=None), also=("TAX-ZERO",)),
    row("export_not_shipped", "TAX-PLACE", partial(abroad, place="CH", rate=None, sent=False), also=("TAX-ZERO",),
        complete=("waiting", "UNSHIPPED")),
    row("eu_business", "TAX-PLACE", eu_business, also=("B2B", "TAX-ZERO")),
    row("business_terms", "B2B", business_terms, also=("TERMS",)),
    row("business_card", "B2B", business_card),
    row("consumer_terms", "TERMS", consumer_terms),
    row("gift_card_sold", "GIFT-CARD", gift_card_sold, 15, complete=asked("GIFT-CARD")),
    row("tip", "TIP", tip),
    row("duty", "DUTY", duty, also=("TAX-PLACE", "TAX-ZERO")),
    row("additional_fee", "FEE", additional_fee),
    row("cash_rounding", "CASH-ROUNDING", cash_rounding, complete=asked("CASH-ROUNDING")),
    row("foreign_money", "CURRENCY", foreign_money, 20, complete=asked("CURRENCY")),
    row("channel_liable", "TAX-CHANNEL", channel_liable, complete=asked("TAX-CHANNEL")),
    row("estimated_taxes", "TAX-ESTIMATED", estimated, complete=asked("TAX-ESTIMATED")),
    row("ship_from_poland", "TAX-SHIP-FROM", ship_from_poland, complete=asked("TAX-SHIP-FROM")),
    Situation("deposit", 10, "documented", None, deposit, 40 * DAY),  # asked where a month ended
    row("wrong_rate", "TAX-RATE", wrong_rate, complete=asked("TAX-RATE")),
    row("shipping_other_rate", "TAX-SHIPPING", shipping_other_rate, complete=asked("TAX-SHIPPING")),
    row("untaxed_line", "TAX-ZERO", untaxed_line, complete=asked("TAX-ZERO")),
)  # fmt: skip
