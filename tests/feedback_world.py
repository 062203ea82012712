"""What becomes of many letters, told by providers and bounce messages out of order, twice and in between forgeries; the
shares shown are held against a recount that shares no code with them.

    python feedback_world.py --letters 10000          figures as one JSON object, exit 1 on findings

First the letters of `letters_world` go out past relays that fail; then each one a relay took meets a fate the
providers' stand-in knows, and tells. The recount reads the relays' lists and the fates, nothing of ours.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from ladenbuch import outbox, suppressions
from ladenbuch.db import Store
from ladenbuch.domain.delivery_rate import percent
from ladenbuch.simulators.mail_providers.telling import Letter, Request, Teller
from ladenbuch.telemetry import Metrics
from ladenbuch.web.mail_feedback import Door, create_feedback
from ladenbuch.workflows import deliver, delivering, feedback
from letters_world import World, spread_over, written_short

#: Fates and their shares in ten thousand.
FATES = (
    ("delivered", 9500), ("delayed", 150), ("complained", 20), ("bounced soft", 60), ("bounced refused", 40),
    ("bounced invalid", 200), ("silent", 30),
)  # fmt: skip
_NAMES = [name for name, _ in FATES]
_SHARES = [share for _, share in FATES]


@dataclass(frozen=True)
class Sent:
    """A letter some relay took, as an observer of the relays knows it: its key, who took it, to whom; `answered`: it
    could say so."""

    key: str
    tenant: str
    provider: str
    reference: str
    to: str
    order: str
    answered: bool = True


def fates(sent: Iterable[Sent], seed: int) -> dict[str, str]:
    """What becomes of each letter, by its key; a letter taken twice has one fate."""
    draw = random.Random(f"fates/{seed}")
    return {one.key: draw.choices(_NAMES, _SHARES)[0] for one in sorted(sent, key=lambda one: one.key)}


class Bureau:
    """Where everything is told: the product's routes, and its bounce mailbox."""

    def __init__(self, ctx: Any, teller: Teller) -> None:
        self.ctx, self.teller = ctx, teller
        self.metrics = Metrics()
        self.answers: Counter[str] = Counter()
        self.begun = ctx.clock()
        door = Door(
            keys=teller.keys,
            use=partial(feedback.use, ctx),
            take=partial(feedback.take, ctx),
            fetch=teller.certificate,
            clock=ctx.clock,
            metrics=self.metrics,
        )
        self._web = TestClient(Starlette(routes=create_feedback(door)), raise_server_exceptions=False)

    def tell(self, one: Request) -> int:
        """Post it, or put it into the mailbox; the status (200: taken)."""
        if one.provider == "dsn":
            feedback.take_bounce(self.ctx, one.body)
            status = 200
        else:
            status = self._web.post(f"/mail/feedback/{one.provider}", content=one.body, headers=one.headers).status_code
        self.answers[f"{one.provider} {status}"] += 1
        return status


def tampered(one: Request, draw: random.Random) -> Request:
    """The same with other words under the same signature: another outcome, or another letter."""
    body = one.body
    for before, after in ((b'"delivered"', b'"spamreport"'), (b"delivered", b"complained"), (b"Delivery", b"Bounce")):
        if before in body:
            return Request(one.provider, body.replace(before, after, 1), one.headers)
    digits = [match.start() for match in re.finditer(rb"[0-9a-f]{32}", body)]
    at = draw.choice(digits) if digits else 0
    return Request(
        one.provider, body[:at] + (b"0" if body[at : at + 1] != b"0" else b"1") + body[at + 1 :], one.headers
    )


