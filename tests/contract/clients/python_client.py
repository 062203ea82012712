"""Shopify's own Python package as a merchant's app (`work`) or as a judge (`judge`); one JSON in, one JSON out.

It runs in the environment the package `shopifyapp` is installed in, not in ours. Shops are reached through HTTPS_PROXY,
whose authority is in SSL_CERT_FILE.

    python python_client.py work   < {shop, client_id, client_secret, control, topics, privacy, until}
    python python_client.py judge  < {shop, client_id, client_secret, old_secret, now, webhooks, sessions}
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import jwt
from shopify_app import ShopifyApp

SHOP_QUERY = "{ shop { myshopifyDomain currencyCode } }"
ORDERS_QUERY = "query Page($n: Int!) { orders(first: $n) { nodes { id name } } }"
PATCH_PAGE = "/auth/patch-id-token"


def app(given: dict, **more: str) -> ShopifyApp:
    return ShopifyApp(**{"client_id": given["client_id"], "client_secret": given["client_secret"], **more})


def control(given: dict, verb: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(f"{given['control']}/{verb}", data), timeout=10) as answer:
        return json.load(answer)


def told(result) -> dict:
    """A grant as the package tells it: its code, and the token in numbers that can be compared."""
    token = result.access_token
    shown = {"ok": result.ok, "code": result.log.code, "shop": result.shop, "status": result.response.status}
    if token is None:
        return shown
    return {
        **shown,
        "mode": token.access_mode,
        "token": token.token,
        "scope": token.scope,
        "expires": token.expires,
        "refresh": getattr(token, "refresh_token", None),
        "refresh_expires": getattr(token, "refresh_token_expires", None),
        "user": token.user and token.user.email,
    }


def home(own: ShopifyApp, token: str):
    """What the package makes of a request of the embedded page with this session token."""
    request = {
        "method": "GET",
        "url": "https://app.example/data",
        "headers": {"Authorization": f"Bearer {token}"},
        "body": "",
    }
    return own.verify_app_home_req(request, PATCH_PAGE)


def grants(given: dict, answer: dict) -> str:
    own, shop = app(given), given["shop"].split(".")[0]
    answer["client_credentials"] = told(own.exchange_using_client_credentials(shop))
    answer["client_credentials_async"] = told(asyncio.run(own.exchange_using_client_credentials_async(shop)))
    wrong = app(given, client_secret="wrong")
    answer["client_credentials_wrong_secret"] = told(wrong.exchange_using_client_credentials(shop))
    answer["client_credentials_unknown_shop"] = told(own.exchange_using_client_credentials("nobody"))

    def exchange(mode: str, **more):
        seen = home(own, control(given, "session", {"shop": given["shop"]})["session_token"])
        return own.exchange_using_token_exchange(
            mode, id_token=seen.id_token, invalid_token_response=seen.invalid_token_response, **more
        )

    expiring = exchange("offline")
    answer["exchange_expiring"] = told(expiring)
    answer["exchange_permanent"] = told(exchange("offline", expiring=False))
    answer["exchange_online"] = told(exchange("online"))
    foreign = home(own, control(given, "session", {"shop": given["shop"]})["session_token"]).id_token
    stale = {"exchangeable": True, "token": foreign.token[:-4] + "AAAA", "claims": foreign.claims}
    answer["exchange_forged"] = told(own.exchange_using_token_exchange("offline", id_token=stale))

    answer["refresh_not_due"] = told(own.refresh_token_exchanged_access_token(expiring.access_token))

    def refresh(token: str) -> dict:
        due = {"shop": shop, "refresh_token": token, "access_mode": "offline", "expires": "2020-01-01T00:00:00Z"}
        return told(own.refresh_token_exchanged_access_token({**due, "refresh_token_expires": None, "user": None}))

    first = expiring.access_token.refresh_token
    answer["refreshed"] = refresh(first)
    control(given, "lose", {"count": 1})
    answer["refreshed_in_vain"] = refresh(first)  # it happened, but the answer was lost
    answer["refreshed_again"] = refresh(first)
    answer["refreshed_by_successor"] = refresh(answer["refreshed_again"]["refresh"])
    answer["refreshed_by_predecessor"] = refresh(first)
    return answer["refreshed_by_successor"]["token"]


def graphql(given: dict, answer: dict, token: str) -> None:
    own, name = app(given), given["shop"].split(".")[0]

    def ask(token: str, text: str = SHOP_QUERY, **more) -> dict:
        began = time.monotonic()
        got = own.admin_graphql_request(text, shop=name, access_token=token, api_version="2026-10", **more)
        waited = round(time.monotonic() - began, 1)
        return {"ok": got.ok, "code": got.log.code, "data": got.data, "tries": len(got.http_logs), "seconds": waited}

    answer["asked"] = {step: ask(done["token"]) for step, done in list(answer.items()) if "token" in done}
    answer["orders"] = ask(token, ORDERS_QUERY, variables={"n": 3})
    answer["unknown_field"] = ask(token, "{ shop { favouriteColour } }")
    answer["nonsense_token"] = ask("shpat_nonsense")
    control(given, "refuse", {"shop": given["shop"], "count": 1, "retry_after": 3})
    answer["refused_and_tried_again"] = ask(token)
    control(given, "status", {"shop": given["shop"], "status": 402})
    answer["unavailable"] = ask(token)
    control(given, "status", {"shop": given["shop"], "status": None})


class Receiver(ThreadingHTTPServer):
    """The app's address for webhooks; `seen` are the verdicts."""

    daemon_threads = True

    def __init__(self, own: ShopifyApp) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.own, self.seen = own, []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        request = {"method": "POST", "url": self.path, "headers": dict(self.headers.items()), "body": body}
        result = self.server.own.verify_webhook_req(request)
        topic = self.headers["X-Shopify-Topic"]
        self.server.seen.append({"topic": topic, "status": result.response.status, "shop": result.shop})
        self.send_response(result.response.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def webhooks(given: dict, answer: dict) -> None:
    receiver = Receiver(app(given))
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{receiver.server_port}/webhooks"
    control(given, "webhooks", {"uri": address, "topics": given["topics"] + given["privacy"]})
    control(given, "advance", {"until": given["until"], "stamp": True})
    for topic in given["privacy"]:
        control(given, "send", {"shop": given["shop"], "topic": topic, "payload": {"note": "Größe €"}})
    for _ in range(200):
        states = control(given, "stats")["deliveries"]
        if not states.get("waiting") and not states.get("in_flight"):
            break
        time.sleep(0.05)
    answer["deliveries"], answer["received"] = states, receiver.seen
    receiver.shutdown()


def work(given: dict) -> dict:
    answer: dict = {}
    token = grants(given, answer)
    webhooks(given, answer)
    graphql(given, answer, token)
    return answer


class Stopped(datetime):
    """A clock that stands still, so that edges of seconds can be judged."""

    instant: datetime

    @classmethod
    def now(cls, tz=None) -> datetime:
        return cls.instant.astimezone(tz)


def judge(given: dict) -> dict:
    own = app(given, old_client_secret=given["old_secret"])
    Stopped.instant = datetime.fromtimestamp(given["now"], UTC)
    jwt.api_jwt.datetime = Stopped

    def webhook(case: dict) -> object:
        body = base64.b64decode(case["body"]).decode("utf-8", "replace")
        request = {"method": case["method"], "url": "/", "headers": dict(case["headers"]), "body": body}
        try:
            return own.verify_webhook_req(request).response.status
        except Exception as error:
            return type(error).__name__

    def session(token: str) -> object:
        try:
            seen = home(own, token)
            return seen.shop if seen.ok else False
        except Exception as error:
            return type(error).__name__

    now = int(given["now"])
    claims = {"iss": f"https://{given['shop']}/admin", "dest": f"https://{given['shop']}", "aud": given["client_id"]}
    claims |= {"sub": "42", "exp": now + 60, "nbf": now, "iat": now, "jti": "j", "sid": "s"}
    return {
        "webhooks": {name: webhook(case) for name, case in given["webhooks"].items()},
        "sessions": {name: session(token) for name, token in given["sessions"].items()},
        "signed": {"session": jwt.encode(claims, given["client_secret"], algorithm="HS256")},
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answered = {"work": work, "judge": judge}[sys.argv[1]](asked)
    json.dump({"library": version("shopifyapp"), **answered}, sys.stdout)
