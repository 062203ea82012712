"""Contacts, their addresses and communication ways, parts, tags (facts 2.2-2.4, 2.13)."""

from __future__ import annotations

from collections.abc import Iterable

from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.sevdesk.call import Call, Handler, Routes, answer, wrapped
from ladenbuch.simulators.sevdesk.listing import Nested, Query, Test, flag, page
from ladenbuch.simulators.sevdesk.wire import (
    ApiError,
    Json,
    flag_out,
    instant_out,
    not_found,
    parse_decimal,
    parse_flag,
    parse_int,
    parse_ref,
    plain,
    ref,
    refuse,
    text_or_none,
)
from ladenbuch.simulators.sevdesk.world import Thing, World

CONTACT_TEXT = [
    "name",
    "surename",
    "familyname",
    "name2",
    "customerNumber",
    "description",
    "titel",
    "academicTitle",
    "gender",
    "vatNumber",
    "taxNumber",
    "bankAccount",
    "bankNumber",
    "buyerReference",
    "birthday",
]
_CONTACT_OTHER = {"category", "parent", "status", "exemptVat", "governmentAgency", "defaultTimeToPay"}
_IGNORABLE = {"id", "objectName", "mapAll", "create", "update", "sevClient"}
ADDRESS_TEXT = ["street", "zip", "city", "name", "name2", "name3", "name4"]
WAY_TYPES = ("EMAIL", "PHONE", "WEB", "MOBILE")


def write(thing: Thing) -> Json:
    """A thing as it is read out."""
    stamps = {"create": instant_out(thing.created_at), "update": instant_out(thing.updated_at)}
    return {"id": str(thing.id), "objectName": thing.kind, **stamps, **thing.fields}


def getter(kind: str) -> Handler:
    """GET /{kind}/{id}: a one-element list."""
    return lambda call: wrapped([write(call.world.thing(kind, call.id))])


def lister(
    kind: str,
    filters: dict[str, Test[Thing]] | None = None,
    nested: dict[str, Nested[Thing]] | None = None,
    rows: str = "",
) -> Handler:
    """GET /{kind}; `rows` names the nested filter whose index narrows the candidates."""

    def listed(call: Call) -> SimResponse:
        world, query = call.world, call.query
        candidates: Iterable[Thing] = world.things.get(kind, {}).values()
        owner = query.nested_id(rows, "Contact") if rows else None
        if owner is not None:
            candidates = [world.thing(kind, found) for found in world.index.ids(kind, rows, owner)]
        return answer(
            page(world, query, candidates, _embedding(world, query), lambda row: row.created_at, filters or {}, nested)
        )

    return listed


def _embedding(world: World, query: Query) -> _Embedding:
    return _Embedding(world, set(query.plain.get("embed", "").split(",")))


class _Embedding:
    def __init__(self, world: World, names: set[str]) -> None:
        self._world, self._names = world, names

    def __call__(self, thing: Thing) -> Json:
        written = write(thing)
        for name in self._names:
            reference = written.get(name)
            if isinstance(reference, dict):
                other = self._world.things.get(str(reference.get("objectName")), {}).get(int(reference["id"]))
                if other is not None:
                    written[name] = write(other)
        return written


def by_reference(name: str, kind: str) -> Nested[Thing]:
    """The filter name[id]=, name[objectName]=kind."""
    return Nested(kind, lambda row, value: row.fields.get(name) == ref(kind, value))


# --- contacts ---


def _contact_fields(world: World, body: Json, fields: Json) -> None:
    for name in body:
        if name not in _IGNORABLE and name not in CONTACT_TEXT and name not in _CONTACT_OTHER:
            world.ignored[f"Contact.{name}"] += 1
    for name in CONTACT_TEXT:
        if name in body:
            fields[name] = text_or_none(body[name])
    if "category" in body:
        category = parse_ref(body["category"], "Category", "category")
        fields["category"] = ref("Category", world.thing("Category", category).id)
    if body.get("parent") is not None:
        parent = world.thing("Contact", parse_ref(body["parent"], "Contact", "parent"))
        fields["parent"] = ref("Contact", parent.id)
    if "status" in body:
        status = parse_int(body["status"])
        if status not in (50, 100, 500, 1000):
            refuse("status must be 100, 500 or 1000")
        fields["status"] = str(status)
    for name in ("exemptVat", "governmentAgency"):
        if name in body:
            fields[name] = flag_out(parse_flag(body[name]))
    if "defaultTimeToPay" in body:
        fields["defaultTimeToPay"] = text_or_none(body["defaultTimeToPay"])


