"""S59, S63, S153: what a dead executor held is taken over while its lock is held; who lives keeps what it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch import books, executors, inbox, outbox
from ladenbuch.db import Database, Sealed, Store
from ladenbuch.engine.dbos import SCHEMA, DbosEngine
from ladenbuch.engine.liveness import Watch
from ladenbuch.engine.lock import AdvisoryLock, locked, names_of_host
from ladenbuch.engine.reaper import Reaper, Taken
from ladenbuch.errors import Retryable, UsageError

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
ORDER = "gid://shopify/Order/1"


class Rows:
    """An engine of which only the identity and the rows matter here."""

    def __init__(self) -> None:
        self.mine: set[str] = set()
        self.forgotten: list[str] = []
        self.lonely = True

    def holds(self, run_id: str) -> bool:
        return run_id in self.mine

    def alone(self) -> bool:
        return self.lonely

    def forget(self, executor_id: str) -> int:
        self.forgotten.append(executor_id)
        return 0


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Process:
    """A reaper with its engine, its lock and its own seconds."""

    def __init__(self, database: Database, url: str, name: str) -> None:
        self.name, self.engine, self.seconds = name, Rows(), Seconds()
        self.database = database
        self.lock = AdvisoryLock(url, name)
        self.lock.acquire()
        self.taken: list[Taken] = []
        self.reaper = Reaper(
            database, self.engine, name, "worker", "0", lambda: NOW, monotonic=self.seconds, taken=self.taken.append
        )  # type: ignore[arg-type]

    def tick(self, seconds: float = 2.0) -> list[Taken]:
        self.seconds.now += seconds
        return self.reaper.tick()

    def lose_lock(self) -> None:
        """What the server does when the connection ends, some moments later."""
        self.lock.release()
        until = time.monotonic() + 30
        while self.database.system("reaper").read(Store.INBOX, lambda tx: locked(tx, [self.name])):
            assert time.monotonic() < until
            time.sleep(0.005)

    def claim(self, order: str = ORDER, tenant: str = "t1") -> str:
        run_id = f"{self.name}:{order[-1]}"
        system = self.database.system("dispatch")
        system.run(Store.INBOX, lambda tx: inbox.want(tx, tenant, order, NOW))
        held = system.run(
            Store.INBOX,
            lambda tx: inbox.claim(tx, tenant, order, run_id=run_id, executor=self.name, now=NOW),
        )
        assert held is not None
        return run_id


@pytest.fixture
def processes(postgresql_database: Database, postgresql_url: str) -> Iterator[Any]:
    made: list[Process] = []

    def make(name: str) -> Process:
        made.append(Process(postgresql_database, postgresql_url, name))
        return made[-1]

    yield make
    for one in made:
        one.lock.release()


def holder(database: Database, order: str = ORDER) -> str | None:
    found = database.tenant("t1").read(Store.INBOX, lambda tx: inbox.holder(tx, "t1", order))
    return None if found is None else found.executor


def test_the_marks_leases_and_letters_of_a_dead_process_are_free_again(processes, postgresql_database):
    database, tenant = postgresql_database, postgresql_database.tenant("t1")
    dead, other = processes("dead"), processes("other")
    dead.tick(), other.tick()
    run_id = dead.claim()
    until = NOW + timedelta(minutes=1)
    tenant.run(Store.BOOKS, lambda tx: books.take_lease(tx, "t1", "finalise", run_id, NOW, until))
    for key in ("waits", "goes"):
        tenant.run(
            Store.BOOKS,
            lambda tx, key=key: outbox.promise(
                tx, "t1", key=key, kind="invoice", order_id=ORDER, document_id=None,
                sealed_payload=Sealed("k", b""), now=NOW,
            ),
        )  # fmt: skip
        tenant.run(Store.BOOKS, lambda tx, key=key: outbox.claim(tx, "t1", key, run_id, NOW, "dead"))
    tenant.run(Store.BOOKS, lambda tx: outbox.sending(tx, "t1", "goes", run_id, NOW))

    dead.lose_lock()  # the server does this when a process dies
    assert other.tick() == []  # the first sight of silence
    assert other.tick(6.0) == []
    assert other.tick(2.0) == [Taken("dead", 1, 1, 0)] == other.taken
    assert other.engine.forgotten == ["dead"]
    assert holder(database) is None
    assert database.system("reaper").read(Store.INBOX, inbox.next_due) == NOW
    assert tenant.run(Store.BOOKS, lambda tx: books.take_lease(tx, "t1", "finalise", "other:1", NOW, until))
    letters = tenant.read(Store.BOOKS, lambda tx: {one.id: one for one in outbox.of_order(tx, "t1", ORDER)})
    assert (letters["waits"].state, letters["waits"].run_id) == ("promised", None)
    assert letters["goes"].state == "uncertain"  # nobody knows, so nobody sends it again
    rows = {row.name: row for row in database.system("reaper").read(Store.INBOX, executors.all)}
    assert rows["dead"].gone and rows["dead"].taken_by == "other" and rows["dead"].taken_runs == 1
    assert not rows["other"].gone
    assert other.tick(30.0) == []  # once


def test_a_process_that_is_merely_slow_keeps_its_work(processes, postgresql_database):
    slow, other = processes("slow"), processes("other")
    slow.tick()
    slow.claim()
    for _ in range(20):
        assert other.tick(10.0) == []
    assert holder(postgresql_database) == "slow"


def test_a_database_restart_takes_no_locks_work_away(processes, postgresql_database):
    """Every lock is gone for a moment, and each process takes its own again."""
    one, other = processes("one"), processes("other")
    one.tick(), other.tick()
    one.engine.mine = {one.claim()}
    one.lose_lock()
    assert other.tick() == []
    assert one.lock.still_held()  # what its engine does every second
    assert other.tick(8.0) == []
    one.lose_lock()
    for _ in range(10):  # it lives without a lock, and says so
        one.tick()
        assert other.tick(6.0) == []
    assert holder(postgresql_database) == "one"


def test_what_could_not_be_seen_is_no_silence(processes, monkeypatch):
    """A looker that was cut off itself begins to watch anew."""
    dead, other = processes("dead"), processes("other")
    dead.tick()
    dead.lose_lock()
    other.tick()
    monkeypatch.setattr(other.reaper._door, "run", broken)
    with pytest.raises(Retryable):
        other.tick(8.0)
    monkeypatch.undo()
    assert other.tick() == []
    assert [taken.executor for taken in other.tick(8.0)] == ["dead"]


def broken(*_: object) -> object:
    raise Retryable("DB-DOWN", "away")


def test_a_process_that_comes_back_under_the_name_is_not_touched(processes, postgresql_database, postgresql_url):
    """Its lock is taken between the look and the taking over: then nothing is taken."""
    dead, other = processes("dead"), processes("other")
    dead.tick(), other.tick()
    dead.claim()
    dead.lose_lock()
    other.tick()
    back = AdvisoryLock(postgresql_url, "dead")
    look = other.reaper._look

    def then_it_is_back(tx: sa.Connection) -> Any:
        found = look(tx)
        back.acquire()
        return found

    other.reaper._look = then_it_is_back
    try:
        assert other.tick(10.0) == []
        assert holder(postgresql_database) == "dead"
        assert other.taken == []
    finally:
        back.release()


def test_two_reapers_do_not_take_the_same_twice(processes, postgresql_database, postgresql_url):
    database = postgresql_database
    dead, reapers = processes("dead"), [processes(f"r{number}") for number in range(4)]
    for number in range(8):
        dead.claim(f"gid://shopify/Order/{number}")
    dead.lose_lock()
    for one in reapers:
        one.tick()
    together = threading.Barrier(len(reapers))

    def reap(one: Process) -> None:
        together.wait()
        one.tick(10.0)

    threads = [threading.Thread(target=reap, args=(one,)) for one in reapers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken.runs for one in reapers for taken in one.taken) == 8
    assert {row.taken_runs for row in database.system("reaper").read(Store.INBOX, executors.all)} == {0, 8}


def test_a_run_that_ended_without_a_word_is_given_up_by_its_own_process(processes, postgresql_database):
    """The database was away when it wanted to say so: the claim is ours, and no run is behind it."""
    one = processes("one")
    one.tick()
    lost, under_way = one.claim(), one.claim("gid://shopify/Order/2")
    one.engine.mine = {under_way}
    one.tick()
    assert holder(postgresql_database) == "one"
    one.tick(8.0)
    assert holder(postgresql_database) is None
    assert holder(postgresql_database, "gid://shopify/Order/2") == "one"
    assert lost != under_way


def test_a_process_without_its_lock_neither_beats_nor_reaps(processes, postgresql_database):
    dead, other = processes("dead"), processes("other")
    dead.tick()
    dead.lose_lock()
    other.engine.lonely = False
    assert other.tick() == other.tick(20.0) == []
    names = {row.name for row in postgresql_database.system("reaper").read(Store.INBOX, executors.all)}
    assert names == {"dead"}


def test_a_version_that_writes_no_row_is_taken_over_too(processes, postgresql_database):
    dead, other = processes("dead"), processes("other")
    dead.claim()
    other.tick()
    dead.lose_lock()
    other.tick()
    assert [taken.runs for taken in other.tick(8.0)] == [1]


def test_names_are_given_by_the_host_and_are_unique(postgresql_url, postgresql_database):
    url, names = postgresql_url, ["host", "host-2", "host-3"]
    first = AdvisoryLock.first_free(url, names)
    second = AdvisoryLock.first_free(url, names)
    pages = AdvisoryLock.first_free(url, names, of="web")
    assert (first[0], second[0], pages[0]) == ("host", "host-2", "host")
    with postgresql_database._engines[Store.INBOX].connect() as tx:
        assert locked(tx, names) == {"host", "host-2"}
    with pytest.raises(UsageError) as refused:
        AdvisoryLock.first_free(url, ["host"])
    assert refused.value.code == "ENGINE-LOCKED"
    for _, lock in (first, second, pages):
        lock.release()
    long = "ladenbuch-worker-production-7d9c5b8f6d-x2x7k.example.internal"
    made = list(zip(range(3), names_of_host(long), strict=False))
    assert len({name for _, name in made}) == 3
    assert all(len(f"{name}:{'0' * 32}") <= 64 for _, name in made)  # what a run id may be


def test_the_engines_rows_of_the_dead_go_and_those_of_the_living_stay(postgresql_url):
    engine = DbosEngine("one", url=postgresql_url)
    go_on = threading.Event()
    engine.register("wait", lambda: go_on.wait(30) and "OK")
    engine.launch()
    other = AdvisoryLock(postgresql_url, "dead")
    tables = sa.create_engine(sa.make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    try:
        engine.start("wait", "r1")
        with tables.begin() as tx:
            tx.exec_driver_sql(f'UPDATE "{SCHEMA}".workflow_status SET executor_id = %s', ("dead",))
        other.acquire()
        assert engine.forget("dead") == 0
        other.release()
        until = time.monotonic() + 30
        while not (gone := engine.forget("dead")):  # the server lets go some moments later
            assert time.monotonic() < until
        assert gone == 1
    finally:
        go_on.set()
        engine.close()
        tables.dispose()


def test_a_name_is_dead_only_after_unbroken_silence():
    seconds = Seconds()
    watch = Watch(seconds, 8.0)
    assert watch.look({"a": 1, "b": 1}) == []
    seconds.now = 7.0
    assert watch.look({"a": 2, "b": 1}) == []  # a beat
    seconds.now = 8.0
    assert watch.look({"a": 2, "b": 1}) == ["b"]
    seconds.now = 14.0
    assert watch.look({}) == []  # its lock was held meanwhile
    seconds.now = 15.0
    assert watch.look({"a": 2}) == []
