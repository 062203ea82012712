"""The budget of one sevdesk account: never above the rate, slower on 429, and back again (facts 1.8)."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from ladenbuch.errors import Retryable
from ladenbuch.workflows.pace import PARTNER_RATE, Pace


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
    pace = Pace(1, clock, clock.sleep, burst=1)
    for _ in range(21):  # twenty others stand in line
        pace.bucket.enter(1)
    start = clock()
    with pytest.raises(Retryable) as refused:
        pace()
    assert refused.value.code == "SEVDESK-BUDGET" and refused.value.after > 20
    assert clock() == start


@pytest.mark.parametrize("journey", [0.0, 0.1, 0.3])
def test_the_partner_api_gets_four_requests_a_second_and_never_five(journey):
    """Facts 5.3: 4 requests per second and client, whatever second one looks at, and however their journeys differ."""
    clock, rng = Clock(), random.Random(5)
    pace = Pace(PARTNER_RATE, clock, clock.sleep, burst=1, service="partner")
    sent = []
    for _ in range(200):
        pace()
        sent.append(clock() + timedelta(seconds=rng.uniform(0, journey)))
    assert (sent[-1] - sent[0]).total_seconds() < 70, "and most of them are used"
    sent.sort()
    for number, at in enumerate(sent):
        assert sum(1 for other in sent[number : number + 8] if other < at + timedelta(seconds=1)) <= 4
    assert pace.used() == 1.0


def test_a_429_halves_the_rate_and_the_slowest_is_a_32nd():
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    for _ in range(10):
        pace.slow_down()
        clock.sleep(1.0)
    start = clock()
    for _ in range(3):
        pace()
    assert 0.5 < (clock() - start).total_seconds() < 4
