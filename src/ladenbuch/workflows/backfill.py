"""Carry out a planned backfill behind live traffic: start it, move it on, say how far it is.

    start      every order is still as it was planned, else nothing is begun ──► running
    advance    (a tick of every worker) a few orders at a time are wanted with the lowest priority; what settled is
               compared with its plan; the next ones follow ──► done
    pause, resume, cancel      between two orders

What the shop tells now is never behind it: marks of a backfill are claimed last, its calls leave a reserve of either
budget to everybody else (`bucket`), and no more than half of a tenant's runs are a backfill's. A process that dies
leaves orders wanted, which is all a backfill ever does to them: the settle finds what was done before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, backfills, books, inbox, tenants
from ladenbuch.backfills import Backfill, Outcome, Row
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.backfilling import Pace, as_json, keys_hash
from ladenbuch.errors import LadenbuchError, NeedsAttention, UsageError
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify import bulk
from ladenbuch.shopify.period import orders_listed
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows.adopting import foreign_since
from ladenbuch.workflows.backfill_plan import basis
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.preview import period_of

log = logging.getLogger(__name__)

#: Orders taken by a process that wants none of them for so long are taken by another.
_AGAIN = timedelta(seconds=30)
#: Orders that wait for a next attempt do not hold up the others, up to this many for each that may be under way.
_WAITING = 20
#: Orders compared in one look, and over how long the pace is measured.
_BATCH, _MEASURED = 250, timedelta(minutes=10)
_MOST = 10_000
#: Orders named in a message.
_NAMED = 5
#: How many invoices of the time are looked at for one that others wrote.
_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Changed:
    """An order that is no longer as it was planned."""

    order_id: str
    name: str
    why: str


# -- starting and stopping ----------------------------------------------------------------------------------------


@working_as(Priority.BACKFILL)
def start(
    ctx: Context,
    tenant: str,
    id: str | None = None,
    *,
    without_changed: bool = False,
    beside_others: bool = False,
    by: str = "operator",
) -> Backfill:
    """Let a planned backfill begin. With `without_changed`, orders that changed since are left to live traffic, which
    was told of their change; with `beside_others`, although invoices of others stand in sevdesk in that time.

    Raises NeedsAttention("PLAN-STALE") when a profile, the cut-off or an order is no longer as planned,
    NeedsAttention("FOREIGN-DOCUMENTS") for invoices of others, UsageError("BACKFILL-STATE").
    """
    found = _found(ctx, tenant, id)
    _must(found, "planned")
    strange = 0 if beside_others else foreign_since(ctx, tenant, found.since, _COUNTED, found.until)
    if strange:
        raise NeedsAttention(
            "FOREIGN-DOCUMENTS",
            f"{strange} invoices of this time were written by others, so nothing was begun: of orders of this shop "
            f"they would be written once more (`ladenbuch adopt`)",
            choices=("take them over first", "start beside them"),
        )
    _must_rest_on_the_same(ctx, found)
    changed = list(changes(ctx, found))
    if changed and not without_changed:
        named = "; ".join(f"{one.name}: {one.why}" for one in changed[:_NAMED])
        more = f"; and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise NeedsAttention(
            "PLAN-STALE",
            f"{len(changed)} orders are no longer as planned, so nothing was begun: {named}{more}",
            choices=("plan again", "start without them"),
        )
    now = ctx.clock()

    def begin(tx: Transaction) -> None:
        for at in range(0, len(changed), _BATCH):
            some = [one.order_id for one in changed[at : at + _BATCH]]
            backfills.leave(tx, tenant, found.id, some, "CHANGED", now)
        if not backfills.move(tx, tenant, found.id, ("planned",), "running", now):
            raise UsageError("BACKFILL-STATE", "somebody else started or ended it just now")
        if found.cut_off is not None:
            tenants.set_cut_off(tx, tenant, found.cut_off)
        moved = f"; the cut-off is now {found.cut_off.isoformat()}" if found.cut_off is not None else ""
        sentence = f"The backfill of {found.since} until before {found.until} was started{moved}."
        audit.append(tx, tenant, now, actor=by, event="backfill.started", subject=found.id, sentence=sentence)

    ctx.door(tenant).run(Store.BOOKS, begin)
    ctx.wake("backfill")
    return _found(ctx, tenant, found.id)


def pause(ctx: Context, tenant: str, id: str | None = None, *, by: str = "operator") -> Backfill:
    """Want no further order; those under way end. Raises UsageError("BACKFILL-STATE")."""
    return _moved(ctx, tenant, id, ("running",), "paused", by)


def resume(ctx: Context, tenant: str, id: str | None = None, *, by: str = "operator") -> Backfill:
    """Go on. Raises NeedsAttention("PLAN-STALE") when profile or cut-off changed since it was planned,
    UsageError("BACKFILL-STATE")."""
    found = _found(ctx, tenant, id)
    _must(found, "paused")
    _must_rest_on_the_same(ctx, found)
    return _moved(ctx, tenant, id, ("paused",), "running", by)


def cancel(ctx: Context, tenant: str, id: str | None = None, *, by: str = "operator") -> Backfill:
    """Want no further order, for good; what was posted stays. Raises UsageError("BACKFILL-STATE").

    An export that is under way for its planning is stopped, if Shopify can be reached.
    """
    before = _found(ctx, tenant, id)
    ended = _moved(ctx, tenant, before.id, backfills.OPEN, "cancelled", by)
    export = before.cursor.get("export")
    if before.state == "planning" and isinstance(export, str):
        try:
            bulk.cancel(ctx.shopify(tenant).execute, export)
        except LadenbuchError as error:
            log.warning("the export goes on: %s", error.code, extra={"tenant": tenant})
    return ended


def _moved(
    ctx: Context, tenant: str, id: str | None, sources: tuple[backfills.State, ...], to: backfills.State, by: str
) -> Backfill:
    found, now = _found(ctx, tenant, id), ctx.clock()
    _must(found, *sources)

    def write(tx: Transaction) -> bool:
        said = {"paused": "paused", "running": "resumed", "cancelled": "cancelled"}[to]
        sentence = f"The backfill of {found.since} until before {found.until} was {said}."
        audit.append(tx, tenant, now, actor=by, event=f"backfill.{said}", subject=found.id, sentence=sentence)
        return backfills.move(tx, tenant, found.id, sources, to, now)

    if not ctx.door(tenant).run(Store.BOOKS, write):
        raise UsageError("BACKFILL-STATE", "somebody else started or ended it just now")
    ctx.wake("backfill")
    return _found(ctx, tenant, found.id)


def _found(ctx: Context, tenant: str, id: str | None) -> Backfill:
    found = ctx.door(tenant).read(Store.BOOKS, lambda tx: backfills.get(tx, tenant, id))
    if found is None:
        raise UsageError("BACKFILL-STATE", "there is no such backfill; `ladenbuch backfill plan` makes one")
    return found


def _must(found: Backfill, *states: backfills.State) -> None:
    if found.state not in states:
        raise UsageError("BACKFILL-STATE", f"the backfill {found.id} is {found.state}")


def _must_rest_on_the_same(ctx: Context, found: Backfill) -> None:
    now = ctx.door(found.tenant).read(Store.BOOKS, lambda tx: basis(tx, found.tenant, found.cut_off))
    if now != found.basis:
        message = "the profile, the cut-off or drafts-only changed since it was planned, so nothing is posted on it"
        raise NeedsAttention("PLAN-STALE", message, choices=("plan again",))


def changes(ctx: Context, found: Backfill) -> Iterator[Changed]:
    """Which orders of the period are no longer as planned: by a list of the shop's, and by what was posted since."""
    tenant, door = found.tenant, ctx.door(found.tenant)
    period = period_of(ctx, tenant, found.since, found.until)
    portion: list[Any] = []

    def compare() -> Iterator[Changed]:
        ids = [item.id for item in portion]
        rows, applied = door.read(
            Store.BOOKS,
            lambda tx: (backfills.rows_of(tx, tenant, found.id, ids), books.applied(tx, tenant, ids)),
        )
        for item in portion:
            row = rows.get(item.id)
            if row is None:
                yield Changed(item.id, item.name, "new since")
            elif row.state == "planned" and row.updated_at is not None and row.updated_at != item.updated_at:
                yield Changed(item.id, item.name, "changed in the shop since")
            elif row.state == "planned" and row.applied != len(applied.get(item.id, ())):
                yield Changed(item.id, item.name, "something was posted for it since")

    for item in orders_listed(ctx.shopify(tenant).execute, period.start, period.end):
        portion.append(item)
        if len(portion) >= _BATCH:
            yield from compare()
            portion = []
    if portion:
        yield from compare()


