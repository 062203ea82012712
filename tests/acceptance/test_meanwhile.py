"""What people do in sevdesk in the moment between two of our looks: nothing is told or booked twice (R14, 4.1)."""

from __future__ import annotations

from acceptance.diary import diary
from acceptance.test_situations_of_transfers import SOAP, comes, minutes, shop_says, told, vorkasse
from ladenbuch import tenants
from ladenbuch.db import Store
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.sevdesk.banking import book


def test_r14_a_line_that_is_linked_by_hand_while_we_look_counts_once() -> None:
    """Half of an open invoice comes by transfer. The line is free when we read it, and linked when we read the invoice:
    that is one payment, not two halves that make a whole."""
    with diary("2027-03-01 10:00") as day:
        order = vorkasse(day, SOAP)
        order.tell_shipment()
        day.at("2027-03-03 09:00")
        (invoice,) = day.sevdesk.world.documents["Invoice"].values()
        go, read = day.sevdesk.handle, list[int]()

        def meanwhile(request: SimRequest) -> SimResponse:
            lines = [one for one in day.sevdesk.world.transactions.values() if one.amount == 595 and one.status == 100]
            if lines and request.method == "GET" and request.path.endswith(f"/CheckAccountTransaction/{lines[0].id}"):
                answer = go(request)
                read.append(lines[0].id)
                book(day.sevdesk.world, invoice, lines[0], 595, lines[0].value_day)
                return answer
            return go(request)

        day.sevdesk.handle = meanwhile  # type: ignore[method-assign]
        comes(day, 595, "Bestellung 501")
        assert len(read) == 1, "the moment was there"
        assert (told(day), shop_says(day, order)) == (0, "PENDING 0.00")
        assert day.asked() == ["TRANSFER-PARTIAL"] and "595 of 1190" in day.about("TRANSFER-PARTIAL")


def test_4_2_the_rest_of_an_order_paid_by_card_comes_by_transfer_and_is_not_taken_for_a_card_payment() -> None:
    """A deposit by card, the rest by transfer over the end of a month: the shop is told of a transfer, dated back."""
    with diary("2027-02-26 10:00") as day:
        order = day.order("#501").basket(SOAP).tell_order("shopify_payments", 500)
        day.at("2027-03-01 09:00")
        comes(day, 690, "Bestellung 501", value_date="2027-02-28")
        minutes(day, 5)
        assert (told(day), shop_says(day, order)) == (1, "PAID 11.90")
        gateways = [one["gateway"] for one in day.shopify._states[order.shop].orders[order.gid]["transactions"]]
        assert gateways[0] == "shopify_payments" and gateways[1] != "shopify_payments"
        assert sorted(day.money()) == [
            "26.02.2027 shopify_payments +5.00 on RE-1001",
            "28.02.2027 Bank +6.90 on RE-1001",
        ]


def test_p2_after_a_backup_was_put_back_nobody_is_reminded_of_what_may_have_been_reminded_of() -> None:
    """The reminder of day 7 went out, and a backup of day 6 is put back: whether it did, nobody knows any more. Rather
    none than two; the next level comes in its time."""
    with diary("2027-03-01 10:00", reminders={"invoice": [7, 14]}) as day:
        vorkasse(day).tell_shipment()
        day.at("2027-03-08 08:30")
        now = day.clock.now()
        day.house.database.system("operator").run(Store.BOOKS, lambda tx: tenants.restored(tx, "s1", now))
        day.at("2027-03-08 12:00")
        before = len(day.letters())
        assert len([one for one in day.mail.messages if "Zahlungserinnerung" in str(one.message["Subject"])]) == 0
        day.at("2027-03-16 12:00")
        assert len(day.letters()) == before + 1
