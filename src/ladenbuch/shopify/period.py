"""Which orders a shop has in a period, page by page, and whether the app may see all of them.

By `processed_at`, when the buyer bought: an imported order belongs to the day it was bought on. The search may be some
seconds behind; what it finds is read order by order anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from ladenbuch.domain.month import ListedOrder
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify import shapes
from ladenbuch.shopify.answer import Json, Result

Execute = Callable[[str, Mapping[str, object]], Result]

#: Without the scope `read_all_orders` Shopify shows no order older than this.
VISIBLE = timedelta(days=60)
#: Shopify ends a walk after 25,000 objects; a new one starts before that, at the last second seen.
_WALK_LIMIT = 24_500
_DOCUMENT = "orders_processed"


def orders_processed(execute: Execute, since: datetime, until: datetime) -> Iterator[str]:
    """The gids of `orders_listed`."""
    return (item.id for item in orders_listed(execute, since, until))


def orders_listed(execute: Execute, since: datetime, until: datetime) -> Iterator[ListedOrder]:
    """All orders processed in [since, until), oldest first, each once. Aware instants of whole seconds.

    Raises `Retryable("SHOPIFY-PARTIAL")` for an answer with holes, `Rejected("SHOPIFY-SCOPE")`, and what `execute`
    raises: a list with a gap is none.
    """
    known: set[str] = set()
    lower = since
    while True:
        seen, last = 0, lower
        for item in _walk(execute, lower, until):
            seen, last = seen + 1, item.processed_at
            if item.id not in known:
                known.add(item.id)
                yield item
            if seen >= _WALK_LIMIT and last.replace(microsecond=0) > lower:
                break
        else:
            return
        lower = last.replace(microsecond=0)


def hidden_before(installation: Json, now: datetime) -> datetime | None:
    """The instant before which Shopify shows this app no orders, or None when it may see all of them."""
    scopes = {item.get("handle") for item in shapes.nodes(installation.get("accessScopes"), "accessScopes")}
    return None if "read_all_orders" in scopes else now - VISIBLE


def _walk(execute: Execute, lower: datetime, upper: datetime) -> Iterator[ListedOrder]:
    query = f"status:any AND processed_at:>='{_stamp(lower)}' AND processed_at:<'{_stamp(upper)}'"
    after: str | None = None
    while True:
        page = _page(execute(_DOCUMENT, {"query": query, "after": after}))
        for node in shapes.nodes(page, "orders"):
            yield ListedOrder(
                shapes.text(node.get("id"), "orders.id"),
                shapes.text(node.get("name"), "orders.name"),
                shapes.instant(node.get("processedAt"), "orders.processedAt"),
                shapes.instant(node.get("updatedAt"), "orders.updatedAt"),
            )
        after = shapes.next_cursor(page)
        if after is None:
            return


def _page(result: Result) -> Json:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", f"a scope for {_DOCUMENT} is missing", detail={"document": _DOCUMENT})
    page = result.data.get("orders")
    if result.errors or not isinstance(page, dict):
        raise Retryable("SHOPIFY-PARTIAL", f"{_DOCUMENT} came back incomplete", detail={"document": _DOCUMENT})
    return page


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
