"""The walls inside the database: row-level security per tenant (PostgreSQL), append-only tables (both).

Three roles that cannot log in: `ladenbuch_app` sees and writes the rows of the tenant named in
`ladenbuch.tenant` only; `ladenbuch_system` all rows; `ladenbuch_eraser` may delete the rows of that tenant, those of
append-only tables too. Doors switch to one of them for each transaction. SQLite has no roles: there an append-only
row may be deleted while an erasure of its tenant stands open in `erasures`.
FORCE makes the owner obey too (https://www.postgresql.org/docs/current/ddl-rowsecurity.html).
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

APP, SYSTEM, ERASER = "ladenbuch_app", "ladenbuch_system", "ladenbuch_eraser"
_BOOKKEEPING = "alembic_version"


def roles_and_schema(tx: sa.Connection, schema: str) -> None:
    """Make the three roles and the schema when they are missing.

    Needs CREATEROLE and CREATE on the database the first time, unless an administrator made them. Since version 16
    whoever makes a role is its member, and still may not switch to it (https://www.postgresql.org/docs/16/sql-createrole.html).
    """
    may = (
        "SET"
        if tx.exec_driver_sql("SELECT current_setting('server_version_num')::int").scalar_one() >= 160000
        else "MEMBER"
    )
    for role in (APP, SYSTEM, ERASER):
        if not tx.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
            # Roles belong to the whole server: another database's migration may be doing the same right now.
            tx.exec_driver_sql(
                f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
                "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
        if not tx.exec_driver_sql(f"SELECT pg_has_role(current_user, '{role}', '{may}')").scalar_one():
            tx.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
    tx.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    tx.exec_driver_sql(f'GRANT USAGE ON SCHEMA "{schema}" TO {APP}, {SYSTEM}, {ERASER}')


def row_security(tx: sa.Connection, schema: str, append_only: Iterable[str]) -> None:
    """Put every table of the schema behind its wall; running it again changes nothing."""
    tables = tx.execute(
        sa.text(
            "SELECT t.tablename, EXISTS (SELECT 1 FROM information_schema.columns c"
            " WHERE c.table_schema = :schema AND c.table_name = t.tablename AND c.column_name = 'tenant')"
            " FROM pg_tables t WHERE t.schemaname = :schema ORDER BY 1"
        ),
        {"schema": schema},
    ).all()
    sealed = set(append_only)
    for table, of_a_tenant in tables:
        name = f'"{schema}"."{table}"'
        writes = "SELECT, INSERT" if table in sealed else "SELECT, INSERT, UPDATE, DELETE"
        tx.exec_driver_sql(f"REVOKE ALL ON {name} FROM {APP}, {SYSTEM}, {ERASER}")
        if of_a_tenant:
            tx.exec_driver_sql(f"GRANT SELECT, DELETE ON {name} TO {ERASER}")
        elif table != _BOOKKEEPING:
            tx.exec_driver_sql(f"GRANT SELECT, INSERT, UPDATE ON {name} TO {ERASER}")
        if table == _BOOKKEEPING or not of_a_tenant:
            tx.exec_driver_sql(f"GRANT SELECT ON {name} TO {APP}")
        else:
            tx.exec_driver_sql(f"GRANT {writes} ON {name} TO {APP}")
            _one_tenant_at_a_time(tx, name)
        tx.exec_driver_sql(f"GRANT {'SELECT' if table == _BOOKKEEPING else writes} ON {name} TO {SYSTEM}")
    tx.exec_driver_sql(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO {APP}, {SYSTEM}')
    tx.exec_driver_sql(f'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO {SYSTEM}')  # so that it can be dumped


def _one_tenant_at_a_time(tx: sa.Connection, name: str) -> None:
    tx.exec_driver_sql(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    tx.exec_driver_sql(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    tx.exec_driver_sql(f"DROP POLICY IF EXISTS one_tenant ON {name}")
    tx.exec_driver_sql(f"DROP POLICY IF EXISTS every_tenant ON {name}")
    # current_user as well: TO alone would also let in the login itself, which inherits from both roles.
    mine = f"current_user = '{APP}' AND tenant = current_setting('ladenbuch.tenant', true)"
    every = f"current_user = '{SYSTEM}'"
    theirs = f"current_user = '{ERASER}' AND tenant = current_setting('ladenbuch.tenant', true)"
    tx.exec_driver_sql(f"DROP POLICY IF EXISTS erased_tenant ON {name}")
    tx.exec_driver_sql(f"CREATE POLICY erased_tenant ON {name} TO {ERASER} USING ({theirs}) WITH CHECK (false)")
    tx.exec_driver_sql(f"CREATE POLICY one_tenant ON {name} TO {APP} USING ({mine}) WITH CHECK ({mine})")
    tx.exec_driver_sql(f"CREATE POLICY every_tenant ON {name} TO {SYSTEM} USING ({every}) WITH CHECK ({every})")


def sqlite_append_only(tx: sa.Connection, tables: Iterable[str]) -> None:
    """Refuse UPDATE and DELETE on the tables named that exist: one that is about to get its revision does not yet.

    Rows of a tenant may be deleted while its row in `erasures` is open, which says who did it (and then what went).
    """
    existing = set(tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    for table in existing.intersection(tables):
        columns = {row[1] for row in tx.exec_driver_sql(f"PRAGMA table_info({table})")}
        kept = {"update": "", "delete": ""}
        if "erasures" in existing and "tenant" in columns:
            kept["delete"] = "WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE erased = OLD.tenant AND rows = '') "
        for verb, unless in kept.items():
            tx.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_{verb}")
            tx.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"{unless}BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
