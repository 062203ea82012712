"""Alive, and ready: which part of this process stalls, and why, in a sentence.

    part          stalls when
    inbox, books  a row cannot be written and read back within `_PATIENCE` seconds
    dispatcher    its tick did not come to its end for `stall` seconds
    engine        it takes no run for so long
    clock         ours is more than a minute off, by the dates of Shopify's and sevdesk's answers
    queue         the oldest untried order waits for so long, and no run began or ended meanwhile
    shopify …     none of at least `_FEW` calls in a row was answered for so long, or they are kept back by the
                  breaker of every tenant we know of

Each process answers for what it does itself: one that only takes webhooks (role web) has neither dispatcher nor
engine, and says of the queue what it sees without counting it, because taking it out of service would lose webhooks
and settle nothing. Services an order can wait for (VIES, the Partner API) are told and not counted either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from ladenbuch import executors, heartbeats, inbox, outbox, tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.domain.backlog import Backlog
from ladenbuch.errors import LadenbuchError
from ladenbuch.executors import Executor
from ladenbuch.telemetry.calls import Pulse
from ladenbuch.telemetry.work import Work
from ladenbuch.web.backlog import Budgets, backlog_sentence, read_backlog
from ladenbuch.web.words import Language, say

T = TypeVar("T")

#: Seconds a store may take to take and give a row.
_PATIENCE = 3.0
#: Seconds for which a look is good enough for the next one who asks.
_FRESH = 1.0
#: Calls in a row that must have failed; and how many times `stall` ago the last one may be to say anything still.
_FEW, _RECENT = 5, 5
#: Services without which nothing is posted or mailed.
_NEEDED = ("shopify", "sevdesk", "mail")
_SERVICES = (*_NEEDED, "vies", "partner")


@dataclass(frozen=True)
class Part:
    """One thing that is looked at. `key` and `values` make the sentence (words.py); `key` empty: it is fine."""

    name: str
    key: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    code: str = ""
    counts: bool = True

    @property
    def fine(self) -> bool:
        return not self.key

    def why(self, language: Language = "en") -> str:
        """What stalls, in a sentence; empty where nothing does."""
        return say(language, self.key, **self.values) if self.key else ""


@dataclass(frozen=True)
class Queue:
    """What the stores say: marks by state, the age in seconds of the oldest untried wish, letters, a write stop, the
    processes that share them (PostgreSQL), and until when what waits will be done."""

    waiting: int
    running: int
    oldest_unattempted_seconds: float
    last_claim: datetime | None
    letters: Mapping[str, int]
    stopped: str | None
    executors: tuple[Executor, ...] = ()
    backlog: Backlog | None = None

    def executors_by_state(self, now: datetime) -> dict[str, int]:
        """How many processes share the database and are alive, and silent without having been taken over yet; empty on
        files, where there is one."""
        left = [one.alive(now) for one in self.executors if not one.gone]
        return {"alive": left.count(True), "silent": left.count(False)} if self.executors else {}


@dataclass(frozen=True)
class Report:
    """The state of one process. `queue` is None when the stores could not be read."""

    role: str
    at: datetime
    parts: tuple[Part, ...]
    queue: Queue | None

    @property
    def ready(self) -> bool:
        return all(part.fine or not part.counts for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The body of /readyz."""
        stalled = [part for part in self.parts if part.counts and not part.fine]
        body: dict[str, Any] = {"ready": self.ready, "role": self.role, "stalled": [part.name for part in stalled]}
        if stalled:
            body |= {"code": stalled[0].code, "why": " ".join(part.why() for part in stalled)}
        body["parts"] = {part.name: part.why() or "fine" for part in self.parts}
        if self.queue is not None:
            body |= {
                "waiting": self.queue.waiting,
                "running": self.queue.running,
                "oldest_unattempted_seconds": self.queue.oldest_unattempted_seconds,
                "letters": dict(self.queue.letters),
                "stopped": self.queue.stopped,
            }
            if self.queue.backlog is not None:
                found = self.queue.backlog
                said = backlog_sentence("en", found, self.at) if found.worth_saying(self.at) else None
                body["backlog"] = found.as_json() | {"sentence": said}
            if self.queue.executors:
                body["executors"] = self.queue.executors_by_state(self.at) | {
                    "taken_over": {one.name: one.taken_runs for one in self.queue.executors if one.taken_at},
                }
        return body


