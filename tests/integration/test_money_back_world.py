"""A slice of the proof `money-back`: transfers of every kind, each with what must follow (P1, B13)."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import money_back_world
from money_back_world import lived

SHORT = {"ORDERS": timedelta(minutes=10), "TRANSFERS": timedelta(minutes=30), "QUIET": timedelta(minutes=20)}


def test_b13_transfers_of_every_kind_while_the_process_is_killed() -> None:
    """0 loops, 0 doubles, the right state on both sides, in time; nothing is written in the minutes after.

    A run that dies between taking the bank's line and linking it is finished by the next.
    """
    mixed = {"exact": 2, "two parts": 1, "a cent over": 1, "wrong order": 1, "twice": 1, "two orders": 1}
    with patch.multiple(money_back_world, **SHORT, MIX=mixed):
        figures = lived(7, 11, faults="rain", crash_rate=0.002)
    assert figures["findings"] == []
    assert figures["told more than once"] == figures["invoices too many"] == 0
    assert figures["shop told"] >= 5 and figures["times the process was killed"] > 0
