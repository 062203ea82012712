"""What is shown of an order: verdict, certificate, and the sealed snapshot they were decided on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.books.columns import _ORDER, Seal
from ladenbuch.db import Store, Transaction, books_metadata, from_micros, to_micros, upsert
from ladenbuch.sealed import SealedColumn

orders = sa.Table(
    "orders",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("code", sa.String(64)),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("processed_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("settled_at", sa.BigInteger, nullable=False),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
    sa.Index("ix_orders_at", "tenant", "processed_at"),
    sa.Index("ix_orders_verdict", "tenant", "verdict", "processed_at"),
    sa.Index("ix_orders_name", "tenant", "name"),
    sa.Index("ix_orders_settled", "tenant", "settled_at"),
)

#: What Shopify said of an order when it was settled last: the buyer's, so it goes when the order is forgotten.
SNAPSHOTS = SealedColumn(Store.BOOKS, orders, "snapshot", lambda row: "snapshot", lambda row: str(row.order_id))


@dataclass(frozen=True, slots=True)
class OrderState:
    """What is shown of an order: its verdict, its certificate, and the sealed snapshot it was decided on."""

    order_id: str
    name: str
    verdict: str
    code: str | None
    total: int
    currency: str
    processed_at: datetime
    updated_at: datetime
    certificate: Mapping[str, Any]
    snapshot: bytes


def record_state(tx: Transaction, tenant: str, state: OrderState, seal: Seal, looked_at: datetime) -> None:
    """Remember the order's verdict and certificate after a settle; the snapshot is sealed.

    `looked_at` (aware UTC) is the moment before the order was read: what changed later was not seen.
    """
    key_id, snapshot = seal(state.order_id, state.snapshot)
    upsert(
        tx,
        orders,
        tenant=tenant,
        order_id=state.order_id,
        name=state.name,
        verdict=state.verdict,
        code=state.code,
        total=state.total,
        currency=state.currency,
        processed_at=to_micros(state.processed_at),
        updated_at=to_micros(state.updated_at),
        settled_at=to_micros(looked_at),
        certificate=json.dumps(state.certificate, ensure_ascii=False),
        key_id=key_id,
        snapshot=snapshot,
    )


def looked_at(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these orders was last settled; one that never was is missing."""
    found: dict[str, datetime] = {}
    for start in range(0, len(order_ids), 400):
        some = orders.c.order_id.in_(order_ids[start : start + 400])
        rows = tx.execute(sa.select(orders.c.order_id, orders.c.settled_at).where(orders.c.tenant == tenant, some))
        found |= {row.order_id: from_micros(row.settled_at) for row in rows}
    return found


def money_facts(tx: Transaction, tenant: str, order_id: str, after: datetime) -> dict[str, int] | None:
    """The amounts of an order's money by the ids of its transactions, as a look later than `after` saw them; None where
    there was none since."""
    known = sa.select(orders.c.settled_at, orders.c.certificate)
    row = tx.execute(known.where(orders.c.tenant == tenant, orders.c.order_id == order_id)).first()
    if row is None or row.settled_at <= to_micros(after):
        return None
    items = json.loads(row.certificate).get("coverage", ())
    return {item["fact"]: item["amount_minor"] for item in items if item["kind"] == "money"}


#: Shopify dates changes in whole seconds: a look this soon after a change, in microseconds of its own clock, may have
#: missed another one that carries the same instant.
_SAME_INSTANT = 2_000_000


def seen(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, datetime]:
    """The `updated_at` of each order as it was last settled.

    Orders never settled are missing, and those that were looked at so soon after their change that a second one could
    carry the same instant.
    """
    statement = sa.select(orders.c.order_id, orders.c.updated_at).where(
        orders.c.tenant == tenant,
        orders.c.order_id.in_(order_ids),
        orders.c.settled_at >= orders.c.updated_at + _SAME_INSTANT,
    )
    return {row.order_id: from_micros(row.updated_at) for row in tx.execute(statement)}


