"""E-invoices on the wire: what is sent, what a refusal names, and the XML as the only proof (facts 2.1, 2.5, 2.8)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders import PROFILE, agreement, at, order, sale, shipped
from ladenbuch.domain.books import Books
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Address, Company, PaymentTerms
from ladenbuch.domain.plan import plan
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.documents import compare, remote_invoice, save_invoice_body
from ladenbuch.sevdesk.positions import remote_positions

GOLDEN = Path(__file__).parents[2] / "docs" / "reference" / "examples" / "e-invoice.request.json"
HOTEL = Company(
    "gid://shopify/Company/1",
    "Hotel GmbH",
    "gid://shopify/CompanyLocation/2",
    "Hamburg",
    Address(None, "Einkauf", "Hotel GmbH", "Am Kai 1", "Tor 2", "20457", "Hamburg", None, "DE"),
    "DE136695976",
)
LOOKUPS = {
    "/SevUser": [{"id": "5"}],
    "/Unity": [{"id": "1", "name": "Stk"}],
    "/StaticCountry": [{"id": "1", "code": "de"}],
    "/PaymentMethod": [
        {"id": "21919", "electronicInvoiceId": "58"},
        {"id": "9", "electronicInvoiceId": "58"},
        {"id": "21", "electronicInvoiceId": None},
    ],
}
XML = (
    '<?xml version="1.0"?>\n<rsm:CrossIndustryInvoice xmlns:rsm="x" xmlns:ram="y"><rsm:ExchangedDocument>\n'
    " <ram:ID>RE-1001</ram:ID></rsm:ExchangedDocument><ram:ID>7</ram:ID>"
    "<ram:GrandTotalAmount>23.98</ram:GrandTotalAmount></rsm:CrossIndustryInvoice>"
)


def planned() -> InvoiceDraft:
    """Three mugs for 23.98 and a book, on net 14 terms, shipped: the plan's own draft."""
    sold = agreement(1, at(0), sale(1, 2398, {"19": 383}, quantity=3), sale(2, 999, {"7": 65}))
    terms = PaymentTerms("Net 14", "NET", 14, at(60 * 24 * 14))
    made = order(
        sold, fulfilments=(shipped(3, at(60)),), company=HOTEL, po_number="PO-118", terms=terms, names={"2": "Buch"}
    )
    found = plan(facts_of(made), Books(), [replace(PROFILE, e_invoices="business")], at(60 * 24 * 2))
    draft = next(item.document.draft for item in found.actions if item.kind == "invoice" and item.document)
    assert isinstance(draft, InvoiceDraft)
    return draft


def client(answers: dict[tuple[str, str], Any]) -> tuple[Sevdesk, list[httpx2.Request]]:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        path = request.url.path.removeprefix("/api/v1")
        found = answers.get((request.method, path), LOOKUPS.get(path))
        return found if isinstance(found, httpx2.Response) else httpx2.Response(200, json={"objects": found})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    base = "https://sevdesk.invalid/api/v1"
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return Sevdesk(base, lambda: "token", http, clock=lambda: now, sleep=lambda seconds: None), seen


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_the_whole_request_of_an_e_invoice() -> None:
    """Golden: from the shop's order to the body sevdesk gets; tests/contract holds it against the description."""
    assert save_invoice_body(planned(), "71", "5", "1", "1", "21919") == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_2_1_the_payment_method_is_the_accounts_oldest_with_the_code() -> None:
    sevdesk, seen = client({})
    assert (sevdesk.payment_method_id("58"), sevdesk.payment_method_id("58")) == ("9", "9")
    assert len(seen) == 1, "read once a day"
    with pytest.raises(Rejected) as refused:
        sevdesk.payment_method_id("10")
    assert (refused.value.code, refused.value.detail["means"]) == ("SEVDESK-PAYMENT-METHOD", "10")


def test_an_ordinary_invoice_needs_no_payment_method() -> None:
    saved = {"invoice": {"id": "33", "status": "100"}, "invoicePos": []}
    sevdesk, seen = client({("POST", "/Invoice/Factory/saveInvoice"): saved})
    sevdesk.save_draft(replace(planned(), e_invoice=False), "71")
    assert "/PaymentMethod" not in {request.url.path.removeprefix("/api/v1") for request in seen}
    assert "propertyIsEInvoice" not in json.loads(seen[-1].content)["invoice"]


