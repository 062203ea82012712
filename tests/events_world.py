"""Events for other tools on their way to real HTTPS servers, while one server is dead for a while, one fails now and
then, and the process that sends is killed again and again: each event reaches each receiver, signed, in order (S112).

    python events_world.py --events 1000          figures as one JSON object, exit 1 on findings

Names lead to public IP addresses, and those, on the way out, to servers on this machine; what is connected to is noted
there. A fourth receiver's name leads inside: nobody may ever be connected to for it. Time runs faster than on the wall.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import itertools
import json
import os
import random
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ladenbuch import events, tenants
from ladenbuch.bootstrap import Ladenbuch, side_by_side
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.domain import event_words as words
from ladenbuch.domain.receivers import is_public
from ladenbuch.receivers import Receivers
from ladenbuch.settings import Settings
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows import event_delivery as delivery
from ladenbuch.workflows.context import Context
from migrated import migrated
from unit.test_receivers import _authority, _certificate

TENANT = "t1"
#: How many seconds pass in one of the wall's.
SPEED = 20.0
_KEY = "k1:" + "A" * 43 + "="
_PUBLIC = {"fine.example.org": "93.184.215.14", "dies.example.org": "8.8.8.8", "fails.example.org": "2606:4700::1111"}
_TRAP = "inside.example.org"
_INSIDE = (["169.254.169.254"], ["10.0.0.9", "93.184.215.14"], ["::ffff:127.0.0.1"], ["127.0.0.1"])
_PEM = serialization.Encoding.PEM


def opened(folder: Path, kept: dict[str, Any], receivers: Receivers) -> tuple[Ladenbuch, Context]:
    """The connector on these stores, by the world's clock."""

    def clock() -> datetime:
        return datetime.fromtimestamp(kept["begun"] + (time.time() - kept["begun"]) * SPEED, UTC)

    database = Database.open(data_dir=folder)
    settings = Settings.read({"LADENBUCH_KEYS": _KEY})
    house = Ladenbuch(settings, database, Vault(KeyRing.parse(_KEY), database), clock=clock, receivers=receivers)
    return house, replace(house.context, clock=clock, spread=side_by_side, wake=lambda name: None)


# -- the process that sends --------------------------------------------------------------------------------------------


class Detour(httpcore2.SyncBackend):
    """Leads public IP addresses to the servers on this machine, and notes each one that is asked for."""

    def __init__(self, ports: dict[str, int], asked: Path) -> None:
        self._ports, self._asked = ports, asked

    def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> httpcore2.NetworkStream:
        if host not in self._ports:
            self._note(f"{host} private")
            raise httpcore2.ConnectError("nobody may ask for this")
        try:
            line = super().connect_tcp("127.0.0.1", self._ports[host], *args, **more)
        except httpcore2.ConnectError:
            self._note(f"{host} refused")
            raise
        self._note(f"{host} connected")
        return line

    def _note(self, text: str) -> None:
        with self._asked.open("a") as notes:
            notes.write(f"{text}\n")


def deliver(folder: Path) -> None:
    """Send what is due, until somebody kills us."""
    kept = json.loads((folder / "world.json").read_text())
    looks = itertools.cycle(_INSIDE)

    def resolve(host: str, port: int) -> list[str]:
        return next(looks) if host == _TRAP else [_PUBLIC[host]]

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=kept["root"])
    receivers = Receivers(tls=tls, resolve=resolve, backend=Detour(kept["ports"], folder / "asked"))
    _, ctx = opened(folder, kept, receivers)
    while True:
        if not delivery.deliver_events(ctx):
            time.sleep(0.05)


# -- the receivers -----------------------------------------------------------------------------------------------------


