"""What a query costs, before it is sent, and how many points are left.

Shopify charges points per app and shop. Its formula is not published; this one was derived from measured queries:
scalars 0 · object 1 · list of objects 1 whatever its length · MoneyBag, MoneyV2, PageInfo, edges 0 · interface or
union: the most expensive branch · connection `2 + floor(2 ln first) x (1 + cost of a node)` · mutation 10.
A query above 1000 points is refused by Shopify on every plan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import resources

from ladenbuch.errors import UsageError
from ladenbuch.shopify.answer import Cost

#: No single query may cost more, whatever the plan.
MAX_QUERY_COST = 1000


@cache
def document(name: str) -> str:
    """The text of `queries/<name>.graphql`. Raises `UsageError("SHOPIFY-DOCUMENT")` when there is none."""
    file = resources.files("ladenbuch.shopify").joinpath("queries", f"{name}.graphql")
    if not file.is_file():
        raise UsageError("SHOPIFY-DOCUMENT", f"no document {name!r} in queries")
    return file.read_text(encoding="utf-8")


def documents() -> list[str]:
    """The names of all documents, sorted."""
    folder = resources.files("ladenbuch.shopify").joinpath("queries")
    return sorted(item.name.removesuffix(".graphql") for item in folder.iterdir() if item.name.endswith(".graphql"))


def is_mutation(document_text: str) -> bool:
    """Whether the document writes: then an unknown outcome must not be repeated blindly."""
    from ladenbuch.shopify import estimate  # it brings a whole GraphQL library, for those who call Shopify

    return estimate.is_mutation(document_text)


def estimate_cost(document_text: str, variables: Mapping[str, object] | None = None) -> int:
    """Predicted requested cost of the first operation, in points.

    The kind of a field is told from the document itself: a field with `nodes` or `edges` is a connection, one with
    only `shopMoney`/`presentmentMoney` or `amount`/`currencyCode` is money. The contract tests compare this reading
    with the types of the published schema.
    """
    from ladenbuch.shopify import estimate

    sizes = {name: value for name, value in (variables or {}).items() if isinstance(value, int)}
    return estimate.points(document_text, tuple(sorted(sizes.items())))


class CostGauge:
    """The points of one app in one shop, shared by all threads that talk to it.

    Knows what the last answer said, adds what flowed back since, and subtracts what is under way. Before the first
    answer it assumes 1000 points, what one query may cost at most, and 100 per second, the slowest plan.
    """

    def __init__(self, clock: Callable[[], datetime], *, maximum: float = 1000.0, restore_rate: float = 100.0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._maximum = maximum
        self._rate = restore_rate
        self._level = maximum
        self._at = clock()
        self._under_way = 0

    def available(self) -> float:
        """Points that a query sent now could use."""
        with self._lock:
            return self._now() - self._under_way

    def reserve(self, cost: int) -> float:
        """Take `cost` points. Returns 0.0 when they are taken, else the seconds after which to ask again.

        Whoever got 0.0 must call `settle` with the same cost, whatever happened to the call.
        """
        with self._lock:
            missing = cost - (self._now() - self._under_way)
            if missing <= 0 or (self._under_way == 0 and cost >= self._maximum <= self._now()):
                self._under_way += cost
                return 0.0
            return max(0.05, missing / self._rate)

    def settle(self, cost: int, told: Cost | None = None) -> None:
        """Give back a reservation; `told` is what the answer said about the bucket, where it said anything."""
        with self._lock:
            self._under_way = max(0, self._under_way - cost)
            if told is None or told.available is None:
                self._level = max(0.0, self._now() - cost)  # nobody knows: assume it was charged
                self._at = self._clock()
                return
            self._maximum = told.maximum or self._maximum
            self._rate = told.restore_rate or self._rate
            self._level = min(told.available, self._maximum)
            self._at = self._clock()

    def throttled_for(self, requested: int) -> float:
        """Seconds until `requested` points are there again after Shopify said THROTTLED: at least one."""
        with self._lock:
            return max(1.0, (requested - self._now()) / self._rate)

    def _now(self) -> float:
        elapsed = max(0.0, (self._clock() - self._at).total_seconds())
        return min(self._maximum, self._level + elapsed * self._rate)
