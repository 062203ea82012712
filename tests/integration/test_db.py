"""The doors: whole transactions, one store each, readable errors, nothing half-written."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch import audit, db, deadletters, inbox, migrations, tenants
from ladenbuch.db import Database, Store, Transaction, from_micros, to_micros
from ladenbuch.errors import Rejected, Retryable, UsageError

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def note(subject: str, tenant: str = "t1", attempts: int = 1) -> Any:
    """A small write: one dead letter."""

    def write(tx: Transaction) -> None:
        deadletters.failed(
            tx, tenant, kind="k", subject=subject, code="C", message="m", attempts=attempts, now=NOW, again=None
        )

    return write


def subjects(database: Database) -> set[str]:
    rows = database.tenant("t1").read(Store.BOOKS, lambda tx: deadletters.find(tx, deadletters.Which("t1"), 10_000))
    return {row.subject for row in rows}


# --- transactions ---


def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    door = database.tenant("t1")
    door.run(Store.BOOKS, note("kept"))

    def half(tx: Transaction) -> None:
        note("lost")(tx)
        raise LookupError("stop here")

    with pytest.raises(LookupError):
        door.run(Store.BOOKS, half)
    assert subjects(database) == {"kept"}


def test_no_transaction_spans_two_stores(database: Database) -> None:
    """DESIGN 3: neither another store nor the same one can be entered from inside a transaction."""
    door = database.tenant("t1")
    for inner in (door.run, door.read, database.system("doctor").read):
        with pytest.raises(RuntimeError, match="inside one in books"):
            door.run(Store.BOOKS, lambda tx, inner=inner: inner(Store.INBOX, lambda tx: None))
    door.run(Store.BOOKS, note("the door still opens"))


def test_a_read_cannot_write_and_the_connection_can_write_afterwards(database: Database) -> None:
    with pytest.raises(RuntimeError, match="tried to write"):
        database.tenant("t1").read(Store.BOOKS, note("x"))
    database.tenant("t1").run(Store.BOOKS, note("y"))
    assert subjects(database) == {"y"}


def test_a_reader_sees_one_snapshot_and_does_not_wait_for_a_writer(database: Database) -> None:
    door = database.tenant("t1")
    door.run(Store.BOOKS, note("before"))
    writing, may_commit = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        note("during")(tx)
        writing.set()
        assert may_commit.wait(30)

    def look_twice(tx: Transaction) -> tuple[int, int]:
        first = len(deadletters.find(tx, deadletters.Which("t1")))
        may_commit.set()
        writer.result(30)
        return first, len(deadletters.find(tx, deadletters.Which("t1")))

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(door.run, Store.BOOKS, slow)
        assert writing.wait(30)
        assert door.read(Store.BOOKS, look_twice) == (1, 1)
    assert subjects(database) == {"before", "during"}


def test_eight_threads_lose_no_update(database: Database) -> None:
    door = database.tenant("t1")
    door.run(Store.BOOKS, note("counter", attempts=0))
    table = deadletters.dead_letters

    def increment(tx: Transaction) -> None:
        old = tx.execute(sa.select(table.c.attempts).with_for_update()).scalar_one()
        tx.execute(sa.update(table).values(attempts=old + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: door.run(Store.BOOKS, increment), range(80)))
    found = door.read(Store.BOOKS, lambda tx: deadletters.get(tx, "t1", "k", "counter"))
    assert found is not None
    assert found.attempts == 80


def test_two_handles_on_one_database_write_side_by_side(address: dict[str, Any]) -> None:
    """As two processes do: on SQLite the file's own lock has to hold, not our thread lock."""
    handles = [Database.open(**address), Database.open(**address)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: handles[i % 2].tenant("t1").run(Store.BOOKS, note(f"s{i}")), range(60)))
    assert len(subjects(handles[0])) == 60
    for handle in handles:
        handle.close()


