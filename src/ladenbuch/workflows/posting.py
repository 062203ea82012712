"""What the actions of a plan do: drafts compared and finalised, letters promised. Exactly once each (`run.once`)."""

from __future__ import annotations

import json
from collections.abc import Callable

from ladenbuch import books, outbox
from ladenbuch.db import Transaction
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.errors import Ambiguous, NeedsAttention, Retryable
from ladenbuch.sevdesk.documents import RemoteInvoice, compare, content_hash, with_positions
from ladenbuch.vault import Sealed
from ladenbuch.workflows import booking, correcting
from ladenbuch.workflows.contacts import contact_of
from ladenbuch.workflows.evidence import check_threshold
from ladenbuch.workflows.run import Run, document_of, drifted, once, with_lease


def carry_out(run: Run, action: Action) -> None:
    """Do one action exactly once. Raises Retryable or Ambiguous (later), Rejected or NeedsAttention (parked)."""
    steps: dict[str, Callable[[Run, Action], None]] = {
        "invoice": _draft,
        "finalise": _finalise,
        "credit_note": _credit_note,
        "cancel": correcting.cancel,
        "money_line": booking.money_line,
        "book_payment": booking.book_payment,
        "book_refund": booking.book_refund,
        "letter": _promise_letter,
    }
    steps[action.kind](run, action)


# -- draft, compare, finalise -------------------------------------------------------------------------------------


