"""Money: lines on gateway accounts, and what they pay or give back, each linked and proved (bookkeeping 4.2, R14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from ladenbuch import books
from ladenbuch.db import Transaction, one_at_a_time
from ladenbuch.domain.actions import Action
from ladenbuch.domain.books import Booked, Books, PostedDocument, PostedLine
from ladenbuch.domain.hands import paid_by_others
from ladenbuch.errors import Ambiguous, NeedsAttention, Rejected, Retryable
from ladenbuch.workflows import announcing
from ladenbuch.workflows.run import Run, after_writing, known_of, once


def money_line(run: Run, action: Action) -> None:
    """Write the transaction on the gateway's account; its purpose carries Shopify's transaction id."""
    line = action.line
    assert line is not None
    account = line.account
    if line.sevdesk_id is not None:
        _take_line(run, action, line, line.sevdesk_id)
        return
    if account is None:
        raise NeedsAttention("GATEWAY-ACCOUNT", "the gateway has no account in sevdesk", choices=("name the account",))
    purpose = _purpose(line.payment_id)
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

    once(run, action.key, "money_line", action.reason, find=find, call=call, record=record)


def _take_line(run: Run, action: Action, line: PostedLine, transaction_id: str) -> None:
    """Use the line a feed brought: nothing is written, and no other order may use it (bookkeeping 4.2)."""
    account = line.account
    assert account is not None

    def find() -> str:
        found = run.sevdesk.get_transaction(transaction_id)
        if found is None or found.deleted or found.amount != line.amount:
            raise Retryable("UNCONFIRMED", "the line of the feed is not as it was a moment ago")
        return found.id

    def record(tx: Transaction, found: str) -> str:
        one_at_a_time(tx, f"feed {run.tenant}")
        if books.taken_lines(tx, run.tenant, [found]).get(found, run.order_id) != run.order_id:
            raise Retryable("UNCONFIRMED", "another order uses the line of the feed")
        books.line_written(tx, run.tenant, run.order_id, line, account, found)
        run.say(tx, "money", f"The feed brought {line.amount} minor units to account {account}: line {found}.")
        return found

    once(run, action.key, "money_line", action.reason, find=find, call=find, record=record)


def delete_line(run: Run, action: Action) -> None:
    """Take our line away, never a linked one: the same money is linked by another one, and a person said so (R14); or
    it is written anew in parts, which stand on it (2.5)."""
    line = action.line
    assert line is not None and line.sevdesk_id is not None and line.account is not None
    account, transaction_id = line.account, line.sevdesk_id
    purpose = _purpose(line.payment_id)

    def find() -> str | None:
        standing = run.sevdesk.find_transactions(account, purpose)
        if any(item.id == transaction_id and item.is_linked for item in standing):
            raise NeedsAttention("PAID-TWICE", f"{purpose} is linked meanwhile", choices=("look into it in sevdesk",))
        return None if any(item.id == transaction_id for item in standing) else transaction_id

    def call() -> str:
        run.sevdesk.delete_transaction(transaction_id)
        return transaction_id

    def record(tx: Transaction, deleted: str) -> str:
        why = "its parts stand instead" if action.because.rule == "2.5" else "another one pays the invoice"
        run.say(tx, "money", f"Our line {purpose} was deleted: {why}.")
        return deleted

    once(run, action.key, "delete_line", action.reason, find=find, call=call, record=record)


def book_payment(run: Run, action: Action) -> None:
    """Link the money line to the invoice; proved by the line's state and the invoice's paid amount."""
    book = _book if action.booking is None or action.booking.value_date is None else _book_offline
    book(run, action, run.sevdesk.book, lambda document_id: _paid_on_invoice(run, document_id))


def book_refund(run: Run, action: Action) -> None:
    """Link the negative money line to the credit note; proved in the same way."""
    book = _book if action.booking is None or action.booking.value_date is None else _book_offline
    book(run, action, run.sevdesk.book_credit_note, lambda document_id: _paid_on_credit_note(run, document_id))


_Call = Callable[[str, int, date, str, str | None], object]
_Paid = Callable[[str], int | None]


def _book_offline(run: Run, action: Action, book: _Call, paid_on: _Paid) -> None:
    """Book on an offline account, where sevdesk makes the line and it has no key (mode clearing-simple)."""
    booking = action.booking
    assert booking is not None and booking.value_date is not None
    if booking.account is None:
        raise NeedsAttention("GATEWAY-ACCOUNT", "the gateway has no account in sevdesk", choices=("name the account",))
    account, day = booking.account, booking.value_date
    known = known_of(run)
    document = next((item for item in known.documents if item.key == booking.document_key), None)
    if document is None or document.sevdesk_id is None:
        raise Retryable("UNCONFIRMED", "the document is not confirmed yet")
    _proved_by_paid(run, action, known, document, account, day, None, book, paid_on)


def _proved_by_paid(
    run: Run,
    action: Action,
    known: Books,
    document: PostedDocument,
    account: str,
    day: date,
    transaction_id: str | None,
    book: _Call,
    paid_on: _Paid,
) -> None:
    """Book what no line of its own proves: on an offline account (`transaction_id` None), or a part of a line.

    Proved by the paid amount before and after, which only one writer per order makes a proof. Where somebody else paid
    in between, nothing is called: the next look at the document says what they did (R14).
    """
    booking = action.booking
    assert booking is not None and document.sevdesk_id is not None
    document_id = document.sevdesk_id
    ours = sum(item.amount for item in known.bookings if item.document_key == document.key and item.done)
    before = abs(ours) + paid_by_others(known).get(document.key, 0)
    after = before + abs(booking.amount)

    def find() -> int | None:
        paid = paid_on(document_id)
        if paid is not None and abs(paid) == after and (run.recovering or action.key in known.pending):
            return paid
        if run.recovering:
            return None
        if paid is not None and abs(paid) == before:
            return None
        raise overtaken()

    def overtaken() -> Retryable:
        """Somebody else paid: what we meant to do is forgotten, so that the next look sees what they did."""
        run.record(lambda tx: books.refuse(tx, run.tenant, action.key))
        return Retryable("UNCONFIRMED", "somebody else changed what is paid on the document", after=1.0)

    def call() -> int:
        try:
            book(document_id, booking.amount, day, account, transaction_id)
        except Rejected as refusal:
            if refusal.code == "SEVDESK-750":
                raise overtaken() from refusal
            raise
        paid = after_writing(lambda: paid_on(document_id))
        if paid is None or abs(paid) != after:
            raise Ambiguous("UNCONFIRMED", "the booking does not show in the paid amount yet")
        return paid

    def record(tx: Transaction, amount: int) -> str:
        _booked(tx, run, booking, document, account, transaction_id or "", day, amount)
        return document_id

    once(run, action.key, action.kind, action.reason, find=find, call=call, record=record)


def _book(run: Run, action: Action, book: _Call, paid_on: _Paid) -> None:
    booking = action.booking
    assert booking is not None
    known = known_of(run)
    document = next((item for item in known.documents if item.key == booking.document_key), None)
    line = next((item for item in known.lines if item.payment_id == booking.payment_id), None)
    if document is None or document.sevdesk_id is None or line is None:
        raise Retryable("UNCONFIRMED", "document or money line are not confirmed yet")
    if line.sevdesk_id is None or line.account is None:
        raise Retryable("UNCONFIRMED", "the money line is not confirmed yet")
    document_id, transaction_id, account = document.sevdesk_id, line.sevdesk_id, line.account
    if booking.amount != line.amount:  # a part of an imported line: that it is linked says nothing of this document
        _proved_by_paid(run, action, known, document, account, line.value_date, transaction_id, book, paid_on)
        return
    booked = sum(item.amount for item in known.bookings if item.document_key == document.key and item.done)
    expected = abs(booking.amount + booked)

    def paid() -> int:
        """The document's paid amount, which must contain what was booked."""
        amount = paid_on(document_id)
        if amount is None or abs(amount) < expected:
            choices = ("look into it in sevdesk",)
            raise NeedsAttention(
                "PAID-ELSEWHERE", "the money line is linked, but not to this document", choices=choices
            )
        return amount

    def find() -> int | None:
        transaction = run.sevdesk.get_transaction(transaction_id)
        if transaction is None or transaction.deleted:
            raise NeedsAttention("LINE-GONE", "the money line was deleted in sevdesk", choices=("recreate", "exclude"))
        return paid() if transaction.is_linked else None

    def call() -> int:
        try:
            book(document_id, booking.amount, line.value_date, account, transaction_id)
        except Rejected as refusal:
            if refusal.code == "SEVDESK-750":
                choices = ("delete our line", "keep both")
                raise NeedsAttention("PAID-TWICE", "the invoice is already paid", choices=choices) from refusal
            raise
        return after_writing(paid)

    def record(tx: Transaction, amount: int) -> str:
        _booked(tx, run, booking, document, account, transaction_id, line.value_date, amount)
        return transaction_id

    once(run, action.key, action.kind, action.reason, find=find, call=call, record=record)


