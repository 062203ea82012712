"""The Shopify simulator's grants and the life of tokens (facts/shopify.md 4.1-4.4)."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest

from ladenbuch.simulators.http import SimRequest, SimResponse
from ladenbuch.simulators.shopify import Shop, ShopifySimulator

SHOP = "seifenladen.myshopify.com"
OTHER = "fremd.myshopify.com"
SECRET = "geheim-geheim-geheim-geheim-geheim"
CLIENT = {"client_id": "app", "client_secret": SECRET}
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
}


class Front:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)
        own = Shop(SHOP, client_id="app", redirect_uris=("https://ladenbuch.example/callback",))
        other = Shop(OTHER, client_id="app", own_organisation=False)
        self.sim = ShopifySimulator(lambda: self.now, client_secret=SECRET, shops=[own, other])

    def grant(self, shop: str = SHOP, form: bool = False, **fields: str) -> tuple[int, dict[str, Any]]:
        sent = {**CLIENT, **fields}
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        body = urlencode(sent) if form else json.dumps(sent)
        request = SimRequest("POST", f"/{shop}/admin/oauth/access_token", [], {"content-type": kind}, body.encode())
        answer = self.sim.handle(request)
        return answer.status, json.loads(answer.body)

    def works(self, token: str, shop: str = SHOP) -> bool:
        body = json.dumps({"query": "{ shop { id } }"}).encode()
        headers = {"x-shopify-access-token": token}
        answer = self.sim.handle(SimRequest("POST", f"/{shop}/admin/api/2026-10/graphql.json", [], headers, body))
        assert answer.status in (200, 401)
        return answer.status == 200

    def authorize(self, **query: str) -> SimResponse:
        pairs = list(
            {
                "client_id": "app",
                "redirect_uri": "https://ladenbuch.example/callback",
                "state": "ein zustand",
                **query,
            }.items()
        )
        return self.sim.handle(SimRequest("GET", f"/{SHOP}/admin/oauth/authorize", pairs, {}, b""))

    def code(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.authorize().headers["location"]).query))

    def session(self, **claims: Any) -> str:
        at = int(self.now.timestamp())
        full = {
            "iss": f"https://{SHOP}/admin",
            "dest": f"https://{SHOP}",
            "aud": "app",
            "sub": "42",
            "exp": at + 60,
            "nbf": at,
            "iat": at,
            "jti": "j1",
            "sid": "s1",
            **claims,
        }
        return jwt.encode(full, SECRET, algorithm="HS256")


@pytest.mark.parametrize("form", [False, True])
def test_client_credentials_give_a_day(form: bool) -> None:
    """Facts 4.1: expires_in 86399, no refresh token; JSON or form."""
    front = Front()
    status, answer = front.grant(grant_type="client_credentials", form=form)
    assert status == 200
    assert set(answer) == {"access_token", "scope", "expires_in"}
    assert answer["expires_in"] == 86_399
    front.now += timedelta(seconds=86_398)
    assert front.works(answer["access_token"])
    assert not front.works(answer["access_token"], OTHER)
    front.now += timedelta(seconds=1)
    assert not front.works(answer["access_token"])


def test_refused_grants_say_why() -> None:
    """Facts 4.1: shop_not_permitted outside the own organisation; wrong secret; unknown grant."""
    front = Front()
    status, answer = front.grant(OTHER, grant_type="client_credentials")
    assert (status, answer["error"]) == (400, "shop_not_permitted")
    status, answer = front.grant(grant_type="client_credentials", client_secret="falsch")
    assert (status, answer["error"]) == (401, "invalid_client")
    assert front.grant(grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert not front.works("shpat_unknown")
    assert not front.works("")


def test_the_callback_is_signed_and_its_code_works_once() -> None:
    """Facts 4.2: code, hmac, host, shop, state, timestamp; hex HMAC of the sorted rest; one use."""
    front = Front()
    query = front.code()
    given = query.pop("hmac")
    assert set(query) == {"code", "host", "shop", "state", "timestamp"}
    message = "&".join(f"{k}={v.replace(' ', '%20')}" for k, v in sorted(query.items()))
    assert hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest() == given
    assert query["state"] == "ein zustand"
    status, answer = front.grant(code=query["code"])
    assert status == 200
    assert set(answer) == {"access_token", "scope"}
    front.now += timedelta(days=400)
    assert front.works(answer["access_token"])
    assert front.grant(code=query["code"])[0] == 400


def test_a_code_belongs_to_its_shop_and_ages() -> None:
    front = Front()
    assert front.grant(OTHER, code=front.code()["code"])[0] == 400
    late = front.code()["code"]
    front.now += timedelta(minutes=11)
    assert front.grant(code=late)[0] == 400


def test_authorize_refuses_a_foreign_address_or_app() -> None:
    """Facts 4.2: redirect_uri must match a configured one exactly."""
    front = Front()
    assert front.authorize(redirect_uri="https://ladenbuch.example/callback/x").status == 400
    assert front.authorize(client_id="other").status == 400


def test_expiring_offline_tokens_come_as_a_pair() -> None:
    """Facts 4.4: 3600 s, 7776000 s, prefix shprt_."""
    front = Front()
    _, pair = front.grant(code=front.code()["code"], expiring="1")
    assert (pair["expires_in"], pair["refresh_token_expires_in"]) == (3_600, 7_776_000)
    assert pair["refresh_token"].startswith("shprt_")
    front.now += timedelta(seconds=3_600)
    assert not front.works(pair["access_token"])


def test_a_refresh_token_stays_usable_until_its_successor_is_used() -> None:
    """Facts 4.4, rule of 2026-08-28: a lost answer can be asked for again; afterwards it is invalid_grant."""
    front = Front()
    _, first = front.grant(code=front.code()["code"], expiring="1")
    _, lost = front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    status, second = front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] not in (first["refresh_token"], lost["refresh_token"])
    # tokens issued earlier stay valid until their own expiry
    assert all(front.works(pair["access_token"]) for pair in (first, lost, second))
    assert front.grant(grant_type="refresh_token", refresh_token=second["refresh_token"])[0] == 200
    status, answer = front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (status, answer["error"]) == (400, "invalid_grant")


def test_a_used_refresh_token_dies_after_thirty_days_and_an_unused_one_after_ninety() -> None:
    """Facts 4.4: at most 30 days after first use, never beyond its 90 days."""
    front = Front()
    _, used = front.grant(code=front.code()["code"], expiring="1")
    _, idle = front.grant(code=front.code()["code"], expiring="1")
    front.grant(grant_type="refresh_token", refresh_token=used["refresh_token"])
    front.now += timedelta(days=29)
    assert front.grant(grant_type="refresh_token", refresh_token=used["refresh_token"])[0] == 200
    front.now += timedelta(days=1)
    assert front.grant(grant_type="refresh_token", refresh_token=used["refresh_token"])[0] == 400
    front.now += timedelta(days=59)
    assert front.grant(grant_type="refresh_token", refresh_token=idle["refresh_token"])[0] == 200
    front.now += timedelta(days=1)
    assert front.grant(grant_type="refresh_token", refresh_token=idle["refresh_token"])[0] == 400


def test_a_session_token_is_exchanged() -> None:
    """Facts 4.3: offline (expiring or not) and online."""
    front = Front()
    assert "refresh_token" in front.grant(**EXCHANGE, subject_token=front.session(), expiring="1")[1]
    assert set(front.grant(**EXCHANGE, subject_token=front.session())[1]) == {"access_token", "scope"}
    online = {**EXCHANGE, "requested_token_type": "urn:shopify:params:oauth:token-type:online-access-token"}
    assert front.grant(**online, subject_token=front.session())[1]["associated_user"]["id"] == 42


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"dest": f"https://{OTHER}"},
        {"iss": f"https://{OTHER}/admin"},
        {"exp": 1_000_000_000},
        {"nbf": 4_000_000_000},
    ],
)
def test_a_wrong_session_token_is_refused(claims: dict[str, Any]) -> None:
    """Facts 4.3: audience, destination, issuer of the same host, expiry, not-before."""
    front = Front()
    status, answer = front.grant(**EXCHANGE, subject_token=front.session(**claims))
    assert (status, answer["error"]) == (400, "invalid_subject_token")


def test_a_forged_session_token_is_refused() -> None:
    front = Front()
    forged = jwt.encode(jwt.decode(front.session(), options={"verify_signature": False}), "x" * 32, "HS256")
    assert front.grant(**EXCHANGE, subject_token=forged)[1]["error"] == "invalid_subject_token"
    none = jwt.encode(jwt.decode(front.session(), options={"verify_signature": False}), None, "none")
    assert front.grant(**EXCHANGE, subject_token=none)[1]["error"] == "invalid_subject_token"


def test_a_non_expiring_token_migrates_once() -> None:
    """Facts 4.4: irreversible; the old token is gone."""
    front = Front()
    _, old = front.grant(code=front.code()["code"])
    offline = EXCHANGE["requested_token_type"]
    move = {**EXCHANGE, "subject_token_type": offline, "subject_token": old["access_token"], "expiring": "1"}
    assert front.grant(**move)[1]["expires_in"] == 3_600
    assert not front.works(old["access_token"])
    assert front.grant(**move)[1]["error"] == "invalid_subject_token"


def test_uninstalling_forgets_every_token() -> None:
    front = Front()
    _, pair = front.grant(code=front.code()["code"], expiring="1")
    front.sim.revoke_tokens(SHOP)
    assert not front.works(pair["access_token"])
    assert front.grant(grant_type="refresh_token", refresh_token=pair["refresh_token"])[0] == 400


def test_the_admin_gives_an_embedded_app_a_session_token_that_is_exchanged_within_its_minute() -> None:
    """Facts 4.3; an online token names the user the way Shopify's libraries read it (S131)."""
    front = Front()
    request = SimRequest("POST", "/_control/session", [], {}, json.dumps({"shop": SHOP, "user": 7}).encode())
    token = json.loads(front.sim.handle(request).body)["session_token"]
    online = EXCHANGE["requested_token_type"].replace("offline", "online")
    status, answer = front.grant(**{**EXCHANGE, "requested_token_type": online}, subject_token=token)
    assert status == 200
    user = answer["associated_user"]
    assert user["id"] == 7
    assert {name for name, value in user.items() if isinstance(value, str)} >= {"first_name", "last_name", "email"}
    assert user["email_verified"] is True
    assert answer["associated_user_scope"]
    front.now += timedelta(seconds=69)
    assert front.grant(**EXCHANGE, subject_token=token)[0] == 200
    front.now += timedelta(seconds=1)
    assert front.grant(**EXCHANGE, subject_token=token)[1]["error"] == "invalid_subject_token"


