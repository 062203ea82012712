"""What waits, why, and until when: against the truth of simulated queues (P12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.domain.backlog import WINDOW, Backlog, Known, Waiting, backlog
from ladenbuch.web.backlog import backlog_sentence

NOW = datetime(2026, 11, 23, 13, 20, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def at_pace(orders: int, every: float, began: float) -> Waiting:
    """One order each `every` seconds, since work began `began` seconds ago."""
    ended = [number * every for number in range(10_000) if number * every <= min(began, WINDOW.total_seconds())]
    return Waiting(orders, len(ended), ago(ended[-1]), ago(ended[0])) if ended else Waiting(orders)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(0.5, 100)), min_size=1, max_size=5),
    st.floats(240, 4000),
)
def test_the_hour_is_within_a_factor_of_two_of_the_truth(shops: list[tuple[int, float]], began: float) -> None:
    """Steady paces, one for each shop, wherever in the last minutes work began: the slowest shop says when."""
    found = backlog([at_pace(orders, every, began) for orders, every in shops], Known(), NOW)
    truth = max(orders * every for orders, every in shops)
    assert found.until is not None
    assert truth / 2 <= (found.until - NOW).total_seconds() <= truth * 2


@pytest.mark.parametrize(
    ("shop", "why"),
    [
        (Waiting(412), "nothing was settled"),
        (Waiting(412, 2, ago(60), ago(2)), "two are too few"),
        (Waiting(412, 90, ago(590), ago(200)), "the last one was minutes ago"),
    ],
)
def test_without_a_pace_no_hour_is_said(shop: Waiting, why: str) -> None:
    found = backlog([shop], Known(), NOW)
    assert found.until is None and found.worth_saying(NOW), why
    assert backlog_sentence("en", found, NOW) == "412 orders waiting, nothing was settled lately."


BUSY = at_pace(412, 10, 600)
Language = Literal["de", "en"]


@pytest.mark.parametrize(
    ("known", "english", "german"),
    [
        (Known(), "412 orders waiting, done about 15:27.", "412 Bestellungen warten, fertig gegen 15:27."),
        (
            Known(used={"shopify": 0.97, "sevdesk": 0.3}),
            "412 orders waiting, Shopify budget, done about 15:27.",
            "412 Bestellungen warten, Shopify-Kontingent, fertig gegen 15:27.",
        ),
        (
            Known(codes={"SEVDESK-BUDGET": 300, "": 112}),
            "412 orders waiting, sevdesk rate, done about 15:27.",
            "412 Bestellungen warten, sevdesk-Takt, fertig gegen 15:27.",
        ),
        (
            Known(down={"sevdesk": NOW - timedelta(hours=5)}),
            "412 orders waiting, sevdesk down since 09:20, not before it is back.",
            "412 Bestellungen warten, sevdesk antwortet nicht seit 09:20, nicht bevor es wieder da ist.",
        ),
        (
            Known(down={"shopify": NOW - timedelta(hours=23)}),
            "412 orders waiting, Shopify down since 22 Nov, 15:20, not before it is back.",
            "412 Bestellungen warten, Shopify antwortet nicht seit 22. Nov., 15:20, nicht bevor es wieder da ist.",
        ),
        (
            Known(stop="stock-taking", down={"shopify": NOW}),
            "412 orders waiting, stopped (stock-taking), not before somebody lets it go on.",
            "412 Bestellungen warten, angehalten (stock-taking), nicht bevor jemand weitermachen lässt.",
        ),
        (
            Known(unwritable=True),
            "The database cannot be written: nothing goes on before it can, and nothing is lost.",
            "Die Datenbank lässt sich nicht beschreiben: Vorher geht nichts weiter, verloren geht nichts.",
        ),
    ],
)
def test_the_sentence_names_the_cause(known: Known, english: str, german: str) -> None:
    found = backlog([BUSY], known, NOW)
    assert found.worth_saying(NOW)
    assert backlog_sentence("en", found, NOW) == english
    assert backlog_sentence("de", found, NOW) == german
    assert found.blocked is (found.cause in ("database", "stopped", "shopify-down", "sevdesk-down"))


def test_what_is_done_in_a_moment_is_not_worth_a_sentence() -> None:
    assert not backlog([at_pace(3, 1, 600)], Known(), NOW).worth_saying(NOW)
    assert not backlog([Waiting(9)], Known(), NOW).worth_saying(NOW)
    assert not backlog([], Known(stop="x", down={"sevdesk": NOW}), NOW).worth_saying(NOW)
    assert backlog([Waiting(1)], Known(stop="x"), NOW).worth_saying(NOW)
    assert Backlog(1, until=NOW + timedelta(minutes=5)).worth_saying(NOW)
