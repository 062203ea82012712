"""A shop that floods and its neighbour: does the neighbour's order take longer while ten thousand events come in?

    python tests/noisy_world.py --events 10000 --rounds 4 --orders 25

Real processes (`serve --role web`, `serve --role worker`) on a real PostgreSQL. Rounds take turns, quiet and flooded.
In each the quiet shop sells an order every `--every` seconds, and its time from the event to the booking in sevdesk is
taken from the simulators. In a flooded round the noisy shop's webhooks come beside them, from a sender of their own as
from Shopify's many machines, for orders that are all still to be posted. What is left of the flood at the end of a
round is taken out of the queue, so that the next one is quiet. Prints figures and `findings` as JSON: B16 asks for a
p99 of at most 1.2 times what it is alone, or half a second more.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import signal
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

import httpx2
import psycopg

from ladenbuch.simulators.auditing.chain import LETTERS, Chains
from ladenbuch.simulators.auditor import CLEARING
from ladenbuch.simulators.lives import Life, generate
from machines_world import Server, World, say, staged
from many_shops import SECRET, SPAN, Shops, domain, now, token

NOISY, QUIET = "t01", "t02"
_WIPE = (
    "UPDATE inbox.order_marks SET settled = wanted, due_at = NULL, oldest_wanted_at = NULL"
    " WHERE tenant = %s AND run_id IS NULL"
)
_BUSY = "SELECT count(*) FROM inbox.order_marks WHERE tenant = %s AND (run_id IS NOT NULL OR wanted > settled)"


def lives(name: str, count: int, seed: int) -> list[Life]:
    return list(generate(seed, count, shop=domain(name), mix="domestic", end=now(), span=SPAN))


def happen(world: World, batch: Sequence[Life]) -> int:
    """All events of these orders, now; how many that were."""
    told = world.control("shopify", "lives", [json.loads(json.dumps(asdict(life), default=_text)) for life in batch])
    world.control("shopify", "advance", {"until": now().isoformat(), "stamp": True})
    return int(told["events"])


def _text(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if hasattr(value, "astimezone") else list(value)


def quantile(values: Sequence[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def measured(world: World, ids: set[str]) -> list[float]:
    """Seconds from trigger to booking of these orders, by what the simulators say."""
    truth = [row for row in world.control("shopify", "truth")["orders"] if row["snapshot"]["id"] in ids]
    states = world.control("sevdesk", "all")["states"]
    chains = Chains(states[token(QUIET)], [], QUIET, CLEARING, (), (), letters=LETTERS)
    chains.run(truth)
    return chains.latencies


def heard(world: World, ids: set[str]) -> list[float]:
    """Seconds from the first event of each of these orders to its first webhook with us."""
    rows = world.ask(
        "SELECT min(received_at - triggered_at) FROM inbox.events WHERE tenant = %s AND order_id = ANY(%s)"
        " GROUP BY order_id",
        QUIET, sorted(ids),
    )  # fmt: skip
    return [float(row[0]) / 1e6 for row in rows]


class Sender(threading.Thread):
    """Posts signed webhooks for these orders one after the other, so many a second, until all are told."""

    def __init__(self, world: World, orders: Sequence[Life], events: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._address = f"http://127.0.0.1:{world.ports['web']}/webhooks"
        self._orders, self._events, self._rate = orders, events, rate
        self.accepted = 0
        self.slowest = 0.0

    def run(self) -> None:
        begun = time.monotonic()
        with httpx2.Client(timeout=30) as client:
            for number in range(self._events):
                time.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
                sent = time.monotonic()
                answer = client.post(self._address, **signed(self._orders[number % len(self._orders)]))
                self.slowest = max(self.slowest, time.monotonic() - sent)
                self.accepted += answer.status_code == 200


def signed(life: Life) -> dict[str, Any]:
    """A webhook as Shopify sends it."""
    number = life.order_id.rpartition("/")[2]
    body = json.dumps({"id": int(number), "admin_graphql_api_id": life.order_id}).encode()
    mac = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    headers = {
        "X-Shopify-Topic": "orders/updated", "X-Shopify-Shop-Domain": domain(NOISY), "X-Shopify-Hmac-Sha256": mac,
        "X-Shopify-Webhook-Id": str(uuid.uuid4()), "X-Shopify-Event-Id": str(uuid.uuid4()),
        "X-Shopify-Triggered-At": now().isoformat(), "X-Shopify-API-Version": "2026-10",
        "Content-Type": "application/json",
    }  # fmt: skip
    return {"content": body, "headers": headers}


def a_round(world: World, orders: Sequence[Life], every: float, flood: Sender | None) -> tuple[set[str], int]:
    """Sell the quiet shop's orders, beside a flood or not; these orders, and the flood's marks left over."""
    if flood is not None:
        flood.start()
    begun = time.monotonic()
    for number, life in enumerate(orders):
        time.sleep(max(0.0, begun + number * every - time.monotonic()))
        happen(world, [life])
    world.wait_for(lambda: world.ask(_BUSY, QUIET)[0][0] == 0, 300, "the quiet shop's orders are not settled")
    left = int(world.ask(_BUSY, NOISY)[0][0])
    if flood is not None:
        flood.join()
    deadline = time.monotonic() + 120
    while world.ask(_BUSY, NOISY)[0][0]:
        with psycopg.connect(world.url, autocommit=True) as tx:
            tx.execute(_WIPE, (NOISY,))
        if time.monotonic() > deadline:
            raise SystemExit("the flood does not end")
        time.sleep(0.3)
    return {life.order_id for life in orders}, left


def run(
    events: int, rounds: int, orders: int, every: float, *, latency: float = 0.05, **settings: str
) -> tuple[dict[str, Any], list[str]]:
    """Take turns; figures and findings."""
    server = Server()
    shops = Shops(tenants=2, orders=0, latency=latency)
    floods = lives(NOISY, 400 * rounds, 1)
    quiet = lives(QUIET, orders * rounds * 2 + 2, 2)
    told, left, slowest, sold = 0, [], 0.0, {"quiet": set[str](), "flooded": set[str]()}
    try:
        with staged(shops, server.database("noisy"), LADENBUCH_POLL_SECONDS="3600", **settings) as world:
            happen(world, floods)  # nobody hears of it yet
            world.start_web()
            world.start_worker()
            world.wait_for(lambda: world.ask("SELECT 1 FROM inbox.executors WHERE role <> 'web'"), 120, "no worker")
            world.control("shopify", "webhooks", {"uri": f"http://127.0.0.1:{world.ports['web']}/webhooks"})
            first, quiet = quiet[:2], quiet[2:]
            a_round(world, first, every, None)  # what is read once and kept is read now
            for number in range(rounds):
                for kind in ("quiet", "flooded") if number % 2 == 0 else ("flooded", "quiet"):
                    mine, quiet = quiet[:orders], quiet[orders:]
                    sender = None
                    if kind == "flooded":
                        batch = floods[number * 400 :][:400]
                        sender = Sender(world, batch, events // rounds, events / rounds / (orders * every))
                    ids, over = a_round(world, mine, every, sender)
                    sold[kind] |= ids
                    if sender is not None:
                        told, slowest, left = told + sender.accepted, max(slowest, sender.slowest), [*left, over]
                    p50, webhooks = quantile(measured(world, ids), 0.5), quantile(heard(world, ids), 0.5)
                    say(f"round {number + 1} {kind}: p50 {p50:.2f} s, of it webhook {webhooks:.2f} s; {over} left over")
            alone, beside = (measured(world, sold[kind]) for kind in ("quiet", "flooded"))
            _, found = world.audit()
    finally:
        server.close()
    bound = max(1.2 * quantile(alone, 0.99), quantile(alone, 0.99) + 0.5)
    findings = [one for one in found if one.startswith(QUIET)]
    if quantile(beside, 0.99) > bound:
        findings.append(f"p99 {quantile(beside, 0.99):.2f} s beside the flood, at most {bound:.2f} s were allowed")
    if told != events // rounds * rounds:
        findings.append(f"{told} of the flood's events were taken")
    if min(left, default=0) == 0:
        findings.append("the flood was over before its round was: nothing was shown")
    figures = {
        "events of the flood": told,
        "slowest answer to one, s": round(slowest, 2),
        "rounds of each kind": rounds,
        "orders measured alone": len(alone),
        "orders measured beside the flood": len(beside),
        "flood's orders still waiting at the end of a round": left,
        "p50 alone, s": round(quantile(alone, 0.5), 2),
        "p50 beside, s": round(quantile(beside, 0.5), 2),
        "p99 alone, s": round(quantile(alone, 0.99), 2),
        "p99 beside, s": round(quantile(beside, 0.99), 2),
        "allowed p99, s": round(bound, 2),
    }
    return figures, findings


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--orders", type=int, default=25)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--sevdesk-rate", default="10")
    given = parser.parse_args()
    settings = {"LADENBUCH_SEVDESK_RATE": given.sevdesk_rate}
    figures, findings = run(given.events, given.rounds, given.orders, given.every, **settings)
    sys.stdout.write(json.dumps({**figures, "findings": findings}) + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
