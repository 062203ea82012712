"""Corrections and other countries against the stateful stand-in: in one thread, and over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pycountry
import pytest

from integration.test_sevdesk_client import served
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft, Party, Position
from ladenbuch.errors import Ambiguous, Rejected
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.sevdesk.credit_notes import compare_credit_note, credit_note_hash
from ladenbuch.sevdesk.documents import RemoteInvoice, compare
from ladenbuch.simulators.http import Route, SimTransport, asgi
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.weather import Fault, Weather

BASE = "http://sevdesk.test/api/v1"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = date(2026, 11, 25)
PARTY = Party("S1-70012", "Erika Muster", "Erika", "Muster", None, "Hafenweg 3", None, "20457", "Hamburg")
FIRM = replace(PARTY, customer_number="S1-8", company="Muster SARL", vat_id="FR32123456789", country="FR", locale="fr")
MUGS = Position.of("Tasse", 2, 2590, Decimal("19"))
BOOKS = Position.of("Buch", 3, 2997, Decimal("7"))


@dataclass
class Desk:
    """A simulated tenant and its client."""

    simulator: SevdeskSimulator
    sevdesk: Sevdesk

    @property
    def account(self) -> str:
        return str(self.simulator.account_id("Klarna"))

    def state(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.simulator.state()[kind]
        return found

    def invoice(self, draft: InvoiceDraft, contact: str, *, paid: int = 0) -> RemoteInvoice:
        """A finalised invoice, `paid` cents booked on it."""
        made = self.sevdesk.finalise(self.sevdesk.save_draft(draft, contact).id)
        if paid:
            line = self.sevdesk.create_transaction(self.account, paid, TODAY, "E", f"SHPTX {made.id} pay")
            self.sevdesk.book(made.id, paid, TODAY, self.account, line.id)
        return made


def client(url: str, http: httpx2.Client) -> Sevdesk:
    return Sevdesk(url, lambda: DEFAULT_TOKEN, http, clock=lambda: NOW, sleep=lambda seconds: None)


@pytest.fixture(params=["one thread", "http", "note filter ignored"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    ignored = request.param == "note filter ignored"
    simulator = SevdeskSimulator(clock=lambda: NOW, credit_note_note_filter=not ignored)
    if request.param == "http":
        with served(asgi(simulator)) as url, httpx2.Client(timeout=10) as http:
            yield Desk(simulator, client(url, http))
    else:
        with httpx2.Client(transport=SimTransport([Route("http://sevdesk.test", simulator)])) as http:
            yield Desk(simulator, client(BASE, http))
    assert simulator.internal_errors == []
    known = {"filter customerInternalNote"} if ignored else set()
    assert set(simulator.calls()["ignored"]) <= known, "a field or filter of ours is ignored by sevdesk"


def invoice_draft(note: str = "s1-1", *positions: Position, **changes: Any) -> InvoiceDraft:
    chosen = positions or (MUGS, BOOKS)
    claim: dict[Decimal, int] = {}
    for position in chosen:
        claim[position.rate] = claim.get(position.rate, 0) + position.gross
    values: dict[str, Any] = {
        "key": f"inv:{note}",
        "note": note,
        "currency": "EUR",
        "tax_rule": 1,
        "invoice_date": date(2026, 11, 22),
        "delivery_date": date(2026, 11, 20),
        "party": PARTY,
        "positions": chosen,
        "claim": tuple(claim.items()),
    }
    return InvoiceDraft(**{**values, **changes})


def correction(of: InvoiceDraft, *positions: Position, note: str = "s1:refund:9911", **changes: Any) -> CreditNoteDraft:
    values: dict[str, Any] = {
        "key": f"cn:{note}:{of.key}",
        "note": note,
        "currency": of.currency,
        "tax_rule": of.tax_rule,
        "origin_key": of.key,
        "credit_note_date": TODAY,
        "delivery_date": of.delivery_date,
        "delivery_until": of.delivery_until,
        "delivery_country": of.delivery_country,
        "party": of.party,
        "positions": positions,
        "money_returned": sum(position.gross for position in positions),
        "origin_remaining": of.claim,
    }
    return CreditNoteDraft(**{**values, **changes})


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value.code


def test_r4_a_refund_from_credit_note_to_money_given_back(desk: Desk) -> None:
    """G6: an amount-only refund over both rates of a paid invoice, confirmed by id after each step."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft(delivery_until=date(2026, 11, 21))
    invoice = desk.invoice(origin, contact, paid=5587)
    parts = (Position.of("Erstattung", 1, 507, Decimal(19)), Position.of("Erstattung", 1, 493, Decimal(7)))
    wanted = correction(origin, *parts, foot_text=f"Zu Rechnung {invoice.number}")

    assert sevdesk.find_credit_notes(wanted.note, contact) == []
    number = sevdesk.next_credit_note_number()
    saved = sevdesk.save_credit_note(wanted, contact, invoice.id, number)
    assert saved.positions is not None
    assert compare_credit_note(wanted, saved, saved.positions, invoice_id=invoice.id, number=number) == []
    assert (saved.gross, saved.net, saved.tax) == (1000, 426 + 461, 81 + 32)
    assert (saved.number, saved.is_draft, saved.invoice_id, saved.contact_id) == (number, True, invoice.id, contact)
    assert sevdesk.next_credit_note_number() == number, "a draft does not take its number (facts 5.1.15)"

    confirmed, lines = sevdesk.get_credit_note(saved.id), sevdesk.credit_note_positions(saved.id)
    assert confirmed is not None
    assert compare_credit_note(wanted, confirmed, lines, invoice_id=invoice.id, number=number) == []
    posted = credit_note_hash(confirmed, lines)
    assert posted == credit_note_hash(saved, saved.positions)
    assert [one.id for one in sevdesk.find_credit_notes(wanted.note, contact)] == [saved.id]
    assert [one.id for one in sevdesk.credit_notes_of(invoice.id, contact)] == [saved.id]

    assert sevdesk.credit_note_pdf(saved.id).content.startswith(b"%PDF")
    still = sevdesk.get_credit_note(saved.id)
    assert still is not None
    assert still.is_draft, "reading the PDF must not finalise"
    open_ = sevdesk.finalise_credit_note(saved.id)
    assert (open_.number, open_.status, open_.is_finalised, open_.send_type) == (number, 200, True, "VPDF")
    assert sevdesk.next_credit_note_number() != number

    line = sevdesk.create_transaction(desk.account, -1000, TODAY, "Erika Muster", "SHPTX 7001 s1-1")
    log = sevdesk.book_credit_note(saved.id, -1000, TODAY, desk.account, line.id)
    assert (log.from_status, log.to_status) == (200, 1000)
    settled = sevdesk.get_credit_note(saved.id)
    assert settled is not None
    assert (settled.status, abs(settled.paid)) == (1000, 1000)
    assert credit_note_hash(settled, sevdesk.credit_note_positions(saved.id)) == posted
    assert code(lambda: sevdesk.book_credit_note(saved.id, -1000, TODAY, desk.account, line.id)) == "SEVDESK-750"
    assert code(lambda: sevdesk.delete_credit_note_draft(saved.id)) == "SEVDESK-159"


