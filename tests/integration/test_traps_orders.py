"""The traps between shop and books (facts 5.1, numbers 28 to 45), one regression test each, named after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acceptance.invoice_cases import (
    BOOK,
    DAY,
    ERIKA,
    HOUR,
    MUG,
    SOAP,
    SWISS,
    TOWEL,
    bank_transfer,
    buyer,
    cancelled_unpaid,
    mixed_rates,
    net_shop,
    placed,
    refund,
    sent,
    shipped_first,
    supplementary,
)
from house import SHOP, TENANT, House, home, life, lost, refused
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk.calls import _read
from ladenbuch.shopify.period import orders_processed
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.lives.people import Product

Go = Callable[[SimRequest], SimResponse]
ROOT = Path(__file__).parents[2]


def writes(house: House) -> list[SimRequest]:
    return [one for one in house.door.passed if one.method != "GET" and "/CheckAccount/" not in one.path]


def ordered_by_hand(house: House, script: Callable[[ShopOrder], None], number: int = 1001) -> Any:
    return life(number, house.clock.now() + timedelta(minutes=5), script)


def test_trap_28_a_paid_voucher_in_foreign_currency_is_recalculated(house: House) -> None:
    """Other money than euros is asked about before anything is written, and no voucher is ever used."""

    def in_francs(order: ShopOrder) -> None:
        order.money_terms = ("EUR", "CHF", 943)
        mixed_rates(order)

    told = house.lived(in_francs)
    assert house.verdict(told) == ("attention", "CURRENCY")
    house.lived(refund, 1002)
    assert house.invoices()[0]["note"].startswith("#1002")
    assert not [one for one in house.door.passed if "/Voucher" in one.path]


def test_trap_29_the_merchant_s_own_bank_feed_books_the_payment_too(house: House) -> None:
    """Money that comes by bank is the feed's: we write no line for it, and the invoice is left for it to match."""
    told = house.lived(bank_transfer)
    assert house.verdict(told)[0] == "documented"
    assert house.state("transactions") == []
    (invoice,) = house.invoices()
    account = next(row["id"] for row in house.state("accounts") if row["name"] == "Bank")
    house.person({"do": "transaction", "account": account, "amount": "34.90", "purpose": invoice["number"]})
    house.person({"do": "book", "id": invoice["id"], "account": account})
    house.settle(told)
    assert house.questions(told) == []
    assert house.invoices()[0]["paid_cents"] == 3490


def test_trap_30_titles_and_lines_have_a_length(house: House) -> None:
    """A title fits 25 letters; a longer name or address is cut, and stands whole in a free text."""
    name = "Handgesiedete Olivenölseife mit Lavendel aus der Provence " * 4
    street = "Straße des siebzehnten Juni neunzehnhundertdreiundfünfzig, " * 3 + "Hinterhaus"

    def long(order: ShopOrder) -> None:
        buyer(order, home("Erika", "Müller", street, "20457", "Hamburg"))
        order.add(Product(name.strip(), "LANG-1", 1295, 190, number=77))
        placed(order)

    house.lived(long)
    house.lived(refund, 1002)
    (invoice, _), (note,) = house.invoices(), house.state("credit_notes")
    assert all(len(one["fields"]["header"].split(" zur ")[0]) <= 25 for one in (invoice, note))
    (position,) = invoice["positions"]
    assert len(position["name"]) <= 100 and name.strip() in position["text"]
    assert len(invoice["fields"]["addressStreet"]) <= 100 and street in invoice["fields"]["headText"]


def test_trap_31_a_refund_without_lines_tells_no_tax(house: House) -> None:
    """G6: 10.00 back on an invoice of 30.80 at 19 % and 29.97 at 7 %."""

    def amount_only(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG, 2)
        order.add(BOOK, 3, price=999)
        order.ship_by("DHL Paket", 490, (190,))
        placed(order)
        sent(order)
        order.wait(DAY, DAY)
        order.refund(adjust=1000)
        order.emit("refunds/create", "orders/updated")

    told = house.lived(amount_only)
    (note,) = house.state("credit_notes")
    assert (note["gross_by_rate"], note["tax_by_rate"]) == ({"19": 507, "7": 493}, {"19": 81, "7": 32})
    assert house.verdict(told) == ("documented", None)


