"""What gave up: one row per thing, with why, how often it was tried and what became of it.

A row is never removed: it is redriven or dropped with a reason, and opens again when the thing gives up again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, to_micros, upsert

State = Literal["open", "redriven", "dropped"]

dead_letters = sa.Table(
    "dead_letters",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("gave_up_at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Index(None, "state", "gave_up_at"),
)
_c = dead_letters.c


@dataclass(frozen=True)
class DeadLetter:
    """One thing that gave up: `kind` ("order", "letter", …) and `subject` (its id) name it."""

    tenant: str
    kind: str
    subject: str
    code: str
    message: str
    detail: Mapping[str, Any]
    attempts: int
    gave_up_at: datetime
    state: State
    note: str | None


def add(
    tx: Transaction,
    tenant: str,
    *,
    kind: str,
    subject: str,
    code: str,
    message: str,
    attempts: int,
    now: datetime,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note that something gave up after `attempts` tries; it is open, again if it was before."""
    upsert(
        tx,
        dead_letters,
        tenant=tenant,
        kind=kind,
        subject=subject,
        code=code,
        message=message,
        detail=json.dumps(detail or {}, sort_keys=True, ensure_ascii=False),
        attempts=attempts,
        gave_up_at=to_micros(now),
        state="open",
        note=None,
    )


def list(
    tx: Transaction, tenant: str | None = None, state: State | None = "open", limit: int = 100
) -> Sequence[DeadLetter]:
    """The newest `limit` rows, of all tenants the door sees when None is given."""
    query = sa.select(dead_letters)
    if tenant is not None:
        query = query.where(_c.tenant == tenant)
    if state is not None:
        query = query.where(_c.state == state)
    newest = query.order_by(_c.gave_up_at.desc(), _c.tenant, _c.kind, _c.subject).limit(limit)
    return [_dead_letter(row) for row in tx.execute(newest)]


def get(tx: Transaction, tenant: str, kind: str, subject: str) -> DeadLetter | None:
    """One row, or None."""
    row = tx.execute(sa.select(dead_letters).where(_mine(tenant, kind, subject))).first()
    return None if row is None else _dead_letter(row)


def close(
    tx: Transaction, tenant: str, kind: str, subject: str, state: Literal["redriven", "dropped"], note: str
) -> bool:
    """Redriven or dropped, and why; False when there is no open row."""
    open_one = sa.update(dead_letters).where(_mine(tenant, kind, subject), _c.state == "open")
    return tx.execute(open_one.values(state=state, note=note)).rowcount == 1


def _mine(tenant: str, kind: str, subject: str) -> sa.ColumnElement[bool]:
    return (_c.tenant == tenant) & (_c.kind == kind) & (_c.subject == subject)


def _dead_letter(row: Any) -> DeadLetter:
    return DeadLetter(
        tenant=row.tenant,
        kind=row.kind,
        subject=row.subject,
        code=row.code,
        message=row.message,
        detail=json.loads(row.detail),
        attempts=row.attempts,
        gave_up_at=from_micros(row.gave_up_at),
        state=row.state,
        note=row.note,
    )
