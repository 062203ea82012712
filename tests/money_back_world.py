"""A shop's Vorkasse orders and the transfers that pay them: what the shop and the books say in the end (P1, B13).

    python tests/money_back_world.py                                  # 1,000 transfers, default timing, calm
    python tests/money_back_world.py --transfers 200 --faults storm --crash-rate 0.0004

One thread, virtual time, the connector as it runs. Transfers are of every kind a bank brings: exact in many wordings,
in two parts, a part only, a cent or more too much, a cent too little, for the wrong order, twice, for two orders. What
must follow is written down when a transfer is invented, and held against the shop and sevdesk alone; our own books are
asked only what is open. One JSON object on standard output; exit 1 when something is not as promised.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

import sqlalchemy as sa

from chaos import simulation
from chaos.simulation import SHOP, QuickAdmin, Simulation
from ladenbuch import books
from ladenbuch.db import Store
from ladenbuch.shopify.reading import Fetched
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.lives import Life
from ladenbuch.simulators.lives.model import Event, Label
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import FIRST, LAST, TOWNS, Product
from ladenbuch.simulators.lives.snapshot import snapshot
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN

#: How transfers are, in per mille.
MIX = {"exact": 700, "two parts": 60, "part": 40, "over": 40, "a cent over": 20, "a cent under": 20, "wrong order": 30,
       "unknown order": 20, "twice": 40, "two orders": 30}  # fmt: skip
WORDS = (
    "{n}", "#{n}", "Bestellung {n}", "Bestellnr. {n} {last}", "Best.-Nr:{n}", "{last} {n}", "Nr {n} Danke!",
    "SVWZ+Order #{n} EREF+NOTPROVIDED", "Auftrag {n} vom 2.11.26", "BESTELLUNG NR {n} {first} {last}",
    "{n} Seife {last}",
)  # fmt: skip
#: What is promised: from the bank's line in sevdesk to the shop's word, for nineteen of twenty.
PROMISED = timedelta(minutes=5)
#: The hours of the orders, of the transfers, and of silence after them, in which nothing may be written.
ORDERS, TRANSFERS, QUIET = timedelta(hours=2), timedelta(hours=8), timedelta(hours=6)


@dataclass
class Transfer:
    """A line of the bank, when it comes, and for which orders."""

    at: datetime
    cents: int
    purpose: str
    payer: str
    line: int | None = None


@dataclass
class Story:
    """An order, its transfers, and what must follow: told (the shop says paid), linked lines, the question that is
    open. `moment`: after which of its transfers it is told."""

    life: Life
    number: int
    total: int
    person: tuple[str, str]
    kind: str = "exact"
    transfers: list[Transfer] = field(default_factory=list)
    told: bool = True
    linked: int = 1
    asked: set[str] = field(default_factory=set)
    moment: int = 0
    says: str = "PAID"
    payments: int = 1


class NamedAdmin(QuickAdmin):
    """The quick client, which shows the whole order: matching reads the buyer's name in what was kept of it."""

    def __init__(self, admin: Any, snapshots: dict[str, Any], known: dict[int, Any]) -> None:
        super().__init__(admin, snapshots, known)
        self.shop_settings = admin.shop_settings

    def fetch_order(self, gid: str) -> Fetched:
        found = super().fetch_order(gid)
        return found if found.order is None else Fetched(found.order, {"order": self._snapshots[gid]}, None)


