"""What is written back to the shop about an order's documents: number, link and status, and tags of our own. Pure.

Only what has its number is told (a draft, an intent: nothing). Metafields say how things stand now and are replaced;
tags are only ever added, so they name nothing that can stop being so: the numbers that were given, no status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.hands import paid_by_others

#: The choices of a profile's `write_back`.
CHOICES = ("off", "metafields", "metafields+tags")
#: Where the metafields stand. Not the app's own namespace: themes, mails and Flow of the shop can read this one.
NAMESPACE = "ladenbuch"
#: Each metafield and its type.
TYPES: Mapping[str, str] = {
    "invoice_number": "single_line_text_field",
    "invoice_link": "url",
    "invoice_status": "single_line_text_field",
}
Status = Literal["open", "partly_paid", "paid", "corrected", "cancelled"]
STATUSES: tuple[Status, ...] = ("open", "partly_paid", "paid", "corrected", "cancelled")
#: Longest tag Shopify takes.
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should stand in the shop; empty while no document has a number."""

    metafields: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def wanted(known: Books, link: str) -> Wanted:
    """What the order's documents say. `link` is where sevdesk shows an invoice, with `{id}` in it; empty: no link."""
    numbered = [item for item in known.documents if item.number is not None and item.state in ("final", "cancelled")]
    invoices = sorted((item for item in numbered if item.kind != "credit_note"), key=lambda one: one.kind != "invoice")
    if not invoices:
        return Wanted()
    standing = [item for item in invoices if item.state == "final"] or invoices[-1:]
    fields = {"invoice_number": ", ".join(str(item.number) for item in standing)}
    first = standing[0]
    if link and first.sevdesk_id is not None:
        fields["invoice_link"] = link.replace("{id}", first.sevdesk_id)
    fields["invoice_status"] = status_of(known, standing, numbered)
    return Wanted(fields, tuple(_tag(item) for item in numbered if len(_tag(item)) <= _LONGEST))


def status_of(known: Books, standing: Sequence[PostedDocument], numbered: Sequence[PostedDocument]) -> Status:
    """How the invoices stand: by what is booked on them, and whether a correction followed."""
    if all(item.state == "cancelled" for item in standing):
        return "cancelled"
    if any(item.kind == "credit_note" and item.state == "final" for item in numbered):
        return "corrected"
    keys = {item.key for item in standing}
    paid = sum(item.amount for item in known.bookings if item.done and item.document_key in keys)
    paid += sum(amount for key, amount in paid_by_others(known).items() if key in keys)
    if paid >= sum(item.draft.gross for item in standing):
        return "paid"
    return "partly_paid" if paid > 0 else "open"


def known_value(known: Books, key: str, value: str, link: str) -> bool:
    """Whether a value that stands in the shop can only be ours: it names one of the order's own documents.

    After a backup was put back, what we wrote later stands there and nowhere else.
    """
    numbers = {str(item.number) for item in known.documents if item.number is not None}
    if key == "invoice_number":
        return bool(value) and set(value.split(", ")) <= numbers
    if key == "invoice_link":
        ids = {item.sevdesk_id for item in known.documents if item.sevdesk_id is not None}
        return bool(link) and value in {link.replace("{id}", id) for id in ids}
    return value in STATUSES


def _tag(document: PostedDocument) -> str:
    return f"{'correction' if document.kind == 'credit_note' else 'invoice'}:{document.number}"
