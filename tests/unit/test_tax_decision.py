"""What a decision says in full: its inputs, what it taxes otherwise than the shop, and every refusal word for word.

The dashboard recognises refusals by their message (web/codes), and answers are bound to their facts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import ERIKA, PROFILE, T0, agreement, at, order, sale, shipped
from ladenbuch.domain.evidence import Evidence, VatIdAnswer
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.order import Address, Company, Order, SaleTax
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.tax import TaxDecision, TaxedPart, decide_tax, german_rates, taxed_as, taxed_at_supply
from ladenbuch.vat_rates import rate_table

PARIS, ZUERICH = replace(ERIKA, country="FR", zip="75001"), replace(ERIKA, country="CH", zip="8001")
OSS = replace(PROFILE, oss_from=date(2026, 1, 1))
SMALL = replace(PROFILE, regime="small_business")
ID = "gid://shopify/Order/5001"
BY_HAND = ("decide the tax rule by hand", "exclude the order")
D19, D7, D20 = Decimal(19), Decimal(7), Decimal(20)


def sold(taxes: dict[str, int] | None = None, to: Address | None = ERIKA, *, ships: bool = True, **more: Any) -> Order:
    """One thing for 11.90 to an address."""
    made = order(agreement(1, T0, sale(1, 1190, taxes)), shipping_address=to, billing_address=to, **more)
    return replace(made, lines=tuple(replace(line, requires_shipping=ships) for line in made.lines))


def decide(
    made: Order, profile: Profile = PROFILE, when: datetime = T0, **verdicts: str
) -> tuple[tuple[TaxedPart, ...], list[Problem]]:
    answers = {name: VatIdAnswer(name, verdict, at(-60)) for name, verdict in verdicts.items()}
    return decide_tax(made, made.agreements, profile, when, Evidence(rate_table(), answers))


def decision(made: Order, profile: Profile = PROFILE, **verdicts: str) -> TaxDecision:
    ((part,), problems) = decide(made, profile, **verdicts)
    assert problems == []
    return part.decision


def company(vat_id: str | None = "FR12345678901") -> Company:
    return Company("gid://shopify/Company/1", "Muster SARL", tax_registration_id=vat_id)


# -- what it rests on ---------------------------------------------------------------------------------------------


def test_the_inputs_of_a_decision_at_home() -> None:
    assert dict(decision(sold({"19": 190})).inputs) == {
        "kind": "goods", "ship_to": "DE", "regime": "regular", "charged": "19 %", "day": "2026-11-20",
    }  # fmt: skip


def test_the_inputs_of_a_decision_abroad() -> None:
    made = sold({"20": 198}, replace(PARIS, country="MC", zip="98000"), ships=False)
    assert dict(decision(made, replace(OSS, unshipped="electronic")).inputs) == {
        "kind": "electronic", "ship_to": "FR", "special": "Monaco", "regime": "regular", "oss_from": "2026-01-01",
        "charged": "20 %", "day": "2026-11-20",
    }  # fmt: skip
    assert decision(made, replace(OSS, unshipped="electronic")).place == "FR"


def test_the_inputs_of_a_decision_about_a_business() -> None:
    assert dict(decision(sold(None, PARIS, company=company()), FR12345678901="valid").inputs) == {
        "kind": "goods", "ship_to": "FR", "regime": "regular", "vat_id": "FR12345678901",
        "vat_id_answer": "valid at 2026-11-20T08:00:00+00:00", "charged": "none", "day": "2026-11-20",
    }  # fmt: skip


def test_the_inputs_of_a_decision_of_a_small_business() -> None:
    assert dict(decision(sold(None), SMALL).inputs) == {
        "kind": "goods", "ship_to": "DE", "regime": "small_business", "charged": "none", "day": "2026-11-20",
    }  # fmt: skip
    assert dict(decision(sold(None, PARIS), SMALL).inputs)["eu_sales"] == "11.90 in 2026, 0.00 in 2025"


def test_the_day_is_that_of_the_books() -> None:
    """23:30 UTC belongs to the next day in Berlin (5.29)."""
    ((part,), _) = decide(sold({"19": 190}), when=datetime(2026, 11, 19, 23, 30, tzinfo=UTC))
    assert dict(part.decision.inputs)["day"] == "2026-11-20"


def test_places_of_each_case() -> None:
    assert decision(sold({"19": 190}, PARIS)).place == "DE"
    assert decision(sold(None, PARIS), SMALL).place == "DE"
    assert decision(sold(None), SMALL).place == "DE"
    assert decision(sold(None, ZUERICH)).place == "CH"
    home = sold(None, company=company("DE136695976"))
    assert decision(home, replace(PROFILE, reverse_charge=True)).place == "DE"


# -- what it taxes otherwise --------------------------------------------------------------------------------------


def test_what_the_shop_taxed_as_decided_is_not_overridden() -> None:
    made = order(agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 490, {"19": 78}, kind="SHIPPING")))
    ((part,), _) = decide(made)
    assert (part.agreements, part.override, part.decision.rates) == (made.agreements, (), (D19,))


def test_a_tip_is_taxed_at_the_main_rate_and_says_so() -> None:
    made = order(
        agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 1070, {"7": 70}), sale(3, 595, kind="TIP")),
    )
    ((part,), _) = decide(made, replace(PROFILE, tips="taxed"))
    assert part.override == (("gid://shopify/Sale/3", ((D19, 95),)),)
    tip = part.agreements[0].sales[2]
    assert (tip.tax, tip.taxes) == (95, (SaleTax(95, D19),))
    assert part.agreements[0].sales[:2] == made.agreements[0].sales[:2]
    assert part.decision.rates == (D19, D7)


def test_several_tax_lines_of_one_rate_are_one() -> None:
    """A shop may split one rate over two lines; that is no other tax."""
    twice = replace(sale(1, 1190), taxes=(SaleTax(100, D19), SaleTax(90, D19)), tax=190)
    ((part,), _) = decide(order(agreement(1, T0, twice)))
    assert part.override == () and part.agreements[0].sales == (twice,)


def test_each_document_holds_its_own_entries_and_no_empty_agreement() -> None:
    goods, file = sale(1, 1200, {"20": 200}), sale(2, 600, {"20": 100})
    more = sale(3, 240, {"20": 40}, line="2")
    made = order(
        agreement(1, T0, goods, file), agreement(2, at(1), more, reason="ORDER_EDIT"),
        shipping_address=PARIS, billing_address=PARIS,
    )  # fmt: skip
    lines = tuple(replace(line, requires_shipping=line.id.endswith("/1")) for line in made.lines)
    parts, problems = decide(replace(made, lines=lines), replace(OSS, unshipped="electronic"))
    assert problems == []
    assert [[[one.id for one in item.sales] for item in part.agreements] for part in parts] == [
        [["gid://shopify/Sale/1"]],
        [["gid://shopify/Sale/2"], ["gid://shopify/Sale/3"]],
    ]


def test_rates_of_one_document_from_two_kinds_of_supply() -> None:
    """Goods at one rate and a download at another, both below the threshold: one document with both, highest first."""
    made = order(
        agreement(1, T0, sale(1, 1070, {"7": 70}), sale(2, 1190, {"19": 190})),
        shipping_address=PARIS, billing_address=PARIS,
    )  # fmt: skip
    lines = tuple(replace(line, requires_shipping=line.id.endswith("/1")) for line in made.lines)
    one = decision(replace(made, lines=lines), replace(PROFILE, unshipped="electronic"))
    assert one.rates == (D19, D7)
    assert "(20.00 of 10,000 EUR in 2026)" in one.reason


def test_free_things_show_their_rate_and_free_shipping_none() -> None:
    free = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 0, {"7": 0}), sale(3, 0, {"7": 0}, kind="SHIPPING"))
    assert decision(order(free)).rates == (D19, D7)
    gone = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(3, 0, {"7": 0}, kind="SHIPPING"))
    assert decision(order(gone)).rates == (D19,)
    taken = agreement(
        1, T0, sale(1, 1190, {"19": 190}), sale(2, 0, {"7": 0}, quantity=0), sale(4, 0, {"7": 0}, quantity=None)
    )
    assert decision(order(taken)).rates == (D19,)


def test_other_taxes_on_an_entry() -> None:
    one = taxed_as(sale(1, 1190), ((D19, 100), (D7, 20)))
    assert (one.taxes, one.tax, one.total) == ((SaleTax(100, D19), SaleTax(20, D7)), 120, 1190)


# -- rates and dates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "rates"),
    [
        (date(2006, 12, 31), ()),
        (date(2007, 1, 1), (19, 7)),
        (date(2020, 6, 30), (19, 7)),
        (date(2020, 7, 1), (16, 5)),
        (date(2020, 12, 31), (16, 5)),
        (date(2021, 1, 1), (19, 7)),
        (date(2022, 12, 31), (19, 7)),
        (date(2023, 1, 1), (19, 7, 0)),
    ],
)
def test_german_rates_by_day(day: date, rates: tuple[int, ...]) -> None:
    assert german_rates(day) == frozenset(Decimal(rate) for rate in rates)


def test_oss_holds_from_its_day_on() -> None:
    for when, found in ((T0, "oss_goods"), (T0 + timedelta(days=1), "oss_goods"), (T0 - timedelta(days=1), None)):
        profile = replace(PROFILE, oss_from=date(2026, 11, 20))
        parts, problems = decide(sold({"20": 198}, PARIS), profile, when)
        assert [part.decision.case for part in parts] == ([found] if found else [])
        assert bool(problems) == (found is None)


def test_exemptions_wait_for_the_shipment() -> None:
    """3.1: what is exempt because of its way is taxed when it goes; a small business has nothing to wait for."""
    for made, waits in (
        (sold(None, ZUERICH), True), (sold(None, PARIS, company=company()), True), (sold({"19": 190}, PARIS), False),
        (sold({"19": 190}), False), (sold(None), False), (sold(None, ZUERICH, ships=False), True),
    ):  # fmt: skip
        assert taxed_at_supply(made, made.agreements, replace(PROFILE, unshipped="electronic")) is waits
        assert not taxed_at_supply(made, made.agreements, replace(SMALL, unshipped="electronic"))


# -- refusals -----------------------------------------------------------------------------------------------------

FOREIGN = "the destination is {}, and tax was charged: no rule of ours covers it"
REFUSALS: list[tuple[Order, Profile, dict[str, str], str, str]] = [
    (sold({"22": 215}, replace(ERIKA, country="PT", zip="9000-001")), OSS, {}, "TAX-PLACE",
     "Madeira has VAT rates of its own"),
    (sold({"21": 207}, replace(ERIKA, country="ES", zip=None)), OSS, {}, "TAX-PLACE",
     "the postal code does not tell which VAT area of ES it is in"),
    (sold({"8.1": 89}, ZUERICH), PROFILE, {}, "TAX-FOREIGN", FOREIGN.format("CH")),
    (sold({"19": 190}, replace(ERIKA, zip="27498")), PROFILE, {}, "TAX-FOREIGN",
     "Helgoland lies outside the EU's VAT area, and tax was charged: no rule of ours covers it"),
    (sold({"20": 198}, PARIS), PROFILE, {}, "TAX-FOREIGN",
     "the destination is FR: its VAT was charged without an OSS registration"),
    (sold({"20": 198}, PARIS, ships=False), replace(PROFILE, unshipped="service_at_place"), {}, "TAX-FOREIGN",
     "a service used in FR is taxed there from the first euro, without an OSS registration"),
    (sold({"19": 190}), SMALL, {}, "TAX-SMALL-BUSINESS",
     "a small business charged VAT, which it would owe (§14c UStG)"),
    (sold(None, PARIS, company=company(None)), PROFILE, {}, "VAT-ID-MISSING",
     "an EU company was charged no tax and gave no VAT id"),
    (sold(None, PARIS, company=company()), PROFILE, {}, "VAT-ID-UNCHECKED",
     "the VAT id could not be checked yet; that is not invalid"),
    (sold(None, PARIS, company=company()), PROFILE, {"FR12345678901": "unavailable"}, "VAT-ID-UNAVAILABLE",
     "the VAT id could not be checked yet; that is not invalid"),
    (sold(None, PARIS, company=company()), PROFILE, {"FR12345678901": "invalid"}, "VAT-ID-INVALID",
     "no tax was charged, and the VAT id is invalid"),
    (sold(None, PARIS, company=company("DE136695976")), PROFILE, {"DE136695976": "valid"}, "VAT-ID-INVALID",
     "no tax was charged, and the VAT id is not of another member state"),
    (sold({"20": 198}, PARIS, company=company()), OSS, {"FR12345678901": "valid"}, "TAX-CONFLICT",
     "tax was charged although the buyer has a valid VAT id"),
    (sold({"19": 190}, merchant_of_record="gid://shopify/App/1"), PROFILE, {}, "TAX-CHANNEL",
     "another party is merchant of record"),
    (sold({"19": 190}, estimated_taxes=True), PROFILE, {}, "TAX-ESTIMATED", "Shopify only estimated the taxes"),
    (sold({"19": 190}, cash_rounding=1), PROFILE, {}, "CASH-ROUNDING", "the total was rounded for cash"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "profile", "verdicts", "code", "message"), REFUSALS, ids=lambda one: str(one)[:40])
def test_each_refusal_word_for_word(
    made: Order, profile: Profile, verdicts: dict[str, str], code: str, message: str
) -> None:
    assert decide(made, profile, **verdicts) == ((), [Problem(code, message, (ID,), BY_HAND)])


def test_rates_nobody_knows() -> None:
    made = sold({"20": 198}, PARIS)
    problems = decide_tax(made, made.agreements, OSS, T0)[1]
    assert problems[0] == Problem("TAX-RATE", "the VAT rates of FR are not known", (ID,), BY_HAND)


def test_what_a_rate_was_not() -> None:
    choices = ("correct the shop", "exclude the order")
    for made, profile, said in (
        (sold({"16": 164}), PROFILE, "16 % was not a German rate on that day"),
        (sold({"19": 190}, PARIS), OSS, "19 % was not a rate of FR on that day"),
    ):
        assert decide(made, profile) == ((), [Problem("TAX-RATE", said, ("gid://shopify/Sale/1",), choices)])


def test_a_parcel_from_abroad_names_the_first_such_shipment() -> None:
    here, there = shipped(3, at(60)), shipped(4, at(70), "PL")
    unknown = shipped(5, at(50), None)
    made = sold({"19": 190}, fulfilments=(unknown, here, there, shipped(6, at(80), "CZ")))
    assert decide(made)[1] == [Problem("TAX-SHIP-FROM", "shipped from PL", (there.id,), BY_HAND)]
    both = replace(made, estimated_taxes=True)
    assert [item.code for item in decide(both)[1]] == ["TAX-ESTIMATED", "TAX-SHIP-FROM"]
    assert decide(replace(made, fulfilments=(unknown, here)))[1] == []


def test_money_that_is_not_euros() -> None:
    choices = ("post by hand", "exclude the order")
    for changes, said in (
        ({"presentment_currency": "CHF"}, "shop currency EUR, buyer paid in CHF: only EUR is posted"),
        (
            {"currency": "CHF", "presentment_currency": "CHF"},
            "shop currency CHF, buyer paid in CHF: only EUR is posted",
        ),
        ({"foreign_money": True}, "shop currency EUR, buyer paid in EUR: only EUR is posted"),
    ):
        assert decide(sold({"19": 190}, **changes))[1] == [Problem("CURRENCY", said, (ID,), choices)]
    profile = replace(PROFILE, currency="CHF")
    assert [item.code for item in decide(sold({"19": 190}), profile)[1]] == ["CURRENCY"]


def test_a_seller_in_another_country() -> None:
    choices = ("use the supported value", "exclude the order")
    for regime in ("regular", "small_business"):
        problems = decide(sold(None), replace(PROFILE, country="AT", regime=regime))[1]
        assert problems[0] == Problem("PROFILE-UNSUPPORTED", f"regime {regime} in AT", (), choices)


def test_the_same_doubt_about_two_entries_is_one_question() -> None:
    made = order(agreement(1, T0, sale(1, 1190, {"16": 164}), sale(2, 500, {"16": 69}), sale(3, 500, {"5": 24})))
    facts = [(item.message, item.facts) for item in decide(made)[1]]
    assert facts == [
        ("16 % was not a German rate on that day", ("gid://shopify/Sale/1", "gid://shopify/Sale/2")),
        ("5 % was not a German rate on that day", ("gid://shopify/Sale/3",)),
    ]


def test_profile_currency_and_seller_come_before_the_goods() -> None:
    made = sold({"16": 164}, estimated_taxes=True, presentment_currency="CHF")
    codes = [item.code for item in decide(made, replace(PROFILE, country="AT"))[1]]
    assert codes == ["PROFILE-UNSUPPORTED", "CURRENCY", "TAX-ESTIMATED", "TAX-RATE"]