def _booked(
    tx: Transaction,
    run: Run,
    booking: Booked,
    document: PostedDocument,
    account: str,
    transaction_id: str,
    day: date,
    paid_after: int,
) -> None:
    """What was booked, in the books and in words; `transaction_id` is empty where sevdesk made the line itself."""
    books.booked(
        tx,
        run.tenant,
        run.order_id,
        booking,
        account=account,
        transaction_id=transaction_id,
        booked_on=day,
        paid_after=paid_after,
        now=run.ctx.clock(),
    )
    verb = "pay invoice" if booking.amount > 0 else "settle credit note"
    run.say(tx, "booked", f"{abs(booking.amount)} minor units {verb} {document.number}.")
    announcing.booked(tx, run, booking, document)


def _purpose(payment_id: str) -> str:
    """What a line of ours is found by: Shopify's transaction, and which part of it."""
    return f"SHPTX {'/'.join(payment_id.split('/')[4:])}"


def _paid_on_invoice(run: Run, invoice_id: str) -> int | None:
    invoice = run.sevdesk.get_invoice(invoice_id)
    return None if invoice is None else invoice.paid


def _paid_on_credit_note(run: Run, credit_note_id: str) -> int | None:
    credit_note = run.sevdesk.get_credit_note(credit_note_id)
    return None if credit_note is None else credit_note.paid