def _draft(run: Run, action: Action) -> None:
    """Create the draft and compare it cent by cent; a draft that differs is deleted and the tenant's posting stops."""
    document = action.document
    assert document is not None
    draft = document.draft
    assert isinstance(draft, InvoiceDraft)
    contact_id = contact_of(run, draft.party)

    def find() -> RemoteInvoice | None:
        return _with_positions(run, _ours(run, draft))

    def pin(tx: Transaction) -> None:
        check_threshold(tx, run, document)
        books.pin_document(tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins"))

    def record(tx: Transaction, found: RemoteInvoice) -> str:
        books.drafted(tx, run.tenant, document.key, found.id, content_hash(found, found.positions or ()))
        run.say(tx, "draft", f"Draft for {draft.note}: {draft.gross} minor units, rule {draft.tax_rule}.")
        return found.id

    once(
        run,
        document.key,
        "invoice",
        action.reason,
        pin=pin,
        find=find,
        call=lambda: run.sevdesk.save_draft(draft, contact_id),
        record=lambda tx, found: record(tx, _equal(run, draft, found)),
    )


def _ours(run: Run, draft: InvoiceDraft) -> RemoteInvoice | None:
    """The invoice that carries our note: the finalised one, else the oldest draft; spare drafts are deleted.

    Two drafts appear when a call we had given up on landed late; a draft has no number and no effect (facts 6.3).
    """
    found = [item for item in run.sevdesk.find_invoices(draft.note) if item.kind == "RE"]
    final = [item for item in found if not item.is_draft]
    if len(final) > 1:
        choices = ("cancel the surplus invoice in sevdesk",)
        raise NeedsAttention("DUPLICATE", "several finalised invoices carry this order's note", choices=choices)
    keep = final[0] if final else (found[0] if found else None)
    for spare in found:
        if spare.is_draft and keep is not None and spare.id != keep.id:
            run.sevdesk.delete_draft(spare.id)
    return keep


def _with_positions(run: Run, invoice: RemoteInvoice | None) -> RemoteInvoice | None:
    if invoice is None:
        return None
    return with_positions(invoice, run.sevdesk.invoice_positions(invoice.id))


def _equal(run: Run, draft: InvoiceDraft, found: RemoteInvoice) -> RemoteInvoice:
    """The draft as sevdesk has it, if it equals the pins to the cent (R21); otherwise it goes, and posting stops."""
    differences = compare(draft, found, found.positions or ())
    if not differences:
        return found
    if found.is_draft:
        run.sevdesk.delete_draft(found.id)
    what = "; ".join(str(item) for item in differences[:3])
    raise drifted(run, f"sevdesk computes {draft.note} differently: {what}")


def _credit_note(run: Run, action: Action) -> None:
    """The draft of a credit note, for the contact of its invoice."""
    assert action.document is not None
    correcting.draft_credit_note(run, action, contact_of(run, action.document.draft.party))


def _finalise(run: Run, action: Action) -> None:
    """Give the draft its number, after one more look at it (R12), one at a time per tenant; confirmed by id."""
    assert action.document is not None
    if action.document.kind == "credit_note":
        correcting.finalise_credit_note(run, action, contact_of(run, action.document.draft.party))
        return
    key = action.document.key
    document = document_of(run, key)
    invoice_id = document.sevdesk_id
    if invoice_id is None:
        raise Retryable("UNCONFIRMED", "the draft is not confirmed yet")

    def look() -> RemoteInvoice | None:
        invoice = run.sevdesk.get_invoice(invoice_id)
        if invoice is None:
            # Deleted under our hands: by a person, or it was a spare of ours. Never recreated alone (R13).
            raise NeedsAttention("DRAFT-GONE", "the draft was deleted in sevdesk", choices=("recreate", "exclude"))
        if invoice.is_finalised:
            return invoice
        _unchanged(run, document, invoice)
        return None

    def send() -> RemoteInvoice:
        # Numbers follow the order of these calls, so only one is under way per tenant.
        with_lease(run, "finalise", lambda: run.sevdesk.finalise(invoice_id))
        invoice = run.sevdesk.get_invoice(invoice_id)
        if invoice is None or not invoice.is_finalised:
            raise Ambiguous("UNCONFIRMED", "the invoice has no number yet")
        return invoice

    def record(tx: Transaction, invoice: RemoteInvoice) -> str:
        assert invoice.number is not None
        books.finalised(tx, run.tenant, key, invoice.number, run.ctx.clock())
        run.say(tx, "finalised", f"Invoice {invoice.number} for {document.draft.note}.")
        return invoice.id

    once(run, action.key, "finalise", action.reason, find=look, call=send, record=record)


def _unchanged(run: Run, document: PostedDocument, invoice: RemoteInvoice) -> None:
    """A draft a person edited is neither overwritten nor sent (R12): sums, dates, texts, address, everything counts."""
    assert isinstance(document.draft, InvoiceDraft)
    positions = run.sevdesk.invoice_positions(invoice.id)
    differences = compare(document.draft, invoice, positions)
    edited = document.content is not None and content_hash(invoice, positions) != document.content
    if differences or edited:
        what = "; ".join(str(item) for item in differences[:3]) or "its texts or its address"
        choices = ("take theirs", "restore ours")
        raise NeedsAttention("DRAFT-EDITED", f"the draft was changed in sevdesk: {what}", choices=choices)


# -- the letter ---------------------------------------------------------------------------------------------------


def _promise_letter(run: Run, action: Action) -> None:
    """Promise the letter in the transaction that uses its key: once promised, `deliver` sends it once."""
    letter = action.letter
    assert letter is not None
    document = document_of(run, letter.document_key)
    payload = json.dumps({"to": letter.to, "locale": letter.locale, "document": letter.document_key}).encode()
    key_id, ciphertext = run.ctx.seal(run.tenant, "letter")(payload)
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
        outbox.promise(
            tx,
            run.tenant,
            key=action.key,
            kind="correction" if document.kind == "credit_note" else "invoice",
            order_id=run.order_id,
            document_id=document.sevdesk_id,
            sealed_payload=Sealed(key_id, ciphertext),
            now=now,
        )
        books.done(tx, run.tenant, action.key, now)
        run.say(tx, "promised", f"The letter for {document.number} was promised.")

    run.write(promise)
    run.ctx.wake("deliver")
