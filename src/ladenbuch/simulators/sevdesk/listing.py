"""List endpoints (facts 1.4): paging, the filters that work, those that do not, and the silence about the
rest.

A parameter nobody knows is ignored without a word and the whole list comes back. What was ignored is
counted in `World.ignored`, so that a test can find a misspelt filter the way nobody can at the real
service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from ladenbuch.simulators.sevdesk.wire import ApiError, Json, parse_int
from ladenbuch.simulators.sevdesk.world import World

Row = TypeVar("Row")
Test = Callable[[Row, str], bool]

_PAGING = {"limit", "offset", "countAll", "embed"}
_NESTED = re.compile(r"(\w+(?:\[\d+\])?)\[(id|objectName)\]")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


@dataclass(frozen=True)
class Nested(Generic[Row]):
    """A filter of two parameters, name[id] and name[objectName]: without the second it is not a filter."""

    object_name: str
    test: Callable[[Row, int], bool]


@dataclass(frozen=True)
class Query:
    """The parsed parameters of a list request."""

    plain: Mapping[str, str]
    nested: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Query:
        plain: dict[str, str] = {}
        nested: dict[str, dict[str, str]] = {}
        for key, value in pairs:
            match = _NESTED.fullmatch(key)
            if match:
                nested.setdefault(match[1], {})[match[2]] = value
            else:
                plain[key] = value
        return cls(plain, nested)

    def nested_id(self, name: str, object_name: str) -> int | None:
        pair = self.nested.get(name, {})
        return parse_int(pair.get("id")) if pair.get("objectName") == object_name else None


def flag(value: str | None) -> bool:
    return value in ("true", "1")


def page(
    world: World,
    query: Query,
    rows: Iterable[Row],
    write: Callable[[Row], Json],
    created: Callable[[Row], datetime],
    filters: Mapping[str, Test[Row]],
    nested: Mapping[str, Nested[Row]] | None = None,
) -> Json:
    """The answer of a list endpoint: filtered, cut to the page, `total` (a string) when countAll is asked
    for.
    """
    limit, offset = _window(query)
    tests: list[Callable[[Row], bool]] = []
    for name, value in query.plain.items():
        if name in filters:
            tests.append(_bind(filters[name], value))
        elif name not in _PAGING:
            world.ignored[f"filter {name}"] += 1
    for name in query.nested:
        rule = (nested or {}).get(name)
        identifier = query.nested_id(name, rule.object_name) if rule else None
        if rule is None or identifier is None:
            world.ignored[f"filter {name}"] += 1
        else:
            tests.append(_bind_nested(rule, identifier))
    if world.switches.list_delay_seconds > 0:
        horizon = world.now - timedelta(seconds=world.switches.list_delay_seconds)
        tests.append(lambda row: created(row) <= horizon)
    found = [row for row in rows if all(test(row) for test in tests)]
    answer: Json = {"objects": [write(row) for row in found[offset : offset + limit]]}
    if flag(query.plain.get("countAll")):
        answer = {"total": str(len(found)), **answer}
    return answer


def _bind(test: Test[Row], value: str) -> Callable[[Row], bool]:
    return lambda row: test(row, value)


def _bind_nested(rule: Nested[Row], identifier: int) -> Callable[[Row], bool]:
    return lambda row: rule.test(row, identifier)


def _window(query: Query) -> tuple[int, int]:
    limit = _number(query.plain.get("limit"), DEFAULT_LIMIT)
    offset = _number(query.plain.get("offset"), 0)
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        raise ApiError(400, f"limit must be between 1 and {MAX_LIMIT}")
    if offset is None:
        raise ApiError(400, "offset must be a number")
    return limit, offset


def _number(text: str | None, default: int) -> int | None:
    return default if text is None else parse_int(text)
