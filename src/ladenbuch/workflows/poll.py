"""What changed since the cursor: works without any webhook, and finds what a webhook did not tell.

Nothing is between two looks: a window begins where the last one ended, less an overlap, because Shopify's index may be
late. The cursor is the shop's own time, and is committed together with the marks it stands for: a kill between two
pages costs a second look, never a gap. Our clock decides nothing but how far into the future is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from ladenbuch import books, deadletters, inbox, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import silence
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

CURSOR = "orders.updated_at"
_BATCH = 200
#: A window ends so long after now by our clock, which may be behind the shop's.
_AHEAD = timedelta(hours=1)
#: What changed longer ago is caught up with behind what happens now.
_LIVE = timedelta(hours=1)
#: So much of what was seen is compared with what webhooks told.
_COMPARED = timedelta(minutes=10)


def poll_all(ctx: Context, every: timedelta | None = None) -> int:
    """Poll every active tenant once; one tenant's trouble does not stop the others. Returns the marks made.

    With `every`, a tenant that another process polled less than half of it ago is left to that one.
    """
    active = [one for one in ctx.database.system("poll").read(Store.BOOKS, tenants.all) if one.state == "active"]
    ctx.work.polling({one.id for one in active}, ctx.clock())
    jobs: list[Callable[[], int]] = [partial(_poll_one, ctx, owner, every) for owner in active]
    found = sum(ctx.spread(jobs))
    if found:
        ctx.wake("dispatch")
    return found


def _poll_one(ctx: Context, owner: tenants.Tenant, every: timedelta | None) -> int:
    now, found = ctx.clock(), 0
    try:
        with bound(trace=f"poll-{now:%Y%m%dT%H%M%S}", tenant=owner.id):
            if every is None or _ours(ctx, owner.id, now, every / 2):
                found = poll(ctx, owner.id, owner.cut_off, owner)
        read = ctx.door(owner.id).read
        polled = read(Store.INBOX, lambda tx: inbox.noted(tx, silence.POLLED, owner.id)).get(owner.id)
        if polled is not None:
            ctx.work.polled(owner.id, polled)
    except LadenbuchError as error:
        log.warning("poll postponed", extra={"tenant": owner.id, "code": error.code})
    return found


def _ours(ctx: Context, tenant: str, now: datetime, spare: timedelta) -> bool:
    return ctx.door(tenant).run(
        Store.INBOX, lambda tx: inbox.take_turn(tx, tenant, "turn:poll", now, spare, ctx.executor)
    )


def poll(ctx: Context, tenant: str, start: datetime, owner: tenants.Tenant | None = None) -> int:
    """Want every order changed since the cursor (first time: since `start`). Returns how many were new to us.

    An order whose change we have already settled, or failed to settle, is not wanted again, nor one that this process
    asked for at the same change and that waits for its next try. With `owner`, what was seen is compared with what
    webhooks told.
    """
    walk = _Walk(ctx, tenant, start)
    # Where webhooks come, they go first; where none come, this is all we hear.
    with working_as(Priority.BACKFILL if ctx.hears else Priority.WEBHOOKS):
        for gid, updated_at in ctx.shopify(tenant).orders_updated(walk.since, walk.begun + _AHEAD):
            walk.saw(gid, updated_at)
        walk.end()
    if owner is not None:
        silence.listened(ctx, owner, walk.lately)
    return walk.wanted


class _Walk:
    """One look through the changes of a shop, kept batch by batch."""

    def __init__(self, ctx: Context, tenant: str, start: datetime) -> None:
        self._ctx, self._tenant, self._door = ctx, tenant, ctx.door(tenant)
        cursor = self._door.read(Store.INBOX, lambda tx: inbox.cursor(tx, tenant, CURSOR))
        self._newest = datetime.fromisoformat(cursor) if cursor else start
        self.since = self._newest - timedelta(seconds=ctx.timing.poll_overlap)
        self.begun = ctx.clock()
        self.wanted = 0
        self.lately: dict[str, datetime] = {}
        self._batch: dict[str, datetime] = {}

    def saw(self, gid: str, updated_at: datetime) -> None:
        """One order, oldest change first; an order that changes meanwhile comes again."""
        self._batch[gid] = updated_at
        self._newest = max(self._newest, updated_at)
        if updated_at >= self.begun - _COMPARED:
            self.lately[gid] = updated_at
        if len(self._batch) >= _BATCH:
            self._keep()

    def end(self) -> None:
        """Everything was seen."""
        self._keep()

    def _keep(self) -> None:
        """Commit the marks of a batch with the cursor they stand for, and that the poll got so far."""
        ctx, tenant, now = self._ctx, self._tenant, self._ctx.clock()
        rows, self._batch = self._batch, {}
        fresh = self._fresh(rows) if rows else {}
        # An order dated into the future must not hide what happens until then.
        position = min(self._newest, now)

        def commit(tx: Transaction) -> list[str]:
            asleep = inbox.asleep(tx, tenant, ctx.asked.known(tenant, fresh)) if fresh else set()
            wanted = [gid for gid in fresh if gid not in asleep]
            for old, priority in ((True, Priority.BACKFILL), (False, Priority.WEBHOOKS)):
                with working_as(priority):
                    some = [(tenant, gid) for gid in wanted if (fresh[gid] < now - _LIVE) is old]
                    inbox.want_all(tx, some, now)
            inbox.set_cursor(tx, tenant, CURSOR, position.isoformat())
            inbox.note(tx, tenant, silence.POLLED, now)
            return wanted

        wanted = self._door.run(Store.INBOX, commit)
        ctx.asked.remember(tenant, {gid: fresh[gid] for gid in wanted})
        self.wanted += len(wanted)

    def _fresh(self, rows: dict[str, datetime]) -> dict[str, datetime]:
        tenant = self._tenant
        known = self._door.read(Store.BOOKS, lambda tx: books.seen(tx, tenant, list(rows)))
        fresh = {gid: updated_at for gid, updated_at in rows.items() if known.get(gid) != updated_at}
        if not fresh:
            return fresh
        # What keeps failing, and what gave up, has seen what changed before its last attempt: no new reason to look.
        failing = self._door.read(Store.BOOKS, lambda tx: deadletters.looked_at(tx, tenant, "order", list(fresh)))
        seen = {gid for gid, looked in failing.items() if fresh[gid] < looked.replace(microsecond=0)}
        return {gid: updated_at for gid, updated_at in fresh.items() if gid not in seen}
