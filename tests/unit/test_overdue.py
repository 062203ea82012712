"""Who is reminded, and when: a ladder of days (P2, S116)."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.overdue import LONGEST, Reminders, reminder, reminders_of
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected

DUE = date(2026, 11, 10)
LADDER = reminders_of({"invoice": [7, 14, 28], "prepayment": [5], "holidays": [["2026-12-24", "2027-01-01"]]})


def history(ladder: Reminders, days: int, *, invoiced: bool = True, paused: str | None = None) -> list[tuple[int, int]]:
    """(level, days after it was due) of every reminder, looked at each day, and twice."""
    had: list[tuple[int, date]] = []
    for day in (DUE + timedelta(days=n) for n in range(days)):
        for _ in range(2):
            found = reminder(ladder, DUE, day, had, invoiced=invoiced, paused=paused)
            if found is not None:
                assert found.until == day + timedelta(days=7) and found.days_overdue == (day - DUE).days
                had.append((found.level, day))
    return [(level, (day - DUE).days) for level, day in had]


def test_p2_each_level_comes_once_on_its_day() -> None:
    assert history(LADDER, 200) == [(1, 7), (2, 14), (3, 28)]
    assert history(LADDER, 200, invoiced=False) == [(1, 5)]


def test_p2_off_by_default_and_paused() -> None:
    assert not Profile().reminders.on and history(Reminders(), 200) == []
    for why in ("dispute", "partial", "return"):
        assert history(LADDER, 200, paused=why) == []


def test_p2_holidays_move_a_level_and_keep_the_distance() -> None:
    ladder = reminders_of({"invoice": [40, 45], "holidays": [["2026-12-19", "2027-01-02"]]})
    assert history(ladder, 200) == [(1, 54), (2, 59)]


def test_p2_what_is_overdue_for_half_a_year_is_left_to_people() -> None:
    assert reminder(LADDER, DUE, DUE + timedelta(days=LONGEST + 1), (), invoiced=True) is None
    assert reminder(LADDER, None, DUE, (), invoiced=True) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 120), max_size=3, unique=True), st.lists(st.integers(0, 150), max_size=4))
def test_p2_never_two_in_a_day_and_never_nearer_than_the_ladder(steps: list[int], away: list[int]) -> None:
    days = sorted(steps)
    holidays = [[(DUE + timedelta(days=n)).isoformat(), (DUE + timedelta(days=n + 9)).isoformat()] for n in away]
    found = history(reminders_of({"invoice": days, "holidays": holidays}), 200)
    assert [level for level, _ in found] == list(range(1, len(found) + 1))
    for (level, day), (_, later) in pairwise(found):
        assert later - day >= days[level] - days[level - 1] and day >= days[level - 1]
    assert len(found) == len(days)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"invoice": [7, 7]},
        {"invoice": [14, 7]},
        {"invoice": [1, 2, 3, 4]},
        {"invoice": ["7"]},
        {"until_days": 0},
        {"ladder": [7]},
        {"holidays": [["2026-12-24"]]},
        {"holidays": [["2027-01-01", "2026-12-24"]]},
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(Rejected) as refused:
        Profile.from_json({"reminders": wrong})
    assert refused.value.code == "PROFILE"


def test_a_ladder_is_read_as_it_is_written() -> None:
    said = {"invoice": [7, 14], "prepayment": [5], "until_days": 10, "holidays": [["2026-12-24", "2027-01-01"]]}
    profile = Profile.from_json({"reminders": said})
    assert profile.as_json()["reminders"] == said
    assert Profile.from_json(profile.as_json()).reminders == profile.reminders
