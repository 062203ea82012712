"""Drafts in sevdesk's words, sevdesk's documents in ours, compared to the cent (R5, R12, R15, R21, facts 2.5, 5.2)."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ladenbuch.domain.document import InvoiceDraft, Party, Position
from ladenbuch.domain.money import to_minor
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk import contacts, documents
from ladenbuch.sevdesk import positions as lines
from ladenbuch.sevdesk.documents import compare, content_hash
from ladenbuch.sevdesk.positions import Difference

SAMPLES = Path(os.environ.get("LADENBUCH_SAMPLES", Path(__file__).parents[2].parent / "shared" / "samples"))
PARTY = Party(
    customer_number="S1-70012",
    name="Erika Muster",
    first_name="Erika",
    last_name="Muster",
    street="Hafenweg 3",
    zip="20457",
    city="Hamburg",
)
MUGS = Position.of("Tasse", 2, 2590, Decimal("19"), text="SKU T-1")
BOOKS = Position.of("Buch", 3, 2997, Decimal("7"))


def draft(*positions: Position, **changes: Any) -> InvoiceDraft:
    chosen = positions or (MUGS, BOOKS)
    claim: dict[Decimal, int] = {}
    for position in chosen:
        claim[position.rate] = claim.get(position.rate, 0) + position.gross
    values: dict[str, Any] = {
        "key": "inv:1:a",
        "note": "#1001 / s1-5001234567890",
        "currency": "EUR",
        "tax_rule": 1,
        "invoice_date": date(2026, 11, 22),
        "delivery_date": date(2026, 11, 21),
        "party": PARTY,
        "positions": chosen,
        "claim": tuple(claim.items()),
    }
    return InvoiceDraft(**{**values, **changes})


def body(of: InvoiceDraft) -> dict[str, Any]:
    return documents.save_invoice_body(of, "71", "5", "1", "1")


def answer_to(of: InvoiceDraft) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What sevdesk returns for a draft, in its own spellings: strings, null sums of positions, days with offset."""
    sent = body(of)
    sums = [of.gross, sum(total.net for total in of.sums.values()), sum(total.tax for total in of.sums.values())]
    invoice = {
        **sent["invoice"],
        "id": "33",
        "status": "100",
        "invoiceDate": f"{of.invoice_date}T00:00:00+01:00",
        "deliveryDate": f"{of.delivery_date}T00:00:00+01:00",
        "showNet": "0",
        **{name: f"{Decimal(cents) / 100}" for name, cents in zip(("sumGross", "sumNet", "sumTax"), sums, strict=True)},
        "paidAmount": 0,
        "enshrined": None,
        "sendDate": None,
        "origin": None,
    }
    positions = [{**item, "id": str(100 + at), "sumGross": None} for at, item in enumerate(sent["invoicePosSave"])]
    for item in positions:
        if item["quantity"] == "1":
            item["quantity"] = True
    return invoice, positions


def read(of: InvoiceDraft) -> tuple[documents.RemoteInvoice, tuple[lines.RemotePosition, ...]]:
    invoice, positions = answer_to(of)
    return documents.remote_invoice(invoice), lines.remote_positions(positions)


# -- writing ----------------------------------------------------------------------------------------


def test_the_whole_body_of_an_ordinary_invoice() -> None:
    """Every quirk of facts 2.5: no number, status 100, taxRate 0, no taxType, decimal strings, four last keys."""
    found = body(draft(head_text="Vielen Dank", time_to_pay=14))
    assert found == {
        "invoice": {
            "objectName": "Invoice",
            "mapAll": True,
            "invoiceNumber": None,
            "contact": {"id": 71, "objectName": "Contact"},
            "contactPerson": {"id": 5, "objectName": "SevUser"},
            "invoiceDate": "22.11.2026",
            "deliveryDate": "21.11.2026",
            "status": 100,
            "invoiceType": "RE",
            "currency": "EUR",
            "taxRule": {"id": "1", "objectName": "TaxRule"},
            "taxRate": 0,
            "taxText": "Umsatzsteuer",
            "discount": 0,
            "showNet": False,
            "addressName": "Erika Muster",
            "addressStreet": "Hafenweg 3",
            "addressCity": "Hamburg",
            "addressZip": "20457",
            "addressCountry": {"id": 1, "objectName": "StaticCountry"},
            "customerInternalNote": "#1001 / s1-5001234567890",
            "header": "Rechnung",
            "headText": "Vielen Dank",
            "footText": "",
            "timeToPay": 14,
        },
        "invoicePosSave": [
            {
                "objectName": "InvoicePos",
                "mapAll": True,
                "quantity": "2",
                "price": "12.95",
                "name": "Tasse",
                "text": "SKU T-1",
                "taxRate": "19",
                "unity": {"id": 1, "objectName": "Unity"},
                "positionNumber": 0,
            },
            {
                "objectName": "InvoicePos",
                "mapAll": True,
                "quantity": "3",
                "price": "9.99",
                "name": "Buch",
                "text": "",
                "taxRate": "7",
                "unity": {"id": 1, "objectName": "Unity"},
                "positionNumber": 1,
            },
        ],
        "invoicePosDelete": None,
        "discountSave": None,
        "discountDelete": None,
        "takeDefaultAddress": False,
    }
    assert list(found)[2:] == ["invoicePosDelete", "discountSave", "discountDelete", "takeDefaultAddress"]


