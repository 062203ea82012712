"""OpenTelemetry spans under the same id as the log (S26, S53)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.invoice_cases import mixed_rates
from house import TENANT, House, refused
from ladenbuch import inbox
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.telemetry import spans
from ladenbuch.telemetry.trace import bound

memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="extra `telemetry`")
UUID = "7b5c2f1e-9d4a-4a51-8a3e-0123456789ab"


@pytest.fixture
def exported() -> Iterator[Any]:
    exporter = memory.InMemorySpanExporter()
    spans.start_tracing(exporter)
    yield exporter
    spans.stop_tracing()


def test_the_trace_id_is_the_webhooks(exported: Any) -> None:
    with bound(trace=UUID), spans.span("settle", tenant="t1"), spans.span("sevdesk GET /Invoice"):
        spans.failed("HTTP-503")
    inner, outer = exported.get_finished_spans()
    assert {one.context.trace_id for one in (inner, outer)} == {uuid.UUID(UUID).int}
    assert inner.parent.span_id == outer.context.span_id
    assert (inner.status.description, inner.attributes["ladenbuch.code"]) == ("HTTP-503", "HTTP-503")


def test_two_pieces_of_one_work_on_two_threads_are_one_trace(exported: Any) -> None:
    for name in ("settle", "letter"):
        with bound(trace="poll-20261102T080000"), spans.span(name):
            pass
    first, second = exported.get_finished_spans()
    assert first.context.trace_id == second.context.trace_id
    assert first.parent.span_id == second.parent.span_id


def test_other_work_inside_a_span_is_another_trace(exported: Any) -> None:
    with bound(trace=UUID), spans.span("outer"), bound(trace="cli-1"), spans.span("inner"):
        pass
    inner, outer = exported.get_finished_spans()
    assert inner.context.trace_id != outer.context.trace_id


def test_nothing_is_made_while_it_is_off() -> None:
    with bound(trace=UUID), spans.span("settle"):
        spans.failed("X")


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UsageError, match="opentelemetry-exporter-otlp-proto-http"):
        spans.start_tracing()


def test_s26_a_run_is_one_trace_from_its_wish_to_its_last_call_and_quotes_nobody(exported: Any, tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from house import life

    house = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC))
    try:
        told = life(1001, house.clock.now() + timedelta(minutes=5), mixed_rates)
        house.shopify.load([told])
        house.clock.advance_to(told.events[-1].at)
        house.shopify.advance(house.clock.now())
        house.door.once("GET", "/Invoice", refused(500, "Erika Muster is not known"))
        mark, now = (TENANT, told.order_id), house.clock.now()
        house.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want_all(tx, [mark], now, traces={mark: UUID}))
        exported.clear()
        house.settle(told.order_id)
    finally:
        house.close()
    made = exported.get_finished_spans()
    mine = [one for one in made if one.context.trace_id == uuid.UUID(UUID).int]
    names = {one.name for one in mine}
    assert {"settle", "shopify order_head", "sevdesk POST /Invoice/Factory/saveInvoice"} <= names
    assert [one.status.description for one in mine if not one.status.is_ok and one.status.description] == ["HTTP-500"]
    assert not any(one.events for one in mine), "no exception is recorded"
    assert "Erika" not in "".join(one.to_json() for one in made)
