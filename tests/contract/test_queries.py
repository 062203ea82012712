"""Our Admin documents against the published schemas, and our cost model against everything measured.

The schemas are introspection results shipped in the npm package `@shopify/dev-mcp` (`npm pack @shopify/dev-mcp`,
folder `dist/data`); put them, gzipped as `shopify-admin-<version>.json.gz`, into `../shared/specs` beside the
repository or name their folder in `LADENBUCH_SPECS`. Without them the schema tests skip.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from graphql import (
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    is_composite_type,
    is_interface_type,
    is_union_type,
    parse,
    print_ast,
    separate_operations,
    validate,
    visit,
)

from ladenbuch.shopify.bulk import query_of
from ladenbuch.shopify.cost import document, documents, estimate_cost, is_mutation
from ladenbuch.shopify.subscriptions import Subscription
from ladenbuch.shopify.topics import COMPLIANCE, SUBSCRIBABLE, of_enum
from ladenbuch.shopify.webhooks import enum_topic

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("LADENBUCH_SPECS", ROOT.parent / "shared" / "specs"))

CURRENT = ("2026-10", "2026-07")
_NAMED = ["Cannot query field 'name' on type 'WebhookSubscription'."]  # names came with 2026-04
_SUBSCRIBING = {"webhook_create": _NAMED, "webhook_update": _NAMED, "webhook_list": _NAMED}
#: What older versions do not know. An entry that disappears or appears is news, not noise.
OLDER: dict[str, dict[str, list[str]]] = {
    "2026-04": {"order_head": ["Cannot query field 'taxSettings' on type 'Customer'."]},
    "2026-01": {"order_head": ["Cannot query field 'taxSettings' on type 'Customer'."], **_SUBSCRIBING},
    "2025-10": {
        "order_head": [
            "Cannot query field 'processedAt' on type 'Refund'. Did you mean 'createdAt'?",
            "Cannot query field 'taxSettings' on type 'Customer'.",
        ],
        "refund_detail": ["Cannot query field 'processedAt' on type 'Refund'. Did you mean 'createdAt'?"],
        "shop_settings": ["Cannot query field 'shopAddress' on type 'Shop'."],
        **_SUBSCRIBING,
        # Exports are looked at by their id since 2026-01.
        "bulk_operation": ["Cannot query field 'bulkOperation' on type 'QueryRoot'."],
        "bulk_operations": ["Cannot query field 'bulkOperations' on type 'QueryRoot'."],
    },
}


@cache
def schema(version: str) -> GraphQLSchema:
    file = SPECS / f"shopify-admin-{version}.json.gz"
    if not file.is_file():
        pytest.skip(f"no published schema {file.name}: see the head of this file for how to get it")
    found = json.loads(gzip.decompress(file.read_bytes()))
    # graphql-core refuses the real schema (interface deprecation mismatch) unless told to trust it
    return build_client_schema(found.get("data", found), assume_valid=True)


@pytest.mark.parametrize("name", documents())
@pytest.mark.parametrize("version", [*CURRENT, *OLDER])
def test_document_is_valid_except_for_what_the_table_says(version: str, name: str) -> None:
    errors = [error.message for error in validate(schema(version), parse(document(name)))]
    told = [error.partition(" Did you mean")[0] for error in errors]
    assert sorted(told) == sorted(error.partition(" Did you mean")[0] for error in OLDER.get(version, {}).get(name, []))


@pytest.mark.parametrize("version", CURRENT)
@pytest.mark.parametrize("kind", ["orders", "heads"])
def test_s104_exports_are_valid_and_within_the_limits_of_the_published_text(
    version: str, kind: Literal["orders", "heads"]
) -> None:
    """At most five connections, nested at most twice below the first; the argument that says which orders is there."""
    text = query_of(kind, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    published = schema(version)
    assert validate(published, parse(text)) == []
    rules = published.type_map["Mutation"].fields["bulkOperationRunQuery"].description  # type: ignore[attr-defined]
    assert "up to five connections" in rules
    assert text.count("edges{") <= 5


def test_s79_subscribing_is_valid_on_three_versions_with_its_variables() -> None:
    """The documents, and the input we send with them: topic and every key of `WebhookSubscriptionInput`."""
    item = Subscription("orders/paid", "https://books.example/webhooks", "test:false", ("id", "updated_at"), name="a")
    for version in ("2026-04", "2026-07", "2026-10"):
        published = schema(version)
        for name in ("webhook_list", "webhook_create", "webhook_update", "webhook_delete"):
            assert validate(published, parse(document(name))) == []
        fields = published.type_map["WebhookSubscriptionInput"].fields  # type: ignore[attr-defined]
        assert set(item.to_input()) <= {key for key, field in fields.items() if not field.deprecation_reason}
        assert item.enum in published.type_map["WebhookSubscriptionTopic"].values  # type: ignore[attr-defined]


def test_the_topics_are_those_of_the_published_schema() -> None:
    """S15: `COMPLIANCE` is not in the enum, everything else is."""
    published = schema(CURRENT[0]).type_map["WebhookSubscriptionTopic"].values  # type: ignore[attr-defined]
    assert {enum_topic(topic) for topic in SUBSCRIBABLE} == set(published)
    assert all(of_enum(name) is not None for name in published)
    assert not {enum_topic(topic) for topic in COMPLIANCE} & set(published)


@pytest.mark.parametrize("name", documents())
def test_no_deprecated_field_is_used_on_the_current_version(name: str) -> None:
    info = TypeInfo(schema(CURRENT[0]))
    used: list[str] = []

    class Deprecated(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            field = info.get_field_def()
            if field is not None and field.deprecation_reason is not None:
                used.append(node.name.value)

    visit(parse(document(name)), TypeInfoVisitor(info, Deprecated()))
    assert used == []


@pytest.mark.parametrize("name", documents())
def test_the_estimator_reads_kinds_from_the_text_as_the_schema_has_them(name: str) -> None:
    """The estimator has no schema at run time: a field with nodes/edges must be a connection, and only money may have
    nothing but shopMoney/presentmentMoney or amount/currencyCode; branches may stand on interfaces and unions only."""
    info = TypeInfo(schema(CURRENT[0]))
    tree = parse(document(name))
    wrong: list[str] = []

    class Kinds(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            if node.selection_set is None:
                return
            kind = get_named_type(info.get_type())
            assert kind is not None
            assert is_composite_type(kind)
            names = {n.name.value for n in node.selection_set.selections if isinstance(n, FieldNode)}
            spreads = {n.name.value for n in node.selection_set.selections if n.kind == "fragment_spread"}
            is_connection = bool(names & {"nodes", "edges"})
            is_money = spreads == {"Money"} or (bool(names) and names <= {"amount", "currencyCode", "shopMoney"})
            if is_connection != kind.name.endswith("Connection"):
                wrong.append(f"{node.name.value}: {kind.name}")
            if is_money != (kind.name in ("MoneyBag", "MoneyV2")):
                wrong.append(f"{node.name.value}: {kind.name}")
            branches = [n for n in node.selection_set.selections if n.kind == "inline_fragment"]
            if branches and not (is_interface_type(kind) or is_union_type(kind)):
                wrong.append(f"{node.name.value}: branches on {kind.name}")

    visit(tree, TypeInfoVisitor(info, Kinds()))
    assert wrong == []


def test_fragments_of_one_name_are_the_same_everywhere() -> None:
    seen: dict[str, str] = {}
    for name in documents():
        for definition in parse(document(name)).definitions:
            if definition.kind == "fragment_definition":
                text = print_ast(definition)
                assert seen.setdefault(definition.name.value, text) == text, f"{definition.name.value} in {name}"
    assert seen


# -- cost (facts 5.2) ------------------------------------------------------------------------------------------------


def test_a_plain_settle_run_costs_at_most_150_points() -> None:
    assert estimate_cost(document("order_head")) <= 150


@pytest.mark.parametrize("name", documents())
def test_follow_up_pages_are_cheaper_than_the_head(name: str) -> None:
    assert 0 < estimate_cost(document(name)) <= estimate_cost(document("order_head"))


def measured() -> Iterator[tuple[str, str, int]]:
    """The documents of the field list with the cost that the derived model gives them (Microsoft's annotations agree
    with 23 of 25)."""
    expected = {
        "ShopSettings": 4,
        "Installation": 7,
        "OrderForInvoice": 141,
        "OrderLinesPage": 45,
        "OrderTransactions": 8,
        "OrderRefunds": 3,
        "RefundDetail": 76,
        "OrderLedger": 131,
        "OrderFulfillments": 20,  # 19 without the ship-from address
        "OrdersUpdatedSince": 38,
    }
    file = ROOT / "tools" / "admin_documents.graphql"
    found = separate_operations(parse(file.read_text(encoding="utf-8")))
    for name, cost in expected.items():
        if name in found:
            yield name, print_ast(found[name]), cost


@pytest.mark.parametrize(("name", "text", "cost"), list(measured()))
def test_estimator_gives_the_known_costs(name: str, text: str, cost: int) -> None:
    assert estimate_cost(text) == cost


def test_page_sizes_may_come_from_variables() -> None:
    text = "query Q($n: Int!) { orders(first: $n) { nodes { id app { id } } } }"
    assert [estimate_cost(text, {"n": n}) for n in (1, 10, 20, 25, 50, 100, 200, 250)] == [
        2 + factor * 2 for factor in (1, 4, 5, 6, 7, 9, 10, 11)
    ]


def test_the_dearest_branch_counts_and_a_repeated_field_counts_once() -> None:
    text = "{ node(id: 1) { id ... on A { x { id } } ... on B { x { id } y { id } } x { id } } }"
    assert estimate_cost(text) == 1 + 1 + 1


def test_a_mutation_costs_ten_and_is_known_as_one() -> None:
    text = "mutation M { tagsAdd(id: 1, tags: []) { node { id } userErrors { field message } } }"
    assert estimate_cost(text) == 10
    assert is_mutation(text)
    assert not is_mutation(document("order_head"))


def test_documents_carry_no_literal_ids_or_shops() -> None:
    for name in documents():
        assert not re.search(r"gid://|[.]myshopify[.]com", document(name)), name
