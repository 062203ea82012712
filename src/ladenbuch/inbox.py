"""What we heard, and which orders therefore want to be looked at.

Three tables, written by this module alone. `events`: each webhook delivery once per tenant, its body sealed.
`order_marks`: one row per order, the truth about outstanding work; `wanted` counts the reasons to look,
`settled` is the reason up to which everything is done. `poll_cursors`: how far the polls have seen.

    want ──► due ──► claim(run_id) ──► settled      nothing left, or due again when a newer want came
                 ▲                └──► postpone     due later, attempts + 1
                 └───────────────────── release_*   the claimant died

A mark belongs to the run whose id stands in it; every function that ends a run changes nothing, and says so,
when the mark is no longer that run's. Functions take an open transaction; `GroupCommit` alone opens its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ladenbuch.db import Database, Store, Transaction, from_micros, inbox_metadata, to_micros, upsert
from ladenbuch.errors import Retryable

log = logging.getLogger(__name__)

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

events = sa.Table(
    "events",
    inbox_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("api_version", sa.Text),
    sa.Column("triggered_at", sa.BigInteger),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("ix_events_order", "tenant", "order_id"),
    sa.Index("ix_events_received_at", "received_at"),
)

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
)
_free = sa.and_(order_marks.c.run_id.is_(None), order_marks.c.due_at.is_not(None))
_held = order_marks.c.run_id.is_not(None)
# Settled marks, the many, are in neither index.
sa.Index(
    "ix_order_marks_free",
    order_marks.c.tenant,
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


class Sealed(Protocol):
    """What the vault makes of a body: ciphertext, and which key opens it."""

    @property
    def key_id(self) -> str: ...
    @property
    def ciphertext(self) -> bytes: ...


class Sealer(Protocol):
    """The part of the vault that is needed here; the vault itself is a sibling."""

    def seal(self, tenant: str, purpose: str, plaintext: bytes, /) -> Sealed: ...


BODY_PURPOSE = "inbox.body"
"""The purpose under which bodies are sealed, for those who open them again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified webhook delivery, body in the clear. `order_id` is a gid, None when no order is concerned."""

    tenant: str
    webhook_id: str
    topic: str
    shop: str
    received_at: datetime
    body: bytes
    order_id: str | None = None
    event_id: str | None = None
    api_version: str | None = None
    triggered_at: datetime | None = None

    def row(self, sealed: Sealed) -> tuple[object, ...]:
        """The values of one row of `events`, in the order of its columns."""
        triggered = None if self.triggered_at is None else to_micros(self.triggered_at)
        return (
            self.tenant,
            self.webhook_id,
            self.event_id,
            self.topic,
            self.order_id,
            self.shop,
            self.api_version,
            triggered,
            to_micros(self.received_at),
            sealed.key_id,
            sealed.ciphertext,
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
    """Who holds a mark. `wanted` is what the run has to settle; `wanted_since` is for the latency figure."""

    run_id: str
    run_no: int
    wanted: int
    attempts: int
    executor: str
    claimed_at: datetime
    wanted_since: datetime | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is outstanding; the age in seconds is of the oldest want nobody has tried yet, 0 without one."""

    waiting: int
    running: int
    oldest_unattempted_seconds: float


# --- hearing ---


def record(tx: Transaction, event: Delivery, sealed: Sealed) -> bool:
    """Keep one delivery; False when this tenant already had this webhook id, and then nothing was changed."""
    return record_all(tx, [event.row(sealed)])[0]


def record_all(tx: Transaction, rows: Sequence[tuple[object, ...]]) -> list[bool]:
    """`record` for many `Delivery.row`s, in order; of two equal ones the first is the new one."""
    if tx.dialect.name == "sqlite":
        # The driver's cursor: SQLAlchemy's own path costs more per row than SQLite does.
        execute = tx.connection.cursor().execute
        return [execute(_RECORD_SQLITE, row).rowcount == 1 for row in rows]
    columns = [list(values) for values in zip(*rows, strict=True)]
    new = {tuple(key) for key in tx.exec_driver_sql(_RECORD_POSTGRESQL, tuple(columns))}
    answers = []
    for row in rows:
        answers.append(row[:2] in new)
        new.discard(row[:2])
    return answers


