"""What a person decided (R16): for exactly the facts it was asked about, replayed the same way every time."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.answers import EFFECTS, Answers, merged, question_hash
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.facts import Problem, facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Profile
from ladenbuch.web.codes import CHOICES

ROOT = Path(__file__).parents[2]


def with_tip(*more: object) -> Order:
    sold = agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 200, kind="TIP"), *more)
    total = sum(item.total for item in sold.sales)
    return order(sold, payments=(payment(1, total, at(1)),))


def answered(of: Order, choice: str, *, profile: Profile = PROFILE, code: str | None = None) -> tuple[Books, Plan]:
    """The books once a person has answered the order's question, and the plan made with them."""
    asked = plan(facts_of(of), Books(), (profile,), at(5)).attention
    question = next(item for item in asked if code in (None, item.code))
    books = Books(resolutions=((question.code, question_hash(question, facts_of(of)), choice),))
    return books, plan(facts_of(of), books, (profile,), at(5))


def test_r16_a_tip_is_taxed_once_somebody_says_so() -> None:
    _, made = answered(with_tip(), "taxed at the main rate of the goods")
    document = next(item.document for item in made.actions if item.kind == "invoice")
    assert document is not None and document.draft.gross == 1390
    assert document.tax["decided"] == {"TIP": "taxed at the main rate of the goods"}
    assert not made.attention


def test_r16_an_answer_does_not_reach_facts_it_was_not_given_for() -> None:
    books, _ = answered(with_tip(), "taxed at the main rate of the goods")
    larger = order(
        agreement(1, T0, sale(1, 1190, {"19": 190}), sale(2, 300, kind="TIP")), payments=(payment(1, 1490, at(1)),)
    )
    made = plan(facts_of(larger), books, (PROFILE,), at(5))
    assert [item.code for item in made.attention] == ["TIP"]


@pytest.mark.parametrize("choice", ["exclude the order", "decide by hand"])
def test_r16_an_order_left_to_a_person_is_accounted_for(choice: str) -> None:
    fee = with_tip(sale(3, 150, kind="FEE"))
    _, made = answered(replace(fee), choice, profile=replace(PROFILE, tips="taxed"), code="FEE")
    assert made.exclusion is not None and made.exclusion.code == "EXCLUDED"
    assert not made.attention and [item.kind for item in made.actions] == ["money_line"]
    proof = certificate(facts_of(fee), Books(), made)
    assert proof.holds and proof.verdict == "excluded"


def test_r16_a_refund_after_it_asks_again() -> None:
    fee = with_tip(sale(3, 150, kind="FEE"))
    tips = replace(PROFILE, tips="taxed")
    books, made = answered(fee, "decide by hand", profile=tips, code="FEE")
    assert not made.attention
    back = replace(fee, payments=(*fee.payments, payment(9, 100, at(60), kind="REFUND")))
    asked = plan(facts_of(back), books, (tips,), at(90)).attention
    assert "FEE" in [item.code for item in asked]


def test_r16_the_later_answer_counts() -> None:
    tip = with_tip()
    question = plan(facts_of(tip), Books(), (PROFILE,), at(5)).attention[0]
    mark = question_hash(question, facts_of(tip))
    both = Books(resolutions=((question.code, mark, "exclude the order"), (question.code, mark, "passed to staff")))
    assert Answers.of(both.resolutions, facts_of(tip)).to(question) == "passed to staff"


def test_a_payment_that_comes_later_does_not_reopen_a_hand() -> None:
    tip = with_tip()
    question = plan(facts_of(tip), Books(), (PROFILE,), at(5)).attention[0]
    books = Books(resolutions=((question.code, question_hash(question, facts_of(tip)), "exclude the order"),))
    more = replace(tip, payments=(*tip.payments, payment(7, 5, at(30))))
    assert plan(facts_of(more), books, (PROFILE,), at(60)).exclusion is not None


def test_one_question_per_code_names_all_its_facts() -> None:
    one, two = Problem("TIP", "a tip", ("a",), ("x",)), Problem("TIP", "a tip", ("b",), ("x", "y"))
    assert merged([one, two]) == [Problem("TIP", "a tip", ("a", "b"), ("x", "y"))]


# -- closed periods (R11) -----------------------------------------------------------------------------------------

CLOSED = replace(PROFILE, books_closed_until=date(2026, 11, 20), version=2)


def paid_mug() -> Order:
    return order(mug(), payments=(payment(1, 1190, at(1)),))


def test_r11_a_closed_period_waits_by_default() -> None:
    made = plan(facts_of(paid_mug()), Books(), (PROFILE, CLOSED), at(60 * 48))
    assert [item.code for item in made.attention] == ["PERIOD-CLOSED"]
    assert [item.kind for item in made.actions] == ["money_line"]


