"""A promised letter -> the message as it goes out: words, branding, the document of sevdesk attached.

Composed anew for each attempt from what was promised (sealed) and what is in the books; the same letter key gives the
same Message-ID, however often. Nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any, cast

from ladenbuch import books, outbox
from ladenbuch.db import Store
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft
from ladenbuch.domain.matching import UNNAMED
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.mail.digests import Digest, Item, write_digest
from ladenbuch.mail.letters import Attached, Brand, Copy, Letter, LetterKind, file_name
from ladenbuch.mail.writing import write
from ladenbuch.workflows.context import Context


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready for a relay. `sender` and `to` are for the envelope; `about` names it in the audit chain.

    `document` (a kind and an id in sevdesk) is given where sevdesk's own mail service is to hand it over.
    """

    message: EmailMessage
    sender: str
    to: str
    about: str
    document: tuple[str, str] | None = None


def compose(ctx: Context, letter: outbox.Letter) -> Composed:
    """The message of a letter. Raises Rejected when it can never be sent (`LETTER-ADDRESS`, `LETTER-SENDER`,
    `LETTER-KIND`), Retryable when its document has no number or sevdesk no PDF yet.
    """
    payload = json.loads(ctx.vault.open(letter.tenant, "letter", letter.id, letter.sealed_payload))
    if letter.kind == "copy":
        said = _ready(ctx, replace(letter, kind=payload["kind"], id=payload["of"]), payload["payload"])
        return _composed(ctx, letter, replace(said, document=None), archive=payload["to"])
    if letter.kind == "digest":
        return _digest(ctx, letter, payload)
    return _composed(ctx, letter, _ready(ctx, letter, payload))


