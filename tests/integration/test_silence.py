"""What nobody says becomes an alarm, and ends when somebody says it again (B11, S91, S93, S83, S156)."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from house import SHOP, TENANT, House, home, life, person
from ladenbuch import alarms, books, grants, inbox, tenants
from ladenbuch.bootstrap import side_by_side
from ladenbuch.cli import webhooks as commands
from ladenbuch.db import Database, Store, to_micros
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GOODS
from ladenbuch.simulators.shopify.queries import updated
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.poll import poll_all
from ladenbuch.workflows.silence import look_around
from ladenbuch.workflows.subscriptions import Place, Watch

PLACE = Place("https://books.example/webhooks", tuple(Settings.read({}).scopes))
NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


@pytest.fixture
def house(house: House) -> House:
    """The tenant is active since a day of the house's calendar, not of ours."""
    yesterday = house.clock.now() - timedelta(days=1)
    door = house.database.tenant(TENANT)
    door.run(Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "active", yesterday))
    return house


def bought(number: int, at: datetime) -> Any:
    """One order, paid at once."""

    def script(order: ShopOrder) -> None:
        order.billing = order.delivery = home("Erika", "Muster", "Hafenweg 3", "20457", "Hamburg")
        order.customer = person("Erika", "Muster")
        order.add(GOODS[190][0], 1)
        order.place()
        order.pay("shopify_payments")
        order.emit("orders/create")

    return life(number, at, script)


def open_kinds(house: House) -> set[str]:
    found = house.database.system("demo").read(Store.BOOKS, alarms.open_alarms)
    return {one.kind + (f" {one.subject}" if one.subject else "") for one in found}


def hearing(house: House) -> Context:
    """The context of a connector whose address Shopify knows."""
    return replace(house.ladenbuch.context, hears=True, begun=house.clock.now())


def orders(house: House, count: int, *, told: bool = False, first: int = 2000) -> None:
    """So many orders are placed, ten seconds apart; with `told`, a webhook tells of each."""
    for number in range(first, first + count):
        house.clock.advance(10)
        one = bought(number, house.clock.now())
        house.shopify.load([one])
        house.shopify.advance(house.clock.now(), stamp=True)
        if told:
            heard = inbox.Delivery(TENANT, f"w{number}", "orders/create", SHOP, house.clock.now(), b"{}", one.order_id)
            sealed = heard.sealed_by(house.ladenbuch.vault)
            house.database.tenant(TENANT).run(Store.INBOX, lambda tx, h=heard, s=sealed: inbox.record(tx, h, s))


# -- subscriptions -----------------------------------------------------------------------------------------------------


def test_s91_subscriptions_that_shopify_deleted_are_an_alarm_put_back_and_calm_again(house: House) -> None:
    """The alarm comes with the look that finds it, even though it is repaired by the same; it outlasts a flutter."""
    watch = Watch(house.ladenbuch.context, PLACE, timedelta(seconds=60))
    assert watch() > 0 and watch() == 0
    assert open_kinds(house) == set(), "a first registration is no alarm"
    for _ in range(3):
        house.shopify.delete_subscriptions(SHOP)
        house.clock.advance(60)
        assert watch() > 0
        assert open_kinds(house) == {"WEBHOOKS-DIFFER"}
        house.clock.advance(60)
        assert watch() == 0
    assert open_kinds(house) == {"WEBHOOKS-DIFFER"}, "deleted again and again is one alarm"
    house.clock.advance(300)
    watch()
    assert open_kinds(house) == set()
    chain = [one.event for one in _chain(house) if one.event.startswith("alarm")]
    assert chain == ["alarm.raised", "alarm.ended"]


def test_s91_what_we_want_otherwise_ourselves_is_no_alarm(house: House) -> None:
    ctx = house.ladenbuch.context
    Watch(ctx, PLACE)(), Watch(ctx, PLACE)()
    assert Watch(ctx, replace(PLACE, address="https://books.example/elsewhere"))() > 0
    assert open_kinds(house) == set()


def test_s91_a_look_costs_one_call_and_another_process_asks_nothing(house: House) -> None:
    ctx = house.ladenbuch.context
    watch, other = (Watch(replace(ctx, executor=name), PLACE, timedelta(seconds=60)) for name in ("a", "b"))
    watch(), watch()
    before = house.shopify.stats()["graphql"]
    house.clock.advance(60)
    watch(), other()
    assert house.shopify.stats()["graphql"] == before + 1


