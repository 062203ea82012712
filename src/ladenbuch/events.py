"""Events for other tools: told in the transaction of the fact, delivered to each receiver until it took them.

    outgoing_events    what was told: one row per fact, for ever the same id; none while nobody wants to hear it
    event_endpoints    who wants to hear: where (the address and the secrets are the vault's), of what, how it behaves
    event_deliveries   each event for each receiver: waiting ──> delivered | given_up; held while a receiver is off

A delivery is claimed by moving `due_at` behind a lease, so a process that dies leaves one that is sent again, with the
same id. The next event of an order waits until the one before it was taken or given up: a receiver hears an order's
story in its order. Functions take an open transaction of the books store; instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.errors import Rejected
from ladenbuch.telemetry.trace import current

State = Literal["waiting", "delivered", "given_up", "held"]
STATES: tuple[State, ...] = ("waiting", "delivered", "given_up", "held")

outgoing = sa.Table(
    "outgoing_events",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("order_id", sa.String(64), nullable=False),  # empty: about no order
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("trace", sa.Text),
    sa.Index(None, "tenant", "order_id"),
    sa.Index(None, "tenant", "at"),
)
endpoints_table = sa.Table(
    "event_endpoints",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("host", sa.String(300), nullable=False),
    sa.Column("kinds", sa.Text, nullable=False),  # comma separated; empty: everything
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("rotated_at", sa.BigInteger),
    sa.Column("took_at", sa.BigInteger),
    sa.Column("failing_since", sa.BigInteger),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("quiet_until", sa.BigInteger, nullable=False),
    sa.Column("off_at", sa.BigInteger),
    sa.Column("off_why", sa.Text),
)
deliveries = sa.Table(
    "event_deliveries",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(32), primary_key=True),
    sa.Column("event", sa.String(64), primary_key=True),
    sa.Column("order_id", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("status", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("replays", sa.Integer, nullable=False),
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "tenant", "endpoint", "order_id", "at"),
)
_o, _e, _d = outgoing.c, endpoints_table.c, deliveries.c
_T = sa.bindparam("t", type_=sa.Text)
_ENDPOINTS = Statement(sa.select(endpoints_table).where(_e.tenant == _T).order_by(_e.created_at, _e.id))
_LAST = Statement(sa.select(sa.func.max(_o.at)).where(_o.tenant == _T, _o.order_id == sa.bindparam("o", type_=sa.Text)))


def _due(without: Collection[str] = ()) -> sa.Select[Any]:
    earlier = deliveries.alias("earlier")
    before = sa.exists().where(
        earlier.c.tenant == _d.tenant,
        earlier.c.endpoint == _d.endpoint,
        earlier.c.order_id == _d.order_id,
        earlier.c.order_id != "",
        earlier.c.state == "waiting",
        earlier.c.at < _d.at,
    )
    now = sa.bindparam("now", type_=sa.BigInteger)
    turn = sa.func.row_number().over(partition_by=(_d.tenant, _d.endpoint), order_by=(_d.due_at, _d.at)).label("turn")
    mine = sa.and_(_e.tenant == _d.tenant, _e.id == _d.endpoint)
    ready = (_d.state == "waiting") & (_d.due_at <= now) & _e.off_at.is_(None) & (_e.quiet_until <= now)
    if without:
        ready &= _d.tenant.not_in(sorted(without))
    # Of a receiver that failed last, one event tries whether it is back.
    fair = sa.select(_d.tenant, _d.endpoint, _d.event, _e.failures, turn).join_from(deliveries, endpoints_table, mine)
    rows = fair.where(ready, ~before).subquery()
    query = sa.select(rows).where(sa.or_(rows.c.failures == 0, rows.c.turn == 1))
    return query.order_by(rows.c.turn, rows.c.tenant, rows.c.endpoint).limit(sa.bindparam("n", type_=sa.Integer))


# Built once: putting a statement together costs more than running it.
_DUE = Statement(_due())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. `kinds` empty: it wants everything. `failing_since`: it took nothing since then; `off_why`: why it
    gets nothing any more."""

    tenant: str
    id: str
    host: str
    kinds: tuple[str, ...]
    created_at: datetime
    rotated_at: datetime | None
    took_at: datetime | None
    failing_since: datetime | None
    failures: int
    quiet_until: datetime
    off_at: datetime | None
    off_why: str | None

    def wants(self, kind: str) -> bool:
        """Whether it wants to hear of an event."""
        return not self.kinds or kind in self.kinds


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one receiver, and how far it came."""

    tenant: str
    endpoint: str
    event: str
    kind: str
    order_id: str
    at: datetime
    state: State
    due_at: datetime
    attempts: int
    status: int | None
    reason: str | None
    replays: int
    body: str
    trace: str | None


@dataclass(frozen=True, slots=True)
class Which:
    """Which deliveries are meant; what is not said does not matter."""

    endpoint: str | None = None
    order_id: str | None = None
    state: State | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    events: tuple[str, ...] = ()


# -- receivers -------------------------------------------------------------------------------------------------------


def add(tx: Transaction, tenant: str, id: str, host: str, kinds: Sequence[str], now: datetime) -> None:
    """Name a receiver; whoever calls keeps its address and its secret."""
    values = {"host": host, "kinds": ",".join(kinds), "created_at": to_micros(now)}
    tx.execute(sa.insert(endpoints_table).values(tenant=tenant, id=id, failures=0, quiet_until=0, **values))


def endpoints(tx: Transaction, tenant: str) -> list[Endpoint]:
    """The receivers of a tenant, in the order they were named."""
    return [_endpoint(row) for row in _ENDPOINTS.rows(tx, t=tenant)]


def endpoint(tx: Transaction, tenant: str, id: str) -> Endpoint:
    """One receiver. Raises Rejected("EVENT-ENDPOINT")."""
    row = tx.execute(sa.select(endpoints_table).where(_e.tenant == tenant, _e.id == id)).first()
    if row is None:
        raise Rejected("EVENT-ENDPOINT", f"there is no receiver {id}")
    return _endpoint(row)


def remove(tx: Transaction, tenant: str, id: str) -> int:
    """A receiver gets nothing any more; what waited for it goes with it: how many events that were."""
    endpoint(tx, tenant, id)
    mine = (_d.tenant == tenant) & (_d.endpoint == id)
    waited = tx.execute(sa.select(sa.func.count()).select_from(deliveries).where(mine, _d.state == "waiting"))
    number = int(waited.scalar_one())
    tx.execute(sa.delete(deliveries).where(mine))
    tx.execute(sa.delete(endpoints_table).where(_e.tenant == tenant, _e.id == id))
    return number


def rotated(tx: Transaction, tenant: str, id: str, now: datetime) -> None:
    """A receiver has a new secret."""
    _change(tx, tenant, id, rotated_at=to_micros(now))


def switch_off(tx: Transaction, tenant: str, id: str, now: datetime, why: str) -> bool:
    """Send a receiver nothing until `switch_on`: what waits and what comes is held. False when it was off."""
    if endpoint(tx, tenant, id).off_at is not None:
        return False
    _change(tx, tenant, id, off_at=to_micros(now), off_why=why)
    waiting = (_d.tenant == tenant) & (_d.endpoint == id) & (_d.state == "waiting")
    tx.execute(sa.update(deliveries).where(waiting).values(state="held", changed_at=to_micros(now)))
    return True


def switch_on(tx: Transaction, tenant: str, id: str, now: datetime) -> bool:
    """Send a receiver what happens from now on; what was held stays held until it is replayed. False when it was on."""
    if endpoint(tx, tenant, id).off_at is None:
        return False
    fresh = {"failing_since": None, "failures": 0, "quiet_until": to_micros(now)}
    _change(tx, tenant, id, off_at=None, off_why=None, **fresh)
    return True


def took(tx: Transaction, tenant: str, id: str, now: datetime) -> None:
    """A receiver took an event: whatever failed before is forgotten."""
    fresh = {"took_at": to_micros(now), "failing_since": None, "failures": 0, "quiet_until": 0}
    mine = (_e.tenant == tenant) & (_e.id == id)
    tx.execute(sa.update(endpoints_table).where(mine).values(**fresh))


def failed(tx: Transaction, tenant: str, id: str, now: datetime, quiet: Callable[[int], timedelta]) -> Endpoint | None:
    """A receiver did not take an event: it is left alone for a while. How it stands now; None when it is gone."""
    row = tx.execute(sa.select(endpoints_table).where(_e.tenant == tenant, _e.id == id)).first()
    if row is None:
        return None
    number = row.failures + 1
    since = to_micros(now) if row.failing_since is None else row.failing_since
    _change(tx, tenant, id, failures=number, failing_since=since, quiet_until=to_micros(now + quiet(number)))
    return endpoint(tx, tenant, id)


def _change(tx: Transaction, tenant: str, id: str, **values: object) -> None:
    tx.execute(sa.update(endpoints_table).where(_e.tenant == tenant, _e.id == id).values(**values))


# -- telling ---------------------------------------------------------------------------------------------------------


def tell(
    tx: Transaction, tenant: str, id: str, kind: str, order_id: str, now: datetime, body: Callable[[datetime], str]
) -> int:
    """Tell an event to whom it concerns, in the transaction of its fact; to how many. A fact is told once.

    `body` is given the event's instant: never the same, and never an earlier one, for two events of one order.
    """
    hear = [one for one in endpoints(tx, tenant) if one.wants(kind)]
    if not hear:
        return 0
    last = _LAST.scalar(tx, t=tenant, o=order_id) if order_id else None
    at = to_micros(now) if last is None else max(to_micros(now), int(last) + 1)
    values = {"kind": kind, "order_id": order_id, "at": at, "body": body(from_micros(at)), "trace": current()}
    if not insert_new(tx, outgoing, tenant=tenant, id=id, **values):
        return 0
    for one in hear:
        _send(tx, tenant, one, id, order_id, at, now)
    return len(hear)


def _send(tx: Transaction, tenant: str, to: Endpoint, id: str, order_id: str, at: int, now: datetime) -> None:
    state = "waiting" if to.off_at is None else "held"
    instants = {"at": at, "due_at": to_micros(now), "changed_at": to_micros(now)}
    more = {"state": state, "attempts": 0, "replays": 0, **instants}
    insert_new(tx, deliveries, tenant=tenant, endpoint=to.id, event=id, order_id=order_id, **more)


# -- delivering ------------------------------------------------------------------------------------------------------


def due(tx: Transaction, now: datetime, limit: int, without: Collection[str] = ()) -> list[tuple[str, str, str]]:
    """What to send now, as (tenant, receiver, event): the first of each receiver, then the second of each, …;
    nothing of the tenants `without`."""
    values = {"now": to_micros(now), "n": limit}
    rows = tx.execute(_due(without), values) if without else _DUE.rows(tx, **values)
    return [(row.tenant, row.endpoint, row.event) for row in rows]


def claim(
    tx: Transaction, tenant: str, endpoint: str, event: str, run_id: str, now: datetime, until: datetime
) -> Delivery | None:
    """Take a delivery for a run until an instant, counting an attempt; None when it is not due any more."""
    mine = (_d.tenant == tenant) & (_d.endpoint == endpoint) & (_d.event == event)
    free = (_d.state == "waiting") & (_d.due_at <= to_micros(now))
    held = {"due_at": to_micros(until), "run_id": run_id, "attempts": _d.attempts + 1}
    if tx.execute(sa.update(deliveries).where(mine, free).values(held)).rowcount != 1:
        return None
    return next(iter(found(tx, tenant, Which(endpoint=endpoint, events=(event,)), 1)), None)


def delivered(tx: Transaction, one: Delivery, run_id: str, now: datetime, status: int) -> bool:
    """The receiver took it."""
    return _end(tx, one, run_id, now, state="delivered", status=status, reason=None)


def postpone(
    tx: Transaction, one: Delivery, run_id: str, now: datetime, due_at: datetime, status: int | None, reason: str
) -> bool:
    """It is sent again at `due_at`."""
    return _end(tx, one, run_id, now, due_at=to_micros(due_at), status=status, reason=reason[:300])


def give_up(tx: Transaction, one: Delivery, run_id: str, now: datetime, status: int | None, reason: str) -> bool:
    """It is not sent again by itself; the next event of its order goes on."""
    return _end(tx, one, run_id, now, state="given_up", status=status, reason=reason[:300])


def _end(tx: Transaction, one: Delivery, run_id: str, now: datetime, **values: object) -> bool:
    mine = (_d.tenant == one.tenant) & (_d.endpoint == one.endpoint) & (_d.event == one.event)
    change = sa.update(deliveries).where(mine, _d.state == "waiting", _d.run_id == run_id)
    return tx.execute(change.values(run_id=None, changed_at=to_micros(now), **values)).rowcount == 1


# -- looking and sending again -----------------------------------------------------------------------------------------


def found(tx: Transaction, tenant: str, which: Which, limit: int) -> list[Delivery]:
    """Deliveries of a tenant, in the order in which what they tell happened."""
    same = sa.and_(_o.tenant == _d.tenant, _o.id == _d.event)
    query = sa.select(deliveries, _o.kind, _o.body, _o.trace).join_from(deliveries, outgoing, same)
    query = query.where(_d.tenant == tenant, *_meant(which)).order_by(_d.at, _d.event, _d.endpoint).limit(limit)
    return [_delivery(row) for row in tx.execute(query)]


def missed(tx: Transaction, tenant: str, to: Endpoint, which: Which, limit: int) -> list[str]:
    """Events told before a receiver was named, which it wants to hear of; oldest first."""
    there = sa.exists().where(_d.tenant == _o.tenant, _d.event == _o.id, _d.endpoint == to.id)
    query = sa.select(_o.id).where(_o.tenant == tenant, ~there, *_told(which)).order_by(_o.at, _o.id).limit(limit)
    return list(tx.execute(query.where(_o.kind.in_(to.kinds)) if to.kinds else query).scalars())


def replay(tx: Transaction, tenant: str, to: Endpoint, event: str, now: datetime) -> bool:
    """Send an event once more, with the id and the body it had; False when it is not there any more."""
    row = tx.execute(sa.select(outgoing).where(_o.tenant == tenant, _o.id == event)).first()
    if row is None:
        return False
    _send(tx, tenant, to, event, row.order_id, row.at, now)
    mine = (_d.tenant == tenant) & (_d.endpoint == to.id) & (_d.event == event)
    anew = {"state": "waiting", "due_at": to_micros(now), "attempts": 0, "run_id": None, "status": None, "reason": None}
    again = sa.update(deliveries).where(mine).values(**anew, changed_at=to_micros(now), replays=_d.replays + 1)
    return tx.execute(again).rowcount == 1


def counts(tx: Transaction, tenant: str) -> dict[str, dict[State, int]]:
    """How many deliveries of each receiver are in each state."""
    query = sa.select(_d.endpoint, _d.state, sa.func.count().label("number")).where(_d.tenant == tenant)
    numbers: dict[str, dict[State, int]] = {}
    for row in tx.execute(query.group_by(_d.endpoint, _d.state)):
        numbers.setdefault(row.endpoint, dict.fromkeys(STATES, 0))[row.state] = row.number
    return numbers


@dataclass(frozen=True, slots=True)
class Standing:
    """How the deliveries of all tenants stand: those not delivered by state, since when the oldest waits, and how many
    receivers are fine, failing or off."""

    deliveries: dict[str, int]
    oldest: datetime | None
    receivers: dict[str, int]


def standing(tx: Transaction) -> Standing:
    """How it stands, of every tenant the door shows."""
    query = sa.select(_d.state, sa.func.count().label("number")).where(_d.state != "delivered").group_by(_d.state)
    found = dict.fromkeys(("waiting", "held", "given_up"), 0)
    found |= {row.state: int(row.number) for row in tx.execute(query)}
    begun = sa.case((_d.replays > 0, _d.changed_at), else_=_d.at)  # what is sent once more waits since then
    oldest = tx.execute(sa.select(sa.func.min(begun)).where(_d.state == "waiting")).scalar()
    how = sa.case((_e.off_at.is_not(None), "off"), (_e.failing_since.is_not(None), "failing"), else_="fine").label(
        "how"
    )
    receivers = dict.fromkeys(("fine", "failing", "off"), 0)
    receivers |= {
        row.how: int(row.number) for row in tx.execute(sa.select(how, sa.func.count().label("number")).group_by(how))
    }
    return Standing(found, None if oldest is None else from_micros(oldest), receivers)


def _meant(which: Which) -> list[sa.ColumnElement[bool]]:
    meant = [] if which.endpoint is None else [_d.endpoint == which.endpoint]
    meant += [] if which.state is None else [_d.state == which.state]
    return meant + _told(which)


def _told(which: Which) -> list[sa.ColumnElement[bool]]:
    meant = [] if which.order_id is None else [_o.order_id == which.order_id]
    meant += [] if which.kind is None else [_o.kind == which.kind]
    meant += [] if which.since is None else [_o.at >= to_micros(which.since)]
    meant += [] if which.until is None else [_o.at < to_micros(which.until)]
    return meant + ([_o.id.in_(which.events)] if which.events else [])


# -- forgetting --------------------------------------------------------------------------------------------------------


def erase(tx: Transaction, tenant: str, order_id: str) -> int:
    """A buyer is forgotten: nothing about the order is sent or kept any more; how many deliveries still waited."""
    mine = (_d.tenant == tenant) & (_d.order_id == order_id)
    waiting = tx.execute(sa.select(sa.func.count()).select_from(deliveries).where(mine, _d.state == "waiting"))
    number = int(waiting.scalar_one())
    tx.execute(sa.delete(deliveries).where(mine))
    tx.execute(sa.delete(outgoing).where(_o.tenant == tenant, _o.order_id == order_id))
    return number


def prune(tx: Transaction, tenant: str, before: datetime) -> int:
    """Delete what was told before an instant and waits for nobody; how many events."""
    waits = sa.exists().where(_d.tenant == _o.tenant, _d.event == _o.id, _d.state == "waiting")
    old = sa.select(_o.id).where(_o.tenant == tenant, _o.at < to_micros(before), ~waits)
    ids: Collection[str] = list(tx.execute(old.limit(500)).scalars())
    if ids:
        tx.execute(sa.delete(deliveries).where(_d.tenant == tenant, _d.event.in_(ids)))
        tx.execute(sa.delete(outgoing).where(_o.tenant == tenant, _o.id.in_(ids)))
    return len(ids)


def forget(tx: Transaction, tenant: str) -> int:
    """A tenant leaves: nobody hears of it any more; how many receivers there were."""
    tx.execute(sa.delete(deliveries).where(_d.tenant == tenant))
    tx.execute(sa.delete(outgoing).where(_o.tenant == tenant))
    return int(tx.execute(sa.delete(endpoints_table).where(_e.tenant == tenant)).rowcount)


def _endpoint(row: Any) -> Endpoint:
    def instant(value: int | None) -> datetime | None:
        return None if value is None else from_micros(value)

    return Endpoint(
        tenant=row.tenant,
        id=row.id,
        host=row.host,
        kinds=tuple(filter(None, row.kinds.split(","))),
        created_at=from_micros(row.created_at),
        rotated_at=instant(row.rotated_at),
        took_at=instant(row.took_at),
        failing_since=instant(row.failing_since),
        failures=row.failures,
        quiet_until=from_micros(row.quiet_until),
        off_at=instant(row.off_at),
        off_why=row.off_why,
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        tenant=row.tenant,
        endpoint=row.endpoint,
        event=row.event,
        kind=row.kind,
        order_id=row.order_id,
        at=from_micros(row.at),
        state=row.state,
        due_at=from_micros(row.due_at),
        attempts=row.attempts,
        status=row.status,
        reason=row.reason,
        replays=row.replays,
        body=row.body,
        trace=row.trace,
    )
