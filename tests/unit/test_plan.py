"""What `plan` decides, rule by rule (R1-R22, bookkeeping 3.1, 3.2; checklist S69-S77, S102-S106, S147, S148)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import ERIKA, PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.books import Booked, Books, Cover, PostedLine
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Company, Dispute, PaymentTerms
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Gateway

NOW = T0 + timedelta(days=2)


def planned(made, books=None, profile=PROFILE, now=NOW):
    return plan(facts_of(made), books or Books(), [profile], now)


def kinds(result):
    return [action.kind for action in result.actions]


def codes(items):
    return {item.code for item in items}


def draft_of(result):
    return next(action.document.draft for action in result.actions if action.kind == "invoice")


def test_card_order_is_invoiced_paid_and_mailed():
    """S71: paid order -> draft, number, money line, booking, letter; each key once (R7)."""
    result = planned(order(mug(), payments=(payment(9, 1190, at(1)),)))
    assert kinds(result) == ["money_line", "invoice", "finalise", "book_payment", "letter"]
    assert [action.key for action in result.actions] == [
        "line:9", "inv:5001:1", "fin:inv:5001:1", "pay:9:1", "mail:inv:5001:1",
    ]  # fmt: skip
    assert not result.waiting and not result.attention
    draft = draft_of(result)
    assert (draft.gross, draft.tax_rule, draft.note) == (1190, 1, "#1001 / s1:5001")
    assert certificate(facts_of(order(mug(), payments=(payment(9, 1190, at(1)),))), Books(), result).holds


def test_prepaid_dates_and_sentence():
    """Bookkeeping 3.2: not shipped -> day of receipt as time of supply, and the advance-payment sentence."""
    draft = draft_of(planned(order(mug(), payments=(payment(9, 1190, at(1)),))))
    assert draft.delivery_date.isoformat() == "2026-11-20"
    assert draft.invoice_date.isoformat() == "2026-11-22"
    assert draft.foot_text.startswith(
        "Vorauszahlung, Zahlung erhalten am 20.11.2026, Lieferung voraussichtlich im November"
    )


def test_shipment_before_money_is_the_tax_point():
    """Klarna and invoice: the goods leave first, the day of shipment is the day of supply."""
    made = order(mug(), fulfilments=(shipped(3, at(60)),), payments=(payment(9, 1190, at(600)),))
    draft = draft_of(planned(made))
    assert draft.foot_text == "" and draft.delivery_date.isoformat() == "2026-11-20"
    assert planned(made).tax_point.trigger == "fulfilment"


def test_late_shipment_does_not_change_a_prepaid_document():
    """R2: the same life gives the same document whether seen live or late."""
    live = order(mug(), payments=(payment(9, 1190, at(1)),))
    late = replace(live, fulfilments=(shipped(3, at(2000)),), updated_at=at(2000))
    assert draft_of(planned(live)) == draft_of(planned(late))


def test_berlin_date_of_a_late_evening_order():
    """Situation 29: 23:30 UTC on 31 December is 1 January in Berlin."""
    when = T0.replace(month=12, day=31, hour=23, minute=30)
    draft = draft_of(planned(order(mug(when=when), payments=(payment(9, 1190, when),)), now=when))
    assert draft.delivery_date.isoformat() == "2027-01-01" == draft.invoice_date.isoformat()


def test_authorised_money_is_no_money():
    """S105, S106: authorised, pending, failed -> waiting, not attention."""
    for kind, status in (("AUTHORIZATION", "SUCCESS"), ("SALE", "PENDING"), ("SALE", "FAILURE"), ("SALE", "ERROR")):
        result = planned(order(mug(), payments=(payment(9, 1190, at(1), kind=kind, status=status),)))
        assert (codes(result.waiting), result.actions, result.attention) == ({"UNPAID"}, (), ())


def test_capture_after_authorisation():
    result = planned(
        order(mug(), payments=(payment(8, 1190, at(0), kind="AUTHORIZATION"), payment(9, 1190, at(90), kind="CAPTURE")))
    )
    assert [action.key for action in result.actions if action.kind == "book_payment"] == ["pay:9:1"]


def test_two_payments_two_gateways():
    """S147: split payments booked separately; the tax point is the completing payment."""
    made = order(mug(), payments=(payment(8, 500, at(1)), payment(9, 690, at(70), gateway="klarna")))
    result = planned(made)
    assert result.tax_point.at == at(70)
    assert [(a.booking.payment_id[-1], a.booking.amount) for a in result.actions if a.booking] == [
        ("8", 500),
        ("9", 690),
    ]


def test_partial_payment_writes_its_line_and_waits():
    result = planned(order(mug(), payments=(payment(8, 500, at(1)),)))
    assert kinds(result) == ["money_line"] and codes(result.waiting) == {"UNPAID"}


def test_bank_gateway_is_never_booked_from_shopify():
    """Situation 7: Vorkasse marked paid -> invoice, no line of ours; the open rest has its cause."""
    made = order(mug(), payments=(payment(9, 1190, at(1), gateway="bank_deposit", manual=True),))
    result = planned(made)
    assert kinds(result) == ["invoice", "finalise", "letter"]
    proof = certificate(facts_of(made), Books(), result)
    assert proof.open_minor == 1190 and proof.open_causes and proof.holds


def test_unknown_gateway_is_asked_about_and_the_invoice_goes_on():
    """R20: parked parts do not block independent parts."""
    result = planned(order(mug(), payments=(payment(9, 1190, at(1), gateway="gift_card"),)))
    assert codes(result.attention) == {"GATEWAY-UNMAPPED"} and "invoice" in kinds(result)
    assert "book_payment" not in kinds(result)


def test_gift_card_is_never_covered_by_a_default():
    profile = replace(PROFILE, default_gateway=Gateway("clearing+payouts", "12"))
    result = planned(order(mug(), payments=(payment(9, 1190, at(1), gateway="gift_card"),)), profile=profile)
    assert "GATEWAY-UNMAPPED" in codes(result.attention)


def test_edit_before_payment_is_folded():
    """R2: one document over everything agreed up to the tax point."""
    edit = agreement(2, at(5), sale(2, 700, {"19": 112}, line="2", action="UPDATE"), reason="ORDER_EDIT")
    made = order(mug(), edit, payments=(payment(9, 1890, at(10)),), edited=True)
    draft = draft_of(planned(made))
    assert draft.gross == 1890 and draft.key == "inv:5001:2"


def test_removed_line_disappears():
    both = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 1000, {"7": 65}))
    gone = agreement(2, at(5), sale(3, -1000, {"7": -65}, line="2", quantity=-1, action="RETURN"), reason="ORDER_EDIT")
    made = order(both, gone, payments=(payment(9, 1190, at(10)),), edited=True)
    assert [position.gross for position in draft_of(planned(made)).positions] == [1190]


def test_edit_that_lowers_the_claim_to_what_was_paid_completes_it():
    both = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 1000, {"7": 65}))
    gone = agreement(2, at(50), sale(3, -1000, {"7": -65}, line="2", quantity=-1, action="RETURN"), reason="ORDER_EDIT")
    result = planned(order(both, gone, payments=(payment(9, 1190, at(10)),), edited=True))
    assert result.tax_point.at == at(50) and draft_of(result).gross == 1190


def test_an_addition_waits_for_its_own_tax_point_and_gets_its_own_invoice():
    """R3: C > D; nobody pays twice for what the first invoice carries."""
    edit = agreement(2, at(500), sale(2, 700, {"19": 112}, line="2", action="UPDATE"), reason="ORDER_EDIT")
    paid = payment(9, 1190, at(10))
    waits = planned(order(mug(), edit, payments=(paid,), edited=True))
    assert waits.attention == () and codes(waits.waiting) == {"UNPAID"} and draft_of(waits).gross == 1190
    done = planned(order(mug(), edit, payments=(paid, payment(10, 700, at(600))), edited=True))
    assert done.attention == () and done.waiting == ()
    made = [item.document for item in done.actions if item.kind == "invoice"]
    assert [(item.key, item.kind, item.draft.gross) for item in made] == [
        ("inv:5001:1", "invoice", 1190),
        ("sup:2", "supplementary", 700),
    ]
    booked = [(item.booking.document_key, item.booking.amount) for item in done.actions if item.booking]
    assert booked == [("inv:5001:1", 1190), ("sup:2", 700)]


def test_a_refund_becomes_a_credit_note_over_the_money_that_went_back():
    """R3, R4, R5: after the payment is linked, on the invoice that carried it, with its own negative line."""
    back = agreement(2, at(500), sale(2, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"), reason="REFUND")
    made = order(mug(), back, payments=(payment(9, 1190, at(10)), payment(10, 1190, at(500), kind="REFUND")))
    result = planned(made)
    assert result.attention == () and result.waiting == ()
    credit = next(item.document for item in result.actions if item.kind == "credit_note")
    assert (credit.draft.gross, credit.draft.origin_key, credit.draft.tax_rule) == (1190, "inv:5001:1", 1)
    order_of = [item.kind for item in result.actions]
    assert order_of.index("book_payment") < order_of.index("credit_note") < order_of.index("book_refund")
    assert sum(item.line.amount for item in result.actions if item.line) == 0
    assert sum(item.booking.amount for item in result.actions if item.booking) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"test": True}, "TEST"),
        ({"source_name": "pos"}, "POS"),
        ({"cancelled_at": at(0.5)}, "CANCELLED-BEFORE"),
    ],
)
def test_exclusions_have_a_reason(changes, code):
    payments = () if code == "CANCELLED-BEFORE" else (payment(9, 1190, at(1)),)
    result = planned(order(mug(), payments=payments, **changes))
    assert result.exclusion.code == code and result.actions == ()


def test_before_go_live_is_not_ours():
    """R22: the tax point decides."""
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    assert planned(made, profile=replace(PROFILE, go_live=at(10))).exclusion.code == "BEFORE-GO-LIVE"
    assert planned(made, profile=replace(PROFILE, go_live=at(0.5))).exclusion is None


def test_zero_total_is_excluded_and_voided_too():
    assert planned(order(agreement(1, T0, sale(1, 0, {"19": 0})))).exclusion.code == "ZERO"
    assert planned(order(mug(), financial_status="VOIDED")).exclusion.code == "CANCELLED-BEFORE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"presentment_currency": "CHF"}, "CURRENCY"),
        ({"foreign_money": True}, "CURRENCY"),
        ({"shipping_address": replace(ERIKA, country=None)}, "TAX-PLACE"),
        ({"shipping_address": replace(ERIKA, country="PT", zip="9000-001")}, "TAX-PLACE"),
        ({"shipping_address": replace(ERIKA, country="CH")}, "TAX-FOREIGN"),
        ({"shipping_address": replace(ERIKA, zip="27498")}, "TAX-FOREIGN"),
        ({"estimated_taxes": True}, "TAX-ESTIMATED"),
        ({"merchant_of_record": "gid://shopify/App/1"}, "TAX-CHANNEL"),
        ({"tax_exempt": True}, "TAX-ZERO"),
        ({"company": Company("gid://shopify/Company/1", "ACME")}, None),
        ({"terms": PaymentTerms("Net 30", "NET", 30)}, None),
        ({"cash_rounding": 1}, "CASH-ROUNDING"),
        ({"disputes": (Dispute("gid://shopify/Dispute/1", "CHARGEBACK", "LOST"),)}, "DISPUTE"),
        ({"disputes": (Dispute("gid://shopify/Dispute/1", "CHARGEBACK", "NEEDS_RESPONSE"),)}, None),
        ({"cancelled_at": at(600)}, None),
        ({"fulfilments": (shipped(3, at(60), origin="PL"),)}, "TAX-SHIP-FROM"),
        ({"current_total": 1191}, "LEDGER"),
        ({"original_total": 1000}, "LEDGER"),
        ({"agreements": ()}, None),
    ],
)
def test_what_is_not_decided_is_asked_about(changes, code):
    result = planned(order(mug(), payments=(payment(9, 1190, at(1)),), **changes))
    assert codes(result.attention) == ({code} if code else set())
    if code not in (None, "DISPUTE"):
        assert "invoice" not in kinds(result)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("TIP", "TIP"), ("GIFT_CARD", "GIFT-CARD"), ("DUTY", "DUTY"), ("ADDITIONAL_FEE", "FEE"), ("NEW_THING", "ENUM")],
)
def test_lines_that_are_not_goods(kind, code):
    sold = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 100, kind=kind))
    assert code in codes(planned(order(sold, payments=(payment(9, 1290, at(1)),))).attention)


@pytest.mark.parametrize(("taxes", "code"), [({"16": 164}, "TAX-RATE"), ({}, "TAX-ZERO"), ({"19": 150}, "TAX-BOUND")])
def test_wrong_taxes_are_refused(taxes, code):
    """R21: a wrong rate on a cheap line is not hidden by a per-document tolerance."""
    made = order(agreement(1, T0, sale(1, 1190, taxes)), payments=(payment(9, 1190, at(1)),))
    assert codes(planned(made).attention) == {code}


def test_zero_rated_goods_are_decided():
    """§12 (3) UStG: an explicit tax line at 0 %."""
    made = order(agreement(1, T0, sale(1, 89900, {"0": 0})), payments=(payment(9, 89900, at(1)),))
    draft = draft_of(planned(made))
    assert (draft.tax_rule, dict(draft.claim)) == (1, {Decimal(0): 89900})


def test_shipping_at_a_rate_no_goods_have():
    sold = agreement(1, T0, sale(1, 1070, {"7": 70}), sale(2, 490, {"19": 78}, kind="SHIPPING"))
    assert codes(planned(order(sold, payments=(payment(9, 1560, at(1)),))).attention) == {"TAX-SHIPPING"}


def test_shipping_with_two_tax_lines_is_split_by_the_goods():
    """G4: 5.90 with 0.63 (19) and 0.13 (7) over goods 40.00 / 20.00 -> 3.93 and 1.97, never tax/rate."""
    sold = agreement(
        1,
        T0,
        sale(1, 4000, {"19": 639}, quantity=2),
        sale(2, 2000, {"7": 131}),
        sale(3, 590, {"19": 63, "7": 13}, kind="SHIPPING"),
    )
    made = order(sold, payments=(payment(9, 6590, at(1)),), names={"1": "Becher", "2": "Buch"})
    posted = [(p.name, p.quantity, p.unit_gross, int(p.rate)) for p in draft_of(planned(made)).positions]
    assert posted == [
        ("Becher", 2, 2000, 19),
        ("Buch", 1, 2000, 7),
        ("Versand (Anteil 19 %)", 1, 393, 19),
        ("Versand (Anteil 7 %)", 1, 197, 7),
    ]


def test_net_priced_shop_g3():
    """G3: the ledger's totals are after tax, so gross and net shops take one path."""
    sold = agreement(
        1,
        T0,
        sale(1, 2995, {"19": 478}, quantity=3),
        sale(2, 997, {"7": 65}, quantity=2),
        sale(3, 490, {"19": 78}, kind="SHIPPING"),
    )
    made = order(sold, payments=(payment(9, 4482, at(1)),), names={"1": "Tee", "2": "Buch"})
    made = replace(made, taxes_included=False, lines=tuple(
        replace(line, original_total=line.original_total - sum(t.amount for t in line.tax_lines)) for line in made.lines
    ))  # fmt: skip
    draft = draft_of(planned(made))
    assert {int(rate): (s.gross, s.net, s.tax) for rate, s in draft.sums.items()} == {
        19: (3485, 2929, 556),
        7: (997, 932, 65),
    }
    assert [p.name for p in draft.positions] == ["3 x Tee", "2 x Buch", "Versand"]


