"""The German consumer orders: everything here can be decided, or is waiting or excluded for a known reason."""

from __future__ import annotations

from ladenbuch.simulators.lives.arithmetic import spread
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import COMPANIES, GOODS, Product, address
from ladenbuch.simulators.lives.stage import (
    DAY,
    HOUR,
    MINUTE,
    Situation,
    basket,
    bought,
    card,
    fill,
    maybe_shipped,
    ordered,
    paid_now,
    parcel,
    pick,
    shipped,
)


def card_paid(order: ShopOrder) -> None:
    rate = 70 if order.rng.random() < 0.2 else 190
    fill(order, (rate,), 3)
    if order.rng.random() < 0.15:
        order.discount("DiscountCode", "WILLKOMMEN10", percent=10)
    parcel(order, rate)
    order.place()
    card(order, order.rng.choice(("shopify_payments", "shopify_payments", "paypal")))
    maybe_shipped(order)


def card_paid_mixed(order: ShopOrder) -> None:
    bought(order, (190, 70))
    maybe_shipped(order)


def zero_rated(order: ShopOrder) -> None:
    bought(order, (0,))
    maybe_shipped(order)


def zero_rated_mixed(order: ShopOrder) -> None:
    bought(order, (190, 0))


def odd_quantities(order: ShopOrder) -> None:
    order.add(GOODS[190][1], 3)  # 3 x 9.99
    order.discount("DiscountCode", "ZWANZIG", percent=20)
    order.place()
    card(order)


def line_discount(order: ShopOrder) -> None:
    lines = fill(order, (190, 70))
    order.discount("AutomaticDiscount", "Drei für zwei", percent=33, target=lines[0])
    order.discount("DiscountCode", "FÜNFER", fixed=500)
    parcel(order)
    order.place()
    card(order)


def manual_discount(order: ShopOrder) -> None:
    lines = fill(order)
    order.discount("ManualDiscount", "Kulanz", fixed=199, target=lines[0])
    parcel(order)
    order.place()
    card(order)


def automatic_percentage(order: ShopOrder) -> None:
    fill(order, (190, 70))
    order.discount("AutomaticDiscount", "Herbst 15 %", percent=15)
    parcel(order)
    order.place()
    card(order, "paypal")


def net_prices(order: ShopOrder) -> None:
    order.gross = False
    fill(order, (190, 70))
    if order.rng.random() < 0.5:
        order.discount("DiscountCode", "NETTO5", percent=5)
    parcel(order)
    order.place()
    card(order)
    maybe_shipped(order)


def free_shipping(order: ShopOrder) -> None:
    fill(order)
    order.ship_by("Versandkostenfrei", 0, (190,))
    order.place()
    card(order)


def shipping_discounted(order: ShopOrder) -> None:
    fill(order, (190, 70))
    line = order.ship_by("DHL Paket", 490, (190,))
    order.discount("DiscountCode", "PORTOFREI", percent=100, target=line)
    order.place()
    card(order)


def split_shipping_tax(order: ShopOrder) -> None:
    fill(order, (190, 70))
    price = order.rng.choice((490, 590))
    goods = [sum(line.discounted for line in order.lines if line.rates == (rate,)) for rate in (190, 70)]
    while 2 * (price * goods[0] % sum(goods)) == sum(goods) or min(spread(price, goods)) == 0:
        price += 1  # a tie would leave the odd cent to taste
    order.ship_by("DHL Paket", price, (190, 70))
    order.place()
    card(order)
    maybe_shipped(order)


def no_shipping_line(order: ShopOrder) -> None:
    product = Product("Schnittmuster (PDF)", "DATEI-51", 750, 190, ships=False, number=51)
    order.add(product)
    order.delivery = None
    order.place()
    card(order)


def many_lines(order: ShopOrder, count: int) -> None:
    for number in range(count):
        rate = 70 if number % 4 == 3 else 190
        price = 99 + order.rng.randrange(0, 3000)
        order.add(Product(f"Sorte {number + 1}", f"SORT-{number + 1:02d}", price, rate, number=100 + number),
                  order.rng.randint(1, 3))  # fmt: skip
    order.discount("DiscountCode", "GROSS7", percent=7)
    parcel(order)
    order.place()
    card(order)


def large(order: ShopOrder) -> None:
    many_lines(order, order.rng.randint(11, 30))


def very_large(order: ShopOrder) -> None:
    many_lines(order, order.rng.randint(52, 70))