@dataclass
class Tool:
    """A receiver: what it took, in its order, and what was wrong with what came."""

    host: str
    folder: Path
    tls: ssl.SSLContext
    fails: float = 0.0
    port: int = 0
    secret: str = ""
    got: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    server: ThreadingHTTPServer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Listen, at the port it had."""
        tool, chance = self, random.Random(self.host)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fate = chance.random() if tool.fails else 1.0
                if fate < tool.fails / 2:
                    tool.troubles["answered 500"] += 1
                    self.send_error(500)
                    return
                tool.took(dict(self.headers.items()), body)
                if fate < tool.fails:
                    tool.troubles["took it and answered 500"] += 1
                    self.send_error(500)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[Any, Any]:
                raw, address = super().get_request()
                return tool.tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, *args: Any) -> None:
                tool.troubles["connections that were cut"] += 1  # the process at the other end was killed

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Nobody answers any more."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def took(self, heads: dict[str, str], body: bytes) -> None:
        head = {name.lower(): value for name, value in heads.items()}
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        text = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
        signed = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        with self.lock:
            if signed not in head["webhook-signature"].split():
                self.wrong.append(f"{self.host}: {head['webhook-id']} is not signed by its secret")
            if head["host"] != self.host:
                self.wrong.append(f"{self.host} was called {head['host']}")
            self.got.append(head["webhook-id"])


# -- the world ---------------------------------------------------------------------------------------------------------


def ident(number: int) -> str:
    return words.webhook_id(TENANT, f"event {number}")


def tell(ctx: Context, number: int) -> None:
    """One event, as settling writes it; every fourth order's story has four."""
    kind, order = list(words.EVENTS)[number % 4], f"gid://shopify/Order/{number // 4}"

    def write(tx: Transaction) -> None:
        data = words.about_order("t1.myshopify.com", order, f"#{number // 4}")
        events.tell(tx, TENANT, ident(number), kind, order, ctx.clock(), lambda at: words.body_of(kind, at, data))

    ctx.door(TENANT).run(Store.BOOKS, write)


def _start(tx: Transaction, now: datetime) -> None:
    tenants.add(tx, id=TENANT, shop="t1.myshopify.com", cut_off=now, now=now)
    tenants.add_profile(tx, TENANT, {"shop_key": TENANT, "gateways": {}}, now, now)


def _tools(folder: Path) -> tuple[list[Tool], str]:
    authority, root = _authority()
    made = []
    for host in _PUBLIC:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(host, key.public_key(), authority, "Test CA")
        raw = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{host}.pem").write_bytes(leaf.public_bytes(_PEM) + raw)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / f"{host}.pem")
        made.append(Tool(host, folder, tls, fails=0.05 if host.startswith("fails") else 0.0))
        made[-1].start()
    return made, root.public_bytes(_PEM).decode()


def live(folder: Path, number: int, spread: float, dead: float, kills: int, most: float) -> dict[str, Any]:
    """Tell the events over `spread` seconds of the wall's. `dead`: for how long one server is, from a fifth of its
    events on, and until somebody noticed; `kills`: how often the sender is killed, evenly over its work; `most`: when
    nobody waits any longer."""
    stores = migrated(folder / "stores")
    tools, root = _tools(folder)
    kept = {"begun": time.time(), "root": root, "ports": {_PUBLIC[one.host]: one.port for one in tools}}
    (stores / "world.json").write_text(json.dumps(kept))
    (stores / "asked").touch()
    house, ctx = opened(stores, kept, Receivers())
    house.database.system("operator").run(Store.BOOKS, partial(_start, now=ctx.clock()))
    for place, one in enumerate(tools):
        raw = secrets.token_bytes(32)
        _, one.secret = delivery.add(ctx, TENANT, f"https://{one.host}/x", (), raw, f"ep{place}", by="t")
    delivery.add(ctx, TENANT, f"https://{_TRAP}/latest/meta-data", (), secrets.token_bytes(32), "trap", by="t")
    program = [sys.executable, __file__, "--deliver", str(stores)]
    child, begun, killed, told, died = subprocess.Popen(program), time.monotonic(), 0, 0, 0.0
    dies = tools[1]
    try:
        while (at := time.monotonic() - begun) < most:
            while told < number and told < number * at / spread:
                tell(ctx, told)
                told += 1
            if not died and len(dies.got) >= number / 5:
                dies.stop()
                died = at
            elif dies.server is None and at >= died + dead and " refused" in (stores / "asked").read_text():
                dies.start()
            if killed < kills and sum(len(one.got) for one in tools) > (killed + 1) * 3 * number / (kills + 1):
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
                killed += 1
                child = subprocess.Popen(program)
            if told == number and all(len(set(one.got)) == number for one in tools):
                time.sleep(1.0)  # what is on its way may still come twice
                break
            time.sleep(0.02)
        seconds = time.monotonic() - begun
    finally:
        child.kill()
        child.wait()
        for one in tools:
            one.stop()
    figures = judge(ctx, stores, tools, number) | {"times the sender was killed": killed, "seconds": f"{seconds:.1f}"}
    figures["findings"] += [f"the sender was killed {killed} times, not {kills}"] if killed != kills else []
    return figures


