"""Contacts, addresses, mailboxes and look-ups: what is sent, and what is believed (facts 1.4, 2.1-2.3, 5.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from ladenbuch.domain.document import InvoiceDraft, Party, Position
from ladenbuch.errors import Ambiguous, Rejected
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.documents import save_invoice_body

PARTY = Party("S1-1", "Erika Muster", "Erika", "Muster", None, "Hafenweg 3", "Hof", "20457", "Hamburg")
DE = {"id": "1", "code": "de", "nameEn": "Germany"}
CONTACT = {"contact": {"id": "71", "objectName": "Contact"}}
ADDRESS = {
    **CONTACT,
    "id": "90",
    "name": "ERIKA  muster",
    "street": "Hafenweg 3, Hof",
    "zip": "20457",
    "city": "Hamburg ",
    "country": {"id": "1", "objectName": "StaticCountry"},
    "category": {"id": "47", "objectName": "Category"},
}
MAILBOX = {**CONTACT, "id": "95", "type": "EMAIL", "value": "Erika@Example.org", "main": "1", "key": {"id": "2"}}


class Stub:
    """Answers by (method, path), countries read anew each time; keeps what was asked."""

    def __init__(
        self, answers: dict[tuple[str, str], Any], countries: list[list[dict[str, Any]]] | None = None
    ) -> None:
        self.answers = answers
        self.countries = countries or [[DE]]
        self.asked: list[httpx2.Request] = []
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.client = Sevdesk(
            "https://sevdesk.invalid/api/v1", lambda: "token", http, clock=lambda: self.now, sleep=lambda seconds: None
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        if path == "/StaticCountry":
            found: Any = self.countries.pop(0) if len(self.countries) > 1 else self.countries[0]
        elif path in ("/SevUser", "/Unity"):
            found = [{"id": "5", "name": "Stk"}]
        else:
            found = self.answers[request.method, path]
        found = found(request) if callable(found) else found
        return found if isinstance(found, httpx2.Response) else httpx2.Response(200, json={"objects": found})

    def sent(self, path: str) -> list[Any]:
        return [json.loads(one.content) for one in self.asked if one.url.path.endswith(path) and one.content]


def unknown(request: httpx2.Request | None = None) -> httpx2.Response:
    return httpx2.Response(404, json={"objects": None, "error": {"message": "not found", "code": 151}})


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value.code


# -- addresses and mailboxes -------------------------------------------------------------------------


def test_an_address_that_is_there_is_not_made_again() -> None:
    stub = Stub({("GET", "/ContactAddress"): [{**ADDRESS, "id": "99"}, ADDRESS]})
    assert stub.client.add_address("71", PARTY).id == "90"
    assert stub.sent("/ContactAddress") == []


@pytest.mark.parametrize(
    "other",
    [
        {"zip": "20458"},
        {"street": None},
        {"name": "Erika Muster GmbH"},
        {"country": {"id": "2"}},
        {"country": None},
        {"category": {"id": "43"}},
    ],
)
def test_another_address_is_no_substitute(other: dict[str, Any]) -> None:
    stub = Stub({("GET", "/ContactAddress"): [{**ADDRESS, **other}], ("POST", "/ContactAddress"): ADDRESS})
    stub.client.add_address("71", PARTY)
    assert stub.sent("/ContactAddress") == [
        {
            "contact": {"id": 71, "objectName": "Contact"},
            "name": "Erika Muster",
            "street": "Hafenweg 3, Hof",
            "zip": "20457",
            "city": "Hamburg",
            "country": {"id": 1, "objectName": "StaticCountry"},
            "category": {"id": 47, "objectName": "Category"},
        }
    ]


def test_rows_of_another_contact_show_that_the_filter_was_ignored() -> None:
    foreign = {"contact": {"id": "70"}}
    stub = Stub(
        {
            ("GET", "/ContactAddress"): [ADDRESS, {**ADDRESS, **foreign, "id": "91"}],
            ("GET", "/CommunicationWay"): [MAILBOX, {**MAILBOX, **foreign, "id": "96"}],
        }
    )
    client = stub.client
    for call in (
        lambda: client.contact_addresses("71"),
        lambda: client.add_address("71", PARTY),
        lambda: client.communication_ways("71"),
        lambda: client.add_email("71", "erika@example.org"),
    ):
        assert code(call) == "SEVDESK-IMPLAUSIBLE"
    assert [one for one in stub.asked if one.method == "POST"] == []


def test_a_mailbox_is_made_once_and_only_the_first_is_the_main_one() -> None:
    stub = Stub({("GET", "/CommunicationWay"): [MAILBOX], ("POST", "/CommunicationWay"): {**MAILBOX, "id": "96"}})
    assert stub.client.add_email("71", " erika@example.ORG ").id == "95"
    assert stub.sent("/CommunicationWay") == []
    assert stub.client.add_email("71", "anna@example.org").id == "96"
    (body,) = stub.sent("/CommunicationWay")
    assert (body["type"], body["value"], body["main"], body["key"]["id"]) == ("EMAIL", "anna@example.org", False, 8)
    phone = {**MAILBOX, "type": "PHONE", "value": "erika@example.org"}
    stub = Stub({("GET", "/CommunicationWay"): [phone], ("POST", "/CommunicationWay"): MAILBOX})
    stub.client.add_email("71", "erika@example.org")
    assert stub.sent("/CommunicationWay")[0]["main"] is True
    query = dict(stub.asked[0].url.params.multi_items())
    assert set(query) == {"contact[id]", "contact[objectName]", "limit", "offset"}, "facts 1.4: no further filter"


def test_an_accepted_step_whose_answer_is_not_understood_is_ambiguous() -> None:
    answers = {("GET", "/ContactAddress"): [], ("POST", "/ContactAddress"): {"id": None}}
    answers |= {("GET", "/CommunicationWay"): [], ("POST", "/CommunicationWay"): []}
    stub = Stub(answers)
    with pytest.raises(Ambiguous):
        stub.client.add_address("71", PARTY)
    with pytest.raises(Ambiguous):
        stub.client.add_email("71", "erika@example.org")


def test_the_vat_id_is_the_contacts_and_no_name_is_sent_along() -> None:
    """Facts 2.2: a name would make an organisation of a person."""
    stub = Stub({("PUT", "/Contact/71"): {"id": "71"}, ("POST", "/Contact"): {"id": "71", "customerNumber": "S1-1"}})
    stub.client.set_vat_number("71", "FR32123456789")
    stub.client.create_contact(replace(PARTY, company="Muster SARL", vat_id="FR32123456789"))
    stub.client.create_contact(PARTY)
    put, firm, person = (json.loads(one.content) for one in stub.asked)
    assert put == {"vatNumber": "FR32123456789"}
    assert (firm["name"], firm["vatNumber"], "familyname" in firm) == ("Muster SARL", "FR32123456789", False)
    assert ("vatNumber" in person, "name" in person, person["surename"]) == (False, False, "Erika")


# -- the merchant's own contacts ---------------------------------------------------------------------

ERIKA = {"id": "71", "objectName": "Contact", "surename": "Erika", "familyname": "Muster", "customerNumber": "K-1"}


def test_contacts_are_found_by_email_in_one_request_and_compared() -> None:
    """Facts 1.4, 2.2: type, value and embed; capitals make no difference, an old contact may be gone."""
    supplier = {
        "id": "72",
        "name": "Muster GmbH",
        "vatNumber": "DE1",
        "category": {"id": "2", "objectName": "Category"},
    }
    rows = [
        {**MAILBOX, "contact": ERIKA},
        {**MAILBOX, "id": "96", "contact": ERIKA},
        {**MAILBOX, "id": "97", "contact": supplier},
        {**MAILBOX, "id": "98", "contact": None},
    ]
    stub = Stub({("GET", "/CommunicationWay"): rows})
    erika, firm = stub.client.contacts_with_email(" erika@example.org")
    assert (erika.id, erika.name, erika.customer_number, erika.is_organisation) == ("71", "Erika Muster", "K-1", False)
    assert (firm.id, firm.vat_id, firm.is_organisation, firm.is_supplier) == ("72", "DE1", True, True)
    assert (erika.emails, erika.doors, erika.is_supplier) == (("Erika@Example.org",), None, False)
    asked = dict(stub.asked[0].url.params.multi_items())
    assert {name: asked[name] for name in ("type", "value", "embed")} == {
        "type": "EMAIL",
        "value": "erika@example.org",
        "embed": "contact",
    }
    assert len(stub.asked) == 1
    assert stub.client.contacts_with_email("  ") == []
    assert len(stub.asked) == 1, "an empty value would find everything"
    assert [one.id for one in stub.client.contacts_with_email("Erika@example.org")] == ["71", "72"]
    assert [one.url.params["value"] for one in stub.asked[1:]] == ["Erika@example.org", "erika@example.org"]


def test_a_contact_that_is_not_embedded_is_read_by_its_id() -> None:
    bare = {("GET", "/CommunicationWay"): [MAILBOX]}
    stub = Stub({**bare, ("GET", "/Contact/71"): [ERIKA]})
    assert [one.name for one in stub.client.contacts_with_email("erika@example.org")] == ["Erika Muster"]
    assert Stub({**bare, ("GET", "/Contact/71"): unknown}).client.contacts_with_email("erika@example.org") == []


@pytest.mark.parametrize("other", [{"value": "anna@example.org"}, {"type": "PHONE"}, {"value": None}])
def test_1_4_a_mailbox_nobody_asked_for_shows_that_the_filter_was_ignored(other: dict[str, Any]) -> None:
    rows = [{**MAILBOX, "contact": ERIKA}, {**MAILBOX, "id": "96", "contact": ERIKA, **other}]
    stub = Stub({("GET", "/CommunicationWay"): rows})
    assert code(lambda: stub.client.contacts_with_email("erika@example.org")) == "SEVDESK-IMPLAUSIBLE"


def test_a_vat_id_is_looked_for_among_organisations_however_it_is_written() -> None:
    """No filter for it is known; without depth sevdesk leaves the many persons out (facts 5.1.10)."""
    rows = [
        {"id": "81", "name": "Möwe GmbH", "vatNumber": "de 136 695 976"},
        {"id": "82", "name": "Möwe AG", "vatNumber": "DE136695977"},
        {"id": "83", "name": "Ohne", "vatNumber": None},
    ]
    stub = Stub({("GET", "/Contact"): rows})
    assert [one.id for one in stub.client.organisations_with_vat_id("DE136695976")] == ["81"]
    asked = dict(stub.asked[0].url.params.multi_items())
    assert asked == {"limit": "1000", "offset": "0"}
    assert stub.client.organisations_with_vat_id(" - ") == []
    assert len(stub.asked) == 1


def test_a_new_contact_gets_its_address_and_mailbox_without_a_look() -> None:
    """What was just made has neither: two requests less per customer (facts 1.8)."""
    stub = Stub({("POST", "/ContactAddress"): ADDRESS, ("POST", "/CommunicationWay"): MAILBOX})
    stub.client.create_address("71", PARTY)
    stub.client.create_email("71", "Erika@Example.org")
    assert [one.method for one in stub.asked if one.url.path.split("/")[-1] != "StaticCountry"] == ["POST", "POST"]
    (body,) = stub.sent("/CommunicationWay")
    assert (body["main"], body["value"]) == (True, "erika@example.org")


def test_no_names_in_representations() -> None:
    stub = Stub(
        {
            ("GET", "/ContactAddress"): [ADDRESS],
            ("GET", "/CommunicationWay"): [MAILBOX],
            ("GET", "/Contact/71"): {"id": "71", "name": "Muster SARL", "vatNumber": "FR32123456789"},
        }
    )
    client = stub.client
    found = [client.contact_addresses("71"), client.communication_ways("71"), client.get_contact("71")]
    shown = repr([*found, client.contacts_with_email("erika@example.org")]).lower()
    assert not any(word in shown for word in ("muster", "hafenweg", "example.org", "fr32"))


# -- look-ups ----------------------------------------------------------------------------------------

DRAFT = InvoiceDraft(
    key="inv:1:a",
    note="s1-1",
    currency="EUR",
    tax_rule=1,
    invoice_date=date(2026, 11, 22),
    delivery_date=date(2026, 11, 22),
    party=PARTY,
    positions=(Position.of("Tasse", 1, 1190, Decimal("19")),),
    claim=((Decimal("19"), 1190),),
)
SAVED = {"invoice": {"id": "33", "status": "100"}, "invoicePos": []}


def test_a_country_that_got_another_id_is_read_anew_and_the_draft_sent_again() -> None:
    """Facts 2.1: re-read on an id error. 151 proves that nothing was stored."""

    def save(request: httpx2.Request) -> Any:
        country = json.loads(request.content)["invoice"]["addressCountry"]["id"]
        return SAVED if country == 9 else unknown()

    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): save}, [[DE], [{**DE, "id": "9"}]])
    assert stub.client.save_draft(DRAFT, "71").id == "33"
    assert [body["invoice"]["addressCountry"]["id"] for body in stub.sent("/saveInvoice")] == [1, 9]
    stub.client.save_draft(DRAFT, "71")
    assert len(stub.sent("/saveInvoice")) == 3, "the new id is kept"


def test_an_unknown_contact_is_not_sent_a_second_time() -> None:
    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): unknown})
    assert code(lambda: stub.client.save_draft(DRAFT, "71")) == "SEVDESK-151"
    assert len(stub.sent("/saveInvoice")) == 1


def test_an_id_that_stays_wrong_is_tried_twice_and_no_more() -> None:
    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): unknown}, [[DE], [{**DE, "id": "9"}], [{**DE, "id": "8"}]])
    assert code(lambda: stub.client.save_draft(DRAFT, "71")) == "SEVDESK-151"
    assert len(stub.sent("/saveInvoice")) == 2


def test_another_refusal_forgets_nothing() -> None:
    refusal = httpx2.Response(422, json={"objects": None, "error": {"message": "x", "code": 7100}})
    stub = Stub({("POST", "/Invoice/Factory/saveInvoice"): refusal})
    for _ in range(2):
        assert code(lambda: stub.client.save_draft(DRAFT, "71")) == "SEVDESK-7100"
    assert [one.url.path.rsplit("/", 1)[-1] for one in stub.asked].count("StaticCountry") == 1
    stub.now += timedelta(hours=24)
    assert code(lambda: stub.client.save_draft(DRAFT, "71")) == "SEVDESK-7100"
    assert [one.url.path.rsplit("/", 1)[-1] for one in stub.asked].count("StaticCountry") == 2


def test_codes_that_are_no_iso_codes() -> None:
    rows = [
        DE,
        *({"id": str(at), "code": "gb", "nameEn": name} for at, name in enumerate(("England", "United Kingdom"), 2)),
        {"id": "7", "code": "gr", "nameEn": "Greece"},
        {"id": "8", "code": "mc", "nameEn": "Monaco"},
    ]
    client = Stub({}, [rows]).client
    found = {iso: client.country_id(iso) for iso in ("GB", "XI", "UK", "EL", "GR", "MC")}
    assert found == {"GB": "3", "XI": "3", "UK": "3", "EL": "7", "GR": "7", "MC": "8"}
    assert code(lambda: client.country_id("XK")) == "SEVDESK-COUNTRY"
    assert Stub({}, [[{"id": "2", "code": "GB", "nameEn": "Great Britain"}]]).client.country_id("gb") == "2"


# -- where the goods go ------------------------------------------------------------------------------


def test_the_destination_is_sent_in_lower_case_only_where_it_is_set() -> None:
    sent = save_invoice_body(replace(DRAFT, tax_rule=18, delivery_country="FR"), "71", "5", "1", "1")["invoice"]
    assert (sent["deliveryAddressCountry"], sent["taxRule"]["id"]) == ("fr", "18")
    assert "deliveryAddressCountry" not in save_invoice_body(DRAFT, "71", "5", "1", "1")["invoice"]


@pytest.mark.parametrize(
    ("locale", "head", "foot", "expected"),
    [
        ("de", "", "Danke", "Danke<br>USt-IdNr. des Kunden: ATU12345678"),
        ("en", "", "", "Customer's VAT ID: ATU12345678"),
        ("de", "Ihre ATU12345678", "Danke", "Danke"),
        ("de", "", "an ATU12345678 geliefert", "an ATU12345678 geliefert"),
    ],
)
def test_the_buyers_vat_id_is_printed_once(locale: str, head: str, foot: str, expected: str) -> None:
    """UStG §14a (3)."""
    party = replace(PARTY, vat_id="ATU12345678", locale=locale)
    body = save_invoice_body(replace(DRAFT, party=party, head_text=head, foot_text=foot), "71", "5", "1", "1")
    assert body["invoice"]["footText"] == expected
