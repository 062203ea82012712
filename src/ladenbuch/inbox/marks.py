"""The tables `order_marks`, which orders want a look and who has them, and `poll_cursors`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Any

import sqlalchemy as sa

from ladenbuch.bucket import Priority, asked_as
from ladenbuch.db import Statement, Transaction, from_micros, inbox_metadata, to_micros, upsert
from ladenbuch.inbox.arrays import array_text
from ladenbuch.telemetry.trace import current

order_marks = sa.Table(
    "order_marks",
    inbox_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("wanted", sa.BigInteger, nullable=False),
    sa.Column("settled", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempted", sa.BigInteger, nullable=False, server_default="0"),  # `wanted` at the last claim
    sa.Column("due_at", sa.BigInteger),  # NULL: nothing to do, or being done
    sa.Column("run_id", sa.Text),
    sa.Column("run_no", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("claimed_by", sa.Text),
    sa.Column("claimed_at", sa.BigInteger),
    sa.Column("attempts", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_code", sa.Text),
    sa.Column("oldest_wanted_at", sa.BigInteger),
    sa.Column("trace", sa.Text),  # of the first wish since the last claim
    # The most urgent of those who wait for this look (`bucket.Priority`).
    sa.Column("priority", sa.Integer, nullable=False, server_default=str(int(Priority.WEBHOOKS))),
    sa.Column("run_trace", sa.Text),  # the same at the claim: what the run logs under, whatever is wished meanwhile
)
_free = sa.and_(order_marks.c.run_id.is_(None), order_marks.c.due_at.is_not(None))
_held = order_marks.c.run_id.is_not(None)
# Settled marks, the many, are in neither index.
sa.Index(
    "ix_order_marks_free",
    order_marks.c.tenant,
    order_marks.c.priority,
    order_marks.c.due_at,
    sqlite_where=_free,
    postgresql_where=_free,
)
sa.Index("ix_order_marks_held", order_marks.c.claimed_by, sqlite_where=_held, postgresql_where=_held)

poll_cursors = sa.Table(
    "poll_cursors",
    inbox_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cursor", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Due:
    """A mark somebody should claim now."""

    tenant: str
    order_id: str
    wanted: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds a mark. `wanted` is what the run has to settle; `wanted_since` is for the latency figure, `trace` for
    the log."""

    run_id: str
    run_no: int
    wanted: int
    attempts: int
    executor: str
    claimed_at: datetime
    wanted_since: datetime | None
    trace: str | None = None
    priority: Priority = Priority.WEBHOOKS


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is outstanding; the age in seconds is of the oldest want nobody has tried yet, 0 without one."""

    waiting: int
    running: int
    oldest_unattempted_seconds: float


def want(tx: Transaction, tenant: str, order_id: str, now: datetime, due_at: datetime | None = None) -> int:
    """Ask for one look at the order: the one door for webhook, poll, backfill, reconciliation and people.

    Due at `due_at`, else now; an earlier due time already in the mark stays. Returns the new `wanted`.
    """
    want_all(tx, [(tenant, order_id)], now, due_at)
    return int(_WANTED.rows(tx, t=tenant, o=order_id)[0].wanted)


def want_all(
    tx: Transaction,
    orders: Iterable[tuple[str, str]],
    now: datetime,
    due_at: datetime | None = None,
    traces: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """`want` for many (tenant, order id) pairs; equal pairs are one reason to look.

    `traces`: why, for the log; where it says nothing, the trace of who is asking. How urgent it is, says the priority
    with which this thread works (`bucket.working_as`): a mark has that of the most urgent of those who still wait.
    """
    at = to_micros(now)
    due = at if due_at is None else to_micros(due_at)
    told, asking = traces or {}, current()
    priority = int(asked_as())
    rows = [(pair[0], pair[1], due, at, told.get(pair, asking), priority) for pair in sorted(set(orders))]
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.connection.cursor().executemany(_WANT_SQLITE, rows)
    else:
        tx.exec_driver_sql(_WANT_POSTGRESQL, tuple(map(array_text, zip(*rows, strict=True))))


# Built once, here and below: putting a statement together costs more than running it.
_c = order_marks.c
_MARK = sa.and_(_c.tenant == sa.bindparam("t"), _c.order_id == sa.bindparam("o"))
_NOW = sa.bindparam("now", type_=sa.BigInteger)
_WANTED = Statement(sa.select(_c.wanted).where(_MARK))
_WANT_CONFLICT = (
    "ON CONFLICT (tenant, order_id) DO UPDATE SET wanted = order_marks.wanted + 1, "
    "due_at = CASE WHEN order_marks.due_at < excluded.due_at THEN order_marks.due_at ELSE excluded.due_at END, "
    "oldest_wanted_at = coalesce(order_marks.oldest_wanted_at, excluded.oldest_wanted_at), "
    "trace = CASE WHEN order_marks.wanted > order_marks.attempted THEN coalesce(order_marks.trace, excluded.trace) "
    "ELSE excluded.trace END, "
    "priority = CASE WHEN order_marks.wanted > order_marks.settled AND order_marks.priority < excluded.priority "
    "THEN order_marks.priority ELSE excluded.priority END"
)
_WANT_SQLITE = (
    "INSERT INTO order_marks (tenant, order_id, wanted, due_at, oldest_wanted_at, trace, priority) "
    "VALUES (?, ?, 1, ?, ?, ?, ?) " + _WANT_CONFLICT
)
_WANT_POSTGRESQL = (
    "INSERT INTO order_marks (tenant, order_id, wanted, due_at, oldest_wanted_at, trace, priority) "
    "SELECT tenant, order_id, 1, due_at, at, trace, priority "
    "FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::integer[]) "
    "AS asked(tenant, order_id, due_at, at, trace, priority) ORDER BY tenant, order_id " + _WANT_CONFLICT
)


# --- claiming ---


_ripe = sa.and_(_free, _c.due_at <= _NOW)
_LIMIT = sa.bindparam("n", type_=sa.Integer)


def _waiting_tenants() -> sa.Select[Any]:
    """Each tenant with unclaimed marks, and when its first of each priority is due. It leaps from tenant to tenant in
    the index, so a backlog of a hundred thousand orders costs no more than one of ten."""
    free = sa.and_((other := order_marks.alias("other")).c.run_id.is_(None), other.c.due_at.is_not(None))
    names = sa.select(sa.func.min(_c.tenant).label("tenant")).where(_free).cte("names", recursive=True)
    least = sa.select(sa.func.min(other.c.tenant)).where(free, other.c.tenant > names.c.tenant)
    leap = sa.select(least.correlate(names).scalar_subquery()).select_from(names).where(names.c.tenant.is_not(None))
    names = names.union_all(leap)
    mine = sa.select(sa.func.min(other.c.due_at)).where(free, other.c.tenant == names.c.tenant)
    firsts = [mine.where(other.c.priority == int(one)).correlate(names).scalar_subquery() for one in Priority]
    labelled = [first.label(f"first_{number}") for number, first in enumerate(firsts)]
    return sa.select(names.c.tenant, *labelled).select_from(names).where(names.c.tenant.is_not(None))


_WAITING_TENANTS = Statement(_waiting_tenants())
# Counted here: to group them, SQLite would read every mark there ever was instead of the few that are held.
_HELD_BY = Statement(sa.select(_c.tenant).where(_held))
_RIPE = Statement(
    sa.select(_c.order_id, _c.wanted, _c.attempts)
    .where(_ripe, _c.tenant == sa.bindparam("t"), _c.priority == sa.bindparam("p", type_=sa.Integer))
    .order_by(_c.due_at, _c.order_id)
    .limit(_LIMIT)
)


def due(tx: Transaction, now: datetime, limit: int, per_tenant: int | None = None) -> list[Due]:
    """At most `limit` unclaimed marks whose time has come, taking turns over tenants: whoever has the fewest runs under
    way, anywhere, is next; of each one the most urgent, oldest first: what the shop tells now is settled before a
    backfill of years.

    So ten shops' backlogs of ten thousand orders delay the single order of another by one place, even where places
    become free one by one. With `per_tenant`, a tenant gets no more than that many runs at once.
    """
    at = to_micros(now)
    held = Counter(row.tenant for row in _HELD_BY.rows(tx))
    turns: list[tuple[int, int, str]] = []
    for tenant, *firsts in _WAITING_TENANTS.rows(tx):
        ripe = [first for first in firsts if first is not None and first <= at]
        if ripe and (per_tenant is None or held[tenant] < per_tenant):
            turns.append((held[tenant], min(ripe), tenant))
    heapify(turns)
    taken: list[Due] = []
    rows: dict[str, deque[Due]] = {}
    while turns and len(taken) < limit:
        running, first, tenant = heappop(turns)
        if tenant not in rows:
            most = limit if per_tenant is None else min(limit, per_tenant - running)
            rows[tenant] = deque(_ripe_of(tx, tenant, at, most))
        if rows[tenant]:
            taken.append(rows[tenant].popleft())
            heappush(turns, (running + 1, first, tenant))
    return taken


def _ripe_of(tx: Transaction, tenant: str, at: int, most: int) -> list[Due]:
    found: list[Due] = []
    for priority in Priority:
        if len(found) < most:
            rows = _RIPE.rows(tx, now=at, t=tenant, p=int(priority), n=most - len(found))
            found += [Due(tenant, *row) for row in rows]
    return found


_CLAIMED = (
    *(_c.run_id, _c.run_no, _c.attempted, _c.attempts, _c.claimed_by, _c.claimed_at, _c.oldest_wanted_at),
    *(_c.run_trace, _c.priority),
)
_CLAIM = Statement(
    sa.update(order_marks)
    .where(_MARK, _ripe)
    .values(
        run_id=sa.bindparam("r"),
        run_no=_c.run_no + 1,
        attempted=_c.wanted,
        claimed_by=sa.bindparam("e"),
        claimed_at=_NOW,
        run_trace=_c.trace,
        due_at=None,
    )
    .returning(*_CLAIMED)
)
_HOLDER = Statement(sa.select(*_CLAIMED).where(_MARK, _held))
_FREE = {"run_id": None, "claimed_by": None, "claimed_at": None}


def _end(**values: object) -> Statement:
    return Statement(sa.update(order_marks).where(_MARK, _c.run_id == sa.bindparam("r")).values(**_FREE, **values))


def _earlier(at: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.case((_c.due_at < at, _c.due_at), else_=at)


_UP_TO = sa.bindparam("n", type_=sa.BigInteger)
_newer = _c.wanted > _UP_TO
_SETTLED = _end(
    settled=sa.case((_c.settled > _UP_TO, _c.settled), else_=_UP_TO),
    due_at=sa.case((_newer, sa.func.coalesce(_c.due_at, _NOW)), else_=sa.bindparam("again", type_=sa.BigInteger)),
    # A want that came during the run is at most as old as the run.
    oldest_wanted_at=sa.case((_newer, _c.claimed_at), else_=None),
    attempts=0,
    last_code=sa.bindparam("code"),
)
# Nothing makes it due again but a want: one that came during the run, or the next.
_GAVE_UP = _end(attempts=_c.attempts + 1, last_code=sa.bindparam("code"))
_POSTPONED = _end(
    due_at=_earlier(sa.bindparam("later", type_=sa.BigInteger)),
    attempts=_c.attempts + 1,
    last_code=sa.bindparam("code"),
)


def _claim(row: Any) -> Claim:
    run_id, run_no, wanted, attempts, executor, at, since, trace, priority = row
    oldest = None if since is None else from_micros(since)
    return Claim(run_id, run_no, wanted, attempts, executor, from_micros(at), oldest, trace, Priority(priority))


def claim(tx: Transaction, tenant: str, order_id: str, *, run_id: str, executor: str, now: datetime) -> Claim | None:
    """Take a due mark for `run_id`; None when it is not due or somebody else was quicker."""
    row = _CLAIM.first(tx, t=tenant, o=order_id, r=run_id, e=executor, now=to_micros(now))
    return None if row is None else _claim(row)


def holder(tx: Transaction, tenant: str, order_id: str) -> Claim | None:
    """Who holds the mark now; `wanted` is the value at the time of the claim."""
    row = _HOLDER.first(tx, t=tenant, o=order_id)
    return None if row is None else _claim(row)


def settled(
    tx: Transaction,
    tenant: str,
    order_id: str,
    run_id: str,
    wanted: int,
    now: datetime,
    code: str,
    look_again: datetime | None = None,
) -> bool:
    """Everything up to `wanted` is done; the mark is due again at once if a newer want came meanwhile.

    Otherwise at `look_again`, where the calendar alone makes something due (a month that ends, a grace). False, and
    nothing changed, when `run_id` no longer holds the mark.
    """
    again = None if look_again is None else to_micros(look_again)
    values = {"t": tenant, "o": order_id, "r": run_id, "n": wanted, "now": to_micros(now), "code": code}
    return _SETTLED.change(tx, **values, again=again) == 1


def postpone(
    tx: Transaction, tenant: str, order_id: str, run_id: str, due_at: datetime, code: str, now: datetime
) -> bool:
    """Let go of the mark and try again at `due_at`, or sooner if a newer want came; counts the attempt.

    False, and nothing changed, when `run_id` no longer holds the mark. `now` is not used beyond the check
    that a postponement does not lie in the past.
    """
    later = to_micros(max(due_at, now))
    return _POSTPONED.change(tx, t=tenant, o=order_id, r=run_id, later=later, code=code) == 1


def give_up(tx: Transaction, tenant: str, order_id: str, run_id: str, code: str) -> bool:
    """Let go of the mark, and do not try again by itself: only a want makes it due, also one that came meanwhile.

    False, and nothing changed, when `run_id` no longer holds the mark.
    """
    return _GAVE_UP.change(tx, t=tenant, o=order_id, r=run_id, code=code) == 1


_FRESH = Statement(sa.update(order_marks).where(_MARK).values(attempts=0))
_DROP = Statement(
    sa.update(order_marks)
    .where(_MARK, _c.run_id.is_(None), _c.due_at.is_(None))
    .values(settled=_c.wanted, last_code=sa.bindparam("code"))
)


def redrive(tx: Transaction, tenant: str, order_id: str, now: datetime, due_at: datetime) -> None:
    """A person wants what was given up to be tried again at `due_at`, with fresh patience."""
    want(tx, tenant, order_id, now, due_at)
    _FRESH.change(tx, t=tenant, o=order_id)


def drop(tx: Transaction, tenant: str, order_id: str, code: str) -> bool:
    """A person does not want what was given up to be done any more. False when it is wanted or at work again."""
    return _DROP.change(tx, t=tenant, o=order_id, code=code) == 1


def resume(tx: Transaction, tenant: str | None, code: str, now: datetime) -> int:
    """What was postponed with this code is due now with fresh patience, because its cause is gone.

    `tenant` None means all of them (system door). Returns how many marks that were.
    """
    whose = sa.and_(_free, order_marks.c.last_code == code)
    if tenant is not None:
        whose = sa.and_(whose, order_marks.c.tenant == tenant)
    later = order_marks.c.due_at > to_micros(now)
    return int(
        tx.execute(sa.update(order_marks).where(whose, later).values(due_at=to_micros(now), attempts=0)).rowcount
    )


def bring_forward(tx: Transaction, now: datetime, until: datetime) -> int:
    """What is due before `until` is due now (system door): the clock that said when was wrong. Returns how many marks
    that were."""
    later = sa.and_(order_marks.c.due_at > to_micros(now), order_marks.c.due_at <= to_micros(until))
    return int(tx.execute(sa.update(order_marks).where(_free, later).values(due_at=to_micros(now))).rowcount)


def _release(whose: sa.ColumnElement[bool]) -> Statement:
    return Statement(sa.update(order_marks).where(_held, whose).values(**_FREE, due_at=_earlier(_NOW)))


_RELEASE_EXECUTOR = _release(_c.claimed_by == sa.bindparam("e"))
_RELEASE_STALE = _release(_c.claimed_at < sa.bindparam("before"))


def release_executor(tx: Transaction, executor: str, now: datetime) -> int:
    """At start: what a dead predecessor of this executor held is due now. Returns how many marks that were."""
    return _RELEASE_EXECUTOR.change(tx, e=executor, now=to_micros(now))


_RELEASE_RUN = _release(_MARK & (_c.run_id == sa.bindparam("r")))
_CLAIMANTS = Statement(sa.select(_c.claimed_by).where(_held).distinct())
_RUNS_OF = Statement(sa.select(_c.run_id, _c.tenant, _c.order_id).where(_held, _c.claimed_by == sa.bindparam("e")))


def release_run(tx: Transaction, tenant: str, order_id: str, run_id: str, now: datetime) -> bool:
    """A run that ended without a word is given up: its mark is due now. False when it does not hold it any more."""
    return _RELEASE_RUN.change(tx, t=tenant, o=order_id, r=run_id, now=to_micros(now)) == 1


def claimants(tx: Transaction) -> set[str]:
    """Which executors hold marks."""
    return {row.claimed_by for row in _CLAIMANTS.rows(tx)}


def runs_of(tx: Transaction, executor: str) -> dict[str, tuple[str, str]]:
    """The runs that hold marks under this executor's name: run id -> (tenant, order id)."""
    return {row.run_id: (row.tenant, row.order_id) for row in _RUNS_OF.rows(tx, e=executor)}


