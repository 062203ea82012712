"""The Partner API, as far as we need it: whether a shop has a subscription of the app (facts 2.13).

    POST {base_url}/{organisation}/api/{version}/graphql.json  with  X-Shopify-Access-Token: the static client token

Raises `Retryable` (no answer, 429, 5xx, an answer nobody can read) and `Rejected` (token, permission, unknown
organisation, a query Shopify refuses); its texts never carry the token.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources

import httpx2
import msgspec

from ladenbuch import __version__
from ladenbuch.domain import failures
from ladenbuch.errors import LadenbuchError
from ladenbuch.shopify.answer import Json
from ladenbuch.telemetry.calls import Track, untracked

#: The newest Partner version whose schema we have read.
PARTNER_VERSION = "2026-07"


@cache
def partner_document(name: str) -> str:
    """The text of `queries/partner/<name>.graphql`."""
    return resources.files("ladenbuch.shopify").joinpath("queries", "partner", f"{name}.graphql").read_text("utf-8")


class Partner:
    """One organisation's Partner API. Threads may share it; `pace` waits for a turn."""

    def __init__(
        self,
        base_url: str,
        organisation: str,
        token: Callable[[], str],
        http: httpx2.Client,
        *,
        pace: Callable[[], None] = lambda: None,
        track: Track = untracked,
    ) -> None:
        self._url = httpx2.URL(f"{base_url.rstrip('/')}/{organisation}/api/{PARTNER_VERSION}/graphql.json")
        self._token = token
        self._http = http
        self._pace = pace
        self._track = track

    def active_subscription(self, app: str, shop: str) -> Json | None:
        """The managed subscription of a shop, None when it has none. Both are `gid://shopify/…` ids here; the older
        fields of this API take `gid://partners/…`."""
        found = self._ask("active_subscription", {"app": app, "shop": shop}).get("activeSubscription")
        if found is not None and not isinstance(found, dict):
            raise _answer("no data", "activeSubscription is no object")
        return found

    def _ask(self, name: str, variables: dict[str, object]) -> Json:
        body = msgspec.json.encode({"query": partner_document(name), "variables": variables})
        headers = {
            "X-Shopify-Access-Token": self._token(),
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"ladenbuch/{__version__}",
        }
        self._pace()
        with self._track(name):
            try:
                request = httpx2.Request("POST", self._url, content=body, headers=headers)
                answer = self._http.send(request, follow_redirects=False)
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                failure = failures.by_exception("partner", error)
                raise failure.error(f"{failure.text} ({type(error).__name__})") from None
            return _understood(answer)


def _understood(answer: httpx2.Response) -> Json:
    status = answer.status_code
    if status != 200:
        failure = failures.find("partner", "status", status) or failures.UNKNOWN
        after = _seconds(answer.headers.get("Retry-After"))
        raise failure.error(failure.text or f"answered {status}", after=after)
    try:
        said = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        raise _answer("no JSON", "the answer is not JSON") from None
    if not isinstance(said, dict):
        raise _answer("no JSON", "the answer is no object")
    # An error beside data is a hole, and a hole is no "none".
    if said.get("errors"):
        raise _answer("errors")
    data = said.get("data")
    if not isinstance(data, dict) or "activeSubscription" not in data:
        raise _answer("no data", "the answer has no data")
    return data


def _answer(named: str, text: str | None = None) -> LadenbuchError:
    return failures.row("partner", "answer", named).error(text)


def _seconds(header: str | None) -> float | None:
    try:
        value = float(header) if header else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 86_400 else None
