"""Tenants: safe first hour, dated profiles, write stop (S39, S41)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ladenbuch import tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Rejected

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def add(database: Database, id: str = "t1", shop: str = "one.myshopify.com") -> tenants.Tenant:
    return database.system("operator").run(
        Store.BOOKS, lambda tx: tenants.add(tx, id=id, shop=shop, cut_off=NOW, now=NOW)
    )


def test_a_new_tenant_is_draft_only_with_its_cut_off_date(database: Database) -> None:
    added = add(database)
    assert added.draft_only is True
    assert added.cut_off == NOW
    assert added.state == "active"
    assert database.tenant("t1").read(Store.BOOKS, lambda tx: tenants.get(tx, "t1")) == added


@pytest.mark.parametrize(("id", "shop"), [("t1", "two.myshopify.com"), ("t2", "one.myshopify.com")])
def test_an_id_and_a_shop_belong_to_one_tenant(database: Database, id: str, shop: str) -> None:
    add(database)
    with pytest.raises(Rejected) as caught:
        add(database, id, shop)
    assert caught.value.code == "TENANT-EXISTS"


def test_s41_an_unknown_tenant_is_a_typed_error(database: Database) -> None:
    for call in (
        lambda tx: tenants.get(tx, "x"),
        lambda tx: tenants.set_draft_only(tx, "x", False),
        lambda tx: tenants.add_profile(tx, "x", {}, NOW, NOW),
        lambda tx: tenants.stop(tx, "x", "why", NOW),
    ):
        with pytest.raises(Rejected) as caught:
            database.tenant("x").run(Store.BOOKS, call)
        assert caught.value.code == "TENANT-UNKNOWN"


def test_changes_reach_their_tenant_only(database: Database) -> None:
    add(database)
    other = add(database, "t2", "two.myshopify.com")

    def change(tx: Transaction) -> list[tenants.Tenant]:
        tenants.set_draft_only(tx, "t1", False)
        tenants.set_state(tx, "t1", "suspended", NOW)
        tenants.set_cut_off(tx, "t1", NOW + timedelta(days=1))
        tenants.identify(tx, "t1", shop_gid="gid://shopify/Shop/1", sevdesk_ref="42")
        return tenants.all(tx)

    first, second = database.system("operator").run(Store.BOOKS, change)
    assert (first.draft_only, first.state, first.shop_gid, first.sevdesk_ref) == (
        False,
        "suspended",
        "gid://shopify/Shop/1",
        "42",
    )
    assert first.cut_off == NOW + timedelta(days=1)
    assert second == other
    found = database.system("webhook").read(Store.BOOKS, lambda tx: tenants.by_shop(tx, "ONE.myshopify.com"))
    assert found == first


def test_s39_profiles_are_versioned_and_dated(database: Database) -> None:
    add(database)

    def fill(tx: Transaction) -> list[tenants.ProfileVersion]:
        tenants.add_profile(tx, "t1", {"timing": "default"}, NOW, NOW)
        tenants.add_profile(tx, "t1", {"timing": "next year"}, NOW + timedelta(days=40), NOW)
        tenants.add_profile(tx, "t1", {"timing": "corrected"}, NOW, NOW)
        return tenants.profiles(tx, "t1")

    versions = database.tenant("t1").run(Store.BOOKS, fill)
    assert [v.version for v in versions] == [1, 2, 3]

    def at(days: int) -> object:
        found = tenants.in_force(versions, NOW + timedelta(days=days))
        return found and found.profile["timing"]

    assert [at(-1), at(0), at(39), at(40)] == [None, "corrected", "corrected", "next year"]


def test_profile_versions_have_no_gaps_under_eight_threads(database: Database) -> None:
    add(database)
    door = database.tenant("t1")
    with ThreadPoolExecutor(8) as pool:
        given = list(
            pool.map(
                lambda i: door.run(Store.BOOKS, lambda tx: tenants.add_profile(tx, "t1", {"i": i}, NOW, NOW)),
                range(24),
            )
        )
    assert sorted(given) == list(range(1, 25))


def test_stop_and_go_for_one_and_for_all(database: Database) -> None:
    add(database)
    add(database, "t2", "two.myshopify.com")
    system = database.system("operator")

    def reasons() -> list[str | None]:
        return [database.tenant(t).read(Store.BOOKS, lambda tx, t=t: tenants.stopped(tx, t)) for t in ("t1", "t2")]

    assert reasons() == [None, None]
    system.run(Store.BOOKS, lambda tx: tenants.stop(tx, "t1", "wrong account", NOW))
    assert reasons() == ["wrong account", None]
    system.run(Store.BOOKS, lambda tx: tenants.stop(tx, None, "migration", NOW))
    assert reasons() == ["migration", "migration"]
    assert system.run(Store.BOOKS, lambda tx: tenants.go(tx, None)) is True
    assert reasons() == ["wrong account", None]
    assert system.run(Store.BOOKS, lambda tx: tenants.go(tx, "t1")) is True
    assert system.run(Store.BOOKS, lambda tx: tenants.go(tx, "t1")) is False
    assert reasons() == [None, None]
