"""Whose money is it? A line of the merchant's bank account held against the orders that wait for a transfer.

    evidence                       what it says
    order name, invoice number     the purpose names the order in full, or calls a number an order's or an invoice's
    number                         the bare number stands there, glued or broken: "1001", "B1001", "10 01"
    amount                         exactly what is still owed
    sender                         the payer is the buyer, or the buyer's company

    exact       one order is meant and the amount is what it owes
    partial     one order is surely meant, and it is less; one cent less is less
    over        ... and it is more; one cent more is more
    several     the orders named owe together exactly this
    again       the order named is paid already
    back        money that went out, for an order that is surely named
    ambiguous   evidence for more than one, or against each other: a person chooses
    elsewhere   it names an order, and sevdesk or a person linked it to another document meanwhile
    none        nothing says that it is for an order

Nothing is guessed from an amount alone, and a name in the purpose that contradicts the sender is asked about. Amounts
in minor units.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from ladenbuch.domain.references import BARE, CALLED, Name, Named, Names, called_otherwise, name_of

Verdict = Literal["exact", "partial", "over", "several", "again", "back", "ambiguous", "elsewhere", "none"]
#: Verdicts that are acted on; the others are asked about, or say nothing.
SURE: tuple[Verdict, ...] = ("exact", "partial", "over", "several", "again", "back")

#: What a company is called besides its name; and what joins names.
_FORMS = frozenset({"gmbh", "mbh", "ug", "ag", "kg", "ohg", "gbr", "ev", "ek", "eg", "se", "inc", "ltd", "llc"})
_LEGAL = _FORMS | {"co", "cie", "und", "u", "and", "the", "haftungsbeschraenkt"}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "æ": "ae", "œ": "oe", "ł": "l"})


@dataclass(frozen=True, slots=True)
class BankLine:
    """A line of a bank account. `text` is the purpose, `payer` whoever the bank says sent it."""

    id: str
    account: str
    amount: int
    day: date | None = None
    text: str = field(default="", repr=False)
    payer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Awaited:
    """An order money may come for. `owed`: what it still waits for, 0 once it is paid; `total`: what was charged.

    `numbers` are those of its invoices.
    """

    order_id: str
    name: str
    owed: int
    total: int
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A line, or the part of it, that is for an order (or may be), and what says so."""

    order_id: str
    amount: int
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matched:
    """What a line is. `claims`: one order, several that share it, or those a person chooses from."""

    line_id: str
    verdict: Verdict
    claims: tuple[Claim, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether it is acted on."""
        return self.verdict in SURE


class Desk:
    """The orders that wait, by what they are called and what they owe. Lines are matched one after the other: what
    one of them pays, the next finds paid.

    `people` are the names an order's buyer goes by, asked for only where they may decide.
    """

    def __init__(self, awaited: Iterable[Awaited]) -> None:
        self._orders: dict[str, Awaited] = {}
        self._names = Names([])
        #: The numbers by which orders are known here.
        self.numbers: set[str] = set()
        self.add(awaited)

    def add(self, awaited: Iterable[Awaited]) -> None:
        """More orders that may be named."""
        fresh = [one for one in awaited if one.order_id not in self._orders]
        self._orders |= {one.order_id: one for one in fresh}
        names = _names(fresh)
        self._names.add(names)
        self.numbers |= {name.number for name in names}

    def candidates(self, line: BankLine) -> list[str]:
        """The orders whose buyer's name may decide about a line."""
        found = [one.order_id for one in self._names.named(line.text)]
        equal = [one.order_id for one in self._orders.values() if one.owed == line.amount > 0]
        return list(dict.fromkeys(found + equal))

    def match(self, line: BankLine, people: Mapping[str, Sequence[str]]) -> Matched:
        """What a line is, by the names of its candidates' buyers."""
        made = self._judge(line, people)
        if made.verdict in ("exact", "partial", "over", "several"):
            for claim in made.claims:
                one = self._orders[claim.order_id]
                self._orders[claim.order_id] = replace(one, owed=max(0, one.owed - claim.amount))
        return made

    def linked(self, line: BankLine) -> Matched:
        """What a line is that is linked already, to whatever: it is told where it surely names an order that waits."""
        named = [one for one in self._names.named(line.text) if one.strength == CALLED]
        owing = [self._orders[one.order_id] for one in named if self._orders[one.order_id].owed > 0]
        if len(owing) != 1 or line.amount <= 0:
            return Matched(line.id, "none")
        return Matched(line.id, "elsewhere", (Claim(owing[0].order_id, line.amount, (_called(named[0]),)),))

    def _judge(self, line: BankLine, people: Mapping[str, Sequence[str]]) -> Matched:
        named = self._names.named(line.text)
        if line.amount <= 0:
            return self._back(line, named)
        senders = {order for order, names in people.items() if any(is_sender(line.payer, one) for one in names)}
        equal = [one.order_id for one in self._orders.values() if one.owed == line.amount]
        theirs = [order for order in equal if order in senders]
        surest = max((one.strength for one in named), default=0)
        meant = [one for one in named if one.strength == surest]
        if surest >= BARE and len(meant) == 1:
            return self._one(line, meant[0], senders, theirs)
        if surest >= BARE:
            return self._some(line, meant, senders, theirs)
        weak = [one for one in named if one.order_id in equal]
        if len(weak) == 1 and (weak[0].order_id in theirs or (len(equal) == 1 and not theirs)):
            return self._sure(line, "exact", weak[0], senders)
        if theirs:
            astray = called_otherwise(line.text, self.numbers)
            if len(theirs) == 1 and not astray and not weak:
                return Matched(line.id, "exact", (Claim(theirs[0], line.amount, ("amount", "sender")),))
            return self._ask(line, dict.fromkeys([*theirs, *(one.order_id for one in weak)]), named, senders)
        return Matched(line.id, "none")

    def _one(self, line: BankLine, named: Named, senders: set[str], theirs: list[str]) -> Matched:
        """Exactly one order is named."""
        one = self._orders[named.order_id]
        mine, others = one.order_id in senders, [order for order in theirs if order != one.order_id]
        surely = mine or named.strength == CALLED
        if others and not mine:
            return self._ask(line, [one.order_id, *others], [named], senders)
        if one.owed == 0:
            if surely or line.amount == one.total:
                return self._sure(line, "again", named, senders)
            return Matched(line.id, "none")
        if line.amount == one.owed:
            return self._sure(line, "exact", named, senders)
        if others:  # it names one, and pays exactly another one of the same buyer
            return self._ask(line, [one.order_id, *others], [named], senders)
        if not surely:
            return self._ask(line, [one.order_id], [named], senders)
        return self._sure(line, "partial" if line.amount < one.owed else "over", named, senders)

    def _some(self, line: BankLine, named: list[Named], senders: set[str], theirs: list[str]) -> Matched:
        """More than one order is named."""
        orders = [self._orders[one.order_id] for one in named]
        owed = sum(one.owed for one in orders)
        if all(one.owed > 0 for one in orders) and owed == line.amount and named[0].strength == CALLED:
            claims = tuple(
                Claim(one.order_id, one.owed, self._evidence(line, which, senders, share=one.owed))
                for one, which in zip(orders, named, strict=True)
            )
            return Matched(line.id, "several", claims)
        fitting = [one for one in named if one.order_id in theirs]
        if len(fitting) == 1 and named[0].strength == BARE:
            return self._sure(line, "exact", fitting[0], senders)
        if named[0].strength == BARE and all(one.owed == 0 for one in orders):
            return Matched(line.id, "none")
        return self._ask(line, dict.fromkeys([*(one.order_id for one in named), *theirs]), named, senders)

    def _back(self, line: BankLine, named: list[Named]) -> Matched:
        """Money that went out says which order it is for, or it is none of ours."""
        surely = [one for one in named if one.strength == CALLED]
        if len(surely) != 1:
            return Matched(line.id, "none")
        return Matched(line.id, "back", (Claim(surely[0].order_id, line.amount, (_called(surely[0]),)),))

    def _sure(self, line: BankLine, verdict: Verdict, named: Named, senders: set[str]) -> Matched:
        claim = Claim(named.order_id, line.amount, self._evidence(line, named, senders))
        return Matched(line.id, verdict, (claim,))

    def _ask(self, line: BankLine, orders: Iterable[str], named: Sequence[Named], senders: set[str]) -> Matched:
        known = {one.order_id: one for one in named}
        claims = [
            Claim(order, line.amount, self._evidence(line, known.get(order, Named(order, 0)), senders))
            for order in orders
        ]
        return Matched(line.id, "ambiguous", tuple(claims))

    def _evidence(self, line: BankLine, named: Named, senders: set[str], share: int | None = None) -> tuple[str, ...]:
        found = [_called(named)] if named.strength else []
        if self._orders[named.order_id].owed == (line.amount if share is None else share):
            found.append("amount")
        if named.order_id in senders:
            found.append("sender")
        return tuple(found)


def is_sender(payer: str, person: str) -> bool:
    """Whether the bank's name of a payer is this person or company: its first and last word, every word of a company.

    Banks write "MUSTER, ERIKA", "Erika u. Max Muster" or "Dr. Muster Erika"; they have no umlauts.
    """
    words, wanted = set(_words(payer)), [word for word in _words(person) if word not in _LEGAL]
    if not wanted or not words:
        return False
    legal = any(word in _FORMS for word in _words(person))
    if legal or len(wanted) == 1:
        return legal and set(wanted) <= words
    return {wanted[0], wanted[-1]} <= words


def _called(named: Named) -> str:
    if named.strength == CALLED:
        return "invoice number" if named.invoice else "order name"
    return "number"


def _names(orders: Iterable[Awaited]) -> list[Name]:
    found: list[Name | None] = []
    for one in orders:
        found.append(name_of(one.order_id, one.name))
        found += [name_of(one.order_id, number, invoice=True) for number in one.numbers]
    return [name for name in found if name is not None]


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_UMLAUTS))
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    return re.findall(r"[a-z0-9]+", plain)
