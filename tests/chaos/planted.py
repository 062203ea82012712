"""Bugs that were made once in connectors like this one, planted on purpose: the auditor must see each (B3, S109).

    find                nothing is looked for before a call: a call that landed unseen is made again
    payloads            what a webhook carries is believed, not what the shop says now
    sweep               what a process held when it died is never picked up again
    commit after        the intent is written after the call: a process that dies between forgets the call
    count               the poll asks whether an order is known instead of comparing when it changed
    pin                 what a document covers is decided once more, from what the order says by now
    run id              a run that stood still goes on writing after another took its order over
    last moment         a run that stood still between its look and its call sends the call all the same

Each is planted by replacing one function; `search` runs seeds until the auditor finds something.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from chaos.simulation import QuickAdmin, Simulation
from ladenbuch import books
from ladenbuch.domain.books import Cover
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows import booking, correcting, dispatch, invoicing, run
from ladenbuch.workflows import poll as polling
from ladenbuch.workflows import settle as settling

Plant = Callable[[], Any]


def _find() -> Any:
    return mock.patch.object(invoicing, "_ours", return_value=None)


@contextmanager
def _payloads() -> Iterator[None]:
    """The order as the last webhook that arrived told it, also where an older one arrives last."""
    told: dict[str, Any] = {}
    versions: dict[tuple[str, str], Any] = {}
    build, deliver, fetch = Simulation._build, Simulation._deliver, QuickAdmin.fetch_order

    class Remembering(dict[str, Any]):
        def __setitem__(self, gid: str, snapshot: Any) -> None:
            versions[gid, snapshot["updatedAt"]] = snapshot
            super().__setitem__(gid, snapshot)

    def built(self: Simulation, folder: Any) -> None:
        build(self, folder)
        state = next(iter(self.shopify._states.values()))
        state.orders = Remembering(state.orders)
        self.house.snapshots = state.orders

    def delivered(self: Simulation, delivery: Any) -> None:
        body = json.loads(delivery.body)
        gid, updated_at = str(body.get("admin_graphql_api_id")), body.get("updated_at")
        for (known, at), snapshot in versions.items():
            if known == gid and updated_at and _instant(at) == _instant(updated_at):
                told[gid] = snapshot
        deliver(self, delivery)

    def fetched(self: QuickAdmin, gid: str) -> Any:
        if gid not in told:
            return fetch(self, gid)
        with mock.patch.object(self, "_snapshots", told):
            found = fetch(self, gid)
        if found.order is not None:
            self.updated_at = lambda gid: found.order.updated_at
        return found

    with (
        mock.patch.object(Simulation, "_build", built),
        mock.patch.object(Simulation, "_deliver", delivered),
        mock.patch.object(QuickAdmin, "fetch_order", fetched),
    ):
        yield


def _instant(text: str) -> str:
    from datetime import UTC, datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).isoformat()


@contextmanager
def _sweep() -> Iterator[None]:
    with (
        mock.patch.object(dispatch, "sweep", return_value=None),
        mock.patch.object(dispatch, "take_over", return_value=set()),
    ):
        yield


@contextmanager
def _commit_after() -> Iterator[None]:
    def once(
        of: run.Run, key: str, kind: str, reason: str, *, find: Any, call: Any, record: Any, pin: Any = None
    ) -> None:
        ctx = of.ctx
        known = ctx.door(of.tenant).read(run.Store.BOOKS, lambda tx: books.intent(tx, of.tenant, key))
        if known is not None and known.done:
            return
        found = find()
        if found is None:
            found = call()

        def finish(tx: Any) -> None:
            intent = {"key": key, "kind": kind, "run_id": of.run_id, "reason": reason, "now": ctx.clock()}
            books.intend(tx, of.tenant, of.order_id, **intent)
            if pin is not None and known is None:
                pin(tx)
            books.done(tx, of.tenant, key, ctx.clock(), record(tx, found))

        of.write(finish)

    with (
        mock.patch.object(invoicing, "once", once),
        mock.patch.object(correcting, "once", once),
        mock.patch.object(booking, "once", once),
    ):
        yield


def _count() -> Any:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    seen = books.seen

    def known(tx: Any, tenant: str, ids: Any) -> Any:
        return dict.fromkeys(seen(tx, tenant, ids), Equal())

    return mock.patch.object(polling.books, "seen", known)


def _pin() -> Any:
    """What the first invoice covers is what the order says by now, not what was written down with it."""
    plan = settling.plan

    def redecided(facts: Any, known: Any, *more: Any) -> Any:
        every = tuple(Cover(item.id, sum(sale.total for sale in item.sales)) for item in facts.agreements)
        first = next((item for item in known.documents if item.kind == "invoice" and item.covers), None)
        if first is not None:
            documents = [replace(item, covers=every if item is first else ()) for item in known.documents]
            known = replace(known, documents=tuple(documents))
        return plan(facts, known, *more)

    return mock.patch.object(settling, "plan", redecided)


def _run_id() -> Any:
    return mock.patch.object(books, "check_fence", return_value=None)


@contextmanager
def _last_moment() -> Iterator[None]:
    with (
        mock.patch.object(run, "_FRESH", timedelta(days=1)),
        mock.patch("ladenbuch.sevdesk.calls.too_late", return_value=False),
    ):
        yield


PLANTS: dict[str, Plant] = {
    "find": _find,
    "payloads": _payloads,
    "sweep": _sweep,
    "commit after": _commit_after,
    "count": _count,
    "pin": _pin,
    "run id": _run_id,
    "last moment": _last_moment,
}


def search(plant: str, seeds: Iterator[int], orders: int = 100) -> tuple[int, int, list[str]]:
    """Run seeds with the bug until the auditor finds something: (the seed, how many were run, the findings)."""
    number = seed = 0
    for number, seed in enumerate(seeds, 1):
        with PLANTS[plant]():
            simulation = Simulation(seed, orders)
            try:
                findings = simulation.run().findings
            except LadenbuchError as error:
                findings = [str(error)]
        if findings:
            return seed, number, findings
    return seed, number, []


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    names = list(PLANTS) if sys.argv[1:2] in ([], ["all"]) else sys.argv[1].split(",")
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for name in names:
        seed, number, findings = search(name, iter(range(most)))
        print(json.dumps({"plant": name, "seed": seed, "seeds": number, "findings": findings[:3]}), flush=True)
