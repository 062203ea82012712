"""Processes that share one bucket never take more than it holds, whoever comes, goes or dies (S122, S125)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time as wall
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.breaker import LIMITS, PAUSES, Breaker
from ladenbuch.bucket import Bucket, Holding, Priority, TooLong
from ladenbuch.budgets import (
    KEPT,
    LEASE,
    Pool,
    Share,
    SharedBudget,
    budget_shares,
    budgets,
    bury,
    exchange,
    fair,
    key_of,
    prune,
)
from ladenbuch.circuits import LOOK, SharedCircuits
from ladenbuch.db import Database, Store
from ladenbuch.errors import Retryable
from ladenbuch.shopify.cost import CostGauge
from ladenbuch.workflows.limits import Limits
from ladenbuch.workflows.pace import Pace
from leaky import Theirs, Time, Worker

KEY = key_of("shopify", "house.myshopify.com")
WHOLE = 1_000_000


@dataclass
class Shared(Worker):
    """A worker of a process that may die."""

    process: Process = field(kw_only=True)

    def prepare(self) -> None:
        self.process.sharing.renew(self.bucket, self.cost)

    def begin(self) -> None:
        if self.process.alive:
            super().begin()

    def ask(self) -> None:
        if self.process.alive:
            super().ask()

    def hear(self, spent: float | None, told: int | None) -> None:
        if self.process.alive:
            super().hear(spent, told)


class Process:
    """One process with its workers; `kill` leaves its share and what is under way to themselves."""

    def __init__(self, world: World, name: str, workers: int, pause: float = 0.0, dearest: int = 120) -> None:
        self.alive = True
        self.sharing = SharedBudget(world.database, KEY, name, world.time)
        self.bucket = CostGauge(world.time, sharing=self.sharing)
        self.workers = [
            Shared(
                world.time,
                self.bucket,
                world.theirs,
                random.Random(f"{world.seed}/{name}/{number}"),
                Priority.WEBHOOKS,
                pause,
                dearest,
                process=self,
            )
            for number in range(workers)
        ]
        for worker in self.workers:
            world.time.after(worker.rng.random() / 10, worker.begin)

    @property
    def calls(self) -> int:
        return sum(len(worker.waits) for worker in self.workers)

    def kill(self) -> None:
        self.alive = False


class World:
    """One bucket of Shopify's, and a database in which processes meet."""

    def __init__(self, folder: Path, seed: int = 1, plan: tuple[float, float] = (2000, 100)) -> None:
        self.seed = seed
        self.time = Time()
        self.theirs = Theirs(self.time, *plan)
        self.database = Database.open(data_dir=folder)
        for engine in self.database._engines.values():
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.database.migrate()

    def rows(self) -> tuple[Any, list[Any]]:
        def read(tx: Any) -> tuple[Any, list[Any]]:
            return tx.execute(sa.select(budgets)).one(), tx.execute(sa.select(budget_shares)).all()

        return self.database.system("doctor").read(Store.BOOKS, read)

    def check(self) -> None:
        pool, shares = self.rows()
        assert pool.part + sum(one.part for one in shares) == WHOLE
        assert pool.flow + sum(one.flow for one in shares) == WHOLE
        assert min([pool.part, pool.flow, pool.debt, *(one.part for one in shares), *(one.flow for one in shares)]) >= 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_debts_and_shares_only_change_hands(data: st.DataObject) -> None:
    """Whatever is exchanged: shares and debts stay the same in sum, nobody owes more than what he holds can carry."""
    maximum = data.draw(st.sampled_from([10.0, 2000.0, 20000.0]))
    mine = Share(part=data.draw(st.integers(0, WHOLE)), flow=data.draw(st.integers(0, WHOLE)))
    others = data.draw(st.integers(0, WHOLE - mine.part)), data.draw(st.integers(0, WHOLE - mine.flow))
    free = WHOLE - mine.part - others[0], WHOLE - mine.flow - others[1]
    owed = data.draw(st.floats(0, 1)) * maximum * mine.part / WHOLE
    under_way = data.draw(st.floats(0, 1)) * owed
    left_over = data.draw(st.floats(0, 1)) * maximum * free[0] / WHOLE
    pool = Pool(maximum, 1.0, True, free[0], free[1], left_over, Time().now)
    held = Holding(maximum, 1.0, True, mine.part / WHOLE, mine.flow / WHOLE, owed - under_way, under_way, 0.0, 0)
    target = data.draw(st.integers(0, WHOLE)), data.draw(st.integers(0, WHOLE))
    need = data.draw(st.floats(0, maximum))
    after, share, debt = exchange(pool, mine, held, target, need)
    assert (after.part + share.part, after.flow + share.flow) == (free[0] + mine.part, free[1] + mine.flow)
    assert min(after.part, after.flow, share.part, share.flow) >= 0
    assert after.debt + debt == pytest.approx(left_over + held.debt)
    slack = 1e-6 * maximum
    assert -slack <= debt and debt + under_way <= maximum * share.part / WHOLE + slack
    assert -slack <= after.debt <= maximum * after.part / WHOLE + slack


