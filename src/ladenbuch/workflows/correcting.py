"""Corrections in sevdesk: credit notes for money that went back, cancellations of what was never paid (R4, R5).

A credit note has its number before it is saved, and reading the next number reserves nothing: numbers are read, saved
and taken under one lease per tenant. A draft whose number another one took is written anew with the next.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ladenbuch import books
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import CreditNoteDraft
from ladenbuch.domain.texts import correction_note
from ladenbuch.errors import Ambiguous, NeedsAttention, NotYet, Rejected, Retryable
from ladenbuch.sealed import held
from ladenbuch.sevdesk.credit_notes import RemoteCreditNote, compare_credit_note, credit_note_hash
from ladenbuch.sevdesk.documents import RemoteInvoice
from ladenbuch.sevdesk.positions import same_gross_per_rate
from ladenbuch.workflows import announcing
from ladenbuch.workflows.recovering import differs, done_at, from_before, note_as_dated
from ladenbuch.workflows.run import Run, after_writing, answered, at_once, document_of, drifted, once, with_lease

#: The lease under which credit note numbers are read and taken.
NUMBER = "credit-note-number"


def draft_credit_note(run: Run, action: Action, contact_id: str) -> None:
    """Create the draft and compare it cent by cent, once the payment of its invoice is linked (R5).

    Raises NeedsAttention("PAYMENT-NOT-LINKED") while nothing is paid on the invoice in sevdesk.
    """
    document, draft = _credit_note(action)
    origin = document_of(run, draft.origin_key)
    invoice_id = origin.sevdesk_id
    if invoice_id is None or origin.state == "draft":
        raise Retryable("UNCONFIRMED", "the invoice is not finalised yet")
    invoice = run.sevdesk.get_invoice(invoice_id)
    unpaid = not run.recovering and (invoice is None or invoice.paid <= 0)
    if unpaid and invoice is not None and document.tax_point is not None:
        patience = document.tax_point + timedelta(seconds=run.ctx.timing.match_patience)
        if run.ctx.clock() < patience:
            message = "money went back; the correction waits until the payment is linked in sevdesk (R5)"
            again = run.ctx.clock() + timedelta(seconds=run.ctx.timing.match_again)
            raise NotYet("PAYMENT-UNLINKED", message, min(again, patience))
    if unpaid:
        message = "money went back, and the payment of the invoice is not linked in sevdesk yet"
        raise NeedsAttention(
            "PAYMENT-NOT-LINKED", message, choices=("link the payment in sevdesk", "correct it by hand")
        )

    def find() -> RemoteCreditNote | None:
        nonlocal document, draft
        found = _with_positions(run, _ours(run, draft, contact_id))
        if found is not None and from_before(run, found.credit_note_date):
            if run.recovering:
                draft = note_as_dated(draft, found)
                document = replace(document, draft=draft)
            if differences := compare_credit_note(draft, found, found.positions or ()):
                raise differs(draft.note, differences)
        return found

    def call() -> RemoteCreditNote:
        return with_lease(run, NUMBER, lambda: _save(run, draft, contact_id, origin))

    def record(tx: Transaction, found: RemoteCreditNote) -> str:
        books.drafted(tx, run.tenant, document.key, found.id, credit_note_hash(found, found.positions or ()))
        run.say(tx, "draft", f"Credit note draft for {draft.note}: {draft.gross} minor units.")
        return found.id

    once(
        run,
        document.key,
        "credit_note",
        action.reason,
        pin=lambda tx: books.pin_document(
            tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins", held(run.order_id))
        ),
        find=find,
        call=call,
        record=lambda tx, found: record(tx, _equal(run, draft, found)),
    )


def finalise_credit_note(run: Run, action: Action, contact_id: str) -> None:
    """Take the draft's number, after one more look at it (R12); written anew where another one took the number."""
    assert action.document is not None
    key = action.document.key
    document = document_of(run, key)
    draft = document.draft
    assert isinstance(draft, CreditNoteDraft)
    origin = document_of(run, draft.origin_key)
    anew_key = f"anew:{key}"

    def given_up(tx: Transaction) -> bool:
        """Whether we deleted the draft ourselves, to write it anew."""
        return books.intent(tx, run.tenant, anew_key) is not None

    def give_up(tx: Transaction) -> None:
        reason = "Another credit note took the number: the draft is written anew with the next."
        now = run.ctx.clock()
        books.intend(
            tx, run.tenant, run.order_id, key=anew_key, kind="renumber", run_id=run.run_id, reason=reason, now=now
        )

    def look() -> RemoteCreditNote | None:
        current = document_of(run, key)
        found = run.sevdesk.get_credit_note(current.sevdesk_id) if current.sevdesk_id else None
        found = found or _ours(run, draft, contact_id)  # it may have been written anew before we heard of it
        if found is None and run.ctx.door(run.tenant).read(Store.BOOKS, given_up):
            return None
        if found is not None and found.is_finalised:
            return found
        if run.recovering:
            return None
        if _as_decided(run, current, found):
            return None
        run.write(give_up)
        if found is not None:
            run.sevdesk.delete_credit_note_draft(found.id)
        return None

    def take() -> RemoteCreditNote:
        current = _ours(run, draft, contact_id)
        if current is not None:
            try:
                return run.sevdesk.finalise_credit_note(current.id)
            except Rejected as refusal:
                if refusal.code != "SEVDESK-NUMBER":
                    raise
            run.write(give_up)
            run.sevdesk.delete_credit_note_draft(current.id)
        anew = _equal(run, draft, _save(run, draft, contact_id, origin))
        return run.sevdesk.finalise_credit_note(anew.id)

    def send() -> RemoteCreditNote:
        sent = with_lease(run, NUMBER, take)
        found = after_writing(lambda: run.sevdesk.get_credit_note(sent.id))
        if found is None or not found.is_finalised:
            raise Ambiguous("UNCONFIRMED", "the credit note has no number yet")
        return found

    def record(tx: Transaction, found: RemoteCreditNote) -> str:
        assert found.number is not None
        if found.id != document.sevdesk_id:
            books.drafted(tx, run.tenant, key, found.id, document.content or "")
        books.finalised(tx, run.tenant, key, found.number, done_at(run))
        run.say(tx, "finalised", f"Credit note {found.number} for {draft.note}.")
        announcing.numbered(tx, run, replace(document, sevdesk_id=found.id), found.number, corrects=origin)
        return found.id

    once(run, action.key, "finalise", action.reason, find=look, call=send, record=record)


