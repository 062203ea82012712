"""A shop's customers through the contact room: many orders, threads, storm, doubles; judged by a list of its own.

    python tests/contact_world.py --orders 10000 --customers 3000      figures and findings as JSON, exit 1 on a finding

Who is one customer is known here because the people are made up here: customers of the shop, guests, guests who are
customers too, buyers without an e-mail, firms with two buyers, and people the merchant kept long before us, some of
them twice. Names and streets are few, so that many are alike. Orders come at once, twice and with changed addresses.

Time is virtual. A thread takes the next event only while no run under way is more than WINDOW seconds older: a slow
machine never looks like a process that stood still.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from builders import PROFILE, T0, agreement, order, sale
from contact_room import START, Sky, Stage
from ladenbuch import audit
from ladenbuch.db import Database, Store
from ladenbuch.domain.document import Party
from ladenbuch.domain.order import Address, Customer, Order
from ladenbuch.domain.party import party_of
from ladenbuch.errors import NeedsAttention, Retryable
from migrated import migrated

WINDOW = timedelta(seconds=5)
SPAN = timedelta(hours=2)
FIRST = ("Jürgen", "Anna", "Zoë", "Łukasz", "Özlem", "Renée", "Marie-Luise", "Sören")
LAST = ("Müller", "Weiß", "Groß", "Öztürk", "d'Angelo", "Schmidt", "Wójcik", "von der Heide")
STREETS = ("Hauptstraße", "Am Mühlbach", "Schloßplatz", "Lindenweg")
TOWNS = (("10115", "Berlin"), ("80331", "München"), ("50667", "Köln"), ("28195", "Bremen"))
#: Share of each kind of customer, in per cent.
KINDS = {"customer": 56, "guest": 20, "mailless": 6, "nobody": 4, "both": 6, "firm": 6, "buyers": 2}


@dataclass
class Person:
    """One debtor. `ids` are its customer records in the shop: a firm may have two, a guest has none."""

    number: int
    kind: str
    first: str
    last: str
    company: str | None
    vat_id: str | None
    email: str | None
    ids: tuple[int, ...]
    homes: list[Address]
    before: str | None = None  # how the merchant knew them: once, twice, supplier
    theirs: list[str] = field(default_factory=list)  # sevdesk's ids of those contacts


@dataclass(frozen=True)
class Bought:
    """One order: whose, and the party its document would print."""

    id: str
    person: Person
    party: Party
    tax_rule: int


class World:
    """People and their orders, from a seed."""

    def __init__(self, orders: int, customers: int, seed: int) -> None:
        self.rng = random.Random(f"contacts/{seed}")
        self.people = [self._person(number) for number in range(customers)]
        self._blank = order(agreement(1, T0, sale(1, 1190, {"19": 190})))
        buyers = [*self.people, *self.rng.choices(self.people, k=orders - customers)]
        self.rng.shuffle(buyers)
        self.orders = [self._order(number, person) for number, person in enumerate(buyers, 5001)]

    def _person(self, number: int) -> Person:
        rng = self.rng
        (kind,) = rng.choices(list(KINDS), list(KINDS.values()))
        firm = kind in ("firm", "buyers")
        ids = {"guest": (), "nobody": (), "buyers": (70_000 + number, 90_000 + number)}.get(kind, (70_000 + number,))
        company = (
            f"{rng.choice(LAST)} & Söhne GmbH" if firm else rng.choice((None, None, None, None, f"Praxis {number}"))
        )
        vat_id = f"FR{10_000_000_000 + number}" if kind == "buyers" or (kind == "firm" and number % 2) else None
        email = None if kind in ("mailless", "nobody") else f"person.{number}@example.org"
        first, last = rng.choice(FIRST), rng.choice(LAST)
        country = "FR" if vat_id else "DE"
        homes = [
            Address(
                first, last, company if kind != "nobody" else None, f"{street} {number}", None, *town, None, country
            )
            for street, town in zip(rng.sample(STREETS, 3), rng.choices(TOWNS, k=3), strict=True)
        ]
        person = Person(number, kind, first, last, company, vat_id, email, ids, homes)
        if email and rng.random() < 0.08:
            person.before = rng.choices(("once", "twice", "supplier"), (80, 12, 8))[0]
        return person

    def _order(self, number: int, person: Person) -> Bought:
        rng = self.rng
        home = person.homes[0] if person.kind == "nobody" or rng.random() < 0.7 else rng.choice(person.homes)
        as_guest = person.kind == "both" and rng.random() < 0.4
        record = None if as_guest or not person.ids else rng.choice(person.ids)
        email = person.email
        if person.kind == "buyers" and record and record > 90_000:
            email = f"einkauf.{person.number}@example.org"
        if email and rng.random() < 0.1:
            email = email.title()
        customer = None if record is None else Customer(f"gid://shopify/Customer/{record}", email=email)
        attributes = (("VAT ID", person.vat_id),) if person.vat_id else ()
        made: Order = replace(
            self._blank,
            id=f"gid://shopify/Order/{number}",
            customer=customer,
            email=email,
            billing_address=home,
            shipping_address=None,
            company=None,
            custom_attributes=attributes,
        )
        party, problems = party_of(made, PROFILE, 1190)
        assert party is not None, problems
        return Bought(str(number), person, party, 3 if person.vat_id else 1)

    def furnish(self, stage: Stage) -> None:
        """What the merchant had in sevdesk before us; mailboxes as the shop spells them, names in other spellings."""
        for person in self.people:
            for copy in range({None: 0, "once": 1, "twice": 2, "supplier": 1}[person.before]):
                spelt = {"Müller": "MUELLER", "Weiß": "Weiss"}.get(person.last, person.last)
                name = {"name": person.company} if person.company else {"surename": person.first, "familyname": spelt}
                if person.kind == "buyers":  # the second buyer has another mailbox: only the VAT id is the firm's
                    name["vatNumber"] = (person.vat_id or "").replace("FR", "fr ")
                emails = [person.email or ""]
                category = 2 if person.before == "supplier" else 3
                number = f"K-{person.number}-{copy}"
                person.theirs.append(stage.has(*emails, category=category, customerNumber=number, **name))
        stage.requests()


class Traffic:
    """Events in order of time, carried out by threads; see WINDOW."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._running: dict[int, datetime] = {}
        self._turn = threading.Condition()
        self.errors: list[BaseException] = []
        self.parallel = 0

    def at(self, instant: datetime, action: Callable[[], None]) -> None:
        with self._turn:
            heapq.heappush(self._events, (instant, next(self._order), action))
            self._turn.notify_all()

    def run(self, threads: int) -> None:
        workers = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, number: int) -> None:
        while True:
            with self._turn:
                while not self._ready():
                    if not self._events and not self._running:
                        self._turn.notify_all()
                        return
                    self._turn.wait(1.0)
                instant, _, action = heapq.heappop(self._events)
                self.stage.clock.to(instant)
                self._running[number] = self.stage.clock.now()
                self.parallel = max(self.parallel, len(self._running))
            try:
                action()
            except BaseException as error:
                self.errors.append(error)
            finally:
                with self._turn:
                    del self._running[number]
                    self._turn.notify_all()

    def _ready(self) -> bool:
        if not self._events:
            return False
        return all(self._events[0][0] <= begun + WINDOW for begun in self._running.values())


