"""Admin JSON -> domain.Order: the only place that knows Shopify's field names.

Tolerant about the wrapping (a list, `{"nodes": […]}`, `{"edges": [{"node": …}]}`), strict about the content: money is
read from `shopMoney` into minor units, rates into percent, instants into UTC. What is missing becomes an entry of
`Order.gaps`; what cannot be an order raises `Rejected("ORDER-SHAPE", path)`, money nobody can count
`Rejected("MONEY-FORMAT" | "MONEY-PRECISION", path)`. Nothing else is raised, whatever the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ladenbuch.domain import order as shop
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected

Json = Mapping[str, Any]

_EMPTY: Json = {}
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII
)
_AMOUNT = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,12})?", re.ASCII)
_RATE = re.compile(r"\d{1,6}(?:\.\d{1,12})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

_DISCOUNT_KINDS = {
    "DiscountCodeApplication": "code",
    "AutomaticDiscountApplication": "automatic",
    "ManualDiscountApplication": "manual",
    "ScriptDiscountApplication": "script",
}
_AGREEMENT_KINDS = {
    "ORDER": "OrderAgreement",
    "ORDER_EDIT": "OrderEditAgreement",
    "REFUND": "RefundAgreement",
    "RETURN": "ReturnAgreement",
}
_SOLD = ("lineItem", "shippingLine", "duty", "additionalFee", "fee")
#: Parts that may be absent from an envelope; transactions and agreements may not.
_OPTIONAL = ("refunds", "fulfillments")


def order_from_envelope(envelope: object) -> shop.Order:
    """The order of an envelope `{"order", "transactions", "agreements", "refunds", "fulfillments"}`.

    Parts may also sit inside `order`, and the whole may be a GraphQL answer `{"data": {"order": …}}`. Entries of
    `gaps` in the envelope are kept; a page that was announced and is not there, a null where money or a tax should
    be, and missing transactions or agreements add to them (rule R19).
    """
    top = _mapping(envelope, "envelope")
    if isinstance(top.get("data"), Mapping):
        top = {**top["data"], **{key: value for key, value in top.items() if key not in ("data", "errors")}}
    if isinstance(top.get("order"), Mapping):
        order: Json = top["order"]
    elif "order" not in top and "id" in top:
        order, top = top, {}
    else:
        raise Rejected("ORDER-SHAPE", "order")
    return _Reader(order, top).order()


# -- wrappings, also used while pages are collected ------------------------------------------------------------------


def nodes(value: object, path: str, *, keep_holes: bool = False) -> list[Any]:
    """The nodes of a list or connection; null gives an empty list. With `keep_holes` nulls inside stay in place."""
    if isinstance(value, Mapping):
        if "nodes" in value:
            value = value["nodes"]
        elif "edges" in value:
            value = [edge.get("node") if isinstance(edge, Mapping) else None for edge in edges(value, path)]
    if value is None:
        return []
    if not isinstance(value, list):
        raise Rejected("ORDER-SHAPE", path)
    return [item for item in value if keep_holes or isinstance(item, Mapping)]


def edges(value: object, path: str) -> list[Any]:
    """The edges of a connection (dicts with `cursor` and `node`)."""
    found = value.get("edges") if isinstance(value, Mapping) else None
    if found is None:
        return []
    if not isinstance(found, list):
        raise Rejected("ORDER-SHAPE", path)
    return [edge for edge in found if isinstance(edge, Mapping)]


def next_cursor(value: object) -> str | None:
    """Where the next page of a connection begins, None when this was the last one."""
    page = value.get("pageInfo") if isinstance(value, Mapping) else None
    if not isinstance(page, Mapping) or page.get("hasNextPage") is not True:
        return None
    cursor = page.get("endCursor")
    return cursor if isinstance(cursor, str) else None


def text(value: object, path: str) -> str:
    """A non-empty string, else `Rejected("ORDER-SHAPE", path)`."""
    if not isinstance(value, str) or not value:
        raise Rejected("ORDER-SHAPE", path)
    return value


def instant(value: object, path: str) -> datetime:
    """An ISO 8601 instant with a zone and up to nanoseconds, as aware UTC with microseconds (cut, not rounded)."""
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Rejected("ORDER-SHAPE", path)
    year, month, day, hour, minute, second, fraction, _, sign, off_hours, off_minutes = match.groups()
    micro = int((fraction or "0").ljust(6, "0")[:6])
    offset = timedelta()
    if sign:
        offset = timedelta(hours=int(off_hours), minutes=int(off_minutes)) * (-1 if sign == "-" else 1)
    try:
        zone = timezone(offset)
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micro, zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Rejected("ORDER-SHAPE", path) from None


def percent(value: object, percentage: object, path: str) -> Decimal | None:
    """A tax rate in percent from Shopify's fraction (`0.19` -> `19`), else from `ratePercentage`; None when neither."""
    rate = _rate(value, path)
    if rate is not None:
        return _plain(rate * 100)
    rate = _rate(percentage, path)
    return None if rate is None else _plain(rate)


