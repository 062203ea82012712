"""Bodies as they come: signed byte by byte (S87, S88), and XML read like the JSON it would have been (S18)."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import random
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ladenbuch.errors import Rejected
from ladenbuch.shopify.webhooks import Event, refunded, verify
from ladenbuch.shopify.xml_body import DEEPEST, LARGEST, MOST_ELEMENTS, looks_like_xml, to_json
from ladenbuch.simulators.shopify.bodies import as_json, as_xml, trimmed

SECRET = "test_secret"
SOURCE = Path(__file__).resolve().parents[2] / "src" / "ladenbuch"


def mac(body: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()


def headers(body: bytes, topic: str = "orders/create", content_type: str = "application/json") -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": mac(body),
        "X-Shopify-Shop-Domain": "seifenladen.myshopify.com",
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": "w-1",
        "X-Shopify-Event-Id": "e-1",
        "X-Shopify-Triggered-At": "2026-11-22T10:00:00.123456789Z",
    }


# -- S87: raw bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"id":1,"note":"\U0001f9fc\U0001f468\u200d\U0001f469\u200d\U0001f467"}',  # emoji, joined ones too
        '{"id":1,"note":"a\u2028b\u2029c"}',  # line ends of JavaScript, not of JSON
        '{"id":1,"weight":1e2,"rate":0.190,"big":12345678901234567890}',  # numbers another writer would change
        '{"id":1,"note":"x"}\n',  # a line end after it
        '\r\n\t{"id" : 1}\r\n',
        '{"id":1,"note":"\\u00fc\\/"}',  # escapes another writer would undo
        '{"id":1,"note":"\\ud83d"}',  # half a pair
        '{"id":1,"a":"ü","a":"u\u0308"}',  # a key twice, two ways to write one letter
        '\ufeff{"id":1}',
    ],
)
def test_s87_the_signature_covers_the_bytes_as_they_came(body: str) -> None:
    raw = body.encode("utf-8", "surrogatepass")
    assert verify("POST", headers(raw), raw, [SECRET]).status == 200
    for other in (raw + b"\n", raw.strip() + b" ", raw.replace(b"1", b"2"), raw[:-1]):
        assert verify("POST", headers(raw), other, [SECRET]).status == 401
    try:
        again = json.dumps(json.loads(raw)).encode()
    except ValueError:
        return
    if again != raw:
        assert verify("POST", headers(raw), again, [SECRET]).status == 401, "re-encoded (E3)"


def test_s27_every_flipped_bit_of_a_body_is_noticed() -> None:
    raw = '{"id":1,"note":"ß \U0001f9fc"}\n'.encode()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert verify("POST", headers(raw), bytes(flipped), [SECRET]).status == 401


# -- S88: constant time ------------------------------------------------------------------------------------------------

_SECRETIVE = ("hmac", "mac", "signature", "digest", "secret", "token", "password")
_COMPUTED = ("hexdigest", "finalize", "sign", "query_hmac")


def _compares_secrets(tree: ast.AST, *more: str) -> list[str]:
    """Comparisons by == or != with a side that is named like a secret or is a digest."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            for side in (node.left, *node.comparators):
                called = side.func if isinstance(side, ast.Call) else side
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name.lower().strip("_") in (*_SECRETIVE, *_COMPUTED, *more):
                    found.append(ast.unparse(node))
    return found


def test_s88_secrets_are_compared_in_constant_time_only() -> None:
    """ASVS 11.2.4: where requests are judged, nothing named like a signature meets == or !=."""
    judges = [SOURCE / "shopify" / "webhooks.py", SOURCE / "shopify" / "oauth.py", *(SOURCE / "web").glob("*.py")]
    wrong: dict[str, list[str]] = {}
    for path in judges:
        more = ("state",) if path.parent.name == "shopify" else ()  # on pages a document has a state
        wrong[path.name] = _compares_secrets(ast.parse(path.read_text(encoding="utf-8")), *more)
    assert {name: found for name, found in wrong.items() if found} == {}
    assert _compares_secrets(ast.parse("if mac == claimed: pass\nif x.digest() != y: pass")) != []
    for name in ("webhooks.py", "oauth.py"):
        assert "compare_digest" in (SOURCE / "shopify" / name).read_text(encoding="utf-8")


