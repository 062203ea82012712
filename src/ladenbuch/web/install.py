"""How a shop lets the connector in, and how a person of the shop says who they are.

    GET  /install         the app's address: Shopify sends the merchant here, signed ──► Shopify's consent screen
    GET  /reconnect       the same for a shop that is known already, unsigned; with `optional`, asking for more scopes
    GET  /auth/callback   back with a code: every check, then the token is kept with its tenant
    GET  /auth/person     who is it? an online token is asked for, its person noted in the audit log, the token dropped
    POST /auth/session    from inside the admin: a session token, exchanged where the shop has no token of its own yet
    GET  /auth/bounce     a page that fetches a fresh session token and goes back to where it came from

Nothing is believed that is not signed: not the shop, not the browser, not the address we are called by. Each refusal is
a 4xx with a code and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address, ip_network
from typing import NoReturn
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.grants import Kind
from ladenbuch.shopify import oauth
from ladenbuch.shopify.oauth import Purpose, SessionToken, Token
from ladenbuch.shopify.token_endpoint import App, TokenEndpoint
from ladenbuch.web.words import language_of

log = logging.getLogger(__name__)

COOKIE = "__Secure-ladenbuch-install"
CALLBACK = "/auth/callback"
#: What Shopify's App Bridge looks for to fetch another session token and try once more.
RETRY = {"X-Shopify-Retry-Invalid-Session-Request": "1"}

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_APP_BRIDGE = "https://cdn.shopify.com/shopifycloud/app-bridge.js"
_STATUS = {
    "OAUTH-HMAC": 401,
    "OAUTH-STATE": 403,
    "OAUTH-BOT": 410,
    "OAUTH-UNKNOWN": 404,
    "SESSION-TOKEN": 401,
    "OAUTH-SESSION": 401,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a shop: its tenant, None for a stranger; whether it has a usable grant; its scopes."""

    tenant: str | None = None
    connected: bool = False
    scopes: frozenset[str] = frozenset()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes are given. `app_url` has no trailing slash; `state` makes 32 random bytes in hex.

    `granted` keeps a token and names the tenant, `person` notes who it was, `use_state` says False when a state is
    used a second time.
    """

    app_url: str
    endpoint: TokenEndpoint
    app_for: Callable[[str], App | None]
    standing: Callable[[str], Standing]
    granted: Callable[[str, Kind, Token], str]
    person: Callable[[str, Token], None]
    use_state: Callable[[str], bool]
    clock: Callable[[], datetime]
    state: Callable[[], str]
    scopes: Sequence[str]
    optional_scopes: Sequence[str] = ()

    @property
    def redirect_uri(self) -> str:
        """The one address Shopify may send a merchant back to; never made from what a request says."""
        return f"{self.app_url}{CALLBACK}"


def create_install(door: Door) -> list[Route]:
    """The routes of an installation."""
    return [
        _page("/install", door, _install),
        _page("/reconnect", door, _reconnect),
        _page("/auth/person", door, _who),
        _page(CALLBACK, door, _callback),
        Route("/auth/session", lambda request: _exchange(door, request), methods=["POST"]),
        Route("/auth/bounce", lambda request: _bounce(door, request), methods=["GET"]),
    ]


# -- going to Shopify ------------------------------------------------------------------------------------------------


def _install(door: Door, request: Request) -> Response:
    pairs = _pairs(request)
    app = _app(door, dict(pairs).get("shop", ""))
    shop = oauth.check_query(pairs, app.secrets, door.clock())
    known = door.standing(shop)
    if known.connected and oauth.scopes_satisfied(known.scopes, door.scopes):
        return _said(request, "connected", shop, known.off)
    return _begin(door, app, shop, door.scopes)


def _reconnect(door: Door, request: Request) -> Response:
    """Unsigned, so it does nothing but send a shop we know to its own consent screen."""
    shop = _known_shop(door, request)
    asked = oauth.scope_set(request.query_params.get("optional", ""))
    if not asked <= set(door.optional_scopes):
        raise Rejected("OAUTH-QUERY", "only scopes of LADENBUCH_OPTIONAL_SCOPES can be asked for")
    kept = set(door.optional_scopes) & door.standing(shop).scopes
    return _begin(door, _app(door, shop), shop, [*door.scopes, *asked, *kept])


def _who(door: Door, request: Request) -> Response:
    """As `_reconnect`, for the person: what is asked for is only who they are."""
    shop = _known_shop(door, request)
    return _begin(door, _app(door, shop), shop, door.scopes, "person")


def _begin(door: Door, app: App, shop: str, scopes: Sequence[str], purpose: Purpose = "install") -> Response:
    state = door.state()
    url = oauth.authorise_url(
        door.endpoint.base(shop),
        client_id=app.client_id,
        scopes=scopes,
        redirect_uri=door.redirect_uri,
        state=state,
        online=purpose == "person",
    )
    answer = RedirectResponse(url, 302, headers=_HEADERS)
    key = oauth.signing_key(app.secret)
    answer.set_cookie(
        COOKIE,
        oauth.state_cookie(key, state, shop, door.clock(), purpose),
        max_age=oauth.STATE_LIFE,
        path=urlsplit(door.redirect_uri).path,
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return answer


# -- coming back -----------------------------------------------------------------------------------------------------


def _callback(door: Door, request: Request) -> Response:
    pairs = _pairs(request)
    app = _app(door, dict(pairs).get("shop", ""))
    back = oauth.check_callback(
        pairs,
        secrets=app.secrets,
        cookie=_cookie(request),
        cookie_key=oauth.signing_key(app.secret),
        now=door.clock(),
    )
    if not door.use_state(back.state):
        raise Rejected("OAUTH-STATE", "this installation was answered already; start it again")
    if back.purpose == "person":
        token = door.endpoint.person(app, back.shop, back.code)
        door.person(back.shop, token)
        return _said(request, "person", back.shop)
    token = replace(door.endpoint.redeem(app, back.shop, back.code), origin=_network(request))
    tenant = door.granted(back.shop, "authorization_code", token)
    log.info("a shop was connected", extra={"tenant": tenant})
    return _said(request, "installed", back.shop, door.standing(back.shop).off)


# -- from inside the admin -------------------------------------------------------------------------------------------


def session_of(door: Door, request: Request) -> SessionToken:
    """Who is asking from inside the admin, by the session token of the request; for every embedded route.

    The shop is the token's, never a parameter's: one that names another is refused. Raises Rejected("SESSION-TOKEN").
    """
    given = request.headers.get("authorization")
    token = oauth.bearer(given) if given is not None else request.query_params.get("id_token", "")
    app = door.app_for(oauth.claimed_shop(token) or "")
    if app is None:
        raise Rejected("SESSION-TOKEN", "not a session token for this app")
    session = oauth.verify_session_token(token, client_id=app.client_id, secrets=app.secrets, now=door.clock())
    named = request.query_params.getlist("shop")
    if any(name != session.shop for name in named):
        raise Rejected("SESSION-TOKEN", "the address names another shop than the session")
    return session


def refused_session(door: Door, request: Request, error: LadenbuchError) -> Response:
    """What an embedded route answers then: a fetch is told to try with a fresh token, a page is sent to get one."""
    if request.headers.get("authorization") is None and request.method == "GET":
        query = [(key, value) for key, value in request.query_params.multi_items() if key != "id_token"]
        back = request.url.path + ("?" + "&".join(f"{quote(k)}={quote(v)}" for k, v in query) if query else "")
        return RedirectResponse(f"{door.app_url}/auth/bounce?shopify-reload={quote(back, safe='')}", 302, _HEADERS)
    return JSONResponse({"code": error.code}, 401, headers={**_HEADERS, **RETRY})


def _exchange(door: Door, request: Request) -> Response:
    """A shop that opened the app in its admin: connected by exchanging the session token where that is needed."""
    try:
        session = session_of(door, request)
        known = door.standing(session.shop)
        if not (known.connected and oauth.scopes_satisfied(known.scopes, door.scopes)):
            token = door.endpoint.exchange(_app(door, session.shop), session.shop, _bearer(request))
            token = replace(token, granted_by=session.user_id, origin=_network(request))
            door.granted(session.shop, "token_exchange", token)
            known = door.standing(session.shop)
    except LadenbuchError as error:
        if _STATUS.get(error.code) == 401:
            return refused_session(door, request, error)
        return JSONResponse({"code": error.code}, _status(error), headers=_HEADERS)
    told = {"shop": session.shop, "tenant": known.tenant, "off": list(known.off)}
    return JSONResponse(told, headers=_HEADERS)


def _bearer(request: Request) -> str:
    given = request.headers.get("authorization")
    return oauth.bearer(given) if given is not None else request.query_params.get("id_token", "")


def _bounce(door: Door, request: Request) -> Response:
    """App Bridge sees `shopify-reload`, fetches a session token and goes there; only to a path of ours."""
    back = request.query_params.get("shopify-reload", "")
    app = door.app_for("")
    if app is None or not back.startswith("/") or back.startswith(("//", "/\\")):
        return Response("not found", 404, headers=_HEADERS)
    script = f'<script data-api-key="{escape(app.client_id)}" src="{_APP_BRIDGE}"></script>'
    policy = "default-src 'none'; script-src https://cdn.shopify.com; connect-src 'self' https://cdn.shopify.com; "
    policy += "frame-ancestors https://admin.shopify.com https://*.myshopify.com; base-uri 'none'"
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return HTMLResponse(f"<!doctype html><meta charset=utf-8>{script}", headers=headers)


# -- small things ----------------------------------------------------------------------------------------------------


def _page(path: str, door: Door, answer: Callable[[Door, Request], Response]) -> Route:
    """A page a browser goes to: refusals become pages, and the cookie of an installation does not outlive its use."""

    def endpoint(request: Request) -> Response:
        try:
            _no_bots(request)
            response = answer(door, request)
        except LadenbuchError as error:
            log.warning("an installation was refused", extra={"code": error.code})
            response = _said(request, "later" if isinstance(error, Retryable) else "refused", error.code)
            response.status_code = _status(error)
        except Exception:
            log.exception("an installation failed")
            response = _said(request, "later", "BUG")
            response.status_code = 500
        if path == CALLBACK:
            uri = urlsplit(door.redirect_uri).path
            response.delete_cookie(COOKIE, path=uri, secure=True, httponly=True, samesite="lax")
        return response

    return Route(path, endpoint, methods=["GET"])


def _no_bots(request: Request) -> None:
    if oauth.looks_like_a_bot(request.headers.get("user-agent")):
        raise Rejected("OAUTH-BOT", "crawlers and previews install nothing")
    if request.method != "GET":
        raise Rejected("OAUTH-QUERY", "only GET")


def _status(error: LadenbuchError) -> int:
    return 503 if isinstance(error, Retryable) else _STATUS.get(error.code, 400)


def _pairs(request: Request) -> list[tuple[str, str]]:
    """The query as it was signed: everything, in order, empty values too."""
    raw: bytes = request.scope.get("query_string", b"")
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="surrogateescape")
    except (UnicodeDecodeError, ValueError):
        raise Rejected("OAUTH-QUERY", "the query is unreadable") from None


def _app(door: Door, shop: str) -> App:
    app = door.app_for(shop.lower())
    if app is None or not app.secrets:
        raise Rejected("OAUTH-CLIENT", "no Shopify app is configured for this shop")
    return app


def _known_shop(door: Door, request: Request) -> str:
    shop = oauth.sanitise_shop(request.query_params.get("shop", ""))
    if shop is None:
        raise Rejected("OAUTH-SHOP", "not a myshopify.com domain")
    if door.standing(shop).tenant is None:
        _unknown()
    return shop


def _unknown() -> NoReturn:
    raise Rejected("OAUTH-UNKNOWN", "this shop is not connected; install the app from Shopify")


def _cookie(request: Request) -> str | None:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _network(request: Request) -> str | None:
    """From which network, for the audit row; the last part of an address is a person's and is not kept."""
    if request.client is None:
        return None
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return None
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


