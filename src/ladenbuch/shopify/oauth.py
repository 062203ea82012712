"""Shopify's authorisation without I/O: what to send, what to check, what to believe.

    install link ──> check_query ──> authorise_url ──> (merchant agrees) ──> check_callback ──> code_body
                                                                       then  parse_token_response ──> Token

The other grants: `client_credentials_body` (shops of the app's own organisation), `token_exchange_body` (embedded
apps), `refresh_body`, `migration_body`. Nothing here reads a clock or a random source; both come as arguments.
Secrets and tokens are hidden in every `repr`, and no error text carries one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode

import jwt
import msgspec

from ladenbuch.domain import failures
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.shopify.webhooks import shop_domain

Pairs = Sequence[tuple[str, str]]

#: Shopify's own libraries accept this distance between the signed timestamp and now, in seconds.
TIMESTAMP_WINDOW = 90
#: Leeway for session tokens, in seconds; the same in all official libraries.
SESSION_LEEWAY = 10
#: How long a merchant may look at the consent screen, in seconds.
STATE_LIFE = 600

_ONCE = ("hmac", "shop", "state", "code", "timestamp", "host")
_ADMIN_STORE = re.compile(r"admin\.shopify\.com/store/([a-z0-9][a-z0-9-]*)/?", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,12}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{1,500}={0,2}", re.ASCII)
_PATH = re.compile(r"[a-zA-Z0-9/_-]{0,200}", re.ASCII)
_BOT = re.compile(
    r"(?<!cu)bots?\b|crawl|spider|slurp|preview|facebookexternalhit|whatsapp|embedly|headless|scan(?:ner|ning)\b|archiver",
    re.IGNORECASE | re.ASCII,
)
_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
_OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
_ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"


# -- shops -----------------------------------------------------------------------------------------------------------


def sanitise_shop(text: str) -> str | None:
    """`x.myshopify.com` from what a person or a query gives, None when it is nothing else than a trap.

    Accepts case, surrounding blanks, a scheme, one trailing slash, and the admin's `admin.shopify.com/store/x`.
    Refuses user info, ports, paths, suffixes and prefixes of other hosts, line breaks.
    """
    if not text.isascii():
        return None
    shown = text.strip(" \t").lower()
    for scheme in ("https://", "http://"):
        shown = shown.removeprefix(scheme)
    admin = _ADMIN_STORE.fullmatch(shown)
    return shop_domain(f"{admin.group(1)}.myshopify.com" if admin else shown.removesuffix("/"))


def sanitise_host(text: str) -> str | None:
    """What the `host` parameter decodes to (`admin.shopify.com/store/x`, `x.myshopify.com/admin`), None for a trap.

    It says where the app was opened from; nothing but Shopify's own hosts is ever sent back to.
    """
    if not _BASE64.fullmatch(text):
        return None
    try:
        shown = base64.b64decode(text.rstrip("=").ljust(-(-len(text.rstrip("=")) // 4) * 4, "=")).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    name, _, path = shown.partition("/")
    trusted = name == "admin.shopify.com" or shop_domain(name) == name
    return shown if trusted and _PATH.fullmatch(path) else None


def looks_like_a_bot(user_agent: str | None) -> bool:
    """Whether a request comes from a crawler or link preview, which must not begin or end an installation (410)."""
    return user_agent is not None and _BOT.search(user_agent) is not None


def scopes_satisfied(granted: str | Iterable[str], wanted: str | Iterable[str]) -> bool:
    """Whether the granted scopes cover the wanted ones; `write_x` implies `read_x`, also behind `unauthenticated_`."""
    return not missing_scopes(granted, wanted)


def missing_scopes(granted: str | Iterable[str], wanted: str | Iterable[str]) -> list[str]:
    """The wanted scopes that are neither granted nor implied, sorted."""
    return sorted(scope_set(wanted) - with_implied(granted))


def with_implied(granted: str | Iterable[str]) -> frozenset[str]:
    """The granted scopes and the read scopes their write scopes imply, which Shopify may leave out (facts 4.2)."""
    have = scope_set(granted)
    return have | {re.sub(r"^(unauthenticated_)?write_", r"\1read_", scope) for scope in have}


def scope_set(given: str | Iterable[str]) -> frozenset[str]:
    """Scopes from a list or from Shopify's comma-separated text."""
    parts = given.split(",") if isinstance(given, str) else given
    return frozenset(part.strip() for part in parts if part.strip())


