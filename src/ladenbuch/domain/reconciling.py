"""What shop, books and sevdesk do not agree on, each thing by name, and what may be done about it. Pure.

The comparison is that of a period's certificate (`domain.period`); here every finding gets a sort, a cure and a state:

    seen       for the first time, or less than a quarter of an hour ago: late writes land, so nothing is done (R17)
    confirmed  seen twice, long enough apart, and there is a cure
    mending    the cure is under way
    fixed      it was cured and is gone
    asked      a person was asked about it, at its order
    open       only a person can say; nothing is asked at an order
    stuck      the cure was tried, and it is still there: a person, too
    accepted   a person said that it may stay

Cures are what the rules allow without a person: look at the order again (settle adopts payments, numbers and days,
takes what it finds by its own note, and asks about the rest, R12-R16); write down that a document stands beside ours,
and look again; delete a draft of ours that was left behind, without number and equal to what we wrote (R13).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from ladenbuch.domain.books import BESIDE as BESIDE_OURS
from ladenbuch.domain.month import ORDER, Finding, Month, OurDocument, PeriodCertificate
from ladenbuch.domain.month_documents import cancelled_there

#: Two sightings must lie this far apart (R17).
APART = timedelta(minutes=15)

LOOK, BESIDE, DELETE, NOTHING = "look", "beside", "delete", ""


@dataclass(frozen=True, slots=True)
class Case:
    """What a finding is called, what may be done, and whether a person must decide even then."""

    sort: str
    cure: str
    human: bool


#: Every code a comparison knows.
CASES: Mapping[str, Case] = {
    "DOCUMENT-GONE": Case("deleted", LOOK, True),
    "DOCUMENT-ALTERED": Case("altered", LOOK, True),
    "DOCUMENT-FINALISED": Case("finalised", LOOK, False),
    "DOCUMENT-CANCELLED": Case("cancelled", LOOK, True),
    "PAYMENT-GONE": Case("unlinked", LOOK, True),
    "LINE-OFF": Case("elsewhere", NOTHING, True),
    "LINE-LOST": Case("elsewhere", NOTHING, True),
    "MONEY-TWICE": Case("twice", NOTHING, True),
    "PAID-BY-HAND": Case("paid", LOOK, False),
    "DOCUMENT-DOUBLE": Case("doubled", BESIDE, True),
    "FACT-DOUBLE": Case("doubled", NOTHING, True),
    "DOCUMENT-STRANGER": Case("foreign", BESIDE, True),
    "DOCUMENT-UNBOOKED": Case("unbooked", LOOK, False),
    "DRAFT-LEFT": Case("leftover", DELETE, False),
    "NUMBER-MISSING": Case("hole", NOTHING, True),
    "DOCUMENT-MISSING": Case("missing", LOOK, False),
    "ORDER-UNKNOWN": Case("missing", LOOK, False),
    "ORDER-CHANGED": Case("missing", LOOK, False),
    "ORDER-UNPROVED": Case("unproved", LOOK, False),
    "ORDER-UNLISTED": Case("unlisted", NOTHING, True),
}
#: In the order they are told.
SORTS = tuple(dict.fromkeys(case.sort for case in CASES.values()))
#: What is named after the document in sevdesk: it has no other name.
_THEIRS = frozenset(
    {"LINE-OFF", "LINE-LOST", "MONEY-TWICE", "DOCUMENT-DOUBLE", "DOCUMENT-STRANGER", "DOCUMENT-UNBOOKED", "DRAFT-LEFT"}
)
#: Hands our books know -> the code of the finding, and that of the question about it.
HANDS: Mapping[str, tuple[str, str]] = {
    "gone": ("DOCUMENT-GONE", "HAND-GONE"),
    "changed": ("DOCUMENT-ALTERED", "HAND-CHANGED"),
    "cancelled": ("DOCUMENT-CANCELLED", "HAND-CANCELLED"),
    "unlinked": ("PAYMENT-GONE", "HAND-UNLINKED"),
    "doubled": ("DOCUMENT-DOUBLE", "HAND-DOUBLED"),
    "foreign": ("DOCUMENT-STRANGER", "HAND-FOREIGN"),
}
#: Of these sevdesk's word counts: they are taken over (R16).
_SEVDESK_COUNTS = frozenset({"number", "date"})


@dataclass(frozen=True, slots=True)
class KnownHand:
    """What a person did, as our books know it. `their_id` names a document of theirs (`Invoice/71`), "" where none.

    `asked`: its question is open. `answered`: the order was looked at since, and no question is open any more.
    """

    kind: str
    key: str
    order_id: str
    order_name: str
    number: str | None
    their_id: str
    asked: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not agree. `document` is its number as people know it, `key` ours, `held` sevdesk's."""

    sort: str
    code: str
    message: str
    cure: str
    human: bool
    order_id: str | None = None
    order_name: str | None = None
    document: str | None = None
    key: str | None = None
    held: str | None = None
    asked: bool = False

    @property
    def mark(self) -> str:
        """What it is recognised by in the next look."""
        about = self.held if self.code in _THEIRS else self.key or self.document or self.order_id
        return f"{self.sort}:{about}"


