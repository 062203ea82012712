"""Ledger entries -> positions of a document: folded per item, split per rate, checked against Shopify's taxes (R21).

The ledger gives the money (`Sale.total` is after taxes and discounts, in gross- and net-priced shops alike); line items
give names and order. Amounts are never recomputed from unit prices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ladenbuch.domain.document import Position, rate_text, sums_of
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.order import Agreement, Order, Sale
from ladenbuch.domain.rate_split import split_by_rate
from ladenbuch.domain.texts import one_line

_CHOICES = ("correct it by hand in sevdesk", "exclude the order")


@dataclass(slots=True)
class _Item:
    """Everything the ledger says about one line item or shipping line, up to the cut."""

    id: str | None
    line_type: str
    name: str | None
    quantity: int = 0
    gross: int = 0
    taxes: dict[Decimal, int] = field(default_factory=dict)
    sales: list[str] = field(default_factory=list)
    ties: dict[Decimal, int] = field(default_factory=dict)

    def add(self, sale: Sale) -> None:
        self.quantity += sale.quantity or 0
        self.gross += sale.total
        self.sales.append(sale.id)
        for tax in sale.taxes:
            self.taxes[tax.rate] = self.taxes.get(tax.rate, 0) + tax.amount
            self.ties[tax.rate] = self.ties.get(tax.rate, 0) + _is_tie(sale.total, tax.rate)


@dataclass(frozen=True, slots=True)
class Fold:
    """Positions and what they account for: gross claim and Shopify's tax per rate, covered sale ids."""

    positions: tuple[Position, ...]
    claim: tuple[tuple[Decimal, int], ...]
    shop_tax: tuple[tuple[Decimal, int], ...]
    covers: tuple[str, ...]


def fold(
    order: Order, agreements: Iterable[Agreement], *, whole_pieces: bool = False
) -> tuple[Fold | None, list[Problem]]:
    """Fold agreements into positions (R2). Returns the fold, or None and the reasons it cannot be trusted.

    `whole_pieces`: quantity and price are machine-read, so what cannot be divided is two positions, not "3 x name".
    """
    agreements = tuple(agreements)
    covers = tuple(sale.id for agreement in agreements for sale in agreement.sales)
    items, problems = _items(order, agreements)
    problems += [_off(sale) for agreement in agreements for sale in agreement.sales if _is_off(sale)]
    goods: dict[Decimal, int] = {}
    for item in items:
        if item.line_type != "SHIPPING" and len(item.taxes) == 1:
            rate = next(iter(item.taxes))
            goods[rate] = goods.get(rate, 0) + item.gross
    positions: list[Position] = []
    shop_tax: dict[Decimal, int] = {}
    roundings: dict[Decimal, int] = {}
    for item in items:
        made, problem = _positions_of(order, item, goods, whole_pieces)
        positions += made
        if problem is not None:
            problems.append(problem)
        for rate, amount in item.taxes.items():
            shop_tax[rate] = shop_tax.get(rate, 0) + amount
            roundings[rate] = roundings.get(rate, 0) + (len(item.sales) + item.ties.get(rate, 0) if item.gross else 0)
    if not problems:
        problems += _within_bound(positions, shop_tax, roundings)
    if problems:
        return None, problems
    claim = tuple((rate, total.gross) for rate, total in sums_of(positions).items())
    owed = sum(sale.total for agreement in agreements for sale in agreement.sales)
    if sum(gross for _, gross in claim) != owed:
        return None, [Problem("LEDGER", "the positions do not add up to the ledger", (order.id,), _CHOICES)]
    return Fold(tuple(positions), claim, tuple(sorted(shop_tax.items(), reverse=True)), covers), []


def _items(order: Order, agreements: tuple[Agreement, ...]) -> tuple[list[_Item], list[Problem]]:
    """Group the ledger per item, in the order of the order's lines, shipping last."""
    groups: dict[str, _Item] = {}
    unnamed: list[Sale] = []
    for agreement in agreements:
        for sale in agreement.sales:
            if sale.line_type == "SHIPPING" and sale.item_id is None:
                unnamed.append(sale)
                continue
            key = sale.item_id or sale.id
            item = groups.setdefault(key, _Item(sale.item_id, sale.line_type, sale.item_name))
            item.add(sale)
    shipping = [item for item in groups.values() if item.line_type == "SHIPPING"]
    for sale in unnamed:
        # Shopify names no shipping line on returns: it can only be the one there is.
        if not shipping:
            shipping.append(groups.setdefault(sale.id, _Item(None, "SHIPPING", sale.item_name)))
        if len(shipping) > 1:
            return [], [Problem("LEDGER", "a shipping entry names no shipping line", (sale.id,), _CHOICES)]
        shipping[0].add(sale)
    place = {line.id: index for index, line in enumerate(order.lines)}
    ordered = sorted(
        groups.values(), key=lambda item: (item.line_type == "SHIPPING", place.get(item.id or "", len(place)))
    )
    return ordered, []


