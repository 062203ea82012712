"""Buyers of every kind, businesses abroad with their VAT ids too: none stands in a table but as held (S49).

`tests/acceptance/test_serve.py` asks the same of the real processes: files, engine, log and webhooks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from acceptance.dump import HELD, buyers, cells, found
from house import SHOP, TENANT, House
from ladenbuch import books, outbox
from ladenbuch.simulators.lives import generate
from ladenbuch.workflows.rotation import COLUMNS
from rotation_world import rows_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sealed-data.md"
END = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_s49_b9_only_what_is_held_names_a_buyer_in_the_clear(tmp_path: Path) -> None:
    lives = generate(3, 250, shop=SHOP, mix="wide", end=END, span=timedelta(days=1))
    business = [life for life in lives if buyers([life])["vat id"]][:8]
    asked = [life for life in lives if life.label.outcome == "attention"][:6]
    house = House(tmp_path, END - timedelta(days=2), {"letters": True, "oss_from": "2026-01-01"})
    try:
        house.live(*business, *asked, *lives[:6])
        told = {kind: texts for kind, texts in buyers([*business, *asked, *lives[:6]]).items() if texts}
        assert told.keys() == {"name", "email", "phone", "street", "company", "vat id"}
        filled = {place.split(".")[1] for place, _ in cells(tmp_path)}
        assert {"orders", "documents", "letters", "attention", "audit_entries", "vat_checks", "contacts"} <= filled
        seen = found(cells(tmp_path), told)
        assert seen == {place: kinds for place, kinds in HELD.items() if place in seen}
        assert len(seen) >= 3, "what is held is there"
        # And it is in there: opened, the same rows name them all.
        opens = house.ladenbuch.vault
        opened = [
            (column.name, opens.open(TENANT, column.purpose(row), column.row_id(row), column.sealed(row)))
            for column in (books.PINS, outbox.PAYLOADS)
            for row in rows_of(house.database, column, TENANT)
        ]
        assert {"documents.pins", "letters.payload"} <= found(opened, told).keys()
    finally:
        house.close()


def test_the_page_names_every_sealed_column_and_everything_held() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", page))
    assert {column.name for column in COLUMNS} <= named
    assert {place.removeprefix("books.") for place in HELD} <= named
