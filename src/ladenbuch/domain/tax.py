"""The tax decision: one value with rule, rates, reason, legal source and counterfactual; or a named refusal.

Place of supply comes first, then who buys, then the seller's regime; what Shopify charged must agree with the result,
or a person is asked (UStG §3 (6), §3a, §3c, §18j, §19; facts 3.1 to 3.3 for the rules sevdesk knows). One document has
one rule, so an order may yield several decisions; each comes with the ledger entries it governs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from ladenbuch.domain.charged import Taxed, percent, taxes_of
from ladenbuch.domain.evidence import INVALID, UNAVAILABLE, VALID, Evidence, vat_id_of
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.order import Agreement, Order, Sale, SaleTax
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.rates import RateTable
from ladenbuch.domain.supply import ELECTRONIC, GOODS, SERVICE, SERVICE_AT_PLACE, Supply, supplies_of
from ladenbuch.domain.tax_cases import CASES
from ladenbuch.domain.territory import GERMAN, HOME, MEMBER_STATES, OWN_RATES, UNION, UNPLACED
from ladenbuch.domain.threshold import AT_HOME, Counter, count

_BY_HAND = ("decide the tax rule by hand", "exclude the order")
#: What may be chosen once the threshold of the EU is passed.
REGISTER = ("register for OSS and set oss_from", *_BY_HAND)


@dataclass(frozen=True, slots=True)
class TaxDecision:
    """What was decided and why. `rule` is sevdesk's tax rule id; pinned with the document (P2).

    `case` names the row of `tax_cases`; `inputs` what the decision rests on; the texts exist in English and German;
    `note` is the sentence the law wants on the document.
    """

    rule: int
    rates: tuple[Decimal, ...]
    place: str
    reason: str
    reason_de: str
    source: str
    counterfactual: str
    counterfactual_de: str
    case: str
    inputs: tuple[tuple[str, str], ...]
    note: str
    note_de: str


@dataclass(frozen=True, slots=True)
class TaxedPart:
    """A decision and what it governs: `agreements` hold only its ledger entries, taxed as the decision says.

    `override` tells which entries carry another tax than Shopify charged (tips, shipping by policy, zero rates), as
    sale id -> rate in percent -> tax in minor units.
    """

    decision: TaxDecision
    agreements: tuple[Agreement, ...]
    override: tuple[tuple[str, tuple[tuple[Decimal, int], ...]], ...]


def german_rates(day: date) -> frozenset[Decimal]:
    """The rates that were law in Germany on a day, in percent, 0 included since it is one (UStG §12 (3))."""
    known = RateTable().on("DE", day) if day >= _REGULAR_SINCE else None
    zero = frozenset({Decimal(0)}) if day >= _ZERO_SINCE else frozenset()
    return known.lawful | zero if known else frozenset()


#: 19 % since 1 January 2007 (UStG §12 (1)); nothing older is decided.
_REGULAR_SINCE = date(2007, 1, 1)
#: A rate of 0 % exists since 1 January 2023 (UStG §12 (3)).
_ZERO_SINCE = date(2023, 1, 1)
#: How VAT ids of other member states begin (Greece uses EL). XI is one for goods alone.
_OTHER_STATES = tuple(sorted(MEMBER_STATES - {"DE"} | {"EL"}))


def taxed_at_supply(order: Order, agreements: Iterable[Agreement], profile: Profile) -> bool:
    """Whether the tax point is the first shipment only: untaxed sales abroad, whose exemption hangs on it (3.1)."""
    if profile.regime != "regular":
        return False
    supplies, _ = supplies_of(order, agreements, profile)
    return any(item.untaxed and item.territory.status != HOME for item in supplies)


def decide_tax(
    order: Order,
    agreements: Iterable[Agreement],
    profile: Profile,
    tax_point: datetime,
    evidence: Evidence | None = None,
) -> tuple[tuple[TaxedPart, ...], list[Problem]]:
    """Decide the tax of what was sold in `agreements`, in force at `tax_point`: one part per document.

    Returns the parts and no problems, or no parts and every reason why a person must decide.
    """
    agreements = tuple(agreements)
    evidence = evidence or Evidence()
    day = profile.local_date(tax_point)
    supplies, problems = supplies_of(order, agreements, profile)
    problems = _regime(profile) + foreign_money(order, profile) + problems + _seller(order)
    governed: dict[str, tuple[Supply, list[Taxed], set[Decimal]]] = {}
    for supply in supplies:
        name, refusals = _case(order, supply, profile, day, evidence)
        taxed, doubts = taxes_of(order, supply, profile, name, _lawful(name, supply, day, evidence))
        problems += refusals + doubts
        if name is not None and not problems:
            _, whole, rates = governed.setdefault(name, (supply, [], set()))
            whole += taxed
            rates |= _rates_of(taxed)
    parts: list[TaxedPart] = []
    for name, (supply, taxed, rates) in governed.items():
        counter = None
        if name in AT_HOME:
            net = sum(sale.total - sum(taxes.values()) for sale, taxes in taxed)
            counter = count(evidence.eu_sales, profile, tax_point, net)
            if counter.exceeded and net > 0:
                problems.append(Problem("TAX-THRESHOLD", counter.passed, (order.id,), REGISTER))
        shown = tuple(sorted(rates, reverse=True))
        decision = _decision(order, supply, profile, name, shown, day, evidence, counter)
        parts.append(_part(decision, taxed, agreements))
    return ((), _distinct(problems)) if problems else (tuple(parts), [])


def _rates_of(taxed: list[Taxed]) -> set[Decimal]:
    """The rates a document will show: free shipping leaves no trace, nor what was sold and taken back before it."""
    totals: dict[str, tuple[int, int]] = {}
    for sale, _ in taxed:
        money, pieces = totals.get(sale.item_id or sale.id, (0, 0))
        more = 0 if sale.line_type == "SHIPPING" else sale.quantity or 0
        totals[sale.item_id or sale.id] = money + sale.total, pieces + more
    shown = {item for item, (money, pieces) in totals.items() if money or pieces > 0}
    return {rate for sale, taxes in taxed if (sale.item_id or sale.id) in shown for rate in taxes}


def _part(decision: TaxDecision, taxed: list[Taxed], agreements: tuple[Agreement, ...]) -> TaxedPart:
    """The agreements with this part's ledger entries alone, taxed as decided."""
    said: dict[str, tuple[tuple[Decimal, int], ...]] = {}
    sales: dict[str, Sale] = {}
    for sale, taxes in taxed:
        charged: dict[Decimal, int] = {}
        for tax in sale.taxes:
            charged[tax.rate] = charged.get(tax.rate, 0) + tax.amount
        sales[sale.id] = sale
        if charged != taxes:
            said[sale.id] = tuple(taxes.items())
            sales[sale.id] = taxed_as(sale, said[sale.id])
    mine = (
        replace(item, sales=tuple(sales[sale.id] for sale in item.sales if sale.id in sales)) for item in agreements
    )
    return TaxedPart(decision, tuple(item for item in mine if item.sales), tuple(said.items()))


