"""The tax decision: one value with rule, rates, reason, legal source and counterfactual; or a named refusal.

Decided here: supplies of a regular-taxed German business to German consumers. Place of supply comes first (UStG §3 (6),
§3c, §3a); everything whose place or rule is not plainly German is asked about, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from ladenbuch.domain.facts import Problem
from ladenbuch.domain.money import allocate, tax_in_gross
from ladenbuch.domain.order import Agreement, Order, Sale
from ladenbuch.domain.profile import Profile

#: sevdesk's tax rule for taxable revenue in Germany (facts 3.1: rule 1, mixable with 0, 7 and 19 %).
TAXABLE_DE = 1

_STANDARD = frozenset({Decimal(19), Decimal(7), Decimal(0)})
#: German rates by date (UStG §12; the reduction of the second half of 2020: §28 (1)-(3) UStG).
_GERMAN_RATES: tuple[tuple[date, frozenset[Decimal]], ...] = (
    (date(2007, 1, 1), _STANDARD),
    (date(2020, 7, 1), frozenset({Decimal(16), Decimal(5), Decimal(0)})),
    (date(2021, 1, 1), _STANDARD),
)
#: Postal codes in Germany but outside its VAT territory (UStG §1 (2)); Büsingen has a Swiss one as well.
_OUTSIDE_VAT_TERRITORY = {"78266": "Büsingen", "8238": "Büsingen", "27498": "Helgoland"}


@dataclass(frozen=True, slots=True)
class TaxDecision:
    """What was decided and why. `rule` is sevdesk's tax rule id; pinned with the first document (P2)."""

    rule: int
    rates: tuple[Decimal, ...]
    place: str
    reason: str
    reason_de: str
    source: str
    counterfactual: str
    note: str = ""


def german_rates(day: date) -> frozenset[Decimal]:
    """The rates that were law in Germany on a day, in percent, 0 included (UStG §12 (3))."""
    valid = [rates for since, rates in _GERMAN_RATES if since <= day]
    return valid[-1] if valid else frozenset()


def decide_tax(
    order: Order, agreements: Iterable[Agreement], profile: Profile, tax_point: datetime
) -> tuple[TaxDecision | None, list[Problem]]:
    """Decide the tax of what was sold in `agreements`, in force at `tax_point`.

    Returns the decision and no problems, or None and every reason why a person must decide.
    """
    agreements = tuple(agreements)
    problems = _regime(profile) + foreign_money(order, profile) + _place(order) + _kind_of_sale(order)
    rates, rate_problems = _rates(order, agreements, german_rates(profile.local_date(tax_point)))
    problems += rate_problems
    if problems:
        return None, problems
    shown = ", ".join(f"{rate.normalize():f} %" for rate in rates)
    decision = TaxDecision(
        rule=TAXABLE_DE,
        rates=rates,
        place="DE",
        reason=f"Supplied to a buyer in Germany by a regular-taxed German business: German VAT at {shown}.",
        reason_de=f"Lieferung an einen Käufer in Deutschland, Regelbesteuerung: deutsche Umsatzsteuer zu {shown}.",
        source="§1 (1) no. 1, §3 (6), §12 UStG; sevdesk tax rule 1",
        counterfactual="Shipped to another EU country it would fall under the distance-selling rules (§3c UStG).",
    )
    return decision, []


def _regime(profile: Profile) -> list[Problem]:
    choices = ("use the supported value", "exclude the order")
    found = []
    if profile.country != "DE" or profile.regime != "regular":
        found.append(Problem("PROFILE-UNSUPPORTED", f"regime {profile.regime} in {profile.country}", (), choices))
    wanted = {"timing": "tax_point", "shipping_policy": "as_charged", "grace_seconds": 0}
    for name, supported in wanted.items():
        value = getattr(profile, name)
        if value != supported:
            message = f"{name} {value} is not carried out yet, only {supported}"
            found.append(Problem("PROFILE-UNSUPPORTED", message, (), choices))
    return found


