"""Every call to the outside is counted, timed and named once, in one place (S53, S54, S55)."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acceptance.invoice_cases import mixed_rates
from house import House, lost, refused
from ladenbuch.errors import Rejected
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.telemetry import Metrics
from ladenbuch.telemetry.calls import SERVICES, Calls, template

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SHOP = "https://a.myshopify.com"
GRAPHQL = f"{SHOP}/admin/api/2026-10/graphql.json"
SOURCES = Path(__file__).parents[2] / "src" / "ladenbuch"
ADDRESSES = {
    "https://{shop}": "shopify",
    "https://my.sevdesk.de/api/v1": "sevdesk",
    "https://partners.shopify.com": "partner",
    "https://ec.europa.eu/taxation_customs/vies/rest-api/check-vat-number": "vies",
}


def counted(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }


class Watching:
    """Calls over a transport that answers as told, with a clock that each exchange moves by a second."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.now = START
        self.metrics = Metrics()
        self.calls = Calls(self.metrics, lambda: self.now, ADDRESSES)

        def handle(request: httpx2.Request) -> httpx2.Response:
            self.now += timedelta(seconds=1)
            return answer(request)

        self.http = self.calls.watch(httpx2.Client(transport=httpx2.MockTransport(handle)))


def ok(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={})


def fails(error: type[httpx2.TransportError]) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error("simulated", request=request)

    return answer


def test_s53_one_call_is_counted_once_and_timed() -> None:
    world = Watching(ok)
    with world.calls.to("sevdesk", "GET /Invoice/{id}"):
        world.http.get("https://my.sevdesk.de/api/v1/Invoice/4711")
    assert counted(world.metrics, "api_calls_total") == {("sevdesk", "GET /Invoice/{id}"): 1}
    assert counted(world.metrics, "api_call_duration_sum") == {("sevdesk", "GET /Invoice/{id}", "success"): 1}
    assert counted(world.metrics, "api_errors_total") == {}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda request: httpx2.Response(429), "HTTP-429"),
        (lambda request: httpx2.Response(500), "HTTP-500"),
        (lambda request: httpx2.Response(503), "HTTP-503"),
        (lambda request: httpx2.Response(418), "HTTP-4XX"),
        (fails(httpx2.ReadTimeout), "TIMEOUT"),
        (fails(httpx2.ConnectError), "CONNECT"),
        (fails(httpx2.ConnectTimeout), "CONNECT"),
        (fails(httpx2.RemoteProtocolError), "CUT"),
        (fails(httpx2.PoolTimeout), "POOL"),
    ],
)
def test_s55_each_kind_of_failure_has_its_own_code(
    answer: Callable[[httpx2.Request], httpx2.Response], code: str
) -> None:
    world = Watching(answer)
    with contextlib.suppress(httpx2.TransportError):
        world.http.get("https://my.sevdesk.de/api/v1/Invoice/4711")
    name = ("sevdesk", "GET /api/v1/Invoice/{id}")
    assert counted(world.metrics, "api_errors_total") == {(*name, code): 1}
    assert counted(world.metrics, "api_call_duration_count") == {(*name, "error"): 1}


def test_s55_a_refusal_inside_a_200_fails_with_the_code_of_who_read_it() -> None:
    world = Watching(ok)

    def cancel() -> None:
        with world.calls.to("sevdesk", "PUT /Invoice/{id}/cancelInvoice"):
            world.http.put("https://my.sevdesk.de/api/v1/Invoice/1/cancelInvoice")
            raise Rejected("SEVDESK-421")

    with pytest.raises(Rejected):
        cancel()
    assert counted(world.metrics, "api_errors_total") == {
        ("sevdesk", "PUT /Invoice/{id}/cancelInvoice", "SEVDESK-421"): 1
    }


@pytest.mark.parametrize(
    ("method", "url", "body", "name"),
    [
        ("POST", f"{SHOP}/admin/oauth/access_token", b"{}", ("shopify", "POST /admin/oauth/access_token")),
        ("POST", GRAPHQL, b"{}", ("shopify", "graphql")),
        ("POST", GRAPHQL, b'{"query":"mutation appUsage($id: ID!) { a }"}', ("shopify", "appUsage")),
        ("GET", f"{SHOP}/admin/orders/123.json?x=erika@example.org", None, ("shopify", "GET /admin/orders/{id}")),
        ("POST", "https://partners.shopify.com/123/api/2026-10/graphql.json", b"", ("partner", "graphql")),
        ("GET", "https://elsewhere.example/a/99", None, ("other", "GET /a/{id}")),
    ],
)  # fmt: skip
def test_s53_what_nobody_named_is_counted_by_its_template(
    method: str, url: str, body: bytes | None, name: tuple[str, str]
) -> None:
    """Token endpoints, for instance: no adapter can forget to count."""
    world = Watching(ok)
    world.http.request(method, url, content=body)
    assert counted(world.metrics, "api_calls_total") == {name: 1}


def test_s53_a_call_is_not_counted_again_by_who_wrapped_the_client_twice() -> None:
    world = Watching(ok)
    world.calls.watch(world.http)
    world.http.get("https://my.sevdesk.de/api/v1/Contact")
    assert sum(counted(world.metrics, "api_calls_total").values()) == 1


