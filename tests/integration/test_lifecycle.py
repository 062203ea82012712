"""A tenant comes, rests, goes and comes back (S3, S24, S40, S52): over real stores, with Shopify's simulator."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from acceptance.invoice_cases import mixed_rates
from house import SHOP, TENANT, House
from ladenbuch import audit, erasure, inbox, tenants
from ladenbuch.db import Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.inbox.marks import order_marks
from ladenbuch.simulators.sevdesk import DEFAULT_TOKEN
from ladenbuch.workflows import exporting, lifecycle
from ladenbuch.workflows.lifecycle import ShopIdentity
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN, SHOPIFY_TOKEN

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, START)
    yield made
    made.close()


def of(house: House, tenant: str = TENANT) -> tenants.Tenant:
    return house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))


def secrets_of(house: House, tenant: str = TENANT) -> set[str]:
    from ladenbuch.vault import secrets

    query = sa.select(secrets.c.name).where(secrets.c.tenant == tenant)
    return set(house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tx.execute(query).scalars().all()))


def told(house: House, tenant: str = TENANT) -> list[str]:
    return [entry["event"] for entry in chain(house, tenant)[:-1]]


def chain(house: House, tenant: str = TENANT) -> list[dict[str, Any]]:
    lines = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: list(audit.export(tx, tenant)))
    return [json.loads(line) for line in lines]


def hear(house: House, topic: str, body: dict[str, Any], webhook_id: str = "w1", tenant: str = TENANT) -> str | None:
    """A delivery as the ingest keeps it, then everything that is due because of it; the code of its mark."""
    now = house.clock.now()
    delivery = inbox.Delivery(
        tenant, webhook_id, topic, SHOP, now, json.dumps(body).encode(), None, None, "2026-10", now, True
    )
    commit = inbox.GroupCommit(house.database, house.ladenbuch.vault, house.clock.now)
    try:
        assert commit.submit(delivery).result(5)
    finally:
        commit.close()
    house.engine.wake("dispatch")
    house.engine.drain()
    query = sa.select(order_marks.c.last_code).where(order_marks.c.order_id == inbox.mark_of(webhook_id))
    return house.database.tenant(tenant).read(Store.INBOX, lambda tx: tx.execute(query).scalar_one())


def gid_of(house: House) -> str:
    settings = house.ladenbuch.shopify(TENANT).shop_settings()
    return str(settings["id"])


# -- coming ----------------------------------------------------------------------------------------------------------


def granted(house: House, shop: ShopIdentity) -> str:
    ctx, now = house.ladenbuch.context, house.clock.now()
    return lifecycle.install(
        ctx, shop, lambda tx, tenant: ctx.vault.put_secret(tx, tenant, SHOPIFY_TOKEN, "shpat_" + "0" * 32, now)
    )


def test_s40_a_new_shop_is_installing_and_says_what_is_missing(house: House) -> None:
    ctx = house.ladenbuch.context
    tenant = granted(house, ShopIdentity("gid://shopify/Shop/99", "other.myshopify.com"))
    made = of(house, tenant)
    assert (tenant, made.state, made.draft_only, made.cut_off) == ("other", "installing", True, house.clock.now())
    house.database.tenant(tenant).run(Store.BOOKS, lambda tx: tenants.set_step(tx, tenant, "configured"))
    assert lifecycle.finish(ctx, tenant) == ["an accounting profile", "a sevdesk token"]
    assert of(house, tenant).state_reason == "still missing: an accounting profile, a sevdesk token"
    assert told(house, tenant) == ["app.installed"]


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("crash", ["granted", "identified", "subscribed", "configured"])
def test_s40_a_crash_after_any_step_converges_to_the_same_state(house: House, crash: str, written: bool) -> None:
    """The process dies when a step is done, before or after that is written down; called again, it goes on."""
    ctx = house.ladenbuch.context
    lifecycle.suspend(ctx, TENANT, "about to be connected again", by="operator")
    house.database.tenant(TENANT).run(
        Store.BOOKS, lambda tx: tenants.set_state(tx, TENANT, "installing", house.clock.now())
    )
    done: list[str] = []

    def dying(name: str, step: Any) -> Any:
        def run(context: Any, tenant: str) -> None:
            if written and done and done[-1] == crash:
                raise SystemExit("killed")
            step(context, tenant)
            done.append(name)
            if not written and name == crash:
                raise SystemExit("killed")

        return run

    with pytest.MonkeyPatch.context() as patch:
        steps = [(name, dying(name, step)) for name, step in lifecycle.STEPS]
        patch.setattr(lifecycle, "STEPS", (*steps, ("never", dying("never", lambda ctx, tenant: None))))
        with pytest.raises(SystemExit):
            lifecycle.finish(ctx, TENANT)
    assert done[-1] == crash
    assert lifecycle.finish(ctx, TENANT) == []
    end = of(house)
    assert (end.state, end.installed_step, end.shop_gid) == ("active", "configured", gid_of(house))
    assert told(house).count("tenant.active") == 1


def test_b16_a_shop_that_comes_back_under_another_domain_is_the_same_tenant(house: House) -> None:
    """Shopify's id decides, not the domain a merchant can change; nor does a new shop inherit books with a domain."""
    ctx, gid = house.ladenbuch.context, gid_of(house)
    house.database.tenant(TENANT).run(Store.BOOKS, lambda tx: tenants.identify(tx, TENANT, shop_gid=gid))
    lifecycle.uninstall(ctx, TENANT, by="Shopify")
    assert granted(house, ShopIdentity(gid, "renamed.myshopify.com")) == TENANT
    assert of(house).shop == "renamed.myshopify.com"
    with pytest.raises(Rejected) as refused:
        granted(house, ShopIdentity("gid://shopify/Shop/4711", "renamed.myshopify.com"))
    assert refused.value.code == "TENANT-SHOP"
    assert of(house).shop_gid == gid


