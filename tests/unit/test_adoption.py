"""Which document of others is whose invoice: hard evidence only, whatever the order of both (B11, R22, 5.13, 5.30)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale
from ladenbuch.domain.actions import Plan
from ladenbuch.domain.adoption import chosen, judge, match
from ladenbuch.domain.books import Books, Hand
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.foreign import ForeignDocument, Sought, number_of, person_key, plain_name, sought_of, told_by
from ladenbuch.domain.order import Address
from ladenbuch.domain.plan import plan
from ladenbuch.domain.threshold import counted

DAY = T0.date()
NINETEEN = ((Decimal(19), 1190),)
FOREIGN = ForeignDocument(
    "invoice", "77", "RE", "RE-20", True, DAY, "EUR", 1190, 1, NINETEEN, buyer="Erika Muster"
)  # fmt: skip


def bought(
    number: int = 1001, gross: int = 1190, day: int = 0, name: str = "Erika Muster", **changes: object
) -> Sought:
    first, _, last = name.partition(" ")
    home = Address(first, last, None, f"Weg {number}", None, "20457", "Hamburg", None, "DE")
    when = T0 + timedelta(days=day)
    tax = gross - round(gross * 100 / 119)
    base = order(
        mug(gross, tax, when), payments=(payment(1, gross, when),), id=f"gid://shopify/Order/{500000 + number}",
        name=f"#{number}", created_at=when, processed_at=when, billing_address=home, shipping_address=home,
        customer=None, email=f"b{number}@example.org",
    )  # fmt: skip
    return sought_of(facts_of(replace(base, **changes)), lambda instant: instant.date())


@pytest.mark.parametrize(
    ("changes", "kind", "tier"),
    [
        ({"note": "#1001"}, "same", 2),
        ({"note": "1001"}, "same", 2),
        ({"note": "#1001 / s9-1"}, "same", 2),
        ({"note": "#1001 / s9:501001"}, "same", 1),
        ({"note": "#1001 / s9:777777"}, "maybe", 4),
        ({"texts": "Vielen Dank. Bestellung #1001 vom 20.11."}, "same", 2),
        ({"texts": "<p>Ihre Bestellnummer: 1001.</p>"}, "same", 2),
        ({"texts": "Order no. 1001"}, "same", 2),
        ({"tags": frozenset({"Shopify", "seifenladen", "1001"})}, "same", 2),
        ({"tags": frozenset({"#1001"})}, "same", 2),
        ({"note": "gid://shopify/Order/501001"}, "same", 1),
        ({"note": "other-tool:501001"}, "same", 1),
        ({"tags": frozenset({"501001"})}, "same", 1),
        ({"number": "RE-1001"}, "same", 3),
        ({"number": "2026-1001"}, "same", 3),
        ({}, "same", 4),
        # an invoice number alone proves nothing: sevdesk's own run into those of orders
        ({"number": "RE-1001", "buyer": "Max Meier"}, "no", 0),
        ({"number": "RE-1001", "buyer": ""}, "maybe", 3),
        ({"number": "RE-1001", "day": DAY + timedelta(days=60)}, "maybe", 3),
        ({"number": "RE-1001", "gross": 1180, "by_rate": ((Decimal(19), 1180),)}, "maybe", 3),
        # it names the order and does not fit: a person says
        ({"note": "#1001", "gross": 1189, "by_rate": ((Decimal(19), 1189),)}, "maybe", 2),
        ({"note": "#1001", "by_rate": ((Decimal(7), 1190),)}, "maybe", 2),
        ({"note": "#1001", "buyer": "Max Meier", "zip": "1", "street": "x"}, "maybe", 2),
        ({"note": "#1001", "currency": "CHF"}, "maybe", 2),
        ({"note": "#1001", "day": DAY + timedelta(days=300)}, "maybe", 2),
        ({"note": "#1001", "final": False, "number": None}, "maybe", 2),
        ({"note": "#1001", "type": "AR"}, "maybe", 2),
        ({"note": "#1001", "tax_rule": None}, "maybe", 2),
        ({"note": "other-tool:501001", "gross": 5, "buyer": "Max Meier", "day": DAY + timedelta(days=900)}, "maybe", 1),
        # another shop's order of the same name, or another year's
        ({"note": "#1001", "day": DAY + timedelta(days=300), "buyer": "Max Meier"}, "no", 0),
        # names that only look alike
        ({"note": "#10010", "buyer": "Max Meier"}, "no", 0),
        ({"note": "#100", "buyer": "Max Meier"}, "no", 0),
        ({"note": "#1001-2"}, "maybe", 4),
        ({"note": "#1002"}, "maybe", 4),
        ({"note": "#1002", "buyer": ""}, "no", 0),
        ({"texts": "Bestellung 302-55512"}, "maybe", 4),
        # without a reference
        ({"buyer": "Muster, Erika"}, "same", 4),
        ({"buyer": "Möwe GmbH, Erika Muster"}, "same", 4),
        ({"buyer": "E. M.", "texts": "an b1001@example.org"}, "same", 4),
        ({"buyer": ""}, "maybe", 4),
        ({"buyer": "Max Meier"}, "no", 0),
        ({"gross": 1191, "by_rate": ((Decimal(19), 1191),)}, "no", 0),
        ({"day": DAY + timedelta(days=15)}, "no", 0),
        ({"day": DAY - timedelta(days=2)}, "no", 0),
        ({"note": "#1001", "cancelled": True}, "no", 0),
        ({"note": "#1001", "type": "SR"}, "no", 0),
        ({"note": "#1001", "sort": "credit_note", "type": "CN"}, "no", 0),
    ],
)
def test_b11_a_document_is_an_orders_invoice_by_hard_evidence_only(
    changes: dict[str, object], kind: str, tier: int
) -> None:
    verdict = judge(bought(), replace(FOREIGN, **changes))  # type: ignore[arg-type]
    assert (verdict.kind, verdict.tier if verdict.kind != "no" else 0) == (kind, tier), verdict


def test_b11_a_prefix_is_part_of_the_name() -> None:
    """ "SO-1001" as invoice number names the order SO-1001; "RE-1001" only has its number."""
    sought = replace(bought(), name="SO-1001")
    assert judge(sought, replace(FOREIGN, number="SO-1001", buyer="")).tier == 2
    assert judge(sought, replace(FOREIGN, number="SO-1001", buyer="")).kind == "same"
    assert judge(sought, replace(FOREIGN, number="RE-1001", buyer="")).kind == "maybe"


def test_b11_the_part_of_the_ledger_a_document_carries_is_found_to_the_cent_per_rate() -> None:
    """An edit after the invoice, a refund before it: the document covers the ledger as it was then."""
    first, more = mug(), agreement(2, at(days=3), sale(2, 535, {"7": 35}), reason="ORDER_EDIT")
    back = agreement(3, at(days=6), sale(3, -535, {"7": -35}, line="2", action="RETURN", quantity=-1), reason="REFUND")
    sought = sought_of(facts_of(order(first, more, back)), lambda instant: instant.date())
    assert [cut.gross for cut in sought.cuts] == [1190, 1725, 1190]
    named = replace(FOREIGN, note="#1001")
    early, late = judge(sought, named), judge(sought, replace(named, day=DAY + timedelta(days=7)))
    assert early.cut is not None and len(early.cut.agreements) == 1
    assert late.cut is not None and len(late.cut.agreements) == 3
    both = ((Decimal(19), 1190), (Decimal(7), 535))
    whole = judge(sought, replace(named, gross=1725, by_rate=both))
    assert whole.cut is not None and len(whole.cut.agreements) == 2
    assert judge(sought, replace(named, gross=1725, by_rate=((Decimal(19), 1725),))).kind == "maybe"


def test_b11_two_documents_that_name_an_order_are_never_both_taken() -> None:
    one, two = replace(FOREIGN, note="#1001"), replace(FOREIGN, id="78", number="RE-21", note="#1001")
    found = match([bought()], [one, two])
    assert (len(found.same), len(found.maybe)) == (0, 2)
    asked = chosen(bought(), [one, two])
    assert asked.same is None and [item.id for item, _ in asked.maybe] == ["77", "78"]


def test_b11_what_names_its_order_and_does_not_fit_keeps_a_nameless_one_from_being_taken() -> None:
    wrong = replace(FOREIGN, id="78", number="RE-21", note="#1001", gross=990, by_rate=((Decimal(19), 990),))
    assert chosen(bought(), [FOREIGN, wrong]).same is None
    found = match([bought()], [FOREIGN, wrong])
    assert found.same == [] and len(found.maybe) == 2


def test_b11_the_same_amount_on_the_same_day_by_two_buyers_is_told_apart() -> None:
    orders = [bought(1001), bought(1002, name="Max Meier")]
    found = match(orders, [FOREIGN, replace(FOREIGN, id="78", buyer="Max Meier")])
    assert [(pair.document.id, pair.order_id[-4:]) for pair in found.same] == [("77", "1001"), ("78", "1002")]
    assert not found.maybe


def test_b11_two_like_orders_of_one_buyer_and_nameless_documents_are_asked_about() -> None:
    """Nothing tells them apart; with one document named, the other order is certain, too."""
    orders = [bought(1001), bought(1002)]
    plain = match(orders, [FOREIGN, replace(FOREIGN, id="78")])
    assert not plain.same and len(plain.maybe) == 4 and all(pair.document.rivals == 1 for pair in plain.maybe)
    named = match(orders, [replace(FOREIGN, note="#1001"), replace(FOREIGN, id="78")])
    assert [(pair.document.id, pair.order_id[-4:]) for pair in named.same] == [("77", "1001"), ("78", "1002")]


def test_b11_a_word_that_names_one_order_and_amounts_that_fit_another_are_asked_about_at_both() -> None:
    """A tag says 1001, the amount is that of #1002: neither is proved, and neither is invoiced unasked."""
    tagged = replace(FOREIGN, tags=frozenset({"1001"}))
    found = match([bought(1001, gross=2380), bought(1002)], [tagged])
    assert not found.same and [pair.order_id[-4:] for pair in found.maybe] == ["1001", "1002"]


