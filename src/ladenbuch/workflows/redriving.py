"""What a person does about what gave up: try it again, now or so many a minute; drop it with a reason; remark on it.

Everything is shown before it is done (`Step`), and each thing done is a line of the audit chain. The inbox is written
before the books: what is killed in between is due and still listed, so it is settled or listed again, never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ladenbuch import audit, deadletters, inbox, outbox, privacy, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.deadletters import DeadLetter, Which
from ladenbuch.errors import UsageError
from ladenbuch.workflows.failing import tell

_GID = "gid://shopify/Order/"
_CHANGED = "it changed meanwhile; look again"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, or would be, about one dead letter: due again at `at` (UTC), or left as it is because of `why`."""

    letter: DeadLetter
    at: datetime | None = None
    why: str | None = None


def id_of(letter: DeadLetter) -> str:
    """How people name it: `order:4711`, `letter:<key>`, `event:<webhook id>`."""
    return f"{letter.kind}:{letter.subject.removeprefix(_GID)}"


def named(database: Database, name: str, tenant: str | None) -> DeadLetter:
    """The row of a name. Raises UsageError("DEAD-LETTER") where there is none, or one in several tenants."""
    kind, _, subject = name.partition(":")
    if kind not in deadletters.KINDS or not subject:
        raise UsageError("DEAD-LETTER", f"{name!r} is no id such as order:4711; see `ladenbuch dead-letters list`")
    if kind == "order" and subject.isdigit():
        subject = _GID + subject

    def look(tx: Transaction) -> list[DeadLetter]:
        owners = [tenant] if tenant is not None else [owner.id for owner in tenants.all(tx)]
        return [found for owner in owners if (found := deadletters.get(tx, owner, kind, subject)) is not None]

    found = database.system("dead letters").read(Store.BOOKS, look)
    if len(found) != 1:
        what = "is in several tenants; name one with --tenant" if found else "is not among what failed"
        raise UsageError("DEAD-LETTER", f"{name} {what}")
    return found[0]


def matching(database: Database, which: Which, limit: int = 100_000) -> Sequence[DeadLetter]:
    """The rows of a choice, newest first, over all tenants where it names none."""
    return database.system("dead letters").read(Store.BOOKS, lambda tx: deadletters.find(tx, which, limit))


def redrive(
    database: Database,
    letters: Sequence[DeadLetter],
    *,
    actor: str,
    now: datetime,
    rate: int | None = None,
    preview: bool = False,
) -> list[Step]:
    """Try them again, the oldest first, at most `rate` a minute; with `preview` only say so."""
    steps: list[Step] = []
    due = 0
    for letter in sorted(letters, key=lambda one: (one.gave_up_at, one.tenant, one.subject)):
        at = now + timedelta(seconds=0 if rate is None else 60 * due / rate)
        why = database.tenant(letter.tenant).read(Store.BOOKS, partial(_hindrance, letter))
        if why is None and not preview:
            with working_as(Priority.BACKFILL if len(letters) > 1 else Priority.INTERACTIVE):
                why = _redrive(database, letter, actor, now, at)
        due += why is None
        steps.append(Step(letter, at if why is None else None, why))
    return steps


def drop(
    database: Database, letters: Sequence[DeadLetter], *, actor: str, reason: str, now: datetime, preview: bool = False
) -> list[Step]:
    """Give them up for good, because of `reason`, which stays with them. Raises UsageError("REASON") without one."""
    said = _said(reason, "REASON", "say why with --reason")
    return [_drop(database, letter, actor, said, now, preview=preview) for letter in letters]


def annotate(database: Database, letter: DeadLetter, note: str, *, actor: str, now: datetime) -> Step:
    """Keep a remark with it; it stays whatever becomes of it. Raises UsageError("NOTE") for an empty one."""
    said = _said(note, "NOTE", "say what with --note")

    def write(tx: Transaction) -> bool:
        if not deadletters.annotate(tx, letter, said):
            return False
        _say(tx, letter, actor, now, "gave-up.noted", f"Remark on {id_of(letter)}: {said}")
        return True

    done = database.tenant(letter.tenant).run(Store.BOOKS, write)
    return Step(letter, why=None if done else _CHANGED)


def _hindrance(letter: DeadLetter, tx: Transaction) -> str | None:
    """Why it cannot be tried again; None when it can."""
    if letter.state != "open":
        return f"it is {letter.state}, not given up"
    standing = tenants.standing(tx, letter.tenant)
    if standing != "active":
        return f"its tenant is {standing}"
    if letter.kind == "letter":
        promised = outbox.get(tx, letter.tenant, letter.subject)
        if promised is None or promised.state != "failed":
            return "the letter is not waiting for anybody" if promised is None else f"the letter is {promised.state}"
        if privacy.redacted(tx, letter.tenant, promised.order_id):
            return "its buyer was forgotten"
    return None


def _mark(letter: DeadLetter) -> str | None:
    """The mark in the inbox that stands for it; None for a letter."""
    if letter.kind == "letter":
        return None
    return inbox.mark_of(letter.subject) if letter.kind == "event" else letter.subject


def _redrive(database: Database, letter: DeadLetter, actor: str, now: datetime, at: datetime) -> str | None:
    door, tenant, mark = database.tenant(letter.tenant), letter.tenant, _mark(letter)
    if mark is not None:
        door.run(Store.INBOX, lambda tx: inbox.redrive(tx, tenant, mark, now, at))

    def write(tx: Transaction) -> str | None:
        if deadletters.get(tx, tenant, letter.kind, letter.subject) != letter:
            return None if mark is not None else _CHANGED  # it is wanted all the same
        if mark is None and not outbox.redrive(tx, tenant, letter.subject, now, at):
            return _CHANGED
        deadletters.close(tx, letter, "redriven")
        _say(tx, letter, actor, now, "gave-up.redriven", f"{id_of(letter)} is tried again: {letter.code}.")
        tell(tx, tenant, now)
        return None

    return door.run(Store.BOOKS, write)


def _drop(database: Database, letter: DeadLetter, actor: str, reason: str, now: datetime, *, preview: bool) -> Step:
    if letter.state != "open":
        return Step(letter, why=f"it is {letter.state}, not given up")
    if preview:
        return Step(letter)
    door, tenant, mark = database.tenant(letter.tenant), letter.tenant, _mark(letter)
    if mark is not None:
        door.run(Store.INBOX, lambda tx: inbox.drop(tx, tenant, mark, "DROPPED"))

    def write(tx: Transaction) -> bool:
        if not deadletters.close(tx, letter, "dropped", reason):
            return False
        _say(tx, letter, actor, now, "gave-up.dropped", f"{id_of(letter)} was dropped: {reason}")
        tell(tx, tenant, now)
        return True

    return Step(letter, why=None if door.run(Store.BOOKS, write) else _CHANGED)


def _said(text: str, code: str, missing: str) -> str:
    said = " ".join(text.split())
    if not said or len(said) > 500 or not said.isprintable():
        raise UsageError(code, f"{missing}: one line of at most 500 characters")
    return said


def _say(tx: Transaction, letter: DeadLetter, actor: str, now: datetime, event: str, sentence: str) -> None:
    audit.append(tx, letter.tenant, now, actor=actor, event=event, subject=letter.subject, sentence=sentence)
