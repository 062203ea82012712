"""How the money of a gateway is kept: clearing-simple and feed (bookkeeping 4.2, R5, R14; situation 5.8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale, shipped
from ladenbuch.domain.books import Books
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.feed import PATIENCE, FeedLine, Rival, left_by
from ladenbuch.domain.order import Refund
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import MODES, Gateway, Profile
from unit.test_plan_lives import apply

NOW = T0 + timedelta(days=2)
DAY = date(2026, 11, 20)
SIMPLE = replace(PROFILE, gateways={**PROFILE.gateways, "mollie": Gateway("clearing-simple", "30")})
FEED = replace(PROFILE, gateways={**PROFILE.gateways, "paypal": Gateway("feed", "31")})


def planned(made, books=None, profile=SIMPLE, now=NOW, feeds=()):
    return plan(facts_of(made), books or Books(), [profile], now, Evidence(feeds=tuple(feeds)))


def proof(made, result, books=None):
    return certificate(facts_of(made), books or Books(), result)


def codes(items):
    return {item.code for item in items}


def kinds(result):
    return [item.kind for item in result.actions]


def bookings(result):
    return [item.booking for item in result.actions if item.booking]


def bought(gateway, *payments):
    return order(mug(), payments=payments or (payment(9, 1190, at(1), gateway=gateway),))


def refunded(gateway):
    back = agreement(2, at(500), sale(2, -1190, {"19": -190}, line="1", quantity=-1, action="RETURN"), reason="REFUND")
    moved = (payment(9, 1190, at(1), gateway=gateway), payment(10, 1190, at(500), kind="REFUND", gateway=gateway))
    return order(mug(), back, payments=moved)


# -- clearing-simple --------------------------------------------------------------------------------------------------


def test_clearing_simple_books_without_a_line_of_ours():
    """4.2: sevdesk makes the line on the offline account when we book."""
    made = bought("mollie")
    result = planned(made)
    assert kinds(result) == ["invoice", "finalise", "book_payment", "letter"] and not result.attention
    (booking,) = bookings(result)
    assert (booking.amount, booking.account, booking.value_date) == (1190, "30", DAY)
    assert next(item for item in result.actions if item.booking).as_json()["account"] == "30"
    found = proof(made, result)
    assert found.holds and found.open_minor == 0 and found.money_booked == found.money_facts == 1190
    books = Books()
    for action in result.actions:
        books = apply(books, action)
    assert planned(made, books).actions == () and proof(made, planned(made, books), books).holds


def test_clearing_simple_has_nothing_before_the_invoice():
    """4.2: there is no document to book on, and no line can be made without one."""
    part = bought("mollie", payment(9, 500, at(1), gateway="mollie"))
    assert planned(part).actions == () and not planned(part).attention


def test_clearing_simple_pays_two_documents_in_parts():
    """2.5: each booking makes its own line, so one transaction pays two documents."""
    edit = agreement(2, at(500), sale(2, 700, {"19": 112}, line="2", action="UPDATE"), reason="ORDER_EDIT")
    paid = payment(10, 1890, at(600), gateway="mollie")
    made = order(mug(), edit, payments=(paid,), fulfilments=(shipped(3, at(60)),), edited=True)
    parts = [(item.payment_id.split("/", 4)[-1], item.document_key, item.amount) for item in bookings(planned(made))]
    assert parts == [("10/1", "inv:5001:1", 1190), ("10/2", "sup:2", 700)]
    assert proof(made, planned(made)).holds


def test_2_5_a_line_that_was_written_in_one_piece_gives_way_to_parts():
    """2.5, 4.2: the line stands at payment time; two documents need it later, and it pays neither yet."""
    paid = payment(9, 1890, at(600))
    sent = (shipped(3, at(60)),)
    first = planned(order(mug(), payments=(paid,), fulfilments=sent))
    assert codes(first.attention) == {"OVERPAID"} and not bookings(first)
    books = Books()
    for action in first.actions:
        books = apply(books, action)
    assert [(line.key, line.amount) for line in books.lines] == [("line:9", 1890)]
    edit = agreement(2, at(700), sale(2, 700, {"19": 112}, line="2", action="UPDATE"), reason="ORDER_EDIT")
    made = order(mug(), edit, payments=(paid,), fulfilments=sent, edited=True)
    result = planned(made, books)
    assert [item.key for item in result.actions if item.line] == ["gone:line:9", "line:9:1", "line:9:2"]
    assert [(item.document_key, item.amount) for item in bookings(result)] == [("inv:5001:1", 1190), ("sup:2", 700)]
    assert not result.attention and proof(made, result, books).holds
    for action in result.actions:
        books = apply(books, action)
    assert sum(line.amount for line in books.lines) == 1890 and planned(made, books).actions == ()
    once = Books()
    for action in planned(made).actions:
        once = apply(once, action)
    assert [line.payment_id for line in once.lines] == [line.payment_id for line in books.lines], "seen late, the same"


def test_a_refund_on_an_offline_account_is_refused_by_default():
    """4.2, F13: its sign is unproven; the credit note does not depend on it (R20)."""
    made = refunded("mollie")
    result = planned(made)
    assert codes(result.attention) == {"OFFLINE-REFUND"} and "credit_note" in kinds(result)
    assert [item.amount for item in bookings(result)] == [1190] and proof(made, result).holds
    allowed = planned(made, profile=replace(SIMPLE, offline_refunds=True))
    assert [item.amount for item in bookings(allowed)] == [1190, -1190] and not allowed.attention
    assert proof(made, allowed).holds


# -- feed -------------------------------------------------------------------------------------------------------------


def line(number=501, amount=1190, day=DAY, text="PAYPAL", account="31"):
    return FeedLine(str(number), account, amount, day, text)


def test_5_8_the_line_the_feed_brought_is_linked_and_nothing_is_created():
    """5.8, 4.2: exactly one line of the amount; the fee line beside it is another amount."""
    made = bought("paypal")
    result = planned(made, profile=FEED, feeds=[line(), line(502, -64)])
    taken = next(item.line for item in result.actions if item.line)
    assert (taken.sevdesk_id, taken.account, taken.amount, taken.value_date) == ("501", "31", 1190, DAY)
    assert [item.amount for item in bookings(result)] == [1190] and not result.attention and not result.waiting
    assert proof(made, result).holds and proof(made, result).open_minor == 0


@pytest.mark.parametrize(
    ("feeds", "found"),
    [
        ([], None),
        ([line(amount=1191)], None),
        ([line(day=DAY + timedelta(days=3))], "501"),
        ([line(day=DAY - timedelta(days=3))], "501"),
        ([line(day=DAY + timedelta(days=4))], None),
        ([line(account="32")], None),
        ([line(), line(502)], None),
        ([line(), line(502, text="Rechnung r7af9 Danke")], "502"),
        ([line(), line(502, text="r7af91")], None),
        ([line(text="R7AF9"), line(502, text="r7af9")], None),
    ],
)
def test_exactly_one_line_is_the_payment(feeds, found):
    """4.2: provider id, amount, three days; anything else stays open and listed."""
    made = bought("paypal", replace(payment(9, 1190, at(1), gateway="paypal"), payment_id="r7af9"))
    result = planned(made, profile=FEED, feeds=feeds)
    assert [item.line.sevdesk_id for item in result.actions if item.line] == ([found] if found else [])
    assert codes(result.waiting) == (set() if found else {"FEED-WAITING"}) and not result.attention
    assert proof(made, result).holds


def test_4_2_a_line_that_names_another_payment_is_not_this_one():
    """4.2: of equal payments near each other the reference decides, whoever looks first; without one nobody guesses."""
    mine = "8XK12345AB678901C"
    made = bought("paypal", replace(payment(9, 1190, at(1), gateway="paypal"), payment_id=mine))

    def found(*feeds):
        return [item.line.sevdesk_id for item in planned(made, profile=FEED, feeds=feeds).actions if item.line]

    assert found(line(text=f"PayPal {mine}")) == ["501"] == found(line(), line(502, text="9AB12345XY678901Z"))
    assert found(line(text="PayPal 9AB12345XY678901Z")) == []
    assert found(line(), line(502)) == [] == found(replace(line(), contested=True))
    assert found(replace(line(text=mine), contested=True), replace(line(502), contested=True)) == ["501"]
    dotted = bought("paypal", replace(payment(9, 1190, at(1), gateway="paypal"), payment_id="c2504843.1"))
    for text, ids in (("c2504843.1", ["501"]), ("c2504844.1", []), ("c25048431", ["501"])):
        result = planned(dotted, profile=FEED, feeds=[line(text=f"PayPal {text}")])
        assert [item.line.sevdesk_id for item in result.actions if item.line] == ids, text


def test_4_2_of_two_equal_payments_of_an_order_the_named_line_is_the_named_one():
    """The other payment takes the line that is left, and not the one that names its sister."""
    halves = [
        replace(payment(number, 595, at(number - 8), gateway="paypal"), payment_id=f"r7af{number}") for number in (8, 9)
    ]
    made = bought("paypal", *halves)
    for feeds, ids in (
        ([line(501, 595, text="r7af9")], {"line:9": "501"}),
        ([line(501, 595, text="r7af9"), line(502, 595)], {"line:9": "501", "line:8": "502"}),
        ([line(501, 595), line(502, 595)], {}),
    ):
        result = planned(made, profile=FEED, feeds=feeds)
        assert {item.key: item.line.sevdesk_id for item in result.actions if item.line} == ids


def test_4_2_what_payments_of_other_orders_leave():
    """4.2: theirs where it names them, anybody's where it may be theirs; a rival with its own line contests nothing."""
    rival = Rival("31", 1190, DAY, "r7af8")
    assert left_by([rival], [line(text="r7af8"), line(502)]) == (line(502),)
    assert [item.contested for item in left_by([rival], [line(), line(502, 595), line(503, account="32")])] == [
        True,
        False,
        False,
    ]
    assert not left_by([replace(rival, day=DAY + timedelta(days=4))], [line()])[0].contested
    assert left_by([replace(rival, account=None)], [line()])[0].contested


