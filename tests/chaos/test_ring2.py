"""Ring 2 of the chaos suite: the same lives and weather through the real durable engine, with real threads and deaths.

Time is real and short here: waits are scaled down together (a late commit lands within 0.4 s, so the last look waits
longer than that). A death kills every thread at its next transaction or call; the next engine starts on the same files.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chaos.simulation import KEY, SHOP, START, VIES_PATH, Crash, MortalTransport, Simulation, SocketlessRelays
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.engine.dbos import DbosEngine
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives import generate
from ladenbuch.vault import KeyRing, Vault

SEEDS = int(os.environ.get("LADENBUCH_CHAOS_SEEDS_RING2", "20"))
ORDERS = 20
#: Real seconds per simulated second of weather.
SCALE = 0.1
#: What befalls it besides deaths, for every other seed; how long a claim lives and a stalled thread stands still.
OTHERS = {"stall": 0.0006, "outage": 0.0006}
CLAIM, STALL = 1.0, 2.6


class RealClock:
    """The real clock in the shape the simulation asks for."""

    def __init__(self) -> None:
        self.timers: list[threading.Timer] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds * SCALE, 0.05))


class Locked:
    """A simulator behind one lock, as its served front has it."""

    def __init__(self, simulator: Any) -> None:
        self._simulator, self._lock = simulator, threading.Lock()

    def handle(self, request: SimRequest) -> SimResponse:
        with self._lock:
            answer: SimResponse = self._simulator.handle(request)
            return answer


class EngineSimulation(Simulation):
    """`Simulation` with DBOS and threads instead of one thread and virtual time."""

    def _build(self, folder: Path) -> None:
        self.data = folder
        super()._build(folder)

    def _open(self) -> None:
        if not hasattr(self, "real"):
            self.real = RealClock()
            self.clock = self.real  # type: ignore[assignment]
            end = datetime.now(UTC)
            lives = generate(self.seed, self.orders, shop=SHOP, mix=self.world, end=end, span=timedelta(hours=24))
            state = self.shopify._states[SHOP]
            self.shopify._pending.clear()
            state.orders.clear()
            self.shopify._clock = self.real.now
            self.shopify.load(lives)
            self.sevdesk._clock = self.real.now
            self.sevdesk.reset()
            self.mail._clock = self.real.now
            self.locked = Locked(self.sevdesk)
        routes = [
            type(route)(
                route.prefix, self.locked if route.simulator is self.sevdesk else route.simulator, route.weather
            )
            for route in self.routes
        ]
        transport = MortalTransport(routes, sleep=self.real.sleep, schedule=self._schedule)
        transport.death = self.death
        settings = Settings.read(
            {
                "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
                "LADENBUCH_SEVDESK_URL": "http://sevdesk.test/api/v1",
                "LADENBUCH_VIES_URL": f"http://vies.test{VIES_PATH}",
                "LADENBUCH_KEYS": KEY,
                "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "0.1",
                "LADENBUCH_AMBIGUOUS_WAIT_SECONDS": "0.5",
                "LADENBUCH_POLL_SECONDS": "0.5",
                "LADENBUCH_SEVDESK_RATE": "1000",
                "LADENBUCH_LADDER_SECONDS": "0.05,0.1,0.2,0.4",
                "LADENBUCH_WORKERS": "4",
            }
        )
        lock, ids = threading.Lock(), self.ids

        def new_id() -> str:
            with lock:
                return next(ids)

        self.house = Ladenbuch(
            settings,
            self.database,
            Vault(KeyRing.parse(KEY), self.database),
            httpx2.Client(transport=transport, timeout=10.0),
            clock=self.real.now,
            sleep=self.real.sleep,
            new_id=new_id,
            chance=random.Random(self.seed).random,
            relays=SocketlessRelays(self.mail, self.death),  # type: ignore[arg-type]
            ticks={"dispatch": 0.05, "deliver": 0.05, "sweep": 1.0},
        )

        self.house.__dict__["context"] = replace(
            self.house.context, timing=replace(self.house.context.timing, claim_ttl=CLAIM)
        )

    def _stall(self) -> None:
        """The thread stands still; the others take its order over."""
        self.history.append("stands still")
        time.sleep(STALL)

    def _pause(self) -> None:
        """No thread can suspend the others: that is ring 1's."""

    def _schedule(self, seconds: float, fn: Callable[[], None]) -> None:
        timer = threading.Timer(seconds * SCALE, fn)  # what it calls is locked already
        timer.daemon = True
        timer.start()

    def _live(self) -> None:
        self.engine = None  # type: ignore[assignment]
        self._restart()
        self.death.rate = self.crash_rate
        quiet: float | None = None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.death.dead:
                self._restart()
            try:
                moving = self._step()
            except Crash:
                continue
            if moving:
                quiet = None
                continue
            quiet = quiet or time.monotonic()
            if time.monotonic() - quiet > 1.0:
                break
            time.sleep(0.02)
        self.death.rate = 0.0
        self.engine.close()

    def _step(self) -> bool:
        stepped = self.shopify.step(stamp=True)
        now = self.real.now()
        for delivery in self.shopify.due_deliveries(now):
            self._deliver(delivery)
        if not self.shopify.pending() and not self._idle():
            time.sleep(0.02)
            return True
        return stepped or self.shopify.pending() > 0

    def _restart(self) -> None:
        rate, self.death.rate = self.death.rate, 0.0
        if self.engine is not None:
            self.engine.close()
            self.history.append("died")
        self.death.dead = False
        self._open()
        self.engine = DbosEngine("ring2", data_dir=self.data, workers=4)  # type: ignore[assignment]
        self.house.work(self.engine)
        self.death.rate = rate


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# A death is an exception in a thread: that is the point.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_real_engine_under_the_same_weather(seed, tmp_path):
    """B3 through DBOS: duplicates 0, missing 0, wrong sums 0, whatever dies."""
    others = OTHERS if seed % 2 else {}
    simulation = EngineSimulation(
        seed, ORDERS, crash_rate=0.002, folder=tmp_path, retry_scale=0.0005, begins=START, others=others
    )
    report = simulation.run()
    assert report.findings == [], f"seed {seed}: {report.findings[:5]}"
