"""Letters on their way, under virtual time: many are promised, relays fail in every way they can, and each letter
arrives once or is listed with a reason.

    python letters_world.py --letters 10000 --relays providers|smtp    figures as one JSON object, exit 1 on findings

Relays are the product's: real SMTP on the loopback interface, real requests to the providers' stand-ins. Only the
writing is short: the words are those of an invoice's letter, its PDF is a constant, and no order stands behind it. The
judge is the relays' own lists. `World` is open: `taken` is what relays took, letter by letter.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from ladenbuch import outbox, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.db import Database, Store, Transaction, from_micros
from ladenbuch.engine.inline import VirtualClock
from ladenbuch.mail.letters import Attached, Brand, Letter
from ladenbuch.mail.writing import write
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.mail import Greylist, MailSimulator
from ladenbuch.simulators.mail_providers import Post
from ladenbuch.simulators.weather import MailFault
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows import deliver
from ladenbuch.workflows.composing import Composed
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.dispatch import sweep
from ladenbuch.workflows.doubting import Delivery
from migrated import migrated

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
_KEY = "k1:" + "A" * 43 + "="
_POST = "127.0.0.1:9025"
TICK, SWEEP_EVERY = 0.5, 10.0
_BRAND = Brand("Seifen & Söhne", "rechnung@example.org")
PDF = b"%PDF-1.7\n" + b"x" * 2000


@dataclass(frozen=True)
class Trouble:
    """Shares of letters that meet each trouble at a relay; when the preferred one is dead (seconds)."""

    transient: float = 0.05
    greylisted: float = 0.01
    lost: float = 0.01
    dies_at: float = 120.0
    dead_for: float = 600.0


@dataclass(frozen=True)
class Taken:
    """A letter some relay has: its key, the relay's name, the instant."""

    key: str
    relay: str
    to: str
    at: datetime


class _Fate:
    """What each letter meets at one relay: seeded, and never two troubles at once."""

    def __init__(self, trouble: Trouble, seed: str) -> None:
        self._trouble, self._draw = trouble, random.Random(seed).random
        self.count: Counter[str] = Counter()

    def _meets(self, later: Sequence[Any], lost: Any) -> Any:
        share, which = self._draw(), self._draw()
        met = None
        if share < self._trouble.transient:
            met = later[int(which * len(later))]
        elif share < self._trouble.transient + self._trouble.lost:
            met = lost
        self.count[str(met or "calm")] += 1
        return met

    def decide_mail(self) -> MailFault:
        """For an SMTP server."""
        return MailFault(self._meets(("refuse",), "cut_after") or "none")

    def provider(self) -> Any:
        """For a provider."""
        return self._meets(("busy", "away"), "lost")