def create_contact(call: Call) -> SimResponse:
    """POST /Contact: an organisation has `name`, a person `surename` (the first name) and `familyname`."""
    world, body = call.world, call.body
    if body.get("category") is None:
        raise ApiError(400, "category required")
    fields: Json = dict.fromkeys(CONTACT_TEXT)
    fields |= {"status": "100", "parent": None, "exemptVat": "0", "governmentAgency": "0"}
    fields["defaultTimeToPay"] = None
    _contact_fields(world, body, fields)
    if not fields["name"] and not fields["familyname"] and not fields["surename"]:
        refuse("name or familyname required")
    if not fields["customerNumber"]:
        # A person under a company may inherit the company's number (facts 2.2, 5.1.12).
        parent = fields["parent"]
        inherited = world.thing("Contact", int(parent["id"])).fields["customerNumber"] if parent else None
        fields["customerNumber"] = inherited or next_customer_number(world)
    return wrapped(write(world.add("Contact", fields, indexed=["customerNumber"])), 201)


def next_customer_number(world: World) -> str:
    """The number after the highest that was given out; reading it does not reserve it."""
    while world.index.ids("Contact", "customerNumber", str(world.next_customer_number)):
        world.next_customer_number += 1
    return str(world.next_customer_number)


def change_contact(call: Call) -> SimResponse:
    """PUT /Contact/{id}: partial; a name given to a person is stored without making it an organisation."""
    world, thing = call.world, call.world.thing("Contact", call.id)
    changed = dict(thing.fields)
    _contact_fields(world, call.body, changed)
    if not thing.fields["name"] and changed["name"]:
        changed["name"] = None
    world.index.remove("Contact", "customerNumber", thing.fields["customerNumber"], thing.id)
    thing.fields = changed
    world.index.add("Contact", "customerNumber", changed["customerNumber"], thing.id)
    world.touch(thing)
    return wrapped(write(thing))


def delete_contact(call: Call) -> SimResponse:
    """DELETE /Contact/{id}: 409 while documents name it."""
    world, thing = call.world, call.world.thing("Contact", call.id)
    if any(world.index.ids(kind, "contact", thing.id) for kind in ("Invoice", "CreditNote")):
        raise ApiError(409, "Contact cannot be deleted", 159)
    world.index.remove("Contact", "customerNumber", thing.fields["customerNumber"], thing.id)
    del world.things["Contact"][thing.id]
    return wrapped([None, None])


def list_contacts(call: Call) -> SimResponse:
    """GET /Contact: without depth=1 only organisations are shown (facts 5.1.10)."""
    world, query = call.world, call.query
    rows: Iterable[Thing] = world.things.get("Contact", {}).values()
    number = query.plain.get("customerNumber")
    if number is not None:
        rows = [world.thing("Contact", found) for found in world.index.ids("Contact", "customerNumber", number)]
    if not flag(query.plain.get("depth")):
        rows = (row for row in rows if row.fields["name"])
    filters: dict[str, Test[Thing]] = {
        "customerNumber": lambda row, text: row.fields["customerNumber"] == text,
        "depth": lambda row, text: True,
    }
    nested = {"category": by_reference("category", "Category"), "parent": by_reference("parent", "Contact")}
    return answer(page(world, query, rows, _embedding(world, query), lambda row: row.created_at, filters, nested))


def number_available(call: Call) -> SimResponse:
    """GET /Contact/Mapper/checkCustomerNumberAvailability?customerNumber=: advisory; 500 without the
    parameter.
    """
    number = call.query.plain.get("customerNumber")
    if number is None:
        raise ApiError(500, "customerNumber missing")
    return wrapped(not call.world.index.ids("Contact", "customerNumber", number))


# --- addresses and communication ways ---


