"""Today's rates from the package, as exact decimals; what was before is ours and must be another thing."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

from ladenbuch.domain.rates import FORMER, Rates
from ladenbuch.domain.territory import MEMBER_STATES
from ladenbuch.vat_rates import data_version, rate_table

TODAY = date(2026, 11, 22)


def test_every_member_state_and_northern_ireland_are_known() -> None:
    assert set(rate_table().current) == MEMBER_STATES | {"XI"}
    for country, rates in rate_table().current.items():
        assert Decimal(15) <= rates.standard <= Decimal(27), country
        assert all(Decimal(0) < rate < rates.standard for rate in rates.reduced), country


def test_the_rates_are_exact_and_as_they_are_written_elsewhere() -> None:
    table = rate_table()
    assert table.on("DE", TODAY) == Rates.of("19", "7")
    assert table.on("FI", TODAY) == Rates.of("25.5", "10", "13.5")
    assert table.on("DK", TODAY) == Rates.of("25")
    assert table.on("LU", TODAY) == Rates.of("17", "14", "8", "3"), "super-reduced and parking rates too"
    for rates in table.current.values():
        for rate in rates.lawful:
            assert str(rate) == f"{rate.normalize():f}"
            assert rate == rate.quantize(Decimal("0.01"))


def test_a_former_rate_is_not_the_current_one() -> None:
    """A row of FORMER that equals today's was forgotten when its date came, or the package is behind."""
    for country, ended in FORMER.items():
        assert ended[-1][1] != rate_table().current[country], country
        assert [until for until, _ in ended] == sorted(until for until, _ in ended)


def test_a_day_before_a_change_has_the_rate_of_that_day() -> None:
    assert rate_table().on("FI", date(2024, 8, 31)) == Rates.of("24", "14", "10")
    assert rate_table().on("DE", date(2020, 12, 31)) == Rates.of("16", "5")
    assert rate_table().on("DE", date(2021, 1, 1)) == Rates.of("19", "7")


def test_the_data_says_how_old_it_is() -> None:
    assert date.fromisoformat(data_version()) >= date(2026, 1, 1)


def test_it_is_read_once_and_only_when_asked_for() -> None:
    assert rate_table() is rate_table()
    code = "import sys, ladenbuch.vat_rates; print('eu_vat_rates_data' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
