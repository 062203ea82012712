"""Value added tax rates of the member states by date, as a value. Who fills it from the library is outside.

A library knows the rates of today; what they were before a change is the small table here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Rates:
    """What a country charges, in percent: the standard rate and the reduced ones."""

    standard: Decimal
    reduced: frozenset[Decimal] = frozenset()

    @property
    def lawful(self) -> frozenset[Decimal]:
        """Every rate above zero; a zero needs a reason of its own."""
        return self.reduced | {self.standard}

    @classmethod
    def of(cls, standard: str, *reduced: str) -> Rates:
        """Rates from decimal text."""
        return cls(Decimal(standard), frozenset(Decimal(rate) for rate in reduced))


#: Rates that were in force until the day before the date (national laws; the Commission's Taxes in Europe database).
FORMER: Mapping[str, tuple[tuple[date, Rates], ...]] = MappingProxyType(
    {
        "AT": ((date(2026, 7, 1), Rates.of("20", "13", "10")),),
        "CZ": ((date(2024, 1, 1), Rates.of("21", "15", "10")),),
        "DE": ((date(2020, 7, 1), Rates.of("19", "7")), (date(2021, 1, 1), Rates.of("16", "5"))),
        "EE": (
            (date(2024, 1, 1), Rates.of("20", "9", "5")),
            (date(2025, 1, 1), Rates.of("22", "9", "5")),
            (date(2025, 7, 1), Rates.of("22", "9", "13")),
        ),
        "FI": (
            (date(2024, 9, 1), Rates.of("24", "14", "10")),
            (date(2026, 1, 1), Rates.of("25.5", "14", "10")),
        ),
        "LT": ((date(2026, 1, 1), Rates.of("21", "9", "5")),),
        "LU": ((date(2023, 1, 1), Rates.of("17", "14", "8", "3")), (date(2024, 1, 1), Rates.of("16", "13", "7", "3"))),
        "RO": ((date(2025, 8, 1), Rates.of("19", "9", "5")),),
        "SK": ((date(2025, 1, 1), Rates.of("20", "10", "5")),),
    }
)
GERMANY = Rates.of("19", "7")
#: Rates of parts of a country only (Jungholz and Mittelberg; Corsica and the overseas departments; Aegean islands;
#: Madeira and the Azores), which a library lists with the others. A shop that charged one elsewhere was wrong: the
#: Austrian one would let German VAT pass for Austrian.
REGIONAL: Mapping[str, frozenset[Decimal]] = MappingProxyType(
    {
        country: frozenset(Decimal(rate) for rate in rates.split())
        for country, rates in {
            "AT": "19",
            "FR": "0.9 1.05 1.75 8.5 13",
            "GR": "3 4 9 17",
            "PT": "4 5 9 12 16 22",
        }.items()
    }
)


@dataclass(frozen=True, slots=True)
class RateTable:
    """Rates per country and day. `current` are today's, `former` those that ended, oldest first."""

    current: Mapping[str, Rates] = field(default_factory=lambda: {"DE": GERMANY})
    former: Mapping[str, tuple[tuple[date, Rates], ...]] = field(default_factory=lambda: FORMER)

    def on(self, country: str, day: date) -> Rates | None:
        """The rates in force in a country on a day; None for a country nobody knows the rates of."""
        for until, rates in self.former.get(country, ()):
            if day < until:
                return rates
        today, regional = self.current.get(country), REGIONAL.get(country)
        return today if today is None or regional is None else replace(today, reduced=today.reduced - regional)
