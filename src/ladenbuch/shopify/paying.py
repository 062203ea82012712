"""Telling Shopify that money came in: what an order may be told, and the two mutations that tell it.

`orderMarkAsPaid` books all that is open, now; `orderCreateManualPayment` takes a day in the past, and an amount where
the shop's plan has that (Plus). Neither is repeatable by a key, so that who calls looks at `payable` first and after.
Amounts in minor units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ladenbuch.domain.money import to_decimal, to_minor
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.answer import Result


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment Shopify has: its id and amount."""

    id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Payable:
    """What may be told of an order. `can`: Shopify itself says that it can be marked as paid (`canMarkAsPaid`)."""

    updated_at: datetime
    can: bool
    open: int
    currency: str
    paid: tuple[Paid, ...]


def payable(admin: Admin, order_id: str) -> Payable | None:
    """The order as it is now; None where Shopify shows none. Raises what `Admin.execute` does."""
    result = admin.execute("order_payable", {"id": order_id})
    _whole(result, "order_payable")
    order = result.data.get("order")
    if not isinstance(order, dict):
        return None
    open_, currency = _money(order.get("totalOutstandingSet"))
    return Payable(
        updated_at=shapes.instant(order.get("updatedAt"), "order.updatedAt"),
        can=order.get("canMarkAsPaid") is True,
        open=open_,
        currency=currency,
        paid=tuple(_paid(node) for node in order.get("transactions") or () if _is_payment(node)),
    )


def mark_as_paid(admin: Admin, order_id: str) -> None:
    """Book all that is open on an order. Raises Rejected("SHOPIFY-REFUSED") where Shopify says no."""
    result = admin.execute("order_mark_as_paid", {"id": order_id})
    _told(result, "orderMarkAsPaid")


def record_payment(admin: Admin, order_id: str, amount: int | None, currency: str, method: str, at: datetime) -> None:
    """Book a payment of an instant (aware), of all that is open or of `amount` (Shopify Plus).

    Raises Rejected("SHOPIFY-REFUSED") where Shopify says no.
    """
    money = None if amount is None else {"amount": to_decimal(amount), "currencyCode": currency}
    told = {"id": order_id, "amount": money, "method": method, "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    _told(admin.execute("order_manual_payment", told), "orderCreateManualPayment")


def is_plus(admin: Admin) -> bool:
    """Whether the shop's plan lets an app book a part of what is open."""
    plan = admin.shop_settings().get("plan")
    return isinstance(plan, dict) and plan.get("shopifyPlus") is True


def _told(result: Result, name: str) -> None:
    _whole(result, name)
    made = result.data.get(name)
    if not isinstance(made, dict):
        raise Retryable("SHOPIFY-PARTIAL", f"{name} came back empty")
    errors = [str(one.get("message"))[:200] for one in made.get("userErrors") or () if isinstance(one, dict)]
    if errors:
        raise Rejected("SHOPIFY-REFUSED", f"{name}: {errors[0]}", detail={"document": name})


def _whole(result: Result, name: str) -> None:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", f"a scope for {name} is missing", detail={"document": name})
    if result.errors:
        raise Retryable("SHOPIFY-PARTIAL", f"{name} came back incomplete", detail={"document": name})


def _is_payment(node: Any) -> bool:
    return isinstance(node, dict) and node.get("status") == "SUCCESS" and node.get("kind") in ("SALE", "CAPTURE")


def _paid(node: dict[str, Any]) -> Paid:
    amount, _ = _money(node.get("amountSet"))
    return Paid(shapes.text(node.get("id"), "transaction.id"), amount)


def _money(bag: Any) -> tuple[int, str]:
    money = bag.get("shopMoney") if isinstance(bag, dict) else None
    if not isinstance(money, dict):
        raise Retryable("SHOPIFY-PARTIAL", "an amount came back empty")
    return to_minor(str(money.get("amount"))), str(money.get("currencyCode"))
