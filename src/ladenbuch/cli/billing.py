"""`ladenbuch billing`: what is known of the shops' subscriptions of the app, and usage charged by hand."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import typer

from ladenbuch import entitlements
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.shopify.billing import Price


def status(tenant: str | None, *, as_json: bool) -> int:
    """The last verdicts; exit 1 when a shop is not entitled."""
    with opened() as house:
        only = chosen(house, tenant).id if tenant else None
        known = house.database.system("operator").read(Store.BOOKS, entitlements.all)
        on = house.billing is not None
    found = [_told(item) for item in known if only in (None, item.tenant)]
    if as_json:
        say_json({"on": on, "shops": found})
    else:
        if not on:
            typer.echo("billing is off: no Partner API client is set")
        for item in found:
            typer.echo(f"{item['tenant']:20} {item['kind']:14} {item['sentence']}")
            if item["unread"]:
                typer.echo(f"{'':20} {item['unread']}: the answer is of {item['read_at'] or 'never'}")
            if item["cap_told_at"]:
                typer.echo(f"{'':20} usage came close to its cap on {item['cap_told_at']}")
    return 1 if any(item["kind"] == "not entitled" for item in found) else 0


def _told(known: entitlements.Known) -> dict[str, Any]:
    verdict = known.verdict
    instants = {"until": verdict.until, "read_at": known.read_at, "cap_told_at": known.cap_told_at}
    return {
        "tenant": known.tenant,
        "kind": verdict.kind,
        "sentence": verdict.sentence,
        "plan": verdict.plan,
        "orders_over": verdict.over,
        "unread": known.unread,
        **{name: None if at is None else at.isoformat() for name, at in instants.items()},
    }


def charge(tenant: str | None, period: str, what: str, amount: str, currency: str, description: str) -> int:
    """Charge usage of a period; a second time nothing is charged."""
    try:
        price = Price(Decimal(amount), currency)
    except InvalidOperation:
        raise UsageError("OPTIONS", "--amount is a number such as 12.35") from None
    with opened() as house:
        if house.billing is None:
            raise UsageError("SETTING", "not set: LADENBUCH_PARTNER_TOKEN")
        owner = chosen(house, tenant)
        made = house.billing.charge(owner.id, period, what, price, description)
    typer.echo(f"{owner.id}: {price.amount:.2f} {price.currency} for {what} of {period}: {made}")
    return 0