@dataclass
class Transfers(Simulation):
    """A history whose orders are paid by transfer. `plus`: the shop's plan takes parts of what is open."""

    plus: bool = False
    stories: list[Story] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def _build(self, folder: Path) -> None:
        super()._build(folder)
        self.shopify.set_plan(SHOP, "plus" if self.plus else "standard")
        coming = {id(one): one for story in self.stories for one in story.transfers}
        for one in sorted(coming.values(), key=lambda item: item.at):
            self.engine.at(one.at, partial(self._feed, one))

    def lives(self) -> list[Life]:
        rng = random.Random(f"transfers/{self.seed}")
        self.span = ORDERS + TRANSFERS
        self.stories: list[Story] = []
        totals: set[int] = set()
        while len(self.stories) < self.orders:
            story = self._story(rng, len(self.stories))
            if story.total not in totals:  # sevdesk's own matching goes by nothing else, and is another story
                totals.add(story.total)
                self.stories.append(story)
        self._invent(rng)
        return [one.life for one in self.stories]

    def _story(self, rng: random.Random, index: int) -> Story:
        start = self.start + timedelta(seconds=60 + rng.randrange(int(ORDERS.total_seconds()) - 120))
        order = ShopOrder(rng, 6_000_000 + 1000 * index, 10_000 + index, int(start.timestamp()), 1.0)
        order.snapshot = snapshot
        first, last = rng.choice(FIRST), f"{rng.choice(LAST)}-{index:04d}".translate(_LETTERS)
        code, town, region, short = rng.choice(TOWNS)
        home = {
            "firstName": first, "lastName": last, "name": f"{first} {last}", "company": None, "address1": "Hauptstr. 1",
            "address2": None, "zip": code, "city": town, "province": region, "provinceCode": short,
            "countryCodeV2": "DE", "phone": None,
        }  # fmt: skip
        order.billing = order.delivery = home
        order.email = f"b{index}@kunde.example"
        for number in range(rng.randint(1, 3)):
            price, rate = 3 * self.orders * rng.randrange(1, 9) + 3 * index + number, rng.choice((190, 190, 70))
            order.add(Product(f"Ware {number}", f"W{number}", 290 + price, rate, number=number + 1))
        order.ship_by("DHL Paket", 490, (max(line.rates[0] for line in order.lines),))
        order.place()
        order.pay("bank_deposit", status="PENDING")
        order.emit("orders/create", "order_transactions/create")
        event = order.events[-1]
        at = datetime.fromtimestamp(event.second, UTC)
        label = Label("vorkasse", "documented", None, order.claim(), {}, 0, 1)
        life = Life(
            f"gid://shopify/Order/{order.id}",
            f"#{order.number}",
            SHOP,
            (Event(at, event.topics, event.snapshot),),
            label,
        )
        return Story(life, order.number, order.claim(), (first, last))

    def _invent(self, rng: random.Random) -> None:
        """What the bank brings for each order."""
        kinds = [kind for kind, share in MIX.items() for _ in range(share)]
        totals = {one.total for one in self.stories}

        def odd(first: int, end: int, base: int = 0) -> int:
            """An amount beyond `base` that no order owes as a whole."""
            return next(
                base + some for some in iter(lambda: rng.randrange(first, end), None) if base + some not in totals
            )

        begun = self.start + ORDERS
        for index, story in enumerate(self.stories):
            if story.transfers:
                continue  # it shares one
            story.kind = kind = rng.choice(kinds)
            at = begun + timedelta(seconds=rng.randrange(int(TRANSFERS.total_seconds() * 0.7)))
            later = at + timedelta(seconds=rng.randrange(60, int(TRANSFERS.total_seconds() * 0.2)))
            if kind == "exact":
                self._brings(rng, story, at, story.total)
            elif kind == "two parts":
                first = odd(1, story.total)
                self._brings(rng, story, at, first)
                self._brings(rng, story, later, story.total - first)
                story.linked, story.moment, story.payments = 2, 1, 2 if self.plus else 1
            elif kind in ("part", "a cent under"):
                less = 1 if kind == "a cent under" else story.total - odd(1, story.total - 1)
                self._brings(rng, story, at, story.total - less)
                story.told, story.linked = False, 0
                story.says = "PARTIALLY_PAID" if self.plus else "PENDING"
                story.asked = story.asked | (set() if self.plus else {"TRANSFER-PARTIAL"})
            elif kind in ("over", "a cent over"):
                self._brings(rng, story, at, story.total + 1 if kind == "a cent over" else odd(2, 900, story.total))
                story.linked, story.asked = 0, story.asked | {"OVERPAID"}
            elif kind in ("wrong order", "unknown order"):
                wrong = 77_000 + index
                if kind == "wrong order":
                    others = [one for one in self.stories if one.total != story.total and one is not story]
                    named = rng.choice(others)
                    named.asked = named.asked | {"TRANSFER-UNCLEAR"}
                    wrong = named.number
                self._brings(rng, story, at, story.total, f"Bestellung {wrong}")
                story.told, story.linked, story.says = False, 0, "PENDING"
                story.asked = story.asked | {"TRANSFER-UNCLEAR"}
            elif kind == "twice":
                self._brings(rng, story, at, story.total)
                self._brings(rng, story, later, story.total, story.transfers[0].purpose)
                story.asked = story.asked | {"OVERPAID"}
            else:
                other = next((one for one in self.stories[index + 1 :] if not one.transfers), None)
                if other is None:
                    story.kind = "exact"
                    self._brings(rng, story, at, story.total)
                    continue
                self._brings(rng, story, at, story.total + other.total, f"#{story.number} und #{other.number}")
                for one in (story, other):
                    one.kind, one.linked, one.asked = "two orders", 0, one.asked | {"PAYMENT-SPLIT"}
                other.transfers.append(story.transfers[0])

    def _brings(self, rng: random.Random, story: Story, at: datetime, cents: int, purpose: str | None = None) -> None:
        first, last = story.person
        said = rng.choice(WORDS).format(n=story.number, first=first, last=last) if purpose is None else purpose
        payer = rng.choice((f"{last}, {first}", f"{first} {last}".upper(), f"{first} {last}"))
        story.transfers.append(Transfer(at, cents, said, payer))

    # while it happens ------------------------------------------------------------------------------------------------

    def _feed(self, one: Transfer) -> None:
        """The bank's feed brings a line; sevdesk looks for an open invoice by itself."""
        body = {
            "do": "transaction", "account": self.sevdesk.account_id("Bank"), "amount": f"{one.cents / 100:.2f}",
            "purpose": one.purpose, "payee": one.payer, "map": True,
        }  # fmt: skip
        request = SimRequest("POST", "/_control/human", (), {"authorization": DEFAULT_TOKEN}, json.dumps(body).encode())
        one.line = int(json.loads(self.sevdesk.handle(request).body)["id"])

    def _idle(self) -> bool:
        over = self.clock.now() >= self.start + self.span + timedelta(minutes=20)
        return over and super()._idle()

    # what is found ---------------------------------------------------------------------------------------------------

    def _audit(self) -> Any:
        self.death.rate, self.death.others = 0.0, {}
        before = self._writes()
        ending = self.clock.now() + QUIET
        while self.clock.now() < ending:
            self._turn()
        quiet = [after - was for was, after in zip(before, self._writes(), strict=True)]
        if any(quiet):
            self.findings.append(f"{quiet} writes while nothing happened")
        self._judge()
        self.figures["writes to shop and sevdesk in six quiet hours"] = sum(quiet)
        self.figures["times the process was killed"] = self.death.count
        return _Fine()

    def _writes(self) -> tuple[int, int]:
        calls = self.sevdesk.calls()["by_endpoint"]
        payments = sum(len(self._shop(story)["transactions"]) for story in self.stories)
        return payments, sum(count for name, count in calls.items() if name.split()[0] in ("POST", "PUT", "DELETE"))

    def _shop(self, story: Story) -> dict[str, Any]:
        found: dict[str, Any] = self.shopify._states[SHOP].orders[story.life.order_id]
        return found

    def _judge(self) -> None:
        state = self.sevdesk.state()
        lines = {line["id"]: line for line in state["transactions"]}
        invoices: dict[str, list[dict[str, Any]]] = {}
        for one in state["invoices"]:
            invoices.setdefault(str(one["note"]).rpartition(":")[2], []).append(one)
        door = self.database.tenant("chaos")
        asked: dict[str, set[str]] = {}
        for row in door.read(Store.BOOKS, lambda tx: tx.execute(sa.select(books.attention)).all()):
            asked.setdefault(row.order_id, set()).add(row.code)
        seconds: list[float] = []
        booked: list[float] = []
        counts: Counter[str] = Counter(story.kind for story in self.stories)
        loops = doubled = 0
        for story in self.stories:
            seen = self._shop(story)
            paid = [one for one in seen["transactions"] if one["status"] == "SUCCESS"]
            loops += max(0, len(paid) - story.payments)
            mine = invoices.get(story.life.order_id.rsplit("/", 1)[-1], [])
            doubled += max(0, len(mine) - 1)
            linked = [one for line in story.transfers for one in lines[line.line]["documents"]]
            wanted = asked.get(story.life.order_id, set()) - {"DRAFT-OLD"}
            self._hold(story, "shop", seen["displayFinancialStatus"], story.says)
            self._hold(story, "invoices", len(mine), int(story.told))
            self._hold(story, "question", sorted(wanted), sorted(story.asked))
            self._hold(story, "linked lines", len(linked), story.linked)
            if story.told and mine:
                gross = story.total if story.linked else 0
                self._hold(story, "paid on the invoice", mine[0]["paid_cents"], gross)
                self._hold(story, "invoice", mine[0]["gross_cents"], story.total)
            if story.told and paid:
                came = story.transfers[story.moment].line
                begun = datetime.fromisoformat(lines[came]["created_at"])
                said = datetime.fromisoformat(paid[-1]["createdAt"].replace("Z", "+00:00"))
                seconds.append((said - begun).total_seconds())
                if story.linked and lines[came]["linked_at"]:
                    booked.append((datetime.fromisoformat(lines[came]["linked_at"]) - begun).total_seconds())
        ours = [line for line in state["transactions"] if "SHPTX" in line["purpose"]]
        if ours:
            self.findings.append(f"{len(ours)} lines stand on accounts of ours")
        if loops or doubled:
            self.findings.append(f"{loops} payments and {doubled} invoices too many")
        calls = self.sevdesk.calls()["by_endpoint"]
        self.figures |= {
            "orders": len(self.stories),
            "transfers": sum(1 for line in lines.values() if line["created_at"] >= (self.start + ORDERS).isoformat()),
            **{f"of them {kind}": counts[kind] for kind in MIX},
            "shop told": len(seconds),
            "told more than once": loops,
            "invoices too many": doubled,
            "lines on accounts of ours": len(ours),
            "bank's line to the shop, p50 s": _share(seconds, 0.5),
            "bank's line to the shop, p95 s": _share(seconds, 0.95),
            "bank's line to the shop, most s": max(seconds, default=0.0),
            "bank's line to its invoice, p95 s": _share(booked, 0.95),
            "lists of bank lines asked for": calls.get("GET /CheckAccountTransaction", 0),
        }
        if _share(seconds, 0.95) > PROMISED.total_seconds():
            self.findings.append("p95 is over five minutes")

    def _hold(self, story: Story, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.findings.append(f"{story.life.name} ({story.kind}): {what} is {found}, not {wanted}")


class _Fine:
    """What a simulation asks of a report."""

    def __init__(self) -> None:
        self.findings: list[str] = []


_LETTERS = str.maketrans("0123456789", "abcdefghij")


def _share(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))], 1) if seconds else 0.0


def lived(seed: int, transfers: int, **how: Any) -> dict[str, Any]:
    """Live a history and tell its figures, with `findings`."""
    begun = time.monotonic()
    with patch.object(simulation, "QuickAdmin", NamedAdmin):
        world = Transfers(seed, transfers, **({"faults": "calm", "crash_rate": 0.0, "others": {}} | how))
        world.run()
    return {**world.figures, "seconds": round(time.monotonic() - begun, 1), "findings": world.findings[:30]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--transfers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default="calm", choices=("calm", "rain", "storm"))
    parser.add_argument("--plus", action="store_true", help="the shop's plan takes parts")
    parser.add_argument("--crash-rate", type=float, default=0.0)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    how = {"faults": given.faults, "crash_rate": given.crash_rate, "plus": given.plus}
    figures = lived(given.seed, given.transfers, **how)
    sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
    return 1 if figures["findings"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