def test_two_refunds_of_one_order_are_told_apart(desk: Desk) -> None:
    """Situation 6: same day, same amount; keys differ, and none is a prefix that finds the other."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft()
    invoice = desk.invoice(origin, contact, paid=5587)
    mug = Position.of("Tasse", 1, 1295, Decimal(19))
    made = []
    for note in ("s1:refund:1", "s1:refund:12"):
        assert sevdesk.find_credit_notes(note, contact) == []
        wanted = correction(origin, mug, note=note)
        saved = sevdesk.save_credit_note(wanted, contact, invoice.id, sevdesk.next_credit_note_number())
        made.append(sevdesk.finalise_credit_note(saved.id))
    assert len({one.number for one in made}) == 2
    assert [one.id for one in sevdesk.find_credit_notes("s1:refund:1", contact)] == [made[0].id]
    assert [one.id for one in sevdesk.credit_notes_of(invoice.id, contact)] == [one.id for one in made]


def test_two_drafts_that_read_the_same_number(desk: Desk) -> None:
    """Facts 2.11, 5.1.15: the second is refused when finalised, and is saved anew with the next number."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft()
    invoice = desk.invoice(origin, contact, paid=5587)
    number = sevdesk.next_credit_note_number()
    drafts = [correction(origin, Position.of("Tasse", 1, 1000 + at, Decimal(19)), note=f"n{at}") for at in range(2)]
    one, two = (sevdesk.save_credit_note(wanted, contact, invoice.id, number) for wanted in drafts)
    sevdesk.finalise_credit_note(one.id)
    assert code(lambda: sevdesk.finalise_credit_note(two.id)) == "SEVDESK-NUMBER"
    assert code(lambda: sevdesk.save_credit_note(drafts[1], contact, invoice.id, number)) == "SEVDESK-NUMBER"
    sevdesk.delete_credit_note_draft(two.id)
    sevdesk.delete_credit_note_draft(two.id)
    again = sevdesk.save_credit_note(drafts[1], contact, invoice.id, sevdesk.next_credit_note_number())
    assert sevdesk.finalise_credit_note(again.id).number != number


