"""Row-level security: the second wall, on a real PostgreSQL (S42, S44, B16)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch import audit, db, deadletters, evidence, outbox, tenants
from ladenbuch.db import Database, Sealed, Store, Transaction
from ladenbuch.domain.evidence import VALID, VatIdAnswer
from ladenbuch.errors import Rejected
from ladenbuch.migrations import walls
from ladenbuch.vault import KeyRing, Vault, generate_key

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = KeyRing.parse(generate_key())
TABLES = [(store, table) for store in Store for table in db.import_tables(store).sorted_tables]
OF_A_TENANT = [(store, table) for store, table in TABLES if "tenant" in table.c]


def named(pair: Any) -> str:
    return str(pair[1].name)


def fill(tx: Transaction, tenant: str, database: Database) -> None:
    tenants.add(tx, id=tenant, shop=f"{tenant}.example", cut_off=NOW, now=NOW)
    tenants.add_profile(tx, tenant, {}, NOW, NOW)
    tenants.stop(tx, tenant, "why", NOW)
    Vault(KEYS, database).put_secret(tx, tenant, "token", "x", NOW)
    audit.append(tx, tenant, NOW, actor="a", event="e", subject="s", sentence="x")
    deadletters.failed(tx, tenant, kind="k", subject="s", code="C", message="m", attempts=1, now=NOW, again=None)
    evidence.record(
        tx, tenant, VatIdAnswer("FR40303265045", VALID, NOW, "Exemple SA"), lambda row, plain: ("k1", plain)
    )
    outbox.promise(
        tx,
        tenant,
        key="k",
        kind="invoice",
        order_id="o",
        document_id=None,
        sealed_payload=Sealed("k1", b"x"),
        now=NOW,
    )


@pytest.fixture
def two_tenants(postgresql_database: Database) -> Database:
    for tenant in ("a", "b"):
        door = postgresql_database.tenant(tenant)
        door.run(Store.BOOKS, lambda tx, t=tenant: fill(tx, t, postgresql_database))
    return postgresql_database


@pytest.mark.parametrize("pair", OF_A_TENANT, ids=named)
def test_s42_every_table_with_a_tenant_is_behind_the_wall(postgresql_database: Database, pair: Any) -> None:
    store, table = pair
    query = sa.text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:name)")
    found = postgresql_database.system("doctor").read(
        store, lambda tx: tx.execute(query, {"name": f"{store}.{table.name}"}).one()
    )
    assert tuple(found) == (True, True)


def test_s42_a_query_without_the_predicate_sees_no_foreign_row(two_tenants: Database) -> None:
    own = {t.name for s, t in OF_A_TENANT if t.name in SEEDED}
    assert own == SEEDED
    for store, table in OF_A_TENANT:
        for tenant in ("a", "b"):
            rows = two_tenants.tenant(tenant).read(store, lambda tx, t=table: tx.execute(sa.select(t.c.tenant)).all())
            assert {row.tenant for row in rows} <= {tenant}, table.name
            assert table.name not in SEEDED or len(rows) == 1, table.name
        if table.name in SEEDED:
            rows = two_tenants.system("doctor").read(store, lambda tx, t=table: tx.execute(sa.select(t.c.tenant)).all())
            assert {row.tenant for row in rows} == {"a", "b"}, "the foreign rows were there to be seen"


SEEDED = {
    "tenants",
    "profile_versions",
    "write_stops",
    "secrets",
    "audit_entries",
    "audit_heads",
    "dead_letters",
    "letters",
    "vat_checks",
    "vat_names",
    "data_keys",
    "subject_keys",
}


def test_s42_writes_without_the_predicate_touch_no_foreign_row(two_tenants: Database) -> None:
    table = deadletters.dead_letters

    def sweep(tx: Transaction) -> tuple[int, int]:
        updated = tx.execute(sa.update(table).values(note="mine")).rowcount
        return updated, tx.execute(sa.delete(outbox.letters)).rowcount

    assert two_tenants.tenant("a").run(Store.BOOKS, sweep) == (1, 1)
    other = two_tenants.tenant("b").read(Store.BOOKS, lambda tx: deadletters.get(tx, "b", "k", "s"))
    assert other is not None
    assert other.note is None


def test_s42_inserting_or_moving_a_row_to_another_tenant_fails(two_tenants: Database) -> None:
    table = deadletters.dead_letters
    for write in (
        lambda tx: deadletters.failed(
            tx, "b", kind="k", subject="new", code="C", message="m", attempts=1, now=NOW, again=None
        ),
        lambda tx: tx.execute(sa.update(table).values(tenant="b", subject="moved")),
        lambda tx: Vault(KEYS, two_tenants).put_secret(tx, "b", "token", "mine", NOW),
        lambda tx: Vault(KEYS, two_tenants).put_secret(tx, "c", "token", "mine", NOW),
        lambda tx: tenants.stop(tx, None, "everybody", NOW),
    ):
        with pytest.raises(Rejected) as caught:
            two_tenants.tenant("a").run(Store.BOOKS, write)
        assert caught.value.code == "DB-FORBIDDEN"


def test_the_connection_keeps_nothing_of_the_door(postgresql_database: Database) -> None:
    """S41: the next user of a pooled connection is nobody, not the last tenant."""
    query = "SELECT current_user, coalesce(current_setting('ladenbuch.tenant', true), '')"
    inside = postgresql_database.tenant("a").run(Store.BOOKS, lambda tx: tx.exec_driver_sql(query).one())
    assert tuple(inside) == ("ladenbuch_app", "a")
    with postgresql_database._engines[Store.BOOKS].connect() as bare:
        assert tuple(bare.exec_driver_sql(query).one()) == ("postgres", "")


@pytest.mark.usefixtures("_migrated_postgresql")  # by which the server has the roles
def test_it_works_for_a_login_that_is_no_superuser(postgresql: Any) -> None:
    """As in real life: the login owns the database and may make roles, and FORCE binds it too."""
    postgresql.execute("CREATE ROLE ladenbuch_login LOGIN CREATEROLE NOSUPERUSER")
    # The roles are the server's, and another login made them: an administrator grants them once.
    postgresql.execute("GRANT ladenbuch_app, ladenbuch_system, ladenbuch_eraser TO ladenbuch_login")
    url = postgresql.create()
    postgresql.execute(f"ALTER DATABASE {sa.make_url(url).database} OWNER TO ladenbuch_login")
    login = sa.make_url(url).set(username="ladenbuch_login").render_as_string(hide_password=False)
    database = Database.open(url=login)
    try:
        database.migrate()
        database.migrate()
        for tenant in ("a", "b"):
            database.tenant(tenant).run(Store.BOOKS, lambda tx, t=tenant: fill(tx, t, database))
        seen = database.tenant("a").read(Store.BOOKS, lambda tx: tx.execute(sa.select(outbox.letters)).all())
        assert len(seen) == 1
        with database._engines[Store.BOOKS].connect() as owner:
            assert owner.exec_driver_sql("SELECT count(*) FROM books.letters").scalar_one() == 0
    finally:
        database.close()
        postgresql.drop(url)
        postgresql.execute("DROP OWNED BY ladenbuch_login")
        postgresql.execute("DROP ROLE ladenbuch_login")


def test_it_works_for_a_login_that_made_the_roles_itself(postgresql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new server, no administrator: who makes a role since version 16 may not switch to it before it says so."""
    names = {name: f"made_{name.lower()}" for name in ("APP", "SYSTEM", "ERASER")}
    for name, role in names.items():
        monkeypatch.setattr(walls, name, role)
    postgresql.execute("CREATE ROLE ladenbuch_maker LOGIN CREATEROLE NOSUPERUSER")
    url = postgresql.create()
    postgresql.execute(f"ALTER DATABASE {sa.make_url(url).database} OWNER TO ladenbuch_maker")
    engine = sa.create_engine(sa.make_url(url).set(username="ladenbuch_maker"), poolclass=sa.NullPool)
    try:
        for _ in range(2):
            with engine.begin() as tx:
                walls.roles_and_schema(tx, "books")
        for role in names.values():
            with engine.begin() as tx:
                tx.exec_driver_sql(f"SET LOCAL ROLE {role}")
                assert tx.exec_driver_sql("SELECT current_user").scalar_one() == role
    finally:
        postgresql.drop(url)
        for role in (*names.values(), "ladenbuch_maker"):
            postgresql.execute(f"DROP ROLE IF EXISTS {role}")
