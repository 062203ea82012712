"""Businesses, told as diaries: company billing, terms, e-invoices and what becomes of them (1.4, 3.3 no. 9, 5.18).

The rows are what an accountant finds in sevdesk; paper, XML and letter are read as the buyer gets them.
"""

from __future__ import annotations

import base64
import email.message
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from acceptance.diary import Diary, diary
from acceptance.purchase import Purchase
from house import text_of
from ladenbuch import books
from ladenbuch.db import Store
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.simulators.lives.people import Product
from ladenbuch.simulators.lives.wide import company, terms
from ladenbuch.simulators.sevdesk import documents, simulator
from ladenbuch.simulators.sevdesk.call import Call
from ladenbuch.simulators.sevdesk.wire import ApiError
from ladenbuch.simulators.sevdesk.world import COMPANY_ID
from ladenbuch.workflows.einvoice import prepare_contact
from ladenbuch.workflows.resolving import resolve
from ladenbuch.workflows.run import Run

SOAP, BOOK, CANDLE = ("Seife", 1190, 190), ("Buch", 1070, 70), ("Kerze", 1850, 190)
XML, NUMBER = ("GET", "/Invoice/{id}/getXml"), ("PUT", "/Invoice/{id}/sendBy")


def of_company(day: Diary, name: str = "#501", po_number: str | None = "PO-2027-118", **more: Any) -> Purchase:
    """An order of Café Größenwahn UG, with its PO number."""
    order = day.order(name)
    company(order, **more)
    order.extra["poNumber"] = po_number
    return order


def said(day: Diary, number: str) -> dict[str, str]:
    """The elements of an e-invoice's XML by their names; of equal names the last."""
    root = ElementTree.fromstring(day.bookkeeper.xml(number))
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}


def pdf(day: Diary, number: str) -> bytes:
    item = day.document(number)
    found = day.bookkeeper.get(f"/{item['kind']}/{item['id']}/getPdf", preventSendBy="true")
    return base64.b64decode(found["content"])


def letter(day: Diary, place: int = -1) -> tuple[str, bytes]:
    """The words of a letter, and what is attached to it."""
    message = day.mail.messages[place].message
    assert isinstance(message, email.message.EmailMessage)
    body = message.get_body(("plain",))
    attached = next(message.iter_attachments())  # an e-invoice stands beside it as XML
    assert body is not None
    return body.get_content(), attached.get_content()


def is_electronic(day: Diary, number: str) -> bool:
    found: bool = day.document(number)["xml"] is not None
    return found


# -- terms ------------------------------------------------------------------------------------------------------------


def test_1_4_terms_are_an_open_invoice_at_fulfilment_with_its_due_date_and_nothing_booked() -> None:
    """T = fulfilment, due date pinned, invoice open, no booking; the paper and the letter say until when."""
    with diary("2027-03-01 10:00") as day:
        order = of_company(day).basket(SOAP, CANDLE)
        terms(order, order.claim())
        order.tell_order(None)
        assert (day.documents(), day.letters(), day.verdict(order)) == ([], [], "waiting UNPAID, open 0.00")
        day.at("2027-03-03 10:00")
        order.tell_shipment()
        assert day.documents() == [
            "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 30.40 @ 19 %; open"
        ]
        assert (day.money(), day.asked()) == ([], [])
        paper = "\n".join(text_of(pdf(day, "RE-1001")))
        assert "Zahlbar bis: 15.03.2027" in paper
        assert "Bestellung #501 vom 01.03.2027, Ihre Bestellnummer PO-2027-118" in paper
        assert "Café Größenwahn UG, " in paper, "the contact person stands behind the company"
        assert "USt-IdNr. des Kunden: DE136695976" in paper
        words, attached = letter(day)
        words = " ".join(words.split())
        assert "überweisen Sie ihn bis zum 15. März 2027" in words
        assert "Ihr Zeichen PO-2027-118" in words
        assert attached == pdf(day, "RE-1001")
        assert not is_electronic(day, "RE-1001"), "off is the default"
        day.at("2027-03-20 10:00")
        order.tell("orders/updated")
        assert day.document("RE-1001")["fields"]["timeToPay"] == "12", "pinned: no later look moves it"
        day.at("2027-03-21 10:00")
        day.bookkeeper.bank_line(3040, "RE-1001")
        order.tell_payment("bank_deposit")
        assert day.documents() == [
            "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 30.40 @ 19 %; paid"
        ]
        assert day.money() == ["21.03.2027 Bank +30.40 on RE-1001"]


