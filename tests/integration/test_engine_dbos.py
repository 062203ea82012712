"""The engine of production on both databases: one per identity, recovery after a kill, a database that vanishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch.engine.dbos import SCHEMA, DbosEngine
from ladenbuch.engine.port import CRASHED, Engine
from ladenbuch.errors import Rejected, Retryable, UsageError


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Where an engine keeps its tables; nothing is there yet."""
    if request.param == "sqlite":
        yield {"data_dir": tmp_path / "data"}
    else:
        server = request.getfixturevalue("postgresql")
        url = server.create()
        yield {"url": url}
        server.drop(url)


@pytest.fixture
def make(where: dict[str, Any]) -> Iterator[Callable[..., DbosEngine]]:
    made: list[DbosEngine] = []

    def one(executor: str = "main", **more: Any) -> DbosEngine:
        made.append(DbosEngine(executor, **where, **more))
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def tables(where: dict[str, Any]) -> sa.Engine:
    if "url" in where:
        return sa.create_engine(sa.make_url(where["url"]).set(drivername="postgresql+psycopg"))
    return sa.create_engine(f"sqlite:///{where['data_dir']}/engine.db")


def pull_away(where: dict[str, Any], *, all_files: bool = True) -> None:
    """What an operator, a full disk's cleaner or a fat finger does to the engine's database."""
    if "url" in where:
        with tables(where).begin() as connection:
            connection.exec_driver_sql(f'DROP SCHEMA "{SCHEMA}" CASCADE')
    else:
        for suffix in ("", "-wal", "-shm") if all_files else ("",):
            (where["data_dir"] / f"engine.db{suffix}").unlink(missing_ok=True)


def test_runs_come_to_their_end_once_and_on_at_most_so_many_threads(make: Callable[..., DbosEngine]) -> None:
    engine: Engine = make(workers=3)
    seen: list[str] = []
    inside, most, guard = 0, 0, threading.Lock()
    meeting = threading.Barrier(3)

    def work(order: str) -> str:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        if int(order) < 3:
            meeting.wait(60)  # all three threads are in use, however slowly runs are started
        time.sleep(0.005)
        with guard:
            inside -= 1
            seen.append(order)
        return "OK"

    engine.register("work", work)
    engine.launch()
    for number in range(40):
        engine.start("work", f"r{number}", str(number))
        engine.start("work", f"r{number}", "again")
    until(lambda: engine.running() == 0)
    engine.start("work", "r7", "after its end")
    until(lambda: engine.running() == 0)
    assert sorted(seen, key=int) == [str(number) for number in range(40)]
    assert most == 3


def test_s63_the_server_ends_a_transaction_of_the_engine_that_stands_still(
    make: Callable[..., DbosEngine], where: dict[str, Any]
) -> None:
    engine = make()
    engine.launch()
    if "url" not in where:
        pytest.skip("a file has no server; its locks end with the process")
    assert engine._engine is not None
    with engine._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "20s"


