"""What follows when nobody knows whether a letter arrived: rather none than two, or rather two than none.

The end of a letter has a moment in which only its relay knows whether it has it (mail.sending.Uncertain). Two invoices
of one number, or two reminders of one debt, make a buyer doubt the books of a shop; a second digest harms nobody, and
one that never came may hide an alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Unsure = Literal["ask", "again"]

#: ask: it is listed as LETTER-UNCERTAIN, its relay is asked where that is possible, and a person decides; again: sent.
POLICY: Mapping[str, Unsure] = {
    "invoice": "ask",
    "correction": "ask",
    "cancellation": "ask",
    "payment": "ask",
    "refund": "ask",
    "reminder": "ask",
    "digest": "again",
    "copy": "again",
}


def unsure(kind: str) -> Unsure:
    """What follows for a letter of this kind; of an unknown one a person is asked."""
    return POLICY.get(kind, "ask")
