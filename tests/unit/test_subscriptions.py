"""What is subscribed, where it is written down, what has to change (S15, S16, S78, S79, S95, S130; facts 2.9, 3.5)."""

from __future__ import annotations

import json
import random
import tomllib
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ladenbuch.errors import Rejected
from ladenbuch.shopify.app_config import App, emit, parse
from ladenbuch.shopify.lint import lint
from ladenbuch.shopify.subscriptions import (
    ORDER_FIELDS,
    TOPICS,
    Actual,
    Subscription,
    address_problem,
    beyond,
    changes,
    left_out,
    wanted,
)
from ladenbuch.shopify.topics import COMPLIANCE, SUBSCRIBABLE
from ladenbuch.shopify.version import API_VERSION
from ladenbuch.shopify.webhooks import KNOWN, order_key

ADDRESS = "https://books.example/webhooks"
SCOPES = ("read_orders", "read_fulfillments", "read_payment_terms")


def app(**changes: Any) -> App:
    given: dict[str, Any] = {
        "name": "Ladenbuch",
        "client_id": "a61950a2cbd5f32876b0b55587ec7a27",
        "application_url": "https://books.example",
        "scopes": SCOPES,
        "redirect_urls": ("https://books.example/auth/callback",),
        "subscriptions": wanted(ADDRESS, SCOPES),
        "optional_scopes": ("read_shopify_payments_disputes",),
    }
    return App(**(given | changes))


def actual(item: Subscription, id: str = "1", **changes: Any) -> Actual:
    node = {"id": id, "topic": item.enum, "apiVersion": {"handle": API_VERSION}, **item.to_input()}
    return Actual.of(node | changes)


# -- what is wanted ----------------------------------------------------------------------------------------------------


def test_s134_everything_that_moves_an_order_is_wanted_and_understood() -> None:
    names = {item.topic for item in wanted(ADDRESS, SCOPES)}
    assert {"orders/paid", "orders/create", "orders/updated", "orders/edited", "orders/cancelled"} <= names
    assert {"refunds/create", "order_transactions/create", "app/uninstalled"} <= names
    assert {topic.name for topic in TOPICS} <= SUBSCRIBABLE & KNOWN
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


def test_narrowed_payloads_carry_updated_at_and_the_order() -> None:
    """Facts 3.2: without `updated_at` Shopify merges changes away; without the id nobody knows what it is about."""
    for item in wanted(ADDRESS, SCOPES, orders_filter="line_items.sku:A* AND test:false"):
        if item.include_fields:
            assert {"updated_at", order_key(item.topic)} <= set(item.include_fields)
            assert {"line_items.sku", "test"} <= set(item.include_fields)
            assert item.filter is not None
        else:
            assert item.filter is None
    assert not any(
        word in field for field in ORDER_FIELDS for word in ("email", "name", "address", "phone", "customer")
    )


def test_a_topic_without_its_scope_is_left_out_and_named() -> None:
    assert not [item for item in wanted(ADDRESS, SCOPES) if item.topic.startswith("disputes/")]
    assert left_out(SCOPES) == {"read_shopify_payments_disputes": ["disputes/create", "disputes/update"]}
    assert left_out(["write_orders", *SCOPES[1:], "read_shopify_payments_disputes"]) == {}
    assert {item.topic for item in wanted(ADDRESS, [])} == COMPLIANCE | {t.name for t in TOPICS if t.scope is None}


def test_the_privacy_topics_come_with_the_app_alone() -> None:
    assert {item.topic for item in wanted(ADDRESS, SCOPES) if item.compliance} == COMPLIANCE
    assert not [item for item in wanted(ADDRESS, SCOPES, kind="shop") if item.compliance]


def test_names_are_unique_and_those_of_a_shop_change_with_the_address() -> None:
    here, there = (wanted(uri, SCOPES, kind="shop") for uri in (ADDRESS, ADDRESS + "/2"))
    names = [item.name for item in (*here, *there, *wanted(ADDRESS, SCOPES)) if not item.compliance]
    assert len(set(names)) == len(names)


def test_what_the_file_brings_is_not_subscribed_in_the_shop_too() -> None:
    granted = [*SCOPES, "read_shopify_payments_disputes"]
    rest = beyond(wanted(ADDRESS, granted, kind="shop"), wanted(ADDRESS, SCOPES))
    assert {item.topic for item in rest} == {"disputes/create", "disputes/update"}


