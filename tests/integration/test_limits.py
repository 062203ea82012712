"""Twenty workers of one tenant against the simulated shop: nobody is THROTTLED (facts 5, S117, S119, S122, S125)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest

from acceptance.invoice_cases import mixed_rates
from house import SHOP as HOUSE_SHOP
from house import TENANT, House, life
from ladenbuch import inbox
from ladenbuch.bucket import Priority, Turn, working_as
from ladenbuch.db import Database, Store
from ladenbuch.errors import Retryable
from ladenbuch.shopify import oauth
from ladenbuch.shopify.admin import Admin, Call
from ladenbuch.simulators import lives
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.workflows.limits import Limits
from ladenbuch.workflows.poll import poll
from leaky import START, Time

SHOP = "seifenladen.myshopify.com"
BASE = "http://shopify.test"
END = datetime(2026, 11, 20, tzinfo=UTC)


class World:
    """The simulated shop and our client of it; a second passes in a fortieth of one."""

    SPEED = 40.0

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.sim = ShopifySimulator(self.clock, client_secret="geheim", shops=[Shop(SHOP, client_id="app")])
        told = lives.generate(7, 10, shop=SHOP, mix="domestic", end=END, span=timedelta(days=1))
        self.sim.load(told)
        self.sim.advance(self.clock())
        self.orders = [one.order_id for one in told]
        http = httpx2.Client(transport=SimTransport([Route(BASE, self.sim)], sleep=self.sleep))
        answer = http.post(oauth.token_url(f"{BASE}/{SHOP}"), json=oauth.client_credentials_body("app", "geheim"))
        token = oauth.parse_token_response(
            answer.status_code, answer.content, self.clock(), expects="expiring"
        ).access_token
        self.calls: list[Call] = []
        self._open = partial(
            Admin, SHOP, BASE + "/{shop}", lambda: token, http, clock=self.clock, on_call=self.calls.append
        )
        self.admin = self._open(sleep=self.sleep)

    def person(self) -> tuple[Admin, list[float]]:
        """Another client with the same budget, and how long it was made to wait (not what a busy machine adds)."""
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            self.sleep(seconds)

        return self._open(sleep=sleep, budget=self.admin.budget), slept

    def clock(self) -> datetime:
        return END + timedelta(minutes=1, seconds=(time.monotonic() - self._began) * self.SPEED)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.SPEED)

    def load(self, workers: int, seconds: float, priority: Priority = Priority.WEBHOOKS) -> Callable[[], None]:
        """So many threads read orders for that long; what comes back waits for their end."""
        until = self.clock() + timedelta(seconds=seconds)

        def work(number: int) -> None:
            with working_as(priority):
                while self.clock() < until:
                    try:
                        self.admin.fetch_order(self.orders[number % len(self.orders)])
                    except Retryable as error:  # our own line was too long
                        self.sleep(error.after or 1.0)

        pool = ThreadPoolExecutor(workers)
        running = [pool.submit(work, number) for number in range(workers)]

        def join() -> None:
            for one in running:
                one.result()
            pool.shutdown()

        return join


def test_s122_s48_twenty_workers_of_one_tenant_are_never_throttled() -> None:
    world = World()
    before = world.sim.stats()["points"]
    world.load(20, 60)()
    stats = world.sim.stats()
    assert stats["throttled"] == 0
    assert {call.outcome for call in world.calls} == {"ok"}
    assert stats["points"] - before > 60 * 100 * 0.2, "and the points are used"


def test_s117_the_plan_changes_while_they_work_and_is_known_at_once() -> None:
    world = World()
    join = world.load(4, 30)
    world.sleep(10)
    for plan, size in (("plus", (20000, 1000)), ("standard", (2000, 100))):
        world.sim.set_plan(SHOP, plan)
        before = len(world.calls)
        while world.admin.budget.size != size:
            assert len(world.calls) <= before + 4 + 2, "those under way, and two more"
            world.sleep(0.05)
    join()
    assert world.sim.stats()["throttled"] <= 2


def test_s125_a_person_waits_little_while_a_backfill_reads_everything() -> None:
    world = World()
    join = world.load(12, 40, Priority.BACKFILL)
    world.sleep(15)
    person, slept = world.person()
    waited = []
    for number in range(15):
        slept.clear()
        with working_as(Priority.INTERACTIVE):
            person.fetch_order(world.orders[number % 10])
        waited.append(sum(slept))
        world.sleep(1.0)
    join()
    assert sorted(waited)[13] < 2.0, "p95"
    assert world.sim.stats()["throttled"] == 0


def test_s119_the_used_share_follows_every_answer(house: House) -> None:
    shop = house.ladenbuch.shopify(TENANT)
    shop.shop_settings()
    assert shop.budget.used() < 0.01
    house.shopify.drain_bucket(HOUSE_SHOP)
    house.clock.sleep(5)
    shop.shop_settings()
    size, rate = shop.budget.size
    assert (size, rate) == (20000, 1000)
    assert shop.budget.used() == pytest.approx(1 - 5 * rate / size, abs=0.01)


def test_s125_the_poll_stands_behind_what_the_shop_told_us(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for tick in ("money_back.look_all", "payouts.look_at_payouts"):
        monkeypatch.setattr(f"ladenbuch.workflows.{tick}", lambda *_: 0)  # stand behind as well
    house.restart()
    budget = house.ladenbuch.shopify(TENANT).budget
    seen: dict[str, set[Priority]] = {"settle": set(), "poll": set()}
    now = "settle"
    enter = budget.enter

    def noted(cost: float, priority: Priority | None = None) -> Turn:
        turn = enter(cost, priority)
        seen[now].add(turn.priority)
        return turn

    monkeypatch.setattr(budget, "enter", noted)
    house.lived(mixed_rates)
    now = "poll"
    hearing = replace(house.ladenbuch.context, hears=True)
    poll(hearing, TENANT, house.clock.now() - timedelta(days=1))
    assert seen == {"settle": {Priority.WEBHOOKS}, "poll": {Priority.BACKFILL}}
    seen["poll"].clear()
    poll(house.ladenbuch.context, TENANT, house.clock.now() - timedelta(days=1))
    assert seen["poll"] == {Priority.WEBHOOKS}, "where nothing is told, the poll is all we hear"


def test_an_open_circuit_makes_orders_wait_and_lets_them_go_on_by_itself(house: House) -> None:
    """sevdesk is down for ten minutes: few calls are made, none is written twice, and nobody has to do anything."""
    down_until = house.clock.now() + timedelta(minutes=15)
    handle = house.door.handle
    tried = []

    def down(request: SimRequest) -> SimResponse:
        if house.clock.now() >= down_until:
            return handle(request)
        tried.append(house.clock.now())
        return SimResponse(503, {}, b"")

    house.door.handle = down  # type: ignore[method-assign]
    start = house.clock.now() + timedelta(minutes=5)
    told = [life(1001 + number, start, mixed_rates) for number in range(8)]
    pairs = [(TENANT, one.order_id) for one in told]
    house.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want_all(tx, pairs, start))
    house.live(*told)
    ended = house.ladenbuch.metrics.settles_total
    assert ended.labels("SEVDESK-BREAKER")._value.get() > 0, "postponed like any other Retryable"
    assert len(house.invoices()) == 8
    assert len(tried) < 40, "left alone while it was down"
    assert house.ladenbuch.limits.circuits()["sevdesk", "closed"] == 1


def test_shops_that_keep_their_books_in_one_account_share_its_rate(tmp_path: Path) -> None:
    time = Time()
    database = Database.open(data_dir=tmp_path)
    limits = Limits(database, time, time.sleep, "p", sevdesk_rate=10)
    one, two = limits.sevdesk("account 1"), limits.sevdesk("account 1")
    assert one is two
    for _ in range(60):
        one()
        two()
    assert (time.now - START).total_seconds() > 10.5
    assert limits.sevdesk("account 2") is not one
    partner = limits.partner("client")
    partner()
    assert set(limits.used()) == {"shopify", "sevdesk", "partner"}
    database.close()
