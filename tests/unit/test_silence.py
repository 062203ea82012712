"""The detectors of silence, pure: what is a sign, what is chance, and that an alarm does not flicker (B11, S91)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import exp, sqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.silence import DEFAULT, Change, few, overdue, unheard

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
WEEK = 168


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def said(*changes: tuple[float, bool], heard: float | None = None) -> tuple[str, int]:
    """Changes by their age in seconds and whether they were told; the age of the newest webhook."""
    found = unheard([Change(ago(age), told) for age, told in changes], None if heard is None else ago(heard), NOW,
                    DEFAULT)  # fmt: skip
    return found.verdict, found.count


def test_s91_nothing_told_is_a_sign_and_one_lost_delivery_is_none() -> None:
    assert said((90, False), (60, False), (30, False)) == ("on", 3)
    assert said((90, True), (60, False), (30, True), heard=29) == ("off", 1), "single deliveries do get lost"
    assert said((90, False)) == ("as it was", 1)
    assert said((301, False)) == ("on", 1), "a quiet shop: one change, nothing heard since, for five minutes"
    assert said((301, False), heard=200) == ("as it was", 1)
    assert said() == ("as it was", 0), "a shop in which nothing happens says nothing"
    assert said((10, False), (5, False), (1, False)) == ("as it was", 0), "webhooks take seconds"
    assert said((500, False), (400, False), (300, False), (30, True), heard=29) == ("off", 3), "they come again"


@given(st.lists(st.tuples(st.floats(0, 600), st.booleans()), max_size=20), st.none() | st.floats(0, 900))
def test_what_was_told_alone_is_never_an_alarm(changes: list[tuple[float, bool]], heard: float | None) -> None:
    verdict, count = said(*changes, heard=heard)
    if all(told for _, told in changes):
        assert verdict != "on" and count == 0
    if verdict == "on":
        assert any(not told and age >= 20 for age, told in changes)


def poisson(chance: random.Random, rate: float) -> int:
    if rate > 60:
        return max(0, round(chance.gauss(rate, sqrt(rate))))
    count, product, floor = 0, chance.random(), exp(-rate)
    while product >= floor:
        count, product = count + 1, product * chance.random()
    return count


def hours_of(chance: random.Random, rate: float, swing: float) -> dict[int, int]:
    """A day and the same day of eight earlier weeks: each week's sales swing as a whole, each hour's by chance."""
    found = {}
    for week in range(9):
        level = chance.gammavariate(1 / swing**2, swing**2) if swing else 1.0
        for hour in range(24):
            found[week * WEEK + hour] = poisson(chance, rate * level)
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.3, 2.0, 12.0, 80.0]), st.sampled_from([0, 0.2, 0.3]))
def test_b11_an_ordinary_day_is_no_alarm(seed: int, rate: float, swing: float) -> None:
    """False alarms: none in some thousand looks at quiet and busy shops whose weeks swing by a fifth or a third."""
    chance = random.Random(seed)
    alarms = sum(few(hours_of(chance, rate, swing), 8, DEFAULT).verdict == "on" for _ in range(25))
    assert alarms == 0


@given(st.integers(0, 7), st.dictionaries(st.integers(0, 9 * WEEK), st.integers(0, 3), max_size=60))
def test_a_shop_that_is_new_or_sells_next_to_nothing_is_never_too_quiet(weeks: int, hours: dict[int, int]) -> None:
    verdict = few(hours, weeks, DEFAULT).verdict
    if weeks < DEFAULT.least_weeks:
        assert verdict == "as it was"
    if min(sum(hours.get(week * WEEK + hour, 0) for hour in range(24)) for week in range(1, 9)) == 0:
        assert few(hours, 8, DEFAULT).verdict != "on"


def test_b11_the_busier_a_shop_the_sooner_its_silence_is_seen() -> None:
    chance, seen = random.Random(7), {}
    for rate in (2, 5, 20, 100, 1000):
        past = {hour: count for hour, count in hours_of(chance, rate, 0.2).items() if hour >= 24}
        for silent in range(1, 25):
            day = {hour: poisson(chance, rate) for hour in range(silent, 24)}
            if few({**past, **day}, 8, DEFAULT).verdict == "on":
                seen[rate] = silent
                break
    assert seen[100] == seen[1000] == 1 and seen[20] <= 4 and seen[5] <= 24, seen


def test_few_ends_only_when_orders_come_again() -> None:
    """Between too few and enough nothing is said: the alarm stays as it was."""
    past = {week * WEEK + hour: 30 for week in range(1, 9) for hour in range(24)}
    said = [few({**past, **dict.fromkeys(range(24), rate)}, 8, DEFAULT).verdict for rate in range(31)]
    assert said[0] == "on" and said[-1] == "off"
    assert said == sorted(said, key=["on", "as it was", "off"].index)
    assert "as it was" in said


def test_overdue() -> None:
    five = timedelta(minutes=5)
    assert overdue(ago(300), NOW, five) == ("off", 5)
    assert overdue(ago(301), NOW, five) == ("on", 5)
    assert overdue(ago(-60), NOW, five) == ("off", 0), "a clock that was set back"
    assert isinstance(DEFAULT.polls, Decimal)
