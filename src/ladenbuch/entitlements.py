"""What was last known of each shop's subscription of the app: the verdict, when it was read, why it is older than that.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.domain.entitlement import Entitlement

entitlements = sa.Table(
    "entitlements",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("plan", sa.Text),
    sa.Column("over", sa.Integer, nullable=False),
    sa.Column("until", sa.BigInteger),
    sa.Column("missing_since", sa.BigInteger),
    sa.Column("read_at", sa.BigInteger),  # of the verdict; NULL: there was never an answer
    sa.Column("looked_at", sa.BigInteger, nullable=False),
    sa.Column("unread", sa.Text),  # why the last look brought no answer
    sa.Column("cap_told_at", sa.BigInteger),
    sa.Column("cap_used", sa.Text),  # what is charged, in the main unit; both NULL where nothing is near a cap
    sa.Column("cap_of", sa.Text),
    sa.Column("cap_currency", sa.String(8)),
)


@dataclass(frozen=True, slots=True)
class NearCap:
    """Usage that comes close to its cap: amounts in the currency's main unit, as Shopify writes them."""

    used: str
    cap: str
    currency: str


@dataclass(frozen=True, slots=True)
class Known:
    """The last verdict of a tenant, `unknown` before the first. `unread`: the code of a look that failed after it.

    `cap_told_at`: when Shopify last said that usage comes close to its cap. `near_cap`: it does now.
    """

    tenant: str
    verdict: Entitlement
    read_at: datetime | None
    looked_at: datetime
    unread: str | None = None
    cap_told_at: datetime | None = None
    near_cap: NearCap | None = None


def get(tx: Transaction, tenant: str) -> Known | None:
    """What is known of a tenant, None before the first look."""
    row = tx.execute(sa.select(entitlements).where(entitlements.c.tenant == tenant)).first()
    return None if row is None else _known(row)


def all(tx: Transaction) -> list[Known]:
    """Everything the door can see, by tenant."""
    return [_known(row) for row in tx.execute(sa.select(entitlements).order_by(entitlements.c.tenant))]


def put(tx: Transaction, tenant: str, verdict: Entitlement, now: datetime) -> None:
    """Keep a verdict that was read now."""
    _ensure(tx, tenant, now)
    values = {
        "kind": verdict.kind,
        "sentence": verdict.sentence,
        "plan": verdict.plan,
        "over": verdict.over,
        "until": _micros(verdict.until),
        "missing_since": _micros(verdict.missing_since),
        "read_at": to_micros(now),
        "looked_at": to_micros(now),
        "unread": None,
    }
    tx.execute(sa.update(entitlements).where(entitlements.c.tenant == tenant).values(**values))


def unread(tx: Transaction, tenant: str, code: str, now: datetime) -> None:
    """A look brought no answer: the verdict before it stays, with its time."""
    _ensure(tx, tenant, now)
    mine = sa.update(entitlements).where(entitlements.c.tenant == tenant)
    tx.execute(mine.values(looked_at=to_micros(now), unread=code))


def cap_told(tx: Transaction, tenant: str, at: datetime, now: datetime, near: NearCap) -> bool:
    """Note that usage comes close to its cap, as said at `at`; False when that or something later is known."""
    _ensure(tx, tenant, now)
    later = sa.or_(entitlements.c.cap_told_at.is_(None), entitlements.c.cap_told_at < to_micros(at))
    mine = sa.update(entitlements).where(entitlements.c.tenant == tenant, later)
    told = {"cap_used": near.used, "cap_of": near.cap, "cap_currency": near.currency}
    return tx.execute(mine.values(cap_told_at=to_micros(at), **told)).rowcount == 1


def cap_left(tx: Transaction, tenant: str) -> bool:
    """Usage is far from its cap again: raised, begun anew, or the plan is gone. False when it was not near it."""
    near = sa.and_(entitlements.c.tenant == tenant, entitlements.c.cap_of.is_not(None))
    return tx.execute(sa.update(entitlements).where(near).values(cap_used=None, cap_of=None)).rowcount == 1


def near_cap(tx: Transaction) -> int:
    """How many shops the door can see come close to the cap of their usage."""
    near = sa.select(sa.func.count()).where(entitlements.c.cap_of.is_not(None))
    return int(tx.execute(near).scalar_one())


def _ensure(tx: Transaction, tenant: str, now: datetime) -> None:
    first = {"kind": "unknown", "sentence": "Nobody answered yet.", "over": 0, "looked_at": to_micros(now)}
    insert_new(tx, entitlements, tenant=tenant, **first)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _at(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _known(row: Any) -> Known:
    verdict = Entitlement(row.kind, row.sentence, _at(row.until), row.plan, row.over, _at(row.missing_since))
    near = None if row.cap_of is None else NearCap(row.cap_used, row.cap_of, row.cap_currency)
    at = from_micros(row.looked_at)
    return Known(row.tenant, verdict, _at(row.read_at), at, row.unread, _at(row.cap_told_at), near)
