"""What this process did last, and when: the memory behind "the dispatcher has not looked for work for a minute"."""

from __future__ import annotations

import threading
from datetime import datetime

from ladenbuch.telemetry.metrics import Metrics


class Work:
    """Told by the ticks and the runs of one process, asked by its health. Thread-safe; instants are aware UTC."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._ticked: dict[str, datetime] = {}
        self._polled: dict[str, datetime] | None = None  # None: nobody has looked yet who is to be polled
        self._moved: datetime | None = None
        self._refused: tuple[datetime, str] | None = None

    # -- told ------------------------------------------------------------------------------------------------------

    def ticked(self, name: str, now: datetime) -> None:
        """A tick came to its end without raising."""
        with self._lock:
            self._ticked[name] = now

    def polled(self, tenant: str, now: datetime) -> None:
        """A tenant's poll came to its end."""
        with self._lock:
            if self._polled is not None:
                self._polled[tenant] = now

    def polling(self, tenants: set[str], now: datetime) -> None:
        """Who is polled from now on; the others are forgotten, and whoever is new counts from now."""
        with self._lock:
            known = self._polled or {}
            self._polled = {tenant: known.get(tenant, now) for tenant in tenants}

    def moved(self, now: datetime) -> None:
        """A run began or ended."""
        with self._lock:
            self._moved = now

    def ended(self, code: str, now: datetime) -> None:
        """A run ended with a code."""
        self.moved(now)
        if self._metrics is not None:
            self._metrics.settles_total.labels(code).inc()

    def settled(self, seconds: float) -> None:
        """An order was settled so many seconds after the first wish for a look at it."""
        if self._metrics is not None:
            self._metrics.settle_latency_seconds.observe(max(0.0, seconds))

    def refused(self, code: str, now: datetime) -> None:
        """The engine did not take a run."""
        with self._lock:
            self._refused = (self._refused[0] if self._refused else now, code)

    def taken(self) -> None:
        """The engine took a run."""
        with self._lock:
            self._refused = None

    # -- asked -----------------------------------------------------------------------------------------------------

    def last_tick(self, name: str) -> datetime | None:
        """When the tick last came to its end."""
        with self._lock:
            return self._ticked.get(name)

    def last_move(self) -> datetime | None:
        """When a run last began or ended."""
        with self._lock:
            return self._moved

    def oldest_poll(self, begun: datetime) -> datetime | None:
        """Of the last successful polls of all tenants, the one longest ago; `begun` before the first, None where nobody
        is to be polled."""
        with self._lock:
            return begun if self._polled is None else min(self._polled.values(), default=None)

    def refusing(self) -> tuple[datetime, str] | None:
        """Since when the engine takes no run, and the last code; None while it does."""
        with self._lock:
            return self._refused