def judge(ctx: Context, stores: Path, tools: list[Tool], number: int) -> dict[str, Any]:
    """The figures, and what should not be: by what the receivers took and whom anybody connected to."""
    wanted = [ident(one) for one in range(number)]
    findings = [text for one in tools for text in one.wrong]
    figures: dict[str, Any] = {"events": number, "receivers": len(tools)}
    for one in tools:
        first = {id: place for place, id in reversed(list(enumerate(one.got)))}
        lost = [id for id in wanted if id not in first]
        pairs = [pair for place, pair in enumerate(itertools.pairwise(wanted)) if place % 4 != 3]  # of one order
        late = [earlier for earlier, later in pairs if first.get(earlier, 0) > first.get(later, len(one.got))]
        findings += [f"{one.host} never got {id}" for id in lost] + [f"{one.host} got {id} late" for id in late]
        findings += [f"{one.host} got {id}, which nobody told" for id in set(one.got) - set(wanted)]
        figures[f"{one.host} took"] = len(first)
        figures[f"{one.host} took again"] = len(one.got) - len(first)
        figures |= {f"{one.host}, {what}": count for what, count in sorted(one.troubles.items())}
    asked = [line.split() for line in (stores / "asked").read_text().splitlines()]
    private = [ip for ip, what in asked if what == "private" or not is_public(ip)]
    refused = Counter(ip for ip, what in asked if what == "refused")
    findings += [f"{ip} was connected to" for ip in sorted(set(private))]
    findings += [] if refused[_PUBLIC["dies.example.org"]] else ["nobody noticed that a server was dead"]
    which = events.Which(endpoint="trap")
    trapped = ctx.door(TENANT).read(Store.BOOKS, lambda tx: events.found(tx, TENANT, which, number))
    tried = [one for one in trapped if one.attempts]
    findings += [f"{one.event} went inside" for one in trapped if one.state == "delivered"]
    findings += [] if tried else ["nobody tried the name that leads inside"]
    findings += [f"{one.event}: {one.reason}" for one in tried if one.reason and "not public" not in one.reason]
    figures["attempts at the name that leads inside, refused"] = sum(one.attempts for one in tried)
    figures["connections"] = len(asked)
    figures["of them refused by the dead server"] = sum(refused.values())
    figures["of them to an address that is not public"] = len(private)
    return figures | {"findings": findings}


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--deliver", type=Path)
    arguments.add_argument("--events", type=int, default=1000)
    arguments.add_argument("--spread", type=float, default=40.0, help="seconds over which they are told")
    arguments.add_argument("--dead", type=float, default=15.0, help="for how many seconds one server is dead")
    arguments.add_argument("--kills", type=int, default=8)
    arguments.add_argument("--most", type=float, default=480.0)
    given = arguments.parse_args()
    if given.deliver is not None:
        deliver(given.deliver)
    with tempfile.TemporaryDirectory() as folder:
        figures = live(Path(folder), given.events, given.spread, given.dead, given.kills, given.most)
    findings = figures.pop("findings")
    print(json.dumps({**figures, "findings": findings}))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
