"""Charges of the Admin API: subscriptions, one-time purchases and usage of apps with manual pricing (facts 2.12).

New apps are priced by Shopify itself ("managed pricing") and read through `partner`; these verbs are for apps that were
there before, for one-time purchases and for usage. Amounts are `Decimal` in the currency's main unit, as Shopify takes
them. A charge is active only after the merchant agreed at its `confirmation_url`, so nobody trusts the return: it is
read again. `userErrors` are raised as Rejected("BILLING-REFUSED").
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from ladenbuch.domain.entitlement import Subscription
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.answer import Json, Result

#: `Admin.execute` of one shop: a document's name and its variables.
Execute = Callable[[str, Mapping[str, object]], Result]
Interval = Literal["EVERY_30_DAYS", "ANNUAL"]
Replacement = Literal["STANDARD", "APPLY_IMMEDIATELY", "APPLY_ON_NEXT_BILLING_CYCLE"]

#: Shopify refuses longer idempotency keys.
_LONGEST_KEY = 255
#: More pages of purchases are nobody's.
_MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in the main unit of its currency, above zero in whole hundredths; else Rejected("BILLING-PRICE")."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        wrong = not self.amount.is_finite() or self.amount <= 0 or self.amount != self.amount.quantize(Decimal("0.01"))
        if wrong:
            raise Rejected("BILLING-PRICE", "a price is above zero and has two decimals at most")

    def to_input(self) -> dict[str, str]:
        """`MoneyInput`."""
        return {"amount": f"{self.amount:.2f}", "currencyCode": self.currency}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with manual pricing: a price per interval, usage up to `cap` under `terms`, or both.

    `trial_days` None leaves the trial to Shopify, 0 says that there is none.
    """

    name: str
    price: Price | None = None
    interval: Interval = "EVERY_30_DAYS"
    cap: Price | None = None
    terms: str = ""
    trial_days: int | None = None

    def lines(self) -> list[dict[str, Any]]:
        """`[AppSubscriptionLineItemInput!]`; Rejected("BILLING-PRICE") for a plan without any price."""
        found: list[dict[str, Any]] = []
        if self.price is not None:
            recurring = {"interval": self.interval, "price": self.price.to_input()}
            found.append({"plan": {"appRecurringPricingDetails": recurring}})
        if self.cap is not None:
            usage = {"terms": self.terms, "cappedAmount": self.cap.to_input()}
            found.append({"plan": {"appUsagePricingDetails": usage}})
        if not found:
            raise Rejected("BILLING-PRICE", "a plan has a price, or usage up to a cap")
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A charge that waits for the merchant's agreement at `confirmation_url`. `test`: no money will move."""

    id: str
    confirmation_url: str
    test: bool = False


def subscribe(
    execute: Execute,
    plan: Plan,
    return_url: str,
    *,
    test: bool,
    trial_days: int | None = None,
    behavior: Replacement = "STANDARD",
) -> Asked:
    """Ask the merchant to agree to a plan. `trial_days` overrides the plan's, also with 0."""
    days = plan.trial_days if trial_days is None else trial_days
    asked: dict[str, object] = {
        "name": plan.name,
        "returnUrl": return_url,
        "test": test,
        "lines": plan.lines(),
        "behavior": behavior,
    }
    if days is not None:
        asked["trialDays"] = days
    made = _done(execute("billing_subscribe", asked), "appSubscriptionCreate")
    return _asked(made, "appSubscription", test=test)


def purchase(execute: Execute, name: str, price: Price, return_url: str, *, test: bool) -> Asked:
    """Ask the merchant to agree to a one-time purchase."""
    asked = {"name": name, "price": price.to_input(), "returnUrl": return_url, "test": test}
    return _asked(
        _done(execute("billing_one_time", asked), "appPurchaseOneTimeCreate"), "appPurchaseOneTime", test=test
    )


def cancel(execute: Execute, subscription: str, *, prorate: bool = False) -> str:
    """End a subscription now; its status afterwards."""
    made = _done(execute("billing_cancel", {"id": subscription, "prorate": prorate}), "appSubscriptionCancel")
    return shapes.text(_object(made, "appSubscription").get("status"), "appSubscription.status")


def usage_key(tenant: str, period: str, what: str) -> str:
    """The idempotency key of a usage charge: the same for the same tenant, period and thing, whoever asks and when."""
    key = f"ladenbuch/{tenant}/{period}/{what}"
    return key if len(key) <= _LONGEST_KEY else f"ladenbuch/{hashlib.sha256(key.encode()).hexdigest()}"


def charge_usage(execute: Execute, line: str, price: Price, description: str, key: str) -> str:
    """Charge usage on a subscription's usage line; the record's id. The same key charges once, however often it is
    sent, so an `Ambiguous` outcome is settled by asking again."""
    asked = {"line": line, "price": price.to_input(), "description": description, "key": key}
    made = _object(_done(execute("billing_usage", asked), "appUsageRecordCreate"), "appUsageRecord")
    if made.get("idempotencyKey") not in (None, key):
        raise Rejected("BILLING-REFUSED", "another charge came back than the one that was asked for")
    return shapes.text(made.get("id"), "appUsageRecord.id")


