"""Transfers told as diaries: a line of the bank marks the order paid in the shop, and pays its invoice (P1, B13).

Bookkeeping 4.1, 4.2 mode bank, 5.7, 5.31, 5.32. The bank's lines come by the feed, as sevdesk brings them.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from acceptance.bookkeeper import euro
from acceptance.diary import DEFAULT_TOKEN, SECOND_SHOP, Diary, diary
from acceptance.purchase import BERLIN, Purchase
from ladenbuch import money_back, reminders, tenants
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest
from ladenbuch.workflows import lockout
from ladenbuch.workflows.overdue import remind

SOAP, BOOK = ("Seife", 1190, 190), ("Buch", 1070, 70)
PAID = "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"


def do(day: Diary, **what: Any) -> dict[str, Any]:
    """Something happens in sevdesk behind everybody's back."""
    answer = day.sevdesk.handle(
        SimRequest("POST", "/_control/human", (), {"authorization": DEFAULT_TOKEN}, json.dumps(what).encode())
    )
    assert answer.status < 300, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def comes(day: Diary, cents: int, purpose: str, payee: str = "ERIKA MUSTER", **more: Any) -> int:
    """A line of the bank's feed, and two minutes."""
    account = day.bookkeeper.account("Bank")
    line = do(day, do="transaction", account=account, amount=euro(cents), purpose=purpose, payee=payee, **more)
    minutes(day, 2)
    return int(line["id"])


def minutes(day: Diary, count: float) -> None:
    day.at(f"{day.clock.now().astimezone(BERLIN) + timedelta(minutes=count):%Y-%m-%d %H:%M:%S}")


def told(day: Diary) -> int:
    """How often the shop was told of money."""
    return sum("the shop was told" in one for one in day.story())


def figures(day: Diary) -> dict[str, float]:
    """What /metrics says of the shop's transfers."""
    day.house.health("all")
    said = day.house.metrics.render().decode().splitlines()
    found: dict[str, float] = {
        "looked": any("last_bank_look_seconds{" in line and float(line.split()[1]) < 120 for line in said)
    }
    for line in said:
        if line.startswith("transfers{"):
            found[line.partition('state="')[2].partition('"')[0]] = float(line.split()[1])
    return found


def vorkasse(day: Diary, *goods: Any, name: str = "#501") -> Purchase:
    return day.order(name).basket(*(goods or (SOAP,))).tell_order("bank_deposit", status="PENDING")


def shop_says(day: Diary, order: Purchase) -> str:
    seen = day.shopify._states[order.shop].orders[order.gid]
    return f"{seen['displayFinancialStatus']} {seen['totalReceivedSet']['shopMoney']['amount']}"


def test_p1_a_transfer_marks_the_order_paid_and_pays_the_invoice_that_follows() -> None:
    """4.1: there is no invoice yet to match the line with, so it is matched with the order; 5.32: no echo."""
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day)
        day.at("2027-03-03 09:00")
        comes(day, 1190, "Bestellung 501 Seife")
        assert shop_says(day, order) == "PAID 11.90"
        assert day.documents() == [PAID]
        assert day.money() == ["03.03.2027 Bank +11.90 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert (told(day), day.asked()) == (1, [])
        writes = day.writes()
        minutes(day, 30)
        assert (told(day), day.writes()) == (1, writes)


def test_5_31_a_cent_too_little_is_listed_and_a_person_may_let_it_pass() -> None:
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day)
        day.at("2027-03-03 09:00")
        comes(day, 1189, "501")
        assert (shop_says(day, order), day.asked()) == ("PENDING 0.00", ["TRANSFER-PARTIAL"])
        assert "1189 of 1190" in day.about("TRANSFER-PARTIAL")
        day.answer(order, "TRANSFER-PARTIAL", "mark it paid in Shopify all the same")
        minutes(day, 2)
        assert (shop_says(day, order), day.asked(), told(day)) == ("PAID 11.90", [], 1)
        assert day.documents() == [PAID.replace("paid", "open")]  # its cent is open, and the line is the bookkeeper's


def test_5_31_a_cent_too_much_is_listed() -> None:
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day)
        day.at("2027-03-03 09:00")
        comes(day, 1191, "501")
        assert (shop_says(day, order), day.asked()) == ("PAID 11.90", ["OVERPAID"])
        assert "1 minor units more" in day.about("OVERPAID")


