"""Intents: what is about to be called, committed before the call, confirmed after it; a key is used once (R7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from ladenbuch.books.columns import _K, _KEY, _ORDER, _T
from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros

intents = sa.Table(
    "intents",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("called_at", sa.BigInteger, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("done_at", sa.BigInteger),
    sa.Column("remote_id", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_intents_order", "tenant", "order_id"),
)

_OF_KEY = sa.and_(intents.c.tenant == _T, intents.c.key == _K)

_INTENT = Statement(sa.select(intents).where(_OF_KEY))

_CALL_AGAIN = Statement(
    sa.update(intents)
    .where(_OF_KEY, intents.c.done_at.is_(None))
    .values(called_at=sa.bindparam("at"), run_id=sa.bindparam("r"), calls=intents.c.calls + 1)
)

_TAKE_OVER = Statement(
    sa.update(intents)
    .where(_OF_KEY, intents.c.done_at.is_(None), intents.c.run_id == sa.bindparam("was"))
    .where(intents.c.called_at == sa.bindparam("then"))
    .values(called_at=sa.bindparam("at"), run_id=sa.bindparam("r"), calls=intents.c.calls + 1)
)

_REFUSE = Statement(sa.delete(intents).where(_OF_KEY, intents.c.done_at.is_(None)))

_DONE = Statement(
    sa.update(intents).where(_OF_KEY).values(done_at=sa.bindparam("at"), remote_id=sa.bindparam("remote"))
)


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent row: `called_at` is the last instant a call may have left us, `done` whether it is confirmed."""

    key: str
    new: bool
    done: bool
    run_id: str
    called_at: datetime
    remote_id: str | None


def intend(
    tx: Transaction, tenant: str, order_id: str, *, key: str, kind: str, run_id: str, reason: str, now: datetime
) -> Intent:
    """Write down that a call is about to be made, once per key and for ever (R7). An existing row is returned as is."""
    values = {"order_id": order_id, "kind": kind, "run_id": run_id, "called_at": to_micros(now), "calls": 1}
    if insert_new(tx, intents, tenant=tenant, key=key, reason=reason, **values):
        return Intent(key, True, False, run_id, now, None)
    found = intent(tx, tenant, key)
    assert found is not None
    return found


def intent(tx: Transaction, tenant: str, key: str) -> Intent | None:
    """The intent of a key, or None."""
    row = _INTENT.first(tx, t=tenant, k=key)
    if row is None:
        return None
    return Intent(key, False, row.done_at is not None, row.run_id, from_micros(row.called_at), row.remote_id)


def call_again(tx: Transaction, tenant: str, key: str, run_id: str, now: datetime) -> None:
    """The call of an intent is about to be repeated, after it was looked for and not found."""
    _CALL_AGAIN.change(tx, t=tenant, k=key, at=to_micros(now), r=run_id)


def take_over(tx: Transaction, tenant: str, seen: Intent, run_id: str, at: datetime) -> Intent | None:
    """Make an unconfirmed intent this run's, called at `at`, if it still is as it was `seen`; else None.

    For what several orders want at once (a contact): of two runs that saw the same row only one gets it.
    """
    then, now = to_micros(seen.called_at), to_micros(at)
    if _TAKE_OVER.change(tx, t=tenant, k=seen.key, was=seen.run_id, then=then, r=run_id, at=now) != 1:
        return None
    return replace(seen, run_id=run_id, called_at=from_micros(now))


def refuse(tx: Transaction, tenant: str, key: str) -> None:
    """Forget an intent whose call was refused with nothing stored: the key was never applied."""
    _REFUSE.change(tx, t=tenant, k=key)


def done(tx: Transaction, tenant: str, key: str, now: datetime, remote_id: str | None = None) -> None:
    """The call is confirmed: the key is used, for ever."""
    _DONE.change(tx, t=tenant, k=key, at=to_micros(now), remote=remote_id)


def unconfirmed(tx: Transaction, tenant: str) -> list[str]:
    """The orders with an intent whose call was not confirmed."""
    mine = (intents.c.tenant == tenant, intents.c.done_at.is_(None), intents.c.order_id != "")
    return list(
        tx.execute(sa.select(intents.c.order_id).where(*mine).distinct().order_by(intents.c.order_id)).scalars()
    )


def unpromise(tx: Transaction, tenant: str, letters: Sequence[str]) -> None:
    """Forget that these letters were promised: what became of the promises is lost, and a person is asked."""
    mine = (intents.c.tenant == tenant, intents.c.kind == "letter", intents.c.key.in_(list(letters)))
    tx.execute(sa.delete(intents).where(*mine))


def forget_contact_steps(tx: Transaction, tenant: str, customer_number: str) -> None:
    """Steps of a contact that are done are not remembered any more: the contact itself is found in sevdesk again."""
    whole = f"contact:{customer_number}"
    mine = sa.or_(intents.c.key == whole, intents.c.key.startswith(f"{whole}:", autoescape=True))
    tx.execute(sa.delete(intents).where(intents.c.tenant == tenant, mine, intents.c.done_at.is_not(None)))


def erase_in_intents(tx: Transaction, tenant: str, order_id: str, text: str, instead: str) -> None:
    """A buyer's VAT id leaves what was written about an order: its years are over."""
    mine = (intents.c.tenant == tenant) & (intents.c.order_id == order_id)
    tx.execute(sa.update(intents).where(mine).values(reason=sa.func.replace(intents.c.reason, text, instead)))
