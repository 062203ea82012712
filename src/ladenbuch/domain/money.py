"""Amounts as integers of minor units; splitting without losing a cent; rounding half away from zero.

Everything in `domain` counts in integers of the currency's minor unit (cents). `Decimal` appears only at
the edges (parsing and printing) and inside one rounding step. `float` never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from ladenbuch.errors import Rejected

#: Currencies without or with three decimal places (ISO 4217). All others have two.
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3}

#: No amount is as large.
_TOO_MUCH = Decimal(10) ** 15


def exponent(currency: str) -> int:
    """Number of decimal places of a currency (ISO 4217), 2 unless known otherwise."""
    return _EXPONENTS.get(currency, 2)


def round_half_away(value: Decimal) -> int:
    """Round to the nearest integer, halves away from zero (commercial rounding, DIN 1333)."""
    return int(value.to_integral_value(rounding=ROUND_HALF_UP))


def to_minor(amount: str | int | Decimal, currency: str = "EUR") -> int:
    """Parse a decimal amount (`"11.90"`) into minor units (`1190`).

    Raises `Rejected("MONEY-FORMAT")` for anything that is not a finite decimal number, and
    `Rejected("MONEY-PRECISION")` when the amount has more places than the currency: a fraction of a cent
    is never rounded away silently.
    """
    if isinstance(amount, (bool, float)):
        raise Rejected("MONEY-FORMAT", f"amount must be a decimal string, not {type(amount).__name__}")
    try:
        value = Decimal(amount)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise Rejected("MONEY-FORMAT", f"not an amount: {str(amount)[:40]!r}") from error
    if not value.is_finite() or abs(value) >= _TOO_MUCH:
        raise Rejected("MONEY-FORMAT", f"not a plausible amount: {str(amount)[:40]!r}")
    scaled = value.scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise Rejected("MONEY-PRECISION", f"{value} has a fraction of the smallest unit of {currency}")
    return int(scaled)


def to_decimal(minor: int, currency: str = "EUR") -> str:
    """Render minor units as the exact decimal string a wire format wants: `1190` -> `"11.90"`."""
    return str(Decimal(minor).scaleb(-exponent(currency)))


def net_of_gross(gross: int, rate: Decimal) -> int:
    """Net amount inside a gross amount at `rate` percent, rounded half away from zero (UStG §10 (1))."""
    return round_half_away(Decimal(gross) * 100 / (100 + rate))


def tax_in_gross(gross: int, rate: Decimal) -> int:
    """Tax contained in a gross amount at `rate` percent: gross minus rounded net."""
    return gross - net_of_gross(gross, rate)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to non-negative `weights` without losing or inventing a cent.

    Largest remainder (Hamilton): parts are rounded down towards zero, what is left goes one by one to the largest
    remainders, the earlier index winning a tie. All weights zero: `Rejected("MONEY-WEIGHTS")`, unless total is 0.
    """
    if any(weight < 0 for weight in weights):
        raise Rejected("MONEY-WEIGHTS", "weights must not be negative")
    base = sum(weights)
    if base == 0:
        if total == 0:
            return [0] * len(weights)
        raise Rejected("MONEY-WEIGHTS", "nothing to allocate by")
    sign = -1 if total < 0 else 1
    shares = [divmod(abs(total) * weight, base) for weight in weights]
    parts = [quotient for quotient, _ in shares]
    left = abs(total) - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-shares[index][1], index))
    for index in by_remainder[:left]:
        parts[index] += 1
    return [sign * part for part in parts]
