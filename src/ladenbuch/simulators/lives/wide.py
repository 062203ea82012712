"""Orders of the wide world: foreign places, business buyers, odd money, and everything of `corrections`.

`row` is what the rules decide (bookkeeping 1.4, sections 2 and 5), `asked` what stays a question.
"""

from __future__ import annotations

from functools import partial
from zlib import crc32

from ladenbuch.simulators.lives.arithmetic import contained, iso
from ladenbuch.simulators.lives.corrections import CORRECTIONS
from ladenbuch.simulators.lives.order import Line, ShopOrder
from ladenbuch.simulators.lives.people import GIFT_CARD, GOODS, Product, address
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
    ordered,
    paid_now,
    parcel,
    pick,
    returned,
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
    """A business buyer with its location; each VAT id is a company of its own."""
    number = crc32(f"{place} {vat_id}".encode())
    home = address(order.rng, place, "Café Größenwahn UG")
    order.billing = order.delivery = home
    contact = None if order.customer is None else {"id": "gid://shopify/CompanyContact/7700000000001",
                                                   "customer": {"id": order.customer["id"]}}  # fmt: skip
    order.extra["purchasingEntity"] = {
        "__typename": "PurchasingCompany",
        "company": {
            "id": f"gid://shopify/Company/{7_100_000_000_000 + number}", "name": "Café Größenwahn UG",
            "externalId": None,
        },
        "contact": contact,
        "location": {
            "id": f"gid://shopify/CompanyLocation/{7_200_000_000_000 + number}", "name": "Filiale", "externalId": None,
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


def cards_bought(order: ShopOrder) -> Line:
    """Nothing but gift cards."""
    line = order.add(GIFT_CARD, order.rng.randint(1, 2), rates=(), kind="GIFT_CARD")
    order.delivery = None
    order.place()
    card(order, order.rng.choice(("shopify_payments", "paypal")))
    if order.rng.random() < 0.5:  # Shopify fulfils a digital card by itself
        order.wait(1, 5)
        order.ship([(line, line.current)])
        order.emit("fulfillments/create", "orders/fulfilled", "orders/updated")
    return line


def gift_card_sold(order: ShopOrder) -> None:
    """Multi-purpose cards are a debt, no turnover: lines and no document (2.5)."""
    cards_bought(order)


def gift_card_unpaid(order: ShopOrder) -> None:
    """Nothing is owed before it is paid."""
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    order.delivery = None
    order.place()
    order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")


def gift_card_returned(order: ShopOrder) -> None:
    """The debt falls again, and there was no document to correct."""
    line = cards_bought(order)
    order.wait(1 * DAY, 4 * DAY)
    order.refund([(line, 1)], gateway=order.payments[0]["gateway"])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")


def card_and_goods(order: ShopOrder, first: str | None = None) -> list[Line]:
    """A gift card, which goes out by itself, and a parcel. `first`: another way of paying a third."""
    fresh = order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    lines = basket(order, (190, 70))
    if first is not None:
        order.pay(first, order.claim() // 3)
    card(order)
    order.wait(1, 5)
    order.ship([(fresh, 1)])
    order.emit("fulfillments/create", "orders/updated")
    order.wait(1 * DAY, 2 * DAY)
    order.ship([(line, line.current) for line in lines])
    order.emit("fulfillments/create", "orders/fulfilled", "orders/updated")
    return [fresh, *lines]


def gift_card_with_goods(order: ShopOrder, *, first: str | None = None) -> None:
    """The document is over the goods alone, and a card that is sent supplies nothing."""
    card_and_goods(order, first)


def gift_card_captured_late(order: ShopOrder) -> None:
    """Shipped before the money: the invoice is over the goods, and so is what pays it."""
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    basket(order, (190, 70))
    hold = order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    shipped(order)
    order.wait(5, 10 * MINUTE)
    order.pay("klarna", order.claim() // 3, kind="CAPTURE", parent=hold)
    paid_now(order)
    order.wait(1 * HOUR, 1 * DAY)
    order.pay("klarna", kind="CAPTURE", parent=hold)
    paid_now(order)


def gift_card_and_goods_back(order: ShopOrder) -> Added:
    """A credit note over the goods; the rest of the refund reverses the card."""
    fresh, *lines = card_and_goods(order)
    order.wait(1 * DAY, 4 * DAY)
    done = order.refund([(lines[-1], 1), (fresh, 1)])
    order.emit("refunds/create", "order_transactions/create", "orders/updated")
    goods = {rate: cents for rate, cents in returned(done).items() if rate}
    return [document(order, "credit_note", goods)]


def gift_card_unclear(order: ShopOrder) -> None:
    """An amount alone goes back: of the goods or of the card, nobody can say."""
    card_and_goods(order)
    order.wait(1 * DAY, 4 * DAY)
    order.refund(adjust=200)
    order.emit("refunds/create", "order_transactions/create", "orders/updated")


def gift_card_by_bank(order: ShopOrder) -> None:
    """Its money is matched in sevdesk, so the debt has no counterpart of ours: asked about."""
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    basket(order)
    waiting = order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 5 * DAY)
    order.pay("bank_deposit", parent=waiting)
    paid_now(order)


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


def fee_without_tax(order: ShopOrder) -> None:
    """Nobody says whether the fee is consideration, and at which rate."""
    fill(order)
    parcel(order)
    item = {"additionalFee": {"id": f"gid://shopify/AdditionalFee/{order.new_id()}", "name": "Servicepauschale"}}
    fee = order.sale("ADDITIONAL_FEE", "ORDER", 1, 250, [], item=item)
    order.place([(fee, "ADDITIONAL_FEE", 250, {0: 250})])
    card(order)


def duty_at_home(order: ShopOrder) -> None:
    """An import duty on a parcel to Germany: no rule of the facts covers it."""
    fill(order)
    parcel(order)
    item = {"duty": {"id": f"gid://shopify/Duty/{order.new_id()}"}}
    order.place([(order.sale("DUTY", "ORDER", 1, 420, [], item=item), "DUTY", 420, {0: 420})])
    card(order)


def discount_script(order: ShopOrder) -> None:
    """A script takes its share of all lines, a person something off one of them, a code off the whole again."""
    lines = fill(order, (190, 70))
    order.discount("ScriptDiscount", "Stammkunde", percent=12)
    order.discount("ManualDiscount", "Kulanz", fixed=lines[0].unit // 5, target=lines[0])
    order.discount("DiscountCode", "DANKE", fixed=333)
    parcel(order)
    order.place()
    card(order)


def discount_on_one(order: ShopOrder) -> None:
    """A fixed amount off one article, a percentage off another, by the two ways of sharing them out."""
    lines = fill(order, (190, 70), 3)
    order.discount("DiscountCode", "EINMAL", fixed=lines[0].unit // 3, target=lines[0], method="ONE")
    order.discount("AutomaticDiscount", "Viertel", percent=25, target=lines[-1], method="EACH")
    parcel(order)
    order.place()
    card(order)


def buy_two_get_one(order: ShopOrder) -> None:
    """Three for two on a line, and a present beside it: listed with what they cost (5.24)."""
    line = order.add(pick(order, 190), 3)
    order.discount("AutomaticDiscount", "Drei für zwei", fixed=line.unit, target=line)
    order.discount("AutomaticDiscount", "Geschenk", percent=100, target=order.add(pick(order, 70)))
    parcel(order)
    order.place()
    card(order)


def discount_on_shipping(order: ShopOrder) -> None:
    """Half the shipping, and a code over the goods of a net-priced shop."""
    order.gross = order.rng.random() < 0.5
    fill(order, (190, 70))
    order.discount("DiscountCode", "HERBST", percent=7)
    line = order.ship_by("DHL Paket", 590, (190,))
    order.discount("AutomaticDiscount", "Halbes Porto", percent=50, target=line)
    order.place()
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
    row("paid_with_gift_card", partial(paid_with, gateway="gift_card"), 20),
    row("paid_with_store_credit", partial(paid_with, gateway="shopify_store_credit")),
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
    Situation("gift_card_sold", 15, "excluded", "GIFT-CARDS-ONLY", gift_card_sold),
    Situation("gift_card_returned", 8, "excluded", "GIFT-CARDS-ONLY", gift_card_returned),
    row("gift_card_unpaid", gift_card_unpaid, 4, waits="UNPAID"),
    row("gift_card_with_goods", gift_card_with_goods, 8),
    row("gift_card_by_credit", partial(gift_card_with_goods, first="shopify_store_credit"), 4),
    row("gift_card_captured_late", gift_card_captured_late, 4),
    row("gift_card_and_goods_back", gift_card_and_goods_back, 8),
    asked("gift_card_unclear", "GIFT-CARD", gift_card_unclear, 4, invoiced=True),
    asked("gift_card_by_bank", "GIFT-CARD", gift_card_by_bank, 4, invoiced=True),
    row("discount_script", discount_script, 6),
    row("discount_on_one", discount_on_one, 6),
    row("buy_two_get_one", buy_two_get_one, 6),
    row("discount_on_shipping", discount_on_shipping, 6),
    row("tip", tip),
    row("duty", duty),
    row("additional_fee", additional_fee),
    asked("fee_without_tax", "FEE", fee_without_tax, 4),
    asked("duty_at_home", "DUTY", duty_at_home, 4),
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
