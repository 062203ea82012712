"""Order -> dated facts with ids, the proof that they are complete, and the tax point.

A fact is something that happened at an instant and stays true: a ledger agreement, money that moved, a shipment, a
cancellation, a dispute. Documents cover facts, each exactly once, cut at the tax point (R1, R2), so that the same life
of an order gives the same documents whether it is seen live, late or in one backfill.

Identities checked here (bookkeeping 2.1) are those of Shopify's own books; where they fail, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from ladenbuch.domain.order import Agreement, Dispute, Fulfilment, Order, Payment, Sale, SaleTax

_Listed = TypeVar("_Listed", Payment, Fulfilment, Dispute)

#: Transaction kinds that move money when SUCCESS: in (+1) or out (-1). The others promise, release or propose.
MONEY_KINDS = {"SALE": 1, "CAPTURE": 1, "REFUND": -1, "CHANGE": -1}
QUIET_KINDS = {"AUTHORIZATION", "EMV_AUTHORIZATION", "VOID", "SUGGESTED_REFUND"}
PAYMENT_STATUSES = {"SUCCESS", "PENDING", "FAILURE", "ERROR", "AWAITING_RESPONSE"}
AGREEMENT_REASONS = {"ORDER", "ORDER_EDIT", "REFUND", "RETURN"}
LINE_TYPES = {"PRODUCT", "SHIPPING", "TIP", "GIFT_CARD", "DUTY", "FEE", "ADDITIONAL_FEE", "ADJUSTMENT"}
ACTIONS = {"ORDER", "RETURN", "UPDATE"}
FULFILMENT_STATUSES = {"SUCCESS", "OPEN", "PENDING", "CANCELLED", "ERROR", "FAILURE"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a decision from being made: a stable code, a sentence, the facts it is about."""

    code: str
    message: str
    facts: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One dated fact. `kind`: agreement, money, fulfilment, cancellation, dispute. `amount` in minor units, signed."""

    id: str
    kind: str
    at: datetime
    amount: int = 0


@dataclass(frozen=True, slots=True)
class TaxPoint:
    """When the tax arose (UStG §13 (1) no. 1a): with the supply, or with money received before it.

    `cut` is the instant up to which the first document folds the ledger, where a grace moves it behind `at`.
    """

    at: datetime
    trigger: str  # money | fulfilment | creation
    fact_id: str
    cut: datetime | None = None

    @property
    def until(self) -> datetime:
        """The cut of the ledger, aware UTC."""
        return self.at if self.cut is None else self.cut


@dataclass(frozen=True, slots=True)
class Facts:
    """The order as dated facts.

    `claim` is the fold of the whole ledger, `money` what was kept (all gateways), both in minor units.
    `problems` are failures of Shopify's own identities and values we do not know: no document may follow from them.
    `unclear` are facts after the tax point that nobody can say what they are for, each with the reason: what follows
    them waits for a person.
    """

    order: Order
    agreements: tuple[Agreement, ...]
    items: tuple[Fact, ...]
    claim: int
    money: int
    tax_point: TaxPoint | None
    problems: tuple[Problem, ...]
    unclear: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """False when parts of the order could not be read: come back later, decide nothing (R19)."""
        return not self.order.gaps

    @property
    def first_supply(self) -> TaxPoint | None:
        """The first shipment as tax point: for supplies whose exemption hangs on it (bookkeeping 3.1)."""
        shipped = next((item for item in self.items if item.kind == "fulfilment"), None)
        return None if shipped is None else TaxPoint(shipped.at, "fulfilment", shipped.id)

    def agreements_until(self, instant: datetime) -> tuple[Agreement, ...]:
        """The ledger cut at an instant: what the first document folds (R2)."""
        return tuple(agreement for agreement in self.agreements if agreement.happened_at <= instant)


def moved(payment: Payment) -> int:
    """Signed money of a transaction: positive came in, negative went out, 0 did not move. Minor units.

    Test transactions move nothing, and a negative amount says nothing we could rely on: both are asked about.
    """
    if payment.status != "SUCCESS" or payment.test:
        return 0
    return MONEY_KINDS.get(payment.kind, 0) * max(payment.amount, 0)


def moved_at(payment: Payment) -> datetime | None:
    """The instant the money moved, as Shopify dates it."""
    return payment.processed_at or payment.created_at


def facts_of(order: Order) -> Facts:
    """Normalise an order into dated facts, check the ledger's identities, find the tax point. Never raises."""
    order, doubled = _once(order)
    agreements, problems = _ledger(order)
    problems += doubled
    problems += _unknown_values(order, agreements)
    problems += _identities(order, agreements)
    items: list[Fact] = [
        Fact(agreement.id, "agreement", agreement.happened_at, sum(sale.total for sale in agreement.sales))
        for agreement in agreements
    ]
    for payment in order.payments:
        at = moved_at(payment)
        if moved(payment) and at is not None:
            items.append(Fact(payment.id, "money", at, moved(payment)))
        elif moved(payment):
            problems.append(Problem("LEDGER", "money moved at an unknown time", (payment.id,)))
    items += [
        Fact(shipment.id, "fulfilment", shipment.created_at)
        for shipment in order.fulfilments
        if shipment.status == "SUCCESS"
    ]
    if order.cancelled_at is not None:
        items.append(Fact(f"{order.id}#cancelled", "cancellation", order.cancelled_at))
    items += [Fact(dispute.id, "dispute", order.updated_at) for dispute in order.disputes]
    items.sort(key=lambda fact: (fact.at, fact.kind, fact.id))
    return Facts(
        order=order,
        agreements=agreements,
        items=tuple(items),
        claim=sum(fact.amount for fact in items if fact.kind == "agreement"),
        money=sum(fact.amount for fact in items if fact.kind == "money"),
        tax_point=point_of(items),
        problems=tuple(problems),
    )


