"""Shops let us in through a browser: code grant, session tokens, persons, scopes (S7-S10, S127-S131)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page
from starlette.testclient import TestClient

from granted import APP_URL, CALLBACK, OTHER, SECRET, SHOP, Wire
from ladenbuch import audit, grants, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store
from ladenbuch.engine.inline import VirtualClock
from ladenbuch.errors import Rejected
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.web.install import COOKIE, refused_session, session_of
from ladenbuch.workflows import lifecycle, scopes
from ladenbuch.workflows.hearing import News
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SHOPIFY_TOKEN

T = "seifenladen"
KEY = "k1:" + "A" * 43 + "="
SCOPES = "read_customers,read_fulfillments,read_orders,read_payment_terms,read_products,read_returns"
BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept-language": "en",
}


class Web:
    """A served connector and two shops, under virtual time; `browser` keeps cookies as a browser does."""

    def __init__(self, database: Database, **settings: str) -> None:
        self.database = database
        self.clock = VirtualClock()
        shops = [Shop(domain, client_id="app", redirect_uris=(CALLBACK,), asks=True) for domain in (SHOP, OTHER)]
        self.shops = ShopifySimulator(self.clock.now, client_secret=SECRET, shops=shops)
        self.wire = Wire(self.shops)
        given = {
            "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
            "LADENBUCH_KEYS": KEY,
            "LADENBUCH_SHOPIFY_CLIENT_ID": "app",
            "LADENBUCH_SHOPIFY_CLIENT_SECRET": SECRET,
            "LADENBUCH_APP_URL": APP_URL,
            "LADENBUCH_OPTIONAL_SCOPES": "read_all_orders,read_shopify_payments_payouts",
            **settings,
        }
        http = httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.wire)]))
        self.vault = Vault(KeyRing.parse(KEY), database)
        ids = itertools.count(1)
        self.house = Ladenbuch(
            Settings.read({name: value for name, value in given.items() if value}),
            database,
            self.vault,
            http,
            clock=self.clock.now,
            sleep=self.clock.sleep,
            new_id=lambda: f"{next(ids):x}",
            chance=lambda: 0.5,
        )
        self.browser = self.another_browser()

    def another_browser(self, **headers: str) -> TestClient:
        app = make_app(self.house)
        return TestClient(app, APP_URL, headers={**BROWSER, **headers}, follow_redirects=False)

    def link(self, shop: str = SHOP) -> str:
        """As Shopify sends the merchant to the app."""
        return self.shops.install_link(shop, f"{APP_URL}/install")

    def agreed(self, location: str, agree: bool = True) -> str:
        """The merchant reads the consent page and agrees; where Shopify sends the browser then."""
        url = httpx2.URL(location)
        pairs = [*parse_qsl(url.query.decode()), *([("agree", "1")] if agree else [])]
        with httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.shops)])) as shop:
            answer = shop.get(url.copy_with(query=urlencode(pairs).encode()))
        return answer.headers["location"] if agree else answer.text

    def begin(self, path: str = "", browser: TestClient | None = None) -> str:
        """The way to the consent page and back: the callback's address, not opened yet."""
        answer = (browser or self.browser).get(path or self.link())
        assert answer.status_code == 302, answer.text
        return self.agreed(answer.headers["location"])

    def install(self) -> None:
        answer = self.browser.get(self.begin())
        assert answer.status_code == 200, answer.text

    def grant(self, tenant: str = T) -> grants.Grant | None:
        return self.database.tenant(tenant).read(Store.BOOKS, lambda tx: grants.get(tx, tenant))

    def secret(self, name: str, tenant: str = T) -> str | None:
        found = self.database.tenant(tenant).read(Store.BOOKS, lambda tx: self.vault.get_secret(tx, tenant, name))
        return None if found is None else found.value

    def said(self, tenant: str = T) -> list[audit.Entry]:
        return self.database.tenant(tenant).read(Store.BOOKS, lambda tx: audit.entries(tx, tenant))

    def nothing_happened(self) -> bool:
        """No tenant, no token: what a refusal must leave behind."""
        return (
            self.database.system("operator").read(Store.BOOKS, tenants.all) == [] and self.secret(SHOPIFY_TOKEN) is None
        )

    def session(self, secret: str = SECRET, alg: str = "HS256", **claims: Any) -> str:
        at = int(self.clock.now().timestamp())
        told = {"iss": f"https://{SHOP}/admin", "dest": f"https://{SHOP}", "aud": "app", "sub": "42", "jti": "j1"}
        told |= {"sid": "s1", "exp": at + 60, "nbf": at, "iat": at, **claims}
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(kept, None if alg == "none" else secret, algorithm=alg)


