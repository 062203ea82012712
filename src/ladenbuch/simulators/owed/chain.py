"""The whole chain of documents an order owes, from its snapshot alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ladenbuch.simulators.owed.ledger import Facts, facts_of
from ladenbuch.simulators.owed.papers import Chain, OwedPayment, Seller
from ladenbuch.simulators.owed.places import place_of
from ladenbuch.simulators.owed.reading import Node, berlin_day, cents, instant, number_of
from ladenbuch.simulators.owed.replay import Replay

_LOST = ("LOST", "ACCEPTED")


def chain_of(snapshot: Node, seller: Seller | None = None) -> Chain:
    """Replay the order's facts and say which documents, with which money on them, it owes so far.

    In goes an order as the Admin API shows it (connections as plain lists) and what the seller decided. The same facts
    seen later give the same chain, longer at most.
    """
    seller = seller or Seller()
    facts, place = facts_of(snapshot, cards=seller.cards == "debt"), place_of(snapshot, seller)
    chain = Chain(number_of(str(snapshot["id"])), str(snapshot["name"]), "waiting", rule=place.rule)
    replay = Replay(facts, seller.clearing, seller.tips, place.shipped_only)
    replay.run()
    chain.tax_point = replay.tax_point
    chain.reason = _exclusion(snapshot, replay.tax_point, facts)
    if chain.reason is not None or (replay.closed and not sum(money.cents for money in facts.money)):
        chain.outcome, chain.reason = "excluded", chain.reason or "CANCELLED-BEFORE"
        return chain
    chain.payments = [
        OwedPayment(number_of(money.gid), money.cents, berlin_day(money.at), money.at, replay.cards[money.gid])
        for money in facts.money
        if money.gateway in seller.clearing
    ]
    moved = bool(facts.money) or replay.tax_point is not None
    questions = list(place.questions) if moved else []
    if facts.agreements and not place.shipped_only and replay.prepaid_over_a_month_end():
        questions.append("PARTIAL-PREPAYMENT")
    if not questions:
        chain.documents = [paper.owed(place.rule) for paper in replay.papers]
    questions += [*replay.questions, *_beside(snapshot, facts, seller, replay.cards)]
    chain.questions = tuple(questions)
    if chain.questions:
        chain.outcome, chain.reason = "attention", questions[0]
    elif chain.documents:
        chain.outcome = "documented"
    elif facts.debts and replay.tax_point is not None and not facts.agreements:
        chain.outcome, chain.reason = "excluded", "GIFT-CARDS-ONLY"
    else:
        chain.reason = "UNSHIPPED" if place.shipped_only and replay.kept else "UNPAID"
        if replay.closed:
            chain.reason = "REFUND-DUE"
    if chain.documents and replay.tax_point is not None:
        chain.email = snapshot.get("email")
        chain.delivery_days = {berlin_day(replay.tax_point), *map(berlin_day, facts.shipments)}
    return chain


def _beside(snapshot: Node, facts: Facts, seller: Seller, cards: Mapping[str, int]) -> list[str]:
    """Questions that stop no document: money on an account nobody named, a dispute that was lost."""
    found = []
    if any(money.gateway not in seller.clearing and not money.manual for money in facts.money):
        found.append("GATEWAY-UNMAPPED")
    known = (*seller.clearing, *seller.by_hand)
    if any(cards[money.gid] and money.manual and money.gateway not in known for money in facts.money):
        found.append("GIFT-CARD")
    if any(dispute.get("status") in _LOST for dispute in snapshot.get("disputes") or []):
        found.append("DISPUTE")
    tried = [node for node in snapshot["transactions"] if node["kind"] == "REFUND"]
    if any(node["status"] in ("FAILURE", "ERROR") for node in tried) and not any(
        node["status"] in ("SUCCESS", "PENDING") for node in tried
    ):
        found.append("REFUND-FAILED")
    return found


def _exclusion(snapshot: Node, tax_point: datetime | None, facts: Facts) -> str | None:
    """Why an order owes nothing, now and later."""
    paid = bool(facts.money)
    if snapshot.get("test"):
        return "TEST"
    if snapshot.get("sourceName") == "pos":
        return "POS"
    sold = [cents(s["totalAmount"]) for _, a in facts.agreements for s in a["sales"]]
    if not paid and not any(sold) and not any(gross for _, gross in facts.debts):
        return "ZERO"
    cancelled = snapshot.get("cancelledAt")
    before = cancelled is not None and (tax_point is None or instant(cancelled) <= tax_point)
    lapsed = tax_point is None and snapshot.get("displayFinancialStatus") in ("VOIDED", "EXPIRED")
    return "CANCELLED-BEFORE" if (before or lapsed) and not paid else None