def _as_decided(run: Run, document: PostedDocument, found: RemoteCreditNote | None) -> bool:
    """Whether the draft stays as it is; False: it is written anew. Asks about one a person edited or deleted."""
    draft = document.draft
    assert isinstance(draft, CreditNoteDraft)
    if found is None:
        choices, about = ("recreate", "leave it to the bookkeeper"), (document.key, f"sevdesk:{document.sevdesk_id}")
        gone = NeedsAttention("DRAFT-GONE", "the draft was deleted in sevdesk", choices=choices, about=about)
        if answered(run, gone) != "recreate":
            raise gone
        return False
    positions = run.sevdesk.credit_note_positions(found.id)
    seen = credit_note_hash(found, positions)
    if seen == document.content or (document.content is None and not compare_credit_note(draft, found, positions)):
        return True
    equal = same_gross_per_rate(positions, draft.sums)
    choices = ("take theirs", "restore ours") if equal else ("restore ours", "leave it to the bookkeeper")
    about = (document.key, f"sevdesk:{seen}")
    ask = NeedsAttention("DRAFT-EDITED", "the draft was changed in sevdesk", choices=choices, about=about)
    choice = answered(run, ask)
    if choice == "take theirs" and equal:
        run.write(lambda tx: books.drafted(tx, run.tenant, document.key, found.id, seen))
        return True
    if choice == "restore ours":
        return False
    raise ask