def test_p1_what_may_be_for_two_orders_is_chosen_by_a_person() -> None:
    with diary("2027-03-01 10:00") as day:
        first, second = vorkasse(day), vorkasse(day, name="#502")
        day.at("2027-03-03 09:00")
        comes(day, 1190, "danke", "Muster, Erika")
        assert day.asked() == ["TRANSFER-UNCLEAR", "TRANSFER-UNCLEAR"]
        assert (shop_says(day, first), shop_says(day, second)) == ("PENDING 0.00", "PENDING 0.00")
        assert figures(day) == {"awaited": 2, "unclear": 1, "nobodys": 0, "looked": True}
        day.answer(second, "TRANSFER-UNCLEAR", "it is for this order")
        comes(day, 777, "Miete", "JEMAND")
        minutes(day, 1)
        assert figures(day) == {"awaited": 1, "unclear": 0, "nobodys": 1, "looked": True}
        assert (shop_says(day, first), shop_says(day, second)) == ("PENDING 0.00", "PAID 11.90")
        assert (day.asked(), told(day)) == ([], 1)
        assert day.money() == ["03.03.2027 Bank +11.90 on RE-1001", "03.03.2027 Bank +7.77 unlinked"]


def test_5_07_marked_paid_in_the_shop_first_the_banks_line_is_linked_and_nothing_is_told() -> None:
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day)
        day.at("2027-03-03 09:00")
        order.tell_payment("bank_deposit")
        day.at("2027-03-05 07:00")
        comes(day, 1190, "Bestellung 501", map=False)
        minutes(day, 61)
        assert day.documents() == [PAID]
        assert day.money() == ["05.03.2027 Bank +11.90 on RE-1001"]
        assert (told(day), day.asked()) == (0, [])


def test_p1_an_invoice_sevdesk_matched_by_itself_marks_the_order_paid() -> None:
    """Documents that became paid are the second source; the line is the bank's, and already linked."""
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day).tell_shipment()
        assert [one.rpartition("; ")[2] for one in day.documents()] == ["open"]
        day.at("2027-03-03 09:00")
        comes(day, 1190, "no word of it", "JEMAND", map=True)
        minutes(day, 3)
        assert (shop_says(day, order), told(day), day.asked()) == ("PAID 11.90", 1, [])
        assert [one.rpartition("; ")[2] for one in day.documents()] == ["paid"]
        assert day.money() == ["03.03.2027 Bank +11.90 on RE-1001"]


def test_5_30_two_shops_in_one_sevdesk_never_take_each_others_transfer() -> None:
    """Both have an order #501 over the same sum: a transfer that does not say whose buyer it is from is asked about."""
    with diary("2027-03-01 10:00") as day:
        day.open_shop(SECOND_SHOP, "s2")
        first = vorkasse(day)
        other = day.order("#501", shop=SECOND_SHOP).basket(SOAP).tell_order("bank_deposit", status="PENDING")
        day.at("2027-03-03 09:00")
        comes(day, 1190, "Bestellung 501", "SEINE TANTE")
        assert (shop_says(day, first), shop_says(day, other)) == ("PENDING 0.00", "PENDING 0.00")
        assert day.asked() == ["TRANSFER-UNCLEAR", "TRANSFER-UNCLEAR"]


def test_b13_a_line_sevdesk_put_on_the_wrong_invoice_is_asked_about() -> None:
    """facts 5.1: sevdesk's own matching goes by the amount alone."""
    with diary("2027-03-01 10:00") as day:
        vorkasse(day).tell_shipment()
        second = vorkasse(day, name="#502")
        day.at("2027-03-03 09:00")
        line = comes(day, 1190, "Bestellung 502", map=True)
        minutes(day, 3)
        assert "TRANSFER-GONE" in day.asked()
        assert shop_says(day, second) == "PENDING 0.00"
        day.by_hand = True
        do(day, do="unlink", id=line)
        minutes(day, 120)
        assert shop_says(day, second) == "PAID 11.90"


def test_b13_a_line_taken_off_its_invoice_is_noticed() -> None:
    with diary("2027-03-01 10:00") as day:
        vorkasse(day)
        day.at("2027-03-03 09:00")
        line = comes(day, 1190, "Bestellung 501")
        assert day.documents() == [PAID]
        day.at("2027-03-04 09:00")
        day.by_hand = True
        do(day, do="unlink", id=line)
        minutes(day, 120)
        assert (day.asked(), told(day)) == (["HAND-UNLINKED"], 1)