def test_a_deadlock_is_run_again(postgresql_database: Database) -> None:
    door = postgresql_database.tenant("t1")
    door.run(Store.BOOKS, note("a"))
    door.run(Store.BOOKS, note("b"))
    both_hold_one = threading.Barrier(2, timeout=30)
    runs: list[str] = []

    def crosswise(first: str, second: str) -> None:
        def cross(tx: Transaction) -> None:
            runs.append(first)
            known = deadletters.get(tx, "t1", "k", first)
            assert known is not None
            deadletters.annotate(tx, known, first)
            if runs.count(first) == 1:
                both_hold_one.wait()
            deadletters.failed(
                tx, "t1", kind="k", subject=second, code="C", message=first, attempts=2, now=NOW, again=None
            )

        door.run(Store.BOOKS, cross)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(crosswise, "a", "b"), pool.submit(crosswise, "b", "a")]:
            done.result(60)
    # It may be the victim once more, where it is back before the other one's commit.
    assert 3 <= len(runs) <= 5 and 1 in (runs.count("a"), runs.count("b")), "only one of the two ran again"


def test_s63_a_transaction_that_stands_still_does_not_keep_its_rows(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process suspended in the middle of a transaction: others get the row, and it learns that it lost."""
    monkeypatch.setattr("ladenbuch.db.IDLE_SECONDS", 0.5)
    door = postgresql_database.tenant("t1")
    door.run(Store.BOOKS, note("a"))
    holds, wakes = threading.Event(), threading.Event()

    def annotated(text: str, pause: Callable[[], object]) -> Callable[[Transaction], None]:
        def write(tx: Transaction) -> None:
            known = deadletters.get(tx, "t1", "k", "a")
            assert known is not None
            deadletters.annotate(tx, known, text)
            pause()

        return write

    def suspended() -> None:
        holds.set()
        wakes.wait(30)

    with ThreadPoolExecutor(1) as pool:
        still = pool.submit(door.run, Store.BOOKS, annotated("suspended", suspended))
        holds.wait(30)
        door.run(Store.BOOKS, annotated("other", lambda: None))
        wakes.set()
        with pytest.raises(Retryable, match=r"DB-(DOWN|COMMIT)"):
            still.result(30)
    known = door.read(Store.BOOKS, lambda tx: deadletters.get(tx, "t1", "k", "a"))
    assert known is not None and known.note == "other"


def _backends(url: str) -> int:
    admin = sa.create_engine(url, poolclass=sa.NullPool)
    with admin.connect() as tx:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(tx.exec_driver_sql(asked).scalar_one())


def test_more_threads_than_connections_all_get_their_turn(postgresql_database: Database) -> None:
    """Nobody waits in the pool for a connection that is set aside."""
    door = postgresql_database.tenant("t1")
    with ThreadPoolExecutor(40) as pool:
        doing = [door.read if i % 3 else door.run for i in range(200)]
        write = [None if i % 3 else note(f"s{i}") for i in range(200)]
        look: Any = lambda tx: deadletters.find(tx, deadletters.Which("t1"), 1)  # noqa: E731
        list(pool.map(lambda i: doing[i](Store.BOOKS, write[i] or look), range(200)))
    assert len(subjects(postgresql_database)) == 67
    assert postgresql_database.connections()[Store.BOOKS, "busy"] == 0
    assert postgresql_database.connections()[Store.BOOKS, "idle"] <= 15


def test_connections_nobody_uses_are_given_back(
    postgresql_database: Database, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(6, timeout=30)
    door = postgresql_database.tenant("t1")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: door.read(Store.BOOKS, lambda tx: together.wait()), range(6)))
    assert _backends(postgresql_url) == 6
    monkeypatch.setattr(db, "_KEPT", -1.0)
    for _ in range(6):
        subjects(postgresql_database)
    assert _backends(postgresql_url) <= 2


def test_a_restarted_server_costs_nobody_a_failed_transaction(
    postgresql_database: Database, postgresql_url: str
) -> None:
    """All connections of the process die at once, those that were set aside too."""
    together = threading.Barrier(4, timeout=30)
    door = postgresql_database.tenant("t1")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: door.read(Store.BOOKS, lambda tx: together.wait()), range(4)))
    admin = sa.create_engine(postgresql_url, poolclass=sa.NullPool)
    with admin.connect() as tx:
        asked = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        assert len(tx.exec_driver_sql(asked + " AND pid <> pg_backend_pid()").all()) == 4
    door.run(Store.BOOKS, note("a"))
    assert subjects(postgresql_database) == {"a"}
    # A connection that dies under a transaction is the transaction's: nothing is written, and the next one goes well.
    with pytest.raises(Retryable, match="DB-DOWN"):
        door.run(Store.BOOKS, lambda tx: (note("b")(tx), _die(tx)))
    assert subjects(postgresql_database) == {"a"}
    assert postgresql_database.connections()[Store.BOOKS, "busy"] == 0


def _die(tx: Transaction) -> None:
    tx.exec_driver_sql("SET LOCAL ROLE NONE")
    tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def test_nothing_of_a_transaction_is_left_for_the_next_on_its_connection(postgresql_database: Database) -> None:
    told = "SELECT current_user, current_schema, current_setting('ladenbuch.tenant')"
    ask: Any = lambda tx: tuple(tx.exec_driver_sql(told).one())  # noqa: E731
    odd = "t'; DROP TABLE books.orders; --"
    for tenant in ("t1", "t2", odd):
        assert postgresql_database.tenant(tenant).run(Store.BOOKS, ask) == ("ladenbuch_app", "books", tenant)
        assert postgresql_database.tenant(tenant).read(Store.INBOX, ask) == ("ladenbuch_app", "inbox", tenant)
    driver = postgresql_database._idle[Store.BOOKS, False][-1].connection.dbapi_connection
    asked = "SELECT current_user = session_user, current_setting('ladenbuch.tenant', true)"
    assert driver.execute(asked).fetchone() in [(True, ""), (True, None)]


def test_a_constraint_becomes_an_error_without_the_row_in_it(database: Database) -> None:
    row = {"tenant": "t1", "kind": "k", "subject": "buyer@example.org", "code": "C", "message": "m"}
    row |= {"detail": "{}", "attempts": 1, "gave_up_at": 0, "state": "open"}

    def insert(tx: Transaction) -> None:
        tx.execute(sa.insert(deadletters.dead_letters).values(**row))

    database.tenant("t1").run(Store.BOOKS, insert)
    with pytest.raises(Rejected) as caught:
        database.tenant("t1").run(Store.BOOKS, insert)
    assert caught.value.code == "DB-CONSTRAINT"
    assert "buyer" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_only_reviewed_reasons_open_a_system_door(database: Database) -> None:
    with pytest.raises(ValueError, match="SYSTEM_REASONS"):
        database.system("because I can")
    with pytest.raises(Rejected) as caught:
        database.tenant("")
    assert caught.value.code == "TENANT-UNKNOWN"


# --- opening, settings of the file ---


def test_sqlite_files_are_durable_and_private(sqlite_database: Database, tmp_path: Path) -> None:
    def pragmas(tx: Transaction) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [tx.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    for store in Store:
        assert sqlite_database.tenant("t1").run(store, pragmas) == ["wal", 2, 1, 30000]
        for file in (tmp_path / "data").glob(f"{store}.db*"):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_new_files_are_for_the_owner_only(tmp_path: Path) -> None:
    Database.open(data_dir=tmp_path / "new").close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "new").iterdir()} == {0o600}


@pytest.mark.parametrize("url", ["mysql://u:geheim@h/d", "sqlite:///x.db", "no address: geheim"])
def test_s8_a_wrong_address_names_the_variable_only(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Database.open(url=url)
    assert "LADENBUCH_DATABASE_URL" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_server_that_is_not_there_is_retryable() -> None:
    database = Database.open(url="postgresql://u:geheim@127.0.0.1:1/d")
    with pytest.raises(Retryable) as caught:
        database.migrate()
    assert caught.value.code == "DB-DOWN"
    assert "geheim" not in str(caught.value)


# --- a database that cannot be used ---


def test_disk_full_writes_nothing_and_says_so(sqlite_database: Database, tmp_path: Path) -> None:
    door = sqlite_database.tenant("t1")
    door.run(Store.BOOKS, note("before"))

    def fill(tx: Transaction) -> None:
        tx.exec_driver_sql(f"PRAGMA max_page_count={tx.exec_driver_sql('PRAGMA page_count').scalar_one()}")
        note("first half")(tx)
        for i in range(1000):
            deadletters.failed(
                tx, "t1", kind="k", subject=f"big{i}", code="C", message="x" * 4000, attempts=1, now=NOW, again=None
            )

    with pytest.raises(Retryable) as caught:
        door.run(Store.BOOKS, fill)
    assert caught.value.code == "DB-UNWRITABLE"
    assert "free disk space" in caught.value.message
    sqlite_database.close()  # the limit belongs to the connection; there is space again
    assert subjects(sqlite_database) == {"before"}
    door.run(Store.BOOKS, note("after"))


def test_a_read_only_database_is_unwritable_and_still_readable(sqlite_database: Database) -> None:
    sqlite_database.tenant("t1").run(Store.BOOKS, note("before"))

    def read_only(tx: Transaction) -> None:
        tx.exec_driver_sql("PRAGMA query_only=ON")
        note("never")(tx)

    with pytest.raises(Retryable) as caught:
        sqlite_database.tenant("t1").run(Store.BOOKS, read_only)
    assert caught.value.code == "DB-UNWRITABLE"
    assert subjects(sqlite_database) == {"before"}
    sqlite_database.tenant("t1").run(Store.BOOKS, note("after"))


def test_a_read_only_server_is_unwritable(postgresql_database: Database) -> None:
    def read_only(tx: Transaction) -> None:
        tx.exec_driver_sql("SET TRANSACTION READ ONLY")  # what a standby answers after a failover
        note("never")(tx)

    with pytest.raises(Retryable) as caught:
        postgresql_database.tenant("t1").run(Store.BOOKS, read_only)
    assert caught.value.code == "DB-UNWRITABLE"


def test_a_folder_that_cannot_be_made_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Retryable) as caught:
        Database.open(data_dir=tmp_path / "file" / "data")
    assert caught.value.code == "DB-UNWRITABLE"


def test_garbage_instead_of_a_database_is_corrupt(tmp_path: Path) -> None:
    Database.open(data_dir=tmp_path).close()
    (tmp_path / "books.db").write_bytes(b"this is not a database, it is a letter " * 200)
    with pytest.raises(Retryable) as caught:
        Database.open(data_dir=tmp_path).migrate()
    assert caught.value.code == "DB-CORRUPT"
    assert "restore a backup" in caught.value.message


def test_a_truncated_database_is_corrupt(sqlite_database: Database, tmp_path: Path) -> None:
    for i in range(200):
        sqlite_database.tenant("t1").run(Store.BOOKS, note(f"s{i}" * 50))
    sqlite_database.close()
    path = tmp_path / "data" / "books.db"
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Retryable) as caught:
        subjects(sqlite_database)
    assert caught.value.code == "DB-CORRUPT"


# --- migrations ---


@pytest.mark.parametrize("store", list(Store))
def test_the_migrated_database_is_what_the_modules_say(database: Database, store: Store) -> None:
    """Fails when a table changes without a revision."""
    metadata = db.import_tables(store)

    def differences(tx: Transaction) -> list[Any]:
        return compare_metadata(MigrationContext.configure(tx), metadata)

    assert database.system("doctor").read(store, differences) == []


@pytest.mark.parametrize("store", list(Store))
def test_the_head_we_short_cut_to_is_the_head_of_the_files(store: Store) -> None:
    scripts = ScriptDirectory.from_config(migrations.config(store.value))
    assert scripts.get_heads() == [migrations.HEADS[store.value]]


def test_migrating_again_and_at_once_changes_nothing(tmp_path: Path) -> None:
    handles = [Database.open(data_dir=tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, handles))
    handles[0].migrate()
    handles[0].tenant("t1").run(Store.BOOKS, note("works"))
    assert subjects(handles[1]) == {"works"}
    for handle in handles:
        handle.close()


def test_s63_a_version_starts_on_the_tables_of_the_next(database: Database) -> None:
    """Migrations only add, so a deploy may roll on slowly, or back (decision 0013)."""
    for store, table in ((Store.BOOKS, "audit_entries"), (Store.INBOX, "order_marks")):
        schema = "" if database.is_sqlite else f"{store}."
        newer = f"{store}_{int(migrations.HEADS[store].rpartition('_')[2]) + 1:04d}"
        with database._engines[store].begin() as tx:  # as a migration does it: through no door
            tx.exec_driver_sql(f"ALTER TABLE {schema}{table} ADD COLUMN of_the_next_version text")
            tx.exec_driver_sql(f"UPDATE {schema}alembic_version SET version_num = '{newer}'")
    database.migrate()
    for store in Store:
        at = database.system("operator").read(store, lambda tx, store=store: migrations.current(tx, store.value))
        assert at is not None and at > migrations.HEADS[store]
    door, now = database.tenant("t1"), datetime(2026, 11, 2, tzinfo=UTC)
    door.run(Store.BOOKS, lambda tx: audit.append(tx, "t1", now, actor="a", event="e", subject="s", sentence="x"))
    assert door.run(Store.INBOX, lambda tx: inbox.want(tx, "t1", "gid://shopify/Order/1", now)) == 1


def test_migrating_at_once_on_postgresql(postgresql: Any) -> None:
    url = postgresql.create()
    handles = [Database.open(url=url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, handles))
    handles[0].tenant("t1").run(Store.BOOKS, note("works"))
    assert subjects(handles[1]) == {"works"}
    for handle in handles:
        handle.close()
    postgresql.drop(url)


def test_append_only_tables_refuse_change(database: Database) -> None:
    def first(tx: Transaction) -> None:
        tenants.add(tx, id="t1", shop="a.example", cut_off=NOW, now=NOW)
        tenants.add_profile(tx, "t1", {"a": 1}, NOW, NOW)

    database.system("operator").run(Store.BOOKS, first)
    for change in (sa.update(tenants.profile_versions).values(profile="{}"), sa.delete(tenants.profile_versions)):
        for door in (database.tenant("t1"), database.system("operator")):
            with pytest.raises(Rejected) as caught:
                door.run(Store.BOOKS, lambda tx, change=change: tx.execute(change))
            assert caught.value.code in ("DB-CONSTRAINT", "DB-FORBIDDEN")


# --- instants and small tools ---


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=11))])))
def test_instants_survive_to_the_microsecond(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant


def test_an_instant_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_micros(datetime(2026, 1, 1))


def test_insert_new_says_whether_it_was_new(database: Database) -> None:
    row = {"tenant": "t1", "reason": "r", "since": 1}

    def twice(tx: Transaction) -> tuple[bool, bool]:
        tenants.add(tx, id="t1", shop="a.example", cut_off=NOW, now=NOW)
        return db.insert_new(tx, tenants.write_stops, **row), db.insert_new(tx, tenants.write_stops, **row)

    assert database.tenant("t1").run(Store.BOOKS, twice) == (True, False)
