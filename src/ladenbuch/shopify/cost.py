"""What a query costs, before it is sent, and how many points are left.

Shopify charges points per app and shop. Its formula is not published; this one was derived from measured queries:
scalars 0 · object 1 · list of objects 1 whatever its length · MoneyBag, MoneyV2, PageInfo, edges 0 · interface or
union: the most expensive branch · connection `2 + floor(2 ln first) x (1 + cost of a node)` · mutation 10.
A query above 1000 points is refused by Shopify on every plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import resources

from ladenbuch.bucket import Bucket, Sharing, Turn
from ladenbuch.errors import UsageError
from ladenbuch.shopify.answer import NO_COST, Cost

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


def what_is_wrong(document_text: str) -> str | None:
    """Why a text is no GraphQL document that could be sent, in one line; None when it is one."""
    from ladenbuch.shopify import estimate

    return estimate.what_is_wrong(document_text)


def estimate_cost(document_text: str, variables: Mapping[str, object] | None = None) -> int:
    """Predicted requested cost of the first operation, in points.

    The kind of a field is told from the document itself: a field with `nodes` or `edges` is a connection, one with
    only `shopMoney`/`presentmentMoney` or `amount`/`currencyCode` is money. The contract tests compare this reading
    with the types of the published schema.
    """
    from ladenbuch.shopify import estimate

    sizes = {name: value for name, value in (variables or {}).items() if isinstance(value, int)}
    return estimate.points(document_text, tuple(sorted(sizes.items())))


class CostGauge(Bucket):
    """The points of one app in one shop, shared by all threads that talk to it.

    Before the first answer it assumes 1000 points, what one query may cost at most, and 100 per second, the slowest
    plan, and lets one call through at a time; each answer then tells the plan's size, and a change of it.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        maximum: float = MAX_QUERY_COST,
        restore_rate: float = 100.0,
        known: bool = False,
        sharing: Sharing | None = None,
    ) -> None:
        super().__init__(clock, maximum, restore_rate, known=known, sharing=sharing)

    def answered(self, turn: Turn, told: Cost | None = None, *, refused: bool = False) -> None:
        """The call of `turn` ended; `told` is what its answer said of cost, `refused` that it was THROTTLED."""
        told = told or NO_COST
        spent = 0 if refused else told.actual
        self.settle(turn, spent, maximum=told.maximum, available=told.available, rate=told.restore_rate)

    def throttled_for(self, requested: int) -> float:
        """Seconds until `requested` points are there again after Shopify said THROTTLED: at least one."""
        return max(1.0, self.seconds_until(requested))
