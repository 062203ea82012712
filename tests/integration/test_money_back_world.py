"""A slice of the proof `money-back`: transfers of every kind, each with what must follow (P1, B13)."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import money_back_world
from money_back_world import lived


def test_b13_transfers_of_every_kind_in_small() -> None:
    """0 loops, 0 doubles, the right state on both sides, in time; nothing is written in the hours after."""
    short = {"ORDERS": timedelta(minutes=20), "TRANSFERS": timedelta(minutes=60), "QUIET": timedelta(minutes=30)}
    mixed = {"exact": 2, "two parts": 1, "a cent over": 1, "wrong order": 1, "twice": 1, "two orders": 1}
    with patch.multiple(money_back_world, **short, MIX=mixed):
        figures = lived(3, 14)
    assert figures["findings"] == []
    assert figures["told more than once"] == figures["invoices too many"] == 0
    assert figures["shop told"] >= 8