def test_r21_a_draft_that_lost_its_payment_method_is_another_draft() -> None:
    """The mark itself is not returned; that the payment method came back is all a draft can show (facts 2.5)."""
    draft = planned()
    body = save_invoice_body(draft, "71", "5", "1", "1", "9")
    positions = remote_positions([{**item, "id": n} for n, item in enumerate(body["invoicePosSave"], 1)])
    sums = {
        "sumGross": Decimal(draft.gross) / 100,
        "sumNet": sum(Decimal(position.net) / 100 for position in draft.positions),
        "sumTax": sum(Decimal(position.gross - position.net) / 100 for position in draft.positions),
    }
    there = {**body["invoice"], "id": "33", "showNet": "0", **sums}
    assert compare(draft, remote_invoice(there), positions) == []
    lost = compare(draft, remote_invoice({**there, "paymentMethod": None}), positions)
    assert [item.field for item in lost] == ["has_payment_method"]
    assert compare(replace(draft, e_invoice=False), remote_invoice({**there, "paymentMethod": None}), positions) == []


# -- what a refusal names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ([{"missing information": ["sevClient.bankIban", "email"]}], ["sevClient.bankIban", "email"]),
        ({"missing information": {"sevClient": ["bankIban"], "contact": ["email"]}}, ["bankIban", "email"]),
        ("missing information: bankIban, buyerReference", ["bankIban", "buyerReference"]),
        ([{"missing information": ["bankIban", "bankIban"]}], ["bankIban"]),
        ([{"missing information": ["Erika Muster", "erika@example.org", 5, None]}], []),
        (None, []),
    ],
)
def test_1_7_830_names_fields_and_nothing_else(data: Any, named: list[str]) -> None:
    """However the list is nested; what is no field name is not repeated: it could be a person's."""
    error = {"objects": None, "error": {"message": "missing information", "code": 830, "data": data}}
    sevdesk, _ = client({("POST", "/Invoice/Factory/saveInvoice"): httpx2.Response(400, json=error)})
    with pytest.raises(Rejected) as refused:
        sevdesk.save_draft(planned(), "71")
    assert (refused.value.code, refused.value.detail["missing"]) == ("SEVDESK-830", named)


# -- the XML ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [XML, [XML], {"content": XML}, httpx2.Response(200, content=XML.encode(), headers={"content-type": "text/xml"})],
)
def test_2_8_the_xml_is_read_in_any_wrapping(answer: Any) -> None:
    sevdesk, seen = client({("GET", "/Invoice/33/getXml"): answer})
    found = sevdesk.invoice_xml("33")
    assert (found.number, found.gross, found.content) == ("RE-1001", 2398, XML.encode())
    assert found.digest == hashlib.sha256(XML.encode()).hexdigest()
    assert seen[-1].url.query == b""
    assert "RE-1001" not in repr(found.content[:0]) and XML not in repr(found)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("<html>wait</html>", Retryable),
        (None, Retryable),
        (httpx2.Response(503, json={"objects": None, "error": {"message": "not yet"}}), Retryable),
        (httpx2.Response(400, json={"objects": None, "error": {"message": "no e-invoice"}}), Rejected),
    ],
)
def test_2_8_no_xml_is_said_and_never_guessed(answer: Any, kind: type[Exception]) -> None:
    sevdesk, _ = client({("GET", "/Invoice/33/getXml"): answer})
    with pytest.raises(kind):
        sevdesk.invoice_xml("33")


@pytest.mark.parametrize(
    ("change", "number", "gross"),
    [
        (("RE-1001", ""), None, 2398),
        (("23.98", "23.9800"), "RE-1001", 2398),
        (("23.98", "23.985"), "RE-1001", None),
        (("GrandTotalAmount", "LineTotalAmount"), "RE-1001", None),
        (("23.98", "many"), "RE-1001", None),
    ],
)
def test_what_the_xml_does_not_say_is_not_known(change: tuple[str, str], number: str | None, gross: int | None) -> None:
    sevdesk, _ = client({("GET", "/Invoice/33/getXml"): XML.replace(*change)})
    found = sevdesk.invoice_xml("33")
    assert (found.number, found.gross) == (number, gross)


# -- the contact's reference -----------------------------------------------------------------------------------------


def test_the_reference_is_read_and_written_at_the_contact() -> None:
    row = {"id": "71", "name": "Hotel GmbH", "buyerReference": "04011000-1234512345-06"}
    sevdesk, seen = client({("GET", "/Contact/71"): [row], ("PUT", "/Contact/71"): row})
    there = sevdesk.get_contact("71")
    assert there is not None and there.buyer_reference == "04011000-1234512345-06"
    assert "04011000" not in repr(there)
    sevdesk.set_buyer_reference("71", "PO\n118")
    assert json.loads(seen[-1].content) == {"buyerReference": "PO 118"}
