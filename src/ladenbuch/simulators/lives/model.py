"""The values the generator hands out: a life of an order, its events and the expected outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Event:
    """After `at` (aware UTC, whole seconds) the order looks like `snapshot`; `topics` are the webhooks Shopify sends.

    Snapshots share parts with each other: read them, never change them in place.
    """

    at: datetime
    topics: tuple[str, ...]
    snapshot: dict[str, Any]


@dataclass(frozen=True)
class Due:
    """A document the complete rules make: invoice, supplementary, credit_note or cancellation; cents are positive."""

    kind: str
    gross: int
    by_rate: dict[str, int]
    rule: int


@dataclass(frozen=True)
class Label:
    """The expected outcome once every event has been seen. Money in cents.

    `outcome` is documented, waiting, excluded or attention. `code` names the attention or exclusion; `also` lists
    further attention codes that are equally true of the same order. `invoice_gross` and `gross_by_rate` (percent as
    text, rates without money left out) describe the first document: it must exist when documented, it may exist when
    attention, and it must not exist where `invoice_gross` is None. `paid_cents` is the money to be booked from clearing
    accounts (of an attention case: up to the tax point), `letters` the letters owed for that document.
    `later` says what the complete rule set would add: `{"documents": [{"kind", "gross", "by_rate"}], "note": str}`.
    `completes` is the index of the event after which everything due for the first document can be done.
    `documents` is the whole chain the complete rules make, oldest first; none where a question stops it. In lives
    generated with `complete` the other fields follow it: outcome and code are those of the complete rules, `paid_cents`
    counts all money in, `refunded_cents` the money back on credit notes, `completes` is about the whole chain.
    """

    situation: str
    outcome: str
    code: str | None
    invoice_gross: int | None
    gross_by_rate: dict[str, int]
    paid_cents: int
    letters: int
    later: dict[str, Any] | None = None
    also: tuple[str, ...] = ()
    completes: int | None = None
    documents: tuple[Due, ...] = ()
    refunded_cents: int = 0

    def to_json(self) -> dict[str, Any]:
        """The label as a JSON object with the field names above."""
        return {**asdict(self), "also": list(self.also)}


@dataclass(frozen=True)
class Life:
    """One order from its creation to its last event. `order_id` is the gid, `name` the number the buyer sees."""

    order_id: str
    name: str
    shop: str
    events: tuple[Event, ...]
    label: Label

    @property
    def final(self) -> dict[str, Any]:
        """The order after its last event."""
        return self.events[-1].snapshot
