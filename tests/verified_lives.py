"""Generated lives, posted at a simulated sevdesk and proved by the stand-alone verifier from raw data alone.

`python tests/verified_lives.py --lives 100000 [--seed 1] [--jobs 2]` prints figures as JSON; exit 1 with findings.

Fifty orders share one sevdesk. Six of ten are posted at the end of their lives, the others at every event, some of them
seen only up to one of their events. What sevdesk then lists is what its simulator computed. With every tenth order that
has documents six tamperings are tried, each alone, on what sevdesk lists of that order and of one other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from desk import Desk
from ladenbuch.domain.books import Books as Posted
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.simulators.lives import Life
from tampering import CHANCES, LISTS, Books, Node
from unit.test_plan_lives import DEMO, END, EVIDENCE, facts_at, lives_of

TOOL = Path(__file__).parents[1] / "tools" / "verify_certificate.py"
BATCH, CHUNK = 50, 2000
SAMPLE, TRIES = 10, 6
#: Questions the verifier cannot see: they are about no document and no line of sevdesk.
UNSEEN = {"DISPUTE", "REFUND-FAILED", "GIFT-CARD"}


def _tool() -> Any:
    spec = importlib.util.spec_from_file_location("verify_certificate", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tool = _tool()


@dataclass
class Figures:
    """What was counted, and every sentence that should not be there."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        self.counts.update(other.counts)
        self.findings += other.findings

    @property
    def tampered(self) -> int:
        return sum(count for name, count in self.counts.items() if name.startswith("tampered: "))

    @property
    def refused(self) -> int:
        return sum(count for name, count in self.counts.items() if name.startswith("refused: "))


@dataclass
class Watched:
    """A life, how it is watched, and how it stands at the end."""

    life: Life
    how: str  # late | live | cut
    snapshot: Node
    posted: Posted = field(default_factory=Posted)
    plan: Plan | None = None

    @property
    def outcome(self) -> str:
        assert self.plan is not None and self.plan.later is None
        if self.plan.exclusion is not None:
            return "excluded"
        if self.plan.attention:
            return "attention"
        return "documented" if self.posted.documents else "waiting"

    def envelope(self) -> Node:
        """The order as `ladenbuch fetch --json` prints it."""
        order = dict(self.snapshot)
        parts = {name: order.pop(name) for name in ("transactions", "agreements", "refunds", "fulfillments")}
        return {"order": order, **parts, "gaps": [], "warnings": []}


def post(lives: list[Life], rng: random.Random) -> tuple[list[Watched], dict[str, list[Node]]]:
    """Let the lives pass at one desk, all in the order of time; how they stand, and what sevdesk lists."""
    watched: list[Watched] = []
    looks: list[tuple[datetime, int, Node]] = []
    for index, life in enumerate(lives):
        how = rng.choices(("late", "live", "cut"), (60, 25, 15))[0]
        events = life.events[: rng.randint(1, len(life.events))] if how == "cut" else life.events
        seen = [(event.at + timedelta(seconds=90), index, event.snapshot) for event in events]
        looks += [(END, index, events[-1].snapshot)] if how == "late" else seen
        watched.append(Watched(life, how, events[-1].snapshot))
    looks.sort(key=lambda look: look[:2])
    desk = Desk(DEMO, looks[0][0])
    for desk.now, index, snapshot in looks:
        one, facts = watched[index], facts_at(snapshot)

        def planned(books: Posted, facts: Any = facts) -> Plan:
            return plan(facts, books, [desk.profile], desk.now, EVIDENCE)

        one.posted, one.plan = desk.settle(one.posted, planned)
    return watched, desk.lists()


def prove(order: Node, lists: Any) -> list[str]:
    """What the verifier says of an order."""
    return list(tool.Proof(order, tool.listed(lists, defaultdict(dict))).failures)


def verify(lives: int, seed: int, mix: str = "wide") -> Figures:
    """Post and prove `lives` lives of one seed, and tamper with every tenth of those that have documents."""
    figures, rng = Figures(), random.Random(f"verified/{seed}")
    everyone = lives_of(mix, lives, seed)
    for start in range(0, lives, BATCH):
        watched, lists = post(everyone[start : start + BATCH], rng)
        found = tool.listed(lists, defaultdict(dict))
        figures.counts.update({name: len(items) for name, items in lists.items()})
        for number, one in enumerate(watched, start):
            failures = list(tool.Proof(one.envelope(), found).failures)
            figures.counts.update(("lives", one.how, one.outcome))
            figures.findings += [f"seed {seed} {one.life.name} {text}" for text in _disagreement(one, failures)]
            if number % SAMPLE == 0 and one.outcome == "documented" and not failures:
                figures.add(_tampered(one, lists, rng))
    return figures


def _disagreement(one: Watched, failures: list[str]) -> Iterator[str]:
    """Where the verifier and the planner do not say the same (whether it is what the label says: `lives`)."""
    assert one.plan is not None
    where = f"({one.life.label.situation}, {one.how}, {one.outcome})"
    if one.outcome != "attention":
        yield from (f"{where}: {failure}" for failure in failures)
    elif not failures and not {problem.code for problem in one.plan.attention} <= UNSEEN:
        yield f"{where}: it holds, and a person has to decide {[problem.code for problem in one.plan.attention]}"


def _tampered(one: Watched, lists: dict[str, list[Node]], rng: random.Random) -> Figures:
    """Some tamperings with the order; each has to be refused."""
    figures, order = Figures(), one.envelope()
    material = _around(one.life.order_id.rsplit("/", 1)[-1], lists)
    untouched = prove(order, material)
    assert not untouched, untouched
    for name in rng.sample(sorted(CHANCES), len(CHANCES)):
        books = Books(material, order)
        if figures.tampered == TRIES:
            break
        if not CHANCES[name](rng, books):
            continue
        figures.counts[f"tampered: {name}"] += 1
        if prove(order, books.lists):
            figures.counts[f"refused: {name}"] += 1
        else:
            figures.findings.append(f"{one.life.name} ({one.life.label.situation}, {one.how}): {name} was not noticed")
    return figures


def _around(number: str, lists: dict[str, list[Node]]) -> dict[str, Node]:
    """What sevdesk has of an order and of another order's invoice."""
    heads = {name: [item for item in lists[name] if number in item["customerInternalNote"]] for name in LISTS[:3:2]}
    heads["Invoice"] += [item for item in lists["Invoice"] if item not in heads["Invoice"]][:1]
    ids = {(name, item["id"]) for name, items in heads.items() for item in items}
    material = {name: {"objects": items} for name, items in heads.items()}
    for name, owner in (("InvoicePos", "invoice"), ("CreditNotePos", "creditNote")):
        mine = [item for item in lists[name] if (name[:-3], item[owner]["id"]) in ids]
        material[name] = {"objects": mine}
    lines = [item for item in lists["CheckAccountTransaction"] if number in item["paymtPurpose"]]
    return {**material, "CheckAccountTransaction": {"objects": lines}}


def main() -> int:
    """Run it in chunks and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=CHUNK)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    sizes = [min(CHUNK, given.lives - done) for done in range(0, given.lives, CHUNK)]
    figures, begun = Figures(), time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        for part in pool.map(verify, sizes, range(given.seed, given.seed + len(sizes))):
            figures.add(part)
    told = {**figures.counts, "seconds": round(time.monotonic() - begun), "findings": figures.findings[:50]}
    sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    return 1 if figures.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
