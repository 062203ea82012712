"""How many letters arrive, counted so that nothing flatters it. Pure.

    rate           = arrived / judged            of all that were promised and are not under way any more
    of the valid   = arrived / (judged - invalid)

Arrived is what a relay says it delivered; and, where a relay tells nothing of deliveries (plain SMTP), what it took and
nobody sent back within `PATIENCE`: that part is counted apart as `presumed`. A letter whose relay tells deliveries and
told nothing for as long did not arrive, as far as anybody knows (`silent`). Who complained has the letter.

Invalid are letters to addresses that do not exist: bounced for it, refused for it at once, not sent because an earlier
one bounced for it, or an address that cannot stand on an envelope. They lower the first rate and not the second; both
are shown. What was withdrawn before it was sent (a buyer was forgotten, its cause ended) is nobody's failure and not
promised any more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

from ladenbuch.domain.feedback import bounce_of

#: How far back letters are counted.
PERIOD = timedelta(days=30)
#: How long a letter may be under way before it is judged.
PATIENCE = timedelta(days=2)
#: Under this share of arrived letters a person should hear of it.
LEAST = Decimal("0.99")
#: Fewer letters than this are no share of anything.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Group:
    """So many letters that came equally far; `outbox.Tally` has the same fields. `old`: past `PATIENCE`."""

    state: str
    bounce: str | None
    relay: str | None
    reason: str | None
    old: bool
    number: int


@dataclass(frozen=True, slots=True)
class Rate:
    """Letters of a period, each counted in exactly one of the fields. `invalid_…` are part of their whole."""

    delivered: int = 0
    presumed: int = 0
    complained: int = 0
    bounced: int = 0
    suppressed: int = 0
    failed: int = 0
    uncertain: int = 0
    silent: int = 0
    late: int = 0
    under_way: int = 0
    withdrawn: int = 0
    invalid: int = 0

    @property
    def arrived(self) -> int:
        """Delivered, whoever says so."""
        return self.delivered + self.presumed + self.complained

    @property
    def lost(self) -> int:
        """Judged, and not arrived."""
        return self.bounced + self.suppressed + self.failed + self.uncertain + self.silent + self.late

    @property
    def judged(self) -> int:
        """Promised, but for what is under way or was withdrawn."""
        return self.arrived + self.lost

    @property
    def promised(self) -> int:
        """All that were promised."""
        return self.judged + self.under_way + self.withdrawn

    @property
    def rate(self) -> Decimal | None:
        """Share that arrived; None while nothing is judged."""
        return share(self.arrived, self.judged)

    @property
    def of_valid(self) -> Decimal | None:
        """The same without letters to invalid addresses."""
        return share(self.arrived, self.judged - self.invalid)

    @property
    def low(self) -> bool:
        """Whether a person should hear of it: enough letters, and too few arrived."""
        return self.judged >= ENOUGH and self.rate is not None and self.rate < LEAST


def share(part: int, whole: int) -> Decimal | None:
    """Part of a whole, rounded down to a hundredth of a percent, so that 99.999 % are never called 100; None of 0."""
    if whole <= 0:
        return None
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001"), ROUND_DOWN)


def percent(value: Decimal | None) -> str:
    """For people, in English: `99.12`; a dash where there is nothing."""
    return "-" if value is None else f"{value * 100:.2f}"


def rate_of(groups: Iterable[Group], telling: Collection[str]) -> Rate:
    """The figures of all groups together. `telling`: relays that tell deliveries, by the first word of their names."""
    found: dict[str, int] = {}
    for group in groups:
        field = _field(group, telling)
        found[field] = found.get(field, 0) + group.number
        if _invalid(group):
            found["invalid"] = found.get("invalid", 0) + group.number
    return Rate(**found)


def _field(group: Group, telling: Collection[str]) -> str:
    if group.state in ("delivered", "bounced", "complained", "suppressed", "uncertain"):
        return group.state
    if group.state == "moot":
        return "withdrawn"
    if group.state == "failed":
        return "withdrawn" if (group.reason or "").startswith("PRIVACY") else "failed"
    if not group.old:
        return "under_way"
    if group.state != "accepted":
        return "late"
    # `mailgun example.org`, and `postmark#2` where a provider is named twice.
    return "silent" if re.split("[ #]", group.relay or "")[0] in telling else "presumed"


def _invalid(group: Group) -> bool:
    if group.state in ("bounced", "suppressed"):
        return group.bounce == "invalid"
    if group.state != "failed" or group.reason is None:
        return False
    if group.reason.startswith("LETTER-ADDRESS"):
        return True
    return any(bounce_of(word.strip(":,"), final=False) == "invalid" for word in group.reason.split())
