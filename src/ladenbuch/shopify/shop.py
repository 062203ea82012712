"""The shop's own settings, the app's scopes and the newest orders, as far as they are compared with the profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ladenbuch.domain.connected import RecentOrder, ShopRead
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.answer import Json, Result


def shop_from(settings: Json, installation: Json, recent: tuple[RecentOrder, ...] | None) -> ShopRead:
    """`shop_settings` and `installation` as values. Raises Retryable("SHOPIFY-PARTIAL") where the shop has no id."""
    gid, domain = settings.get("id"), settings.get("myshopifyDomain")
    if not isinstance(gid, str) or not isinstance(domain, str):
        raise Retryable("SHOPIFY-PARTIAL", "the shop did not say who it is")
    plan, address = _map(settings.get("plan")), _map(settings.get("shopAddress"))
    others = settings.get("enabledPresentmentCurrencies")
    return ShopRead(
        gid=gid,
        name=str(settings.get("name") or domain),
        domain=domain.lower(),
        currency=str(settings.get("currencyCode") or ""),
        country=str(address.get("countryCodeV2") or ""),
        time_zone=str(settings.get("ianaTimezone") or ""),
        taxes_included=settings.get("taxesIncluded") is True,
        tax_shipping=settings.get("taxShipping") is True,
        presentment=tuple(str(code) for code in others) if isinstance(others, list) else (),
        plan=str(plan.get("publicDisplayName") or ""),
        development=plan.get("partnerDevelopment") is True,
        scopes=frozenset(
            str(item.get("handle")) for item in shapes.nodes(installation.get("accessScopes"), "accessScopes")
        ),
        recent=recent,
    )


def recent_orders(result: Result) -> tuple[RecentOrder, ...] | None:
    """The answer to `recent_orders`; None where the app may not read orders. A hole makes it None, too."""
    if result.errors or not isinstance(result.data.get("orders"), dict):
        return None
    try:
        return tuple(_order(node) for node in shapes.nodes(result.data["orders"], "orders"))
    except Rejected:
        return None


def _order(node: Json) -> RecentOrder:
    pairs = {
        (str(item.get("gateway") or ""), item.get("manualPaymentGateway") is True)
        for item in shapes.nodes(node.get("transactions"), "orders.transactions")
    }
    return RecentOrder(
        gross=_minor(node.get("totalPriceSet")),
        tax=_minor(node.get("totalTaxSet")),
        gateways=tuple(sorted(pairs)),
        test=node.get("test") is True,
        till=node.get("sourceName") == "pos",
    )


def _minor(bag: object) -> int:
    money = _map(_map(bag).get("shopMoney"))
    return to_minor(money["amount"], str(money.get("currencyCode"))) if money.get("amount") is not None else 0


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
