"""What a person decided about a question: for the facts it was asked about, and for no others (R16).

A choice is the sentence that was offered; what follows from it is written down here once:

    setting    the profile of this order reads otherwise (a tip is taxed, a gift card is single-purpose, ...)
    waive      the document is written although the question stands (one invoice for two months, a closed period, ...)
    by_hand    a person does it; nothing more is posted for these facts, and the order counts as accounted for
    exclude    the order is not ours (nothing was posted), or no longer ours (something was)
    redo       what stands in sevdesk is taken over, restored, written again or deleted, as the choice says: a draft, a
               money line, a contact, an invoice of others
    elsewhere  something must be done in the shop or in the settings; then the order is looked at again

Answers are bound to two hashes: of the facts the question names, and of everything that was sold, given back or
disputed. A setting or a waiver needs the first, a hand needs both: a later refund of an order that was left to a
person is asked about again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ladenbuch.domain.facts import Facts, Problem
from ladenbuch.domain.matching import CREATE_NEW, names_a_contact
from ladenbuch.domain.order import Agreement, Order
from ladenbuch.domain.profile import Profile

BY_HAND, EXCLUDE, ELSEWHERE, WAIVE, REDO, SETTING = "by_hand", "exclude", "elsewhere", "waive", "redo", "setting"


@dataclass(frozen=True, slots=True)
class Effect:
    """What follows from a choice. `field` and `value` belong to a setting."""

    kind: str
    field: str = ""
    value: str = ""


_HANDS = (
    "book by hand",
    "cancel it and write a new e-invoice by hand",
    "cancel the invoice by hand",
    "cancel the surplus credit note in sevdesk",
    "cancel the surplus invoice in sevdesk",
    "correct it by a credit note in sevdesk",
    "correct it by hand",
    "correct it by hand in sevdesk",
    "credit by hand",
    "decide by hand",
    "decide the tax rule by hand",
    "fraud",
    "goodwill",
    "keep both",
    "keep it as credit",
    "keep the documents",
    "leave it to the bookkeeper",
    "leave the invoice as it is",
    "post by hand",
    "send it by hand",
    "split and link it by hand in sevdesk",
    "the return was corrected",
    "uncollectible",
    "write an advance invoice for the part by hand",
)
_ELSEWHERE = (
    "add it in Shopify",
    "add it in sevdesk",
    "add the address in Shopify",
    "change the profile",
    "claim it back from the provider",
    "correct the cause, then go",
    "correct the contact in sevdesk",
    "correct the shop",
    "finalise or delete the draft in sevdesk",
    "link the payment in sevdesk",
    "look at its effect again",
    "look into it",
    "look into it in sevdesk",
    "look it up in Shopify",
    "name the account",
    "name the earlier invoice",
    "name the reason",
    "open the period",
    "plan again",
    "read the order again later",
    "refund the difference",
    "reset one of them in sevdesk",
    "try again",
    "update the connector",
    "use the supported value",
)
#: Every choice with a wording of its own, and what follows from it. Gateway modes are choices of the profile.
EFFECTS: Mapping[str, Effect] = {
    **{choice: Effect(BY_HAND) for choice in _HANDS},
    **{choice: Effect(ELSEWHERE) for choice in _ELSEWHERE},
    "exclude the order": Effect(EXCLUDE),
    "exclude": Effect(EXCLUDE),
    "taxed at the main rate of the goods": Effect(SETTING, "tips", "taxed"),
    "passed to staff": Effect(SETTING, "tips", "staff"),
    "single-purpose: taxed now": Effect(SETTING, "vouchers", "single_purpose"),
    "multi-purpose: liability": Effect(SETTING, "vouchers", "multi_purpose"),
    "as charged": Effect(SETTING, "shipping_policy", "as_charged"),
    "follow the goods": Effect(SETTING, "shipping_policy", "follow_goods"),
    "electronic": Effect(SETTING, "unshipped", "electronic"),
    "service": Effect(SETTING, "unshipped", "service"),
    "service at the place of use": Effect(SETTING, "unshipped", "service_at_place"),
    "leave it in one invoice": Effect(WAIVE),
    "write it dated today": Effect(WAIVE),
    "it is for this order": Effect(WAIVE),
    "it is not for this order": Effect(WAIVE),
    "mark it paid in Shopify all the same": Effect(REDO),
    "wait for the rest": Effect(ELSEWHERE),
    "refund it in Shopify": Effect(ELSEWHERE),
    "it is another sale, invoice it": Effect(WAIVE),
    "send an ordinary invoice": Effect(WAIVE),
    "send the credit note as an ordinary document": Effect(WAIVE),
    "take theirs": Effect(REDO),
    "restore ours": Effect(REDO),
    "send the letter": Effect(REDO),
    "it was sent": Effect(REDO),
    "recreate": Effect(REDO),
    "delete our line": Effect(REDO),
    CREATE_NEW: Effect(REDO),
}


def effect_of(choice: str) -> Effect:
    """What follows from a choice; wordings without an effect of their own are done elsewhere."""
    named = names_a_contact(choice) or adoptable(choice) is not None
    return EFFECTS.get(choice, Effect(REDO if named else ELSEWHERE))


def adoptable(choice: str) -> str | None:
    """The number of the invoice of others that a choice takes over ("adopt number RE-77"), or None."""
    found = re.fullmatch(r"adopt number (.+)", choice)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Answers:
    """The resolutions of one order: (code, hash) -> the choice taken. `whole` is the order's own hash, '' unknown."""

    given: Mapping[tuple[str, str], str] = field(default_factory=dict)
    facts: Facts | None = field(default=None, repr=False)

    @classmethod
    def of(cls, resolutions: Iterable[tuple[str, str, str]], facts: Facts | None = None) -> Answers:
        """From rows (code, hash, choice), oldest first: of two answers to one question the later counts."""
        return cls({(code, mark): choice for code, mark, choice in resolutions}, facts)

    def to(self, problem: Problem) -> str | None:
        """The choice a person took for exactly this question, or None."""
        if not self.given:
            return None
        mark, whole = question_hash(problem, self.facts).split(":")
        for (code, known), choice in self.given.items():
            if code != problem.code or not known.startswith(f"{mark}:"):
                continue
            final = effect_of(choice).kind in (BY_HAND, EXCLUDE)
            if not final or known.endswith(f":{whole}"):
                return choice
        return None

    def kind(self, problem: Problem) -> str | None:
        """The kind of effect of the answer to a question, or None."""
        choice = self.to(problem)
        return None if choice is None else effect_of(choice).kind

    def profile(self, profile: Profile, problems: Iterable[Problem]) -> tuple[Profile, dict[str, str]]:
        """The profile as these questions were answered, and which answers (code -> choice) changed it."""
        taken: dict[str, str] = {}
        for problem in problems:
            choice = self.to(problem)
            if choice is not None and effect_of(choice).kind == SETTING:
                effect = effect_of(choice)
                changed = replace(profile, **{effect.field: effect.value})  # type: ignore[arg-type]
                if changed != profile:
                    profile, taken[problem.code] = changed, choice
        return profile, taken

    def open(self, problems: Iterable[Problem], *kinds: str) -> list[Problem]:
        """The questions without an answer of these kinds."""
        return [item for item in problems if self.kind(item) not in kinds]


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """One question per code, with all its facts and choices: so a person answers it once."""
    found: dict[str, Problem] = {}
    for item in problems:
        known = found.get(item.code)
        if known is None:
            found[item.code] = item
            continue
        message = known.message if item.message in known.message else f"{known.message}; {item.message}"
        facts = tuple(dict.fromkeys(known.facts + item.facts))
        found[item.code] = Problem(item.code, message, facts, tuple(dict.fromkeys(known.choices + item.choices)))
    return list(found.values())