# -- moving on ----------------------------------------------------------------------------------------------------


class Mover:
    """Moves every running backfill on: a tick, and again whenever an order was settled while any is `going`.

    `at_once`: how many orders of a tenant may be under way.
    """

    def __init__(self, ctx: Context, at_once: int) -> None:
        self._ctx = ctx
        self._at_once = at_once
        self.going = 0

    def tick(self) -> None:
        """One tenant's trouble does not stop the others."""
        ctx = self._ctx
        going = ctx.database.system("backfill").read(Store.BOOKS, backfills.running)
        self.going = len(going)
        for tenant, id in going:
            try:
                with bound(trace=f"backfill-{id}", tenant=tenant):
                    advance(ctx, tenant, id, self._at_once)
            except LadenbuchError as error:
                log.warning("backfill postponed", extra={"tenant": tenant, "code": error.code})


@working_as(Priority.BACKFILL)
def advance(ctx: Context, tenant: str, id: str, at_once: int) -> None:
    """Note what settled, and want as many more orders as fit: `at_once` of a tenant are under way."""
    door, now = ctx.door(tenant), ctx.clock()

    def look(tx: Transaction) -> tuple[str, Backfill | None, str]:
        found = backfills.get(tx, tenant, id)
        return tenants.standing(tx, tenant), found, basis(tx, tenant, found.cut_off if found else None)

    standing, found, rests_on = door.read(Store.BOOKS, look)
    if standing != "active" or found is None or found.state != "running":
        return
    under_way, waiting = _settle(ctx, found)
    if rests_on != found.basis:
        _stale(ctx, found)
        return
    room = at_once - under_way if waiting < at_once * _WAITING else 0
    taken = door.run(Store.BOOKS, lambda tx: backfills.take(tx, tenant, id, room, now, _AGAIN)) if room > 0 else []
    if taken:
        numbers = door.run(Store.INBOX, lambda tx: {gid: inbox.want(tx, tenant, gid, now) for gid in taken})
        door.run(Store.BOOKS, lambda tx: backfills.wanted(tx, tenant, id, numbers))
        ctx.wake("dispatch")
    elif not under_way and not waiting:
        _finish(ctx, found)


