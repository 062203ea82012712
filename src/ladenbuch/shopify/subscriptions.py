"""Which webhooks we want, what Shopify has, and what has to change: values and pure functions, no I/O.

    wanted(address, granted)     what should be subscribed in a shop with these scopes: the one place that says so
    changes(wanted, actual)      the mutations that make one out of the other; none when they agree

Two kinds exist, and a topic must never be subscribed in both, or everything comes twice (facts 3.5):

    app    in the app's configuration file, for every shop that installs it; survives failing deliveries
    shop   by the Admin API, in one shop; deleted by Shopify after eight failures in a row

The privacy topics can only be of the first kind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import filters
from ladenbuch.shopify.oauth import missing_scopes
from ladenbuch.shopify.topics import COMPLIANCE, SUBSCRIBABLE, of_enum
from ladenbuch.shopify.webhooks import enum_topic

Format = Literal["JSON", "XML"]
Kind = Literal["app", "shop"]

#: What an order's webhook brings: the id, and what makes two payloads differ. Shopify merges equal payloads that follow
#: each other quickly, so without `updated_at` changes would vanish (facts 3.2). Nobody's name or address is among them.
ORDER_FIELDS = (
    "id",
    "updated_at",
    "financial_status",
    "fulfillment_status",
    "cancelled_at",
    "current_total_price",
    "total_outstanding",
)


class Topic(NamedTuple):
    """A topic we listen to, the scope it needs (None: none) and the fields we have sent, all of them where empty."""

    name: str
    scope: str | None
    fields: tuple[str, ...] = ()


#: Facts 3.6. Only the order shape is cut down: a refund's transactions say what an order we may not read any more lost.
TOPICS = (
    Topic("orders/create", "read_orders", ORDER_FIELDS),
    Topic("orders/updated", "read_orders", ORDER_FIELDS),
    Topic("orders/paid", "read_orders", ORDER_FIELDS),
    Topic("orders/cancelled", "read_orders", ORDER_FIELDS),
    Topic("orders/fulfilled", "read_orders", ORDER_FIELDS),
    Topic("orders/partially_fulfilled", "read_orders", ORDER_FIELDS),
    Topic("orders/edited", "read_orders"),
    Topic("orders/delete", "read_orders"),
    Topic("refunds/create", "read_orders"),
    Topic("order_transactions/create", "read_orders"),
    Topic("returns/approve", "read_orders"),
    Topic("returns/cancel", "read_orders"),
    Topic("returns/close", "read_orders"),
    Topic("returns/reopen", "read_orders"),
    Topic("fulfillments/create", "read_fulfillments"),
    Topic("fulfillments/update", "read_fulfillments"),
    Topic("payment_terms/create", "read_payment_terms"),
    Topic("payment_terms/update", "read_payment_terms"),
    Topic("disputes/create", "read_shopify_payments_disputes"),
    Topic("disputes/update", "read_shopify_payments_disputes"),
    Topic("app/uninstalled", None),
    Topic("app/scopes_update", None),
    Topic("app_subscriptions/update", None),
    Topic("app_subscriptions/approaching_capped_amount", None),
    Topic("shop/update", None),
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)
_FIELD = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic to one address. `topic` as in headers, `filter` None for everything, `include_fields` empty for all.

    Refuses to exist when Shopify would not take it: Rejected("SUBSCRIPTION") names what is wrong, a bad filter has the
    codes of `filters`.
    """

    topic: str
    uri: str
    filter: str | None = None
    include_fields: tuple[str, ...] = ()
    format: Format = "JSON"
    name: str | None = None
    metafield_namespaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.topic not in SUBSCRIBABLE | COMPLIANCE:
            raise Rejected("SUBSCRIPTION", f"there is no topic {self.topic[:60]!r}")
        if self.format not in ("JSON", "XML"):
            raise Rejected("SUBSCRIPTION", f"the format is JSON or XML, not {str(self.format)[:20]!r}")
        if problem := address_problem(self.uri):
            raise Rejected("SUBSCRIPTION", problem)
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise Rejected("SUBSCRIPTION", "a name has at most 50 letters, digits, _ and -")
        if bad := [field for field in self.include_fields if not _FIELD.fullmatch(field)]:
            raise Rejected("SUBSCRIPTION", f"{bad[0][:60]!r} is no field of a payload (small letters, _ and dots)")
        if self.compliance and (self.filter or self.include_fields or self.format != "JSON"):
            raise Rejected("SUBSCRIPTION", f"{self.topic} is always sent whole and as JSON")
        if self.filter is not None:
            filters.parse(self.filter)

    @property
    def compliance(self) -> bool:
        """Whether it is one of the three privacy topics."""
        return self.topic in COMPLIANCE

    def to_input(self) -> dict[str, Any]:
        """`WebhookSubscriptionInput`. Everything is said, also what is empty: an update then clears what was there."""
        return {
            "uri": self.uri,
            "format": self.format,
            "filter": self.filter or "",
            "includeFields": list(self.include_fields),
            "metafieldNamespaces": list(self.metafield_namespaces),
            "name": self.name,
        }

    @classmethod
    def from_input(cls, topic: str, given: Mapping[str, Any]) -> Subscription:
        """The subscription an enum topic and a `WebhookSubscriptionInput` (or a node of the list) describe.

        Raises Rejected("SUBSCRIPTION") for an unknown topic or format.
        """
        return cls(
            of_enum(topic) or topic,
            str(given.get("uri") or ""),
            given.get("filter") or None,
            tuple(given.get("includeFields") or ()),
            given.get("format") or "JSON",
            given.get("name") or None,
            tuple(given.get("metafieldNamespaces") or ()),
        )

    @property
    def enum(self) -> str:
        """The topic's name in GraphQL."""
        return enum_topic(self.topic)


