"""Our clock is off: drafts go on, numbers wait, a person hears of it; by itself it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from acceptance.invoice_cases import mixed_rates
from house import TENANT, House, life
from ladenbuch import alarms, inbox
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Store

#: Half past eleven in the evening in Berlin: a clock that is an hour ahead has the next day.
START = datetime(2026, 11, 2, 22, 30, tzinfo=UTC)


@pytest.fixture
def late(tmp_path: Path) -> House:
    return House(tmp_path, START)


def turn(house: House, seconds: float = 0) -> None:
    """Time passes, and the connector does what it does in it."""
    house.clock.advance(seconds)
    for tick in ("poll", "clock", "dispatch"):
        house.engine.wake(tick)
    house.engine.drain()


def order(house: House, number: int) -> str:
    told = life(number, house.clock.now() + timedelta(seconds=1), mixed_rates)
    house.shopify.load([told])
    house.clock.advance_to(told.events[-1].at)
    house.shopify.advance(house.clock.now())
    return told.order_id


def opened(house: House) -> list[alarms.Alarm]:
    return house.database.system("operator").read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, alarms.HOUSE))


@pytest.mark.parametrize("skew", [3600, -7200])
def test_numbers_wait_while_our_clock_is_off_and_follow_by_themselves(late: House, skew: int) -> None:
    """R9: dates are those of everybody's clock, also on drafts made meanwhile; no number, then each once."""
    web = TestClient(make_app(late.ladenbuch, "worker"), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 1))
    for _ in range(3):
        turn(late, 20)
    late.skew = timedelta(seconds=skew)
    gid = order(late, 1001)
    turn(late, 20)
    assert [row["status"] for row in late.invoices()] == [100], "a draft"
    assert {row["number"] for row in late.invoices()} == {None}
    assert late.verdict(gid)[1] == "CLOCK-OFF"
    assert late.invoices()[0]["date"][:10] == "2026-11-02"
    (alarm,) = opened(late)
    assert (alarm.kind, alarm.subject) == ("CLOCK-OFF", "main")
    assert abs(int(str(alarm.facts["seconds"])) - skew) < 5
    answer = web.get("/readyz")
    assert answer.status_code == 503 and answer.json()["code"] == "CLOCK-OFF"
    assert ("ahead of" if skew > 0 else "behind") in answer.json()["why"]

    late.skew = timedelta(0)
    turn(late, 20)
    turn(late, 5)
    assert [row["number"] is not None for row in late.invoices()] == [True]
    assert late.verdict(gid) == ("documented", None)
    assert len(late.invoices()) == 1 and late.invoices()[0]["date"][:10] == "2026-11-02"
    assert opened(late) == []
    assert web.get("/readyz").status_code == 200


def test_one_wrong_date_of_one_service_stops_nothing(late: House) -> None:
    for _ in range(3):
        turn(late, 20)
    handle = late.shopify.handle
    once = [True]

    def wrong(request):  # type: ignore[no-untyped-def]
        answer = handle(request)
        if once.pop() if once else False:
            answer.headers["date"] = "Mon, 02 Nov 2020 00:00:00 GMT"
        return answer

    late.shopify.handle = wrong  # type: ignore[method-assign]
    gid = order(late, 1002)
    turn(late, 20)
    assert not once
    assert late.verdict(gid) == ("documented", None) and opened(late) == []


def test_the_alarm_of_a_process_that_is_gone_ends(late: House) -> None:
    def raised(tx):  # type: ignore[no-untyped-def]
        facts = {"process": "other", "seconds": "+90"}
        alarms.raise_alarm(tx, alarms.HOUSE, "CLOCK-OFF", "other", late.clock.now(), facts)

    late.database.system("clock").run(Store.BOOKS, raised)
    turn(late, 60)
    assert [one.subject for one in opened(late)] == ["other"]
    turn(late, 900)
    turn(late, 900)
    assert opened(late) == []


def test_what_a_fast_clock_put_off_is_due_when_it_is_right(late: House) -> None:
    """A retry in ten seconds by a clock two hours ahead would come two hours late."""
    now = late.clock.now()
    door = late.database.tenant(TENANT)
    for number, seconds in ((1, 7210), (2, 9000)):
        due = now + timedelta(seconds=seconds)
        door.run(Store.INBOX, lambda tx, n=number, d=due: inbox.want(tx, TENANT, f"gid://shopify/Order/{n}", now, d))  # type: ignore[misc]
    system = late.database.system("clock")
    moved = system.run(Store.INBOX, lambda tx: inbox.bring_forward(tx, now, now + timedelta(hours=2.1)))
    assert moved == 1