def test_trap_32_an_order_edited_after_its_invoice_is_written_over(house: House) -> None:
    """The first invoice stays as it was; what was added is another one. No document is ever saved a second time."""
    told = ordered_by_hand(house, supplementary)
    house.live(replace(told, events=told.events[:1]))
    before = house.papers(told.order_id)
    house.live(replace(told, events=told.events[1:]))
    after = house.papers(told.order_id)
    assert [one.lines for one in after[:1]] == [one.lines for one in before]
    assert [one.state["gross_cents"] for one in after] == [3080, 2400]
    assert all(not body["invoice"].get("id") for body in house.door.bodies("POST", "saveInvoice"))


def test_trap_33_the_shipping_address_is_taken_for_the_invoice(house: House) -> None:
    def gift(order: ShopOrder) -> None:
        buyer(order, ERIKA, ship_to=home("Oma", "Müller", "Am Deich 1", "26506", "Norden"))
        order.add(MUG)
        placed(order)

    told = house.lived(gift)
    (paper,) = house.papers(told)
    assert "Erika Müller" in paper.lines and "Hafenweg 3" in paper.lines
    assert "Norden" not in paper.text


def test_trap_33_an_order_over_nothing(house: House) -> None:
    def free(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG)
        order.discount("DiscountCode", "GESCHENK", percent=100)
        placed(order, None)

    told = house.lived(free)
    assert house.verdict(told) == ("excluded", "ZERO")
    assert writes(house) == []


def test_trap_34_test_orders_and_money_that_is_only_promised(house: House) -> None:
    """A test, a bank transfer that is still to come, a card that is only authorised: nothing is written for them."""

    def tried(order: ShopOrder) -> None:
        order.extra["test"] = True
        mixed_rates(order)

    def to_come(order: ShopOrder) -> None:
        buyer(order)
        order.add(TOWEL)
        placed(order, "bank_deposit", status="PENDING")

    told = {script: ordered_by_hand(house, script, 1001 + at) for at, script in enumerate((tried, to_come))}
    authorised = ordered_by_hand(house, shipped_first, 1003)
    house.live(*told.values(), replace(authorised, events=authorised.events[:1]))
    assert house.verdict(told[tried].order_id) == ("excluded", "TEST")
    assert house.verdict(told[to_come].order_id) == ("waiting", "UNPAID")
    assert house.verdict(authorised.order_id) == ("waiting", "UNPAID")
    assert writes(house) == []


def test_trap_35_orders_older_than_sixty_days_are_hidden(house: House) -> None:
    """Without `read_all_orders` Shopify says "nothing there": that is not deleted. What was written stays."""
    told = house.lived(mixed_rates)
    before = house.papers(told)
    house.shopify.set_scopes(SHOP, ["read_orders", "read_customers"])
    house.clock.advance(61 * DAY)
    written = len(writes(house))
    house.settle(told)
    assert house.questions(told) == ["INVISIBLE"]
    assert [one.lines for one in house.papers(told)] == [one.lines for one in before]
    assert len(writes(house)) == written


def test_trap_35_closed_and_cancelled_orders_are_asked_for(house: House) -> None:
    """`status:any`: the poll and the list of a period find an order that was cancelled and archived."""

    def archived(order: ShopOrder) -> None:
        mixed_rates(order)
        order.wait(HOUR, HOUR)
        order.extra["closedAt"] = "2026-11-02T09:00:00Z"
        order.cancel()
        order.emit("orders/cancelled", "orders/updated")

    told = house.lived(archived)
    shop = house.ladenbuch.shopify(TENANT)
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert [gid for gid, _ in shop.orders_updated(since, until)] == [told]
    assert list(orders_processed(shop.execute, since, until)) == [told]
    assert shop.find_order("#1001") == told


def test_trap_36_webhooks_come_in_any_order_and_twice(house: House) -> None:
    """Told of the refund first and of everything again and again: the order as it is decides, once."""
    told = ordered_by_hand(house, refund)
    house.live(replace(told, events=told.events[-1:]))
    for _ in range(3):
        house.settle(told.order_id)
    assert [(one.state["kind"], one.state["gross_cents"]) for one in house.papers(told.order_id)] == [
        ("Invoice", 5480),
        ("CreditNote", 1295),
    ]
    assert [row["amount_cents"] for row in house.state("transactions")] == [5480, -1295]


