"""Until when a write may still leave this process.

A run that was stopped between its last look and its call (a suspended machine, a stalled disk) must not call when it
goes on: another run has taken over, looked, and called. Nobody can look and call in one instant, so the call is given
a last moment by whoever looked, and what speaks to the other side asks for it right before it sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

_last: ContextVar[datetime | None] = ContextVar("last_moment", default=None)


@contextmanager
def leaving_before(instant: datetime) -> Iterator[None]:
    """Writes made inside, by this thread, leave before `instant` (aware UTC) or not at all."""
    before = _last.set(instant)
    try:
        yield
    finally:
        _last.reset(before)


def too_late(now: datetime) -> bool:
    """Whether the last moment of the write this thread is about to send has passed."""
    last = _last.get()
    return last is not None and now >= last
