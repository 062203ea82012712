"""The whole connector in one thread under virtual time, in fair weather: what happens in the shop becomes paper.

    house = House(folder, start, profile)
    house.live(life, another)          # every event settled as it happens, in order of time
    house.papers(life.order_id)        # what sevdesk then holds for the order, each with the text of its PDF

Everything between is the product as it runs: fetch, plan, carry out, confirm. The world around it is the simulators';
what is read back comes from sevdesk's side alone.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from ladenbuch import books, inbox, outbox, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import go_live, provision
from ladenbuch.db import Database, Store
from ladenbuch.engine.inline import InlineEngine, VirtualClock
from ladenbuch.receivers import Receivers
from ladenbuch.settings import Settings
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.lives import Label, Life
from ladenbuch.simulators.lives.model import Event
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.snapshot import snapshot
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.simulators.vies import PATH as VIES_PATH
from ladenbuch.simulators.vies import ViesSimulator
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN
from migrated import migrated

TENANT = "house"
SHOP = "house.myshopify.com"
_KEY = "k1:" + "A" * 43 + "="
_SECRET = "a-secret-of-nobody"
GATEWAYS = {
    "shopify_payments": {"mode": "clearing+payouts"},
    "klarna": {"mode": "clearing+payouts"},
    "bank_deposit": {"mode": "bank"},
    "cash_on_delivery": {"mode": "off"},
}
PROFILE = {"shop_key": "s1", "gateways": GATEWAYS, "letters": False}
#: How long an event may take until everything it asks for is done.
_PATIENCE = timedelta(minutes=30)
#: Ticks that fire when they are woken, and never by themselves.
_ASLEEP = ("dispatch", "deliver", "digest", "poll", "sweep", "checkup", "backfill", "silence", "clock", "reconcile",
           "events", "write_back", "payouts")  # fmt: skip


@dataclass(frozen=True)
class Paper:
    """A document in sevdesk: its state as an auditor reads it, and the lines of its PDF."""

    state: Mapping[str, Any]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class House:
    """One shop, one sevdesk account, one connector. `switches` are the simulated account's, `env` more settings.

    `url` names a migrated database on PostgreSQL; without it the stores are files in `folder`. `receivers` is made with
    the house's clock, and hears its events.
    """

    def __init__(
        self,
        folder: Path,
        start: datetime,
        profile: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        url: str | None = None,
        receivers: Callable[[Callable[[], datetime]], Receivers] | None = None,
        **switches: object,
    ) -> None:
        self.clock = VirtualClock(start)
        self.receivers = None if receivers is None else receivers(self.clock.now)
        self.skew = timedelta(0)  # how far the connector's clock is ahead of the world's
        shop = Shop(SHOP, plan="plus", client_id=TENANT)
        self.shopify = ShopifySimulator(self.clock.now, client_secret=_SECRET, shops=[shop])
        self.sevdesk = SevdeskSimulator(self.clock.now, DEFAULT_TOKEN, **switches)
        self.vies = ViesSimulator(self.clock.now)
        self.engine = InlineEngine(self.clock)
        self.door = Door(self.sevdesk)
        routes = [
            Route("http://shopify.test/", self.shopify),
            Route("http://sevdesk.test/", self.door),
            Route("http://vies.test/", self.vies),
        ]
        settings = Settings.read(
            {
                "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
                "LADENBUCH_SEVDESK_URL": "http://sevdesk.test/api/v1",
                "LADENBUCH_VIES_URL": f"http://vies.test{VIES_PATH}",
                "LADENBUCH_KEYS": _KEY,
                "LADENBUCH_SEVDESK_RATE": "1000",
                "LADENBUCH_CLIENT_TIMEOUT_SECONDS": "10",
                "LADENBUCH_AMBIGUOUS_WAIT_SECONDS": "2",
                **(env or {}),
            }
        )
        if url is not None:
            self.database = Database.open(url=url)
        else:
            self.database = Database.open(data_dir=migrated(folder))
            for engine in self.database._engines.values():
                sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
            self.database.migrate()
        self._settings, self._routes = settings, routes
        self._ids = (f"{number:x}" for number in itertools.count(1))
        self._open()
        secrets = {CLIENT_ID: TENANT, CLIENT_SECRET: _SECRET, SEVDESK_TOKEN: DEFAULT_TOKEN}
        told = {**PROFILE, **(profile or {})}
        provision(self.ladenbuch, SHOP, TENANT, told, start - timedelta(days=1), secrets, create_accounts=True)
        go_live(self.ladenbuch, TENANT)
        self.ladenbuch.work(self.engine)
        self.engine.drain()

    def _open(self) -> None:
        transport = SimTransport(self._routes, sleep=self.clock.sleep, schedule=self._later)
        self.ladenbuch = Ladenbuch(
            self._settings,
            self.database,
            Vault(KeyRing.parse(_KEY), self.database),
            httpx2.Client(transport=transport, timeout=10.0),
            clock=lambda: self.clock.now() + self.skew,
            count=lambda: self.clock.now().timestamp(),
            sleep=self.clock.sleep,
            new_id=lambda: next(self._ids),
            chance=lambda: 0.5,
            ticks=dict.fromkeys(_ASLEEP, 1e9),  # only what a test wants happens
            receivers=self.receivers,
        )

    def restart(self) -> None:
        """The process died: the next one begins on the same stores. What is on its way to sevdesk still arrives."""
        timers, self.engine = self.engine._timers, InlineEngine(self.clock)
        self.engine._timers = timers
        self._open()
        self.ladenbuch.work(self.engine)

    def _later(self, seconds: float, fn: Callable[[], None]) -> None:
        self.engine.at(self.clock.now() + timedelta(seconds=seconds), fn)

    @property
    def client(self) -> Sevdesk:
        """The connector's own client of sevdesk."""
        return self.ladenbuch.sevdesk(TENANT)

    def close(self) -> None:
        self.database.close()

    # -- what happens ---------------------------------------------------------------------------------------------

    def live(self, *lives: Life) -> None:
        """Let everything happen in order of time, and settle each order as often as something happens to it."""
        self.shopify.load(lives)
        for at, order_id in sorted({(event.at, life.order_id) for life in lives for event in life.events}):
            self.clock.advance_to(at)
            self.shopify.advance(self.clock.now())
            self.settle(order_id)

    def lived(self, script: Callable[[ShopOrder], object], number: int = 1001) -> str:
        """One order as `script` tells it, beginning in five minutes; returns its id."""
        told = life(number, self.clock.now() + timedelta(minutes=5), script)
        self.live(told)
        return told.order_id

    def settle(self, order_id: str) -> None:
        """The order is wanted, as a webhook or the poll would say; comes back when nothing is due any more."""
        now = self.clock.now()
        self.database.tenant(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, order_id, now))
        until = now + _PATIENCE
        while True:
            self.engine.wake("dispatch")
            self.engine.drain()
            due = self.database.system("health").read(Store.INBOX, inbox.next_due)
            if due is None or due > until:
                return
            self.clock.advance_to(due)

    def settle_due(self) -> None:
        """What fell due by itself until now is done."""
        self.engine.wake("dispatch")
        self.engine.drain()

    def go(self) -> None:
        """A person lifts the stop of writing; what it held back is due again."""
        self.database.system("operator").run(Store.BOOKS, lambda tx: tenants.go(tx, TENANT))
        now = self.clock.now()
        self.database.system("operator").run(Store.INBOX, lambda tx: inbox.resume(tx, TENANT, "STOPPED", now))

    def verdict(self, order_id: str) -> tuple[str, str | None]:
        """What the connector last said about an order, and its code."""
        rows = books.orders
        asked = sa.select(rows.c.verdict, rows.c.code).where(rows.c.order_id == order_id)
        found = self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(asked).one_or_none())
        return ("never settled", None) if found is None else (found.verdict, found.code)

    def questions(self, order_id: str) -> list[str]:
        """The codes of the questions that are open about an order."""
        rows = books.attention
        asked = sa.select(rows.c.code).where(rows.c.order_id == order_id).order_by(rows.c.code)
        return list(self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(asked).scalars().all()))

    def ledger(self, order_id: str) -> list[tuple[str, str | None]]:
        """State and number of each document in our own books, in the order of their keys."""
        rows = books.documents
        asked = sa.select(rows.c.state, rows.c.number).where(rows.c.order_id == order_id).order_by(rows.c.key)
        found = self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(asked).all())
        return [(row.state, row.number) for row in found]

    def promised(self) -> int:
        """How many letters were promised."""
        rows = outbox.letters
        asked = sa.select(sa.func.count()).select_from(rows)
        return int(self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(asked).scalar_one()))

    # -- what sevdesk holds then ----------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request to sevdesk as a person with the token would send it; the `objects` of the answer."""
        path, _, query = path.partition("?")
        pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]
        headers = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.sevdesk.handle(SimRequest(method, f"/api/v1{path}", pairs, headers, sent))
        assert answer.status in (200, 201), answer.body
        return json.loads(answer.body)["objects"]

    def person(self, action: Mapping[str, Any]) -> dict[str, Any]:
        """What a bookkeeper does in sevdesk's own windows, as its control API takes it."""
        request = SimRequest("POST", "/_control/human", [], {}, json.dumps(dict(action)).encode())
        answer = self.sevdesk.handle(request)
        assert answer.status == 200, answer.body
        done: dict[str, Any] = json.loads(answer.body)
        return done

    def state(self, kind: str) -> list[dict[str, Any]]:
        """invoices, credit_notes, transactions, contacts: as an auditor reads them."""
        found: list[dict[str, Any]] = self.sevdesk.state()[kind]
        return found

    def invoices(self, kind: str = "RE") -> list[dict[str, Any]]:
        """The invoices (RE) or cancellations (SR), oldest first."""
        return [row for row in self.state("invoices") if row["type"] == kind]

    def papers(self, order_id: str) -> list[Paper]:
        """Every document that names the order in its reference, in the order in which they were written."""
        number = order_id.rsplit("/", 1)[-1]
        rows = [*self.state("invoices"), *self.state("credit_notes")]
        mine = [row for row in rows if re.search(rf":{number}(?!\d)", row["note"] or "")]
        return [Paper(row, self.printed(row["kind"], row["id"])) for row in sorted(mine, key=lambda row: row["id"])]

    def printed(self, kind: str, identifier: int) -> tuple[str, ...]:
        """The lines of a document's PDF."""
        answer = self.ask("GET", f"/{kind}/{identifier}/getPdf?download=true&preventSendBy=true")
        return text_of(base64.b64decode(answer["content"]))


