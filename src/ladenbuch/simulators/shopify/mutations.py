"""Mutations: what an app may change in a shop. Every one changes the snapshot for good and causes its
webhooks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from graphql import GraphQLError

from ladenbuch.simulators.shopify.billing import billing_resolvers
from ladenbuch.simulators.shopify.queries import (
    Call,
    can_mark_as_paid,
    metafield,
    money,
    outstanding,
    updated,
)
from ladenbuch.simulators.shopify.schema import Info, Resolver
from ladenbuch.simulators.shopify.webhooks import SubscriptionError
from ladenbuch.simulators.shopify.world import Snapshot, to_instant, to_text


def _errors(*errors: Mapping[str, Any]) -> dict[str, Any]:
    return {"userErrors": list(errors)}


def _bag(amount: Decimal, like: Mapping[str, Any]) -> dict[str, Any]:
    def one(side: str) -> dict[str, Any]:
        return {"amount": f"{amount:.2f}", "currencyCode": like[side]["currencyCode"]}

    return {"shopMoney": one("shopMoney"), "presentmentMoney": one("presentmentMoney")}


def with_payment(order: Snapshot, transaction: Mapping[str, Any], paid: Decimal) -> Snapshot:
    """A copy of `order` after the SUCCESS `transaction` of `paid` (shop money) came in."""
    due = outstanding(order)
    left = max(Decimal(0), due - paid)
    like = order.get("currentTotalPriceSet") or order["originalTotalPriceSet"]
    received = money(order.get("totalReceivedSet")) + paid
    refunded = money(order.get("totalRefundedSet"))
    gateways = list(order.get("paymentGatewayNames") or [])
    if transaction["gateway"] not in gateways:
        gateways.append(transaction["gateway"])
    return {
        **order,
        "transactions": [*(order.get("transactions") or []), dict(transaction)],
        "paymentGatewayNames": gateways,
        "totalReceivedSet": _bag(received, like),
        "netPaymentSet": _bag(received - refunded, like),
        "totalOutstandingSet": _bag(left, like),
        "displayFinancialStatus": "PAID" if left == 0 else "PARTIALLY_PAID",
        "fullyPaid": left == 0,
        "unpaid": False,
        "canMarkAsPaid": left > 0,
    }


def _pay(call: Call, order: Snapshot, amount: Decimal, gateway: str | None, processed_at: str | None) -> Snapshot:
    """Book a payment of `amount` on an order: captures an open authorisation, else a SALE on the pending
    gateway.
    """
    done = list(order.get("transactions") or [])
    open_ones = [t for t in done if t.get("status") == "PENDING" or t.get("kind") == "AUTHORIZATION"]
    parent = open_ones[-1] if open_ones else None
    capture = parent is not None and parent.get("kind") == "AUTHORIZATION"
    like = order.get("currentTotalPriceSet") or order["originalTotalPriceSet"]
    instant = to_text(call.now)
    transaction: Snapshot = {
        "id": f"gid://shopify/OrderTransaction/{call.new_number()}",
        "kind": "CAPTURE" if capture else "SALE",
        "status": "SUCCESS",
        "test": bool(order.get("test")),
        "gateway": gateway or (parent["gateway"] if parent is not None else "manual"),
        "formattedGateway": gateway or (parent or {}).get("formattedGateway") or "Manual",
        "manualPaymentGateway": not capture,
        "createdAt": instant,
        "processedAt": processed_at or instant,
        "amountSet": _bag(amount, like),
        "parentTransaction": {"id": parent["id"], "kind": parent["kind"]} if parent is not None else None,
        "fees": [],
    }

    def change(before: Snapshot) -> Snapshot:
        if outstanding(before) <= 0:  # a later event of the life already contains money for it
            return updated(before, max(call.now, _updated_at(before)))
        return updated(with_payment(before, transaction, amount), max(call.now, _updated_at(before)))

    after = call.state.change(order["id"], change)
    topics = ["order_transactions/create", "orders/updated"]
    if outstanding(after) <= 0:
        topics.append("orders/paid")
    call.emit(call.state, topics, order, after)
    return after


def _updated_at(order: Snapshot) -> Any:
    return to_instant(order.get("updatedAt") or order.get("createdAt") or "1970-01-01T00:00:00+00:00")


def _mark_as_paid(_: Any, info: Info, input: dict[str, Any]) -> dict[str, Any]:
    call: Call = info.context
    order = call.order(input["id"])
    if order is None:
        return _errors({"field": ["input", "id"], "message": "Order does not exist"})
    if not can_mark_as_paid(order):
        return {
            "order": order,
            **_errors({"field": ["input", "id"], "message": "Order cannot be marked as paid."}),
        }
    return {"order": _pay(call, order, outstanding(order), None, None), "userErrors": []}


def _manual_payment(
    _: Any,
    info: Info,
    id: str,
    amount: dict[str, Any] | None = None,
    paymentMethodName: str | None = None,
    processedAt: str | None = None,
) -> dict[str, Any]:
    call: Call = info.context
    order = call.order(id)
    if order is None:
        return _errors({"code": "ORDER_NOT_FOUND", "field": ["id"], "message": "Order does not exist"})
    due = outstanding(order)
    paid = due if amount is None else Decimal(str(amount["amount"]))
    if amount is not None and call.state.shop.plan not in ("plus", "enterprise"):
        # facts 2.11: partial manual payments are a Plus feature; the code Shopify gives for it is not
        # published
        return _errors({"code": None, "field": ["amount"], "message": "amount is only available on Shopify Plus"})
    if paid <= 0:
        return _errors({"code": "AMOUNT_NOT_POSITIVE", "field": ["amount"], "message": "Amount must be positive"})
    if paid > due:
        return _errors({"code": "AMOUNT_EXCEEDS_BALANCE", "field": ["amount"], "message": "Amount exceeds balance"})
    if processedAt is not None and to_instant(processedAt) > call.now:
        return _errors(
            {
                "code": "PROCESSED_AT_INVALID",
                "field": ["processedAt"],
                "message": "processedAt is in the future",
            }
        )
    return {"order": _pay(call, order, paid, paymentMethodName or "Other", processedAt), "userErrors": []}


def _tags_add(_: Any, info: Info, id: str, tags: list[str]) -> dict[str, Any]:
    call: Call = info.context
    order = call.order(id)
    if order is None:
        return _errors({"field": ["id"], "message": "Order does not exist"})

    def change(before: Snapshot) -> Snapshot:
        have = list(before.get("tags") or [])
        lower = {tag.lower() for tag in have}
        have += [tag for tag in tags if tag.lower() not in lower]
        return updated({**before, "tags": sorted(have)}, max(call.now, _updated_at(before)))

    after = call.state.change(id, change)
    call.emit(call.state, ["orders/updated"], order, after)
    return {"node": {"__typename": "Order", **after}, "userErrors": []}


def digest(value: str) -> str:
    """The ``compareDigest`` of a metafield value."""
    return hashlib.sha256(value.encode()).hexdigest()


def _metafields_set(_: Any, info: Info, metafields: list[dict[str, Any]]) -> dict[str, Any]:
    call: Call = info.context
    if len(metafields) > 25:
        raise GraphQLError("metafieldsSet takes at most 25 metafields", extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    errors = [e for index, item in enumerate(metafields) for e in _check_metafield(call, index, item)]
    if errors:  # atomic: one bad entry and nothing is written
        return {"metafields": [], "userErrors": errors}
    return {"metafields": [_write_metafield(call, item) for item in metafields], "userErrors": []}


def _check_metafield(call: Call, index: int, item: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    def error(code: str, name: str, message: str) -> list[dict[str, Any]]:
        return [
            {
                "code": code,
                "field": ["metafields", str(index), name],
                "message": message,
                "elementIndex": index,
            }
        ]

    order = call.order(item["ownerId"])
    if order is None:
        return error("INVALID", "ownerId", "Owner does not exist")
    known = metafield(order, item["key"], item.get("namespace") or "$app")
    if known is None and not item.get("type"):
        return error("BLANK", "type", "Type can't be blank")
    if not item["value"]:
        return error("BLANK", "value", "Value can't be blank")
    if "compareDigest" in item and item["compareDigest"] != (known["compareDigest"] if known else None):
        return error("STALE_OBJECT", "compareDigest", "The resource has been updated since it was loaded.")
    return []


def _write_metafield(call: Call, item: Mapping[str, Any]) -> dict[str, Any]:
    before = call.state.orders[item["ownerId"]]
    namespace = item.get("namespace") or "$app"
    known = metafield(before, item["key"], namespace)
    instant = to_text(call.now)
    entry = {
        "id": known["id"] if known else f"gid://shopify/Metafield/{call.new_number()}",
        "namespace": namespace,
        "key": item["key"],
        "type": item.get("type") or (known or {}).get("type"),
        "value": item["value"],
        "jsonValue": item["value"],
        "compareDigest": digest(item["value"]),
        "ownerType": "ORDER",
        "sizeInBytes": len(item["value"].encode()),
        "createdAt": known["createdAt"] if known else instant,
        "updatedAt": instant,
    }

    def change(order: Snapshot) -> Snapshot:
        others = [
            m for m in order.get("metafields") or [] if (m["namespace"], m["key"]) != (entry["namespace"], entry["key"])
        ]
        return updated({**order, "metafields": [*others, entry]}, max(call.now, _updated_at(order)))

    after = call.state.change(item["ownerId"], change)
    call.emit(call.state, ["orders/updated"], before, after)
    return entry


# --- webhook subscriptions ----------------------------------------------------------------------------------


def _webhook_create(
    _: Any,
    info: Info,
    topic: str,
    webhookSubscription: dict[str, Any],
) -> dict[str, Any]:
    call: Call = info.context
    try:
        made = call.subscriptions.create(call.state, topic, webhookSubscription, call.now)
    except SubscriptionError as error:
        return _errors({"field": error.field, "message": str(error)})
    return {"webhookSubscription": made, "userErrors": []}


def _webhook_update(
    _: Any,
    info: Info,
    id: str,
    webhookSubscription: dict[str, Any],
) -> dict[str, Any]:
    call: Call = info.context
    try:
        made = call.subscriptions.update(call.state, id, webhookSubscription, call.now)
    except SubscriptionError as error:
        return _errors({"field": error.field, "message": str(error)})
    return {"webhookSubscription": made, "userErrors": []}


def _webhook_delete(_: Any, info: Info, id: str) -> dict[str, Any]:
    call: Call = info.context
    if not call.subscriptions.delete(call.state.shop.domain, id):
        return _errors({"field": ["id"], "message": "Webhook subscription does not exist"})
    return {"deletedWebhookSubscriptionId": id, "userErrors": []}


def mutation_resolvers() -> dict[tuple[str, str], Resolver]:
    """Every mutation of the subset schema."""
    return {
        ("Mutation", "orderMarkAsPaid"): _mark_as_paid,
        ("Mutation", "orderCreateManualPayment"): _manual_payment,
        ("Mutation", "tagsAdd"): _tags_add,
        ("Mutation", "metafieldsSet"): _metafields_set,
        ("Mutation", "webhookSubscriptionCreate"): _webhook_create,
        ("Mutation", "webhookSubscriptionUpdate"): _webhook_update,
        ("Mutation", "webhookSubscriptionDelete"): _webhook_delete,
        **billing_resolvers(),
    }
