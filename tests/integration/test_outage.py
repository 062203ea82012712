"""Shopify or sevdesk is down for a day, over the end of a month: nothing lost, nobody hammered, the right months.

S108, S109: what happened meanwhile is found when the service is back. Judged by the independent auditor.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from chaos.simulation import GATEWAYS
from house import SHOP, TENANT, House
from ladenbuch import alarms, deadletters, inbox
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Store, Transaction
from ladenbuch.simulators.auditor import audit
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives import generate

#: The day that is lost ends a month.
START = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
PROFILE = {"letters": False, "tips": "taxed", "vouchers": "multi_purpose", "gateways": GATEWAYS}
DAY = timedelta(hours=24)
#: How many calls in an hour a service that is down may get: a probe is one, and the breaker lets one pass a minute.
MOST = 60


def silent(request: SimRequest) -> SimResponse:
    raise httpx2.ConnectError("simulated: nobody answers")


def unwell(request: SimRequest) -> SimResponse:
    return SimResponse(503, {}, b"")


class Outage:
    """A house whose ticks fire by themselves; `calls` are those to the service that is down, each with its hour."""

    def __init__(self, folder: Path, service: str, answer: Callable[[SimRequest], SimResponse]) -> None:
        self.house = House(folder, START, PROFILE)
        self.service = service
        self.calls: list[datetime] = []
        self._answer = answer
        target = self.house.door if service == "sevdesk" else self.house.shopify
        self._target, self._handle = target, target.handle

    def down(self) -> None:
        def counted(request: SimRequest) -> SimResponse:
            self.calls.append(self.house.clock.now())
            return self._answer(request)

        self._target.handle = counted  # type: ignore[method-assign]

    def up(self) -> None:
        self._target.handle = self._handle  # type: ignore[method-assign]

    def until(self, instant: datetime, every: float = 600) -> None:
        """Live on: polls and looks each `every` seconds, orders whenever one is due."""
        house, clock = self.house, self.house.clock
        look = clock.now()
        while clock.now() < instant:
            house.shopify.advance(clock.now())
            if clock.now() >= look:
                house.engine.wake("poll")
                look = clock.now() + timedelta(seconds=every)
            house.engine.wake("dispatch")
            house.engine.wake("services")
            house.engine.drain()
            due = house.database.system("health").read(Store.INBOX, inbox.next_due)
            soon = clock.now() + timedelta(seconds=1)
            clock.advance_to(min(instant, look, max(soon, due)) if due is not None else min(instant, look))

    def alarms(self) -> list[alarms.Alarm]:
        return self.house.database.system("operator").read(Store.BOOKS, lambda tx: alarms.open_alarms(tx))


def _given_up(tx: Transaction) -> list[str]:
    table = deadletters.dead_letters
    return list(tx.execute(sa.select(table.c.code).where(table.c.state == "open")).scalars())


@pytest.mark.parametrize(("service", "answer"), [("sevdesk", unwell), ("shopify", silent)])
def test_a_service_is_down_for_a_day(tmp_path: Path, service: str, answer: Callable[[SimRequest], SimResponse]) -> None:
    outage = Outage(tmp_path, service, answer)
    house, clock = outage.house, outage.house.clock
    lives = generate(7, 6, shop=SHOP, mix="domestic", end=START + timedelta(hours=20), span=timedelta(hours=19))
    house.shopify.load(lives)
    outage.until(START + timedelta(minutes=30))
    outage.down()
    heard: datetime | None = None
    while heard is None and clock.now() < START + timedelta(hours=6):  # looked at each minute, as a tick would
        outage.until(clock.now() + timedelta(minutes=10), every=60)
        heard = next((one.since for one in outage.alarms() if one.kind == "SERVICE-DOWN"), None)
    while clock.now() < START + DAY:
        outage.until(clock.now() + timedelta(minutes=30))
    assert heard is not None and outage.calls
    failing = sorted(outage.calls)[4]  # the fifth call in a row is the first that may tell
    assert heard - max(failing, outage.calls[0] + timedelta(seconds=60)) <= timedelta(minutes=2)

    # Nobody is hammered: by the hour, once the breaker is open.
    begun = outage.calls[0] + timedelta(hours=1)
    hours = [sum(begun + timedelta(hours=n) <= at < begun + timedelta(hours=n + 1) for at in outage.calls)
             for n in range(20)]  # fmt: skip
    assert max(hours) <= MOST, hours

    # What a person reads.
    web = TestClient(make_app(house.ladenbuch, "worker"), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 1))
    body = web.get("/readyz").json()
    assert service in body["stalled"]
    if service == "sevdesk":  # of what happened in a shop that does not answer nobody knows
        assert body["backlog"]["cause"] == "sevdesk-down" and "not before it is back" in body["backlog"]["sentence"]

    outage.up()
    back = clock.now()
    outage.until(back + timedelta(minutes=30), every=60)
    assert house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: _given_up(tx)) == []
    assert [one.kind for one in outage.alarms() if one.kind == "SERVICE-DOWN"] == []
    depth = house.database.system("health").read(Store.INBOX, lambda tx: inbox.depth(tx, clock.now()))
    assert (depth.waiting, depth.running) == (0, 0), "all settled within half an hour"
    truth = house.shopify.truth()
    rows = truth["orders"] if isinstance(truth, dict) else truth
    report = audit(rows, house.sevdesk.state(), [], note_prefix="s1", letters=())
    assert report.findings == []
    assert len(house.invoices()) >= 4
