"""The one workflow every order path ends in: make sevdesk say what the order's dated facts say.

    order -> facts -> plan (pure) -> carry out -> look again -> certificate -> "settled: n"

A webhook, a poll, a backfill or a person only says "order wanted". This reads the order as it is now, so it does not
matter how often, in which order or how late it is told. It can be killed at any line: the mark stays due, the intent
rows say what may have happened, and the next run finds it before it does anything.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ladenbuch import audit, books, inbox, privacy, tenants
from ladenbuch.bucket import working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import failures
from ladenbuch.domain.answers import BY_HAND, EXCLUDE, Answers, merged, question_hash
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, Problem, facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import HELD, Plan, plan
from ladenbuch.domain.redaction import without_buyer
from ladenbuch.errors import LadenbuchError, NeedsAttention, NotYet, Rejected, Retryable
from ladenbuch.telemetry.spans import span
from ladenbuch.telemetry.trace import bound, trace_of
from ladenbuch.workflows import announcing, bank_lines, redaction
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.evidence import gather, lines_of_feeds
from ladenbuch.workflows.failing import Failed, failed, follow, went_well
from ladenbuch.workflows.foreign import documents_of_others
from ladenbuch.workflows.hands import look
from ladenbuch.workflows.posting import carry_out
from ladenbuch.workflows.recovering import concerned
from ladenbuch.workflows.run import Run, locked_out
from ladenbuch.workflows.taking_back import take_back
from ladenbuch.workflows.unseen import unseen

log = logging.getLogger(__name__)

#: How often the order may change under our hands before we come back later (R20).
ROUNDS = 3
#: What is said of an order whose tenant was redacted or erased.
_GONE = "TENANT-REDACTED"
#: When an order of a tenant that is not active is looked at again if nothing else makes it due.
_ABSENCE = timedelta(days=30)


def settle(ctx: Context, tenant: str, order_id: str, run_id: str) -> str:
    """Settle one order and release its mark. Ids in, a code out; never raises for what can be expected."""
    door = ctx.door(tenant)
    claim = door.read(Store.INBOX, lambda tx: inbox.holder(tx, tenant, order_id))
    if claim is None or claim.run_id != run_id:
        return "STALE-RUN"
    with (
        bound(trace=claim.trace or run_id, tenant=tenant, order=order_id),
        span("settle", tenant=tenant, order=order_id),
        working_as(claim.priority),
    ):
        if log.isEnabledFor(logging.INFO):
            _tell(ctx, tenant, order_id, claim)
        code = _settle(Run(ctx, tenant, order_id, run_id), claim)
        log.info("run ended", extra={"code": code})
        return code


def _tell(ctx: Context, tenant: str, order_id: str, claim: inbox.Claim) -> None:
    """Which deliveries this run answers: several may wish for the same look, and each one's id leads here."""
    since = (claim.wanted_since or claim.claimed_at) - timedelta(seconds=1)
    ids = ctx.door(tenant).read(Store.INBOX, lambda tx: inbox.told_since(tx, tenant, order_id, since))
    told = [trace_of(one) for one in ids]
    log.info("run begins", extra={"webhooks": told, "attempt": claim.attempts + 1, "run_id": claim.run_id})


def _settle(run: Run, claim: inbox.Claim) -> str:
    ctx, tenant, order_id, run_id = run.ctx, run.tenant, run.order_id, run.run_id
    door = ctx.door(tenant)
    try:
        standing, restored_at = door.run(Store.BOOKS, lambda tx: _begin(tx, run, claim.run_no))
        run = replace(run, restored_at=restored_at)
        if standing == "redacted":  # or erased whole: nobody waits for this, and no row of it may be left
            now = ctx.clock()
            door.run(Store.INBOX, lambda tx: inbox.settled(tx, tenant, order_id, run_id, claim.wanted, now, _GONE))
            return _GONE
        if standing != "active":
            return _put_off(run, f"TENANT-{standing.upper()}")
        code, look_again = _converge(run)
    except LadenbuchError as error:
        if not isinstance(error, Retryable):
            log.warning("settle refused", extra={"code": error.code})
        return _later(run, failed("order", order_id, error, claim.attempts, claim.claimed_at))
    except Exception as error:
        log.exception("settle failed")
        return _later(run, failed("order", order_id, error, claim.attempts, claim.claimed_at))
    if code in HELD:
        return _later(run, Failed("order", order_id, failures.known(code), code, "", claim.attempts, claim.claimed_at))
    now = ctx.clock()
    if claim.run_no > 1:  # it was looked at before, and may have failed then
        went_well(ctx, tenant, "order", order_id)
    wanted = claim.wanted
    if door.run(Store.INBOX, lambda tx: inbox.settled(tx, tenant, order_id, run_id, wanted, now, code, look_again)):
        ctx.work.settled((now - (claim.wanted_since or claim.claimed_at)).total_seconds())
    return code


def _begin(tx: Transaction, run: Run, run_no: int) -> tuple[tenants.State, datetime | None]:
    """Take the order's fence, unless its tenant is gone and no row may be left; in which state the tenant is, and when
    its books were put back from a backup."""
    standing = tenants.standing(tx, run.tenant)
    if standing != "redacted":
        books.take_fence(tx, run.tenant, run.order_id, run_no, run.run_id)
    return standing, tenants.restored_at(tx, run.tenant)


