"""Days of a gateway's account that are over: what was matched to the cent then is a sum, and is not read again. Pure.

Facts that speak of the same (a transaction with its line, a payout with its parts, fees and transfers) are over
together: all of them lie behind, nothing differs, nothing is asked about. Every other fact is carried on, however old.
So a comparison with the sums and what is carried says the same as one with everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from ladenbuch.domain.balance import OF_ORDERS, RESERVES, Movement
from ladenbuch.domain.books import transaction_of
from ladenbuch.domain.clearing import BookLine, differences
from ladenbuch.domain.payouts import KnownPayout, Terms, is_whole

#: How old facts are that nobody looks at again: no bank sends a payout back after that, and no line is that late.
AGE = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Closed:
    """What is over up to a day: the provider's net, its reserve and our lines, in minor units; and what is not over, of
    the same days, by id or key. `guard` is what the stores held of those days: where they hold else, nothing is over.
    """

    day: date
    net: int = 0
    reserved: int = 0
    lines: int = 0
    movements: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    payouts: tuple[str, ...] = ()
    of: str = ""
    guard: tuple[int, ...] = ()

    @property
    def cut(self) -> datetime:
        """The instant behind which movements and payouts are read."""
        return cut_of(self.day)


@dataclass(slots=True)
class _Group:
    movements: list[Movement] = field(default_factory=list)
    lines: list[BookLine] = field(default_factory=list)
    payouts: list[KnownPayout] = field(default_factory=list)


def cut_of(day: date) -> datetime:
    """The end of a day that is over."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def close(
    terms: Terms,
    day: date,
    before: Closed | None,
    payouts: Iterable[KnownPayout],
    movements: Iterable[Movement],
    lines: Iterable[BookLine],
    unbooked: Collection[str],
) -> Closed:
    """What is over up to a day, of what was not `before`. `unbooked`: payouts whose fees nothing pays yet."""
    cut = cut_of(day)
    net, reserved, sums = (before.net, before.reserved, before.lines) if before is not None else (0, 0, 0)
    kept = _Group()
    for group in _groups(payouts, movements, lines):
        if not _over(terms, day, group, unbooked):
            kept.movements += [item for item in group.movements if item.at < cut]
            kept.lines += [item for item in group.lines if item.day <= day]
            kept.payouts += [item for item in group.payouts if item.payout.issued_at < cut]
            continue
        mine = [item for item in group.movements if item.at >= terms.start]
        net += sum(item.net for item in mine)
        reserved -= sum(item.amount for item in mine if item.type in RESERVES)
        sums += sum(item.amount for item in group.lines)
    return Closed(
        day,
        net,
        reserved,
        sums,
        tuple(sorted(item.id for item in kept.movements)),
        tuple(sorted(item.key for item in kept.lines)),
        tuple(sorted(item.id for item in kept.payouts)),
    )


def _over(terms: Terms, day: date, group: _Group, unbooked: Collection[str]) -> bool:
    cut = cut_of(day)
    if any(item.at >= cut or item.currency != terms.currency for item in group.movements):
        return False
    if any(item.day > day for item in group.lines):
        return False
    for item in group.payouts:
        parts = [one for one in group.movements if one.payout_id == item.id]
        if item.payout.status not in ("PAID", "FAILED", "CANCELED") or item.payout.currency != terms.currency:
            return False
        if item.payout.status == "PAID" and (item.paid_on is None or item.paid_on > day):
            return False
        if item.payout.issued_at < terms.start or item.payout.issued_at >= cut or item.id in unbooked:
            return False
        if parts and not is_whole(item.payout, parts):
            return False
    if any(item.payout_id not in {one.id for one in group.payouts} for item in group.movements if not item.is_transfer):
        return False  # not paid out yet, or its payout is not known
    moved = [item for item in group.movements if item.at >= terms.start]
    return not any(differences(terms, day, group.payouts, moved, group.lines))


def _groups(
    payouts: Iterable[KnownPayout], movements: Iterable[Movement], lines: Iterable[BookLine]
) -> Iterator[_Group]:
    """Facts that speak of the same, directly or through others."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(one: tuple[str, str]) -> tuple[str, str]:
        above.setdefault(one, one)
        while above[one] != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    facts: list[tuple[Movement | BookLine | KnownPayout, list[tuple[str, str]]]] = []
    facts += [(item, _of_movement(item)) for item in movements]
    facts += [(item, _of_line(item)) for item in lines]
    facts += [(item, [("payout", item.id), ("number", item.payout.number)]) for item in payouts]
    for _, marks in facts:
        for mark in marks[1:]:
            above[top(mark)] = top(marks[0])
    found: dict[tuple[str, str], _Group] = {}
    for fact, marks in facts:
        group = found.setdefault(top(marks[0]), _Group())
        if isinstance(fact, Movement):
            group.movements.append(fact)
        elif isinstance(fact, BookLine):
            group.lines.append(fact)
        else:
            group.payouts.append(fact)
    yield from found.values()


def _of_movement(item: Movement) -> list[tuple[str, str]]:
    if item.type in OF_ORDERS:
        marks = [("transaction", item.order_transaction or item.id)]
    else:
        marks = [("movement", item.id)]
    if item.payout_id is not None:
        marks.append(("payout", item.payout_id))
    if item.is_transfer and item.source_id is not None:
        marks.append(("number", item.source_id))
    return marks


def _of_line(line: BookLine) -> list[tuple[str, str]]:
    if line.kind == "order":
        return [("transaction", transaction_of(line.about))]
    return [("movement" if line.kind in ("dispute", "adjustment") else "payout", line.about)]
