"""Two readings of the same cost rules agree: ours, from the text alone, and the simulator's, with a schema (facts 5.2).

They share no code. Documents of ours, documents of the field list, and random documents over the simulated schema.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    parse,
    print_ast,
    separate_operations,
    validate,
)

from ladenbuch.shopify.cost import MAX_QUERY_COST, document, documents, estimate_cost, is_mutation, what_is_wrong
from ladenbuch.simulators.shopify.cost import quote
from ladenbuch.simulators.shopify.schema import load_schema

ROOT = Path(__file__).resolve().parents[2]
LISTED = {
    name: print_ast(tree)
    for name, tree in separate_operations(parse((ROOT / "tools" / "admin_documents.graphql").read_text())).items()
}
SCHEMA = load_schema()


def simulated(text: str, variables: dict[str, Any] | None = None) -> int:
    """What the simulator would charge."""
    tree = parse(text)
    operation = next(node for node in tree.definitions if isinstance(node, OperationDefinitionNode))
    defaults = {
        item.variable.name.value: int(item.default_value.value)
        for item in operation.variable_definitions or ()
        if item.default_value is not None and item.default_value.kind == "int_value"
    }
    return quote(SCHEMA, tree, operation).requested(defaults | (variables or {}))


@pytest.mark.parametrize("name", documents())
def test_s12_s121_no_document_of_ours_may_cost_more_than_1000_points(name: str) -> None:
    """The largest page every list can have is what is written in it, or 250."""
    assert estimate_cost(document(name)) <= MAX_QUERY_COST


def test_s12_s121_the_guard_sees_a_document_that_is_too_dear() -> None:
    text = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { product { id } taxLines { title } } } } } }"
    assert estimate_cost(text) == simulated(text) == 2 + 11 * (1 + 2 + 11 * 3) <= MAX_QUERY_COST
    deep = (
        "{ orders(first: 250) { nodes { agreements(first: 250) { nodes { sales(first: 250) { nodes { id } } } } } } }"
    )
    assert estimate_cost(deep) == simulated(deep) > MAX_QUERY_COST


@pytest.mark.parametrize("name", documents())
def test_s12_s118_our_documents_cost_what_the_simulator_charges(name: str) -> None:
    assert estimate_cost(document(name)) == simulated(document(name))


@pytest.mark.parametrize("name", sorted(LISTED))
def test_s118_the_listed_documents_cost_what_the_simulator_charges(name: str) -> None:
    assert estimate_cost(LISTED[name]) == simulated(LISTED[name])


class Author:
    """Writes valid random queries."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.fragments: list[str] = []
        self.sizes: dict[str, int] = {}
        self.defaults: dict[str, int] = {}

    def query(self) -> str:
        assert SCHEMA.query_type is not None
        body = self.selection(SCHEMA.query_type, 4, frozenset())
        declared = [f"${name}: Int!" for name in self.sizes] + [f"${n}: Int = {v}" for n, v in self.defaults.items()]
        head = f"query Random({', '.join(declared)})" if declared else "query Random"
        return "\n".join([f"{head} {body}", *self.fragments])

    def selection(self, kind: Any, depth: int, taken: frozenset[str]) -> str:
        parts, keys = [], set(taken)
        fields = (
            {name: field for name, field in kind.fields.items() if name not in taken} if hasattr(kind, "fields") else {}
        )
        for name in self.rng.sample(sorted(fields), min(len(fields), self.rng.randint(1, 5))):
            written = self.field(name, fields[name], depth)
            if written is not None:
                parts.append(written)
                keys.add(name)
        if is_abstract_type(kind):
            for one in self.rng.sample(sorted(SCHEMA.get_possible_types(kind), key=str), 1):
                parts.append(f"... on {one.name} {self.selection(one, depth, frozenset(keys))}")
        elif isinstance(kind, GraphQLObjectType) and parts and self.rng.random() < 0.15 and not taken:
            name = f"F{len(self.fragments)}"
            self.fragments.append("")  # keeps the number while what is inside writes its own
            self.fragments[int(name[1:])] = f"fragment {name} on {kind.name} {{ {' '.join(parts)} }}"
            return f"{{ ...{name} }}"
        return f"{{ {' '.join(parts) or '__typename'} }}"

    def field(self, name: str, field: Any, depth: int) -> str | None:
        kind = get_named_type(field.type)
        if is_leaf_type(kind):
            return None if any(map(is_required_argument, field.args.values())) else name
        if depth == 0:
            return None
        given = []
        for argument, known in field.args.items():
            if argument == "first" and kind.name.endswith("Connection"):
                given.append(f"first: {self.page()}")
            elif is_required_argument(known):
                if str(get_nullable_type(known.type)) != "ID":
                    return None
                given.append(f'{argument}: "gid://shopify/X/1"')
        called = f"{name}({', '.join(given)})" if given else name
        return f"{called} {self.below(kind, depth - 1)}"

    def below(self, kind: Any, depth: int) -> str:
        if kind.name == "MoneyBag":
            return "{ shopMoney { amount currencyCode } presentmentMoney { amount } }"
        if kind.name == "MoneyV2":
            return "{ amount currencyCode }"
        if kind.name == "PageInfo":
            return "{ hasNextPage }"
        if not kind.name.endswith("Connection"):
            return self.selection(kind, depth, frozenset())
        node = self.selection(get_named_type(kind.fields["nodes"].type), depth, frozenset())
        page = " pageInfo { hasNextPage endCursor }" if self.rng.random() < 0.5 else ""
        return f"{{ edges {{ cursor node {node} }}{page} }}" if self.rng.random() < 0.3 else f"{{ nodes {node}{page} }}"

    def page(self) -> str:
        size = self.rng.choice([1, 2, 5, 10, 20, 25, 50, 100, 200, 250])
        way = self.rng.random()
        if way < 0.7:
            return str(size)
        known = self.sizes if way < 0.85 else self.defaults
        name = f"{'n' if known is self.sizes else 'd'}{len(known)}"
        known[name] = size
        return f"${name}"


def test_s118_random_documents_cost_what_the_simulator_charges() -> None:
    """Objects, lists, connections in both spellings, page sizes by value, variable and default, branches, fragments."""
    seen: set[int] = set()
    for seed in range(150):
        author = Author(seed)
        text = author.query()
        assert what_is_wrong(text) is None
        if seed % 5 == 0:
            assert validate(SCHEMA, parse(text)) == [], text
        cost = estimate_cost(text, author.sizes)
        assert cost == simulated(text, author.sizes), text
        seen.add(cost)
    assert len(seen) > 30
    assert max(seen) > 150


def test_s118_every_mutation_costs_ten() -> None:
    for name, text in LISTED.items():
        if is_mutation(text):
            assert estimate_cost(text) == simulated(text) == 10, name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ shop { name }", "Syntax Error"),
        ("", "Syntax Error"),
        ("fragment F on Shop { name }", "no operation"),
        ("{ shop { ...F } }", "no fragment F"),
    ],
)
def test_what_cannot_be_sent_is_said_before_it_is_priced(text: str, why: str) -> None:
    assert why in (what_is_wrong(text) or "")
