"""Where a sale is taxed and by which rule, and what of it no rule decides (bookkeeping 2.4, 2.5, 3.1).

In goes a snapshot and what the seller decided; out come sevdesk's tax rule and the codes a person is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

from ladenbuch.simulators.owed.papers import Seller
from ladenbuch.simulators.owed.reading import Node, cents, rate_of

DOMESTIC, EXPORT, INTRA_COMMUNITY, OSS = 1, 2, 3, 18
#: Rules whose tax point is the movement of the goods: no advance invoice (3.1).
SHIPPED_ONLY = (2, 3, 17, 21)
#: In Germany but outside its VAT territory.
_OUTSIDE = ("27498", "78266", "8238")
_GERMAN = frozenset({"19", "7", "0"})
#: VAT rates of the Member States in percent, as of 2026.
_RATES: dict[str, tuple[str, ...]] = {
    "AT": ("20", "13", "10"), "BE": ("21", "12", "6"), "BG": ("20", "9"), "HR": ("25", "13", "5"),
    "CY": ("19", "9", "5", "3"), "CZ": ("21", "12"), "DK": ("25",), "EE": ("24", "13", "9"),
    "FI": ("25.5", "14", "13.5", "10"), "FR": ("20", "10", "5.5", "2.1"), "GR": ("24", "13", "6"),
    "HU": ("27", "18", "5"), "IE": ("23", "13.5", "9", "4.8"), "IT": ("22", "10", "5", "4"),
    "LV": ("21", "12", "5"), "LT": ("21", "12", "9", "5"), "LU": ("17", "14", "8", "3"), "MT": ("18", "12", "7", "5"),
    "NL": ("21", "9"), "PL": ("23", "8", "5"), "PT": ("23", "13", "6"), "RO": ("21", "11"),
    "SK": ("23", "19", "5"), "SI": ("22", "9.5", "5"), "ES": ("21", "10", "4"), "SE": ("25", "12", "6"),
}  # fmt: skip


@dataclass
class Place:
    """The rule of an order's documents; `questions` stop its documents."""

    rule: int
    questions: list[str]

    @property
    def shipped_only(self) -> bool:
        """Whether the tax point is the first shipment whatever was paid."""
        return self.rule in SHIPPED_ONLY

    def ask(self, code: str, wanted: bool = True) -> None:
        if wanted and code not in self.questions:
            self.questions.append(code)


def place_of(snapshot: Node, seller: Seller) -> Place:
    """Decide the rule from the ship-to; ask about every sale the rule does not fit."""
    sales = [s for a in snapshot.get("agreements") or [] for s in a["sales"]]
    if seller.cards == "debt":
        sales = [sale for sale in sales if sale["lineType"] != "GIFT_CARD"]
    priced = [s for s in sales if cents(s["totalAmount"]) and s["lineType"] not in ("ADJUSTMENT", "FEE", "RETURN")]
    rates = {rate_of(tax) for sale in priced for tax in sale["taxes"]}
    place = _rule(snapshot, seller, taxed=bool(rates - {"0"})) if sales else Place(DOMESTIC, [])
    if place.rule in (DOMESTIC, OSS):
        _taxed(place, snapshot, priced)
    _sales(place, snapshot, seller, priced)
    _money(place, snapshot)
    return place


def _rule(snapshot: Node, seller: Seller, *, taxed: bool) -> Place:
    """DE 1, EU consumer 18 (or 1), EU business untaxed 3, third country untaxed 2; anything else is asked about."""
    to = snapshot.get("shippingAddress") or snapshot.get("billingAddress") or {}
    country = to.get("countryCodeV2")
    if country is None:
        return Place(DOMESTIC, ["TAX-PLACE"])
    if country == "DE":
        outside = str(to.get("zip") or "").strip() in _OUTSIDE
        if not outside:
            return Place(DOMESTIC, [])
        return Place(DOMESTIC, ["TAX-FOREIGN"]) if taxed else Place(EXPORT, [])
    if country not in _RATES:
        return Place(EXPORT, ["TAX-FOREIGN"] if taxed else [])
    if not taxed:
        return Place(INTRA_COMMUNITY, [] if vat_id(snapshot) else ["TAX-ZERO"])
    if vat_id(snapshot):
        return Place(DOMESTIC, ["B2B"])
    return Place(OSS if seller.oss else DOMESTIC, [])


def vat_id(snapshot: Node) -> str | None:
    """The buyer's VAT id."""
    buyer = snapshot.get("purchasingEntity") or {}
    settings = [(buyer.get("location") or {}).get("taxSettings"), (snapshot.get("customer") or {}).get("taxSettings")]
    named = [one.get("taxRegistrationId") or one.get("taxId") for one in settings if one]
    return next((str(one) for one in named if one), None)


def _taxed(place: Place, snapshot: Node, priced: list[Node]) -> None:
    """Every sale at a rate of the place, shipping at a rate of the goods."""
    to = snapshot.get("shippingAddress") or snapshot.get("billingAddress") or {}
    lawful = frozenset(_RATES.get(str(to.get("countryCodeV2")), ())) if place.rule == OSS else _GERMAN
    goods: set[str] = set()
    shipping: set[str] = set()
    for sale in priced:
        rates = {rate_of(tax) for tax in sale["taxes"]}
        if sale["lineType"] in ("TIP", "GIFT_CARD", "DUTY"):
            continue
        if sale["lineType"] == "ADDITIONAL_FEE" and not rates:
            place.ask("FEE")
            continue
        place.ask("TAX-ZERO", not rates)
        place.ask("TAX-RATE", bool(rates - lawful))
        (shipping if sale["lineType"] == "SHIPPING" else goods).update(rates)
    place.ask("TAX-SHIPPING", bool(goods) and not shipping <= goods)


def _sales(place: Place, snapshot: Node, seller: Seller, priced: list[Node]) -> None:
    kinds = {str(sale["lineType"]) for sale in priced}
    place.ask("GIFT-CARD", "GIFT_CARD" in kinds)
    place.ask("TIP", "TIP" in kinds and seller.tips is None)
    place.ask("DUTY", "DUTY" in kinds and place.rule != EXPORT)
    liable = any(tax["taxLine"].get("channelLiable") for sale in priced for tax in sale["taxes"])
    place.ask("TAX-CHANNEL", liable or bool(snapshot.get("merchantOfRecordApp")))
    place.ask("TAX-ESTIMATED", bool(snapshot.get("estimatedTaxes")))
    origins = {(f.get("originAddress") or {}).get("countryCode") for f in snapshot.get("fulfillments") or []}
    place.ask("TAX-SHIP-FROM", bool(origins - {None, "DE"}))


def _money(place: Place, snapshot: Node) -> None:
    currencies = {snapshot.get("currencyCode", "EUR"), snapshot.get("presentmentCurrencyCode", "EUR")}
    place.ask("CURRENCY", currencies != {"EUR"})
    rounding = snapshot.get("totalCashRoundingAdjustment") or {}
    rounded = any(cents(rounding.get(side)) for side in ("paymentSet", "refundSet"))
    done = [t for t in snapshot.get("transactions") or [] if t["status"] == "SUCCESS"]
    place.ask("CASH-ROUNDING", rounded or any(t["kind"] == "CHANGE" for t in done))
    place.ask("TEST-PAYMENT", not snapshot.get("test") and any(t.get("test") for t in done))
