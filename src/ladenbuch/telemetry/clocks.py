"""What the answers of Shopify and sevdesk say about our clock; the judgement is `domain.clock`'s."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from ladenbuch.domain.clock import CALM, LAST, LIMIT, Dated, ahead, dated, off

#: Whose dates count.
_HEARD = ("shopify", "sevdesk")
#: Seconds our clock may have moved against the count, and for how many a judgement stands that nothing speaks against.
_SAME, _STANDS = 0.05, 10.0


def steady() -> float:
    """Seconds since some start that no setting of the clock moves; those a sleeping machine misses are in it, where the
    system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clocks:
    """Thread-safe. `clock` (aware UTC) is the one that is judged, `count` counts seconds whatever it says."""

    def __init__(self, clock: Callable[[], datetime], count: Callable[[], float] = steady) -> None:
        self.count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[str, deque[Dated]] = {name: deque(maxlen=LAST) for name in _HEARD}
        self._off: timedelta | None = None
        self._judged: tuple[float, float] | None = None  # what our clock was ahead of the count, and when it was judged

    def heard(self, service: str, sent: float, date: str) -> None:
        """An answer to what was sent at `sent` of the count, and its header Date; one that is none is ignored."""
        written = _seconds(date)
        if service not in self._heard or written is None:
            return
        told = dated(sent, self.count(), written)
        if told is not None:
            with self._lock:
                self._heard[service].append(told)
                self._judged = None

    def now(self) -> datetime:
        """The time to go by: our clock's, or everybody else's while ours is off."""
        at = self._clock()
        judged = self._judged
        if judged is not None and self._off is None:  # asked a dozen times per call, and nearly always so
            count = self.count()
            if abs(at.timestamp() - count - judged[0]) < _SAME and 0 <= count - judged[1] < _STANDS:
                return at
        ahead = self.off(at)
        return at if ahead is None else at - ahead

    def off(self, at: datetime | None = None) -> timedelta | None:
        """How far our clock is ahead of all others (negative: behind them), where that is too far; else None.

        `at`: what it says, where it was just read.
        """
        clock, now = (at or self._clock()).timestamp(), self.count()
        judged = self._judged
        if judged is not None and abs(clock - now - judged[0]) < _SAME and 0 <= now - judged[1] < _STANDS:
            return self._off
        with self._lock:
            known = [ahead(list(answers), clock, now) for answers in self._heard.values()]
            found = off((one for one in known if one is not None), LIMIT if self._off is None else CALM)
            self._off = None if found is None else timedelta(seconds=round(found))
            self._judged = clock - now, now
            return self._off


@lru_cache(maxsize=16)
def _seconds(date: str) -> float | None:
    try:
        written = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    return (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp()
