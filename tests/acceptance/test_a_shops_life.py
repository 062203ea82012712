"""A shop's life with us, as a dated diary: install, scopes change, suspend, uninstall, redact, reinstall (S3, S24, B9).

Two simulated services, the served connector and a merchant's browser, under virtual time. What happens in the shop
reaches us as signed webhooks only; what the merchant does, through the browser; what the operator does, by the same
functions the commands call.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from starlette.testclient import TestClient

from acceptance.invoice_cases import mixed_rates
from granted import APP_URL, CALLBACK, SECRET, SHOP
from house import PROFILE, life
from ladenbuch import audit, grants, inbox, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.admin import create_accounts_for, go_live
from ladenbuch.cli.serve import make_app
from ladenbuch.db import Database, Store
from ladenbuch.engine.inline import InlineEngine, VirtualClock
from ladenbuch.settings import Settings
from ladenbuch.simulators.http import Route, SimTransport
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN, SevdeskSimulator
from ladenbuch.simulators.shopify import Shop, ShopifySimulator
from ladenbuch.vault import KeyRing, Vault
from ladenbuch.workflows import lifecycle, scopes
from ladenbuch.workflows.tokens import REFRESH_TOKEN, SEVDESK_TOKEN, SHOPIFY_TOKEN

KEY = "k1:" + "A" * 43 + "="
FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
WANTED = ["read_customers", "read_fulfillments", "read_orders", "read_payment_terms", "read_products", "read_returns"]
PAYOUTS = "read_shopify_payments_payouts"
BUYER = "erika"


class Life:
    """The merchant, the operator and the connector between a shop and a sevdesk account."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(datetime(2026, 11, 2, 8, tzinfo=UTC))
        shop = Shop(SHOP, plan="plus", client_id="app", redirect_uris=(CALLBACK,), asks=True, scopes=tuple(WANTED))
        self.shopify = ShopifySimulator(self.clock.now, client_secret=SECRET, shops=[shop])
        self.shopify.set_webhooks(
            f"{APP_URL}/webhooks",
            [
                *("orders/create", "orders/paid", "orders/updated", "app/uninstalled", "app/scopes_update"),
                *("shop/redact", "customers/redact", "customers/data_request"),
            ],
        )
        self.sevdesk = SevdeskSimulator(self.clock.now, DEFAULT_TOKEN)
        self.engine = InlineEngine(self.clock)
        self.database = Database.open(data_dir=folder)
        self.database.migrate()
        self.vault = Vault(KeyRing.parse(KEY), self.database)
        routes = [Route("http://shopify.test/", self.shopify), Route("http://sevdesk.test/", self.sevdesk)]
        settings = {
            "LADENBUCH_SHOPIFY_URL": "http://shopify.test/{shop}",
            "LADENBUCH_SEVDESK_URL": "http://sevdesk.test/api/v1",
            "LADENBUCH_VIES_URL": "",
            "LADENBUCH_KEYS": KEY,
            "LADENBUCH_SEVDESK_RATE": "1000",
            "LADENBUCH_SHOPIFY_CLIENT_ID": "app",
            "LADENBUCH_SHOPIFY_CLIENT_SECRET": SECRET,
            "LADENBUCH_APP_URL": APP_URL,
            "LADENBUCH_SCOPES": ",".join(WANTED),
            "LADENBUCH_OPTIONAL_SCOPES": PAYOUTS,
        }
        ids = itertools.count(1)
        self.house = Ladenbuch(
            Settings.read(settings),
            self.database,
            self.vault,
            httpx2.Client(transport=SimTransport(routes, sleep=self.clock.sleep, schedule=self._soon), timeout=10.0),
            clock=self.clock.now,
            sleep=self.clock.sleep,
            new_id=lambda: f"{next(ids):x}",
            chance=lambda: 0.5,
            ticks={
                "dispatch": 600,
                "deliver": 7200,
                "poll": 3600,
                "sweep": 7200,
                "install": 3600,
                "webhooks": 86400,
                "silence": 86400,
                # A year goes by: what looks every minute looks once a day.
                **dict.fromkeys(("reconcile", "backfill", "clock", "services", "digest", "bank"), 86400),
                **dict.fromkeys(("payouts", "delivery", "events", "write_back", "overdue"), 86400),
            },
        )
        self.house.work(self.engine)
        self.browser = TestClient(make_app(self.house), APP_URL, headers=FIREFOX, follow_redirects=False)
        self.numbers = itertools.count(1001)

    def _soon(self, seconds: float, fn: Any) -> None:
        self.engine.at(self.clock.now() + timedelta(seconds=seconds), fn)

    # -- the merchant ---------------------------------------------------------------------------------------------

    def installs(self) -> str:
        """From Shopify's link over the consent page and back; what the last page says."""
        answer = self.browser.get(self.shopify.install_link(SHOP, f"{APP_URL}/install"))
        assert answer.status_code == 302, answer.text
        url = httpx2.URL(answer.headers["location"])
        agreed = urlencode([*parse_qsl(url.query.decode()), ("agree", "1")]).encode()
        with httpx2.Client(transport=SimTransport([Route("http://shopify.test/", self.shopify)])) as shop:
            back = shop.get(url.copy_with(query=agreed)).headers["location"]
        done = self.browser.get(back)
        assert done.status_code == 200, done.text
        return str(done.text)

    def sells(self, days: int = 0) -> str:
        """One paid order now, and everything that follows within the hour; its gid."""
        told = life(next(self.numbers), self.clock.now() + timedelta(minutes=5), mixed_rates)
        self.shopify.load([replace(told, shop=SHOP)])
        self.passes(hours=1)
        return str(told.order_id)

    # -- time -----------------------------------------------------------------------------------------------------

    def passes(self, **span: float) -> None:
        """Time goes by: the shop lives, its webhooks are posted to us, what is due is done."""
        until = self.clock.now() + timedelta(**span)
        while self.clock.now() < until:
            self.shopify.advance(self.clock.now())
            self.deliveries()
            now = self.clock.now()
            told = (self.shopify.next_event_at(), self.shopify.next_delivery_at())
            soon = [max(at, now + timedelta(seconds=1)) for at in told if at is not None]
            self.engine.run_until(min([until, now + timedelta(hours=6), *soon]))

    def deliveries(self) -> list[int]:
        """Post what Shopify has to tell; the answers."""
        answers = []
        for delivery in self.shopify.due_deliveries(self.clock.now()):
            answer = self.browser.post("/webhooks", content=delivery.body, headers=dict(delivery.headers))
            self.shopify.report(delivery.id, answer.status_code, self.clock.now())
            answers.append(answer.status_code)
        return answers

    # -- the operator ---------------------------------------------------------------------------------------------

    def brings(self, tenant: str, *, profile: bool) -> list[str]:
        """The sevdesk token, at first the profile too; what is still missing."""
        now = self.clock.now()

        def write(tx: Any) -> None:
            self.vault.put_secret(tx, tenant, SEVDESK_TOKEN, DEFAULT_TOKEN, now)
            if profile:
                tenants.add_profile(tx, tenant, PROFILE, datetime(1970, 1, 1, tzinfo=UTC), now)

        self.database.tenant(tenant).run(Store.BOOKS, write)
        if profile:
            create_accounts_for(self.house, tenant, PROFILE)
        return lifecycle.finish(self.house.context, tenant)

    # -- looking --------------------------------------------------------------------------------------------------

    @property
    def tenant(self) -> tenants.Tenant:
        (found,) = self.database.system("operator").read(Store.BOOKS, tenants.all)
        return found

    def read(self, fn: Any) -> Any:
        """A look into the books: `fn(tx, tenant)`."""
        tenant = self.tenant.id
        return self.database.tenant(tenant).read(Store.BOOKS, lambda tx: fn(tx, tenant))

    def payouts_on(self) -> bool:
        return all(item.on for item in self.read(scopes.switches) if "payouts" in item.sentence.lower())

    def secret(self, name: str) -> object:
        return self.read(lambda tx, tenant: self.vault.get_secret(tx, tenant, name))

    def invoices(self) -> list[str]:
        return sorted(item["number"] for item in self.sevdesk.state()["invoices"] if item["number"])

    def told(self) -> list[str]:
        return [entry.event for entry in self.read(audit.entries)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Life]:
    made = Life(tmp_path)
    yield made
    made.database.close()


