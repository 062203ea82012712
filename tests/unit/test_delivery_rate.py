"""S67: the share of letters that arrive, counted so that nothing flatters it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.delivery_rate import Group, Rate, percent, rate_of, share
from ladenbuch.outbox import STATES

TELLING = {"sendgrid", "ses"}


def _one(
    state: str, bounce: str | None = None, relay: str | None = None, reason: str | None = None, old: bool = True
) -> Rate:
    return rate_of([Group(state, bounce, relay, reason, old, 1)], TELLING)


@pytest.mark.parametrize(
    ("group", "field", "invalid"),
    [
        (("delivered", None, "sendgrid", None, False), "delivered", 0),
        (("complained", None, "sendgrid", None, False), "complained", 0),
        (("bounced", "soft", None, None, False), "bounced", 0),
        (("bounced", "refused", None, None, True), "bounced", 0),
        (("bounced", "invalid", None, None, True), "bounced", 1),
        (("suppressed", "invalid", None, None, True), "suppressed", 1),
        (("suppressed", "complaint", None, None, True), "suppressed", 0),
        (("uncertain", None, None, None, False), "uncertain", 0),
        (("failed", None, None, "LETTER-ADDRESS: the address is missing", True), "failed", 1),
        (("failed", None, None, "recipient: 550 5.1.1 no such user", True), "failed", 1),
        (("failed", None, None, "recipient: 550 5.7.1 policy", True), "failed", 0),
        (("failed", None, None, None, True), "failed", 0),
        (("failed", None, None, "PRIVACY: the buyer's data was erased before it was sent", True), "withdrawn", 0),
        (("accepted", None, "mail.shop.de:587", None, True), "presumed", 0),
        (("accepted", None, "mail.shop.de:587", None, False), "under_way", 0),
        (("accepted", None, "sendgrid", None, True), "silent", 0),
        (("accepted", None, "ses eu-central-1", None, True), "silent", 0),
        (("accepted", None, "sendgrid#2", None, True), "silent", 0),  # a second account of it
        (("accepted", None, "ses eu-central-1", None, False), "under_way", 0),
        (("accepted", None, "sendgrid.shop.de:25", None, True), "presumed", 0),  # a relay's name, no provider's
        (("accepted", None, "postmark", None, True), "presumed", 0),  # its word does not reach us
        (("promised", None, None, None, False), "under_way", 0),
        (("promised", None, None, None, True), "late", 0),
        (("sending", None, None, None, True), "late", 0),
    ],
)
def test_s67_each_letter_is_counted_in_one_place(
    group: tuple[str, str, str, str, bool], field: str, invalid: int
) -> None:
    found = _one(*group)
    assert getattr(found, field) == 1 and found.promised == 1 and found.invalid == invalid


_GROUPS = st.lists(
    st.builds(
        Group,
        st.sampled_from(STATES),
        st.sampled_from([None, "soft", "refused", "invalid", "complaint"]),
        st.sampled_from([None, "sendgrid", "mail:25"]),
        st.sampled_from([None, "LETTER-ADDRESS: x", "PRIVACY: x", "recipient: 550 5.1.1 x"]),
        st.booleans(),
        st.integers(1, 50),
    )
)


@given(_GROUPS)
def test_s67_nothing_is_lost_and_nothing_counted_twice(groups: list[Group]) -> None:
    found = rate_of(groups, TELLING)
    assert found.promised == sum(group.number for group in groups)
    assert found.arrived + found.lost == found.judged
    assert 0 <= found.invalid <= found.lost
    if found.judged:
        assert found.rate is not None and 0 <= found.rate <= 1
        assert found.rate * found.judged <= found.arrived, "never rounded up"
        assert found.of_valid is None or found.of_valid >= found.rate
    assert found.low == (found.judged >= 20 and found.arrived * 100 < found.judged * 99)


def test_s67_rates_are_rounded_down_and_of_nothing_there_is_none() -> None:
    assert percent(share(99999, 100000)) == "99.99" and percent(share(0, 0)) == "-" and share(1, 1) == Decimal(1)
    assert not Rate(delivered=10, bounced=9).low, "nineteen letters are no share"
    assert Rate(delivered=10, bounced=10).low and not Rate(delivered=99, bounced=1).low
