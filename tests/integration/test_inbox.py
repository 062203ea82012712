"""What was heard and what is wanted, on both databases: once, claimed by one, never forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from ladenbuch import inbox
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Retryable
from ladenbuch.inbox import BODY_PURPOSE, Delivery, GroupCommit, marks
from ladenbuch.inbox.deliveries import events
from ladenbuch.telemetry.trace import bound
from ladenbuch.vault import KeyRing, Vault, generate_key

T = TypeVar("T")
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing.parse(generate_key()))


@pytest.fixture
def run(database: Database) -> Callable[[Callable[[Transaction], T]], T]:
    return lambda fn: database.system("dispatch").run(Store.INBOX, fn)


def order(number: int) -> str:
    return f"gid://shopify/Order/{number}"


def delivery(webhook_id: str, number: int | None = 1, tenant: str = "t1", **more: Any) -> Delivery:
    return Delivery(
        tenant=tenant,
        webhook_id=webhook_id,
        topic="orders/create",
        shop=f"{tenant}.myshopify.com",
        received_at=more.pop("received_at", NOW),
        body=more.pop("body", b'{"id": 1}'),
        order_id=None if number is None else order(number),
        **more,
    )


def wanted(run: Any, number: int, at: datetime = NOW, tenant: str = "t1", **more: Any) -> int:
    return run(lambda tx: inbox.want(tx, tenant, order(number), at, **more))


def claimed(run: Any, number: int, run_id: str, at: datetime = NOW, tenant: str = "t1", executor: str = "main") -> Any:
    return run(lambda tx: inbox.claim(tx, tenant, order(number), run_id=run_id, executor=executor, now=at))


def due(run: Any, at: datetime = NOW, limit: int = 100) -> list[tuple[str, str]]:
    return [(found.tenant, found.order_id) for found in run(lambda tx: inbox.due(tx, at, limit))]


# --- hearing ---


def test_a_delivery_is_kept_once_per_tenant_with_its_body_sealed(run: Any, vault: Vault) -> None:
    first = delivery("w1", body=b"the buyer's name", event_id="e1", api_version="2026-10", triggered_at=NOW - SECOND)
    sealed = first.sealed_by(vault)
    assert run(lambda tx: inbox.record(tx, first, sealed)) is True
    assert run(lambda tx: inbox.record(tx, first, sealed)) is False
    other = delivery("w1", tenant="t2")
    assert run(lambda tx: inbox.record(tx, other, other.sealed_by(vault))) is True
    row = run(lambda tx: tx.execute(sa.select(events).where(events.c.tenant == "t1")).mappings().one())
    assert b"buyer" not in row["body"]
    assert vault.open("t1", BODY_PURPOSE, "w1", sealed) == b"the buyer's name"
    told = run(lambda tx: inbox.history(tx, "t1", order(1)))
    assert [(entry["webhook_id"], entry["event_id"], entry["topic"]) for entry in told] == [
        ("w1", "e1", "orders/create")
    ]
    assert run(lambda tx: inbox.history(tx, "t2", order(2))) == []


def test_of_equal_deliveries_in_one_batch_the_first_is_new(run: Any, vault: Vault) -> None:
    def rows(*deliveries: Delivery) -> list[tuple[object, ...]]:
        return [one.row(one.sealed_by(vault)) for one in deliveries]

    batch = rows(delivery("a"), delivery("b"), delivery("a"), delivery("a", tenant="t2"))
    assert run(lambda tx: inbox.record_all(tx, batch)) == [True, True, False, True]
    again = rows(delivery("c", body=b""), delivery("b"), delivery("d", number=None, body=b"\x00\xff'\\"))
    assert run(lambda tx: inbox.record_all(tx, again)) == [True, False, True]


def test_each_body_of_a_batch_belongs_to_its_row(run: Any, vault: Vault) -> None:
    bodies = {f"w{n}": bytes([n]) * (n * 37 % 500) for n in range(60)}
    made = [delivery(webhook_id, body=body) for webhook_id, body in bodies.items()]
    run(lambda tx: inbox.record_all(tx, [one.row(one.sealed_by(vault)) for one in made]))
    found = run(lambda tx: tx.execute(sa.select(events.c.webhook_id, events.c.key_id, events.c.body)).all())

    class Sealed:
        def __init__(self, key_id: str, ciphertext: bytes) -> None:
            self.key_id, self.ciphertext = key_id, ciphertext

    opened = {row[0]: vault.open("t1", BODY_PURPOSE, row[0], Sealed(row[1], bytes(row[2]))) for row in found}  # type: ignore[arg-type]
    assert opened == bodies


def test_pruning_forgets_old_deliveries_and_keeps_marks(run: Any, vault: Vault) -> None:
    run(lambda tx: inbox.record(tx, delivery("w1"), vault.seal("t1", BODY_PURPOSE, "w1", b"x")))
    wanted(run, 1)
    assert run(lambda tx: inbox.prune(tx, NOW)) == 0
    assert run(lambda tx: inbox.prune(tx, NOW + SECOND)) == 1
    assert due(run) == [("t1", order(1))]


# --- wanting and claiming ---


def test_a_want_is_due_now_and_never_postpones_an_earlier_time(run: Any) -> None:
    assert wanted(run, 1, due_at=NOW + 60 * SECOND) == 1
    assert due(run) == []
    assert wanted(run, 1, due_at=NOW + 30 * SECOND) == 2
    assert wanted(run, 1, due_at=NOW + 90 * SECOND) == 3
    assert run(lambda tx: inbox.next_due(tx)) == NOW + 30 * SECOND
    assert due(run, NOW + 30 * SECOND) == [("t1", order(1))]
    assert wanted(run, 1) == 4
    assert due(run) == [("t1", order(1))]


def test_a_mark_is_claimed_by_one_run_only_and_each_claim_has_a_new_number(run: Any) -> None:
    wanted(run, 1)
    wanted(run, 1)
    first = claimed(run, 1, "r1")
    assert (first.run_no, first.wanted, first.attempts, first.executor) == (1, 2, 0, "main")
    assert first.wanted_since == NOW
    assert claimed(run, 1, "r2") is None
    assert due(run) == []
    assert run(lambda tx: inbox.holder(tx, "t1", order(1))) == first
    assert run(lambda tx: inbox.settled(tx, "t1", order(1), "r1", 2, NOW, "OK")) is True
    assert run(lambda tx: inbox.holder(tx, "t1", order(1))) is None
    assert claimed(run, 1, "r3") is None  # nothing is wanted
    wanted(run, 1)
    assert claimed(run, 1, "r4").run_no == 2
    assert claimed(run, 2, "r5") is None


def test_many_claimants_at_once_get_one_claim(database: Database, run: Any) -> None:
    wanted(run, 1)
    barrier = threading.Barrier(8)

    def attempt(number: int) -> Any:
        barrier.wait()
        return database.system("dispatch").run(
            Store.INBOX,
            lambda tx: inbox.claim(tx, "t1", order(1), run_id=f"r{number}", executor="main", now=NOW),
        )

    with ThreadPoolExecutor(8) as pool:
        claims = [claim for claim in pool.map(attempt, range(8)) if claim is not None]
    assert len(claims) == 1


def test_a_want_during_a_run_makes_the_mark_due_again_and_bursts_coalesce(run: Any) -> None:
    wanted(run, 1)
    claim = claimed(run, 1, "r1")
    for _ in range(5):
        wanted(run, 1, NOW + SECOND)
    assert due(run, NOW + SECOND) == []  # still held
    run(lambda tx: inbox.settled(tx, "t1", order(1), "r1", claim.wanted, NOW + 2 * SECOND, "OK"))
    assert due(run, NOW + 2 * SECOND) == [("t1", order(1))]
    claim = claimed(run, 1, "r2", NOW + 2 * SECOND)
    assert claim.wanted == 6
    run(lambda tx: inbox.settled(tx, "t1", order(1), "r2", claim.wanted, NOW + 3 * SECOND, "OK"))
    assert run(lambda tx: inbox.next_due(tx)) is None


def test_a_postponed_mark_waits_counts_and_comes_sooner_for_news(run: Any) -> None:
    wanted(run, 1)
    claimed(run, 1, "r1")
    later = NOW + 60 * SECOND
    assert run(lambda tx: inbox.postpone(tx, "t1", order(1), "r1", later, "SEVDESK-429", NOW)) is True
    assert due(run, NOW + 59 * SECOND) == []
    again = claimed(run, 1, "r2", later)
    assert (again.attempts, again.wanted_since) == (1, NOW)
    wanted(run, 1, later + SECOND)
    run(lambda tx: inbox.postpone(tx, "t1", order(1), "r2", later + 300 * SECOND, "SEVDESK-429", later))
    assert due(run, later + SECOND) == [("t1", order(1))]
    run_3 = claimed(run, 1, "r3", later + SECOND)
    run(lambda tx: inbox.settled(tx, "t1", order(1), "r3", run_3.wanted, later + SECOND, "OK"))
    wanted(run, 1, later + 2 * SECOND)
    assert claimed(run, 1, "r4", later + 2 * SECOND).attempts == 0


def test_a_zombie_run_changes_nothing(run: Any) -> None:
    wanted(run, 1)
    claimed(run, 1, "r1", executor="dead")
    assert run(lambda tx: inbox.release_executor(tx, "dead", NOW + SECOND)) == 1
    claimed(run, 1, "r2", NOW + SECOND)
    assert run(lambda tx: inbox.settled(tx, "t1", order(1), "r1", 9, NOW, "OK")) is False
    assert run(lambda tx: inbox.postpone(tx, "t1", order(1), "r1", NOW, "X", NOW)) is False
    holder = run(lambda tx: inbox.holder(tx, "t1", order(1)))
    assert (holder.run_id, holder.run_no) == ("r2", 2)


def test_claims_of_the_dead_are_due_and_those_of_the_living_are_not(run: Any) -> None:
    for number, executor in enumerate(["dead", "dead", "alive"]):
        wanted(run, number)
        claimed(run, number, f"r{number}", executor=executor)
    assert run(lambda tx: inbox.release_executor(tx, "dead", NOW)) == 2
    assert due(run) == [("t1", order(0)), ("t1", order(1))]
    assert run(lambda tx: inbox.release_stale(tx, NOW, NOW + SECOND)) == 0
    assert run(lambda tx: inbox.release_stale(tx, NOW + SECOND, NOW + SECOND)) == 1
    assert ("t1", order(2)) in due(run, NOW + SECOND)


def test_a_tenant_gets_at_most_so_many_runs_at_once(run: Any) -> None:
    """DESIGN 3: K runs per tenant, those under way counted; a tenant at its limit takes no place from the others."""
    for number in range(5):
        wanted(run, number, tenant="busy")
    for number in range(5, 8):
        wanted(run, number, NOW + SECOND, tenant="late")

    def next_two() -> list[tuple[str, str]]:
        ripe = run(lambda tx: inbox.due(tx, LATER, 2, 2))
        return [(found.tenant, found.order_id) for found in ripe]

    assert {tenant for tenant, _ in next_two()} == {"busy", "late"}
    assert claimed(run, 0, "r0", LATER, "busy")
    assert claimed(run, 1, "r1", LATER, "busy")
    assert next_two() == [("late", order(5)), ("late", order(6))]
    assert claimed(run, 5, "r5", LATER, "late")
    assert claimed(run, 6, "r6", LATER, "late")
    assert next_two() == []
    assert run(lambda tx: inbox.settled(tx, "busy", order(0), "r0", 1, LATER, "SETTLED"))
    assert next_two() == [("busy", order(2))]


def test_due_takes_turns_over_tenants(run: Any) -> None:
    """One shop's backlog of a thousand delays the single order of another by one place."""
    run(lambda tx: inbox.want_all(tx, [("big", order(n)) for n in range(1000)], NOW - SECOND))
    run(lambda tx: inbox.want_all(tx, [("small", order(1)), ("tiny", order(1)), ("tiny", order(2))], NOW))
    turns = due(run, limit=10)
    assert [tenant for tenant, _ in turns[:3]] == ["big", "small", "tiny"]
    assert len(turns) == 10
    assert [tenant for tenant, _ in turns].count("big") == 7
    assert sorted(turns) == sorted(set(turns))
    assert [tenant for tenant, _ in due(run, limit=2)] == ["big", "small"]
    assert due(run, limit=0) == []


