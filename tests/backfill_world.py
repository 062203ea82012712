"""Years of orders taken over by the real commands: memory, kills, and what live traffic notices of it.

    python tests/backfill_world.py --orders 50000 --settle 2000 --rounds 6     figures and findings as JSON

A shop of `--orders` orders in three years is served by a process of its own: some hundred lives, each told a hundred
times with other numbers, made up anew whenever somebody reads one, so that the shop needs no memory to speak of.

    planned   `ladenbuch backfill plan`, killed with SIGKILL twice, its memory read ten times a second. As every life
              stands there equally often, each figure of the plan must be a multiple of that number
    settled   `ladenbuch serve` settles the first `--settle` orders, killed once; documents are counted in sevdesk
    live      orders of now come by webhook in rounds, with the backfill paused and with it running, at the budgets a
              shop on the smallest plan and a sevdesk account have; from webhook to the last entry in our books. Their
              p99 may be a fifth or a second longer: what the budgets reserve is less than a full bucket

What is not settled is cancelled: at a sevdesk account's ten requests a second, 50,000 orders are a matter of a day.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from acceptance.connector import Connector, add_tenant, clean, free_port, wait_for
from ladenbuch.cli.demo import PATIENCE, SHOP, TENANT
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.vault import generate_key

YEARS = timedelta(days=3 * 365)
#: How often each life is told.
TOLD = 100
_HEAD = ("id", "name", "createdAt", "processedAt", "updatedAt", "closedAt", "cancelledAt", "test")
_GID = re.compile(r"(gid://shopify/(?!Location|Product)\w+/)(\d+)")
_FAR = 10_000_000_000
MEGABYTE = 1024 * 1024


# -- the shop ------------------------------------------------------------------------------------------------------


class Orders(dict[str, Any]):
    """Orders by id. Those of the past are heads, whole only when somebody asks for one; those of now are kept."""

    def __init__(self, lives: list[Life]) -> None:
        super().__init__()
        self._texts = [json.dumps(_filled(life.events[-1].snapshot)) for life in lives]
        self._of: dict[str, tuple[int, int]] = {}
        for number, life in enumerate(lives):
            shot = life.events[-1].snapshot
            for told in range(1, TOLD + 1):
                head = {name: shot.get(name) for name in _HEAD}
                head["id"] = _GID.sub(lambda found, n=told: f"{found[1]}{int(found[2]) + n * _FAR}", shot["id"])
                head["name"] = _name(number, told)
                self._of[head["id"]] = number, told
                super().__setitem__(head["id"], head)

    def _whole(self, gid: str) -> Any:
        number, told = self._of[gid]
        text = _GID.sub(lambda found: f"{found[1]}{int(found[2]) + told * _FAR}", self._texts[number])
        return json.loads(text) | {"name": _name(number, told)}

    def __getitem__(self, gid: str) -> Any:
        return self._whole(gid) if gid in self._of else super().__getitem__(gid)

    def get(self, gid: str, default: Any = None) -> Any:  # type: ignore[override]
        return self._whole(gid) if gid in self._of else super().get(gid, default)


def _filled(shot: dict[str, Any]) -> dict[str, Any]:
    """The snapshot with its discounts written out where they are named by a number."""
    known = {one.get("index", place): one for place, one in enumerate(shot.get("discountApplications") or [])}
    for line in (*(shot.get("lineItems") or []), *(shot.get("shippingLines") or [])):
        for one in line.get("discountAllocations") or []:
            named = one.get("discountApplication") or {}
            one["discountApplication"] = known.get(named.get("index"), named)
    return shot


def _name(number: int, told: int) -> str:
    return f"#{1_000_000 + told * 10_000 + number}"


def simulate(orders: int, latency: float) -> None:
    """Serve the shop, sevdesk and the others until somebody ends it; the ports on one line of standard output."""
    from ladenbuch.cli import simulate as stage
    from ladenbuch.simulators.shopify import Shop, ShopifySimulator, create_app

    def shop(world: stage.World) -> Any:
        made = ShopifySimulator(
            lambda: datetime.now(UTC),
            client_secret=world.secret,
            shops=[Shop(world.shop, plan=world.plan, client_id=world.client_id)],
        )
        end = datetime.now(UTC) - timedelta(days=2)
        lives = generate(world.seed, orders // TOLD, shop=world.shop, mix="domestic", end=end, span=YEARS)
        made._states[world.shop].orders = Orders(lives)
        gc.freeze()  # years of orders are no garbage: looking through them again and again takes seconds
        return create_app(made, clock=lambda: datetime.now(UTC), latency_seconds=world.latency)

    stage._shopify = shop
    world = stage.World(7, orders, "domestic", "calm", latency=latency)
    stage.run(world, dict.fromkeys(("shopify", "sevdesk", "vies", "mail", "inbox"), 0))


# -- the connector -------------------------------------------------------------------------------------------------


@contextmanager
def raised(folder: Path, orders: int, latency: float) -> Iterator[Connector]:
    """The simulators running, and a tenant that went live today."""
    command = [sys.executable, __file__, "--simulate", "--orders", str(orders), "--latency", str(latency)]
    with (folder / "simulators.log").open("wb") as errors:
        simulators = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=clean({}))
    assert simulators.stdout is not None
    ports, port = json.loads(simulators.stdout.readline()), free_port()
    env = clean(PATIENCE) | {
        "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{ports['shopify']}/{{shop}}",
        "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{ports['sevdesk']}/api/v1",
        "LADENBUCH_VIES_URL": f"http://127.0.0.1:{ports['vies']}/taxation_customs/vies/rest-api/check-vat-number",
        "LADENBUCH_SMTP_URLS": f"smtp://127.0.0.1:{ports['mail']}",
        "LADENBUCH_MAIL_FROM": "rechnung@seifenladen.example",
        "LADENBUCH_DATA_DIR": str(folder / "data"),
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_PORT": str(port),
        "LADENBUCH_POLL_SECONDS": "600",
        "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "60",
    }
    stage = Connector(folder, env, simulators, ports, port)
    try:
        add_tenant(stage, cut_off=datetime.now(UTC) - timedelta(hours=1))
        done = stage.run("tenants", "live", TENANT)
        assert done.returncode == 0, done.stdout + done.stderr
        stage.start()  # polls once: from here on it hears what changes
        wait_for("the first poll", lambda: told(stage, "inbox", "SELECT count(*) FROM poll_cursors")[0][0])
        end(stage)
        yield stage
    finally:
        stage.close()


def told(stage: Connector, store: str, query: str) -> list[tuple[Any, ...]]:
    """What a store says, read beside whoever writes it."""
    file = stage.folder / "data" / f"{store}.db"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30) as found:
        return list(found.execute(query))


def end(stage: Connector, sign: int = signal.SIGTERM) -> None:
    assert stage.connector is not None
    stage.connector.send_signal(sign)
    stage.connector.wait(timeout=60)


class Memory:
    """The resident memory of a process, read from outside until it is gone."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.samples: list[float] = []
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        file = Path(f"/proc/{self._process.pid}/statm")
        while self._process.poll() is None:
            try:
                self.samples.append(int(file.read_text().split()[1]) * 4096 / MEGABYTE)
            except (OSError, IndexError):
                return
            time.sleep(0.1)

    @property
    def peak(self) -> float:
        """In MB."""
        return max(self.samples, default=0.0)

    @property
    def growth(self) -> float:
        """MB by which the mean of the last quarter is above that of the one before: the first half still imports."""
        quarter = len(self.samples) // 4
        if quarter < 10:
            return 0.0
        before, last = self.samples[2 * quarter : 3 * quarter], self.samples[3 * quarter :]
        return sum(last) / len(last) - sum(before) / len(before)


