"""What is read for a look at a gateway: the days that are not over, and what is not over of those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ladenbuch import books, payouts
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.balance import Movement
from ladenbuch.domain.clearing import BookLine
from ladenbuch.domain.closed_days import AGE, Closed, close, cut_of
from ladenbuch.domain.payouts import KnownPayout, Terms
from ladenbuch.payouts import Turn
from ladenbuch.workflows.context import Context

#: More that is not over than this is no sign of a past that is: everything is read.
_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a gateway; `over`: net, reserve and lines of what was left out."""

    turn: Turn | None
    payouts: Sequence[KnownPayout]
    movements: Sequence[Movement]
    lines: Mapping[str, Sequence[BookLine]]  # by account
    closed: Closed | None = None

    @property
    def over(self) -> tuple[int, int, int]:
        """As `domain.clearing.compare` takes it."""
        return (0, 0, 0) if self.closed is None else (self.closed.net, self.closed.reserved, self.closed.lines)


def known(tx: Transaction, tenant: str, terms: Terms, since: date | None = None) -> Known:
    """What a look from a day on needs; everything where that lies behind, or where the past is not what it was."""
    gateway, closed = terms.gateway, payouts.closed(tx, tenant, terms.gateway)
    listed = payouts.known_payouts(tx, tenant, gateway)
    if closed is not None and (closed.of != _of(terms) or (since is not None and since <= closed.day)):
        closed = None
    if closed is not None and closed.guard != _guard(tx, tenant, terms, closed.day):
        closed = None  # something of a day that is over was written late, or changed
    found = _read(tx, tenant, terms, listed, closed)
    if closed is not None:
        left = {item.payout.number for item in found.payouts}
        gone = {item.payout.number for item in listed} - left
        if any(item.source_id in gone for item in found.movements if item.is_transfer):
            return _read(tx, tenant, terms, listed, None)  # a payout came back after all
    return found


def close_days(ctx: Context, tenant: str, terms: Terms) -> None:
    """Note what is over by now, so that it is not read any more."""
    day = terms.day_of(ctx.clock()) - AGE
    if day <= terms.day_of(terms.start):
        return

    def write(tx: Transaction) -> None:
        found = known(tx, tenant, terms)
        if found.closed is not None and found.closed.day >= day:
            return
        lines = [line for some in found.lines.values() for line in some]
        unbooked = payouts.unbooked(tx, tenant, terms.gateway)
        made = close(terms, day, found.closed, found.payouts, found.movements, lines, unbooked)
        if len(made.movements) + len(made.keys) <= _MOST:
            made = replace(made, of=_of(terms), guard=_guard(tx, tenant, terms, day))
            payouts.close(tx, tenant, terms.gateway, made)

    ctx.door(tenant).run(Store.BOOKS, write)


def _read(tx: Transaction, tenant: str, terms: Terms, listed: Sequence[KnownPayout], closed: Closed | None) -> Known:
    turn, ours = payouts.turn(tx, tenant, terms.gateway), dict[str, list[BookLine]]()
    after, keys = (None, ()) if closed is None else (closed.day, closed.keys)
    for account in terms.named:
        ours[account] = payouts.lines_on(tx, tenant, account, after, keys)
        ours[account] += books.lines_on(tx, tenant, account, after, keys)
    if closed is None:
        return Known(turn, listed, payouts.known_movements(tx, tenant, terms.gateway), ours)
    listed = [item for item in listed if item.payout.issued_at >= closed.cut or item.id in closed.payouts]
    moved = payouts.known_movements(tx, tenant, terms.gateway, since=closed.cut, ids=closed.movements)
    return Known(turn, listed, moved, ours, closed)


def _of(terms: Terms) -> str:
    return " ".join((terms.start.isoformat(), terms.currency, *terms.named))


def _guard(tx: Transaction, tenant: str, terms: Terms, day: date) -> tuple[int, ...]:
    """Count and sums of what the stores hold of the days up to one."""
    found = payouts.movement_sums(tx, tenant, terms.gateway, cut_of(day))
    for account in terms.named:
        found += payouts.line_sums(tx, tenant, account, day) + books.line_sums(tx, tenant, account, day)
    return found