def test_b16_whoever_has_fewest_runs_is_next_though_places_become_free_one_by_one(run: Any) -> None:
    """B16: several shops flood at once and are always older; the one order of a neighbour goes before all of theirs."""
    floods = [f"flood{number}" for number in range(4)]
    run(lambda tx: inbox.want_all(tx, [(tenant, order(n)) for tenant in floods for n in range(12)], NOW))

    def take(at: datetime) -> str:
        (mark,) = run(lambda tx: inbox.due(tx, at, 1, 6))
        held = run(
            lambda tx: inbox.claim(
                tx, mark.tenant, mark.order_id, run_id=f"{mark.tenant}{mark.order_id}", executor="e", now=at
            )
        )
        assert held is not None
        return str(mark.tenant)

    assert sorted(take(NOW) for _ in range(8)) == sorted(floods * 2)
    later = NOW + 60 * SECOND
    run(lambda tx: inbox.want(tx, "quiet", order(1), later))
    assert take(later) == "quiet"
    assert sorted(take(later) for _ in range(4)) == floods
    assert run(lambda tx: inbox.due(tx, later, 100, 3)) == []  # everybody has as many as one may


def test_b16_looking_for_work_reads_what_waits_and_what_is_held_and_no_mark_besides(sqlite_database: Database) -> None:
    """B16, S63: a look costs as much beside a hundred thousand settled or waiting orders as beside none."""
    looks = {"waiting": marks._WAITING_TENANTS, "ripe": marks._RIPE, "held": marks._HELD_BY}
    plans: dict[str, list[str]] = {}

    def explain(tx: Any) -> None:
        for name, look in looks.items():
            text = str(look._clause.compile(dialect=tx.dialect, compile_kwargs={"render_postcompile": True}))
            rows = tx.connection.dbapi_connection.execute(f"EXPLAIN QUERY PLAN {text}", ("1",) * text.count("?"))
            plans[name] = [row[-1] for row in rows if "order_marks" in row[-1] or "other" in row[-1]]

    sqlite_database.system("dispatch").read(Store.INBOX, explain)
    assert len(plans["waiting"]) == 5
    assert all(
        step.partition("USING INDEX ")[2].startswith("ix_order_marks_") for one in plans.values() for step in one
    )
    assert not any(step.startswith("SCAN") for step in plans["waiting"] + plans["ripe"])


