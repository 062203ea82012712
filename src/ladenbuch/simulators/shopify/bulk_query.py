"""What an export may ask for, and the lines it writes: a walk over the query's fields for each exported order.

Rules of a bulk query (facts 2.8; the wording is that of refusals met in public): `edges { node` only, at most five
connections, nested at most twice, none inside a list, an `id` in every node that has children. For some weeks of 2026
the parent of a nested connection had to be a `Node` as well: `nodes_only` brings that back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    parse,
    validate,
)
from graphql.execution.values import get_argument_values

from ladenbuch.simulators.shopify.schema import gid_type

#: Longest query Shopify keeps, in bytes; connections, the first one included; how deep below the first one.
MAX_BYTES, MAX_CONNECTIONS, MAX_DEPTH = 65_535, 5, 2
_PAGE = 250

Line = dict[str, Any]
Fragments = Mapping[str, FragmentDefinitionNode]
_Composite = GraphQLObjectType | GraphQLInterfaceType


@dataclass(frozen=True)
class BulkQuery:
    """A query that may be run: the arguments of its first connection, and what is asked of each node."""

    arguments: Mapping[str, Any]
    exporter: Exporter
    node: tuple[FieldNode, ...]


@lru_cache(maxsize=16)
def read(schema: GraphQLSchema, text: str, *, nodes_only: bool = False) -> BulkQuery | list[str]:
    """The query, or the sentences Shopify would refuse it with. `schema` has its resolvers."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return [f"Invalid bulk query: {error.message}"]
    if errors := validate(schema, document):
        return [f"Invalid bulk query: {error.message}" for error in errors]
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    if operation.operation is not OperationType.QUERY:
        return ["Invalid operation type. Only `query` operations are supported."]
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    root_type = schema.query_type
    assert root_type is not None
    seen = _Seen(fragments, nodes_only)
    seen.walk(schema, root_type, operation.selection_set, (), in_list=False)
    said = seen.refusals()
    size = len(text.encode())
    if size > MAX_BYTES:
        said.append(f"Query is too large ({size} bytes; maximum is {MAX_BYTES} bytes)")
    if said:
        return said
    roots = list(_fields(operation.selection_set, fragments, None))
    if [node.name.value for node in roots] != ["orders"]:
        return ["The simulator exports orders only."]
    exporter = Exporter(schema, fragments)
    arguments = get_argument_values(root_type.fields["orders"], roots[0])
    return BulkQuery(arguments, exporter, _node_of(roots[0], fragments))


def _fields(selected: SelectionSetNode | None, fragments: Fragments, on: _Composite | None) -> Iterator[FieldNode]:
    """The fields selected on a type, those of fragments included; `on` None takes every branch."""
    for item in selected.selections if selected is not None else ():
        if isinstance(item, FieldNode):
            yield item
        elif isinstance(item, FragmentSpreadNode):
            named = fragments[item.name.value]
            if _applies(named.type_condition.name.value, on):
                yield from _fields(named.selection_set, fragments, on)
        elif isinstance(item, InlineFragmentNode) and (
            item.type_condition is None or _applies(item.type_condition.name.value, on)
        ):
            yield from _fields(item.selection_set, fragments, on)


def _applies(condition: str, on: _Composite | None) -> bool:
    return on is None or on.name == condition or condition in {one.name for one in on.interfaces}


def _node_of(connection: FieldNode, fragments: Fragments) -> tuple[FieldNode, ...]:
    """The `node` fields of a connection, as often as they were written."""
    edges = [one for one in _fields(connection.selection_set, fragments, None) if one.name.value == "edges"]
    return tuple(
        one for edge in edges for one in _fields(edge.selection_set, fragments, None) if one.name.value == "node"
    )


