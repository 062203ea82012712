"""Ring 3 of the chaos suite, in small: worker processes on one PostgreSQL, killed, stopped, cut off and drained.

S58-S63, S66, S153, B3. The long one is `make prove LINE=machines` (tests/machines_world.py): four workers and the whole
of `serve`, 5,000 orders, the database killed too. Here workers are forked (tests/workers.py), find their orders by the
poll, and the other sides are served by this process, so that a test can hold an answer back. The verdict is the
auditor's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn

from integration.conftest import PostgreSQL, _migrated_postgresql, postgresql, postgresql_server
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import create_accounts_for, go_live, provision
from ladenbuch.cli.demo import PROFILE
from ladenbuch.migrations import HEADS
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import asgi
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.mail import MailSimulator
from ladenbuch.simulators.shopify import Shop, ShopifySimulator, create_app
from ladenbuch.simulators.vies import create_app as vies_app
from ladenbuch.simulators.weather import Weather
from ladenbuch.vault import generate_key
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN
from many_shops import SECRET, Accounts, Relay, Shops, audited, domain, now, token
from workers import Nursery

__all__ = ["_migrated_postgresql", "postgresql", "postgresql_server"]  # fixtures of the integration tests

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
_HELD = "SELECT claimed_by, run_id FROM inbox.order_marks WHERE run_id IS NOT NULL"
_OPEN = "SELECT count(*) FROM inbox.order_marks WHERE run_id IS NOT NULL OR wanted > settled"
_LETTERS = "SELECT count(*) FROM books.letters WHERE state IN ('promised', 'sending')"
_SAID = "SELECT event, count(*) FROM books.audit_entries GROUP BY event ORDER BY event"
_TAKEN = "SELECT name, taken_runs FROM inbox.executors WHERE taken_runs > 0 OR taken_at IS NOT NULL"


class World:
    """The other sides, served by this process, and a database with every tenant provisioned."""

    def __init__(self, shops: Shops, url: str) -> None:
        self.shops, self.url = shops, url
        self._connection = psycopg.connect(url, autocommit=True)
        self.answers = threading.Event()  # while it is clear, an invoice is stored and its answer held back
        self.answers.set()
        self.held = 0
        self.sevdesk, self.mail = Accounts(shops), MailSimulator(clock=now).start()
        self.shopify = ShopifySimulator(
            now,
            client_secret=SECRET,
            shops=[Shop(domain(name), plan="plus", client_id="simulated-app") for name in shops.names],
        )
        end, span = now(), timedelta(hours=6)
        for name in shops.names:
            self.shopify.load(generate(shops.seed, shops.orders, shop=domain(name), mix=shops.mix, end=end, span=span))
        sevdesk = self._slow(asgi(self.sevdesk, Weather(shops.faults, shops.seed)))
        self.ports = {"mail": self.mail.port}
        self._loop = asyncio.new_event_loop()
        self._servers: list[uvicorn.Server] = []
        apps = {"shopify": create_app(self.shopify, clock=now), "sevdesk": sevdesk, "vies": vies_app(clock=now)}
        listeners = {name: socket.create_server(("127.0.0.1", 0), backlog=256) for name in apps}
        self.ports |= {name: listener.getsockname()[1] for name, listener in listeners.items()}
        for name, app in apps.items():
            config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
            self._servers.append(uvicorn.Server(config))
            self._loop.create_task(self._servers[-1]._serve(sockets=[listeners[name]]))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.settings = {
            "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{self.ports['shopify']}/{{shop}}",
            "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{self.ports['sevdesk']}/api/v1",
            "LADENBUCH_VIES_URL": f"http://127.0.0.1:{self.ports['vies']}/taxation_customs/vies/rest-api/check-vat-number",
            "LADENBUCH_SMTP_URLS": f"smtp://127.0.0.1:{self.ports['mail']}",
            "LADENBUCH_MAIL_FROM": "rechnung@seifenladen.example",
            "LADENBUCH_DATABASE_URL": url,
            "LADENBUCH_KEYS": generate_key(),
            "LADENBUCH_WORKERS": "4",
            "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "4",
            "LADENBUCH_AMBIGUOUS_WAIT_SECONDS": "0.5",
            "LADENBUCH_LADDER_SECONDS": "0.2,0.4,0.8",
            "LADENBUCH_POLL_SECONDS": "0.5",
            "LADENBUCH_SEVDESK_RATE": "1000",
        }
        self._provision()

    def _slow(self, front: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def later(message: Any) -> None:
                if not self.answers.is_set() and scope["path"].endswith("/Invoice/Factory/saveInvoice"):
                    self.held += 1
                    while not self.answers.is_set():
                        await asyncio.sleep(0.01)
                await send(message)

            await front(scope, receive, later)

        return app

    def _provision(self) -> None:
        house = Ladenbuch.open(Settings.read(self.settings))
        for name in self.shops.names:
            secrets = {CLIENT_ID: "simulated-app", CLIENT_SECRET: SECRET, SEVDESK_TOKEN: token(name)}
            profile = PROFILE | {"shop_key": name, "shop_name": name}
            provision(house, domain(name), name, profile, now() - timedelta(days=2), secrets)
            for attempt in range(20):  # sevdesk's weather has begun
                try:
                    create_accounts_for(house, name, profile)
                    break
                except Exception:
                    assert attempt < 19
            go_live(house, name)
        house.close()

    def happen(self) -> None:
        """Every event of every order, now."""
        self.shopify.advance(now(), stamp=True)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []

    def holders(self) -> dict[str, list[str]]:
        """Which executor holds which runs."""
        found: dict[str, list[str]] = {}
        for executor, run_id in self.ask(_HELD):
            found.setdefault(executor, []).append(run_id)
        return found

    def writes(self) -> int:
        """How often anything was written at sevdesk, or tried."""
        calls = (account.calls()["by_endpoint"] for account in self.sevdesk.by_token.values())
        return sum(count for one in calls for what, count in one.items() if not what.startswith("GET"))

    def settled(self) -> bool:
        orders = self.shops.tenants * self.shops.orders
        known = self.ask("SELECT count(*) FROM inbox.order_marks WHERE order_id LIKE 'gid:%%'")[0][0]
        return known >= orders and self.ask(_OPEN)[0][0] == 0 and self.ask(_LETTERS)[0][0] == 0

    def cut_off(self, executor: str) -> None:
        """The server ends the connection that holds an executor's lock, as it does when the machine is out of reach."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND"
            " (classid::bigint << 32) | objid::bigint = hashtextextended('ladenbuch engine ' || %s, 0)"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            executor,
        )

    def findings(self) -> list[str]:
        truth, letters = self.shopify.truth()["orders"], self._letters()
        states = {who: account.state() for who, account in self.sevdesk.by_token.items()}
        rows = self.ask(
            "SELECT l.tenant, o.name FROM books.letters l JOIN books.orders o"
            " ON (o.tenant, o.order_id) = (l.tenant, l.order_id) WHERE l.state = 'uncertain'"
        )
        uncertain: dict[str, list[str]] = {}
        for tenant, name in rows:
            uncertain.setdefault(tenant, []).append(name)
        reports, _ = audited(self.shops, truth, states, letters, uncertain)
        pending = "SELECT count(*) FROM engine.workflow_status WHERE status = 'PENDING'"
        found = [one for report in reports.values() for one in report.findings] + self.sevdesk.errors()
        return found + [f"{n} engine rows pending" for (n,) in self.ask(pending) if n]

    def _letters(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = Relay(self.mail).rows()
        return rows

    def close(self) -> None:
        self._connection.close()
        self.answers.set()
        for server in self._servers:
            server.should_exit = True
        time.sleep(0.2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self.mail.stop()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("workers") / "log") as made:
        yield made


@pytest.fixture
def world(
    request: pytest.FixtureRequest, postgresql: PostgreSQL, _migrated_postgresql: str, nursery: Nursery
) -> Iterator[World]:
    url = postgresql.create(_migrated_postgresql)
    made = World(request.param, url.replace("postgresql+psycopg", "postgresql"))
    yield made
    for pid in nursery.pids:
        end(pid, signal.SIGKILL)
    nursery.pids.clear()
    made.close()
    postgresql.drop(url)


def end(pid: int, how: int) -> None:
    for one in (signal.SIGCONT, how):
        try:
            os.kill(pid, one)
        except ProcessLookupError:
            return


def until(condition: Callable[[], Any], seconds: float = 60) -> float:
    """How long it took to become true."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it did not happen"
        time.sleep(0.05)
    return time.monotonic() - begun


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return True


@pytest.mark.parametrize(
    ("world", "kills"),
    [(Shops(2, 2, faults="rain"), 1), pytest.param(Shops(3, 10, faults="rain"), 4, marks=pytest.mark.slow)],
    indirect=["world"],
)
def test_workers_are_killed_and_every_order_is_settled_once(world: World, nursery: Nursery, kills: int) -> None:
    """S59, S63, S66: what a killed worker held is in other hands within 30 s, and nothing is doubled or missing."""
    workers = {name: nursery.start(name, world.settings) for name in ("w1", "w2")}
    world.happen()
    for number in range(kills):
        until(lambda: set(world.holders()) & set(workers) or world.settled())
        held = [name for name in world.holders() if name in workers] or list(workers)
        os.kill(workers.pop(held[0]), signal.SIGKILL)
        if kills > 1:  # else the other one does it alone
            workers[f"w{number + 3}"] = nursery.start(f"w{number + 3}", world.settings)
        assert until(lambda held=held: held[0] not in world.holders()) < 30
    until(world.settled)
    assert world.findings() == []


@pytest.mark.parametrize("world", [Shops(1, 1)], indirect=True)
def test_a_stopped_worker_keeps_its_work_and_a_zombie_writes_nothing(world: World, nursery: Nursery) -> None:
    """S58, B3: stopped with its lock it is only slow; cut off from the database it is replaced, and when it wakes up
    in the middle of its call, it may not write a word."""
    zombie = nursery.start("zombie", world.settings)
    world.answers.clear()
    world.happen()
    until(lambda: world.held)  # the invoice is stored, and the worker does not know it
    os.kill(zombie, signal.SIGSTOP)
    other = nursery.start("other", world.settings)
    time.sleep(4)  # twice as long as silence is suffered
    assert list(world.holders()) == ["zombie"]
    assert world.ask(_TAKEN) == []

    world.cut_off("zombie")
    world.answers.set()
    until(lambda: world.ask(_TAKEN) == [("zombie", 1)])
    until(world.settled)
    written = world.writes(), world.ask(_SAID)
    os.kill(zombie, signal.SIGCONT)
    until(lambda: dict(world.ask("SELECT name, beats FROM inbox.executors"))["zombie"] > 0 and alive(world, "zombie"))
    time.sleep(2)
    assert (world.writes(), world.ask(_SAID)) == written  # neither there nor in our books
    assert world.findings() == []
    os.kill(other, signal.SIGTERM)
    until(lambda: gone(other))
    assert dict(world.ask("SELECT name, ended_at IS NOT NULL FROM inbox.executors")) == {"zombie": False, "other": True}


def alive(world: World, name: str) -> bool:
    query = "SELECT 1 FROM inbox.executors WHERE name = %s AND (taken_at IS NULL OR beaten_at > taken_at)"
    return bool(world.ask(query, name))


@pytest.mark.slow  # in the suite: tests/integration/test_db.py, a store that a newer version has migrated
@pytest.mark.parametrize("world", [Shops(1, 4)], indirect=True)
def test_a_new_version_is_deployed_while_runs_are_in_flight(world: World, nursery: Nursery) -> None:
    """S63: the newer version migrates first; the older one goes on, even starts again, and leaves in order."""
    old = nursery.start("old-1", world.settings, version="0.1.0")
    world.answers.clear()
    world.happen()
    until(lambda: world.held)
    newer = {store: f"{store}_{int(head.rpartition('_')[2]) + 1:04d}" for store, head in HEADS.items()}
    with psycopg.connect(world.url) as tx:  # what a migration of the next version may do: add
        tx.execute("ALTER TABLE books.documents ADD COLUMN added_by_the_next_version text")
        tx.execute("ALTER TABLE inbox.order_marks ADD COLUMN added_by_the_next_version bigint NOT NULL DEFAULT 0")
        tx.execute("CREATE TABLE books.added_by_the_next_version (tenant text PRIMARY KEY)")
        for store, revision in newer.items():
            tx.execute(f"UPDATE {store}.alembic_version SET version_num = %s", (revision,))
    new = nursery.start("new-1", world.settings, version="0.2.0")
    os.kill(old, signal.SIGTERM)  # the orchestrator goes on before the runs have ended
    time.sleep(0.3)
    assert "old-1" in world.holders()
    world.answers.set()
    until(lambda: gone(old))
    assert "old-1" not in world.holders()
    nursery.start("old-2", world.settings, version="0.1.0")  # rolled back, or not yet rolled on
    os.kill(new, signal.SIGTERM)
    until(world.settled)
    until(lambda: gone(new))
    assert world.findings() == []
    assert world.ask(_TAKEN) == []  # nobody died
    rows = world.ask("SELECT name, version, ended_at IS NOT NULL FROM inbox.executors ORDER BY name")
    assert rows == [("new-1", "0.2.0", True), ("old-1", "0.1.0", True), ("old-2", "0.1.0", False)]
