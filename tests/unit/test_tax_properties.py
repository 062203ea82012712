"""Properties of the tax decision over orders, addresses and profiles that hypothesis makes up.

Whatever comes in: it never raises, decides or asks (never both), and loses no entry and no cent on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ERIKA, PROFILE, T0, agreement, order, sale, shipped
from ladenbuch.domain.evidence import Evidence, VatIdAnswer
from ladenbuch.domain.money import tax_in_gross
from ladenbuch.domain.order import Address, Company, Customer, Order, Sale
from ladenbuch.domain.positions import fold
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.rates import FORMER, RateTable
from ladenbuch.domain.supply import supplies_of
from ladenbuch.domain.tax import TaxedPart, decide_tax, german_rates, taxed_at_supply
from ladenbuch.domain.tax_cases import CASES
from ladenbuch.domain.territory import MEMBER_STATES, UNION, territory_of
from ladenbuch.vat_rates import rate_table

World = tuple[Order, Profile, datetime, Evidence]
_words = str.split
RATES = st.sampled_from(_words("0 2.1 4 4.9 5 5.5 6 7 7.7 8.5 9 10 12 13 13.5 16 17 19 20 21 22 23 24 25 25.5 27"))
COUNTRIES = st.sampled_from(
    [*sorted(MEMBER_STATES), *_words("CH GB XI NO US IM MC IC EA AX GP RE LI SM JE FO GL de"), "", "ZZ", None]
)
ZIPS = st.sampled_from(
    _words("20457 78266 8238 82380 27498 75001 97110 98000 20000 1010 6691 6991 35001 3500 51001 22100 00100 23041")
    + _words("63086 10557 9000-001 1000-205 3900 1050 BT1 SW1A 00184")
) | st.none() | st.text(max_size=8)  # fmt: skip
VAT_IDS = st.sampled_from(
    ["FR12345678901", "DE136695976", "XI123456789", "CHE123", "EL123456789", "fr 123 456", "", "-", "{place}"]
)
KINDS = st.sampled_from(["PRODUCT"] * 6 + _words("SHIPPING TIP GIFT_CARD DUTY FEE ADDITIONAL_FEE ADJUSTMENT UNKNOWN"))
DAYS = st.datetimes(datetime(2005, 1, 1), datetime(2027, 12, 31)).map(lambda one: one.replace(tzinfo=UTC)) | st.just(T0)
PLAIN = st.sampled_from(
    [("DE", "20457"), ("DE", "10115"), ("FR", "75001"), ("AT", "1010"), ("FI", "00100"), ("NL", "1012"), ("GB", "BT1"),
     ("CH", "8001"), ("US", "94105"), ("ES", "35001"), ("DE", "27498")]
).map(lambda one: replace(ERIKA, country=one[0], zip=one[1]))  # fmt: skip
ADDRESSES = st.none() | st.builds(lambda country, code: replace(ERIKA, country=country, zip=code), COUNTRIES, ZIPS)
PROFILES = st.builds(
    lambda **changes: replace(PROFILE, **changes),
    regime=st.sampled_from(["regular", "small_business"]),
    oss_from=st.sampled_from([None, date(2000, 1, 1)]) | st.dates(date(2020, 1, 1), date(2027, 1, 1)),
    unshipped=st.sampled_from(["unset", "electronic", "service", "service_at_place"]),
    reverse_charge=st.booleans(),
    tips=st.sampled_from(["taxed", "taxed", "unset", "staff"]),
    vouchers=st.sampled_from(["unset", "single_purpose", "multi_purpose"]),
    voucher_rate=st.sampled_from(["19", "7", "0"]),
    shipping_policy=st.sampled_from(["as_charged", "follow_goods"]),
)


@st.composite
def ledger(draw: st.DrawFn, pool: list[str], wild: bool) -> list[Sale]:
    """Entries at few rates, so that many orders can be decided; a wild one has anything in it."""
    rates = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=2, unique=True)) if pool else []
    sales = []
    for number in range(1, draw(st.integers(0 if wild else 1, 5)) + 1):
        free = not wild and draw(st.integers(0, 9)) == 0
        total = 0 if free else draw(st.integers(-2000, 5000) | st.just(0) if wild else st.integers(1, 5000))
        mine = draw(st.sampled_from([rates[:1], rates[-1:]]))
        if wild and draw(st.booleans()):
            mine = draw(st.lists(RATES, max_size=2))
        charged = {rate: tax_in_gross(total, Decimal(rate)) for rate in mine}
        if wild and draw(st.integers(0, 9)) == 0:
            charged = {draw(RATES): draw(st.integers(-500, 500))}
        kind = draw(KINDS if wild else st.sampled_from(["PRODUCT"] * 5 + ["SHIPPING", "TIP", "GIFT_CARD"]))
        if kind in ("TIP", "GIFT_CARD") and not wild:
            charged = {}
        line = str(draw(st.integers(1, 4))) if wild else None
        quantity = draw(st.sampled_from([1, 1, 2, 0, None, -1] if wild else [1, 2]))
        action = "ORDER" if total >= 0 else "RETURN"
        sales.append(sale(number, total, charged, kind=kind, line=line, quantity=quantity, action=action))
        if not wild and draw(st.integers(0, 7)) == 0:  # sold and taken back at once
            gone = sale(
                100 + number, -total, {rate: -tax for rate, tax in charged.items()}, line=str(number), kind=kind
            )
            sales.append(replace(gone, quantity=-quantity, action="RETURN", item_id=sales[-1].item_id))
    return sales


#: What belongs together, so that much is decided: places, whether OSS is declared, German rates, the place's, or none.
FITTING: dict[str, tuple[tuple[str, ...], bool, str]] = {
    "home": (("DE",), False, "german"),
    "oss": (("FR", "AT", "FI", "NL"), True, "local"),
    "below": (("FR", "AT", "FI", "NL"), False, "german"),
    "small": (("FR", "AT", "FI", "NL"), False, "none"),
    "third": (("CH", "US"), False, "none"),
    "business": (("FR", "AT", "FI", "NL"), False, "none"),
    "recipient": (("DE",), False, "none"),
}
CODES = {"DE": "20457", "FR": "75001", "AT": "1010", "FI": "00100", "NL": "1012", "CH": "8001", "US": "94105"}


@st.composite
def fitting(draw: st.DrawFn) -> World:
    """An order whose place, rates and profile fit together."""
    name = draw(st.sampled_from(sorted(FITTING)))
    countries, oss, whose = FITTING[name]
    country = draw(st.sampled_from(countries))
    where = replace(ERIKA, country=country, zip=CODES[country])
    rates = rate_table().on(country, T0.date())
    local = [f"{rate.normalize():f}" for rate in sorted(rates.lawful)] if rates else []
    sales = draw(ledger({"german": ["19", "7"], "local": local, "none": []}[whose], False))
    made = order(agreement(1, T0, *sales), shipping_address=where, billing_address=where)
    vat_id = "FR12345678901"
    if name in ("business", "recipient"):
        made = replace(made, company=Company("gid://shopify/Company/1", "AG", tax_registration_id=vat_id))
    ships = draw(st.sampled_from([(True,) * 5, (False,) * 5, (True, False, True, False, True)]))
    lines = tuple(replace(line, requires_shipping=ships[at % 5]) for at, line in enumerate(made.lines))
    profile = replace(
        draw(PROFILES),
        regime="small_business" if name == "small" else "regular",
        oss_from=date(2000, 1, 1) if oss else None,
        reverse_charge=name == "recipient",
        tips="taxed",
        vouchers="single_purpose",
        shipping_policy="follow_goods",
    )
    answers = {vat_id: VatIdAnswer(vat_id, "valid", T0)}
    return replace(made, lines=lines), profile, T0, Evidence(rate_table(), answers)


@st.composite
def any_world(draw: st.DrawFn) -> World:
    """An order with everything a decision looks at: mostly plain, one in four wild."""
    wild = draw(st.integers(0, 3)) == 0
    where = draw(ADDRESSES if wild else PLAIN)
    known = rate_table().on(where.country or "", T0.date()) if where is not None else None
    pools = [["19", "7"], [], [f"{rate.normalize():f}" for rate in sorted(known.lawful)] if known else []]
    sales = draw(ledger(draw(st.sampled_from(pools)), wild))
    cut = draw(st.integers(0, len(sales)))
    vat_id = draw(VAT_IDS)
    given_id = draw(st.sampled_from(["none", "none", "none", "company", "customer", "attribute"]))
    other = Company("gid://shopify/Company/1", "AG") if draw(st.integers(0, 7)) == 0 else None
    buying = Company("gid://shopify/Company/1", "AG", tax_registration_id=vat_id) if given_id == "company" else other
    changes: dict[str, Any] = {
        "shipping_address": where,
        "billing_address": draw(ADDRESSES | PLAIN) if draw(st.integers(0, 4)) == 0 else where,
        "company": buying,
        "customer": Customer("gid://shopify/Customer/1", tax_id=vat_id if given_id == "customer" else None),
        "custom_attributes": (("VAT ID", vat_id),) if given_id == "attribute" else (),
    }
    odd: list[dict[str, Any]] = [
        {}, {}, {"tax_exempt": True}, {"estimated_taxes": True}, {"merchant_of_record": "app"}, {"cash_rounding": 1},
        {"fulfilments": (shipped(3, T0, "PL"),)}, {"presentment_currency": "CHF"},
    ]  # fmt: skip
    made = order(agreement(1, T0, *sales[:cut]), agreement(2, T0, *sales[cut:], reason="ORDER_EDIT"))
    every = order(agreement(1, T0, *(one for one in sales if one.action == "ORDER")))
    made = replace(made, **(changes | (draw(st.sampled_from(odd)) if wild else {})))
    ships = draw(st.lists(st.booleans(), min_size=5, max_size=5))
    lines = tuple(replace(line, requires_shipping=ships[at % 5]) for at, line in enumerate(every.lines))
    plain = "".join(char for char in vat_id if char.isalnum()).upper()
    verdict = draw(st.sampled_from(["valid", "valid", "invalid", "unavailable", None]))
    answers = {plain: VatIdAnswer(plain, verdict, T0)} if verdict else {}
    table = RateTable() if wild and draw(st.booleans()) else rate_table()
    return replace(made, lines=lines), draw(PROFILES), draw(DAYS if wild else st.just(T0)), Evidence(table, answers)


def worlds() -> st.SearchStrategy[World]:
    """Orders that fit and orders that do not."""
    return fitting() | any_world()


def entries(made: Order) -> list[Sale]:
    return [one for item in made.agreements for one in item.sales]


def governed(part: TaxedPart) -> list[Sale]:
    return [one for item in part.agreements for one in item.sales]


def test_the_worlds_reach_every_case() -> None:
    """Otherwise the properties below would say little."""
    reached: Counter[str] = Counter()

    @settings(max_examples=1500, deadline=None, database=None, derandomize=True)
    @given(worlds())
    def look(world: World) -> None:
        made, profile, when, evidence = world
        parts, _ = decide_tax(made, made.agreements, profile, when, evidence)
        reached["two documents"] += len(parts) > 1
        reached["asked"] += not parts
        for part in parts:
            reached[part.decision.case] += any(one.total for one in governed(part))

    look()
    assert all(reached[case] for case in (*CASES, "two documents", "asked")), reached


@settings(max_examples=600, deadline=None)
@given(worlds())
def test_it_decides_or_asks_and_loses_nothing(world: World) -> None:
    made, profile, when, evidence = world
    parts, problems = decide_tax(made, made.agreements, profile, when, evidence)
    assert bool(parts) != bool(problems)
    taxed_at_supply(made, made.agreements, profile)  # never raises either
    for problem in problems:
        assert problem.message and problem.choices
    if not parts:
        return
    assert Counter(one.id for part in parts for one in governed(part)) == Counter(one.id for one in entries(made))
    assert {one.id: one.total for part in parts for one in governed(part)} == {
        one.id: one.total for one in entries(made)
    }
    assert len({part.decision.case for part in parts}) == len(parts)
    day = profile.local_date(when)
    for part in parts:
        decision = part.decision
        case = CASES[decision.case]
        assert decision.rule == case.rule
        rates = set(decision.rates)
        if case.zero:
            assert rates <= {Decimal(0)}
            assert {tax.rate for one in governed(part) for tax in one.taxes} <= {Decimal(0)}
            assert not any(one.tax for one in governed(part))
        elif decision.case.startswith("oss_"):
            known = evidence.rates.on(decision.place, day)
            assert known is not None and rates <= known.lawful
            assert profile.oss_from is not None and profile.oss_from <= day
        else:
            assert rates <= german_rates(day) and decision.place == "DE"
            assert profile.regime == "regular"
        for text in (decision.reason, decision.reason_de, decision.counterfactual, decision.counterfactual_de):
            assert text and "None" not in text
            assert "{" not in text


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_what_is_exempt_was_untaxed_and_what_is_taxed_stays_what_was_paid(world: World) -> None:
    """Tax is never invented nor dropped: only tips, vouchers and followed shipping are taxed otherwise than charged."""
    made, profile, when, evidence = world
    parts, _ = decide_tax(made, made.agreements, profile, when, evidence)
    charged = {one.id: one for one in entries(made)}
    for part in parts:
        untaxed = CASES[part.decision.case].zero
        for one in governed(part):
            before = charged[one.id]
            if untaxed and before.total and before.line_type == "PRODUCT":
                assert before.tax == 0
            elif not untaxed and before.line_type == "PRODUCT":
                assert (one.tax, {tax.rate for tax in one.taxes}) == (before.tax, {tax.rate for tax in before.taxes})


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_each_part_folds_into_positions_or_asks(world: World) -> None:
    """The gross of the documents is the gross of the ledger."""
    made, profile, when, evidence = world
    parts, _ = decide_tax(made, made.agreements, profile, when, evidence)
    for part in parts:
        folded, asked = fold(made, part.agreements)
        assert (folded is None) == bool(asked)
        if folded is not None:
            assert sum(gross for _, gross in folded.claim) == sum(one.total for one in governed(part))
            assert {rate for rate, gross in folded.claim if gross} <= set(part.decision.rates)


@given(st.sampled_from(sorted(MEMBER_STATES - {"DE", "DK"})), st.integers(100, 9999), st.data())
def test_a_rate_of_another_country_is_noticed(country: str, gross: int, data: st.DataObject) -> None:
    """OSS: a rate is taken exactly where it is law; exchanging two rates of two countries is asked about."""
    rates = rate_table().on(country, T0.date())
    assert rates is not None
    rate = data.draw(RATES)
    profile = replace(PROFILE, oss_from=date(2020, 1, 1))
    code = {"AT": "1010", "PT": "1000-205"}.get(country, "10557")
    to = replace(ERIKA, country=country, zip=code)
    made = order(
        agreement(1, T0, sale(1, gross, {rate: tax_in_gross(gross, Decimal(rate))})),
        shipping_address=to,
        billing_address=to,
    )
    parts, problems = decide_tax(made, made.agreements, profile, T0, Evidence(rate_table()))
    assert bool(parts) == (Decimal(rate) in rates.lawful)
    assert {item.code for item in problems} <= {"TAX-RATE", "TAX-ZERO"}


@given(st.sampled_from([(land, index) for land, rows in sorted(FORMER.items()) for index in range(len(rows))]))
def test_moving_the_date_over_a_change_is_noticed(change: tuple[str, int]) -> None:
    """A rate that ended is refused from its last midnight on, in the time zone of the books."""
    country, index = change
    until, before = FORMER[country][index]
    after = rate_table().on(country, until)
    assert after is not None
    assert before.lawful != after.lawful
    profile = replace(PROFILE, oss_from=date(2020, 1, 1))
    to = replace(ERIKA, country=country, zip="1010" if country == "AT" else "10557")
    midnight = datetime(until.year, until.month, until.day, tzinfo=profile.zone)
    for rates, gone in ((before.lawful - after.lawful, True), (after.lawful - before.lawful, False)):
        for rate in rates:
            charged = {f"{rate.normalize():f}": tax_in_gross(1000, rate)}
            made = order(agreement(1, T0, sale(1, 1000, charged)), shipping_address=to, billing_address=to)
            for when, known in ((midnight - timedelta(microseconds=1), gone), (midnight, not gone)):
                parts, problems = decide_tax(made, made.agreements, profile, when, Evidence(rate_table()))
                assert bool(parts) == known
                assert [item.code for item in problems] == ([] if known else ["TAX-RATE"])


@given(COUNTRIES, ZIPS, st.booleans())
def test_every_address_has_one_territory_or_none(country: str | None, code: str | None, goods: bool) -> None:
    place = territory_of(Address(zip=code, country=country), goods=goods)
    assert (place is None) == (not country)
    if place is not None and place.status == UNION:
        assert place.country in MEMBER_STATES | {"XI"}
        assert rate_table().on(place.country, T0.date()) is not None


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_supplies_hold_every_entry_once(world: World) -> None:
    made, profile, _, _ = world
    supplies, problems = supplies_of(made, made.agreements, profile)
    assert bool(supplies) != bool(problems)
    if supplies:
        grouped = Counter(one.id for supply in supplies for one in supply.sales)
        assert grouped == Counter(one.id for one in entries(made))
