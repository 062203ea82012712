"""Years of orders taken over, by the whole connector in one thread under virtual time (S103, S104, B5, B10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from house import SHOP, TENANT, House
from ladenbuch import alarms, audit, backfills, inbox, tenants
from ladenbuch.bucket import Priority
from ladenbuch.db import Database, Store
from ladenbuch.errors import NeedsAttention, Retryable, UsageError
from ladenbuch.inbox.marks import order_marks
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.shopify import DEFAULT_SCOPES
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows import backfill, backfill_plan
from ladenbuch.workflows.preview import period_of
from other_tool import write_invoice

END = datetime(2026, 11, 22, 10, tzinfo=UTC)
SINCE, UNTIL = date(2026, 8, 1), date(2026, 11, 23)
ORDERS = 10


class Taking(House):
    """A shop that had sold for three months before the connector came; nothing is polled and no webhook sent."""

    def __init__(
        self, folder: Path, orders: int = ORDERS, mix: str = "domestic", profile: dict[str, Any] | None = None
    ) -> None:
        super().__init__(folder, END, profile)
        ctx = self.ladenbuch.context
        cut_off = END - timedelta(days=100)
        ctx.door(TENANT).run(Store.BOOKS, lambda tx: tenants.set_cut_off(tx, TENANT, cut_off))
        self.shopify.load(generate(11, orders, shop=SHOP, mix=mix, end=END, span=timedelta(days=80)))
        self.shopify.advance(END)
        self.ctx = ctx

    def plan(self, **more: Any) -> dict[str, Any]:
        backfill_plan.plan(self.ctx, TENANT, SINCE, UNTIL, **more)
        return self.status()

    def status(self) -> dict[str, Any]:
        return backfill.status(self.ctx, TENANT)

    def work(self, rounds: int = 10_000, until: Callable[[], bool] = lambda: False) -> None:
        """Let it work until nothing is due any more."""
        for _ in range(rounds):
            self.engine.wake("backfill")
            self.engine.wake("dispatch")
            if until() or (self.engine.drain() == 0 and self.status()["state"] != "running"):
                return
            self.clock.sleep(1.0)

    def rows(self) -> list[backfills.Row]:
        return list(backfill.rows(self.ctx, TENANT, self.status()["backfill"]))

    def marks(self) -> list[Any]:
        return self.ctx.door(TENANT).read(Store.INBOX, lambda tx: list(tx.execute(sa.select(order_marks))))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Taking]:
    made = Taking(tmp_path)
    yield made
    made.close()


def test_b5_what_was_planned_is_what_is_posted(house: Taking) -> None:
    """Planned per month and rate, taken over, every order exactly as planned, nothing twice."""
    data = house.plan()
    plan = data["plan"]
    assert data["state"] == "planned"
    assert plan["orders"] == data["orders"]["planned"] == ORDERS
    assert not house.marks(), "planning wants nothing and posts nothing"
    assert {row["month"] for row in plan["months"]} == {"2026-09", "2026-10"}
    backfill.start(house.ctx, TENANT)
    house.work()
    data = house.status()
    assert (data["state"], data["remaining"]) == ("done", 0)
    assert data["orders"]["as_planned"] == ORDERS, [row for row in house.rows() if row.state != "done"]
    assert all(mark.priority == Priority.BACKFILL and mark.wanted == mark.settled == 1 for mark in house.marks())
    invoices = [row for row in plan["months"] if row["kind"] == "invoices"]
    told = Counter[tuple[int, str]]()
    for row in invoices:
        told[row["tax_rule"], row["tax_rate"]] += row["gross_minor"]
    held = Counter[tuple[int, str]]()
    for paper in house.invoices():
        for rate, gross in paper["gross_by_rate"].items():
            held[int(paper["tax_rule"]), str(rate)] += gross
    assert held == told
    # once more: everything is there
    again = house.plan()["plan"]
    assert (again["with_actions"], again["months"]) == (0, [])


# -- planning: nothing is posted, so one shop will do --------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taking]:
    made = Taking(tmp_path_factory.mktemp("shop"), 10, "wide")
    yield made
    made.close()


@pytest.fixture(scope="module")
def planned(shop: Taking) -> dict[str, Any]:
    """The plan in fair weather."""
    found: dict[str, Any] = shop.plan()["plan"]
    return found


@pytest.fixture(autouse=True)
def closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test leaves open is cancelled after it."""
    yield
    if "shop" in request.fixturenames:
        shop: Taking = request.getfixturevalue("shop")
        if shop.status()["state"] in backfills.OPEN:
            backfill.cancel(shop.ctx, TENANT)


