"""Thirty ways to buy something, and what the paper must say then: told by hand, from the law and not from the product.

Amounts are written as they are printed. Where a document is one of several, `papers` has one entry for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from house import home, person
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GIFT_CARD, Product

MINUTE, HOUR, DAY = 60, 3600, 86_400

MUG = Product("Becher „Möwe“", "BECH-01", 1295, 190, "blau", number=11)
TOWEL = Product("Leinentuch", "TUCH-03", 3490, 190, number=13)
SOAP = Product("Seife Lavendel", "SEIF-02", 999, 190, number=12)
BOOK = Product("Kochbuch „Küche im Norden“", "BUCH-11", 2400, 70, number=21)
PANEL = Product("Balkonmodul 430 W", "PV-21", 18900, 0, number=31)
PATTERN = Product("Schnittmuster Schürze (PDF)", "SCHN-01", 1200, 190, ships=False, number=51)

ERIKA = home("Erika", "Müller", "Hafenweg 3", "20457", "Hamburg")
ERIKA_PRINTED = ("Erika Müller", "Hafenweg 3", "20457 Hamburg", "Deutschland")
FRENCH = home("Amélie", "Lefèvre", "12 rue de l’Église", "67000", "Strasbourg", "FR")
SWISS = home("Urs", "Zürcher", "Bahnhofstrasse 7", "8001", "Zürich", "CH")
FIRM = ("Café Größenwahn UG", "Marktplatz 1", "04109", "Leipzig", "DE")
FIRM_PRINTED = ("Café Größenwahn UG", "Marktplatz 1", "04109 Leipzig", "Deutschland")
FRENCH_FIRM = ("Papeterie du Rhin SARL", "3 quai des Bateliers", "67000", "Strasbourg", "FR")
SELLER_VAT_ID = "DE314159262"


@dataclass(frozen=True)
class Paper:
    """What one document must say. `sums` is rate -> (net, tax) as printed.

    `supplied` is the day of supply; `received` the day of receipt and the month of delivery of an advance payment.
    `reason` are words that tell why no tax is charged; `corrects` is the place of the document this one corrects. The
    first line of `buyer` may be followed by the contact person of a business.
    """

    issued: str
    buyer: tuple[str, ...]
    sold: tuple[str, ...]
    sums: Mapping[str, tuple[str, str]]
    total: str
    supplied: str | None = None
    received: tuple[str, str] | None = None
    reason: str | None = None
    names: tuple[str, ...] = ()
    title: str = "Rechnung"
    corrects: int | None = None
    sort: str = "invoice"  # invoice | credit_note | cancellation


@dataclass(frozen=True)
class Case:
    """A situation. `house` names the seller: regular or small (§19 UStG)."""

    name: str
    number: int
    start: datetime
    script: Callable[[ShopOrder], None]
    papers: tuple[Paper, ...]
    house: str = "regular"
    profile: Mapping[str, Any] = field(default_factory=dict)


def day(number: int, hour: int = 9, month: int = 11) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


# -- what happens -------------------------------------------------------------------------------------------------


def buyer(order: ShopOrder, billing: dict[str, Any] = ERIKA, *, ship_to: dict[str, Any] | None = None,
          guest: bool = False, locale: str = "de") -> None:  # fmt: skip
    """Who buys, and where it goes."""
    first, last = billing["firstName"] or "", billing["lastName"] or ""
    order.customer = person(first, last, None if guest else 70_000 + order.number, locale)
    order.email = f"buyer.{order.number}@example.org"
    order.locale = locale
    order.billing, order.delivery = billing, ship_to or billing


def firm(order: ShopOrder, name: str, street: str, code: str, city: str, country: str, vat_id: str | None) -> None:
    """A business buyer with its location; nobody's own name is on its address."""
    buyer(order, home(None, None, street, code, city, country, company=name))
    order.customer = person("Jean", "Dubois", 70_000 + order.number)
    place = {
        "companyName": name, "recipient": None, "address1": street, "address2": None, "zip": code, "city": city,
        "zoneCode": None, "countryCode": country, "phone": None,
    }  # fmt: skip
    order.extra["taxExempt"] = country != "DE"
    order.extra["purchasingEntity"] = {
        "__typename": "PurchasingCompany",
        "company": {"id": f"gid://shopify/Company/{71_000 + order.number}", "name": name, "externalId": None},
        "contact": None,
        "location": {
            "id": f"gid://shopify/CompanyLocation/{72_000 + order.number}", "name": "Filiale", "externalId": None,
            "billingAddress": place,
            "taxSettings": {"taxRegistrationId": vat_id, "taxExempt": country != "DE", "taxExemptions": []},
        },
    }  # fmt: skip


