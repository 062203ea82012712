"""What we decided and did in sevdesk: intents with pins, documents, covers, money lines, bookings, attention.

Rows about what was posted are only added to and advanced (intended -> draft -> final), never taken back. Every write
of a run passes its fence: a run that was replaced (its mark was claimed again) can commit nothing more. What was
decided is sealed, because it names the buyer; amounts, keys, numbers and hashes stay readable for the proof.

Functions take an open transaction of the books store and never open one. Amounts are minor units, instants UTC.

    fence      who may write             intending   what is about to be called, once per key
    posted     documents, money, hands   buyers      their contacts in sevdesk
    loading    all of it for one order   verdicts    verdict and certificate of an order
    asking     what is asked, and the answers
"""

from __future__ import annotations

from ladenbuch.books.asking import (
    Question,
    attention,
    drop_questions,
    erase_in_questions,
    questions,
    record_attention,
    resolutions,
    resolve,
)
from ladenbuch.books.buyers import (
    KnownContact,
    contact,
    contact_carries,
    contact_finished,
    contact_known,
    contacts,
    forget_contact,
    forget_contacts,
)
from ladenbuch.books.columns import Seal, Unseal
from ladenbuch.books.fence import (
    check_fence,
    drop_leases,
    drop_leases_of,
    fences,
    give_lease,
    leases,
    take_fence,
    take_lease,
)
from ladenbuch.books.intending import (
    Intent,
    call_again,
    done,
    erase_in_intents,
    forget_contact_steps,
    intend,
    intent,
    intents,
    refuse,
    take_over,
)
from ladenbuch.books.loading import applied, load
from ladenbuch.books.posted import (
    PINS,
    booked,
    bookings,
    cancelled,
    covers,
    documents,
    drafted,
    erase_in_documents,
    eu_sales,
    finalised,
    forget_beside,
    hands,
    has_documents,
    invoiced_orders,
    last_entry,
    line_written,
    money_lines,
    moved,
    noted_candidates,
    orders_before,
    orders_of_invoices,
    pin_document,
    record_beside,
    record_hands,
    taken_lines,
    taken_over,
)
from ladenbuch.books.verdicts import SNAPSHOTS, OrderState, orders, orders_by_hour, record_state, seen

__all__ = [
    "PINS",
    "SNAPSHOTS",
    "Intent",
    "KnownContact",
    "OrderState",
    "Question",
    "Seal",
    "Unseal",
    "applied",
    "attention",
    "booked",
    "bookings",
    "call_again",
    "cancelled",
    "check_fence",
    "contact",
    "contact_carries",
    "contact_finished",
    "contact_known",
    "contacts",
    "covers",
    "documents",
    "done",
    "drafted",
    "drop_leases",
    "drop_leases_of",
    "drop_questions",
    "erase_in_documents",
    "erase_in_intents",
    "erase_in_questions",
    "eu_sales",
    "fences",
    "finalised",
    "forget_beside",
    "forget_contact",
    "forget_contact_steps",
    "forget_contacts",
    "give_lease",
    "hands",
    "has_documents",
    "intend",
    "intent",
    "intents",
    "invoiced_orders",
    "last_entry",
    "leases",
    "line_written",
    "load",
    "money_lines",
    "moved",
    "noted_candidates",
    "orders",
    "orders_before",
    "orders_by_hour",
    "orders_of_invoices",
    "pin_document",
    "questions",
    "record_attention",
    "record_beside",
    "record_hands",
    "record_state",
    "refuse",
    "resolutions",
    "resolve",
    "seen",
    "take_fence",
    "take_lease",
    "take_over",
    "taken_lines",
    "taken_over",
]