def test_no_float_anywhere_in_a_body() -> None:
    def leaves(value: Any) -> list[Any]:
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return [value] if items is None else [leaf for item in items for leaf in leaves(item)]

    assert not [leaf for leaf in leaves(body(draft())) if isinstance(leaf, (float, Decimal))]


def test_shop_text_is_escaped_where_sevdesk_prints_html_and_only_there() -> None:
    evil = Position.of('Tasse <b>"A&B"</b>', 1, 1190, Decimal("19"), text="<img src=x>")
    found = body(draft(evil, head_text="Hallo <script>alert(1)</script> & Co\nZeile 2", foot_text="a < b"))
    invoice = found["invoice"]
    assert invoice["headText"] == "Hallo &lt;script&gt;alert(1)&lt;/script&gt; &amp; Co<br>Zeile 2"
    assert invoice["footText"] == "a &lt; b"
    assert found["invoicePosSave"][0]["name"] == 'Tasse <b>"A&B"</b>'


def test_a_long_name_is_cut_to_100_and_whole_in_the_text() -> None:
    """Facts 5.1.30."""
    name = "Sehr lange Bezeichnung " * 8
    (position,) = body(draft(Position.of(name, 1, 1190, Decimal("19"), text="SKU 1")))["invoicePosSave"]
    assert len(position["name"]) == 100
    assert position["name"].endswith("…")
    assert position["text"] == f"{name.strip()}\nSKU 1"


def test_a_cut_address_is_whole_in_the_head_text() -> None:
    """UStG §14 (4) no. 1 wants the full name and address."""
    name = "Gesellschaft für sehr lange Namen " * 4 + "& Söhne"
    invoice = body(draft(party=dataclasses.replace(PARTY, company=name), head_text="Hallo"))["invoice"]
    assert len(invoice["addressName"]) == 100
    assert invoice["headText"].startswith("Hallo<br>Gesellschaft für")
    assert "&amp; Söhne, Erika Muster" in invoice["headText"]


def test_the_company_stands_first_and_both_street_lines_are_kept() -> None:
    party = dataclasses.replace(PARTY, company="Muster GmbH", street2="Hinterhaus")
    invoice = body(draft(party=party))["invoice"]
    assert invoice["addressName"] == "Muster GmbH, Erika Muster"
    assert invoice["addressStreet"] == "Hafenweg 3, Hinterhaus"


def test_a_delivery_range() -> None:
    found = body(draft(delivery_until=date(2026, 11, 22)))["invoice"]
    assert found["deliveryDateUntil"] == 1795302000  # midnight in Berlin
    assert "deliveryDateUntil" not in body(draft())["invoice"]


@pytest.mark.parametrize("note", [" x", "x\x00", "x\n", "", "x\ud83d"])
def test_a_note_that_would_not_survive_is_refused(note: str) -> None:
    """It is the key by which a lost draft is found again (facts 6.1)."""
    with pytest.raises(Rejected) as caught:
        body(draft(note=note))
    assert caught.value.code == "SEVDESK-NOTE"


def test_only_tax_rules_for_invoices() -> None:
    """Facts 3.1: rule 22 exists for vouchers only."""
    with pytest.raises(Rejected) as caught:
        body(draft(tax_rule=22))
    assert caught.value.code == "SEVDESK-TAX-RULE"


def test_contacts_are_persons_or_organisations() -> None:
    """Facts 2.2: `surename` is the first name, and `name` makes an organisation for good."""
    person = contacts.contact_body(PARTY)
    assert (person["surename"], person["familyname"], person["customerNumber"]) == ("Erika", "Muster", "S1-70012")
    assert "name" not in person
    company = contacts.contact_body(dataclasses.replace(PARTY, company="Muster GmbH"))
    assert company["name"] == "Muster GmbH"
    assert "surename" not in company
    nameless = contacts.contact_body(Party(customer_number="x", name="Gast"))
    assert (nameless["surename"], nameless["familyname"]) == ("", "Gast")


def test_s143_a_single_name_is_the_family_name_once() -> None:
    for first, last in (("Madonna", None), (None, "Madonna")):
        body = contacts.contact_body(Party("x", "Madonna", first, last))
        assert (body["surename"], body["familyname"]) == ("", "Madonna")


