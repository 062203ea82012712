"""Orders Shopify does not show (R18): too old for our scopes, or deleted. Their documents stay; a person is told.

What webhooks said meanwhile is told with it: how much went back, and that the order was deleted. Never the other way
round: that an order cannot be read does not mean that it is gone.
"""

from __future__ import annotations

from ladenbuch import books, inbox
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.answers import Answers, question_hash
from ladenbuch.domain.facts import Problem
from ladenbuch.errors import Rejected
from ladenbuch.inbox import BODY_PURPOSE
from ladenbuch.shopify.webhooks import refunded
from ladenbuch.vault import Sealed
from ladenbuch.workflows.run import Run

_CHOICES = ("keep the documents", "look it up in Shopify")


def unseen(run: Run, reason: str) -> str:
    """Ask about an order with documents; note one without. Returns DELETED or INVISIBLE."""
    ctx, tenant, order_id = run.ctx, run.tenant, run.order_id
    now, door = ctx.clock(), ctx.door(tenant)
    heard = door.read(Store.INBOX, lambda tx: inbox.history(tx, tenant, order_id))
    deleted = any(row["topic"] == "orders/delete" for row in heard)
    asked = _deleted(order_id) if deleted else _invisible(run, reason)

    def record(tx: Transaction) -> None:
        books.check_fence(tx, tenant, order_id, run.run_id)
        known = books.load(tx, tenant, order_id, ctx.unseal(tenant, "pins"))
        if any(item.state != "cancelled" for item in known.documents):
            left = [] if Answers.of(known.resolutions).to(asked) else [(asked, question_hash(asked, None))]
            books.record_attention(tx, tenant, order_id, left, now)

    door.run(Store.BOOKS, record)
    return asked.code


def _opened(run: Run, webhook_id: str, key_id: str, body: bytes) -> bytes:
    """A webhook's body; nothing where it was erased or its key is gone: then its refund is merely not told."""
    try:
        return run.ctx.vault.open(run.tenant, BODY_PURPOSE, webhook_id, Sealed(key_id, body))
    except Rejected:
        return b""


def _deleted(order_id: str) -> Problem:
    message = "the order was deleted in Shopify: its documents stay, and nothing more is written for it"
    return Problem("DELETED", message, (order_id,), _CHOICES)


def _invisible(run: Run, reason: str) -> Problem:
    """The question names each refund a webhook told of, so that another one is asked about again."""
    ctx, tenant = run.ctx, run.tenant
    bodies = ctx.door(tenant).read(Store.INBOX, lambda tx: inbox.bodies(tx, tenant, run.order_id, "refunds/create"))
    told = [refunded(_opened(run, *each)) for each in bodies]
    back = {identity: amount for identity, amount in told if identity is not None}
    message = f"Shopify does not show the order ({reason})"
    if back:
        message += f"; {sum(back.values())} minor units were refunded since, as its webhook says"
    return Problem("INVISIBLE", message, (run.order_id, *sorted(back)), _CHOICES)
