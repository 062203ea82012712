"""What a new version of a profile would change, before it is saved (R10). Pure.

    changed_fields   which choices read otherwise
    outcome_of       as much of a plan as a profile decides
    effect_of        one order under the versions there are, and under those and the new one
    Change           counts over many orders, in constant memory

An order without a document is open: what changes for it will be posted so. A posted order keeps its profile (P1); of it
is only said whether it *would* differ, had the new version been in force all along. Nothing follows from that.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from ladenbuch.domain.actions import Action, Plan
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.profile import Profile

#: The tenant's own switches and the version's place in time: no choices of a profile.
NOT_CHOSEN = ("version", "effective_from", "go_live", "draft_only")
#: Filled in when a document is written (R9).
_DATES = ("invoice_date", "credit_note_date")
_PAPERS = ("invoice", "credit_note", "cancel")
#: What can become otherwise, in the order in which it is told.
KINDS = ("documents", "tax rule", "sums", "wording", "money", "letters", "parked", "released", "waiting", "excluded")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One choice that reads otherwise; None where it is not made."""

    name: str
    before: str | None
    after: str | None


def changed_fields(before: Profile, after: Profile) -> tuple[FieldChange, ...]:
    """The choices in which two versions differ, gateways one by one."""
    old, new = dict(_flat(before.as_json())), dict(_flat(after.as_json()))
    names = [*old, *(name for name in new if name not in old)]
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None and not (prefix == "" and name in NOT_CHOSEN):
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else str(value)


# -- one order ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document a plan wants. Sums are minor units per rate: gross, net, tax. `wording` is the hash of all of it."""

    kind: str
    key: str
    tax_rule: int
    currency: str
    sums: tuple[tuple[Decimal, int, int, int], ...]
    wording: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """As much of a plan as a profile decides: equal outcomes leave equal books, but for dates of issue."""

    sheets: tuple[Sheet, ...] = ()
    money: tuple[tuple[str, str, int, str], ...] = ()
    letters: tuple[str, ...] = ()
    waiting: frozenset[str] = frozenset()
    attention: frozenset[str] = frozenset()
    excluded: str | None = None
    tax_point: datetime | None = None


def outcome_of(made: Plan) -> Outcome:
    """What a plan wants, told without the version it was made under."""
    return Outcome(
        sheets=tuple(_sheet(item) for item in made.actions if item.kind in _PAPERS),
        money=tuple(sorted(_money(item) for item in made.actions if item.line or item.booking)),
        letters=tuple(sorted(item.key for item in made.actions if item.letter)),
        waiting=frozenset(item.code for item in made.waiting) | ({"INCOMPLETE"} if made.later else set()),
        attention=frozenset(item.code for item in made.attention),
        excluded=made.exclusion.code if made.exclusion else None,
        tax_point=made.tax_point.at if made.tax_point else None,
    )


def _sheet(action: Action) -> Sheet:
    assert action.document is not None
    draft = action.document.draft
    said = {name: value for name, value in draft.as_json().items() if name not in (*_DATES, "tax_rule")}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    sums = tuple((rate, total.gross, total.net, total.tax) for rate, total in draft.sums.items())
    hashed = hashlib.sha256(text.encode()).hexdigest()
    return Sheet(action.kind, action.document.key, draft.tax_rule, draft.currency, sums, hashed)


def _money(action: Action) -> tuple[str, str, int, str]:
    if action.line is not None:
        return action.kind, action.key, action.line.amount, f"{action.line.account} {action.line.value_date}"
    assert action.booking is not None
    return action.kind, action.key, action.booking.amount, action.booking.document_key


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes otherwise for one order: kinds out of KINDS, and the codes that come and go."""

    kinds: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    released: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kinds)

    @property
    def sentence(self) -> str:
        """For people: `tax rule, sums; parked: TIP`."""
        said = [kind for kind in self.kinds if kind not in ("parked", "released")]
        parts = [", ".join(said)] if said else []
        parts += [f"{what}: {', '.join(codes)}" for what, codes in self._codes() if codes]
        return "; ".join(parts)

    def _codes(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("parked", self.parked), ("released", self.released)


def effect_of(before: Outcome, after: Outcome) -> Effect:
    """What `after` has otherwise than `before`."""
    old, new = ({(item.kind, item.key): item for item in side.sheets} for side in (before, after))
    both = [(old[key], new[key]) for key in old if key in new]
    parked = tuple(sorted(after.attention - before.attention))
    released = tuple(sorted(before.attention - after.attention))
    found = {
        "documents": old.keys() != new.keys(),
        "tax rule": any(was.tax_rule != now.tax_rule for was, now in both),
        "sums": any(was.sums != now.sums for was, now in both),
        "wording": any(was.wording != now.wording for was, now in both if _amounts(was) == _amounts(now)),
        "money": before.money != after.money,
        "letters": before.letters != after.letters,
        "parked": bool(parked),
        "released": bool(released),
        "waiting": before.waiting != after.waiting,
        "excluded": before.excluded != after.excluded,
    }
    return Effect(tuple(kind for kind in KINDS if found[kind]), parked, released)


def _amounts(sheet: Sheet) -> tuple[object, ...]:
    return sheet.tax_rule, sheet.sums


# -- many orders --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Group:
    """Counts over orders of one sort, and the `first` of those that change: (gid, name, sentence)."""

    orders: int = 0
    changed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, order_id: str, name: str, effect: Effect, first: int) -> None:
        """Count one order."""
        self.orders += 1
        if not effect:
            return
        self.changed += 1
        self.kinds.update(effect.kinds)
        self.parked.update(effect.parked)
        self.released.update(effect.released)
        if len(self.named) < first:
            self.named.append((order_id, name, effect.sentence))

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/profile.md."""
        return {
            "orders": self.orders,
            "changed": self.changed,
            "kinds": {kind: self.kinds[kind] for kind in KINDS if self.kinds[kind]},
            "parked": dict(sorted(self.parked.items())),
            "released": dict(sorted(self.released.items())),
            "first": [{"order": gid, "name": name, "change": text} for gid, name, text in self.named],
        }


