"""Bookkeeping section 5, told as diaries: edits, returns, refunds and disputes after the invoice (R3-R6, S75, S150).

Each test is one numbered situation; the rows are what an accountant finds in sevdesk on the last day of the diary.
"""

from __future__ import annotations

from acceptance.diary import SHOP, diary
from ladenbuch.simulators.lives.wide import company, terms

SOAP, BOOK, CANDLE = ("Seife", 1190, 190), ("Buch", 1070, 70), ("Kerze", 1850, 190)
VIENNA = ("Mariahilfer Straße 8", "1070", "Wien", "AT")
INVOICE = "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 % + 10.70 @ 7 %; paid"
LIABILITIES = {
    "gift_card": {"mode": "liability", "number": "1605"},
    "shopify_store_credit": {"mode": "liability", "number": "1606"},
}


def test_5_03_a_refund_that_fails_after_six_days_never_becomes_a_credit_note() -> None:
    """R3: nothing falls before the money is back; that it never went is asked about."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1), status="PENDING")
        assert day.verdict(order) == "documented REFUND-PENDING, open 0.00"
        day.at("2027-03-11 10:00")
        order.settle(order.payments[-1], "FAILURE")
        order.tell("orders/updated")
        assert day.documents() == [INVOICE]
        assert day.money() == ["01.03.2027 shopify_payments +22.60 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == ["REFUND-FAILED"]


def test_5_04_a_return_of_march_that_is_repaid_in_april_is_a_credit_note_of_april() -> None:
    """R3, BFH V R 34/09: the tax falls when the money goes back."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-20 10:00")
        order.give_back([(order.line("Seife"), 1)])
        order.tell("returns/approve", "orders/updated")
        assert day.documents() == [INVOICE]
        assert day.verdict(order) == "documented REFUND-PENDING, open 0.00"
        day.at("2027-04-06 10:00")
        order.tell_refund(cents=1190)
        assert day.documents() == [
            INVOICE,
            "GU-1001 credit note on RE-1001 06.04.2027, supply 01.03.2027, VAT 04/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +22.60 on RE-1001",
            "06.04.2027 shopify_payments -11.90 on GU-1001",
        ]
        assert day.letters() == ["RE-1001.pdf to erika@example.org", "GU-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_05_an_amount_is_spread_over_what_is_left_per_rate_and_more_than_the_invoice_is_asked_about() -> None:
    """P11, R6: never above the remaining gross of a rate; what exceeds the invoice never reaches sevdesk's 455."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(("Tasse", 1295, 190), ("Buch", 2997, 70), shipping=490).tell_order()
        day.at("2027-03-05 10:00")
        order.tell_refund(("Tasse", 1))
        day.at("2027-03-06 10:00")
        order.tell_refund(adjust=3000)
        credit = "GU-1002 credit note on RE-1001 06.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: "
        documents = [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 17.85 @ 19 % + 29.97 @ 7 %; paid",
            "GU-1001 credit note on RE-1001 05.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 12.95 @ 19 %; paid",
            f"{credit}4.22 @ 19 % + 25.78 @ 7 %; paid",
        ]
        assert day.documents() == documents
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"
        day.at("2027-03-07 10:00")
        order.tell_refund(adjust=1000)
        assert day.documents() == documents
        assert day.asked() == ["REFUND-NOT-IN-LEDGER"]
        assert "455" not in day.sevdesk.calls()["by_code"]
        assert day.money() == [
            "01.03.2027 shopify_payments +47.82 on RE-1001",
            "05.03.2027 shopify_payments -12.95 on GU-1001",
            "06.03.2027 shopify_payments -30.00 on GU-1002",
            "07.03.2027 shopify_payments -10.00 unlinked",
        ]


def test_5_06_two_equal_refunds_on_one_day_are_two_credit_notes_and_two_lines() -> None:
    """R4, R7: keys are made of the refund, not of day and amount."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket((*SOAP, 2)).tell_order()
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        day.at("2027-03-05 12:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 23.80 @ 19 %; paid",
            "GU-1001 credit note on RE-1001 05.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "GU-1002 credit note on RE-1001 05.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +23.80 on RE-1001",
            "05.03.2027 shopify_payments -11.90 on GU-1001",
            "05.03.2027 shopify_payments -11.90 on GU-1002",
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_13_a_refund_of_an_order_of_the_previous_app_without_a_known_invoice_is_asked_about() -> None:
    """R22: never a credit note without its origin."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().dated("2027-02-10 10:00").basket(SOAP, BOOK).tell_order()
        assert day.verdict(order) == "excluded BEFORE-GO-LIVE, open 0.00"
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        assert (day.documents(), day.money(), day.letters()) == ([], [], [])
        assert day.asked() == ["ORIGIN-UNKNOWN"]
        assert day.verdict(order).startswith("attention ORIGIN-UNKNOWN")


def test_5_13_a_refund_of_an_order_of_the_previous_app_credits_its_adopted_invoice() -> None:
    """R22, B11: the invoice the previous app wrote is found by the order's name and amount."""
    with diary("2027-03-01 10:00") as day:
        day.bookkeeper.invoices_for_the_previous_app("2027-02-10", "#501", ("Seife", 1190, "19"), ("Buch", 1070, "7"))
        order = day.order().dated("2027-02-10 10:00").basket(SOAP, BOOK).tell_order()
        day.at("2027-03-05 10:00")
        order.tell_refund(("Seife", 1))
        assert [row.partition(":")[0] for row in day.documents()] == [
            "RE-1001 invoice 10.02.2027, supply 10.02.2027, rule 1",
            "GU-1001 credit note on RE-1001 05.03.2027, supply 10.02.2027, VAT 03/2027, rule 1",
        ]
        assert day.documents()[1].endswith(": 11.90 @ 19 %; paid")
        assert day.asked() == []


def test_5_14_a_refund_on_day_200_of_an_order_shopify_does_not_show_any_more_is_invisible_not_deleted() -> None:
    """R18, E12: older than 60 days without read_all_orders; the webhook still says how much went back."""
    with diary("2027-01-04 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.shopify.set_scopes(SHOP, ["read_orders", "read_customers", "read_products"])
        day.at("2027-07-23 10:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [INVOICE.replace("01.03.2027", "04.01.2027").replace("03/2027", "01/2027")]
        assert day.money() == ["04.01.2027 shopify_payments +22.60 on RE-1001"]
        assert day.asked() == ["INVISIBLE"]
        assert "11.90" in day.about("INVISIBLE") or "1190" in day.about("INVISIBLE")


def test_5_15_a_refund_after_the_buyer_was_redacted_is_credited_to_the_pinned_address_without_a_letter() -> None:
    """P3, 1.4: pins answer everything; what is gone in Shopify is unknown, never changed."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-10 10:00")
        customer = {"id": 71, "email": "erika@example.org"}
        day.shopify.send(SHOP, "customers/redact", {"customer": customer, "orders_to_redact": [order.id]})
        order.customer = order.email = order.billing = order.delivery = None
        order.tell("orders/updated")
        day.at("2027-03-12 10:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [
            INVOICE,
            "GU-1001 credit note on RE-1001 12.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        credit = day.document("GU-1001")["fields"]
        assert (credit["addressName"], credit["addressStreet"]) == ("Erika Muster", "Hafenweg 3")
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_16_a_refund_after_the_change_to_small_business_is_credited_at_the_rate_of_its_invoice() -> None:
    """P1, P2, R10: December's decision is pinned. (What an account says that was switched itself is unproven.)"""
    with diary("2026-12-20 10:00") as day:
        day.decide("2027-01-01 00:00", regime="small_business")
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-01-08 10:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [
            "RE-1001 invoice 20.12.2026, supply 20.12.2026, VAT 12/2026, rule 1: 11.90 @ 19 % + 10.70 @ 7 %; paid",
            "GU-1001 credit note on RE-1001 08.01.2027, supply 20.12.2026, VAT 01/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "20.12.2026 shopify_payments +22.60 on RE-1001",
            "08.01.2027 shopify_payments -11.90 on GU-1001",
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_17_a_one_stop_shop_order_refunded_after_the_quarter_keeps_rule_country_and_rate() -> None:
    """R4: rule 18, Austria, 20 %; the month of repayment lies in the next quarter."""
    with diary("2027-03-20 10:00") as day:
        order = day.order(to=VIENNA).basket(("Seife", 1200, 200, 2)).tell_order()
        day.at("2027-04-08 10:00")
        order.tell_refund(("Seife", 1))
        credit = "GU-1001 credit note on RE-1001 08.04.2027, supply 20.03.2027, VAT 04/2027, rule 18 to at: "
        assert day.documents() == [
            "RE-1001 invoice 20.03.2027, supply 20.03.2027, VAT 03/2027, rule 18 to at: 24.00 @ 20 %; paid",
            f"{credit}12.00 @ 20 %; paid",
        ]
        assert day.money() == [
            "20.03.2027 shopify_payments +24.00 on RE-1001",
            "08.04.2027 shopify_payments -12.00 on GU-1001",
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_18_an_e_invoice_to_a_company_is_never_corrected_by_a_plain_credit_note() -> None:
    """2.11 of the facts: a credit note has no XML. It is paid, so it cannot be cancelled: a person is asked."""
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = day.order()
        company(order)
        order.extra["poNumber"] = "PO-2027-118"
        order.basket(SOAP, BOOK).tell_order()
        assert day.documents() == [INVOICE]
        assert "<rsm:CrossIndustryInvoice " in day.bookkeeper.xml("RE-1001")
        day.at("2027-03-08 10:00")
        order.tell_refund(("Seife", 1))
        assert day.documents() == [INVOICE]
        assert day.asked() == ["E-INVOICE-CORRECTION"]
        assert day.money() == [
            "01.03.2027 shopify_payments +22.60 on RE-1001",
            "08.03.2027 shopify_payments -11.90 unlinked",
        ]


def test_5_19_everything_back_after_a_supplementary_invoice_is_two_credit_notes_over_one_refund() -> None:
    """5.19, R6, 2.5: each invoice has its own credit note; the one transaction stands in parts /1 and /2."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP).tell_order()
        day.at("2027-03-02 10:00")
        order.tell_edit(BOOK, paid="shopify_payments")
        day.at("2027-03-08 10:00")
        order.tell_refund(("Seife", 1), ("Buch", 1))
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "RE-1002 supplementary invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 10.70 @ 7 %; paid",
            "GU-1001 credit note on RE-1001 08.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
            "GU-1002 credit note on RE-1002 08.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 10.70 @ 7 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +11.90 on RE-1001",
            "02.03.2027 shopify_payments +10.70 on RE-1002",
            "08.03.2027 shopify_payments -11.90 (part 1) on GU-1001",
            "08.03.2027 shopify_payments -10.70 (part 2) on GU-1002",
        ]
        assert day.letters() == [
            f"{name}.pdf to erika@example.org" for name in ("RE-1001", "RE-1002", "GU-1001", "GU-1002")
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_20_an_unpaid_invoice_shrinks_by_cancelling_it_and_a_partly_paid_one_by_an_offset_that_is_asked() -> None:
    """5.20, R5: before any payment cancelled and written anew; after a part was paid an offset, unproven (`?`)."""
    with diary("2027-03-01 10:00") as day:
        order = day.order()
        company(order)
        order.basket(SOAP, CANDLE, ("Tuch", 3490, 190))
        terms(order, order.claim())
        order.tell_order(None)
        assert day.documents() == []
        day.at("2027-03-02 10:00")
        order.tell_shipment()
        assert day.documents() == [
            "RE-1001 invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 65.30 @ 19 %; open"
        ]
        day.at("2027-03-04 10:00")
        order.tell_edit(less=[("Seife", 1)])
        documents = [
            "RE-1001 invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 65.30 @ 19 %; cancelled",
            "RE-1002 cancellation of RE-1001 04.03.2027, supply 02.03.2027, rule 1: -65.30 @ 19 %; settled",
            "RE-1003 invoice 04.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 53.40 @ 19 %; ",
        ]
        assert day.documents() == [*documents[:2], f"{documents[2]}open"]
        day.at("2027-03-10 10:00")
        day.bookkeeper.links(day.bookkeeper.bank_line(2000, "RE-1003 Teilzahlung"), "RE-1003", 2000)
        order.tell_payment("bank_deposit", 2000)
        assert day.documents() == [*documents[:2], f"{documents[2]}paid 20.00"]
        assert day.asked() == []
        day.at("2027-03-12 10:00")
        order.tell_edit(less=[("Kerze", 1)])
        assert day.documents() == [*documents[:2], f"{documents[2]}paid 20.00"]
        assert day.asked() == ["OFFSET"]
        assert day.money() == ["10.03.2027 Bank +20.00 on RE-1003"]
        assert day.letters() == [f"RE-100{n}.pdf to erika@example.org" for n in (1, 2, 3)], (
            "the second cancels the first"
        )


def test_5_21_the_shops_own_split_of_a_refund_drives_gift_card_and_card() -> None:
    """5.21, 2.5: 30 by gift card, 20 by card; 40 go back as 20 and 20; one credit note over 40."""
    with diary("2027-03-01 10:00", vouchers="multi_purpose", gateways=LIABILITIES) as day:
        order = day.order().basket(("Tasche", 1000, 190, 5))
        order.pay("gift_card", 3000)
        order.tell_order(cents=2000)
        day.at("2027-03-09 10:00")
        order.tell_refund(("Tasche", 4), split={"shopify_payments": 2000, "gift_card": 2000})
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 50.00 @ 19 %; paid",
            "GU-1001 credit note on RE-1001 09.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 40.00 @ 19 %; paid",
        ]
        assert sorted(day.money()) == [
            "01.03.2027 gift_card +30.00 on RE-1001",
            "01.03.2027 shopify_payments +20.00 on RE-1001",
            "09.03.2027 gift_card -20.00 on GU-1001",
            "09.03.2027 shopify_payments -20.00 on GU-1001",
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_22_a_refund_to_store_credit_raises_the_liability_and_leaves_the_gateway_alone() -> None:
    """5.22, 2.5: the buyer holds a claim against the shop instead of money."""
    with diary("2027-03-01 10:00", vouchers="multi_purpose", gateways=LIABILITIES) as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-09 10:00")
        order.tell_refund(("Seife", 1), gateway="shopify_store_credit")
        assert day.documents() == [
            INVOICE,
            "GU-1001 credit note on RE-1001 09.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +22.60 on RE-1001",
            "09.03.2027 shopify_store_credit -11.90 on GU-1001",
        ]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"


def test_5_23_a_dispute_lost_after_the_refund_was_given_too_is_a_double_refund() -> None:
    """5.23, 1.4: the credit note belongs to the refund, none to the dispute; each money line stands once."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        dispute = {"id": "gid://shopify/ShopifyPaymentsDispute/77", "initiatedAs": "CHARGEBACK"}
        day.at("2027-03-10 10:00")
        order.disputes = [{**dispute, "status": "NEEDS_RESPONSE"}]
        order.tell("disputes/create", "orders/updated")
        assert day.documents() == [INVOICE]
        assert day.verdict(order) == "documented DISPUTE-OPEN, open 0.00"
        day.at("2027-03-12 10:00")
        order.tell_refund(("Seife", 1), ("Buch", 1))
        day.at("2027-03-20 10:00")
        order.disputes = [{**dispute, "status": "LOST"}]
        order.tell("disputes/update", "orders/updated")
        credit = "GU-1001 credit note on RE-1001 12.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: "
        assert day.documents() == [
            INVOICE,
            f"{credit}11.90 @ 19 % + 10.70 @ 7 %; paid",
        ]
        assert day.money() == [
            "01.03.2027 shopify_payments +22.60 on RE-1001",
            "12.03.2027 shopify_payments -22.60 on GU-1001",
        ]
        assert day.asked() == ["DOUBLE-REFUND"]


def test_5_28_an_article_swapped_at_equal_price_after_the_invoice_needs_no_document() -> None:
    """1.4: equal gross per rate, no money: noted in the certificate."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order()
        day.at("2027-03-02 10:00")
        order.tell_edit(("Seife blau", 1190, 190), less=[("Seife", 1)])
        assert day.documents() == [INVOICE]
        assert day.money() == ["01.03.2027 shopify_payments +22.60 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org"]
        assert day.asked() == []
        assert day.verdict(order) == "documented, open 0.00"
        assert "ignored: equal value at every rate: no document" in day.coverage(order).values()


def test_r5_a_transfer_given_back_before_the_bank_was_matched_waits_for_the_match() -> None:
    """R5, 4.2, mode bank: sevdesk credits paid invoices only; nobody is asked in the first days."""
    with diary("2027-03-01 10:00") as day:
        order = day.order().basket(SOAP, BOOK).tell_order("bank_deposit", status="PENDING")
        day.at("2027-03-02 10:00")
        order.tell_payment("bank_deposit")
        day.at("2027-03-03 10:00")
        order.tell_refund(("Seife", 1), gateway="bank_deposit")
        invoice = INVOICE.replace("01.03.", "02.03.").removesuffix("paid")
        assert (day.documents(), day.asked()) == ([f"{invoice}open"], [])
        assert day.verdict(order).startswith("documented PAYMENT-UNLINKED")
        day.at("2027-03-04 07:00")
        day.bookkeeper.bank_line(2260, "Bestellung 501")
        day.at("2027-03-05 07:00")
        assert day.documents() == [
            f"{invoice}paid",
            "GU-1001 credit note on RE-1001 05.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; open",
        ]
        assert day.money() == ["04.03.2027 Bank +22.60 on RE-1001"]
        assert day.letters() == ["RE-1001.pdf to erika@example.org", "GU-1001.pdf to erika@example.org"]
        assert day.asked() == []


def test_1_4_a_deleted_order_is_frozen_and_asked_about_where_a_paid_invoice_stays() -> None:
    """R18: the documents stay; an order that never became one needs no question."""
    with diary("2027-03-01 10:00") as day:
        paid = day.order().basket(SOAP, BOOK).tell_order()
        unpaid = day.order("#502").basket(SOAP).tell_order("bank_deposit", status="PENDING")
        day.at("2027-03-05 10:00")
        written = day.writes()
        paid.tell("orders/delete")
        unpaid.tell("orders/delete")
        assert day.writes() == written
        assert day.documents() == [INVOICE]
        assert day.money() == ["01.03.2027 shopify_payments +22.60 on RE-1001"]
        assert day.asked() == ["DELETED"]
        assert day.choices("DELETED") == ["keep the documents", "look it up in Shopify"]
