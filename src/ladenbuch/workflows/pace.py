"""How fast we may call sevdesk: a token bucket per account that slows down when told to and recovers by itself.

sevdesk publishes no limit but may block a token that makes many failing calls (facts 1.8), so the rate is a setting,
halves on a 429 and grows back a little with every second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ladenbuch.errors import Retryable

#: Longest wait for a turn inside a call, in seconds; beyond it the run comes back later.
_PATIENCE = 20.0


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
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Wait for a turn. Raises `Retryable("SEVDESK-BUDGET")` when the queue is longer than anybody should wait."""
        with self._lock:
            now = self._clock()
            earliest = now - timedelta(seconds=self._burst / self._rate)
            turn = max(self._free_at, earliest) + timedelta(seconds=1 / self._rate)
            wait = (turn - now).total_seconds()
            if wait > _PATIENCE:
                raise Retryable("SEVDESK-BUDGET", "the budget of this sevdesk account is used up", after=wait)
            self._free_at = turn
            self._rate = min(self._most, self._rate * 1.002)
        if wait > 0:
            self._sleep(wait)

    def slow_down(self) -> None:
        """The other side said it is too much: half the rate, not less than one call in two seconds."""
        with self._lock:
            self._rate = max(0.5, self._rate / 2)
