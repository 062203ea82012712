"""What Shopify tells us of: what can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="What Shopify tells us of: the app's configuration file, and a shop's subscriptions.")


Registered = Annotated[
    Literal["app", "shop"] | None,
    typer.Option(help="By the app's configuration file or in each shop; default: in the shop for a tenant's own app."),
]


@group.command("toml")
def webhooks_toml(
    tenant: Annotated[str | None, typer.Option("--tenant", help="A tenant that brings its own app.")] = None,
    name: Annotated[str, typer.Option(help="The app's name, at most 30 characters.")] = "Ladenbuch",
    kind: Registered = None,
    embedded: Annotated[bool, typer.Option("--embedded", help="The app opens inside Shopify's admin.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it here instead of standard output.")] = None,
) -> None:
    """The app's configuration file (shopify.app.toml), for `shopify app deploy`; the only way to the privacy topics."""
    from ladenbuch.cli.webhooks import write_toml

    raise typer.Exit(write_toml(tenant, name, out, kind, embedded=embedded))


@group.command("ensure")
def webhooks_ensure(tenant: TenantOption = None, kind: Registered = None, as_json: Json = False) -> None:
    """Make a shop's subscriptions the wanted ones; a second time changes nothing. Exit 1 when Shopify refuses some."""
    from ladenbuch.cli.webhooks import ensure

    raise typer.Exit(ensure(tenant, kind, as_json=as_json))


@group.command("audit")
def webhooks_audit(
    tenant: TenantOption = None,
    kind: Registered = None,
    file: Annotated[Path | None, typer.Option(help="Also compare this deployed shopify.app.toml.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs in the shop.")] = False,
    as_json: Json = False,
) -> None:
    """Compare a shop's subscriptions with the wanted ones; exit 1 while something differs."""
    from ladenbuch.cli.webhooks import audit as examine

    raise typer.Exit(examine(tenant, kind, file, repair=repair, as_json=as_json))


@group.command("report")
def webhooks_report(
    days: Annotated[int, typer.Option(min=1, max=60, help="How far back; bodies are kept LADENBUCH_INBOX_DAYS.")] = 30,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What Shopify delivered, how late, by topic, and how many changes of orders nothing told of."""
    from ladenbuch.cli.webhooks import report

    raise typer.Exit(report(tenant, days, as_json=as_json))


@group.command("lint")
def webhooks_lint(
    file: Annotated[Path, typer.Argument(help="An app's configuration file.")] = Path("shopify.app.toml"),
    as_json: Json = False,
) -> None:
    """What is wrong with a configuration file, before Shopify refuses it or loses deliveries. Exit 1 on an error."""
    from ladenbuch.cli.webhooks import lint_file

    raise typer.Exit(lint_file(file, as_json=as_json))
