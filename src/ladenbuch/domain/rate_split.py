"""One price that carries several tax rates, split so that every tax line comes out (bookkeeping 2.2)."""

from __future__ import annotations

from decimal import Decimal

from ladenbuch.domain.money import allocate, tax_in_gross

#: How far from the proportional split a better one is looked for, in minor units.
_SPLIT_REACH = 120


def split_by_rate(gross: int, taxes: dict[Decimal, int], weights: dict[Decimal, int]) -> dict[Decimal, int] | None:
    """Split the gross amount of one sale that carries several tax lines (bookkeeping 2.2, golden document G4).

    `taxes` is the tax Shopify charged per rate, `weights` the goods' gross per rate, all in minor units. Never
    tax/rate: the goods' proportions first, then the nearest split that reproduces every tax line exactly, then the
    nearest within one cent; None when there is none.
    """
    rates = sorted(taxes, reverse=True)
    share = [weights.get(rate, 0) for rate in rates]
    if gross < 0 or sum(share) <= 0 or min(share) < 0:
        return None
    parts = dict(zip(rates, allocate(gross, share), strict=True))

    def off(candidate: dict[Decimal, int]) -> int:
        return max(abs(tax_in_gross(part, rate) - taxes[rate]) for rate, part in candidate.items())

    best = parts if off(parts) <= 1 else None
    if off(parts) == 0 or len(rates) != 2:
        return best
    high, low = rates
    for distance in range(1, _SPLIT_REACH + 1):
        for step in (distance, -distance):
            candidate = {high: parts[high] + step, low: parts[low] - step}
            if min(candidate.values()) < 0:
                continue
            error = off(candidate)
            if error == 0:
                return candidate
            if error <= 1 and best is None:
                best = candidate
    return best
