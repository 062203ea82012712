"""What waits for something outside, what sentences promise, and small judgements of sections 3 and 5."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import PROFILE, agreement, at, mug, order, payment, sale
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Profile
from ladenbuch.errors import Rejected
from ladenbuch.shopify.webhooks import refunded
from unit.test_plan_lives import END, facts_at, lives_of, planned


def foot(profile: Profile) -> str:
    made = plan(facts_of(order(mug(), payments=(payment(1, 1190, at(1)),))), Books(), (profile,), at(5))
    document = next(item.document for item in made.actions if item.kind == "invoice")
    assert document is not None
    return str(document.draft.foot_text)


def test_5_25_no_month_is_promised_where_the_merchant_knows_none() -> None:
    assert "Lieferung voraussichtlich im November 2026" in foot(PROFILE)
    assert "Lieferung voraussichtlich im Februar 2027" in foot(replace(PROFILE, dispatch_days=90))
    assert foot(replace(PROFILE, dispatch_days=None)) == "Vorauszahlung, Zahlung erhalten am 20.11.2026."


def test_the_merchants_own_line_comes_last() -> None:
    assert foot(replace(PROFILE, closing_de="Vielen  Dank für Ihren Einkauf.\n")).endswith(
        "November 2026. Vielen Dank für Ihren Einkauf."
    )


@pytest.mark.parametrize("bad", ["Gutschrift folgt", "x" * 501, 7])
def test_a_closing_line_never_says_gutschrift(bad: object) -> None:
    with pytest.raises(Rejected, match="closing_de"):
        Profile.from_json({"closing_de": bad})


@pytest.mark.parametrize("bad", [-1, 367, True, "3", 1.5])
def test_dispatch_days_are_a_number_of_days(bad: object) -> None:
    with pytest.raises(Rejected, match="dispatch_days"):
        Profile.from_json({"dispatch_days": bad})


def test_3_1_a_grace_says_that_the_invoice_waits() -> None:
    graced = replace(PROFILE, grace_seconds=3600)
    made = plan(facts_of(order(mug(), payments=(payment(1, 1190, at(1)),))), Books(), (graced,), at(5))
    assert [item.code for item in made.waiting] == ["GRACE"] and made.look_again == at(61)


@pytest.mark.parametrize("action", ["RETURN", "UPDATE", "ORDER"])
def test_f2_an_adjustment_says_its_direction_by_its_sign(action: str) -> None:
    """Goods that come back are negative; what is kept back of a refund is an adjustment of either sign."""
    back = agreement(
        2,
        at(60),
        sale(5, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"),
        sale(6, 500, kind="ADJUSTMENT", quantity=None, action=action),
        reason="REFUND",
    )
    kept = order(mug(), back, payments=(payment(1, 1190, at(1)), payment(2, 690, at(60), kind="REFUND")))
    assert not [item for item in facts_of(kept).problems if "positive" in item.message]


def test_f1_goods_that_come_back_with_a_positive_amount_stop_everything() -> None:
    back = agreement(2, at(60), sale(5, 1190, {"19": 190}, line="1", action="RETURN"), reason="REFUND")
    found = facts_of(order(mug(), back)).problems
    assert any("positive" in item.message for item in found)


def test_r18_a_refund_webhook_tells_how_much_went_back() -> None:
    body = b'{"id": 9, "transactions": [{"kind": "refund", "status": "success", "amount": "11.90"}, {"status": "pending", "amount": "3.00"}]}'  # noqa: E501
    assert refunded(body) == ("gid://shopify/Refund/9", 1190)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 0}', b'{"id": 9, "transactions": [{"status": "success", "amount": "x"}]}', b'{"id": 9, "transactions": [{"status": "success", "amount": "0.001"}]}'])  # noqa: E501  # fmt: skip
def test_a_body_that_is_no_refund_says_nothing(body: bytes) -> None:
    assert refunded(body) == (None, 0)


def test_every_step_says_its_rule_its_source_and_what_would_be_otherwise_in_both_languages() -> None:
    """B6 for actions: whatever a wide range of orders needs."""
    seen: set[str] = set()
    for life in lives_of("wide", 400, seed=3):
        for action in planned(facts_at(life.final), Books(), END).actions:
            because = action.because
            seen.add(action.kind)
            assert all((because.rule, because.source, because.en, because.de, because.otherwise, because.otherwise_de))
            assert because.en != because.de and because.otherwise != because.otherwise_de
            assert "{" not in because.en + because.de
            shown = action.as_json()
            assert shown["reason_de"] == because.de and shown["counterfactual_de"] == because.otherwise_de
    assert seen >= {
        "invoice",
        "credit_note",
        "finalise",
        "cancel",
        "money_line",
        "book_payment",
        "book_refund",
        "letter",
    }
