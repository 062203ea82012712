"""A person's answer to an open question: checked, written down with its audit row; the order is looked at again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ladenbuch import audit, books, inbox
from ladenbuch.books import Question
from ladenbuch.db import Door, Store, Transaction
from ladenbuch.domain.answers import ELSEWHERE, effect_of
from ladenbuch.errors import UsageError

#: What every question may be answered with, besides its own choices.
ALWAYS = ("exclude the order", "leave it to the bookkeeper")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer that was taken. `recorded` is False where the choice is done elsewhere and only looked at again."""

    question: Question
    choice: str
    recorded: bool


def choice_of(question: Question, words: str) -> str:
    """The choice somebody means: its number (from 1), its wording, or an unambiguous beginning of it.

    Raises UsageError("CHOICE") that lists what there is.
    """
    offered = tuple(dict.fromkeys((*question.choices, *ALWAYS)))
    wanted = words.strip().casefold()
    if wanted.isdigit() and 1 <= int(wanted) <= len(offered):
        return offered[int(wanted) - 1]
    plain = {item.casefold(): item for item in offered}
    if wanted in plain:
        return plain[wanted]
    meant = [item for key, item in plain.items() if wanted and key.startswith(wanted)]
    if len(meant) == 1:
        return meant[0]
    listed = "; ".join(f"{number} {item}" for number, item in enumerate(offered, 1))
    raise UsageError("CHOICE", f"{question.code} can be answered with: {listed}")


def resolve(door: Door, tenant: str, question: Question, words: str, *, actor: str, now: datetime) -> Resolved:
    """Take an answer: recorded with its audit row in one transaction, then the order is wanted. `now` is aware UTC.

    Raises UsageError("CHOICE"), and UsageError("QUESTION") when the question is no longer open as it was shown.
    """
    choice = choice_of(question, words)
    recorded = effect_of(choice).kind != ELSEWHERE

    def record(tx: Transaction) -> None:
        still = books.questions(tx, tenant, question.order_id, question.code)
        if not any(item.facts_hash == question.facts_hash for item in still):
            raise UsageError("QUESTION", f"{question.code} was asked about something else by now; look again")
        if recorded:
            books.resolve(tx, tenant, question, choice, actor, now)
        sentence = f"{question.code} was answered: {choice}."
        event = "resolved" if recorded else "looked-after"
        audit.append(tx, tenant, now, actor=actor, event=event, subject=question.order_id, sentence=sentence)

    door.run(Store.BOOKS, record)
    door.run(Store.INBOX, lambda tx: inbox.want(tx, tenant, question.order_id, now))
    return Resolved(question, choice, recorded)
