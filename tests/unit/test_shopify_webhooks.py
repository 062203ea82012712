"""Genuine deliveries and nothing else (E1-E10; behaviours of the official libraries' suites)."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ladenbuch.errors import Rejected
from ladenbuch.shopify.oauth import signing_key, state_cookie
from ladenbuch.shopify.webhooks import (
    COMPLIANCE,
    REQUIRED,
    Event,
    enum_topic,
    normalise_topic,
    shop_domain,
    sign,
    verify,
)

SECRET = "test_secret"
BODY = b'{"id":820982911946154508,"note":"hello"}'
SAMPLES = Path(os.environ.get("LADENBUCH_SAMPLES", Path(__file__).resolve().parents[2].parent / "shared" / "samples"))


def headers(body: bytes = BODY, *, topic: str = "orders/create", secret: str = SECRET, **more: str) -> dict[str, str]:
    return {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": sign(body, secret),
        "X-Shopify-Shop-Domain": "seifenladen.myshopify.com",
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "X-Shopify-Triggered-At": "2026-11-22T10:00:00.123456789Z",
        "X-Shopify-Event-Id": "event-1",
        **more,
    }


def raw(given: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in given.items()]


def event(topic: str, payload: object, **more: str) -> Event:
    body = json.dumps(payload).encode()
    return Event.from_http(headers(body, topic=topic, **more), body)


# -- verify ----------------------------------------------------------------------------------------------------------


def test_hmac_vector_with_utf8_body() -> None:
    body = '{"id":1,"note":"Größe ß €"}'.encode()
    assert len(body) == 32
    assert sign(body, "test_secret") == "woeB8H/vfAnPzNp2Sp91ZznUAdyvU2fq/72l9mLIAjE="


def test_a_genuine_delivery_is_accepted_as_mapping_and_as_raw_pairs() -> None:
    assert verify("POST", headers(), BODY, [SECRET]).status == 200
    assert verify("POST", raw(headers()), BODY, [SECRET]).genuine


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_header_names_are_case_insensitive(change: type[str.lower]) -> None:
    """Facts 7.3: lower-case and mixed headers (S80 to S86)."""
    given = {change(name): value for name, value in headers().items()}
    assert verify("POST", given, BODY, [SECRET]).genuine
    assert Event.from_http(raw(given), BODY).topic == "orders/create"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", ""])
def test_other_methods_are_405(method: str) -> None:
    """Facts 3.4."""
    assert verify(method, headers(), BODY, [SECRET]).status == 405


def test_empty_body_is_400_even_when_signed() -> None:
    """Facts 7.3: empty body."""
    verdict = verify("POST", headers(b""), b"", [SECRET])
    assert (verdict.kind, verdict.status) == ("empty", 400)


@pytest.mark.parametrize("value", [None, "", "   "])
def test_missing_hmac_is_400_and_named(value: str | None) -> None:
    """Facts 7.3: missing HMAC (S81)."""
    given = headers()
    if value is None:
        del given["X-Shopify-Hmac-Sha256"]
    else:
        given["X-Shopify-Hmac-Sha256"] = value
    verdict = verify("POST", given, BODY, [SECRET])
    assert (verdict.kind, verdict.status) == ("unsigned", 400)
    assert "X-Shopify-Hmac-Sha256" in verdict.reason


@pytest.mark.parametrize("missing", REQUIRED)
def test_each_missing_required_header_is_400_and_named(missing: str) -> None:
    """Facts 7.3: each missing required header is named (S80, S82, S83, S84)."""
    given = {name: value for name, value in headers().items() if name.lower() != f"x-shopify-{missing}"}
    verdict = verify("POST", given, BODY, [SECRET])
    assert (verdict.kind, verdict.status) == ("incomplete", 400)
    assert f"x-shopify-{missing}" in verdict.reason.lower()
    with pytest.raises(Rejected) as caught:
        Event.from_http(given, BODY)
    assert caught.value.code == "WEBHOOK-HEADERS"


@pytest.mark.parametrize(
    "mac",
    [
        sign(BODY, "another"),
        sign(BODY + b" ", SECRET),
        sign(BODY, SECRET)[:-1],
        sign(BODY, SECRET) + "=",
        sign(BODY, SECRET)[:-4],
        "AAAA",
        "not base64!",
        "ümlaut",
        "\ud800",
        "=" * 44,
        sign(BODY, SECRET).replace("=", "\n="),
    ],
)
def test_a_wrong_hmac_is_401(mac: str) -> None:
    """Facts 7.3 (S27, S81)."""
    verdict = verify("POST", headers() | {"X-Shopify-Hmac-Sha256": mac}, BODY, [SECRET])
    assert (verdict.kind, verdict.status) == ("forged", 401)


@pytest.mark.parametrize("topic", sorted(COMPLIANCE))
def test_compliance_topics_answer_401_to_a_wrong_hmac(topic: str) -> None:
    """Facts 3.4, 3.7: the app review asks for exactly 401."""
    assert verify("POST", headers(topic=topic, secret="wrong"), BODY, [SECRET]).status == 401


def test_non_ascii_bytes_in_the_hmac_header_never_crash() -> None:
    given = [(n, b"\xff\xfe\xc3" if n.lower().endswith(b"sha256") else v) for n, v in raw(headers())]
    assert verify("POST", given, BODY, [SECRET]).status == 401


def test_the_previous_secret_is_accepted_during_a_rotation() -> None:
    """Facts 7.3: old secret accepted."""
    assert verify("POST", headers(secret="old"), BODY, ["new", "old"]).genuine
    assert not verify("POST", headers(secret="older"), BODY, ["new", "old"]).genuine


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_is_genuine(secrets: list[str]) -> None:
    assert verify("POST", headers(secret=""), BODY, secrets).status == 401


def test_both_header_families_are_understood_and_the_new_one_wins() -> None:
    """Facts 7.3: both header families, the new one wins."""
    new = {name.removeprefix("X-"): value for name, value in headers().items()}
    assert verify("POST", new, BODY, [SECRET]).genuine
    both = new | headers(secret="wrong", topic="orders/paid")
    assert verify("POST", both, BODY, [SECRET]).genuine
    assert Event.from_http(both, BODY).topic == "orders/create"
    assert not verify("POST", headers() | {"Shopify-Hmac-Sha256": sign(BODY, "wrong")}, BODY, [SECRET]).genuine


def test_a_cookie_signature_is_not_a_webhook_signature() -> None:
    """A value signed for a cookie, replayed as a body, must not validate (key separation, facts 3.3)."""
    cookie = state_cookie(
        signing_key(SECRET), "a" * 64, "seifenladen.myshopify.com", datetime(2026, 11, 22, tzinfo=UTC)
    )
    body, _, signature = cookie.rpartition(".")
    import base64

    mac = base64.b64encode(bytes.fromhex(signature)).decode()
    assert verify("POST", headers() | {"X-Shopify-Hmac-Sha256": mac}, body.encode(), [SECRET]).status == 401
    assert mac != sign(body.encode(), SECRET)


def test_a_signed_delivery_for_a_foreign_domain_is_refused() -> None:
    """S82: a shop's domain is looked at only after the signature, and by a pattern."""
    given = headers() | {"X-Shopify-Shop-Domain": "shop.example.com"}
    assert verify("POST", given, BODY, [SECRET]).status == 400
    with pytest.raises(Rejected) as caught:
        Event.from_http(given, BODY)
    assert caught.value.code == "WEBHOOK-SHOP"


