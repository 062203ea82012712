"""Columns that hold ciphertext: what each row of them is sealed for, so that `keys rotate` can seal it anew.

A module that owns a table declares its sealed column; the vault, a sibling, makes and opens what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Sealed, Store, Transaction

#: Bytes of one row sealed: which row, and the bytes. Key id and ciphertext come back.
Seal = Callable[[str, bytes], tuple[str, bytes]]
#: The reverse: which row, key id, ciphertext.
Unseal = Callable[[str, str, bytes], bytes]


def held(subject: str) -> str:
    """The subject for what bookkeeping law keeps of another one: forgotten when its years are over, not on request."""
    return f"held {subject}"


def row_id(*key: object) -> str:
    """A row as the vault names it: its primary key without the tenant."""
    return str(key[0]) if len(key) == 1 else json.dumps([str(part) for part in key])


@dataclass(frozen=True)
class SealedColumn:
    """A column of ciphertext, its key ids beside it. `purpose` and `subject` say of a row what it is sealed for.

    They may use the columns of the primary key and those in `uses`.
    """

    store: Store
    table: sa.Table
    column: str
    purpose: Callable[[Any], str]
    subject: Callable[[Any], str | None]
    uses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For people: table and column."""
        return f"{self.table.name}.{self.column}"

    def row_id(self, row: Any) -> str:
        """How the vault names this row."""
        return row_id(*(getattr(row, column.name) for column in self._key))

    def sealed(self, row: Any) -> Sealed:
        """What stands in the row."""
        return Sealed(row.key_id, bytes(getattr(row, self.column)))

    def count(self, tx: Transaction, tenant: str, newest: str | None) -> int:
        """How many rows of a tenant are sealed with another key than `newest`."""
        query = sa.select(sa.func.count()).select_from(self.table).where(self._older(tenant, newest))
        return int(tx.execute(query).scalar_one())

    def by_key(self, tx: Transaction) -> list[tuple[str, int]]:
        """How many rows there are under each key."""
        key_id = self.table.c.key_id
        query = sa.select(key_id, sa.func.count()).where(key_id.is_not(None)).group_by(key_id)
        return [(str(row[0]), int(row[1])) for row in tx.execute(query)]

    def by_root(self, tx: Transaction, tenant: str) -> int:
        """How many rows of a tenant hang on a root key itself, from before tenants had data keys."""
        query = sa.select(sa.func.count()).select_from(self.table).where(self._older(tenant, None), self._v1)
        return int(tx.execute(query).scalar_one())

    def of_order(self, tx: Transaction, tenant: str, order_id: str) -> Sequence[Any]:
        """Such rows of one order, where the table names orders."""
        others = (self.table.c[name] for name in ("key_id", self.column, *self.uses))
        query = sa.select(*self._key, *others).where(self._older(tenant, None), self._v1)
        return tx.execute(query.where(self.table.c.order_id == order_id)).all()

    def older(
        self, tx: Transaction, tenant: str, newest: str | None, after: Sequence[object], limit: int = 200
    ) -> Sequence[Any]:
        """The next rows sealed with another key than `newest`, by primary key; `after` is the key of the last one."""
        others = (self.table.c[name] for name in ("key_id", self.column, *self.uses))
        wanted = (*self._key, *others)
        query = sa.select(*wanted).where(self._older(tenant, newest)).order_by(*self._key).limit(limit)
        if after:
            query = query.where(sa.tuple_(*self._key) > sa.tuple_(*(sa.literal(value) for value in after)))
        return tx.execute(query).all()

    def key(self, row: Any) -> tuple[object, ...]:
        """The primary key of a row, without the tenant."""
        return tuple(getattr(row, column.name) for column in self._key)

    def replace(self, tx: Transaction, tenant: str, row: Any, sealed: Sealed) -> bool:
        """Put another ciphertext into a row, unless somebody wrote it since: then what stands there is newer."""
        mine = [column == getattr(row, column.name) for column in self._key]
        same = self.table.c[self.column] == getattr(row, self.column)
        change = sa.update(self.table).where(self.table.c.tenant == tenant, *mine, same)
        return tx.execute(change.values({"key_id": sealed.key_id, self.column: sealed.ciphertext})).rowcount == 1

    @property
    def _v1(self) -> sa.ColumnElement[bool]:
        return ~self.table.c.key_id.contains(":")  # ids of data keys have a colon (`vault.is_data_key`)

    @property
    def _key(self) -> list[sa.Column[Any]]:
        return [column for column in self.table.primary_key if column.name != "tenant"]

    def _older(self, tenant: str, newest: str | None) -> sa.ColumnElement[bool]:
        mine = (self.table.c.tenant == tenant) & self.table.c[self.column].is_not(None)
        return mine if newest is None else mine & (self.table.c.key_id != newest)