class Pulses(Protocol):
    """What is needed of `telemetry.calls.Calls`."""

    def pulse(self, service: str) -> Pulse: ...


class Health:
    """Looks at one process. Thread-safe; a look that hangs holds up nobody for longer than `_PATIENCE` seconds.

    `process` names the row each look writes, `stall` is in seconds; `circuits` counts breakers by (service, state):
    closed, open, half_open. `in_thread` False asks the stores in the caller's thread, for a clock that does not pass
    while a thread waits.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        work: Work,
        calls: Pulses,
        *,
        role: str,
        process: str,
        stall: float,
        circuits: Callable[[], Mapping[tuple[str, str], int]] = dict,
        clock_off: Callable[[], timedelta | None] = lambda: None,
        budgets: Budgets = dict,
        in_thread: bool = True,
    ) -> None:
        self._database = database
        self._clock = clock
        self._work = work
        self._circuits = circuits
        self._clock_off = clock_off
        self._budgets = budgets
        self._calls = calls
        self.role = role
        self._process = f"{role}:{process}"
        self._stall = stall
        self._begun = clock()
        self._probe = Patient(self._look_at_stores, in_thread)
        self._lock = threading.Lock()
        self._last: Report | None = None

    def look(self) -> Report:
        """The state now, or that of less than a second ago."""
        with self._lock:
            now = self._clock()
            last = self._last
            if last is None or not 0 <= (now - last.at).total_seconds() < _FRESH:
                last = self._last = self._look(now)
            return last

    def _look(self, now: datetime) -> Report:
        parts, queue = self._stores()
        if self.role != "web":
            parts += [self._dispatcher(now), self._engine(now), self._clocks()]
        if queue is not None:
            parts.append(self._queue(queue, now))
        parts += [self._service(name, now) for name in _SERVICES]
        return Report(self.role, now, tuple(parts), queue)

    # -- the stores ------------------------------------------------------------------------------------------------

    def _stores(self) -> tuple[list[Part], Queue | None]:
        found = self._probe.ask(_PATIENCE)
        if found is None:
            return [Part("stores", "stall.slow", {"n": f"{_PATIENCE:.0f}"}, "DB-BUSY")], None
        return found

    def _look_at_stores(self) -> tuple[list[Part], Queue | None]:
        parts = [self._written(store) for store in Store]
        if not all(part.fine for part in parts):
            return parts, None
        try:
            now = self._clock()
            queue = read_queue(self._database, now)
            return parts, replace(
                queue, backlog=read_backlog(self._database.system("health"), None, now, self._budgets)
            )
        except LadenbuchError as error:
            return [*parts, Part("queue", "stall.unread", {"why": error.message}, error.code)], None

    def _written(self, store: Store) -> Part:
        door, now = self._database.system("health"), self._clock()

        def beat(tx: Transaction) -> None:
            heartbeats.beat(tx, store, self._process, now)

        try:
            door.run(store, beat)
        except LadenbuchError as error:
            return Part(store.value, "stall.unwritable", {"store": store.value, "why": error.message}, error.code)
        except Exception as error:
            why = type(error).__name__
            return Part(store.value, "stall.unwritable", {"store": store.value, "why": why}, "DB")
        return Part(store.value)

    # -- what this process does ------------------------------------------------------------------------------------

    def _since(self, at: datetime | None, now: datetime) -> float:
        """Seconds since something happened, or could have happened for the first time."""
        return (now - max(self._begun, at or self._begun)).total_seconds()

    def _dispatcher(self, now: datetime) -> Part:
        silent = self._since(self._work.last_tick("dispatch"), now)
        if silent <= self._stall:
            return Part("dispatcher")
        return Part("dispatcher", "stall.dispatcher", {"n": f"{silent:.0f}"}, "STALLED")

    def _engine(self, now: datetime) -> Part:
        refusing = self._work.refusing()
        if refusing is None or (now - refusing[0]).total_seconds() <= self._stall:
            return Part("engine")
        seconds = (now - refusing[0]).total_seconds()
        return Part("engine", "stall.engine", {"n": f"{seconds:.0f}", "code": refusing[1]}, refusing[1])

    def _clocks(self) -> Part:
        off = self._clock_off()
        if off is None:
            return Part("clock")
        way = "ahead" if off > timedelta(0) else "behind"
        return Part("clock", f"stall.clock.{way}", {"n": f"{abs(off.total_seconds()):.0f}"}, "CLOCK-OFF")

    def _queue(self, queue: Queue, now: datetime) -> Part:
        counts = self.role != "web"
        moves = [at for at in (self._work.last_move(), queue.last_claim) if at is not None]
        still = self._since(max(moves, default=None), now)
        waited = queue.oldest_unattempted_seconds
        if waited <= self._stall or still <= self._stall:
            return Part("queue", counts=counts)
        values = {"n": f"{waited:.0f}", "still": f"{still:.0f}"}
        return Part("queue", "stall.queue", values, "STALLED", counts)

    def _service(self, name: str, now: datetime) -> Part:
        counts = name in _NEEDED
        pulse = self._calls.pulse(name)
        seconds = failing_seconds(pulse, now, _RECENT * self._stall)
        states = {state: count for (service, state), count in self._circuits().items() if service == name and count}
        # Open circuits keep the calls away that would tell; one that opened just now may close at its first probe.
        long = pulse.failing_since is None or (now - pulse.failing_since).total_seconds() > self._stall
        if states and "closed" not in states and long:
            values = {"name": name, "tenants": sum(states.values())}
            return Part(name, "stall.breaker", values, f"{name.upper()}-BREAKER", counts)
        if pulse.failures < _FEW or seconds <= self._stall:
            return Part(name, counts=counts)
        values = {"name": name, "calls": pulse.failures, "n": f"{seconds:.0f}", "code": pulse.code}
        return Part(name, "stall.service", values, pulse.code, counts)


def failing_seconds(pulse: Pulse, now: datetime, recent: float) -> float:
    """For how long a service has answered nothing; 0 when it answers, or when nobody asked it for `recent` seconds."""
    if pulse.failing_since is None or pulse.failed_at is None or (now - pulse.failed_at).total_seconds() > recent:
        return 0.0
    return (now - pulse.failing_since).total_seconds()


def read_queue(database: Database, now: datetime) -> Queue:
    """What waits and runs, read from the stores."""
    system = database.system("health")
    depth, claim, known = system.read(
        Store.INBOX, lambda tx: (inbox.depth(tx, now), inbox.last_claim(tx), tuple(executors.all(tx)))
    )
    letters, stop = system.read(Store.BOOKS, lambda tx: (outbox.counts(tx), tenants.stopped(tx, None)))
    oldest = depth.oldest_unattempted_seconds
    by_state = {str(key): n for key, n in letters.items()}
    return Queue(depth.waiting, depth.running, oldest, claim, by_state, stop, known)


class Patient(Generic[T]):
    """A question that may hang: at most one is under way, and nobody waits longer than he says."""

    def __init__(self, question: Callable[[], T], in_thread: bool = True) -> None:
        self._question = question
        self._in_thread = in_thread
        self._lock = threading.Lock()
        self._under_way: Future[T] | None = None

    def ask(self, seconds: float) -> T | None:
        """The answer; None when it takes longer than `seconds`. The next who asks waits for the same answer."""
        if not self._in_thread:
            return self._question()
        with self._lock:
            future = self._under_way
            if future is None:
                future = self._under_way = Future()
                threading.Thread(target=self._run, args=(future,), name="health", daemon=True).start()
        try:
            return future.result(timeout=seconds)
        except StillWaiting:
            return None

    def _run(self, future: Future[T]) -> None:
        try:
            answer = self._question()
        except BaseException as error:
            with self._lock:
                self._under_way = None
            future.set_exception(error)
        else:
            with self._lock:
                self._under_way = None
            future.set_result(answer)
