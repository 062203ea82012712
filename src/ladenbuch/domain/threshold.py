"""What consumers in other member states bought, against the threshold below which German law taxes it.

10,000 EUR net per calendar year over all distance sales of goods and electronic services, passed neither this year nor
the year before (UStG §3a (5) sentence 3, §3c (4)). The sale that passes it is itself taxed where it goes (bookkeeping
F20). Only what was sold up to a sale's own tax point counts for it, so that it is decided alike live and late; a refund
counts in the year of its money. Once passed stays passed: a later refund opens no second time below the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.profile import Profile, profile_at

#: In minor units, net. From NOTICE on the seller should prepare the OSS registration.
LIMIT, NOTICE = 1_000_000, 800_000
#: Cases of the tax decision that are taxed in Germany only because of the threshold.
AT_HOME = frozenset({"below_threshold", "small_business_abroad"})
#: Everything the threshold is made of. Services used at their place do not count (§3a (3) UStG).
COUNTED = AT_HOME | {"oss_goods", "oss_electronic"}


@dataclass(frozen=True, slots=True)
class EuSale:
    """One document that counts: `net` in minor units at its tax point (aware UTC), negative for a credit note."""

    at: datetime
    net: int
    order_id: str
    key: str
    at_home: bool = True


@dataclass(frozen=True, slots=True)
class Counter:
    """What was sold when a sale is made, in minor units net; `this_year` includes the sale and the profile's figures.

    `exceeded` is the year in which the threshold was passed and the highest figure of that year; None while it holds.
    """

    year: int
    this_year: int
    last_year: int
    exceeded: tuple[int, int] | None

    def __str__(self) -> str:
        """`3412.00 in 2026, 0.00 in 2025`."""
        this, last = to_decimal(self.this_year), to_decimal(self.last_year)
        return f"{this} in {self.year}, {last} in {self.year - 1}"

    @property
    def passed(self) -> str:
        """Why a sale is not taxed in Germany any more; empty while it is."""
        if self.exceeded is None:
            return ""
        year, net = self.exceeded
        return f"EU consumers bought for {net} minor units net in {year}, above the threshold: taxed at the destination"

    def words(self, *, german: bool) -> dict[str, str]:
        """What the texts of a tax decision say about it: `{counted}` and `{year}`."""
        return {"counted": euros(self.this_year, german=german), "year": str(self.year)}


def counted(document: PostedDocument, order_id: str) -> EuSale | None:
    """What a document adds to the threshold; None for one that has nothing to do with it.

    What others invoiced before go-live is in the profile's own figures (`Profile.sold_before`).
    """
    case = document.tax.get("case")
    if case not in COUNTED or document.tax_point is None or document.tax.get("before_us"):
        return None
    net = sum(total.net for total in document.draft.sums.values())
    sign = -1 if document.kind == "credit_note" else 1
    return EuSale(document.tax_point, sign * net, order_id, document.key, case in AT_HOME)


@dataclass(slots=True)
class _Years:
    """Running sums per year, and the highest each of them ever was."""

    sums: dict[int, int] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)

    def add(self, year: int, net: int) -> None:
        self.sums[year] = self.sums.get(year, 0) + net
        self.highest[year] = max(self.highest.get(year, 0), self.sums[year])

    def with_sale(self, profile: Profile, at: datetime, net: int) -> Counter:
        year = profile.local_date(at).year
        now = profile.sold_before(year) + self.sums.get(year, 0) + net
        tops = {
            year - 1: profile.sold_before(year - 1) + self.highest.get(year - 1, 0),
            year: max(profile.sold_before(year) + self.highest.get(year, 0), now),
        }
        passed = next(((when, top) for when, top in tops.items() if top > LIMIT), None)
        before = profile.sold_before(year - 1) + self.sums.get(year - 1, 0)
        return Counter(year, now, before, passed)


def count(sales: Iterable[EuSale], profile: Profile, at: datetime, net: int) -> Counter:
    """The counter with a sale of `net` at its tax point `at` (aware UTC), among those documented up to then."""
    years = _Years()
    for sale in _in_order(sales):
        if sale.at <= at:
            years.add(profile.local_date(sale.at).year, sale.net)
    return years.with_sale(profile, at, net)


def overtaken(sales: Iterable[EuSale], profiles: Sequence[Profile]) -> list[EuSale]:
    """Documents that were taxed in Germany, and by now should not have been: earlier sales became known after them.

    What was pinned stays; a person corrects it. `profiles` are all versions of the tenant's profile.
    """
    years, found = _Years(), []
    for sale in _in_order(sales):
        profile = profile_at(profiles, sale.at)
        if sale.at_home and sale.net > 0 and years.with_sale(profile, sale.at, sale.net).exceeded:
            found.append(sale)
        years.add(profile.local_date(sale.at).year, sale.net)
    return found


def euros(minor: int, *, german: bool) -> str:
    """`341200` -> `"3,412.00"`, in German `"3.412,00"`."""
    text = f"{Decimal(minor).scaleb(-2):,.2f}"
    return text.translate(str.maketrans(",.", ".,")) if german else text


def _in_order(sales: Iterable[EuSale]) -> list[EuSale]:
    return sorted(sales, key=lambda sale: (sale.at, sale.key))
