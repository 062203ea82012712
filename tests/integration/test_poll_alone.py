"""Poll mode: everything is found without a single webhook, whatever happens meanwhile (S38, S91, S105, B3).

A merchant behind a router has no public address; `ladenbuch serve` without LADENBUCH_APP_URL is that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chaos.simulation import SHOP, Crash, Death
from ladenbuch import inbox
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.workflows.poll import poll
from silence_world import TENANT, Curtain, Silence, is_as_promised, lived

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# -- a shop's hours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "skew", "lag", "crashes"),
    [(1, -300, 5, 0.003), (2, 300, 120, 0.003), (3, 59, 500, 0.0)],
)
def test_s105_nothing_is_missed_by_polls_alone(seed: int, skew: int, lag: int, crashes: float) -> None:
    """Storms, deaths at every boundary, a clock minutes off either way, a shop whose search lags minutes behind."""
    figures = lived(
        seed, 10, webhooks=False, skew=timedelta(seconds=skew), lag=timedelta(seconds=lag), crash_rate=crashes,
        span=10 * MINUTE,
    )  # fmt: skip
    assert figures["findings"] == [] and figures["webhooks"] == 0
    assert bool(figures["deaths"]) is bool(crashes)


def test_the_auditor_sees_what_a_poll_without_overlap_misses() -> None:
    """The test above can fail: the search lags behind, and no look reaches back."""

    def forget(world: Any) -> None:
        world.settings = world.settings.model_copy(update={"poll_overlap_seconds": 0.0})

    how = {"webhooks": False, "lag": timedelta(seconds=200), "crash_rate": 0.0, "span": 10 * MINUTE}
    assert lived(3, 10, **how, sabotage=forget)["findings"]


@pytest.mark.parametrize("blind", [False, True])
def test_s91_webhooks_lost_and_subscriptions_deleted(blind: bool) -> None:
    """The slice of `make prove LINE=silence`: all settled ten minutes after, the alarm within two of its cause."""
    dark = (2 * MINUTE, 14 * MINUTE)
    figures = lived(
        5, 8, faults="calm", crash_rate=0.0, others={}, mix="domestic", span=dark[1], dark=dark, blind=blind
    )
    assert is_as_promised(figures, blind=blind, webhooks=True), figures


# -- one poll, killed anywhere -----------------------------------------------------------------------------------------


@dataclass
class Last(Death):
    """Dies at its n-th boundary."""

    left: int = 0

    def maybe(self) -> None:
        if self.dead or self.left == 1:
            self.dead = True
            raise Crash
        self.left -= 1


class Moving(Curtain):
    """A shop in which two orders change between the first page of a walk and the second."""

    moved: tuple[str, ...] = ()

    def handle(self, request: SimRequest) -> SimResponse:
        if self.moved and b"OrdersUpdated" in request.body and b'"after":null' not in request.body:
            for gid in self.moved:
                self._simulator.touch(gid)
            self.moved = ()
        return super().handle(request)


def test_s105_a_poll_killed_at_any_boundary_leaves_no_gap(tmp_path: Path) -> None:
    """More than one page, orders that change while it is read: after the next poll every change is asked for."""
    world = Silence(4, 260, faults="calm", others={}, mix="domestic", webhooks=False, span=30 * MINUTE)
    world._build(tmp_path)
    world.clock.advance(1800)
    while world.shopify.pending():  # all of them within a quarter of an hour, many in the same second
        world.shopify.step(stamp=True)
        world.clock.advance(0.9)
    ids = sorted(
        world.shopify._states[SHOP].orders, key=lambda gid: world.shopify._states[SHOP].orders[gid]["updatedAt"]
    )
    moved, start = (ids[20], ids[-3]), world.start - timedelta(days=1)
    boundary = 0
    while True:
        boundary += 1
        world.clock.advance(5)
        _forget(world)
        curtain = Moving(world.shopify)
        curtain.moved = moved
        world.routes[0] = type(world.routes[0])("http://shopify.test/", curtain)
        world.death = world.database.death = Last(world.death.rng, 0.0, left=boundary)
        world._open()
        try:
            poll(world.house.context, TENANT, start)
        except Crash:
            pass
        else:
            break
        world.death = world.database.death = Last(world.death.rng, 0.0)
        before = _wanted(world)
        world._open()
        world.clock.advance(60)
        poll(world.house.context, TENANT, start)
        after = _wanted(world)
        assert set(after) == set(ids), boundary
        assert all(after[gid] > before.get(gid, 0) for gid in moved), boundary
    assert boundary > 12, "it did go through calls and commits"
    world.database.close()


def _forget(world: Silence) -> None:
    marks = inbox.marks

    def forget(tx: Any) -> None:
        tx.execute(sa.delete(marks.order_marks))
        tx.execute(sa.delete(marks.poll_cursors))

    world.death = world.database.death = Last(world.death.rng, 0.0)
    world.database.system("demo").run(Store.INBOX, forget)


def _wanted(world: Silence) -> dict[str, int]:
    marks = inbox.marks.order_marks
    query = sa.select(marks.c.order_id, marks.c.wanted)
    return {
        row.order_id: row.wanted
        for row in world.database.system("demo").read(Store.INBOX, lambda tx: tx.execute(query).all())
    }
