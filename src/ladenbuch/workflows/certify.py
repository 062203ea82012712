"""Read a month from shop, books and sevdesk, and certify it (`domain.period`). Nothing is written, anywhere.

    shop      the orders processed in the month, by pages
    books     those orders, every document dated in the month or of those orders, and sevdesk's cancellations of them
    sevdesk   every document dated in the month, and since our last one before it; ours that are not among them one by
              one, by id (R17: no document is called gone because a list does not show it); numbers nobody has

Documents sevdesk lists under our note and the first reading of the books did not bring are looked up in the books by
their id: they may be dated otherwise there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.month import ORDER, PAID, Finding, Month, OurDocument, PeriodCertificate, TheirDocument
from ladenbuch.domain.month_documents import gaps
from ladenbuch.domain.period import certify
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import Retryable
from ladenbuch.inbox.marks import order_marks
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.listing import Kind, ListedDocument, invoice_as_listed, listed, note_as_listed
from ladenbuch.shopify.period import orders_listed
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.month_books import (
    batches,
    last_before,
    read_month,
    read_orders,
    reference,
    whose_money,
    with_ids,
)
from ladenbuch.workflows.preview import Period, hidden_until

T = TypeVar("T")

#: How often one reading is tried before the whole is given up, and the longest wait between two tries, in seconds.
_TRIES, _LONGEST_WAIT = 4, 30.0
#: Numbers looked for outside the month; beyond it a hole is named without looking.
_LOOKED_FOR = 200

Told = Callable[[str], None]


def certificate_of(
    ctx: Context, tenant: str, period: Period, grace: timedelta, told: Told = lambda what: None
) -> PeriodCertificate:
    """Certify a period. `grace`: what changed less than this ago is not judged.

    `told` hears what is being read. Raises what the clients raise when a service stays away or refuses: a list with a
    gap proves nothing.
    """
    made = certify(month_of(ctx, tenant, period, grace, told))
    made.findings[:] = _explained(ctx, tenant, made.findings)
    return made


@working_as(Priority.BACKFILL)
def month_of(ctx: Context, tenant: str, period: Period, grace: timedelta, told: Told = lambda what: None) -> Month:
    """The three lists of a period, read; behind everybody else's calls."""
    now = ctx.clock()
    shop, sevdesk, profiles = ctx.shopify(tenant), ctx.sevdesk(tenant), ctx.profiles(tenant)
    told("orders in the shop")
    hidden = patiently(ctx, lambda: hidden_until(ctx, tenant, period))
    orders = patiently(ctx, lambda: list(orders_listed(shop.execute, period.start, period.end)))
    told("our books")
    kept = read_month(ctx, tenant, period, orders)
    told("documents in sevdesk")
    theirs = Theirs(ctx, sevdesk, told)
    before, from_day = last_before(ctx, tenant, period.since)
    theirs.between(from_day, period.until)
    month = Month(
        since=period.since,
        until=period.until,
        today=profile_at(profiles, now).local_date(now),
        judged_until=now - grace,
        go_live=profiles[0].go_live,
        shop_keys=frozenset(item.shop_key for item in profiles),
        listed=tuple(orders),
        known=tuple(kept.known),
        before=before,
        hidden_until=hidden,
    )
    strangers = [item.id for item in theirs.found.values() if month.order_number(item.note)]
    ours = with_ids(ctx, tenant, kept, strangers, period)
    known = {item.sevdesk_id for item in ours}
    pointed = {month.order_number(item.note) for item in theirs.found.values() if item.id not in known} - {None}
    read_orders(ctx, tenant, {f"{ORDER}{number}" for number in pointed} - {item.id for item in kept.known}, kept)
    ours = list(kept.documents.values())
    theirs.complete(ours)
    ours = whose_money(ctx, tenant, profiles, ours, theirs.found)
    month = replace(month, ours=tuple(ours), theirs=tuple(theirs.found.values()))
    return replace(month, elsewhere=theirs.elsewhere(month))


def _explained(ctx: Context, tenant: str, findings: Sequence[Finding]) -> list[Finding]:
    """Orders nobody settled: whether they were heard of, and what became of the last attempt."""
    waiting = ("ORDER-UNKNOWN", "ORDER-CHANGED")
    heard = unsettled(ctx, tenant, [item.order_id for item in findings if item.code in waiting and item.order_id])
    told = []
    for item in findings:
        if item.code in waiting and item.order_id in heard:
            code = heard[item.order_id]
            why = f"heard of, last attempt: {code}" if code else "heard of, and not tried yet"
            item = replace(item, message=f"{item.message}; {why}")
        elif item.code == "ORDER-UNKNOWN":
            item = replace(item, message=f"{item.message}; never heard of")
        told.append(item)
    return told


