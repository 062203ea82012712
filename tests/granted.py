"""Shops, their token endpoints and the connector's token door under virtual time, for the tests of tokens.

stage = Stage(database)
stage.install("t1", SHOP)                     # an authorisation code grant, stored
stage.tokens.access_token("t1", SHOP)         # what a call to the shop is made with
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from ladenbuch import audit, grants, tenants
from ladenbuch.db import Database, Store
from ladenbuch.engine.inline import VirtualClock
from ladenbuch.errors import LadenbuchError
from ladenbuch.grants import Grant, Kind
from ladenbuch.mail.transport import Relays
from ladenbuch.shopify.admin import Admin
from ladenbuch.shopify.oauth import Token
from ladenbuch.shopify.token_endpoint import App, TokenEndpoint
from ladenbuch.simulators.http import Route, SimRequest, SimResponse, SimTransport
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.granting import granted, regained
from ladenbuch.workflows.tokens import Tokens

SHOP = "seifenladen.myshopify.com"
OTHER = "kerzenladen.myshopify.com"
SECRET = "a-secret-of-nobody-and-nothing-at-all"
APP = App("app", (SECRET,))
APP_URL = "https://books.example.org"
CALLBACK = f"{APP_URL}/auth/callback"
_KEY = "k1:" + "A" * 43 + "="


class Wire:
    """Between connector and shops: it can lose answers after the commit, and let something happen meanwhile."""

    def __init__(self, shops: ShopifySimulator) -> None:
        self._shops = shops
        self.lose: Callable[[SimRequest], bool] = lambda request: False
        self.before: Callable[[SimRequest], None] = lambda request: None
        self.asked: list[dict[str, Any]] = []

    def handle(self, request: SimRequest) -> SimResponse:
        if request.path.endswith("/oauth/access_token"):
            self.asked.append(json.loads(request.body))
        self.before(request)
        answer = self._shops.handle(request)
        if self.lose(request):
            raise httpx2.RemoteProtocolError("simulated: connection cut after the commit")
        return answer


class Stage:
    """Two shops, one app, and as many processes of the connector as asked for."""

    def __init__(self, database: Database, *, app: App | None = APP, shops: tuple[Shop, ...] = ()) -> None:
        self.database = database
        self.clock = VirtualClock(datetime.fromisoformat("2026-11-02T08:00:00+00:00"))
        given = shops or tuple(
            Shop(domain, client_id="app", redirect_uris=(CALLBACK,), own_organisation=False) for domain in (SHOP, OTHER)
        )
        self.shops = ShopifySimulator(self.clock.now, client_secret=SECRET, shops=given)
        self.wire = Wire(self.shops)
        self.vault = Vault(KeyRing.parse(_KEY), database)
        self._app = app
        self._ids = itertools.count(1)
        self._contexts: dict[str, Context] = {}
        self._doors: dict[str, Tokens] = {}
        self.tokens = self.process("one")

    def process(self, name: str, sleep: Callable[[float], None] | None = None) -> Tokens:
        """The token door of one more process on the same database."""
        transport = SimTransport([Route("http://shopify.test/", self.wire)])
        http = httpx2.Client(transport=transport, timeout=10.0)

        def shopify(tenant: str) -> Admin:
            owner = self.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
            door = self._doors[name]
            return self._admin(owner.shop, lambda: door.access_token(tenant, owner.shop), http)

        def no_sevdesk(tenant: str) -> Any:
            raise AssertionError(f"no sevdesk of {tenant} is needed here")

        ctx = Context(
            database=self.database,
            vault=self.vault,
            shopify=shopify,
            sevdesk=no_sevdesk,
            relays=Relays(["smtp://127.0.0.1:25"]),
            clock=self.clock.now,
            sleep=sleep or self.clock.sleep,
            new_id=lambda: f"{next(self._ids):x}",
            chance=lambda: 0.5,
            executor=name,
        )
        endpoint = TokenEndpoint("http://shopify.test/{shop}", http, self.clock.now)
        self._contexts[name] = ctx
        self._doors[name] = Tokens(ctx, endpoint, self._app, APP_URL, lambda tenant: regained(ctx, tenant))
        return self._doors[name]

    @property
    def context(self) -> Context:
        """What the first process's workflows are given."""
        return self._contexts["one"]

    def add(self, tenant: str, shop: str) -> None:
        """A tenant without any token."""
        now = self.clock.now()
        self.database.system("operator").run(
            Store.BOOKS, lambda tx: tenants.add(tx, id=tenant, shop=shop, cut_off=now, now=now)
        )

    def put(self, tenant: str, **secrets: str) -> None:
        """Secrets as an operator brings them; `shopify_client_id` becomes `shopify.client_id`."""
        now, door = self.clock.now(), self.database.tenant(tenant)
        for name, value in secrets.items():
            full = name.replace("_", ".", 1)
            door.run(Store.BOOKS, lambda tx, n=full, v=value: self.vault.put_secret(tx, tenant, n, v, now))  # type: ignore[misc]

    def secret(self, tenant: str, name: str) -> str | None:
        """A secret as it is stored."""
        door = self.database.tenant(tenant)
        found = door.read(Store.BOOKS, lambda tx: self.vault.get_secret(tx, tenant, name))
        return None if found is None else found.value

    def grant(self, tenant: str) -> Grant | None:
        """The tenant's grant as it is stored."""
        return self.database.tenant(tenant).read(Store.BOOKS, lambda tx: grants.get(tx, tenant))

    def said(self, tenant: str) -> list[str]:
        """The events of the tenant's audit chain, which must be whole."""
        door = self.database.tenant(tenant)
        assert door.read(Store.BOOKS, lambda tx: audit.verify(tx, tenant)) is None
        return [entry.event for entry in door.read(Store.BOOKS, lambda tx: audit.entries(tx, tenant))]

    def agreed(self, shop: str = SHOP, **query: str) -> dict[str, str]:
        """What the callback is given after the merchant agreed."""
        asked = {"client_id": "app", "redirect_uri": CALLBACK, "state": "s" * 64, **query}
        request = SimRequest("GET", f"/{shop}/admin/oauth/authorize", list(asked.items()), {}, b"")
        return dict(parse_qsl(urlsplit(self.shops.handle(request).headers["location"]).query))

    def redeemed(self, shop: str = SHOP) -> Token:
        """A pair of tokens, not stored yet."""
        return self.tokens.endpoint.redeem(APP, shop, self.agreed(shop)["code"])

    def permanent(self, shop: str = SHOP) -> str:
        """A token of the old kind, that never expires; not stored."""
        body = json.dumps({"client_id": "app", "client_secret": SECRET, "code": self.agreed(shop)["code"]}).encode()
        kind = {"content-type": "application/json"}
        answer = self.shops.handle(SimRequest("POST", f"/{shop}/admin/oauth/access_token", [], kind, body))
        return str(json.loads(answer.body)["access_token"])

    def install(self, tenant: str = "seifenladen", shop: str = SHOP, kind: Kind = "authorization_code") -> str:
        """The whole grant, stored; the access token comes back."""
        token = self.redeemed(shop)
        assert self.granted(shop, kind, token) == tenant
        return token.access_token

    def granted(self, shop: str, kind: Kind, token: Token) -> str:
        """What the web is given, with the first process."""
        return granted(self.context, self.tokens, self._with, shop, kind, token)

    def _with(self, shop: str, token: Token) -> Admin:
        http = httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.wire)]))
        return self._admin(shop, lambda: token.access_token, http)

    def _admin(self, shop: str, token: Callable[[], str], http: httpx2.Client) -> Admin:
        base, now = "http://shopify.test/{shop}", self.clock.now
        return Admin(shop, base, token, http, sleep=self.clock.sleep, clock=now)

    def state(self, tenant: str) -> tuple[str, str | None]:
        """The tenant's state and its reason."""
        owner = self.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
        return owner.state, owner.state_reason

    def works(self, token: str, shop: str = SHOP) -> bool:
        """Whether the shop takes an access token."""
        body = json.dumps({"query": "{ shop { id } }"}).encode()
        path = f"/{shop}/admin/api/2026-10/graphql.json"
        headers = {"x-shopify-access-token": token}
        return self.shops.handle(SimRequest("POST", path, [], headers, body)).status == 200


def code_of(call: Callable[[], object]) -> str:
    """The code of what a call raises; "" when it raises nothing."""
    try:
        call()
    except LadenbuchError as error:
        return error.code
    return ""
