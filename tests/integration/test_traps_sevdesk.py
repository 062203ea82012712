"""The traps of sevdesk's API (facts 5.1, numbers 1 to 27), one regression test each, named after it.

Each order runs through the whole connector; what is looked at is what passed on the wire, and what sevdesk then holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from acceptance.invoice_cases import (
    FIRM,
    FRENCH,
    HOUR,
    MUG,
    SOAP,
    SWISS,
    buyer,
    cancelled_unpaid,
    company_terms,
    export,
    export_english,
    firm,
    mixed_rates,
    oss_france,
    placed,
    refund,
    supplementary,
)
from house import TENANT, House, life, lost, person, refused
from ladenbuch.cli.admin import go_live
from ladenbuch.domain.document import InvoiceDraft
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.lives.order import ShopOrder
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN

Go = Callable[[SimRequest], SimResponse]


def everything_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value of a body, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from everything_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from everything_in(inner)


def written(house: House) -> list[tuple[str, Any]]:
    """Every name and value of every body that passed."""
    return [pair for one in house.door.passed if one.body for pair in everything_in(json.loads(one.body))]


def endpoints(house: House) -> set[str]:
    return set(house.sevdesk.calls()["by_endpoint"])


@pytest.mark.parametrize("kind", ["Contact", "Invoice", "CheckAccountTransaction"])
def test_trap_1_an_unknown_filter_gives_the_full_list(house: House, kind: str) -> None:
    """The filter is not known all of a sudden, and everything of the tenant comes back: nothing of it is ours."""
    house.lived(mixed_rates)
    before = _books(house)

    def deaf(request: SimRequest, go: Go) -> SimResponse:
        paging = [pair for pair in request.query if pair[0] in ("limit", "offset", "depth")]
        return go(replace(request, query=paging))

    house.door.always("GET", f"/api/v1/{kind}", deaf)
    house.door.always("GET", "/getPositions", lambda request, go: go(request))
    told = house.lived(mixed_rates, 1002)
    assert house.verdict(told) == ("attention", "SEVDESK-IMPLAUSIBLE")
    touched = [kind for kind, rows in before.items() if _books(house)[kind][: len(rows)] != rows]
    assert touched == [], "a stranger's things were touched"
    assert all(row["paid_cents"] == 0 for row in house.invoices()[1:])


def _books(house: House) -> dict[str, list[dict[str, Any]]]:
    """Everything sevdesk holds, but for its own later mark that a document is enshrined."""
    kinds = ("invoices", "transactions", "contacts")
    return {
        kind: [{name: value for name, value in row.items() if name != "enshrined_at"} for row in house.state(kind)]
        for kind in kinds
    }


def test_trap_2_reading_the_pdf_of_a_draft_finalises_it(house: House) -> None:
    go_live(house.ladenbuch, TENANT, live=False)
    house.lived(mixed_rates)
    (draft,) = house.invoices()
    assert house.client.invoice_pdf(str(draft["id"])).content.startswith(b"%PDF")
    (still,) = house.invoices()
    assert (still["status"], still["number"]) == (100, None)


def test_trap_3_the_token_goes_without_a_scheme_word(house: House) -> None:
    house.lived(mixed_rates)
    assert {one.headers.get("authorization") for one in house.door.passed} == {DEFAULT_TOKEN}
    assert house.sevdesk.calls()["by_status"].get("401") is None


@pytest.mark.parametrize("shape", ["bare", "object", "list"])
def test_trap_4_the_wrapper_of_an_answer_varies(house: House, shape: str) -> None:
    """One object comes bare, in `objects`, or there as a list of one, whatever the endpoint likes today."""

    def reshaped(request: SimRequest, go: Go) -> SimResponse:
        answer = go(request)
        single = request.method != "GET" or re.search(r"/\d+$", request.path)
        if answer.status not in (200, 201) or not single or request.method == "DELETE":
            return answer
        inner = json.loads(answer.body)["objects"]
        inner = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
        wrapped = {"bare": inner, "object": {"objects": inner}, "list": {"objects": [inner]}}[shape]
        return replace(answer, body=json.dumps(wrapped).encode())

    for method in ("GET", "POST", "PUT"):
        house.door.always(method, "/api/v1/", reshaped)
    told = house.lived(refund)
    assert house.verdict(told) == ("documented", None)
    assert len(house.invoices()) == len(house.state("credit_notes")) == 1


def test_trap_4_a_failure_comes_with_http_200(house: House) -> None:
    """`objects` null and an error inside a 200: nothing was booked, and nobody says so."""
    house.door.always("PUT", "/bookAmount", refused(200, "no", 90400))
    told = house.lived(mixed_rates)
    assert house.verdict(told) == ("attention", "SEVDESK-90400")
    assert [row["paid_cents"] for row in house.invoices()] == [0]


def test_trap_5_a_new_document_has_status_100(house: House) -> None:
    house.lived(refund)
    bodies = house.door.bodies("POST", "Factory/save")
    assert [next(iter(body.values()))["status"] for body in bodies] == [100, 100]


def test_trap_6_a_missing_header_tax_rate_is_an_sql_error(house: House) -> None:
    house.lived(refund)
    headers = [next(iter(body.values())) for body in house.door.bodies("POST", "Factory/save")]
    assert [header["taxRate"] for header in headers] == [0, 0]
    assert house.sevdesk.calls()["by_status"].get("500") is None


def test_trap_7_tax_type_beside_tax_rule(house: House) -> None:
    house.lived(refund)
    assert {"taxType", "taxSet", "smallSettlement"} & {name for name, _ in written(house)} == set()


def test_trap_8_the_contact_s_address_is_not_copied(house: House) -> None:
    """The lines are on the document itself, field by field: the contact's own address may be another, or none."""
    house.lived(mixed_rates)
    (invoice,) = house.invoices()
    fields = ("addressName", "addressStreet", "addressZip", "addressCity")
    assert [invoice["fields"][name] for name in fields] == ["Erika Müller", "Hafenweg 3", "20457", "Hamburg"]
    assert [body["takeDefaultAddress"] for body in house.door.bodies("POST", "saveInvoice")] == [False]