# -- resting ---------------------------------------------------------------------------------------------------------


def test_a_suspended_tenant_is_neither_read_nor_written_and_catches_up_afterwards(house: House) -> None:
    ctx = house.ladenbuch.context
    lifecycle.suspend(ctx, TENANT, "the owner is on holiday", by="operator")
    before = len(house.state("invoices"))
    order_id = house.lived(mixed_rates)
    assert house.verdict(order_id) == ("never settled", None)
    assert len(house.state("invoices")) == before
    assert lifecycle.resume(ctx, TENANT, by="operator") == []
    house.engine.wake("dispatch")
    house.engine.drain()
    assert house.verdict(order_id)[0] == "documented"
    assert told(house)[-1] != "tenant.suspended"
    assert {"tenant.suspended", "tenant.active"} <= set(told(house))


# -- going -----------------------------------------------------------------------------------------------------------


def test_s24_uninstalled_the_tokens_are_gone_and_the_work_stops_and_the_books_stay(house: House) -> None:
    order_id = house.lived(mixed_rates)
    house.shopify.uninstall(SHOP)
    assert hear(house, "app/uninstalled", {"myshopify_domain": SHOP}) == "UNINSTALLED"
    gone = of(house)
    assert gone.state == "uninstalled"
    assert {SHOPIFY_TOKEN, SEVDESK_TOKEN} & secrets_of(house) == set()
    assert CLIENT_SECRET in secrets_of(house)  # its last webhooks are still verified, and answered 200
    assert house.ladenbuch.tenant_of(SHOP) is not None
    assert house.verdict(order_id)[0] == "documented"
    before = len(house.state("invoices"))
    later = house.lived(mixed_rates, 1002)
    assert house.verdict(later) == ("never settled", None)
    assert len(house.state("invoices")) == before
    assert hear(house, "app/uninstalled", {"myshopify_domain": SHOP}, "w2") == "NOTHING-TO-DO"
    assert told(house).count("app.uninstalled") == 1


