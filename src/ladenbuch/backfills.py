"""Years of orders that are taken over: what was planned, how far it is, and what came of each order.

    planning ──► planned ──► running ◄──► paused
        └────────────┴──────────┴────────────┴──► cancelled        running ──► done

Each order of a backfill is a row: `planned` (to be settled) or `left` (nothing of it is ours), then `wanted`, then
`done`, `changed` (something else was done than planned) or `stuck` (it gave up; a dead letter says why). A file that is
being read adds rows and `pending` totals together with the place in it; only a file that was proven moves them to
`totals`. So a kill at any line repeats some orders and counts none twice.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, one_at_a_time, to_micros

State = Literal["planning", "planned", "running", "paused", "cancelled", "done"]
OPEN: tuple[State, ...] = ("planning", "planned", "running", "paused")
#: What becomes of an order after it was wanted.
Outcome = Literal["done", "changed", "stuck"]

_ID = sa.String(64)
backfills = sa.Table(
    "backfills",
    books_metadata,
    sa.Column("tenant", _ID, primary_key=True),
    sa.Column("id", _ID, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", sa.String(10), nullable=False),
    sa.Column("until", sa.String(10), nullable=False),
    sa.Column("cut_off", sa.BigInteger),  # to be moved to when it starts; NULL: stays
    sa.Column("basis", sa.String(64), nullable=False),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("totals", sa.Text, nullable=False),
    sa.Column("pending", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("planned_at", sa.BigInteger),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("resumed_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
)
backfill_orders = sa.Table(
    "backfill_orders",
    books_metadata,
    sa.Column("tenant", _ID, primary_key=True),
    sa.Column("backfill", _ID, primary_key=True),
    sa.Column("order_id", sa.String(96), primary_key=True),
    sa.Column("place", sa.BigInteger, nullable=False),  # in the order they are settled in
    sa.Column("part", sa.Integer, nullable=False),  # of the period; a part is proven as a whole
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("processed_at", sa.BigInteger),
    sa.Column("updated_at", sa.BigInteger),
    sa.Column("applied", sa.Integer, nullable=False),
    sa.Column("expected", sa.String(64), nullable=False),
    sa.Column("says", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("wanted", sa.BigInteger),
    sa.Column("code", sa.Text),
    sa.Column("at", sa.BigInteger),  # when it got its state
    sa.Index("ix_backfill_orders_next", "tenant", "backfill", "state", "place"),
    sa.Index("ix_backfill_orders_place", "tenant", "backfill", "place"),
)
_b, _o = backfills.c, backfill_orders.c


@dataclass(frozen=True, slots=True)
class Backfill:
    """One period that is taken over. `cut_off`: what the tenant's becomes at the start; None: it stays."""

    tenant: str
    id: str
    state: State
    since: date
    until: date
    cut_off: datetime | None
    basis: str
    cursor: Mapping[str, Any]
    totals: Counter[str]
    pending: Counter[str]
    reason: str | None
    created_at: datetime
    planned_at: datetime | None
    started_at: datetime | None
    resumed_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Planned:
    """One order as it was planned. `says`: kinds of what would be done, codes of what speaks against it.

    `expected` is the hash of its keys when exactly that is done; `applied` how many were when it was planned.
    """

    order_id: str
    name: str
    processed_at: datetime | None
    updated_at: datetime | None
    applied: int
    expected: str
    says: str
    settle: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One order of a backfill as it is now."""

    order_id: str
    name: str
    processed_at: datetime | None
    updated_at: datetime | None
    applied: int
    expected: str
    says: str
    state: str
    wanted: int | None
    code: str | None
    at: datetime | None


def begin(
    tx: Transaction,
    tenant: str,
    id: str,
    since: date,
    until: date,
    *,
    cut_off: datetime | None,
    basis: str,
    cursor: Mapping[str, Any],
    now: datetime,
) -> None:
    """A period is being planned. One that was planned and never started is cancelled: its plan is old."""
    old = sa.and_(_b.tenant == tenant, _b.state.in_(("planning", "planned")))
    tx.execute(
        sa.update(backfills).where(old).values(state="cancelled", reason="planned again", ended_at=to_micros(now))
    )
    tx.execute(
        sa.insert(backfills).values(
            tenant=tenant,
            id=id,
            state="planning",
            since=since.isoformat(),
            until=until.isoformat(),
            cut_off=None if cut_off is None else to_micros(cut_off),
            basis=basis,
            cursor=json.dumps(cursor),
            totals="{}",
            pending="{}",
            created_at=to_micros(now),
        )
    )


def get(tx: Transaction, tenant: str, id: str | None = None) -> Backfill | None:
    """One of the tenant's backfills, or its newest; None without any."""
    query = sa.select(backfills).where(_b.tenant == tenant)
    if id is not None:
        query = query.where(_b.id == id)
    row = tx.execute(query.order_by(_b.created_at.desc(), _b.id.desc()).limit(1)).first()
    return None if row is None else _backfill(row)


