"""Who is reminded of a payment today: a ladder of days, as data in the profile; off by default (P2).

    "reminders": {"invoice": [7, 14, 28], "prepayment": [7, 14], "until_days": 7,
                  "holidays": [["2026-12-24", "2027-01-01"]]}

`invoice` are days after the day an invoice was to be paid by, `prepayment` days after an order that has none yet. One
level at a time, never two in one day, and never nearer to each other than the ladder says, however late the first was.
Nobody is reminded on the tenant's holidays, while a bank decides on a dispute, after a part was paid, or while goods
come back: then a person talks with the buyer. What is overdue for longer than half a year is left to people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ladenbuch.errors import Rejected

#: Levels there are letters for; days after which nobody is reminded by itself any more.
LEVELS, LONGEST = 3, 183
_FIELDS = ("invoice", "prepayment", "until_days", "holidays")


@dataclass(frozen=True, slots=True)
class Reminders:
    """The ladder. `until_days`: how many days a reminder gives. Both ladders empty: nobody is reminded."""

    invoice: tuple[int, ...] = ()
    prepayment: tuple[int, ...] = ()
    until_days: int = 7
    holidays: tuple[tuple[date, date], ...] = ()

    @property
    def on(self) -> bool:
        """Whether anybody is reminded at all."""
        return bool(self.invoice or self.prepayment)

    def as_json(self) -> dict[str, Any]:
        """What a profile file says of it."""
        days = [[first.isoformat(), last.isoformat()] for first, last in self.holidays]
        ladders = {"invoice": list(self.invoice), "prepayment": list(self.prepayment)}
        return {**ladders, "until_days": self.until_days, "holidays": days}


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder that is due today: which level, how long overdue, and the new last day it names."""

    level: int
    days_overdue: int
    until: date


def reminders_of(value: object) -> Reminders:
    """Read the ladder of a profile file. Raises `Rejected("PROFILE")` that says what is wrong with it."""
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", 'reminders must be an object like {"invoice": [7, 14, 28]}')
    unknown = sorted(str(name) for name in value if name not in _FIELDS)
    if unknown:
        raise Rejected("PROFILE", f"reminders has an unknown field {unknown[0]!r}")
    until = value.get("until_days", 7)
    if type(until) is not int or not 1 <= until <= 60:
        raise Rejected("PROFILE", "reminders.until_days must be a number of days from 1 to 60")
    ladders = {name: _ladder(name, value.get(name, ())) for name in ("invoice", "prepayment")}
    return Reminders(**ladders, until_days=until, holidays=_holidays(value.get("holidays", ())))


def reminder(
    ladder: Reminders,
    due: date | None,
    today: date,
    had: Sequence[tuple[int, date]],
    *,
    invoiced: bool,
    paused: str | None = None,
) -> Due | None:
    """The reminder an open payment gets today, or None. `had`: the levels it had, with their days."""
    steps = ladder.invoice if invoiced else ladder.prepayment
    if due is None or paused is not None or any(first <= today <= last for first, last in ladder.holidays):
        return None
    late, level = (today - due).days, max((one for one, _ in had), default=0) + 1
    if level > len(steps) or late > LONGEST or late < steps[level - 1]:
        return None
    if had:
        last = max(day for _, day in had)
        if (today - last).days < steps[level - 1] - steps[level - 2]:
            return None
    return Due(level, late, today + timedelta(days=ladder.until_days))


def _ladder(name: str, value: object) -> tuple[int, ...]:
    message = f"reminders.{name} must be up to {LEVELS} rising numbers of days, like [7, 14, 28]"
    if not isinstance(value, (list, tuple)) or len(value) > LEVELS:
        raise Rejected("PROFILE", message)
    days = tuple(value)
    if any(type(day) is not int or not 1 <= day <= 120 for day in days) or list(days) != sorted(set(days)):
        raise Rejected("PROFILE", message)
    return days


def _holidays(value: object) -> tuple[tuple[date, date], ...]:
    message = 'reminders.holidays must be pairs of days, like [["2026-12-24", "2027-01-01"]]'
    if not isinstance(value, (list, tuple)):
        raise Rejected("PROFILE", message)
    found = []
    for pair in value:
        try:
            first, last = (date.fromisoformat(str(day)) for day in pair)
        except (TypeError, ValueError) as error:
            raise Rejected("PROFILE", message) from error
        if last < first:
            raise Rejected("PROFILE", message)
        found.append((first, last))
    return tuple(found)
