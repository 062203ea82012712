"""Orders of the wide world: foreign places, business buyers, odd money, and everything of `corrections`.

`row` is what the rules decide (bookkeeping 1.4, sections 2 and 5), `asked` what stays a question.
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
    Added,
    Situation,
    asked,
    basket,
    bought,
    card,
    document,
    fill,
    ordered,
    paid_now,
    parcel,
    pick,
    row,
    shipped,
)

OSS, EXPORT, INTRA_COMMUNITY = 18, 2, 3


def abroad(order: ShopOrder, *, place: str, rate: int | None, sent: bool = True) -> None:
    """Sold to another VAT territory at its rate; or untaxed, then the tax point is the shipment (3.1)."""
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


def eu_business(order: ShopOrder) -> None:
    """Intra-Community supply, rule 3, at fulfilment only (3.1)."""
    order.rule = INTRA_COMMUNITY
    company(order, "FR", "FR40303265045")
    order.extra["taxExempt"] = True
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, 5, rates=())
    order.ship_by("Spedition", 4900, ())
    order.place()
    card(order)
    shipped(order)


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


def business_terms(order: ShopOrder) -> None:
    """Invoice at fulfilment with due date, stays open (1.4)."""
    company(order)
    order.extra["poNumber"] = "PO-2026-118"
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)


def consumer_terms(order: ShopOrder) -> None:
    """Invoice at fulfilment with due date."""
    basket(order)
    terms(order, order.claim())
    ordered(order)
    shipped(order)


def business_card(order: ShopOrder) -> None:
    """Invoice to the company with PO and VAT id."""
    company(order)
    bought(order, (190, 70))


def gift_card_sold(order: ShopOrder) -> None:
    """Multi-purpose it is a liability, single-purpose it is taxed now (2.5): asked about."""
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    order.delivery = None
    order.place()
    card(order)


def paid_with(order: ShopOrder, *, gateway: str) -> None:
    """Part of the price comes from a gift card or store credit: a payment, the invoice stays full (2.5)."""
    basket(order)
    order.pay(gateway, order.claim() // 2)
    order.pay("shopify_payments")
    ordered(order, "order_transactions/create", "orders/paid")


def unknown_gateway(order: ShopOrder) -> None:
    """Booked once somebody decides how this gateway is booked (4.2)."""
    basket(order)
    order.pay("mollie")
    ordered(order, "order_transactions/create", "orders/paid")


def tip(order: ShopOrder) -> Added:
    """A tip in a web shop is consideration at the goods' rate (2.5)."""
    fill(order)
    parcel(order)
    order.add(Product("Trinkgeld", "", 300, 0, ships=False), rates=(), kind="TIP")
    order.place()
    card(order)
    return [document(order, "invoice", {190: order.claim()})]


def duty(order: ShopOrder) -> None:
    """Export with duties paid by the seller: part of the export."""
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


def additional_fee(order: ShopOrder) -> None:
    """The fee is a position at its own rate."""
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


def cash_rounding(order: ShopOrder) -> None:
    """Rounded for cash: the difference goes to a rounding account."""
    order.extra["totalCashRoundingAdjustment"] = {"paymentSet": order.bag(2), "refundSet": order.bag(0)}
    basket(order)
    order.pay("cash_on_delivery")
    order.payments[-1]["amountRoundingSet"] = order.bag(2)
    ordered(order, "order_transactions/create", "orders/paid")


def foreign_money(order: ShopOrder) -> None:
    """The buyer paid in CHF: refused (5.26)."""
    order.money_terms = ("EUR", "CHF", 943)
    bought(order)


def channel_liable(order: ShopOrder) -> None:
    """The channel owes the tax: no own VAT is booked."""
    for line in fill(order):
        line.channel_liable = True
    parcel(order)
    order.place()
    card(order)


def estimated(order: ShopOrder) -> None:
    """Shopify's taxes are not final yet."""
    order.extra["estimatedTaxes"] = True
    bought(order)


