"""Which words go to the buyer: every kind of letter, in German or English, as text and HTML, with its files.

Pure: what comes in is a value, what goes out is an `EmailMessage`; no clock, no network, no settings.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal, get_args

from ladenbuch.mail.addresses import POLICY, branded, header, mailbox, plain, unlinked

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


def write(letter: Letter, brand: Brand, date: datetime, files: Sequence[Attached] = ()) -> EmailMessage:
    """Write the letter; `date` (aware) becomes the Date header.

    Raises `Rejected("LETTER-ADDRESS")` when the buyer's address is missing, malformed or could not be written
    on an envelope safely, and `Rejected("LETTER-SENDER")` when the tenant's sender or reply address is
    unusable. Neither message repeats the address.
    """
    from ladenbuch.mail.wording import worded

    recipient = mailbox(letter.to_email)
    branded(brand.sender, brand.shop_name, "sender")
    words = worded(letter, brand, language_of(letter.locale), with_pdf=bool(files))
    to = Address(unlinked(letter.to_name), addr_spec=recipient)
    return assembled(letter.key, to, words.subject, words.text, words.html, words.language, brand, date, files)


def assembled(
    key: str,
    to: Address,
    subject: str,
    text: str,
    html: str,
    language: Language,
    brand: Brand,
    date: datetime,
    files: Sequence[Attached] = (),
) -> EmailMessage:
    """The message around its words: headers, both bodies, files. `subject` is one plain line."""
    sender = branded(brand.sender, brand.shop_name, "sender")
    key_hash = hashlib.sha256(key.encode()).hexdigest()[:32]
    message = EmailMessage(policy=POLICY)
    message["From"] = header("From", brand.sender, brand.shop_name, "sender")
    message["To"] = to
    if brand.reply_to:
        message["Reply-To"] = header("Reply-To", brand.reply_to, brand.shop_name, "reply_to")
    message["Subject"] = subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<ladenbuch.{key_hash}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office answers from answering
    message["X-Ladenbuch-Letter"] = key_hash
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    for file in files:
        main, _, sub = file.kind.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    message["Content-Language"] = language  # last: parts take earlier Content- headers along
    return message


def language_of(locale: str) -> Language:
    """The letter's language for a Shopify `customerLocale`: English for `en…`, German for everything else."""
    return "en" if re.match(r"en(?:[-_]|\Z)", locale.strip().lower()) else "de"


def file_name(number: str, ending: str = "pdf") -> str:
    """`RE-1001.pdf`: only letters, digits, dot, dash, underscore, so that every system takes it as a name."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", plain(number, 60)).strip("._") or "invoice") + f".{ending}"
