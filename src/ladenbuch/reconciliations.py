"""Looks at whether shop, books and sevdesk agree: whose turn it is, what was seen and since when, and the reports.

A sighting stays until what it is about is gone; it is then deleted, and the report that mended it tells of it. Reports
are kept for a while; a look that found nothing replaces the one before it that found nothing, so that a look every few
minutes costs one row. Nothing here names a buyer: orders, document numbers, codes.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, to_micros, upsert
from ladenbuch.domain.reconciling import Discrepancy, Item, Report, Sighting

turns = sa.Table(
    "reconcile_turns",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("rolling_due", sa.BigInteger, nullable=False),
    sa.Column("nightly_due", sa.BigInteger, nullable=False),
    sa.Column("seen_until", sa.BigInteger, nullable=False),  # changes in sevdesk are known up to here
)

sightings = sa.Table(
    "reconcile_sightings",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("sort", sa.String(16), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("order_id", sa.String(64)),
    sa.Column("order_name", sa.String(64)),
    sa.Column("document", sa.Text),
    sa.Column("document_key", sa.Text),
    sa.Column("held", sa.String(80)),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("cure", sa.String(16), nullable=False),
    sa.Column("human", sa.Integer, nullable=False),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("first_seen", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Column("cured_at", sa.BigInteger),
    sa.Column("accepted", sa.Text),  # why it may stay, as a person said; NULL: nobody did
)

reports = sa.Table(
    "reconciliations",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    sa.Column("since", sa.String(10)),
    sa.Column("until", sa.String(10)),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("documents", sa.Integer, nullable=False),
    sa.Column("found", sa.Integer, nullable=False),
    sa.Column("fixed", sa.Integer, nullable=False),
    sa.Column("items", sa.Text, nullable=False),
    sa.Index(None, "tenant", "ended_at"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a tenant is looked at next, and up to when changes in sevdesk are known."""

    tenant: str
    rolling_due: datetime
    nightly_due: datetime
    seen_until: datetime


# -- turns --------------------------------------------------------------------------------------------------------


def plan(tx: Transaction, tenant: str, rolling: datetime, nightly: datetime, seen_until: datetime) -> bool:
    """Plan a tenant's first looks; False when they were planned before."""
    due = {"rolling_due": to_micros(rolling), "nightly_due": to_micros(nightly)}
    return insert_new(tx, turns, tenant=tenant, seen_until=to_micros(seen_until), **due)


def all_turns(tx: Transaction) -> list[Turn]:
    """Whose turn is when, for every tenant the door can see."""
    rows = tx.execute(sa.select(turns).order_by(turns.c.tenant))
    return [
        Turn(row.tenant, from_micros(row.rolling_due), from_micros(row.nightly_due), from_micros(row.seen_until))
        for row in rows
    ]


def claim(tx: Transaction, tenant: str, kind: str, now: datetime, until: datetime) -> bool:
    """Take a turn (rolling, nightly) that is due; False when another process did. Who dies at it leaves it due again
    `until` then."""
    column = turns.c.nightly_due if kind == "nightly" else turns.c.rolling_due
    mine = sa.and_(turns.c.tenant == tenant, column <= to_micros(now))
    return tx.execute(sa.update(turns).where(mine).values({column: to_micros(until)})).rowcount == 1


def done(tx: Transaction, tenant: str, kind: str, due: datetime, seen_until: datetime | None = None) -> None:
    """A turn is over; the next one is due then."""
    values: dict[str, Any] = {"nightly_due" if kind == "nightly" else "rolling_due": to_micros(due)}
    if seen_until is not None:
        values["seen_until"] = to_micros(seen_until)
    tx.execute(sa.update(turns).where(turns.c.tenant == tenant).values(**values))


# -- sightings ----------------------------------------------------------------------------------------------------


def known(tx: Transaction, tenant: str) -> dict[str, Sighting]:
    """What is still there as far as anybody saw, by mark."""
    rows = tx.execute(sa.select(sightings).where(sightings.c.tenant == tenant))
    return {row.mark: _sighting(row) for row in rows}


def see(tx: Transaction, tenant: str, found: Iterable[Discrepancy], now: datetime) -> None:
    """Note what was found now; what was seen before keeps since when."""
    at = to_micros(now)
    for one in found:
        said = {
            "sort": one.sort,
            "code": one.code,
            "order_id": one.order_id,
            "order_name": one.order_name,
            "document": one.document,
            "document_key": one.key,
            "held": one.held,
            "message": one.message,
            "cure": one.cure,
            "human": int(one.human),
            "asked": int(one.asked),
            "last_seen": at,
        }
        if not insert_new(tx, sightings, tenant=tenant, mark=one.mark, first_seen=at, **said):
            mine = sa.and_(sightings.c.tenant == tenant, sightings.c.mark == one.mark)
            tx.execute(sa.update(sightings).where(mine).values(**said))