_COLUMNS = ", ".join(column.name for column in events.columns)
_RECORD_SQLITE = (
    f"INSERT INTO events ({_COLUMNS}) VALUES ({', '.join('?' * len(events.columns))}) ON CONFLICT DO NOTHING"
)
_ARRAYS = ", ".join(
    f"%s::{ {'BIGINT': 'bigint', 'BLOB': 'bytea'}.get(str(column.type), 'text') }[]" for column in events.columns
)
# Sorted, so that two writers meeting the same new keys wait for each other instead of deadlocking.
_RECORD_POSTGRESQL = (
    f"INSERT INTO events ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS}) AS heard({_COLUMNS}) "
    "ORDER BY tenant, webhook_id ON CONFLICT DO NOTHING RETURNING tenant, webhook_id"
)


def want(tx: Transaction, tenant: str, order_id: str, now: datetime, due_at: datetime | None = None) -> int:
    """Ask for one look at the order: the one door for webhook, poll, backfill, reconciliation and people.

    Due at `due_at`, else now; an earlier due time already in the mark stays. Returns the new `wanted`.
    """
    want_all(tx, [(tenant, order_id)], now, due_at)
    where = sa.and_(order_marks.c.tenant == tenant, order_marks.c.order_id == order_id)
    return int(tx.execute(sa.select(order_marks.c.wanted).where(where)).scalar_one())


def want_all(tx: Transaction, orders: Iterable[tuple[str, str]], now: datetime, due_at: datetime | None = None) -> None:
    """`want` for many (tenant, order id) pairs; equal pairs are one reason to look."""
    at = to_micros(now)
    due = at if due_at is None else to_micros(due_at)
    rows = [(tenant, order_id, due, at) for tenant, order_id in sorted(set(orders))]
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.connection.cursor().executemany(_WANT_SQLITE, rows)
    else:
        tenants, ids, dues, ats = (list(values) for values in zip(*rows, strict=True))
        tx.exec_driver_sql(_WANT_POSTGRESQL, (tenants, ids, dues, ats))


_WANT_CONFLICT = (
    "ON CONFLICT (tenant, order_id) DO UPDATE SET wanted = order_marks.wanted + 1, "
    "due_at = CASE WHEN order_marks.due_at < excluded.due_at THEN order_marks.due_at ELSE excluded.due_at END, "
    "oldest_wanted_at = coalesce(order_marks.oldest_wanted_at, excluded.oldest_wanted_at)"
)
_WANT_SQLITE = (
    "INSERT INTO order_marks (tenant, order_id, wanted, due_at, oldest_wanted_at) VALUES (?, ?, 1, ?, ?) "
    + _WANT_CONFLICT
)
_WANT_POSTGRESQL = (
    "INSERT INTO order_marks (tenant, order_id, wanted, due_at, oldest_wanted_at) "
    "SELECT tenant, order_id, 1, due_at, at FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) "
    "AS asked(tenant, order_id, due_at, at) ORDER BY tenant, order_id " + _WANT_CONFLICT
)


# --- claiming ---


def due(tx: Transaction, now: datetime, limit: int) -> list[Due]:
    """At most `limit` unclaimed marks whose time has come, taking turns over tenants, each one's oldest first.

    So one shop's backlog of ten thousand orders delays the single order of another by one place.
    """
    ripe = sa.and_(_free, order_marks.c.due_at <= to_micros(now))
    oldest = sa.func.min(order_marks.c.due_at)
    tenants = tx.execute(
        sa.select(order_marks.c.tenant, sa.func.count())
        .where(ripe)
        .group_by(order_marks.c.tenant)
        .order_by(oldest, order_marks.c.tenant)
        .limit(limit)
    ).all()
    shares = _shares({tenant: int(count) for tenant, count in tenants}, limit)
    columns = (order_marks.c.order_id, order_marks.c.wanted, order_marks.c.attempts)
    queues: deque[deque[Due]] = deque()
    for tenant, share in shares.items():
        query = sa.select(*columns).where(ripe, order_marks.c.tenant == tenant)
        rows = tx.execute(query.order_by(order_marks.c.due_at, order_marks.c.order_id).limit(share))
        queues.append(deque(Due(tenant, *row) for row in rows))
    turns: list[Due] = []
    while queues:
        queue = queues.popleft()
        if queue:
            turns.append(queue.popleft())
            queues.append(queue)
    return turns


