"""One order of the demo shop while it grows: basket, discounts, taxes, the sales ledger, money, shipments.

The shop's rules: a percentage is taken of the discounted base and rounded once, its shares sum exactly; tax is rounded
per line (contained in gross prices, added to net prices); every change of what was sold is one dated agreement whose
sales are totals after discounts and tax. `emit` freezes the order as an event and finds the tax point: the first
instant at which the money is complete or something was shipped (exports: shipped).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.simulators.lives.arithmetic import (
    added,
    bag,
    contained,
    half_up,
    iso,
    last_second_of_month,
    rate_key,
    rate_text,
    spread,
)
from ladenbuch.simulators.lives.people import Product

Node = dict[str, Any]
CLEARING = ("shopify_payments", "klarna", "paypal")
#: What the seller owes his customers; it has an account of its own, as the clearing gateways have.
LIABILITIES = ("gift_card", "shopify_store_credit")
MANUAL = ("bank_deposit", "cash_on_delivery", "invoice_on_delivery")
GATEWAY_NAMES = {
    "shopify_payments": "Shopify Payments", "klarna": "Klarna", "paypal": "PayPal", "bank_deposit": "Vorkasse",
    "cash_on_delivery": "Nachnahme", "gift_card": "Gift card", "shopify_store_credit": "Store credit", "cash": "Cash",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Line:
    """A line item. `unit` and `kept` are in the order's terms (gross or net); `quantity` counts removed pieces too."""

    number: int
    product: Product
    unit: int
    quantity: int
    rates: tuple[int, ...]
    kind: str = "PRODUCT"  # PRODUCT | GIFT_CARD | TIP
    current: int = 0
    kept: int = 0
    kept_tax: int = 0
    allocations: list[tuple[int, int]] = field(default_factory=list)
    taxes: Counter[int] = field(default_factory=Counter)
    duties: list[Node] = field(default_factory=list)
    channel_liable: bool = False

    @property
    def gid(self) -> str:
        return f"gid://shopify/LineItem/{self.number}"

    @property
    def discounted(self) -> int:
        return self.unit * self.quantity - sum(cents for _, cents in self.allocations)


@dataclass(slots=True, eq=False)
class Shipping:
    """A shipping line; `price` in the order's terms, `rates` more than one where the tax follows the goods."""

    number: int
    title: str
    price: int
    rates: tuple[int, ...]
    allocations: list[tuple[int, int]] = field(default_factory=list)
    taxes: list[tuple[int, int]] = field(default_factory=list)
    returned: int = 0

    @property
    def gid(self) -> str:
        return f"gid://shopify/ShippingLine/{self.number}"

    @property
    def discounted(self) -> int:
        return self.price - sum(cents for _, cents in self.allocations)


@dataclass(slots=True)
class Agreed:
    """One agreement: its node, and what it sold as (line type, gross, parts per rate)."""

    node: Node
    sold: list[tuple[str, int, dict[int, int]]]


@dataclass(slots=True)
class Event:
    """An emitted state, second of the epoch."""

    second: int
    topics: tuple[str, ...]
    snapshot: Node


