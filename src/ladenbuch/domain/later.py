"""Facts after the cut that no document covers: asked about until their rules are decided (R3-R6, R8)."""

from __future__ import annotations

from dataclasses import replace

from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import Facts, Problem, TaxPoint, moved
from ladenbuch.domain.order import Order

_LATER = {
    "ORDER_EDIT": ("EDIT", "the order was edited after its tax point"),
    "ORDER": ("EDIT", "more was ordered after the tax point"),
    "REFUND": ("REFUND", "the order was refunded"),
    "RETURN": ("RETURN", "goods were returned"),
}


def later_facts(facts: Facts, tax_point: TaxPoint | None) -> list[Problem]:
    """What happened after the tax point of an order that has no document: asked about, never guessed."""
    order = facts.order
    covered = {item.id for item in facts.agreements_until(tax_point.until)} if tax_point else set()
    found: list[Problem] = []
    for agreement in facts.agreements:
        if agreement.id in covered or not any(sale.total or sale.quantity for sale in agreement.sales):
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
    return found + beside_the_ledger(order)


def changed_facts(facts: Facts, books: Books) -> list[Problem]:
    """LEDGER where an entry a document covers is gone or has another amount: ledger entries never change."""
    amounts = {item.id: item.amount for item in facts.items if item.kind == "agreement"}
    amounts |= {sale.id: sale.total for item in facts.agreements for sale in item.sales}
    covers = [cover for item in books.documents if item.kind != "credit_note" for cover in item.covers]
    changed = tuple(item.fact_id for item in covers if amounts.get(item.fact_id.partition("~")[0]) != item.amount)
    message = "a ledger entry changed after it was documented"
    return [Problem("LEDGER", message, changed, ("look into it",))] if changed else []


def open_disputes(order: Order) -> list[Problem]:
    """Disputes nobody has decided yet: no tax changes by them (1.4)."""
    asked = [item for item in order.disputes if item.status in ("NEEDS_RESPONSE", "UNDER_REVIEW")]
    return [Problem("DISPUTE-OPEN", "the buyer's bank has not decided yet", (item.id,)) for item in asked]


def beside_the_ledger(order: Order) -> list[Problem]:
    """What no document follows from and a person decides: disputes that were lost (1.4)."""
    found: list[Problem] = []
    back = tuple(item.id for item in order.payments if item.kind == "REFUND" and moved(item))
    for dispute in order.disputes:
        if dispute.status in ("LOST", "ACCEPTED") and back and dispute.initiated_as == "CHARGEBACK":
            message = "the money went back twice: by a refund, and by a chargeback that is lost"
            choices = ("claim it back from the provider", "leave it to the bookkeeper")
            found.append(Problem("DOUBLE-REFUND", message, (dispute.id, *back), choices))
        elif dispute.status in ("LOST", "ACCEPTED"):
            message = f"a {dispute.initiated_as.lower()} is {dispute.status.lower()}"
            found.append(Problem("DISPUTE", message, (dispute.id,), ("uncollectible", "goodwill", "fraud")))
    return found


def failed_refunds(order: Order) -> tuple[str, ...]:
    """Refund transactions that failed, of refunds of which nothing went back or is under way."""
    under_way = {
        refund.id
        for refund in order.refunds
        for item in order.payments
        if item.id in refund.transaction_ids and item.status in ("SUCCESS", "PENDING", "AWAITING_RESPONSE")
    }
    tried = {identity for refund in order.refunds if refund.id not in under_way for identity in refund.transaction_ids}
    failed = [item for item in order.payments if item.kind == "REFUND" and item.status in ("FAILURE", "ERROR")]
    return tuple(item.id for item in failed if item.id in tried)


def cancelled(order: Order) -> Problem:
    message = "the order was cancelled, and money or goods have moved"
    choices = ("cancel the invoice by hand", "leave the invoice as it is")
    return Problem("CANCELLED", message, (order.id, f"{order.id}#cancelled"), choices)


def refund_money(order: Order) -> list[Problem]:
    out = [item for item in order.payments if item.kind == "REFUND" and item.status in ("SUCCESS", "PENDING")]
    choices = ("credit by hand", "exclude the order")
    return [Problem("REFUND", "money went back to the buyer", tuple(item.id for item in out), choices)] if out else []
