"""Whether our clock is right, judged by the dates of other people's answers. Pure.

A date has whole seconds and was written at some moment between a question and its answer, so each answer tells two
bounds. They are held against a count of seconds that nobody sets (`at`), not against the clock that is judged: when
that one is put right, what was heard before says so at once.

One wrong date is outvoted by the others of its service (medians), a service whose clock is wrong by the other service:
ours is off only where all who were heard lately say so, in the same direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low

#: Seconds our clock may be off: beyond it a document may get another day, a number another order.
LIMIT = 60.0
#: Where it is right again.
CALM = 50.0
#: Answers of a service that count, how many there must be, and after how many seconds one says nothing any more.
LAST, ENOUGH, AGE = 5, 3, 900.0


@dataclass(frozen=True, slots=True)
class Dated:
    """An answer heard at `at`: the service's clock (seconds since 1970) less `at` is `least` at least, `most` at
    most."""

    at: float
    least: float
    most: float


def dated(sent: float, heard: float, date: float) -> Dated | None:
    """What an answer tells: `date` is its whole second; None where it was heard before it was asked."""
    return Dated(heard, date - heard, date + 1.0 - sent) if heard >= sent else None


def ahead(answers: Sequence[Dated], clock: float, now: float) -> tuple[float, float] | None:
    """How many seconds our `clock` is ahead of a service's, at least and at most (negative: behind it), at `now` of the
    count; None where too little was heard lately."""
    known = [one for one in answers if now - one.at <= AGE][-LAST:]
    if len(known) < ENOUGH:
        return None
    here = clock - now
    return here - median_low(one.most for one in known), here - median_low(one.least for one in known)


def off(services: Iterable[tuple[float, float]], limit: float = LIMIT) -> float | None:
    """How many seconds our clock is off at least: positive ahead, negative behind; None where it is not, or where the
    services do not agree that it is. `services`: what `ahead` says of each."""
    bounds = list(services)
    if bounds and all(least > limit for least, _ in bounds):
        return min(least for least, _ in bounds)
    if bounds and all(most < -limit for _, most in bounds):
        return max(most for _, most in bounds)
    return None