def ship_from_poland(order: ShopOrder) -> None:
    """Goods left from Poland: another place of supply (3.3 no. 13)."""
    basket(order)
    order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    shipped(order, "PL")


def overpaid(order: ShopOrder) -> None:
    """Charged twice: the second charge is owed back, open by its amount."""
    bought(order)
    order.wait(5, 10 * MINUTE)
    order.pay("shopify_payments", order.claim())
    paid_now(order)


def deposit(order: ShopOrder) -> None:
    """A part paid before; over a month end it is taxable on receipt, which is asked about (3.1)."""
    basket(order)
    order.pay("shopify_payments", order.claim() // 3)
    ordered(order, "order_transactions/create")
    order.wait(10 * DAY, 40 * DAY)
    order.pay("shopify_payments")
    paid_now(order)


def wrong_rate(order: ShopOrder) -> None:
    """16 % was not a German rate on that day: the shop must be corrected."""
    for product in order.rng.sample(GOODS[190], 2):
        order.add(product, rates=(160,))
    order.ship_by("DHL Paket", 490, (160,))
    order.place()
    card(order)


def shipping_other_rate(order: ShopOrder) -> None:
    """Shipping at another rate than the goods: asked about (2.4)."""
    fill(order, (70,))
    parcel(order, 190)
    order.place()
    card(order)


def untaxed_line(order: ShopOrder) -> None:
    """A priced line without any tax line and without a reason."""
    fill(order)
    order.add(pick(order, 70), rates=())
    parcel(order)
    order.place()
    card(order)


WIDE: tuple[Situation, ...] = (
    *CORRECTIONS,
    asked("overpaid", "OVERPAID", overpaid, invoiced=True),
    asked("paid_with_gift_card", "GATEWAY-UNMAPPED", partial(paid_with, gateway="gift_card"), 20, invoiced=True),
    asked("paid_with_store_credit", "GATEWAY-UNMAPPED", partial(paid_with, gateway="shopify_store_credit"),
          invoiced=True),
    asked("unknown_gateway", "GATEWAY-UNMAPPED", unknown_gateway, invoiced=True),
    row("oss_fr", partial(abroad, place="FR", rate=200), 20),
    row("oss_at", partial(abroad, place="AT", rate=200), 30),
    row("oss_nl", partial(abroad, place="NL", rate=210), 20),
    row("export_ch", partial(abroad, place="CH", rate=None), 20),
    row("export_us", partial(abroad, place="US", rate=None)),
    row("export_gb", partial(abroad, place="GB", rate=None)),
    asked("helgoland", "TAX-FOREIGN", partial(abroad, place="HELGOLAND", rate=190)),
    asked("buesingen", "TAX-FOREIGN", partial(abroad, place="BUESINGEN", rate=190)),
    row("helgoland_untaxed", partial(abroad, place="HELGOLAND", rate=None)),
    row("export_not_shipped", partial(abroad, place="CH", rate=None, sent=False), waits="UNSHIPPED"),
    row("eu_business", eu_business),
    row("business_terms", business_terms),
    row("business_card", business_card),
    row("consumer_terms", consumer_terms),
    asked("gift_card_sold", "GIFT-CARD", gift_card_sold, 15),
    row("tip", tip),
    row("duty", duty),
    row("additional_fee", additional_fee),
    asked("cash_rounding", "CASH-ROUNDING", cash_rounding),
    asked("foreign_money", "CURRENCY", foreign_money, 20),
    asked("channel_liable", "TAX-CHANNEL", channel_liable),
    asked("estimated_taxes", "TAX-ESTIMATED", estimated),
    asked("ship_from_poland", "TAX-SHIP-FROM", ship_from_poland),
    row("deposit", deposit, longest=40 * DAY),  # asked where a month ended
    asked("wrong_rate", "TAX-RATE", wrong_rate),
    asked("shipping_other_rate", "TAX-SHIPPING", shipping_other_rate),
    asked("untaxed_line", "TAX-ZERO", untaxed_line),
)  # fmt: skip