@pytest.mark.parametrize(
    ("kind", "schedules", "due"),
    [
        ("FULFILLMENT", [(None, False)], "03.03.2027"),
        ("RECEIPT", [("2027-03-01T09:00:00Z", False)], "03.03.2027"),
        ("FIXED", [("2027-03-31T12:00:00Z", False), ("2027-03-17T12:00:00Z", False)], "17.03.2027"),
        ("FIXED", [("2027-03-10T12:00:00Z", True), ("2027-03-17T12:00:00Z", False)], "17.03.2027"),
    ],
)
def test_1_4_the_earliest_open_schedule_counts_and_terms_without_a_date_are_due_with_the_invoice(
    kind: str, schedules: list[tuple[str | None, bool]], due: str
) -> None:
    with diary("2027-03-01 10:00") as day:
        order = of_company(day).basket(SOAP)
        terms(order, order.claim())
        node = order.extra["paymentTerms"]
        model = node["paymentSchedules"][0]
        node |= {"paymentTermsType": kind, "dueInDays": None}
        node["paymentSchedules"] = [
            model | {"id": f"gid://shopify/PaymentSchedule/{place}", "dueAt": at, "completedAt": at if done else None}
            for place, (at, done) in enumerate(schedules, 1)
        ]
        order.tell_order(None)
        day.at("2027-03-03 10:00")
        order.tell_shipment()
        assert f"Zahlbar bis: {due}" in text_of(pdf(day, "RE-1001"))
        assert day.asked() == []


def test_1_4_a_deposit_is_booked_and_the_rest_stays_open_until_its_date() -> None:
    """Half at the checkout, half on terms: one invoice at fulfilment, partly paid."""
    with diary("2027-03-01 10:00") as day:
        order = of_company(day).basket(CANDLE, CANDLE)
        terms(order, 1850)
        order.tell_order(cents=1850)
        assert (day.documents(), day.money()) == ([], ["01.03.2027 shopify_payments +18.50 unlinked"])
        day.at("2027-03-03 10:00")
        order.tell_shipment()
        assert day.documents() == [
            "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 37.00 @ 19 %; paid 18.50"
        ]
        assert day.money() == ["01.03.2027 shopify_payments +18.50 on RE-1001"]
        assert "Zahlbar bis: 15.03.2027" in text_of(pdf(day, "RE-1001"))
        assert "noch offen" in letter(day)[0]


# -- the e-invoice ----------------------------------------------------------------------------------------------------


def test_5_18_the_e_invoice_is_proved_by_its_xml_and_travels_in_the_pdf_of_the_letter() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day)
        order.basket(("Seife", 799, 190, 3))
        terms(order, order.claim())
        order.tell_order(None)
        day.at("2027-03-03 10:00")
        order.tell_shipment()
        assert day.documents() == [
            "RE-1001 invoice 03.03.2027, supply 03.03.2027, VAT 03/2027, rule 1: 23.97 @ 19 %; open"
        ]
        xml = said(day, "RE-1001")
        assert (xml["BuyerReference"], xml["GrandTotalAmount"], xml["CountryID"]) == ("PO-2027-118", "23.97", "DE")
        assert "58" in {element.text for element in ElementTree.fromstring(day.bookkeeper.xml("RE-1001")).iter()}
        words, attached = letter(day)
        assert "E-Rechnung (ZUGFeRD)" in words
        assert b"factur-x.xml" in attached and day.bookkeeper.xml("RE-1001").encode() in attached
        (proved,) = [line for line in day.story() if "is an e-invoice" in line]
        assert proved.startswith("Invoice RE-1001 is an e-invoice; SHA-256 of its XML: ")
        assert day.letters() == ["RE-1001.pdf, RE-1001.xml to erika@example.org"]
        assert (day.asked(), day.verdict(order)) == ([], "documented, open 23.97: not paid yet")


