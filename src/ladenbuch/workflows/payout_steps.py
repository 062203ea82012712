"""What a look at payouts writes in sevdesk: lines, fee vouchers, and the line that pays a voucher, each once (R7).

As in `run.once`: intent, find, call, record. A payout belongs to no order, so no order's fence guards it; whoever
writes holds the tenant's right to (`payouts`), which every transaction renews or is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from ladenbuch import audit, books, payouts, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.payouts import FeeVoucher, LedgerLine
from ladenbuch.errors import NeedsAttention, Retryable
from ladenbuch.sevdesk.vouchers import DRAFT, RemoteVoucher
from ladenbuch.workflows.run import Run, after_writing, once

T = TypeVar("T")
_LOOK = ("look into it in sevdesk",)


@dataclass(frozen=True)
class Desk(Run):
    """One look at one gateway of a tenant: a run without an order."""

    gateway: str = ""

    def write(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction in the books while the right is held; refused on a stop."""

        def held(tx: Transaction) -> T:
            self._renew(tx)
            reason = tenants.stopped(tx, self.tenant)
            if reason is not None:
                raise Retryable("STOPPED", f"writing is stopped: {reason}", after=600.0)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, held)

    def record(self, fn: Callable[[Transaction], T]) -> T:
        """One transaction that records what has already happened, not held back by a stop."""

        def held(tx: Transaction) -> T:
            self._renew(tx)
            return fn(tx)

        return self.ctx.door(self.tenant).run(Store.BOOKS, held)

    def say(self, tx: Transaction, event: str, sentence: str) -> None:
        """One readable line in the audit chain."""
        now, subject = self.ctx.clock(), f"payouts:{self.gateway}"
        audit.append(tx, self.tenant, now, actor="payouts", event=event, subject=subject, sentence=sentence)

    def let_go(self) -> None:
        """The look is over."""
        door = self.ctx.door(self.tenant)
        door.run(Store.BOOKS, lambda tx: books.give_lease(tx, self.tenant, "payouts", self.run_id))

    def _renew(self, tx: Transaction) -> None:
        now, until = self.ctx.clock(), self.ctx.until(self.ctx.timing.claim_ttl)
        if not books.take_lease(tx, self.tenant, "payouts", self.run_id, now, until):
            raise Retryable("LEASE-BUSY", "another process writes payouts", after=60.0)


def write_line(desk: Desk, line: LedgerLine) -> None:
    """Write a line on the gateway's account; its purpose begins with the key.

    Raises NeedsAttention("LINE-DIFFERS" or "PAID-TWICE") where a line of that key is not ours to change.
    """
    sevdesk = desk.sevdesk

    def find() -> str | None:
        standing = sevdesk.find_transactions(line.account, line.key)
        if not standing:
            return None
        found = next((item for item in standing if item.is_linked), standing[0])
        for spare in standing:  # a call we had given up on landed late
            if spare.id != found.id and spare.is_linked:
                raise NeedsAttention("PAID-TWICE", f"{line.key} is linked twice", choices=_LOOK)
            if spare.id != found.id:
                sevdesk.delete_transaction(spare.id)
        if found.amount != line.amount:
            raise NeedsAttention("LINE-DIFFERS", f"{line.key} exists with another amount", choices=_LOOK)
        return found.id

    def call() -> str:
        purpose = f"{line.key} {line.text}"
        return sevdesk.create_transaction(line.account, line.amount, line.day, desk.gateway, purpose).id

    def record(tx: Transaction, transaction_id: str) -> str:
        payouts.line_written(tx, desk.tenant, desk.gateway, line, transaction_id)
        desk.say(tx, "payout.line", f"{line.amount} minor units stand on account {line.account} ({line.key}).")
        return transaction_id

    reason = f"A {line.kind} line follows from the balance of {desk.gateway}."
    once(desk, f"payout:{desk.gateway}:{line.key}", "payout_line", reason, find=find, call=call, record=record)