def orders_named(tx: Transaction, tenant: str, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """The orders with one of these names that were settled: id, name, total in minor units."""
    mine = (orders.c.tenant == tenant, orders.c.name.in_(list(names)))
    rows = tx.execute(sa.select(orders.c.order_id, orders.c.name, orders.c.total).where(*mine))
    return [(row.order_id, row.name, row.total) for row in rows]


def snapshots_of(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    """The sealed snapshots of these orders: key id and ciphertext."""
    found: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(order_ids), 400):
        some = orders.c.order_id.in_(list(order_ids[start : start + 400]))
        mine = sa.select(orders.c.order_id, orders.c.key_id, orders.c.snapshot).where(orders.c.tenant == tenant, some)
        found |= {row.order_id: (row.key_id, bytes(row.snapshot)) for row in tx.execute(mine)}
    return found


def uncovered_money(tx: Transaction, tenant: str, amounts: Collection[int], since: datetime) -> dict[str, list[str]]:
    """Orders changed since an instant with money of one of these amounts (minor units, signed) that no booking of ours
    covers, as their certificates say: order -> ids of those transactions."""
    after = to_micros(since)
    lately = (orders.c.tenant == tenant, orders.c.settled_at >= after - _DAY, orders.c.updated_at >= after)
    found: dict[str, list[str]] = {}
    for amount in sorted(amounts):
        alike = orders.c.certificate.contains(f'"amount_minor": {amount},', autoescape=True)
        for row in tx.execute(sa.select(orders.c.order_id, orders.c.certificate).where(*lately, alike)):
            ids = [
                item["fact"]
                for item in json.loads(row.certificate)["coverage"]
                if item["kind"] == "money" and item["amount_minor"] == amount and item["status"] not in _COVERED
            ]
            if ids:
                found.setdefault(row.order_id, []).extend(ids)
    return found


def unfinished(tx: Transaction, tenant: str) -> list[str]:
    """The orders that were neither documented nor excluded when they were settled last."""
    mine = (orders.c.tenant == tenant, orders.c.verdict.not_in(("documented", "excluded")))
    return list(tx.execute(sa.select(orders.c.order_id).where(*mine).order_by(orders.c.order_id)).scalars())


def known_orders(tx: Transaction, tenant: str, after: str, limit: int) -> list[str]:
    """Orders that were settled at least once, by id, from the one behind `after` on."""
    mine = (orders.c.tenant == tenant, orders.c.order_id > after)
    return list(
        tx.execute(sa.select(orders.c.order_id).where(*mine).order_by(orders.c.order_id).limit(limit)).scalars()
    )


_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR
#: What a certificate says of money that a line of ours is for.
_COVERED = ("covered", "planned")


def orders_by_hour(tx: Transaction, tenant: str, since: datetime, until: datetime) -> dict[int, int]:
    """How many orders were placed between n and n + 1 hours before `until`, by n, back to `since`."""
    hour = ((sa.literal(to_micros(until), sa.BigInteger) - orders.c.processed_at) // _HOUR).label("hour")
    mine = (
        orders.c.tenant == tenant,
        orders.c.processed_at > to_micros(since),
        orders.c.processed_at <= to_micros(until),
    )
    return {
        int(row.hour): int(row.n)
        for row in tx.execute(sa.select(hour, sa.func.count().label("n")).where(*mine).group_by(hour))
    }


def changed_since(tx: Transaction, tenant: str, since: datetime) -> dict[str, datetime]:
    """The orders whose last change we know lies after an instant, with that change by the shop's clock."""
    mine = (orders.c.tenant == tenant, orders.c.updated_at >= to_micros(since))
    rows = tx.execute(sa.select(orders.c.order_id, orders.c.updated_at).where(*mine))
    return {row.order_id: from_micros(row.updated_at) for row in rows}