def test_a_merchant_reads_what_the_app_wants_before_agreeing() -> None:
    front = Front()
    front.sim.ask_consent(SHOP)
    page = front.authorize(scope="read_orders,write_products")
    assert page.status == 200
    assert b"<li>read_orders</li><li>write_products</li>" in page.body and b'name="agree"' in page.body
    assert front.authorize(scope="read_orders", agree="1").status == 302


def test_what_was_agreed_to_is_granted_when_the_code_is_redeemed() -> None:
    """Facts 4.2: the answer may leave out what a write scope implies."""
    front = Front()
    location = front.authorize(scope="write_orders,read_orders,read_locations").headers["location"]
    code = dict(parse_qsl(urlsplit(location).query))["code"]
    _, pair = front.grant(code=code, expiring="1")
    assert pair["scope"] == "read_locations,write_orders"


@pytest.mark.parametrize("scope", ["read_refunds", "read_transactions", "orders", "read_Orders"])
def test_a_scope_that_does_not_exist_breaks_the_installation(scope: str) -> None:
    """Facts 1.1."""
    assert json.loads(Front().authorize(scope=f"read_orders,{scope}").body)["error"] == "invalid_scope"


def test_an_install_link_is_signed_like_a_callback() -> None:
    front = Front()
    query = dict(parse_qsl(urlsplit(front.sim.install_link(SHOP, "https://app.example/install")).query))
    given = query.pop("hmac")
    message = urlencode(sorted(query.items())).replace("+", "%20")
    assert hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest() == given
    assert set(query) == {"host", "shop", "timestamp"}