def test_s125_what_the_shop_tells_now_goes_before_a_backfill_and_a_person_before_both(run: Any) -> None:
    with working_as(Priority.BACKFILL):
        run(lambda tx: inbox.want_all(tx, [("t1", order(n)) for n in range(100)], NOW - SECOND))
    wanted(run, 50)
    wanted(run, 200)
    with working_as(Priority.INTERACTIVE):
        wanted(run, 51)
    assert due(run, limit=4) == [("t1", order(n)) for n in (51, 50, 200, 0)]
    held = claimed(run, 51, "r")
    assert held.priority is Priority.INTERACTIVE
    assert claimed(run, 0, "r0").priority is Priority.BACKFILL
    with working_as(Priority.BACKFILL):
        wanted(run, 51)
        assert run(lambda tx: inbox.settled(tx, "t1", order(51), "r", 2, LATER, "SETTLED")) is True
    assert order(51) in {gid for _, gid in due(run, LATER)}, "the second wish came while it ran"
    assert run(lambda tx: inbox.claim(tx, "t1", order(51), run_id="s", executor="e", now=LATER)).priority == 0
    run(lambda tx: inbox.settled(tx, "t1", order(51), "s", 3, LATER, "SETTLED"))
    with working_as(Priority.BACKFILL):
        wanted(run, 51, LATER)
    assert run(lambda tx: inbox.claim(tx, "t1", order(51), run_id="u", executor="e", now=LATER)).priority == 2


