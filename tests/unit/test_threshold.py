"""The threshold of 10,000 EUR for sales to EU consumers (UStG §3a (5) sentence 3, §3c (4); bookkeeping F20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ERIKA, PROFILE, T0, agreement, at, order, payment, sale, shipped
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.money import tax_in_gross
from ladenbuch.domain.order import Order, Sale
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.threshold import LIMIT, EuSale, count, counted, euros, overtaken
from ladenbuch.vat_rates import rate_table

PARIS = replace(ERIKA, country="FR", zip="75001")
YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sold(net: int, when: datetime, key: str = "", at_home: bool = True) -> EuSale:
    return EuSale(when, net, f"order {key}", key or f"{when.isoformat()} {net}", at_home)


# -- counting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "net", "exceeded"),
    [
        (0, LIMIT, None),
        (0, LIMIT + 1, (2026, LIMIT + 1)),
        (LIMIT - 1765, 1765, None),  # exactly 10,000.00 EUR is not exceeded
        (LIMIT - 1765, 1766, (2026, LIMIT + 1)),  # the crossing sale itself is taxed at its destination
        (LIMIT + 1, 1, (2026, LIMIT + 2)),
    ],
)
def test_f20_the_cent_that_passes_it(before: int, net: int, exceeded: tuple[int, int] | None) -> None:
    counter = count([sold(before, YEAR)], PROFILE, T0, net)
    assert (counter.year, counter.this_year, counter.last_year, counter.exceeded) == (2026, before + net, 0, exceeded)
    assert bool(counter.passed) == bool(exceeded)


@pytest.mark.parametrize(("before", "exceeded"), [(LIMIT, None), (LIMIT + 1, (2025, LIMIT + 1))])
def test_f20_the_year_before_counts(before: int, exceeded: tuple[int, int] | None) -> None:
    last, older = sold(before, YEAR - timedelta(days=1)), sold(LIMIT * 9, YEAR - timedelta(days=366))
    counter = count([last, older], PROFILE, T0, 1)
    assert (counter.this_year, counter.last_year, counter.exceeded) == (1, before, exceeded)


def test_the_year_is_that_of_the_books_time_zone() -> None:
    """23:30 UTC on 31 December belongs to January in Berlin (5.29)."""
    late = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert count([sold(700, late)], PROFILE, T0, 1).this_year == 701
    assert count([sold(700, late)], replace(PROFILE, time_zone="UTC"), T0, 1).last_year == 700
    assert count([], PROFILE, late, 1).year == 2026
    assert count([sold(700, late - timedelta(hours=1))], PROFILE, T0, 1).last_year == 700


def test_only_what_was_sold_up_to_the_tax_point_counts() -> None:
    """So that an order settled late is decided as it would have been in time (R1)."""
    later, same = sold(LIMIT, T0 + timedelta(microseconds=1)), sold(5, T0)
    assert count([later, same], PROFILE, T0, 1).this_year == 6


def test_figures_of_the_profile_count_from_the_beginning() -> None:
    profile = replace(PROFILE, eu_sales={"2025": 312_000, "2026": 120_000})
    counter = count([sold(1000, YEAR), sold(2000, YEAR - timedelta(days=2))], profile, T0, 10)
    assert (counter.this_year, counter.last_year) == (121_010, 314_000)
    assert count([], replace(PROFILE, eu_sales={"2025": LIMIT + 1}), T0, 1).exceeded == (2025, LIMIT + 1)
    assert count([], replace(PROFILE, eu_sales={"2026": LIMIT}), T0, 1).exceeded == (2026, LIMIT + 1)


def test_a_refund_makes_room_until_the_threshold_was_passed() -> None:
    """A credit note counts down; but what was passed once stays passed for the year and the next."""
    spring, summer = YEAR + timedelta(days=100), YEAR + timedelta(days=200)
    full = [sold(LIMIT, YEAR), sold(-5000, spring)]
    assert count(full, PROFILE, T0, 5000).exceeded is None
    over = [sold(LIMIT + 1, YEAR), sold(-5000, spring), sold(-LIMIT // 2, summer)]
    assert count(over, PROFILE, T0, 1).exceeded == (2026, LIMIT + 1)
    assert count(over, PROFILE, T0 + timedelta(days=365), 1).exceeded == (2026, LIMIT + 1)
    assert count(over, PROFILE, T0 + timedelta(days=730), 1).exceeded is None


SALES = st.lists(
    st.builds(
        sold,
        st.integers(-LIMIT // 3, LIMIT // 2),
        st.datetimes(datetime(2024, 11, 1), datetime(2027, 2, 1)).map(lambda one: one.replace(tzinfo=UTC)),
        at_home=st.booleans(),
    ),
    max_size=12,
)


@given(SALES, st.randoms(use_true_random=False), st.integers(0, LIMIT))
def test_the_order_in_which_they_are_read_does_not_count(sales: list[EuSale], chance: Random, net: int) -> None:
    mixed = list(sales)
    chance.shuffle(mixed)
    assert count(sales, PROFILE, T0, net) == count(mixed, PROFILE, T0, net)
    assert overtaken(sales, [PROFILE]) == overtaken(mixed, [PROFILE])


@given(SALES)
def test_overtaken_are_exactly_those_that_would_be_asked_about(sales: list[EuSale]) -> None:
    """Said twice: with all that is known now, which documents would not be written any more?"""
    ordered = sorted(sales, key=lambda one: (one.at, one.key))
    asked = [
        one
        for index, one in enumerate(ordered)
        if one.at_home and one.net > 0 and count(ordered[:index], PROFILE, one.at, one.net).exceeded
    ]
    assert overtaken(sales, [PROFILE]) == asked


def test_a_late_sale_overtakes_the_one_that_follows() -> None:
    first, second = sold(LIMIT - 10, YEAR, "a"), sold(10, YEAR + timedelta(days=9), "c")
    late = sold(1, YEAR + timedelta(days=5), "b")
    assert overtaken([first, second], [PROFILE]) == []
    assert overtaken([first, second, late], [PROFILE]) == [second]
    assert overtaken([first, replace(second, at_home=False), late], [PROFILE]) == []


def test_each_sale_is_held_against_the_profile_of_its_day() -> None:
    before = replace(PROFILE, version=1, eu_sales={"2026": LIMIT})
    after = replace(PROFILE, version=2, effective_from=T0)
    early, now = sold(10, YEAR), sold(10, T0)
    assert overtaken([early, now], [before, after]) == [early]


def test_figures_in_both_languages() -> None:
    assert (euros(341_200, german=False), euros(341_200, german=True)) == ("3,412.00", "3.412,00")
    assert (euros(5, german=False), euros(-123_456_789, german=True)) == ("0.05", "-1.234.567,89")
    assert str(count([sold(100, YEAR)], PROFILE, T0, 1)) == "1.01 in 2026, 0.00 in 2025"
    counter = count([], PROFILE, T0, LIMIT + 100)
    assert counter.passed == (
        "EU consumers bought for 1000100 minor units net in 2026, above the threshold: taxed at the destination"
    )


# -- through the plan ---------------------------------------------------------------------------------------------


def bought(gross: int = 1190, rate: str | None = "19", more: int = 0) -> Order:
    """A paid and shipped order to Paris, by default with German VAT; `more` was added and paid four hours later."""

    def one(number: int, total: int) -> Sale:
        return sale(number, total, {rate: tax_in_gross(total, Decimal(rate))} if rate else None)

    agreed = [agreement(1, T0, one(1, gross))]
    paid = [payment(9, gross, at(60))]
    if more:
        agreed.append(agreement(2, at(300), one(2, more), reason="ORDER_EDIT"))
        paid.append(payment(10, more, at(310)))
    return order(
        *agreed,
        shipping_address=PARIS,
        billing_address=PARIS,
        payments=tuple(paid),
        fulfilments=(shipped(3, at(60)),),
    )


def planned(made: Order, *sales: EuSale, books: Books | None = None, profile: Profile = PROFILE) -> Plan:
    evidence = Evidence(rate_table(), eu_sales=sales)
    return plan(facts_of(made), books or Books(), [profile], T0 + timedelta(days=2), evidence)


def documents(made: Plan) -> list[PostedDocument]:
    return [item.document for item in made.actions if item.kind in ("invoice", "credit_note") and item.document]


def test_f20_the_first_crossing_order_is_asked_about_and_never_taxed_at_home() -> None:
    below = planned(bought(), sold(LIMIT - 1000, YEAR))
    (document,) = documents(below)
    assert document.tax["case"] == "below_threshold"
    assert "(10,000.00 of 10,000 EUR in 2026)" in document.tax["reason"]
    assert "(10.000,00 von 10.000 EUR in 2026)" in document.tax["counterfactual_de"]
    assert document.tax["inputs"]["eu_sales"] == "10000.00 in 2026, 0.00 in 2025"
    above = planned(bought(), sold(LIMIT - 999, YEAR))
    assert documents(above) == []
    (asked,) = (item for item in above.attention if item.code == "TAX-THRESHOLD")
    assert asked.choices[0] == "register for OSS and set oss_from"
    assert asked.facts == ("gid://shopify/Order/5001",)


def test_a_pinned_decision_is_not_made_again() -> None:
    """P2: what was pinned below the threshold stays, whatever is known later."""
    (document,) = documents(planned(bought()))
    again = planned(bought(), sold(LIMIT, YEAR), books=Books(documents=(document,)))
    assert [item.code for item in again.attention] == []
    assert documents(again) == [document]


def test_an_oss_order_asks_no_counter() -> None:
    oss = replace(PROFILE, oss_from=date(2026, 1, 1))
    (document,) = documents(planned(bought(rate="20"), sold(LIMIT, YEAR), profile=oss))
    assert document.tax["case"] == "oss_goods"
    assert "eu_sales" not in document.tax["inputs"]


def test_the_order_itself_counts_when_something_is_added() -> None:
    """A supplementary invoice meets the first invoice of its order, which no other order's figures contain."""
    made = bought(more=1190)
    free = LIMIT - 2000
    assert len(documents(planned(made, sold(free, YEAR)))) == 2
    passed = planned(made, sold(free + 1, YEAR))
    assert [item.key for item in documents(passed)] == ["inv:5001:1"]
    assert "TAX-THRESHOLD" in {item.code for item in passed.attention}