def test_trap_37_tips_and_duties_are_part_of_the_total(house: House) -> None:
    def tipped(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG)
        order.add(Product("Trinkgeld", "", 300, 0, ships=False), rates=(), kind="TIP")
        placed(order)

    def with_duty(order: ShopOrder) -> None:
        buyer(order, SWISS)
        line = order.add(TOWEL, rates=(), price=2933)
        node = {"id": "gid://shopify/Duty/1", "harmonizedSystemCode": "630260", "countryCodeOfOrigin": "DE",
                "price": order.bag(420), "taxLines": []}  # fmt: skip
        line.duties.append(node)
        duty = order.sale("DUTY", "ORDER", 1, 420, [], item={"duty": {"id": node["id"]}})
        order.place([(duty, "DUTY", 420, {0: 420})])
        order.pay("shopify_payments")
        order.emit("orders/create", "orders/paid")
        sent(order)

    start = house.clock.now()
    house.live(life(1001, start, tipped), life(1002, start, with_duty))
    assert [row["gross_by_rate"] for row in house.invoices()] == [{"19": 1595}, {"0": 3353}]
    assert all(row["paid_cents"] == row["gross_cents"] for row in house.invoices())


def test_trap_37_a_total_rounded_for_cash_is_asked_about(house: House) -> None:
    def rounded(order: ShopOrder) -> None:
        order.extra["totalCashRoundingAdjustment"] = {"paymentSet": order.bag(2), "refundSet": order.bag(0)}
        mixed_rates(order)

    told = house.lived(rounded)
    assert house.verdict(told) == ("attention", "CASH-ROUNDING")
    assert house.state("invoices") == []


def test_trap_38_line_prices_before_or_twice_after_the_discount(house: House) -> None:
    """`discountedTotalSet` holds the line's own discount, the allocations hold all of them: each counts once."""

    def both(order: ShopOrder) -> None:
        buyer(order)
        line = order.add(TOWEL, 2)
        order.add(SOAP)
        order.discount("AutomaticDiscount", "Zweiter halb", percent=25, target=line)
        order.discount("DiscountCode", "FÜNF", fixed=500)
        order.ship_by("DHL Paket", 490, (190,))
        placed(order)

    told = ordered_by_hand(house, both)
    house.live(told)
    (invoice,) = house.invoices()
    assert invoice["gross_cents"] == 6980 - 1745 + 999 - 500 + 490
    assert f"{invoice['gross_cents'] / 100:.2f}" == told.final["totalPriceSet"]["shopMoney"]["amount"]


def test_trap_39_a_shop_with_net_prices_loses_cents(house: House) -> None:
    """The gross is price plus tax lines, to the cent, and is sent as gross."""
    told = ordered_by_hand(house, net_shop)
    house.live(told)
    (invoice,) = house.invoices()
    assert (invoice["gross_cents"], invoice["show_net"]) == (7316, False)
    assert told.final["totalPriceSet"]["shopMoney"]["amount"] == "73.16"
    assert invoice["tax_by_rate"] == {"19": 478, "7": 283}


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("POST", "/Contact"),
        ("POST", "/CheckAccountTransaction"),
        ("POST", "/saveInvoice"),
        ("PUT", "/Invoice/"),
        ("PUT", "/bookAmount"),
        ("POST", "/saveCreditNote"),
        ("PUT", "/CreditNote/"),
        ("POST", "/cancelInvoice"),
    ],
)
@pytest.mark.parametrize("how", ["500", "lost"])
def test_trap_40_a_5xx_on_a_write_does_not_mean_that_nothing_happened(
    house: House, how: str, method: str, part: str
) -> None:
    """It was done, the answer says 500 or never comes: it is looked for, and never done twice."""

    def done_and_500(request: SimRequest, go: Go) -> SimResponse:
        assert go(request).status in (200, 201)
        return refused(500, "internal error")(request, go)

    house.door.once(method, part, lost if how == "lost" else done_and_500)
    told = house.lived(cancelled_unpaid if part == "/cancelInvoice" else refund)
    assert house.verdict(told) == ("documented", None)
    sums = [(row["kind"], row["type"], row["gross_cents"]) for row in (one.state for one in house.papers(told))]
    if part == "/cancelInvoice":
        assert sums == [("Invoice", "RE", 4990), ("Invoice", "SR", -4990), ("Invoice", "RE", 2590)]
    else:
        assert sums == [("Invoice", "RE", 5480), ("CreditNote", "CN", 1295)]
        assert [row["amount_cents"] for row in house.state("transactions")] == [5480, -1295]
        assert [row["paid_cents"] for row in house.invoices()] == [5480]
    assert len(house.state("contacts")) == 1


