"""Whether a promised letter is still to go: asked when it is taken up, and right before a relay may have it.

A letter may wait for days: while relays are away, until a person sends it after all or redrives it. Meanwhile its
cause may end, and then it is moot: it never goes, and its story says why.

    any                   its buyer was forgotten (5.15)
    invoice, correction   its document was cancelled, here or by hand, or is gone from sevdesk: what never left is ended
                          without a word (R5)
    cancellation          the letter with its invoice never left. While a relay is just being given that, this one waits
    payment               its invoice fell, or the money went back
    refund                the shop knows no such refund any more
    reminder              the order waits for no money or for another sum, has an invoice by now or another one; a
                          person or a bank looks at it (`paused`); the last day it names is over

What the books say of an order counts only where they were written after the promise. Nothing here calls anybody.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ladenbuch import audit, books, money_back, outbox, privacy
from ladenbuch.db import Transaction
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.failing import settled
from ladenbuch.workflows.redaction import NOT_SENT

log = logging.getLogger(__name__)

#: When a letter that has to wait for another one is looked at again.
_LATER = timedelta(minutes=1)
_WAITS = "it waits"
_FELL = "its document was cancelled or is gone"

_Payload = Mapping[str, Any]


def still_wanted(ctx: Context, tx: Transaction, letter: outbox.Letter, run_id: str) -> bool:
    """Whether a letter this run holds may go. False: it ended as moot, or is put back because it has to wait."""
    why = _why(ctx, tx, letter)
    if why is None:
        return True
    tenant, key, now = letter.tenant, letter.id, ctx.clock()
    if why == _WAITS:
        outbox.retry(tx, tenant, key, run_id, now, due_at=now + _LATER, reason="waits for what it follows")
    elif outbox.moot(tx, tenant, key, run_id, now, reason=why):
        log.info("letter is moot", extra={"reason": why})
        said = f"No letter is sent: {why}."
        audit.append(tx, tenant, now, actor="deliver", event="no-letter", subject=letter.order_id, sentence=said)
        settled(tx, tenant, "letter", key, now)
    return False


def _why(ctx: Context, tx: Transaction, letter: outbox.Letter) -> str | None:
    """Why a letter is moot, `_WAITS`, or None."""
    if letter.order_id and privacy.redacted(tx, letter.tenant, letter.order_id):
        outbox.forget_recipients(tx, letter.tenant, letter.order_id)
        return NOT_SENT
    look = _KINDS.get(letter.kind)
    if look is None:
        return None
    try:
        payload = json.loads(ctx.vault.open(letter.tenant, "letter", letter.id, letter.sealed_payload))
    except LadenbuchError as error:
        if error.code.startswith("DB-"):
            raise
        return None  # whoever composes it says what is wrong with it
    return look(ctx, tx, letter, payload)


def _document(ctx: Context, tx: Transaction, letter: outbox.Letter, payload: _Payload) -> str | None:
    return _FELL if books.fell(tx, letter.tenant, payload.get("document") or "") else None


def _cancellation(ctx: Context, tx: Transaction, letter: outbox.Letter, payload: _Payload) -> str | None:
    """The letter before is locked: whoever is about to send it sees the cancelled document after us, or we see that."""
    before = outbox.locked(tx, letter.tenant, letter.id.removesuffix(":cancelled"))
    if before is None or before.may_have_gone:
        return None
    return _WAITS if before.state == "sending" else "the invoice never left"


def _payment(ctx: Context, tx: Transaction, letter: outbox.Letter, payload: _Payload) -> str | None:
    known = books.money_facts(tx, letter.tenant, letter.order_id, letter.promised_at)
    if known is not None and sum(known.values()) < payload["amount"]:
        return "the money went back"
    return _document(ctx, tx, letter, payload)


def _refund(ctx: Context, tx: Transaction, letter: outbox.Letter, payload: _Payload) -> str | None:
    known = books.money_facts(tx, letter.tenant, letter.order_id, letter.promised_at)
    number = letter.id.rsplit(":", 1)[-1]
    if known is None or any(fact.rsplit("/", 1)[-1] == number and amount < 0 for fact, amount in known.items()):
        return None
    return "the shop knows no such refund any more"


def _reminder(ctx: Context, tx: Transaction, letter: outbox.Letter, payload: _Payload) -> str | None:
    tenant, order_id, now = letter.tenant, letter.order_id, ctx.clock()
    waits = money_back.waiting_of(tx, tenant, order_id)
    if waits is None or waits.owed <= 0:
        return "nothing is open any more"
    if waits.paused is not None or money_back.claims_of(tx, tenant, order_id):
        return "somebody looks at what is open"
    if waits.owed != payload["open"] or waits.document_key != payload.get("document"):
        return "what is open is another sum, or stands in another invoice"
    until = payload.get("until")
    if until and until < profile_at(profiles_in(tx, tenant), now).local_date(now).isoformat():
        return "the day it names is over"
    fell = _document(ctx, tx, letter, payload)
    return _WAITS if fell is None and waits.look else fell


_KINDS: Mapping[str, Callable[[Context, Transaction, outbox.Letter, _Payload], str | None]] = {
    "invoice": _document,
    "correction": _document,
    "cancellation": _cancellation,
    "payment": _payment,
    "refund": _refund,
    "reminder": _reminder,
}
