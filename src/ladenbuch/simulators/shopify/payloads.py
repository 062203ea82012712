"""REST-shaped webhook payloads made from snapshots (facts 3.2).

One order shape for all ``orders/*`` except ``orders/delete`` (only the id) and ``orders/edited`` (a delta
envelope). Ids are 64-bit integers, money and rates of money are strings, tags one comma string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ladenbuch.simulators.shopify.schema import gid_number
from ladenbuch.simulators.shopify.world import Snapshot

Payload = dict[str, Any]


def payloads(topic: str, before: Snapshot | None, after: Snapshot) -> list[Payload]:
    """The payloads of one topic of one event: usually one, several where the event made several things.

    `before` is the order as it was, None for a new one; refunds and transactions are sent when they are new
    or, for transactions, when their status changed to success, failure or error (never while pending).
    """
    group, _, action = topic.partition("/")
    if topic == "orders/delete":
        return [{"id": gid_number(after["id"])}]
    if topic == "orders/edited":
        return [_edited(before, after)]
    if group == "orders":
        return [order(after)]
    if topic == "refunds/create":
        return [refund(after, item) for item in _new(before, after, "refunds")]
    if group == "order_transactions":
        settled = [t for t in after.get("transactions") or [] if t.get("status") in ("SUCCESS", "FAILURE", "ERROR")]
        old = {t["id"]: t.get("status") for t in (before or {}).get("transactions") or []}
        return [transaction(after, t) for t in settled if old.get(t["id"]) != t["status"]]
    if group == "fulfillments":
        return [
            _fulfillment(after, item)
            for item in (_new(before, after, "fulfillments") or _items(after.get("fulfillments")))
        ]
    return [{"id": gid_number(after["id"]), "admin_graphql_api_id": after["id"], "action": action}]


def _new(before: Snapshot | None, after: Snapshot, key: str) -> list[dict[str, Any]]:
    known = {item["id"] for item in (before or {}).get(key) or []}
    return [item for item in after.get(key) or [] if item["id"] not in known]


def _money(bag: Mapping[str, Any] | None) -> str:
    return str(bag["shopMoney"]["amount"]) if bag else "0.00"


def _set(bag: Mapping[str, Any] | None, currency: str) -> Payload:
    def one(side: str) -> Payload:
        value = (bag or {}).get(side) or {"amount": "0.00", "currencyCode": currency}
        return {"amount": str(value["amount"]), "currency_code": value["currencyCode"]}

    return {"shop_money": one("shopMoney"), "presentment_money": one("presentmentMoney")}


def _lower(value: Any) -> str | None:
    return str(value).lower() if value else None


def _items(value: Any) -> list[Any]:
    return list(value or [])


def _tax_lines(lines: Any, currency: str) -> list[Payload]:
    return [
        {
            "title": t.get("title"),
            "rate": t.get("rate"),
            "price": _money(t.get("priceSet")),
            "price_set": _set(t.get("priceSet"), currency),
            "channel_liable": t.get("channelLiable"),
        }
        for t in _items(lines)
    ]


def order(o: Snapshot) -> Payload:
    """The order shape of all ``orders/*`` topics but two."""
    currency = o.get("currencyCode") or "EUR"
    customer = o.get("customer") or {}
    email = o.get("email") or (customer.get("defaultEmailAddress") or {}).get("emailAddress")
    payload: Payload = {
        "id": gid_number(o["id"]),
        "admin_graphql_api_id": o["id"],
        "name": o.get("name"),
        "number": o.get("number"),
        "order_number": o.get("number"),
        "confirmation_number": o.get("confirmationNumber"),
        "po_number": o.get("poNumber"),
        "email": email or "",
        "contact_email": email,
        "phone": o.get("phone"),
        "note": o.get("note"),
        "note_attributes": [{"name": a.get("key"), "value": a.get("value")} for a in _items(o.get("customAttributes"))],
        "tags": ", ".join(_items(o.get("tags"))),
        "test": bool(o.get("test")),
        "confirmed": True,
        "source_name": o.get("sourceName"),
        "customer_locale": o.get("customerLocale"),
        "created_at": o.get("createdAt"),
        "processed_at": o.get("processedAt"),
        "updated_at": o.get("updatedAt"),
        "cancelled_at": o.get("cancelledAt"),
        "cancel_reason": _lower(o.get("cancelReason")),
        "closed_at": o.get("closedAt"),
        "currency": currency,
        "presentment_currency": o.get("presentmentCurrencyCode") or currency,
        "taxes_included": bool(o.get("taxesIncluded")),
        "tax_exempt": bool(o.get("taxExempt")),
        "estimated_taxes": bool(o.get("estimatedTaxes")),
        "duties_included": bool(o.get("dutiesIncluded")),
        "financial_status": _lower(o.get("displayFinancialStatus")),
        "fulfillment_status": _fulfillment_status(o),
        "payment_gateway_names": _items(o.get("paymentGatewayNames")),
        "discount_codes": [
            {"code": c, "amount": "0.00", "type": "fixed_amount"} for c in _items(o.get("discountCodes"))
        ],
        "tax_lines": _tax_lines(o.get("taxLines"), currency),
        "customer": _customer(customer),
        "billing_address": _address(o.get("billingAddress")),
        "shipping_address": _address(o.get("shippingAddress")),
        "line_items": [_line(line, currency) for line in _items(o.get("lineItems"))],
        "shipping_lines": [_shipping(line, currency) for line in _items(o.get("shippingLines"))],
        "refunds": [refund(o, item) for item in _items(o.get("refunds"))],
        "fulfillments": [_fulfillment(o, item) for item in _items(o.get("fulfillments"))],
    }
    for rest, graph in _ORDER_MONEY.items():
        payload[rest] = _money(o.get(graph))
        payload[f"{rest}_set"] = _set(o.get(graph), currency)
    return payload


_ORDER_MONEY = {
    "total_price": "originalTotalPriceSet",
    "current_total_price": "currentTotalPriceSet",
    "subtotal_price": "subtotalPriceSet",
    "total_tax": "totalTaxSet",
    "current_total_tax": "currentTotalTaxSet",
    "total_discounts": "totalDiscountsSet",
    "total_shipping_price": "totalShippingPriceSet",
    "total_outstanding": "totalOutstandingSet",
}


def _fulfillment_status(o: Snapshot) -> str | None:
    status = o.get("displayFulfillmentStatus")
    return {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(str(status))


def _customer(c: Mapping[str, Any]) -> Payload | None:
    if not c:
        return None
    return {
        "id": gid_number(c.get("id")),
        "admin_graphql_api_id": c.get("id"),
        "email": (c.get("defaultEmailAddress") or {}).get("emailAddress"),
        "first_name": c.get("firstName"),
        "last_name": c.get("lastName"),
        "tax_exempt": bool(c.get("taxExempt")),
    }


def _address(a: Mapping[str, Any] | None) -> Payload | None:
    if not a:
        return None
    names = {"firstName": "first_name", "lastName": "last_name", "provinceCode": "province_code"}
    keys = (
        "firstName",
        "lastName",
        "company",
        "address1",
        "address2",
        "zip",
        "city",
        "province",
        "provinceCode",
        "phone",
    )
    return {**{names.get(k, k): a.get(k) for k in keys}, "country_code": a.get("countryCodeV2")}


def _line(line: Mapping[str, Any], currency: str) -> Payload:
    return {
        "id": gid_number(line.get("id")),
        "admin_graphql_api_id": line.get("id"),
        "title": line.get("title"),
        "name": line.get("name"),
        "variant_title": line.get("variantTitle"),
        "sku": line.get("sku"),
        "vendor": line.get("vendor"),
        "quantity": line.get("quantity"),
        "current_quantity": line.get("currentQuantity"),
        "gift_card": bool(line.get("isGiftCard")),
        "taxable": line.get("taxable"),
        "requires_shipping": line.get("requiresShipping"),
        "product_id": gid_number((line.get("product") or {}).get("id")),
        "variant_id": gid_number((line.get("variant") or {}).get("id")),
        "price": _money(line.get("originalUnitPriceSet")),
        "price_set": _set(line.get("originalUnitPriceSet"), currency),
        "total_discount": _money(line.get("totalDiscountSet")),
        "tax_lines": _tax_lines(line.get("taxLines"), currency),
        "discount_allocations": [
            {
                "amount": _money(a.get("allocatedAmountSet")),
                "amount_set": _set(a.get("allocatedAmountSet"), currency),
            }
            for a in _items(line.get("discountAllocations"))
        ],
    }


def _shipping(line: Mapping[str, Any], currency: str) -> Payload:
    return {
        "id": gid_number(line.get("id")),
        "title": line.get("title"),
        "code": line.get("code"),
        "source": line.get("source"),
        "is_removed": bool(line.get("isRemoved")),
        "price": _money(line.get("originalPriceSet")),
        "price_set": _set(line.get("originalPriceSet"), currency),
        "discounted_price": _money(line.get("discountedPriceSet")),
        "tax_lines": _tax_lines(line.get("taxLines"), currency),
    }


def refund(o: Snapshot, r: Mapping[str, Any]) -> Payload:
    """The payload of ``refunds/create``, also part of the order shape."""
    currency = o.get("currencyCode") or "EUR"
    known = {t["id"]: t for t in _items(o.get("transactions"))}
    return {
        "id": gid_number(r["id"]),
        "admin_graphql_api_id": r["id"],
        "order_id": gid_number(o["id"]),
        "created_at": r.get("createdAt"),
        "processed_at": r.get("processedAt"),
        "note": r.get("note"),
        "refund_line_items": [
            {
                "id": gid_number(item.get("id")),
                "line_item_id": gid_number((item.get("lineItem") or {}).get("id")),
                "quantity": item.get("quantity"),
                "restock_type": _lower(item.get("restockType")),
                "subtotal": _money(item.get("subtotalSet")),
                "subtotal_set": _set(item.get("subtotalSet"), currency),
                "total_tax": _money(item.get("totalTaxSet")),
                "total_tax_set": _set(item.get("totalTaxSet"), currency),
            }
            for item in _items(r.get("refundLineItems"))
        ],
        "order_adjustments": [
            {
                "id": gid_number(item.get("id")),
                "order_id": gid_number(o["id"]),
                "refund_id": gid_number(r["id"]),
                "amount": _money(item.get("amountSet")),
                "tax_amount": _money(item.get("taxAmountSet")),
                "kind": _lower(item.get("reason")),
            }
            for item in _items(r.get("orderAdjustments"))
        ],
        "transactions": [transaction(o, {**known.get(t["id"], {}), **t}) for t in _items(r.get("transactions"))],
    }


def transaction(o: Snapshot, t: Mapping[str, Any]) -> Payload:
    """The payload of ``order_transactions/create``."""
    money = (t.get("amountSet") or {}).get("shopMoney") or {
        "amount": "0.00",
        "currencyCode": o.get("currencyCode"),
    }
    return {
        "id": gid_number(t["id"]),
        "admin_graphql_api_id": t["id"],
        "order_id": gid_number(o["id"]),
        "kind": _lower(t.get("kind")),
        "status": _lower(t.get("status")),
        "gateway": t.get("gateway"),
        "amount": str(money["amount"]),
        "currency": money["currencyCode"],
        "test": bool(t.get("test")),
        "parent_id": gid_number((t.get("parentTransaction") or {}).get("id")),
        "payment_id": t.get("paymentId"),
        "created_at": t.get("createdAt"),
        "processed_at": t.get("processedAt"),
    }


def _fulfillment(o: Snapshot, f: Mapping[str, Any]) -> Payload:
    return {
        "id": gid_number(f["id"]),
        "admin_graphql_api_id": f["id"],
        "order_id": gid_number(o["id"]),
        "status": _lower(f.get("status")),
        "created_at": f.get("createdAt"),
        "line_items": [
            {"id": gid_number((item.get("lineItem") or {}).get("id")), "quantity": item.get("quantity")}
            for item in _items(f.get("fulfillmentLineItems"))
        ],
    }


def _edited(before: Snapshot | None, after: Snapshot) -> Payload:
    old = {line["id"]: line.get("currentQuantity") or 0 for line in _items((before or {}).get("lineItems"))}
    additions: list[Payload] = []
    removals: list[Payload] = []
    for line in _items(after.get("lineItems")):
        delta = (line.get("currentQuantity") or 0) - old.get(line["id"], 0)
        if delta:
            target = additions if delta > 0 else removals
            target.append({"id": gid_number(line["id"]), "delta": abs(delta)})
    edits: Sequence[Mapping[str, Any]] = [
        a for a in _items(after.get("agreements")) if a.get("__typename") == "OrderEditAgreement"
    ]
    latest = edits[-1] if edits else {}
    return {
        "order_edit": {
            "id": gid_number(latest.get("id")),
            "app_id": None,
            "created_at": latest.get("happenedAt") or after.get("updatedAt"),
            "committed_at": latest.get("happenedAt") or after.get("updatedAt"),
            "notify_customer": False,
            "order_id": gid_number(after["id"]),
            "reason": "",
            "staff_note": "",
            "user_id": None,
            "line_items": {"additions": additions, "removals": removals},
            "discounts": {"line_item": {"additions": [], "removals": []}},
            "shipping_lines": {"additions": [], "removals": []},
        }
    }
