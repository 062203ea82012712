"""The words of a letter: subject, table and prose of each kind, in both languages and both forms. Pure.

One template says a kind's prose in one language; it is rendered twice, as text and as HTML, so that the two never say
different things. The table (number, day, amounts) is made here and stands in every letter, whatever a merchant's own
words are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date as Date
from decimal import Decimal
from functools import cache
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ladenbuch.domain.branding import filled
from ladenbuch.domain.money import to_decimal
from ladenbuch.mail.addresses import lines, plain, unlinked
from ladenbuch.mail.letters import Brand, Language, Letter, Words

_REGION: dict[Language, str] = {"de": "de_DE", "en": "en_GB"}
#: A space at which no line ends.
_STAYS = "\u00a0"
#: How wide the text form is.
_WIDTH = 72

#: Subjects by text (a reminder has three, and three more where there is no invoice yet), German and English.
_SUBJECTS = {
    "invoice": ("Ihre Rechnung {number} zur Bestellung {order}", "Your invoice {number} for order {order}"),
    "correction": (
        "Ihre Rechnungskorrektur {number} zur Bestellung {order}",
        "Correction {number} of your invoice for order {order}",
    ),
    "cancellation": (
        "Ihre Rechnung {corrects} zur Bestellung {order} ist storniert",
        "Your invoice {corrects} for order {order} is cancelled",
    ),
    "payment": ("Ihre Zahlung zur Rechnung {number} ist da", "We have received your payment for invoice {number}"),
    "refund": ("Erstattung zu Ihrer Bestellung {order}", "Refund for your order {order}"),
    "reminder1": ("Zahlungserinnerung zur Rechnung {number}", "Payment reminder for invoice {number}"),
    "reminder2": ("Mahnung zur Rechnung {number}", "Second reminder for invoice {number}"),
    "reminder3": ("Letzte Mahnung zur Rechnung {number}", "Final reminder for invoice {number}"),
    "waiting1": ("Ihre Bestellung {order} wartet auf Ihre Zahlung", "Your order {order} is waiting for your payment"),
    "waiting2": ("Ihre Bestellung {order} ist noch nicht bezahlt", "Your order {order} has not been paid yet"),
    "waiting3": ("Letzte Erinnerung zu Ihrer Bestellung {order}", "Last reminder for your order {order}"),
}
#: What the table says, in this order; a row without a value is left out. Bold rows end in `!`; a label may break where
#: its soft hyphen is.
_ROWS = {
    "invoice": ("invoice!", "issued", "order", "reference", "amount!", "due", "account"),
    "correction": ("correction!", "issued", "corrects", "order", "refunded!"),
    "cancellation": ("cancellation!", "issued", "cancelled!", "order", "cancelled_amount"),
    "payment": ("invoice", "order", "came", "received!"),
    "refund": ("order", "on", "refunded!"),
    "reminder": ("invoice!", "issued", "order", "reference", "due", "amount", "open!", "until!", "account"),
}
_LABELS = {
    "invoice": ("Rechnung", "Invoice"),
    "correction": ("Rechnungs\u00adkorrektur", "Correction"),
    "cancellation": ("Storno\u00adrechnung", "Cancel\u00adlation"),
    "corrects": ("Zur Rechnung", "Of invoice"),
    "cancelled": ("Storniert", "Cancelled"),
    "issued": ("Datum", "Date"),
    "order": ("Bestellung", "Order"),
    "reference": ("Ihr Zeichen", "Your reference"),
    "amount": ("Betrag", "Amount"),
    "cancelled_amount": ("Betrag", "Amount"),
    "received": ("Betrag", "Amount"),
    "refunded": ("Erstattet", "Refunded"),
    "open": ("Noch offen", "Still due"),
    "due": ("Fällig am", "Due on"),
    "until": ("Zahlbar bis", "To be paid by"),
    "on": ("Datum", "Date"),
    "came": ("Eingang", "Received"),
    "account": ("Konto", "Account"),
}
_COPY = ("Kopie für Ihr Archiv. Der Brief ging an {to}.", "Copy for your archive. The letter went to {to}.")
#: What stands in every letter to a buyer.
_FRAME = {
    "greeting": ("Guten Tag", "Hello"),
    "questions": (
        "Bei Fragen antworten Sie einfach auf diese E-Mail.",
        "If you have any questions, simply reply to this e-mail.",
    ),
    "regards": ("Freundliche Grüße", "Kind regards"),
}


def worded(letter: Letter, brand: Brand, language: Language, *, with_pdf: bool, copied_from: str = "") -> Words:
    """Everything a letter says; `copied_from` is whom the letter went to that this is the archive's copy of."""
    values = _values(letter, brand, language)
    slot = _slot(letter)
    said = {
        part: brand.texts.get(f"{_text_of(letter)}.{language}.{part}", "") for part in ("subject", "opening", "closing")
    }
    subject = plain(filled(said["subject"], values), 200) or filled(_SUBJECTS[slot][language == "en"], values)
    words: dict[str, Any] = {
        **values,
        "kind": letter.kind,
        "level": letter.level,
        "subject": subject,
        "opening": _paragraphs(said["opening"], values),
        "closing": _paragraphs(said["closing"], values),
        "rows": _rows(letter, brand, values, language),
        "paid": letter.paid,
        "e_invoice": letter.e_invoice,
        "with_pdf": with_pdf,
        "prepaid": not letter.number,
        "part_paid": 0 < letter.open < letter.amount,
        "preface": _COPY[language == "en"].format(to=copied_from) if copied_from else "",
    }
    return rendered(f"{letter.kind}.{language}", words, brand, language, subject)


