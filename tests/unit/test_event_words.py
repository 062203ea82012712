"""What events say and how they are signed: Standard Webhooks, byte for byte; nothing of a person (S112)."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain import event_words as words
from ladenbuch.errors import Rejected

NOW = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)


def test_s112_the_published_example_of_the_standard_is_signed_as_published() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    made = words.headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_what_the_libraries_take_and_two_sign_side_by_side() -> None:
    old, new = words.secret_text(bytes(32)), words.secret_text(bytes(range(32)))
    assert new.startswith("whsec_") and b64decode(new.removeprefix("whsec_")) == bytes(range(32))
    both = words.headers([new, old], "evt_1", NOW, b"{}")["webhook-signature"].split(" ")
    assert both == [words.signature(new, "evt_1", NOW, b"{}"), words.signature(old, "evt_1", NOW, b"{}")]
    for wrong in ("", "abc", "whsec_", "whsec_%%%", "whsec_" + "A" * 5):
        with pytest.raises(ValueError):
            words.signature(wrong, "evt_1", NOW, b"{}")


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_an_id_is_of_one_fact_of_one_tenant_for_ever(tenant: str, key: str, other: str, another: str) -> None:
    mine = words.webhook_id(tenant, key)
    assert mine == words.webhook_id(tenant, key)
    assert mine.startswith("evt_") and "." not in mine and len(mine) == 44
    if (tenant, key) != (other, another) and "\0" not in tenant + other:
        assert mine != words.webhook_id(other, another)


def test_a_body_is_the_same_bytes_whenever_it_is_made() -> None:
    made = words.body_of("invoice.created", NOW, {"number": "RE-1", "name": "Grün"})
    assert made == words.body_of("invoice.created", NOW, {"number": "RE-1", "name": "Grün"})
    assert json.loads(made) == {
        "type": "invoice.created",
        "timestamp": "2026-11-23T13:05:00.000000Z",
        "data": {"number": "RE-1", "name": "Grün"},
    }


@given(st.integers(-(10**12), 10**12))
def test_amounts_are_exact(minor: int) -> None:
    said = words.money(minor, "EUR")["amount"]
    whole, _, part = said.removeprefix("-").partition(".")
    assert (-1 if said.startswith("-") else 1) * (int(whole) * 100 + int(part)) == minor and len(part) == 2


def test_events_are_known_by_name() -> None:
    assert words.wanted([]) == ()
    assert words.wanted(["payment.booked", "invoice.created"]) == ("invoice.created", "payment.booked")
    with pytest.raises(Rejected, match=r"invoice\.creatd"):
        words.wanted(["invoice.creatd"])


def test_the_ladder_ends_after_about_three_days() -> None:
    at, attempts = NOW, 0
    while True:
        attempts += 1
        follows = words.again(attempts, at)
        if follows is None:
            break
        at = follows
    assert attempts == 10 and timedelta(days=3) < at - NOW < timedelta(days=3.5)


@given(st.integers(1, 9), st.integers(-200, 200), st.integers(0, 10**7))
def test_a_wait_is_never_shorter_than_asked_for_nor_endless(attempts: int, jitter: int, asked: int) -> None:
    usual = timedelta(seconds=words.STEPS[attempts - 1])
    follows = words.again(attempts, NOW, after=timedelta(seconds=asked), jitter=jitter)
    assert follows is not None and follows - NOW >= min(timedelta(seconds=asked), words.LONGEST_WAIT)
    assert follows - NOW <= max(usual * 1.1, words.LONGEST_WAIT)
    alone = words.again(attempts, NOW, jitter=jitter)
    assert alone is not None and usual * 0.9 <= alone - NOW <= usual * 1.1


def test_a_failing_receiver_is_left_alone_longer_and_longer() -> None:
    assert [words.quiet(n).total_seconds() for n in (1, 2, 3, 4, 5, 99)] == [5, 30, 120, 600, 600, 600]
    assert words.quiet(1, timedelta(minutes=7)) == timedelta(minutes=7) and words.quiet(
        4, timedelta(days=9)
    ) == timedelta(hours=1)
    assert words.took(200) and words.took(299) and not any(map(words.took, (None, 199, 300, 404, 500)))
    assert words.gone(410) and not words.gone(404)
