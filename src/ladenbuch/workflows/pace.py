"""How fast we may call who counts requests: a bucket that costs more when told to slow down, and recovers by itself.

sevdesk publishes no limit but may block a token that makes many failing calls (facts 1.8), so the rate is a setting,
halves on a 429 (at most once a second) and doubles again every few seconds without one. Shopify's Partner API takes
four requests a second of each client, and gets three.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ladenbuch.bucket import Bucket, Sharing, TooLong
from ladenbuch.errors import Retryable

#: Requests per second we send the Partner API, which takes four of one client (facts 5.3). What is sent four a second
#: arrives as five in some second as soon as one journey takes longer than another; this leaves them a third of one.
PARTNER_RATE = 3.0

#: What a call is called that would wait too long.
_CODES = {"sevdesk": "SEVDESK-BUDGET", "partner": "PARTNER-BUDGET"}
#: Longest wait for a turn inside a call, in seconds; beyond it the run comes back later.
_PATIENCE = 20.0
#: Seconds in which a lowered rate doubles again.
_RECOVERY = 1.5
#: The rate never falls below this share of the setting.
_FLOOR = 1 / 32


class Pace:
    """At most `rate` calls per second over time, `burst` at once. Thread-safe; `sleep` and `clock` are arguments.

    `sharing` makes it the rate of all processes together; `service` names the code of a refusal.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        burst: float | None = None,
        *,
        service: str = "sevdesk",
        sharing: Sharing | None = None,
    ) -> None:
        self.bucket = Bucket(clock, burst if burst is not None else max(1.0, rate), rate, sharing=sharing)
        self._service = service
        self._clock = clock
        self._sleep = sleep
        self._slower = 1.0  # how many calls' worth one call costs
        self._lowered_at = clock() - timedelta(days=1)
        self._grown_at = clock()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Wait for a turn. Raises `Retryable` (`_CODES`) when the queue is longer than anybody should wait."""
        with self._lock:
            self._grow(self._clock())
            price = self._slower
        patience = _PATIENCE

        def sleep(seconds: float) -> None:
            nonlocal patience
            patience -= seconds
            self._sleep(seconds)

        try:
            while price > 0:
                piece = min(1.0, price)
                self.bucket.settle(self.bucket.take(piece, sleep, patience))
                price -= piece
        except TooLong as wait:
            message = f"the budget of this {self._service} account is used up"
            raise Retryable(_CODES[self._service], message, after=wait.after) from None

    def used(self) -> float:
        """The used share of what may be sent at once, 0 to 1."""
        return self.bucket.used()

    def slow_down(self) -> None:
        """The other side said it is too much: half the rate, once for everything that was under way."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            if (now - self._lowered_at).total_seconds() >= 1.0:
                self._lowered_at = now
                self._slower = min(1 / _FLOOR, self._slower * 2)

    def _grow(self, now: datetime) -> None:
        seconds = (now - self._grown_at).total_seconds()
        self._grown_at = now
        if self._slower > 1.0 and seconds > 0:
            self._slower = max(1.0, self._slower / 2.0 ** min(seconds / _RECOVERY, 20.0))