def test_a_share_that_was_left_behind_comes_back_as_if_it_had_just_been_used(world: World) -> None:
    process = Process(world, "p", 6)
    world.time.run(20)
    process.kill()
    (left,) = world.rows()[1]
    world.time.run(30)
    gauge = CostGauge(world.time)
    SharedBudget(world.database, KEY, "next", world.time).renew(gauge, 1)
    pool, (one,) = world.rows()
    assert one.holder == "next"
    assert pool.debt / 1000 + gauge.holding().debt > 0.85 * 2000 * left.part / WHOLE


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


@pytest.mark.parametrize("seed", range(int(os.environ.get("LADENBUCH_BUDGET_SEEDS", "4"))))
def test_processes_come_go_idle_and_die_and_nothing_is_ever_refused(tmp_path: Path, seed: int) -> None:
    """The other side's bucket is the judge: not one of its refusals, and parts and flows always add up to one."""
    rng = random.Random(seed)
    world = World(tmp_path, seed, rng.choice([(2000, 100), (4000, 200), (20000, 1000)]))
    running: list[Process] = []
    for step in range(24):
        chance = rng.random()
        if len(running) < 2 or (chance < 0.3 and len(running) < 5):
            workers, pause = rng.randint(1, 8), rng.choice([0.0, 0.0, 1.0, 20.0])
            running.append(Process(world, f"p{step}", workers, pause, rng.choice([50, 120, 400])))
        elif chance < 0.45:
            running.pop(rng.randrange(len(running))).kill()
        world.time.run(0.2 + rng.expovariate(1 / 8))  # somebody has asked by then
        world.check()
    assert world.theirs.refused == 0
    world.database.close()


def test_at_full_load_three_processes_use_the_whole_rate_fairly_and_write_seldom(world: World) -> None:
    processes = [Process(world, f"p{number}", 6) for number in range(3)]
    world.time.run(60)
    before = world.theirs.charged, [one.calls for one in processes], sum(one.sharing.renewals for one in processes)
    world.time.run(200)
    calls = [one.calls - were for one, were in zip(processes, before[1], strict=True)]
    assert world.theirs.refused == 0
    assert world.theirs.charged - before[0] > 0.9 * 200 * 100
    assert min(calls) > 0.8 * max(calls)
    renewals = sum(one.sharing.renewals for one in processes) - before[2]
    assert renewals <= 3 * 200 / 2 + 3, "every two seconds, not for every call"


def test_a_dead_process_gives_its_share_back(world: World) -> None:
    first, second = Process(world, "first", 6), Process(world, "second", 6)
    world.time.run(60)
    first.kill()
    world.time.run(60)
    (left,) = world.rows()[1]
    assert (left.holder, left.part) == ("second", WHOLE - KEPT)
    before = world.theirs.charged
    world.time.run(100)
    assert world.theirs.charged - before > 0.9 * 100 * 100, "the survivor has the whole rate"
    assert world.theirs.refused == 0
    assert second.calls > 0


def test_s125_a_newcomer_finds_what_is_kept_for_it_while_another_process_takes_all(world: World) -> None:
    Process(world, "backfill", 12)
    world.time.run(60)
    person = Process(world, "person", 1)
    world.time.run(0.5)
    assert person.calls == 1
    assert person.workers[0].waits[0] == 0.0, "a call of up to 120 points need not wait for a renewal"
    world.time.run(30)
    assert world.theirs.refused == 0


