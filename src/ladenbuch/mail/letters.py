"""Which words go to the buyer: the letter of an invoice or of its correction, in German or English, with the PDF.

Pure: what comes in is a value, what goes out is an `EmailMessage`; no clock, no network, no settings.

Everything in an `InvoiceLetter` may have been typed by a stranger at a checkout. Therefore
  - control characters, line breaks and direction overrides become spaces before anything else happens (no
    header can be added),
  - the templates are fixed files in a sandbox; a field is only ever a value, so `{{7*7}}` stays `{{7*7}}`,
  - HTML is escaped by default, and a "name" that carries a web address is left out of the greeting (strangers
    use order forms to make shops send their links),
  - the recipient must be one plain address.

Words: the buyer is addressed as "Sie"; "Gutschrift" does not occur, because in German VAT law it means an
invoice written by the customer (UStG § 14 (2) s. 5, § 14 (4) no. 10).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import datetime
from decimal import Decimal
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache, lru_cache
from typing import Any, Literal, get_args

from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ladenbuch.domain.money import to_decimal
from ladenbuch.errors import Rejected

#: What a letter is about. `correction` is a credit note, `cancellation` sevdesk's own of an unpaid invoice, `payment`
#: a payment that came in, `refund` money that went back without a document, `reminder` a payment that did not come,
#: `digest` what happened and waits (to the merchant or the operator), `copy` an accepted letter for the archive.
LetterKind = Literal["invoice", "correction", "cancellation", "payment", "refund", "reminder", "digest", "copy"]
LETTER_KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
Language = Literal["de", "en"]
_REGION: dict[Language, str] = {"de": "de_DE", "en": "en_GB"}

# One plain mailbox: a local part without quoting (RFC 5321 atoms) and a domain with at least one dot.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z")
# "Shop <a@shop.de>" or "a@shop.de", on one line.
_BRANDED = re.compile(r'"?(?P<name>[^<>"\r\n]*?)"? *<(?P<spec>[^<>\s]+)>\Z|(?P<bare>[^<>\s]+)\Z')
# Bidirectional controls: they make a text read differently from what it says (Unicode TR 36).
_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class _Headers(HeaderRegistry):
    """The library's headers, without making a class for each and reading the same few over and over."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: dict[str, Any] = {}
        self._known = lru_cache(maxsize=64)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        if name not in self._classes:
            self._classes[name] = super().__getitem__(name)
        return self._classes[name]

    def __call__(self, name: str, value: Any) -> Any:
        # What says something about the buyer is kept nowhere.
        return (self._known if name.lower() in _SAME_IN_ALL else super().__call__)(name, value)


_SAME_IN_ALL = {"auto-submitted", "content-language", "content-transfer-encoding", "content-type", "mime-version"}
_POLICY = SMTP.clone(header_factory=_Headers())


@dataclass(frozen=True)
class InvoiceLetter:
    """What the letter says. `letter_key` identifies it for ever: same key, same Message-ID.

    `locale` is the buyer's (`de`, `de-AT`, `en-GB`, …); English for English locales, German for every other.
    `sender` and `reply_to` are the tenant's branding, `rechnung@shop.de` or `Shop <rechnung@shop.de>`; an
    empty `reply_to` leaves the header out. `gross_minor` is the invoice total in minor units of `currency`.
    `paid`: nothing is owed on this invoice any more; `due`: until when it is to be paid, where terms say so.
    `correction`: the document is a credit note, and `gross_minor` is what the buyer gets back. `reference` is the
    buyer's own number of the order; `e_invoice`: the PDF carries the invoice as XML.
    """

    letter_key: str
    to_email: str = field(repr=False)
    to_name: str = field(repr=False)
    locale: str
    shop_name: str
    sender: str
    reply_to: str
    invoice_number: str
    order_name: str
    invoice_date: Date
    gross_minor: int
    currency: str
    paid: bool
    correction: bool = False
    due: Date | None = None
    reference: str = ""
    e_invoice: bool = False


