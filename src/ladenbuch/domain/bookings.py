"""Money: what stands on a gateway's account per transaction, and which documents it pays or settles (4.2, 2.5).

One line per transaction, `SHPTX <tx>`; one that belongs to several documents is written in parts, `SHPTX <tx>/1` and so
on, whose sum is the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from ladenbuch.domain.actions import Action, finalise_key
from ladenbuch.domain.answers import Answers
from ladenbuch.domain.books import Booked, Books, PostedDocument, PostedLine, transaction_of
from ladenbuch.domain.chain import Returned
from ladenbuch.domain.facts import Facts, Problem, moved, moved_at
from ladenbuch.domain.gift_cards import CARD, GATEWAY, NO_CARDS, GiftCards
from ladenbuch.domain.hands import paid_by_others
from ladenbuch.domain.order import Payment
from ladenbuch.domain.profile import LINED_MODES, SUPPORTED_MODES, Gateway, Profile

PAID_TWICE = "the invoice was paid in sevdesk by another line, and ours for the same money is not linked"
Share = tuple[str, int]  # which document, how much of the transaction (signed)


@dataclass(slots=True)
class Money:
    """Everything about money that is left to do, and the questions about it."""

    lines: list[Action] = field(default_factory=list)
    payments: list[Action] = field(default_factory=list)
    refunds: list[Action] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    covered: frozenset[str] = frozenset()  # payments that others have linked in sevdesk


def money(
    facts: Facts,
    books: Books,
    profile: Profile,
    documents: Sequence[PostedDocument] | None = None,
    returned: Sequence[Returned] = (),
    given_back: int = 0,
    cards: GiftCards = NO_CARDS,
) -> Money:
    """Put every transaction on its account and link it, oldest first.

    `documents` are the invoices that stand (None: nothing is invoiced yet), `returned` what went back on which credit
    note. Never more is linked than an invoice carries; what is left over is OVERPAID, except what was given back
    meanwhile (`given_back`, minor units). `facts` are those of the order without the gift cards in `cards`.
    """
    made = Money()
    shares, over, covered = _shares(facts, books, profile, documents, given_back)
    made.covered = covered
    for item in returned:
        shares.setdefault(item.payment_id, []).append((item.document_key, -item.amount))
    for payment in cards.payments or facts.order.payments:
        if not moved(payment) or payment.kind == "CHANGE" or moved_at(payment) is None:
            continue
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None:
            made.problems.append(_unmapped(payment.gateway, payment.id))
            continue
        if gateway.mode not in SUPPORTED_MODES:
            message = f"mode {gateway.mode!r} of gateway {payment.gateway!r} is not carried out yet"
            made.problems.append(Problem("GATEWAY-MODE", message, (payment.id,), SUPPORTED_MODES))
            continue
        if payment.id in over:
            message = f"{over[payment.id]} minor units more were paid than the invoice carries"
            choices = ("refund the difference", "keep it as credit", "book by hand")
            made.problems.append(Problem("OVERPAID", message, (payment.id,), choices))
        if payment.id in covered:
            _paid_twice(made, books, facts, payment)
            continue
        if not cards.settled:
            continue
        card = cards.parts.get(payment.id, 0)
        if gateway.mode in LINED_MODES:
            _post(made, books, profile, payment, gateway, shares.get(payment.id, []), card)
        if card and gateway.mode != "off":
            _owe(made, books, profile, payment, gateway, card)
    return made


def _unmapped(name: str | None, *facts: str) -> Problem:
    message = f"nobody has decided how gateway {name!r} is booked"
    return Problem("GATEWAY-UNMAPPED", message, facts, ("clearing+payouts", "bank", "liability", "off"))


def _shares(
    facts: Facts, books: Books, profile: Profile, documents: Sequence[PostedDocument] | None, given_back: int
) -> tuple[dict[str, list[Share]], dict[str, int], frozenset[str]]:
    """What each payment pays, those booked before first; how much too much each one is; which others have linked."""
    live = [item for item in documents or () if item.state != "cancelled"]
    open_rest = {item.key: item.draft.gross for item in live}
    shares: dict[str, list[Share]] = {}
    for booking in sorted((item for item in books.bookings if item.done and item.amount > 0), key=lambda b: b.key):
        shares.setdefault(transaction_of(booking.payment_id), []).append((booking.document_key, booking.amount))
        open_rest[booking.document_key] = open_rest.get(booking.document_key, 0) - booking.amount
    theirs = paid_by_others(books)
    for document in live:
        open_rest[document.key] -= theirs.get(document.key, 0)
    covered = _covered(facts, profile, shares, sum(theirs.get(item.key, 0) for item in live))
    over: dict[str, int] = {}
    ours = [(when, item.id, item) for item in facts.order.payments if moved(item) > 0 and (when := moved_at(item))]
    for _, _, payment in sorted(ours, key=lambda entry: entry[:2]) if documents is not None else []:
        if payment.id in covered:
            continue
        rest = payment.amount - sum(amount for _, amount in shares.get(payment.id, []))
        surplus = rest - sum(open_rest[item.key] for item in live)
        if surplus > given_back:
            over[payment.id] = surplus
            continue
        given_back -= max(0, surplus)
        for document in live:
            amount = min(rest, open_rest[document.key])
            if amount > 0:
                rest, open_rest[document.key] = rest - amount, open_rest[document.key] - amount
                shares.setdefault(payment.id, []).append((document.key, amount))
    return shares, over, covered


def _covered(facts: Facts, profile: Profile, shares: dict[str, list[Share]], theirs: int) -> frozenset[str]:
    """The payments that somebody else has linked in sevdesk already (R14): those matched there by design first."""

    def by_design(payment: Payment) -> bool:
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        return gateway is not None and gateway.mode not in LINED_MODES

    found = set()
    for payment in sorted(facts.order.payments, key=lambda item: (not by_design(item), item.id)):
        if moved(payment) > 0 and payment.id not in shares and 0 < payment.amount <= theirs:
            theirs -= payment.amount
            found.add(payment.id)
    return frozenset(found)


def _paid_twice(made: Money, books: Books, facts: Facts, payment: Payment) -> None:
    """Our line for money that somebody else has linked: it is too many, and only a person may say so (R14)."""
    mine = [item for item in books.lines if item.done and transaction_of(item.payment_id) == payment.id]
    if not mine:
        return
    problem = Problem("PAID-TWICE", PAID_TWICE, (payment.id,), ("delete our line", "keep both"))
    made.problems.append(problem)
    if Answers.of(books.resolutions, facts).to(problem) != "delete our line":
        return
    reason = "The invoice is paid by another line in sevdesk, and a person wants ours gone."
    for line in mine:
        made.lines.append(Action("delete_line", f"gone:{line.key}", reason, (payment.id,), line=line))


def _post(
    made: Money,
    books: Books,
    profile: Profile,
    payment: Payment,
    gateway: Gateway,
    shares: list[Share],
    card: int,
) -> None:
    """The lines and links of one transaction on its account; what is for gift cards (`card`) comes last, unlinked."""
    number = payment.id.rsplit("/", 1)[-1]
    lines = {item.payment_id: item.amount for item in books.lines if item.done}
    lines.pop(f"{payment.id}/{CARD}", None)
    whole = payment.id in lines
    amounts = [amount for _, amount in shares]
    if card:
        rest = moved(payment) - card - sum(amounts)
        amounts += [amount for amount in (rest, card) if amount]
    in_parts = len(amounts) > 1 or any(transaction_of(item) == payment.id != item for item in lines)
    torn = whole and len(amounts) > 1
    moved_parts = card and any(lines.get(f"{payment.id}/{i}", a) != a for i, a in enumerate(amounts, 1))
    if torn or moved_parts:
        what = "one transaction belongs to several documents, and its line was written before that was known"
        by_hand = ("split and link it by hand in sevdesk", "exclude the order")
        made.problems.append(Problem("PAYMENT-SPLIT", what, (payment.id,), by_hand))
        return
    amounts = amounts if in_parts else [moved(payment)]
    for index, amount in enumerate(amounts, 1):
        part, key = (f"{payment.id}/{index}", f"line:{number}:{index}") if in_parts else (payment.id, f"line:{number}")
        if part not in lines:
            line = PostedLine(key, part, gateway.account, amount, _day(payment, profile))
            made.lines.append(Action("money_line", key, _why(payment, gateway, amount), (payment.id,), line=line))
        if index > len(shares):
            continue
        document, share = shares[index - 1]
        booking = Booked(f"pay:{number}:{index}", part, document, share)
        if any(item.key == booking.key and item.done for item in books.bookings):
            continue
        after = (key, finalise_key(document))
        if share > 0:
            reason = f"The money of {payment.gateway} pays this invoice."
            made.payments.append(Action("book_payment", booking.key, reason, (payment.id,), after, booking=booking))
        else:
            reason = f"The money {payment.gateway} paid back settles this credit note."
            made.refunds.append(Action("book_refund", booking.key, reason, (payment.id,), after, booking=booking))


def _owe(made: Money, books: Books, profile: Profile, payment: Payment, gateway: Gateway, card: int) -> None:
    """The other side of money for gift cards: what the shop owes their owners, on the account of the cards (2.5).

    The account stands at minus the cards nobody has redeemed. It is no transfer yet: sevdesk's own are unproven.
    """
    holder = profile.gateways.get(GATEWAY)
    part, key = f"{payment.id}/{CARD}", f"line:{payment.id.rsplit('/', 1)[-1]}:{CARD}"
    if gateway.mode not in LINED_MODES:
        message = f"a gift card was paid with {payment.gateway!r}, whose money is matched in sevdesk"
        made.problems.append(Problem("GIFT-CARD", message, (payment.id,), ("book by hand", "exclude the order")))
    elif holder is None or holder.mode != "liability":
        made.problems.append(_unmapped(GATEWAY, payment.id))
    elif holder.account is not None and holder.account == gateway.account:
        message = "a gift card was paid from the account of the gift cards"
        made.problems.append(Problem("GIFT-CARD", message, (payment.id,), ("book by hand", "exclude the order")))
    elif not any(item.payment_id == part and item.done for item in books.lines):
        line = PostedLine(key, part, holder.account, -card, _day(payment, profile))
        reason = "A multi-purpose gift card was sold: what the shop owes its customers rises by it (2.5)."
        if card < 0:
            reason = "A gift card was taken back: what the shop owes its customers falls by it (2.5)."
        made.lines.append(Action("money_line", key, reason, (payment.id,), line=line))


def _why(payment: Payment, gateway: Gateway, amount: int) -> str:
    """Why a line stands on its account."""
    if gateway.mode == "liability" and amount > 0:
        return f"The buyer paid with {payment.gateway}: what the shop owes its customers falls by it (2.5)."
    if gateway.mode == "liability":
        return f"The buyer got {payment.gateway} back instead of money: what the shop owes its customers rises by it."
    if amount > 0:
        return f"{payment.gateway} received the money: it stands on its clearing account until the payout."
    return f"{payment.gateway} paid money back: it left the clearing account."


def _day(payment: Payment, profile: Profile) -> date:
    at = moved_at(payment)
    assert at is not None
    return profile.local_date(at)