def test_who_is_idle_gives_back_and_who_ends_too(world: World) -> None:
    busy = Process(world, "busy", 4)
    world.time.run(20)
    assert not busy.sharing.give_back_if_idle(busy.bucket), "its last call is less than a second old"
    busy.kill()
    world.time.run(3)
    busy.bucket.resize(0.5, 0.5, 500.0)
    held = busy.bucket.holding()
    for turn in list(busy.bucket._used.out):
        busy.bucket.settle(turn)
    for turn in list(busy.bucket._line):
        busy.bucket.leave(turn)
    world.time.run(5)
    assert held.part == 0.5
    assert busy.sharing.give_back_if_idle(busy.bucket)
    world.check()
    assert world.rows()[1] == []
    assert busy.bucket.available() <= 0, "nothing is sent from a share one does not hold"
    assert world.database.system("reaper").run(Store.BOOKS, lambda tx: prune(tx, world.time.now)) == 0
    later = world.time.now + timedelta(seconds=1)
    assert world.database.system("reaper").run(Store.BOOKS, lambda tx: prune(tx, later)) == 1


def test_who_gives_back_after_it_was_taken_back_leaves_the_bucket_whole(world: World) -> None:
    """A process under load looks late: its share is taken back as it gives it back, and nothing of it is lost."""
    late = Process(world, "late", 0)
    late.bucket.settle(late.bucket.take(10, world.time.sleep, 1.0), 10)
    world.time.run(60)
    assert late.sharing.give_back_if_idle(late.bucket)
    world.check()
    assert world.rows()[1] == []


def test_what_flowed_back_after_the_end_of_a_lease_was_not_ours(world: World) -> None:
    """A process that stood still for a while: the others had its flow meanwhile, so its debt is what it was."""
    late = Process(world, "late", 0)
    for number in range(15):
        late.bucket.settle(
            late.bucket.take(100, world.time.sleep, 5.0), 100, maximum=2000, available=1900 - 100 * number
        )
        world.theirs.charge(100)
    world.time.run(LEASE)
    owed, busy = late.bucket.holding().debt, Process(world, "busy", 6)
    world.time.run(1)
    begun = world.theirs.charged
    world.time.run(10)
    assert world.theirs.charged - begun > 0.9 * 10 * 100, "who is busy has the whole flow as soon as the lease is over"
    assert late.bucket.holding().debt < 0.1 * owed, "the bucket alone does not know"
    world.check()
    late.sharing.renew(late.bucket, 1)
    assert late.bucket.holding().debt + world.rows()[0].debt / 1000 > 0.9 * owed
    world.check()
    assert busy.calls > 0 and world.theirs.refused == 0


def test_a_share_of_a_process_known_to_be_dead_is_free_at_once(world: World) -> None:
    first, second = Process(world, "w1:abc", 6), Process(world, "w10:abc", 6)
    world.time.run(20)
    first.kill()
    door = world.database.system("reaper")
    assert door.run(Store.BOOKS, lambda tx: bury(tx, "w1", world.time.now)) == 0, "it may still be used"
    world.time.run(LEASE + 1)
    assert door.run(Store.BOOKS, lambda tx: bury(tx, "w1", world.time.now)) == 1
    world.time.run(3)
    (left,) = world.rows()[1]
    assert (left.holder, left.part) == ("w10:abc", WHOLE - KEPT)
    world.time.run(60)
    assert world.theirs.refused == 0
    assert second.calls > 0


def counted(world: World, name: str) -> tuple[SharedBudget, Bucket]:
    """sevdesk's requests as one process sees them: ten a second."""
    sharing = SharedBudget(world.database, "sevdesk", name, world.time, fixed=True)
    return sharing, Pace(10.0, world.time, world.time.sleep, sharing=sharing).bucket


def call(world: World, bucket: Bucket) -> float:
    """One request of a tenth of a second; for how many seconds it had to wait."""
    before = world.time.now
    turn = bucket.take(1, world.time.sleep, 60.0)
    waited = (world.time.now - before).total_seconds()
    world.time.run(0.1)
    bucket.settle(turn)
    return waited


