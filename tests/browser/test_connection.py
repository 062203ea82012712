"""The page "Connection": what is missing before the first invoice, and how both sides are connected (S39, S52, S88).

The findings are those of the daily look at the simulated shop and account; nothing here is invented but the weather.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from browser.test_dashboard import browser, opened
from house import SHOP, TENANT, House
from ladenbuch import alarms, entitlements, grants, tenants
from ladenbuch.db import Store
from ladenbuch.domain.entitlement import Entitlement
from ladenbuch.web.connection import connections
from ladenbuch.web.pages import create_pages
from ladenbuch.web.reads import SqlReads
from ladenbuch.workflows import checkup, lockout
from ladenbuch.workflows.readiness import Mail, connect_sevdesk

__all__ = ["browser"]  # a fixture

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
MAIL = Mail(1, "rechnung@seifenladen.example")
APP = "https://buch.example.org"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, START)
    yield made
    made.close()


def app(house: House) -> Starlette:
    reads, clock = SqlReads(house.database, house.clock.now), house.clock.now
    joined = connections(house.database, clock, APP, ["read_shopify_payments_payouts"])
    return Starlette(routes=create_pages(reads, clock, reads.tenants, None, joined))


def text(house: House, path: str = "/connection", language: str = "de") -> str:
    client = TestClient(app(house), base_url="http://127.0.0.1", client=("127.0.0.1", 50000))
    answer = client.get(path, headers={"accept-language": language})
    assert answer.status_code == 200, answer.text
    return answer.text.replace("&nbsp;", " ").replace("\xa0", " ").replace("&#39;", "'")


def look(house: House) -> None:
    house.clock.advance_to(house.clock.now() + timedelta(days=1))
    checkup.check(house.ladenbuch.context, TENANT, MAIL)


def test_before_the_first_look_the_page_says_how_to_look(house: House) -> None:
    assert "Hier wurde noch nicht nachgesehen." in text(house) and "ladenbuch doctor" in text(house)


def test_a_good_connection_says_so_in_both_languages(house: House) -> None:
    look(house)
    page = text(house)
    assert "<h1>Beide Seiten sind verbunden, nichts fehlt.</h1>" in page and SHOP in page
    assert "eigene App (Client Credentials)" in page and "gilt bis 4. Nov. 2026" in page
    assert "<code>read_orders</code>" in page and "Buchhaltungssystem 2.0" in page
    assert "Auszahlungen aus: Berechtigung read_shopify_payments_payouts fehlt" in page
    english = text(house, language="en")
    assert "Both sides are connected, nothing is missing." in english
    assert "payouts off: scope read_shopify_payments_payouts missing" in english and "Berechtigung" not in english


def test_s39_what_is_missing_stands_with_what_to_do_and_since_when(house: House) -> None:
    house.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.set_draft_only(tx, TENANT, True))
    look(house)
    house.sevdesk.world.switches = replace(house.sevdesk.world.switches, version="1.0")
    look(house)
    page = text(house)
    assert "<h1>Etwas fehlt noch.</h1>" in page and "Fehlt vor der ersten Rechnung" in page
    assert "Das Konto hat noch das Buchhaltungssystem 1.0" in page and "auf sevdesk-Update 2.0 umstellen" in page
    assert "Geändert am" in page and "SEVDESK-BOOKKEEPING" in page
    assert "Missing before the first invoice" in text(house, language="en")


def test_s52_a_lost_shop_shows_where_to_connect_it_and_a_missing_scope_where_to_allow_it(house: House) -> None:
    look(house)
    now, door = house.clock.now(), house.database.tenant(TENANT)
    door.run(Store.BOOKS, lambda tx: grants.put(tx, TENANT, "authorization_code", ["read_orders"], now))
    assert f"{APP}/reconnect?shop={SHOP}&amp;optional=read_shopify_payments_payouts" in text(house)
    house.ladenbuch.tokens.lose(TENANT, SHOP, "Shopify takes the refresh token no more")
    page = text(house)
    assert "<h1>Der Laden muss neu verbunden werden.</h1>" in page
    assert f'href="{APP}/reconnect?shop={SHOP}"' in page
    overview = text(house, "/")
    assert "Shopify weist den Zugang dieses Ladens ab." in overview and 'href="/connection"' in overview
    assert "ladenbuch go" not in overview, "nobody has to lift a stop that ends by itself"


def test_s52_a_refused_sevdesk_token_names_the_command_until_it_is_taken(house: House) -> None:
    house.sevdesk.new_token("e" * 32)
    look(house)
    page = text(house)
    assert "<h1>sevdesk nimmt den Token nicht mehr an.</h1>" in page
    assert f"ladenbuch tenants sevdesk {TENANT}" in page and "wird abgelehnt" in page
    assert "sevdesk weist den Zugang" in text(house, "/") and "ladenbuch go" not in text(house, "/")
    ctx = house.ladenbuch.context
    connect_sevdesk(ctx, TENANT, "e" * 32, house.ladenbuch.sevdesk_with("e" * 32), by="operator")
    look(house)
    assert "nichts fehlt" in text(house) and "weist den Zugang" not in text(house, "/")


def test_usage_near_its_cap_is_a_notice(house: House) -> None:
    near = entitlements.NearCap("91.00", "100.00", "EUR")
    told(house, near)
    assert "91,00 € von höchstens 100,00 € berechnet" in text(house) and "Testzeit" in text(house)


def told(house: House, near: entitlements.NearCap) -> None:
    now = house.clock.now()

    def write(tx: Any) -> None:
        entitlements.put(tx, TENANT, Entitlement("trial", "t", now + timedelta(days=9), "pro"), now)
        entitlements.cap_told(tx, TENANT, now, now, near)
        facts = {"used": near.used, "cap": near.cap, "currency": near.currency}
        alarms.raise_alarm(tx, TENANT, "USAGE-NEAR-CAP", "", now, facts)

    house.database.tenant(TENANT).run(Store.BOOKS, write)


def test_several_shops_are_a_list_and_each_has_its_page(house: House) -> None:
    look(house)
    other = {"id": "aaa", "shop": "andere.myshopify.com", "cut_off": START, "now": START}
    house.database.system("operator").run(Store.BOOKS, lambda tx: tenants.add(tx, **other))
    page = text(house)
    assert f"/connection?shop={TENANT}" in page and "Hier wurde noch nicht nachgesehen." in page
    assert "nichts fehlt" in text(house, f"/connection?shop={TENANT}")


# -- in a real browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with everything on it: something is missing, something changed, usage near its cap, a token refused."""
    house = House(tmp_path_factory.mktemp("house"), START)
    house.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.set_draft_only(tx, TENANT, True))
    look(house)
    house.sevdesk.world.switches = replace(house.sevdesk.world.switches, version="1.0")
    del house.sevdesk.world.things["TaxRule"][3]
    look(house)
    told(house, entitlements.NearCap("91.00", "100.00", "EUR"))
    lockout.lock_out(house.ladenbuch.context, TENANT, by="settle", subject="o")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(house), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    house.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_the_page_fits_and_the_browser_has_no_complaint(browser: Any, served: str, width: int, scheme: str) -> None:
    with opened(browser, width, scheme=scheme) as (page, complaints):
        for path in ("/connection", "/"):
            page.goto(served + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert complaints == []
            folder = os.environ.get("LADENBUCH_SCREENSHOTS")
            if folder:
                if path != "/":
                    page.locator("summary").click()
                name = f"{path.strip('/') or 'overview-alarms'}-{width}-{scheme}.png"
                page.screenshot(path=str(Path(folder) / name), full_page=True)