def release_stale(tx: Transaction, older_than: datetime, now: datetime) -> int:
    """Claims from before `older_than` are due at once, whoever held them; their runs can no longer write."""
    return _RELEASE_STALE.change(tx, before=to_micros(older_than), now=to_micros(now))


def marked_orders(tx: Transaction, tenant: str, after: str, limit: int) -> list[str]:
    """Orders somebody ever wanted, by id, from the one behind `after` on; news that are not about one do not count."""
    mine = (_c.tenant == tenant, _c.order_id > after, ~_c.order_id.like("event:%"))
    return list(tx.execute(sa.select(_c.order_id).where(*mine).order_by(_c.order_id).limit(limit)).scalars())


# --- looking ---


#: A settled order that only waits for its day is no outstanding work.
_outstanding = sa.and_(_free, sa.or_(_c.wanted > _c.settled, _c.due_at <= _NOW))
_WAITING = Statement(sa.select(sa.func.count()).select_from(order_marks).where(_outstanding))
_RUNNING = Statement(sa.select(sa.func.count()).select_from(order_marks).where(_held))
_OLDEST = Statement(sa.select(sa.func.min(_c.oldest_wanted_at)).where(_free, _c.wanted > _c.attempted))
_LAST_CLAIM = Statement(sa.select(sa.func.max(_c.claimed_at)).where(_held))
_CURSOR = Statement(
    sa.select(poll_cursors.c.cursor).where(
        poll_cursors.c.tenant == sa.bindparam("t"), poll_cursors.c.name == sa.bindparam("n")
    )
)


