"""The tenant's state in memory: documents, contacts, accounts, transactions, the indexes over them, and
what is due later (the automatic enshrining a second after sending, the automatic matching of transactions).
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from ladenbuch.simulators.sevdesk.arithmetic import Sums, total
from ladenbuch.simulators.sevdesk.wire import Json, not_found

# The shape of a real token; opens nothing but this simulator.
DEFAULT_TOKEN = "0123456789abcdef0123456789abcdef"

# The account's own id where a world has one account.
COMPANY_ID = 1


@dataclass(frozen=True)
class Switches:
    """Tenant settings, and behaviours of the real service nobody has proved: those are off until a canary
    says so.
    """

    # the account's own id (SevClient), by which two shops that keep their books in one account are told
    company_id: int = COMPANY_ID
    # "Automatische Festschreibung bei Rechnungsversand", on by default (facts 2.7)
    enshrine_on_send: bool = True
    # a tenant under section 19 UStG: rule 11 only (facts 3.1)
    small_business: bool = False
    # bookkeeping system version (facts 1.9)
    version: str = "2.0"
    # GET /SevClient, in no description but answered (seen in three public integrations): who the account is
    company_readable: bool = True
    # GET /TaxRule, in no description either, and rules this account does not have
    tax_rules_readable: bool = True
    rules_lacking: tuple[int, ...] = ()
    # a plan without the API: every call is answered 403 (facts 1.1)
    api_in_plan: bool = True
    # nobody in the account may stand on documents any more
    users_active: bool = True
    # number circles nobody set up: "RE", "CN"
    circles_lacking: tuple[str, ...] = ()
    # lists may show a new object later than its GET by id does
    list_delay_seconds: float = 0.0
    # a credit note on an unpaid invoice (bookkeeping F13)
    credit_note_on_open: bool = False
    # credit notes found by customerInternalNote: undocumented, reported working
    credit_note_note_filter: bool = True
    # the value filter of /CommunicationWay does not tell capitals apart
    mailbox_case_ignored: bool = False
    # what of the account's master data nobody filled in (e-invoices need all of it)
    seller_lacks: tuple[str, ...] = ()
    # finalising a document over 0.00
    zero_totals: bool = False
    # unit prices with more than two decimals
    fine_prices: bool = False
    # booking more than the open amount
    overpayment: bool = False
    # one transaction booked on two documents
    split_transactions: bool = False
    # getPdf answers application/pdf instead of the JSON envelope
    raw_pdf: bool = False


@dataclass(slots=True)
class Thing:
    """An object without behaviour of its own: its fields are kept as they are written out."""

    kind: str
    id: int
    created_at: datetime
    updated_at: datetime
    fields: Json


@dataclass(slots=True)
class Position:
    """One line of a document; `price` gross or net as the document's show_net says; sums in cents."""

    id: int
    name: str
    text: str | None
    quantity: Decimal
    price: Decimal
    tax_rate: Decimal
    unity: int
    number: int
    part: int | None
    discount: Decimal
    created_at: datetime
    sums: Sums = field(default_factory=Sums)


@dataclass(slots=True)
class Booking:
    """A payment on a document, in cents with the sign of the money's direction; `booked_at` is the wall
    clock.
    """

    amount: int
    day: date
    transaction: int
    account: int
    booked_at: datetime


@dataclass(slots=True)
class Document:
    """An invoice (RE, AR, SR, ...) or a credit note (CN); money in cents, days in Berlin."""

    kind: str
    id: int
    type: str
    created_at: datetime
    updated_at: datetime
    day: date
    status: int = 100
    number: str | None = None
    contact: int | None = None
    contact_person: int | None = None
    country: int | None = None
    delivery: date | None = None
    delivery_until: date | None = None
    delivery_country: str | None = None
    currency: str = "EUR"
    tax_rule: int = 1
    show_net: bool = False
    note: str | None = None
    e_invoice: bool = False
    xml: str | None = None
    payment_method: int | None = None
    booking_category: str | None = None
    origin: int | None = None
    source: int | None = None
    cancelled: bool = False
    sent_at: datetime | None = None
    send_type: str | None = None
    pay_day: date | None = None
    enshrined_at: datetime | None = None
    fields: Json = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    bookings: list[Booking] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)

    @property
    def paid(self) -> int:
        """Cents paid, never negative: for a credit note money out counts as payment."""
        sign = -1 if self.kind == "CreditNote" else 1
        return sign * sum(booking.amount for booking in self.bookings)

    @property
    def open(self) -> int:
        return self.sums.gross - self.paid

    def sum_up(self) -> None:
        self.sums = total(position.sums for position in self.positions)


@dataclass(slots=True)
class Account:
    """A payment account; `type` is online (API transactions), offline or register."""

    id: int
    name: str
    type: str
    import_type: str | None
    accounting_number: str | None
    created_at: datetime
    updated_at: datetime
    auto_map: bool = False
    iban: str | None = None
    status: int = 100
    default: bool = False
    bank_server: str | None = None  # who brings its lines: FINAPI, PAYPAL; None: nobody does
    currency: str = "EUR"


@dataclass(slots=True)
class Transaction:
    """A line on an account, in cents. 100 created, 200 linked, 300 private, 400 booked."""

    id: int
    account: int
    amount: int
    value_day: date
    entry_day: date
    purpose: str
    payee: str
    created_at: datetime
    updated_at: datetime
    status: int = 100
    booked: int = 0
    documents: list[tuple[str, int]] = field(default_factory=list)
    fields: Json = field(default_factory=dict)
    enshrined_at: datetime | None = None
    deleted_at: datetime | None = None
    linked_at: datetime | None = None