def _settle(ctx: Context, found: Backfill) -> tuple[int, int]:
    """Note what came of wanted orders; how many are still under way, and how many wait for a next attempt."""
    tenant, door, now = found.tenant, ctx.door(found.tenant), ctx.clock()
    rows = door.read(Store.BOOKS, lambda tx: backfills.outstanding(tx, tenant, found.id, _MOST))
    if not rows:
        return 0, 0
    marks = door.read(Store.INBOX, lambda tx: _marks(tx, tenant, [row.order_id for row in rows]))
    ended: list[tuple[Row, str]] = []
    stuck: list[tuple[Row, str]] = []
    under_way = waiting = 0
    for row in rows:
        mark = marks.get(row.order_id)
        if row.wanted is None or mark is None:
            under_way += 1
        elif mark.settled >= row.wanted:
            ended.append((row, mark.last_code or ""))
        elif mark.due_at is None and mark.run_id is None:
            stuck.append((row, mark.last_code or ""))
        elif mark.attempts:
            waiting += 1
        else:
            under_way += 1

    def note(tx: Transaction) -> None:
        done = books.applied(tx, tenant, [row.order_id for row, _ in ended])
        for row, code in ended:
            as_planned = keys_hash(done.get(row.order_id, frozenset())) == row.expected
            outcome: Outcome = "done" if as_planned else "changed"
            backfills.ended(tx, tenant, found.id, row.order_id, outcome, code, now)
        for row, code in stuck:
            backfills.ended(tx, tenant, found.id, row.order_id, "stuck", code, now)

    if ended or stuck:
        door.run(Store.BOOKS, note)
    return under_way, waiting


