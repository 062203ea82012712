"""What is to be written back to the shop, order by order: wanted with each fact, written when it differs, once.

    wanted > done   something may have to be written; `due_at` says when it is looked at
    written         what we wrote last, with Shopify's digest of it: what is equal is not written again

A claim moves `due_at` behind a lease. Nothing of a buyer stands here: numbers, a link, a status, tags of our own.
Functions take an open transaction of the books store; instants are aware UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros

write_backs = sa.Table(
    "write_backs",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", sa.String(64), primary_key=True),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("written", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Index(
        "ix_write_backs_open",
        "due_at",
        sqlite_where=sa.text("wanted > done"),
        postgresql_where=sa.text("wanted > done"),
    ),
)
_c = write_backs.c


def _due() -> Statement:
    open_ = (_c.wanted > _c.done) & (_c.due_at <= sa.bindparam("now", type_=sa.BigInteger))
    turn = sa.func.row_number().over(partition_by=_c.tenant, order_by=(_c.due_at, _c.order_id)).label("turn")
    fair = sa.select(_c.tenant, _c.order_id, turn).where(open_).subquery()
    return Statement(sa.select(fair).order_by(fair.c.turn, fair.c.tenant).limit(sa.bindparam("n", type_=sa.Integer)))


_DUE = _due()


@dataclass(frozen=True, slots=True)
class Written:
    """What we wrote last: metafields as key -> (value, Shopify's digest of it), and the tags we added."""

    metafields: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteBack:
    """One order: `reason` says why something could not be written, None where all is well."""

    tenant: str
    order_id: str
    wanted: int
    done: int
    due_at: datetime
    attempts: int
    written: Written
    reason: str | None


def want(tx: Transaction, tenant: str, order_id: str, due_at: datetime) -> None:
    """Something about the order may have to be written, at `due_at`, or sooner where it was wanted before."""
    at = to_micros(due_at)
    first = {"wanted": 1, "done": 0, "due_at": at, "attempts": 0, "written": "{}", "changed_at": at}
    if insert_new(tx, write_backs, tenant=tenant, order_id=order_id, **first):
        return
    idle = sa.case((_c.wanted == _c.done, at), else_=_c.due_at)
    mine = (_c.tenant == tenant) & (_c.order_id == order_id)
    tx.execute(sa.update(write_backs).where(mine).values(wanted=_c.wanted + 1, due_at=idle))


def due(tx: Transaction, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Orders to look at now, as (tenant, order): the first of each tenant, then the second of each, …"""
    return [(row.tenant, row.order_id) for row in _DUE.rows(tx, now=to_micros(now), n=limit)]


def claim(tx: Transaction, tenant: str, order_id: str, run_id: str, now: datetime, until: datetime) -> WriteBack | None:
    """Take an order for a run until an instant, counting an attempt; None when there is nothing to take."""
    open_ = (_c.wanted > _c.done) & (_c.due_at <= to_micros(now))
    mine = (_c.tenant == tenant) & (_c.order_id == order_id)
    held = {"due_at": to_micros(until), "run_id": run_id, "attempts": _c.attempts + 1}
    if tx.execute(sa.update(write_backs).where(mine, open_).values(held)).rowcount != 1:
        return None
    return of_order(tx, tenant, order_id)


def note(tx: Transaction, one: WriteBack, run_id: str, now: datetime, written: Written) -> bool:
    """Something was written; more may follow. False when the run holds the order no more."""
    return _held(tx, one, run_id, written=_text(written), changed_at=to_micros(now))


def done(tx: Transaction, one: WriteBack, run_id: str, now: datetime, reason: str | None = None) -> bool:
    """All that was wanted when the order was claimed is written, or will not be (`reason`)."""
    said = None if reason is None else reason[:300]
    # What was wanted meanwhile is looked at as soon as it may be.
    due_at = sa.case((_c.wanted > one.wanted, to_micros(now)), else_=_c.due_at)
    values = {"done": one.wanted, "attempts": 0, "reason": said, "run_id": None, "due_at": due_at}
    return _held(tx, one, run_id, changed_at=to_micros(now), **values)


def postpone(tx: Transaction, one: WriteBack, run_id: str, now: datetime, due_at: datetime, reason: str) -> bool:
    """It is tried again at `due_at`."""
    at = {"due_at": to_micros(due_at), "changed_at": to_micros(now)}
    return _held(tx, one, run_id, run_id=None, reason=reason[:300], **at)


def wait(tx: Transaction, one: WriteBack, run_id: str, due_at: datetime) -> bool:
    """Nothing was tried: it is looked at again at `due_at`."""
    return _held(tx, one, run_id, run_id=None, due_at=to_micros(due_at), attempts=_c.attempts - 1)


def of_order(tx: Transaction, tenant: str, order_id: str) -> WriteBack | None:
    """One order, or None."""
    row = tx.execute(sa.select(write_backs).where(_c.tenant == tenant, _c.order_id == order_id)).first()
    return None if row is None else _write_back(row)


def troubled(tx: Transaction, tenant: str, limit: int) -> list[WriteBack]:
    """Orders with a reason why something is not written."""
    query = sa.select(write_backs).where(_c.tenant == tenant, _c.reason.is_not(None)).order_by(_c.order_id)
    return [_write_back(row) for row in tx.execute(query.limit(limit))]


def erase(tx: Transaction, tenant: str, order_id: str) -> bool:
    """A buyer is forgotten: nothing is written about the order any more."""
    mine = (_c.tenant == tenant) & (_c.order_id == order_id)
    return tx.execute(sa.delete(write_backs).where(mine)).rowcount == 1


def forget(tx: Transaction, tenant: str) -> None:
    """A tenant leaves: nothing is written to its shop any more."""
    tx.execute(sa.delete(write_backs).where(_c.tenant == tenant))


def _held(tx: Transaction, one: WriteBack, run_id: str, /, **values: object) -> bool:
    mine = (_c.tenant == one.tenant) & (_c.order_id == one.order_id) & (_c.run_id == run_id)
    return tx.execute(sa.update(write_backs).where(mine).values(values)).rowcount == 1


def _text(written: Written) -> str:
    said = {"metafields": {key: list(pair) for key, pair in written.metafields.items()}, "tags": list(written.tags)}
    return json.dumps(said, ensure_ascii=False, sort_keys=True)


def _write_back(row: Any) -> WriteBack:
    said = json.loads(row.written)
    fields = {key: (value, digest) for key, (value, digest) in said.get("metafields", {}).items()}
    written = Written(fields, tuple(said.get("tags", ())))
    due_at = from_micros(row.due_at)
    return WriteBack(row.tenant, row.order_id, row.wanted, row.done, due_at, row.attempts, written, row.reason)