@pytest.mark.parametrize(
    "given",
    [
        {"topic": "orders/update"},
        {"topic": "transactions/create"},
        {"topic": "ORDERS_CREATE"},
        {"format": "YAML"},
        {"uri": "http://books.example/webhooks"},
        {"uri": "https://"},
        {"uri": "ftp://books.example"},
        {"uri": "https://user@books.example/webhooks"},
        {"uri": "https://[::1/webhooks"},
        {"uri": "pubsub://project"},
        {"name": "a b"},
        {"name": "a" * 51},
        {"include_fields": ("updatedAt",)},
        {"include_fields": ("line_items[0]",)},
        {"topic": "shop/redact", "filter": "id:*"},
        {"topic": "shop/redact", "format": "XML"},
    ],
)
def test_s15_what_shopify_would_not_take_does_not_exist(given: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        Subscription(**({"topic": "orders/create", "uri": ADDRESS} | given))
    assert refused.value.code == "SUBSCRIPTION"


def test_s94_a_filter_that_is_unclear_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Rejected) as refused:
        Subscription("orders/create", ADDRESS, "total_price>5")
    assert refused.value.code == "FILTER-SYNTAX"


@pytest.mark.parametrize(
    "uri",
    [
        "https://books.example/webhooks",
        "pubsub://project:topic",
        "arn:aws:events:eu-central-1::event-source/aws.partner/shopify.com/123/books",
        "http://127.0.0.1:8080/webhooks",
    ],
)
def test_addresses_shopify_or_a_stand_in_can_deliver_to(uri: str) -> None:
    assert address_problem(uri) is None


# -- there and back ----------------------------------------------------------------------------------------------------


def _some(rng: random.Random) -> Subscription:
    plain = rng.choice(sorted(SUBSCRIBABLE))
    fields = tuple(rng.sample(("updated_at", "id", "line_items.title", "total_price"), rng.randrange(4)))
    return Subscription(
        plain,
        rng.choice((ADDRESS, "pubsub://a:b", "https://x.example/ä?b=c")),
        rng.choice((None, 'name:"Größe \\" ß" AND -test:true', "note:'\U0001f9fc \n'")),
        fields,
        name=rng.choice((None, "a_b-C1")),
    )


def test_s15_object_to_graphql_input_and_back() -> None:
    rng = random.Random(15)
    for _ in range(200):
        item = replace(_some(rng), format=rng.choice(("JSON", "XML")), metafield_namespaces=("custom",))
        assert Subscription.from_input(item.enum, json.loads(json.dumps(item.to_input()))) == item
        assert actual(item).differs(item) == ()


def test_s15_s78_s130_object_to_toml_and_back_and_on_to_graphql() -> None:
    """Emitted, parsed by the standard library and by us; the same objects, hence the same GraphQL input."""
    rng = random.Random(78)
    for _ in range(100):
        drawn = {(item.topic, item.uri, item.filter): replace(item, name=None) for item in map(_some, [rng] * 12)}
        privacy = tuple(Subscription(topic, ADDRESS) for topic in sorted(COMPLIANCE))
        whole = app(subscriptions=(*drawn.values(), *privacy), name='Ä "\\\t', embedded=rng.random() < 0.5)
        text = emit(whole)
        found = tomllib.loads(text)
        assert found["name"] == whole.name
        errors = [
            item for item in lint(text) if item.severity == "error" and item.rule not in ("include-fields", "scope")
        ]
        assert errors == []
        entries = [
            Subscription(topic, entry["uri"], entry.get("filter"), tuple(entry.get("include_fields", ())))
            for entry in found["webhooks"]["subscriptions"]
            for topic in (*entry.get("topics", ()), *entry.get("compliance_topics", ()))
        ]
        assert entries == list(whole.subscriptions)
        assert [item.to_input() for item in entries] == [item.to_input() for item in whole.subscriptions]


@pytest.mark.parametrize("embedded", [True, False])
def test_s78_s130_our_own_file_parses_and_equals_the_desired_state(embedded: bool) -> None:
    whole = app(embedded=embedded, legacy_install=not embedded)
    text = emit(whole)
    assert parse(text) == whole
    assert lint(text) == []
    found = tomllib.loads(text)
    assert found["access_scopes"]["scopes"] == ",".join(SCOPES)
    assert found["access_scopes"]["optional_scopes"] == ["read_shopify_payments_disputes"]
    assert found["auth"]["redirect_urls"] == ["https://books.example/auth/callback"]
    assert found["webhooks"]["api_version"] == API_VERSION
    privacy = [entry for entry in found["webhooks"]["subscriptions"] if "compliance_topics" in entry]
    assert privacy == [{"compliance_topics": sorted(COMPLIANCE), "uri": ADDRESS}]


def test_a_file_may_hold_more_than_we_write_and_addresses_relative_to_the_app() -> None:
    text = emit(app()).replace(f'uri = "{ADDRESS}"', 'uri = "/webhooks"')
    text += "\n[build]\nautomatically_update_urls_on_dev = true\n[pos]\nembedded = false\n"
    assert parse(text) == app()


