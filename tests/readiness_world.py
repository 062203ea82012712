"""A tenant, a shop and a sevdesk account on real sockets, each of them to be changed until something is missing."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvicorn

from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import provision
from ladenbuch.cli.demo import PROFILE, SHOP, TENANT
from ladenbuch.cli.ports import listen
from ladenbuch.db import Database
from ladenbuch.domain.connected import Finding
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import asgi
from ladenbuch.simulators.lives import generate
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.shopify import DEFAULT_SCOPES, PAYMENT_SCOPES, Shop, ShopifySimulator, create_app
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows.readiness import Mail, examine, try_connection
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN

_KEY = "k1:" + "A" * 43 + "="
_SECRET = "a-secret-of-nobody"
MAIL = Mail(1, "rechnung@seifenladen.example")


class Doors:
    """Two servers whose simulators are exchanged per test: starting one takes longer than all it is asked."""

    def __init__(self, template: Path) -> None:
        self.template = template  # empty stores, migrated once
        made = Database.open(data_dir=template)
        made.migrate()
        made.close()
        self.apps: dict[str, Any] = {}
        self.ports: dict[str, int] = {}
        self.servers: list[uvicorn.Server] = []
        for name in ("shopify", "sevdesk"):
            listener = listen("127.0.0.1", 0)
            self.ports[name] = listener.getsockname()[1]
            # No date of the real day: we believe what services say of the time.
            config = uvicorn.Config(self._front(name), log_level="error", lifespan="off", date_header=False)
            server = uvicorn.Server(config)
            self.servers.append(server)
            threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()

    def _front(self, name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.apps[name](scope, receive, send)

        return app

    def close(self) -> None:
        for server in self.servers:
            server.should_exit = True


class Office:
    """One tenant like the demo's, on real HTTP. `shop` changes the shop, the rest are switches of the account.

    `clock` is everybody's, the real one unless a test is about days.
    """

    def __init__(
        self,
        doors: Doors,
        folder: Path,
        *,
        profile: Mapping[str, Any] | None = None,
        shop: Mapping[str, Any] | None = None,
        orders: int = 6,
        seed: int = 7,
        mix: str = "domestic",
        cut_off: timedelta = timedelta(days=2),
        create_accounts: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        **switches: object,
    ) -> None:
        self.now = clock()
        self.sevdesk = SevdeskSimulator(clock, DEFAULT_TOKEN, **switches)
        self.sevdesk.world.accounts[self.sevdesk.account_id("Bank")].auto_map = False  # nothing to be said of it
        sold = Shop(SHOP, plan="plus", client_id=TENANT, scopes=(*DEFAULT_SCOPES, *PAYMENT_SCOPES))
        sold = replace(sold, **(shop or {}))
        self.shopify = ShopifySimulator(clock, client_secret=_SECRET, shops=[sold])
        if orders:
            lives = generate(seed, orders, shop=SHOP, mix=mix, end=self.now, span=timedelta(hours=24))
            self.shopify.load(lives)
            self.shopify.advance(self.now)
        doors.apps["shopify"] = create_app(self.shopify, clock=clock)
        doors.apps["sevdesk"] = asgi(self.sevdesk)
        self.env = {
            "LADENBUCH_SHOPIFY_URL": f"http://127.0.0.1:{doors.ports['shopify']}/{{shop}}",
            "LADENBUCH_SEVDESK_URL": f"http://127.0.0.1:{doors.ports['sevdesk']}/api/v1",
            "LADENBUCH_KEYS": _KEY,
            "LADENBUCH_SEVDESK_RATE": "1000",
            "LADENBUCH_SMTP_URLS": "smtp://mail.seifenladen.example",
            "LADENBUCH_MAIL_FROM": str(MAIL.sender),
            "LADENBUCH_DATA_DIR": str(folder),
        }
        shutil.copytree(doors.template, folder, dirs_exist_ok=True)
        self.database = Database.open(data_dir=folder)
        for engine in self.database._engines.values():
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        vault = Vault(KeyRing.parse(_KEY), self.database)
        self.slept: list[float] = []
        self.house = Ladenbuch(Settings.read(self.env), self.database, vault, clock=clock, sleep=self.slept.append)
        self.add(TENANT, SHOP, profile, cut_off, create_accounts=create_accounts)

    def add(
        self,
        tenant: str,
        shop: str,
        profile: Mapping[str, Any] | None = None,
        cut_off: timedelta = timedelta(days=2),
        *,
        create_accounts: bool = False,
        token: str | None = DEFAULT_TOKEN,
    ) -> None:
        """One more tenant on the same sevdesk account."""
        secrets = {CLIENT_ID: TENANT, CLIENT_SECRET: _SECRET} | ({SEVDESK_TOKEN: token} if token else {})
        told = {**PROFILE, "shop_key": tenant, **(profile or {})}
        told = {name: value for name, value in told.items() if value is not None}
        provision(self.house, shop, tenant, told, self.now - cut_off, secrets, create_accounts=create_accounts)

    def examine(self, mail: Mail = MAIL, tenant: str = TENANT) -> list[Finding]:
        return examine(self.house.context, tenant, mail)

    def try_connection(self) -> list[Finding]:
        return try_connection(self.house.context, TENANT)

    def human(self, do: str, **more: object) -> dict[str, Any]:
        """What a person does in sevdesk."""
        from ladenbuch.simulators.sevdesk import control

        return control.human(self.sevdesk.world, json.loads(json.dumps({"do": do, **more})))

    def close(self) -> None:
        self.house.close()


def bad(findings: list[Finding]) -> dict[str, str]:
    """Code -> level of everything that is not as it should be."""
    return {item.code: item.level for item in findings if item.level != "ok"}
