"""Bookkeeping section 5, told as diaries: an order up to its invoice, and where it is sold (S71, S97-S109).

Each test is one numbered situation; the rows are what an accountant finds in sevdesk on the last day of the diary.
"""

from __future__ import annotations

from dataclasses import replace

from acceptance.diary import SECOND_SHOP, Diary, diary
from ladenbuch.simulators.lives.people import Product

SOAP, BOOK, CANDLE = ("Seife", 1190, 190), ("Buch", 1070, 70), ("Kerze", 1850, 190)
VIENNA = ("Mariahilfer Straße 8", "1070", "Wien", "AT")


def the_account_becomes_a_small_business(day: Diary) -> None:
    """The bookkeeper changes the regime of the sevdesk account itself, as the law wants it from that day on."""
    day.sevdesk.world.switches = replace(day.sevdesk.world.switches, small_business=True)


def test_5_01_an_upsell_within_the_hour_is_one_invoice_over_two_charges_with_one_letter() -> None:
    """R2, 3.1: cut and release an hour after the tax point; the money lines are written at once."""
    with diary("2027-05-03 10:00", grace_seconds=3600) as day:
        order = day.order().basket(SOAP).tell_order()
        assert day.documents() == []
        assert day.money() == ["03.05.2027 shopify_payments +11.90 unlinked"]
        day.at("2027-05-03 10:12")
        order.tell_edit(CANDLE, paid="shopify_payments")
        assert day.documents() == []
        assert day.verdict(order).startswith("waiting")
        day.at("2027-05-03 11:01")
        day.unseen.add(order.gid)  # the hour is the merchant's word, which raw data do not have
        assert day.documents() == [
            "RE-1001 invoice 03.05.2027, supply 03.05.2027, VAT 05/2027, rule 1: 30.40 @ 19 %; paid"
        ]
        assert day.money() == [
            "03.05.2027 shopify_payments +11.90 on RE-1001",
            "03.05.2027 shopify_payments +18.50 on RE-1001",
        ]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_02_paid_in_january_and_settled_in_february_after_an_outage_is_tax_of_january() -> None:
    """R2, 3.2: nobody was there for three days. The document is dated when it is written, its tax point when paid."""
    with diary("2027-01-31 14:05") as day:
        day.down()
        order = day.order().basket(SOAP, shipping=490).tell_order()
        day.at("2027-02-02 09:00")
        order.tell_shipment()
        day.at("2027-02-03 08:00")
        day.back()
        assert day.documents() == [
            "RE-1001 invoice 03.02.2027, supply 31.01.2027, VAT 01/2027, rule 1: 16.80 @ 19 %; paid"
        ]
        assert "Vorauszahlung, Zahlung erhalten am 31.01.2027" in day.texts("RE-1001")
        assert day.money() == ["31.01.2027 shopify_payments +16.80 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_24_a_full_discount_is_invoiced_over_the_shipping_alone_and_nothing_at_all_is_not_invoiced() -> None:
    """Free goods are listed at 0.00; an order over nothing is excluded with a reason (R1)."""
    with diary("2027-03-01 10:00") as day:
        order = day.order()
        order.add(Product("Seife", "SEIF", 1190, 190))
        order.discount("DiscountCode", "GESCHENKT", percent=100)
        order.basket(shipping=490).tell_order()
        free = day.order("#502")
        free.add(Product("Seife", "SEIF", 1190, 190))
        free.discount("DiscountCode", "GESCHENKT", percent=100)
        free.basket().tell_order(None)
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 4.90 @ 19 %; paid"
        ]
        assert day.positions("RE-1001") == ["1 x 0.00 Seife @ 19 %", "1 x 4.90 DHL Paket @ 19 %"]
        assert day.money() == ["01.03.2027 shopify_payments +4.90 on RE-1001"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"
        assert day.verdict(free) == "excluded ZERO, open 0.00"


def test_5_25_charged_now_and_shipped_in_three_months_is_an_advance_invoice() -> None:
    """3.2, §14 (4) no. 6: the day of receipt and the words of an advance; the shipment later changes nothing."""
    with diary("2027-03-05 10:00", dispatch_days=None) as day:
        order = day.order().basket(SOAP).tell_order()
        invoice = "RE-1001 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        assert day.documents() == [invoice]
        words = "Bestellung #501 vom 05.03.2027 Vorauszahlung, Zahlung erhalten am 05.03.2027."
        assert day.texts("RE-1001") == words
        day.at("2027-06-07 10:00")
        order.tell_shipment()
        assert day.documents() == [invoice]
        assert day.texts("RE-1001") == words
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_26_a_buyer_who_pays_in_francs_is_refused_both_ways() -> None:
    """F3: neither the charge nor the refund is posted in euros nobody paid."""
    with diary("2027-03-05 10:00") as day:
        order = day.order()
        order.money_terms = ("EUR", "CHF", 943)
        order.basket(SOAP).tell_order()
        assert day.asked() == ["CURRENCY"]
        day.at("2027-03-07 10:00")
        order.tell_refund(("Seife", 1))
        assert (day.documents(), day.money(), day.letters()) == ([], [], [])
        assert day.asked() == ["CURRENCY"]
        assert day.choices("CURRENCY") == ["post by hand", "exclude the order"]
        assert day.verdict(order).startswith("attention CURRENCY")


def test_5_27_late_entries_are_handled_as_of_now_and_imports_by_the_go_live_rule() -> None:
    """R8, R22: history is not cut again by a payment dated back, and what was complete before we came is not ours."""
    with diary("2027-03-02 08:00") as day:
        late = day.order().basket(SOAP).tell_order("klarna", kind="AUTHORIZATION")
        day.at("2027-03-05 09:00")
        late.tell_shipment()
        day.at("2027-03-10 09:00")
        draft = day.order("#502").basket(BOOK).tell_order(None)
        old = day.order("#503").dated("2027-02-10 10:00").basket(SOAP).tell_order()
        recent = day.order("#504").dated("2027-03-02 10:00").basket(CANDLE).tell_order()
        assert day.verdict(draft) == "waiting UNPAID, open 0.00"
        assert day.verdict(old) == "excluded BEFORE-GO-LIVE, open 0.00"
        day.at("2027-03-20 09:00")
        late.dated("2027-03-04 16:00").tell_payment("klarna", kind="CAPTURE")
        day.unseen.add(late.gid)  # seen from the end, the money came first
        day.at("2027-03-22 09:00")
        draft.tell_payment("shopify_payments")
        assert day.documents() == [
            "RE-1001 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "RE-1002 invoice 10.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 18.50 @ 19 %; paid",
            "RE-1003 invoice 22.03.2027, supply 22.03.2027, VAT 03/2027, rule 1: 10.70 @ 7 %; paid",
        ]
        assert day.money() == [
            "02.03.2027 shopify_payments +18.50 on RE-1002",
            "04.03.2027 klarna +11.90 on RE-1001",
            "22.03.2027 shopify_payments +10.70 on RE-1003",
        ]
        assert day.asked() == []
        assert [day.verdict(one) for one in (late, draft, recent)] == ["documented, open 0.00"] * 3


def test_5_29_half_past_midnight_in_germany_is_the_new_year_for_dates_and_profile() -> None:
    """P1, R9: 23:30 UTC on 31 December is 1 January; the small-business profile of the new year counts."""
    with diary("2026-12-31 22:30") as day:
        day.decide("2027-01-01 00:00", regime="small_business")
        before = day.order().basket(SOAP).tell_order()
        the_account_becomes_a_small_business(day)
        day.at("2027-01-01 00:30")
        after = day.order("#502").basket(("Seife", 1000, 0)).tell_order()
        assert day.documents() == [
            "RE-1001 invoice 31.12.2026, supply 31.12.2026, VAT 12/2026, rule 1: 11.90 @ 19 %; paid",
            "RE-1002 invoice 01.01.2027, supply 01.01.2027, VAT 01/2027, rule 11: 10.00 @ 0 %; paid",
        ]
        assert day.money() == [
            "31.12.2026 shopify_payments +11.90 on RE-1001",
            "01.01.2027 shopify_payments +10.00 on RE-1002",
        ]
        assert day.asked() == []
        assert [day.verdict(one) for one in (before, after)] == ["documented, open 0.00"] * 2


def test_5_30_two_shops_with_the_same_order_number_in_one_account_never_meet() -> None:
    """R7: keys and notes carry the shop; a refund of the one finds the one's invoice only."""
    with diary("2027-03-05 10:00") as day:
        day.open_shop(SECOND_SHOP, "s2")
        soaps = day.order("#501").basket(SOAP).tell_order()
        candles = day.order("#501", shop=SECOND_SHOP).basket(SOAP).tell_order()
        day.at("2027-03-08 10:00")
        candles.tell_refund(("Seife", 1))
        assert day.documents() == [
            "RE-1001 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "RE-1002 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "GU-1001 credit note on RE-1002 08.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "05.03.2027 shopify_payments +11.90 on RE-1001",
            "05.03.2027 shopify_payments s2 +11.90 on RE-1002",
            "08.03.2027 shopify_payments s2 -11.90 on GU-1001",
        ]
        assert day.asked() == []
        assert [day.verdict(one) for one in (soaps, candles)] == ["documented, open 0.00"] * 2
