"""Invoices in sevdesk: drafts compared to the cent and finalised; what a person did to a draft meanwhile (R12, R13)."""

from __future__ import annotations

from dataclasses import replace

from ladenbuch import books
from ladenbuch.db import Transaction
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.errors import Ambiguous, NeedsAttention, Retryable
from ladenbuch.sealed import held
from ladenbuch.sevdesk.documents import RemoteInvoice, compare, content_hash, with_positions
from ladenbuch.sevdesk.positions import same_gross_per_rate
from ladenbuch.workflows import announcing
from ladenbuch.workflows.einvoice import prepare_contact
from ladenbuch.workflows.evidence import check_threshold
from ladenbuch.workflows.recovering import as_dated, differs, done_at, from_before
from ladenbuch.workflows.run import Run, after_writing, answered, document_of, drifted, once, with_lease


def draft_invoice(run: Run, action: Action, contact_id: str) -> None:
    """Create the draft and compare it cent by cent; a draft that differs is deleted and the tenant's posting stops."""
    assert action.document is not None and isinstance(action.document.draft, InvoiceDraft)
    document: PostedDocument = action.document
    draft: InvoiceDraft = action.document.draft
    if not run.recovering:
        prepare_contact(run, contact_id, draft)

    def find() -> RemoteInvoice | None:
        nonlocal document, draft
        found = _with_positions(run, _ours(run, draft))
        if found is not None and from_before(run, found.invoice_date):
            if run.recovering:
                draft = as_dated(draft, found)
                document = replace(document, draft=draft)
            if differences := compare(draft, found, found.positions or ()):
                raise differs(draft.note, differences)
        return found

    def pin(tx: Transaction) -> None:
        if not run.recovering:
            check_threshold(tx, run, document)
        books.pin_document(tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins", held(run.order_id)))

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


def finalise_invoice(run: Run, action: Action, contact_id: str) -> None:
    """Give the draft its number, after one more look at it (R12), one at a time per tenant; confirmed by id."""
    assert action.document is not None
    key = action.document.key
    document = document_of(run, key)
    if document.sevdesk_id is None:
        raise Retryable("UNCONFIRMED", "the draft is not confirmed yet")
    current = document.sevdesk_id

    def look() -> RemoteInvoice | None:
        nonlocal current
        invoice = _as_decided(run, document_of(run, key), contact_id)
        current = invoice.id
        return invoice if invoice.is_finalised else None

    def number() -> RemoteInvoice:
        assert isinstance(document.draft, InvoiceDraft)
        prepare_contact(run, contact_id, document.draft, numbering=True)
        return run.sevdesk.finalise(current)

    def send() -> RemoteInvoice:
        # Numbers follow the order of these calls, so only one is under way per tenant.
        with_lease(run, "finalise", number)
        invoice = after_writing(lambda: run.sevdesk.get_invoice(current))
        if invoice is None or not invoice.is_finalised:
            raise Ambiguous("UNCONFIRMED", "the invoice has no number yet")
        return invoice

    def record(tx: Transaction, invoice: RemoteInvoice) -> str:
        assert invoice.number is not None
        books.finalised(tx, run.tenant, key, invoice.number, done_at(run))
        run.say(tx, "finalised", f"Invoice {invoice.number} for {document.draft.note}.")
        announcing.numbered(tx, run, replace(document, sevdesk_id=invoice.id), invoice.number)
        return invoice.id

    once(run, action.key, "finalise", action.reason, find=look, call=send, record=record)


# -- what a person did to the draft -------------------------------------------------------------------------------


def _as_decided(run: Run, document: PostedDocument, contact_id: str) -> RemoteInvoice:
    """The draft that gets the number, or the invoice that has one: ours as it was, or as a person decided about it.

    A draft a person edited is neither overwritten nor sent, one that was deleted is not written again (R12, R13):
    raises NeedsAttention("DRAFT-EDITED" or "DRAFT-GONE") until somebody says what to do.
    """
    assert isinstance(document.draft, InvoiceDraft) and document.sevdesk_id is not None
    invoice = run.sevdesk.get_invoice(document.sevdesk_id)
    if invoice is None:
        ask = NeedsAttention(
            "DRAFT-GONE",
            "the draft was deleted in sevdesk",
            choices=("recreate", "leave it to the bookkeeper"),
            about=(document.key, f"sevdesk:{document.sevdesk_id}"),
        )
        if answered(run, ask) != "recreate":
            raise ask
        return _written_anew(run, document, contact_id)
    if invoice.is_finalised or run.recovering:
        return invoice
    positions = run.sevdesk.invoice_positions(invoice.id)
    seen = content_hash(invoice, positions)
    differences = compare(document.draft, invoice, positions) if seen != document.content else []
    if seen == document.content or (document.content is None and not differences):
        return invoice
    equal = same_gross_per_rate(positions, document.draft.sums)
    what = "; ".join(str(item) for item in differences[:3]) or "its texts or its address"
    ask = NeedsAttention(
        "DRAFT-EDITED",
        f"the draft was changed in sevdesk: {what}",
        choices=("take theirs", "restore ours") if equal else ("restore ours", "leave it to the bookkeeper"),
        about=(document.key, f"sevdesk:{seen}"),
    )
    choice = answered(run, ask)
    if choice == "take theirs" and equal:
        run.write(lambda tx: _taken(tx, run, document, invoice, seen))
        return invoice
    if choice == "restore ours":
        return _written_anew(run, document, contact_id)
    raise ask


def _taken(tx: Transaction, run: Run, document: PostedDocument, invoice: RemoteInvoice, seen: str) -> None:
    books.drafted(tx, run.tenant, document.key, invoice.id, seen)
    run.say(tx, "taken-over", f"The draft for {document.draft.note} stays as a person wrote it.")


def _written_anew(run: Run, document: PostedDocument, contact_id: str) -> RemoteInvoice:
    """Our draft once more, in the place of the one that was deleted or edited (`document.sevdesk_id`)."""
    draft, old = document.draft, document.sevdesk_id
    assert isinstance(draft, InvoiceDraft) and old is not None

    def find() -> RemoteInvoice | None:
        others = [item for item in run.sevdesk.find_invoices(draft.note) if item.kind == "RE" and item.id != old]
        return _with_positions(run, others[0]) if others else None

    def call() -> RemoteInvoice:
        run.sevdesk.delete_draft(old)
        return run.sevdesk.save_draft(draft, contact_id)

    def record(tx: Transaction, found: RemoteInvoice) -> str:
        books.drafted(tx, run.tenant, document.key, found.id, content_hash(found, found.positions or ()))
        run.say(tx, "draft", f"The draft for {draft.note} was written anew.")
        return found.id

    key = f"anew:{document.key}:{old}"
    reason = "A person wants our draft back."
    once(run, key, "anew", reason, find=find, call=call, record=lambda tx, found: record(tx, _equal(run, draft, found)))
    again = run.sevdesk.get_invoice(document_of(run, document.key).sevdesk_id or old)
    if again is None:
        raise Retryable("UNCONFIRMED", "the draft is not confirmed yet")
    return again
