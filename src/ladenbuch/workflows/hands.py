"""Looking at our documents in sevdesk before anything is done to them: what people and bank feeds did (R12-R15).

One read per document, a few more only where something is not as we left it. A document whose call may still be under
way is not looked at: what we did ourselves must not be taken for somebody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from ladenbuch import books
from ladenbuch.db import Transaction
from ladenbuch.domain.books import Books, Hand, PostedDocument
from ladenbuch.domain.document import InvoiceDraft, rate_text
from ladenbuch.domain.hands import Credited, Standing, hands_of
from ladenbuch.sevdesk.credit_notes import RemoteCreditNote, credit_note_hash
from ladenbuch.sevdesk.documents import RemoteInvoice, content_hash
from ladenbuch.sevdesk.positions import sums_per_rate
from ladenbuch.workflows import announcing
from ladenbuch.workflows.contacts import contact_of
from ladenbuch.workflows.run import Run


def look(run: Run, known: Books, wanted: Collection[str], *, refund_due: bool) -> bool:
    """Look at the order's documents; write down what others did. True when the books now say something new.

    `wanted` are the keys of what is about to be done: where one of them may have been done without our hearing of it,
    that is found out first. `refund_due`: a credit note is about to be written, so those of a person are looked for.
    """
    seen: list[Hand] = []
    looked_at: list[str] = []
    finalised: list[tuple[PostedDocument, str]] = []
    moved: list[Hand] = []
    for document in known.documents:
        settled = document.sevdesk_id is None or document.state == "cancelled"
        if settled or _busy(run, document, known, wanted):
            continue
        booked = sum(item.amount for item in known.bookings if item.done and item.document_key == document.key)
        if isinstance(document.draft, InvoiceDraft):
            standing = _standing(run, document, booked, refund_due=refund_due)
        elif document.state != "final":
            continue  # its draft lives for a moment, between two calls of one run
        else:
            standing = _standing_note(run, document)
        found = hands_of(document, standing, booked)
        moved += [item for item in found if item.kind == "moved"]
        found = [item for item in found if item.kind != "moved"]
        adopted = next((item for item in found if item.kind == "finalised"), None)
        if adopted is not None and adopted.number is not None:
            finalised.append((document, adopted.number))
            continue
        looked_at.append(document.key)
        seen += found
    before = {hand for hand in known.hands if hand.document_key in looked_at}
    if before == set(seen) and not finalised and not moved:
        return False
    cancelled = [hand for hand in seen if hand.kind == "cancelled" and hand not in before]

    def record(tx: Transaction) -> None:
        books.record_hands(tx, run.tenant, run.order_id, seen, looked_at, run.ctx.clock())
        for document, number in finalised:
            books.finalised(tx, run.tenant, document.key, number, run.ctx.clock())
            books.taken_over(tx, run.tenant, document.key)
            run.say(tx, "finalised", f"A person finalised the draft for {document.draft.note}: {number}.")
            announcing.numbered(tx, run, document, number)
        for hand in cancelled:
            books.cancelled(tx, run.tenant, hand.document_key)
            gone = next(item for item in known.documents if item.key == hand.document_key)
            announcing.cancelled(tx, run, gone, hand.number)
        for hand in moved:
            books.moved(tx, run.tenant, hand.document_key, hand.number, date.fromisoformat(hand.content))
            run.say(tx, "by-hand", f"{hand.document_key} in sevdesk: number {hand.number}, dated {hand.content}.")
        for hand in set(seen) - before:
            run.say(tx, "by-hand", f"{hand.document_key} in sevdesk: {hand.kind} {hand.number or ''}".rstrip() + ".")
        _announce(tx, run, known, set(seen) - before, before)

    run.write(record)
    return True


def _announce(tx: Transaction, run: Run, known: Books, fresh: set[Hand], before: set[Hand]) -> None:
    """Other tools hear of money that others linked to an invoice; the shop may show the invoice otherwise now."""
    paid = {hand.document_key: hand.amount for hand in before if hand.kind == "paid"}
    for hand in sorted((one for one in fresh if one.kind == "paid"), key=lambda one: one.document_key):
        document = next(item for item in known.documents if item.key == hand.document_key)
        more = hand.amount - paid.get(hand.document_key, 0)
        if document.kind != "credit_note" and document.number is not None and more > 0:
            announcing.paid_by_others(tx, run, document, more, hand.amount)
    announcing.changed_by_hand(tx, run)


def _busy(run: Run, document: PostedDocument, known: Books, wanted: Collection[str]) -> bool:
    """Whether a call of ours on this document may be under way, or may have landed and is about to be looked for."""
    since = run.ctx.clock() - timedelta(seconds=run.ctx.timing.client_timeout + run.ctx.timing.ambiguous_wait)
    fresh = {key for key, called_at in known.pending.items() if called_at >= since or key in wanted}
    own = {document.key, f"fin:{document.key}", f"sr:{document.key}"}
    return bool(own & fresh) or any(key.startswith(("pay:", "cn:", "fin:cn:", "anew:")) for key in fresh)


def _standing(run: Run, document: PostedDocument, booked: int, *, refund_due: bool) -> Standing:
    assert document.sevdesk_id is not None
    invoice = run.sevdesk.get_invoice(document.sevdesk_id)
    if invoice is None:
        return Standing(exists=False)
    cancelled_by = _cancelled_by(run, document, invoice, booked)
    credited = _credited(run, document, invoice) if refund_due and cancelled_by is None else ()
    content: str | None = None
    rates: Mapping[str, int] | None = None
    if document.state == "draft" or not invoice.is_finalised or invoice.gross != document.draft.gross:
        positions = run.sevdesk.invoice_positions(invoice.id)
        content = content_hash(invoice, positions)
        rates = {rate_text(rate): gross for rate, (gross, _, _) in sums_per_rate(positions).items() if gross}
    own = document.made_by == "us"
    return Standing(
        day=invoice.invoice_date if own else None,
        other=_otherwise(document, invoice) if own and invoice.is_finalised else (),
        final=invoice.is_finalised,
        number=invoice.number,
        by_rate=rates,
        content=content,
        paid=0 if cancelled_by is not None else invoice.paid,
        cancelled_by=cancelled_by,
        credited=credited,
    )


def _standing_note(run: Run, document: PostedDocument) -> Standing:
    """A credit note; who linked what to it is left to whoever reads the account's lists."""
    assert document.sevdesk_id is not None
    note = run.sevdesk.get_credit_note(document.sevdesk_id)
    if note is None:
        return Standing(exists=False)
    own = document.made_by == "us"
    content: str | None = None
    rates: Mapping[str, int] | None = None
    if not note.is_finalised or note.gross != document.draft.gross:
        positions = run.sevdesk.credit_note_positions(note.id)
        content = credit_note_hash(note, positions)
        rates = {rate_text(rate): gross for rate, (gross, _, _) in sums_per_rate(positions).items() if gross}
    return Standing(
        final=note.is_finalised,
        number=note.number,
        by_rate=rates,
        content=content,
        paid=None,
        day=note.credit_note_date if own else None,
        other=_otherwise(document, note) if own and note.is_finalised else (),
    )


