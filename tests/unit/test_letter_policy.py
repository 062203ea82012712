"""S67: what follows when nobody knows whether a letter arrived is decided for each kind, and said in the docs."""

from __future__ import annotations

from pathlib import Path

from ladenbuch.domain import letter_policy
from ladenbuch.mail.letters import LETTER_KINDS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "exactly-once.md"


def test_s67_every_kind_has_its_policy_and_only_what_harms_nobody_twice_is_sent_again() -> None:
    assert set(letter_policy.POLICY) == set(LETTER_KINDS)
    assert {kind for kind in LETTER_KINDS if letter_policy.unsure(kind) == "again"} == {"digest", "copy"}
    assert letter_policy.unsure("a kind of tomorrow") == "ask"


def test_s67_the_page_says_the_same() -> None:
    rows = {line.split("|")[2].strip().partition(" ")[0]: line for line in PAGE.read_text("utf-8").splitlines()
            if line.startswith("|") and "than" in line}  # fmt: skip
    named = {"payment": "payment received", "copy": "copy for the archive"}
    for kind, what in letter_policy.POLICY.items():
        assert named.get(kind, kind) in rows["none" if what == "ask" else "two"]