def test_trap_9_odd_spellings(house: House) -> None:
    """`surename` is the first name, and no field we send is one sevdesk does not know."""
    house.lived(refund)
    (contact,) = house.state("contacts")
    assert (contact["surename"], contact["familyname"], contact.get("name")) == ("Erika", "Müller", None)
    assert house.sevdesk.calls()["ignored"] == {}
    account = house.sevdesk.account_id("Klarna")
    line = house.client.create_transaction(str(account), 100, date(2026, 11, 20), "x", "SHPTX 1")
    invoice = house.client.save_draft(_draft(house), str(contact["id"]))
    log = house.client.book(house.client.finalise(invoice.id).id, 100, date(2026, 11, 20), str(account), line.id)
    assert log.amount == 100, "sevdesk spells it ammountPayed"


def _draft(house: House) -> InvoiceDraft:
    """A small draft of one of ours, under another note."""
    del house
    from integration.test_sevdesk_corrections import invoice_draft

    return invoice_draft("s1-trap")


def test_trap_10_the_contact_list_hides_persons(house: House) -> None:
    """A person with our number is there already: it is found, because the list is asked with depth=1."""
    category = {"id": 3, "objectName": "Category"}
    known = {"surename": "Erika", "familyname": "Müller", "customerNumber": "s1-71001", "category": category}
    there = house.ask("POST", "/Contact", known)
    house.lived(mixed_rates)
    assert [row["id"] for row in house.state("contacts")] == [there["id"]]
    assert str(house.invoices()[0]["contact_id"]) == str(there["id"])


def test_trap_11_customer_numbers_double(house: House) -> None:
    """Two orders of one customer: one contact, with a number of our own making, asked of nobody."""

    def again(order: ShopOrder) -> None:
        buyer(order)
        order.customer = person("Erika", "Müller", 70_500)
        order.add(MUG)
        placed(order)

    start = house.clock.now()
    house.live(life(1001, start, again), life(1002, start, again))
    assert [row["customerNumber"] for row in house.state("contacts")] == ["s1-70500"]
    assert not [name for name in endpoints(house) if "getNextCustomerNumber" in name]