def running(tx: Transaction, tenant: str | None = None) -> list[tuple[str, str]]:
    """(tenant, id) of every backfill that is running: of a tenant, or of all the door sees."""
    query = sa.select(_b.tenant, _b.id).where(_b.state == "running")
    if tenant is not None:
        query = query.where(_b.tenant == tenant)
    return [(row.tenant, row.id) for row in tx.execute(query.order_by(_b.tenant, _b.id))]


def move(
    tx: Transaction, tenant: str, id: str, sources: Sequence[State], to: State, now: datetime, reason: str | None = None
) -> bool:
    """Change the state, if it is one of `sources`; False when it is not, and nothing changed."""
    at = to_micros(now)
    values: dict[str, Any] = {"state": to, "reason": reason}
    if to == "planned":
        values["planned_at"] = at
    if to == "running":
        values |= {"resumed_at": at, "started_at": sa.func.coalesce(_b.started_at, at)}
    if to in ("cancelled", "done"):
        values["ended_at"] = at
    return tx.execute(sa.update(backfills).where(_this(tenant, id), _b.state.in_(sources)).values(values)).rowcount == 1


# -- planning -----------------------------------------------------------------------------------------------------


def keep(
    tx: Transaction,
    tenant: str,
    id: str,
    part: int,
    place: int,
    orders: Sequence[tuple[Planned, Mapping[str, int]]],
    cursor: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Add planned orders from `place` on, each with what it counts, and move the cursor.

    An order that is there already counts no second time. False when the planning was ended meanwhile.
    """
    row = tx.execute(sa.select(_b.pending).where(_this(tenant, id), _b.state == "planning").with_for_update()).first()
    if row is None:
        return False
    pending: Counter[str] = Counter(json.loads(row.pending))
    for offset, (planned, counted) in enumerate(orders):
        values = {
            "place": place + offset,
            "part": part,
            "name": planned.name,
            "processed_at": _micros(planned.processed_at),
            "updated_at": _micros(planned.updated_at),
            "applied": planned.applied,
            "expected": planned.expected,
            "says": planned.says,
            "state": "planned" if planned.settle else "left",
            "at": to_micros(now),
        }
        if insert_new(tx, backfill_orders, tenant=tenant, backfill=id, order_id=planned.order_id, **values):
            pending.update(counted)
    told = {"cursor": json.dumps(cursor), "pending": json.dumps(pending)}
    tx.execute(sa.update(backfills).where(_this(tenant, id)).values(told))
    return True


def aim(tx: Transaction, tenant: str, id: str, cursor: Mapping[str, Any]) -> bool:
    """Move the cursor alone; False when the planning was ended meanwhile."""
    mine = sa.and_(_this(tenant, id), _b.state == "planning")
    return tx.execute(sa.update(backfills).where(mine).values(cursor=json.dumps(cursor))).rowcount == 1


def proven(tx: Transaction, tenant: str, id: str, cursor: Mapping[str, Any]) -> bool:
    """A part is complete: what it counted counts. False when the planning was ended meanwhile."""
    found = get(tx, tenant, id)
    if found is None or found.state != "planning":
        return False
    totals = found.totals
    totals.update(found.pending)
    told = {"cursor": json.dumps(cursor), "totals": json.dumps(totals), "pending": "{}"}
    tx.execute(sa.update(backfills).where(_this(tenant, id)).values(told))
    return True


def unproven(tx: Transaction, tenant: str, id: str, part: int, cursor: Mapping[str, Any]) -> bool:
    """A part is not what Shopify counted: nothing of it is kept. False when the planning was ended meanwhile."""
    if not aim(tx, tenant, id, cursor):
        return False
    tx.execute(sa.delete(backfill_orders).where(_in(tenant, id), _o.part == part))
    tx.execute(sa.update(backfills).where(_this(tenant, id)).values(pending="{}"))
    return True


# -- carrying it out ----------------------------------------------------------------------------------------------


def take(tx: Transaction, tenant: str, id: str, room: int, now: datetime, again: timedelta) -> list[str]:
    """The next orders to want, at most as many as there is `room` for; they are `wanted` from here on.

    Taken and not wanted for `again` long means that who took them died. One process at a time takes.
    """
    one_at_a_time(tx, f"backfill {tenant}")
    if tx.execute(sa.select(_b.id).where(_this(tenant, id), _b.state == "running")).first() is None:
        return []
    dead = sa.and_(_o.state == "wanted", _o.wanted.is_(None), _o.at <= to_micros(now - again))
    free = sa.or_(_o.state == "planned", dead)
    query = sa.select(_o.order_id).where(_in(tenant, id), free).order_by(_o.place).limit(max(0, room))
    found = [row.order_id for row in tx.execute(query)]
    if found:
        mine = sa.and_(_in(tenant, id), _o.order_id.in_(found))
        tx.execute(sa.update(backfill_orders).where(mine).values(state="wanted", wanted=None, at=to_micros(now)))
    return found


def wanted(tx: Transaction, tenant: str, id: str, numbers: Mapping[str, int]) -> None:
    """These orders are wanted: order -> the number that says so in its mark."""
    for order_id, number in numbers.items():
        mine = sa.and_(_in(tenant, id), _o.order_id == order_id, _o.state == "wanted")
        tx.execute(sa.update(backfill_orders).where(mine).values(wanted=number))


def outstanding(tx: Transaction, tenant: str, id: str, limit: int) -> list[Row]:
    """Orders that are wanted and not settled yet, in their order."""
    query = sa.select(backfill_orders).where(_in(tenant, id), _o.state == "wanted").order_by(_o.place).limit(limit)
    return [_row(row) for row in tx.execute(query)]


def ended(tx: Transaction, tenant: str, id: str, order_id: str, outcome: Outcome, code: str, now: datetime) -> None:
    """What came of a wanted order."""
    mine = sa.and_(_in(tenant, id), _o.order_id == order_id, _o.state == "wanted")
    tx.execute(sa.update(backfill_orders).where(mine).values(state=outcome, code=code, at=to_micros(now)))


def leave(tx: Transaction, tenant: str, id: str, order_ids: Sequence[str], code: str, now: datetime) -> int:
    """These orders are not settled by the backfill after all; how many that were."""
    mine = sa.and_(_in(tenant, id), _o.state == "planned", _o.order_id.in_(order_ids))
    return int(
        tx.execute(sa.update(backfill_orders).where(mine).values(state="left", code=code, at=to_micros(now))).rowcount
    )


# -- looking ------------------------------------------------------------------------------------------------------


def states(tx: Transaction, tenant: str, id: str) -> dict[str, int]:
    """How many orders are in which state."""
    query = sa.select(_o.state, sa.func.count().label("number")).where(_in(tenant, id)).group_by(_o.state)
    return {row.state: int(row.number) for row in tx.execute(query)}


def ended_since(tx: Transaction, tenant: str, id: str, since: datetime) -> int:
    """How many orders were settled since then."""
    mine = sa.and_(_in(tenant, id), _o.state.in_(("done", "changed", "stuck")), _o.at >= to_micros(since))
    return int(tx.execute(sa.select(sa.func.count()).select_from(backfill_orders).where(mine)).scalar_one())


def rows_of(tx: Transaction, tenant: str, id: str, order_ids: Sequence[str]) -> dict[str, Row]:
    """These orders of a backfill, by id; those it does not hold are missing."""
    query = sa.select(backfill_orders).where(_in(tenant, id), _o.order_id.in_(order_ids))
    return {row.order_id: _row(row) for row in tx.execute(query)}


def page(tx: Transaction, tenant: str, id: str, after: int, limit: int) -> tuple[list[Row], int]:
    """Orders behind the place `after` (-1: from the first), and the place to go on from."""
    query = sa.select(backfill_orders).where(_in(tenant, id), _o.place > after).order_by(_o.place).limit(limit)
    found = list(tx.execute(query))
    return [_row(row) for row in found], found[-1].place if found else after


def forget(tx: Transaction, tenant: str) -> int:
    """Forget every backfill of a tenant; how many there were."""
    tx.execute(sa.delete(backfill_orders).where(_o.tenant == tenant))
    return int(tx.execute(sa.delete(backfills).where(_b.tenant == tenant)).rowcount)


def _this(tenant: str, id: str) -> sa.ColumnElement[bool]:
    return (_b.tenant == tenant) & (_b.id == id)


def _in(tenant: str, id: str) -> sa.ColumnElement[bool]:
    return (_o.tenant == tenant) & (_o.backfill == id)


def _micros(value: datetime | None) -> int | None:
    return None if value is None else to_micros(value)


def _at(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)


def _row(row: Any) -> Row:
    return Row(
        row.order_id,
        row.name,
        _at(row.processed_at),
        _at(row.updated_at),
        row.applied,
        row.expected,
        row.says,
        row.state,
        row.wanted,
        row.code,
        _at(row.at),
    )


def _backfill(row: Any) -> Backfill:
    return Backfill(
        tenant=row.tenant,
        id=row.id,
        state=row.state,
        since=date.fromisoformat(row.since),
        until=date.fromisoformat(row.until),
        cut_off=_at(row.cut_off),
        basis=row.basis,
        cursor=json.loads(row.cursor),
        totals=Counter(json.loads(row.totals)),
        pending=Counter(json.loads(row.pending)),
        reason=row.reason,
        created_at=from_micros(row.created_at),
        planned_at=_at(row.planned_at),
        started_at=_at(row.started_at),
        resumed_at=_at(row.resumed_at),
        ended_at=_at(row.ended_at),
    )
