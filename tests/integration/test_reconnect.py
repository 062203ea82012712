"""A shop that is lost and found again: what waited goes on by itself, nothing is lost (S52)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance.invoice_cases import mixed_rates
from house import SHOP, TENANT, House
from ladenbuch import tenants
from ladenbuch.db import Store
from ladenbuch.web.reads import SqlReads


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC))
    yield made
    made.close()


def permitted(house: House, yes: bool) -> None:
    """The shop leaves the app's organisation, or comes back to it."""
    state = house.shopify._states[SHOP]
    state.shop = replace(state.shop, own_organisation=yes)


def state(house: House) -> tuple[str, str | None]:
    owner = house.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tenants.get(tx, TENANT))
    return owner.state, owner.state_reason


def test_s52_orders_of_a_lost_shop_wait_and_are_invoiced_once_it_is_found_again(house: House) -> None:
    first = house.lived(mixed_rates, 1001)
    assert house.verdict(first)[0] == "documented"
    permitted(house, False)
    house.shopify.revoke_tokens(SHOP)
    house.clock.advance_to(house.clock.now() + timedelta(days=1))
    lost = house.lived(mixed_rates, 1002)
    assert house.verdict(lost)[0] != "documented"
    suspended, reason = state(house)
    assert suspended == "suspended" and "reconnect needed" in (reason or "")
    (told,) = SqlReads(house.database, house.clock.now).overview(None).stops
    assert told.startswith(f"{TENANT}: reconnect needed: ")  # on the dashboard, until it is done
    permitted(house, True)
    house.clock.advance_to(house.clock.now() + timedelta(hours=2))
    house.engine.wake("tokens")  # hourly: a shop of one's own organisation is asked for again
    house.engine.drain()
    assert state(house) == ("active", None)
    assert SqlReads(house.database, house.clock.now).overview(TENANT).stops == ()
    house.engine.wake("dispatch")
    house.engine.drain()
    assert house.verdict(lost)[0] == "documented"
    assert len(house.papers(first)) == len(house.papers(lost)) == 1
