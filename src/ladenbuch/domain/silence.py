"""When silence is a sign: pure detectors, each a verdict with its figures.

    unheard   changes of orders that the poll found and no webhook told of
    few       far fewer orders than in the same hours of earlier weeks
    overdue   something that should have happened by now

A detector knows no clock and no shop; what it says is raised and ended as an alarm by `workflows.silence`. Each has two
thresholds, one to begin and a lower one to end, so that an alarm does not flicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

#: "on": there is a cause; "off": it is gone; "as it was": too little is known to say either.
Verdict = Literal["on", "off", "as it was"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is too long and too few. Values with reasons; those a person may set are in the settings.

    grace     a webhook usually comes within seconds; younger changes say nothing yet
    patience  after so long even a single change nobody told of is a sign: Shopify's first retries are over
    few       so many changes nobody told of are no coincidence: single deliveries do get lost
    untried   longest wait of an order for its first try: the promise is five minutes
    polls     so many intervals without a successful poll: one may fail, two in a row seldom do
    weeks     as many earlier weeks are compared, and at least `least_weeks` must be known
    windows   hours, the shortest first: the busier a shop, the sooner its silence is a sign
    doubt     how improbable too few must be, as -ln(p): 12 is one in 160,000
    """

    grace: timedelta = timedelta(seconds=20)
    patience: timedelta = timedelta(minutes=5)
    few: int = 3
    untried: timedelta = timedelta(minutes=5)
    polls: Decimal = Decimal("2.5")
    weeks: int = 8
    least_weeks: int = 4
    windows: tuple[int, ...] = (1, 2, 4, 8, 24)
    doubt: int = 12


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True)
class Change:
    """An order that changed in the shop at an instant, and whether a webhook told of it."""

    at: datetime
    told: bool


@dataclass(frozen=True, slots=True)
class Unheard:
    """`count` changes of orders were found that no webhook told of."""

    verdict: Verdict
    count: int


def unheard(changes: Sequence[Change], last_told: datetime | None, now: datetime, limit: Thresholds) -> Unheard:
    """Whether webhooks do not come. `changes`: what the poll saw of the last minutes; `last_told`: the newest webhook.

    On: several changes were not told of, and they are half of all or more; or one was not for long, and nothing was
    heard since. Off: the newest change that is old enough was told of and most others too, or something was heard
    after everything that was not.
    """
    old = sorted((one for one in changes if now - one.at >= limit.grace), key=lambda one: one.at)
    missed = [one for one in old if not one.told]
    if not missed:
        return Unheard("off" if old else "as it was", 0)
    since = last_told is not None and last_told > missed[-1].at
    if since and (old[-1].told or 2 * len(missed) < len(old)):
        return Unheard("off", len(missed))
    many = len(missed) >= limit.few and 2 * len(missed) >= len(old)
    long = not since and now - missed[0].at >= limit.patience
    return Unheard("on" if many or long else "as it was", len(missed))


@dataclass(frozen=True, slots=True)
class Few:
    """`count` orders in the last `hours`; `least` were to be expected."""

    verdict: Verdict
    hours: int = 0
    count: int = 0
    least: int = 0


_HOURS_OF_WEEK = 168


def few(hours: Mapping[int, int], known_weeks: int, limit: Thresholds) -> Few:
    """Whether too few orders came. `hours`: how many orders came between n and n + 1 hours ago, where any did.

    A third of the weakest of the earlier weeks is taken as the rate (sales swing by more than chance alone), and the
    chance of as few or fewer under it is bounded by Chernoff: exp(-(rate - count + count ln(count / rate))). Sums of
    integers decide; a shop that sold next to nothing in one of those weeks is never too quiet.
    """
    weeks = min(limit.weeks, known_weeks)
    if weeks < limit.least_weeks:
        return Few("as it was")
    calm = True
    for width in limit.windows:
        past = [_sum(hours, week * _HOURS_OF_WEEK, width) for week in range(1, weeks + 1)]
        least, count = Decimal(min(past)) / Decimal(3), _sum(hours, 0, width)
        doubt = _doubt(least, Decimal(count))
        if doubt >= limit.doubt:
            return Few("on", width, count, min(past))
        calm = calm and doubt * 4 < limit.doubt
    return Few("off" if calm else "as it was")


def _sum(hours: Mapping[int, int], first: int, width: int) -> int:
    return sum(hours.get(hour, 0) for hour in range(first, first + width))


def _doubt(rate: Decimal, count: Decimal) -> Decimal:
    """-ln of a bound of the chance of `count` or fewer where `rate` is the mean; 0 where that is no surprise."""
    if count >= rate:
        return Decimal(0)
    return rate - count + (count * (count.ln() - rate.ln()) if count else Decimal(0))


def overdue(last: datetime, now: datetime, allowed: timedelta) -> tuple[Verdict, int]:
    """Whether what happened last at `last` should have happened again; and the minutes since."""
    waited = now - last
    return "on" if waited > allowed else "off", max(0, waited // timedelta(minutes=1))