def _rate(value: object, path: str) -> Decimal | None:
    if value is None:
        return None
    # A float can only come from somebody else's JSON parser; its shortest text is the number that was sent.
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        shown = format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)
        if _RATE.fullmatch(shown):
            return Decimal(shown)
    raise Rejected("ORDER-SHAPE", path)


def _plain(rate: Decimal) -> Decimal:
    whole = rate.to_integral_value()
    return whole.quantize(Decimal(1)) if rate == whole else rate.normalize()


def _mapping(value: object, path: str) -> Json:
    if not isinstance(value, Mapping):
        raise Rejected("ORDER-SHAPE", path)
    return value


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _maybe(value: object, path: str) -> datetime | None:
    return None if value is None else instant(value, path)


def _count(value: object, path: str, *, default: int | None = None) -> int:
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise Rejected("ORDER-SHAPE", path)
    return value


def _texts(value: object, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Rejected("ORDER-SHAPE", path)
    return tuple(item for item in value if isinstance(item, str))


def _id(value: object) -> str | None:
    return _optional(value.get("id")) if isinstance(value, Mapping) else None


def _part(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


class _Reader:
    """One pass over one envelope, collecting gaps and whether any amount was foreign to the shop."""

    def __init__(self, order: Json, top: Json) -> None:
        self.raw = order
        self.top = top
        self.gaps: list[str] = []
        self.foreign = False
        self.currency = text(order.get("currencyCode"), "order.currencyCode")
        if not _CURRENCY.fullmatch(self.currency):
            raise Rejected("ORDER-SHAPE", "order.currencyCode")

    def order(self) -> shop.Order:
        raw = self.raw
        given = self.top.get("gaps")
        for gap in given if isinstance(given, list) else []:
            self.gap(str(gap))
        presentment = text(raw.get("presentmentCurrencyCode") or self.currency, "order.presentmentCurrencyCode")
        fields: dict[str, Any] = {
            **self.head(),
            **self.totals(),
            **self.parties(),
            "presentment_currency": presentment,
            "agreements": tuple(self.agreement(item, path) for item, path in self.part("agreements")),
            "payments": tuple(self.payment(item, path) for item, path in self.part("transactions")),
            "refunds": tuple(self.refund(item, path) for item, path in self.part("refunds")),
            "fulfilments": tuple(self.fulfilment(item, path) for item, path in self.part("fulfillments")),
            "lines": tuple(self.line(item, path) for item, path in self.items(raw, "lineItems", "order")),
            "shipping_lines": tuple(
                self.shipping_line(item, path) for item, path in self.items(raw, "shippingLines", "order")
            ),
            "additional_fees": tuple(
                self.fee(item, path) for item, path in self.items(raw, "additionalFees", "order", soft=True)
            ),
            "discounts": tuple(
                self.discount(item, path) for item, path in self.items(raw, "discountApplications", "order", soft=True)
            ),
        }
        # last, because every amount above may have added to them
        return shop.Order(**fields, foreign_money=self.foreign or presentment != self.currency, gaps=tuple(self.gaps))

    # -- small readers -------------------------------------------------------------------------------------------

    def gap(self, path: str) -> None:
        if path not in self.gaps:
            self.gaps.append(path)

    def items(self, holder: object, key: str, path: str, *, soft: bool = False) -> list[tuple[Json, str]]:
        """The elements of a list with their paths. An absent list, a null element or a missing page is a gap."""
        where = f"{path}.{key}"
        value = _part(holder, key)
        if value is None and not soft:
            self.gap(where)
        if isinstance(value, Mapping) and _part(value.get("pageInfo"), "hasNextPage") is True:
            self.gap(f"{where}.page")
        found: list[tuple[Json, str]] = []
        for index, item in enumerate(nodes(value, where, keep_holes=True)):
            if item is None:
                self.gap(f"{where}.{index}")
            else:
                found.append((_mapping(item, f"{where}.{index}"), f"{where}.{index}"))
        return found

    def part(self, name: str) -> list[tuple[Json, str]]:
        """One of the four parts, wherever it sits."""
        holder = self.top if name in self.top else self.raw
        return self.items(holder, name, "order", soft=name in _OPTIONAL and name not in holder)

    def money(self, value: object, path: str, *, needed: bool = False) -> int:
        """Minor units of the shop amount; null is 0, and a gap where the amount is `needed`."""
        if value is None:
            if needed:
                self.gap(path)
            return 0
        if isinstance(value, Mapping) and ("shopMoney" in value or "presentmentMoney" in value):
            inner = value.get("shopMoney")
            if inner is None:
                self.gap(path)
                return 0
            amount, currency = self.amount(inner, path)
            seen = value.get("presentmentMoney")
            if seen is not None and self.amount(seen, path) != (amount, currency):
                self.foreign = True
        else:
            amount, currency = self.amount(value, path)
        if currency != self.currency:
            self.foreign = True
        try:
            return to_minor(amount, currency)
        except Rejected as error:
            raise Rejected(error.code, path) from None

    def amount(self, value: object, path: str) -> tuple[Decimal, str]:
        currency: object = self.currency
        if isinstance(value, Mapping):
            currency = value.get("currencyCode") or self.currency
            value = value.get("amount")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise Rejected("ORDER-SHAPE", path)
        if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 30:
            value = format(value, "f")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
            value = str(value)
        if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
            raise Rejected("MONEY-FORMAT", path)
        return Decimal(value), currency

    def tax_rate(self, line: Json, path: str, amount: int) -> Decimal:
        rate = percent(line.get("rate"), line.get("ratePercentage"), f"{path}.rate")
        if rate is None:
            if amount:
                self.gap(f"{path}.rate")
            return Decimal(0)
        return rate

    def tax_lines(self, holder: Json, path: str, *, soft: bool = False) -> tuple[shop.TaxLine, ...]:
        found = []
        for line, where in self.items(holder, "taxLines", path, soft=soft):
            value = line.get("priceSet", line.get("price"))
            amount = self.money(value, f"{where}.priceSet", needed=True)
            liable = line.get("channelLiable")
            found.append(
                shop.TaxLine(
                    title=_optional(line.get("title")) or "",
                    rate=self.tax_rate(line, where, amount),
                    amount=amount,
                    channel_liable=liable if isinstance(liable, bool) else None,
                    source=_optional(line.get("source")),
                )
            )
        return tuple(found)

    def allocations(self, holder: Json, path: str) -> tuple[shop.DiscountAllocation, ...]:
        found = []
        for item, where in self.items(holder, "discountAllocations", path, soft=True):
            index = _part(item.get("discountApplication"), "index")
            amount = self.money(item.get("allocatedAmountSet"), f"{where}.allocatedAmountSet", needed=True)
            known = index if isinstance(index, int) and not isinstance(index, bool) else None
            found.append(shop.DiscountAllocation(amount, known))
        return tuple(found)

    # -- the order itself ----------------------------------------------------------------------------------------

    def head(self) -> dict[str, Any]:
        raw = self.raw
        return {
            "id": text(raw.get("id"), "order.id"),
            "name": text(raw.get("name"), "order.name"),
            "created_at": instant(raw.get("createdAt"), "order.createdAt"),
            "processed_at": instant(raw.get("processedAt") or raw.get("createdAt"), "order.processedAt"),
            "updated_at": instant(raw.get("updatedAt"), "order.updatedAt"),
            "currency": self.currency,
            "taxes_included": self.flag("taxesIncluded", needed=True),
            "test": self.flag("test"),
            "edited": self.flag("edited"),
            "tax_exempt": self.flag("taxExempt"),
            "estimated_taxes": self.flag("estimatedTaxes"),
            "source_name": _optional(raw.get("sourceName")),
            "financial_status": _optional(raw.get("displayFinancialStatus")),
            "fulfilment_status": _optional(raw.get("displayFulfillmentStatus")),
            "return_status": _optional(raw.get("returnStatus")),
            "cancelled_at": _maybe(raw.get("cancelledAt"), "order.cancelledAt"),
            "cancel_reason": _optional(raw.get("cancelReason")),
            "closed_at": _maybe(raw.get("closedAt"), "order.closedAt"),
            "po_number": _optional(raw.get("poNumber")),
            "gateways": _texts(raw.get("paymentGatewayNames"), "order.paymentGatewayNames"),
            "locale": _optional(raw.get("customerLocale")),
            "email": _optional(raw.get("email")),
            "custom_attributes": tuple(
                (str(item.get("key") or ""), str(item.get("value") or ""))
                for item, _ in self.items(raw, "customAttributes", "order", soft=True)
            ),
        }

    def flag(self, key: str, *, needed: bool = False) -> bool:
        value = self.raw.get(key)
        if value is None:
            if needed or key in self.raw:
                self.gap(f"order.{key}")
            return False
        if not isinstance(value, bool):
            raise Rejected("ORDER-SHAPE", f"order.{key}")
        return value

    def total(self, key: str, *, needed: bool = False) -> int:
        return self.money(self.raw.get(key), f"order.{key}", needed=needed)

    def totals(self) -> dict[str, int]:
        rounding = self.raw.get("totalCashRoundingAdjustment")
        path = "order.totalCashRoundingAdjustment"
        paid = self.money(_part(rounding, "paymentSet"), f"{path}.paymentSet")
        returned = self.money(_part(rounding, "refundSet"), f"{path}.refundSet")
        return {
            "original_total": self.total("originalTotalPriceSet", needed=True),
            "current_total": self.total("currentTotalPriceSet", needed=True),
            "total_tax": self.total("totalTaxSet"),
            "total_received": self.total("totalReceivedSet", needed=True),
            "total_refunded": self.total("totalRefundedSet"),
            "total_outstanding": self.total("totalOutstandingSet"),
            "total_tip": self.total("totalTipReceivedSet"),
            "refund_discrepancy": self.total("refundDiscrepancySet"),
            "original_duties": self.total("originalTotalDutiesSet"),
            "original_additional_fees": self.total("originalTotalAdditionalFeesSet"),
            "cash_rounding": paid or returned,  # not their sum: opposite signs must not hide each other
        }

    def parties(self) -> dict[str, Any]:
        raw = self.raw
        app = raw.get("merchantOfRecordApp")
        return {
            "billing_address": _address(raw.get("billingAddress")),
            "shipping_address": _address(raw.get("shippingAddress")),
            "customer": _customer(raw.get("customer")),
            "company": self.company(raw.get("purchasingEntity")),
            "terms": self.terms(raw.get("paymentTerms")),
            "merchant_of_record": _optional(_part(app, "name")) or _id(app),
            "disputes": tuple(
                shop.Dispute(
                    id=text(item.get("id"), f"{path}.id"),
                    initiated_as=_optional(item.get("initiatedAs")) or "UNKNOWN",
                    status=_optional(item.get("status")) or "UNKNOWN",
                )
                for item, path in self.items(raw, "disputes", "order", soft=True)
            ),
        }

    def company(self, entity: object) -> shop.Company | None:
        if not isinstance(entity, Mapping) or entity.get("__typename") == "Customer":
            return None
        if entity.get("__typename") != "PurchasingCompany" and "company" not in entity:
            return None
        company, location = entity.get("company"), entity.get("location")
        tax = _part(location, "taxSettings")
        if not isinstance(company, Mapping):  # a company bought, but nobody may say which: still a company
            self.gap("order.purchasingEntity.company")
        return shop.Company(
            id=_id(company) or "",
            name=_optional(_part(company, "name")) or "",
            location_id=_id(location),
            location_name=_optional(_part(location, "name")),
            billing_address=_address(_part(location, "billingAddress")),
            tax_registration_id=_optional(_part(tax, "taxRegistrationId")),
            tax_exempt=_part(tax, "taxExempt") is True,
        )

    def terms(self, terms: object) -> shop.PaymentTerms | None:
        if not isinstance(terms, Mapping):
            return None
        path = "order.paymentTerms"
        due = [
            instant(item["dueAt"], f"{where}.dueAt")
            for item, where in self.items(terms, "paymentSchedules", path, soft=True)
            if item.get("dueAt") is not None and item.get("completedAt") is None
        ]
        days = terms.get("dueInDays")
        return shop.PaymentTerms(
            name=_optional(terms.get("paymentTermsName")) or "",
            kind=_optional(terms.get("paymentTermsType")) or "UNKNOWN",
            due_in_days=None if days is None else _count(days, f"{path}.dueInDays"),
            due_at=min(due) if due else None,
        )

    # -- what was sold -------------------------------------------------------------------------------------------

    def line(self, raw: Json, path: str) -> shop.Line:
        quantity = _count(raw.get("quantity"), f"{path}.quantity")
        original = self.money(raw.get("originalTotalSet"), f"{path}.originalTotalSet", needed=True)
        discounted = raw.get("discountedTotalSet")
        return shop.Line(
            id=text(raw.get("id"), f"{path}.id"),
            title=_optional(raw.get("title")) or _optional(raw.get("name")) or "",
            quantity=quantity,
            current_quantity=_count(raw.get("currentQuantity"), f"{path}.currentQuantity", default=quantity),
            original_total=original,
            discounted_total=original if discounted is None else self.money(discounted, f"{path}.discountedTotalSet"),
            variant_title=_optional(raw.get("variantTitle")),
            sku=_optional(raw.get("sku")),
            vendor=_optional(raw.get("vendor")),
            is_gift_card=raw.get("isGiftCard") is True,
            requires_shipping=raw.get("requiresShipping") is not False,
            taxable=raw.get("taxable") is not False,
            allocations=self.allocations(raw, path),
            tax_lines=self.tax_lines(raw, path),
            duties=tuple(
                shop.Duty(
                    id=text(duty.get("id"), f"{where}.id"),
                    price=self.money(duty.get("price"), f"{where}.price", needed=True),
                    tax_lines=self.tax_lines(duty, where, soft=True),
                )
                for duty, where in self.items(raw, "duties", path, soft=True)
            ),
        )

    def shipping_line(self, raw: Json, path: str) -> shop.ShippingLine:
        original = self.money(raw.get("originalPriceSet"), f"{path}.originalPriceSet", needed=True)
        discounted, current = raw.get("discountedPriceSet"), raw.get("currentDiscountedPriceSet")
        price = original if discounted is None else self.money(discounted, f"{path}.discountedPriceSet")
        return shop.ShippingLine(
            id=_id(raw),
            title=_optional(raw.get("title")) or "",
            original_price=original,
            discounted_price=price,
            current_discounted_price=(
                price if current is None else self.money(current, f"{path}.currentDiscountedPriceSet")
            ),
            code=_optional(raw.get("code")),
            source=_optional(raw.get("source")),
            is_removed=raw.get("isRemoved") is True,
            allocations=self.allocations(raw, path),
            tax_lines=self.tax_lines(raw, path),
        )

    def fee(self, raw: Json, path: str) -> shop.AdditionalFee:
        return shop.AdditionalFee(
            id=text(raw.get("id"), f"{path}.id"),
            name=_optional(raw.get("name")) or "",
            price=self.money(raw.get("price"), f"{path}.price", needed=True),
            tax_lines=self.tax_lines(raw, path, soft=True),
        )

    def discount(self, raw: Json, path: str) -> shop.DiscountApplication:
        return shop.DiscountApplication(
            index=_count(raw.get("index"), f"{path}.index"),
            kind=_DISCOUNT_KINDS.get(str(raw.get("__typename")), "code" if "code" in raw else "unknown"),
            label=_optional(raw.get("code")) or _optional(raw.get("title")) or "",
            target_type=_optional(raw.get("targetType")) or "UNKNOWN",
            allocation_method=_optional(raw.get("allocationMethod")) or "UNKNOWN",
        )

    # -- the ledger ----------------------------------------------------------------------------------------------

    def agreement(self, raw: Json, path: str) -> shop.Agreement:
        reason = _optional(raw.get("reason")) or "UNKNOWN"
        kind = _optional(raw.get("__typename")) or _AGREEMENT_KINDS.get(reason, "UNKNOWN")
        return shop.Agreement(
            id=text(raw.get("id"), f"{path}.id"),
            kind=kind,
            reason=reason,
            happened_at=instant(raw.get("happenedAt"), f"{path}.happenedAt"),
            sales=tuple(self.sale(item, where) for item, where in self.items(raw, "sales", path)),
            refund_id=_id(raw.get("refund")),
            return_id=_id(raw.get("return")),
        )

    def sale(self, raw: Json, path: str) -> shop.Sale:
        quantity = raw.get("quantity")
        item = next((raw[key] for key in _SOLD if isinstance(raw.get(key), Mapping)), _EMPTY)
        before, after = "totalDiscountAmountBeforeTaxes", "totalDiscountAmountAfterTaxes"
        return shop.Sale(
            id=text(raw.get("id"), f"{path}.id"),
            line_type=_optional(raw.get("lineType")) or "UNKNOWN",
            action=_optional(raw.get("actionType")) or "UNKNOWN",
            total=self.money(raw.get("totalAmount"), f"{path}.totalAmount", needed=True),
            tax=self.money(raw.get("totalTaxAmount"), f"{path}.totalTaxAmount", needed=True),
            quantity=None if quantity is None else _count(quantity, f"{path}.quantity"),
            taxes=tuple(self.sale_tax(tax, where) for tax, where in self.items(raw, "taxes", path)),
            discount_before_taxes=self.money(raw.get(before), f"{path}.{before}"),
            discount_after_taxes=self.money(raw.get(after), f"{path}.{after}"),
            item_id=_id(item),
            item_name=_optional(item.get("name")) or _optional(item.get("__typename")),
        )

    def sale_tax(self, raw: Json, path: str) -> shop.SaleTax:
        amount = self.money(raw.get("amount"), f"{path}.amount", needed=True)
        found = raw.get("taxLine")
        line: Json = found if isinstance(found, Mapping) else _EMPTY
        liable = line.get("channelLiable")
        return shop.SaleTax(
            amount=amount,
            rate=self.tax_rate(line, f"{path}.taxLine", amount),
            title=_optional(line.get("title")) or "",
            channel_liable=liable if isinstance(liable, bool) else None,
        )

    # -- money and goods that moved ------------------------------------------------------------------------------

    def payment(self, raw: Json, path: str) -> shop.Payment:
        amount = raw.get("amountSet")
        currency = _part(_part(amount, "shopMoney"), "currencyCode")
        return shop.Payment(
            id=text(raw.get("id"), f"{path}.id"),
            kind=text(raw.get("kind"), f"{path}.kind"),
            status=text(raw.get("status"), f"{path}.status"),
            gateway=_optional(raw.get("gateway")),
            amount=self.money(amount, f"{path}.amountSet", needed=True),
            processed_at=_maybe(raw.get("processedAt"), f"{path}.processedAt"),
            created_at=_maybe(raw.get("createdAt"), f"{path}.createdAt"),
            currency=_optional(currency) or self.currency,
            test=raw.get("test") is True,
            manual=raw.get("manualPaymentGateway") is True,
            formatted_gateway=_optional(raw.get("formattedGateway")),
            rounding=self.money(raw.get("amountRoundingSet"), f"{path}.amountRoundingSet"),
            parent_id=_id(raw.get("parentTransaction")),
            payment_id=_optional(raw.get("paymentId")),
            fees=tuple(
                shop.PaymentFee(
                    id=text(fee.get("id"), f"{where}.id"),
                    kind=_optional(fee.get("type")) or "UNKNOWN",
                    amount=self.settled(fee.get("amount"), f"{where}.amount"),
                    tax_amount=self.settled(fee.get("taxAmount"), f"{where}.taxAmount"),
                )
                for fee, where in self.items(raw, "fees", path, soft=True)
            ),
        )

    def settled(self, value: object, path: str) -> int:
        """A fee's amount: in the currency of the payout, which says nothing about what the buyer saw."""
        before, self.foreign = self.foreign, False
        amount = self.money(value, path)
        self.foreign = before
        return amount

    def refund(self, raw: Json, path: str) -> shop.Refund:
        shipping = self.items(raw, "refundShippingLines", path, soft=True)
        return shop.Refund(
            id=text(raw.get("id"), f"{path}.id"),
            created_at=_maybe(raw.get("createdAt"), f"{path}.createdAt"),
            total=self.money(raw.get("totalRefundedSet"), f"{path}.totalRefundedSet", needed=True),
            processed_at=_maybe(raw.get("processedAt"), f"{path}.processedAt"),
            note=_optional(raw.get("note")),
            return_id=_id(raw.get("return")),
            lines=tuple(
                shop.RefundLine(
                    line_id=_id(line.get("lineItem")),
                    quantity=_count(line.get("quantity"), f"{where}.quantity"),
                    subtotal=self.money(line.get("subtotalSet"), f"{where}.subtotalSet", needed=True),
                    tax=self.money(line.get("totalTaxSet"), f"{where}.totalTaxSet"),
                    restock_type=_optional(line.get("restockType")),
                )
                for line, where in self.items(raw, "refundLineItems", path, soft=True)
            ),
            shipping=sum(self.money(s.get("subtotalAmountSet"), f"{at}.subtotalAmountSet") for s, at in shipping),
            shipping_tax=sum(self.money(s.get("taxAmountSet"), f"{at}.taxAmountSet") for s, at in shipping),
            duties=sum(
                self.money(duty.get("amountSet"), f"{where}.amountSet")
                for duty, where in self.items(raw, "duties", path, soft=True)
            ),
            adjustments=tuple(
                shop.RefundAdjustment(
                    id=text(item.get("id"), f"{where}.id"),
                    reason=_optional(item.get("reason")) or "UNKNOWN",
                    amount=self.money(item.get("amountSet"), f"{where}.amountSet", needed=True),
                    tax=self.money(item.get("taxAmountSet"), f"{where}.taxAmountSet"),
                )
                for item, where in self.items(raw, "orderAdjustments", path, soft=True)
            ),
            transaction_ids=tuple(
                text(item.get("id"), f"{where}.id") for item, where in self.items(raw, "transactions", path, soft=True)
            ),
        )

    def fulfilment(self, raw: Json, path: str) -> shop.Fulfilment:
        items = []
        for item, where in self.items(raw, "fulfillmentLineItems", path, soft=True):
            quantity = _count(item.get("quantity"), f"{where}.quantity", default=0)
            items.append((_id(item.get("lineItem")) or "", quantity))
        return shop.Fulfilment(
            id=text(raw.get("id"), f"{path}.id"),
            status=_optional(raw.get("status")) or "UNKNOWN",
            created_at=instant(raw.get("createdAt"), f"{path}.createdAt"),
            in_transit_at=_maybe(raw.get("inTransitAt"), f"{path}.inTransitAt"),
            delivered_at=_maybe(raw.get("deliveredAt"), f"{path}.deliveredAt"),
            display_status=_optional(raw.get("displayStatus")),
            quantity=_count(raw.get("totalQuantity"), f"{path}.totalQuantity", default=sum(n for _, n in items)),
            origin_country=_optional(_part(raw.get("originAddress"), "countryCode")),
            items=tuple(items),
        )


def _address(raw: object) -> shop.Address | None:
    """A MailingAddress or a CompanyAddress (`companyName`, `recipient`, `zoneCode`, `countryCode`)."""
    if not isinstance(raw, Mapping):
        return None
    return shop.Address(
        first_name=_optional(raw.get("firstName")),
        last_name=_optional(raw.get("lastName")) or _optional(raw.get("recipient")),
        company=_optional(raw.get("company")) or _optional(raw.get("companyName")),
        address1=_optional(raw.get("address1")),
        address2=_optional(raw.get("address2")),
        zip=_optional(raw.get("zip")),
        city=_optional(raw.get("city")),
        province_code=_optional(raw.get("provinceCode")) or _optional(raw.get("zoneCode")),
        country=_optional(raw.get("countryCodeV2")) or _optional(raw.get("countryCode")),
        phone=_optional(raw.get("phone")),
    )


def _customer(raw: object) -> shop.Customer | None:
    if not isinstance(raw, Mapping) or not _id(raw):
        return None
    return shop.Customer(
        id=_id(raw) or "",
        first_name=_optional(raw.get("firstName")),
        last_name=_optional(raw.get("lastName")),
        display_name=_optional(raw.get("displayName")),
        email=_optional(_part(raw.get("defaultEmailAddress"), "emailAddress")),
        locale=_optional(raw.get("locale")),
        tax_exempt=raw.get("taxExempt") is True,
        tax_exemptions=_texts(raw.get("taxExemptions"), "order.customer.taxExemptions"),
        tax_id=_optional(_part(raw.get("taxSettings"), "taxId")),
    )
