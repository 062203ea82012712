"""Thousands of posted orders, then sevdesk is tampered with: what the reconciliation names, mends and leaves (S60, B7).

`python tests/reconcile_world.py --orders 10000` prints one JSON object with figures and `findings`; exit 1 when there
are findings. Every order is lived through the real connector in virtual time; the listing, the
comparison and the cures are the product's own, over the simulator.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from chaos.simulation import SHOP, Simulation
from ladenbuch.domain.reconciling import Report
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.shopify.reading import Fetched
from ladenbuch.simulators.http import SimRequest
from ladenbuch.simulators.lives import Life, generate
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.reconcile import look_at_changes, reconcile

TENANT = "chaos"
PERIOD = date(2026, 11, 1), date(2026, 12, 1)
#: What is done to 10,000 orders (issue: "what must be shown", 5); fewer orders, in proportion, at least one of each.
TAMPERED = {
    "deleted": 20,
    "altered": 15,
    "foreign": 5,
    "doubled": 5,
    "cancelled": 5,
    "paid": 5,
    "leftover": 5,
    "elsewhere": 5,
}
#: Of the altered ones every fifth only has another number or day, where sevdesk's count (R16).
ALTERATIONS: tuple[Mapping[str, object], ...] = (
    {"price": "0.01"},
    {"tax_rule": 2},
    {"note": "Sonstiges"},
    {"currency": "CHF"},
    {"date": "2026-11-09"},
)


class Snapshots:
    """The tenant's Admin client, except that an order's body is taken from the simulator: a look at `updatedAt` goes
    over the wire, the large document does not. What is kept of the look is the whole order all the same."""

    def __init__(self, admin: Any, orders: Mapping[str, Any]) -> None:
        self._admin, self._orders = admin, orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._admin, name)

    def fetch_order(self, gid: str) -> Fetched:
        if self._admin.updated_at(gid) is None:
            return Fetched(None, {}, "NOT-FOUND")
        envelope = {"order": self._orders[gid]}
        return Fetched(order_from_envelope(envelope), envelope, None)


class World(Simulation):
    """A shop's hours that stay open, so that one can look at them afterwards. Payment on delivery is booked by us."""

    @classmethod
    @contextmanager
    def lived(cls, orders: int, seed: int) -> Iterator[World]:
        """A world whose orders are all settled: a normal shop's, with every way to pay; 1 in 25 on delivery if few."""
        span, mix = timedelta(minutes=max(10, orders // 10)), "d2c" if orders >= 10_000 else "domestic"
        made = cls(seed=12 * seed, orders=orders, faults="calm", crash_rate=0.0, mix=mix, span=span)
        made.gateways["cash_on_delivery"] = {"mode": "clearing+payouts"}
        made.profile["letters"] = False  # nothing of them is compared
        with tempfile.TemporaryDirectory() as folder:
            made._build(Path(folder))
            made._live()
            made.passes(3600.0)
            yield made
            made.database.close()

    def _open(self) -> None:
        super()._open()
        real, orders = self.house.shopify, self.shopify._states[SHOP].orders
        self.house.shopify = lambda tenant: Snapshots(real(tenant), orders)  # type: ignore[assignment,method-assign,return-value]

    def lives(self) -> list[Life]:
        if self.orders >= 10_000:
            return super().lives()
        end = self.start + self.span
        many = generate(self.seed, min(20 * self.orders, 4000), shop=SHOP, mix=self.world, end=end, span=self.span)
        ends = {id(life): life.label.situation for life in many}
        unpaid = [life for life in many if ends[id(life)] == "cash_on_delivery" and not _paid(life)]
        transfers = [life for life in many if ends[id(life)] == "vorkasse_paid"]
        rest = [life for life in many if ends[id(life)] not in ("cash_on_delivery", "vorkasse_paid")]
        few = max(1, self.orders // 25)
        return [*unpaid[:few], *transfers[:few], *rest][: self.orders]

    def passes(self, seconds: float) -> None:
        """Time passes, and what is due is done: all of it in the last minute, because nothing happens before."""
        self.clock.sleep(max(0.0, seconds - 60))
        self.engine.run_until(self.clock.now() + timedelta(seconds=min(seconds, 60)))

    @property
    def context(self) -> Context:
        """What a command is given, while a connector runs beside it."""
        return replace(self.house.context, sleep=self.passes)

    def reconcile(self, *, fix: bool = True) -> Report:
        """`ladenbuch reconcile --since 2026-11-01 --until 2026-12-01 [--fix]`."""
        return reconcile(self.context, TENANT, *PERIOD, fix=fix, wait=1800.0)

    def rolling(self, seconds: float = 600.0) -> Report:
        """The look every few minutes."""
        return look_at_changes(self.context, TENANT, self.clock.now() - timedelta(seconds=seconds))

    def control(self, path: str, **body: Any) -> Any:
        """What no endpoint does, and what a person does in the user interface."""
        request = SimRequest("POST", f"/_control/{path}", [], {}, json.dumps(body).encode())
        answer = self.sevdesk.handle(request)
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def writes(self) -> int:
        """Calls to sevdesk that change something."""
        counted = self.sevdesk.calls()["by_endpoint"]
        return sum(count for name, count in counted.items() if name.split()[0] in ("POST", "PUT", "DELETE"))

    def lists(self) -> int:
        """Calls that read a list of documents."""
        counted = self.sevdesk.calls()["by_endpoint"]
        return sum(count for name, count in counted.items() if name in ("GET /Invoice", "GET /CreditNote"))


@dataclass
class Tampering:
    """What was done, by sort: the numbers (or ids of drafts) a report must name; `taken` where sevdesk's count."""

    named: dict[str, set[str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def note(self, sort: str, number: str) -> None:
        self.named.setdefault(sort, set()).add(number)

    @property
    def all(self) -> set[tuple[str, str]]:
        return {(sort, number) for sort, numbers in self.named.items() for number in numbers}

    @property
    def human(self) -> set[tuple[str, str]]:
        """What is left when everything else was mended."""
        mended = {("altered", number) for number in self.taken}
        return {one for one in self.all if one[0] not in ("paid", "leftover")} - mended


def tamper(world: World, wanted: Mapping[str, int], seed: int = 1) -> Tampering:
    """Do so many things of each sort to documents of ours, no two to one order."""
    rng, done = random.Random(f"tamper/{seed}"), Tampering()
    state = world.sevdesk.state()
    ours = [row for row in state["invoices"] if "c1:" in (row["note"] or "") and row["type"] == "RE" and row["number"]]
    credited = {row["source_id"] for row in state["credit_notes"]}
    alone = Counter(row["note"].partition(":sup:")[0] for row in ours)
    ours = [row for row in ours if alone[row["note"]] == 1 and not row["cancelled"] and row["id"] not in credited]
    rng.shuffle(ours)
    accounts = {row["id"] for row in state["accounts"]}
    unpaid = [row for row in ours if row["status"] == 200]
    paid = [row for row in ours if row["status"] == 1000 and row["bookings"]]
    by_us = [row for row in unpaid if _on_delivery(world, row)]
    used: set[int] = set()

    def take(rows: list[Any]) -> Any:
        row = next(row for row in rows if row["id"] not in used)
        used.add(row["id"])
        return row

    for _ in range(wanted["paid"]):
        row = take(by_us)
        world.control("human", do="book", id=row["id"], account=min(accounts))
        done.note("paid", row["number"])
    for _ in range(wanted["cancelled"]):
        row = take(unpaid)
        world.control("human", do="cancel", id=row["id"])
        done.note("cancelled", row["number"])
    for index in range(wanted["altered"]):
        row, change = take(paid), dict(ALTERATIONS[index % len(ALTERATIONS)])
        world.control("tamper", do="write", id=row["id"], **change)
        done.note("altered", row["number"])
        if "date" in change:
            done.taken.add(row["number"])
    for _ in range(wanted["deleted"]):
        row = take(paid)
        world.control("tamper", do="remove", id=row["id"])
        done.note("deleted", row["number"])
    for _ in range(wanted["doubled"]):
        done.note("doubled", world.control("tamper", do="copy", id=take(paid)["id"])["number"])
    for index in range(wanted["foreign"]):
        row = take(paid)
        twin = world.control("tamper", do="copy", id=row["id"])
        note = f"{row['note']}:von Hand" if index % 2 else str(row["note"]).partition(" / ")[0]
        world.control("tamper", do="write", id=twin["id"], note=note)
        done.note("foreign", twin["number"])
    for _ in range(wanted["elsewhere"]):
        row = take([row for row in paid if len(row["bookings"]) == 1])
        world.control("tamper", do="unlink", id=row["id"])
        world.control("human", do="book", id=row["id"], account=min(accounts))
        done.note("elsewhere", row["number"])
    for _ in range(wanted["leftover"]):
        twin = world.control("tamper", do="copy", id=take(paid)["id"])
        world.control("tamper", do="write", id=twin["id"], status=100, number=None)
        done.note("leftover", f"Invoice/{twin['id']}")
    return done


def _paid(life: Life) -> bool:
    return any(one["status"] == "SUCCESS" for one in life.final["transactions"])


def _on_delivery(world: World, row: Any) -> bool:
    """Whether an unpaid order is paid on delivery: its money is ours to book."""
    gid = f"gid://shopify/Order/{row['note'].rpartition(':')[2]}"
    found = world.shopify._states[SHOP].orders.get(gid)
    return found is not None and any(one["gateway"] == "cash_on_delivery" for one in found["transactions"])


def named(report: Report, *states: str) -> set[tuple[str, str]]:
    """(sort, document) of a report's items, in these states or in all."""
    items = [item for item in report.items if not states or item.state in states]
    return {(item.discrepancy.sort, item.discrepancy.document or item.discrepancy.order_name or "?") for item in items}


def differences(what: str, found: set[tuple[str, str]], expected: set[tuple[str, str]]) -> list[str]:
    """Sentences about what is too much and what is missing."""
    extra, missing = sorted(found - expected), sorted(expected - found)
    return [f"{what}: {one} was named and not tampered with" for one in extra] + [
        f"{what}: {one} was tampered with and not named" for one in missing
    ]


def prove(orders: int, seed: int, whole: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Live, tamper, look three times a quarter of an hour apart."""
    findings: list[str] = []
    figures: dict[str, Any] = {"orders": orders, "seed": seed}
    begun = time.monotonic()
    with World.lived(orders, seed) as world:
        figures["seconds to live and post"] = round(time.monotonic() - begun)
        state = world.sevdesk.state()
        figures["documents in sevdesk"] = len(state["invoices"]) + len(state["credit_notes"])
        clean = world.reconcile()
        figures["before: status"], figures["before: found"] = clean.status, clean.found
        findings += differences("before", named(clean), set())
        wanted = {sort: count if whole else max(1, count * orders // 10_000) for sort, count in TAMPERED.items()}
        done = tamper(world, wanted)
        figures |= {f"done: {sort}": len(numbers) for sort, numbers in done.named.items()}
        world.passes(1200.0)
        for turn, expected in (("first", done.all), ("second", done.all), ("third", done.human)):
            writes, lists, started = world.writes(), world.lists(), time.monotonic()
            made = world.reconcile()
            figures[f"{turn}: status"] = made.status
            figures[f"{turn}: found"], figures[f"{turn}: fixed"] = made.found, made.fixed
            figures[f"{turn}: list calls"] = world.lists() - lists
            figures[f"{turn}: seconds"] = round(time.monotonic() - started, 1)
            findings += differences(turn, named(made), expected)
            if turn == "first":
                if made.fixed or world.writes() != writes:
                    findings.append("first: something was mended on one sighting")
            else:
                left = named(made) - named(made, "fixed")
                findings += differences(f"{turn}: left", left, done.human)
                if left != named(made, "asked", "open"):
                    findings.append(f"{turn}: {sorted(left - named(made, 'asked', 'open'))} is not a person's")
            world.passes(960.0)
        figures["rolling: found"] = world.rolling().found
        figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures, findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="tamper as with 10,000 orders, however few there are")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures, findings = prove(chosen.orders, chosen.seed, chosen.whole)
    print(json.dumps({**figures, "findings": findings}, indent=1, ensure_ascii=False))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
