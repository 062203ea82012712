"""The shapes Admin JSON comes in: lists and connections, ids, instants, rates.

Every function takes what a JSON parser may give and returns a value or raises `Rejected("ORDER-SHAPE", path)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ladenbuch.errors import Rejected

Json = Mapping[str, Any]
#: What a JSON object is; what a parser gives comes first, which is found without asking the abstract class.
OBJECT = (dict, Mapping)

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII
)
#: Beyond these, time zones and delivery dates leave the calendar.
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_RATE = re.compile(r"\d{1,6}(?:\.\d{1,12})?", re.ASCII)


def nodes(value: object, path: str, *, keep_holes: bool = False) -> list[Any]:
    """The nodes of a list or connection; null gives an empty list. With `keep_holes` nulls inside stay in place."""
    if isinstance(value, OBJECT):
        if "nodes" in value:
            value = value["nodes"]
        elif "edges" in value:
            value = [edge.get("node") if isinstance(edge, OBJECT) else None for edge in edges(value, path)]
    if value is None:
        return []
    if not isinstance(value, list):
        raise Rejected("ORDER-SHAPE", path)
    return [item for item in value if keep_holes or isinstance(item, OBJECT)]


def edges(value: object, path: str) -> list[Any]:
    """The edges of a connection (dicts with `cursor` and `node`)."""
    found = value.get("edges") if isinstance(value, OBJECT) else None
    if found is None:
        return []
    if not isinstance(found, list):
        raise Rejected("ORDER-SHAPE", path)
    return [edge for edge in found if isinstance(edge, OBJECT)]


def next_cursor(value: object) -> str | None:
    """Where the next page of a connection begins, None when this was the last one."""
    page = value.get("pageInfo") if isinstance(value, OBJECT) else None
    if not isinstance(page, OBJECT) or page.get("hasNextPage") is not True:
        return None
    cursor = page.get("endCursor")
    return cursor if isinstance(cursor, str) else None


def text(value: object, path: str) -> str:
    """A non-empty string, else `Rejected("ORDER-SHAPE", path)`."""
    if not isinstance(value, str) or not value:
        raise Rejected("ORDER-SHAPE", path)
    return value


def instant(value: object, path: str) -> datetime:
    """An ISO 8601 instant with a zone and up to nanoseconds, as aware UTC with microseconds (cut, not rounded)."""
    found = _instant(value) if isinstance(value, str) and len(value) <= 40 else None
    if found is None:
        raise Rejected("ORDER-SHAPE", path)
    return found


@lru_cache(maxsize=4096)  # an order names the same few again and again
def _instant(value: str) -> datetime | None:
    match = _INSTANT.fullmatch(value)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, off_hours, off_minutes = match.groups()
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        return None
    micro = int((fraction or "0").ljust(6, "0")[:6])
    offset = timedelta()
    if sign:
        offset = timedelta(hours=int(off_hours), minutes=int(off_minutes)) * (-1 if sign == "-" else 1)
    try:
        zone = timezone(offset)
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micro, zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def percent(value: object, percentage: object, path: str) -> Decimal | None:
    """A tax rate in percent from Shopify's fraction (`0.19` -> `19`), else from `ratePercentage`; None when neither."""
    rate = _rate(value, path)
    if rate is not None:
        return _plain(rate * 100)
    rate = _rate(percentage, path)
    return None if rate is None else _plain(rate)


def _rate(value: object, path: str) -> Decimal | None:
    if value is None:
        return None
    # A float can only come from somebody else's JSON parser; its shortest text is the number that was sent.
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        shown = format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)
        if _RATE.fullmatch(shown):
            return Decimal(shown)
    raise Rejected("ORDER-SHAPE", path)


def _plain(rate: Decimal) -> Decimal:
    whole = rate.to_integral_value()
    return whole.quantize(Decimal(1)) if rate == whole else rate.normalize()


def mapping(value: object, path: str) -> Json:
    """A JSON object, else `Rejected("ORDER-SHAPE", path)`."""
    if not isinstance(value, OBJECT):
        raise Rejected("ORDER-SHAPE", path)
    return value


def optional(value: object) -> str | None:
    """A non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def maybe_instant(value: object, path: str) -> datetime | None:
    """An instant or null."""
    return None if value is None else instant(value, path)


def count(value: object, path: str, *, default: int | None = None) -> int:
    """An integer, never a bool or a fraction; null gives `default` where there is one."""
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise Rejected("ORDER-SHAPE", path)
    return value


def texts(value: object, path: str) -> tuple[str, ...]:
    """The strings of a list; null gives none."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Rejected("ORDER-SHAPE", path)
    return tuple(item for item in value if isinstance(item, str))


def gid(value: object) -> str | None:
    """The `id` of an object, None when there is no object."""
    return optional(value.get("id")) if isinstance(value, OBJECT) else None


def part(value: object, key: str) -> object:
    """A field of an object, None when there is no object."""
    return value.get(key) if isinstance(value, OBJECT) else None