class Actual(NamedTuple):
    """What Shopify says of a subscription. Kept as it was told: it may be one that we would refuse to make."""

    id: str
    topic: str
    uri: str
    filter: str | None
    include_fields: tuple[str, ...]
    format: str
    name: str | None
    metafield_namespaces: tuple[str, ...]
    api_version: str | None

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Actual:
        """A node of the list. Raises Retryable("SHOPIFY-PARTIAL") without id, topic or address."""
        id, topic, uri = (node.get(key) for key in ("id", "topic", "uri"))
        if not (isinstance(id, str) and isinstance(topic, str) and isinstance(uri, str)):
            raise Retryable("SHOPIFY-PARTIAL", "a webhook subscription came without id, topic or address")
        return cls(
            id,
            of_enum(topic) or topic,
            uri,
            node.get("filter") or None,
            tuple(node.get("includeFields") or ()),
            str(node.get("format") or "JSON"),
            node.get("name") or None,
            tuple(node.get("metafieldNamespaces") or ()),
            (node.get("apiVersion") or {}).get("handle"),
        )

    def differs(self, wanted: Subscription) -> tuple[str, ...]:
        """What is not as wanted, by the names of configuration files; order within lists means nothing."""
        pairs = (
            ("filter", self.filter, wanted.filter),
            ("include_fields", sorted(self.include_fields), sorted(wanted.include_fields)),
            ("format", self.format, wanted.format),
            ("name", self.name, wanted.name),
            ("metafield_namespaces", sorted(self.metafield_namespaces), sorted(wanted.metafield_namespaces)),
        )
        return tuple(name for name, mine, theirs in pairs if mine != theirs)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `verb` says what mends it, `sentence` what it is.

    create    `wanted` is missing                    delete    `actual` is wanted by nobody
    update    `actual` differs in `fields`           replace   the address changed: made anew, then the old one deleted
    """

    verb: Literal["create", "update", "replace", "delete"]
    topic: str
    sentence: str
    wanted: Subscription | None = None
    actual: Actual | None = None
    fields: tuple[str, ...] = ()


def address_problem(uri: str) -> str | None:
    """What is wrong with a delivery address, None when Shopify takes it: HTTPS, Pub/Sub or an EventBridge ARN.

    Plain HTTP is taken on this machine alone, where only a stand-in for Shopify can deliver to.
    """
    if re.fullmatch(r"pubsub://[^:/\s]+:[^\s]+", uri) or re.fullmatch(
        r"arn:aws:events:[a-z0-9-]+::event-source/aws\.partner/shopify\.com(\.test)?/\d+/\S+", uri
    ):
        return None
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return f"{uri[:100]!r} is no address"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        return f"{uri[:100]!r} does not begin with https://"
    if not host or re.search(r"\s", uri) or parts.username is not None or parts.fragment:
        return f"{uri[:100]!r} is no address that can be delivered to"
    return None


def wanted(
    address: str,
    granted: Iterable[str],
    *,
    kind: Kind = "app",
    orders_filter: str | None = None,
    topics: Sequence[Topic] = TOPICS,
) -> tuple[Subscription, ...]:
    """Everything that should be subscribed to `address` in a shop that granted these scopes, in a stable order.

    Topics whose scope is missing are left out. The privacy topics come with `app` only. `orders_filter` holds for all
    topics with the payload of an order; the fields it looks at are sent too. Raises Rejected like `Subscription`.
    """
    have = list(granted)
    looked_at: list[str] = []
    if orders_filter:
        looked_at = sorted({".".join(term.path) for term in filters.parse(orders_filter).terms()})
    found: list[Subscription] = []
    for topic in topics:
        if topic.scope is not None and missing_scopes(have, [topic.scope]):
            continue
        narrowed = bool(topic.fields)
        found.append(
            Subscription(
                topic.name,
                address,
                orders_filter if narrowed and orders_filter else None,
                tuple(dict.fromkeys((*topic.fields, *looked_at))) if narrowed else (),
                name=_name(topic.name, address, kind),
            )
        )
    if kind == "app":
        found += [Subscription(topic, address) for topic in sorted(COMPLIANCE)]
    return tuple(found)


def left_out(granted: Iterable[str], topics: Sequence[Topic] = TOPICS) -> dict[str, list[str]]:
    """Scope that was not granted -> topics we therefore do not hear of."""
    have, found = list(granted), dict[str, list[str]]()
    for topic in topics:
        if topic.scope is not None and missing_scopes(have, [topic.scope]):
            found.setdefault(topic.scope, []).append(topic.name)
    return found


def beyond(wanted: Sequence[Subscription], file: Sequence[Subscription]) -> tuple[Subscription, ...]:
    """What of `wanted` the app's configuration file does not bring already, so that nothing comes twice."""
    brought = {item.topic for item in file}
    return tuple(item for item in wanted if item.topic not in brought)


