"""The audit chain: gap-free, and any tampering is found at its first index (S50, B8)."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ladenbuch import audit
from ladenbuch.db import Database, Store, Transaction

NOW = datetime(2026, 11, 22, tzinfo=UTC)
VERIFIER = Path(__file__).parents[2] / "tools" / "verify_audit.py"
E = audit.audit_entries


def append(tx: Transaction, tenant: str, number: int) -> int:
    return audit.append(
        tx,
        tenant,
        NOW + timedelta(seconds=number),
        actor="settle",
        event="INVOICE_FINALISED",
        subject=f"order {number % 2}",
        sentence=f"Rechnung „{number}“ über 11,90 € wurde festgeschrieben.",
        detail={"gross": 1190, "n": number, "list": [1, None, True, "ä"]},
    )


def chain(database: Database, length: int, tenant: str = "t1") -> None:
    database.tenant(tenant).run(Store.BOOKS, lambda tx: [append(tx, tenant, i) for i in range(length)])


def tamper(database: Database, *statements: Any) -> None:
    """As somebody with full rights on the database would: the append-only walls are taken down first."""
    with database._engines[Store.BOOKS].connect() as tx, tx.begin():
        if database.is_sqlite:
            tx.exec_driver_sql("DROP TRIGGER audit_entries_no_update")
            tx.exec_driver_sql("DROP TRIGGER audit_entries_no_delete")
        else:
            tx.exec_driver_sql("BEGIN")  # its connections begin nothing on their own
            tx.exec_driver_sql("SET LOCAL search_path TO books")
        for statement in statements:
            tx.execute(statement)


def verify(database: Database, tenant: str = "t1") -> int | None:
    return database.tenant(tenant).read(Store.BOOKS, lambda tx: audit.verify(tx, tenant))


def exported(database: Database, tenant: str = "t1") -> list[str]:
    return database.tenant(tenant).read(Store.BOOKS, lambda tx: list(audit.export(tx, tenant)))


def run_verifier(lines: list[str], *anchor: str) -> tuple[int, str]:
    done = subprocess.run(  # -S -E -I: nothing of ours can be imported
        [sys.executable, "-S", "-I", str(VERIFIER), "-", *anchor],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


def test_s50_entries_are_numbered_without_gaps_and_chains_are_per_tenant(database: Database) -> None:
    chain(database, 5)
    chain(database, 3, "t2")
    found = database.tenant("t1").read(Store.BOOKS, lambda tx: audit.entries(tx, "t1"))
    assert [entry.seq for entry in found] == [0, 1, 2, 3, 4]
    assert found[1].detail == {"gross": 1190, "n": 1, "list": [1, None, True, "ä"]}
    assert found[1].at == NOW + timedelta(seconds=1)
    assert verify(database) is None
    assert verify(database, "t2") is None
    assert verify(database, "nobody") is None


def test_entries_of_one_subject_newest_kept_oldest_first(database: Database) -> None:
    chain(database, 10)
    found = database.tenant("t1").read(Store.BOOKS, lambda tx: audit.entries(tx, "t1", "order 1", limit=2))
    assert [entry.seq for entry in found] == [7, 9]


def test_eight_writers_make_one_chain(database: Database) -> None:
    door = database.tenant("t1")
    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(lambda i: door.run(Store.BOOKS, lambda tx: append(tx, "t1", i)), range(64)))
    assert sorted(seqs) == list(range(64))
    assert verify(database) is None


def test_a_rolled_back_entry_leaves_no_gap(database: Database) -> None:
    chain(database, 2)

    def undone(tx: Transaction) -> None:
        append(tx, "t1", 2)
        raise LookupError

    with pytest.raises(LookupError):
        database.tenant("t1").run(Store.BOOKS, undone)
    chain(database, 1)
    assert verify(database) is None
    assert len(exported(database)) == 4


@pytest.mark.parametrize("column", ["at", "actor", "event", "subject", "sentence", "detail", "previous", "hash"])
def test_b8_a_changed_field_is_found_at_its_index(database: Database, column: str) -> None:
    chain(database, 9)
    changed = E.c.at + 1 if column == "at" else E.c[column] + " "
    tamper(database, sa.update(E).where(E.c.seq == 4).values({column: changed}))
    assert verify(database) == 4


@pytest.mark.parametrize("seq", [0, 4, 8])
def test_b8_a_deleted_entry_is_found_even_the_last(database: Database, seq: int) -> None:
    chain(database, 9)
    tamper(database, sa.delete(E).where(E.c.seq == seq))
    assert verify(database) == seq


def test_b8_a_deletion_with_renumbering_is_found(database: Database) -> None:
    chain(database, 9)
    move = [sa.update(E).where(E.c.seq == i).values(seq=i - 1) for i in range(5, 9)]
    tamper(database, sa.delete(E).where(E.c.seq == 4), *move)
    assert verify(database) == 4


def test_b8_two_entries_in_the_wrong_order_are_found(database: Database) -> None:
    chain(database, 9)
    swap = [(3, 100), (6, 3), (100, 6)]
    tamper(database, *(sa.update(E).where(E.c.seq == a).values(seq=b) for a, b in swap))
    assert verify(database) == 3


def test_b8_an_inserted_entry_is_found(database: Database) -> None:
    chain(database, 9)
    forged = {"at": 0, "actor": "x", "event": "x", "subject": "x", "sentence": "x", "detail": "{}"}
    forged |= {"tenant": "t1", "seq": 9, "previous": "0" * 64, "hash": "0" * 64}
    tamper(database, sa.insert(E).values(**forged))
    assert verify(database) == 9


def test_b8_an_entry_of_another_tenants_chain_does_not_fit(database: Database) -> None:
    chain(database, 3)
    chain(database, 1, "t2")
    tamper(
        database,
        sa.delete(E).where(E.c.tenant == "t1", E.c.seq == 0),
        sa.update(E).where(E.c.tenant == "t2").values(tenant="t1"),
    )
    assert verify(database) == 0


def test_a_detail_with_floating_point_is_refused(database: Database) -> None:
    def bad(tx: Transaction) -> None:
        audit.append(tx, "t1", NOW, actor="a", event="e", subject="s", sentence="x", detail={"a": [{"b": 1.5}]})

    with pytest.raises(TypeError, match="floating-point"):
        database.tenant("t1").run(Store.BOOKS, bad)


def test_b8_the_stand_alone_verifier_agrees(database: Database) -> None:
    chain(database, 6)
    lines = exported(database)
    assert run_verifier(lines)[0] == 0
    head = json.loads(lines[2])["hash"]
    assert run_verifier(lines, head)[0] == 0
    assert run_verifier(lines, "f" * 64)[0] == 1
    flipped = [*lines[:3], lines[3].replace("11,90", "11,91"), *lines[4:]]
    for bad, index in [
        (flipped, "entry 3"),
        (lines[:2] + lines[3:], "entry 2"),
        ([*lines[:1], lines[2], lines[1], *lines[3:]], "entry 1"),
        ([*lines[:2], lines[1], *lines[2:]], "entry 2"),
        (lines[:5] + lines[6:], "the closing line does not fit the 5"),
        (lines[:6], "the closing line is missing"),
        ([*lines[:4], "{"], "entry 4 is not JSON"),
    ]:
        assert bad != lines
        status, sentence = run_verifier(bad)
        assert status == 1
        assert index in sentence
