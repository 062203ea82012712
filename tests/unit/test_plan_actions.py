"""What a plan says, word for word: each action with its reason and what it waits for, each question, each wait.

Sentences are shown to people and matched by the dashboard; what an action follows decides what a failure holds up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import ERIKA, PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.answers import question_hash
from ladenbuch.domain.books import Books, Hand, PostedDocument
from ladenbuch.domain.evidence import Evidence, VatIdAnswer
from ladenbuch.domain.facts import Problem, facts_of
from ladenbuch.domain.order import Company, Customer, Dispute, Order, Refund
from ladenbuch.domain.plan import Action, Plan, finalise_key, plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.vat_rates import rate_table

NOW = T0 + timedelta(days=2)
ID, TX = "gid://shopify/Order/5001", "gid://shopify/OrderTransaction"
HOME = "Supplied in Germany by a regular-taxed German business: German VAT at 19 %."
EQUAL = "The draft equals the order to the cent: it takes its number and may be sent."
LINE = "shopify_payments received the money: it stands on its clearing account until the payout."
PAYS = "The money of shopify_payments pays this invoice."
ZUERICH = replace(ERIKA, country="CH", zip="8001")


def planned(made: Order, books: Books | None = None, profile: Profile = PROFILE, now: datetime = NOW) -> Plan:
    return plan(facts_of(made), books or Books(), [profile], now, Evidence(rate_table()))


def said(made: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """Key, reason and what comes before, of every action."""
    return [(action.key, action.reason, action.after) for action in made.actions]


def kinds(made: Plan) -> list[str]:
    return [action.kind for action in made.actions]


def paid(**changes: Any) -> Order:
    """One mug, paid by card a minute later."""
    return order(mug(), **({"payments": (payment(9, 1190, at(1)),)} | changes))


def refunded(amount: int = 1190) -> Order:
    """The same with its money back after five hours."""
    taken = sale(2, -amount, {"19": -amount * 19 // 119}, line="1", quantity=-1, action="RETURN")
    back = replace(agreement(2, at(300), taken, reason="REFUND"), refund_id="gid://shopify/Refund/77")
    return order(
        mug(),
        back,
        payments=(payment(9, 1190, at(1)), payment(10, amount, at(310), kind="REFUND")),
        refunds=(Refund("gid://shopify/Refund/77", at(300), amount, transaction_ids=(f"{TX}/10",)),),
    )


def added() -> Order:
    """The same mug, and another one added and paid after five hours."""
    more = agreement(2, at(300), sale(2, 1190, {"19": 190}), reason="ORDER_EDIT")
    return order(mug(), more, payments=(payment(9, 1190, at(1)), payment(10, 1190, at(310))), edited=True)


def lowered(**changes: Any) -> Order:
    """Sent on account, and 5.00 less after five hours."""
    less = agreement(2, at(300), sale(2, -500, {"19": -80}, line="1", quantity=0, action="RETURN"), reason="ORDER_EDIT")
    return order(mug(), less, fulfilments=(shipped(3, at(60)),), edited=True, **changes)


def posted(made: Plan, state: str = "final") -> Books:
    """The books once a plan is carried out, as far as its documents and keys."""
    documents = [item.document for item in made.actions if item.kind in ("invoice", "credit_note") and item.document]
    return Books(
        documents=tuple(replace(item, state=state) for item in documents),
        applied=frozenset(item.key for item in documents),
    )


# -- what is done -------------------------------------------------------------------------------------------------


def test_a_paid_order() -> None:
    made = planned(paid())
    assert said(made) == [
        ("line:9", LINE, ()),
        ("inv:5001:1", f"The tax arose on 2026-11-20; the ledger up to then is 1190 minor units. {HOME}", ()),
        ("fin:inv:5001:1", EQUAL, ("inv:5001:1",)),
        ("pay:9:1", PAYS, ("line:9", "fin:inv:5001:1")),
        ("mail:inv:5001:1", "The invoice has its number: the buyer gets it once.", ("fin:inv:5001:1",)),
    ]
    agreed = ("gid://shopify/Agreement/1",)
    assert [action.covers for action in made.actions] == [(f"{TX}/9",), agreed, agreed, (f"{TX}/9",), ()]
    assert {action.not_before for action in made.actions} == {None}
    assert made == Plan(ID, made.actions, tax_point=made.tax_point)
    letter = made.actions[-1].letter
    assert letter is not None
    assert (letter.document_key, letter.to, letter.locale) == ("inv:5001:1", "erika@example.org", "de")
    assert [action.document is None for action in made.actions] == [True, False, False, True, True]


def test_the_day_in_a_reason_is_that_of_the_books() -> None:
    """23:30 UTC on 31 December is 1 January in Berlin (5.29)."""
    late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    made = planned(order(mug(when=late), payments=(payment(9, 1190, late),)), now=late)
    assert made.actions[1].reason.startswith("The tax arose on 2027-01-01; ")


def test_a_refund_after_the_payment_is_linked() -> None:
    made = planned(refunded())
    assert kinds(made) == [
        "money_line", "money_line", "invoice", "finalise", "book_payment", "credit_note", "finalise", "book_refund",
        "letter", "letter",
    ]  # fmt: skip
    assert said(made)[5:] == [
        ("cn:77:1", f"1190 minor units went back on 2026-11-20: the tax falls with them. {HOME}",
         ("fin:inv:5001:1", "pay:9:1")),
        ("fin:cn:77:1", "The draft equals the money that went back to the cent: it takes its number and may be sent.",
         ("cn:77:1",)),
        ("pay:10:1", "The money shopify_payments paid back settles this credit note.", ("line:10", "fin:cn:77:1")),
        ("mail:inv:5001:1", "The invoice has its number: the buyer gets it once.", ("fin:inv:5001:1",)),
        ("mail:cn:77:1", "The credit note has its number: the buyer gets it once.", ("fin:cn:77:1",)),
    ]  # fmt: skip
    assert made.noted == (("gid://shopify/Agreement/2", "cn:77:1"),)


def test_an_addition_has_its_own_invoice_payment_and_letter() -> None:
    made = planned(added())
    assert said(made)[4:6] == [
        ("sup:2", f"1190 minor units were added; their tax arose on 2026-11-20. {HOME}", ()),
        ("fin:sup:2", EQUAL, ("sup:2",)),
    ]
    assert said(made)[6:] == [
        ("pay:9:1", PAYS, ("line:9", "fin:inv:5001:1")),
        ("pay:10:1", PAYS, ("line:10", "fin:sup:2")),
        ("mail:inv:5001:1", "The invoice has its number: the buyer gets it once.", ("fin:inv:5001:1",)),
        ("mail:sup:2", "The invoice has its number: the buyer gets it once.", ("fin:sup:2",)),
    ]


def test_less_of_an_unpaid_invoice_cancels_it_and_writes_the_rest_anew() -> None:
    """R5: cancelled once it is final; the new one waits for that; only the standing one is mailed."""
    made = planned(lowered())
    assert [(key, after) for key, _, after in said(made)] == [
        ("inv:5001:1", ()),
        ("fin:inv:5001:1", ("inv:5001:1",)),
        ("sr:inv:5001:1", ("fin:inv:5001:1",)),
        ("inv:5001:2", ("sr:inv:5001:1",)),
        ("fin:inv:5001:2", ("inv:5001:2",)),
        ("mail:inv:5001:2", ("fin:inv:5001:2",)),
    ]
    cancel = made.actions[2]
    assert cancel.kind == "cancel" and cancel.document == made.actions[0].document
    assert cancel.reason == "Nothing was paid and less is owed: the invoice is cancelled."
    assert cancel.covers == ("gid://shopify/Agreement/1",)
    anew = made.actions[3].document
    assert anew is not None and (anew.tax_point, anew.draft.foot_text) == (at(60), ""), "supplied, not paid in advance"
    books = posted(made)
    books = replace(books, applied=books.applied | {"sr:inv:5001:1"})
    done = planned(
        lowered(), replace(books, documents=(replace(books.documents[0], state="cancelled"), books.documents[1]))
    )
    assert [key for key, _, _ in said(done)] == ["mail:inv:5001:2"]


def test_each_state_of_a_document_leaves_less_to_do() -> None:
    made = planned(paid())
    for state, left in (
        ("intended", ["invoice", "finalise"]),
        ("draft", ["finalise"]),
        ("final", []),
        ("cancelled", []),
    ):
        books = replace(posted(made, state), applied=frozenset())
        assert [kind for kind in kinds(planned(paid(), books)) if kind in ("invoice", "finalise")] == left
    gone = replace(posted(made, "cancelled"), applied=frozenset())
    assert "letter" not in kinds(planned(paid(), gone))


def test_a_letter_goes_once_and_only_to_an_address_that_still_stands() -> None:
    made = planned(paid())
    done = replace(posted(made), letters=frozenset({"mail:inv:5001:1"}))
    assert "letter" not in kinds(planned(paid(), done))
    assert "letter" not in kinds(planned(paid(), profile=replace(PROFILE, letters=False)))
    assert "letter" not in kinds(planned(paid(email=None, customer=None)))
    erased = paid(email=None, customer=Customer("gid://shopify/Customer/71", "Erika", "Muster", email=None))
    assert "letter" not in kinds(planned(erased, posted(made))), "erased in the shop since (5.15)"
    for still in (paid(email=None), paid(customer=None)):
        assert "letter" in kinds(planned(still, posted(made)))


def test_drafts_only_means_drafts_only() -> None:
    for profile in (replace(PROFILE, draft_only=True), replace(PROFILE, timing="manual")):
        made = planned(paid(), profile=profile)
        assert kinds(made) == ["invoice"]
        assert made.waiting == (Problem("DRAFT-ONLY", "a person finalises the draft in sevdesk", ("inv:5001:1",)),)
        started = planned(order(mug(), payments=(payment(9, 500, at(1)),)), profile=profile)
        assert started.actions == ()


def test_every_draft_waits_for_a_person() -> None:
    drafts = replace(PROFILE, draft_only=True)
    waits = [item.facts for item in planned(added(), profile=drafts).waiting if item.code == "DRAFT-ONLY"]
    assert waits == [("inv:5001:1",), ("sup:2",)]
    waits = [item.facts for item in planned(refunded(), profile=drafts).waiting if item.code == "DRAFT-ONLY"]
    assert waits == [("inv:5001:1",), ("cn:77:1",)]


def test_drafts_that_people_leave_lying_or_change() -> None:
    """R12: late after ten days, and edited while the order changed; looked at again the day it becomes late."""
    drafts = replace(PROFILE, draft_only=True)

    def asked(made: Order, now: datetime = NOW, state: str = "draft", *hands: Hand) -> list[str]:
        (first,) = final(paid()).documents
        books = Books(documents=(replace(first, state=state),), hands=hands)
        return [item.code for item in planned(made, books, drafts, now).attention]

    late = datetime(2026, 12, 2, 23, tzinfo=UTC)  # 3 December in Berlin; the draft is of 22 November
    (first,) = final(paid()).documents
    waiting = planned(paid(), Books(documents=(replace(first, state="draft"),)), drafts)
    assert (waiting.look_again, waiting.attention) == (late, ())
    assert planned(paid(), Books(documents=(first,)), drafts).look_again is None
    assert asked(paid(), late - timedelta(microseconds=1)) == []
    assert asked(paid(), late) == ["DRAFT-OLD"]
    assert asked(paid(), late, "final") == []
    lost = paid(disputes=(Dispute("gid://shopify/Dispute/7", "CHARGEBACK", "LOST"),))
    assert asked(lost, late) == ["DISPUTE", "DRAFT-OLD"]
    edited = Hand("edited", "inv:5001:1", content="other")
    assert asked(paid(), NOW, "draft", edited) == []
    for changed in (added(), refunded()):
        assert asked(changed, NOW, "draft", edited) == ["DRAFT-EDITED"]
    sent = lowered()
    (draft,) = [item for item in posted(planned(sent)).documents if item.key == "inv:5001:1"]
    books = Books(documents=(replace(draft, state="draft"),), hands=(edited,))
    assert "DRAFT-EDITED" in {item.code for item in planned(sent, books, drafts).attention}


def test_a_grace_holds_the_invoice_and_not_its_money() -> None:
    profile = replace(PROFILE, grace_seconds=3600)
    early = planned(paid(), profile=profile, now=at(30))
    assert [item.not_before for item in early.actions] == [None, at(61), None, None, None]
    said = Problem("GRACE", "more may be added to the order: its invoice waits for it (3.1)", (ID,))
    assert (early.waiting, early.look_again) == ((said,), at(61))
    for now in (at(61), NOW):
        later = planned(paid(), profile=profile, now=now)
        assert {item.not_before for item in later.actions} == {None}
        assert (later.waiting, later.look_again) == ((), None)


def test_a_document_of_the_future_waits_for_its_tax_point() -> None:
    before = planned(paid(), now=at(0.5))
    assert [item.not_before for item in before.actions][1] == at(1)
    assert {item.not_before for item in planned(paid(), now=at(1)).actions} == {None}


# -- before the tax point -------------------------------------------------------------------------------------------

UNPAID = "not paid and not shipped: the invoice follows payment or shipment"


def waits(made: Plan) -> list[tuple[str, str]]:
    assert all(item.facts == (ID,) for item in made.waiting)
    return [(item.code, item.message) for item in made.waiting]


def test_what_is_waited_for() -> None:
    assert waits(planned(order(mug()))) == [("UNPAID", UNPAID)]
    authorised = order(mug(), financial_status="AUTHORIZED")
    said = "authorised, not captured: the invoice follows payment or shipment"
    assert waits(planned(authorised)) == [("UNPAID", said)]
    export = order(agreement(1, T0, sale(1, 1190)), shipping_address=ZUERICH, billing_address=ZUERICH)
    ship = "the exemption hangs on the shipment: the invoice follows it (3.1)"
    assert waits(planned(export)) == [("UNSHIPPED", ship)]
    bought = replace(export, payments=(payment(9, 1190, at(1)),))
    assert waits(planned(bought, now=T0 + timedelta(days=20))) == [("UNSHIPPED", ship)]
    assert planned(bought, now=T0 + timedelta(days=20)).attention == (), "money for it is not taxed on receipt"


def test_a_vat_id_nobody_could_check_is_waited_for_and_not_asked_about() -> None:
    """3.3 no. 7: down is not invalid; the answer comes by itself."""
    paris = replace(ERIKA, country="FR", zip="75001")
    company = Company("gid://shopify/Company/1", "Muster SARL", tax_registration_id="FR12345678901")
    bought = order(
        agreement(1, T0, sale(1, 1190)), payments=(payment(9, 1190, at(1)),), fulfilments=(shipped(3, at(60)),),
        company=company, shipping_address=paris, billing_address=paris,
    )  # fmt: skip
    nobody = VatIdAnswer("FR12345678901", "unavailable", T0)
    for code, known in (("VAT-ID-UNCHECKED", {}), ("VAT-ID-UNAVAILABLE", {nobody.vat_id: nobody})):
        made = plan(facts_of(bought), Books(), [PROFILE], NOW, Evidence(rate_table(), known))
        assert ([item.code for item in made.waiting], made.attention) == ([code], ())
        assert kinds(made) == ["money_line"]


def test_the_module_offers_what_others_import_from_it() -> None:
    offered: dict[str, Any] = {}
    exec("from ladenbuch.domain.plan import *", offered)
    names = {"HELD", "Action", "Letter", "Plan", "finalise_key", "plan", "without_letter_address"}
    assert names == set(offered) - {"__builtins__"}


def test_timings_that_want_the_other_half_first() -> None:
    end = datetime(2026, 11, 30, 22, 59, 59, 999999, tzinfo=UTC)
    first = planned(paid(), profile=replace(PROFILE, timing="fulfilment"))
    ship = "the profile wants the shipment first; the month's end at the latest"
    assert (waits(first), first.look_again, kinds(first)) == ([("UNSHIPPED", ship)], end, ["money_line"])
    sent = order(mug(), fulfilments=(shipped(3, at(60)),))
    second = planned(sent, profile=replace(PROFILE, timing="payment"))
    pay = "the profile wants the payment first; the month's end at the latest"
    assert (waits(second), second.look_again, second.actions) == ([("UNPAID", pay)], end, ())


def test_a_part_of_the_price_is_looked_at_again_when_its_month_ends() -> None:
    part = order(mug(), payments=(payment(9, 500, at(1)), payment(8, 100, at(2))))
    made = planned(part)
    assert (kinds(made), waits(made), made.attention) == (["money_line", "money_line"], [("UNPAID", UNPAID)], ())
    assert made.look_again == datetime(2026, 11, 30, 22, 59, 59, 999999, tzinfo=UTC)
    later = planned(part, now=T0 + timedelta(days=20))
    assert ([item.code for item in later.attention], later.look_again) == (["PARTIAL-PREPAYMENT"], None)
    for quiet in (order(mug()), order(mug(), payments=(payment(9, 500, at(1), status="PENDING"),))):
        assert (planned(quiet).look_again, planned(quiet).actions) == (None, ())


def test_money_in_another_currency_is_written_nowhere() -> None:
    part = order(mug(), payments=(payment(9, 500, at(1)),), presentment_currency="CHF")
    made = planned(part)
    assert (made.actions, [item.code for item in made.attention]) == ((), ["CURRENCY"])
    whole = planned(paid(presentment_currency="CHF"))
    assert (whole.actions, [item.code for item in whole.attention]) == ((), ["CURRENCY"])


def test_money_for_what_is_not_owed_any_more() -> None:
    gone = sale(2, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN")
    made = order(mug(), agreement(2, at(3), gone, reason="ORDER_EDIT"), payments=(payment(9, 500, at(4)),), edited=True)
    choices = ("refund the difference", "keep it as credit", "book by hand")
    said = Problem("OVERPAID", "money came in and nothing is owed any more", (f"{TX}/9",), choices)
    assert (planned(made).attention, kinds(planned(made))) == ((said,), ["money_line"])
    back = replace(made, payments=(*made.payments, payment(10, 500, at(5), kind="REFUND")))
    assert "OVERPAID" not in {item.code for item in planned(back).attention}


def test_money_of_a_cancelled_order_is_asked_about() -> None:
    made = planned(order(mug(), payments=(payment(9, 500, at(1)),), cancelled_at=at(5)))
    assert ([item.code for item in made.attention], kinds(made)) == (["CANCELLED"], ["money_line"])


def test_a_test_payment_is_asked_about_before_anything_else_happens() -> None:
    trial = replace(payment(9, 1190, at(1)), test=True)
    made = planned(order(mug(), payments=(trial,)))
    assert [item.code for item in made.attention] == ["TEST-PAYMENT"]
    unknown = replace(trial, test=False, status="LATER")
    assert planned(order(mug(), payments=(unknown,))).attention == (), "nothing has moved: nothing to ask about yet"


def test_a_gateway_nobody_knows_is_asked_about_before_the_tax_point() -> None:
    made = planned(order(mug(), payments=(payment(9, 500, at(1), gateway="paypal"),)))
    assert [item.code for item in made.attention] == ["GATEWAY-UNMAPPED"]


# -- what stops it --------------------------------------------------------------------------------------------------


def test_gaps_are_named_three_at_most() -> None:
    made = planned(paid(gaps=("a", "b", "c", "d")))
    assert made == Plan(ID, later="parts of the order could not be read: a, b, c")


def test_a_key_used_before_stops_the_order() -> None:
    made = planned(paid(), Books(applied=frozenset({"inv:5001:1", "fin:inv:5001:1", "other"})))
    keys = ("inv:5001:1", "fin:inv:5001:1")
    flap = Problem("FLAP", "a key that was already applied is wanted again (R7)", keys, ("look into it",))
    assert made == Plan(ID, attention=(flap,), tax_point=made.tax_point)
    assert made.tax_point is not None


def test_before_go_live_is_not_ours_but_a_refund_after_it_is_asked_about() -> None:
    profile = replace(PROFILE, go_live=at(100))
    made = planned(paid(), profile=profile)
    assert made.exclusion is not None and made.exclusion.code == "BEFORE-GO-LIVE"
    assert made == Plan(ID, exclusion=made.exclusion, tax_point=made.tax_point) and made.tax_point is not None
    late = planned(refunded(), profile=profile)
    assert (late.exclusion, [item.code for item in late.attention]) == (None, ["ORIGIN-UNKNOWN"])
    tested = planned(replace(refunded(), test=True))
    assert (tested.exclusion.code if tested.exclusion else None, tested.attention) == ("TEST", ())


def test_it_is_the_profile_of_the_tax_point_that_counts() -> None:
    """P1: paid after the new version began, ordered before it."""
    old, new = replace(PROFILE, version=1), replace(PROFILE, version=2, effective_from=at(0.5), draft_only=True)
    made = plan(facts_of(paid()), Books(), [old, new], NOW)
    assert kinds(made) == ["invoice"]
    assert made.actions[0].document is not None and made.actions[0].document.profile_version == 2
    unpaid = plan(facts_of(order(mug(), payments=(payment(9, 1, at(1)),))), Books(), [old, new], NOW)
    assert kinds(unpaid) == ["money_line"], "no tax point yet: the version of the order's own day"


def test_what_was_posted_stays_under_its_version_and_takes_new_gateways() -> None:
    """R10: a version dated before it changes nothing posted; a gateway that was open may be answered."""
    first = planned(paid())
    books = replace(posted(first, "draft"), applied=frozenset())
    bare = replace(PROFILE, version=1, gateways={})
    named = replace(PROFILE, version=2, draft_only=True)
    made = plan(facts_of(paid()), books, [bare, named], NOW)
    assert kinds(made) == ["money_line", "finalise", "book_payment", "letter"], "still not draft-only, and booked"
    other = replace(PROFILE, version=2, gateways={"shopify_payments": Gateway("off")})
    kept = plan(facts_of(paid()), books, [PROFILE, other], NOW)
    assert "book_payment" in kinds(kept), "what was answered stays answered"
    lost = plan(facts_of(paid()), replace(books, documents=_versioned(books, 7)), [PROFILE, other], NOW)
    assert "book_payment" not in kinds(lost), "a version nobody has: the one dated"


def test_what_is_paid_by_hand_stays_a_bank_s_whatever_a_later_version_says() -> None:
    """4.2, R10: under the posted version a cheque comes by the bank; that was an answer, and it stays."""
    made = paid(payments=(payment(9, 1190, at(1), gateway="cheque", manual=True),))
    old = replace(PROFILE, version=1, default_gateway=Gateway("clearing+payouts"))
    new = replace(PROFILE, version=2, gateways={"cheque": Gateway("clearing+payouts", "12")})
    books = replace(posted(planned(paid()), "draft"), applied=frozenset())
    (first,) = books.documents
    result = plan(facts_of(made), replace(books, documents=(replace(first, profile_version=1),)), [old, new], NOW)
    assert "money_line" not in kinds(result) and result.attention == ()


def test_go_live_is_compared_with_the_tax_point_the_timing_gives() -> None:
    """R22: paid before it and shipped after it under `fulfilment`: the tax arises after it, so the order is ours."""
    made = order(mug(), payments=(payment(9, 1190, at(1)),), fulfilments=(shipped(3, at(300)),))
    timing = replace(PROFILE, timing="fulfilment", go_live=at(60))
    assert planned(made, profile=timing).exclusion is None


def test_a_manual_gateway_that_was_open_is_a_bank() -> None:
    """4.2: a default of a later version is for automatic gateways; what is paid by hand comes by the bank."""
    made = paid(payments=(payment(9, 1190, at(1), gateway="cheque", manual=True),))
    bare, named = (
        replace(PROFILE, version=1),
        replace(PROFILE, version=2, default_gateway=Gateway("clearing+payouts", "12")),
    )
    books = replace(posted(planned(paid()), "draft"), applied=frozenset())
    (first,) = books.documents
    result = plan(facts_of(made), replace(books, documents=(replace(first, profile_version=1),)), [bare, named], NOW)
    assert "money_line" not in kinds(result) and result.attention == ()


def _versioned(books: Books, version: int) -> tuple[PostedDocument, ...]:
    return tuple(replace(item, profile_version=version) for item in books.documents)


# -- what people did ------------------------------------------------------------------------------------------------

CREDITED = Hand("credited", "inv:5001:1", 1190, "700", "GU-1", (("19", 1190),))
THEIRS = ("leave it to the bookkeeper", "look into it in sevdesk")


def final(made: Order, **changes: Any) -> Books:
    """The books with the invoice of an order final and nothing else done."""
    invoices = [item for item in posted(planned(made)).documents if item.kind == "invoice"]
    return replace(Books(documents=tuple(invoices)), **changes)


def test_a_credit_note_by_hand_that_says_the_same_is_taken_for_ours() -> None:
    """R13: nothing is written or mailed, its refund is linked to it; once."""
    books = final(refunded(), hands=(CREDITED,))
    made = planned(refunded(), books)
    adopt = next(item for item in made.actions if item.kind == "adopt")
    reason = "Credit note GU-1 was written by hand over the same money: it is taken for ours."
    assert (adopt.key, adopt.reason, adopt.after) == ("cn:77:1", reason, ())
    assert adopt.covers == ("gid://shopify/Refund/77#1",)
    assert adopt.document is not None and adopt.document.number == "GU-1"
    assert kinds(made) == ["money_line", "money_line", "book_payment", "adopt", "book_refund", "letter"]
    assert (made.actions[-1].key, made.attention) == ("mail:inv:5001:1", ())
    again = planned(refunded(), replace(books, applied=frozenset({"cn:77:1"})))
    assert "adopt" not in kinds(again)


def test_a_credit_note_by_hand_that_nothing_explains_is_asked_about_once() -> None:
    message = "credit note GU-1 was written by hand, and no refund is like it"
    said = Problem("HAND-CREDITED", message, ("inv:5001:1", "sevdesk:700"), THEIRS)
    assert planned(paid(), final(paid(), hands=(CREDITED,))).attention == (said,)
    other = replace(CREDITED, by_rate=(("7", 1190),))
    assert planned(refunded(), final(refunded(), hands=(other,))).attention == (said,), "not like the refund's"
    two = replace(CREDITED, sevdesk_id="701", number="GU-2")
    found = planned(refunded(), final(refunded(), hands=(CREDITED, two))).attention
    assert [item.facts for item in found] == [("inv:5001:1", "sevdesk:701")], "the first is the refund's"
    elsewhere = replace(CREDITED, document_key="inv:1:1")
    assert planned(paid(), final(paid(), hands=(elsewhere,))).attention == ()
    of_ours = replace(CREDITED, document_key="cn:77:1")
    assert planned(refunded(), final(refunded(), hands=(of_ours,))).attention == (), "only invoices are credited"


def test_what_people_cancelled_or_changed_leaves_only_the_money() -> None:
    for kind, code in (("cancelled", "HAND-CANCELLED"), ("changed", "HAND-CHANGED")):
        for state in ("draft", "final"):
            (first,) = final(refunded()).documents
            books = Books(
                documents=(replace(first, state=state),), hands=(Hand(kind, "inv:5001:1", 1190, "800", "SR-1"),)
            )
            made = planned(refunded(), books)
            assert set(kinds(made)) == {"money_line"}
            assert [item.code for item in made.attention] == [code]


def test_one_of_two_credit_notes_by_hand_leaves_the_other_to_us() -> None:
    """R4, R13: two partial refunds; the first was credited by hand."""
    taken = [
        replace(
            agreement(
                n, at(300 + n), sale(n, -595, {"19": -95}, line="1", quantity=-1, action="RETURN"), reason="REFUND"
            ),
            refund_id=f"gid://shopify/Refund/{70 + n}",
        )
        for n in (2, 3)
    ]
    moves = (payment(9, 1190, at(1)), *(payment(n, 595, at(300 + n), kind="REFUND") for n in (12, 13)))
    records = tuple(
        Refund(f"gid://shopify/Refund/{70 + n}", at(300), 595, transaction_ids=(f"{TX}/{n + 10}",)) for n in (2, 3)
    )
    both = order(agreement(1, T0, sale(1, 1190, {"19": 190}, quantity=2)), *taken, payments=moves, refunds=records)
    hand = replace(CREDITED, amount=595, by_rate=(("19", 595),))
    made = planned(both, final(both, hands=(hand,)))
    assert [(item.kind, item.key) for item in made.actions if item.kind in ("adopt", "credit_note", "finalise")] == [
        ("adopt", "cn:72:1"), ("credit_note", "cn:73:1"), ("finalise", "fin:cn:73:1"),
    ]  # fmt: skip


def test_a_credit_note_follows_the_payment_of_its_own_invoice_only() -> None:
    taken = sale(3, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN")
    back = replace(agreement(3, at(400), taken, reason="REFUND"), refund_id="gid://shopify/Refund/77")
    more = added()
    made = planned(
        order(
            *more.agreements,
            back,
            payments=(*more.payments, payment(11, 1190, at(410), kind="REFUND")),
            refunds=(Refund("gid://shopify/Refund/77", at(400), 1190, transaction_ids=(f"{TX}/11",)),),
            edited=True,
        )
    )
    (note,) = (item for item in made.actions if item.kind == "credit_note")
    assert note.after == ("fin:inv:5001:1", "pay:9:1")


def test_what_others_linked_is_noted() -> None:
    made = planned(paid(), final(paid(), hands=(Hand("paid", "inv:5001:1", 1190),)))
    assert (f"{TX}/9", "it is paid in sevdesk by a line that is not ours") in made.noted


# -- e-invoices -----------------------------------------------------------------------------------------------------


def test_an_e_invoice_is_proved_by_its_xml_before_its_letter() -> None:
    branch = replace(ERIKA, company="Hotel GmbH")
    company = Company("gid://shopify/Company/1", "Hotel GmbH", "gid://shopify/CompanyLocation/2", "Hamburg", branch)
    electronic = paid(company=company, po_number="PO-118")
    profile = replace(PROFILE, e_invoices="business")
    made = planned(electronic, profile=profile)
    proof = next(item for item in made.actions if item.kind == "xml")
    assert (proof.key, proof.after, proof.covers) == ("xml:inv:5001:1", ("fin:inv:5001:1",), ())
    assert proof.reason == "A business in Germany buys, so it is an e-invoice: its XML is read back and its hash kept."
    assert proof.document is not None and proof.document.key == "inv:5001:1"
    assert made.actions[-1].after == ("fin:inv:5001:1", "xml:inv:5001:1")
    books = replace(posted(made), applied=frozenset({"xml:inv:5001:1"}))
    done = planned(electronic, books, profile)
    assert "xml" not in kinds(done)
    assert next(item.after for item in done.actions if item.kind == "letter") == ("fin:inv:5001:1",)
    assert "xml" in kinds(planned(electronic, posted(made), profile))
    assert "xml" not in kinds(planned(electronic))


# -- multi-purpose gift cards ---------------------------------------------------------------------------------------

SHOP = replace(
    PROFILE, vouchers="multi_purpose", gateways={**PROFILE.gateways, "gift_card": Gateway("liability", "20")}
)
CARD = agreement(1, T0, sale(1, 2500, kind="GIFT_CARD"))
BOTH = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 2500, kind="GIFT_CARD"))


def test_nothing_but_gift_cards_is_no_document() -> None:
    bought = order(CARD, payments=(payment(9, 2500, at(1)),))
    made = planned(bought, profile=SHOP)
    assert made.exclusion is not None
    assert (made.exclusion.code, made.exclusion.facts, made.order_id) == ("GIFT-CARDS-ONLY", (ID,), ID)
    assert made.tax_point is not None and made.cards.only and set(kinds(made)) == {"money_line"}
    drafts = planned(bought, profile=replace(SHOP, draft_only=True))
    assert drafts.actions == () and drafts.exclusion == made.exclusion
    foreign = planned(replace(bought, presentment_currency="CHF"), profile=SHOP)
    assert (foreign.actions, foreign.exclusion) == ((), None)
    assert [item.code for item in foreign.attention] == ["CURRENCY"]
    disputed = replace(bought, disputes=(Dispute("gid://shopify/Dispute/7", "CHARGEBACK", "LOST"),))
    assert [item.code for item in planned(disputed, profile=SHOP).attention] == ["DISPUTE"]
    unknown = replace(bought, fulfilments=(replace(shipped(3, at(5)), status="LOST"),))
    both = planned(replace(unknown, disputes=disputed.disputes), profile=SHOP)
    assert [item.code for item in both.attention] == ["ENUM", "DISPUTE"]


def test_before_the_tax_point_the_cards_are_known_already() -> None:
    made = planned(order(BOTH, payments=(payment(9, 500, at(1)),)), profile=SHOP)
    assert made.order_id == ID and made.cards.sales == {"gid://shopify/Sale/2"}


def answer(made: Order, code: str, choice: str) -> tuple[str, str, str]:
    asked = next(item for item in planned(made).attention if item.code == code)
    return code, question_hash(asked, facts_of(made)), choice


def test_an_answer_makes_gift_cards_multi_purpose_or_not() -> None:
    """R16: as the profile would; only the answer to this question, for these facts, with this choice."""
    bought = order(BOTH, payments=(payment(9, 3690, at(1)),))

    def grosses(*resolutions: tuple[str, str, str]) -> list[int]:
        made = planned(bought, Books(resolutions=resolutions))
        return [item.document.draft.gross for item in made.actions if item.kind == "invoice" and item.document]

    assert grosses() == []
    assert grosses(answer(bought, "GIFT-CARD", "multi-purpose: liability")) == [1190]
    assert grosses(answer(bought, "GIFT-CARD", "single-purpose: taxed now")) == [3690]
    dearer = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 2600, kind="GIFT_CARD"))
    other = order(dearer, payments=(payment(9, 3790, at(1)),))
    assert grosses(answer(other, "GIFT-CARD", "multi-purpose: liability")) == []
    _, mark, choice = answer(bought, "GIFT-CARD", "multi-purpose: liability")
    assert grosses(("TIP", mark, choice)) == []


# -- where facts and books disagree ---------------------------------------------------------------------------------


def test_documents_that_are_pinned_follow_no_unknown_facts() -> None:
    strange = replace(refunded(), fulfilments=(replace(shipped(3, at(20)), status="LOST"),))
    made = planned(strange, final(refunded()))
    assert [item.code for item in made.attention] == ["ENUM"] and "credit_note" not in kinds(made)


def test_what_came_after_is_told_where_no_document_can_be_written() -> None:
    wrong = refunded()
    first = agreement(1, T0, sale(1, 1190, {"16": 164}))
    wrong = replace(wrong, agreements=(first, *wrong.agreements[1:]), lines=order(first).lines)
    assert [item.code for item in planned(wrong).attention] == ["TAX-RATE", "REFUND"]
    assert [item.code for item in planned(replace(wrong, foreign_money=True)).attention] == ["CURRENCY", "TAX-RATE"]


def test_money_that_turned_foreign_is_asked_about_beside_a_pinned_document() -> None:
    made = planned(paid(foreign_money=True), final(paid()))
    assert [item.code for item in made.attention] == ["CURRENCY"]
    assert not {"money_line", "book_payment"} & set(kinds(made))
    assert [item.code for item in planned(paid(foreign_money=True)).attention] == ["CURRENCY"], "once"


def test_a_payment_that_vanished_leaves_the_document_and_its_day() -> None:
    """R8, P4: what was pinned keeps its tax point; what replaces it has the same."""
    less = lowered()
    bounced = replace(less, fulfilments=(), payments=(payment(9, 1190, at(1), status="FAILURE"),))
    (first,) = final(paid()).documents
    made = planned(bounced, Books(documents=(first,)))
    anew = next(item.document for item in made.actions if item.key == "inv:5001:2")
    assert anew is not None
    assert (anew.tax_point, anew.draft.gross, anew.draft.delivery_date) == (at(1), 690, first.draft.delivery_date)
    assert anew.draft.foot_text.startswith("Vorauszahlung, Zahlung erhalten am 20.11.2026")


def test_reasons_in_german() -> None:
    """What the dashboard and `explain` say to a German reader; the figures are those of the English sentence."""
    home = "Lieferung in Deutschland, Regelbesteuerung: deutsche Umsatzsteuer zu 19 %."
    equal = "Der Entwurf stimmt auf den Cent mit {} überein: Er bekommt seine Nummer und darf verschickt werden."
    shown = {item.key: item.because.de for item in (*planned(refunded()).actions, *planned(added()).actions)}
    assert shown["inv:5001:1"] == (
        f"Die Steuer entstand am 20.11.2026; das Verkaufsbuch bis dahin ergibt 11,90 €. {home}"
    )
    assert shown["sup:2"] == f"11,90 € kamen hinzu; ihre Steuer entstand am 20.11.2026. {home}"
    assert shown["cn:77:1"] == f"11,90 € gingen am 20.11.2026 zurück: Die Steuer sinkt mit ihnen. {home}"
    assert shown["fin:inv:5001:1"] == equal.format("der Bestellung")
    assert shown["fin:cn:77:1"] == equal.format("dem Geld, das zurückging,")
    assert shown["mail:inv:5001:1"].startswith("Die Rechnung hat ihre Nummer: ")
    assert shown["mail:cn:77:1"].startswith("Die Rechnungskorrektur hat ihre Nummer: ")


def test_a_decision_without_a_reason_adds_none() -> None:
    (first,) = final(paid()).documents
    made = planned(paid(), Books(documents=(replace(first, state="intended", tax={}),)))
    reason = next(item.reason for item in made.actions if item.kind == "invoice")
    assert reason == "The tax arose on 2026-11-20; the ledger up to then is 1190 minor units."


def test_letters_are_in_the_language_of_the_order() -> None:
    letter = planned(paid(locale="en-GB")).actions[-1].letter
    assert letter is not None and letter.locale == "en"


def test_every_doubt_before_the_tax_point_is_told() -> None:
    part = order(mug(), payments=(payment(9, 500, at(1), gateway="paypal"),))
    strange = replace(part, fulfilments=(replace(shipped(3, at(2)), status="LOST"),))
    assert [item.code for item in planned(strange).attention] == ["ENUM", "GATEWAY-UNMAPPED"]
    foreign = replace(strange, presentment_currency="CHF")
    assert [item.code for item in planned(foreign).attention] == ["ENUM", "CURRENCY"]


def test_a_cent_that_is_owed_is_not_nothing() -> None:
    export = order(agreement(1, T0, sale(1, 1)), shipping_address=ZUERICH, billing_address=ZUERICH)
    over = planned(replace(export, payments=(payment(9, 2, at(1)),)))
    assert "OVERPAID" not in {item.code for item in over.attention}


def test_only_money_that_is_still_there_has_a_month_that_ends() -> None:
    end = datetime(2026, 11, 30, 22, 59, 59, 999999, tzinfo=UTC)
    cent = order(mug(), payments=(payment(9, 1, at(1)),))
    assert planned(cent).look_again == end
    back = replace(cent, payments=(*cent.payments, payment(10, 1, at(2), kind="REFUND")))
    assert planned(back).look_again is None
    later = T0 + timedelta(days=15)
    more = order(mug(), agreement(2, later, sale(2, 100, {"19": 16}), reason="ORDER_EDIT"), edited=True)
    assert planned(replace(more, payments=cent.payments)).look_again == end, "the money counts, not the edit"


# -- documents by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["intended", "draft", "final"])
def test_finalise_keys_name_their_document(state: str) -> None:
    assert finalise_key("inv:5001:1") == "fin:inv:5001:1"
    books = replace(posted(planned(paid()), state), applied=frozenset())
    mine: list[Action] = [item for item in planned(paid(), books).actions if item.kind == "book_payment"]
    assert [item.after for item in mine] == [("line:9", "fin:inv:5001:1")]
