"""Sentences the law wants on a document, in the buyer's language."""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta

from ladenbuch.domain.facts import TaxPoint
from ladenbuch.domain.profile import Profile

_MONTHS = {
    "de": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}


def advance_note(tax_point: TaxPoint, profile: Profile, locale: str) -> str:
    """The sentence of an invoice issued before the supply, '' when the goods had left.

    An invoice over money received in advance names the day of receipt instead of the supply and says so (UStG §14 (4)
    no. 6, UStAE 14.8 (1), (4)); the delivery month is an expectation, not a claim (a month is all the law asks for:
    UStDV §31 (4)), and is left out where the profile knows none. One issued with the order names
    no receipt and is marked as an advance invoice, or its tax would be owed (§14c (2)).
    """
    if tax_point.trigger == "fulfilment":
        return ""
    english = language_of(locale) == "en"
    if tax_point.trigger == "creation":
        text = (
            "Invoice before the supply (advance payment)"
            if english
            else "Rechnung vor Ausführung der Leistung (Vorauszahlung)"
        )
    else:
        paid = profile.local_date(tax_point.at)
        text = (
            f"Advance payment received on {paid:%d.%m.%Y}"
            if english
            else f"Vorauszahlung, Zahlung erhalten am {paid:%d.%m.%Y}"
        )
    if profile.dispatch_days is None:
        return f"{text}."
    expected = profile.local_date(tax_point.at + timedelta(days=profile.dispatch_days))
    month = f"{_MONTHS[language_of(locale)][expected.month - 1]} {expected.year}"
    if english:
        return f"{text}; delivery expected in {month}."
    return f"{text}, Lieferung voraussichtlich im {month}."


def correction_note(number: str, issued: date, locale: str) -> str:
    """Which invoice a credit note corrects: it must name it clearly (UStDV §31 (5) sentence 2)."""
    if language_of(locale) == "en":
        return f"Correction of invoice {number} of {issued:%d.%m.%Y}."
    return f"Korrektur der Rechnung {number} vom {issued:%d.%m.%Y}."


def one_line(text: str | None) -> str | None:
    """Text for one printed line: blanks folded, control and invisible characters gone; None when nothing is left."""
    if text is None:
        return None
    if text.isprintable():  # as nearly all are
        return " ".join(text.split()) or None
    shown = (
        char if char.isprintable() else " " if char.isspace() or unicodedata.category(char) == "Cc" else ""
        for char in text
    )
    return " ".join("".join(shown).split()) or None


def language_of(locale: str | None) -> str:
    """`de` unless the buyer's locale is another language, then `en`."""
    return "de" if not locale or locale.lower().startswith("de") else "en"
