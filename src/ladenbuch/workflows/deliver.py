"""Promised letters -> a relay, each accepted once or listed as uncertain; never two.

The row says `sending` on disk before the moment from which a relay may hold the letter. A process that dies after
that leaves a letter nobody can be sure of: it is listed `LETTER-UNCERTAIN` and not sent again by us, unless it is of a
kind of which two are better than none (`domain.letter_policy`). What becomes of it: `workflows.doubting`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from ladenbuch import audit, outbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import failures, letter_policy
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.mail.transport import Accepted, TryLater, Uncertain
from ladenbuch.telemetry.spans import span
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import by_sevdesk, lettering, mooting, suppressing
from ladenbuch.workflows.composing import compose
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.failing import Failed, failed, follow, settled

log = logging.getLogger(__name__)

#: Letters taken up at once, and as often as there are more, so many times before others have their turn.
_BATCH, _ROUNDS = 40, 5
#: Seconds until a relay is first asked whether it has a letter that nobody is sure of.
_ASK_AFTER = 30.0
#: Seconds between attempts to write down what a relay said.
_RECORD_AGAIN = (0.2, 1.0, 5.0)


def deliver_all(ctx: Context) -> int:
    """Send what is due, side by side; returns how many letters were handed over. One letter's trouble does not stop the
    others. While every relay rests, none is taken up: a letter is no attempt older for it.
    """
    system = ctx.database.system("deliver")
    sent = 0
    for _ in range(_ROUNDS):
        letters = system.read(Store.BOOKS, partial(_due, now=ctx.clock()))
        taken_up = _with_room(ctx, letters)
        sent += sum(ctx.spread([partial(_one, ctx, letter) for letter in taken_up]))
        if len(taken_up) < _BATCH:
            break
    return sent


def _due(tx: Transaction, now: datetime) -> list[outbox.Letter]:
    """What is due, without the letters of shops that may write nothing: they wait, and nobody waits behind them."""
    letters = outbox.due(tx, now, _BATCH)
    if not any(tenants.stopped(tx, tenant) for tenant in {letter.tenant for letter in letters}):
        return letters
    if tenants.stopped(tx, None) is not None:
        return []
    return outbox.due(tx, now, _BATCH, without=tenants.silent(tx))


def _with_room(ctx: Context, letters: list[outbox.Letter]) -> list[outbox.Letter]:
    """Those there is a relay for now, and those sevdesk hands over."""
    room = ctx.relays.room(_BATCH) if letters else 0
    if room >= len(letters):
        return letters
    chosen: list[outbox.Letter] = []
    for letter in letters:
        if _by_sevdesk(ctx, letter.tenant):
            chosen.append(letter)
        elif room > 0:
            chosen.append(letter)
            room -= 1
    return chosen


def _by_sevdesk(ctx: Context, tenant: str) -> bool:
    try:
        return profile_at(ctx.profiles(tenant), ctx.clock()).letters_by == "sevdesk"
    except LadenbuchError:
        return False


def _one(ctx: Context, letter: outbox.Letter) -> int:
    run_id = f"{ctx.executor}:{ctx.new_id()}"
    about = {"tenant": letter.tenant, "order": letter.order_id}
    with bound(trace=letter.trace or run_id, letter=letter.id, **about), span("letter", **about):
        return _deliver(ctx, letter, run_id)


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
        held = outbox.claim(tx, letter.tenant, letter.id, run_id, ctx.clock(), ctx.executor)
        return held if held is not None and mooting.still_wanted(ctx, tx, held, run_id) else None

    return ctx.door(letter.tenant).run(Store.BOOKS, claim)


def _send(ctx: Context, letter: outbox.Letter, run_id: str) -> int:
    """Hand one claimed letter to a relay; 1 when it was accepted."""
    tenant, door = letter.tenant, ctx.door(letter.tenant)
    composed = compose(ctx, letter)
    message, message_id = composed.message, str(composed.message["Message-ID"])
    address = suppressing.look_up(ctx, tenant, composed.to)
    if suppressing.spare(ctx, letter, run_id, address):
        return 0

    def before_data() -> None:
        """Before each relay that may have it; only what those before it certainly have not comes here again."""

        def begin(tx: Transaction) -> bool:
            which = (tenant, letter.id, run_id, ctx.clock(), message_id)
            held = outbox.sending(tx, *which, recipient=address.recipient)
            return held and mooting.still_wanted(ctx, tx, letter, run_id)

        if not door.run(Store.BOOKS, begin):
            raise Retryable("STALE-RUN", "another run has this letter, or it is not sent any more")

    if composed.document is not None:
        outcome = by_sevdesk.hand_over(ctx, tenant, composed, before_data)
    else:
        outcome = ctx.relays.send(message, composed.sender, composed.to, before_data, letter.relay)
    now = ctx.clock()
    if isinstance(outcome, Accepted):
        relay, reply = outcome.relay, outcome.reply

        def accepted(tx: Transaction) -> None:
            before = outbox.get(tx, tenant, letter.id)
            if before is not None and before.run_id == run_id and before.reply is not None:
                return  # it was written down, and only that it was never reached us
            outbox.accepted(tx, tenant, letter.id, run_id, now, message_id=message_id, relay=relay, reply=reply)
            sentence = f"The letter with {composed.about} was accepted by {relay}."
            audit.append(tx, tenant, now, actor="deliver", event="mailed", subject=letter.order_id, sentence=sentence)
            keep_copy(ctx, tx, letter)
            if letter.attempts > 1:
                settled(tx, tenant, "letter", letter.id, now)

        _remember(ctx, lambda: door.run(Store.BOOKS, accepted))
        log.info("letter accepted", extra={"relay": relay})
        return 1
    log.warning("letter not accepted", extra={"outcome": type(outcome).__name__, "relay": outcome.relay})
    reason, relay = outcome.reason, outcome.relay
    if isinstance(outcome, Uncertain) and letter_policy.unsure(letter.kind) == "ask":
        _remember(ctx, lambda: _uncertain(ctx, letter, run_id, reason, relay))
        return 0
    code = "LETTER-UNCERTAIN" if isinstance(outcome, Uncertain) else outcome.code
    after, stays = (outcome.after, outcome.stay) if isinstance(outcome, TryLater) else (None, False)
    failure = failures.known(code)
    what = Failed("letter", letter.id, failure, code, failure.text, letter.attempts - 1, now, after)
    follows = follow(ctx, tenant, what)
    _remember(ctx, lambda: _again(ctx, letter, run_id, follows.at, reason, relay if stays else None))
    if not isinstance(outcome, Uncertain):
        suppressing.refused(ctx, letter, address, reason)
    return 0


def keep_copy(ctx: Context, tx: Transaction, letter: outbox.Letter) -> None:
    """The archive's copy; that it was accepted is written down whether there is one or not."""
    try:
        lettering.copied(ctx, tx, letter)
    except (Rejected, Retryable) as error:
        if error.code.startswith("DB-"):
            raise
        log.warning("no copy for the archive", extra={"code": error.code})