def test_what_a_file_cannot_say_is_not_written() -> None:
    for item in (
        Subscription("orders/paid", ADDRESS, format="XML"),
        Subscription("orders/paid", ADDRESS, metafield_namespaces=("custom",)),
    ):
        with pytest.raises(Rejected):
            emit(app(subscriptions=(item,)))


# -- lint --------------------------------------------------------------------------------------------------------------

_HEAD = """
client_id = "x"
name = "Books"
application_url = "https://books.example"
embedded = false
[access_scopes]
scopes = "read_orders"
[auth]
redirect_urls = ["https://books.example/auth/callback"]
"""
_PRIVACY = """
[[webhooks.subscriptions]]
compliance_topics = ["customers/data_request", "customers/redact", "shop/redact"]
uri = "/webhooks"
"""


def entry(**keys: Any) -> str:
    values = {"topics": ["orders/create"], "uri": "/webhooks"} | keys
    return "[[webhooks.subscriptions]]\n" + "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None
    )


def rules(text: str, head: str = _HEAD, privacy: str = _PRIVACY, version: str = API_VERSION) -> list[tuple[str, str]]:
    whole = f'{head}\n[webhooks]\napi_version = "{version}"\n{privacy}\n{text}'
    return [(item.rule, item.severity) for item in lint(whole, date(2026, 11, 22))]


def test_lint_finds_nothing_in_a_good_file() -> None:
    assert rules(entry()) == []
    assert rules(entry(filter="total_price:>100", include_fields=["id", "updated_at", "total_price"])) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"topics": ["transactions/create"]}, ("old-topic", "error")),  # E10
        ({"topics": ["orders/update"]}, ("old-topic", "error")),  # E11
        ({"topics": ["ORDERS_CREATE"]}, ("topic", "error")),
        ({"topics": ["Orders/Create"]}, ("topic", "error")),
        ({"topics": ["moon/landed"]}, ("topic", "error")),
        ({"topics": []}, ("topic", "error")),
        ({"topics": "orders/create"}, ("type", "error")),
        ({"topics": ["shop/redact"]}, ("compliance", "error")),
        ({"topics": None, "compliance_topics": ["shop/erase"]}, ("compliance", "error")),
        ({"topics": ["disputes/create"]}, ("scope", "error")),
        ({"fields": ["id"]}, ("key", "error")),
        ({"address": "https://books.example/webhooks"}, ("key", "error")),
        ({"callback_url": "https://books.example/webhooks"}, ("key", "error")),
        ({"topic": "orders/create"}, ("key", "error")),
        ({"includeFields": ["id"]}, ("key", "error")),
        ({"filters": "id:*"}, ("key", "error")),
        ({"format": "json"}, ("key", "error")),
        ({"sub_topic": "type:a"}, ("key", "error")),
        ({"include_fields": ["id", "total_price"]}, ("include-fields", "error")),
        ({"include_fields": ["updated_at", "total_price"]}, ("include-fields", "error")),
        ({"include_fields": ["id", "updated_at", "totalPrice"]}, ("include-fields", "error")),
        ({"include_fields": ["id", "updated_at"], "filter": "test:false"}, ("include-fields", "notice")),
        ({"filter": "total_price>100"}, ("filter", "error")),
        ({"filter": "test:true OR id:* AND id:1"}, ("filter", "error")),
        ({"filter": "displayFinancialStatus:paid"}, ("filter", "error")),
        ({"filter": "financial_status:PAID"}, ("filter", "error")),
        ({"filter": "total_price:0.00"}, ("filter", "notice")),
        ({"uri": "http://books.example/webhooks"}, ("uri", "error")),
        ({"uri": "http://127.0.0.1:8080/webhooks"}, ("uri", "error")),
        ({"uri": "books.example"}, ("uri", "error")),
        ({"uri": None}, ("uri", "error")),
        ({"name": "orders create"}, ("name", "error")),
    ],
)
def test_s78_lint_flags(keys: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in rules(entry(**keys))
    assert len(rules(entry(**keys))) <= 2


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("", {"privacy": ""}, ("compliance", "error")),
        ("", {"privacy": _PRIVACY * 2}, ("compliance", "error")),
        (
            "",
            {"privacy": _PRIVACY + '[webhooks.privacy_compliance]\nshop_deletion_url = "/x"\n'},
            ("compliance", "error"),
        ),
        ("", {"version": "latest"}, ("api-version", "error")),  # S157
        ("", {"version": "unstable"}, ("api-version", "error")),
        ("", {"version": "2023-10"}, ("api-version", "error")),  # E5
        ("", {"version": "2026-07"}, ("api-version", "notice")),
        (entry() + entry(), {}, ("double", "error")),
        (entry() + entry(filter="test:true"), {}, ("double", "notice")),
        (entry(name="a") + entry(topics=["orders/paid"], name="a"), {}, ("name", "error")),
        ("", {"head": _HEAD.replace("read_orders", "read_orders,read_refunds")}, ("scope", "error")),  # E12
        ("", {"head": _HEAD.replace("read_orders", "read_orders,read_transactions")}, ("scope", "error")),
        ("", {"head": _HEAD.replace("read_orders", "orders")}, ("scope", "error")),
        ("", {"head": _HEAD.replace("https://books.example/auth", "http://books.example/auth")}, ("redirect", "error")),
        ("", {"head": _HEAD.split("[auth]")[0]}, ("redirect", "error")),
        ("", {"head": _HEAD.replace('"https://books.example"', '"http://books.example"')}, ("uri", "error")),
        ("", {"head": _HEAD.replace('client_id = "x"', "")}, ("type", "error")),
        ("", {"head": _HEAD.replace("[access_scopes]", "[access_scopes]\nscope = 1")}, ("key", "error")),
    ],
)
def test_lint_flags_what_no_entry_shows_alone(text: str, changes: dict[str, str], expected: tuple[str, str]) -> None:
    assert expected in rules(text, **changes)