def test_s83_deliveries_of_another_version_are_an_alarm(house: House) -> None:
    watch = Watch(house.ladenbuch.context, replace(PLACE, api_version="2027-01"))
    watch(), watch()
    assert open_kinds(house) == {"WEBHOOKS-VERSION"}
    Watch(house.ladenbuch.context, PLACE)()
    assert open_kinds(house) == set()


# -- webhooks that do not come -----------------------------------------------------------------------------------------


def test_s91_changes_nobody_told_of_are_an_alarm_until_webhooks_come_again(house: House) -> None:
    ctx = hearing(house)
    orders(house, 4)
    house.clock.advance(25)
    assert poll_all(ctx) == 4, "nothing is missing: the poll found them"
    assert open_kinds(house) == {"WEBHOOKS-SILENT"}
    orders(house, 5, told=True, first=3000)
    house.clock.advance(25)
    poll_all(ctx)
    assert open_kinds(house) == set()


def test_without_an_address_of_ours_no_webhook_is_missed(house: House) -> None:
    """Poll mode: the whole shop is heard by the poll, and that is no alarm."""
    assert not house.ladenbuch.context.hears
    orders(house, 4)
    house.clock.advance(25)
    assert poll_all(house.ladenbuch.context) == 4
    assert open_kinds(house) == set()


def test_what_happened_before_anybody_listened_is_no_alarm(house: House) -> None:
    """After an outage of ours Shopify's retries come minutes later."""
    orders(house, 6)
    house.clock.advance(30)
    poll_all(hearing(house))
    assert open_kinds(house) == set()


