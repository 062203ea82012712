"""Money of a gateway that is connected in sevdesk: its feed brings the line, and we find it (bookkeeping 4.2, 5.8).

Nothing is created. Exactly one free line of the amount within three days is the payment; where lines name the
provider's payment id, only those count. Anything else stays open and listed: first it waits, for feeds are late, and
after a week a person is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ladenbuch.domain.facts import Problem, moved, moved_at
from ladenbuch.domain.order import Payment
from ladenbuch.domain.profile import Profile

#: How many days the line may be dated before or after the transaction.
DAYS = 3
#: How long nobody is asked about a line that has not come.
PATIENCE = timedelta(days=7)
#: When an open payment is looked at again, from its own instant on; then every day for another month.
_LOOKS = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), *(timedelta(days=day) for day in range(1, 38)))


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line a feed brought to an account in sevdesk and nobody linked yet. `amount` in minor units, signed."""

    id: str
    account: str
    amount: int
    value_date: date
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Lines somebody should look up: those of an account dated from `first` to `last`."""

    account: str
    first: date
    last: date


def wanted(payment: Payment, account: str, profile: Profile) -> Wanted:
    """Where the line of a payment would stand."""
    day = _day(payment, profile)
    return Wanted(account, day - timedelta(days=DAYS), day + timedelta(days=DAYS))


def lines_of(
    payments: Sequence[Payment], accounts: Mapping[str, str], lines: Sequence[FeedLine], profile: Profile
) -> dict[str, FeedLine]:
    """The line of each payment that has exactly one. `accounts`: payment id -> the account its feed fills.

    A line that could be two payments of the order is neither's.
    """
    found: dict[str, FeedLine] = {}
    for payment in payments:
        near = [line for line in lines if line.account == accounts[payment.id] and _near(payment, line, profile)]
        named = [line for line in near if _names(payment, line)]
        of_it = named or near
        if len(of_it) == 1:
            found[payment.id] = of_it[0]
    claims = Counter(line.id for line in found.values())
    return {payment: line for payment, line in found.items() if claims[line.id] == 1}


def still_open(payment: Payment, now: datetime) -> Problem:
    """What is said about a payment whose line is not there yet; `now` only tells whether it has been long enough."""
    if not overdue(payment, now):
        message = f"the line of {payment.gateway} has not come in sevdesk yet"
        return Problem("FEED-WAITING", message, (payment.id,))
    message = f"no line of {payment.gateway} in sevdesk is surely this payment, {PATIENCE.days} days after it"
    return Problem("FEED-UNMATCHED", message, (payment.id,), ("link the payment in sevdesk", "book by hand"))


def overdue(payment: Payment, now: datetime) -> bool:
    """Whether a person is asked by now."""
    at = moved_at(payment)
    return at is not None and now >= at + PATIENCE


def look_again(payment: Payment, now: datetime) -> datetime | None:
    """When the line is looked for next; None when the feed had its time."""
    at = moved_at(payment)
    return None if at is None else next((at + wait for wait in _LOOKS if at + wait > now), None)


def _near(payment: Payment, line: FeedLine, profile: Profile) -> bool:
    return line.amount == moved(payment) and abs((line.value_date - _day(payment, profile)).days) <= DAYS


def _names(payment: Payment, line: FeedLine) -> bool:
    """Whether the provider's id of the payment stands in the line, as a word of its own."""
    words = "".join(char if char.isalnum() else " " for char in line.text.casefold()).split()
    mine = "".join(char for char in (payment.payment_id or "").casefold() if char.isalnum())
    return bool(mine) and mine in words


def _day(payment: Payment, profile: Profile) -> date:
    at = moved_at(payment)
    assert at is not None
    return profile.local_date(at)
