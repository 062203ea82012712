"""A shop whose webhooks fall silent: 500 orders while nothing is told, and what is known of them meanwhile and after.

    python tests/silence_world.py                 # subscriptions deleted and every delivery lost for two hours
    python tests/silence_world.py --blind         # and the shop does not answer either
    python tests/silence_world.py --away          # our receiver is down: Shopify repeats for hours (S90)
    python tests/silence_world.py --no-webhooks   # poll mode: a connector nobody can reach, a whole day

One thread, virtual time, the connector as it runs, judged by the auditor, which reads the shop's truth and sevdesk's
state alone. One JSON object on standard output; exit 1 when something is not as promised.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import sqlalchemy as sa

from chaos.simulation import SHOP, Simulation
from ladenbuch import alarms, books, inbox
from ladenbuch.db import Store, from_micros
from ladenbuch.simulators.http import Route, SimRequest, SimResponse

TENANT = "chaos"
#: What is promised: everything settled so long after the silence, the alarm so soon after its cause.
CAUGHT_UP, ALARMED = timedelta(minutes=10), timedelta(minutes=2)


class Curtain:
    """Shopify, that may not answer for a while."""

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator
        self.drawn = False

    def handle(self, request: SimRequest) -> SimResponse:
        return SimResponse(503, {}, b"") if self.drawn else self._simulator.handle(request)


@dataclass
class Silence(Simulation):
    """A history in which webhooks are lost from `dark[0]` to `dark[1]` after its start; None: never.

    `webhooks` False: nobody knows our address. `skew`: how far our clock is ahead of the shop's. `lag`: how long a
    change is unknown to the shop's own index. `blind`: the shop answers nothing while it is dark.
    `away`: deliveries are not lost but not taken, so that Shopify repeats them.
    """

    dark: tuple[timedelta, timedelta] | None = None
    webhooks: bool = True
    blind: bool = False
    away: bool = False
    skew: timedelta = timedelta(0)
    lag: timedelta = timedelta(0)
    raised: dict[str, datetime] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    def _build(self, folder: Path) -> None:
        super()._build(folder)
        self.shopify.set_subscriptions({})
        self.shopify._clock = lambda: self.clock.now() - self.skew
        self.shopify.set_lag(SHOP, self.lag.total_seconds())
        self.curtain = Curtain(self.shopify)
        self.routes[0] = Route("http://shopify.test/", self.curtain, self.routes[0].weather)
        address = "https://books.example/webhooks" if self.webhooks else None
        self.settings = self.settings.model_copy(update={"webhooks_url": address, "poll_seconds": 60.0})
        self._deleted = False

    def _open(self) -> None:
        super()._open()
        self.house._ticks.update(silence=20.0, webhooks=60.0, poll=60.0)

    @property
    def is_dark(self) -> bool:
        return self.dark is not None and self.dark[0] <= self.clock.now() - self.start < self.dark[1]

    def _turn(self) -> None:
        now = self.clock.now()
        self.shopify.advance(now, stamp=True)
        if self.is_dark and not self._deleted:
            self.shopify.delete_subscriptions(SHOP)
            self._deleted = True
        self.curtain.drawn = self.blind and self.is_dark
        for delivery in self.shopify.due_deliveries(now - self.skew):
            if self.is_dark:  # nobody has it, whatever Shopify believes
                self.shopify.report(delivery.id, None if self.away else 200, now)
            else:
                self._deliver(delivery)
        upcoming = [now + timedelta(seconds=10)]
        for instant in (self.shopify.next_event_at(), self.shopify.next_delivery_at()):
            if instant is not None:
                upcoming.append(max(instant, now + timedelta(milliseconds=1)))
        self.engine.run_until(min(upcoming))
        self._watch()

    def _watch(self) -> None:
        now = self.clock.now()
        with self._safely():
            seen = self.database.system("demo").read(Store.BOOKS, alarms.open_alarms)
        kinds = {one.kind for one in seen}
        for kind in kinds:
            self.raised.setdefault(kind, now)
            self.ended.pop(kind, None)
        for kind in self.raised.keys() - kinds:
            self.ended.setdefault(kind, now)
        if self.dark is not None:
            for name, moment in (("when it ends", self.dark[1]), ("ten minutes later", self.dark[1] + CAUGHT_UP)):
                if name not in self.settled and now >= self.start + moment:
                    self.settled[name] = self.count_settled()

    def _idle(self) -> bool:
        """A shop that does not answer looks idle: wait until what is promised had its time."""
        over = self.dark is None or self.clock.now() >= self.start + self.dark[1] + CAUGHT_UP + timedelta(minutes=1)
        return over and super()._idle()

    @contextmanager
    def _safely(self) -> Any:
        """Nothing befalls who only looks."""
        rate, others, self.death.rate, self.death.others = self.death.rate, self.death.others, 0.0, {}
        try:
            yield
        finally:
            self.death.rate, self.death.others = rate, others

    def count_settled(self) -> int:
        """Orders our books know as they are in the shop now, and that nobody wants a look at."""
        truth = {one["order_id"]: one["snapshot"]["updatedAt"] for one in self.shopify.truth()["orders"]}
        marks = inbox.marks.order_marks.c
        with self._safely():
            door = self.database.tenant(TENANT)
            query = sa.select(books.orders.c.order_id, books.orders.c.updated_at)
            known = door.read(Store.BOOKS, lambda tx: tx.execute(query).all())
            open_ones = sa.select(marks.order_id).where(marks.wanted > marks.settled)
            waiting = set(door.read(Store.INBOX, lambda tx: tx.execute(open_ones).scalars()))
        same = {row.order_id for row in known if from_micros(row.updated_at) == _instant(truth[row.order_id])}
        return len(same - waiting)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def told(world: Silence) -> dict[str, Any]:
    """The figures of a history that was lived."""
    report = world.report
    assert report is not None
    found = report.to_json()
    keys = ("orders", "documented", "waiting", "excluded", "needs_attention", "duplicates", "missing", "cent_deviation")
    figures: dict[str, Any] = {name: found[name] for name in keys}
    figures |= {name: found[name] for name in ("latency_p50_s", "latency_p99_s")}
    if world.dark is not None:
        begun = world.start + world.dark[0]
        figures["settled"] = dict(world.settled)
        figures["alarm_after_s"] = _since(world.raised, begun)
        figures["alarm_ended_after_s"] = _since(world.ended, world.start + world.dark[1])
    figures["webhooks"] = len(_deliveries(world))
    figures["deaths"] = world.death.count
    figures["findings"] = report.findings[:10]
    return figures


def _since(instants: Mapping[str, datetime], begun: datetime) -> dict[str, int]:
    return {kind: round((at - begun).total_seconds()) for kind, at in sorted(instants.items())}


def _deliveries(world: Silence) -> list[Any]:
    with world._safely():
        query = sa.select(inbox.deliveries.events.c.webhook_id)
        return list(world.database.tenant(TENANT).read(Store.INBOX, lambda tx: tx.execute(query).scalars().all()))


def lived(seed: int, orders: int, **how: Any) -> dict[str, Any]:
    """Live a history and tell its figures."""
    begun = time.monotonic()
    world = Told(seed, orders, **how)
    world.run()
    return {**world.figures, "seconds": round(time.monotonic() - begun, 1)}


@dataclass
class Told(Silence):
    """One that tells its figures while its stores are open."""

    figures: dict[str, Any] = field(default_factory=dict)

    def _audit(self) -> Any:
        self.report = super()._audit()
        self.figures = told(self)
        return self.report


def is_as_promised(figures: Mapping[str, Any], *, blind: bool, webhooks: bool, stormy: bool = False) -> bool:
    """Whether nothing is lost, doubled or late, and the alarm was raised in time. Five minutes are promised where
    services answer and nobody kills the process; `stormy`: how long it took is only told."""
    fine = (
        not figures["findings"] and (figures["duplicates"], figures["missing"], figures["cent_deviation"]) == (0,) * 3
    )
    if not webhooks:
        return fine and (stormy or figures["latency_p99_s"] < 300) and figures["webhooks"] == 0
    fine = fine and figures["settled"]["ten minutes later"] == figures["orders"]
    if blind:  # deleted subscriptions cannot be seen then: the poll that fails is the sign
        return fine and figures["alarm_after_s"].get("POLL-STALE", 9999) <= 180
    after = figures["alarm_after_s"].get("WEBHOOKS-DIFFER", 9999)
    return fine and after <= ALARMED.total_seconds() and figures["latency_p99_s"] < 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--faults", default="calm", choices=("calm", "rain", "storm"))
    parser.add_argument("--crash-rate", type=float, default=0.0)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--away", action="store_true")
    parser.add_argument("--no-webhooks", dest="webhooks", action="store_false")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    span, quiet = timedelta(hours=given.hours), timedelta(minutes=2)
    dark = (quiet, quiet + span) if given.webhooks else None
    figures = lived(
        given.seed,
        given.orders,
        faults=given.faults,
        crash_rate=given.crash_rate,
        others={},
        mix="domestic",
        span=span + quiet,
        dark=dark,
        blind=given.blind,
        away=given.away,
        webhooks=given.webhooks,
    )
    stormy = given.faults != "calm" or given.crash_rate > 0
    held = is_as_promised(figures, blind=given.blind, webhooks=given.webhooks, stormy=stormy)
    sys.stdout.write(json.dumps({"held": held, **figures}) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
