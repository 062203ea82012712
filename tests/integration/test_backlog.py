"""How many orders wait, why, and until when: what `doctor` says of real stores; the first page asks the same reader."""

from __future__ import annotations

import re
from datetime import timedelta

import sqlalchemy as sa

from acceptance.invoice_cases import mixed_rates
from house import TENANT, House, life
from ladenbuch import inbox
from ladenbuch.cli import doctor
from ladenbuch.db import Store, Transaction
from ladenbuch.inbox.marks import order_marks


def said(house: House, owner: str | None = TENANT) -> list[tuple[bool, str, str]]:
    found: list[tuple[bool, str, str]] = []
    doctor._backlog(house.ladenbuch, owner, lambda name, fine, en, de: found.append((fine, en, de)))
    return found


def test_those_that_wait_are_counted_with_their_cause_and_hour(house: House) -> None:
    """Nothing is said of none; then the budget and the hour; then what nobody can say more of."""
    house.live(*(life(n, house.clock.now() + timedelta(seconds=n - 990), mixed_rates) for n in range(1001, 1005)))
    assert said(house) == []
    now = house.clock.now()

    def many(tx: Transaction) -> None:
        for number in range(412):
            inbox.want(tx, TENANT, f"gid://shopify/Order/{number}", now)
        tx.execute(sa.update(order_marks).where(order_marks.c.settled == 0).values(last_code="SHOPIFY-THROTTLED"))

    house.database.tenant(TENANT).run(Store.INBOX, many)
    for owner in (TENANT, None):
        ((fine, en, de),) = said(house, owner)
        assert fine and re.fullmatch(r"412 orders waiting, Shopify budget, done about \d\d:\d\d\.", en), en
        assert re.fullmatch(r"412 Bestellungen warten, Shopify-Kontingent, fertig gegen \d\d:\d\d\.", de), de
    house.clock.advance(3600)
    assert said(house)[0][1] == "412 orders waiting, Shopify budget, nothing was settled lately."
