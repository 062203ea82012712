"""Promised letters -> a relay, each accepted once or listed as uncertain; never two.

The row says `sending` on disk before the moment from which a relay may hold the letter. A process that dies after
that leaves a letter nobody can be sure of: it is listed `LETTER-UNCERTAIN` and not sent again by us.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from ladenbuch import audit, outbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import failures
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.mail.transport import Accepted, Uncertain
from ladenbuch.telemetry.spans import span
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import suppressing
from ladenbuch.workflows.composing import compose
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.failing import Failed, failed, follow, settled

log = logging.getLogger(__name__)

_BATCH = 20
#: Seconds between attempts to write down what a relay said.
_RECORD_AGAIN = (0.2, 1.0, 5.0)


def deliver_all(ctx: Context) -> int:
    """Send what is due; returns how many letters were handed over. One letter's trouble does not stop the others."""
    now = ctx.clock()
    system = ctx.database.system("deliver")
    sent = 0
    for letter in system.read(Store.BOOKS, lambda tx: outbox.due(tx, now, _BATCH)):
        run_id = f"{ctx.executor}:{ctx.new_id()}"
        about = {"tenant": letter.tenant, "order": letter.order_id}
        with bound(trace=letter.trace or run_id, letter=letter.id, **about), span("letter", **about):
            sent += _deliver(ctx, letter, run_id)
    return sent


def _deliver(ctx: Context, letter: outbox.Letter, run_id: str) -> int:
    """Claim a letter and hand it over; 1 when it was accepted."""
    claimed = _claim(ctx, letter, run_id)
    if claimed is None:
        return 0
    try:
        return _send(ctx, claimed, run_id)
    except LadenbuchError as error:
        log.warning("letter not sent", extra={"code": error.code})
        text = f"{error.code}: {error.message}" if isinstance(error, Rejected) else error.code
        what = failed("letter", claimed.id, error, claimed.attempts - 1, claimed.changed_at)
        _again(ctx, claimed, run_id, follow(ctx, claimed.tenant, what).at, text)
    except Exception as error:
        log.exception("a letter could not be sent")
        what = failed("letter", claimed.id, error, claimed.attempts - 1, claimed.changed_at)
        if not _uncertain(ctx, claimed, run_id, f"LETTER-UNCERTAIN: {what.message}"):
            _again(ctx, claimed, run_id, follow(ctx, claimed.tenant, what).at, what.code)
    return 0


def _claim(ctx: Context, letter: outbox.Letter, run_id: str) -> outbox.Letter | None:
    def claim(tx: Transaction) -> outbox.Letter | None:
        if tenants.stopped(tx, letter.tenant) is not None:
            return None
        return outbox.claim(tx, letter.tenant, letter.id, run_id, ctx.clock(), ctx.executor)

    return ctx.door(letter.tenant).run(Store.BOOKS, claim)


def _send(ctx: Context, letter: outbox.Letter, run_id: str) -> int:
    """Hand one claimed letter to a relay; 1 when it was accepted."""
    tenant, door = letter.tenant, ctx.door(letter.tenant)
    composed = compose(ctx, letter)
    message = composed.message
    address = suppressing.look_up(ctx, tenant, composed.to)
    if suppressing.spare(ctx, letter, run_id, address):
        return 0

    begun = False

    def before_data() -> None:
        nonlocal begun
        if begun:
            return  # the first relay said no after all; the row already says `sending`
        begun = True
        which = (tenant, letter.id, run_id, ctx.clock())
        if not door.run(Store.BOOKS, lambda tx: outbox.sending(tx, *which, recipient=address.recipient)):
            raise Retryable("STALE-RUN", "another run has this letter")

    outcome = ctx.relays.send(message, composed.sender, composed.to, before_data)
    now = ctx.clock()
    if isinstance(outcome, Accepted):
        relay, reply, message_id = outcome.relay, outcome.reply, str(message["Message-ID"])

        def accepted(tx: Transaction) -> None:
            outbox.accepted(tx, tenant, letter.id, run_id, now, message_id=message_id, relay=relay, reply=reply)
            sentence = f"The letter with {composed.about} was accepted by {relay}."
            audit.append(tx, tenant, now, actor="deliver", event="mailed", subject=letter.order_id, sentence=sentence)
            if letter.attempts > 1:
                settled(tx, tenant, "letter", letter.id, now)

        _remember(ctx, lambda: door.run(Store.BOOKS, accepted))
        log.info("letter accepted", extra={"relay": relay})
        return 1
    log.warning("letter not accepted", extra={"outcome": type(outcome).__name__, "relay": outcome.relay})
    reason = outcome.reason
    if isinstance(outcome, Uncertain):
        _remember(ctx, lambda: _uncertain(ctx, letter, run_id, reason))
    else:
        failure = failures.known(outcome.code)
        what = Failed("letter", letter.id, failure, outcome.code, failure.text, letter.attempts - 1, now)
        follows = follow(ctx, tenant, what)
        _remember(ctx, lambda: _again(ctx, letter, run_id, follows.at, reason))
        suppressing.refused(ctx, letter, address, reason)
    return 0


def _remember(ctx: Context, record: Callable[[], object]) -> None:
    """Write down what a relay said. Where the database cannot, the row goes on saying `sending`: the sweep lists it as
    uncertain. It is never promised again, for the letter may be with its reader.
    """
    for seconds in _RECORD_AGAIN:
        try:
            record()
            return
        except Retryable as error:
            log.warning("outcome of a letter not recorded yet", extra={"code": error.code})
            ctx.sleep(seconds)
    try:
        record()
    except LadenbuchError as error:
        log.error("outcome of a letter not recorded", extra={"code": error.code})


def _uncertain(ctx: Context, letter: outbox.Letter, run_id: str, reason: str) -> bool:
    """A relay may have it: a person decides. False when it certainly has nothing."""
    now = ctx.clock()
    return ctx.door(letter.tenant).run(
        Store.BOOKS, lambda tx: outbox.uncertain(tx, letter.tenant, letter.id, run_id, now, reason=reason)
    )


def _again(ctx: Context, letter: outbox.Letter, run_id: str, at: datetime | None, reason: str) -> None:
    """Certainly not sent: promised anew, due at `at`, or failed where that was the last attempt."""
    tenant, key, now = letter.tenant, letter.id, ctx.clock()

    def note(tx: Transaction) -> bool:
        if at is None:
            return outbox.failed(tx, tenant, key, run_id, now, reason=reason)
        return outbox.retry(tx, tenant, key, run_id, now, due_at=at, reason=reason)

    ctx.door(tenant).run(Store.BOOKS, note)
