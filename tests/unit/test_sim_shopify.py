"""The Shopify simulator's Admin API: documents, paging, scopes, cost, write-back (facts/shopify.md 2, 5)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, print_ast, separate_operations

from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES, Shop, ShopifySimulator
from ladenbuch.simulators.shopify.cost import page_factor
from ladenbuch.simulators.shopify.schema import Compiled, compile_document

SHOP = "seifenladen.myshopify.com"
ORDER = "gid://shopify/Order/1000"
DOCUMENTS = {
    name: print_ast(document)
    for name, document in separate_operations(
        parse((Path(__file__).resolve().parents[2] / "tools" / "admin_documents.graphql").read_text())
    ).items()
}


def bag(amount: str) -> dict[str, Any]:
    money = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": money, "presentmentMoney": money}


TAX = {"title": "MwSt", "rate": 0.19, "ratePercentage": 19.0, "channelLiable": False, "priceSet": bag("3.80")}


def snapshot(number: int, *, lines: int = 2, updated: str = "2026-11-22T09:00:00Z", **more: Any) -> dict[str, Any]:
    items = [
        {
            "id": f"gid://shopify/LineItem/{number}{i}",
            "name": f"Seife {i}",
            "title": f"Seife {i}",
            "quantity": 2,
            "currentQuantity": 2,
            "originalTotalSet": bag("23.80"),
            "taxLines": [TAX],
            "product": {"id": "gid://shopify/Product/7"},
        }
        for i in range(lines)
    ]
    sales = [
        {
            "__typename": "ProductSale",
            "id": f"gid://shopify/Sale/{number}{i}",
            "actionType": "ORDER",
            "lineType": "PRODUCT",
            "quantity": 2,
            "totalAmount": bag("23.80"),
            "totalTaxAmount": bag("3.80"),
            "totalDiscountAmountBeforeTaxes": bag("0.00"),
            "totalDiscountAmountAfterTaxes": bag("0.00"),
            "taxes": [{"id": f"gid://shopify/SaleTax/{number}{i}", "amount": bag("3.80"), "taxLine": TAX}],
            "lineItem": {"id": item["id"]},
        }
        for i, item in enumerate(items)
    ]
    total = bag(f"{lines * 2380 / 100:.2f}")
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": "2026-11-22T09:00:00Z",
        "processedAt": "2026-11-22T09:00:00Z",
        "updatedAt": updated,
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "EUR",
        "displayFinancialStatus": "PENDING",
        "taxesIncluded": True,
        "originalTotalPriceSet": total,
        "currentTotalPriceSet": total,
        "totalOutstandingSet": total,
        "totalReceivedSet": bag("0.00"),
        "customer": {"id": "gid://shopify/Customer/5", "displayName": "Erika Muster"},
        "lineItems": items,
        "agreements": [
            {
                "__typename": "OrderAgreement",
                "id": f"gid://shopify/SalesAgreement/{number}",
                "happenedAt": "2026-11-22T09:00:00Z",
                "reason": "ORDER",
                "sales": sales,
            }
        ],
        "transactions": [
            {
                "id": f"gid://shopify/OrderTransaction/{number}",
                "kind": "SALE",
                "status": "PENDING",
                "gateway": "bank_deposit",
                "manualPaymentGateway": True,
                "amountSet": total,
                "createdAt": "2026-11-22T09:00:00Z",
                "processedAt": "2026-11-22T09:00:00Z",
                "test": False,
            }
        ],
        **more,
    }


def life(shot: dict[str, Any], *later: dict[str, Any], topics: tuple[str, ...] = ("orders/create",)) -> dict[str, Any]:
    events = [
        {"at": f"2026-11-22T09:{i:02d}:00Z", "topics": list(topics), "snapshot": s}
        for i, s in enumerate((shot, *later))
    ]
    return {"order_id": shot["id"], "name": shot["name"], "shop": SHOP, "label": {}, "events": events}


class World:
    """A simulator, a clock that is moved by hand, and a token."""

    def __init__(
        self, *lives: dict[str, Any], scopes: tuple[str, ...] = DEFAULT_SCOPES, plan: str = "standard"
    ) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)
        shop = Shop(SHOP, client_id="app", scopes=scopes, plan=plan)
        self.sim = ShopifySimulator(lambda: self.now, client_secret="geheim", shops=[shop])
        self.sim.load(lives or (life(snapshot(1000)),))
        self.sim.advance(self.now)
        grant = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "geheim"}
        self.token = self.post(f"/{SHOP}/admin/oauth/access_token", grant)["access_token"]
        self.headers: dict[str, str] = {}

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> dict[str, Any]:
        sent = {"content-type": "application/json", **(headers or {})}
        answer = self.sim.handle(SimRequest("POST", path, [], sent, json.dumps(body).encode()))
        self.status, self.headers = answer.status, answer.headers
        return json.loads(answer.body)

    def query(self, text: str, version: str = "2026-10", debug: bool = False, **variables: Any) -> dict[str, Any]:
        headers = {"x-shopify-access-token": self.token}
        if debug:
            headers["shopify-graphql-cost-debug"] = "1"
        body = {"query": DOCUMENTS.get(text, text), "variables": variables}
        return self.post(f"/{SHOP}/admin/api/{version}/graphql.json", body, headers)


# --- documents --------------------------------------------------------------------------------------------------

VARIABLES = {
    "id": ORDER,
    "query": "updated_at:>='2026-11-01T00:00:00Z' AND updated_at:<'2026-12-01T00:00:00Z'",
    "q": "name:'#1000'",
    "key": "k",
    "value": "v",
    "ids": [ORDER, "gid://shopify/Order/1"],
    "after": None,
}
READS = [n for n in DOCUMENTS if "mutation" not in DOCUMENTS[n] and n not in ("OrderLinesPage", "RefundDetail")]


@pytest.mark.parametrize("name", READS)
def test_every_read_document_is_answered_without_errors(name: str) -> None:
    """Facts 2.1-2.7, 2.9: sparse snapshots answer with null, empty lists and zero money, never with an error."""
    answer = World(scopes=(*DEFAULT_SCOPES, *PAYMENT_SCOPES)).query(name, **VARIABLES)
    assert "errors" not in answer
    assert answer["data"] is not None


def test_the_order_is_the_snapshot_with_lists_as_connections() -> None:
    """Facts 2.2, 2.5: nodes, edges, page info, abstract types by name, stubs completed."""
    world = World()
    order = world.query("OrderForInvoice", id=ORDER)["data"]["order"]
    assert order["legacyResourceId"] == "1000"
    assert [n["title"] for n in order["lineItems"]["nodes"]] == ["Seife 0", "Seife 1"]
    assert order["shippingLines"] == {"nodes": []}
    assert order["canMarkAsPaid"] is True
    agreements = world.query("OrderLedger", id=ORDER)["data"]["order"]["agreements"]
    sale = agreements["edges"][0]["node"]["sales"]["nodes"][1]
    assert sale["__typename"] == "ProductSale"
    assert sale["taxes"][0]["taxLine"]["rate"] == 0.19
    text = (
        "query Q($id: ID!) { order(id: $id) { agreements(first: 1) { nodes { sales(first: 1) "
        "{ nodes { ... on ProductSale { lineItem { title } } } } } } } }"
    )
    answer = world.query(text, id=ORDER)
    assert answer["data"]["order"]["agreements"]["nodes"][0]["sales"]["nodes"][0]["lineItem"]["title"] == "Seife 0"


def test_a_refund_knows_its_order_and_its_full_lines_and_transactions() -> None:
    """Facts 2.4: refund lines and transactions are stubs in the order, whole in the answer."""
    shot = snapshot(1000)
    shot["transactions"].append(
        {
            "id": "gid://shopify/OrderTransaction/77",
            "kind": "REFUND",
            "status": "SUCCESS",
            "gateway": "shopify_payments",
            "amountSet": bag("11.90"),
            "processedAt": "2026-11-22T09:30:00Z",
            "test": False,
        }
    )
    shot["refunds"] = [
        {
            "id": "gid://shopify/Refund/9",
            "createdAt": "2026-11-22T09:30:00Z",
            "processedAt": "2026-11-22T09:30:00Z",
            "updatedAt": "2026-11-22T09:30:00Z",
            "totalRefundedSet": bag("11.90"),
            "refundLineItems": [
                {"quantity": 1, "restockType": "RETURN", "lineItem": {"id": shot["lineItems"][1]["id"]}}
            ],
            "transactions": [{"id": "gid://shopify/OrderTransaction/77"}],
        }
    ]
    refund = World(life(shot)).query("RefundDetail", id="gid://shopify/Refund/9")["data"]["refund"]
    assert refund["order"]["name"] == "#1000"
    assert refund["refundLineItems"]["nodes"][0]["lineItem"]["title"] == "Seife 1"
    assert refund["transactions"]["nodes"][0]["kind"] == "REFUND"


def test_a_discount_allocation_finds_its_application_by_index() -> None:
    """Facts 2.2: allocations name an application by index; applications have no id."""
    shot = snapshot(1000)
    shot["discountApplications"] = [
        {"__typename": "ManualDiscountApplication", "index": 0, "title": "Kulanz"},
        {"__typename": "DiscountCodeApplication", "index": 1, "code": "HERBST"},
    ]
    shot["lineItems"][0]["discountAllocations"] = [
        {"allocatedAmountSet": bag("3.00"), "discountApplication": {"index": 1}}
    ]
    text = (
        "query Q($id: ID!) { order(id: $id) { lineItems(first: 1) { nodes { discountAllocations "
        "{ discountApplication { __typename index ... on DiscountCodeApplication { code } } } } } } }"
    )
    line = World(life(shot)).query(text, id=ORDER)["data"]["order"]["lineItems"]["nodes"][0]
    found = {"__typename": "DiscountCodeApplication", "index": 1, "code": "HERBST"}
    assert line["discountAllocations"] == [{"discountApplication": found}]


def test_unknown_things_are_null_and_unknown_fields_are_errors() -> None:
    """Facts 1.1: `financialStatus` does not exist; an unknown order is null without an error."""
    world = World()
    answer = world.query("OrderRefunds", id="gid://shopify/Order/1")
    assert answer["data"]["order"] is None
    assert "errors" not in answer
    assert "data" not in world.query("{ order(id: 1) { financialStatus } }")
    assert world.status == 200
    nodes = world.query("OrdersByIds", ids=[ORDER, "gid://shopify/Order/1"])["data"]["nodes"]
    assert [n and n["name"] for n in nodes] == ["#1000", None]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"query": 1}', b'{"query": "{"}', b'{"query":"{a}","variables":[]}', b"\xff"]
)
def test_bad_bodies_are_answered_not_raised(body: bytes) -> None:
    world = World()
    headers = {"x-shopify-access-token": world.token}
    answer = world.sim.handle(SimRequest("POST", f"/{SHOP}/admin/api/2026-10/graphql.json", [], headers, body))
    assert "errors" in json.loads(answer.body)
    assert answer.status in (200, 400)


# --- paging -----------------------------------------------------------------------------------------------------


def orders_page(world: World, after: str | None, query: str = "", first: int = 2, **more: Any) -> dict[str, Any]:
    text = (
        "query Q($after: String, $query: String, $first: Int, $reverse: Boolean) {"
        "orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT, reverse: $reverse)"
        "{ nodes { name updatedAt } pageInfo { hasNextPage endCursor } } }"
    )
    return world.query(text, after=after, query=query, first=first, **more)["data"]["orders"]


def walk(world: World, **more: Any) -> list[str]:
    names: list[str] = []
    after: str | None = None
    while True:
        page = orders_page(world, after, **more)
        names += [n["name"] for n in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return names
        after = page["pageInfo"]["endCursor"]


def test_orders_page_by_update_time_and_a_tie_neither_skips_nor_repeats() -> None:
    """Facts 2.7: sort by UPDATED_AT; several orders of one second lie across a page boundary."""
    same = [life(snapshot(n, updated="2026-11-22T09:00:00Z")) for n in (1003, 1001, 1002, 1005, 1004)]
    world = World(*same, life(snapshot(1006, updated="2026-11-22T08:00:00Z")))
    assert walk(world) == ["#1006", "#1001", "#1002", "#1003", "#1004", "#1005"]
    assert walk(world, reverse=True) == ["#1005", "#1004", "#1003", "#1002", "#1001", "#1006"]


def test_a_touched_order_moves_to_the_end_and_no_other_order_is_lost() -> None:
    """Facts 2.7: an order may move between pages; everything else is still seen exactly once."""
    world = World(*(life(snapshot(n, updated=f"2026-11-22T09:0{n - 1000}:00Z")) for n in range(1000, 1006)))
    first = orders_page(world, None)
    world.sim.touch("gid://shopify/Order/1000")
    rest = []
    after = first["pageInfo"]["endCursor"]
    while after:
        page = orders_page(world, after)
        rest += [n["name"] for n in page["nodes"]]
        after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
    assert rest == ["#1002", "#1003", "#1004", "#1005", "#1000"]


def test_the_search_bounds_are_half_open_and_terms_are_anded() -> None:
    """Facts 2.7: updated_at >= and <, name, id ranges; unknown fields are ignored with a warning."""
    world = World(*(life(snapshot(n, updated=f"2026-11-22T09:0{n - 1000}:00Z")) for n in range(1000, 1006)))
    window = "updated_at:>='2026-11-22T09:01:00Z' AND updated_at:<'2026-11-22T09:03:00Z'"
    assert walk(world, query=window) == ["#1001", "#1002"]
    assert walk(world, query=f"{window} name:#1002") == ["#1002"]
    assert walk(world, query="id:>1003") == ["#1004", "#1005"]
    answer = world.query("query Q($q: String) { orders(first: 9, query: $q) { nodes { id } } }", q="nonsense:1")
    assert len(answer["data"]["orders"]["nodes"]) == 6
    assert answer["extensions"]["search"][0]["warnings"][0]["field"] == "nonsense"


def test_nested_connections_page_forwards_and_backwards() -> None:
    world = World(life(snapshot(1000, lines=5)))
    text = (
        "query Q($id: ID!, $f: Int, $l: Int, $a: String, $b: String) { order(id: $id) {"
        "lineItems(first: $f, last: $l, after: $a, before: $b)"
        "{ nodes { title } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } }"
    )

    def page(**v: Any) -> Any:
        return world.query(text, id=ORDER, **v)["data"]["order"]["lineItems"]

    one = page(f=2)
    two = page(f=2, a=one["pageInfo"]["endCursor"])
    three = page(f=2, a=two["pageInfo"]["endCursor"])
    assert [n["title"][-1] for p in (one, two, three) for n in p["nodes"]] == list("01234")
    assert [p["pageInfo"]["hasNextPage"] for p in (one, two, three)] == [True, True, False]
    back = page(l=2, b=three["pageInfo"]["startCursor"])
    assert [n["title"][-1] for n in back["nodes"]] == list("23")
    assert back["pageInfo"]["hasPreviousPage"] is True


@pytest.mark.parametrize("args", ["", "(first: 0)", "(first: 251)", "(first: 1, last: 1)", '(first: 1, after: "x")'])
def test_a_connection_without_a_sensible_page_is_refused(args: str) -> None:
    answer = World().query(f'{{ order(id: "{ORDER}") {{ lineItems{args} {{ nodes {{ id }} }} }} }}')
    assert answer["errors"]
    assert answer["data"]["order"] is None


# --- scopes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("read_customers", ["order", "customer"]),
        ("read_customers", ["order", "purchasingEntity"]),
        ("read_payment_terms", ["order", "paymentTerms"]),
        ("read_products", ["order", "lineItems", "nodes", 0, "product"]),
    ],
)
def test_a_field_without_its_scope_is_null_with_an_error_and_the_rest_stays(scope: str, path: list[Any]) -> None:
    """Facts section 2: partial data is kept, the error names the path and ACCESS_DENIED."""
    world = World(scopes=tuple(s for s in DEFAULT_SCOPES if s != scope))
    answer = world.query("OrderForInvoice", id=ORDER)
    errors = {json.dumps(e["path"]): e["extensions"]["code"] for e in answer["errors"]}
    assert errors[json.dumps(path)] == "ACCESS_DENIED"
    assert answer["data"]["order"]["name"] == "#1000"
    value: Any = answer["data"]
    for key in path:
        value = value[key]
    assert value is None


def test_without_read_orders_nothing_of_an_order_is_shown_and_write_implies_read() -> None:
    answer = World(scopes=("read_customers",)).query("OrderRefunds", id=ORDER)
    assert answer["data"] == {"order": None}
    assert answer["errors"][0]["path"] == ["order"]
    assert "errors" not in World(scopes=("write_orders", "read_all_orders")).query("OrderRefunds", id=ORDER)


def test_old_orders_are_invisible_without_read_all_orders() -> None:
    """Facts 2.7: the 60 day window, also in lists."""
    old = snapshot(999, createdAt="2026-09-20T00:00:00Z")
    without = tuple(s for s in DEFAULT_SCOPES if s != "read_all_orders")
    world = World(life(old), life(snapshot(1000)), scopes=without)
    answer = world.query("OrderRefunds", id=old["id"])
    assert answer["data"] == {"order": None}
    assert "errors" not in answer
    assert walk(world) == ["#1000"]
    assert walk(World(life(old), life(snapshot(1000)))) == ["#999", "#1000"]


# --- cost and throttling ----------------------------------------------------------------------------------------

# Facts section 2, table of costs. 44 is 19 there; here it also reads originAddress, one object more.
COSTS = {
    "ShopSettings": 4,
    "Installation": 7,
    "OrderForInvoice": 141,
    "OrderLinesPage": 45,
    "OrderTransactions": 8,
    "OrderRefunds": 3,
    "RefundDetail": 76,
    "OrderLedger": 131,
    "OrderFulfillments": 20,
    "OrdersUpdatedSince": 38,
    "WebhookCreate": 10,
    "WebhookUpdate": 10,
    "WebhookDelete": 10,
    "WebhookList": 20,
    "MarkPaid": 10,
    "ManualPayment": 10,
    "TagOrder": 10,
    "WriteBack": 10,
    "Versions": 1,
}


@pytest.mark.parametrize(("name", "points"), COSTS.items())
def test_requested_cost_of_the_documents(name: str, points: int) -> None:
    """Facts section 2 and 5.2."""
    compiled = compile_document(DOCUMENTS[name], None)
    assert isinstance(compiled, Compiled)
    assert compiled.quote.requested({}) == points


def test_page_factors() -> None:
    """Facts 5.2."""
    sizes = (1, 10, 20, 25, 50, 100, 200, 250)
    assert [page_factor(n) for n in sizes] == [1, 4, 5, 6, 7, 9, 10, 11]


def test_page_sizes_may_come_from_variables_and_their_defaults() -> None:
    text = "query Q($n: Int = 100) { orders(first: $n) { nodes { id } } }"
    world = World()
    assert world.query(text)["extensions"]["cost"]["requestedQueryCost"] == 2 + 9
    assert world.query(text, n=10)["extensions"]["cost"]["requestedQueryCost"] == 2 + 4


def test_the_difference_between_requested_and_actual_cost_is_given_back() -> None:
    """Facts 5.1: requested must fit, the rest is refunded."""
    world = World()
    bill = world.query("OrderForInvoice", id=ORDER)["extensions"]["cost"]
    assert bill["requestedQueryCost"] == 141
    assert 0 < bill["actualQueryCost"] < 141
    status = bill["throttleStatus"]
    assert status == {
        "maximumAvailable": 2000.0,
        "currentlyAvailable": 2000 - bill["actualQueryCost"],
        "restoreRate": 100.0,
    }
    assert world.sim.stats()["max_requested_cost"] == 141


def test_an_empty_bucket_throttles_and_refills_with_time() -> None:
    """Facts 5.3: HTTP 200, data null, THROTTLED, the cost at the top level; 100 points come back per second."""
    world = World()
    world.sim.drain_bucket(SHOP)
    answer = world.query("OrderForInvoice", id=ORDER)
    assert world.status == 200
    assert answer["data"] is None
    assert answer["errors"][0]["message"] == "Throttled"
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert answer["extensions"]["cost"] == {
        "requestedQueryCost": 141,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0},
    }
    world.now += timedelta(seconds=1.4)
    assert world.query("OrderForInvoice", id=ORDER)["data"] is None
    world.now += timedelta(seconds=0.02)
    assert world.query("OrderForInvoice", id=ORDER)["data"]["order"]["name"] == "#1000"
    assert world.sim.stats()["throttled"] == 2


def test_the_plan_decides_the_bucket_and_changes_at_run_time() -> None:
    """Facts 5.1."""
    world = World()
    world.post("/_control/plan", {"shop": SHOP, "plan": "plus"})
    status = world.query("Versions")["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (20000.0, 1000.0)


def test_a_query_over_1000_points_is_never_executed() -> None:
    """Facts 5.1: the single query maximum holds for every plan."""
    text = (
        "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id product { id } } }"
        " agreements(first: 250) { nodes { sales(first: 250) { nodes { id } } } } } } }"
    )
    world = World(plan="plus")
    answer = world.query(text)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert answer["errors"][0]["extensions"]["cost"] > 1000
    assert "data" not in answer


def test_the_debug_header_adds_the_price_of_each_field() -> None:
    """Facts 1.1: `Shopify-GraphQL-Cost-Debug: 1`."""
    world = World()
    fields = world.query("OrderLedger", debug=True, id=ORDER)["extensions"]["cost"]["fields"]
    assert fields[0] == {"path": ["order"], "definedCost": 1, "requestedTotalCost": 131, "requestedChildrenCost": 130}
    assert "fields" not in world.query("OrderLedger", id=ORDER)["extensions"]["cost"]


def test_refused_calls_carry_a_decimal_retry_after() -> None:
    """Facts 5.3: 429 with Retry-After in seconds, possibly decimal."""
    world = World()
    world.post("/_control/refuse", {"shop": SHOP, "count": 1, "retry_after": 2.0})
    world.query("Versions")
    assert (world.status, world.headers["retry-after"]) == (429, "2.0")
    world.query("Versions")
    assert world.status == 200


# --- versions and deprecations ----------------------------------------------------------------------------------


def test_an_inaccessible_version_falls_forward_to_the_oldest_accessible_one() -> None:
    """Facts 1.1."""
    world = World()
    for asked, served in (("2026-10", "2026-10"), ("2026-07", "2026-07"), ("2024-01", "2026-01")):
        world.query("Versions", version=asked)
        assert world.headers["x-shopify-api-version"] == served


def test_deprecated_fields_are_named_in_a_header() -> None:
    """Facts 5.3."""
    world = World()
    world.query(f'{{ order(id: "{ORDER}") {{ id totalPrice name }} }}')
    assert world.headers["x-shopify-api-deprecated-reason"] == "Order.totalPrice"
    world.query("OrderRefunds", id=ORDER)
    assert "x-shopify-api-deprecated-reason" not in world.headers


# --- write-back -------------------------------------------------------------------------------------------------


def test_mark_as_paid_settles_the_whole_amount_and_survives_later_events() -> None:
    """Facts 2.11: books the full outstanding amount as a SALE, moves `updatedAt`, cannot be done twice."""
    later = snapshot(1000, note="spaeter", updated="2026-11-22T11:00:00Z")
    world = World()
    world.sim.load([{**life(later), "events": [{"at": "2026-11-22T11:00:00Z", "topics": [], "snapshot": later}]}])
    answer = world.query("MarkPaid", id=ORDER)["data"]["orderMarkAsPaid"]
    assert answer["userErrors"] == []
    assert answer["order"]["displayFinancialStatus"] == "PAID"
    assert answer["order"]["totalOutstandingSet"]["shopMoney"]["amount"] == "0.00"
    again = world.query("MarkPaid", id=ORDER)["data"]["orderMarkAsPaid"]
    assert again["userErrors"][0]["message"] == "Order cannot be marked as paid."
    money = world.query("OrderTransactions", id=ORDER)["data"]["order"]
    assert [(t["kind"], t["status"], t["gateway"]) for t in money["transactions"]] == [
        ("SALE", "PENDING", "bank_deposit"),
        ("SALE", "SUCCESS", "bank_deposit"),
    ]
    assert money["updatedAt"] == "2026-11-22T10:00:00Z"
    world.sim.advance(datetime(2026, 11, 22, 12, tzinfo=UTC))
    order = world.query("OrderForInvoice", id=ORDER)["data"]["order"]
    assert (order["note"], order["displayFinancialStatus"]) == ("spaeter", "PAID")


def test_a_partial_manual_payment_needs_plus() -> None:
    """Facts 2.11 and decision 0.5."""
    amount = {"amount": "7.60", "currencyCode": "EUR"}
    refused = World().query("ManualPayment", id=ORDER, amount=amount)["data"]["orderCreateManualPayment"]
    assert refused["userErrors"][0]["field"] == ["amount"]
    world = World(plan="plus")
    done = world.query("ManualPayment", id=ORDER, amount=amount, method="Bar")["data"]["orderCreateManualPayment"]
    assert done["order"]["displayFinancialStatus"] == "PARTIALLY_PAID"
    assert done["order"]["totalOutstandingSet"]["shopMoney"]["amount"] == "40.00"
    over = {"amount": "40.01", "currencyCode": "EUR"}
    refused = world.query("ManualPayment", id=ORDER, amount=over)["data"]["orderCreateManualPayment"]
    assert refused["userErrors"][0]["code"] == "AMOUNT_EXCEEDS_BALANCE"


def test_tags_are_added_and_metafields_compare_and_set() -> None:
    """Facts 2.11: tagsAdd never overwrites; compareDigest guards; the app's namespace is the default."""
    world = World(life(snapshot(1000, tags=["alt"])))
    world.query("TagOrder", id=ORDER, tags=["sevdesk"])
    field = {"ownerId": ORDER, "key": "sevdesk_invoice", "type": "single_line_text_field", "value": "RE-1"}
    made = world.query("WriteBack", metafields=[field])["data"]["metafieldsSet"]
    digest = made["metafields"][0]["compareDigest"]
    stale = world.query("WriteBack", metafields=[{**field, "value": "RE-2", "compareDigest": "x"}])
    assert stale["data"]["metafieldsSet"]["userErrors"][0]["code"] == "STALE_OBJECT"
    world.query("WriteBack", metafields=[{**field, "value": "RE-2", "compareDigest": digest}])
    node = world.query("OrdersUpdatedSince", **VARIABLES)["data"]["orders"]["nodes"][0]
    assert node["invoice"]["value"] == "RE-2"
    assert world.query("OrderForInvoice", id=ORDER)["data"]["order"]["tags"] == ["alt", "sevdesk"]


