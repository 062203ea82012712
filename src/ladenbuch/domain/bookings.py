"""Money: one line per transaction on the gateway's account, and its booking on the documents it pays (4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ladenbuch.domain.actions import Action, finalise_key
from ladenbuch.domain.books import Booked, Books, PostedDocument, PostedLine
from ladenbuch.domain.chain import Returned
from ladenbuch.domain.facts import Facts, Problem, moved, moved_at
from ladenbuch.domain.order import Payment
from ladenbuch.domain.profile import SUPPORTED_MODES, Profile


def money_lines(facts: Facts, books: Books, profile: Profile) -> tuple[list[Action], list[Problem]]:
    """One line on the gateway's account per SUCCESS transaction, where the mode is clearing with payouts (4.2)."""
    known = {line.payment_id for line in books.lines if line.done}
    actions: list[Action] = []
    problems: list[Problem] = []
    for payment in facts.order.payments:
        if not moved(payment) or payment.kind == "CHANGE" or moved_at(payment) is None:
            continue
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None:
            message = f"nobody has decided how gateway {payment.gateway!r} is booked"
            choices = ("clearing+payouts", "bank", "liability", "off")
            problems.append(Problem("GATEWAY-UNMAPPED", message, (payment.id,), choices))
        elif gateway.mode not in SUPPORTED_MODES:
            message = f"mode {gateway.mode!r} of gateway {payment.gateway!r} is not carried out yet"
            problems.append(Problem("GATEWAY-MODE", message, (payment.id,), SUPPORTED_MODES))
        elif gateway.mode == "clearing+payouts" and payment.id not in known:
            line = PostedLine(_line_key(payment), payment.id, gateway.account, moved(payment), _day(payment, profile))
            reason = f"{payment.gateway} received the money: it stands on its clearing account until the payout."
            if line.amount < 0:
                reason = f"{payment.gateway} paid money back: it left the clearing account."
            actions.append(Action("money_line", line.key, reason, (payment.id,), line=line))
    return actions, problems


def _line_key(payment: Payment) -> str:
    return f"line:{payment.id.rsplit('/', 1)[-1]}"


def _day(payment: Payment, profile: Profile) -> date:
    at = moved_at(payment)
    assert at is not None
    return profile.local_date(at)


def bookings(
    facts: Facts, books: Books, profile: Profile, documents: Sequence[PostedDocument], given_back: int = 0
) -> tuple[list[Action], list[Problem]]:
    """Link each transaction to the documents it pays, oldest first, in parts where one does not hold it (2.5).

    `documents` are invoices that stand. Never more than one carries; what is left over is OVERPAID, except what has
    been given back meanwhile (`given_back`, minor units).
    """
    live = [item for item in documents if item.state != "cancelled"]
    open_rest = {item.key: item.draft.gross for item in live}
    booked: dict[str, int] = {}
    parts: dict[str, int] = {}
    for item in books.bookings:
        if item.done:
            open_rest[item.document_key] = open_rest.get(item.document_key, 0) - item.amount
            booked[item.payment_id] = booked.get(item.payment_id, 0) + item.amount
            parts[item.payment_id] = parts.get(item.payment_id, 0) + 1
    if not live:
        return [], []
    actions: list[Action] = []
    problems: list[Problem] = []
    ours = [(when, item.id, item) for item in facts.order.payments if moved(item) > 0 and (when := moved_at(item))]
    for _, _, payment in sorted(ours, key=lambda entry: entry[:2]):
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None or gateway.mode not in SUPPORTED_MODES:
            continue
        rest = payment.amount - booked.get(payment.id, 0)
        over = rest - sum(open_rest[item.key] for item in live)
        if 0 < over <= given_back:
            given_back -= over
            rest -= over
        elif over > 0:
            message = f"{over} minor units more were paid than the invoice carries"
            choices = ("refund the difference", "keep it as credit", "book by hand")
            problems.append(Problem("OVERPAID", message, (payment.id,), choices))
            continue
        pays: list[tuple[PostedDocument, int]] = []
        for document in live:
            amount = min(rest, open_rest[document.key])
            if amount > 0:
                rest, open_rest[document.key] = rest - amount, open_rest[document.key] - amount
                pays.append((document, amount))
        if gateway.mode != "clearing+payouts":
            continue
        if len(pays) > 1:
            problems.append(_split(payment.id))
            continue
        for document, amount in pays:
            parts[payment.id] = parts.get(payment.id, 0) + 1
            key = f"pay:{payment.id.rsplit('/', 1)[-1]}:{parts[payment.id]}"
            booking = Booked(key, payment.id, document.key, amount)
            reason = f"The money of {payment.gateway} pays this invoice."
            after = (_line_key(payment), finalise_key(document.key))
            actions.append(Action("book_payment", booking.key, reason, (payment.id,), after, booking=booking))
    return actions, problems


def refunds_booked(
    facts: Facts, books: Books, profile: Profile, returned: Sequence[Returned]
) -> tuple[list[Action], list[Problem]]:
    """Link each refund transaction to its credit note, negative (facts 2.11)."""
    done = {(item.payment_id, item.document_key) for item in books.bookings if item.done}
    payments = {item.id: item for item in facts.order.payments}
    actions: list[Action] = []
    problems: list[Problem] = []
    for item in returned:
        payment = payments[item.payment_id]
        gateway = profile.gateway(payment.gateway, manual=payment.manual)
        if gateway is None or gateway.mode != "clearing+payouts" or (payment.id, item.document_key) in done:
            continue
        if sum(1 for other in returned if other.payment_id == payment.id) > 1:
            problems += [_split(payment.id)] if all(payment.id not in known.facts for known in problems) else []
            continue
        key = f"pay:{payment.id.rsplit('/', 1)[-1]}:1"
        booking = Booked(key, payment.id, item.document_key, -item.amount)
        after = (_line_key(payment), finalise_key(item.document_key))
        reason = f"The money {payment.gateway} paid back settles this credit note."
        actions.append(Action("book_refund", key, reason, (payment.id,), after, booking=booking))
    return actions, problems


def _split(payment_id: str) -> Problem:
    """Whether sevdesk links one line to two documents is unproven (bookkeeping section 6): refused by default."""
    message = "one transaction belongs to several documents, which sevdesk is not known to link"
    return Problem("PAYMENT-SPLIT", message, (payment_id,), ("link it by hand in sevdesk", "exclude the order"))
