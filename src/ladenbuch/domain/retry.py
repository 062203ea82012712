"""Later, never, ask: the retry policy as a value. Nothing that decides also sleeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: Seconds between attempts; the last step repeats.
LADDER = (2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """When to try again (UTC), and why it waits."""

    at: datetime
    why: str


def retry_at(
    now: datetime,
    attempt: int,
    why: str,
    *,
    after: float | None = None,
    ladder: Sequence[float] = LADDER,
    jitter: float = 0.0,
) -> RetryDecision:
    """The next attempt after `attempt` failed ones (0 = first failure).

    `after` is what the other side asked for, in seconds: never earlier than that. `jitter` in [-1, 1] moves the
    step by up to 20 %, so that many orders do not come back in one instant; the caller draws it.
    """
    step = ladder[min(max(attempt, 0), len(ladder) - 1)]
    seconds = step * (1 + 0.2 * max(-1.0, min(1.0, jitter)))
    if after is not None:
        seconds = max(seconds, after)
    return RetryDecision(now + timedelta(seconds=seconds), why)
