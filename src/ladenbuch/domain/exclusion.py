"""Orders that are not ours, each with its reason; and the refund that makes one a question after all (R22)."""

from __future__ import annotations

from datetime import datetime

from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import MONEY_KINDS, Facts, Problem, TaxPoint
from ladenbuch.domain.profile import Profile


def exclusion_of(facts: Facts, books: Books, profile: Profile) -> Problem | None:
    """Orders that are not ours, each with its reason (R22, bookkeeping 1.1 no. 6). Never once a document exists."""
    order, point = facts.order, facts.tax_point
    # by status and kind alone: money nobody can count or date is not "nothing was paid"
    quiet = not any(item.status == "SUCCESS" and item.kind in MONEY_KINDS and item.amount for item in order.payments)
    if books.invoice is not None:
        return None
    if books.exclusion is not None:
        return Problem(books.exclusion, "excluded by a person", (order.id,))
    if order.test:
        return Problem("TEST", "a test order never reaches the books", (order.id,))
    if order.source_name == "pos" and not profile.include_pos:
        return Problem("POS", "sold at the till: the cash register keeps these books", (order.id,))
    owed = (facts.claim, order.current_total, 0 if point is None else _claim_at(facts, point))
    if quiet and owed == (0, 0, 0):
        return Problem("ZERO", "nothing was charged", (order.id,))
    if point is not None and point.at < profile.go_live:
        return Problem("BEFORE-GO-LIVE", "the tax point lies before the day this tenant went live", (order.id,))
    if order.cancelled_at is not None and point is None and quiet:
        return Problem("CANCELLED-BEFORE", "cancelled before anything was paid or shipped", (order.id,))
    if point is None and order.financial_status in ("VOIDED", "EXPIRED") and quiet:
        return Problem("CANCELLED-BEFORE", "the payment was voided and nothing was shipped", (order.id,))
    return None


def _claim_at(facts: Facts, point: TaxPoint) -> int:
    return sum(sale.total for agreed in facts.agreements_until(point.until) for sale in agreed.sales)


def refunded_since(facts: Facts, go_live: datetime) -> tuple[Problem, ...]:
    """R22: a refund of an order from before go-live corrects an invoice that is not ours."""
    back = tuple(fact.id for fact in facts.items if fact.kind == "money" and fact.amount < 0 and fact.at >= go_live)
    choices = ("name the earlier invoice", "correct it by hand", "exclude the order")
    message = "a refund after go-live of an order invoiced before it"
    return (Problem("ORIGIN-UNKNOWN", message, back, choices),) if back else ()
