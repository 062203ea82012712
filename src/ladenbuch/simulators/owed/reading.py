"""Reading a snapshot: amounts, instants, rates, and which rate how much of a sale belongs to.

In go parts of an order as the Admin API shows it; out come integer cents, rates in percent as text ("19", "25.5"),
aware instants and days in Berlin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

Node = Mapping[str, Any]
BERLIN = ZoneInfo("Europe/Berlin")
#: What a successful transaction of a kind does to the money kept.
DIRECTION = {"SALE": 1, "CAPTURE": 1, "REFUND": -1, "CHANGE": -1}


def cents(value: Node | None) -> int:
    """The shop amount of a MoneyBag; ValueError when it has more than two places."""
    text = "0" if value is None else str(value["shopMoney"]["amount"])
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, part = digits.partition(".")
    if len(part.rstrip("0")) > 2:
        raise ValueError("an amount finer than a cent")
    return sign * (int(whole) * 100 + int((part + "00")[:2]))


def instant(text: str) -> datetime:
    """An instant as Shopify or a simulator writes it."""
    return datetime.fromisoformat(text)


def berlin_day(moment: datetime) -> date:
    """The calendar day in Germany."""
    return moment.astimezone(BERLIN).date()


def number_of(gid: str) -> str:
    """The number at the end of a gid."""
    return gid.rsplit("/", 1)[-1]


def rate_of(tax: Node) -> str:
    """The rate of a SaleTax."""
    text = f"{float(tax['taxLine']['ratePercentage']):.4f}".rstrip("0").rstrip(".")
    return text or "0"


def taxes_of(sale: Node) -> dict[str, int]:
    """Tax cents of a sale per rate, signed."""
    return {rate_of(entry): cents(entry["amount"]) for entry in sale["taxes"]}


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """`total` >= 0 in proportion to `weights`, largest remainder, ties to the earlier; all to the first if all 0."""
    whole = sum(weights)
    if whole == 0:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    parts = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_rest[: total - sum(parts)]:
        parts[index] += 1
    return parts


def by_rate_first(rates: Mapping[str, int]) -> list[str]:
    """Rates, highest first: the order in which ties are broken."""
    return sorted(rates, key=float, reverse=True)


def split(total: int, taxes: Mapping[str, int], goods: Mapping[str, int]) -> dict[str, int]:
    """One price with several taxes: in the goods' proportion, moved by as little as makes every tax come out (G4)."""
    if total < 0:
        mirrored = split(-total, {rate: -tax for rate, tax in taxes.items()}, goods)
        return {rate: -part for rate, part in mirrored.items()}
    rates = by_rate_first(taxes)
    parts = spread(total, [goods.get(rate, 0) for rate in rates])
    first = dict(zip(rates, parts, strict=True))
    if len(rates) != 2:
        return first
    for distance in range(121):
        for step in (distance, -distance):
            moved = {rates[0]: parts[0] + step, rates[1]: parts[1] - step}
            if min(moved.values()) >= 0 and all(tax_inside(moved[r], r) == taxes[r] for r in rates):
                return moved
    return first


def tax_inside(gross: int, rate: str) -> int:
    """Gross less the net price rounded to the cent, as sevdesk computes it."""
    share = round(float(rate) * 100)  # percent has at most two places: exact in an int
    net = (2 * gross * 10_000 + (10_000 + share)) // (2 * (10_000 + share))
    return gross - net


def half_cent(gross: int, rate: str) -> bool:
    """Whether the tax inside a gross price is an exact half of a cent (at 20, 12 and 4 %)."""
    share = round(float(rate) * 100)
    return gross * share % (10_000 + share) * 2 == 10_000 + share
