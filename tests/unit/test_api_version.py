"""One version of Shopify's API, written down once, and a build that breaks before Shopify does (S17, S96, S157)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ladenbuch.errors import Rejected, UsageError
from ladenbuch.settings import Settings
from ladenbuch.shopify.partner import PARTNER_VERSION
from ladenbuch.shopify.version import API_VERSION, overdue, sunset

SOURCE = Path(__file__).resolve().parents[2] / "src" / "ladenbuch"


def product() -> list[Path]:
    return [
        path
        for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.graphql"), *SOURCE.rglob("*.html")]
        if "simulators" not in path.relative_to(SOURCE).parts
    ]


def test_s17_the_version_in_use_is_still_served() -> None:
    """This fails on the day after which Shopify need not answer in this shape any more, and names it."""
    assert overdue(API_VERSION, datetime.now(UTC).date()) is None, f"move on before {sunset(API_VERSION)}"


def test_s17_a_version_past_its_window_is_named_with_its_sunset() -> None:
    assert overdue("2026-10", date(2027, 9, 30)) is None
    said = overdue("2026-10", date(2027, 10, 1))
    assert said == "Shopify's API version 2026-10 is served until 2027-10-01 only"
    assert sunset("2026-01") == date(2027, 1, 1)


@pytest.mark.parametrize(
    "version", ["latest", "unstable", "2026-11", "2026-1", "2026-10\n", "", "26-10", "２０２６-10"]
)
def test_s157_what_is_no_version_has_no_sunset(version: str) -> None:
    with pytest.raises(Rejected) as refused:
        sunset(version)
    assert refused.value.code == "API-VERSION"


def test_s17_the_version_is_written_down_once() -> None:
    """Help texts may name one as an example; no other line of code assigns or sends one."""
    written = re.compile(r"""(?:=|\(|/|api_version:|version:)\s*["']?(20\d\d-(?:01|04|07|10))(?![-\d])""")
    found = [
        (path.relative_to(SOURCE).as_posix(), line.strip())
        for path in product()
        for line in path.read_text(encoding="utf-8").splitlines()
        if written.search(line)
    ]
    partner = ("shopify/partner.py", f'PARTNER_VERSION = "{PARTNER_VERSION}"')  # another API, with versions of its own
    assert found == [partner, ("shopify/version.py", f'API_VERSION = "{API_VERSION}"')]


def test_s96_no_rest_admin_address_is_called() -> None:
    """REST Admin ended for new apps on 2025-04-01: nothing but graphql.json and the OAuth addresses under /admin,
    and the list of apps, which is a page for people."""
    rest = re.compile(r"/admin/(?!oauth/|settings/apps|api/\{version\}/graphql\.json)[a-z{]")
    found = [
        (path.name, line.strip())
        for path in product()
        for line in path.read_text(encoding="utf-8").splitlines()
        if rest.search(line)
    ]
    assert rest.search("/admin/api/2023-10/webhooks.json") and rest.search("/admin/orders.json")
    assert found == []


@pytest.mark.parametrize("version", ["latest", "unstable", "2026-13", "2026-10-01", "10-2026"])
def test_s157_settings_refuse_what_moves_under_our_feet(version: str) -> None:
    with pytest.raises(UsageError) as refused:
        Settings.read({"LADENBUCH_SHOPIFY_API_VERSION": version})
    assert "LADENBUCH_SHOPIFY_API_VERSION" in refused.value.message
    assert version not in refused.value.message or version in ("latest", "unstable")


def test_s157_a_quarterly_version_may_be_set() -> None:
    assert Settings.read({"LADENBUCH_SHOPIFY_API_VERSION": "2027-01"}).shopify_api_version == "2027-01"
    assert Settings.read({}).shopify_api_version is None