@dataclass(slots=True)
class Sums:
    """Gross, net and tax in minor units, as planned now and as planned with the new version."""

    before: list[int] = field(default_factory=lambda: [0, 0, 0])
    after: list[int] = field(default_factory=lambda: [0, 0, 0])


@dataclass(slots=True)
class Change:
    """The whole effect of a new version.

    `open`: without a document, they will be posted as said. `answered`: posted, with a question the version answers.
    `posted`: would differ, had the version been in force when they were posted. `earlier`: open orders whose question
    the version answers only if it is dated back to their tax point, the earliest of which is `earliest`. `undated`:
    open orders without a tax point; the version in force when it comes decides.
    """

    first: int = 10
    open: Group = field(default_factory=Group)
    answered: Group = field(default_factory=Group)
    posted: Group = field(default_factory=Group)
    earlier: Group = field(default_factory=Group)
    earliest: datetime | None = None
    undated: int = 0
    unreadable: int = 0
    sums: dict[tuple[str, str, int, Decimal], Sums] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)

    def add_open(self, order_id: str, name: str, before: Outcome, after: Outcome, all_along: Outcome) -> None:
        """Count an order without a document; `all_along` is its outcome had the version always been in force."""
        effect = effect_of(before, after)
        self.open.add(order_id, name, effect, self.first)
        if effect:
            self.again.append(order_id)
            self._sum(before, after)
        self.undated += after.tax_point is None and after.excluded is None
        would = effect_of(after, all_along)
        if would.released and not would.parked and after.tax_point is not None:
            self.earlier.add(order_id, name, would, self.first)
            self.earliest = min(self.earliest or after.tax_point, after.tax_point)

    def add_posted(
        self, order_id: str, name: str, now: tuple[Outcome, Outcome], posted: tuple[Outcome, Outcome]
    ) -> None:
        """Count a posted order: what is left to do for it before and after, and its whole life under both versions."""
        left = effect_of(*now)
        self.answered.add(order_id, name, left, self.first)
        if left:
            self.again.append(order_id)
        self.posted.add(order_id, name, effect_of(*posted), self.first)

    def _sum(self, before: Outcome, after: Outcome) -> None:
        for outcome in (before, after):
            for sheet in outcome.sheets:
                for rate, *amounts in sheet.sums:
                    row = self.sums.setdefault((sheet.kind, sheet.currency, sheet.tax_rule, rate), Sums())
                    total = row.before if outcome is before else row.after
                    for place, amount in enumerate(amounts):
                        total[place] += amount

    def rows(self) -> list[tuple[str, str, int, Decimal, Sums]]:
        """(kind, currency, tax rule, rate, sums) of the open orders that change, by rule, highest rate first."""
        found = [(*key, row) for key, row in self.sums.items()]
        return sorted(found, key=lambda item: (_PAPERS.index(item[0]), item[1], item[2], -item[3]))

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/profile.md."""
        names = ("gross_minor", "net_minor", "tax_minor")
        return {
            "open": self.open.as_json() | {"without_tax_point": self.undated},
            "answered": self.answered.as_json(),
            "posted": self.posted.as_json(),
            "earlier": self.earlier.as_json() | {"since": self.earliest.isoformat() if self.earliest else None},
            "unreadable": self.unreadable,
            "sums": [
                {"kind": kind, "currency": currency, "tax_rule": rule, "tax_rate": rate_text(rate)}
                | {
                    "before": dict(zip(names, row.before, strict=True)),
                    "after": dict(zip(names, row.after, strict=True)),
                }
                for kind, currency, rule, rate, row in self.rows()
            ],
        }