def two_gateways(order: ShopOrder) -> None:
    basket(order)
    order.pay("paypal", order.claim() // 3)
    order.pay("shopify_payments")
    ordered(order, "order_transactions/create", "orders/paid")


def instalments(order: ShopOrder) -> None:
    basket(order, (190, 70))
    order.pay("shopify_payments", order.claim() // 2 if order.left_of_month() else None)
    ordered(order, "order_transactions/create")
    if order.received() < order.claim():
        order.wait(1 * HOUR, 3 * DAY, within_month=True)
        order.pay("shopify_payments")
        paid_now(order)


def captured_at_shipping(order: ShopOrder) -> None:
    gateway = order.rng.choice(("shopify_payments", "klarna"))
    basket(order)
    hold = order.pay(gateway, kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    shipped(order)
    order.wait(5, 10 * MINUTE)
    order.pay(gateway, kind="CAPTURE", parent=hold)
    paid_now(order)


def captured_before_shipping(order: ShopOrder) -> None:
    basket(order, (190, 70))
    hold = order.pay("shopify_payments", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(1 * HOUR, 1 * DAY)
    order.pay("shopify_payments", kind="CAPTURE", parent=hold)
    paid_now(order)
    shipped(order)


def authorised_voided(order: ShopOrder) -> None:
    basket(order)
    hold = order.pay("shopify_payments", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(1 * HOUR, 2 * DAY)
    order.pay("shopify_payments", kind="VOID", parent=hold)
    order.cancel("FRAUD")
    order.emit("orders/cancelled", "order_transactions/create", "orders/updated")


def authorised_expired(order: ShopOrder) -> None:
    basket(order)
    order.pay("shopify_payments", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(7 * DAY, 7 * DAY)
    order.expired = True
    order.emit("orders/updated")


def authorised_open(order: ShopOrder) -> None:
    basket(order)
    order.pay("shopify_payments", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")


def failed_then_paid(order: ShopOrder) -> None:
    basket(order)
    order.pay("shopify_payments", status="FAILURE")
    order.pay("shopify_payments", status="ERROR")
    ordered(order, "order_transactions/create")
    order.wait(1 * MINUTE, 1 * HOUR)
    order.pay("shopify_payments")
    paid_now(order)


def pending_then_paid(order: ShopOrder) -> None:
    gateway = order.rng.choice(("klarna", "paypal"))
    basket(order)
    waiting = order.pay(gateway, status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * HOUR, 3 * DAY)
    if gateway == "klarna":
        order.settle(waiting, "SUCCESS")
    else:
        order.pay(gateway, parent=waiting)
    paid_now(order)


def pending_open(order: ShopOrder) -> None:
    basket(order)
    order.pay("klarna", status="PENDING")
    ordered(order, "order_transactions/create")


def vorkasse_open(order: ShopOrder) -> None:
    basket(order)
    order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")


def vorkasse_paid(order: ShopOrder) -> None:
    basket(order, (190, 70))
    waiting = order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 5 * DAY)
    order.pay("bank_deposit", parent=waiting)
    paid_now(order)
    maybe_shipped(order)


def vorkasse_in_parts(order: ShopOrder) -> None:
    basket(order)
    waiting = order.pay("bank_deposit", status="PENDING")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 3 * DAY)
    order.pay("bank_deposit", order.claim() * 2 // 5 if order.left_of_month() else None, parent=waiting)
    paid_now(order)
    if order.received() < order.claim():
        order.wait(1 * DAY, 3 * DAY, within_month=True)
        order.pay("bank_deposit", parent=waiting)
        paid_now(order)


def cash_on_delivery(order: ShopOrder) -> None:
    basket(order)
    waiting = order.pay("cash_on_delivery", status="PENDING")
    ordered(order, "order_transactions/create")
    shipped(order)
    if order.rng.random() < 0.5:
        order.wait(1 * DAY, 2 * DAY)
        order.pay("cash_on_delivery", parent=waiting)
        paid_now(order)


def shipped_in_parts(order: ShopOrder) -> None:
    lines = basket(order, (190, 70))
    hold = order.pay("klarna", kind="AUTHORIZATION")
    ordered(order, "order_transactions/create")
    order.wait(1 * DAY, 2 * DAY)
    order.ship([(lines[0], lines[0].current)])
    order.emit("fulfillments/create", "orders/updated")
    order.wait(1 * DAY, 2 * DAY)
    order.ship([(line, line.current) for line in lines[1:]])
    order.pay("klarna", kind="CAPTURE", parent=hold)
    order.emit("fulfillments/create", "orders/fulfilled", "order_transactions/create", "orders/paid", "orders/updated")


def edit_line_added(order: ShopOrder) -> None:
    lines = basket(order)
    ordered(order)
    order.wait(5 * MINUTE, 1 * DAY)
    known = {line.product.sku for line in lines}
    fresh = [product for product in GOODS[190] + GOODS[70] if product.sku not in known]
    order.edit(more=[(order.rng.choice(fresh), 1)])
    order.emit("orders/edited", "orders/updated")
    order.wait(5 * MINUTE, 1 * DAY)
    order.pay("paypal")
    paid_now(order)


def edit_line_removed(order: ShopOrder) -> None:
    lines = basket(order, (190, 70))
    ordered(order)
    order.wait(5 * MINUTE, 1 * DAY)
    order.edit(shrink=[(lines[-1], lines[-1].current)])
    order.emit("orders/edited", "orders/updated")
    order.wait(5 * MINUTE, 1 * DAY)
    order.pay("paypal")
    paid_now(order)


def edit_quantity(order: ShopOrder) -> None:
    line = order.add(pick(order, 190), 3)
    other = order.add(pick(order, 70), 1)
    if order.rng.random() < 0.5:
        order.discount("DiscountCode", "WILLKOMMEN10", percent=10)
    parcel(order)
    order.place()
    ordered(order)
    order.wait(5 * MINUTE, 1 * DAY)
    order.edit(shrink=[(line, 1)], grow=[(other, 2)])
    order.emit("orders/edited", "orders/updated")
    order.wait(5 * MINUTE, 1 * DAY)
    order.pay("shopify_payments")
    paid_now(order)
    maybe_shipped(order)


def cancelled_unpaid(order: ShopOrder) -> None:
    vorkasse_open(order)
    order.wait(1 * DAY, 6 * DAY)
    order.cancel("CUSTOMER")
    order.emit("orders/cancelled", "orders/updated")


def all_discounted(order: ShopOrder) -> None:
    fill(order)
    order.discount("DiscountCode", "GESCHENKT", percent=100)
    parcel(order)
    order.place()
    card(order)


def zero_total(order: ShopOrder) -> None:
    fill(order)
    order.discount("DiscountCode", "GESCHENKT", percent=100)
    order.ship_by("Versandkostenfrei", 0, (190,))
    order.place()
    ordered(order, "orders/paid")


def test_order(order: ShopOrder) -> None:
    order.extra["test"] = True
    bought(order)


def pos(order: ShopOrder) -> None:
    order.extra["sourceName"] = "pos"
    order.billing = order.delivery = order.email = order.customer = None
    fill(order)
    order.place()
    card(order, "cash")
    order.ship()
    order.wait(1, 5)
    order.emit("fulfillments/create", "orders/fulfilled", "orders/updated")


def no_email(order: ShopOrder) -> None:
    order.email = None
    if order.customer is not None:
        order.customer = {**order.customer, "email": None, "defaultEmailAddress": None}
    bought(order)


def billing_elsewhere(order: ShopOrder) -> None:
    order.billing = address(order.rng)
    bought(order)


def no_billing_address(order: ShopOrder) -> None:
    order.billing = None
    bought(order)


def first_name_only(order: ShopOrder) -> None:
    home = order.billing or address(order.rng)
    order.billing = order.delivery = {**home, "lastName": None, "name": home["firstName"]}
    bought(order)


def company_name(order: ShopOrder) -> None:
    home = order.billing or address(order.rng)
    order.billing = {**home, "company": order.rng.choice(COMPANIES)}
    bought(order, (190, 70))
    maybe_shipped(order)


DOCUMENTED = (
    ("card_paid", 600, card_paid), ("card_paid_mixed", 90, card_paid_mixed), ("zero_rated", 5, zero_rated),
    ("zero_rated_mixed", 5, zero_rated_mixed), ("odd_quantities", 10, odd_quantities),
    ("line_discount", 15, line_discount), ("manual_discount", 8, manual_discount),
    ("automatic_percentage", 10, automatic_percentage), ("net_prices", 15, net_prices),
    ("free_shipping", 10, free_shipping), ("shipping_discounted", 10, shipping_discounted),
    ("split_shipping_tax", 10, split_shipping_tax), ("no_shipping_line", 5, no_shipping_line), ("large", 5, large),
    ("very_large", 1, very_large), ("two_gateways", 5, two_gateways), ("instalments", 5, instalments),
    ("captured_at_shipping", 15, captured_at_shipping), ("captured_before_shipping", 8, captured_before_shipping),
    ("failed_then_paid", 8, failed_then_paid), ("pending_then_paid", 15, pending_then_paid),
    ("vorkasse_paid", 20, vorkasse_paid), ("vorkasse_in_parts", 5, vorkasse_in_parts),
    ("cash_on_delivery", 5, cash_on_delivery), ("shipped_in_parts", 5, shipped_in_parts),
    ("edit_line_added", 5, edit_line_added), ("edit_line_removed", 5, edit_line_removed),
    ("edit_quantity", 5, edit_quantity), ("all_discounted_shipping_paid", 4, all_discounted),
    ("no_email", 6, no_email), ("billing_elsewhere", 10, billing_elsewhere),
    ("no_billing_address", 4, no_billing_address), ("first_name_only", 4, first_name_only),
    ("company_name", 10, company_name),
)  # fmt: skip

DOMESTIC = (
    *(Situation(name, weight, "documented", None, script) for name, weight, script in DOCUMENTED),
    Situation("authorised_open", 5, "waiting", "UNPAID", authorised_open),
    Situation("pending_open", 5, "waiting", "UNPAID", pending_open),
    Situation("vorkasse_open", 12, "waiting", "UNPAID", vorkasse_open),
    Situation("authorised_voided", 4, "excluded", "CANCELLED-BEFORE", authorised_voided),
    Situation("authorised_expired", 3, "excluded", "CANCELLED-BEFORE", authorised_expired),
    Situation("cancelled_unpaid", 5, "excluded", "CANCELLED-BEFORE", cancelled_unpaid),
    Situation("zero_total", 3, "excluded", "ZERO", zero_total),
    Situation("test_order", 3, "excluded", "TEST", test_order),
    Situation("pos", 4, "excluded", "POS", pos),
)