def told_of(bureau: Bureau, sent: Sequence[Sent], fate: dict[str, str], seed: int, clock: Any) -> dict[str, int]:
    """Tell everything within a day: out of order, a tenth of it twice, of strangers, and forgeries between."""
    draw, counts = random.Random(f"order/{seed}"), Counter[str]()
    waiting = sorted((draw.uniform(0, 86_400), number) for number in range(len(sent)))
    late: list[Request] = []
    for second, number in waiting:
        clock.advance_to(max(clock.now(), bureau.begun + timedelta(seconds=second)))
        one = sent[number]
        letter = Letter(f"id-{number}", one.reference, f"<ladenbuch.{one.reference}@example.org>", one.to)
        requests = list(bureau.teller.of(one.provider, letter, fate[one.key]))
        draw.shuffle(requests)
        for request in requests:
            forge = request.provider not in ("dsn", "postmark") and draw.random() < 0.02
            # Mailgun's signature does not cover its words: it is worth nothing only once it was used.
            counts["told"] += 1
            if forge and request.provider != "mailgun":
                counts["tampered"] += 1
                counts["tampered, taken"] += bureau.tell(tampered(request, draw)) == 200
            counts["refused though genuine"] += bureau.tell(request) != 200
            if forge and request.provider == "mailgun":
                counts["tampered"] += 1
                counts["tampered, taken"] += bureau.tell(tampered(request, draw)) == 200
            if draw.random() < 0.1:
                counts["told again"] += 1
                counts["refused though genuine"] += bureau.tell(request) != 200
            if request.provider not in ("dsn", "postmark") and draw.random() < 0.02:
                late.append(request)
        if draw.random() < 0.01:
            stranger = Letter(f"x-{number}", f"{draw.getrandbits(128):032x}", "<x@elsewhere.example>", "x@example.net")
            for request in bureau.teller.of(one.provider, stranger, "complained"):
                counts["of strangers"] += 1
                bureau.tell(request)
    clock.advance(26 * 3600)
    for request in late:
        counts["replayed late"] += 1
        counts["replayed late, taken"] += bureau.tell(request) == 200
    return dict(counts)


def recount(promised: Iterable[str], sent: Sequence[Sent], fate: dict[str, str]) -> dict[str, Any]:
    """Arrived, of how many, and to invalid addresses: from the relays' lists and the fates."""
    by_key = {one.key: one for one in sent}
    arrived = invalid = unknown = 0
    total = Counter[str]()
    for key in promised:
        end = fate.get(key, "never taken")
        # Mail servers write bounce messages alone; and silence is what they say of a letter that arrived, or was lost.
        by_mail = key in by_key and by_key[key].provider == "dsn"
        there = end in ("delivered", "delayed", "complained") or (end == "silent" and by_mail)
        # It arrived, and neither the server's answer nor anything after it told anybody so.
        untold = there and by_mail and not by_key[key].answered and end != "complained"
        total[end] += 1
        arrived += there and not untold
        unknown += untold
        invalid += end == "bounced invalid"
    number = sum(total.values())

    def share(of: int) -> str:
        return str((Decimal(arrived) / of * 100).quantize(Decimal("0.01"), ROUND_DOWN)) if of else "-"

    shares = {"rate": share(number), "valid": share(number - invalid)}
    counted = {"letters": number, "arrived": arrived, "invalid": invalid}
    return {**counted, **shares, "arrived, and nobody was told": unknown, "fates": dict(total)}


def sent_of(world: World) -> list[Sent]:
    """What relays took, each letter once: SMTP servers answer with bounce messages."""
    rows = world.letters()
    lost = {
        str(got.message["X-Ladenbuch-Letter"]) for server in world.smtp for got in server.messages if not got.answered
    }
    found: dict[str, Sent] = {}
    for one in world.taken:
        provider = "dsn" if one.relay.startswith("smtp") else one.relay.partition(" ")[0]
        row = rows[one.key]
        found.setdefault(
            one.key, Sent(one.key, row.tenant, provider, row.mark, one.to, row.order_id, row.mark not in lost)
        )
    return list(found.values())