def unsettled(ctx: Context, tenant: str, order_ids: Iterable[str]) -> dict[str, str]:
    """Of these orders, those that were heard of and not settled: gid -> the code of the last attempt ("": none yet)."""
    table, found = order_marks, dict[str, str]()
    for some in batches(sorted(set(order_ids))):
        query = sa.select(table.c.order_id, table.c.last_code, table.c.attempts).where(
            table.c.tenant == tenant, table.c.order_id.in_(some), table.c.settled < table.c.wanted
        )

        def read(tx: Transaction, query: sa.Select[Any] = query) -> Sequence[Any]:
            return tx.execute(query).all()

        rows = ctx.door(tenant).read(Store.INBOX, read)
        found |= {row.order_id: (row.last_code or "") if row.attempts else "" for row in rows}
    return found


def patiently(ctx: Context, read: Callable[[], T]) -> T:
    """A reading, tried again within bounds while the other side is busy or away."""
    for attempt in range(_TRIES):
        try:
            return read()
        except Retryable as error:
            if attempt == _TRIES - 1:
                raise
            ctx.sleep(min(error.after if error.after is not None else 2.0**attempt, _LONGEST_WAIT))
    raise AssertionError("unreachable")


# -- sevdesk ------------------------------------------------------------------------------------------------------


class Theirs:
    """Documents of sevdesk by id, as far as they were read."""

    def __init__(self, ctx: Context, sevdesk: Sevdesk, told: Told) -> None:
        self._ctx, self._sevdesk, self._told = ctx, sevdesk, told
        self.found: dict[str, TheirDocument] = {}

    def between(self, since: date, until: date) -> None:
        """Every document dated in the days [since, until)."""
        kinds: tuple[Kind, ...] = ("Invoice", "CreditNote")
        for kind in kinds:
            for row in listed(self._sevdesk, kind, since, until, lambda read: patiently(self._ctx, read)):
                self.keep(row)

    def complete(self, ours: Sequence[OurDocument], others: Collection[str] = ()) -> None:
        """Ours that no list showed, by id; and the cancellation of what reads as paid and was not paid, also of some
        `others`."""
        for document in ours:
            if document.sevdesk_id is not None and document.sevdesk_id not in self.found:
                self._told(f"{document.shown} by its id")
                self.one(*document.sevdesk_id.split("/"))
        reversed_ = {item.origin for item in self.found.values() if item.kind == "SR"}
        invoices = [
            document.sevdesk_id or ""
            for document in ours
            if document.state == "final" and document.kind in ("invoice", "supplementary")
        ]
        for id_ in (*invoices, *others):
            held = self.found.get(id_)
            if held is None or held.kind != "RE":
                continue
            if held.status >= PAID and held.paid < held.gross and held.id not in reversed_:
                self._reversal(held)

    def one(self, kind: str, wanted: str) -> None:
        if kind == "CreditNote":
            note = patiently(self._ctx, lambda: self._sevdesk.get_credit_note(wanted))
            if note is not None:
                self.keep(note_as_listed(note))
        else:
            invoice = patiently(self._ctx, lambda: self._sevdesk.get_invoice(wanted))
            if invoice is not None:
                self.keep(invoice_as_listed(invoice))

    def _reversal(self, held: TheirDocument) -> None:
        note, origin = held.note, held.id.partition("/")[2]
        found = patiently(self._ctx, lambda: self._sevdesk.find_cancellation(note, origin)) if note else None
        if found is not None:
            self.keep(invoice_as_listed(found))

    def elsewhere(self, month: Month) -> frozenset[tuple[bool, str]]:
        """Numbers that are missing in the month and that a document of another day has."""
        found = set()
        for credit, number in [(gap.credit, number) for gap in gaps(month) for number in gap.missing][:_LOOKED_FOR]:
            self._told(f"number {number}")
            if self.exists(number, credit=credit):
                found.add((credit, number))
        return frozenset(found)

    def exists(self, number: str, *, credit: bool) -> bool:
        """Whether a document has this number, an invoice or a finalised credit note."""
        if credit:
            notes = patiently(self._ctx, lambda: self._sevdesk.credit_notes_numbered(number))
            return any(not item.is_draft for item in notes)
        return bool(patiently(self._ctx, lambda: self._sevdesk.invoices_numbered(number)))

    def keep(self, row: ListedDocument) -> None:
        """One document, as a list or a look by id shows it."""
        origin = None if row.origin_id is None or row.kind == "CreditNote" else reference(False, row.origin_id)
        self.found[row.reference] = TheirDocument(
            id=row.reference,
            kind=row.type,
            status=row.status,
            number=row.number,
            note=row.note,
            day=row.day,
            currency=row.currency,
            tax_rule=row.tax_rule,
            gross=row.gross,
            net=row.net,
            tax=row.tax,
            paid=row.paid,
            origin=origin,
            changed_at=row.updated_at,
        )
