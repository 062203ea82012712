"""A part of the price that was received in an earlier month than the rest of the tax arose (bookkeeping 3.1).

Money received before the supply is taxed with the month of its receipt (§13 (1) no. 1a sentence 4 UStG), so one
document dated by the tax point would declare it too late. Which advance invoice belongs to it, a person decides.
"""

from __future__ import annotations

from datetime import datetime

from ladenbuch.domain.facts import Facts, Problem
from ladenbuch.domain.profile import Profile

_CHOICES = ("write an advance invoice for the part by hand", "leave it in one invoice", "exclude the order")


def partial_prepayment(facts: Facts, profile: Profile, until: datetime) -> list[Problem]:
    """PARTIAL-PREPAYMENT when a month ended before `until` (aware UTC) with money kept and the tax point still to come.

    `until` is the tax point, or now while there is none. Months are those of the accounting time zone.
    """
    kept = 0
    month, received = (0, 0), []
    for fact in facts.items:
        if fact.kind != "money" or fact.at > until:
            continue
        if _month(profile, fact.at) != month and kept > 0:
            break
        month, kept = _month(profile, fact.at), kept + fact.amount
        received.append(fact.id)
    if kept <= 0 or month == _month(profile, until):
        return []
    message = f"a part of the price, {kept} minor units, came in before the end of {month[1]:02d}/{month[0]}"
    return [Problem("PARTIAL-PREPAYMENT", message, tuple(received), _CHOICES)]


def _month(profile: Profile, instant: datetime) -> tuple[int, int]:
    day = profile.local_date(instant)
    return day.year, day.month