def test_r11_the_newest_profile_says_what_is_closed_whatever_the_tax_point() -> None:
    later = replace(CLOSED, effective_from=at(60 * 24))
    made = plan(facts_of(paid_mug()), Books(), (PROFILE, later), at(60 * 48))
    assert [item.code for item in made.attention] == ["PERIOD-CLOSED"]


@pytest.mark.parametrize("how", ["profile", "answer"])
def test_r11_dated_today_and_somebody_is_told(how: str) -> None:
    if how == "profile":
        today = replace(CLOSED, closed_periods="today")
        books, profiles = Books(), (PROFILE, replace(PROFILE, closed_periods="today"), today)
        profiles = (today,)
    else:
        profiles = (CLOSED,)
        question = plan(facts_of(paid_mug()), Books(), profiles, at(60 * 48)).attention[0]
        mark = question_hash(question, facts_of(paid_mug()))
        books = Books(resolutions=(("PERIOD-CLOSED", mark, "write it dated today"),))
    made = plan(facts_of(paid_mug()), books, profiles, at(60 * 48))
    draft = next(item.document for item in made.actions if item.kind == "invoice")
    assert draft is not None and draft.draft.issued_on == date(2026, 11, 22)
    assert [(item.code, item.choices) for item in made.attention] == [("PERIOD-CLOSED", ("the return was corrected",))]


# -- timings and grace (3.1) --------------------------------------------------------------------------------------


def upsell() -> Order:
    return order(
        mug(),
        agreement(2, at(30), sale(5, 595, {"19": 95}), reason="ORDER_EDIT"),
        payments=(payment(1, 1190, at(1)), payment(2, 595, at(30))),
    )


def test_3_1_an_upsell_within_the_grace_is_one_invoice() -> None:
    graced = replace(PROFILE, grace_seconds=3600)
    made = plan(facts_of(upsell()), Books(), (graced,), at(61))
    invoices = [item.document for item in made.actions if item.kind == "invoice"]
    assert [item.draft.gross for item in invoices if item] == [1785]
    assert [item.kind for item in made.actions].count("book_payment") == 2


def test_3_1_before_the_grace_ends_the_money_is_written_and_the_invoice_waits() -> None:
    graced = replace(PROFILE, grace_seconds=3600)
    made = plan(facts_of(upsell()), Books(), (graced,), at(40))
    assert [item.kind for item in made.due(at(40)) if item.kind in ("money_line", "invoice")] == ["money_line"] * 2
    assert made.look_again == at(61)


def test_3_1_without_a_grace_the_upsell_is_a_supplementary_invoice() -> None:
    made = plan(facts_of(upsell()), Books(), (PROFILE,), at(61))
    assert [item.document.kind for item in made.actions if item.kind == "invoice" and item.document] == [
        "invoice",
        "supplementary",
    ]


def paid_then_shipped(days: float) -> Order:
    return order(mug(), payments=(payment(1, 1190, at(1)),), fulfilments=(shipped(1, at(days=days)),))


BY_SHIPMENT = replace(PROFILE, timing="fulfilment")


def test_3_1_timing_fulfilment_waits_for_the_shipment() -> None:
    waiting = plan(facts_of(paid_mug()), Books(), (BY_SHIPMENT,), at(days=2))
    assert [item.code for item in waiting.waiting] == ["UNSHIPPED"]
    assert waiting.look_again is not None and waiting.look_again.isoformat() == "2026-11-30T22:59:59.999999+00:00"
    made = plan(facts_of(paid_then_shipped(3)), Books(), (BY_SHIPMENT,), at(days=4))
    draft = next(item.document for item in made.actions if item.kind == "invoice")
    assert draft is not None and draft.draft.delivery_date == date(2026, 11, 23)


@pytest.mark.parametrize("seen", ["at the turn of the month", "long after the shipment"])
def test_3_1_what_is_paid_and_not_shipped_at_the_end_of_the_month_is_invoiced_in_advance(seen: str) -> None:
    """The tax belongs to the month of the money, whoever looks when (R2)."""
    of, now = (paid_mug(), at(days=11)) if seen.startswith("at") else (paid_then_shipped(20), at(days=40))
    made = plan(facts_of(of), Books(), (BY_SHIPMENT,), now)
    document = next(item.document for item in made.actions if item.kind == "invoice")
    assert document is not None and document.draft.delivery_date == date(2026, 11, 20)
    assert document.tax_point is not None and PROFILE.local_date(document.tax_point) == date(2026, 11, 30)
    assert "Vorauszahlung" in document.draft.foot_text


def test_3_1_timing_payment_invoices_an_unpaid_shipment_when_its_month_ends() -> None:
    by_payment = replace(PROFILE, timing="payment")
    sent = order(mug(), fulfilments=(shipped(1, at(days=1)),))
    assert [item.code for item in plan(facts_of(sent), Books(), (by_payment,), at(days=2)).waiting] == ["UNPAID"]
    made = plan(facts_of(sent), Books(), (by_payment,), at(days=15))
    document = next(item.document for item in made.actions if item.kind == "invoice")
    assert document is not None and document.draft.delivery_date == date(2026, 11, 21)
    assert "Vorauszahlung" not in document.draft.foot_text