def changes(wanted: Sequence[Subscription], actual: Sequence[Actual]) -> tuple[Change, ...]:
    """What makes `actual`, a shop's own subscriptions, the same as `wanted`; empty when they are.

    All of `actual` belongs to this app, because Shopify shows an app no others; so what nobody wants is stale. Privacy
    topics are never created here. First what is missing, then what differs, then what goes.
    """
    made: list[Change] = []
    mended: list[Change] = []
    left = list(actual)
    for want in wanted:
        if want.compliance:
            continue
        same = [have for have in left if have.topic == want.topic and have.uri == want.uri]
        moved = [have for have in left if have.topic == want.topic and have.uri != want.uri]
        if same:
            best = min(same, key=lambda have: (len(have.differs(want)), have.id))
            left.remove(best)
            if fields := best.differs(want):
                said = f"{want.topic}: {', '.join(fields)} not as wanted"
                mended.append(Change("update", want.topic, said, want, best, fields))
        elif moved:
            left.remove(moved[0])
            said = f"{want.topic}: delivered to {moved[0].uri}, wanted at {want.uri}"
            mended.append(Change("replace", want.topic, said, want, moved[0], ("uri",)))
        else:
            made.append(Change("create", want.topic, f"{want.topic}: not subscribed", want))
    known = {want.topic for want in wanted}
    gone = [
        Change("delete", have.topic, f"{have.topic}: {_why(have, known)}", None, have)
        for have in sorted(left, key=lambda have: (have.topic, have.id))
    ]
    return (*made, *mended, *gone)


def unlike(wanted: Sequence[Subscription], found: Sequence[Subscription]) -> tuple[str, ...]:
    """A sentence for each difference between what is wanted in a configuration file and what one says."""
    both = [(item.topic, item.uri) for item in found]
    said = [f"{item.topic}: not subscribed to {item.uri}" for item in wanted if (item.topic, item.uri) not in both]
    want = {(item.topic, item.uri): item for item in wanted}
    for item in found:
        mine = want.get((item.topic, item.uri))
        if mine is None:
            said.append(f"{item.topic}: wanted by nobody, at {item.uri}")
            continue
        node = {"id": "", "topic": item.enum, **item.to_input()}
        if fields := [name for name in Actual.of(node).differs(mine) if name != "name"]:
            said.append(f"{item.topic}: {', '.join(fields)} not as wanted")
    return tuple(said)


def _why(have: Actual, known: set[str]) -> str:
    return f"a second time, at {have.uri}" if have.topic in known else f"wanted by nobody, at {have.uri}"


def _name(topic: str, address: str, kind: Kind) -> str:
    """At most 50 characters and unique in a shop. Those of a shop carry their address, so that a subscription can be
    made at a new address while the old one still exists."""
    plain = re.sub(r"[^a-z0-9_]", "-", topic)
    if kind == "app":
        return plain[:50]
    return f"{plain[:43]}-{hashlib.sha256(address.encode()).hexdigest()[:6]}"