# -- what a document counts ---------------------------------------------------------------------------------------


def test_documents_count_net_and_credit_notes_count_down() -> None:
    (document,) = documents(planned(bought(2380)))
    mine = counted(document, "gid://shopify/Order/5001")
    assert mine == EuSale(at(60), 2000, "gid://shopify/Order/5001", document.key, True)
    note = replace(document, kind="credit_note")
    assert counted(note, "o") == EuSale(at(60), -2000, "o", document.key, True)
    for case, net, home in (("oss_goods", 2000, False), ("oss_electronic", 2000, False)):
        assert counted(replace(document, tax={"case": case}), "o") == EuSale(at(60), net, "o", document.key, home)
    for case in ("domestic", "oss_services", "export", "intra_community", "small_business"):
        assert counted(replace(document, tax={"case": case}), "o") is None
    assert counted(replace(document, tax={}), "o") is None
    assert counted(replace(document, tax_point=None), "o") is None


def test_a_small_business_has_the_same_threshold() -> None:
    """3.3 no. 5: above it the sale is taxable abroad, where §19 does not help; its whole price is net."""
    small = replace(PROFILE, regime="small_business")
    untaxed = bought(rate=None)
    (document,) = documents(planned(untaxed, sold(LIMIT - 1190, YEAR), profile=small))
    assert (document.tax["case"], document.draft.tax_rule) == ("small_business_abroad", 11)
    mine = counted(document, "o")
    assert mine is not None and mine.net == 1190
    asked = planned(untaxed, sold(LIMIT - 1189, YEAR), profile=small)
    assert "TAX-THRESHOLD" in {item.code for item in asked.attention}
