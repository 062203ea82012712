"""Documents of others that may be an order's invoice: read before ours is written, and taken over where one is it.

What a takeover or a reconciliation saw is noted with the order (`CANDIDATE` hands) and read by its id when something is
about to be written. A refund of an order from before go-live needs the invoice it corrects, so that one is looked for
in sevdesk even where nobody noted it (R22). Reading writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from ladenbuch import books
from ladenbuch.db import Store, Transaction, one_at_a_time
from ladenbuch.domain.actions import Action, Plan
from ladenbuch.domain.adoption import NOTHING, judge
from ladenbuch.domain.books import Books, Hand, PostedDocument
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.foreign import ForeignDocument, Sought, plain_name, sought_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import NeedsAttention
from ladenbuch.sealed import held
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.foreign import listed_foreign, read_foreign
from ladenbuch.sevdesk.listing import listed
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.run import Run, at_once, known_of

#: The kind of hand that notes a document of others with an order it may be the invoice of.
CANDIDATE = "candidate"
#: Where the invoice of an older order is looked for: so long before and after it was bought, paid or shipped.
_BEFORE, _AFTER = timedelta(days=2), timedelta(days=45)


def noted(order_id: str, name: str, document: ForeignDocument) -> Hand:
    """The note that a document may be an order's invoice: nobody's name; of its tags those that name the order."""
    number = order_id.rsplit("/", 1)[-1]
    key = _note_key(order_id, document.id)
    tags = [tag for tag in sorted(document.tags) if plain_name(tag) == plain_name(name) or number in tag]
    content = json.dumps({"rivals": document.rivals, "tags": tags})
    return Hand(CANDIDATE, key, document.gross, document.id, document.number, content=content)


def _note_key(order_id: str, invoice_id: str) -> str:
    return f"{CANDIDATE}:{order_id.rsplit('/', 1)[-1]}:{invoice_id}"


def concerned(left: Plan) -> bool:
    """Whether a plan may change when a document of others is the order's invoice: one is about to be written, or the
    order is from before go-live.
    """
    writes = any(action.kind == "invoice" for action in left.actions)
    excluded = left.exclusion is not None and left.exclusion.code == "BEFORE-GO-LIVE"
    return writes or excluded or origin_unknown(left)


def origin_unknown(left: Plan) -> bool:
    """Whether a refund needs an invoice that nobody knows."""
    return any(item.code == "ORIGIN-UNKNOWN" for item in left.attention)


def documents_of_others(
    ctx: Context, tenant: str, order: Order, left: Plan, known: Books
) -> tuple[ForeignDocument, ...]:
    """The documents that may be the order's invoice, whole; nothing is asked where none is noted or needed.

    What is in the books of another order already is left out. Raises what the client raises.
    """
    hands = [hand for hand in known.hands if hand.kind == CANDIDATE]
    if not concerned(left) and not (hands and known.invoice is None):
        return ()
    if hands:
        found = [item for hand in hands if (item := _read(ctx.sevdesk(tenant), hand)) is not None]
    elif origin_unknown(left):
        profile = profile_at(ctx.profiles(tenant), order.processed_at)
        found = _searched(ctx.sevdesk(tenant), sought_of(facts_of(order), profile.local_date))
    else:
        return ()

    ids = [item.id for item in found]
    owners = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.orders_of_invoices(tx, tenant, ids)) if ids else {}
    return tuple(item for item in found if owners.get(item.id, order.id) == order.id)


def _read(sevdesk: Sevdesk, hand: Hand) -> ForeignDocument | None:
    said = json.loads(hand.content)
    found = whole(sevdesk, hand.sevdesk_id, said["tags"])
    return None if found is None else replace(found, rivals=said["rivals"])


def whole(sevdesk: Sevdesk, invoice_id: str, tags: Iterable[str] = ()) -> ForeignDocument | None:
    """An invoice as it is now, with its sums per rate; None when it is gone."""
    invoice = sevdesk.get_invoice(invoice_id)
    if invoice is None:
        return None
    country = None if invoice.country_id is None else sevdesk.country_code(invoice.country_id)
    return read_foreign(invoice, sevdesk.invoice_positions(invoice_id), country, tags)


def _searched(sevdesk: Sevdesk, sought: Sought) -> list[ForeignDocument]:
    """Look for the invoice of one order: by its note first, then among all documents of that time.

    Seen alone, an order cannot tell whether a document without a reference fits another one better: such a one is
    asked about.
    """
    for note in dict.fromkeys((sought.name, plain_name(sought.name))):
        found = [item.id for item in sevdesk.find_invoices(note) if item.kind == "RE"]
        if found:
            return [item for id_ in found if (item := whole(sevdesk, id_)) is not None]
    tagged = sevdesk.tagged(sought.name) | sevdesk.tagged(plain_name(sought.name))
    close = []
    for row in listed(sevdesk, "Invoice", sought.first - _BEFORE, sought.last + _AFTER):
        tags = (sought.name,) if row.reference in tagged else ()
        seen = listed_foreign(row, tags)
        verdict = None if seen is None else judge(sought, seen)
        if verdict is not None and verdict.kind != "no":
            close.append((row.id, tags, verdict.tier))
    read = ((whole(sevdesk, id_, tags), tier) for id_, tags, tier in close)
    return [replace(item, rivals=1) if tier == NOTHING else item for item, tier in read if item is not None]


# -- taking over --------------------------------------------------------------------------------------------------


def adopt_invoice(run: Run, action: Action) -> None:
    """Take an invoice of others into the books: pinned with what it covers and was paid with; nothing is called.

    Raises NeedsAttention("ADOPT") where another order has it already.
    """
    document = action.document
    assert document is not None and document.sevdesk_id is not None and isinstance(document.draft, InvoiceDraft)
    number, sevdesk_id = document.number or "", document.sevdesk_id
    paid = int(document.tax.get("paid_minor", 0))

    def record(tx: Transaction) -> str:
        one_at_a_time(tx, f"adopt {run.tenant}")
        other = books.orders_of_invoices(tx, run.tenant, [sevdesk_id]).get(sevdesk_id, run.order_id)
        if other != run.order_id:
            raise _taken(number, other, document)
        books.pin_document(tx, run.tenant, run.order_id, document, run.ctx.seal(run.tenant, "pins", held(run.order_id)))
        books.drafted(tx, run.tenant, document.key, sevdesk_id, document.content or "")
        books.finalised(tx, run.tenant, document.key, number, run.ctx.clock())
        hands = [Hand("paid", document.key, paid)] if paid > 0 else []
        looked_at = [document.key, _note_key(run.order_id, sevdesk_id)]
        books.record_hands(tx, run.tenant, run.order_id, hands, looked_at, run.ctx.clock())
        run.say(tx, "adopted", f"Invoice {number}, written by others, is the one of this order: {action.reason}")
        return sevdesk_id

    at_once(run, action.key, "adopt", action.reason, record)
    if all(item.key != document.key for item in known_of(run).documents):
        raise _taken(number, "another order", document)


def _taken(number: str, other: str, document: PostedDocument) -> NeedsAttention:
    choices = ("it is another sale, invoice it", "leave it to the bookkeeper", "exclude the order")
    about = (document.key, f"taken:{other}")
    return NeedsAttention("ADOPT", f"invoice {number} was taken over for another order", choices=choices, about=about)
