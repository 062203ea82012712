"""Files Shopify lays out for us: read from a byte on, without our token, from addresses that are Shopify's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from ladenbuch.errors import Rejected, Retryable
from ladenbuch.telemetry.calls import Track

#: Where results of exports lie; the shop's own address is allowed too (simulators keep them there).
HOSTS = ("storage.googleapis.com", ".shopify.com", ".shopifycloud.com", ".shopifysvc.com")
_OPERATION = "bulk_file"


@contextmanager
def open_file(http: httpx2.Client, own: httpx2.URL, url: str, start: int, track: Track) -> Iterator[Iterator[bytes]]:
    """The bytes of a file from `start` on, in pieces; it is never held whole.

    Raises `Rejected("BULK-ADDRESS")` for an address that is not Shopify's, `Retryable("BULK-EXPIRED")` when it is not
    honoured any more, `Retryable("SHOPIFY-DOWN" | "SHOPIFY-UNREACHABLE")` when the file or the connection breaks.
    """
    place = httpx2.URL(url)
    same = (place.scheme, place.host, place.port) == (own.scheme, own.host, own.port)
    theirs = place.scheme == "https" and any(
        place.host == one or (one.startswith(".") and place.host.endswith(one)) for one in HOSTS
    )
    if not (same or theirs):
        raise Rejected("BULK-ADDRESS", f"an export may not be read from {place.host}")
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with track(_OPERATION) as call, http.stream("GET", place, headers=headers, follow_redirects=False) as answer:
            call.until = None  # years of orders take as long as they take
            status = answer.status_code
            if status in (400, 401, 403, 404, 410):
                call.code = "BULK-EXPIRED"
                raise Retryable("BULK-EXPIRED", f"the file of the export is not there any more ({status})")
            if status not in (200, 206):
                call.code = f"HTTP-{status}"
                raise Retryable("SHOPIFY-DOWN", f"the file of the export answered {status}")
            yield _pieces(answer, start if status == 200 else 0)
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise Retryable("SHOPIFY-UNREACHABLE", f"the export broke off ({type(error).__name__})") from None


def _pieces(answer: httpx2.Response, skip: int) -> Iterator[bytes]:
    """The body; its first `skip` bytes are passed over where the other side knows no ranges."""
    for piece in answer.iter_bytes():
        if skip < len(piece):
            yield piece[skip:] if skip else piece
        skip = max(0, skip - len(piece))
