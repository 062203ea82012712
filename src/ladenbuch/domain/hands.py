"""What people, and sevdesk by itself, did to our documents: adopted where it fits the facts, asked about where not.

sevdesk owns numbers, payments and what was done after finalising (R16). A payment somebody else linked covers what it
paid (R14), a credit note written by hand is taken for ours when it says the same (R13), a cancelled invoice is theirs
from then on, a draft they finalised is ours when its gross per rate is (R12), a number or a day they changed is what
counts (R16). Nothing of theirs is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from ladenbuch.domain.books import Books, Hand, PostedDocument
from ladenbuch.domain.document import CreditNoteDraft, rate_text
from ladenbuch.domain.facts import Problem

#: A draft that nobody finalised for so long is late (GoBD: timely recording).
STALE_DRAFT = timedelta(days=10)
#: What became of money that somebody else linked in sevdesk.
BY_OTHERS = "it is paid in sevdesk by a line that is not ours"
_THEIRS = ("leave it to the bookkeeper", "look into it in sevdesk")
_ONE_TOO_MANY = ("cancel the surplus invoice in sevdesk", "keep both", "leave it to the bookkeeper")


@dataclass(frozen=True, slots=True)
class Credited:
    """A finalised credit note on an invoice of ours that is not ours. Amounts in minor units, gross per rate."""

    sevdesk_id: str
    number: str | None
    by_rate: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """One document of ours as it stands in sevdesk now. `paid` in minor units, None where it is not to be compared;
    `content` is the hash of it all."""

    exists: bool = True
    final: bool = False
    number: str | None = None
    by_rate: Mapping[str, int] | None = None  # None: not read, because nothing says that it changed
    content: str | None = None
    paid: int | None = 0
    cancelled_by: tuple[str, str | None] | None = None
    credited: tuple[Credited, ...] = ()
    day: date | None = None  # None: not to be compared
    other: tuple[str, ...] = ()  # what else of its header reads otherwise than we wrote it, by name


def by_rate(document: PostedDocument) -> dict[str, int]:
    """Gross per rate of a document as it was pinned, in minor units; rates without money left out."""
    return {rate_text(rate): item.gross for rate, item in document.draft.sums.items() if item.gross}


def hands_of(document: PostedDocument, standing: Standing, booked: int) -> list[Hand]:
    """What was done by others to one document of ours; `booked` is what we booked on it, minor units."""
    key, gross = document.key, document.draft.gross
    if not standing.exists:
        return [Hand("gone", key, number=document.number)] if document.state in ("draft", "final") else []
    if document.state == "draft" and standing.final:
        kind = "finalised" if standing.by_rate == by_rate(document) else "changed"
        return [Hand(kind, key, number=standing.number, content=standing.content or "")]
    if document.state == "draft":
        same = document.content is None or standing.content in (None, document.content)
        return [] if same else [Hand("edited", key, content=standing.content or "")]
    if document.state != "final":
        return []
    found = []
    if standing.cancelled_by is not None:
        identity, number = standing.cancelled_by
        return [Hand("cancelled", key, gross, identity, number)]
    otherwise = standing.by_rate is not None and standing.by_rate != by_rate(document)
    if not standing.final or otherwise or standing.other:
        content = standing.content or ",".join(standing.other)
        found.append(Hand("changed", key, number=standing.number, content=content))
    elif standing.number != document.number or standing.day not in (None, document.day):
        found.append(Hand("moved", key, number=standing.number, content=(standing.day or document.day).isoformat()))
    found += [
        Hand("credited", key, sum(item.by_rate.values()), item.sevdesk_id, item.number, tuple(item.by_rate.items()))
        for item in standing.credited
    ]
    if standing.paid is not None and standing.paid > booked:
        found.append(Hand("paid", key, standing.paid - booked))
    elif standing.paid is not None and standing.paid < booked:
        found.append(Hand("unlinked", key, booked - standing.paid))
    return found


def human_owned(books: Books) -> list[Problem]:
    """The questions after which nothing more of ours is written: cancelled, changed or gone by hand (R13, R15)."""
    found = []
    for hand in books.hands:
        if hand.kind == "cancelled":
            message = f"the invoice was cancelled in sevdesk by {hand.number or 'a cancellation'}"
            found.append(Problem("HAND-CANCELLED", message, (hand.document_key, f"sevdesk:{hand.sevdesk_id}"), _THEIRS))
        elif hand.kind == "changed":
            message = "the document reads otherwise in sevdesk than we wrote it"
            found.append(Problem("HAND-CHANGED", message, (hand.document_key, f"sevdesk:{hand.content}"), _THEIRS))
        elif hand.kind == "gone" and hand.number is not None:  # as a draft it had none
            message = f"{hand.number} is not in sevdesk any more, and it was final"
            found.append(Problem("HAND-GONE", message, (hand.document_key,), _THEIRS))
    return found


def beside_ours(books: Books) -> list[Problem]:
    """Questions that hold nothing up: a document beside ours for the same order, a payment of ours that was taken off.

    What was sold is counted twice while a second document stands; only a person may cancel one that has its number.
    """
    found = []
    for hand in books.hands:
        about = (hand.document_key, f"sevdesk:{hand.sevdesk_id}")
        shown = hand.number or hand.sevdesk_id
        if hand.kind == "doubled":
            message = f"{shown} stands in sevdesk beside our document, with the same note"
            found.append(Problem("HAND-DOUBLED", message, about, _ONE_TOO_MANY))
        elif hand.kind == "foreign":
            message = f"{shown} in sevdesk is for this order too, and it is not ours"
            found.append(Problem("HAND-FOREIGN", message, about, _ONE_TOO_MANY))
        elif hand.kind == "unlinked":
            message = "a payment we linked was taken off the document in sevdesk"
            choices = ("link the payment in sevdesk", "leave it to the bookkeeper")
            found.append(Problem("HAND-UNLINKED", message, (hand.document_key, f"unlinked:{hand.amount}"), choices))
    return found


def paid_by_others(books: Books) -> dict[str, int]:
    """Per document key, what others linked to it, minor units (R14)."""
    paid: dict[str, int] = {}
    for hand in books.hands:
        if hand.kind == "paid":
            paid[hand.document_key] = paid.get(hand.document_key, 0) + hand.amount
    return paid


def credited_by_hand(books: Books, origin_key: str) -> list[Hand]:
    """Credit notes by hand on one invoice that are not taken over yet, oldest first."""
    ours = {item.sevdesk_id for item in books.documents if isinstance(item.draft, CreditNoteDraft)}
    found = [hand for hand in books.hands if hand.kind == "credited" and hand.document_key == origin_key]
    return sorted((hand for hand in found if hand.sevdesk_id not in ours), key=lambda hand: int(hand.sevdesk_id or 0))


def fits(hand: Hand, gross_by_rate: Mapping[Decimal, int]) -> bool:
    """Whether a credit note by hand says what ours would: the same gross at the same rates (R13)."""
    return dict(hand.by_rate) == {rate_text(rate): gross for rate, gross in gross_by_rate.items() if gross}


def strange_credit(hand: Hand) -> Problem:
    """A credit note by hand that no refund of the shop explains."""
    message = f"credit note {hand.number or hand.sevdesk_id} was written by hand, and no refund is like it"
    return Problem("HAND-CREDITED", message, (hand.document_key, f"sevdesk:{hand.sevdesk_id}"), _THEIRS)


def drafts_by_hand(
    books: Books, documents: Iterable[PostedDocument], today: date, more: bool
) -> tuple[list[Problem], date | None]:
    """Questions about drafts a person finalises: edited while the order changed (`more`), gone, or left too long (R12).

    Second, the day from which a draft counts as left too long, the earliest of those to come.
    """
    hands = {hand.document_key: hand for hand in books.hands}
    found: list[Problem] = []
    late: list[date] = []
    for document in documents:
        hand = hands.get(document.key)
        about = (document.key, f"sevdesk:{hand.content if hand else ''}")
        if hand is not None and hand.kind == "gone":
            choices = ("leave it to the bookkeeper", "exclude the order")
            found.append(Problem("DRAFT-GONE", "the draft was deleted in sevdesk", about, choices))
        elif hand is not None and hand.kind == "edited" and more:
            choices = ("leave it to the bookkeeper", "look into it in sevdesk")
            message = "a person edited the draft in sevdesk, and the order changed since"
            found.append(Problem("DRAFT-EDITED", message, about, choices))
        if document.state == "draft" and (hand is None or hand.kind != "gone"):
            day = document.draft.issued_on + STALE_DRAFT
            if day < today:
                message = f"nobody finalised the draft of {document.draft.issued_on.isoformat()}"
                choices = ("finalise or delete the draft in sevdesk", "leave it to the bookkeeper")
                found.append(Problem("DRAFT-OLD", message, (document.key,), choices))
            else:
                late.append(day + timedelta(days=1))
    return found, min(late, default=None)