def _remember(ctx: Context, record: Callable[[], object]) -> None:
    """Write down what a relay said. Where the database cannot, the row goes on saying `sending`: the sweep lists it as
    uncertain. It is never promised again, for the letter may be with its reader.
    """
    for seconds in _RECORD_AGAIN:
        try:
            record()
            return
        except LadenbuchError as error:  # whatever it is: a letter a relay has is never promised anew
            log.warning("outcome of a letter not recorded yet", extra={"code": error.code})
            ctx.sleep(seconds)
    try:
        record()
    except LadenbuchError as error:
        log.error("outcome of a letter not recorded", extra={"code": error.code})


def _uncertain(ctx: Context, letter: outbox.Letter, run_id: str, reason: str, relay: str | None = None) -> bool:
    """A relay may have it: a person decides, or the relay says so when it is asked. False when it certainly has
    nothing."""
    tenant, key, now, ask_at = letter.tenant, letter.id, ctx.clock(), ctx.until(_ASK_AFTER)
    return ctx.door(tenant).run(
        Store.BOOKS,
        lambda tx: outbox.uncertain(tx, tenant, key, run_id, now, reason=reason, relay=relay, ask_at=ask_at),
    )


def _again(
    ctx: Context, letter: outbox.Letter, run_id: str, at: datetime | None, reason: str, relay: str | None = None
) -> None:
    """Not sent, or better twice than never: promised anew, due at `at`, or failed where that was the last attempt.
    `relay` is asked first then."""
    tenant, key, now = letter.tenant, letter.id, ctx.clock()

    def note(tx: Transaction) -> bool:
        if at is None:
            return outbox.failed(tx, tenant, key, run_id, now, reason=reason)
        return outbox.retry(tx, tenant, key, run_id, now, due_at=at, reason=reason, relay=relay)

    ctx.door(tenant).run(Store.BOOKS, note)
