"""What seldom changes is not asked for each time, and is asked for again when its time is up (S124)."""

from __future__ import annotations

from datetime import timedelta

from acceptance.invoice_cases import MUG, buyer, placed
from house import House, life, person
from ladenbuch.sevdesk.lookups import LOOKUP_AGE
from ladenbuch.simulators.lives.order import ShopOrder

ORDERS, CUSTOMERS = 40, 3


def script(order: ShopOrder) -> None:
    buyer(order)
    number = order.number % CUSTOMERS
    order.customer = person("Erika", "Mustermann", 70_000 + number)
    order.email = f"customer.{number}@example.org"
    order.add(MUG)
    placed(order)


def asked(house: House, part: str) -> int:
    """Requests that only look."""
    return sum(1 for request in house.door.passed if request.method == "GET" and part in request.path)


def test_s124_more_than_90_percent_of_contacts_and_tax_rules_are_there_already(house: House) -> None:
    lookups = house.client._lookups
    start = house.clock.now() + timedelta(minutes=5)
    house.door.passed.clear()
    for number in range(ORDERS):
        house.live(life(1001 + number, start + timedelta(minutes=2 * number), script))
        assert {rule.id for rule in house.client.tax_rules()} >= {1}
    assert len(house.invoices()) == ORDERS
    assert lookups.asked >= 3 * ORDERS
    assert 1 - lookups.read / lookups.asked > 0.9
    assert asked(house, "/TaxRule") == 1
    assert asked(house, "/StaticCountry") == 1
    searched = sum(1 for r in house.door.passed if r.method == "GET" and r.path.endswith("/Contact"))
    assert 0 < searched <= CUSTOMERS, "a known customer is not looked for"
    assert 1 - searched / ORDERS > 0.9

    house.clock.sleep(LOOKUP_AGE.total_seconds() - (house.clock.now() - start).total_seconds() - 600)
    house.client.tax_rules()
    assert asked(house, "/TaxRule") == 1, "believed for a day"
    house.clock.sleep(1200)
    house.client.tax_rules()
    assert asked(house, "/TaxRule") == 2, "and no longer"