def _positions_of(
    order: Order, item: _Item, goods: dict[Decimal, int], whole_pieces: bool
) -> tuple[list[Position], Problem | None]:
    if item.gross == 0 and (item.quantity == 0 or item.line_type == "SHIPPING" or not (item.taxes or goods)):
        return [], None
    name, text = _name(order, item)
    if item.gross < 0:
        return [], Problem("LEDGER", f"more was returned of {name!r} than sold", tuple(item.sales), _CHOICES)
    if item.gross == 0:
        rate = max(item.taxes, default=None) if item.taxes else None
        rate = rate if rate is not None else max(goods, key=lambda candidate: goods[candidate])
        return [Position(name, max(item.quantity, 1), 0, 0, rate, text, tuple(item.sales))], None
    if len(item.taxes) == 1:
        rate = next(iter(item.taxes))
        quantity = 1 if item.line_type == "SHIPPING" else item.quantity
        position = Position.of(name, quantity, item.gross, rate, text=text, covers=tuple(item.sales))
        return list(position.in_whole_pieces(name, max(quantity, 1)) if whole_pieces else [position]), None
    parts = split_by_rate(item.gross, item.taxes, goods) if item.line_type == "SHIPPING" else None
    if parts is None:
        message = f"{name!r} carries several tax rates and cannot be split to the cent"
        code = "TAX-SHIPPING" if item.line_type == "SHIPPING" else "TAX-BOUND"
        return [], Problem(code, message, tuple(item.sales), _CHOICES)
    return [
        Position(f"{name} (Anteil {rate_text(rate)} %)", 1, part, part, rate, text, tuple(item.sales))
        for rate, part in sorted(parts.items(), reverse=True)
        if part
    ], None


def _name(order: Order, item: _Item) -> tuple[str, str | None]:
    """What the buyer bought, in the shop's words, and the SKU."""
    for line in order.lines:
        if line.id == item.id:
            variant = one_line(line.variant_title if line.variant_title != "Default Title" else None)
            title = one_line(line.title) or "Artikel"
            return (f"{title} - {variant}" if variant else title), (f"SKU {line.sku}" if line.sku else None)
    for shipping in order.shipping_lines:
        if item.line_type == "SHIPPING" and shipping.id == item.id:
            return one_line(shipping.title) or "Versand", None
    return (one_line(item.name) or ("Versand" if item.line_type == "SHIPPING" else "Artikel")), None


def _is_off(sale: Sale) -> bool:
    """R21: the tax of an entry with one rate lies more than one cent from gross * rate / (1 + rate), exactly."""
    rates = {tax.rate for tax in sale.taxes}
    if len(rates) != 1:
        return False
    rate = rates.pop()
    tax = sum(part.amount for part in sale.taxes)
    return abs(tax * (100 + rate) - sale.total * rate) > 100 + rate


def _off(sale: Sale) -> Problem:
    rate = rate_text(sale.taxes[0].rate)
    return Problem("TAX-BOUND", f"the tax of a line is not {rate} % of its price", (sale.id,), _CHOICES)


def _is_tie(gross: int, rate: Decimal) -> bool:
    """Whether the tax is an exact half cent (at 20, 12 and 4 %): the shop rounds the tax up, sevdesk the net (2.3)."""
    return (2 * gross * rate) % (100 + rate) == 0 and (gross * rate) % (100 + rate) != 0


def _within_bound(
    positions: list[Position], shop_tax: dict[Decimal, int], roundings: dict[Decimal, int]
) -> list[Problem]:
    """R21: Shopify's tax per rate and ours differ by rounding only, at most (n + 1) / 2 cents.

    n counts positions with money, or ledger entries where several were folded into one position (each was rounded by
    itself); an exact half cent counts twice, because there both sides are half a cent off.
    """
    found = []
    ours = {rate: total.tax for rate, total in sums_of(positions).items()}
    for rate in sorted({*ours, *shop_tax}, reverse=True):
        count = max(sum(1 for item in positions if item.rate == rate and item.gross), roundings.get(rate, 0))
        said, predicted = shop_tax.get(rate, 0), ours.get(rate, 0)
        if 2 * abs(said - predicted) > count + 1:
            message = f"tax at {rate_text(rate)} %: the shop says {said}, the rate says {predicted}"
            found.append(Problem("TAX-BOUND", message, (), _CHOICES))
    return found
