"""Shopify Payments of one shop: a balance that follows from the transactions of its orders, and what is paid out of it.

    a transaction succeeds ─ CHARGE, REFUND ─┐
    a dispute opens, is won, is lost         ├─ balance transactions ─ a payout each weekday ─ the merchant's bank
    reserve, adjustments, fees of disputes  ─┘        (net of fees)     SCHEDULED, IN_TRANSIT, PAID | FAILED | CANCELED

A payout takes all that may be paid out by then and has one TRANSFER against it, so that all entries together are what
Shopify still owes. A payout that fails comes back to the balance (TRANSFER_FAILURE) and goes out with the next one. A
balance below zero is drawn from the merchant's bank (WITHDRAWAL, net below zero). Amounts in cents. Written from the
Admin API's reference (facts 2.6) and knowing nothing of the connector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

GATEWAY = "shopify_payments"
_CHARGES = ("SALE", "CAPTURE")
#: Types that a payout's summary shows as charges, refunds and so on; what is left are adjustments.
_CLASSES = {
    "CHARGE": "charges",
    "REFUND": "refunds",
    "REFUND_FAILURE": "refunds",
    "RESERVED_FUNDS": "reservedFunds",
    "RESERVED_FUNDS_REVERSAL": "reservedFunds",
    "TRANSFER_FAILURE": "retriedPayouts",
    "TRANSFER_CANCEL": "retriedPayouts",
}


@dataclass(frozen=True)
class Terms:
    """How a shop is paid out. Charges wait `pending` before they can be; payouts leave on weekdays at `hour` UTC.

    `reserve_percent` of the charges of a payout is kept back for `reserve_days`. The fee of a dispute is an entry of
    its own, or stands in the `fee` of the withdrawal (`fee_in_dispute`): both have been seen.
    """

    pending: timedelta = timedelta(days=2)
    hour: int = 6
    transit: timedelta = timedelta(hours=30)
    reserve_percent: int = 0
    reserve_days: int = 30
    dispute_fee: int = 1500
    fee_in_dispute: bool = False


@dataclass
class Entry:
    """A balance transaction. `amount` and `fee` in cents; the balance moves by `net`."""

    id: int
    at: datetime
    type: str
    source: str
    amount: int
    fee: int = 0
    source_id: int | None = None
    order_transaction: int | None = None
    order: tuple[str, str] | None = None  # gid and name
    reason: str | None = None
    test: bool = False
    payout: Payout | None = None

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass
class Payout:
    """A transfer to the merchant's bank, or from it (`net` below zero). `fate`: paid, failed, canceled or bounced."""

    id: int
    issued_at: datetime
    net: int
    status: str = "SCHEDULED"
    fate: str = "paid"
    trace: str | None = None
    paid_at: datetime | None = None
    ended_at: datetime | None = None  # when it failed, bounced or was cancelled
    sums: dict[str, int] = field(default_factory=dict)  # its summary, by the names of the API

    @property
    def kind(self) -> str:
        return "DEPOSIT" if self.net > 0 else "WITHDRAWAL"

    def under_way(self, at: datetime) -> bool:
        """Whether the money had left the balance and had not reached the bank at an instant."""
        over = min((moment for moment in (self.paid_at, self.ended_at) if moment is not None), default=None)
        return self.issued_at <= at and (over is None or over > at)


@dataclass
class Dispute:
    """A dispute as Shopify Payments tells of it."""

    id: str
    type: str
    status: str
    amount: int
    at: datetime
    order: tuple[str, str]
    charge: int
    final: datetime | None = None
    withdrawn: bool = False


