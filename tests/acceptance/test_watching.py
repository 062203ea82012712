"""The real `ladenbuch serve` while it works: its figures against the truth, one id through its log, and what it says
when it stalls (S53-S57). One process for all of it; what is compared with it is read past it."""

from __future__ import annotations

import json
import random
import re
import resource
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acceptance.connector import Connector, raise_curtain, wait_for
from ladenbuch.simulators.lives import Life

ORDERS = 16


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    settings = {"LADENBUCH_LOG_FORMAT": "json", "LADENBUCH_LOG_LEVEL": "debug", "LADENBUCH_STALL_SECONDS": "2"}
    made = raise_curtain(tmp_path_factory.mktemp("watched"), orders=ORDERS, seed=23, settings=settings, faults="rain")
    made.told = list(made.lives)  # type: ignore[attr-defined]
    made.start()
    yield made
    made.close()


def gauges(stage: Connector) -> dict[str, float]:
    """`name{labels}` -> value of everything at /metrics."""
    lines = httpx2.get(f"{stage.url}/metrics", timeout=10).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def lines(stage: Connector) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stage.log().splitlines()]


# -- the truth, read past the connector ---------------------------------------------------------------------------


Truth = tuple[dict[str, float], object]
"""Figures by name, and what changes whenever anything behind them does, so that there and back again is seen."""


def marks(stage: Connector) -> Truth:
    due = "run_id IS NULL AND due_at IS NOT NULL AND (wanted > settled OR due_at <= ?)"
    columns = f"count(*) FILTER (WHERE {due}), count(*) FILTER (WHERE run_id IS NOT NULL), "
    columns += "sum(wanted), sum(settled), sum(run_no), sum(attempts), total(due_at)"
    with closing(sqlite3.connect(stage.folder / "data" / "inbox.db")) as raw:
        row = raw.execute(f"SELECT {columns} FROM order_marks", (time.time_ns() // 1000,)).fetchone()
    names = ('webhook_queue_depth{state="waiting"}', 'webhook_queue_depth{state="running"}')
    return dict(zip(names, map(float, row), strict=False)), row


def sockets(stage: Connector) -> Truth:
    """TCP connections of the process to each stand-in, as the kernel counts them."""
    assert stage.connector is not None
    process = Path(f"/proc/{stage.connector.pid}")
    own = set()
    for entry in (process / "fd").iterdir():
        with suppress(OSError):
            own.add(str(entry.readlink()))
    open_ones = set()
    for line in (process / "net" / "tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] in ("01", "08") and f"socket:[{fields[9]}]" in own:  # established, or left by the other side
            open_ones.add((int(fields[2].split(":")[1], 16), fields[9]))
    ports = Counter(port for port, _ in open_ones)
    return {name: float(ports[stage.ports[name]]) for name in ("shopify", "sevdesk")}, open_ones


def files(stage: Connector) -> Truth:
    """Connections of the process to each store: SQLite opens the file once for each."""
    assert stage.connector is not None
    opened = set()
    for entry in Path(f"/proc/{stage.connector.pid}/fd").iterdir():
        with suppress(OSError):
            opened.add((entry.name, entry.readlink().name))
    names = Counter(name for _, name in opened)
    return {store: float(names[f"{store}.db"]) for store in ("inbox", "books")}, {
        one for one in opened if one[1].endswith(".db")
    }


def instant(stage: Connector, truth: Callable[[Connector], Truth]) -> tuple[dict[str, float], ...] | None:
    """(truth, figures) of one instant; None when the truth moved while the figures were read."""
    before = truth(stage)
    shown = gauges(stage)
    return (before[0], shown) if truth(stage) == before else None


def open_ones(shown: dict[str, float], pool: str) -> float:
    return sum(shown[f'active_connections{{pool="{pool}",state="{state}"}}'] for state in ("busy", "idle"))


def compared(stage: Connector, truth: Callable[[Connector], Truth]) -> dict[str, float] | None:
    """The truth of an instant at which the figures equal it; None when it moved meanwhile. A connection that the kernel
    has and its thread has not yet heard of is looked at twice."""
    for last in (truth is marks, True):
        pair = instant(stage, truth)
        if pair is None:
            return None
        was, shown = pair
        told = {name: shown[name] if truth is marks else open_ones(shown, name) for name in was}
        if told == was or last:
            assert told == was, truth.__name__
            assert shown["gauges_unreadable"] == 0
            return was
    raise AssertionError("unreachable")


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads connections as Linux tells them")
def test_s56_gauges_equal_the_truth_at_random_instants_under_load(shop: Connector) -> None:
    portions = [(ORDERS - 6, 3.0), (3, 1.0), (3, 1.0)]  # the later ones only where the first was too quick to be seen
    chance = random.Random(56)
    seen: dict[Callable[[Connector], Truth], list[dict[str, float]]] = {marks: [], sockets: [], files: []}
    until = time.monotonic() + 90
    while any(len(found) < 10 for found in seen.values()) or len({tuple(was.values()) for was in seen[marks]}) < 3:
        assert time.monotonic() < until, {truth.__name__: len(found) for truth, found in seen.items()}
        if portions and (len(portions) == 3 or shop.idle()):
            shop.play(*portions.pop(0))
        time.sleep(chance.uniform(0.02, 0.3))
        for truth, found in seen.items():
            was = compared(shop, truth)
            if was is not None:
                found.append(was)
    assert max(was["sevdesk"] for was in seen[sockets]) > 1
    for portion in portions:
        shop.play(*portion)
    wait_for("rest", shop.idle)


def test_s26_p6_one_id_leads_from_the_webhook_to_the_letter(shop: Connector) -> None:
    wait_for("rest", shop.idle)
    log = lines(shop)
    mailed = next(line for line in log if line["event"] == "letter accepted")
    trace = mailed["trace"]
    mine = [line for line in log if line.get("trace") == trace]
    story = [line["event"] for line in mine]
    steps = ["dispatched", "run begins", "call", "carried out", "run ended", "letter accepted"]
    assert [step for step in steps if step not in story] == []
    assert story.index("dispatched") < story.index("run begins") < story.index("letter accepted")
    calls = {(line["service"], line["operation"]) for line in mine if line["event"] == "call"}
    assert ("sevdesk", "POST /Invoice/Factory/saveInvoice") in calls
    assert ("mail", "send") in calls
    assert any(service == "shopify" for service, _ in calls)
    assert {line["order"] for line in mine if "order" in line} == {mailed["order"]}, "nobody else's line is among them"
    assert trace in {item["webhook_id"] for item in heard(shop)} or trace.startswith("poll-")


def test_s26_every_webhook_leads_to_the_run_that_answered_it(shop: Connector) -> None:
    """Several may have wished for one look; each id is in the log of that run."""
    wait_for("rest", shop.idle)
    log = lines(shop)
    kept = [one for line in log if line["event"] == "webhooks on disk" for one in line.get("webhooks", [line])]
    assert kept
    runs = [line for line in log if line["event"] == "run begins"]
    for one in kept:
        assert any(one["trace"] in line["webhooks"] for line in runs if line["order"] == one["order"]), one


def heard(stage: Connector) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.control("shopify", "deliveries")["deliveries"]
    return found


def test_p6_the_whole_log_names_no_buyer_and_shows_no_secret(shop: Connector) -> None:
    wait_for("rest", shop.idle)
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines(shop))
    told = set(strings(shop.told))  # type: ignore[attr-defined]
    assert len(told) > 40, "there are buyers to look for"
    assert sorted(word for word in told if word in text) == []
    secrets = [shop.ports["sevdesk_token"], "simulated-secret", shop.env["LADENBUCH_KEYS"].split(":")[1]]
    assert [secret for secret in secrets if secret in text] == []
    assert not re.search(r"shp[a-z]{2}_[0-9a-f]{16}|[\w.+-]+@[\w-]+\.[a-z]{2,}", text)


_PERSONAL = {"email", "emailAddress", "phone", "firstName", "lastName", "displayName", "name", "address1", "address2"}


def strings(lives: list[Life]) -> Iterator[str]:
    """What the orders say of their buyers: names, streets, mailboxes."""

    def walk(value: Any, key: str, of_buyer: bool) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, name, of_buyer or name in ("customer", "billingAddress", "shippingAddress"))
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, key, of_buyer)
        elif isinstance(value, str) and key in _PERSONAL and (of_buyer or key == "email") and len(value) > 4:
            yield value

    for life in lives:
        for event in life.events:
            yield from walk(event.snapshot, "", False)


