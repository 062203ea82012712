"""`app/scopes_update` from the ingest's row to the switches (S129); and a handler that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from house import SHOP, TENANT, House
from ladenbuch import grants, inbox
from ladenbuch.db import Store
from ladenbuch.inbox.marks import order_marks
from ladenbuch.workflows import scopes


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC))
    yield made
    made.close()


def deliver(house: House, webhook_id: str) -> None:
    now = house.clock.now()
    body = json.dumps({"previous": [], "current": ["read_orders"]}).encode()
    heard = inbox.Delivery(TENANT, webhook_id, "app/scopes_update", SHOP, now, body, None, None, "2026-10", now, True)
    commit = inbox.GroupCommit(house.database, house.ladenbuch.vault, house.clock.now)
    try:
        assert commit.submit(heard).result(5)
    finally:
        commit.close()
    house.engine.wake("dispatch")
    house.engine.drain()


def code(house: House, webhook_id: str) -> str | None:
    mark = order_marks.c
    asked = sa.select(mark.last_code).where(mark.order_id == inbox.mark_of(webhook_id))
    return house.database.tenant(TENANT).read(Store.INBOX, lambda tx: tx.execute(asked).scalar_one())


def test_s129_scopes_update_rereads_what_the_installation_grants(house: House) -> None:
    house.ladenbuch.shopify(TENANT).shop_settings()  # a first token, and with it the grant
    house.shopify.set_scopes(SHOP, ["read_orders", "read_customers"])
    deliver(house, "w1")
    assert code(house, "w1") == "SCOPES-CHANGED"
    found = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: grants.get(tx, TENANT))
    assert found is not None and found.scopes == {"read_orders", "read_customers"}
    deliver(house, "w2")
    assert code(house, "w2") == "NOTHING-TO-DO"


def test_a_handler_that_raises_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts 7.3: a handler's exception loses nothing; the delivery was answered 200 long before."""
    house.ladenbuch.shopify(TENANT).shop_settings()
    house.shopify.set_scopes(SHOP, ["read_orders"])
    real = scopes.note

    def broken(*given: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(scopes, "note", broken)
    deliver(house, "w1")
    assert code(house, "w1") == "BUG"
    monkeypatch.setattr(scopes, "note", real)
    due = house.database.system("health").read(Store.INBOX, inbox.next_due)
    assert due is not None
    house.clock.advance_to(due)
    house.engine.wake("dispatch")
    house.engine.drain()
    assert code(house, "w1") == "SCOPES-CHANGED"