def test_s93_our_own_figures_of_deliveries(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By topic how many and how late, and of how many changes nothing told; Shopify keeps its own for seven days."""
    monkeypatch.setattr(commands, "opened", lambda: nullcontext(house.ladenbuch))
    monkeypatch.setattr(commands, "utc_now", house.clock.now)
    orders(house, 3)
    orders(house, 1, told=True, first=3000)
    for number, late in enumerate(range(1, 101)):
        at = house.clock.now()
        heard = inbox.Delivery(TENANT, f"x{number}", "orders/paid", SHOP, at, b"{}", None, None, None,
                               at - timedelta(seconds=late))  # fmt: skip
        sealed = heard.sealed_by(house.ladenbuch.vault)
        house.database.tenant(TENANT).run(Store.INBOX, lambda tx, h=heard, s=sealed: inbox.record(tx, h, s))
    poll_all(house.ladenbuch.context)
    house.engine.wake("dispatch")
    house.engine.drain()
    assert commands.report(None, 30, as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["orders_changed"], figures["told"], figures["told_percent"]) == (4, 1, 25.0)
    assert figures["topics"] == [{"topic": "orders/paid", "deliveries": 100, "p50_s": 51.0, "p99_s": 100.0}]
    house.clock.advance(40 * 86400)
    commands.report(TENANT, 30, as_json=False)
    assert "no order changed" in capsys.readouterr().out


# -- the look around ---------------------------------------------------------------------------------------------------


def test_tokens_refused_are_an_alarm_and_stay_one_until_they_work(house: House) -> None:
    ctx, door = house.ladenbuch.context, house.database.tenant(TENANT)

    def lose(tx: Any) -> None:
        grants.put(tx, TENANT, "authorization_code", ["read_orders"], house.clock.now())
        grants.lose(tx, TENANT, "Shopify refuses the access token", house.clock.now())
        tenants.stop(tx, TENANT, "sevdesk refuses the token; connect the account again", house.clock.now())

    door.run(Store.BOOKS, lose)
    assert look_around(ctx) == 2 and look_around(ctx) == 0
    assert open_kinds(house) == {"TOKEN-REFUSED shopify", "TOKEN-REFUSED sevdesk"}
    door.run(Store.BOOKS, lambda tx: grants.put(tx, TENANT, "authorization_code", ["read_orders"], house.clock.now()))
    house.go()
    door.run(Store.BOOKS, lambda tx: tenants.go(tx, TENANT))
    look_around(ctx)
    assert open_kinds(house) == set()


def test_a_shop_that_cannot_be_polled_is_an_alarm_and_then_caught_up_with(house: House) -> None:
    ctx = replace(house.ladenbuch.context, begun=house.clock.now())
    poll_all(ctx)
    house.shopify.set_status(SHOP, 423)
    house.clock.advance(149)
    poll_all(ctx)
    look_around(ctx)
    assert open_kinds(house) == set()
    house.clock.advance(2)
    look_around(ctx)
    assert open_kinds(house) == {"POLL-STALE"}
    house.shopify.set_status(SHOP, None)
    orders(house, 2)
    assert poll_all(ctx) == 2
    look_around(ctx)
    assert open_kinds(house) == set()


def test_an_order_nobody_tries_is_an_alarm_after_the_time_that_was_set(house: House) -> None:
    ctx = replace(house.ladenbuch.context, begun=house.clock.now() - timedelta(hours=1))
    ctx = replace(ctx, thresholds=replace(ctx.thresholds, untried=timedelta(seconds=120)))
    now, door = house.clock.now(), house.database.tenant(TENANT)
    poll_all(ctx)
    door.run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, "gid://shopify/Order/1", now))
    for seconds, expected in ((119, set[str]()), (2, {"QUEUE-OLD"})):
        house.clock.advance(seconds)
        poll_all(ctx)
        look_around(ctx)
        assert open_kinds(house) == expected
    run = "main:1"
    door.run(
        Store.INBOX,
        lambda tx: inbox.claim(tx, TENANT, "gid://shopify/Order/1", run_id=run, executor="main", now=house.clock.now()),
    )
    look_around(ctx)
    assert open_kinds(house) == set()


def test_after_a_night_of_our_own_absence_nothing_is_an_alarm_before_it_was_tried(house: House) -> None:
    """A process that has just begun has not polled and tried nothing yet."""
    now = house.clock.now()
    poll_all(house.ladenbuch.context)
    house.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, "gid://shopify/Order/1", now))
    house.clock.advance(8 * 3600)
    look_around(replace(house.ladenbuch.context, begun=house.clock.now()))
    assert open_kinds(house) == set()


def test_a_version_shopify_no_longer_serves_is_an_alarm(house: House) -> None:
    """Facts 1.1: it answers by the oldest version it has, without an error. The alarm is the whole installation's."""
    admin = house.ladenbuch.shopify(TENANT)
    admin.shop_settings()
    ctx = house.ladenbuch.context
    assert look_around(ctx, house.ladenbuch._fallen) == 0
    versions = house.shopify._versions
    house.shopify._versions = ("2027-01",)
    admin.shop_settings()
    look_around(ctx, house.ladenbuch._fallen)
    (found,) = house.database.system("demo").read(Store.BOOKS, alarms.open_alarms)
    assert (found.kind, found.tenant, found.facts["found"]) == ("VERSION-FELL", alarms.HOUSE, "2027-01")
    house.shopify._versions = versions
    admin.shop_settings()
    look_around(ctx, house.ladenbuch._fallen)
    assert open_kinds(house) == set()


def test_nobody_is_alarmed_about_a_shop_that_left(house: House) -> None:
    ctx, door = house.ladenbuch.context, house.database.tenant(TENANT)
    facts = {"expected": 10, "read": 9}
    door.run(Store.BOOKS, lambda tx: alarms.raise_alarm(tx, TENANT, "BULK-COUNT", "orders", house.clock.now(), facts))
    assert open_kinds(house) == {"BULK-COUNT orders"}
    door.run(Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "uninstalled", house.clock.now()))
    look_around(ctx)
    assert open_kinds(house) == set()


def test_b11_a_busy_shop_that_sells_nothing_is_an_alarm(house: House) -> None:
    """Counted from the books: each hour against the same of the eight weeks before."""
    house.clock.advance(1260)  # it was counted when the process began
    now, table = house.clock.now(), books.orders
    at = [now - timedelta(weeks=week, minutes=15 + 3 * order) for week in range(1, 9) for order in range(480)]

    def write(tx: Any) -> None:
        same = {
            "tenant": TENANT, "name": "#1", "verdict": "documented", "total": 1, "currency": "EUR", "key_id": "k",
            "certificate": "{}", "snapshot": b"", "updated_at": 0, "settled_at": 0,
        }  # fmt: skip
        rows = [{**same, "order_id": f"o{n}", "processed_at": to_micros(one)} for n, one in enumerate(at)]
        tx.execute(sa.insert(table), rows)
        tenants.set_cut_off(tx, TENANT, now - timedelta(weeks=10))

    house.database.tenant(TENANT).run(Store.BOOKS, write)
    ctx = house.ladenbuch.context
    poll_all(ctx)
    look_around(ctx)
    assert open_kinds(house) == {"ORDERS-FEW"}


# -- turns -------------------------------------------------------------------------------------------------------------


