"""Authorisation: the published vectors, and the behaviours asserted by the official suites (facts 7.2, 7.3)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.shopify import oauth

NOW = datetime.fromtimestamp(1_700_000_000, UTC)
SHOP = "my-shop.myshopify.com"
SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"
STATE = "5f" * 32


def code(error: pytest.ExceptionInfo[LadenbuchError]) -> str:
    return error.value.code


# -- vectors of 7.2 --------------------------------------------------------------------------------------------------


def test_vector_oauth_hex() -> None:
    pairs = [
        ("shop", "some-shop.myshopify.com"),
        ("code", "a94a110d86d2452eb3e2af4cfb8a3828"),
        ("timestamp", "1337178173"),
        ("hmac", "ignored"),
        ("signature", "ignored"),
    ]
    assert oauth.query_hmac(pairs, "hush") == "2cb1a277650a659f1b11e92a4a64275b128e037f2c3390e3c8fd2d8721dac9e2"


def test_vector_oauth_list() -> None:
    pairs = [("shop", "some-shop.myshopify.com"), ("ids[]", "2"), ("ids[]", "1")]
    assert oauth.query_message(pairs) == 'ids=["2", "1"]&shop=some-shop.myshopify.com'
    assert oauth.query_hmac(pairs, "hush") == "b93b9f82996f6f8bf9f1b7bbddec284c8fabacdc4e12dc80550b4705f3003b1e"


def test_vector_space_is_percent_20() -> None:
    pairs = [
        ("code", "some code goes here"),
        ("shop", "the shop URL"),
        ("state", "some nonce passed from auth"),
        ("timestamp", "1700000000"),
    ]
    expected = "10207991f5c2c65c114b70a3c3544ce1d00a236ea4ab034793de0d6407be9165"
    assert oauth.query_hmac(pairs, "my super secret key") == expected


def test_vector_delimiter_injection() -> None:
    injected = [("a", "1&b=2"), ("c=3&d", "4")]
    honest = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]
    assert oauth.query_message(injected, delimiters_only=True) == "a=1%26b=2&c%3D3%26d=4"
    assert oauth.query_message(injected) == "a=1%26b%3D2&c%3D3%26d=4"
    assert oauth.query_hmac(injected, "secret") != oauth.query_hmac(honest, "secret")
    assert oauth.query_message(injected, delimiters_only=True) != oauth.query_message(honest, delimiters_only=True)


def test_vector_session_token() -> None:
    claims = token_claims()
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    assert token.rpartition(".")[2] == "A-cXdyqSMM-1-8bYx5OiNVQt9wSlNybn_bQr3u7zNCo"
    found = oauth.verify_session_token(token, client_id="client-id", secrets=[SECRET], now=NOW)
    assert (found.shop, found.user_id, found.session_id, found.token_id) == (SHOP, "42", "s1", "j1")
    assert found.expires_at == NOW + timedelta(seconds=60)


# -- signed queries --------------------------------------------------------------------------------------------------


def signed(secret: str = SECRET, **more: str) -> list[tuple[str, str]]:
    given = {"shop": SHOP, "timestamp": "1700000000", **more}
    pairs = list(given.items())
    return [*pairs, ("hmac", oauth.query_hmac(pairs, secret))]


def test_an_install_link_is_checked_and_gives_the_shop() -> None:
    assert oauth.check_query(signed(host="YWRtaW4=", locale="de DE"), [SECRET], NOW) == SHOP


def test_extra_query_keys_are_part_of_the_hmac() -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query([*signed(), ("extra", "1")], [SECRET], NOW)
    assert code(caught) == "OAUTH-HMAC"
    assert oauth.check_query(signed(extra="1"), [SECRET], NOW) == SHOP


@pytest.mark.parametrize("secrets", [["wrong"], [], [""]])
def test_bad_hmac_is_refused(secrets: list[str]) -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query(signed(""), secrets, NOW)
    assert code(caught) == "OAUTH-HMAC"


def test_a_missing_hmac_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query([("shop", SHOP), ("timestamp", "1700000000")], [SECRET], NOW)
    assert code(caught) == "OAUTH-HMAC"


@pytest.mark.parametrize("value", ["é", "\udc80", "g" * 64])
def test_a_non_ascii_hmac_never_crashes(value: str) -> None:
    pairs = [(k, value if k == "hmac" else v) for k, v in signed()]
    with pytest.raises(Rejected) as caught:
        oauth.check_query(pairs, [SECRET], NOW)
    assert code(caught) == "OAUTH-HMAC"


def test_the_previous_secret_is_accepted() -> None:
    assert oauth.check_query(signed("old"), ["new", "old"], NOW) == SHOP


@pytest.mark.parametrize(("seconds", "fine"), [(-91, False), (-90, True), (0, True), (90, True), (91, False)])
def test_timestamp_window_is_90_seconds_both_ways(seconds: int, fine: bool) -> None:
    pairs = signed(timestamp=str(1_700_000_000 + seconds))
    if fine:
        assert oauth.check_query(pairs, [SECRET], NOW) == SHOP
    else:
        with pytest.raises(Rejected) as caught:
            oauth.check_query(pairs, [SECRET], NOW)
        assert code(caught) == "OAUTH-TIMESTAMP"


@pytest.mark.parametrize("value", ["", "NaN", "Infinity", "1700000000.0", "-1", " 1700000000", "1e9", "١٧٠٠٠٠٠٠٠٠"])
def test_timestamps_that_are_not_integers_are_refused(value: str) -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query(signed(timestamp=value), [SECRET], NOW)
    assert code(caught) == "OAUTH-TIMESTAMP"


@pytest.mark.parametrize("name", ["hmac", "shop", "state", "code", "timestamp"])
def test_repeated_security_parameters_are_refused(name: str) -> None:
    pairs = signed(state="s", code="c")
    with pytest.raises(Rejected) as caught:
        oauth.check_query([*pairs, (name, dict(pairs)[name])], [SECRET], NOW)
    assert code(caught) == "OAUTH-QUERY"


@pytest.mark.parametrize("name", ["shop[]", "timestamp[]", "code[]"])
def test_security_parameters_as_a_list_are_refused(name: str) -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query([*signed(), (name, "1")], [SECRET], NOW)
    assert code(caught) == "OAUTH-QUERY"


def test_a_signed_foreign_shop_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        oauth.check_query(signed(shop="evil.example.com"), [SECRET], NOW)
    assert code(caught) == "OAUTH-SHOP"


# -- code grant ------------------------------------------------------------------------------------------------------


def test_authorise_url_offline_and_online() -> None:
    def url(**more: Any) -> dict[str, list[str]]:
        text = oauth.authorise_url(
            f"https://{SHOP}",
            client_id="client-id",
            scopes=["write_orders", "read_customers"],
            redirect_uri="https://app.example.com/auth/callback",
            state=STATE,
            **more,
        )
        assert text.startswith(f"https://{SHOP}/admin/oauth/authorize?")
        return parse_qs(urlsplit(text).query)

    assert url() == {
        "client_id": ["client-id"],
        "scope": ["read_customers,write_orders"],
        "redirect_uri": ["https://app.example.com/auth/callback"],
        "state": [STATE],
    }
    assert url(online=True)["grant_options[]"] == ["per-user"]


KEY = oauth.signing_key(SECRET)


def callback(cookie: str | None, *, now: datetime = NOW, **more: str) -> oauth.Callback:
    pairs = signed(**{"code": "c0de", "state": STATE, **more})
    return oauth.check_callback(pairs, secrets=[SECRET], cookie=cookie, cookie_key=KEY, now=now)


def test_callback_with_the_right_cookie() -> None:
    found = callback(oauth.state_cookie(KEY, STATE, SHOP, NOW))
    assert (found.shop, found.code) == (SHOP, "c0de")
    assert "c0de" not in repr(found)


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        "x",
        "1.2.3.4",
        "é.é.é.é",
        oauth.state_cookie(KEY, "other", SHOP, NOW),
        oauth.state_cookie(KEY, STATE, "other.myshopify.com", NOW),
        oauth.state_cookie(KEY, STATE, SHOP, NOW - timedelta(seconds=601)),
        oauth.state_cookie(b"another key", STATE, SHOP, NOW),
        oauth.state_cookie(KEY, STATE, SHOP, NOW)[:-1],
    ],
)
def test_callback_without_its_own_fresh_cookie_is_refused(cookie: str | None) -> None:
    with pytest.raises(Rejected) as caught:
        callback(cookie)
    assert code(caught) == "OAUTH-STATE"


def test_callback_without_code_or_state_is_refused() -> None:
    cookie = oauth.state_cookie(KEY, STATE, SHOP, NOW)
    with pytest.raises(Rejected) as caught:
        callback(cookie, code="")
    assert code(caught) == "OAUTH-CODE"
    with pytest.raises(Rejected) as caught:
        callback(cookie, state="é")
    assert code(caught) == "OAUTH-STATE"


def test_the_cookie_key_is_not_the_client_secret() -> None:
    assert SECRET.encode() not in KEY
    assert oauth.signing_key(SECRET, "other purpose") != KEY


# -- grants ----------------------------------------------------------------------------------------------------------


def test_bodies_of_the_grants() -> None:
    base = {"client_id": "id", "client_secret": "secret"}
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    offline = "urn:shopify:params:oauth:token-type:offline-access-token"
    session = "urn:ietf:params:oauth:token-type:id_token"
    assert oauth.code_body("id", "secret", "c") == {**base, "code": "c", "expiring": "1"}
    assert oauth.client_credentials_body("id", "secret") == {**base, "grant_type": "client_credentials"}
    assert oauth.refresh_body("id", "secret", "r") == {**base, "grant_type": "refresh_token", "refresh_token": "r"}
    assert oauth.token_exchange_body("id", "secret", "jwt") == {
        **base,
        "grant_type": exchange,
        "subject_token": "jwt",
        "subject_token_type": session,
        "requested_token_type": offline,
        "expiring": "1",
    }
    online = oauth.token_exchange_body("id", "secret", "jwt", online=True)
    assert online["requested_token_type"].endswith("online-access-token")
    assert "offline" not in online["requested_token_type"]
    assert online["expiring"] == "0"
    assert oauth.migration_body("id", "secret", "old") == {
        **base,
        "grant_type": exchange,
        "subject_token": "old",
        "subject_token_type": offline,
        "requested_token_type": offline,
        "expiring": "1",
    }


def test_an_empty_session_or_refresh_token_is_refused_before_any_call() -> None:
    with pytest.raises(Rejected):
        oauth.token_exchange_body("id", "secret", "")
    with pytest.raises(Rejected):
        oauth.refresh_body("id", "secret", "")


def answer(**fields: object) -> bytes:
    return json.dumps({"access_token": "shpat_1", "scope": "write_orders", **fields}).encode()


def test_an_expiring_token_response() -> None:
    body = answer(expires_in=3600, refresh_token="shprt_1", refresh_token_expires_in=7_776_000)
    token = oauth.parse_token_response(200, body, NOW)
    assert token.access_token == "shpat_1"
    assert token.expires_at == NOW + timedelta(hours=1)
    assert token.refresh_token == "shprt_1"
    assert token.refresh_expires_at == NOW + timedelta(days=90)
    assert "shpat_1" not in repr(token)
    assert "shprt_1" not in repr(token)


PAIR = {"expires_in": 3600, "refresh_token": "shprt_1", "refresh_token_expires_in": 7_776_000}


@pytest.mark.parametrize("expects", ["pair", "expiring"])
@pytest.mark.parametrize("expires_in", [None, "3600", 0, -5, 3600.5, True])
def test_a_missing_expiry_is_an_error_never_for_ever(expires_in: object, expects: oauth.Expects) -> None:
    """S133. A refresh answer without `expires_in` stored as "never expires" bricks a shop (facts 4.4)."""
    with pytest.raises(Retryable) as caught:
        oauth.parse_token_response(200, answer(**PAIR | {"expires_in": expires_in}), NOW, expects=expects)
    assert code(caught) == "OAUTH-INCOMPLETE"


@pytest.mark.parametrize("name", ["refresh_token", "refresh_token_expires_in"])
def test_expiring_fields_left_blank_are_an_error(name: str) -> None:
    """Facts 4.4: a flag that did not reach the callback left the refresh fields empty."""
    for value in (None, "", 0):
        with pytest.raises(Retryable) as caught:
            oauth.parse_token_response(200, answer(**PAIR | {name: value}), NOW)
        assert code(caught) == "OAUTH-INCOMPLETE"


def test_a_token_that_was_not_asked_to_expire_does_not() -> None:
    token = oauth.parse_token_response(200, answer(), NOW, expects="permanent")
    assert token.expires_at is None
    assert not token.is_expired(NOW)
    with pytest.raises(Retryable):  # half a pair is not a permanent token
        oauth.parse_token_response(200, answer(refresh_token="shprt_1"), NOW, expects="permanent")


def test_an_online_token_names_its_person_and_nothing_else_of_them() -> None:
    """S131: for attribution. Name and address of the person are not read."""
    person = {"id": 42, "first_name": "Ada", "email": "ada@example.com", "account_owner": True}
    body = answer(expires_in=86_399, associated_user_scope="read_orders", associated_user=person)
    token = oauth.parse_token_response(200, body, NOW, expects="expiring")
    assert (token.online, token.user_id, token.refresh_token) == (True, "42", None)
    assert "ada" not in repr(token).lower()
    assert not oauth.parse_token_response(200, answer(**PAIR), NOW).online


def test_is_expired_has_a_margin_of_five_minutes() -> None:
    token = oauth.parse_token_response(200, answer(**PAIR), NOW)
    assert not token.is_expired(NOW + timedelta(minutes=54))
    assert token.is_expired(NOW + timedelta(minutes=56))


@pytest.mark.parametrize(
    ("status", "body", "kind", "expected"),
    [
        (400, b'{"error":"invalid_grant"}', Rejected, "OAUTH-GRANT"),
        (400, b'{"error":"invalid_subject_token"}', Rejected, "OAUTH-SESSION"),
        (401, b'{"error":"invalid_client"}', Rejected, "OAUTH-CLIENT"),
        (400, b'{"error":"shop_not_permitted"}', Rejected, "OAUTH-SHOP-NOT-PERMITTED"),
        (403, b"<html>", Rejected, "OAUTH-REFUSED"),
        (302, b"", Rejected, "OAUTH-REFUSED"),
        (429, b"", Retryable, "OAUTH-DOWN"),
        (503, b"", Retryable, "OAUTH-DOWN"),
        (200, b"<html>", Retryable, "OAUTH-UNREADABLE"),
        (200, b"[]", Retryable, "OAUTH-UNREADABLE"),
        (200, b'{"scope":"x"}', Retryable, "OAUTH-UNREADABLE"),
    ],
)
def test_token_endpoint_failures(status: int, body: bytes, kind: type[LadenbuchError], expected: str) -> None:
    with pytest.raises(kind) as caught:
        oauth.parse_token_response(status, body, NOW)
    assert code(caught) == expected


@pytest.mark.parametrize(
    ("granted", "wanted", "missing"),
    [
        ("write_orders", "read_orders", []),
        ("write_orders,read_customers", "read_orders,write_orders,read_customers", []),
        ("read_orders", "write_orders", ["write_orders"]),
        ("unauthenticated_write_checkouts", "unauthenticated_read_checkouts", []),
        ("unauthenticated_write_checkouts", "read_checkouts", ["read_checkouts"]),
        ("", "read_orders", ["read_orders"]),
        (" read_orders , ", "read_orders", []),
    ],
)
def test_scopes_and_their_implications(granted: str, wanted: str, missing: list[str]) -> None:
    assert oauth.missing_scopes(granted, wanted) == missing
    assert oauth.scopes_satisfied(granted, wanted) is not bool(missing)


# -- shops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        SHOP,
        "MY-SHOP.myshopify.com",
        "  my-shop.myshopify.com ",
        "https://my-shop.myshopify.com",
        "http://my-shop.myshopify.com/",
        "admin.shopify.com/store/my-shop",
        "https://admin.shopify.com/store/my-shop/",
    ],
)
def test_shops_are_sanitised(text: str) -> None:
    assert oauth.sanitise_shop(text) == SHOP


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my-shop",
        "my-shop.myshopify.com.evil.com",
        "evil.com/my-shop.myshopify.com",
        "user:pass@my-shop.myshopify.com",
        "my-shop.myshopify.com:443",
        "my-shop.myshopify.com/admin",
        "my-shop.myshopify.com?x=1",
        "my-shop.myshopify.com#x",
        "my-shop.myshopify.com\n",
        "-shop.myshopify.com",
        "javascript:my-shop.myshopify.com",
        "https://https://my-shop.myshopify.com",
        "admin.shopify.com/store/",
        "admin.shopify.com/store/my-shop/orders",
        "admin.shopify.com/store/../my-shop",
        "admin.shopify.com.evil.com/store/my-shop",
        "my-shop.shopify.com",
        "\u212ay-shop.myshopify.com",
        "my-shop.myshopify.io",
    ],
)
def test_traps_are_not_shops(text: str) -> None:
    assert oauth.sanitise_shop(text) is None


# -- the host parameter, and who is asking ----------------------------------------------------------------------------


def encoded(host: str) -> str:
    return base64.b64encode(host.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "host",
    ["admin.shopify.com/store/my-shop", "my-shop.myshopify.com/admin", "my-shop.myshopify.com", "admin.shopify.com"],
)
def test_a_host_parameter_of_shopify_is_decoded(host: str) -> None:
    assert oauth.sanitise_host(encoded(host)) == host
    padded = encoded(host) + "=" * (-len(encoded(host)) % 4)
    assert oauth.sanitise_host(padded) == host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com/admin",
        "admin.shopify.com.evil.example.com/store/x",
        "evil.example.com/admin.shopify.com",
        "admin.shopify.com@evil.example.com",
        "admin.shopify.com:8080/store/x",
        "admin.shopify.com/store/x?next=//evil",
        "https://admin.shopify.com/store/x",
        "MY-SHOP.myshopify.com/admin",
        "-x.myshopify.com/admin",
        "",
    ],
)
def test_a_host_parameter_with_another_suffix_is_refused(host: str) -> None:
    assert oauth.sanitise_host(encoded(host)) is None


@pytest.mark.parametrize("text", ["", "====", "YWR taW4", "YWRtaW4=x", "\u00e9", "YWRtaW4\n", "Y" * 600, "/////w"])
def test_a_host_parameter_that_is_no_base64_is_refused(text: str) -> None:
    assert oauth.sanitise_host(text) is None


@pytest.mark.parametrize(
    ("agent", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", True),
        ("facebookexternalhit/1.1", True),
        ("Mozilla/5.0 (compatible; YandexBot/3.0)", True),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0", True),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1", False),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Edg/140.0", False),
        ("Mozilla/5.0 (Linux; Android 16; CUBOT X30) AppleWebKit/537.36 Chrome/140.0 Mobile", False),
        (None, False),
        ("", False),
    ],
)
def test_bots_are_told_from_browsers(agent: str | None, bot: bool) -> None:
    assert oauth.looks_like_a_bot(agent) is bot


def test_the_claimed_shop_is_read_without_being_believed() -> None:
    forged = jwt.encode(token_claims(), "x" * 40, algorithm="HS256")
    assert oauth.claimed_shop(forged) == SHOP
    for text in ("", "a.b.c", "\u00e9", jwt.encode({"dest": "https://evil.example.com"}, "x" * 40, algorithm="HS256")):
        assert oauth.claimed_shop(text) is None


# -- session tokens --------------------------------------------------------------------------------------------------


def token_claims(**more: object) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": f"https://{SHOP}/admin",
        "dest": f"https://{SHOP}",
        "aud": "client-id",
        "sub": "42",
        "exp": 1_700_000_060,
        "nbf": 1_700_000_000,
        "iat": 1_700_000_000,
        "jti": "j1",
        "sid": "s1",
    }
    claims.update(more)
    return {name: value for name, value in claims.items() if value is not None}


def session(now: datetime = NOW, secret: str = SECRET, alg: str = "HS256", **more: object) -> oauth.SessionToken:
    token = jwt.encode(token_claims(**more), secret, algorithm=alg)
    return oauth.verify_session_token(token, client_id="client-id", secrets=["current" * 6, SECRET], now=now)


def test_the_previous_secret_verifies_a_session_token() -> None:
    assert session().shop == SHOP


@pytest.mark.parametrize(("seconds", "fine"), [(-11, False), (-10, True), (60, True), (69, True), (70, False)])
def test_session_token_leeway_is_ten_seconds_both_sides(seconds: int, fine: bool) -> None:
    """At its expiry a token is expired (RFC 7519 4.1.4), so the last of the ten seconds is the ninth."""
    now = NOW + timedelta(seconds=seconds)
    if fine:
        assert session(now).user_id == "42"
    else:
        with pytest.raises(Rejected) as caught:
            session(now)
        assert code(caught) == "SESSION-TOKEN"


@pytest.mark.parametrize(
    "more",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": ["client-id"]},
        {"aud": ["another", "client-id"]},
        {"exp": None},
        {"nbf": None},
        {"exp": "1700000060"},
        {"iss": "https://evil.example.com/admin"},
        {"iss": "https://other.myshopify.com/admin"},
        {"iss": None},
        {"dest": "https://other.myshopify.com"},
        {"dest": f"http://{SHOP}"},
        {"dest": None},
        {"dest": f"https://{SHOP}.evil.com", "iss": f"https://{SHOP}.evil.com/admin"},
        {"secret": "x" * 40},
        {"alg": "HS512", "secret": SECRET * 2},
    ],
)
def test_session_tokens_that_must_not_pass(more: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        session(**more)
    assert code(caught) == "SESSION-TOKEN"


def test_another_algorithm_with_the_right_secret_is_refused() -> None:
    for alg in ("HS384", "HS512"):
        token = jwt.encode(token_claims(), SECRET * 2, algorithm=alg)
        with pytest.raises(Rejected):
            oauth.verify_session_token(token, client_id="client-id", secrets=[SECRET * 2], now=NOW)
    unsigned = jwt.encode(token_claims(), None, algorithm="none")
    with pytest.raises(Rejected):
        oauth.verify_session_token(unsigned, client_id="client-id", secrets=[SECRET], now=NOW)


@pytest.mark.parametrize("token", ["", "a.b.c", "x", "é.é.é", "." * 5])
def test_rubbish_is_not_a_session_token(token: str) -> None:
    with pytest.raises(Rejected):
        oauth.verify_session_token(token, client_id="client-id", secrets=[SECRET], now=NOW)


def test_checkout_tokens_have_no_user() -> None:
    """Checkout extensions: the subject may be missing, or a customer's gid; it is never a user."""
    assert session(sub=None, sid=None).user_id is None
    assert session(iss=f"https://{SHOP}", sub="42").user_id is None
    assert session(sub="gid://shopify/Customer/1").user_id is None


def test_bearer_header() -> None:
    assert oauth.bearer("Bearer abc") == "abc"
    assert oauth.bearer("bearer  abc ") == "abc"
    for value in (None, "", "abc", "Basic abc", "Bearer", "Bearer  "):
        with pytest.raises(Rejected):
            oauth.bearer(value)
