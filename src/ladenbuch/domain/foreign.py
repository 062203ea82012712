"""Documents in sevdesk that are not ours, and orders as such a document would tell of them: values to be compared.

Other tools and people mark what they write in many ways: the order's name in the note ("Bestellung #1001"), a tag, the
invoice number itself ("SO-1001"), the shop's id of the order, or not at all. Here that is read; `adoption` judges it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from ladenbuch.domain.facts import Facts
from ladenbuch.domain.matching import folded
from ladenbuch.domain.order import Order
from ladenbuch.domain.positions import fold

#: What stands before an order's name in a sentence.
_ORDER = (
    r"(?:bestell(?:ung|nummer|nr)|order|auftrag(?:snummer|snr)?|shopify)"
    r"(?:[\s\-.]*(?:no|nr|nummer|number|name|id))?[\s.:]*"
)
_NAME = r"[A-Za-z]{0,8}[-_]?\d[\w-]*"
#: "#1001" anywhere; "Bestellung 1001" and the like; a word of a reference field.
_HASHED = re.compile(rf"(?<![\w#])#({_NAME})")
_SAID = re.compile(rf"(?<!\w){_ORDER}#?({_NAME})", re.IGNORECASE)
_WORD = re.compile(r"[^\s,;|/()]+")
_GID = re.compile(r"gid://shopify/Order/(\d+)", re.IGNORECASE)
_ID = re.compile(r"(?<!\d)\d{6,20}(?!\d)")
#: The form of our own notes: name, shop key, id of the order.
_OWN_NOTE = re.compile(r" / [\w-]+:(?P<order>\d+)(?:$|:)")
#: An invoice number: letters, perhaps a year, and a running number.
_NUMBER = re.compile(r"[A-Za-z]{0,6}[-_/ ]?(?:20\d\d[-_/])?#?(\d+)")
_TAGS = re.compile(r"<[^>]*>")
#: A bare number is a reference only from so many digits on: "12" may be anything.
_PLAIN_DIGITS = 3
#: Ids of the shop have more digits than anything else people write into a reference field.
_LONG_ID = 12


@dataclass(frozen=True, slots=True)
class ForeignDocument:
    """An invoice or credit note in sevdesk that is not ours. Amounts in minor units, days of the accounting zone.

    `sort`: invoice | credit_note. `type` is sevdesk's (RE, SR, CN, ...). `by_rate` (gross) is None while its positions
    are not read, `nets` are the nets of the same rates. `note` is sevdesk's reference field, `texts` what is printed
    above and below the positions, `buyer` the first line of the address. `cancelled` where a cancellation of it is
    known. `content` is the hash of it all.
    """

    sort: str
    id: str
    type: str
    number: str | None
    final: bool
    day: date
    currency: str
    gross: int
    tax_rule: int | None = None
    by_rate: tuple[tuple[Decimal, int], ...] | None = None
    nets: tuple[tuple[Decimal, int], ...] = ()
    paid: int = 0
    cancelled: bool = False
    note: str = field(default="", repr=False)
    tags: frozenset[str] = field(default=frozenset(), repr=False)
    texts: str = field(default="", repr=False)
    buyer: str = field(default="", repr=False)
    street: str = field(default="", repr=False)
    zip: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    country: str | None = None
    tax_text: str = ""
    contact_id: str | None = None
    origin_id: str | None = None
    delivery: date | None = None
    delivery_until: date | None = None
    content: str = ""
    rivals: int = 0  # how many other orders it fits as well as this one

    @property
    def reference(self) -> str:
        """Tells an invoice from a credit note with the same id: `Invoice/71`."""
        return f"{'CreditNote' if self.sort == 'credit_note' else 'Invoice'}/{self.id}"

    @property
    def rates(self) -> dict[Decimal, int] | None:
        """Gross per rate, rates without money left out; None while its positions are not read."""
        return None if self.by_rate is None else {rate.normalize(): gross for rate, gross in self.by_rate if gross}


@dataclass(frozen=True, slots=True)
class Told:
    """What a document says it is for. `names` (small, without #) and `ids` it may be found by.

    `claims`: it says so in so many words, "Bestellung #1001"; a word of a tag or of a longer note may mean anything.
    """

    names: frozenset[str]
    ids: frozenset[str]
    claims: bool


def told_by(document: ForeignDocument) -> Told:
    """Every order a document may name in its reference field, its tags and its texts.

    A note in our own form tells of an order by its id alone: under another shop's key, its name may be one of ours.
    """
    own = _OWN_NOTE.search(document.note)
    if own is not None:
        return Told(frozenset(), frozenset({own["order"]}), True)
    texts = html.unescape(_TAGS.sub(" ", document.texts))
    fields = (document.note, *sorted(document.tags))
    written = (*fields, texts)
    said = {found for text in written for pattern in (_HASHED, _SAID) for found in pattern.findall(text)}
    alone = {document.note.strip()} if _is_name(document.note.strip()) else set()
    words = {word for text in fields for word in _WORD.findall(text) if _is_name(word)}
    gids = {found for text in written for found in _GID.findall(text)}
    ids = {found for text in fields for found in _ID.findall(text)}
    long_ids = {found for found in ids if len(found) >= _LONG_ID}
    names = frozenset(plain_name(name) for name in said | alone | words)
    return Told(names, frozenset(gids | ids), bool(said or alone or gids or long_ids))


def _is_name(word: str) -> bool:
    """Whether a word of a reference field can be an order's name: a number long enough, or letters with a number."""
    bare = plain_name(word)
    found = re.fullmatch(_NAME, bare) is not None
    return found and (not bare.isdigit() or len(bare) >= _PLAIN_DIGITS)


def plain_name(name: str) -> str:
    """An order's name as it is compared: `#1001` and `1001.` are one, `#1001-2` is another."""
    return name.strip().lstrip("#").rstrip(".:,!").casefold()


def number_of(text: str | None) -> str | None:
    """The running number at the end of an order's name or an invoice number (`RE-1001` -> 1001); None without one."""
    found = _NUMBER.fullmatch((text or "").strip().lstrip("#"))
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Cut:
    """The sales ledger up to one of its entries: which, the day of the last, and gross per rate in minor units."""

    agreements: tuple[str, ...]
    day: date
    at: datetime
    by_rate: tuple[tuple[Decimal, int], ...]

    @property
    def gross(self) -> int:
        """In minor units."""
        return sum(gross for _, gross in self.by_rate)


@dataclass(frozen=True, slots=True)
class Sought:
    """An order as documents are compared with it. `first` and `last` are the days from purchase to tax point.

    `buyers` and `places` (zip and street) are folded, so that spelling makes no difference; `mail` is small.
    """

    order_id: str
    name: str
    currency: str
    first: date
    last: date
    cuts: tuple[Cut, ...]
    buyers: frozenset[str] = field(default=frozenset(), repr=False)
    places: frozenset[str] = field(default=frozenset(), repr=False)
    mail: str = field(default="", repr=False)

    @property
    def number_id(self) -> str:
        """The numeric tail of the gid."""
        return self.order_id.rsplit("/", 1)[-1]


def sought_of(facts: Facts, local_date: Callable[[datetime], date]) -> Sought:
    """An order as its documents would tell of it; `local_date` gives the accounting date of an instant."""
    order = facts.order
    moments = [order.processed_at]
    for kind in ("money", "fulfilment"):
        first = next((item.at for item in facts.items if item.kind == kind), None)
        moments += [] if first is None else [first]
    days = [local_date(moment) for moment in moments]
    cuts = []
    for index in range(1, len(facts.agreements) + 1):
        prefix = facts.agreements[:index]
        folded_ledger, _ = fold(order, prefix)
        if folded_ledger is not None:
            rates = tuple((rate.normalize(), gross) for rate, gross in folded_ledger.claim if gross)
            last = prefix[-1].happened_at
            cuts.append(Cut(tuple(item.id for item in prefix), local_date(last), last, rates))
    return Sought(
        order_id=order.id,
        name=order.name,
        currency=order.currency,
        first=min(days),
        last=max(days),
        cuts=tuple(cut for cut in cuts if cut.by_rate),
        buyers=_buyers(order),
        places=_places(order),
        mail=(order.email or (order.customer.email if order.customer else None) or "").strip().casefold(),
    )


def _buyers(order: Order) -> frozenset[str]:
    """Everybody the document may be addressed to: some tools print the shipping address."""
    names: list[str | None] = []
    for address in (order.billing_address, order.shipping_address):
        if address is not None:
            names += [address.company, f"{address.first_name or ''} {address.last_name or ''}"]
    if order.customer is not None:
        customer = order.customer
        names += [customer.display_name, f"{customer.first_name or ''} {customer.last_name or ''}"]
    names += [order.company.name if order.company else None]
    return frozenset(key for name in names if (key := person_key(name)))


def _places(order: Order) -> frozenset[str]:
    addresses = (order.billing_address, order.shipping_address)
    keys = (place_key(item.zip, item.address1) for item in addresses if item is not None)
    return frozenset(key for key in keys if key)


def person_key(name: str | None) -> str:
    """A name as it is compared: `Muster, Erika` and `Erika Muster` are one."""
    return "".join(sorted(filter(None, (folded(word) for word in re.split(r"[\s,]+", name or "")))))


def place_key(code: str | None, street: str | None) -> str:
    """Zip and street as they are compared; empty when one of them is missing."""
    where = folded(street).replace("strasse", "str")
    return f"{folded(code)}:{where}" if folded(code) and where else ""


def buyer_agrees(sought: Sought, document: ForeignDocument) -> bool | None:
    """Whether a document is for the order's buyer: True, False, or None where one of the two does not say."""
    if sought.mail and sought.mail in html.unescape(document.texts).casefold():
        return True
    place = place_key(document.zip, document.street)
    if not person_key(document.buyer):
        return True if place and place in sought.places else None
    if not sought.buyers:
        return None
    parts = {document.buyer, *re.split(r"[,\n]", document.buyer)}
    if sought.buyers & {person_key(part) for part in parts}:
        return True
    return None if place and place in sought.places else False