@dataclass
class Payments:
    """The account of one shop. `active` False: the shop has no Shopify Payments.

    `saw` is told of every change of an order, `advance` lets the schedule go on; both want instants that never go back.
    """

    currency: str = "EUR"
    terms: Terms = field(default_factory=Terms)
    active: bool = True
    entries: list[Entry] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    fates: list[str] = field(default_factory=list)  # of the payouts to come, in order; then all are paid
    _seen: dict[str, str] = field(default_factory=dict)  # transaction -> status
    _free: list[Entry] = field(default_factory=list)  # in no payout yet
    _open: list[Payout] = field(default_factory=list)  # whose fate is not sealed yet
    _releases: list[tuple[datetime, int]] = field(default_factory=list)
    _until: datetime | None = None

    # -- what happens

    def saw(self, before: Mapping[str, Any] | None, after: Mapping[str, Any], at: datetime) -> None:
        """An order looks like `after` from `at` on."""
        self.advance(at)
        order = (str(after["id"]), str(after.get("name") or ""))
        for node in after.get("transactions") or []:
            self._transaction(node, order, at)
        for node in after.get("disputes") or []:
            self._dispute(node, after, order, at)

    def _transaction(self, node: Mapping[str, Any], order: tuple[str, str], at: datetime) -> None:
        if node.get("gateway") != GATEWAY or self._seen.get(node["id"]) == node["status"]:
            return
        was, self._seen[node["id"]] = self._seen.get(node["id"]), node["status"]
        number, kind = int(node["id"].rsplit("/", 1)[-1]), node["kind"]
        cents, test = _cents(node["amountSet"]["shopMoney"]["amount"]), bool(node.get("test"))
        more: dict[str, Any] = {"order_transaction": number, "source_id": number, "order": order, "test": test}
        moment = _instant(node.get("processedAt") or node.get("createdAt") or at)
        if node["status"] == "SUCCESS" and kind in _CHARGES:
            fee = sum(_cents(item["amount"]["amount"]) for item in node.get("fees") or [])
            self._enter(moment, "CHARGE", "CHARGE", cents, fee, **more)
        elif node["status"] == "SUCCESS" and kind == "REFUND":
            self._enter(moment, "REFUND", "REFUND", -cents, **more)
        elif was == "SUCCESS" and kind == "REFUND" and node["status"] in ("FAILURE", "ERROR"):
            self._enter(at, "REFUND_FAILURE", "REFUND", cents, **more)

    def _dispute(self, node: Mapping[str, Any], after: Mapping[str, Any], order: tuple[str, str], at: datetime) -> None:
        known = self.disputes.get(node["id"])
        if known is None:
            charge = next((e for e in self.entries if e.type == "CHARGE" and e.order and e.order[0] == order[0]), None)
            if charge is None:
                return
            amount = int(node.get("_cents") or charge.amount)
            assert charge.order_transaction is not None
            known = Dispute(node["id"], node["initiatedAs"], "", amount, at, order, charge.order_transaction)
            self.disputes[known.id] = known
        if (known.type, known.status) == (node["initiatedAs"], node["status"]):
            return
        known.type, known.status = node["initiatedAs"], node["status"]
        number = int(known.id.rsplit("/", 1)[-1])
        more: dict[str, Any] = {"source_id": number, "order": order, "order_transaction": known.charge}
        if known.type == "CHARGEBACK" and not known.withdrawn and known.status != "PREVENTED":
            known.withdrawn = True
            inside = self.terms.dispute_fee if self.terms.fee_in_dispute else 0
            self._enter(at, "DISPUTE_WITHDRAWAL", "DISPUTE", -known.amount, inside, **more)
            if not inside and self.terms.dispute_fee:
                self._enter(at, "CHARGEBACK_FEE", "DISPUTE", -self.terms.dispute_fee, **more)
        if known.status in ("WON", "LOST", "ACCEPTED", "PREVENTED"):
            known.final = at
        if known.status == "WON" and known.withdrawn:
            inside = self.terms.dispute_fee if self.terms.fee_in_dispute else 0
            self._enter(at, "DISPUTE_REVERSAL", "DISPUTE", known.amount, -inside, **more)
            if not inside and self.terms.dispute_fee:
                self._enter(at, "CHARGEBACK_FEE_REFUND", "DISPUTE", self.terms.dispute_fee, **more)

    def adjust(self, at: datetime, cents: int, *, type: str = "ADJUSTMENT", fee: int = 0, reason: str = "") -> Entry:
        """Shopify books something of its own: a fee, a credit, a bill it takes from the balance."""
        self.advance(at)
        source = "SYSTEM_ADJUSTMENT" if type != "ADJUSTMENT" else "ADJUSTMENT"
        return self._enter(at, type, source, cents, fee, reason=reason or None)

    def _enter(self, at: datetime, type: str, source: str, amount: int, fee: int = 0, **more: Any) -> Entry:
        entry = Entry(71_000_000_000 + len(self.entries) + 1, at, type, source, amount, fee, **more)
        self.entries.append(entry)
        if not entry.test:
            self._free.append(entry)
        return entry

    # -- the schedule

    def advance(self, now: datetime) -> None:
        """Let every payout up to `now` be issued, arrive or fail."""
        if self._until is None:
            self._until = now
        for moment in list(self._moments(self._until, now)):
            self._release(moment)
            self._progress(moment)
            if moment.hour == self.terms.hour and moment.weekday() < 5:
                self._issue(moment)
        self._until = max(self._until, now)
        self._progress(now)

    def _moments(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The hours of payouts in (start, end]."""
        day = start.astimezone(UTC).date()
        while (moment := datetime.combine(day, time(self.terms.hour), UTC)) <= end:
            if moment > start:
                yield moment
            day += timedelta(days=1)

    def _issue(self, moment: datetime) -> None:
        ready = [entry for entry in self._free if self._is_ready(entry, moment)]
        kept = sum(e.amount for e in ready if e.type == "CHARGE") * self.terms.reserve_percent // 100
        net = sum(entry.net for entry in ready) - kept
        if net == 0 or (net < 0 and self.balance_at(moment) >= 0):
            return
        number = 51_000_000_000 + len(self.payouts) + 1
        payout = Payout(number, moment, net, fate=self.fates.pop(0) if self.fates else "paid")
        payout.trace = f"TRACE{number % 10**9:09d}"
        self.payouts.append(payout)
        self._open.append(payout)
        if kept > 0:
            ready.append(self._enter(moment, "RESERVED_FUNDS", "ADJUSTMENT", -kept))
            self._releases.append((moment + timedelta(days=self.terms.reserve_days), kept))
        ready.append(self._enter(moment, "TRANSFER", "TRANSFER", -net, source_id=number))
        for entry in ready:
            entry.payout = payout
            if entry.type != "TRANSFER":
                _count(payout.sums, entry)
        self._free = [entry for entry in self._free if entry.payout is None]

    def _is_ready(self, entry: Entry, moment: datetime) -> bool:
        return entry.at <= moment - (self.terms.pending if entry.type == "CHARGE" else timedelta(0))

    def _release(self, moment: datetime) -> None:
        for due, cents in [item for item in self._releases if item[0] <= moment]:
            self._releases.remove((due, cents))
            self._enter(due, "RESERVED_FUNDS_REVERSAL", "ADJUSTMENT", cents)

    def _progress(self, now: datetime) -> None:
        for payout in list(self._open):
            arrives = _arrival(payout.issued_at, self.terms.transit)
            if payout.status == "SCHEDULED" and now >= payout.issued_at + timedelta(hours=6):
                payout.status = "IN_TRANSIT"
            if payout.status != "PAID" and payout.fate in ("failed", "canceled") and now >= arrives:
                self._comes_back(payout, arrives)
            elif payout.status != "PAID" and payout.fate in ("paid", "bounced") and now >= arrives:
                payout.status, payout.paid_at = "PAID", arrives
                if payout.fate == "paid":
                    self._open.remove(payout)
            if payout.fate == "bounced" and now >= arrives + timedelta(days=2):
                self._comes_back(payout, arrives + timedelta(days=2))

    def _comes_back(self, payout: Payout, at: datetime) -> None:
        self._open.remove(payout)
        canceled = payout.fate == "canceled"
        payout.status, payout.ended_at = "CANCELED" if canceled else "FAILED", at
        type = "TRANSFER_CANCEL" if canceled else "TRANSFER_FAILURE"
        self._enter(at, type, "TRANSFER", payout.net, source_id=payout.id)

    # -- the truth, as an auditor asks for it

    def balance_at(self, at: datetime) -> int:
        """What Shopify owes at an instant beyond what is on its way to the bank, in cents; without the reserve."""
        return sum(entry.net for entry in self.entries if entry.at <= at and not entry.test)

    def reserved_at(self, at: datetime) -> int:
        """What Shopify keeps as reserve at an instant, in cents."""
        held = ("RESERVED_FUNDS", "RESERVED_FUNDS_REVERSAL")
        return -sum(entry.net for entry in self.entries if entry.at <= at and entry.type in held)

    def in_transit_at(self, at: datetime) -> int:
        """What is on its way to the bank (or from it, below zero) at an instant, in cents."""
        return sum(payout.net for payout in self.payouts if payout.under_way(at))

    def bank_lines(self) -> list[tuple[date, int, str]]:
        """What the merchant's bank shows: day, cents and purpose."""
        lines = []
        for payout in self.payouts:
            if payout.paid_at is not None:
                lines.append((payout.paid_at.date(), payout.net, f"SHOPIFY {payout.trace}"))
                if payout.ended_at is not None:
                    lines.append((payout.ended_at.date(), -payout.net, f"RUECKBUCHUNG SHOPIFY {payout.trace}"))
        return sorted(lines)

    def truth(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "balance_transactions": [{**entry_node(e, self.currency), "payout": e.payout and e.payout.id}
                                     for e in self.entries],
            "payouts": [{**payout_node(p, self.currency), "paidAt": p.paid_at and _text(p.paid_at),
                         "endedAt": p.ended_at and _text(p.ended_at)} for p in self.payouts],
            "bank": [[day.isoformat(), cents, purpose] for day, cents, purpose in self.bank_lines()],
        }  # fmt: skip

    def set_terms(self, **terms: Any) -> None:
        """Other terms from now on; `pending` and `transit` in hours. TypeError for a name that is none."""
        given: dict[str, Any] = {k: timedelta(hours=v) if k in ("pending", "transit") else v for k, v in terms.items()}
        self.terms = replace(self.terms, **given)


def _arrival(issued: datetime, transit: timedelta) -> datetime:
    """When a bank has it: banks do nothing at weekends."""
    arrives = issued + transit
    while arrives.weekday() >= 5:
        arrives += timedelta(days=1)
    return arrives


# -- as the Admin API writes it


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value)).astimezone(UTC)


