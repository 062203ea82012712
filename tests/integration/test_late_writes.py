"""Writes that land after we hung up: later than any wait, they are named; a token that is refused stops all workers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx2

from acceptance.invoice_cases import mixed_rates
from house import TENANT, Answer, House, life
from ladenbuch import alarms
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN
from ladenbuch.workflows import lockout
from ladenbuch.workflows.reconcile import reconcile

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def test_r17_a_draft_that_lands_later_than_any_wait_is_named(tmp_path: Path) -> None:
    """R17: 90 seconds after the call, long after another one was posted: two sightings, then it goes."""
    house = House(tmp_path, START)

    def late(request: SimRequest, go: Answer) -> SimResponse:
        house._later(90, lambda: (go(request), None)[1])
        raise httpx2.ReadTimeout("simulated: no answer in time")

    house.door.once("POST", "saveInvoice", late)
    gid = house.lived(mixed_rates)
    assert house.verdict(gid) == ("documented", None) and len(house.invoices()) == 1
    house.clock.advance(120)
    house.engine.drain()
    assert sorted(row["number"] is None for row in house.invoices()) == [False, True], "it landed after all"
    seen = []
    for _ in range(4):
        house.clock.advance(1200)
        report = reconcile(house.ladenbuch.context, TENANT, date(2026, 11, 1), date(2026, 12, 1), fix=True, wait=1800.0)
        seen.append({item.discrepancy.sort: item.state for item in report.items})
    assert "leftover" in seen[0], seen
    assert len(house.invoices()) == 1, seen
    assert [row["number"] is not None for row in house.invoices()] == [True]


def test_s54_a_new_token_stops_all_workers_at_the_first_refusal(tmp_path: Path) -> None:
    """Many failing calls can get a token blocked: of twelve orders that are due, a few calls fail and no more."""
    house = House(tmp_path, START)
    told = [life(number, house.clock.now() + timedelta(seconds=5), mixed_rates) for number in range(3001, 3013)]
    house.shopify.load(told)
    house.clock.advance_to(max(one.events[-1].at for one in told))
    house.shopify.advance(house.clock.now())
    house.sevdesk.new_token("f" * 32)
    before = len(house.door.passed)
    for _ in range(20):
        house.engine.wake("poll")
        house.engine.wake("dispatch")
        house.engine.drain()
        house.clock.advance(60)
    assert 1 <= len(house.door.passed) - before <= 4
    door = house.database.tenant(TENANT)
    kinds = [one.kind for one in door.read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))]
    assert "TOKEN-REFUSED" in kinds
    house.sevdesk.new_token(DEFAULT_TOKEN)  # connected again
    house.clock.advance(900)
    assert lockout.let_in(house.ladenbuch.context, TENANT, by="test")
    for _ in range(10):
        house.engine.wake("dispatch")
        house.engine.drain()
        house.clock.advance(60)
    assert len(house.invoices()) == 12
    assert {house.verdict(one.order_id) for one in told} == {("documented", None)}
