"""Addresses that get no letters: what can be typed."""

from __future__ import annotations

from typing import Annotated

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="Addresses that get no letters: after complaints and bounces, or by hand.")
As = Annotated[str | None, typer.Option("--as", help="Who does it; default: the user of this machine.")]


@group.command("list")
def suppressions_list(
    address: Annotated[bool, typer.Option("--address", help="Look for one address, read from standard input.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """The list of a shop, newest first. Addresses stand on it as keyed hashes; one can be looked for."""
    from ladenbuch.cli.delivery import show_list

    raise typer.Exit(show_list(tenant, look_for=address, as_json=as_json))


@group.command("add")
def suppressions_add(
    note: Annotated[str, typer.Option(help="Why; it stays, and is in the audit log.")],
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Put an address, read from standard input, on a shop's list. Exit 1 when it is on it."""
    from ladenbuch.cli.delivery import put

    raise typer.Exit(put(tenant, note, actor, as_json=as_json))


@group.command("remove")
def suppressions_remove(
    note: Annotated[str, typer.Option(help="Why; it stays, and is in the audit log.")],
    send: Annotated[bool, typer.Option("--send", help="Send what was not sent to it.")] = False,
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Take an address, read from standard input, off a shop's list. Exit 1 when it is not on it."""
    from ladenbuch.cli.delivery import take_off

    raise typer.Exit(take_off(tenant, note, actor, send=send, as_json=as_json))
