"""Money of a gateway that is connected in sevdesk: its feed brings the line, and we find it (bookkeeping 4.2, 5.8).

Nothing is created. A line that names the provider's payment id is that payment and no other. Without a name, exactly
one free line of the amount within three days is the payment, unless a payment of another order may be it as well.
Anything else stays open and listed: first it waits, for feeds are late, and after a week a person is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from ladenbuch.domain.facts import Problem, moved, moved_at
from ladenbuch.domain.order import Payment
from ladenbuch.domain.profile import Profile

#: How many days the line may be dated before or after the transaction.
DAYS = 3
#: How long a word of letters and digits is that may be a provider's id and nothing else.
_TELLING = 8
#: How long nobody is asked about a line that has not come.
PATIENCE = timedelta(days=7)
#: When an open payment is looked at again, from its own instant on; then every day for another month.
_LOOKS = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), *(timedelta(days=day) for day in range(1, 38)))


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line a feed brought to an account in sevdesk and nobody linked yet. `amount` in minor units, signed.

    `contested`: a payment of another order may be it as well.
    """

    id: str
    account: str
    amount: int
    value_date: date
    text: str = field(default="", repr=False)
    contested: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Lines somebody should look up: those of an account dated from `first` to `last`, of an amount."""

    account: str
    first: date
    last: date
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Rival:
    """A payment of another order whose line is not known. `account`: the one its feed fills, None: nobody knows."""

    account: str | None
    amount: int
    day: date
    reference: str | None = None

    def may_be(self, line: FeedLine) -> bool:
        """Whether the line may be this payment."""
        near = line.amount == self.amount and abs((line.value_date - self.day).days) <= DAYS
        return near and self.account in (None, line.account)


def wanted(payment: Payment, account: str, profile: Profile) -> Wanted:
    """Where the line of a payment would stand."""
    day = _day(payment, profile)
    return Wanted(account, day - timedelta(days=DAYS), day + timedelta(days=DAYS), moved(payment))


def left_by(rivals: Sequence[Rival], lines: Sequence[FeedLine]) -> tuple[FeedLine, ...]:
    """The lines without those that name a payment of another order, each marked where such a payment may be it."""
    named = {line.id for line in lines for rival in rivals if rival.may_be(line) and _names(rival.reference, line)}
    known = [rival for rival in rivals if any(rival.may_be(line) and _names(rival.reference, line) for line in lines)]
    rest = [rival for rival in rivals if rival not in known]
    return tuple(
        replace(line, contested=any(rival.may_be(line) for rival in rest)) for line in lines if line.id not in named
    )


def lines_of(
    payments: Sequence[Payment], accounts: Mapping[str, str], lines: Sequence[FeedLine], profile: Profile
) -> dict[str, FeedLine]:
    """The line of each payment that has exactly one. `accounts`: payment id -> the account its feed fills.

    A line that could be two payments is neither's.
    """
    near = {
        payment.id: [line for line in lines if line.account == accounts[payment.id] and _near(payment, line, profile)]
        for payment in payments
    }
    named = {item.id: [line for line in near[item.id] if _names(item.payment_id, line)] for item in payments}
    told = {line.id for some in named.values() for line in some}
    found: dict[str, FeedLine] = {}
    for payment in payments:
        of_it = named[payment.id]
        if not of_it:
            of_it = [line for line in near[payment.id] if line.id not in told and not _names_another(payment, line)]
        if len(of_it) == 1 and (named[payment.id] or not of_it[0].contested):
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


def _words(text: str | None) -> tuple[str, ...]:
    return tuple("".join(char if char.isalnum() else " " for char in (text or "").casefold()).split())


def _runs(line: FeedLine, length: int) -> list[tuple[str, ...]]:
    words = _words(line.text)
    return [words[start : start + length] for start in range(len(words) - length + 1)]


def _names(reference: str | None, line: FeedLine) -> bool:
    """Whether the provider's id of a payment stands in the line, as words of its own."""
    mine = _words(reference)
    return bool(mine) and (mine in _runs(line, len(mine)) or ("".join(mine),) in _runs(line, 1))


def _names_another(payment: Payment, line: FeedLine) -> bool:
    """Whether what stands in the line looks like a provider's id, and is not this payment's."""
    mine = _words(payment.payment_id)
    if not any(len(word) >= _TELLING and not word.isalpha() and not word.isdigit() for word in mine):
        return False
    return any(_shape(run) == _shape(mine) for run in _runs(line, len(mine)))


def _shape(words: tuple[str, ...]) -> list[tuple[int, bool, bool]]:
    return [(len(word), word.isalpha(), word.isdigit()) for word in words]


def _day(payment: Payment, profile: Profile) -> date:
    at = moved_at(payment)
    assert at is not None
    return profile.local_date(at)