def test_depth_counts_and_tells_the_age_of_the_oldest_untried_want(run: Any) -> None:
    at = NOW + 60 * SECOND

    def depth() -> tuple[int, int, float]:
        found = run(lambda tx: inbox.depth(tx, at))
        return found.waiting, found.running, found.oldest_unattempted_seconds

    assert depth() == (0, 0, 0.0)
    wanted(run, 1, NOW)
    wanted(run, 1, NOW + 10 * SECOND)
    wanted(run, 2, NOW + 20 * SECOND)
    assert depth() == (2, 0, 60.0)
    claimed(run, 1, "r1", NOW + 30 * SECOND)
    assert depth() == (1, 1, 40.0)
    run(lambda tx: inbox.postpone(tx, "t1", order(1), "r1", NOW + 90 * SECOND, "X", NOW))
    assert depth() == (2, 0, 40.0)  # tried, so it is no longer untried


def test_the_poll_cursor_moves_with_its_wants_or_not_at_all(run: Any) -> None:
    def page(tx: Transaction, fail: bool) -> None:
        inbox.want(tx, "t1", order(1), NOW)
        inbox.set_cursor(tx, "t1", "updated_at", "2026-11-02T08:00:00Z")
        if fail:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(lambda tx: page(tx, True))
    assert run(lambda tx: inbox.cursor(tx, "t1", "updated_at")) is None
    assert due(run) == []
    run(lambda tx: page(tx, False))
    assert run(lambda tx: inbox.cursor(tx, "t1", "updated_at")) == "2026-11-02T08:00:00Z"
    assert run(lambda tx: inbox.cursor(tx, "t2", "updated_at")) is None
    assert due(run) == [("t1", order(1))]


