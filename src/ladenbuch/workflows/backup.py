"""A copy of both stores while the connector runs, that can be told from one that was never finished.

    DIR/ladenbuch-20261123T101500Z/   inbox.db, books.db, manifest.json
    DIR/keys/keys-20261123T101500Z.db the two tables of keys, apart, and none older than 30 days (decision 0012)

The inbox is copied first. So the books know everything the inbox says is settled, and hold every key that something in
the inbox was sealed with; what was settled in between is looked at once more. The other way round an order could be
called settled whose documents the books have never heard of. Each file is one snapshot (`VACUUM INTO`: without the
free pages in which deleted rows still stand), and nothing waits for it. The engine's database is disposable: no copy.

Everything is written beside its place, read again, and only then renamed into it: a folder with its name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ladenbuch import __version__, audit
from ladenbuch.db import Database, Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.vault.data_keys import data_keys, subject_keys

#: How long a copy of the keys is kept: Shopify's time for a redaction.
KEYS_KEPT = timedelta(days=30)
#: What is written beside its place and older than this was left by a process that died.
_ABANDONED = 86_400.0
_KEY_TABLES = (data_keys.name, subject_keys.name)
_NAME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: the folder, the file of the keys, and the manifest's content."""

    folder: Path
    keys: Path
    manifest: dict[str, Any]


def back_up(data_dir: Path, into: Path, clock: Callable[[], datetime], keys: Path | None = None) -> Backup:
    """Copy both stores of `data_dir` below `into`, the keys below `keys` (default: `into`/keys).

    Raises UsageError("BACKUP") for a place that is none, Rejected("BACKUP") when a copy cannot be written or is not
    whole; then nothing of it is left that looks like a backup.
    """
    missing = [f"{store}.db" for store in Store if not (data_dir / f"{store}.db").is_file()]
    if missing:
        raise UsageError("BACKUP", f"{data_dir} holds no {' and no '.join(missing)}")
    begun = clock()
    name = f"ladenbuch-{begun:{_NAME}}"
    folder, apart = into / name, keys or into / "keys"
    part, key_part = into / f".{name}.part", apart / f".keys-{begun:{_NAME}}.part"
    if folder.exists() or part.exists():
        raise UsageError("BACKUP", f"{folder} is there already, or is being written")
    database = Database.open(data_dir=data_dir)
    try:
        for place in (into, apart):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            _tidy(place)
        part.mkdir(mode=0o700)
        manifest = _copied(database, part, key_part, clock)
        key_file = apart / f"keys-{begun:{_NAME}}.db"
        manifest["keys"] = key_file.name
        _write(part / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n")
        _to_disk(part)
        # The keys first: a copy of the stores that stands alone could not be opened.
        key_part.replace(key_file)
        _to_disk(apart)
        part.rename(folder)
        _to_disk(into)
    except (OSError, sqlite3.Error) as error:
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise Rejected("BACKUP", f"no backup was made: {text}") from error
    finally:
        database.close()
        shutil.rmtree(part, ignore_errors=True)
        key_part.unlink(missing_ok=True)
    _drop_old_keys(apart, key_file, begun)
    return Backup(folder, key_file, manifest)


def _copied(database: Database, part: Path, key_part: Path, clock: Callable[[], datetime]) -> dict[str, Any]:
    """Both copies, read again; what the manifest says of them."""
    files: dict[str, Any] = {}
    chains: dict[str, Any] = {}
    copied_at: dict[str, str] = {}
    for store in (Store.INBOX, Store.BOOKS):
        file = part / f"{store}.db"
        instant = clock()
        copied_at[store.value] = instant.isoformat()
        _write(file, b"")
        database.copy(store, file)
        if store is Store.BOOKS:
            _keys_apart(file, key_part)
        with closing(sqlite3.connect(file, isolation_level=None)) as copy:
            copy.execute(f"PRAGMA user_version={int(instant.timestamp())}")
            rows = _checked(copy, file.name)
            if store is Store.BOOKS:
                chains = _chains(copy)
        files[file.name] = {"bytes": file.stat().st_size, "sha256": _digest(file), "rows": rows}
        _to_disk(file)
    return {"ladenbuch": __version__, "copied_at": copied_at, "files": files, "audit": chains}


def _keys_apart(books: Path, key_part: Path) -> None:
    """The two tables of keys leave the copy for a file of their own; their bytes are overwritten."""
    _write(key_part, b"")
    with closing(sqlite3.connect(books, isolation_level=None)) as copy:
        copy.execute("PRAGMA secure_delete=ON")
        copy.execute("ATTACH ? AS apart", (str(key_part),))
        copy.execute("BEGIN")
        for table in _KEY_TABLES:
            copy.execute(f"CREATE TABLE apart.{table} AS SELECT * FROM main.{table}")
            copy.execute(f"DELETE FROM main.{table}")
        copy.execute("COMMIT")
    with closing(sqlite3.connect(key_part)) as apart:
        _checked(apart, key_part.name)
    _to_disk(key_part)


def _checked(copy: sqlite3.Connection, name: str) -> dict[str, int]:
    """The number of rows of each table. Raises Rejected("BACKUP") for a copy that is not whole."""
    said = [str(row[0]) for row in copy.execute("PRAGMA integrity_check")]
    if said != ["ok"] or copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise Rejected("BACKUP", f"the copy {name} is not whole: {said[0]}")
    tables = [row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    mine = [table for table in tables if not table.startswith("sqlite_")]
    return {table: int(copy.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]) for table in mine}


def _chains(copy: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Length and last hash of each tenant's audit chain. Raises Rejected("BACKUP") where one is broken."""
    found: dict[str, dict[str, Any]] = {}
    for tenant, entries, head in copy.execute("SELECT tenant, entries, hash FROM audit_heads ORDER BY tenant"):
        broken = audit.broken_at(_rows(copy, tenant), int(entries), str(head))
        if broken is not None:
            raise Rejected("BACKUP", f"the audit chain of {tenant} is broken at {broken}: find out why first")
        found[str(tenant)] = {"entries": int(entries), "head": str(head)}
    return found


def _rows(copy: sqlite3.Connection, tenant: str) -> Any:
    cursor = copy.execute("SELECT * FROM audit_entries WHERE tenant = ? ORDER BY seq", (tenant,))
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def _tidy(place: Path) -> None:
    """What processes that died have left beside its place."""
    for left in place.glob(".*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _drop_old_keys(apart: Path, newest: Path, now: datetime) -> None:
    """Copies of the keys are overwritten after at most 30 days: whoever keeps them longer keeps the forgotten."""
    oldest = f"keys-{now - KEYS_KEPT:{_NAME}}.db"
    for file in apart.glob("keys-*.db"):
        if file.name < oldest and file != newest:
            file.unlink()


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
