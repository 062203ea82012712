"""The order as the Admin API would show it: one nested JSON value with every connection as a plain list."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ladenbuch.simulators.lives.arithmetic import half_up, iso
from ladenbuch.simulators.lives.order import Line, Node, Shipping, ShopOrder


def allocations(order: ShopOrder, listed: list[tuple[int, int]]) -> list[Node]:
    """DiscountAllocation nodes."""
    return [{"allocatedAmountSet": order.bag(cents), "discountApplication": {"index": i}} for i, cents in listed]


def line_node(order: ShopOrder, line: Line) -> Node:
    """A LineItem. Totals, allocations and taxes include removed pieces, as Shopify's do."""
    whole = line.unit * line.quantity
    own = sum(c for i, c in line.allocations if order.discounts[i]["targetSelection"] != "ALL")
    net = line.kept - (line.kept_tax if order.gross else 0)
    product = line.product
    name = product.title if product.variant is None else f"{product.title} - {product.variant}"
    ordinary = line.kind != "TIP"
    return {
        "id": line.gid, "name": name, "title": product.title, "variantTitle": product.variant,
        "sku": product.sku if ordinary else None, "vendor": "Werkstatt Nord" if ordinary else None,
        "isGiftCard": product.gift_card, "requiresShipping": product.ships, "taxable": bool(line.rates),
        "quantity": line.quantity, "currentQuantity": line.current, "refundableQuantity": line.current,
        "originalUnitPriceSet": order.bag(line.unit), "originalTotalSet": order.bag(whole),
        "discountedUnitPriceSet": order.bag(half_up(whole - own, line.quantity)),
        "discountedUnitPriceAfterAllDiscountsSet": order.bag(half_up(line.discounted, line.quantity)),
        "discountedTotalSet": order.bag(whole - own), "priceAfterAllDiscountsBeforeTaxesSet": order.bag(net),
        "totalDiscountSet": order.bag(own), "discountAllocations": allocations(order, line.allocations),
        "taxLines": [order.tax_line(rate, line.taxes[rate], line.channel_liable) for rate in line.rates],
        "duties": line.duties, "customAttributes": [], "lineItemGroup": None,
        "product": {"id": f"gid://shopify/Product/{8_000_000_000_000 + product.number}"} if ordinary else None,
        "variant": {
            "id": f"gid://shopify/ProductVariant/{4_400_000_000_000 + product.number}",
            "inventoryItem": {"id": f"gid://shopify/InventoryItem/{4_600_000_000_000 + product.number}"},
        } if ordinary else None,
    }  # fmt: skip


def shipping_node(order: ShopOrder, line: Shipping) -> Node:
    """A ShippingLine."""
    return {
        "id": line.gid, "title": line.title, "code": line.title, "source": "shopify", "isRemoved": False,
        "originalPriceSet": order.bag(line.price), "discountedPriceSet": order.bag(line.discounted),
        "currentDiscountedPriceSet": order.bag(line.discounted - line.returned),
        "taxLines": [order.tax_line(rate, cents) for rate, cents in line.taxes],
        "discountAllocations": allocations(order, line.allocations),
    }  # fmt: skip


def refund_node(node: Node, lines: dict[int, Node]) -> Node:
    """A Refund with its connections; its lines show the line items as they are now."""
    listed = []
    for entry in node["refundLineItems"]:
        shown = {key: value for key, value in entry.items() if key != "_line"}
        listed.append({**shown, "lineItem": lines[entry["_line"].number]})
    moved = [payment_node(payment) for payment in node["transactions"]]
    return {**node, "refundLineItems": listed, "transactions": moved}


def payment_node(node: Node) -> Node:
    """An OrderTransaction without our own bookkeeping."""
    return {key: value for key, value in node.items() if key not in ("_cents", "_second")}


def financial_status(order: ShopOrder, current: int) -> str:
    """Shopify's displayFinancialStatus."""
    received, refunded = order.received(), order.refunded()
    if refunded:
        return "REFUNDED" if refunded >= received else "PARTIALLY_REFUNDED"
    if received:
        return "PAID" if received >= current else "PARTIALLY_PAID"
    if current <= 0:
        return "PAID"
    if order.moved("VOID"):
        return "VOIDED"
    if order.expired:
        return "EXPIRED"
    return "AUTHORIZED" if order.capturable() else "PENDING"


def fulfilment_status(order: ShopOrder) -> str:
    """Shopify's displayFulfillmentStatus."""
    shipped = sum(node["totalQuantity"] for node in order.fulfilments)
    if not shipped:
        return "UNFULFILLED"
    wanted = sum(line.current for line in order.lines if line.product.ships)
    return "FULFILLED" if shipped >= wanted else "PARTIALLY_FULFILLED"


def tax_totals(order: ShopOrder) -> tuple[Counter[int], Counter[int]]:
    """Tax per rate before and after returns."""
    whole: Counter[int] = Counter()
    now: Counter[int] = Counter()
    for line in order.lines:
        for rate in line.rates:
            whole[rate] += line.taxes[rate]
            now[rate] += line.kept_tax
    for shipping in order.shippings:
        for rate, cents in shipping.taxes:
            whole[rate] += cents
            rest = shipping.discounted - shipping.returned
            now[rate] += cents if not shipping.returned else half_up(cents * rest, shipping.discounted)
    return whole, now