@pytest.fixture
def web(sqlite_database: Database) -> Web:
    return Web(sqlite_database)


def resigned(url: str, secret: str = SECRET, **changed: str | None) -> str:
    """The same address with other parameters, signed again, as only Shopify could."""
    parts = urlsplit(url)
    pairs = {**dict(parse_qsl(parts.query)), **changed}
    kept = {name: value for name, value in pairs.items() if value is not None and name != "hmac"}
    message = urlencode(sorted(kept.items())).replace("+", "%20")
    digest = hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode({**kept, 'hmac': digest})}"


# -- the happy path --------------------------------------------------------------------------------------------------


def test_s10_from_the_install_link_over_the_consent_page_to_a_connected_shop(web: Web) -> None:
    """S128: state nonce, signed callback, exact redirect; the pair is stored with its grant and audit row."""
    begun = web.browser.get(web.link())
    assert begun.status_code == 302
    page = web.agreed(begun.headers["location"], agree=False)
    assert all(f"<li>{scope}</li>" in page for scope in SCOPES.split(","))
    done = web.browser.get(web.agreed(begun.headers["location"]))
    assert (done.status_code, "is connected" in done.text) == (200, True)
    assert 'href="https://admin.shopify.com/store/seifenladen"' in done.text
    grant = web.grant()
    assert grant is not None and grant.kind == "authorization_code"
    assert ",".join(sorted(grant.scopes)) == SCOPES
    assert (web.secret(REFRESH_TOKEN) or "").startswith("shprt_")
    stored = [entry for entry in web.said() if entry.event == "ACCESS_TOKEN_STORED"]
    assert len(stored) == 1 and stored[0].subject == SHOP
    assert web.database.tenant(T).read(Store.BOOKS, lambda tx: audit.verify(tx, T)) is None
    assert web.house.shopify(T).shop_settings()["myshopifyDomain"] == SHOP


def test_the_authorize_url_is_exactly_this(web: Web) -> None:
    location = web.browser.get(web.link(), headers={"host": "evil.example.com"}).headers["location"]
    assert location.startswith(f"http://shopify.test/{SHOP}/admin/oauth/authorize?")
    query = parse_qs(urlsplit(location).query)
    assert re.fullmatch(r"[0-9a-f]{64}", query.pop("state")[0])
    assert query == {"client_id": ["app"], "scope": [SCOPES], "redirect_uri": [CALLBACK]}


def test_the_state_cookie_is_set_with_everything_that_guards_it(web: Web) -> None:
    cookie = web.browser.get(web.link()).headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"secure", "httponly", "samesite=lax", "path=/auth/callback", "max-age=600"}
    states = {parse_qs(urlsplit(web.browser.get(web.link()).headers["location"]).query)["state"][0] for _ in range(20)}
    assert len(states) == 20


def test_a_signed_cookie_is_no_webhook_signature(web: Web) -> None:
    """Facts 3.3: cookies are signed with a key derived from the client secret, never with the secret itself."""
    value = web.browser.get(web.link()).cookies[COOKIE].strip('"')
    body, _, signature = value.rpartition(".")
    raw = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256)
    assert signature != raw.hexdigest()
    headers = {
        "x-shopify-hmac-sha256": base64.b64encode(bytes.fromhex(signature)).decode(),
        "x-shopify-topic": "orders/create",
        "x-shopify-shop-domain": SHOP,
        "x-shopify-api-version": "2026-10",
        "x-shopify-webhook-id": "w1",
    }
    assert web.browser.post("/webhooks", content=body.encode(), headers=headers).status_code == 401


def test_the_callback_deletes_its_cookie_whatever_came_of_it(web: Web) -> None:
    callback = web.begin()
    assert web.browser.get(f"{CALLBACK}?x=1").status_code == 401
    assert COOKIE not in web.browser.cookies
    assert web.browser.get(callback).status_code == 403  # so a missing cookie is an error, no silent new start


# -- what must not work ----------------------------------------------------------------------------------------------


def _other_state(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), state="0" * 64), 403


def _wrong_hmac(web: Web) -> tuple[str, int]:
    return web.begin().replace("hmac=", "hmac=0"), 401


