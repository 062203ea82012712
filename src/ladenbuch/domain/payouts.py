"""What follows for the books from a provider's balance: lines on the gateway's account, and fee vouchers (4.2). Pure.

    charge, refund        the orders write these lines themselves (`SHPTX <transaction>`)
    fees of a payout      `SHPFEE <payout>`, and a voucher `SHPFEE-<payout>` that the line pays
    dispute               `SHPDSP <movement>`: the money out, and back when it was won; no document (1.4)
    anything else         `SHPADJ <movement>`: a line that waits for the provider's own paper
    payout                `SHPPO <payout>` once the bank has it, `SHPPOB <payout>` when it comes back after that

So the account ends at what the provider still owes and what is on its way to the bank. A reserve stays on it: it is
still the merchant's money. Each line is written once, for ever (R7); each movement belongs to one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ladenbuch.domain.balance import DISPUTES, FEES, OF_ORDERS, RESERVES, Movement, Payout
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.providers import Provider

#: The mode in which payouts are written.
MODE = "clearing+payouts"
_RETURNED = ("TRANSFER_FAILURE", "TRANSFER_CANCEL", "TRANSFER_REFUND")


@dataclass(frozen=True, slots=True)
class KnownPayout:
    """A payout with the day the bank had it: the day it was first seen paid, or of its issue where that was missed."""

    payout: Payout
    paid_on: date | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.payout.id


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A line on the gateway's account. `key` is found again in its purpose, `text` is for people; `amount` signed.

    `about` is the id of the payout or movement it is for.
    """

    key: str
    kind: str  # payout | returned | fee | dispute | adjustment
    account: str
    amount: int
    day: date
    about: str
    text: str
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class FeeVoucher:
    """A receipt over the fees of a payout; `positions` are texts and cents, `line` the key of the line that pays it."""

    key: str
    line: str
    payout_id: str
    provider: Provider
    day: date
    positions: tuple[tuple[str, int], ...]

    @property
    def gross(self) -> int:
        """What it is about, in minor units."""
        return sum(cents for _, cents in self.positions)


@dataclass(frozen=True, slots=True)
class Terms:
    """How one gateway is kept: from when on, on which account, in whose days, and who asks its fees.

    `changes`: when versions of the profile begin; `named`: every account a version named for it, in force or not;
    `below_zero_at`: whether a fee voucher may have a position below zero.
    """

    gateway: str
    start: datetime
    account_at: Callable[[datetime], str | None]
    provider_at: Callable[[datetime], Provider | None]
    day_of: Callable[[datetime], date]
    currency: str = "EUR"
    changes: tuple[datetime, ...] = ()
    named: tuple[str, ...] = ()
    below_zero_at: Callable[[datetime], bool] = lambda at: False

    def accounts(self, day: date) -> tuple[str, ...]:
        """Those it was kept on up to the end of a day, one after the other."""
        moments = (self.start, *(at for at in self.changes if at > self.start and self.day_of(at) <= day))
        return tuple(dict.fromkeys(account for at in moments if (account := self.account_at(at)) is not None))

    def account_of(self, at: datetime) -> str | None:
        """The account on which something of that instant stands; what was before the start stands nowhere."""
        return self.account_at(max(at, self.start))


@dataclass(frozen=True, slots=True)
class Due:
    """What should stand in sevdesk by now, and what keeps the rest from it."""

    lines: tuple[LedgerLine, ...] = ()
    vouchers: tuple[FeeVoucher, ...] = ()
    problems: tuple[Problem, ...] = ()


def terms_of(gateway: str, profiles: Sequence[Profile]) -> Terms | None:
    """How a gateway is kept, None where no version of the profile keeps its payouts on an account."""
    kept = [item for item in profiles if (found := item.gateway(gateway)) and found.mode == MODE and found.account]
    if not kept:
        return None
    go_live = max(item.go_live for item in profiles)
    first = min(kept, key=lambda item: (item.effective_from, item.version))
    start = max(go_live, first.effective_from)

    def account_at(at: datetime) -> str | None:
        found = profile_at(profiles, at).gateway(gateway)
        return found.account if found is not None and found.mode == MODE else None

    return Terms(
        gateway,
        start,
        account_at,
        lambda at: profile_at(profiles, at).providers.get(gateway),
        first.local_date,
        first.currency,
        tuple(sorted({item.effective_from for item in profiles})),
        tuple(dict.fromkeys(found.account for item in kept if (found := item.gateway(gateway)) and found.account)),
        lambda at: profile_at(profiles, at).fee_credits,
    )


def due(terms: Terms, payouts: Iterable[KnownPayout], movements: Iterable[Movement]) -> Due:
    """Every line and voucher there should be, in the order of their days. Same facts, same lines, whenever one looks.

    `movements` are all since `terms.start`, and those of the payouts; both in any order.
    """
    lines, vouchers, problems = list[LedgerLine](), list[FeeVoucher](), list[Problem]()
    known = sorted({item.id: item for item in movements}.values(), key=lambda item: (item.at, item.id))
    listed = sorted({item.id: item for item in payouts}.values(), key=lambda item: (item.payout.issued_at, item.id))
    foreign = sorted({one.currency for one in known if one.currency != terms.currency})
    if foreign:
        message = f"Shopify pays in {', '.join(foreign)}: nothing of that is written"
        problems.append(Problem("PAYOUT-CURRENCY", message, tuple(foreign), ("book by hand",)))
    known = [item for item in known if item.currency == terms.currency]
    for movement in known:
        line = _line_of(terms, movement)
        if line is not None:
            lines.append(line)
    parts = parts_of(known)
    for item in listed:
        if item.payout.currency == terms.currency:
            lines += _transfers(terms, item, known)
            _fees(terms, item, parts.get(item.id, ()), lines, vouchers, problems)
    return Due(tuple(sorted(lines, key=lambda one: (one.day, one.key))), tuple(vouchers), tuple(problems))


