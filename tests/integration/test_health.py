"""/healthz, /readyz and the gauges of a running house under virtual time (S56, S57).

A stalled part turns /readyz to 503 and says which and why; when it moves again, so does the answer.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from acceptance.invoice_cases import mixed_rates
from house import SHOP, TENANT, House, life
from ladenbuch import executors, heartbeats, inbox
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Retryable
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.telemetry import Metrics
from ladenbuch.telemetry.calls import Calls, Pulse
from ladenbuch.telemetry.work import Work
from ladenbuch.web.health import Health, Patient

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def web(house: House, role: str = "worker") -> TestClient:
    return TestClient(make_app(house.ladenbuch, role), base_url="http://127.0.0.1:8080", client=("127.0.0.1", 50000))


def ready(client: TestClient) -> tuple[int, list[str], str]:
    """Status, what stalls and why. The sentences name nobody and quote no path."""
    answer = client.get("/readyz")
    body = answer.json()
    assert body["ready"] is (answer.status_code == 200) is (body["stalled"] == [])
    return answer.status_code, body["stalled"], body.get("why", "")


def tick(house: House, seconds: float = 0) -> None:
    """Time passes, and the connector does what it does in it."""
    house.clock.advance(seconds)
    house.engine.wake("dispatch")
    house.engine.wake("poll")
    house.engine.drain()


def want(house: House, number: int = 7) -> None:
    now, order = house.clock.now(), f"gid://shopify/Order/{number}"
    house.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, order, now))


def gauges(client: TestClient) -> dict[str, float]:
    """`name{labels}` -> value of everything at /metrics."""
    lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def test_s57_a_house_in_order_is_alive_and_ready(house: House) -> None:
    client = web(house)
    tick(house, 5)
    assert client.get("/healthz").status_code == 200
    assert ready(client) == (200, [], "")
    body = client.get("/readyz").json()
    assert body["parts"] == dict.fromkeys(
        ("inbox", "books", "dispatcher", "engine", "clock", "queue", "shopify", "sevdesk", "mail", "vies", "partner"),
        "fine",
    )
    assert (body["waiting"], body["running"], body["stopped"]) == (0, 0, None)


def test_s54_who_shares_the_database_is_shown_and_whose_work_was_taken_over(house: House) -> None:
    """S54, S59: one lives, one is silent, one was taken over; with one process there is nothing to tell."""
    client = web(house)
    tick(house)
    assert "executors" not in client.get("/readyz").json()
    assert not any(name.startswith("executors{") for name in gauges(client))
    write, begun = house.database.system("reaper").run, house.clock.now()
    for name in ("dead", "silent"):
        write(Store.INBOX, lambda tx, name=name: executors.begin(tx, name, "worker", "1", begun))
    house.clock.advance(20)
    now = house.clock.now()
    write(Store.INBOX, lambda tx: executors.begin(tx, "w1", "worker", "1", now))
    write(Store.INBOX, lambda tx: executors.taken(tx, "dead", "w1", 3, now))
    told = client.get("/readyz").json()["executors"]
    assert told == {"alive": 1, "silent": 1, "taken_over": {"dead": 3}}
    assert {name: n for name, n in gauges(client).items() if name.startswith("executors{")} == {
        'executors{state="alive"}': 1.0,
        'executors{state="silent"}': 1.0,
    }
    page = client.get("/running", headers={"accept-language": "de"}).text
    assert "zuletzt übernommen von w1, 3 Läufe insgesamt" in page
    assert "lebt" in page
    write(Store.INBOX, lambda tx: executors.beat(tx, "dead", now + timedelta(seconds=1)))
    assert client.get("/readyz").status_code == 200, "a neighbour's silence is nothing this process stalls on"
    house.clock.advance(2)
    assert client.get("/readyz").json()["executors"]["alive"] == 2, "it was only cut off"


def test_s57_a_blocked_dispatcher_stalls_and_comes_back(house: House) -> None:
    client = web(house)
    tick(house)
    house.clock.advance(59)
    assert ready(client)[0] == 200
    house.clock.advance(2)
    assert ready(client) == (503, ["dispatcher"], "The dispatcher has not looked for work for 61 s.")
    assert gauges(client)["dispatcher_heartbeat_seconds"] == 61
    assert gauges(client)['ready{part="dispatcher"}'] == 0
    assert client.get("/healthz").status_code == 200, "alive all the same"
    tick(house, 2)
    assert ready(client) == (200, [], "")


def test_s57_a_dispatcher_that_always_fails_has_not_looked_for_work(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = web(house)
    tick(house)

    def broken() -> int:
        raise Retryable("DB-BUSY", "somebody holds it")

    monkeypatch.setattr(house.engine, "running", broken)
    for _ in range(4):
        tick(house, 20)
    assert ready(client)[:2] == (503, ["dispatcher"])
    monkeypatch.undo()
    tick(house, 2)
    assert ready(client)[0] == 200


def test_s57_orders_nobody_tries_stall_the_queue_and_it_comes_back(house: House) -> None:
    """All workers hang: the dispatcher looks, but no run begins or ends; the oldest untried wish grows old."""
    client = web(house)
    tick(house)
    busy = house.engine.running
    house.engine.running = lambda: 8  # type: ignore[method-assign]
    want(house)
    for _ in range(7):
        tick(house, 10)
    why = "The oldest order has waited 70 s for its first try, and nothing has moved for 70 s."
    assert ready(client) == (503, ["queue"], why)
    assert gauges(client)["oldest_unattempted_seconds"] == 70
    house.engine.running = busy  # type: ignore[method-assign]
    tick(house, 2)
    assert ready(client) == (200, [], "")


def test_s57_a_long_queue_that_moves_is_no_stall(house: House) -> None:
    client = web(house)
    room = house.engine.running
    house.engine.running = lambda: 8  # type: ignore[method-assign]
    for number in range(20):
        want(house, 100 + number)
    tick(house, 70)
    house.engine.running = lambda: 7 + room()  # type: ignore[method-assign]
    tick(house, 5)
    found = client.get("/readyz").json()
    assert found["oldest_unattempted_seconds"] == 0 or found["ready"], found


def test_s57_a_web_process_does_not_answer_for_the_workers(house: House) -> None:
    """It goes on taking webhooks: taking it out of service would lose them and settle nothing."""
    worker = web(house)
    front = web(house, "web")
    tick(house)
    house.engine.running = lambda: 8  # type: ignore[method-assign]
    want(house)
    house.clock.advance(100)
    assert ready(worker)[:2] == (503, ["dispatcher", "queue"])
    body = front.get("/readyz").json()
    assert (body["ready"], body["role"]) == (True, "web")
    assert "dispatcher" not in body["parts"]
    assert "waited 100 s" in body["parts"]["queue"], "it says what it sees"


def test_figures_that_only_a_worker_has_are_not_shown_by_others(house: House) -> None:
    """A figure that only grows would be an alarm."""
    front = gauges(web(house, "web"))
    house.clock.advance(3600)
    tick(house)
    worker = gauges(web(house))
    assert "dispatcher_heartbeat_seconds" not in front
    assert "last_successful_poll_seconds" not in front
    assert (worker["dispatcher_heartbeat_seconds"], worker["last_successful_poll_seconds"]) == (0, 0)
    house.shopify.handle = lambda request: SimResponse(503, {}, b"")  # type: ignore[method-assign]
    tick(house, 90)
    assert gauges(web(house))["last_successful_poll_seconds"] == 90


def test_nobody_to_poll_is_no_poll_that_is_late() -> None:
    work = Work()
    assert work.oldest_poll(START) == START, "not looked yet"
    work.polling(set(), START)
    assert work.oldest_poll(START) is None
    work.polling({"a", "b"}, START + timedelta(seconds=5))
    work.polled("a", START + timedelta(seconds=9))
    assert work.oldest_poll(START) == START + timedelta(seconds=5)
    work.polling({"a"}, START + timedelta(seconds=10))
    assert work.oldest_poll(START) == START + timedelta(seconds=9)


def test_s57_an_engine_that_takes_no_run(house: House) -> None:
    client = web(house)
    start = house.engine.start

    def down(*given: str) -> None:
        raise Retryable("ENGINE-DOWN", "gone")

    house.engine.start = down  # type: ignore[assignment]
    want(house)
    for _ in range(8):
        tick(house, 10)
    assert ready(client) == (503, ["engine"], "No run could be started for 70 s (ENGINE-DOWN).")
    house.engine.start = start  # type: ignore[method-assign]
    tick(house, 20)
    assert ready(client)[0] == 200


@pytest.mark.parametrize("service", ["sevdesk", "shopify"])
def test_s57_a_service_that_answers_nothing(house: House, service: str) -> None:
    client = web(house)

    def down(request: SimRequest, go: object = None) -> SimResponse:
        return SimResponse(503, {}, b"")

    simulator = house.shopify if service == "shopify" else house.door
    handle = simulator.handle
    simulator.handle = down  # type: ignore[method-assign]
    told = life(1001, house.clock.now() + timedelta(minutes=5), mixed_rates)
    house.shopify.load([told])
    house.clock.advance_to(told.events[-1].at)
    house.shopify.advance(house.clock.now())
    for _ in range(9):
        want_gid(house, told.order_id)
        tick(house, 11)
    status, stalled, why = ready(client)
    assert (status, stalled) == (503, [service])
    assert f"{service} is left alone" in why, "its only breaker opened meanwhile"
    assert gauges(client)[f'adapter_failing_seconds{{service="{service}"}}'] > 60
    simulator.handle = handle  # type: ignore[method-assign]
    for _ in range(6):
        want_gid(house, told.order_id)
        tick(house, 60)
    assert ready(client)[0] == 200


def want_gid(house: House, order: str) -> None:
    now = house.clock.now()
    house.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, order, now))


@pytest.mark.parametrize(
    ("states", "failing", "stalled"),
    [
        ({"open": 2}, 61, True),
        ({"open": 2}, 3, False),  # it may close at its first probe
        ({"open": 1, "half_open": 1}, 400, True),  # nobody calls any more, which says nothing good
        ({"open": 1, "closed": 1}, 400, False),  # one tenant's token is not the service
        ({"open": 1}, None, True),  # refused: it answers, with no
        ({}, 400, False),
    ],
)
def test_s57_breakers_open_for_all_tenants(
    database: Database, states: dict[str, int], failing: float | None, stalled: bool
) -> None:
    since = None if failing is None else START - timedelta(seconds=failing)
    pulse = Pulse(failing_since=since, failed_at=since, failures=9, code="HTTP-503")

    class Told:
        def pulse(self, service: str) -> Pulse:
            return pulse if service == "sevdesk" else Pulse()

    circuits = {("sevdesk", state): count for state, count in states.items()} | {("shopify", "closed"): 3}
    health = Health(
        database, lambda: START, Work(), Told(), role="worker", process="p", stall=60, circuits=lambda: circuits
    )
    found = health.look().as_json()
    assert found["stalled"] == (["sevdesk"] if stalled else [])
    assert not stalled or found["code"] == "SEVDESK-BREAKER"


# -- the database -------------------------------------------------------------------------------------------------


def test_s57_a_read_only_database_is_found_by_writing_to_it(house: House, tmp_path: Path) -> None:
    client = web(house)
    tick(house)
    with closing(sqlite3.connect(tmp_path / "books.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON heartbeats BEGIN SELECT RAISE(ABORT, 'x'); END")
        other.execute("CREATE TRIGGER full_too BEFORE INSERT ON heartbeats BEGIN SELECT RAISE(ABORT, 'x'); END")
        status, stalled, _ = ready(client)
        assert (status, stalled) == (503, ["books"]), "reading alone would have found nothing"
        other.execute("DROP TRIGGER full")
        other.execute("DROP TRIGGER full_too")
    tick(house, 2)
    assert ready(client)[0] == 200


def test_s57_a_server_that_only_reads_is_found_by_writing_to_it(database: Database) -> None:
    """A standby after a switch-over, or a managed server whose disk is full."""
    if database.is_sqlite:
        pytest.skip("see above")
    now = START
    calls = Calls(Metrics(), lambda: now, {})
    health = Health(database, lambda: now, Work(), calls, role="web", process="p", stall=60)
    assert health.look().ready
    url = database._engines[Store.BOOKS].url
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        for wish, stalled in (("on", ["inbox", "books"]), ("off", [])):
            with admin.connect() as tx:
                tx.exec_driver_sql("SET default_transaction_read_only = off")
                tx.exec_driver_sql(f'ALTER DATABASE "{url.database}" SET default_transaction_read_only = {wish}')
            database.close()  # its connections were opened under the other default
            now += timedelta(seconds=2)
            body = health.look().as_json()
            assert body["stalled"] == stalled
            assert body.get("code", "DB-UNWRITABLE") == "DB-UNWRITABLE"
    finally:
        admin.dispose()


def test_s57_a_store_that_hangs_does_not_hang_who_asks() -> None:
    gate, asked = threading.Event(), []

    def question() -> str:
        asked.append(1)
        gate.wait(10)
        return "answer"

    patient = Patient(question)
    assert patient.ask(0.05) is None
    assert patient.ask(0.05) is None
    gate.set()
    assert patient.ask(5) == "answer"
    assert len(asked) == 1, "one question under way, however often one asks"
    assert patient.ask(5) == "answer"


def test_the_proof_of_writing_is_one_row_per_process(database: Database) -> None:
    door = database.system("health")
    for store in Store:
        for second in range(3):
            at = START + timedelta(seconds=second)
            door.run(store, partial(heartbeats.beat, store=store, process="all:main", now=at))
        assert door.read(store, partial(heartbeats.last, store=store)) == {"all:main": START + timedelta(seconds=2)}


def test_s56_connections_of_a_store_are_those_the_database_knows(database: Database) -> None:
    """Three in the middle of a transaction, then none; PostgreSQL itself is asked how many it has."""
    gate, inside = threading.Event(), threading.Barrier(4)

    def hold(tx: Transaction) -> None:
        inside.wait(20)
        gate.wait(20)

    threads = [
        threading.Thread(target=lambda: database.system("health").read(Store.INBOX, hold), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    inside.wait(20)
    try:
        assert database.connections()[Store.INBOX, "busy"] == 3
        assert database.connections()[Store.BOOKS, "busy"] == 0
    finally:
        gate.set()
        for thread in threads:
            thread.join(20)
    found = database.connections()
    assert found[Store.INBOX, "busy"] == 0
    assert found[Store.INBOX, "idle"] >= 3
    if not database.is_sqlite:
        admin = sa.create_engine(database._engines[Store.BOOKS].url, poolclass=sa.NullPool)
        with admin.connect() as tx:
            asked = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert tx.exec_driver_sql(asked).scalar_one() == sum(found.values())


# -- gauges against the truth -------------------------------------------------------------------------------------


class Instants:
    """Compares the gauges with the truth in the middle of random calls of a run, when everything is half done."""

    def __init__(self, house: House, folder: Path, chance: random.Random) -> None:
        self._house = house
        self._folder = folder
        self._chance = chance
        self._client = web(house)
        self._left = 3
        # Kept open: a file that is closed while others of this process lock it is closed later.
        self._raw = sqlite3.connect(folder / "inbox.db", isolation_level=None)
        self.seen: list[dict[str, float]] = []
        self.wrong: list[str] = []

    def pass_on(self, request: SimRequest, go: Callable[[SimRequest], SimResponse]) -> SimResponse:
        self._left -= 1
        if self._left == 0:
            self._left = self._chance.randrange(3, 9)
            try:
                self.look()
            except Exception as error:  # a run would take it for an accident of its own
                self.wrong.append(f"{type(error).__name__}: {error}")
        return go(request)

    def look(self) -> None:
        files = {store: descriptors(self._folder / f"{store}.db") for store in Store}
        files[Store.INBOX] -= 1
        waiting, running = self._marks()
        bucket = self._bucket()
        found = gauges(self._client)
        assert found['webhook_queue_depth{state="waiting"}'] == waiting
        assert found['webhook_queue_depth{state="running"}'] == running
        assert found['rate_limit_utilization{service="shopify"}'] == pytest.approx(bucket, abs=1e-9)
        for store, count in files.items():
            shown = [found[f'active_connections{{pool="{store}",state="{state}"}}'] for state in ("busy", "idle")]
            assert shown == [0, count], store
        assert found["gauges_unreadable"] == 0
        self.seen.append(found)

    def _marks(self) -> tuple[int, int]:
        due = "run_id IS NULL AND due_at IS NOT NULL AND (wanted > settled OR due_at <= ?)"
        now = int(self._house.clock.now().timestamp() * 1_000_000)
        waiting = self._raw.execute(f"SELECT count(*) FROM order_marks WHERE {due}", (now,)).fetchone()[0]
        running = self._raw.execute("SELECT count(*) FROM order_marks WHERE run_id IS NOT NULL").fetchone()[0]
        return waiting, running

    def close(self) -> None:
        self._raw.close()

    def _bucket(self) -> float:
        """What the simulated shop itself has left, as a used share."""
        bucket = self._house.shopify._states[SHOP].bucket
        bucket.take(0, self._house.clock.now())
        return 1 - bucket.level / bucket.size


def descriptors(path: Path) -> int:
    """How often this process has the file open: once per connection to it."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += entry.readlink() == path
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux tells them")
def test_s56_gauges_equal_database_bucket_and_pool_at_random_instants_of_a_run(house: House, tmp_path: Path) -> None:
    house.shopify.set_plan(SHOP, "standard")
    instants = Instants(house, tmp_path, random.Random(56))
    for method in ("GET", "POST", "PUT"):
        house.door.always(method, "/", instants.pass_on)
    lives = [life(1001 + number, house.clock.now() + timedelta(minutes=5), mixed_rates) for number in range(4)]
    house.shopify.load(lives)
    house.clock.advance_to(lives[-1].events[-1].at)
    house.shopify.advance(house.clock.now())
    for told in lives:
        want_gid(house, told.order_id)
    house.engine.wake("dispatch")
    house.engine.drain()
    instants.close()
    assert instants.wrong == []
    assert len(instants.seen) >= 10
    depths = {found['webhook_queue_depth{state="running"}'] for found in instants.seen}
    shares = {found['rate_limit_utilization{service="shopify"}'] for found in instants.seen}
    assert len(depths) > 1
    assert max(shares) > 0.05, "the figures moved while they were compared"
