"""The reading behind `cost.estimate_cost`: one walk over a parsed document. Imported at the first query."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from graphql.error import GraphQLError
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
    Visitor,
    parse,
    visit,
)

MUTATION_COST = 10

_MONEY = ({"shopMoney", "presentmentMoney"}, {"amount", "currencyCode"})
_WRAPPERS = {"pageInfo", "edges", "nodes", "node"}


def is_mutation(document_text: str) -> bool:
    """Whether the first operation is a mutation."""
    return _operation(_parsed(document_text)).operation is OperationType.MUTATION


def what_is_wrong(document_text: str) -> str | None:
    """Why a text cannot be sent: no GraphQL, no operation, a fragment that is not there; None when it can."""
    try:
        tree = parse(document_text)
    except GraphQLError as error:
        return error.message.splitlines()[0]
    if not any(isinstance(node, OperationDefinitionNode) for node in tree.definitions):
        return "there is no operation in it"
    known = {node.name.value for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
    missing: list[str] = []

    class Spreads(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
            if node.name.value not in known:
                missing.append(node.name.value)

    visit(tree, Spreads())
    return f"there is no fragment {missing[0]} in it" if missing else None


@lru_cache(maxsize=256)
def points(text: str, sizes: tuple[tuple[str, int], ...]) -> int:
    """The predicted cost of the first operation; `sizes` are the values of its whole-number variables."""
    tree = _parsed(text)
    operation = _operation(tree)
    if operation.operation is OperationType.MUTATION:
        return MUTATION_COST * len(operation.selection_set.selections)
    fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
    return _Estimator(fragments, _defaults(operation) | dict(sizes)).selections([operation.selection_set])


def _defaults(operation: OperationDefinitionNode) -> dict[str, int]:
    return {
        item.variable.name.value: int(item.default_value.value)
        for item in operation.variable_definitions or ()
        if isinstance(item.default_value, IntValueNode)
    }


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
        if not branches and any(names <= money for money in _MONEY) and not _may_be_a_shop(nodes[0], names):
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


def _may_be_a_shop(node: FieldNode, names: set[str]) -> bool:
    """`shop { currencyCode }` and `order { currencyCode }` are no money: what cannot be told apart is paid for."""
    return names == {"currencyCode"} and not node.name.value.endswith("Money")


def _page_factor(first: int) -> int:
    return max(1, math.floor(2 * math.log(first))) if first > 0 else 1