def _no_hmac(web: Web) -> tuple[str, int]:
    return re.sub(r"&?hmac=[0-9a-f]+", "", web.begin()), 401


def _foreign_shop(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), shop=OTHER), 403


def _no_shop_of_shopify(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), shop="seifenladen.evil.example"), 400


def _invented_code(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), code="0" * 32), 400


def _no_code(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), code=None), 400


def _too_old(web: Web) -> tuple[str, int]:
    callback = web.begin()
    web.clock.advance(91)
    return callback, 400


def _from_the_future(web: Web) -> tuple[str, int]:
    return resigned(web.begin(), timestamp=str(int(web.clock.now().timestamp()) + 91)), 400


def _after_ten_minutes(web: Web) -> tuple[str, int]:
    callback = web.begin()
    web.clock.advance(601)
    return resigned(callback, timestamp=str(int(web.clock.now().timestamp()))), 403


def _another_browser(web: Web) -> tuple[str, int]:
    callback = web.begin()
    web.browser = web.another_browser()
    return callback, 403


def _shop_twice(web: Web) -> tuple[str, int]:
    return f"{web.begin()}&shop={SHOP}", 400


def _forged_cookie(web: Web) -> tuple[str, int]:
    callback = web.begin()
    state = dict(parse_qsl(urlsplit(callback).query))["state"]
    until = int(web.clock.now().timestamp()) + 600
    body = f"{until}.install.{state}.{SHOP}"
    forged = f"{body}.{hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()}"
    web.browser.cookies.set(COOKIE, forged, "books.example.org", "/auth/callback")
    return callback, 403


@pytest.mark.parametrize(
    "attempt",
    [
        _other_state, _wrong_hmac, _no_hmac, _foreign_shop, _no_shop_of_shopify, _invented_code, _no_code, _too_old,
        _from_the_future, _after_ten_minutes, _another_browser, _shop_twice, _forged_cookie,
    ],
    ids=lambda attempt: attempt.__name__.strip("_"),
)  # fmt: skip
def test_s10_a_callback_that_must_not_work_is_a_4xx_and_stores_nothing(
    web: Web, attempt: Callable[[Web], tuple[str, int]]
) -> None:
    url, status = attempt(web)
    answer = web.browser.get(url)
    assert answer.status_code == status, answer.text
    assert web.nothing_happened()


def test_s10_a_code_and_a_state_work_once(web: Web) -> None:
    callback = web.begin()
    kept = web.browser.cookies[COOKIE]
    assert web.browser.get(callback).status_code == 200
    before = web.secret(SHOPIFY_TOKEN)
    web.browser.cookies.set(COOKIE, kept, "books.example.org", "/auth/callback")  # a browser that did not delete it
    assert web.browser.get(callback).status_code == 403
    used = dict(parse_qsl(urlsplit(callback).query))["code"]
    web.shops.set_scopes(SHOP, ["read_orders"])
    again = resigned(web.begin(f"/reconnect?shop={SHOP}"), code=used)  # a fresh state around the old code
    assert web.browser.get(again).status_code == 400
    assert web.secret(SHOPIFY_TOKEN) == before


@pytest.mark.parametrize("path", ["/install", "/reconnect", "/auth/callback", "/auth/person"])
def test_bots_are_answered_410_and_previews_with_head_do_nothing(web: Web, path: str) -> None:
    web.install()
    asked = len(web.wire.asked)
    address = {"/install": web.link(), "/auth/callback": web.begin(f"/reconnect?shop={SHOP}")}.get(
        path, f"{path}?shop={SHOP}"
    )
    for agent in ("Googlebot/2.1", "Slackbot-LinkExpanding 1.0", "facebookexternalhit/1.1", "HeadlessChrome/1"):
        assert web.browser.get(address, headers={"user-agent": agent}).status_code == 410
    head = web.browser.head(address)
    assert head.status_code == 400 and "location" not in head.headers
    assert len(web.wire.asked) == asked


@pytest.mark.parametrize("seconds", [-91, 91])
def test_an_install_link_is_as_strict_as_the_callback(web: Web, seconds: int) -> None:
    link = web.link()
    assert web.browser.get(link.replace("hmac=", "hmac=0")).status_code == 401
    assert web.browser.get(f"/install?shop={SHOP}").status_code == 401
    assert web.browser.get(f"{link}&shop={SHOP}").status_code == 400
    stamp = str(int(web.clock.now().timestamp()) + seconds)
    assert web.browser.get(resigned(link, timestamp=stamp)).status_code == 400
    assert web.nothing_happened()


