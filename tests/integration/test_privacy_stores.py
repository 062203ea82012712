"""B9 on both databases: what the hold list says, and what is deleted from append-only rows and the inbox."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from ladenbuch import books, erasure, evidence, inbox, outbox, privacy
from ladenbuch.db import Database, Store
from ladenbuch.domain.evidence import VatIdAnswer
from ladenbuch.inbox.deliveries import Delivery
from ladenbuch.vault import KeyRing, Vault, generate_key

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_b9_held_rows_and_what_was_heard_go_by_tenant(database: Database) -> None:
    vault = Vault(KeyRing.parse(generate_key()), database)
    answer = VatIdAnswer("FR1", "valid", NOW, None, "x")
    for tenant in ("a", "b"):
        door = database.tenant(tenant)
        door.run(Store.BOOKS, lambda tx, t=tenant: evidence.record(tx, t, answer, lambda row, plain: ("k", plain)))  # type: ignore[misc]
        for name in ("one", "two"):
            heard = Delivery(tenant, name, "shop/update", "a.myshopify.com", NOW, b"{}", acted_on=name == "two")
            sealed = heard.sealed_by(vault)
            door.run(Store.INBOX, lambda tx, heard=heard, sealed=sealed: inbox.record(tx, heard, sealed))  # type: ignore[misc]
    mine = database.tenant("a")
    mine.run(Store.INBOX, lambda tx: inbox.want(tx, "a", inbox.mark_of("two"), NOW))
    assert mine.run(Store.INBOX, lambda tx: inbox.erase_before(tx, "a", NOW + timedelta(1))) == 1
    assert mine.run(Store.INBOX, lambda tx: inbox.erase_all(tx, "a")) == 1
    for until in (date(2030, 12, 31), date(2034, 12, 31), date(2031, 12, 31)):
        mine.run(Store.BOOKS, lambda tx, until=until: privacy.hold(tx, "a", "vat-id", "FR1", until, "law", NOW))  # type: ignore[misc]
    system = database.system("prune")
    assert system.read(Store.BOOKS, lambda tx: privacy.over(tx, date(2034, 12, 31), 9)) == []
    [item] = system.read(Store.BOOKS, lambda tx: privacy.over(tx, date(2035, 1, 1), 9))
    gone = erasure.erase_vat_checks(
        database, "a", "a.myshopify.com", "FR1", id="e1", actor="retention", now=NOW, last_hash="0"
    )
    mine.run(Store.BOOKS, lambda tx: privacy.release(tx, item, NOW))
    left = database.system("doctor").read(
        Store.BOOKS, lambda tx: tx.execute(sa.select(evidence.vat_checks.c.tenant)).scalars().all()
    )
    assert (gone, left) == (1, ["b"])
    assert system.read(Store.BOOKS, privacy.on_hold) == []
    assert mine.read(Store.BOOKS, lambda tx: books.orders_before(tx, "a", date(2030, 1, 1), 5)) == []
    mine.run(Store.BOOKS, lambda tx: books.erase_in_documents(tx, "a", "o", "FR1", "-"))
    assert mine.run(Store.BOOKS, lambda tx: outbox.withdraw(tx, "a", "o", NOW, "why")) == 0
    assert mine.run(Store.BOOKS, lambda tx: privacy.redact(tx, "a", "o", "r", NOW))
    assert not mine.run(Store.BOOKS, lambda tx: privacy.redact(tx, "a", "o", "r", NOW))
    assert not database.tenant("b").read(Store.BOOKS, lambda tx: privacy.redacted(tx, "b", "o"))
