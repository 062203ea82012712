"""The balance of a gateway's account on a day against the provider's: equal, or each difference by name (4.2). Pure.

    the account in sevdesk  =  the provider's unpaid balance  +  its reserve  +  payouts on their way to the bank

Both sides are sums of single facts, so a difference always has parts: fees the provider has kept and not yet put into a
payout, a charge whose order has no line yet, a line somebody else wrote. Where a later version of the profile names
another account, the account is all of them together; what moved while none was named stands elsewhere. Amounts in minor
units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.balance import FEES, OF_ORDERS, RESERVES, Movement
from ladenbuch.domain.books import transaction_of
from ladenbuch.domain.payouts import KnownPayout, Terms, returned_at

#: Differences that belong to how payments work; they go away by themselves.
EXPECTED = ("fees-pending", "opening", "elsewhere")
#: Differences that only need time while they are this young, in days.
PATIENCE = 2


@dataclass(frozen=True, slots=True)
class BookLine:
    """A line of ours on the account. `kind` order for those of orders, whose `about` is the transaction or its part."""

    key: str
    kind: str
    about: str
    amount: int
    day: date
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A part of a difference: why (`code`), how much (signed), of what, and since when."""

    code: str
    amount: int
    about: str = ""
    day: date | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class DayBalance:
    """Both sides on a day. `unpaid` without the reserve; `told` what the provider itself says its balance is now."""

    gateway: str
    currency: str
    day: date
    clearing: int
    unpaid: int
    reserved: int
    in_transit: int
    named: tuple[Named, ...]
    told: int | None = None

    @property
    def expected(self) -> int:
        """What the account should be."""
        return self.unpaid + self.reserved + self.in_transit

    @property
    def difference(self) -> int:
        """How much more stands on the account."""
        return self.clearing - self.expected

    @property
    def unexplained(self) -> int:
        """What of the difference has no name: 0 unless something here is wrong."""
        return self.difference - sum(item.amount for item in self.named)

    @property
    def astray(self) -> int:
        """How much the provider's own figure is off the sum of its movements; 0 where it was not asked."""
        return 0 if self.told is None else self.told - self.unpaid

    @property
    def findings(self) -> tuple[Named, ...]:
        """The parts of the difference a person must look at."""
        return tuple(
            item
            for item in self.named
            if item.code not in EXPECTED
            and not (item.code in _YOUNG and item.day is not None and (self.day - item.day).days <= PATIENCE)
        )

    @property
    def status(self) -> str:
        """EQUAL, NAMED (only what is expected differs), or OPEN."""
        if self.unexplained or self.findings or self.astray:
            return "OPEN"
        return "NAMED" if self.named else "EQUAL"

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        parts = [
            {"code": item.code, "amount": item.amount, "about": item.about, "order": item.order_id,
             "day": None if item.day is None else item.day.isoformat()}
            for item in self.named
        ]  # fmt: skip
        return {
            "gateway": self.gateway, "currency": self.currency, "day": self.day.isoformat(), "status": self.status,
            "clearing": self.clearing, "unpaid": self.unpaid, "reserved": self.reserved,
            "in_transit": self.in_transit, "expected": self.expected, "difference": self.difference,
            "unexplained": self.unexplained, "told": self.told, "named": parts,
        }  # fmt: skip


_YOUNG = ("order-line-missing", "order-line-ahead", "line-missing", "payout-line-missing", "fee-line-differs")


def compare(
    terms: Terms,
    day: date,
    *,
    clearing: int,
    opening: int,
    payouts: Iterable[KnownPayout],
    movements: Iterable[Movement],
    lines: Iterable[BookLine],
    told: int | None = None,
    over: tuple[int, int, int] = (0, 0, 0),
) -> DayBalance:
    """Both sides at the end of `day`.

    `clearing` is sevdesk's figure of `terms.accounts` together; `opening` the provider's balance at `terms.start`;
    `movements` all since then; `lines` all of ours on those accounts; `told` is the provider's balance now, where `day`
    is today. `over`: net, reserve and lines of what is not given any more (`domain.closed_days`).
    """
    moved = [
        item
        for item in movements
        if terms.start <= item.at and terms.day_of(item.at) <= day and item.currency == terms.currency
    ]
    listed = [item for item in payouts if item.payout.currency == terms.currency]
    written = [item for item in lines if item.day <= day]
    unpaid = opening + over[0] + sum(item.net for item in moved)
    reserved = over[1] - sum(item.amount for item in moved if item.type in RESERVES)
    under_way = [item for item in listed if _under_way(terms, item, day, moved)]
    named = list(differences(terms, day, listed, moved, written))
    first = opening + sum(item.payout.net for item in listed if _under_way_at_start(terms, item))
    if first:
        named.append(Named("opening", -first, day=terms.day_of(terms.start)))
    elsewhere = sum(item.amount for item in named if item.code == "elsewhere")
    named = [item for item in named if item.code != "elsewhere"] + (
        [Named("elsewhere", elsewhere)] if elsewhere else []
    )
    foreign = clearing - over[2] - sum(item.amount for item in written)
    if foreign:
        named.append(Named("lines-of-others", foreign, day=day))
    return DayBalance(
        terms.gateway,
        terms.currency,
        day,
        clearing,
        unpaid,
        reserved,
        sum(item.payout.net for item in under_way),
        tuple(sorted(named, key=lambda item: (item.code, item.day or day, item.about))),
        told,
    )


