"""Years of orders that are being taken over, as the overview shows them: how many are settled, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ladenbuch import backfills
from ladenbuch.db import Transaction
from ladenbuch.domain.backfilling import Pace

#: Over how long the pace is measured.
_MEASURED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class TakeOver:
    """One running backfill: [since, until), orders settled of all that are to be, and when it ends at this pace."""

    tenant: str
    since: date
    until: date
    settled: int
    orders: int
    end: datetime | None


def takeovers(tx: Transaction, tenant: str | None, now: datetime) -> tuple[TakeOver, ...]:
    """Those that run, of a tenant, or of all the door sees."""
    going = backfills.running(tx, tenant)
    return tuple(found for owner, id in going if (found := _take_over(tx, owner, id, now)) is not None)


def _take_over(tx: Transaction, tenant: str, id: str, now: datetime) -> TakeOver | None:
    found = backfills.get(tx, tenant, id)
    if found is None or found.resumed_at is None:
        return None
    states = backfills.states(tx, tenant, id)
    left = states.get("planned", 0) + states.get("wanted", 0)
    settled = sum(states.get(name, 0) for name in ("done", "changed", "stuck"))
    begun = max(now - _MEASURED, found.resumed_at)
    pace = Pace(backfills.ended_since(tx, tenant, id, begun), (now - begun).total_seconds())
    return TakeOver(tenant, found.since, found.until, settled, settled + left, pace.end(left, now))