class World:
    """`relays`: providers (Mailgun, Postmark, then SMTP) or smtp (two servers, the second in reserve)."""

    def __init__(self, folder: Path, seed: int = 7, relays: str = "providers", trouble: Trouble | None = None) -> None:
        self.trouble = trouble or Trouble()
        self.clock = VirtualClock(START)
        self.random = random.Random(f"letters/{seed}")
        self.promised: dict[str, datetime] = {}
        self.fates: dict[str, _Fate] = {}
        self.post = Post(self.clock.now)
        self.smtp = [self._server(f"smtp/{number}/{seed}") for number in range(1 if relays == "providers" else 2)]
        for one in (self.post.mailgun, self.post.postmark):
            fate = self.fates[one.name] = _Fate(self.trouble, f"{one.name}/{seed}")
            one.weather(fate.provider)
            one._rate, one._seen_after = 25, timedelta(seconds=20)
        (self.post.mailgun if relays == "providers" else self.smtp[0]).down = self._dead
        urls = [f"smtp://127.0.0.1:{one.port}?rate=20" for one in self.smtp]
        if relays == "providers":
            mailgun = f"mailgun://example.org:simulated-key@{_POST}/mailgun?rate=20"
            urls = [mailgun, f"postmark://server:simulated-key@{_POST}/postmark?rate=20", *urls]
        self.house = self._house(folder, urls, seed)
        self.delivery = Delivery(self.ctx)
        self.tenants = [f"t{number}" for number in range(5)]
        for tenant in self.tenants:
            self.database.system("operator").run(Store.BOOKS, partial(_add, tenant))

    def _server(self, seed: str) -> MailSimulator:
        fate = self.fates[seed.rpartition("/")[0]] = _Fate(self.trouble, seed)
        made = MailSimulator(weather=fate, clock=self.clock.now)  # type: ignore[arg-type]
        share = self.trouble.greylisted * 2**32
        made.greylist = Greylist(300, lambda to: int(hashlib.sha256(to.encode()).hexdigest()[:8], 16) < share)
        return made.start()

    def _dead(self, now: datetime) -> bool:
        since = (now - START).total_seconds() - self.trouble.dies_at
        return 0 <= since < self.trouble.dead_for

    def _house(self, folder: Path, urls: list[str], seed: int) -> Ladenbuch:
        settings = Settings.read({"LADENBUCH_KEYS": _KEY, "LADENBUCH_SMTP_URLS": ",".join(urls)})
        self.database = Database.open(data_dir=migrated(folder))
        for engine in self.database._engines.values():
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.database.migrate()
        ids = (f"{number:x}" for number in itertools.count(1))
        return Ladenbuch(
            settings,
            self.database,
            Vault(KeyRing.parse(_KEY), self.database),
            httpx2.Client(transport=SimTransport([Route(f"http://{_POST}/", self.post)])),
            clock=self.clock.now,
            count=lambda: self.clock.now().timestamp(),
            sleep=self.clock.sleep,
            new_id=lambda: next(ids),
            chance=random.Random(f"chance/{seed}").random,
        )

    @property
    def ctx(self) -> Context:
        return self.house.context

    # -- what happens ----------------------------------------------------------------------------------------------

    def promise(self, number: int, kind: str = "invoice") -> str:
        """Promise a letter now; its key."""
        tenant, order = self.tenants[number % len(self.tenants)], f"gid://shopify/Order/{number}"
        key, now = f"mail:{order}:1", self.clock.now()
        seal = self.ctx.seal(tenant, "letter", order)
        payload = outbox.Sealed(*seal(key, json.dumps({"to": f"buyer{number}@example.net"}).encode()))
        self.database.tenant(tenant).run(
            Store.BOOKS,
            lambda tx: outbox.promise(
                tx, tenant, key=key, kind=kind, order_id=order, document_id=None, sealed_payload=payload, now=now
            ),
        )
        self.promised[key] = now
        return key

    def live(self, until: float, letters: Iterable[tuple[float, int]] = ()) -> None:
        """Let the seconds pass from the start until then; `letters` are to be promised (second, number), by second."""
        coming = iter(letters)
        waiting, swept = next(coming, None), 0.0
        with written_short():
            while (second := (self.clock.now() - START).total_seconds()) < until:
                while waiting is not None and waiting[0] <= second:
                    self.promise(waiting[1])
                    waiting = next(coming, None)
                self.delivery()
                if second - swept >= SWEEP_EVERY:
                    swept = second
                    sweep(self.ctx)
                following = self._next_due()
                soonest = min([until, *([waiting[0]] if waiting else []), *([following] if following else [])])
                self.clock.advance(max(TICK, TICK * int((soonest - second) / TICK)))

    def _next_due(self) -> float | None:
        """The second at which a letter is due, or its relay is to be asked."""
        due = sa.select(sa.func.min(outbox.letters.c.due_at)).where(
            outbox.letters.c.state.in_(("promised", "uncertain"))
        )
        found = self.database.system("metrics").read(Store.BOOKS, lambda tx: tx.execute(due).scalar())
        return None if found is None else (from_micros(found) - START).total_seconds()

    # -- what is then ----------------------------------------------------------------------------------------------

    @property
    def taken(self) -> list[Taken]:
        """What relays have, by their own lists."""
        keys = {hashlib.sha256(key.encode()).hexdigest()[:32]: key for key in self.promised}
        found = [
            Taken(keys[one.reference], one.provider, one.to, one.at)
            for provider in self.post.all.values()
            for one in provider.taken
        ]
        for number, server in enumerate(self.smtp):
            for got in server.messages:
                mark = str(got.message["X-Ladenbuch-Letter"])
                found.append(Taken(keys[mark], f"smtp/{number}", got.rcpt_tos[0], got.accepted_at))
        return found

    def letters(self) -> dict[str, Any]:
        """Our own rows, by key."""
        rows = self.database.system("metrics").read(Store.BOOKS, lambda tx: tx.execute(sa.select(outbox.letters)).all())
        return {row.key: row for row in rows}

    def close(self) -> None:
        for server in self.smtp:
            server.stop()
        self.house.close()


@contextmanager
def written_short() -> Iterator[None]:
    """Letters are written without sevdesk and without an order."""
    real, deliver.compose = deliver.compose, _written
    try:
        yield
    finally:
        deliver.compose = real