# -- S18: XML ----------------------------------------------------------------------------------------------------------

ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "name": "#1001",
    "note": 'Größe <b> & "ß" ]]> \U0001f9fc\u2028\n\t zwei  Leerzeichen ',
    "email": "",
    "phone": None,
    "test": False,
    "confirmed": True,
    "total_price": "129.00",
    "tax_lines": [{"title": "MwSt", "rate": 0.19, "price": "20.60"}],
    "discount_codes": [],
    "payment_gateway_names": ["paypal", "bank_deposit"],
    "line_items": [
        {"id": 5, "quantity": -1, "properties": [{"name": "a", "value": None}]},
        {"id": 6, "properties": []},
    ],
    "customer": {"id": 7, "addresses": [{"city": "Köln"}]},
}


def test_s18_the_same_order_in_xml_and_json_is_the_same_event() -> None:
    plain, marked = as_json(ORDER), as_xml("orders/create", ORDER)
    ours = Event.from_http(headers(plain), plain)
    theirs = Event.from_http(headers(marked, content_type="application/xml"), marked)
    assert verify("POST", headers(marked), marked, [SECRET]).genuine
    assert ours.order_id == "gid://shopify/Order/820982911946154508"
    assert ours == theirs
    first, second = (hashlib.sha256(msgspec.json.encode(item)).hexdigest() for item in (ours, theirs))
    assert first == second


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (
            "orders/edited",
            {"order_edit": {"id": 7, "order_id": 42, "line_items": {"additions": [{"id": 6, "delta": 1}]}}},
        ),
        ("refunds/create", {"id": 9, "order_id": 42, "transactions": [{"status": "success", "amount": "5.00"}]}),
        ("order_transactions/create", {"id": 7, "order_id": 42, "kind": "sale"}),
        ("fulfillments/update", {"id": 7, "order_id": 42, "tracking_numbers": ["1"]}),
        ("returns/close", {"id": 7, "order": {"id": 42}}),
        ("app/uninstalled", {"id": 1, "domain": None}),
    ],
)
def test_s18_every_family_of_topics_is_read_from_xml(topic: str, payload: dict[str, Any]) -> None:
    plain, marked = as_json(payload), as_xml(topic, payload)
    assert Event.from_http(headers(plain, topic), plain) == Event.from_http(headers(marked, topic), marked)
    if topic == "refunds/create":
        assert refunded(Event.from_http(headers(marked, topic), marked).body) == ("gid://shopify/Refund/9", 500)


