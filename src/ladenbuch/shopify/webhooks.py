"""Webhook deliveries without I/O: is it genuine, and which order is it about?

A delivery is a hint, never a command: nothing of its body is used but the order's id, and the order is fetched again
with the shop's own token. That also closes the hole that the shop's domain is not covered by the signature: a
replay under another shop's domain names an order that shop does not have.

Contract (Shopify's app review requires the 401): not POST 405 · no body, no signature 400 · wrong signature 401 ·
another required header missing 400, each named · otherwise 200, also for topics nobody knows: a 404 would only burn
Shopify's retries.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ladenbuch.errors import Rejected
from ladenbuch.shopify.shapes import instant
from ladenbuch.shopify.topics import COMPLIANCE
from ladenbuch.shopify.xml_body import looks_like_xml, to_json

Headers = Mapping[str, str] | Iterable[tuple[bytes, bytes]]
Kind = Literal["genuine", "method", "empty", "unsigned", "forged", "incomplete"]

_MAC = "hmac-sha256"
#: Required beside the signature, in the order they are named when missing.
REQUIRED = ("topic", "shop-domain", "api-version", "webhook-id")
_READ = frozenset((_MAC, *REQUIRED, "event-id", "triggered-at", "name"))

_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com", re.ASCII)
_LONGEST_HOST = 253

#: Old or mistaken names that people have in their configurations.
ALIASES = {"transactions/create": "order_transactions/create", "orders/update": "orders/updated"}

_ORDER_IS_ID = frozenset(
    (
        "orders/create",
        "orders/updated",
        "orders/paid",
        "orders/cancelled",
        "orders/delete",
        "orders/fulfilled",
        "orders/partially_fulfilled",
    )
)
_ORDER_IS_ORDER_ID = frozenset(
    (
        "refunds/create",
        "order_transactions/create",
        "tender_transactions/create",
        "fulfillments/create",
        "fulfillments/update",
        "disputes/create",
        "disputes/update",
        "payment_terms/create",
        "payment_terms/update",
        "payment_terms/delete",
    )
)
_ORDER_IS_NESTED = frozenset(
    (
        "returns/request",
        "returns/approve",
        "returns/decline",
        "returns/cancel",
        "returns/close",
        "returns/reopen",
        "returns/update",
        "returns/process",
    )
)
_WITHOUT_ORDER = frozenset(
    (
        "app/uninstalled",
        "app/scopes_update",
        "app_subscriptions/update",
        "app_subscriptions/approaching_capped_amount",
        "shop/update",
        "bulk_operations/finish",
        "payment_schedules/due",
        "inventory_levels/connect",
        "inventory_levels/update",
        "inventory_levels/disconnect",
        "inventory_items/create",
        "inventory_items/update",
        "inventory_items/delete",
        "locations/create",
        "locations/update",
        "locations/delete",
        "products/create",
        "products/update",
        "products/delete",
        "customers/update",
        "company_locations/create",
        "company_locations/update",
        "company_locations/delete",
        "draft_orders/create",
        "draft_orders/update",
        "draft_orders/delete",
    )
)
#: Topics that are not about an order and yet ask for something to be done.
ACTED_ON = COMPLIANCE | {
    "app/uninstalled",
    "app/scopes_update",
    "app_subscriptions/update",
    "app_subscriptions/approaching_capped_amount",
    "shop/update",
}
KNOWN = _ORDER_IS_ID | _ORDER_IS_ORDER_ID | _ORDER_IS_NESTED | {"orders/edited"} | COMPLIANCE | _WITHOUT_ORDER


class _ById(msgspec.Struct):
    id: int


class _ByOrderId(msgspec.Struct):
    order_id: int | None = None


class _ByEdit(msgspec.Struct):
    order_edit: _ByOrderId


class _ByOrder(msgspec.Struct):
    order: _ById


class _ByShop(msgspec.Struct):
    shop_domain: str | None = None


_BY_ID = msgspec.json.Decoder(_ById)
_BY_ORDER_ID = msgspec.json.Decoder(_ByOrderId)
_BY_EDIT = msgspec.json.Decoder(_ByEdit)
_BY_ORDER = msgspec.json.Decoder(_ByOrder)
_BY_SHOP = msgspec.json.Decoder(_ByShop)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer. `status` is the HTTP status for the sender, `reason` a sentence for the log."""

    kind: Kind
    status: int
    reason: str = ""

    @property
    def genuine(self) -> bool:
        """Whether the delivery may be accepted."""
        return self.kind == "genuine"


_GENUINE = Verdict("genuine", 200)


