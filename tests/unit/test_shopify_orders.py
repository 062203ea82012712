"""Admin JSON -> domain.Order: wrappings, money, rates, gaps (R19), and nothing but Rejected for rubbish."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.shopify.shapes import instant, percent

Json = dict[str, Any]


def bag(amount: str, presentment: str | None = None, currency: str = "EUR", seen: str = "EUR") -> Json:
    return {
        "shopMoney": {"amount": amount, "currencyCode": currency},
        "presentmentMoney": {"amount": presentment or amount, "currencyCode": seen},
    }


def tax(amount: str, rate: object = 0.19) -> Json:
    return {"title": "MwSt", "rate": rate, "channelLiable": False, "source": "shop", "priceSet": bag(amount)}


def sale(number: int, total: str, tax_amount: str, kind: str = "ProductSale", **more: Any) -> Json:
    return {
        "__typename": kind,
        "id": f"gid://shopify/Sale/{number}",
        "actionType": "ORDER",
        "lineType": "PRODUCT",
        "quantity": 1,
        "totalAmount": bag(total),
        "totalTaxAmount": bag(tax_amount),
        "totalDiscountAmountBeforeTaxes": bag("0.00"),
        "totalDiscountAmountAfterTaxes": bag("0.00"),
        "taxes": [{"id": "t", "amount": bag(tax_amount), "taxLine": {"title": "MwSt", "rate": 0.19}}],
        **more,
    }


def envelope() -> Json:
    """One soap for 11.90 with shipping 4.90, paid, sent in two parcels, then partly refunded."""
    return {
        "order": {
            "id": "gid://shopify/Order/1001",
            "name": "#1001",
            "createdAt": "2026-11-20T09:00:00Z",
            "processedAt": "2026-11-20T09:00:01Z",
            "updatedAt": "2026-11-22T10:00:00+01:00",
            "currencyCode": "EUR",
            "presentmentCurrencyCode": "EUR",
            "taxesIncluded": True,
            "taxExempt": False,
            "test": False,
            "displayFinancialStatus": "PAID",
            "email": "buyer@example.com",
            "paymentGatewayNames": ["shopify_payments"],
            "originalTotalPriceSet": bag("16.80"),
            "currentTotalPriceSet": bag("16.80"),
            "totalTaxSet": bag("2.68"),
            "totalReceivedSet": bag("16.80"),
            "totalCashRoundingAdjustment": {"paymentSet": bag("0.00"), "refundSet": bag("0.00")},
            "customAttributes": [{"key": "USt-IdNr", "value": "DE1"}],
            "billingAddress": {"firstName": "Ada", "countryCodeV2": "DE", "zip": "10115"},
            "shippingAddress": None,
            "customer": {"id": "gid://shopify/Customer/1", "defaultEmailAddress": {"emailAddress": "b@example.com"}},
            "purchasingEntity": {"__typename": "Customer"},
            "paymentTerms": None,
            "disputes": [{"id": "gid://shopify/Dispute/1", "initiatedAs": "CHARGEBACK", "status": "LOST"}],
            "discountApplications": [
                {
                    "__typename": "DiscountCodeApplication",
                    "index": 0,
                    "code": "SEIFE",
                    "targetType": "LINE_ITEM",
                    "allocationMethod": "ACROSS",
                }
            ],
            "shippingLines": [
                {
                    "id": "gid://shopify/ShippingLine/1",
                    "title": "DHL",
                    "originalPriceSet": bag("4.90"),
                    "discountedPriceSet": bag("4.90"),
                    "currentDiscountedPriceSet": bag("4.90"),
                    "taxLines": [tax("0.78")],
                }
            ],
            "lineItems": [
                {
                    "id": "gid://shopify/LineItem/1",
                    "title": "Seife",
                    "quantity": 1,
                    "currentQuantity": 1,
                    "originalTotalSet": bag("12.90"),
                    "discountedTotalSet": bag("11.90"),
                    "discountAllocations": [{"allocatedAmountSet": bag("1.00"), "discountApplication": {"index": 0}}],
                    "taxLines": [tax("1.90")],
                    "duties": [],
                }
            ],
        },
        "agreements": [
            {
                "__typename": "OrderAgreement",
                "id": "gid://shopify/OrderAgreement/1",
                "happenedAt": "2026-11-20T09:00:00.5Z",
                "reason": "ORDER",
                "sales": [
                    sale(1, "11.90", "1.90", lineItem={"id": "gid://shopify/LineItem/1"}),
                    sale(2, "4.90", "0.78", "ShippingLineSale", lineType="SHIPPING", shippingLine=None),
                    sale(3, "2.00", "0.00", "FeeSale", lineType="FEE", fee={"id": "f", "__typename": "RestockingFee"}),
                ],
            }
        ],
        "transactions": [
            {
                "id": "gid://shopify/OrderTransaction/1",
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": "shopify_payments",
                "amountSet": bag("16.80"),
                "processedAt": "2026-11-20T09:00:02Z",
                "fees": [{"id": "fee", "type": "processing_fee", "amount": {"amount": "0.54", "currencyCode": "EUR"}}],
            }
        ],
        "refunds": [
            {
                "id": "gid://shopify/Refund/1",
                "createdAt": "2026-11-21T09:00:00Z",
                "totalRefundedSet": bag("5.00"),
                "refundLineItems": [
                    {
                        "quantity": 1,
                        "restockType": "RETURN",
                        "subtotalSet": bag("5.00"),
                        "totalTaxSet": bag("0.80"),
                        "lineItem": {"id": "gid://shopify/LineItem/1"},
                    }
                ],
                "refundShippingLines": [{"id": "r", "subtotalAmountSet": bag("1.00"), "taxAmountSet": bag("0.16")}],
                "orderAdjustments": [
                    {
                        "id": "a",
                        "reason": "REFUND_DISCREPANCY",
                        "amountSet": bag("-1.00"),
                        "taxAmountSet": bag("0.00"),
                    }
                ],
                "transactions": [{"id": "gid://shopify/OrderTransaction/2"}],
            }
        ],
        "fulfillments": [
            {
                "id": "gid://shopify/Fulfillment/1",
                "status": "SUCCESS",
                "createdAt": "2026-11-20T15:00:00Z",
                "totalQuantity": 1,
                "originAddress": {"countryCode": "DE"},
                "fulfillmentLineItems": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/1"}}],
            }
        ],
    }


def code_of(given: object) -> tuple[str, str]:
    with pytest.raises(LadenbuchError) as caught:
        order_from_envelope(given)
    return caught.value.code, caught.value.message


# -- what is read ----------------------------------------------------------------------------------------------------


def test_everything_arrives() -> None:
    order = order_from_envelope(envelope())
    assert order.gaps == ()
    assert not order.foreign_money
    assert (order.name, order.number_id, order.original_total, order.total_received) == ("#1001", "1001", 1680, 1680)
    assert order.updated_at == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    line = order.lines[0]
    assert (line.original_total, line.discounted_total, line.allocations[0].amount) == (1290, 1190, 100)
    assert line.tax_lines[0].rate == Decimal(19)
    assert (order.discounts[0].kind, order.discounts[0].label) == ("code", "SEIFE")
    goods, shipping, fee = order.agreements[0].sales
    assert (goods.total, goods.tax, goods.item_id) == (1190, 190, "gid://shopify/LineItem/1")
    assert shipping.item_id is None
    assert (fee.item_id, fee.item_name) == ("f", "RestockingFee")
    assert order.agreements[0].happened_at.microsecond == 500_000
    payment = order.payments[0]
    assert (payment.amount, payment.currency, payment.fees[0].amount) == (1680, "EUR", 54)
    refund = order.refunds[0]
    assert (refund.total, refund.lines[0].subtotal, refund.shipping, refund.shipping_tax) == (500, 500, 100, 16)
    assert (refund.adjustments[0].amount, refund.transaction_ids) == (-100, ("gid://shopify/OrderTransaction/2",))
    parcel = order.fulfilments[0]
    assert (parcel.origin_country, parcel.items) == ("DE", (("gid://shopify/LineItem/1", 1),))
    assert order.disputes[0].status == "LOST"
    assert order.company is None
    assert order.customer is not None
    assert order.customer.email == "b@example.com"
    assert order.custom_attributes == (("USt-IdNr", "DE1"),)
    assert "buyer@example.com" not in repr(order)


def test_wrappings_make_no_difference() -> None:
    plain = envelope()
    expected = order_from_envelope(plain)

    nodes = copy.deepcopy(plain)
    nodes["agreements"] = {"nodes": nodes["agreements"], "pageInfo": {"hasNextPage": False}}
    nodes["order"]["lineItems"] = {"nodes": nodes["order"]["lineItems"]}
    edges = copy.deepcopy(plain)
    edges["transactions"] = {"edges": [{"cursor": "x", "node": item} for item in edges["transactions"]]}
    edges["agreements"][0]["sales"] = {"edges": [{"node": item} for item in edges["agreements"][0]["sales"]]}
    inside = {"order": {**plain["order"], **{key: item for key, item in plain.items() if key != "order"}}}
    for variant in (
        nodes,
        edges,
        inside,
        inside["order"],
        {"data": inside},
        {"data": {"order": plain["order"]}, **{key: item for key, item in plain.items() if key != "order"}},
    ):
        assert order_from_envelope(variant) == expected
    assert order_from_envelope(json.loads(json.dumps(plain), parse_float=Decimal)) == expected
    assert order_from_envelope(json.loads(json.dumps(plain))) == expected


def test_money_may_be_shop_only_or_a_plain_string() -> None:
    given = envelope()
    given["order"]["originalTotalPriceSet"] = {"shopMoney": {"amount": "16.80", "currencyCode": "EUR"}}
    given["order"]["currentTotalPriceSet"] = "16.80"
    given["order"]["totalTaxSet"] = {"amount": "2.68", "currencyCode": "EUR"}
    assert order_from_envelope(given) == order_from_envelope(envelope())


@pytest.mark.parametrize(
    ("rate", "percentage", "expected"),
    [
        (0.19, None, "19"),
        ("0.19", None, "19"),
        (Decimal("0.190"), None, "19"),
        (0.07, None, "7"),
        (0.055, None, "5.5"),
        (0.255, None, "25.5"),
        (0.2, None, "20"),
        (1, None, "100"),
        (0, 19, "0"),
        (None, 19.0, "19"),
        (None, "5.50", "5.5"),
    ],
)
def test_rates_become_percent(rate: object, percentage: object, expected: str) -> None:
    assert str(percent(rate, percentage, "rate")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00.123456789Z", datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)),
        ("2026-11-22T10:00:00.1+01:00", datetime(2026, 11, 22, 9, 0, 0, 100000, UTC)),
        ("2026-01-01T00:30:00-0500", datetime(2026, 1, 1, 5, 30, tzinfo=UTC)),
    ],
)
def test_instants_up_to_nanoseconds(text: str, expected: datetime) -> None:
    assert instant(text, "x") == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:00+99:00",
        "２０２６-11-22T10:00:00Z",
        5,
    ],
)
def test_other_instants_are_refused(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        instant(value, "x")
    assert caught.value.code == "ORDER-SHAPE"


def test_foreign_money_by_currency_by_value_and_on_any_amount() -> None:
    for change in (bag("16.80", "18.20", seen="USD"), bag("16.80", "16.81"), bag("16.80", currency="CHF", seen="CHF")):
        given = envelope()
        given["transactions"][0]["amountSet"] = change
        assert order_from_envelope(given).foreign_money
    given = envelope()
    given["order"]["presentmentCurrencyCode"] = "CHF"
    assert order_from_envelope(given).foreign_money
    given = envelope()
    given["order"]["originalTotalPriceSet"] = bag("16.8", "16.80")
    assert not order_from_envelope(given).foreign_money
    given = envelope()
    given["transactions"][0]["fees"][0]["amount"]["currencyCode"] = "USD"
    assert not order_from_envelope(given).foreign_money, "a payout currency is not what the buyer saw"


def test_unknown_enum_values_pass_through() -> None:
    given = envelope()
    given["agreements"][0]["sales"][0]["lineType"] = "MOON_DUST"
    given["transactions"][0]["kind"] = "TELEPATHY"
    given["order"]["displayFinancialStatus"] = "SOMEHOW"
    order = order_from_envelope(given)
    assert order.agreements[0].sales[0].line_type == "MOON_DUST"
    assert (order.payments[0].kind, order.financial_status) == ("TELEPATHY", "SOMEHOW")


def test_company_terms_and_merchant_of_record() -> None:
    given = envelope()
    given["order"]["purchasingEntity"] = {
        "__typename": "PurchasingCompany",
        "company": {"id": "gid://shopify/Company/1", "name": "Hotel GmbH"},
        "location": {
            "id": "gid://shopify/CompanyLocation/1",
            "name": "Berlin",
            "billingAddress": {"companyName": "Hotel GmbH", "recipient": "Einkauf", "countryCode": "DE"},
            "taxSettings": {"taxRegistrationId": "DE123", "taxExempt": True},
        },
    }
    given["order"]["paymentTerms"] = {
        "paymentTermsName": "Net 30",
        "paymentTermsType": "NET",
        "dueInDays": 30,
        "paymentSchedules": {
            "nodes": [
                {"dueAt": "2026-11-01T00:00:00Z", "completedAt": "2026-11-01T00:00:00Z"},
                {"dueAt": "2027-01-20T00:00:00Z", "completedAt": None},
                {"dueAt": "2026-12-20T00:00:00Z", "completedAt": None},
                {"dueAt": None, "completedAt": None},
            ]
        },
    }
    given["order"]["merchantOfRecordApp"] = {"id": "gid://shopify/App/1", "name": "Shop"}
    order = order_from_envelope(given)
    assert order.company is not None
    assert (order.company.tax_registration_id, order.company.tax_exempt) == ("DE123", True)
    assert order.company.billing_address is not None
    assert (order.company.billing_address.company, order.company.billing_address.country) == ("Hotel GmbH", "DE")
    assert order.terms is not None
    assert order.terms.due_at == datetime(2026, 12, 20, tzinfo=UTC)
    for schedule in given["order"]["paymentTerms"]["paymentSchedules"]["nodes"]:
        schedule["completedAt"] = schedule["dueAt"]
    settled = order_from_envelope(given).terms
    assert settled is not None and settled.due_at == datetime(2027, 1, 20, tzinfo=UTC), "none is open: the last one"
    assert order.merchant_of_record == "Shop"


@pytest.mark.parametrize(
    ("location", "company", "known"), [("F-1", "K-1", "F-1"), (None, "K-1", "K-1"), (None, None, None)]
)
def test_the_number_the_shop_gave_a_company_or_its_location(
    location: str | None, company: str | None, known: str | None
) -> None:
    given = envelope()
    given["order"]["purchasingEntity"] = {
        "__typename": "PurchasingCompany",
        "company": {"id": "gid://shopify/Company/1", "name": "Hotel GmbH", "externalId": company},
        "location": {"id": "gid://shopify/CompanyLocation/1", "name": "Berlin", "externalId": location},
    }
    buyer = order_from_envelope(given).company
    assert buyer is not None and buyer.external_id == known


def test_cash_rounding_of_a_payment_and_a_refund_do_not_hide_each_other() -> None:
    given = envelope()
    given["order"]["totalCashRoundingAdjustment"] = {"paymentSet": bag("0.02"), "refundSet": bag("-0.02")}
    assert order_from_envelope(given).cash_rounding == 2


# -- completeness (R19) ----------------------------------------------------------------------------------------------


def test_r19_gaps_of_the_envelope_are_kept() -> None:
    given = envelope() | {"gaps": ["order.agreements.edges.0"], "warnings": ["order.customer"]}
    assert order_from_envelope(given).gaps == ("order.agreements.edges.0",)


@pytest.mark.parametrize(
    ("path", "value", "gap"),
    [
        (("agreements",), None, "order.agreements"),
        (("transactions",), None, "order.transactions"),
        (("refunds",), None, "order.refunds"),
        (("fulfillments",), None, "order.fulfillments"),
        (("order", "lineItems"), None, "order.lineItems"),
        (("order", "taxesIncluded"), None, "order.taxesIncluded"),
        (("order", "originalTotalPriceSet"), None, "order.originalTotalPriceSet"),
        (("order", "lineItems", 0, "taxLines"), None, "order.lineItems.0.taxLines"),
        (("order", "lineItems", 0, "taxLines", 0, "rate"), None, "order.lineItems.0.taxLines.0.rate"),
        (("agreements", 0), None, "order.agreements.0"),
        (("agreements", 0, "sales"), None, "order.agreements.0.sales"),
        (("agreements", 0, "sales", 1), None, "order.agreements.0.sales.1"),
        (("agreements", 0, "sales", 0, "totalAmount"), None, "order.agreements.0.sales.0.totalAmount"),
        (("agreements", 0, "sales", 0, "taxes"), None, "order.agreements.0.sales.0.taxes"),
        (("transactions", 0, "amountSet"), None, "order.transactions.0.amountSet"),
        (("transactions", 0, "amountSet", "shopMoney"), None, "order.transactions.0.amountSet"),
        (
            ("transactions",),
            {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}},
            "order.transactions.page",
        ),
    ],
)
def test_r19_a_hole_is_a_gap(path: tuple[str | int, ...], value: object, gap: str) -> None:
    given: Any = envelope()
    holder = given
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert gap in order_from_envelope(given).gaps


@pytest.mark.parametrize(("name", "gap"), [("agreements", True), ("transactions", True), ("refunds", False)])
def test_r19_absent_parts(name: str, gap: bool) -> None:
    given = envelope()
    del given[name]
    assert (f"order.{name}" in order_from_envelope(given).gaps) is gap


@pytest.mark.parametrize("name", ["customer", "email", "paymentTerms", "discountApplications", "billingAddress"])
def test_r19_what_no_decision_needs_is_no_gap(name: str) -> None:
    given = envelope()
    given["order"][name] = None
    assert order_from_envelope(given).gaps == ()


# -- what cannot be an order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("order", "id"), None, "ORDER-SHAPE"),
        (("order", "name"), "", "ORDER-SHAPE"),
        (("order", "createdAt"), "yesterday", "ORDER-SHAPE"),
        (("order", "currencyCode"), "euro", "ORDER-SHAPE"),
        (("order", "taxesIncluded"), "yes", "ORDER-SHAPE"),
        (("order", "lineItems"), "none", "ORDER-SHAPE"),
        (("order", "lineItems", 0, "quantity"), 1.5, "ORDER-SHAPE"),
        (("order", "lineItems", 0, "quantity"), True, "ORDER-SHAPE"),
        (("order", "lineItems", 0), 7, "ORDER-SHAPE"),
        (("order", "lineItems", 0, "taxLines", 0, "rate"), "nan", "ORDER-SHAPE"),
        (("order", "lineItems", 0, "taxLines", 0, "rate"), -0.19, "ORDER-SHAPE"),
        (("transactions", 0, "amountSet"), bag("16.805"), "MONEY-PRECISION"),
        (("transactions", 0, "amountSet"), bag("1e3"), "MONEY-FORMAT"),
        (("transactions", 0, "amountSet"), bag("NaN"), "MONEY-FORMAT"),
        (("transactions", 0, "amountSet"), 16.8, "MONEY-FORMAT"),
        (("transactions", 0, "kind"), None, "ORDER-SHAPE"),
        (("agreements", 0, "happenedAt"), None, "ORDER-SHAPE"),
    ],
)
def test_rubbish_is_refused_with_its_path(path: tuple[str | int, ...], value: object, code: str) -> None:
    given: Any = envelope()
    holder = given
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    found, message = code_of(given)
    assert found == code
    assert str(path[-1]) in message


@pytest.mark.parametrize("value", [None, [], "order", 7, {}, {"order": None}, {"data": None}, {"data": {"order": 5}}])
def test_what_is_no_envelope_is_refused(value: object) -> None:
    assert code_of(value)[0] == "ORDER-SHAPE"


_NOISE: list[Any] = [
    None, True, 0, -1, 2**70, 0.19, 1e308, float("nan"), "", "x", "\ud800", "NaN", "1e999", "11.90", [], {}, [None],
    [[]], {"nodes": None}, {"edges": [None, {"node": 5}]}, {"shopMoney": {}}, {"amount": {}}, Decimal("1E+999999"),
    Decimal("sNaN"), Decimal("-Infinity"), b"x", object(),
]  # fmt: skip


def _places(value: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """Every container and key below `value`; walked twenty thousand times, so leaves cost no call."""
    found = [] if found is None else found
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(item, (dict, list)):
            _places(item, found)
    return found


def test_ten_thousand_broken_envelopes_raise_nothing_but_rejected() -> None:
    """Seeded: one to three places of a good envelope are replaced, removed, or wrapped."""
    rng = random.Random(20261122)
    text = json.dumps(envelope())
    codes: set[str] = set()
    survived = 0
    for _ in range(10_000):
        given = json.loads(text)
        for _ in range(rng.randrange(1, 4)):
            holder, key = rng.choice(_places(given) or [({"x": 0}, "x")])
            if isinstance(holder, dict) and rng.random() < 0.2:
                holder.pop(key, None)
            elif key in holder if isinstance(holder, dict) else key < len(holder):
                holder[key] = rng.choice(_NOISE)
        try:
            order_from_envelope(given)
            survived += 1
        except Rejected as error:
            codes.add(error.code)
    assert survived > 1000
    assert codes <= {"ORDER-SHAPE", "MONEY-FORMAT", "MONEY-PRECISION"}
    assert "ORDER-SHAPE" in codes
