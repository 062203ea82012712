"""A simulated shop's day through the real connector: three simulators, one `serve`, one independent auditor.

Everything is a process of its own and talks HTTP and SMTP on loopback. The verdict comes from the auditor, which reads
the shop's truth, sevdesk's state and the inbox, and never our books.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from ladenbuch.cli.simulate import SPAN

SHOP = "demo.myshopify.com"
TENANT = "demo"
GATEWAYS = {
    "shopify_payments": {"mode": "clearing+payouts"},
    "klarna": {"mode": "clearing+payouts"},
    "paypal": {"mode": "clearing+payouts"},
    "bank_deposit": {"mode": "bank"},
    "cash_on_delivery": {"mode": "off"},
    "invoice_on_delivery": {"mode": "off"},
    "gift_card": {"mode": "liability", "number": "1723"},
    "shopify_store_credit": {"mode": "liability", "number": "1724"},
}
PROFILE = {
    "shop_key": TENANT,
    "shop_name": "Seifenladen Demo",
    "gateways": GATEWAYS,
    "oss_from": "2026-01-01",
    "unshipped": "electronic",
    "tips": "taxed",
    "vouchers": "multi_purpose",
}
#: The waiting ladders are settings: the demo squeezes a day into seconds, so it waits seconds where a shop waits hours.
PATIENCE = {
    "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "2",
    "LADENBUCH_AMBIGUOUS_WAIT_SECONDS": "4",
    "LADENBUCH_LADDER_SECONDS": "0.5,1,2,4,8",
    "LADENBUCH_POLL_SECONDS": "3",
    "LADENBUCH_POLL_OVERLAP_SECONDS": "60",
    "LADENBUCH_SEVDESK_RATE": "1000",
}
#: How often a connector looks for orders by default, and how far back: what `--poll` shows is what a merchant gets.
POLLING = {"LADENBUCH_POLL_SECONDS": "60", "LADENBUCH_POLL_OVERLAP_SECONDS": "600"}
#: Seconds within which an order is to be in the books.
_PROMISED = 300
_DEADLINE = 240.0
_START_SECONDS = 90.0


def say(text: str) -> None:
    """Prose goes to standard error, so that --json leaves standard output alone."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@dataclass