def test_2_2_pieces_stay_countable_on_an_e_invoice() -> None:
    """3 pieces for 23.98 (G2b): two positions for machines, one for people, and every cent in its place."""
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        for order in (of_company(day), day.order("#502")):
            order.add(Product("Seife", "SEIF", 999, 190), 3)
            order.discount("DiscountCode", "ZWANZIG", fixed=599)
            order.basket().tell_order()
        assert day.positions("RE-1001") == ["2 x 7.99 Seife @ 19 %", "1 x 8.00 Seife @ 19 %"]
        assert day.positions("RE-1002") == ["1 x 23.98 3 x Seife @ 19 %"]
        assert (is_electronic(day, "RE-1001"), is_electronic(day, "RE-1002")) == (True, False)


# -- what is missing --------------------------------------------------------------------------------------------------


def nameless(order: Purchase) -> None:
    """Nobody gave an e-mail address."""
    order.email = None
    assert order.customer is not None
    order.customer = order.customer | {"email": None, "defaultEmailAddress": None}


def test_e_invoice_what_is_missing_is_asked_before_anything_is_posted_and_added_in_shopify() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day, po_number=None)
        nameless(order)
        order.basket(SOAP).tell_order()
        assert day.asked() == ["E-INVOICE"]
        lacks = "the e-invoice lacks: the buyer's e-mail address, a buyer reference (PO number)"
        assert day.about("E-INVOICE") == lacks
        assert (day.documents(), day.letters()) == ([], [])
        assert day.money() == ["01.03.2027 shopify_payments +11.90 unlinked"], "the money is booked meanwhile (R20)"
        day.at("2027-03-02 10:00")
        order.email = "einkauf@groessenwahn.example"
        order.tell("orders/updated")
        assert day.asked() == []
        assert day.documents() == [
            "RE-1001 invoice 02.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]
        assert said(day, "RE-1001")["BuyerReference"] == "einkauf@groessenwahn.example"
        assert day.letters() == ["RE-1001.pdf, RE-1001.xml to einkauf@groessenwahn.example"]
        assert "Ihr Zeichen" not in letter(day)[0], "an e-mail address is no number of the buyer's"


def test_e_invoice_send_an_ordinary_invoice_is_honoured(answer: Callable[[Diary, str, str], None]) -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day)
        nameless(order)
        order.basket(SOAP).tell_order()
        assert (day.asked(), day.documents()) == (["E-INVOICE"], [])
        answer(day, "E-INVOICE", "send an ordinary invoice")
        assert day.asked() == []
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]
        assert not is_electronic(day, "RE-1001")