def taxed_as(sale: Sale, taxes: tuple[tuple[Decimal, int], ...]) -> Sale:
    """The ledger entry with other taxes: rate in percent and tax in minor units."""
    listed = tuple(SaleTax(amount, rate) for rate, amount in taxes)
    return replace(sale, taxes=listed, tax=sum(item.amount for item in listed))


# -- which case ---------------------------------------------------------------------------------------------------


def _case(
    order: Order, supply: Supply, profile: Profile, day: date, evidence: Evidence
) -> tuple[str | None, list[Problem]]:
    """The row of `tax_cases`, or why there is none."""
    place, small = supply.territory, profile.regime == "small_business"
    business = order.company is not None or vat_id_of(order) is not None
    if place.special in OWN_RATES:
        return None, [_ask("TAX-PLACE", f"{place.special} has VAT rates of its own", order)]
    if place.special == UNPLACED:
        message = f"the postal code does not tell which VAT area of {place.country} it is in"
        return None, [_ask("TAX-PLACE", message, order)]
    at_seat = supply.kind == SERVICE and not business
    if place.status == HOME or at_seat:
        return _at_home(order, supply, profile, small)
    if place.status == UNION:
        goods_of_small = small and supply.kind == GOODS  # never an intra-Community supply (§19 (1) UStG)
        if business and (not goods_of_small or _declares_oss(profile, day)):
            name, problems = _to_business(order, supply, evidence)
            if problems:
                return None, problems
            if name == "domestic" or (name is None and supply.kind == SERVICE):
                return _at_home(order, supply, profile, small)
            if name is not None:
                return ("small_business" if goods_of_small else name), []
        return _to_consumer(order, supply, profile, day, small, evidence)
    if not supply.untaxed:
        where = (
            f"{place.special} lies outside the EU's VAT area"
            if place.special
            else f"the destination is {place.country}"
        )
        return None, [_ask("TAX-FOREIGN", f"{where}, and tax was charged: no rule of ours covers it", order)]
    if supply.kind != GOODS:
        return "service_abroad", []
    return ("small_business" if small else "export"), []


