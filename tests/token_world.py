"""A day of many tenants whose tokens live an hour, asked for by several processes at once; answers get lost.

    python tests/token_world.py --tenants 1000 --hours 24 --lost 0.05 --processes 4 --seed 1

Each process has its own stores, vault and token door on one database, and threads of its own; virtual time passes
between the minutes. Every token that is handed out is looked up in the simulated shop, now and when the call made with
it would end. One JSON object of figures on standard output; exit 1 when anything was found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from ladenbuch import audit, grants, tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.engine.inline import VirtualClock
from ladenbuch.errors import LadenbuchError, Retryable
from ladenbuch.mail.transport import Relays
from ladenbuch.shopify.token_endpoint import App, TokenEndpoint
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.tokens import Tokens

SECRET = "a-secret-of-nobody"
APP = App("app", (SECRET,))
KEY = "k1:" + "A" * 43 + "="
#: A call made with a token takes so long at most; the token must outlive it.
CALL = timedelta(seconds=10)


class Wire:
    """To the shops, counting what is asked and how much of it at the same moment."""

    def __init__(self, shops: ShopifySimulator, figures: Counter[str]) -> None:
        self._shops = shops
        self._figures = figures
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def handle(self, request: SimRequest) -> SimResponse:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if b"refresh_token" in request.body:
                self._figures["refreshes asked for"] += 1
        try:
            time.sleep(0.0005)  # long enough for others to come
            answer = self._shops.handle(request)
        finally:
            with self._lock:
                self._now -= 1
        if answer.status == 0:
            with self._lock:
                self._figures["refresh answers lost"] += 1
        return answer


class World:
    """`count` tenants in as many shops; `processes` connectors on the database that `open_database` opens."""

    def __init__(
        self, open_database: Callable[[], Database], *, count: int, processes: int, lost: float, seed: int
    ) -> None:
        self.clock = VirtualClock(datetime.fromisoformat("2026-11-02T08:00:00+00:00"))
        self.names = [f"t{number:04}" for number in range(count)]
        shops = [Shop(_shop(name), client_id="app") for name in self.names]
        self.shops = ShopifySimulator(self.clock.now, client_secret=SECRET, shops=shops, seed=seed)
        self.figures: Counter[str] = Counter()
        self.wire = Wire(self.shops, self.figures)
        self.random = random.Random(f"tokens/{seed}")
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self.databases = [open_database() for _ in range(processes)]
        self.doors = [self._process(f"p{number}", database) for number, database in enumerate(self.databases)]
        self.waiting: dict[str, int] = {}
        self.longest_wait = 0
        self._install()
        self.shops.lose_grants(share=lost)

    def _process(self, name: str, database: Database) -> Tokens:
        def none(tenant: str) -> Any:
            raise AssertionError(f"nobody calls for {tenant} here")

        ctx = Context(
            database=database,
            vault=Vault(KeyRing.parse(KEY), database),
            shopify=none,
            sevdesk=none,
            relays=Relays(["smtp://127.0.0.1:25"]),
            clock=self.clock.now,
            sleep=lambda seconds: time.sleep(seconds / 25),  # real, so that others get on; virtual time stands still
            new_id=lambda: f"{next(self._ids):x}",
            chance=lambda: 0.5,
            executor=name,
        )
        http = httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.wire)]))
        return Tokens(ctx, TokenEndpoint("http://shopify.test/{shop}", http, self.clock.now), APP)

    def _install(self) -> None:
        """Every shop was connected at another moment of the hour before."""
        start = self.clock.now()
        door = self.doors[0]
        for number, name in enumerate(self.names):
            shop = _shop(name)
            code = {"client_id": "app", "redirect_uri": "https://a.example/b", "state": "s"}
            path = f"/{shop}/admin/oauth/authorize"
            location = self.shops.handle(SimRequest("GET", path, list(code.items()), {}, b"")).headers["location"]
            pair = door.endpoint.redeem(APP, shop, httpx2.URL(location).params["code"])

            def write(tx: Transaction, name: str = name, shop: str = shop, pair: Any = pair) -> None:
                tenants.add(tx, id=name, shop=shop, cut_off=start, now=start)
                door.store(tx, name, shop, "authorization_code", pair, self.clock.now())

            self.databases[0].system("operator").run(Store.BOOKS, write)
            if number % max(1, len(self.names) // 55) == 0:
                self.clock.advance(60)

    # -- a minute --------------------------------------------------------------------------------------------------

    def minute(self, pool: ThreadPoolExecutor, every: int) -> None:
        """Whoever has something to ask asks, some from several processes at once; then a minute passes.

        One tenant in ten asks every minute, one in twenty twice a day, the others every `every` minutes.
        """
        jobs = []
        for number, name in enumerate(self.names):
            odds = 1.0 if number % 10 == 0 else 1 / 720 if number % 20 == 1 else 1 / every
            if name in self.waiting or self.random.random() < odds:
                times = self.random.choice((1, 1, 1, 2, 3))
                jobs += [(name, self.random.choice(self.doors)) for _ in range(times)]
        self.random.shuffle(jobs)
        came_back = set()
        for name, later in pool.map(lambda job: self._call(*job), jobs):
            if later:
                came_back.add(name)
        for name in {name for name, _ in jobs}:
            self.waiting[name] = self.waiting.get(name, 0) + 1 if name in came_back else 0
            self.longest_wait = max(self.longest_wait, self.waiting[name])
            if not self.waiting[name]:
                self.waiting.pop(name)
        self.clock.advance(60)

    def _call(self, name: str, door: Tokens) -> tuple[str, bool]:
        """One call to the shop; whether it has to come back in a minute."""
        shop, now = _shop(name), self.clock.now()
        try:
            token = door.access_token(name, shop)
        except Retryable:
            self._count("calls put off")
            return name, True
        except LadenbuchError as error:
            self._count(f"refused: {error.code}")
            return name, False
        self._count("calls")
        if self.shops._grants.owner(token, now) != shop:
            self._count("calls with an expired token")
        elif self.shops._grants.owner(token, now + CALL) != shop:
            self._count("tokens that died during their call")
        return name, False

    def _count(self, what: str) -> None:
        with self._lock:
            self.figures[what] += 1

    # -- afterwards ------------------------------------------------------------------------------------------------

    def findings(self) -> Iterator[str]:
        """What must not be: lost tenants, broken chains, tokens without their audit row, tenants that stay away."""
        self.shops.lose_grants()
        self.clock.advance(3600)
        stored = 0
        for name in self.names:
            shop, door = _shop(name), self.databases[-1].tenant(name)
            try:
                token = self.doors[-1].access_token(name, shop)
            except LadenbuchError as error:
                yield f"{name} is lost: {error.code}"
                continue
            if self.shops._grants.owner(token, self.clock.now()) != shop:
                yield f"{name} got a token of nobody"
            grant = door.read(Store.BOOKS, lambda tx, name=name: grants.get(tx, name))  # type: ignore[misc]
            if grant is None or grant.needs_reconnect is not None:
                yield f"{name} is marked to be connected again"
            if door.read(Store.BOOKS, lambda tx, name=name: audit.verify(tx, name)) is not None:  # type: ignore[misc]
                yield f"the audit chain of {name} is broken"
            said = door.read(Store.BOOKS, lambda tx, name=name: audit.entries(tx, name, limit=10_000))  # type: ignore[misc]
            stored += sum(entry.event == "ACCESS_TOKEN_STORED" for entry in said)
        self.figures["tokens stored, each with its audit row"] = stored
        answered = self.figures["refreshes asked for"] - self.figures["refresh answers lost"] + len(self.names)
        if stored > answered:
            yield f"{stored} tokens stored, {answered} answered"
        for what in ("calls with an expired token", "tokens that died during their call"):
            if self.figures[what]:
                yield f"{self.figures[what]} {what}"
        yield from (what for what in self.figures if what.startswith("refused: "))

    def close(self) -> None:
        for database in self.databases:
            database.close()


def _shop(name: str) -> str:
    return f"{name}.myshopify.com"


@contextmanager
def files() -> Iterator[Callable[[], Database]]:
    """SQLite in a folder of its own, migrated, without waiting for the disk: no power fails here."""
    with tempfile.TemporaryDirectory(prefix="ladenbuch-tokens-") as folder:

        def opened() -> Database:
            database = Database.open(data_dir=Path(folder))
            for engine in database._engines.values():
                sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
            database.migrate()
            return database

        yield opened


def run(
    open_database: Callable[[], Database], *, count: int, hours: float, lost: float, processes: int, seed: int,
    threads: int = 8, every: int = 15,
) -> tuple[dict[str, int], list[str]]:  # fmt: skip
    """Let the hours pass; the figures and what was found."""
    world = World(open_database, count=count, processes=processes, lost=lost, seed=seed)
    try:
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(int(hours * 60)):
                world.minute(pool, every)
        found = list(world.findings())
    finally:
        world.close()
    names = (
        "calls", "calls with an expired token", "tokens that died during their call", "calls put off",
        "refreshes asked for", "refresh answers lost", "tokens stored, each with its audit row",
    )  # fmt: skip
    figures = {"tenants": count, "virtual hours": int(hours), "processes": processes, "threads": threads}
    figures |= {name: world.figures[name] for name in names}
    figures |= {"grants at once, most": world.wire.most, "longest wait of a tenant, minutes": world.longest_wait}
    return figures | {"tenants lost": sum("lost" in one or "marked" in one for one in found)}, found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--lost", type=float, default=0.05)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="an empty PostgreSQL database instead of SQLite")
    given = parser.parse_args()
    numbers = {"count": given.tenants, "hours": given.hours, "lost": given.lost}
    numbers |= {"processes": given.processes, "seed": given.seed}
    if given.url:

        def opened() -> Database:
            database = Database.open(url=given.url)
            database.migrate()
            return database

        figures, found = run(opened, **numbers)
    else:
        with files() as opened:
            figures, found = run(opened, **numbers)
    sys.stdout.write(json.dumps({**figures, "findings": found}) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