def test_b11_a_document_of_another_order_is_no_evidence_for_this_one() -> None:
    """Same buyer, amount and day, and the document says #1002: it is never the invoice of #1001."""
    second = replace(FOREIGN, note="#1002")
    found = match([bought(1001), bought(1002)], [second])
    assert [pair.order_id[-4:] for pair in found.same] == ["1002"] and not found.maybe
    assert match([bought(1001)], [second]).same == []  # alone, it is asked about


STYLES = (
    lambda one: {"note": f"Bestellung {one.name}"},
    lambda one: {"number": f"RE-{one.name[1:]}"},
    lambda one: {"tags": frozenset({"Shopify", one.number_id})},
    lambda one: {},
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Sought], list[ForeignDocument], dict[str, str]]:
    """A month of orders, of which some have a document of others in one of four styles; amounts and buyers repeat."""
    names = ["Erika Muster", "Max Meier", "Anna Otto"]
    orders, documents, truth = [], [], {}
    for index in range(draw(st.integers(1, 9))):
        number = draw(st.sampled_from([1, 10, 100])) * 10 + index
        gross, day = draw(st.sampled_from([1190, 2380])), draw(st.integers(0, 4))
        buyer = draw(st.sampled_from(names))
        sought = bought(number, gross, day, buyer)
        orders.append(sought)
        if not draw(st.booleans()):
            continue
        style = draw(st.sampled_from(STYLES))
        base = replace(
            FOREIGN, id=str(index + 1), number=f"R{index}", gross=gross, by_rate=((Decimal(19), gross),), buyer=buyer,
            day=DAY + timedelta(days=day),
        )  # fmt: skip
        document = replace(base, **style(sought))  # type: ignore[arg-type]
        documents.append(document)
        truth[document.reference] = sought.order_id
    return orders, documents, truth