def _put_off(run: Run, code: str) -> str:
    """Nothing is done for a tenant that is not active, not even a read; its return makes the marks due again."""
    ctx, tenant, order_id, now = run.ctx, run.tenant, run.order_id, run.ctx.clock()
    until = now + _ABSENCE
    ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.postpone(tx, tenant, order_id, run.run_id, until, code, now))
    return code


def _converge(run: Run) -> tuple[str, datetime | None]:
    """Fetch, plan, carry out; again while the order moves; then prove what was done.

    Returns the code, and when the clock alone may make the order due again.
    """
    for _ in range(ROUNDS):
        looked_at = run.ctx.clock()
        fetched = run.shopify.fetch_order(run.order_id)
        looked_at = run.shopify.in_shop_time(looked_at)
        if fetched.order is None:
            return unseen(run, fetched.reason or "it cannot be read"), None
        erased, asks = _is_erased(run, fetched.order)
        facts = facts_of(fetched.order)
        evidence = gather(
            run.ctx if asks else replace(run.ctx, vat_ids=None), run.tenant, fetched.order, run.ctx.clock()
        )
        evidence, others_paid = bank_lines.with_transfers(run, evidence)
        left, known = _plan(run, facts, evidence)
        if left.later is not None:
            raise Retryable("ORDER-INCOMPLETE", left.later)
        others = documents_of_others(run.ctx, run.tenant, fetched.order, left, known)
        if others:
            evidence = replace(evidence, foreign=others)
            left, known = _plan(run, facts, evidence)
        if concerned(run, fetched.order):
            while take_back(run, left):
                left, known = _plan(run, facts, evidence)
        if _others_were_there(run, left, known, told=others_paid):
            # Read again: a line that was free a moment ago may be what they linked, and must not count twice.
            evidence, _ = bank_lines.with_transfers(run, evidence)
            left, known = _plan(run, facts, evidence)
        if left.wanted:
            evidence = replace(evidence, feeds=lines_of_feeds(run, left.wanted))
            left, known = _plan(run, facts, evidence)
        parked: list[Problem] = []
        held: list[NotYet] = []
        released: set[str] = set()
        if left.due(run.ctx.clock()):
            put_off = {item.key for item in left.actions} - {item.key for item in left.due(run.ctx.clock())}
            parked, held = _carry_out(run, left)
            if _took_over(left) and not parked:
                continue  # what follows from an invoice of others is planned once it is in the books
            left, known = _plan(run, facts, evidence)
            if run.shopify.updated_at(run.order_id) != fetched.order.updated_at:
                continue
            # What fell due while the rest was done (or while our clock was put right) must not wait for another reason.
            released = put_off & {item.key for item in left.due(run.ctx.clock())}
        moments = [*(item.look_again for item in held), *([left.look_again] if left.look_again else [])]
        moments += [run.ctx.until(1.0)] if released else []
        left = replace(left, waiting=(*left.waiting, *(Problem(item.code, item.message) for item in held)))
        code = _record(run, facts, left, parked, fetched.envelope, looked_at, evidence)
        if erased:
            redaction.again(run.ctx, run.tenant, run.order_id)
        return code, min(moments, default=None)
    raise Retryable("ORDER-MOVING", "the order changed while it was settled", after=1.0)


def _is_erased(run: Run, order: Order) -> tuple[bool, bool]:
    """Whether the order's buyer was forgotten: then nothing of them is kept of this look, and no letter goes out.

    And whether their VAT id may be asked about: not any more once documents were decided on an answer. An older order
    of a forgotten buyer that turns up only now is noted here, before anything is done.
    """

    def look(tx: Transaction) -> tuple[bool, bool, bool]:
        if privacy.redacted(tx, run.tenant, order.id):
            return True, False, not privacy.documented(tx, run.tenant, order.id)
        if run.restored_at is not None and run.ctx.vault.forgotten(run.tenant, [order.id]):
            return False, True, True  # after the backup that was put back: its key says so
        return False, redaction.was_forgotten(run.ctx, tx, run.tenant, order), True

    known, meant, asks = run.ctx.door(run.tenant).read(Store.BOOKS, look)
    if meant:
        now = run.ctx.clock()
        run.record(lambda tx: privacy.redact(tx, run.tenant, order.id, "an older order of a forgotten buyer", now))
    return known or meant, asks


def _took_over(left: Plan) -> bool:
    """Whether an invoice of others was taken into the books."""
    return any(action.kind == "adopt" and action.document and action.document.of_others for action in left.actions)