def portions(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(backfill_plan, "_PORTION", size)


def dies(at: int) -> Callable[[int, int], None]:
    def seen(done: int, total: int) -> None:
        if done >= at:
            raise KeyboardInterrupt

    return seen


def test_s104_a_killed_planning_goes_on_where_it_was(
    shop: Taking, planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any portion, thrice; every order counts once, and the export is not made again."""
    portions(monkeypatch, 2)
    exports = len(shop.shopify.bulk_operations(SHOP))
    ids = set()
    for at in (2, 6, 8):
        with pytest.raises(KeyboardInterrupt):
            shop.plan(seen=dies(at))
        data = shop.status()
        ids.add(data["backfill"])
        assert (data["state"], data["plan"]["orders"]) == ("planning", at)
    data = shop.plan()
    assert ids == {data["backfill"]}
    assert data["plan"] == planned
    assert len({row.order_id for row in shop.rows()}) == planned["orders"]
    assert len(shop.shopify.bulk_operations(SHOP)) == exports + 1


def test_a_cancelled_planning_stops_its_export(
    shop: Taking, planned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ladenbuch.shopify.bulk.wait", interrupted)
    shop.shopify.bulk_trouble(SHOP, slow=1e6)
    with pytest.raises(KeyboardInterrupt):
        shop.plan()
    assert backfill.cancel(shop.ctx, TENANT).state == "cancelled"
    assert shop.shopify.bulk_operations(SHOP)[-1]["status"] == "CANCELING"


def test_b10_an_export_that_lost_lines_counts_for_nothing(shop: Taking, planned: dict[str, Any]) -> None:
    """As few as one line: an alarm, no row, and the next time it is made anew."""
    shop.shopify.bulk_trouble(SHOP, lose=1)
    with pytest.raises(Retryable, match="BULK-INCOMPLETE"):
        shop.plan()
    data = shop.status()
    assert (data["state"], data["plan"]["orders"], shop.rows()) == ("planning", 0, [])
    door = shop.ctx.door(TENANT)
    assert [one.kind for one in door.read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))] == ["BULK-COUNT"]
    assert shop.plan()["plan"] == planned
    assert not door.read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))


def test_s104_what_shopify_cannot_export_at_once_is_exported_in_halves(shop: Taking, planned: dict[str, Any]) -> None:
    shop.shopify.bulk_trouble(SHOP, fail_after=3, error="TIMEOUT")
    shop.shopify.bulk_trouble(SHOP, fail_after=1, error="INTERNAL_SERVER_ERROR")
    before = len(shop.shopify.bulk_operations(SHOP))
    assert shop.plan()["plan"] == planned
    assert len(shop.shopify.bulk_operations(SHOP)) == before + 5
    assert [row.processed_at for row in shop.rows()] == sorted(row.processed_at for row in shop.rows())  # type: ignore[type-var]


def test_s104_without_the_ledger_each_order_is_read_by_itself(shop: Taking, planned: dict[str, Any]) -> None:
    shop.shopify.bulk_nodes_only()
    try:
        plan = shop.plan()["plan"]
    finally:
        shop.shopify.bulk_nodes_only(False)
    assert plan.pop("read_one_by_one") == {"heads-only": planned["orders"]}
    assert plan == {name: value for name, value in planned.items() if name != "read_one_by_one"}


def test_s103_what_shopify_would_hide_is_not_planned(shop: Taking, planned: dict[str, Any]) -> None:
    scopes = [one for one in DEFAULT_SCOPES if one != "read_all_orders"]
    shop.shopify.set_scopes(SHOP, scopes)
    try:
        with pytest.raises(NeedsAttention, match=r"ORDERS-HIDDEN: .*read_all_orders") as caught:
            shop.plan()
        assert caught.value.choices[0] == "grant read_all_orders"
        recent = END.date() - timedelta(days=50)
        backfill_plan.plan(shop.ctx, TENANT, recent, UNTIL)
        assert 0 < shop.status()["plan"]["orders"] < planned["orders"]
    finally:
        shop.shopify.set_scopes(SHOP, DEFAULT_SCOPES)


def test_r22_nothing_before_the_cut_off_unless_asked(shop: Taking, planned: dict[str, Any]) -> None:
    """R22: before it an order is not ours; the cut-off moves only where nothing between is left out."""
    door, late = shop.ctx.door(TENANT), END - timedelta(days=30)
    early = door.read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT)).cut_off
    door.run(Store.BOOKS, lambda tx: tenants.set_cut_off(tx, TENANT, late))
    try:
        data = shop.plan()
        before = data["plan"]["excluded"]["BEFORE-GO-LIVE"]
        assert data["plan"]["to_settle"] == planned["orders"] - before < planned["orders"]
        assert data["orders"]["left"] >= before
        with pytest.raises(UsageError, match="BACKFILL-CUT-OFF"):
            backfill_plan.plan(shop.ctx, TENANT, SINCE, late.date() - timedelta(days=9), move_cut_off=True)
        data = shop.plan(move_cut_off=True)
        assert data["plan"] == planned
        backfill.start(shop.ctx, TENANT)
        moved = door.read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT)).cut_off
        assert moved == period_of(shop.ctx, TENANT, SINCE, UNTIL).start
        said = [one.sentence for one in door.read(Store.BOOKS, lambda tx: audit.entries(tx, TENANT))]
        assert any("the cut-off is now" in one for one in said)
    finally:
        door.run(Store.BOOKS, lambda tx: tenants.set_cut_off(tx, TENANT, early))


def test_b5_a_stale_plan_is_refused(shop: Taking, planned: dict[str, Any]) -> None:
    """An order that changed since, or one that is new: nothing begins; without them the rest may."""
    shop.plan()
    row = next(one for one in shop.rows() if one.state == "planned")
    shop.clock.sleep(5.0)
    shop.shopify.touch(row.order_id)
    with pytest.raises(NeedsAttention, match=f"PLAN-STALE: 1 orders .*{row.name}: changed in the shop since"):
        backfill.start(shop.ctx, TENANT)
    assert shop.status()["state"] == "planned"
    backfill.start(shop.ctx, TENANT, without_changed=True)
    assert {one.order_id for one in shop.rows() if one.code == "CHANGED"} == {row.order_id}
    with pytest.raises(UsageError, match="BACKFILL-OPEN"):
        shop.plan()


def test_b5_a_plan_rests_on_profile_and_cut_off(shop: Taking, planned: dict[str, Any]) -> None:
    """Changed before the start it is refused, changed after it the backfill stops by itself and does not go on."""
    door = shop.ctx.door(TENANT)
    known = door.read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT)).cut_off

    def cut_off(at: datetime) -> None:
        door.run(Store.BOOKS, lambda tx: tenants.set_cut_off(tx, TENANT, at))

    shop.plan()
    cut_off(known - timedelta(days=1))
    with pytest.raises(NeedsAttention, match="PLAN-STALE"):
        backfill.start(shop.ctx, TENANT)
    cut_off(known)
    backfill.start(shop.ctx, TENANT)
    cut_off(known - timedelta(days=1))
    id = shop.status()["backfill"]
    backfill.advance(shop.ctx, TENANT, id, 3)
    assert (shop.status()["state"], shop.status()["reason"]) == ("paused", "PLAN-STALE")
    assert shop.status()["orders"]["under_way"] == 0
    with pytest.raises(NeedsAttention, match="PLAN-STALE"):
        backfill.resume(shop.ctx, TENANT)
    cut_off(known)
    assert backfill.resume(shop.ctx, TENANT).state == "running"


def test_b11_a_backfill_does_not_begin_beside_invoices_of_others(shop: Taking) -> None:
    """Of orders of this shop they would be written once more: taken over first, or said to be other sales."""
    shop.plan()
    since = date.fromisoformat(shop.status()["since"])
    write_invoice(shop.sevdesk, since - timedelta(days=1))
    write_invoice(shop.sevdesk, since + timedelta(days=1))
    with pytest.raises(NeedsAttention, match=r"FOREIGN-DOCUMENTS.*1 invoices"):
        backfill.start(shop.ctx, TENANT)
    assert shop.status()["state"] == "planned"
    assert backfill.start(shop.ctx, TENANT, beside_others=True).state == "running"


# -- carrying it out -----------------------------------------------------------------------------------------------


def test_a_few_at_a_time_behind_everything_else(house: Taking) -> None:
    """Never more than half of the tenant's runs; paused between two; an order of now is settled first; killed and
    gone on with, nothing doubled; what left the shop is left alone."""
    house.plan()
    started = backfill.start(house.ctx, TENANT)
    advance = lambda: backfill.advance(house.ctx, TENANT, started.id, 3)  # noqa: E731
    for _ in range(3):
        advance()
        assert house.status()["orders"]["under_way"] == 3, "three of six runs, however often it is asked"
    first = house.rows()[:3]
    assert all(row.state == "wanted" and row.wanted == 1 for row in first), "oldest first"

    live = house.rows()[-1].order_id
    now = house.clock.now()
    house.ctx.door(TENANT).run(Store.INBOX, lambda tx: inbox.want(tx, TENANT, live, now))
    due = house.database.system("dispatch").read(Store.INBOX, lambda tx: inbox.due(tx, now, 9))
    assert due[0].order_id == live, "what the shop tells now comes first"

    (seen,) = SqlReads(house.database, house.clock.now).overview(TENANT).takeovers
    assert (seen.settled, seen.orders, seen.end) == (0, ORDERS, None)
    backfill.pause(house.ctx, TENANT)
    house.work()
    assert (house.status()["state"], house.status()["orders"]["as_planned"]) == ("paused", 0), "nobody looked"
    backfill.resume(house.ctx, TENANT)
    house.clock.sleep(30.0)
    advance()
    data = house.status()
    assert data["orders"]["as_planned"] == 3
    assert data["done_about"] == (house.clock.now() + timedelta(seconds=30 / 3 * (ORDERS - 3))).isoformat()
    (seen,) = SqlReads(house.database, house.clock.now).overview(None).takeovers
    assert (seen.settled, seen.orders) == (3, ORDERS)
    assert seen.end is not None and seen.end.isoformat() == data["done_about"]

    # who takes orders and dies before they are wanted leaves them to the next one, half a minute later
    door, id = house.ctx.door(TENANT), started.id
    taken = door.run(
        Store.BOOKS, lambda tx: backfills.take(tx, TENANT, id, 2, house.clock.now(), timedelta(seconds=30))
    )
    assert len(taken) == 2
    house.clock.sleep(31)
    house.work()
    data = house.status()
    assert (data["state"], data["remaining"], data["orders"]["stuck"]) == ("done", 0, 0)
    assert data["orders"]["as_planned"] == ORDERS
    assert len(house.invoices()) == len({row["note"] for row in house.invoices()})
    with pytest.raises(UsageError, match="BACKFILL-STATE"):
        backfill.pause(house.ctx, TENANT)


def test_what_gave_up_is_named_and_holds_up_nobody(house: Taking) -> None:
    """A dead letter is the order's own matter: its row says so, and the next order has its turn."""
    house.plan()
    id, door = backfill.start(house.ctx, TENANT).id, house.ctx.door(TENANT)
    backfill.advance(house.ctx, TENANT, id, 1)
    (first,) = [row for row in house.rows() if row.state == "wanted"]
    now = house.clock.now()

    def dies(tx: Any) -> None:
        inbox.claim(tx, TENANT, first.order_id, run_id="r", executor="x", now=now)
        inbox.give_up(tx, TENANT, first.order_id, "r", "SEVDESK-455")

    door.run(Store.INBOX, dies)
    backfill.advance(house.ctx, TENANT, id, 1)
    told = {row.order_id: (row.state, row.code) for row in house.rows() if row.state != "planned"}
    assert told.pop(first.order_id) == ("stuck", "SEVDESK-455")
    assert list(told.values()) == [("wanted", None)]
    assert house.status()["orders"]["stuck"] == 1


def test_s24_nothing_is_taken_over_for_a_tenant_that_left(house: Taking) -> None:
    house.plan()
    started = backfill.start(house.ctx, TENANT)
    now = house.clock.now()
    house.database.system("operator").run(
        Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "uninstalled", now, "gone")
    )
    backfill.advance(house.ctx, TENANT, started.id, 3)
    assert house.marks() == []
    assert house.status()["state"] == "running", "it goes on when the shop comes back"


def test_r11_closed_months_stay_closed_and_the_plan_says_so(tmp_path: Path) -> None:
    """R11: nothing is dated into a closed period; what would belong there is asked about."""
    house = Taking(tmp_path, 8, profile={"books_closed_until": "2026-09-30"})
    try:
        plan = house.plan()["plan"]
        closed = plan["attention"]["PERIOD-CLOSED"]
        assert 0 < closed < plan["orders"]
        assert "2026-09" not in {row["month"] for row in plan["months"]}
        backfill.start(house.ctx, TENANT)
        house.work()
        data = house.status()
        assert (data["state"], data["orders"]["as_planned"]) == ("done", 8)
        assert len(house.invoices()) == plan["actions"]["invoice"]["count"]
    finally:
        house.close()


# -- the rows, on both databases -----------------------------------------------------------------------------------


def test_s104_rows_count_once_and_an_unproven_part_leaves_none(database: Database) -> None:
    """A portion told twice, a part that is not proven, orders that are taken, and by nobody twice."""
    now, door, day = END, database.tenant("t"), END.date()

    def run(fn: Callable[..., Any], *more: Any) -> Any:
        return door.run(Store.BOOKS, lambda tx: fn(tx, "t", "b", *more))

    door.run(
        Store.BOOKS,
        lambda tx: backfills.begin(tx, "t", "b", day, day, cut_off=None, basis="x", cursor={"part": 0}, now=now),
    )
    orders = [
        (backfills.Planned(f"o{number}", f"#{number}", now, now, 0, "e", "invoice", settle=number != 3), {"orders": 1})
        for number in range(6)
    ]
    assert run(backfills.keep, 0, 0, orders[:3], {"part": 0, "byte": 3}, now)
    assert run(backfills.keep, 0, 1, orders[1:4], {"part": 0, "byte": 4}, now)
    found = run(backfills.get)
    assert (found.pending, found.cursor, found.totals) == ({"orders": 4}, {"part": 0, "byte": 4}, {})
    assert run(backfills.proven, {"part": 1})
    assert run(backfills.keep, 1, 4, orders[4:], {"part": 1, "byte": 9}, now)
    assert run(backfills.unproven, 1, {"part": 1})
    assert run(backfills.keep, 1, 4, orders[4:], {"part": 1, "byte": 9}, now)
    assert run(backfills.proven, {"part": 2})
    assert run(backfills.get).totals == {"orders": 6}
    assert run(backfills.move, ("planning",), "running", now)
    assert not run(backfills.keep, 2, 6, orders, {}, now), "the planning is over"
    again = timedelta(seconds=30)
    assert run(backfills.take, 2, now, again) == ["o0", "o1"]
    assert run(backfills.take, 9, now, again) == ["o2", "o4", "o5"], "those are taken, and one is not ours"
    run(backfills.wanted, {"o0": 1, "o1": 1})
    assert run(backfills.take, 9, now + again, again) == ["o2", "o4", "o5"], "nobody wanted them in time"
    run(backfills.ended, "o0", "done", "SETTLED", now)
    run(backfills.ended, "o0", "stuck", "BUG", now)
    assert run(backfills.states) == {"done": 1, "wanted": 4, "left": 1}
    assert run(backfills.ended_since, now) == 1
    assert [row.order_id for row in run(backfills.page, 2, 9)[0]] == ["o3", "o4", "o5"]
    assert run(backfills.move, ("running",), "cancelled", now, "why")
    assert run(backfills.take, 9, now + 9 * again, again) == []
    assert door.run(Store.BOOKS, lambda tx: backfills.forget(tx, "t")) == 1