def test_what_sevdesk_refuses_about_credit_notes(desk: Desk) -> None:
    """Facts 1.7: 455, 456, 460, 170, 421 with their own codes."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft()
    invoice = desk.invoice(origin, contact, paid=5587)
    much = correction(origin, Position.of("x", 1, 5588, Decimal(19)), origin_remaining=((Decimal(19), 9999),))
    mug = Position.of("Tasse", 1, 1295, Decimal(19))
    for wanted, expected in (
        (much, "SEVDESK-455"),
        (
            correction(origin, Position.of("x", 1, 1, Decimal(0)), origin_remaining=((Decimal(0), 1),)),
            "SEVDESK-456",
        ),
        (correction(origin, Position.of("x", 1, 1, Decimal(19)), delivery_date=date(2026, 11, 19)), "SEVDESK-460"),
    ):
        assert code(lambda wanted=wanted: sevdesk.save_credit_note(wanted, contact, invoice.id, "GU-1")) == expected
    assert desk.state("credit_notes") == []

    unpaid = desk.invoice(invoice_draft("s1-2"), contact)
    assert code(lambda: sevdesk.save_credit_note(correction(origin, mug), contact, unpaid.id, "GU-1")).startswith(
        "SEVDESK-HTTP-"
    ), "F13: an open invoice is cancelled, not credited"
    cancelled = sevdesk.cancel_invoice(unpaid.id)
    assert cancelled.origin_id == unpaid.id
    assert code(lambda: sevdesk.save_credit_note(correction(origin, mug), contact, unpaid.id, "GU-1")) == "SEVDESK-421"
    assert sevdesk.cancel_invoice(unpaid.id).id == cancelled.id

    credited = sevdesk.save_credit_note(correction(origin, mug), contact, invoice.id, "GU-1")
    with pytest.raises(Rejected) as caught:
        sevdesk.cancel_invoice(invoice.id)
    assert (caught.value.code, caught.value.detail["ids"]) == ("SEVDESK-170", [credited.id])


def test_store_credit_goes_through_an_offline_account(desk: Desk) -> None:
    """Situation 22; the sign on offline accounts is seen once, unproven."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft()
    invoice = desk.invoice(origin, contact, paid=5587)
    wanted = correction(origin, Position.of("Tasse", 1, 1295, Decimal(19)))
    saved = sevdesk.save_credit_note(wanted, contact, invoice.id, sevdesk.next_credit_note_number())
    sevdesk.finalise_credit_note(saved.id)
    offline = next(account.id for account in sevdesk.check_accounts() if account.kind == "offline")
    assert sevdesk.book_credit_note(saved.id, -1295, TODAY, offline, None).to_status == 1000


RULES: list[tuple[int, str, str | None]] = [
    (2, "0", None),
    (3, "0", None),
    (5, "0", None),
    (17, "0", None),
    (21, "0", None),
    (18, "20", "FR"),
    (18, "25.5", "FI"),
    (19, "21", "NL"),
    (20, "5.5", "FR"),
]