def test_the_tables_hold_ids_and_codes_as_json_and_no_exception(
    make: Callable[..., DbosEngine], where: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    engine = make()
    buyer = "".join(["Erika ", "Muster", "mann"])  # not a literal: tracebacks quote the source line

    def refuse(tenant: str, order: str) -> str:
        raise Rejected("TAX-RATE", buyer)

    def break_(tenant: str, order: str) -> str:
        raise ValueError(buyer)

    engine.register("refuse", refuse)
    engine.register("break", break_)
    engine.launch()
    engine.start("refuse", "r1", "t1", "gid://shopify/Order/1")
    engine.start("break", "r2", "t1", "gid://shopify/Order/2")
    until(lambda: engine.running() == 0)
    prefix = f'"{SCHEMA}".' if "url" in where else ""
    told: dict[str, tuple[str, str, str | None]] = {}

    def all_ended() -> bool:
        with tables(where).connect() as connection:
            for row in connection.execute(sa.text(f"SELECT * FROM {prefix}workflow_status")).mappings():
                told[row["workflow_uuid"]] = (row["status"], repr(dict(row)), row["error"])
        return {status for status, _, _ in told.values()} == {"SUCCESS"}

    until(all_ended)
    assert set(told) == {"r1", "r2"}
    assert all(error is None for _, _, error in told.values())
    with tables(where).connect() as connection:
        names = sa.inspect(connection).get_table_names(schema=SCHEMA if "url" in where else None)
        everything = "".join(repr(connection.execute(sa.text(f"SELECT * FROM {prefix}{name}")).all()) for name in names)
    assert "Order/1" in everything
    assert "TAX-RATE" in everything
    assert CRASHED in everything
    assert buyer not in everything + caplog.text
    assert "gASV" not in everything  # how a pickle begins


def test_a_second_process_under_the_same_identity_is_refused_until_the_first_is_dead(
    make: Callable[..., DbosEngine], where: dict[str, Any], tmp_path: Path
) -> None:
    first = child(where, tmp_path, "started")
    try:
        second = make()
        with pytest.raises(UsageError) as refused:
            second.launch()
        assert refused.value.code == "ENGINE-LOCKED"
        assert first.poll() is None
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    # The server notices a killed client within moments, the kernel at once.
    third = make()
    third.register("block", lambda *_: "OK")
    until(lambda: launched(third))


def launched(engine: DbosEngine) -> bool:
    try:
        engine.launch()
    except UsageError:
        return False
    return True


def test_a_run_of_a_killed_process_is_run_again_by_its_successor(
    make: Callable[..., DbosEngine], where: dict[str, Any], tmp_path: Path
) -> None:
    first = child(where, tmp_path, "started")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    successor = make()
    recovered: list[tuple[str, ...]] = []

    def block(*args: str) -> str:
        recovered.append(args)
        return "OK"

    successor.register("block", block)
    until(lambda: launched(successor))
    until(lambda: bool(recovered))
    assert recovered == [("t1", "gid://shopify/Order/1")]


CHILD = """
import json, sys, time
from pathlib import Path
from ladenbuch.engine.dbos import DbosEngine

where, ready = json.loads(sys.argv[1]), Path(sys.argv[2])
if "data_dir" in where:
    where["data_dir"] = Path(where["data_dir"])

def block(tenant, order):
    ready.write_text(order)
    time.sleep(600)
    return "OK"

engine = DbosEngine("main", **where)
engine.register("block", block)
engine.launch()
engine.start("block", "r1", "t1", "gid://shopify/Order/1")
time.sleep(600)
"""


def child(where: dict[str, Any], tmp_path: Path, name: str) -> subprocess.Popen[bytes]:
    """A process with an engine in the middle of a run."""
    import json

    ready = tmp_path / name
    plain = {key: str(value) for key, value in where.items()}
    process = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(plain), str(ready)])
    until(lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None
    return process


def test_a_database_deleted_under_load_costs_no_run(make: Callable[..., DbosEngine], where: dict[str, Any]) -> None:
    drops = {20, 45, 70, 95}
    engine = make(workers=4)
    seen: list[str] = []
    guard = threading.Lock()

    def work(order: str) -> str:
        time.sleep(0.005)
        with guard:
            seen.append(order)
        return "OK"

    engine.register("work", work)
    engine.launch()
    wanted = [str(number) for number in range(120)]
    for order in wanted:
        if int(order) in drops:
            pull_away(where, all_files=int(order) % 2 == 0)
        # As the dispatcher does it: a mark whose run could not be started stays due and gets a fresh run id.
        for attempt in range(50):
            try:
                engine.start("work", f"r{order}-{attempt}", order)
                break
            except Retryable:
                time.sleep(0.1)
    until(lambda: engine.running() == 0)
    assert sorted(set(seen), key=int) == wanted
    engine.start("work", "afterwards", "120")
    until(lambda: "120" in seen)


def test_a_database_that_is_garbage_is_replaced_at_launch(tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_bytes(b"this is not a database" * 500)
    engine = DbosEngine("main", data_dir=tmp_path)
    seen: list[str] = []
    engine.register("work", lambda order: seen.append(order) or "OK")
    engine.launch()
    try:
        engine.start("work", "r1", "1")
        until(lambda: seen == ["1"])
    finally:
        engine.close()


def test_ticks_go_on_after_an_exception_and_never_overlap(make: Callable[..., DbosEngine]) -> None:
    engine = make()
    inside, overlaps, calls = 0, 0, 0

    def tick() -> None:
        nonlocal inside, overlaps, calls
        inside += 1
        overlaps += inside > 1
        time.sleep(0.02)
        inside -= 1
        calls += 1
        raise ValueError("a tick failed")

    slept: list[int] = []
    engine.every("tick", 0.001, tick)
    engine.every("sleeper", 3600, lambda: slept.append(1))
    engine.launch()
    until(lambda: calls >= 5 and slept == [1])
    for _ in range(20):
        engine.wake("tick")
    engine.wake("sleeper")
    engine.wake("nobody")
    until(lambda: len(slept) == 2)
    engine.close()
    after = calls
    time.sleep(0.1)
    assert calls == after
    assert overlaps == 0


def test_ended_runs_are_forgotten_and_running_ones_are_not(
    make: Callable[..., DbosEngine], where: dict[str, Any]
) -> None:
    engine = make(keep_ended_seconds=-60)
    go_on = threading.Event()
    engine.register("quick", lambda: "OK")
    engine.register("slow", lambda: go_on.wait(60) and "OK")
    engine.launch()
    engine.start("slow", "r-slow")
    engine.start("quick", "r-quick")
    prefix = f'"{SCHEMA}".' if "url" in where else ""

    def left() -> set[str]:
        engine._prune()
        with tables(where).connect() as connection:
            rows = connection.execute(sa.text(f"SELECT workflow_uuid FROM {prefix}workflow_status"))
            return {row[0] for row in rows}

    until(lambda: left() == {"r-slow"})
    go_on.set()
    until(lambda: left() == set())


def test_nothing_can_be_started_before_launch_or_registered_after_it(make: Callable[..., DbosEngine]) -> None:
    engine = make()
    engine.register("work", lambda: "OK")
    with pytest.raises(Retryable):
        engine.start("work", "r1")
    engine.launch()
    with pytest.raises(RuntimeError):
        engine.register("late", lambda: "OK")
    with pytest.raises(KeyError):
        engine.start("nobody", "r1")
