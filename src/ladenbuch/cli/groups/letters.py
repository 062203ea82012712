"""Letters: what can be typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="Letters: what they look like, those nobody is sure of, how many arrive, and what came back.")

Key = Annotated[str, typer.Argument(help="The letter as `doubtful` prints it.")]
Words = Annotated[Literal["de", "en"], typer.Option(help="Whose words.")]
As = Annotated[str | None, typer.Option("--as", help="Who says so; default: the user of this machine.")]


@group.command("doubtful")
def letters_doubtful(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Letters a relay may have or not (LETTER-UNCERTAIN), the oldest first; exit 1 while there are any."""
    from ladenbuch.cli.letters import show_doubtful

    raise typer.Exit(show_doubtful(tenant, as_json=as_json))


@group.command("arrived")
def letters_arrived(key: Key, tenant: TenantOption = None, actor: As = None, as_json: Json = False) -> None:
    """Say that a doubtful letter arrived: the relay's log has it, or its reader."""
    from ladenbuch.cli.letters import say_arrived

    raise typer.Exit(say_arrived(key, tenant, actor, as_json=as_json))


@group.command("send")
def letters_send(key: Key, tenant: TenantOption = None, actor: As = None, as_json: Json = False) -> None:
    """Send a doubtful letter after all, under the same Message-ID; it may arrive twice."""
    from ladenbuch.cli.letters import send_again

    raise typer.Exit(send_again(key, tenant, actor, as_json=as_json))


@group.command("rate")
def letters_rate(tenant: TenantOption = None, as_json: Json = False) -> None:
    """How many letters of the last 30 days arrived, of each shop; exit 1 when fewer than 99 % did."""
    from ladenbuch.cli.delivery import show_rates

    raise typer.Exit(show_rates(tenant, as_json=as_json))


@group.command("bounce")
def letters_bounce(as_json: Json = False) -> None:
    """Take a message of the bounce mailbox (RFC 3464, or a complaint in ARF) from standard input.

    For relays that speak SMTP alone. Exit 1 when it says nothing of a letter of ours.
    """
    from ladenbuch.cli.delivery import take_bounce

    raise typer.Exit(take_bounce(as_json=as_json))


@group.command("preview")
def letters_preview(
    name: Annotated[str | None, typer.Argument(help="invoice, reminder1 …; without it the names are listed.")] = None,
    tenant: TenantOption = None,
    language: Words = "de",
    form: Annotated[Literal["text", "html", "eml"], typer.Option(help="What to print.")] = "text",
    as_json: Json = False,
) -> None:
    """An invented letter in the tenant's own branding and words. Nothing is sent."""
    from ladenbuch.cli.sampling import show

    raise typer.Exit(show(name, tenant, language, form, as_json=as_json))


@group.command("test")
def letters_test(
    name: Annotated[str, typer.Argument(help="As `preview` lists them.")],
    to: Annotated[str, typer.Option(help="Your own address.")],
    tenant: TenantOption = None,
    language: Words = "de",
    as_json: Json = False,
) -> None:
    """Send an invented letter to yourself, marked as a test, through the relays real letters leave by."""
    from ladenbuch.cli.sampling import send

    raise typer.Exit(send(name, to, tenant, language, as_json=as_json))
