"""A shop that comes from another tool, in all weathers and with deaths: nothing doubled, nothing lost (B11)."""

from __future__ import annotations

import pytest

from adoption_world import lived


@pytest.mark.parametrize(("seed", "faults"), [(7, "calm"), (3, "storm")])
def test_b11_invoices_of_another_tool_in_four_styles_are_taken_over_and_only_the_rest_is_written(
    seed: int, faults: str
) -> None:
    """`make prove LINE=adopt` is the same with 1,000 of 1,500."""
    found = lived(seed, 14, 8, faults=faults, mix="domestic", other_sales=4)
    assert found["findings"] == [] and found["duplicates"] == found["missing"] == found["cent_deviation"] == 0
    assert (found["adopted"], found["adopted_wrongly"], found["asked"]) == (found["foreign"], 0, 0)
    assert found["dry_run"]["adopt"] == found["foreign"] == 8
    assert 0 < found["created"] <= found["orders"] - found["foreign"]
