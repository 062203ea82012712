"""Credit notes: money that went back, put on the invoices that carried it (R4, R6, P11).

The amount is the money returned, never what the ledger would like it to be. Its rates are those under which the
invoice carried the returned items; what the ledger does not explain (an amount only, a fee that was kept) is spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.document import Position
from ladenbuch.domain.money import allocate
from ladenbuch.domain.order import Order, Sale
from ladenbuch.domain.texts import one_line

Slot = tuple[int, Decimal]  # which document, which rate


@dataclass(slots=True)
class Carrier:
    """An invoice while the chain is replayed: what it still carries per rate, and which items it sold."""

    document: PostedDocument
    remaining: dict[Decimal, int]
    items: dict[str, dict[Decimal, int]] = field(default_factory=dict)
    credited: int = 0
    cancelled: bool = False

    @property
    def gross(self) -> int:
        """What it still carries, in minor units."""
        return 0 if self.cancelled else sum(self.remaining.values())


def carrier_of(document: PostedDocument, sales: Iterable[Sale]) -> Carrier:
    """A document with the items of the ledger entries its positions account for."""
    item_of = {sale.id: sale.item_id or sale.line_type for sale in sales}
    items: dict[str, dict[Decimal, int]] = {}
    for position in document.draft.positions:
        for item in {item_of[sale] for sale in position.covers if sale in item_of}:
            rates = items.setdefault(item, {})
            rates[position.rate] = rates.get(position.rate, 0) + position.gross
    remaining = {rate: total.gross for rate, total in document.draft.sums.items() if total.gross}
    return Carrier(document, remaining, items)


@dataclass(frozen=True, slots=True)
class Share:
    """What one credit note takes from one invoice."""

    carrier: int
    positions: tuple[Position, ...]

    @property
    def gross(self) -> int:
        """In minor units."""
        return sum(position.gross for position in self.positions)


def shares_of(order: Order, carriers: Sequence[Carrier], returned: Sequence[Sale], amount: int) -> list[Share] | None:
    """Put `amount` (minor units, positive) of returned money on the invoices. None where they do not carry it.

    `returned` are the refund's ledger entries. Exact where they explain the amount; otherwise in their proportion, be
    it less (a fee was kept) or more (something was added), or for an amount alone in the proportion of what the newest
    invoice still carries (R4, golden documents G5 to G8).
    """
    wanted = [sale for sale in returned if sale.total < 0 and sale.line_type not in ("ADJUSTMENT", "FEE")]
    placed = [(sale, _places(carriers, sale)) for sale in wanted]
    if any(place is None for _, place in placed):
        return None
    demand: dict[Slot, int] = {}
    for _, place in placed:
        for slot, gross in (place or {}).items():
            demand[slot] = demand.get(slot, 0) + gross
    room = {(index, rate): left for index, item in enumerate(carriers) for rate, left in item.remaining.items()}
    exact = sum(demand.values()) == amount and all(gross <= room.get(slot, 0) for slot, gross in demand.items())
    if exact:
        return _shares([(slot, _item(order, sale, gross)) for sale, place in placed for slot, gross in place_of(place)])
    taken = _spread(carriers, demand, room, amount)
    if taken is None:
        return None
    names = {one_line(_name(order, sale)) for sale in wanted}
    label = f"Erstattung {names.pop()}" if len(names) == 1 else "Erstattung"
    return _shares([(slot, (label, 1, gross)) for slot, gross in taken.items() if gross])


def place_of(place: dict[Slot, int] | None) -> list[tuple[Slot, int]]:
    """The slots of an entry, newest document last, highest rate first."""
    return sorted((place or {}).items(), key=lambda entry: (entry[0][0], -entry[0][1]))


def _places(carriers: Sequence[Carrier], sale: Sale) -> dict[Slot, int] | None:
    """Which invoice, at which rates, carried what an entry takes back: the newest that sold the item, else the rate."""
    gross = -sale.total
    item = sale.item_id or sale.line_type
    for index in range(len(carriers) - 1, -1, -1):
        carrier = carriers[index]
        rates = carrier.items.get(item)
        if rates is None and sale.line_type == "SHIPPING":
            rates = carrier.items.get("SHIPPING") or _shipping(carrier)
        if carrier.cancelled or not rates or not any(rates.values()):
            continue
        order = sorted(rates, reverse=True)
        parts = allocate(gross, [rates[rate] for rate in order])
        return {(index, rate): part for rate, part in zip(order, parts, strict=True) if part}
    charged = {tax.rate for tax in sale.taxes} or {Decimal(0)}
    for index in range(len(carriers) - 1, -1, -1):
        found = [rate for rate in charged if carriers[index].remaining.get(rate, 0) >= gross]
        if len(charged) == 1 and found and not carriers[index].cancelled:
            return {(index, found[0]): gross}
    return None


def _shipping(carrier: Carrier) -> dict[Decimal, int]:
    """Shopify names no shipping line on returns: the one a document carries."""
    lines = [rates for item, rates in carrier.items.items() if "ShippingLine" in item]
    return lines[0] if len(lines) == 1 else {}


def _spread(
    carriers: Sequence[Carrier], demand: dict[Slot, int], room: dict[Slot, int], amount: int
) -> dict[Slot, int] | None:
    """`amount` in the proportion of `demand`, also where it is more (R4), never more than there is room.

    The rest by what remains, newest first.
    """
    taken: dict[Slot, int] = {}
    left = amount
    if demand:
        slots = sorted(demand, key=lambda slot: (slot[0], -slot[1]))
        for slot, part in zip(slots, allocate(left, [demand[s] for s in slots]), strict=True):
            taken[slot] = min(part, room.get(slot, 0))
        left -= sum(taken.values())
    for index in range(len(carriers) - 1, -1, -1):
        if carriers[index].cancelled or left <= 0:
            continue
        rates = sorted(carriers[index].remaining, reverse=True)
        free = [room[(index, rate)] - taken.get((index, rate), 0) for rate in rates]
        part = min(left, sum(free))
        if part <= 0:
            continue
        for rate, gross in zip(rates, allocate(part, free), strict=True):
            taken[(index, rate)] = taken.get((index, rate), 0) + gross
        left -= part
    return taken if left == 0 else None


def _shares(parts: list[tuple[Slot, tuple[str, int, int]]]) -> list[Share]:
    by_document: dict[int, list[Position]] = {}
    for (index, rate), (name, quantity, gross) in parts:
        by_document.setdefault(index, []).append(Position.of(name, quantity, gross, rate))
    return [Share(index, tuple(positions)) for index, positions in sorted(by_document.items())]


def _item(order: Order, sale: Sale, gross: int) -> tuple[str, int, int]:
    quantity = abs(sale.quantity or 1) if gross == -sale.total else 1
    return f"Erstattung {_name(order, sale)}", max(quantity, 1), gross


def _name(order: Order, sale: Sale) -> str:
    line = next((item for item in order.lines if item.id == sale.item_id), None)
    if line is not None:
        return one_line(line.title) or "Artikel"
    return one_line(sale.item_name) or ("Versand" if sale.line_type == "SHIPPING" else "Artikel")