def _otherwise(document: PostedDocument, held: RemoteInvoice | RemoteCreditNote) -> tuple[str, ...]:
    """What of a final document's header is not as we wrote it, by name; its sums were predicted to the cent (R21)."""
    draft, sums = document.draft, document.draft.sums.values()
    pairs: tuple[tuple[str, object, object], ...] = (
        ("note", draft.note, held.note),
        ("currency", draft.currency, held.currency),
        ("tax rule", draft.tax_rule, held.tax_rule or draft.tax_rule),
        ("net", sum(item.net for item in sums), held.net),
        ("tax", sum(item.tax for item in sums), held.tax),
    )
    return tuple(name for name, ours, theirs in pairs if ours != theirs)


def _cancelled_by(
    run: Run, document: PostedDocument, invoice: RemoteInvoice, booked: int
) -> tuple[str, str | None] | None:
    """The cancellation of an invoice that shows as settled although we linked less; one more read only then."""
    if document.state != "final" or invoice.status < 1000 or booked >= document.draft.gross:
        return None
    found = run.sevdesk.find_cancellation(document.draft.note, invoice.id)
    return None if found is None else (found.id, found.number)


def _credited(run: Run, document: PostedDocument, invoice: RemoteInvoice) -> tuple[Credited, ...]:
    contact_id = invoice.contact_id or contact_of(run, document.draft.party)
    found = []
    for item in run.sevdesk.credit_notes_of(invoice.id, contact_id):
        ours = (item.note or "").startswith(f"{document.draft.note.split(':sup:')[0]}:cn:")
        ours = ours or (document.of_others and f":{run.order_id.rsplit('/', 1)[-1]}:cn:" in (item.note or ""))
        if item.is_draft or ours:
            continue
        positions = run.sevdesk.credit_note_positions(item.id)
        rates = {rate_text(rate): abs(gross) for rate, (gross, _, _) in sums_per_rate(positions).items() if gross}
        found.append(Credited(item.id, item.number, rates))
    return tuple(found)