def next_due(tx: Transaction) -> datetime | None:
    """When the next unclaimed mark falls due, possibly in the past; None when nothing waits."""
    at = min((first for _, *firsts in _WAITING_TENANTS.rows(tx) for first in firsts if first is not None), default=None)
    return None if at is None else from_micros(at)


def depth(tx: Transaction, now: datetime) -> Depth:
    """How many marks wait and run, and how long the oldest untried want has waited."""
    waiting, running, at = _WAITING.scalar(tx, now=to_micros(now)) or 0, _RUNNING.scalar(tx) or 0, _OLDEST.scalar(tx)
    return Depth(waiting, running, 0.0 if at is None else max(0.0, (now - from_micros(at)).total_seconds()))


def at_work(tx: Transaction, tenant: str) -> bool:
    """Whether a run holds an order of the tenant; news that are not about an order do not count."""
    event = order_marks.c.order_id.like("event:%")
    query = sa.select(order_marks.c.order_id).where(order_marks.c.tenant == tenant, _held, ~event).limit(1)
    return tx.execute(query).first() is not None


def last_claim(tx: Transaction) -> datetime | None:
    """When the youngest of the runs that hold a mark took it; None when nothing runs."""
    at = _LAST_CLAIM.scalar(tx)
    return None if at is None else from_micros(at)


def cursor(tx: Transaction, tenant: str, name: str) -> str | None:
    """How far the poll `name` of this tenant has seen; None before its first time."""
    return _CURSOR.scalar(tx, t=tenant, n=name)


def set_cursor(tx: Transaction, tenant: str, name: str, value: str) -> None:
    """Move the cursor, in the same transaction as the wants for what was seen up to it."""
    upsert(tx, poll_cursors, tenant=tenant, name=name, cursor=value)
