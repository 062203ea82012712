"""What was read of the two sides of a connection and of the tenant between them, and what is found in it: values only.

A side that could not be read is an `Unread` with the reason. Amounts are minor units, instants aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from ladenbuch.domain.profile import Profile
from ladenbuch.domain.threshold import EuSale

#: missing: no first invoice before somebody acts; warn: it may run, and somebody should know; ok: as it should be.
Level = Literal["ok", "warn", "missing"]
#: What a finding is about, in the order in which they are told.
Area = Literal["shopify", "sevdesk", "taxes", "seller", "money", "profile", "letters"]
AREAS: tuple[Area, ...] = ("shopify", "sevdesk", "taxes", "seller", "money", "profile", "letters")
Language = Literal["de", "en"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `code` is stable whatever the level; `about` names a gateway, a field or a tenant.

    Sentences have no full stop; what to do is empty where nothing is to be done. `later`: nobody answered, and another
    time somebody may.
    """

    level: Level
    code: str
    area: Area
    english: str
    german: str
    do_english: str = ""
    do_german: str = ""
    about: str = ""
    later: bool = False

    def sentence(self, language: Language) -> str:
        """What was found."""
        return self.german if language == "de" else self.english

    def todo(self, language: Language) -> str:
        """What to do about it, or an empty string."""
        return self.do_german if language == "de" else self.do_english

    def as_json(self) -> dict[str, Any]:
        """The shape documented in docs/reference/readiness.md."""
        return {
            "level": self.level,
            "code": self.code,
            "area": self.area,
            "about": self.about,
            "sentence": self.english,
            "todo": self.do_english,
            "sentence_de": self.german,
            "todo_de": self.do_german,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Finding:
        """The reverse of `as_json`."""
        return cls(
            told["level"],
            told["code"],
            told["area"],
            told["sentence"],
            told["sentence_de"],
            told["todo"],
            told["todo_de"],
            told["about"],
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a side could not be read; `later` when the same question may be answered another time."""

    code: str
    message: str = ""
    later: bool = False


@dataclass(frozen=True, slots=True)
class RecentOrder:
    """One of the shop's newest orders: its total and the tax in it, and (gateway, manual) of its transactions.

    `till`: sold at a cash register.
    """

    gross: int
    tax: int
    gateways: tuple[tuple[str, bool], ...] = ()
    test: bool = False
    till: bool = False


@dataclass(frozen=True, slots=True)
class ShopRead:
    """The shop's settings and the app's scopes. `recent` is None where the orders could not be read."""

    gid: str
    name: str
    domain: str
    currency: str
    country: str
    time_zone: str
    taxes_included: bool
    tax_shipping: bool
    presentment: tuple[str, ...] = ()
    plan: str = ""
    development: bool = False
    scopes: frozenset[str] = frozenset()
    recent: tuple[RecentOrder, ...] | None = None

    def granted(self, scope: str) -> bool:
        """Whether the app has a scope; to write includes to read."""
        return scope in self.scopes or scope.replace("read_", "write_", 1) in self.scopes

    def ours(self, profile: Profile) -> tuple[RecentOrder, ...]:
        """The newest orders that reach the books: no test orders, those of the till only where they are included."""
        recent = self.recent or ()
        return tuple(order for order in recent if not order.test and (profile.include_pos or not order.till))


@dataclass(frozen=True, slots=True)
class PaymentAccount:
    """A payment account in sevdesk. `fed`: a bank or PayPal brings its lines (`provider`, where sevdesk names it)."""

    id: str
    name: str
    kind: str
    currency: str = "EUR"
    active: bool = True
    auto_map: bool = False
    fed: bool = False
    provider: str = ""


@dataclass(frozen=True, slots=True)
class AccountRead:
    """The sevdesk account. What it does not tell is None: `small_business`, `rules`, `revenue`.

    `told` is the seller's master data: name of the field -> value or '', without the fields sevdesk is silent about.
    `revenue` has each (tax rule, rate as sevdesk writes it) it has an account for; `ranges` the number formats by kind;
    `lacking` what every document needs and the account has not: user, unit, country, categories.
    """

    id: str
    name: str = ""
    version: str = "2.0"
    small_business: bool | None = None
    told: Mapping[str, str] = field(default_factory=dict, repr=False)
    rules: frozenset[int] | None = None
    revenue: frozenset[tuple[int, str]] | None = None
    accounts: tuple[PaymentAccount, ...] = ()
    ranges: Mapping[str, str] = field(default_factory=dict)
    lacking: frozenset[str] = frozenset()
    payment_means: bool = True

    def account(self, id: str | None) -> PaymentAccount | None:
        """The payment account of that id."""
        return next((item for item in self.accounts if item.id == id), None)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another shop whose books are kept in the same sevdesk account."""

    tenant: str
    shop: str
    shop_key: str
    regime: str
    oss_from: date | None


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant itself, and what the installation gives it. `shop_gid`, `sevdesk_ref`: as its books know them.

    `relays_here`: the mail relays are all on this machine, where nobody beyond it reads a sender.
    """

    tenant: str
    shop: str
    now: datetime
    cut_off: datetime
    created_at: datetime
    shop_gid: str | None = None
    sevdesk_ref: str | None = None
    neighbours: tuple[Neighbour, ...] = ()
    relays: int = 0
    relays_here: bool = False
    sender: str | None = None
    foreign_sender: bool = False  # `letters_from` is of a domain somebody else here sends from
    eu_sales: tuple[EuSale, ...] = ()
    foreign: int = 0  # invoices of others in sevdesk since the cut-off, as far as they were counted