# -- signed queries --------------------------------------------------------------------------------------------------


def query_message(pairs: Pairs, *, delimiters_only: bool = False) -> str:
    """The text Shopify signs: without `hmac` and `signature`, sorted by key, form-encoded with `%20` for a space.

    Shopify's own libraries disagree: the JavaScript one encodes as forms do (the default here), the older Python one
    escapes only `%`, `&` and, in keys, `=` (`delimiters_only`). Both texts decode to the same parameters, so a
    signature over either proves them. A list parameter `ids[]` is signed in its list form, `ids=["2", "1"]`. A key
    given twice otherwise raises `Rejected("OAUTH-QUERY")`: two readers could each believe another value.
    """
    encode_key, encode_value = (_escape_key, _escape) if delimiters_only else (_encode, _encode)
    scalars: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for key, value in pairs:
        if key in ("hmac", "signature"):
            continue
        if key.endswith("[]"):
            lists.setdefault(key[:-2], []).append(value)
        elif key in scalars:
            raise Rejected("OAUTH-QUERY", f"the parameter {key[:40]!r} is given twice")
        else:
            scalars[key] = value
    if lists.keys() & scalars.keys():
        raise Rejected("OAUTH-QUERY", "a parameter is given as a value and as a list")
    signed = [(key, f"{encode_key(key)}={encode_value(value)}") for key, value in scalars.items()]
    for key, values in lists.items():
        shown = ", ".join(f'"{value}"' for value in values)
        signed.append((key, f"{_escape_key(key)}=[{_escape(shown)}]"))
    return "&".join(part for _, part in sorted(signed))