def test_an_answer_lost_on_the_way_stores_nothing_and_a_second_try_works(web: Web) -> None:
    web.shops.lose_grants(1)
    lost = web.browser.get(web.begin())
    assert (lost.status_code, "start again" in lost.text) == (503, True)
    assert web.nothing_happened()
    web.install()


# -- known shops -----------------------------------------------------------------------------------------------------


def test_opening_the_app_again_asks_for_nothing_while_all_is_well(web: Web) -> None:
    web.install()
    grants_asked = len(web.wire.asked)
    answer = web.browser.get(web.link())
    assert answer.status_code == 200 and "payouts off: scope read_shopify_payments_payouts missing" in answer.text
    assert len(web.wire.asked) == grants_asked


def test_opening_the_app_connects_again_what_was_lost(web: Web) -> None:
    """S52: told to reconnect, the merchant does, and the tenant goes on."""
    web.install()
    web.shops.revoke_tokens(SHOP)
    web.clock.advance(3600)
    with pytest.raises(Exception, match="SHOPIFY-RECONNECT"):
        web.house.shopify(T).shop_settings()
    assert (web.grant() or grants).needs_reconnect is not None  # type: ignore[union-attr]
    web.install()
    assert web.house.shopify(T).shop_settings()["myshopifyDomain"] == SHOP
    owner = web.database.tenant(T).read(Store.BOOKS, lambda tx: tenants.get(tx, T))
    assert owner.state == "installing"  # not suspended any more; profile and sevdesk were never brought


def test_uninstalled_and_installed_again_is_the_same_tenant(web: Web) -> None:
    web.install()
    lifecycle.uninstall(web.house.context, T, by="Shopify")
    assert web.secret(SHOPIFY_TOKEN) is None and web.grant() is None
    web.install()
    assert [owner.id for owner in web.database.system("operator").read(Store.BOOKS, tenants.all)] == [T]


def test_reconnect_needs_no_signature_and_goes_nowhere_but_to_a_known_shop(web: Web) -> None:
    assert web.browser.get(f"/reconnect?shop={SHOP}").status_code == 404
    assert web.browser.get("/reconnect?shop=evil.example.com").status_code == 400
    web.install()
    assert web.browser.get(f"/reconnect?shop={OTHER}").status_code == 404
    first = web.secret(SHOPIFY_TOKEN)
    assert web.browser.get(web.begin(f"/reconnect?shop={SHOP}")).status_code == 200
    assert web.secret(SHOPIFY_TOKEN) != first


def test_s129_optional_scopes_are_asked_for_when_somebody_wants_them_and_kept(web: Web) -> None:
    web.install()
    payouts = "read_shopify_payments_payouts"
    assert web.browser.get(f"/reconnect?shop={SHOP}&optional=write_themes").status_code == 400
    assert web.browser.get(web.begin(f"/reconnect?shop={SHOP}&optional={payouts}")).status_code == 200
    grant = web.grant()
    assert grant is not None and payouts in grant.scopes
    again = web.browser.get(f"/reconnect?shop={SHOP}")  # and a later trip does not give them back
    assert payouts in parse_qs(urlsplit(again.headers["location"]).query)["scope"][0].split(",")


def test_a_tenants_own_app_outranks_the_operators(web: Web) -> None:
    now = web.clock.now()

    def write(tx: Any) -> None:
        tenants.add(tx, id="own", shop=OTHER, cut_off=now, now=now)
        web.vault.put_secret(tx, "own", CLIENT_ID, "their-app", now)
        web.vault.put_secret(tx, "own", CLIENT_SECRET, "their-secret", now)

    web.database.system("operator").run(Store.BOOKS, write)
    assert web.browser.get(web.link(OTHER)).status_code == 401  # signed with the operator's secret
    link = resigned(web.link(OTHER), "their-secret")
    location = web.browser.get(link).headers["location"]
    assert parse_qs(urlsplit(location).query)["client_id"] == ["their-app"]


def test_while_a_secret_rotates_links_of_both_are_good(sqlite_database: Database) -> None:
    changed = {"LADENBUCH_SHOPIFY_CLIENT_SECRET": "the-new-one", "LADENBUCH_SHOPIFY_CLIENT_SECRET_PREVIOUS": SECRET}
    web = Web(sqlite_database, **changed)
    assert web.browser.get(web.link()).status_code == 302
    assert web.browser.get(resigned(web.link(), "the-new-one")).status_code == 302
    web.install()  # Shopify still signs and takes the old one: the token endpoint is asked with both


