"""Subscriptions made by the Admin API: list what a shop has, and make it what is wanted.

Every mutation may be repeated, because what is there is read before anything is done: after a lost answer the list is
read again. The second run of `ensure` therefore sends one query and no mutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.errors import Ambiguous, Rejected, Retryable
from ladenbuch.shopify.answer import Result
from ladenbuch.shopify.shapes import next_cursor, nodes
from ladenbuch.shopify.subscriptions import Actual, Change, Subscription, changes

#: `Admin.execute`: the name of a document and its variables.
Execute = Callable[[str, Mapping[str, object]], Result]

#: So many times in a row an answer may be lost before the rest is left for the next run.
_PATIENCE = 3
_UNDONE = "Shopify took it, and it is not there"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of `ensure` did. `refused` are changes Shopify did not take, each with its reason; `left` is what is
    still not as wanted."""

    mutations: int = 0
    done: tuple[str, ...] = ()
    refused: tuple[tuple[Change, str], ...] = ()
    left: tuple[Change, ...] = ()
    actual: tuple[Actual, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether everything is as wanted now."""
        return not self.left


def listed(execute: Execute) -> tuple[Actual, ...]:
    """All of the app's own subscriptions in the shop; those of its configuration file are never shown.

    Raises Rejected("SHOPIFY-SCOPE") and Retryable("SHOPIFY-PARTIAL") when the list is not complete.
    """
    return tuple(_pages(execute))


def _pages(execute: Execute) -> Iterator[Actual]:
    after: str | None = None
    while True:
        page = _root(execute("webhook_list", {"after": after}), "webhookSubscriptions")
        for node in nodes(page, "webhookSubscriptions"):
            yield Actual.of(node)
        after = next_cursor(page)
        if after is None:
            return


def ensure(execute: Execute, wanted: Sequence[Subscription]) -> Report:
    """Make the shop's subscriptions the wanted ones. What Shopify refuses is tried again only after something else was
    taken, then reported.

    Raises what `execute` raises, except `Ambiguous`: then the list is read again.
    """
    mutations, idle, done = 0, 0, list[str]()
    tried: dict[tuple[str, ...], tuple[Change, str]] = {}
    while True:
        actual = listed(execute)
        left = changes(wanted, actual)
        todo = [change for change in left if _key(change) not in tried]
        if not todo or idle == _PATIENCE:
            break
        before = len(done)
        for change in todo:
            tried[_key(change)] = (change, _UNDONE)
            try:
                for name, variables in _calls(change):
                    mutations += 1
                    _take(execute(name, variables))
            except Ambiguous:
                del tried[_key(change)]  # it may have happened: look before it is tried again
                break
            except Rejected as error:
                if error.code != "SUBSCRIPTION":
                    raise
                tried[_key(change)] = (change, error.message)
                continue
            done.append(f"{change.verb} {change.topic}")
        if len(done) > before:  # a name or address may be free now
            tried = {key: found for key, found in tried.items() if found[1] == _UNDONE}
            idle = 0
        else:
            idle += 1
    refused = tuple(tried[_key(change)] for change in left if _key(change) in tried)
    return Report(mutations, tuple(done), refused, left, actual)


def _calls(change: Change) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mutations of a change, in order: the new one is made before the old one goes."""
    wanted, actual = change.wanted, change.actual
    if wanted is not None and change.verb in ("create", "replace"):
        yield "webhook_create", {"topic": wanted.enum, "subscription": wanted.to_input()}
    if wanted is not None and actual is not None and change.verb == "update":
        yield "webhook_update", {"id": actual.id, "subscription": wanted.to_input()}
    if actual is not None and change.verb in ("delete", "replace"):
        yield "webhook_delete", {"id": actual.id}


def _take(result: Result) -> None:
    """Raises Rejected("SUBSCRIPTION") with Shopify's own words where it says no, Rejected("SHOPIFY-SCOPE")."""
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", "the app may not subscribe webhooks in this shop")
    if result.errors or len(result.data) != 1:
        raise Ambiguous("SHOPIFY-PARTIAL", "the answer about a subscription came back incomplete")
    (payload,) = result.data.values()
    errors = payload.get("userErrors") if isinstance(payload, dict) else None
    if errors is None:
        raise Ambiguous("SHOPIFY-PARTIAL", "the answer about a subscription came back incomplete")
    if errors:
        said = "; ".join(
            f"{'.'.join(error.get('field') or ())}: {error.get('message')}".strip(": ") for error in errors
        )
        raise Rejected("SUBSCRIPTION", said[:300])


def _root(result: Result, name: str) -> dict[str, Any]:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", "the app may not read its webhook subscriptions")
    page = result.data.get(name)
    if result.errors or not isinstance(page, dict):
        raise Retryable("SHOPIFY-PARTIAL", f"{name} came back incomplete")
    return page


def _key(change: Change) -> tuple[str, ...]:
    return (
        change.verb,
        change.topic,
        change.actual.id if change.actual else "",
        change.wanted.uri if change.wanted else "",
    )
