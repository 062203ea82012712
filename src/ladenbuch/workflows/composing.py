"""A promised letter -> the message as it goes out: words, branding, the document of sevdesk attached.

Composed anew for each attempt from what was promised (sealed) and what is in the books; the same letter key gives the
same Message-ID, however often. Nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from ladenbuch import books, outbox
from ladenbuch.db import Store
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.mail.letters import InvoiceLetter, invoice_letter
from ladenbuch.workflows.context import Context


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready for a relay. `sender` and `to` are for the envelope; `about` names it in the audit chain."""

    message: EmailMessage
    sender: str
    to: str
    about: str


def compose(ctx: Context, letter: outbox.Letter) -> Composed:
    """The message of a letter. Raises Rejected when it can never be sent (`LETTER-ADDRESS`, `LETTER-SENDER`,
    `LETTER-KIND`), Retryable when its document has no number or sevdesk no PDF yet.
    """
    payload = json.loads(ctx.vault.open(letter.tenant, "letter", letter.id, letter.sealed_payload))
    write = _WRITERS.get(letter.kind)
    if write is None:
        raise Rejected("LETTER-KIND", "nobody knows how to write this letter")
    return write(ctx, letter, payload)


def _of_document(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> Composed:
    """The letter of an invoice or of its correction, with the PDF."""
    tenant = letter.tenant
    unseal = ctx.unseal(tenant, "pins")
    door = ctx.door(tenant)
    known = door.read(Store.BOOKS, lambda tx: books.load(tx, tenant, letter.order_id, unseal))
    document: PostedDocument | None = next((d for d in known.documents if d.key == payload["document"]), None)
    if document is None or document.number is None or document.sevdesk_id is None:
        raise Retryable("UNCONFIRMED", "the document has no number yet")
    sevdesk, correction = ctx.sevdesk(tenant), document.kind == "credit_note"
    pdf = (sevdesk.credit_note_pdf if correction else sevdesk.invoice_pdf)(document.sevdesk_id)
    profile = ctx.profiles(tenant)[-1]
    draft = document.draft
    booked = sum(item.amount for item in known.bookings if item.done and item.document_key == document.key)
    context = InvoiceLetter(
        letter_key=letter.id,
        to_email=payload["to"],
        to_name=draft.party.name,
        locale=payload["locale"],
        shop_name=profile.shop_name or profile.shop_key,
        sender=ctx.mail_from,
        reply_to=ctx.mail_from,
        invoice_number=document.number,
        order_name=draft.note.split(" / ")[0],
        invoice_date=draft.issued_on,
        gross_minor=draft.gross,
        currency=draft.currency,
        paid=booked >= draft.gross,
        correction=correction,
        **_terms(draft),
    )
    message = invoice_letter(context, pdf.content, ctx.clock())
    sender, to = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    return Composed(message, sender, to, f"invoice {document.number}")


def _terms(draft: InvoiceDraft | CreditNoteDraft) -> dict[str, Any]:
    """What else the letter of an invoice says: when it is due, the buyer's own number, whether it is an e-invoice."""
    if not isinstance(draft, InvoiceDraft):
        return {}
    due = None if draft.time_to_pay is None else draft.invoice_date + timedelta(days=draft.time_to_pay)
    own = draft.buyer_reference if draft.buyer_reference != draft.party.email else None
    return {"due": due, "reference": own or "", "e_invoice": draft.e_invoice}


_WRITERS: Mapping[str, Callable[[Context, outbox.Letter, Mapping[str, Any]], Composed]] = {
    "invoice": _of_document,
    "correction": _of_document,
}
