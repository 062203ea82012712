"""The tables `heartbeats`, one in each store: a row per process, written to prove that the store can be written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from ladenbuch.db import METADATA, Store, Transaction, from_micros, to_micros, upsert

TABLES: Mapping[Store, sa.Table] = {
    store: sa.Table(
        "heartbeats",
        METADATA[store],
        sa.Column("process", sa.Text, primary_key=True),  # role and executor id: few, and stable
        sa.Column("beaten_at", sa.BigInteger, nullable=False),
    )
    for store in Store
}


def beat(tx: Transaction, store: Store, process: str, now: datetime) -> None:
    """Write a row to `store`, whose transaction `tx` is: what a full or read-only disk refuses."""
    upsert(tx, TABLES[store], process=process, beaten_at=to_micros(now))


def last(tx: Transaction, store: Store) -> dict[str, datetime]:
    """When each process wrote last."""
    table = TABLES[store]
    return {row.process: from_micros(row.beaten_at) for row in tx.execute(sa.select(table))}
