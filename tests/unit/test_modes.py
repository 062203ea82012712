"""Modes are versioned per gateway, at the transaction's instant (bookkeeping 4.2, R10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.feed import FeedLine
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Gateway
from unit.test_plan_lives import apply

CHANGE = at(days=10)
NOW = at(days=14)
OWN, FED, SIMPLE = (
    Gateway("clearing+payouts", "30"),
    Gateway("feed", "31"),
    Gateway("clearing-simple", "32"),
)


def version(number, gateway, since=None):
    dated = PROFILE if since is None else replace(PROFILE, effective_from=since)
    return replace(dated, version=number, gateways={**PROFILE.gateways, "paypal": gateway})


def planned(made, books, versions, feeds=(), now=NOW):
    return plan(facts_of(made), books or Books(), versions, now, Evidence(feeds=tuple(feeds)))


def carried_out(made, books, versions, feeds=(), now=NOW):
    for action in planned(made, books, versions, feeds, now).actions:
        books = apply(books, action)
    return books


def bought():
    return order(mug(), payments=(payment(9, 1190, at(1), gateway="paypal"),))


def refunded(days):
    when = at(days=days)
    back = agreement(2, when, sale(2, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"), reason="REFUND")
    paid = payment(9, 1190, at(1), gateway="paypal")
    return order(mug(), back, payments=(paid, payment(10, 1190, when, kind="REFUND", gateway="paypal")))


def bookings(result):
    return [(item.booking.payment_id.split("/", 4)[-1], item.booking.amount) for item in result.actions if item.booking]


def test_4_2_the_mode_of_a_refund_is_that_of_its_own_instant():
    """PayPal is connected in sevdesk between charge and refund: the one is our line, the other the feed's."""
    versions = [version(1, OWN), version(2, FED, CHANGE)]
    books = carried_out(bought(), Books(), versions)
    assert [(line.account, line.amount) for line in books.lines] == [("30", 1190)]
    made = refunded(12)
    waiting = planned(made, books, versions)
    assert not [item for item in waiting.actions if item.line]
    assert {item.code for item in waiting.waiting} == {"FEED-WAITING"}
    brought = FeedLine("700", "31", -1190, date(2026, 12, 2), "PAYPAL")
    result = planned(made, books, versions, [brought])
    assert [(item.line.account, item.line.sevdesk_id) for item in result.actions if item.line] == [("31", "700")]
    assert bookings(result) == [("10", -1190)] and certificate(facts_of(made), books, result).holds
    early = refunded(8)
    result = planned(early, books, versions)
    assert [(item.line.account, item.line.amount) for item in result.actions if item.line] == [("30", -1190)]


def test_4_2_every_schedule_keeps_each_transaction_in_the_mode_of_its_instant():
    """Seen late, in one go, long after the change: the same lines on the same accounts."""
    versions = [version(1, SIMPLE), version(2, OWN, CHANGE)]
    made = refunded(12)
    late = carried_out(made, Books(), versions)
    step = carried_out(made, carried_out(bought(), Books(), versions, now=at(days=1)), versions)
    for books in (late, step):
        assert [(line.account, line.amount) for line in books.lines] == [("30", -1190)]
        assert sorted((item.amount, item.account) for item in books.bookings) == [(-1190, None), (1190, "32")]
        assert planned(made, books, versions).actions == ()


@pytest.mark.parametrize("after", [FED, SIMPLE, Gateway("bank"), Gateway("off")])
def test_r10_money_that_stands_on_an_account_keeps_its_place(after):
    """A version dated back over a line of ours moves nothing and writes nothing a second time."""
    part = order(mug(), payments=(payment(9, 500, at(1), gateway="paypal"),))
    early = [version(1, OWN)]
    books = carried_out(part, Books(), early, now=at(5))
    assert [(line.account, line.amount) for line in books.lines] == [("30", 500)]
    versions = [*early, version(2, after, T0 - timedelta(days=1))]
    paid = order(mug(), payments=(payment(9, 500, at(1), gateway="paypal"), payment(11, 690, at(90))))
    result = planned(paid, books, versions)
    assert [(item.line.account, item.line.amount) for item in result.actions if item.line] == [("12", 690)]
    assert bookings(result) == [("9", 500), ("11", 690)] and not result.attention
    assert certificate(facts_of(paid), books, result).holds


def test_r10_what_was_booked_without_a_line_of_ours_gets_none_later():
    books = carried_out(bought(), Books(), [version(1, SIMPLE)])
    versions = [version(1, SIMPLE), version(2, OWN, T0 - timedelta(days=1))]
    assert planned(bought(), books, versions).actions == ()


def test_r10_a_version_stored_after_the_posting_does_not_reach_back_before_the_tax_point():
    """The invoice is there, its money waits for the feed; a version dated back does not make a line of ours of it."""
    versions = [version(1, FED)]
    books = carried_out(bought(), Books(), versions)
    assert books.invoice is not None and books.lines == ()
    later = planned(bought(), books, [*versions, version(2, OWN, T0 - timedelta(days=1))], now=at(days=2))
    assert later.actions == () and {item.code for item in later.waiting} == {"FEED-WAITING"}


def test_4_2_the_cards_account_of_the_instant_is_owed():
    """The adviser names another account from January: what was sold before stands on the old one."""
    cards = {name: Gateway("liability", name) for name in ("70", "71")}
    old = replace(PROFILE, vouchers="multi_purpose", gateways={**PROFILE.gateways, "gift_card": cards["70"]})
    new = replace(old, version=2, effective_from=CHANGE, gateways={**PROFILE.gateways, "gift_card": cards["71"]})
    for days, account in ((1, "70"), (11, "71")):
        card = agreement(1, at(days=days), sale(1, 5000, kind="GIFT_CARD"))
        made = order(card, payments=(payment(9, 5000, at(1, days=days)),), processed_at=at(days=days))
        lines = [item.line for item in planned(made, Books(), [old, new]).actions if item.line]
        assert [(line.account, line.amount) for line in lines] == [("12", 5000), (account, -5000)]