def placed(order: ShopOrder, gateway: str | None = "shopify_payments", **payment: Any) -> None:
    """Ordered, and paid where a gateway is named."""
    order.place()
    if gateway:
        order.pay(gateway, **payment)
    order.emit("orders/create", "orders/paid")


def sent(order: ShopOrder, after: int = DAY) -> None:
    order.wait(after, after)
    order.ship([(line, line.current) for line in order.lines if line.current])
    order.emit("fulfillments/create", "orders/updated")


def card(order: ShopOrder) -> None:
    buyer(order)
    order.add(MUG, 2)
    order.ship_by("DHL Paket", 490, (190,))
    placed(order)


def bank_transfer(order: ShopOrder) -> None:
    """The money comes at 23:30 UTC on the last of November: that is December in Germany."""
    buyer(order)
    order.add(TOWEL)
    placed(order, None)
    order.wait(20 * DAY + 14 * HOUR + 30 * MINUTE, 20 * DAY + 14 * HOUR + 30 * MINUTE)
    order.pay("bank_deposit")
    order.emit("orders/paid")


def shipped_first(order: ShopOrder) -> None:
    buyer(order)
    order.add(TOWEL, 2)
    placed(order, "klarna", kind="AUTHORIZATION")
    sent(order, 2 * DAY)
    order.wait(3 * DAY, 3 * DAY)
    order.pay("klarna", kind="CAPTURE", parent=order.payments[0])
    order.emit("orders/paid")


def mixed_rates(order: ShopOrder) -> None:
    buyer(order)
    order.add(MUG, 2)
    order.add(BOOK, 1)
    order.ship_by("DHL Paket", 490, (190,))
    placed(order)


def net_shop(order: ShopOrder) -> None:
    """Prices without tax: 3 x 8.39 + 4.78, 2 x 20.19 + 2.83."""
    order.gross = False
    firm(order, *FIRM, "DE136695976")
    order.add(SOAP, 3)
    order.add(BOOK, 2, price=2160)
    placed(order)


def oss_france(order: ShopOrder) -> None:
    buyer(order, FRENCH)
    order.add(SOAP, 2, rates=(200,))
    order.ship_by("DHL International", 1290, (200,))
    placed(order)


def export(order: ShopOrder) -> None:
    buyer(order, SWISS)
    order.add(TOWEL, 2, rates=(), price=2933)
    order.ship_by("DHL International", 1990, ())
    placed(order)
    sent(order, 2 * DAY)


def export_english(order: ShopOrder) -> None:
    buyer(order, home("Emma", "Clarke", "4 Castle Street", "EH1 2DP", "Edinburgh", "GB"), locale="en-GB")
    order.add(TOWEL, 1, rates=(), price=2933)
    placed(order)
    sent(order)


def intra_community(order: ShopOrder) -> None:
    firm(order, *FRENCH_FIRM, "FR40303265045")
    order.add(TOWEL, 10, rates=(), price=2933)
    order.ship_by("Spedition", 4900, ())
    placed(order)
    sent(order, 3 * DAY)


def intra_community_refund(order: ShopOrder) -> None:
    intra_community(order)
    order.wait(4 * DAY, 4 * DAY)
    order.refund([(order.lines[0], 2)])
    order.emit("refunds/create", "orders/updated")