# -- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bought:
    """An active charge in a shop. `usage_line`: where usage is charged; `used` and `cap` are of that line."""

    id: str
    subscription: Subscription
    usage_line: str | None = None
    used: Decimal | None = None
    cap: Decimal | None = None
    currency: str | None = None


def bought(execute: Execute, plans: frozenset[str], *, live_only: bool) -> Bought | None:
    """The active charge whose name is one of `plans` (empty: any subscription), read page by page until it is found.

    What is not ACTIVE does not count, nor with `live_only` a test. A one-time purchase counts only by its name.
    """
    after: str | None = None
    for _ in range(_MOST_PAGES):
        result = execute("billing_installation", {"after": after})
        here = result.data.get("currentAppInstallation")
        if result.errors or not isinstance(here, dict):
            raise Retryable("SHOPIFY-PARTIAL", "the charges came back incomplete")
        for item in shapes.nodes(here.get("activeSubscriptions"), "activeSubscriptions") if after is None else ():
            if _counts(item, plans, live_only) and (not plans or item.get("name") in plans):
                return _subscription(item)
        page = _object(here, "oneTimePurchases")
        for item in shapes.nodes(page, "oneTimePurchases"):
            if _counts(item, plans, live_only) and item.get("name") in plans:
                name = str(item.get("name"))
                return Bought(str(item.get("id")), Subscription(name, test=item.get("test") is True))
        after = shapes.next_cursor(page)
        if after is None:
            return None
    raise Retryable("SHOPIFY-PARTIAL", "the purchases have no end")


def managed(found: Json) -> Subscription:
    """The Partner API's `ActiveSubscription`. Raises Retryable("PARTNER-UNREADABLE")."""
    items, cycle = found.get("items"), found.get("currentBillingCycle")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Retryable("PARTNER-UNREADABLE", "a subscription without items")
    try:
        starts, ends = (
            (shapes.instant(cycle.get(name), name) for name in ("startTime", "endTime"))
            if isinstance(cycle, dict)
            else (None, None)
        )
        trial = found.get("trialEndsAt")
        return Subscription(
            plan=next((str(item["handle"]) for item in items if item.get("handle")), "unnamed"),
            trial_ends_at=None if trial is None else shapes.instant(trial, "trialEndsAt"),
            cycle_starts_at=starts,
            cycle_ends_at=ends,
            cancels=found.get("cancelAtEndOfCycle") is True,
        )
    except Rejected as error:
        raise Retryable("PARTNER-UNREADABLE", error.message) from None


def _counts(item: Json, plans: frozenset[str], live_only: bool) -> bool:
    return item.get("status") == "ACTIVE" and not (live_only and item.get("test") is not False)


def _subscription(item: Json) -> Bought:
    began = shapes.instant(item.get("createdAt"), "createdAt")
    ends, days = item.get("currentPeriodEnd"), item.get("trialDays")
    until = None if ends is None else shapes.instant(ends, "currentPeriodEnd")
    has = Subscription(
        plan=str(item.get("name")),
        test=item.get("test") is True,
        trial_ends_at=began + timedelta(days=days) if isinstance(days, int) and days > 0 else None,
        cycle_ends_at=until,
    )
    for line in shapes.nodes(item.get("lineItems"), "lineItems"):
        details = _object(_object(line, "plan"), "pricingDetails")
        if details.get("__typename") == "AppUsagePricing":
            used, cap = _object(details, "balanceUsed"), _object(details, "cappedAmount")
            amounts = Decimal(str(used.get("amount"))), Decimal(str(cap.get("amount")))
            return Bought(str(item.get("id")), has, str(line.get("id")), *amounts, str(cap.get("currencyCode")))
    return Bought(str(item.get("id")), has)


def _done(result: Result, name: str) -> Json:
    made = result.data.get(name)
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("BILLING-REFUSED", f"{name}: this app may not charge here")
    if not isinstance(made, dict):
        raise Rejected("BILLING-REFUSED", f"{name} came back empty")
    errors = made.get("userErrors") or []
    if errors:
        said = "; ".join(str(error.get("message"))[:100] for error in errors if isinstance(error, dict))
        raise Rejected("BILLING-REFUSED", f"{name}: {said}"[:300])
    return made


def _asked(made: Json, name: str, *, test: bool) -> Asked:
    url = shapes.text(made.get("confirmationUrl"), "confirmationUrl")
    return Asked(shapes.text(_object(made, name).get("id"), f"{name}.id"), url, test)


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise Retryable("SHOPIFY-PARTIAL", f"{name} came back empty")
    return value
