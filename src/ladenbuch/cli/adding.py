"""`ladenbuch tenants add`: a shop, its profile and its secrets."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from ladenbuch.bootstrap import utc_now
from ladenbuch.cli.admin import provision
from ladenbuch.cli.files import read_json, say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.shopify.oauth import sanitise_shop
from ladenbuch.workflows.tokens import CLIENT_ID, CLIENT_SECRET, SEVDESK_TOKEN, SHOPIFY_TOKEN

#: Secret in the vault -> name in the JSON on standard input; the variable is LADENBUCH_TENANT_ and that in capitals.
SECRETS = {
    CLIENT_ID: "shopify_client_id",
    CLIENT_SECRET: "shopify_client_secret",
    SHOPIFY_TOKEN: "shopify_access_token",
    SEVDESK_TOKEN: "sevdesk_token",
}

#: Refusals of a token that is right, of an account that is not.
_ACCOUNT = frozenset({"SEVDESK-FORBIDDEN", "SEVDESK-BOOKKEEPING", "SEVDESK-CHANGED"})

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def add_tenant(
    shop: str, profile: Path, tenant: str | None, cut_off: str | None, *, create_accounts: bool, as_json: bool
) -> int:
    """Add a shop with its profile and secrets; it starts draft-only and documents nothing before its cut-off."""
    domain = sanitise_shop(shop)
    if domain is None:
        raise UsageError("SHOP", f"{shop!r} is not a shop domain like my-shop.myshopify.com")
    if tenant is not None and not _TENANT.fullmatch(tenant):
        raise UsageError("TENANT", "a tenant id is made of letters, digits, '.', '_' and '-'")
    data = read_json(profile)
    start = _instant(cut_off) if cut_off else utc_now()
    with opened() as house:
        added = provision(
            house, domain, tenant or domain.split(".")[0], data, start, _secrets(), create_accounts=create_accounts
        )
    if as_json:
        say_json(added)
    else:
        typer.echo(
            f"added {added['tenant']} ({domain}), drafts only; `ladenbuch tenants live {added['tenant']}` lets it go"
        )
    return 0


def connect_sevdesk(tenant: str, *, as_json: bool) -> int:
    """Try a token at sevdesk and keep it for a tenant. Nothing is stored when it is refused."""
    from ladenbuch.workflows.readiness import connect_sevdesk as connect

    token = given_secrets().get(SEVDESK_TOKEN, "").strip()
    if not token:
        raise UsageError("SECRETS", "sevdesk_token is missing (standard input, or LADENBUCH_TENANT_SEVDESK_TOKEN)")
    with opened() as house:
        owner = chosen(house, tenant)
        try:
            account = connect(house.context, owner.id, token, house.sevdesk_with(token), by="operator")
        except Rejected as error:
            if error.code not in _ACCOUNT:
                raise
            typer.echo(f"ladenbuch: {error}", err=True)
            return 1
    told = {"tenant": owner.id, "account": account.id, "name": account.name, "version": account.version}
    if as_json:
        say_json(told)
    else:
        name = f"{account.name} ({account.id})" if account.name else account.id
        typer.echo(f"{owner.id} keeps its books in sevdesk account {name}")
    return 0


def _secrets() -> dict[str, str]:
    """The secrets of a new tenant, with what cannot be missing."""
    found = given_secrets()
    if SEVDESK_TOKEN not in found:
        raise UsageError("SECRETS", "sevdesk_token is missing (standard input, or LADENBUCH_TENANT_SEVDESK_TOKEN)")
    if SHOPIFY_TOKEN not in found and not (CLIENT_ID in found and CLIENT_SECRET in found):
        raise UsageError("SECRETS", "give shopify_client_id and shopify_client_secret, or shopify_access_token")
    return found


def given_secrets() -> dict[str, str]:
    """Secrets from standard input (a JSON object) or the environment; never from arguments."""
    given: Any = {}
    if not sys.stdin.isatty():
        text = sys.stdin.read().strip()
        if text:
            try:
                given = json.loads(text)
            except (ValueError, RecursionError):
                given = []
            if not isinstance(given, dict):
                raise UsageError("SECRETS", "standard input must be a JSON object of secrets")
    found: dict[str, str] = {}
    for name, short in SECRETS.items():
        value = given.get(short) or os.environ.get(f"LADENBUCH_TENANT_{short.upper()}")
        if value:
            found[name] = str(value)
    return found


def _instant(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("CUT-OFF", "--cut-off must be an ISO date or instant") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
