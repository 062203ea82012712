"""Cents: parsing, splitting, rounding (S148, P14)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.money import allocate, net_of_gross, round_half_away, tax_in_gross, to_decimal, to_minor
from ladenbuch.errors import Rejected


@pytest.mark.parametrize(("text", "minor"), [("11.90", 1190), ("0", 0), ("-5", -500), ("1e2", 10000), ("11.900", 1190)])
def test_to_minor_reads_decimal_strings(text, minor):
    assert to_minor(text) == minor


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "not an amount: ''"),
        ("abc", "not an amount: 'abc'"),
        ("1,50", "not an amount: '1,50'"),
        (None, "not an amount: 'None'"),
        ("x" * 50, f"not an amount: {'x' * 40!r}"),
        ("NaN", "not a plausible amount: 'NaN'"),
        ("Infinity", "not a plausible amount: 'Infinity'"),
        ("-Infinity", "not a plausible amount: '-Infinity'"),
        ("1e30", "not a plausible amount: '1e30'"),
        ("1000000000000000", "not a plausible amount: '1000000000000000'"),
        ("-1000000000000000", "not a plausible amount: '-1000000000000000'"),
        ("1" + "0" * 50, f"not a plausible amount: {'1' + '0' * 39!r}"),
        (11.9, "amount must be a decimal string, not float"),
        (True, "amount must be a decimal string, not bool"),
    ],
)
def test_to_minor_refuses_what_is_no_amount(bad, said):
    with pytest.raises(Rejected) as refused:
        to_minor(bad)
    assert (refused.value.code, refused.value.message) == ("MONEY-FORMAT", said)


def test_the_largest_amount_is_just_below_a_thousand_billions():
    assert to_minor("999999999999999.99") == 99999999999999999
    assert to_minor("-999999999999999.99") == -99999999999999999


def test_to_minor_refuses_a_fraction_of_a_cent():
    for amount, currency in (("0.005", "EUR"), ("0.5", "JPY"), ("0.0005", "KWD")):
        with pytest.raises(Rejected) as refused:
            to_minor(amount, currency)
        said = f"{amount} has a fraction of the smallest unit of {currency}"
        assert (refused.value.code, refused.value.message) == ("MONEY-PRECISION", said)


@pytest.mark.parametrize("currency", ["JPY", "KRW", "VND", "CLP", "ISK"])
def test_currencies_without_cents(currency):
    assert (to_minor("1190", currency), to_decimal(1190, currency)) == (1190, "1190")


@pytest.mark.parametrize("currency", ["BHD", "KWD", "TND"])
def test_currencies_with_thousandths(currency):
    assert (to_minor("11.905", currency), to_decimal(11905, currency)) == (11905, "11.905")


@pytest.mark.parametrize("currency", ["EUR", "USD", "CHF", "HUF", "XXX"])
def test_all_others_have_cents(currency):
    assert (to_minor("11.9", currency), to_decimal(1190, currency), to_decimal(0, currency)) == (1190, "11.90", "0.00")
    assert (to_decimal(5, currency), to_decimal(-5, currency)) == ("0.05", "-0.05")


@given(st.integers(-(10**12), 10**12))
def test_to_decimal_and_back(minor):
    assert to_minor(to_decimal(minor)) == minor


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_allocate_loses_no_cent(total, weights):
    if sum(weights) == 0:
        weights[0] = 1
    parts = allocate(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Decimal(total) * weight / sum(weights)) < 1


def test_allocate_gives_the_rest_to_the_largest_remainders_and_then_to_the_first():
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(200, [1, 1, 1]) == [67, 67, 66]
    assert allocate(10, [5, 2, 4]) == [4, 2, 4]  # 4.54, 1.82, 3.64
    assert allocate(-100, [1, 1, 1]) == [-34, -33, -33]
    assert allocate(1, [0, 1, 1]) == [0, 1, 0]
    assert allocate(0, [3, 4]) == [0, 0]


def test_allocate_needs_something_to_allocate_by():
    assert allocate(0, []) == [] and allocate(0, [0, 0]) == [0, 0]
    for total in (1, -1):
        with pytest.raises(Rejected) as refused:
            allocate(total, [0, 0])
        assert (refused.value.code, refused.value.message) == ("MONEY-WEIGHTS", "nothing to allocate by")
    with pytest.raises(Rejected) as refused:
        allocate(5, [2, -1])
    assert (refused.value.code, refused.value.message) == ("MONEY-WEIGHTS", "weights must not be negative")


def test_halves_round_away_from_zero():
    assert [round_half_away(Decimal(x)) for x in ("0.5", "1.5", "-0.5", "2.4999")] == [1, 2, -1, 2]


def test_half_cent_of_golden_document_g7():
    """G7: 9.99 at 20 % is net 8.33 (8.325 rounded half up), tax 1.66."""
    assert (net_of_gross(999, Decimal(20)), tax_in_gross(999, Decimal(20))) == (833, 166)