def _written(ctx: Context, letter: outbox.Letter) -> Composed:
    payload = json.loads(ctx.vault.open(letter.tenant, "letter", letter.id, letter.sealed_payload))
    number = letter.order_id.rpartition("/")[2]
    words = Letter(
        letter.id,
        "invoice",
        payload["to"],
        "Änne Öz",
        "de",
        f"#{number}",
        f"RE-{number}",
        START.date(),
        1190,
        paid=True,
    )
    message = write(words, _BRAND, ctx.clock(), [Attached(f"RE-{number}.pdf", PDF)])
    return Composed(message, "rechnung@example.org", payload["to"], f"invoice RE-{number}")


# -- the proof -----------------------------------------------------------------------------------------------------


def _add(tenant: str, tx: Transaction) -> None:
    tenants.add(tx, id=tenant, shop=f"{tenant}.myshopify.com", cut_off=START, now=START)
    tenants.add_profile(tx, tenant, {"shop_key": tenant, "gateways": {}}, START, START)


def spread_over(letters: int, seconds: float, seed: int) -> Iterator[tuple[float, int]]:
    """So many letters at random seconds, the earliest first."""
    draw = random.Random(f"when/{seed}")
    return iter(sorted((draw.uniform(0, seconds), number) for number in range(1, letters + 1)))


def judge(world: World, within: float = 900.0, least: float = 0.99) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what should not be: by the relays' lists and our rows."""
    taken, rows = world.taken, world.letters()
    times: dict[str, datetime] = {}
    for one in taken:
        times[one.key] = min(one.at, times.get(one.key, one.at))
    twice = [key for key, times_ in Counter(one.key for one in taken).items() if times_ > 1]
    waits = sorted((at - world.promised[key]).total_seconds() for key, at in times.items())
    promised = len(world.promised)
    in_time = sum(wait <= within for wait in waits)
    listed = Counter(
        f"{row.state}: {'; '.join(str(row.reason).split(': ')[:1])}" for row in rows.values() if row.state != "accepted"
    )
    known = sum(rows[key].state == "accepted" for key in times)
    figures = {
        "letters": promised,
        "accepted by a relay within 15 minutes": in_time,
        "share": f"{100 * in_time / promised:.2f} %",
        "accepted by a relay at all": len(times),
        "of these known to us as accepted": known,
        "share known": f"{100 * known / promised:.2f} %",
        "taken twice": len(twice),
        "not accepted, each listed": dict(listed),
        "by relay": dict(Counter(one.relay for one in taken)),
        "median seconds": f"{statistics.median(waits):.1f}" if waits else "-",
        "p95 seconds": f"{waits[int(len(waits) * 0.95)]:.1f}" if waits else "-",
        "longest seconds": f"{waits[-1]:.1f}" if waits else "-",
        "troubles met": {name: dict(fate.count) for name, fate in world.fates.items() if fate.count},
        "asked to come back (greylisting)": sum(one.greylist.asked for one in world.smtp if one.greylist),
    }
    findings = [f"{key} was taken twice" for key in twice[:20]]
    if in_time < least * promised:
        findings.append(f"only {in_time} of {promised} were accepted in time")
    findings += [f"{key}: our row says {rows[key].state}, and no relay has it" for key in rows
                 if rows[key].state == "accepted" and key not in times]  # fmt: skip
    findings += [f"{key} is {row.state} and says no reason" for key, row in rows.items()
                 if row.state not in ("accepted",) and not row.reason]  # fmt: skip
    findings += [f"{key}: a relay has it, and our row says {rows[key].state}" for key in times
                 if rows[key].state in ("promised", "sending", "failed")]  # fmt: skip
    return figures, findings


def run(folder: Path, letters: int, seed: int, relays: str, minutes: float, report: Callable[[str], None]) -> int:
    """One world from its first letter until nothing moves; prints its figures."""
    world = World(folder, seed, relays)
    try:
        world.live(minutes * 60 + 1500, spread_over(letters, minutes * 60, seed))
        figures, findings = judge(world)
    finally:
        world.close()
    report(json.dumps({"relays": relays, "seed": seed, **figures, "findings": findings}))
    return 1 if findings else 0


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--letters", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--relays", choices=("providers", "smtp"), default="providers")
    arguments.add_argument("--minutes", type=float, default=15.0, help="over so many the letters are promised")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), given.letters, given.seed, given.relays, given.minutes, lambda text: print(text))


if __name__ == "__main__":
    sys.exit(main())