def snapshot(order: ShopOrder) -> Node:
    """The whole order now."""
    lines = {line.number: line_node(order, line) for line in order.lines}
    extra = {key: value for key, value in order.extra.items() if not key.startswith("_")}
    return {
        **identity(order), **parties(order), **totals(order),
        "lineItems": list(lines.values()),
        "shippingLines": [shipping_node(order, line) for line in order.shippings],
        "discountApplications": list(order.discounts), "additionalFees": list(order.fees),
        "agreements": [agreed.node for agreed in order.agreements],
        "transactions": [payment_node(node) for node in order.payments],
        "transactionsCount": {"count": len(order.payments), "precision": "EXACT"},
        "fulfillments": list(order.fulfilments), "refunds": [refund_node(node, lines) for node in order.refunds],
        "returns": list(order.returns), "disputes": list(order.disputes), **extra,
    }  # fmt: skip


def identity(order: ShopOrder) -> Node:
    """Names, instants, states."""
    placed = iso(order.created)
    gateways = list(dict.fromkeys(p["gateway"] for p in order.payments if p["kind"] != "REFUND" and p["gateway"]))
    codes = [d["code"] for d in order.discounts if "code" in d]
    return {
        "__typename": "Order", "id": f"gid://shopify/Order/{order.id}", "legacyResourceId": str(order.id),
        "name": f"#{order.number}", "number": order.number, "confirmationNumber": f"LB{order.id % 10**9:09d}",
        "poNumber": None, "sourceName": "web", "sourceIdentifier": None, "test": False, "edited": order.edited,
        "createdAt": placed, "processedAt": placed, "updatedAt": iso(order.updated),
        "cancelledAt": iso(order.cancelled[0]) if order.cancelled else None,
        "cancelReason": order.cancelled[1] if order.cancelled else None, "closedAt": None,
        "currencyCode": order.money_terms[0], "presentmentCurrencyCode": order.money_terms[1],
        "taxesIncluded": order.gross, "taxExempt": False, "estimatedTaxes": False, "dutiesIncluded": False,
        "displayFulfillmentStatus": fulfilment_status(order), "returnStatus": "NO_RETURN",
        "paymentGatewayNames": gateways, "discountCodes": codes, "tags": [], "note": None,
        "merchantOfRecordApp": None, "customAttributes": [], "localizedFields": [], "metafields": [],
        "invoice": None, "retailLocation": None,
    }  # fmt: skip


def parties(order: ShopOrder) -> Node:
    """Who bought, and where it goes."""
    customer = order.customer
    buyer = None if customer is None else {"__typename": "Customer", "id": customer["id"]}
    return {
        "customerLocale": order.locale, "email": order.email,
        "phone": None, "billingAddress": order.billing, "shippingAddress": order.delivery, "customer": customer,
        "purchasingEntity": buyer, "paymentTerms": None,
    }  # fmt: skip


def totals(order: ShopOrder) -> dict[str, Any]:
    """The money fields of the order; `currentTotalPriceSet` leaves out ledger adjustments."""
    claim = order.claim()
    adjusted = sum(g for a in order.agreements for kind, g, _ in a.sold if kind == "ADJUSTMENT")
    current, original = claim - adjusted, sum(g for _, g, _ in order.agreements[0].sold)
    received, refunded = order.received(), order.refunded()
    whole, now = tax_totals(order)
    shipping = sum(line.discounted for line in order.shippings)
    returned = sum(line.returned for line in order.shippings)
    granted = [*(line.allocations for line in order.lines), *(line.allocations for line in order.shippings)]
    discounts = sum(cents for listed in granted for _, cents in listed)
    goods = [line for line in order.lines if line.kind != "TIP"]
    tips = sum(line.kept for line in order.lines if line.kind == "TIP")
    duties = sum(g for kind, g, _ in order.agreements[0].sold if kind == "DUTY")
    fees = sum(g for kind, g, _ in order.agreements[0].sold if kind == "ADDITIONAL_FEE")
    outstanding = 0 if order.cancelled and not received else current - (received - refunded)
    bag = order.bag
    return {
        "displayFinancialStatus": financial_status(order, current), "fullyPaid": received >= current,
        "unpaid": received == 0 and current > 0,
        "canMarkAsPaid": outstanding > 0 and order.cancelled is None and not order.capturable(),
        "originalTotalPriceSet": bag(original), "currentTotalPriceSet": bag(current), "totalPriceSet": bag(original),
        "subtotalPriceSet": bag(sum(line.discounted for line in goods)),
        "currentSubtotalPriceSet": bag(sum(line.kept for line in goods)),
        "totalTaxSet": bag(sum(whole.values())), "currentTotalTaxSet": bag(sum(now.values())),
        "totalShippingPriceSet": bag(shipping), "currentShippingPriceSet": bag(shipping - returned),
        "totalRefundedShippingSet": bag(returned), "totalDiscountsSet": bag(discounts),
        "currentTotalDiscountsSet": bag(discounts), "originalTotalDutiesSet": bag(duties) if duties else None,
        "currentTotalDutiesSet": bag(duties) if duties else None,
        "originalTotalAdditionalFeesSet": bag(fees) if fees else None,
        "currentTotalAdditionalFeesSet": bag(fees) if fees else None, "totalTipReceivedSet": bag(tips),
        "totalReceivedSet": bag(received), "totalRefundedSet": bag(refunded), "netPaymentSet": bag(received - refunded),
        "totalOutstandingSet": bag(outstanding), "totalCapturableSet": bag(order.capturable()),
        "refundDiscrepancySet": bag(adjusted),
        "totalCashRoundingAdjustment": {"paymentSet": bag(0), "refundSet": bag(0)},
        "taxLines": [order.tax_line(rate, cents) for rate, cents in whole.items()],
        "currentTaxLines": [order.tax_line(rate, cents) for rate, cents in now.items()],
    }  # fmt: skip