def _cents(amount: object) -> int:
    return int((Decimal(str(amount)) * 100).to_integral_exact())


def money_node(cents: int, currency: str) -> dict[str, str]:
    """MoneyV2."""
    return {"amount": str(Decimal(cents).scaleb(-2)), "currencyCode": currency}


def entry_node(entry: Entry, currency: str) -> dict[str, Any]:
    """ShopifyPaymentsBalanceTransaction."""
    payout = entry.payout
    return {
        "id": f"gid://shopify/ShopifyPaymentsBalanceTransaction/{entry.id}",
        "type": entry.type, "test": entry.test, "transactionDate": _text(entry.at), "sourceType": entry.source,
        "sourceId": None if entry.source_id is None else str(entry.source_id),
        "sourceOrderTransactionId": None if entry.order_transaction is None else str(entry.order_transaction),
        "adjustmentReason": entry.reason, "amount": money_node(entry.amount, currency),
        "fee": money_node(entry.fee, currency), "net": money_node(entry.net, currency),
        "associatedOrder": None if entry.order is None else {"id": entry.order[0], "name": entry.order[1]},
        "associatedPayout": {
            "id": None if payout is None else f"gid://shopify/ShopifyPaymentsPayout/{payout.id}",
            "status": "PENDING" if payout is None else payout.status,
        },
    }  # fmt: skip