def verify(method: str, headers: Headers, body: bytes, secrets: Sequence[str]) -> Verdict:
    """Check a delivery against the app's client secret and, during a rotation, the previous one.

    `body` must be the bytes as received. Never raises; comparison is constant-time.
    """
    if method.upper() != "POST":
        return Verdict("method", 405, "only POST")
    return Told.of(_as_served(headers)).verdict(body, secrets)


def sign(body: bytes, secret: str) -> str:
    """The value of `X-Shopify-Hmac-Sha256` for this body: base64 of HMAC-SHA256 with the client secret."""
    return binascii.b2a_base64(_digest(secret, body), newline=False).decode("ascii")


def shop_domain(text: str) -> str | None:
    """`x.myshopify.com` in lower case when `text` is exactly such a host, else None. No scheme, path, port, user."""
    host = text.lower()
    # the Kelvin sign and its like become ASCII letters only when lowered
    if not text.isascii() or len(host) > _LONGEST_HOST or not _SHOP.fullmatch(host):
        return None
    return host


def normalise_topic(topic: str) -> str:
    """A topic in the form `orders/create`; aliases such as `transactions/create` are replaced (E10)."""
    lowered = topic.strip().lower()
    return ALIASES.get(lowered, lowered)


def order_key(topic: str) -> str | None:
    """Where a topic's payload names its order: `id`, `order_id`, …; None for topics that are about no order."""
    if topic in _ORDER_IS_ID:
        return "id"
    if topic in _ORDER_IS_ORDER_ID:
        return "order_id"
    if topic in _ORDER_IS_NESTED:
        return "order.id"
    return "order_edit.order_id" if topic == "orders/edited" else None


def enum_topic(topic: str) -> str:
    """The GraphQL name of a topic: `orders/create` is `ORDERS_CREATE`, `customer.tags_added` `CUSTOMER_TAGS_ADDED`."""
    return re.sub(r"[/.]", "_", normalise_topic(topic)).upper()


class Event(msgspec.Struct, frozen=True, gc=False):
    """One delivery. `webhook_id` is stable over its retries (the key for "seen before"); `event_id` only correlates.

    `order_id` is the order's gid, None when the topic is not about an order or the body does not say. `flags` are
    findings that do not refuse the delivery: `unknown-topic`, `malformed` (body unreadable or without the id its topic
    promises), `shop-mismatch` (a privacy topic whose body names another shop than the header), `triggered-at`
    (unreadable time). `body` is JSON, also of a delivery in XML. Its repr does not show the body.
    """

    webhook_id: str
    event_id: str | None
    topic: str
    shop: str
    api_version: str
    triggered_at: datetime | None
    name: str | None
    order_id: str | None
    body: bytes
    flags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Event({self.topic}, {self.shop}, {self.webhook_id}, {self.order_id}, {self.flags})"

    @classmethod
    def from_http(cls, headers: Headers, body: bytes) -> Event:
        """Read a delivery that `verify` found genuine. Raises `Rejected("WEBHOOK-HEADERS")` when a required header
        is missing and `Rejected("WEBHOOK-SHOP")` when the shop is not a myshopify.com domain."""
        return Told.of(_as_served(headers)).event(body)


class Told(msgspec.Struct, frozen=True, gc=False):
    """What the headers of one delivery say, read once: a busy shop's minute is made of this.

    `values` are the headers we read, by short name (`topic`, `hmac-sha256`, …); `shop` is the domain it claims to be
    from, None without one that could be a shop's; `missing` are required headers that are absent or empty.
    """

    values: dict[str, str]
    shop: str | None
    missing: tuple[str, ...]

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Told:
        """Both families are understood; `shopify-…` wins over `x-shopify-…`, the first over a repeat.

        Names are in lower case, as ASGI servers hand them over.
        """
        old: dict[str, str] = {}
        new: dict[str, str] = {}
        for name, value in headers:
            short = _OLD_FAMILY.get(name)
            if short is not None:
                if short not in old:
                    old[short] = value.decode("latin-1").strip()
                continue
            short = _NEW_FAMILY.get(name)
            if short is not None and short not in new:
                new[short] = value.decode("latin-1").strip()
        values = old | new if new else old
        claimed = values.get("shop-domain")
        missing = tuple([name for name in REQUIRED if not values.get(name)])
        return cls(values, shop_domain(claimed) if claimed else None, missing)

    @property
    def mac(self) -> str:
        """The signature as sent, empty without one."""
        return self.values.get(_MAC, "")

    def verdict(self, body: bytes, secrets: Sequence[str]) -> Verdict:
        """`verify` for a POST."""
        if not body:
            return Verdict("empty", 400, "the body is missing")
        if not self.mac:
            return Verdict("unsigned", 400, "the header X-Shopify-Hmac-Sha256 is missing")
        if not _signed(self.mac, body, secrets):
            return Verdict("forged", 401, "the signature is wrong")
        if self.missing:
            named = ", ".join(f"X-Shopify-{name.title()}" for name in self.missing)
            return Verdict("incomplete", 400, f"missing: {named}")
        if self.shop is None:
            return Verdict("incomplete", 400, "X-Shopify-Shop-Domain is not a shop's myshopify.com domain")
        return _GENUINE

    def event(self, body: bytes) -> Event:
        """`Event.from_http` for these headers; raises the same."""
        if self.missing:
            raise Rejected("WEBHOOK-HEADERS", f"missing: {', '.join(self.missing)}")
        shop = self.shop
        if shop is None:
            raise Rejected("WEBHOOK-SHOP", "not a myshopify.com domain")
        values = self.values
        topic = normalise_topic(values["topic"])
        if body[:1] != b"{" and looks_like_xml(body):  # nearly all begin so
            body = _as_json(body)
        order_id, flags = _subject(topic, shop, body)
        triggered_at, readable = _time(values.get("triggered-at"))
        if not readable:
            flags = (*flags, "triggered-at")
        return Event(
            values["webhook-id"],
            values.get("event-id") or None,
            topic,
            shop,
            values["api-version"],
            triggered_at,
            values.get("name") or None,
            order_id,
            body,
            flags,
        )


