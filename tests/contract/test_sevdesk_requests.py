"""Every request the sevdesk client sends, against the published description plus an overlay of ours.

The description alone refuses every invoice that works live (facts 8.2), and says nothing about parameters it does not
know, which the live service ignores silently (facts 5.1.1). So here unknown parameters and unknown fields are errors,
each patch of the overlay cites a measured fact, and a patch nothing needs is an error too.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from openapi_schema_validator import OAS30WriteValidator, oas30_format_checker

from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Party, Position
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.credit_notes import save_credit_note_body
from ladenbuch.sevdesk.documents import save_invoice_body

SPECS = Path(os.environ.get("LADENBUCH_SPECS", Path(__file__).parents[2].parent / "shared" / "specs"))
PATCHED, OFFICIAL = (SPECS / f"sevdesk-openapi-{name}.yaml.gz" for name in ("patched", "official"))
OVERLAY = yaml.safe_load((Path(__file__).parent / "sevdesk_overlay.yaml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(
    not (PATCHED.is_file() and OFFICIAL.is_file()),
    reason="needs sevdesk-openapi-*.yaml.gz: mirrored in j-mastr/sevdesk-api; name their folder in LADENBUCH_SPECS",
)

DRAFT = InvoiceDraft(
    key="inv:1:a",
    note="#1001 / s1-5001234567890",
    currency="EUR",
    tax_rule=1,
    invoice_date=date(2026, 11, 22),
    delivery_date=date(2026, 11, 20),
    delivery_until=date(2026, 11, 21),
    party=Party("S1-1", "Erika Muster", "Erika", "Muster", None, "Hafenweg 3", None, "20457", "Hamburg"),
    positions=(
        Position.of("Tasse", 2, 2590, Decimal("19"), text="SKU 1"),
        Position.of("Buch", 1, 999, Decimal("7")),
    ),
    claim=((Decimal("19"), 2590), (Decimal("7"), 999)),
    head_text="Hallo\nWelt",
    foot_text="Danke",
    time_to_pay=14,
)
COMPANY = replace(DRAFT.party, company="Muster GmbH", vat_id="FR32123456789")
OSS = replace(DRAFT, tax_rule=18, delivery_country="FR", party=COMPANY)
#: Everything an e-invoice has beyond an ordinary invoice (facts 2.5, 4.4).
E_INVOICE = replace(
    DRAFT,
    party=replace(COMPANY, vat_id="DE136695976", email="einkauf@muster.example"),
    positions=(*Position.of("Tasse", 3, 2398, Decimal("19"), text="SKU 1").in_whole_pieces("Tasse", 3),),
    claim=((Decimal("19"), 2398),),
    delivery_until=None,
    head_text="Bestellung #1001 vom 20.11.2026, Ihre Bestellnummer PO-118",
    e_invoice=True,
    buyer_reference="PO-118",
    payment_means="58",
)
CREDIT_NOTE = CreditNoteDraft(
    key="cn:9:33",
    note="s1:refund:9",
    currency="EUR",
    tax_rule=18,
    origin_key=OSS.key,
    credit_note_date=date(2026, 11, 25),
    delivery_date=OSS.delivery_date,
    delivery_until=OSS.delivery_until,
    delivery_country="FR",
    party=COMPANY,
    positions=(Position.of("Erstattung Tasse", 1, 899, Decimal("19"), text="SKU 1"),),
    money_returned=899,
    origin_remaining=OSS.claim,
    head_text="Hallo",
)
OCTOBER = date(2026, 10, 1), date(2026, 11, 1)


def read(page: Any) -> Any:
    """One page, asked for once."""
    return page()


VERBS: dict[str, Callable[[Sevdesk], object]] = {
    "bookkeeping_version": lambda sevdesk: sevdesk.bookkeeping_version(),
    "tax_rules": lambda sevdesk: sevdesk.tax_rules(),
    "check_accounts": lambda sevdesk: sevdesk.check_accounts(),
    "create_file_import_account": lambda sevdesk: sevdesk.create_file_import_account("Klarna", number="1361"),
    "create_offline_account": lambda sevdesk: sevdesk.create_offline_account("Gutscheine", number="1605"),
    "free_lines": lambda sevdesk: sevdesk.free_lines("9", date(2026, 11, 1), date(2026, 11, 22)),
    "bank_lines": lambda sevdesk: sevdesk.bank_lines("9", date(2026, 11, 1)),
    "count_lines": lambda sevdesk: sevdesk.count_lines("9", date(2026, 11, 1)),
    "stop_auto_mapping": lambda sevdesk: sevdesk.stop_auto_mapping("9"),
    "company": lambda sevdesk: sevdesk.company(),
    "users": lambda sevdesk: sevdesk.users(),
    "number_range": lambda sevdesk: sevdesk.number_range("Invoice"),
    "revenue_accounts": lambda sevdesk: sevdesk.revenue_accounts(),
    "has_categories": lambda sevdesk: sevdesk.has_categories(),
    "contact_person": lambda sevdesk: sevdesk.contact_person(),
    "country_id": lambda sevdesk: sevdesk.country_id("DE"),
    "country_code": lambda sevdesk: sevdesk.country_code("1"),
    "tagged": lambda sevdesk: sevdesk.tagged("Shopify"),
    "unity_id": lambda sevdesk: sevdesk.unity_id(),
    "find_contact": lambda sevdesk: sevdesk.find_contact("S1-1"),
    "contacts_with_email": lambda sevdesk: sevdesk.contacts_with_email("erika@example.org"),
    "organisations_with_vat_id": lambda sevdesk: sevdesk.organisations_with_vat_id("FR32123456789"),
    "get_contact": lambda sevdesk: sevdesk.get_contact("33"),
    "create_contact": lambda sevdesk: sevdesk.create_contact(DRAFT.party),
    "create_contact (company)": lambda sevdesk: sevdesk.create_contact(COMPANY),
    "create_contact (shared debtor)": lambda sevdesk: sevdesk.create_contact(replace(COMPANY, collective=True)),
    "create_address": lambda sevdesk: sevdesk.create_address("71", COMPANY),
    "create_email": lambda sevdesk: sevdesk.create_email("71", "erika@example.org"),
    "set_vat_number": lambda sevdesk: sevdesk.set_vat_number("33", "FR32123456789"),
    "contact_addresses": lambda sevdesk: sevdesk.contact_addresses("71"),
    "add_address": lambda sevdesk: sevdesk.add_address("71", COMPANY),
    "communication_ways": lambda sevdesk: sevdesk.communication_ways("71"),
    "add_email": lambda sevdesk: sevdesk.add_email("71", "erika@example.org"),
    "find_invoices": lambda sevdesk: sevdesk.find_invoices("s1-1"),
    "listed": lambda sevdesk: list(sevdesk.listed("Invoice", *OCTOBER, read)),
    "listed (credit notes)": lambda sevdesk: list(sevdesk.listed("CreditNote", *OCTOBER, read)),
    "changed": lambda sevdesk: list(sevdesk.changed("Invoice", datetime(2026, 10, 1, tzinfo=UTC), read)),
    "changed (credit notes)": lambda sevdesk: list(
        sevdesk.changed("CreditNote", datetime(2026, 10, 1, tzinfo=UTC), read)
    ),
    "lines": lambda sevdesk: list(sevdesk.lines("9", *OCTOBER, read)),
    "tags": lambda sevdesk: sevdesk.tags(),
    "invoices_numbered": lambda sevdesk: sevdesk.invoices_numbered("RE-1001"),
    "save_draft": lambda sevdesk: sevdesk.save_draft(DRAFT, "71"),
    "save_draft (e-invoice)": lambda sevdesk: sevdesk.save_draft(E_INVOICE, "71"),
    "invoice_xml": lambda sevdesk: sevdesk.invoice_xml("33"),
    "payment_method_id": lambda sevdesk: sevdesk.payment_method_id("58"),
    "set_buyer_reference": lambda sevdesk: sevdesk.set_buyer_reference("33", "PO-118"),
    "save_draft (OSS)": lambda sevdesk: sevdesk.save_draft(OSS, "71"),
    "get_invoice": lambda sevdesk: sevdesk.get_invoice("33"),
    "invoice_positions": lambda sevdesk: sevdesk.invoice_positions("33"),
    "delete_draft": lambda sevdesk: sevdesk.delete_draft("33"),
    "finalise": lambda sevdesk: sevdesk.finalise("33"),
    "invoice_pdf": lambda sevdesk: sevdesk.invoice_pdf("33"),
    "mail_document": lambda sevdesk: sevdesk.mail_document(
        "Invoice", "33", "erika@example.org", "Rechnung", "<p>Ihre</p>"
    ),
    "mail_document (credit note)": lambda sevdesk: sevdesk.mail_document(
        "CreditNote", "33", "erika@example.org", "Rechnungskorrektur", "<p>Ihre</p>"
    ),
    "find_cancellation": lambda sevdesk: sevdesk.find_cancellation("s1-1", "33"),
    "cancel_invoice": lambda sevdesk: sevdesk.cancel_invoice("33"),
    "find_transaction": lambda sevdesk: sevdesk.find_transaction("9", "SHPTX 1"),
    "find_transactions": lambda sevdesk: sevdesk.find_transactions("9", "SHPTX 1"),
    "delete_transaction": lambda sevdesk: sevdesk.delete_transaction("4"),
    "create_transaction": lambda sevdesk: sevdesk.create_transaction("9", -1190, date(2026, 11, 22), "E", "SHPTX 1"),
    "get_transaction": lambda sevdesk: sevdesk.get_transaction("4"),
    "book": lambda sevdesk: sevdesk.book("33", 1190, date(2026, 11, 22), "9", "4"),
    "find_credit_notes": lambda sevdesk: sevdesk.find_credit_notes("s1-2", "71"),
    "credit_notes_numbered": lambda sevdesk: sevdesk.credit_notes_numbered("GU-1001"),
    "credit_notes_of": lambda sevdesk: sevdesk.credit_notes_of("33", "71"),
    "next_credit_note_number": lambda sevdesk: sevdesk.next_credit_note_number(),
    "save_credit_note": lambda sevdesk: sevdesk.save_credit_note(CREDIT_NOTE, "71", "33", "GU-1001"),
    "get_credit_note": lambda sevdesk: sevdesk.get_credit_note("33"),
    "credit_note_positions": lambda sevdesk: sevdesk.credit_note_positions("33"),
    "delete_credit_note_draft": lambda sevdesk: sevdesk.delete_credit_note_draft("33"),
    "finalise_credit_note": lambda sevdesk: sevdesk.finalise_credit_note("33"),
    "credit_note_pdf": lambda sevdesk: sevdesk.credit_note_pdf("33"),
    "book_credit_note": lambda sevdesk: sevdesk.book_credit_note("33", -899, date(2026, 11, 22), "9", "4"),
    "balance_at": lambda sevdesk: sevdesk.balance_at("9", date(2026, 11, 22)),
    "account_for": lambda sevdesk: sevdesk.account_for("5923", 14, "0"),
    "find_vouchers": lambda sevdesk: sevdesk.find_vouchers("SHPFEE-1"),
    "get_voucher": lambda sevdesk: sevdesk.get_voucher("33"),
    "create_voucher": lambda sevdesk: sevdesk.create_voucher(
        description="SHPFEE-1",
        supplier="Shopify International Limited",
        day=date(2026, 11, 22),
        rule=14,
        rate="0",
        account_id="5923",
        positions=[("Transaktionsgebühren", 320)],
        draft=False,
    ),
    "book_voucher": lambda sevdesk: sevdesk.book_voucher("33", -320, date(2026, 11, 22), "9", "4"),
    "book (offline account)": lambda sevdesk: sevdesk.book("33", 1190, date(2026, 11, 22), "9", None),
}
LISTS = {
    "/SevUser": [{"id": "5"}],
    "/Unity": [{"id": "1", "name": "Stk"}],
    "/StaticCountry": [{"id": "1", "code": "de"}],
    "/PaymentMethod": [{"id": "21919", "electronicInvoiceId": "58"}],
    "/Category": [{"id": "3"}, {"id": "47"}],
}
SEQUENCE = {"id": "1", "format": "GU-%NUMBER", "nextSequence": "1001"}
ANYTHING = {"id": "33", "status": "100", "amount": "-11.9", "checkAccount": {"id": "9"}, "fromStatus": "1"}


def capture(verb: str) -> list[httpx2.Request]:
    """The requests one verb sends; what it makes of the dull answers is not of interest here."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        path = request.url.path.removeprefix("/api/v1")
        listing = path in LISTS or ("limit" in request.url.params)
        return httpx2.Response(200, json={"objects": LISTS.get(path, []) if listing else answers(path)})

    def answers(path: str) -> dict[str, Any] | list[Any] | str:
        if path.endswith("/saveInvoice"):
            return {"invoice": ANYTHING, "invoicePos": []}
        if path.endswith("/saveCreditNote"):
            return {"creditNote": ANYTHING, "creditNotePos": []}
        if path == "/SevSequence/Factory/getByType":
            return SEQUENCE
        if path == "/ReceiptGuidance/forRevenue":
            return []
        if path == "/ReceiptGuidance/forExpense":
            return [{"accountNumber": "5923", "accountDatevId": "3", "allowedTaxRules": [{"id": 14}]}]
        if path.startswith("/Voucher/") and not path.endswith("/bookAmount"):
            voucher = {**ANYTHING, "description": "SHPFEE-1", "sumGross": "3.2", "sumNet": "3.2", "sumTax": "0"}
            return {"voucher": voucher, "voucherPos": []} if path.endswith("/saveVoucher") else voucher
        if path.endswith("/getBalanceAtDate"):
            return "105.56"
        if path.endswith("/getPdf"):
            return {"content": "JVBERi0="}
        if path.endswith("/getXml"):
            return "<CrossIndustryInvoice>"
        if path.endswith("/cancelInvoice"):
            return {**ANYTHING, "invoiceType": "SR"}
        if path == "/CheckAccountTransaction/4":
            return {**ANYTHING, "id": "4"}
        return {**ANYTHING, "customerInternalNote": "s1-1"} if path == "/Invoice/33" else ANYTHING

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    base = "https://my.sevdesk.de/api/v1"
    VERBS[verb](Sevdesk(base, lambda: "token", http, clock=lambda: datetime.now(UTC), sleep=lambda seconds: None))
    return seen


