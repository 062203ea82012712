"""How one action reaches sevdesk exactly once, although sevdesk has no idempotency keys.

Four parts, for every kind of action:

    intent    a row with the key and everything it was decided on, committed before any call, behind the run's fence
    find      by the natural key in the document: an earlier call may have succeeded without telling us
    call      only when nothing is found, and never sooner after an ambiguous call than `ambiguous_wait`
    record    after confirming by id

An ambiguous call ends the run (`Ambiguous` is a `Retryable`); the next run begins with the find.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TypeVar

from ladenbuch import audit, books, outbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import InvoiceDraft, Party
from ladenbuch.domain.plan import Action
from ladenbuch.errors import Ambiguous, NeedsAttention, Rejected, Retryable
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.documents import RemoteInvoice, compare, content_hash, with_positions
from ladenbuch.shopify.admin import Admin
from ladenbuch.vault import Sealed
from ladenbuch.workflows.context import Context

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One settle of one order: who writes (the fence) and with what."""

    ctx: Context
    tenant: str
    order_id: str
    run_id: str

    @cached_property
    def shopify(self) -> Admin:
        """The tenant's Shopify client."""
        return self.ctx.shopify(self.tenant)

    @cached_property
    def sevdesk(self) -> Sevdesk:
        """The tenant's sevdesk client."""
        return self.ctx.sevdesk(self.tenant)

    def write(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction in the books behind this run's fence; refused when a newer run took over or on a stop."""

        def fenced(tx: Transaction) -> T:
            books.check_fence(tx, self.tenant, self.order_id, self.run_id)
            reason = tenants.stopped(tx, self.tenant)
            if reason is not None:
                raise Retryable("STOPPED", f"writing is stopped: {reason}", after=2.0)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, fenced)

    def record(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction that records what has already happened: fenced, but not held back by a stop."""

        def fenced(tx: Transaction) -> T:
            books.check_fence(tx, self.tenant, self.order_id, self.run_id)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, fenced)

    def say(self, tx: Transaction, event: str, sentence: str) -> None:
        """One readable line in the audit chain, in the transaction of what it tells."""
        now = self.ctx.clock()
        audit.append(tx, self.tenant, now, actor="settle", event=event, subject=self.order_id, sentence=sentence)


def carry_out(run: Run, action: Action) -> None:
    """Do one action exactly once. Raises Retryable or Ambiguous (later), Rejected or NeedsAttention (parked)."""
    steps: dict[str, Callable[[Run, Action], None]] = {
        "invoice": _draft,
        "finalise": _finalise,
        "money_line": _money_line,
        "book_payment": _book,
        "letter": _promise_letter,
    }
    steps[action.kind](run, action)


def _once(
    run: Run,
    key: str,
    kind: str,
    reason: str,
    *,
    pin: Callable[[Transaction], None] = lambda tx: None,
    find: Callable[[], T | None],
    call: Callable[[], T],
    record: Callable[[Transaction, T], str],
) -> None:
    """Intent, find, call, record. `record` returns the id of what now exists in sevdesk."""
    ctx = run.ctx

    def intend(tx: Transaction) -> books.Intent:
        known = books.intend(
            tx, run.tenant, run.order_id, key=key, kind=kind, run_id=run.run_id, reason=reason, now=ctx.clock()
        )
        if known.new:
            pin(tx)
        return known

    known = run.write(intend)
    if known.done:
        return
    found = find()
    if found is None:
        if not known.new:
            settled = known.called_at + timedelta(seconds=ctx.timing.client_timeout + ctx.timing.ambiguous_wait)
            wait = (settled - ctx.clock()).total_seconds()
            if wait > 0:
                # What was sent may still land: the last look must come after it can no more.
                raise Ambiguous("UNCONFIRMED", f"{kind} may still arrive", after=wait)
            run.write(lambda tx: books.call_again(tx, run.tenant, key, run.run_id, ctx.clock()))
        try:
            found = call()
        except Ambiguous:
            raise
        except (Rejected, Retryable):
            run.record(lambda tx: _not_sent(tx, run, key, known.new))
            raise
    confirmed = found

    def finish(tx: Transaction) -> None:
        remote_id = record(tx, confirmed)
        books.done(tx, run.tenant, key, ctx.clock(), remote_id)

    run.record(finish)


def _not_sent(tx: Transaction, run: Run, key: str, new: bool) -> None:
    """The other side refused or never got the call: nothing can land, so the next run need not wait for it."""
    long_ago = run.ctx.clock() - timedelta(days=1)
    books.call_again(tx, run.tenant, key, run.run_id, long_ago)


# -- the contact --------------------------------------------------------------------------------------------------


def _contact(run: Run, party: Party) -> str:
    """The buyer's contact in sevdesk, created once per customer number even when two orders come at once."""
    door = run.ctx.door(run.tenant)
    known = door.read(Store.BOOKS, lambda tx: books.contact(tx, run.tenant, party.customer_number))
    if known is not None:
        return known
    key = f"contact:{party.customer_number}"
    intent = run.write(
        lambda tx: books.intend(
            tx,
            run.tenant,
            "",
            key=key,
            kind="contact",
            run_id=run.run_id,
            reason="The buyer needs a contact before the first invoice.",
            now=run.ctx.clock(),
        )
    )
    found = run.sevdesk.find_contact(party.customer_number)
    if found is None:
        if not intent.new:
            timing = run.ctx.timing
            settled = intent.called_at + timedelta(seconds=timing.client_timeout + timing.ambiguous_wait)
            wait = (settled - run.ctx.clock()).total_seconds()
            if wait > 0:
                raise Retryable("CONTACT-BUSY", "another run is creating this contact", after=min(wait, 1.0))
            run.write(lambda tx: books.call_again(tx, run.tenant, key, run.run_id, run.ctx.clock()))
        try:
            found = run.sevdesk.create_contact(party)
        except Ambiguous:
            raise
        except (Rejected, Retryable):
            run.record(lambda tx: _not_sent(tx, run, key, intent.new))
            raise
    contact_id = found

    def record(tx: Transaction) -> None:
        books.contact_known(tx, run.tenant, party.customer_number, contact_id)
        books.done(tx, run.tenant, key, run.ctx.clock(), contact_id)

    run.record(record)
    return contact_id


# -- draft, compare, finalise -------------------------------------------------------------------------------------


def _draft(run: Run, action: Action) -> None:
    """Create the draft and compare it cent by cent; a draft that differs is deleted and the tenant's posting stops."""
    document = action.document
    assert document is not None
    draft = document.draft
    contact_id = _contact(run, draft.party)

    def find() -> RemoteInvoice | None:
        return _with_positions(run, _ours(run, draft))

    def record(tx: Transaction, found: RemoteInvoice) -> str:
        books.drafted(tx, run.tenant, document.key, found.id, content_hash(found, found.positions or ()))
        run.say(tx, "draft", f"Draft for {draft.note}: {draft.gross} minor units, rule {draft.tax_rule}.")
        return found.id

    _once(
        run,
        document.key,
        "invoice",
        action.reason,
        pin=lambda tx: books.pin_document(tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins")),
        find=find,
        call=lambda: run.sevdesk.save_draft(draft, contact_id),
        record=lambda tx, found: record(tx, _equal(run, draft, found)),
    )


def _ours(run: Run, draft: InvoiceDraft) -> RemoteInvoice | None:
    """The invoice that carries our note: the finalised one, else the oldest draft; spare drafts are deleted.

    Two drafts appear when a call we had given up on landed late; a draft has no number and no effect (facts 6.3).
    """
    found = [item for item in run.sevdesk.find_invoices(draft.note) if item.kind == "RE"]
    final = [item for item in found if not item.is_draft]
    if len(final) > 1:
        choices = ("cancel the surplus invoice in sevdesk",)
        raise NeedsAttention("DUPLICATE", "several finalised invoices carry this order's note", choices=choices)
    keep = final[0] if final else (found[0] if found else None)
    for spare in found:
        if spare.is_draft and keep is not None and spare.id != keep.id:
            run.sevdesk.delete_draft(spare.id)
    return keep


def _with_positions(run: Run, invoice: RemoteInvoice | None) -> RemoteInvoice | None:
    if invoice is None:
        return None
    return with_positions(invoice, run.sevdesk.invoice_positions(invoice.id))


def _equal(run: Run, draft: InvoiceDraft, found: RemoteInvoice) -> RemoteInvoice:
    """The draft as sevdesk has it, if it equals the pins to the cent (R21); otherwise it goes, and posting stops."""
    differences = compare(draft, found, found.positions or ())
    if not differences:
        return found
    if found.is_draft:
        run.sevdesk.delete_draft(found.id)
    what = "; ".join(str(item) for item in differences[:3])
    reason = f"sevdesk computes {draft.note} differently: {what}"
    now = run.ctx.clock()

    def stop(tx: Transaction) -> None:
        tenants.stop(tx, run.tenant, reason, now)
        run.say(tx, "stop", f"Posting stopped: {reason}.")

    run.ctx.door(run.tenant).run(Store.BOOKS, stop)
    raise NeedsAttention("ARITHMETIC-DRIFT", reason, choices=("correct the cause, then go",))


def _finalise(run: Run, action: Action) -> None:
    """Give the draft its number, after one more look at it (R12), one at a time per tenant; confirmed by id."""
    assert action.document is not None
    key = action.document.key
    document = _document(run, key)
    invoice_id = document.sevdesk_id
    if invoice_id is None:
        raise Retryable("UNCONFIRMED", "the draft is not confirmed yet")

    def look() -> RemoteInvoice | None:
        invoice = run.sevdesk.get_invoice(invoice_id)
        if invoice is None:
            # Deleted under our hands: by a person, or it was a spare of ours. Never recreated alone (R13).
            raise NeedsAttention("DRAFT-GONE", "the draft was deleted in sevdesk", choices=("recreate", "exclude"))
        if invoice.is_finalised:
            return invoice
        _unchanged(run, document, invoice)
        return None

    def send() -> RemoteInvoice:
        # Numbers follow the order of these calls, so only one is under way per tenant.
        with_lease(run, "finalise", lambda: run.sevdesk.finalise(invoice_id))
        invoice = run.sevdesk.get_invoice(invoice_id)
        if invoice is None or not invoice.is_finalised:
            raise Ambiguous("UNCONFIRMED", "the invoice has no number yet")
        return invoice

    def record(tx: Transaction, invoice: RemoteInvoice) -> str:
        assert invoice.number is not None
        books.finalised(tx, run.tenant, key, invoice.number, run.ctx.clock())
        run.say(tx, "finalised", f"Invoice {invoice.number} for {document.draft.note}.")
        return invoice.id

    _once(run, action.key, "finalise", action.reason, find=look, call=send, record=record)


def _unchanged(run: Run, document: PostedDocument, invoice: RemoteInvoice) -> None:
    """A draft a person edited is neither overwritten nor sent (R12): sums, dates, texts, address, everything counts."""
    positions = run.sevdesk.invoice_positions(invoice.id)
    differences = compare(document.draft, invoice, positions)
    edited = document.content is not None and content_hash(invoice, positions) != document.content
    if differences or edited:
        what = "; ".join(str(item) for item in differences[:3]) or "its texts or its address"
        choices = ("take theirs", "restore ours")
        raise NeedsAttention("DRAFT-EDITED", f"the draft was changed in sevdesk: {what}", choices=choices)


def _document(run: Run, key: str) -> PostedDocument:
    unseal = run.ctx.unseal(run.tenant, "pins")
    known = run.ctx.door(run.tenant).read(Store.BOOKS, lambda tx: books.load(tx, run.tenant, run.order_id, unseal))
    document = next((item for item in known.documents if item.key == key), None)
    if document is None:
        raise Retryable("UNCONFIRMED", "the document is not in the books yet")
    return document


def with_lease(run: Run, name: str, fn: Callable[[], object]) -> None:
    """Hold one of the tenant's exclusive rights while `fn` runs; waits briefly, then comes back later."""
    ctx = run.ctx
    door = ctx.door(run.tenant)

    def take(tx: Transaction) -> bool:
        return books.take_lease(tx, run.tenant, name, run.run_id, ctx.clock(), ctx.until(ctx.timing.lease))

    for _ in range(40):
        if door.run(Store.BOOKS, take):
            break
        ctx.sleep(0.05)
    else:
        raise Retryable("LEASE-BUSY", f"another run holds {name}", after=0.5)
    try:
        fn()
    finally:
        door.run(Store.BOOKS, lambda tx: books.give_lease(tx, run.tenant, name, run.run_id))


# -- money --------------------------------------------------------------------------------------------------------


def _money_line(run: Run, action: Action) -> None:
    """Write the transaction on the gateway's account; its purpose carries Shopify's transaction id."""
    line = action.line
    assert line is not None
    account = line.account
    if account is None:
        raise NeedsAttention("GATEWAY-ACCOUNT", "the gateway has no account in sevdesk", choices=("name the account",))
    purpose = f"SHPTX {line.payment_id.rsplit('/', 1)[-1]}"
    order = run.order_id.rsplit("/", 1)[-1]

    def record(tx: Transaction, transaction_id: str) -> str:
        books.line_written(tx, run.tenant, run.order_id, line, account, transaction_id)
        run.say(tx, "money", f"{line.amount} minor units stand on account {account} ({purpose}).")
        return transaction_id

    def find() -> str | None:
        lines = run.sevdesk.find_transactions(account, purpose)
        if not lines:
            return None
        # Two lines appear when a call we had given up on landed late; a line nobody linked yet may go.
        found = next((line for line in lines if line.is_linked), lines[0])
        for spare in lines:
            if spare.id != found.id and not spare.is_linked:
                run.sevdesk.delete_transaction(spare.id)
            elif spare.id != found.id:
                choices = ("reset one of them in sevdesk",)
                raise NeedsAttention("PAID-TWICE", f"{purpose} is linked twice", choices=choices)
        if found.amount != line.amount:
            raise NeedsAttention("LINE-DIFFERS", f"{purpose} exists with another amount", choices=("look into it",))
        return found.id

    def call() -> str:
        created = run.sevdesk.create_transaction(
            account, line.amount, line.value_date, f"Bestellung {order}", f"{purpose} order:{order}"
        )
        return created.id

    _once(run, action.key, "money_line", action.reason, find=find, call=call, record=record)


def _book(run: Run, action: Action) -> None:
    """Link the money line to the invoice; proved by the line's state and the invoice's paid amount."""
    booking = action.booking
    assert booking is not None
    unseal = run.ctx.unseal(run.tenant, "pins")
    known = run.ctx.door(run.tenant).read(Store.BOOKS, lambda tx: books.load(tx, run.tenant, run.order_id, unseal))
    document = next((item for item in known.documents if item.key == booking.document_key), None)
    line = next((item for item in known.lines if item.payment_id == booking.payment_id), None)
    if document is None or document.sevdesk_id is None or line is None:
        raise Retryable("UNCONFIRMED", "invoice or money line are not confirmed yet")
    if line.sevdesk_id is None or line.account is None:
        raise Retryable("UNCONFIRMED", "the money line is not confirmed yet")
    invoice_id, transaction_id, account = document.sevdesk_id, line.sevdesk_id, line.account
    expected = booking.amount + sum(
        item.amount for item in known.bookings if item.document_key == document.key and item.done
    )

    def find() -> int | None:
        transaction = run.sevdesk.get_transaction(transaction_id)
        if transaction is None or transaction.deleted:
            raise NeedsAttention("LINE-GONE", "the money line was deleted in sevdesk", choices=("recreate", "exclude"))
        return _paid(run, invoice_id, expected) if transaction.is_linked else None

    def call() -> int:
        try:
            run.sevdesk.book(invoice_id, booking.amount, line.value_date, account, transaction_id)
        except Rejected as refusal:
            if refusal.code == "SEVDESK-750":
                choices = ("delete our line", "keep both")
                raise NeedsAttention("PAID-TWICE", "the invoice is already paid", choices=choices) from refusal
            raise
        return _paid(run, invoice_id, expected)

    def record(tx: Transaction, paid: int) -> str:
        books.booked(
            tx,
            run.tenant,
            run.order_id,
            booking,
            account=account,
            transaction_id=transaction_id,
            booked_on=line.value_date,
            paid_after=paid,
            now=run.ctx.clock(),
        )
        run.say(tx, "booked", f"{booking.amount} minor units pay invoice {document.number}.")
        return transaction_id

    _once(run, action.key, "book_payment", action.reason, find=find, call=call, record=record)


def _paid(run: Run, invoice_id: str, expected: int) -> int:
    """The invoice's paid amount, which must contain what was booked."""
    invoice = run.sevdesk.get_invoice(invoice_id)
    if invoice is None or invoice.paid < expected:
        choices = ("look into it in sevdesk",)
        raise NeedsAttention("PAID-ELSEWHERE", "the money line is linked, but not to this invoice", choices=choices)
    return invoice.paid


# -- the letter ---------------------------------------------------------------------------------------------------


def _promise_letter(run: Run, action: Action) -> None:
    """Promise the letter in the transaction that uses its key: once promised, `deliver` sends it once."""
    letter = action.letter
    assert letter is not None
    document = _document(run, letter.document_key)
    payload = json.dumps({"to": letter.to, "locale": letter.locale, "document": letter.document_key}).encode()
    key_id, ciphertext = run.ctx.seal(run.tenant, "letter")(payload)
    now = run.ctx.clock()

    def promise(tx: Transaction) -> None:
        known = books.intend(
            tx,
            run.tenant,
            run.order_id,
            key=action.key,
            kind="letter",
            run_id=run.run_id,
            reason=action.reason,
            now=now,
        )
        if known.done:
            return
        outbox.promise(
            tx,
            run.tenant,
            key=action.key,
            kind="invoice",
            order_id=run.order_id,
            document_id=document.sevdesk_id,
            sealed_payload=Sealed(key_id, ciphertext),
            now=now,
        )
        books.done(tx, run.tenant, action.key, now)
        run.say(tx, "promised", f"The invoice letter for {document.number} was promised.")

    run.write(promise)
    run.ctx.wake("deliver")
