"""Which reminders an order had: once per level, for ever, so that a second run of a day sends nothing (P2).

Functions take an open transaction of the books store and never open one. Amounts in minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, insert_new, to_micros

reminders = sa.Table(
    "reminders",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", sa.String(64), primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("reminded_on", sa.String(10), nullable=False),
    sa.Column("days_overdue", sa.Integer, nullable=False),
    sa.Column("owed", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Reminded:
    """A reminder that was promised: which one of an order (1, 2, ...), on which day, what was owed."""

    order_id: str
    level: int
    on: date
    days_overdue: int
    owed: int


def remind(tx: Transaction, tenant: str, one: Reminded, now: datetime) -> bool:
    """Write down that a reminder goes out; False when this level of the order had its own before."""
    said = {"days_overdue": one.days_overdue, "owed": one.owed, "at": to_micros(now)}
    on = one.on.isoformat()
    return insert_new(tx, reminders, tenant=tenant, order_id=one.order_id, level=one.level, reminded_on=on, **said)


def reminded(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, list[Reminded]]:
    """What these orders were reminded of, by order, the first level first."""
    found: dict[str, list[Reminded]] = {}
    for start in range(0, len(order_ids), 400):
        some = reminders.c.order_id.in_(list(order_ids[start : start + 400]))
        mine = sa.select(reminders).where(reminders.c.tenant == tenant, some).order_by(reminders.c.level)
        for row in tx.execute(mine):
            one = Reminded(row.order_id, row.level, date.fromisoformat(row.reminded_on), row.days_overdue, row.owed)
            found.setdefault(row.order_id, []).append(one)
    return found


def forget(tx: Transaction, tenant: str) -> None:
    """The tenant is redacted."""
    tx.execute(sa.delete(reminders).where(reminders.c.tenant == tenant))
