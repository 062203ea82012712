"""Credit notes: what corrects an invoice that was paid, wholly or in part (facts 2.11; bookkeeping R5, F13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk import documents, drafts, invoices
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Nested, Query, Test, page
from ladenbuch.simulators.sevdesk.wire import ApiError, Json, parse_int, parse_ref, ref, refuse, text_or_none
from ladenbuch.simulators.sevdesk.world import Document, World

_KNOWN = drafts.KNOWN | {
    "creditNoteNumber",
    "creditNoteDate",
    "creditNoteType",
    "bookingCategory",
    "refSrcInvoice",
}
_CATEGORIES = ("UNDERACHIEVEMENT", "PROVISION", "ROYALTY_ASSIGNED", "ROYALTY_UNASSIGNED", "ACCOUNTING_TYPE")


def save(call: Call) -> SimResponse:
    """POST /CreditNote/Factory/saveCreditNote: creates a draft, or updates the draft whose id is given."""
    world, body = call.world, call.body
    header = body.get("creditNote")
    if not isinstance(header, dict) or "creditNotePosSave" not in body:
        raise ApiError(400, "creditNote and creditNotePosSave are required")
    drafts.count_unknown(world, "CreditNote", header, _KNOWN)
    identifier = parse_int(header.get("id"))
    new = identifier is None
    draft = _blank(world) if identifier is None else invoices.editable(world.document("CreditNote", identifier))
    _own_fields(world, draft, header, new)
    drafts.parse_header(world, draft, header, "creditNoteDate", new=new)
    if draft.contact is None:
        refuse("contact: expected array with 'id' and 'objectName'")
    drafts.parse_positions(world, draft, body, "creditNote")
    _against_source(world, draft)
    invoices.install(world, draft, new=new)
    return wrapped(_saved(draft), 201 if new else 200)


def _blank(world: World) -> Document:
    now = world.now
    return Document("CreditNote", world.new_id(), "CN", now, now, documents.berlin_today(world))


def _saved(draft: Document) -> Json:
    positions = [documents.write_position(draft, position, saved=True) for position in draft.positions]
    return {"creditNote": documents.write(draft), "creditNotePos": positions}


def _own_fields(world: World, draft: Document, header: Json, new: bool) -> None:
    if new or "creditNoteNumber" in header:
        number = text_or_none(header.get("creditNoteNumber"))
        if not number:
            refuse("creditNoteNumber required")
        # Two drafts may carry the same number (it is read, not reserved); a finalised one may not be met.
        if any(other.status >= 200 for other in world.by("CreditNote", "number", number)):
            refuse("creditNoteNumber is already in use")
        draft.number = number
    if new and not text_or_none(header.get("header")):
        refuse("header required")
    if new or "bookingCategory" in header:
        category = header.get("bookingCategory")
        if category not in _CATEGORIES:
            refuse("bookingCategory required")
        if category != "UNDERACHIEVEMENT":
            refuse("only the booking category UNDERACHIEVEMENT is simulated")
        draft.booking_category = category
    if "refSrcInvoice" in header and header["refSrcInvoice"] is not None:
        source = parse_ref(header["refSrcInvoice"], "Invoice", "refSrcInvoice")
        draft.source = draft.origin = world.document("Invoice", source).id


def _against_source(world: World, draft: Document) -> None:
    """The checks against the invoice: 456 rates and reference, 460 delivery dates, 455 total, 421, F13
    status.
    """
    if draft.source is None:
        refuse("the source invoice is missing", 456)
    source = world.document("Invoice", draft.source)
    check_source(world, source)
    rates = {position.tax_rate for position in source.positions}
    if draft.tax_rule != source.tax_rule or any(line.tax_rate not in rates for line in draft.positions):
        refuse("tax rate of a position does not occur in the source invoice", 456)
    if (draft.delivery is None) != (source.delivery is None):
        refuse("delivery date missing, or given although the invoice has none", 460)
    if draft.delivery is not None and source.delivery is not None and draft.delivery < source.delivery:
        refuse("delivery date before the invoice's", 460)
    if draft.delivery_until and source.delivery_until and draft.delivery_until < source.delivery_until:
        refuse("end of delivery before the invoice's", 460)
    others = [note for note in world.by("CreditNote", "source", source.id) if note.id != draft.id]
    if sum(note.sums.gross for note in others) + draft.sums.gross > source.sums.gross:
        refuse("credit notes would exceed the invoice total", 455)


def check_source(world: World, source: Document) -> None:
    """Only a finalised regular invoice, paid or partly paid, can be credited."""
    if source.cancelled or source.type == "SR":
        refuse("the invoice is already cancelled", 421)
    if source.type not in ("RE", "WKR"):
        refuse("an advance or partial invoice cannot be credited")
    if source.status == 100:
        refuse("a draft cannot be credited")
    if source.status == 200 and not world.switches.credit_note_on_open:
        refuse("a credit note needs a paid or partly paid invoice; an open one is cancelled")


def create_from_invoice(call: Call) -> SimResponse:
    """POST /CreditNote/Factory/createFromInvoice {invoice}: a draft over the whole amount, origin set."""
    world = call.world
    source = world.document("Invoice", parse_ref(call.body.get("invoice"), "Invoice", "invoice"))
    check_source(world, source)
    notes = world.by("CreditNote", "source", source.id)
    if notes:
        refuse("a credit note already exists", 170, data=[ref("CreditNote", note.id) for note in notes])
    draft = _blank(world)
    for name in documents.TAKEN_OVER:
        setattr(draft, name, getattr(source, name))
    draft.fields = {**source.fields, "header": f"Gutschrift zur Rechnung {source.number}"}
    draft.number = world.sequences["CreditNote", "CN"].preview()
    draft.source = draft.origin = source.id
    draft.booking_category = "UNDERACHIEVEMENT"
    draft.positions = [replace(line, id=world.new_id(), created_at=world.now) for line in source.positions]
    draft.sum_up()
    world.store(draft)
    return wrapped(_saved(draft), 201)


def _rows(world: World, query: Query) -> Iterable[Document]:
    if "creditNoteNumber" in query.plain:
        return world.by("CreditNote", "number", query.plain["creditNoteNumber"])
    if "customerInternalNote" in query.plain and world.switches.credit_note_note_filter:
        return world.by("CreditNote", "note", query.plain["customerInternalNote"])
    contact = query.nested_id("contact", "Contact")
    if contact is not None:
        return world.by("CreditNote", "contact", contact)
    return world.documents["CreditNote"].values()


def listed(call: Call) -> SimResponse:
    """GET /CreditNote; the note filter is undocumented and can be switched off."""
    world, query = call.world, call.query
    filters: dict[str, Test[Document]] = {
        "creditNoteNumber": lambda row, text: row.number == text,
        "status": lambda row, text: str(row.status) == text,
        "updateAfter": invoices.after,
        "startDate": invoices.from_day,
        "endDate": invoices.to_day,
    }
    if world.switches.credit_note_note_filter:
        filters["customerInternalNote"] = lambda row, text: row.note == text
    nested: dict[str, Nested[Document]] = {"contact": Nested("Contact", lambda row, value: row.contact == value)}
    embed = set(query.plain.get("embed", "").split(","))
    return answer(
        page(
            world,
            query,
            _rows(world, query),
            lambda row: invoices.embedded(world, documents.write(row), embed),
            lambda row: row.created_at,
            filters,
            nested,
        )
    )


def one(call: Call) -> SimResponse:
    """GET /CreditNote/{id}: a one-element list."""
    return wrapped([documents.write(call.world.document("CreditNote", call.id))])


ROUTES: Routes = {
    ("POST", "/CreditNote/Factory/saveCreditNote"): save,
    ("POST", "/CreditNote/Factory/createFromInvoice"): create_from_invoice,
    ("GET", "/CreditNote"): listed,
    ("GET", "/CreditNote/{id}"): one,
    ("GET", "/CreditNotePos"): lambda call: invoices.position_list(call, "CreditNote", "creditNote"),
    ("PUT", "/CreditNote/{id}/sendBy"): lambda call: documents.send_by(call, "CreditNote"),
    ("POST", "/CreditNote/{id}/sendViaEmail"): lambda call: documents.send_via_email(call, "CreditNote"),
    ("PUT", "/CreditNote/{id}/enshrine"): lambda call: documents.enshrine(call, "CreditNote"),
    ("PUT", "/CreditNote/{id}/resetToOpen"): lambda call: documents.reset_to_open(call, "CreditNote"),
    ("PUT", "/CreditNote/{id}/resetToDraft"): lambda call: documents.reset_to_draft(call, "CreditNote"),
    ("GET", "/CreditNote/{id}/getPdf"): lambda call: documents.get_pdf(call, "CreditNote"),
    ("PUT", "/CreditNote/{id}/changeParameter"): lambda call: documents.change_parameter(call, "CreditNote"),
    ("DELETE", "/CreditNote/{id}"): lambda call: documents.delete(call, "CreditNote"),
}
