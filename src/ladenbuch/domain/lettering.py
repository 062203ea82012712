"""Which letters an order owes its buyer. Pure.

    invoice, correction   every document of ours with a number, once, where the profile sends letters
    cancellation          an invoice of ours that was mailed and is cancelled since: the buyer must know (R5)
    payment               an invoice that was mailed unpaid is paid in full since; where the profile wants it
    refund                money went back before there was a document to correct; where the profile wants it

What a profile chooses (`letters_also`) holds for what happens from its day on: the version in force at the instant of
the payment or the refund decides, so that switching a letter on never writes to anybody about last year. Nothing goes
to a buyer whose address was erased in the shop since (5.15), or about a document that is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from ladenbuch.domain.actions import Action, Letter, finalise_key
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.facts import Fact, moved, moved_at
from ladenbuch.domain.order import Order
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.reasons import because


def letter_key(document_key: str) -> str:
    """The key under which the letter of a document is promised, once."""
    return f"mail:{document_key}"


def paid_at(documents: Sequence[PostedDocument], money: Iterable[Fact]) -> dict[str, datetime]:
    """When each invoice was paid in full, by its key; those that never were are left out.

    `documents` are the invoices that stand, oldest first: the order's money pays them in this order, whatever accounts
    it stands on. `money` are the order's facts.
    """
    moves = sorted((item for item in money if item.kind == "money"), key=lambda item: item.at)
    found: dict[str, datetime] = {}
    owed = 0
    for document in documents:
        owed += document.draft.gross
        paid = _complete(moves, owed)
        if paid is not None:
            found[document.key] = paid
    return found


def of_document(
    document: PostedDocument,
    books: Books,
    profile: Profile,
    order: Order,
    proof: tuple[str, ...] = (),
    paid: datetime | None = None,
) -> list[Action]:
    """One letter per document, when the buyer has an address for it: pinned, and not erased in the shop since.

    `proof` are keys that come first (the XML of an e-invoice); `paid`: when it was paid in full (`paid_at`), which the
    letter says, so that nobody is asked for money that is there.
    """
    key = letter_key(document.key)
    if document.state == "cancelled" or not _may(document, books, profile, order, key):
        return []
    credit = document.kind == "credit_note"
    paper, paper_de = ("credit note", "Die Rechnungskorrektur") if credit else ("invoice", "Die Rechnung")
    reason = because("letter", paper=paper, paper_de=paper_de)
    letter = _to(document, "correction" if credit else "invoice", paid)
    return [Action("letter", key, reason, (), (finalise_key(document.key), *proof), letter=letter)]


def of_cancellation(
    document: PostedDocument, cancel_key: str, books: Books, profile: Profile, order: Order
) -> list[Action]:
    """The letter about a cancelled invoice, to whoever was mailed the invoice; after the cancellation."""
    key = f"{letter_key(document.key)}:cancelled"
    if not _may(document, books, profile, order, key) or letter_key(document.key) not in books.letters:
        return []
    return [Action("letter", key, because("letter_cancelled"), (), (cancel_key,), letter=_to(document, "cancellation"))]


def of_payments(
    documents: Sequence[PostedDocument],
    books: Books,
    profiles: Sequence[Profile],
    order: Order,
    paid: Mapping[str, datetime],
) -> list[Action]:
    """Thanks for the money that paid an invoice in full, where it came after the buyer was sent the invoice.

    `documents` are the invoices that stand, `paid` is `paid_at` of them. `profiles` are all versions: the instant of
    the payment chooses.
    """
    actions: list[Action] = []
    for document in documents:
        at, key = paid.get(document.key), f"{letter_key(document.key)}:paid"
        if at is None or document.state != "final" or document.written_at is None or at <= document.written_at:
            continue
        profile = profile_at(profiles, at)
        mailed = letter_key(document.key) in books.letters
        if mailed and "payment" in profile.letters_also and _may(document, books, profile, order, key):
            letter = _to(document, "payment", at, document.draft.gross, document.draft.currency)
            actions.append(Action("letter", key, because("letter_paid"), letter=letter))
    return actions


def of_refunds(books: Books, profiles: Sequence[Profile], order: Order) -> list[Action]:
    """A note on each refund of an order that has no document: where there is one, its correction says it."""
    to = order.email or (order.customer.email if order.customer is not None else None)
    if books.documents or not to:
        return []
    actions = []
    for payment in order.payments:
        at = moved_at(payment)
        key = f"mail:refund:{payment.id.rsplit('/', 1)[-1]}"
        if moved(payment) >= 0 or payment.kind != "REFUND" or at is None or key in books.letters:
            continue
        profile = profile_at(profiles, at)
        if at >= profile.go_live and profile.letters and "refund" in profile.letters_also:
            letter = Letter(
                "", to, order.locale or "de", "refund", at, -moved(payment), payment.currency, order.name, _name(order)
            )  # fmt: skip
            actions.append(Action("letter", key, because("letter_refund"), (payment.id,), letter=letter))
    return actions


def _may(document: PostedDocument, books: Books, profile: Profile, order: Order, key: str) -> bool:
    """Whether there is somebody to write to, and nobody did so yet; who wrote or finalised it also sent it."""
    wanted = profile.letters and document.made_by != "adopted" and key not in books.letters
    return wanted and bool(document.draft.party.email) and not _erased(order)


def _name(order: Order) -> str:
    """The buyer's name as they gave it for the bill."""
    said = order.billing_address or order.shipping_address
    return " ".join(part for part in (said.first_name, said.last_name) if part) if said is not None else ""


def _erased(order: Order) -> bool:
    return not order.email and not (order.customer is not None and order.customer.email)


def _to(document: PostedDocument, kind: str, at: datetime | None = None, amount: int = 0, currency: str = "") -> Letter:
    party = document.draft.party
    return Letter(document.key, party.email or "", party.locale, kind, at, amount, currency)


def _complete(money: Sequence[Fact], owed: int) -> datetime | None:
    """The first instant at which what was kept came to what was owed, None while it never did."""
    kept = 0
    for item in money:
        kept += item.amount
        if kept >= owed:
            return item.at
    return None
