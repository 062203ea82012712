"""What the shops look like: order snapshots, where their parts are, what has happened and what is still to
come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ladenbuch.simulators.shopify.cost import PLANS, Bucket
from ladenbuch.simulators.shopify.payments import Payments

Snapshot = dict[str, Any]
Change = Callable[[Snapshot], Snapshot]

READ_SCOPES = (
    "read_orders",
    "read_all_orders",
    "read_customers",
    "read_products",
    "read_payment_terms",
    "read_returns",
    "read_fulfillments",
)
DEFAULT_SCOPES = (*READ_SCOPES, "write_orders")
#: What an app asks for beside them to see payouts and disputes.
PAYMENT_SCOPES = ("read_shopify_payments_payouts", "read_shopify_payments_disputes")


@dataclass(frozen=True)
class Shop:
    """A shop as the simulator is told about it.

    `client_secret` None means the simulator's own. `own_organisation` False makes client credentials fail
    with ``shop_not_permitted`` (facts 4.1). `redirect_uris` None accepts any redirect address.
    """

    domain: str
    plan: str = "standard"
    client_id: str = "ladenbuch-simulated-app"
    client_secret: str | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    shop_id: int = 0
    name: str = "Seifenladen"
    currency: str = "EUR"
    timezone: str = "Europe/Berlin"
    own_organisation: bool = True
    redirect_uris: tuple[str, ...] | None = None
    asks: bool = False
    country: str = "DE"
    taxes_included: bool = True
    tax_shipping: bool = True
    presentment: tuple[str, ...] = ()  # currencies buyers may pay in besides the shop's own
    development: bool = False  # a partner's development store


@dataclass
class Step:
    """One event of a life: from `at` on the order looks like `snapshot`; `topics` are the webhooks it
    causes.
    """

    at: datetime
    topics: tuple[str, ...]
    snapshot: Snapshot
    order_id: str
    index: int


#: What an object of a snapshot may hold further objects in.
_NESTS = frozenset({dict, list})


def to_instant(value: object) -> datetime:
    """A datetime, or an ISO text with an offset or Z, as aware UTC; raises ValueError for anything naive."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        raise ValueError(f"instant without a zone: {value}")
    return instant.astimezone(UTC)


def to_text(instant: datetime) -> str:
    """Shopify's spelling: UTC, whole seconds, Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Charges:
    """What the app charges in a shop: subscriptions and purchases in order, usage by idempotency key."""

    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    purchases: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class ShopState:
    """One shop at work. `orders` is what the API shows; `pending` what is still to happen, in time order."""

    shop: Shop
    scopes: set[str]
    bucket: Bucket
    status: int | None = None  # 402, 403, 404 or 423 for every call while set
    installed: bool = True  # whether the app is; a code that is exchanged installs it
    orders: dict[str, Snapshot] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)  # gid -> the fullest object with that id
    owner: dict[str, str] = field(default_factory=dict)  # gid of a part -> gid of its order
    discounts: dict[int, dict[str, Any]] = field(default_factory=dict)  # id() of an allocation -> application
    changes: dict[str, list[Change]] = field(default_factory=dict)  # made through the API, survive later events
    labels: dict[str, Any] = field(default_factory=dict)
    fired_at: dict[str, dict[int, datetime]] = field(default_factory=dict)
    index_lag: float = 0.0  # seconds for which a change is unknown to the search for orders
    throttle_next: list[tuple[int, float]] = field(default_factory=list)  # (status, Retry-After) of coming calls
    charges: Charges = field(default_factory=Charges)
    payments: Payments = field(default_factory=Payments)

    def granted(self, scope: str) -> bool:
        """True when the shop granted `scope`; ``write_x`` implies ``read_x`` (facts 4.2)."""
        return scope in self.scopes or scope.replace("read_", "write_", 1) in self.scopes

    def put(self, snapshot: Snapshot) -> Snapshot:
        """Make `snapshot` what the API shows for its order, with all earlier API writes on top; returns the
        result.
        """
        gid = snapshot["id"]
        for change in self.changes.get(gid, ()):
            snapshot = change(snapshot)
        self.orders[gid] = snapshot
        self._index(snapshot, gid)
        return snapshot

    def change(self, gid: str, change: Change) -> Snapshot:
        """Apply an API write to an order now and to every later snapshot of it."""
        snapshot = change(self.orders[gid])
        self.changes.setdefault(gid, []).append(change)
        self.orders[gid] = snapshot
        self._index(snapshot, gid)
        return snapshot

    def _index(self, snapshot: Snapshot, order_id: str) -> None:
        """Remember the fullest object per id of this snapshot, so that stubs elsewhere can be completed.

        Discount applications have no id: an allocation names one of its order by index.
        """
        found: dict[str, dict[str, Any]] = {}
        applications: dict[Any, dict[str, Any]] = {
            a.get("index", n): a for n, a in enumerate(snapshot.get("discountApplications") or [])
        }
        stack: list[Any] = [snapshot]
        while stack:
            item = stack.pop()
            values = item
            if isinstance(item, dict):
                gid = item.get("id")
                if "discountApplication" in item:
                    named: dict[str, Any] = item["discountApplication"] or {}
                    self.discounts[id(item)] = applications.get(named.get("index"), named)
                if isinstance(gid, str) and len(item) > 2 and len(item) > len(found.get(gid, ())):
                    found[gid] = item
                values = item.values()
            stack += [value for value in values if type(value) in _NESTS]
        self.parts.update(found)
        self.owner.update(dict.fromkeys(found, order_id))

    def visible(self, snapshot: Snapshot, now: datetime) -> bool:
        """Orders created more than 60 days ago need read_all_orders (facts 2.7)."""
        if snapshot["id"] in self.deleted:
            return False
        if self.granted("read_all_orders"):
            return True
        return to_instant(snapshot.get("createdAt") or now) >= now - timedelta(days=60)


def new_state(shop: Shop, now: datetime) -> ShopState:
    """A shop with a full bucket and no orders; raises ValueError for an unknown plan."""
    if shop.plan not in PLANS:
        raise ValueError(f"unknown plan {shop.plan!r}: one of {', '.join(PLANS)}")
    size, rate = PLANS[shop.plan]
    payments = Payments(shop.currency)
    payments.advance(now)
    return ShopState(shop, set(shop.scopes), Bucket(size, rate, float(size), now), payments=payments)


def read_lives(lives: Iterable[Any]) -> list[tuple[str, Any, list[Step]]]:
    """Lives, as objects or as their JSON, as (shop domain, label, steps); raises ValueError or KeyError
    when malformed.
    """
    found = []
    for life in lives:
        order_id = _get(life, "order_id")
        steps = [
            Step(
                to_instant(_get(event, "at")),
                tuple(_get(event, "topics")),
                _get(event, "snapshot"),
                order_id,
                index,
            )
            for index, event in enumerate(_get(life, "events"))
        ]
        found.append((_get(life, "shop"), _get(life, "label"), steps))
    return found


def _get(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else getattr(value, name)