# --- the group commit ---


@pytest.fixture
def commit(database: Database, vault: Vault) -> Iterator[tuple[GroupCommit, list[int]]]:
    woken: list[int] = []
    made = GroupCommit(database, vault, lambda: NOW, lambda: woken.append(1))
    yield made, woken
    made.close()


def rows_of(run: Any) -> int:
    return int(run(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()))


def test_what_is_acknowledged_is_written_and_wanted_once(commit: Any, run: Any) -> None:
    group, woken = commit
    futures = [group.submit(delivery(f"w{n % 300}", n % 300)) for n in range(900)]
    answers = [future.result(60) for future in futures]
    assert answers.count(True) == 300
    assert rows_of(run) == 300
    assert len(due(run, limit=1000)) == 300
    assert 1 <= len(woken) < 300  # groups, not one commit each


def test_duplicates_start_nothing(commit: Any, run: Any) -> None:
    group, woken = commit
    assert group.submit(delivery("w1")).result(60) is True
    claim = claimed(run, 1, "r1")
    run(lambda tx: inbox.settled(tx, "t1", order(1), "r1", claim.wanted, NOW, "OK"))
    before = len(woken)
    assert [group.submit(delivery("w1")).result(60) for _ in range(3)] == [False] * 3
    assert due(run) == []
    assert len(woken) == before


def test_an_event_without_an_order_is_kept_and_marks_nothing(commit: Any, run: Any) -> None:
    group, _ = commit
    assert group.submit(delivery("w1", number=None)).result(60) is True
    assert rows_of(run) == 1
    assert due(run) == []


def test_one_poisonous_row_does_not_fail_its_neighbours(database: Database, vault: Vault, run: Any) -> None:
    class Picky:
        def seal(self, tenant: str, purpose: str, row: str, plaintext: bytes, subject: str | None = None) -> Any:
            if plaintext == b"poison":
                raise ValueError("unsealable")
            return vault.seal(tenant, purpose, row, plaintext, subject)

    group = GroupCommit(database, Picky(), lambda: NOW)
    with ThreadPoolExecutor(1):
        futures = [group.submit(delivery(f"w{n}", n, body=b"poison" if n == 20 else b"{}")) for n in range(40)]
        errors = [future.exception(60) for future in futures]
    group.close()
    assert [number for number, error in enumerate(errors) if error is not None] == [20]
    assert rows_of(run) == 39


