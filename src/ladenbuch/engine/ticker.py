"""Ticks are daemon threads of this process, not schedules of the engine's database.

A DBOS schedule fires once per cluster instead of in every process, at full seconds at best and with jitter,
writes a row per tick, and dies with a deleted engine database. A tick here has none of these properties, and
can be woken early.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable

from ladenbuch.errors import LadenbuchError

log = logging.getLogger(__name__)

_JOIN_SECONDS = 10.0


class Ticker:
    """One periodic call in its own daemon thread, so that a slow one holds up no other."""

    def __init__(self, name: str, seconds: float, fn: Callable[[], None]) -> None:
        if seconds <= 0:
            raise ValueError("a tick needs a positive period")
        self._name = name
        self._seconds = seconds
        self._fn = fn
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._loop, name=f"tick-{self._name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def join(self, seconds: float = _JOIN_SECONDS) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=seconds)

    def _loop(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                self._fn()
            except LadenbuchError as error:
                log.error("tick %s: %s", self._name, error)
            except Exception as error:
                where = "".join(traceback.format_tb(error.__traceback__))
                log.error("tick %s failed with %s\n%s", self._name, type(error).__name__, where)
            self._wake.wait(self._seconds)
