"""The Shopify simulator's webhooks: payloads, signature, retries, subscriptions, weather (facts/shopify.md 3)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, print_ast, separate_operations

from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.shopify import Delivery, Shop, ShopifySimulator, create_app, deliver_forever
from ladenbuch.simulators.shopify.served import play
from ladenbuch.simulators.weather import Weather

SHOP = "seifenladen.myshopify.com"
SECRET = "geheim"
URI = "http://127.0.0.1:9/webhooks"
ORDER = "gid://shopify/Order/9007199254740993"  # more than a float can hold
DOCUMENTS = {
    name: print_ast(document)
    for name, document in separate_operations(
        parse((Path(__file__).resolve().parents[2] / "tools" / "admin_documents.graphql").read_text())
    ).items()
}


def bag(amount: str) -> dict[str, Any]:
    money = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": money, "presentmentMoney": money}


def payment(number: int, status: str = "SUCCESS", kind: str = "SALE") -> dict[str, Any]:
    return {
        "id": f"gid://shopify/OrderTransaction/{number}",
        "kind": kind,
        "status": status,
        "gateway": "bank_deposit",
        "amountSet": bag("11.90"),
        "processedAt": "2026-11-22T09:00:00Z",
    }


def snapshot(**more: Any) -> dict[str, Any]:
    return {
        "id": ORDER,
        "name": "#1000",
        "createdAt": "2026-11-22T09:00:00Z",
        "processedAt": "2026-11-22T09:00:00Z",
        "updatedAt": "2026-11-22T09:00:00Z",
        "currencyCode": "EUR",
        "displayFinancialStatus": "PAID",
        "tags": ["a", "b"],
        "note": "Größe ß €",
        "currentTotalPriceSet": bag("11.90"),
        "originalTotalPriceSet": bag("11.90"),
        "lineItems": [{"id": "gid://shopify/LineItem/5", "title": "Seife", "quantity": 1, "currentQuantity": 1}],
        "transactions": [payment(1)],
        **more,
    }


class World:
    def __init__(self, weather: Weather | None = None, retry_scale: float = 1.0, topics: tuple[str, ...] = ()) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)
        shop = Shop(SHOP, client_id="app")
        self.sim = ShopifySimulator(
            lambda: self.now, client_secret=SECRET, shops=[shop], weather=weather, retry_scale=retry_scale
        )
        self.sim.set_webhooks(URI, topics or ("orders/create", "orders/updated", "orders/paid"))

    def happens(self, *steps: tuple[dict[str, Any], tuple[str, ...]], number: int = 0) -> list[Delivery]:
        order_id = steps[0][0]["id"]
        events = [{"at": self.now, "topics": topics, "snapshot": shot} for shot, topics in steps]
        life = {"order_id": order_id, "name": "#1000", "shop": SHOP, "label": None, "events": events}
        self.sim.load([life])
        self.sim.advance(self.now)
        return self.sim.due_deliveries(self.now)

    def query(self, name: str, **variables: Any) -> dict[str, Any]:
        grant = {"grant_type": "client_credentials", "client_id": "app", "client_secret": SECRET}
        token = self.post(f"/{SHOP}/admin/oauth/access_token", grant, {})["access_token"]
        body = {"query": DOCUMENTS[name], "variables": variables}
        path = f"/{SHOP}/admin/api/2026-10/graphql.json"
        return self.post(path, body, {"x-shopify-access-token": token})

    def post(self, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        sent = {"content-type": "application/json", **headers}
        return json.loads(self.sim.handle(SimRequest("POST", path, [], sent, json.dumps(body).encode())).body)


# --- what is sent -----------------------------------------------------------------------------------------------


def test_a_delivery_is_signed_and_carries_the_documented_headers() -> None:
    """Facts 3.1, 3.3: base64 HMAC-SHA256 of the raw body; nanoseconds in Triggered-At; one Event-Id per event."""
    create, paid = World().happens((snapshot(), ("orders/create", "orders/paid")))
    expected = base64.b64encode(hmac.new(SECRET.encode(), create.body, hashlib.sha256).digest()).decode()
    headers = create.headers
    assert headers["X-Shopify-Hmac-Sha256"] == expected
    assert headers["X-Shopify-Topic"] == "orders/create"
    assert headers["X-Shopify-Shop-Domain"] == SHOP
    assert headers["X-Shopify-API-Version"] == "2026-10"
    assert re.fullmatch(r"2026-11-22T10:00:00\.\d{9}Z", headers["X-Shopify-Triggered-At"])
    assert headers["X-Shopify-Event-Id"] == paid.headers["X-Shopify-Event-Id"]
    assert headers["X-Shopify-Webhook-Id"] != paid.headers["X-Shopify-Webhook-Id"]
    assert "X-Shopify-Name" not in headers


def test_the_order_shape_has_integer_ids_money_strings_and_a_comma_string_of_tags() -> None:
    """Facts 3.2."""
    (delivery,) = World().happens((snapshot(), ("orders/create",)))
    payload = json.loads(delivery.body)
    assert payload["id"] == 9007199254740993
    assert payload["admin_graphql_api_id"] == ORDER
    assert payload["total_price"] == "11.90"
    assert payload["total_price_set"]["shop_money"] == {"amount": "11.90", "currency_code": "EUR"}
    assert payload["tags"] == "a, b"
    assert payload["financial_status"] == "paid"
    assert payload["line_items"][0]["id"] == 5
    assert "Größe ß €".encode() in delivery.body


def test_delete_sends_the_id_alone_and_the_order_is_gone() -> None:
    """Facts 3.2: orders/delete is `{id}`."""
    world = World(topics=("orders/delete",))
    (delivery,) = world.happens((snapshot(), ()), (snapshot(), ("orders/delete",)))
    assert json.loads(delivery.body) == {"id": 9007199254740993}
    assert world.query("OrderRefunds", id=ORDER)["data"]["order"] is None


def test_edited_sends_a_delta_envelope() -> None:
    """Facts 3.2 and section 6: the payload names the order and what changed, nothing more."""
    more = {"id": "gid://shopify/LineItem/6", "title": "Buch", "quantity": 1, "currentQuantity": 1}
    gone = {**snapshot()["lineItems"][0], "currentQuantity": 0}
    edit = {
        "__typename": "OrderEditAgreement",
        "id": "gid://shopify/SalesAgreement/3",
        "happenedAt": "2026-11-22T09:30:00Z",
        "sales": [],
    }
    after = snapshot(lineItems=[gone, more], agreements=[edit])
    world = World(topics=("orders/edited",))
    (delivery,) = world.happens((snapshot(), ()), (after, ("orders/edited",)))
    body = json.loads(delivery.body)["order_edit"]
    assert body["order_id"] == 9007199254740993
    assert body["line_items"] == {"additions": [{"id": 6, "delta": 1}], "removals": [{"id": 5, "delta": 1}]}


def test_only_settled_new_transactions_and_new_refunds_are_sent() -> None:
    """Facts 1.1: order_transactions/create fires for success, failure, error, never for pending."""
    world = World(topics=("order_transactions/create", "refunds/create"))
    topics = ("order_transactions/create", "refunds/create")
    refund = {
        "id": "gid://shopify/Refund/8",
        "createdAt": "2026-11-22T09:30:00Z",
        "transactions": [{"id": payment(2)["id"]}],
    }
    pending = snapshot(transactions=[payment(1, "PENDING")])
    paid = snapshot(transactions=[payment(1)])
    refunded = snapshot(transactions=[payment(1), payment(2, kind="REFUND")], refunds=[refund])
    assert world.happens((pending, topics)) == []
    (first,) = world.happens((paid, topics))
    assert json.loads(first.body)["id"] == 1
    assert json.loads(first.body)["status"] == "success"
    sent = {d.topic: json.loads(d.body) for d in world.happens((refunded, topics))}
    assert sent["order_transactions/create"]["kind"] == "refund"
    assert sent["refunds/create"]["order_id"] == 9007199254740993
    assert sent["refunds/create"]["transactions"][0]["amount"] == "11.90"
    assert world.happens((refunded, topics)) == []


def test_any_topic_can_be_sent_and_uninstalling_forgets_the_tokens() -> None:
    """Facts 3.6, 3.7: app/uninstalled and the compliance topics have payloads of their own."""
    world = World(topics=("shop/redact",))
    assert world.sim.send(SHOP, "shop/redact", {"shop_id": 1, "shop_domain": SHOP}) == 1
    (delivery,) = world.sim.due_deliveries(world.now)
    assert json.loads(delivery.body)["shop_domain"] == SHOP
    grant = {"grant_type": "client_credentials", "client_id": "app", "client_secret": SECRET}
    token = world.post(f"/{SHOP}/admin/oauth/access_token", grant, {})["access_token"]
    graphql, body = f"/{SHOP}/admin/api/2026-10/graphql.json", {"query": "{ shop { name } }"}
    assert "data" in world.post(graphql, body, {"x-shopify-access-token": token})
    world.post("/_control/send", {"shop": SHOP, "topic": "app/uninstalled", "payload": {"id": 1}}, {})
    assert "data" not in world.post(graphql, body, {"x-shopify-access-token": token})


def test_mark_as_paid_and_touch_echo_as_webhooks() -> None:
    """Facts 2.11: a write-back triggers our own subscriptions."""
    world = World(topics=("orders/updated", "orders/paid", "order_transactions/create"))
    world.happens((snapshot(displayFinancialStatus="PENDING", transactions=[payment(1, "PENDING")]), ()))
    world.query("MarkPaid", id=ORDER)
    assert sorted(d.topic for d in world.sim.due_deliveries(world.now)) == [
        "order_transactions/create",
        "orders/paid",
        "orders/updated",
    ]
    world.now += timedelta(minutes=1)
    world.sim.touch(ORDER)
    (delivery,) = world.sim.due_deliveries(world.now)
    assert json.loads(delivery.body)["updated_at"] == "2026-11-22T10:01:00Z"


# --- retries ----------------------------------------------------------------------------------------------------


def run_until_given_up(world: World, status: int | None) -> list[tuple[datetime, bytes, str]]:
    seen = []
    while (at := world.sim.next_delivery_at()) is not None:
        world.now = max(world.now, at)
        for delivery in world.sim.due_deliveries(world.now):
            seen.append((world.now, delivery.body, delivery.headers["X-Shopify-Webhook-Id"]))
            world.sim.report(delivery.id, status, world.now)
    return seen


@pytest.mark.parametrize("status", [None, 301, 401, 404, 500, 503])
def test_eight_retries_over_four_hours_with_the_original_payload(status: int | None) -> None:
    """Facts 3.2: everything but 2xx is a failure, redirects too; same bytes, same Webhook-Id."""
    world = World()
    (first,) = world.happens((snapshot(), ("orders/create",)))
    began = world.now
    world.sim.report(first.id, status, world.now)
    world.sim.touch(ORDER)  # the order moves on; the replay does not
    retries = [r for r in run_until_given_up(world, status) if r[2] == first.headers["X-Shopify-Webhook-Id"]]
    assert len(retries) == 8
    assert {body for _at, body, _id in retries} == {first.body}
    gaps = [b - a for (a, *_), (b, *_) in pairwise(retries)]
    assert all(later > earlier for earlier, later in pairwise(gaps))
    assert retries[-1][0] - began == timedelta(hours=4)


def test_a_success_ends_it_and_the_schedule_can_be_shrunk() -> None:
    world = World(retry_scale=1 / 3600)
    (first,) = world.happens((snapshot(), ("orders/create",)))
    world.sim.report(first.id, 500, world.now)
    began = world.now
    world.now += timedelta(seconds=1)
    (again,) = world.sim.due_deliveries(world.now)
    world.sim.report(again.id, 204, world.now)
    assert world.sim.next_delivery_at() is None
    assert world.now - began < timedelta(seconds=2)
    assert [d["state"] for d in world.sim.deliveries()] == ["delivered"]


def test_a_delivery_is_handed_out_once_until_it_is_reported() -> None:
    world = World()
    assert len(world.happens((snapshot(), ("orders/create",)))) == 1
    assert world.sim.due_deliveries(world.now + timedelta(days=1)) == []


# --- subscriptions made through the API -------------------------------------------------------------------------


def subscribe(world: World, topic: str = "ORDERS_UPDATED", **more: Any) -> dict[str, Any]:
    sub = {"uri": "https://ladenbuch.example/api", **more}
    return world.query("WebhookCreate", topic=topic, sub=sub)["data"]["webhookSubscriptionCreate"]


def test_api_made_subscriptions_are_listed_and_app_specific_ones_are_not() -> None:
    """Facts 2.9: the list query returns only shop-scoped ones; a name becomes X-Shopify-Name."""
    world = World()
    made = subscribe(world, name="laden-1")["webhookSubscription"]
    listed = world.query("WebhookList")["data"]["webhookSubscriptions"]["nodes"]
    assert [n["id"] for n in listed] == [made["id"]]
    assert listed[0]["apiVersion"]["handle"] == "2026-10"
    deliveries = world.happens((snapshot(), ("orders/updated",)))
    assert sorted(d.headers.get("X-Shopify-Name", "") for d in deliveries) == ["", "laden-1"]
    assert len({d.headers["X-Shopify-Webhook-Id"] for d in deliveries}) == 2
    changed = world.query("WebhookUpdate", id=made["id"], sub={"uri": "https://ladenbuch.example/neu"})
    assert changed["data"]["webhookSubscriptionUpdate"]["webhookSubscription"]["uri"].endswith("/neu")
    assert world.query("WebhookDelete", id=made["id"])["data"]["webhookSubscriptionDelete"]["userErrors"] == []
    assert world.query("WebhookList")["data"]["webhookSubscriptions"]["nodes"] == []


@pytest.mark.parametrize("more", [{"uri": "ftp://x"}, {"name": "a b"}, {}])
def test_bad_and_doubled_subscriptions_are_user_errors(more: dict[str, str]) -> None:
    world = World()
    subscribe(world)
    assert subscribe(world, **more)["userErrors"]


def test_eight_consecutive_failures_delete_an_api_made_subscription_only() -> None:
    """Facts 3.2: app-specific subscriptions stay."""
    world = World(topics=("orders/create",))
    subscribe(world)
    world.happens((snapshot(), ()))
    for n in range(8):
        assert len(world.query("WebhookList")["data"]["webhookSubscriptions"]["nodes"]) == 1, n
        world.sim.touch(ORDER)
        fresh = [d for d in world.sim.due_deliveries(world.now) if d.attempt == 1]
        world.sim.report(fresh[0].id, 500, world.now)
    assert world.query("WebhookList")["data"]["webhookSubscriptions"]["nodes"] == []
    assert len(world.happens((snapshot(), ("orders/create",)))) == 1


def test_a_success_in_between_starts_the_count_again() -> None:
    world = World(topics=("orders/create",))
    subscribe(world)
    world.happens((snapshot(), ()))
    for n in range(14):
        world.sim.touch(ORDER)
        fresh = [d for d in world.sim.due_deliveries(world.now) if d.attempt == 1]
        world.sim.report(fresh[0].id, 200 if n == 7 - 1 else 500, world.now)
    assert len(world.query("WebhookList")["data"]["webhookSubscriptions"]["nodes"]) == 1


# --- weather and serving ----------------------------------------------------------------------------------------


def test_storm_triples_reorders_and_drops() -> None:
    """The webhook weather of the storm: three copies of one Webhook-Id, delays up to 3 s, one in ten never."""
    world = World(Weather("storm", 7))
    world.happens((snapshot(), ()))
    for n in range(200):
        world.now += timedelta(milliseconds=n)
        world.sim.touch(ORDER)
    arrived = world.sim.due_deliveries(world.now + timedelta(seconds=4))
    copies = Counter(d.headers["X-Shopify-Webhook-Id"] for d in arrived)
    assert set(copies.values()) == {3}
    assert 5 <= 200 - len(copies) <= 45
    triggered = [d.headers["X-Shopify-Triggered-At"] for d in arrived]
    assert triggered != sorted(triggered)


def test_the_same_seed_gives_the_same_deliveries() -> None:
    """Ring 1 replays a seed: ids, tokens and weather come from it alone."""

    def run() -> list[dict[str, Any]]:
        world = World(Weather("storm", 3))
        world.happens((snapshot(), ("orders/create", "orders/paid")))
        return world.sim.deliveries()

    assert run() == run()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.005)


def wall() -> datetime:
    return datetime.now(UTC)


def test_the_runner_posts_what_is_due_and_survives_a_post_that_raises() -> None:
    """The async runner retries after a failure and after an exception of the transport."""
    sim = ShopifySimulator(wall, client_secret=SECRET, shops=[Shop(SHOP)], retry_scale=0.0001)
    sim.set_webhooks(URI, ["orders/create"])
    statuses: list[int | None] = [500, None]
    posted: list[str] = []

    async def post(delivery: Delivery) -> int | None:
        posted.append(delivery.headers["X-Shopify-Webhook-Id"])
        if len(posted) == 3:
            raise OSError("cut")
        return statuses.pop(0) if statuses else 200

    async def run() -> None:
        task = asyncio.create_task(deliver_forever(sim, post))
        event = {"at": "2026-11-22T09:00:00Z", "topics": ["orders/create"], "snapshot": snapshot()}
        sim.load([{"order_id": ORDER, "name": "#1000", "shop": SHOP, "label": None, "events": [event]}])
        sim.advance(wall())
        await until(lambda: sim.deliveries()[0]["state"] == "delivered")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert len(posted) == 4
    assert len(set(posted)) == 1


def test_play_compresses_days_and_stamps_the_real_instant() -> None:
    """Time compression: all events, in order, within the seconds asked for; polling by updated_at finds them."""
    sim = ShopifySimulator(wall, client_secret=SECRET, shops=[Shop(SHOP)])
    events = [
        {"at": f"2026-11-{day:02d}T09:00:00Z", "topics": [], "snapshot": snapshot(note=str(day))} for day in (1, 2, 20)
    ]
    sim.load([{"order_id": ORDER, "name": "#1000", "shop": SHOP, "label": None, "events": events}])
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    began = wall().replace(microsecond=0)
    asyncio.run(play(sim, 1900.0, sleep=sleep))
    assert [round(w, -1) for w in waits] == [100.0, 1900.0]
    truth = sim.truth()["orders"][0]
    assert truth["snapshot"]["note"] == "20"
    assert datetime.fromisoformat(truth["snapshot"]["updatedAt"]) >= began
    assert list(truth["fired_at"]) == ["0", "1", "2"]


def test_the_app_delivers_while_it_is_served() -> None:
    """Lifespan starts and stops the delivery task; control and webhooks work through ASGI."""
    sim = ShopifySimulator(wall, client_secret=SECRET, shops=[Shop(SHOP)])
    sim.set_webhooks(URI, ["orders/create"])
    posted: list[Delivery] = []

    async def post(delivery: Delivery) -> int | None:
        posted.append(delivery)
        return 200

    async def run() -> None:
        app = create_app(sim, post=post)
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        served = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
        await inbox.put({"type": "lifespan.startup"})
        assert (await outbox.get())["type"] == "lifespan.startup.complete"
        event = {"at": "2026-11-22T09:00:00Z", "topics": ["orders/create"], "snapshot": snapshot()}
        life = {"order_id": ORDER, "name": "#1000", "shop": SHOP, "label": None, "events": [event]}
        assert await call(app, "/_control/lives", [life]) == {"events": 1}
        assert await call(app, "/_control/play", {"seconds": 0.01}) == {"events": 1}
        await until(lambda: bool(posted))
        await inbox.put({"type": "lifespan.shutdown"})
        await served
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"

    asyncio.run(run())
    assert [d.topic for d in posted] == ["orders/create"]


async def call(app: Any, path: str, body: object) -> Any:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return json.loads(sent[1]["body"])


def test_an_address_is_shown_as_the_endpoint_shopifys_own_library_asks_for() -> None:
    """The Node library compares what exists by `endpoint`, which is deprecated but not gone."""
    world = World()
    addresses = ("https://app.example/hooks", "pubsub://project:topic", "arn:aws:events:eu-central-1::event-source/x/y")
    for uri in addresses:
        made = world.query("WebhookCreate", topic="ORDERS_CREATE", sub={"uri": uri})
        assert made["data"]["webhookSubscriptionCreate"]["userErrors"] == []
    edges = world.query("WebhookEndpoints")["data"]["webhookSubscriptions"]["edges"]
    assert [edge["node"]["endpoint"] for edge in edges] == [
        {"__typename": "WebhookHttpEndpoint", "callbackUrl": addresses[0]},
        {"__typename": "WebhookPubSubEndpoint", "pubSubProject": "project", "pubSubTopic": "topic"},
        {"__typename": "WebhookEventBridgeEndpoint", "arn": addresses[2]},
    ]
