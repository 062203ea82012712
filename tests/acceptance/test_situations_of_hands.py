"""Bookkeeping section 5, told as diaries: bank lines, feeds, and what people do in sevdesk (R5, R12-R14, 4.2).

Each test is one numbered situation; the rows are what an accountant finds in sevdesk on the last day of the diary.
People use sevdesk's normal API here, as its user interface does.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from acceptance.diary import diary

SOAP, BOOK, CANDLE = ("Seife", 1190, 190), ("Buch", 1070, 70), ("Kerze", 1850, 190)
INVOICE = "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 % + 10.70 @ 7 %; paid"


def test_5_07_a_transfer_marked_paid_in_shopify_is_booked_once_by_the_banks_own_line() -> None:
    """5.7, 4.2, mode bank: we never write a line; sevdesk matches the bank's two days later."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order("bank_deposit", status="PENDING")
        assert day.verdict(order) == "waiting UNPAID, open 0.00"
        day.at("2027-03-03 09:00")
        order.tell_payment("bank_deposit")
        invoice = "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; "
        assert day.documents() == [f"{invoice}open"]
        assert day.money() == []
        day.at("2027-03-05 07:00")
        day.bookkeeper.bank_line(1190, "Bestellung 501")
        day.look_again(order)
        assert day.documents() == [f"{invoice}paid"]
        assert day.money() == ["05.03.2027 Bank +11.90 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []


def test_5_08_paypal_connected_in_sevdesk_is_booked_on_its_own_line_and_its_fee_is_left_alone() -> None:
    """5.8, 4.2, mode feed: nothing is created; exactly one line of the amount within three days is the payment."""
    with diary("2027-03-01 10:00") as day:
        paypal = day.bookkeeper.account("PayPal")
        day.decide(
            "2027-01-01 00:00", gateways=day.profile["gateways"] | {"paypal": {"mode": "feed", "account": f"{paypal}"}}
        )
        order = day.order().basket(SOAP).tell_order("paypal")
        day.at("2027-03-02 04:00")
        day.bookkeeper.bank_line(1190, str(order.payments[0]["paymentId"]), "PayPal")
        day.bookkeeper.bank_line(-64, "Gebühr", "PayPal")
        day.look_again(order)
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]
        assert day.money() == ["02.03.2027 PayPal +11.90 on RE-1001", "02.03.2027 PayPal -0.64 unlinked"]
        assert day.asked() == []


def test_5_09_an_invoice_sevdesk_matched_by_itself_before_we_book_is_taken_as_paid() -> None:
    """5.9, R14: paid by somebody else is coverage; our line is never made."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order("klarna", kind="AUTHORIZATION")
        day.at("2027-03-02 09:00")
        order.tell_shipment()
        day.at("2027-03-04 07:00")
        day.bookkeeper.bank_line(1190, "KLARNA 501")
        day.at("2027-03-05 09:00")
        order.tell_payment("klarna", kind="CAPTURE")
        assert day.documents() == [
            "RE-1001 invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]
        assert day.money() == ["04.03.2027 Bank +11.90 on RE-1001"]
        assert day.asked() == []
        day.unseen.add(order.gid)  # raw data do not say that the bank's line is Klarna's money


def test_5_10_an_invoice_cancelled_and_written_anew_by_hand_is_adopted_with_one_notice() -> None:
    """R13: theirs stand, nothing of ours is posted, and it is said once."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order("cash_on_delivery", status="PENDING")
        day.at("2027-03-02 09:00")
        order.tell_shipment()
        day.at("2027-03-04 07:00")
        day.bookkeeper.cancels("RE-1001")
        day.bookkeeper.writes_invoice("RE-1001", ("Seife", 1190, "19"), note="#501")
        written = day.writes()
        day.look_again(order)
        assert day.writes() == written
        assert day.documents() == [
            "RE-1001 invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; cancelled",
            "RE-1002 cancellation of RE-1001 04.03.2027, supply 02.03.2027, rule 1: -11.90 @ 19 %; settled",
            "RE-1003 invoice 04.03.2027, supply 02.03.2027, rule 1: 11.90 @ 19 %; open",
        ]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == ["HAND-CANCELLED"]