def question_hash(problem: Problem, facts: Facts | None) -> str:
    """What an answer is bound to: hash of the code and the facts it names, then of the whole order, 16 digits each."""
    named = sorted((fact, _content(fact, facts)) for fact in problem.facts)
    whole = [] if facts is None else _whole(facts)
    return f"{_hash([problem.code, named])}:{_hash(whole)}"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _whole(facts: Facts) -> list[Any]:
    """Everything that was sold, given back, cancelled or disputed; money that comes in changes no answer."""
    order = facts.order
    back = [(item.id, item.amount) for item in facts.items if item.kind == "money" and item.amount < 0]
    disputes = [(item.id, item.status) for item in order.disputes]
    return [[_sold(item) for item in facts.agreements], back, disputes, str(order.cancelled_at), _buyer(order)]


def _sold(agreement: Agreement) -> list[Any]:
    sales = [[sale.id, sale.total, [[tax.rate, tax.amount] for tax in sale.taxes]] for sale in agreement.sales]
    return [agreement.id, sorted(sales)]


def _buyer(order: Order) -> list[Any]:
    """What of the buyer a tax decision rests on; no name, and nothing a redaction takes away."""
    place = order.shipping_address or order.billing_address
    return [place.country if place else None, order.company.id if order.company else None]


def _content(fact: str, facts: Facts | None) -> list[Any]:
    """What a fact says now; nothing for ids that are no facts of the order."""
    if facts is None:
        return []
    order = facts.order
    if fact == order.id:
        return [[_sold(item) for item in facts.agreements], _buyer(order)]
    for agreement in facts.agreements:
        if fact == agreement.id:
            return _sold(agreement)
        for sale in agreement.sales:
            if fact == sale.id:
                return [sale.total, [[tax.rate, tax.amount] for tax in sale.taxes]]
    for payment in order.payments:
        if fact == payment.id:
            return [payment.kind, payment.status, payment.amount, payment.gateway]
    states = [(item.id, item.status) for item in order.disputes] + [
        (item.id, item.status) for item in order.fulfilments
    ]
    return next(([status] for identity, status in states if fact == identity), [])
