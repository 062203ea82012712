"""A stage for the contact room: real books, the sevdesk simulator in the same process, a clock that only we move."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2

from ladenbuch import audit, books
from ladenbuch.db import Database, Store
from ladenbuch.domain.document import Party
from ladenbuch.errors import Retryable
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.weather import Fault, Weather
from ladenbuch.vault import KeyRing, Vault, generate_key
from ladenbuch.workflows.contacts import contact_of
from ladenbuch.workflows.context import Context, Timing
from ladenbuch.workflows.run import Run

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADERS = {"authorization": DEFAULT_TOKEN, "content-type": "application/json"}


class Clock:
    """Virtual time. What is due happens before anybody sees the new time."""

    def __init__(self) -> None:
        self._now = START
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lock = threading.RLock()

    def now(self) -> datetime:
        return self._now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._due, (self._now + timedelta(seconds=seconds), next(self._order), action))

    def to(self, instant: datetime) -> None:
        """Time passes up to an instant; never back."""
        with self._lock:
            while self._due and self._due[0][0] <= instant:
                when, _, action = heapq.heappop(self._due)
                self._now = max(self._now, when)
                action()
            self._now = max(self._now, instant)

    def sleep(self, seconds: float) -> None:
        self.to(self._now + timedelta(seconds=seconds))


class Sky(Weather):
    """A weather that several threads may ask, and that a test may overrule for single requests."""

    def __init__(self, profile: str = "calm", seed: int = 0) -> None:
        super().__init__(profile, seed)
        self.fates: list[tuple[str, str, Fault]] = []  # method, end of the path, what happens; each once
        self._one = threading.Lock()

    def decide(self, request: Any) -> Fault:
        with self._one:
            for at, (method, path, fault) in enumerate(self.fates):
                if request.method == method and request.path.endswith(path):
                    del self.fates[at]
                    return fault
            return super().decide(request)


class Counter:
    """The simulator behind a lock; counts requests and refuses what a test wants refused."""

    def __init__(self, simulator: SevdeskSimulator) -> None:
        self.simulator = simulator
        self.asked: list[str] = []
        self.refused: dict[str, int] = {}
        self._lock = threading.Lock()

    def handle(self, request: SimRequest) -> SimResponse:
        with self._lock:
            name = f"{request.method} {request.path.removeprefix('/api/v1')}"
            self.asked.append(name)
            if name in self.refused:
                body = {"objects": None, "error": {"message": "no", "code": None}}
                return SimResponse(self.refused[name], {}, json.dumps(body).encode())
            return self.simulator.handle(request)


@dataclass
class Stage:
    """One tenant's books and sevdesk account. Several threads may `meet` at once."""

    database: Database
    sky: Sky = field(default_factory=Sky)
    tenant: str = "t1"
    switches: dict[str, Any] = field(default_factory=dict)
    transport: Callable[..., SimTransport] = SimTransport

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.sim = SevdeskSimulator(self.clock.now, DEFAULT_TOKEN, 1, **self.switches)
        self.counter = Counter(self.sim)
        route = Route("http://sevdesk.test/", self.counter, self.sky)
        self.http = httpx2.Client(
            transport=self.transport([route], sleep=lambda seconds: None, schedule=self.clock.later), timeout=10.0
        )
        self.sevdesk = Sevdesk(
            "http://sevdesk.test/api/v1",
            lambda: DEFAULT_TOKEN,
            self.http,
            clock=self.clock.now,
            sleep=lambda seconds: None,
        )
        nothing = cast(Any, None)
        self.ctx = Context(
            database=self.database, vault=Vault(KeyRing.parse(generate_key()), self.database), shopify=nothing,
            sevdesk=lambda tenant: self.sevdesk, relays=nothing, clock=self.clock.now, sleep=self.clock.sleep,
            new_id=nothing, chance=lambda: 0.5, executor="main", timing=Timing(),
        )  # fmt: skip
        self._runs = itertools.count(1)

    # -- what the product does

    def run(self, order: str) -> Run:
        """A new run that holds the order."""
        number = next(self._runs)
        run = Run(self.ctx, self.tenant, order, f"main:{number}")
        door = self.ctx.door(self.tenant)
        door.run(Store.BOOKS, lambda tx: books.take_fence(tx, self.tenant, order, number, run.run_id))
        return run

    def once(self, party: Party, order: str = "1", **more: Any) -> str:
        """One run of an order that needs the party's contact."""
        return contact_of(self.run(order), party, **more)

    def meet(self, party: Party, order: str = "1", tries: int = 80, **more: Any) -> str:
        """Runs until it works, each as late as the one before asked for."""
        for _ in range(tries):
            try:
                return self.once(party, order, **more)
            except Retryable as error:
                self.clock.sleep(error.after or 2.0)
        raise AssertionError("it never came to an end")

    # -- what others do and see

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request of a person or of another program, never rained on."""
        path, _, query = path.partition("?")
        pairs = [(part.partition("=")[0], part.partition("=")[2]) for part in query.split("&") if part]
        encoded = b"" if body is None else json.dumps(body).encode()
        response = self.sim.handle(SimRequest(method, f"/api/v1{path}", pairs, HEADERS, encoded))
        assert response.status in (200, 201), response.body
        return json.loads(response.body)["objects"]

    def has(self, *emails: str, address: tuple[str, str, str] | None = None, category: int = 3, **fields: Any) -> str:
        """A contact a person made in sevdesk: fields as sevdesk spells them, mailboxes, (street, zip, city)."""
        made = self.ask("POST", "/Contact", {"category": {"id": category, "objectName": "Category"}, **fields})
        contact = {"contact": {"id": int(made["id"]), "objectName": "Contact"}}
        for email in emails:
            key = {"id": 2, "objectName": "CommunicationWayKey"}
            self.ask("POST", "/CommunicationWay", {**contact, "type": "EMAIL", "value": email, "key": key})
        if address is not None:
            lines: dict[str, Any] = dict(zip(("street", "zip", "city"), address, strict=True))
            place = {
                "country": {"id": 1, "objectName": "StaticCountry"},
                "category": {"id": 47, "objectName": "Category"},
            }
            self.ask("POST", "/ContactAddress", {**contact, **lines, **place})
        return str(made["id"])

    def contacts(self) -> list[dict[str, Any]]:
        """All contacts, oldest first, each with its addresses and mailboxes."""
        state = self.sim.state()
        return [
            {
                **row,
                "addresses": [one for one in state["addresses"] if one["contact"]["id"] == row["id"]],
                "mailboxes": [
                    one["value"]
                    for one in state["communication_ways"]
                    if one["contact"] and one["contact"]["id"] == row["id"]
                ],
            }
            for row in state["contacts"]
        ]

    def requests(self) -> list[str]:
        """What was asked since the last call; look-ups of countries aside."""
        found, self.counter.asked[:] = list(self.counter.asked), []
        return [one for one in found if "StaticCountry" not in one]

    def told(self) -> list[str]:
        """The sentences of the audit log."""
        door = self.ctx.door(self.tenant)
        return [entry.sentence for entry in door.read(Store.BOOKS, lambda tx: list(audit.entries(tx, self.tenant)))]


def numbered(contacts: Iterable[dict[str, Any]]) -> list[str]:
    """Their customer numbers."""
    return [row["customerNumber"] for row in contacts]
