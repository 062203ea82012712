"""Shopify Payments as the Admin API tells of it: balance, payouts, balance transactions (facts 2.6).

Searches are narrowed here once more, because what a search field means is not proved for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ladenbuch.domain.balance import Balance, Movement, Payout
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.answer import Json, Result

Execute = Callable[[str, Mapping[str, object]], Result]

#: The scope without which there is none of this.
SCOPE = "read_shopify_payments_payouts"
_ACCOUNT = "shopifyPaymentsAccount"


@dataclass(frozen=True, slots=True)
class ShopPayments:
    """One shop's account with Shopify Payments, read through `execute`.

    Every verb raises `Rejected("SHOPIFY-SCOPE")` without the scope, `Rejected("NO-PAYMENTS")` for a shop without
    Shopify Payments, `Retryable("SHOPIFY-PARTIAL")` for an answer with holes, and what `execute` raises.
    """

    execute: Execute

    def balance(self) -> Balance:
        """What Shopify says it owes now."""
        account = _account(self.execute("payouts", {"query": "id:<0", "after": None}), "payouts")
        owed = [_money(item, "balance") for item in shapes.nodes(account.get("balance"), "balance")]
        return Balance(tuple(sorted((currency, cents) for cents, currency in owed)), account.get("activated") is True)

    def payouts(self, since: datetime) -> Iterator[Payout]:
        """Payouts issued at or after an instant, oldest first."""
        query = f"issued_at:>='{_stamp(since)}'"
        for node in self._walk("payouts", "payouts", query):
            found = _payout(node)
            if found.issued_at >= since.replace(microsecond=0):
                yield found

    def movements(self, since: datetime) -> Iterator[Movement]:
        """Balance transactions processed at or after an instant, oldest first, those of test payments left out."""
        query = f"processed_at:>='{_stamp(since)}'"
        for node in self._walk("balance_transactions", "balanceTransactions", query):
            found = _movement(node)
            if not found.test and found.at >= since.replace(microsecond=0):
                yield found

    def movements_of(self, payout_id: str) -> Iterator[Movement]:
        """What was paid out with a payout, its own transfer included."""
        query = f"payments_transfer_id:{payout_id.rsplit('/', 1)[-1]}"
        for node in self._walk("balance_transactions", "balanceTransactions", query):
            found = _movement(node)
            if not found.test and found.payout_id == payout_id:
                yield found

    def _walk(self, document: str, connection: str, query: str) -> Iterator[Json]:
        after: str | None = None
        while True:
            page = _account(self.execute(document, {"query": query, "after": after}), document).get(connection)
            if not isinstance(page, dict):
                raise Retryable("SHOPIFY-PARTIAL", f"{document} came back incomplete", detail={"document": document})
            yield from shapes.nodes(page, connection)
            after = shapes.next_cursor(page)
            if after is None:
                return


def _whole(result: Result, document: str) -> Json:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", f"a scope for {document} is missing", detail={"document": document})
    if result.errors:
        raise Retryable("SHOPIFY-PARTIAL", f"{document} came back incomplete", detail={"document": document})
    return result.data


def _account(result: Result, document: str) -> Json:
    account = _whole(result, document).get(_ACCOUNT)
    if not isinstance(account, dict):
        raise Rejected("NO-PAYMENTS", "the shop has no Shopify Payments")
    return account


def _payout(node: Mapping[str, Any]) -> Payout:
    net, currency = _money(node.get("net"), "payout.net")
    if node.get("transactionType") == "WITHDRAWAL":
        net = -abs(net)  # which sign the API gives is not proved
    return Payout(
        id=shapes.text(node.get("id"), "payout.id"),
        issued_at=shapes.instant(node.get("issuedAt"), "payout.issuedAt"),
        status=shapes.text(node.get("status"), "payout.status"),
        net=net,
        currency=currency,
        trace=shapes.optional(node.get("externalTraceId")) or "",
    )


def _movement(node: Mapping[str, Any]) -> Movement:
    (amount, currency), (fee, _), (net, _) = (
        _money(node.get(name), f"balanceTransaction.{name}") for name in ("amount", "fee", "net")
    )
    order, payout = node.get("associatedOrder"), node.get("associatedPayout")
    number = node.get("sourceOrderTransactionId")
    return Movement(
        id=shapes.text(node.get("id"), "balanceTransaction.id"),
        type=shapes.text(node.get("type"), "balanceTransaction.type"),
        at=shapes.instant(node.get("transactionDate"), "balanceTransaction.transactionDate"),
        amount=amount,
        fee=fee,
        net=net,
        currency=currency,
        order_transaction=None if number in (None, "") else f"gid://shopify/OrderTransaction/{number}",
        order_id=shapes.gid(order),
        order_name=shapes.optional(shapes.part(order, "name")),
        payout_id=shapes.gid(payout),
        source_id=None if node.get("sourceId") in (None, "") else str(node["sourceId"]),
        reason=shapes.optional(node.get("adjustmentReason")) or "",
        test=node.get("test") is True,
    )


def _money(value: object, path: str) -> tuple[int, str]:
    found = shapes.mapping(value, path)
    currency = shapes.text(found.get("currencyCode"), path)
    return to_minor(shapes.text(found.get("amount"), path), currency), currency


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
