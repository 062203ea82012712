"""Exports of years of orders: begun, waited for, read line by line, and proven complete.

    begin    ──► one that is already under way for the same query is found again, never begun twice
    look     ──► running | done (with its file) | failed | gone
    read     ──► orders one after the other, each with the byte its lines begin at; a cut connection goes on there
    proven   ──► as many lines and orders as Shopify counted, or nothing counts

The file is grouped (children follow their order), so that no more than one order is held at a time; a file that is not
is refused. What an export cannot carry (facts 2.8: no connection inside a list, five connections) makes some orders
incomplete: `needs` says which and why, and they are read one by one.

Raises `Retryable` (BULK-BUSY, BULK-CUT, BULK-INCOMPLETE, BULK-EXPIRED, what the client raises) and `Rejected`
(BULK-REFUSED: Shopify does not export this; SHOPIFY-SCOPE).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec

from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.answer import Json, Result

Execute = Callable[[str, Mapping[str, object]], Result]
#: Opens a file of Shopify's at a byte: its bytes from there on, in pieces.
Open = Callable[[str, int], AbstractContextManager[Iterator[bytes]]]
State = Literal["running", "done", "failed", "gone"]

#: Longest line, in bytes: an order of hundreds of payments is far below it.
_LONGEST_LINE = 8 * 1024 * 1024
#: How often a connection that broke is taken up again without a byte of progress between two.
_TRIES = 4
#: Seconds between two looks at an export: at first, and at most.
FIRST_LOOK, LAST_LOOK = 2.0, 60.0
_RUNNING = ("CREATED", "RUNNING", "CANCELING")
_PARENTS = "__parentId"
#: What is on an order in an export: the field, by the type of the line.
_CHILDREN = {"LineItem": "lineItems", "ShippingLine": "shippingLines"}
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Export:
    """One bulk operation. `objects` and `roots` are what Shopify counted, `size` the bytes of its file."""

    id: str
    state: State
    status: str
    error: str | None = None
    objects: int = 0
    roots: int = 0
    size: int = 0
    url: str | None = field(default=None, repr=False)

    @property
    def split(self) -> bool:
        """Whether asking for less may help."""
        return self.state == "failed" and self.error in ("TIMEOUT", "INTERNAL_SERVER_ERROR", None)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read: the next byte, and the lines and orders before it."""

    byte: int = 0
    lines: int = 0
    roots: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """One order of a file, and the place behind its lines."""

    raw: Json = field(repr=False)
    behind: Place

    @property
    def id(self) -> str:
        """The order's gid."""
        return shapes.text(self.raw.get("id"), "order.id")

    def envelope(self) -> Json:
        """What `orders.order_from_envelope` reads; only of an order that `needs` nothing."""
        return dict(self.raw)


def query_of(kind: Literal["orders", "heads"], since: datetime, until: datetime) -> str:
    """The export of all orders processed in [since, until): whole, or only that they exist. Aware instants."""
    bounds = f"status:any AND processed_at:>='{_stamp(since)}' AND processed_at:<'{_stamp(until)}'"
    return _text(kind).replace('"$FILTER"', json.dumps(bounds))


def begin(execute: Execute, query: str) -> str:
    """The id of an export of `query`: of one under way, whose answer nobody heard, else of a new one."""
    known = execute("bulk_operations", {"query": "operation_type:query"})
    _whole(known, "bulk_operations")
    for node in shapes.nodes(known.data.get("bulkOperations"), "bulkOperations"):
        if node.get("query") == query and node.get("status") in _RUNNING[:2]:
            return shapes.text(node.get("id"), "bulkOperations.id")
    result = execute("bulk_run", {"query": query})
    _whole(result, "bulk_run")
    made = shapes.part(result.data.get("bulkOperationRunQuery"), "bulkOperation")
    if isinstance(made, Mapping):
        return shapes.text(made.get("id"), "bulkOperation.id")
    raise _refused(result)


