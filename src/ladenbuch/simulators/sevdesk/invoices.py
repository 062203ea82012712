"""The life of an invoice: draft, number, payment state, cancellation (facts 2.5-2.8, 2.11)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk import documents, drafts, einvoice
from ladenbuch.simulators.sevdesk.call import Call, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Nested, Query, Test, page
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    midnight,
    parse_flag,
    parse_int,
    ref,
    refuse,
    text_or_none,
)
from ladenbuch.simulators.sevdesk.world import Document, Position, World, keys

_TYPES = ("RE", "AR", "TR", "ER", "WKR", "MA")
_KNOWN = drafts.KNOWN | {"invoiceNumber", "invoiceDate", "invoiceType", "propertyIsEInvoice", "origin"}


def save(call: Call) -> SimResponse:
    """POST /Invoice/Factory/saveInvoice: creates a draft, or updates the draft whose id is given."""
    world, body = call.world, call.body
    header = body.get("invoice")
    if not isinstance(header, dict) or "invoicePosSave" not in body:
        raise ApiError(400, "invoice and invoicePosSave are required")
    drafts.count_unknown(world, "Invoice", header, _KNOWN)
    identifier = parse_int(header.get("id"))
    new = identifier is None
    draft = _blank(world) if identifier is None else editable(world.document("Invoice", identifier))
    drafts.parse_header(world, draft, header, "invoiceDate", new=new)
    if new or "invoiceType" in header:
        if header.get("invoiceType") not in _TYPES:
            refuse("invoiceType must be one of RE, AR, TR, ER, WKR, MA")
        draft.type = str(header["invoiceType"])
    if "propertyIsEInvoice" in header:
        draft.e_invoice = parse_flag(header["propertyIsEInvoice"])
    _number(world, draft, header)
    if parse_flag(body.get("takeDefaultAddress")):
        _default_address(world, draft)
    drafts.parse_positions(world, draft, body, "invoice")
    _check(world, draft)
    install(world, draft, new=new)
    positions = [documents.write_position(draft, position, saved=True) for position in draft.positions]
    objects = {"invoice": documents.write(draft), "invoicePos": positions, "filename": None}
    return wrapped(objects, 201 if new else 200)


def _blank(world: World) -> Document:
    now = world.now
    return Document("Invoice", world.new_id(), "RE", now, now, documents.berlin_today(world))


def editable(document: Document) -> Document:
    """A copy of a draft to work on, so that a refused update leaves the draft as it was."""
    if document.status != 100:
        refuse("wrong state: reset to draft first", 90400)
    twin = copy.copy(document)
    twin.fields = dict(document.fields)
    twin.positions = [replace(position) for position in document.positions]
    return twin


def install(world: World, document: Document, *, new: bool) -> None:
    """Put a checked draft into the books, in place of its former self."""
    before = {} if new else keys(world.documents[document.kind][document.id])
    world.documents[document.kind][document.id] = document
    if not new:
        world.touch(document)
    world.reindex(document, before)


def _number(world: World, draft: Document, header: Mapping[str, Any]) -> None:
    supplied = text_or_none(header.get("invoiceNumber"))
    if not supplied:
        return
    others = world.by("Invoice", "number", supplied)
    if any(other.id != draft.id for other in others):
        refuse("invoiceNumber is already in use")
    draft.number = supplied


def _default_address(world: World, draft: Document) -> None:
    for identifier in world.index.ids("ContactAddress", "contact", draft.contact):
        address = world.thing("ContactAddress", identifier)
        for field, source in (("Street", "street"), ("Zip", "zip"), ("City", "city"), ("Name", "name")):
            draft.fields[f"address{field}"] = address.fields.get(source)
        return


def _check(world: World, draft: Document) -> None:
    last_delivery = draft.delivery_until or draft.delivery
    if draft.type == "RE" and last_delivery is not None and last_delivery > draft.day:
        refuse("the delivery date of an invoice must not lie after the invoice date")
    if draft.e_invoice:
        einvoice.check(world, draft)


# --- reading ---


def _rows(world: World, query: Query) -> Iterable[Document]:
    """The narrowest index the query allows; every filter is applied again by `page`."""
    for parameter, name in (("customerInternalNote", "note"), ("invoiceNumber", "number")):
        if parameter in query.plain:
            return world.by("Invoice", name, query.plain[parameter])
    contact = query.nested_id("contact", "Contact")
    if contact is not None:
        return world.by("Invoice", "contact", contact)
    return world.documents["Invoice"].values()


def after(row: Document, text: str) -> bool:
    bound = parse_int(text)
    return bound is not None and row.updated_at.timestamp() >= bound


def from_day(row: Document, text: str) -> bool:
    """startDate: unix seconds only; anything else finds nothing (facts 1.4)."""
    bound = parse_int(text)
    return bound is not None and midnight(row.day) >= bound


def to_day(row: Document, text: str) -> bool:
    bound = parse_int(text)
    return bound is not None and midnight(row.day) <= bound


_FILTERS: dict[str, Test[Document]] = {
    "invoiceNumber": lambda row, text: row.number == text,
    "customerInternalNote": lambda row, text: row.note == text,
    "status": lambda row, text: str(row.status) == text,
    "invoiceType": lambda row, text: row.type == text,
    "updateAfter": after,
    "startDate": from_day,
    "endDate": to_day,
}


def listed(call: Call) -> SimResponse:
    """GET /Invoice."""
    world, query = call.world, call.query
    nested: dict[str, Nested[Document]] = {"contact": Nested("Contact", lambda row, value: row.contact == value)}
    for name in query.nested:
        if name.startswith("tags["):
            nested[name] = Nested("Tag", lambda row, value: tagged(world, row, value))
    embed = set(query.plain.get("embed", "").split(","))
    return answer(
        page(
            world,
            query,
            _rows(world, query),
            lambda row: embedded(world, documents.write(row), embed),
            lambda row: row.created_at,
            _FILTERS,
            nested,
        )
    )


def tagged(world: World, row: Document, tag: int) -> bool:
    return any(
        relation.fields["tag"] == ref("Tag", tag) and relation.fields["object"] == ref(row.kind, row.id)
        for relation in world.things.get("TagRelation", {}).values()
    )


def embedded(world: World, written: Json, names: set[str]) -> Json:
    """Nested references named in `embed` become the whole object."""
    for name in names:
        reference = written.get(name)
        if isinstance(reference, dict) and reference.get("objectName") in world.things:
            thing = world.things[reference["objectName"]].get(int(reference["id"]))
            if thing is not None:
                written[name] = {**reference, **thing.fields}
    return written


def one(call: Call) -> SimResponse:
    """GET /Invoice/{id}: a one-element list."""
    embed = set(call.query.plain.get("embed", "").split(","))
    row = call.world.document("Invoice", call.id)
    return wrapped([embedded(call.world, documents.write(row), embed)])


def positions(call: Call) -> SimResponse:
    """GET /Invoice/{id}/getPositions."""
    row = call.world.document("Invoice", call.id)
    return answer(_positions_page(call.world, call.query, row, row.positions))


def all_positions(call: Call) -> SimResponse:
    """GET /InvoicePos?invoice[id]=&invoice[objectName]=Invoice; without a working filter: every position."""
    return position_list(call, "Invoice", "invoice")


def position_list(call: Call, kind: str, name: str) -> SimResponse:
    """The positions of one document, or of all when the filter does not work."""
    world = call.world
    owner = call.query.nested_id(name, kind)
    owners = world.documents[kind].values() if owner is None else [world.document(kind, owner)]
    pairs = [(row, position) for row in owners for position in row.positions]
    nested: dict[str, Nested[tuple[Document, Position]]] = {name: Nested(kind, lambda pair, value: pair[0].id == value)}
    return answer(
        page(
            world,
            call.query,
            pairs,
            lambda pair: documents.write_position(*pair),
            lambda pair: pair[1].created_at,
            {},
            nested,
        )
    )


def _positions_page(world: World, query: Query, row: Document, rows: list[Position]) -> Json:
    return page(world, query, rows, lambda each: documents.write_position(row, each), lambda each: each.created_at, {})


def partially_paid(call: Call) -> SimResponse:
    """GET /Invoice/{id}/getIsPartiallyPaid: false when fully paid."""
    return wrapped(call.world.document("Invoice", call.id).status == 750)


def xml(call: Call) -> SimResponse:
    """GET /Invoice/{id}/getXml: only of a finished e-invoice."""
    row = call.world.document("Invoice", call.id)
    if row.xml is None or row.status < 200:
        raise ApiError(400, "no e-invoice")
    return wrapped(row.xml)


def render(call: Call) -> SimResponse:
    """POST /Invoice/{id}/render {forceReload}."""
    row = call.world.document("Invoice", call.id)
    return wrapped({"pages": 1, "docId": str(row.id), "parameters": [], "thumbs": []})


# --- cancelling ---


def cancel(call: Call) -> SimResponse:
    """POST /Invoice/{id}/cancelInvoice: an open, unpaid invoice gets its SR (facts 2.11)."""
    world = call.world
    source = world.document("Invoice", call.id)
    if source.cancelled or source.type == "SR":
        refuse("the invoice is already cancelled", 421)
    if source.status == 100:
        refuse("a draft cannot be cancelled")
    notes = world.by("CreditNote", "source", source.id)
    if notes:
        refuse("a credit note exists for this invoice", 170, data=[ref("CreditNote", note.id) for note in notes])
    if source.status == 750:
        raise ApiError(200, "a partly paid invoice cannot be cancelled", 390)
    if source.status != 200:
        # One integrator saw a credit-note draft come out of this; unproven, so it is refused.
        refuse("a paid invoice cannot be cancelled", 750)
    return wrapped(documents.write(make_cancellation(world, source)), 201)


def make_cancellation(world: World, source: Document) -> Document:
    """The SR: own number from the same circle, negative sums, paid and enshrined at once, no address."""
    now = world.now
    reversal = Document("Invoice", world.new_id(), "SR", now, now, documents.berlin_today(world))
    for name in documents.TAKEN_OVER:
        setattr(reversal, name, getattr(source, name))
    reversal.number = world.sequences["Invoice", "RE"].take()
    reversal.status, reversal.origin, reversal.cancelled = 1000, source.id, True
    reversal.enshrined_at = reversal.sent_at = now
    title = f"Stornorechnung zur Rechnung {source.number}"
    reversal.fields = {"header": title, "taxText": source.fields.get("taxText")}
    for position in source.positions:
        twin = replace(position, id=world.new_id(), quantity=-position.quantity, created_at=now)
        twin.sums = type(position.sums)(-position.sums.gross, -position.sums.net, -position.sums.tax)
        reversal.positions.append(twin)
    reversal.sum_up()
    before = keys(source)
    source.status, source.cancelled = 1000, True
    world.touch(source)
    world.reindex(source, before)
    world.store(reversal)
    return reversal


ROUTES: Routes = {
    ("POST", "/Invoice/Factory/saveInvoice"): save,
    ("GET", "/Invoice"): listed,
    ("GET", "/Invoice/{id}"): one,
    ("GET", "/Invoice/{id}/getPositions"): positions,
    ("GET", "/InvoicePos"): all_positions,
    ("GET", "/Invoice/{id}/getIsPartiallyPaid"): partially_paid,
    ("GET", "/Invoice/{id}/getXml"): xml,
    ("POST", "/Invoice/{id}/render"): render,
    ("POST", "/Invoice/{id}/cancelInvoice"): cancel,
    ("PUT", "/Invoice/{id}/sendBy"): lambda call: documents.send_by(call, "Invoice"),
    ("POST", "/Invoice/{id}/sendViaEmail"): lambda call: documents.send_via_email(call, "Invoice"),
    ("PUT", "/Invoice/{id}/enshrine"): lambda call: documents.enshrine(call, "Invoice"),
    ("PUT", "/Invoice/{id}/resetToOpen"): lambda call: documents.reset_to_open(call, "Invoice"),
    ("PUT", "/Invoice/{id}/resetToDraft"): lambda call: documents.reset_to_draft(call, "Invoice"),
    ("GET", "/Invoice/{id}/getPdf"): lambda call: documents.get_pdf(call, "Invoice"),
    ("PUT", "/Invoice/{id}/changeParameter"): lambda call: documents.change_parameter(call, "Invoice"),
    ("DELETE", "/Invoice/{id}"): lambda call: documents.delete(call, "Invoice"),
}
