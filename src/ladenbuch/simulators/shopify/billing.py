"""Charges of apps with manual pricing, as a shop keeps them (facts 2.12): asked for, agreed to by the merchant, used.

A subscription or purchase is PENDING until the merchant agrees (`agree`); usage is charged once per idempotency key and
never above the cap; what happens is told by webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ladenbuch.simulators.shopify.queries import Call
from ladenbuch.simulators.shopify.schema import Info, Resolver
from ladenbuch.simulators.shopify.world import Charges, ShopState, to_instant, to_text

#: Facts 2.12: `app_subscriptions/approaching_capped_amount` fires at 90 %.
APPROACHING = Decimal("0.9")
_MONTH = timedelta(days=30)
_LONGEST_KEY = 255

__all__ = ["APPROACHING", "Charges", "active", "agree", "billing_resolvers", "change"]


def active(state: ShopState) -> list[dict[str, Any]]:
    """The subscriptions of `currentAppInstallation.activeSubscriptions`."""
    return [item for item in state.charges.subscriptions if item["status"] == "ACTIVE"]


def _refused(message: str, *path: str) -> dict[str, Any]:
    return {"userErrors": [{"field": list(path) or None, "message": message}]}


def _money(given: Mapping[str, Any]) -> dict[str, str]:
    return {"amount": str(given["amount"]), "currencyCode": given["currencyCode"]}


def _wrong(name: str, price: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not name.strip():
        return _refused("Name can't be blank", "name")
    if price is not None and Decimal(str(price["amount"])) <= 0:
        return _refused("Price must be greater than 0", "price")
    return None


def _confirm(call: Call, kind: str, gid: str) -> str:
    return f"https://{call.state.shop.domain}/admin/charges/{gid.rsplit('/', 1)[-1]}/{kind}/confirm_charge"


def _create(
    _: Any,
    info: Info,
    name: str,
    returnUrl: str,
    lineItems: list[dict[str, Any]],
    test: bool | None = None,
    trialDays: int | None = None,
    **__: Any,
) -> dict[str, Any]:
    call: Call = info.context
    kinds = [kind for item in lineItems for kind, given in item["plan"].items() if given]
    if not kinds or len(kinds) != len(set(kinds)) or len(kinds) != len(lineItems):
        return _refused("Line items must have exactly one plan, and one of each type", "lineItems")
    wrong = next((found for item in lineItems if (found := _wrong(name, _price_of(item)))), None)
    if wrong is not None:
        return wrong
    gid = f"gid://shopify/AppSubscription/{call.new_number()}"
    made = {
        "id": gid,
        "name": name,
        "status": "PENDING",
        "test": bool(test),
        "trialDays": trialDays or 0,
        "createdAt": to_text(call.now),
        "currentPeriodEnd": None,
        "returnUrl": returnUrl,
        "lineItems": [_line(f"{gid}?v=1&index={index}", item["plan"]) for index, item in enumerate(lineItems)],
    }
    call.state.charges.subscriptions.append(made)
    return {"appSubscription": made, "confirmationUrl": _confirm(call, "RecurringCharge", gid), "userErrors": []}


def _price_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    plan = item["plan"]
    usage = plan.get("appUsagePricingDetails")
    found: Mapping[str, Any] = usage["cappedAmount"] if usage else plan["appRecurringPricingDetails"]["price"]
    return found


def _line(gid: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    usage, recurring = plan.get("appUsagePricingDetails"), plan.get("appRecurringPricingDetails")
    details: dict[str, Any]
    if usage:
        cap = _money(usage["cappedAmount"])
        details = {
            "__typename": "AppUsagePricing",
            "terms": usage["terms"],
            "cappedAmount": cap,
            "balanceUsed": {"amount": "0.00", "currencyCode": cap["currencyCode"]},
            "interval": "EVERY_30_DAYS",
        }
    else:
        assert recurring is not None
        details = {
            "__typename": "AppRecurringPricing",
            "interval": recurring.get("interval") or "EVERY_30_DAYS",
            "price": _money(recurring["price"]),
        }
    return {"id": gid.replace("/AppSubscription/", "/AppSubscriptionLineItem/"), "plan": {"pricingDetails": details}}


def _one_time(
    _: Any, info: Info, name: str, price: dict[str, Any], returnUrl: str, test: bool | None = None
) -> dict[str, Any]:
    call: Call = info.context
    wrong = _wrong(name, price)
    if wrong is not None:
        return wrong
    gid = f"gid://shopify/AppPurchaseOneTime/{call.new_number()}"
    made = {
        "id": gid,
        "name": name,
        "status": "PENDING",
        "test": bool(test),
        "price": _money(price),
        "createdAt": to_text(call.now),
    }
    call.state.charges.purchases.append(made)
    url = _confirm(call, "ApplicationCharge", gid)
    return {"appPurchaseOneTime": made, "confirmationUrl": url, "userErrors": []}


def _usage(
    _: Any,
    info: Info,
    subscriptionLineItemId: str,
    price: dict[str, Any],
    description: str,
    idempotencyKey: str | None = None,
) -> dict[str, Any]:
    call: Call = info.context
    charges = call.state.charges
    if idempotencyKey is not None and len(idempotencyKey) > _LONGEST_KEY:
        return _refused("Idempotency key is too long (maximum is 255 characters)", "idempotencyKey")
    known = charges.usage.get(idempotencyKey or "")
    if known is not None:
        return {"appUsageRecord": known, "userErrors": []}
    found = [(sub, line) for sub in active(call.state) for line in sub["lineItems"]]
    mine = next(((sub, line) for sub, line in found if line["id"] == subscriptionLineItemId), None)
    if mine is None:
        return _refused("Subscription line item not found or not active", "subscriptionLineItemId")
    subscription, line = mine
    details = line["plan"]["pricingDetails"]
    if details["__typename"] != "AppUsagePricing":
        return _refused("Line item has no usage pricing", "subscriptionLineItemId")
    cap, before = Decimal(details["cappedAmount"]["amount"]), Decimal(details["balanceUsed"]["amount"])
    after = before + Decimal(str(price["amount"]))
    if after > cap:
        return _refused("Total price exceeds balance remaining", "price")
    details["balanceUsed"] = {"amount": f"{after:.2f}", "currencyCode": price["currencyCode"]}
    gid = f"gid://shopify/AppUsageRecord/{call.new_number()}"
    made = {
        "id": gid,
        "idempotencyKey": idempotencyKey,
        "description": description,
        "price": _money(price),
        "createdAt": to_text(call.now),
    }
    charges.usage[idempotencyKey or gid] = made
    if before < cap * APPROACHING <= after:
        told = {"balance_used": f"{after:.2f}", "capped_amount": f"{cap:.2f}", "currency_code": price["currencyCode"]}
        _tell(call, "approaching_capped_amount", subscription, told)
    return {"appUsageRecord": made, "userErrors": []}


def _cancel(_: Any, info: Info, id: str, prorate: bool | None = None) -> dict[str, Any]:
    call: Call = info.context
    found = next((item for item in active(call.state) if item["id"] == id), None)
    if found is None:
        return _refused("Couldn't find RecurringApplicationCharge", "id")
    found["status"] = "CANCELLED"
    _tell(call, "update", found, {"status": "CANCELLED"})
    return {"appSubscription": found, "userErrors": []}


def _tell(call: Call, event: str, subscription: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    shop, hooks = call.state.shop, call.subscriptions
    hooks.emit(
        shop.domain, f"app_subscriptions/{event}", told(call.state, subscription, more), call.now, hooks.new_id()
    )


def told(state: ShopState, subscription: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the webhooks about a subscription."""
    names = {
        "admin_graphql_api_id": subscription["id"],
        "name": subscription["name"],
        "admin_graphql_api_shop_id": f"gid://shopify/Shop/{state.shop.shop_id}",
        "created_at": subscription["createdAt"],
    }
    return {"app_subscription": {**names, **more}}


