"""The Admin schema with resolvers that walk snapshots, and documents parsed, validated and priced once.

A snapshot is nested JSON with Shopify's field names in which every connection is a plain list; here lists
become connections, stubs (``{"id": …}``) become the objects they point to, and what a snapshot leaves out
becomes null, an empty list, zero money or another harmless value of the field's type.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    parse,
    validate,
    visit,
)

from ladenbuch.simulators.shopify import cost

Info = GraphQLResolveInfo[Any]
Resolver = Callable[..., Any]

# Non-null enums that a snapshot may leave out: the value an untouched order has.
_ENUM_DEFAULTS = {
    "OrderReturnStatus": "NO_RETURN",
    "OrderDisplayFulfillmentStatus": "UNFULFILLED",
    "CountPrecision": "EXACT",
    "CurrencyCode": "EUR",
    "RefundLineItemRestockType": "NO_RESTOCK",
}
_LEAF_DEFAULTS: dict[str, Any] = {"Boolean": False, "Int": 0, "Float": 0.0, "String": "", "Decimal": "0.00"}
_ZERO = {"amount": "0.00", "currencyCode": "EUR"}
_ZERO_BAG = {"shopMoney": _ZERO, "presentmentMoney": _ZERO}


def gid_type(gid: str) -> str:
    """``gid://shopify/Order/1`` -> ``Order``."""
    return gid.split("/")[3] if gid.count("/") >= 4 else ""


def gid_number(gid: str | None) -> int | None:
    """``gid://shopify/Order/1?x=y`` -> 1; None when there is no number at the end."""
    tail = (gid or "").rsplit("/", 1)[-1].split("?", 1)[0]
    return int(tail) if tail.isdecimal() else None


# --- connections --------------------------------------------------------------------------------------------


def cursor_of(value: object) -> str:
    """An opaque cursor around a JSON value."""
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def cursor_value(cursor: str) -> Any:
    """The value inside a cursor; raises GraphQLError for anything that is not one of ours."""
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        raise GraphQLError(
            f"Invalid cursor for current pagination sort: {cursor}.", extensions={"code": "BAD_USER_INPUT"}
        ) from None


