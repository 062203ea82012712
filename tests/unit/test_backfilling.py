"""What a backfill adds up to, when it will be done, and how it is told (B5)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.cli import backfilling as cli
from ladenbuch.domain.backfilling import Pace, Totals, as_json, count, expected, keys_hash, needs_settling
from ladenbuch.domain.document import RateSum
from ladenbuch.domain.preview import OrderPreview, Paper, Step, unreadable

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
RATES = st.sampled_from([Decimal(19), Decimal(7), Decimal("5.5")])


@st.composite
def previews(draw: st.DrawFn) -> OrderPreview:
    kinds = draw(st.lists(st.sampled_from(["invoice", "book_payment", "letter"]), max_size=3, unique=True))
    due = draw(st.booleans())
    sums = tuple(
        (rate, RateSum(gross, gross - 10, 10))
        for rate, gross in draw(st.dictionaries(RATES, st.integers(11, 10_000), max_size=2)).items()
    )
    month = draw(st.integers(1, 12))
    papers = (
        (Paper("invoices", "inv", "#1", "EUR", 1, date(2026, 1, 1), date(2025, month, 3), 0, sums, "c"),)
        if "invoice" in kinds and due
        else ()
    )
    codes = st.lists(st.sampled_from(["TIP", "VIES"]), max_size=2, unique=True).map(tuple)
    return OrderPreview(
        "gid://shopify/Order/1",
        "#1",
        "f",
        steps=tuple(Step(kind, f"{kind}:1", None if kind == "letter" else 100, due) for kind in kinds),
        papers=papers,
        waiting=draw(codes),
        attention=draw(codes),
        excluded=draw(st.sampled_from([None, "TEST", "BEFORE-GO-LIVE"])),
    )


def totals_of(items: list[OrderPreview]) -> Totals:
    found = Totals()
    for item in items:
        count(found, item, "refunds" if item.waiting else None)
    return found


@settings(max_examples=20)
@given(st.lists(previews(), max_size=5), st.integers(0, 5))
def test_b5_parts_of_a_period_add_up_however_it_is_cut(items: list[OrderPreview], cut: int) -> None:
    """Kept as JSON, read again and added: the same as counted at once."""
    first, second = (Counter(json.loads(json.dumps(totals_of(part)))) for part in (items[:cut], items[cut:]))
    first.update(second)
    assert as_json(first) == as_json(totals_of(items))


@settings(max_examples=20)
@given(st.lists(previews(), max_size=5))
def test_b5_every_figure_is_that_of_the_orders(items: list[OrderPreview]) -> None:
    told = as_json(totals_of(items))
    assert told["orders"] == len(items)
    assert told["to_settle"] == sum(map(needs_settling, items))
    assert told["with_actions"] == sum(item.acts for item in items)
    rates = [(paper, rate, total) for item in items for paper in item.papers for rate, total in paper.sums]
    assert sum(row["gross_minor"] for row in told["months"]) == sum(total.gross for _, _, total in rates)
    assert {row["month"] for row in told["months"]} == {f"{paper.taxed_on:%Y-%m}" for paper, _, _ in rates}
    assert [row["month"] for row in told["months"]] == sorted(row["month"] for row in told["months"])
    assert sum(told["attention"].values()) == sum(len(item.attention) for item in items)


def test_r22_what_lies_before_the_cut_off_is_left_alone_unless_it_asks() -> None:
    before = OrderPreview("o", "#1", "f", excluded="BEFORE-GO-LIVE")
    assert not needs_settling(before)
    assert needs_settling(OrderPreview("o", "#1", "f", excluded="BEFORE-GO-LIVE", attention=("ORIGIN-UNKNOWN",)))
    assert all(
        needs_settling(one) for one in (OrderPreview("o", "#1", "f", excluded="TEST"), unreadable("o", "#", "X"))
    )


def test_b5_as_planned_means_these_keys_and_no_others() -> None:
    item = OrderPreview("o", "#1", "f", applied=frozenset({"inv:1"}), steps=(Step("letter", "mail:1", None),))
    assert keys_hash({"mail:1", "inv:1", "anew:inv:1"}) == expected(item)
    assert keys_hash({"inv:1"}) != expected(item) != keys_hash({"inv:1", "mail:1", "cn:1"})


def test_when_it_will_be_done() -> None:
    assert Pace(120, 60.0).end(240, NOW) == NOW + timedelta(minutes=2)
    assert Pace(0, 60.0).end(1, NOW) is None
    assert Pace(0, 0.0).end(0, NOW) == NOW
    assert Pace(121, 120.0).per_minute == 60


DATA: dict[str, Any] = {
    "backfill": "b",
    "state": "done",
    "since": "2023-01-01",
    "until": "2026-01-01",
    "orders": {"as_planned": 1, "changed": 1, "stuck": 1},
    "plan": as_json(Totals({"orders": 3, "sum|2025-01|invoices|EUR|1|19|documents": 1, "attention|TIP": 1})),
}
ROWS = [
    dict(zip(cli._COLUMNS, row, strict=True))
    for row in (
        ("gid://shopify/Order/1", "#1", "2025-01-02", "invoice", "done", "SETTLED", None),
        ("gid://shopify/Order/2", "=1+1", "2025-01-02", "invoice", "changed", "SETTLED", None),
        ("gid://shopify/Order/3", "#3, ä", None, "", "stuck", "BUG", None),
    )
]


def test_the_report_as_json_csv_and_markdown() -> None:
    assert json.loads("".join(cli._json(DATA, iter(ROWS)))) == {**DATA, "order_list": ROWS}
    assert json.loads("".join(cli._json(DATA, iter([]))))["order_list"] == []
    read = list(csv.DictReader(io.StringIO("".join(cli._csv(DATA, iter(ROWS))))))
    assert [row["order"] for row in read] == [row["order"] for row in ROWS]
    assert read[1]["name"] == "'=1+1", "no spreadsheet takes a name for a formula"
    page = "".join(cli._markdown(DATA, iter(ROWS)))
    assert "| 2025-01 | invoices | 1 | 19 % | 1 | 0.00 | 0.00 | 0.00 |" in page
    assert "attention: TIP: 1" in page
    assert "| =1+1 | invoice | changed | SETTLED |" in page and "| #1 |" not in page
