"""The transfers of one order, each as it stands in sevdesk now, and what the order waits for after it was settled."""

from __future__ import annotations

from dataclasses import replace

from ladenbuch import books, money_back
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import Books
from ladenbuch.domain.evidence import Evidence, Transfer
from ladenbuch.domain.facts import Facts
from ladenbuch.domain.transfers import awaiting
from ladenbuch.errors import Rejected
from ladenbuch.money_back import KnownClaim, Waiting
from ladenbuch.workflows.context import profiles_in
from ladenbuch.workflows.run import Run


def with_transfers(run: Run, evidence: Evidence) -> tuple[Evidence, bool]:
    """The evidence with the order's transfers; and whether its documents in sevdesk have to be looked at.

    One call for each line that is not linked by us yet.
    """

    def read(tx: Transaction) -> tuple[list[KnownClaim], Waiting | None, dict[str, str]]:
        claims = money_back.claims_of(tx, run.tenant, run.order_id)
        ours = books.taken_lines(tx, run.tenant, [one.line_id for one in claims]) if claims else {}
        return claims, money_back.waiting_of(tx, run.tenant, run.order_id), ours

    claims, waits, ours = run.ctx.door(run.tenant).read(Store.BOOKS, read)
    found = [_as_it_is(run, one, ours.get(one.line_id)) for one in claims]
    linked_by_others = any(not one.free and not one.gone and one.line_id not in ours for one in found)
    return replace(evidence, transfers=tuple(found)), linked_by_others or (waits is not None and waits.look)


def waits(tx: Transaction, run: Run, facts: Facts, known: Books, evidence: Evidence, *, excluded: bool = False) -> None:
    """Write down what the order waits for, in the transaction that says how it stands."""
    now, order = run.ctx.clock(), facts.order
    left = awaiting(facts, known, profiles_in(tx, run.tenant), now, evidence, excluded=excluded)
    for line_id in left.refused:
        money_back.let_go(tx, run.tenant, line_id, run.order_id)
    before = money_back.waiting_of(tx, run.tenant, run.order_id)
    if left.owed <= 0 and before is None:
        return
    said = left.owed, left.total, left.numbers, left.document_key, left.due, left.paused
    if before != (found := Waiting(run.order_id, order.name, *said)):  # else it would seem to wait anew
        money_back.waits(tx, run.tenant, found, now)


def _as_it_is(run: Run, claim: KnownClaim, taken_by: str | None) -> Transfer:
    free, gone = taken_by is None, taken_by not in (None, run.order_id)
    if taken_by is None:
        try:
            line = run.sevdesk.get_transaction(claim.line_id)
        except Rejected as refusal:
            if refusal.code == "SEVDESK-TOKEN":
                raise
            line = None
        gone = line is None or line.deleted or line.amount != claim.whole
        free = line is not None and not line.is_linked
    shared = claim.verdict == "several"
    return Transfer(
        line_id=claim.line_id,
        account=claim.account,
        amount=claim.amount,
        whole=not shared and claim.amount == claim.whole,
        verdict=claim.verdict,
        day=claim.day,
        free=free,
        gone=gone,
        others=0 if shared else claim.others,
    )