def create_address(call: Call) -> SimResponse:
    """POST /ContactAddress."""
    world, body = call.world, call.body
    fields: Json = {name: text_or_none(body.get(name)) for name in ADDRESS_TEXT}
    for name, kind in (("contact", "Contact"), ("country", "StaticCountry"), ("category", "Category")):
        fields[name] = ref(kind, world.thing(kind, parse_ref(body.get(name), kind, name)).id)
    thing = world.add("ContactAddress", fields)
    world.index.add("ContactAddress", "contact", int(fields["contact"]["id"]), thing.id)
    return wrapped(write(thing), 201)


def change_address(call: Call) -> SimResponse:
    """PUT /ContactAddress/{id}."""
    thing, body = call.world.thing("ContactAddress", call.id), call.body
    changed = {**thing.fields, **{name: text_or_none(body[name]) for name in ADDRESS_TEXT if name in body}}
    for name, kind in (("country", "StaticCountry"), ("category", "Category")):
        if name in body:
            changed[name] = ref(kind, call.world.thing(kind, parse_ref(body[name], kind, name)).id)
    thing.fields = changed
    call.world.touch(thing)
    return wrapped(write(thing))


def create_way(call: Call) -> SimResponse:
    """POST /CommunicationWay {type, value, key, contact?, main?}."""
    world, body = call.world, call.body
    if body.get("type") not in WAY_TYPES:
        raise ApiError(400, "type must be EMAIL, PHONE, WEB or MOBILE")
    value = text_or_none(body.get("value"))
    if not value:
        raise ApiError(400, "value required")
    key = world.thing("CommunicationWayKey", parse_ref(body.get("key"), "CommunicationWayKey", "key"))
    fields: Json = {
        "type": body["type"],
        "value": value,
        "key": ref("CommunicationWayKey", key.id),
        "main": flag_out(parse_flag(body.get("main"))),
        "contact": None,
    }
    if body.get("contact") is not None:
        contact = world.thing("Contact", parse_ref(body["contact"], "Contact", "contact"))
        fields["contact"] = ref("Contact", contact.id)
    thing = world.add("CommunicationWay", fields, indexed=["value"])
    if fields["contact"]:
        world.index.add("CommunicationWay", "contact", int(fields["contact"]["id"]), thing.id)
    return wrapped(write(thing), 201)


def list_ways(call: Call) -> SimResponse:
    """GET /CommunicationWay; contact, type and main together find nothing in some tenants, so here too (1.4)."""
    world, query = call.world, call.query
    owner = query.nested_id("contact", "Contact")
    rows: Iterable[Thing] = world.things.get("CommunicationWay", {}).values()
    if owner is not None and "type" in query.plain and "main" in query.plain:
        rows = []
    elif owner is not None:
        rows = _found(world, "CommunicationWay", "contact", owner)
    elif "value" in query.plain and not world.switches.mailbox_case_ignored:
        rows = _found(world, "CommunicationWay", "value", query.plain["value"])
    filters: dict[str, Test[Thing]] = {
        "type": lambda row, text: row.fields["type"] == text,
        "value": lambda row, text: _same_value(world, row.fields["value"], text),
        "main": lambda row, text: row.fields["main"] == text,
    }
    nested = {"contact": by_reference("contact", "Contact")}
    return answer(page(world, query, rows, _embedding(world, query), lambda row: row.created_at, filters, nested))


def _same_value(world: World, stored: str, asked: str) -> bool:
    if world.switches.mailbox_case_ignored:
        return stored.casefold() == asked.casefold()
    return stored == asked


def _found(world: World, kind: str, name: str, value: object) -> list[Thing]:
    return [world.thing(kind, identifier) for identifier in world.index.ids(kind, name, value)]


def deleter(kind: str, indexed: tuple[str, ...]) -> Handler:
    """DELETE /{kind}/{id} of a thing nothing depends on."""

    def gone(call: Call) -> SimResponse:
        thing = call.world.thing(kind, call.id)
        for name in indexed:
            value = thing.fields.get(name)
            call.world.index.remove(kind, name, int(value["id"]) if isinstance(value, dict) else value, thing.id)
        del call.world.things[kind][thing.id]
        return wrapped([None, None])

    return gone


