"""B9: every column is classified, the page is what the schema says, and the years are those of the law."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.db import Store, books_metadata, import_tables
from ladenbuch.domain.redaction import without_buyer
from ladenbuch.domain.retention import RULES, free_on, keep_until
from ladenbuch.workflows.inventory import TABLES, inventory, page
from ladenbuch.workflows.rotation import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "data-inventory.md"


def test_b9_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: ladenbuch privacy inventory > docs/reference/data-inventory.md"
    )


def test_b9_a_column_nobody_classified_stops_the_build() -> None:
    import_tables(Store.BOOKS)
    orders = books_metadata.tables["orders"]
    column = sa.Column("shoe_size", sa.Integer)
    orders.append_column(column)
    try:
        with pytest.raises(ValueError, match="shoe_size"):
            list(inventory())
    finally:
        orders._columns.remove(column)  # type: ignore[attr-defined]
    assert len(list(inventory())) == sum(len(table.kinds()) for table in TABLES.values())


def test_b9_whatever_is_sealed_is_personal_or_secret_and_every_rule_exists() -> None:
    found = {column.name: column for column in inventory()}
    assert {f"{column.store}.{column.name}" for column in COLUMNS} == {n for n, one in found.items() if one.sealed}
    assert {one.kind for one in found.values() if one.sealed} == {"personal", "secret"}
    in_the_clear = {name for name, one in found.items() if one.kind == "personal" and not one.sealed}
    assert in_the_clear == {
        "books.attention.message", "books.documents.tax", "books.intents.reason", "books.holds.subject",
        "books.vat_checks.vat_id", "books.vat_names.vat_id",
    }, "VAT ids that decide the tax, and nothing else"  # fmt: skip
    used = {rule for table in TABLES.values() for rule in (table.rule, *table.rules.values())}
    assert used <= RULES.keys()


@given(st.dates(date(2020, 1, 1), date(2060, 12, 31)), st.integers(8, 30))
def test_b9_a_document_is_kept_from_the_end_of_its_year(issued: date, years: int) -> None:
    last = keep_until(issued, years)
    assert (last.month, last.day) == (12, 31) and last.year - issued.year == years
    assert (free_on(issued, years) - last).days == 1
    assert keep_until(date(issued.year, 1, 1), years) == last


_TEXT = st.text("abcxyz", min_size=4)
_JSON = st.recursive(_TEXT | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner))


@settings(max_examples=30)
@given(_JSON, st.sampled_from(["email", "address1", "firstName", "emailAddress", "taxId", "phone", "note"]))
def test_b9_nothing_under_a_persons_field_survives_at_any_depth(around: object, name: str) -> None:
    secret = "Quendolin!"
    envelope = {
        "order": {"name": "#1", "deep": [{"deeper": {name: secret, "kept": around}}], "customer": {"id": secret}}
    }
    left = without_buyer(envelope)
    assert secret not in repr(left)
    assert (
        left["order"]["name"] == "#1"
        and left["order"]["deep"][0]["deeper"]["kept"] == without_buyer({"x": around})["x"]
    )
    assert without_buyer(left) == left
