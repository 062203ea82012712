"""What has been posted and pinned for one order, as a value (bookkeeping 1.1).

Read from our own ledger before a plan is made; never recomputed from today's view of the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft


@dataclass(frozen=True, slots=True)
class Cover:
    """One fact a document accounts for (a ledger agreement), with its gross amount in minor units."""

    fact_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class PostedDocument:
    """A document of ours. `state`: intended (nothing confirmed), draft, final, cancelled.

    `kind`: invoice (the first, or one that replaces a cancelled one), supplementary, credit_note.
    """

    key: str
    kind: str
    draft: InvoiceDraft | CreditNoteDraft
    covers: tuple[Cover, ...]
    state: str = "intended"
    sevdesk_id: str | None = None
    number: str | None = None
    content: str | None = None  # hash of what sevdesk returned when we posted it (R12)
    tax_point: datetime | None = None
    tax: Mapping[str, Any] = field(default_factory=dict)
    profile_version: int = 1
    written_at: datetime | None = None  # when it last changed by our hand
    made_by: str = "us"  # us | adopted: written by hand in sevdesk, and taken for ours
    dated: date | None = None  # its day in sevdesk where that is not the day it was pinned for (R16)

    @property
    def day(self) -> date:
        """The day it bears in sevdesk."""
        return self.dated or self.draft.issued_on

    @property
    def of_others(self) -> bool:
        """Whether it is an invoice another tool or a person wrote, taken over as it stood (R22)."""
        return self.key.startswith("ado:")


def transaction_of(part: str) -> str:
    """The Shopify transaction a line or booking is for: `gid://shopify/OrderTransaction/9/2` is part 2 of number 9."""
    return "/".join(part.split("/")[:5])


@dataclass(frozen=True, slots=True)
class PostedLine:
    """A money line on a gateway's account in sevdesk, written for one Shopify transaction or a part of it."""

    key: str
    payment_id: str
    account: str | None
    amount: int
    value_date: date
    done: bool = False
    sevdesk_id: str | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """One (part of a) transaction booked on a document.

    `account` and `value_date` are given where it has no line of ours: sevdesk then makes one on an offline account.
    """

    key: str
    payment_id: str
    document_key: str
    amount: int
    done: bool = False
    account: str | None = None
    value_date: date | None = None


#: Kinds of hands that are found by holding whole lists against each other, not by looking at a document of ours.
BESIDE = ("doubled", "foreign")


@dataclass(frozen=True, slots=True)
class Hand:
    """Something others did in sevdesk to a document of ours, or beside them, as last seen (R12-R15).

    `kind`: paid (`amount` beyond what we booked), unlinked (`amount` of ours taken off), credited (a credit note that
    is not ours), cancelled, changed (other sums, rule, currency or note), gone, finalised, edited (drafts), moved
    (another number or day: sevdesk's count), doubled and foreign (a document beside ours for the same order, `BESIDE`),
    candidate (an invoice of others that may be this order's). `amount` in minor units; `by_rate` gross per rate of a
    credit note.
    """

    kind: str
    document_key: str
    amount: int = 0
    sevdesk_id: str = ""
    number: str | None = None
    by_rate: tuple[tuple[str, int], ...] = ()
    content: str = ""


@dataclass(frozen=True, slots=True)
class Books:
    """Everything posted for one order.

    `applied` holds every key ever confirmed; it is never reused (R7). `letters` are the keys of promised letters,
    `pending` keys whose call may have landed without our hearing of it, with its instant. `hands` is what others did.
    """

    documents: tuple[PostedDocument, ...] = ()
    lines: tuple[PostedLine, ...] = ()
    bookings: tuple[Booked, ...] = ()
    letters: frozenset[str] = frozenset()
    applied: frozenset[str] = frozenset()
    resolutions: tuple[tuple[str, str, str], ...] = ()  # (code, hash of the facts answered, choice)
    exclusion: str | None = None
    pending: Mapping[str, datetime] = field(default_factory=dict)
    hands: tuple[Hand, ...] = ()

    @property
    def invoice(self) -> PostedDocument | None:
        """The first document of the order, intended or posted."""
        return next((item for item in self.documents if item.kind == "invoice"), None)

    def covered(self) -> frozenset[str]:
        """Ids of all facts some document of ours covers or is about to cover (pinned)."""
        return frozenset(cover.fact_id for item in self.documents for cover in item.covers)
