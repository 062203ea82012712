"""Credit notes in sevdesk's words and ours, compared to the cent; their verbs (R4-R6, R12, R21, facts 2.11, 6.1)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from ladenbuch.domain.document import CreditNoteDraft, Party, Position
from ladenbuch.errors import Ambiguous, Rejected
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.credit_notes import (
    RemoteCreditNote,
    compare_credit_note,
    credit_note_hash,
    remote_credit_note,
    save_credit_note_body,
)
from ladenbuch.sevdesk.positions import RemotePosition, remote_positions

PARTY = Party("S1-1", "Erika Muster", "Erika", "Muster", None, "Hafenweg 3", None, "20457", "Hamburg")
SOAP = Position.of("Seife", 1, 899, Decimal("19"), text="SKU S-1")
BOOK = Position.of("Buch", 2, 1998, Decimal("7"))


def draft(*positions: Position, **changes: Any) -> CreditNoteDraft:
    chosen = positions or (SOAP, BOOK)
    values: dict[str, Any] = {
        "key": "cn:9911:1",
        "note": "s1:refund:9911",
        "currency": "EUR",
        "tax_rule": 1,
        "origin_key": "inv:1:a",
        "credit_note_date": date(2026, 11, 25),
        "delivery_date": date(2026, 11, 21),
        "party": PARTY,
        "positions": chosen,
        "money_returned": sum(position.gross for position in chosen),
        "origin_remaining": tuple({position.rate: 100_000 for position in chosen}.items()),
    }
    return CreditNoteDraft(**{**values, **changes})


def body(of: CreditNoteDraft) -> dict[str, Any]:
    return save_credit_note_body(of, "71", "5", "1", "1", invoice_id="33", number="GU-1007")


def answer_to(of: CreditNoteDraft) -> dict[str, Any]:
    """What sevdesk returns for a draft, in its own spellings."""
    sent, sums = body(of), of.sums.values()
    header = {
        **sent["creditNote"],
        "id": "55",
        "status": "100",
        "showNet": "0",
        "creditNoteDate": f"{of.credit_note_date}T00:00:00+01:00",
        "deliveryDate": f"{of.delivery_date}T00:00:00+01:00",
        "sumGross": str(Decimal(of.gross) / 100),
        "sumNet": str(Decimal(sum(total.net for total in sums)) / 100),
        "sumTax": str(Decimal(sum(total.tax for total in sums)) / 100),
        "paidAmount": 0,
    }
    del header["deliveryAddressCountry" if of.delivery_country else "mapAll"]  # not echoed
    lines = [
        {**item, "id": str(100 + at), "sumGross": None, "creditNote": {"id": "55", "objectName": "CreditNote"}}
        for at, item in enumerate(sent["creditNotePosSave"])
    ]
    return {"creditNote": header, "creditNotePos": lines}


def read(of: CreditNoteDraft) -> tuple[RemoteCreditNote, tuple[RemotePosition, ...]]:
    answer = answer_to(of)
    return remote_credit_note(answer["creditNote"]), remote_positions(answer["creditNotePos"])


# -- writing -----------------------------------------------------------------------------------------


def test_the_whole_body_of_a_credit_note() -> None:
    """Facts 2.11: its own example, with our fields."""
    assert body(draft(SOAP, foot_text="Zu Rechnung RE-1001", delivery_until=date(2026, 11, 22))) == {
        "creditNote": {
            "objectName": "CreditNote",
            "mapAll": True,
            "creditNoteNumber": "GU-1007",
            "creditNoteType": "CN",
            "contact": {"id": 71, "objectName": "Contact"},
            "contactPerson": {"id": 5, "objectName": "SevUser"},
            "creditNoteDate": "25.11.2026",
            "deliveryDate": "21.11.2026",
            "deliveryDateUntil": 1795302000,
            "status": 100,
            "header": "Rechnungskorrektur",
            "headText": "",
            "footText": "Zu Rechnung RE-1001",
            "addressName": "Erika Muster",
            "addressStreet": "Hafenweg 3",
            "addressZip": "20457",
            "addressCity": "Hamburg",
            "addressCountry": {"id": 1, "objectName": "StaticCountry"},
            "taxRule": {"id": "1", "objectName": "TaxRule"},
            "taxRate": 0,
            "taxText": "Umsatzsteuer",
            "currency": "EUR",
            "showNet": False,
            "bookingCategory": "UNDERACHIEVEMENT",
            "refSrcInvoice": {"id": 33, "objectName": "Invoice"},
            "customerInternalNote": "s1:refund:9911",
        },
        "creditNotePosSave": [
            {
                "objectName": "CreditNotePos",
                "mapAll": True,
                "quantity": "1",
                "price": "8.99",
                "name": "Seife",
                "text": "SKU S-1",
                "taxRate": "19",
                "unity": {"id": 1, "objectName": "Unity"},
                "positionNumber": 0,
            }
        ],
        "creditNotePosDelete": None,
        "discountSave": None,
        "discountDelete": None,
    }


def test_no_float_and_no_customer_letter_called_gutschrift() -> None:
    """Bookkeeping 3.3.8: "Gutschrift" is the word for self-billing."""
    written = json.dumps(body(draft()))
    assert "Gutschrift" not in written
    json.loads(written, parse_float=lambda text: pytest.fail(f"a float: {text}"))


def test_what_cannot_be_found_again_or_has_no_number_is_not_written() -> None:
    for note in ("", " s1", "a\x00b"):
        with pytest.raises(Rejected, match="SEVDESK-NOTE"):
            body(draft(note=note))
    with pytest.raises(Rejected, match="SEVDESK-NUMBER"):
        save_credit_note_body(draft(), "71", "5", "1", "1", invoice_id="33", number=" ")


# -- comparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        *((1, rate) for rate in ("19", "7", "0")),
        *((rule, "0") for rule in (2, 3, 5, 11, 17, 21)),
        *((18, rate) for rate in ("25.5", "20", "4.8")),
        *((19, "21"), (20, "5.5")),
    ],
)
def test_r21_an_equal_credit_note_has_no_difference(rule: int, rate: str) -> None:
    wanted = draft(Position.of("Teil", 1, 999, Decimal(rate)), tax_rule=rule, delivery_country="FR")
    remote, lines = read(wanted)
    assert compare_credit_note(wanted, remote, lines, invoice_id="33", number="GU-1007") == []
    assert remote.gross == 999


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("kind", {"kind": "XX"}),
        ("currency", {"currency": "CHF"}),
        ("tax_rule", {"tax_rule": 18}),
        ("tax_rule", {"tax_rule": None}),
        ("note", {"note": None}),
        ("note", {"note": "s1:refund:99110"}),
        ("show_net", {"show_net": True}),
        ("credit_note_date", {"credit_note_date": date(2026, 11, 24)}),
        ("delivery_date", {"delivery_date": None, "delivery_until": date(2026, 11, 21)}),
        ("delivery_until", {"delivery_until": date(2026, 11, 22)}),
        ("booking_category", {"booking_category": "PROVISION"}),
        ("invoice", {"invoice_id": "34"}),
        ("number", {"number": "GU-1008"}),
        ("gross", {"gross": 2896}),
        ("net", {"net": 1}),
        ("tax", {"tax": -1}),
    ],
)
def test_r21_one_changed_field_is_one_difference(field: str, change: dict[str, Any]) -> None:
    wanted = draft()
    remote, lines = read(wanted)
    changed = dataclasses.replace(remote, **change)
    found = compare_credit_note(wanted, changed, lines, invoice_id="33", number="GU-1007")
    assert [one.field for one in found] == [field]
    assert not any("refund" in str(one) for one in found), "notes are not shown"


def test_r21_one_cent_and_one_position_are_seen() -> None:
    wanted = draft()
    remote, (one, two) = read(wanted)
    dearer = dataclasses.replace(one, gross=900, price=Decimal("9.00"))
    fields = {item.field for item in compare_credit_note(wanted, remote, (dearer, two))}
    assert fields == {"gross[19]", "position[0].price", "position[0].gross"}
    assert "positions" in {item.field for item in compare_credit_note(wanted, remote, (one,))}


def test_what_sevdesk_may_not_return_is_not_compared() -> None:
    """Facts 2.11: category and source are undocumented fields; their absence proves nothing."""
    answer = answer_to(draft())
    for name in ("bookingCategory", "refSrcInvoice", "creditNoteType"):
        del answer["creditNote"][name]
    remote, lines = remote_credit_note(answer["creditNote"]), remote_positions(answer["creditNotePos"])
    assert (remote.invoice_id, remote.booking_category, remote.kind) == (None, None, "CN")
    assert compare_credit_note(draft(), remote, lines, invoice_id="33") == []
    assert remote_credit_note({**answer["creditNote"], "origin": {"id": "33"}}).invoice_id == "33"


def test_r12_the_fingerprint_changes_by_a_persons_edit_and_by_nothing_else() -> None:
    remote, lines = read(draft())
    posted = credit_note_hash(remote, lines)
    later = dataclasses.replace(
        remote, status=1000, paid=2897, enshrined=True, send_type="VPDF", sent_at=datetime.now(UTC), number="GU-1"
    )
    assert credit_note_hash(later, lines) == posted
    header = answer_to(draft())["creditNote"]
    for change in ({"footText": "Gruß"}, {"addressCity": "Kiel"}, {"sumTax": "9"}, {"refSrcInvoice": {"id": "34"}}):
        assert credit_note_hash(remote_credit_note({**header, **change}), lines) != posted
    assert credit_note_hash(remote, (dataclasses.replace(lines[0], name="Seife!"), *lines[1:])) != posted


def test_no_names_in_representations() -> None:
    remote, lines = read(draft())
    assert "Muster" not in repr(remote) + repr(lines)


# -- verbs -------------------------------------------------------------------------------------------

LOOKUPS: dict[str, list[dict[str, Any]]] = {
    "/SevUser": [{"id": "5", "status": "100"}],
    "/Unity": [{"id": "1", "name": "Stk"}],
    "/StaticCountry": [{"id": "1", "code": "de", "nameEn": "Germany"}],
}
ROW = {"id": "55", "status": "100", "creditNoteNumber": "GU-1007", "customerInternalNote": "n", "contact": {"id": "71"}}


class Stub:
    """Answers by (method, path); keeps what was asked."""

    def __init__(self, answers: dict[tuple[str, str], Any]) -> None:
        self.answers = answers
        self.asked: list[httpx2.Request] = []
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        clock = lambda: datetime(2026, 11, 25, tzinfo=UTC)  # noqa: E731
        self.client = Sevdesk(
            "https://sevdesk.invalid/api/v1", lambda: "token", http, clock=clock, sleep=lambda seconds: None
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        found = self.answers.get((request.method, path), LOOKUPS.get(path))
        found = found(request) if callable(found) else found
        if isinstance(found, httpx2.Response):
            return found
        assert found is not None, f"unexpected {request.method} {path}"
        return httpx2.Response(200, json={"objects": found})


def refused(number: int | None, status: int = 422, message: str = "x") -> httpx2.Response:
    return httpx2.Response(status, json={"objects": None, "error": {"message": message, "code": number}})


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value.code


def test_a_credit_note_is_found_by_its_note() -> None:
    stub = Stub({("GET", "/CreditNote"): [{**ROW, "id": "56"}, ROW, {**ROW, "id": "57", "customerInternalNote": "N"}]})
    assert [one.id for one in stub.client.find_credit_notes("n", "71")] == ["55", "56"]
    assert len(stub.asked) == 1
    assert stub.asked[0].url.params["customerInternalNote"] == "n"


def by_filter(note: list[Any], contact: list[Any]) -> Callable[[httpx2.Request], list[Any]]:
    return lambda request: contact if "contact[id]" in request.url.params else note


def test_where_the_note_filter_is_ignored_the_contacts_credit_notes_are_compared() -> None:
    """Facts 6.1: not documented for credit notes; everything comes back."""
    other = {**ROW, "id": "40", "customerInternalNote": None}
    far = {**ROW, "id": "41", "contact": {"id": "99"}, "customerInternalNote": "m"}
    stub = Stub({("GET", "/CreditNote"): by_filter([far, other, ROW], [other, ROW])})
    assert [one.id for one in stub.client.find_credit_notes("n", "71")] == ["55"]
    assert stub.asked[1].url.params["contact[objectName]"] == "Contact"
    assert Stub({("GET", "/CreditNote"): by_filter([far], [other])}).client.find_credit_notes("n", "71") == []
    both = Stub({("GET", "/CreditNote"): by_filter([far, ROW], [far, ROW])})
    assert code(lambda: both.client.find_credit_notes("n", "71")) == "SEVDESK-IMPLAUSIBLE"
    assert code(lambda: stub.client.find_credit_notes(" ", "71")) == "SEVDESK-KEY"


def test_an_implausible_number_of_credit_notes_is_refused() -> None:
    def endless(request: httpx2.Request) -> list[Any]:
        limit, offset = int(request.url.params["limit"]), int(request.url.params["offset"])
        return [{**ROW, "id": str(1 + at), "customerInternalNote": f"m{at}"} for at in range(offset, offset + limit)]

    stub = Stub({("GET", "/CreditNote"): endless})
    assert code(lambda: stub.client.find_credit_notes("n", "71")) == "SEVDESK-IMPLAUSIBLE"
    assert len(stub.asked) == 1 + 5


def test_r13_the_credit_notes_of_an_invoice_whoever_made_them() -> None:
    rows = [
        {**ROW, "id": "60", "refSrcInvoice": {"id": "33"}, "customerInternalNote": None},
        {**ROW, "id": "58", "origin": {"id": "33"}},
        {**ROW, "id": "59", "refSrcInvoice": {"id": "34"}},
        ROW,
    ]
    found = Stub({("GET", "/CreditNote"): rows}).client.credit_notes_of("33", "71")
    assert [one.id for one in found] == ["58", "60"]


def test_the_next_number_is_asked_for_or_put_together_from_the_sequence() -> None:
    asked = ("GET", "/CreditNote/Factory/getNextCreditNoteNumber")
    sequence = ("GET", "/SevSequence/Factory/getByType")
    assert Stub({asked: "GU-1007"}).client.next_credit_note_number() == "GU-1007"
    for missing in (refused(None, 404), {"what": "else"}, httpx2.Response(200, json={"objects": None})):
        stub = Stub({asked: missing, sequence: {"format": "GU-%NUMBER", "nextSequence": "1007"}})
        assert stub.client.next_credit_note_number() == "GU-1007"
    strange = Stub({asked: refused(None, 404), sequence: {"format": "GU-%YEAR-%NUMBER", "nextSequence": "7"}})
    assert code(strange.client.next_credit_note_number) == "SEVDESK-SEQUENCE"
    locked = Stub({asked: refused(None, 401)})
    assert code(locked.client.next_credit_note_number) == "SEVDESK-TOKEN"
    assert len(locked.asked) == 1


def test_saving_reads_what_sevdesk_made_of_it() -> None:
    stub = Stub({("POST", "/CreditNote/Factory/saveCreditNote"): answer_to(draft())})
    found = stub.client.save_credit_note(draft(), "71", "33", "GU-1007")
    assert (found.id, found.gross, found.is_draft, found.is_finalised) == ("55", 2897, True, False)
    assert found.positions is not None
    assert compare_credit_note(draft(), found, found.positions, invoice_id="33", number="GU-1007") == []
    for answer in ([], {}, {"creditNote": ROW}, {"creditNote": {}, "creditNotePos": []}):
        with pytest.raises(Ambiguous):
            Stub({("POST", "/CreditNote/Factory/saveCreditNote"): answer}).client.save_credit_note(
                draft(), "71", "33", "GU-1007"
            )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(455), "SEVDESK-455"),
        (refused(456), "SEVDESK-456"),
        (refused(460), "SEVDESK-460"),
        (refused(421), "SEVDESK-421"),
        (refused(7100), "SEVDESK-7100"),
        (refused(None, message="creditNoteNumber is already in use"), "SEVDESK-NUMBER"),
    ],
)
def test_refusals_have_stable_codes(answer: httpx2.Response, expected: str) -> None:
    stub = Stub({("POST", "/CreditNote/Factory/saveCreditNote"): answer})
    assert code(lambda: stub.client.save_credit_note(draft(), "71", "33", "GU-1007")) == expected


def test_positions_of_another_credit_note_show_that_the_filter_was_ignored() -> None:
    mine = {"id": "1", "quantity": "1", "price": "8.99", "taxRate": "19", "creditNote": {"id": "55"}}
    found = Stub({("GET", "/CreditNotePos"): [mine]}).client.credit_note_positions("55")
    assert [(line.gross, line.net) for line in found] == [(899, 755)]
    for other in ({**mine, "creditNote": {"id": "54"}}, {**mine, "creditNote": None}):
        stub = Stub({("GET", "/CreditNotePos"): [mine, {**other, "id": "2"}]})
        assert code(lambda stub=stub: stub.client.credit_note_positions("55")) == "SEVDESK-IMPLAUSIBLE"  # type: ignore[misc]


def test_finalising_takes_the_number_and_mails_nothing() -> None:
    stub = Stub({("PUT", "/CreditNote/55/sendBy"): {**ROW, "status": "200"}})
    assert stub.client.finalise_credit_note("55").is_finalised
    assert json.loads(stub.asked[-1].content) == {"sendType": "VPDF", "sendDraft": False}
    taken = Stub({("PUT", "/CreditNote/55/sendBy"): refused(None, message="number GU-1007 is already in use")})
    assert code(lambda: taken.client.finalise_credit_note("55")) == "SEVDESK-NUMBER"
    with pytest.raises(Ambiguous):
        Stub({("PUT", "/CreditNote/55/sendBy"): {**ROW, "id": "56"}}).client.finalise_credit_note("55")


def test_money_given_back_is_negative() -> None:
    log = {"fromStatus": "200", "toStatus": "1000", "ammountPayed": "58.31"}
    stub = Stub({("PUT", "/CreditNote/55/bookAmount"): log})
    assert stub.client.book_credit_note("55", -5831, date(2026, 11, 25), "9", "4").to_status == 1000
    sent = json.loads(stub.asked[-1].content)
    assert (sent["amount"], sent["date"], sent["checkAccountTransaction"]["id"]) == ("-58.31", "25.11.2026", 4)
    stub.client.book_credit_note("55", -5831, date(2026, 11, 25), "9", None)
    assert json.loads(stub.asked[-1].content)["amount"] == "58.31", "offline accounts take it without the sign"
    for amount in (0, 5831):
        assert code(lambda amount=amount: stub.client.book_credit_note("55", amount, date(2026, 11, 25), "9", "4")) == (  # type: ignore[misc]
            "SEVDESK-SIGN"
        )


def test_drafts_are_deleted_and_pdfs_never_finalise() -> None:
    Stub({("DELETE", "/CreditNote/55"): refused(151, 404)}).client.delete_credit_note_draft("55")
    kept = Stub({("DELETE", "/CreditNote/55"): refused(159, 409)})
    assert code(lambda: kept.client.delete_credit_note_draft("55")) == "SEVDESK-159"
    stub = Stub({("GET", "/CreditNote/55/getPdf"): {"filename": ".pdf", "content": "JVBERi0="}})
    assert stub.client.credit_note_pdf("55").filename == "Rechnungskorrektur.pdf"
    assert stub.asked[-1].url.params["preventSendBy"] == "true"
    assert Stub({("GET", "/CreditNote/55"): refused(151, 404)}).client.get_credit_note("55") is None


@pytest.mark.parametrize("id_", ["", "1/../2", "abc"])
def test_only_digits_get_into_a_path(id_: str) -> None:
    stub = Stub({})
    client = stub.client
    for call in (
        client.get_credit_note,
        client.credit_note_positions,
        client.finalise_credit_note,
        client.delete_credit_note_draft,
        client.credit_note_pdf,
        client.cancel_invoice,
        client.contact_addresses,
        client.get_contact,
        lambda id_: client.book_credit_note("1", -1, date(2026, 11, 25), id_, None),
        lambda id_: client.credit_notes_of("1", id_),
    ):
        assert code(lambda call=call: call(id_)) == "SEVDESK-ID"  # type: ignore[misc]
    assert stub.asked == []
