"""What follows a failed run: when it is tried again, or that it is given up (`domain.retry`), and the note of it.

Only what is the order's own failure (the letter's, the delivery's) is written down and counted; the last one is a dead
letter, with its line in the audit chain and an alarm. Whatever goes well afterwards settles it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ladenbuch import alarms, audit, deadletters, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain import failures
from ladenbuch.domain.failures import Failure
from ladenbuch.domain.retry import LADDERS, Ladder, Next, Topic, ladder_of, next_attempt
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.telemetry.trace import current
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

#: What a dead letter is called where people read it.
_NAMES: dict[str, str] = {"order": "Order", "letter": "Letter", "event": "Delivery"}
_ALARM = "GAVE-UP"


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed attempt at `subject`, begun at `looked`. `attempts`: those before it; `after`: seconds the other
    side asked for."""

    topic: Topic
    subject: str
    failure: Failure
    code: str
    message: str
    attempts: int
    looked: datetime
    after: float | None = None


def failed(topic: Topic, subject: str, error: BaseException, attempts: int, looked: datetime) -> Failed:
    """A failed attempt by its exception, and by which call. Of one nobody foresaw only class and place are kept: its
    text may quote."""
    failure = failures.of(error)
    if isinstance(error, LadenbuchError):
        after = error.after if isinstance(error, Retryable) else None
        step = ", ".join(str(error.detail[name]) for name in ("call", "status") if name in error.detail)
        message = f"{error.message} ({step})" if step else error.message
        return Failed(topic, subject, failure, error.code, message, attempts, looked, after)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" in {Path(frame.filename).name}, line {frame.lineno}" for frame in last)
    return Failed(topic, subject, failure, failure.code, f"{type(error).__name__}{place}", attempts, looked)


def follow(ctx: Context, tenant: str, what: Failed, guard: Callable[[Transaction], None] = lambda tx: None) -> Next:
    """What follows the attempt; its own failure is noted, behind `guard`, which raises where the run is no longer ours.

    A failure that cannot be noted counts as one of the database: nothing is given up that nobody would see.
    """
    now, jitter = ctx.clock(), 2 * ctx.chance() - 1
    if what.failure.fault == "order":
        try:
            return ctx.door(tenant).run(Store.BOOKS, lambda tx: _note(ctx, tx, tenant, what, now, jitter, guard))
        except LadenbuchError as error:
            log.warning("a failure could not be noted", extra={"code": error.code})
            what = replace(what, failure=failures.of(error))
            if what.failure.fault == "order":
                raise
    ladder = ctx.timing.ladders[what.topic]
    return next_attempt(
        what.failure, now, attempts=what.attempts, ladder=ladder, after=what.after, jitter=jitter, why=what.code
    )


def _note(
    ctx: Context,
    tx: Transaction,
    tenant: str,
    what: Failed,
    now: datetime,
    jitter: float,
    guard: Callable[[Transaction], None],
) -> Next:
    guard(tx)
    if tenants.standing(tx, tenant) == "redacted":
        raise Retryable("STALE-RUN", "the tenant is gone, and no row of it may be left")
    known = deadletters.get(tx, tenant, what.topic, what.subject)
    follows = next_attempt(
        what.failure,
        now,
        attempts=what.attempts,
        failures=0 if known is None else known.counted,
        ladder=_ladder(ctx, tx, tenant, what.topic, now),
        after=what.after,
        jitter=jitter,
        why=what.code,
    )
    deadletters.failed(
        tx,
        tenant,
        kind=what.topic,
        subject=what.subject,
        code=what.code,
        message=what.message,
        attempts=follows.failures,
        now=now,
        again=follows.at,
        looked=what.looked,
        trace=current(),
    )
    if follows.at is None:
        times = "attempt" if follows.failures == 1 else "attempts"
        sentence = f"{_NAMES[what.topic]} given up after {follows.failures} {times}: {what.code}."
        log.error("given up", extra={"kind": what.topic, "subject": what.subject, "code": what.code})
        audit.append(tx, tenant, now, actor="retry", event="gave-up", subject=what.subject, sentence=sentence)
        tell(tx, tenant, now)
    return follows


def _ladder(ctx: Context, tx: Transaction, tenant: str, topic: Topic, now: datetime) -> Ladder:
    """The tenant's own ladder, as its settings of this instant say; else the usual one."""
    version = tenants.in_force(tenants.profiles(tx, tenant), now)
    own = {} if version is None else version.profile.get("retry") or {}
    try:
        return ladder_of(topic, own[topic]) if topic in own else ctx.timing.ladders[topic]
    except Rejected:  # an older version of us let it in
        return LADDERS[topic]


def went_well(ctx: Context, tenant: str, kind: str, subject: str) -> None:
    """It was done after all: what failed before is settled. Call it for what was tried before; it reads a row."""
    door = ctx.door(tenant)
    known = door.read(Store.BOOKS, lambda tx: deadletters.get(tx, tenant, kind, subject))
    if known is not None and known.state in ("trying", "open", "redriven"):
        door.run(Store.BOOKS, lambda tx: settled(tx, tenant, kind, subject, ctx.clock()))


def settled(tx: Transaction, tenant: str, kind: str, subject: str, now: datetime) -> None:
    """`went_well` in an open transaction; of a dead letter the audit chain is told."""
    was = deadletters.succeeded(tx, tenant, kind, subject)
    if was in ("open", "redriven"):
        how = "by itself" if was == "open" else "after it was redriven"
        sentence = f"{_NAMES.get(kind, kind)} that had been given up is settled {how}."
        audit.append(tx, tenant, now, actor="retry", event="gave-up.settled", subject=subject, sentence=sentence)
        tell(tx, tenant, now)


def tell(tx: Transaction, tenant: str, now: datetime) -> None:
    """Raise or end the tenant's alarm about what gave up, by what is open now."""
    number = sum(deadletters.count(tx, deadletters.Which(tenant)).values())
    if number:
        alarms.raise_alarm(tx, tenant, _ALARM, "", now, {"count": number})
    else:
        alarms.end_alarm(tx, tenant, _ALARM, "", now)
