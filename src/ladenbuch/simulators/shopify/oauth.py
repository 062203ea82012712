"""Grants: four ways to an Admin token, and the life of the tokens (facts 4.1-4.4).

Tokens live in memory. Errors are JSON ``{"error": …, "error_description": …}``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt

from ladenbuch.simulators.http import LOST, SimRequest, SimResponse, json_response
from ladenbuch.simulators.shopify.world import Shop, ShopState

CLIENT_CREDENTIALS_SECONDS = 86_399
ACCESS_SECONDS = 3_600
REFRESH_SECONDS = 7_776_000
ONLINE_SECONDS = 86_400
REUSE = timedelta(days=30)  # how long a refresh token stays usable after its first use
CODE_LIFE = timedelta(minutes=10)
SESSION_SECONDS = 60
SESSION_LEEWAY_SECONDS = 10
_SCOPE = re.compile(r"(unauthenticated_)?(read|write)_[a-z_]+")
_NO_SCOPES = frozenset({"read_refunds", "read_transactions", "write_refunds", "write_transactions"})  # facts 1.1
USER = 42  # the owner of every shop

GRANT_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
TYPE_OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
TYPE_ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"


class GrantError(Exception):
    """A refused grant: HTTP status, OAuth error code, sentence."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


@dataclass
class _Access:
    shop: str
    expires_at: datetime | None  # None: never expires
    refresh: str | None = None  # the refresh token that came with it


@dataclass
class _Refresh:
    shop: str
    expires_at: datetime
    predecessor: str | None = None
    successor: str | None = None  # the last one given for it
    first_used_at: datetime | None = None
    dead: bool = False


@dataclass
class _Code:
    shop: str
    expires_at: datetime
    per_user: bool
    scopes: frozenset[str] = frozenset()


