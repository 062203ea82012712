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
    """A document an order owes: invoice, supplementary, credit_note or cancellation; cents are positive."""

    kind: str
    gross: int
    by_rate: dict[str, int]
    rule: int


@dataclass(frozen=True)
class Label:
    """The expected outcome once every event has been seen. Money in cents.

    `outcome` is documented, waiting, excluded or attention; `code` says why it is not documented.
    `documents` is the whole chain it owes, oldest first; none where a
    question stops it. In an attention case that has documents they may exist already, and none other.

    `invoice_gross` and `gross_by_rate` (percent as text, rates without money left out) repeat the first document,
    `invoice_gross` is None where there is none. `paid_cents` is the money in to be booked on documents from accounts of
    ours (of an attention case: up to the tax point), `refunded_cents` the money back to be booked on credit notes,
    `cards_cents` what the owners of gift cards are owed in the end. `letters` are those owed for the first document,
    `completes` is the index of the event after which everything can be done.
    """

    situation: str
    outcome: str
    code: str | None
    invoice_gross: int | None
    gross_by_rate: dict[str, int]
    paid_cents: int
    letters: int
    completes: int | None = None
    documents: tuple[Due, ...] = ()
    refunded_cents: int = 0
    cards_cents: int = 0

    def to_json(self) -> dict[str, Any]:
        """The label as a JSON object with the field names above."""
        return asdict(self)


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
