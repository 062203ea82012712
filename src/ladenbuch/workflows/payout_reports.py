"""A provider's settlement report, taken over: its movements beside the orders' own lines, then as Shopify's (B14)."""

from __future__ import annotations

from dataclasses import replace

from ladenbuch import audit, books, payouts
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.balance import OF_ORDERS, Movement
from ladenbuch.domain.books import transaction_of
from ladenbuch.domain.clearing import BookLine
from ladenbuch.domain.payouts import is_whole
from ladenbuch.domain.reports import Report
from ladenbuch.errors import Rejected
from ladenbuch.workflows import payout_facts as facts
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.payouts import terms_kept


def take_over(ctx: Context, tenant: str, gateway: str, report: Report) -> int:
    """Keep what a report says; how many of its charges and refunds found the line of their order. Safe to repeat.

    Raises `Rejected("PAYOUTS-OFF")` where the profile keeps no payouts of the gateway, `Rejected("REPORT")` for one
    that was taken over with another day: its lines would count as others.
    """
    terms, now = terms_kept(ctx, tenant, gateway), ctx.clock()
    payout = report.payout.payout

    def write(tx: Transaction) -> int:
        payouts.plan(tx, tenant, gateway, now)
        for before in payouts.known_payouts(tx, tenant, gateway):
            if before.id == payout.id and before.paid_on != report.payout.paid_on:
                said = f"payout {payout.number} was taken over as of {before.paid_on}"
                raise Rejected("REPORT", said)
        open_ones, ids = facts.known(tx, tenant, terms), [item.id for item in report.movements]
        seen = [
            item
            for start in range(0, len(ids), 400)
            for item in payouts.known_movements(tx, tenant, gateway, ids=ids[start : start + 400])
        ]
        known = {item.id: item for item in seen}
        taken = {item.order_transaction for item in (*open_ones.movements, *seen)}
        lines = [line for some in open_ones.lines.values() for line in some if line.kind == "order"]
        standing = [line for line in lines if transaction_of(line.about) not in taken]
        names = _orders(tx, tenant, report)
        found = [known.get(item.id) or _beside(item, standing, names) for item in report.movements]
        payouts.see_movements(tx, tenant, gateway, found)
        payouts.see_payout(tx, tenant, gateway, report.payout, is_whole(payout, report.movements))
        said = f"The report on payout {payout.number} of {gateway} was taken over: {len(found) - 1} lines."
        if any(item.id not in known for item in report.movements):
            audit.append(
                tx, tenant, now, actor="operator", event="payout.report", subject=f"payouts:{gateway}", sentence=said
            )
        return sum(item.type in OF_ORDERS and item.order_transaction is not None for item in found)

    return ctx.door(tenant).run(Store.BOOKS, write)


def _orders(tx: Transaction, tenant: str, report: Report) -> dict[str, str]:
    """The orders a report names, those whose name only one order has: name without # -> id."""
    said = {item.order_name.lstrip("#") for item in report.movements if item.order_name}
    found: dict[str, set[str]] = {}
    for order_id, name, _ in books.orders_named(tx, tenant, sorted({*said, *(f"#{name}" for name in said)})):
        found.setdefault(name.lstrip("#"), set()).add(order_id)
    return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}


def _beside(item: Movement, standing: list[BookLine], names: dict[str, str]) -> Movement:
    """A movement with its order; a charge or refund with the transaction whose line it is: of its amount, used once."""
    if item.order_name is None:
        return item
    order_id = names.get(item.order_name.lstrip("#"))
    line = next((one for one in standing if one.order_id == order_id and one.amount == item.amount), None)
    if order_id is None or line is None or item.type not in OF_ORDERS:
        return replace(item, order_id=order_id)
    standing.remove(line)
    return replace(item, order_id=order_id, order_transaction=transaction_of(line.about))
