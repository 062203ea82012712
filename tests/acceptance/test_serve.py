"""The real `ladenbuch serve` against the stand-ins, all in processes of their own, judged by the auditor.

Every test lets another portion of one shop's day happen, does something unkind meanwhile, and asks the auditor, who
reads only the shop's truth, sevdesk's state and the inbox: nothing missing, nothing twice, to the cent.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from acceptance.connector import DEADLINE, Connector, free_port, raise_curtain, wait_for
from acceptance.dump import buyers, cells, in_the_clear
from ladenbuch.cli.demo import TENANT
from ladenbuch.simulators.lives import Life

PORTION = 8


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connector]:
    made = raise_curtain(tmp_path_factory.mktemp("shop"), orders=8 * PORTION)
    yield made
    made.close()


@pytest.fixture
def stage(shop: Connector) -> Connector:
    """The connector, up and with nothing stopped."""
    shop.ensure_up()
    return shop


def verdict(stage: Connector) -> dict[str, Any]:
    """The figures that must be zero, and what the auditor has to say when they are not."""
    report = stage.audit()
    names = ("duplicates", "missing", "cent_deviation", "needs_attention", "strangers", "findings")
    return {name: report.get(name) for name in names}


CLEAN = {
    "duplicates": 0,
    "missing": 0,
    "cent_deviation": 0,
    "needs_attention": 0,
    "strangers": 0,
    "findings": [],
}


def count(stage: Connector, table: str) -> int:
    with closing(sqlite3.connect(stage.folder / "data" / "inbox.db")) as inbox:
        found: int = inbox.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return found


def test_a_second_serve_exits_2_and_disturbs_nothing(stage: Connector) -> None:
    stage.play(PORTION, 3)
    for port in (stage.port, free_port()):
        second = subprocess.run(
            [sys.executable, "-m", "ladenbuch", "serve"],
            env=stage.env | {"LADENBUCH_PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert second.returncode == 2
        assert "ENGINE-LOCKED" in second.stderr
        assert "Traceback" not in second.stderr
    assert stage.connector is not None
    assert stage.connector.poll() is None
    assert verdict(stage) == CLEAN


def test_deleting_the_engine_database_under_load_loses_nothing(stage: Connector) -> None:
    stage.play(PORTION, 3)
    data = stage.folder / "data"
    for _ in range(2):
        time.sleep(1.0)
        for file in data.glob("engine.db*"):
            file.unlink(missing_ok=True)
    assert verdict(stage) == CLEAN
    assert "Traceback" not in stage.log()


def test_nothing_is_written_between_stop_and_go(stage: Connector) -> None:
    verdict(stage)
    assert stage.run("stop", "--reason", "stocktaking").returncode == 0
    before, letters = stage.writes(), len(stage.control("inbox", "messages")["messages"])
    stage.play(PORTION, 1)
    wait_for("orders that wait", lambda: stage.state().get("waiting", 0) >= PORTION // 2)
    time.sleep(3)
    assert stage.state()["stopped"] == "stocktaking"
    assert (stage.writes(), len(stage.control("inbox", "messages")["messages"])) == (before, letters)
    assert stage.run("go").returncode == 0
    assert verdict(stage) == CLEAN
    assert stage.writes() > before


def test_sigterm_under_load_ends_serve_in_order_and_a_restart_goes_on(stage: Connector) -> None:
    stage.play(PORTION, 2)
    time.sleep(1)
    assert stage.connector is not None
    stage.connector.terminate()
    assert stage.connector.wait(timeout=30) == 0
    stage.start()
    assert verdict(stage) == CLEAN


def test_webhooks_to_a_dead_connector_are_repeated_and_nothing_is_lost(stage: Connector) -> None:
    assert stage.connector is not None
    stage.connector.kill()
    stage.connector.wait()
    stage.play(PORTION, 0.5)
    wait_for("failed deliveries", lambda: any(item["attempt"] > 2 for item in deliveries(stage)))
    stage.start()
    assert verdict(stage) == CLEAN


def answers(stage: Connector, seen: int) -> list[int | None]:
    """What the connector answered to all deliveries since the first `seen`."""
    return [entry["status"] for item in deliveries(stage)[seen:] for entry in item["log"]]


def quiet(stage: Connector) -> bool:
    """No delivery is on its way or waits for its repetition."""
    return all(item["state"] not in ("waiting", "in_flight") for item in deliveries(stage))


def deliveries(stage: Connector) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.control("shopify", "deliveries")["deliveries"]
    return found


def test_the_poll_alone_finds_every_order(stage: Connector) -> None:
    stage.control("shopify", "webhooks", {"subscriptions": {}})
    try:
        wait_for("the end of earlier deliveries", lambda: quiet(stage))
        heard = count(stage, "events")
        stage.play(PORTION, 1)
        assert verdict(stage) == CLEAN
        assert count(stage, "events") == heard
    finally:
        stage.control("shopify", "webhooks", {"uri": f"{stage.url}/webhooks"})


def test_a_full_disk_answers_503_and_recovers(stage: Connector) -> None:
    """While no file may grow: 503, no half row, a readable line; afterwards everything is settled."""
    verdict(stage)
    wait_for("the end of earlier deliveries", lambda: quiet(stage))
    assert stage.connector is not None
    events, marks = count(stage, "events"), count(stage, "order_marks")
    seen = len(deliveries(stage))
    before = resource.prlimit(stage.connector.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stage.connector.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        stage.play(PORTION, 0.5)
        wait_for("refused deliveries", lambda: len(answers(stage, seen)) >= PORTION)
        assert set(answers(stage, seen)) == {503}
        assert (count(stage, "events"), count(stage, "order_marks")) == (events, marks)
        refused = subprocess.run(
            [sys.executable, "-m", "ladenbuch", "stop"],
            env=stage.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1])),
        )
        assert refused.returncode == 3
        assert refused.stderr.startswith("ladenbuch: DB-UNWRITABLE: ")
        assert len(refused.stderr.splitlines()) == 1
    finally:
        resource.prlimit(stage.connector.pid, resource.RLIMIT_FSIZE, before)
    assert verdict(stage) == CLEAN
    with closing(sqlite3.connect(stage.folder / "data" / "inbox.db")) as inbox:
        assert inbox.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "Traceback" not in stage.log()


def test_s49_no_token_and_no_buyer_lies_in_the_clear(stage: Connector) -> None:
    """After all that: no table, the engine's included, no file and no line of the log has one, but what is held."""
    stage.play(PORTION, 0.5)
    assert verdict(stage) == CLEAN
    assert count(stage, "events") >= PORTION
    told = buyers(stage.cast)
    assert len(told["email"]) > PORTION and told["phone"] and told["street"]
    assert in_the_clear(stage, stage.cast) == {}
    assert {place.partition(".")[0] for place, _ in cells(stage.folder / "data")} == {"books", "engine", "inbox"}
    spilled = stage.folder / "data" / "spilled.txt"
    spilled.write_text(sorted(told["email"])[0].upper())
    assert in_the_clear(stage, stage.cast) == {"spilled.txt": {"email"}}, "it would have been found"
    spilled.unlink()


