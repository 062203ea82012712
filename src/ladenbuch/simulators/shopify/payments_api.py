"""What the Admin API answers about Shopify Payments: account, payouts, balance transactions, disputes (facts 2.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from graphql import GraphQLError

from ladenbuch.simulators.shopify.payments import (
    Dispute,
    Entry,
    Payments,
    Payout,
    dispute_node,
    entry_node,
    money_node,
    payout_node,
)
from ladenbuch.simulators.shopify.queries import compared, search_terms
from ladenbuch.simulators.shopify.schema import Info, Resolver, connection, gid_number
from ladenbuch.simulators.shopify.world import to_instant, to_text

Json = dict[str, Any]
Row = Payout | Entry | Dispute

_PAYOUT_FIELDS: dict[str, Callable[[Any], Any]] = {
    "id": lambda row: row.id,
    "issued_at": lambda row: row.issued_at,
    "status": lambda row: row.status.lower(),
}
_ENTRY_FIELDS: dict[str, Callable[[Any], Any]] = {
    "id": lambda row: row.id,
    "processed_at": lambda row: row.at,
    "payments_transfer_id": lambda row: row.payout and row.payout.id,
    "payout_status": lambda row: row.payout.status.lower() if row.payout else "pending",
    "transaction_type": lambda row: row.type.lower(),
}
_DISPUTE_FIELDS: dict[str, Callable[[Any], Any]] = {
    "id": lambda row: gid_number(row.id),
    "initiated_at": lambda row: row.at,
    "status": lambda row: row.status.lower(),
}


def _found(
    info: Info, rows: Sequence[Row], fields: Mapping[str, Callable[[Any], Any]], query: str | None
) -> Sequence[Row]:
    """The rows all terms of a search hold for; a field it does not know is ignored, with a warning."""
    for name, op, value in search_terms(query or ""):
        read = fields.get(name)
        if read is None:
            warning = {"field": name, "message": "Invalid search field for this query.", "code": "invalid_field"}
            info.context.warnings.append(warning)
            continue
        bound = _bound(name, value)
        rows = [row for row in rows if read(row) is not None and compared(read(row), op, bound)]
    return rows


def _bound(name: str, value: str) -> Any:
    if name.endswith("_at"):
        try:
            return to_instant(value if "T" in value else f"{value}T00:00:00+00:00")
        except ValueError:
            raise GraphQLError(f"Invalid timestamp for query filter `{name}`.") from None
    if name.endswith("id"):
        return gid_number(value) or 0
    return value.lower()


def _page(
    rows: Sequence[Row], at: Callable[[Any], datetime] | None, node: Callable[[Any], Json], page: Mapping[str, Any]
) -> Json:
    """A page sorted by instant (None: by id alone) and by id among equals; only what is shown is written out."""

    def key(_index: int, row: Any) -> list[Any]:
        return ["" if at is None else to_text(at(row)), gid_number(str(row.id)) or 0]

    shown = sorted(rows, key=lambda row: key(0, row))
    wanted = {k: v for k, v in page.items() if k in ("first", "last", "after", "before", "reverse")}
    found = connection(shown, key=key, **wanted)
    edges = [{**edge, "node": node(edge["node"])} for edge in found["edges"]]
    return {**found, "edges": edges, "nodes": [edge["node"] for edge in edges]}


def _account(_: Any, info: Info) -> Any:
    state, now = info.context.state, info.context.now
    payments: Payments = state.payments
    if not payments.active:
        return None
    payments.advance(now)
    return {
        "id": f"gid://shopify/ShopifyPaymentsAccount/{state.shop.shop_id}", "activated": True, "country": "DE",
        "onboardable": False, "defaultCurrency": payments.currency, "payoutSchedule": {"interval": "DAILY"},
        "balance": [money_node(payments.balance_at(now), payments.currency)], "_payments": payments,
    }  # fmt: skip


def _payouts(
    source: Any,
    info: Info,
    query: str | None = None,
    sortKey: str = "ISSUED_AT",
    transactionType: str | None = None,
    **page: Any,
) -> Any:
    payments: Payments = source["_payments"]
    rows = [item for item in payments.payouts if transactionType in (None, item.kind)]
    at = (lambda row: row.issued_at) if sortKey == "ISSUED_AT" else None
    return _page(_found(info, rows, _PAYOUT_FIELDS, query), at, lambda row: payout_node(row, payments.currency), page)


def _entries(
    source: Any,
    info: Info,
    query: str | None = None,
    sortKey: str = "PROCESSED_AT",
    hideTransfers: bool = False,
    **page: Any,
) -> Any:
    payments: Payments = source["_payments"]
    known = info.context.now - timedelta(seconds=info.context.state.index_lag)
    rows = [row for row in payments.entries if row.at <= known and not (hideTransfers and row.source == "TRANSFER")]
    at = (lambda row: row.at) if sortKey == "PROCESSED_AT" else None
    return _page(_found(info, rows, _ENTRY_FIELDS, query), at, lambda row: entry_node(row, payments.currency), page)


def _disputes(_: Any, info: Info, query: str | None = None, **page: Any) -> Any:
    payments: Payments = info.context.state.payments
    rows = list(payments.disputes.values())
    return _page(
        _found(info, rows, _DISPUTE_FIELDS, query), None, lambda row: dispute_node(row, payments.currency), page
    )


def payments_resolvers() -> dict[tuple[str, str], Resolver]:
    """The fields of Shopify Payments that are more than a look-up."""
    return {
        ("QueryRoot", "shopifyPaymentsAccount"): _account,
        ("QueryRoot", "disputes"): _disputes,
        ("ShopifyPaymentsAccount", "payouts"): _payouts,
        ("ShopifyPaymentsAccount", "balanceTransactions"): _entries,
    }
