"""What invoices and credit notes share: finalising, enshrining,
resetting, printing, deleting (facts 2.5-2.8).
"""

from __future__ import annotations

import base64
from datetime import date
from decimal import Decimal

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk import einvoice, pdf
from ladenbuch.simulators.sevdesk.call import Call, wrapped
from ladenbuch.simulators.sevdesk.drafts import TEXT_FIELDS
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    cents_number,
    cents_out,
    date_out,
    flag_out,
    instant_out,
    local_day,
    parse_flag,
    plain,
    ref,
    refuse,
    text_or_none,
)
from ladenbuch.simulators.sevdesk.world import Document, Position, World, keys

SEND_TYPES = ("VPR", "VP", "VM", "VPDF")
# What a reversal or a credit note takes over from its invoice.
TAKEN_OVER = (
    "contact",
    "contact_person",
    "country",
    "currency",
    "tax_rule",
    "show_net",
    "note",
    "delivery",
    "delivery_until",
    "delivery_country",
)


# --- finalising ---


def finalise(world: World, document: Document, send_type: str) -> None:
    """A draft becomes open: number by the sequence in order of sending, enshrined about a second later (2.7)."""
    before = keys(document)
    if document.status == 100:
        _may_leave_draft(world, document)
        circle = world.sequences[document.kind, "RE" if document.kind == "Invoice" else "CN"]
        if document.number is None:
            document.number = circle.take()
        elif any(other.status >= 200 for other in world.by(document.kind, "number", document.number)):
            refuse(f"number {document.number} is already in use")
        else:
            circle.reached(document.number)
        document.status = 200
        document.xml = einvoice.xml(world, document) if document.e_invoice else None
        if world.switches.enshrine_on_send:
            world.later(1.0, lambda: _enshrine_by_itself(world, document))
    document.sent_at = world.now
    document.send_type = send_type
    world.touch(document)
    world.reindex(document, before)


def _enshrine_by_itself(world: World, document: Document) -> None:
    if document.status >= 200 and document.enshrined_at is None:
        document.enshrined_at = world.now


def _may_leave_draft(world: World, document: Document) -> None:
    if document.contact is None:
        refuse("contact required")
    if document.e_invoice:
        einvoice.check(world, document)
    if document.sums.gross < 0:
        refuse("a document with a negative total cannot be finalised", 7100)
    if document.sums.gross == 0 and not world.switches.zero_totals:
        refuse("finalising a document over 0.00 is unproven and refused")
    if world.switches.small_business != (document.tax_rule == 11):
        refuse(f"tax rule {document.tax_rule} is not allowed for the automatic account", 7100)


def send_by(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/sendBy {sendType, sendDraft}: sendDraft leaves the status alone."""
    document = call.world.document(kind, call.id)
    body = call.body
    send_type = body.get("sendType")
    if send_type not in SEND_TYPES:
        refuse("sendType must be one of VPR, VP, VM, VPDF")
    if "sendDraft" not in body:
        raise ApiError(400, "sendDraft required")
    if not parse_flag(body["sendDraft"]):
        finalise(call.world, document, str(send_type))
    return wrapped(write(document))


def send_via_email(call: Call, kind: str) -> SimResponse:
    """POST /{kind}/{id}/sendViaEmail: finalises and hands a letter to the service's own mailer (kept in the
    state).
    """
    document = call.world.document(kind, call.id)
    body = call.body
    to, subject, text = (text_or_none(body.get(name)) for name in ("toEmail", "subject", "text"))
    if not to or not subject or not text:
        raise ApiError(400, "toEmail, subject and text are required")
    if any("@" not in part for part in to.split(",")):
        refuse("toEmail: not an address")
    finalise(call.world, document, "VM")
    mail = {"id": str(call.world.new_id()), "to": to, "subject": subject, "text": text}
    call.world.mails.append({**mail, "object": ref(kind, document.id), "sent_at": call.world.now.isoformat()})
    return wrapped({**mail, "objectName": "Email", "object": ref(kind, document.id)}, 201)


def enshrine(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/enshrine: only from 200 on, irreversible."""
    document = call.world.document(kind, call.id)
    if document.status < 200:
        refuse("a draft cannot be enshrined", 90400)
    if document.sums.gross < 0 and document.type != "SR":
        refuse("negative total", 7100)
    if document.enshrined_at is not None:
        refuse("already enshrined")
    document.enshrined_at = call.world.now
    call.world.touch(document)
    return wrapped(write(document))


