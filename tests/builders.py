"""Small orders made by hand, for tests that want to say exactly what happened and when."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from ladenbuch.domain.order import (
    Address,
    Agreement,
    Customer,
    DiscountAllocation,
    Fulfilment,
    Line,
    Order,
    Payment,
    Sale,
    SaleTax,
    ShippingLine,
    TaxLine,
)
from ladenbuch.domain.profile import Gateway, Profile

T0 = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ERIKA = Address("Erika", "Muster", None, "Hafenweg 3", None, "20457", "Hamburg", None, "DE")
SAMPLES = Path(os.environ.get("LADENBUCH_SAMPLES", Path(__file__).parents[1] / ".." / "shared" / "samples"))
SPECS = Path(os.environ.get("LADENBUCH_SPECS", Path(__file__).parents[1] / ".." / "shared" / "specs"))
PROFILE = Profile(
    shop_key="s1",
    draft_only=False,
    shop_name="Muster & Söhne",
    gateways={
        "shopify_payments": Gateway("clearing+payouts", "12"),
        "klarna": Gateway("clearing+payouts", "13"),
        "bank_deposit": Gateway("bank"),
        "cash_on_delivery": Gateway("off"),
    },
)


def at(minutes: float = 0, **more: float) -> datetime:
    """An instant after the first order."""
    return T0 + timedelta(minutes=minutes, **more)


def golden() -> list[dict]:
    """The golden documents, or [] where they are absent (LADENBUCH_SAMPLES names their folder)."""
    path = SAMPLES / "golden-documents.json"
    return json.loads(path.read_text()) if path.exists() else []


def sale(
    number: int,
    total: int,
    taxes: dict[str, int] | None = None,
    *,
    line: str | None = None,
    quantity: int | None = 1,
    kind: str = "PRODUCT",
    action: str = "ORDER",
) -> Sale:
    """A ledger entry; `taxes` is rate -> amount."""
    lines = tuple(SaleTax(amount, Decimal(rate), "MwSt") for rate, amount in (taxes or {}).items())
    where = "ShippingLine" if kind == "SHIPPING" else "LineItem"
    return Sale(
        id=f"gid://shopify/Sale/{number}",
        line_type=kind,
        action=action,
        total=total,
        tax=sum(tax.amount for tax in lines),
        quantity=quantity,
        taxes=lines,
        item_id=f"gid://shopify/{where}/{line or number}",
    )


def agreement(number: int, when: datetime, *sales: Sale, reason: str = "ORDER") -> Agreement:
    """A dated change of the ledger."""
    kinds = {"ORDER": "OrderAgreement", "ORDER_EDIT": "OrderEditAgreement", "REFUND": "RefundAgreement"}
    return Agreement(f"gid://shopify/Agreement/{number}", kinds.get(reason, "ReturnAgreement"), reason, when, sales)


def payment(
    number: int,
    amount: int,
    when: datetime | None,
    *,
    kind: str = "SALE",
    status: str = "SUCCESS",
    gateway: str = "shopify_payments",
    manual: bool = False,
) -> Payment:
    """A transaction."""
    gid = f"gid://shopify/OrderTransaction/{number}"
    return Payment(gid, kind, status, gateway, amount, when, when, manual=manual)


def shipped(number: int, when: datetime, origin: str | None = "DE") -> Fulfilment:
    """A fulfilment that left the shop."""
    return Fulfilment(f"gid://shopify/Fulfillment/{number}", "SUCCESS", when, origin_country=origin, quantity=1)


def order(
    *agreements: Agreement,
    payments: tuple[Payment, ...] = (),
    fulfilments: tuple[Fulfilment, ...] = (),
    names: dict[str, str] | None = None,
    **changes: object,
) -> Order:
    """An order whose lines and totals follow from its ledger; `changes` replace fields."""
    names = names or {}
    first = [item for item in agreements if item.reason == "ORDER"]
    lines = tuple(
        Line(
            id=item.item_id or "",
            title=names.get((item.item_id or "").rsplit("/", 1)[-1], "Tasse"),
            quantity=item.quantity or 1,
            current_quantity=item.quantity or 1,
            original_total=item.total,
            discounted_total=item.total,
            tax_lines=tuple(TaxLine(tax.title, tax.rate, tax.amount) for tax in item.taxes),
        )
        for agreed in first
        for item in agreed.sales
        if item.line_type == "PRODUCT"
    )
    shipping = tuple(
        ShippingLine(item.item_id, "Versand", item.total, item.total, item.total)
        for agreed in first
        for item in agreed.sales
        if item.line_type == "SHIPPING"
    )
    base = Order(
        id="gid://shopify/Order/5001",
        name="#1001",
        created_at=T0,
        processed_at=T0,
        updated_at=T0,
        currency="EUR",
        presentment_currency="EUR",
        taxes_included=True,
        original_total=sum(item.total for agreed in first for item in agreed.sales),
        current_total=sum(item.total for agreed in agreements for item in agreed.sales),
        agreements=agreements,
        payments=payments,
        fulfilments=fulfilments,
        lines=lines,
        shipping_lines=shipping,
        email="erika@example.org",
        billing_address=ERIKA,
        shipping_address=ERIKA,
        customer=Customer("gid://shopify/Customer/71", "Erika", "Muster", email="erika@example.org"),
        locale="de-DE",
    )
    return replace(base, **changes)


def mug(total: int = 1190, tax: int = 190, when: datetime = T0) -> Agreement:
    """One mug at 19 %."""
    return agreement(1, when, sale(1, total, {"19": tax}))


__all__ = ["DiscountAllocation"]
