"""Writing numbers, a link and a status to an order in the shop: compare and set, never over what others wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ladenbuch.errors import Rejected, Retryable
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.answer import Result

#: What Shopify says of a metafield that is not as we thought.
_STALE = ("STALE_OBJECT", "INVALID_COMPARE_DIGEST")


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the shop: metafields as key -> (value, digest), and all tags of the order."""

    metafields: Mapping[str, tuple[str, str]]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a write: digests of what was set; `stale`: a metafield was not as we thought, so none was set;
    `refused`: why else Shopify wrote nothing of it."""

    digests: Mapping[str, str] = field(default_factory=dict)
    stale: bool = False
    refused: str = ""


def standing(admin: Admin, order_id: str, namespace: str, keys: Sequence[str]) -> Standing | None:
    """What stands there; None where the order cannot be seen. Raises what `Admin.execute` does."""
    result = _whole(admin.execute("order_written", {"id": order_id, "namespace": namespace}), "order_written")
    order = result.data.get("order")
    if not isinstance(order, Mapping):
        return None
    found = {key: order.get(key) for key in keys}
    fields = {key: (str(one["value"]), str(one["compareDigest"])) for key, one in found.items() if one is not None}
    return Standing(fields, frozenset(str(tag) for tag in order.get("tags") or ()))


def write(
    admin: Admin,
    order_id: str,
    namespace: str,
    fields: Sequence[tuple[str, str, str, str | None]],
    tags: Sequence[str],
) -> Outcome:
    """Set metafields given as (key, type, value, digest or None where none may stand), and add tags.

    Raises what `Admin.execute` does: an `Ambiguous` write may have happened.
    """
    inputs = [
        {"ownerId": order_id, "namespace": namespace, "key": key, "type": type_, "value": value, "compareDigest": known}
        for key, type_, value, known in fields
    ]
    variables = {
        "id": order_id, "metafields": inputs, "tags": list(tags), "set": bool(inputs), "tag": bool(tags),
    }  # fmt: skip
    result = _whole(admin.execute("write_back", variables), "write_back")
    set_, tagged = result.data.get("metafieldsSet") or {}, result.data.get("tagsAdd") or {}
    errors = [*_errors(set_), *_errors(tagged)]
    digests = {str(one["key"]): str(one["compareDigest"]) for one in set_.get("metafields") or () if one is not None}
    stale = any(str(error.get("code")) in _STALE for error in errors)
    other = [error for error in errors if str(error.get("code")) not in _STALE]
    refused = "" if not other else str(other[0].get("code") or other[0].get("message") or "refused")[:100]
    return Outcome({} if stale else digests, stale, refused)


def _errors(payload: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [error for error in payload.get("userErrors") or () if isinstance(error, Mapping)]


def _whole(result: Result, name: str) -> Result:
    if result.has_code("ACCESS_DENIED"):
        raise Rejected("SHOPIFY-SCOPE", f"a scope for {name} is missing", detail={"document": name})
    if result.errors:
        raise Retryable("SHOPIFY-PARTIAL", f"{name} came back incomplete", detail={"document": name})
    return result
