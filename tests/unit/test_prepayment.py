"""Bookkeeping 3.1: a part of the price received before a month end is taxed with that month, so a person decides."""

from datetime import UTC, datetime

import pytest

from builders import PROFILE, mug, order, payment, shipped
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import Plan, plan

JAN, LATE_JAN, FEB = (datetime(2026, *day, tzinfo=UTC) for day in ((1, 10, 12), (1, 31, 22, 30), (2, 2, 12)))
#: 23:30 UTC on 31 January is half past midnight in Berlin: February.
NEW_MONTH = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def made(bought: Order, now: datetime = FEB) -> Plan:
    return plan(facts_of(bought), Books(), [PROFILE], now)


def codes(done: Plan) -> set[str]:
    return {item.code for item in done.attention}


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [(JAN, FEB, True), (JAN, LATE_JAN, False), (LATE_JAN, NEW_MONTH, True), (NEW_MONTH, FEB, False)],
)
def test_a_part_paid_before_a_month_end_is_asked_about(first: datetime, second: datetime, asked: bool) -> None:
    done = made(order(mug(when=JAN), payments=(payment(1, 400, first), payment(2, 790, second))))
    assert codes(done) == ({"PARTIAL-PREPAYMENT"} if asked else set())
    assert any(item.kind == "invoice" for item in done.actions) is not asked
    assert sum(item.kind == "money_line" for item in done.actions) == 2  # the money is written either way (R20)


def test_goods_sent_in_the_next_month_do_not_hide_the_part() -> None:
    done = made(order(mug(when=JAN), payments=(payment(1, 400, JAN),), fulfilments=(shipped(1, FEB),)))
    assert codes(done) == {"PARTIAL-PREPAYMENT"}
    assert [item.facts for item in done.attention] == [("gid://shopify/OrderTransaction/1",)]


def test_while_nothing_is_complete_the_month_end_makes_it_a_question() -> None:
    waiting = order(mug(when=JAN), payments=(payment(1, 400, JAN),))
    assert codes(made(waiting, LATE_JAN)) == set()
    assert codes(made(waiting, NEW_MONTH)) == {"PARTIAL-PREPAYMENT"}


def test_money_that_went_back_before_the_month_end_was_not_kept() -> None:
    parts = (payment(1, 400, JAN), payment(2, 400, LATE_JAN, kind="REFUND"), payment(3, 1190, FEB))
    assert "PARTIAL-PREPAYMENT" not in codes(made(order(mug(when=JAN), payments=parts)))


def test_money_after_the_tax_point_is_no_prepayment() -> None:
    done = made(order(mug(when=JAN), payments=(payment(1, 400, FEB),), fulfilments=(shipped(1, JAN),)))
    assert codes(done) == set()
