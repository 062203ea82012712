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


@pytest.mark.parametrize("bad", ["", "abc", "NaN", "Infinity", "1,50", 11.9, True, "1e30", None])
def test_to_minor_refuses_what_is_no_amount(bad):
    with pytest.raises(Rejected) as refused:
        to_minor(bad)
    assert refused.value.code == "MONEY-FORMAT"


def test_to_minor_refuses_a_fraction_of_a_cent():
    with pytest.raises(Rejected) as refused:
        to_minor("0.005")
    assert refused.value.code == "MONEY-PRECISION"


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


def test_halves_round_away_from_zero():
    assert [round_half_away(Decimal(x)) for x in ("0.5", "1.5", "-0.5", "2.4999")] == [1, 2, -1, 2]


def test_half_cent_of_golden_document_g7():
    """G7: 9.99 at 20 % is net 8.33 (8.325 rounded half up), tax 1.66."""
    assert (net_of_gross(999, Decimal(20)), tax_in_gross(999, Decimal(20))) == (833, 166)
