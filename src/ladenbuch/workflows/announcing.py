"""What other tools and the shop are to hear of a fact, noted in the fact's own transaction: events, and write-backs.

Nothing is told of an order whose buyer was forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ladenbuch import events, privacy, tenants, write_backs
from ladenbuch.db import Transaction
from ladenbuch.domain.books import Booked, PostedDocument
from ladenbuch.domain.event_words import about_booking, about_document, about_order, body_of, money, webhook_id
from ladenbuch.domain.profile import profile_at
from ladenbuch.workflows.context import profiles_in
from ladenbuch.workflows.run import Run

#: How long a write-back waits for what follows at once: number, then payment, are one write.
_TOGETHER = timedelta(seconds=10)


def numbered(
    tx: Transaction, run: Run, document: PostedDocument, number: str, *, corrects: PostedDocument | None = None
) -> None:
    """A document has its number, from us or from a person's hand."""
    kind = "invoice.corrected" if document.kind == "credit_note" else "invoice.created"
    said = {"document": about_document(document, number, _link(run, document))}
    if corrects is not None:
        said["corrects"] = {"number": corrects.number}
    _tell(tx, run, kind, document.key, _name(document), said)
    _want(tx, run)


def cancelled(tx: Transaction, run: Run, document: PostedDocument, by: str | None) -> None:
    """An invoice was cancelled by the document `by`."""
    said: dict[str, Any] = {"document": about_document(document, document.number or "", _link(run, document))}
    _tell(tx, run, "invoice.cancelled", document.key, _name(document), said | {"cancelled_by": by})
    _want(tx, run)


def booked(tx: Transaction, run: Run, booking: Booked, document: PostedDocument) -> None:
    """Money is booked on a document."""
    kind = "payment.booked" if booking.amount > 0 else "refund.booked"
    _tell(tx, run, kind, booking.key, _name(document), {"booking": about_booking(booking, document)})
    _want(tx, run)


def paid_by_others(tx: Transaction, run: Run, document: PostedDocument, amount: int, whole: int) -> None:
    """A person or sevdesk itself linked money to an invoice: `amount` more than before, `whole` in all."""
    said = {"transaction": None, "amount": money(amount, document.draft.currency), "document": document.number}
    _tell(tx, run, "payment.booked", f"{document.key}:others:{whole}", _name(document), {"booking": said})


def asked(tx: Transaction, run: Run, name: str, code: str, facts_hash: str) -> None:
    """A person is asked about the order: the code says what, its facts stay with us."""
    _tell(tx, run, "order.attention", f"{run.order_id}:{code}:{facts_hash}", name, {"code": code})


def changed_by_hand(tx: Transaction, run: Run) -> None:
    """People did something to the order's documents in sevdesk."""
    _want(tx, run)


def _tell(tx: Transaction, run: Run, kind: str, key: str, name: str, said: Mapping[str, Any]) -> None:
    ctx, tenant = run.ctx, run.tenant
    heard = any(one.wants(kind) for one in events.endpoints(tx, tenant))
    if not heard or privacy.redacted(tx, tenant, run.order_id):
        return
    shop = tenants.get(tx, tenant).shop
    data = about_order(shop, run.order_id, name) | dict(said)
    id = webhook_id(tenant, f"{kind}:{key}")
    if events.tell(tx, tenant, id, kind, run.order_id, ctx.clock(), lambda at: body_of(kind, at, data)):
        ctx.database.after_commit(lambda: ctx.wake("events"))


def _want(tx: Transaction, run: Run) -> None:
    """Something may have to be written back, where the tenant wants that."""
    ctx, tenant = run.ctx, run.tenant
    now = ctx.clock()
    if profile_at(profiles_in(tx, tenant), now).write_back == "off":
        return
    if not privacy.redacted(tx, tenant, run.order_id):
        write_backs.want(tx, tenant, run.order_id, now + _TOGETHER)


def _name(document: PostedDocument) -> str:
    return document.draft.note.split(" / ")[0]


def _link(run: Run, document: PostedDocument) -> str | None:
    template = run.ctx.document_link
    if not template or document.sevdesk_id is None or document.kind == "credit_note":
        return None
    return template.replace("{id}", document.sevdesk_id)
