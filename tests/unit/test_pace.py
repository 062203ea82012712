"""The budget of one sevdesk account: never above the rate, slower on 429, and back again (facts 1.8)."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from ladenbuch.errors import Retryable
from ladenbuch.workflows.pace import Pace


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)


def test_never_more_than_the_rate_after_the_burst():
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    start = clock()
    for _ in range(110):
        pace()
    assert (clock() - start).total_seconds() >= 9.9


def test_a_few_429_do_not_starve_the_account():
    """With 2 % of calls answered 429, at least half of the rate is still used: a lowered rate comes back by time."""
    clock, rng = Clock(), random.Random(1)
    pace = Pace(100, clock, clock.sleep, burst=1)
    start = clock()
    for _ in range(5000):
        pace()
        if rng.random() < 0.02:
            pace.slow_down()
    assert 5000 / (clock() - start).total_seconds() > 20


def test_a_long_queue_is_refused_rather_than_slept_away():
    clock = Clock()
    pace = Pace(1, clock, lambda seconds: None, burst=1)
    for _ in range(20):
        pace()
    with pytest.raises(Retryable) as refused:
        [pace() for _ in range(10)]
    assert refused.value.code == "SEVDESK-BUDGET" and refused.value.after > 0