Answer = Callable[[SimRequest], SimResponse]


class Door:
    """Between the connector and sevdesk: what passed, and what a test wants to happen on the way.

    `once("POST", "/sendBy", fn)` hands the next such request to `fn(request, go)`, `always` every one. `go(request)`
    lets it through; what `fn` returns is the answer, what it raises the transport's failure.
    """

    def __init__(self, sevdesk: SevdeskSimulator) -> None:
        self._sevdesk = sevdesk
        self._planned: list[tuple[str, str, Callable[[SimRequest, Answer], SimResponse], bool]] = []
        self.passed: list[SimRequest] = []

    def once(self, method: str, part: str, fn: Callable[[SimRequest, Answer], SimResponse]) -> None:
        self._planned.append((method, part, fn, True))

    def always(self, method: str, part: str, fn: Callable[[SimRequest, Answer], SimResponse]) -> None:
        self._planned.append((method, part, fn, False))

    def handle(self, request: SimRequest) -> SimResponse:
        self.passed.append(request)
        for plan in self._planned:
            method, part, fn, single = plan
            if request.method == method and part in request.path:
                if single:
                    self._planned.remove(plan)
                return fn(request, self._sevdesk.handle)
        return self._sevdesk.handle(request)

    def bodies(self, method: str, part: str) -> list[dict[str, Any]]:
        """The bodies of the requests that passed, oldest first."""
        mine = (one for one in self.passed if one.method == method and part in one.path)
        return [json.loads(one.body) for one in mine]