def test_trap_12_a_person_under_a_parent_inherits_its_number(house: House) -> None:
    told = house.lived(company_terms)
    assert house.verdict(told)[0] == "documented"
    assert "parent" not in {name for name, _ in written(house)}
    assert [row["customerNumber"] for row in house.state("contacts")] == ["s1-l73001"], (
        "the company's location, not its clerk"
    )


def test_trap_13_the_delivery_lies_after_the_invoice(house: House) -> None:
    """The shop's clock is ahead of ours, over midnight: the invoice is dated no earlier than its delivery."""

    def ahead(order: ShopOrder) -> None:
        buyer(order)
        order.add(MUG)
        placed(order, "cash_on_delivery", status="PENDING")
        order.now += HOUR // 3
        order.ship()
        order.now -= HOUR // 3 - 60
        order.emit("fulfillments/create", "orders/updated")

    told = life(1001, datetime(2026, 11, 2, 22, 50, tzinfo=UTC), ahead)
    house.live(told)
    assert house.verdict(told.order_id) == ("documented", None)
    (invoice,) = house.invoices()
    assert (invoice["delivery_date"], invoice["date"]) == ("2026-11-03", "2026-11-03")
    with pytest.raises(Rejected) as caught:
        replace(_draft(house), delivery_date=date(2026, 11, 23), invoice_date=date(2026, 11, 22))
    assert caught.value.code == "DRAFT-DATES"


def test_trap_14_a_draft_s_number_is_shown(house: House) -> None:
    """Drafts only: no number anywhere, and no letter that could tell one."""
    go_live(house.ladenbuch, TENANT, live=False)
    told = house.lived(mixed_rates)
    assert house.ledger(told) == [("draft", None)]
    assert house.promised() == 0


def test_trap_14_the_number_comes_with_sending(house: House) -> None:
    told = house.lived(mixed_rates)
    (invoice,) = house.invoices()
    assert house.ledger(told) == [("final", invoice["number"])]
    assert [body["invoice"]["invoiceNumber"] for body in house.door.bodies("POST", "saveInvoice")] == [None]


def test_trap_15_a_credit_note_s_number_is_read_and_not_reserved(house: House) -> None:
    """Between our draft and its sending somebody else finalises a credit note under the number we had read."""
    other = life(1002, house.clock.now(), mixed_rates)
    house.live(other)
    (theirs,) = house.invoices()

    def outrun(request: SimRequest, go: Go) -> SimResponse:
        (ours,) = house.door.bodies("POST", "saveCreditNote")
        header = {
            **ours["creditNote"],
            "refSrcInvoice": {"id": theirs["id"], "objectName": "Invoice"},
            "contact": {"id": theirs["contact_id"], "objectName": "Contact"},
            "customerInternalNote": "by hand",
        }
        made = house.ask("POST", "/CreditNote/Factory/saveCreditNote", {**ours, "creditNote": header})["creditNote"]
        house.ask("PUT", f"/CreditNote/{made['id']}/sendBy", {"sendType": "VPDF", "sendDraft": False})
        return go(request)

    house.door.once("PUT", "/CreditNote/", outrun)
    told = house.lived(refund)
    assert house.verdict(told) == ("documented", None)
    numbers = {row["note"].split(" ")[0]: row["number"] for row in house.state("credit_notes")}
    assert numbers == {"by": "GU-1001", "#1001": "GU-1002"}
    assert all(row["status"] >= 200 for row in house.state("credit_notes"))


def test_trap_16_cancelling_a_partly_paid_invoice_says_200_and_does_nothing(house: House) -> None:
    def paid_before(request: SimRequest, go: Go) -> SimResponse:
        identifier = int(request.path.split("/")[-2])
        account = house.sevdesk.account_id("Klarna")
        house.person({"do": "book", "id": identifier, "account": account, "amount": "10.00"})
        return go(request)

    house.door.always("POST", "/cancelInvoice", paid_before)
    told = house.lived(cancelled_unpaid)
    assert house.verdict(told) == ("attention", "PAID-MEANWHILE")
    assert house.invoices("SR") == []
    assert [state for state, _ in house.ledger(told)].count("cancelled") == 0
    assert len(house.invoices()) == 1, "what depends on the cancellation waits for it"