def foreign_money(order: Order, profile: Profile) -> list[Problem]:
    """CURRENCY where any amount is not plainly euros: then nothing may be posted, money lines included (2.4)."""
    if order.currency == profile.currency == order.presentment_currency == "EUR" and not order.foreign_money:
        return []
    message = f"shop currency {order.currency}, buyer paid in {order.presentment_currency}: only EUR is posted"
    return [Problem("CURRENCY", message, (order.id,), ("post by hand", "exclude the order"))]


def _place(order: Order) -> list[Problem]:
    """Where the supply is: ship-to of what is shipped, bill-to of what is not (UStG §3 (6), §3a (5)).

    A missing address is replaced by the other one; an address without its country is not.
    """
    ships = any(line.requires_shipping for line in order.lines) or bool(order.shipping_lines)
    stays = not ships or any(not line.requires_shipping and line.original_total for line in order.lines)
    choices = ("decide the tax rule by hand", "exclude the order")
    places = [order.shipping_address or order.billing_address] if ships else []
    places += [order.billing_address or order.shipping_address] if stays else []
    for to in places:
        if to is None or not to.country:
            return [Problem("TAX-PLACE", "no country of destination is known", (order.id,), choices)]
        if to.country != "DE":
            return [Problem("TAX-PLACE", f"the destination is {to.country}, not Germany", (order.id,), choices)]
        special = _OUTSIDE_VAT_TERRITORY.get("".join(char for char in to.zip or "" if char.isdigit()))
        if special:
            message = f"{special} lies outside the German VAT territory (§1 (2) UStG)"
            return [Problem("TAX-PLACE", message, (order.id,), choices)]
    found = []
    for shipment in order.fulfilments:
        if shipment.origin_country not in (None, "DE"):
            message = f"shipped from {shipment.origin_country}"
            found.append(Problem("TAX-SHIP-FROM", message, (shipment.id,), choices))
    return found[:1]


def _kind_of_sale(order: Order) -> list[Problem]:
    """Who sells to whom: business buyers, marketplaces and estimates are not decided here."""
    found = []
    choices = ("decide the tax rule by hand", "exclude the order")
    if order.company is not None or (order.customer is not None and order.customer.tax_id):
        found.append(Problem("B2B", "the buyer is a business (company or VAT id)", (order.id,), choices))
    if order.terms is not None:
        found.append(Problem("TERMS", f"payment terms {order.terms.name!r}", (order.id,), choices))
    if order.merchant_of_record:
        found.append(Problem("TAX-CHANNEL", "another party is merchant of record", (order.id,), choices))
    if order.estimated_taxes:
        found.append(Problem("TAX-ESTIMATED", "Shopify only estimated the taxes", (order.id,), choices))
    if order.cash_rounding:
        found.append(Problem("CASH-ROUNDING", "the total was rounded for cash", (order.id,), choices))
    return found


_KIND_PROBLEMS = {
    "TIP": ("TIP", "a tip", ("taxed at the main rate of the goods", "passed to staff")),
    "GIFT_CARD": (
        "GIFT-CARD",
        "a gift card was sold",
        ("single-purpose: taxed now", "multi-purpose: liability"),
    ),
    "DUTY": ("DUTY", "import duties were charged", ("decide by hand", "exclude the order")),
    "FEE": ("FEE", "a fee was charged", ("decide by hand", "exclude the order")),
    "ADDITIONAL_FEE": ("FEE", "an additional fee was charged", ("decide by hand", "exclude the order")),
    "ADJUSTMENT": ("LEDGER", "the ledger was adjusted before the tax point", ("decide by hand", "exclude")),
}


