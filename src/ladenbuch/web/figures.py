"""Amounts, instants and days as the dashboard writes them: by language, instants in the time of Berlin."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent

from ladenbuch.domain.money import to_decimal
from ladenbuch.web.words import Language

_ZONE = ZoneInfo("Europe/Berlin")
_REGION: dict[Language, str] = {"de": "de_DE", "en": "en_GB"}


def number(language: Language, value: int) -> str:
    """A count, with the separators of the language."""
    return str(format_decimal(value, locale=_REGION[language]))


def tenths(language: Language, value: float) -> str:
    """A measured figure with one decimal."""
    return str(format_decimal(value, format="0.0", locale=_REGION[language]))


def percent(language: Language, share: Decimal) -> str:
    """A share (0 to 1) with two decimals."""
    return str(format_percent(share, format="0.00\u00a0%" if language == "de" else "0.00%", locale=_REGION[language]))


def money(language: Language, minor: int, currency: str = "EUR") -> str:
    """An amount of minor units with its currency."""
    return str(format_currency(Decimal(to_decimal(minor, currency)), currency, locale=_REGION[language]))


def moment(language: Language, at: datetime, pattern: str = "d. MMM y, HH:mm:ss") -> str:
    """An instant (aware), to the second unless `pattern` says otherwise."""
    pattern = pattern if language == "de" else pattern.replace("d.", "d")
    return str(format_datetime(at.astimezone(_ZONE), pattern, locale=_REGION[language]))


def day(language: Language, iso: str) -> str:
    """A date of the books (`2026-11-21`)."""
    return str(format_date(date.fromisoformat(iso), "d. MMM y" if language == "de" else "d MMM y", _REGION[language]))


def month(language: Language, first: date) -> str:
    """A month by its first day: `Oktober 2026`."""
    return str(format_date(first, "LLLL y", _REGION[language]))


def country(language: Language, code: str) -> str:
    """The name of a country, or its code where it has none."""
    return str(Locale.parse(_REGION[language]).territories.get(code, code))