def test_a_tenant_is_polled_by_one_of_many_processes(database: Database) -> None:
    """Another one waits for half an interval, the same one never; a clock that was set back waits for nobody."""
    door, half = database.tenant("t1"), timedelta(seconds=30)

    def turn(seconds: float, process: str | None) -> bool:
        now = NOW + timedelta(seconds=seconds)
        return door.run(Store.INBOX, lambda tx: inbox.take_turn(tx, "t1", "turn:poll", now, half, process))

    asked = [(0, "a"), (5, "b"), (6, "a"), (35, "b"), (36, "b"), (50, "a"), (66, "a"), (-999, "b")]
    assert [turn(*one) for one in asked] == [True, False, True, False, True, False, True, True]
    assert [turn(*one) for one in ((-998, None), (-960, None), (-959, None))] == [False, True, False]
    found = door.read(Store.INBOX, lambda tx: inbox.noted(tx, "turn:poll", "t1"))
    assert found == {"t1": NOW - timedelta(seconds=960)}


def test_s76_a_look_is_dated_by_the_shops_clock(house: House) -> None:
    """Two changes within one second, a look between them, and our clock five minutes ahead or behind: the second change
    is found by the next poll, and once it was, nothing is looked at without end."""
    for number, skew in enumerate((300, -300, 0)):
        house.shopify._clock = lambda s=skew: house.clock.now() - timedelta(seconds=s)
        house.clock.advance_to((house.clock.now() + timedelta(seconds=700)).replace(microsecond=100_000))
        one = bought(5000 + number, house.clock.now())
        house.shopify.load([one])
        house.shopify.step(stamp=True)
        assert poll_all(house.ladenbuch.context) == 1
        house.engine.wake("dispatch")
        house.engine.drain()
        assert _updated(house, one.order_id) is not None
        house.clock.advance(0.5)
        house.shopify._states[SHOP].change(
            one.order_id, lambda order: {**order, "tags": ["changed at the same second"]}
        )
        house.clock.advance(60)
        assert poll_all(house.ladenbuch.context) == 1, skew
        house.engine.wake("dispatch")
        house.engine.drain()
        house.clock.advance(60)
        assert poll_all(house.ladenbuch.context) == 0, skew


def test_s34_an_order_in_its_ladder_is_left_there_until_it_changes(house: House) -> None:
    """A poll asks once for each change; what fails is tried again when its ladder says, not with every poll."""
    house.clock.advance(60)
    one = bought(6000, house.clock.now())
    house.shopify.load([one])
    house.shopify.step(stamp=True)
    handle = house.door.handle
    house.door.handle = lambda request: SimResponse(503, {}, b"")  # type: ignore[method-assign]
    ctx, found = house.ladenbuch.context, []
    for _ in range(6):
        found.append(poll_all(ctx))
        house.engine.wake("dispatch")
        house.engine.drain()
        house.clock.advance(30)
    assert found == [1, 0, 0, 0, 0, 0]
    house.shopify.touch(one.order_id)
    assert poll_all(ctx) == 1, "a change may be what helps"
    house.door.handle = handle  # type: ignore[method-assign]
    house.settle(one.order_id)
    assert house.verdict(one.order_id)[0] == "documented"


def test_an_order_dated_into_the_future_hides_nothing(house: House) -> None:
    """The poll's place is never later than now by our clock."""
    ctx = house.ladenbuch.context
    house.clock.advance(60)
    for number, minutes in ((7000, 50), (7001, 0)):
        one = bought(number, house.clock.now())
        house.shopify.load([one])
        house.shopify.step(stamp=True)
        at = house.clock.now() + timedelta(minutes=minutes)
        house.shopify._states[SHOP].change(one.order_id, lambda order, at=at: updated(order, at))
        assert poll_all(ctx) >= 1, number
        house.clock.advance(900)


def test_a_shop_that_hangs_does_not_keep_the_others_waiting() -> None:
    """Polls run side by side: this would never end one after the other."""
    both = threading.Barrier(2, timeout=10)
    assert side_by_side([lambda: both.wait() >= 0, lambda: both.wait() >= 0, lambda: 7]) == [True, True, 7]
    assert side_by_side([]) == []


def _updated(house: House, order_id: str) -> Any:
    query = sa.select(books.orders.c.updated_at).where(books.orders.c.order_id == order_id)
    return house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(query).scalar())


def _chain(house: House) -> Any:
    from ladenbuch import audit

    return house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT))
