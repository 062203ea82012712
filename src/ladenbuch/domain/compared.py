"""Today's look at a connection beside yesterday's: what is new, what is gone, what is only out of sight. Pure.

Compared is what is not as it should be, by code, subject and level; sentences carry dates and sums that move by
themselves. While one side does not answer, what hangs on it is not gone: it is carried along until it is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ladenbuch.domain.connected import Area, Finding

#: The finding that says a side was read at all.
_READ: tuple[tuple[Area, str], ...] = (("shopify", "SHOPIFY"), ("sevdesk", "SEVDESK"))


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that came, or one that went."""

    came: bool
    finding: Finding

    @property
    def english(self) -> str:
        """`new: SEVDESK-BOOKKEEPING (the account …)`"""
        return f"{'new' if self.came else 'gone'}: {self.finding.code} ({self.finding.english})"


def carried(before: Sequence[Finding], after: Sequence[Finding]) -> list[Finding]:
    """What was found now, and what was found before and could not be looked at now. In the order of `after`."""
    unread = _unread(after)
    if not unread:
        return list(after)
    codes, blind = {item.code for item in after}, _unread(before)
    kept = [
        item
        for item in before
        if item.level != "ok"
        and item.code not in codes
        and (item.area not in ("shopify", "sevdesk") or (item.area in unread and item.area not in blind))
    ]
    return [*after, *kept]


def changes(before: Sequence[Finding], after: Sequence[Finding]) -> list[Change]:
    """What came and what went between two looks; `after` as `carried` gave it."""
    was, now = _bad(before), _bad(after)
    came = [Change(True, item) for key, item in now.items() if key not in was]
    return came + [Change(False, item) for key, item in was.items() if key not in now]


def _unread(findings: Sequence[Finding]) -> set[Area]:
    codes = {item.code for item in findings}
    return {area for area, code in _READ if code not in codes}


def _bad(findings: Sequence[Finding]) -> dict[tuple[str, str, str], Finding]:
    return {(item.code, item.about, item.level): item for item in findings if item.level != "ok"}
