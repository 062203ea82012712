"""Scalars, references and errors as the service reads and writes them (facts 1.5, 1.6, 1.7)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
Json = dict[str, Any]

_GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_DIGITS = re.compile(r"\d{1,18}")
_FORM_KEY = re.compile(r"\[([^\]]*)\]")


class ApiError(Exception):
    """A refusal: HTTP status, message, and where known sevdesk's numeric code and the data that goes with it."""

    def __init__(self, status: int, message: str, code: int | None = None, data: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.data = list(data)


def refuse(message: str, code: int | None = None, status: int = 422, data: Sequence[object] = ()) -> NoReturn:
    """Raise a business refusal (422 unless said otherwise)."""
    raise ApiError(status, message, code, data)


def not_found(kind: str) -> NoReturn:
    """Code 151: the object does not exist."""
    raise ApiError(404, f"{kind} not found", 151)


# --- dates ---


def parse_date(value: object, field: str) -> date:
    """dd.mm.yyyy, YYYY-MM-DD, an ISO instant or unix seconds -> the calendar day in Berlin."""
    found = _date_or_none(value)
    if found is None:
        refuse(f"{field}: not a date")
    return found


def _date_or_none(value: object) -> date | None:
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | Decimal):
            return datetime.fromtimestamp(int(value), UTC).astimezone(BERLIN).date()
        if not isinstance(value, str):
            return None
        if match := _GERMAN.fullmatch(value):
            day, month, year = (int(part) for part in match.groups())
            return date(year, month, day)
        if _DIGITS.fullmatch(value):
            return datetime.fromtimestamp(int(value), UTC).astimezone(BERLIN).date()
        if "T" in value or " " in value.strip():
            instant = datetime.fromisoformat(value)
            return instant.date() if instant.tzinfo is None else instant.astimezone(BERLIN).date()
        return date.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=1024)
def date_out(day: date | None) -> str | None:
    """Midnight in Berlin, with the offset of that day."""
    return None if day is None else datetime.combine(day, time(), BERLIN).isoformat()


@lru_cache(maxsize=4096)
def instant_out(instant: datetime | None) -> str | None:
    """An instant with Berlin's offset, whole seconds."""
    return None if instant is None else instant.astimezone(BERLIN).replace(microsecond=0).isoformat()


@lru_cache(maxsize=1024)
def midnight(day: date) -> int:
    """Unix seconds of that day's first moment in Berlin, as date filters compare it."""
    return int(datetime.combine(day, time(), BERLIN).timestamp())


@lru_cache(maxsize=4096)
def local_day(instant: datetime) -> date:
    """The calendar day of an instant in Berlin."""
    return instant.astimezone(BERLIN).date()


# --- numbers ---


def parse_decimal(value: object, field: str) -> Decimal:
    """A JSON number or a decimal string -> exact Decimal; refuses booleans, infinities and absurd sizes."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        refuse(f"{field}: not a number")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        refuse(f"{field}: not a number")
    if not number.is_finite() or abs(number) >= Decimal(10) ** 11:
        refuse(f"{field}: not a number")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -8:
        refuse(f"{field}: too many decimals")
    return number


def to_cents(value: object, field: str) -> int:
    """An amount of at most two decimals -> integer cents."""
    cents = parse_decimal(value, field) * 100
    if cents != cents.to_integral_value():
        refuse(f"{field}: more than two decimals")
    return int(cents)


def plain(number: Decimal) -> str:
    """A number without trailing zeros, never in exponent notation: 11.90 -> "11.9"."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@lru_cache(maxsize=4096)
def cents_out(cents: int) -> str:
    """Integer cents as the service writes an amount: 1190 -> "11.9"."""
    return plain(Decimal(cents) / 100)


def cents_number(cents: int) -> int | Decimal:
    """Integer cents as a JSON number, for the few fields that are plain numbers (paidAmount)."""
    return cents // 100 if cents % 100 == 0 else Decimal(cents) / 100


def flag_out(value: bool) -> str:
    """Booleans come back as "0" and "1"."""
    return "1" if value else "0"


def parse_flag(value: object) -> bool:
    """true, 1, "1", "true" are true; everything else is false."""
    return value in (True, 1, "1", "true")


def parse_int(value: object) -> int | None:
    """An integer or a string of digits; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None


def text_or_none(value: object) -> str | None:
    """A string as it is, a number as text, anything else as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return None


# --- references ---


def ref(kind: str, identifier: int | None) -> Json | None:
    """{id, objectName}, the id as a string; None stays None."""
    return None if identifier is None else {"id": str(identifier), "objectName": kind}


def parse_ref(value: object, kind: str, field: str) -> int:
    """The id of {id, objectName: kind}; anything else is the service's well-known complaint."""
    if isinstance(value, Mapping) and value.get("objectName") == kind:
        identifier = parse_int(value.get("id"))
        if identifier is not None:
            return identifier
    refuse(f"{field}: expected array with 'id' and 'objectName'")


# --- bodies ---


def parse_body(body: bytes, content_type: str) -> Json:
    """A JSON or form-urlencoded object; an empty body is an empty object. Refuses everything else with 400."""
    if not body.strip():
        return {}
    try:
        if "x-www-form-urlencoded" in content_type:
            return _form(body.decode())
        parsed = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation):
        raise ApiError(400, "malformed request body") from None
    if not isinstance(parsed, dict):
        raise ApiError(400, "the request body must be an object")
    return parsed


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _form(text: str) -> Json:
    result: Json = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = [key.split("[", 1)[0], *_FORM_KEY.findall(key)]
        node = result
        for part in rest:
            child = node.setdefault(head, {})
            if not isinstance(child, dict):
                raise ValueError(key)
            node, head = child, part
        node[head] = value
    return result