# -- three parts ---------------------------------------------------------------------------------------------------


def planned(stage: Connector, orders: int, figures: dict[str, Any], findings: list[str]) -> None:
    today = datetime.now(UTC).date()
    since, until = today - YEARS - timedelta(days=5), today + timedelta(days=1)
    command = ["backfill", "plan", "--since", str(since), "--until", str(until), "--move-cut-off", "--json"]
    peaks, growths, began = [], [], time.monotonic()
    for kill_at in (orders // 4, orders * 6 // 10, None):
        process = subprocess.Popen(
            [sys.executable, "-m", "ladenbuch", *command],
            env=stage.env,
            stdout=subprocess.PIPE,
            stderr=(stage.folder / "plan.log").open("ab"),
        )
        memory = Memory(process)
        if kill_at is not None:
            while rows(stage) < kill_at and process.poll() is None:
                time.sleep(0.1)
            process.kill()
            process.wait()
        out = process.communicate()[0] if kill_at is None else b"{}"
        if not out:
            raise SystemExit((stage.folder / "plan.log").read_text(encoding="utf-8")[-2000:])
        peaks.append(memory.peak)
        growths.append(memory.growth)
    report = json.loads(out)
    figures |= {
        "orders": report["plan"]["orders"],
        "seconds to plan": round(time.monotonic() - began),
        "kills of the planning": 2,
        "peak memory of a planning, MB": round(max(peaks), 1),
        "growth from its third to its last quarter, MB": round(max(growths), 1),
        "exports made by Shopify": len(stage.control("shopify", "exports")),
        "documents planned": sum(row["documents"] for row in report["plan"]["months"]),
        "months": len({row["month"] for row in report["plan"]["months"]}),
        "read one by one": sum(report["plan"]["read_one_by_one"].values()),
    }
    if report["state"] != "planned" or rows(stage) != orders or report["plan"]["orders"] != orders:
        findings.append(f"{rows(stage)} rows and {report['plan']['orders']} orders planned of {orders}")
    (text,) = told(stage, "books", "SELECT totals FROM backfills")[0]
    findings += [
        f"{name}: {value} is counted double or lost" for name, value in json.loads(text).items() if value % TOLD
    ]
    if max(peaks) >= 300:
        findings.append(f"a planning took {max(peaks):.0f} MB")
    if max(growths) >= 15:
        findings.append(f"the memory of a planning grew by {max(growths):.0f} MB")


def rows(stage: Connector) -> int:
    try:
        return int(told(stage, "books", "SELECT count(*) FROM backfill_orders")[0][0])
    except sqlite3.OperationalError:
        return 0


def ended(stage: Connector) -> int:
    query = "SELECT count(*) FROM backfill_orders WHERE state IN ('done', 'changed', 'stuck')"
    return int(told(stage, "books", query)[0][0])


def settled(stage: Connector, many: int, figures: dict[str, Any], findings: list[str]) -> None:
    # It lists every order of the period once more, 250 a page.
    done = stage.run("backfill", "start", "--yes", "--json", deadline=1800.0)
    assert done.returncode == 0, done.stderr
    stage.start()
    assert stage.connector is not None
    memories, began = [Memory(stage.connector)], time.monotonic()
    wait_for("half of the orders", lambda: ended(stage) >= many // 2, 7200, 0.5)
    end(stage, signal.SIGKILL)
    stage.start()
    memories.append(Memory(stage.connector))
    wait_for("the orders to be settled", lambda: ended(stage) >= many, 7200, 0.5)
    seconds = time.monotonic() - began
    assert stage.run("backfill", "pause", "--json").returncode == 0
    wait_for("the last ones", lambda: status(stage)["orders"]["under_way"] == 0 or idle(stage), 120, 0.5)
    report = status(stage)
    state = stage.control("sevdesk", "state")
    notes = [row["note"] for row in (*state["invoices"], *state["credit_notes"])]
    figures |= {
        "orders settled": ended(stage),
        "orders settled a second": round(ended(stage) / seconds, 1),
        "kills of the connector": 1,
        "of them exactly as planned": report["orders"]["as_planned"],
        "documents in sevdesk": len(notes),
        "documents doubled": len(notes) - len(set(notes)),
        "peak memory of the connector, MB": round(max(one.peak for one in memories), 1),
        "growth of it from the third to the last quarter, MB": round(memories[-1].growth, 1),
    }
    if len(notes) != len(set(notes)):
        findings.append(f"{len(notes) - len(set(notes))} documents are doubled")
    if report["orders"]["changed"] or report["orders"]["stuck"]:
        findings.append(f"{report['orders']['changed']} came out otherwise, {report['orders']['stuck']} are stuck")
    if max(one.peak for one in memories) >= 300:
        findings.append("the connector took more than 300 MB")
    end(stage)


def status(stage: Connector) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.run("backfill", "status", "--json").stdout)
    return found


def idle(stage: Connector) -> bool:
    state = stage.state()
    return bool(state.get("ready")) and not state.get("waiting") and not state.get("running")


def live(stage: Connector, rounds: int, seconds: float, figures: dict[str, Any], findings: list[str]) -> None:
    """Orders of now, two in three seconds, in rounds with the backfill paused and running."""
    lives = [
        life
        for life in generate(99, 4_000, shop=SHOP, mix="domestic", end=datetime.now(UTC), span=timedelta(hours=1))
        if life.label.situation == "card_paid" and len(life.events) == 1
    ]
    stage.env |= {"LADENBUCH_SEVDESK_RATE": "10"}
    stage.control("shopify", "plan", {"shop": SHOP, "plan": "standard"})
    stage.start()
    stage.control("shopify", "webhooks", {"uri": f"{stage.url}/webhooks"})
    waits: dict[bool, list[float]] = {False: [], True: []}
    begun_with = ended(stage)
    for number in range(rounds):
        busy = number % 2 == 1
        if busy:
            assert stage.run("backfill", "resume", "--json").returncode == 0
            done = ended(stage)
            wait_for("the backfill to be under way", lambda at=done: ended(stage) > at + 5, 120, 0.2)  # type: ignore[misc]
        sent: dict[str, float] = {}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            life = lives.pop()
            one = json.loads(json.dumps([dataclasses.asdict(life)], default=datetime.isoformat))
            stage.control("shopify", "lives", one)
            sent[life.order_id] = time.time()
            stage.control("shopify", "advance", {"until": datetime.now(UTC).isoformat(), "stamp": True})
            time.sleep(1.5)
        wait_for("the live orders", lambda ids=set(sent): ids <= set(booked(stage)), 300, 0.5)  # type: ignore[misc]
        at = booked(stage)
        waits[busy] += [at[order] - begun for order, begun in sent.items()]
        if busy:
            assert stage.run("backfill", "pause", "--json").returncode == 0
            wait_for("the backfill to pause", lambda: idle(stage), 300, 0.2)
    (quiet, behind) = (sorted(waits[False]), sorted(waits[True]))
    figures |= {
        "live orders, each way": len(quiet),
        "backfilled beside them": ended(stage) - begun_with,
        "live alone: median, p99 in seconds": f"{middle(quiet):.2f}, {p99(quiet):.2f}",
        "live with the backfill: median, p99": f"{middle(behind):.2f}, {p99(behind):.2f}",
    }
    if p99(behind) > max(1.2 * p99(quiet), p99(quiet) + 1.0):
        findings.append(f"p99 of live orders is {p99(behind):.2f} s behind a backfill, {p99(quiet):.2f} s without")


def booked(stage: Connector) -> dict[str, float]:
    """When the payment of an order was booked, which is the last thing done for it."""
    query = "SELECT order_id, max(done_at) FROM intents WHERE kind = 'book_payment' AND done_at IS NOT NULL GROUP BY 1"
    return {order: at / 1e6 for order, at in told(stage, "books", query)}


def middle(values: list[float]) -> float:
    return values[len(values) // 2]


def p99(values: list[float]) -> float:
    return values[min(len(values) - 1, round(len(values) * 0.99))]


def main(argv: list[str]) -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("--orders", type=int, default=50_000)
    asked.add_argument("--settle", type=int, default=2_000)
    asked.add_argument("--rounds", type=int, default=6)
    asked.add_argument("--seconds", type=float, default=45.0)
    asked.add_argument("--latency", type=float, default=0.02)
    asked.add_argument("--simulate", action="store_true")
    asked.add_argument("--folder", type=Path)
    options = asked.parse_args(argv)
    if options.simulate:
        simulate(options.orders, options.latency)
        return 0
    figures: dict[str, Any] = {}
    findings: list[str] = []
    orders = options.orders // TOLD * TOLD
    with tempfile.TemporaryDirectory(prefix="ladenbuch-backfill-") as made:
        folder = options.folder or Path(made)
        with raised(folder, orders, options.latency) as stage:
            parts: list[Callable[[], None]] = [lambda: planned(stage, orders, figures, findings)]
            if options.settle:
                parts.append(lambda: settled(stage, options.settle, figures, findings))
            if options.settle and options.rounds:
                parts.append(lambda: live(stage, options.rounds, options.seconds, figures, findings))
            for part in parts:
                part()
                print(json.dumps(figures), file=sys.stderr, flush=True)
    print(json.dumps({**figures, "findings": findings}, ensure_ascii=False))
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
