"""How many letters of each shop arrive, read from the outbox; and an alarm where too few do."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import astuple
from datetime import datetime
from functools import partial

from ladenbuch import alarms, outbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.delivery_rate import PATIENCE, PERIOD, Group, Rate, percent, rate_of
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows import feedback
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)


def rate_in(tx: Transaction, tenant: str, now: datetime, telling: Collection[str]) -> Rate:
    """The figures of a tenant's last 30 days. `telling`: providers whose word about deliveries reaches us."""
    found = outbox.tallies(tx, tenant, now - PERIOD, now - PATIENCE)
    return rate_of([Group(*astuple(one)) for one in found], telling)


def watch(ctx: Context) -> int:
    """A tick: raise or end each shop's alarm; how many are open. Signatures nobody may use again are forgotten."""
    now, low = ctx.clock(), 0
    for owner in ctx.database.system("deliver").read(Store.BOOKS, tenants.all):
        if owner.state in ("uninstalled", "redacted"):
            continue
        try:
            low += ctx.door(owner.id).run(Store.BOOKS, partial(_watch, tenant=owner.id, now=now, telling=ctx.telling))
        except LadenbuchError as error:
            log.warning("letters not counted", extra={"tenant": owner.id, "code": error.code})
    feedback.prune(ctx)
    return low


def _watch(tx: Transaction, tenant: str, now: datetime, telling: Collection[str]) -> bool:
    found = rate_in(tx, tenant, now, telling)
    if not found.low:
        alarms.end_alarm(tx, tenant, "LETTERS-LOST", "", now)
        return False
    facts: dict[str, str | int] = {
        "rate": percent(found.rate),
        "valid": percent(found.of_valid),
        "arrived": found.arrived,
        "judged": found.judged,
    }
    alarms.raise_alarm(tx, tenant, "LETTERS-LOST", "", now, facts)
    return True