def test_a_lost_answer_is_lost_after_the_grant_happened() -> None:
    """The refresh token it was asked with still works, as facts 4.4 have it."""
    front = Front()
    _, first = front.grant(code=front.code()["code"], expiring="1")
    front.sim.lose_grants(1)
    request = {**CLIENT, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    path = f"/{SHOP}/admin/oauth/access_token"
    kind = {"content-type": "application/json"}
    assert front.sim.handle(SimRequest("POST", path, [], kind, json.dumps(request).encode())).status == 0
    assert front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])[0] == 200
    front.sim.lose_grants(share=0.25)
    lost = 0
    for _ in range(400):
        lost += front.sim.handle(SimRequest("POST", path, [], kind, json.dumps(request).encode())).status == 0
    assert 70 < lost < 130


def test_asking_again_takes_back_what_was_given_before() -> None:
    """One current expiring token per app and shop: the stricter reading of facts 4.4."""
    front = Front()
    _, first = front.grant(code=front.code()["code"], expiring="1")
    _, lost = front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    _, second = front.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert front.grant(grant_type="refresh_token", refresh_token=lost["refresh_token"])[1]["error"] == "invalid_grant"
    assert front.grant(grant_type="refresh_token", refresh_token=second["refresh_token"])[0] == 200


def test_changed_scopes_are_told() -> None:
    front = Front()
    front.sim.set_subscriptions({"app/scopes_update": "https://app.example/webhooks"})
    front.sim.set_scopes(SHOP, ["read_orders"])
    (delivery,) = front.sim.due_deliveries(front.now)
    told = json.loads(delivery.body)
    assert told["current"] == ["read_orders"] and "write_orders" in told["previous"]
