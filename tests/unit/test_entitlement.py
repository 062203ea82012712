"""The verdict about a shop's subscription (facts 0.7, 2.13): what is unreadable never takes anything away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.entitlement import Subscription, Terms, Unreadable, entitlement

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CAME = NOW - timedelta(days=100)
TERMS = Terms(trial_days=14, grace_days=7, plans={"basic": 100})

instants = st.integers(-200, 200).map(lambda days: NOW + timedelta(days=days, minutes=7))


def test_an_active_plan_entitles_and_orders_above_it_are_only_said() -> None:
    found = entitlement(Subscription("basic"), NOW, TERMS, came=CAME, orders=130)
    assert (found.kind, found.over, found.until) == ("entitled", 30, None)
    assert "30 orders above the 100" in found.sentence
    assert entitlement(Subscription("unheard of"), NOW, TERMS, came=CAME, orders=9_999).over == 0


def test_a_trial_of_the_plan_and_one_of_ours() -> None:
    until = NOW + timedelta(days=3)
    assert entitlement(Subscription("basic", trial_ends_at=until), NOW, TERMS, came=CAME).kind == "trial"
    assert entitlement(Subscription("basic", trial_ends_at=NOW), NOW, TERMS, came=CAME).kind == "entitled"
    fresh = entitlement(None, NOW, TERMS, came=NOW - timedelta(days=13))
    assert (fresh.kind, fresh.until) == ("trial", NOW + timedelta(days=1))
    assert entitlement(None, NOW, Terms(trial_days=0), came=NOW).kind == "grace"


def test_without_a_subscription_grace_runs_from_the_first_look_that_missed_it() -> None:
    first = entitlement(None, NOW, TERMS, came=CAME)
    assert (first.kind, first.missing_since, first.until) == ("grace", NOW, NOW + timedelta(days=7))
    late = NOW + timedelta(days=7)
    assert entitlement(None, late - timedelta(seconds=1), TERMS, came=CAME, missing_since=NOW).kind == "grace"
    assert entitlement(None, late, TERMS, came=CAME, missing_since=NOW).kind == "not entitled"
    assert entitlement(Subscription("basic"), late, TERMS, came=CAME, missing_since=NOW).missing_since is None


def test_a_test_subscription_counts_in_a_development_store_only() -> None:
    """facts 7.3: test vs live purchases."""
    tried = Subscription("basic", test=True)
    assert entitlement(tried, NOW, TERMS, came=CAME).kind == "grace"
    assert entitlement(tried, NOW, TERMS, came=CAME, development=True).kind == "entitled"


@given(came=instants, now=instants, missing=st.none() | instants, days=st.integers(0, 60), development=st.booleans())
def test_what_cannot_be_read_is_never_not_entitled(
    came: datetime, now: datetime, missing: datetime | None, days: int, development: bool
) -> None:
    terms = Terms(trial_days=days, grace_days=days)
    found = entitlement(
        Unreadable("PARTNER-DOWN"), now, terms, came=came, missing_since=missing, development=development
    )
    assert found.kind == "unknown"
    assert found.missing_since == missing  # what was known is neither forgotten nor begun


@given(came=instants, start=instants, steps=st.lists(st.integers(0, 20), max_size=12))
def test_no_shop_is_cut_off_before_a_whole_grace_passed(came: datetime, start: datetime, steps: list[int]) -> None:
    missing, first, now = None, None, max(came, start)
    for step in steps:
        now += timedelta(days=step)
        found = entitlement(None, now, TERMS, came=came, missing_since=missing)
        missing = found.missing_since
        first = first or (now if found.kind == "grace" else None)
        if found.kind == "not entitled":
            assert first is not None
            assert now - first >= timedelta(days=TERMS.grace_days)
