"""What changed since the cursor: works without any webhook, and finds what a webhook did not tell.

The window overlaps the last one, because an order may be indexed late. The cursor is committed together with the
marks it stands for: a kill between two pages costs a second look, never a gap.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from ladenbuch import books, inbox, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

CURSOR = "orders.updated_at"
_BATCH = 200


def poll_all(ctx: Context) -> int:
    """Poll every active tenant once; one tenant's trouble does not stop the others. Returns the marks made."""
    found = 0
    active = [one for one in ctx.database.system("poll").read(Store.BOOKS, tenants.all) if one.state == "active"]
    ctx.work.polling({one.id for one in active}, ctx.clock())
    for tenant in active:
        try:
            with bound(trace=f"poll-{ctx.clock():%Y%m%dT%H%M%S}", tenant=tenant.id):
                found += poll(ctx, tenant.id, tenant.cut_off)
            ctx.work.polled(tenant.id, ctx.clock())
        except LadenbuchError as error:
            log.warning("poll postponed", extra={"tenant": tenant.id, "code": error.code})
    if found:
        ctx.wake("dispatch")
    return found


@working_as(Priority.BACKFILL)
def poll(ctx: Context, tenant: str, start: datetime) -> int:
    """Want every order changed since the cursor (first time: since `start`). Returns how many were new to us.

    An order whose change we have already settled is not wanted again: its `updated_at` is remembered by the window's
    overlap only, so the books are asked.
    """
    door = ctx.door(tenant)
    cursor = door.read(Store.INBOX, lambda tx: inbox.cursor(tx, tenant, CURSOR))
    since = datetime.fromisoformat(cursor) if cursor else start
    since -= timedelta(seconds=ctx.timing.poll_overlap)
    until = ctx.clock() + timedelta(seconds=1)
    wanted = 0
    batch: list[tuple[str, datetime]] = []
    newest = datetime.fromisoformat(cursor) if cursor else start

    def keep(rows: list[tuple[str, datetime]], position: datetime) -> int:
        known = door.read(Store.BOOKS, lambda tx: books.seen(tx, tenant, [gid for gid, _ in rows]))
        fresh = [gid for gid, updated_at in rows if known.get(gid) != updated_at]

        def commit(tx: Transaction) -> None:
            for gid in fresh:
                inbox.want(tx, tenant, gid, ctx.clock())
            inbox.set_cursor(tx, tenant, CURSOR, position.isoformat())

        door.run(Store.INBOX, commit)
        return len(fresh)

    for gid, updated_at in ctx.shopify(tenant).orders_updated(since, until):
        batch.append((gid, updated_at))
        newest = max(newest, updated_at)
        if len(batch) >= _BATCH:
            wanted += keep(batch, newest)
            batch = []
    if batch or not cursor:
        wanted += keep(batch, newest)
    return wanted