def test_without_an_address_of_its_own_there_are_no_routes(sqlite_database: Database) -> None:
    off = dict.fromkeys(("LADENBUCH_APP_URL", "LADENBUCH_SHOPIFY_CLIENT_ID", "LADENBUCH_SHOPIFY_CLIENT_SECRET"), "")
    web = Web(sqlite_database, **off)
    assert web.browser.get(web.link()).status_code == 404


# -- persons ---------------------------------------------------------------------------------------------------------


def test_s131_an_online_token_says_who_it_was_and_is_kept_nowhere(web: Web) -> None:
    web.install()
    before = (web.secret(SHOPIFY_TOKEN), web.secret(REFRESH_TOKEN))
    begun = web.browser.get(f"/auth/person?shop={SHOP}")
    assert parse_qs(urlsplit(begun.headers["location"]).query)["grant_options[]"] == ["per-user"]
    assert web.browser.get(web.agreed(begun.headers["location"])).status_code == 200
    assert web.wire.asked[-1]["expiring"] == "0"
    assert web.said()[-1].actor == "user:42" and web.said()[-1].event == "PERSON_KNOWN"
    assert (web.secret(SHOPIFY_TOKEN), web.secret(REFRESH_TOKEN)) == before


# -- session tokens --------------------------------------------------------------------------------------------------


def asked(web: Web, token: str, path: str = "/auth/session") -> Any:
    return web.browser.post(path, headers={"authorization": f"Bearer {token}"})


def test_s127_a_session_token_is_exchanged_once_and_its_user_is_in_the_audit_row(web: Web) -> None:
    answer = asked(web, web.session())
    assert answer.status_code == 200, answer.text
    assert answer.json()["tenant"] == T and answer.json()["shop"] == SHOP
    grant = web.grant()
    assert grant is not None and (grant.kind, grant.refresh_expires_at is None) == ("token_exchange", False)
    stored = [entry for entry in web.said() if entry.event == "ACCESS_TOKEN_STORED"]
    assert [entry.actor for entry in stored] == ["user:42"]
    exchange = web.wire.asked[-1]
    assert exchange["expiring"] == "1" and exchange["requested_token_type"].endswith("offline-access-token")
    web.shops.set_scopes(SHOP, SCOPES.split(","))
    assert asked(web, web.session()).status_code == 200


BAD: Mapping[str, dict[str, Any]] = {
    "expired": {"exp": 1, "nbf": 1},
    "not yet valid": {"nbf": 4_000_000_000},
    "wrong key": {"secret": "x" * 40},
    "wrong algorithm": {"alg": "HS512", "secret": SECRET * 2},
    "no algorithm": {"alg": "none"},
    "another app's": {"aud": "other"},
    "issuer is no shop": {"iss": "https://evil.example.com/admin"},
    "issuer and destination differ": {"iss": f"https://{OTHER}/admin"},
    "no destination": {"dest": None},
    "no issuer": {"iss": None},
}


@pytest.mark.parametrize("why", BAD)
def test_s127_a_bad_session_token_is_401_and_says_to_try_with_a_fresh_one(web: Web, why: str) -> None:
    answer = asked(web, web.session(**BAD[why]))
    assert (answer.status_code, answer.json()) == (401, {"code": "SESSION-TOKEN"})
    assert answer.headers["x-shopify-retry-invalid-session-request"] == "1"
    assert web.nothing_happened() and web.wire.asked == []


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Token x", "Bearer  "])
def test_a_header_that_carries_no_bearer_token_is_401(web: Web, header: str) -> None:
    answer = web.browser.post("/auth/session", headers={"authorization": header})
    assert answer.status_code == 401 and answer.headers["x-shopify-retry-invalid-session-request"] == "1"


def test_s127_the_shop_is_the_tokens_and_never_a_parameters(web: Web) -> None:
    assert asked(web, web.session(), f"/auth/session?shop={OTHER}").status_code == 401
    assert asked(web, web.session(), f"/auth/session?shop={SHOP}&shop={OTHER}").status_code == 401
    assert web.nothing_happened()
    assert asked(web, web.session(), f"/auth/session?shop={SHOP}").json()["shop"] == SHOP


