"""The orders of a period, page by page: bounded, quoted, each once, and never a list with a hole in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ladenbuch.domain.month import ListedOrder
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import period
from ladenbuch.shopify.answer import PathError, Result
from ladenbuch.shopify.period import hidden_before, orders_listed, orders_processed

SINCE = datetime(2026, 10, 31, 23, tzinfo=UTC)
UNTIL = datetime(2026, 11, 30, 23, tzinfo=UTC)


class Shop:
    """Answers with two orders a page, out of those at or after the lower bound it was asked for."""

    def __init__(self, *moments: datetime) -> None:
        self.moments = moments
        self.asked: list[Mapping[str, Any]] = []

    def execute(self, name: str, variables: Mapping[str, Any]) -> Result:
        assert name == "orders_processed"
        self.asked.append(variables)
        lower = variables["query"].split("'")[1]
        found = [item for item in enumerate(self.moments) if f"{item[1]:%Y-%m-%dT%H:%M:%SZ}" >= lower]
        begin = int(variables["after"] or 0)
        nodes = [
            {"id": gid, "name": f"#{number}", "processedAt": at.isoformat(), "updatedAt": UNTIL.isoformat()}
            for number, at in found
            for gid in ids(number)
        ]
        page = {"hasNextPage": begin + 2 < len(nodes), "endCursor": str(begin + 2)}
        return Result({"orders": {"pageInfo": page, "nodes": nodes[begin : begin + 2]}})


def ids(*numbers: int) -> list[str]:
    return [f"gid://shopify/Order/{number}" for number in numbers]


def test_all_pages_with_quoted_bounds_in_utc() -> None:
    shop = Shop(*(SINCE + timedelta(hours=hour) for hour in range(5)))
    assert list(orders_processed(shop.execute, SINCE, UNTIL)) == ids(0, 1, 2, 3, 4)
    assert [item["after"] for item in shop.asked] == [None, "2", "4"]
    query = "status:any AND processed_at:>='2026-10-31T23:00:00Z' AND processed_at:<'2026-11-30T23:00:00Z'"
    assert {item["query"] for item in shop.asked} == {query}


def test_each_order_is_listed_with_its_name_and_its_instants() -> None:
    shop = Shop(SINCE, SINCE + timedelta(hours=1))
    assert list(orders_listed(shop.execute, SINCE, UNTIL)) == [
        ListedOrder(ids(0)[0], "#0", SINCE, UNTIL),
        ListedOrder(ids(1)[0], "#1", SINCE + timedelta(hours=1), UNTIL),
    ]


def test_a_new_walk_starts_before_the_limit_and_names_no_order_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period, "_WALK_LIMIT", 3)
    shop = Shop(*(SINCE + timedelta(hours=hour) for hour in (0, 1, 2, 2, 3, 4, 5)))
    assert list(orders_processed(shop.execute, SINCE, UNTIL)) == ids(0, 1, 2, 3, 4, 5, 6)
    assert len({item["query"] for item in shop.asked}) > 1


@pytest.mark.parametrize(
    ("result", "kind", "code"),
    [
        (Result({"orders": None}, (PathError("ACCESS_DENIED", ("orders",)),)), Rejected, "SHOPIFY-SCOPE"),
        (Result({"orders": {"nodes": []}}, (PathError("INTERNAL", ("orders",)),)), Retryable, "SHOPIFY-PARTIAL"),
        (Result({}), Retryable, "SHOPIFY-PARTIAL"),
        (Result({"orders": {"nodes": [{"id": None}]}}), Rejected, "ORDER-SHAPE"),
    ],
)
def test_a_list_with_a_hole_is_none(result: Result, kind: type[Exception], code: str) -> None:
    with pytest.raises(kind) as raised:
        list(orders_processed(lambda name, variables: result, SINCE, UNTIL))
    assert raised.value.code == code  # type: ignore[attr-defined]


def test_old_orders_are_hidden_without_the_scope() -> None:
    scopes = [{"handle": "read_orders"}]
    assert hidden_before({"accessScopes": scopes}, UNTIL) == UNTIL - timedelta(days=60)
    assert hidden_before({"accessScopes": [*scopes, {"handle": "read_all_orders"}]}, UNTIL) is None
