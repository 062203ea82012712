"""Reading what sevdesk says: tolerant of its many spellings of one value, strict about the value itself.

Live answers write numbers as strings, booleans as "0"/"1", a quantity of 1 as `true`, single objects bare,
wrapped in `objects`, or as a list of one. Every reader here takes any of these and returns one Python type,
or raises `Rejected("SEVDESK-SHAPE")`: a value that cannot be read is never replaced by a guess. No float is
ever made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected

#: sevdesk's calendar: dates come back as midnight in Berlin, with the offset written out.
BERLIN = ZoneInfo("Europe/Berlin")

Json = Mapping[str, Any]
#: What a JSON object is; what a parser gives comes first, which is found without asking the abstract class.
OBJECT = (dict, Mapping)


def shape(what: str) -> Rejected:
    """The error for an answer that does not look as expected. Names the field, never its content."""
    return Rejected("SEVDESK-SHAPE", f"the answer's {what} is not what sevdesk is known to send")


def parse(body: bytes) -> Any:
    """JSON without floats. Raises `ValueError` for anything else (also for NaN and Infinity)."""
    return json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def unwrap(body: Any) -> Any:
    """What the answer is about: the content of `objects` where that wrapper is present."""
    if isinstance(body, OBJECT) and "objects" in body:
        return body["objects"]
    return body


def one(body: Any, what: str) -> Json:
    """The single object of an answer: bare, wrapped, or the only element of a list."""
    found = unwrap(body)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, OBJECT):
        raise shape(what)
    return found


def many(body: Any, what: str) -> list[Json]:
    """The objects of a list answer; null and a missing list are an empty list only inside the wrapper."""
    found = unwrap(body)
    if found is None and isinstance(body, OBJECT):
        return []
    if not isinstance(found, list) or not all(isinstance(item, OBJECT) for item in found):
        raise shape(what)
    return found


def text(value: Any) -> str | None:
    """A string; numbers are written out, null and the empty string are None."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return str(value)
    raise shape("text")


def plain(value: str) -> str:
    """Text without control characters (new lines and tabs stay) and without halves of broken emoji."""
    whole = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(char for char in whole if char in "\n\t" or (char >= " " and char != "\x7f"))


def decimal(value: Any, what: str) -> Decimal:
    """A number however it is written; `true` counts as 1 (seen for quantities)."""
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, (int, Decimal, str)):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise shape(what) from None
        if number.is_finite():
            return number
    raise shape(what)


def integer(value: Any, what: str) -> int:
    """A whole number however it is written."""
    number = decimal(value, what)
    if number != number.to_integral_value() or abs(number) >= Decimal(10) ** 18:
        raise shape(what)
    return int(number)


def cents(value: Any, what: str) -> int:
    """An amount in minor units; null is nothing. A fraction of a cent is refused, never rounded away."""
    if value is None or value == "":
        return 0
    try:
        return to_minor(decimal(value, what))
    except Rejected:
        raise shape(what) from None


def flag(value: Any) -> bool:
    """A truth value: true/false, 1/0, "1"/"0"; null is False."""
    if isinstance(value, str):
        if value.strip().lower() in ("", "0", "false", "null"):
            return False
        if value.strip().lower() in ("1", "true"):
            return True
        raise shape("flag")
    if value is None or isinstance(value, (bool, int, Decimal)):
        return bool(value)
    raise shape("flag")


def identity(value: Any, what: str) -> str:
    """An id as the digits it is made of: `"71"`, `71` and `{"id": "71"}` are the same."""
    found = value.get("id") if isinstance(value, OBJECT) else value
    if isinstance(found, bool):
        raise shape(what)
    written = str(found) if isinstance(found, (int, str)) else ""
    if not (written.isascii() and written.isdigit()):
        raise shape(what)
    return written


def identity_or_none(value: Any, what: str) -> str | None:
    """Like `identity`, but null, an empty string and an empty reference are None."""
    if value is None or value in ("", 0, "0"):
        return None
    if isinstance(value, OBJECT) and value.get("id") in (None, "", 0, "0"):
        return None
    return identity(value, what)


def instant(value: Any, what: str) -> datetime | None:
    """An instant: ISO with offset, unix seconds, or dd.mm.yyyy (midnight in Berlin). Without offset it is
    Berlin time.
    """
    written = text(value)
    if written is None or written.startswith("0000"):
        return None
    try:
        if written.isdigit():
            return datetime.fromtimestamp(int(written), UTC)
        if len(written) == 10 and written[2] == written[5] == ".":
            return datetime(int(written[6:]), int(written[3:5]), int(written[:2]), tzinfo=BERLIN)
        found = datetime.fromisoformat(written)
    except (ValueError, OverflowError, OSError):
        raise shape(what) from None
    return found if found.tzinfo else found.replace(tzinfo=BERLIN)


def day(value: Any, what: str) -> date | None:
    """A calendar day in Berlin, whatever notation it came in."""
    found = instant(value, what)
    return found.astimezone(BERLIN).date() if found else None


def german(value: date) -> str:
    """A day as sevdesk takes it everywhere: dd.mm.yyyy."""
    return value.strftime("%d.%m.%Y")


def midnight(value: date) -> int:
    """The unix second at which a day begins in Berlin."""
    return int(datetime(value.year, value.month, value.day, tzinfo=BERLIN).timestamp())
