"""The engine for simulations: one thread, virtual time, the same order of events for the same inputs.

Nothing here looks at the wall clock, sleeps or starts a thread, so thousands of runs pass per second and a
failing seed replays identically. A process crash is simulated by letting a BaseException (not an Exception)
out of a run: it leaves `drain` at once, and the caller throws this engine away and builds the next.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ladenbuch.engine.port import CRASHED
from ladenbuch.errors import LadenbuchError, Retryable

log = logging.getLogger(__name__)

_MICROSECOND = timedelta(microseconds=1)


class VirtualClock:
    """Time as an argument: `clock.now` is a clock, `clock.sleep` a sleep; both are free of charge.

    Calling the object itself returns the time too, so that it can be given wherever a clock is wanted.
    """

    def __init__(self, start: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The virtual time, aware, UTC."""
        return self._now

    __call__ = now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`, exact to the microsecond; time never runs backwards."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += timedelta(microseconds=round(seconds * 1_000_000))

    def advance_to(self, instant: datetime) -> None:
        """Move forward to `instant`; an instant in the past changes nothing."""
        self._now = max(self._now, instant)

    def sleep(self, seconds: float) -> None:
        """What a sleeping run calls. Ticks that fall into the sleep fire late, after the run."""
        self.advance(max(0.0, seconds))


@dataclass
class _Tick:
    name: str
    period: timedelta
    fn: Callable[[], None]
    due: datetime
    busy: bool = False


class InlineEngine:
    """Keeps the promise of `port.Engine` in the caller's thread.

    `start` only queues. `drain` runs what is due now; `run_until` also lets time pass from one due thing to
    the next. `finished` holds the codes of all ended runs by run id, in order, for tests to read.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._functions: dict[str, Callable[..., str]] = {}
        self._ticks: dict[str, _Tick] = {}
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._sequence = 0
        self._queue: deque[tuple[str, str, tuple[str, ...]]] = deque()
        self._known: set[str] = set()
        self._active = 0
        self._launched = False
        self.finished: dict[str, str] = {}

    def register(self, name: str, fn: Callable[..., str]) -> None:
        self._functions[name] = fn

    def every(self, name: str, seconds: float, fn: Callable[[], None]) -> None:
        if seconds <= 0:
            raise ValueError("a tick needs a positive period")
        period = max(timedelta(seconds=seconds), _MICROSECOND)
        self._ticks[name] = _Tick(name, period, fn, self._clock.now())

    def wake(self, name: str) -> None:
        tick = self._ticks.get(name)
        if tick is not None:
            tick.due = min(tick.due, self._clock.now())

    def launch(self) -> None:
        self._launched = True
        for tick in self._ticks.values():
            tick.due = self._clock.now()

    def start(self, name: str, run_id: str, *args: str) -> None:
        if not self._launched:
            raise Retryable("ENGINE-DOWN", "the engine is not launched")
        if name not in self._functions:
            raise KeyError(name)
        if run_id not in self._known:
            self._known.add(run_id)
            self._queue.append((name, run_id, args))

    def running(self) -> int:
        return len(self._queue) + self._active

    def holds(self, run_id: str) -> bool:
        return any(queued == run_id for _, queued, _ in self._queue)

    def alone(self) -> bool:
        return self._launched

    def forget(self, executor_id: str) -> int:
        return 0

    def close(self) -> None:
        self._launched = False
        self._queue.clear()

    # What only a simulation can ask for

    def at(self, instant: datetime, fn: Callable[[], None]) -> None:
        """Call `fn` once when virtual time reaches `instant`: a webhook arriving, a late commit."""
        self._sequence += 1
        heapq.heappush(self._timers, (instant, self._sequence, fn))

    def drain(self) -> int:
        """Run everything due at the present virtual time until nothing is; returns how many runs ended.

        One round: due timers by time, each due tick once in the order of registration, one queued run.
        """
        ended = 0
        while self._launched:
            now = self._clock.now()
            idle = True
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()
                idle = False
            for tick in [tick for tick in self._ticks.values() if tick.due <= now and not tick.busy]:
                self._fire(tick)
                idle = False
            if self._queue:
                self._run(*self._queue.popleft())
                ended += 1
            elif idle:
                break
        return ended

    def run_until(self, deadline: datetime, *, stop: Callable[[], bool] | None = None) -> int:
        """Let time pass to `deadline`, running what falls due on the way; `stop` ends it early when true.

        Returns how many runs ended. `stop` is asked after each instant at which something happened.
        """
        ended = self.drain()
        while self._launched and not (stop is not None and stop()):
            upcoming = self.next_due()
            if upcoming is None or upcoming > deadline:
                self._clock.advance_to(deadline)
                break
            self._clock.advance_to(upcoming)
            ended += self.drain()
        return ended

    def next_due(self) -> datetime | None:
        """When the next timer or tick falls due; None when there is neither."""
        instants = [tick.due for tick in self._ticks.values() if not tick.busy]
        if self._timers:
            instants.append(self._timers[0][0])
        return min(instants, default=None)

    def _fire(self, tick: _Tick) -> None:
        # The next time is set before the call: a wake from inside the call must count.
        tick.due = self._clock.now() + tick.period
        tick.busy = True  # a simulation may let a run stand still inside a tick, while the others go on
        try:
            tick.fn()
        except Exception:
            log.exception("tick %s failed", tick.name)
        finally:
            tick.busy = False

    def _run(self, name: str, run_id: str, args: tuple[str, ...]) -> None:
        self._active += 1
        try:
            code = self._functions[name](*args)
        except LadenbuchError as error:
            code = error.code
        except Exception:
            log.exception("run %s of %s crashed", run_id, name)
            code = CRASHED
        finally:
            self._active -= 1
        self.finished[run_id] = code
