"""What the Admin API answered, read without I/O: partial data is kept, errors are known by path and code.

A field whose scope is missing comes back as null together with an entry in `errors`, while the rest of `data` is
valid; throttling is an HTTP 200 with the code THROTTLED. Numbers with a fraction are read as `Decimal`, never float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PathError:
    """One entry of `errors`. `path` is where it happened (`("order", "customer")`), empty for the whole request."""

    code: str
    path: tuple[str | int, ...] = ()
    message: str = field(default="", repr=False)

    @property
    def dotted(self) -> str:
        """The path as text, `order.lineItems.nodes.0.taxLines`."""
        return ".".join(str(step) for step in self.path)


@dataclass(frozen=True, slots=True)
class FieldCost:
    """What one field was charged for, in points: itself, what is below it, and both."""

    path: tuple[str, ...]
    own: int
    children: int
    total: int


@dataclass(frozen=True, slots=True)
class Cost:
    """`extensions.cost`: points asked for and used, and the state of the bucket (None when it was not told).

    `fields` is there when the request asked for it.
    """

    requested: int | None = None
    actual: int | None = None
    maximum: float | None = None
    available: float | None = None
    restore_rate: float | None = None
    fields: tuple[FieldCost, ...] = ()


#: Nothing was said about cost.
NO_COST = Cost()


@dataclass(frozen=True, slots=True)
class Result:
    """An answer: `data` may have holes, each named in `errors`.

    `version` is the API version that answered; `version_fell_forward` is True when it is not the one asked for.
    `deprecated` is the text of Shopify's deprecation header, or None.
    """

    data: Json
    errors: tuple[PathError, ...] = ()
    cost: Cost = NO_COST
    version: str | None = None
    version_fell_forward: bool = False
    deprecated: str | None = None

    def has_code(self, code: str) -> bool:
        """Whether any error carries this code."""
        return any(error.code == code for error in self.errors)


def decode(body: bytes) -> tuple[Json | None, tuple[PathError, ...], Cost]:
    """Read a response body into (data, errors, cost). `data` is None when there is none.

    Raises `ValueError` when the body is not a JSON object: then nobody knows who answered.
    """
    try:
        document = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not a JSON object") from error
    data = document.get("data")
    return (data if isinstance(data, dict) else None), _errors(document.get("errors")), _cost(document)


def _errors(entries: object) -> tuple[PathError, ...]:
    if isinstance(entries, str):  # REST style, sent by gateways in front of GraphQL
        return (PathError("UNNAMED", (), entries[:200]),)
    if not isinstance(entries, list):
        return ()
    return tuple(_error(entry) for entry in entries if isinstance(entry, Mapping))


def _error(entry: Mapping[str, Any]) -> PathError:
    extensions = entry.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    path = entry.get("path")
    steps = [step for step in path if isinstance(step, (str, int))] if isinstance(path, list) else []
    return PathError(str(code or "UNNAMED"), tuple(steps), str(entry.get("message", ""))[:200])


def _cost(document: Mapping[str, Any]) -> Cost:
    extensions = document.get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, Mapping) else None
    if not isinstance(cost, Mapping):
        return Cost()
    found = cost.get("throttleStatus")
    status: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    requested, actual = _number(cost.get("requestedQueryCost")), _number(cost.get("actualQueryCost"))
    return Cost(
        requested=None if requested is None else int(requested),
        actual=None if actual is None else int(actual),
        maximum=_number(status.get("maximumAvailable")),
        available=_number(status.get("currentlyAvailable")),
        restore_rate=_number(status.get("restoreRate")),
        fields=tuple(_fields(cost.get("fields"))),
    )


def _fields(entries: object) -> Iterator[FieldCost]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("path"), list):
            names = ("definedCost", "requestedChildrenCost", "requestedTotalCost")
            own, children, total = (int(_number(entry.get(name)) or 0) for name in names)
            yield FieldCost(tuple(str(step) for step in entry["path"]), own, children, total)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    return float(value) if -(10**9) < value < 10**9 else None
