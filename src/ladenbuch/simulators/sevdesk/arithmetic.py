"""Gross, net and tax of a position, as measured of the real service (facts 5.2).

showNet=false: `price` is gross; gross = round(quantity x price), net = round(gross / (1 + rate)), tax =
gross - net. showNet=true: `price` is net; net = round(quantity x price), tax = round(net x rate), gross =
net + tax. A document's sums are the plain sums of its positions. Rounding is half away from zero, per
position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Sums:
    """Integer cents; gross = net + tax."""

    gross: int = 0
    net: int = 0
    tax: int = 0


def cents(amount: Decimal) -> int:
    """An amount in currency units -> integer cents, half away from zero."""
    return int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def position_sums(quantity: Decimal, price: Decimal, rate: Decimal, discount: Decimal, *, show_net: bool) -> Sums:
    """The sums of one position; `rate` and `discount` are percentages, `price` is per unit."""
    amount = cents(quantity * price * (100 - discount) / 100)
    if show_net:
        tax = cents(Decimal(amount) / 100 * rate / 100)
        return Sums(amount + tax, amount, tax)
    net = cents(Decimal(amount) / (100 + rate))
    return Sums(amount, net, amount - net)


def total(parts: Iterable[Sums]) -> Sums:
    """Plain sums, nothing is rounded again."""
    gross = net = tax = 0
    for part in parts:
        gross, net, tax = gross + part.gross, net + part.net, tax + part.tax
    return Sums(gross, net, tax)
