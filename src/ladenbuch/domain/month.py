"""What an accounting month is judged by, and what is said of it: the values of `domain.period`.

Three lists, each read from where it is true: orders as the shop lists them, orders and documents as our books hold
them, documents as sevdesk holds them. Amounts are minor units, days those of the accounting time zone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

#: What Shopify's ids of orders begin with.
ORDER = "gid://shopify/Order/"
#: Statuses of a document in sevdesk.
DRAFT, PAID = 100, 1000

#: Rate, gross, net, tax.
Sums = tuple[tuple[Decimal, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """An order as the shop lists it. Instants are aware UTC."""

    id: str
    name: str
    processed_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order as it was last settled: its verdict with the code of its reason, and what its certificate says.

    `gross_by_rate` are its documents as the certificate counts them, `holds` whether its three identities do,
    `projected` whether it counted actions that were only planned. `asked` are the codes of open questions.
    """

    id: str
    name: str
    verdict: str
    code: str | None
    processed_at: datetime
    updated_at: datetime
    holds: bool
    gross_by_rate: Mapping[str, int]
    projected: bool = False
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OurDocument:
    """A document in our books. `kind`: invoice, supplementary, credit_note, cancellation.

    `state`: intended, draft, final, cancelled. A cancellation is sevdesk's own document, with the sums of the invoice
    it cancels. `sevdesk_id` is a `TheirDocument.id`. `booked` is the money linked to it by us, `others` what others
    linked as far as our books know, without their sign; `theirs` says that its money is matched in sevdesk anyway.
    `adopted`: written or finalised by a person and taken for ours, so that its date and texts are theirs. `owned`: our
    books know what a person did to it (cancelled or deleted it); what follows was asked. `taxed_on` is the day
    of the tax point, `supplied_on` that of the supply it is about.
    """

    key: str
    order_id: str
    order_name: str
    kind: str
    state: str
    sevdesk_id: str | None
    number: str | None
    note: str
    day: date
    currency: str
    tax_rule: int
    sums: Sums
    covers: tuple[str, ...] = ()
    booked: int = 0
    others: int = 0
    theirs: bool = False
    adopted: bool = False
    owned: bool = False
    taxed_on: date | None = None
    supplied_on: date | None = None

    @property
    def gross(self) -> int:
        """Positive."""
        return sum(gross for _, gross, _, _ in self.sums)

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.number or self.key


@dataclass(frozen=True, slots=True)
class TheirDocument:
    """A document as sevdesk holds it. `kind`: RE, SR (cancels `origin`), CN, or another type of theirs.

    `id` tells an invoice from a credit note of the same number. The sums of a cancellation are negative. `changed_at`
    is aware UTC, None where sevdesk does not say.
    """

    id: str
    kind: str
    status: int
    number: str | None
    note: str | None
    day: date | None
    currency: str
    tax_rule: int | None
    gross: int
    net: int
    tax: int
    paid: int
    origin: str | None = None
    changed_at: datetime | None = None

    @property
    def final(self) -> bool:
        """Has its place in the tenant's books."""
        return self.status > DRAFT

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.number or self.id