def play(
    database: Database, orders: int, customers: int, *, seed: int = 1, threads: int = 8, sky: str = "storm"
) -> Any:
    """Live through it; figures and findings."""
    begun = time.monotonic()
    world = World(orders, customers, seed)
    stage = Stage(database, Sky(sky, seed))
    world.furnish(stage)
    before = {row["id"]: row for row in stage.contacts()}
    traffic = Traffic(stage)
    found: dict[str, set[str]] = defaultdict(set)
    asked: dict[str, NeedsAttention] = {}
    attempts: Counter[str] = Counter()
    told = threading.Lock()

    def settle(bought: Bought, chosen: str | None = None) -> None:
        try:
            contact = stage.once(bought.party, bought.id, tax_rule=bought.tax_rule, chosen=chosen)
        except NeedsAttention as ask:
            with told:
                asked[bought.id] = ask
                attempts["asked"] += 1
            return
        except Retryable as error:
            with told:
                attempts[error.code] += 1
            if error.code != "STALE-RUN":  # a newer run of the same order goes on
                later = stage.clock.now() + timedelta(seconds=error.after or 2.0)
                traffic.at(later, lambda: settle(bought, chosen))
            return
        with told:
            attempts["done"] += 1
            found[bought.id].add(contact)

    seconds = SPAN.total_seconds() * orders / 10_000  # as dense for a slice as for the whole
    for bought in world.orders:
        instant = START + timedelta(seconds=world.rng.uniform(0, seconds))
        if world.rng.random() < 0.3:  # bursts: many in one second
            instant = instant.replace(microsecond=0, second=0)
        traffic.at(instant, lambda bought=bought: settle(bought))  # type: ignore[misc]
        if world.rng.random() < 0.15:
            traffic.at(instant + timedelta(seconds=world.rng.uniform(0, 3)), lambda bought=bought: settle(bought))  # type: ignore[misc]
    traffic.run(threads)
    questions = dict(asked)
    for bought in world.orders:  # the bookkeeper answers: always the older one
        if bought.id in questions:
            traffic.at(stage.clock.now(), lambda bought=bought: settle(bought, questions[bought.id].choices[0]))  # type: ignore[misc]
    traffic.run(threads)
    stage.clock.sleep(3600)  # whatever was still under way has landed
    findings = [f"error: {error!r}" for error in traffic.errors[:5]]
    findings += judge(world, stage, before, found, questions)
    contacts = stage.contacts()
    return {
        "orders": len(world.orders),
        "customers": len(world.people),
        "contacts before": len(before),
        "contacts expected": len(before) + sum(person.before in (None, "supplier") for person in world.people),
        "contacts": len(contacts),
        "doubled customer numbers": len(contacts) - len({row["customerNumber"] for row in contacts}),
        "adopted on one hit": sum(person.before == "once" for person in world.people),
        "asked about": sum(person.before == "twice" for person in world.people),
        "threads": threads,
        "at once, most": traffic.parallel,
        "runs": sum(attempts.values()),
        "runs that had to wait or look again": sum(attempts.values()) - attempts["done"] - attempts["asked"],
        "requests per order": f"{len(stage.counter.asked) / len(world.orders):.2f}",
        "seconds": round(time.monotonic() - begun, 1),
        "findings": findings,
    }


