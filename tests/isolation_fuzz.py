"""Somebody of one shop tries to reach another one's rows: every route and command (S42, B16).

    python tests/isolation_fuzz.py --attempts 100000 [--seed 7] [--url postgresql://...]     # JSON on standard output

Both shops are those of `isolation_world`: the same ids everywhere, and the other shop's mark in everything it alone
knows. The attacker is a merchant with an app, a client secret and sessions of their own, far from this machine; for the
commands, an operator who named the attacker's tenant. An attempt fails the run when the other shop's mark is in an
answer, a header, an error or the log, or when a row of that shop is not what it was.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import logging
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

import httpx2
import jwt
from starlette.routing import Route
from typer.testing import CliRunner

import isolation_world
from isolation_world import EXECUTOR, KEY, MARK, OPEN, A, B
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli import rotating
from ladenbuch.cli.app import app as commands
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.settings import Settings
from ladenbuch.shopify import oauth
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET

APP_URL = "https://books.example.org"
SHOPS = {A: f"{A}.myshopify.com", B: f"{B}.myshopify.com"}
SECRETS = {A: "the-attacker-s-own-client-secret-of-its-app", B: f"nobody-else-knows-{MARK[B]}"}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TOPICS = ("orders/paid", "orders/create", "refunds/create", "app/uninstalled", "app/scopes_update", "shop/update",
          "customers/redact", "customers/data_request", "shop/redact", "no/such")  # fmt: skip
SQL = ("' OR '1'='1", "'; DROP TABLE orders; --", "%' UNION SELECT * FROM letters --", "\\", "%", "_", "\x00", "..",
       "../../books.db", "%2e%2e%2f", f"x' OR tenant='{B}", f"{B}' --", '"', "${tenant}", "{{7*7}}")  # fmt: skip

#: The public key of SendGrid's published example, whose private half nobody has.
_SENDGRID = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
    "Ec6wEA3F+g=="
)

#: Routes that show an operator all shops: nobody logs in yet, so they answer this machine alone.
OPERATORS = {
    "/": "the dashboard, for a browser on this machine",
    "/orders": "the dashboard, for a browser on this machine",
    "/orders/{order_id:path}": "the dashboard, for a browser on this machine",
    "/attention": "the dashboard, for a browser on this machine",
    "/connection": "the dashboard, for a browser on this machine",
    "/given-up": "the dashboard, for a browser on this machine",
    "/letters": "the dashboard, for a browser on this machine",
    "/letters/shown": "the dashboard, for a browser on this machine",
    "/letters/test": "the dashboard, for a browser on this machine",
    "/letters/doubt": "the dashboard, for a browser on this machine",
    "/delivery": "the dashboard, for a browser on this machine",
    "/reconciliation": "the dashboard, for a browser on this machine",
    "/payouts": "the dashboard, for a browser on this machine",
    "/running": "the dashboard, for a browser on this machine",
    "/metrics": "figures without names of tenants",
}


class Fuzz:
    """One run. `found` is what went wrong, `tried` how often each route and command was."""

    def __init__(self, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.tried: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.found: list[str] = []
        self._numbers = itertools.count(1)
        given = {
            "LADENBUCH_KEYS": KEY,
            "LADENBUCH_DATA_DIR": "unused",
            "LADENBUCH_APP_URL": APP_URL,
            "LADENBUCH_SHOPIFY_CLIENT_ID": "app",
            "LADENBUCH_SHOPIFY_CLIENT_SECRET": "the-operator-s-own-secret",
            "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
            "LADENBUCH_SEVDESK_URL": "http://sevdesk.test/api/v1",
            "LADENBUCH_VIES_URL": "",
            "LADENBUCH_OPTIONAL_SCOPES": "read_all_orders",
            "LADENBUCH_FEEDBACK_SENDGRID": _SENDGRID,
            "LADENBUCH_FEEDBACK_MAILGUN": "nobody-knows-this-key",
            "LADENBUCH_FEEDBACK_SES": "arn:aws:sns:eu-central-1:123456789012:letters",
            "LADENBUCH_FEEDBACK_POSTMARK": "post:nobody-knows-this-password",
        }
        self.settings = {name: value for name, value in given.items() if value}
        self.vault = Vault(KeyRing.parse(KEY), database)
        for tenant in (A, B):
            with isolation_world._same_chance():
                isolation_world._fill(database, tenant)
            database.tenant(tenant).run(Store.BOOKS, lambda tx, t=tenant: self._own_app(tx, t))  # type: ignore[misc]
            isolation_world._differ(database, tenant)
        self.ids = database.tenant(A).read(Store.BOOKS, lambda tx: isolation_world._ids(tx, A))
        http = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(400, json={})))
        self.house = Ladenbuch(Settings.read(self.settings), database, self.vault, http, sleep=lambda seconds: None)
        self.app = make_app(self.house)
        self.before = self.rows()
        self.log = _Log()

    def _own_app(self, tx: Transaction, tenant: str) -> None:
        now = isolation_world.NOW
        self.vault.put_secret(tx, tenant, CLIENT_ID, f"app-{tenant}", now)
        self.vault.put_secret(tx, tenant, CLIENT_SECRET, SECRETS[tenant], now)

    # -- judging -------------------------------------------------------------------------------------------------

    def rows(self) -> Any:
        """Every row of the other shop, bit for bit."""
        found = {}
        for store in Store:

            def read(tx: Transaction, store: Store = store) -> Any:
                every = {}
                for table in isolation_world.tables(store):
                    keys = ", ".join(column.name for column in table.primary_key)
                    query = f"SELECT * FROM {table.name} WHERE tenant = '{B}' ORDER BY {keys}"
                    every[table.name] = [
                        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
                        for row in tx.exec_driver_sql(query)
                    ]
                return every

            found[store] = self.database.system("demo").read(store, read)
        return found

    def judge(self, what: str, answer: str, status: object) -> None:
        """One attempt is over."""
        self.tried[what] += 1
        self.answers[str(status)] += 1
        for where, text in (("the answer", answer), ("the log", self.log.taken())):
            if any(sign in text for sign in _SIGNS):
                self.found.append(f"{what}: what {B} alone knows is in {where}")

    def unchanged(self, when: str) -> None:
        """Whether every row of the other shop is what it was."""
        now = self.rows()
        for store, tables in self.before.items():
            for name, some in tables.items():
                if now[store][name] != some:
                    self.found.append(f"{when}: rows of {B} in {name} changed")
        self.before = now

    # -- requests ------------------------------------------------------------------------------------------------

    def routes(self) -> list[str]:
        """The paths the application knows."""
        rest = self.app._rest
        return ["/webhooks", *(route.path for route in rest.routes if isinstance(route, Route))]

    def word(self) -> str:
        """An id, a name, a domain or a trick."""
        choose = self.random.choice
        known = (*SHOPS.values(), A, B, self.ids["order"], OPEN, "#1001", self.ids["key"], "w0", "mail:0", "request")
        return choose((*known, *SQL, choose(known) + choose(SQL), quote(choose(SQL)), choose(known).upper()))

    def shop(self) -> str:
        """The other shop's domain, in one of its disguises, or one's own."""
        mine, theirs = SHOPS[A], SHOPS[B]
        return self.random.choice(
            (theirs, theirs, theirs, mine, theirs.upper(), f" {theirs}", f"{theirs}.", f"{theirs}:443",
             f"{mine}@{theirs}",
             f"{theirs}/{mine}", f"{theirs}#.{mine}", f"{theirs}\x00{mine}", f"https://{theirs}", f"{mine},{theirs}", B)
        )  # fmt: skip

    def request(self) -> tuple[str, str, str, list[tuple[str, str]], bytes, str]:
        """Name of the route, method, target, headers, body, and from where."""
        choose = self.random.choice
        name = choose(sorted(_TRIES))
        method, path, pairs, headers, body = _TRIES[name](self)
        query = urlencode(pairs, quote_via=quote, errors="replace") if pairs else ""
        host = choose(("books.example.org", "localhost", "127.0.0.1", "[::1]"))
        headers = [("host", host), ("user-agent", BROWSER), *headers]
        if self.random.random() < 0.2:
            headers.append(choose((("x-forwarded-for", "127.0.0.1"), ("x-tenant", B),
                                   ("x-shopify-shop-domain", SHOPS[B]),
                                   ("forwarded", "for=127.0.0.1"), ("x-original-url", "/orders"))))  # fmt: skip
        if self.random.random() < 0.05:
            method = choose(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"))
        return name, method, path + (f"?{query}" if query else ""), headers, body, "203.0.113.9"

    async def send(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes, peer: str
    ) -> tuple[int, str]:
        """One request through the application itself; status, and everything that came back."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers],
            "client": (peer, 40000), "server": ("books.example.org", 443),
        }  # fmt: skip
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        status, parts = 0, []

        async def receive() -> Any:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def take(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                parts.extend(name + b": " + value for name, value in message.get("headers", ()))
            else:
                parts.append(message.get("body", b""))

        try:
            await self.app(scope, receive, take)
        except Exception as error:  # what a server would log
            parts.append(f"{type(error).__name__}: {error}".encode())
            self.found.append(f"{method} {path[:40]!r} failed: {type(error).__name__}")
        return status, b"\n".join(parts).decode("utf-8", "replace")

    async def ask(self, attempts: int) -> None:
        """So many requests."""
        for number in range(attempts):
            name, method, target, headers, body, peer = self.request()
            status, answer = await self.send(method, target, headers, body, peer)
            self.judge(name, answer, status)
            if name in OPERATORS and name != "/metrics" and status not in (403, 404, 405):
                self.found.append(f"{name} answered {status} to somebody far away")
            if number % 2000 == 1999:
                self.unchanged(f"after {number + 1} requests")

    # -- commands ------------------------------------------------------------------------------------------------

    def commands(self, attempts: int) -> None:
        """So many commands for the attacker's tenant."""
        names = sorted(COMMANDS)
        with self._as_operator() as runner:
            for _ in range(attempts):
                name = self.random.choice(names)
                with tempfile.TemporaryDirectory() as folder:
                    self._run(runner, name, COMMANDS[name](self, Path(folder)))

    def leave(self) -> None:
        """At last, everything that ends the attacker's own tenant."""
        with self._as_operator() as runner:
            for name, arguments in (
                ("tenants suspend", [A, "--reason", "why"]), ("tenants resume", [A]),
                ("tenants uninstall", [A, "--yes"]),
                ("tenants delete", [A, "--without-export", "--yes"]),
            ):  # fmt: skip
                self._run(runner, name, arguments)

    @contextmanager
    def _as_operator(self) -> Iterator[CliRunner]:
        with (
            patch.object(Ladenbuch, "open", lambda settings: self.house),
            patch.object(Ladenbuch, "close", lambda house: None),
            patch.object(rotating, "_wait", lambda seconds: None),  # nobody else writes here
            patch.dict(os.environ, {**self.settings, "LADENBUCH_EXECUTOR_ID": EXECUTOR}),
        ):
            yield CliRunner()

    def _run(self, runner: CliRunner, name: str, arguments: list[str]) -> None:
        done = runner.invoke(commands, [*name.split(), *arguments], input="n\n")
        error = done.exception
        said = "" if error is None or isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        self.judge(f"ladenbuch {name}", f"{done.output}\n{said}", f"exit {done.exit_code}")


_SIGNS = (MARK[B], json.dumps(MARK[B])[1:-1], quote(MARK[B]), base64.b64encode(MARK[B].encode()).decode().rstrip("="))


class _Log(logging.Handler):
    """Everything that is logged, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        logging.getLogger("ladenbuch").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in vars(record).items() if name not in ("msg", "args", "exc_info")}
        self._lines.append(f"{self.format(record)} {extra}")

    def taken(self) -> str:
        """What came since the last time."""
        lines, self._lines = self._lines, []
        return "\n".join(lines)


# -- what is tried at each route ---------------------------------------------------------------------------------------

_Try = tuple[str, str, list[tuple[str, str]], list[tuple[str, str]], bytes]


def _secret(fuzz: Fuzz) -> str:
    """What an attacker can sign with: their own secret, a guess, nothing."""
    return fuzz.random.choice((SECRETS[A], SECRETS[A], "guess", SECRETS[A].upper(), "\x00", CLIENT_SECRET))


def _webhook(fuzz: Fuzz) -> _Try:
    choose = fuzz.random.choice
    body = json.dumps(
        {"id": choose((1, 9_000_001, fuzz.ids["order"])),
         "admin_graphql_api_id": choose((fuzz.ids["order"], OPEN, fuzz.word())),
         "shop_domain": SHOPS[B], "myshopify_domain": SHOPS[B], "customer": {"email": fuzz.word()},
         "orders_requested": [9_000_001], "orders_to_redact": [9_000_001], "nonce": next(fuzz._numbers)}
    ).encode()  # fmt: skip
    signature = base64.b64encode(hmac.new(_secret(fuzz).encode(), body, hashlib.sha256).digest()).decode()
    domains = [choose((SHOPS[B], SHOPS[B], SHOPS[A], fuzz.shop()))]
    if fuzz.random.random() < 0.2:
        domains.append(SHOPS[B])
    family = choose(("x-shopify-", "shopify-"))
    webhook_id = choose(("w0", "asks", f"n{next(fuzz._numbers)}"))
    headers = [
        ("content-type", "application/json"), (f"{family}topic", choose(TOPICS)), (f"{family}webhook-id", webhook_id),
        (f"{family}hmac-sha256", signature), (f"{family}api-version", "2026-10"),
    ]  # fmt: skip
    headers += [(choose((family, "shopify-", "x-shopify-")) + "shop-domain", domain) for domain in domains]
    fuzz.random.shuffle(headers)
    path = choose(("/webhooks", "/webhooks", "/webhooks/" + quote(fuzz.word()), "/webhooks/../orders"))
    return "POST", path, [], headers, body


def _signed(fuzz: Fuzz, pairs: list[tuple[str, str]], secret: str) -> list[tuple[str, str]]:
    try:
        message = oauth.query_hmac(pairs, secret)
    except Exception:
        message = "0" * 64
    return [*pairs, ("hmac", message)]


def _link(fuzz: Fuzz) -> list[tuple[str, str]]:
    stamp = str(int(time.time()) + fuzz.random.choice((0, 0, 0, -600, 600)))
    pairs = [("shop", fuzz.shop()), ("timestamp", stamp), ("host", fuzz.word())]
    if fuzz.random.random() < 0.3:
        pairs.insert(fuzz.random.randrange(3), (fuzz.random.choice(("shop", "shop[]", "Shop")), SHOPS[B]))
    return pairs


def _install(fuzz: Fuzz) -> _Try:
    return "GET", "/install", _signed(fuzz, _link(fuzz), _secret(fuzz)), [], b""


def _callback(fuzz: Fuzz) -> _Try:
    state, secret = "f" * 64, _secret(fuzz)
    pairs = [*_link(fuzz), ("state", state), ("code", fuzz.word())]
    key = oauth.signing_key(secret)
    shop, purpose = fuzz.random.choice((SHOPS[B], SHOPS[A])), fuzz.random.choice(("install", "person"))
    cookie = oauth.state_cookie(key, state, shop, _now(), purpose)  # type: ignore[arg-type]
    headers = [("cookie", f"__Secure-ladenbuch-install={cookie}")]
    return "GET", "/auth/callback", _signed(fuzz, pairs, secret), headers, b""


def _now() -> Any:
    from ladenbuch.bootstrap import utc_now

    return utc_now()


def _session(fuzz: Fuzz) -> _Try:
    choose, at = fuzz.random.choice, int(time.time())
    mine = fuzz.random.random() < 0.3  # a session that is really the attacker's, and another shop in the address
    claims: dict[str, Any] = {
        "iss": f"https://{SHOPS[A] if mine else choose((SHOPS[A], SHOPS[B]))}/admin",
        "dest": f"https://{SHOPS[A] if mine else choose((SHOPS[B], SHOPS[B], fuzz.shop()))}",
        "aud": f"app-{A}" if mine else choose((f"app-{A}", f"app-{B}", "app")),
        "sub": choose(("42", fuzz.word())), "jti": "j", "sid": "s", "exp": at + choose((60, 60, -60)), "nbf": at - 5,
        "iat": at - 5,
    }  # fmt: skip
    algorithm = "HS256" if mine else choose(("HS256", "HS256", "none", "HS512"))
    secret = SECRETS[A] if mine else _secret(fuzz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the attacker's keys are short
        token = jwt.encode(claims, None if algorithm == "none" else secret, algorithm=algorithm)
    pairs = [("shop", SHOPS[B])] if fuzz.random.random() < 0.5 else []
    if fuzz.random.random() < 0.2:
        return "POST", "/auth/session", [*pairs, ("id_token", token)], [], b""
    return "POST", "/auth/session", pairs, [("authorization", f"Bearer {token}")], b""


def _by_shop(path: str) -> Callable[[Fuzz], _Try]:
    def attempt(fuzz: Fuzz) -> _Try:
        pairs = [("shop", fuzz.shop())]
        if path == "/reconnect":
            pairs.append(("optional", fuzz.random.choice(("read_all_orders", "write_orders", fuzz.word()))))
        return "GET", path, pairs, [], b""

    return attempt


def _bounce(fuzz: Fuzz) -> _Try:
    back = fuzz.random.choice(("/orders", f"//{SHOPS[B]}", f"https://{SHOPS[B]}", "/\\evil", fuzz.word()))
    return "GET", "/auth/bounce", [("shopify-reload", back), ("shop", SHOPS[B])], [], b""


def _plain(path: str) -> Callable[[Fuzz], _Try]:
    def attempt(fuzz: Fuzz) -> _Try:
        pairs = [(fuzz.random.choice(("shop", "tenant", "state", "page", "q", "id")), fuzz.word()) for _ in range(2)]
        whole = path.replace("{order_id:path}", quote(fuzz.word(), safe="/")).replace(
            "{name}", quote(fuzz.word(), safe="/")
        )
        return "GET", whole, pairs, [], b""

    return attempt


def _feedback(provider: str) -> Callable[[Fuzz], _Try]:
    """A mail provider's word about the other shop's letter, by somebody who knows its mark and no key."""

    def tried(fuzz: Fuzz) -> _Try:
        mark = hashlib.sha256(fuzz.random.choice((b"mail:2", b"mail:0", b"x"))).hexdigest()[:32]
        signature = {"timestamp": str(int(time.time())), "token": "t" * 50, "signature": fuzz.word()}
        event = {"id": "e", "event": "complained", "timestamp": time.time(), "recipient": fuzz.word(),
                 "user-variables": {"ladenbuch_letter": mark}}  # fmt: skip
        told = [{"event": "spamreport", "sg_event_id": "e", "timestamp": 1, "ladenbuch_letter": mark}]
        body = json.dumps({"signature": signature, "event-data": event} if provider != "sendgrid" else told).encode()
        login = base64.b64encode(f"post:{fuzz.word()}".encode("utf-8", "replace")).decode()
        headers = [("authorization", f"Basic {login}"), ("x-twilio-email-event-webhook-timestamp", "1"),
                   ("x-twilio-email-event-webhook-signature", "AAAA")]  # fmt: skip
        return "POST", f"/mail/feedback/{provider}", [], headers, body

    return tried


_TRIES: dict[str, Callable[[Fuzz], _Try]] = {
    "/webhooks": _webhook,
    **{f"/mail/feedback/{name}": _feedback(name) for name in ("sendgrid", "mailgun", "ses", "postmark")},
    "/install": _install,
    "/auth/callback": _callback,
    "/auth/session": _session,
    "/auth/bounce": _bounce,
    **{path: _by_shop(path) for path in ("/reconnect", "/auth/person")},
    **{path: _plain(path) for path in (*OPERATORS, "/static/{name}", "/healthz", "/readyz")},
}


# -- what is tried with each command -----------------------------------------------------------------------------------

_Arguments = Callable[[Fuzz, Path], list[str]]


def _tenant(fuzz: Fuzz) -> list[str]:
    return ["--tenant", fuzz.random.choice((A, A, SHOPS[A], f"{A}' OR '1'='1", f"{A}\x00{B}", f"{A},{B}"))]


def _order(fuzz: Fuzz) -> str:
    word = fuzz.random.choice((*fuzz.ids["orders"], fuzz.ids["order"], OPEN, "#1001", fuzz.word()))
    return word if not word.startswith("-") else f"x{word}"


def _dead(fuzz: Fuzz) -> str:
    kind, subject = fuzz.random.choice(("order", "letter", "event")), _order(fuzz)
    return fuzz.random.choice((f"{kind}:{subject}", f"{kind}:s", f"{kind}:t", f"{kind} {subject}", subject))


def _letter(fuzz: Fuzz) -> str:
    return fuzz.random.choice(("mail:2", "mail:3", "mail:4", f"mail:{_order(fuzz)}", fuzz.word()))


def _dead_ones(fuzz: Fuzz) -> list[str]:
    return fuzz.random.choice(([_dead(fuzz), _dead(fuzz)], ["--all"], ["--code", "C", "--preview"]))


def _backfill(fuzz: Fuzz, folder: Path) -> list[str]:
    of = fuzz.random.choice(([], ["--backfill", _order(fuzz)]))
    return [*of, *_tenant(fuzz), "--json"]


def _receiver(fuzz: Fuzz, folder: Path) -> list[str]:
    return [fuzz.random.choice(("rcv1", "rcv2", "rcv4", "rcv9")), *_tenant(fuzz), "--json"]


#: The arguments of every command that is given an id. None of them names the other tenant by itself.
COMMANDS: dict[str, _Arguments] = {
    "explain": lambda fuzz, folder: [_order(fuzz), *_tenant(fuzz), "--json"],
    "questions": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "resolve": lambda fuzz, folder: [_order(fuzz), "TIP", "exclude", "--as", "me", *_tenant(fuzz)],
    "replay": lambda fuzz, folder: [_order(fuzz), "--code", "TIP", *_tenant(fuzz)],
    "fetch": lambda fuzz, folder: [_order(fuzz), *_tenant(fuzz)],
    "alarms": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "doctor": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "stop": lambda fuzz, folder: [*_tenant(fuzz), "--reason", fuzz.word()],
    "go": lambda fuzz, folder: _tenant(fuzz),
    "audit verify": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "privacy requests": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "privacy holds": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "privacy answer": lambda fuzz, folder: [
        fuzz.random.choice(("request", "other", "x")), "--to", str(folder / "a"), *_tenant(fuzz)],
    "billing status": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "tenants profile": lambda fuzz, folder: [A],
    "tenants export": lambda fuzz, folder: [A, "--to", str(folder / "e.zip"), "--json"],
    "tenants live": lambda fuzz, folder: [A, "--off"],
    "tenants test": lambda fuzz, folder: [A, "--json"],
    "plan": lambda fuzz, folder: ["--since", "2026-11-01", "--until", "2026-12-01", *_tenant(fuzz), "--json"],
    "apply": lambda fuzz, folder: ["--since", "2026-11-01", "--until", "2026-12-01", *_tenant(fuzz), "--yes"],
    "certificate": lambda fuzz, folder: ["--month", "2026-10", *_tenant(fuzz), "--json"],
    "webhooks ensure": lambda fuzz, folder: _tenant(fuzz),
    "webhooks audit": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "webhooks report": lambda fuzz, folder: ["--days", "9", *_tenant(fuzz), "--json"],
    "grants migrate": lambda fuzz, folder: _tenant(fuzz),
    "billing ask": lambda fuzz, folder: ["--plan", fuzz.word(), "--price", "1.00", "--test", *_tenant(fuzz), "--json"],
    "billing cancel": lambda fuzz, folder: ["--yes", *_tenant(fuzz), "--json"],
    "billing charge": lambda fuzz, folder: [
        "--period", "2026-11", "--amount", "1.00", "--description", "d", *_tenant(fuzz)],
    "keys rotate": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "letters preview": lambda fuzz, folder: ["invoice", *_tenant(fuzz), "--json"],
    "letters test": lambda fuzz, folder: ["invoice", "--to", "nobody@example.org", *_tenant(fuzz), "--json"],
    "money-back list": lambda fuzz, folder: [*_tenant(fuzz), "--all", "--json"],
    "money-back look": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "money-back assign": lambda fuzz, folder: ["72", "#1001", *_tenant(fuzz), "--json"],
    "money-back overdue": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "letters doubtful": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "letters arrived": lambda fuzz, folder: [_letter(fuzz), *_tenant(fuzz), "--json"],
    "letters send": lambda fuzz, folder: [_letter(fuzz), *_tenant(fuzz), "--json"],
    "letters rate": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "letters bounce": lambda fuzz, folder: ["--json"],
    "suppressions list": lambda fuzz, folder: [*fuzz.random.choice(([], ["--address"])), *_tenant(fuzz), "--json"],
    "suppressions add": lambda fuzz, folder: ["--note", "n", *_tenant(fuzz), "--json"],
    "suppressions remove": lambda fuzz, folder: ["--note", "n", "--send", *_tenant(fuzz), "--json"],
    "dead-letters list": lambda fuzz, folder: ["--state", "all", *_tenant(fuzz), "--json"],
    "dead-letters show": lambda fuzz, folder: [_dead(fuzz), *_tenant(fuzz), "--json"],
    "dead-letters annotate": lambda fuzz, folder: [_dead(fuzz), "--note", "n", *_tenant(fuzz), "--json"],
    "dead-letters redrive": lambda fuzz, folder: [*_dead_ones(fuzz), *_tenant(fuzz), "--json"],
    "dead-letters drop": lambda fuzz, folder: [*_dead_ones(fuzz), "--reason", "r", *_tenant(fuzz), "--json"],
    "events receivers": lambda fuzz, folder: [*_tenant(fuzz), "--json"],
    "events list": lambda fuzz, folder: [
        *fuzz.random.choice(([], ["--order", _order(fuzz)])), *_tenant(fuzz), "--json"],
    "events add": lambda fuzz, folder: ["https://hooks.example.org/x", *_tenant(fuzz), "--json"],
    **{f"events {name}": _receiver for name in ("rotate", "remove", "on", "off", "try")},
    "events replay": lambda fuzz, folder: [
        fuzz.random.choice(("rcv1", "rcv4")), *fuzz.random.choice((["--all"], ["evt0", "evt1"])),
        *_tenant(fuzz), "--json"],
    "events written": lambda fuzz, folder: [
        *fuzz.random.choice(([], ["--order", _order(fuzz), "--again"])), *_tenant(fuzz), "--json"],
    "reconcile": lambda fuzz, folder: [
        *fuzz.random.choice(([], ["--fix", "--wait", "0"], ["--accept", _dead(fuzz), "--reason", "r"])),
        "--since", "2026-11-01", "--until", "2026-11-03", *_tenant(fuzz), "--json"],
    "payouts list": lambda fuzz, folder: ["--gateway", "g", *_tenant(fuzz), "--json"],
    "payouts show": lambda fuzz, folder: [_dead(fuzz), "--gateway", "g", *_tenant(fuzz), "--json"],
    "payouts balance": lambda fuzz, folder: ["--gateway", "g", *_tenant(fuzz), "--json"],
    "payouts import": lambda fuzz, folder: [
        str(folder / "report.csv"), "--amount", "1.00", "--paid-on", "2026-11-03", *_tenant(fuzz), "--json"],
    "payouts look": lambda fuzz, folder: ["--gateway", "g", *_tenant(fuzz), "--json"],
    "adopt": lambda fuzz, folder: ["--since", "2026-11-01", "--until", "2026-12-01", *_tenant(fuzz), "--json"],
    "backfill plan": lambda fuzz, folder: ["--since", "2026-11-01", "--until", "2026-11-03", *_tenant(fuzz), "--json"],
    **{f"backfill {name}": _backfill for name in ("status", "pause", "resume", "cancel")},
    "backfill start": lambda fuzz, folder: [*_backfill(fuzz, folder), "--yes"],
    "backfill report": lambda fuzz, folder: _backfill(fuzz, folder)[:-1],
}  # fmt: skip

#: Commands that are not tried with ids, and why.
NOT_TRIED = {
    "serve": "the routes are tried themselves", "demo": "a shop of its own", "keys generate": "takes no id",
    "gql": "asks one shop with that shop's token; nothing is read but the token",
    "tenants list": "the operator's list of all tenants",
    "tenants erased": "the proofs that tenants are gone", "grants list": "the operator's list of all grants",
    "tenants add": "a new tenant", "tenants sevdesk": "a token that is typed in, for the tenant named",
    "tenants configure": "a file, for the tenant named", "privacy inventory": "the schema, no rows",
    "webhooks toml": "a file of the app, no rows of tenants", "webhooks lint": "a file, no rows",
    "simulate shopify": "a simulator", "simulate sevdesk": "a simulator", "simulate mail": "a simulator",
    "simulate post": "a simulator",
    "events names": "the names there are, no rows",
    "simulate vies": "a simulator", "simulate all": "a simulator", "backup": "all stores, for the operator",
    "restored": "all stores, for the operator",
    "tenants suspend": "tried last, by `leave`", "tenants resume": "tried last, by `leave`",
    "tenants uninstall": "tried last, by `leave`", "tenants delete": "tried last, by `leave`",
}  # fmt: skip


def every_command() -> set[str]:
    """All commands of the command line."""
    found = {_named(one) for one in commands.registered_commands}
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        found |= {f"{group.name} {_named(one)}" for one in group.typer_instance.registered_commands}
    return found


def _named(command: Any) -> str:
    return str(command.name or command.callback.__name__)


def run(database: Database, attempts: int, seed: int = 7, commands: float = 0.04) -> dict[str, Any]:
    """So many attempts, a share of them commands; the figures, and what was found."""
    fuzz = Fuzz(database, seed)
    typed = int(attempts * commands)
    asyncio.run(fuzz.ask(attempts - typed - 4))
    fuzz.unchanged("after the requests")
    fuzz.commands(typed)
    fuzz.unchanged("after the commands")
    fuzz.leave()
    fuzz.unchanged("after the attacker left")
    found = list(dict.fromkeys(fuzz.found))
    return {
        "attempts": sum(fuzz.tried.values()),
        "routes": sum(name.startswith("/") for name in fuzz.tried),
        "commands": sum(not name.startswith("/") for name in fuzz.tried),
        "answers": dict(sorted(fuzz.answers.items())),
        "findings": found,
    }


def main(arguments: list[str]) -> int:
    """One run on a new database."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--url")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(url=given.url) if given.url else Database.open(data_dir=Path(folder) / "data")
        database.migrate()
        begun = time.process_time()
        found = run(database, given.attempts, given.seed)
        found["cpu_seconds"] = round(time.process_time() - begun)
        database.close()
    sys.stdout.write(json.dumps(found) + "\n")
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
