"""Today's VAT rates of the member states, from the package `eu_vat_rates_data` (a copy of the Commission's Taxes in
Europe database, https://ec.europa.eu/taxation_customs/tedb/).

In: nothing. Out: a `RateTable` for the 27 member states and Northern Ireland (XI); what the rates were before is its
own part, `domain.rates.FORMER`. Monaco needs no row: its addresses count as French ones (`domain.territory`).

The package lists every reduced, super-reduced and parking rate a country has anywhere, islands and exceptions
included. A rate is lawful when it is among them; that it is the right one for these goods nobody here can know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from ladenbuch.domain.rates import Rates, RateTable
from ladenbuch.domain.territory import MEMBER_STATES

#: Taxed like a member state as far as goods go (Protocol on Ireland / Northern Ireland, Article 8).
NORTHERN_IRELAND = "XI"


@cache
def rate_table() -> RateTable:
    """Rates per country by ISO code (Greece is GR, Northern Ireland XI), read once. Countries unknown to the package
    are absent, which asks a person (TAX-RATE)."""
    import eu_vat_rates_data  # here and not above: it reads its data when it is imported

    known: Mapping[str, Mapping[str, Any]] = eu_vat_rates_data.get_all_rates()
    current = {country: _rates(known[country]) for country in (*MEMBER_STATES, NORTHERN_IRELAND) if country in known}
    return RateTable(current=MappingProxyType(current))


def data_version() -> str:
    """The day the package's data was fetched, as YYYY-MM-DD."""
    import eu_vat_rates_data

    return str(eu_vat_rates_data.data_version)


def _rates(row: Mapping[str, Any]) -> Rates:
    reduced: Iterable[float | None] = (*row["reduced"], row["super_reduced"], row["parking"])
    return Rates(_exact(row["standard"]), frozenset(_exact(rate) for rate in reduced if rate))


def _exact(rate: float) -> Decimal:
    """The decimal that was written down: JSON made a float of it, and the shortest text of that float is it again.

    Normalised, so that it prints as the text of a rate anywhere else: 19, not 19.0.
    """
    return Decimal(f"{Decimal(str(rate)).normalize():f}")
