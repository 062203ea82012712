"""Twenty runs at once: one writer reads and takes credit-note numbers; a refused token is not asked on (S58, S101)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx2

from ladenbuch import tenants
from ladenbuch.breaker import LIMITS, Breaker
from ladenbuch.circuits import SharedCircuits
from ladenbuch.db import Database, Store
from ladenbuch.errors import LadenbuchError, Retryable
from ladenbuch.sevdesk.calls import Caller
from ladenbuch.workflows.context import Timing
from ladenbuch.workflows.correcting import NUMBER
from ladenbuch.workflows.run import Run, with_lease

RUNS = 20


def now() -> datetime:
    return datetime.now(UTC)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Twenty threads that begin together; what each returned."""
    gate = threading.Barrier(RUNS, timeout=30)

    def one(number: int) -> Any:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(RUNS) as pool:
        return list(pool.map(one, range(RUNS)))


def test_s58_twenty_runs_take_twenty_numbers_without_a_gap_and_never_two_at_once(database: Database) -> None:
    """sevdesk gives the next number and does not keep it for whoever asked: who reads it must save before the next."""
    ctx: Any = SimpleNamespace(
        door=database.tenant, clock=now, sleep=lambda seconds: time.sleep(seconds / 50), timing=Timing(),
        until=lambda seconds: now() + timedelta(seconds=seconds),
    )  # fmt: skip
    database.system("operator").run(
        Store.BOOKS, lambda tx: tenants.add(tx, id="t1", shop="a.myshopify.com", cut_off=now(), now=now())
    )
    taken: list[int] = []
    inside: list[int] = []

    def take() -> int:
        inside.append(1)
        number = max(taken, default=1000) + 1
        time.sleep(0.002)
        taken.append(number)
        inside.append(-1)
        return number

    def settle(number: int) -> int:
        for _ in range(1000):
            try:
                return with_lease(Run(ctx, "t1", f"o{number}", f"main:{number}"), NUMBER, take)
            except Retryable as busy:
                if busy.code != "LEASE-BUSY":
                    raise
        raise AssertionError("never got its turn")

    assert sorted(at_once(settle)) == list(range(1001, 1001 + RUNS))
    assert taken == sorted(taken) and inside == [1, -1] * RUNS


def test_s101_a_refused_token_is_asked_no_more_than_the_breaker_allows(database: Database) -> None:
    """Twenty runs, each of which would call fifty times: those under way when it opens are the last."""
    asked: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return httpx2.Response(401)

    http = httpx2.Client(transport=httpx2.MockTransport(refuse))
    start = now()  # it stands still: no pause ends, nobody probes
    shared = [
        Breaker("sevdesk", lambda: start, SharedCircuits.of_token(database, "k1", lambda: start)) for _ in range(2)
    ]

    def run(number: int) -> list[str]:
        caller = Caller(
            "https://x.invalid", lambda: "t", http, clock=lambda: start, sleep=lambda seconds: None,
            breaker=lambda token: shared[number % 2],
        )  # fmt: skip
        codes = []
        for _ in range(50):
            try:
                caller.json("GET", "/Thing", "/Thing")
            except LadenbuchError as error:
                codes.append(error.code)
        return codes

    codes = [code for told in at_once(run) for code in told]
    assert set(codes) == {"SEVDESK-TOKEN", "SEVDESK-BREAKER"}
    # A second process reads the open circuit every other second; the clock stands still, so each has its own three.
    assert len(asked) == codes.count("SEVDESK-TOKEN") <= 2 * (LIMITS["refused"] + RUNS // 2)
