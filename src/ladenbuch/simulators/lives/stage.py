"""What every situation starts from: a buyer with addresses, a basket, shipping; and the situation table's row."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ladenbuch.simulators.lives.arithmetic import rate_key, spread
from ladenbuch.simulators.lives.model import Due
from ladenbuch.simulators.lives.order import Agreed, Line, ShopOrder
from ladenbuch.simulators.lives.people import GOODS, Product, address, customer, mailbox

MINUTE, HOUR, DAY = 60, 3600, 86400
Added = list[Due]


@dataclass(frozen=True)
class Situation:
    """A kind of order life. `weight` is its share in the mix (per mille), `longest` its duration in seconds.

    The script plays the life and returns the documents that follow the one due at the tax point; or all of them, when
    its list begins with an invoice.
    """

    name: str
    weight: int
    outcome: str
    code: str | None
    script: Callable[[ShopOrder], Added | None]
    longest: int = 8 * DAY
    invoiced: bool = True  # of a question: the documents do not depend on the answer


def row(name: str, script: Callable[[ShopOrder], Added | None], weight: int = 10, *, longest: int = 14 * DAY,
        waits: str | None = None) -> Situation:  # fmt: skip
    """A life the rules decide; `waits`: the code it is still waiting with at the end."""
    return Situation(name, weight, "waiting" if waits else "documented", waits, script, longest)


def asked(name: str, code: str, script: Callable[[ShopOrder], Added | None], weight: int = 10, *,
          invoiced: bool = False) -> Situation:  # fmt: skip
    """A life that stays a question for a seller as `generate` describes him."""
    return Situation(name, weight, "attention", code, script, 14 * DAY, invoiced)


def document(order: ShopOrder, kind: str, by_rate: dict[int, int]) -> Due:
    """A document of the order; gross cents per rate, positive."""
    rates = {rate_key(rate): cents for rate, cents in sorted(by_rate.items(), reverse=True) if cents}
    return Due(kind, sum(rates.values()), rates, order.rule)


def returned(agreed: Agreed, sign: int = -1) -> dict[int, int]:
    """Gross per rate of an agreement, as a positive number for returns."""
    total: dict[int, int] = {}
    for _, _, parts in agreed.sold:
        for rate, cents in parts.items():
            total[rate] = total.get(rate, 0) + sign * cents
    return total


def over_rates(cents: int, weights: dict[int, int]) -> dict[int, int]:
    """Money spread over rates in proportion."""
    rates = sorted((rate for rate, weight in weights.items() if weight > 0), reverse=True)
    return dict(zip(rates, spread(cents, [weights[rate] for rate in rates]), strict=True))


class People:
    """The buyers of one shop: three in ten orders come from somebody who bought before, one in ten from a guest."""

    def __init__(self, rng: random.Random, first_id: int) -> None:
        self._rng = rng
        self._next = first_id
        self._known: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def buy(self, order: ShopOrder) -> None:
        """Give the order a buyer, an e-mail address and both postal addresses."""
        chance = self._rng.random()
        if chance < 0.3 and self._known:
            person, home = self._known[self._rng.randrange(max(0, len(self._known) - 500), len(self._known))]
        else:
            self._next += 1
            person = customer(self._rng, self._next)
            home = {**address(self._rng), "firstName": person["firstName"], "lastName": person["lastName"],
                    "name": person["displayName"]}  # fmt: skip
            if chance < 0.9:
                self._known.append((person, home))
        guest = chance >= 0.9
        order.customer = None if guest else person
        order.email = mailbox(home["firstName"], home["lastName"], 77) if guest else person["email"]
        order.locale = person["locale"]
        order.billing = order.delivery = home


def pick(order: ShopOrder, rate: int) -> Product:
    """An article at a rate."""
    return order.rng.choice(GOODS[rate])


def fill(order: ShopOrder, rates: tuple[int, ...] = (190,), most: int = 2) -> list[Line]:
    """One to `most` lines per rate, each of one to three pieces; no article twice."""
    lines = []
    for rate in rates:
        wanted = order.rng.randint(1, min(most, len(GOODS[rate])))
        for product in order.rng.sample(GOODS[rate], wanted):
            lines.append(order.add(product, order.rng.choice((1, 1, 1, 2, 2, 3))))
    return lines


def parcel(order: ShopOrder, rate: int = 190) -> None:
    """The usual shipping line at a rate of the goods."""
    order.ship_by("DHL Paket", order.rng.choice((490, 590, 390)), (rate,))


def basket(order: ShopOrder, rates: tuple[int, ...] = (190,), most: int = 2) -> list[Line]:
    """Goods, their shipping at the first rate, placed; nothing paid yet and not yet seen by anybody."""
    lines = fill(order, rates, most)
    parcel(order, rates[0])
    order.place()
    return lines


def ordered(order: ShopOrder, *more: str) -> None:
    """The order appears in the shop."""
    order.emit("orders/create", *more)


def card(order: ShopOrder, gateway: str = "shopify_payments") -> None:
    """Paid at checkout."""
    order.pay(gateway)
    ordered(order, "order_transactions/create", "orders/paid")


def paid_now(order: ShopOrder) -> None:
    """A payment has just been added to an existing order."""
    done = order.received() >= order.claim()
    order.emit("order_transactions/create", *(("orders/paid",) if done else ()), "orders/updated")


def shipped(order: ShopOrder, country: str = "DE") -> None:
    """Everything goes out one to three days later."""
    order.wait(1 * DAY, 3 * DAY)
    order.ship(country=country)
    order.emit("fulfillments/create", "orders/fulfilled", "orders/updated")


def maybe_shipped(order: ShopOrder) -> None:
    """Three in five orders have been shipped by the end."""
    if order.rng.random() < 0.6:
        shipped(order)


def bought(order: ShopOrder, rates: tuple[int, ...] = (190,)) -> list[Line]:
    """A plain order paid by card."""
    lines = basket(order, rates)
    card(order)
    return lines