@settings(max_examples=60, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_b11_nothing_is_taken_twice_nothing_wrongly_and_no_order_of_the_inputs_matters(
    world: tuple[list[Sought], list[ForeignDocument], dict[str, str]], chance: object
) -> None:
    orders, documents, truth = world
    found = match(orders, documents)
    assert all(truth[pair.document.reference] == pair.order_id for pair in found.same)
    assert len({pair.order_id for pair in found.same}) == len(found.same)
    assert len({pair.document.reference for pair in found.same}) == len(found.same)
    # whatever is some order's invoice is taken or asked about there: never would a second one be written for it
    seen = {(pair.document.reference, pair.order_id) for pair in (*found.same, *found.maybe)}
    assert truth.items() <= seen
    shuffled, others = list(orders), list(documents)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    chance.shuffle(others)  # type: ignore[attr-defined]
    again = match(shuffled, others)
    assert (again.same, again.maybe, again.unmatched) == (found.same, found.maybe, found.unmatched)
    for sought in orders:  # what is decided over all holds for each order by itself
        alone = chosen(sought, found.of_order(sought.order_id))
        whole = [pair.document for pair in found.same if pair.order_id == sought.order_id]
        assert ([] if alone.same is None else [alone.same[0]]) == whole


@pytest.mark.parametrize(
    ("text", "plain", "number"),
    [("#1001", "1001", "1001"), ("SO-1001", "so-1001", "1001"), ("1001.", "1001", None),
     ("RE/2026-77", "re/2026-77", "77"), ("#A1-B", "a1-b", None)],
)  # fmt: skip
def test_names_and_numbers_are_read_as_they_are_written(text: str, plain: str, number: str | None) -> None:
    assert (plain_name(text), number_of(text)) == (plain, number)


def test_what_a_document_tells_is_read_from_note_tags_and_texts() -> None:
    said = told_by(replace(FOREIGN, note="Kunde 10023", tags=frozenset({"Shopify"}), texts="Rechnung RE-5"))
    assert said.names == {"10023"} and not said.claims  # a word of a note may mean anything
    assert told_by(replace(FOREIGN, texts="Bestellung&nbsp;#77-A<br>vom 1.2.")).names == {"77-a"}
    assert person_key("Muster, Erika") == person_key("erika  MUSTER") != person_key("Erika Mustermann")


def taken(*ledger: object, now: object = None, profile: object = PROFILE, **document: object) -> Plan:
    """The plan of an order with one document of others that names it."""
    whole = order(*(ledger or (mug(),)), payments=(payment(1, 1190, T0),))  # type: ignore[arg-type]
    evidence = Evidence(foreign=(replace(FOREIGN, note="#1001", **document),))  # type: ignore[arg-type]
    return plan(facts_of(whole), Books(), [profile], at(days=1), evidence)  # type: ignore[list-item]


def test_r22_an_adopted_invoice_is_pinned_with_what_it_says_and_covers_what_it_carries() -> None:
    """R1, R16: its number, day, rule and sums; every fact of that part of the ledger once; nothing is called."""
    made = taken(nets=((Decimal(19), 999),), delivery=DAY - timedelta(days=1), country="DE", buyer="Erika Muster")
    (action,) = made.actions
    document = action.document
    assert (action.kind, document.state, document.made_by, document.sevdesk_id) == ("adopt", "final", "adopted", "77")
    assert (document.number, document.draft.invoice_date, document.draft.delivery_date) == (
        "RE-20", DAY, DAY - timedelta(days=1),
    )  # fmt: skip
    assert [(cover.fact_id, cover.amount) for cover in document.covers] == [("gid://shopify/Agreement/1", 1190)]
    assert document.tax["sums"] == {"19": [1190, 999, 191]}  # as it stands there, not as we would compute it
    assert (document.tax["rule"], document.tax["case"], document.draft.party.name) == (1, "domestic", "Erika Muster")
    assert action.covers == ("gid://shopify/Agreement/1",) and "RE-20" in action.reason


def test_r22_a_tenant_that_makes_drafts_only_takes_over_too_and_a_covered_order_is_not_asked_again() -> None:
    assert [item.kind for item in taken(profile=replace(PROFILE, draft_only=True)).actions] == ["adopt"]
    document = taken().actions[0].document
    whole = order(mug(), payments=(payment(1, 1190, T0),))
    known = Books(documents=(document,), applied=frozenset({document.key}), hands=(Hand("paid", document.key, 1190),))
    after = plan(facts_of(whole), known, [PROFILE], at(days=1), Evidence(foreign=(replace(FOREIGN, note="#1001"),)))
    assert (after.actions, after.attention, after.exclusion) == ((), (), None)
    assert certificate(facts_of(whole), known, after).holds


def test_b11_a_later_addition_is_not_invoiced_while_another_document_names_the_order() -> None:
    """The previous tool may have written the supplement, too: asked about, and nothing written."""
    document = taken().actions[0].document
    more = agreement(2, at(days=2), sale(2, 535, {"7": 35}), reason="ORDER_EDIT")
    whole = order(mug(), more, payments=(payment(1, 1190, T0), payment(2, 535, at(days=2))))
    known = Books(documents=(document,), applied=frozenset({document.key}), hands=(Hand("paid", document.key, 1190),))
    alone = plan(facts_of(whole), known, [PROFILE], at(days=3))
    assert [item.kind for item in alone.actions if item.document] == ["invoice", "finalise"]
    beside = replace(FOREIGN, id="78", number="RE-21", note="#1001", gross=535, by_rate=((Decimal(7), 535),))
    asked = plan(facts_of(whole), known, [PROFILE], at(days=3), Evidence(foreign=(beside,)))
    assert [item.code for item in asked.attention] == ["ADOPT"]
    assert not [item for item in asked.actions if item.document is not None]


@pytest.mark.parametrize(
    ("rule", "country", "case"),
    [(1, "DE", "domestic"), (1, "FR", "below_threshold"), (18, "FR", "oss_goods"), (2, "CH", "export"),
     (11, "DE", "small_business")],
)  # fmt: skip
def test_r16_the_case_follows_from_the_rule_it_bears(rule: int, country: str, case: str) -> None:
    there = Address("Erika", "Muster", None, "Rue 1", None, "75001", "Paris", None, country)
    whole = order(mug(), payments=(payment(1, 1190, T0),), billing_address=there, shipping_address=there)
    for since, counts in ((at(days=-1), case in ("below_threshold", "oss_goods")), (at(days=1), False)):
        evidence = Evidence(foreign=(replace(FOREIGN, note="#1001", tax_rule=rule),))
        (action,) = plan(facts_of(whole), Books(), [replace(PROFILE, go_live=since)], at(days=2), evidence).actions
        assert action.document.tax["case"] == case
        assert (counted(action.document, "x") is not None) == counts  # earlier sales are in the profile's own figures