def reverse_charge(order: ShopOrder) -> None:
    firm(order, *FIRM, "DE136695976")
    order.add(PANEL, 1, rates=(), price=550_000)
    placed(order)
    sent(order)


def small_business(order: ShopOrder) -> None:
    buyer(order)
    order.add(MUG, 2, rates=())
    order.ship_by("DHL Paket", 490, ())
    placed(order)


def eu_company_service(order: ShopOrder) -> None:
    firm(order, *FRENCH_FIRM, "FR40303265045")
    order.add(PATTERN, 1, rates=(), price=1008)
    placed(order)
    sent(order, HOUR)


def company_terms(order: ShopOrder) -> None:
    firm(order, *FIRM, "DE136695976")
    order.extra["poNumber"] = "PO-2026-118"
    order.add(TOWEL, 4)
    order.place()
    due = {"issuedAt": "2026-11-10T09:00:00Z", "dueAt": "2026-11-24T09:00:00Z", "completedAt": None}
    balance = order.bag(order.claim())["shopMoney"]
    schedule = {"id": "gid://shopify/PaymentSchedule/1", **due, "balanceDue": balance, "totalBalance": balance}
    order.extra["paymentTerms"] = {
        "id": "gid://shopify/PaymentTerms/1", "paymentTermsName": "Netto 14", "paymentTermsType": "NET",
        "dueInDays": 14, "overdue": False, "paymentSchedules": [schedule],
    }  # fmt: skip
    order.emit("orders/create")
    sent(order)


def guest(order: ShopOrder) -> None:
    buyer(order, home("Ole", "Jansen", "Deichstraße 8", "25980", "Sylt"), guest=True)
    order.add(MUG)
    placed(order)


def foreign_address(order: ShopOrder) -> None:
    """Billed to Poland, sent within Germany: a German supply with a foreign address on it."""
    buyer(order, home("Łukasz", "Żółć", "ul. Długa 5", "00-238", "Łódź", "PL"), ship_to=ERIKA)
    order.add(TOWEL)
    placed(order)


def company_only(order: ShopOrder) -> None:
    """A company on the address, nobody's name, no customer record."""
    buyer(order, home(None, None, "Werftstr. 9", "24143", "Kiel", company="Segelmacherei Petersen oHG"), guest=True)
    order.add(TOWEL)
    placed(order)


def long_company(order: ShopOrder) -> None:
    """A name longer than one line of an address may be: all of it is on the paper all the same."""
    buyer(order, home("Anna-Maria", "von und zu Hohenstein", "Schlossallee 1", "80331", "München", company=LONG_NAME))
    order.add(TOWEL)
    placed(order)


LONG_NAME = (
    "Gemeinnützige Genossenschaft der vereinigten nordwestdeutschen Leinenweberinnen und Leinenweber von 1887"
    " eingetragene Genossenschaft mit beschränkter Haftung"
)


def small_invoice(order: ShopOrder) -> None:
    """No address at all but the country, 11.90 EUR: §33 UStDV asks for no buyer."""
    buyer(order, {**home(None, None, "", "", ""), "address1": None, "zip": None, "city": None}, guest=True)
    order.add(MUG)
    placed(order)


def discount(order: ShopOrder) -> None:
    buyer(order)
    order.add(SOAP, 3)
    order.discount("DiscountCode", "ZEHN", percent=10)
    placed(order)


def shipping_two_rates(order: ShopOrder) -> None:
    """G4: 5.90 shipping over 40.00 at 19 % and 20.00 at 7 %."""
    buyer(order)
    order.add(MUG, 2, price=2000)
    order.add(BOOK, 1, price=2000)
    order.ship_by("DHL Paket", 590, (190, 70))
    placed(order)


def supplementary(order: ShopOrder) -> None:
    card(order)
    order.wait(2 * DAY, 2 * DAY)
    order.edit(more=[(BOOK, 1)])
    order.emit("orders/edited")
    order.wait(HOUR, HOUR)
    order.pay("shopify_payments")
    order.emit("orders/paid", "orders/updated")