# -- shop domains ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["seifenladen.myshopify.com", "Seifen-Laden.MyShopify.com", "1a.myshopify.com"])
def test_shop_domains(text: str) -> None:
    assert shop_domain(text) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "myshopify.com",
        ".myshopify.com",
        "-shop.myshopify.com",
        "shop.myshopify.com.evil.com",
        "evil.com/shop.myshopify.com",
        "evil.com#shop.myshopify.com",
        "user@shop.myshopify.com",
        "shop.myshopify.com:8080",
        "shop.myshopify.com/admin",
        "shop.myshopify.com\n",
        "a.b.myshopify.com",
        "shop_1.myshopify.com",
        "shop.myshopify.io",
        "shopKelvin\u212a.myshopify.com",
        "ſhop.myshopify.com",
        "a" * 300 + ".myshopify.com",
    ],
)
def test_traps_are_not_shop_domains(text: str) -> None:
    assert shop_domain(text) is None


# -- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("orders/create", {"id": 42, "order_id": "x"}),
        ("orders/updated", {"id": 42, "line_items": [{"id": 7}]}),
        ("orders/delete", {"id": 42}),
        ("orders/edited", {"order_edit": {"id": 7, "order_id": 42}}),
        ("refunds/create", {"id": 7, "order_id": 42}),
        ("order_transactions/create", {"id": 7, "order_id": 42}),
        ("transactions/create", {"id": 7, "order_id": 42}),
        ("fulfillments/update", {"id": 7, "order_id": 42}),
        ("disputes/create", {"id": 7, "order_id": 42}),
        ("returns/close", {"id": 7, "order": {"id": 42}}),
    ],
)
def test_the_order_id_is_found_by_topic(topic: str, payload: object) -> None:
    found = event(topic, payload)
    assert (found.order_id, found.flags) == ("gid://shopify/Order/42", ())


def test_alias_e10_transactions_create() -> None:
    """Facts 7.3: topics are normalised, dotted ones too."""
    assert event("transactions/create", {"order_id": 1}).topic == "order_transactions/create"
    assert normalise_topic("Orders/Create ") == "orders/create"
    assert enum_topic("orders/create") == "ORDERS_CREATE"
    assert enum_topic("customer.tags_added") == "CUSTOMER_TAGS_ADDED"


def test_ids_are_64_bit_integers_never_floats() -> None:
    assert event("orders/create", {"id": 2**63 - 1}).order_id == "gid://shopify/Order/9223372036854775807"
    assert event("orders/create", {"id": 820982911946154508}).order_id == "gid://shopify/Order/820982911946154508"


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"id":null}',
        b'{"id":"42"}',
        b'{"id":0}',
        b'{"id":-1}',
        b'{"id":4.5}',
        b'{"id":9223372036854775808}',
        b'{"id":1e400}',
        b'{"id":true}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id":' + b"1" * 5000 + b"}",
    ],
)
def test_a_malformed_body_is_flagged_not_raised(body: bytes) -> None:
    found = Event.from_http(headers(body), body)
    assert (found.order_id, found.flags) == (None, ("malformed",))


