"""The certificate of a month: a clean one has no finding, and any one record touched is named, and no other (B7, R17).

Months are made record by record, as shop, books and sevdesk would each hold them. `LADENBUCH_MONTHS` sets how many
mutations are tried in all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from ladenbuch.domain.month import (
    SORTS,
    KnownOrder,
    ListedOrder,
    OurDocument,
    PeriodCertificate,
    TheirDocument,
    named,
)
from ladenbuch.domain.month_documents import gaps
from ladenbuch.domain.period import certify
from months import LONG_AGO, NOW, SINCE, START, UNTIL, Desk, desk, gid

MUTATIONS = int(os.environ.get("LADENBUCH_MONTHS", "1000"))


# -- a clean month ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(4))
def test_B7_a_clean_month_has_no_finding(block: int) -> None:
    """B7: 100 clean months, no false alarm; every order is in exactly one state."""
    for seed in range(25 * block, 25 * block + 25):
        made = desk(seed)
        found = certify(made.month())
        assert found.findings == [] and found.verdict == "waiting"
        assert found.accounted == len(found.orders) == len(made.listed)
        assert found.compared == found.equal == len(made.ours)
        assert sum(found.counts.values()) == len(made.listed)
        assert {item.code for item in named(found.orders, "waiting")} == {"UNPAID"}
        assert {item.code for item in named(found.orders, "excluded")} == {"TEST"}


def test_B7_a_month_in_which_nothing_waits_is_complete() -> None:
    made = Desk(random.Random(1))
    for number in range(10):
        made.order(1001 + number, "paid")
    found = certify(made.month())
    assert (found.verdict, found.accounted, found.running) == ("complete", 10, False)
    assert certify(made.month(today=UNTIL - timedelta(days=1))).running


KINDS = {
    "invoices": ("invoice", "supplementary"), "credit_notes": ("credit_note",), "cancellations": ("cancellation",),
}  # fmt: skip


def test_the_sums_are_those_of_the_documents_of_the_month() -> None:
    """Per sort, rule and rate; the turnover is invoices less credit notes and cancellations."""
    made = desk(5)
    found = certify(made.month())
    for (sort, _, rule, rate), row in found.sums.items():
        kinds = {
            "invoices": ("invoice", "supplementary"),
            "credit_notes": ("credit_note",),
            "cancellations": ("cancellation",),
        }
        mine = [item for item in made.ours if item.kind in kinds[sort] and item.tax_rule == rule]
        parts = [part for item in mine for part in item.sums if part[0] == rate]
        assert (row.documents, row.gross, row.net, row.tax) == (
            len(parts),
            *(sum(p[i] for p in parts) for i in (1, 2, 3)),
        )
    for (currency, rule, rate), row in found.turnover.items():
        by_sort = {
            sort: found.sums.get((sort, currency, rule, rate)) for sort in ("invoices", "credit_notes", "cancellations")
        }
        gross = [0 if item is None else item.gross for item in by_sort.values()]
        assert row.gross == gross[0] - gross[1] - gross[2]


def test_a_document_of_another_month_is_compared_and_not_counted() -> None:
    made = Desk(random.Random(2))
    made.order(1001, "paid")
    november = date(2026, 11, 2)
    made.ours[0] = replace(made.ours[0], day=november)
    made.theirs[0] = replace(made.theirs[0], day=november)
    made.order(1002, "paid")
    found = certify(made.month())
    assert found.findings == [] and (found.ours, found.equal) == (1, 2)


# -- one record touched -------------------------------------------------------------------------------------------

Mutation = Callable[[Desk, random.Random], tuple[str | None, str | None]]


def pick(rng: random.Random, rows: list[Any], fits: Callable[[Any], bool] = lambda row: True) -> int:
    return rng.choice([place for place, row in enumerate(rows) if fits(row)])


def _listed_gone(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    return made.listed.pop(pick(rng, made.listed)).id, None


def _listed_more(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    made.listed.append(ListedOrder(gid(9), "#9", START + timedelta(days=3), START + timedelta(days=3)))
    return gid(9), None


def _listed_changed(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    place = pick(rng, made.listed)
    made.listed[place] = replace(made.listed[place], updated_at=LONG_AGO)
    return made.listed[place].id, None


def _known_gone(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    return made.known.pop(pick(rng, made.known)).id, None


def _known(fits: Callable[[KnownOrder], bool] = lambda row: True, **changes: Any) -> Mutation:
    def mutate(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
        place = pick(rng, made.known, fits)
        made.known[place] = replace(made.known[place], **changes)
        return made.known[place].id, None

    return mutate


def _certificate_cent(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    place = pick(rng, made.known, lambda row: bool(row.gross_by_rate))
    rate = rng.choice(sorted(made.known[place].gross_by_rate))
    sums = dict(made.known[place].gross_by_rate)
    made.known[place] = replace(made.known[place], gross_by_rate=sums | {rate: sums[rate] + rng.choice((-1, 1))})
    return made.known[place].id, None


def _ours_gone(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    gone = made.ours.pop(pick(rng, made.ours, lambda row: row.state == "final" and row.kind != "cancellation"))
    return gone.order_id, None


def _ours_doubled(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    row = made.ours[pick(rng, made.ours, lambda row: row.state == "final" and row.kind != "cancellation")]
    made.ours.append(replace(row, key=row.key + "x"))
    return row.order_id, None


def _ours_cent(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    place = pick(rng, made.ours)
    row = made.ours[place]
    index, column, cent = rng.randrange(len(row.sums)), rng.choice((1, 2, 3)), rng.choice((-1, 1))
    sums = [list(part) for part in row.sums]
    sums[index][column] += cent
    made.ours[place] = replace(row, sums=tuple((p[0], p[1], p[2], p[3]) for p in sums))
    return row.order_id, None


def _ours(**changes: Any) -> Mutation:
    def mutate(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
        place = pick(rng, made.ours, lambda row: row.state == "final" and row.kind != "cancellation")
        made.ours[place] = replace(made.ours[place], **changes)
        return made.ours[place].order_id, None

    return mutate


def mine(made: Desk, held: TheirDocument) -> OurDocument | None:
    return next((item for item in made.ours if item.sevdesk_id == held.id), None)


def _theirs_gone(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    place = pick(rng, made.theirs, lambda row: mine(made, row) is not None and row.kind != "SR")
    owner = mine(made, made.theirs[place])
    assert owner is not None
    made.theirs.pop(place)
    return owner.order_id, None


def _theirs(fits: Callable[[TheirDocument], bool] = lambda row: True, **changes: Any) -> Mutation:
    """A value, or a function of the row, written into a document of ours."""

    def mutate(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
        place = pick(rng, made.theirs, lambda row: mine(made, row) is not None and fits(row))
        row = made.theirs[place]
        values = {name: value(row) if callable(value) else value for name, value in changes.items()}
        made.theirs[place] = replace(row, **values)
        owner = mine(made, row)
        assert owner is not None
        return owner.order_id, None

    return mutate


def _copied(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    """ "Duplicate" in sevdesk's user interface: everything the same, but for id and number."""
    live = {item.sevdesk_id for item in made.ours if item.state == "final" and item.kind != "cancellation"}
    row = made.theirs[pick(rng, made.theirs, lambda row: row.id in live)]
    last = made.credit_notes if row.kind == "CN" else made.invoices
    made.theirs.append(
        replace(row, id="99999", number=f"{'GU' if row.kind == 'CN' else 'RE'}-{last + 1}", paid=0, status=200)
    )
    owner = mine(made, row)
    assert owner is not None
    return owner.order_id, made.theirs[-1].number


