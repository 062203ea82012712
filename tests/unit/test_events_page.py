"""The page about events keeps its word: its example verifies what we sign, and nothing else; it lists what there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ladenbuch.domain import event_words as words

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)
SECRET, OLD = words.secret_text(bytes(range(32))), words.secret_text(bytes(32))
BODY = words.body_of("invoice.created", NOW, {"number": "RE-1"}).encode()
Verify = Callable[..., bool]


@pytest.fixture
def verify() -> Verify:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    room: dict[str, Any] = {}
    exec(compile(text, "events.md", "exec"), room)
    return room["verify"]  # type: ignore[no-any-return]


def test_s112_the_example_takes_what_we_sign_and_the_standards_own_example(verify: Verify) -> None:
    now = words.seconds(NOW)
    assert verify(SECRET, words.headers([SECRET], "evt_1", NOW, BODY), BODY, set(), now)
    assert verify(SECRET, words.headers([SECRET, OLD], "evt_1", NOW, BODY), BODY, set(), now + 299)
    assert verify(OLD, words.headers([SECRET, OLD], "evt_1", NOW, BODY), BODY, set(), now), "while it is rotated"
    published = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert verify(secret, published, b'{"test": 2432232314}', set(), 1614265330)


def test_s112_the_example_refuses_what_was_altered_is_old_or_came_before(verify: Verify) -> None:
    now, head = words.seconds(NOW), words.headers([SECRET], "evt_1", NOW, BODY)
    assert not verify(SECRET, head, BODY + b" ", set(), now)
    assert not verify(OLD, head, BODY, set(), now)
    assert not verify(SECRET, {**head, "webhook-id": "evt_2"}, BODY, set(), now)
    assert not verify(SECRET, {**head, "webhook-timestamp": str(now + 1)}, BODY, set(), now)
    assert not verify(SECRET, {**head, "webhook-signature": "v1a," + head["webhook-signature"][3:]}, BODY, set(), now)
    assert not verify(SECRET, head, BODY, set(), now + 301) and not verify(SECRET, head, BODY, set(), now - 301)
    seen: set[str] = set()
    assert verify(SECRET, head, BODY, seen, now) and not verify(SECRET, head, BODY, seen, now)
    later = words.headers([SECRET], "evt_1", NOW + timedelta(hours=2), BODY)
    assert not verify(SECRET, later, BODY, seen, now + 7200), "our own retry is known by its id"


def test_s112_the_page_lists_the_events_there_are() -> None:
    assert re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE) == list(words.EVENTS)


def test_s112_the_page_says_when_it_is_tried_again() -> None:
    steps = [timedelta(seconds=step) for step in words.STEPS]
    said = "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h"
    units = {"s": "seconds", "min": "minutes", "h": "hours"}
    told = [timedelta(**{units[unit]: int(n)}) for n, unit in re.findall(r"(\d+) (s|min|h)\b", said)]
    assert said in PAGE and told == steps
