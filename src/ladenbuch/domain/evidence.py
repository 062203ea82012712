"""What was looked up outside the order and kept: VAT rates, and answers about VAT ids with their time.

A later answer never reopens a decision: what a document rests on is pinned with it (P2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.feed import FeedLine
from ladenbuch.domain.foreign import ForeignDocument
from ladenbuch.domain.order import Order
from ladenbuch.domain.rates import RateTable
from ladenbuch.domain.threshold import EuSale, counted

VALID, INVALID, UNAVAILABLE = "valid", "invalid", "unavailable"
#: What shops call the field in which a buyer writes a VAT id, without blanks and punctuation.
_ATTRIBUTES = frozenset({"vatid", "vatnumber", "vat", "ustid", "ustidnr", "umsatzsteuerid", "vatregistrationnumber"})


@dataclass(frozen=True, slots=True)
class VatIdAnswer:
    """The answer to one question about a VAT id: kept with its time as proof (UStG §6a (1) no. 4).

    `verdict` is valid, invalid or unavailable (nobody could say: that is not invalid). `asked_at` is aware UTC.
    """

    vat_id: str
    verdict: str
    asked_at: datetime
    name: str | None = field(default=None, repr=False)
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A line of the merchant's bank account that is, or may be, for the order (`domain.money_back`).

    `amount` is the order's share, `whole` whether that is all of it. `free`: nobody linked it yet; `gone`: it is not in
    sevdesk any more. `others`: how many more orders it may be for.
    """

    line_id: str
    account: str
    amount: int
    whole: bool
    verdict: str
    day: date | None = None
    free: bool = True
    gone: bool = False
    others: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a decision may rest on besides the order and the books.

    `eu_sales` is what the documents of other orders add to the EU threshold; `feeds` are free lines on the accounts
    that feeds fill, as far as they were looked up; `foreign` are documents of others that may be the order's invoice;
    `transfers` are lines of bank accounts that are for the order, or may be.
    """

    rates: RateTable = field(default_factory=RateTable)
    vat_ids: Mapping[str, VatIdAnswer] = field(default_factory=dict)
    eu_sales: tuple[EuSale, ...] = ()
    feeds: tuple[FeedLine, ...] = ()
    foreign: tuple[ForeignDocument, ...] = ()
    transfers: tuple[Transfer, ...] = ()

    def beside(self, documents: Iterable[PostedDocument], order_id: str) -> Evidence:
        """The same with the order's own earlier documents, for what was sold in it later."""
        own = (counted(item, order_id) for item in documents)
        return replace(self, eu_sales=(*self.eu_sales, *(item for item in own if item is not None)))


def vat_id_of(order: Order) -> str | None:
    """The VAT id the buyer gave, in capitals without blanks and punctuation; None without one."""
    told = [order.company.tax_registration_id if order.company else None]
    told.append(order.customer.tax_id if order.customer else None)
    told += [value for name, value in order.custom_attributes if _plain(name).lower() in _ATTRIBUTES]
    return next((plain for text in told if text and (plain := _plain(text).upper())), None)


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