def point_of(items: Sequence[Fact]) -> TaxPoint | None:
    """The earlier of money complete and first fulfilment (bookkeeping 3.1); a tie goes to the fulfilment."""
    paid = money_complete(items)
    shipped = next((item for item in items if item.kind == "fulfilment"), None)
    if shipped is not None and (paid is None or shipped.at <= paid.at):
        return TaxPoint(shipped.at, "fulfilment", shipped.id)
    return paid


def money_complete(items: Sequence[Fact]) -> TaxPoint | None:
    """The first instant where what was kept covers what was owed at that instant, None while there is none.

    A payment can complete it, and so can an edit that lowers the claim. Facts of one instant are taken together;
    `items` are in order of time.
    """
    claim = money = 0
    for index, fact in enumerate(items):
        if fact.kind == "agreement":
            claim += fact.amount
        elif fact.kind == "money":
            money += fact.amount
        if index + 1 < len(items) and items[index + 1].at == fact.at:
            continue
        now = [item for item in items if item.at == fact.at]
        if claim > 0 and money >= claim and any(item.kind in ("agreement", "money") for item in now):
            last = next((item for item in reversed(now) if item.kind == "money"), fact)
            return TaxPoint(fact.at, "money", last.id)
    return None


def _once(order: Order) -> tuple[Order, list[Problem]]:
    """Each transaction, shipment and dispute once: what an answer lists twice has happened once, and is asked about."""
    found: list[Problem] = []

    def distinct(items: Sequence[_Listed], what: str) -> tuple[_Listed, ...]:
        kept: dict[str, _Listed] = {}
        for item in items:
            number = item.id.rpartition("/")[2]  # keys are made of it
            if number in kept:
                choices = ("read the order again later", "exclude")
                found.append(Problem("LEDGER", f"one {what} is listed twice", (item.id,), choices))
            kept.setdefault(number, item)
        return tuple(kept.values())

    payments = distinct(order.payments, "transaction")
    fulfilments = distinct(order.fulfilments, "shipment")
    disputes = distinct(order.disputes, "dispute")
    if not found:
        return order, []
    return replace(order, payments=payments, fulfilments=fulfilments, disputes=disputes), found


def _ledger(order: Order) -> tuple[tuple[Agreement, ...], list[Problem]]:
    """The agreements in order of time; where Shopify has none, the lines of an order that was never touched (2.1)."""
    if order.agreements:
        return tuple(sorted(order.agreements, key=lambda item: (item.happened_at, item.id))), []
    touched = order.edited or order.refunds or (order.return_status or "NO_RETURN") != "NO_RETURN"
    sales = () if touched else _sales_from_lines(order)
    if not sales or sum(sale.total for sale in sales) != order.original_total:
        if order.original_total == 0 and not touched:
            return (), []
        choices = ("read the order again later", "exclude the order")
        return (), [
            Problem("LEDGER", "the order has no sales ledger and its lines do not prove it", (order.id,), choices)
        ]
    stand_in = Agreement(f"{order.id}#lines", "OrderAgreement", "ORDER", order.processed_at, sales)
    return (stand_in,), []


def _sales_from_lines(order: Order) -> tuple[Sale, ...]:
    sales: list[Sale] = []
    lines: list[tuple[str, str, str, int, int, tuple[SaleTax, ...], int]] = []
    for line in order.lines:
        paid = line.original_total - sum(part.amount for part in line.allocations)
        taxes = tuple(SaleTax(tax.amount, tax.rate, tax.title, tax.channel_liable) for tax in line.tax_lines)
        kind = "GIFT_CARD" if line.is_gift_card else "PRODUCT"
        lines.append((line.id, kind, line.title, line.quantity, paid, taxes, sum(tax.amount for tax in line.tax_lines)))
    for shipping in order.shipping_lines:
        taxes = tuple(SaleTax(tax.amount, tax.rate, tax.title, tax.channel_liable) for tax in shipping.tax_lines)
        tax = sum(item.amount for item in shipping.tax_lines)
        lines.append((shipping.id or "shipping", "SHIPPING", shipping.title, 1, shipping.discounted_price, taxes, tax))
    for item_id, kind, name, quantity, paid, taxes, tax in lines:
        total = paid if order.taxes_included else paid + tax
        sales.append(
            Sale(f"{item_id}#sale", kind, "ORDER", total, tax, quantity, taxes, item_id=item_id, item_name=name)
        )
    return tuple(sales)