def judge(
    world: World,
    stage: Stage,
    before: dict[str, Any],
    found: dict[str, set[str]],
    questions: dict[str, NeedsAttention],
) -> list[str]:
    """What is not as the list of people says."""
    findings: list[str] = []
    rows = {row["id"]: row for row in stage.contacts()}
    owners: dict[str, set[int]] = defaultdict(set)
    contacts: dict[int, set[str]] = defaultdict(set)
    for bought in world.orders:
        if len(found[bought.id]) != 1:
            findings.append(f"order {bought.id} ended at {len(found[bought.id])} contacts")
        if bought.id in questions and bought.person.before != "twice":
            findings.append(f"order {bought.id} of a {bought.person.kind} was asked about")
        for contact in found[bought.id]:
            owners[contact].add(bought.person.number)
            contacts[bought.person.number].add(contact)
    for person in world.people:
        mine = contacts[person.number]
        if len(mine) != 1:
            findings.append(f"person {person.number} ({person.kind}, {person.before}) has {len(mine)} contacts")
        theirs = person.theirs[:1] if person.before in ("once", "twice") else []
        if theirs and mine != set(theirs):
            findings.append(f"person {person.number} ({person.kind}) stood there and was not adopted")
        if not theirs and mine & set(before):
            findings.append(f"person {person.number} ({person.kind}) got somebody else's contact")
    findings += [f"contact {one} serves {len(whose)} people" for one, whose in owners.items() if len(whose) > 1]
    strangers = set(rows) - set(before) - set(owners)
    findings += [f"contact {one} belongs to nobody" for one in strangers]
    for one, row in rows.items():
        if one in before:
            same = {name: value for name, value in row.items() if name not in ("update", "vatNumber")}
            if same != {name: value for name, value in before[one].items() if name not in ("update", "vatNumber")}:
                findings.append(f"contact {one} of the merchant was changed")
        elif len(row["addresses"]) != 1 or len(row["mailboxes"]) > 1:
            findings.append(f"contact {one}: {len(row['addresses'])} addresses, {len(row['mailboxes'])} mailboxes")
    for person in world.people:
        for one in contacts[person.number] - set(before):
            if bool(rows[one]["mailboxes"]) != bool(person.email):
                findings.append(f"contact {one} has {len(rows[one]['mailboxes'])} mailboxes")
        for one in contacts[person.number]:
            if person.vat_id and (rows[one]["vatNumber"] or "").replace(" ", "").upper() != person.vat_id:
                findings.append(f"contact {one} lacks its VAT id")
    if stage.sim.internal_errors:
        findings.append(f"the simulator failed: {stage.sim.internal_errors[0]}")
    if stage.ctx.door("t1").read(Store.BOOKS, lambda tx: audit.verify(tx, "t1")) is not None:
        findings.append("the audit chain is broken")
    return findings


def open_files(folder: Path) -> Database:
    """Migrated books in SQLite files that need not outlive a power cut."""
    database = Database.open(data_dir=migrated(folder))
    for engine in database._engines.values():
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    database.migrate()
    return database


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--weather", default="storm")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = open_files(Path(folder))
        figures = play(
            database, given.orders, given.customers, seed=given.seed, threads=given.threads, sky=given.weather
        )
        database.close()
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 1 if figures["findings"] or figures["contacts"] != figures["contacts expected"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
