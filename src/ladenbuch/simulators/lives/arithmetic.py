"""The shop's own integer-cent arithmetic. Rates are per mille of the net price: 190 is 19 %, 255 is 25.5 %."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

_BERLIN = ZoneInfo("Europe/Berlin")


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves away from zero. `denominator` > 0."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def contained(gross: int, rate: int) -> int:
    """The tax inside a gross price, in cents."""
    return half_up(gross * rate, 1000 + rate)


def added(net: int, rate: int) -> int:
    """The tax on top of a net price, in cents."""
    return half_up(net * rate, 1000)


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """`total` cents in shares proportional to `weights` (largest remainder, ties to the earlier); exact sum."""
    weight = sum(weights)
    if weight == 0:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    sign = -1 if total < 0 else 1
    shares = [abs(total) * w // weight for w in weights]
    missing = abs(total) - sum(shares)
    order = sorted(range(len(weights)), key=lambda i: (-(abs(total) * weights[i] % weight), i))
    for i in order[:missing]:
        shares[i] += 1
    return [sign * share for share in shares]


def rate_key(rate: int) -> str:
    """The rate in percent as text: 190 -> "19", 255 -> "25.5"."""
    return str(rate // 10) if rate % 10 == 0 else f"{rate // 10}.{rate % 10}"


def amount(cents: int) -> str:
    """Cents as Shopify's decimal text with two places."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


@lru_cache(maxsize=200_000)
def money(cents: int, currency: str) -> dict[str, str]:
    """A MoneyV2."""
    return {"amount": amount(cents), "currencyCode": currency}


@lru_cache(maxsize=200_000)
def bag(cents: int, shop: str = "EUR", buyer: str = "EUR", course: int = 1000) -> dict[str, Any]:
    """A MoneyBag; `course` is the buyer's currency per thousand of the shop's. Shared: never change it in place."""
    seen = cents if course == 1000 else half_up(cents * course, 1000)
    return {"shopMoney": money(cents, shop), "presentmentMoney": money(seen, buyer)}


@lru_cache(maxsize=4096)
def rate_text(rate: int) -> tuple[float, float]:
    """Shopify's `rate` (0.19) and `ratePercentage` (19.0)."""
    return rate / 1000, rate / 10


@lru_cache(maxsize=65536)
def iso(second: int) -> str:
    """A second since the epoch as Shopify writes instants (UTC)."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def last_second_of_month(second: int) -> int:
    """The last second of the month in Germany to which an epoch second belongs."""
    day = datetime.fromtimestamp(second, _BERLIN)
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=_BERLIN)
    return int(following.timestamp()) - 1
