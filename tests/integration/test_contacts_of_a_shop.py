"""A shop's customers at once, in a storm: as many contacts as there are customers, and none of the merchant's changed.

S99 (10,000 orders of 3,000 customers: `make prove LINE=contacts`), B11 (contacts).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from contact_world import open_files, play
from ladenbuch.db import Database
from ladenbuch.domain.matching import Create
from ladenbuch.sevdesk.client import Sevdesk
from ladenbuch.workflows import contacts


@pytest.fixture
def files(tmp_path: Path) -> Database:
    return open_files(tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_s99_a_thousand_orders_make_one_contact_per_customer(files: Database, seed: int) -> None:
    figures = play(files, 1000, 300, seed=seed)
    assert figures["findings"] == []
    assert figures["contacts"] == figures["contacts expected"]
    assert figures["doubled customer numbers"] == 0
    assert figures["adopted on one hit"] > 10
    assert figures["asked about"] > 0
    assert figures["at once, most"] > 4


def test_s99_the_same_on_both_databases(database: Database) -> None:
    figures = play(database, 150, 50, seed=3)
    assert (figures["findings"], figures["contacts"]) == ([], figures["contacts expected"])


def test_the_judge_is_not_blind(files: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look before a repeated call there are doubles, and without the match nobody is adopted."""
    with monkeypatch.context() as sabotage:
        sabotage.setattr(Sevdesk, "find_contact", lambda self, number: None)
        figures = play(files, 200, 60)
        assert figures["contacts"] > figures["contacts expected"]
        assert any("belongs to nobody" in one for one in figures["findings"])


def test_the_judge_sees_who_was_not_adopted(files: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "match", lambda party, candidates: Create())
    assert any("was not adopted" in one for one in play(files, 200, 60, seed=2)["findings"])
