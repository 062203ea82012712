"""Positions: ours written for sevdesk, sevdesk's read back, and the comparison of the two to the cent (R21)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from ladenbuch.domain.document import Position, RateSum, rate_text
from ladenbuch.domain.money import net_of_gross, round_half_away, to_decimal
from ladenbuch.sevdesk import reading
from ladenbuch.sevdesk.paper import line, reference
from ladenbuch.sevdesk.reading import Json, plain


@dataclass(frozen=True, slots=True)
class RemotePosition:
    """A position as sevdesk holds it. `price` is gross per piece (a human may have typed more than two
    places).
    """

    id: str
    number: int
    name: str = field(repr=False)
    text: str | None = field(repr=False)
    quantity: Decimal
    price: Decimal
    rate: Decimal
    gross: int
    net: int
    tax: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as drafted. Safe to log: figures, days and counts, no names."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}"


# -- writing ---------------------------------------------------------------------------------------


def position_bodies(kind: str, positions: Iterable[Position], unity_id: str | int) -> list[dict[str, Any]]:
    """The positions of a save request; `kind` is InvoicePos or CreditNotePos."""
    return [_body(kind, number, position, unity_id) for number, position in enumerate(positions)]


def _body(kind: str, number: int, position: Position, unity_id: str | int) -> dict[str, Any]:
    name = line(position.name)
    full = " ".join(plain(position.name).split())
    texts = [full] if full != name else []
    if position.text and plain(position.text).strip():
        texts.append(plain(position.text).strip())
    return {
        "objectName": kind,
        "mapAll": True,
        "quantity": str(position.quantity),
        "price": to_decimal(position.unit_gross),
        "name": name,
        "text": "\n".join(texts),
        "taxRate": rate_text(position.rate),
        "unity": reference(unity_id, "Unity"),
        "positionNumber": number,
    }


# -- reading ---------------------------------------------------------------------------------------


def remote_position(data: Json, index: int) -> RemotePosition:
    """A position object. Sums that sevdesk does not return are computed as it computes them (gross per
    position).
    """
    quantity = reading.decimal(data.get("quantity"), "position quantity")
    price = reading.decimal(_first(data, "price", "priceGross"), "position price")
    rate = reading.decimal(data.get("taxRate"), "position taxRate")
    given = {name: _first(data, f"sum{name}", f"sum{name}Accounting") for name in ("Gross", "Net", "Tax")}
    if any(value is None for value in given.values()):
        gross = round_half_away(quantity * price * 100)
        net = net_of_gross(gross, rate)
        tax = gross - net
    else:
        gross, net, tax = (reading.cents(value, f"position sum{name}") for name, value in given.items())
    number = data.get("positionNumber")
    return RemotePosition(
        id=reading.identity(data.get("id"), "position id"),
        number=index if number in (None, "") else reading.integer(number, "positionNumber"),
        name=reading.text(data.get("name")) or "",
        text=reading.text(data.get("text")),
        quantity=quantity,
        price=price,
        rate=rate,
        gross=gross,
        net=net,
        tax=tax,
    )


def _first(data: Json, *names: str) -> Any:
    return next((data[name] for name in names if data.get(name) not in (None, "")), None)


def remote_positions(items: Iterable[Json]) -> tuple[RemotePosition, ...]:
    """Positions in the order they are printed."""
    found = [remote_position(item, index) for index, item in enumerate(items)]
    return tuple(sorted(found, key=lambda position: position.number))


def sums_per_rate(positions: Iterable[RemotePosition]) -> dict[Decimal, tuple[int, int, int]]:
    """(gross, net, tax) in cents per tax rate, as plain sums of the positions."""
    sums: dict[Decimal, tuple[int, int, int]] = {}
    for position in positions:
        gross, net, tax = sums.get(position.rate, (0, 0, 0))
        sums[position.rate] = (gross + position.gross, net + position.net, tax + position.tax)
    return sums


# -- comparing -------------------------------------------------------------------------------------


def same_gross_per_rate(positions: Iterable[RemotePosition], sums: Mapping[Decimal, RateSum]) -> bool:
    """Whether positions add up to these gross amounts at these rates, whatever they are called (R12, R15)."""
    found = {rate.normalize(): gross for rate, (gross, _, _) in sums_per_rate(positions).items() if gross}
    return found == {rate.normalize(): item.gross for rate, item in sums.items() if item.gross}


class Differences:
    """Collects what differs, in the order it is checked."""

    def __init__(self) -> None:
        self.found: list[Difference] = []

    def check(self, name: str, expected: object, actual: object) -> None:
        """One difference, unless the two are equal."""
        if expected != actual:
            self.found.append(Difference(name, shown(expected), shown(actual)))

    def note(self, expected: str, actual: str | None) -> None:
        """The note is compared and never shown: it may hold a person's own words."""
        if expected != actual:
            self.found.append(Difference("note", "our key", "none" if actual is None else "another text"))

    def sums(self, predicted: Mapping[Decimal, RateSum], gross: int, net: int, tax: int) -> None:
        """The sums of the whole document, in cents."""
        self.check("gross", sum(total.gross for total in predicted.values()), gross)
        self.check("net", sum(total.net for total in predicted.values()), net)
        self.check("tax", sum(total.tax for total in predicted.values()), tax)

    def rates(self, predicted: Mapping[Decimal, RateSum], positions: Sequence[RemotePosition]) -> None:
        """The sums per tax rate, in cents."""
        expected = {rate: (total.gross, total.net, total.tax) for rate, total in predicted.items()}
        returned = sums_per_rate(positions)
        for rate in sorted({*expected, *returned}, reverse=True):
            ours, theirs = expected.get(rate, (0, 0, 0)), returned.get(rate, (0, 0, 0))
            for name, mine, yours in zip(("gross", "net", "tax"), ours, theirs, strict=True):
                self.check(f"{name}[{rate_text(rate)}]", mine, yours)

    def positions(self, ours: Sequence[Position], theirs: Sequence[RemotePosition]) -> None:
        """Number of positions, and quantity, price, gross and rate of each. Names and texts are not compared."""
        self.check("positions", len(ours), len(theirs))
        for index, (position, there) in enumerate(zip(ours, theirs, strict=False)):
            self.check(f"position[{index}].quantity", Decimal(position.quantity), there.quantity)
            self.check(f"position[{index}].price", Decimal(to_decimal(position.unit_gross)), there.price)
            self.check(f"position[{index}].gross", position.gross, there.gross)
            self.check(f"position[{index}].rate", position.rate, there.rate)


def shown(value: object) -> str:
    """A figure, day or count as a difference or a fingerprint spells it."""
    if isinstance(value, Decimal):
        return rate_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def fingerprint(head: Sequence[object], positions: Sequence[RemotePosition]) -> str:
    """SHA-256 in hex over a document's head and everything a person could change on its positions."""
    lines = [
        [item.name, item.text, rate_text(item.quantity), rate_text(item.price), rate_text(item.rate), item.gross]
        for item in positions
    ]
    content = json.dumps([*head, lines], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