class Stage:
    """The processes of a demo and where they listen."""

    folder: Path
    env: dict[str, str]
    simulators: subprocess.Popen[str]
    ports: Mapping[str, Any]
    port: int
    connector: subprocess.Popen[bytes] | None = None
    kills: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start `ladenbuch serve` and wait until it answers."""
        with (self.folder / "serve.log").open("ab") as errors:
            self.connector = subprocess.Popen(
                [sys.executable, "-m", "ladenbuch", "serve"], env=self.env, stdout=errors, stderr=errors
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self.connector.poll() is not None:
                raise SystemExit(f"the connector ended: see {self.folder}/serve.log")
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"{self.url}/healthz", timeout=1.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise SystemExit("the connector does not answer")

    def kill(self) -> None:
        """kill -9 and start again."""
        assert self.connector is not None
        self.connector.send_signal(signal.SIGKILL)
        self.connector.wait()
        self.start()

    def close(self) -> None:
        """End what was started here, and nothing else."""
        for process in (self.connector, self.simulators):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=8)
                except subprocess.TimeoutExpired:
                    process.kill()

    def control(self, name: str, path: str, body: Any = None) -> Any:
        """Ask a simulator's control API."""
        url = f"http://127.0.0.1:{self.ports[name]}/_control/{path}"
        answer = httpx2.get(url, timeout=60) if body is None else httpx2.post(url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def state(self) -> dict[str, Any]:
        """What the connector says of itself (/readyz); empty while it is down."""
        with suppress(httpx2.HTTPError, ValueError):
            found: dict[str, Any] = httpx2.get(f"{self.url}/readyz", timeout=2.0).json()
            return found
        return {}


def run_demo(
    orders: int,
    seed: int,
    faults: str,
    mix: str,
    *,
    as_json: bool,
    keep: bool,
    kills: int = 0,
    play: float | None = None,
    poll: bool = False,
    database_url: str | None = None,
) -> int:
    """Run the day; 0 when the auditor finds nothing, 1 otherwise. `poll`: nobody sends us a webhook, and we look for
    orders as often as a connector does by default; what took longer than five minutes is a deviation."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-demo-"))
    with suppress(ValueError):  # not in the main thread; otherwise being ended must end what was started here, too
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seconds = play if play is not None else max(8.0, orders / 12)
    say(f"a shop, a sevdesk and a mail relay are being simulated (seed {seed}, {orders} orders, {faults})")
    stage = _set_stage(folder, seed, orders, mix, faults, database_url or os.environ.get("LADENBUCH_DEMO_DATABASE_URL"))
    try:
        if poll:
            stage.env |= POLLING
        stage.start()
        if not poll:
            stage.control("shopify", "webhooks", {"uri": f"{stage.url}/webhooks"})
        pace = SPAN.total_seconds() / seconds
        say(f"the connector is up; one shop day passes in {seconds:.0f} s (time runs {pace:,.0f} times faster)")
        stage.control("shopify", "play", {"seconds": seconds})
        report = _watch(stage, seconds, kills, seed)
        if poll:
            _promise(stage, report)
        report["seconds"] = round(time.monotonic() - begun, 1)
        _show(report, as_json=as_json)
        if keep:
            say(f"dashboard: {stage.url}/  (ctrl-c ends it)")
            with suppress(KeyboardInterrupt):
                while stage.connector is not None and stage.connector.poll() is None:
                    time.sleep(0.5)
        return 0 if report["ok"] else 1
    finally:
        stage.close()


def _set_stage(folder: Path, seed: int, orders: int, mix: str, faults: str, database_url: str | None) -> Stage:
    from ladenbuch.bootstrap import Ladenbuch
    from ladenbuch.cli.admin import go_live, provision
    from ladenbuch.settings import Settings
    from ladenbuch.vault import generate_key
    from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN

    options = ["--seed", str(seed), "--orders", str(orders), "--mix", mix, "--faults", faults]
    with (folder / "simulators.log").open("wb") as errors:
        simulators = subprocess.Popen(
            [sys.executable, "-m", "ladenbuch", "simulate", "all", *options],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    assert simulators.stdout is not None
    try:
        ports = json.loads(simulators.stdout.readline())
    except ValueError:
        simulators.kill()
        raise SystemExit(f"the simulators did not start: see {folder}/simulators.log") from None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LADENBUCH_")}
    env |= PATIENCE | {
        "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{ports['shopify']}/{{shop}}",
        "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{ports['sevdesk']}/api/v1",
        "LADENBUCH_VIES_URL": f"http://127.0.0.1:{ports['vies']}/taxation_customs/vies/rest-api/check-vat-number",
        "LADENBUCH_SMTP_URLS": f"smtp://127.0.0.1:{ports['mail']}",
        "LADENBUCH_MAIL_FROM": "rechnung@seifenladen.example",
        "LADENBUCH_DATA_DIR": str(folder / "data"),
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_PORT": str(port),
    }
    if database_url:
        env["LADENBUCH_DATABASE_URL"] = database_url
    stage = Stage(folder, env, simulators, ports, port)
    secrets = {
        CLIENT_ID: ports["client_id"],
        CLIENT_SECRET: "simulated-secret",
        SEVDESK_TOKEN: ports["sevdesk_token"],
    }
    cut_off = datetime.now(UTC) - SPAN - timedelta(days=1)
    house = Ladenbuch.open(Settings.read(env))
    try:
        for attempt in range(60):  # the weather begins with the first call
            try:
                provision(house, SHOP, TENANT, PROFILE, cut_off, secrets, create_accounts=True)
                break
            except Exception as error:
                code = getattr(error, "code", "")
                if attempt == 59:
                    stage.close()
                    raise
                if code == "TENANT-EXISTS":
                    from ladenbuch.cli.admin import create_accounts_for

                    with suppress(Exception):
                        create_accounts_for(house, TENANT, PROFILE)
                        break
                time.sleep(0.2)
        go_live(house, TENANT)
    finally:
        house.close()
    return stage


def _watch(stage: Stage, seconds: float, kills: int, seed: int) -> dict[str, Any]:
    """Wait until the auditor is content and nothing is in motion, or the patience ends."""
    rng = random.Random(seed)
    moments = sorted(rng.uniform(1.0, seconds + 2.0) for _ in range(kills))
    started = time.monotonic()
    content_since: float | None = None
    last_said = 0.0
    report: dict[str, Any] = {}
    while True:
        elapsed = time.monotonic() - started
        while moments and elapsed >= moments[0]:
            say(f"  {elapsed:5.1f} s  kill -9 of the connector")
            stage.kill()
            stage.kills.append(moments.pop(0))
        state = stage.state()
        idle = state.get("ready") and state["waiting"] == 0 and state["running"] == 0
        idle = idle and not state["letters"].get("promised") and not state["letters"].get("sending")
        if elapsed - last_said > 5:
            last_said = elapsed
            say(f"  {elapsed:5.1f} s  {state.get('waiting', '?')} orders wait, {state.get('running', '?')} run")
        if elapsed > seconds and not moments and (idle or elapsed > _DEADLINE):
            report = audited(stage)
            if report["ok"] and idle:
                content_since = content_since or time.monotonic()
                # Late commits and repeated webhooks may still come: look again after they can come no more.
                if time.monotonic() - content_since >= 2.0:
                    return report
            else:
                content_since = None
            if elapsed > _DEADLINE:
                return report
        time.sleep(0.5)


def _promise(stage: Stage, report: dict[str, Any]) -> None:
    """Without webhooks: none came, and every order was in the books in time."""
    report["webhooks"] = stage.control("shopify", "stats")["deliveries"].get("delivered", 0)
    late = report["latency_p99_s"] is not None and report["latency_p99_s"] >= _PROMISED
    if late or report["webhooks"]:
        report["findings"].append(f"99 % within {report['latency_p99_s']} s, by {report['webhooks']} webhooks")
        report["ok"] = False


def audited(stage: Stage) -> dict[str, Any]:
    """The auditor's report on what the shop, sevdesk and the inbox say now, and whom our books ask about."""
    from ladenbuch.simulators.auditor import audit

    truth = stage.control("shopify", "truth")
    rows = truth["orders"] if isinstance(truth, dict) else truth
    books = stage.control("sevdesk", "state")
    messages = stage.control("inbox", "messages")
    messages = messages["messages"] if isinstance(messages, dict) else messages
    uncertain = _uncertain(stage)
    found = audit(rows, books, messages, note_prefix=TENANT, uncertain_letters=uncertain)
    report = found.to_json()
    asked, expected = _attention(stage), report["needs_attention"]
    report["needs_attention"] = asked
    if asked != expected:
        report["findings"].append(f"{asked} orders need a person, {expected} should")
        report["ok"] = False
    report["kills"] = len(stage.kills)
    return report


def _open(stage: Stage) -> Any:
    from ladenbuch.bootstrap import Ladenbuch
    from ladenbuch.settings import Settings

    return Ladenbuch.open(Settings.read(stage.env))


def _attention(stage: Stage) -> int:
    """How many orders our books ask a person about (the one figure the shop's truth cannot give)."""
    import sqlalchemy as sa

    from ladenbuch import books
    from ladenbuch.db import Store

    house = _open(stage)
    try:
        table = books.attention
        count = sa.select(sa.func.count(sa.distinct(table.c.order_id))).where(table.c.tenant == TENANT)
        return int(house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(count).scalar_one()))
    finally:
        house.close()


