"""Letters nobody is sure of: what their relay says, and what a person says.

    uncertain ──the relay has it, or a person says so──> accepted
        │ ───a person sends it after all──────────────> promised      it may arrive twice then
        └──  of a kind of which two are better than none: promised again by itself

A relay that can be asked (Mailgun, Postmark) is asked after half a minute, then after as long again as the doubt is
old, for a day. Only a yes changes anything: a search may know a letter later than the relay does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ladenbuch import audit, outbox, privacy, tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.domain import letter_policy
from ladenbuch.errors import LadenbuchError, UsageError
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.deliver import deliver_all, keep_copy

log = logging.getLogger(__name__)

_BATCH = 20
#: Between two looks for relays to be asked.
_LOOK = timedelta(seconds=15)
#: A relay is asked again after as long as the doubt is old, at least so many seconds; and for no longer than a day.
_SOONEST, _ASKED_FOR = 30.0, timedelta(days=1)
#: When a stopped shop's letters are looked at again: meanwhile others' have their turn.
_STOPPED = timedelta(minutes=10)
#: When it is asked after that: never.
_NEVER = timedelta(days=36_500)


class Delivery:
    """What is done about letters every so often: send what is due, and now and then ask about those in doubt."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._asked = ctx.clock()

    def __call__(self) -> None:
        deliver_all(self._ctx)
        now = self._ctx.clock()
        if now - self._asked >= _LOOK or now < self._asked:
            self._asked = now
            ask_relays(self._ctx)


def ask_relays(ctx: Context) -> int:
    """Ask relays about letters nobody is sure of; returns of how many there is no doubt any more."""
    now = ctx.clock()
    system = ctx.database.system("deliver")
    doubts = system.read(Store.BOOKS, lambda tx: outbox.doubts(tx, now, _BATCH))
    return sum(ctx.spread([partial(_settle, ctx, letter) for letter in doubts]))


def _settle(ctx: Context, letter: outbox.Letter) -> int:
    try:
        return int(_asked(ctx, letter))
    except LadenbuchError as error:
        log.warning("a doubtful letter could not be settled", extra={"code": error.code, "letter": letter.id})
        return 0


def _asked(ctx: Context, letter: outbox.Letter) -> bool:
    """Whether the doubt about a letter is over."""
    tenant, door, now = letter.tenant, ctx.door(letter.tenant), ctx.clock()
    if door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant)) is not None:
        door.run(Store.BOOKS, lambda tx: outbox.ask_later(tx, tenant, letter.id, now + _STOPPED))
        return False
    if letter_policy.unsure(letter.kind) == "again":
        door.run(Store.BOOKS, lambda tx: outbox.send_after_all(tx, tenant, letter.id, now, now))
        return True
    said = ctx.relays.ask(letter.relay, letter.message_id or "")
    if said.answer == "has it":
        log.info("a doubtful letter had been accepted", extra={"relay": said.relay, "letter": letter.id})
        sentence = f"{said.relay} says that it had accepted the letter whose answer was lost."
        return door.run(Store.BOOKS, lambda tx: _arrived(ctx, tx, letter, "deliver", sentence))
    age = now - letter.changed_at
    over = said.answer == "cannot say" and not ctx.relays.can_be_asked(letter.relay)
    pause = _NEVER if over or age > _ASKED_FOR else max(age, timedelta(seconds=_SOONEST))
    door.run(Store.BOOKS, lambda tx: outbox.ask_later(tx, tenant, letter.id, now + pause))
    return False


def _arrived(ctx: Context, tx: Transaction, letter: outbox.Letter, actor: str, sentence: str) -> bool:
    now = ctx.clock()
    if not outbox.arrived(tx, letter.tenant, letter.id, now, said=sentence):
        return False
    audit.append(
        tx, letter.tenant, now, actor=actor, event="mailed.arrived", subject=letter.order_id, sentence=sentence
    )
    keep_copy(ctx, tx, letter)
    return True


# -- what a person says ------------------------------------------------------------------------------------------------


#: Why nothing was done about a letter.
SETTLED, FORGOTTEN = "nobody is in doubt about it any more; look again", "its buyer was forgotten"


@dataclass(frozen=True, slots=True)
class Said:
    """What was done about one letter, or why nothing was."""

    letter: outbox.Letter
    why: str | None = None


def doubtful(database: Database, tenant: str | None = None) -> list[outbox.Letter]:
    """The letters nobody is sure of, the oldest first; of all tenants where none is named."""

    def look(tx: Transaction) -> list[outbox.Letter]:
        owners = [tenant] if tenant is not None else [owner.id for owner in tenants.all(tx)]
        return [letter for owner in owners for letter in outbox.uncertain_ones(tx, owner)]

    return sorted(database.system("dead letters").read(Store.BOOKS, look), key=lambda one: (one.changed_at, one.id))


def named(database: Database, key: str, tenant: str | None) -> outbox.Letter:
    """The doubtful letter of a key. Raises UsageError("LETTER") where there is none, or one in several tenants."""
    found = [one for one in doubtful(database, tenant) if one.id == key]
    if len(found) != 1:
        what = "is in several tenants; name one with --tenant" if found else "is not among the letters in doubt"
        raise UsageError("LETTER", f"{key!r} {what}; see `ladenbuch letters doubtful`")
    return found[0]


def it_arrived(ctx: Context, letter: outbox.Letter, actor: str) -> Said:
    """A person knows that it arrived."""
    sentence = f"{actor} says that the letter whose answer was lost arrived."
    return _do(ctx, letter, lambda tx: _arrived(ctx, tx, letter, actor, sentence))


def send_after_all(ctx: Context, letter: outbox.Letter, actor: str) -> Said:
    """A person wants it sent, although it may have arrived."""
    now = ctx.clock()

    def write(tx: Transaction) -> bool:
        if not outbox.send_after_all(tx, letter.tenant, letter.id, now, now):
            return False
        sentence = "The letter whose answer was lost is sent after all; it may arrive twice."
        audit.append(
            tx, letter.tenant, now, actor=actor, event="mailed.again", subject=letter.order_id, sentence=sentence
        )
        return True

    return _do(ctx, letter, write, forgotten=FORGOTTEN)


def _do(
    ctx: Context, letter: outbox.Letter, write: Callable[[Transaction], bool], forgotten: str | None = None
) -> Said:
    def guarded(tx: Transaction) -> str | None:
        standing = tenants.standing(tx, letter.tenant)
        if standing != "active":
            return f"its tenant is {standing}"
        if forgotten and letter.order_id and privacy.redacted(tx, letter.tenant, letter.order_id):
            return forgotten
        return None if write(tx) else SETTLED

    return Said(letter, ctx.door(letter.tenant).run(Store.BOOKS, guarded))