@pytest.mark.parametrize(("rule", "rate", "country"), RULES)
def test_other_rules_are_invoiced_and_corrected_to_the_cent(
    desk: Desk, rule: int, rate: str, country: str | None
) -> None:
    """G7 and its kin: half cents at 20 %, rates with a fraction, destination apart from the address."""
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(PARTY)
    origin = invoice_draft(
        "s1-oss", Position.of("Seife", 3, 2997, Decimal(rate)), tax_rule=rule, delivery_country=country
    )
    saved = sevdesk.save_draft(origin, contact)
    assert compare(origin, saved, saved.positions or ()) == []
    invoice = sevdesk.finalise(saved.id)
    assert desk.state("invoices")[0]["delivery_country"] == (country.lower() if country else None)
    line = sevdesk.create_transaction(desk.account, 2997, TODAY, "E", "SHPTX 1 s1")
    sevdesk.book(invoice.id, 2997, TODAY, desk.account, line.id)
    wanted = correction(origin, Position.of("Seife", 1, 999, Decimal(rate)))
    credited = sevdesk.save_credit_note(wanted, contact, invoice.id, sevdesk.next_credit_note_number())
    assert compare_credit_note(wanted, credited, credited.positions or (), invoice_id=invoice.id) == []


def test_a_business_abroad_has_its_vat_id_address_and_mailbox_once(desk: Desk) -> None:
    sevdesk = desk.sevdesk
    contact = sevdesk.create_contact(FIRM)
    found = sevdesk.get_contact(contact)
    assert found is not None
    assert (found.customer_number, found.is_organisation, found.vat_id) == ("S1-8", True, "FR32123456789")
    person = sevdesk.get_contact(sevdesk.create_contact(PARTY))
    assert person is not None
    assert (person.is_organisation, person.vat_id) == (False, None)
    sevdesk.set_vat_number(person.id, "ATU12345678")
    again = sevdesk.get_contact(person.id)
    assert again is not None
    assert (again.vat_id, again.is_organisation) == ("ATU12345678", False)

    assert sevdesk.contact_addresses(contact) == []
    address = sevdesk.add_address(contact, FIRM)
    assert (address.contact_id, address.city, address.country_id) == (contact, "Hamburg", sevdesk.country_id("FR"))
    assert sevdesk.add_address(contact, replace(FIRM, city=" hamburg ")) == address
    moved = sevdesk.add_address(contact, replace(FIRM, city="Kiel"))
    assert sevdesk.contact_addresses(contact) == [address, moved]
    assert sevdesk.contact_addresses(person.id) == []

    first = sevdesk.add_email(contact, "Buchhaltung@muster.example")
    assert sevdesk.add_email(contact, " buchhaltung@MUSTER.example") == first
    second = sevdesk.add_email(contact, "chef@muster.example")
    assert (first.main, second.main) == (True, False)
    assert sevdesk.communication_ways(contact) == [first, second]
    assert sevdesk.communication_ways(person.id) == []


def test_the_vat_id_is_printed_once(desk: Desk) -> None:
    """UStG §14a (3): both VAT ids on the document."""
    contact = desk.sevdesk.create_contact(FIRM)
    own = "Steuerfreie innergemeinschaftliche Lieferung an FR32123456789"
    for note, foot, expected in (
        ("a", "Danke", "Danke<br>Customer's VAT ID: FR32123456789"),
        ("b", own, own),
        ("c", "", "Customer's VAT ID: FR32123456789"),
    ):
        wanted = invoice_draft(note, Position.of("x", 1, 100, Decimal(0)), tax_rule=3, party=FIRM, foot_text=foot)
        desk.sevdesk.save_draft(wanted, contact)
        assert desk.state("invoices")[-1]["fields"]["footText"] == expected