def discrepancies(month: Month, made: PeriodCertificate, hands: Iterable[KnownHand]) -> list[Discrepancy]:
    """Everything a comparison found, with what a person did and our books know; accepted answers are left out."""
    found = [one for item in made.findings if (one := _of_finding(item, month)) is not None]
    found += _left_behind(month)
    found += _named_by_others(month)
    known = {(one := of_hand(hand)).mark: (hand, one) for hand in hands}
    told: dict[str, Discrepancy] = {}
    for item in found:
        hand = known.get(item.mark)
        if hand is None or not (hand[0].asked or hand[0].answered):
            told.setdefault(item.mark, item)
        elif hand[0].asked:
            told.setdefault(item.mark, replace(item, cure=NOTHING, asked=True))
    for mark, (hand_of, item) in known.items():
        if hand_of.asked and hand_of.kind not in BESIDE_OURS:  # those are there as long as a comparison meets them
            told.setdefault(mark, item)
    return sorted(told.values(), key=place)


def place(item: Discrepancy) -> tuple[int, str, str]:
    """Where it stands in a report."""
    return SORTS.index(item.sort), item.document or "", item.order_name or ""


def _of_finding(item: Finding, month: Month) -> Discrepancy | None:
    case = CASES.get(item.code)
    if case is None:
        return None  # a question of its own order, or a limit of what was read: the certificate tells those
    code, message = item.code, item.message
    if code == "DOCUMENT-ALTERED":
        names = item.fields
        # without what a person typed
        message = "it is a draft again" if "status" in names else f"sevdesk has another {', another '.join(names)}"
        if frozenset(names) <= _SEVDESK_COUNTS:
            case = replace(case, human=False)
    if code == "DOCUMENT-STRANGER":
        message = "it carries our note, and our books do not hold it"
        if item.order_id is None or not any(doc.order_id == item.order_id for doc in month.ours):
            code, case = "DOCUMENT-UNBOOKED", CASES["DOCUMENT-UNBOOKED"]
    order_id = item.order_id or (_gid(month, item.held) if code == "DOCUMENT-UNBOOKED" else None)
    named = order_id, item.order_name, item.document, item.key, item.held
    return Discrepancy(case.sort, code, message, case.cure, case.human, *named)


def _gid(month: Month, held: str | None) -> str | None:
    note = next((item.note for item in month.theirs if item.id == held), None)
    number = month.order_number(note)
    return None if number is None else f"{ORDER}{number}"


def of_hand(hand: KnownHand) -> Discrepancy:
    """What our books know a person did."""
    code, question = HANDS[hand.kind]
    case = CASES[code]
    message = f"known to our books: {question}"
    held = hand.their_id or None
    named = hand.order_id, hand.order_name, hand.number, hand.key, held
    return Discrepancy(case.sort, code, message, NOTHING, True, *named, asked=hand.asked)


def _left_behind(month: Month) -> list[Discrepancy]:
    """Drafts that carry our note and are not the ones our books know: calls that landed after we gave them up."""
    ours = {item.sevdesk_id for item in month.ours}
    by_note: dict[tuple[bool, str], OurDocument] = {}
    for item in month.ours:
        if item.kind != "cancellation" and item.sevdesk_id is not None:
            by_note[item.kind == "credit_note", item.note] = item
    found = []
    for held in month.theirs:
        if held.final or held.id in ours or month.young(held) or month.order_number(held.note) is None:
            continue
        own = by_note.get((held.kind == "CN", held.note or ""))
        if own is not None:
            message = f"a draft with the note of {own.shown} stands beside it"
            named = own.order_id, own.order_name, held.id, own.key, held.id
            found.append(Discrepancy("leftover", "DRAFT-LEFT", message, DELETE, False, *named))
        else:
            message = "a draft carries our note, and our books do not hold it"
            named_ = _gid(month, held.id), None, held.id, None, held.id
            found.append(Discrepancy("unbooked", "DOCUMENT-UNBOOKED", message, LOOK, False, *named_))
    return found


