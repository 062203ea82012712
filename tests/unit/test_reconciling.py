"""What a reconciliation calls a difference, and when it may be mended (R13-R17, S60, S139, B7)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from ladenbuch.domain.month import KnownOrder, Month, OurDocument, TheirDocument
from ladenbuch.domain.period import certify, compare
from ladenbuch.domain.reconciling import (
    APART,
    CASES,
    HANDS,
    Discrepancy,
    KnownHand,
    Sighting,
    discrepancies,
    state_of,
    status_of,
)
from ladenbuch.web import codes
from ladenbuch.web.reconciled import SENTENCES, STATES, TITLES, sentence_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=2)
ORDER = "gid://shopify/Order/5000000000001"
KEY = f"inv:{ORDER}:1"
NOTE = "#1001 / c1:5000000000001"
OURS = OurDocument(
    KEY, ORDER, "#1001", "invoice", "final", "Invoice/71", "RE-1001", NOTE, date(2026, 11, 10), "EUR", 1,
    ((Decimal(19), 1190, 1000, 190),), ("sale",), booked=1190,
)  # fmt: skip
THEIRS = TheirDocument(
    "Invoice/71", "RE", 1000, "RE-1001", NOTE, date(2026, 11, 10), "EUR", 1, 1190, 1000, 190, 1190, changed_at=OLD
)  # fmt: skip
KNOWN = KnownOrder(ORDER, "#1001", "documented", None, OLD - timedelta(days=9), OLD, True, {"19": 1190})


def month(*theirs: TheirDocument, ours: tuple[OurDocument, ...] = (OURS,)) -> Month:
    return Month(
        date(2026, 11, 1), date(2026, 12, 1), date(2026, 11, 20), NOW - APART, NOW - timedelta(days=99),
        frozenset({"c1"}), (), (KNOWN,), ours, theirs,
    )  # fmt: skip


def found(world: Month, *hands: KnownHand) -> list[tuple[str, str, str | None, bool]]:
    made = compare(world, {ORDER})
    return [(one.sort, one.cure, one.document, one.human) for one in discrepancies(world, made, hands)]


def twin(**changes: object) -> TheirDocument:
    return replace(THEIRS, **{"id": "Invoice/72", "number": "RE-1002", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ([THEIRS], []),
        ([], [("deleted", "look", "RE-1001", True)]),
        ([replace(THEIRS, gross=1191)], [("altered", "look", "RE-1001", True)]),
        ([replace(THEIRS, tax_rule=2)], [("altered", "look", "RE-1001", True)]),
        ([replace(THEIRS, status=100)], [("altered", "look", "RE-1001", True)]),
        ([replace(THEIRS, day=date(2026, 11, 11))], [("altered", "look", "RE-1001", False)]),
        ([replace(THEIRS, number="RE-7", day=date(2026, 11, 11))], [("altered", "look", "RE-1001", False)]),
        ([replace(THEIRS, paid=1290)], [("paid", "look", "RE-1001", False)]),
        ([replace(THEIRS, paid=0, status=200)], [("unlinked", "look", "RE-1001", True)]),
        ([THEIRS, twin()], [("doubled", "beside", "RE-1002", True)]),
        ([THEIRS, twin(note=f"{NOTE}:x")], [("foreign", "beside", "RE-1002", True)]),
        ([THEIRS, twin(note="#1001")], [("foreign", "beside", "RE-1002", True)]),
        ([THEIRS, twin(note="Rechnung zu #1001, danke")], [("foreign", "beside", "RE-1002", True)]),
        ([THEIRS, twin(note="#1001 / c2:5000000000009")], []),
        ([THEIRS, twin(note="#10011")], []),
        ([THEIRS, twin(note="Beratung")], []),
        ([THEIRS, twin(note="#1001", changed_at=NOW)], []),
        ([THEIRS, twin(note="#1001", day=date(2026, 10, 1))], []),
        ([THEIRS, twin(status=100)], [("leftover", "delete", "Invoice/72", False)]),
        ([THEIRS, twin(note="#9 / c1:9999999999999")], [("unbooked", "look", "RE-1002", False)]),
        ([THEIRS, twin(note="#9 / c1:9999999999999", status=100)], [("unbooked", "look", "Invoice/72", False)]),
        ([replace(THEIRS, changed_at=NOW, gross=1)], []),
    ],
)  # fmt: skip
def test_s60_each_difference_by_its_name(
    theirs: list[TheirDocument], said: list[tuple[str, str, str | None, bool]]
) -> None:
    """S60, B7, R13-R16, 5.30: what is wrong is named once, with its number; what is nobody's business is not."""
    assert found(month(*theirs)) == said


