"""Promised letters -> a relay, each accepted once or listed as uncertain; never two.

The row says `sending` on disk before the moment from which a relay may hold the letter. A process that dies after
that leaves a letter nobody can be sure of: it is listed `LETTER-UNCERTAIN` and not sent again by us.
"""

from __future__ import annotations

import json
import logging
from datetime import date

from ladenbuch import audit, books, outbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.retry import retry_at
from ladenbuch.errors import LadenbuchError, NeedsAttention, Rejected, Retryable
from ladenbuch.mail.letters import InvoiceLetter, invoice_letter
from ladenbuch.mail.transport import Accepted, Refused, TryLater, Uncertain
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

_BATCH = 20


def deliver_all(ctx: Context) -> int:
    """Send what is due; returns how many letters were handed over. One letter's trouble does not stop the others."""
    now = ctx.clock()
    system = ctx.database.system("deliver")
    if not system.read(Store.BOOKS, lambda tx: bool(outbox.due(tx, now, 1))):
        return 0
    sent = 0
    for letter in system.read(Store.BOOKS, lambda tx: outbox.due(tx, now, _BATCH)):
        try:
            sent += _deliver(ctx, letter)
        except LadenbuchError as error:
            log.warning("letter postponed", extra={"tenant": letter.tenant, "letter": letter.id, "code": error.code})
            _again(ctx, letter, error.code)
    return sent


def _deliver(ctx: Context, letter: outbox.Letter) -> int:
    tenant, run_id = letter.tenant, f"{ctx.executor}:{ctx.new_id()}"
    door = ctx.door(tenant)
    stopped = door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant))
    if stopped is not None:
        raise Retryable("STOPPED", "writing is stopped", after=2.0)
    claimed = door.run(Store.BOOKS, lambda tx: outbox.claim(tx, tenant, letter.id, run_id, ctx.clock()))
    if claimed is None:
        return 0
    try:
        message, sender, to, number = _compose(ctx, claimed)
    except Rejected as refusal:
        reason = f"{refusal.code}: {refusal.message}"
        door.run(Store.BOOKS, lambda tx: outbox.failed(tx, tenant, letter.id, run_id, ctx.clock(), reason=reason))
        return 0

    def before_data() -> None:
        door.run(Store.BOOKS, lambda tx: outbox.sending(tx, tenant, letter.id, run_id, ctx.clock()))

    outcome = ctx.relays.send(message, sender, to, before_data)
    now = ctx.clock()
    if isinstance(outcome, Accepted):
        relay, reply, message_id = outcome.relay, outcome.reply, message["Message-ID"]

        def accepted(tx: Transaction) -> None:
            outbox.accepted(tx, tenant, letter.id, run_id, now, message_id=message_id, relay=relay, reply=reply)
            sentence = f"The letter with invoice {number} was accepted by {relay}."
            audit.append(
                tx, tenant, now, actor="deliver", event="mailed", subject=claimed.order_id, sentence=sentence
            )

        door.run(Store.BOOKS, accepted)
        return 1
    _not_accepted(ctx, claimed, run_id, outcome)
    return 0


def _compose(ctx: Context, letter: outbox.Letter) -> tuple[object, str, str, str]:
    """The message with its PDF. Raises Rejected when it can never be sent, Retryable when sevdesk has no PDF yet."""
    tenant = letter.tenant
    payload = json.loads(ctx.vault.open(tenant, "letter", letter.sealed_payload))
    unseal = ctx.unseal(tenant, "pins")
    door = ctx.door(tenant)
    known = door.read(Store.BOOKS, lambda tx: books.load(tx, tenant, letter.order_id, unseal))
    document: PostedDocument | None = next((d for d in known.documents if d.key == payload["document"]), None)
    if document is None or document.number is None or document.sevdesk_id is None:
        raise Retryable("UNCONFIRMED", "the invoice has no number yet")
    pdf = ctx.sevdesk(tenant).invoice_pdf(document.sevdesk_id)
    profile = ctx.profiles(tenant)[-1]
    draft = document.draft
    booked = sum(item.amount for item in known.bookings if item.done)
    context = InvoiceLetter(
        letter_key=letter.key,
        to_email=payload["to"],
        to_name=draft.party.name,
        locale=payload["locale"],
        shop_name=profile.shop_name or profile.shop_key,
        sender=ctx.mail_from,
        reply_to=ctx.mail_from,
        invoice_number=document.number,
        order_name=draft.note.split(" / ")[0],
        invoice_date=date.fromisoformat(draft.invoice_date.isoformat()),
        gross_minor=draft.gross,
        currency=draft.currency,
        paid=booked >= draft.gross,
    )
    message = invoice_letter(context, pdf.content, ctx.clock())
    return message, ctx.mail_from, payload["to"], document.number


def _not_accepted(ctx: Context, letter: outbox.Letter, run_id: str, outcome: object) -> None:
    tenant, now = letter.tenant, ctx.clock()
    door = ctx.door(tenant)
    if isinstance(outcome, Uncertain):
        reason = outcome.reason
        door.run(Store.BOOKS, lambda tx: outbox.uncertain(tx, tenant, letter.id, run_id, now, reason=reason))
    elif isinstance(outcome, Refused) and outcome.permanent:
        reason = outcome.reason
        door.run(Store.BOOKS, lambda tx: outbox.failed(tx, tenant, letter.id, run_id, now, reason=reason))
    else:
        assert isinstance(outcome, (TryLater, Refused))
        _again(ctx, letter, outcome.reason, run_id)


def _again(ctx: Context, letter: outbox.Letter, reason: str, run_id: str | None = None) -> None:
    jitter = 2 * ctx.chance() - 1
    again = retry_at(ctx.clock(), letter.attempts, reason, ladder=ctx.timing.letter_ladder, jitter=jitter)
    ctx.door(letter.tenant).run(
        Store.BOOKS,
        lambda tx: outbox.retry(tx, letter.tenant, letter.id, run_id, ctx.clock(), due_at=again.at, reason=reason),
    )


__all__ = ["NeedsAttention", "deliver_all"]
