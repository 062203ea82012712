"""What a document costs: the model that fits 23 of 25 published annotations, and the bucket it is paid from.

Model: plain values 0; an object 1; a list of objects 1 whatever its length; MoneyBag, MoneyV2, PageInfo and
edges 0; an abstract type costs its dearest branch; a connection costs ``2 + floor(2 ln(first)) * (1 +
children of a node)`` (factor 1 for ``first: 1``); a mutation 10. Shopify does not publish its formula; the
documents of ``tools/admin_documents.graphql`` are the test vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

FREE = frozenset({"MoneyBag", "MoneyV2", "PageInfo"})
MUTATION_COST = 10
MAX_QUERY_COST = 1000
# plan -> (bucket, points restored per second); buckets above standard are inferred, Shopify does not publish
# them
PLANS = {
    "standard": (2000, 100),
    "advanced": (4000, 200),
    "plus": (20000, 1000),
    "enterprise": (40000, 2000),
}


def page_factor(size: int) -> int:
    """How often the price of one node is paid for a page of `size` nodes: 1 -> 1, 10 -> 4, 50 -> 7, 250 ->
    11.
    """
    return max(1, math.floor(2 * math.log(size))) if size > 0 else 0


@dataclass
class Price:
    """The price of one field: its own points, how its page size is known, its children, its exclusive
    branches.
    """

    key: str
    own: int = 0
    connection: bool = False
    page: int | str = 1  # a number, or "$name" of the variable that holds it
    children: list[Price] = field(default_factory=list)
    branches: list[list[Price]] = field(default_factory=list)

    def requested(self, variables: Mapping[str, Any]) -> int:
        """Points charged before execution."""
        inner = sum(child.requested(variables) for child in self.children)
        inner += max((sum(p.requested(variables) for p in branch) for branch in self.branches), default=0)
        if not self.connection:
            return self.own + inner
        return 2 + page_factor(self.page_size(variables)) * (1 + inner)

    def page_size(self, variables: Mapping[str, Any]) -> int:
        """The page size asked for; 1 where the document leaves it open."""
        size = variables.get(self.page[1:]) if isinstance(self.page, str) else self.page
        return size if isinstance(size, int) and size > 0 else 1

    def actual(self, data: Any) -> int:
        """Points for what was really returned; never more than requested, because pages are never longer."""
        if data is None or data == []:
            return 0
        if self.connection:
            nodes = _nodes(data)
            return 2 + page_factor(len(nodes)) * (1 + self._inner(nodes))
        return self.own + self._inner(data if isinstance(data, list) else [data])

    def _inner(self, objects: Sequence[Any]) -> int:
        if not self.children and not self.branches:
            return 0
        best = 0
        for value in objects:
            if isinstance(value, dict):
                inner = sum(child.actual(value.get(child.key)) for child in self.children)
                inner += max((sum(p.actual(value.get(p.key)) for p in b) for b in self.branches), default=0)
                best = max(best, inner)
        return best


def _nodes(data: Mapping[str, Any]) -> list[Any]:
    nodes = data.get("nodes")
    if isinstance(nodes, list):
        return nodes
    edges = data.get("edges")
    if isinstance(edges, list):
        # the node may stand under an alias; an edge holds at most one object
        return [next((v for v in edge.values() if isinstance(v, dict)), None) for edge in edges]
    return []


class _Pricer:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def selection(self, parent: Any, selections: SelectionSetNode | None) -> tuple[list[Price], list[list[Price]]]:
        """The prices of a selection: those always paid, and one list for each exclusive type."""
        always: dict[str, list[FieldNode]] = {}
        branches: dict[str, dict[str, list[FieldNode]]] = {}
        self._collect(parent, selections, parent, always, branches)
        common = self._prices(parent, always)
        exclusive = []
        for name, fields in branches.items():
            only = {key: nodes for key, nodes in fields.items() if key not in always}
            exclusive.append(self._prices(self.schema.get_type(name), only))
        return common, [branch for branch in exclusive if branch]

    def _collect(
        self,
        parent: Any,
        selections: SelectionSetNode | None,
        condition: Any,
        always: dict[str, list[FieldNode]],
        branches: dict[str, dict[str, list[FieldNode]]],
    ) -> None:
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                narrowed = is_abstract_type(parent) and condition is not parent
                target = branches.setdefault(condition.name, {}) if narrowed else always
                key = node.alias.value if node.alias else node.name.value
                target.setdefault(key, []).append(node)
                continue
            inner: Any = self.fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            named = getattr(inner, "type_condition", None)
            narrower = self.schema.get_type(named.name.value) if named else condition
            self._collect(parent, inner.selection_set, narrower, always, branches)

    def _prices(self, parent: Any, fields: Mapping[str, list[FieldNode]]) -> list[Price]:
        found = []
        for key, nodes in fields.items():
            definition = getattr(parent, "fields", {}).get(nodes[0].name.value)
            if definition is None or is_leaf_type(get_named_type(definition.type)):
                continue
            price = self._price(key, get_named_type(definition.type), nodes)
            if price is not None:
                found.append(price)
        return found

    def _price(self, key: str, target: Any, nodes: Sequence[FieldNode]) -> Price | None:
        if target.name in FREE:
            return None
        merged = SelectionSetNode(selections=tuple(s for n in nodes for s in (n.selection_set or _EMPTY).selections))
        if not target.name.endswith("Connection"):
            children, branches = self.selection(target, merged)
            return Price(key, 1, children=children, branches=branches)
        price = Price(key, connection=True, page=_page(nodes[0]))
        for name, selection in self._node_selections(target, merged):
            children, branches = self.selection(name, selection)
            price.children += children
            price.branches += branches
        return price

    def _node_selections(self, connection: Any, selections: SelectionSetNode) -> Iterator[tuple[Any, Any]]:
        fields: dict[str, list[FieldNode]] = {}
        self._collect(connection, selections, connection, fields, {})
        for nodes in fields.values():
            for node in nodes:
                name = node.name.value
                if name == "nodes":
                    yield get_named_type(connection.fields[name].type), node.selection_set
                elif name == "edges":
                    edge = get_named_type(connection.fields[name].type)
                    inner: dict[str, list[FieldNode]] = {}
                    self._collect(edge, node.selection_set, edge, inner, {})
                    for n in (n for group in inner.values() for n in group if n.name.value == "node"):
                        yield get_named_type(edge.fields["node"].type), n.selection_set


_EMPTY = SelectionSetNode(selections=())


def _page(node: FieldNode) -> int | str:
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                return "$" + argument.value.name.value
    return 1


@dataclass
class Quote:
    """The prices of the root fields of one operation."""

    mutation: bool
    prices: list[Price]
    roots: int

    def requested(self, variables: Mapping[str, Any]) -> int:
        """Points that must be in the bucket before execution."""
        if self.mutation:
            return MUTATION_COST * self.roots
        return sum(price.requested(variables) for price in self.prices)

    def actual(self, data: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> int:
        """Points really spent, at most the requested ones."""
        if self.mutation:
            return MUTATION_COST * self.roots
        spent = sum(price.actual((data or {}).get(price.key)) for price in self.prices)
        return min(spent, self.requested(variables))

    def debug(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One entry per priced field, as the header ``Shopify-GraphQL-Cost-Debug: 1`` asks for."""
        entries: list[dict[str, Any]] = []

        def walk(price: Price, path: tuple[str, ...]) -> None:
            total = price.requested(variables)
            own = 2 if price.connection else price.own
            entries.append(
                {
                    "path": [*path, price.key],
                    "definedCost": own,
                    "requestedTotalCost": total,
                    "requestedChildrenCost": total - own,
                }
            )
            for child in [*price.children, *(p for branch in price.branches for p in branch)]:
                walk(child, (*path, price.key))

        for price in self.prices:
            walk(price, ())
        return entries


