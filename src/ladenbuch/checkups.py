"""The daily look at each tenant's connection: when it is due, what it found, and what had changed since the one before.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.domain.compared import Change
from ladenbuch.domain.connected import Finding

checkups = sa.Table(
    "checkups",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("checked_at", sa.BigInteger),  # of the findings; NULL: there was never a whole look
    sa.Column("findings", sa.Text),
    sa.Column("changed_at", sa.BigInteger),
    sa.Column("changes", sa.Text),
    sa.Column("trouble", sa.Text),  # the code of a look that failed after it
)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What is known of a tenant's connection. `changes` are those of `changed_at`; `trouble`: a later look failed."""

    tenant: str
    due_at: datetime
    checked_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    changed_at: datetime | None = None
    changes: tuple[Change, ...] = ()
    trouble: str | None = None


def get(tx: Transaction, tenant: str) -> Checkup | None:
    """The tenant's last look, None before it was ever planned."""
    row = tx.execute(sa.select(checkups).where(checkups.c.tenant == tenant)).first()
    return None if row is None else _checkup(row)


def times(tx: Transaction) -> dict[str, datetime]:
    """When each tenant the door can see is due."""
    rows = tx.execute(sa.select(checkups.c.tenant, checkups.c.due_at))
    return {row.tenant: from_micros(row.due_at) for row in rows}


def plan(tx: Transaction, tenant: str, due_at: datetime) -> bool:
    """Plan a tenant's first look; False when one was planned before."""
    return insert_new(tx, checkups, tenant=tenant, due_at=to_micros(due_at))


def claim(tx: Transaction, tenant: str, now: datetime, until: datetime) -> bool:
    """Take a look that is due; False when another process did. Who dies at it leaves it due again `until` then."""
    mine = sa.and_(checkups.c.tenant == tenant, checkups.c.due_at <= to_micros(now))
    return tx.execute(sa.update(checkups).where(mine).values(due_at=to_micros(until))).rowcount == 1


def put(
    tx: Transaction,
    tenant: str,
    findings: Sequence[Finding],
    changes: Sequence[Change],
    now: datetime,
    due_at: datetime,
) -> None:
    """Keep what was found now; `changes` replace the last ones where there are any."""
    plan(tx, tenant, due_at)
    values: dict[str, Any] = {
        "due_at": to_micros(due_at),
        "checked_at": to_micros(now),
        "findings": json.dumps([item.as_json() for item in findings], ensure_ascii=False),
        "trouble": None,
    }
    if changes:
        told = [{"came": item.came, **item.finding.as_json()} for item in changes]
        values |= {"changed_at": to_micros(now), "changes": json.dumps(told, ensure_ascii=False)}
    tx.execute(sa.update(checkups).where(checkups.c.tenant == tenant).values(**values))


def failed(tx: Transaction, tenant: str, code: str, due_at: datetime) -> None:
    """A look came to nothing, and the one before it stands; the next is due then."""
    mine = sa.update(checkups).where(checkups.c.tenant == tenant)
    tx.execute(mine.values(trouble=code, due_at=to_micros(due_at)))


def forget(tx: Transaction, tenant: str) -> bool:
    """Forget what was found; False when there was nothing."""
    return tx.execute(sa.delete(checkups).where(checkups.c.tenant == tenant)).rowcount == 1


def _checkup(row: Any) -> Checkup:
    def at(micros: int | None) -> datetime | None:
        return None if micros is None else from_micros(micros)

    return Checkup(
        tenant=row.tenant,
        due_at=from_micros(row.due_at),
        checked_at=at(row.checked_at),
        findings=tuple(Finding.from_json(item) for item in json.loads(row.findings or "[]")),
        changed_at=at(row.changed_at),
        changes=tuple(Change(item["came"], Finding.from_json(item)) for item in json.loads(row.changes or "[]")),
        trouble=row.trouble,
    )
