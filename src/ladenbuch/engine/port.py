"""What we need of an engine, and no more, so that the choice of engine can be undone.

The engine runs a named function with string arguments (ids in) and gets a short string back (a code out).
It gives no durable sleep, no step results and no retry: a crash loses at most the hint that something was
due, because the mark in the inbox is the truth (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

CRASHED = "CRASHED"
"""The code of a run whose function raised something nobody planned for. The reason is in the log."""


class Engine(Protocol):
    """Registration and ticks come first, then `launch`, then `start` as often as needed, then `close`."""

    def register(self, name: str, fn: Callable[..., str]) -> None:
        """Make `fn` startable under `name`. Only before `launch`.

        `fn` takes the strings given to `start` and returns a code. What it raises never reaches the engine:
        a LadenbuchError becomes its code, anything else becomes CRASHED.
        """

    def every(self, name: str, seconds: float, fn: Callable[[], None]) -> None:
        """Call `fn` every `seconds` in this process, first at launch. Only before `launch`.

        Never two calls of one tick at once; a late tick is not made up for; what `fn` raises is logged.
        """

    def wake(self, name: str) -> None:
        """Let the tick `name` fire now instead of at its time. From any thread; unknown names are ignored."""

    def launch(self) -> None:
        """Begin. Raises UsageError("ENGINE-LOCKED") when another process runs under the same identity."""

    def start(self, name: str, run_id: str, *args: str) -> None:
        """Run `name` with `args` soon and return at once; a `run_id` the engine remembers is not run again.

        It forgets ended runs after some minutes and everything when its database is deleted, so a run must
        check that it still holds its mark before it does anything.
        Raises Retryable("ENGINE-DOWN") when the engine cannot take it; the caller's mark stays due.
        """

    def running(self) -> int:
        """Runs of this process that were started or recovered and have not ended."""

    def holds(self, run_id: str) -> bool:
        """Whether this run is under way in this process."""

    def alone(self) -> bool:
        """Whether this process still holds its identity, so that nobody else may work under it."""

    def forget(self, executor_id: str) -> int:
        """Drop the engine's own rows of a dead process; returns how many. Nothing happens while that one lives."""

    def close(self) -> None:
        """Stop ticking, give runs a moment to end, release the identity. Callable twice."""