def test_r13_a_cancellation_by_hand() -> None:
    reversal = replace(twin(), kind="SR", gross=-1190, net=-1000, tax=-190, paid=-1190, origin="Invoice/71")
    ours = replace(OURS, booked=0)
    held = replace(THEIRS, paid=0)
    assert found(month(held, reversal, ours=(ours,))) == [("cancelled", "look", "RE-1001", True)]


@pytest.mark.parametrize("kind", sorted(HANDS))
def test_r16_what_our_books_know_is_told_while_it_is_asked_and_no_longer(kind: str) -> None:
    """R16: a person's answer is above all: what was answered is no difference any more."""
    theirs = {"gone": [], "doubled": [THEIRS, twin()], "foreign": [THEIRS, twin(note="#1001")]}.get(kind)
    if theirs is None:
        altered = {"changed": {"tax_rule": 2}, "unlinked": {"paid": 0, "status": 200}}.get(kind)
        theirs = [replace(THEIRS, **altered)] if altered else [THEIRS]  # type: ignore[arg-type]
    beside = kind in ("doubled", "foreign")
    number, their = ("RE-1002", "Invoice/72") if beside else ("RE-1001", "")
    hand = KnownHand(kind, KEY, ORDER, "#1001", number, their, asked=True, answered=False)
    world = month(*theirs)
    (one,) = discrepancies(world, compare(world, ()), [hand])
    assert (one.sort, one.cure, one.asked, one.document) == (CASES[HANDS[kind][0]].sort, "", True, number)
    assert state_of(one, Sighting(one, OLD, OLD), NOW) == "asked"
    assert discrepancies(world, compare(world, ()), [replace(hand, asked=False, answered=True)]) == []


def test_r17_nothing_is_mended_on_one_sighting() -> None:
    """R17: two looks a quarter of an hour apart; a cure gets as long; then it is a person's."""
    one = Discrepancy("paid", "PAID-BY-HAND", "m", "look", False, ORDER, "#1001", "RE-1001", KEY)

    def state(first: datetime, cured: datetime | None = None, **more: bool) -> str:
        return state_of(one, Sighting(one, first, NOW, cured, **more), NOW)

    assert state_of(one, None, NOW) == "seen"
    assert state(NOW - APART + timedelta(seconds=1)) == "seen"
    assert state(NOW - APART) == "confirmed"
    assert state(OLD, NOW - APART + timedelta(seconds=1)) == "mending"
    assert state(OLD, NOW - APART) == "stuck"
    assert state(OLD, accepted=True) == "accepted"
    nothing = replace(one, cure="")
    assert state_of(nothing, Sighting(nothing, OLD, NOW), NOW) == "open"


def test_the_status_says_whether_anything_is_left() -> None:
    assert status_of([]) == status_of(["accepted"]) == "CONSISTENT"
    assert status_of(["fixed", "accepted"]) == "RECONCILED"
    states = ["fixed", "seen", "confirmed", "mending", "asked", "open", "stuck", "accepted"]
    rng = random.Random(1)
    for _ in range(200):
        some = rng.choices(states, k=rng.randrange(1, 6))
        left = [state for state in some if state not in ("fixed", "accepted")]
        assert (status_of(some) == "UNRESOLVED") == bool(left)


def test_a_number_nobody_has_and_a_document_that_is_gone_are_two_things() -> None:
    """The number of a document that vanished is told with the document, not as a hole."""
    world = month(twin(number="RE-1003", note="Beratung"), replace(THEIRS, id="Invoice/1", number="RE-1000", note="x"))
    made = certify(world)
    sorts = {one.sort: one.document for one in discrepancies(world, made, [])}
    assert sorts == {"deleted": "RE-1001", "hole": "RE-1002", "unlisted": None}


def test_everything_has_words_in_both_languages() -> None:
    assert set(SENTENCES) == set(CASES)
    assert {case.sort for case in CASES.values()} == set(TITLES)
    made = {"seen", "confirmed", "mending", "fixed", "asked", "open", "stuck", "accepted"}
    assert set(STATES) == made
    assert all(codes.sentence("de", question) for _, question in HANDS.values())
    world = month(replace(THEIRS, gross=1191, note="Frau Muster"))
    (one,) = discrepancies(world, compare(world, ()), [])
    assert "Muster" not in one.message, "what a person typed stays where it is"
    assert sentence_of("de", one) == "lautet in sevdesk anders: Vermerk, Brutto"