def test_when_the_database_fails_every_waiter_hears_it_and_nothing_is_written(
    commit: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, woken = commit

    class Broken:
        def run(self, store: Store, fn: Callable[[Transaction], T]) -> T:
            raise Retryable("DB-UNWRITABLE", "disk full")

    door = group._door
    monkeypatch.setattr(group, "_door", Broken())
    futures = [group.submit(delivery(f"w{n}", n)) for n in range(50)]
    assert {getattr(future.exception(60), "code", None) for future in futures} == {"DB-UNWRITABLE"}
    assert (rows_of(run), woken) == (0, [])
    monkeypatch.setattr(group, "_door", door)
    assert group.submit(delivery("w1")).result(60) is True


def test_closing_writes_what_waits_and_refuses_more(commit: Any, run: Any) -> None:
    group, _ = commit
    futures = [group.submit(delivery(f"w{n}", n)) for n in range(500)]
    group.close()
    assert all(future.result(0) for future in futures)
    assert rows_of(run) == 500
    with pytest.raises(Retryable):
        group.submit(delivery("late"))
    group.close()


def test_what_one_turn_of_the_loop_submits_is_one_transaction(commit: Any, run: Any) -> None:
    group, woken = commit

    async def submit() -> list[bool]:
        return list(await asyncio.gather(*(group.submit_async(delivery(f"w{n}", n)) for n in range(100))))

    assert asyncio.run(submit()) == [True] * 100
    assert len(woken) == 1
    assert rows_of(run) == 100


def test_what_no_turn_of_the_loop_handed_over_before_closing_is_refused_not_forgotten(commit: Any, run: Any) -> None:
    group, _ = commit

    async def submit() -> Any:
        future = group.submit_async(delivery("w1"))
        assert group.waiting() == 1
        group.close()
        return await asyncio.wait_for(asyncio.gather(future, return_exceptions=True), 10)

    (answer,) = asyncio.run(submit())
    assert answer.code == "INBOX-CLOSED"
    assert rows_of(run) == 0


def test_the_bound_on_what_waits_counts_what_the_loop_still_gathers(
    commit: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, _ = commit
    monkeypatch.setattr("ladenbuch.inbox.group_commit._WAITING", 3)

    async def submit() -> list[bool]:
        futures = [group.submit_async(delivery(f"w{n}", n)) for n in range(3)]
        with pytest.raises(Retryable, match="INBOX-FULL"):
            group.submit_async(delivery("w4"))
        return list(await asyncio.gather(*futures))

    assert asyncio.run(submit()) == [True] * 3
    assert group.waiting() == 0
    assert rows_of(run) == 3


def test_no_text_can_break_out_of_a_batch(run: Any, vault: Vault) -> None:
    """On PostgreSQL a batch travels as arrays written out as text."""
    odd = ['"', "\\", '\\"', "{}", "a,b", "NULL", "", " ", "ä€", 'x","y']
    made = [
        Delivery(
            "t1", f"w{text}", text, f"shop{text}", NOW, b"x", text or None, text or None, None, NOW if text else None
        )
        for text in odd
    ]
    rows = [one.row(one.sealed_by(vault)) for one in made]
    assert run(lambda tx: inbox.record_all(tx, rows)) == [True] * len(odd)
    kept = run(lambda tx: list(tx.execute(sa.select(events))))
    assert sorted((tuple(row) for row in kept), key=str) == sorted(rows, key=str)
    assert run(lambda tx: inbox.record_all(tx, rows)) == [False] * len(odd)


def test_writers_of_two_processes_agree_on_who_was_first(database: Database, vault: Vault, run: Any) -> None:
    """Two groups stand for two processes: the same ids through both at once, one True per id, no deadlock."""
    groups = [GroupCommit(database, vault, lambda: NOW) for _ in range(2)]
    futures = [group.submit(delivery(f"w{n}", n % 20)) for n in range(400) for group in groups]
    answers = [future.result(60) for future in futures]
    for group in groups:
        group.close()
    assert answers.count(True) == 400
    assert all(answers[n] != answers[n + 1] for n in range(0, 800, 2))
    assert rows_of(run) == 400


def test_what_waited_for_one_cause_is_due_when_the_cause_is_gone(run: Any) -> None:
    """After `go`, orders that were stopped do not wait for their next step of the ladder."""

    def wait(tx: Transaction, tenant: str, number: int, code: str) -> None:
        inbox.want(tx, tenant, order(number), NOW)
        inbox.claim(tx, tenant, order(number), run_id=f"r{number}", executor="main", now=NOW)
        inbox.postpone(tx, tenant, order(number), f"r{number}", NOW + 7200 * SECOND, code, NOW)

    run(lambda tx: wait(tx, "t1", 1, "STOPPED"))
    run(lambda tx: wait(tx, "t1", 2, "SEVDESK-503"))
    run(lambda tx: wait(tx, "t2", 3, "STOPPED"))
    soon = NOW + SECOND
    assert run(lambda tx: inbox.due(tx, soon, 9)) == []
    assert run(lambda tx: inbox.resume(tx, "t1", "STOPPED", soon)) == 1
    assert [(mark.order_id, mark.attempts) for mark in run(lambda tx: inbox.due(tx, soon, 9))] == [(order(1), 0)]
    assert run(lambda tx: inbox.resume(tx, None, "STOPPED", soon)) == 1
    assert {mark.order_id for mark in run(lambda tx: inbox.due(tx, soon, 9))} == {order(1), order(3)}


def test_sealed_bodies_are_stored_as_they_are(database: Database) -> None:
    """Ciphertext does not compress: PostgreSQL must not try on every body."""
    if database.is_sqlite:
        pytest.skip("SQLite compresses nothing")
    query = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'inbox.events'::regclass AND attname = 'body'"
    storage = database.system("doctor").read(Store.INBOX, lambda tx: tx.exec_driver_sql(query).scalar_one())
    assert storage == "e"


# --- one id ---


def test_s26_a_run_keeps_the_trace_of_the_first_wish_whatever_is_wished_meanwhile(run: Any) -> None:
    """And the next run has that of the first wish it answers."""

    def wish(trace: str) -> None:
        mark = ("t1", order(1))
        run(lambda tx: inbox.want_all(tx, [mark], NOW, traces={mark: trace}))

    wish("first")
    wish("second")
    assert claimed(run, 1, "r1").trace == "first"
    wish("third")
    wish("fourth")
    assert run(lambda tx: inbox.holder(tx, "t1", order(1))).trace == "first"
    run(lambda tx: inbox.settled(tx, "t1", order(1), "r1", 2, NOW, "SETTLED"))
    assert claimed(run, 1, "r2").trace == "third"
    run(lambda tx: inbox.postpone(tx, "t1", order(1), "r2", NOW, "SHOPIFY-DOWN", NOW))
    assert claimed(run, 1, "r3").trace == "third", "the same work, tried again"


def test_s26_a_wish_has_the_trace_of_who_asks(run: Any) -> None:
    with bound(trace="cli-123"):
        wanted(run, 1)
    wanted(run, 2)
    assert claimed(run, 1, "r1").trace == "cli-123"
    assert claimed(run, 2, "r2").trace is None


def test_s26_the_deliveries_a_run_answers(run: Any, vault: Vault) -> None:
    for number, at in ((1, NOW - SECOND), (2, NOW), (3, NOW + SECOND)):
        told = delivery(f"w{number}", received_at=at)
        run(lambda tx, told=told: inbox.record(tx, told, told.sealed_by(vault)))
    assert run(lambda tx: inbox.told_since(tx, "t1", order(1), NOW)) == ["w2", "w3"]
    assert run(lambda tx: inbox.told_since(tx, "t2", order(1), NOW)) == []
    assert run(lambda tx: inbox.told_since(tx, "t1", order(1), NOW, limit=1)) == ["w2"]