def test_3_3_timing_creation_is_marked_as_an_advance_invoice() -> None:
    by_order = replace(PROFILE, timing="creation", taxation="ist")
    made = plan(facts_of(order(mug())), Books(), (by_order,), at(5))
    document = next(item.document for item in made.actions if item.kind == "invoice")
    assert document is not None and "Vorauszahlung" in document.draft.foot_text
    assert "erhalten" not in document.draft.foot_text


def test_timing_manual_leaves_the_draft_to_a_person() -> None:
    by_hand = replace(PROFILE, timing="manual")
    made = plan(facts_of(paid_mug()), Books(), (by_hand,), at(5))
    assert [item.kind for item in made.actions] == ["invoice"]
    assert "DRAFT-ONLY" in [item.code for item in made.waiting]


def test_a_part_that_is_paid_is_looked_at_when_its_month_ends() -> None:
    part = order(mug(), payments=(payment(1, 500, at(1)),))
    made = plan(facts_of(part), Books(), (PROFILE,), at(5))
    assert made.look_again is not None and PROFILE.local_date(made.look_again) == date(2026, 11, 30)
    assert not made.attention
    later = plan(facts_of(part), Books(), (PROFILE,), made.look_again + (at(1) - T0))
    assert [item.code for item in later.attention] == ["PARTIAL-PREPAYMENT"]


# -- every choice that is offered ----------------------------------------------------------------------------------


#: What a command refuses is answered by another command, and is no question about an order.
_TOLD_TO_WHO_TYPED = {"backfill.py", "backfill_plan.py", "payouts.py", "payout_steps.py"}


def _offered() -> set[str]:
    """Sentences in tuples that are passed as choices, anywhere in the product."""
    found: set[str] = set()
    for path in (ROOT / "src" / "ladenbuch").rglob("*.py"):
        if "simulators" in path.parts or path.name in _TOLD_TO_WHO_TYPED:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", ""))
            if isinstance(node, ast.Call) and name in ("Problem", "NeedsAttention"):
                given = [*node.args[3:4], *(item.value for item in node.keywords if item.arg == "choices")]
                for item in given:
                    found |= {one.value for one in getattr(item, "elts", ()) if isinstance(one, ast.Constant)}
            if isinstance(node, ast.Assign) and any("choices" in ast.unparse(one).lower() for one in node.targets):
                found |= {
                    one.value
                    for inner in ast.walk(node.value)
                    for one in getattr(inner, "elts", ())
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return {item for item in found if " " in item}


def test_every_choice_has_an_effect_and_german_words() -> None:
    offered = _offered()
    assert len(offered) > 25
    assert {item for item in offered if item not in EFFECTS} == set()
    assert {item for item in EFFECTS if item not in CHOICES} == set()


def test_r16_an_order_that_is_left_out_waits_for_nothing() -> None:
    """What a person excluded is named with their words, and says which question they answered."""
    early = order(agreement(1, T0, sale(1, 1190, {"19": 190})), payments=(payment(1, 500, at(1)),), cancelled_at=at(3))
    asked = plan(facts_of(early), Books(), (PROFILE,), at(5))
    (question,) = asked.attention
    assert asked.waiting
    _, made = answered(early, "exclude the order" if "exclude the order" in question.choices else question.choices[0])
    assert made.exclusion == Problem("EXCLUDED", f"a person decided: {made.answered[0][1]}", (early.id,))
    assert made.waiting == () and [item.code for item, _ in made.answered] == [question.code]


def test_r16_one_answer_of_two_leaves_the_order_open() -> None:
    both = with_tip(sale(3, 150, kind="FEE"))
    _, made = answered(both, "decide by hand", code="FEE")
    assert [item.code for item in made.attention] == ["TIP"] and made.exclusion is None


def test_r16_an_order_with_documents_is_never_left_out() -> None:
    """R13: what was posted stays accounted for, whatever is answered about what came after it."""
    paid = order(agreement(1, T0, sale(1, 1190, {"19": 190})), payments=(payment(1, 1190, at(1)),))
    first = plan(facts_of(paid), Books(), (PROFILE,), at(5))
    documents = tuple(
        replace(item.document, state="final") for item in first.actions if item.kind == "invoice" and item.document
    )
    posted = Books(documents=documents, applied=frozenset(item.key for item in first.actions))
    back = replace(paid, payments=(*paid.payments, payment(2, 100, at(60), kind="REFUND")))
    asked = plan(facts_of(back), posted, (PROFILE,), at(90)).attention
    done = tuple((item.code, question_hash(item, facts_of(back)), "correct it by hand in sevdesk") for item in asked)
    made = plan(facts_of(back), replace(posted, resolutions=done), (PROFILE,), at(90))
    assert asked and made.answered and not made.attention and made.exclusion is None