def test_s100_every_iso_country_has_an_id(desk: Desk) -> None:
    """Facts 2.1: one answer for all; gb comes three times, XI and EL are no ISO codes."""
    ids = {str(country.alpha_2): desk.sevdesk.country_id(str(country.alpha_2)) for country in pycountry.countries}
    assert len(set(ids.values())) == len(ids) > 240
    assert ids["DE"] == "1"
    assert desk.sevdesk.country_id("XI") == desk.sevdesk.country_id("gb") == ids["GB"]
    assert desk.sevdesk.country_id("EL") == ids["GR"]
    assert ids["MC"] != ids["FR"]
    names = {row.id: row.fields["nameEn"] for row in desk.simulator.world.things["StaticCountry"].values()}
    assert names[int(ids["GB"])] == "United Kingdom"
    assert desk.simulator.calls()["by_endpoint"]["GET /StaticCountry"] == 1


# -- bad weather --------------------------------------------------------------------------------------


class Once(Weather):
    """Clear sky until armed; then one fault for the next write."""

    def __init__(self) -> None:
        super().__init__("calm", 0)
        self.next: Fault | None = None

    def decide(self, request: Any) -> Fault:
        if request.method == "GET" or self.next is None:
            return Fault("none")
        fault, self.next = self.next, None
        return fault


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        (Fault("lost_reply"), True),
        (Fault("reset_before"), False),
        (Fault("error_before", status=502), False),
        (Fault("late_commit", after_seconds=3.0), True),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
@pytest.mark.parametrize("note_filter", [True, False])
def test_what_was_lost_is_found_again(fault: Fault, stored: bool, note_filter: bool) -> None:
    """Facts 6.3 for corrections: save, finalise, book, cancel, address, mailbox."""
    simulator = SevdeskSimulator(clock=lambda: NOW, credit_note_note_filter=note_filter)
    weather, late = Once(), []
    route = Route("http://sevdesk.test", simulator, weather)
    with httpx2.Client(transport=SimTransport([route], schedule=lambda after, fn: late.append(fn))) as http:
        desk = Desk(simulator, client(BASE, http))
        sevdesk = desk.sevdesk
        contact = sevdesk.create_contact(PARTY)
        origin = invoice_draft()
        paid, unpaid = desk.invoice(origin, contact, paid=5587), desk.invoice(invoice_draft("s1-2"), contact)
        mug = Position.of("Tasse", 1, 1295, Decimal(19))
        ready = sevdesk.save_credit_note(correction(origin, mug, note="r1"), contact, paid.id, "GU-1001")
        line = sevdesk.create_transaction(desk.account, -1295, TODAY, "E", "SHPTX 9 s1")

        def status(credit_note_id: str) -> int:
            found = sevdesk.get_credit_note(credit_note_id)
            assert found is not None
            return found.status

        new = correction(origin, mug, note="r2")
        steps: list[tuple[Callable[[], object], Callable[[], object]]] = [
            (
                lambda: sevdesk.save_credit_note(new, contact, paid.id, "GU-1002"),
                lambda: sevdesk.find_credit_notes("r2", contact),
            ),
            (lambda: sevdesk.finalise_credit_note(ready.id), lambda: status(ready.id) >= 200),
            (
                lambda: sevdesk.book_credit_note(ready.id, -1295, TODAY, desk.account, line.id),
                lambda: status(ready.id) == 1000,
            ),
            (lambda: sevdesk.cancel_invoice(unpaid.id), lambda: sevdesk.find_cancellation("s1-2", unpaid.id)),
            (lambda: sevdesk.add_address(contact, PARTY), lambda: sevdesk.contact_addresses(contact)),
            (lambda: sevdesk.add_email(contact, "e@muster.example"), lambda: sevdesk.communication_ways(contact)),
        ]
        for write, find in steps:
            weather.next = fault
            with pytest.raises(Ambiguous):
                write()
            for commit in late:
                assert not find(), "nothing is there before the late commit"
                commit()
            late.clear()
            assert bool(find()) is stored
            if not stored:
                write()
                assert find()
        assert sevdesk.cancel_invoice(unpaid.id).kind == "SR"
        assert len(sevdesk.contact_addresses(contact)) == 1
        sevdesk.add_address(contact, PARTY)
        sevdesk.add_email(contact, "E@muster.example")
        assert [len(found) for found in (sevdesk.contact_addresses(contact), sevdesk.communication_ways(contact))] == [
            1,
            1,
        ]
        assert [one["status"] for one in desk.state("credit_notes")] == [1000, 100]
