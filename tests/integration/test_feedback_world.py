"""S67, S113: a slice of `make prove LINE=feedback`: what becomes of 10,000 letters, and the shares that are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

import feedback_world
from feedback_world import recount, tell_and_compare
from letters_world import Trouble, World, spread_over

HARSH = Trouble(transient=0.2, greylisted=0.1, lost=0.05, dies_at=10.0, dead_for=120.0)
#: More of what is rare.
ROUGH = [("delivered", 40), ("delayed", 10), ("complained", 10), ("bounced soft", 10), ("bounced refused", 10),
         ("bounced invalid", 10), ("silent", 10)]  # fmt: skip


@pytest.mark.parametrize(("relays", "letters"), [("providers", 25), ("smtp", 12)])
def test_s67_the_shares_shown_equal_an_independent_recount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relays: str, letters: int
) -> None:
    monkeypatch.setattr(feedback_world, "_NAMES", [name for name, _ in ROUGH])
    monkeypatch.setattr(feedback_world, "_SHARES", [share for _, share in ROUGH])
    world = World(tmp_path, 3, relays, HARSH)
    try:
        world.live(900, spread_over(letters, 30, 3))
        figures, findings = tell_and_compare(world, 3)
    finally:
        world.close()
    assert findings == []
    whole = figures["all shops, recounted"]
    assert whole["letters"] == letters and 0 < whole["arrived"] < letters and len(whole["fates"]) >= 4
    assert figures["suppressed"] > 0 and figures["after"]["bounced"] > 0


def test_s67_the_recount_knows_nothing_of_ours() -> None:
    sent = [feedback_world.Sent(str(number), "t", "ses" if number else "dsn", "", "", "") for number in range(4)]
    fate = {"0": "silent", "1": "silent", "2": "bounced invalid", "3": "complained"}
    found = recount(["0", "1", "2", "3", "never taken"], sent, fate)
    assert (found["arrived"], found["letters"], found["invalid"]) == (2, 5, 1)
    assert (found["rate"], found["valid"]) == ("40.00", "50.00")
