"""Money back: what can be typed."""

from __future__ import annotations

from typing import Annotated

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="Transfers on the merchant's bank accounts: whose they are, and who is overdue.")

Line = Annotated[str, typer.Argument(help="The line's id in sevdesk, as `list` prints it.")]
Order = Annotated[str, typer.Argument(help="The order it is for, as the shop names it: #1001.")]
As = Annotated[str | None, typer.Option("--as", help="Who says so; default: the user of this machine.")]


@group.command("list")
def money_back_list(
    tenant: TenantOption = None,
    every: Annotated[bool, typer.Option("--all", help="Those that are settled, too.")] = False,
    as_json: Json = False,
) -> None:
    """Transfers nobody is sure of, and money nothing says the order of; exit 1 while there are any."""
    from ladenbuch.cli.money_back import show_lines

    raise typer.Exit(show_lines(tenant, every=every, as_json=as_json))


@group.command("look")
def money_back_look(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Look at all lines of the last two months now; a running `ladenbuch serve` settles what is found."""
    from ladenbuch.cli.money_back import look_now

    raise typer.Exit(look_now(tenant, as_json=as_json))


@group.command("assign")
def money_back_assign(
    line: Line, order: Order, tenant: TenantOption = None, actor: As = None, as_json: Json = False
) -> None:
    """Say which order a transfer is for; the shop is told, and the line pays its invoice."""
    from ladenbuch.cli.money_back import assign

    raise typer.Exit(assign(line, order, tenant, actor, as_json=as_json))


@group.command("overdue")
def money_back_overdue(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Orders that wait for money: what they owe, since when, why nobody is reminded; exit 1 when one is overdue."""
    from ladenbuch.cli.money_back import show_overdue

    raise typer.Exit(show_overdue(tenant, as_json=as_json))