def _uncertain(stage: Stage) -> list[str]:
    """Names of orders whose letter is listed LETTER-UNCERTAIN."""
    if not stage.state().get("letters", {}).get("uncertain"):
        return []
    import sqlalchemy as sa

    from ladenbuch import books, outbox
    from ladenbuch.db import Store

    house = _open(stage)
    try:
        letters, orders = outbox.letters, books.orders
        names = (
            sa.select(orders.c.name)
            .join(letters, sa.and_(letters.c.tenant == orders.c.tenant, letters.c.order_id == orders.c.order_id))
            .where(letters.c.tenant == TENANT, letters.c.state == "uncertain")
        )
        return list(house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(names).scalars().all()))
    finally:
        house.close()


_SHOWN = (
    ("orders", "orders of the day"),
    ("documented", "documented"),
    ("invoices", "invoices in sevdesk"),
    ("credit_notes", "credit notes"),
    ("payments_booked", "payments booked"),
    ("letters_sent", "letters sent"),
    ("letters_uncertain", "letters uncertain"),
    ("waiting", "waiting for payment or shipment"),
    ("excluded", "excluded, with a reason"),
    ("needs_attention", "need a person"),
    ("duplicates", "duplicates"),
    ("missing", "missing"),
    ("cent_deviation", "cents of deviation"),
    ("latency_p50_s", "seconds from event to booking, median"),
    ("latency_p99_s", "seconds from event to booking, 99 %"),
)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="A shop's day in the books", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, label in _SHOWN:
        value = report.get(name)
        table.add_row(label, "-" if value is None else f"{value:.2f}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    for finding in report["findings"][:10]:
        console.print(f"[red]{finding}[/red]", highlight=False)
    done = report["documented"] + report["waiting"] + report["excluded"] + report["needs_attention"]
    if report["ok"]:
        verdict = f"{done} of {report['orders']} orders accounted for, to the cent, in {report['seconds']} s."
        console.print(f"[bold green]{verdict}[/bold green]", highlight=False)
    else:
        console.print(f"[bold red]{len(report['findings'])} deviations.[/bold red]", highlight=False)
