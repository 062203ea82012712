"""The traps another connector fell into (P14), one regression test each, named after it.

Each order runs through the whole connector; what is looked at is what sevdesk then holds.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from acceptance.invoice_cases import (
    BOOK,
    DAY,
    FRENCH,
    MUG,
    SOAP,
    SWISS,
    buyer,
    export,
    mixed_rates,
    oss_france,
    placed,
    sent,
    supplementary,
)
from house import House, life, refused
from ladenbuch import inbox
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import Product


def lines(row: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """Quantity, price, gross and rate of each position."""
    return [(one["quantity"], one["price"], one["gross_cents"], one["tax_rate"]) for one in row["positions"]]


def test_p14_only_the_original_unit_price_is_used_and_discounts_are_lost(house: House) -> None:
    """3 x 9.99 with 10 % off, and 5.00 off one mug: what is invoiced is what was charged."""

    def script(order: ShopOrder) -> None:
        buyer(order)
        order.add(SOAP, 3)
        mug = order.add(MUG)
        order.discount("AutomaticDiscount", "Kulanz", fixed=500, target=mug)
        order.discount("DiscountCode", "ZEHN", percent=10)
        placed(order)

    told = house.lived(script)
    assert house.verdict(told) == ("documented", None)
    (invoice,) = house.invoices()
    assert [gross for _, _, gross, _ in lines(invoice)] == [2697, 716]
    assert invoice["gross_cents"] == invoice["paid_cents"] == 2697 + 716


def test_p14_no_shipping_line(house: House) -> None:
    def script(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG)
        order.ship_by("DHL Paket", 490, (190,))
        placed(order)

    house.lived(script)
    (invoice,) = house.invoices()
    assert [(one["name"], one["gross_cents"]) for one in invoice["positions"]][1:] == [("DHL Paket", 490)]
    assert invoice["gross_cents"] == 1295 + 490


def test_p14_only_the_first_tax_line_is_read(house: House) -> None:
    """G4: 5.90 shipping carries 0.63 at 19 % and 0.13 at 7 %; both stand on the invoice."""

    def script(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG, 2, price=2000)
        order.add(BOOK, 1, price=2000)
        order.ship_by("DHL Paket", 590, (190, 70))
        placed(order)

    house.lived(script)
    (invoice,) = house.invoices()
    assert invoice["gross_by_rate"] == {"19": 4393, "7": 2197}
    assert invoice["tax_by_rate"] == {"19": 702, "7": 144}


def test_p14_one_tax_rule_for_all(house: House) -> None:
    """Home, a consumer in France, Switzerland: taxable, OSS goods, export."""
    start = house.clock.now()
    told = [life(1001 + at, start, script) for at, script in enumerate((mixed_rates, oss_france, export))]
    house.live(*told)
    found = {row["note"].split(" ")[0]: row["tax_rule"] for row in house.invoices()}
    assert found == {"#1001": 1, "#1002": 18, "#1003": 2}


def test_p14_germany_is_hard_coded(house: House) -> None:
    """A buyer in France billed there; one in Switzerland whose parcel goes to France: address and destination."""

    def parcel(order: ShopOrder) -> None:
        buyer(order, SWISS, ship_to=FRENCH)
        order.add(SOAP, rates=(200,))
        placed(order)

    start = house.clock.now()
    house.live(life(1001, start, oss_france), life(1002, start, parcel))
    one, other = house.invoices()
    countries = {row["id"]: row["code"] for row in house.ask("GET", "/StaticCountry?limit=1000")}

    def country(row: dict[str, Any]) -> str:
        (written,) = house.ask("GET", f"/Invoice/{row['id']}")
        return str(countries[written["addressCountry"]["id"]])

    assert (country(one), one["delivery_country"], one["tax_rule"]) == ("fr", "fr", 18)
    assert (country(other), other["delivery_country"], other["tax_rule"]) == ("ch", "fr", 18)


def test_p14_float_money(house: House) -> None:
    """Prices that binary fractions get wrong (1.15 x 100 is 114.99...) arrive to the cent, as decimal text."""
    prices = (115, 435, 29, 803, 1_999_999, 64, 70_07)

    def script(order: ShopOrder) -> None:
        buyer(order)
        for at, price in enumerate(prices):
            order.add(Product(f"Ware {at}", f"W-{at}", price, 190, number=60 + at), 1 + at % 3)
        placed(order)

    house.lived(script)
    (invoice,) = house.invoices()
    (body,) = house.door.bodies("POST", "saveInvoice")
    sent_as = [one["price"] for one in body["invoicePosSave"]]
    assert sent_as == [f"{price // 100}.{price % 100:02d}" for price in prices]
    assert [gross for _, _, gross, _ in lines(invoice)] == [price * (1 + at % 3) for at, price in enumerate(prices)]
    for request in house.door.passed:
        if request.body:
            json.loads(request.body, parse_float=_no_float)


def _no_float(text: str) -> None:
    raise AssertionError(f"{text} went over the wire as a binary fraction")


def test_p14_check_then_create_is_not_atomic(house: House) -> None:
    """A second run takes the order over while the first has looked and not yet created: one draft is ever asked for."""

    def overtaken(request: SimRequest, go: Any) -> SimResponse:
        answer: SimResponse = go(request)
        now = house.clock.now()
        inboxes = house.database.system("reaper")
        inboxes.run(Store.INBOX, lambda tx: inbox.release_stale(tx, now + timedelta(seconds=1), now))
        house.engine.wake("dispatch")
        house.engine.drain()  # the second run, from beginning to end, before the first hears its answer
        return answer

    house.door.once("GET", "/api/v1/Invoice", overtaken)
    told = house.lived(mixed_rates)
    assert len(house.engine.finished) >= 2
    assert len(house.door.bodies("POST", "saveInvoice")) == 1
    assert len(house.invoices()) == 1
    assert len(house.state("transactions")) == 1
    assert house.verdict(told) == ("documented", None)


def test_p14_no_retry_and_no_backoff(house: House) -> None:
    """sevdesk is away for four runs: a read is repeated once within one, the next comes later each time, and the
    invoice is written once. The fourth asks once only: six failures in a row have opened the circuit."""
    asked: list[datetime] = []

    def away(request: SimRequest, go: Any) -> SimResponse:
        asked.append(house.clock.now())
        return refused(503, "maintenance")(request, go)

    for _ in range(7):
        house.door.once("GET", "/api/v1/Contact", away)
    told = house.lived(mixed_rates)
    between = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
    assert between[::2] == [0.5] * 3
    waits = between[1::2]
    assert len(waits) == 3 and waits == sorted(waits) and waits[0] >= 1 and waits[-1] >= 10 * waits[0]
    assert house.verdict(told) == ("documented", None)
    assert len(house.invoices()) == 1


def test_p14_every_refund_credits_all_order_lines(house: House) -> None:
    """Two refunds of one line each: two credit notes with that line, and the third line is never credited."""

    def script(order: ShopOrder) -> None:
        buyer(order)
        for product in (MUG, SOAP, BOOK):
            order.add(product)
        placed(order)
        sent(order)
        for line in order.lines[:2]:
            order.wait(DAY, DAY)
            order.refund([(line, 1)])
            order.emit("refunds/create", "orders/updated")

    house.lived(script)
    notes = house.state("credit_notes")
    assert [[one["name"] for one in note["positions"]] for note in notes] == [
        ["Erstattung Becher „Möwe“"],
        ["Erstattung Seife Lavendel"],
    ]
    assert [note["gross_cents"] for note in notes] == [1295, 999]


@pytest.mark.parametrize(("method", "part"), [("PUT", "/sendBy"), ("PUT", "/bookAmount"), ("POST", "/saveInvoice")])
def test_p14_a_failure_is_swallowed_while_the_row_says_success(house: House, method: str, part: str) -> None:
    """Finalising, booking or saving is refused for good: the order is not documented, and a person is asked."""
    house.door.always(method, part, refused(422, "no", 90400))
    told = house.lived(mixed_rates)
    assert house.verdict(told) == ("attention", "SEVDESK-90400")
    assert house.questions(told) == ["SEVDESK-90400"]
    for row in house.invoices():
        assert (row["number"] is None) == (part == "/sendBy")
        assert row["paid_cents"] == 0
        assert house.ledger(told) == ([("draft", None)] if part == "/sendBy" else [("final", row["number"])])


def test_p14_several_invoices_match_and_the_first_is_credited(house: House) -> None:
    """The book is on the second invoice, so the credit note is for that one, whatever else the order's name finds."""

    def script(order: ShopOrder) -> None:
        supplementary(order)
        sent(order)
        order.wait(DAY, DAY)
        order.refund([(order.lines[-1], 1)])
        order.emit("refunds/create", "orders/updated")

    told = house.lived(script)
    first, second = house.invoices()
    (note,) = house.state("credit_notes")
    assert (note["source_id"], note["gross_by_rate"]) == (second["id"], {"7": 2400})
    assert first["id"] < second["id"]
    assert house.verdict(told) == ("documented", None)