def look(execute: Execute, id: str) -> Export:
    """How far an export is."""
    result = execute("bulk_operation", {"id": id})
    _whole(result, "bulk_operation")
    found = result.data.get("bulkOperation")
    if not isinstance(found, Mapping):
        return Export(id, "gone", "UNKNOWN")
    status, error = str(found.get("status")), found.get("errorCode")
    if error == "ACCESS_DENIED":
        raise Rejected("SHOPIFY-SCOPE", "a scope for the export is missing", detail={"document": "bulk_run"})
    state: State = "running" if status in _RUNNING else "failed"
    if status == "COMPLETED":
        state = "done"
    elif status in ("EXPIRED", "CANCELED"):
        state = "gone"
    objects, roots, size = (_number(found.get(name)) for name in ("objectCount", "rootObjectCount", "fileSize"))
    why, url = shapes.optional(error), shapes.optional(found.get("url")) if state == "done" else None
    return Export(id, state, status, why, objects, roots, size, url)


def cancel(execute: Execute, id: str) -> None:
    """Ask Shopify to stop an export; one that has ended stays as it is."""
    _whole(execute("bulk_cancel", {"id": id}), "bulk_cancel")


def wait(
    execute: Execute, id: str, sleep: Callable[[float], None], chance: Callable[[], float], longest: float
) -> Export:
    """Look again and again, ever less often, for at most `longest` seconds; what was seen last."""
    pause, waited = FIRST_LOOK, 0.0
    while True:
        found = look(execute, id)
        if found.state != "running" or waited >= longest:
            return found
        seconds = pause * (1 + chance() / 4)
        sleep(seconds)
        waited, pause = waited + seconds, min(LAST_LOOK, pause * 1.6)


# -- reading ------------------------------------------------------------------------------------------------------


def read(open_file: Open, export: Export, start: Place = Place()) -> Iterator[Exported]:
    """The orders of a finished export from `start` on, one after the other; at its end the count is proven.

    Raises `Retryable("BULK-CUT")` when the connection keeps breaking, `Retryable("BULK-INCOMPLETE")` when the file
    holds another number of lines or orders than Shopify counted.
    """
    place, held = start, list[Json]()
    behind = start
    for line, end in _lines(open_file, export, start.byte):
        row = _row(line)
        root = _PARENTS not in row
        if root and held:
            yield _order(held, behind)
            place, held = behind, []
        if not root and not held:
            raise Retryable("BULK-INCOMPLETE", "the export is not grouped: a part came before its order")
        held.append(row)
        behind = Place(end, behind.lines + 1, behind.roots + root)
    if held:
        yield _order(held, behind)
        place = behind
    if (place.lines, place.roots) != (export.objects, export.roots):
        told = {"lines": place.lines, "objects": export.objects, "orders": place.roots, "roots": export.roots}
        message = f"the export holds {place.lines} objects and Shopify counted {export.objects}"
        raise Retryable("BULK-INCOMPLETE", message, detail=told)


def _lines(open_file: Open, export: Export, start: int) -> Iterator[tuple[bytes, int]]:
    """Each line with the byte behind it. A broken connection is taken up at the first byte that is not used yet."""
    if export.url is None:
        return  # nothing was found, so there is no file
    at, tries = start, _TRIES
    while at < export.size:
        began, rest = at, b""
        try:
            with open_file(export.url, at) as pieces:
                for piece in pieces:
                    rest += piece
                    *lines, rest = rest.split(b"\n")
                    for line in lines:
                        at += len(line) + 1
                        yield line, at
                    if len(rest) > _LONGEST_LINE:
                        raise Rejected("BULK-REFUSED", "a line of the export is longer than any order")
        except Retryable as error:
            if error.code == "BULK-EXPIRED":
                raise
        else:
            if rest and at + len(rest) == export.size:  # the last line may lack its end
                at += len(rest)
                yield rest, at
        tries = _TRIES if at > began else tries - 1
        if not tries:
            raise Retryable("BULK-CUT", f"the export broke off at byte {at} of {export.size}", after=30.0)


def _row(line: bytes) -> Json:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Retryable("BULK-CUT", "a line of the export is no JSON") from error