def lost(request: SimRequest, go: Answer) -> SimResponse:
    """It was done, and nobody heard of it."""
    go(request)
    raise httpx2.RemoteProtocolError("simulated: connection cut after the commit")


def refused(status: int, message: str, code: int | None = None) -> Callable[[SimRequest, Answer], SimResponse]:
    """Not done: an error in sevdesk's envelope."""
    error = {"message": message, "code": code, "data": [], "responseCode": status}
    body = json.dumps({"objects": None, "error": error}).encode()
    return lambda request, go: SimResponse(status, {"content-type": "application/json"}, body)


def text_of(pdf: bytes) -> tuple[str, ...]:
    """The lines of an uncompressed PDF: its shown strings, through its font's map of codes."""
    assert pdf.startswith(b"%PDF")
    own = dict(re.findall(rb"^<([0-9a-f]{2})> <([0-9a-f]{4,8})>$", pdf, re.MULTILINE))
    letters = {int(code, 16): bytes.fromhex(char.decode()).decode("utf-16-be") for code, char in own.items()}
    found = []
    for shown in re.findall(rb"^\((.*)\) Tj T\*$", pdf, re.MULTILINE):
        raw = re.sub(rb"\\(.)", rb"\1", shown)
        found.append("".join(letters.get(code) or bytes([code]).decode("cp1252") for code in raw))
    return tuple(found)