def test_s53_s55_what_is_counted_of_a_rainy_day(shop: Connector) -> None:
    """The rain's 429s, 5xx and cut connections are counted under types of their own; no label names anybody."""
    wait_for("rest", shop.idle)
    shown = gauges(shop)
    codes = {match[1] for name in shown for match in re.finditer(r'api_errors_total\{code="([^"]+)"', name)}
    assert len(codes & {"HTTP-429", "HTTP-500", "HTTP-502", "HTTP-503", "CUT"}) >= 3, codes
    sent = sum(shown[name] for name in shown if name.startswith("api_calls_total{") and 'service="mail"' in name)
    assert sent >= len(shop.control("inbox", "messages")["messages"])
    labels = {re.sub(r'le="[^"]*"', "", name) for name in shown}
    assert not [name for name in labels if re.search(r"gid:|myshopify|demo|@|[0-9]{4}|https?:", name)]
    assert len([name for name in shown if name.startswith("api_calls_total{")]) < 60


def test_s57_a_full_disk_turns_readyz_to_503_and_it_comes_back(shop: Connector) -> None:
    """While no file may grow, reading still works; only writing shows it."""
    wait_for("rest", shop.idle)
    assert shop.connector is not None
    before = resource.prlimit(shop.connector.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(shop.connector.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        answer = wait_for("the full disk", lambda: not_ready(shop), seconds=20)
    finally:
        resource.prlimit(shop.connector.pid, resource.RLIMIT_FSIZE, before)
    assert {"inbox", "books"} & set(answer["stalled"]), answer
    assert answer["code"] == "DB-UNWRITABLE"
    assert str(shop.folder) not in answer["why"]
    wait_for("readiness", lambda: not not_ready(shop), seconds=40)


def not_ready(stage: Connector) -> dict[str, Any] | None:
    """The body of /readyz while it is a 503."""
    answer = httpx2.get(f"{stage.url}/readyz", timeout=20)
    body: dict[str, Any] = answer.json()
    return body if answer.status_code == 503 else None


def test_s57_a_locked_database_turns_readyz_to_503_and_it_comes_back(shop: Connector) -> None:
    wait_for("rest", shop.idle)
    with closing(sqlite3.connect(shop.folder / "data" / "inbox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = wait_for("the lock", lambda: not_ready(shop), seconds=20)
        assert answer["stalled"] == ["stores"], answer
        assert httpx2.get(f"{shop.url}/healthz", timeout=5).status_code == 200
        other.execute("ROLLBACK")
    wait_for("readiness", lambda: not not_ready(shop), seconds=40)