def _order(rows: list[Json], behind: Place) -> Exported:
    """One order of its lines: lines, shipping lines and the ledger put where the API has them."""
    order: Json = {**rows[0], "lineItems": [], "shippingLines": [], "agreements": []}
    agreements: dict[str, list[Json]] = {}
    for row in rows[1:]:
        kind, parent = str(row.get("__typename")), row.pop(_PARENTS)
        if parent != order.get("id") and not kind.endswith("Sale"):
            raise Retryable("BULK-INCOMPLETE", "the export is not grouped: a part came away from its order")
        if kind in _CHILDREN:
            order[_CHILDREN[kind]].append(row)
        elif kind.endswith("Agreement"):
            row["sales"] = agreements.setdefault(str(row.get("id")), [])
            order["agreements"].append(row)
        else:
            agreements.setdefault(str(parent), []).append(row)
    if set(agreements) - {str(row.get("id")) for row in order["agreements"]}:
        raise Retryable("BULK-INCOMPLETE", "the export is not grouped: a part came away from its order")
    order["discountApplications"] = _applications(order)
    return Exported(order, behind)


def _applications(order: Json) -> list[Json]:
    """The discounts that took something off: named by their allocations, as the connection is not exported."""
    found: dict[object, Json] = {}
    for line in (*order["lineItems"], *order["shippingLines"]):
        for allocation in line.get("discountAllocations") or ():
            application = allocation.get("discountApplication")
            if isinstance(application, Mapping):
                found.setdefault(application.get("index"), dict(application))
    return [found[index] for index in sorted(found, key=lambda one: (not isinstance(one, int), one or 0))]


def needs(raw: Json) -> str | None:
    """Why an exported order is not all a plan needs, in one word; None when it is."""
    count = shapes.part(raw.get("transactionsCount"), "count")
    transactions, shipped = raw.get("transactions") or (), raw.get("fulfillments") or ()
    reasons = (
        ("heads-only", "currencyCode" not in raw),
        ("no-ledger", not raw.get("agreements")),
        ("refunds", bool(raw.get("refunds"))),
        ("payment-terms", raw.get("paymentTerms") is not None),
        # Which cards a parcel holds, its lines say; they are a connection inside a list.
        ("gift-cards", bool(shipped) and any(line.get("isGiftCard") for line in raw["lineItems"])),
        ("many-parts", len(shipped) >= 100 or (isinstance(count, int) and count > len(transactions))),
    )
    return next((word for word, true in reasons if true), None)


# -- small things -------------------------------------------------------------------------------------------------


@cache
def _text(kind: str) -> str:
    """The query with its fragments written out where they are used: nothing says an export may name them."""
    from graphql.language import (
        FragmentDefinitionNode,
        FragmentSpreadNode,
        InlineFragmentNode,
        OperationDefinitionNode,
        Visitor,
        parse,
        print_ast,
        visit,
    )
    from graphql.utilities import strip_ignored_characters

    file = resources.files("ladenbuch.shopify").joinpath("queries", "bulk", f"{kind}.graphql")
    tree = parse(file.read_text(encoding="utf-8"))
    named = {one.name.value: one for one in tree.definitions if isinstance(one, FragmentDefinitionNode)}

    class Inline(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> InlineFragmentNode:
            one = named[node.name.value]
            return InlineFragmentNode(
                type_condition=one.type_condition, directives=(), selection_set=visit(one.selection_set, Inline())
            )

    operation = next(one for one in tree.definitions if isinstance(one, OperationDefinitionNode))
    return strip_ignored_characters(print_ast(visit(operation, Inline())))


def _whole(result: Result, document: str) -> None:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", f"a scope for {document} is missing", detail={"document": document})
    if result.errors:
        raise Retryable("SHOPIFY-PARTIAL", f"{document} came back incomplete", detail={"document": document})


def _refused(result: Result) -> Rejected | Retryable:
    errors = shapes.part(result.data.get("bulkOperationRunQuery"), "userErrors")
    first: Json = next(iter(shapes.nodes(errors, "userErrors")), {})
    code, said = str(first.get("code")), str(first.get("message", ""))[:200]
    if code in ("LIMIT_REACHED", "OPERATION_IN_PROGRESS"):
        return Retryable("BULK-BUSY", "the shop runs as many exports as it may", after=60.0)
    return Rejected("BULK-REFUSED", said or "Shopify does not export this", detail={"code": code})


def _number(value: object) -> int:
    """Counts come as text: they may be larger than a number in JavaScript."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