def _unknown_values(order: Order, agreements: tuple[Agreement, ...]) -> list[Problem]:
    """Values Shopify may add one day: asked about, never assumed (bookkeeping 2.4)."""
    found: list[Problem] = []

    def ask(what: str, value: str, fact: str) -> None:
        found.append(Problem("ENUM", f"unknown {what} {value[:40]!r}", (fact,), ("update the connector", "exclude")))

    for agreement in agreements:
        if agreement.reason not in AGREEMENT_REASONS:
            ask("agreement reason", agreement.reason, agreement.id)
        for sale in agreement.sales:
            if sale.line_type not in LINE_TYPES:
                ask("sale line type", sale.line_type, sale.id)
            if sale.action not in ACTIONS:
                ask("sale action", sale.action, sale.id)
    for payment in order.payments:
        if payment.status not in PAYMENT_STATUSES:
            ask("transaction status", payment.status, payment.id)
        elif payment.kind not in MONEY_KINDS and payment.kind not in QUIET_KINDS:
            ask("transaction kind", payment.kind, payment.id)
        elif payment.amount < 0:
            found.append(Problem("LEDGER", "a transaction with a negative amount", (payment.id,)))
        elif payment.test and payment.status == "SUCCESS" and payment.kind in MONEY_KINDS and not order.test:
            message = "a test transaction on a real order"
            found.append(Problem("TEST-PAYMENT", message, (payment.id,), ("exclude the order",)))
    for shipment in order.fulfilments:
        if shipment.status not in FULFILMENT_STATUSES:
            ask("fulfilment status", shipment.status, shipment.id)
    return found


def _identities(order: Order, agreements: tuple[Agreement, ...]) -> list[Problem]:
    """Shopify's own sums (bookkeeping 2.1 a, b, d) and the sign convention of returns."""
    found: list[Problem] = []
    if not agreements:
        return found

    def refuse(message: str, *facts: str) -> None:
        found.append(Problem("LEDGER", message, facts or (order.id,), ("read the order again later", "exclude")))

    if len({agreement.id for agreement in agreements}) != len(agreements):
        refuse("one agreement appears twice")
    sale_ids = [sale.id for agreement in agreements for sale in agreement.sales]
    if len(set(sale_ids)) != len(sale_ids):
        refuse("one sale appears twice")
    ordered = sum(sale.total for item in agreements if item.reason == "ORDER" for sale in item.sales)
    if ordered != order.original_total:
        refuse(f"the first agreement says {ordered}, the order says {order.original_total}")
    everything = sum(sale.total for item in agreements for sale in item.sales)
    adjustments = sum(sale.total for item in agreements for sale in item.sales if sale.line_type == "ADJUSTMENT")
    if order.current_total not in (everything, everything - adjustments):
        refuse(f"the ledger says {everything}, the order says {order.current_total}")
    for agreement in agreements:
        for sale in agreement.sales:
            goods = sale.line_type not in ("ADJUSTMENT", "FEE")  # those say the direction by their sign (F2)
            if goods and sale.action == "RETURN" and (sale.total > 0 or (sale.quantity or 0) > 0):
                refuse("a return with a positive amount", sale.id)
            if sale.taxes and sum(tax.amount for tax in sale.taxes) != sale.tax:
                refuse("the taxes of a sale do not add up", sale.id)
    if not order.edited:
        found += _line_identity(order, agreements)
    return found


def _line_identity(order: Order, agreements: tuple[Agreement, ...]) -> list[Problem]:
    """Per line: the ORDER sale equals original total less all allocations, plus tax where prices are net (2.1 d)."""
    sold: dict[str, int] = {}
    for agreement in agreements:
        for sale in agreement.sales:
            if agreement.reason == "ORDER" and sale.line_type == "PRODUCT" and sale.item_id:
                sold[sale.item_id] = sold.get(sale.item_id, 0) + sale.total
    found: list[Problem] = []
    for line in order.lines:
        if line.id not in sold:
            continue
        expected = line.original_total - sum(part.amount for part in line.allocations)
        if not order.taxes_included:
            expected += sum(tax.amount for tax in line.tax_lines)
        if sold[line.id] != expected:
            message = f"the ledger sold a line for {sold[line.id]}, the line says {expected}"
            found.append(Problem("LEDGER", message, (line.id,), ("read the order again later", "exclude")))
    return found