def _by_hand(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    """A person writes an invoice for an order of ours, with a note like ours."""
    order = made.known[pick(rng, made.known)]
    made.theirs.append(
        TheirDocument(
            "99998", "RE", 200, f"RE-{made.invoices + 1}", f"{order.name} / s1:{order.id[-4:]} von Hand", SINCE,
            "EUR", 1, 119, 100, 19, 0, changed_at=LONG_AGO,
        )
    )  # fmt: skip
    return order.id, made.theirs[-1].number


def _cancelled_by_hand(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    live = {item.sevdesk_id for item in made.ours if item.state == "final" and item.kind == "invoice"}
    place = pick(rng, made.theirs, lambda row: row.id in live)
    row = made.theirs[place]
    made.theirs[place] = replace(row, status=1000)
    made.theirs.append(
        replace(
            row, id="99997", kind="SR", number=f"RE-{made.invoices + 1}", origin=row.id, gross=-row.gross, status=1000
        )
    )
    owner = mine(made, row)
    assert owner is not None
    return owner.order_id, owner.number


def _number_hole(made: Desk, rng: random.Random) -> tuple[str | None, str | None]:
    """A finalised document of somebody else is reset and deleted: only its number tells."""
    row = made.theirs.pop(pick(rng, made.theirs, lambda row: mine(made, row) is None))
    return None, row.number


BOOKED = {"status": 1000}
CATALOGUE: dict[str, tuple[Mutation, set[str]]] = {
    "shop: an order is gone": (_listed_gone, {"ORDER-UNLISTED"}),
    "shop: an order nobody settled": (_listed_more, {"ORDER-UNKNOWN"}),
    "shop: an order changed": (_listed_changed, {"ORDER-CHANGED"}),
    "books: an order is gone": (_known_gone, {"ORDER-UNKNOWN"}),
    "books: a question": (_known(asked=("TIP",)), {"ORDER-ASKED"}),
    "books: attention": (_known(verdict="attention", code="PARTY"), {"ORDER-ASKED"}),
    "books: it does not hold": (_known(holds=False), {"ORDER-UNPROVED"}),
    "books: no reason": (_known(lambda row: row.code is not None, code=None), {"ORDER-UNPROVED"}),
    "books: planned, not done": (_known(lambda row: row.code is None, projected=True), {"ORDER-UNPROVED"}),
    "books: a cent in the certificate": (_certificate_cent, {"ORDER-UNPROVED"}),
    "books: a document is gone": (_ours_gone, {"DOCUMENT-MISSING", "ORDER-UNPROVED", "DOCUMENT-STRANGER"}),
    "books: a document twice": (_ours_doubled, {"FACT-DOUBLE", "ORDER-UNPROVED"}),
    "books: a cent in a document": (_ours_cent, {"ORDER-UNPROVED", "DOCUMENT-ALTERED"}),
    "books: another number": (_ours(number="X-1"), {"DOCUMENT-ALTERED"}),
    "books: another rule": (_ours(tax_rule=18), {"DOCUMENT-ALTERED"}),
    "sevdesk: a document is gone": (_theirs_gone, {"DOCUMENT-GONE"}),
    "sevdesk: a document twice": (_copied, {"DOCUMENT-DOUBLE"}),
    "sevdesk: a stranger": (_by_hand, {"DOCUMENT-STRANGER"}),
    "sevdesk: cancelled": (_cancelled_by_hand, {"DOCUMENT-CANCELLED"}),
    "sevdesk: gross": (_theirs(gross=lambda row: row.gross + 1), {"DOCUMENT-ALTERED"}),
    "sevdesk: net": (_theirs(net=lambda row: row.net - 1), {"DOCUMENT-ALTERED"}),
    "sevdesk: tax": (_theirs(tax=lambda row: row.tax + 1), {"DOCUMENT-ALTERED"}),
    "sevdesk: rule": (_theirs(tax_rule=11), {"DOCUMENT-ALTERED"}),
    "sevdesk: currency": (_theirs(currency="CHF"), {"DOCUMENT-ALTERED"}),
    "sevdesk: note": (_theirs(note="nobody's"), {"DOCUMENT-ALTERED"}),
    "sevdesk: date": (_theirs(lambda row: row.kind != "SR", day=date(2026, 11, 3)), {"DOCUMENT-ALTERED"}),
    "sevdesk: number": (_theirs(lambda row: row.kind != "SR", number="ZZ-1"), {"DOCUMENT-ALTERED"}),
    "sevdesk: a draft again": (_theirs(lambda row: row.kind != "SR", status=100), {"DOCUMENT-ALTERED"}),
    "sevdesk: paid more": (_theirs(lambda row: row.kind == "CN", paid=lambda row: row.paid + 1), {"PAID-BY-HAND"}),
    "sevdesk: payment gone": (_theirs(lambda row: row.kind == "CN", paid=0, status=200), {"PAYMENT-GONE"}),
    "sevdesk: a number is gone": (_number_hole, {"NUMBER-MISSING"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CATALOGUE)
def test_B7_any_one_record_that_is_deleted_doubled_or_altered_is_named_and_no_other(name: str) -> None:
    """B7: 1,000 mutations, each named exactly."""
    mutate, codes = CATALOGUE[name]
    for seed in range(-(-MUTATIONS // len(CATALOGUE))):
        made = desk(seed, orders=6)
        order_id, document = mutate(made, random.Random(seed))
        found = certify(made.month())
        assert found.findings, seed
        assert {item.code for item in found.findings} <= codes, (seed, found.findings)
        assert {item.order_id for item in found.findings} == {order_id}, (seed, found.findings)
        if document is not None:
            assert document in {item.document for item in found.findings}
        assert found.verdict == "findings"
        if order_id is not None:
            assert found.accounted == len(made.listed) - (order_id in {item.id for item in made.listed})


def test_B7_a_cancellation_that_is_gone_is_named_with_its_number() -> None:
    """Its number is sevdesk's alone: the books know the document, the sequence knows the number."""
    made = desk(3)
    place = next(place for place, row in enumerate(made.theirs) if row.kind == "SR")
    gone = made.theirs.pop(place)
    found = {item.code: item for item in certify(made.month()).findings}
    assert set(found) == {"DOCUMENT-GONE", "NUMBER-MISSING"}
    assert found["NUMBER-MISSING"].document == gone.number
    assert str(found["DOCUMENT-GONE"].document).startswith("sr:")


# -- what is not judged -------------------------------------------------------------------------------------------


def test_R17_what_changed_a_moment_ago_is_not_judged() -> None:
    """R17: objects younger than a quarter of an hour are counted, not called wrong."""
    now = NOW - timedelta(minutes=3)
    made = desk(3)
    made.listed.append(ListedOrder(gid(9), "#9", now, now))
    made.listed[0] = replace(made.listed[0], updated_at=now)
    mutations: Iterator[Mutation] = iter((_copied, _by_hand))
    for mutate in mutations:
        mutate(made, random.Random(4))
        made.theirs[-1] = replace(made.theirs[-1], changed_at=now)
    place = pick(random.Random(5), made.theirs, lambda row: mine(made, row) is not None)
    made.theirs[place] = replace(made.theirs[place], gross=1, changed_at=now)
    found = certify(made.month())
    assert found.findings == [] and found.young == 5
    assert found.counts["young"] == 2
    older = certify(made.month(judged_until=NOW))
    assert len(older.findings) == 5


def test_R22_orders_from_before_go_live_are_excluded_though_nobody_heard_of_them() -> None:
    made = desk(3)
    live = START + timedelta(days=10)
    made.listed.append(ListedOrder(gid(8), "#8", START + timedelta(days=2), START + timedelta(days=2)))
    made.listed.append(ListedOrder(gid(9), "#9", START + timedelta(days=2), START + timedelta(days=12)))
    found = certify(made.month(go_live=live))
    assert [(item.order_id, item.code) for item in found.findings] == [(gid(9), "ORDER-UNKNOWN")]
    assert ("#8", "BEFORE-GO-LIVE") in {(item.name, item.code) for item in named(found.orders, "excluded")}


def test_R18_what_the_shop_hides_cannot_be_proved() -> None:
    made = desk(3)
    hidden = START + timedelta(days=5)
    seen = [item for item in made.listed if item.processed_at >= hidden]
    found = certify(made.month(listed=tuple(seen), hidden_until=hidden))
    assert [item.code for item in found.findings] == ["ORDERS-HIDDEN"]
    assert len(found.orders) == len(made.known) and found.verdict == "findings"


def test_R12_a_draft_waits_until_a_person_finalises_it() -> None:
    """R12: our books learn of it with the next settle; until then it is named."""
    made = Desk(random.Random(1))
    for number in (1001, 1002, 1003):
        made.order(number, "paid")
        made.known[-1] = replace(made.known[-1], code="DRAFT-ONLY")
        made.ours[-1] = replace(made.ours[-1], state="draft", number=None, booked=0)
        made.theirs[-1] = replace(made.theirs[-1], status=100, number=None, paid=0)
    assert certify(made.month()).verdict == "waiting"
    assert [item.code for item in named(certify(made.month()).orders, "waiting")] == ["DRAFT-ONLY"] * 3
    made.theirs[1] = replace(made.theirs[1], status=200, number="RE-1001")
    del made.theirs[2]
    found = {item.code: item.order_name for item in certify(made.month()).findings}
    assert found == {"DOCUMENT-FINALISED": "#1002", "DOCUMENT-GONE": "#1003"}
    made.ours[2] = replace(made.ours[2], owned=True)
    assert [item.code for item in certify(made.month()).findings] == ["DOCUMENT-FINALISED"]


def test_R13_R14_what_a_person_did_and_our_books_know_is_no_finding() -> None:
    """R13, R14, R16: what is adopted has their date and text; what others paid covers; a cancellation is known."""
    made = Desk(random.Random(1))
    for number in (1001, 1002, 1003, 1004):
        made.order(number, "paid")
    day = date(2026, 11, 4)
    theirs = replace(made.theirs[0], note=None, day=day, net=made.theirs[0].net + 1, tax=made.theirs[0].tax - 1)
    made.theirs[0], made.ours[0] = theirs, replace(made.ours[0], adopted=True)
    made.ours[1] = replace(made.ours[1], booked=0, others=made.ours[1].booked)
    made.theirs[2] = replace(made.theirs[2], paid=made.theirs[2].paid + 5)
    made.ours[2] = replace(made.ours[2], others=4)
    reversal = replace(
        made.theirs[3], id="9", kind="SR", number="RE-1005", origin=made.theirs[3].id, gross=-made.theirs[3].gross
    )
    made.theirs.append(reversal)
    made.ours[3] = replace(made.ours[3], owned=True)
    found = certify(made.month())
    assert [(item.code, item.order_name) for item in found.findings] == [("PAID-BY-HAND", "#1003")]
    assert found.paid_there == 1
    assert found.ours == 3, "the adopted one belongs to the month a person dated it to"
    assert certify(made.month(ours=tuple(replace(item, owned=False) for item in made.ours))).counts["documented"] == 4


def test_5_30_two_shops_in_one_account_never_cross() -> None:
    """Bookkeeping 5.30: another shop's key, though it ends or begins like ours, is not ours."""
    month = Desk(random.Random(1)).month()
    notes = {
        "#1001 / s1:5001": "5001", "#1001 / s1:5001:cn:3:1": "5001", "s1:5001": "5001",
        "Bestellung s1:5001 von Hand": "5001", "#1001 / s12:5001": None, "#1001 / xs1:5001": None, "#1001 / s1": None,
        "#1001 / s2:5001": None, "": None, None: None,
    }  # fmt: skip
    assert {note: month.order_number(note) for note in notes} == notes


def test_numbers_are_looked_for_in_every_circle_of_the_account() -> None:
    def numbered(*numbers: str, kind: str = "RE") -> list[TheirDocument]:
        return [
            TheirDocument(number, kind, 200, number, None, SINCE, "EUR", 1, 1, 1, 0, 0, changed_at=LONG_AGO)
            for number in numbers
        ]

    theirs = [
        *numbered("RE-0098", "RE-0099", "RE-0101", "2026-7", "2026-9", "RE-5000", "no number"),
        *numbered("GU-1", "GU-4", kind="CN"),
    ]
    month = Desk(random.Random(1)).month(theirs=tuple(theirs), before=frozenset())
    assert {gap.missing for gap in gaps(month)} == {("RE-0100",), ("2026-8",), ("GU-2", "GU-3")}
    found = certify(replace(month, elsewhere=frozenset({(False, "RE-0100"), (True, "GU-2"), (True, "2026-8")})))
    assert [(item.code, item.document) for item in found.findings] == [
        ("NUMBER-MISSING", "2026-8"), ("NUMBER-MISSING", "GU-3"),
    ]  # fmt: skip
    last = replace(
        month, before=frozenset({(False, "RE-0095"), (True, "GU-0")}), elsewhere=frozenset({(False, "RE-0096")})
    )
    edge = {item.document for item in certify(last).findings} - {"RE-0100", "2026-8", "GU-2 … GU-3"}
    assert edge == {"RE-0097"}, "a hole between two months is seen from the later one"
    late = [replace(item, day=date(2026, 11, 2)) for item in theirs]
    assert gaps(replace(month, theirs=tuple(late))) == []


def test_findings_are_told_holes_first() -> None:
    made = desk(3)
    for mutate in (_by_hand, _known(asked=("TIP",)), _copied, _theirs_gone):
        mutate(made, random.Random(8))
    found: PeriodCertificate = certify(made.month())
    told = [item.sort for item in found.findings]
    assert told == sorted(told, key=SORTS.index) and set(told) == set(SORTS)


def test_5_02_a_document_of_a_later_month_than_its_tax_is_noticed_and_no_finding() -> None:
    """3.2: paid on the last of the month, settled after an outage."""
    made = desk(3)
    at = next(index for index, item in enumerate(made.ours) if item.state == "final" and item.kind == "invoice")
    made.ours[at] = replace(made.ours[at], taxed_on=SINCE - timedelta(days=1))
    found = certify(made.month())
    assert [(item.code, item.document) for item in found.notices] == [("TAX-MONTH", made.ours[at].number)]
    assert found.findings == []


def test_5_17_a_credit_note_on_a_supply_of_an_earlier_quarter_is_listed_for_its_return() -> None:
    made = desk(3)
    at = next(index for index, item in enumerate(made.ours) if item.state == "final" and item.kind == "credit_note")
    day = made.ours[at].day
    for rule, supplied, noticed in (
        (18, day - timedelta(days=120), 1),
        (18, day, 0),
        (1, day - timedelta(days=120), 0),
    ):
        made.ours[at] = replace(made.ours[at], tax_rule=rule, taxed_on=day, supplied_on=supplied)
        codes = [item.code for item in certify(made.month()).notices]
        assert codes == ["OSS-CORRECTION"] * noticed