def run(folder: Path, letters: int, seed: int = 7, minutes: float = 15.0) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what should not be."""
    world = World(folder, seed, "providers")
    try:
        world.live(minutes * 60 + 1500, spread_over(letters, minutes * 60, seed))
        return tell_and_compare(world, seed)
    finally:
        world.close()


def tell_and_compare(world: World, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Tell of every letter, wait until all are judged, and hold what is shown against the recount."""
    teller = Teller(world.clock.now, seed)
    bureau = Bureau(world.ctx, teller)
    before = Counter(row.state for row in world.letters().values())
    sent = sent_of(world)
    fate = fates(sent, seed)
    counts = told_of(bureau, sent, fate, seed, world.clock)
    world.clock.advance(86_400)
    findings, shops = [], {}
    rows = world.letters()
    for tenant in world.tenants:
        mine = [key for key, row in rows.items() if row.tenant == tenant]
        shown = world.database.tenant(tenant).read(
            Store.BOOKS, lambda tx, t=tenant: delivering.rate_in(tx, t, world.clock.now(), set(teller.keys))  # type: ignore[misc]
        )  # fmt: skip
        ours = {
            "letters": shown.judged,
            "arrived": shown.arrived,
            "invalid": shown.invalid,
            "rate": percent(shown.rate),
            "valid": percent(shown.of_valid),
        }
        theirs = recount(mine, sent, fate)
        shops[tenant] = {"shown": ours, "recounted": {name: theirs[name] for name in ours}}
        findings += [f"{tenant}: {name} is shown as {ours[name]} and recounted as {theirs[name]}"
                     for name in ours if ours[name] != theirs[name]]  # fmt: skip
    spared = _second_letters(world, sent, fate)
    whole = recount(rows, sent, fate)
    never = ("tampered, taken", "replayed late, taken", "refused though genuine")
    findings += [f"{name}: {counts[name]}" for name in never if counts.get(name)]
    findings += spared.pop("findings")
    figures = {
        "letters": len(rows),
        "before": dict(before),
        "after": dict(Counter(row.state for row in rows.values())),
        **counts,
        "answers": dict(sorted(bureau.answers.items())),
        "shops": shops,
        "all shops, recounted": whole,
        **spared,
    }
    return figures, findings


def _second_letters(world: World, sent: Sequence[Sent], fate: dict[str, str], most: int = 300) -> dict[str, Any]:
    """Another letter to addresses of every fate: exactly those who complained or do not exist get none."""
    wanted = [one for one in sent if fate[one.key] != "delivered"][:most] + list(sent[:20])
    again: dict[str, Sent] = {}
    for one in wanted:
        key, order, now = f"{one.key}:again", one.order, world.clock.now()
        seal = world.ctx.seal(one.tenant, "letter", order)
        payload = outbox.Sealed(*seal(key, json.dumps({"to": one.to}).encode()))
        promise = partial(
            outbox.promise, tenant=one.tenant, key=key, kind="invoice", order_id=order, document_id=None,
            sealed_payload=payload, now=now,
        )  # fmt: skip
        world.database.tenant(one.tenant).run(Store.BOOKS, lambda tx, promise=promise: promise(tx))  # type: ignore[misc]
        world.promised[key] = now
        again[key] = one
    with written_short():
        for _ in range(20_000):
            deliver.deliver_all(world.ctx)
            world.clock.advance(30.0)
            rows = world.letters()
            if all(rows[key].state not in ("promised", "sending") for key in again):
                break
    findings = []
    for key, one in again.items():
        spared = fate[one.key] in ("complained", "bounced invalid")
        if (rows[key].state == "suppressed") != spared:
            findings.append(f"{key}: {rows[key].state} after {fate[one.key]}")
    asked = {one.key for one in world.taken}
    findings += [f"{key} was suppressed, and a relay has it" for key in again
                 if rows[key].state == "suppressed" and key in asked]  # fmt: skip
    listed = sum(
        len(world.database.tenant(tenant).read(Store.BOOKS, lambda tx, t=tenant: suppressions.listed(tx, t)))  # type: ignore[misc]
        for tenant in world.tenants
    )
    return {"second letters": len(again), "suppressed": sum(rows[key].state == "suppressed" for key in again),
            "addresses on lists": listed, "findings": findings}  # fmt: skip


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--letters", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--minutes", type=float, default=15.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, findings = run(Path(folder), given.letters, given.seed, given.minutes)
    print(json.dumps({"seed": given.seed, **figures, "findings": findings}))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
