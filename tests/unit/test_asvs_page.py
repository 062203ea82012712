"""S64: every chapter of ASVS 5.0 has a line with a proof that exists, or says that it does not apply."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "asvs.md"


def test_s64_every_chapter_is_answered_by_a_test_or_a_page_that_exists() -> None:
    rows = re.findall(r"^\| V(\d+) [^|]+\|([^|]+)\|([^|]+)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 18))
    for number, said, shown in rows:
        links = re.findall(r"\]\(([^)#]+)\)", shown)
        assert links or "does not apply" in said, number
        for link in links:
            assert (PAGE.parent / link).is_file(), link