def _marks(tx: Transaction, tenant: str, order_ids: list[str]) -> dict[str, Any]:
    c, found = order_marks.c, {}
    for at in range(0, len(order_ids), _BATCH):
        mine = sa.and_(c.tenant == tenant, c.order_id.in_(order_ids[at : at + _BATCH]))
        columns = sa.select(c.order_id, c.settled, c.due_at, c.run_id, c.attempts, c.last_code).where(mine)
        found.update({row.order_id: row for row in tx.execute(columns)})
    return found


def _stale(ctx: Context, found: Backfill) -> None:
    now, tenant = ctx.clock(), found.tenant

    def stop(tx: Transaction) -> None:
        if backfills.move(tx, tenant, found.id, ("running",), "paused", now, "PLAN-STALE"):
            sentence = "The backfill was paused: the profile, the cut-off or drafts-only changed since it was planned."
            _say(tx, found, now, "backfill.paused", sentence)

    ctx.door(tenant).run(Store.BOOKS, stop)


def _finish(ctx: Context, found: Backfill) -> None:
    now, tenant = ctx.clock(), found.tenant

    def end(tx: Transaction) -> None:
        states = backfills.states(tx, tenant, found.id)
        if states.get("planned") or states.get("wanted"):
            return
        if backfills.move(tx, tenant, found.id, ("running",), "done", now):
            done = states.get("done", 0) + states.get("changed", 0)
            sentence = f"The backfill of {found.since} until before {found.until} is done: {done} orders settled."
            _say(tx, found, now, "backfill.done", sentence)

    ctx.door(tenant).run(Store.BOOKS, end)


def _say(tx: Transaction, found: Backfill, now: datetime, event: str, sentence: str) -> None:
    audit.append(tx, found.tenant, now, actor="backfill", event=event, subject=found.id, sentence=sentence)


# -- looking ------------------------------------------------------------------------------------------------------


def status(ctx: Context, tenant: str, id: str | None = None) -> dict[str, Any]:
    """How far a backfill is: state, totals of the plan, orders by what became of them, pace, and when it will be done.

    Raises UsageError("BACKFILL-STATE") where there is none.
    """
    found, now, door = _found(ctx, tenant, id), ctx.clock(), ctx.door(tenant)
    begun = max(now - _MEASURED, found.resumed_at or now)

    def read(tx: Transaction) -> tuple[dict[str, int], int, str | None]:
        recent = backfills.ended_since(tx, tenant, found.id, begun) if found.resumed_at else 0
        return backfills.states(tx, tenant, found.id), recent, tenants.stopped(tx, tenant)

    states, recent, stopped = door.read(Store.BOOKS, read)
    left = states.get("planned", 0) + states.get("wanted", 0)
    pace = Pace(recent, (now - begun).total_seconds())
    end = pace.end(left, now) if found.state == "running" else None
    planning = found.state == "planning"
    return {
        "tenant": tenant,
        "backfill": found.id,
        "state": found.state,
        "reason": found.reason,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "cut_off": _text(found.cut_off),
        "writing_stopped": stopped,
        "made_at": _text(found.created_at),
        "planned_at": _text(found.planned_at),
        "started_at": _text(found.started_at),
        "ended_at": _text(found.ended_at),
        "orders": {
            "planned": states.get("planned", 0),
            "under_way": states.get("wanted", 0),
            "as_planned": states.get("done", 0),
            "changed": states.get("changed", 0),
            "stuck": states.get("stuck", 0),
            "left": states.get("left", 0),
        },
        "remaining": left,
        "per_minute": pace.per_minute,
        "done_about": _text(end),
        "plan": as_json(found.totals + found.pending if planning else found.totals),
    }


def rows(ctx: Context, tenant: str, id: str) -> Iterator[Row]:
    """Every order of a backfill, in the order they are settled in; read in portions."""
    door, after = ctx.door(tenant), -1
    while True:
        known = after
        found, after = door.read(Store.BOOKS, lambda tx, at=known: backfills.page(tx, tenant, id, at, 1_000))  # type: ignore[misc]
        if not found:
            return
        yield from found


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
