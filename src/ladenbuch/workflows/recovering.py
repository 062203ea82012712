"""After a backup was put back: documents of ours that the books do not know are taken as they stand in sevdesk.

The plan says again what it said then, because it follows from dated facts; each action is looked for by its natural key
before anything of the order is written (`taking_back`). What differs from what was said then is the day: the document
keeps the one it has (R16). A letter nobody can be sure of is asked about, never sent by itself: rather none than two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft
from ladenbuch.domain.order import Order
from ladenbuch.errors import NeedsAttention
from ladenbuch.sevdesk.credit_notes import RemoteCreditNote
from ladenbuch.sevdesk.documents import RemoteInvoice
from ladenbuch.sevdesk.positions import Difference
from ladenbuch.workflows.run import Run, answered

SEND, SENT = "send the letter", "it was sent"


def concerned(run: Run, order: Order) -> bool:
    """Whether something of the order may have been posted that the books were put back before."""
    return run.restored_at is not None and order.processed_at <= run.restored_at


def done_at(run: Run) -> datetime:
    """When a document got its number: now, or at the latest at the restore where it is found after it."""
    return run.restored_at if run.recovering and run.restored_at is not None else run.ctx.clock()


def from_before(run: Run, day: date | None) -> bool:
    """Whether a document of that day may be from before the restore; a day more, for no clock is asked where it is."""
    return run.restored_at is not None and day is not None and day <= (run.restored_at + timedelta(days=1)).date()


def as_dated(draft: InvoiceDraft, found: RemoteInvoice) -> InvoiceDraft:
    """The draft with the days the document has."""
    first = found.delivery_date or draft.delivery_date
    until = None if found.delivery_until in (None, first) else found.delivery_until
    return replace(
        draft, invoice_date=found.invoice_date or draft.invoice_date, delivery_date=first, delivery_until=until
    )


def note_as_dated(draft: CreditNoteDraft, found: RemoteCreditNote) -> CreditNoteDraft:
    """The same of a credit note."""
    first = found.delivery_date or draft.delivery_date
    until = None if found.delivery_until in (None, first) else found.delivery_until
    day = found.credit_note_date or draft.credit_note_date
    return replace(draft, credit_note_date=day, delivery_date=first, delivery_until=until)


def differs(note: str, differences: Sequence[Difference]) -> NeedsAttention:
    """What to raise where a document from before the restore is not what would be written now."""
    what = "; ".join(str(item) for item in differences[:3])
    choices = ("leave it to the bookkeeper", "exclude the order")
    message = f"sevdesk holds {note} from before the restore, and it says something else: {what}"
    return NeedsAttention("RESTORE-DIFFERS", message, choices=choices, about=(note,))


def may_be_sent(run: Run, document: PostedDocument) -> bool:
    """Whether a person says that the document's letter went out before the restore; False where it certainly did not.

    One answer holds for all such letters of the order. Raises NeedsAttention("RESTORE-LETTER") while nobody gave it.
    """
    at, finalised = run.restored_at, document.written_at
    if at is None or finalised is None or finalised > at:
        return False
    message = f"the books were put back from a backup: whether {document.number} was mailed before, nobody knows"
    about = (f"letters:{run.order_id.rsplit('/', 1)[-1]}", f"restored:{at.isoformat()}")
    ask = NeedsAttention("RESTORE-LETTER", message, choices=(SENT, SEND), about=about)
    choice = answered(run, ask)
    if choice is None:
        raise ask
    return choice != SEND