def _declares_oss(profile: Profile, day: date) -> bool:
    return profile.oss_from is not None and profile.oss_from <= day


def _at_home(order: Order, supply: Supply, profile: Profile, small: bool) -> tuple[str | None, list[Problem]]:
    if small and not supply.untaxed:
        return None, [_ask("TAX-SMALL-BUSINESS", "a small business charged VAT, which it would owe (§14c UStG)", order)]
    if small:
        return "small_business", []
    if supply.untaxed and profile.reverse_charge and vat_id_of(order) and any(sale.total for sale in supply.sales):
        return "reverse_charge", []
    return "domestic", []


def _to_business(order: Order, supply: Supply, evidence: Evidence) -> tuple[str | None, list[Problem]]:
    """An EU business: exempt with a valid VAT id of another state; (None, []) means: like a consumer (3.3 no. 7).

    A valid German id: no distance sale, and the place of a service is the buyer's seat, so the sale is taxed at home.
    """
    vat_id = vat_id_of(order)
    if vat_id is None:
        if supply.untaxed:
            return None, [_ask("VAT-ID-MISSING", "an EU company was charged no tax and gave no VAT id", order)]
        return None, []
    answer = evidence.vat_ids.get(vat_id)
    if answer is None or answer.verdict == UNAVAILABLE:
        code = "VAT-ID-UNCHECKED" if answer is None else "VAT-ID-UNAVAILABLE"
        return None, [Problem(code, "the VAT id could not be checked yet; that is not invalid", (order.id,), _BY_HAND)]
    states = (*_OTHER_STATES, "XI") if supply.kind == GOODS else _OTHER_STATES
    genuine = answer.verdict == VALID and vat_id.startswith(states)
    if not supply.untaxed:
        if genuine:
            message = "tax was charged although the buyer has a valid VAT id"
            return None, [_ask("TAX-CONFLICT", message, order)]
        return ("domestic" if answer.verdict == VALID and vat_id.startswith("DE") else None), []
    if not genuine:
        why = "invalid" if answer.verdict == INVALID else "not of another member state"
        return None, [_ask("VAT-ID-INVALID", f"no tax was charged, and the VAT id is {why}", order)]
    return ("intra_community" if supply.kind == GOODS else "service_to_business"), []


def _to_consumer(
    order: Order, supply: Supply, profile: Profile, day: date, small: bool, evidence: Evidence
) -> tuple[str | None, list[Problem]]:
    country = supply.territory.country
    charged = {tax.rate for sale in supply.sales for tax in sale.taxes if tax.rate}
    if _declares_oss(profile, day):
        if evidence.rates.on(country, day) is None:
            return None, [_ask("TAX-RATE", f"the VAT rates of {country} are not known", order)]
        return {GOODS: "oss_goods", ELECTRONIC: "oss_electronic"}.get(supply.kind, "oss_services"), []
    if supply.kind == SERVICE_AT_PLACE:
        message = f"a service used in {country} is taxed there from the first euro, without an OSS registration"
        return None, [_ask("TAX-FOREIGN", message, order)]
    if small:
        name, problems = _at_home(order, supply, profile, small)
        business = order.company is not None or vat_id_of(order) is not None
        return ("small_business_abroad" if name and not business else name), problems
    if charged <= german_rates(day):
        return "below_threshold", []
    message = f"the destination is {country}: its VAT was charged without an OSS registration"
    return None, [_ask("TAX-FOREIGN", message, order)]


def _lawful(name: str | None, supply: Supply, day: date, evidence: Evidence) -> frozenset[Decimal] | None:
    """The rates that may be charged; None where the case charges none or is not known."""
    if name is None or CASES[name].zero:
        return None
    if name.startswith("oss_"):
        known = evidence.rates.on(supply.territory.country, day)
        return known.lawful if known is not None else frozenset()
    # 0 % is for solar panels on a house (§12 (3) UStG); abroad it far rather means that nobody set a rate
    return german_rates(day) - ({Decimal(0)} if name == "below_threshold" else frozenset())