def invoice_letter(context: InvoiceLetter, pdf: bytes | None, date: datetime) -> EmailMessage:
    """Write the letter. `pdf` is attached as `<invoice number>.pdf`; `date` (aware) becomes the Date header.

    Raises `Rejected("LETTER-ADDRESS")` when the buyer's address is missing, malformed or could not be written
    on an envelope safely, and `Rejected("LETTER-SENDER")` when the tenant's sender or reply address is
    unusable. Neither message repeats the address.
    """
    language = language_of(context.locale)
    recipient = mailbox(context.to_email)
    sender = _branded(context.sender, context.shop_name, "sender")
    key_hash = hashlib.sha256(context.letter_key.encode()).hexdigest()[:32]
    words = _words(context, language, with_pdf=pdf is not None)

    message = EmailMessage(policy=_POLICY)
    message["From"] = _branding("From", context.sender, context.shop_name, "sender")
    message["To"] = Address(_name(context.to_name), addr_spec=recipient)
    if context.reply_to:
        message["Reply-To"] = _branding("Reply-To", context.reply_to, context.shop_name, "reply_to")
    message["Subject"] = _subject(words, language, correction=context.correction)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<ladenbuch.{key_hash}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office answers from answering
    message["X-Ladenbuch-Letter"] = key_hash
    template = f"{'correction' if context.correction else 'invoice'}.{language}"
    message.set_content(_environment().get_template(f"{template}.txt").render(words))
    message.add_alternative(_environment().get_template(f"{template}.html").render(words), subtype="html")
    if pdf is not None:
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename=_file_name(context.invoice_number))
    message["Content-Language"] = language  # last: parts take earlier Content- headers along
    return message


def language_of(locale: str) -> Language:
    """The letter's language for a Shopify `customerLocale`: English for `en…`, German for everything else."""
    return "en" if re.match(r"en(?:[-_]|\Z)", locale.strip().lower()) else "de"


def mailbox(text: str) -> str:
    """The address as it may stand on an envelope: ASCII, one mailbox, an international domain in its xn--
    form.

    Raises `Rejected("LETTER-ADDRESS")` without repeating the address, for anything else: several addresses,
    display names, quoting, spaces, line breaks.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not at or len(local) > 64 or len(domain) > 253 or not _LOCAL.match(local) or not _DOMAIN.match(domain):
        raise Rejected("LETTER-ADDRESS", "the buyer's e-mail address is missing or cannot be used on an envelope")
    return f"{local}@{domain}"


def plain(text: str, limit: int = 120) -> str:
    """One line without control, line-separating or direction-changing characters, cut to `limit`
    characters."""
    harmless = (
        " " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _DIRECTION else char for char in text
    )
    return " ".join("".join(harmless).split())[:limit].rstrip()


def _name(text: str) -> str:
    """A person's name for greeting and header, or nothing when it carries a link instead of a name."""
    name = plain(text, 80)
    return "" if re.search(r"://|www\.|@|\.[a-z]{2,}/", name, re.IGNORECASE) else name


@lru_cache(maxsize=64)
def _branding(header: str, text: str, shop_name: str, which: str) -> Any:
    """The header with an address of the tenant: the same in all its letters."""
    return _POLICY.header_factory(header, _branded(text, shop_name, which))


@lru_cache(maxsize=64)
def _branded(text: str, shop_name: str, which: str) -> Address:
    match = _BRANDED.match(text)
    name, address = (match["name"] or "", match["spec"] or match["bare"]) if match else ("", "")
    try:
        spec = mailbox(address)
    except Rejected as error:
        raise Rejected("LETTER-SENDER", f"{which} of this shop is not a usable e-mail address") from error
    return Address(plain(name) or plain(shop_name), addr_spec=spec)


def _words(context: InvoiceLetter, language: Language, *, with_pdf: bool) -> dict[str, object]:
    region = _REGION[language]
    amount, due = Decimal(to_decimal(context.gross_minor, context.currency)), context.due
    return {
        "language": language,
        "name": _name(context.to_name),
        "shop": plain(context.shop_name),
        "invoice": plain(context.invoice_number, 60),
        "order": plain(context.order_name, 60),
        "issued": format_date(context.invoice_date, "long", locale=region),
        "amount": format_currency(amount, context.currency, locale=region),
        "paid": context.paid,
        "due": format_date(due, "long", locale=region) if due is not None and due > context.invoice_date else "",
        "reference": plain(context.reference, 60),
        "e_invoice": context.e_invoice,
        "with_pdf": with_pdf,
    }


def _subject(words: dict[str, object], language: Language, *, correction: bool) -> str:
    if correction and language == "en":
        return f"Correction {words['invoice']} of your invoice for order {words['order']}"
    if correction:
        return f"Ihre Rechnungskorrektur {words['invoice']} zur Bestellung {words['order']}"
    if language == "en":
        return f"Your invoice {words['invoice']} for order {words['order']}"
    return f"Ihre Rechnung {words['invoice']} zur Bestellung {words['order']}"


def _file_name(invoice_number: str) -> str:
    """`RE-1001.pdf`: only letters, digits, dot, dash, underscore, so that every system takes it as a name."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", plain(invoice_number, 60)).strip("._") or "invoice") + ".pdf"


@cache
def _environment() -> Environment:
    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("ladenbuch.mail", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html",), default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
