"""The database is full or damaged: nothing half-written, a person hears of it, it goes on by itself (S57)."""

from __future__ import annotations

import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from acceptance.invoice_cases import mixed_rates
from house import Answer, House, life
from ladenbuch import inbox
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store
from ladenbuch.errors import Retryable, UsageError
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import SimRequest, SimResponse
from migrated import migrated

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def every_connection(house: House, store: Store, pragma: str) -> None:
    """Of those that are open, and of those to come."""
    for read in (True, False):
        for tx in house.database._idle[store, read]:
            if not read:
                tx.connection.dbapi_connection.execute(pragma)
    engine = house.database._engines[store]
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute(pragma))
    engine.pool.dispose()


def test_a_full_disk_holds_everything_up_and_loses_nothing(tmp_path: Path) -> None:
    """No page more may be taken; the next order needs some. Then there is space again."""
    house, store = House(tmp_path, START), Store.BOOKS
    web = TestClient(make_app(house.ladenbuch, "worker"), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 1))
    first = house.lived(mixed_rates)
    assert house.verdict(first) == ("documented", None)
    told = [life(number, house.clock.now() + timedelta(seconds=5), mixed_rates) for number in range(2001, 2021)]
    house.shopify.load(told)
    house.clock.advance_to(max(one.events[-1].at for one in told))
    house.shopify.advance(house.clock.now())
    with closing(sqlite3.connect(tmp_path / f"{store}.db")) as raw:
        free = raw.execute("PRAGMA freelist_count").fetchone()[0]
    assert free < 5
    every_connection(house, store, "PRAGMA max_page_count=1")
    turns(house, 6)
    posted = len(house.invoices())
    assert posted < 21, "it was full"
    assert web.get("/healthz").status_code == 200
    assert web.get("/metrics").status_code == 200
    every_connection(house, store, "PRAGMA max_page_count=1000000")
    turns(house, 60)
    assert len(house.invoices()) == 21
    assert {house.verdict(one.order_id) for one in told} == {("documented", None)}
    now = house.clock.now()
    depth = house.database.system("health").read(Store.INBOX, lambda tx: inbox.depth(tx, now))
    assert (depth.waiting, depth.running) == (0, 0)
    house.close()


@contextmanager
def no_room() -> Iterator[None]:
    """The file system takes not one byte more, of anybody in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_s57_a_file_system_without_room_holds_up_and_loses_nothing(tmp_path: Path) -> None:
    """The system itself refuses to write: before a run, and between sevdesk's answer and our note of it."""
    house = House(tmp_path, START)
    told = [life(number, START + timedelta(minutes=5), mixed_rates) for number in (1001, 1002)]
    house.shopify.load(told)
    house.clock.advance_to(max(one.events[-1].at for one in told))
    house.shopify.advance(house.clock.now())
    with no_room():
        with pytest.raises(Retryable) as caught:
            house.settle(told[0].order_id)
        assert caught.value.code == "DB-UNWRITABLE"
        turns(house, 3)
        assert house.invoices() == []
    full = ExitStack()

    def then_full(request: SimRequest, go: Answer) -> SimResponse:
        answer = go(request)
        full.enter_context(no_room())
        return answer

    house.door.once("POST", "/saveInvoice", then_full)
    with full:
        turns(house, 3)
        assert len(house.invoices()) == 1
        assert [house.verdict(one.order_id) for one in told].count(("documented", None)) == 0
    turns(house, 30)
    assert len(house.invoices()) == 2
    assert {house.verdict(one.order_id) for one in told} == {("documented", None)}
    assert house.database.damaged() == []
    house.close()


def turns(house: House, count: int) -> None:
    """Polls and looks, half a minute apart."""
    for _ in range(count):
        for tick in ("poll", "dispatch", "sweep"):
            house.engine.wake(tick)
        house.engine.drain()
        house.clock.advance(30)


def settings(folder: Path) -> Settings:
    return Settings.read({"LADENBUCH_DATA_DIR": str(folder), "LADENBUCH_KEYS": "k1:" + "A" * 43 + "="})


@pytest.mark.parametrize("store", list(Store))
def test_a_damaged_file_starts_nothing_and_says_what_to_do(tmp_path: Path, store: Store) -> None:
    """Flipped bytes in the middle of a page of an index or a table; a sound one starts."""
    folder = migrated(tmp_path)
    Ladenbuch.open(settings(folder), look=5.0).close()
    path = folder / f"{store}.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = bytearray(path.read_bytes())
    chance = random.Random(7)
    for page in range(1, len(body) // 4096):
        for place in range(page * 4096, page * 4096 + 12):  # the head of each page but the first
            body[place] ^= 1 + chance.randrange(255)
    path.write_bytes(body)
    with pytest.raises(UsageError) as caught:
        Ladenbuch.open(settings(folder), look=5.0)
    assert caught.value.code == "DB-CORRUPT"
    assert "restore" in caught.value.message and str(store) in caught.value.message
    database = Database.open(data_dir=folder)
    assert database.damaged() and all(line.startswith(f"{store}: ") for line in database.damaged())
    database.close()


def test_the_look_at_a_large_file_ends(tmp_path: Path) -> None:
    """What could not be looked at in time counts as sound: a start is not held up."""
    database = Database.open(data_dir=migrated(tmp_path))
    with closing(sqlite3.connect(tmp_path / "books.db")) as raw:
        raw.execute("CREATE TABLE large AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000)"
                    " SELECT x, hex(randomblob(20)) AS y FROM n")  # fmt: skip
        raw.execute("CREATE INDEX of_large ON large (y)")
        raw.commit()
    assert database.damaged(0.0) == []
    assert database.damaged() == []
    database.close()