def test_the_bounce_page_goes_back_to_a_path_of_ours_only(web: Web) -> None:
    """Facts 4.3: a page without a good session token is sent to fetch one."""
    page = web.browser.get("/auth/bounce?shopify-reload=%2Forders%3Fx%3D1")
    assert page.status_code == 200 and "app-bridge.js" in page.text
    for trap in ("https://evil.example.com", "//evil.example.com", "/\\evil.example.com", ""):
        assert web.browser.get("/auth/bounce", params={"shopify-reload": trap}).status_code == 404


def test_an_embedded_page_without_a_good_session_goes_to_fetch_one_and_a_fetch_is_told_to(web: Web) -> None:
    """What every later embedded route does: a page is redirected, a fetch gets 401 with the header (facts 4.3)."""
    door = web.house.install_door()
    assert door is not None

    def page(request: Request) -> Response:
        try:
            return Response(session_of(door, request).shop)
        except Rejected as error:
            return refused_session(door, request, error)

    client = TestClient(Starlette(routes=[Page("/embedded", page)]), APP_URL, follow_redirects=False)
    good, bad = web.session(), web.session(exp=1, nbf=1)
    assert client.get(f"/embedded?id_token={good}&shop={SHOP}").text == SHOP
    assert client.get("/embedded", headers={"authorization": f"Bearer {good}"}).text == SHOP
    sent = client.get(f"/embedded?a=1%262&id_token={bad}")
    assert sent.status_code == 302
    reload = parse_qs(urlsplit(sent.headers["location"]).query)["shopify-reload"]
    assert reload == ["/embedded?a=1%262"]  # without the token that was no good
    fetched = client.get("/embedded", headers={"authorization": f"Bearer {bad}"})
    assert (fetched.status_code, fetched.headers["x-shopify-retry-invalid-session-request"]) == (401, "1")


# -- scopes ----------------------------------------------------------------------------------------------------------


def test_s9_s129_scopes_update_rereads_the_installation_and_switches_capabilities(web: Web) -> None:
    """The webhook is a hint: what it says is not looked at, the installation is."""
    web.install()
    web.shops.set_scopes(SHOP, ["write_orders", "read_customers", "read_shopify_payments_payouts"])
    news = News(T, "w1", "app/scopes_update", SHOP, {"current": ["write_everything"]}, web.clock.now())
    handler = scopes.HANDLERS["app/scopes_update"]
    assert handler(web.house.context, news) == "SCOPES-CHANGED"
    assert handler(web.house.context, news) == "NOTHING-TO-DO"
    grant = web.grant()
    assert grant is not None and {"read_orders", "write_orders"} <= grant.scopes
    entry = web.said()[-1]
    assert entry.event == "SCOPES_CHANGED"
    assert "Returns off: scope read_returns missing." in entry.sentence
    assert "Payouts on" in entry.sentence
    found = web.database.tenant(T).read(Store.BOOKS, lambda tx: scopes.switches(tx, T))
    off = {item.capability.name for item in found if not item.on}
    assert "returns" in off and off.isdisjoint({"orders", "payouts", "marking orders paid"})
    web.clock.advance(3600)  # a refresh names scopes without what they imply: that is no change
    web.house.shopify(T).shop_settings()
    assert web.said()[-1].event == "ACCESS_TOKEN_STORED"


def test_scopes_of_a_shop_that_has_gone_are_not_asked_for(web: Web) -> None:
    web.install()
    lifecycle.uninstall(web.house.context, T, by="Shopify")
    news = News(T, "w1", "app/scopes_update", SHOP, {}, web.clock.now())
    assert scopes.HANDLERS["app/scopes_update"](web.house.context, news) == "NOTHING-TO-DO"


def test_nothing_of_an_installation_is_logged_or_shown(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """S7: secrets, codes, tokens and states stay out of logs and pages."""
    caplog.set_level("DEBUG")
    callback = web.begin()
    page = web.browser.get(callback)
    given = dict(parse_qsl(urlsplit(callback).query))
    secrets = [SECRET, web.secret(SHOPIFY_TOKEN) or "?", web.secret(REFRESH_TOKEN) or "?"]
    ours = "\n".join(
        record.getMessage() + str(record.__dict__) for record in caplog.records if "ladenbuch" in record.name
    )
    for text in (*secrets, given["code"], given["state"]):
        assert text not in ours and text not in page.text and text not in repr(web.house.install_door())