def test_b11_the_shared_debtor_bears_no_buyers_name() -> None:
    shared = contacts.contact_body(dataclasses.replace(PARTY, customer_number="s1-sammel", collective=True))
    assert (shared["name"], shared["customerNumber"]) == ("Sammeldebitor", "s1-sammel")
    assert not {"surename", "familyname", "vatNumber"} & set(shared)


# -- reading ----------------------------------------------------------------------------------------


def test_an_invoice_in_sevdesks_own_spelling() -> None:
    found = documents.remote_invoice(
        {
            "id": "33",
            "invoiceType": "SR",
            "status": "1000",
            "invoiceNumber": "RE-1008",
            "customerInternalNote": "s1-1",
            "currency": "EUR",
            "taxRule": {"id": "1", "objectName": "TaxRule"},
            "showNet": "0",
            "invoiceDate": "2026-11-22T00:00:00+01:00",
            "deliveryDate": None,
            "sumGross": "-21.9",
            "sumNet": "-18.4",
            "sumTax": "-3.5",
            "paidAmount": Decimal("-21.9"),
            "contact": {"id": "71"},
            "origin": {"id": "32", "objectName": "Invoice"},
            "enshrined": "2026-11-22T10:00:01+01:00",
            "sendDate": "2026-11-22T10:00:00+01:00",
            "sendType": "VPDF",
        }
    )
    assert (found.gross, found.net, found.tax, found.paid) == (-2190, -1840, -350, -2190)
    assert (found.kind, found.status, found.number, found.origin_id) == ("SR", 1000, "RE-1008", "32")
    assert (found.enshrined, found.delivery_date, found.is_finalised, found.is_draft) == (True, None, True, False)


def test_an_invoice_without_identity_is_refused() -> None:
    for broken in ({"status": "100"}, {"id": "1"}, {"id": "x", "status": 100}):
        with pytest.raises(Rejected) as caught:
            documents.remote_invoice(broken)
        assert caught.value.code == "SEVDESK-SHAPE"


def test_measured_sums_of_a_gross_document() -> None:
    """Facts 5.2, measured: 1 x 11.90 + 2 x 5.00 at 19 % -> 21.90 / 18.40 / 3.50."""
    positions = lines.remote_positions(
        [
            {"id": 2, "positionNumber": "1", "quantity": "2", "price": "5", "taxRate": "19"},
            {"id": 1, "positionNumber": "0", "quantity": True, "price": "11.9", "taxRate": "19.00"},
        ]
    )
    assert [position.id for position in positions] == ["1", "2"]
    assert lines.sums_per_rate(positions) == {Decimal("19"): (2190, 1840, 350)}


# -- comparing --------------------------------------------------------------------------------------


def test_r21_an_equal_document_has_no_difference() -> None:
    wanted = draft(delivery_until=date(2026, 11, 22), delivery_date=date(2026, 11, 20))
    remote, positions = read(wanted)
    remote = dataclasses.replace(remote, delivery_until=date(2026, 11, 22))
    assert compare(wanted, remote, positions) == []


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("kind", {"kind": "AR"}),
        ("currency", {"currency": "CHF"}),
        ("tax_rule", {"tax_rule": 4}),
        ("note", {"note": "#1001 / s1-5001234567891"}),
        ("note", {"note": None}),
        ("show_net", {"show_net": True}),
        ("invoice_date", {"invoice_date": date(2026, 11, 23)}),
        ("delivery_date", {"delivery_date": None}),
        ("gross", {"gross": 5588}),
        ("net", {"net": 4978}),
        ("tax", {"tax": 611}),
    ],
)
def test_r21_one_changed_field_of_the_document_is_one_difference(field: str, change: dict[str, Any]) -> None:
    wanted = draft()
    remote, positions = read(wanted)
    found = compare(wanted, dataclasses.replace(remote, **change), positions)
    expected = {field, "delivery_until"} if field == "delivery_date" else {field}
    assert {difference.field for difference in found} == expected
    assert "5001234567891" not in str(found)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"gross": 2591, "net": 2177}, {"gross[19]", "net[19]", "position[0].gross"}),
        ({"net": 2175, "tax": 415}, {"net[19]", "tax[19]"}),
        ({"rate": Decimal("7")}, {f"{name}[{rate}]" for name in ("gross", "net", "tax") for rate in (7, 19)}
         | {"position[0].rate"}),
        ({"quantity": Decimal("2.5")}, {"position[0].quantity"}),
        ({"price": Decimal("12.949")}, {"position[0].price"}),
    ],
)  # fmt: skip
def test_r21_one_cent_on_one_position_is_seen_even_when_the_total_agrees(
    change: dict[str, Any], fields: set[str]
) -> None:
    wanted = draft()
    remote, positions = read(wanted)
    changed = (dataclasses.replace(positions[0], **change), *positions[1:])
    assert {difference.field for difference in compare(wanted, remote, changed)} == fields