_TEXTS = {
    "installed": ("{0} ist verbunden", "Die App ist installiert.", "{0} is connected", "The app is installed."),
    "connected": ("{0} ist verbunden", "Es ist nichts zu tun.", "{0} is connected", "There is nothing to do."),
    "person": ("Danke", "Wer Sie sind, steht nun im Protokoll.", "Thank you", "Who you are is in the log now."),
    "refused": (
        "Abgelehnt",
        "Es wurde nichts gespeichert. Bitte die App im Shopify-Admin erneut öffnen. ({0})",
        "Refused",
        "Nothing was stored. Please open the app in the Shopify admin again. ({0})",
    ),
    "later": (
        "Bitte noch einmal",
        "Shopify hat nicht geantwortet; es wurde nichts gespeichert. Bitte von vorn beginnen. ({0})",
        "Please try again",
        "Shopify did not answer; nothing was stored. Please start again. ({0})",
    ),
}


def _said(request: Request, what: str, about: str, more: Sequence[str] = ()) -> Response:
    """A page of two sentences, what the shop's scopes leave switched off, and the way back to where one came from."""
    language = language_of(request.headers.get("accept-language", ""))
    german = language == "de"
    title, text = _TEXTS[what][:2] if german else _TEXTS[what][2:]
    rest = "".join(f"<li>{escape(item)}</li>" for item in more)
    body = f"<h1>{escape(title.format(about))}</h1><p>{escape(text.format(about))}</p>" + (rest and f"<ul>{rest}</ul>")
    host = oauth.sanitise_host(request.query_params.get("host", ""))
    if host is not None and what in ("installed", "connected"):
        back = "Zurück zu Shopify" if german else "Back to Shopify"
        body += f'<p><a href="https://{escape(host)}">{back}</a></p>'
    head = f'<!doctype html><html lang="{language}"><meta charset=utf-8><title>{escape(title.format(about))}</title>'
    return HTMLResponse(head + body, headers=_HEADERS)
