"""How each shop lets us in: kind of grant, scopes, expiries, and whether it has to be connected again.

The tokens themselves are in the vault; here is what may be known about them without opening it. Also the states of
installations that were used up, so that one works once whatever a browser does with its cookie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros, upsert

Kind = Literal["authorization_code", "token_exchange", "client_credentials", "permanent"]

grants = sa.Table(
    "grants",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("granted_at", sa.BigInteger, nullable=False),
    sa.Column("refreshed_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("refresh_expires_at", sa.BigInteger),
    sa.Column("needs_reconnect", sa.Text),
    sa.Column("lost_at", sa.BigInteger),
)
# No tenant column: when a state comes back, nobody may be a tenant yet. A digest, so that a dump starts nothing.
used_states = sa.Table(
    "used_states",
    books_metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False),
)

# Built once: putting a statement together costs more than running it.
_GET = Statement(sa.select(grants).where(grants.c.tenant == sa.bindparam("t")))


@dataclass(frozen=True)
class Grant:
    """What a shop granted. Instants are aware UTC; `refreshed_at` is when a token last came.

    `expires_at` is the access token's (None: never), `refresh_expires_at` the refresh token's (None: there is none).
    `needs_reconnect` says why nothing but a person can get a token again, None while all is well.
    """

    tenant: str
    kind: Kind
    scopes: frozenset[str]
    granted_at: datetime
    refreshed_at: datetime
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    needs_reconnect: str | None = None
    lost_at: datetime | None = None


def get(tx: Transaction, tenant: str) -> Grant | None:
    """The tenant's grant, or None before its first token."""
    row = _GET.first(tx, t=tenant)
    return None if row is None else _grant(row)


def all(tx: Transaction) -> list[Grant]:
    """Every grant the door can see, by tenant."""
    return [_grant(row) for row in tx.execute(sa.select(grants).order_by(grants.c.tenant))]


def put(
    tx: Transaction,
    tenant: str,
    kind: Kind,
    scopes: Iterable[str],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    refresh_expires_at: datetime | None = None,
) -> None:
    """The shop let us in (again): whatever was lost before is found."""
    upsert(
        tx,
        grants,
        tenant=tenant,
        kind=kind,
        scopes=_joined(scopes),
        granted_at=to_micros(now),
        refreshed_at=to_micros(now),
        expires_at=_micros(expires_at),
        refresh_expires_at=_micros(refresh_expires_at),
        needs_reconnect=None,
        lost_at=None,
    )


def refreshed(
    tx: Transaction, tenant: str, now: datetime, *, expires_at: datetime | None, refresh_expires_at: datetime | None
) -> None:
    """A new token came for the same grant."""
    _change(
        tx,
        tenant,
        refreshed_at=to_micros(now),
        expires_at=_micros(expires_at),
        refresh_expires_at=_micros(refresh_expires_at),
        needs_reconnect=None,
        lost_at=None,
    )


def set_scopes(tx: Transaction, tenant: str, scopes: Iterable[str]) -> None:
    """What the shop grants now."""
    _change(tx, tenant, scopes=_joined(scopes))


def lose(tx: Transaction, tenant: str, reason: str, now: datetime) -> bool:
    """Mark that the shop has to be connected again; False when that was known or there is no grant."""
    still = grants.c.needs_reconnect.is_(None)
    found = sa.update(grants).where(grants.c.tenant == tenant, still)
    return tx.execute(found.values(needs_reconnect=reason, lost_at=to_micros(now))).rowcount == 1


def forget(tx: Transaction, tenant: str) -> bool:
    """Forget the tenant's grant; False when there was none."""
    return tx.execute(sa.delete(grants).where(grants.c.tenant == tenant)).rowcount == 1


def idle(tx: Transaction, before: datetime, limit: int = 500) -> list[Grant]:
    """Grants with a refresh token that were not refreshed since that instant and are not lost, longest first."""
    asked = sa.select(grants).where(
        grants.c.refresh_expires_at.is_not(None),
        grants.c.needs_reconnect.is_(None),
        grants.c.refreshed_at < to_micros(before),
    )
    return [_grant(row) for row in tx.execute(asked.order_by(grants.c.refreshed_at).limit(limit))]


def lost(tx: Transaction, kind: Kind) -> list[Grant]:
    """Grants of one kind that need to be connected again."""
    asked = sa.select(grants).where(grants.c.kind == kind, grants.c.needs_reconnect.is_not(None))
    return [_grant(row) for row in tx.execute(asked.order_by(grants.c.tenant))]


def use_state(tx: Transaction, state: str, now: datetime, until: datetime) -> bool:
    """Use the state of an installation up; False when it was used before. Through a system door.

    Nothing is remembered longer than `until`, when the state's cookie is too old anyway.
    """
    tx.execute(sa.delete(used_states).where(used_states.c.until < to_micros(now)))
    digest = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
    return insert_new(tx, used_states, digest=digest, until=to_micros(until))


def _change(tx: Transaction, tenant: str, **values: object) -> None:
    tx.execute(sa.update(grants).where(grants.c.tenant == tenant).values(**values))


def _joined(scopes: Iterable[str]) -> str:
    return ",".join(sorted(set(scopes)))


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _grant(row: Any) -> Grant:
    return Grant(
        tenant=row.tenant,
        kind=row.kind,
        scopes=frozenset(scope for scope in row.scopes.split(",") if scope),
        granted_at=from_micros(row.granted_at),
        refreshed_at=from_micros(row.refreshed_at),
        expires_at=_instant(row.expires_at),
        refresh_expires_at=_instant(row.refresh_expires_at),
        needs_reconnect=row.needs_reconnect,
        lost_at=_instant(row.lost_at),
    )