def test_trap_16_a_cancellation_carries_its_invoice_s_note(house: House) -> None:
    """The answer to our draft is lost, and somebody sends and cancels it: looked for, it is one invoice, not two."""

    def handled_by_hand(request: SimRequest, go: Go) -> SimResponse:
        made = json.loads(go(request).body)["objects"]["invoice"]["id"]
        for step in ("send", "cancel"):
            house.person({"do": step, "id": int(made)})
        return lost(request, lambda again: go(replace(again, method="GET", path="/api/v1/Unity", body=b"")))

    house.door.once("POST", "/saveInvoice", handled_by_hand)
    told = house.lived(mixed_rates)
    (cancellation,), (invoice,) = house.invoices("SR"), house.invoices()
    assert cancellation["note"] == invoice["note"]
    assert "DUPLICATE" not in house.questions(told)
    assert [number for _, number in house.ledger(told)] == [invoice["number"]]
    assert house.verdict(told)[0] == "attention", "paid, and the invoice is gone"


def test_trap_17_an_enshrined_invoice_can_never_be_reset(house: House) -> None:
    """What follows a wrong invoice are other documents: nothing is reset, and what was final stays as it was."""
    start = house.clock.now()
    for number, script in enumerate((refund, cancelled_unpaid, supplementary), start=1001):
        told = life(number, start, script)
        house.live(replace(told, events=told.events[:2]))
        first = house.papers(told.order_id)[0].lines
        house.live(replace(told, events=told.events[2:]))
        assert house.papers(told.order_id)[0].lines == first
    assert not [one.path for one in house.door.passed if "reset" in one.path or "changeStatus" in one.path]


def test_trap_18_offline_accounts_take_no_transactions_and_online_ones_want_one(house: House) -> None:
    house.lived(refund)
    kinds = {row["id"]: row["type"] for row in house.state("accounts")}
    transactions = {row["id"]: row for row in house.state("transactions")}
    assert {kinds[row["account_id"]] for row in transactions.values()} == {"online"}
    booked = [one for row in [*house.invoices(), *house.state("credit_notes")] for one in row["bookings"]]
    assert len(booked) == 2
    assert all(transactions[one["transaction_id"]]["purpose"].startswith("SHPTX ") for one in booked)


def test_trap_19_sevdesk_matches_our_line_to_another_invoice(house: House) -> None:
    """Two open amounts of one size: our accounts match nothing by themselves, and each invoice has its own line."""
    start = house.clock.now()
    told = [life(number, start, mixed_rates) for number in (1001, 1002)]
    house.live(*told)
    ours = [row for row in house.state("accounts") if " s1 (automatisch" in row["name"]]
    assert len(ours) == 2 and not any(row["auto_map"] for row in ours)
    purposes = {row["id"]: row["purpose"] for row in house.state("transactions")}
    for one, invoice in zip(told, house.invoices(), strict=True):
        (booking,) = invoice["bookings"]
        assert f"order:{one.order_id.rsplit('/', 1)[-1]}" in purposes[booking["transaction_id"]].split()


def test_trap_20_create_feed_matches_equal_amounts(house: House) -> None:
    house.lived(refund)
    bodies = house.door.bodies("PUT", "/bookAmount")
    assert [body["createFeed"] for body in bodies] == [False, False]


def test_trap_21_a_purpose_is_searched_as_part_of_a_word(house: House) -> None:
    """A line whose key begins with ours is there, for the same amount: it is not taken."""
    told = life(1001, house.clock.now() + timedelta(minutes=5), mixed_rates)
    payment = told.final["transactions"][0]["id"].rsplit("/", 1)[-1]
    account = next(row["id"] for row in house.state("accounts") if row["name"].startswith("shopify_payments"))
    longer = house.client.create_transaction(str(account), 5480, date(2026, 11, 2), "x", f"SHPTX {payment}7 order:1")
    house.live(told)
    (booking,) = house.invoices()[0]["bookings"]
    assert str(booking["transaction_id"]) != longer.id
    assert sorted(row["purpose"].split()[1] for row in house.state("transactions")) == [payment, f"{payment}7"]


