"""The same money on two accounts: a line of ours, and one that a feed, a file or a person brought (bookkeeping 4.2).

In: both sides' lines. Out: pairs of the same signed amount, at most two days apart, each line in one pair at most. Two
lines that each settle a document of their own are two payments, however alike. A line of theirs that settles nothing is
told; one that is linked only where it names ours, which is not: what somebody linked has found its document, and that
ours was paid by it is asked at the order (`PAID-TWICE`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

#: How many days the two lines may lie apart.
DAYS = 2


@dataclass(frozen=True, slots=True)
class OwnLine:
    """A line that stands on an account of ours because of a Shopify transaction. `amount` in minor units, signed.

    `id` is sevdesk's, None where sevdesk made the line itself. `settled`: it pays a document, or need not yet. `names`
    are words by which others would name the payment.
    """

    account: str
    amount: int
    day: date
    settled: bool
    order_id: str
    order_name: str
    id: str | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TheirLine:
    """A line that others brought. `settled`: it is linked in sevdesk. `words` of its text, see `words_of`."""

    id: str
    account: str
    amount: int
    day: date
    settled: bool
    words: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same money twice, as far as the lines tell; `named`: theirs names the order or transaction of ours."""

    ours: OwnLine
    theirs: TheirLine
    named: bool


def words_of(*texts: str | None) -> frozenset[str]:
    """The words of some texts, without punctuation and case."""
    joined = " ".join(text for text in texts if text).casefold()
    return frozenset("".join(char if char.isalnum() else " " for char in joined).split())


def pairs(ours: Iterable[OwnLine], theirs: Iterable[TheirLine], expected: Mapping[int, int]) -> list[Pair]:
    """All pairs, those named first, then the nearest.

    `expected`: amount -> how many payments of it orders wait for; so many free lines that name no line of ours are for
    them.
    """
    by_day: dict[tuple[int, date], list[OwnLine]] = defaultdict(list)
    for own in ours:
        by_day[own.amount, own.day].append(own)
    near: list[tuple[tuple[bool, int, str, str], OwnLine, TheirLine]] = []
    for line in theirs:
        for apart in range(-DAYS, DAYS + 1):
            for own in by_day.get((line.amount, line.day + timedelta(days=apart)), ()):
                if own.id == line.id or (own.settled and line.settled):
                    continue
                named = bool(own.names & line.words)
                if line.settled and not named:
                    continue
                near.append(((not named, abs(apart), own.id or own.order_id, line.id), own, line))
    waited = Counter(dict(expected))
    taken: set[OwnLine | str] = set()
    found = []
    for place, own, line in sorted(near, key=lambda item: item[0]):
        if own in taken or line.id in taken:
            continue
        named = not place[0]
        if not named and waited[line.amount] > 0:
            waited[line.amount] -= 1
            taken.add(line.id)
            continue
        taken |= {own, line.id}
        found.append(Pair(own, line, named))
    return found