def connection(
    items: list[Any],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    reverse: bool = False,
    key: Callable[[int, Any], Any] = lambda index, item: index,
    **_: Any,
) -> dict[str, Any]:
    """A page of `items`, which are sorted by `key` (default: their position); cursors carry the key.

    Raises GraphQLError without ``first``/``last``, for both together, or for a size outside 1..250.
    """
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_USER_INPUT"})
    size = first if first is not None else last
    if size is None or not 1 <= size <= 250:
        raise GraphQLError("first and last must be between 1 and 250", extensions={"code": "BAD_USER_INPUT"})
    keyed = [(key(index, item), item) for index, item in enumerate(items)]
    if reverse:
        keyed.reverse()
    total = keyed
    if after is not None:
        keyed = _beyond(keyed, cursor_value(after), reverse)
    if before is not None:
        keyed = _short_of(keyed, cursor_value(before), reverse)
    page = keyed[:size] if first is not None else keyed[-size:]
    more_behind = bool(page) and page[-1][0] != total[-1][0]
    more_ahead = bool(page) and page[0][0] != total[0][0]
    cursors = [cursor_of(k) for k, _item in page]
    return {
        "nodes": [item for _k, item in page],
        "edges": [{"node": item, "cursor": c} for (_k, item), c in zip(page, cursors, strict=True)],
        "pageInfo": {
            "hasNextPage": more_behind,
            "hasPreviousPage": more_ahead,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _beyond(keyed: list[tuple[Any, Any]], mark: Any, reverse: bool) -> list[tuple[Any, Any]]:
    try:
        return [pair for pair in keyed if (pair[0] < mark if reverse else pair[0] > mark)]
    except TypeError:
        raise GraphQLError("Invalid cursor for current pagination sort.") from None


def _short_of(keyed: list[tuple[Any, Any]], mark: Any, reverse: bool) -> list[tuple[Any, Any]]:
    try:
        return [pair for pair in keyed if (pair[0] > mark if reverse else pair[0] < mark)]
    except TypeError:
        raise GraphQLError("Invalid cursor for current pagination sort.") from None


# --- resolvers ----------------------------------------------------------------------------------------------


def _missing(field: GraphQLField) -> Any:
    """What a snapshot that says nothing about a field means."""
    nullable = get_nullable_type(field.type)
    if is_list_type(nullable):
        return []
    if not isinstance(field.type, GraphQLNonNull):
        return None
    name = get_named_type(field.type).name
    if name == "MoneyBag":
        return _ZERO_BAG
    if name == "MoneyV2":
        return _ZERO
    if name in _ENUM_DEFAULTS:
        return _ENUM_DEFAULTS[name]
    if name in _LEAF_DEFAULTS:
        return _LEAF_DEFAULTS[name]
    return {} if not is_leaf_type(get_named_type(field.type)) else None


def _plain(name: str, missing: Any) -> Resolver:
    def resolve(source: Mapping[str, Any], info: Info, **_: Any) -> Any:
        value = source.get(name)
        return missing if value is None else value

    return resolve


def _object(name: str, missing: Any) -> Resolver:
    def resolve(source: Mapping[str, Any], info: Info, **args: Any) -> Any:
        value = source.get(name)
        if value is None:
            return missing
        if isinstance(value, list):
            first = args.get("first")
            found = [info.context.whole(item) for item in value]
            return found if first is None else found[:first]
        return info.context.whole(value)

    return resolve


def _connection(name: str) -> Resolver:
    def resolve(source: Mapping[str, Any], info: Info, **args: Any) -> Any:
        value = source.get(name) or []
        if isinstance(value, dict):  # somebody's snapshot already holds a connection
            value = value.get("nodes") or [edge["node"] for edge in value.get("edges") or []]
        return connection([info.context.whole(item) for item in value], **args)

    return resolve


def _legacy_id(source: Mapping[str, Any], info: Info) -> Any:
    return source.get("legacyResourceId") or str(gid_number(source.get("id")) or 0)


def _typename(value: Any, *_: Any) -> str:
    return str(value.get("__typename") or gid_type(value.get("id", "")))


def attach(schema: GraphQLSchema, special: Mapping[tuple[str, str], Resolver]) -> None:
    """Give every field of `schema` its resolver; `special` names the fields that need more than a look-up."""
    for named in schema.type_map.values():
        if is_abstract_type(named):
            named.resolve_type = _typename
        if not isinstance(named, GraphQLObjectType) or named.name.startswith("__"):
            continue
        for name, field in named.fields.items():
            target = get_named_type(field.type)
            own = special.get((named.name, name))
            if own is not None:
                field.resolve = own
            elif name == "legacyResourceId":
                field.resolve = _legacy_id
            elif target.name.endswith("Connection"):
                field.resolve = _connection(name)
            elif is_leaf_type(target) or target.name in cost.FREE:
                field.resolve = _plain(name, _missing(field))
            else:
                field.resolve = _object(name, _missing(field))


# --- documents ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compiled:
    """A document that is valid on the schema: its operation, its price list, the deprecated fields it
    names. `selections` is for what an execution finds selected below its fields, None where directives decide that.
    """

    document: DocumentNode
    operation: OperationDefinitionNode
    quote: cost.Quote
    deprecated: tuple[str, ...]
    defaults: dict[str, int]  # of integer variables: a page size may come from there
    selections: dict[Any, Any] | None


class _Deprecations(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        definition, parent = self.info.get_field_def(), self.info.get_parent_type()
        if definition is not None and parent is not None and definition.deprecation_reason:
            self.found.add(f"{parent.name}.{node.name.value}")


@lru_cache(maxsize=1)
def load_schema() -> GraphQLSchema:
    """The subset schema, without resolvers. The published one is refused by graphql-core unless assumed
    valid.
    """
    text = files("ladenbuch.simulators.shopify").joinpath("admin.graphql").read_text(encoding="utf-8")
    return build_schema(text, assume_valid=True)


@lru_cache(maxsize=512)
def compile_document(text: str, operation_name: str | None) -> Compiled | tuple[GraphQLError, ...]:
    """`text` ready to be executed, or what is wrong with it (syntax, validation, no such operation)."""
    schema = load_schema()
    try:
        document = parse(text)
    except GraphQLError as error:
        return (error,)
    errors = validate(schema, document)
    if errors:
        return tuple(errors)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    chosen = [o for o in operations if operation_name in (None, o.name.value if o.name else None)]
    if len(chosen) != 1 or (operation_name is None and len(operations) != 1):
        return (GraphQLError("An operation name is required"),)
    info = TypeInfo(schema)
    deprecations = _Deprecations(info)
    visit(document, TypeInfoVisitor(info, deprecations))
    quoted = cost.quote(schema, document, chosen[0])
    defaults = {
        v.variable.name.value: int(v.default_value.value)
        for v in chosen[0].variable_definitions or ()
        if isinstance(v.default_value, IntValueNode)
    }
    selections: dict[Any, Any] | None = None if "@" in text else {}
    return Compiled(document, chosen[0], quoted, tuple(sorted(deprecations.found)), defaults, selections)
