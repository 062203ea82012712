"""What a buyer does in a shop, for `house.life`."""

from __future__ import annotations

from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import GOODS, address

MUG = GOODS[190][0]


def bought(order: ShopOrder) -> None:
    """Two mugs, paid by card."""
    order.billing = order.delivery = {**address(order.rng), "firstName": "Erika", "lastName": "Muster"}
    order.add(MUG, 2)
    order.place()
    order.pay("shopify_payments")
    order.emit("orders/create", "orders/paid")


def returned(order: ShopOrder) -> None:
    """The same, shipped within hours; a day later one of them comes back."""
    bought(order)
    order.wait(3600, 3601)
    order.ship()
    order.emit("orders/fulfilled")
    order.wait(86_400, 86_401)
    order.refund([(order.lines[0], 1)])
    order.emit("refunds/create", "orders/updated")