def write_voucher(desk: Desk, item: FeeVoucher, day: date) -> None:
    """Write the receipt over the fees of a payout, dated `day`; a draft while nobody confirmed how they are taxed.

    Raises Rejected("FEE-ACCOUNT"), NeedsAttention("FEE-VOUCHER-DIFFERS").
    """
    sevdesk, provider = desk.sevdesk, item.provider

    def same(found: RemoteVoucher) -> RemoteVoucher:
        if not fits(item, found):
            message = f"{item.key} says something else in sevdesk"
            raise NeedsAttention("FEE-VOUCHER-DIFFERS", message, choices=_LOOK)
        return found

    def find() -> RemoteVoucher | None:
        known = sevdesk.find_vouchers(item.key)
        if len(known) > 1:
            raise NeedsAttention("FEE-VOUCHER-DIFFERS", f"{item.key} exists {len(known)} times", choices=_LOOK)
        return same(known[0]) if known else None

    def call() -> RemoteVoucher:
        account_id = sevdesk.account_for(provider.account, provider.rule, provider.rate)
        made = sevdesk.create_voucher(
            description=item.key,
            supplier=provider.name,
            day=day,
            rule=provider.rule,
            rate=provider.rate,
            account_id=account_id,
            positions=item.positions,
            draft=not provider.checked_by,
        )
        return same(made)

    def record(tx: Transaction, found: RemoteVoucher) -> str:
        payouts.voucher_written(tx, desk.tenant, desk.gateway, item, found.id, found.day or day)
        how = f"under rule {provider.rule}, confirmed by {provider.checked_by}" if provider.checked_by else "as a draft"
        desk.say(tx, "payout.voucher", f"Fees of {item.gross} minor units stand on voucher {item.key} {how}.")
        return found.id

    reason = f"{provider.name} kept its fees from payout {item.payout_id.rsplit('/', 1)[-1]}."
    key = f"payout:{desk.gateway}:{item.key}"
    once(desk, key, "fee_voucher", reason, find=find, call=call, record=record)


def fits(item: FeeVoucher, found: RemoteVoucher) -> bool:
    """Whether a receipt in sevdesk is over the same fees: gross to the cent, side and rule."""
    return found.is_expense and found.gross == item.gross and found.tax_rule == item.provider.rule


def pay_voucher(desk: Desk, item: FeeVoucher, voucher_id: str, line: LedgerLine, transaction_id: str) -> None:
    """Link the fee line to its receipt; proved by the line's state and what is paid on the receipt.

    Raises NeedsAttention: "FEE-DRAFT" while it is a draft, "FEE-VOUCHER-GONE", "FEE-VOUCHER-DIFFERS", "LINE-GONE".
    """
    sevdesk = desk.sevdesk

    def receipt() -> RemoteVoucher:
        found = sevdesk.get_voucher(voucher_id)
        if found is None:
            message = f"{item.key} was deleted in sevdesk"
            raise NeedsAttention("FEE-VOUCHER-GONE", message, choices=("book by hand",))
        if not fits(item, found):
            message = f"{item.key} says something else in sevdesk"
            raise NeedsAttention("FEE-VOUCHER-DIFFERS", message, choices=_LOOK)
        return found

    def find() -> int | None:
        found = receipt()
        standing = sevdesk.get_transaction(transaction_id)
        if standing is None or standing.deleted:
            raise NeedsAttention("LINE-GONE", f"{line.key} was deleted in sevdesk", choices=_LOOK)
        if standing.is_linked:
            if found.paid < found.gross:
                message = f"{line.key} is linked, but not to its voucher"
                raise NeedsAttention("PAID-ELSEWHERE", message, choices=_LOOK)
            return found.paid
        if found.status == DRAFT:
            raise NeedsAttention("FEE-DRAFT", f"{item.key} waits as a draft", choices=("finalise it in sevdesk",))
        if found.paid >= found.gross:
            raise NeedsAttention("PAID-TWICE", f"{item.key} is paid by another line", choices=_LOOK)
        return None

    def call() -> int:
        sevdesk.book_voucher(voucher_id, line.amount, line.day, line.account, transaction_id)

        def paid() -> int:
            found = receipt()
            if found.paid < found.gross:
                raise Retryable("UNCONFIRMED", "the booking does not show on the voucher yet")
            return found.paid

        return after_writing(paid)

    def record(tx: Transaction, amount: int) -> str:
        payouts.voucher_booked(tx, desk.tenant, desk.gateway, item.key, desk.ctx.clock())
        desk.say(tx, "payout.booked", f"{amount} minor units pay voucher {item.key}.")
        return transaction_id

    key, reason = f"payout:{desk.gateway}:pay:{item.key}", "The line over the fees pays their voucher."
    once(desk, key, "pay_voucher", reason, find=find, call=call, record=record)
