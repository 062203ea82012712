"""What a query costs, before it is sent, and how many points are left.

Shopify charges points per app and shop. Its formula is not published; this one was derived from measured queries:
scalars 0 · object 1 · list of objects 1 whatever its length · MoneyBag, MoneyV2, PageInfo, edges 0 · interface or
union: the most expensive branch · connection `2 + floor(2 ln first) x (1 + cost of a node)` · mutation 10.
A query above 1000 points is refused by Shopify on every plan.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources

from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    parse,
)

from ladenbuch.errors import UsageError
from ladenbuch.shopify.answer import Cost

#: No single query may cost more, whatever the plan.
MAX_QUERY_COST = 1000
MUTATION_COST = 10

_MONEY = ({"shopMoney", "presentmentMoney"}, {"amount", "currencyCode"})
_WRAPPERS = {"pageInfo", "edges", "nodes", "node"}


@cache
def document(name: str) -> str:
    """The text of `queries/<name>.graphql`. Raises `UsageError("SHOPIFY-DOCUMENT")` when there is none."""
    file = resources.files("ladenbuch.shopify").joinpath("queries", f"{name}.graphql")
    if not file.is_file():
        raise UsageError("SHOPIFY-DOCUMENT", f"no document {name!r} in queries")
    return file.read_text(encoding="utf-8")


def documents() -> list[str]:
    """The names of all documents, sorted."""
    folder = resources.files("ladenbuch.shopify").joinpath("queries")
    return sorted(item.name.removesuffix(".graphql") for item in folder.iterdir() if item.name.endswith(".graphql"))


def is_mutation(document_text: str) -> bool:
    """Whether the document writes: then an unknown outcome must not be repeated blindly."""
    return _operation(_parsed(document_text)).operation is OperationType.MUTATION


def estimate_cost(document_text: str, variables: Mapping[str, object] | None = None) -> int:
    """Predicted requested cost of the first operation, in points.

    The kind of a field is told from the document itself: a field with `nodes` or `edges` is a connection, one with
    only `shopMoney`/`presentmentMoney` or `amount`/`currencyCode` is money. The contract tests compare this reading
    with the types of the published schema.
    """
    sizes = {name: value for name, value in (variables or {}).items() if isinstance(value, int)}
    return _estimate(document_text, tuple(sorted(sizes.items())))


@lru_cache(maxsize=256)
def _estimate(text: str, sizes: tuple[tuple[str, int], ...]) -> int:
    tree = _parsed(text)
    operation = _operation(tree)
    if operation.operation is OperationType.MUTATION:
        return MUTATION_COST
    fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
    return _Estimator(fragments, dict(sizes)).selections([operation.selection_set])


@lru_cache(maxsize=64)
def _parsed(text: str) -> DocumentNode:
    return parse(text, no_location=True)


def _operation(tree: DocumentNode) -> OperationDefinitionNode:
    return next(node for node in tree.definitions if isinstance(node, OperationDefinitionNode))


class _Estimator:
    """One walk over a document. Fields with the same response key are merged before they are counted."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], sizes: Mapping[str, int]) -> None:
        self.fragments = fragments
        self.sizes = sizes

    def selections(self, sets: list[SelectionSetNode]) -> int:
        """Cost of everything selected on one object: the common part plus the most expensive typed branch."""
        common, branches = self._collect(sets)
        base = self._fields(common)
        dearest = 0
        for branch in branches.values():
            merged = {key: list(nodes) for key, nodes in common.items()}
            for key, nodes in branch.items():
                merged.setdefault(key, []).extend(nodes)
            dearest = max(dearest, self._fields(merged) - base)
        return base + dearest

    def _collect(
        self, sets: list[SelectionSetNode]
    ) -> tuple[dict[str, list[FieldNode]], dict[str, dict[str, list[FieldNode]]]]:
        common: dict[str, list[FieldNode]] = {}
        branches: dict[str, dict[str, list[FieldNode]]] = {}
        waiting: list[tuple[SelectionSetNode, dict[str, list[FieldNode]]]] = [(item, common) for item in sets]
        while waiting:
            selection_set, into = waiting.pop(0)
            for node in selection_set.selections:
                if isinstance(node, FieldNode):
                    key = node.alias.value if node.alias else node.name.value
                    into.setdefault(key, []).append(node)
                elif isinstance(node, FragmentSpreadNode):
                    waiting.append((self.fragments[node.name.value].selection_set, into))
                elif isinstance(node, InlineFragmentNode):
                    condition = node.type_condition
                    target = branches.setdefault(condition.name.value, {}) if condition else into
                    waiting.append((node.selection_set, target))
        return common, branches

    def _fields(self, fields: Mapping[str, list[FieldNode]]) -> int:
        return sum(self._field(nodes) for nodes in fields.values())

    def _field(self, nodes: list[FieldNode]) -> int:
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        if not sets:
            return 0
        common, branches = self._collect(sets)
        names = set(common)
        if not branches and any(names <= money for money in _MONEY):
            return 0
        if names & {"nodes", "edges"}:
            return 2 + self._factor(nodes[0]) * (1 + self._node(common))
        if nodes[0].name.value == "pageInfo":
            return 0
        return 1 + self.selections(sets)

    def _node(self, connection: Mapping[str, list[FieldNode]]) -> int:
        """Cost below one node of a connection; `nodes` and `edges { node }` are the same node."""
        sets: list[SelectionSetNode] = []
        for key in ("nodes", "edges"):
            for node in connection.get(key, []):
                if node.selection_set is None:
                    continue
                if key == "nodes":
                    sets.append(node.selection_set)
                    continue
                inner, _ = self._collect([node.selection_set])
                sets.extend(item.selection_set for item in inner.get("node", []) if item.selection_set)
        beside = {key: nodes for key, nodes in connection.items() if key not in _WRAPPERS}
        return self.selections(sets) + self._fields(beside)

    def _factor(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                if isinstance(argument.value, IntValueNode):
                    return _page_factor(int(argument.value.value))
                if isinstance(argument.value, VariableNode):
                    return _page_factor(self.sizes.get(argument.value.name.value, 250))
        return _page_factor(250)


def _page_factor(first: int) -> int:
    return max(1, math.floor(2 * math.log(first))) if first > 0 else 1


class CostGauge:
    """The points of one app in one shop, shared by all threads that talk to it.

    Knows what the last answer said, adds what flowed back since, and subtracts what is under way. Before the first
    answer it assumes 1000 points, what one query may cost at most, and 100 per second, the slowest plan.
    """

    def __init__(self, clock: Callable[[], datetime], *, maximum: float = 1000.0, restore_rate: float = 100.0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._maximum = maximum
        self._rate = restore_rate
        self._level = maximum
        self._at = clock()
        self._under_way = 0

    def available(self) -> float:
        """Points that a query sent now could use."""
        with self._lock:
            return self._now() - self._under_way

    def reserve(self, cost: int) -> float:
        """Take `cost` points. Returns 0.0 when they are taken, else the seconds after which to ask again.

        Whoever got 0.0 must call `settle` with the same cost, whatever happened to the call.
        """
        with self._lock:
            missing = cost - (self._now() - self._under_way)
            if missing <= 0 or (self._under_way == 0 and cost >= self._maximum <= self._now()):
                self._under_way += cost
                return 0.0
            return max(0.05, missing / self._rate)

    def settle(self, cost: int, told: Cost | None = None) -> None:
        """Give back a reservation; `told` is what the answer said about the bucket, where it said anything."""
        with self._lock:
            self._under_way = max(0, self._under_way - cost)
            if told is None or told.available is None:
                self._level = max(0.0, self._now() - cost)  # nobody knows: assume it was charged
                self._at = self._clock()
                return
            self._maximum = told.maximum or self._maximum
            self._rate = told.restore_rate or self._rate
            self._level = min(told.available, self._maximum)
            self._at = self._clock()

    def throttled_for(self, requested: int) -> float:
        """Seconds until `requested` points are there again after Shopify said THROTTLED: at least one."""
        with self._lock:
            return max(1.0, (requested - self._now()) / self._rate)

    def _now(self) -> float:
        elapsed = max(0.0, (self._clock() - self._at).total_seconds())
        return min(self._maximum, self._level + elapsed * self._rate)