def test_three_kills_while_forty_orders_arrive(tmp_path: Path) -> None:
    stage = raise_curtain(tmp_path, orders=40, seed=11)
    try:
        stage.start()
        stage.play(40, 6)
        for _ in range(3):
            time.sleep(1.5)
            stage.kill()
        assert verdict(stage) == CLEAN
        assert stage.run("audit", "verify").returncode == 0
    finally:
        stage.close()


def test_a_new_tenant_makes_drafts_only_and_nothing_before_its_cut_off(tmp_path: Path) -> None:
    stage = raise_curtain(
        tmp_path, orders=16, seed=5, live=False, cut_off=lambda lives: sorted(points(lives).values())[5]
    )
    try:
        taxed = points(stage.lives)
        cut_off = sorted(taxed.values())[5]
        due = {number for number, at in taxed.items() if at >= cut_off}
        assert 0 < len(due) < len(taxed)
        stage.start()
        stage.play(16, 2)
        wait_for("drafts", lambda: stage.idle() and noted(stage) == due)
        state = stage.control("sevdesk", "state")
        assert {(item["status"], item["number"], len(item["bookings"])) for item in state["invoices"]} == {
            (100, None, 0)
        }
        assert state["transactions"] == []
        assert stage.control("inbox", "messages")["messages"] == []
        assert "drafts only" in stage.run("tenants", "list").stdout
        assert stage.run("tenants", "live", TENANT).returncode == 0
        wait_for("numbers", lambda: stage.idle() and numbered(stage) == len(due))
        assert noted(stage) == due
        assert len(stage.control("inbox", "messages")["messages"]) <= len(due)
    finally:
        stage.close()


def points(lives: list[Life]) -> dict[str, datetime]:
    """Order number -> the instant at which the order can be invoiced, for those that can."""
    return {
        life.order_id.rsplit("/", 1)[-1]: life.events[life.label.completes or 0].at
        for life in lives
        if life.label.outcome == "documented"
    }


def noted(stage: Connector) -> set[str]:
    """Shopify order numbers in the notes of the invoices in sevdesk."""
    return {item["note"].rsplit(":", 1)[-1] for item in stage.control("sevdesk", "state")["invoices"]}


def numbered(stage: Connector) -> int:
    return sum(1 for item in stage.control("sevdesk", "state")["invoices"] if item["number"])
