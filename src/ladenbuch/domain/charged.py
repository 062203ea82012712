"""What Shopify charged, entry by entry, against what the case allows (R21, bookkeeping 2.4, 2.5).

Shipping follows the goods (UStAE 3.10), tips and single-purpose vouchers follow the merchant's policy; a rate that was
not law that day, a missing tax without a reason and a tax somebody else owes are asked about.
"""

from __future__ import annotations

from decimal import Decimal

from ladenbuch.domain.facts import Problem
from ladenbuch.domain.money import allocate, tax_in_gross
from ladenbuch.domain.order import Order, Sale
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.supply import Supply
from ladenbuch.domain.tax_cases import CASES

#: A ledger entry with its tax per rate, in minor units.
Taxed = tuple[Sale, dict[Decimal, int]]


def percent(rate: Decimal) -> str:
    """`Decimal("19.0")` -> `"19"`."""
    return f"{rate.normalize():f}"


def taxes_of(
    order: Order, supply: Supply, profile: Profile, name: str | None, lawful: frozenset[Decimal] | None
) -> tuple[list[Taxed], list[Problem]]:
    """Each ledger entry with its tax per rate as decided; what Shopify charged must be lawful (R21)."""
    found: list[Problem] = []
    totals: dict[str, int] = {}
    pieces: dict[str, int] = {}
    for sale in supply.sales:
        totals[sale.item_id or sale.id] = totals.get(sale.item_id or sale.id, 0) + sale.total
        pieces[sale.item_id or sale.id] = pieces.get(sale.item_id or sale.id, 0) + (sale.quantity or 0)
    goods = _goods_by_rate(supply)
    taxed: list[Taxed] = []
    zero = name is not None and CASES[name].zero
    whose = f"a rate of {supply.territory.country}" if (name or "").startswith("oss_") else "a German rate"
    for sale in supply.sales:
        item = sale.item_id or sale.id
        charged = dict.fromkeys((tax.rate for tax in sale.taxes), 0)
        for tax in sale.taxes:
            charged[tax.rate] += tax.amount
        if totals[item] == 0:
            printed = sale.line_type != "SHIPPING" and pieces[item] > 0  # free, but it is printed
            if printed and lawful is not None:
                found += [_unlawful(rate, sale, whose) for rate in sorted(set(charged) - lawful)]
            taxed.append((sale, {Decimal(0): 0} if zero else charged))
            continue
        asked = _kind_of_sale(sale, profile, name)
        if asked is not None:
            found.append(asked)
            continue
        if any(tax.channel_liable for tax in sale.taxes):
            message = "the sales channel owes this tax, not the merchant"
            found.append(Problem("TAX-CHANNEL", message, (sale.id,), ("decide by hand", "exclude the order")))
        if zero:
            taxed.append((sale, {Decimal(0): 0}))
        elif name is None:
            continue
        elif sale.line_type == "TIP" and goods:
            rate = max(goods, key=lambda candidate: (goods[candidate], candidate))
            taxed.append((sale, {rate: tax_in_gross(sale.total, rate)}))
        elif sale.line_type == "GIFT_CARD":
            rate = Decimal(profile.voucher_rate)
            found += [_unlawful(rate, sale, whose)] if rate not in (lawful or ()) else []
            taxed.append((sale, {rate: tax_in_gross(sale.total, rate)}))
        elif not charged or order.tax_exempt or not (any(charged) or charged.keys() <= (lawful or frozenset())):
            message = "no tax was charged and no reason is known"
            found.append(Problem("TAX-ZERO", message, (sale.id,), ("name the reason", "exclude the order")))
        elif sale.line_type == "SHIPPING" and profile.shipping_policy == "follow_goods" and goods and sale.total > 0:
            parts = allocate(sale.total, list(goods.values()))
            taxed.append((sale, {r: tax_in_gross(part, r) for r, part in zip(goods, parts, strict=True) if part}))
        else:
            found += [_unlawful(rate, sale, whose) for rate in sorted(set(charged) - (lawful or frozenset()))]
            taxed.append((sale, charged))
    shipping = {r for sale, taxes in taxed if sale.line_type == "SHIPPING" and sale.total for r in taxes}
    others = {r for sale, taxes in taxed if sale.line_type != "SHIPPING" and sale.total for r in taxes}
    if others and not zero and not shipping <= others:
        message = "shipping was taxed at a rate none of the goods has"
        found.append(Problem("TAX-SHIPPING", message, (order.id,), ("as charged", "follow the goods")))
    return taxed, found


def _goods_by_rate(supply: Supply) -> dict[Decimal, int]:
    """Gross of the goods per rate charged, in minor units, highest rate first; only what has a price."""
    goods: dict[Decimal, int] = {}
    for sale in supply.sales:
        rates = {tax.rate for tax in sale.taxes}
        if sale.line_type not in ("SHIPPING", "TIP", "GIFT_CARD", "DUTY"):
            for rate in rates:
                goods[rate] = goods.get(rate, 0) + sale.total
    return {rate: goods[rate] for rate in sorted(goods, reverse=True) if goods[rate] > 0}


def _kind_of_sale(sale: Sale, profile: Profile, name: str | None) -> Problem | None:
    """Why an entry that is neither goods nor shipping cannot be taxed; None when it can (2.5)."""
    by_hand = ("decide by hand", "exclude the order")
    kind = sale.line_type
    if kind == "TIP" and profile.tips != "taxed":
        message = "a tip" if profile.tips == "unset" else "a tip that is passed to staff is not on the invoice"
        return Problem("TIP", message, (sale.id,), ("taxed at the main rate of the goods", "passed to staff"))
    if kind == "GIFT_CARD" and (profile.vouchers != "single_purpose" or name not in ("domestic", "small_business")):
        choices = ("single-purpose: taxed now", "multi-purpose: liability")
        return Problem("GIFT-CARD", "a gift card was sold", (sale.id,), choices)
    if kind == "DUTY" and name != "export":
        return Problem("DUTY", "import duties were charged", (sale.id,), by_hand)
    if kind in ("FEE", "ADDITIONAL_FEE") and not sale.taxes and (name is None or not CASES[name].zero):
        what = "an additional fee" if kind == "ADDITIONAL_FEE" else "a fee"
        return Problem("FEE", f"{what} was charged without tax", (sale.id,), by_hand)
    if kind == "ADJUSTMENT":
        message = "the ledger was adjusted before the tax point"
        return Problem("LEDGER", message, (sale.id,), ("decide by hand", "exclude"))
    return None


def _unlawful(rate: Decimal, sale: Sale, whose: str) -> Problem:
    message = f"{percent(rate)} % was not {whose} on that day"
    return Problem("TAX-RATE", message, (sale.id,), ("correct the shop", "exclude the order"))
