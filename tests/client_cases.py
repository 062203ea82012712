"""Deliveries, links, session tokens, shops and scopes on which Shopify's libraries and ours are asked for a verdict.

Each table maps a name to what both sides are given; `ours` gives our verdicts in the same words. The names are those of
docs/reference/other-clients.md, which lists every difference. The clock stands at `NOW` for everybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt

from ladenbuch.errors import Rejected
from ladenbuch.shopify import oauth, webhooks

NOW = 1_795_000_000
INSTANT = datetime.fromtimestamp(NOW, UTC)
SHOP = "demo.myshopify.com"
CLIENT_ID = "simulated-app"
SECRET = "a-secret-that-is-long-enough-for-sha-256-and-for-sha-512-as-well-0123"
OLD_SECRET = "the-secret-before-that-one-is-just-as-long"
Verdict = str | int | bool

# -- deliveries ------------------------------------------------------------------------------------------------------

BODY = '{"id":820982911946154508,"note":"Größe ß € 😀 \u2028","total_price":"1e2"}\n'.encode()
HEADERS = {
    "X-Shopify-Topic": "orders/create",
    "X-Shopify-Shop-Domain": SHOP,
    "X-Shopify-API-Version": "2026-10",
    "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
}


def mac(body: bytes = BODY, secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def signature(body: bytes = BODY, secret: str = SECRET) -> str:
    return base64.b64encode(mac(body, secret)).decode()


def delivery(
    body: bytes = BODY, signed: str | None = "", method: str = "POST", without: str = "", **more: str
) -> dict[str, Any]:
    """One POST as it is received; `signed` is the signature, "" the right one, None for none."""
    headers = {name: value for name, value in HEADERS.items() if name != without}
    if signed is not None:
        headers["X-Shopify-Hmac-Sha256"] = signed or signature(body)
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return {"method": method, "headers": list(headers.items()), "body": base64.b64encode(body).decode()}


def next_family(signed: str, **old: str) -> dict[str, Any]:
    """A delivery under the names without ``X-``, with `old` ones beside."""
    headers = {name.removeprefix("X-"): value for name, value in HEADERS.items()}
    headers |= {"Shopify-Hmac-Sha256": signed, **{name.replace("_", "-"): value for name, value in old.items()}}
    return {"method": "POST", "headers": list(headers.items()), "body": base64.b64encode(BODY).decode()}


def lowered(case: dict[str, Any]) -> dict[str, Any]:
    return {**case, "headers": [(name.lower(), value) for name, value in case["headers"]]}


# The last digit of 32 bytes carries four bits and two that mean nothing.
NEXT_DIGIT = chr(ord(signature()[-2]) + 1)

WEBHOOKS = {
    "genuine": delivery(),
    "lower-case header names": lowered(delivery()),
    "upper-case header names": {**delivery(), "headers": [(n.upper(), v) for n, v in delivery()["headers"]]},
    "not a POST": delivery(method="GET"),
    "no signature": delivery(signed=None),
    "empty body, signed": delivery(b""),
    "empty body, no signature": delivery(b"", signed=None),
    "a blank as body, signed": delivery(b" "),
    "signature of another body": delivery(signed=signature(b"{}")),
    "signed with another secret": delivery(signed=signature(secret="other")),
    "signed with the secret before the rotation": delivery(signed=signature(secret=OLD_SECRET)),
    "signature in hexadecimal": delivery(signed=mac().hex()),
    "signature without padding": delivery(signed=signature().rstrip("=")),
    "signature with another last digit for the same bytes": delivery(
        signed=signature()[:-2] + chr(ord(signature()[-2]) + 1) + "="
    ),
    "signature cut short": delivery(signed=base64.b64encode(mac()[:16]).decode()),
    "signature that is not ASCII": delivery(signed="é" + signature()[1:]),
    "no topic": delivery(without="X-Shopify-Topic"),
    "no shop": delivery(without="X-Shopify-Shop-Domain"),
    "no version": delivery(without="X-Shopify-API-Version"),
    "no webhook id": delivery(without="X-Shopify-Webhook-Id"),
    "a topic nobody handles": delivery(X_Shopify_Topic="orders/dreamt"),
    "a privacy topic": delivery(X_Shopify_Topic="customers/redact"),
    "a shop that is none": delivery(X_Shopify_Shop_Domain="example.com"),
    "a shop in capitals": delivery(X_Shopify_Shop_Domain=SHOP.upper()),
    "next family of headers": next_family(signature()),
    "both families, the old signature wrong": next_family(
        signature(), X_Shopify_Hmac_Sha256="wrong", X_Shopify_Topic="orders/create"
    ),
    "both families, the next signature wrong": next_family(
        "wrong", X_Shopify_Hmac_Sha256=signature(), X_Shopify_Topic="orders/create"
    ),
    "body that is not UTF-8": delivery(b'{"note":"\xff"}'),
}


def _delivery_verdict(case: dict[str, Any]) -> Verdict:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in case["headers"]]
    return webhooks.verify(case["method"], headers, base64.b64decode(case["body"]), [SECRET, OLD_SECRET]).status


# -- links ---------------------------------------------------------------------------------------------------------

LINK = {"code": "c0de", "host": "YWRtaW4", "shop": SHOP, "state": "5tate", "timestamp": str(NOW)}


def link(secret: str = SECRET, message: str | None = None, after: str = "", **more: str) -> str:
    """A query signed as Shopify signs it (sorted by byte, form encoding, ``%20``), with `after` added unsigned."""
    pairs = sorted({**LINK, **more}.items())
    text = urlencode(pairs).replace("+", "%20") if message is None else message
    return f"{urlencode(pairs)}&hmac={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}{after}"


def at(timestamp: str) -> str:
    return link(timestamp=timestamp)


_LISTED = urlencode([*LINK.items()]).replace("+", "%20")
QUERIES = {
    "genuine": link(),
    "another parameter, signed": link(protocol="https://"),
    "blanks, plus signs and percent signs": link(state="a b+c%20d"),
    "umlauts, tilde and emoji": link(state="ä~😀*-._"),
    "a parameter with a capital letter": link(Zone="a"),
    "an empty value": link(locale=""),
    "another parameter, not signed": link(after="&locale=de"),
    "signed with another secret": link(secret="other"),
    "signed with the secret before the rotation": link(secret=OLD_SECRET),
    "no signature": urlencode(LINK),
    "signature in capitals": link().replace(link()[-64:], link()[-64:].upper()),
    "state given twice, the last one signed": f"state=other&{link()}",
    "state given twice, the first one signed": link(after="&state=other"),
    "shop given twice": f"shop=other.myshopify.com&{link()}",
    "delimiters moved between values": link(
        state="5tate&x=1", message=_LISTED.replace("state=5tate", "state=5tate&x=1")
    ),
    "90 seconds old": at(str(NOW - 90)),
    "91 seconds old": at(str(NOW - 91)),
    "90 seconds ahead": at(str(NOW + 90)),
    "91 seconds ahead": at(str(NOW + 91)),
    "no timestamp": link(message=_LISTED.replace(f"&timestamp={NOW}", "")).replace(f"&timestamp={NOW}", ""),
    "timestamp empty": at(""),
    "timestamp NaN": at("NaN"),
    "timestamp Infinity": at("Infinity"),
    "timestamp with a fraction": at(f"{NOW}.5"),
    "timestamp with a fraction of nothing": at(f"{NOW}.0"),
    "timestamp in hexadecimal": at(hex(NOW)),
    "timestamp with a blank": at(f" {NOW}"),
    "a shop that is none": link(shop="example.com"),
    "a shop with a line break": link(shop=f"{SHOP}\n"),
    "a shop of shopify.com": link(shop="demo.shopify.com"),
    "a shop in capitals": link(shop=SHOP.upper()),
}


def _link_verdict(query: str) -> Verdict:
    try:
        return oauth.check_query(parse_qsl(query, keep_blank_values=True), [SECRET, OLD_SECRET], INSTANT)
    except Rejected:
        return False


# -- session tokens --------------------------------------------------------------------------------------------------

CLAIMS: dict[str, Any] = {
    "iss": f"https://{SHOP}/admin",
    "dest": f"https://{SHOP}",
    "aud": CLIENT_ID,
    "sub": "42",
    "exp": NOW + 60,
    "nbf": NOW,
    "iat": NOW,
    "jti": "f8912129-1af6-4cad-9ca3-76b0f7621087",
    "sid": "aaea182f2732d44c23057c0fea584021a4485b2bd25d3eb7fd349313ad24c685",
}


def token(secret: str = SECRET, algorithm: str = "HS256", without: str = "", **claims: Any) -> str:
    full = {name: value for name, value in {**CLAIMS, **claims}.items() if name != without}
    return jwt.encode(full, secret, algorithm=algorithm)


def unsigned() -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, CLAIMS)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


SESSIONS = {
    "genuine": token(),
    "expired 9 seconds ago": token(exp=NOW - 9),
    "expired 10 seconds ago": token(exp=NOW - 10),
    "expired 11 seconds ago": token(exp=NOW - 11),
    "valid in 10 seconds": token(nbf=NOW + 10),
    "valid in 11 seconds": token(nbf=NOW + 11),
    "issued in the future": token(iat=NOW + 30),
    "for another app": token(aud="other-app"),
    "for this app among others": token(aud=[CLIENT_ID, "other-app"]),
    "for this app in a list of one": token(aud=[CLIENT_ID]),
    "no audience": token(without="aud"),
    "no expiry": token(without="exp"),
    "no beginning": token(without="nbf"),
    "no destination": token(without="dest"),
    "no issuer": token(without="iss"),
    "no user": token(without="sub"),
    "a user who is no number": token(sub="gid://shopify/Customer/1"),
    "expiry with a fraction": token(exp=NOW + 60.5),
    "expiry as text": token(exp=str(NOW + 60)),
    "signed with another secret": token(secret="another-secret-that-is-long-enough-as-well"),
    "signed with the secret before the rotation": token(secret=OLD_SECRET),
    "another algorithm with the right secret": token(algorithm="HS512"),
    "no algorithm": unsigned(),
    "issuer and destination differ": token(iss="https://other.myshopify.com/admin"),
    "issuer is no shop": token(iss="https://example.com/admin"),
    "issuer without https": token(iss=f"{SHOP}/admin"),
    "destination is no shop": token(dest="https://example.com", iss="https://example.com/admin"),
    "destination without https": token(dest=SHOP, iss=f"{SHOP}/admin"),
    "destination over http": token(dest=f"http://{SHOP}"),
    "destination with a port": token(dest=f"https://{SHOP}:8443", iss=f"https://{SHOP}:8443/admin"),
    "destination with a path": token(dest=f"https://{SHOP}/admin"),
    "destination with a user": token(dest=f"https://evil@{SHOP}", iss=f"https://evil@{SHOP}/admin"),
    "one character changed": token()[:-3] + ("A" if token()[-3] != "A" else "B") + token()[-2:],
    "not a token": "a.b.c",
}


def _session_verdict(given: str) -> Verdict:
    try:
        verified = oauth.verify_session_token(given, client_id=CLIENT_ID, secrets=[SECRET, OLD_SECRET], now=INSTANT)
    except Rejected:
        return False
    return verified.shop.removesuffix(".myshopify.com")


# -- shops and scopes ------------------------------------------------------------------------------------------------

SHOPS = {
    text: text
    for text in (
        SHOP,
        SHOP.upper(),
        f" {SHOP} ",
        f"https://{SHOP}",
        f"http://{SHOP}/",
        f"{SHOP}/",
        f"{SHOP}//",
        f"{SHOP}/admin",
        f"{SHOP}:443",
        f"{SHOP}.example.com",
        f"{SHOP}?x=1",
        f"{SHOP}#",
        f"evil@{SHOP}",
        f"example.com/{SHOP}",
        "-demo.myshopify.com",
        "my_demo.myshopify.com",
        "a.b.myshopify.com",
        ".myshopify.com",
        "demo.shopify.com",
        "demo.myshopify.io",
        "demo.shop.dev",
        "demomyshopify.com",
        "demo.myshopify.co",
        "admin.shopify.com/store/demo",
        "https://admin.shopify.com/store/demo",
        "admin.shopify.com/store/demo/orders",
        "admin.example.com/store/demo",
        "démo.myshopify.com",
        "",
    )
} | {"demo.myshopify.com and a line break": f"{SHOP}\n"}

SCOPES = {
    f"{granted} for {wanted or 'nothing'}": (granted, wanted)
    for granted, wanted in (
        ("read_orders", "read_orders"),
        ("write_orders", "read_orders"),
        ("read_orders", "write_orders"),
        ("write_orders", "read_orders,write_orders"),
        ("read_orders,write_orders", "write_orders"),
        ("unauthenticated_write_checkouts", "unauthenticated_read_checkouts"),
        ("write_checkouts", "unauthenticated_read_checkouts"),
        ("read_orders, write_products", "read_products"),
        ("read_orders", ""),
        ("read_orders", "read_orders,,"),
    )
}


def _scope_verdict(case: tuple[str, str]) -> Verdict:
    return oauth.scopes_satisfied(*case)


CASES: dict[str, dict[str, Any]] = {
    "webhooks": WEBHOOKS,
    "queries": QUERIES,
    "sessions": SESSIONS,
    "shops": SHOPS,
    "scopes": SCOPES,
}


def ours() -> dict[str, dict[str, Verdict]]:
    """Our verdicts: a status, the shop believed, whether scopes suffice; False is a refusal."""
    judges: dict[str, Any] = {
        "webhooks": _delivery_verdict,
        "queries": _link_verdict,
        "sessions": _session_verdict,
        "shops": lambda text: oauth.sanitise_shop(text) or False,
        "scopes": _scope_verdict,
    }
    return {kind: {name: judges[kind](case) for name, case in cases.items()} for kind, cases in CASES.items()}
