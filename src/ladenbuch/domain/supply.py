"""What was supplied, and where to: the ledger entries of an order grouped by what tax law asks first.

Goods are supplied where their transport begins or ends (UStG §3 (6), §3c), electronic services where a consumer lives
(§3a (5)), other services at the supplier's seat (§3a (1)) or where they are used (§3a (3)), services to businesses at
the buyer's seat (§3a (2)). Shipping, fees, tips and duties follow the goods (UStAE 3.10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ladenbuch.domain.facts import Problem
from ladenbuch.domain.order import Agreement, Order, Sale
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.territory import HOME, Territory, territory_of

GOODS, ELECTRONIC, SERVICE, SERVICE_AT_PLACE = "goods", "electronic", "service", "service_at_place"
#: What is never supplied for itself.
_FOLLOWERS = frozenset({"TIP", "FEE", "ADDITIONAL_FEE"})
_CHOICES = ("decide the tax rule by hand", "exclude the order")


@dataclass(frozen=True, slots=True)
class Supply:
    """Ledger entries that share kind and place. `kind`: goods, electronic, service, service_at_place."""

    kind: str
    territory: Territory
    sales: tuple[Sale, ...]

    @property
    def tax(self) -> int:
        """The tax Shopify charged on it, in minor units."""
        return sum(sale.tax for sale in self.sales)

    @property
    def untaxed(self) -> bool:
        """Whether no entry carries any tax (an explicit rate of 0 counts as none)."""
        return not any(sale.tax or any(tax.rate for tax in sale.taxes) for sale in self.sales if sale.total)


def supplies_of(order: Order, agreements: Iterable[Agreement], profile: Profile) -> tuple[list[Supply], list[Problem]]:
    """Group what was sold in `agreements`; the reasons why it cannot be placed come second."""
    kinds = {line.id: GOODS if line.requires_shipping else profile.unshipped for line in order.lines}
    groups: dict[str, list[Sale]] = {}
    followers: list[Sale] = []
    for sale in (sale for agreement in agreements for sale in agreement.sales):
        if sale.line_type == "PRODUCT":
            groups.setdefault(kinds.get(sale.item_id or "", GOODS), []).append(sale)
        else:
            followers.append(sale)
    carrier = GOODS if GOODS in groups or not groups else next(iter(groups))
    for kind in [kind for kind, sales in groups.items() if kind != carrier and not any(sale.total for sale in sales)]:
        followers += groups.pop(kind)  # what costs nothing is supplied along with the rest
    if followers:
        groups.setdefault(carrier, []).extend(followers)
    shipped = order.shipping_address or order.billing_address
    billed = order.billing_address or order.shipping_address
    places = {
        kind: territory_of(shipped if kind == GOODS and _ships(order) else billed, goods=kind == GOODS)
        for kind in groups
    }
    if any(place is None for place in places.values()):
        return [], [Problem("TAX-PLACE", "no country of destination is known", (order.id,), _CHOICES)]
    known = {kind: place for kind, place in places.items() if place is not None}
    if all(place.status == HOME and place.special is None for place in known.values()):
        sales = tuple(sale for group in groups.values() for sale in group)
        return [Supply(GOODS, Territory("DE", HOME), sales)], []
    if "unset" in groups and any(sale.total for sale in groups["unset"]):
        message = "it is not known whether what is not shipped is an electronic or another service"
        choices = ("electronic", "service", "service at the place of use")
        return [], [Problem("TAX-KIND", message, tuple(sale.id for sale in groups["unset"]), choices)]
    return [Supply(kind, known[kind], tuple(sales)) for kind, sales in groups.items()], []


def supplied_when_paid(order: Order, agreements: Iterable[Agreement], profile: Profile) -> bool:
    """Whether the payment is no advance: a single-purpose voucher is supplied when it is issued (UStG §3 (14) sentence
    2), a download when the buyer may fetch it. False where anything with a price is still to be sent or performed.
    """
    at_once = {line.id for line in order.lines if not line.requires_shipping and profile.unshipped == ELECTRONIC}
    sold = [sale for item in agreements for sale in item.sales if sale.total and sale.line_type not in _FOLLOWERS]
    return bool(sold) and all(sale.line_type == "GIFT_CARD" or sale.item_id in at_once for sale in sold)


def _ships(order: Order) -> bool:
    return any(line.requires_shipping for line in order.lines) or bool(order.shipping_lines)