def test_a_stale_or_foreign_uninstall_changes_nothing(house: House) -> None:
    """The shop's domain is not signed and a delivery may be hours old: the token is asked, and still works."""
    assert hear(house, "app/uninstalled", {"myshopify_domain": SHOP}) == "STILL-INSTALLED"
    assert hear(house, "app/uninstalled", {"myshopify_domain": "other.myshopify.com"}, "w2") == "WRONG-SHOP"
    assert hear(house, "app/uninstalled", {}, "w3") == "STILL-INSTALLED"
    assert of(house).state == "active"


def test_s24_an_uninstall_that_shopify_cannot_confirm_is_believed_within_a_minute(house: House) -> None:
    """While Shopify is down nobody can be asked; a token that stays is worse than a merchant's second click."""
    ctx = house.ladenbuch.context
    house.shopify.refuse_next(SHOP, 1000, status=503)
    began = house.clock.now()
    hear(house, "app/uninstalled", {"myshopify_domain": SHOP})
    while of(house).state != "uninstalled":
        due = house.database.system("health").read(Store.INBOX, inbox.next_due)
        assert due is not None and due - began < timedelta(seconds=75)
        house.clock.advance_to(due)
        house.engine.wake("dispatch")
        house.engine.drain()
    assert secrets_of(house) == {CLIENT_ID, CLIENT_SECRET}
    assert lifecycle.uninstall(ctx, TENANT, by="Shopify") is False


# -- the last row ----------------------------------------------------------------------------------------------------


def test_a_deleted_tenant_leaves_no_row_and_one_proof(house: House) -> None:
    house.lived(mixed_rates)
    said = chain(house)
    assert erasure.residue(house.database, TENANT)
    now = house.clock.now() + timedelta(days=1)
    proof = erasure.erase(house.database, TENANT, SHOP, id="e1", actor="operator", now=now, last_hash=said[-1]["head"])
    assert erasure.residue(house.database, TENANT) == {}
    assert proof.rows["books.audit_entries"] == len(said) - 1
    kept = house.database.system("operator").read(Store.BOOKS, erasure.erased)
    assert kept == [proof]


def test_an_export_holds_everything_in_the_clear_but_no_secret(house: House, tmp_path: Path) -> None:
    """One file a person can open: rows of both stores, what was sealed opened, each file with its hash."""
    order_id = house.lived(mixed_rates)
    hear(house, "shop/update", {"id": 1})
    path = tmp_path / "export.zip"
    manifest = exporting.export(house.ladenbuch.context, TENANT, path, by="operator anna")
    assert exporting.check(path) == manifest
    taken = chain(house)[-2]
    assert (taken["event"], taken["actor"]) == ("tenant.exported", "operator anna")
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name).decode() for name in file.namelist()}
    (order,) = [json.loads(line) for line in content["books/orders.jsonl"].splitlines()]
    assert order["order_id"] == order_id and order["snapshot"]["order"]["id"] == order_id
    (document,) = [json.loads(line) for line in content["books/documents.jsonl"].splitlines()]
    assert "Erika" in json.dumps(document["pins"])
    heard = [json.loads(line) for line in content["inbox/events.jsonl"].splitlines()]
    assert [item["body"] for item in heard] == [{"id": 1}]
    tables = {f"{store}/{table.name}.jsonl" for store in Store for table in erasure.tables_of_tenants(store)}
    assert set(content) - {"manifest.json"} == tables - {f"books/{name}.jsonl" for name in manifest["not_exported"]}
    whole = "".join(content.values())
    assert DEFAULT_TOKEN not in whole and "shpat_" not in whole and "a-secret-of-nobody" not in whole
    with pytest.raises(UsageError):
        exporting.export(house.ladenbuch.context, TENANT, path, by="operator anna")
    assert told(house).count("tenant.exported") == 1
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UsageError):
        exporting.check(path)