def _others_were_there(run: Run, left: Plan, known: Books, *, told: bool = False) -> bool:
    """Whether people or bank feeds did something to the order's documents since we last looked (R12-R15).

    Looked at when something is about to be done to them, when sevdesk showed that they changed (`told`), and on every
    visit some time after we wrote them.
    """
    written = [item for item in known.documents if item.sevdesk_id is not None]
    if not written:
        return False
    acting = {"cancel", "credit_note", "book_payment", "book_refund", "money_line", "delete_line"}
    due = {item.kind for item in left.due(run.ctx.clock())}
    young = run.ctx.clock() - timedelta(seconds=run.ctx.timing.hands_off)
    old = all(item.written_at is None or item.written_at < young for item in written)
    if not (old or told or (due & acting and any(item.state == "final" for item in written))):
        return False
    return look(run, known, {item.key for item in left.actions}, refund_due="credit_note" in due)


def _plan(run: Run, facts: Facts, evidence: Evidence) -> tuple[Plan, Books]:
    ctx, tenant = run.ctx, run.tenant
    unseal = ctx.unseal(tenant, "pins")
    known, profiles = ctx.door(tenant).read(
        Store.BOOKS, lambda tx: (books.load(tx, tenant, run.order_id, unseal), profiles_in(tx, tenant))
    )
    return plan(facts, known, profiles, ctx.clock(), evidence), known


def _carry_out(run: Run, left: Plan) -> tuple[list[Problem], list[NotYet]]:
    """Carry out what is due, in order; what is refused parks itself and what depends on it, nothing else (R20).

    Returns what a person is asked about, and what waits for something outside.
    """
    parked: list[Problem] = []
    held: list[NotYet] = []
    blocked: set[str] = set()
    due = {item.key for item in left.due(run.ctx.clock())}
    waiting = {item.key for item in left.actions} - due
    for action in left.actions:
        if action.key not in due or (blocked | waiting) & set(action.after):
            blocked.add(action.key)
            continue
        try:
            carry_out(run, action)
            log.info("carried out", extra={"action": action.kind})
        except NotYet as wait:
            held.append(wait)
            blocked.add(action.key)
        except NeedsAttention as ask:
            parked.append(Problem(ask.code, ask.message, ask.about or action.covers or (action.key,), ask.choices))
            blocked.add(action.key)
        except Rejected as refusal:
            if refusal.code == "SEVDESK-TOKEN":
                raise locked_out(run) from refusal
            choices = ("try again", "post by hand", "exclude the order")
            parked.append(Problem(refusal.code, refusal.message, action.covers or (action.key,), choices))
            blocked.add(action.key)
    return parked, held


def _record(
    run: Run,
    facts: Facts,
    left: Plan,
    parked: list[Problem],
    envelope: Mapping[str, Any],
    looked_at: datetime,
    evidence: Evidence,
) -> str:
    """Write the verdict, the certificate and the open questions; the caller then says "settled"."""
    ctx, tenant, order = run.ctx, run.tenant, facts.order
    unseal, seal = ctx.unseal(tenant, "pins"), ctx.seal(tenant, "snapshot", run.order_id)
    now = ctx.clock()

    def record(tx: Transaction) -> str:
        books.check_fence(tx, tenant, run.order_id, run.run_id)
        known = books.load(tx, tenant, run.order_id, unseal)
        answers = Answers.of(known.resolutions, facts)
        open_items = merged([*left.attention, *answers.open(parked, BY_HAND, EXCLUDE)])
        proof = certificate(facts, known, left)
        # Asked here once more: the buyer may have been forgotten since the order was read.
        seen = without_buyer(envelope) if privacy.redacted(tx, tenant, run.order_id) else envelope
        verdict = "attention" if open_items else proof.verdict
        code = next((item.code for item in (*open_items, *left.waiting)), None)
        code = left.exclusion.code if left.exclusion is not None else code
        state = books.OrderState(
            order_id=run.order_id,
            name=order.name,
            verdict=verdict,
            code=code,
            total=order.current_total,
            currency=order.currency,
            processed_at=order.processed_at,
            updated_at=order.updated_at,
            certificate=proof.as_json(),
            snapshot=zlib.compress(json.dumps(seen, default=str).encode(), 1),
        )
        books.record_state(tx, tenant, state, seal, looked_at)
        bank_lines.waits(tx, run, facts, known, evidence, excluded=left.exclusion is not None)
        asked = [(item, question_hash(item, facts)) for item in open_items]
        for fresh in books.record_attention(tx, tenant, run.order_id, asked, now):
            sentence = f"Order {order.name} needs a decision: {fresh}."
            audit.append(tx, tenant, now, actor="settle", event="attention", subject=run.order_id, sentence=sentence)
            announcing.asked(tx, run, order.name, fresh, next(mark for item, mark in asked if item.code == fresh))
        return code or "SETTLED" if verdict != "documented" else "SETTLED"

    return ctx.door(tenant).run(Store.BOOKS, record)


def _later(run: Run, what: Failed) -> str:
    """Release the mark until its next attempt, or for good where it was the last one."""
    ctx, tenant, order_id, run_id = run.ctx, run.tenant, run.order_id, run.run_id
    follows = follow(ctx, tenant, what, lambda tx: books.check_fence(tx, tenant, order_id, run_id))
    at, now = follows.at, ctx.clock()
    if at is None:
        ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.give_up(tx, tenant, order_id, run_id, what.code))
    else:
        ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.postpone(tx, tenant, order_id, run_id, at, what.code, now))
    return what.code