def test_b13_a_line_that_comes_late_or_is_rewritten_is_found() -> None:
    """Filters know the day of entry only: a line dated back five weeks, and one whose words the bank corrects."""
    with diary("2027-03-01 10:00") as day:
        first, second = vorkasse(day), vorkasse(day, BOOK, name="#502")
        day.at("2027-03-31 09:00")
        comes(day, 1190, "501", value_date="2027-03-02", entry_date="2027-03-02")
        assert shop_says(day, first) == "PAID 11.90"
        line = comes(day, 1070, "unlesbar", "UNBEKANNT")
        assert shop_says(day, second) == "PENDING 0.00"
        do(day, do="rewrite", id=line, purpose="Bestellung 502")
        minutes(day, 2)
        assert (shop_says(day, second), day.asked()) == ("PAID 10.70", [])


def test_3_1_money_of_an_earlier_month_is_dated_back_in_the_shop() -> None:
    """Received on 31 March, seen on 1 April: the tax belongs to March (UStG §13 (1) no. 1a)."""
    with diary("2027-03-29 10:00") as day:
        vorkasse(day)
        day.at("2027-04-01 07:00")
        comes(day, 1190, "501", value_date="2027-03-31")
        assert day.documents() == [
            "RE-1001 invoice 01.04.2027, supply 31.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]


def test_b13_money_that_goes_back_by_the_bank_is_asked_about() -> None:
    with diary("2027-03-01 10:00") as day:
        vorkasse(day)
        day.at("2027-03-03 09:00")
        comes(day, 1190, "Bestellung 501")
        day.at("2027-03-09 09:00")
        comes(day, -1190, "Rueckzahlung Bestellung 501")
        minutes(day, 61)
        assert day.asked() == ["TRANSFER-BACK"]


def test_p1_a_tenant_in_draft_only_mode_tells_the_shop_nothing() -> None:
    with diary("2027-03-01 10:00", live=False) as day:
        order = vorkasse(day)
        day.at("2027-03-03 09:00")
        comes(day, 1190, "Bestellung 501")
        assert (shop_says(day, order), told(day), day.asked()) == ("PENDING 0.00", 0, [])


def test_p2_whoever_does_not_pay_is_reminded_by_the_ladder_and_never_twice() -> None:
    """S116: an open invoice and an order that was never paid; holidays; what is paid is reminded no more."""
    ladder = {"invoice": [7, 14], "prepayment": [5], "holidays": [["2027-03-10", "2027-03-11"]]}
    with diary("2027-03-01 10:00", reminders=ladder) as day:
        shipped = vorkasse(day).tell_shipment()
        vorkasse(day, BOOK, name="#502")
        day.at("2027-03-05 12:00")
        assert len(day.letters()) == 1  # the invoice
        day.at("2027-03-06 12:00")
        assert len(day.letters()) == 2  # 5 days: the order without an invoice
        day.at("2027-03-08 08:00")
        assert len(day.letters()) == 2
        day.at("2027-03-08 12:00")
        assert len(day.letters()) == 3  # 7 days: the invoice
        subjects = [str(one.message["Subject"]) for one in day.mail.messages]
        assert "#502" in subjects[1] and "RE-1001" in subjects[2]
        day.at("2027-03-08 18:00")
        assert remind(day.house.context, "s1") == 0
        day.at("2027-03-14 09:30")
        comes(day, 1190, "Bestellung 501", map=True)
        day.at("2027-03-16 12:00")
        assert len(day.letters()) == 3 and shop_says(day, shipped) == "PAID 11.90"


def test_p2_nobody_is_reminded_of_an_order_that_is_not_ours() -> None:
    """R22: shipped before go-live, so another tool wrote its invoice, and knows what became of it."""
    with diary("2027-03-01 10:00", reminders={"prepayment": [5]}) as day:
        order = day.order().dated("2027-02-20 10:00").basket(SOAP)
        order.pay("bank_deposit", status="PENDING")
        order.ship()
        day.at("2027-03-01 11:00")
        order.tell("orders/create")
        assert day.verdict(order).startswith("excluded BEFORE-GO-LIVE")
        day.at("2027-03-12 12:00")
        assert day.letters() == []


def test_p2_nobody_is_reminded_of_an_invoice_somebody_cancelled() -> None:
    """5.10: the shop still says that money is open; the bookkeeper knows better."""
    with diary("2027-03-01 10:00", reminders={"invoice": [5]}) as day:
        order = vorkasse(day).tell_shipment()
        day.at("2027-03-02 12:00")
        day.by_hand = True
        do(day, do="cancel", id=day.document("RE-1001")["id"])
        minutes(day, 120)
        order.tell("orders/updated")
        assert day.asked() == ["HAND-CANCELLED"]
        day.at("2027-03-09 12:00")
        assert not [one for one in day.mail.messages if "Zahlung" in str(one.message["Subject"])]


def test_p2_a_stopped_tenant_reminds_nobody_of_what_may_be_paid_when_it_goes_on() -> None:
    with diary("2027-03-01 10:00", reminders={"prepayment": [5]}) as day:
        vorkasse(day)
        door = day.database.tenant("s1")
        door.run(Store.BOOKS, lambda tx: tenants.stop(tx, "s1", "a look at it", day.clock.now()))
        day.at("2027-03-07 12:00")
        assert door.read(Store.BOOKS, lambda tx: reminders.reminded(tx, "s1", [next(iter(day.orders))])) == {}


def test_p2_a_transfer_a_person_said_is_not_for_the_order_keeps_no_reminder_back() -> None:
    with diary("2027-03-01 10:00", reminders={"prepayment": [5]}) as day:
        order = vorkasse(day)
        line = comes(day, 1190, "Bestellung 777", "Muster, Erika")
        day.answer(order, "TRANSFER-UNCLEAR", "it is not for this order")
        door = day.database.tenant("s1")
        listed = door.read(Store.BOOKS, lambda tx: money_back.listed(tx, "s1", ["refused"]))
        assert [one.line_id for one in listed] == [str(line)], "whose it is stays open"
        day.at("2027-03-07 12:00")
        assert (len(day.letters()), day.asked(), shop_says(day, order)) == (1, [], "PENDING 0.00")


def test_b13_money_that_was_there_before_pays_no_order_of_the_same_buyer() -> None:
    """Lines that are nobody's are looked at again: an old one that names nothing was not sent for a new order."""
    with diary("2027-03-01 10:00") as day:
        vorkasse(day, BOOK)
        comes(day, 1190, "danke", "ERIKA MUSTER")
        day.at("2027-03-20 09:00")
        order = vorkasse(day, name="#502")
        day.at("2027-03-21 12:00")
        assert (shop_says(day, order), told(day)) == ("PENDING 0.00", 0)
        comes(day, 1190, "danke", "ERIKA MUSTER")
        assert (shop_says(day, order), told(day), day.asked()) == ("PAID 11.90", 1, [])


def test_4_2_what_paypal_brings_is_no_transfer() -> None:
    """A gateway nobody gave an account (mode off): its feed names orders that the checkout says are paid."""
    with diary("2027-03-01 10:00", gateways={"paypal": {"mode": "off"}}) as day:
        vorkasse(day, BOOK)
        day.order("#502").basket(SOAP).tell_order("paypal")
        account = do(day, do="connect", name="PayPal", bank_server="PAYPAL")["id"]
        do(day, do="transaction", account=account, amount="11.90", purpose="Bestellung #502", payee="ERIKA MUSTER")
        minutes(day, 70)
        assert day.asked() == []


def test_s52_a_token_that_the_bank_look_finds_refused_is_not_tried_every_minute() -> None:
    with diary("2027-03-01 10:00") as day:
        vorkasse(day)
        day.sevdesk.new_token("e" * 32)
        minutes(day, 2)
        door = day.database.tenant("s1")
        assert door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, "s1")) == lockout.REASON
        day.sevdesk.new_token(DEFAULT_TOKEN)


def test_p1_whose_a_transfer_is_does_not_answer_why_the_order_takes_none() -> None:
    """A person says that it is for the order; meanwhile the order is to be paid by a card."""
    with diary("2027-03-01 10:00") as day:
        first, _ = vorkasse(day), vorkasse(day, name="#502")
        day.at("2027-03-03 09:00")
        comes(day, 1190, "danke", "Muster, Erika")
        first.tell_payment("klarna", kind="AUTHORIZATION")
        day.answer(first, "TRANSFER-UNCLEAR", "it is for this order")
        minutes(day, 3)
        assert "to be paid otherwise" in day.about("TRANSFER-UNCLEAR")
