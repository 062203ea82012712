"""What a period would post: plans of many orders -> counts, sums and one fingerprint per order. Pure.

A fingerprint names everything a plan rests on and does: the profile version in force, every key ever applied, and each
action with its content. The day does not count (R9): the date of issue is filled in when a document is written, so a
plan of yesterday is the plan of today unless something happened to the order, the books or the profile.

Nothing here holds a name or an address of a buyer: those are in the fingerprint, as a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ladenbuch.domain.actions import Action, Plan
from ladenbuch.domain.books import Books, PostedDocument
from ladenbuch.domain.document import RateSum, rate_text
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import HELD
from ladenbuch.domain.profile import Profile, profile_at

#: The order of kinds wherever they are listed: that of doing.
KINDS = (
    "money_line", "delete_line", "invoice", "finalise", "cancel", "book_payment", "credit_note", "adopt", "book_refund",
    "xml", "letter",
)  # fmt: skip
#: Filled in when a document is written; they make no plan another one.
_DATES = ("invoice_date", "credit_note_date")
#: What is written for each kind of action that changes turnover.
_PAPERS = {"invoice": "invoices", "credit_note": "credit_notes", "cancel": "cancellations"}


@dataclass(frozen=True, slots=True)
class Step:
    """One action as it is remembered: no texts, no names. `amount` in minor units; None for a letter."""

    kind: str
    key: str
    amount: int | None
    due: bool = True

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        data: dict[str, Any] = {"kind": self.kind, "key": self.key, "amount_minor": self.amount}
        return data if self.due else data | {"due": False}


@dataclass(frozen=True, slots=True)
class Paper:
    """A document that would be written now, or cancelled. `sort`: invoices, credit_notes, cancellations.

    `content` is the hash of everything on it but its date of issue; `taxed_on` the day its tax belongs to.
    """

    sort: str
    key: str
    order_name: str
    currency: str
    tax_rule: int
    delivered_on: date
    taxed_on: date
    gross: int
    sums: tuple[tuple[Decimal, RateSum], ...]
    content: str

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        return {
            "kind": self.sort,
            "key": self.key,
            "name": self.order_name,
            "currency": self.currency,
            "tax_rule": self.tax_rule,
            "delivery_date": self.delivered_on.isoformat(),
            "gross_minor": self.gross,
            "tax_rates": [rate_text(rate) for rate, _ in self.sums],
        }


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """One order's part of a period: what would be done, why not, and the fingerprint of it all.

    `unreadable` is the code of an order that could not be read or understood: nothing is planned for it.
    """

    order_id: str
    name: str
    fingerprint: str
    processed_at: datetime | None = None
    updated_at: datetime | None = None
    profile_version: int | None = None
    applied: frozenset[str] = frozenset()
    steps: tuple[Step, ...] = ()
    papers: tuple[Paper, ...] = ()
    waiting: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    excluded: str | None = None
    unreadable: str | None = None

    @property
    def acts(self) -> bool:
        """Whether something may be carried out now."""
        return any(step.due for step in self.steps)

    @property
    def due_keys(self) -> frozenset[str]:
        """The keys of what may be carried out now."""
        return frozenset(step.key for step in self.steps if step.due)

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md; `Remembered.from_json` reads what a check needs of it."""
        return {
            "order": self.order_id,
            "name": self.name,
            "processed_at": self.processed_at.isoformat() if self.processed_at else None,
            "updated_at": self.updated_at.isoformat() if self.updated_at else None,
            "fingerprint": self.fingerprint,
            "profile_version": self.profile_version,
            "applied": len(self.applied),
            "actions": [step.as_json() for step in self.steps],
            "waiting": list(self.waiting),
            "attention": list(self.attention),
            "excluded": self.excluded,
            "unreadable": self.unreadable,
        }


def preview_of(order: Order, made: Plan, books: Books, profiles: Sequence[Profile], now: datetime) -> OrderPreview:
    """What one plan would do at `now` (aware UTC). `profiles` are those it was made with.

    Nothing is due for an order that is held (`plan.HELD`): settling it asks first, and may then post what no plan has.
    """
    profile = profile_at(profiles, made.tax_point.at if made.tax_point else order.processed_at)
    version = profile.version
    waiting = [item.code for item in made.waiting] + (["INCOMPLETE"] if made.later is not None else [])
    due = set() if HELD.intersection(waiting) else {action.key for action in made.due(now)}
    return OrderPreview(
        order_id=order.id,
        name=order.name,
        fingerprint=fingerprint(made, books, version),
        processed_at=order.processed_at,
        updated_at=order.updated_at,
        profile_version=version,
        applied=books.applied,
        steps=tuple(Step(action.kind, action.key, _amount(action), action.key in due) for action in made.actions),
        papers=tuple(
            _paper(order.name, item, profile) for item in made.actions if item.kind in _PAPERS and item.key in due
        ),
        waiting=tuple(sorted(set(waiting))),
        attention=tuple(sorted({item.code for item in made.attention})),
        excluded=made.exclusion.code if made.exclusion else None,
    )


