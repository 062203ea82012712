"""How many orders wait, why, and until when: one verdict from figures that others count. Pure.

    blocked   the database, a stop of writing, a service that is down: nobody can say more than "not before that ends"
    slowed    a budget that is used up: named beside the hour
    else      the hour alone, from how fast orders were settled lately

The pace is that of the orders settled since the first one of the last minutes, so that it does not matter when work
began. Shops have budgets of their own: the slowest of those that wait says when all is done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

Cause = Literal["database", "stopped", "shopify-down", "sevdesk-down", "shopify-budget", "sevdesk-rate"]

#: How far back orders are counted for the pace; how many there must be; how old the last may be.
WINDOW, ENOUGH, RECENT = timedelta(minutes=10), 3, timedelta(minutes=3)
#: The used share of a budget from which it is what holds up.
_FULL = 0.8
#: A backlog that is done so soon is none to speak of, and so few orders neither.
_SOON, _FEW = timedelta(seconds=60), 10
#: The code under which most orders wait names what slows them down.
_BY_CODE: Mapping[str, Cause] = {
    "SHOPIFY-THROTTLED": "shopify-budget",
    "SEVDESK-BUDGET": "sevdesk-rate",
    "SEVDESK-BUSY": "sevdesk-rate",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A shop's orders: `orders` wait, `done` were settled in the last `WINDOW`, the first of them at `first`."""

    orders: int
    done: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What else is known. `down`: services that answer nothing, and since when; `stop`: why nothing is written;
    `used`: the fullest budget of each service, 0 to 1; `codes`: orders by the code under which they wait."""

    unwritable: bool = False
    stop: str | None = None
    down: Mapping[str, datetime] | None = None
    used: Mapping[str, float] | None = None
    codes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """`orders` wait. `blocked`: not before the cause ends. `until`: about when all are done, None where nobody can
    say; `since`: when the cause began, where that is known; `reason`: of a stop."""

    orders: int
    cause: Cause | None = None
    blocked: bool = False
    since: datetime | None = None
    reason: str = ""
    until: datetime | None = None

    def worth_saying(self, now: datetime) -> bool:
        """Whether a person should read of it."""
        if self.cause == "database":
            return True
        if self.orders == 0:
            return False
        if self.blocked:
            return True
        return self.orders >= _FEW if self.until is None else self.until - now >= _SOON

    def as_json(self) -> dict[str, Any]:
        """For /readyz and the command line."""
        return {
            "orders": self.orders,
            "cause": self.cause,
            "blocked": self.blocked,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }


def backlog(shops: Collection[Waiting], known: Known, now: datetime) -> Backlog:
    """What to say of orders that wait."""
    orders = sum(one.orders for one in shops)
    if known.unwritable:
        return Backlog(orders, "database", blocked=True)
    if known.stop is not None:
        return Backlog(orders, "stopped", blocked=True, reason=known.stop)
    for service, cause in (("sevdesk", "sevdesk-down"), ("shopify", "shopify-down")):
        if service in (known.down or {}):
            return Backlog(orders, cause, blocked=True, since=(known.down or {})[service])  # type: ignore[arg-type]
    return Backlog(orders, _slowed(known, orders), until=_until(shops, now))


def _slowed(known: Known, orders: int) -> Cause | None:
    codes = {code: count for code, count in (known.codes or {}).items() if code in _BY_CODE}
    if codes and 2 * sum(codes.values()) >= orders:
        return _BY_CODE[max(codes, key=lambda code: codes[code])]
    used = known.used or {}
    shopify, sevdesk = used.get("shopify", 0.0), used.get("sevdesk", 0.0)
    if max(shopify, sevdesk) < _FULL:
        return None
    return "shopify-budget" if shopify >= sevdesk else "sevdesk-rate"


def _until(shops: Collection[Waiting], now: datetime) -> datetime | None:
    """When the slowest is done; a shop of which nothing was settled lately goes as fast as all together."""
    together = _pace(sum(one.done for one in shops), *_ends(shops), now)
    waits = []
    for one in shops:
        if not one.orders:
            continue
        pace = _pace(one.done, one.first, one.last, now) or together
        if pace is None:
            return None
        waits.append(one.orders * pace)
    return now + max(waits, default=timedelta(0))


def _ends(shops: Collection[Waiting]) -> tuple[datetime | None, datetime | None]:
    first = [one.first for one in shops if one.first is not None]
    last = [one.last for one in shops if one.last is not None]
    return min(first, default=None), max(last, default=None)


def _pace(done: int, first: datetime | None, last: datetime | None, now: datetime) -> timedelta | None:
    """Time for one order; None where too few were settled, or none lately."""
    if first is None or last is None or done < ENOUGH or now - last > RECENT:
        return None
    return (now - first) // done
