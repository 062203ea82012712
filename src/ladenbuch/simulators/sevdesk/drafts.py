"""Reading a draft from the wire: header, references, dates, positions, tax (facts 2.5, 2.11).

Invoices and credit notes come in the same shape; what only one of them has is read by its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ladenbuch.simulators.sevdesk import tax
from ladenbuch.simulators.sevdesk.arithmetic import position_sums
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    parse_date,
    parse_decimal,
    parse_flag,
    parse_int,
    parse_ref,
    refuse,
    text_or_none,
)
from ladenbuch.simulators.sevdesk.world import Document, Position, World

TEXT_FIELDS = [
    "header",
    "headText",
    "footText",
    "taxText",
    "address",
    "addressName",
    "addressStreet",
    "addressZip",
    "addressCity",
    "addressName2",
]
# Accepted and without effect here, so that they do not count as misspelt.
SILENT = frozenset(
    [
        "id",
        "objectName",
        "mapAll",
        "create",
        "update",
        "sevClient",
        "taxType",
        "taxSet",
        "smallSettlement",
        "discountTime",
        "taxRate",
        "dunningLevel",
        "sendDate",
        "sendType",
        "payDate",
        "enshrined",
        "costCentre",
        "createUser",
        "version",
    ]
)
KNOWN = (
    SILENT
    | frozenset(TEXT_FIELDS)
    | frozenset(
        [
            "contact",
            "contactPerson",
            "addressCountry",
            "deliveryDate",
            "deliveryDateUntil",
            "status",
            "taxRule",
            "currency",
            "discount",
            "showNet",
            "customerInternalNote",
            "deliveryAddressCountry",
            "timeToPay",
            "paymentMethod",
        ]
    )
)


def parse_header(world: World, document: Document, body: Json, date_field: str, *, new: bool) -> None:
    """Read a document's header from the wire onto `document`; raises ApiError for what the service refuses.

    `new` is False when a draft is updated: then missing fields keep their values.
    """
    if body.get("objectName") != document.kind or not parse_flag(body.get("mapAll")):
        refuse(f"{document.kind}: expected array with 'id' and 'objectName'")
    if new and "taxRate" not in body:
        raise ApiError(500, "SQLSTATE[23000]: Integrity constraint violation: taxRate cannot be null")
    if parse_int(body.get("status")) != 100 and (new or "status" in body):
        refuse(f"a new {document.kind} must have the status 100")
    _references(world, document, body, new)
    _dates(document, body, date_field, new)
    if (new or "currency" in body) and body.get("currency") != document.currency:
        refuse("currency required; only the tenant's currency EUR is simulated")
    if new and text_or_none(body.get("taxText")) is None:
        refuse("taxText required")
    if body.get("discount") not in (None, 0, "0", Decimal(0)):
        refuse("header discounts are not simulated: use positions")
    for name in TEXT_FIELDS:
        if name in body:
            document.fields[name] = text_or_none(body[name])
    if "showNet" in body:
        document.show_net = parse_flag(body["showNet"])
    if "customerInternalNote" in body:
        document.note = text_or_none(body["customerInternalNote"])
    if "deliveryAddressCountry" in body:
        document.delivery_country = text_or_none(body["deliveryAddressCountry"])
    if body.get("timeToPay") is not None:
        document.fields["timeToPay"] = text_or_none(body["timeToPay"])


def _references(world: World, document: Document, body: Json, new: bool) -> None:
    if body.get("contact") is not None:
        document.contact = world.thing("Contact", parse_ref(body["contact"], "Contact", "contact")).id
    if new or "contactPerson" in body:
        person = parse_ref(body.get("contactPerson"), "SevUser", "contactPerson")
        document.contact_person = world.thing("SevUser", person).id
    if new or "addressCountry" in body:
        country = parse_ref(body.get("addressCountry"), "StaticCountry", "addressCountry")
        document.country = world.thing("StaticCountry", country).id
    if new or "taxRule" in body:
        if body.get("taxRule") is None:
            refuse("taxRule must not be null")
        document.tax_rule = parse_ref(body["taxRule"], "TaxRule", "taxRule")
    if body.get("paymentMethod") is not None:
        method = parse_ref(body["paymentMethod"], "PaymentMethod", "paymentMethod")
        document.payment_method = world.thing("PaymentMethod", method).id


def _dates(document: Document, body: Json, date_field: str, new: bool) -> None:
    if new or date_field in body:
        document.day = parse_date(body.get(date_field), date_field)
    if "deliveryDate" in body:
        document.delivery = _optional_date(body["deliveryDate"], "deliveryDate")
    if "deliveryDateUntil" in body:
        document.delivery_until = _optional_date(body["deliveryDateUntil"], "deliveryDateUntil")
    if document.delivery_until is not None:
        if document.delivery is None:
            refuse("deliveryDateUntil needs a deliveryDate")
        if document.delivery_until < document.delivery:
            refuse("deliveryDateUntil lies before deliveryDate")


def _optional_date(value: object, field: str) -> date | None:
    return None if value in (None, "") else parse_date(value, field)


# --- positions ---


def parse_positions(world: World, document: Document, body: Json, prefix: str) -> None:
    """Read <prefix>PosSave and <prefix>PosDelete onto the document and sum it up; at least one must remain."""
    object_name = f"{document.kind}Pos"
    for discount in ("discountSave", "discountDelete"):
        if body.get(discount) not in (None, [], {}):
            refuse(f"{discount} is not simulated: it re-spreads cents, use negative positions")
    listed = body.get(f"{prefix}PosSave")
    if isinstance(listed, Mapping):  # form-urlencoded bodies carry lists as numbered maps
        listed = list(listed.values())
    positions = list(document.positions)
    for gone in _list_or_empty(body.get(f"{prefix}PosDelete")):
        identifier = parse_ref(gone, object_name, f"{prefix}PosDelete")
        positions = [position for position in positions if position.id != identifier]
    for entry in _list_or_empty(listed):
        position = _position(world, document, entry, object_name, positions)
        if position not in positions:
            positions.append(position)
    if not positions:
        refuse("at least one position is required")
    document.positions = positions
    check_rates(world, document)
    for position in positions:
        position.sums = position_sums(
            position.quantity, position.price, position.tax_rate, position.discount, show_net=document.show_net
        )
    document.sum_up()


def _list_or_empty(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ApiError(400, "positions must be a list")
    return value


def _position(world: World, document: Document, entry: object, object_name: str, existing: list[Position]) -> Position:
    if not isinstance(entry, Mapping):
        raise ApiError(400, "a position must be an object")
    if entry.get("objectName") != object_name or not parse_flag(entry.get("mapAll")):
        refuse(f"{object_name}: expected array with 'id' and 'objectName'")
    identifier = parse_int(entry.get("id"))
    found = next((position for position in existing if position.id == identifier), None)
    if identifier is not None and found is None:
        raise ApiError(404, f"{object_name} not found", 151)
    for name in ("quantity", "price", "name", "unity", "taxRate"):
        if found is None and entry.get(name) in (None, ""):
            refuse(f"position: {name} required")
    values = _position_values(world, entry, found)
    if found is None:
        number = parse_int(entry.get("positionNumber"))
        position = Position(
            id=world.new_id(),
            number=number if number is not None else len(existing),
            created_at=world.now,
            **values,
        )
    else:
        position = found
        for name, value in values.items():
            setattr(position, name, value)
    return position


def _position_values(world: World, entry: Mapping[str, Any], found: Position | None) -> Json:
    def number(field: str, kept: Decimal | None) -> Decimal:
        if field not in entry and kept is not None:
            return kept
        return parse_decimal(entry.get(field), f"position {field}")

    price = number("price", found.price if found else None)
    if not world.switches.fine_prices and price * 100 != (price * 100).to_integral_value():
        refuse("position price: more than two decimals are unproven and refused")
    discount = entry.get("discount", found.discount if found else None)
    unity = found.unity if found else 0
    if "unity" in entry:
        unity = world.thing("Unity", parse_ref(entry["unity"], "Unity", "position unity")).id
    part = found.part if found else None
    if entry.get("part") is not None:
        part = world.thing("Part", parse_ref(entry["part"], "Part", "position part")).id
    rate = number("taxRate", found.tax_rate if found else None)
    return {
        "name": text_or_none(entry.get("name", found.name if found else None)) or "",
        "text": text_or_none(entry.get("text", found.text if found else None)),
        "quantity": number("quantity", found.quantity if found else None),
        "price": price,
        "tax_rate": rate.normalize() if rate else Decimal(0),
        "unity": unity,
        "part": part,
        "discount": Decimal(0) if discount is None else parse_decimal(discount, "position discount"),
    }


def check_rates(world: World, document: Document) -> None:
    """The tax rule against the kind of document and every rate on it (facts 3.1)."""
    country = None
    if document.country is not None:
        country = str(world.thing("StaticCountry", document.country).fields["code"])
    destination = (document.delivery_country or country or "").lower() or None
    tax.check(document.tax_rule, document.type, [p.tax_rate for p in document.positions], destination)


def count_unknown(world: World, kind: str, body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Fields nobody knows are ignored by the service; here they are counted, so that a typo can be found."""
    for name in body:
        if name not in known:
            world.ignored[f"{kind}.{name}"] += 1
