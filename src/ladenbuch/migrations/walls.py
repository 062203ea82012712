"""The walls inside the database: row-level security per tenant (PostgreSQL), append-only tables (both).

Two roles that cannot log in: `ladenbuch_app` sees and writes the rows of the tenant named in
`ladenbuch.tenant` only; `ladenbuch_system` all rows. Doors switch to one of them for each transaction.
FORCE makes the owner obey too (https://www.postgresql.org/docs/current/ddl-rowsecurity.html).
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

APP, SYSTEM = "ladenbuch_app", "ladenbuch_system"
_BOOKKEEPING = "alembic_version"


def roles_and_schema(tx: sa.Connection, schema: str) -> None:
    """Make the two roles and the schema when they are missing.

    Needs CREATEROLE and CREATE on the database the first time, unless an administrator made them.
    """
    for role in (APP, SYSTEM):
        if not tx.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
            # Roles belong to the whole server: another database's migration may be doing the same right now.
            tx.exec_driver_sql(
                f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
                "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
        if not tx.exec_driver_sql(f"SELECT pg_has_role(current_user, '{role}', 'MEMBER')").scalar_one():
            tx.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
    tx.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    tx.exec_driver_sql(f'GRANT USAGE ON SCHEMA "{schema}" TO {APP}, {SYSTEM}')


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
        tx.exec_driver_sql(f"REVOKE ALL ON {name} FROM {APP}, {SYSTEM}")
        if table == _BOOKKEEPING or not of_a_tenant:
            tx.exec_driver_sql(f"GRANT SELECT ON {name} TO {APP}")
        else:
            tx.exec_driver_sql(f"GRANT {writes} ON {name} TO {APP}")
            _one_tenant_at_a_time(tx, name)
        tx.exec_driver_sql(f"GRANT {'SELECT' if table == _BOOKKEEPING else writes} ON {name} TO {SYSTEM}")
    tx.exec_driver_sql(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO {APP}, {SYSTEM}')


def _one_tenant_at_a_time(tx: sa.Connection, name: str) -> None:
    tx.exec_driver_sql(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    tx.exec_driver_sql(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    tx.exec_driver_sql(f"DROP POLICY IF EXISTS one_tenant ON {name}")
    tx.exec_driver_sql(f"DROP POLICY IF EXISTS every_tenant ON {name}")
    # current_user as well: TO alone would also let in the login itself, which inherits from both roles.
    mine = f"current_user = '{APP}' AND tenant = current_setting('ladenbuch.tenant', true)"
    every = f"current_user = '{SYSTEM}'"
    tx.exec_driver_sql(f"CREATE POLICY one_tenant ON {name} TO {APP} USING ({mine}) WITH CHECK ({mine})")
    tx.exec_driver_sql(f"CREATE POLICY every_tenant ON {name} TO {SYSTEM} USING ({every}) WITH CHECK ({every})")


def sqlite_append_only(tx: sa.Connection, tables: Iterable[str]) -> None:
    """Refuse UPDATE and DELETE on the tables named that exist: one that is about to get its revision does not yet."""
    existing = set(tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    for table in existing.intersection(tables):
        for verb in ("update", "delete"):
            tx.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