def test_r21_a_missing_and_a_foreign_position_are_seen() -> None:
    wanted = draft()
    remote, positions = read(wanted)
    assert Difference("positions", "2", "1") in compare(wanted, remote, positions[:1])
    assert str(Difference("positions", "2", "1")) == "positions: expected 2, found 1"
    assert Difference("positions", "2", "3") in compare(wanted, remote, (*positions, positions[0]))
    assert compare(wanted, remote, ()) != []


def _golden() -> list[Any]:
    path = SAMPLES / "golden-documents.json"
    if not path.is_file():
        return []
    return [pytest.param(case, id=case["id"]) for case in json.loads(path.read_text(), parse_float=Decimal)]


@pytest.mark.skipif(not _golden(), reason="needs golden-documents.json: set LADENBUCH_SAMPLES to its folder")
@pytest.mark.parametrize("case", _golden())
def test_golden_documents_are_written_and_read_back_to_the_cent(case: dict[str, Any]) -> None:
    """bookkeeping.md 2.6: positions as sent give exactly the sums sevdesk's arithmetic gives."""
    positions = tuple(
        Position(
            item["name"],
            int(item["quantity"]),
            to_minor(item["unit_gross"]),
            int(item["quantity"]) * to_minor(item["unit_gross"]),
            Decimal(item["tax_rate"]),
        )
        for item in case["positions"]
    )
    wanted = draft(*positions, tax_rule=18 if "20" in case["expect"] else 1)
    sent = body(wanted)["invoicePosSave"]
    assert [(item["quantity"], item["price"], item["taxRate"]) for item in sent] == [
        (item["quantity"], item["unit_gross"], item["tax_rate"]) for item in case["positions"]
    ]
    remote, returned = read(wanted)
    expected = {Decimal(rate): tuple(sums) for rate, sums in case["expect"].items()}
    assert lines.sums_per_rate(returned) == expected
    assert remote.gross == case["shop_total"]
    assert compare(wanted, remote, returned) == []


# -- fingerprint --------------------------------------------------------------------------------------


def test_r12_the_fingerprint_does_not_change_by_finalising_and_paying() -> None:
    remote, positions = read(draft())
    posted = content_hash(remote, positions)
    later = dataclasses.replace(remote, status=1000, number="RE-1001", paid=5587, enshrined=True, send_type="VPDF")
    assert content_hash(later, positions) == posted


def test_r12_the_fingerprint_is_the_same_however_sevdesk_spells_its_answer() -> None:
    invoice, items = answer_to(draft())
    posted = content_hash(documents.remote_invoice(invoice), lines.remote_positions(items))
    invoice.update(sumGross=f"{invoice['sumGross']}0", showNet=False, timeToPay=None, taxRule={"id": 1})
    for item in items:
        item.update(quantity=f"{int(item['quantity'])}.0", price=Decimal(item["price"]), positionNumber=None)
    assert content_hash(documents.remote_invoice(invoice), lines.remote_positions(items)) == posted


@pytest.mark.parametrize(
    "change",
    [
        {"addressName": "Max Muster"},
        {"headText": "anders"},
        {"taxText": "anders"},
        {"customerInternalNote": "anders"},
        {"taxRule": {"id": 4}},
        {"contact": {"id": 72}},
        {"deliveryDate": "20.11.2026"},
        {"sumGross": "55.88"},
        {"timeToPay": 7},
    ],
    ids=lambda change: next(iter(change)),
)
def test_r12_the_fingerprint_changes_when_a_person_edits_the_document(change: dict[str, Any]) -> None:
    invoice, items = answer_to(draft())
    posted = content_hash(documents.remote_invoice(invoice), lines.remote_positions(items))
    invoice.update(change)
    assert content_hash(documents.remote_invoice(invoice), lines.remote_positions(items)) != posted


@pytest.mark.parametrize(
    "change", [{"name": "x"}, {"text": "x"}, {"price": "9.98"}, {"taxRate": "19"}, {"quantity": 4}]
)
def test_r12_the_fingerprint_changes_when_a_person_edits_a_position(change: dict[str, Any]) -> None:
    invoice, items = answer_to(draft())
    remote = documents.remote_invoice(invoice)
    posted = content_hash(remote, lines.remote_positions(items))
    items[1].update(change)
    assert content_hash(remote, lines.remote_positions(items)) != posted


def test_no_names_in_representations() -> None:
    remote, positions = read(draft())
    assert "Muster" not in repr(remote) + repr(positions)
    assert "Hafenweg" not in repr(remote)
