"""What happened in the shop, as frozen values with Shopify's names.

All money is in integers of minor units of the shop currency. All instants are timezone-aware UTC. Enumerations of
Shopify stay strings, because Shopify may add values; who decides on one must treat an unknown value as a question.
Ids are Shopify gids (`gid://shopify/Order/1`). The model carries what the Admin API gives (2.2-2.5 of the field
list this product keeps); it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TaxLine:
    """One tax on a line as Shopify charged it. `rate` in percent (`Decimal("19")`), `amount` in minor units."""

    title: str
    rate: Decimal
    amount: int
    channel_liable: bool | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class DiscountApplication:
    """A discount of the order. `kind` is code, automatic, manual, script or unknown."""

    index: int
    kind: str
    label: str
    target_type: str  # LINE_ITEM | SHIPPING_LINE
    allocation_method: str  # ACROSS | EACH | ONE


@dataclass(frozen=True, slots=True)
class DiscountAllocation:
    """The part of a discount that fell on one line, in minor units (positive)."""

    amount: int
    application_index: int | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """An import duty on a line."""

    id: str
    price: int
    tax_lines: tuple[TaxLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line item. `quantity` includes refunded and removed pieces, `current_quantity` does not."""

    id: str
    title: str
    quantity: int
    current_quantity: int
    original_total: int
    discounted_total: int
    variant_title: str | None = None
    sku: str | None = None
    vendor: str | None = None
    is_gift_card: bool = False
    requires_shipping: bool = True
    taxable: bool = True
    allocations: tuple[DiscountAllocation, ...] = ()
    tax_lines: tuple[TaxLine, ...] = ()
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class ShippingLine:
    """A shipping line; `id` may be null at Shopify."""

    id: str | None
    title: str
    original_price: int
    discounted_price: int
    current_discounted_price: int
    code: str | None = None
    source: str | None = None
    is_removed: bool = False
    allocations: tuple[DiscountAllocation, ...] = ()
    tax_lines: tuple[TaxLine, ...] = ()


@dataclass(frozen=True, slots=True)
class AdditionalFee:
    """A fee on the order that is neither goods nor shipping."""

    id: str
    name: str
    price: int
    tax_lines: tuple[TaxLine, ...] = ()


@dataclass(frozen=True, slots=True)
class SaleTax:
    """One tax of a ledger entry: amount in minor units, rate in percent."""

    amount: int
    rate: Decimal
    title: str = ""
    channel_liable: bool | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """One immutable entry of Shopify's sales ledger. `total` is after taxes and discounts; returns are negative.

    `line_type`: PRODUCT, SHIPPING, TIP, GIFT_CARD, DUTY, FEE, ADDITIONAL_FEE, ADJUSTMENT, UNKNOWN.
    `action`: ORDER, RETURN, UPDATE, UNKNOWN. `item_id` names the line, shipping line, duty or fee sold.
    """

    id: str
    line_type: str
    action: str
    total: int
    tax: int
    quantity: int | None = None
    taxes: tuple[SaleTax, ...] = ()
    discount_before_taxes: int = 0
    discount_after_taxes: int = 0
    item_id: str | None = None
    item_name: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One dated change of what was sold: OrderAgreement, OrderEditAgreement, RefundAgreement, ReturnAgreement."""

    id: str
    kind: str
    reason: str
    happened_at: datetime
    sales: tuple[Sale, ...] = ()
    refund_id: str | None = None
    return_id: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentFee:
    """A fee Shopify Payments took from a transaction, in minor units."""

    id: str
    kind: str
    amount: int
    tax_amount: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """A transaction. Money moved only where `status` is SUCCESS and `kind` is SALE, CAPTURE, REFUND or CHANGE."""

    id: str
    kind: str
    status: str
    gateway: str | None
    amount: int
    processed_at: datetime | None
    created_at: datetime | None = None
    currency: str = "EUR"
    test: bool = False
    manual: bool = False
    formatted_gateway: str | None = None
    rounding: int = 0
    parent_id: str | None = None
    payment_id: str | None = None
    fees: tuple[PaymentFee, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What came back of one line item."""

    line_id: str | None
    quantity: int
    subtotal: int
    tax: int
    restock_type: str | None = None