def reset_to_draft(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/resetToDraft: only from 200, never when enshrined; the number stays."""
    document = call.world.document(kind, call.id)
    if document.status != 200 or document.cancelled:
        refuse("only an open document can be reset to draft", 90400)
    _not_enshrined(call.world, document)
    before = keys(document)
    document.status = 100
    call.world.touch(document)
    call.world.reindex(document, before)
    return wrapped(write(document))


def reset_to_open(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/resetToOpen: unlinks the payments; refused when enshrined or when a credit note
    exists.
    """
    document = call.world.document(kind, call.id)
    if document.status not in (750, 1000) or document.cancelled or document.type == "SR":
        refuse("only a paid document can be reset to open", 90400)
    _not_enshrined(call.world, document)
    notes = call.world.by("CreditNote", "source", document.id) if kind == "Invoice" else []
    if notes:
        refuse("a credit note exists", 170, data=[ref("CreditNote", note.id) for note in notes])
    before = keys(document)
    for booking in document.bookings:
        transaction = call.world.transactions[booking.transaction]
        transaction.status, transaction.booked, transaction.linked_at = 100, 0, None
        transaction.documents = [link for link in transaction.documents if link != (kind, document.id)]
    document.bookings, document.status, document.pay_day = [], 200, None
    call.world.touch(document)
    call.world.reindex(document, before)
    return wrapped(write(document))


def _not_enshrined(world: World, document: Document) -> None:
    linked = [world.transactions[booking.transaction] for booking in document.bookings]
    if document.enshrined_at is not None or any(line.enshrined_at is not None for line in linked):
        refuse("the document or a linked transaction is enshrined")


def delete(call: Call, kind: str) -> SimResponse:
    """DELETE /{kind}/{id}: drafts only; everything else is 409 with code 159."""
    document = call.world.document(kind, call.id)
    if document.status != 100:
        raise ApiError(409, f"{kind} cannot be deleted", 159)
    remove(call.world, document, "api")
    return wrapped([None, None])


def remove(world: World, document: Document, who: str) -> None:
    """Take a draft out of the books; what it was stays readable in the control API's state."""
    before = keys(document)
    del world.documents[document.kind][document.id]
    world.reindex(document, before)
    world.deleted.append(
        {"kind": document.kind, "id": document.id, "note": document.note, "by": who, "at": world.now.isoformat()}
    )


# --- printing ---


def get_pdf(call: Call, kind: str) -> SimResponse:
    """GET /{kind}/{id}/getPdf: WITHOUT preventSendBy=true the read finalises a draft (facts 2.8, 5.1.2)."""
    document = call.world.document(kind, call.id)
    if document.status == 100:
        if document.e_invoice:
            raise ApiError(503, "the number of the e-invoice is missing")
        if call.query.plain.get("preventSendBy") not in ("true", "1"):
            finalise(call.world, document, "VPDF")
    inside = None if document.xml is None else (einvoice.FILE, document.xml.encode())
    content = pdf.render(pdf.page_lines(call.world, document), inside)
    if call.world.switches.raw_pdf:
        return SimResponse(200, {"content-type": "application/pdf"}, content)
    title = document.fields.get("header") or "Rechnung"
    name = f"{title} {document.number}.pdf" if document.number else ".pdf"
    return wrapped(
        {
            "filename": name.replace("/", "-"),
            "mimetype": "application/pdf",
            "base64Encoded": True,
            "content": base64.b64encode(content).decode(),
        }
    )


def change_parameter(call: Call, kind: str) -> SimResponse:
    """PUT /{kind}/{id}/changeParameter {key, value}: layout only."""
    document = call.world.document(kind, call.id)
    key, value = text_or_none(call.body.get("key")), text_or_none(call.body.get("value"))
    if key not in ("language", "template", "letterpaper") or value is None:
        refuse("key must be language, template or letterpaper, with a value")
    document.fields[f"layout.{key}"] = value
    return wrapped({"result": True, "metadaten": {"pages": 1, "docId": str(document.id)}})


# --- writing out ---


def write(document: Document) -> Json:
    """A document as the service reads it out: strings, "0"/"1", paidAmount a plain number (facts 1.5)."""
    invoice = document.kind == "Invoice"
    sums = document.sums
    text: Json = {name: document.fields.get(name) for name in TEXT_FIELDS}
    common: Json = {
        "id": str(document.id),
        "objectName": document.kind,
        "additionalInformation": None,
        "create": instant_out(document.created_at),
        "update": instant_out(document.updated_at),
        "contact": ref("Contact", document.contact),
        "contactPerson": ref("SevUser", document.contact_person),
        "addressCountry": ref("StaticCountry", document.country),
        "deliveryDate": date_out(document.delivery),
        "deliveryDateUntil": date_out(document.delivery_until),
        "status": str(document.status),
        "smallSettlement": flag_out(document.tax_rule == 11),
        "taxRate": "0",
        "taxRule": ref("TaxRule", document.tax_rule),
        "taxType": None,
        "payDate": date_out(document.pay_day),
        "sendDate": instant_out(document.sent_at),
        "sendType": document.send_type,
        "currency": document.currency,
        "showNet": flag_out(document.show_net),
        "sumNet": cents_out(sums.net),
        "sumTax": cents_out(sums.tax),
        "sumGross": cents_out(sums.gross),
        "sumDiscounts": "0",
        "sumNetForeignCurrency": "0",
        "sumTaxForeignCurrency": "0",
        "sumGrossForeignCurrency": "0",
        "sumDiscountsForeignCurrency": "0",
        "sumNetAccounting": cents_out(sums.net),
        "sumTaxAccounting": cents_out(sums.tax),
        "sumGrossAccounting": cents_out(sums.gross),
        "paidAmount": cents_number(document.paid),
        "enshrined": instant_out(document.enshrined_at),
        "customerInternalNote": document.note,
        "timeToPay": document.fields.get("timeToPay"),
        "discount": "0",
        "paymentMethod": ref("PaymentMethod", document.payment_method),
        "propertyIsEInvoice": None,  # not echoed (facts 2.5)
        **text,
    }
    if invoice:
        common |= {
            "invoiceNumber": document.number,
            "invoiceDate": date_out(document.day),
            "invoiceType": document.type,
            "origin": ref("Invoice", document.origin),
            "dunningLevel": None,
            "propertyUseNewCalculation": "1",
        }
    else:
        common |= {
            "creditNoteNumber": document.number,
            "creditNoteDate": date_out(document.day),
            "creditNoteType": document.type,
            "bookingCategory": document.booking_category,
            "refSrcInvoice": ref("Invoice", document.source),
            "origin": ref("Invoice", document.origin),
        }
    return common


def write_position(document: Document, position: Position, *, saved: bool = False) -> Json:
    """A position; in the answer of a save the quantity 1 is `true` and `create` is null (facts 1.5, 2.5)."""
    owner = document.kind[0].lower() + document.kind[1:]
    gross = position.price if not document.show_net else Decimal(position.sums.gross) / 100
    return {
        "id": str(position.id),
        "objectName": f"{document.kind}Pos",
        "create": None if saved else instant_out(position.created_at),
        "update": instant_out(position.created_at),
        owner: ref(document.kind, document.id),
        "part": ref("Part", position.part),
        "quantity": True if saved and position.quantity == 1 else plain(position.quantity),
        "price": plain(position.price),
        "priceGross": plain(gross),
        "priceNet": cents_out(position.sums.net),
        "priceTax": cents_out(position.sums.tax),
        "name": position.name,
        "text": position.text,
        "unity": ref("Unity", position.unity),
        "positionNumber": str(position.number),
        "discount": plain(position.discount),
        "taxRate": plain(position.tax_rate),
        "sumDiscount": "0",
        "sumNet": cents_out(position.sums.net),
        "sumTax": cents_out(position.sums.tax),
        "sumGross": cents_out(position.sums.gross),
        "sumNetAccounting": cents_out(position.sums.net),
        "sumTaxAccounting": cents_out(position.sums.tax),
        "sumGrossAccounting": cents_out(position.sums.gross),
    }


def berlin_today(world: World) -> date:
    return local_day(world.now)
