"""A slice of `make prove LINE=tokens`: many processes, tokens of an hour, lost answers (S51, S52)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ladenbuch.db import Database
from ladenbuch.workflows import tokens
from token_world import files, run


def day(open_database: Callable[[], Database], hours: float = 4) -> tuple[dict[str, int], list[str]]:
    return run(open_database, count=12, hours=hours, lost=0.2, processes=3, seed=7, every=7)


def test_s51_s52_no_call_is_made_with_an_expired_token_and_no_tenant_is_lost() -> None:
    with files() as opened:
        figures, found = day(opened)
    assert found == []
    assert figures["refresh answers lost"] > 3  # something happened at all
    assert figures["tokens stored, each with its audit row"] >= 12 * 5
    assert figures["longest wait of a tenant, minutes"] <= 5


def test_the_world_notices_a_connector_that_renews_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MARGIN", timedelta(minutes=-5))
    with files() as opened:
        _, found = day(opened, hours=2)
    assert any("calls with an expired token" in one for one in found)