# --- parts ---


def create_part(call: Call) -> SimResponse:
    """POST /Part: tax rates 0, 7 and 19 only (facts 2.4)."""
    world, body = call.world, call.body
    for name in ("name", "partNumber", "stock", "unity", "taxRate"):
        if body.get(name) in (None, ""):
            raise ApiError(400, f"{name} required")
    rate = parse_decimal(body["taxRate"], "taxRate")
    if rate not in (0, 7, 19):
        refuse("invalid tax rate")
    fields: Json = {
        "name": text_or_none(body["name"]),
        "partNumber": text_or_none(body["partNumber"]),
        "stock": plain(parse_decimal(body["stock"], "stock")),
        "unity": ref("Unity", world.thing("Unity", parse_ref(body["unity"], "Unity", "unity")).id),
        "taxRate": plain(rate),
        "status": text_or_none(body.get("status")) or "100",
        "stockEnabled": flag_out(parse_flag(body.get("stockEnabled"))),
    }
    return wrapped(write(world.add("Part", fields, indexed=["partNumber"])), 201)


# --- tags ---


def create_tag(call: Call) -> SimResponse:
    """POST /Tag/Factory/create {name, object}: makes the tag when it is new, and links it."""
    world, body = call.world, call.body
    name, target = text_or_none(body.get("name")), body.get("object")
    if not name or not isinstance(target, dict):
        raise ApiError(400, "name and object are required")
    kind = str(target.get("objectName"))
    identifier = parse_ref(target, kind, "object")
    if kind in world.documents:
        world.document(kind, identifier)
    elif kind not in world.things or identifier not in world.things[kind]:
        not_found("object")
    existing = _found(world, "Tag", "name", name)
    tag = existing[0] if existing else world.add("Tag", {"name": name}, indexed=["name"])
    fields = {"tag": ref("Tag", tag.id), "object": ref(kind, identifier)}
    return wrapped(write(world.add("TagRelation", fields)), 201)


def _stock(call: Call) -> SimResponse:
    return wrapped(call.world.thing("Part", call.id).fields["stock"])


def _exact(name: str) -> Test[Thing]:
    return lambda row, text: row.fields.get(name) == text


ROUTES: Routes = {
    ("POST", "/Contact"): create_contact,
    ("GET", "/Contact"): list_contacts,
    ("GET", "/Contact/{id}"): getter("Contact"),
    ("PUT", "/Contact/{id}"): change_contact,
    ("DELETE", "/Contact/{id}"): delete_contact,
    ("GET", "/Contact/Factory/getNextCustomerNumber"): lambda call: wrapped(next_customer_number(call.world)),
    ("GET", "/Contact/Mapper/checkCustomerNumberAvailability"): number_available,
    ("POST", "/ContactAddress"): create_address,
    ("GET", "/ContactAddress"): lister(
        "ContactAddress", nested={"contact": by_reference("contact", "Contact")}, rows="contact"
    ),
    ("GET", "/ContactAddress/{id}"): getter("ContactAddress"),
    ("PUT", "/ContactAddress/{id}"): change_address,
    ("DELETE", "/ContactAddress/{id}"): deleter("ContactAddress", ("contact",)),
    ("POST", "/CommunicationWay"): create_way,
    ("GET", "/CommunicationWay"): list_ways,
    ("GET", "/CommunicationWay/{id}"): getter("CommunicationWay"),
    ("DELETE", "/CommunicationWay/{id}"): deleter("CommunicationWay", ("contact", "value")),
    ("POST", "/Part"): create_part,
    ("GET", "/Part"): lister("Part", {"partNumber": _exact("partNumber"), "name": _exact("name")}),
    ("GET", "/Part/{id}"): getter("Part"),
    ("GET", "/Part/{id}/getStock"): _stock,
    ("POST", "/Tag/Factory/create"): create_tag,
    ("GET", "/Tag"): lister("Tag", {"name": _exact("name")}),
    ("GET", "/Tag/{id}"): getter("Tag"),
    ("GET", "/TagRelation"): lister("TagRelation", nested={"tag": by_reference("tag", "Tag")}),
}