def differences(
    terms: Terms, day: date, payouts: Sequence[KnownPayout], moved: Sequence[Movement], lines: Sequence[BookLine]
) -> Iterator[Named]:
    """What of these facts differs at the end of a day; all in the currency of the books and not before the start."""
    yield from _of_orders(terms, moved, lines)
    yield from _of_movements(terms, moved, lines)
    yield from _of_fees(moved, lines)
    yield from _of_payouts(terms, payouts, moved, lines, day)


def _under_way(terms: Terms, item: KnownPayout, day: date, movements: Sequence[Movement]) -> bool:
    """Whether a payout had left by the end of a day and neither reached the bank nor come back."""
    if terms.day_of(item.payout.issued_at) > day or (item.paid_on is not None and item.paid_on <= day):
        return False
    back = returned_at(item.payout, movements)
    return back is None or terms.day_of(back) > day


def _under_way_at_start(terms: Terms, item: KnownPayout) -> bool:
    start = terms.day_of(terms.start)
    return item.payout.issued_at < terms.start and (item.paid_on is None or item.paid_on >= start)


def _missing(terms: Terms, code: str, at: datetime) -> str:
    """The name of what has no line: no finding where none was to be, because the gateway was not kept then (P1)."""
    return "elsewhere" if terms.account_of(at) is None else code


def _of_orders(terms: Terms, moved: Sequence[Movement], written: Sequence[BookLine]) -> Iterator[Named]:
    """Charges and refunds against the lines of their orders, transaction by transaction."""
    standing: dict[str, list[BookLine]] = {}
    for line in written:
        if line.kind == "order":
            standing.setdefault(transaction_of(line.about), []).append(line)
    for item in moved:
        if item.type not in OF_ORDERS:
            continue
        mine = standing.pop(item.order_transaction or item.id, [])
        told = item.order_name or item.order_id or item.id
        gap = sum(line.amount for line in mine) - item.amount
        if gap:
            code = "order-line-differs" if mine else _missing(terms, "order-line-missing", item.at)
            yield Named(code, gap, f"{told}: {item.order_transaction}", terms.day_of(item.at), item.order_id)
    for transaction, mine in standing.items():
        amount = sum(line.amount for line in mine)
        if amount:
            yield Named("order-line-ahead", amount, transaction, min(line.day for line in mine), mine[0].order_id)


def _of_movements(terms: Terms, moved: Sequence[Movement], written: Sequence[BookLine]) -> Iterator[Named]:
    """Disputes and adjustments against their lines."""
    standing = {line.about: line for line in written if line.kind in ("dispute", "adjustment")}
    for item in moved:
        if item.is_transfer or item.type in (*OF_ORDERS, *RESERVES, *FEES):
            continue
        line = standing.pop(item.id, None)
        gap = (0 if line is None else line.amount) - item.amount
        if gap:
            code = "line-missing" if line is not None else _missing(terms, "line-missing", item.at)
            yield Named(code, gap, f"{item.type} {item.number}", terms.day_of(item.at), item.order_id)
    for line in standing.values():
        yield Named("line-ahead", line.amount, line.key, line.day, line.order_id)


def _of_fees(moved: Sequence[Movement], written: Sequence[BookLine]) -> Iterator[Named]:
    """Fees the provider has kept, payout by payout, against those with a line; others belong to payouts to come."""
    kept: dict[str | None, int] = {}
    for item in moved:
        asked = item.fee - (item.amount if item.type in FEES else 0)
        kept[item.payout_id] = kept.get(item.payout_id, 0) + asked
    for line in written:
        if line.kind == "fee":
            gap = kept.pop(line.about, 0) + line.amount
            if gap:
                yield Named("fee-line-differs", gap, line.key, line.day)
    pending = sum(kept.values())
    if pending:
        yield Named("fees-pending", pending)


def _of_payouts(
    terms: Terms, listed: Sequence[KnownPayout], moved: Sequence[Movement], written: Sequence[BookLine], day: date
) -> Iterator[Named]:
    """Transfers against their lines."""
    sums: dict[str, int] = {}
    for line in written:
        if line.kind in ("payout", "returned"):
            sums[line.about] = sums.get(line.about, 0) + line.amount
    start = terms.day_of(terms.start)
    seen: dict[str, int] = {}
    for item in moved:
        if item.is_transfer and item.source_id is not None:
            seen[item.source_id] = seen.get(item.source_id, 0) + item.amount
    for one in listed:
        payout = one.payout
        balance = seen.pop(payout.number, 0)
        if payout.issued_at < terms.start and _under_way_at_start(terms, one):
            balance -= payout.net
        if payout.issued_at < terms.start and one.paid_on is not None and one.paid_on < start:
            continue
        under_way = payout.net if _under_way(terms, one, day, moved) else 0
        if terms.day_of(payout.issued_at) > day:
            under_way = 0
        mine = sums.pop(payout.id, None)
        gap = (mine or 0) - (balance + under_way)
        if gap:
            code = (
                "payout-line-missing" if mine is not None else _missing(terms, "payout-line-missing", payout.issued_at)
            )
            yield Named(code, gap, payout.number, one.paid_on or terms.day_of(payout.issued_at))
    for number, balance in seen.items():
        if balance:
            yield Named("payout-unknown", -balance, number)
    for about, amount in sums.items():
        if amount:
            yield Named("line-ahead", amount, about)