#: A note another shop's documents carry, or another program's: not ours to judge by an order's name (5.30).
_OF_A_SHOP = re.compile(r"(?:^|[\s/])[\w.-]+:\d{4,}")


def _named_by_others(month: Month) -> list[Discrepancy]:
    """Finalised documents that are not ours and name an order we documented: the sale is counted twice."""
    live = {item.order_id for item in month.ours if item.kind == "invoice" and item.state in ("final", "cancelled")}
    orders = {item.name: item for item in month.known if item.id in live}
    known = {item.sevdesk_id for item in month.ours} | cancelled_there(month)
    found = []
    for held in month.theirs:
        note = (held.note or "").strip()
        strange = held.final and held.kind not in ("SR", "CN") and held.id not in known and not month.young(held)
        if not strange or month.order_number(note) is not None or _OF_A_SHOP.search(note):
            continue
        words = {note, *(word for word in re.split(r"[\s/,;()]+", note) if word.startswith("#"))}
        order = next((orders[word] for word in words if word in orders), None)
        if order is None or held.day is None or held.day < order.processed_at.date() - timedelta(days=1):
            continue
        message = "it names an order we documented, and it is not ours"
        named = order.id, order.name, held.shown, None, held.id
        found.append(Discrepancy("foreign", "DOCUMENT-STRANGER", message, BESIDE, True, *named))
    return found


# -- sightings ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is remembered of a discrepancy between looks. Instants are aware UTC; `cured_at` of the last cure."""

    discrepancy: Discrepancy
    first_seen: datetime
    last_seen: datetime
    cured_at: datetime | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a report: what, in which state, since when."""

    discrepancy: Discrepancy
    state: str
    since: datetime

    def as_json(self) -> dict[str, Any]:
        """As in docs/reference/cli.md."""
        one = self.discrepancy
        return {
            "sort": one.sort,
            "code": one.code,
            "state": self.state,
            "order": one.order_id,
            "name": one.order_name,
            "document": one.document,
            "message": one.message,
            "human": one.human,
            "since": self.since.isoformat(),
            "mark": one.mark,
        }


def state_of(item: Discrepancy, known: Sighting | None, now: datetime, *, gone: bool = False) -> str:
    """Where a discrepancy stands; `gone`: it was there and is not any more."""
    if gone:
        return "fixed"
    if known is not None and known.accepted:
        return "accepted"
    if item.asked:
        return "asked"
    if known is None or now - known.first_seen < APART:
        return "seen"
    if known.cured_at is not None:
        return "mending" if now - known.cured_at < APART else "stuck"
    return "confirmed" if item.cure else "open"


#: States in which only a person gets on.
HUMAN = frozenset({"asked", "open", "stuck"})


def status_of(states: Sequence[str]) -> str:
    """CONSISTENT: nothing to tell. RECONCILED: all of it was mended. UNRESOLVED: something is left."""
    told = [state for state in states if state != "accepted"]
    if not told:
        return "CONSISTENT"
    return "RECONCILED" if all(state == "fixed" for state in told) else "UNRESOLVED"


@dataclass(frozen=True, slots=True)
class Report:
    """What one look found and mended. `kind`: rolling, nightly, demand. Days [since, until) where it had a period."""

    tenant: str
    kind: str
    started_at: datetime
    ended_at: datetime
    since: date | None
    until: date | None
    orders: int
    documents: int
    items: tuple[Item, ...]

    @property
    def status(self) -> str:
        """See `status_of`."""
        return status_of([item.state for item in self.items])

    @property
    def found(self) -> int:
        """Discrepancies, those that were mended among them; what a person accepted is none."""
        return sum(item.state != "accepted" for item in self.items)

    @property
    def fixed(self) -> int:
        """Of these, mended."""
        return sum(item.state == "fixed" for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/cli.md."""
        return {
            "tenant": self.tenant,
            "kind": self.kind,
            "time": self.ended_at.isoformat(),
            "started_at": self.started_at.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "orders": self.orders,
            "documents": self.documents,
            "status": self.status,
            "found": self.found,
            "fixed": self.fixed,
            "items": [item.as_json() for item in self.items],
        }