@dataclass(slots=True)
class Sequence:
    """A number circle: a format with %NUMBER and the next number."""

    id: int
    kind: str
    type: str
    format: str
    next: int

    def preview(self) -> str:
        return self.format.replace("%NUMBER", str(self.next))

    def take(self) -> str:
        number = self.preview()
        self.next += 1
        return number

    def reached(self, number: str) -> None:
        """A number of this circle was used; numbers of another shape leave it alone."""
        prefix, _, suffix = self.format.partition("%NUMBER")
        middle = number[len(prefix) : len(number) - len(suffix)]
        if number.startswith(prefix) and number.endswith(suffix) and middle.isdigit():
            self.next = max(self.next, int(middle) + 1)


class Index:
    """Ids by (kind, field, value), in order of insertion."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str, object], dict[int, None]] = {}

    def add(self, kind: str, name: str, value: object, identifier: int) -> None:
        if value is not None:
            self._ids.setdefault((kind, name, value), {})[identifier] = None

    def remove(self, kind: str, name: str, value: object, identifier: int) -> None:
        found = self._ids.get((kind, name, value))
        if found is not None:
            found.pop(identifier, None)
            if not found:
                del self._ids[kind, name, value]

    def ids(self, kind: str, name: str, value: object) -> list[int]:
        return list(self._ids.get((kind, name, value), ()))


class Purposes:
    """Substring search over transaction purposes: blocks of text, so that 50,000 lines take about a
    millisecond.
    """

    _BLOCK = 1000

    def __init__(self) -> None:
        self._lines: list[tuple[int, str]] = []
        self._place: dict[int, int] = {}
        self._blocks: list[str | None] = []

    def put(self, identifier: int, purpose: str) -> None:
        """Add a line, or change it."""
        place = self._place.setdefault(identifier, len(self._lines))
        if place == len(self._lines):
            self._lines.append((identifier, purpose))
        else:
            self._lines[place] = (identifier, purpose)
        block = place // self._BLOCK
        if block == len(self._blocks):
            self._blocks.append(None)
        self._blocks[block] = None

    def find(self, text: str) -> list[int]:
        """Ids of all lines that contain `text`, in order of insertion."""
        found: list[int] = []
        for number, block in enumerate(self._blocks):
            lines = self._lines[number * self._BLOCK : (number + 1) * self._BLOCK]
            if block is None:
                block = self._blocks[number] = "\n".join(purpose for _, purpose in lines)
            if text in block or "\n" in text:
                found += [identifier for identifier, purpose in lines if text in purpose]
        return found


class World:
    """Everything one tenant has. Not thread-safe: whoever fronts it holds one lock."""

    def __init__(self, clock: Callable[[], datetime], seed: int, switches: Switches) -> None:
        self.clock = clock
        self.switches = switches
        self.things: dict[str, dict[int, Thing]] = {}
        self.documents: dict[str, dict[int, Document]] = {"Invoice": {}, "CreditNote": {}}
        self.accounts: dict[int, Account] = {}
        self.transactions: dict[int, Transaction] = {}
        self.sequences: dict[tuple[str, str], Sequence] = {}
        self.index = Index()
        self.purposes = Purposes()
        self.mails: list[Json] = []
        self.deleted: list[Json] = []
        self.ignored: Counter[str] = Counter()
        self.next_customer_number = 1000
        self._ids = itertools.count(10_001)
        self._random = random.Random(f"sevdesk/{seed}")
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()

    # --- identity and time ---

    def new_id(self) -> int:
        return next(self._ids)

    def new_uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    @property
    def now(self) -> datetime:
        return self.clock()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do `action` when the clock has moved on; it happens before the next request is looked at."""
        heapq.heappush(self._due, (self.now + timedelta(seconds=seconds), next(self._order), action))

    def catch_up(self) -> None:
        """Do what has become due."""
        while self._due and self._due[0][0] <= self.now:
            heapq.heappop(self._due)[2]()

    # --- things ---

    def add(self, kind: str, fields: Json, *, identifier: int | None = None, indexed: Iterable[str] = ()) -> Thing:
        now = self.now
        thing = Thing(kind, identifier if identifier is not None else self.new_id(), now, now, fields)
        self.things.setdefault(kind, {})[thing.id] = thing
        for name in indexed:
            self.index.add(kind, name, fields.get(name), thing.id)
        return thing

    def thing(self, kind: str, identifier: int) -> Thing:
        found = self.things.get(kind, {}).get(identifier)
        if found is None:
            not_found(kind)
        return found

    # --- documents ---

    def document(self, kind: str, identifier: int) -> Document:
        found = self.documents[kind].get(identifier)
        if found is None:
            not_found(kind)
        return found

    def reindex(self, document: Document, before: dict[str, object] | None = None) -> None:
        """Bring the indexes up to date; `before` is what `keys` said earlier."""
        for name, value in (before or {}).items():
            self.index.remove(document.kind, name, value, document.id)
        if document.id in self.documents[document.kind]:
            for name, value in keys(document).items():
                self.index.add(document.kind, name, value, document.id)

    def store(self, document: Document) -> None:
        self.documents[document.kind][document.id] = document
        self.reindex(document)

    def by(self, kind: str, name: str, value: object) -> list[Document]:
        """Documents whose key `name` is `value`, oldest first."""
        return [self.documents[kind][identifier] for identifier in self.index.ids(kind, name, value)]

    def touch(self, thing: Document | Thing | Account | Transaction) -> None:
        thing.updated_at = self.now


def keys(document: Document) -> dict[str, object]:
    """The indexed fields of a document as they are now; `open` only while money is owed on it."""
    owed = document.open if document.status in (200, 750) and document.type != "SR" else None
    return {
        "note": document.note,
        "number": document.number,
        "contact": document.contact,
        "source": document.source,
        "origin": document.origin,
        "open": owed,
    }