def cured(tx: Transaction, tenant: str, mark: str, now: datetime) -> None:
    """Its cure began."""
    mine = sa.and_(sightings.c.tenant == tenant, sightings.c.mark == mark)
    tx.execute(sa.update(sightings).where(mine).values(cured_at=to_micros(now)))


def gone(tx: Transaction, tenant: str, mark: str) -> None:
    """It is not there any more."""
    tx.execute(sa.delete(sightings).where(sightings.c.tenant == tenant, sightings.c.mark == mark))


def accept(tx: Transaction, tenant: str, mark: str, why: str) -> bool:
    """A person says that it may stay, and why; False when nothing of that mark was seen."""
    mine = sa.and_(sightings.c.tenant == tenant, sightings.c.mark == mark)
    return tx.execute(sa.update(sightings).where(mine).values(accepted=why)).rowcount == 1


# -- reports ------------------------------------------------------------------------------------------------------


def keep(tx: Transaction, id: str, made: Report) -> None:
    """Keep a report. One that found nothing takes the place of the last of its kind, if that found nothing, too."""
    last = latest(tx, made.tenant, made.kind)
    if last is not None and not last[1].items and not made.items:
        id = last[0]
    upsert(
        tx,
        reports,
        tenant=made.tenant,
        id=id,
        kind=made.kind,
        status=made.status,
        started_at=to_micros(made.started_at),
        ended_at=to_micros(made.ended_at),
        since=None if made.since is None else made.since.isoformat(),
        until=None if made.until is None else made.until.isoformat(),
        orders=made.orders,
        documents=made.documents,
        found=made.found,
        fixed=made.fixed,
        items=json.dumps([_written(item) for item in made.items], ensure_ascii=False),
    )


def latest(tx: Transaction, tenant: str, kind: str) -> tuple[str, Report] | None:
    """The id and the report of the last look of a kind."""
    mine = sa.select(reports).where(reports.c.tenant == tenant, reports.c.kind == kind)
    row = tx.execute(mine.order_by(reports.c.ended_at.desc(), reports.c.id).limit(1)).first()
    return None if row is None else (row.id, _report(row))


def newest(tx: Transaction, tenant: str, limit: int) -> list[Report]:
    """A tenant's last reports, the newest first."""
    mine = sa.select(reports).where(reports.c.tenant == tenant)
    return [_report(row) for row in tx.execute(mine.order_by(reports.c.ended_at.desc(), reports.c.id).limit(limit))]


def prune(tx: Transaction, tenant: str, before: datetime) -> int:
    """Delete reports that ended before; how many."""
    old = sa.and_(reports.c.tenant == tenant, reports.c.ended_at < to_micros(before))
    return tx.execute(sa.delete(reports).where(old)).rowcount


def forget(tx: Transaction, tenant: str) -> None:
    """The tenant is redacted: nobody looks any more, and what was seen goes."""
    for table in (turns, sightings, reports):
        tx.execute(sa.delete(table).where(table.c.tenant == tenant))


def _sighting(row: Any) -> Sighting:
    named = row.order_id, row.order_name, row.document, row.document_key, row.held
    one = Discrepancy(row.sort, row.code, row.message, row.cure, bool(row.human), *named, asked=bool(row.asked))
    cured_at = None if row.cured_at is None else from_micros(row.cured_at)
    return Sighting(one, from_micros(row.first_seen), from_micros(row.last_seen), cured_at, row.accepted is not None)


_FIELDS = ("sort", "code", "message", "cure", "human", "order_id", "order_name", "document", "key", "held", "asked")


def _written(item: Item) -> list[Any]:
    values: Sequence[Any] = [getattr(item.discrepancy, name) for name in _FIELDS]
    return [item.state, item.since.isoformat(), *values]


def _report(row: Any) -> Report:
    items = tuple(
        Item(Discrepancy(*values), state, datetime.fromisoformat(since))
        for state, since, *values in json.loads(row.items)
    )
    return Report(
        tenant=row.tenant,
        kind=row.kind,
        started_at=from_micros(row.started_at),
        ended_at=from_micros(row.ended_at),
        since=None if row.since is None else date.fromisoformat(row.since),
        until=None if row.until is None else date.fromisoformat(row.until),
        orders=row.orders,
        documents=row.documents,
        items=items,
    )