def test_a_mutation_needs_its_write_scope() -> None:
    world = World(scopes=("read_orders", "read_all_orders"))
    answer = world.query("MarkPaid", id=ORDER)
    assert answer["data"] == {"orderMarkAsPaid": None}
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"


# --- lives and control ------------------------------------------------------------------------------------------


def test_lives_of_several_shops_happen_in_time_order_and_their_first_firing_is_kept() -> None:
    """The auditor's clock: `fired_at` is when the event happened here, not when the life says."""
    world = World()
    one, two = snapshot(2000), snapshot(2000, displayFinancialStatus="PAID")
    world.sim.load([life(one, two)])
    world.now = datetime(2026, 11, 22, 9, 0, 30, tzinfo=UTC)
    assert world.sim.advance(world.now) == 1
    assert world.query("OrderRefunds", id=one["id"])["data"]["order"] is not None
    world.now = datetime(2026, 11, 22, 13, tzinfo=UTC)
    assert world.sim.advance(world.now) == 1
    fired = world.sim.fired_at[one["id"]]
    assert [t.isoformat() for t in fired.values()] == ["2026-11-22T09:00:30+00:00", "2026-11-22T13:00:00+00:00"]


def test_truth_holds_the_snapshots_seen_so_far() -> None:
    world = World()
    world.post("/_control/lives", [life(snapshot(3000))])
    get = SimRequest("GET", "/_control/truth", [], {}, b"")
    before = json.loads(world.sim.handle(get).body)
    assert [o["name"] for o in before["orders"]] == ["#1000"]
    assert before["pending_events"] == 1
    assert world.post("/_control/advance", {"until": "2026-11-22T10:00:00Z"}) == {"events": 1}
    after = json.loads(world.sim.handle(get).body)
    assert [o["name"] for o in after["orders"]] == ["#1000", "#3000"]
    assert after["orders"][1]["snapshot"]["lineItems"][0]["title"] == "Seife 0"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("nothing", {}),
        ("plan", {"shop": SHOP, "plan": "gold"}),
        ("plan", []),
        ("advance", {"until": "2026-11-22T10:00:00"}),
        ("touch", {"order_id": "gid://shopify/Order/1"}),
        ("lives", [{"shop": "other.myshopify.com", "order_id": "x", "label": {}, "events": []}]),
        ("play", {"seconds": 1}),
    ],
)
def test_control_refuses_nonsense_with_a_sentence(verb: str, body: object) -> None:
    world = World()
    assert "error" in world.post(f"/_control/{verb}", body)
    assert world.status in (400, 404)


@pytest.mark.parametrize("status", [402, 403, 404, 423])
def test_a_shop_can_be_frozen_forbidden_gone_or_locked(status: int) -> None:
    """Facts 5.3."""
    world = World()
    world.post("/_control/status", {"shop": SHOP, "status": status})
    world.query("Versions")
    assert world.status == status
    world.post("/_control/status", {"shop": SHOP, "status": None})
    world.query("Versions")
    assert world.status == 200