def rendered(template: str, words: Mapping[str, Any], brand: Brand, language: Language, subject: str) -> Words:
    """A template in both forms, in the frame of the tenant."""
    frame = {
        **{name: said[language == "en"] for name, said in _FRAME.items()},
        "language": language,
        "subject": subject,
        "shop": plain(brand.shop_name),
        "colour": brand.colour,
        "footer": lines(brand.footer).split("\n") if brand.footer else [],
    }
    html, text = (_environment(form).get_template(f"{template}.jinja").render({**words, **frame}) for form in _FORMS)
    return Words(language, subject, re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n", html)


def amount_text(minor: int, currency: str, language: Language) -> str:
    """`1.234,56 €` or `€1,234.56`."""
    return format_currency(Decimal(to_decimal(minor, currency)), currency, locale=_REGION[language])


def day_text(day: Date | None, language: Language) -> str:
    """`5. November 2026`, kept on one line; nothing where there is none."""
    return "" if day is None else format_date(day, "long", locale=_REGION[language]).replace(" ", _STAYS)


def _text_of(letter: Letter) -> str:
    """Which of the merchant's texts (`domain.branding.TEXTS`) is meant for it; none where there is no invoice yet."""
    if letter.kind != "reminder":
        return letter.kind
    return f"reminder{letter.level}" if letter.number else ""


def _slot(letter: Letter) -> str:
    return f"waiting{letter.level}" if letter.kind == "reminder" and not letter.number else _text_of(letter)


def _values(letter: Letter, brand: Brand, language: Language) -> dict[str, str]:
    """What placeholders and templates may say, each one plain line."""
    due = letter.due if letter.due is not None and (letter.issued is None or letter.due > letter.issued) else None
    return {
        "name": unlinked(letter.to_name),
        "shop": plain(brand.shop_name),
        "order": plain(letter.order, 60),
        "number": plain(letter.number, 60),
        "corrects": plain(letter.corrects, 60),
        "date": day_text(letter.issued, language),
        "on": day_text(letter.on, language),
        "amount": amount_text(letter.amount, letter.currency, language),
        "open": amount_text(letter.open, letter.currency, language),
        "due": day_text(due, language),
        "until": day_text(letter.until, language),
        "days": str(letter.days),
        "since": _since(letter.days, language),
        "reference": unlinked(letter.reference, 60),
        "account": plain(brand.account, 200),
    }


def _since(days: int, language: Language) -> str:
    """How long a payment has been due; nothing where that is not known."""
    if days <= 0:
        return ""
    if language == "en":
        return "for one day" if days == 1 else f"for {days}{_STAYS}days"
    return "seit einem Tag" if days == 1 else f"seit {days}{_STAYS}Tagen"


def _rows(letter: Letter, brand: Brand, values: Mapping[str, str], language: Language) -> list[tuple[str, str, bool]]:
    """The table: label, value, bold."""
    shown = {**values, "issued": values["date"]}
    shown |= dict.fromkeys(("invoice", "correction", "cancellation"), values["number"])
    shown |= dict.fromkeys(("refunded", "received", "cancelled_amount"), values["amount"])
    shown |= {"cancelled": values["corrects"], "came": values["on"]}
    if letter.kind == "invoice" and letter.paid:
        shown |= {"due": "", "account": ""}
    if letter.kind == "reminder" and letter.open in (0, letter.amount):
        shown["amount"] = ""
        shown["open"] = values["open"] if letter.open else values["amount"]
    rows = []
    for name in _ROWS[letter.kind]:
        key = name.rstrip("!")
        if shown.get(key):
            rows.append((_LABELS[key][language == "en"], shown[key].replace(_STAYS, " "), name.endswith("!")))
    return rows


def _paragraphs(text: str, values: Mapping[str, str]) -> list[list[str]]:
    """The merchant's own words: paragraphs of lines."""
    said = lines(filled(text, values)) if text else ""
    return [part.split("\n") for part in said.split("\n\n") if part.strip()]


# -- rendering ----------------------------------------------------------------------------------------------------

_FORMS = ("html", "text")


@cache
def _environment(form: str) -> Environment:
    """One for each form: the same templates, between another frame and other parts."""
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("ladenbuch.mail", "templates"),
        autoescape=form == "html",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fill": _fill, "below": _below, "table": _table, "spaced": _spaced}
    parts = environment.get_template(f"_parts.{form}.jinja").module
    environment.globals |= {name: getattr(parts, name) for name in ("p", "rows_of", "items_of")}
    environment.globals["frame"] = f"_frame.{form}.jinja"
    return environment


def _spaced(text: str) -> str:
    """One line of a template's lines; spaces that may not break stay, and what is escaped stays so."""
    return type(text)(re.sub(r"[ \t\n]+", " ", text).strip(" "))


def _fill(text: str) -> str:
    return textwrap.fill(_spaced(text), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _below(text: str) -> str:
    """The same, further lines indented by two."""
    return textwrap.fill(
        _spaced(text), _WIDTH - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _table(rows: Sequence[tuple[str, str, bool]]) -> str:
    """The table as text: labels in a column, long values broken below their beginning."""
    rows = [(label.replace("\u00ad", ""), value, strong) for label, value, strong in rows]
    wide = max((len(label) for label, _, _ in rows), default=0) + 2
    said = []
    for label, value, _ in rows:
        head = f"  {label:{wide}}"
        more = " " * len(head)
        said.append(textwrap.fill(value, _WIDTH, initial_indent=head, subsequent_indent=more, break_long_words=False))
    return "\n".join(said)
