"""The Admin client against the Shopify simulator: every life of the wide mix is read completely (R19, facts 2, 5)."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from ladenbuch.shopify import oauth
from ladenbuch.shopify.admin import Admin, Call
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.shopify.webhooks import Event, verify
from ladenbuch.simulators import lives
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, Shop, ShopifySimulator

SHOP = "seifenladen.myshopify.com"
BASE = "http://shopify.test"
END = datetime(2026, 11, 20, tzinfo=UTC)


class World:
    """Simulator, client and clock in one thread."""

    def __init__(self, told: list[Any], *, scopes: tuple[str, ...] = DEFAULT_SCOPES) -> None:
        self.now = END + timedelta(minutes=1)
        self.slept = 0.0
        shop = Shop(SHOP, client_id="app", scopes=scopes)
        self.sim = ShopifySimulator(
            self.clock, client_secret="geheim", shops=[shop], webhooks={"orders/updated": "https://x.example.com"}
        )
        self.sim.load(told)
        self.sim.advance(self.now)
        http = httpx2.Client(transport=SimTransport([Route(BASE, self.sim)]))
        body = oauth.client_credentials_body("app", "geheim")
        answer = http.post(oauth.token_url(f"{BASE}/{SHOP}"), json=body)
        self.token = oauth.parse_token_response(answer.status_code, answer.content, self.now, expects="expiring")
        self.calls: list[Call] = []
        self.admin = Admin(
            SHOP,
            BASE + "/{shop}",
            lambda: self.token.access_token,
            http,
            sleep=self.sleep,
            clock=self.clock,
            on_call=self.calls.append,
            chance=lambda: 0.0,
        )

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += timedelta(seconds=seconds)


def told(orders: int, mix: str = "wide") -> list[lives.Life]:
    return lives.generate(7, orders, shop=SHOP, mix=mix, end=END, span=timedelta(days=50))


@pytest.fixture(scope="module")
def world() -> World:
    return World(told(220))


def test_every_order_of_the_wide_mix_is_read_without_gaps(world: World) -> None:
    final = {life.order_id: life.events[-1].snapshot for life in told(220)}
    for gid, snapshot in final.items():
        fetched = world.admin.fetch_order(gid)
        assert fetched.order is not None, fetched.reason
        assert fetched.order.gaps == ()
        assert fetched.envelope["warnings"] == []
        direct = order_from_envelope(snapshot)
        read = fetched.order
        assert [(a.id, a.sales) for a in read.agreements] == [(a.id, a.sales) for a in direct.agreements]
        assert read.payments == direct.payments
        assert read.lines == direct.lines
        assert read.shipping_lines == direct.shipping_lines
        assert [r.total for r in read.refunds] == [r.total for r in direct.refunds]
        assert read.foreign_money == direct.foreign_money
        assert (read.shipping_address, read.company, read.terms) == (
            direct.shipping_address,
            direct.company,
            direct.terms,
        )


def test_the_envelope_survives_json_and_gives_the_same_order(world: World) -> None:
    """`fetch ORDER --json` printed and read again."""
    fetched = world.admin.fetch_order(told(220)[0].order_id)
    again = json.loads(json.dumps(fetched.envelope, default=str))
    assert order_from_envelope(again) == fetched.order


def test_the_estimate_is_what_the_simulator_charges(world: World) -> None:
    """Two implementations of the same model, written apart."""
    world.admin.fetch_order(told(220)[0].order_id)
    world.admin.shop_settings()
    world.admin.installation()
    list(world.admin.orders_updated(END - timedelta(days=1), END))
    told_costs = {(call.document, call.estimated, call.cost.requested) for call in world.calls if call.cost.requested}
    assert {name for name, _, _ in told_costs} >= {"order_head", "shop_settings", "installation", "orders_updated"}
    assert [entry for entry in told_costs if entry[1] != entry[2]] == []
    assert max(estimated for name, estimated, _ in told_costs if name == "order_head") <= 150


def test_the_poll_finds_every_changed_order_in_order(world: World) -> None:
    found = list(world.admin.orders_updated(END - timedelta(days=60), world.now))
    assert {gid for gid, _ in found} == {life.order_id for life in told(220)}
    assert [at for _, at in found] == sorted(at for _, at in found)


def test_find_order_and_updated_at(world: World) -> None:
    life = told(220)[3]
    assert world.admin.find_order(life.name) == life.order_id
    assert world.admin.find_order(life.name[:-1]) != life.order_id
    order = world.admin.fetch_order(life.order_id).order
    assert order is not None
    assert world.admin.updated_at(life.order_id) == order.updated_at
    assert world.admin.fetch_order("gid://shopify/Order/1").reason == "NOT-FOUND"


def test_a_long_order_is_read_over_many_pages() -> None:
    life = next(item for item in told(220) if len(item.events[-1].snapshot["lineItems"]) == 1)
    snapshot = copy.deepcopy(life.events[-1].snapshot)

    def many(template: dict[str, Any], count: int) -> list[dict[str, Any]]:
        return [{**copy.deepcopy(template), "id": f"{template['id']}{n:03d}"} for n in range(count)]

    agreement = snapshot["agreements"][0]
    agreement["sales"] = many(agreement["sales"][0], 235)
    snapshot["agreements"] = [{**copy.deepcopy(agreement), "id": f"{agreement['id']}{n}"} for n in range(14)]
    snapshot["lineItems"] = many(snapshot["lineItems"][0], 230)
    for line in snapshot["lineItems"]:
        line["discountAllocations"] = []
    event = {"at": "2026-11-01T00:00:00Z", "topics": ["orders/create"], "snapshot": snapshot}
    shown = {"order_id": life.order_id, "name": life.name, "shop": SHOP, "label": {}, "events": [event]}
    world = World([shown])
    fetched = world.admin.fetch_order(life.order_id)
    assert fetched.order is not None
    assert fetched.order.gaps == ()
    assert [line.id for line in fetched.order.lines] == [line["id"] for line in snapshot["lineItems"]]
    assert [[s.id for s in a.sales] for a in fetched.order.agreements] == [
        [sale["id"] for sale in a["sales"]] for a in snapshot["agreements"]
    ]
    documents = [call.document for call in world.calls]
    assert documents.count("order_lines") == 3
    assert documents.count("order_agreements") == 2
    assert documents.count("agreement_sales") == 14 * 3


def test_missing_scopes_degrade_to_warnings() -> None:
    """Customer and payment terms: the rest of the order is still read, and says what it could not see."""
    shown = told(220)
    world = World(shown, scopes=("read_orders", "read_all_orders"))
    with_customer = next(life for life in shown if life.events[-1].snapshot.get("customer"))
    fetched = world.admin.fetch_order(with_customer.order_id)
    assert fetched.order is not None
    assert fetched.order.customer is None
    assert "order.customer" in fetched.envelope["warnings"]
    assert fetched.order.lines


def test_a_burst_waits_for_points_instead_of_being_throttled() -> None:
    shown = told(220)
    world = World(shown)
    for _ in range(3):
        for life in shown[:60]:
            world.admin.fetch_order(life.order_id)
    assert world.slept > 0
    assert [call.outcome for call in world.calls if call.outcome != "ok"] == []


def test_the_simulators_deliveries_are_genuine(world: World) -> None:
    deliveries = world.sim.due_deliveries(world.now)
    assert deliveries
    for delivery in deliveries[:20]:
        headers = dict(delivery.headers)
        assert verify("POST", headers, delivery.body, ["geheim"]).genuine
        event = Event.from_http(headers, delivery.body)
        assert event.order_id is not None
        assert event.flags == ()
