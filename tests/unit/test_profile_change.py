"""What a new version of a profile changes, and what it never touches (R10, P1; bookkeeping 5.16, 5.29)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from builders import PROFILE, agreement, order, payment, sale
from ladenbuch.domain.books import Books
from ladenbuch.domain.document import CreditNoteDraft, rate_text
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.order import Order, Refund
from ladenbuch.domain.plan import Plan, plan
from ladenbuch.domain.profile import Gateway, Profile
from ladenbuch.domain.profile_change import NOT_CHOSEN, Outcome, changed_fields, effect_of, outcome_of
from ladenbuch.domain.providers import Provider
from ladenbuch.domain.retry import LADDERS
from unit.test_plan_lives import DEMO, END, EVIDENCE, apply, facts_at, lives_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIVE = replace(DEMO, version=1)


def settled(facts: Facts, books: Books, profiles: Sequence[Profile], now: datetime) -> Books:
    """Books after everything due was carried out."""
    for action in plan(facts, books, profiles, now, EVIDENCE).due(now):
        books = apply(books, action)
    return books


def questions(made: Plan) -> set[str]:
    return {item.code for item in (*made.attention, *made.waiting)}


#: Every choice a merchant can make otherwise, each in a version that is dated before everything.
CHANGES: dict[str, Profile] = {
    "small business": replace(LIVE, regime="small_business"),
    "cash accounting": replace(LIVE, taxation="ist"),
    "no OSS": replace(LIVE, oss_from=None),
    "OSS later": replace(LIVE, oss_from=date(2030, 1, 1)),
    "letters off": replace(LIVE, letters=False),
    "tips to staff": replace(LIVE, tips="staff"),
    "services": replace(LIVE, unshipped="service"),
    "no default": replace(LIVE, unshipped="unset", tips="unset"),
    "shipping follows the goods": replace(LIVE, shipping_policy="follow_goods"),
    "reverse charge": replace(LIVE, reverse_charge=True),
    "grace": replace(LIVE, grace_seconds=3600),
    "by fulfilment": replace(LIVE, timing="fulfilment"),
    "another calendar": replace(LIVE, time_zone="Pacific/Auckland"),
    "another name": replace(LIVE, shop_name="Anders"),
    "money by hand": replace(LIVE, gateways={name: Gateway("off") for name in LIVE.gateways}),
    "money matched": replace(LIVE, gateways={name: Gateway("bank") for name in LIVE.gateways}),
    "other accounts": replace(LIVE, gateways={name: Gateway("clearing+payouts", "99") for name in LIVE.gateways}),
    "tills too": replace(LIVE, include_pos=True),
}


@cache
def posted_lives() -> list[tuple[str, Facts, Books]]:
    """Wide lives that have an invoice, posted under the first version as far as they can be."""
    found = []
    for life in lives_of("wide", 400, seed=29):
        facts = facts_at(life.final)
        books = settled(facts, Books(), [LIVE], END)
        if books.invoice is not None:
            assert plan(facts, books, [LIVE], END, EVIDENCE).actions == ()
            found.append((life.label.situation, facts, books))
    assert len({situation for situation, _, _ in found}) > 25
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_R10_a_profile_change_produces_no_action_on_posted_orders(name: str) -> None:
    """R10: whatever version is dated before them, orders that are posted want the same as before: nothing."""
    later = replace(CHANGES[name], version=2, effective_from=EPOCH)
    for situation, facts, books in posted_lives():
        before, after = (plan(facts, books, versions, END, EVIDENCE) for versions in ([LIVE], [LIVE, later]))
        assert after.actions == (), situation
        assert questions(after) == questions(before), situation


def test_R10_letters_that_were_off_are_not_caught_up_when_they_are_turned_on() -> None:
    """R10: a thousand buyers would get a letter about last year."""
    quiet = replace(LIVE, letters=False)
    loud = replace(LIVE, version=2, effective_from=EPOCH)
    facts = facts_of(paid())
    books = settled(facts, Books(), [quiet], END)
    assert books.invoice is not None and not books.letters
    assert plan(facts, books, [quiet, loud], END, EVIDENCE).actions == ()


def test_R10_money_that_was_not_booked_is_not_booked_afterwards() -> None:
    """R10: a gateway booked by hand stays so for what is posted, though a version dated before says otherwise."""
    by_hand = replace(LIVE, gateways={"shopify_payments": Gateway("off")})
    ours = replace(LIVE, version=2, effective_from=EPOCH)
    facts = facts_of(paid())
    books = settled(facts, Books(), [by_hand], END)
    assert books.invoice is not None and not books.lines
    assert plan(facts, books, [by_hand, ours], END, EVIDENCE).actions == ()


@pytest.mark.parametrize("said", [{}, {"shopify_payments": Gateway("clearing+payouts")}])
def test_R10_what_a_version_left_open_about_a_gateway_may_still_be_answered(said: dict[str, Gateway]) -> None:
    """GATEWAY-UNMAPPED, GATEWAY-ACCOUNT: the invoice stands, its payment waits until a profile names the account."""
    open_version = replace(LIVE, gateways=said)
    facts = facts_of(paid())
    books = Books()
    for action in plan(facts, books, [open_version], END, EVIDENCE).due(END):
        if action.kind in ("invoice", "finalise", "letter"):
            books = apply(books, action)
    assert books.invoice is not None
    answer = replace(LIVE, version=2, effective_from=EPOCH)
    made = plan(facts, books, [open_version, answer], END, EVIDENCE)
    assert [(item.kind, item.line and item.line.account) for item in made.actions] == [
        ("money_line", "12"), ("book_payment", None),
    ]  # fmt: skip
    assert made.attention == ()


# -- the switch to small business at the turn of the year --------------------------------------------------------


BERLIN_NEW_YEAR = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
REGULAR = replace(PROFILE, version=1)
SMALL = replace(PROFILE, version=2, effective_from=BERLIN_NEW_YEAR, regime="small_business")


def paid(when: datetime = datetime(2026, 11, 20, 9, 0, tzinfo=UTC), taxes: dict[str, int] | None = None) -> Order:
    rates = {"19": 190} if taxes is None else taxes
    made = order(agreement(1, when, sale(11, 1190, rates)), payments=(payment(9, 1190, when),))
    return replace(made, processed_at=when, created_at=when)


def refunded(made: Order, when: datetime, amount: int, tax: int) -> Order:
    """The order after `amount` went back; in the ledger with the tax of the day it was sold."""
    back = replace(sale(12, -amount, {"19": -tax}, line="11", quantity=-1, action="RETURN"))
    taken = replace(agreement(2, when, back, reason="REFUND"), refund_id="gid://shopify/Refund/3")
    money = payment(10, amount, when, kind="REFUND")
    refund = Refund("gid://shopify/Refund/3", when, amount, (money.id,))
    return replace(
        made,
        agreements=(*made.agreements, taken),
        payments=(*made.payments, money),
        refunds=(refund,),
        current_total=made.current_total - amount,
    )


def test_R10_5_16_a_refund_in_january_of_a_december_order_is_credited_at_19_percent() -> None:
    """Bookkeeping 5.16: small business from 1 January; the December invoice is corrected under the December profile."""
    december = paid(datetime(2026, 12, 20, 9, 0, tzinfo=UTC))
    books = settled(facts_of(december), Books(), [REGULAR], datetime(2026, 12, 20, 10, 0, tzinfo=UTC))
    january = datetime(2027, 1, 12, 9, 0, tzinfo=UTC)
    facts = facts_of(refunded(december, january, 1190, 190))
    made = plan(facts, books, [REGULAR, SMALL], january + timedelta(minutes=5), EVIDENCE)
    credit = next(item.document for item in made.actions if item.kind == "credit_note")
    assert made.attention == () and credit is not None and isinstance(credit.draft, CreditNoteDraft)
    assert {rate_text(rate): (total.gross, total.net, total.tax) for rate, total in credit.draft.sums.items()} == {
        "19": (1190, 1000, 190)
    }
    assert (credit.draft.tax_rule, credit.profile_version) == (1, 1)
    assert credit.draft.credit_note_date == date(2027, 1, 12)


def test_R10_5_29_the_local_day_of_the_tax_point_chooses_the_version() -> None:
    """Bookkeeping 5.29: 23:30 UTC on 31 December is January in Berlin, and belongs to the small business."""
    for minute, version, rule in ((-30, 1, 1), (30, 2, 11)):
        when = BERLIN_NEW_YEAR + timedelta(minutes=minute)
        made = plan(facts_of(paid(when, {"19": 190} if version == 1 else {})), Books(), [REGULAR, SMALL], END, EVIDENCE)
        document = next(item.document for item in made.actions if item.kind == "invoice")
        assert document is not None
        assert (document.profile_version, document.draft.tax_rule) == (version, rule)
    later = replace(SMALL, version=3, effective_from=BERLIN_NEW_YEAR + timedelta(days=40), regime="regular")
    made = plan(facts_of(paid(BERLIN_NEW_YEAR, {})), Books(), [REGULAR, SMALL, later], END, EVIDENCE)
    assert [item.document.profile_version for item in made.actions if item.document] == [2, 2]


# -- what is said of it ------------------------------------------------------------------------------------------


def outcome(made: Order, profile: Profile, books: Books | None = None) -> Outcome:
    return outcome_of(plan(facts_of(made), books or Books(), [profile], END, EVIDENCE))


def test_R10_an_effect_names_what_becomes_otherwise_and_nothing_else() -> None:
    """R10: the version itself, its date and the day of looking are no effect."""
    base = outcome(paid(), LIVE)
    others = {
        "same": (LIVE, (), (), ()),
        "version": (replace(LIVE, version=7, effective_from=EPOCH), (), (), ()),
        "letters": (replace(LIVE, letters=False), ("letters",), (), ()),
        "account": (replace(LIVE, gateways={"shopify_payments": Gateway("clearing+payouts", "9")}), ("money",), (), ()),
        "unmapped": (replace(LIVE, gateways={}), ("money", "parked"), ("GATEWAY-UNMAPPED",), ()),
        "small business": (
            replace(LIVE, regime="small_business"),
            ("documents", "money", "letters", "parked"), ("TAX-SMALL-BUSINESS",), (),
        ),
    }  # fmt: skip
    for name, (profile, kinds, parked, released) in others.items():
        found = effect_of(base, outcome(paid(), profile))
        assert (found.kinds, found.parked, found.released) == (kinds, parked, released), name
        back = effect_of(outcome(paid(), profile), base)
        assert (back.parked, back.released) == (released, parked), name
    later = outcome_of(plan(facts_of(paid()), Books(), [LIVE], END + timedelta(days=40), EVIDENCE))
    assert not effect_of(base, later), "R9"


def test_R10_rule_sums_and_wording_are_three_things() -> None:
    base = outcome(paid(), LIVE)
    sheet = base.sheets[0]
    changed = {
        "tax rule": replace(sheet, tax_rule=18),
        "sums": replace(sheet, sums=((sheet.sums[0][0], 1189, 999, 190),)),
        "wording": replace(sheet, wording="other"),
        "documents": replace(sheet, key="inv:5001:2"),
    }
    for kind, other in changed.items():
        assert effect_of(base, replace(base, sheets=(other, *base.sheets[1:]))).kinds == (kind,)
    assert effect_of(base, replace(base, sheets=())).kinds == ("documents",)
    assert effect_of(base, replace(base, excluded="POS", waiting=frozenset({"UNPAID"}))).kinds == (
        "waiting",
        "excluded",
    )
    assert effect_of(replace(base, attention=frozenset({"TIP"})), base).sentence == "released: TIP"


def test_every_choice_of_a_profile_is_told_when_it_changes() -> None:
    """R10: no field can be changed silently but the tenant's own switches and the version's place in time."""
    other: dict[str, object] = {
        bool: True, int: 60, str: "other", date: date(2030, 1, 1), datetime: EPOCH, type(None): "other",
    }  # fmt: skip
    silent = set()
    for name in Profile.__dataclass_fields__:
        value = getattr(LIVE, name)
        new = not value if isinstance(value, bool) else other.get(type(value))
        new = {
            "gateways": {"g": Gateway("off")},
            "default_gateway": Gateway("off", "9"),
            "providers": {"g": Provider("Zahlungsanbieter", 9, "4970")},
            "eu_sales": {2026: 1},
            "retry": {"order": LADDERS["letter"]},
            "letters_also": ("payment",),
            "letters_texts": {"invoice.de.subject": "{number}"},
        }.get(name, new)
        if not changed_fields(LIVE, replace(LIVE, **{name: new})):  # type: ignore[arg-type]
            silent.add(name)
    assert silent == set(NOT_CHOSEN)
    said = changed_fields(LIVE, replace(LIVE, gateways={**LIVE.gateways, "klarna": Gateway("off")}))
    assert [(item.name, item.before, item.after) for item in said] == [
        ("gateways.klarna.mode", "clearing+payouts", "off"), ("gateways.klarna.account", "13", None),
    ]  # fmt: skip
