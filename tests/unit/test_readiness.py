"""The readiness of a tenant as a pure function: nothing is found where nothing is wrong, and every wrong is found."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch.cli.demo import GATEWAYS
from ladenbuch.cli.demo import PROFILE as DEMO
from ladenbuch.domain.connected import (
    AREAS,
    AccountRead,
    Finding,
    PaymentAccount,
    RecentOrder,
    ShopRead,
    Tenancy,
    Unread,
)
from ladenbuch.domain.profile import LINED_MODES, Profile
from ladenbuch.domain.readiness import connection, missing, readiness

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LINED = [name for name, gateway in GATEWAYS.items() if gateway["mode"] in LINED_MODES]
PROFILE = Profile.from_json(
    {
        **DEMO,
        "go_live": (NOW - timedelta(days=2)).isoformat(),
        "gateways": {
            name: {**gateway, "account": str(100 + place)} if gateway["mode"] in LINED_MODES else gateway
            for place, (name, gateway) in enumerate(GATEWAYS.items())
        },
    }
)
#: What the profile makes use of: money back, payouts of Shopify Payments.
WANTED = ("write_orders", "read_shopify_payments_payouts")
SHOP = ShopRead(
    gid="gid://shopify/Shop/1", name="Seifenladen", domain="demo.myshopify.com", currency="EUR", country="DE",
    time_zone="Europe/Berlin", taxes_included=True, tax_shipping=True, presentment=("EUR",), plan="Basic",
    scopes=frozenset({"read_orders", "read_customers", "read_all_orders", *WANTED}),
    recent=tuple(RecentOrder(1190, 190, ((name, False),)) for name in GATEWAYS),
)  # fmt: skip
TOLD = {
    "name": "Seifenladen Nord", "addressStreet": "Elbchaussee 12", "addressZip": "22763", "addressCity": "Hamburg",
    "taxNumber": "41/234/56789", "vatNumber": "DE314159262", "bankIban": "DE02", "bankBic": "BYLA",
    "contactEmail": "kontor@seifenladen.example", "contactPhone": "+49",
}  # fmt: skip
ACCOUNT = AccountRead(
    id="1", name="Seifenladen Nord", small_business=False, told=TOLD,
    rules=frozenset({1, 2, 3, 4, 5, 11, 17, 18, 19, 20, 21, 22}),
    revenue=frozenset({(1, "NINETEEN"), (1, "SEVEN")}),
    accounts=(PaymentAccount("1", "Bank", "online", fed=True, provider="FINAPI"),
              *(PaymentAccount(str(PROFILE.gateways[name].account), f"{name} demo", "online") for name in LINED)),
    ranges={"Invoice": "RE-%NUMBER", "CreditNote": "GU-%NUMBER"},
)  # fmt: skip
TENANCY = Tenancy(
    tenant="demo", shop="demo.myshopify.com", now=NOW, cut_off=NOW - timedelta(days=2), created_at=NOW,
    relays=1, sender="rechnung@seifenladen.example",
)  # fmt: skip


def wrong(found: list[Finding]) -> set[str]:
    return {item.code for item in found if item.level != "ok"}


names = st.text(min_size=1, max_size=30)


@given(
    name=names,
    plan=names,
    gid=names,
    company=names.filter(str.strip),
    scopes=st.sets(st.sampled_from(["read_products", "write_orders", "read_returns", "write_customers"])),
    recent=st.none() | st.lists(
        st.builds(RecentOrder, st.integers(1, 10**7), st.integers(1, 10**6),
                  st.lists(st.sampled_from([(name, False) for name in GATEWAYS]), max_size=2).map(tuple)), max_size=6
    ).map(tuple),
    age=st.integers(0, 400),
    cut_off=st.integers(0, 30),
    ref=st.sampled_from([None, "1"]),
    version=st.integers(1, 3),
    accounts=st.lists(st.sampled_from(["Geldtransit", "Kasse", "Klarna alt"]), max_size=3),
)  # fmt: skip
def test_no_finding_is_possible_for_a_demo_provisioned_shop(
    name: str,
    plan: str,
    gid: str,
    company: str,
    scopes: set[str],
    recent: tuple[RecentOrder, ...] | None,
    age: int,
    cut_off: int,
    ref: str | None,
    version: int,
    accounts: list[str],
) -> None:
    """Whatever it is called, sells, and however long ago it was connected (S39, S40)."""
    shop = replace(SHOP, name=name, plan=plan, gid=gid, scopes=SHOP.scopes | scopes)
    shop = shop if recent is None else replace(shop, recent=recent)
    more = tuple(PaymentAccount(f"9{place}", each, "offline") for place, each in enumerate(accounts))
    account = replace(ACCOUNT, name=company, told={**TOLD, "name": company}, accounts=ACCOUNT.accounts + more)
    created = NOW - timedelta(days=age)
    tenancy = replace(
        TENANCY, created_at=created, cut_off=created - timedelta(days=cut_off), sevdesk_ref=ref, shop_gid=gid
    )
    profiles = [replace(PROFILE, version=number) for number in range(1, version + 1)]
    found = readiness(shop, account, profiles, tenancy)
    assert wrong(found) == set()
    assert [AREAS.index(item.area) for item in found] == sorted(AREAS.index(item.area) for item in found)
    assert readiness(shop, account, profiles, tenancy) == found


BREAKS: dict[str, Callable[[], tuple[Any, Any, Any, Any]]] = {
    "SHOP-CURRENCY": lambda: (replace(SHOP, currency="USD"), ACCOUNT, PROFILE, TENANCY),
    "SHOP-COUNTRY": lambda: (replace(SHOP, country=""), ACCOUNT, PROFILE, TENANCY),
    "SHOP-IDENTITY": lambda: (replace(SHOP, domain="other.myshopify.com"), ACCOUNT, PROFILE, TENANCY),
    "SHOPIFY-SCOPE": lambda: (replace(SHOP, scopes=frozenset({"read_all_orders"})), ACCOUNT, PROFILE, TENANCY),
    "SHOP-DEVELOPMENT": lambda: (replace(SHOP, development=True), ACCOUNT, PROFILE, TENANCY),
    "SEVDESK-BOOKKEEPING": lambda: (SHOP, replace(ACCOUNT, version=""), PROFILE, TENANCY),
    "SEVDESK-CHANGED": lambda: (SHOP, ACCOUNT, PROFILE, replace(TENANCY, sevdesk_ref="2")),
    "SEVDESK-REGIME": lambda: (SHOP, replace(ACCOUNT, small_business=True), PROFILE, TENANCY),
    "SEVDESK-TAX-RULES": lambda: (SHOP, replace(ACCOUNT, rules=frozenset()), PROFILE, TENANCY),
    "SELLER-DATA": lambda: (SHOP, replace(ACCOUNT, told={**TOLD, "addressCity": ""}), PROFILE, TENANCY),
    "SEVDESK-NUMBERS": lambda: (SHOP, replace(ACCOUNT, ranges={}), PROFILE, TENANCY),
    "SEVDESK-LOOKUPS": lambda: (SHOP, replace(ACCOUNT, lacking=frozenset({"unit"})), PROFILE, TENANCY),
    "GATEWAY-ACCOUNT": lambda: (SHOP, replace(ACCOUNT, accounts=()), PROFILE, TENANCY),
    "GATEWAY-UNMAPPED": lambda: (
        replace(SHOP, recent=(RecentOrder(1, 1, (("mollie", False),)),)), ACCOUNT, PROFILE, TENANCY,
    ),
    "BOOKS-CLOSED": lambda: (SHOP, ACCOUNT, replace(PROFILE, books_closed_until=date(2026, 11, 22)), TENANCY),
    "MAIL-RELAY": lambda: (SHOP, ACCOUNT, PROFILE, replace(TENANCY, relays=0)),
}  # fmt: skip


@pytest.mark.parametrize("code", BREAKS)
def test_one_wrong_is_found_alone_and_shuts_the_gate(code: str) -> None:
    shop, account, profile, tenancy = BREAKS[code]()
    found = readiness(shop, account, [profile], tenancy)
    assert {item.code for item in missing(found)} == {code}


@given(broken=st.sets(st.sampled_from(["shop", "account", "profiles"]), min_size=1), later=st.booleans())
def test_a_side_that_is_unread_is_one_finding_and_nothing_is_guessed(broken: set[str], later: bool) -> None:
    """Whatever nobody could read, the rest is still told, and the gate stays shut."""
    shop: Any = Unread("SHOPIFY-DOWN", "down", later) if "shop" in broken else SHOP
    account: Any = Unread("SEVDESK-SHAPE", "odd", later) if "account" in broken else ACCOUNT
    profiles: Any = Unread("PROFILE", "regime must be one of …") if "profiles" in broken else [PROFILE]
    found = readiness(shop, account, profiles, TENANCY)
    expected = {"shop": "SHOPIFY-DOWN", "account": "SEVDESK-SHAPE", "profiles": "PROFILE"}
    assert {item.code for item in missing(found)} == {expected[name] for name in broken}
    assert readiness(SHOP, ACCOUNT, [], TENANCY)[-1].code == "PROFILE"
    if "profiles" not in broken:
        assert [item for item in connection(shop, account, profiles, TENANCY) if item not in found] == []


def test_sales_of_the_till_and_tests_say_nothing_about_gateways() -> None:
    till = RecentOrder(500, 80, (("cash", True),), till=True)
    test = RecentOrder(500, 80, (("bogus", False),), test=True)
    shop = replace(SHOP, recent=(till, test))
    assert wrong(readiness(shop, ACCOUNT, [PROFILE], TENANCY)) == set()
    included = replace(PROFILE, include_pos=True)
    assert wrong(readiness(shop, ACCOUNT, [included], TENANCY)) == {"GATEWAY-UNMAPPED"}


def test_S103_the_date_moves_with_the_day_and_nothing_else() -> None:
    shop = replace(SHOP, scopes=frozenset({"read_orders", "read_customers", *WANTED}))
    for days in (0, 1, 40):
        tenancy = replace(TENANCY, now=NOW + timedelta(days=days), cut_off=NOW)
        (found,) = [item for item in readiness(shop, ACCOUNT, [PROFILE], tenancy) if item.level != "ok"]
        since = NOW + timedelta(days=days - 60)
        assert (found.code, found.level) == ("ORDERS-INVISIBLE", "warn")
        assert f"older orders invisible since {since:%Y-%m-%d}" in found.english


def test_every_finding_has_a_test_that_produces_it_from_the_simulators() -> None:
    codes: set[str] = set()
    for path in sorted((ROOT / "src/ladenbuch/domain").glob("ready*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding" and len(node.args) > 1:
                level, code = node.args[:2]
                if isinstance(code, ast.Constant) and not (isinstance(level, ast.Constant) and level.value == "ok"):
                    codes.add(str(code.value))
    assert len(codes) > 35
    proofs = (ROOT / "tests/integration/test_readiness.py").read_text(encoding="utf-8")
    proofs += (ROOT / "tests/integration/test_threshold.py").read_text(encoding="utf-8")
    assert {code for code in codes if not re.search(rf'"{code}"', proofs)} == set()