def test_install_scopes_suspend_uninstall_redact_reinstall(shop: Life, tmp_path: Path) -> None:
    """S3, S24, B9: one shop, five weeks, one tenant; two invoices before it left and one after it came back."""
    # 2 November, 9:00: the merchant clicks on "install" and agrees. The operator still has to bring two things.
    shop.installs()
    tenant = shop.tenant
    assert (tenant.state, tenant.draft_only, tenant.shop) == ("installing", True, SHOP)
    assert tenant.shop_gid is not None and shop.secret(SHOPIFY_TOKEN) is not None
    shop.sells()
    assert shop.invoices() == []

    # 10:00: they are brought; what was sold meanwhile is found and posted.
    assert shop.brings(tenant.id, profile=True) == []
    go_live(shop.house, tenant.id)
    shop.passes(hours=1)
    assert shop.tenant.state == "active" and shop.invoices() == ["RE-1001"]

    # 4 November: a scope is given, and two days later taken back. A capability comes and goes, nothing fails.
    shop.passes(days=2)
    assert not shop.payouts_on()
    shop.shopify.set_scopes(SHOP, [*WANTED, PAYOUTS])
    shop.passes(minutes=5)
    assert shop.payouts_on()
    shop.shopify.set_scopes(SHOP, WANTED)
    shop.passes(minutes=5)
    assert not shop.payouts_on()

    # 6 November: suspended over the weekend. What is sold waits, and is posted on Monday, once.
    lifecycle.suspend(shop.house.context, tenant.id, "the sevdesk account is being moved", by="operator")
    shop.sells()
    shop.passes(days=2)
    assert shop.invoices() == ["RE-1001"]
    assert lifecycle.resume(shop.house.context, tenant.id, by="operator") == []
    shop.passes(hours=1)
    assert shop.invoices() == ["RE-1001", "RE-1002"]

    # 9 November: the merchant uninstalls. Within a minute no token is left; webhooks are still answered.
    shop.shopify.uninstall(SHOP)
    shop.passes(seconds=60)
    assert shop.tenant.state == "uninstalled"
    assert [shop.secret(name) for name in (SHOPIFY_TOKEN, REFRESH_TOKEN, SEVDESK_TOKEN)] == [None, None, None]
    shop.shopify.touch(next(iter(shop.shopify.fired_at)))
    assert set(shop.deliveries()) <= {200}
    shop.passes(hours=1)
    assert shop.invoices() == ["RE-1001", "RE-1002"]

    # 11 November: 48 hours later Shopify asks for the shop's redaction. What the law wants kept is kept.
    shop.passes(days=2)
    settled = len(shop.told())
    shop.shopify.send(SHOP, "shop/redact", {"shop_id": int(tenant.shop_gid.split("/")[-1]), "shop_domain": SHOP})
    shop.passes(minutes=5)
    assert shop.tenant.state == "redacted"
    assert len(shop.told()) > settled
    assert shop.invoices() == ["RE-1001", "RE-1002"]

    # 7 December: the merchant comes back. It is the same tenant, its old orders are not posted again.
    shop.passes(days=26)
    shop.shopify.install(SHOP)
    shop.installs()
    assert shop.tenant.id == tenant.id and shop.tenant.state == "installing"
    missing = shop.brings(tenant.id, profile=not shop.read(tenants.profiles))
    assert missing == [] and shop.tenant.state == "active"
    shop.sells()
    shop.passes(hours=1)
    assert shop.invoices() == ["RE-1001", "RE-1002", "RE-1003"]

    # And the whole life stands in one chain.
    events = shop.told()
    places = [events.index(name) for name in ("app.installed", "tenant.suspended", "app.uninstalled")]
    assert places == sorted(places) and events.count("app.installed") == 2
    assert shop.read(audit.verify) is None
    held = shop.read(grants.get)
    assert held is not None and held.needs_reconnect is None
    waiting = shop.database.system("health").read(Store.INBOX, lambda tx: inbox.depth(tx, shop.clock.now()))
    assert waiting.waiting == 0