def test_one_line_is_never_two_payments():
    """Two halves of the same amount, one line: neither's."""
    halves = [payment(9, 595, at(1), gateway="paypal"), payment(10, 595, at(2), gateway="paypal")]
    made = bought("paypal", *halves)
    assert not bookings(planned(made, profile=FEED, feeds=[line(amount=595)]))
    assert not bookings(planned(made, profile=FEED, feeds=[line(amount=595), line(502, 595)]))


def test_a_late_line_waits_then_is_asked_about():
    """4.2, R9: the clock says when to look again, and after a week that a person should."""
    made = bought("paypal")
    looked, moments = at(1) + timedelta(minutes=1), []
    while (result := planned(made, profile=FEED, now=looked)).look_again is not None:
        expected = "FEED-UNMATCHED" if looked >= at(1) + PATIENCE else "FEED-WAITING"
        assert codes((*result.waiting, *result.attention)) == {expected} and proof(made, result).holds
        moments.append(result.look_again)
        looked = result.look_again
    assert moments[0] == at(1) + timedelta(hours=1) and at(1) + PATIENCE in moments
    assert moments == sorted(set(moments)) and moments[-1] > at(1) + timedelta(days=30)
    late = planned(made, profile=FEED, now=NOW + timedelta(days=20), feeds=[line()])
    assert bookings(late) and not late.attention


