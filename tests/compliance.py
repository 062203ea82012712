"""A house whose webhooks come in by the real ingest, and everything a thief of its stores could read."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from acceptance.invoice_cases import BOOK, MUG, buyer, placed
from house import SHOP, TENANT, House, home, person
from ladenbuch import audit, inbox, privacy
from ladenbuch.db import Database, Store, import_tables
from ladenbuch.errors import Rejected
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify.webhooks import sign
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.web.ingest import Ingest
from ladenbuch.workflows.rotation import COLUMNS

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
SECRET = "a-secret-of-nobody"
KEY = "k1:" + "A" * 43 + "="


class Compliance(House):
    """`post` a webhook as Shopify does; `told` is what its mark says then."""

    def __init__(self, folder: Path, profile: Mapping[str, Any] | None = None, url: str | None = None) -> None:
        super().__init__(folder, START, {"letters": True, **(profile or {})}, url=url)
        self.folder = folder
        self.commit = inbox.GroupCommit(self.database, self.ladenbuch.vault, self.clock.now)
        self.ingest = Ingest(self.commit, self.ladenbuch.tenant_of, self.clock.now, tenant_seconds=0.0)
        self.count = 0

    def close(self) -> None:
        self.commit.close()
        super().close()

    def post(
        self, topic: str, body: Mapping[str, Any], *, secret: str = SECRET, shop: str = SHOP, id: str | None = None
    ) -> int:
        """The status; everything that is due because of it is done before it comes back."""
        self.count += 1
        raw = json.dumps(body, ensure_ascii=False).encode()
        headers = {
            "x-shopify-topic": topic,
            "x-shopify-hmac-sha256": sign(raw, secret),
            "x-shopify-shop-domain": shop,
            "x-shopify-api-version": "2026-10",
            "x-shopify-webhook-id": id or f"w{self.count}",
            "x-shopify-triggered-at": self.clock.now().isoformat().replace("+00:00", "Z"),
        }
        status = asyncio.run(self._request([(name.encode(), value.encode()) for name, value in headers.items()], raw))
        self.work()
        return status

    def work(self) -> None:
        self.engine.wake("dispatch")
        self.engine.drain()

    async def _request(self, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.ingest({"type": "http", "method": "POST", "path": "/webhooks", "headers": headers}, receive, send)
        return int(sent[0]["status"])

    def told(self, id: str) -> str | None:
        """The code of a delivery that is not about an order."""
        query = sa.select(order_marks.c.last_code).where(order_marks.c.order_id == inbox.mark_of(id))
        found = self.database.tenant(TENANT).read(Store.INBOX, lambda tx: tx.execute(query).scalar_one_or_none())
        return None if found is None else str(found)

    def requests(self) -> list[privacy.Request]:
        return self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: privacy.requests(tx, TENANT))

    def held(self) -> list[privacy.Hold]:
        return self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: privacy.on_hold(tx, TENANT))

    def chain(self) -> list[dict[str, Any]]:
        """The audit chain, which holds."""
        door = self.database.tenant(TENANT)
        assert door.read(Store.BOOKS, lambda tx: audit.verify(tx, TENANT)) is None
        lines = door.read(Store.BOOKS, lambda tx: list(audit.export(tx, TENANT)))
        return [json.loads(line) for line in lines][:-1]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of both stores that is somebody's, and the proofs of erasures."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for store in Store:
            for table in import_tables(store).sorted_tables:
                if "tenant" in table.c or table.name == "erasures":
                    rows = self.database.system("doctor").read(
                        store, lambda tx, t=table: tx.execute(sa.select(t)).all()
                    )  # type: ignore[misc]
                    found[f"{store}.{table.name}"] = sorted((tuple(row) for row in rows), key=repr)
        return {name: rows for name, rows in found.items() if rows}

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.chain()]

    # -- what a thief reads ----------------------------------------------------------------------------------------

    def in_files(self, *needles: str) -> dict[str, int]:
        """How often each needle stands in the stores' files as they are, write-ahead logs included."""
        return found_in((path.read_bytes() for path in files(self.folder)), needles)

    def opened(self, *needles: str) -> set[str]:
        """The sealed columns in which a needle stands for somebody who has every key there is."""
        return opened(self.database, needles)

    def backup(self, to: Path) -> Path:
        """A copy of the stores by the rule of decision 0012: without the two tables of keys, and vacuumed."""
        to.mkdir()
        for path in self.folder.glob("*.db"):
            with sqlite3.connect(path) as source, sqlite3.connect(to / path.name) as copy:
                source.backup(copy)
            copy = sqlite3.connect(to / path.name, isolation_level=None)
            tables = {row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in tables & {"data_keys", "subject_keys"}:
                copy.execute(f"DELETE FROM {table}")
            copy.execute("VACUUM")
            copy.close()
        return to

    def restored(self, backup: Path, to: Path) -> Database:
        """A backup with the newest copy of the two tables, opened."""
        shutil.copytree(backup, to)
        for path in to.glob("*.db"):
            with sqlite3.connect(path) as copy:
                if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'data_keys'").fetchone():
                    continue
                copy.execute("ATTACH ? AS now", [str(self.folder / path.name)])
                for table in ("data_keys", "subject_keys"):
                    copy.execute(f"INSERT INTO {table} SELECT * FROM now.{table}")
        return Database.open(data_dir=to)


class OnServer(Compliance):
    """The same with both stores on a PostgreSQL server; `url` is its superuser's, who sees behind every wall.

    `fresh` makes another migrated database there: what a restore begins with.
    """

    def __init__(self, folder: Path, url: str, fresh: Callable[[], str]) -> None:
        super().__init__(folder, url=url)
        self.url, self.fresh = url, fresh

    def in_files(self, *needles: str) -> dict[str, int]:
        """How often each needle stands in a dump: every value of every row of every table, the engine's excepted."""
        values = (value for rows in _dumped(self.url).values() for row in rows for value in row.values())
        return found_in((one if isinstance(one, bytes) else str(one).encode() for one in values), needles)

    def backup(self, to: Path) -> Path:
        """A dump by the rule of decision 0012: `pg_dump` without the rows of the two tables of keys."""
        to.mkdir()
        kept = {name: rows for name, rows in _dumped(self.url).items() if name not in _KEYS}
        (to / "dump").write_bytes(pickle.dumps(kept))
        return to

    def restored(self, backup: Path, to: Path) -> Database:
        """A dump with the newest copy of the two tables, in a database of its own."""
        rows = pickle.loads((backup / "dump").read_bytes())
        newest = {name: now for name, now in _dumped(self.url).items() if name in _KEYS}
        url = self.fresh()
        engine = sa.create_engine(url)
        with engine.begin() as tx:
            tx.exec_driver_sql("SET session_replication_role = replica")  # whatever refers to whatever
            for name, of_table in {**rows, **newest}.items():
                for row in of_table:
                    columns, values = ", ".join(row), ", ".join(["%s"] * len(row))
                    statement = f"INSERT INTO {name} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING"
                    tx.exec_driver_sql(statement, tuple(row.values()))
        engine.dispose()
        return Database.open(url=url)


#: What is left out of every backup that is kept.
_KEYS = ("books.data_keys", "books.subject_keys")


def _dumped(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of both schemas, as the superuser reads them: walls are no walls here."""
    engine = sa.create_engine(url)
    with engine.connect() as tx:
        named = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('inbox', 'books') ORDER BY 1, 2"
        tables = [f'{row[0]}."{row[1]}"'.replace('"', "") for row in tx.exec_driver_sql(named)]
        found = {name: [dict(row) for row in tx.exec_driver_sql(f"SELECT * FROM {name}").mappings()] for name in tables}
    engine.dispose()
    return found


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def found_in(contents: Iterator[bytes], needles: tuple[str, ...]) -> dict[str, int]:
    counts = dict.fromkeys(needles, 0)
    for content in contents:
        for needle in needles:
            counts[needle] += content.count(needle.encode()) + content.count(json.dumps(needle)[1:-1].encode())
    return {needle: number for needle, number in counts.items() if number}


def opened(database: Database, needles: tuple[str, ...]) -> set[str]:
    vault, found = Vault(KeyRing.parse(KEY), database), set()
    for column in COLUMNS:
        of = column.table.c
        wanted = {*column.table.primary_key, of.key_id, of[column.column], *(of[name] for name in column.uses)}
        query = sa.select(*wanted).where(column.table.c[column.column].is_not(None))
        for row in database.system("doctor").read(column.store, lambda tx, query=query: tx.execute(query).all()):  # type: ignore[misc]
            try:
                plain = vault.open(row.tenant, column.purpose(row), column.row_id(row), column.sealed(row))
            except Rejected as refusal:
                if refusal.code != "VAULT-FORGOTTEN":
                    raise
                continue
            if plain[:1] == b"\x78":
                plain = zlib.decompress(plain)
            if found_in(iter([plain]), needles):
                found.add(column.name)
    return found


# -- the tests' own shop, and a buyer who is forgotten in it ----------------------------------------------------------

#: On files and on a server: the same promises.
BOTH = pytest.mark.parametrize(
    "shop", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


def shops(request: pytest.FixtureRequest, folder: Path) -> Iterator[Compliance]:
    """For the fixture `shop`: on files, or with `BOTH` on a server, too."""
    urls: list[str] = []

    def fresh() -> str:
        urls.append(server.create(request.getfixturevalue("_migrated_postgresql")))
        return urls[-1]

    if getattr(request, "param", "sqlite") == "sqlite":
        made = Compliance(folder / "data")
    else:
        server = request.getfixturevalue("postgresql")
        made = OnServer(folder / "data", fresh(), fresh)
    yield made
    made.close()
    for url in urls:
        server.drop(url)
    assert made.sevdesk.internal_errors == []


NAME, STREET, MAIL = "Quendolin Xanthippos", "Nirgendwoweg 77", "quendolin@erased.example.org"
NEEDLES = (NAME, "Quendolin", STREET, MAIL)
CUSTOMER = 70_999


def bought(guest: bool = False) -> Callable[[ShopOrder], None]:
    def script(order: ShopOrder) -> None:
        buyer(order, home("Quendolin", "Xanthippos", STREET, "20457", "Hamburg"), guest=guest)
        order.email = MAIL
        if not guest:
            customer = person("Quendolin", "Xanthippos", CUSTOMER)
            assert customer is not None
            customer |= {"email": MAIL, "defaultEmailAddress": {"emailAddress": MAIL}}
            order.customer = customer
        order.add(MUG, 2)
        order.add(BOOK, 1)
        placed(order)

    return script


def number(order_id: str) -> int:
    return int(order_id.rsplit("/", 1)[1])


def heard(shop: Compliance, order_id: str, id: str | None = None) -> None:
    """A webhook about an order, full of its buyer."""
    customer = {"id": CUSTOMER, "email": MAIL, "first_name": "Quendolin", "last_name": "Xanthippos"}
    body = {"id": number(order_id), "email": MAIL, "customer": customer, "billing_address": {"address1": STREET}}
    assert shop.post("orders/updated", body, id=id) == 200


def redact(shop: Compliance, *orders: str, id: str = "redact", **customer: Any) -> None:
    who = customer or {"id": CUSTOMER, "email": MAIL, "phone": None}
    told = {"shop_id": 1, "shop_domain": SHOP, "customer": who, "orders_to_redact": [number(one) for one in orders]}
    assert shop.post("customers/redact", told, id=id) == 200
