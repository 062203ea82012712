"""Online rotation of keys, on both databases (S49). `make prove LINE=rotation` does 10,000 rows with real kills."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch import audit, books, inbox, outbox, vault
from ladenbuch.db import Database, Store, import_tables
from ladenbuch.errors import Rejected
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.rotation import COLUMNS, Rotated, Rotation
from rotation_world import TENANTS, World, rows_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROWS = 420


@pytest.fixture
def world(database: Database) -> World:
    made = World(database)
    made.fill(ROWS)
    return made


def rotate(world: World, **more: Any) -> Rotated:
    return Rotation(world.database, world.both(), lambda: NOW, lambda seconds: None, **more).run()


def told(world: World, tenant: str) -> list[str]:
    door = world.database.tenant(tenant)
    entries = door.read(Store.BOOKS, lambda tx: list(audit.entries(tx, tenant)))
    return [entry.sentence for entry in entries if entry.event == "keys.rotated"]


def test_every_column_of_ciphertext_is_known() -> None:
    tables = [table for store in Store for table in import_tables(store).sorted_tables]
    held = {f"{t.name}.{c.name}" for t in tables for c in t.c if isinstance(c.type, sa.LargeBinary)}
    assert held - {"data_keys.wrapped", "subject_keys.wrapped"} == {column.name for column in COLUMNS}


def test_s49_every_row_is_under_the_new_key_alone_while_others_write(world: World) -> None:
    rotation = Rotation(world.database, world.both(), lambda: NOW, lambda seconds: None)
    total = rotation.total()
    with world.writers(world.both):
        done = rotation.run()
    assert (total, done.rows + done.overtaken, done.tenants, done.data_keys) == (ROWS // 2, ROWS // 2, 3, 3)
    assert (done.unreadable, done.forgotten, done.needed) == (0, 0, {})
    assert world.wrong(world.new) == []
    assert len(told(world, "t1")) == 1, "S50: one entry in the chain"
    assert "3 data keys" not in told(world, "t1")[0]
    again = rotate(world)
    assert (again.rows, again.data_keys, told(world, "t1")) == (0, 0, told(world, "t1")[:1])


def test_s49_new_data_keys_reach_every_row_and_the_old_ones_go(world: World) -> None:
    waited = []
    rotation = Rotation(world.database, world.both(), lambda: NOW, waited.append, renew=True)
    total = rotation.total()
    with world.writers(world.both):
        done = rotation.run()
    assert total == ROWS <= done.rows + done.overtaken
    assert (done.renewed, done.retired, done.needed, done.unreadable) == (3, 3, {}, 0)
    assert len(waited) == 1, "once for all tenants, until nobody can have the old key in memory"
    assert waited[0] > vault.AGE
    door = world.database.system("doctor")
    assert len(door.read(Store.BOOKS, lambda tx: tx.execute(sa.select(vault.data_keys)).all())) == 3
    assert len(door.read(Store.BOOKS, lambda tx: tx.execute(sa.select(vault.subject_keys)).all())) == 3


@pytest.mark.parametrize("renew", [False, True])
def test_s49_a_rotation_that_died_goes_on_where_it_stopped(world: World, renew: bool) -> None:
    died = []
    for after in (0, 40, 130):
        steps = iter(range(after))

        def step(steps: Any = steps) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rotate(world, renew=renew, step=step)
        died.append(world.wrong(f"{world.new},{world.old}"))
    assert died == [[]] * 3, "all the while everything opens"
    done = rotate(world, renew=renew)
    assert 0 < done.rows < ROWS, "what was done before is not done again"
    assert (done.needed, world.wrong(world.new)) == ({}, [])
    assert done.retired == (3 if renew else 0)


def test_b9_nothing_forgotten_comes_back(world: World) -> None:
    keys, tenant = world.both(), "t1"
    rotate(world)  # v1 rows hang on no subject's key
    found = [
        (column.subject(row), f"{column.name} {column.row_id(row)}")
        for column in (books.SNAPSHOTS, outbox.PAYLOADS, inbox.BODIES)
        for row in rows_of(world.database, column, tenant)
    ]
    subjects = {subject for subject, _ in found[::2]}
    gone = {row for subject, row in found if subject in subjects}
    door = world.database.tenant(tenant)
    door.run(Store.BOOKS, lambda tx: keys.forget_subject(tx, tenant, *subjects))
    done = rotate(world, renew=True)
    assert (done.forgotten, done.unreadable, done.retired) == (len(gone), 0, 3)
    assert len(gone) >= 30
    lost = {line.partition(": ")[0].removeprefix(f"{tenant} ") for line in world.wrong(world.new)}
    assert lost == gone


def test_b9_one_forgotten_while_its_row_is_sealed_anew_is_forgotten(world: World) -> None:
    """The row was opened before, and is sealed after: with a key that went with the subject."""
    keys, tenant = world.both(), "t1"
    rotate(world)
    rotation = Rotation(world.database, keys, lambda: NOW, lambda seconds: None, renew=True)
    other, done = world.both(), set()
    really = keys.reseal

    def slow(tenant: str, purpose: str, row: str, sealed: Any, subject: str | None) -> Any:
        fresh = really(tenant, purpose, row, sealed, subject)
        if subject and not subject.startswith("held") and subject not in done and len(done) < 12:
            done.add(subject)
            world.database.tenant(tenant).run(Store.BOOKS, lambda tx: other.forget_subject(tx, tenant, subject))
        return fresh

    keys.reseal = slow  # type: ignore[method-assign]
    rotation.run()
    assert len(done) == 12
    opens = Vault(KeyRing.parse(world.new), world.database)
    for column in (books.SNAPSHOTS, outbox.PAYLOADS, inbox.BODIES):
        for row in rows_of(world.database, column, tenant):
            if column.subject(row) not in done:
                continue
            with pytest.raises(Rejected, match="VAULT-FORGOTTEN"):
                opens.open(tenant, column.purpose(row), column.row_id(row), column.sealed(row))


def test_what_does_not_open_is_named_and_its_key_stays(world: World) -> None:
    column = books.PINS
    row = next(row for row in rows_of(world.database, column, "t2") if ":" in row.key_id)
    broken = sa.update(books.documents).where(books.documents.c.tenant == "t2", books.documents.c.key == row.key)
    world.database.tenant("t2").run(
        Store.BOOKS, lambda tx: tx.execute(broken.values(pins=bytes(row.pins[:-1]) + bytes([row.pins[-1] ^ 1])))
    )
    done = rotate(world, renew=True)
    assert [(item.tenant, item.column, item.row, item.code) for item in done.listed] == [
        ("t2", "documents.pins", row.key, "VAULT-OPEN")
    ]
    assert (done.unreadable, done.retired) == (1, 2)
    assert len(world.wrong(world.new)) == 1


def test_a_missing_key_stops_before_anything_is_changed(world: World) -> None:
    before = [rows_of(world.database, column, tenant) for column in COLUMNS for tenant in TENANTS]
    lacking = Vault(KeyRing.parse(world.new), world.database)
    with pytest.raises(Rejected, match="VAULT-KEY"):
        Rotation(world.database, lacking, lambda: NOW, lambda seconds: None, renew=True).run()
    assert before == [rows_of(world.database, column, tenant) for column in COLUMNS for tenant in TENANTS]
