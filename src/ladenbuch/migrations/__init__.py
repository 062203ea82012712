"""The shape of the two stores, revision by revision (Alembic), and the walls between tenants.

Each store has its own line of revisions in `inbox/` and `books/`, and its own `alembic_version` table.
A new revision is written with `python tools/new_revision.py books "what changes"`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ladenbuch.migrations import walls

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
HEADS = {"inbox": "inbox_0006", "books": "books_0027"}  # a test holds these against the files


def config(store: str, tx: sa.Connection | None = None, metadata: sa.MetaData | None = None) -> Config:
    """Alembic's configuration for one store; it needs no ini file, so it works from an installed package."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(HERE).replace("%", "%%"))
    made.set_main_option("version_locations", str(HERE / store).replace("%", "%%"))
    made.set_main_option("path_separator", "newline")
    made.attributes.update(connection=tx, metadata=metadata)
    return made


def upgrade(tx: sa.Connection, store: str, metadata: sa.MetaData) -> None:
    """Bring one store to its head inside the open transaction; does nothing when it is there already.

    On PostgreSQL the tenant walls are put up in the same transaction, from the catalogue, so that no table
    with a tenant column can be forgotten.
    """
    if tx.dialect.name != "sqlite":
        # Two processes may start at once; the second waits here and then finds nothing left to do.
        tx.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('ladenbuch.migrate', 0))")
    at = current(tx, store)
    if at is not None and _number(at) >= _number(HEADS[store]):
        # Newer: another process of a later version has been here. What it added is in nobody's way, and what we use it
        # took away in none (docs/decisions/0013); so a deploy may roll on slowly, or back.
        return
    if tx.dialect.name != "sqlite":
        walls.roles_and_schema(tx, store)
    from alembic import command

    command.upgrade(config(store, tx, metadata), "head")
    append_only = sorted(t.name for t in metadata.tables.values() if t.info.get("append_only"))
    if tx.dialect.name == "sqlite":
        walls.sqlite_append_only(tx, append_only)
    else:
        walls.row_security(tx, store, append_only)


def _number(revision: str) -> int:
    return int(revision.rpartition("_")[2])


def current(tx: sa.Connection, store: str) -> str | None:
    """The revision a store is at; None before the first one."""
    if tx.dialect.name == "sqlite":
        exists = tx.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    else:
        exists = tx.execute(
            sa.text("SELECT 1 FROM pg_tables WHERE schemaname = :store AND tablename = 'alembic_version'"),
            {"store": store},
        ).first()
    if exists is None:
        return None
    return tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