def _digest(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> Composed:
    """What needs a person at a shop, to its merchant: from the installation, not from the shop."""
    items = [Item(**item) for item in payload["items"]]
    said = Digest(letter.id, payload["to"], payload["language"], payload["about"], items)
    message = write_digest(said, Brand("Ladenbuch", ctx.mail_from), ctx.clock())
    sender, to = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    return Composed(message, sender, to, "the digest")


def _ready(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    collect = _KINDS.get(letter.kind)
    if collect is None:
        raise Rejected("LETTER-KIND", "nobody knows how to write this letter")
    return collect(ctx, letter, payload)


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a letter says, the files that go with it, and which document of sevdesk it is about."""

    letter: Letter
    files: tuple[Attached, ...] = ()
    document: tuple[str, str] | None = None


def brand_of(ctx: Context, profile: Profile) -> Brand:
    """How letters under a profile look; what it leaves open is the installation's."""
    return Brand(
        shop_name=profile.shop_name or profile.shop_key,
        sender=profile.letters_from or ctx.mail_from,
        reply_to=profile.letters_reply_to or profile.letters_from or ctx.mail_from,
        colour=profile.letters_colour,
        footer=profile.letters_footer,
        account=profile.letters_account,
        texts=profile.letters_texts,
    )


def profile_now(ctx: Context, tenant: str) -> Profile:
    """The version in force now: branding is no decision of a tax point."""
    return profile_at(ctx.profiles(tenant), ctx.clock())


# -- letters about a document -------------------------------------------------------------------------------------


def _of_document(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    """The letter of an invoice or of its correction, with the PDF, and the XML of an e-invoice."""
    known, document = _known(ctx, letter, payload["document"])
    draft, number, sevdesk_id = document.draft, document.number or "", document.sevdesk_id or ""
    sevdesk, correction = ctx.sevdesk(letter.tenant), document.kind == "credit_note"
    pdf = (sevdesk.credit_note_pdf if correction else sevdesk.invoice_pdf)(sevdesk_id)
    files: tuple[Attached, ...] = (Attached(file_name(number), pdf.content),)
    if isinstance(draft, InvoiceDraft) and draft.e_invoice:
        files += (Attached(file_name(number, "xml"), sevdesk.invoice_xml(sevdesk_id).content, "application/xml"),)
    origin = _corrected(known, draft.origin_key) if isinstance(draft, CreditNoteDraft) else ""
    said = _said(letter, payload, document, corrects=origin, paid=_is_paid(known, document, payload))
    return _Ready(said, files, ("CreditNote" if correction else "Invoice", sevdesk_id))


def _of_cancellation(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    """An invoice is void; attached is the cancellation sevdesk wrote itself."""
    _, document = _known(ctx, letter, payload["document"])
    sevdesk = ctx.sevdesk(letter.tenant)
    found = sevdesk.find_cancellation(document.draft.note, document.sevdesk_id or "")
    if found is None or found.number is None:
        raise Retryable("UNCONFIRMED", "the cancellation has no number yet")
    files = (Attached(file_name(found.number), sevdesk.invoice_pdf(found.id).content),)
    said = _said(letter, payload, document, number=found.number, corrects=document.number or "")
    return _Ready(said, files, ("Invoice", found.id))


def _of_payment(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    """Thanks for what paid an invoice; nothing is attached."""
    _, document = _known(ctx, letter, payload["document"])
    said = _said(letter, payload, document, amount=payload["amount"], on=_day(payload.get("on")), paid=True)
    return _Ready(said)


def _of_reminder(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    """A payment did not come. With an invoice that is attached once more; without one it is about the order."""
    late: dict[str, Any] = {
        "level": min(3, max(1, int(payload["level"]))),
        "days": int(payload.get("days_overdue", 0)),
        "open": int(payload["open"]),
        "until": _day(payload.get("until")),
    }
    if not payload.get("document"):
        due = _day(payload.get("due"))
        return _Ready(_of_order(letter, payload, due=due, **late))
    _, document = _known(ctx, letter, payload["document"])
    pdf = ctx.sevdesk(letter.tenant).invoice_pdf(document.sevdesk_id or "")
    if payload.get("due"):
        late["due"] = _day(payload["due"])
    said = _said(letter, payload, document, **late)
    return _Ready(said, (Attached(file_name(document.number or ""), pdf.content),))


def _of_refund(ctx: Context, letter: outbox.Letter, payload: Mapping[str, Any]) -> _Ready:
    """Money went back, and there is no document about it."""
    return _Ready(_of_order(letter, payload, on=_day(payload.get("on"))))


_KINDS: Mapping[str, Callable[[Context, outbox.Letter, Mapping[str, Any]], _Ready]] = {
    "invoice": _of_document,
    "correction": _of_document,
    "cancellation": _of_cancellation,
    "payment": _of_payment,
    "refund": _of_refund,
    "reminder": _of_reminder,
}


# -- what they share ----------------------------------------------------------------------------------------------


def _known(ctx: Context, letter: outbox.Letter, key: str) -> tuple[Books, PostedDocument]:
    """The books of the letter's order, and its document, which has a number. Raises Retryable while it has none."""
    tenant, unseal = letter.tenant, ctx.unseal(letter.tenant, "pins")
    known = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.load(tx, tenant, letter.order_id, unseal))
    document = next((item for item in known.documents if item.key == key), None)
    if document is None or document.number is None or document.sevdesk_id is None:
        raise Retryable("UNCONFIRMED", "the document has no number yet")
    return known, document


def _said(letter: outbox.Letter, payload: Mapping[str, Any], document: PostedDocument, **more: Any) -> Letter:
    """What a letter about a document says; `more` goes over it."""
    draft = document.draft
    values: dict[str, Any] = {
        "to_email": payload.get("to") or draft.party.email or "",
        "to_name": "" if draft.party.name == UNNAMED else draft.party.name,
        "locale": payload.get("locale") or draft.party.locale,
        "order": draft.note.split(" / ")[0],
        "number": document.number,
        "issued": document.day,
        "amount": draft.gross,
        "currency": draft.currency,
    }
    if isinstance(draft, InvoiceDraft):
        own = draft.buyer_reference if draft.buyer_reference != draft.party.email else None
        due = None if draft.time_to_pay is None else draft.invoice_date + timedelta(days=draft.time_to_pay)
        values |= {"due": due, "reference": own or "", "e_invoice": draft.e_invoice}
    return Letter(key=letter.id, kind=cast("LetterKind", letter.kind), **(values | more))


def _of_order(letter: outbox.Letter, payload: Mapping[str, Any], **more: Any) -> Letter:
    """What a letter says about an order that has no document."""
    return Letter(
        key=letter.id,
        kind=cast("LetterKind", letter.kind),
        to_email=payload["to"],
        to_name=payload.get("name") or "",
        locale=payload.get("locale") or "",
        order=payload["order"],
        amount=int(payload["amount"]),
        currency=payload["currency"],
        **more,
    )


def _is_paid(known: Books, document: PostedDocument, payload: Mapping[str, Any]) -> bool:
    """Whether the shop knew the money when the letter was promised, or we have booked it since: nobody is asked for
    money that is there.
    """
    booked = sum(item.amount for item in known.bookings if item.done and item.document_key == document.key)
    return bool(payload.get("paid")) or booked >= document.draft.gross


def _corrected(known: Books, origin_key: str) -> str:
    return next((item.number or "" for item in known.documents if item.key == origin_key), "")


def _day(text: str | None) -> date | None:
    return None if not text else date.fromisoformat(text)


def _composed(ctx: Context, promised: outbox.Letter, said: _Ready, archive: str = "") -> Composed:
    """The message, in the branding of today; a copy for the archive where one is named."""
    profile, letter = profile_now(ctx, promised.tenant), said.letter
    copy = Copy(promised.id, archive) if archive else None
    message = write(letter, brand_of(ctx, profile), ctx.clock(), said.files, copy)
    sender, to = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    about = f"{letter.kind} {letter.number}" if letter.number else f"{letter.kind} for order {letter.order}"
    document = said.document if profile.letters_by == "sevdesk" else None
    return Composed(message, sender, to, f"a copy of {about}" if archive else about, document)
