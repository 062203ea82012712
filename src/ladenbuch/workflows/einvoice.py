"""What an e-invoice needs around its draft: a contact made fit, sevdesk's refusal in words, the XML as proof."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from ladenbuch import books
from ladenbuch.db import Transaction
from ladenbuch.domain.actions import Action
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.errors import NeedsAttention, Rejected, Retryable
from ladenbuch.sevdesk.einvoice import InvoiceXml
from ladenbuch.sevdesk.paper import line
from ladenbuch.workflows.run import Run, document_of, once

#: How long after finalising sevdesk may still be writing the XML.
_WRITING = timedelta(minutes=10)
#: What of an e-invoice only sevdesk can miss (830); its names are those of the published description.
_LACKS = {
    "bankIban": "the account's IBAN",
    "bankBic": "the account's BIC",
    "contactEmail": "the account's e-mail address",
    "contactPhone": "the account's telephone number",
    "taxNumber": "the account's tax number",
    "vatNumber": "the account's VAT id",
    "paymentMethod": "a payment method of the account",
    "buyerReference": "the contact's buyer reference",
    "email": "the contact's e-mail address",
}


def prepare_contact(run: Run, contact_id: str, draft: InvoiceDraft, *, numbering: bool = False) -> None:
    """Give the contact a mailbox and the reference an e-invoice quotes: sevdesk reads both there, not on the draft.

    A mailbox that is there will do, and a reference a person entered stays (R16): the contact may be the merchant's.
    An empty reference is filled. One of ours gives way to this document's only while its number is taken
    (`numbering`), when no other document's is: every e-invoice quotes its own.
    """
    if not draft.e_invoice:
        return
    mailboxes = [way for way in run.sevdesk.communication_ways(contact_id) if way.kind == "EMAIL"]
    if draft.party.email and not mailboxes:
        run.sevdesk.add_email(contact_id, draft.party.email)
    contact = run.sevdesk.get_contact(contact_id)
    there, wanted = contact.buyer_reference if contact is not None else None, line(draft.buyer_reference)
    if there == wanted or (there is not None and not numbering):
        return
    key = _key(contact_id, wanted)

    def intend(tx: Transaction) -> bool:
        """Whether we may write, because nothing stands there or we wrote it; and that we are about to."""
        if there is not None and books.intent(tx, run.tenant, _key(contact_id, there)) is None:
            return False
        reason = "The e-invoice quotes the buyer's reference, and sevdesk takes it from the contact."
        now = run.ctx.clock()
        books.intend(
            tx, run.tenant, run.order_id, key=key, kind="buyer_reference", run_id=run.run_id, reason=reason, now=now
        )
        return True

    if run.write(intend):
        run.sevdesk.set_buyer_reference(contact_id, wanted)
        run.record(lambda tx: books.done(tx, run.tenant, key, run.ctx.clock(), contact_id))


def _key(contact_id: str, reference: str) -> str:
    """The name under which a reference of ours is remembered; the reference itself may be an e-mail address."""
    return f"bt10:{contact_id}:{hashlib.sha256(reference.encode()).hexdigest()[:16]}"


@contextmanager
def told_by_sevdesk() -> Iterator[None]:
    """Turn sevdesk's refusal of an incomplete e-invoice into the question that names what is missing."""
    try:
        yield
    except Rejected as refusal:
        if refusal.code == "SEVDESK-PAYMENT-METHOD":
            names = [f"a payment method of the account with the code {refusal.detail.get('means')}"]
        elif refusal.code == "SEVDESK-830":
            missing = refusal.detail.get("missing")
            names = [_named(str(each)) for each in missing] if isinstance(missing, list) else []
        else:
            raise
        message = f"the e-invoice lacks: {', '.join(names) or 'something sevdesk does not name'}"
        raise NeedsAttention("E-INVOICE", message, choices=("add it in sevdesk", "exclude the order")) from None


def _named(field: str) -> str:
    """The account's own data are the seller's: everything of the buyer was looked at before."""
    owner, _, name = field.rpartition(".")
    if name.startswith("address") and owner in ("", "sevClient"):
        return "the account's address"
    return _LACKS.get(name, name)


def prove(run: Run, action: Action) -> None:
    """Read the XML of a finalised e-invoice, hold it against the document, and keep its hash in the audit log.

    Raises Retryable while sevdesk may still be writing it, NeedsAttention("E-INVOICE-XML") when there is none.
    """
    assert action.document is not None
    document = document_of(run, action.document.key)
    if document.sevdesk_id is None or document.number is None:
        raise Retryable("UNCONFIRMED", "the invoice has no number yet")
    invoice_id, number, gross = document.sevdesk_id, document.number, document.draft.gross

    def read() -> InvoiceXml:
        try:
            found = run.sevdesk.invoice_xml(invoice_id)
        except Retryable:
            finalised = document.written_at
            if finalised is None or run.ctx.clock() - finalised < _WRITING:
                raise
            raise _no_proof("sevdesk does not give its XML") from None
        except Rejected:
            raise _no_proof("sevdesk has no XML of it") from None
        if (found.number, found.gross) != (number, gross):
            raise _no_proof("its XML names another number or another total")
        return found

    def record(tx: Transaction, found: InvoiceXml) -> str:
        run.say(tx, "e-invoice", f"Invoice {number} is an e-invoice; SHA-256 of its XML: {found.digest}.")
        return found.digest

    once(run, action.key, "xml", action.reason, find=read, call=read, record=record)


def _no_proof(why: str) -> NeedsAttention:
    choices = ("look into it in sevdesk", "send it by hand")
    return NeedsAttention("E-INVOICE-XML", f"the invoice should be an e-invoice, and {why}", choices=choices)