def test_the_same_lines_are_looked_up_only_while_they_are_needed():
    made = bought("paypal")
    result = planned(made, profile=FEED)
    assert [(item.account, item.first, item.last) for item in result.wanted] == [
        ("31", DAY - timedelta(days=3), DAY + timedelta(days=3))
    ]
    books = Books()
    for action in planned(made, profile=FEED, feeds=[line()]).actions:
        books = apply(books, action)
    again = planned(made, books, FEED)
    assert again.wanted == () and again.actions == () and proof(made, again, books).holds
    unpaid = planned(order(mug()), profile=FEED)
    assert unpaid.wanted == ()


def test_r5_a_refund_before_the_match_waits_for_it():
    """R5: a credit note needs the payment linked first; in mode feed its refund waits, and nobody is asked yet."""
    made = refunded("paypal")
    first = planned(made, profile=FEED, feeds=[line(502, -1190)])
    assert "credit_note" not in kinds(first) and "book_refund" not in kinds(first)
    assert codes(first.waiting) == {"FEED-WAITING"} and not first.attention and proof(made, first).holds
    both = planned(made, profile=FEED, feeds=[line(), line(502, -1190)])
    assert kinds(both)[-3:-1] != [] and [item.amount for item in bookings(both)] == [1190, -1190]
    assert not both.waiting and proof(made, both).holds