def unreadable(order_id: str, name: str, code: str) -> OrderPreview:
    """The entry of an order that could not be read; it has a fingerprint too, so that a change of that is noticed."""
    return OrderPreview(order_id, name, _hash({"unreadable": code}), unreadable=code)


def fingerprint(made: Plan, books: Books, profile_version: int) -> str:
    """The hash of what a plan does and rests on. Equal on any day, while order, books and profile are the same."""
    actions = [
        {
            "kind": action.kind,
            "key": action.key,
            "covers": list(action.covers),
            "after": list(action.after),
            "content": _content(action),
        }
        for action in made.actions
    ]
    return _hash({"profile": profile_version, "applied": sorted(books.applied), "actions": actions})


def content_of(document: PostedDocument) -> str:
    """The hash of a document: everything on it but its date of issue, the facts it covers, and its tax point."""
    return _hash(_document(document))


def _content(action: Action) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if action.document is not None:
        data["document"] = _document(action.document)
    if action.line is not None:
        line = action.line
        data["line"] = [line.payment_id, line.account, line.amount, line.value_date.isoformat()]
    if action.booking is not None:
        data["booking"] = [action.booking.payment_id, action.booking.document_key, action.booking.amount]
        data["booking"] += [action.booking.account] if action.booking.account is not None else []
    if action.letter is not None:
        data["letter"] = [action.letter.document_key, action.letter.to, action.letter.locale]
    return data


def _document(document: PostedDocument) -> dict[str, Any]:
    draft = {name: value for name, value in document.draft.as_json().items() if name not in _DATES}
    covers = sorted([cover.fact_id, cover.amount] for cover in document.covers)
    tax_point = document.tax_point.isoformat() if document.tax_point else None
    return {"draft": draft, "covers": covers, "tax_point": tax_point, "profile": document.profile_version}


def _amount(action: Action) -> int | None:
    if action.line is not None:
        return action.line.amount
    if action.booking is not None:
        return action.booking.amount
    return action.document.draft.gross if action.document is not None else None


def _paper(name: str, action: Action, profile: Profile) -> Paper:
    assert action.document is not None
    draft, point = action.document.draft, action.document.tax_point
    taxed_on = profile.local_date(point) if point is not None else draft.delivery_date
    sums = tuple(draft.sums.items())
    return Paper(
        _PAPERS[action.kind], action.document.key, name, draft.currency, draft.tax_rule, draft.delivery_date, taxed_on,
        draft.gross, sums, content_of(action.document),
    )  # fmt: skip