def test_e_invoice_what_the_account_lacks_is_said_by_sevdesk_and_leaves_no_draft() -> None:
    """830: IBAN and BIC are missing. Once they are there, the same document is written, once."""
    with diary("2027-03-01 10:00", e_invoices="business", sevdesk={"seller_lacks": ("bankIban", "bankBic")}) as day:
        order = of_company(day).basket(SOAP).tell_order()
        assert day.asked() == ["E-INVOICE"]
        assert day.about("E-INVOICE") == "the e-invoice lacks: the account's IBAN, the account's BIC"
        assert day.choices("E-INVOICE")[0] == "add it in sevdesk"
        assert day.documents() == []
        account = day.sevdesk.world.thing("SevClient", COMPANY_ID).fields
        account |= {"bankIban": "DE02120300000000202051", "bankBic": "BYLADEM1001"}
        day.at("2027-03-02 10:00")
        order.tell("orders/updated")
        assert day.documents() == [
            "RE-1001 invoice 01.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]
        assert is_electronic(day, "RE-1001") and day.asked() == []


# -- the contact ------------------------------------------------------------------------------------------------------


def test_each_e_invoice_quotes_its_own_reference_although_sevdesk_takes_it_from_the_contact() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        of_company(day, "#502", "PO-2027-119").basket(BOOK).tell_order()
        of_company(day, "#503", "PO-2027-118").basket(BOOK).tell_order()
        assert [said(day, f"RE-100{n}")["BuyerReference"] for n in (1, 2, 3)] == [
            "PO-2027-118", "PO-2027-119", "PO-2027-118",
        ]  # fmt: skip
        assert day.asked() == []


def test_no_other_order_changes_the_reference_while_a_number_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second order of the company is drafted in the very moment in which the first gets its number."""
    real, seen = simulator._ROUTES[NUMBER], []

    def number(call: Call) -> Any:
        (draft,) = [item.draft for item in day.known(order).documents]
        assert isinstance(draft, InvoiceDraft)
        other = "gid://shopify/Order/999"
        day.database.tenant("s1").run(Store.BOOKS, lambda tx: books.take_fence(tx, "s1", other, 1, "other"))
        (contact,) = day.sevdesk.state()["contacts"]
        run = Run(day.house.context, "s1", other, "other")
        prepare_contact(run, contact["id"], replace(draft, buyer_reference="PO-2027-119"))
        seen.append(call.id)
        return real(call)

    monkeypatch.setitem(simulator._ROUTES, NUMBER, number)  # type: ignore[arg-type]
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day)
        order.basket(SOAP).tell_order()
        assert len(seen) == 1
        assert said(day, "RE-1001")["BuyerReference"] == "PO-2027-118"


def test_r16_a_reference_a_person_entered_at_the_contact_stays() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        contact = day.document("RE-1001")["contact_id"]
        day.sevdesk.world.thing("Contact", contact).fields["buyerReference"] = "04011000-1234512345-06"
        of_company(day, "#502", "PO-2027-119").basket(BOOK).tell_order()
        assert said(day, "RE-1002")["BuyerReference"] == "04011000-1234512345-06"
        assert "Ihre Bestellnummer PO-2027-119" in day.texts("RE-1002"), "printed all the same"


def test_b11_a_contact_that_has_a_mailbox_keeps_it_and_only_it() -> None:
    """The contact may be the merchant's own: an e-invoice needs one mailbox there, not this order's."""
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        second = of_company(day, "#502", "PO-2027-119")
        second.email = "another@groessenwahn.example"
        second.basket(BOOK).tell_order()
        boxes = [way["value"] for way in day.sevdesk.state()["communication_ways"]]
        assert boxes == ["erika@example.org"]
        assert day.letters()[-1] == "RE-1002.pdf, RE-1002.xml to another@groessenwahn.example"


def test_a_long_reference_is_cut_like_every_line_and_still_known_as_ours() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day, po_number="PO-" + "1" * 120).basket(SOAP).tell_order()
        of_company(day, "#502", "PO-2027-119").basket(BOOK).tell_order()
        assert len(said(day, "RE-1001")["BuyerReference"]) == 100
        assert said(day, "RE-1002")["BuyerReference"] == "PO-2027-119"


# -- the proof --------------------------------------------------------------------------------------------------------


def test_facts_2_5_without_its_xml_the_invoice_is_booked_and_not_mailed(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[Diary, str, str], None]
) -> None:
    """The mark got lost in sevdesk: no proof, no letter, a question; the money is linked all the same (R20)."""
    monkeypatch.setattr(documents.einvoice, "xml", lambda world, document: None)
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        assert day.asked() == ["E-INVOICE-XML"]
        assert day.money() == ["01.03.2027 shopify_payments +11.90 on RE-1001"]
        assert day.letters() == []
        answer(day, "E-INVOICE-XML", "send it by hand")
        assert (day.asked(), day.letters()) == ([], [])


@pytest.mark.parametrize("wrong", [("11.90", "11.91"), ("RE-1001", "RE-1002")])
def test_facts_2_5_an_xml_of_another_total_or_number_proves_nothing(
    wrong: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = documents.einvoice.xml
    monkeypatch.setattr(documents.einvoice, "xml", lambda world, document: real(world, document).replace(*wrong))
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        assert (day.asked(), day.letters()) == (["E-INVOICE-XML"], [])
        assert "another number or another total" in day.about("E-INVOICE-XML")


@pytest.mark.parametrize(("busy", "asked"), [(2, []), (10_000, ["E-INVOICE-XML"])])
def test_facts_2_8_an_xml_that_is_not_written_yet_is_waited_for(
    busy: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for a while: the letter waits, nothing is asked; after ten minutes a person is."""
    real, left = simulator._ROUTES[XML], [busy]

    def slow(call: Call) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise ApiError(503, "the file is being written")
        return real(call)

    monkeypatch.setitem(simulator._ROUTES, XML, slow)  # type: ignore[arg-type]
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        of_company(day).basket(SOAP).tell_order()
        day.at("2027-03-01 12:00")
        day.at("2027-03-01 14:00")
        assert day.asked() == asked
        assert any("needs a decision" in line for line in day.story()) is bool(asked)
        assert day.letters() == ([] if asked else ["RE-1001.pdf, RE-1001.xml to erika@example.org"])
        assert day.money() == ["01.03.2027 shopify_payments +11.90 on RE-1001"]


# -- corrections ------------------------------------------------------------------------------------------------------


def test_5_20_an_unpaid_e_invoice_is_cancelled_and_written_anew_as_one() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day).basket(SOAP, CANDLE)
        terms(order, order.claim())
        order.tell_order(None)
        day.at("2027-03-02 10:00")
        order.tell_shipment()
        day.at("2027-03-04 10:00")
        order.tell_edit(less=[("Seife", 1)])
        assert day.documents() == [
            "RE-1001 invoice 02.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 30.40 @ 19 %; cancelled",
            "RE-1002 cancellation of RE-1001 04.03.2027, supply 02.03.2027, rule 1: -30.40 @ 19 %; settled",
            "RE-1003 invoice 04.03.2027, supply 02.03.2027, VAT 03/2027, rule 1: 18.50 @ 19 %; open",
        ]
        assert is_electronic(day, "RE-1003") and said(day, "RE-1003")["GrandTotalAmount"] == "18.50"
        assert day.asked() == []


