"""Who gets no letters: asked before each letter, and written when a relay or a person says so.

Addresses are known by a keyed hash; the secret is the tenant's alone and made when it is first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from ladenbuch import audit, outbox, privacy, suppressions
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.feedback import Bounce, Cause, What, address_mark, bounce_of, spares, worn_out
from ladenbuch.mail.feedback import status_in
from ladenbuch.workflows.context import Context

#: Why a letter was not sent, for the row and the order's story.
_NOT_SENT: dict[Cause, str] = {
    "complaint": "the buyer complained about an earlier letter",
    "invalid": "an earlier letter came back: there is no such mailbox",
    "soft": "the last letters to this address all came back",
    "operator": "the address was put on the list by hand",
}


@dataclass(frozen=True, slots=True)
class Address:
    """An address as the books know it, and why it gets no letters; None: it gets them."""

    recipient: str
    cause: Cause | None


def look_up(ctx: Context, tenant: str, address: str) -> Address:
    """What the tenant's list says of an address."""

    def read(tx: Transaction) -> Address | None:
        secret = ctx.vault.get_secret(tx, tenant, suppressions.SECRET)
        if secret is None:
            return None
        recipient = address_mark(secret.value, address)
        return Address(recipient, suppressions.cause_of(tx, tenant, recipient))

    door = ctx.door(tenant)
    found = door.read(Store.BOOKS, read)
    return found or Address(door.run(Store.BOOKS, lambda tx: recipient_of(ctx, tx, tenant, address)), None)


def recipient_of(ctx: Context, tx: Transaction, tenant: str, address: str) -> str:
    """The keyed hash of an address; the tenant's secret is made here when there is none."""
    secret = ctx.vault.get_secret(tx, tenant, suppressions.SECRET)
    if secret is None:
        value = token_hex(32)
        ctx.vault.put_secret(tx, tenant, suppressions.SECRET, value, ctx.clock())
    else:
        value = secret.value
    return address_mark(value, address)


def spare(ctx: Context, letter: outbox.Letter, run_id: str, address: Address) -> bool:
    """Put a claimed letter to rest whose address is on the list; False: it may be sent."""
    cause = address.cause
    if cause is None:
        return False

    def write(tx: Transaction) -> None:
        now, why = ctx.clock(), _NOT_SENT[cause]
        reason, to = f"SUPPRESSED: {why}", address.recipient
        if outbox.suppressed(tx, letter.tenant, letter.id, run_id, now, recipient=to, why=cause, reason=reason):
            _say(tx, letter.tenant, now, letter.order_id, "deliver", "no-letter", f"No letter is sent: {why}.")

    ctx.door(letter.tenant).run(Store.BOOKS, write)
    return True


def refused(ctx: Context, letter: outbox.Letter, address: Address, reason: str) -> None:
    """The relay itself refused a recipient for good: an address that does not exist is on the list from now on."""
    bounce = bounce_of(status_in(reason), final=False)
    if bounce == "invalid" and reason.startswith("recipient"):
        ctx.door(letter.tenant).run(
            Store.BOOKS,
            lambda tx: heard(ctx, tx, letter.tenant, letter.id, letter.order_id, address.recipient, "bounced", bounce),
        )


def heard(
    ctx: Context,
    tx: Transaction,
    tenant: str,
    letter_id: str,
    order_id: str,
    recipient: str,
    what: What,
    bounce: Bounce | None,
) -> Cause | None:
    """What was just heard of a letter may put its address on the list; why, when it did."""
    cause = spares(what, bounce)
    if cause is None and bounce == "soft" and worn_out(outbox.of_recipient(tx, tenant, recipient)):
        cause = "soft"
    now = ctx.clock()
    if cause != "complaint" and privacy.redacted(tx, tenant, order_id):
        return None  # nothing of the address is kept any more, unless its owner wants no letters
    if cause is None or not suppressions.add(
        tx, tenant, recipient, cause, now, actor="feedback", letter=letter_id, note=_NOT_SENT[cause]
    ):
        return None
    sentence = f"The buyer of this order gets no letters any more: {_NOT_SENT[cause]}."
    _say(tx, tenant, now, order_id, "feedback", "suppressed", sentence)
    return cause


def put(ctx: Context, tenant: str, address: str, *, by: str, note: str) -> bool:
    """A person puts an address on the list; False when it was on it."""

    def write(tx: Transaction) -> bool:
        now, recipient = ctx.clock(), recipient_of(ctx, tx, tenant, address)
        new = suppressions.add(tx, tenant, recipient, "operator", now, actor=by, note=note)
        if new:
            _say(tx, tenant, now, recipient[:12], by, "suppressed", f"An address gets no letters any more: {note}.")
        return new

    return ctx.door(tenant).run(Store.BOOKS, write)


def take_off(ctx: Context, tenant: str, address: str, *, by: str, note: str, send: bool) -> tuple[bool, int]:
    """A person takes an address off the list: whether it was on it, and how many letters are promised anew (`send`)."""

    def write(tx: Transaction) -> tuple[bool, int]:
        now, recipient = ctx.clock(), recipient_of(ctx, tx, tenant, address)
        gone = suppressions.remove(tx, tenant, recipient)
        letters = outbox.again(tx, tenant, recipient, now) if gone and send else 0
        if gone:
            sentence = f"An address gets letters again: {note}. {letters} letters are promised anew."
            _say(tx, tenant, now, recipient[:12], by, "suppression.ended", sentence)
        return gone, letters

    done = ctx.door(tenant).run(Store.BOOKS, write)
    if done[1]:
        ctx.wake("deliver")
    return done


def _say(tx: Transaction, tenant: str, now: datetime, subject: str, by: str, event: str, sentence: str) -> None:
    audit.append(tx, tenant, now, actor=by, event=event, subject=subject, sentence=sentence)
