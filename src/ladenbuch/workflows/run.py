"""One settle of one order: the fence behind which it writes, and how an action reaches sevdesk exactly once.

sevdesk has no idempotency keys, so every kind of action has four parts:

    intent    a row with the key and everything it was decided on, committed before any call, behind the run's fence
    find      by the natural key in the document: an earlier call may have succeeded without telling us
    call      only when nothing is found, never sooner after an ambiguous call than `ambiguous_wait`, and never later
              than `client_timeout` after the intent says it leaves: a run that stood still does not call any more
    record    after confirming by id

An ambiguous call ends the run (`Ambiguous` is a `Retryable`); the next run begins with the find.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from ladenbuch import audit, books, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.deadline import leaving_before
from ladenbuch.domain.answers import Answers
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.facts import Problem
from ladenbuch.errors import Ambiguous, LadenbuchError, NeedsAttention, Retryable
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.shopify.admin import Admin
from ladenbuch.workflows import lockout
from ladenbuch.workflows.context import Context

T = TypeVar("T")

log = logging.getLogger(__name__)

#: How old an intent may be when its call leaves without a new look at the fence.
_FRESH = timedelta(seconds=1)


@dataclass(frozen=True)
class Run:
    """One settle of one order: who writes (the fence) and with what.

    `restored_at`: when the tenant's books were put back from a backup. `recovering`: what was done before that is being
    found in sevdesk and written down; nothing is called.
    """

    ctx: Context
    tenant: str
    order_id: str
    run_id: str
    restored_at: datetime | None = None
    recovering: bool = False

    @cached_property
    def shopify(self) -> Admin:
        """The tenant's Shopify client."""
        return self.ctx.shopify(self.tenant)

    @cached_property
    def sevdesk(self) -> Sevdesk:
        """The tenant's sevdesk client."""
        return self.ctx.sevdesk(self.tenant)

    def write(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction in the books behind this run's fence; refused when a newer run took over or on a stop."""

        def fenced(tx: Transaction) -> T:
            books.check_fence(tx, self.tenant, self.order_id, self.run_id)
            reason = tenants.stopped(tx, self.tenant)
            if reason is not None:
                raise Retryable("STOPPED", f"writing is stopped: {reason}", after=2.0)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, fenced)

    def record(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction that records what has already happened: fenced, but not held back by a stop."""

        def fenced(tx: Transaction) -> T:
            books.check_fence(tx, self.tenant, self.order_id, self.run_id)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, fenced)

    def say(self, tx: Transaction, event: str, sentence: str) -> None:
        """One readable line in the audit chain, in the transaction of what it tells."""
        now = self.ctx.clock()
        audit.append(tx, self.tenant, now, actor="settle", event=event, subject=self.order_id, sentence=sentence)


class Unfound(Exception):
    """While recovering: this was not done before the restore, as far as sevdesk shows."""


def once(
    run: Run,
    key: str,
    kind: str,
    reason: str,
    *,
    pin: Callable[[Transaction], None] = lambda tx: None,
    find: Callable[[], T | None],
    call: Callable[[], T],
    record: Callable[[Transaction, T], str],
) -> None:
    """Intent, find, call, record. `record` returns the id of what now exists in sevdesk."""
    ctx = run.ctx
    if run.recovering:
        _taken_back(run, key, kind, reason, pin, find, record)
        return

    def intend(tx: Transaction) -> books.Intent:
        known = books.intend(
            tx, run.tenant, run.order_id, key=key, kind=kind, run_id=run.run_id, reason=reason, now=ctx.clock()
        )
        if known.new:
            pin(tx)
        return known

    known = run.write(intend)
    if known.done:
        return
    try:
        found = find()
    except LadenbuchError:
        if known.new:
            run.record(lambda tx: not_sent(tx, run, key))
        raise
    if found is None:
        if not known.new:
            settled = known.called_at + timedelta(seconds=ctx.timing.client_timeout + ctx.timing.ambiguous_wait)
            wait = (settled - ctx.clock()).total_seconds()
            if wait > 0:
                # What was sent may still land: the last look must come after it can no more.
                raise Ambiguous("UNCONFIRMED", f"{kind} may still arrive", after=wait)
        called_at = known.called_at
        if not known.new or ctx.clock() - called_at > _FRESH:
            called_at = ctx.clock()
            run.write(lambda tx: books.call_again(tx, run.tenant, key, run.run_id, called_at))
        try:
            with leaving_before(called_at + timedelta(seconds=ctx.timing.client_timeout)):
                found = call()
        except Ambiguous:
            raise
        except LadenbuchError:
            run.record(lambda tx: not_sent(tx, run, key))
            raise
    confirmed = found

    def finish(tx: Transaction) -> None:
        remote_id = record(tx, confirmed)
        books.done(tx, run.tenant, key, ctx.clock(), remote_id)

    run.record(finish)


def _taken_back(
    run: Run,
    key: str,
    kind: str,
    reason: str,
    pin: Callable[[Transaction], None],
    find: Callable[[], T | None],
    record: Callable[[Transaction, T], str],
) -> None:
    """The find comes first: what is there is pinned as it is, what is not leaves no row. Raises Unfound.

    What this process or one after the restore has begun is not meant: `once` goes on with it.
    """
    ctx, at = run.ctx, run.restored_at
    begun = ctx.door(run.tenant).read(Store.BOOKS, lambda tx: books.intent(tx, run.tenant, key))
    if begun is not None and (begun.done or at is None or begun.called_at > at):
        raise Unfound
    found = find()
    if found is None:
        raise Unfound

    def write(tx: Transaction) -> None:
        known = books.intend(
            tx, run.tenant, run.order_id, key=key, kind=kind, run_id=run.run_id, reason=reason, now=ctx.clock()
        )
        if known.done:
            return
        if known.new:
            pin(tx)
        books.done(tx, run.tenant, key, ctx.clock(), record(tx, found))

    run.write(write)


def at_once(run: Run, key: str, kind: str, reason: str, record: Callable[[Transaction], str]) -> None:
    """An action that calls nobody: intent and record in one transaction, so that none of it is ever half there.

    `record` returns the id of what exists in sevdesk already.
    """
    ctx = run.ctx
    if run.recovering:
        raise Unfound

    def write(tx: Transaction) -> None:
        known = books.intend(
            tx, run.tenant, run.order_id, key=key, kind=kind, run_id=run.run_id, reason=reason, now=ctx.clock()
        )
        if not known.done:
            books.done(tx, run.tenant, key, ctx.clock(), record(tx))

    run.write(write)


def after_writing(look: Callable[[], T]) -> T:
    """A look right after a write inside `call`: where it fails, the write may have landed all the same."""
    try:
        return look()
    except Ambiguous:
        raise
    except Retryable as error:
        raise Ambiguous("UNCONFIRMED", f"what was written could not be looked at: {error.code}") from error


def not_sent(tx: Transaction, run: Run, key: str) -> None:
    """The other side refused or never got the call: nothing can land, so no run is in it and none need wait for it."""
    long_ago = run.ctx.clock() - timedelta(days=1)
    books.call_again(tx, run.tenant, key, "", long_ago)


def known_of(run: Run) -> Books:
    """What is posted and pinned for the run's order, as it is now."""
    unseal = run.ctx.unseal(run.tenant, "pins")
    return run.ctx.door(run.tenant).read(Store.BOOKS, lambda tx: books.load(tx, run.tenant, run.order_id, unseal))


def answered(run: Run, ask: NeedsAttention) -> str | None:
    """What a person chose for exactly this question (R16), or None while nobody has."""
    problem = Problem(ask.code, ask.message, ask.about, ask.choices)
    return Answers.of(known_of(run).resolutions).to(problem)


def document_of(run: Run, key: str) -> PostedDocument:
    """A document of the run's order by its key. Raises Retryable("UNCONFIRMED") while it is not in the books."""
    unseal = run.ctx.unseal(run.tenant, "pins")
    document = run.ctx.door(run.tenant).read(
        Store.BOOKS, lambda tx: books.document(tx, run.tenant, run.order_id, key, unseal)
    )
    if document is None:
        raise Retryable("UNCONFIRMED", "the document is not in the books yet")
    return document


def with_lease(run: Run, name: str, fn: Callable[[], T]) -> T:
    """Hold one of the tenant's exclusive rights while `fn` runs; waits briefly, then comes back later."""
    ctx = run.ctx
    door = ctx.door(run.tenant)

    def take(tx: Transaction) -> bool:
        return books.take_lease(tx, run.tenant, name, run.run_id, ctx.clock(), ctx.until(ctx.timing.lease))

    for _ in range(40):
        if door.run(Store.BOOKS, take):
            break
        ctx.sleep(0.05)
    else:
        raise Retryable("LEASE-BUSY", f"another run holds {name}", after=0.5)
    try:
        return fn()
    finally:
        # What was done is done, whether or not the right can be given back: it runs out by itself.
        try:
            door.run(Store.BOOKS, lambda tx: books.give_lease(tx, run.tenant, name, run.run_id))
        except Retryable as error:
            log.warning("a right was not given back", extra={"code": error.code})


def locked_out(run: Run) -> Retryable:
    """sevdesk refuses the token: writing stops for the tenant until somebody has connected the account again, because
    many failing calls can get a token blocked (facts 1.8, 5.1); what to raise comes back.
    """
    lockout.lock_out(run.ctx, run.tenant, by="settle", subject=run.order_id)
    return Retryable("STOPPED", lockout.REASON)


def drifted(run: Run, reason: str) -> NeedsAttention:
    """sevdesk computed other sums than predicted: posting stops for the tenant; what to raise comes back (R21)."""
    now = run.ctx.clock()

    def stop(tx: Transaction) -> None:
        tenants.stop(tx, run.tenant, reason, now)
        run.say(tx, "stop", f"Posting stopped: {reason}.")

    run.ctx.door(run.tenant).run(Store.BOOKS, stop)
    return NeedsAttention("ARITHMETIC-DRIFT", reason, choices=("correct the cause, then go",))