def test_names_and_codes_stay_short_lists_whatever_is_called() -> None:
    world = Watching(ok)
    for number in range(1000):
        word = "x" + "".join(chr(97 + int(digit)) for digit in str(number))
        with world.calls.to("sevdesk", f"GET /{word}") as call:
            call.code = word.upper()
    names = {operation for _, operation in counted(world.metrics, "api_calls_total")}
    codes = {code for _, _, code in counted(world.metrics, "api_errors_total")}
    assert len(names) == 201
    assert len(codes) == 101
    assert "other" in names
    assert "OTHER" in codes


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("GET /Invoice/{id}/getPdf", "GET /Invoice/{id}/getPdf"),
        ("GET /Invoice/4711/getPdf?download=true", "GET /Invoice/{id}/getPdf"),
        ("orders_updated", "orders_updated"),
        ("GET /gid://shopify/Order/1", "GET /gid://shopify/Order/{id}"),
        ("GET /erika@example.org", "other"),
        ("x" * 101, "other"),
    ],
)
def test_a_name_is_a_template(given: str, name: str) -> None:
    assert template(given) == name


def test_a_service_is_failing_from_its_first_unanswered_call_until_it_answers() -> None:
    answers = iter([503, 200, 500, 429, 500, 404])
    world = Watching(lambda request: httpx2.Response(next(answers)))
    seen = []
    for _ in range(6):
        world.http.get("https://my.sevdesk.de/api/v1/Contact")
        pulse = world.calls.pulse("sevdesk")
        seen.append((pulse.failures, pulse.failing_since and (pulse.failing_since - START).total_seconds()))
    assert seen == [(1, 1), (0, None), (1, 3), (2, 3), (3, 3), (0, None)], "a 404 is an answer"


# -- the whole product --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), START)
    yield made
    made.close()


def times_out(request: SimRequest, go: object) -> SimResponse:
    raise httpx2.ReadTimeout("simulated")


def no_line(request: SimRequest, go: object) -> SimResponse:
    raise httpx2.ConnectError("simulated")


def test_s53_s54_s55_every_service_of_a_life_is_counted_and_each_injected_failure_has_its_type(house: House) -> None:
    for fault in (refused(429, "slow down"), refused(500, "down"), times_out, no_line, lost):
        house.door.once("GET", "/Invoice", fault)
    house.lived(mixed_rates, 1001)
    metrics = house.ladenbuch.metrics
    calls = counted(metrics, "api_calls_total")
    assert {service for service, _ in calls} == {"shopify", "sevdesk"}
    assert any("oauth" in operation for _, operation in calls), "token endpoints too"
    passed = sum(count for (service, _), count in calls.items() if service == "sevdesk")
    assert passed == len(house.door.passed), "as many as arrived there"
    codes = {code for service, _, code in counted(metrics, "api_errors_total") if service == "sevdesk"}
    assert {"HTTP-429", "HTTP-500", "TIMEOUT", "CONNECT", "CUT"} <= codes
    timed = counted(metrics, "api_call_duration_count")
    by_status: Mapping[str, float] = {
        status: sum(count for (_, _, kind), count in timed.items() if kind == status) for status in ("success", "error")
    }
    assert by_status["error"] == sum(counted(metrics, "api_errors_total").values())
    assert by_status["success"] + by_status["error"] == sum(calls.values())


def test_labels_do_not_grow_with_orders_and_name_none_of_them(house: House) -> None:
    house.lived(mixed_rates, 1002)
    assert counted(house.ladenbuch.metrics, "settles_total")[("SETTLED",)] >= 1
    assert sum(counted(house.ladenbuch.metrics, "settle_latency_seconds_count").values()) >= 1
    before = label_sets(house)
    for number in (1003, 1004):
        house.lived(mixed_rates, number)
    assert label_sets(house) == before
    told = re.compile(r"gid:|house|myshopify|@|[0-9]{4}|https?:|[0-9a-f]{16}")
    values = {value for _, labels in before for name, value in labels if name != "le"}
    assert [value for value in values if told.search(value)] == []
    assert {value for _, labels in before for name, value in labels if name == "service"} <= set(SERVICES)


def label_sets(house: House) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in house.ladenbuch.metrics.registry.collect()
        for sample in family.samples
    }


def test_nobody_in_the_product_calls_out_past_the_watched_client() -> None:
    """Only bootstrap makes an HTTP client, only mail/smtp speaks SMTP; nobody uses another library."""
    found = set()
    for file in SOURCES.rglob("*.py"):
        place = file.relative_to(SOURCES).as_posix()
        if place.startswith("simulators/") or place in ("cli/demo.py", "cli/simulate.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in outward(node):
                found.add((place, name))
    assert found <= {("bootstrap.py", "httpx2.Client"), ("mail/smtp.py", "aiosmtplib")}
    assert ("bootstrap.py", "httpx2.Client") in found


def outward(node: ast.AST) -> Iterator[str]:
    verbs = {"Client", "AsyncClient", "get", "post", "put", "delete", "patch", "request", "stream"}
    if isinstance(node, ast.Call):
        named = ast.unparse(node.func)
        if named.startswith("httpx2.") and named.removeprefix("httpx2.") in verbs:
            yield named
    modules: list[Any] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        modules = [node.module or ""]
    for module in modules:
        for library in ("urllib.request", "http.client", "requests", "aiohttp", "smtplib", "aiosmtplib", "httpx"):
            if module == library or module.startswith(library + "."):
                yield library
