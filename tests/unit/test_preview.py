"""What a period would post, as counts and sums, and the fingerprint of a plan (R7, R9, R10, R20)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from builders import PROFILE, T0, agreement, at, mug, order, payment, sale
from ladenbuch.domain.actions import Plan
from ladenbuch.domain.books import Books
from ladenbuch.domain.evidence import VALID, Evidence, VatIdAnswer
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import plan
from ladenbuch.domain.preview import (
    OrderPreview,
    Remembered,
    fingerprint,
    preview_of,
    summarise,
    unreadable,
    why_changed,
)
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.simulators.lives import generate
from ladenbuch.vat_rates import rate_table

NOW = T0 + timedelta(days=2)
SHOP = replace(
    PROFILE,
    gateways=dict(PROFILE.gateways)
    | {"paypal": Gateway("clearing+payouts", "14"), "invoice_on_delivery": Gateway("off")}
    | {"gift_card": Gateway("liability", "20"), "shopify_store_credit": Gateway("liability", "21")},
    vouchers="multi_purpose",
    oss_from=date(2026, 1, 1),
    tips="taxed",
    unshipped="electronic",
)


class _AllValid(dict[str, VatIdAnswer]):
    def get(self, vat_id: str, default: Any = None) -> Any:
        return VatIdAnswer(vat_id, VALID, NOW)


EVIDENCE = Evidence(rate_table(), _AllValid())


def seen(made: Order, books: Books | None = None, profile: Profile = PROFILE, now: datetime = NOW) -> OrderPreview:
    known = books or Books()
    return preview_of(made, plan(facts_of(made), known, [profile], now), known, [profile], now)


def paid(amount: int = 1190, **changes: Any) -> Order:
    return order(mug(), payments=(payment(9, amount, at(1)),), **changes)


def taxed(total: int, taxes: dict[str, int]) -> Order:
    made = order(agreement(1, T0, sale(11, total, taxes)), payments=(payment(9, total, at(1)),))
    return replace(made, id="gid://shopify/Order/5002", name="#1002")


def remembered(item: OrderPreview) -> Remembered:
    """As it comes back from a file."""
    return Remembered.from_json(json.loads(json.dumps(item.as_json())))


# -- the fingerprint ----------------------------------------------------------------------------------------------


def test_the_day_does_not_change_the_fingerprint() -> None:
    """R9: over 400 days only the date of issue differs, and that is filled in when the document is written."""
    made = paid()
    found = {seen(made, now=NOW + timedelta(days=day)).fingerprint for day in range(400)}
    assert len(found) == 1


def test_no_life_of_either_mix_has_a_plan_that_depends_on_the_day() -> None:
    for mix in ("domestic", "wide"):
        for life in generate(7, 60, shop="s.myshopify.com", mix=mix, end=NOW, span=timedelta(days=45)):
            facts: Facts = facts_of(order_from_envelope(life.final))
            plans = [plan(facts, Books(), [SHOP], NOW + timedelta(days=days), EVIDENCE) for days in (0, 1, 40, 370)]
            assert len({fingerprint(made, Books(), 1) for made in plans}) == 1, life.label.situation


def test_an_amount_a_rate_a_key_and_a_profile_version_change_it() -> None:
    base = taxed(1190, {"19": 190})
    others = {
        "amount": seen(taxed(1191, {"19": 190})),
        "rate": seen(taxed(1190, {"7": 78})),
        "payment": seen(replace(base, payments=(replace(base.payments[0], id="gid://shopify/OrderTransaction/8"),))),
        "order": seen(replace(base, id="gid://shopify/Order/77")),
        "profile version": seen(base, profile=replace(PROFILE, version=2)),
        "drafts only": seen(base, profile=replace(PROFILE, draft_only=True)),
        "account": seen(
            base, profile=replace(PROFILE, gateways={"shopify_payments": Gateway("clearing+payouts", "9")})
        ),
        "applied": seen(base, Books(applied=frozenset({"line:1"}))),
        "nothing left": preview_of(base, Plan(base.id), Books(), [PROFILE], NOW),
    }
    found = {name: item.fingerprint for name, item in others.items()} | {"base": seen(base).fingerprint}
    assert len(set(found.values())) == len(found), found


def test_what_stands_on_a_document_changes_it_and_a_touched_order_does_not() -> None:
    base = paid()
    assert base.shipping_address is not None
    other = replace(base, billing_address=replace(base.shipping_address, last_name="Anders"))
    assert seen(other).fingerprint != seen(base).fingerprint
    assert seen(replace(base, updated_at=at(days=3))).fingerprint == seen(base).fingerprint


def test_no_name_and_no_address_is_in_what_is_kept() -> None:
    text = json.dumps(seen(paid()).as_json(), ensure_ascii=False)
    for secret in ("Muster", "Erika", "Hafenweg", "@"):
        assert secret not in text


def test_why_a_kept_plan_no_longer_holds() -> None:
    was = remembered(seen(paid()))
    assert why_changed(was, seen(paid())) is None
    assert why_changed(was, seen(replace(paid(), updated_at=at(days=1)))) is None
    assert why_changed(was, seen(paid(), profile=replace(PROFILE, version=3))) == "profile version 3 instead of 1"
    assert "1 actions were carried out" in str(why_changed(was, seen(paid(), Books(applied=frozenset({"x"})))))
    assert "cannot be read any more (NOT-FOUND)" in str(why_changed(was, unreadable(was.order_id, "#1", "NOT-FOUND")))
    two = replace(paid(), payments=(*paid().payments, payment(10, 100, at(2))), updated_at=at(3))
    why = str(why_changed(was, seen(two)))
    assert "new: " in why and "line:10" in why and "changed in the shop since" in why
    none = order(mug())
    assert "no longer: inv:5001:1" in str(why_changed(was, seen(none)))
    blind = remembered(unreadable("gid://shopify/Order/5001", "#1001", "NOT-FOUND"))
    assert why_changed(blind, unreadable("gid://shopify/Order/5001", "#1001", "NOT-FOUND")) is None
    assert why_changed(blind, seen(paid())) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"order": 5},
        {"fingerprint": ""},
        {"updated_at": "soon"},
        {"actions": [{}]},
        {"actions": 5},
        {"applied": "many"},
    ],
)
def test_a_kept_entry_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    data = seen(paid()).as_json() | wrong if wrong else wrong
    with pytest.raises((KeyError, TypeError, ValueError)):
        Remembered.from_json(data)


# -- counts and sums ----------------------------------------------------------------------------------------------


def test_sums_are_per_sort_rule_and_rate() -> None:
    summary = summarise([seen(paid()), seen(taxed(1070, {"7": 70}))])
    data = summary.as_json()
    rows = data["sums"]["invoices"]
    assert [(row["tax_rule"], row["tax_rate"], row["documents"]) for row in rows] == [(1, "19", 1), (1, "7", 1)]
    assert [(row["gross_minor"], row["net_minor"], row["tax_minor"]) for row in rows] == [
        (1190, 1000, 190),
        (1070, 1000, 70),
    ]
    assert data["sums"]["credit_notes"] == data["sums"]["cancellations"] == []
    assert data["actions"]["invoice"] == {"count": 2, "amount_minor": 2260}
    assert data["actions"]["letter"]["count"] == 2
    assert list(data["actions"]) == ["money_line", "invoice", "finalise", "book_payment", "letter"]
    assert (data["counts"]["orders"], data["counts"]["with_actions"]) == (2, 2)
    assert [item["name"] for item in data["documents"]] == ["#1001", "#1002"]
    assert not summary.findings


def test_every_order_is_counted_for_what_it_is() -> None:
    unpaid = seen(order(mug()))
    done = preview_of(paid(), Plan(paid().id), Books(), [PROFILE], NOW)
    test = seen(order(mug(), test=True))
    blind = unreadable("gid://shopify/Order/1", "#1", "ORDER-SHAPE")
    incomplete = seen(order(mug(), gaps=("order.agreements",)))
    later = replace(done, steps=(replace(seen(paid()).steps[0], due=False),))
    data = summarise([unpaid, done, test, blind, incomplete, later]).as_json()
    assert data["counts"] == {
        "orders": 6,
        "with_actions": 0,
        "not_yet_due": 1,
        "nothing_to_do": 1,
        "waiting": 2,
        "attention": 0,
        "excluded": 1,
        "unreadable": 1,
    }
    assert data["waiting"] == {"INCOMPLETE": 1, "UNPAID": 1}
    assert (data["excluded"], data["unreadable"]) == ({"TEST": 1}, {"ORDER-SHAPE": 1})
    assert summarise([blind]).findings


def test_a_tenant_in_draft_only_mode_sees_drafts_only() -> None:
    data = summarise([seen(paid(), profile=replace(PROFILE, draft_only=True))]).as_json()
    assert list(data["actions"]) == ["invoice"]
    assert data["waiting"] == {"DRAFT-ONLY": 1}


def test_nothing_is_due_for_an_order_nobody_has_asked_about() -> None:
    """Settling it looks the VAT id up, and may then post what the plan has not: so it is not part of the plan."""
    lives = generate(3, 250, shop="s.myshopify.com", mix="wide", end=NOW, span=timedelta(days=45))
    made = order_from_envelope(next(life.final for life in lives if life.label.situation == "eu_business"))
    decided = plan(facts_of(made), Books(), [SHOP], NOW, Evidence(rate_table()))
    item = preview_of(made, decided, Books(), [SHOP], NOW)
    assert [step.kind for step in item.steps] == ["money_line"] and not item.acts
    data = summarise([item]).as_json()
    assert (data["counts"]["not_yet_due"], data["counts"]["waiting"], data["actions"]) == (1, 1, {})


def test_only_the_first_documents_are_listed() -> None:
    one = seen(paid())
    assert len(summarise([one] * 25).papers) == 10
    assert len(summarise([one] * 25, first=3).papers) == 3


def test_the_sums_of_lives_are_what_their_labels_owe() -> None:
    """Independent of the planner: the generator says which documents each order owes, with their cents per rate."""
    sorts = {"credit_note": "credit_notes", "cancellation": "cancellations"}
    items, owed = [], Counter[tuple[str, int, str]]()
    for life in generate(7, 250, shop="s.myshopify.com", mix="wide", end=NOW, span=timedelta(days=45)):
        if life.label.outcome == "attention":  # what exists then depends on when it was looked at
            continue
        made = order_from_envelope(life.final)
        decided = plan(facts_of(made), Books(), [SHOP], NOW + timedelta(days=1), EVIDENCE)
        items.append(preview_of(made, decided, Books(), [SHOP], NOW))
        for due in life.label.documents:
            for rate, gross in due.by_rate.items():
                owed[sorts.get(due.kind, "invoices"), due.rule, rate] += gross
    sums = summarise(items).as_json()["sums"]
    found = {
        (sort, row["tax_rule"], row["tax_rate"]): row["gross_minor"] for sort, rows in sums.items() for row in rows
    }
    assert {key: gross for key, gross in found.items() if gross} == dict(owed)
    assert {sort for sort, *_ in owed} == {"invoices", "credit_notes", "cancellations"}