@dataclass(frozen=True, slots=True)
class Month:
    """Everything a certificate is made from, over the days [since, until).

    `before` are numbers (of a credit note or not) of our last documents before the month: the sequence goes on there.
    `today` is the day of looking; what changed after `judged_until` is not judged (R17). `go_live` is when the tenant
    began: older orders nobody heard of are not ours (R22). `shop_keys` are those our notes carry. `elsewhere` are
    numbers (of a credit note or not) that were looked for outside the month and found. Before `hidden_until` the shop
    shows this app no orders.
    """

    since: date
    until: date
    today: date
    judged_until: datetime
    go_live: datetime
    shop_keys: frozenset[str]
    listed: Sequence[ListedOrder] = ()
    known: Sequence[KnownOrder] = ()
    ours: Sequence[OurDocument] = ()
    theirs: Sequence[TheirDocument] = ()
    before: frozenset[tuple[bool, str]] = frozenset()
    elsewhere: frozenset[tuple[bool, str]] = frozenset()
    hidden_until: datetime | None = None

    def young(self, held: TheirDocument) -> bool:
        """Whether a document changed too lately to be judged."""
        return held.changed_at is not None and held.changed_at > self.judged_until

    def has(self, day: date | None) -> bool:
        """Whether a day lies in the month."""
        return day is not None and self.since <= day < self.until

    def order_number(self, note: str | None) -> str | None:
        """The shop's number of the order a note points at (`#1001 / key:5807`); None where it is another's."""
        for key in self.shop_keys:
            found = re.search(rf"(?:^|[\s/]){re.escape(key)}:(\d+)(?!\d)", note or "")
            if found is not None:
                return found[1]
        return None


#: The order in which findings are told.
SORTS = ("hole", "double", "stranger", "question")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree. `sort` out of SORTS; `document` as people call it, `key` as our books, `held` as
    sevdesk; `fields` are those that differ."""

    sort: str
    code: str
    message: str
    order_id: str | None = None
    order_name: str | None = None
    document: str | None = None
    key: str | None = None
    held: str | None = None
    fields: tuple[str, ...] = ()


def about(sort: str, code: str, message: str, document: OurDocument) -> Finding:
    """A finding about a document of ours."""
    named = document.order_id, document.order_name, document.shown, document.key, document.sevdesk_id
    return Finding(sort, code, message, *named)


@dataclass(frozen=True, slots=True)
class Accounted:
    """What became of one order. `status`: documented, waiting, excluded, asked, missing, young."""

    order_id: str
    name: str
    status: str
    code: str | None = None


@dataclass(slots=True)
class Row:
    """What documents of one sort add up to at one tax rule and rate."""

    documents: int = 0
    gross: int = 0
    net: int = 0
    tax: int = 0

    def add(self, gross: int, net: int, tax: int, sign: int = 1) -> None:
        """One document's part."""
        self.documents += 1
        self.gross += sign * gross
        self.net += sign * net
        self.tax += sign * tax


@dataclass(slots=True)
class PeriodCertificate:
    """The proof of one month. `sums`: (sort, currency, tax rule, rate); `turnover`: (currency, tax rule, rate).

    `ours` are finalised documents of ours dated in the month; of those `compared` with sevdesk's, wherever dated,
    `equal` are the same there. `others` are finalised documents in sevdesk that are not this shop's, `paid_there` ours
    whose money is matched in sevdesk and came, `young` what changed too lately to be judged. `notices` are no findings:
    documents whose tax belongs to another return than their date says.
    """

    since: date
    until: date
    running: bool
    orders: list[Accounted] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sums: dict[tuple[str, str, int, Decimal], Row] = field(default_factory=dict)
    turnover: dict[tuple[str, int, Decimal], Row] = field(default_factory=dict)
    ours: int = 0
    compared: int = 0
    equal: int = 0
    others: int = 0
    paid_there: int = 0
    young: int = 0
    notices: list[Finding] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Orders by status."""
        return Counter(item.status for item in self.orders)

    @property
    def accounted(self) -> int:
        """Orders that are documented, wait or are excluded, each with its reason and nothing against it."""
        disputed = {item.order_id for item in self.findings}
        fine = ("documented", "waiting", "excluded")
        return sum(item.status in fine and item.order_id not in disputed for item in self.orders)

    @property
    def verdict(self) -> str:
        """complete (nothing found, nothing waits), waiting (nothing found), findings."""
        if self.findings:
            return "findings"
        return "waiting" if self.young or any(item.status == "waiting" for item in self.orders) else "complete"


def named(items: Iterable[Accounted], status: str) -> list[Accounted]:
    """The orders of one status, by code and name."""
    return sorted((item for item in items if item.status == status), key=lambda item: (item.code or "", item.name))
