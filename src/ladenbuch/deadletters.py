"""What keeps failing by itself, and what gave up: one row per thing, with why, how often it was tried and what became.

    trying ──> open          after the last attempt: the dead letter, which nothing tries again by itself
      │         │  ├──> redriven    a person let it be tried again; it settles, or opens again
      │         │  └──> dropped     a person gave it up, with a reason
      └─────────┴──────> settled    it went well after all: a new wish came, or the cause was gone

A row is never removed. What failed for everybody alike (an outage, a refused token) is not written down here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, to_micros, upsert

State = Literal["trying", "open", "redriven", "settled", "dropped"]
STATES: tuple[State, ...] = ("trying", "open", "redriven", "settled", "dropped")
#: What can give up. Few, so that they may be labels of a metric.
KINDS = ("order", "letter", "event")
#: How many of the last failures a row keeps.
KEPT = 10

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
    sa.Column("gave_up_at", sa.BigInteger, nullable=False),  # of one that is still tried: when it failed last
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Index(None, "state", "gave_up_at"),
)
_c = dead_letters.c


@dataclass(frozen=True)
class DeadLetter:
    """One thing that gave up, or is about to: `kind` (KINDS) and `subject` (its id) name it.

    `attempts` are its own failures in a row. `detail`: `failures` (the last ones, each `at`, `code`, `message`,
    `trace`), `next`, when it is tried again, None for never by itself, and `looked`, when the last attempt began.
    """

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

    @property
    def counted(self) -> int:
        """Own failures that count towards the end: none any more after it went well or a person redrove it."""
        return self.attempts if self.state in ("trying", "open") else 0


@dataclass(frozen=True, slots=True)
class Which:
    """A choice among the rows, None meaning all; `before` and `after` bound when it failed last."""

    tenant: str | None = None
    kind: str | None = None
    code: str | None = None
    state: State | None = "open"
    after: datetime | None = None
    before: datetime | None = None


# Built once: asked whenever an order is settled that was looked at before.
_MINE = (_c.tenant == sa.bindparam("t")) & (_c.kind == sa.bindparam("k")) & (_c.subject == sa.bindparam("s"))
_GET = Statement(sa.select(dead_letters).where(_MINE))


def failed(
    tx: Transaction,
    tenant: str,
    *,
    kind: str,
    subject: str,
    code: str,
    message: str,
    attempts: int,
    now: datetime,
    again: datetime | None,
    looked: datetime | None = None,
    trace: str | None = None,
) -> None:
    """Note one more failure of its own, the `attempts`th in a row; it is open when `again` (the next try) is None. A
    person's note stays.

    `looked`: when the attempt began; whatever was changed before that, it has seen.
    """
    known = get(tx, tenant, kind, subject)
    failures = [] if known is None else known.detail.get("failures", [])
    told = {"at": now.isoformat(), "code": code, "message": message, "trace": trace}
    detail = {
        "failures": [*failures, told][-KEPT:],
        "next": None if again is None else again.isoformat(),
        "looked": None if looked is None else looked.isoformat(),
    }
    upsert(
        tx,
        dead_letters,
        tenant=tenant,
        kind=kind,
        subject=subject,
        code=code,
        message=message,
        detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
        attempts=attempts,
        gave_up_at=to_micros(now),
        state="open" if again is None else "trying",
        note=None if known is None else known.note,
    )


def succeeded(tx: Transaction, tenant: str, kind: str, subject: str) -> State | None:
    """It went well: what failed before is settled. The state it was in; None when there was nothing to settle."""
    known = get(tx, tenant, kind, subject)
    if known is None or known.state in ("settled", "dropped"):
        return None
    _close(tx, known, "settled", known.note)
    return known.state


def close(tx: Transaction, letter: DeadLetter, state: Literal["redriven", "dropped"], note: str | None = None) -> bool:
    """Redriven or dropped, and why; False, and nothing changed, when it is no longer open as it was shown."""
    return _close(tx, letter, state, note or letter.note)


def annotate(tx: Transaction, letter: DeadLetter, note: str) -> bool:
    """Keep a person's remark; it stays whatever becomes of the row. False when the row changed meanwhile."""
    return _close(tx, letter, letter.state, note)


def _close(tx: Transaction, letter: DeadLetter, state: State, note: str | None) -> bool:
    mine = (_c.tenant == letter.tenant) & (_c.kind == letter.kind) & (_c.subject == letter.subject)
    same = (_c.state == letter.state) & (_c.gave_up_at == to_micros(letter.gave_up_at))
    return tx.execute(sa.update(dead_letters).where(mine, same).values(state=state, note=note)).rowcount == 1


def find(tx: Transaction, which: Which, limit: int = 1000, skip: int = 0) -> Sequence[DeadLetter]:
    """The newest `limit` rows of a choice, after the first `skip`."""
    query = _chosen(sa.select(dead_letters), which)
    newest = query.order_by(_c.gave_up_at.desc(), _c.tenant, _c.kind, _c.subject).limit(limit).offset(skip)
    return [_dead_letter(row) for row in tx.execute(newest)]


def count(tx: Transaction, which: Which) -> Mapping[str, int]:
    """How many rows of a choice there are, by kind; kinds without any are left out."""
    query = _chosen(sa.select(_c.kind, sa.func.count().label("number")), which).group_by(_c.kind).order_by(_c.kind)
    return {row.kind: int(row.number) for row in tx.execute(query)}


def _chosen(query: sa.Select[Any], which: Which) -> sa.Select[Any]:
    if which.tenant is not None:
        query = query.where(_c.tenant == which.tenant)
    for column, value in ((_c.kind, which.kind), (_c.code, which.code), (_c.state, which.state)):
        if value is not None:
            query = query.where(column == value)
    if which.after is not None:
        query = query.where(_c.gave_up_at >= to_micros(which.after))
    if which.before is not None:
        query = query.where(_c.gave_up_at < to_micros(which.before))
    return query


def looked_at(tx: Transaction, tenant: str, kind: str, subjects: Sequence[str]) -> Mapping[str, datetime]:
    """Of those that keep failing or gave up: when the last attempt at each began."""
    mine = (_c.tenant == tenant) & (_c.kind == kind) & _c.state.in_(("trying", "open"))
    query = sa.select(_c.subject, _c.detail).where(mine, _c.subject.in_([*subjects]))
    details = {row.subject: json.loads(row.detail).get("looked") for row in tx.execute(query)}
    return {subject: datetime.fromisoformat(at) for subject, at in details.items() if at is not None}


def get(tx: Transaction, tenant: str, kind: str, subject: str) -> DeadLetter | None:
    """One row, or None."""
    row = _GET.first(tx, t=tenant, k=kind, s=subject)
    return None if row is None else _dead_letter(row)


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
