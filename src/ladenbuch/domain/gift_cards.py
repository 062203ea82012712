"""Multi-purpose gift cards: a debt when sold, no turnover; the tax comes with what they buy (UStG §3 (15), 2.5).

No document is for them. The order is paid when its money covers everything, the cards too; what is documented, and the
money its documents are paid with, is the order without them. Money pays the goods first, the oldest first; what is left
pays the cards. How it is divided is known when the money is complete or goods were shipped: no line is written before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import Facts, Problem, TaxPoint, moved
from ladenbuch.domain.order import Agreement, Payment, Refund, Sale
from ladenbuch.domain.profile import Profile, profile_at

#: The gateway through which cards are redeemed; its account holds what is owed to their owners.
GATEWAY = "gift_card"
#: How the line on that account is told from the others of its transaction.
CARD = "card"
#: Entries without goods: what they are for, only what came with them tells.
_LOOSE = ("ADJUSTMENT", "FEE")
_CHOICES = ("book by hand", "exclude the order")
_UNCLEAR = "money went back of an order with a gift card, and it is not clear for what"

_Coins = list[tuple[str, int]]  # transaction, minor units


@dataclass(frozen=True, slots=True)
class GiftCards:
    """What of an order belongs to multi-purpose gift cards.

    `sales` are their ledger entries, `parts` the money of each transaction that is theirs (minor units, signed),
    `payments` all transactions of the order, undivided. `settled`: how the money is divided is known. `only`: nothing
    else was sold.
    """

    sales: frozenset[str] = frozenset()
    parts: Mapping[str, int] = field(default_factory=dict)
    payments: tuple[Payment, ...] = ()
    settled: bool = True
    only: bool = False

    def without(self, facts: Facts) -> Facts:
        """The facts of the rest of the order; its tax point is kept as it is."""
        if not self.sales:
            return facts
        agreements = tuple(item for item in map(self._rest, facts.agreements) if item.sales)
        owed = {item.id: sum(sale.total for sale in item.sales) for item in agreements}
        items = []
        for fact in facts.items:
            if fact.kind == "agreement" and fact.id in owed:
                items.append(replace(fact, amount=owed[fact.id]))
            elif fact.kind == "money" and fact.amount != self.parts.get(fact.id, 0):
                items.append(replace(fact, amount=fact.amount - self.parts.get(fact.id, 0)))
            elif fact.kind not in ("agreement", "money"):
                items.append(fact)
        payments = tuple(
            replace(payment, amount=payment.amount - abs(self.parts.get(payment.id, 0)))
            for payment in facts.order.payments
            if payment.amount != abs(self.parts.get(payment.id, 0)) or payment.id not in self.parts
        )
        return replace(
            facts,
            order=replace(facts.order, payments=payments),
            agreements=agreements,
            items=tuple(items),
            claim=sum(owed.values()),
            money=sum(item.amount for item in items if item.kind == "money"),
        )

    def _rest(self, agreement: Agreement) -> Agreement:
        return replace(agreement, sales=tuple(sale for sale in agreement.sales if sale.id not in self.sales))


#: Of an order that sold none.
NO_CARDS = GiftCards()


def set_aside(
    facts: Facts, books: Books, profiles: Sequence[Profile], tax_point_of: Callable[[Facts], TaxPoint | None]
) -> tuple[Facts, GiftCards]:
    """The order without its multi-purpose gift cards, and what was left out. The tax point is that of the whole order,
    which `tax_point_of` finds anew where a card was sent.

    What was documented as turnover stays so, and what was set aside stays aside, whatever the profile says now (R10).
    """
    at = facts.tax_point.at if facts.tax_point else facts.order.processed_at
    policy = profile_at(profiles, at).vouchers
    sales = _multi_purpose(facts, books, policy)
    if not sales:
        return _redeemed(facts, books, policy), NO_CARDS
    lines = {sale.item_id for item in facts.agreements for sale in item.sales if sale.id in sales}
    sent = {item.id for item in facts.order.fulfilments if item.items and all(line in lines for line, _ in item.items)}
    items = tuple(item for item in facts.items if item.id not in sent)  # a card that is sent supplies nothing
    whole = replace(facts, items=items)
    whole = replace(whole, tax_point=tax_point_of(whole)) if sent else whole
    parts, settled, unclear = _divide(whole, sales)
    cards = GiftCards(sales, parts, facts.order.payments, settled)
    rest = cards.without(whole)
    until = rest.agreements if rest.tax_point is None else rest.agreements_until(rest.tax_point.until)
    only = rest.claim == 0 and not sum(sale.total for item in until for sale in item.sales) and books.invoice is None
    return replace(rest, unclear=tuple(unclear)), replace(cards, only=only)


#: Why an order of nothing but cards has no document.
ONLY_CARDS = "only gift cards were sold: a debt, no turnover; the tax comes with what they buy"


def left_over(rest: Facts) -> list[Problem]:
    """Of an order of nothing but cards: money that is none of theirs."""
    others = tuple(item.id for item in rest.items if item.kind == "money")
    if rest.unclear:
        return list(rest.unclear)
    if rest.money > 0:
        choices = ("refund the difference", "keep it as credit", "book by hand")
        return [Problem("OVERPAID", "money came in and nothing is owed any more", others, choices)]
    return [Problem("GIFT-CARD", _UNCLEAR, others, _CHOICES)] if rest.money < 0 else []


def _multi_purpose(facts: Facts, books: Books, policy: str) -> frozenset[str]:
    """The ledger entries of cards that are no turnover."""
    sold = [(item, sale) for item in facts.agreements for sale in item.sales if sale.line_type == "GIFT_CARD"]
    if not sold:
        return frozenset()
    covers = [cover for item in books.documents if item.kind != "credit_note" for cover in item.covers]
    covered = {cover.fact_id.partition("~")[0]: cover.amount for cover in covers}
    whole = {item.id: sum(sale.total for sale in item.sales) for item, _ in sold}
    taxed = {
        sale.item_id or sale.id
        for item, sale in sold
        if sale.id in covered or (sale.total and covered.get(item.id) == whole[item.id])
    }
    aside = any(item.payment_id.endswith(f"/{CARD}") for item in books.lines)
    aside = aside or any(total != covered.get(agreement, total) for agreement, total in whole.items())
    if not aside and policy != "multi_purpose":
        return frozenset()
    return frozenset(sale.id for _, sale in sold if (sale.item_id or sale.id) not in taxed)


def _redeemed(facts: Facts, books: Books, policy: str) -> Facts:
    """A single-purpose card that pays: what it buys was taxed when it was sold (§3 (14) UStG), so a person decides."""
    paid = tuple(item.id for item in facts.order.payments if item.gateway == GATEWAY and moved(item))
    if policy != "single_purpose" or not paid or books.invoice is not None:
        return facts
    message = "a single-purpose gift card was redeemed: its tax was paid when it was sold"
    problem = Problem("GIFT-CARD", message, paid, ("decide by hand", "exclude the order"))
    return replace(facts, problems=(*facts.problems, problem))


# -- whose money it is ------------------------------------------------------------------------------------------------


def _divide(facts: Facts, sales: frozenset[str]) -> tuple[dict[str, int], bool, list[Problem]]:
    """The cards' part of each transaction, whether that is known yet, and which facts leave it open.

    Replayed in event time and never cut again: what was divided once stays, however late the order is seen.
    """
    parts, unclear = _given_back(facts, sales)
    point = facts.tax_point
    of_cards = {item.id: sum(sale.total for sale in item.sales if sale.id in sales) for item in facts.agreements}
    claim = money = 0
    goods = cards = 0  # what is still to be paid of each; negative: what is to go back
    coins: _Coins = []
    settled = False
    for at, group in groupby(facts.items, key=lambda item: item.at):
        facts_now = tuple(group)
        for fact in facts_now:
            if fact.kind == "agreement":
                claim += fact.amount
                goods, cards = goods + fact.amount - of_cards[fact.id], cards + of_cards[fact.id]
            elif fact.kind == "money":
                money += fact.amount
                back = parts.get(fact.id, 0)
                goods, cards = goods + max(0, back - fact.amount), cards - back
                coins += [(fact.id, fact.amount)] if fact.amount > 0 else []
        settled = settled or 0 < claim <= money or (point is not None and point.at <= at)
        if settled:
            goods, coins, _ = _pay(goods, coins)
            cards, coins, paid = _pay(cards, coins)
            for payment, amount in paid:
                parts[payment] = parts.get(payment, 0) + amount
            swapped = tuple(fact.id for fact in facts_now if of_cards.get(fact.id)) if goods * cards < 0 else ()
            if swapped:
                message = "goods and a gift card were exchanged for each other"
                unclear.append(Problem("GIFT-CARD", message, swapped, _CHOICES))
    return parts, settled, unclear


def _pay(owed: int, coins: _Coins) -> tuple[int, _Coins, _Coins]:
    """Pay what is owed, the oldest money first: what is still owed, the money that is left, and what paid."""
    left, paid = [], []
    for payment, amount in coins:
        taken = max(0, min(owed, amount))
        owed -= taken
        paid += [(payment, taken)] if taken else []
        left += [(payment, amount - taken)] if amount > taken else []
    return owed, left, paid


def _given_back(facts: Facts, sales: frozenset[str]) -> tuple[dict[str, int], list[Problem]]:
    """The cards' part of money that went back: what its refund took back of them; goods come first."""
    parts: dict[str, int] = {}
    unclear: list[Problem] = []
    for refund in facts.order.refunds:
        paid = [
            item
            for item in facts.order.payments
            if item.id in refund.transaction_ids and item.kind == "REFUND" and item.status in ("SUCCESS", "PENDING")
        ]
        amount = sum(item.amount for item in paid)
        taken = _taken_back(facts, refund)
        cards = -sum(sale.total for sale in taken if sale.id in sales)
        others = -sum(sale.total for sale in taken if sale.id not in sales)
        loose = any(sale.line_type in _LOOSE for sale in taken)
        bare = not any(sale.total < 0 and sale.line_type not in _LOOSE for sale in taken)
        if amount and (bare or (cards and (loose or amount != cards + others))):
            unclear.append(Problem("GIFT-CARD", _UNCLEAR, tuple(item.id for item in paid), _CHOICES))
            continue
        for payment in sorted(paid, key=lambda item: (len(item.id), item.id)):
            part = min(payment.amount, others)
            others -= part
            if payment.amount > part and cards:
                parts[payment.id] = part - payment.amount
    return parts, unclear


def _taken_back(facts: Facts, refund: Refund) -> list[Sale]:
    """The ledger entries of a refund: its own, else its return's."""
    own = [sale for item in facts.agreements if item.refund_id == refund.id for sale in item.sales]
    if own or not refund.return_id:
        return own
    return [sale for item in facts.agreements if item.return_id == refund.return_id for sale in item.sales]