def _decision(
    order: Order,
    supply: Supply,
    profile: Profile,
    name: str,
    rates: tuple[Decimal, ...],
    day: date,
    evidence: Evidence,
    counter: Counter | None,
) -> TaxDecision:
    case, country = CASES[name], supply.territory.country
    place = "DE" if name in AT_HOME | {"domestic", "small_business", "reverse_charge"} else country
    vat_id = vat_id_of(order) or ""
    answer = evidence.vat_ids.get(vat_id)
    words, words_de = (_words(supply, profile, rates, day, evidence, vat_id, german) for german in (False, True))
    if counter is not None:
        words, words_de = words | counter.words(german=False), words_de | counter.words(german=True)
    inputs = {
        "kind": supply.kind,
        "ship_to": country,
        "special": supply.territory.special,
        "regime": profile.regime,
        "oss_from": profile.oss_from.isoformat() if profile.oss_from else None,
        "vat_id": vat_id or None,
        "vat_id_answer": f"{answer.verdict} at {answer.asked_at.isoformat()}" if answer else None,
        "charged": "none" if supply.untaxed else words["rates"],
        "eu_sales": str(counter) if counter else None,
        "day": day.isoformat(),
    }
    return TaxDecision(
        rule=case.rule,
        rates=rates,
        place=place,
        reason=case.en.format(**words),
        reason_de=case.de.format(**words_de),
        source=case.source,
        counterfactual=_capital(case.otherwise_en.format(**words)),
        counterfactual_de=_capital(case.otherwise_de.format(**words_de)),
        case=name,
        inputs=tuple((key, value) for key, value in inputs.items() if value is not None),
        note=case.note_en.format(**words),
        note_de=case.note_de.format(**words_de),
    )


def _words(
    supply: Supply,
    profile: Profile,
    rates: tuple[Decimal, ...],
    day: date,
    evidence: Evidence,
    vat_id: str,
    german: bool,
) -> dict[str, str]:
    """What the templates of a case are filled with, in German or English."""
    country, special = supply.territory.country, supply.territory.special
    known, home = evidence.rates.on(country, day), RateTable().on("DE", day)
    assert home is not None

    def shown(rate: Decimal) -> str:
        return (percent(rate).replace(".", ",") if german else percent(rate)) + " %"

    unknown = "der Normalsatz von" if german else "the standard rate of"
    standard = shown(known.standard) if known else unknown
    at_home = f"{shown(home.standard)} DE"
    untaxed = "0 % (§19 UStG)" if profile.regime == "small_business" else at_home
    abroad = _declares_oss(profile, day) and known is not None and supply.kind != SERVICE
    return {
        "rates": ", ".join(shown(rate) for rate in rates),
        "place": (GERMAN.get(special, special) if german else special) if special else country,
        "standard": standard,
        "vat_id": vat_id,
        "consumer": f"{standard} {country}" if abroad else untaxed,
        "home": untaxed,
        "german": at_home,
        "german_reduced": shown(min(home.reduced)),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ask(code: str, message: str, order: Order) -> Problem:
    return Problem(code, message, (order.id,), _BY_HAND)


# -- what keeps any decision from being made ----------------------------------------------------------------------


def _regime(profile: Profile) -> list[Problem]:
    choices = ("use the supported value", "exclude the order")
    found = []
    if profile.country != "DE":
        found.append(Problem("PROFILE-UNSUPPORTED", f"regime {profile.regime} in {profile.country}", (), choices))
    return found


def foreign_money(order: Order, profile: Profile) -> list[Problem]:
    """CURRENCY where any amount is not plainly euros: then nothing may be posted, money lines included (2.4)."""
    if order.currency == profile.currency == order.presentment_currency == "EUR" and not order.foreign_money:
        return []
    message = f"shop currency {order.currency}, buyer paid in {order.presentment_currency}: only EUR is posted"
    return [Problem("CURRENCY", message, (order.id,), ("post by hand", "exclude the order"))]


def _seller(order: Order) -> list[Problem]:
    """Who sells, from where: marketplaces, estimates, cash rounding and foreign warehouses are not decided here."""
    found = []
    if order.merchant_of_record:
        found.append(_ask("TAX-CHANNEL", "another party is merchant of record", order))
    if order.estimated_taxes:
        found.append(_ask("TAX-ESTIMATED", "Shopify only estimated the taxes", order))
    if order.cash_rounding:
        found.append(_ask("CASH-ROUNDING", "the total was rounded for cash", order))
    for shipment in order.fulfilments:
        if shipment.origin_country not in (None, "DE"):
            message = f"shipped from {shipment.origin_country}"
            return [*found, Problem("TAX-SHIP-FROM", message, (shipment.id,), _BY_HAND)]
    return found


def _distinct(problems: list[Problem]) -> list[Problem]:
    """One problem per code and message, with all its facts."""
    merged: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = (problem.code, problem.message)
        known = merged.get(key)
        facts = problem.facts if known is None else known.facts + problem.facts
        merged[key] = Problem(problem.code, problem.message, facts, problem.choices)
    return list(merged.values())
