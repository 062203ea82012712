"""What relays tell of letters becomes the state of the letters: found by mark, checked by recipient, written once.

Each thing told ends as exactly one of `RESULTS`. Telling it again changes nothing and is no error; so is telling of
letters nobody knows. A copy that went to somebody else (an archive) says nothing of the letter.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from ladenbuch import audit, outbox, tenants, used_signatures
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import Rejected
from ladenbuch.mail.feedback import Told, dsn, forged
from ladenbuch.workflows import suppressing
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.deliver import keep_copy

log = logging.getLogger(__name__)

#: changed: the letter's state · known: it said nothing new · delayed: nothing yet · unknown: no letter of ours · other:
#: of another recipient · gone: the shop left.
Result = Literal["changed", "known", "delayed", "unknown", "other", "gone"]
RESULTS: tuple[Result, ...] = get_args(Result)
#: Longer than any provider goes on repeating.
_REMEMBERED = timedelta(days=2)
_SAID = {
    "delivered": "was delivered",
    "bounced": "came back",
    "complained": "was called spam by its buyer",
}


def use(ctx: Context, provider: str, signature: str, body: bytes) -> bool:
    """Whether a genuine request is heard for the first time. Raises Rejected("FEEDBACK-FORGED") for a signature that
    came with other words before."""
    now = ctx.clock()
    door = ctx.database.system("feedback")
    seen = door.run(Store.BOOKS, lambda tx: used_signatures.use(tx, provider, signature, body, now))
    if seen == "other":
        raise forged("its signature was used for something else")
    return seen == "new"


def prune(ctx: Context) -> int:
    """Forget signatures that would be refused for their age."""
    before = ctx.clock() - _REMEMBERED
    return ctx.database.system("feedback").run(Store.BOOKS, lambda tx: used_signatures.prune(tx, before))


def take(ctx: Context, told: Sequence[Told]) -> Counter[Result]:
    """Write down what was told; how much of it ended how.

    Raises Retryable: nothing of that tenant's part was written, and the same may be told again.
    """
    found: Counter[Result] = Counter()
    marks = {one.mark for one in told if one.mark is not None}
    door = ctx.database.system("feedback")
    known = door.read(Store.BOOKS, lambda tx: outbox.named(tx, marks)) if marks else []
    ours: dict[str, list[tuple[Told, outbox.Named]]] = {}
    for one in told:
        letters = [letter for letter in known if letter.mark == one.mark]
        if not letters:
            found["unknown"] += 1
        elif one.what == "delayed":
            found["delayed"] += 1
        else:
            for letter in letters:
                ours.setdefault(letter.tenant, []).append((one, letter))
    for tenant, some in ours.items():
        found += ctx.door(tenant).run(Store.BOOKS, lambda tx, t=tenant, s=some: _take(ctx, tx, t, s))  # type: ignore[misc]
    return found


def _take(ctx: Context, tx: Transaction, tenant: str, told: Sequence[tuple[Told, outbox.Named]]) -> Counter[Result]:
    found: Counter[Result] = Counter()
    if tenants.get(tx, tenant).state in ("uninstalled", "redacted"):
        found["gone"] += len(told)
        return found
    for one, letter in told:
        found[_take_one(ctx, tx, one, letter)] += 1
    return found


def _take_one(ctx: Context, tx: Transaction, one: Told, letter: outbox.Named) -> Result:
    tenant, now = letter.tenant, ctx.clock()
    recipient = suppressing.recipient_of(ctx, tx, tenant, one.recipient) if one.recipient else None
    # A bounce message is signed by nobody: it counts only where it names the very recipient.
    if recipient != letter.recipient and (letter.recipient is not None or one.provider == dsn.NAME):
        return "other"
    reason = None if one.what == "delivered" else " ".join(f"{one.status} {one.reason}".split())[:200]
    which = {"what": one.what, "bounce": one.bounce, "at": min(one.at, now), "reason": reason}
    before = outbox.get(tx, tenant, letter.id)
    if not outbox.told(tx, tenant, letter.id, now, **which):  # type: ignore[arg-type]
        return "known"
    if before is not None and _answers(before, one):
        sentence = f"The letter whose answer was lost had been accepted, says {one.provider}."
        audit.append(
            tx, tenant, now, actor="feedback", event="mailed.arrived", subject=letter.order_id, sentence=sentence
        )
        keep_copy(ctx, tx, before)
    if one.what != "delivered":
        _say(tx, letter, one, now)
    if recipient is not None:
        suppressing.heard(ctx, tx, tenant, letter.id, letter.order_id, recipient, one.what, one.bounce)
    return "changed"


def _answers(before: outbox.Letter, one: Told) -> bool:
    """Whether what is told is the first word that a relay took the letter: no run is left to write that down."""
    return before.state == "uncertain" or (before.state in ("promised", "failed") and one.what != "bounced")


def _say(tx: Transaction, letter: outbox.Named, one: Told, now: datetime) -> None:
    how = f" ({one.bounce})" if one.bounce else ""
    code = f", {one.status}" if one.status else ""
    sentence = f"A letter {_SAID[one.what]}{how}, says {one.provider}{code}."
    audit.append(
        tx, letter.tenant, now, actor="feedback", event=f"letter.{one.what}", subject=letter.order_id, sentence=sentence
    )


def take_bounce(ctx: Context, raw: bytes) -> tuple[int, Counter[Result]]:
    """A message from the bounce mailbox: how many things it says of letters, and how they ended; (0, …): no report.

    Raises Rejected("FEEDBACK-SHAPE") for what is no message.
    """
    try:
        told = dsn.read(raw, ctx.clock())
    except Rejected:
        log.warning("a message in the bounce mailbox cannot be read")
        raise
    return len(told), take(ctx, told)