def life(number: int, start: datetime, script: Callable[[ShopOrder], object]) -> Life:
    """One order's life as `script` tells it; everything it does not say is Shopify's usual. `start`: aware UTC."""
    order = ShopOrder(random.Random(number), 5_100_000_000_000 + number * 4096, number, int(start.timestamp()), 1.0)
    order.snapshot = snapshot
    script(order)
    events = tuple(
        Event(datetime.fromtimestamp(one.second, start.tzinfo), one.topics, one.snapshot) for one in order.events
    )
    label = Label("told by hand", "", None, None, {}, 0, 0)
    return Life(f"gid://shopify/Order/{order.id}", f"#{number}", SHOP, events, label)


def person(first: str, last: str, number: int | None = 70_001, locale: str = "de") -> dict[str, Any] | None:
    """A customer record; None for a guest (`number` None)."""
    if number is None:
        return None
    mail = f"customer.{number}@example.org"
    return {
        "id": f"gid://shopify/Customer/{number}",
        "legacyResourceId": str(number),
        "displayName": f"{first} {last}".strip(),
        "firstName": first or None,
        "lastName": last or None,
        "locale": locale,
        "taxExempt": False,
        "taxExemptions": [],
        "email": mail,
        "defaultEmailAddress": {"emailAddress": mail},
        "taxSettings": {"taxId": None},
    }


def home(first: str | None, last: str | None, street: str, code: str, city: str, country: str = "DE",
         company: str | None = None) -> dict[str, Any]:  # fmt: skip
    """A MailingAddress."""
    return {
        "firstName": first,
        "lastName": last,
        "name": " ".join(part for part in (first, last) if part) or company,
        "company": company,
        "address1": street,
        "address2": None,
        "zip": code,
        "city": city,
        "province": None,
        "provinceCode": None,
        "countryCodeV2": country,
        "phone": None,
    }


__all__: Sequence[str] = (
    "PROFILE", "SHOP", "TENANT", "Door", "House", "Paper", "home", "life", "lost", "person", "refused", "text_of",
)  # fmt: skip
