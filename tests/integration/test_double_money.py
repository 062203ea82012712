"""Nightly: the same money on an account of ours and on one that a feed fills, with its alarm (4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from house import TENANT, House
from integration.test_gateway_money import MUG, PAYPAL, bought, home
from ladenbuch import alarms, reconciliations
from ladenbuch.db import Store
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GIFT_CARD
from ladenbuch.workflows.reconcile import look_at_changes, reconcile

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
PERIOD = date(2026, 11, 1), date(2026, 12, 1)
PRICE = 2 * MUG.price


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    gateways = {
        "paypal": {"mode": "clearing+payouts"},
        "mollie": {"mode": "clearing-simple"},
        "bank_deposit": {"mode": "bank"},
    }
    opened = House(tmp_path, START, {"gateways": gateways})
    yield opened
    assert opened.sevdesk.internal_errors == []
    opened.close()


def brought(house: House, account: str, cents: int, purpose: str = "") -> str:
    line = {"do": "transaction", "account": house.sevdesk.account_id(account), "amount": f"{cents / 100:.2f}"}
    return str(house.person({**line, "purpose": purpose})["id"])


def by_transfer(order: ShopOrder) -> None:
    home(order).add(MUG, 2)
    order.place()
    order.pay("bank_deposit", status="PENDING")
    order.emit("orders/create")


def night(house: House, minutes: float = 20) -> list[tuple[str, str | None, str]]:
    """A night's look: code, order and state of everything about money on two accounts."""
    house.clock.advance_to(house.clock.now() + timedelta(minutes=minutes))
    made = reconcile(house.ladenbuch.context, TENANT, *PERIOD, kind="nightly", fix=True)
    return [
        (i.discrepancy.code, i.discrepancy.order_name, i.state) for i in made.items if i.discrepancy.sort == "twice"
    ]


def alarmed(house: House) -> list[str]:
    door = house.database.tenant(TENANT)
    return [one.kind for one in door.read(Store.BOOKS, lambda tx: alarms.open_alarms(tx, TENANT))]


@pytest.mark.parametrize("gateway", ["paypal", "mollie"])
def test_4_2_a_line_a_feed_brings_beside_ours_is_told_with_an_alarm_and_ends_when_it_is_gone(
    house: House, gateway: str
) -> None:
    house.lived(bought(gateway))
    assert night(house) == []
    line = brought(house, "PayPal", PRICE, "Handyrechnung")
    assert night(house) == [("MONEY-TWICE", "#1001", "seen")] and alarmed(house) == []
    assert night(house) == [("MONEY-TWICE", "#1001", "open")] and alarmed(house) == ["BOOKS-DIFFER"]
    house.clock.advance_to(house.clock.now() + timedelta(minutes=20))
    later = look_at_changes(house.ladenbuch.context, TENANT, START)
    assert [item.state for item in later.items] == ["open"], "a look at changes does not forget what the night saw"
    house.person({"do": "delete_transaction", "id": int(line)})
    assert night(house) == [] and alarmed(house) == []


def test_4_2_two_payments_are_accepted_by_a_person(house: House) -> None:
    house.lived(bought("paypal"))
    brought(house, "Bank", PRICE)
    night(house)
    (mark,) = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: reconciliations.known(tx, TENANT))
    assert house.database.tenant(TENANT).run(
        Store.BOOKS, lambda tx: reconciliations.accept(tx, TENANT, mark, "two orders")
    )
    assert night(house) == [("MONEY-TWICE", "#1001", "accepted")] and alarmed(house) == []


def test_4_1_a_gateways_file_imported_into_our_account_is_found(house: House) -> None:
    """4.1: everything twice; our own lines, and those of other shops, carry their key."""
    order = house.lived(bought("paypal"))
    (own,) = (row for row in house.state("transactions") if row["purpose"].startswith("SHPTX"))
    account = next(row["name"] for row in house.sevdesk.state()["accounts"] if row["id"] == own["account_id"])
    brought(house, account, PRICE, "Zahlung von Erika Muster")
    brought(house, account, PRICE, "SHPTX 77 order:78")
    assert night(house) == [("MONEY-TWICE", "#1001", "seen")] and house.verdict(order)[0] == "documented"


def test_4_2_what_pays_another_document_or_is_waited_for_is_no_double(house: House) -> None:
    """A transfer of the same amount for an order that waits for it, and one that pays an invoice."""
    house.lived(bought("paypal"))
    waiting = house.lived(by_transfer, 1002)
    brought(house, "Bank", PRICE)
    assert house.verdict(waiting)[1] == "UNPAID" and night(house) == []


def test_2_5_a_card_a_feed_brought_is_no_second_sight_of_one_that_was_paid_by_card(tmp_path: Path) -> None:
    """Gift cards all cost the same: the feed's line of one stays unlinked, and is not the other's money."""
    gateways = {
        "shopify_payments": {"mode": "clearing+payouts"},
        "paypal": {"mode": "feed", "account": PAYPAL},
        "gift_card": {"mode": "liability", "number": "1723"},
    }
    house = House(tmp_path, START, {"gateways": gateways, "vouchers": "multi_purpose"})

    def card(gateway: str) -> Callable[[ShopOrder], None]:
        def script(order: ShopOrder) -> None:
            home(order).add(GIFT_CARD, rates=(), kind="GIFT_CARD")
            order.place()
            order.pay(gateway)
            order.emit("orders/create", "orders/paid")

        return script

    house.lived(card("shopify_payments"))
    house.lived(card("paypal"), 1002)
    brought(house, "PayPal", GIFT_CARD.price)
    assert night(house) == []
    brought(house, "PayPal", GIFT_CARD.price)
    assert [code for code, _, _ in night(house)] == ["MONEY-TWICE"], "one more than cards"
    house.close()