def refund(order: ShopOrder) -> None:
    mixed_rates(order)
    sent(order)
    order.wait(5 * DAY, 5 * DAY)
    order.refund([(order.lines[0], 1)])
    order.emit("refunds/create", "orders/updated")


def refund_seen_late(order: ShopOrder) -> None:
    """Nobody looked before all of it was over: invoice and correction are written in one go."""
    refund(order)
    del order.events[:-1]


def oss_refund(order: ShopOrder) -> None:
    oss_france(order)
    order.wait(6 * DAY, 6 * DAY)
    order.refund([(order.lines[0], 1)])
    order.emit("refunds/create", "orders/updated")


def cancelled_unpaid(order: ShopOrder) -> None:
    """Shipped on account, then one of two lines falls away: cancelled, and invoiced anew."""
    buyer(order)
    order.add(MUG, 2)
    order.add(BOOK, 1)
    placed(order, "cash_on_delivery", status="PENDING")
    sent(order)
    order.wait(DAY, DAY)
    order.edit(shrink=[(order.lines[1], 1)])
    order.emit("orders/edited", "orders/updated")


def voucher(order: ShopOrder) -> None:
    buyer(order)
    order.add(GIFT_CARD, rates=(), kind="GIFT_CARD")
    order.delivery = None
    placed(order)


def digital_oss(order: ShopOrder) -> None:
    buyer(order, home("Leopold", "Gruber", "Mozartgasse 2", "1040", "Wien", "AT"))
    order.delivery = None
    order.add(PATTERN, 1, rates=(200,))
    placed(order)


def goods_and_download(order: ShopOrder) -> None:
    """Two rules, two documents: the towel is still to be sent, the pattern is there at once."""
    buyer(order, FRENCH)
    order.add(TOWEL, 1, rates=(200,))
    order.add(PATTERN, 1, rates=(200,))
    placed(order)


def digital_abroad(order: ShopOrder) -> None:
    buyer(order, SWISS)
    order.delivery = None
    order.add(PATTERN, 1, rates=(), price=1008)
    placed(order)
    sent(order, HOUR)


def zero_rate(order: ShopOrder) -> None:
    buyer(order)
    order.add(PANEL, 2)
    placed(order)
    sent(order)


# -- what the paper says ------------------------------------------------------------------------------------------

_CARD = Paper(
    "02.11.2026",
    ERIKA_PRINTED,
    ("2 x Becher „Möwe“ - blau: 25,90 EUR (19 %)", "1 x DHL Paket: 4,90 EUR (19 %)"),
    {"19": ("25,88", "4,92")},
    "30,80",
    received=("02.11.2026", "November 2026"),
)
_MIXED = Paper(
    "04.11.2026",
    ERIKA_PRINTED,
    (
        "2 x Becher „Möwe“ - blau: 25,90 EUR (19 %)",
        "1 x Kochbuch „Küche im Norden“: 24,00 EUR (7 %)",
        "1 x DHL Paket: 4,90 EUR (19 %)",
    ),
    {"19": ("25,88", "4,92"), "7": ("22,43", "1,57")},
    "54,80",
    received=("04.11.2026", "November 2026"),
)
_FRANCE = Paper(
    "05.11.2026",
    ("Amélie Lefèvre", "12 rue de l’Église", "67000 Strasbourg", "France"),
    ("2 x Seife Lavendel: 19,98 EUR (20 %)", "1 x DHL International: 12,90 EUR (20 %)"),
    {"20": ("27,40", "5,48")},
    "32,88",
    received=("05.11.2026", "November 2026"),
)
_IC = Paper(
    "09.11.2026",
    ("Papeterie du Rhin SARL", "3 quai des Bateliers", "67000 Strasbourg", "France"),
    ("10 x Leinentuch: 293,30 EUR (0 %)", "1 x Spedition: 49,00 EUR (0 %)"),
    {"0": ("342,30", "0,00")},
    "342,30",
    supplied="09.11.2026",
    reason="Steuerfreie innergemeinschaftliche Lieferung",
    names=("FR40303265045", SELLER_VAT_ID),
)
_REFUND = Paper(
    "10.11.2026",
    ERIKA_PRINTED,
    ("1 x Erstattung Becher „Möwe“: 12,95 EUR (19 %)",),
    {"19": ("10,88", "2,07")},
    "12,95",
    supplied="04.11.2026",
    title="Rechnungskorrektur",
    corrects=0,
    sort="credit_note",
)
_ON_ACCOUNT = Paper(
    "11.11.2026",
    ERIKA_PRINTED,
    ("2 x Becher „Möwe“ - blau: 25,90 EUR (19 %)", "1 x Kochbuch „Küche im Norden“: 24,00 EUR (7 %)"),
    {"19": ("21,76", "4,14"), "7": ("22,43", "1,57")},
    "49,90",
    supplied="11.11.2026",
)