def _hash(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# -- many orders --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class SumRow:
    """What documents of one sort add up to at one tax rule and rate, in minor units."""

    documents: int = 0
    gross: int = 0
    net: int = 0
    tax: int = 0


@dataclass(slots=True)
class Summary:
    """Counts and sums over the orders of a period; `add` one after the other, in order of the shop's day.

    Actions and sums are those that may be carried out now. An order may be counted several times: it can have
    something to do, something to wait for and a question.
    """

    first: int = 10
    orders: int = 0
    acting: int = 0
    later: int = 0
    idle: int = 0
    actions: dict[str, SumRow] = field(default_factory=dict)
    sums: dict[tuple[str, str, int, Decimal], SumRow] = field(default_factory=dict)
    papers: list[Paper] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)
    attention: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    waiting_orders: int = 0
    attention_orders: int = 0

    def add(self, item: OrderPreview) -> None:
        """Count one order."""
        self.orders += 1
        self.acting += item.acts
        self.later += bool(item.steps) and not item.acts
        self.waiting_orders += bool(item.waiting)
        self.attention_orders += bool(item.attention)
        said = item.steps or item.waiting or item.attention or item.excluded or item.unreadable
        self.idle += not said
        self.waiting.update(item.waiting)
        self.attention.update(item.attention)
        self.excluded.update([item.excluded] if item.excluded else [])
        self.unreadable.update([item.unreadable] if item.unreadable else [])
        for step in (step for step in item.steps if step.due):
            row = self.actions.setdefault(step.kind, SumRow())
            row.documents += 1
            row.gross += step.amount or 0
        for paper in item.papers:
            if len(self.papers) < self.first:
                self.papers.append(paper)
            for rate, total in paper.sums:
                row = self.sums.setdefault((paper.sort, paper.currency, paper.tax_rule, rate), SumRow())
                row.documents += 1
                row.gross += total.gross
                row.net += total.net
                row.tax += total.tax

    @property
    def findings(self) -> bool:
        """Whether a person is needed."""
        return bool(self.attention or self.unreadable)

    def rows(self, sort: str) -> list[tuple[str, int, Decimal, SumRow]]:
        """(currency, tax rule, rate, sums) of one sort of document, by rule, highest rate first."""
        found = [(key[1], key[2], key[3], row) for key, row in self.sums.items() if key[0] == sort]
        return sorted(found, key=lambda item: (item[0], item[1], -item[2]))

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/plan.md."""
        kinds = [*(kind for kind in KINDS if kind in self.actions), *sorted(set(self.actions) - set(KINDS))]
        return {
            "counts": {
                "orders": self.orders,
                "with_actions": self.acting,
                "not_yet_due": self.later,
                "nothing_to_do": self.idle,
                "waiting": self.waiting_orders,
                "attention": self.attention_orders,
                "excluded": self.excluded.total(),
                "unreadable": self.unreadable.total(),
            },
            "actions": {
                kind: {"count": self.actions[kind].documents, "amount_minor": self.actions[kind].gross}
                for kind in kinds
            },
            "sums": {sort: [_row_json(*row) for row in self.rows(sort)] for sort in _PAPERS.values()},
            "documents": [paper.as_json() for paper in self.papers],
            "waiting": dict(sorted(self.waiting.items())),
            "attention": dict(sorted(self.attention.items())),
            "excluded": dict(sorted(self.excluded.items())),
            "unreadable": dict(sorted(self.unreadable.items())),
        }


def _row_json(currency: str, tax_rule: int, rate: Decimal, row: SumRow) -> dict[str, Any]:
    return {
        "currency": currency,
        "tax_rule": tax_rule,
        "tax_rate": rate_text(rate),
        "documents": row.documents,
        "gross_minor": row.gross,
        "net_minor": row.net,
        "tax_minor": row.tax,
    }


def summarise(items: Iterable[OrderPreview], first: int = 10) -> Summary:
    """Counts and sums over many orders, and their `first` documents."""
    summary = Summary(first)
    for item in items:
        summary.add(item)
    return summary


# -- a plan that was kept, and what is true now -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remembered:
    """One order of a kept plan: as much as is needed to say that it still holds, or why not."""

    order_id: str
    name: str
    fingerprint: str
    updated_at: datetime | None
    profile_version: int | None
    applied: int
    steps: tuple[Step, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Remembered:
        """Read an entry of `orders`. Raises KeyError, TypeError or ValueError for anything else."""
        texts = [data[name] for name in ("order", "name", "fingerprint")]
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError("order, name and fingerprint are texts")
        if not texts[0].startswith("gid://shopify/Order/"):
            raise ValueError("order is no gid of an order")
        updated_at = data["updated_at"]
        return cls(
            order_id=texts[0],
            name=texts[1],
            fingerprint=texts[2],
            updated_at=datetime.fromisoformat(updated_at) if updated_at is not None else None,
            profile_version=data["profile_version"],
            applied=int(data["applied"]),
            steps=tuple(
                Step(str(item["kind"]), str(item["key"]), item["amount_minor"], item.get("due", True) is True)
                for item in data["actions"]
            ),
        )


def why_changed(was: Remembered, now: OrderPreview) -> str | None:
    """Why a kept plan no longer is the plan of an order, in a sentence for people; None while it is."""
    if was.fingerprint == now.fingerprint:
        return None
    said: list[str] = []
    if now.unreadable is not None:
        return f"it cannot be read any more ({now.unreadable})"
    if was.profile_version is not None and was.profile_version != now.profile_version:
        said.append(f"profile version {now.profile_version} instead of {was.profile_version}")
    if was.applied != len(now.applied):
        said.append(f"{len(now.applied) - was.applied} actions were carried out since")
    before, after = {step.key: step for step in was.steps}, {step.key: step for step in now.steps}
    said += [f"new: {step.kind} {step.key}" for key, step in after.items() if key not in before]
    said += [f"no longer: {key}" for key in before if key not in after and key not in now.applied]
    said += [
        f"{key}: {step.amount} instead of {before[key].amount} minor units"
        for key, step in after.items()
        if key in before and step.amount != before[key].amount
    ]
    if not said:
        said.append("a document or its buyer reads otherwise")
    if was.updated_at != now.updated_at:
        said.append("changed in the shop since")
    return "; ".join(said)