def test_headers_become_the_event() -> None:
    """Facts 7.3: the name is extracted (S83 to S86)."""
    found = Event.from_http(headers(**{"X-Shopify-Name": "books", "x-shopify-shop-domain-2": "no"}), BODY)
    assert found.webhook_id == "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"
    assert found.event_id == "event-1"
    assert found.shop == "seifenladen.myshopify.com"
    assert found.api_version == "2026-10"
    assert found.name == "books"
    assert found.triggered_at == datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)
    assert found.body is BODY
    assert "hello" not in repr(found)


def test_an_unreadable_time_is_flagged() -> None:
    given = headers() | {"X-Shopify-Triggered-At": "yesterday"}
    assert Event.from_http(given, BODY).flags == ("triggered-at",)


def test_an_unknown_topic_is_flagged_and_accepted() -> None:
    """S80; facts 7.3: unknown topic."""
    assert verify("POST", headers(topic="moon/landed"), BODY, [SECRET]).status == 200
    found = Event.from_http(headers(topic="moon/landed"), BODY)
    assert (found.order_id, found.flags) == (None, ("unknown-topic",))


def test_a_known_topic_without_an_order_has_no_flag() -> None:
    assert event("app/uninstalled", {"id": 1}).flags == ()


@pytest.mark.parametrize("topic", sorted(COMPLIANCE))
def test_compliance_bodies_must_name_the_shop_of_the_header(topic: str) -> None:
    assert event(topic, {"shop_id": 1, "shop_domain": "Seifenladen.myshopify.com"}).flags == ()
    assert event(topic, {"shop_id": 1, "shop_domain": "other.myshopify.com"}).flags == ("shop-mismatch",)


@pytest.mark.parametrize(
    ("sample", "topic", "root"),
    [
        ("rest-order.json", "orders/updated", "order"),
        ("rest-refund.json", "refunds/create", "refund"),
        ("rest-transaction.json", "order_transactions/create", "transaction"),
        ("rest-disputes.json", "disputes/create", "disputes"),
        ("rest-draft_order.json", "draft_orders/update", "draft_order"),
        ("rest-gift_card.json", "gift_cards/create", "gift_card"),
        ("rest-inventory_level.json", "inventory_levels/update", "inventory_level"),
        ("rest-location.json", "locations/update", "location"),
        ("rest-product.json", "products/update", "product"),
        ("rest-shop.json", "shop/update", "shop"),
        ("rest-tender_transactions.json", "tender_transactions/create", "tender_transactions"),
    ],
)
def test_documentation_samples_become_events(sample: str, topic: str, root: str) -> None:
    """Samples: `test/fixtures` of Shopify/shopify_python_api, in `../shared/samples` or `LADENBUCH_SAMPLES`."""
    file = SAMPLES / sample
    if not file.is_file():
        pytest.skip(
            f"no {sample}: copy test/fixtures of Shopify/shopify_python_api to LADENBUCH_SAMPLES as rest-*.json"
        )
    payload = json.loads(file.read_text(encoding="utf-8"))
    payload = payload.get(root, payload)
    for item in payload if isinstance(payload, list) else [payload]:
        found = event(topic, item)
        expected = item.get("id") if topic.startswith("orders/") else item.get("order_id")
        about_order = topic.split("/")[0] in (
            "orders",
            "refunds",
            "order_transactions",
            "disputes",
            "tender_transactions",
        )
        if about_order and expected is not None:
            assert found.order_id == f"gid://shopify/Order/{expected}"
        else:
            assert found.order_id is None


def test_ten_thousand_hostile_deliveries_never_crash() -> None:
    """Seeded noise in headers and bodies: a verdict always, an event or a `Rejected`."""
    rng = random.Random(20261122)
    names = [*(f"x-shopify-{n}" for n in (*REQUIRED, "hmac-sha256", "triggered-at")), "shopify-topic", "host", ""]
    statuses: set[int] = set()
    refusals: set[str] = set()
    for _ in range(10_000):
        body = rng.choice([BODY, rng.randbytes(rng.randrange(40)), json.dumps({"id": rng.getrandbits(70)}).encode()])
        given = raw(headers(body, topic=rng.choice(["orders/create", "orders/edited", "shop/redact", "x"])))
        for _ in range(rng.randrange(4)):
            noise = (rng.choice(names).encode(), rng.randbytes(rng.randrange(50)))
            given.insert(rng.randrange(len(given) + 1), noise)
        if rng.random() < 0.5:
            del given[rng.randrange(len(given))]
        statuses.add(verify("POST", given, body, [SECRET]).status)
        try:
            Event.from_http(given, body)
        except Rejected as error:
            refusals.add(error.code)
    assert statuses == {200, 400, 401}
    assert refusals == {"WEBHOOK-HEADERS", "WEBHOOK-SHOP"}
