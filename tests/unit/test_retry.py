"""S31, S34, S35: the ladder as a value: bounded, monotone, jitter within 20 %, what was asked for honoured, an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain import failures
from ladenbuch.domain.failures import TABLE, UNKNOWN, Failure
from ladenbuch.domain.profile import Profile
from ladenbuch.domain.retry import JITTER, LADDERS, OUTAGE, PATIENCE, TOPICS, Ladder, Next, ladder_of, next_attempt
from ladenbuch.errors import Rejected, Retryable, UsageError

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
STEPS = st.lists(st.floats(0.1, 86_400), min_size=1, max_size=8).map(lambda steps: tuple(sorted(steps)))
LADDER = st.builds(Ladder, STEPS, st.integers(1, 20))
ROW = st.sampled_from([*TABLE, UNKNOWN])
OWN_LATER = [row for row in [*TABLE, UNKNOWN] if row.fault == "order" and row.verdict != "never"]
OTHERS = [row for row in TABLE if row.fault != "order"]


def seconds(found: Next) -> float:
    assert found.at is not None
    return (found.at - NOW).total_seconds()


@given(ROW, LADDER, st.integers(0, 60), st.floats(0, 1e5), st.floats(-1, 1))
def test_s34_never_earlier_than_the_other_side_asked(
    row: Failure, ladder: Ladder, attempts: int, after: float, jitter: float
) -> None:
    found = next_attempt(row, NOW, attempts=attempts, ladder=ladder, after=after, jitter=jitter)
    if found.at is not None:
        assert seconds(found) >= round(after, 6) - 1e-6
        if attempts < PATIENCE:
            assert seconds(found) == pytest.approx(after, abs=1e-5), "a time that was named is taken as it is"


@given(st.sampled_from(OTHERS), LADDER, st.integers(0, 60), st.floats(-1, 1))
def test_s34_jitter_stays_within_a_fifth_and_the_envelope_only_grows(
    row: Failure, ladder: Ladder, attempts: int, jitter: float
) -> None:
    plain = seconds(next_attempt(row, NOW, attempts=attempts, ladder=ladder))
    moved = seconds(next_attempt(row, NOW, attempts=attempts, ladder=ladder, jitter=jitter))
    following = seconds(next_attempt(row, NOW, attempts=attempts + 1, ladder=ladder))
    assert abs(moved - plain) <= JITTER * plain + 1e-5
    assert following >= plain
    assert plain <= max(ladder.steps) + 1e-5
    if row.fault == "service":
        assert plain <= OUTAGE


@given(st.sampled_from(OTHERS), LADDER, st.lists(st.floats(-1, 1), min_size=1, max_size=200))
def test_s35_what_fails_for_everybody_never_ends_however_long_it_lasts(
    row: Failure, ladder: Ladder, jitters: list[float]
) -> None:
    failures_so_far = 3
    for attempts, jitter in enumerate(jitters):
        found = next_attempt(
            row, NOW, attempts=attempts, failures=failures_so_far, ladder=ladder, jitter=jitter, after=None
        )
        assert found.at is not None and found.failures == failures_so_far


@given(st.lists(st.sampled_from([*OTHERS, *OWN_LATER]), max_size=200), LADDER)
def test_s35_exactly_as_many_own_failures_as_the_ladder_has_whatever_lies_between(
    story: list[Failure], ladder: Ladder
) -> None:
    own = 0
    for attempts, row in enumerate(story):
        found = next_attempt(row, NOW, attempts=attempts, failures=own, ladder=ladder)
        own += row.fault == "order"
        assert found.failures == own
        if row.fault != "order":
            assert found.at is not None
            continue
        assert (found.at is None) == (own >= ladder.attempts)
        if found.at is None:
            return


def test_s35_one_and_five_attempts_at_an_order() -> None:
    waits, own = [], 0
    while (found := next_attempt(UNKNOWN, NOW, attempts=own, failures=own)).at is not None:
        waits.append(seconds(found))
        own = found.failures
    assert waits == [2, 10, 60, 300, 1800] and found.failures == 6


@pytest.mark.parametrize("row", [row for row in TABLE if row.verdict == "never"], ids=lambda row: row.code)
def test_s37_what_no_repetition_can_help_is_tried_once_or_waits_for_whoever_can_help(row: Failure) -> None:
    found = next_attempt(row, NOW, attempts=0)
    if row.fault == "order" and not row.anew:
        assert found == Next(None, 1, row.code)
    else:
        assert seconds(found) == (2 if row.anew else 60)


def test_s31_an_exception_nobody_foresaw_is_tried_again_with_a_cap_and_a_wrong_setting_without() -> None:
    assert failures.of(KeyError("x")).fault == "order"
    assert failures.of(Retryable("NEVER-HEARD-OF")).fault == "order"
    assert failures.of(UsageError("SHOPIFY-DOCUMENT")).fault == "service"
    assert failures.of(Retryable("SEVDESK-LOST")).fault == "service"


# -- a tenant's own --------------------------------------------------------------------------------------------------


@given(st.sampled_from(TOPICS), LADDER)
def test_s34_s39_a_tenants_own_ladder_survives_its_profile(topic: str, ladder: Ladder) -> None:
    profile = Profile.from_json({"retry": {topic: ladder.as_json()}})
    assert profile.retry == {topic: ladder}
    assert Profile.from_json(profile.as_json()).retry == profile.retry
    assert ladder_of(topic, {}) == LADDERS[topic]  # type: ignore[index]


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": {}}, {"order": []}, {"order": {"steps": [1]}}, {"order": {"seconds": []}}, {"order": {"seconds": 5}},
        {"order": {"seconds": [0]}}, {"order": {"seconds": [86_401]}}, {"order": {"seconds": ["1"]}},
        {"order": {"seconds": [True]}}, {"order": {"seconds": [1] * 21}}, {"order": {"attempts": 0}},
        {"order": {"attempts": 101}}, {"order": {"attempts": "6"}}, {"order": {"attempts": True}}, "order", [1],
    ],
    ids=str,
)  # fmt: skip
def test_s39_a_ladder_that_is_none_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(Rejected) as caught:
        Profile.from_json({"retry": wrong})
    assert caught.value.code == "PROFILE" and "retry" in str(caught.value)


def test_there_is_time_for_a_mailbox_to_be_emptied() -> None:
    ladder, waited = LADDERS["letter"], timedelta()
    for own in range(ladder.attempts - 1):
        found = next_attempt(failures.known("LETTER-DELAYED"), NOW, attempts=own, failures=own, ladder=ladder)
        assert found.at is not None
        waited += found.at - NOW
    assert timedelta(hours=12) < waited < timedelta(days=1)
