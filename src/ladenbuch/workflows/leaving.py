"""A tenant is redacted: what the law does not keep is gone, its secrets too, and a proof of it stays.

Kept: documents with their pins, covers, bookings, VAT answers, verdicts without buyers, the audit chain, profiles; each
until its day on the hold list. All that is sealed anew with a fresh data key and the older keys are dropped, so that
nothing else of the tenant opens, in no backup either (decision 0012). A shop that comes back is the same tenant.
"""

from __future__ import annotations

from datetime import datetime

from ladenbuch import (
    alarms,
    audit,
    backfills,
    books,
    checkups,
    events,
    evidence,
    grants,
    inbox,
    money_back,
    outbox,
    payouts,
    privacy,
    reconciliations,
    reminders,
    suppressions,
    tenants,
    write_backs,
)
from ladenbuch.db import Sealed, Store, Transaction
from ladenbuch.errors import Rejected
from ladenbuch.sealed import SealedColumn
from ladenbuch.workflows import redaction
from ladenbuch.workflows.context import Context

#: What is sealed and stays, read by whoever keeps the books.
_KEPT: tuple[SealedColumn, ...] = (books.PINS, evidence.NAMES, books.SNAPSHOTS)


def redact(ctx: Context, tenant: str, *, by: str, why: str) -> str:
    """Erase what may go of a tenant that left; what was done, in a sentence. Repeatable after a crash.

    Raises Rejected("TENANT-STATE") for a tenant whose app is installed, Rejected("VAULT-KEY").
    """
    door = ctx.door(tenant)
    owner = door.read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    if owner.state == "redacted":
        door.run(Store.INBOX, lambda tx: inbox.erase_all(tx, tenant))
        return "The tenant was redacted before."
    if owner.state != "uninstalled":
        raise Rejected("TENANT-STATE", f"the tenant is {owner.state}; only one whose app is gone is redacted")
    orders = [order_id for order_id, _ in redaction.snapshots(ctx, tenant)]

    def write(tx: Transaction) -> str:
        now = ctx.clock()
        erased = redaction.Erased()
        for order_id in orders:
            redaction.empty(ctx, tx, tenant, order_id, why, now, erased)
        outbox.erase_all(tx, tenant)
        suppressions.forget(tx, tenant)
        books.forget_contacts(tx, tenant)
        books.drop_questions(tx, tenant)
        books.drop_leases_of(tx, tenant)
        grants.forget(tx, tenant)
        checkups.forget(tx, tenant)
        reconciliations.forget(tx, tenant)
        money_back.forget(tx, tenant)
        reminders.forget(tx, tenant)
        payouts.forget(tx, tenant)
        backfills.forget(tx, tenant)
        events.forget(tx, tenant)
        write_backs.forget(tx, tenant)
        for alarm in alarms.open_alarms(tx, tenant):  # nobody can do anything about it any more
            alarms.end_alarm(tx, tenant, alarm.kind, alarm.subject, now)
        gone = ctx.vault.delete_secrets(tx, tenant)
        _shred(ctx, tx, tenant)
        sentence = (
            f"The tenant was redacted ({why}): {erased.orders} orders without their buyers, {gone} secrets deleted, "
            f"{erased.documents} documents kept{f' until {erased.until} at the latest' if erased.until else ''}."
        )
        _end_requests(tx, tenant, now, sentence)
        tenants.set_state(tx, tenant, "redacted", now, f"redacted: {why}")
        audit.append(tx, tenant, now, actor=by, event="tenant.redacted", subject=tenant, sentence=sentence)
        return sentence

    said = door.run(Store.BOOKS, write)
    # Last: what brought us here is among it, and after a crash it has to come again.
    door.run(Store.INBOX, lambda tx: inbox.erase_all(tx, tenant))
    ctx.forget(tenant)
    ctx.database.truncate_logs()
    return said


def _end_requests(tx: Transaction, tenant: str, now: datetime, sentence: str) -> None:
    """Nobody fetches the tenant's answers any more; what asked for less than this is done with it."""
    privacy.drop_answers(tx, tenant)
    for one in privacy.requests(tx, tenant):
        if one.state == "open" and one.kind == "customers/data_request":
            privacy.close(tx, tenant, one.id, "lapsed", now, "The tenant was redacted; the answer was deleted with it.")
        elif one.state == "open":
            privacy.close(tx, tenant, one.id, "done", now, sentence)


def _shred(ctx: Context, tx: Transaction, tenant: str) -> None:
    """Seal what is kept with a new data key, and drop all the others with everything else that hangs on them."""
    newest = ctx.vault.renew(tx, tenant)
    for column in _KEPT:
        after: tuple[object, ...] = ()
        while rows := column.older(tx, tenant, newest, after):
            for row in rows:
                sealed = _anew(ctx, tenant, column, row)
                if sealed is not None:
                    column.replace(tx, tenant, row, sealed)
            after = column.key(rows[-1])
    ctx.vault.retire(tx, tenant)


def _anew(ctx: Context, tenant: str, column: SealedColumn, row: object) -> Sealed | None:
    name = column.row_id(row)
    try:
        return ctx.vault.reseal(tenant, column.purpose(row), name, column.sealed(row), column.subject(row))
    except Rejected as refusal:
        if refusal.code != "VAULT-FORGOTTEN":
            raise
        return None