def _anything(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.randrange(-(2**62), 2**62)
    if kind == 2:
        return rng.choice((0.5, 19.0, -1.25))
    if kind < 6:
        return "".join(rng.choice("aß€\U0001f9fc<>&\"' \n\t\r;#\u2028") for _ in range(rng.randrange(6)))
    if kind == 6:
        return [_anything(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {f"{rng.choice('abcd')}_{n}": _anything(rng, depth + 1) for n in range(rng.randrange(1, 4))}


def test_s18_five_hundred_generated_payloads_come_out_the_same() -> None:
    rng = random.Random(18)
    for _ in range(500):
        payload = {"id": 1, "x": _anything(rng)}
        assert to_json(as_xml("orders/create", payload)) == as_json(payload)


_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "attack",
    [
        f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "ha">{_LAUGHS}]><order><id>&l9;</id></order>',
        '<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]><order><note>&x;</note></order>',
        '<!DOCTYPE o [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><order><note>&x;</note></order>',
        '<!DOCTYPE o SYSTEM "http://127.0.0.1:9/o.dtd"><order><id>1</id></order>',
        '<!DOCTYPE o [<!ENTITY % p SYSTEM "http://127.0.0.1:9/">%p;]><order><id>1</id></order>',
        "<!DOCTYPE o><order><id>1</id></order>",
        f'<!DOCTYPE o [<!ENTITY a "{"x" * 50_000}">]><order><n>{"&a;" * 5_000}</n></order>',
        "<order><note>&unknown;</note></order>",
        '<?xml version="1.0" encoding="UTF-7"?><order><id>1</id></order>',
        '<?xml version="1.0" encoding="ISO-8859-1"?><order><id>1</id></order>',
        '<?xml-stylesheet href="http://127.0.0.1:9/"?><order><id>1</id></order>',
        '<order xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></order>',
        '<order><id type="yaml">--- !ruby/object:X {}</id></order>',
        '<order><id type="symbol">x</id></order>',
        '<order><id type="file">x</id></order>',
        '<order><id type="integer">1e9</id></order>',
        '<order><id type="integer">' + "1" * 20 + "</id></order>",
        '<order><rate type="float">NaN</rate></order>',
        '<order><test type="boolean">1</test></order>',
        "<order>text<id>1</id></order>",
        "<order><id>1</id><id>2</id></order>",
        '<order><id type="integer">1<x/></id></order>',
        "<order>" + "<a>" * DEEPEST + "</a>" * DEEPEST + "</order>",
        '<order><a type="array">' + "<b/>" * MOST_ELEMENTS + "</a></order>",
        f"<order><{'a' * 101}>1</{'a' * 101}></order>",
        "<order>" + "x" * LARGEST + "</order>",
        "<order><id>1</id>",
        "<order><id>1</id></order><order/>",
        "<order/>",
        "<order>1</order>",
        '<order type="array"><id>1</id></order>',
        "<",
        "<order>\x00</order>",
    ],
    ids=range(33),
)
def test_s18_what_xml_can_do_beyond_a_plain_document_is_refused_at_once(attack: str) -> None:
    """No document type, so no entity is ever expanded or fetched; the sender gets 200, the body is flagged and kept."""
    body = attack.encode()
    began = time.process_time()
    with pytest.raises(Rejected) as refused:
        to_json(body)
    assert time.process_time() - began < 2.0
    assert refused.value.code == "WEBHOOK-XML"
    assert "passwd" not in refused.value.message and "127.0.0.1" not in refused.value.message
    found = Event.from_http(headers(body), body)
    assert (found.order_id, found.flags, found.body) == (None, ("malformed",), body)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_s18_other_encodings_are_no_way_around(encoding: str) -> None:
    body = "<!DOCTYPE o><order><id>1</id></order>".encode(encoding)
    assert Event.from_http(headers(body), body).flags == ("malformed",)


def test_s18_a_signature_covers_xml_bytes_too() -> None:
    body = as_xml("orders/create", ORDER)
    assert verify("POST", headers(body), body.replace(b"129.00", b"129.01"), [SECRET]).status == 401


def test_only_what_begins_as_xml_is_taken_for_it() -> None:
    assert looks_like_xml(b' \n<?xml version="1.0"?><a/>')
    assert looks_like_xml(b"\xef\xbb\xbf<a/>")
    assert not looks_like_xml(b'{"note":"<a>"}')
    assert json.loads(to_json(b"\xef\xbb\xbf<o><a>1</a></o>")) == {"a": "1"}


# -- S95: narrowed payloads --------------------------------------------------------------------------------------------


def test_s95_a_narrowed_payload_has_the_fields_asked_for_and_no_other() -> None:
    assert trimmed(ORDER, []) == ORDER
    assert trimmed(ORDER, ["id", "line_items.id", "customer.addresses.city", "absent"]) == {
        "id": ORDER["id"],
        "line_items": [{"id": 5}, {"id": 6}],
        "customer": {"addresses": [{"city": "Köln"}]},
    }
    assert trimmed(ORDER, ["line_items", "line_items.id"])["line_items"] == ORDER["line_items"]
    assert json.loads(as_json(ORDER), parse_float=Decimal)["tax_lines"][0]["rate"] == Decimal("0.19")
