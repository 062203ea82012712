"""A whole tenant leaves: every row of it deleted in both stores, and a row that proves it.

The proof (`erasures`) says who, when, how many rows of which table, and the last hash of the tenant's audit chain, so
that an export made before can still be checked against it. It holds nothing else of the tenant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ladenbuch.db import (
    METADATA,
    Database,
    Statement,
    Store,
    Transaction,
    books_metadata,
    from_micros,
    import_tables,
    insert_new,
    to_micros,
)

erasures = sa.Table(
    "erasures",
    books_metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("erased", sa.Text, nullable=False),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("rows", sa.Text, nullable=False),  # empty while it is under way
    sa.Column("last_hash", sa.Text, nullable=False),
)


# Only what is asked of it here: the module that owns it stands beside those that ask us.
_tenants = sa.table("tenants", sa.column("tenant", sa.Text))
_GONE = Statement(
    sa.select(erasures.c.id)
    .where(erasures.c.erased == sa.bindparam("t"), erasures.c.rows != "")
    .where(~sa.exists().where(_tenants.c.tenant == erasures.c.erased))
    .limit(1)
)
_SHOP_GONE = Statement(
    sa.select(erasures.c.id).where(erasures.c.shop == sa.bindparam("s"), erasures.c.rows != "").limit(1)
)


@dataclass(frozen=True)
class Erasure:
    """Who was erased, by whom, and how many rows of each table (`store.table`) that were."""

    tenant: str
    shop: str
    at: datetime
    actor: str
    rows: Mapping[str, int]
    last_hash: str


def tables_of_tenants(store: Store) -> list[sa.Table]:
    """All tables that hold rows of tenants, those that others refer to last."""
    import_tables(store)
    return [table for table in reversed(METADATA[store].sorted_tables) if "tenant" in table.columns]


def gone(tx: Transaction, tenant: str) -> bool:
    """Whether a tenant was erased whole and did not come back: whatever still arrives for it must leave no row."""
    return _GONE.first(tx, t=tenant) is not None


def shop_gone(tx: Transaction, shop: str) -> bool:
    """Whether rows of a shop's tenant were erased; asked for a shop that is nobody's now."""
    return _SHOP_GONE.first(tx, s=shop.lower()) is not None


def residue(database: Database, tenant: str) -> dict[str, int]:
    """How many rows of the tenant each table still holds; only those that hold any."""
    found: dict[str, int] = {}
    for store in Store:

        def count(tx: Transaction, store: Store = store) -> None:
            for table in tables_of_tenants(store):
                query = sa.select(sa.func.count()).select_from(table).where(table.c.tenant == tenant)
                number = tx.execute(query).scalar_one()
                if number:
                    found[f"{store}.{table.name}"] = number

        database.tenant(tenant).read(store, count)
    return found


def erase(database: Database, tenant: str, shop: str, *, id: str, actor: str, now: datetime, last_hash: str) -> Erasure:
    """Delete every row of the tenant; repeatable after a crash under the same `id`, which then says the same.

    The inbox goes first: should the process die between the two stores, the tenant is still there to be erased again.
    """
    rows: dict[str, int] = {}
    for store in Store:

        def delete(tx: Transaction, store: Store = store) -> None:
            if tx.dialect.name == "sqlite":
                tx.exec_driver_sql("PRAGMA secure_delete=ON")  # zeros, not only a note that the page is free
            if store is Store.BOOKS:
                begun = {"erased": tenant, "shop": shop, "at": to_micros(now), "actor": actor}
                insert_new(tx, erasures, id=id, **begun, rows="", last_hash=last_hash)
            for table in tables_of_tenants(store):
                gone = tx.execute(sa.delete(table).where(table.c.tenant == tenant)).rowcount
                rows[f"{store}.{table.name}"] = gone
            if store is Store.BOOKS:
                told = json.dumps({name: number for name, number in sorted(rows.items()) if number})
                tx.execute(sa.update(erasures).where(erasures.c.id == id).values(rows=told))

        database.erasing(tenant).run(store, delete)
    database.truncate_logs()
    return Erasure(tenant, shop, now, actor, {name: number for name, number in rows.items() if number}, last_hash)


def erase_vat_checks(
    database: Database, tenant: str, shop: str, vat_id: str, *, id: str, actor: str, now: datetime, last_hash: str
) -> int:
    """Delete what was asked about one VAT id, when its years are over: rows of an append-only table. How many.

    The row that proves it says so of `books.vat_checks` alone. Repeatable under the same `id`.
    """
    import_tables(Store.BOOKS)
    checks = METADATA[Store.BOOKS].tables["vat_checks"]

    def delete(tx: Transaction) -> int:
        begun = {"erased": tenant, "shop": shop, "at": to_micros(now), "actor": actor}
        insert_new(tx, erasures, id=id, **begun, rows="", last_hash=last_hash)
        mine = (checks.c.tenant == tenant) & (checks.c.vat_id == vat_id)
        gone = int(tx.execute(sa.delete(checks).where(mine)).rowcount)
        told = json.dumps({"books.vat_checks": gone})
        tx.execute(sa.update(erasures).where(erasures.c.id == id).values(rows=told))
        return gone

    return database.erasing(tenant).run(Store.BOOKS, delete)


def erased(tx: Transaction) -> list[Erasure]:
    """All erasures, oldest first."""
    query = sa.select(erasures).where(erasures.c.rows != "").order_by(erasures.c.at, erasures.c.id)
    return [
        Erasure(row.erased, row.shop, from_micros(row.at), row.actor, json.loads(row.rows), row.last_hash)
        for row in tx.execute(query)
    ]
