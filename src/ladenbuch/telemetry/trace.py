"""One id from the webhook to the letter: what a thread works on, for every log line it writes meanwhile.

    with bound(trace=trace_of(webhook_id), tenant="t1", order="gid://…"):
        log.info("…")            # carries trace, tenant and order

The trace of a wish for a look at an order is kept in the order's mark, that of a letter in its row, so that it goes on
on another thread, another machine, or after a crash. It is the webhook's id, or says who else wanted it: `poll-…`,
`cli-…`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{7,63}")
_bound: ContextVar[Mapping[str, str]] = ContextVar("ladenbuch_bound", default=MappingProxyType({}))


@contextmanager
def bound(**values: str) -> Iterator[None]:
    """Log lines written inside carry `values` besides those bound already; the inner value wins."""
    token = _bound.set({**_bound.get(), **values})
    try:
        yield
    finally:
        _bound.reset(token)


def bindings() -> Mapping[str, str]:
    """What is bound here and now."""
    return _bound.get()


def current() -> str | None:
    """The trace that is bound here and now."""
    return _bound.get().get("trace")


def trace_of(webhook_id: str) -> str:
    """The trace of a delivery: its webhook id. The header is not signed, so what does not look like an id is hashed."""
    if _ID.fullmatch(webhook_id):
        return webhook_id
    return "webhook-" + hashlib.sha256(webhook_id.encode()).hexdigest()[:16]
