"""What a plan consists of: letters, actions and the plan itself, as values with their published JSON shape."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ladenbuch.domain.books import Booked, PostedDocument, PostedLine
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, rate_text
from ladenbuch.domain.facts import Problem, TaxPoint
from ladenbuch.domain.feed import Wanted
from ladenbuch.domain.gift_cards import NO_CARDS, GiftCards
from ladenbuch.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is due: which document it is about ('': none), to whom, in which language.

    `kind` is invoice, correction, cancellation, payment or refund (`domain.lettering`). `at` (aware UTC) is when the
    money moved: that of an invoice in full, where it is there. `amount` is in minor units of `currency`.
    """

    document_key: str
    to: str = field(repr=False)
    locale: str = "de"
    kind: str = "invoice"
    at: datetime | None = None
    amount: int = 0
    currency: str = ""
    order: str = ""  # its name and its buyer's, where no document says them
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """A payment Shopify is told of. `open`: what was open before; `before`: the payments it knew.

    `at` is the instant it is dated back to, None for now. `lines` are sevdesk's lines it rests on, `chosen` those of
    them a person chose, with their amounts; `method` is what Shopify calls the way of payment. `confirm`: it shows in
    the shop already, and only our own record of it is missing.
    """

    amount: int
    open: int
    before: tuple[str, ...] = ()
    at: datetime | None = None
    lines: tuple[str, ...] = ()
    chosen: tuple[tuple[str, int], ...] = ()
    method: str = ""
    confirm: bool = False

    @property
    def full(self) -> bool:
        """Whether nothing is open after it."""
        return self.amount >= self.open


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `after`: keys that come first.

    `kind`: invoice, credit_note (drafts), finalise, cancel, adopt, money_line, delete_line, book_payment, book_refund,
    xml, letter, tell_paid.
    """

    kind: str
    key: str
    because: Reason
    covers: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    not_before: datetime | None = None
    document: PostedDocument | None = None
    line: PostedLine | None = None
    booking: Booked | None = None
    letter: Letter | None = None
    told: Told | None = None

    @property
    def reason(self) -> str:
        """The reason in one English sentence."""
        return self.because.en

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "key": self.key,
            "covers": list(self.covers),
            **self.because.as_json(),
        }
        if self.after:
            data["after"] = list(self.after)
        if self.not_before is not None:
            data["not_before"] = self.not_before.isoformat()
        if self.kind in ("invoice", "credit_note") and self.document is not None:
            tax = {key: value for key, value in self.document.tax.items() if key != "override"}
            data |= _document_json(self.document.draft) | {"tax": tax}
        if self.line is not None:
            data |= {"amount_minor": self.line.amount, "account": self.line.account}
            data["value_date"] = self.line.value_date.isoformat()
        if self.booking is not None:
            data |= {"amount_minor": self.booking.amount, "document": self.booking.document_key}
            data |= {"account": self.booking.account} if self.booking.account is not None else {}
        if self.letter is not None:
            data |= {"document": self.letter.document_key, "locale": self.letter.locale}
            data |= {} if self.letter.kind in ("invoice", "correction") else {"letter": self.letter.kind}
        if self.told is not None:
            data |= {"amount_minor": self.told.amount, "full": self.told.full, "lines": list(self.told.lines)}
        return data


def _document_json(draft: InvoiceDraft | CreditNoteDraft) -> dict[str, Any]:
    return {
        "note": draft.note,
        "currency": draft.currency,
        "gross_minor": draft.gross,
        "tax_rule": draft.tax_rule,
        "invoice_date": draft.issued_on.isoformat(),
        "delivery_date": draft.delivery_date.isoformat(),
        "positions": [position.as_json() for position in draft.positions],
        "sums": {
            rate_text(rate): {"gross_minor": total.gross, "net_minor": total.net, "tax_minor": total.tax}
            for rate, total in draft.sums.items()
        },
        "foot_text": draft.foot_text,
    } | _more(draft)


def _more(draft: InvoiceDraft | CreditNoteDraft) -> dict[str, Any]:
    """What only some invoices have."""
    if not isinstance(draft, InvoiceDraft):
        return {}
    data: dict[str, Any] = {} if draft.time_to_pay is None else {"time_to_pay": draft.time_to_pay}
    return data | ({"e_invoice": True} if draft.e_invoice else {})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do. `later` names why nothing may be decided yet; `exclusion` why the order is not ours.

    `noted` are later facts with what became of them: the key of a document, or why they need none. `cards` is what of
    the order is no turnover (2.5). `answered` are questions with the choice a person took. `look_again` (aware UTC) is
    when the clock alone may change the plan (R9).
    """

    order_id: str
    actions: tuple[Action, ...] = ()
    waiting: tuple[Problem, ...] = ()
    attention: tuple[Problem, ...] = ()
    exclusion: Problem | None = None
    later: str | None = None
    tax_point: TaxPoint | None = None
    noted: tuple[tuple[str, str], ...] = ()
    cards: GiftCards = NO_CARDS
    answered: tuple[tuple[Problem, str], ...] = ()
    look_again: datetime | None = None
    wanted: tuple[Wanted, ...] = ()

    def due(self, now: datetime) -> tuple[Action, ...]:
        """Actions that may be carried out at `now`."""
        return tuple(item for item in self.actions if item.not_before is None or item.not_before <= now)


def without_letter_address(item: Action) -> Action:
    """The action as it may be logged: no personal data."""
    return replace(item, letter=replace(item.letter, to="", name="")) if item.letter else item


def finalise_key(document_key: str) -> str:
    """The key under which a document is finalised, once."""
    return f"fin:{document_key}"
