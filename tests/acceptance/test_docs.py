"""The pages and the program say the same."""

from __future__ import annotations

import re
from pathlib import Path

from ladenbuch.cli.adding import SECRETS
from ladenbuch.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_the_settings_page_names_exactly_the_settings_there_are() -> None:
    named = set(re.findall(r"`(LADENBUCH_[A-Z_]+)`", (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")))
    known = {f"LADENBUCH_{name.upper()}" for name in Settings.model_fields}
    known |= {f"LADENBUCH_TENANT_{short.upper()}" for short in SECRETS.values()}
    assert named == known | {"LADENBUCH_DEMO_DATABASE_URL"}


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(DOCS)}: {target}")
    assert broken == []
