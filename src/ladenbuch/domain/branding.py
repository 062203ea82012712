"""How a merchant's letters look and what they say in the merchant's own words: part of the profile. Pure.

A text of the merchant's is no template: `{order}` and the other names in `PLACEHOLDERS` are filled in, once, with
values that are text; everything else stands as it was written. What the law wants in a letter (number, date, amounts)
is a table of its own, which no text replaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ladenbuch.errors import Rejected

#: What a merchant may write in their own words: each in `de` and `en`, each with these parts.
TEXTS = ("invoice", "correction", "cancellation", "payment", "refund", "reminder1", "reminder2", "reminder3")
PARTS = ("subject", "opening", "closing")
#: What may stand in braces, and what it becomes; empty where a letter has no such thing.
PLACEHOLDERS: Mapping[str, str] = {
    "name": "the buyer's name",
    "shop": "the shop's name",
    "order": "the order's name, such as #1001",
    "number": "the number of the document",
    "date": "the day of the document",
    "amount": "the amount of the document, with its currency",
    "open": "what is still owed",
    "due": "until when it is to be paid",
    "days": "for how many days it has been overdue",
    "reference": "the buyer's own number of the order",
}
#: Letters that go out only where the profile names them (`letters_also`).
ALSO = ("payment", "refund")
#: Who hands letters with a document over: us, or sevdesk's own mail service.
SENDERS = ("us", "sevdesk")

_LONGEST = {"subject": 120, "opening": 1000, "closing": 1000}
_NAMED = re.compile(r"\{([a-z]+)\}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_MAILBOX = re.compile(r"[^\s<>@,;:\"\\]{1,64}@[^\s<>@,;:\"\\]+\.[^\s<>@,;:\"\\]{2,}\Z")
_NAMED_MAILBOX = re.compile(r'"?[^<>"\r\n]*?"? *<(?P<spec>[^<>\s]+)>\Z|(?P<bare>[^<>\s]+)\Z')


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{name}` replaced by its value, once: what a value contains is not looked at again."""
    return _NAMED.sub(lambda found: values.get(found[1], found[0]), text)


def check(profile: Any) -> None:
    """Look at the letters' fields of a profile. Raises `Rejected("PROFILE")` that names the field."""
    for name in ("letters_from", "letters_reply_to"):
        text = getattr(profile, name)
        found = _NAMED_MAILBOX.match(text) if isinstance(text, str) else None
        if text != "" and (found is None or not _MAILBOX.match(found["spec"] or found["bare"])):
            raise Rejected("PROFILE", f"{name} must be an address like Shop <rechnung@shop.example>, or empty")
    for name in ("letters_bcc", "alerts_to"):
        text = getattr(profile, name)
        if not isinstance(text, str) or (text and not _MAILBOX.match(text)):
            raise Rejected("PROFILE", f"{name} must be one plain e-mail address, or empty")
    if profile.letters_colour != "" and not _COLOUR.match(str(profile.letters_colour)):
        raise Rejected("PROFILE", "letters_colour must be a colour like #1d6b5c, or empty")
    for name, most in (("letters_footer", 1000), ("letters_account", 200)):
        text = getattr(profile, name)
        if not isinstance(text, str) or len(text) > most:
            raise Rejected("PROFILE", f"{name} must be text of at most {most} characters")
    if profile.letters_by not in SENDERS:
        raise Rejected("PROFILE", f"letters_by must be one of {', '.join(SENDERS)}")
    if profile.alerts_language not in ("de", "en"):
        raise Rejected("PROFILE", "alerts_language must be one of de, en")


def also_of(value: object) -> tuple[str, ...]:
    """Which letters a profile chooses beyond those of its documents. Raises `Rejected("PROFILE")`."""
    if not isinstance(value, Sequence) or isinstance(value, str) or any(item not in ALSO for item in value):
        raise Rejected("PROFILE", f"letters_also must be a list out of {', '.join(ALSO)}")
    return tuple(item for item in ALSO if item in value)


def texts_of(value: object) -> dict[str, str]:
    """The merchant's own words, by names like `invoice.de.subject`. Raises `Rejected("PROFILE")`."""
    if not isinstance(value, Mapping):
        raise Rejected("PROFILE", "letters_texts must be an object: invoice.de.subject -> text")
    return {str(name): _text(str(name), text) for name, text in value.items()}


def _text(name: str, text: object) -> str:
    letter, _, rest = name.partition(".")
    language, _, part = rest.partition(".")
    if letter not in TEXTS or language not in ("de", "en") or part not in PARTS:
        example = f"one of {', '.join(TEXTS)}, then de or en, then {', '.join(PARTS)}"
        raise Rejected("PROFILE", f"letters_texts.{name} is no text of a letter: {example}")
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST[part]:
        raise Rejected("PROFILE", f"letters_texts.{name} must be text of at most {_LONGEST[part]} characters")
    if part == "subject" and len(text.splitlines()) > 1:
        raise Rejected("PROFILE", f"letters_texts.{name} must be one line")
    if "gutschrift" in text.lower():
        message = f"letters_texts.{name} must not use the word for self-billing (§14 (2)); say Rechnungskorrektur"
        raise Rejected("PROFILE", message)
    unknown = [found for found in _NAMED.findall(text) if found not in PLACEHOLDERS]
    if unknown:
        raise Rejected("PROFILE", f"letters_texts.{name} has an unknown placeholder {{{unknown[0]}}}")
    return text