def adopt(run: Run, action: Action) -> None:
    """Take a credit note a person wrote for ours: pinned with what it covers, nothing is called (R13)."""
    document, draft = _credit_note(action)
    number, sevdesk_id = document.number or "", document.sevdesk_id
    assert sevdesk_id is not None

    def record(tx: Transaction) -> str:
        books.pin_document(tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins", held(run.order_id)))
        books.drafted(tx, run.tenant, document.key, sevdesk_id, "")
        books.finalised(tx, run.tenant, document.key, number, run.ctx.clock())
        run.say(tx, "adopted", f"Credit note {number}, written by hand, is the one for {draft.note}.")
        announcing.numbered(tx, run, document, number)
        return sevdesk_id

    at_once(run, action.key, "adopt", action.reason, record)


def cancel(run: Run, action: Action) -> None:
    """Cancel an invoice nothing was paid on; sevdesk writes the cancellation itself (R5).

    Raises NeedsAttention("PAID-MEANWHILE") where a payment was matched before we came (errors 390, 750, 170).
    """
    assert action.document is not None
    document = document_of(run, action.document.key)
    invoice_id, note = document.sevdesk_id, document.draft.note
    if invoice_id is None or document.state == "draft":
        raise Retryable("UNCONFIRMED", "the invoice is not finalised yet")

    def call() -> RemoteInvoice:
        try:
            return run.sevdesk.cancel_invoice(invoice_id)
        except Rejected as refusal:
            if refusal.code in ("SEVDESK-390", "SEVDESK-750", "SEVDESK-170"):
                message = "the invoice was paid or credited in sevdesk before it could be cancelled"
                choices = ("correct it by a credit note in sevdesk", "leave the invoice as it is")
                raise NeedsAttention("PAID-MEANWHILE", message, choices=choices) from refusal
            raise

    def record(tx: Transaction, found: RemoteInvoice) -> str:
        books.cancelled(tx, run.tenant, document.key)
        run.say(tx, "cancelled", f"Invoice {document.number} was cancelled by {found.number or found.id}.")
        announcing.cancelled(tx, run, document, found.number)
        return found.id

    def find() -> RemoteInvoice | None:
        return run.sevdesk.find_cancellation(note, invoice_id)

    once(run, action.key, "cancel", action.reason, find=find, call=call, record=record)


def _credit_note(action: Action) -> tuple[PostedDocument, CreditNoteDraft]:
    assert action.document is not None
    draft = action.document.draft
    assert isinstance(draft, CreditNoteDraft)
    return action.document, draft


def _save(run: Run, draft: CreditNoteDraft, contact_id: str, origin: PostedDocument) -> RemoteCreditNote:
    """Save the draft with the next number. The invoice it corrects has its own only now, so the sentence that names it
    is no part of what was planned and pinned.
    """
    if origin.sevdesk_id is None or origin.number is None:
        raise Retryable("UNCONFIRMED", "the invoice is not finalised yet")
    named = correction_note(origin.number, origin.draft.issued_on, draft.party.locale)
    number = run.sevdesk.next_credit_note_number()
    text = "\n".join(part for part in (draft.head_text, named) if part)
    return run.sevdesk.save_credit_note(replace(draft, head_text=text), contact_id, origin.sevdesk_id, number)


def _ours(run: Run, draft: CreditNoteDraft, contact_id: str) -> RemoteCreditNote | None:
    """The credit note that carries our note: the finalised one, else the oldest draft; spare drafts are deleted."""
    found = run.sevdesk.find_credit_notes(draft.note, contact_id)
    final = [item for item in found if not item.is_draft]
    if len(final) > 1:
        choices = ("cancel the surplus credit note in sevdesk",)
        raise NeedsAttention("DUPLICATE", "several finalised credit notes carry this refund's note", choices=choices)
    keep = final[0] if final else (found[0] if found else None)
    for spare in found:
        if spare.is_draft and keep is not None and spare.id != keep.id:
            run.sevdesk.delete_credit_note_draft(spare.id)
    return keep


def _with_positions(run: Run, found: RemoteCreditNote | None) -> RemoteCreditNote | None:
    return None if found is None else replace(found, positions=run.sevdesk.credit_note_positions(found.id))


def _equal(run: Run, draft: CreditNoteDraft, found: RemoteCreditNote) -> RemoteCreditNote:
    """The draft as sevdesk has it, if it equals the pins to the cent (R21); otherwise it goes, and posting stops."""
    differences = compare_credit_note(draft, found, found.positions or ())
    if not differences:
        return found
    if found.is_draft:
        run.sevdesk.delete_credit_note_draft(found.id)
    what = "; ".join(str(item) for item in differences[:3])
    raise drifted(run, f"sevdesk computes {draft.note} differently: {what}")
