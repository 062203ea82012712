"""What no endpoint does and a proof must notice: finalised documents that vanish, double or read otherwise.

POST /_control/tamper {"do": ..., "kind"?: "Invoice" | "CreditNote", "id", ...}; answers the document as it is then.

    remove   it is gone, whatever its status was
    copy     a second one with the same note and the next number, open, nothing paid
    write    {"number"?, "note"?, "date"?, "tax_rule"?, "currency"?, "status"?, "price"?}: set as given, `price` on the
             first position, sums added up again
    unlink   its payments are taken off; the money lines are unlinked

The instant of the change is now, as for a change by hand.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date
from decimal import Decimal

from ladenbuch.simulators.sevdesk import documents
from ladenbuch.simulators.sevdesk.arithmetic import position_sums
from ladenbuch.simulators.sevdesk.wire import ApiError, Json, parse_decimal, parse_int, text_or_none
from ladenbuch.simulators.sevdesk.world import Document, World, keys


def tamper(world: World, body: Json) -> Document:
    """Do what `body` says to one document; raises ApiError for what makes no sense."""
    kind = text_or_none(body.get("kind")) or "Invoice"
    if kind not in world.documents:
        raise ApiError(400, "kind must be Invoice or CreditNote")
    found = world.document(kind, parse_int(body.get("id")) or 0)
    action = text_or_none(body.get("do"))
    if action == "remove":
        documents.remove(world, found, "tamper")
        return found
    if action == "copy":
        return _copy(world, found)
    before = keys(found)
    if action == "write":
        _write(found, body)
    elif action == "unlink":
        _unlink(world, found)
    else:
        raise ApiError(400, "do must be remove, copy, write or unlink")
    world.touch(found)
    world.reindex(found, before)
    return found


def _copy(world: World, source: Document) -> Document:
    twin = copy.copy(source)
    twin.id, twin.created_at, twin.updated_at = world.new_id(), world.now, world.now
    twin.fields = dict(source.fields)
    twin.positions = [replace(position, id=world.new_id()) for position in source.positions]
    twin.bookings, twin.status, twin.pay_day = [], 200, None
    twin.number = world.sequences[source.kind, "RE" if source.kind == "Invoice" else "CN"].take()
    world.store(twin)
    return twin


def _write(document: Document, body: Json) -> None:
    for name in ("number", "note", "currency"):
        if name in body:
            setattr(document, name, text_or_none(body[name]))
    for name in ("tax_rule", "status"):
        if name in body:
            setattr(document, name, parse_int(body[name]) or 0)
    if "date" in body:
        document.day = date.fromisoformat(str(body["date"]))
    if "price" in body:
        first = replace(document.positions[0], price=parse_decimal(body["price"], "price"))
        first.sums = position_sums(
            first.quantity, first.price, first.tax_rate, first.discount or Decimal(0), show_net=document.show_net
        )
        document.positions[0] = first
        document.sum_up()


def _unlink(world: World, document: Document) -> None:
    for booking in document.bookings:
        line = world.transactions[booking.transaction]
        line.status, line.booked, line.linked_at = 100, 0, None
        line.documents = [link for link in line.documents if link != (document.kind, document.id)]
    document.bookings, document.status, document.pay_day = [], 200, None