def _count(sums: dict[str, int], entry: Entry) -> None:
    name = _CLASSES.get(entry.type, "adjustments")
    gross = "refundsFeeGross" if name == "refunds" else f"{name}Gross"
    sums[gross] = sums.get(gross, 0) + entry.amount
    sums[f"{name}Fee"] = sums.get(f"{name}Fee", 0) + entry.fee


def payout_node(payout: Payout, currency: str) -> dict[str, Any]:
    """ShopifyPaymentsPayout with its summary."""
    gid = f"gid://shopify/ShopifyPaymentsPayout/{payout.id}"
    net = money_node(payout.net, currency)
    return {
        "id": gid, "legacyResourceId": str(payout.id), "issuedAt": _text(payout.issued_at), "status": payout.status,
        "transactionType": payout.kind, "externalTraceId": payout.trace, "net": net, "gross": net,
        "summary": {name: money_node(cents, currency) for name, cents in payout.sums.items()},
    }  # fmt: skip


def dispute_node(dispute: Dispute, currency: str) -> dict[str, Any]:
    """ShopifyPaymentsDispute."""
    return {
        "id": dispute.id, "legacyResourceId": dispute.id.rsplit("/", 1)[-1], "type": dispute.type,
        "status": dispute.status, "initiatedAt": _text(dispute.at),
        "evidenceDueBy": _text(dispute.at + timedelta(days=10)),
        "finalizedOn": None if dispute.final is None else _text(dispute.final),
        "amount": money_node(dispute.amount, currency),
        "reasonDetails": {"reason": "FRAUDULENT", "networkReasonCode": "4837"},
        "order": {"id": dispute.order[0], "name": dispute.order[1]},
    }  # fmt: skip
