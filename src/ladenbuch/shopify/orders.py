"""Admin JSON -> domain.Order: the only place that knows Shopify's field names.

Tolerant about the wrapping (a list, `{"nodes": […]}`, `{"edges": [{"node": …}]}`), strict about the content: money is
read from `shopMoney` into minor units, rates into percent, instants into UTC. What is missing becomes an entry of
`Order.gaps`; what cannot be an order raises `Rejected("ORDER-SHAPE", path)`, money nobody can count
`Rejected("MONEY-FORMAT" | "MONEY-PRECISION", path)`. Nothing else is raised, whatever the input.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ladenbuch.domain import order as shop
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected
from ladenbuch.shopify.shapes import (
    OBJECT,
    Json,
    count,
    gid,
    instant,
    mapping,
    maybe_instant,
    nodes,
    optional,
    part,
    percent,
    text,
    texts,
)

_EMPTY: Json = {}
_AMOUNT = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,12})?", re.ASCII)
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


@lru_cache(maxsize=4096)  # an order says the same few again and again
def _read(amount: str) -> Decimal | None:
    return Decimal(amount) if _AMOUNT.fullmatch(amount) else None


def order_from_envelope(envelope: object) -> shop.Order:
    """The order of an envelope `{"order", "transactions", "agreements", "refunds", "fulfillments"}`.

    Parts may also sit inside `order`, and the whole may be a GraphQL answer `{"data": {"order": …}}`. Entries of
    `gaps` in the envelope are kept; a page that was announced and is not there, a null where money or a tax should
    be, and missing transactions or agreements add to them (rule R19).
    """
    top = mapping(envelope, "envelope")
    if isinstance(top.get("data"), OBJECT):
        top = {**top["data"], **{key: value for key, value in top.items() if key not in ("data", "errors")}}
    if isinstance(top.get("order"), OBJECT):
        order: Json = top["order"]
    elif "order" not in top and "id" in top:
        order, top = top, {}
    else:
        raise Rejected("ORDER-SHAPE", "order")
    return _Reader(order, top).order()


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
        value = part(holder, key)
        if value is None and not soft:
            self.gap(where)
        if isinstance(value, OBJECT) and part(value.get("pageInfo"), "hasNextPage") is True:
            self.gap(f"{where}.page")
        found: list[tuple[Json, str]] = []
        for index, item in enumerate(nodes(value, where, keep_holes=True)):
            if item is None:
                self.gap(f"{where}.{index}")
            else:
                found.append((mapping(item, f"{where}.{index}"), f"{where}.{index}"))
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
        if isinstance(value, OBJECT) and ("shopMoney" in value or "presentmentMoney" in value):
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
        if isinstance(value, OBJECT):
            currency = value.get("currencyCode") or self.currency
            value = value.get("amount")
        if currency != self.currency and (not isinstance(currency, str) or not _CURRENCY.fullmatch(currency)):
            raise Rejected("ORDER-SHAPE", path)
        if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 30:
            value = format(value, "f")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
            value = str(value)
        read = _read(value) if isinstance(value, str) and len(value) <= 40 else None
        if read is None:
            raise Rejected("MONEY-FORMAT", path)
        return read, str(currency)

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
                    title=optional(line.get("title")) or "",
                    rate=self.tax_rate(line, where, amount),
                    amount=amount,
                    channel_liable=liable if isinstance(liable, bool) else None,
                    source=optional(line.get("source")),
                )
            )
        return tuple(found)

    def allocations(self, holder: Json, path: str) -> tuple[shop.DiscountAllocation, ...]:
        found = []
        for item, where in self.items(holder, "discountAllocations", path, soft=True):
            index = part(item.get("discountApplication"), "index")
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
            "source_name": optional(raw.get("sourceName")),
            "financial_status": optional(raw.get("displayFinancialStatus")),
            "fulfilment_status": optional(raw.get("displayFulfillmentStatus")),
            "return_status": optional(raw.get("returnStatus")),
            "cancelled_at": maybe_instant(raw.get("cancelledAt"), "order.cancelledAt"),
            "cancel_reason": optional(raw.get("cancelReason")),
            "closed_at": maybe_instant(raw.get("closedAt"), "order.closedAt"),
            "po_number": optional(raw.get("poNumber")),
            "gateways": texts(raw.get("paymentGatewayNames"), "order.paymentGatewayNames"),
            "locale": optional(raw.get("customerLocale")),
            "email": optional(raw.get("email")),
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
        paid = self.money(part(rounding, "paymentSet"), f"{path}.paymentSet")
        returned = self.money(part(rounding, "refundSet"), f"{path}.refundSet")
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
            "merchant_of_record": optional(part(app, "name")) or gid(app),
            "disputes": tuple(
                shop.Dispute(
                    id=text(item.get("id"), f"{path}.id"),
                    initiated_as=optional(item.get("initiatedAs")) or "UNKNOWN",
                    status=optional(item.get("status")) or "UNKNOWN",
                )
                for item, path in self.items(raw, "disputes", "order", soft=True)
            ),
        }

    def company(self, entity: object) -> shop.Company | None:
        if not isinstance(entity, OBJECT) or entity.get("__typename") == "Customer":
            return None
        if entity.get("__typename") != "PurchasingCompany" and "company" not in entity:
            return None
        company, location = entity.get("company"), entity.get("location")
        tax = part(location, "taxSettings")
        if not isinstance(company, OBJECT):  # a company bought, but nobody may say which: still a company
            self.gap("order.purchasingEntity.company")
        return shop.Company(
            id=gid(company) or "",
            name=optional(part(company, "name")) or "",
            location_id=gid(location),
            location_name=optional(part(location, "name")),
            billing_address=_address(part(location, "billingAddress")),
            tax_registration_id=optional(part(tax, "taxRegistrationId")),
            tax_exempt=part(tax, "taxExempt") is True,
            external_id=optional(part(location, "externalId")) or optional(part(company, "externalId")),
        )

    def terms(self, terms: object) -> shop.PaymentTerms | None:
        if not isinstance(terms, OBJECT):
            return None
        path = "order.paymentTerms"
        schedules = [
            (instant(item["dueAt"], f"{where}.dueAt"), item.get("completedAt") is None)
            for item, where in self.items(terms, "paymentSchedules", path, soft=True)
            if item.get("dueAt") is not None
        ]
        due = [at for at, is_open in schedules if is_open]
        last = max((at for at, _ in schedules), default=None)
        days = terms.get("dueInDays")
        return shop.PaymentTerms(
            name=optional(terms.get("paymentTermsName")) or "",
            kind=optional(terms.get("paymentTermsType")) or "UNKNOWN",
            due_in_days=None if days is None else count(days, f"{path}.dueInDays"),
            due_at=min(due) if due else last,
        )

    # -- what was sold -------------------------------------------------------------------------------------------

    def line(self, raw: Json, path: str) -> shop.Line:
        quantity = count(raw.get("quantity"), f"{path}.quantity")
        original = self.money(raw.get("originalTotalSet"), f"{path}.originalTotalSet", needed=True)
        discounted = raw.get("discountedTotalSet")
        return shop.Line(
            id=text(raw.get("id"), f"{path}.id"),
            title=optional(raw.get("title")) or optional(raw.get("name")) or "",
            quantity=quantity,
            current_quantity=count(raw.get("currentQuantity"), f"{path}.currentQuantity", default=quantity),
            original_total=original,
            discounted_total=original if discounted is None else self.money(discounted, f"{path}.discountedTotalSet"),
            variant_title=optional(raw.get("variantTitle")),
            sku=optional(raw.get("sku")),
            vendor=optional(raw.get("vendor")),
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
            id=gid(raw),
            title=optional(raw.get("title")) or "",
            original_price=original,
            discounted_price=price,
            current_discounted_price=(
                price if current is None else self.money(current, f"{path}.currentDiscountedPriceSet")
            ),
            code=optional(raw.get("code")),
            source=optional(raw.get("source")),
            is_removed=raw.get("isRemoved") is True,
            allocations=self.allocations(raw, path),
            tax_lines=self.tax_lines(raw, path),
        )

    def fee(self, raw: Json, path: str) -> shop.AdditionalFee:
        return shop.AdditionalFee(
            id=text(raw.get("id"), f"{path}.id"),
            name=optional(raw.get("name")) or "",
            price=self.money(raw.get("price"), f"{path}.price", needed=True),
            tax_lines=self.tax_lines(raw, path, soft=True),
        )

    def discount(self, raw: Json, path: str) -> shop.DiscountApplication:
        return shop.DiscountApplication(
            index=count(raw.get("index"), f"{path}.index"),
            kind=_DISCOUNT_KINDS.get(str(raw.get("__typename")), "code" if "code" in raw else "unknown"),
            label=optional(raw.get("code")) or optional(raw.get("title")) or "",
            target_type=optional(raw.get("targetType")) or "UNKNOWN",
            allocation_method=optional(raw.get("allocationMethod")) or "UNKNOWN",
        )

    # -- the ledger ----------------------------------------------------------------------------------------------

    def agreement(self, raw: Json, path: str) -> shop.Agreement:
        reason = optional(raw.get("reason")) or "UNKNOWN"
        kind = optional(raw.get("__typename")) or _AGREEMENT_KINDS.get(reason, "UNKNOWN")
        return shop.Agreement(
            id=text(raw.get("id"), f"{path}.id"),
            kind=kind,
            reason=reason,
            happened_at=instant(raw.get("happenedAt"), f"{path}.happenedAt"),
            sales=tuple(self.sale(item, where) for item, where in self.items(raw, "sales", path)),
            refund_id=gid(raw.get("refund")),
            return_id=gid(raw.get("return")),
        )

    def sale(self, raw: Json, path: str) -> shop.Sale:
        quantity = raw.get("quantity")
        item = next((raw[key] for key in _SOLD if isinstance(raw.get(key), OBJECT)), _EMPTY)
        before, after = "totalDiscountAmountBeforeTaxes", "totalDiscountAmountAfterTaxes"
        return shop.Sale(
            id=text(raw.get("id"), f"{path}.id"),
            line_type=optional(raw.get("lineType")) or "UNKNOWN",
            action=optional(raw.get("actionType")) or "UNKNOWN",
            total=self.money(raw.get("totalAmount"), f"{path}.totalAmount", needed=True),
            tax=self.money(raw.get("totalTaxAmount"), f"{path}.totalTaxAmount", needed=True),
            quantity=None if quantity is None else count(quantity, f"{path}.quantity"),
            taxes=tuple(self.sale_tax(tax, where) for tax, where in self.items(raw, "taxes", path)),
            discount_before_taxes=self.money(raw.get(before), f"{path}.{before}"),
            discount_after_taxes=self.money(raw.get(after), f"{path}.{after}"),
            item_id=gid(item),
            item_name=optional(item.get("name")) or optional(item.get("__typename")),
        )

    def sale_tax(self, raw: Json, path: str) -> shop.SaleTax:
        amount = self.money(raw.get("amount"), f"{path}.amount", needed=True)
        found = raw.get("taxLine")
        line: Json = found if isinstance(found, OBJECT) else _EMPTY
        liable = line.get("channelLiable")
        return shop.SaleTax(
            amount=amount,
            rate=self.tax_rate(line, f"{path}.taxLine", amount),
            title=optional(line.get("title")) or "",
            channel_liable=liable if isinstance(liable, bool) else None,
        )

    # -- money and goods that moved ------------------------------------------------------------------------------

    def payment(self, raw: Json, path: str) -> shop.Payment:
        amount = raw.get("amountSet")
        currency = part(part(amount, "shopMoney"), "currencyCode")
        return shop.Payment(
            id=text(raw.get("id"), f"{path}.id"),
            kind=text(raw.get("kind"), f"{path}.kind"),
            status=text(raw.get("status"), f"{path}.status"),
            gateway=optional(raw.get("gateway")),
            amount=self.money(amount, f"{path}.amountSet", needed=True),
            processed_at=maybe_instant(raw.get("processedAt"), f"{path}.processedAt"),
            created_at=maybe_instant(raw.get("createdAt"), f"{path}.createdAt"),
            currency=optional(currency) or self.currency,
            test=raw.get("test") is True,
            manual=raw.get("manualPaymentGateway") is True,
            formatted_gateway=optional(raw.get("formattedGateway")),
            rounding=self.money(raw.get("amountRoundingSet"), f"{path}.amountRoundingSet"),
            parent_id=gid(raw.get("parentTransaction")),
            payment_id=optional(raw.get("paymentId")),
            fees=tuple(
                shop.PaymentFee(
                    id=text(fee.get("id"), f"{where}.id"),
                    kind=optional(fee.get("type")) or "UNKNOWN",
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
            created_at=maybe_instant(raw.get("createdAt"), f"{path}.createdAt"),
            total=self.money(raw.get("totalRefundedSet"), f"{path}.totalRefundedSet", needed=True),
            processed_at=maybe_instant(raw.get("processedAt"), f"{path}.processedAt"),
            note=optional(raw.get("note")),
            return_id=gid(raw.get("return")),
            lines=tuple(
                shop.RefundLine(
                    line_id=gid(line.get("lineItem")),
                    quantity=count(line.get("quantity"), f"{where}.quantity"),
                    subtotal=self.money(line.get("subtotalSet"), f"{where}.subtotalSet", needed=True),
                    tax=self.money(line.get("totalTaxSet"), f"{where}.totalTaxSet"),
                    restock_type=optional(line.get("restockType")),
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
                    reason=optional(item.get("reason")) or "UNKNOWN",
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
            quantity = count(item.get("quantity"), f"{where}.quantity", default=0)
            items.append((gid(item.get("lineItem")) or "", quantity))
        return shop.Fulfilment(
            id=text(raw.get("id"), f"{path}.id"),
            status=optional(raw.get("status")) or "UNKNOWN",
            created_at=instant(raw.get("createdAt"), f"{path}.createdAt"),
            in_transit_at=maybe_instant(raw.get("inTransitAt"), f"{path}.inTransitAt"),
            delivered_at=maybe_instant(raw.get("deliveredAt"), f"{path}.deliveredAt"),
            display_status=optional(raw.get("displayStatus")),
            quantity=count(raw.get("totalQuantity"), f"{path}.totalQuantity", default=sum(n for _, n in items)),
            origin_country=optional(part(raw.get("originAddress"), "countryCode")),
            items=tuple(items),
        )


def _address(raw: object) -> shop.Address | None:
    """A MailingAddress or a CompanyAddress (`companyName`, `recipient`, `zoneCode`, `countryCode`)."""
    if not isinstance(raw, OBJECT):
        return None
    return shop.Address(
        first_name=optional(raw.get("firstName")),
        last_name=optional(raw.get("lastName")) or optional(raw.get("recipient")),
        company=optional(raw.get("company")) or optional(raw.get("companyName")),
        address1=optional(raw.get("address1")),
        address2=optional(raw.get("address2")),
        zip=optional(raw.get("zip")),
        city=optional(raw.get("city")),
        province_code=optional(raw.get("provinceCode")) or optional(raw.get("zoneCode")),
        country=optional(raw.get("countryCodeV2")) or optional(raw.get("countryCode")),
        phone=optional(raw.get("phone")),
    )


def _customer(raw: object) -> shop.Customer | None:
    if not isinstance(raw, OBJECT) or not gid(raw):
        return None
    return shop.Customer(
        id=gid(raw) or "",
        first_name=optional(raw.get("firstName")),
        last_name=optional(raw.get("lastName")),
        display_name=optional(raw.get("displayName")),
        email=optional(part(raw.get("defaultEmailAddress"), "emailAddress")),
        locale=optional(raw.get("locale")),
        tax_exempt=raw.get("taxExempt") is True,
        tax_exemptions=texts(raw.get("taxExemptions"), "order.customer.taxExemptions"),
        tax_id=optional(part(raw.get("taxSettings"), "taxId")),
    )
