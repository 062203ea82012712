"""The first document an order owes, worked out from its snapshot alone (R2).

Deliberately a second, separate reading of the rules: the auditor must not share an error with the product or with the
generator of lives. Money in integer cents, rates in percent as text ("19", "25.5"), instants aware UTC, days in Berlin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ladenbuch.simulators.owed.reading import DIRECTION, Node, berlin_day, cents, instant, split, taxes_of


@dataclass(frozen=True)
class OwedPayment:
    """A charge that belongs on a clearing account; `at` is when the money moved."""

    transaction: str
    cents: int
    day: date
    at: datetime


@dataclass
class Owed:
    """The first document of an order and the money that belongs to it; `tax_point` None: nothing is owed yet."""

    order: str
    name: str
    outcome: str  # documented | waiting | excluded
    reason: str | None = None
    tax_point: datetime | None = None
    by_rate: dict[str, int] = field(default_factory=dict)
    tax_by_rate: dict[str, int] = field(default_factory=dict)
    roundings: dict[str, int] = field(default_factory=dict)
    payments: list[OwedPayment] = field(default_factory=list)
    delivery_days: set[date] = field(default_factory=set)
    email: str | None = None

    @property
    def gross(self) -> int:
        return sum(self.by_rate.values())


def owed_by(snapshot: Node, clearing: Collection[str]) -> Owed:
    """Work out the first document, its payments on the `clearing` gateways, its days and its reader."""
    owed = Owed(str(snapshot["id"]).rsplit("/", 1)[-1], str(snapshot["name"]), "waiting")
    ledger = [(instant(a["happenedAt"]), a) for a in snapshot.get("agreements") or []]
    money = [
        (instant(p["processedAt"]), DIRECTION[p["kind"]] * cents(p["amountSet"]), p)
        for p in snapshot.get("transactions") or []
        if p["status"] == "SUCCESS" and p["kind"] in DIRECTION
    ]
    shipments = [instant(f["createdAt"]) for f in snapshot.get("fulfillments") or [] if f["status"] == "SUCCESS"]
    owed.tax_point = _tax_point(ledger, [(at, amount) for at, amount, _ in money], shipments)
    owed.reason = exclusion(snapshot, owed.tax_point, any(amount for _, amount, _ in money), ledger)
    if owed.reason is not None:
        owed.outcome = "excluded"
        return owed
    for at, amount, payment in money:
        if payment["gateway"] in clearing and amount > 0:
            number = str(payment["id"]).rsplit("/", 1)[-1]
            owed.payments.append(OwedPayment(number, amount, berlin_day(at), at))
    if owed.tax_point is None:
        return owed
    owed.outcome = "documented"
    owed.email = snapshot.get("email")
    owed.delivery_days = {berlin_day(owed.tax_point), *(berlin_day(at) for at in shipments)}
    _fold(owed, [agreement for at, agreement in ledger if at <= owed.tax_point])
    return owed


def _tax_point(
    ledger: list[tuple[datetime, Any]], money: list[tuple[datetime, int]], shipments: list[datetime]
) -> datetime | None:
    """The earlier of the first shipment and the first instant at which the money kept covers the claim of then."""
    moments = sorted({at for at, _ in ledger} | {at for at, _ in money})
    for moment in moments:
        claim = sum(cents(s["totalAmount"]) for at, a in ledger if at <= moment for s in a["sales"])
        kept = sum(amount for at, amount in money if at <= moment)
        if 0 < claim <= kept:
            return min([moment, *shipments])
    return min(shipments) if shipments else None


def exclusion(snapshot: Node, tax_point: datetime | None, paid: bool, ledger: list[tuple[datetime, Any]]) -> str | None:
    if snapshot.get("test"):
        return "TEST"
    if snapshot.get("sourceName") == "pos":
        return "POS"
    if not paid and not any(cents(s["totalAmount"]) for _, a in ledger for s in a["sales"]):
        return "ZERO"
    cancelled = snapshot.get("cancelledAt")
    before = cancelled is not None and (tax_point is None or instant(cancelled) <= tax_point)
    lapsed = tax_point is None and snapshot.get("displayFinancialStatus") in ("VOIDED", "EXPIRED")
    return "CANCELLED-BEFORE" if (before or lapsed) and not paid else None


def _fold(owed: Owed, agreements: list[Node]) -> None:
    """Gross, shop tax and number of roundings per rate of everything sold in these agreements."""
    gross: dict[str, int] = defaultdict(int)
    goods: dict[str, int] = defaultdict(int)
    tax: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    several: list[tuple[int, dict[str, int]]] = []
    for sale in (sale for agreement in agreements for sale in agreement["sales"]):
        total = cents(sale["totalAmount"])
        taxes = taxes_of(sale)
        for rate, amount in taxes.items():
            tax[rate] += amount
            count[rate] += 1
        if len(taxes) > 1:
            several.append((total, taxes))
            continue
        rate = next(iter(taxes), "0")
        gross[rate] += total
        if sale["lineType"] == "PRODUCT":
            goods[rate] += total
    for total, taxes in several:
        for rate, part in split(total, taxes, goods).items():
            gross[rate] += part
    owed.by_rate = {rate: amount for rate, amount in gross.items() if amount}
    owed.tax_by_rate, owed.roundings = dict(tax), dict(count)
