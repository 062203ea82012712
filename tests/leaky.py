"""The bucket of the other side and those who take from it, in virtual time; it shares no code with `ladenbuch.bucket`.

It charges the requested cost when a call arrives, gives the rest back when it is done, and its answer takes its time as
well.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ladenbuch.bucket import Bucket, Priority

START = datetime(2026, 11, 22, tzinfo=UTC)


class Time:
    """Events in order of time."""

    def __init__(self) -> None:
        self.now = START
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def after(self, seconds: float, fn: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + timedelta(seconds=seconds), next(self._numbers), fn))

    def run(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        while self._events and self._events[0][0] <= until:
            self.now, _, fn = heapq.heappop(self._events)
            fn()
        self.now = until


@dataclass
class Theirs:
    """The bucket of the other side."""

    time: Time
    maximum: float = 2000.0
    rate: float = 100.0
    refused: int = 0
    charged: float = 0.0
    _level: float = -1.0
    _at: datetime = START

    def level(self) -> float:
        if self._level < 0:
            self._level = self.maximum
        elapsed = (self.time.now - self._at).total_seconds()
        self._level, self._at = min(self.maximum, self._level + elapsed * self.rate), self.time.now
        return self._level

    def charge(self, cost: float) -> bool:
        if cost > self.level() + 1e-3:  # instants are whole microseconds
            self.refused += 1
            return False
        self._level -= cost
        self.charged += cost
        return True

    def refund(self, cost: float) -> None:
        self._level = min(self.maximum, self.level() + cost)
        self.charged -= cost

    def change(self, maximum: float, rate: float) -> None:
        self.maximum, self.rate, self._level, self._at = maximum, rate, maximum, self.time.now


@dataclass
class Worker:
    """Asks, sends, hears, and begins again."""

    time: Time
    bucket: Bucket
    theirs: Theirs
    rng: random.Random
    priority: Priority = Priority.WEBHOOKS
    pause: float = 0.0
    dearest: int = 300
    waits: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        """What `Bucket.take` does before it asks; nothing for the bucket of one process."""

    def begin(self) -> None:
        self.cost = self.rng.randint(1, self.dearest)
        self.turn = self.bucket.enter(self.cost, self.priority)
        self.since = self.time.now
        self.ask()

    def ask(self) -> None:
        self.prepare()
        wait = self.bucket.ask(self.turn)
        if wait:
            self.time.after(min(wait, 1.0), self.ask)
            return
        self.waits.append((self.time.now - self.since).total_seconds())
        self.time.after(self.rng.expovariate(10), self.arrive)

    def arrive(self) -> None:
        if not self.theirs.charge(self.cost):
            told = int(self.theirs.level())
            self.time.after(self.rng.expovariate(10), lambda: self.hear(0, told))
            return
        self.time.after(self.rng.expovariate(5), self.done)

    def done(self) -> None:
        spent = self.rng.randint(0, self.cost)
        self.theirs.refund(self.cost - spent)
        told = int(self.theirs.level())
        lost = self.rng.random() < 0.05
        self.time.after(self.rng.expovariate(10), lambda: self.hear(None if lost else spent, None if lost else told))

    def hear(self, spent: float | None, told: int | None) -> None:
        size = {} if told is None else {"maximum": self.theirs.maximum, "rate": self.theirs.rate}
        self.bucket.settle(self.turn, spent, available=told, **size)
        self.time.after(self.rng.expovariate(1 / self.pause) if self.pause else 0.0, self.begin)


def crowd(time: Time, bucket: Bucket, theirs: Theirs, seed: int, workers: int, **more: object) -> list[Worker]:
    made = [Worker(time, bucket, theirs, random.Random(f"{seed}/{n}"), **more) for n in range(workers)]  # type: ignore[arg-type]
    for worker in made:
        time.after(worker.rng.random(), worker.begin)
    return made
