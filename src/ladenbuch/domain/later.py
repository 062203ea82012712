"""Facts after the cut that no document covers: asked about until their rules are decided (R3-R6, R8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.facts import Facts, Problem, TaxPoint
from ladenbuch.domain.order import Order

_LATER = {
    "ORDER_EDIT": ("EDIT", "the order was edited after its tax point"),
    "ORDER": ("EDIT", "more was ordered after the tax point"),
    "REFUND": ("REFUND", "the order was refunded"),
    "RETURN": ("RETURN", "goods were returned"),
}


def later_facts(facts: Facts, documents: Sequence[PostedDocument], tax_point: TaxPoint | None) -> list[Problem]:
    """Facts after the cut that no document covers: asked about until their rules are decided (R3-R6, R8)."""
    order = facts.order
    amounts = {item.id: item.amount for item in facts.items if item.kind == "agreement"}
    amounts |= {sale.id: sale.total for item in facts.agreements for sale in item.sales}
    covers = [cover for document in documents for cover in document.covers]
    covered = {cover.fact_id for cover in covers}
    changed = [item.fact_id for item in covers if amounts.get(item.fact_id, item.amount) != item.amount]
    if not documents and tax_point is not None:
        covered = {item.id for item in facts.agreements_until(tax_point.at)}
    found: list[Problem] = []
    if changed:
        message = "a ledger entry changed after it was documented"
        found.append(Problem("LEDGER", message, tuple(changed), ("look into it",)))
    for agreement in facts.agreements:
        if agreement.id in covered or not any(sale.total or sale.quantity for sale in agreement.sales):
            continue
        if covered and all(sale.id in covered for sale in agreement.sales):
            continue
        code, message = _LATER.get(agreement.reason, ("ENUM", "an unknown change after the tax point"))
        choices = ("correct it by hand in sevdesk", "leave the invoice as it is")
        found.append(Problem(code, message, (agreement.id,), choices))
    for problem in refund_money(order):
        same = next((index for index, item in enumerate(found) if item.code == problem.code), None)
        if same is None:
            found.append(problem)
        else:  # one question per refund, naming its ledger entry and its money
            found[same] = replace(found[same], facts=found[same].facts + problem.facts)
    if order.cancelled_at is not None:
        found.append(cancelled(order))
    for dispute in order.disputes:
        message = f"a {dispute.initiated_as.lower()} is {dispute.status.lower()}"
        found.append(Problem("DISPUTE", message, (dispute.id,), ("uncollectible", "goodwill", "wait for the bank")))
    return found


def cancelled(order: Order) -> Problem:
    message = "the order was cancelled, and money or goods have moved"
    choices = ("cancel the invoice by hand", "leave the invoice as it is")
    return Problem("CANCELLED", message, (order.id, f"{order.id}#cancelled"), choices)


def refund_money(order: Order) -> list[Problem]:
    out = [item for item in order.payments if item.kind == "REFUND" and item.status in ("SUCCESS", "PENDING")]
    change = [item for item in order.payments if item.kind == "CHANGE" and item.status == "SUCCESS"]
    found = []
    if out:
        ids = tuple(item.id for item in out)
        found.append(Problem("REFUND", "money went back to the buyer", ids, ("credit by hand", "exclude the order")))
    if change:
        ids = tuple(item.id for item in change)
        found.append(Problem("CASH-ROUNDING", "change was given in cash", ids, ("book by hand", "exclude the order")))
    return found
