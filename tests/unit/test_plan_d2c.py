"""A normal German shop: every order decided as its life is labelled, and at most one in a hundred left to a person.

Section 1 of the design ("refuse rather than guess, but rarely"); S148. The labels come from the generator and agree
with a second, independent reading of the rules; neither knows the planner.
"""

from __future__ import annotations

from collections import Counter

import pytest

from ladenbuch.domain.books import Books
from ladenbuch.simulators.lives import Life, situations
from ladenbuch.simulators.lives.d2c import D2C, WHOLE
from ladenbuch.simulators.owed import chain_of
from unit.test_plan_lives import END, LIVES, facts_at, lives_of, mismatch, planned

#: A slice with every run; `make prove LINE=lives` takes ten thousand, in which every situation occurs.
ORDERS = WHOLE if LIVES >= WHOLE else 500


@pytest.fixture(scope="module")
def shop() -> list[Life]:
    return lives_of("d2c", ORDERS, seed=7)


def test_at_most_one_order_in_a_hundred_is_left_to_a_person(shop: list[Life]) -> None:
    """The share of parked orders, by code; and each is one that the generator knows to be a question."""
    verdicts: Counter[str] = Counter()
    parked: Counter[str] = Counter()
    for life in shop:
        made = planned(facts_at(life.final), Books(), END)
        codes = sorted({problem.code for problem in made.attention})
        assert all(problem.choices for problem in made.attention)
        verdicts[life.label.outcome] += 1
        if codes:
            parked[", ".join(codes)] += 1
            assert life.label.outcome == "attention", (life.name, life.label.situation, codes)
    share = sum(parked.values()) / len(shop)
    told = ", ".join(f"{code} {count}" for code, count in parked.most_common())
    print(f"{len(shop)} orders: {dict(verdicts)}; left to a person {share:.2%}: {told}")
    assert share <= 0.01


def test_every_order_is_decided_as_labelled(shop: list[Life]) -> None:
    """Outcome, documents per rate and rule, money, codes; the certificate holds."""
    assert [text for life in shop for text in mismatch(life)] == []


def test_the_labels_agree_with_a_second_reading_of_the_rules(shop: list[Life]) -> None:
    for life in shop:
        chain = chain_of(life.final)
        told = [(due.kind, due.gross, due.by_rate, due.rule) for due in life.label.documents]
        assert (chain.outcome, chain.reason) == (life.label.outcome, life.label.code), life.label.situation
        assert [(p.kind, p.gross, p.by_rate, p.rule) for p in chain.documents] == told, life.label.situation


def test_it_is_a_normal_shop(shop: list[Life]) -> None:
    """Nineteen of twenty orders go to consumers in Germany; most are paid at checkout; some come back."""
    homes = [(life.final["shippingAddress"] or life.final["billingAddress"] or {}) for life in shop]
    company = [life.final["purchasingEntity"] for life in shop]
    german = sum(
        home.get("countryCodeV2", "DE") == "DE" and (buyer or {}).get("__typename") != "PurchasingCompany"
        for home, buyer in zip(homes, company, strict=True)
    )
    assert 0.93 < german / len(shop) < 0.98
    refunded = sum(bool(life.final["refunds"]) for life in shop)
    assert 0.06 < refunded / len(shop) < 0.15
    plain = sum(life.label.situation == "card_paid" for life in shop)
    assert 0.25 < plain / len(shop) < 0.5


def test_every_situation_has_its_share() -> None:
    assert sum(item.weight for item in D2C) == WHOLE
    assert len(set(situations("d2c"))) == len(D2C)
    asked = sum(item.weight for item in D2C if item.outcome == "attention")
    assert 0 < asked < WHOLE // 100
