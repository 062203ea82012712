"""Standard error: what goes on, and the one question before something is written. Standard output stays for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ladenbuch.errors import UsageError

#: Seconds between two lines of progress where nobody watches a bar.
_EVERY = 10.0


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on standard error while somebody watches, else a line now and then. `total` None: nobody knows yet."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)
        return
    count, last = 0, time.monotonic()

    def step() -> None:
        nonlocal count, last
        count += 1
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            say(f"{what}: {count}" + (f" of {total}" if total is not None else ""))

    yield step


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A line on standard error now and then: how many are done, of how many as far as is known."""
    last = time.monotonic()

    def seen(done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            say(f"{what}: {done} of {total}")

    yield seen


def confirm(question: str, otherwise: str) -> None:
    """Ask on standard error, answered on standard input.

    Raises UsageError("CONFIRM") for anything but yes; `otherwise` says what then holds.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    if not answer:
        raise UsageError("CONFIRM", "nobody confirmed; say --yes to go on without being asked")
    if answer.strip().lower() not in ("y", "yes", "j", "ja"):
        raise UsageError("CONFIRM", f"not confirmed: {otherwise}")