def change(state: ShopState, gid: str, status: str, now: datetime) -> dict[str, Any]:
    """A charge gets another status (ACTIVE, DECLINED, EXPIRED, FROZEN, CANCELLED); the charge. KeyError if unknown."""
    charge = next(
        (item for item in (*state.charges.subscriptions, *state.charges.purchases) if item["id"] == gid), None
    )
    if charge is None:
        raise KeyError(gid)
    charge["status"] = status
    if status == "ACTIVE" and "lineItems" in charge:
        ends = charge["currentPeriodEnd"]
        began = to_instant(charge["createdAt"]) if ends is None else now
        charge["currentPeriodEnd"] = to_text(began + _MONTH + timedelta(days=charge["trialDays"]))
    return charge


def agree(state: ShopState, gid: str, now: datetime) -> dict[str, Any]:
    """The merchant visits the confirmation page and agrees; a subscription ends the one before. KeyError if unknown."""
    if "AppSubscription/" in gid:
        for other in active(state):
            other["status"] = "CANCELLED"
    return change(state, gid, "ACTIVE", now)


def billing_resolvers() -> dict[tuple[str, str], Resolver]:
    """The mutations of manual pricing."""
    return {
        ("Mutation", "appSubscriptionCreate"): _create,
        ("Mutation", "appPurchaseOneTimeCreate"): _one_time,
        ("Mutation", "appUsageRecordCreate"): _usage,
        ("Mutation", "appSubscriptionCancel"): _cancel,
    }