_OLD_FAMILY = {f"x-shopify-{short}".encode(): short for short in _READ}
_NEW_FAMILY = {f"shopify-{short}".encode(): short for short in _READ}


class _Moved(msgspec.Struct):
    kind: str = ""
    status: str = ""
    amount: str = "0"


class _Refund(msgspec.Struct):
    id: int = 0
    transactions: list[_Moved] = []


def refunded(body: bytes) -> tuple[str | None, int]:
    """The gid and the money of a `refunds/create` body, in minor units; (None, 0) where it is none."""
    try:
        found = msgspec.json.decode(body, type=_Refund)
        amounts = [Decimal(item.amount) for item in found.transactions if item.status == "success"]
        minor = [amount.scaleb(2) for amount in amounts]
    except (msgspec.MsgspecError, ArithmeticError):
        return None, 0
    if not found.id or any(amount != int(amount) for amount in minor):
        return None, 0
    return f"gid://shopify/Refund/{found.id}", sum(int(amount) for amount in minor)


def _as_served(headers: Headers) -> list[tuple[bytes, bytes]]:
    if isinstance(headers, Mapping):  # text that HTTP could not carry is no valid value of any header we read
        headers = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers.items()
        ]
    return [(name.lower(), value) for name, value in headers]


def _signed(mac: str, body: bytes, secrets: Sequence[str]) -> bool:
    try:
        claimed = binascii.a2b_base64(mac.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    if len(claimed) != 32:
        return False
    # An empty secret would let anybody sign. Stopping at the first that fits tells a sender which of our secrets he
    # holds, which he knows.
    return any(secret and hmac.compare_digest(_digest(secret, body), claimed) for secret in secrets)


def _digest(secret: str, body: bytes) -> bytes:
    keyed = _keyed(secret).copy()
    keyed.update(body)
    return keyed.finalize()


@lru_cache(maxsize=1024)
def _keyed(secret: str) -> HMAC:
    """HMAC-SHA256 with the key taken in; a copy per body saves two of four blocks and the set-up."""
    return HMAC(secret.encode(), SHA256())


def _subject(topic: str, shop: str, body: bytes) -> tuple[str | None, tuple[str, ...]]:
    """The order a body is about, and what is odd about it."""
    try:
        if topic in COMPLIANCE:
            named = _BY_SHOP.decode(body).shop_domain
            return None, () if named is None or named.lower() == shop else ("shop-mismatch",)
        if topic in _ORDER_IS_ID:
            found: int | None = _BY_ID.decode(body).id
        elif topic in _ORDER_IS_ORDER_ID:
            found = _BY_ORDER_ID.decode(body).order_id
        elif topic == "orders/edited":
            found = _BY_EDIT.decode(body).order_edit.order_id
        elif topic in _ORDER_IS_NESTED:
            found = _BY_ORDER.decode(body).order.id
        else:
            return None, () if topic in KNOWN else ("unknown-topic",)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ("malformed",)
    if found is None or not 0 < found < 2**63:
        return None, ("malformed",)
    return f"gid://shopify/Order/{found}", ()


def _as_json(body: bytes) -> bytes:
    """A body in XML as the JSON it would have been; unchanged, and so malformed, where it is none we read."""
    try:
        return to_json(body)
    except Rejected:
        return body


def _time(text: str | None) -> tuple[datetime | None, bool]:
    if not text:
        return None, True
    try:
        return instant(text, "triggered-at"), True
    except Rejected:
        return None, False
