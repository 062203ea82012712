"""The values the replay hands out, and the paper it keeps for itself while documents are still being corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from ladenbuch.simulators.owed.reading import by_rate_first, spread

#: What was sold: the gid of a line or a shipping line (a line type where there is none), and its rate.
Item = tuple[str, str]
#: The kinds of documents that claim money, and those that take a claim back.
CLAIMING = ("invoice", "supplementary")
REDUCING = ("credit_note", "cancellation")


@dataclass(frozen=True)
class Seller:
    """What the seller decided: OSS or not, tips at the goods' main rate or asked about, gateways with an account.

    `cards`: gift cards are a debt (multi-purpose), or asked about. `by_hand`: gateways he books himself.
    """

    oss: bool = True
    tips: str | None = "main"
    cards: str | None = "debt"
    clearing: tuple[str, ...] = ("shopify_payments", "klarna", "paypal", "gift_card", "shopify_store_credit")
    by_hand: tuple[str, ...] = ("cash_on_delivery", "invoice_on_delivery")


@dataclass(frozen=True)
class OwedPayment:
    """Money on a clearing account, refunds negative; `at` is when it moved. `card`: what of it is for gift cards."""

    transaction: str
    cents: int
    day: date
    at: datetime
    card: int = 0


@dataclass(frozen=True)
class OwedBooking:
    """Money of one transaction on one document: negative on a credit note. `clearing`: on an account of ours."""

    transaction: str
    cents: int
    at: datetime
    clearing: bool


@dataclass(frozen=True)
class OwedDocument:
    """One document of the chain. Cents are positive whatever the kind.

    `key` names it within its order: inv, sup:<agreement>, cn:<refund>:<n>, sr:<n>; `refers_to` is the key of the
    document it corrects or replaces. `at` is the instant that made it due, `rests_on` the gids of agreements, refunds
    and transactions it rests on. `cancelled`: a later cancellation of the chain takes it back. `tax_by_rate` and
    `roundings` are the shop's tax and its number of roundings per rate, where the shop names a usable one.
    """

    kind: str
    key: str
    gross: int
    by_rate: dict[str, int]
    rule: int
    at: datetime
    refers_to: str | None
    rests_on: tuple[str, ...]
    bookings: tuple[OwedBooking, ...]
    cancelled: bool = False
    tax_by_rate: dict[str, int] = field(default_factory=dict)
    roundings: dict[str, int] = field(default_factory=dict)


@dataclass
class Chain:
    """Everything an order owes. `outcome` documented | waiting | excluded | attention; `reason`: why not documented.

    `questions` are the codes a person is asked about; documents that do not depend on the answer are still listed.
    `payments` is the money on clearing accounts, refunds negative, linked or not.
    """

    order: str
    name: str
    outcome: str
    reason: str | None = None
    rule: int = 1
    tax_point: datetime | None = None
    documents: list[OwedDocument] = field(default_factory=list)
    questions: tuple[str, ...] = ()
    payments: list[OwedPayment] = field(default_factory=list)
    delivery_days: set[date] = field(default_factory=set)
    email: str | None = None

    @property
    def live(self) -> list[OwedDocument]:
        """Invoices and supplementary invoices nothing takes back."""
        return [paper for paper in self.documents if paper.kind in CLAIMING and not paper.cancelled]


@dataclass(eq=False)
class Paper:
    """A document while the replay runs; of a claiming one also what is left of it."""

    kind: str
    key: str
    items: Counter[Item]
    at: datetime
    rests_on: list[str]
    refers_to: str | None = None
    bookings: list[OwedBooking] = field(default_factory=list)
    cancelled: bool = False
    left: Counter[str] = field(default_factory=Counter)  # gross per rate nobody has corrected yet
    covered: Counter[Item] = field(default_factory=Counter)  # the same per item; amount-only corrections have none
    tax_by_rate: dict[str, int] = field(default_factory=dict)
    roundings: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind in CLAIMING:
            self.left, self.covered = per_rate(self.items), Counter(self.items)

    @property
    def gross(self) -> int:
        return sum(self.items.values())

    @property
    def rest(self) -> int:
        """What is still documented by it."""
        return 0 if self.cancelled else sum(self.left.values())

    @property
    def open(self) -> int:
        """What the buyer still has to pay on it."""
        paid = sum(booking.cents for booking in self.bookings)
        return 0 if self.cancelled or self.kind not in CLAIMING else self.gross - paid

    def take(self, rate: str, cents: int, item: Item | None = None) -> int:
        """Correct it by up to `cents` at a rate (of an item: no more than is left of that); returns what was taken."""
        taken = min(cents, self.left[rate], cents if item is None else self.covered[item])
        self.left[rate] -= taken
        if item is not None:
            self.covered[item] -= taken
        return taken

    def take_any(self, cents: int) -> Counter[str]:
        """Correct it by up to `cents`, over its rates in proportion to what is left of them (G6, G6b)."""
        rates = [rate for rate in by_rate_first(self.left) if self.left[rate] > 0]
        cents = min(cents, sum(self.left[rate] for rate in rates))
        shares = dict(zip(rates, spread(cents, [self.left[rate] for rate in rates]), strict=True))
        self.left.subtract(shares)
        return Counter(shares)

    def owed(self, rule: int) -> OwedDocument:
        """The value to hand out."""
        rates = {rate: cents for rate, cents in per_rate(self.items).items() if cents}
        ordered = {rate: rates[rate] for rate in by_rate_first(rates)}
        return OwedDocument(
            self.kind, self.key, sum(rates.values()), ordered, rule, self.at, self.refers_to, tuple(self.rests_on),
            tuple(self.bookings), self.cancelled, self.tax_by_rate, self.roundings,
        )  # fmt: skip


def per_rate(items: Mapping[Item, int]) -> Counter[str]:
    """Gross per rate of items."""
    total: Counter[str] = Counter()
    for (_, rate), cents in items.items():
        total[rate] += cents
    return total


def shares(cents: int, weights: Mapping[Item, int]) -> Counter[Item]:
    """`cents` >= 0 over items in proportion: over the rates first (highest first), then within a rate."""
    rates = per_rate(weights)
    parts: Counter[Item] = Counter()
    order = [rate for rate in by_rate_first(rates) if rates[rate] > 0]
    for rate, part in zip(order, spread(cents, [rates[rate] for rate in order]), strict=True):
        same = [item for item in weights if item[1] == rate and weights[item] > 0]
        parts.update(dict(zip(same, spread(part, [weights[item] for item in same]), strict=True)))
    return parts


def without_zeros(items: Iterable[tuple[Item, int]]) -> Counter[Item]:
    """Items that are worth something."""
    return Counter({item: cents for item, cents in items if cents})
