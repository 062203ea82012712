"""The engine under virtual time: the same order of events for the same inputs, and no wall clock anywhere."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from ladenbuch.engine.inline import InlineEngine, VirtualClock
from ladenbuch.engine.port import CRASHED, Engine
from ladenbuch.errors import Rejected, Retryable

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def engine(clock: VirtualClock) -> InlineEngine:
    return InlineEngine(clock)


def test_it_keeps_the_port(engine: InlineEngine) -> None:
    port: Engine = engine
    port.register("f", lambda: "OK")
    port.launch()
    port.start("f", "r1")
    assert port.running() == 1
    port.close()


def test_runs_are_first_in_first_out_and_a_known_run_id_runs_once(engine: InlineEngine) -> None:
    seen: list[str] = []
    engine.register("f", lambda order: seen.append(order) or "OK")
    engine.launch()
    for run, order in [("r1", "a"), ("r2", "b"), ("r1", "c")]:
        engine.start("f", run, order)
    assert engine.drain() == 2
    engine.start("f", "r2", "d")
    assert engine.drain() == 0
    assert seen == ["a", "b"]
    assert engine.finished == {"r1": "OK", "r2": "OK"}
    assert engine.running() == 0


def test_what_a_run_raises_becomes_a_code(engine: InlineEngine, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> str:
        raise Rejected("TAX-RATE", "not ours")

    def break_() -> str:
        raise ZeroDivisionError

    engine.register("refuse", refuse)
    engine.register("break", break_)
    engine.launch()
    engine.start("refuse", "r1")
    engine.start("break", "r2")
    with caplog.at_level(logging.ERROR):
        engine.drain()
    assert engine.finished == {"r1": "TAX-RATE", "r2": CRASHED}
    assert "r2" in caplog.text


def test_a_simulated_crash_leaves_drain_at_once(engine: InlineEngine) -> None:
    class Crash(BaseException):
        pass

    def crash() -> str:
        raise Crash

    engine.register("crash", crash)
    engine.register("f", lambda: "OK")
    engine.launch()
    engine.start("crash", "r1")
    engine.start("f", "r2")
    with pytest.raises(Crash):
        engine.drain()
    assert "r1" not in engine.finished
    assert engine.running() == 1


def test_start_before_launch_is_refused_and_an_unknown_name_is_a_mistake(engine: InlineEngine) -> None:
    engine.register("f", lambda: "OK")
    with pytest.raises(Retryable) as refused:
        engine.start("f", "r1")
    assert refused.value.code == "ENGINE-DOWN"
    engine.launch()
    with pytest.raises(KeyError):
        engine.start("g", "r1")


def test_ticks_fire_at_their_virtual_times_only(clock: VirtualClock, engine: InlineEngine) -> None:
    times: list[float] = []
    engine.every("poll", 60, lambda: times.append((clock.now() - START).total_seconds()))
    engine.launch()
    engine.run_until(START + timedelta(seconds=150))
    assert times == [0, 60, 120]
    assert clock.now() == START + timedelta(seconds=150)


def test_wake_makes_a_tick_fire_now_and_a_tick_that_wakes_itself_does_not_starve_runs(
    clock: VirtualClock, engine: InlineEngine
) -> None:
    ticks: list[datetime] = []
    runs: list[str] = []

    def dispatch() -> None:
        ticks.append(clock.now())
        if len(runs) < 3:
            engine.wake("dispatch")

    engine.every("dispatch", 60, dispatch)
    engine.register("f", lambda run: runs.append(run) or "OK")
    engine.launch()
    for number in range(3):
        engine.start("f", f"r{number}", str(number))
    engine.drain()
    assert runs == ["0", "1", "2"]
    before = len(ticks)
    engine.drain()
    assert len(ticks) == before
    engine.wake("dispatch")
    engine.wake("nobody")
    engine.drain()
    assert len(ticks) == before + 1


def test_a_failing_tick_is_logged_and_fires_again(
    clock: VirtualClock, engine: InlineEngine, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError

    engine.every("bad", 10, fail)
    engine.launch()
    engine.run_until(START + timedelta(seconds=25))
    assert len(calls) == 3
    assert "bad" in caplog.text


def test_sleeping_runs_move_time_and_late_ticks_are_not_made_up_for(clock: VirtualClock, engine: InlineEngine) -> None:
    ticks: list[float] = []
    engine.every("t", 1, lambda: ticks.append((clock.now() - START).total_seconds()))
    engine.register("slow", lambda: clock.sleep(5) or "OK")
    engine.launch()
    engine.start("slow", "r1")
    engine.drain()
    assert clock.now() == START + timedelta(seconds=5)
    assert ticks == [0, 5]


def test_timers_fire_in_the_order_of_time_and_stop_ends_early(clock: VirtualClock, engine: InlineEngine) -> None:
    seen: list[str] = []
    engine.launch()
    engine.at(START + timedelta(seconds=3), lambda: seen.append("late"))
    engine.at(START + timedelta(seconds=1), lambda: seen.append("early"))
    engine.at(START + timedelta(seconds=1), lambda: seen.append("early too"))
    engine.run_until(START + timedelta(seconds=9), stop=lambda: "early too" in seen)
    assert seen == ["early", "early too"]
    assert clock.now() == START + timedelta(seconds=1)
    engine.run_until(START + timedelta(seconds=9))
    assert seen[-1] == "late"


def test_two_engines_with_the_same_inputs_tell_the_same_story() -> None:
    def story() -> list[tuple[str, float]]:
        clock = VirtualClock(START)
        engine = InlineEngine(clock)
        told: list[tuple[str, float]] = []

        def run(order: str) -> str:
            told.append((order, (clock.now() - START).total_seconds()))
            clock.sleep(0.1 * (int(order) % 7))
            return "OK"

        numbers = iter(range(200))

        def feed() -> None:
            number = next(numbers, 0)
            engine.start("run", f"r{number}", str(number))

        engine.register("run", run)
        engine.every("feed", 0.5, feed)
        engine.launch()
        engine.run_until(START + timedelta(seconds=60))
        return told

    assert story() == story()
    assert len(story()) > 50


def test_a_clock_refuses_naive_times_and_running_backwards() -> None:
    with pytest.raises(ValueError):
        VirtualClock(datetime(2026, 1, 1))
    clock = VirtualClock(START)
    with pytest.raises(ValueError):
        clock.advance(-1)
    clock.advance_to(START - timedelta(days=1))
    assert clock() == START
    clock.sleep(-3)
    assert clock.now() == START