def quote(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Quote:
    """The price list of a valid operation; variables are filled in later, so that it can be cached."""
    pricer = _Pricer(schema, document)
    mutation = operation.operation == OperationType.MUTATION
    root = schema.mutation_type if mutation else schema.query_type
    prices, _ = pricer.selection(root, operation.selection_set)
    return Quote(mutation, prices, len(operation.selection_set.selections))


@dataclass
class Bucket:
    """A leaky bucket: `size` points, `rate` points restored per second; `level` is what is available at
    `at`.
    """

    size: int
    rate: int
    level: float
    at: datetime

    def take(self, points: int, now: datetime) -> bool:
        """Take `points` if they are there; False leaves the bucket as it is."""
        self.refill(now)
        if points > self.level:
            return False
        self.level -= points
        return True

    def give_back(self, points: int) -> None:
        """Return the difference between requested and actual cost."""
        self.level = min(float(self.size), self.level + points)

    def refill(self, now: datetime) -> None:
        """Restore what leaked since the last look; a clock that stands still restores nothing."""
        seconds = max(0.0, (now - self.at).total_seconds())
        self.level = min(float(self.size), self.level + seconds * self.rate)
        self.at = max(self.at, now)

    def status(self) -> dict[str, Any]:
        """The ``throttleStatus`` object."""
        return {
            "maximumAvailable": float(self.size),
            "currentlyAvailable": int(self.level),
            "restoreRate": float(self.rate),
        }
