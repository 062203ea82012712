"""The one version of Shopify's APIs this product is written for, and how long Shopify serves it.

Shopify publishes a version every quarter and serves it for at least twelve months; a version that is no longer served
falls forward silently to the oldest that is, so a version past its window answers in another shape than asked for.
`latest` and `unstable` change under a running process and are refused.
"""

from __future__ import annotations

import re
from datetime import date

from ladenbuch.errors import Rejected

#: Every query, every subscription and the app's configuration file use this one. A unit test fails after its sunset.
API_VERSION = "2026-10"

_NAMED = re.compile(r"20\d\d-(?:01|04|07|10)")


def sunset(version: str) -> date:
    """The first day on which Shopify need not serve `version` any more: a year after its publication.

    Raises Rejected("API-VERSION") for anything that is no quarterly version, `latest` and `unstable` included.
    """
    if not _NAMED.fullmatch(version):
        raise Rejected("API-VERSION", f"{version[:20]!r} is no version: name one like {API_VERSION}")
    year, month = version.split("-")
    return date(int(year) + 1, int(month), 1)


def overdue(version: str, today: date) -> str | None:
    """A sentence when `version` is past its window on that day, else None. Raises like `sunset`."""
    last = sunset(version)
    return f"Shopify's API version {version} is served until {last} only" if today >= last else None