# -- the description ---------------------------------------------------------------------------------


@cache
def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(gzip.decompress(path.read_bytes()), Loader=yaml.CSafeLoader)
    return loaded


def overlaid(patches: list[dict[str, Any]], without: dict[str, Any] | None = None) -> dict[str, Any]:
    """The description with our patches; `without` leaves one out, and those that build on it."""
    found = copy.deepcopy(load(PATCHED))
    for patch in patches:
        *way, last = patch["at"]
        if patch is without or (without and without["at"] == way[: len(without["at"])]):
            continue
        place: Any = found
        for step in way:
            place = place[step]
        if "append" in patch:
            place.setdefault(last, []).append(copy.deepcopy(patch["append"]))
        else:
            place[last] = copy.deepcopy(patch["set"])
    return found


def problems(description: dict[str, Any], request: httpx2.Request) -> list[str]:
    """What the description has against a request; parameters and fields it does not know are problems as well."""
    path = request.url.path.removeprefix("/api/v1")
    for template, methods in description["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", r"(\\d+)", template), path) and request.method.lower() in methods:
            operation = methods[request.method.lower()]
            break
    else:
        return [f"{request.method} {path}: no such operation"]
    found = list(_parameter_problems(operation.get("parameters", []), request))
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not request.content:
        return found + (["a body is missing"] if content else [])
    if content is None:
        return [*found, "a body nobody asked for"]
    found += body_problems(description, content["schema"], json.loads(request.content))
    return found