def query_hmac(pairs: Pairs, secret: str) -> str:
    """The hex HMAC-SHA256 of `query_message`."""
    return hmac.new(secret.encode(), _bytes(query_message(pairs)), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    """UTF-8 of a text that came from outside and may hold half a surrogate."""
    return text.encode("utf-8", "surrogatepass")


def _encode(text: str) -> str:
    # JavaScript's URLSearchParams leaves "*-._" alone and writes a space as "+", which the library turns into %20.
    return quote(_bytes(text), safe="*-._").replace("~", "%7E")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")


def _escape_key(text: str) -> str:
    return _escape(text).replace("=", "%3D")


def check_query(pairs: Pairs, secrets: Sequence[str], now: datetime) -> str:
    """The shop of a signed query (an install link), else `Rejected`: OAUTH-QUERY, OAUTH-HMAC, OAUTH-TIMESTAMP,
    OAUTH-SHOP. `secrets` are the current and, during a rotation, the previous client secret."""
    given = _single(pairs)
    claimed = given.get("hmac", "")
    messages = [query_message(pairs), query_message(pairs, delimiters_only=True)]
    genuine = False
    for secret in secrets:
        for message in messages if secret else ():  # an empty secret would let anybody sign
            digest = hmac.new(secret.encode(), _bytes(message), hashlib.sha256).hexdigest()
            genuine |= hmac.compare_digest(digest.encode(), _bytes(claimed))
    if not genuine:
        raise Rejected("OAUTH-HMAC", "the signature of the link is missing or wrong")
    stamp = given.get("timestamp", "")
    if not _INTEGER.fullmatch(stamp) or abs(now.timestamp() - int(stamp)) > TIMESTAMP_WINDOW:
        raise Rejected("OAUTH-TIMESTAMP", f"the link is not from the last {TIMESTAMP_WINDOW} seconds")
    shop = shop_domain(given.get("shop", ""))
    if shop is None:
        raise Rejected("OAUTH-SHOP", "not a myshopify.com domain")
    return shop


def _single(pairs: Pairs) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in _ONCE and key in found:
            raise Rejected("OAUTH-QUERY", f"the parameter {key!r} is given twice")
        if key.removesuffix("[]") in _ONCE and key.endswith("[]"):
            raise Rejected("OAUTH-QUERY", f"the parameter {key!r} must not be a list")
        found[key] = value
    return found


# -- authorisation code grant ----------------------------------------------------------------------------------------


def authorise_url(
    base_url: str, *, client_id: str, scopes: Iterable[str], redirect_uri: str, state: str, online: bool = False
) -> str:
    """Where to send the merchant. `base_url` is `https://{shop}`; `state` is at least 32 random bytes in hex."""
    query = [
        ("client_id", client_id),
        ("scope", ",".join(sorted(scope_set(scopes)))),
        ("redirect_uri", redirect_uri),
        ("state", state),
    ]
    if online:
        query.append(("grant_options[]", "per-user"))
    return f"{base_url.rstrip('/')}/admin/oauth/authorize?{urlencode(query, quote_via=quote)}"


def token_url(base_url: str) -> str:
    """Where every grant is POSTed."""
    return f"{base_url.rstrip('/')}/admin/oauth/access_token"


#: Why a person was sent to Shopify: to let the app in, or to say who they are.
Purpose = Literal["install", "person"]


@dataclass(frozen=True, slots=True)
class Callback:
    """A checked callback: the shop that agreed, the code to exchange once, the state to use up, and what it is for."""

    shop: str
    code: str = field(repr=False)
    state: str = field(repr=False)
    purpose: Purpose = "install"


def check_callback(
    pairs: Pairs, *, secrets: Sequence[str], cookie: str | None, cookie_key: bytes, now: datetime
) -> Callback:
    """Check a callback completely: signature, time, shop, and that this browser began it for this shop.

    `cookie` is what `state_cookie` made. Raises `Rejected`: those of `check_query`, OAUTH-STATE, OAUTH-CODE.
    """
    shop = check_query(pairs, secrets, now)
    given = _single(pairs)
    state, purpose = _read_state(cookie, cookie_key, shop, now)
    if not hmac.compare_digest(state.encode(), _bytes(given.get("state", ""))):
        raise Rejected("OAUTH-STATE", "the state does not belong to this browser")
    code = given.get("code", "")
    if not code:
        raise Rejected("OAUTH-CODE", "the code is missing")
    return Callback(shop, code, state, purpose)


def signing_key(client_secret: str, purpose: str = "state-cookie") -> bytes:
    """A key for cookies, derived from the client secret, so that nothing signed with it is a webhook signature."""
    return hmac.new(client_secret.encode(), b"ladenbuch/" + purpose.encode(), hashlib.sha256).digest()


def state_cookie(key: bytes, state: str, shop: str, now: datetime, purpose: Purpose = "install") -> str:
    """The signed cookie value `expiry.purpose.state.shop.signature`; Secure, HttpOnly, SameSite=Lax, gone on use."""
    body = f"{int(now.timestamp()) + STATE_LIFE}.{purpose}.{state}.{shop}"
    return f"{body}.{hmac.new(key, body.encode(), hashlib.sha256).hexdigest()}"


def _read_state(cookie: str | None, key: bytes, shop: str, now: datetime) -> tuple[str, Purpose]:
    """The state in a cookie that we signed for this shop and that has not expired, and what it is for."""
    body, _, signature = (cookie or "").rpartition(".")
    expected = hmac.new(key, _bytes(body), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), _bytes(signature)):
        raise Rejected("OAUTH-STATE", "the state cookie is missing or not ours")
    expiry, purpose, state, owner = body.split(".", 3)
    if int(expiry) < now.timestamp():
        raise Rejected("OAUTH-STATE", "the installation took too long; start it again")
    if owner != shop:
        raise Rejected("OAUTH-STATE", "the state belongs to another shop")
    return state, "person" if purpose == "person" else "install"


# -- grants ----------------------------------------------------------------------------------------------------------


# Each body is for a POST to `token_url`, as JSON or form. They carry secrets: send them, never log them.


def code_body(client_id: str, client_secret: str, code: str, *, online: bool = False) -> dict[str, str]:
    """The code of a callback, for an expiring offline token, or for the token of the person who agreed."""
    return {**_client(client_id, client_secret), "code": code, "expiring": "0" if online else "1"}


