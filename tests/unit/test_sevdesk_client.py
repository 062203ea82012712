"""The business verbs: what they ask, what they believe, and the traps they do not fall into (facts 5.1)."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from ladenbuch.domain.document import InvoiceDraft, Party, Position
from ladenbuch.errors import Ambiguous, Rejected, Retryable
from ladenbuch.sevdesk.client import Sevdesk

LOOKUPS: dict[str, list[dict[str, Any]]] = {
    "/SevUser": [{"id": "4", "status": "50"}, {"id": "5", "status": "100"}],
    "/Unity": [{"id": "7", "name": "kg"}, {"id": "1", "name": "Stk", "translationCode": "UNITY_PIECE"}],
    "/StaticCountry": [
        {"id": "1", "code": "de", "name": "Deutschland", "nameEn": "Germany"},
        {"id": "2", "code": "gb", "name": "England", "nameEn": "England"},
        {"id": "3", "code": "gb", "name": "Großbritannien", "nameEn": "Great Britain"},
        {"id": "4", "code": "gb", "name": "Vereinigtes Königreich", "nameEn": "United Kingdom"},
    ],
}
INVOICE = {"id": "33", "invoiceType": "RE", "status": "100", "customerInternalNote": "s1-1", "sumGross": "11.9"}


class Stub:
    """Answers by (method, path); keeps what was asked. Not a sevdesk: one answer per test."""

    def __init__(self, answers: dict[tuple[str, str], Any]) -> None:
        self.answers = answers
        self.asked: list[httpx2.Request] = []
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.client = Sevdesk(
            "https://sevdesk.invalid/api/v1", lambda: "token", http, clock=lambda: self.now, sleep=lambda seconds: None
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        found = self.answers.get((request.method, path), LOOKUPS.get(path))
        if callable(found):
            found = found(request)
        if isinstance(found, httpx2.Response):
            return found
        assert found is not None, f"unexpected {request.method} {path}"
        return httpx2.Response(200, json={"objects": found})

    def query(self, index: int = -1) -> dict[str, str]:
        return dict(self.asked[index].url.params.multi_items())

    def sent(self) -> Any:
        return json.loads(self.asked[-1].content)


def paged(rows: list[dict[str, Any]]) -> Callable[[httpx2.Request], list[dict[str, Any]]]:
    def answer(request: httpx2.Request) -> list[dict[str, Any]]:
        limit, offset = int(request.url.params["limit"]), int(request.url.params["offset"])
        return rows[offset : offset + limit]

    return answer


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value.code


# -- finds -------------------------------------------------------------------------------------------


def test_a_find_asks_exactly_and_returns_exactly() -> None:
    stub = Stub({("GET", "/Invoice"): [{**INVOICE, "id": "40", "invoiceType": "SR", "status": "1000"}, INVOICE]})
    found = stub.client.find_invoices("s1-1")
    assert [(invoice.id, invoice.kind) for invoice in found] == [("33", "RE"), ("40", "SR")]
    assert stub.query() == {"customerInternalNote": "s1-1", "limit": "100", "offset": "0"}


def test_trap_1_an_ignored_filter_is_not_mistaken_for_an_answer() -> None:
    """Facts 5.1.1, the most expensive bug: everything comes back, with or without what we look for."""
    for rows in (
        [{**INVOICE, "customerInternalNote": "other"}],
        [INVOICE, {**INVOICE, "id": "34", "customerInternalNote": None}],
    ):
        stub = Stub({("GET", "/Invoice"): rows})
        assert code(lambda stub=stub: stub.client.find_invoices("s1-1")) == "SEVDESK-IMPLAUSIBLE"
    stub = Stub({("GET", "/Contact"): [{"id": "1", "customerNumber": "1000"}]})
    assert code(lambda: stub.client.find_contact("S1-1")) == "SEVDESK-IMPLAUSIBLE"
    lines = [{"id": "1", "checkAccount": {"id": "9"}, "amount": "1", "status": "100", "paymtPurpose": "rent"}]
    stub = Stub({("GET", "/CheckAccountTransaction"): lines})
    assert code(lambda: stub.client.find_transaction("9", "SHPTX 1")) == "SEVDESK-IMPLAUSIBLE"


def test_a_find_passes_over_what_a_database_may_not_distinguish() -> None:
    rows = [{**INVOICE, "customerInternalNote": "S1-1"}, {**INVOICE, "id": "34", "customerInternalNote": "s1-1 "}]
    assert Stub({("GET", "/Invoice"): rows}).client.find_invoices("s1-1") == []


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_finds_nothing_and_asks_nothing(key: str) -> None:
    stub = Stub({})
    for find in (
        stub.client.find_invoices,
        stub.client.find_contact,
        lambda key: stub.client.find_transaction("9", key),
    ):
        assert code(lambda find=find: find(key)) == "SEVDESK-KEY"  # type: ignore[misc]
    assert stub.asked == []


def test_a_find_reads_all_pages_and_counts_a_moved_row_once() -> None:
    rows = [{**INVOICE, "id": str(100 + at)} for at in range(150)]
    rows.insert(120, rows[5])
    stub = Stub({("GET", "/Invoice"): paged(rows)})
    assert len(stub.client.find_invoices("s1-1")) == 150
    assert len(stub.asked) == 2


def test_a_find_that_never_ends_is_implausible() -> None:
    rows = [{**INVOICE, "id": str(at)} for at in range(1, 5000)]
    stub = Stub({("GET", "/Invoice"): paged(rows)})
    assert code(lambda: stub.client.find_invoices("s1-1")) == "SEVDESK-IMPLAUSIBLE"
    assert len(stub.asked) == 5


def test_a_list_that_ignores_the_offset_ends() -> None:
    rows = [{"id": str(at), "name": f"A{at}", "type": "online"} for at in range(1000)]
    stub = Stub({("GET", "/CheckAccount"): lambda request: rows})
    assert len(stub.client.check_accounts()) == 1000
    assert len(stub.asked) == 2


def test_contacts_are_looked_for_with_persons_and_of_doubles_the_oldest_is_taken() -> None:
    """Facts 5.1.10: without depth=1 persons are hidden. 5.1.11: customer numbers are not unique."""
    rows = [{"id": "100", "customerNumber": "S1-1"}, {"id": "71", "customerNumber": "S1-1"}]
    stub = Stub({("GET", "/Contact"): rows})
    assert stub.client.find_contact("S1-1") == "71"
    assert stub.query()["depth"] == "1"
    assert Stub({("GET", "/Contact"): []}).client.find_contact("S1-1") is None


def _line(id_: str, purpose: str, **more: Any) -> dict[str, Any]:
    account = {"id": "9", "objectName": "CheckAccount"}
    return {"id": id_, "checkAccount": account, "amount": "11.9", "status": "100", "paymtPurpose": purpose, **more}


def test_trap_21_the_purpose_is_compared_word_by_word() -> None:
    """Facts 5.1.21: `SHPTX 1` is a substring of `SHPTX 12`, and `/1` names another part of one payment."""
    near = [_line("1", "SHPTX 12 s1:1"), _line("2", "XSHPTX 1 s1:1"), _line("3", "SHPTX 1/1 s1:1")]
    stub = Stub({("GET", "/CheckAccountTransaction"): near})
    assert stub.client.find_transaction("9", "SHPTX 1") is None
    stub = Stub({("GET", "/CheckAccountTransaction"): [*near, _line("4", "Erika  SHPTX 1\ns1:1")]})
    found = stub.client.find_transaction("9", "SHPTX 1")
    assert found is not None
    assert (found.id, found.amount, found.account_id, found.is_linked) == ("4", 1190, "9", False)
    assert stub.query()["checkAccount[objectName]"] == "CheckAccount"
    assert stub.query()["paymtPurpose"] == "SHPTX 1"


def test_a_line_of_another_account_shows_that_the_filter_was_ignored() -> None:
    stub = Stub({("GET", "/CheckAccountTransaction"): [_line("4", "SHPTX 1", checkAccount={"id": "8"})]})
    assert code(lambda: stub.client.find_transaction("9", "SHPTX 1")) == "SEVDESK-IMPLAUSIBLE"


def test_deleted_lines_do_not_count_and_two_lines_are_a_question() -> None:
    """Facts 5.1.23: deleted transactions stay readable."""
    gone = _line("4", "SHPTX 1", deletedAt="2026-11-22T00:00:00+01:00")
    assert Stub({("GET", "/CheckAccountTransaction"): [gone]}).client.find_transaction("9", "SHPTX 1") is None
    stub = Stub({("GET", "/CheckAccountTransaction"): [_line("4", "SHPTX 1"), _line("5", "SHPTX 1")]})
    assert code(lambda: stub.client.find_transaction("9", "SHPTX 1")) == "SEVDESK-DUPLICATE"
    stub = Stub({("GET", "/CheckAccountTransaction/4"): gone})
    found = stub.client.get_transaction("4")
    assert found is not None
    assert found.deleted


# -- by id -------------------------------------------------------------------------------------------


def _missing(code: int | None, status: int) -> httpx2.Response:
    return httpx2.Response(status, json={"objects": None, "error": {"message": "x", "code": code}})


def test_r17_only_sevdesks_own_word_makes_an_invoice_missing() -> None:
    for status in (404, 400):
        assert Stub({("GET", "/Invoice/33"): _missing(151, status)}).client.get_invoice("33") is None
    answers = {
        "SEVDESK-HTTP-404": [_missing(None, 404), httpx2.Response(404, text="<html>")],
        "SEVDESK-SHAPE": [httpx2.Response(200, json={"objects": []})],
    }
    for expected, given in answers.items():
        for answer in given:
            stub = Stub({("GET", "/Invoice/33"): answer})
            assert code(lambda stub=stub: stub.client.get_invoice("33")) == expected  # type: ignore[misc]


def test_an_answer_about_another_object_is_not_believed() -> None:
    stub = Stub({("GET", "/Invoice/34"): [INVOICE]})
    assert code(lambda: stub.client.get_invoice("34")) == "SEVDESK-IMPLAUSIBLE"


@pytest.mark.parametrize("id_", ["", "1/../2", "1?x=1", "abc", "-1"])
def test_only_digits_get_into_a_path(id_: str) -> None:
    stub = Stub({})
    for call in (stub.client.get_invoice, stub.client.finalise, stub.client.delete_draft, stub.client.invoice_pdf):
        assert code(lambda call=call: call(id_)) == "SEVDESK-ID"  # type: ignore[misc]
    assert stub.asked == []


# -- documents ---------------------------------------------------------------------------------------


def draft(**party: Any) -> InvoiceDraft:
    return InvoiceDraft(
        key="inv:1:a",
        note="s1-1",
        currency="EUR",
        tax_rule=1,
        invoice_date=date(2026, 11, 22),
        delivery_date=date(2026, 11, 22),
        party=Party(**{"customer_number": "S1-1", "name": "Erika Muster", "country": "DE", **party}),
        positions=(Position.of("Tasse", 1, 1190, Decimal("19")),),
        claim=((Decimal("19"), 1190),),
    )


POSITION = {"id": "1", "quantity": True, "price": "11.9", "taxRate": "19", "name": "Tasse"}


def test_save_draft_looks_everything_up_and_reads_what_sevdesk_made_of_it() -> None:
    answer = {"invoice": {**INVOICE, "sumNet": "10", "sumTax": "1.9"}, "invoicePos": [POSITION]}
    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): answer})
    found = stub.client.save_draft(draft(), "71")
    assert (found.id, found.gross, found.is_draft) == ("33", 1190, True)
    assert found.positions is not None
    assert (found.positions[0].quantity, found.positions[0].gross) == (1, 1190)
    invoice = stub.sent()["invoice"]
    assert [invoice[name]["id"] for name in ("contact", "contactPerson", "addressCountry")] == [71, 5, 1]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"invoice": INVOICE},
        {"invoice": {"id": "33"}, "invoicePos": []},
        [],
        {"invoice": INVOICE, "invoicePos": [{}]},
    ],
)
def test_an_accepted_draft_whose_answer_is_not_understood_is_ambiguous(answer: Any) -> None:
    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): answer})
    with pytest.raises(Ambiguous):
        stub.client.save_draft(draft(), "71")


def test_finalise_marks_as_downloaded_and_mails_nothing() -> None:
    open_ = {**INVOICE, "status": "200", "invoiceNumber": "RE-1001"}
    stub = Stub({("PUT", "/Invoice/33/sendBy"): open_})
    found = stub.client.finalise("33")
    assert (found.number, found.is_finalised) == ("RE-1001", True)
    assert stub.sent() == {"sendType": "VPDF", "sendDraft": False}


def test_a_draft_that_is_gone_already_is_deleted_and_another_is_not() -> None:
    Stub({("DELETE", "/Invoice/33"): _missing(151, 404)}).client.delete_draft("33")
    Stub({("DELETE", "/Invoice/33"): httpx2.Response(200, json={"objects": [None]})}).client.delete_draft("33")
    stub = Stub({("DELETE", "/Invoice/33"): _missing(159, 409)})
    assert code(lambda: stub.client.delete_draft("33")) == "SEVDESK-159"


def test_the_cancellation_is_found_by_its_origin() -> None:
    """Facts 5.1.16: it shares the note, so the kind and the origin decide."""
    other = {**INVOICE, "id": "40", "invoiceType": "SR", "status": "1000", "origin": {"id": "32"}}
    ours = {**other, "id": "41", "origin": {"id": "33"}}
    answers = {("GET", "/Invoice"): [INVOICE, other, ours]}
    found = Stub(answers).client.find_cancellation("s1-1", "33")
    assert found is not None
    assert found.id == "41"
    assert Stub({**answers, ("GET", "/Invoice"): [INVOICE, other]}).client.find_cancellation("s1-1", "33") is None


def test_cancel_reads_the_cancellation_and_an_error_inside_200() -> None:
    made = {**INVOICE, "id": "41", "invoiceType": "SR", "status": "1000", "origin": {"id": "33"}}
    assert Stub({("POST", "/Invoice/33/cancelInvoice"): made}).client.cancel_invoice("33").kind == "SR"
    for number, status in ((390, 200), (750, 422)):
        stub = Stub({("POST", "/Invoice/33/cancelInvoice"): _missing(number, status)})
        assert code(lambda stub=stub: stub.client.cancel_invoice("33")) == f"SEVDESK-{number}"  # type: ignore[misc]
    with pytest.raises(Ambiguous):
        Stub({("POST", "/Invoice/33/cancelInvoice"): INVOICE}).client.cancel_invoice("33")


def test_cancelled_already_is_success_where_the_cancellation_is_found() -> None:
    """Facts 6.3.5: 421 is adopted; without a note, or without our origin, a person must look."""
    made = {**INVOICE, "id": "41", "invoiceType": "SR", "status": "1000", "origin": {"id": "33"}}
    answers = {
        ("POST", "/Invoice/33/cancelInvoice"): _missing(421, 422),
        ("GET", "/Invoice/33"): INVOICE,
        ("GET", "/Invoice"): [INVOICE, made],
    }
    assert Stub(answers).client.cancel_invoice("33").id == "41"
    for change in (
        {("GET", "/Invoice/33"): {**INVOICE, "customerInternalNote": None}},
        {("GET", "/Invoice"): [INVOICE, {**made, "origin": {"id": "32"}}]},
        {("GET", "/Invoice/33"): _missing(151, 404)},
    ):
        stub = Stub({**answers, **change})
        assert code(lambda stub=stub: stub.client.cancel_invoice("33")) == "SEVDESK-421"  # type: ignore[misc]


def test_r5_the_credit_note_in_the_way_is_named() -> None:
    """Facts 1.7: 170 carries it in error.data."""
    error = {"message": "x", "code": 170, "data": [{"id": "55", "objectName": "CreditNote"}, "noise"]}
    answer = httpx2.Response(422, json={"objects": None, "error": error})
    with pytest.raises(Rejected) as caught:
        Stub({("POST", "/Invoice/33/cancelInvoice"): answer}).client.cancel_invoice("33")
    assert (caught.value.code, caught.value.detail["ids"]) == ("SEVDESK-170", ["55"])


# -- PDF ---------------------------------------------------------------------------------------------

FILE = b"%PDF-1.7 \x00\xff"
BASE64 = base64.b64encode(FILE).decode()


@pytest.mark.parametrize(
    "answer",
    [
        {"filename": "RE-1001.pdf", "mimetype": "application/pdf", "base64Encoded": True, "content": BASE64},
        [{"filename": "../a/RE-1001.pdf", "mimeType": "application/pdf", "base64encoded": "1", "content": BASE64}],
        {"filename": 'RE-1001".pdf\r\n', "content": BASE64[:4] + "\n" + BASE64[4:]},
        httpx2.Response(200, content=FILE, headers={"Content-Disposition": 'attachment; filename="RE-1001.pdf"'}),
    ],
    ids=["object", "list", "wrapped lines", "raw"],
)
def test_trap_2_a_pdf_never_finalises_and_may_come_in_any_wrapping(answer: Any) -> None:
    """Facts 5.1.2, 2.8."""
    stub = Stub({("GET", "/Invoice/33/getPdf"): answer})
    pdf = stub.client.invoice_pdf("33")
    assert stub.query()["preventSendBy"] == "true"
    assert (pdf.filename, pdf.content) == ("RE-1001.pdf", FILE)


def test_a_draft_has_a_file_name_too() -> None:
    stub = Stub({("GET", "/Invoice/33/getPdf"): {"filename": ".pdf", "content": BASE64}})
    assert stub.client.invoice_pdf("33").filename == "Rechnung.pdf"


@pytest.mark.parametrize(
    "answer", [{"filename": "x"}, {"content": base64.b64encode(b"<html>").decode()}, {"content": "???"}]
)
def test_what_is_no_pdf_is_not_handed_on(answer: Any) -> None:
    with pytest.raises(Retryable) as caught:
        Stub({("GET", "/Invoice/33/getPdf"): answer}).client.invoice_pdf("33")
    assert caught.value.code == "SEVDESK-PDF"


# -- money -------------------------------------------------------------------------------------------


def test_a_new_line_and_its_booking() -> None:
    stub = Stub(
        {
            ("POST", "/CheckAccountTransaction"): _line("4", "SHPTX 1 s1:1"),
            ("PUT", "/Invoice/33/bookAmount"): {"fromStatus": "200", "toStatus": "1000", "ammountPayed": "11.9"},
        }
    )
    line = stub.client.create_transaction("9", 1190, date(2026, 11, 22), "Erika Muster", "SHPTX 1 s1:1")
    assert stub.sent() == {
        "valueDate": "22.11.2026",
        "amount": "11.90",
        "status": 100,
        "payeePayerName": "Erika Muster",
        "paymtPurpose": "SHPTX 1 s1:1",
        "checkAccount": {"id": 9, "objectName": "CheckAccount"},
    }
    log = stub.client.book("33", 1190, date(2026, 11, 22), "9", line.id)
    assert stub.sent() == {
        "amount": "11.90",
        "date": "22.11.2026",
        "type": "FULL_PAYMENT",
        "checkAccount": {"id": 9, "objectName": "CheckAccount"},
        "checkAccountTransaction": {"id": 4, "objectName": "CheckAccountTransaction"},
        "createFeed": False,
    }
    assert (log.from_status, log.to_status, log.amount) == (200, 1000, 1190)
    assert "Muster" not in repr(line)


def test_a_booking_without_a_line_and_money_out() -> None:
    stub = Stub(
        {("PUT", "/Invoice/33/bookAmount"): {}, ("POST", "/CheckAccountTransaction"): _line("4", "x", amount="-58.31")}
    )
    stub.client.book("33", 1190, date(2026, 11, 22), "9", None)
    assert "checkAccountTransaction" not in stub.sent()
    stub.client.create_transaction("9", -5831, date(2026, 11, 22), "", "x")
    assert (stub.sent()["amount"], stub.sent()["payeePayerName"]) == ("-58.31", "-")


def test_a_line_that_came_back_with_another_amount_is_ambiguous() -> None:
    stub = Stub({("POST", "/CheckAccountTransaction"): _line("4", "x", amount="11.8")})
    with pytest.raises(Ambiguous):
        stub.client.create_transaction("9", 1190, date(2026, 11, 22), "E", "x")


# -- look-ups ----------------------------------------------------------------------------------------


def test_trap_27_great_britain_is_three_countries() -> None:
    """Facts 5.1.27."""
    stub = Stub({})
    assert stub.client.country_id("GB") == "4"
    assert stub.client.country_id("de") == "1"
    assert code(lambda: stub.client.country_id("XX")) == "SEVDESK-COUNTRY"


def test_lookups_are_believed_for_a_day() -> None:
    stub = Stub({})
    for _ in range(3):
        assert (stub.client.contact_person(), stub.client.unity_id(), stub.client.country_id("DE")) == ("5", "1", "1")
    assert len(stub.asked) == 3
    stub.now += timedelta(hours=24)
    stub.client.contact_person()
    assert len(stub.asked) == 4
    stub.client.forget_lookups()
    stub.client.contact_person()
    assert len(stub.asked) == 5


def test_an_account_without_users_or_pieces_is_refused() -> None:
    stub = Stub({("GET", "/SevUser"): [], ("GET", "/Unity"): [{"id": "7", "name": "kg"}]})
    assert code(stub.client.contact_person) == "SEVDESK-USER"
    assert code(stub.client.unity_id) == "SEVDESK-UNITY"


def test_what_the_account_can_do() -> None:
    account = {
        "id": "9",
        "name": "Klarna",
        "type": "online",
        "importType": "CSV",
        "status": "100",
        "autoMapTransaction": "1",
    }
    stub = Stub(
        {
            ("GET", "/Tools/bookkeepingSystemVersion"): {"version": "2.0"},
            ("GET", "/TaxRule"): [{"id": "1", "name": "Umsatzsteuerpflichtige Umsätze", "code": "USTPFL_UMS_EINN"}],
            ("GET", "/CheckAccount"): [{**account, "id": "12", "status": "0"}, account],
            ("POST", "/CheckAccount/Factory/fileImportAccount"): account,
            ("PUT", "/CheckAccount/9"): account,
        }
    )
    assert stub.client.bookkeeping_version() == "2.0"
    assert [rule.id for rule in stub.client.tax_rules()] == [1]
    first, second = stub.client.check_accounts()
    assert (first.id, first.kind, first.import_type, first.active, first.auto_map) == ("9", "online", "CSV", True, True)
    assert not second.active
    assert stub.client.create_file_import_account("Klarna").id == "9"
    assert stub.sent() == {"name": "Klarna", "importType": "CSV"}
    stub.client.stop_auto_mapping("9")
    assert stub.sent() == {"autoMapTransaction": "0"}


def test_a_new_contact() -> None:
    stub = Stub({("POST", "/Contact"): [{"id": "71", "customerNumber": "S1-1"}]})
    assert stub.client.create_contact(draft().party) == "71"
    stub = Stub({("POST", "/Contact"): {"id": "71", "customerNumber": "1001"}})
    with pytest.raises(Ambiguous):
        stub.client.create_contact(draft().party)


def test_one_client_is_shared_by_threads() -> None:
    stub = Stub({("GET", "/Invoice/33"): INVOICE})
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                assert stub.client.country_id("GB") == "4"
                assert stub.client.get_invoice("33") is not None
                stub.client.forget_lookups()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