def _rates(
    order: Order, agreements: tuple[Agreement, ...], lawful: frozenset[Decimal]
) -> tuple[tuple[Decimal, ...], list[Problem]]:
    """The rates Shopify charged, checked against the law of the day; shipping must follow the goods (UStAE 3.10)."""
    found: list[Problem] = []
    goods: set[Decimal] = set()
    shipping: set[Decimal] = set()
    totals: dict[str, int] = {}
    pieces: dict[str, int] = {}
    for agreement in agreements:
        for sale in agreement.sales:
            item = sale.item_id or sale.id
            totals[item] = totals.get(item, 0) + sale.total
            pieces[item] = pieces.get(item, 0) + (sale.quantity or 0)
    for agreement in agreements:
        for sale in agreement.sales:
            charged = {tax.rate for tax in sale.taxes}
            if totals[sale.item_id or sale.id] == 0:
                if sale.line_type == "PRODUCT" and pieces[sale.item_id or sale.id] > 0:  # free, but it is printed
                    found += [_unlawful(rate, sale) for rate in sorted(charged - lawful)]
                continue
            if sale.line_type in _KIND_PROBLEMS:
                code, message, choices = _KIND_PROBLEMS[sale.line_type]
                found.append(Problem(code, message, (sale.id,), choices))
                continue
            if any(tax.channel_liable for tax in sale.taxes):
                message = "the sales channel owes this tax, not the merchant"
                found.append(Problem("TAX-CHANNEL", message, (sale.id,), ("decide by hand", "exclude the order")))
            if not charged or order.tax_exempt:
                message = "no tax was charged and no reason is known"
                found.append(Problem("TAX-ZERO", message, (sale.id,), ("name the reason", "exclude the order")))
                continue
            found += [_unlawful(rate, sale) for rate in sorted(charged - lawful)]
            (shipping if sale.line_type == "SHIPPING" else goods).update(charged)
    if goods and not shipping <= goods:
        message = "shipping was taxed at a rate none of the goods has"
        found.append(Problem("TAX-SHIPPING", message, (order.id,), ("as charged", "follow the goods")))
    return tuple(sorted(goods | shipping, reverse=True)), _distinct(found)


def _unlawful(rate: Decimal, sale: Sale) -> Problem:
    message = f"{rate.normalize():f} % was not a German rate on that day"
    return Problem("TAX-RATE", message, (sale.id,), ("correct the shop", "exclude the order"))


def _distinct(problems: list[Problem]) -> list[Problem]:
    """One problem per code and message, with all its facts."""
    merged: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = (problem.code, problem.message)
        known = merged.get(key)
        facts = problem.facts if known is None else known.facts + problem.facts
        merged[key] = Problem(problem.code, problem.message, facts, problem.choices)
    return list(merged.values())


#: How far from the proportional split a better one is looked for, in minor units.
_SPLIT_REACH = 120


def split_by_rate(gross: int, taxes: dict[Decimal, int], weights: dict[Decimal, int]) -> dict[Decimal, int] | None:
    """Split the gross amount of one sale that carries several tax lines (bookkeeping 2.2, golden document G4).

    `taxes` is the tax Shopify charged per rate, `weights` the goods' gross per rate, all in minor units. Never
    tax/rate: the goods' proportions first, then the nearest split that reproduces every tax line exactly, then the
    nearest within one cent; None when there is none.
    """
    rates = sorted(taxes, reverse=True)
    share = [weights.get(rate, 0) for rate in rates]
    if gross < 0 or sum(share) <= 0 or min(share) < 0:
        return None
    parts = dict(zip(rates, allocate(gross, share), strict=True))

    def off(candidate: dict[Decimal, int]) -> int:
        return max(abs(tax_in_gross(part, rate) - taxes[rate]) for rate, part in candidate.items())

    best = parts if off(parts) <= 1 else None
    if off(parts) == 0 or len(rates) != 2:
        return best
    high, low = rates
    for distance in range(1, _SPLIT_REACH + 1):
        for step in (distance, -distance):
            candidate = {high: parts[high] + step, low: parts[low] - step}
            if min(candidate.values()) < 0:
                continue
            error = off(candidate)
            if error == 0:
                return candidate
            if error <= 1 and best is None:
                best = candidate
    return best
