"""What the page "Delivery" shows: how many letters of each shop arrive, and how many addresses get none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from ladenbuch import suppressions, tenants
from ladenbuch.db import Database, Transaction
from ladenbuch.domain.delivery_rate import Rate
from ladenbuch.web.shops import each_shop
from ladenbuch.workflows.delivering import rate_in


@dataclass(frozen=True)
class Arrival:
    """One shop: the figures of its last 30 days, and the addresses on its list by cause."""

    tenant: tenants.Tenant
    rate: Rate
    suppressed: Mapping[str, int]

    @property
    def rows(self) -> list[tuple[str, int]]:
        """Every field of the figures but the share of invalid addresses, with its number; empty ones are left out."""
        told = [(field.name, getattr(self.rate, field.name)) for field in fields(self.rate) if field.name != "invalid"]
        return [(name, number) for name, number in told if number]


Arrivals = Callable[[str | None], Sequence[Arrival]]


def arrivals(database: Database, clock: Callable[[], datetime], telling: Collection[str]) -> Arrivals:
    """Reads the figures of one tenant, or (None) of all. `telling`: providers whose word reaches us."""

    def of(tx: Transaction, owner: tenants.Tenant) -> Arrival:
        return Arrival(owner, rate_in(tx, owner.id, clock(), telling), suppressions.count(tx, owner.id))

    return lambda tenant: each_shop(database, tenant, of)