def client_credentials_body(client_id: str, client_secret: str) -> dict[str, str]:
    """A 24 hour token for a shop of the app's own organisation; there is no refresh token."""
    return {**_client(client_id, client_secret), "grant_type": "client_credentials"}


def token_exchange_body(
    client_id: str, client_secret: str, session_token: str, *, online: bool = False
) -> dict[str, str]:
    """A session token, for an offline (expiring) or online token. Raises `Rejected("OAUTH-SESSION")` when empty."""
    if not session_token:
        raise Rejected("OAUTH-SESSION", "the session token is missing")
    return {
        **_client(client_id, client_secret),
        "grant_type": _TOKEN_EXCHANGE,
        "subject_token": session_token,
        "subject_token_type": _ID_TOKEN,
        "requested_token_type": _ONLINE if online else _OFFLINE,
        "expiring": "0" if online else "1",
    }


def refresh_body(client_id: str, client_secret: str, refresh_token: str) -> dict[str, str]:
    """A refresh token, for a new pair. Keep the old one: it stays usable until its successor is used.

    Raises `Rejected("OAUTH-REFRESH")` when there is none.
    """
    if not refresh_token:
        raise Rejected("OAUTH-REFRESH", "the refresh token is missing; the merchant must connect again")
    return {**_client(client_id, client_secret), "grant_type": "refresh_token", "refresh_token": refresh_token}


def migration_body(client_id: str, client_secret: str, access_token: str) -> dict[str, str]:
    """An old, never-expiring offline token, for an expiring pair. Irreversible per shop."""
    return {
        **_client(client_id, client_secret),
        "grant_type": _TOKEN_EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": _OFFLINE,
        "requested_token_type": _OFFLINE,
        "expiring": "1",
    }


def _client(client_id: str, client_secret: str) -> dict[str, str]:
    return {"client_id": client_id, "client_secret": client_secret}


Expects = Literal["pair", "expiring", "permanent"]


@dataclass(frozen=True, slots=True)
class Token:
    """What a grant gave. Instants are aware UTC. `expires_at` None only for a token that was not asked to expire.

    `user_id` is set for an online token only: it tells who is acting and never does a job's work. `granted_by` is who
    brought an offline token (the numeric id of a user of the shop) where that is known, `origin` from which network.
    """

    access_token: str = field(repr=False)
    expires_at: datetime | None
    scope: str
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    user_id: str | None = None
    granted_by: str | None = None
    origin: str | None = None

    @property
    def online(self) -> bool:
        """Whether the token is a person's, gone with their session."""
        return self.user_id is not None

    def is_expired(self, now: datetime, margin: timedelta = timedelta(minutes=5)) -> bool:
        """Whether the access token has less than `margin` left."""
        return self.expires_at is not None and self.expires_at - now < margin


def _answer(named: str, text: str) -> LadenbuchError:
    return failures.row("oauth", "answer", named).error(text)


