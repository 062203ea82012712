"""What letters say: every kind of them, to buyers in German or English, in a merchant's branding, as values.

`wording` makes words of them, `writing` messages; all three are pure: no clock, no network, no settings.

Everything in a `Letter` may have been typed by a stranger at a checkout. Therefore
  - control characters, line breaks and direction overrides become spaces before anything else happens (no
    header can be added),
  - the templates are fixed files in a sandbox; a field is only ever a value, so `{{7*7}}` stays `{{7*7}}`, and the
    merchant's own texts know nothing but named placeholders (`domain.branding`), filled in once,
  - HTML is escaped by default, and a "name" that carries a web address is left out of the greeting (strangers
    use order forms to make shops send their links),
  - the recipient must be one plain address.

Words: the buyer is addressed as "Sie"; "Gutschrift" does not occur, because in German VAT law it means an
invoice written by the customer (UStG § 14 (2) s. 5, § 14 (4) no. 10).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date as Date
from typing import Literal, get_args

from ladenbuch.mail.addresses import plain

#: What a letter is about. `correction` is a credit note, `cancellation` sevdesk's own of an unpaid invoice, `payment`
#: a payment that came in, `refund` money that went back without a document, `reminder` a payment that did not come,
#: `digest` what happened and waits (to the merchant or the operator), `copy` an accepted letter for the archive.
LetterKind = Literal["invoice", "correction", "cancellation", "payment", "refund", "reminder", "digest", "copy"]
LETTER_KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
Language = Literal["de", "en"]


@dataclass(frozen=True)
class Brand:
    """How the letters of a tenant look. `sender` and `reply_to` are `rechnung@shop.de` or `Shop <rechnung@shop.de>`;
    an empty `reply_to` leaves the header out.

    `colour` (#rrggbb) is a stripe on top, `footer` the lines below every letter, `account` where money is to be
    transferred to, `texts` the merchant's own words (`domain.branding`).
    """

    shop_name: str
    sender: str
    reply_to: str = ""
    colour: str = ""
    footer: str = ""
    account: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Letter:
    """What a letter to a buyer says. `key` identifies it for ever: same key, same Message-ID.

    `locale` is the buyer's (`de`, `de-AT`, `en-GB`, …); English for English locales, German for every other. `number`
    and `issued` are the document's, empty where the letter is about none. `amount` is the document's total, or the
    money the letter is about, `open` what is still owed, both in minor units of `currency`. `on` is the day money
    moved, `corrects` the number of the invoice that is corrected or cancelled, `reference` the buyer's own number.

    `paid`: nothing is owed any more; `due`: until when it is (or was) to be paid; `until`: the new last day a reminder
    names; `level` 1 to 3 and `days` (overdue) are a reminder's; `e_invoice`: the PDF carries the invoice as XML.
    """

    key: str
    kind: LetterKind
    to_email: str = field(repr=False)
    to_name: str = field(repr=False)
    locale: str
    order: str
    number: str = ""
    issued: Date | None = None
    amount: int = 0
    currency: str = "EUR"
    paid: bool = False
    due: Date | None = None
    until: Date | None = None
    on: Date | None = None
    open: int = 0
    level: int = 1
    days: int = 0
    corrects: str = ""
    reference: str = ""
    e_invoice: bool = False


@dataclass(frozen=True)
class Attached:
    """A file that goes with a letter. `name` is a plain file name (`file_name`), `kind` like application/pdf."""

    name: str
    content: bytes = field(repr=False)
    kind: str = "application/pdf"


@dataclass(frozen=True)
class Copy:
    """An accepted letter once more, for the merchant's archive `to`: a message of its own, with its own `key`."""

    key: str
    to: str = field(repr=False)


@dataclass(frozen=True)
class Words:
    """A letter in words: one plain line of subject, and the same as text and as HTML."""

    language: Language
    subject: str
    text: str
    html: str


def reference_of(key: str) -> str:
    """What a letter is known by outside: nothing of the key can be read from it."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def language_of(locale: str) -> Language:
    """The letter's language for a Shopify `customerLocale`: English for `en…`, German for everything else."""
    return "en" if re.match(r"en(?:[-_]|\Z)", locale.strip().lower()) else "de"


def file_name(number: str, ending: str = "pdf") -> str:
    """`RE-1001.pdf`: only letters, digits, dot, dash, underscore, so that every system takes it as a name."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", plain(number, 60)).strip("._") or "invoice") + f".{ending}"
