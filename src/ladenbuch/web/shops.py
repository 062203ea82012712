"""The shops a page shows: the one that was chosen, or all, each read through its own tenant's door."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ladenbuch import tenants
from ladenbuch.db import Database, Store, Transaction

T = TypeVar("T")


def each_shop(database: Database, tenant: str | None, look: Callable[[Transaction, tenants.Tenant], T]) -> list[T]:
    """What `look` finds in the books of one tenant, or (None) of each, in the order of `tenants.all`."""

    def shown(owner: tenants.Tenant) -> T:
        return database.tenant(owner.id).read(Store.BOOKS, lambda tx: look(tx, owner))

    if tenant is not None:
        return [database.tenant(tenant).read(Store.BOOKS, lambda tx: look(tx, tenants.get(tx, tenant)))]
    return [shown(owner) for owner in database.system("dashboard").read(Store.BOOKS, tenants.all)]
