"""Root queries and the fields that are guarded by a scope or computed: what the API answers about one shop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from ladenbuch.simulators.shopify.schema import Info, Resolver, connection, gid_number, gid_type
from ladenbuch.simulators.shopify.webhooks import Webhooks
from ladenbuch.simulators.shopify.world import ShopState, Snapshot, to_instant, to_text

if TYPE_CHECKING:
    from ladenbuch.simulators.shopify.bulk import BulkOperations

MAX_WALK = 25_000  # objects a connection walk shows at most (facts 2.7)

# (type, field) -> scope without which the field is null and an error names its path (facts section 2)
GUARDED = {
    ("QueryRoot", "order"): "read_orders",
    ("QueryRoot", "orders"): "read_orders",
    ("QueryRoot", "orderByIdentifier"): "read_orders",
    ("QueryRoot", "refund"): "read_orders",
    ("QueryRoot", "fulfillment"): "read_orders",
    ("Order", "customer"): "read_customers",
    ("Order", "purchasingEntity"): "read_customers",
    ("Order", "paymentTerms"): "read_payment_terms",
    ("LineItem", "product"): "read_products",
    ("LineItem", "variant"): "read_products",
    ("Refund", "return"): "read_returns",
    ("ReturnAgreement", "return"): "read_returns",
    ("QueryRoot", "shopifyPaymentsAccount"): "read_shopify_payments_payouts",
    ("QueryRoot", "disputes"): "read_shopify_payments_disputes",
    ("Mutation", "orderMarkAsPaid"): "write_orders",
    ("Mutation", "orderCreateManualPayment"): "write_orders",
    ("Mutation", "tagsAdd"): "write_orders",
    ("Mutation", "metafieldsSet"): "write_orders",
}


@dataclass
class Call:
    """The context of one execution: the shop, the instant, the versions, and the doors a mutation needs."""

    state: ShopState
    now: datetime
    versions: tuple[str, ...]
    subscriptions: Webhooks
    new_number: Callable[[], int]
    emit: Callable[[ShopState, Sequence[str], Snapshot | None, Snapshot], None]  # topics, before, after
    bulk: BulkOperations
    version: str  # that answers
    origin: str  # scheme and host we were asked at
    selections: dict[Any, Any] | None = None  # see `Compiled`
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def whole(self, item: Any) -> Any:
        """The fullest known object with the id of `item`, so that a stub in a snapshot reads like the real
        thing.
        """
        if isinstance(item, dict):
            known = self.state.parts.get(item.get("id", ""))
            if known is not None and len(known) > len(item):
                return known
        return item

    def order(self, gid: str) -> Snapshot | None:
        """The order with this gid, None when unknown, deleted, or too old for the granted scopes."""
        snapshot = self.state.orders.get(gid)
        return snapshot if snapshot is not None and self.state.visible(snapshot, self.now) else None


def denied(name: str, scope: str) -> GraphQLError:
    """The error of a field whose scope was not granted."""
    return GraphQLError(
        f"Access denied for {name} field. Required access: `{scope}` access scope.",
        extensions={
            "code": "ACCESS_DENIED",
            "documentation": "https://shopify.dev/api/usage/access-scopes",
            "requiredAccess": f"`{scope}` access scope.",
        },
    )


def guarded(name: str, scope: str, resolver: Resolver) -> Resolver:
    """`resolver`, refused with ACCESS_DENIED unless the shop granted `scope`."""

    def resolve(source: Any, info: Info, **args: Any) -> Any:
        if not info.context.state.granted(scope):
            raise denied(name, scope)
        return resolver(source, info, **args)

    return resolve


# --- roots --------------------------------------------------------------------------------------------------


def _order(_: Any, info: Info, id: str) -> Any:
    return info.context.order(id)


def _refund(_: Any, info: Info, id: str) -> Any:
    call: Call = info.context
    owner = call.order(call.state.owner.get(id, ""))
    if owner is None or gid_type(id) != "Refund":
        return None
    return call.state.parts.get(id)


def _fulfillment(_: Any, info: Info, id: str) -> Any:
    call: Call = info.context
    owner = call.order(call.state.owner.get(id, ""))
    return call.state.parts.get(id) if owner is not None and gid_type(id) == "Fulfillment" else None


def _node(_: Any, info: Info, id: str) -> Any:
    call: Call = info.context
    kind = gid_type(id)
    if info.schema.get_type(kind) is None:
        raise GraphQLError(f"Invalid id: {id}", extensions={"code": "RESOURCE_NOT_FOUND"})
    if kind == "WebhookSubscription":
        return call.subscriptions.find(call.state.shop.domain, id)
    if kind == "BulkOperation":
        call.bulk.look(call)
        operation = call.bulk.find(call.state.shop.domain, id)
        return None if operation is None else operation.as_node(call.now)
    if not call.state.granted("read_orders"):
        raise denied(kind.lower(), "read_orders")
    if kind == "Order":
        return call.order(id)
    part = call.state.parts.get(id)
    return None if part is None or call.order(call.state.owner[id]) is None else {"__typename": kind, **part}


def _nodes(source: Any, info: Info, ids: list[str]) -> list[Any]:
    if len(ids) > 250:
        raise GraphQLError("The input array size of nodes is greater than the maximum allowed of 250.")
    return [_node(source, info, gid) for gid in ids]


def _by_identifier(_: Any, info: Info, identifier: dict[str, Any]) -> Any:
    call: Call = info.context
    if "id" in identifier:
        return call.order(identifier["id"])
    custom = identifier["customId"]
    for snapshot in call.state.orders.values():
        found = metafield(snapshot, custom["key"], custom.get("namespace"))
        if found is not None and found["value"] == custom["value"]:
            return call.order(snapshot["id"])
    return None


def _shop(_: Any, info: Info) -> dict[str, Any]:
    state: ShopState = info.context.state
    shop = state.shop
    plan = "Plus" if shop.plan in ("plus", "enterprise") else shop.plan.capitalize()
    return {
        "id": f"gid://shopify/Shop/{shop.shop_id}",
        "name": shop.name,
        "myshopifyDomain": shop.domain,
        "email": f"laden@{shop.domain}",
        "contactEmail": f"laden@{shop.domain}",
        "primaryDomain": {"host": shop.domain},
        "currencyCode": shop.currency,
        "enabledPresentmentCurrencies": [shop.currency, *shop.presentment],
        "taxesIncluded": shop.taxes_included,
        "taxShipping": shop.tax_shipping,
        "ianaTimezone": shop.timezone,
        "timezoneOffsetMinutes": 60,
        "orderNumberFormatPrefix": "#",
        "plan": {"publicDisplayName": plan, "partnerDevelopment": shop.development, "shopifyPlus": plan == "Plus"},
        "shopAddress": {
            "company": shop.name,
            "address1": "Musterweg 1",
            "zip": "10115",
            "city": "Berlin",
            "countryCodeV2": shop.country,
        },
    }


def _installation(_: Any, info: Info) -> dict[str, Any]:
    state: ShopState = info.context.state
    return {
        "id": f"gid://shopify/AppInstallation/{state.shop.shop_id}",
        "launchUrl": f"https://{state.shop.domain}/admin/apps/{state.shop.client_id}",
        "app": {
            "id": "gid://shopify/App/1",
            "apiKey": state.shop.client_id,
            "handle": "ladenbuch",
            "title": "Ladenbuch",
        },
        "accessScopes": [{"handle": scope} for scope in sorted(state.scopes)],
        "activeSubscriptions": [item for item in state.charges.subscriptions if item["status"] == "ACTIVE"],
        "oneTimePurchases": list(state.charges.purchases),
    }


def _versions(_: Any, info: Info) -> list[dict[str, Any]]:
    return [{"handle": v, "displayName": v, "supported": True} for v in info.context.versions] + [
        {"handle": "unstable", "displayName": "unstable", "supported": False}
    ]


# --- the order search ---------------------------------------------------------------------------------------

_TERM = re.compile(
    r"""\s*(?:(?P<and>AND\b)|(?P<or>OR\b|NOT\b|\()|(?P<field>[\w.]+):(?P<op>>=|<=|>|<)?"""
    r"""(?P<value>'[^']*'|"[^"]*"|[^\s()]+)|(?P<bare>\S+))"""
)
_INSTANTS = {"updated_at": "updatedAt", "created_at": "createdAt", "processed_at": "processedAt"}
_SORT_FIELDS: dict[str, Callable[[Snapshot], Any]] = {
    "UPDATED_AT": lambda o: o.get("updatedAt") or "",
    "CREATED_AT": lambda o: o.get("createdAt") or "",
    "PROCESSED_AT": lambda o: o.get("processedAt") or "",
    "ORDER_NUMBER": lambda o: int(o.get("number") or 0),
    "ID": lambda o: gid_number(o["id"]) or 0,
}


def _none(order: Snapshot) -> bool:
    return False


#: What a search without any `status` finds is told differently by different sources; here it is the least of them.
_STATES: dict[str, Callable[[Snapshot], bool]] = {
    "any": lambda o: True,
    "open": lambda o: not o.get("closedAt") and not o.get("cancelledAt"),
    "closed": lambda o: bool(o.get("closedAt")),
    "cancelled": lambda o: bool(o.get("cancelledAt")),
    "not_closed": lambda o: not o.get("closedAt"),
}


def search_terms(query: str) -> Iterator[tuple[str, str, str]]:
    """Each term of a search as field, operator, value; raises GraphQLError for what the simulator does not know."""
    for match in _TERM.finditer(query):
        if match["or"]:
            raise GraphQLError("The simulator's order search knows AND only.", extensions={"code": "BAD_USER_INPUT"})
        if match["bare"]:
            yield "default", "", match["bare"].strip("'\"")
        elif match["field"]:
            yield match["field"], match["op"] or "", match["value"].strip("'\"")


def _matcher(name: str, op: str, value: str) -> Callable[[Snapshot], bool] | None:
    """The test of one search term; None for a field the search does not know (ignored with a warning)."""
    if name in _INSTANTS:
        try:
            bound = to_instant(value if "T" in value else f"{value}T00:00:00+00:00")
        except ValueError:
            raise GraphQLError(f"Invalid timestamp for query filter `{name}`.") from None
        key = _INSTANTS[name]
        return lambda o: bool(o.get(key)) and compared(to_instant(o[key]), op, bound)
    if name == "id":
        return lambda o: compared(gid_number(o["id"]) or 0, op, gid_number(value) or 0)
    if name in ("name", "default"):
        wanted = value.lstrip("#").lower()
        return lambda o: str(o.get("name", "")).lstrip("#").lower() == wanted
    if name == "test":
        return lambda o: bool(o.get("test")) == (value == "true")
    if name == "tag":
        return lambda o: value.lower() in [t.lower() for t in o.get("tags") or []]
    if name == "tag_not":
        return lambda o: value.lower() not in [t.lower() for t in o.get("tags") or []]
    if name == "status":
        return _STATES.get(value.lower(), _none)
    if name == "financial_status":
        return lambda o: str(o.get("displayFinancialStatus") or "").lower() == value.lower()
    return None


def compared(left: Any, op: str, right: Any) -> bool:
    """`left` op `right`; no operator means equal."""
    if op == ">=":
        return bool(left >= right)
    if op == "<=":
        return bool(left <= right)
    if op == ">":
        return bool(left > right)
    if op == "<":
        return bool(left < right)
    return bool(left == right)


def _lag(order: Snapshot, most: float) -> timedelta:
    """How late the search is about one order: not all are equally late, so that they do not come in order of time."""
    return timedelta(seconds=most * ((gid_number(order["id"]) or 0) % 5) / 4)


def found_orders(
    call: Call, query: str | None = None, sortKey: str = "PROCESSED_AT", reverse: bool = False
) -> list[Any]:
    """All orders a search finds and the app may see, sorted."""
    terms = list(search_terms(query or ""))
    tests = [] if any(name == "status" for name, _, _ in terms) else [_STATES["open"]]
    for name, op, value in terms:
        test = _matcher(name, op, value)
        if test is None:
            call.warnings.append(
                {"field": name, "message": "Invalid search field for this query.", "code": "invalid_field"}
            )
        else:
            tests.append(test)
    if call.state.index_lag:
        tests.append(lambda order: call.now - to_instant(order["updatedAt"]) >= _lag(order, call.state.index_lag))
    key = _place(sortKey)
    found = [
        order
        for order in call.state.orders.values()
        if all(test(order) for test in tests) and call.state.visible(order, call.now)
    ]
    return sorted(found, key=lambda order: key(0, order), reverse=reverse)


def _place(sort_key: str) -> Callable[[int, Snapshot], list[Any]]:
    """Where an order stands. The id makes the order total, so that a page boundary inside one second neither skips nor
    repeats an order."""
    sort = _SORT_FIELDS.get(sort_key, _SORT_FIELDS["ID"])
    return lambda _index, order: [sort(order), gid_number(order["id"]) or 0]


def _orders(
    _: Any,
    info: Info,
    query: str | None = None,
    sortKey: str = "PROCESSED_AT",
    **page: Any,
) -> Any:
    found = found_orders(info.context, query, sortKey)
    return connection(found[:MAX_WALK], key=_place(sortKey), **page)


# --- computed fields ----------------------------------------------------------------------------------------


def metafield(snapshot: Snapshot, key: str, namespace: str | None) -> dict[str, Any] | None:
    """The metafield of an order; without a namespace the app's own, ``$app``. ``ns.key`` in `key` is
    understood.
    """
    if namespace is None and "." in key:
        namespace, key = key.split(".", 1)
    for item in snapshot.get("metafields") or []:
        if item["key"] == key and item["namespace"] == (namespace or "$app"):
            return dict(item)
    return None


def _metafield(source: Snapshot, info: Info, key: str, namespace: str | None = None) -> Any:
    return metafield(source, key, namespace)


def money(bag: Mapping[str, Any] | None) -> Decimal:
    """The shop-money amount of a MoneyBag; 0 for none."""
    return Decimal(str(bag["shopMoney"]["amount"])) if bag else Decimal(0)


def outstanding(order: Snapshot) -> Decimal:
    """What is still to be paid, in shop money; from `totalOutstandingSet`, else current total minus
    received.
    """
    if order.get("totalOutstandingSet") is not None:
        return money(order["totalOutstandingSet"])
    due = order.get("currentTotalPriceSet") or order.get("originalTotalPriceSet")
    return money(due) - money(order.get("totalReceivedSet")) + money(order.get("totalRefundedSet"))


def can_mark_as_paid(order: Snapshot) -> bool:
    """True while something positive is outstanding and the order is not cancelled (facts 2.11)."""
    return not order.get("cancelledAt") and outstanding(order) > 0


def _can_mark(source: Snapshot, info: Info) -> bool:
    known = source.get("canMarkAsPaid")
    return can_mark_as_paid(source) if known is None else bool(known)


def _fully_paid(source: Snapshot, info: Info) -> bool:
    known = source.get("fullyPaid")
    return outstanding(source) <= 0 if known is None else bool(known)


def _unpaid(source: Snapshot, info: Info) -> bool:
    known = source.get("unpaid")
    return money(source.get("totalReceivedSet")) == 0 if known is None else bool(known)


def _transactions_count(source: Snapshot, info: Info) -> dict[str, Any]:
    return {"count": len(source.get("transactions") or []), "precision": "EXACT"}


def _order_of(source: Mapping[str, Any], info: Info) -> Any:
    return info.context.order(info.context.state.owner.get(source["id"], ""))


def _application(source: Mapping[str, Any], info: Info) -> Any:
    return info.context.state.discounts.get(id(source), source.get("discountApplication"))


def _number(source: Snapshot, info: Info) -> int:
    digits = re.sub(r"\D", "", str(source.get("name", "")))
    return int(source.get("number") or digits or 0)


def _shipping_lines(source: Snapshot, info: Info, includeRemovals: bool = False, **page: Any) -> Any:
    lines = source.get("shippingLines") or []
    return connection([line for line in lines if includeRemovals or not line.get("isRemoved")], **page)


def _localized(source: Snapshot, info: Info, **page: Any) -> Any:
    page = {k: v for k, v in page.items() if k in ("first", "last", "after", "before", "reverse")}
    return connection(source.get("localizedFields") or [], **page)


def _subscriptions(
    _: Any,
    info: Info,
    topics: list[str] | None = None,
    uri: str | None = None,
    format: str | None = None,
    **page: Any,
) -> Any:
    call: Call = info.context
    found = call.subscriptions.api_made(call.state.shop.domain)
    found = [s for s in found if uri in (None, s["uri"]) and format in (None, s["format"])]
    page = {k: v for k, v in page.items() if k in ("first", "last", "after", "before", "reverse")}
    return connection([s for s in found if not topics or s["topic"] in topics], **page)


def query_resolvers() -> dict[tuple[str, str], Resolver]:
    """Every (type, field) that is more than a look-up in the snapshot."""
    return {
        ("QueryRoot", "order"): _order,
        ("QueryRoot", "orders"): _orders,
        ("QueryRoot", "orderByIdentifier"): _by_identifier,
        ("QueryRoot", "refund"): _refund,
        ("QueryRoot", "fulfillment"): _fulfillment,
        ("Fulfillment", "order"): _order_of,
        ("DiscountAllocation", "discountApplication"): _application,
        ("QueryRoot", "node"): _node,
        ("QueryRoot", "nodes"): _nodes,
        ("QueryRoot", "shop"): _shop,
        ("QueryRoot", "currentAppInstallation"): _installation,
        ("QueryRoot", "publicApiVersions"): _versions,
        ("QueryRoot", "webhookSubscriptions"): _subscriptions,
        ("Order", "metafield"): _metafield,
        ("Order", "canMarkAsPaid"): _can_mark,
        ("Order", "fullyPaid"): _fully_paid,
        ("Order", "unpaid"): _unpaid,
        ("Order", "transactionsCount"): _transactions_count,
        ("Order", "number"): _number,
        ("Order", "shippingLines"): _shipping_lines,
        ("Order", "localizedFields"): _localized,
        ("Refund", "order"): _order_of,
    }


def updated(order: Snapshot, now: datetime) -> Snapshot:
    """A copy of `order` that says it changed at `now`."""
    return {**order, "updatedAt": to_text(now)}