class ShopOrder:
    """A growing order. `start` is its creation in epoch seconds, `pace` (0, 1] compresses all waiting times."""

    def __init__(self, rng: random.Random, first_id: int, number: int, start: int, pace: float) -> None:
        self.rng = rng
        self.next_id = first_id
        self.number = number
        self.now = self.created = self.updated = start
        self.pace = pace
        self.id = self.new_id()
        self.gross = True
        self.lines: list[Line] = []
        self.shippings: list[Shipping] = []
        self.fees: list[Node] = []
        self.discounts: list[Node] = []
        self.agreements: list[Agreed] = []
        self.payments: list[Node] = []
        self.fulfilments: list[Node] = []
        self.refunds: list[Node] = []
        self.returns: list[Node] = []
        self.disputes: list[Node] = []
        self.money_terms = ("EUR", "EUR", 1000)
        self.extra: Node = {}  # top-level fields a situation sets as they are
        self.billing: Node | None = None
        self.delivery: Node | None = None
        self.customer: Node | None = None
        self.email: str | None = None
        self.locale = "de"
        self.cancelled: tuple[int, str] | None = None
        self.edited = False
        self.expired = False
        self.rule = 1  # sevdesk's tax rule of its documents
        self.tax_point: int | None = None
        self.first: Counter[int] = Counter()
        self.events: list[Event] = []
        self.snapshot: Callable[[ShopOrder], Node] | None = None

    # time and ids ------------------------------------------------------------------------------------------------

    @property
    def shipped_only(self) -> bool:
        """Exports and intra-Community supplies: no tax point before the goods move."""
        return self.rule in (2, 3)

    def new_id(self) -> int:
        """The next numeric id; ids of one order are close together and belong to no other order."""
        self.next_id += 1
        return self.next_id

    def wait(self, shortest: int, longest: int, *, within_month: bool = False) -> None:
        """Let between `shortest` and `longest` seconds pass (compressed, at least one), or what the month has left."""
        seconds = max(1, int(self.rng.randint(shortest, longest) * self.pace))
        self.now += min(seconds, self.left_of_month()) if within_month else seconds

    def left_of_month(self) -> int:
        """Seconds until the last one of the month in Germany."""
        return last_second_of_month(self.now) - self.now

    def bag(self, cents: int) -> Node:
        """A MoneyBag in this order's currencies."""
        return bag(cents, *self.money_terms)

    # the basket --------------------------------------------------------------------------------------------------

    def add(self, product: Product, quantity: int = 1, *, rates: tuple[int, ...] | None = None, kind: str = "PRODUCT",
            price: int | None = None) -> Line:  # fmt: skip
        """Put an article into the basket; `price` (gross) and `rates` override the article's own."""
        rates = (product.rate,) if rates is None else rates
        unit = product.price if price is None else price
        if not self.gross and rates:
            unit -= contained(unit, rates[0])
        line = Line(self.new_id(), product, unit, quantity, rates, kind)
        self.lines.append(line)
        return line

    def ship_by(self, title: str, price: int, rates: tuple[int, ...]) -> Shipping:
        """Add a shipping line with a gross price."""
        if not self.gross and rates:
            price -= contained(price, rates[0])
        line = Shipping(self.new_id(), title, price, rates)
        self.shippings.append(line)
        return line

    def discount(self, kind: str, label: str, *, percent: int | None = None, fixed: int | None = None,
                 target: Line | Shipping | None = None, method: str | None = None) -> None:  # fmt: skip
        """Grant a discount over all lines, on one line, or on a shipping line; `fixed` in the order's terms.

        `method` is ACROSS, EACH or ONE where it is not what a discount of that target usually has.
        """
        index = len(self.discounts)
        targets: Sequence[Line | Shipping] = self.lines if target is None else [target]
        bases = [part.discounted for part in targets]
        whole = sum(bases)
        cents = half_up(whole * percent, 100) if percent is not None else min(fixed or 0, whole)
        for part, share in zip(targets, spread(cents, bases), strict=True):
            if share:
                part.allocations.append((index, share))
        value: Node = {"__typename": "PricingPercentageValue", "percentage": float(percent or 0)}
        if percent is None:
            value = {"__typename": "MoneyV2", **self.bag(cents)["shopMoney"]}
        node: Node = {
            "__typename": f"{kind}Application", "index": index, "value": value,
            "targetType": "SHIPPING_LINE" if isinstance(target, Shipping) else "LINE_ITEM",
            "targetSelection": "ALL" if target is None else "ENTITLED",
            "allocationMethod": method or ("ACROSS" if target is None else "EACH"),
            "code" if kind == "DiscountCode" else "title": label,
        }  # fmt: skip
        if kind == "ManualDiscount":
            node["description"] = "Kulanz"
        self.discounts.append(node)

    # the ledger --------------------------------------------------------------------------------------------------

    def tax(self, total: int, rate: int) -> int:
        """Tax of a total in the order's terms."""
        return contained(total, rate) if self.gross else added(total, rate)

    def as_gross(self, total: int, tax: int) -> int:
        """A total in the order's terms as gross cents."""
        return total if self.gross else total + tax

    def tax_line(self, rate: int, cents: int, channel_liable: bool = False) -> Node:
        """A TaxLine."""
        part, percent = rate_text(rate)
        return {
            "title": self.extra.get("_tax_title", "MwSt"), "rate": part, "ratePercentage": percent,
            "channelLiable": channel_liable, "source": "Shopify", "priceSet": self.bag(cents),
        }  # fmt: skip

    def sale(self, line_type: str, action: str, quantity: int | None, gross: int, taxes: Iterable[tuple[int, int]],
             *, discount: int = 0, liable: bool = False, item: Node | None = None) -> Node:  # fmt: skip
        """A ledger entry: gross and taxes (rate, cents) signed, discount in the order's terms."""
        kinds = {
            "PRODUCT": "ProductSale", "GIFT_CARD": "GiftCardSale", "TIP": "TipSale", "SHIPPING": "ShippingLineSale",
            "DUTY": "DutySale", "ADDITIONAL_FEE": "AdditionalFeeSale", "FEE": "FeeSale", "ADJUSTMENT": "AdjustmentSale",
        }  # fmt: skip
        listed = list(taxes)
        main = listed[0][0] if listed else 0
        before = discount - contained(discount, main) if self.gross else discount
        after = discount if self.gross else discount + added(discount, main)
        return {
            "__typename": kinds[line_type], "id": f"gid://shopify/Sale/{self.new_id()}", "actionType": action,
            "lineType": line_type, "quantity": quantity, "totalAmount": self.bag(gross),
            "totalTaxAmount": self.bag(sum(cents for _, cents in listed)),
            "totalDiscountAmountBeforeTaxes": self.bag(before), "totalDiscountAmountAfterTaxes": self.bag(after),
            "taxes": [
                {"id": f"gid://shopify/SaleTax/{self.new_id()}", "amount": self.bag(cents),
                 "taxLine": self.tax_line(rate, cents, liable)}
                for rate, cents in listed
            ],
            **(item or {}),
        }  # fmt: skip

    def agree(self, kind: str, reason: str, sales: list[tuple[Node, str, int, dict[int, int]]],
              **more: Any) -> Agreed:  # fmt: skip
        """Enter an agreement of now: (sale node, line type, gross, gross per rate) each."""
        node = {
            "__typename": kind, "id": f"gid://shopify/{kind}/{self.new_id()}", "happenedAt": iso(self.now),
            "reason": reason, "sales": [entry[0] for entry in sales], **more,
        }  # fmt: skip
        agreed = Agreed(node, [(entry[1], entry[2], entry[3]) for entry in sales])
        self.agreements.append(agreed)
        return agreed

    def sell_line(
        self, line: Line, quantity: int, total: int, discount: int = 0
    ) -> tuple[Node, str, int, dict[int, int]]:
        """Sell pieces of a line for `total` (order's terms, after `discount`)."""
        taxes = [(rate, self.tax(total, rate)) for rate in line.rates]
        tax = sum(cents for _, cents in taxes)
        line.current += quantity
        line.kept += total
        line.kept_tax += tax
        line.taxes.update(dict(taxes))
        gross = self.as_gross(total, tax)
        node = self.sale(line.kind, "ORDER", quantity, gross, taxes, discount=discount, liable=line.channel_liable,
                         item={"lineItem": {"id": line.gid}})  # fmt: skip
        return node, line.kind, gross, {line.rates[0] if line.rates else 0: gross}

    def take_back(self, line: Line, quantity: int) -> tuple[Node, str, int, dict[int, int]]:
        """Return or remove pieces of a line at their share of what was kept: a negative sale."""
        total = line.kept if quantity == line.current else spread(line.kept, [quantity, line.current - quantity])[0]
        rest = line.kept - total
        tax = line.kept_tax - sum(self.tax(rest, rate) for rate in line.rates)
        line.current -= quantity
        line.kept, line.kept_tax = rest, line.kept_tax - tax
        gross = -self.as_gross(total, tax)
        rate = line.rates[0] if line.rates else 0
        node = self.sale(line.kind, "RETURN", -quantity, gross, [(r, -tax) for r in line.rates[:1]],
                         item={"lineItem": {"id": line.gid}})  # fmt: skip
        return node, line.kind, gross, {rate: gross}

    def goods_by_rate(self) -> Counter[int]:
        """Gross of the goods kept, per rate."""
        goods: Counter[int] = Counter()
        for line in self.lines:
            if line.kind == "PRODUCT":
                goods[line.rates[0] if line.rates else 0] += self.as_gross(line.kept, line.kept_tax)
        return goods

    def sell_shipping(self, line: Shipping) -> tuple[Node, str, int, dict[int, int]]:
        """Sell a shipping line; with several rates its price follows the goods' gross per rate."""
        total = line.discounted
        goods = self.goods_by_rate()
        shares = spread(total, [goods[rate] for rate in line.rates]) if len(line.rates) > 1 else [total]
        line.taxes = [(rate, self.tax(share, rate)) for rate, share in zip(line.rates, shares, strict=False)]
        tax = sum(cents for _, cents in line.taxes)
        parts = {rate: self.as_gross(share, cents) for (rate, cents), share in zip(line.taxes, shares, strict=False)}
        gross = self.as_gross(total, tax)
        node = self.sale("SHIPPING", "ORDER", 1, gross, line.taxes, discount=line.price - total,
                         item={"shippingLine": {"id": line.gid}})  # fmt: skip
        return node, "SHIPPING", gross, parts or {0: gross}

    def place(self, more: Sequence[tuple[Node, str, int, dict[int, int]]] = ()) -> None:
        """The buyer orders: everything in the basket becomes the OrderAgreement. `more` are other sales (duty, fee)."""
        sales = [
            self.sell_line(line, line.quantity, line.discounted, line.unit * line.quantity - line.discounted)
            for line in self.lines
        ]
        sales += [self.sell_shipping(line) for line in self.shippings]
        self.agree("OrderAgreement", "ORDER", [*sales, *more])

    def edit(self, *, more: Sequence[tuple[Product, int]] = (), grow: Sequence[tuple[Line, int]] = (),
             shrink: Sequence[tuple[Line, int]] = ()) -> Agreed:  # fmt: skip
        """The merchant edits: new lines, more pieces of a line, fewer pieces of a line."""
        sales = [self.take_back(line, quantity) for line, quantity in shrink]
        for line, quantity in grow:
            line.quantity += quantity
            sales.append(self.sell_line(line, quantity, line.unit * quantity))
        for product, quantity in more:
            line = self.add(product, quantity)
            sales.append(self.sell_line(line, quantity, line.unit * quantity))
        self.edited = True
        return self.agree("OrderEditAgreement", "ORDER_EDIT", sales)

    def claim(self) -> int:
        """Gross cents the ledger claims now."""
        return sum(gross for agreed in self.agreements for _, gross, _ in agreed.sold)

    def by_rate(self) -> Counter[int]:
        """The ledger's gross per rate now; gift cards are no turnover."""
        total: Counter[int] = Counter()
        for agreed in self.agreements:
            for kind, _, parts in agreed.sold:
                for rate, cents in parts.items() if kind != "GIFT_CARD" else ():
                    total[rate] += cents
        return total

    def cards(self, sign: int) -> int:
        """Gross cents of gift cards sold (1) or taken back (-1), positive."""
        sold = [gross for agreed in self.agreements for kind, gross, _ in agreed.sold if kind == "GIFT_CARD"]
        return sum(max(0, sign * gross) for gross in sold)

    # money -------------------------------------------------------------------------------------------------------

    def pay(self, gateway: str, cents: int | None = None, *, kind: str = "SALE", status: str = "SUCCESS",
            parent: Node | None = None) -> Node:  # fmt: skip
        """Add a transaction; without `cents` the open claim."""
        cents = self.claim() - self.received() if cents is None else cents
        fees = []
        if gateway == "shopify_payments" and status == "SUCCESS" and kind in ("SALE", "CAPTURE"):
            cut = half_up(cents * 21, 1000) + 30
            fees = [{
                "id": f"gid://shopify/TransactionFee/{self.new_id()}", "type": "processing_fee",
                "rateName": "Kartengebühr Inland", "rate": "0.021", "amount": self.bag(cut)["shopMoney"],
                "flatFee": self.bag(30)["shopMoney"], "taxAmount": self.bag(0)["shopMoney"],
            }]  # fmt: skip
        number = self.new_id()
        details = None
        if gateway == "shopify_payments":
            details = {"__typename": "CardPaymentDetails", "company": "Visa", "paymentMethodName": "card"}
        elif gateway == "paypal":
            details = {"__typename": "PaypalWalletPaymentDetails", "paymentMethodName": "paypal"}
        elif gateway == "klarna":
            details = {"__typename": "LocalPaymentMethodsPaymentDetails", "paymentMethodName": "klarna",
                       "paymentDescriptor": "Klarna"}  # fmt: skip
        node = {
            "id": f"gid://shopify/OrderTransaction/{number}", "kind": kind, "status": status,
            "test": bool(self.extra.get("test")), "gateway": gateway,
            "formattedGateway": GATEWAY_NAMES.get(gateway, gateway), "manualPaymentGateway": gateway in MANUAL,
            "createdAt": iso(self.now), "processedAt": iso(self.now),
            "errorCode": "CARD_DECLINED" if status in ("FAILURE", "ERROR") else None,
            "paymentId": f"r{number:x}", "settlementCurrency": None, "settlementCurrencyRate": None,
            "amountSet": self.bag(cents), "amountRoundingSet": None,
            "parentTransaction": None if parent is None else {"id": parent["id"], "kind": parent["kind"]},
            "fees": fees, "currencyExchangeAdjustment": None, "paymentDetails": details, "receiptJson": "{}",
            "_cents": cents, "_second": self.now,
        }  # fmt: skip
        self.payments.append(node)
        return node

    def settle(self, node: Node, status: str) -> Node:
        """Change a transaction's status now (PENDING to SUCCESS or FAILURE)."""
        changed = {**node, "status": status, "processedAt": iso(self.now), "_second": self.now}
        self.payments[self.payments.index(node)] = changed
        for index, refund in enumerate(self.refunds):
            listed = [changed if t["id"] == node["id"] else t for t in refund["transactions"]]
            back = sum(t["_cents"] for t in listed if t["status"] == "SUCCESS")
            self.refunds[index] = {**refund, "transactions": listed, "totalRefundedSet": self.bag(back)}
        return changed

    def moved(self, *kinds: str) -> int:
        """SUCCESS money of these kinds, in cents."""
        return sum(p["_cents"] for p in self.payments if p["status"] == "SUCCESS" and p["kind"] in kinds)

    def received(self) -> int:
        return self.moved("SALE", "CAPTURE")

    def refunded(self) -> int:
        return self.moved("REFUND", "CHANGE")

    def capturable(self) -> int:
        """Authorised and neither captured, voided nor expired."""
        if self.expired or self.moved("VOID"):
            return 0
        return max(0, self.moved("AUTHORIZATION") - self.moved("CAPTURE"))

    def paid_over_months(self) -> bool:
        """Whether a month ended with a part of the price received, before the tax point."""
        ends = {last_second_of_month(node["_second"]) for node in self.payments if node["status"] == "SUCCESS"}
        return any(self._kept(end) > 0 for end in ends if end < (self.tax_point or self.now))

    def _kept(self, second: int) -> int:
        sign = {"SALE": 1, "CAPTURE": 1, "REFUND": -1, "CHANGE": -1}
        past = [node for node in self.payments if node["status"] == "SUCCESS" and node["_second"] <= second]
        return sum(sign.get(node["kind"], 0) * node["_cents"] for node in past)

    # goods out and back ------------------------------------------------------------------------------------------

    def ship(self, lines: Sequence[tuple[Line, int]] | None = None, country: str = "DE") -> None:
        """Ship pieces of lines (default everything kept) from `country`."""
        packed = [(line, line.current) for line in self.lines if line.current and line.product.ships]
        packed = list(lines) if lines is not None else packed
        number = len(self.fulfilments) + 1
        self.fulfilments.append({
            "id": f"gid://shopify/Fulfillment/{self.new_id()}", "legacyResourceId": str(self.next_id),
            "name": f"#{self.number}-F{number}", "status": "SUCCESS", "displayStatus": "FULFILLED",
            "createdAt": iso(self.now), "updatedAt": iso(self.now), "inTransitAt": None, "deliveredAt": None,
            "totalQuantity": sum(quantity for _, quantity in packed),
            "originAddress": {"countryCode": country, "zip": "20539" if country == "DE" else "00-238"},
            "trackingInfo": [{"company": "DHL", "number": f"00340{self.id}", "url": None}],
            "fulfillmentLineItems": [
                {"id": f"gid://shopify/FulfillmentLineItem/{self.new_id()}", "quantity": quantity,
                 "lineItem": {"id": line.gid}}
                for line, quantity in packed
            ],
        })  # fmt: skip

    def refund(self, lines: Sequence[tuple[Line, int]] = (), *, shipping: int = 0, adjust: int = 0, fee: int = 0,
               gateway: str = "shopify_payments", status: str = "SUCCESS", cents: int | None = None,
               restock: str = "RETURN", kept: str = "RestockingFee", first: tuple[str, int] | None = None,
               of: Agreed | None = None) -> Agreed:  # fmt: skip
        """Refund lines, `shipping` and a free amount `adjust` (gross cents), keep `fee`; move the money.

        `first`: another gateway and what of the money goes back there. `kept` is what the fee is for, `of` the return
        whose money it is.
        """
        nodes, sales = [], []
        for line, quantity in lines:
            before = line.kept, line.kept_tax
            sales.append(self.take_back(line, quantity))
            nodes.append({
                "id": f"gid://shopify/RefundLineItem/{self.new_id()}", "quantity": quantity, "restockType": restock,
                "restocked": restock != "NO_RESTOCK", "priceSet": self.bag(line.unit),
                "subtotalSet": self.bag(before[0] - line.kept), "totalTaxSet": self.bag(before[1] - line.kept_tax),
                "location": None, "_line": line,
            })  # fmt: skip
        ship_nodes = []
        if shipping:
            carried = self.shippings[0]
            rate = carried.rates[0]
            carried.returned += shipping
            tax = contained(shipping, rate)
            item: Node = {"shippingLine": {"id": carried.gid}}
            back_sale = self.sale("SHIPPING", "RETURN", -1, -shipping, [(rate, -tax)], item=item)
            sales.append((back_sale, "SHIPPING", -shipping, {rate: -shipping}))
            ship_nodes = [{
                "id": f"gid://shopify/RefundShippingLine/{self.new_id()}", "subtotalAmountSet": self.bag(shipping),
                "taxAmountSet": self.bag(tax), "shippingLine": {"id": carried.gid, "title": carried.title,
                "taxLines": [self.tax_line(rate, tax)]},
            }]  # fmt: skip
        if adjust:
            action = "RETURN" if adjust > 0 else "UPDATE"  # kept back: a change of the price of what came back
            sales.append((self.sale("ADJUSTMENT", action, None, -adjust, []), "ADJUSTMENT", -adjust, {}))
        sales += [self.kept_fee(kept, fee)] if fee else []
        number = self.new_id()
        back = -sum(entry[2] for entry in sales) if cents is None else cents
        ways = [(gateway, back)] if first is None else [first, (gateway, back - first[1])]
        moved = [
            self.pay(way, part, kind="REFUND", status=status, parent=self.paid_by(way)) for way, part in ways if part
        ]
        self.refunds.append({
            "id": f"gid://shopify/Refund/{number}", "legacyResourceId": str(number), "createdAt": iso(self.now),
            "processedAt": iso(self.now), "updatedAt": iso(self.now), "note": None, "duties": [],
            "return": None if of is None else of.node["return"],
            "totalRefundedSet": self.bag(back if status == "SUCCESS" else 0), "refundLineItems": nodes,
            "refundShippingLines": ship_nodes, "transactions": moved,
            "orderAdjustments": [{
                "id": f"gid://shopify/OrderAdjustment/{self.new_id()}", "reason": "REFUND_DISCREPANCY",
                "amountSet": self.bag(-adjust), "taxAmountSet": self.bag(0),
            }] if adjust else [],
        })  # fmt: skip
        return self.agree("RefundAgreement", "REFUND", sales, refund={"id": f"gid://shopify/Refund/{number}"})

    def paid_by(self, gateway: str) -> Node | None:
        """The first successful charge on a gateway."""
        for node in self.payments:
            if node["gateway"] == gateway and node["status"] == "SUCCESS" and node["kind"] in ("SALE", "CAPTURE"):
                return node
        return None

    def kept_fee(self, kind: str, cents: int) -> tuple[Node, str, int, dict[int, int]]:
        """A fee that is kept of what comes back: the sale of a FEE."""
        item = {"fee": {"__typename": kind, "id": f"gid://shopify/{kind}/{self.new_id()}"}}
        return self.sale("FEE", "ORDER", 1, cents, [], item=item), "FEE", cents, {}

    def give_back(
        self, lines: Sequence[tuple[Line, int]], new: Sequence[tuple[Product, int]] = (), fee: int = 0
    ) -> Agreed:
        """A return (with new goods: an exchange) without money; `fee` is kept for its shipping."""
        sales = [self.take_back(line, quantity) for line, quantity in lines]
        sales += [self.kept_fee("ReturnShippingFee", fee)] if fee else []
        for product, quantity in new:
            line = self.add(product, quantity)
            sales.append(self.sell_line(line, quantity, line.unit * quantity))
        node = {"id": f"gid://shopify/Return/{self.new_id()}", "name": f"#{self.number}-R1", "status": "OPEN"}
        self.returns.append(node)
        return self.agree("ReturnAgreement", "RETURN", sales, **{"return": node})

    def cancel(self, reason: str = "CUSTOMER") -> None:
        """Cancel the order: what is kept stays to the ledger's refund, an unpaid order just ends."""
        self.cancelled = (self.now, reason)

    # events ------------------------------------------------------------------------------------------------------

    def emit(self, *topics: str) -> None:
        """Freeze the order as it is now."""
        self.updated = self.now
        if self.tax_point is None and self.cancelled is None:
            claim = self.claim()
            paid = not self.shipped_only and claim > 0 and self.received() - self.refunded() >= claim
            cards = {line.gid for line in self.lines if line.kind == "GIFT_CARD"}
            packed = {part["lineItem"]["id"] for node in self.fulfilments for part in node["fulfillmentLineItems"]}
            if paid or packed - cards or (self.fulfilments and not packed):
                self.tax_point = self.now
                self.first = self.by_rate()
        assert self.snapshot is not None
        self.events.append(Event(self.now, topics, self.snapshot(self)))

    def first_document(self) -> tuple[int, dict[str, int]]:
        """Gross cents and gross per rate of the document due at the tax point."""
        rates = {rate_key(rate): cents for rate, cents in sorted(self.first.items(), reverse=True) if cents}
        return sum(rates.values()), rates
