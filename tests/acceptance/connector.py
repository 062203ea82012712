"""The real commands in real processes: simulators, `ladenbuch serve`, and the auditor's verdict, for the journeys."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from acceptance import forked
from ladenbuch.cli.demo import PATIENCE, PROFILE, SHOP, TENANT, Stage, audited
from ladenbuch.cli.simulate import SPAN
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.vault import generate_key

#: Generous: only a machine in real trouble reaches it.
DEADLINE = 120.0


def ladenbuch(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
    deadline: float = DEADLINE,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. Whatever happens, a traceback is a failure."""
    done = forked.run(arguments, env=clean(env or {}), stdin=stdin, cwd=cwd, deadline=deadline)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of ours, and then `env`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADENBUCH_")}
    return kept | {"COLUMNS": "200", "NO_COLOR": "1"} | dict(env)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(what: str, ready: Callable[[], Any], seconds: float = DEADLINE, every: float = 0.1) -> Any:
    """The first true value of `ready`; fails with `what` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds:.0f} s for: {what}"
        time.sleep(every)


class Connector(Stage):
    """A stage whose lives are played in portions. Every portion is another slice of one shop's day."""

    lives: list[Life]
    cast: tuple[Life, ...] = ()

    def start(self) -> None:
        try:
            super().start()
        except SystemExit as ended:
            raise AssertionError(f"{ended}: {self.log()[-2000:]}") from None

    def play(self, orders: int, seconds: float) -> None:
        """Let the next `orders` lives happen within `seconds`; returns at once."""
        portion, self.lives = self.lives[:orders], self.lives[orders:]
        assert len(portion) == orders
        told = json.dumps([dataclasses.asdict(life) for life in portion], default=datetime.isoformat)
        self.control("shopify", "lives", json.loads(told))
        self.control("shopify", "play", {"seconds": seconds})
        self.playing_until = time.monotonic() + seconds + 0.5

    playing_until: float = 0.0

    def idle(self) -> bool:
        """Nothing is under way: everything heard is settled, every promised letter is sent."""
        state = self.state()
        letters = state.get("letters", {})
        busy = state.get("waiting", 1) or state.get("running", 1) or letters.get("promised") or letters.get("sending")
        return bool(state.get("ready")) and not busy and time.monotonic() > self.playing_until

    def audit(self) -> dict[str, Any]:
        """The auditor's report when everything came to rest; the last one when it never does."""
        report: dict[str, Any] = {}

        def fine() -> bool:
            nonlocal report
            if not self.idle():
                return False
            report = audited(self)
            return bool(report["ok"])

        until = time.monotonic() + DEADLINE
        while not fine() and time.monotonic() < until:
            time.sleep(0.3)
        return report

    def run(self, *arguments: str, stdin: str = "", deadline: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """A command beside the running connector, with its settings."""
        return ladenbuch(*arguments, env=self.env, stdin=stdin, deadline=deadline)

    def writes(self) -> int:
        """How many writing requests sevdesk has got so far."""
        calls = self.control("sevdesk", "calls")["by_endpoint"]
        return sum(count for name, count in calls.items() if name.split()[0] in ("POST", "PUT", "DELETE"))

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(encoding="utf-8")

    def ensure_up(self) -> None:
        if self.connector is None or self.connector.poll() is not None:
            self.start()


def raise_curtain(
    folder: Path,
    *,
    orders: int,
    seed: int = 7,
    live: bool = True,
    webhooks: bool = True,
    cut_off: Callable[[list[Life]], datetime] | None = None,
    settings: Mapping[str, str] | None = None,
    faults: str = "calm",
) -> Connector:
    """Simulators running, one tenant added by the command line, the connector not started yet."""
    with (folder / "simulators.log").open("wb") as errors:
        simulators = subprocess.Popen(
            [sys.executable, "-m", "ladenbuch", "simulate", "all", "--orders", "0", "--faults", faults],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=clean({}),
        )
    assert simulators.stdout is not None
    ports = json.loads(simulators.stdout.readline())
    port = free_port()
    env = clean(PATIENCE) | {
        "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{ports['shopify']}/{{shop}}",
        "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{ports['sevdesk']}/api/v1",
        "LADENBUCH_VIES_URL": f"http://127.0.0.1:{ports['vies']}/taxation_customs/vies/rest-api/check-vat-number",
        "LADENBUCH_SMTP_URLS": f"smtp://127.0.0.1:{ports['mail']}",
        "LADENBUCH_MAIL_FROM": "rechnung@seifenladen.example",
        "LADENBUCH_DATA_DIR": str(folder / "data"),
        "LADENBUCH_KEYS": generate_key(),
        "LADENBUCH_PORT": str(port),
        "LADENBUCH_AMBIGUOUS_WAIT_SECONDS": "2",
    }
    stage = Connector(folder, env | dict(settings or {}), simulators, ports, port)
    try:
        stage.lives = generate(seed, orders, shop=SHOP, mix="domestic", end=datetime.now(UTC), span=SPAN)
        stage.cast = tuple(stage.lives)
        add_tenant(stage, cut_off=cut_off(stage.lives) if cut_off else None)
        if live:
            assert stage.run("tenants", "live", TENANT).returncode == 0
        if webhooks:
            stage.control("shopify", "webhooks", {"uri": f"{stage.url}/webhooks"})
    except BaseException:
        stage.close()
        raise
    return stage


def add_tenant(stage: Connector, *, cut_off: datetime | None = None) -> None:
    """`ladenbuch tenants add` with the simulators' secrets on standard input."""
    profile = stage.folder / "profile.json"
    profile.write_text(json.dumps(PROFILE), encoding="utf-8")
    begin = cut_off or datetime.now(UTC) - SPAN - timedelta(days=1)
    secrets = {
        "shopify_client_id": stage.ports["client_id"],
        "shopify_client_secret": "simulated-secret",
        "sevdesk_token": stage.ports["sevdesk_token"],
    }
    done = stage.run(
        *("tenants", "add", "--shop", SHOP, "--profile", str(profile), "--cut-off", begin.isoformat()),
        "--create-accounts",
        stdin=json.dumps(secrets),
    )
    assert done.returncode == 0, done.stderr
