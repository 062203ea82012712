"""A backup of a running connector (issue line 9): whole or not there, and what decision 0012 says of keys."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ladenbuch import audit, inbox
from ladenbuch.cli.backing_up import back_up_now
from ladenbuch.db import Database, Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.backup import back_up
from migrated import migrated

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
KEY = "k1:" + "A" * 43 + "="


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(data_dir=migrated(tmp_path / "data"))
    vault = Vault(KeyRing.parse(KEY), database)
    database.tenant("t1").run(Store.BOOKS, lambda tx: vault.put_secret(tx, "t1", "sevdesk.token", "s", NOW))
    _say(database, 3)
    yield database
    database.close()


def _say(database: Database, times: int) -> None:
    for _ in range(times):
        database.tenant("t1").run(
            Store.BOOKS,
            lambda tx: audit.append(tx, "t1", NOW, actor="a", event="e", subject="s", sentence="Something happened."),
        )


def _rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
        return copy.execute(query).fetchall()


def test_it_is_consistent_while_others_write_and_nobody_else_can_read_it(stores: Database, tmp_path: Path) -> None:
    done = threading.Event()

    def busy() -> None:
        number = 0
        while not done.is_set():
            number += 1
            order = f"o{number}"
            stores.tenant("t1").run(Store.INBOX, lambda tx, o=order: inbox.want(tx, "t1", o, NOW))  # type: ignore[misc]
            _say(stores, 1)

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        made = [back_up(tmp_path / "data", tmp_path / "b", lambda s=s: NOW + timedelta(seconds=s)) for s in range(3)]  # type: ignore[misc]
    finally:
        done.set()
        writer.join()
    for one in made:
        marks = _rows(one.folder / "inbox.db", "SELECT count(*) FROM order_marks")[0][0]
        entries = _rows(one.folder / "books.db", "SELECT entries, hash FROM audit_heads")[0]
        manifest = json.loads((one.folder / "manifest.json").read_text())
        assert manifest["files"]["inbox.db"]["rows"]["order_marks"] == marks
        assert manifest["audit"]["t1"] == {"entries": entries[0], "head": entries[1]}
        assert int(str(entries[0])) >= int(str(marks)), "the inbox first: the books know all that it knows"
        for path in (one.folder, *one.folder.iterdir(), one.keys):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert {path.name for path in one.folder.iterdir()} == {"inbox.db", "books.db", "manifest.json"}
    assert not list((tmp_path / "b").glob(".*"))


def test_b9_the_keys_are_apart_and_go_after_30_days(stores: Database, tmp_path: Path) -> None:
    wrapped = _rows(tmp_path / "data" / "books.db", "SELECT wrapped FROM data_keys")[0][0]
    first = back_up(tmp_path / "data", tmp_path / "b", lambda: NOW)
    assert _rows(first.folder / "books.db", "SELECT * FROM data_keys UNION ALL SELECT *, 1, 1 FROM subject_keys") == []
    assert isinstance(wrapped, bytes) and wrapped not in (first.folder / "books.db").read_bytes()
    assert _rows(first.keys, "SELECT wrapped FROM data_keys") == [(wrapped,)]
    second = back_up(tmp_path / "data", tmp_path / "b", lambda: NOW + timedelta(days=30))
    assert first.keys.exists()
    back_up(tmp_path / "data", tmp_path / "b", lambda: NOW + timedelta(days=30, seconds=1))
    assert not first.keys.exists() and second.keys.exists() and first.folder.exists()


@pytest.mark.parametrize("breaks", ["copy", "_chains", "_keys_apart"])
def test_what_ends_half_way_is_never_mistaken_for_a_backup(
    stores: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    from ladenbuch.workflows import backup

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Database if breaks == "copy" else backup, breaks, full)
    with pytest.raises(Rejected, match="No space left"):
        back_up(tmp_path / "data", tmp_path / "b", lambda: NOW)
    assert [path.name for path in (tmp_path / "b").rglob("*")] == ["keys"]


def test_a_broken_chain_and_a_broken_file_are_no_backup(stores: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "books.db")) as raw:
        raw.execute("DROP TRIGGER IF EXISTS audit_entries_no_update")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit_entries SET sentence = 'Nothing happened.' WHERE seq = 1")
        raw.commit()
    with pytest.raises(Rejected, match="chain of t1 is broken at 1"):
        back_up(tmp_path / "data", tmp_path / "b", lambda: NOW)
    assert not list((tmp_path / "b").glob("ladenbuch-*"))


def test_where_a_server_keeps_the_stores_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LADENBUCH_DATABASE_URL", "postgresql://u:p@127.0.0.1/x")
    with pytest.raises(UsageError, match=r"pg_dump .*exclude-table-data=books\.data_keys"):
        back_up_now(tmp_path, None, as_json=False)


def test_a_folder_without_stores_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no inbox\.db and no books\.db"):
        back_up(tmp_path, tmp_path / "b", lambda: NOW)
    assert list(tmp_path.iterdir()) == []
