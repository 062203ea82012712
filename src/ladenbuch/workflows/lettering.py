"""The door through which every letter is promised: sealed, once per key, never to a buyer who was forgotten.

Whoever finds that a letter is due calls `promise` in the transaction that makes it due; `deliver` sends it once. What
a payload says depends on the kind (composing reads it; amounts in minor units, days as ISO dates):

    invoice, correction   document (its key in the books), to, locale
    cancellation          document (the invoice that was cancelled), to, locale
    payment               document, to, locale, amount (what came in), on (the day)
    refund                to, locale, name, order (its name), amount, currency, on
    reminder              level (1..3), days_overdue, open (what is owed still), and either document, or for an order
                          without an invoice (prepayment) to, locale, name, order, amount, currency, due; until: the
                          new last day, where one is named
    copy                  to (the archive), of, kind and payload of the letter; promised by `copied` alone
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ladenbuch import outbox, privacy, tenants
from ladenbuch.db import Transaction
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import LadenbuchError
from ladenbuch.mail.letters import LETTER_KINDS, LetterKind
from ladenbuch.vault import Sealed
from ladenbuch.workflows.context import Context, profiles_in

log = logging.getLogger(__name__)

#: Letters to buyers, of which an archive keeps a copy.
_COPIED: frozenset[str] = frozenset(LETTER_KINDS) - {"digest", "copy"}


def promise(
    ctx: Context,
    tx: Transaction,
    tenant: str,
    kind: LetterKind,
    key: str,
    *,
    order_id: str,
    document_id: str | None = None,
    payload: Mapping[str, Any],
    since: datetime | None = None,
) -> bool:
    """Promise a letter in an open transaction of the books, due now; call `ctx.wake("deliver")` after it.

    `key` is the letter's for ever: a second promise with it changes nothing. `document_id` is sevdesk's. False, and
    nothing is written, where the key was used, the buyer was forgotten, or where the cause (`since`) is older than a
    backup the books were put back from: whether that letter went out, nobody knows (rather none than two).
    """
    if order_id and privacy.redacted(tx, tenant, order_id):
        return False
    restored_at = tenants.restored_at(tx, tenant)
    if since is not None and restored_at is not None and since <= restored_at:
        return False
    key_id, ciphertext = ctx.seal(tenant, "letter", order_id)(key, json.dumps(dict(payload)).encode())
    return outbox.promise(
        tx,
        tenant,
        key=key,
        kind=kind,
        order_id=order_id,
        document_id=document_id,
        sealed_payload=Sealed(key_id, ciphertext),
        now=ctx.clock(),
    )


def copied(ctx: Context, tx: Transaction, letter: outbox.Letter) -> bool:
    """Promise the archive its copy of a letter that was just accepted, in the transaction that says so.

    False where the profile names no archive, or the letter is none to a buyer. The archive holds what really left, and
    no buyer waits for it. Whatever keeps the copy from being written (its buyer was forgotten meanwhile) is logged:
    that the letter was accepted must be recorded all the same, else it would go out again.
    """
    if letter.kind not in _COPIED:
        return False
    try:
        archive = profile_at(profiles_in(tx, letter.tenant), ctx.clock()).letters_bcc
        if not archive:
            return False
        payload = json.loads(ctx.vault.open(letter.tenant, "letter", letter.id, letter.sealed_payload))
        said = {"to": archive, "of": letter.id, "kind": letter.kind, "payload": payload}
        return promise(
            ctx,
            tx,
            letter.tenant,
            "copy",
            f"{letter.id}:copy",
            order_id=letter.order_id,
            document_id=letter.document_id,
            payload=said,
        )
    except LadenbuchError as error:
        if error.code.startswith("DB-"):
            raise  # nothing of this transaction is written: it is tried again whole
        log.warning("no copy for the archive", extra={"code": error.code})
        return False
