"""Who fails again and again is left alone, then asked by exactly one call (facts 1.8)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.breaker import LIMITS, LONGEST, PAUSES, PROBE, Breaker, InMemory
from ladenbuch.errors import Retryable

STATUS = {"refused": 401, "down": 503, "silent": 0}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def call(breaker: Breaker, status: int) -> None:
    breaker.before()
    breaker.after(status)


def refused(breaker: Breaker) -> Retryable:
    with pytest.raises(Retryable) as caught:
        breaker.before()
    return caught.value


def opened(kind: str = "down") -> tuple[Clock, Breaker]:
    clock = Clock()
    breaker = Breaker("sevdesk", clock)
    for _ in range(LIMITS[kind]):
        call(breaker, STATUS[kind])
    return clock, breaker


@pytest.mark.parametrize("kind", LIMITS)
def test_so_many_failures_of_one_kind_in_a_row_open_it_and_say_when_to_come_back(kind: str) -> None:
    clock = Clock()
    breaker = Breaker("sevdesk", clock)
    for _ in range(LIMITS[kind] - 1):
        call(breaker, STATUS[kind])
    assert breaker.known_state == "closed"
    call(breaker, STATUS[kind])
    assert breaker.known_state == "open"
    error = refused(breaker)
    assert (error.code, error.detail["kind"]) == ("SEVDESK-BREAKER", kind)
    assert error.after == PAUSES[kind]
    clock.sleep(1)
    assert refused(breaker).after == PAUSES[kind] - 1


@given(st.lists(st.sampled_from([200, 404, 422, 429, 401, 403, 500, 503, 0]), max_size=60))
def test_it_opens_exactly_when_one_kind_failed_often_enough_since_the_last_healthy_answer(statuses: list[int]) -> None:
    breaker = Breaker("sevdesk", Clock())
    counts = dict.fromkeys(LIMITS, 0)
    for status in statuses:
        call(breaker, status)
        if status in (200, 404, 422, 429):
            counts = dict.fromkeys(LIMITS, 0)
        else:
            counts["silent" if status == 0 else "refused" if status < 500 else "down"] += 1
        reached = any(counts[kind] >= LIMITS[kind] for kind in LIMITS)
        assert (breaker.known_state == "open") is reached
        if reached:
            return


def test_after_the_pause_one_call_probes_and_a_success_closes() -> None:
    clock, breaker = opened()
    clock.sleep(PAUSES["down"])
    assert breaker.known_state == "half_open"
    breaker.before()
    others = [threading.Thread(target=lambda: held.append(refused(breaker).after or 0)) for _ in range(5)]
    held: list[float] = []
    for one in others:
        one.start()
    for one in others:
        one.join()
    assert len(held) == 5 and min(held) > 0
    breaker.after(200)
    assert breaker.known_state == "closed"
    call(breaker, 200)


@pytest.mark.parametrize(("status", "kind"), [(503, "down"), (401, "refused")])
def test_a_failed_probe_doubles_the_pause_up_to_a_minute_or_ten(status: int, kind: str) -> None:
    """Whatever it was opened by: who refuses us is asked seldom, who is down is found back within a minute."""
    clock, breaker = opened("silent")
    pause = PAUSES["silent"]
    for _ in range(10):
        clock.sleep(pause)
        call(breaker, status)
        pause = min(LONGEST[kind], pause * 2)
        assert refused(breaker).after == pause
    assert pause == LONGEST[kind] == {"down": 60, "refused": 600}[kind]


def test_a_probe_that_was_never_sent_or_never_came_back_is_another_calls() -> None:
    clock, breaker = opened()
    clock.sleep(PAUSES["down"])
    breaker.before()
    breaker.after(None)  # the budget was used up
    breaker.before()  # its thread dies
    other = threading.Thread(target=lambda: refused(breaker))
    other.start()
    other.join()
    clock.sleep(PROBE)
    call(breaker, 200)
    assert breaker.known_state == "closed"


def test_what_was_under_way_when_it_opened_neither_closes_nor_prolongs_it() -> None:
    clock, breaker = opened()
    breaker.after(200)
    assert breaker.known_state == "open"
    for _ in range(10):
        breaker.after(503)
    assert refused(breaker).after == PAUSES["down"]
    clock.sleep(PAUSES["down"])
    call(breaker, 200)


def test_a_tenant_that_connects_anew_is_not_held_back_by_what_failed_before() -> None:
    _, breaker = opened("refused")
    breaker.reset()
    call(breaker, 401)
    assert breaker.known_state == "closed"


def test_only_one_of_many_threads_becomes_the_probe() -> None:
    clock = Clock()
    circuits = InMemory()
    breaker = Breaker("sevdesk", clock, circuits)
    for _ in range(LIMITS["down"]):
        call(breaker, 500)
    clock.sleep(PAUSES["down"])
    until = clock.now + timedelta(seconds=PROBE)
    won: list[bool] = []
    start = threading.Barrier(16)

    def work() -> None:
        start.wait()
        won.append(circuits.probe(clock.now, until))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert won.count(True) == 1