def test_trap_41_many_failing_calls_get_the_token_blocked(house: House) -> None:
    """A token that is refused stops the tenant: twenty orders wait without asking again, and lose nothing."""
    refusing = True

    def answer(request: SimRequest, go: Go) -> SimResponse:
        return SimResponse(401, {}, b"") if refusing else go(request)

    for method in ("GET", "POST", "PUT"):
        house.door.always(method, "/api/v1/", answer)
    before = len(house.door.passed)
    told = [ordered_by_hand(house, mixed_rates, 1001 + at) for at in range(20)]
    house.live(*told)
    house.clock.advance(HOUR)
    house.settle(told[0].order_id)
    assert 1 <= len(house.door.passed) - before <= 2
    assert {house.verdict(one.order_id)[0] for one in told} == {"never settled"}
    refusing = False
    house.go()
    for one in told:
        house.settle(one.order_id)
    assert {house.verdict(one.order_id) for one in told} == {("documented", None)}
    assert len(house.invoices()) == 20


def test_trap_42_a_pdf_comes_by_redirect_or_with_a_wrong_encoding(house: House) -> None:
    """The token follows no redirect, and a file that is not compressed is read although it says so."""
    house.lived(mixed_rates)
    invoice = str(house.invoices()[0]["id"])
    house.door.once("GET", "/getPdf", lambda request, go: SimResponse(302, {"location": "http://elsewhere/"}, b""))
    passed = len(house.door.passed)
    with pytest.raises(Rejected) as caught:
        house.client.invoice_pdf(invoice)
    assert caught.value.code == "SEVDESK-REDIRECT"
    assert len(house.door.passed) == passed + 1

    class Wrong:
        """What an HTTP client hands over: the bytes as they came, and a header that is not true."""

        is_stream_consumed = False
        headers = {"content-encoding": "gzip"}  # noqa: RUF012

        def iter_raw(self) -> list[bytes]:
            return [b"%PDF-", b"1.4 as it is"]

    assert _read(Wrong()) == b"%PDF-1.4 as it is"  # type: ignore[arg-type]


def test_trap_43_factories_refuse_an_x_version(house: House) -> None:
    house.lived(refund)
    assert [one for one in house.door.passed if "x-version" in one.headers] == []


def test_trap_44_trial_accounts_expire(house: House) -> None:
    """Nothing that proves this product needs an account at sevdesk or Shopify: no build step knows a token, and what a
    test sends to another address than a simulator's goes nowhere."""
    steps = [path for path in (*ROOT.glob(".ci/*"), ROOT / "Makefile") if path.is_file()]
    assert len(steps) >= 2
    told = "\n".join(path.read_text(encoding="utf-8") for path in steps)
    assert not re.search(r"my\.sevdesk\.de|SEVDESK_TOKEN|SHOPIFY_(CLIENT|ACCESS)", told)
    with pytest.raises(httpx2.ConnectError):
        house.ladenbuch._http.get("https://my.sevdesk.de/api/v1/Invoice")


def test_trap_45_numbers_are_never_parsed(house: House) -> None:
    """The bookkeeper likes years in numbers, changes the format and starts anew: what sevdesk says is the number."""
    circles = house.sevdesk.world.sequences
    circles["Invoice", "RE"].format, circles["Invoice", "RE"].next = "2026/%NUMBER-SL", 1
    circles["CreditNote", "CN"].format, circles["CreditNote", "CN"].next = "K%NUMBER.2026", 7
    told = ordered_by_hand(house, refund)
    house.live(replace(told, events=told.events[:2]))
    circles["Invoice", "RE"].format, circles["Invoice", "RE"].next = "RE27%NUMBER", 1
    house.live(replace(told, events=told.events[2:]))
    other = house.lived(mixed_rates, 1002)
    assert sorted(number or "" for _, number in house.ledger(told.order_id)) == ["2026/1-SL", "K7.2026"]
    assert house.ledger(other) == [("final", "RE271")]
    assert "Korrektur der Rechnung 2026/1-SL vom 02.11.2026." in house.papers(told.order_id)[1].text
