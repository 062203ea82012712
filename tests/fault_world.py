"""S38: what a network does to a call, times a thousand events, and nothing is lost.

    python tests/fault_world.py [SEED] [ORDERS]

A shop's hours as in ring 1, in fair weather and without deaths, where every few exchanges of each side meet the next
fault of the matrix: our calls to Shopify, our calls to sevdesk, Shopify's deliveries to us. A call that fails on the
way there was not done; one whose answer breaks was. What httpx raises for each is shown on real sockets in
tests/integration/test_faults.py. Prints figures and `findings` as JSON; judged by the independent auditor.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx2
import sqlalchemy as sa

from chaos.simulation import MortalTransport, Simulation
from ladenbuch.db import Store
from ladenbuch.inbox.deliveries import events
from ladenbuch.shopify.webhooks import Event
from ladenbuch.simulators.auditor import AuditReport

#: Name, whether the other side has done it, and what is raised; None: a body that breaks off, as a whole answer.
FAULTS: tuple[tuple[str, bool, type[httpx2.TransportError] | None], ...] = (
    ("DNS", False, httpx2.ConnectError),
    ("connect", False, httpx2.ConnectTimeout),
    ("TLS", False, httpx2.ConnectError),
    ("reset mid-body", True, httpx2.ReadError),
    ("slow-loris", True, httpx2.ReadTimeout),
    ("truncated JSON", True, None),
)
SIDES = ("to Shopify", "to sevdesk", "from Shopify")
#: One of so many exchanges of a side goes wrong, by chance: were it each seventh, what takes seven calls never ends.
#: And where a few orders are to meet every cell.
ONE_OF = {"to Shopify": 20, "to sevdesk": 20, "from Shopify": 7}
OFTEN = {"to Shopify": 5, "to sevdesk": 7, "from Shopify": 3}


@dataclass
class Matrix:
    """Which fault is next on each side, once it has `begun`; `met` counts the cells."""

    begun: bool = False
    one_of: dict[str, int] = field(default_factory=lambda: ONE_OF)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    _chance: random.Random = field(default_factory=lambda: random.Random(38))
    _faults: dict[str, Iterator[tuple[str, bool, type[httpx2.TransportError] | None]]] = field(
        default_factory=lambda: {side: itertools.cycle(FAULTS) for side in SIDES}
    )

    def next(self, side: str) -> tuple[str, bool, type[httpx2.TransportError] | None] | None:
        if not self.begun or self._chance.random() * self.one_of[side] >= 1:
            return None
        fault = next(self._faults[side])
        self.met[side, fault[0]] += 1
        return fault


class Broken(MortalTransport):
    """Calls that meet the matrix."""

    matrix: Matrix

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sides = {"shopify.test": "to Shopify", "sevdesk.test": "to sevdesk"}
        fault = self.matrix.next(sides[request.url.host]) if request.url.host in sides else None
        if fault is None:
            return super().handle_request(request)
        name, done, error = fault
        answer = super().handle_request(request) if done else None
        if name in ("connect", "slow-loris"):
            self._sleep(10.0)
        if error is not None:
            raise error(f"simulated: {name}", request=request)
        assert answer is not None
        body = answer.read()
        return httpx2.Response(answer.status_code, headers={"content-type": "application/json"}, request=request,
                               content=body[: len(body) // 2])  # fmt: skip


@dataclass
class Faulty(Simulation):
    """A history under the matrix. `events`: those Shopify tried to deliver, by their ids."""

    matrix: Matrix = field(default_factory=Matrix)
    events: set[str] = field(default_factory=set)

    def _open(self) -> None:
        super()._open()
        transport = Broken(self.routes, sleep=self.clock.sleep, schedule=self._schedule)
        transport.death, transport.matrix = self.death, self.matrix
        client = self.house._given_http
        assert client is not None
        client._transport = transport

    def _live(self) -> None:
        self.matrix.begun = True
        super()._live()

    def _deliver(self, delivery: Any) -> None:
        """The way in: nothing arrives, half of it does, or all of it and Shopify does not hear the answer."""
        fault, report = self.matrix.next("from Shopify"), self.shopify.report
        self.events.add(Event.from_http(dict(delivery.headers), delivery.body).webhook_id)
        name, done, _ = fault or ("", True, None)
        if name == "truncated JSON":
            super()._deliver(replace(delivery, body=delivery.body[: len(delivery.body) // 2]))
        elif fault is None:
            super()._deliver(delivery)
        else:
            if done:
                self.shopify.report = lambda *said: None  # type: ignore[method-assign]
                super()._deliver(delivery)
                self.shopify.report = report  # type: ignore[method-assign]
            report(delivery.id, None, self.clock.now())

    def _audit(self) -> AuditReport:
        """The auditor's report, and what of the inbox is missing or stands there that was never sent."""
        report = super()._audit()
        rows = sa.select(events.c.webhook_id)
        kept = self.database.tenant("chaos").read(Store.INBOX, lambda tx: set(tx.execute(rows).scalars()))
        report.findings += [f"event {one} is not in the inbox" for one in sorted(self.events - kept)]
        report.findings += [f"event {one} was never sent" for one in sorted(kept - self.events)]
        report.findings += [
            f"never happened: {side}, {name}"
            for side in SIDES
            for name, *_ in FAULTS
            if not self.matrix.met[side, name]
        ]
        return report


def history(seed: int, orders: int, one_of: dict[str, int] = ONE_OF) -> Faulty:
    """A history under the matrix, lived to its end."""
    lived = Faulty(seed, orders, faults="calm", crash_rate=0.0, others={}, span=timedelta(hours=1))
    lived.matrix.one_of = one_of
    lived.run()
    return lived


def main(arguments: list[str]) -> int:
    seed, orders = (int(one) for one in (arguments + ["8", "300"][len(arguments) :])[:2])
    logging.disable(logging.CRITICAL)
    lived = history(seed, orders)
    report = lived.report
    assert report is not None
    figures = {
        "seed": seed, "orders": orders, "events": len(lived.events), "documented": report.documented,
        **{f"{side}: {name}": lived.matrix.met[side, name] for side in SIDES for name, *_ in FAULTS},
        "duplicates": report.duplicates, "missing": report.missing, "cent_deviation": report.cent_deviation,
    }  # fmt: skip
    print(json.dumps({**figures, "findings": report.findings}))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
