"""Whatever has the shape of an order goes through: everything filled, everything garbled, documents of another API.

Issue item 9; S72, S99, R19. An order with every field the product asks for must yield questions and no error; random
damage may only be refused by the adapter (`Rejected`, `Retryable`), never surprise facts, plan or certificate.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, OperationDefinitionNode, SelectionSetNode, parse

from builders import PROFILE, SAMPLES
from ladenbuch.domain.books import Booked, Books, PostedLine
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.shopify.webhooks import KNOWN, Event

Json = dict[str, Any]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DOCUMENTS = Path(__file__).resolve().parents[2] / "tools" / "admin_documents.graphql"
PLACED, LATER = "2026-11-20T09:00:00Z", "2026-11-21T16:30:00Z"
COUNT = {"count": 3, "precision": "EXACT"}


def money(amount: str) -> Json:
    return {"amount": amount, "currencyCode": "EUR"}


def bag(amount: str) -> Json:
    return {"shopMoney": money(amount), "presentmentMoney": money(amount)}


def tax(rate: int, amount: str) -> Json:
    return {"title": "MwSt", "rate": rate / 100, "ratePercentage": rate, "channelLiable": False, "source": "Shopify",
            "priceSet": bag(amount)}  # fmt: skip


def address() -> Json:
    return {
        "firstName": "Erika", "lastName": "Muster", "company": "Muster & Söhne OHG", "address1": "Hafenweg 3",
        "address2": "Hinterhaus", "zip": "20457", "city": "Hamburg", "province": "Hamburg", "provinceCode": "HH",
        "countryCodeV2": "DE", "phone": "+49 40 1234567",
    }  # fmt: skip


def allocated(amount: str, index: int) -> Json:
    return {"allocatedAmountSet": bag(amount), "discountApplication": {"index": index}}


def line(number: int, title: str, quantity: int, whole: str, rate: int, vat: str, *parts: Json) -> Json:
    return {
        "id": f"gid://shopify/LineItem/{number}", "name": f"{title} - blau", "title": title, "variantTitle": "blau",
        "sku": f"ART-{number}", "vendor": "Werkstatt", "isGiftCard": title == "Gutschein", "requiresShipping": True,
        "taxable": True, "quantity": quantity, "currentQuantity": quantity, "refundableQuantity": quantity,
        **{name: bag(whole) for name in (
            "originalUnitPriceSet", "originalTotalSet", "discountedUnitPriceSet",
            "discountedUnitPriceAfterAllDiscountsSet", "discountedTotalSet", "priceAfterAllDiscountsBeforeTaxesSet",
            "totalDiscountSet")},
        "discountAllocations": list(parts), "taxLines": [tax(rate, vat)],
        "duties": [{"id": f"gid://shopify/Duty/{number}", "harmonizedSystemCode": "691200",
                    "countryCodeOfOrigin": "DE", "price": bag("4.20"), "taxLines": [tax(19, "0.67")]}],
        "customAttributes": [{"key": "Gravur", "value": "für Käthe"}],
        "lineItemGroup": {"id": "gid://shopify/LineItemGroup/1", "title": "Paket", "quantity": 1},
        "product": {"id": "gid://shopify/Product/1"},
        "variant": {"id": "gid://shopify/ProductVariant/1", "inventoryItem": {"id": "gid://shopify/InventoryItem/1"}},
    }  # fmt: skip


def sale(number: int, kind: str, total: str, taxes: list[tuple[int, str]], vat: str, item: Json, **more: Any) -> Json:
    names = {"GIFT_CARD": "GiftCardSale", "ADDITIONAL_FEE": "AdditionalFeeSale", "SHIPPING": "ShippingLineSale"}
    return {
        "__typename": names.get(kind, f"{kind.title()}Sale"), "id": f"gid://shopify/Sale/{number}",
        "actionType": "ORDER", "lineType": kind, "quantity": 1, "totalAmount": bag(total),
        "totalTaxAmount": bag(vat), "totalDiscountAmountBeforeTaxes": bag("0.00"),
        "totalDiscountAmountAfterTaxes": bag("0.00"),
        "taxes": [{"id": f"gid://shopify/SaleTax/{number}{rate}", "amount": bag(part), "taxLine": tax(rate, part)}
                  for rate, part in taxes],
        **item, **more,
    }  # fmt: skip


def agreement(number: int, kind: str, reason: str, at: str, sales: list[Json], **more: Any) -> Json:
    return {"__typename": kind, "id": f"gid://shopify/{kind}/{number}", "happenedAt": at, "reason": reason,
            "sales": sales, **more}  # fmt: skip


def transaction(number: int, kind: str, amount: str, at: str, gateway: str, details: Json, **more: Any) -> Json:
    return {
        "id": f"gid://shopify/OrderTransaction/{number}", "kind": kind, "status": "SUCCESS", "test": False,
        "gateway": gateway, "formattedGateway": gateway.title(), "manualPaymentGateway": False, "createdAt": at,
        "processedAt": at, "errorCode": "GENERIC_ERROR", "paymentId": f"r{number}", "settlementCurrency": "EUR",
        "settlementCurrencyRate": "1.0", "amountSet": bag(amount), "amountRoundingSet": bag("0.00"),
        "parentTransaction": {"id": "gid://shopify/OrderTransaction/1", "kind": "SALE"},
        "fees": [{"id": f"gid://shopify/TransactionFee/{number}", "type": "processing_fee", "rateName": "Inland",
                  "rate": "0.021", "amount": money("1.23"), "flatFee": money("0.30"), "taxAmount": money("0.00")}],
        "currencyExchangeAdjustment": {"id": "gid://shopify/CurrencyExchangeAdjustment/1", "adjustment": money("0.00"),
                                       "originalAmountSet": money("1.00"), "finalAmountSet": money("1.00")},
        "paymentDetails": details, "receiptJson": "{}", **more,
    }  # fmt: skip


def discounts() -> list[Json]:
    shared = {"targetType": "LINE_ITEM", "targetSelection": "ALL", "allocationMethod": "ACROSS"}
    off = {"__typename": "PricingPercentageValue", "percentage": 10.0}
    cut = {"__typename": "MoneyV2", **money("1.00")}
    return [
        {"__typename": "DiscountCodeApplication", "index": 0, "code": "ZEHN", "value": off, **shared},
        {"__typename": "AutomaticDiscountApplication", "index": 1, "title": "Herbst", "value": cut, **shared},
        {"__typename": "ManualDiscountApplication", "index": 2, "title": "Kulanz", "description": "Treue",
         "value": cut, **shared},
        {"__typename": "ScriptDiscountApplication", "index": 3, "title": "Skript", "value": cut, **shared},
    ]  # fmt: skip


def refund(lines: list[Json], ships: list[Json], moved: list[Json]) -> Json:
    return {
        "id": "gid://shopify/Refund/7", "legacyResourceId": "7", "createdAt": LATER, "processedAt": LATER,
        "updatedAt": LATER, "note": "beschädigt", "return": {"id": "gid://shopify/Return/8", "name": "#1001-R1",
        "status": "CLOSED"}, "totalRefundedSet": bag("11.65"),
        "order": {"id": "gid://shopify/Order/5001", "name": "#1001", "currencyCode": "EUR",
                  "presentmentCurrencyCode": "EUR", "taxesIncluded": True},
        "duties": [{"amountSet": bag("4.20"), "originalDuty": {"id": "gid://shopify/Duty/1"}}],
        "refundLineItems": [{
            "id": "gid://shopify/RefundLineItem/1", "quantity": 1, "restockType": "RETURN", "restocked": True,
            "priceSet": bag("11.65"), "subtotalSet": bag("11.65"), "totalTaxSet": bag("1.86"),
            "location": {"id": "gid://shopify/Location/1"}, "lineItem": lines[0]}],
        "refundShippingLines": [{
            "id": "gid://shopify/RefundShippingLine/1", "subtotalAmountSet": bag("4.90"),
            "taxAmountSet": bag("0.78"), "shippingLine": ships[0]}],
        "orderAdjustments": [{"id": "gid://shopify/OrderAdjustment/1", "reason": "REFUND_DISCREPANCY",
                              "amountSet": bag("-1.00"), "taxAmountSet": bag("0.00")}],
        "transactions": moved,
    }  # fmt: skip


def business() -> Json:
    return {
        "__typename": "PurchasingCompany",
        "company": {"id": "gid://shopify/Company/1", "name": "Muster & Söhne OHG", "externalId": "K-1"},
        "contact": {"id": "gid://shopify/CompanyContact/1", "customer": {"id": "gid://shopify/Customer/71"}},
        "location": {
            "id": "gid://shopify/CompanyLocation/1", "name": "Filiale", "externalId": "F-1",
            "billingAddress": {
                "companyName": "Muster & Söhne OHG", "recipient": "Erika Muster", "address1": "Hafenweg 3",
                "address2": "Tor 2", "zip": "20457", "city": "Hamburg", "zoneCode": "HH", "countryCode": "DE",
                "phone": "+49 40 1"},
            "taxSettings": {"taxRegistrationId": "DE136695976", "taxExempt": False, "taxExemptions": ["EU_REVERSE"]},
        },
    }  # fmt: skip


def terms() -> Json:
    return {
        "id": "gid://shopify/PaymentTerms/1", "paymentTermsName": "Netto 14", "paymentTermsType": "NET",
        "dueInDays": 14, "overdue": False,
        "paymentSchedules": [{
            "id": "gid://shopify/PaymentSchedule/1", "issuedAt": PLACED, "dueAt": LATER, "completedAt": LATER,
            "balanceDue": money("0.00"), "totalBalance": money("80.00")}],
    }  # fmt: skip


def ledger() -> list[Json]:
    def of(number: int) -> Json:
        return {"lineItem": {"id": f"gid://shopify/LineItem/{number}"}}

    return [
        agreement(1, "OrderAgreement", "ORDER", PLACED, [
            sale(1, "PRODUCT", "23.30", [(19, "3.72")], "3.72", of(1), quantity=2),
            sale(2, "PRODUCT", "9.99", [(7, "0.65")], "0.65", of(2)),
            sale(3, "GIFT_CARD", "50.00", [], "0.00", of(3)),
            sale(4, "TIP", "3.00", [], "0.00", of(4)),
            sale(5, "SHIPPING", "4.90", [(19, "0.63"), (7, "0.06")], "0.69",
                 {"shippingLine": {"id": "gid://shopify/ShippingLine/1"}}),
            sale(6, "DUTY", "4.20", [(19, "0.67")], "0.67", {"duty": {"id": "gid://shopify/Duty/1"}}),
            sale(7, "ADDITIONAL_FEE", "2.50", [(19, "0.40")], "0.40",
                 {"additionalFee": {"id": "gid://shopify/AdditionalFee/1", "name": "Verpackung"}}),
        ]),
        agreement(2, "OrderEditAgreement", "ORDER_EDIT", "2026-11-20T10:00:00Z", [
            sale(8, "PRODUCT", "1.00", [(19, "0.16")], "0.16", of(1), actionType="UPDATE", quantity=None)]),
        agreement(3, "ReturnAgreement", "RETURN", "2026-11-21T12:00:00Z", [
            sale(9, "PRODUCT", "-11.65", [(19, "-1.86")], "-1.86", of(1), actionType="RETURN", quantity=-1)],
            **{"return": {"id": "gid://shopify/Return/8"}}),
        agreement(4, "RefundAgreement", "REFUND", LATER, [
            sale(10, "FEE", "2.00", [(19, "0.32")], "0.32", {"fee": {"__typename": "RestockingFee",
                 "id": "gid://shopify/RestockingFee/1"}}),
            sale(11, "ADJUSTMENT", "-1.00", [], "0.00", {}, actionType="RETURN", quantity=None),
            sale(12, "SHIPPING", "-4.90", [(19, "-0.78")], "-0.78", {"shippingLine": None}, actionType="RETURN",
                 quantity=-1),
            sale(13, "UNKNOWN", "0.00", [], "0.00", {}, actionType="UNKNOWN", quantity=None)],
            refund={"id": "gid://shopify/Refund/7"}),
    ]  # fmt: skip


def filled() -> Json:
    """One order with every field of the documents we ask for, no field null, every kind of thing at once."""
    lines = [line(1, "Becher", 2, "25.90", 19, "3.72", allocated("1.60", 0), allocated("1.00", 1)),
             line(2, "Buch", 1, "9.99", 7, "0.65"), line(3, "Gutschein", 1, "50.00", 0, "0.00"),
             line(4, "Trinkgeld", 1, "3.00", 0, "0.00")]  # fmt: skip
    ships = [{
        "id": "gid://shopify/ShippingLine/1", "title": "DHL", "code": "DHL", "source": "shopify", "isRemoved": False,
        "originalPriceSet": bag("5.90"), "discountedPriceSet": bag("4.90"), "currentDiscountedPriceSet": bag("0.00"),
        "taxLines": [tax(19, "0.63"), tax(7, "0.06")], "discountAllocations": [allocated("1.00", 2)],
    }]  # fmt: skip
    card = {"__typename": "CardPaymentDetails", "company": "Visa", "paymentMethodName": "card"}
    local = {"__typename": "LocalPaymentMethodsPaymentDetails", "paymentMethodName": "klarna",
             "paymentDescriptor": "Klarna"}  # fmt: skip
    wallet = {"__typename": "PaypalWalletPaymentDetails", "paymentMethodName": "paypal"}
    parts = {"__typename": "ShopPayInstallmentsPaymentDetails", "paymentMethodName": "shop_pay"}
    moved = [
        transaction(1, "SALE", "60.00", PLACED, "shopify_payments", card),
        transaction(2, "SALE", "30.00", PLACED, "gift_card", local),
        transaction(3, "CAPTURE", "8.89", LATER, "klarna", wallet),
        transaction(4, "REFUND", "11.65", LATER, "shopify_payments", parts),
        transaction(5, "CHANGE", "0.01", LATER, "cash", card, manualPaymentGateway=True),
        transaction(6, "SALE", "5.00", LATER, "bank_deposit", card, status="PENDING"),
        transaction(7, "VOID", "5.00", LATER, "klarna", card, test=True),
    ]
    totals = {name: bag("1.00") for name in (
        "subtotalPriceSet", "currentSubtotalPriceSet", "totalTaxSet", "currentTotalTaxSet", "totalShippingPriceSet",
        "currentShippingPriceSet", "totalRefundedShippingSet", "totalDiscountsSet", "currentTotalDiscountsSet",
        "originalTotalDutiesSet", "currentTotalDutiesSet", "originalTotalAdditionalFeesSet", "totalPriceSet",
        "currentTotalAdditionalFeesSet", "totalTipReceivedSet", "totalReceivedSet", "totalRefundedSet",
        "netPaymentSet", "totalOutstandingSet", "totalCapturableSet")}  # fmt: skip
    return {
        "__typename": "Order", "id": "gid://shopify/Order/5001", "legacyResourceId": "5001", "name": "#1001",
        "number": 1001, "confirmationNumber": "LB000005001", "poNumber": "PO-1", "sourceName": "web",
        "sourceIdentifier": "w-1", "test": False, "edited": True, "createdAt": PLACED, "processedAt": PLACED,
        "updatedAt": LATER, "cancelledAt": LATER, "cancelReason": "CUSTOMER", "closedAt": LATER,
        "currencyCode": "EUR", "presentmentCurrencyCode": "EUR", "taxesIncluded": True, "taxExempt": False,
        "estimatedTaxes": True, "dutiesIncluded": False, "displayFinancialStatus": "PARTIALLY_REFUNDED",
        "displayFulfillmentStatus": "FULFILLED", "returnStatus": "RETURNED", "fullyPaid": True, "unpaid": False,
        "canMarkAsPaid": False, "paymentGatewayNames": ["shopify_payments", "gift_card"], "discountCodes": ["ZEHN"],
        "tags": ["stamm"], "note": "bitte klingeln", "customerLocale": "de-DE", "email": "erika@example.org",
        "phone": "+49 40 1", "merchantOfRecordApp": {"id": "gid://shopify/App/1", "name": "Markt"},
        "customAttributes": [{"key": "ust-id", "value": "DE136695976"}],
        "localizedFields": [{"key": "TAX_CREDENTIAL_IT", "countryCode": "IT", "title": "Codice", "value": "X"}],
        "billingAddress": address(), "shippingAddress": address(),
        "customer": {
            "id": "gid://shopify/Customer/71", "legacyResourceId": "71", "displayName": "Erika Muster",
            "firstName": "Erika", "lastName": "Muster", "locale": "de", "taxExempt": False,
            "taxExemptions": ["EU_REVERSE_CHARGE_EXEMPTION_RULE"], "email": "erika@example.org",
            "defaultEmailAddress": {"emailAddress": "erika@example.org"}, "taxSettings": {"taxId": "DE136695976"}},
        "purchasingEntity": business(), "paymentTerms": terms(), **totals,
        "originalTotalPriceSet": bag("97.89"), "currentTotalPriceSet": bag("83.34"),
        "refundDiscrepancySet": bag("-1.00"),
        "totalCashRoundingAdjustment": {"paymentSet": bag("0.01"), "refundSet": bag("-0.01")},
        "taxLines": [tax(19, "5.42"), tax(7, "0.71")], "currentTaxLines": [tax(19, "3.00"), tax(7, "0.71")],
        "additionalFees": [{"id": "gid://shopify/AdditionalFee/1", "name": "Verpackung", "price": bag("2.50"),
                            "taxLines": [tax(19, "0.40")]}],
        "shippingLines": ships, "discountApplications": discounts(), "lineItems": lines, "agreements": ledger(),
        "transactions": moved, "transactionsCount": COUNT, "refunds": [refund(lines, ships, moved[3:4])],
        "disputes": [{"id": "gid://shopify/ShopifyPaymentsDispute/1", "initiatedAs": "CHARGEBACK", "status": "LOST"}],
        "fulfillments": [{
            "id": "gid://shopify/Fulfillment/1", "legacyResourceId": "1", "name": "#1001-F1", "status": "SUCCESS",
            "displayStatus": "DELIVERED", "createdAt": LATER, "updatedAt": LATER, "inTransitAt": LATER,
            "deliveredAt": LATER, "totalQuantity": 3, "originAddress": {"countryCode": "PL", "zip": "00-238"},
            "trackingInfo": [{"company": "DHL", "number": "0034", "url": "https://example.org"}],
            "fulfillmentLineItems": [{"id": "gid://shopify/FulfillmentLineItem/1", "quantity": 2,
                                      "lineItem": {"id": "gid://shopify/LineItem/1"}}]}],
        "returns": [{"id": "gid://shopify/Return/8", "name": "#1001-R1", "status": "CLOSED"}],
    }  # fmt: skip


# -- nothing is missing ----------------------------------------------------------------------------------------


def absent(selected: SelectionSetNode, value: Any, path: str, fragments: dict[str, SelectionSetNode]) -> Iterator[str]:
    """Selected fields that no element of `value` fills. A connection may stand as a plain list."""
    holders = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
    for node in selected.selections:
        if isinstance(node, FragmentSpreadNode):
            yield from absent(fragments[node.name.value], holders, path, fragments)
        elif isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else ""
            fitting = [item for item in holders if item.get("__typename") == name]
            yield from absent(node.selection_set, fitting, f"{path}<{name}>", fragments)
        elif isinstance(node, FieldNode):
            name = node.name.value
            if name in ("nodes", "edges", "node"):
                assert node.selection_set is not None
                yield from absent(node.selection_set, holders, path, fragments)
            elif name not in ("pageInfo", "cursor"):
                inner = [item[name] for item in holders if item.get(name) is not None]
                if not inner:
                    yield f"{path}.{name}"
                elif node.selection_set is not None:
                    flat = [one for item in inner for one in (item if isinstance(item, list) else [item])]
                    yield from absent(node.selection_set, flat, f"{path}.{name}", fragments)


def test_the_filled_order_has_every_field_we_ask_for() -> None:
    """Facts/shopify 2.2-2.5 and 44: each selected field is there and not null."""
    parsed = parse(DOCUMENTS.read_text())
    fragments = {d.name.value: d.selection_set for d in parsed.definitions if d.kind == "fragment_definition"}  # type: ignore[attr-defined]
    order, missing = filled(), []
    for definition in parsed.definitions:
        if not isinstance(definition, OperationDefinitionNode) or definition.name is None:
            continue
        top = definition.selection_set.selections[0]
        if definition.name.value in (
            "OrderForInvoice", "OrderLinesPage", "OrderTransactions", "OrderRefunds", "OrderLedger",
            "OrderFulfillments", "RefundDetail",
        ):  # fmt: skip
            assert isinstance(top, FieldNode)
            assert top.selection_set is not None
            value = order["refunds"] if definition.name.value == "RefundDetail" else order
            missing += absent(top.selection_set, value, definition.name.value, fragments)
    assert missing == []


# -- it goes through -------------------------------------------------------------------------------------------


def decide(envelope: object, books: Books | None = None) -> Plan | None:
    """Adapter, facts, plan, certificate; None where the adapter refused."""
    try:
        order = order_from_envelope(envelope)
    except (Rejected, Retryable):
        return None
    books = books or Books()
    facts = facts_of(order)
    made = plan(facts, books, [PROFILE], NOW)
    proof = certificate(facts, books, made)
    json.dumps(proof.as_json())
    json.dumps([item.as_json() for item in made.actions])
    keys = [item.key for item in made.actions]
    assert len(set(keys)) == len(keys), "one key twice in one plan (R7)"
    return made


def test_the_filled_order_yields_questions_only() -> None:
    """No document, no letter, no booking: everything of it is asked about."""
    made = decide(filled())
    assert made is not None
    assert made.later is None
    assert {item.kind for item in made.actions} <= {"money_line"}
    codes = {item.code for item in made.attention}
    assert {"ENUM", "REFUND", "CANCELLED", "GATEWAY-UNMAPPED", "CASH-ROUNDING"} <= codes
    assert codes & {"DISPUTE", "DOUBLE-REFUND"}  # a lost dispute, and money that went back besides


def test_one_thing_at_a_time_is_named() -> None:
    """The filled order without unknown values still names each reason that keeps it from being taxed."""
    order = filled()
    order["agreements"][3]["sales"].pop()
    made = decide(order)
    assert made is not None
    codes = {item.code for item in made.attention}
    assert {"TAX-CHANNEL", "TAX-ESTIMATED", "TIP", "GIFT-CARD", "DUTY", "TAX-SHIP-FROM"} <= codes


def plain() -> Json:
    """The filled order without what keeps it from being decided: damage then reaches the deepest code."""
    order = filled()
    order["agreements"] = order["agreements"][:1]
    order["agreements"][0]["sales"] = [order["agreements"][0]["sales"][i] for i in (0, 1, 4)]
    order |= {"lineItems": order["lineItems"][:2], "purchasingEntity": None, "paymentTerms": None, "refunds": [],
              "estimatedTaxes": False, "merchantOfRecordApp": None, "disputes": [], "cancelledAt": None,
              "totalCashRoundingAdjustment": None, "edited": False, "originalTotalPriceSet": bag("38.19"),
              "currentTotalPriceSet": bag("38.19"), "additionalFees": []}  # fmt: skip
    order["customer"]["taxSettings"] = None
    order["fulfillments"][0]["originAddress"]["countryCode"] = "DE"
    order["transactions"] = [{**order["transactions"][0], "amountSet": bag("38.19")}]
    return order


def test_the_plain_order_is_decided() -> None:
    made = decide(plain())
    assert made is not None
    assert made.attention == ()
    assert [item.kind for item in made.actions] == ["money_line", "invoice", "finalise", "book_payment", "letter"]


_NONSENSE: tuple[Any, ...] = (
    None, "", " ", "\x00\x1b[2J",
    "UNKNOWN", "SOMETHING_NEW", "ORDER", "REFUND", "CHANGE", "gid://shopify/Sale/1", 0, -1,
    3, 10**30, 1e308, 0.1, True, False, [], {}, [None], [[]], {"nodes": None}, {"edges": [None]}, "-0.01", "1e5", "NaN",
    "0.00", "999999999999999.99", "11.901", "11.9", "€ 5", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-11-20T09:00:00+14:00", "2026-02-30T00:00:00Z", "x" * 5000, "😀\ud800", "DE", "CH", "78266", "JPY", "USD",
    {"shopMoney": {"amount": "-5.00", "currencyCode": "EUR"}}, {"shopMoney": None, "presentmentMoney": None},
    {"nodes": [], "pageInfo": {"hasNextPage": True}},
)  # fmt: skip


Spot = tuple[Any, ...]


def spots(value: Any, above: Spot = ()) -> Iterator[Spot]:
    """The path of every value inside a JSON value."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield (*above, key)
            yield from spots(value[key], (*above, key))