def parts_of(movements: Iterable[Movement]) -> Mapping[str, list[Movement]]:
    """By payout, what was paid out with it; the transfer itself left out."""
    found: dict[str, list[Movement]] = {}
    for item in movements:
        if item.payout_id is not None and item.type != "TRANSFER":
            found.setdefault(item.payout_id, []).append(item)
    return found


def is_whole(payout: Payout, parts: Iterable[Movement]) -> bool:
    """Whether the parts of a payout add up to it: then none is missing."""
    return sum(item.net for item in parts if item.type != "TRANSFER") == payout.net


def returned_at(payout: Payout, movements: Iterable[Movement]) -> datetime | None:
    """When a payout came back to the balance, None where it did not."""
    return next((item.at for item in movements if item.type in _RETURNED and item.source_id == payout.number), None)


def _line_of(terms: Terms, movement: Movement) -> LedgerLine | None:
    """The line of a movement that has one of its own."""
    if movement.at < terms.start or movement.is_transfer or movement.amount == 0:
        return None
    if movement.type in OF_ORDERS or movement.type in RESERVES or movement.type in FEES:
        return None
    account = terms.account_of(movement.at)
    if account is None:
        return None
    dispute = movement.type in DISPUTES
    what = movement.type.replace("_", " ").lower()
    text = " ".join(part for part in (what, movement.order_name, movement.reason) if part)
    return LedgerLine(
        key=f"{'SHPDSP' if dispute else 'SHPADJ'} {movement.number}",
        kind="dispute" if dispute else "adjustment",
        account=account,
        amount=movement.amount,
        day=terms.day_of(movement.at),
        about=movement.id,
        text=text,
        order_id=movement.order_id,
    )


def _transfers(terms: Terms, item: KnownPayout, movements: Sequence[Movement]) -> list[LedgerLine]:
    """The payout once the bank has it, and its return after that."""
    payout, account = item.payout, terms.account_of(item.payout.issued_at)
    if item.paid_on is None or item.paid_on < terms.day_of(terms.start) or account is None:
        return []
    text = f"payout {payout.trace}".strip()
    lines = [LedgerLine(f"SHPPO {payout.number}", "payout", account, -payout.net, item.paid_on, payout.id, text)]
    back = returned_at(payout, movements)
    if back is not None:
        text = f"payout came back {payout.trace}".strip()
        day = max(terms.day_of(back), item.paid_on)
        lines.append(LedgerLine(f"SHPPOB {payout.number}", "returned", account, payout.net, day, payout.id, text))
    return lines


def fees_of(terms: Terms, parts: Iterable[Movement]) -> tuple[tuple[str, int], ...]:
    """The fees within a payout by what they are for: those of charges, and those that are movements of their own."""
    sums: dict[str, int] = {}
    for item in parts:
        if item.at < terms.start:
            continue
        if item.fee:
            name = "Gebühren für Rückbuchungen" if item.type in DISPUTES else "Transaktionsgebühren"
            sums[name] = sums.get(name, 0) + item.fee
        if item.type in FEES:
            name = "Gebühren für Rückbuchungen" if item.type.startswith("CHARGEBACK") else "Sonstige Gebühren"
            sums[name] = sums.get(name, 0) - item.amount
    return tuple(sorted((name, cents) for name, cents in sums.items() if cents))


def _fees(
    terms: Terms,
    item: KnownPayout,
    parts: Sequence[Movement],
    lines: list[LedgerLine],
    vouchers: list[FeeVoucher],
    problems: list[Problem],
) -> None:
    """The fee line of a payout that has left, and its voucher."""
    payout = item.payout
    if payout.status == "SCHEDULED" or not any(one.at >= terms.start for one in parts):
        return
    if not is_whole(payout, parts):
        found = sum(one.net for one in parts)
        message = f"payout {payout.number} is {payout.net} cents and its parts are {found}"
        problems.append(Problem("PAYOUT-DIFFERS", message, (payout.id,), ("look into it",)))
        return
    positions, account = fees_of(terms, parts), terms.account_of(payout.issued_at)
    total = sum(cents for _, cents in positions)
    if total == 0 or account is None:
        return
    key, day = f"SHPFEE {payout.number}", terms.day_of(payout.issued_at)
    lines.append(LedgerLine(key, "fee", account, -total, day, payout.id, f"fees of payout {payout.number}"))
    provider = terms.provider_at(payout.issued_at)
    if provider is None:
        message = f"nobody has said who asks the fees of {terms.gateway} and how they are taxed"
        problems.append(Problem("FEE-TERMS", message, (terms.gateway,), ("say it in the profile",)))
    elif total < 0 or (min(cents for _, cents in positions) < 0 and not terms.below_zero_at(payout.issued_at)):
        what = "more fees were given back than asked" if total < 0 else "fees were given back"
        message = f"{what} with payout {payout.number}: no voucher is written"
        problems.append(Problem("FEE-CREDIT", message, (payout.id,), ("book by hand",)))
    else:
        voucher = FeeVoucher(f"SHPFEE-{payout.number}", key, payout.id, provider, day, positions)
        vouchers.append(voucher)
