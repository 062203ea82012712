"""The same money on two accounts (bookkeeping 4.1, 4.2): same amount, two days, not both paying a document."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from ladenbuch.domain.double_money import OwnLine, TheirLine, pairs, words_of

DAY = date(2026, 11, 20)


def own(number=1, amount=1190, day=0, settled=True, name="#1001"):
    names = words_of(name) | {str(number)}
    dated = DAY + timedelta(days=day)
    return OwnLine("12", amount, dated, settled, f"gid://shopify/Order/{number}", name, f"o{number}", names)


def their(number=1, amount=1190, day=0, settled=False, text=""):
    return TheirLine(f"t{number}", "31", amount, DAY + timedelta(days=day), settled, words_of(text))


def found(ours, theirs, expected=None):
    return [(pair.ours.id, pair.theirs.id, pair.named) for pair in pairs(ours, theirs, expected or {})]


@pytest.mark.parametrize("apart", range(-4, 5))
def test_4_2_two_days_apart_at_most(apart):
    assert bool(found([own()], [their(day=apart)])) == (abs(apart) <= 2)


def test_4_2_the_signed_amount_is_the_same():
    assert found([own(amount=-500)], [their(amount=-500)]) == [("o1", "t1", False)]
    assert found([own(amount=-500)], [their(amount=500)]) == [] == found([own()], [their(amount=1191)])


@pytest.mark.parametrize(
    ("ours", "theirs", "named", "told"),
    [
        (True, False, False, 1),
        (False, False, False, 1),
        (False, True, True, 1),
        (False, True, False, 0),
        (True, True, True, 0),
    ],
)
def test_two_lines_that_each_pay_a_document_are_two_payments(ours, theirs, named, told):
    assert len(found([own(settled=ours)], [their(settled=theirs, text="#1001" if named else "")])) == told


def test_a_free_line_some_order_waits_for_is_left_to_it_unless_it_names_ours():
    assert found([own()], [their()], {1190: 1}) == []
    assert found([own()], [their(), their(2)], {1190: 1}) == [("o1", "t2", False)]
    assert found([own()], [their(text="Bestellung #1001 danke")], {1190: 1}) == [("o1", "t1", True)]
    assert found([own(settled=False)], [their(settled=True, text="1001")], {1190: 1}) == [("o1", "t1", True)]


def test_named_before_near_before_far_and_each_line_once():
    ours = [own(1, day=0, name="#1001"), own(2, day=2, name="#1002")]
    assert found(ours, [their(1, day=2, text="1001"), their(2, day=2)]) == [("o1", "t1", True), ("o2", "t2", False)]
    assert found(ours, [their(1, day=1), their(2, day=1), their(3, day=1)]) == [
        ("o1", "t1", False),
        ("o2", "t2", False),
    ]


def test_no_order_of_the_lists_changes_what_is_told():
    chance = random.Random(7)
    ours = [own(n, chance.choice((500, 990)), chance.randrange(9), chance.random() < 0.5) for n in range(40)]
    theirs = [their(n, chance.choice((500, 990)), chance.randrange(9), chance.random() < 0.5) for n in range(40)]
    told = found(ours, theirs, {500: 3})
    assert len({one for one, _, _ in told}) == len({one for _, one, _ in told}) == len(told) > 8
    for _ in range(5):
        chance.shuffle(ours)
        chance.shuffle(theirs)
        assert found(ours, theirs, {500: 3}) == told