def test_p14_several_invoices_match_exactly_and_one_is_taken(house: House) -> None:
    """Two finalised invoices carry the order's very reference: neither is taken for ours, a person is asked."""
    seen: list[SimRequest] = []

    def twins(request: SimRequest, go: Any) -> SimResponse:
        """While we look, two invoices with our note appear, finalised by somebody else."""
        if not seen:
            seen.append(request)
            note = dict(request.query)["customerInternalNote"]
            for _ in range(2):
                other = _invoice_by_hand(house, note)
                house.ask("PUT", f"/Invoice/{other}/sendBy", {"sendType": "VPDF", "sendDraft": False})
        answer: SimResponse = go(request)
        return answer

    house.door.always("GET", "/api/v1/Invoice", twins)
    told = house.lived(mixed_rates)
    assert house.verdict(told) == ("attention", "DUPLICATE")
    assert house.door.bodies("POST", "saveInvoice") == []
    assert all(row["paid_cents"] == 0 for row in house.invoices())


def _invoice_by_hand(house: House, note: str) -> str:
    """A draft somebody else writes, over 1.00."""
    contact = house.ask("POST", "/Contact", {"name": "Wer anders", "category": {"id": 3, "objectName": "Category"}})
    invoice = {
        "objectName": "Invoice", "mapAll": True, "invoiceNumber": None, "invoiceType": "RE", "status": 100,
        "invoiceDate": "02.11.2026", "deliveryDate": "02.11.2026", "currency": "EUR", "taxRate": 0,
        "taxText": "USt", "discount": 0, "showNet": False, "customerInternalNote": note,
        "taxRule": {"id": 1, "objectName": "TaxRule"}, "contact": {"id": contact["id"], "objectName": "Contact"},
        "contactPerson": {"id": 5, "objectName": "SevUser"}, "addressCountry": {"id": 1, "objectName": "StaticCountry"},
    }  # fmt: skip
    position = {
        "objectName": "InvoicePos", "mapAll": True, "quantity": "1", "price": "1.00", "name": "Etwas",
        "taxRate": "19", "unity": {"id": 1, "objectName": "Unity"},
    }  # fmt: skip
    body = {"invoice": invoice, "invoicePosSave": [position], "invoicePosDelete": None, "discountSave": None}
    return str(house.ask("POST", "/Invoice/Factory/saveInvoice", body)["invoice"]["id"])
