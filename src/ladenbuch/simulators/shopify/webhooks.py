"""Webhooks out of the shop: subscriptions, signed deliveries, retries. No I/O; somebody else posts and
reports.

Facts 3.1 (headers), 3.2 (contract): only 2xx is success; 8 retries over about four hours, each with the
original payload to the original address; subscriptions made through the API are deleted after 8 consecutive
failures, app-specific ones never; no order is promised and nothing is guaranteed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import tomllib
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from ladenbuch.simulators.shopify.bodies import as_json, as_xml, trimmed
from ladenbuch.simulators.shopify.filtering import BadFilter, compile_filter, passes
from ladenbuch.simulators.shopify.world import ShopState, to_text
from ladenbuch.simulators.weather import Weather

DEFAULT_TOPICS = (
    "orders/create",
    "orders/updated",
    "orders/paid",
    "orders/edited",
    "orders/cancelled",
    "orders/fulfilled",
    "orders/delete",
    "refunds/create",
    "order_transactions/create",
    "app/uninstalled",
)
COMPLIANCE_TOPICS = ("customers/data_request", "customers/redact", "shop/redact")
# topic prefix -> scope needed to subscribe (facts 3.6); topics not named here need none
TOPIC_SCOPES = {
    "orders": "read_orders",
    "refunds": "read_orders",
    "order_transactions": "read_orders",
    "returns": "read_returns",
    "fulfillments": "read_fulfillments",
    "payment_terms": "read_payment_terms",
    "payment_schedules": "read_payment_terms",
    "products": "read_products",
    "customers": "read_customers",
    "disputes": "read_shopify_payments_disputes",
}
MAX_FAILURES = 8
#: Equal narrowed payloads that follow each other within this time are sent once (facts 3.2).
MERGED_SECONDS = 5.0
# 8 retries whose delays double and add up to four hours
RETRY_SECONDS = tuple(14_400 / 255 * 2**n for n in range(8))


class SubscriptionError(Exception):
    """A user error of a subscription mutation; `field` is the path Shopify would name."""

    def __init__(self, field: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.field = list(field)


@dataclass
class Delivery:
    """One POST to make at `due_at`: the original bytes and headers, whatever the attempt."""

    id: str
    shop: str
    uri: str
    topic: str
    headers: dict[str, str]
    body: bytes
    due_at: datetime
    attempt: int = 1
    subscription: str | None = None  # gid of an API-made subscription
    log: list[dict[str, Any]] = field(default_factory=list)
    state: str = "waiting"  # waiting | in_flight | delivered | given_up | dropped


def topic_of(enum: str) -> str:
    """``ORDER_TRANSACTIONS_CREATE`` -> ``order_transactions/create``."""
    known = {t.upper().replace("/", "_"): t for t in DEFAULT_TOPICS}
    if enum in known:
        return known[enum]
    group, _, action = enum.lower().rpartition("_")
    return f"{group}/{action}"


def _endpoint(uri: str) -> dict[str, str]:
    """An address in the older spelling, which Shopify's own libraries still ask for."""
    if uri.startswith("pubsub://"):
        project, _, topic = uri.removeprefix("pubsub://").partition(":")
        return {"__typename": "WebhookPubSubEndpoint", "pubSubProject": project, "pubSubTopic": topic}
    if uri.startswith("arn:"):
        return {"__typename": "WebhookEventBridgeEndpoint", "arn": uri}
    return {"__typename": "WebhookHttpEndpoint", "callbackUrl": uri}


def _check_filter(text: str | None) -> None:
    """Raises ValueError for an expression that is not taken; an empty one is none."""
    if text:
        try:
            compile_filter(text)
        except BadFilter as error:
            raise ValueError(
                f"The specified filter is invalid, please ensure you specify the field(s): {error}"
            ) from None


