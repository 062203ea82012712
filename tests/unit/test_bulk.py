"""Exports of orders: what Shopify's side refuses and writes, and what ours reads and proves (facts 2.8; S104, B10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from graphql import parse, print_ast

from ladenbuch.cli.planning import DEFAULT_PROFILE
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import plan
from ladenbuch.domain.preview import preview_of
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import bulk
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, Shop, ShopifySimulator
from ladenbuch.simulators.shopify.bulk_query import read as read_query
from ladenbuch.simulators.shopify.simulator import executable_schema

SHOP = "seifenladen.myshopify.com"
END = datetime(2026, 11, 22, 10, tzinfo=UTC)
SINCE = END - timedelta(days=30)
LIVES = 24
START = bulk.Place()


class World:
    """A shop with a month of orders, a clock moved by hand, and our client."""

    def __init__(self, scopes: tuple[str, ...] = DEFAULT_SCOPES, version: str = "2026-10", lives: int = LIVES) -> None:
        self.now = END
        self.shopify = ShopifySimulator(
            lambda: self.now, client_secret="geheim", shops=[Shop(SHOP, client_id="app", scopes=scopes)]
        )
        self.shopify.load(generate(5, lives, shop=SHOP, mix="wide", end=END, span=timedelta(days=20)))
        self.shopify.advance(END)
        self.http = httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.shopify)]))
        grant = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "geheim"}
        told = self.http.post(f"http://shopify.test/{SHOP}/admin/oauth/access_token", json=grant).json()
        self.token = told["access_token"]
        self.admin = Admin(
            SHOP,
            "http://shopify.test/{shop}",
            lambda: self.token,
            self.http,
            sleep=self.sleep,
            clock=lambda: self.now,
            version=version,
        )

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run(self, query: str, grouped: bool = True) -> dict[str, Any]:
        asked = "mutation R($q: String!, $g: Boolean!) { bulkOperationRunQuery(query: $q, groupObjects: $g) { "
        asked += "bulkOperation { id status } userErrors { code field message } } }"
        body = {"query": asked, "variables": {"q": query, "g": grouped}}
        address = f"http://shopify.test/{SHOP}/admin/api/{self.admin.version}/graphql.json"
        answer = self.http.post(address, json=body, headers={"X-Shopify-Access-Token": self.token}).json()
        return dict(answer["data"]["bulkOperationRunQuery"])

    def exported(self, query: str | None = None) -> bulk.Export:
        id = bulk.begin(self.admin.execute, query or bulk.query_of("orders", SINCE, END))
        return bulk.wait(self.admin.execute, id, self.sleep, lambda: 0.5, 3600.0)

    def orders(self, export: bulk.Export, start: bulk.Place = START) -> list[bulk.Exported]:
        return list(bulk.read(self.admin.open_file, export, start))


@pytest.fixture(scope="module")
def world() -> World:
    return World()


# -- what may be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ orders { nodes { id } } }", "All connection fields"),
        ("{ shop { id } }", "at least one connection"),
        ('{ node(id: "gid://shopify/Order/1") { id } }', "top level `node`"),
        ("mutation { tagsAdd(id: 1, tags: []) { node { id } } }", "Only `query` operations"),
        ("{ orders { edges { node { name lineItems { edges { node { id } } } } } } }", "without 'id': orders"),
        (
            "{ orders { edges { node { id refunds { refundLineItems { edges { node { quantity } } } } } } } }",
            "within a list field",
        ),
        (
            "{ orders { edges { node { id "
            + " ".join(f"a{number}: lineItems {{ edges {{ node {{ id }} }} }}" for number in range(5))
            + " } } } }",
            "more than 5",
        ),
        ("{ orders { edges { node { id nothing } } } }", "Invalid bulk query"),
        ('{ orders(query: "' + "x" * 65_536 + '") { edges { node { id } } } }', "too large"),
    ],
)
def test_what_an_export_may_not_ask_is_refused(query: str, said: str, world: World) -> None:
    made = world.run(query)
    assert made["bulkOperation"] is None
    assert {error["code"] for error in made["userErrors"]} == {"INVALID"}
    assert any(said in error["message"] for error in made["userErrors"])


def test_our_exports_are_within_the_rules_and_without_fragments() -> None:
    for kind in ("orders", "heads"):
        text = bulk.query_of(kind, SINCE, END)  # type: ignore[arg-type]
        assert not isinstance(read_query(executable_schema(), text), list)
        assert len(text) < 20_000
        assert "fragment" not in text
        assert "processed_at:>='2026-10-23T10:00:00Z'" in print_ast(parse(text))


def test_the_ledger_may_be_refused_and_the_code_says_so() -> None:
    """Spring 2026: the parent of a nested connection had to be a Node, and agreements are none."""
    world = World(lives=1)
    world.shopify.bulk_nodes_only()
    with pytest.raises(Rejected, match=r"BULK-REFUSED: .*agreements"):
        bulk.begin(world.admin.execute, bulk.query_of("orders", SINCE, END))
    export = world.exported(bulk.query_of("heads", SINCE, END))
    assert [bulk.needs(one.raw) for one in world.orders(export)] == ["heads-only"]


# -- what is written -----------------------------------------------------------------------------------------------


def test_s104_lines_are_what_the_api_says_of_each_order(world: World) -> None:
    """Every order once, its lines and ledger as when it is read by itself, children behind it and in their order."""
    export = world.exported()
    assert export.state == "done"
    lines = [json.loads(line) for line in _file(world, export).splitlines()]
    assert len(lines) == export.objects > 5 * LIVES
    roots = [line for line in lines if "__parentId" not in line]
    assert len(roots) == export.roots == LIVES
    assert [line["processedAt"] for line in roots] == sorted(line["processedAt"] for line in roots)
    ids = {line["id"] for line in lines if "id" in line}
    assert all(line.get("__parentId", line["id"]) in ids for line in lines)
    for root in roots[:15]:
        order = world.admin.fetch_order(root["id"])
        assert order.envelope["order"]["totalTaxSet"] == root["totalTaxSet"]
        mine = [line for line in lines if line.get("__parentId") == root["id"]]
        told = [line["id"] for line in mine if line["__typename"] == "LineItem"]
        assert told == [line["id"] for line in order.envelope["order"]["lineItems"]]
        ledger = [line["id"] for line in mine if line["__typename"].endswith("Agreement")]
        assert ledger == [one["id"] for one in order.envelope["agreements"]]
        sales = [line["id"] for line in lines if line.get("__parentId") in ledger]
        assert sales == [sale["id"] for one in order.envelope["agreements"] for sale in one["sales"]]


def test_s104_an_exported_order_is_planned_like_the_same_order_read_by_itself(world: World) -> None:
    """The fingerprint of a plan does not depend on how the order was read, unless the export says what it lacks."""
    compared, reasons = 0, set[str]()
    for one in world.orders(world.exported()):
        why = bulk.needs(one.raw)
        if why is not None:
            reasons.add(why)
            continue
        alone = world.admin.fetch_order(one.id).order
        assert alone is not None
        assert _preview(order_from_envelope(one.envelope())) == _preview(alone)
        compared += 1
    assert compared >= LIVES // 2
    assert reasons <= {"refunds", "payment-terms", "gift-cards"}


def _preview(order: Order) -> Any:
    made = plan(facts_of(order), Books(), [DEFAULT_PROFILE], END)
    return preview_of(order, made, Books(), [DEFAULT_PROFILE], END)


def _file(world: World, export: bulk.Export) -> bytes:
    assert export.url is not None
    with world.admin.open_file(export.url, 0) as pieces:
        return b"".join(pieces)


# -- how it goes ---------------------------------------------------------------------------------------------------


def test_an_export_is_waited_for_ever_less_often_and_found_again() -> None:
    world = World(lives=3)
    world.shopify.bulk_trouble(SHOP, slow=300.0)
    query = bulk.query_of("orders", SINCE, END)
    first = bulk.begin(world.admin.execute, query)
    assert bulk.look(world.admin.execute, first).state == "running"
    assert bulk.begin(world.admin.execute, query) == first, "its answer may have been lost: it is not begun twice"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.sleep(seconds)

    assert bulk.wait(world.admin.execute, first, sleep, lambda: 0.0, 3600.0).state == "done"
    assert slept == sorted(slept)
    assert max(slept) <= bulk.LAST_LOOK
    assert len(slept) < 15
    assert len(world.shopify.bulk_operations(SHOP)) == 1


def test_five_exports_at_a_time_and_one_on_older_versions() -> None:
    world = World(lives=1)
    for number in range(5):
        world.shopify.bulk_trouble(SHOP, slow=1e6)
        assert bulk.begin(world.admin.execute, bulk.query_of("heads", SINCE - timedelta(days=number), END))
    with pytest.raises(Retryable, match="BULK-BUSY"):
        bulk.begin(world.admin.execute, bulk.query_of("heads", SINCE - timedelta(days=9), END))
    old = World(lives=1)
    old.admin.version = "2025-10"
    old.shopify.bulk_trouble(SHOP, slow=1e6)
    old.shopify._versions = ("2025-10", "2026-10")
    assert old.run("{ orders { edges { node { id } } } }")["bulkOperation"]
    refused = old.run("{ orders { edges { node { id } } } }")["userErrors"]
    assert [error["code"] for error in refused] == ["OPERATION_IN_PROGRESS"]


def test_an_export_can_be_cancelled() -> None:
    world = World(lives=3)
    world.shopify.bulk_trouble(SHOP, slow=1e6)
    id = bulk.begin(world.admin.execute, bulk.query_of("orders", SINCE, END))
    bulk.cancel(world.admin.execute, id)
    assert bulk.look(world.admin.execute, id).state == "gone"
    assert world.shopify.bulk_operations(SHOP)[0]["status"] == "CANCELED"
    bulk.cancel(world.admin.execute, id)  # what has ended stays as it is
    assert bulk.look(world.admin.execute, "gid://shopify/BulkOperation/1").state == "gone"


def test_a_failed_export_gives_nothing_and_says_whether_less_may_help() -> None:
    world = World(lives=5)
    world.shopify.bulk_trouble(SHOP, fail_after=2, error="TIMEOUT")
    export = world.exported()
    assert (export.state, export.error, export.url, export.split) == ("failed", "TIMEOUT", None, True)
    assert world.shopify.bulk_operations(SHOP)[0]["partialDataUrl"] is not None


def test_an_empty_export_has_no_file_and_is_proven_all_the_same() -> None:
    world = World(lives=1)
    export = world.exported(bulk.query_of("orders", SINCE - timedelta(days=99), SINCE - timedelta(days=98)))
    assert (export.state, export.url, export.objects) == ("done", None, 0)
    assert world.orders(export) == []


def test_without_the_scope_an_export_says_so() -> None:
    world = World(scopes=("read_products",), lives=1)
    with pytest.raises(Rejected, match="SHOPIFY-SCOPE"):
        world.exported()
    world = World(scopes=("read_orders", "read_all_orders"), lives=2)
    with pytest.raises(Rejected, match="SHOPIFY-SCOPE"):
        world.exported()  # the customer is behind a scope of its own


def test_s103_older_orders_are_not_exported_without_read_all_orders() -> None:
    world = World(scopes=tuple(one for one in DEFAULT_SCOPES if one != "read_all_orders"), lives=4)
    world.now = END + timedelta(days=70)
    grant = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "geheim"}
    told = world.http.post(f"http://shopify.test/{SHOP}/admin/oauth/access_token", json=grant).json()
    world.token = told["access_token"]
    assert world.exported().roots == 0


def test_the_end_of_an_export_is_told() -> None:
    world = World(lives=2)
    world.shopify.set_webhooks("https://books.example/webhooks", ("bulk_operations/finish",))
    world.exported()
    (delivery,) = [one for one in world.shopify.due_deliveries(world.now) if one.topic == "bulk_operations/finish"]
    told = json.loads(delivery.body)
    assert (told["status"], told["type"], told["error_code"]) == ("completed", "query", None)
    assert "url" not in told


# -- reading under trouble -----------------------------------------------------------------------------------------


def test_b10_a_cut_file_goes_on_where_it_broke_off(world: World) -> None:
    calm = [one.raw for one in world.orders(world.exported())]
    rainy = World()
    rainy.shopify.bulk_trouble(SHOP, cut=40_000, cuts=2)
    assert [one.raw for one in rainy.orders(rainy.exported())] == calm


def test_b10_a_file_that_keeps_breaking_off_is_given_up() -> None:
    world = World(lives=10)
    world.shopify.bulk_trouble(SHOP, cut=20_000, cuts=-1)
    with pytest.raises(Retryable, match="BULK-CUT"):
        world.orders(world.exported())


@pytest.mark.parametrize("lost", [1, 3, 60])
def test_b10_lines_that_are_missing_fail_the_count(lost: int) -> None:
    world = World(lives=10)
    world.shopify.bulk_trouble(SHOP, lose=lost)
    export = world.exported()
    seen: list[bulk.Exported] = []
    with pytest.raises(Retryable, match="BULK-INCOMPLETE") as caught:
        seen.extend(bulk.read(world.admin.open_file, export))
    assert caught.value.detail["objects"] == export.objects


def test_reading_goes_on_from_any_order(world: World) -> None:
    export = world.exported()
    whole = world.orders(export)
    for index in (0, 1, 17, len(whole) - 1):
        rest = world.orders(export, whole[index].behind)
        assert [one.raw for one in rest] == [one.raw for one in whole[index + 1 :]]


def test_a_file_that_is_not_grouped_is_refused() -> None:
    world = World(lives=10)
    made = world.run(bulk.query_of("orders", SINCE, END), grouped=False)
    export = bulk.wait(world.admin.execute, made["bulkOperation"]["id"], world.sleep, lambda: 0.5, 60.0)
    with pytest.raises(Retryable, match="not grouped"):
        world.orders(export)


def test_no_more_than_an_order_is_held() -> None:
    """S104: pieces are asked for one by one, and an order is handed out before the next one's bytes are needed."""
    asked: list[int] = []
    orders = [_lines_of(number) for number in range(50)]

    @contextmanager
    def opened(url: str, start: int) -> Iterator[Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            for number, lines in enumerate(orders):
                asked.append(number)
                yield lines

        yield pieces()

    size = sum(map(len, orders))
    export = bulk.Export("x", "done", "COMPLETED", None, 100, 50, size, "https://storage.googleapis.com/x")
    for number, one in enumerate(bulk.read(opened, export)):
        assert one.id.endswith(f"/{number}")
        assert len(asked) <= number + 2


def _lines_of(number: int) -> bytes:
    order = {"__typename": "Order", "id": f"gid://shopify/Order/{number}"}
    line = {"__typename": "LineItem", "id": f"gid://shopify/LineItem/{number}", "__parentId": order["id"]}
    return b"".join(json.dumps(row).encode() + b"\n" for row in (order, line))


def test_no_token_goes_to_the_file_and_no_file_from_elsewhere(world: World) -> None:
    world.exported()
    _file(world, world.exported())
    assert world.shopify.stats()["bulk_leaks"] == 0
    for address in ("https://evil.example/x", "http://storage.googleapis.com/x", "https://shopify.com.evil.example/"):
        with pytest.raises(Rejected, match="BULK-ADDRESS"), world.admin.open_file(address, 0):
            pass


def test_an_address_expires_after_seven_days() -> None:
    world = World(lives=2)
    export = world.exported()
    world.now += timedelta(days=7)
    with pytest.raises(Retryable, match="BULK-EXPIRED"):
        world.orders(export)