def test_free_shipping_makes_no_position():
    sold = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 0, {"19": 0}, kind="SHIPPING"))
    assert len(draft_of(planned(order(sold, payments=(payment(9, 1190, at(1)),)))).positions) == 1


def test_overpaid_is_listed_not_rounded_away():
    """Situation 31."""
    result = planned(order(mug(), payments=(payment(9, 1191, at(1)),)))
    assert codes(result.attention) == {"OVERPAID"} and "book_payment" not in kinds(result)


def test_draft_only_tenant_gets_a_draft_and_nothing_else():
    """A new tenant never sends or numbers anything (safety for a first hour)."""
    result = planned(order(mug(), payments=(payment(9, 1190, at(1)),)), profile=replace(PROFILE, draft_only=True))
    assert kinds(result) == ["invoice"] and codes(result.waiting) == {"DRAFT-ONLY"}


def test_no_mail_address_no_letter():
    made = order(mug(), payments=(payment(9, 1190, at(1)),), email=None, customer=None)
    assert "letter" not in kinds(planned(made))


def test_gaps_mean_later():
    """R19: nothing is decided on half an order."""
    result = planned(order(mug(), payments=(payment(9, 1190, at(1)),), gaps=("order.agreements",)))
    assert result.later and result.actions == () and result.attention == ()


