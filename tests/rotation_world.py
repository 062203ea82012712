"""Sealed rows of all kinds, as older versions and this one wrote them, and writers that go on while keys are rotated.

    python tests/rotation_world.py --rows 10000 [--url postgresql://...] [--kills 3]      # JSON on standard output

As a script it rotates with the real command, killed a few times, and looks at every row afterwards with the new key
alone.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ladenbuch import tenants
from ladenbuch.db import Database, Sealed, Transaction
from ladenbuch.sealed import SealedColumn
from ladenbuch.vault import KeyRing, Vault, generate_key
from ladenbuch.workflows.rotation import COLUMNS

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TENANTS = ("t1", "t2", "t3")


def v1(keys: str, tenant: str, purpose: str, plain: bytes) -> Sealed:
    """As versions before the data keys sealed: with the first root key, bound to tenant, purpose and key."""
    key_id, _, encoded = keys.partition(",")[0].partition(":")
    nonce = os.urandom(12)
    name = json.dumps(["ladenbuch.v1", tenant, purpose, key_id]).encode()
    return Sealed(key_id, nonce + AESGCM(base64.b64decode(encoded)).encrypt(nonce, plain, name))


class World:
    """Tenants with sealed rows under `old`, and what each row says."""

    def __init__(self, database: Database, old: str | None = None, new: str | None = None) -> None:
        self.database = database
        self.old, self.new = old or generate_key(), new or generate_key()
        self.vault = Vault(KeyRing.parse(self.old), database)
        self.said: dict[tuple[str, str, str], bytes] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

        def add(tx: Transaction) -> None:
            for tenant in TENANTS:
                tenants.add(tx, id=tenant, shop=f"{tenant}.myshopify.com", cut_off=NOW, now=NOW)

        database.system("operator").run(COLUMNS[0].store, add)

    def both(self) -> Vault:
        """The vault of a process that has the new key in front of the old one."""
        return Vault(KeyRing.parse(f"{self.new},{self.old}"), self.database)

    def fill(self, rows: int) -> None:
        """Rows of every sealed column, every other one as older versions wrote it."""
        for column in COLUMNS:
            for tenant in TENANTS:
                made = [next(self._numbers) for _ in range(rows // len(COLUMNS) // len(TENANTS))]
                self.write(self.vault, column, tenant, made, old_too=True)

    def write(
        self, keys: Vault, column: SealedColumn, tenant: str, numbers: list[int], *, old_too: bool = False
    ) -> None:
        """Add rows, with the content `tenant number`."""
        values = []
        for number in numbers:
            row = _Row(_values(column.table, tenant, number))
            plain = f"{tenant} {number}".encode()
            name, purpose = column.row_id(row), column.purpose(row)
            if old_too and number % 2:
                sealed = v1(self.old, tenant, purpose, plain)
            else:
                sealed = keys.seal(tenant, purpose, name, plain, column.subject(row))
            values.append({**row.values, "key_id": sealed.key_id, column.column: sealed.ciphertext})
            with self._lock:
                self.said[tenant, column.name, name] = plain
        insert = sa.insert(column.table)
        self.database.tenant(tenant).run(column.store, lambda tx: tx.execute(insert, values))

    @contextmanager
    def writers(self, keys: Callable[[], Vault], count: int = 2, pause: float = 0.0) -> Iterator[None]:
        """Meanwhile others add rows, and put secrets in the place of older ones."""
        stopping, errors = threading.Event(), []

        def write(mine: int, own: Vault) -> None:
            try:
                for turn in itertools.count():
                    if stopping.wait(pause):
                        return
                    tenant = TENANTS[turn % len(TENANTS)]
                    self.write(own, COLUMNS[turn % len(COLUMNS)], tenant, [next(self._numbers)])
                    self._replace(own, tenant, mine)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(number, keys())) for number in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        assert not errors, errors

    def _replace(self, keys: Vault, tenant: str, mine: int) -> None:
        name, value = f"often replaced {mine}", f"value {next(self._numbers)}"
        self.database.tenant(tenant).run(COLUMNS[0].store, lambda tx: keys.put_secret(tx, tenant, name, value, NOW))
        with self._lock:
            self.said[tenant, COLUMNS[0].name, name] = value.encode()

    def wrong(self, keys: str) -> list[str]:
        """Every row that does not say what it should, with these keys alone."""
        opens, found, seen = Vault(KeyRing.parse(keys), self.database), [], 0
        for column in COLUMNS:
            for tenant in TENANTS:
                for row in rows_of(self.database, column, tenant):
                    name, seen = column.row_id(row), seen + 1
                    try:
                        plain = opens.open(tenant, column.purpose(row), name, column.sealed(row))
                    except Exception as error:
                        plain = str(error).encode()
                    if plain != self.said.get((tenant, column.name, name)):
                        found.append(f"{tenant} {column.name} {name}: {plain!r}")
        return found if seen == len(self.said) else [*found, f"{seen} rows instead of {len(self.said)}"]


def rows_of(database: Database, column: SealedColumn, tenant: str) -> list[Any]:
    """All rows of a sealed column."""
    query = sa.select(column.table).where(column.table.c.tenant == tenant)
    return list(database.tenant(tenant).read(column.store, lambda tx: tx.execute(query).all()))


class _Row:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


def _values(table: sa.Table, tenant: str, number: int) -> dict[str, Any]:
    """Something for every column that must have something."""
    filled: dict[str, Any] = {"tenant": tenant, "order_id": f"gid://shopify/Order/{number}"}
    for column in table.columns:
        if column.name in filled or (column.nullable and not column.primary_key):
            continue
        text = f"{column.name} {number}"[: getattr(column.type, "length", None)]
        filled[column.name] = number if column.type.python_type in (int, bool) else text
    return {name: value for name, value in filled.items() if name in table.c}


def main() -> int:
    """Rotate 10,000 rows with the real command while others write, killed now and then."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--url")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        address: dict[str, Any] = {"url": chosen.url} if chosen.url else {"data_dir": Path(folder) / "data"}
        database = Database.open(**address)
        database.migrate()
        world = World(database)
        world.fill(chosen.rows)
        where = (
            {"LADENBUCH_DATABASE_URL": chosen.url} if chosen.url else {"LADENBUCH_DATA_DIR": str(address["data_dir"])}
        )
        env = {**os.environ, **where, "LADENBUCH_KEYS": f"{world.new},{world.old}"}
        figures = _rotate(world, env, chosen.kills)
        figures["rows in the end"] = len(world.said)
        figures["wrong"] = (wrong := world.wrong(world.new))[:20]
        database.close()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if not wrong and not figures["needed"] and figures["kills"] == chosen.kills else 1


def _rotate(world: World, env: dict[str, str], kills: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "ladenbuch", "keys", "rotate", "--data-keys", "--json"]
    begun, killed = time.monotonic(), 0
    with world.writers(world.both, pause=0.02):
        while True:
            running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if killed < kills:
                try:
                    running.wait(1.5 + killed)
                except subprocess.TimeoutExpired:
                    running.send_signal(signal.SIGKILL)
                    killed += 1
            out, _ = running.communicate()
            if running.returncode >= 0:
                break
        done = json.loads(out)
    return {**done, "exit": running.returncode, "kills": killed, "seconds": round(time.monotonic() - begun, 1)}


if __name__ == "__main__":
    raise SystemExit(main())
