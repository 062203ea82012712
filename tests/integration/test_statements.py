"""Prepared statements answer alike on both databases, and their errors leave the door in our words."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ladenbuch.books import contacts
from ladenbuch.db import Database, Statement, Store, Transaction, insert_new, upsert
from ladenbuch.errors import Rejected

_N = sa.bindparam("n")
ADD = Statement(sa.insert(contacts), ("tenant", "customer_number", "sevdesk_id"))
FIND = Statement(sa.select(contacts.c.customer_number, contacts.c.sevdesk_id).where(contacts.c.sevdesk_id == _N))
MOVE = Statement(
    sa.update(contacts)
    .where(contacts.c.sevdesk_id == sa.bindparam("n"), contacts.c.customer_number != "fixed")
    .values(sevdesk_id=sa.bindparam("to"))
    .returning(contacts.c.customer_number)
)
DROP = Statement(sa.delete(contacts).where(contacts.c.sevdesk_id == _N))


def add(tx: Transaction, number: str, sevdesk_id: str = "7") -> int:
    return ADD.change(tx, tenant="t1", customer_number=number, sevdesk_id=sevdesk_id)


def test_rows_values_and_counts(database: Database) -> None:
    def use(tx: Transaction) -> None:
        assert [add(tx, "a"), add(tx, "b"), add(tx, "fixed")] == [1, 1, 1]
        assert {row.customer_number for row in FIND.rows(tx, n="7")} == {"a", "b", "fixed"}
        assert FIND.first(tx, n="8") is None
        assert FIND.scalar(tx, n="8") is None
        assert sorted(row.customer_number for row in MOVE.rows(tx, n="7", to="8")) == ["a", "b"]
        assert tuple(FIND.first(tx, n="7") or ()) == ("fixed", "7")
        assert DROP.change(tx, n="8") == 2

    database.tenant("t1").run(Store.BOOKS, use)
    assert database.tenant("t1").read(Store.BOOKS, lambda tx: FIND.scalar(tx, n="7")) == "fixed"


def test_insert_new_keeps_and_upsert_overwrites(database: Database) -> None:
    def use(tx: Transaction) -> list[object]:
        row = {"tenant": "t1", "customer_number": "a"}
        new = [insert_new(tx, contacts, **row, sevdesk_id=number) for number in "12"]
        kept = FIND.scalar(tx, n="1")
        upsert(tx, contacts, **row, sevdesk_id="3")
        return [*new, kept, FIND.scalar(tx, n="3")]

    assert database.tenant("t1").run(Store.BOOKS, use) == [True, False, "a", "a"]


def test_a_constraint_becomes_an_error_without_the_row_and_the_door_still_opens(database: Database) -> None:
    door = database.tenant("t1")
    door.run(Store.BOOKS, lambda tx: add(tx, "buyer@example.org"))
    with pytest.raises(Rejected) as caught:
        door.run(Store.BOOKS, lambda tx: (add(tx, "b"), add(tx, "buyer@example.org")))
    assert caught.value.code == "DB-CONSTRAINT"
    assert "buyer" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(RuntimeError, match="tried to write"):
        door.read(Store.BOOKS, lambda tx: add(tx, "c"))
    assert len(door.read(Store.BOOKS, lambda tx: FIND.rows(tx, n="7"))) == 1
    assert door.run(Store.BOOKS, lambda tx: add(tx, "d")) == 1