def at_spot(value: Any, spot: Spot) -> Any:
    """What is there, None where an earlier blow took it away."""
    for key in spot:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def damage(rng: random.Random, order: Json, every: list[Spot], amounts: list[Spot]) -> list[str]:
    """One to four blows: drop, garble, double, swap with another place, move an amount."""
    done = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        blow = rng.choice(("drop", "garble", "garble", "double", "swap", "cent"))
        *way, key = rng.choice(amounts if blow == "cent" else every)
        holder = at_spot(order, tuple(way))
        if not isinstance(holder, (dict, list)) or at_spot(holder, (key,)) is None:
            continue
        done.append(f"{blow} {'.'.join(map(str, (*way, key)))}")
        if blow == "drop":
            del holder[key]
        elif blow == "garble":
            holder[key] = copy.deepcopy(rng.choice(_NONSENSE))
        elif blow == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif blow == "swap":
            holder[key] = copy.deepcopy(at_spot(order, rng.choice(every)))
        elif blow == "cent":
            holder[key] = rng.choice(("0.01", "-0.01", "38.20", "0.00", "38.19"))
    return done


def _settled() -> Books:
    """Books in which the plain order is already posted, so that damage arrives after the fact."""
    made = decide(plain())
    assert made is not None
    document = next(item.document for item in made.actions if item.document)
    gid = "gid://shopify/OrderTransaction/1"
    when = datetime(2026, 11, 20, tzinfo=UTC).date()
    line_ = PostedLine("line:1", gid, "12", 3819, when, True, "1")
    booked = Booked("pay:1:1", gid, document.key, 3819, True)
    letter = f"mail:{document.key}"
    return Books((document,), (line_,), (booked,), frozenset({letter}), frozenset({"line:1", "pay:1:1", letter}))


