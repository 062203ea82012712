"""The page for the person who runs it: what stalls, how many calls fail, how long they take (S54, S57)."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from browser.test_dashboard import NOW, ONE, Invented, browser, opened
from ladenbuch.errors import Retryable
from ladenbuch.telemetry import Metrics
from ladenbuch.web.health import Health, Part, Queue, Report
from ladenbuch.web.operating import Operations, operations, quantile
from ladenbuch.web.pages import create_pages

__all__ = ["browser"]  # a fixture

QUEUE = Queue(3, 6, 0.0, None, {"accepted": 181, "promised": 1}, None)
FINE = tuple(Part(name) for name in ("inbox", "books", "dispatcher", "engine", "queue", "shopify", "sevdesk", "mail"))
STALLED = (
    *FINE[:2],
    Part("dispatcher", "stall.dispatcher", {"n": "75"}, "STALLED"),
    Part("engine"),
    Part("sevdesk", "stall.service", {"name": "sevdesk", "calls": 17, "n": "95", "code": "HTTP-503"}, "HTTP-503"),
)


@dataclass
class Looked:
    """A health whose report is told."""

    report: Report

    def look(self) -> Report:
        return self.report


def figures() -> Metrics:
    metrics = Metrics()
    for service, operation, seconds in (
        ("shopify", "order_head", [0.03] * 50 + [0.2] * 40 + [0.8] * 9 + [4.0]),
        ("sevdesk", "POST /Invoice/Factory/saveInvoice", [0.3] * 20 + [12.0]),
        ("mail", "send", []),
    ):
        for value in seconds:
            metrics.api_calls_total.labels(service, operation).inc()
            metrics.api_call_duration.labels(service, operation, "success").observe(value)
    metrics.api_errors_total.labels("sevdesk", "GET /Invoice", "HTTP-503").inc(1234)
    metrics.api_errors_total.labels("sevdesk", "GET /Contact", "TIMEOUT").inc(2)
    metrics.webhooks_total.labels("accepted").inc(1284)
    metrics.webhooks_total.labels("forged").inc(2)
    for seconds in (1, 2, 3, 200_000):
        metrics.settle_latency_seconds.observe(seconds)
    pools = {("shopify", "busy"): 2, ("shopify", "idle"): 4, ("sevdesk", "busy"): 6, ("inbox", "idle"): 3}
    metrics.read_gauges = lambda: {
        "active_connections": list(pools.items()),
        "rate_limit_utilization": [(("shopify",), 0.874), (("sevdesk",), 0.1)],
        "dispatcher_heartbeat_seconds": [((), 0.2)],
        "last_successful_poll_seconds": [((), 41)],
        "needs_attention": [(("TAX-PLACE",), 2), (("REFUND",), 1)],
        "dead_letters": [],
        "events": [(("waiting",), 12), (("held",), 0), (("given_up",), 3)],
        "oldest_event_seconds": [((), 300)],
        "event_receivers": [(("fine",), 2), (("failing",), 1), (("off",), 0)],
        "transfers": [
            (("tea", "awaited"), 7),
            (("tea", "unclear"), 0),
            (("tea", "nobodys"), 0),
            (("soap", "awaited"), 4),
            (("soap", "unclear"), 2),
            (("soap", "nobodys"), 1),
        ],
        "last_bank_look_seconds": [(("soap",), 42)],
    }
    return metrics


def shown(parts: Sequence[Part] = FINE, role: str = "all") -> Operations:
    report = Report(role, NOW, tuple(parts), QUEUE)
    return operations(figures(), cast(Health, Looked(report)))()


def app(parts: Sequence[Part] = FINE, role: str = "all", *, broken: bool = False) -> Starlette:
    def tenants() -> Sequence[Any]:
        if broken:
            raise Retryable("DB-DOWN", "gone")
        return ONE

    return Starlette(routes=create_pages(Invented(), lambda: NOW, tenants, lambda: shown(parts, role)))


def page(parts: Sequence[Part] = FINE, language: str = "de", **more: Any) -> str:
    client = TestClient(app(parts, **more), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 50000))
    answer = client.get("/running", headers={"accept-language": language})
    assert answer.status_code == 200
    return " ".join(answer.text.replace("\xa0", " ").replace("&nbsp;", " ").split())


def test_s57_everything_runs_in_a_sentence() -> None:
    assert "<h1>Alles läuft.</h1>" in page()
    assert "<h1>Everything is running.</h1>" in page(language="en")


def test_s57_what_stalls_is_said_with_its_reason_in_the_readers_language() -> None:
    german, english = page(STALLED), page(STALLED, "en")
    assert "<h1>Etwas steht still.</h1>" in german
    assert "Der Verteiler hat seit 75 s nicht nach Arbeit gesehen." in german
    assert "sevdesk has answered none of 17 calls in a row for 95 s (last: HTTP-503)." in english


def test_s54_calls_errors_and_quantiles_by_service() -> None:
    text = page()
    row = text[text.index(">Shopify</th>") : text.index("</tr>", text.index(">Shopify</th>"))]
    assert row.count('class="figure"') == 5
    assert ">100<" in row, "the calls"
    assert ">50 ms<" in row, "half of them"
    row = text[text.index(">sevdesk</th>") : text.index("</tr>", text.index(">sevdesk</th>"))]
    assert ">1.236<" in row, "failures"
    assert row.count("> 10 s") == 0
    assert "&gt; 10 s" in row, "beyond the last bound"
    assert "HTTP-503</code> 1.234" in text
    assert "VIES" not in text, "nobody asked it"


def test_s56_budget_connections_queue_and_what_waits_for_people() -> None:
    text = page(language="en")
    assert "87 % of the budget used" in text
    assert 'Open questions</th><td class="figure">3<' in text
    assert "1,284" in text
    assert "not genuine" in text
    assert "41 s ago" in text


def test_a_web_process_shows_no_dispatcher_and_a_worker_no_webhooks() -> None:
    assert "Dispatcher" not in page(language="en", role="web")
    assert "Messages from shops" not in page(language="en", role="worker")


def test_s57_the_page_is_there_when_the_books_are_not() -> None:
    assert "Etwas steht still." in page(STALLED, broken=True)


def test_s112_p1_events_and_transfers_that_wait_or_ask_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(language="en")
    events = text[text.index("Events for other tools") : text.index("Transfers")]
    assert "Wait for their receiver" in events and ">12<" in events and "Held" not in events
    assert "Given up" in events and ">3<" in events and "Receivers that take nothing now" in events
    transfers = text[text.index("Transfers") :]
    assert transfers.index(">soap <") < transfers.index(">tea<"), "first those that ask"
    assert "accounts looked at 42 s ago" in transfers and transfers.count("accounts looked at") == 1
    monkeypatch.setitem(globals(), "figures", Metrics)  # a shop without any of it
    bare = page(language="en")
    assert "Events for other tools" not in bare and "Transfers" not in bare


def test_other_pages_lead_there_only_where_it_is() -> None:
    there = TestClient(app(), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 50000))
    assert 'href="/running"' in there.get("/").text
    routes = create_pages(Invented(), lambda: NOW, lambda: ONE)
    bare = TestClient(Starlette(routes=routes), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 50000))
    assert 'href="/running"' not in bare.get("/").text
    assert bare.get("/running").status_code == 404


def test_served_to_this_machine_only() -> None:
    remote = TestClient(app(), base_url="http://127.0.0.1:8080", client=("192.0.2.7", 50000))
    assert remote.get("/running").status_code == 403


@given(st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_s54_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    bounds = [0.01, 0.1, 0.5, 1.0, 5.0, 10.0, math.inf]
    buckets = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    true = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    upper = next(bound for bound in bounds if true <= bound)
    lower = max([bound for bound in bounds if bound < upper], default=0.0)
    found = quantile(buckets, share)
    assert found == math.inf if upper == math.inf else lower <= found <= upper


@pytest.fixture(scope="module", params=["fine", "stalled"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    serving = app(FINE if request.param == "fine" else STALLED)
    server = uvicorn.Server(uvicorn.Config(serving, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield request.param, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (768, "dark"), (1280, "light")])
def test_it_fits_and_the_browser_has_no_complaint(
    browser: Any, served: tuple[str, str], width: int, scheme: str
) -> None:
    name, url = served
    with opened(browser, width, scheme=scheme) as (tab, complaints):
        tab.goto(url + "/running")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
        folder = os.environ.get("LADENBUCH_SCREENSHOTS")
        if folder:
            tab.screenshot(path=str(Path(folder) / f"running-{name}-{width}.png"), full_page=True)