def test_trap_22_date_filters_look_at_another_date(house: House) -> None:
    house.lived(refund)
    asked = {name for one in house.door.passed for name, _ in one.query if "CheckAccountTransaction" in one.path}
    assert asked
    assert asked & {"startDate", "endDate", "valueDate", "entryDate"} == set()


def test_trap_23_a_deleted_line_can_still_be_read(house: House) -> None:
    """Paid, not yet shipped, and somebody deletes our money line: the export is not booked on what is gone."""
    told = life(1001, house.clock.now() + timedelta(minutes=5), export)
    house.live(replace(told, events=told.events[:1]))
    (line,) = house.state("transactions")
    house.person({"do": "delete_transaction", "id": line["id"]})
    house.live(replace(told, events=told.events[1:]))
    assert house.verdict(told.order_id) == ("attention", "LINE-GONE")
    assert [row["paid_cents"] for row in house.invoices()] == [0]


def test_trap_24_parts_know_german_rates_only(house: House) -> None:
    """No article is created or named: 20 % could not be on it. The SKU is in the position's text."""
    house.lived(oss_france)
    assert not [name for name in endpoints(house) if "/Part" in name]
    assert "part" not in {name for name, _ in written(house)}
    assert house.invoices()[0]["positions"][0]["text"] == "SKU SEIF-02"


def test_trap_25_the_country_of_delivery_is_not_echoed(house: House) -> None:
    """Sent, kept, and read back as nothing: that is no difference, and no reason to send it again."""

    def parcel(order: ShopOrder) -> None:
        buyer(order, SWISS, ship_to=FRENCH)
        order.add(SOAP, rates=(200,))
        placed(order)

    told = house.lived(parcel)
    (invoice,) = house.invoices()
    (echo,) = house.ask("GET", f"/Invoice/{invoice['id']}")
    assert (invoice["delivery_country"], echo.get("deliveryAddressCountry")) == ("fr", None)
    assert house.verdict(told) == ("documented", None)
    assert len(house.door.bodies("POST", "saveInvoice")) == 1


def test_trap_26_an_e_invoice_cannot_carry_an_oss_rule(tmp_path: Any) -> None:
    """Where companies get e-invoices, one at home that sends to France and names no VAT id is taxed like a consumer."""
    profile = {"oss_from": "2026-01-01", "e_invoices": "business"}
    made = House(tmp_path, datetime(2026, 11, 2, 8, tzinfo=UTC), profile)

    def sent_to_france(order: ShopOrder) -> None:
        firm(order, *FIRM, None)
        order.delivery = FRENCH
        order.add(SOAP, rates=(200,))
        placed(order)

    told = made.lived(sent_to_france)
    assert made.verdict(told) == ("documented", None)
    (invoice,) = made.invoices()
    assert invoice["tax_rule"] == 18
    assert not any(value for name, value in written(made) if name == "propertyIsEInvoice")
    made.close()


def test_trap_26_the_pdf_of_an_unfinished_e_invoice_is_a_503(house: House) -> None:
    """Later, not never: the number is still missing."""
    house.lived(mixed_rates)
    for _ in range(2):  # a read is repeated once
        house.door.once("GET", "/getPdf", refused(503, "the number of the e-invoice is missing"))
    with pytest.raises(Retryable):
        house.client.invoice_pdf(str(house.invoices()[0]["id"]))


def test_trap_27_the_united_kingdom_is_three_countries(house: House) -> None:
    told = house.lived(export_english)
    assert house.verdict(told) == ("documented", None)
    (body,) = house.door.bodies("POST", "saveInvoice")
    names = {str(row["id"]): row["nameEn"] for row in house.ask("GET", "/StaticCountry?limit=1000")}
    assert names[str(body["invoice"]["addressCountry"]["id"])] == "United Kingdom"
    assert sum(name in ("England", "Great Britain", "United Kingdom") for name in names.values()) == 3
