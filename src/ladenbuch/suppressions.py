"""Addresses that get no letters, and why: after a complaint, a bounce for good, soft bounces in a row, or by hand.

An address stands here as its keyed hash, of a secret of the tenant's alone: the list answers whether an address is on
it, and tells nobody whom it holds. It outlives the buyer's request to be forgotten, so that nobody who complained is
written to again (Art. 21 (3), 17 (3) e GDPR); it goes with the tenant.

Functions take an open transaction of the books store and never open one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.domain.feedback import Cause

#: The tenant's secret for the hashes; it stays when the app is uninstalled.
SECRET = "suppressions"

suppressions = sa.Table(
    "suppressions",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("recipient", sa.String(64), primary_key=True),
    sa.Column("cause", sa.String(16), nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("letter", sa.Text),  # the letter that showed it; NULL: a person put it here
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
_c = suppressions.c
_CAUSE = Statement(sa.select(_c.cause).where(_c.tenant == sa.bindparam("t"), _c.recipient == sa.bindparam("who")))


@dataclass(frozen=True, slots=True)
class Suppression:
    """One address, as its hash, and why it gets no letters. `letter`: the key of the letter that showed it."""

    tenant: str
    recipient: str
    cause: Cause
    since: datetime
    letter: str | None
    actor: str
    note: str


def add(
    tx: Transaction,
    tenant: str,
    recipient: str,
    cause: Cause,
    now: datetime,
    *,
    actor: str,
    letter: str | None = None,
    note: str = "",
) -> bool:
    """Put an address on the list; False when it is there already, for whatever cause."""
    what = {"cause": cause, "since": to_micros(now), "letter": letter, "actor": actor, "note": note}
    return insert_new(tx, suppressions, tenant=tenant, recipient=recipient, **what)


def remove(tx: Transaction, tenant: str, recipient: str) -> bool:
    """Take an address off the list; False when it was not on it."""
    mine = (_c.tenant == tenant) & (_c.recipient == recipient)
    return tx.execute(sa.delete(suppressions).where(mine)).rowcount == 1


def forget(tx: Transaction, tenant: str) -> int:
    """A tenant leaves, and the secret of the hashes with it: its list says nothing any more. How many there were."""
    return int(tx.execute(sa.delete(suppressions).where(_c.tenant == tenant)).rowcount)


def cause_of(tx: Transaction, tenant: str, recipient: str) -> Cause | None:
    """Why an address gets no letters; None: it gets them."""
    found: Any = _CAUSE.scalar(tx, t=tenant, who=recipient)
    return found  # type: ignore[no-any-return]


def listed(tx: Transaction, tenant: str) -> list[Suppression]:
    """All of a tenant, the newest first."""
    rows = tx.execute(sa.select(suppressions).where(_c.tenant == tenant).order_by(_c.since.desc(), _c.recipient))
    return [
        Suppression(row.tenant, row.recipient, row.cause, from_micros(row.since), row.letter, row.actor, row.note)
        for row in rows
    ]


def count(tx: Transaction, tenant: str) -> dict[str, int]:
    """How many addresses are on a tenant's list, by cause."""
    query = sa.select(_c.cause, sa.func.count().label("number")).where(_c.tenant == tenant).group_by(_c.cause)
    return {row.cause: int(row.number) for row in tx.execute(query.order_by(_c.cause))}
