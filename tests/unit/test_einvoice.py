"""E-invoices and company billing, decided before anything is posted.

Bookkeeping 1.4 (B2B terms), 2.2, 2.4, 3.3 no. 9, 5.18; S100, S143. The planner is asked with small orders made by hand;
what sevdesk makes of it is tests/integration/test_einvoice_life.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ERIKA, PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.answers import question_hash
from ladenbuch.domain.books import Books
from ladenbuch.domain.document import InvoiceDraft, Position, sums_of
from ladenbuch.domain.einvoice import (
    BY_CREDIT_NOTE,
    ORDINARY,
    buyer_reference,
    correction_of,
    e_invoice_of,
    is_wanted,
    payment_means,
)
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Address, Company, PaymentTerms, Refund
from ladenbuch.domain.party import party_of
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected

BUSINESS = replace(PROFILE, e_invoices="business")
BRANCH = Address(None, "Einkauf", "Hotel GmbH", "Am Kai 1", None, "20457", "Hamburg", None, "DE")
HOTEL = Company("gid://shopify/Company/1", "Hotel GmbH", "gid://shopify/CompanyLocation/2", "Hamburg", BRANCH)
NOW = at(60 * 24 * 5)


def bought(*, company=HOTEL, paid=True, sold=None, **changes):
    """A company bought a mug: paid at once, or only shipped."""
    ledger = sold or mug(11900, 1900)
    total = sum(item.total for item in ledger.sales)
    moves = {"payments": (payment(9, total, at(1)),)} if paid else {"fulfilments": (shipped(3, at(60)),)}
    return order(ledger, company=company, **{**moves, **changes})


def planned(made, profile: Profile = BUSINESS, books: Books | None = None) -> Plan:
    return plan(facts_of(made), books or Books(), [profile], NOW)


def draft(result: Plan) -> InvoiceDraft:
    found = next(item.document.draft for item in result.actions if item.kind == "invoice" and item.document)
    assert isinstance(found, InvoiceDraft)
    return found


def asked(result: Plan) -> dict[str, str]:
    return {item.code: item.message for item in result.attention}


# -- who gets one -----------------------------------------------------------------------------------------------------


def test_5_18_a_company_in_germany_gets_an_e_invoice_and_everything_it_needs_is_pinned():
    made = bought(po_number="PO-118")
    found = draft(planned(made))
    assert (found.e_invoice, found.buyer_reference, found.payment_means, found.time_to_pay) == (True, "PO-118", "68", 0)
    assert InvoiceDraft.from_json(found.as_json()) == found


def test_p1_the_profile_of_the_tax_point_decides_and_off_is_the_default():
    assert Profile().e_invoices == "off"
    assert not draft(planned(bought(), PROFILE)).e_invoice
    later = replace(BUSINESS, version=2, effective_from=at(30))
    assert not draft(plan(facts_of(bought()), Books(), [PROFILE, later], NOW)).e_invoice
    assert draft(plan(facts_of(bought(paid=False)), Books(), [PROFILE, later], NOW)).e_invoice


def test_the_profile_field_is_checked():
    with pytest.raises(Rejected, match="e_invoices"):
        Profile.from_json({"e_invoices": "everybody"})
    assert Profile.from_json({"e_invoices": "business"}).e_invoices == "business"


@pytest.mark.parametrize(
    ("changes", "electronic"),
    [
        ({}, True),
        ({"company": None}, False),
        ({"company": None, "custom_attributes": (("USt-IdNr.", "DE 136695976"),)}, True),
        ({"company": None, "custom_attributes": (("USt-IdNr.", "ATU12345678"),)}, False),
        ({"company": None, "billing_address": replace(ERIKA, company="Muster GmbH")}, False),
        ({"company": replace(HOTEL, billing_address=replace(BRANCH, country="AT"))}, False),
    ],
)
def test_a_business_is_a_company_account_or_a_german_vat_id_billed_in_germany(changes, electronic):
    assert draft(planned(bought(**changes))).e_invoice is electronic


@pytest.mark.parametrize("rule", [18, 19, 20])
def test_facts_2_5_no_e_invoice_under_an_oss_rule(rule):
    made = bought()
    party, _ = party_of(made, BUSINESS, 11900)
    assert is_wanted(made, BUSINESS, 1, party)
    assert not is_wanted(made, BUSINESS, rule, party)
    with pytest.raises(Rejected, match="OSS"):
        replace(draft(planned(made)), tax_rule=rule)


# -- what it lacks ----------------------------------------------------------------------------------------------------

NOWHERE = Address(country="DE")
LACKS = {
    "the buyer's street": {"address1": None},
    "the buyer's postal code": {"zip": None},
    "the buyer's city": {"city": None},
}


def test_what_is_missing_is_named_exactly_before_anything_is_posted():
    """All at once, in one question with three choices; the money is booked meanwhile (R20)."""
    bare = replace(HOTEL, billing_address=replace(BRANCH, address1=None, city=None))
    result = planned(bought(company=bare, email=None, customer=None, billing_address=NOWHERE, shipping_address=NOWHERE))
    (question,) = result.attention
    assert question.code == "E-INVOICE"
    assert question.message == (
        "the e-invoice lacks: the buyer's street, the buyer's city, the buyer's e-mail address, "
        "a buyer reference (PO number)"
    )
    assert question.choices == ("add it in Shopify", "send an ordinary invoice", "exclude the order")
    assert [item.kind for item in result.actions] == ["money_line"]


@pytest.mark.parametrize("what", [c for n in (1, 2, 3) for c in combinations(LACKS, n)])
def test_every_part_of_the_address_is_named_by_itself(what):
    gone = {name: value for each in what for name, value in LACKS[each].items()}
    bare = replace(HOTEL, billing_address=replace(BRANCH, **gone))
    result = planned(bought(company=bare, billing_address=NOWHERE, shipping_address=NOWHERE))
    assert asked(result) == {"E-INVOICE": f"the e-invoice lacks: {', '.join(what)}"}


def test_a_small_invoice_may_be_nameless_an_e_invoice_may_not():
    """UStDV §33 lets a small invoice go without; EN 16931 does not."""
    made = bought(
        company=None,
        custom_attributes=(("ust-id", "DE136695976"),),
        customer=None,
        billing_address=NOWHERE,
        shipping_address=NOWHERE,
    )
    assert "the buyer's name" in asked(planned(made))["E-INVOICE"]
    assert asked(planned(made, PROFILE)) == {}


def test_reverse_charge_needs_the_buyers_vat_id():
    facts = facts_of(bought())
    party, _ = party_of(facts.order, BUSINESS, 11900)
    for rule, lacking in ((1, False), (5, True), (3, True), (21, True)):
        _, problems = e_invoice_of(facts, BUSINESS, rule, party, NOW, due=True, readable=True)
        assert bool(problems) is lacking
        _, problems = e_invoice_of(
            facts, BUSINESS, rule, replace(party, vat_id="DE136695976"), NOW, due=True, readable=True
        )
        assert problems == []


def test_terms_that_name_no_date_are_asked_about():
    unknown = PaymentTerms("Nach Absprache", "UNKNOWN")
    assert asked(planned(bought(terms=unknown))) == {"E-INVOICE": "the e-invoice lacks: payment terms with a due date"}
    ordinary = draft(planned(bought(terms=unknown), PROFILE))
    assert ordinary.time_to_pay is None


def test_the_answer_send_an_ordinary_invoice_is_honoured():
    facts = facts_of(bought(email=None, customer=None))
    (question,) = plan(facts, Books(), (BUSINESS,), NOW).attention
    assert question.code == "E-INVOICE"
    answer = Books(resolutions=((question.code, question_hash(question, facts), ORDINARY),))
    made = plan(facts, answer, (BUSINESS,), NOW)
    assert not made.attention
    assert not draft(made).e_invoice


@pytest.mark.parametrize(
    "gone",
    [{"e_invoice": True}, {"e_invoice": True, "buyer_reference": "x", "payment_means": "58"}],
)
def test_a_draft_refuses_to_be_half_an_e_invoice(gone):
    ordinary = draft(planned(bought(), PROFILE))
    with pytest.raises(Rejected) as refused:
        replace(ordinary, **{"buyer_reference": None, "time_to_pay": None, **gone})
    assert refused.value.code == "DRAFT-E-INVOICE"


# -- reference, means of payment, terms -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({"custom_attributes": (("Leitweg-ID", " 04011000-1234512345-06 "),), "po_number": "PO-1"},
         "04011000-1234512345-06"),
        ({"po_number": "PO\n-1", "company": replace(HOTEL, external_id="K-7")}, "PO -1"),
        ({"company": replace(HOTEL, external_id="K-7")}, "K-7"),
        ({}, "erika@example.org"),
        ({"email": None, "customer": None}, None),
    ],
)  # fmt: skip
def test_the_buyers_reference_in_order_of_preference(changes, reference):
    """Facts 4.4: a routing id, otherwise the PO number or the e-mail."""
    made = bought(**changes)
    party, _ = party_of(made, BUSINESS, 11900)
    assert buyer_reference(made, party) == reference


def test_po_number_and_reference_are_printed():
    made = bought(po_number="PO-1", custom_attributes=(("Kundenreferenz", "Kst. 4711"),))
    assert (
        draft(planned(made)).head_text
        == "Bestellung #1001 vom 20.11.2026, Ihre Bestellnummer PO-1, Ihr Zeichen Kst. 4711"
    )
    assert draft(planned(bought(po_number="PO-1"))).head_text.endswith("Ihre Bestellnummer PO-1")
    assert draft(planned(bought(po_number="PO-1"), PROFILE)).head_text.endswith("Ihre Bestellnummer PO-1")


@pytest.mark.parametrize(
    ("payments", "means"),
    [
        ((), "58"),
        ((payment(9, 11900, at(1)),), "68"),
        ((payment(9, 11900, at(1), gateway="bank_deposit", manual=True),), "58"),
        ((payment(9, 11900, at(1), gateway="bank_deposit"),), "58"),
        ((payment(9, 11900, at(1), manual=True),), "58"),  # somebody marked it as paid
        ((payment(9, 11900, at(1), gateway="cash_on_delivery", manual=True),), "10"),
        ((payment(8, 10000, at(1), gateway="gift_card"), payment(9, 1900, at(1))), "97"),
        ((payment(8, 1900, at(1), gateway="gift_card"), payment(9, 10000, at(1))), "68"),
        ((payment(9, 5000, at(1)),), "58"),  # the rest is open
        ((payment(9, 11900, at(5000)),), "58"),  # after the tax point: seen live or late, the same
    ],
)
def test_how_it_is_paid_by_what_came_in_when_the_tax_arose(payments, means):
    facts = facts_of(order(mug(11900, 1900), payments=payments, fulfilments=(shipped(3, at(60)),)))
    assert payment_means(facts, BUSINESS, facts.tax_point.at) == means


def test_what_is_sold_after_the_tax_point_does_not_open_the_invoice_again():
    more = agreement(2, at(600), sale(2, 1190, {"19": 190}), reason="ORDER_EDIT")
    facts = facts_of(order(mug(11900, 1900), more, payments=(payment(9, 11900, at(1)),), edited=True))
    assert payment_means(facts, BUSINESS, facts.tax_point.at) == "68"


@pytest.mark.parametrize(
    ("terms", "days"),
    [
        (PaymentTerms("Net 14", "NET", 14, at(60 * 24 * 14)), 9),
        (PaymentTerms("Net 14", "NET", 14), 14),
        (PaymentTerms("Fixed", "FIXED", None, at(60 * 24 * 20)), 15),
        (PaymentTerms("Overdue", "FIXED", None, at(60)), 0),
        (PaymentTerms("Due on fulfillment", "FULFILLMENT"), 0),
        (PaymentTerms("Due on receipt", "RECEIPT"), 0),
        (PaymentTerms("?", "UNKNOWN"), None),
        (None, None),
    ],
)
def test_1_4_terms_invoice_at_fulfilment_with_its_due_date_open_and_nothing_booked(terms, days):
    """Bookkeeping 1.4, B2B terms: T = fulfilment, due date pinned, invoice open, no booking."""
    result = planned(bought(paid=False, terms=terms), PROFILE)
    found = draft(result)
    assert (found.time_to_pay, found.delivery_date, found.invoice_date) == (
        days,
        date(2026, 11, 20),
        date(2026, 11, 25),
    )
    assert [item.kind for item in result.actions] == ["invoice", "finalise", "letter"]
    assert result.tax_point is not None and result.tax_point.trigger == "fulfilment"


def test_r9_the_due_date_is_pinned_and_moves_with_no_day():
    made = bought(paid=False, terms=PaymentTerms("Net 14", "NET", 14, at(60 * 24 * 14)))
    first = plan(facts_of(made), Books(), [BUSINESS], at(61))
    posted = next(item.document for item in first.actions if item.kind == "invoice")
    for day in (1, 30, 400):
        again = plan(facts_of(made), Books(documents=(posted,)), [BUSINESS], NOW + timedelta(days=day))
        assert draft(again) == posted.draft


def test_terms_without_shipment_and_money_wait():
    result = planned(order(mug(), company=HOTEL, terms=PaymentTerms("Net 14", "NET", 14)))
    assert [item.code for item in result.waiting] == ["UNPAID"] and result.actions == ()


def test_a_deposit_pays_a_part_and_the_rest_stays_open_under_the_terms():
    made = bought(
        paid=False,
        terms=PaymentTerms("50 % deposit, net 14", "NET", 14, at(60 * 24 * 14)),
        payments=(payment(9, 5950, at(1)),),
    )
    result = planned(made)
    assert (draft(result).payment_means, draft(result).time_to_pay) == ("58", 9)
    (booked,) = [item.booking for item in result.actions if item.kind == "book_payment"]
    assert booked.amount == 5950


# -- company billing --------------------------------------------------------------------------------------------------


def test_the_company_is_billed_at_its_location_with_its_contact_person_and_vat_id():
    made = bought(company=replace(HOTEL, tax_registration_id="DE 136 695 976"))
    party = draft(planned(made)).party
    assert (party.name, party.company, party.street, party.zip, party.city, party.vat_id) == (
        "Hotel GmbH", "Hotel GmbH", "Am Kai 1", "20457", "Hamburg", "DE136695976",
    )  # fmt: skip
    assert (party.first_name, party.last_name) == (None, "Einkauf"), "the location's recipient, not a mix of two people"


def test_without_a_recipient_the_buyer_is_the_contact_person():
    made = bought(company=replace(HOTEL, billing_address=replace(BRANCH, last_name=None)))
    party = draft(planned(made)).party
    assert (party.first_name, party.last_name) == ("Erika", "Muster")


def test_a_location_without_an_address_falls_back_to_the_orders_billing_address():
    party = draft(planned(bought(company=replace(HOTEL, billing_address=None)))).party
    assert (party.name, party.company, party.street) == ("Hotel GmbH", "Hotel GmbH", "Hafenweg 3")


# -- positions --------------------------------------------------------------------------------------------------------


def test_2_2_what_cannot_be_divided_is_two_positions_for_machines_and_one_for_people():
    """3 pieces for 23.98: 2 x 7.99 and 1 x 8.00 on an e-invoice, "3 x Tasse" on an ordinary one (G2b)."""
    made = bought(sold=agreement(1, T0, sale(1, 2398, {"19": 383}, quantity=3)))
    electronic, ordinary = draft(planned(made)), draft(planned(made, PROFILE))
    assert [(p.name, p.quantity, p.unit_gross) for p in electronic.positions] == [("Tasse", 2, 799), ("Tasse", 1, 800)]
    assert [(p.name, p.quantity, p.unit_gross) for p in ordinary.positions] == [("3 x Tasse", 1, 2398)]
    assert electronic.claim == ordinary.claim


@given(gross=st.integers(1, 10**7), quantity=st.integers(1, 500))
@settings(max_examples=300, deadline=None)
def test_whole_pieces_keep_every_cent_and_every_piece(gross, quantity):
    whole = Position.of("Tasse", quantity, gross, Decimal(19), covers=("x",))
    parts = whole.in_whole_pieces("Tasse", quantity)
    assert sum(part.gross for part in parts) == gross
    assert sum(part.quantity for part in parts) == quantity
    assert {part.name for part in parts} == {"Tasse"} and {part.covers for part in parts} == {("x",)}
    assert len(parts) <= 2 and max(p.unit_gross for p in parts) - min(p.unit_gross for p in parts) <= 1


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(50, 90000)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_r21_is_checked_again_after_the_split(lines):
    """Either the split document is within the bound of its own positions, or the question says why there is none."""
    sales = [
        sale(number, gross, {"19": round(Decimal(gross) * 19 / 119)}, quantity=quantity)
        for number, (quantity, gross) in enumerate(lines, 1)
    ]
    made = bought(sold=agreement(1, T0, *sales), po_number="PO-1")
    result = planned(made)
    if result.attention:
        assert asked(result) == {
            "E-INVOICE": "the e-invoice lacks: quantities whose prices agree with the tax to the cent"
        }
        return
    found = draft(result)
    assert not any(" x " in position.name for position in found.positions)
    charged = sum(item.tax for item in sales)
    assert 2 * abs(sums_of(found.positions)[Decimal(19)].tax - charged) <= len(found.positions) + 1
    assert found.gross == sum(gross for _, gross in lines)


# -- corrections ------------------------------------------------------------------------------------------------------


def refunded(company=HOTEL):
    """Paid at once; 20.00 of 119.00 went back five days later, of one product."""
    back = agreement(2, at(7200), sale(2, -2000, {"19": -319}, line="1", action="RETURN", quantity=-1), reason="REFUND")
    back = replace(back, refund_id="gid://shopify/Refund/7")
    sent = payment(10, 2000, at(7200), kind="REFUND")
    refund = Refund("gid://shopify/Refund/7", at(7200), 2000, transaction_ids=(sent.id,))
    return order(
        mug(11900, 1900),
        back,
        payments=(payment(9, 11900, at(1)), sent),
        refunds=(refund,),
        company=company,
        po_number="PO-1",
    )


def test_5_18_money_back_of_an_e_invoice_is_asked_about_and_never_a_plain_credit_note():
    result = planned(refunded())
    assert [item.code for item in result.attention] == ["E-INVOICE-CORRECTION"]
    (question,) = result.attention
    assert question.facts == ("gid://shopify/OrderTransaction/10",)
    assert question.choices == ("cancel it and write a new e-invoice by hand", BY_CREDIT_NOTE)
    assert "credit_note" not in {item.kind for item in result.actions}
    assert {"invoice", "book_payment"} <= {item.kind for item in result.actions}, "the rest of the order goes on"


def test_5_18_an_ordinary_invoice_of_the_same_life_gets_its_credit_note():
    for result in (planned(refunded(), PROFILE), planned(refunded(company=None))):
        assert result.attention == ()
        assert "credit_note" in {item.kind for item in result.actions}


def test_5_18_a_person_may_choose_the_credit_note():
    """The answer holds for this refund: its credit note is planned, and what hangs on it."""
    facts = facts_of(refunded())
    (question,) = plan(facts, Books(), (BUSINESS,), NOW).attention
    answer = Books(resolutions=((question.code, question_hash(question, facts), BY_CREDIT_NOTE),))
    made = plan(facts, answer, (BUSINESS,), NOW)
    assert made.attention == ()
    assert "credit_note" in {item.kind for item in made.actions}
    pinned = Books(documents=tuple(item.document for item in made.actions if item.kind in ("invoice", "credit_note")))
    assert plan(facts, pinned, (BUSINESS,), NOW).attention == (), "what is pinned is decided"


def test_5_18_only_e_invoices_are_asked_about():
    electronic = draft(planned(bought(po_number="PO-1")))
    assert correction_of([electronic], ("x",)) is not None
    assert correction_of([replace(electronic, e_invoice=False)], ("x",)) is None
    assert correction_of([], ("x",)) is None


def test_r5_an_unpaid_e_invoice_is_cancelled_and_written_anew_as_one():
    """Situation 20 before any payment: SR and a new e-invoice, no question."""
    less = agreement(
        2, at(7200), sale(2, -2000, {"19": -319}, line="1", action="RETURN", quantity=-1), reason="ORDER_EDIT"
    )
    made = order(
        mug(11900, 1900), less, fulfilments=(shipped(3, at(60)),), company=HOTEL, po_number="PO-1", edited=True
    )
    result = planned(made)
    assert result.attention == ()
    assert [item.kind for item in result.actions if item.kind in ("invoice", "cancel")] == [
        "invoice",
        "cancel",
        "invoice",
    ]
    drafts = [item.document.draft for item in result.actions if item.kind == "invoice"]
    assert [(item.gross, item.e_invoice) for item in drafts] == [(11900, True), (9900, True)]