def posted(made, state="final"):
    document = next(a.document for a in planned(made).actions if a.kind == "invoice")
    document = replace(document, state=state, sevdesk_id="33", number="RE-1" if state == "final" else None)
    line = PostedLine("line:9", "gid://shopify/OrderTransaction/9", "12", 1190, T0.date(), True, "77")
    booking = Booked("pay:9:1", "gid://shopify/OrderTransaction/9", document.key, 1190, True)
    keys = {"line:9", "inv:5001:1", "fin:inv:5001:1", "pay:9:1", "mail:inv:5001:1"}
    return Books((document,), (line,), (booking,), frozenset({"mail:inv:5001:1"}), frozenset(keys))


def test_settled_order_has_an_empty_plan():
    """R1, R7: nothing uncovered, nothing to do; whatever day it is (R9)."""
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    books = posted(made)
    for days in range(0, 400, 7):
        assert planned(made, books, now=NOW + timedelta(days=days)).actions == ()


def test_pins_are_not_decided_again():
    """P1-P4: a redacted buyer, a new profile, a moved tax point change nothing that is pinned."""
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    books = replace(
        posted(made, "draft"), applied=frozenset({"line:9", "inv:5001:1"}), bookings=(), letters=frozenset()
    )
    redacted = replace(made, email=None, customer=None, billing_address=None, shipping_address=None)
    result = planned(redacted, books, profile=replace(PROFILE, shop_key="other"))
    assert kinds(result) == ["finalise", "book_payment"] and result.attention == ()  # no letter to whom is erased
    assert result.actions[0].document == books.documents[0]


def test_a_used_key_that_is_wanted_again_stops_the_order():
    """R7: FLAP."""
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    result = planned(made, replace(posted(made), bookings=()))
    assert codes(result.attention) == {"FLAP"} and result.actions == ()


def test_a_covered_fact_that_changed_is_noticed():
    made = order(mug(), payments=(payment(9, 1190, at(1)),))
    books = posted(made)
    document = replace(books.documents[0], covers=(Cover("gid://shopify/Agreement/1", 1189),))
    assert "LEDGER" in codes(planned(made, replace(books, documents=(document,))).attention)


def test_order_of_facts_does_not_matter():
    """S76: the plan depends on what happened, not on the order we hear it in."""
    payments = (payment(8, 500, at(1)), payment(9, 690, at(70)))
    one = planned(order(mug(), payments=payments))
    other = planned(order(mug(), payments=payments[::-1]))
    assert {a.key: a.as_json() for a in one.actions} == {a.key: a.as_json() for a in other.actions}