def parse_token_response(status: int, body: bytes, now: datetime, *, expects: Expects = "pair") -> Token:
    """Read the answer of the token endpoint.

    `expects` says what was asked for: a "pair" with a refresh token, a token that is "expiring" without one (client
    credentials, online), or a "permanent" one. An answer that names no expiry where one is due, or lacks its refresh
    token, is an error: stored as "never expires" it would lose the shop an hour later. Raises `Retryable` with
    `OAUTH-DOWN` (429, 5xx), `OAUTH-UNREADABLE` or `OAUTH-INCOMPLETE`, `Rejected` with `OAUTH-GRANT` (terminal),
    `OAUTH-CLIENT`, `OAUTH-SESSION`, `OAUTH-SHOP-NOT-PERMITTED` or `OAUTH-REFUSED`.
    """
    unwell = failures.find("oauth", "status", status)
    if unwell is not None:
        raise unwell.error(f"the token endpoint answered {status}")
    answer = _object(body)
    if status != 200:
        error = answer.get("error") if answer else None
        refused = failures.find("oauth", "code", str(error)) or failures.UNKNOWN
        raise refused.error(refused.text or f"the token endpoint answered {status}", detail={"status": status})
    if answer is None:
        raise _answer("no JSON", "the token endpoint's answer is not JSON")
    access, scope, refresh = answer.get("access_token"), answer.get("scope"), answer.get("refresh_token")
    if not isinstance(access, str) or not access:
        raise _answer("no token", "the token endpoint's answer has no access token")
    life = _life(answer.get("expires_in"))
    refresh_life = _life(answer.get("refresh_token_expires_in"))
    paired = isinstance(refresh, str) and bool(refresh) and refresh_life is not None
    if life is None and (expects != "permanent" or refresh is not None):
        raise _answer("no expiry", "the token endpoint does not say when the access token expires")
    if expects == "pair" and not paired:
        raise _answer("no expiry", "the token endpoint's answer has no refresh token, or no expiry of it")
    return Token(
        access_token=access,
        expires_at=None if life is None else now + timedelta(seconds=life),
        scope=scope if isinstance(scope, str) else "",
        refresh_token=refresh if paired else None,
        refresh_expires_at=now + timedelta(seconds=refresh_life) if paired and refresh_life is not None else None,
        user_id=_user(answer.get("associated_user")),
    )


def _user(value: object) -> str | None:
    """The id of the person an online token belongs to; name and address of that person are not read."""
    found = value.get("id") if isinstance(value, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _life(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
        return None
    return value


# -- session tokens --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A verified session token. `user_id` only for tokens of the admin with a numeric subject."""

    shop: str
    user_id: str | None
    session_id: str | None
    token_id: str | None
    expires_at: datetime


def bearer(header: str | None) -> str:
    """The token of an `Authorization: Bearer …` header. Raises `Rejected("SESSION-TOKEN")` for anything else."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Rejected("SESSION-TOKEN", "no bearer token")
    return token.strip()


def claimed_shop(token: str) -> str | None:
    """The shop a session token says it is from, unproven: good for choosing whose secrets to try, for nothing else."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return _host(_text(claims, "dest"))


def verify_session_token(token: str, *, client_id: str, secrets: Sequence[str], now: datetime) -> SessionToken:
    """Verify a session token (HS256 and nothing else, ours by `aud`, in time, issuer and destination the same shop).

    The shop comes from `dest`, never from a query. Raises `Rejected("SESSION-TOKEN")`.
    """
    claims = _claims(token, client_id, [secret for secret in secrets if secret])
    stamp = now.timestamp()
    expires, begins = _moment(claims, "exp"), _moment(claims, "nbf")
    if expires is None or stamp >= expires + SESSION_LEEWAY:
        raise Rejected("SESSION-TOKEN", "expired")
    if begins is None or stamp < begins - SESSION_LEEWAY:
        raise Rejected("SESSION-TOKEN", "not valid yet")
    issuer, destination = _text(claims, "iss"), _text(claims, "dest")
    shop = _host(destination)
    if shop is None or _host(issuer.removesuffix("/admin")) != shop:
        raise Rejected("SESSION-TOKEN", "issuer and destination are not the same shop")
    subject = _text(claims, "sub")
    from_admin = issuer.endswith("/admin") and _INTEGER.fullmatch(subject) is not None
    return SessionToken(
        shop=shop,
        user_id=subject if from_admin else None,
        session_id=_text(claims, "sid") or None,
        token_id=_text(claims, "jti") or None,
        expires_at=datetime.fromtimestamp(expires, UTC),
    )


def _claims(token: str, client_id: str, secrets: Sequence[str]) -> Mapping[str, Any]:
    # times are checked above against the clock we were given, not against the library's own
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "nbf", "aud"]}
    options["strict_aud"] = True  # one audience, as a text: Shopify's libraries refuse a list as well
    for secret in secrets:
        try:
            return jwt.decode(token, secret, algorithms=["HS256"], audience=client_id, options=options)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            break
    raise Rejected("SESSION-TOKEN", "not a session token for this app")


def _moment(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**11:
        return None
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _host(url: str) -> str | None:
    return shop_domain(url.removeprefix("https://")) if url.startswith("https://") else None
