"""Whether a shop that uses a published app may be worked for: what Shopify says of its subscription, as a verdict.

    what was read                          verdict
    an active subscription                 trial while its trial runs, then entitled
    none, and the shop came lately         trial (ours) until `trial_days` after it came
    none                                   grace until `grace_days` after that was first seen, then not entitled
    nothing: Shopify could not be asked    unknown: whatever held before goes on, the last answer is kept

A merchant's books are not stopped because somebody else's server is down, and orders above a plan's number never stop
anything either: they are counted and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["entitled", "trial", "grace", "not entitled", "unknown"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a shop bought and has now. Instants are aware UTC; `test`: no money moves, for development stores only.

    `cancels`: it ends with its cycle. A one-time purchase is one without a cycle.
    """

    plan: str
    test: bool = False
    trial_ends_at: datetime | None = None
    cycle_starts_at: datetime | None = None
    cycle_ends_at: datetime | None = None
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Nobody answered, or nothing one could read; `code` says why."""

    code: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator grants: days without a plan, days after one is missing, orders each plan includes per cycle."""

    trial_days: int = 14
    grace_days: int = 14
    plans: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A verdict in a sentence. `until`: when it changes by itself, None when it does not; `over`: orders above it.

    `missing_since` is when a subscription was first missed, to be handed in again next time.
    """

    kind: Kind
    sentence: str
    until: datetime | None = None
    plan: str | None = None
    over: int = 0
    missing_since: datetime | None = None


def entitlement(
    read: Subscription | Unreadable | None,
    now: datetime,
    terms: Terms,
    *,
    came: datetime,
    missing_since: datetime | None = None,
    development: bool = False,
    orders: int = 0,
) -> Entitlement:
    """The verdict at `now`. `came`: when the shop installed the app; `missing_since`: of the verdict before.

    `development`: the shop is a development store, whose test purchases count; `orders`: documented in this cycle.
    """
    if isinstance(read, Unreadable):
        sentence = f"Shopify did not say whether there is a subscription ({read.code}); everything stays as it was."
        return Entitlement("unknown", sentence, missing_since=missing_since)
    if read is not None and (development or not read.test):
        return _subscribed(read, now, terms, orders)
    return _without(now, terms, came, missing_since, tested=read is not None)


def _subscribed(has: Subscription, now: datetime, terms: Terms, orders: int) -> Entitlement:
    included = terms.plans.get(has.plan)
    over = 0 if included is None else max(0, orders - included)
    more = f" {over} orders above the {included} of the plan." if over else ""
    if has.trial_ends_at is not None and now < has.trial_ends_at:
        sentence = f"The plan {has.plan} is on trial until {_day(has.trial_ends_at)}.{more}"
        return Entitlement("trial", sentence, has.trial_ends_at, has.plan, over)
    if has.cancels and has.cycle_ends_at is not None:
        sentence = f"The plan {has.plan} was cancelled and ends on {_day(has.cycle_ends_at)}.{more}"
        return Entitlement("entitled", sentence, has.cycle_ends_at, has.plan, over)
    return Entitlement("entitled", f"The plan {has.plan} is active.{more}", None, has.plan, over)


def _without(
    now: datetime, terms: Terms, came: datetime, missing_since: datetime | None, *, tested: bool
) -> Entitlement:
    why = "The only subscription is a test one." if tested else "There is no active subscription."
    trial = came + timedelta(days=terms.trial_days)
    if now < trial:
        return Entitlement("trial", f"{why} The trial runs until {_day(trial)}.", trial)
    since = now if missing_since is None else missing_since
    until = since + timedelta(days=terms.grace_days)
    if now < until:
        return Entitlement("grace", f"{why} Work goes on until {_day(until)}.", until, missing_since=since)
    return Entitlement("not entitled", f"{why} It was missed on {_day(since)} first.", None, missing_since=since)


def _day(instant: datetime) -> str:
    return instant.date().isoformat()