@pytest.mark.parametrize("which", ["filled", "plain", "posted"])
def test_ten_thousand_kinds_of_damage(which: str) -> None:
    """S72, R19: refused by the adapter, incomplete, or decided; never an error (each third of 10,002, seeded)."""
    rng = random.Random(f"damage/{which}")
    whole = json.dumps(filled() if which == "filled" else plain())
    books = _settled() if which == "posted" else Books()
    every = list(spots(json.loads(whole)))
    amounts = [spot for spot in every if spot[-1] == "amount" and isinstance(at_spot(json.loads(whole), spot), str)]
    ends = {"refused": 0, "later": 0, "decided": 0}
    for number in range(3334):
        order = json.loads(whole)
        what = damage(rng, order, every, amounts)
        try:
            made = decide(order, books)
        except Exception as error:  # name the damage that did it
            raise AssertionError(f"{which} {number}: {what}") from error
        ends["refused" if made is None else "later" if made.later else "decided"] += 1
    assert min(ends.values()) > 50, ends


# -- payloads of another API -----------------------------------------------------------------------------------


def samples() -> list[Path]:
    return sorted(SAMPLES.glob("rest-*.json"))


@pytest.mark.skipif(not samples(), reason="REST samples are absent: name their folder in LADENBUCH_SAMPLES")
def test_rest_payloads_are_nonsense_to_the_order_reader_and_hints_to_the_webhook_reader() -> None:
    """Real REST bodies: an order read from them is refused; a delivery of them names an order or nothing."""
    headers = [
        (b"x-shopify-hmac-sha256", b"AA=="), (b"x-shopify-shop-domain", b"laden.myshopify.com"),
        (b"x-shopify-api-version", b"2026-10"), (b"x-shopify-webhook-id", b"w-1"),
    ]  # fmt: skip
    named = 0
    for path in samples():
        raw = path.read_bytes()
        body = json.loads(raw)
        for payload in (body, *(body.values() if isinstance(body, dict) else ())):
            assert decide(payload) is None
            for topic in sorted(KNOWN):
                encoded = json.dumps(payload).encode()
                event = Event.from_http([*headers, (b"x-shopify-topic", topic.encode())], encoded)
                if event.order_id is not None:
                    named += 1
                    assert event.order_id.startswith("gid://shopify/Order/")
    assert named > 20