def test_5_18_a_person_may_send_the_credit_note_as_an_ordinary_document(
    answer: Callable[[Diary, str, str], None],
) -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day).basket(SOAP, BOOK).tell_order()
        day.at("2027-03-08 10:00")
        order.tell_refund(("Seife", 1))
        assert day.asked() == ["E-INVOICE-CORRECTION"]
        assert len(day.documents()) == 1
        answer(day, "E-INVOICE-CORRECTION", "send the credit note as an ordinary document")
        assert day.asked() == []
        assert day.documents()[1:] == [
            "GU-1001 credit note on RE-1001 08.03.2027, supply 01.03.2027, VAT 03/2027, rule 1: 11.90 @ 19 %; paid"
        ]


def test_5_19_an_addition_to_an_e_invoice_is_an_e_invoice() -> None:
    with diary("2027-03-01 10:00", e_invoices="business") as day:
        order = of_company(day).basket(SOAP).tell_order()
        day.at("2027-03-02 10:00")
        order.tell_edit(BOOK, paid="shopify_payments")
        assert [is_electronic(day, number) for number in ("RE-1001", "RE-1002")] == [True, True]
        assert day.letters() == [f"RE-100{n}.pdf, RE-100{n}.xml to erika@example.org" for n in (1, 2)]


@pytest.fixture
def answer() -> Callable[[Diary, str, str], None]:
    """A person answers an open question of the diary's first shop."""

    def given(day: Diary, code: str, words: str) -> None:
        (order_id,) = day.orders
        door = day.database.tenant("s1")
        (question,) = door.read(Store.BOOKS, lambda tx: books.questions(tx, "s1", order_id, code))
        resolve(door, "s1", question, words, actor="test", now=day.clock.now())
        day.work()

    return given