def test_a_feed_line_in_one_piece_pays_no_two_documents():
    """2.5: booking a part of an imported line is unproven."""
    edit = agreement(2, at(500), sale(2, 700, {"19": 112}, line="2", action="UPDATE"), reason="ORDER_EDIT")
    paid = payment(10, 1890, at(600), gateway="paypal")
    made = order(mug(), edit, payments=(paid,), fulfilments=(shipped(3, at(60)),), edited=True)
    assert codes(planned(made, profile=FEED, feeds=[line(amount=1890)]).attention) == {"PAYMENT-SPLIT"}
    allowed = replace(FEED, split_lines=True)
    result = planned(made, profile=allowed, feeds=[line(amount=1890)])
    assert [(item.document_key, item.amount) for item in bookings(result)] == [("inv:5001:1", 1190), ("sup:2", 700)]
    assert not result.attention and proof(made, result).holds
    books = Books()
    for action in result.actions:
        books = apply(books, action)
    assert planned(made, books, allowed).actions == () and len(books.lines) == 1
    assert codes(planned(made, profile=allowed).waiting) == {"FEED-WAITING"}


def test_a_feed_without_an_account_is_asked_about():
    profile = replace(FEED, gateways={**FEED.gateways, "paypal": Gateway("feed")})
    assert codes(planned(bought("paypal"), profile=profile).attention) == {"GATEWAY-ACCOUNT"}


def test_every_mode_can_be_written_in_a_profile():
    """4.2: all six are carried out."""
    for mode in MODES:
        assert Profile.from_json({"gateways": {"paypal": mode}}).gateways["paypal"].mode == mode


def test_refunds_named_by_shopify_are_matched_like_payments():
    """5.8: the feed's own negative line settles the credit note."""
    back = agreement(2, at(500), sale(2, -400, {"19": -64}, line="1", quantity=-1, action="RETURN"), reason="REFUND")
    two = agreement(1, T0, sale(1, 1190, {"19": 190}, quantity=3))
    moved = (payment(9, 1190, at(1), gateway="paypal"), payment(10, 400, at(500), kind="REFUND", gateway="paypal"))
    refund = Refund("gid://shopify/Refund/1", None, 0, transaction_ids=("gid://shopify/OrderTransaction/10",))
    made = order(two, replace(back, refund_id=refund.id), payments=moved, refunds=(refund,))
    result = planned(made, profile=FEED, feeds=[line(), line(503, -400)])
    assert [(item.payment_id.rsplit("/", 1)[-1], item.amount) for item in bookings(result)] == [
        ("9", 1190),
        ("10", -400),
    ]
