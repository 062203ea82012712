"""A leaky bucket on the other side, as seen from here: what may be sent now without being refused.

The other side lets `rate` flow back per second, up to `maximum`, and refuses what is not there. We keep our own debt:
what is under way counts in full and does not flow back; what was answered counts as charged and flows back from the
answer on. The other side charges after we send and gives back before we hear, so its debt is at most ours at every
moment, whatever the latency: who asks here first is never refused there. What an answer tells corrects us both ways:
downwards when less is there than our own calls explain, upwards when no call of ours can still hide in the figure.

Calls wait in one line: people first, then what the shop told us, then backfills. Each class leaves a reserve to the
ones above it, so that a person's call finds its points although a backfill takes all it gets. When no backfill got
anything for `_OVERTAKEN_FOR` seconds, the oldest of them stands among the middle ones: none is overtaken for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import count
from typing import Protocol


class Priority(IntEnum):
    """Who goes first."""

    INTERACTIVE = 0
    WEBHOOKS = 1
    BACKFILL = 2


#: The share of the bucket each class leaves to those above it. What flows back is the same however full it stands, so a
#: backfill keeps its pace, and an order of now finds nearly the burst it finds without one.
RESERVES = {Priority.INTERACTIVE: 0.0, Priority.WEBHOOKS: 0.1, Priority.BACKFILL: 0.7}
#: Seconds without any backfill's call, after which one of them is no longer overtaken.
_OVERTAKEN_FOR = 5.0
#: Longest sleep before looking again, in seconds: somebody may have given back what he did not need.
_STEP = 1.0
#: Shortest sleep, and the one while nobody knows anything about the bucket yet.
_SHORTEST, _UNKNOWN = 0.01, 0.05
#: A share too small for the call: until the next renewal.
_NO_SHARE = 0.25
_EPSILON = 1e-6

_working_as: ContextVar[Priority] = ContextVar("working_as", default=Priority.WEBHOOKS)


@contextmanager
def working_as(priority: Priority) -> Iterator[None]:
    """Calls made inside, by this thread, stand in line with this priority."""
    before = _working_as.set(priority)
    try:
        yield
    finally:
        _working_as.reset(before)


def asked_as() -> Priority:
    """The priority with which this thread works."""
    return _working_as.get()


class TooLong(Exception):
    """Nobody should wait this long inside a call: `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(f"{after:.2f} s")
        self.after = after


@dataclass(eq=False, slots=True)
class Turn:
    """One call: a place in line, then what it has taken."""

    cost: float
    priority: Priority
    since: datetime
    number: int
    taken: bool = False
    low: float = 0.0  # the least that was left while it was under way
    settled_before: float = 0.0  # all that was settled when it was taken


@dataclass(frozen=True, slots=True)
class Holding:
    """What one process holds of a bucket of this size: shares of capacity and flow (0..1), and points.

    `settled` is all it ever used, `told` how often an answer told the size.
    """

    maximum: float
    rate: float
    known: bool
    part: float
    flow: float
    debt: float
    under_way: float
    settled: float
    told: int


class Sharing(Protocol):
    """How a bucket is shared between processes."""

    def renew(self, bucket: Bucket, cost: float) -> None:
        """Called before each try to take `cost`; may call `bucket.resize`."""

    def give_back(self, bucket: Bucket) -> None:
        """The process ends."""


@dataclass(slots=True)
class _Size:
    maximum: float
    rate: float
    part: float = 1.0
    flow: float = 1.0
    known: bool = True

    @property
    def capacity(self) -> float:
        return self.maximum * self.part

    @property
    def flowing(self) -> float:
        return self.rate * self.flow


@dataclass(slots=True)
class _Used:
    debt: float = 0.0  # settled and not yet flowed back
    under_way: float = 0.0
    settled: float = 0.0  # ever
    told: int = 0
    out: list[Turn] = field(default_factory=list)


class Bucket:
    """Thread-safe; `clock` is the only source of time. `known` False: one call at a time until an answer tells."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        maximum: float,
        rate: float,
        *,
        known: bool = True,
        sharing: Sharing | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._size = _Size(maximum, rate, known=known)
        self._used = _Used()
        self._at = clock()
        self.asked_at = self._at  # when somebody last stood in line, or ended a call
        self._line: list[Turn] = []
        self._backfilled_at = self._at
        self._numbers = count()
        self._sharing = sharing

    # -- taking --------------------------------------------------------------------------------------------------

    def take(
        self, cost: float, sleep: Callable[[float], None], patience: float, priority: Priority | None = None
    ) -> Turn:
        """Wait in line for `cost` and take it; whoever got a turn must `settle` it, whatever became of the call.

        Raises `TooLong` when it would take longer than `patience` seconds.
        """
        turn = self.enter(cost, priority)
        waited = 0.0
        try:
            while True:
                if self._sharing is not None:
                    self._sharing.renew(self, cost)
                wait = self.ask(turn)
                if wait == 0.0:
                    return turn
                if waited + wait > patience:
                    raise TooLong(wait)
                sleep(min(wait, _STEP))
                waited += min(wait, _STEP)
        finally:
            if not turn.taken:
                self.leave(turn)

    def enter(self, cost: float, priority: Priority | None = None) -> Turn:
        """Stand in line."""
        with self.lock:
            self.asked_at = self._clock()
            turn = Turn(cost, asked_as() if priority is None else priority, self.asked_at, next(self._numbers))
            self._line.append(turn)
            return turn

    def ask(self, turn: Turn) -> float:
        """Take what the turn is for. Returns 0.0 when it is taken, else the seconds after which to ask again."""
        with self.lock:
            now, size, used = self._flow_back(), self._size, self._used
            rank = self._rank(turn, now)
            ahead = [other for other in self._line if other is not turn and self._rank(other, now) < rank]
            if not size.known and used.under_way > 0:
                return _UNKNOWN
            reserve = min(RESERVES[Priority(rank[0])] * size.capacity, max(0.0, size.capacity - turn.cost))
            missing = reserve + sum(other.cost for other in ahead) + turn.cost - self._left()
            # Dearer than the whole bucket: sent when it is full, for the other side to judge.
            oversized = turn.cost > size.capacity and size.part == 1.0 and used.under_way == 0 and used.debt == 0
            if not ahead and (missing <= _EPSILON or oversized):
                self._grant(turn)
                return 0.0
            if size.flowing <= 0 or (turn.cost > size.capacity and size.part < 1.0):
                return _NO_SHARE
            wait = missing / size.flowing
            if size.flow < 1.0:  # a small share may be a large one soon: nobody is sent away for hours because of it
                wait = min(wait, max(_NO_SHARE, missing / size.rate))
            return max(_SHORTEST, wait)

    def leave(self, turn: Turn) -> None:
        """Give up a place in line."""
        with self.lock:
            if turn in self._line:
                self._line.remove(turn)

    def settle(
        self,
        turn: Turn,
        spent: float | None = None,
        *,
        maximum: float | None = None,
        available: float | None = None,
        rate: float | None = None,
    ) -> None:
        """The call ended: `spent` is what it cost (None: nobody knows, so all of it); the rest what the answer said of
        the whole bucket when it was written, where it said anything.
        """
        with self.lock:
            self._flow_back()
            self.asked_at = self._at
            used = self._used
            charged = turn.cost if spent is None else max(0.0, spent)
            used.under_way = max(0.0, used.under_way - turn.cost)
            used.out.remove(turn)
            used.debt += charged
            used.settled += charged
            others = used.settled - turn.settled_before - charged
            resized = not self._size.known or (maximum is not None and maximum != self._size.maximum)
            if maximum is not None and maximum > 0:
                self._size.maximum = maximum
            if rate is not None and rate > 0:
                self._size.rate = rate
            if available is None:
                return
            self._size.known = True
            used.told += maximum is not None
            turn.low += turn.cost - charged  # the answer was written when the rest was given back
            self._believe(turn, available, others, resized)

    def _believe(self, turn: Turn, available: float, others: float, resized: bool) -> None:
        """`available` was the truth at some moment since the turn was taken; `others` settled since then."""
        size, used = self._size, self._used
        whole = size.part == 1.0
        told = max(0.0, (size.maximum - available + others) * size.part)
        if resized:  # what we thought was about another bucket
            used.debt = told
        elif turn.low > available + 1.0:  # told in whole points
            used.debt += turn.low - available - 1.0
        elif whole:
            used.debt = min(used.debt, told)
        self._lowered()

    # -- looking -------------------------------------------------------------------------------------------------

    def available(self) -> float:
        """What could be sent now."""
        with self.lock:
            self._flow_back()
            return self._left()

    def seconds_until(self, cost: float) -> float:
        """Seconds until `cost` is there, were nobody else to take anything."""
        with self.lock:
            self._flow_back()
            return max(0.0, cost - self._left()) / max(self._size.flowing, _EPSILON)

    def used(self) -> float:
        """The share of the whole bucket this process has used, 0 to 1; what is under way counts as used."""
        with self.lock:
            self._flow_back()
            return min(1.0, (self._used.debt + self._used.under_way) / self._size.maximum)

    @property
    def size(self) -> tuple[float, float]:
        """(points it holds, points that flow back per second), of the whole bucket."""
        with self.lock:
            return self._size.maximum, self._size.rate

    @property
    def waiting(self) -> float:
        """What those in line want, together."""
        with self.lock:
            return sum(turn.cost for turn in self._line)

    @property
    def reserve(self) -> float:
        """The largest share of the bucket that somebody in line must leave to others; 0.0 when nobody waits."""
        with self.lock:
            return max((RESERVES[turn.priority] for turn in self._line), default=0.0)

    # -- changing ------------------------------------------------------------------------------------------------

    def retune(self, rate: float) -> None:
        """From now on, `rate` flows back per second."""
        with self.lock:
            self._flow_back()
            self._size.rate = rate

    def holding(self) -> Holding:
        """What this process holds now."""
        with self.lock:
            self._flow_back()
            size, used = self._size, self._used
            return Holding(
                size.maximum,
                size.rate,
                size.known,
                size.part,
                size.flow,
                used.debt,
                used.under_way,
                used.settled,
                used.told,
            )

    def resize(
        self,
        part: float,
        flow: float,
        debt: float,
        *,
        maximum: float | None = None,
        rate: float | None = None,
        known: bool = False,
    ) -> None:
        """Hold these shares, with this debt, of a bucket that may have another size; what is under way stays."""
        with self.lock:
            self._flow_back()
            old = self._size
            self._size = _Size(maximum or old.maximum, rate or old.rate, part, flow, known or old.known)
            self._used.debt = max(0.0, debt)
            self._lowered()

    def close(self) -> None:
        """Give back what is shared."""
        if self._sharing is not None:
            self._sharing.give_back(self)

    # -- inside --------------------------------------------------------------------------------------------------

    def _rank(self, turn: Turn, now: datetime) -> tuple[int, int]:
        if turn.priority is Priority.BACKFILL:
            oldest = next(other for other in self._line if other.priority is Priority.BACKFILL)
            unlucky = (now - max(turn.since, self._backfilled_at)).total_seconds() >= _OVERTAKEN_FOR
            if turn is oldest and unlucky:
                return Priority.WEBHOOKS, turn.number
        return turn.priority, turn.number

    def _grant(self, turn: Turn) -> None:
        used = self._used
        self._line.remove(turn)
        if turn.priority is Priority.BACKFILL:
            self._backfilled_at = self._at
        used.under_way += turn.cost
        turn.taken, turn.settled_before, turn.low = True, used.settled, self._left()
        used.out.append(turn)
        self._lowered()

    def _lowered(self) -> None:
        left = self._left()
        for turn in self._used.out:
            turn.low = min(turn.low, left)

    def _left(self) -> float:
        return self._size.capacity - self._used.debt - self._used.under_way

    def _flow_back(self) -> datetime:
        now = self._clock()
        elapsed = (now - self._at).total_seconds()
        if elapsed > 0:
            self._used.debt = max(0.0, self._used.debt - elapsed * self._size.flowing)
        self._at = now  # also when the clock was set back
        return now
