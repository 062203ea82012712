"""The limit of Shopify's legacy REST API: `X-Shopify-Shop-Api-Call-Limit: 32/40`.

We speak GraphQL only. The header is read when an `Admin` is told to (`read_call_limit`), which nothing does: a gateway
that answers with it would be noticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADER = "X-Shopify-Shop-Api-Call-Limit"

_SHAPE = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CallLimit:
    """So many calls of the bucket are used."""

    used: int
    size: int

    @property
    def left(self) -> int:
        """Calls that could be sent now."""
        return max(0, self.size - self.used)

    @property
    def full(self) -> bool:
        """Whether the next call would be refused."""
        return self.left == 0


def call_limit(header: str | None) -> CallLimit | None:
    """The header's two numbers; None when it is absent or is not two numbers with a size above zero."""
    found = _SHAPE.fullmatch(header or "")
    if found is None or int(found[2]) == 0:
        return None
    return CallLimit(int(found[1]), int(found[2]))