def test_5_11_a_credit_note_written_by_hand_before_the_refund_is_adopted_by_origin_and_amount() -> None:
    """R13: no second one is written, and sevdesk's 455 is never met."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-05 10:00")
        day.bookkeeper.writes_credit_note("RE-1001", ("Seife", 1190, "19"), note="#501")
        day.at("2027-03-06 10:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [
            INVOICE,
            "GU-1001 credit note on RE-1001 05.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +22.60 on RE-1001",
            "06.03.2027 shopify_payments -11.90 on GU-1001",
        ]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"
        assert "455" not in day.sevdesk.calls()["by_code"]


def test_5_12_a_draft_edited_by_hand_is_not_overwritten_when_the_order_is_edited() -> None:
    """R12: drafts only; the bookkeeper changed a text, then the shop changed the order."""
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-02 10:00")
        day.bookkeeper.edits_draft(headText="Herzlichen Dank!")
        day.at("2027-03-05 10:00")
        order.tell_edit(CANDLE, paid="shopify_payments")
        assert day.documents() == [
            "draft invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 % + 10.70 @ 7 %; not sent",
            "draft supplementary invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 18.50 @ 19 %; not sent",
        ]
        assert day.sevdesk.state()["invoices"][0]["fields"]["headText"] == "Herzlichen Dank!"
        assert day.asked() == ["DRAFT-EDITED"]
        assert (day.money(), day.letters()) == ([], [])


def test_5_31_a_cent_too_little_and_a_cent_too_much_by_transfer_stay_open_and_are_listed() -> None:
    """5.31, R21: nothing is rounded away."""
    with diary("2027-03-05 10:00") as day:
        little = day.order("#501").basket(SOAP).tell_order("bank_deposit", status="PENDING").tell_shipment()
        much = day.order("#502").basket(SOAP).tell_order("bank_deposit", status="PENDING").tell_shipment()
        day.at("2027-03-08 10:00")
        day.bookkeeper.links(day.bookkeeper.bank_line(1189, "RE-1001"), "RE-1001", 1189)
        little.tell_payment("bank_deposit", 1189)
        day.bookkeeper.bank_line(1191, "RE-1002")
        much.tell_payment("bank_deposit", 1191)
        assert day.documents() == [
            "RE-1001 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid 11.89",
            "RE-1002 invoice 05.03.2027, supply 05.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; open",
        ]
        assert day.money() == ["08.03.2027 Bank +11.89 on RE-1001", "08.03.2027 Bank +11.91 unlinked"]
        assert "not paid yet" in day.verdict(little)
        assert day.asked() == ["OVERPAID"]
        assert day.about("OVERPAID").startswith("1 minor units more")
        assert day.verdict(much).startswith("attention OVERPAID")


def test_5_32_marking_an_order_paid_ourselves_brings_our_own_webhook_and_no_clearing_line() -> None:
    """5.32, 4.2, mode bank: the bank's line is the money; Shopify only learns of it."""
    with diary("2027-03-05 10:00") as day:
        order = day.order().basket(SOAP).tell_order("bank_deposit", status="PENDING")
        day.at("2027-03-08 07:00")
        day.bookkeeper.bank_line(1190, "Bestellung 501")
        day.mark_as_paid(order)
        assert day.documents() == [
            "RE-1001 invoice 08.03.2027, supply 08.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; open"
        ]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        day.at("2027-03-08 08:00")
        assert day.money() == ["08.03.2027 Bank +11.90 on RE-1001"]
        assert day.asked() == []


def test_all_thirty_two_situations_are_told() -> None:
    """One diary at least for each number of section 5."""
    told = [
        int(number)
        for file in sorted(Path(__file__).parent.glob("test_situations_of_*.py"))
        for number in re.findall(r"^def test_5_(\d\d)_", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(set(told)) == list(range(1, 33))


def test_r13_a_cancellation_by_hand_is_remembered_and_asked_about_until_somebody_answers() -> None:
    """Looked at again and again: the order stays theirs, and the question stays open."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order("cash_on_delivery", status="PENDING")
        day.at("2027-03-02 09:00")
        order.tell_shipment()
        day.at("2027-03-04 07:00")
        day.bookkeeper.cancels("RE-1001")
        for hour in (8, 12, 16):
            day.at(f"2027-03-04 {hour:02}:00")
            day.look_again(order)
            assert day.asked() == ["HAND-CANCELLED"]
        written = day.writes()
        day.answer(order, "HAND-CANCELLED", "leave it to the bookkeeper")
        assert day.asked() == [] and day.writes() == written
        day.at("2027-03-09 10:00")
        order.tell_edit(CANDLE)
        assert day.asked() == ["HAND-CANCELLED"]  # the facts are others now (R16)
        assert day.writes() == written


def test_r12_a_draft_that_was_deleted_is_written_again_when_somebody_says_so() -> None:
    """R13: never recreated alone; in draft-only mode it is the bookkeeper's."""
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-02 10:00")
        day.bookkeeper.deletes_draft()
        day.look_again(order)
        assert day.asked() == ["DRAFT-GONE"] and day.documents() == []


def test_r12_a_draft_nobody_finalises_is_late_after_ten_days_without_any_webhook() -> None:
    """The calendar alone brings the order back (R9)."""
    with diary("2027-03-01 10:00", live=False) as day:
        day.order().basket(SOAP).tell_order()
        day.at("2027-03-11 12:00")
        assert day.asked() == []
        day.at("2027-03-12 12:00")
        assert day.asked() == ["DRAFT-OLD"]


def test_r12_a_draft_a_person_finalised_is_adopted_and_never_mailed_by_us() -> None:
    """Its gross per rate is ours; who finalised it also sent it, even if the tenant goes live later."""
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-02 10:00")
        day.bookkeeper.finalises_draft()
        day.look_again(order)
        assert [item.number for item in day.known(order).documents] == ["RE-1001"]
        assert day.asked() == []
        day.goes_live()
        day.look_again(order)
        assert day.letters() == []
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]


PAID = "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"


@pytest.mark.parametrize(
    ("choice", "head"), [("take theirs", "Herzlichen Dank!"), ("restore ours", "Bestellung #501 vom 01.03.2027")]
)
def test_r12_a_draft_edited_before_we_finalise_is_taken_or_restored_as_somebody_decides(choice: str, head: str) -> None:
    """Never overwritten, never sent unasked; then exactly one invoice, with the text that was chosen."""
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP).tell_order()
        day.bookkeeper.edits_draft(headText="Herzlichen Dank!")
        day.goes_live()
        day.look_again(order)
        assert day.asked() == ["DRAFT-EDITED"] and day.letters() == []
        day.answer(order, "DRAFT-EDITED", choice)
        assert day.documents() == [PAID] and day.asked() == []
        assert day.document("RE-1001")["fields"]["headText"].startswith(head)
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]