def sign(secret: str, body: bytes) -> str:
    """The value of X-Shopify-Hmac-Sha256: base64 of HMAC-SHA256 over the raw body (facts 3.3)."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


class Webhooks:
    """Subscriptions of all shops and their deliveries.

    `secret_of(shop domain)` names the signing secret; `retry_scale` shrinks the retry schedule for demos.
    """

    def __init__(
        self,
        secret_of: Callable[[str], str],
        *,
        api_version: str,
        weather: Weather | None,
        retry_scale: float,
        seed: int,
    ) -> None:
        self._secret_of = secret_of
        self._api_version = api_version
        self._weather = weather
        self.retry_scale = retry_scale
        self._random = random.Random(f"webhooks/{seed}")
        self._app: list[dict[str, Any]] = []  # for every shop: what the app's configuration file says
        self._merged: dict[tuple[str, str, str], tuple[bytes, datetime]] = {}
        self._api: dict[str, dict[str, dict[str, Any]]] = {}  # shop -> gid -> subscription
        self._failures: dict[str, int] = {}
        self._queue: list[tuple[datetime, int, Delivery]] = []
        self._open: dict[str, Delivery] = {}
        self._numbers = 0
        self.log: deque[Delivery] = deque(maxlen=50_000)

    # -- subscriptions

    def configure(self, subscriptions: Mapping[str, str | Sequence[str]]) -> None:
        """Replace the app-specific subscriptions: topic -> address, or addresses."""
        self._app = [
            {"topic": topic, "uri": uri}
            for topic, uris in subscriptions.items()
            for uri in ([uris] if isinstance(uris, str) else uris)
        ]

    def deploy(self, text: str) -> int:
        """Replace them by those of a ``shopify.app.toml``; returns their number.

        Raises ValueError where Shopify's command line would refuse the file.
        """
        data = tomllib.loads(text)
        base, webhooks = str(data.get("application_url", "")), data["webhooks"]
        if not re.fullmatch(r"\d{4}-(01|04|07|10)", str(webhooks.get("api_version"))):
            raise ValueError("webhooks.api_version")
        found: list[dict[str, Any]] = []
        for entry in webhooks.get("subscriptions", []):
            uri = re.sub(r"/+$", "", str(entry["uri"]))
            uri = base.rstrip("/") + uri if uri.startswith("/") else uri
            topics = [*entry.get("topics", []), *entry.get("compliance_topics", [])]
            if not topics or not re.match(r"https://|pubsub://|arn:aws:events:", uri):
                raise ValueError("webhooks.subscriptions")
            if unknown := set(entry.get("compliance_topics", [])) - set(COMPLIANCE_TOPICS):
                raise ValueError(f"compliance_topics: {sorted(unknown)}")
            _check_filter(entry.get("filter"))
            kept = {k: entry[k] for k in ("filter", "name") if k in entry}
            found += [
                {"topic": t, "uri": uri, "includeFields": entry.get("include_fields", []), **kept} for t in topics
            ]
        keys = [(s["topic"], s["uri"], s.get("filter")) for s in found]
        if len(set(keys)) != len(keys):
            raise ValueError("Multiple subscriptions with the exact same topic, uri, and filter")
        self._app = found
        return len(found)

    def app_made(self) -> list[dict[str, Any]]:
        """The app-specific subscriptions."""
        return list(self._app)

    def api_made(self, shop: str) -> list[dict[str, Any]]:
        """The shop's subscriptions made through the API; app-specific ones are never listed (facts 2.9)."""
        return list(self._api.get(shop, {}).values())

    def find(self, shop: str, gid: str) -> dict[str, Any] | None:
        """One API-made subscription."""
        return self._api.get(shop, {}).get(gid)

    def create(self, state: ShopState, topic: str, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Subscribe; raises SubscriptionError for a bad address, a taken name or address, or a missing
        scope.
        """
        self._numbers += 1
        gid = f"gid://shopify/WebhookSubscription/{900_000 + self._numbers}"
        scope = TOPIC_SCOPES.get(topic_of(topic).split("/")[0])
        if scope is not None and not state.granted(scope):
            raise SubscriptionError(["topic"], "You do not have access to this topic.")
        made = {
            "__typename": "WebhookSubscription",
            "id": gid,
            "topic": topic,
            "format": "JSON",
            "includeFields": [],
            "metafieldNamespaces": [],
            "apiVersion": {"handle": self._api_version, "displayName": self._api_version, "supported": True},
            "createdAt": to_text(now),
        }
        return self._store(state, gid, made, given, now)

    def update(self, state: ShopState, gid: str, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Change an API-made subscription; raises SubscriptionError when unknown or invalid."""
        known = self.find(state.shop.domain, gid)
        if known is None:
            raise SubscriptionError(["id"], "Webhook subscription does not exist")
        return self._store(state, gid, known, given, now)

    def _store(
        self, state: ShopState, gid: str, base: Mapping[str, Any], given: Mapping[str, Any], now: datetime
    ) -> dict[str, Any]:
        uri = given.get("uri") or given.get("callbackUrl") or base.get("uri")
        if not uri or not re.match(r"https?://|pubsub://|arn:aws:events:", uri):
            raise SubscriptionError(["webhookSubscription", "uri"], "Address is invalid")
        try:
            _check_filter(given.get("filter"))
        except ValueError as error:
            raise SubscriptionError(["webhookSubscription", "filter"], str(error)) from None
        name = given.get("name", base.get("name"))
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,50}", name):
            raise SubscriptionError(["webhookSubscription", "name"], "Name is invalid")
        for other in self.api_made(state.shop.domain):
            if other["id"] == gid:
                continue
            if (other["topic"], other["uri"]) == (base["topic"], uri):
                raise SubscriptionError(["webhookSubscription", "uri"], "Address for this topic has already been taken")
            if name is not None and other.get("name") == name:
                raise SubscriptionError(["webhookSubscription", "name"], "Name has already been taken")
        made = {**base, **{k: v for k, v in given.items() if v is not None}}
        made["filter"] = made.get("filter") or None
        made.update(uri=uri, callbackUrl=uri, endpoint=_endpoint(uri), name=name, updatedAt=to_text(now))
        self._api.setdefault(state.shop.domain, {})[gid] = made
        return made

    def delete(self, shop: str, gid: str) -> bool:
        """Remove an API-made subscription; False when there is none."""
        self._failures.pop(gid, None)
        return self._api.get(shop, {}).pop(gid, None) is not None

    def forget(self, shop: str) -> None:
        """The app is gone from a shop: what it subscribed there by the API ends, what was sent already does not."""
        for delivery in self._open.values():
            if delivery.shop == shop:
                delivery.subscription = None
        for gid in list(self._api.pop(shop, {})):
            self._failures.pop(gid, None)

    # -- deliveries

    def emit(self, shop: str, topic: str, payload: Mapping[str, Any], now: datetime, event_id: str) -> int:
        """Create the deliveries of one topic of one event; returns how many copies will arrive."""
        enum = topic.upper().replace("/", "_").replace(".", "_")
        targets = [s for s in self._app if s["topic"] == topic]
        targets += [s for s in self.api_made(shop) if s["topic"] == enum]
        copies = 0
        for target in targets:
            if not passes(target.get("filter"), payload):
                continue
            fields = target.get("includeFields") or ()
            sent = trimmed(payload, fields)
            xml = target.get("format") == "XML" and topic not in COMPLIANCE_TOPICS
            body = as_xml(topic, sent) if xml else as_json(sent)
            if fields and self._said_before(shop, topic, target["uri"], body, now):
                continue
            headers = self._headers(shop, topic, body, now, event_id, target.get("name"), xml=xml)
            copies += self._schedule(Delivery("", shop, target["uri"], topic, headers, body, now, 1, target.get("id")))
        return copies

    def _said_before(self, shop: str, topic: str, uri: str, body: bytes, now: datetime) -> bool:
        """Whether an equal payload has just been sent: then this one is merged with it and never comes."""
        key = (shop, topic, uri)
        last = self._merged.get(key)
        self._merged[key] = (body, now)
        return last is not None and last[0] == body and (now - last[1]).total_seconds() < MERGED_SECONDS

    def _headers(
        self, shop: str, topic: str, body: bytes, now: datetime, event_id: str, name: str | None, *, xml: bool = False
    ) -> dict[str, str]:
        nanoseconds = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}{self._random.randrange(1000):03d}Z"
        headers = {
            "Content-Type": "application/xml" if xml else "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(self._secret_of(shop), body),
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-API-Version": self._api_version,
            "X-Shopify-Webhook-Id": self.new_id(),
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Triggered-At": nanoseconds,
        }
        if name is not None:
            headers["X-Shopify-Name"] = name
        return headers

    def new_id(self) -> str:
        """A UUID from the seeded source, so that a run can be repeated."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _schedule(self, delivery: Delivery) -> int:
        delays = self._weather.decide_delivery().delays if self._weather is not None else (0.0,)
        if not delays:
            delivery.id, delivery.state = self.new_id(), "dropped"
            self.log.append(delivery)
        for delay in delays:
            copy = Delivery(
                self.new_id(),
                delivery.shop,
                delivery.uri,
                delivery.topic,
                delivery.headers,
                delivery.body,
                delivery.due_at + timedelta(seconds=delay),
                1,
                delivery.subscription,
            )
            self.log.append(copy)
            self._push(copy)
        return len(delays)

    def _push(self, delivery: Delivery) -> None:
        self._numbers += 1
        delivery.state = "waiting"
        self._open[delivery.id] = delivery
        heappush(self._queue, (delivery.due_at, self._numbers, delivery))

    def due(self, now: datetime) -> list[Delivery]:
        """The deliveries to post now, oldest first; each is handed out once until it is reported."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            delivery = heappop(self._queue)[2]
            delivery.state = "in_flight"
            found.append(delivery)
        return found

    def next_due(self) -> datetime | None:
        """When the next delivery is due, None when nothing waits."""
        return self._queue[0][0] if self._queue else None

    def in_flight(self) -> int:
        """Deliveries that are waiting or not yet reported."""
        return len(self._open)

    def report(self, delivery_id: str, status: int | None, now: datetime) -> None:
        """What came of a delivery: the HTTP status, or None for no answer in time. Raises KeyError when
        unknown.
        """
        delivery = self._open.pop(delivery_id)
        delivery.log.append({"at": now.isoformat(), "attempt": delivery.attempt, "status": status})
        if status is not None and 200 <= status < 300:
            delivery.state = "delivered"
            if delivery.subscription:
                self._failures[delivery.subscription] = 0
            return
        if delivery.subscription and self._failed(delivery.shop, delivery.subscription):
            delivery.state = "given_up"
            return
        if delivery.attempt > len(RETRY_SECONDS):
            delivery.state = "given_up"
            return
        wait = RETRY_SECONDS[delivery.attempt - 1] * self.retry_scale
        delivery.attempt += 1
        delivery.due_at = now + timedelta(seconds=wait)
        self._push(delivery)

    def _failed(self, shop: str, gid: str) -> bool:
        """Count a failure of an API-made subscription; True when it is gone (now or before)."""
        if self.find(shop, gid) is None:
            return True
        self._failures[gid] = self._failures.get(gid, 0) + 1
        if self._failures[gid] >= MAX_FAILURES:
            self.delete(shop, gid)
            return True
        return False