class Grants:
    """Issues and checks tokens for all shops; `seed` makes the token texts repeatable."""

    def __init__(self, default_secret: str, seed: int) -> None:
        self._default_secret = default_secret
        self._random = random.Random(f"grants/{seed}")
        self._random_losses = random.Random(f"losses/{seed}")
        self._lose_next, self._lose_share = 0, 0.0
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._codes: dict[str, _Code] = {}

    def secret(self, shop: Shop) -> str:
        """The client secret of the app in this shop."""
        return shop.client_secret or self._default_secret

    def owner(self, token: str, now: datetime) -> str | None:
        """The shop an access token is for; None when unknown or expired."""
        access = self._access.get(token)
        if access is None or (access.expires_at is not None and access.expires_at <= now):
            return None
        return access.shop

    def revoke(self, shop: str) -> None:
        """Make every token of a shop unknown, as an uninstall does."""
        self._access = {t: a for t, a in self._access.items() if a.shop != shop}
        self._refresh = {t: r for t, r in self._refresh.items() if r.shop != shop}

    def session_token(self, shop: Shop, user: int, now: datetime) -> str:
        """What the admin hands to an embedded app: a minute's proof of the shop and its user (facts 4.3)."""
        begins = int(now.timestamp())
        claims = {
            "iss": f"https://{shop.domain}/admin",
            "dest": f"https://{shop.domain}",
            "aud": shop.client_id,
            "sub": str(user),
            "exp": begins + SESSION_SECONDS,
            "nbf": begins,
            "iat": begins,
            "jti": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            "sid": self._token(""),
        }
        return jwt.encode(claims, self.secret(shop), algorithm="HS256")

    # -- authorize

    def authorize(self, state: ShopState, request: SimRequest, now: datetime) -> SimResponse:
        """302 to the redirect address with code, hmac, host, shop, state, timestamp, once the merchant agreed.

        Agreeing is ``agree=1`` in the query, which the consent page of a shop that `asks` sends; other shops agree at
        once. The scopes asked for are granted when the code is redeemed; one that does not exist breaks it here.
        """
        query = dict(request.query)
        redirect = query.get("redirect_uri", "")
        allowed = state.shop.redirect_uris
        asked = frozenset(scope for scope in query.get("scope", "").split(",") if scope)
        unknown = sorted(scope for scope in asked if not _SCOPE.fullmatch(scope) or scope in _NO_SCOPES)
        if query.get("client_id") != state.shop.client_id:
            return _error(GrantError(400, "application_cannot_be_found", "No such application."))
        if urlsplit(redirect).scheme not in ("http", "https") or (allowed is not None and redirect not in allowed):
            return _error(GrantError(400, "invalid_request", "The redirect_uri is not whitelisted"))
        if unknown:
            return _error(GrantError(400, "invalid_scope", f"Invalid scopes: {', '.join(unknown)}"))
        if state.shop.asks and query.get("agree") != "1":
            return _consent(state.shop, asked, [pair for pair in request.query if pair[0] != "agree"])
        code = self._token("")
        per_user = ("grant_options[]", "per-user") in request.query
        self._codes[code] = _Code(state.shop.domain, now + CODE_LIFE, per_user, asked)
        answer = {
            "code": code,
            "host": _host(state.shop),
            "shop": state.shop.domain,
            "state": query.get("state", ""),
            "timestamp": str(int(now.timestamp())),
        }
        join = "&" if urlsplit(redirect).query else "?"
        return SimResponse(302, {"location": f"{redirect}{join}{self._signed(state.shop, answer)}"}, b"")

    def link(self, shop: Shop, app_url: str, now: datetime) -> str:
        """Where Shopify sends a merchant who installs the app or opens it: the app's address, signed."""
        answer = {"shop": shop.domain, "timestamp": str(int(now.timestamp())), "host": _host(shop)}
        return f"{app_url}?{self._signed(shop, answer)}"

    def _signed(self, shop: Shop, answer: dict[str, str]) -> str:
        # facts 4.2: sorted k=v joined by &, form encoding with %20 for a space, hex
        message = urlencode(sorted(answer.items())).replace("+", "%20")
        digest = hmac.new(self.secret(shop).encode(), message.encode(), hashlib.sha256).hexdigest()
        return urlencode({**answer, "hmac": digest})

    def lose(self, count: int = 0, share: float = 0.0) -> None:
        """Lose the answers of the next `count` grants after they happened, and then `share` (0..1) of all others."""
        self._lose_next, self._lose_share = count, share

    def _loses(self) -> bool:
        if self._lose_next > 0:
            self._lose_next -= 1
            return True
        return self._lose_share > 0 and self._random_losses.random() < self._lose_share

    # -- access_token

    def access_token(self, state: ShopState, request: SimRequest, now: datetime) -> SimResponse:
        """POST /admin/oauth/access_token, JSON or form."""
        try:
            fields = _fields(request)
            self._check_client(state.shop, fields)
            answer = json_response(self._grant(state, fields, now))
            return LOST if self._loses() else answer
        except GrantError as error:
            return _error(error)

    def _check_client(self, shop: Shop, fields: Mapping[str, str]) -> None:
        given = fields.get("client_secret", "")
        same_id = fields.get("client_id") == shop.client_id
        if not same_id or not hmac.compare_digest(given.encode(), self.secret(shop).encode()):
            raise GrantError(401, "invalid_client", "Client authentication failed.")

    def _grant(self, state: ShopState, fields: Mapping[str, str], now: datetime) -> dict[str, Any]:
        kind = fields.get("grant_type", "")
        expiring = fields.get("expiring") == "1"
        if not state.installed and "code" not in fields:
            raise GrantError(401, "invalid_client", "The app is not installed in this shop.")
        if kind == "client_credentials":
            if not state.shop.own_organisation:
                raise GrantError(400, "shop_not_permitted", "Client credentials cannot be performed on this shop.")
            token = self._issue(state.shop.domain, now, CLIENT_CREDENTIALS_SECONDS)
            return {"access_token": token, "scope": _scope(state), "expires_in": CLIENT_CREDENTIALS_SECONDS}
        if kind == GRANT_EXCHANGE:
            return self._exchange(state, fields, now, expiring)
        if kind == "refresh_token":
            return self._rotate(state, fields.get("refresh_token", ""), now)
        if kind in ("", "authorization_code") and "code" in fields:
            code = self._codes.pop(fields["code"], None)
            if code is None or code.shop != state.shop.domain or code.expires_at <= now:
                raise GrantError(400, "invalid_request", "The authorization code was not found or was already used.")
            state.installed = True
            if code.scopes and not code.per_user:
                state.scopes = set(code.scopes)
            return self._online(state, now) if code.per_user else self._offline(state, now, expiring, None)
        raise GrantError(400, "unsupported_grant_type", "The grant type is not supported.")

    def _exchange(self, state: ShopState, fields: Mapping[str, str], now: datetime, expiring: bool) -> dict[str, Any]:
        subject, subject_type = fields.get("subject_token", ""), fields.get("subject_token_type")
        wanted = fields.get("requested_token_type")
        if subject_type == TYPE_OFFLINE and wanted == TYPE_OFFLINE and expiring:
            # migration of a token that never expires (4.4): irreversible, the old one is gone
            known = self._access.get(subject)
            if known is None or known.shop != state.shop.domain or known.expires_at is not None:
                raise GrantError(400, "invalid_subject_token", "The subject token is not a non-expiring token.")
            del self._access[subject]
            return self._offline(state, now, True, None)
        if subject_type != TYPE_ID_TOKEN or wanted not in (TYPE_OFFLINE, TYPE_ONLINE):
            raise GrantError(400, "invalid_request", "Unknown token type.")
        user = self._check_session(state.shop, subject, now)
        return self._online(state, now, user) if wanted == TYPE_ONLINE else self._offline(state, now, expiring, None)

    def _check_session(self, shop: Shop, token: str, now: datetime) -> int:
        """The user of a session token, which must be ours, for this shop, and alive by our clock (4.3)."""
        refused = GrantError(400, "invalid_subject_token", "The subject token is invalid.")
        # the times are checked against the simulator's clock, which pyjwt does not know
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        options["require"] = ["exp", "nbf", "dest", "iss"]
        try:
            claims = jwt.decode(
                token,
                self.secret(shop),
                algorithms=["HS256"],
                audience=shop.client_id,
                options=options,
            )
        except jwt.InvalidTokenError:
            raise refused from None
        instant = now.timestamp()
        alive = claims["nbf"] - SESSION_LEEWAY_SECONDS <= instant < claims["exp"] + SESSION_LEEWAY_SECONDS
        hosts = {urlsplit(str(claims["dest"])).hostname, urlsplit(str(claims["iss"])).hostname}
        if not alive or hosts != {shop.domain}:
            raise refused
        user = str(claims.get("sub", ""))
        return int(user) if user.isdecimal() else USER

    def _rotate(self, state: ShopState, token: str, now: datetime) -> dict[str, Any]:
        """A new pair for a refresh token.

        The token stays usable until one of its successors is used, at most 30 days after its first use and
        never beyond its own 90 days (rule of 2026-08-28): a lost answer can be asked for again. Asking again takes
        the successor given before back: one expiring token per app and shop is current. Whether Shopify does is not
        known; a client that lives with it lives with the other too.
        """
        known = self._refresh.get(token)
        spent = known is None or known.dead or known.expires_at <= now or known.shop != state.shop.domain
        if known is None or spent or (known.first_used_at is not None and known.first_used_at + REUSE <= now):
            raise GrantError(400, "invalid_grant", "The refresh token is invalid, expired or was replaced.")
        if known.first_used_at is None:
            known.first_used_at = now
        self._mark_used(known)
        if known.successor in self._refresh:
            self._refresh[known.successor].dead = True
        pair = self._offline(state, now, True, token)
        known.successor = pair["refresh_token"]
        return pair

    def _mark_used(self, refresh: _Refresh) -> None:
        if refresh.predecessor is not None and refresh.predecessor in self._refresh:
            self._refresh[refresh.predecessor].dead = True

    def _offline(self, state: ShopState, now: datetime, expiring: bool, predecessor: str | None) -> dict[str, Any]:
        domain = state.shop.domain
        if not expiring:
            return {"access_token": self._issue(domain, now, None), "scope": _scope(state)}
        refresh = self._token("shprt_")
        self._refresh[refresh] = _Refresh(domain, now + timedelta(seconds=REFRESH_SECONDS), predecessor)
        return {
            "access_token": self._issue(domain, now, ACCESS_SECONDS, refresh),
            "scope": _scope(state),
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh,
            "refresh_token_expires_in": REFRESH_SECONDS,
        }

    def _online(self, state: ShopState, now: datetime, user: int = USER) -> dict[str, Any]:
        return {
            "access_token": self._issue(state.shop.domain, now, ONLINE_SECONDS),
            "scope": _scope(state),
            "expires_in": ONLINE_SECONDS,
            "associated_user_scope": _scope(state),
            "associated_user": {
                "id": user,
                "first_name": "Frieda",
                "last_name": "Beispiel",
                "email": f"user-{user}@{state.shop.domain}",
                "email_verified": True,
                "account_owner": user == USER,
                "collaborator": False,
                "locale": "de",
            },
        }

    def _issue(self, shop: str, now: datetime, seconds: int | None, refresh: str | None = None) -> str:
        token = self._token("shpat_")
        expires = None if seconds is None else now + timedelta(seconds=seconds)
        self._access[token] = _Access(shop, expires, refresh)
        return token

    def _token(self, prefix: str) -> str:
        return f"{prefix}{self._random.getrandbits(128):032x}"