def test_r13_a_deleted_draft_is_written_again_only_when_somebody_says_so() -> None:
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP).tell_order()
        day.bookkeeper.deletes_draft()
        day.goes_live()
        day.look_again(order)
        assert day.asked() == ["DRAFT-GONE"] and day.documents() == []
        day.answer(order, "DRAFT-GONE", "recreate")
        assert day.documents() == [PAID] and day.asked() == []


def test_r14_our_line_is_never_written_where_the_bank_paid_while_we_only_made_drafts() -> None:
    """What others linked is found before the tenant's first line."""
    with diary("2027-03-01 10:00", live=False) as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-02 10:00")
        day.bookkeeper.finalises_draft()
        day.bookkeeper.bank_line(1190, "RE-1001")
        day.look_again(order)
        day.goes_live()
        day.at("2027-03-03 10:00")
        day.look_again(order)
        assert day.money() == ["02.03.2027 Bank +11.90 on RE-1001"]
        assert day.asked() == []


@pytest.mark.parametrize(
    ("change", "code", "left"),
    [
        ({"do": "remove"}, "HAND-GONE", []),
        ({"do": "write", "price": "11.91"}, "HAND-CHANGED", [PAID.replace("11.90", "11.91").replace("paid", "open")]),
        ({"do": "write", "tax_rule": 2}, "HAND-CHANGED", [PAID.replace("rule 1", "rule 2")]),
        ({"do": "write", "note": "Muster"}, "HAND-CHANGED", [PAID]),
        ({"do": "write", "status": 100}, "HAND-CHANGED", None),
        ({"do": "unlink"}, "HAND-UNLINKED", [PAID.replace("paid", "open")]),
    ],
)
def test_r15_a_final_document_that_reads_otherwise_is_asked_about_and_never_written_again(
    change: dict[str, object], code: str, left: list[str] | None
) -> None:
    """R13, R15, R17: what stands in sevdesk stays; one question, and what was tampered back ends it."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order()
        assert day.documents() == [PAID]
        day.at("2027-03-01 11:00")
        day.bookkeeper.tampers("RE-1001", **change)
        day.look_again(order)
        assert day.asked() == [code]
        assert left is None or [item.replace("; paid 11.90", "; open") for item in day.documents()] == left
        day.answer(order, code, "leave it to the bookkeeper")
        assert day.asked() == []


def test_r16_another_number_or_day_is_taken_over_because_sevdesk_counts_there() -> None:
    """No question: the books then say what sevdesk says, and looking again finds nothing new."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-02 11:00")
        day.bookkeeper.tampers("RE-1001", do="write", number="RE-77", date="2027-03-02")
        day.look_again(order)
        assert day.asked() == []
        (document,) = day.known(order).documents
        assert (document.number, f"{document.day}", f"{document.draft.issued_on}") == (
            "RE-77",
            "2027-03-02",
            "2027-03-01",
        )
        told = len([line for line in day.story() if "RE-77" in line])
        day.look_again(order)
        assert len([line for line in day.story() if "RE-77" in line]) == told


def test_r13_a_credit_note_that_vanished_is_asked_about() -> None:
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        number = next(line.split()[0] for line in day.documents() if line.startswith("GU"))
        day.at("2027-03-05 11:00")
        day.bookkeeper.tampers(number, do="remove")
        day.look_again(order)
        assert day.asked() == ["HAND-GONE"] and number in day.about("HAND-GONE")
