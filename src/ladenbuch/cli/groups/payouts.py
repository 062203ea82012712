"""Payouts: what can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, Since, TenantOption, Until

group = typer.Typer(help="What payment providers paid out, and both balances day by day.")

GatewayOption = Annotated[str, typer.Option("--gateway", help="The gateway, as Shopify names it.")]


@group.command("list")
def payouts_list(
    gateway: GatewayOption = "shopify_payments",
    since: Since = None,
    until: Until = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """The payouts, by the day they were issued. Nothing is fetched."""
    from ladenbuch.cli.paying_out import listed

    raise typer.Exit(listed(tenant, gateway, since, until, as_json=as_json))


@group.command("show")
def payouts_show(
    payout: Annotated[str | None, typer.Argument(help="Its number, or the trace in the bank's purpose.")] = None,
    amount: Annotated[str | None, typer.Option(help="Of the bank's line instead, e.g. 1204.17.")] = None,
    day: Annotated[str | None, typer.Option(help="Of the bank's line (YYYY-MM-DD).")] = None,
    gateway: GatewayOption = "shopify_payments",
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """A payout, or the bank line it is, down to orders and documents. Exit 1 when it is not the sum of its parts."""
    from ladenbuch.cli.paying_out import show

    raise typer.Exit(show(tenant, gateway, payout, amount, day, as_json=as_json))


@group.command("balance")
def payouts_balance(
    gateway: GatewayOption = "shopify_payments",
    since: Since = None,
    until: Until = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """The account against the provider's balance, day by day; by default as last compared. Exit 1 when a day is open.

    With --since and --until those days are compared anew, with what is known of them.
    """
    from ladenbuch.cli.paying_out import balance

    raise typer.Exit(balance(tenant, gateway, since, until, as_json=as_json))


@group.command("import")
def payouts_import(
    file: Annotated[Path, typer.Argument(help="The settlement report, as the provider gives it.")],
    amount: Annotated[str, typer.Option(help="Of the bank's line: the report must add up to it.")],
    paid_on: Annotated[str, typer.Option("--paid-on", help="The day of the bank's line (YYYY-MM-DD).")],
    gateway: Annotated[Literal["klarna"], typer.Option("--gateway", help="Whose report it is.")] = "klarna",
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Take over what a provider settled, then write and compare as `look` does. The same file again changes nothing."""
    from ladenbuch.cli.paying_out import take_report

    raise typer.Exit(take_report(tenant, gateway, file, amount, paid_on, as_json=as_json))


@group.command("look")
def payouts_look(
    gateway: GatewayOption = "shopify_payments", tenant: TenantOption = None, as_json: Json = False
) -> None:
    """Ask the provider now, write what is missing, compare. Exit 1 when something needs a person."""
    from ladenbuch.cli.paying_out import look_now

    raise typer.Exit(look_now(tenant, gateway, as_json=as_json))
