"""Number, link and status back in the shop: after the number exists, compare and set, tags added, no echo (issue 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bought import MUG, bought, returned
from house import SHOP, TENANT, House, life
from ladenbuch import alarms, tenants, write_backs
from ladenbuch.db import Database, Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import address
from ladenbuch.workflows import lifecycle, redaction
from ladenbuch.workflows.write_back import write_back_all

BOOKS = Store.BOOKS
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


class Shop(House):
    """A house whose shop says what was written to it, and can lose an answer or be quicker than we are."""

    def __init__(self, folder: Path, profile: dict[str, Any]) -> None:
        super().__init__(folder, NOW, profile)
        self.writes = 0
        self.mutations: set[str] = set()
        self.lose = False
        self.before: Callable[[], None] | None = None
        self._go, self.shopify.handle = self.shopify.handle, self._pass  # type: ignore[method-assign]

    def _pass(self, request: SimRequest) -> SimResponse:
        self.mutations |= {found.decode() for found in re.findall(rb"mutation (\w+)", request.body)}
        if b"mutation WriteBack" not in request.body:
            return self._go(request)
        self.writes += 1
        if self.before is not None:
            first, self.before = self.before, None
            first()
        answer = self._go(request)
        if self.lose:
            self.lose = False
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit")
        return answer


Shops = Callable[..., Shop]


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[Shops]:
    opened: list[Shop] = []

    def made(choice: str = "metafields+tags", **more: Any) -> Shop:
        gateways = {"shopify_payments": {"mode": "clearing+payouts"}}
        profile = {"gateways": gateways, "oss_from": "2026-01-01", "write_back": choice, **more}
        opened.append(Shop(tmp_path / str(len(opened)), profile))
        return opened[-1]

    yield made
    for house in opened:
        house.close()
        assert house.sevdesk.internal_errors == []


def unpaid(order: ShopOrder) -> None:
    order.billing = order.delivery = {**address(order.rng), "firstName": "Erika", "lastName": "Muster"}
    order.add(MUG, 2)
    order.place()
    order.emit("orders/create")


def in_shop(house: House, order: str) -> dict[str, Any]:
    """What the shop shows of an order: our metafields, and its tags."""
    seen = house.shopify._states[SHOP].orders[order]
    fields = {one["key"]: one["value"] for one in seen.get("metafields") or () if one["namespace"] == "ladenbuch"}
    return {**fields, "tags": sorted(seen.get("tags") or ())}


def bring(house: House, times: int = 3) -> int:
    """The tick, until nothing is due; how many orders were written to."""
    done = 0
    for _ in range(times):
        house.clock.advance(11)
        done += write_back_all(house.ladenbuch.context)
    return done


def row(house: House, order: str) -> write_backs.WriteBack | None:
    return house.database.tenant(TENANT).read(BOOKS, lambda tx: write_backs.of_order(tx, TENANT, order))


def by_others(house: House, order: str, key: str, value: str | None) -> None:
    """Another app of the shop writes a metafield of ours, or deletes it."""
    from ladenbuch.simulators.shopify.mutations import digest

    def change(seen: dict[str, Any]) -> dict[str, Any]:
        fields = seen.get("metafields") or []
        others = [one for one in fields if (one["namespace"], one["key"]) != ("ladenbuch", key)]
        if value is None:
            return {**seen, "metafields": others}
        made = {
            "id": "gid://shopify/Metafield/1", "namespace": "ladenbuch", "key": key, "value": value, "jsonValue": value,
            "type": "single_line_text_field", "compareDigest": digest(value), "createdAt": "x", "updatedAt": "x",
        }  # fmt: skip
        return {**seen, "metafields": [*others, made]}

    house.shopify._states[SHOP].change(order, change)


def test_number_link_and_status_are_written_once_and_nothing_echoes(shops: Shops) -> None:
    house = shops()
    order = house.lived(bought)
    ((_, number),) = house.ledger(order)
    invoice = house.invoices()[0]["id"]
    assert bring(house) == 1
    assert in_shop(house, order) == {
        "invoice_number": number,
        "invoice_link": f"https://my.sevdesk.de/fi/detail/type/RE/id/{invoice}",
        "invoice_status": "paid",
        "tags": [f"invoice:{number}"],
    }
    assert house.writes == 1, "number and payment are one write"
    # Our own orders/updated: a look at the order, nothing new in the books, no second write (5.32).
    before = house.shopify._states[SHOP].orders[order]["updatedAt"]
    for _ in range(2):
        house.settle(order)
        assert bring(house) == 0
    assert house.writes == 1 and house.shopify._states[SHOP].orders[order]["updatedAt"] == before


def test_nothing_is_written_before_there_is_a_number(shops: Shops) -> None:
    house = shops()
    order = house.lived(unpaid)
    assert bring(house) == 0 and in_shop(house, order)["tags"] == [] and house.writes == 0
    house.database.system("operator").run(BOOKS, lambda tx: tenants.set_draft_only(tx, TENANT, True))
    drafted = house.lived(bought, 1002)
    assert [state for state, _ in house.ledger(drafted)] == ["draft"]
    assert bring(house) == 0 and house.writes == 0


def test_a_correction_changes_the_status_and_adds_a_tag(shops: Shops) -> None:
    house = shops()
    told = life(1001, house.clock.now() + timedelta(minutes=5), returned)
    house.live(told)
    order = told.order_id
    numbers = {number for _, number in house.ledger(order)}
    assert bring(house) == 1
    seen = in_shop(house, order)
    assert seen["invoice_status"] == "corrected" and seen["invoice_number"] in numbers
    assert {tag.partition(":")[2] for tag in seen["tags"]} == numbers
    assert {tag.partition(":")[0] for tag in seen["tags"]} == {"invoice", "correction"}


def test_s110_s115_a_whole_life_tells_the_buyer_once_and_shopify_nothing_that_could(shops: Shops) -> None:
    """S110, S114, S115: two letters of ours (invoice, correction), and no mutation but ours, however often we look."""
    house = shops(letters=True)

    def mailed(order: ShopOrder) -> None:
        order.email = "erika@example.org"
        returned(order)

    order = house.lived(mailed)
    bring(house)
    assert house.promised() == 2 and house.mutations == {"WriteBack"}
    for _ in range(2):
        house.clock.advance(86_400)
        house.settle(order)
        bring(house, 1)
    assert house.promised() == 2 and house.mutations == {"WriteBack"} and house.writes == 1


def test_tags_of_others_stay_and_ours_are_not_put_back_where_a_person_took_them_away(shops: Shops) -> None:
    house = shops()

    def tagged(order: ShopOrder) -> None:
        bought(order)

    order = house.lived(tagged)
    state = house.shopify._states[SHOP]
    state.change(order, lambda seen: {**seen, "tags": ["VIP", "b2b"]})
    bring(house)
    assert in_shop(house, order)["tags"][:2] == ["VIP", "b2b"] and len(in_shop(house, order)["tags"]) == 3
    state.change(order, lambda seen: {**seen, "tags": ["VIP"]})
    house.database.tenant(TENANT).run(BOOKS, lambda tx: write_backs.want(tx, TENANT, order, house.clock.now()))
    bring(house)
    assert in_shop(house, order)["tags"] == ["VIP"]


@pytest.mark.parametrize(("choice", "expected"), [("off", 0), ("metafields", 1)])
def test_the_profile_says_how_much_is_written(shops: Shops, choice: str, expected: int) -> None:
    house = shops(choice)
    order = house.lived(bought)
    assert bring(house) == expected
    assert in_shop(house, order)["tags"] == [] and ("invoice_number" in in_shop(house, order)) == bool(expected)
    assert (row(house, order) is None) == (choice == "off")


def test_what_others_wrote_into_our_metafield_stays_and_is_listed(shops: Shops) -> None:
    house = shops("metafields")
    order = house.lived(bought)
    by_others(house, order, "invoice_number", "X-77")
    assert bring(house) == 1
    seen = in_shop(house, order)
    assert seen["invoice_number"] == "X-77" and seen["invoice_status"] == "paid"
    (listed,) = house.database.tenant(TENANT).read(BOOKS, lambda tx: write_backs.troubled(tx, TENANT, 9))
    assert listed.reason == "WRITE-BACK-FOREIGN: invoice_number"
    assert bring(house) == 0, "nobody insists"
    by_others(house, order, "invoice_number", None)
    house.database.tenant(TENANT).run(BOOKS, lambda tx: write_backs.want(tx, TENANT, order, house.clock.now()))
    assert bring(house) == 1 and in_shop(house, order)["invoice_number"] == house.ledger(order)[0][1]
    assert row(house, order).reason is None  # type: ignore[union-attr]


def test_compare_and_set_holds_against_a_writer_between_look_and_write(shops: Shops) -> None:
    """Somebody changes a value right before ours arrives: theirs is not overwritten unseen."""
    house = shops("metafields")
    order = house.lived(bought)
    house.before = lambda: by_others(house, order, "invoice_status", "mine")
    bring(house)
    assert in_shop(house, order)["invoice_status"] == "mine"
    assert in_shop(house, order)["invoice_number"] == house.ledger(order)[0][1]
    assert row(house, order).reason == "WRITE-BACK-FOREIGN: invoice_status"  # type: ignore[union-attr]


def test_an_answer_that_was_lost_is_looked_for_and_not_written_again(shops: Shops) -> None:
    house = shops()
    order = house.lived(bought)
    house.lose = True
    bring(house, 1)
    assert in_shop(house, order)["invoice_status"] == "paid" and house.writes == 1
    waiting = row(house, order)
    assert waiting is not None and waiting.wanted > waiting.done and waiting.reason == "SHOPIFY-UNREACHABLE"
    bring(house, 2)
    assert house.writes == 1, "it stands there already"
    settled = row(house, order)
    assert settled is not None and settled.wanted == settled.done and settled.reason is None
    assert settled.written.tags == tuple(in_shop(house, order)["tags"])


def test_after_a_backup_was_put_back_our_own_value_is_known_by_its_number(shops: Shops) -> None:
    house = shops("metafields")
    told = life(1001, house.clock.now() + timedelta(minutes=5), returned)
    house.live(told)
    bring(house)
    order = told.order_id
    by_others(house, order, "invoice_status", "paid")  # as it stood when the backup was made
    house.database.tenant(TENANT).run(BOOKS, lambda tx: write_backs.erase(tx, TENANT, order))
    house.database.tenant(TENANT).run(BOOKS, lambda tx: write_backs.want(tx, TENANT, order, house.clock.now()))
    assert bring(house) == 1 and in_shop(house, order)["invoice_status"] == "corrected"
    assert row(house, order).reason is None  # type: ignore[union-attr]


def test_a_missing_scope_is_told_and_waited_for(shops: Shops) -> None:
    house = shops()
    scopes = house.shopify._states[SHOP].scopes
    scopes.discard("write_orders")
    order = house.lived(bought)
    assert bring(house) == 0

    def open_alarms() -> list[str]:
        return [
            one.kind for one in house.database.tenant(TENANT).read(BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))
        ]

    assert open_alarms() == ["WRITE-BACK-OFF"]
    scopes.add("write_orders")
    house.clock.advance(6 * 3600)
    assert bring(house) == 1 and open_alarms() == [] and in_shop(house, order)["invoice_status"] == "paid"


def test_a_forgotten_buyers_order_is_not_written_to_and_what_stands_there_stays(shops: Shops) -> None:
    """The metafields name a document the law keeps, and nobody; they are the merchant's, in the merchant's shop."""
    house = shops()
    first, second = house.lived(bought), house.lived(bought, 1002)
    house.database.tenant(TENANT).run(BOOKS, lambda tx: write_backs.erase(tx, TENANT, second))
    bring(house)
    stood = in_shop(house, first)
    for order in (first, second):
        redaction.erase(house.ladenbuch.context, TENANT, [order], "request 1", by="test")
        house.settle(order)
    before = house.writes
    assert bring(house) == 0 and house.writes == before
    assert in_shop(house, first) == stood and in_shop(house, second) == {"tags": []}
    assert row(house, first) is None and "Erika" not in repr(stood)


def test_a_stop_and_an_uninstall_hold_writes_back(shops: Shops) -> None:
    house = shops()
    order = house.lived(bought)
    lifecycle.suspend(house.ladenbuch.context, TENANT, "a test", by="test")
    assert bring(house) == 0
    system = house.database.system("write back")
    assert system.read(BOOKS, lambda tx: write_backs.due(tx, house.clock.now(), 9)) == [], "others have their turn"
    lifecycle.resume(house.ladenbuch.context, TENANT, by="test")
    house.clock.advance(600)
    assert bring(house) == 1
    assert (found := row(house, order)) is not None and found.attempts == 0
    lifecycle.uninstall(house.ladenbuch.context, TENANT, by="test")
    assert row(house, order) is None


def test_of_two_workers_one_writes(database: Database) -> None:
    door, now = database.tenant("t1"), NOW
    for _ in range(3):
        door.run(BOOKS, lambda tx: write_backs.want(tx, "t1", "o1", now))
    system = database.system("write back")
    assert system.read(BOOKS, lambda tx: write_backs.due(tx, now, 9)) == [("t1", "o1")]

    def claim(run: str, at: datetime = now) -> write_backs.WriteBack | None:
        return door.run(BOOKS, lambda tx: write_backs.claim(tx, "t1", "o1", run, at, at + timedelta(seconds=60)))

    mine = claim("r1")
    assert mine is not None and mine.wanted == 3 and claim("r2") is None
    door.run(BOOKS, lambda tx: write_backs.want(tx, "t1", "o1", now + timedelta(seconds=1)))
    later = now + timedelta(seconds=61)
    again = claim("r2", later)
    assert again is not None and not door.run(BOOKS, lambda tx: write_backs.done(tx, mine, "r1", later))
    door.run(BOOKS, lambda tx: write_backs.want(tx, "t1", "o1", later))
    assert door.run(BOOKS, lambda tx: write_backs.done(tx, again, "r2", later))
    assert system.read(BOOKS, lambda tx: write_backs.due(tx, later, 9)) == [("t1", "o1")], "wanted once more meanwhile"