def test_a_newcomer_finds_one_call_in_a_small_bucket(world: World) -> None:
    """A sixteenth of ten requests would be none at all."""
    for name in ("one", "two"):
        assert call(world, counted(world, name)[1]) == 0.0


def test_a_tiny_share_of_what_flows_back_sends_nobody_away_for_hours(world: World) -> None:
    """What it holds now says nothing about in a second: the letter of an order was put off until the next day."""
    bucket = Pace(10.0, world.time, world.time.sleep, sharing=Nothing()).bucket
    bucket.resize(0.1, 0.000_005, 1.0)
    with pytest.raises(TooLong) as sent_away:
        bucket.take(1, world.time.sleep, 3.0)
    assert sent_away.value.after <= 1.0
    before = world.time.now
    bucket.resize(0.1, 0.000_005, 1.0)
    world.time.after(2.0, lambda: bucket.resize(0.5, 0.5, 0.0))
    bucket.settle(bucket.take(1, world.time.run, 20.0))
    assert (world.time.now - before).total_seconds() < 2.5


class Nothing:
    """A sharing without anybody to share with."""

    def renew(self, bucket: Bucket, cost: float) -> None: ...

    def give_back(self, bucket: Bucket) -> None: ...


def test_orders_settled_now_here_now_there_find_the_whole_bucket(world: World) -> None:
    """Four processes, one account; whoever has an order makes twelve calls. What lies idle elsewhere is given back."""
    processes = [counted(world, f"p{number}") for number in range(4)]
    chance, waited = random.Random(5), 0.0
    for _ in range(40):
        bucket = chance.choice(processes)[1]
        waited += sum(call(world, bucket) for _ in range(12))
        for _ in range(3):
            world.time.run(0.5)
            for sharing, its in processes:
                sharing.give_back_if_idle(its)
    assert waited < 4, "a tenth of a second for an order, where twelve calls take 1.2"
    world.check()


def test_what_is_missing_of_a_bucket_comes_back_as_used(world: World) -> None:
    """An earlier version lost shares of those that gave them back late; such a bucket became smaller for ever."""
    old = Process(world, "old", 0)
    old.bucket.settle(old.bucket.take(10, world.time.sleep, 1.0), 10)
    world.database.system("budgets").run(Store.BOOKS, lambda tx: tx.execute(sa.delete(budget_shares)))
    gauge = CostGauge(world.time)
    SharedBudget(world.database, KEY, "later", world.time).renew(gauge, 1)
    world.check()
    pool, (one,) = world.rows()
    assert one.holder == "later"
    assert pool.debt / 1000 + gauge.holding().debt > 0.8 * pool.maximum / 1000 * old.bucket.holding().part


def test_without_the_database_a_share_is_used_until_its_lease_ends(world: World, monkeypatch: Any) -> None:
    process = Process(world, "p", 0)
    bucket = process.bucket

    def call() -> None:
        turn = bucket.take(10, world.time.sleep, 1.0)
        bucket.settle(turn, 10, maximum=2000, available=1990, rate=100)

    call()

    def down(*_: object) -> None:
        raise Retryable("DB-DOWN")

    monkeypatch.setattr(process.sharing, "_door", type("Door", (), {"run": staticmethod(down)}))
    world.time.run(3)
    call()
    world.time.run(3)
    with pytest.raises(Retryable) as refused:
        call()
    assert refused.value.code == "DB-DOWN"


def test_fair_gives_nobody_more_than_he_could_use_while_another_lacks() -> None:
    assert fair({"a": 1000}, 1000) == {"a": 1000}
    assert fair({"a": 1000, "b": 1000}, 1000) == {"a": 500, "b": 500}
    assert fair({"a": 100, "b": 1000, "c": 1000}, 1000) == {"a": 100, "b": 450, "c": 450}
    assert fair({"a": 100, "b": 200}, 1000) == {"a": 100, "b": 200}


# -- real processes, real PostgreSQL ------------------------------------------------------------------------------


