"""Whoever asks our bucket first is never refused by theirs (facts 5.1, S48, S117, S122, S125).

The other side is a bucket of its own (`leaky.py`); all of it happens in virtual time.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.bucket import RESERVES, Bucket, Priority, TooLong, Turn, working_as
from leaky import START, Theirs, Time, Worker, crowd


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    workers=st.integers(1, 20),
    plan=st.sampled_from([(2000, 100), (4000, 200), (20000, 1000), (1000, 50)]),
    pause=st.sampled_from([0.0, 0.5, 5.0]),
)
def test_s122_never_refused_whatever_the_latency(seed: int, workers: int, plan: tuple[int, int], pause: float) -> None:
    time = Time()
    theirs = Theirs(time, *plan)
    crowd(time, Bucket(time, 1000, 100, known=False), theirs, seed, workers, pause=pause)
    time.run(90)
    assert theirs.refused == 0


def test_s48_at_full_load_nothing_is_refused_and_what_flows_back_is_used() -> None:
    """Ten minutes of 20 workers on 100 points a second: 0 refusals, and 95 % of the points are spent."""
    time = Time()
    theirs = Theirs(time)
    crowd(time, Bucket(time, 1000, 100, known=False), theirs, 1, 20)
    time.run(600)
    assert theirs.refused == 0
    assert theirs.charged > 0.95 * 600 * 100


@pytest.mark.parametrize(
    "plans", [((2000, 100), (20000, 1000)), ((20000, 1000), (2000, 100)), ((4000, 200), (1000, 50))]
)
def test_s117_a_change_of_plan_is_known_after_the_next_answer(plans: tuple[tuple[int, int], tuple[int, int]]) -> None:
    time = Time()
    theirs = Theirs(time, *plans[0])
    bucket = Bucket(time, 1000, 100, known=False)
    (worker,) = crowd(time, bucket, theirs, 3, 1)
    time.run(60)
    theirs.change(*plans[1])
    before = len(worker.waits)
    while len(worker.waits) < before + 2:
        time.run(0.5)
    assert bucket.size == plans[1]
    charged, refused = theirs.charged, theirs.refused
    assert refused <= 1
    crowd(time, bucket, theirs, 4, 20)
    time.run(120)
    assert theirs.refused == refused
    assert theirs.charged - charged > 0.9 * 120 * plans[1][1], "and the new rate is used"


def test_what_others_take_is_noticed() -> None:
    """Another installation drains the same bucket: an answer that shows less than our own calls explain is believed."""
    time = Time()
    theirs = Theirs(time)
    bucket = Bucket(time, 1000, 100, known=False)
    crowd(time, bucket, theirs, 1, 4, pause=1.0, dearest=50)
    time.run(30)
    theirs.charge(1500)
    time.run(5)
    assert bucket.available() <= theirs.level() + 60
    assert theirs.refused == 0


def test_s125_a_person_waits_little_while_a_backfill_takes_all_it_gets() -> None:
    time = Time()
    theirs = Theirs(time)
    bucket = Bucket(time, 1000, 100, known=False)
    backfill = crowd(time, bucket, theirs, 1, 20, priority=Priority.BACKFILL)
    time.run(60)
    told = crowd(time, bucket, theirs, 2, 2, priority=Priority.WEBHOOKS, pause=10.0, dearest=120)
    people = crowd(time, bucket, theirs, 3, 2, priority=Priority.INTERACTIVE, pause=10.0, dearest=120)
    time.run(400)

    def p95(workers: list[Worker]) -> float:
        waits = sorted(wait for worker in workers for wait in worker.waits)
        assert len(waits) > 40
        return waits[int(len(waits) * 0.95)]

    assert theirs.refused == 0
    assert p95(people) < 0.1
    assert p95(told) < 2.0
    assert p95(backfill) > 5.0, "the backfill does wait, so there was something to overtake"


def test_a_backfill_is_not_starved_by_webhooks() -> None:
    time = Time()
    theirs = Theirs(time)
    bucket = Bucket(time, 1000, 100, known=False)
    crowd(time, bucket, theirs, 1, 20, dearest=120)
    (backfill,) = crowd(time, bucket, theirs, 2, 1, priority=Priority.BACKFILL, dearest=120)
    time.run(300)
    assert len(backfill.waits) > 5


def test_each_class_leaves_its_reserve_to_those_above_and_a_dear_call_still_fits() -> None:
    time = Time()
    for priority, reserve in RESERVES.items():
        bucket = Bucket(time, 1000, 100)
        assert bucket.ask(bucket.enter(1000 * (1 - reserve), priority)) == 0.0
        assert (bucket.ask(bucket.enter(1, priority)) == 0.0) is False
        bucket = Bucket(time, 1000, 100)
        assert bucket.ask(bucket.enter(1000, priority)) == 0.0


def test_the_line_is_kept_and_a_place_given_up_is_free() -> None:
    time = Time()
    bucket = Bucket(time, 100, 10)
    first = bucket.enter(90)
    assert bucket.ask(first) == 0.0
    dear, cheap = bucket.enter(80), bucket.enter(1)
    assert bucket.ask(cheap) == pytest.approx((10 + 81 - 10) / 10), "the cheap one does not overtake"
    bucket.leave(dear)
    assert bucket.ask(cheap) == pytest.approx(0.1)
    bucket.settle(first, 0)
    assert bucket.ask(cheap) == 0.0


def test_nobody_waits_longer_than_his_patience_and_then_holds_nothing() -> None:
    time = Time()
    bucket = Bucket(time, 100, 1)
    held = bucket.take(90, time.sleep, 1.0)
    with pytest.raises(TooLong) as late:
        bucket.take(90, time.sleep, 10.0)
    assert late.value.after == pytest.approx(90.0)
    assert bucket.waiting == 0
    assert time.now == START
    bucket.settle(held, 0)
    assert bucket.take(90, time.sleep, 1.0).taken


def test_working_as_is_of_this_thread_and_ends_with_its_block() -> None:
    bucket = Bucket(Time(), 100, 1)
    with working_as(Priority.BACKFILL):
        assert bucket.enter(1).priority is Priority.BACKFILL
        with working_as(Priority.INTERACTIVE):
            assert bucket.enter(1).priority is Priority.INTERACTIVE
    assert bucket.enter(1).priority is Priority.WEBHOOKS


def test_a_clock_that_is_set_back_gives_nothing_and_stops_nothing() -> None:
    time = Time()
    bucket = Bucket(time, 100, 10)
    turn: Turn = bucket.take(90, time.sleep, 0)
    bucket.settle(turn)
    time.now -= timedelta(hours=1)
    assert bucket.available() == pytest.approx(10)
    time.now += timedelta(seconds=5)
    assert bucket.available() == pytest.approx(60)


def test_an_answer_that_was_overtaken_by_another_raises_nothing() -> None:
    """The first call was answered when the second had not arrived, but we hear of the second one first."""
    time = Time()
    bucket = Bucket(time, 2000, 100)
    first, second = bucket.take(100, time.sleep, 0), bucket.take(500, time.sleep, 0)
    bucket.settle(second, 500, maximum=2000, available=1400, rate=100)
    bucket.settle(first, 100, maximum=2000, available=1900, rate=100)
    assert bucket.available() == 1400
