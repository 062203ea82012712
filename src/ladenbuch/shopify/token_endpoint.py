"""Where tokens are asked for: one POST per grant, with the current client secret and, while it rotates, the previous.

The bodies and the reading of answers are `oauth`'s; here is the call. Nothing is stored and nothing is repeated: what a
lost answer means depends on the grant, and that is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx2
import msgspec

from ladenbuch.domain import failures
from ladenbuch.errors import Rejected
from ladenbuch.shopify import oauth
from ladenbuch.shopify.oauth import Expects, Token
from ladenbuch.shopify.webhooks import shop_domain
from ladenbuch.telemetry.calls import Track, untracked


@dataclass(frozen=True, slots=True)
class App:
    """A Shopify app: its client id and its secrets, the current one first, then the one it replaces."""

    client_id: str
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def secret(self) -> str:
        """The current client secret."""
        return self.secrets[0]


class TokenEndpoint:
    """The token endpoints of all shops. `base_url` may contain `{shop}`; `track` counts each exchange."""

    def __init__(
        self,
        base_url: str,
        http: httpx2.Client,
        clock: Callable[[], datetime],
        track: Track = untracked,
    ) -> None:
        self._base_url = base_url
        self._http = http
        self._clock = clock
        self._track = track

    def base(self, shop: str) -> str:
        """The address of a shop. Raises Rejected("OAUTH-SHOP") for what is no shop, before anything is sent."""
        if shop_domain(shop) != shop:
            raise Rejected("OAUTH-SHOP", "not a myshopify.com domain")
        return self._base_url.replace("{shop}", shop).rstrip("/")

    def redeem(self, app: App, shop: str, code: str) -> Token:
        """The code of a callback, for an expiring pair. A lost answer loses the code: the merchant starts again."""
        return self._ask(app, shop, "code", lambda secret: oauth.code_body(app.client_id, secret, code))

    def person(self, app: App, shop: str, code: str) -> Token:
        """The code of a person's own callback, for their online token."""

        def body(secret: str) -> Mapping[str, str]:
            return oauth.code_body(app.client_id, secret, code, online=True)

        return self._ask(app, shop, "person", body, "expiring")

    def exchange(self, app: App, shop: str, session_token: str) -> Token:
        """A verified session token, for an expiring pair."""
        return self._ask(
            app, shop, "exchange", lambda secret: oauth.token_exchange_body(app.client_id, secret, session_token)
        )

    def online(self, app: App, shop: str, session_token: str) -> Token:
        """A verified session token, for the token of the person in it."""

        def body(secret: str) -> Mapping[str, str]:
            return oauth.token_exchange_body(app.client_id, secret, session_token, online=True)

        return self._ask(app, shop, "online", body, "expiring")

    def refresh(self, app: App, shop: str, refresh_token: str) -> Token:
        """A refresh token, for a new pair."""
        return self._ask(app, shop, "refresh", lambda secret: oauth.refresh_body(app.client_id, secret, refresh_token))

    def client_credentials(self, app: App, shop: str) -> Token:
        """A token of a day for a shop of the app's own organisation."""
        return self._ask(
            app,
            shop,
            "client_credentials",
            lambda secret: oauth.client_credentials_body(app.client_id, secret),
            "expiring",
        )

    def migrate(self, app: App, shop: str, access_token: str) -> Token:
        """An old token that never expires, for an expiring pair. Irreversible."""
        return self._ask(app, shop, "migrate", lambda secret: oauth.migration_body(app.client_id, secret, access_token))

    def _ask(
        self, app: App, shop: str, grant: str, body: Callable[[str], Mapping[str, str]], expects: Expects = "pair"
    ) -> Token:
        """One grant. Raises what `oauth.parse_token_response` raises, and Retryable("SHOPIFY-UNREACHABLE")."""
        url = oauth.token_url(self.base(shop))
        for last, secret in ((secret == app.secrets[-1], secret) for secret in app.secrets):
            content = msgspec.json.encode(dict(body(secret)))
            try:
                return self._post(url, grant, content, expects)
            except Rejected as refusal:
                # Refused before anything was used up, so the other secret may be tried with the same grant.
                if last or refusal.code != "OAUTH-CLIENT":
                    raise
        raise Rejected("OAUTH-CLIENT", "the app has no client secret")

    def _post(self, url: str, grant: str, content: bytes, expects: Expects) -> Token:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        with self._track(f"oauth {grant}"):
            try:
                answer = self._http.post(url, content=content, headers=headers, follow_redirects=False)
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                # `from None`: the request carries the secret.
                failure = failures.by_exception("oauth", error)
                raise failure.error(f"{failure.text} ({type(error).__name__})") from None
            return oauth.parse_token_response(answer.status_code, answer.content, self._clock(), expects=expects)
