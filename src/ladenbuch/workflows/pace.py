"""How fast we may call sevdesk: a token bucket per account that slows down when told to and recovers by itself.

sevdesk publishes no limit but may block a token that makes many failing calls (facts 1.8), so the rate is a setting,
halves on a 429 (at most once a second) and doubles again every few seconds without one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ladenbuch.errors import Retryable

#: Longest wait for a turn inside a call, in seconds; beyond it the run comes back later.
_PATIENCE = 20.0
#: Seconds in which a lowered rate doubles again.
_RECOVERY = 1.5
#: The rate never falls below this share of the setting.
_FLOOR = 1 / 32


class Pace:
    """At most `rate` calls per second over time, `burst` at once. Thread-safe; `sleep` and `clock` are arguments."""

    def __init__(
        self, rate: float, clock: Callable[[], datetime], sleep: Callable[[float], None], burst: float | None = None
    ) -> None:
        self._most = rate
        self._rate = rate
        self._burst = burst if burst is not None else max(1.0, rate)
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()
        self._lowered_at = self._free_at - timedelta(days=1)
        self._grown_at = self._free_at
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Wait for a turn. Raises `Retryable("SEVDESK-BUDGET")` when the queue is longer than anybody should wait."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            earliest = now - timedelta(seconds=self._burst / self._rate)
            turn = max(self._free_at, earliest) + timedelta(seconds=1 / self._rate)
            wait = (turn - now).total_seconds()
            if wait > _PATIENCE:
                raise Retryable("SEVDESK-BUDGET", "the budget of this sevdesk account is used up", after=wait)
            self._free_at = turn
        if wait > 0:
            self._sleep(wait)

    def used(self) -> float:
        """The used share of what may be sent at once, 0 to 1."""
        with self._lock:
            whole = self._burst / self._rate
            ahead = (self._free_at - self._clock()).total_seconds() + whole
        return min(1.0, max(0.0, ahead / whole))

    def _grow(self, now: datetime) -> None:
        seconds = (now - self._grown_at).total_seconds()
        self._grown_at = now
        if self._rate < self._most and seconds > 0:
            self._rate = min(self._most, self._rate * 2.0 ** min(seconds / _RECOVERY, 20.0))

    def slow_down(self) -> None:
        """The other side said it is too much: half the rate, once for everything that was under way."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            if (now - self._lowered_at).total_seconds() >= 1.0:
                self._lowered_at = now
                self._rate = max(self._most * _FLOOR, self._rate / 2)