def _parameter_problems(parameters: list[dict[str, Any]], request: httpx2.Request) -> Iterator[str]:
    known = {item["name"]: item["schema"] for item in parameters if item["in"] == "query"}
    for name, value in request.url.params.multi_items():
        if name not in known:
            yield f"unknown parameter {name}: sevdesk would ignore it"
            continue
        kind = known[name].get("type")
        typed = int(value) if kind == "integer" and value.isdigit() else value
        typed = {"true": True, "false": False}.get(value, value) if kind == "boolean" else typed
        for error in OAS30WriteValidator(known[name], format_checker=oas30_format_checker).iter_errors(typed):
            yield f"parameter {name}: {error.message}"


def body_problems(description: dict[str, Any], schema: dict[str, Any], body: Any) -> list[str]:
    closed = _closed(description, schema)
    errors = OAS30WriteValidator(closed, format_checker=oas30_format_checker).iter_errors(body)
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors)


def _closed(description: dict[str, Any], schema: Any, depth: int = 0) -> Any:
    """The schema with its references resolved and unknown fields forbidden."""
    assert depth < 40, "the schema refers to itself"
    if isinstance(schema, list):
        return [_closed(description, item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target: Any = description
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _closed(description, target, depth + 1)
    found = {name: _closed(description, value, depth + 1) for name, value in schema.items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


# -- proofs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_every_request_is_what_the_description_and_the_overlay_allow(verb: str) -> None:
    requests = capture(verb)
    assert requests
    description = overlaid(OVERLAY)
    for request in requests:
        assert problems(description, request) == []


def test_every_verb_of_the_client_is_captured() -> None:
    public = {name for name in dir(Sevdesk) if not name.startswith("_")} - {"forget_lookups"}
    assert public == {verb.split(" ")[0] for verb in VERBS}


def test_2_5_the_e_invoice_is_asked_for_with_a_payment_method() -> None:
    """`propertyIsEInvoice` true and a reference to a payment method of the account; an ordinary invoice has neither."""
    *_, electronic = capture("save_draft (e-invoice)")
    *_, ordinary = capture("save_draft")
    sent = json.loads(electronic.content)
    assert sent["invoice"]["propertyIsEInvoice"] is True
    assert sent["invoice"]["paymentMethod"] == {"id": 21919, "objectName": "PaymentMethod"}
    assert [(item["quantity"], item["price"]) for item in sent["invoicePosSave"]] == [("2", "7.99"), ("1", "8.00")]
    assert not {"propertyIsEInvoice", "paymentMethod"} & set(json.loads(ordinary.content)["invoice"])


def test_every_patch_cites_a_measured_fact() -> None:
    assert all(re.match(r"facts \d\.\d", patch["because"]) for patch in OVERLAY)


def test_no_patch_is_there_that_nothing_needs() -> None:
    """Without any one of them at least one request is refused: the overlay is as small as it can be."""
    requests = [request for verb in VERBS for request in capture(verb)]
    for patch in OVERLAY:
        without = overlaid(OVERLAY, without=patch)
        assert any(problems(without, request) for request in requests), f"not needed: {patch['at']}"


def test_8_2_the_official_description_refuses_the_body_that_works_live() -> None:
    """Facts 8.2, measured: it asks for `invoicePos`, `taxType`, date-times and numbers. Should sevdesk ever repair its
    description, this test fails and the overlay can shrink."""
    body = save_invoice_body(DRAFT, "71", "5", "1", "1")
    found = body_problems(load(OFFICIAL), {"$ref": "#/components/schemas/saveInvoice"}, body)
    expected = [
        "'invoicePos' is a required property",
        "'taxType' is a required property",
        "invoice.deliveryDate: '20.11.2026' is not a 'date-time'",
        "invoicePosSave.0.price: '12.95' is not of type 'number'",
        "invoicePosSave.0.quantity: '2' is not of type 'number'",
        "invoicePosSave.0.taxRate: '19' is not of type 'number'",
    ]
    assert [text for text in expected if not any(text in problem for problem in found)] == []


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda body: body["invoice"].update(invoiceType="XX"), "XX"),
        (lambda body: body["invoice"]["taxRule"].update(id="22"), "22"),
        (lambda body: body["invoice"].pop("currency"), "currency"),
        (lambda body: body["invoice"].update(customerIntenalNote="typo"), "customerIntenalNote"),
        (lambda body: body["invoicePosSave"][0].pop("unity"), "unity"),
        (lambda body: body["invoicePosSave"][0].update(price="12,95"), "12,95"),
        (lambda body: body["invoice"].update(sumGross="1"), "sumGross"),
    ],
)
def test_the_oracle_still_refuses_what_is_wrong(break_it: Callable[[dict[str, Any]], object], expected: str) -> None:
    body = save_invoice_body(DRAFT, "71", "5", "1", "1")
    description, schema = overlaid(OVERLAY), {"$ref": "#/components/schemas/saveInvoice"}
    assert body_problems(description, schema, body) == []
    break_it(body)
    assert any(expected in problem for problem in body_problems(description, schema, body))


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda body: body["creditNote"].update(bookingCategory="REFUND"), "REFUND"),
        (lambda body: body["creditNote"].pop("bookingCategory"), "bookingCategory"),
        (lambda body: body["creditNote"].pop("creditNoteNumber"), "creditNoteNumber"),
        (lambda body: body["creditNote"].pop("deliveryDate"), "deliveryDate"),
        (lambda body: body["creditNote"].update(status=200), "200"),
        (lambda body: body["creditNote"]["refSrcInvoice"].update(objectName="CreditNote"), "CreditNote"),
        (lambda body: body["creditNote"].update(deliveryAddressCountry="FR"), "FR"),
        (lambda body: body["creditNotePosSave"][0].update(price="-8.99"), "-8.99"),
        (lambda body: body.update(takeDefaultAddress=False), "takeDefaultAddress"),
    ],
)
def test_the_oracle_refuses_a_wrong_credit_note(break_it: Callable[[dict[str, Any]], object], expected: str) -> None:
    body = save_credit_note_body(CREDIT_NOTE, "71", "5", "1", "1", invoice_id="33", number="GU-1001")
    description, schema = overlaid(OVERLAY), {"$ref": "#/components/schemas/saveCreditNote"}
    assert body_problems(description, schema, body) == []
    break_it(body)
    assert any(expected in problem for problem in body_problems(description, schema, body))


def test_the_oracle_refuses_a_misspelt_filter() -> None:
    """Facts 1.4: `customerIntenalNote` would be ignored and everything returned."""
    request = httpx2.Request("GET", "https://my.sevdesk.de/api/v1/Invoice?customerIntenalNote=x&limit=5000")
    found = problems(overlaid(OVERLAY), request)
    assert len(found) == 2
    assert "customerIntenalNote" in found[0]
    assert "5000" in found[1]