@dataclass(frozen=True, slots=True)
class RefundAdjustment:
    """A difference between goods returned and money returned. The sign says the direction; the tax is not usable."""

    id: str
    reason: str
    amount: int
    tax: int = 0


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund record; whether money moved is said by its transactions, not by it."""

    id: str
    created_at: datetime | None
    total: int
    processed_at: datetime | None = None
    note: str | None = None
    return_id: str | None = None
    lines: tuple[RefundLine, ...] = ()
    shipping: int = 0
    shipping_tax: int = 0
    duties: int = 0
    adjustments: tuple[RefundAdjustment, ...] = ()
    transaction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """A shipment. `origin_country` is the ship-from country where Shopify knows it."""

    id: str
    status: str
    created_at: datetime
    in_transit_at: datetime | None = None
    delivered_at: datetime | None = None
    display_status: str | None = None
    quantity: int = 0
    origin_country: str | None = None
    items: tuple[tuple[str, int], ...] = ()  # (line id, quantity)


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; every part may be missing. `country` is ISO 3166-1 alpha-2."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    zip: str | None = None
    city: str | None = None
    province_code: str | None = None
    country: str | None = None
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Customer:
    """The buyer's customer record; absent for guests and redacted buyers."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    display_name: str | None = None
    email: str | None = field(default=None, repr=False)
    locale: str | None = None
    tax_exempt: bool = False
    tax_exemptions: tuple[str, ...] = ()
    tax_id: str | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """The buying company of a B2B order (Shopify `PurchasingCompany`)."""

    id: str
    name: str
    location_id: str | None = None
    location_name: str | None = None
    billing_address: Address | None = None
    tax_registration_id: str | None = None
    tax_exempt: bool = False
    external_id: str | None = None  # of the location, else of the company


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """Net terms of a B2B order. `due_at` is the earliest open due date, null for on-fulfilment terms."""

    name: str
    kind: str
    due_in_days: int | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """A chargeback or inquiry on the order."""

    id: str
    initiated_as: str
    status: str


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it is now, complete or with its `gaps` named.

    `gaps` lists what is missing for a decision (field paths that came back null with an error, pages that could not
    be read): a plan must not be made from an order with gaps (rule R19).
    `foreign_money` is True when any amount the buyer saw differs from the shop amount in currency or value.
    """

    id: str
    name: str
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    currency: str
    presentment_currency: str
    taxes_included: bool
    original_total: int
    current_total: int
    agreements: tuple[Agreement, ...] = ()
    payments: tuple[Payment, ...] = ()
    lines: tuple[Line, ...] = ()
    shipping_lines: tuple[ShippingLine, ...] = ()
    additional_fees: tuple[AdditionalFee, ...] = ()
    discounts: tuple[DiscountApplication, ...] = ()
    refunds: tuple[Refund, ...] = ()
    fulfilments: tuple[Fulfilment, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    total_tax: int = 0
    total_received: int = 0
    total_refunded: int = 0
    total_outstanding: int = 0
    total_tip: int = 0
    refund_discrepancy: int = 0
    cash_rounding: int = 0
    original_duties: int = 0
    original_additional_fees: int = 0
    test: bool = False
    edited: bool = False
    tax_exempt: bool = False
    estimated_taxes: bool = False
    source_name: str | None = None
    financial_status: str | None = None
    fulfilment_status: str | None = None
    return_status: str | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    closed_at: datetime | None = None
    po_number: str | None = None
    gateways: tuple[str, ...] = ()
    locale: str | None = None
    email: str | None = field(default=None, repr=False)
    billing_address: Address | None = None
    shipping_address: Address | None = None
    customer: Customer | None = None
    company: Company | None = None
    terms: PaymentTerms | None = None
    merchant_of_record: str | None = None
    custom_attributes: tuple[tuple[str, str], ...] = ()
    foreign_money: bool = False
    gaps: tuple[str, ...] = ()

    @property
    def number_id(self) -> str:
        """The numeric tail of the gid: what REST, webhooks and our keys use."""
        return self.id.rsplit("/", 1)[-1]