def test_lint_never_raises_on_a_file_of_the_wrong_shape() -> None:
    for text in (
        "x",
        "webhooks = 1",
        "[webhooks]\nsubscriptions = 1",
        "auth = 2\naccess_scopes = 3",
        "\x00",
        "[[webhooks]]",
    ):
        assert lint(text, date(2026, 11, 22))
    with pytest.raises(Rejected) as refused:
        parse(emit(app()).replace("orders/updated", "orders/update"))
    assert refused.value.code == "APP-CONFIG"


# -- what has to change ------------------------------------------------------------------------------------------------


def one(topic: str = "orders/paid", **given: Any) -> Subscription:
    return Subscription(topic, given.pop("uri", ADDRESS), **given)


def verbs(want: list[Subscription], have: list[Actual]) -> list[tuple[str, str]]:
    return [(change.verb, change.topic) for change in changes(want, have)]


def test_s16_nothing_changes_where_all_is_as_wanted() -> None:
    want = wanted(ADDRESS, SCOPES, kind="shop")
    have = [actual(item, str(number)) for number, item in enumerate(want)]
    random.Random(1).shuffle(have)
    assert changes(want, have) == ()
    assert changes([], []) == ()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"filter": "test:true"}, "filter"),
        ({"includeFields": ["id"]}, "include_fields"),
        ({"metafieldNamespaces": ["x"]}, "metafield_namespaces"),
        ({"format": "XML"}, "format"),
        ({"name": None}, "name"),
    ],
)
def test_re_registration_updates_what_changed(changed: dict[str, Any], field: str) -> None:
    """Facts 7.3: changed fields, filter and metafields are an update, by id."""
    item = one(name="paid", include_fields=("id", "updated_at"))
    (change,) = changes([item], [actual(item, "7", **changed)])
    assert (change.verb, change.fields) == ("update", (field,))
    assert change.actual is not None and change.actual.id == "7"
    assert field in change.sentence


def test_re_registration_ignores_order_and_empty_filters() -> None:
    item = one(include_fields=("id", "updated_at"))
    assert changes([item], [actual(item, includeFields=["updated_at", "id"], filter="")]) == ()


def test_re_registration_replaces_on_a_changed_address() -> None:
    """Facts 7.3: created at the new address first, then the old one deleted; nothing is lost between."""
    assert verbs([one()], [actual(one(uri="https://old.example/webhooks"))]) == [("replace", "orders/paid")]


def test_stale_subscriptions_are_deleted_and_doubles_named() -> None:
    other = one("orders/create")
    have = [actual(one(), "1"), actual(one(uri="https://old.example"), "2"), actual(other, "3")]
    found = changes([one()], have)
    assert [(c.verb, c.actual.id if c.actual else "") for c in found] == [("delete", "3"), ("delete", "2")]
    assert "wanted by nobody" in found[0].sentence and "second time" in found[1].sentence


def test_compliance_topics_are_never_registered_by_the_api() -> None:
    """Facts 3.6, 7.3: they are not in the enum."""
    assert verbs(list(wanted(ADDRESS, SCOPES)), []) == [
        ("create", item.topic) for item in wanted(ADDRESS, SCOPES) if not item.compliance
    ]


def test_what_shopify_has_is_read_even_where_we_would_not_make_it() -> None:
    have = Actual.of({"id": "1", "topic": "SOMETHING_NEW", "uri": "http://old.example", "filter": "a>b"})
    assert (have.topic, have.filter) == ("SOMETHING_NEW", "a>b")
    assert verbs([], [have]) == [("delete", "SOMETHING_NEW")]
