"""What stands on every account at the end of a day, counted anew from what the shop showed and the providers did.

Nothing here is taken from the product, and nothing of it is imported: an order is the dictionary Shopify's API would
give, a provider is a list of what it did. Amounts in cents. The words of bookkeeping 4.2 that are counted:

    clearing+payouts  the provider owes what was charged less what went back, less what it paid out
    clearing-simple   the same, as far as invoices were written to book it on
    feed              nothing of ours; a line the provider brought is linked to a document of its own order, or listed
    bank              nothing of ours
    liability         minus what card owners and credit holders may still spend
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
_IN, _OUT = ("SALE", "CAPTURE"), ("REFUND", "CHANGE")
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Move:
    """Money that moved: signed cents, the day in Berlin, the transaction's number and its provider's id."""

    order: str
    number: str
    gateway: str
    cents: int
    day: date
    provider: str


def cents_of(bag: Node) -> int:
    """The shop's amount of a MoneyBag."""
    return int((Decimal(str(bag["shopMoney"]["amount"])) * 100).to_integral_exact())


def day_of(text: str) -> date:
    """The Berlin day of an instant."""
    return datetime.fromisoformat(text).astimezone(BERLIN).date()


def moves_of(order: Node) -> Iterator[Move]:
    """Every transaction of an order that succeeded."""
    for node in order["transactions"]:
        sign = 1 if node["kind"] in _IN else -1 if node["kind"] in _OUT else 0
        if sign and node["status"] == "SUCCESS" and not node.get("test"):
            at = node.get("processedAt") or node["createdAt"]
            yield Move(
                order["id"].rsplit("/", 1)[-1], node["id"].rsplit("/", 1)[-1], node["gateway"],
                sign * cents_of(node["amountSet"]), day_of(at), str(node.get("paymentId") or ""),
            )  # fmt: skip


def claim_of(order: Node) -> int:
    """What the ledger claims."""
    return sum(cents_of(sale["totalAmount"]) for entry in order["agreements"] for sale in entry["sales"])


def cards_of(order: Node) -> int:
    """Cards an order sold and did not take back, in cents; none before everything it sold was paid."""
    sales = [sale for entry in order["agreements"] for sale in entry["sales"]]
    wanted = sum(max(0, cents_of(sale["totalAmount"])) for sale in sales)
    came = sum(move.cents for move in moves_of(order) if move.cents > 0)
    cards = [cents_of(sale["totalAmount"]) for sale in sales if sale["lineType"] == "GIFT_CARD"]
    return sum(cards) if came >= wanted else 0


def _amount(money: Node) -> int:
    return int((Decimal(str(money["amount"])) * 100).to_integral_exact())


def _since(text: str | None, now: datetime) -> bool:
    return text is not None and datetime.fromisoformat(text) <= now


@dataclass(frozen=True)
class Paid:
    """What Shopify Payments says at an instant, in cents: owed and reserved, on its way to the bank, and the fees it
    has taken of charges no payout that left contains yet."""

    owed: int
    under_way: int
    fees: int

    @property
    def clearing(self) -> int:
        """What the account must show: fees are booked with the payout they were taken in."""
        return self.owed + self.under_way + self.fees

    @classmethod
    def of(cls, truth: Node, now: datetime) -> Paid:
        """Counted from its balance transactions and payouts, as its API would list them."""
        entries = [one for one in truth["balance_transactions"] if not one["test"]]
        entries = [one for one in entries if _since(one["transactionDate"], now)]
        kept = sum(_amount(one["net"]) for one in entries if one["type"].startswith("RESERVED_FUNDS"))
        issued = [one for one in truth["payouts"] if _since(one["issuedAt"], now)]
        left = {int(one["legacyResourceId"]) for one in issued if one["status"] != "SCHEDULED"}
        way = [one for one in issued if not (_since(one["paidAt"], now) or _since(one["endedAt"], now))]
        fees = 0
        for one in entries:
            if one["payout"] not in left:
                own = "_FEE" in one["type"]
                fees += -_amount(one["amount"]) if own else _amount(one["fee"])
        owed = sum(_amount(one["net"]) for one in entries) - kept
        return cls(owed, sum(_amount(one["net"]) for one in way), fees)


@dataclass
class Recount:
    """The shop as it was seen so far, and what providers did beside it: `paid_out` as (gateway, cents, day)."""

    orders: dict[str, Node] = field(default_factory=dict)
    paid_out: list[tuple[str, int, date]] = field(default_factory=list)

    def saw(self, order: Node) -> None:
        """The shop shows an order like this from now on."""
        self.orders[order["id"]] = order

    def moves(self, gateway: str) -> Iterator[Move]:
        for order in self.orders.values():
            yield from (move for move in moves_of(order) if move.gateway == gateway)

    def owed(self, gateway: str, since: date = date.min, until: date = date.max) -> int:
        """What a provider owes of the days [since, until): charged, less given back, less paid out."""
        came = sum(move.cents for move in self.moves(gateway) if since <= move.day < until)
        return came - sum(cents for name, cents, day in self.paid_out if name == gateway and since <= day < until)

    def not_invoiced(self, gateway: str, invoiced: Iterable[str], since: date, until: date) -> int:
        """Of that, money of orders without an invoice: there is nothing to book it on."""
        known = set(invoiced)
        return sum(
            move.cents for move in self.moves(gateway) if since <= move.day < until and move.order not in known
        )  # fmt: skip

    def spendable(self, gateway: str) -> int:
        """What holders of cards (gift_card) or credit (shopify_store_credit) may still spend."""
        sold = sum(cards_of(order) for order in self.orders.values()) if gateway == "gift_card" else 0
        return sold - sum(move.cents for move in self.moves(gateway))
