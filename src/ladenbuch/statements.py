"""Statements that are put together once and run often, with named parameters (`sa.bindparam`).

    _FENCE = Statement(sa.select(fences.c.run_id).where(fences.c.tenant == sa.bindparam("t")))
    _FENCE.scalar(tx, t="t1")

The text goes straight to the driver: SQLAlchemy's own way to it (cache key, execution context, result object) costs
several times what SQLite does, and on PostgreSQL more than the server.
Rows are named tuples of what the driver gives: text, integers, bytes, and on SQLite 0 or 1 for a Boolean.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

Transaction = sa.Connection


class Statement:
    """One statement; `columns` names what an insert sets when it does not set every column of its table."""

    def __init__(self, clause: sa.Executable, columns: Sequence[str] | None = None) -> None:
        self._clause = clause
        self._columns = columns
        self._sql: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}
        self._row: Callable[[Iterable[Any]], Any] | None = None

    def rows(self, tx: Transaction, /, **values: object) -> Sequence[Any]:
        """All rows."""
        cursor = self._run(tx, values)
        found = cursor.fetchall()  # to the end, always: an unfinished RETURNING would hold up the commit
        if self._row is None:
            row: Any = namedtuple("Row", [column[0] for column in cursor.description])  # type: ignore[misc]
            self._row = row._make
        return [self._row(row) for row in found]

    def first(self, tx: Transaction, /, **values: object) -> Any | None:
        """The first row, or None."""
        return next(iter(self.rows(tx, **values)), None)

    def scalar(self, tx: Transaction, /, **values: object) -> Any | None:
        """The first value of the first row, or None."""
        return next(iter(self.rows(tx, **values)), (None,))[0]

    def change(self, tx: Transaction, /, **values: object) -> int:
        """How many rows it changed."""
        return int(self._run(tx, values).rowcount)

    def _run(self, tx: Transaction, values: dict[str, object]) -> Any:
        dialect = tx.dialect
        sql = self._sql.get(dialect.name)
        if sql is None:
            sql = self._sql[dialect.name] = self._compiled(dialect)
        text, names, constants = sql
        given = constants | values if constants else values
        connection = cast(Any, tx.connection.dbapi_connection)
        return connection.execute(text, given if names is None else [given[name] for name in names])

    def _compiled(self, dialect: sa.Dialect) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        """The text for the dialect's driver, the order of its parameters (None: it takes them by name), constants."""
        clause = cast(Any, self._clause)
        compiled = clause.compile(dialect=dialect, column_keys=None if self._columns is None else list(self._columns))
        assert "POSTCOMPILE" not in str(compiled), "a list (IN) is written out anew each time: not for a Statement"
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        used = {name: constants[name] for name in compiled.bind_names.values() if name in constants}
        return str(compiled), None if compiled.positiontup is None else tuple(compiled.positiontup), used


def _insert(table: sa.Table, dialect: str) -> Any:
    """The dialect's own INSERT; nobody waits for the import of one that is not used."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table)


@lru_cache(maxsize=256)
def _insert_new(table: sa.Table, dialect: str, names: tuple[str, ...]) -> Statement:
    return Statement(_insert(table, dialect).on_conflict_do_nothing(), names)


@lru_cache(maxsize=256)
def _upsert(table: sa.Table, dialect: str, names: tuple[str, ...]) -> Statement:
    statement = _insert(table, dialect)
    keys = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in names if name not in keys}
    return Statement(statement.on_conflict_do_update(index_elements=keys, set_=changes), names)


def insert_new(tx: Transaction, table: sa.Table, /, **values: object) -> bool:
    """Insert one row unless a unique constraint already holds it; True when the row is new."""
    return _insert_new(table, tx.dialect.name, tuple(values)).change(tx, **values) == 1


def upsert(tx: Transaction, table: sa.Table, /, **values: object) -> None:
    """Insert one row, or overwrite the row with the same primary key by the values given."""
    _upsert(table, tx.dialect.name, tuple(values)).change(tx, **values)
