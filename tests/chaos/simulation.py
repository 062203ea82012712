"""Ring 1: a shop's hours in one thread under virtual time, with weather, crashes and an independent auditor.

Everything that is chance comes from one seed: the lives of the orders, the weather of every call, what befalls the
process. The same seed replays the same history. What can happen at a transaction or call boundary:

    death      the process is dropped, before or after the step took effect; a new one starts on the same stores, and
               nothing the dead one still wanted to do happens
    stall      one run stands still for minutes while everything else goes on: others take its order over, and then it
               wakes up and goes on with what it knew
    pause      the whole process stands still (a suspended machine), while shop and sevdesk go on
    outage     the database is restarted: transactions fail before they begin, or their commit's answer is lost
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from ladenbuch import inbox, outbox
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import go_live, provision
from ladenbuch.db import Database, Store
from ladenbuch.engine.inline import InlineEngine, VirtualClock
from ladenbuch.errors import Ambiguous, LadenbuchError, Retryable
from ladenbuch.mail.transport import Accepted, Refused, TryLater, Uncertain
from ladenbuch.settings import Settings
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.shopify.reading import Fetched
from ladenbuch.shopify.webhooks import Event, verify
from ladenbuch.simulators.auditor import AuditReport, audit
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.simulators.mail import MailSimulator
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.simulators.vies import PATH as VIES_PATH
from ladenbuch.simulators.vies import ViesSimulator
from ladenbuch.simulators.weather import Weather
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN
from migrated import migrated
from relay import Always

SHOP = "chaos.myshopify.com"
START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
#: A morning, a month that ends in Berlin while orders come in, a year that does.
STARTS = (START, datetime(2026, 11, 30, 22, 54, tzinfo=UTC), datetime(2026, 12, 31, 22, 54, tzinfo=UTC))
SECRET = "chaos-secret"
KEY = "k1:" + "A" * 43 + "="
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


#: How often what is no death befalls the process, at each boundary where it can.
OTHERS = {"stall": 0.0015, "pause": 0.0002, "outage": 0.0004}
#: Seconds a stalled run stands still: longer than a claim lives, so that another run takes its order over.
STALL = 55.0
#: Seconds a claim lives here: less than in production, so that a history of minutes has many overtaken runs.
CLAIM = 30.0
#: Seconds a suspended machine is away.
PAUSE = 90.0


class Crash(BaseException):
    """The process is dead. Not an Exception: nobody may survive it by catching too much."""


@dataclass
class Death:
    """What befalls the process at its boundaries: `rate` of deaths and `others` (stall, pause, outage); the counts.

    `stall` and `pause` are what the simulation does about it.
    """

    rng: random.Random
    rate: float
    others: Mapping[str, float] = field(default_factory=dict)
    count: int = 0
    dead: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    stall: Callable[[], None] = lambda: None
    pause: Callable[[], None] = lambda: None
    standing: bool = False  # a run stands still: nothing else befalls the process, or the run would hardly wake up

    def maybe(self) -> None:
        if self.dead or (self.rate and not self.standing and self.rng.random() < self.rate):
            if not self.dead:
                self.count += 1
            self.dead = True
            raise Crash

    def befalls(self, what: str) -> bool:
        """Whether `what` happens now."""
        rate = self.others.get(what, 0.0)
        if not (self.rate and rate) or self.standing or self.dead or self.rng.random() >= rate:
            return False
        self.happened[what] += 1
        return True

    def stand_still(self) -> None:
        """Between two steps of a run: it, or the whole process, may stand still."""
        for what, happen in (("stall", self.stall), ("pause", self.pause)):
            if self.befalls(what):
                self.standing = True
                try:
                    happen()
                finally:
                    self.standing = False


class MortalDatabase(Database):
    """Stores whose user may die before a transaction or right after its commit, and that are restarted now and then."""

    death: Death

    def _transact(self, store: Store, local: Any, fn: Any, *, read: bool = False) -> Any:
        result = super()._transact(store, local, fn, read=read)
        if not read:
            self.death.stand_still()
        return result

    def _once(self, store: Store, local: Any, fn: Any, read: bool) -> Any:
        self.death.maybe()
        if self.death.befalls("outage"):
            raise Retryable("DB-DOWN", "simulated: the database restarts")
        result = super()._once(store, local, fn, read)
        if not read:
            self.death.maybe()
            if self.death.befalls("outage"):
                raise Ambiguous("DB-COMMIT", "simulated: the connection died during the commit")
        return result


class MortalTransport(SimTransport):
    """Calls whose caller may die before they leave or before their answer is read."""

    death: Death

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.death.maybe()
        response = super().handle_request(request)
        self.death.maybe()
        if request.url.host == "sevdesk.test":
            self.death.stand_still()
        return response


@dataclass
class SocketlessRelays(Always):
    """The mail simulator without a socket; the outcomes are those of a real conversation.

    Writing every letter out and reading it again would be a twentieth of all the time: every fourth seed does so.
    """

    mail: MailSimulator
    death: Death
    written: bool = True

    def send(
        self, message: Any, envelope_from: str, envelope_to: str, before_data: Callable[[], None], first: Any = None
    ) -> Any:
        before_data()
        self.death.maybe()
        fate = self.mail.deliver(envelope_from, [envelope_to], message.as_bytes() if self.written else message)
        self.death.maybe()
        return {
            "accepted": Accepted("sim", "250 ok"),
            "refused": TryLater("451 later"),
            "cut_before": Uncertain("connection lost"),
            "cut_after": Uncertain("connection lost"),
        }[fate]


class QuickAdmin:
    """The tenant's Admin client, except that an order's body is taken from the simulator's snapshot.

    The call itself still goes over the wire (token, weather, cost, deaths) as a look at `updatedAt`; executing the
    large document for every look would be a quarter of all the time. Every fourth seed reads orders the long way.
    """

    def __init__(self, admin: Any, snapshots: dict[str, Any], known: dict[int, Any]) -> None:
        self._admin, self._snapshots, self._known = admin, snapshots, known
        self.updated_at, self.orders_updated = admin.updated_at, admin.orders_updated
        self.in_shop_time, self.answered_by, self.version = admin.in_shop_time, admin.answered_by, admin.version
        self.execute, self.installation = admin.execute, admin.installation

    def fetch_order(self, gid: str) -> Fetched:
        if self._admin.updated_at(gid) is None:
            return Fetched(None, {}, "NOT-FOUND")
        snapshot = self._snapshots[gid]
        if id(snapshot) not in self._known:
            self._known[id(snapshot)] = (order_from_envelope({"order": snapshot}), snapshot)
        return Fetched(self._known[id(snapshot)][0], {"order": {"id": gid}}, None)


class QuickHouse(Ladenbuch):
    """A house whose Shopify clients are quick."""

    snapshots: dict[str, Any]
    known: dict[int, Any]

    def shopify(self, tenant: str) -> Any:
        return QuickAdmin(super().shopify(tenant), self.snapshots, self.known)


@dataclass
class Simulation:
    """One seeded history. `run` it, then look at `report`."""

    seed: int
    orders: int = 100
    faults: str | None = None  # None: by the seed, half of them storms
    crash_rate: float = 0.0006
    begins: datetime | None = None  # None: by the seed
    others: Mapping[str, float] | None = None  # None: by the seed, every other one
    mix: str | None = None  # None: by the seed, one in five with every situation there is
    span: timedelta = timedelta(minutes=10)
    retry_scale: float = 1.0  # of Shopify's webhook retries, which otherwise take hours
    folder: Path | None = None
    sabotage: Callable[[Simulation], None] = lambda simulation: None
    report: AuditReport | None = None
    history: list[str] = field(default_factory=list)
    gateways: dict[str, dict[str, str]] = field(default_factory=lambda: dict(GATEWAYS))
    profile: dict[str, Any] = field(default_factory=dict)  # what of the profile is otherwise

    def run(self) -> AuditReport:
        """Live through the span, wait until nothing moves, audit."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self._build(Path(folder))
            try:
                self.sabotage(self)
                self._live()
                idle = self._idle()
                self.report = self._audit()
                if not idle:
                    self.report.findings.append("orders are still wanted, or held, hours after the last event")
            finally:
                self.database.close()
        return self.report

    def lives(self) -> list[Life]:
        """What happens to the orders."""
        return generate(self.seed, self.orders, shop=SHOP, mix=self.world, end=self.start + self.span, span=self.span)

    @property
    def start(self) -> datetime:
        """When the history begins."""
        return self.begins or STARTS[self.seed % len(STARTS)]

    @property
    def world(self) -> str:
        """The mix of lives."""
        return self.mix or ("wide" if self.seed % 5 == 4 else "domestic")

    def _build(self, folder: Path) -> None:
        rng = random.Random(f"ladenbuch/{self.seed}")
        self.clock = VirtualClock(self.start)
        others = self.others if self.others is not None else (OTHERS if self.seed % 2 else {})
        self.death = Death(random.Random(rng.random()), 0.0, others, stall=self._stall, pause=self._pause)
        self.known: dict[int, Any] = {}
        self.ids = (f"{number:x}" for number in itertools.count(1))
        self.chance = random.Random(rng.random()).random
        faults = self.faults or ("calm", "storm", "rain", "storm")[self.seed % 4]
        weather = [Weather(faults, rng.randrange(10**9)) for _ in range(4)]
        shop = Shop(SHOP, plan="plus", client_id="chaos")
        self.shopify = ShopifySimulator(
            self.clock.now,
            client_secret=SECRET,
            shops=[shop],
            weather=weather[0],
            seed=self.seed,
            retry_scale=self.retry_scale,
        )
        self.shopify.set_webhooks("https://connector.example/webhooks")
        self.shopify.load(self.lives())
        self.sevdesk = SevdeskSimulator(self.clock.now, DEFAULT_TOKEN, self.seed)
        self.mail = MailSimulator(weather=weather[3], clock=self.clock.now)
        self.routes = [
            Route("http://shopify.test/", self.shopify, weather[1]),
            Route("http://sevdesk.test/", self.sevdesk, weather[2]),
            Route("http://vies.test/", ViesSimulator(self.clock.now)),
        ]
        self.settings = Settings.read(
            {
                "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
                "LADENBUCH_SEVDESK_URL": "http://sevdesk.test/api/v1",
                "LADENBUCH_VIES_URL": f"http://vies.test{VIES_PATH}",
                "LADENBUCH_KEYS": KEY,
                "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "10",
                "LADENBUCH_POLL_SECONDS": "120",
                "LADENBUCH_RECONCILE_SECONDS": "0",
                "LADENBUCH_SEVDESK_RATE": "1000",
                "LADENBUCH_LADDER_SECONDS": "2,10,60",
            }
        )
        self.database = MortalDatabase.open(data_dir=migrated(folder))
        assert isinstance(self.database, MortalDatabase)
        self.database.death = self.death
        for engine in self.database._engines.values():
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.database.migrate()
        self.engine = InlineEngine(self.clock)
        self._open()
        secrets = {CLIENT_ID: "chaos", CLIENT_SECRET: SECRET, SEVDESK_TOKEN: DEFAULT_TOKEN}
        calm, self.routes[1] = self.routes[1], Route("http://sevdesk.test/", self.sevdesk)
        self._open()
        profile = {"shop_key": "c1", "gateways": self.gateways, "oss_from": "2026-01-01", "tips": "taxed"}
        profile["vouchers"] = "multi_purpose"
        profile |= self.profile
        provision(self.house, SHOP, "chaos", profile, self.start - timedelta(days=1), secrets, create_accounts=True)
        go_live(self.house, "chaos")
        self.routes[1] = calm

    def _open(self) -> None:
        """A new process on the same stores."""
        timers = self.engine._timers
        self.engine = InlineEngine(self.clock)
        self.engine._timers = timers
        transport = MortalTransport(self.routes, sleep=self.clock.sleep, schedule=self._schedule)
        transport.death = self.death
        house = QuickHouse if self.seed % 4 else Ladenbuch
        self.house = house(
            self.settings,
            self.database,
            Vault(KeyRing.parse(KEY), self.database, ticks=lambda: 0.0),  # no look-ups by the real clock
            httpx2.Client(transport=transport, timeout=10.0),
            clock=self.clock.now,
            sleep=self.clock.sleep,
            new_id=lambda: next(self.ids),
            chance=self.chance,
            relays=SocketlessRelays(self.mail, self.death, written=self.seed % 4 == 0),  # type: ignore[arg-type]
            ticks={"dispatch": 10.0, "deliver": 30.0, "sweep": 10.0, "silence": 600.0},
        )
        self.house.__dict__["context"] = replace(
            self.house.context, timing=replace(self.house.context.timing, claim_ttl=CLAIM)
        )

        if isinstance(self.house, QuickHouse):
            self.house.snapshots = self.shopify._states[SHOP].orders
            self.house.known = self.known

    def _schedule(self, seconds: float, fn: Callable[[], None]) -> None:
        self.engine.at(self.clock.now() + timedelta(seconds=seconds), fn)

    def _stall(self) -> None:
        """The run this is called from stands still; time and everything else go on."""
        until = self.clock.now() + timedelta(seconds=STALL)
        self.history.append(f"{self.clock.now().isoformat()} stands still")
        while self.clock.now() < until:
            self._turn()

    def _pause(self) -> None:
        """The process is suspended; the others go on."""
        until = self.clock.now() + timedelta(seconds=PAUSE)
        self.history.append(f"{self.clock.now().isoformat()} is suspended")
        timers = self.engine._timers
        while timers and timers[0][0] <= until:
            instant, _, land = heapq.heappop(timers)
            self.clock.advance_to(instant)
            land()
        self.clock.advance_to(until)
        self.shopify.advance(until)

    def _live(self) -> None:
        self.death.rate = self.crash_rate
        self._open()
        launched = False
        quiet_since: datetime | None = None
        deadline = self.start + self.span + timedelta(hours=6)
        while self.clock.now() < deadline:
            try:
                if not launched:
                    self.house.work(self.engine)
                    launched = True
                self._turn()
            except (Crash, Retryable):  # a start while the database restarts ends the process, too
                self.history.append(f"{self.clock.now().isoformat()} died")
                self.death.dead = False
                self._open()
                launched = False
                continue
            if self.clock.now() < self.start + self.span or not self._idle():
                quiet_since = None
                continue
            quiet_since = quiet_since or self.clock.now()
            if self.clock.now() - quiet_since > timedelta(minutes=5):
                return

    def _turn(self) -> None:
        """Let the shop live up to now, hand over webhooks, and let time pass to the next thing that happens."""
        now = self.clock.now()
        self.shopify.advance(now)
        for delivery in self.shopify.due_deliveries(now):
            self._deliver(delivery)
        upcoming = [now + timedelta(seconds=30)]
        for instant in (self.shopify.next_event_at(), self.shopify.next_delivery_at()):
            if instant is not None:
                upcoming.append(max(instant, now + timedelta(milliseconds=1)))
        self.engine.run_until(min(upcoming))

    def _deliver(self, delivery: Any) -> None:
        """The ingest without its sockets and threads: verify, keep, want, answer."""
        status: int | None = None
        headers, body = dict(delivery.headers), delivery.body
        try:
            if verify("POST", headers, body, [SECRET]).genuine:
                event = Event.from_http(headers, body)
                kept = inbox.Delivery(
                    tenant="chaos",
                    webhook_id=event.webhook_id,
                    topic=event.topic,
                    shop=event.shop,
                    received_at=self.clock.now(),
                    body=body,
                    order_id=event.order_id,
                )
                sealed = kept.sealed_by(self.house.vault)

                def keep(tx: Any) -> None:
                    if inbox.record(tx, kept, sealed) and event.order_id:
                        inbox.want(tx, "chaos", event.order_id, self.clock.now())

                self.database.tenant("chaos").run(Store.INBOX, keep)
                status = 200
            else:
                status = 401
        except LadenbuchError:
            status = 503
        finally:
            self.shopify.report(delivery.id, status, self.clock.now())

    def _idle(self) -> bool:
        rate, self.death.rate = self.death.rate, 0.0
        try:
            system = self.database.system("health")
            now = self.clock.now()
            depth = system.read(Store.INBOX, lambda tx: inbox.depth(tx, now))
            letters = system.read(Store.BOOKS, lambda tx: outbox.counts(tx))
        finally:
            self.death.rate = rate
        moving = depth.waiting + depth.running + letters["promised"] + letters["sending"]
        return moving == 0 and not self.shopify.pending() and self.shopify.next_delivery_at() is None

    def _audit(self) -> AuditReport:
        self.death.rate = 0.0
        truth = self.shopify.truth()
        rows = truth["orders"] if isinstance(truth, dict) else truth
        sim = self.mail
        messages = [
            {
                "to": list(item.rcpt_tos),
                "subject": str(item.message["Subject"]),
                "message_id": str(item.message["Message-ID"]),
                "attachments": [part.get_filename() for part in item.message.iter_attachments()],
            }
            for item in sim.messages
        ]
        state, unsure = self.sevdesk.state(), self._uncertain()
        written = {"others": self._by_others(), "foreign": self._nobodys()}
        return audit(rows, state, messages, note_prefix="c1", uncertain_letters=unsure, **written)

    def _by_others(self) -> Mapping[str, str]:
        """Invoices another tool wrote, by their id in sevdesk, and the number of the order each is of."""
        return {}

    def _nobodys(self) -> list[str]:
        """Ids of invoices in sevdesk that are of no order."""
        return []

    def _uncertain(self) -> list[str]:
        from ladenbuch import books

        letters, orders = outbox.letters, books.orders
        same = sa.and_(letters.c.tenant == orders.c.tenant, letters.c.order_id == orders.c.order_id)
        names = sa.select(orders.c.name).join(letters, same).where(letters.c.state == "uncertain")
        return list(self.database.tenant("chaos").read(Store.BOOKS, lambda tx: tx.execute(names).scalars().all()))

    def fingerprint(self) -> str:
        """A hash of everything that happened on the other side: equal for equal seeds."""
        return hashlib.sha256(repr(self.sevdesk.state()).encode() + repr(self.history).encode()).hexdigest()


__all__ = ["Crash", "Refused", "Simulation"]
