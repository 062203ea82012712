"""What the actions of a plan do, exactly once each (`run.once`): which room carries out which kind, and the letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ladenbuch import books, privacy
from ladenbuch.db import Transaction
from ladenbuch.domain.actions import Action, Letter
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import CreditNoteDraft
from ladenbuch.errors import NotYet
from ladenbuch.mail.letters import LetterKind
from ladenbuch.workflows import booking, correcting, einvoice, foreign, invoicing, lettering, telling_shop
from ladenbuch.workflows.clock import AGAIN, KIND
from ladenbuch.workflows.contacts import contact_of
from ladenbuch.workflows.recovering import may_be_sent
from ladenbuch.workflows.run import Run, Unfound, document_of

#: What takes a number (a credit note's draft has one already). A number stands for its day and its order for good.
_NUMBERED = frozenset({"finalise", "credit_note", "cancel"})


def carry_out(run: Run, action: Action) -> None:
    """Do one action exactly once. Raises Retryable or Ambiguous (later), Rejected or NeedsAttention (parked), and
    NotYet("CLOCK-OFF") for what takes a number while our clock is off.
    """
    if action.kind in _NUMBERED and run.ctx.clock_off() is not None:
        raise NotYet(KIND, "our clock is off: numbers wait until it is right", run.ctx.until(AGAIN))
    steps: dict[str, Callable[[Run, Action], None]] = {
        "invoice": _invoice,
        "finalise": _finalise,
        "credit_note": _credit_note,
        "cancel": correcting.cancel,
        "adopt": _adopt,
        "money_line": booking.money_line,
        "delete_line": booking.delete_line,
        "book_payment": booking.book_payment,
        "book_refund": booking.book_refund,
        "xml": einvoice.prove,
        "letter": _promise_letter,
        "tell_paid": telling_shop.tell_paid,
    }
    with einvoice.told_by_sevdesk():
        steps[action.kind](run, action)


def _invoice(run: Run, action: Action) -> None:
    """The draft of an invoice, for the buyer's contact."""
    assert action.document is not None
    draft = action.document.draft
    # While recovering nothing is written, so that nobody to write it to is needed.
    contact_id = "" if run.recovering else contact_of(run, draft.party, tax_rule=draft.tax_rule)
    invoicing.draft_invoice(run, action, contact_id)


def _credit_note(run: Run, action: Action) -> None:
    """The draft of a credit note, for the contact of its invoice."""
    assert action.document is not None
    correcting.draft_credit_note(run, action, _corrected_contact(run, action.document))


def _adopt(run: Run, action: Action) -> None:
    """A document of others becomes one of ours."""
    assert action.document is not None
    room = correcting.adopt if action.document.kind == "credit_note" else foreign.adopt_invoice
    room(run, action)


def _finalise(run: Run, action: Action) -> None:
    """The number of a draft."""
    assert action.document is not None
    contact_id = _corrected_contact(run, action.document)
    room = correcting.finalise_credit_note if action.document.kind == "credit_note" else invoicing.finalise_invoice
    room(run, action, contact_id)


def _corrected_contact(run: Run, document: PostedDocument) -> str:
    """The contact a document is for; a correction of an invoice of others is for the contact they wrote it to."""
    draft = document.draft
    if isinstance(draft, CreditNoteDraft):
        origin = document_of(run, draft.origin_key)
        theirs = origin.of_others or run.recovering
        invoice = run.sevdesk.get_invoice(origin.sevdesk_id) if theirs and origin.sevdesk_id else None
        if invoice is not None and invoice.contact_id is not None:
            return invoice.contact_id
    return "" if run.recovering else contact_of(run, draft.party)


# -- the letter ---------------------------------------------------------------------------------------------------


def _promise_letter(run: Run, action: Action) -> None:
    """Promise the letter in the transaction that uses its key: once promised, `deliver` sends it once."""
    letter = action.letter
    assert letter is not None
    if run.recovering:
        raise Unfound
    document = document_of(run, letter.document_key) if letter.document_key else None
    about = letter.kind if document is None else document.number
    sent = document is not None and may_be_sent(run, document)
    payload = _payload(run, letter)
    now = run.ctx.clock()

    def promise(tx: Transaction) -> None:
        known = books.intend(
            tx,
            run.tenant,
            run.order_id,
            key=action.key,
            kind="letter",
            run_id=run.run_id,
            reason=action.reason,
            now=now,
        )
        if known.done:
            return
        books.done(tx, run.tenant, action.key, now)
        if privacy.redacted(tx, run.tenant, run.order_id):
            run.say(tx, "no-letter", f"No letter for {about}: the buyer's data was erased.")
            return
        if sent:
            run.say(tx, "no-letter", f"No letter for {about}: a person says that it was sent before.")
            return
        promised = lettering.promise(
            run.ctx,
            tx,
            run.tenant,
            cast("LetterKind", letter.kind),
            action.key,
            order_id=run.order_id,
            document_id=None if document is None else document.sevdesk_id,
            payload=payload,
            since=letter.at if document is None else None,
        )
        if promised:
            run.say(tx, "promised", f"The letter for {about} was promised.")

    run.write(promise)
    run.ctx.wake("deliver")


def _payload(run: Run, letter: Letter) -> dict[str, Any]:
    """What of a letter is sealed until it goes out (see `lettering`)."""
    said: dict[str, Any] = {"to": letter.to, "locale": letter.locale}
    if letter.kind == "invoice" and letter.at is not None:
        said["paid"] = True
    if letter.kind in ("payment", "refund") and letter.at is not None:
        day = run.ctx.profiles(run.tenant)[-1].local_date(letter.at)
        said |= {"amount": letter.amount, "currency": letter.currency, "on": day.isoformat()}
    if letter.document_key:
        return said | {"document": letter.document_key}
    return said | {"order": letter.order, "name": letter.name}
