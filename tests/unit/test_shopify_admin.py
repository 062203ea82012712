"""The Admin client: what each answer means, how long it waits, and one whole order (facts 5, R18, R19)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from ladenbuch.bucket import Priority, TooLong, working_as
from ladenbuch.errors import Ambiguous, LadenbuchError, Rejected, Retryable
from ladenbuch.shopify import cost as cost_module
from ladenbuch.shopify.admin import Admin, Call
from ladenbuch.shopify.answer import Cost, PathError, Result, decode
from ladenbuch.shopify.call_limit import CallLimit, call_limit
from ladenbuch.shopify.cost import CostGauge, document
from ladenbuch.shopify.reading import fetch_order, is_soft

SHOP = "seifenladen.myshopify.com"
GID = "gid://shopify/Order/1"
Json = dict[str, Any]
Answer = httpx2.Response | Exception


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def graphql(data: object = None, *, errors: object = None, available: float = 1900, **headers: str) -> httpx2.Response:
    status = {"maximumAvailable": 2000, "currentlyAvailable": available, "restoreRate": 100}
    extensions = {"cost": {"requestedQueryCost": 10, "actualQueryCost": 5, "throttleStatus": status}}
    body: Json = {"data": data, "extensions": extensions}
    if errors is not None:
        body["errors"] = errors
    return httpx2.Response(200, content=json.dumps(body).encode(), headers=headers)


def throttled(available: float, requested: int = 100) -> httpx2.Response:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
    cost = {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": status}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    return httpx2.Response(200, content=json.dumps({"errors": [error], "extensions": {"cost": cost}}).encode())


class Server:
    """Answers in the order given, the last one for ever; remembers what it was asked."""

    def __init__(self, *answers: Answer | Callable[[Json], Answer], **options: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []
        self.clock = Clock()
        self.calls: list[Call] = []
        self.notices: list[tuple[str, str]] = []
        self.admin = Admin(
            SHOP,
            "https://{shop}",
            lambda: "shpat_secret",
            httpx2.Client(transport=httpx2.MockTransport(self.handle)),
            sleep=self.clock.sleep,
            clock=self.clock,
            on_call=self.calls.append,
            on_notice=lambda kind, text: self.notices.append((kind, text)),
            chance=lambda: 0.0,
            **options,
        )

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(json.loads(request.content))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, name: str = "order_updated_at") -> Result:
        return self.admin.execute(name, {"id": GID})

    def refused(self, name: str = "order_updated_at") -> LadenbuchError:
        with pytest.raises(LadenbuchError) as caught:
            self.run(name)
        assert "shpat_secret" not in str(caught.value) + repr(caught.value.detail)
        return caught.value


# -- one exchange ----------------------------------------------------------------------------------------------------


def test_the_request_is_what_shopify_expects() -> None:
    server = Server(graphql({"order": None}))
    server.run()
    request = server.asked[0]
    assert str(request.url) == f"https://{SHOP}/admin/api/2026-10/graphql.json"
    assert request.headers["x-shopify-access-token"] == "shpat_secret"
    assert "authorization" not in request.headers
    assert request.headers["user-agent"].startswith("ladenbuch/")
    body = json.loads(request.content)
    assert body == {"query": document("order_updated_at"), "variables": {"id": GID}}


def test_cost_and_call_are_reported() -> None:
    server = Server(graphql({"order": None}))
    assert server.run().cost == Cost(10, 5, 2000, 1900, 100)
    assert [(call.document, call.outcome, call.estimated) for call in server.calls] == [("order_updated_at", "ok", 1)]


def test_partial_data_is_kept_and_errors_are_classified_by_path() -> None:
    error = {"message": "no", "path": ["order", "customer"], "extensions": {"code": "ACCESS_DENIED"}}
    result = Server(graphql({"order": {"id": GID, "customer": None}}, errors=[error])).run()
    assert result.data["order"]["id"] == GID
    assert result.errors == (PathError("ACCESS_DENIED", ("order", "customer"), "no"),)
    assert result.has_code("ACCESS_DENIED")


def test_fractions_are_decimals_never_floats() -> None:
    data, _, _ = decode(b'{"data":{"rate":0.19,"id":123456789012345678901}}')
    assert data is not None
    assert str(data["rate"]) == "0.19"
    assert not isinstance(data["rate"], float)
    assert data["id"] == 123456789012345678901


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_an_unreadable_answer_is_retryable(body: bytes) -> None:
    error = Server(httpx2.Response(200, content=body)).refused()
    assert isinstance(error, Retryable)
    assert error.code == "SHOPIFY-UNREADABLE"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, Rejected, "SHOPIFY-TOKEN"),
        (402, Rejected, "SHOPIFY-FROZEN"),
        (403, Rejected, "SHOPIFY-FORBIDDEN"),
        (404, Rejected, "SHOPIFY-GONE"),
        (423, Rejected, "SHOPIFY-LOCKED"),
        (400, Rejected, "SHOPIFY-HTTP"),
        (500, Retryable, "SHOPIFY-DOWN"),
        (503, Retryable, "SHOPIFY-DOWN"),
    ],
)
def test_statuses(status: int, kind: type[LadenbuchError], code: str) -> None:
    error = Server(httpx2.Response(status, content=b'{"errors":"secret text"}')).refused()
    assert isinstance(error, kind)
    assert error.code == code
    assert "secret text" not in str(error)


@pytest.mark.parametrize("problem", [httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError])
def test_no_answer_is_retryable(problem: type[Exception]) -> None:
    error = Server(problem("boom")).refused()
    assert isinstance(error, Retryable)
    assert not isinstance(error, Ambiguous)
    assert error.code == "SHOPIFY-UNREACHABLE"


def test_a_mutation_without_an_answer_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "mutation M { tagsAdd(id: 1, tags: []) { node { id } } }"
    for module in (cost_module, __import__("ladenbuch.shopify.admin", fromlist=["document"])):
        monkeypatch.setattr(module, "document", lambda name: text)
    assert isinstance(Server(httpx2.ReadTimeout("boom")).refused(), Ambiguous)
    assert isinstance(Server(httpx2.Response(502)).refused(), Ambiguous)


def test_redirects_are_not_followed() -> None:
    server = Server(httpx2.Response(301, headers={"Location": "https://evil.example.com/"}))
    assert server.refused().code == "SHOPIFY-REDIRECTED"
    assert len(server.asked) == 1


def test_a_401_refreshes_the_token_once() -> None:
    server = Server(httpx2.Response(401), graphql({"order": None}), refresh=lambda refused: "shpat_new")
    server.run()
    assert [request.headers["x-shopify-access-token"] for request in server.asked] == ["shpat_secret", "shpat_new"]
    server = Server(httpx2.Response(401), refresh=lambda refused: "shpat_new")
    assert server.refused().code == "SHOPIFY-TOKEN"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("MAX_COST_EXCEEDED", "SHOPIFY-COST"),
        ("INTERNAL_SERVER_ERROR", "SHOPIFY-INTERNAL"),
        ("TIMEOUT", "SHOPIFY-INTERNAL"),
        ("undefinedField", "SHOPIFY-QUERY"),
    ],
)
def test_errors_without_data(code: str, expected: str) -> None:
    assert Server(graphql(errors=[{"message": "x", "extensions": {"code": code}}])).refused().code == expected


def test_a_version_that_fell_forward_is_noticed() -> None:
    server = Server(graphql({"order": None}, **{"X-Shopify-API-Version": "2027-01"}))
    result = server.run()
    assert result.version_fell_forward
    assert result.version == "2027-01"
    assert server.notices == [("version-fell-forward", "asked for 2026-10, answered by 2027-01")]
    assert not Server(graphql({"order": None}, **{"X-Shopify-API-Version": "2026-10"})).run().version_fell_forward


def test_deprecated_fields_are_reported() -> None:
    server = Server(graphql({"order": None}, **{"X-Shopify-API-Deprecated-Reason": "Order.old"}))
    assert server.run().deprecated == "Order.old"
    assert server.notices == [("deprecated", "Order.old")]


# -- speed -----------------------------------------------------------------------------------------------------------


def test_throttled_waits_for_the_missing_points_and_repeats() -> None:
    server = Server(throttled(available=0, requested=300), graphql({"order": None}))
    server.run()
    assert server.clock.slept == [pytest.approx(3.0)]
    assert [call.outcome for call in server.calls] == ["THROTTLED", "ok"]


def test_throttled_waits_at_least_a_second() -> None:
    server = Server(throttled(available=99, requested=100), graphql({"order": None}))
    with working_as(Priority.INTERACTIVE):
        server.run()
    assert server.clock.slept == [1.0]


def test_throttled_for_ever_becomes_retryable_with_a_time() -> None:
    server = Server(throttled(available=0, requested=300))
    error = server.refused()
    assert isinstance(error, Retryable)
    assert error.code == "SHOPIFY-THROTTLED"
    assert error.after is not None
    assert error.after >= 1.0
    assert len(server.asked) == 3


def test_429_waits_decimal_seconds() -> None:
    server = Server(httpx2.Response(429, headers={"Retry-After": "2.5"}), graphql({"order": None}))
    server.run()
    assert server.clock.slept == [2.5]


@pytest.mark.parametrize(("header", "wait"), [(None, 1.0), ("soon", 1.0), ("0.2", 1.0), ("nan", 1.0)])
def test_429_without_a_usable_time_waits_a_second(header: str | None, wait: float) -> None:
    server = Server(httpx2.Response(429, headers={"Retry-After": header} if header else {}), graphql({"order": None}))
    server.run()
    assert server.clock.slept == [wait]


def test_a_long_wait_is_the_callers_business() -> None:
    server = Server(httpx2.Response(429, headers={"Retry-After": "120"}))
    error = server.refused()
    assert isinstance(error, Retryable)
    assert error.after == pytest.approx(120.0)
    assert server.clock.slept == []


def test_points_are_waited_for_before_sending() -> None:
    server = Server(graphql({"order": {"id": GID}}, available=8), graphql({"order": None}, available=900))
    server.run()
    with working_as(Priority.INTERACTIVE):
        server.admin.execute("order_head", {"id": GID})
    missing = cost_module.estimate_cost(document("order_head")) - 8
    assert sum(server.clock.slept) == pytest.approx(missing / 100)
    assert len(server.asked) == 2


def test_an_empty_bucket_that_nobody_refills_is_retryable_without_a_call() -> None:
    server = Server(graphql({"order": None}))
    server.admin.budget.resize(1, 1, debt=1000, maximum=1000, rate=1, known=True)  # it fills very slowly
    error = server.refused("order_head")
    assert error.code == "SHOPIFY-THROTTLED"
    assert server.asked == []
    assert server.admin.budget.waiting == 0


def test_before_the_first_answer_one_call_finds_out_how_much_there_is() -> None:
    clock = Clock()
    gauge = CostGauge(clock)
    first = gauge.take(108, clock.sleep, 0.0)
    with pytest.raises(TooLong):
        gauge.take(108, clock.sleep, 0.0)
    gauge.answered(first, Cost(108, 90, 2000, 1910, 100))
    assert gauge.size == (2000, 100)
    assert gauge.available() == 1910
    clock.sleep(60)
    assert gauge.available() == 2000


def test_a_throttled_call_is_charged_nothing_and_what_is_left_is_believed() -> None:
    clock = Clock()
    gauge = CostGauge(clock, known=True, maximum=2000)
    turn = gauge.take(100, clock.sleep, 0.0)
    gauge.answered(turn, Cost(100, None, 2000, 40, 100), refused=True)
    assert gauge.available() == pytest.approx(40, abs=1)
    assert gauge.throttled_for(340) == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("32/40", CallLimit(32, 40)),
        (" 0 / 80 ", CallLimit(0, 80)),
        ("400/400", CallLimit(400, 400)),
        ("41/40", CallLimit(41, 40)),
        *((wrong, None) for wrong in (None, "", "40", "a/b", "1/0", "-1/40", "1/40/2", "1.5/40", "1234567/40")),
    ],
)
def test_s123_the_legacy_call_limit_is_parsed(header: str | None, expected: CallLimit | None) -> None:
    found = call_limit(header)
    assert found == expected
    if found is not None:
        assert (found.left, found.full) == (max(0, found.size - found.used), found.used >= found.size)


def test_s123_the_legacy_call_limit_is_read_only_when_asked_for() -> None:
    answer = graphql({"order": None}, **{"X-Shopify-Shop-Api-Call-Limit": "32/40"})
    server = Server(answer)
    server.run()
    assert server.notices == []
    server = Server(answer, read_call_limit=True)
    server.run()
    assert server.notices == [("call-limit", "32/40")]


def test_a_query_of_ones_own_is_sent_and_a_mutation_is_not() -> None:
    server = Server(graphql({"shop": {"name": "x"}}))
    assert server.admin.ask("{ shop { name } }", {}, debug_cost=True).data == {"shop": {"name": "x"}}
    assert server.asked[0].headers["shopify-graphql-cost-debug"] == "1"
    server.run()
    assert "shopify-graphql-cost-debug" not in server.asked[1].headers
    for wrong in ("mutation { tagsAdd(id: 1, tags: []) { node { id } } }", "{ shop {", "{ ...F }"):
        with pytest.raises(Rejected) as refused:
            server.admin.ask(wrong, {})
        assert refused.value.code == "SHOPIFY-QUERY"
    assert len(server.asked) == 2
    dear = "{ a(first: 250) { nodes { b(first: 250) { nodes { c(first: 250) { nodes { id } } } } } } }"
    with pytest.raises(Rejected) as refused:
        server.admin.ask(dear, {})
    assert refused.value.code == "SHOPIFY-COST"


# -- small verbs -----------------------------------------------------------------------------------------------------


def test_orders_updated_pages_with_quoted_bounded_utc_timestamps() -> None:
    pages = [
        {
            "nodes": [{"id": GID, "updatedAt": "2026-11-22T09:00:00Z"}],
            "pageInfo": {"hasNextPage": True, "endCursor": "c1"},
        },
        {
            "nodes": [{"id": "gid://shopify/Order/2", "updatedAt": "2026-11-22T09:30:00Z"}],
            "pageInfo": {"hasNextPage": False, "endCursor": "c2"},
        },
    ]
    server = Server(*[graphql({"orders": page}) for page in pages])
    since = datetime(2026, 11, 22, 8, 0, 0, 999, UTC)
    found = list(server.admin.orders_updated(since, since + timedelta(hours=2)))
    assert found == [
        (GID, datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("gid://shopify/Order/2", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
    ]
    asked = [json.loads(request.content)["variables"] for request in server.asked]
    query = "status:any AND updated_at:>='2026-11-22T08:00:00Z' AND updated_at:<'2026-11-22T10:00:01Z'"
    assert asked == [{"query": query, "after": None}, {"query": query, "after": "c1"}]


def test_orders_updated_starts_a_new_walk_before_the_25000_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    import ladenbuch.shopify.admin as module

    monkeypatch.setattr(module, "_WALK_LIMIT", 2)
    last = {"pageInfo": {"hasNextPage": False}}
    first = [{"id": f"gid://shopify/Order/{n}", "updatedAt": f"2026-11-22T09:00:0{n}Z"} for n in (1, 2, 3)]
    server = Server(graphql({"orders": {"nodes": first, **last}}), graphql({"orders": {"nodes": first[1:2], **last}}))
    since = datetime(2026, 11, 22, 9, tzinfo=UTC)
    found = [gid[-1] for gid, _ in server.admin.orders_updated(since, server.clock.now)]
    assert found == ["1", "2", "2"]
    assert ">='2026-11-22T09:00:02Z'" in json.loads(server.asked[1].content)["variables"]["query"]


def test_a_missing_scope_on_the_poll_is_rejected_not_empty() -> None:
    error = {"message": "no", "path": ["orders"], "extensions": {"code": "ACCESS_DENIED"}}
    server = Server(graphql(None, errors=[error]))
    with pytest.raises(Rejected) as caught:
        list(server.admin.orders_updated(server.clock.now, server.clock.now))
    assert caught.value.code == "SHOPIFY-SCOPE"


def test_find_order_compares_the_name_itself() -> None:
    nodes = [
        {"id": GID, "name": "#1001", "processedAt": "2026-11-22T09:00:00Z"},
        {"id": "gid://shopify/Order/9", "name": "#10012", "processedAt": "2026-11-22T09:30:00Z"},
    ]
    assert Server(graphql({"orders": {"nodes": nodes}})).admin.find_order("#1001") == GID
    assert Server(graphql({"orders": {"nodes": nodes}})).admin.find_order("#1") is None


def test_updated_at() -> None:
    server = Server(graphql({"order": {"id": GID, "updatedAt": "2026-11-22T09:00:00Z"}}), graphql({"order": None}))
    assert server.admin.updated_at(GID) == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert server.admin.updated_at(GID) is None


def test_shop_settings_and_installation() -> None:
    assert Server(graphql({"shop": {"name": "Seifen"}})).admin.shop_settings() == {"name": "Seifen"}
    assert Server(graphql({"currentAppInstallation": {"id": "i"}})).admin.installation() == {"id": "i"}
    with pytest.raises(Retryable):
        Server(graphql({"shop": None})).admin.shop_settings()


# -- one whole order -------------------------------------------------------------------------------------------------

NO_MORE = {"hasNextPage": False, "endCursor": None}


def bag(amount: str) -> Json:
    money = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": money, "presentmentMoney": money}


def head(**more: Any) -> Json:
    return {
        "id": GID,
        "name": "#1001",
        "createdAt": "2026-11-22T09:00:00Z",
        "processedAt": "2026-11-22T09:00:00Z",
        "updatedAt": "2026-11-22T09:00:00Z",
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "EUR",
        "taxesIncluded": True,
        "originalTotalPriceSet": bag("0.00"),
        "currentTotalPriceSet": bag("0.00"),
        "totalReceivedSet": bag("0.00"),
        "lineItems": {"nodes": [], "pageInfo": NO_MORE},
        "shippingLines": {"nodes": [], "pageInfo": NO_MORE},
        "discountApplications": {"nodes": [], "pageInfo": NO_MORE},
        "agreements": {"edges": [], "pageInfo": NO_MORE},
        "transactionsCount": {"count": 0},
        "transactions": [],
        "refunds": [],
        "fulfillments": [],
        **more,
    }


class Script:
    """An `execute` that answers documents from a table of lists."""

    def __init__(self, **answers: list[Result]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, name: str, variables: Mapping[str, object]) -> Result:
        self.asked.append((name, variables))
        queue = self.answers[name]
        return queue.pop(0) if len(queue) > 1 else queue[0]


def whole(order: Json, *errors: PathError) -> Result:
    return Result({"order": order}, errors)


def test_a_simple_order_is_one_call() -> None:
    script = Script(order_head=[whole(head())])
    fetched = fetch_order(script, GID)
    assert fetched.order is not None
    assert fetched.order.gaps == ()
    assert len(script.asked) == 1
    assert set(fetched.envelope) == {
        "order", "transactions", "agreements", "refunds", "fulfillments", "gaps", "warnings",
    }  # fmt: skip


def sold(number: int) -> Json:
    return {
        "__typename": "ProductSale",
        "id": f"s{number}",
        "lineType": "PRODUCT",
        "actionType": "ORDER",
        "totalAmount": bag("1.00"),
        "totalTaxAmount": bag("0.16"),
        "taxes": [],
    }


def agreed(number: int, *sales: int, more: str | None = None) -> Json:
    return {
        "cursor": f"c{number}",
        "node": {
            "__typename": "OrderAgreement",
            "id": f"a{number}",
            "happenedAt": "2026-11-22T09:00:00Z",
            "reason": "ORDER",
            "sales": {
                "nodes": [sold(n) for n in sales],
                "pageInfo": {"hasNextPage": more is not None, "endCursor": more},
            },
        },
    }


def test_agreements_and_sales_continue_on_pages() -> None:
    order = head(
        agreements={
            "edges": [agreed(1, 1), agreed(2, 2, more="x")],
            "pageInfo": {"hasNextPage": True, "endCursor": "c2"},
        }
    )
    page = {"id": GID, "updatedAt": order["updatedAt"], "agreements": {"edges": [agreed(3, 4)], "pageInfo": NO_MORE}}
    rest = agreed(2, 3)["node"]
    sales = {"id": GID, "updatedAt": order["updatedAt"], "agreements": {"nodes": [rest]}}
    script = Script(order_head=[whole(order)], order_agreements=[whole(page)], agreement_sales=[whole(sales)])
    fetched = fetch_order(script, GID)
    assert fetched.order is not None
    assert [[s.id for s in a.sales] for a in fetched.order.agreements] == [["s1"], ["s2", "s3"], ["s4"]]
    assert fetched.order.gaps == ()
    assert ("agreement_sales", {"id": GID, "before": "c1", "after": "x"}) in script.asked


def test_sales_of_another_agreement_are_a_gap() -> None:
    order = head(agreements={"edges": [agreed(1, 1, more="x")], "pageInfo": NO_MORE})
    other = {"id": GID, "updatedAt": order["updatedAt"], "agreements": {"nodes": [agreed(9, 3)["node"]]}}
    fetched = fetch_order(Script(order_head=[whole(order)], agreement_sales=[whole(other)]), GID)
    assert fetched.order is not None
    assert fetched.order.gaps == ("agreements.sales.page",)


def test_an_order_that_changes_between_pages_is_read_again_three_times_then_later() -> None:
    more = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}
    moved = {"id": GID, "updatedAt": "2026-11-22T09:59:59Z", "lineItems": {"nodes": [], "pageInfo": NO_MORE}}
    script = Script(order_head=[whole(head(lineItems=more))], order_lines=[whole(moved)])
    with pytest.raises(Retryable) as caught:
        fetch_order(script, GID)
    assert caught.value.code == "ORDER-MOVING"
    assert [name for name, _ in script.asked] == ["order_head", "order_lines"] * 3

    still = {**moved, "updatedAt": head()["updatedAt"]}
    script = Script(order_head=[whole(head(lineItems=more))], order_lines=[whole(moved), whole(still)])
    assert fetch_order(script, GID).order is not None


def test_refunds_are_read_in_detail() -> None:
    order = head(refunds=[{"id": "r1", "createdAt": "2026-11-22T09:00:00Z", "totalRefundedSet": bag("5.00")}])
    line = {"quantity": 1, "subtotalSet": bag("4.20"), "totalTaxSet": bag("0.80"), "lineItem": {"id": "l1"}}
    owner = {"id": GID, "updatedAt": order["updatedAt"]}
    pages = [
        Result({"refund": {"id": "r1", "order": owner, "totalRefundedSet": bag("5.00"), "refundLineItems": {
            "nodes": [line], "pageInfo": {"hasNextPage": more, "endCursor": "x"}}}})
        for more in (True, False)
    ]  # fmt: skip
    fetched = fetch_order(Script(order_head=[whole(order)], refund_detail=pages), GID)
    assert fetched.order is not None
    assert fetched.order.gaps == ()
    assert [item.subtotal for item in fetched.order.refunds[0].lines] == [420, 420]
    assert "order" not in fetched.envelope["refunds"][0]


def test_r19_more_transactions_than_shown_is_a_gap() -> None:
    fetched = fetch_order(Script(order_head=[whole(head(transactionsCount={"count": 251}))]), GID)
    assert fetched.order is not None
    assert fetched.order.gaps == ("transactions.page",)


def test_r18_a_null_order_is_not_deleted() -> None:
    fetched = fetch_order(Script(order_head=[Result({"order": None})]), GID)
    assert (fetched.order, fetched.reason) == (None, "NOT-FOUND")
    denied = Result({"order": None}, (PathError("ACCESS_DENIED", ("order",)),))
    fetched = fetch_order(Script(order_head=[denied]), GID)
    assert (fetched.order, fetched.reason) == (None, "ACCESS")
    broken = Result({"order": None}, (PathError("INTERNAL_SERVER_ERROR", ("order", "agreements")),))
    with pytest.raises(Retryable):
        fetch_order(Script(order_head=[broken]), GID)


@pytest.mark.parametrize(
    ("path", "code", "soft"),
    [
        (("order", "customer"), "ACCESS_DENIED", True),
        (("order", "customer", "taxSettings"), "INTERNAL_SERVER_ERROR", True),
        (("order", "paymentTerms"), "ACCESS_DENIED", True),
        (("order", "email"), "ACCESS_DENIED", True),
        (("order", "billingAddress", "firstName"), "ACCESS_DENIED", True),
        (("order", "shippingAddress", "zip"), "ACCESS_DENIED", False),
        (("order", "shippingAddress", "countryCodeV2"), "ACCESS_DENIED", False),
        (("order", "shippingAddress"), "ACCESS_DENIED", False),
        (("order", "agreements", "edges", 0, "node", "return"), "ACCESS_DENIED", True),
        (("order", "agreements", "edges", 0, "node", "sales"), "ACCESS_DENIED", False),
        (("order", "disputes"), "ACCESS_DENIED", True),
        (("order", "disputes"), "TIMEOUT", False),
        (("order", "purchasingEntity"), "ACCESS_DENIED", False),
        (("order", "totalReceivedSet"), "INTERNAL_SERVER_ERROR", False),
        (("order", "transactions"), "ACCESS_DENIED", False),
        (("order", "fulfillments", 0, "originAddress"), "ACCESS_DENIED", False),
        (("order", "lineItems", "nodes", 0, "taxLines"), "INTERNAL_SERVER_ERROR", False),
        ((), "INTERNAL_SERVER_ERROR", False),
    ],
)
def test_r19_which_holes_block_a_decision(path: tuple[str | int, ...], code: str, soft: bool) -> None:
    error = PathError(code, path)
    assert is_soft(error) is soft
    fetched = fetch_order(Script(order_head=[whole(head(), error)]), GID)
    assert fetched.order is not None
    where = fetched.envelope["warnings"] if soft else fetched.order.gaps
    assert list(where) == [error.dotted or code]