@dataclass
class _Seen:
    """What a walk over a query has met."""

    fragments: Fragments
    nodes_only: bool
    connections: int = 0
    depth: int = 0
    by_nodes: list[str] = field(default_factory=list)
    without_id: list[str] = field(default_factory=list)
    no_node: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)
    in_list: bool = False

    def walk(
        self,
        schema: GraphQLSchema,
        parent: Any,
        selected: SelectionSetNode | None,
        around: tuple[tuple[str, bool, bool], ...],
        *,
        in_list: bool,
    ) -> None:
        """`around`: the connections we are in, each with whether its node has an id, and is a `Node`."""
        for item in selected.selections if selected is not None else ():
            if isinstance(item, FragmentSpreadNode):
                named = self.fragments[item.name.value]
                on = schema.type_map[named.type_condition.name.value]
                self.walk(schema, on, named.selection_set, around, in_list=in_list)
            elif isinstance(item, InlineFragmentNode):
                on = parent if item.type_condition is None else schema.type_map[item.type_condition.name.value]
                self.walk(schema, on, item.selection_set, around, in_list=in_list)
            elif isinstance(item, FieldNode) and item.name.value in getattr(parent, "fields", ()):
                if parent is schema.query_type:
                    self.top.append(item.name.value)
                self._field(schema, parent.fields[item.name.value].type, item, around, in_list=in_list)

    def _field(
        self,
        schema: GraphQLSchema,
        kind: Any,
        item: FieldNode,
        around: tuple[tuple[str, bool, bool], ...],
        *,
        in_list: bool,
    ) -> None:
        named, name = get_named_type(kind), item.name.value
        if is_leaf_type(named):
            return
        if not named.name.endswith("Connection"):
            wrapper = name in ("edges", "node", "nodes")
            listed = in_list or (is_list_type(get_nullable_type(kind)) and not wrapper)
            self.walk(schema, named, item.selection_set, around, in_list=listed)
            return
        self.connections += 1
        self.depth = max(self.depth, len(around))
        self.in_list = self.in_list or in_list
        if around:
            outer, has_id, is_node = around[-1]
            self.without_id += [outer] if not has_id and outer not in self.without_id else []
            self.no_node += [outer] if not is_node and outer not in self.no_node else []
        if any(one.name.value == "nodes" for one in _fields(item.selection_set, self.fragments, None)):
            self.by_nodes.append(name)
        inner = get_named_type(get_named_type(named.fields["edges"].type).fields["node"].type)
        asked = [
            one for node in _node_of(item, self.fragments) for one in _fields(node.selection_set, self.fragments, None)
        ]
        has_id = any(one.name.value == "id" and one.alias is None for one in asked)
        is_node = "Node" in {one.name for one in inner.interfaces}
        self.walk(schema, named, item.selection_set, (*around, (name, has_id, is_node)), in_list=False)

    def refusals(self) -> list[str]:
        said = []
        if self.by_nodes:
            example, listed = self.by_nodes[0], "', '".join(self.by_nodes)
            said.append(
                "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
                f"'{example} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. Invalid connection fields: "
                f"'{listed}'."
            )
        if {"node", "nodes"} & set(self.top):
            said.append("Bulk queries cannot contain a top level `node` field.")
        if self.depth > MAX_DEPTH:
            said.append(f"Bulk queries cannot contain connections with a nesting depth greater than {MAX_DEPTH}.")
        if self.connections > MAX_CONNECTIONS:
            said.append(f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections.")
        if self.without_id:
            said.append(
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and must "
                f"be of 'ID' return type. Connection fields without 'id': {', '.join(self.without_id)}."
            )
        if self.nodes_only and self.no_node:
            said.append(
                "The parent 'node' field for a nested connection must return a type that implements the 'Node' "
                f"interface. Invalid connections: {', '.join(self.no_node)}."
            )
        if self.in_list:
            said.append("Queries that contain a connection field within a list field are not currently supported.")
        if not self.connections:
            said.append("Bulk queries must contain at least one connection.")
        return said


# --- the lines ----------------------------------------------------------------------------------------------


class _Info:
    """As much of graphql-core's `info` as the resolvers look at."""

    __slots__ = ("context", "schema")

    def __init__(self, schema: GraphQLSchema, context: Any) -> None:
        self.schema = schema
        self.context = context


@dataclass(frozen=True, slots=True)
class _Step:
    """One field of a concrete type, ready to be asked: `below` are the nodes selected under it, None for a leaf."""

    key: str
    resolve: Callable[..., Any]
    arguments: Mapping[str, Any]
    below: tuple[FieldNode, ...] | None
    declared: Any
    connection: bool


class Exporter:
    """Writes objects as lines. What a query selects on a type is worked out once."""

    def __init__(self, schema: GraphQLSchema, fragments: Fragments) -> None:
        self._schema = schema
        self._fragments = fragments
        self._steps: dict[tuple[str, tuple[int, ...]], list[_Step]] = {}

    def lines(self, kind: str, item: Any, asked: Sequence[FieldNode], context: Any) -> Iterator[Line]:
        """The object's own line, then those of its children, each under its parent.

        Raises GraphQLError (ACCESS_DENIED) where a field needs a scope the shop did not grant.
        """
        yield from self._lines(kind, item, tuple(asked), _Info(self._schema, context), None)

    def _lines(
        self, kind: str, item: Any, asked: tuple[FieldNode, ...], info: _Info, parent: str | None
    ) -> Iterator[Line]:
        line: Line = {}
        children: list[tuple[_Step, Any]] = []
        for step in self._of(kind, asked):
            value = step.resolve(item, info, **step.arguments)
            if step.connection:
                children.append((step, value))
            else:
                line[step.key] = self._value(step.declared, value, step.below, info)
        if parent is not None:
            line["__parentId"] = parent
        yield line
        for step, first in children:
            assert step.below is not None
            nodes = tuple(one for node in step.below for one in _node_of(node, self._fragments))
            target = self._node_type(step.declared)
            page = first
            while True:
                for child in page["nodes"]:
                    yield from self._lines(self._concrete(target, child), child, nodes, info, str(line.get("id")))
                if not page["pageInfo"]["hasNextPage"]:
                    break
                page = step.resolve(item, info, **{**step.arguments, "after": page["pageInfo"]["endCursor"]})

    def _value(self, declared: Any, value: Any, below: tuple[FieldNode, ...] | None, info: _Info) -> Any:
        if value is None or below is None:
            return value
        if isinstance(value, list):
            return [self._value(declared, one, below, info) for one in value]
        found: Line = {}
        for step in self._of(self._concrete(get_named_type(declared), value), below):
            inner = step.resolve(value, info, **step.arguments)
            found[step.key] = self._value(step.declared, inner, step.below, info)
        return found

    def _concrete(self, target: Any, value: Any) -> str:
        if is_abstract_type(target):
            return str(value.get("__typename") or gid_type(value.get("id", "")))
        return str(target.name)

    def _node_type(self, declared: Any) -> Any:
        edge = get_named_type(get_named_type(declared).fields["edges"].type)
        return get_named_type(edge.fields["node"].type)

    def _of(self, kind: str, asked: tuple[FieldNode, ...]) -> list[_Step]:
        key = (kind, tuple(map(id, asked)))
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = self._worked_out(kind, asked)
        return known

    def _worked_out(self, kind: str, asked: tuple[FieldNode, ...]) -> list[_Step]:
        named = self._schema.type_map[kind]
        assert isinstance(named, GraphQLObjectType)
        by_key: dict[str, list[FieldNode]] = {}
        for node in asked:
            for one in _fields(node.selection_set, self._fragments, named):
                by_key.setdefault(one.alias.value if one.alias else one.name.value, []).append(one)
        steps = []
        for key, nodes in by_key.items():
            name = nodes[0].name.value
            if name == "__typename":
                steps.append(_Step(key, lambda item, info, _kind=kind: _kind, {}, None, None, False))
                continue
            definition = named.fields[name]
            target = get_named_type(definition.type)
            connection = target.name.endswith("Connection")
            arguments = get_argument_values(definition, nodes[0])
            if connection:
                arguments = {**{k: v for k, v in arguments.items() if k not in ("last", "before")}, "first": _PAGE}
            assert definition.resolve is not None
            below = None if is_leaf_type(target) else tuple(nodes)
            steps.append(_Step(key, definition.resolve, arguments, below, definition.type, connection))
        return steps
