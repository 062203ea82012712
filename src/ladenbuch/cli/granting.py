"""`ladenbuch grants`: how each shop lets us in, what its scopes leave off; old tokens exchanged for expiring ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import typer

from ladenbuch import grants, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import LadenbuchError
from ladenbuch.shopify.scopes import switched
from ladenbuch.workflows import scopes


def list_grants(*, as_json: bool) -> int:
    """Every grant; exit 1 when a shop has to be connected again."""

    def read(tx: Transaction) -> list[dict[str, Any]]:
        return [_told(item, tenants.get(tx, item.tenant).shop) for item in grants.all(tx)]

    with opened() as house:
        found = house.database.system("operator").read(Store.BOOKS, read)
    if as_json:
        say_json(found)
    for item in () if as_json else found:
        until = item["refresh_expires_at"] or item["expires_at"] or "no end"
        typer.echo(f"{item['tenant']:20} {item['kind']:20} until {until}")
        for sentence in [item["needs_reconnect"]] if item["needs_reconnect"] else item["off"]:
            typer.echo(f"{'':20} {sentence}")
    return 1 if any(item["needs_reconnect"] for item in found) else 0


def _told(grant: grants.Grant, shop: str) -> dict[str, Any]:
    return {
        "tenant": grant.tenant,
        "shop": shop,
        "kind": grant.kind,
        "scopes": sorted(grant.scopes),
        "off": [item.sentence for item in switched(grant.scopes) if not item.on],
        "refreshed_at": grant.refreshed_at.isoformat(),
        "expires_at": None if grant.expires_at is None else grant.expires_at.isoformat(),
        "refresh_expires_at": None if grant.refresh_expires_at is None else grant.refresh_expires_at.isoformat(),
        "needs_reconnect": grant.needs_reconnect,
    }


def migrate(tenant: str | None) -> int:
    """Exchange a tenant's permanent token for an expiring pair; exit 1 when it expires already."""
    with opened() as house:
        owner = chosen(house, tenant)
        done = house.tokens.migrate(owner.id, owner.shop)
    typer.echo(
        f"{owner.id}: the token expires now, and is renewed by itself" if done else f"{owner.id}: expires already"
    )
    return 0 if done else 1


def check_scopes(house: Ladenbuch, tenant: str, check: Callable[[str, bool, str, str], None]) -> None:
    """What the shop's scopes leave off, a sentence each, for the doctor; read again where the shop can be asked."""
    with contextlib.suppress(LadenbuchError):  # why it cannot be asked, the doctor says elsewhere
        scopes.reread(house.context, tenant)
    for item in house.database.tenant(tenant).read(Store.BOOKS, lambda tx: scopes.switches(tx, tenant)):
        if not item.on:
            check(f"{tenant}: scopes", not item.capability.essential, item.sentence, item.german)
