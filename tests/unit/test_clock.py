"""Our clock against the dates of answers: what is certain, and nothing that one wrong date could say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.clock import ahead, dated, off
from ladenbuch.telemetry.clocks import Clocks

START = datetime(2026, 11, 2, 23, 59, 30, tzinfo=UTC)


class World:
    """True time, and a machine whose clock is `skew` seconds ahead of it."""

    def __init__(self, skew: float = 0) -> None:
        self.now, self.skew = 0.0, skew
        self.clocks = Clocks(lambda: START + timedelta(seconds=self.now + self.skew), lambda: self.now + 5_000)

    def call(self, service: str, trip: float = 0.2, wrong: float = 0) -> None:
        sent = self.clocks.count()
        self.now += trip / 2
        date = START + timedelta(seconds=int(self.now + wrong))
        self.now += trip / 2
        self.clocks.heard(service, sent, format_datetime(date, usegmt=True))

    @property
    def seconds(self) -> float | None:
        found = self.clocks.off()
        return None if found is None else found.total_seconds()


@given(
    st.floats(-4000, 4000).filter(lambda skew: not 60 <= abs(skew) <= 62),
    st.lists(st.tuples(st.sampled_from(("shopify", "sevdesk")), st.floats(0.01, 0.6)), min_size=6, max_size=20),
)
def test_a_clock_is_off_when_it_is(skew: float, calls: list[tuple[str, float]]) -> None:
    """More than a minute, whichever way; what is said is right to the second and the journey."""
    world = World(skew)
    for service, trip in calls:
        world.call(service, trip)
    found = world.seconds
    if abs(skew) > 62:
        assert found is not None and abs(found - skew) <= 2.5 and (found > 0) is (skew > 0)
    else:
        assert found is None


@given(st.floats(0, 200), st.integers(0, 2**16))
def test_slow_journeys_alarm_nobody(trip: float, seed: int) -> None:
    """The round trip is taken off: however long it is, a right clock is right."""
    world = World()
    for number in range(6):
        world.call("shopify" if seed >> number & 1 else "sevdesk", trip)
    assert world.seconds is None


@given(st.integers(0, 4), st.floats(-1e6, 1e6), st.sampled_from(("shopify", "sevdesk")))
def test_a_single_wrong_date_halts_nothing(place: int, wrong: float, service: str) -> None:
    world = World()
    for number in range(5):
        world.call(service, wrong=wrong if number == place else 0)
    assert world.seconds is None


def test_a_service_whose_clock_is_wrong_is_outvoted_by_the_other() -> None:
    world = World()
    for _ in range(5):
        world.call("sevdesk", wrong=-300)
    assert world.seconds == 298, "nobody else was heard"
    for _ in range(3):
        world.call("shopify")
    assert world.seconds is None


def test_two_answers_are_too_few_and_old_ones_say_nothing() -> None:
    world = World(-300)
    world.call("shopify")
    world.call("shopify")
    assert world.seconds is None
    world.call("shopify")
    assert world.seconds is not None
    world.now += 1000
    assert world.seconds is None, "nothing was heard for a quarter of an hour"


def test_a_clock_that_is_put_right_is_right_at_once_and_one_that_jumps_is_off_at_once() -> None:
    """What was heard before is held against a count of seconds nobody sets."""
    world = World()
    for _ in range(5):
        world.call("shopify")
        world.call("sevdesk")
    world.skew = 3600
    assert world.seconds is not None
    world.skew = 0
    assert world.seconds is None
    world.skew = -100
    assert world.seconds is not None


def test_it_is_right_again_below_the_limit_and_does_not_flicker_at_it() -> None:
    world = World(63)
    for _ in range(5):
        world.call("shopify")
    assert world.seconds is not None
    world.skew = 58
    assert world.seconds is not None
    world.skew = 45
    assert world.seconds is None
    world.skew = 58
    assert world.seconds is None


def test_what_is_no_date_or_comes_before_it_was_asked_says_nothing() -> None:
    world = World(900)
    for date in ("", "yesterday", "Mon, 99 Nov 2026 00:00:00 GMT"):
        for _ in range(3):
            world.clocks.heard("shopify", world.clocks.count(), date)
    assert world.seconds is None
    assert dated(10.0, 9.0, 0.0) is None
    assert ahead([], 0.0, 0.0) is None and off([]) is None