CASES = (
    Case("card", 1001, day(2), card, (_CARD,)),
    Case("bank_transfer_at_a_year_s_midnight", 1002, day(10), bank_transfer, (
        Paper("01.12.2026", ERIKA_PRINTED, ("1 x Leinentuch: 34,90 EUR (19 %)",), {"19": ("29,33", "5,57")}, "34,90",
              received=("01.12.2026", "Dezember 2026")),
    )),
    Case("shipped_first", 1003, day(3), shipped_first, (
        Paper("05.11.2026", ERIKA_PRINTED, ("2 x Leinentuch: 69,80 EUR (19 %)",), {"19": ("58,66", "11,14")}, "69,80",
              supplied="05.11.2026"),
    )),
    Case("mixed_rates", 1004, day(4), mixed_rates, (_MIXED,)),
    Case("net_shop", 1005, day(4), net_shop, (
        Paper("04.11.2026", FIRM_PRINTED,
              ("1 x 3 x Seife Lavendel: 29,95 EUR (19 %)", "1 x 2 x Kochbuch „Küche im Norden“: 43,21 EUR (7 %)"),
              {"19": ("25,17", "4,78"), "7": ("40,38", "2,83")}, "73,16", received=("04.11.2026", "November 2026")),
    )),
    Case("oss_france", 1006, day(5), oss_france, (_FRANCE,)),
    Case("export", 1007, day(5), export, (
        Paper("07.11.2026", ("Urs Zürcher", "Bahnhofstrasse 7", "8001 Zürich", "Switzerland"),
              ("2 x Leinentuch: 58,66 EUR (0 %)", "1 x DHL International: 19,90 EUR (0 %)"), {"0": ("78,56", "0,00")},
              "78,56", supplied="07.11.2026", reason="Steuerfreie Ausfuhrlieferung"),
    )),
    Case("export_english", 1008, day(5), export_english, (
        Paper("06.11.2026", ("Emma Clarke", "4 Castle Street", "EH1 2DP Edinburgh", "United Kingdom"),
              ("1 x Leinentuch: 29,33 EUR (0 %)",), {"0": ("29,33", "0,00")}, "29,33", supplied="06.11.2026",
              reason="Exempt export delivery"),
    )),
    Case("intra_community", 1009, day(6), intra_community, (_IC,)),
    Case("intra_community_refund", 1010, day(6), intra_community_refund, (
        _IC,
        Paper("13.11.2026", _IC.buyer, ("2 x Erstattung Leinentuch: 58,66 EUR (0 %)",), {"0": ("58,66", "0,00")},
              "58,66", supplied="09.11.2026", reason=_IC.reason, names=_IC.names, title="Rechnungskorrektur",
              corrects=0, sort="credit_note"),
    )),
    Case("reverse_charge_at_home", 1011, day(6), reverse_charge, (
        Paper("06.11.2026", FIRM_PRINTED, ("1 x Balkonmodul 430 W: 5.500,00 EUR (0 %)",), {"0": ("5.500,00", "0,00")},
              "5.500,00", reason="Steuerschuldnerschaft des Leistungsempfängers", names=(SELLER_VAT_ID,),
              received=("06.11.2026", "November 2026")),
    ), profile={"reverse_charge": True}),
    Case("small_business", 2001, day(6), small_business, (
        Paper("06.11.2026", ERIKA_PRINTED,
              ("2 x Becher „Möwe“ - blau: 25,90 EUR (0 %)", "1 x DHL Paket: 4,90 EUR (0 %)"), {"0": ("30,80", "0,00")},
              "30,80", received=("06.11.2026", "November 2026"), reason="Kleinunternehmer (§ 19 UStG)"),
    ), house="small"),
    Case("eu_company_service", 1012, day(6), eu_company_service, (
        Paper("06.11.2026", _IC.buyer, ("1 x Schnittmuster Schürze (PDF): 10,08 EUR (0 %)",), {"0": ("10,08", "0,00")},
              "10,08", supplied="06.11.2026", reason="Steuerschuldnerschaft des Leistungsempfängers",
              names=("FR40303265045", SELLER_VAT_ID)),
    )),
    Case("company_terms_and_po_number", 1013, day(10), company_terms, (
        Paper("11.11.2026", FIRM_PRINTED, ("4 x Leinentuch: 139,60 EUR (19 %)",), {"19": ("117,31", "22,29")},
              "139,60", supplied="11.11.2026", names=("Ihre Bestellnummer PO-2026-118",)),
    )),
    Case("guest", 1014, day(7), guest, (
        Paper("07.11.2026", ("Ole Jansen", "Deichstraße 8", "25980 Sylt", "Deutschland"),
              ("1 x Becher „Möwe“ - blau: 12,95 EUR (19 %)",), {"19": ("10,88", "2,07")}, "12,95",
              received=("07.11.2026", "November 2026")),
    )),
    Case("foreign_address", 1015, day(7), foreign_address, (
        Paper("07.11.2026", ("Łukasz Żółć", "ul. Długa 5", "00-238 Łódź", "Poland"),
              ("1 x Leinentuch: 34,90 EUR (19 %)",), {"19": ("29,33", "5,57")}, "34,90",
              received=("07.11.2026", "November 2026")),
    )),
    Case("company_without_a_person", 1016, day(7), company_only, (
        Paper("07.11.2026", ("Segelmacherei Petersen oHG", "Werftstr. 9", "24143 Kiel", "Deutschland"),
              ("1 x Leinentuch: 34,90 EUR (19 %)",), {"19": ("29,33", "5,57")}, "34,90",
              received=("07.11.2026", "November 2026")),
    )),
    Case("a_name_longer_than_a_line", 1017, day(7), long_company, (
        Paper("07.11.2026", ("Schlossallee 1", "80331 München", "Deutschland"),
              ("1 x Leinentuch: 34,90 EUR (19 %)",), {"19": ("29,33", "5,57")}, "34,90",
              received=("07.11.2026", "November 2026"), names=(LONG_NAME,)),
    )),
    Case("small_invoice_without_an_address", 1018, day(7), small_invoice, (
        Paper("07.11.2026", ("Endkunde",), ("1 x Becher „Möwe“ - blau: 12,95 EUR (19 %)",), {"19": ("10,88", "2,07")},
              "12,95", received=("07.11.2026", "November 2026")),
    )),
    Case("discount", 1019, day(8), discount, (
        Paper("08.11.2026", ERIKA_PRINTED, ("3 x Seife Lavendel: 26,97 EUR (19 %)",), {"19": ("22,66", "4,31")},
              "26,97", received=("08.11.2026", "November 2026")),
    )),
    Case("shipping_at_two_rates", 1020, day(8), shipping_two_rates, (
        Paper("08.11.2026", ERIKA_PRINTED,
              ("2 x Becher „Möwe“ - blau: 40,00 EUR (19 %)", "1 x Kochbuch „Küche im Norden“: 20,00 EUR (7 %)",
               "1 x DHL Paket (Anteil 19 %): 3,93 EUR (19 %)", "1 x DHL Paket (Anteil 7 %): 1,97 EUR (7 %)"),
              {"19": ("36,91", "7,02"), "7": ("20,53", "1,44")}, "65,90", received=("08.11.2026", "November 2026")),
    )),
    Case("supplementary_invoice", 1021, day(2), supplementary, (
        _CARD,
        Paper("04.11.2026", ERIKA_PRINTED, ("1 x Kochbuch „Küche im Norden“: 24,00 EUR (7 %)",),
              {"7": ("22,43", "1,57")}, "24,00", received=("04.11.2026", "November 2026")),
    )),
    Case("refund", 1022, day(4), refund, (_MIXED, _REFUND)),
    Case("refund_seen_late", 1023, day(4), refund_seen_late, (
        Paper(**{**vars(_MIXED), "issued": "10.11.2026"}), _REFUND,
    )),
    Case("oss_refund", 1024, day(5), oss_refund, (
        _FRANCE,
        Paper("11.11.2026", _FRANCE.buyer, ("1 x Erstattung Seife Lavendel: 9,99 EUR (20 %)",),
              {"20": ("8,33", "1,66")}, "9,99", supplied="05.11.2026", title="Rechnungskorrektur", corrects=0,
              sort="credit_note"),
    )),
    Case("cancelled_unpaid", 1025, day(10), cancelled_unpaid, (
        _ON_ACCOUNT,
        Paper("12.11.2026", (), ("-2 x Becher „Möwe“ - blau: -25,90 EUR (19 %)",
                                 "-1 x Kochbuch „Küche im Norden“: -24,00 EUR (7 %)"),
              {"19": ("-21,76", "-4,14"), "7": ("-22,43", "-1,57")}, "-49,90", supplied="11.11.2026",
              title="Stornorechnung", corrects=0, sort="cancellation"),
        Paper("12.11.2026", ERIKA_PRINTED, ("2 x Becher „Möwe“ - blau: 25,90 EUR (19 %)",), {"19": ("21,76", "4,14")},
              "25,90", supplied="11.11.2026"),
    )),
    Case("single_purpose_voucher", 1026, day(9), voucher, (
        Paper("09.11.2026", ERIKA_PRINTED, ("1 x Gutschein 50 €: 50,00 EUR (19 %)",), {"19": ("42,02", "7,98")},
              "50,00", supplied="09.11.2026"),
    )),
    Case("digital_oss", 1027, day(9), digital_oss, (
        Paper("09.11.2026", ("Leopold Gruber", "Mozartgasse 2", "1040 Wien", "Austria"),
              ("1 x Schnittmuster Schürze (PDF): 12,00 EUR (20 %)",), {"20": ("10,00", "2,00")}, "12,00",
              supplied="09.11.2026"),
    )),
    Case("goods_and_download", 1030, day(9), goods_and_download, (
        Paper("09.11.2026", _FRANCE.buyer, ("1 x Leinentuch: 34,90 EUR (20 %)",), {"20": ("29,08", "5,82")}, "34,90",
              received=("09.11.2026", "November 2026")),
        Paper("09.11.2026", _FRANCE.buyer, ("1 x Schnittmuster Schürze (PDF): 12,00 EUR (20 %)",),
              {"20": ("10,00", "2,00")}, "12,00", supplied="09.11.2026"),
    )),
    Case("digital_abroad", 1028, day(9), digital_abroad, (
        Paper("09.11.2026", ("Urs Zürcher", "Bahnhofstrasse 7", "8001 Zürich", "Switzerland"),
              ("1 x Schnittmuster Schürze (PDF): 10,08 EUR (0 %)",), {"0": ("10,08", "0,00")}, "10,08",
              supplied="09.11.2026", reason="Nicht im Inland steuerbare Leistung"),
    )),
    Case("zero_rate", 1029, day(9), zero_rate, (
        Paper("09.11.2026", ERIKA_PRINTED, ("2 x Balkonmodul 430 W: 378,00 EUR (0 %)",), {"0": ("378,00", "0,00")},
              "378,00", received=("09.11.2026", "November 2026")),
    )),
)  # fmt: skip