def _shares(waiting: dict[str, int], limit: int) -> dict[str, int]:
    """How many of each tenant's marks fit: equal shares, and what one does not need goes to the others."""
    shares = dict.fromkeys(waiting, 0)
    left = min(limit, sum(waiting.values()))
    while left:
        for tenant, count in waiting.items():
            if left and shares[tenant] < count:
                shares[tenant] += 1
                left -= 1
    return shares


def _mark(tenant: str, order_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(order_marks.c.tenant == tenant, order_marks.c.order_id == order_id)


_CLAIM = (
    order_marks.c.run_id,
    order_marks.c.run_no,
    order_marks.c.attempted,
    order_marks.c.attempts,
    order_marks.c.claimed_by,
    order_marks.c.claimed_at,
    order_marks.c.oldest_wanted_at,
)


def _claim(row: Any) -> Claim:
    run_id, run_no, wanted, attempts, executor, at, since = row
    oldest = None if since is None else from_micros(since)
    return Claim(run_id, run_no, wanted, attempts, executor, from_micros(at), oldest)


def claim(tx: Transaction, tenant: str, order_id: str, *, run_id: str, executor: str, now: datetime) -> Claim | None:
    """Take a due mark for `run_id`; None when it is not due or somebody else was quicker."""
    statement = (
        sa.update(order_marks)
        .where(_mark(tenant, order_id), _free, order_marks.c.due_at <= to_micros(now))
        .values(
            run_id=run_id,
            run_no=order_marks.c.run_no + 1,
            attempted=order_marks.c.wanted,
            claimed_by=executor,
            claimed_at=to_micros(now),
            due_at=None,
        )
        .returning(*_CLAIM)
    )
    row = tx.execute(statement).one_or_none()
    return None if row is None else _claim(row)


def holder(tx: Transaction, tenant: str, order_id: str) -> Claim | None:
    """Who holds the mark now; `wanted` is the value at the time of the claim."""
    row = tx.execute(sa.select(*_CLAIM).where(_mark(tenant, order_id), _held)).one_or_none()
    return None if row is None else _claim(row)


def settled(tx: Transaction, tenant: str, order_id: str, run_id: str, wanted: int, now: datetime, code: str) -> bool:
    """Everything up to `wanted` is done; the mark is due again at once if a newer want came meanwhile.

    False, and nothing changed, when `run_id` no longer holds the mark.
    """
    at = to_micros(now)
    newer = order_marks.c.wanted > wanted
    return _end(
        tx,
        _mark(tenant, order_id),
        run_id,
        settled=sa.case((order_marks.c.settled > wanted, order_marks.c.settled), else_=wanted),
        due_at=sa.case((newer, sa.func.coalesce(order_marks.c.due_at, at)), else_=None),
        # A want that came during the run is at most as old as the run.
        oldest_wanted_at=sa.case((newer, order_marks.c.claimed_at), else_=None),
        attempts=0,
        last_code=code,
    )


def postpone(
    tx: Transaction, tenant: str, order_id: str, run_id: str, due_at: datetime, code: str, now: datetime
) -> bool:
    """Let go of the mark and try again at `due_at`, or sooner if a newer want came; counts the attempt.

    False, and nothing changed, when `run_id` no longer holds the mark. `now` is not used beyond the check
    that a postponement does not lie in the past.
    """
    later = to_micros(max(due_at, now))
    return _end(
        tx, _mark(tenant, order_id), run_id, due_at=_earlier(later), attempts=order_marks.c.attempts + 1, last_code=code
    )


def _end(tx: Transaction, mark: sa.ColumnElement[bool], run_id: str, **values: object) -> bool:
    free = {"run_id": None, "claimed_by": None, "claimed_at": None}
    done = tx.execute(sa.update(order_marks).where(mark, order_marks.c.run_id == run_id).values(**free, **values))
    return done.rowcount == 1


def _earlier(at: int) -> sa.ColumnElement[int]:
    return sa.case((order_marks.c.due_at < at, order_marks.c.due_at), else_=at)


def release_executor(tx: Transaction, executor: str, now: datetime) -> int:
    """At start: what a dead predecessor of this executor held is due now. Returns how many marks that were."""
    return _release(tx, order_marks.c.claimed_by == executor, now)


def release_stale(tx: Transaction, older_than: datetime, now: datetime) -> int:
    """Claims from before `older_than` are due at once, whoever held them; their runs can no longer write."""
    return _release(tx, order_marks.c.claimed_at < to_micros(older_than), now)


def _release(tx: Transaction, whose: sa.ColumnElement[bool], now: datetime) -> int:
    free = {"run_id": None, "claimed_by": None, "claimed_at": None}
    statement = sa.update(order_marks).where(_held, whose).values(**free, due_at=_earlier(to_micros(now)))
    return int(tx.execute(statement).rowcount)


# --- looking ---


def next_due(tx: Transaction) -> datetime | None:
    """When the next unclaimed mark falls due, possibly in the past; None when nothing waits."""
    at = tx.execute(sa.select(sa.func.min(order_marks.c.due_at)).where(_free)).scalar_one()
    return None if at is None else from_micros(at)


def depth(tx: Transaction, now: datetime) -> Depth:
    """How many marks wait and run, and how long the oldest untried want has waited."""
    waiting = tx.execute(sa.select(sa.func.count()).select_from(order_marks).where(_free)).scalar_one()
    running = tx.execute(sa.select(sa.func.count()).select_from(order_marks).where(_held)).scalar_one()
    untried = order_marks.c.wanted > order_marks.c.attempted
    oldest = sa.select(sa.func.min(order_marks.c.oldest_wanted_at)).where(_free, untried)
    at = tx.execute(oldest).scalar_one()
    return Depth(waiting, running, 0.0 if at is None else max(0.0, (now - from_micros(at)).total_seconds()))


def history(tx: Transaction, tenant: str, order_id: str) -> list[sa.RowMapping]:
    """The deliveries about one order in the order they came, without their bodies."""
    columns = [column for column in events.columns if column.name not in ("body", "key_id")]
    query = sa.select(*columns).where(events.c.tenant == tenant, events.c.order_id == order_id)
    return list(tx.execute(query.order_by(events.c.received_at, events.c.webhook_id)).mappings())


def cursor(tx: Transaction, tenant: str, name: str) -> str | None:
    """How far the poll `name` of this tenant has seen; None before its first time."""
    where = sa.and_(poll_cursors.c.tenant == tenant, poll_cursors.c.name == name)
    return tx.execute(sa.select(poll_cursors.c.cursor).where(where)).scalar_one_or_none()


def set_cursor(tx: Transaction, tenant: str, name: str, value: str) -> None:
    """Move the cursor, in the same transaction as the wants for what was seen up to it."""
    upsert(tx, poll_cursors, tenant=tenant, name=name, cursor=value)


def prune(tx: Transaction, before: datetime) -> int:
    """Forget deliveries received before that instant; keep it well above Shopify's retry window of hours.

    Marks stay: they are small, and their run numbers must not begin again. Returns how many events went.
    """
    return int(tx.execute(sa.delete(events).where(events.c.received_at < to_micros(before))).rowcount)


# --- the group commit ---

_BATCH = 256
_WAITING = 4096
_AnyFuture = Future[bool] | asyncio.Future[bool]


@dataclass(slots=True)
class _Waiting:
    event: Delivery
    future: _AnyFuture
    loop: asyncio.AbstractEventLoop | None


class GroupCommit:
    """Writes deliveries so that everything that waits shares one transaction, and one wait for the disk.

    One writer thread takes all that waits, seals the bodies, commits events and marks together, and only then
    resolves the futures: True for a new delivery, False for a duplicate, the exception when it is not on disk.
    A batch that fails for the sake of one row is done again row by row, so that no row fails its neighbours.
    `on_commit` is called after a commit that left new wants. At most 4,096 deliveries wait; more are refused
    with Retryable("INBOX-FULL"), which costs a retry by Shopify and no memory.
    """

    def __init__(
        self,
        database: Database,
        vault: Sealer,
        clock: Callable[[], datetime],
        on_commit: Callable[[], None] = lambda: None,
        *,
        writers: int | None = None,
    ) -> None:
        self._door = database.system("ingest")
        self._vault = vault
        self._clock = clock
        self._on_commit = on_commit
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()  # None tells one writer to stop
        self._closed = False
        # SQLite has one writer. PostgreSQL waits for the disk in one transaction while the next is filled.
        count = writers if writers is not None else (1 if database.is_sqlite else 2)
        self._threads = [
            threading.Thread(target=self._write, name=f"inbox-writer-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, event: Delivery) -> Future[bool]:
        """For threads: the future resolves after the commit. Raises Retryable when nothing can be taken."""
        future: Future[bool] = Future()
        self._take(_Waiting(event, future, None))
        return future

    def submit_async(self, event: Delivery) -> asyncio.Future[bool]:
        """The same for the running event loop; a whole batch costs the loop one wake-up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._take(_Waiting(event, future, loop))
        return future

    def waiting(self) -> int:
        """Deliveries taken but not yet in a transaction."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what waits, then stop. Callable twice."""
        self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        batch: list[_Waiting] = []
        while not self._waiting.empty():  # taken while we closed
            waiting = self._waiting.get()
            if waiting is not None:
                batch.append(waiting)
        if batch:
            self._commit(batch)

    def _take(self, waiting: _Waiting) -> None:
        if self._closed:
            raise Retryable("INBOX-CLOSED", "the inbox is shutting down")
        if self._waiting.qsize() >= _WAITING:
            raise Retryable("INBOX-FULL", "more webhooks arrive than the disk takes")
        self._waiting.put(waiting)

    def _write(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            # One by one out of the queue: exchanging a whole list across threads can acknowledge a delivery
            # that nobody wrote.
            batch = [waiting]
            stop = False
            while len(batch) < _BATCH:
                try:
                    waiting = self._waiting.get_nowait()
                except Empty:
                    break
                if waiting is None:
                    stop = True
                    break
                batch.append(waiting)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            answers: list[bool | Exception] = list(self._transact([waiting.event for waiting in batch]))
        except Retryable as error:
            answers = [error] * len(batch)  # the disk or the server, not a row: no use in trying each
        except Exception:
            answers = [self._alone(waiting.event) for waiting in batch]
        if any(answer is True for answer in answers):
            self._on_commit_safely()
        _answer(batch, answers)

    def _alone(self, event: Delivery) -> bool | Exception:
        try:
            return self._transact([event])[0]
        except Exception as error:
            log.warning("a webhook could not be written: %s", type(error).__name__)
            return error

    def _transact(self, events_: list[Delivery]) -> list[bool]:
        rows = [event.row(self._vault.seal(event.tenant, BODY_PURPOSE, event.body)) for event in events_]

        def write(tx: Transaction) -> list[bool]:
            new = record_all(tx, rows)
            orders = [
                (event.tenant, event.order_id)
                for event, is_new in zip(events_, new, strict=True)
                if is_new and event.order_id is not None
            ]
            want_all(tx, orders, self._clock())
            return new

        return self._door.run(Store.INBOX, write)

    def _on_commit_safely(self) -> None:
        try:
            self._on_commit()
        except Exception as error:
            log.error("waking the dispatcher failed with %s", type(error).__name__)


def _answer(batch: list[_Waiting], answers: Sequence[bool | Exception]) -> None:
    loops: dict[asyncio.AbstractEventLoop | None, list[tuple[_AnyFuture, bool | Exception]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        loops.setdefault(waiting.loop, []).append((waiting.future, answer))
    for loop, pairs in loops.items():
        if loop is None:
            _resolve(pairs)
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed, so nobody waits for the answer
                loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[_AnyFuture, bool | Exception]]) -> None:
    for future, answer in pairs:
        if future.done():  # cancelled: the client went away; the delivery is written all the same
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