@pytest.mark.postgres
def test_two_processes_on_postgresql_never_take_more_than_the_bucket_and_one_is_killed(
    postgresql_database: Database, postgresql_url: str
) -> None:
    """Two processes with four threads each share 400 points at 1,000 a second; one is killed in the middle.

    Each writes down what it took and when its answer came. Put together, with each call charged at the worst moment of
    those two, the bucket never runs dry.
    """
    script = Path(__file__).parents[1] / "shared_budget.py"
    started = [
        subprocess.Popen(
            [sys.executable, str(script), postgresql_url, name],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for name in ("one", "two")
    ]
    lines: list[list[str]] = [[], []]
    readers = [
        threading.Thread(target=lambda n=n: lines[n].extend(started[n].stdout or ()))  # type: ignore[misc]
        for n in range(2)
    ]
    for reader in readers:
        reader.start()
    deadline = wall.monotonic() + 60
    while min(map(len, lines)) < 60 and wall.monotonic() < deadline:
        wall.sleep(0.05)
    started[0].kill()
    while (survivor := shares(postgresql_database).get("two")) != (WHOLE - KEPT, WHOLE):
        assert wall.monotonic() < deadline, survivor
        wall.sleep(0.1)
    had = len(lines[1])
    while len(lines[1]) < had + 60 and wall.monotonic() < deadline:
        wall.sleep(0.05)
    started[1].terminate()
    for process, reader in zip(started, readers, strict=True):
        process.wait(20)
        reader.join()
    calls = sorted(tuple(map(float, line.split())) for found in lines for line in found if line.endswith("\n"))
    assert len(calls) > 150
    assert driest(calls, 400.0, 1000.0, at_end=False) >= 0
    assert driest(calls, 400.0, 1000.0, at_end=True) >= 0
    assert shares(postgresql_database) == {}, "who ends in order gives back at once"


def shares(database: Database) -> dict[str, tuple[int, int]]:
    query = sa.select(budget_shares)
    rows = database.system("doctor").read(Store.BOOKS, lambda tx: tx.execute(query).all())
    return {row.holder: (row.part, row.flow) for row in rows}


def driest(calls: list[tuple[float, ...]], maximum: float, rate: float, *, at_end: bool) -> float:
    """The lowest level of a bucket that is charged when a call was sent, or only when its answer was written down."""
    level, now, lowest = maximum, calls[0][0], maximum
    for at, cost in sorted((call[1] if at_end else call[0], call[2]) for call in calls):
        level, now = min(maximum, level + (at - now) * rate) - cost, at
        lowest = min(lowest, level)
    return lowest


@pytest.mark.postgres
def test_one_of_two_processes_probes_and_both_learn_what_came_of_it(postgresql_database: Database) -> None:
    time = Time()
    one, two = (Breaker("sevdesk", time, SharedCircuits.of_token(postgresql_database, "k1", time)) for _ in range(2))
    two.before()
    two.after(200)
    for _ in range(LIMITS["down"]):
        one.before()
        one.after(500)
    time.run(LOOK)
    with pytest.raises(Retryable) as refused:
        two.before()
    assert refused.value.code == "SEVDESK-BREAKER"
    time.run(PAUSES["down"])
    won: list[str] = []
    start = threading.Barrier(2)

    def probe(name: str, breaker: Breaker) -> None:
        start.wait()
        try:
            breaker.before()
        except Retryable:
            return
        won.append(name)
        wall.sleep(0.3)
        breaker.after(200)

    threads = [threading.Thread(target=probe, args=pair) for pair in (("one", one), ("two", two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    time.run(LOOK)
    for breaker in (one, two):
        breaker.before()
        breaker.after(200)
        assert breaker.known_state == "closed"


@pytest.mark.postgres
def test_s67_processes_share_the_rate_of_a_mail_relay(postgresql_database: Database) -> None:
    """Two processes give a relay of two letters a second no more than that together, and neither is kept waiting."""
    time = Time()
    processes = [Limits(postgresql_database, time, time.sleep, name, sevdesk_rate=1.0) for name in ("one", "two")]
    turns = [limits.relay("postmark", 2.0) for limits in processes]
    given = [0, 0]
    for _ in range(600):
        for number, bucket in enumerate(turns):
            try:
                bucket.settle(bucket.take(1.0, time.sleep, 0.0))
                given[number] += 1
            except TooLong:
                pass
        time.sleep(0.05)
    assert sum(given) <= 30 * 2 + 8
    assert sum(given) >= 30 * 2 * 0.8 and min(given) >= sum(given) / 4
    for limits in processes:
        limits.close()