def _host(shop: Shop) -> str:
    return base64.b64encode(f"admin.shopify.com/store/{shop.domain.split('.')[0]}".encode()).decode().rstrip("=")


def _consent(shop: Shop, asked: frozenset[str], query: Sequence[tuple[str, str]]) -> SimResponse:
    """The page on which a merchant reads what the app wants, and agrees."""
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in sorted(asked))
    fields = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in query)
    body = f"<!doctype html><meta charset=utf-8><title>Install app</title><h1>{escape(shop.name)}</h1><ul>{wanted}</ul>"
    body += f'<form method="get">{fields}<button name="agree" value="1">Install</button></form>'
    return SimResponse(200, {"content-type": "text/html; charset=utf-8"}, body.encode())


def _scope(state: ShopState) -> str:
    """The granted scopes; a read scope implied by its write scope is left out, as Shopify may do (4.2)."""
    return ",".join(sorted(s for s in state.scopes if s.replace("read_", "write_", 1) == s or not _implied(s, state)))


def _implied(scope: str, state: ShopState) -> bool:
    return scope.startswith("read_") and scope.replace("read_", "write_", 1) in state.scopes


def _fields(request: SimRequest) -> dict[str, str]:
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        try:
            decoded = json.loads(request.body)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise GrantError(400, "invalid_request", "The body is not a JSON object.")
        return {str(k): str(v) for k, v in decoded.items() if v is not None}
    pairs: Sequence[tuple[str, str]] = parse_qsl(request.body.decode("utf-8", "replace"))
    return dict(pairs)


def _error(error: GrantError) -> SimResponse:
    return json_response({"error": error.code, "error_description": str(error)}, error.status)
