"""What was done, by whom and why, in sentences: append-only, one hash chain per tenant.

Each entry's hash is SHA-256 over the canonical JSON of all its fields and the hash before it, so flipping,
deleting, inserting or reordering any entry breaks the chain at that index; the head row catches a cut tail.
`tools/verify_audit.py` checks an export without a line of this product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros

GENESIS = "0" * 64

audit_entries = sa.Table(
    "audit_entries",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index(None, "tenant", "subject", "seq"),
    info={"append_only": True},
)
audit_heads = sa.Table(
    "audit_heads",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("entries", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
_HASHED = ("tenant", "seq", "at", "actor", "event", "subject", "sentence", "detail", "previous")


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `seq` counts from 0 without gaps; `subject` is what it happened to."""

    tenant: str
    seq: int
    at: datetime
    actor: str
    event: str
    subject: str
    sentence: str
    detail: Mapping[str, Any]
    hash: str


# Built once: putting a statement together costs more than running it.
_HEAD = Statement(sa.select(audit_heads).where(audit_heads.c.tenant == sa.bindparam("t")).with_for_update())
_ADD = Statement(sa.insert(audit_entries))
_MOVE = Statement(
    sa.update(audit_heads)
    .where(audit_heads.c.tenant == sa.bindparam("t"))
    .values(entries=sa.bindparam("n"), hash=sa.bindparam("h"))
)


def append(
    tx: Transaction,
    tenant: str,
    now: datetime,
    *,
    actor: str,
    event: str,
    subject: str,
    sentence: str,
    detail: Mapping[str, object] | None = None,
) -> int:
    """Add an entry at the end of the tenant's chain; its index comes back.

    `detail` is JSON without floating-point numbers (TypeError): they have no canonical form.
    """
    # The head row is the lock: writers of one chain follow each other, chains do not wait for each other.
    head = _HEAD.first(tx, t=tenant)
    if head is None:
        insert_new(tx, audit_heads, tenant=tenant, entries=0, hash=GENESIS)
        head = _HEAD.rows(tx, t=tenant)[0]
    entry: dict[str, str | int] = {
        "tenant": tenant,
        "seq": head.entries,
        "at": to_micros(now),
        "actor": actor,
        "event": event,
        "subject": subject,
        "sentence": sentence,
        "detail": _canonical(_without_floats(detail or {})),
        "previous": head.hash,
    }
    digest = _digest(entry)
    _ADD.change(tx, **entry, hash=digest)
    _MOVE.change(tx, t=tenant, n=head.entries + 1, h=digest)
    return int(head.entries)


def verify(tx: Transaction, tenant: str) -> int | None:
    """None when the tenant's chain is whole, otherwise the index of the first entry that is not what it was."""
    rows = _rows(tx, tenant)
    head = tx.execute(sa.select(audit_heads).where(audit_heads.c.tenant == tenant)).first()
    return broken_at(rows, None, GENESIS) if head is None else broken_at(rows, int(head.entries), str(head.hash))


def broken_at(rows: Iterable[Mapping[str, Any]], entries: int | None, head: str) -> int | None:
    """None when `rows`, a chain from its beginning, are `entries` whole ones and end with the hash `head`; otherwise
    the index of the first that is not what it was. `entries` None: the row that says so is missing."""
    expected, previous = 0, GENESIS
    for row in rows:
        if row["seq"] != expected or row["previous"] != previous or _digest(row) != row["hash"]:
            return expected
        expected, previous = expected + 1, row["hash"]
    if (entries or 0, head) == (expected, previous):
        return None
    return expected if entries is None else min(expected, entries)


def entries(tx: Transaction, tenant: str, subject: str | None = None, limit: int = 200) -> list[Entry]:
    """The newest `limit` entries of a tenant, or of one subject of it, oldest first."""
    query = sa.select(audit_entries).where(audit_entries.c.tenant == tenant)
    if subject is not None:
        query = query.where(audit_entries.c.subject == subject)
    rows = tx.execute(query.order_by(audit_entries.c.seq.desc()).limit(limit)).mappings().all()
    return [_entry(row) for row in reversed(rows)]


def head(tx: Transaction, tenant: str) -> str:
    """The hash at the end of the tenant's chain; 64 zeros before the first entry."""
    row = tx.execute(sa.select(audit_heads.c.hash).where(audit_heads.c.tenant == tenant)).first()
    return GENESIS if row is None else str(row.hash)


def lengths(tx: Transaction) -> dict[str, int]:
    """How many entries the chain of each tenant the door sees has."""
    return {row.tenant: int(row.entries) for row in tx.execute(sa.select(audit_heads.c.tenant, audit_heads.c.entries))}


def export(tx: Transaction, tenant: str) -> Iterator[str]:
    """The whole chain as JSON lines without line ends, closed by one line with its length and last hash.

    Read it inside the transaction. `tools/verify_audit.py` checks it.
    """
    count, last = 0, GENESIS
    for row in _rows(tx, tenant):
        count, last = count + 1, row["hash"]
        yield _canonical(row)
    yield _canonical({"tenant": tenant, "entries": count, "head": last})


def _rows(tx: Transaction, tenant: str) -> Iterator[dict[str, Any]]:
    query = sa.select(audit_entries).where(audit_entries.c.tenant == tenant).order_by(audit_entries.c.seq)
    for row in tx.execute(query, execution_options={"yield_per": 2000}).mappings():
        yield dict(row)


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(
        tenant=row["tenant"],
        seq=row["seq"],
        at=from_micros(row["at"]),
        actor=row["actor"],
        event=row["event"],
        subject=row["subject"],
        sentence=row["sentence"],
        detail=json.loads(row["detail"]),
        hash=row["hash"],
    )


def _digest(entry: Mapping[str, object]) -> str:
    # `detail` is hashed as the text it is stored as, so a verifier never has to write JSON numbers our way.
    return hashlib.sha256(_canonical({name: entry[name] for name in _HASHED}).encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _without_floats(value: object) -> object:
    if isinstance(value, float):
        raise TypeError("an audit detail holds no floating-point numbers")
    if isinstance(value, Mapping):
        return {str(key): _without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value]
    return value
