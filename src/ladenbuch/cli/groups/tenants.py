"""Shops, from the first to the last: what can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ladenbuch.cli.options import Json, LanguageOption, Yes

group = typer.Typer(help="Shops and the sevdesk accounts their books are kept in.", no_args_is_help=True)


@group.command("add")
def tenants_add(
    shop: Annotated[str, typer.Option(help="The shop's myshopify.com domain.")],
    profile: Annotated[Path, typer.Option(help="Accounting profile (JSON).")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Tenant id; default: the shop's handle.")] = None,
    cut_off: Annotated[
        str | None, typer.Option(help="Nothing before this instant is documented; default: now.")
    ] = None,
    create_accounts: Annotated[bool, typer.Option(help="Create missing clearing accounts in sevdesk.")] = False,
    as_json: Json = False,
) -> None:
    """Add a shop. Secrets come from standard input as JSON, or from LADENBUCH_TENANT_… variables."""
    from ladenbuch.cli.adding import add_tenant

    raise typer.Exit(add_tenant(shop, profile, tenant, cut_off, create_accounts=create_accounts, as_json=as_json))


@group.command("list")
def tenants_list(as_json: Json = False) -> None:
    """All tenants and their state."""
    from ladenbuch.cli.admin import list_tenants

    raise typer.Exit(list_tenants(as_json=as_json))


@group.command("live")
def tenants_live(
    tenant: str,
    off: Annotated[bool, typer.Option("--off", help="Back to drafts only.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Although something is missing; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, with --force; kept in the audit log.")] = None,
    language: LanguageOption = "en",
    as_json: Json = False,
) -> None:
    """Let a tenant finalise invoices and send letters, once nothing is missing; until then everything stays a draft."""
    from ladenbuch.cli.admin import set_live
    from ladenbuch.errors import UsageError

    if force != bool(reason and reason.strip()) or (off and force):
        raise UsageError("OPTIONS", "--force and --reason TEXT go together, and never with --off")
    raise typer.Exit(set_live(tenant, reason, language, live=not off, as_json=as_json))


@group.command("test")
def tenants_test(tenant: str, language: LanguageOption = "en", as_json: Json = False) -> None:
    """Try both connections with harmless reads: what works, what is missing. Exit 1: act; 3: no answer."""
    from ladenbuch.cli.doctor import try_both

    raise typer.Exit(try_both(tenant, language, as_json=as_json))


@group.command("sevdesk")
def tenants_sevdesk(tenant: str, as_json: Json = False) -> None:
    """Try a new sevdesk token, and keep it. From standard input as JSON, or LADENBUCH_TENANT_SEVDESK_TOKEN."""
    from ladenbuch.cli.adding import connect_sevdesk

    raise typer.Exit(connect_sevdesk(tenant, as_json=as_json))


@group.command("configure")
def tenants_configure(
    tenant: str,
    profile: Annotated[Path | None, typer.Option(help="Accounting profile (JSON), if there is none yet.")] = None,
    create_accounts: Annotated[bool, typer.Option(help="Create missing clearing accounts in sevdesk.")] = False,
    as_json: Json = False,
) -> None:
    """Bring what an installed shop is missing; secrets as with `tenants add`. Exit 1 while something still is."""
    from ladenbuch.cli.life import configure

    raise typer.Exit(configure(tenant, profile, create_accounts=create_accounts, as_json=as_json))


@group.command("suspend")
def tenants_suspend(tenant: str, reason: Annotated[str, typer.Option(help="Why, for the audit log.")]) -> None:
    """Read and write nothing for a tenant; its webhooks wait until `resume`."""
    from ladenbuch.cli.life import suspend

    raise typer.Exit(suspend(tenant, reason))


@group.command("resume")
def tenants_resume(tenant: str) -> None:
    """Let a suspended tenant work again. Exit 1 while something is missing."""
    from ladenbuch.cli.life import resume

    raise typer.Exit(resume(tenant))


@group.command("uninstall")
def tenants_uninstall(tenant: str, yes: Yes = False) -> None:
    """Delete a shop's tokens and end its work, as Shopify's app/uninstalled does; the books are kept."""
    from ladenbuch.cli.life import uninstall

    raise typer.Exit(uninstall(tenant, yes=yes))


@group.command("export")
def tenants_export(
    tenant: str, to: Annotated[Path, typer.Option("--to", help="The file to write (zip).")], as_json: Json = False
) -> None:
    """Write everything that is held of a tenant into one file, readable; secrets are left out."""
    from ladenbuch.cli.life import export

    raise typer.Exit(export(tenant, to, as_json=as_json))


@group.command("delete")
def tenants_delete(
    tenant: str,
    export: Annotated[Path | None, typer.Option(help="The export that was made of it; checked first.")] = None,
    without_export: Annotated[bool, typer.Option("--without-export", help="There is none, and that is meant.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase an uninstalled tenant from every table, with a proof that nothing is left. Exit 1 when something is."""
    from ladenbuch.cli.life import delete

    raise typer.Exit(delete(tenant, export=export, without_export=without_export, yes=yes, as_json=as_json))


@group.command("erased")
def tenants_erased(as_json: Json = False) -> None:
    """The proofs of what was erased: of whom, when, by whom, how many rows of which table."""
    from ladenbuch.cli.life import list_erased

    list_erased(as_json=as_json)


@group.command("profile")
def tenants_profile(
    tenant: str,
    file: Annotated[
        Path | None, typer.Option("--file", help="The new version (JSON); without it, the one in force.")
    ] = None,
    effective_from: Annotated[str | None, typer.Option(help="A date or an instant; default: now.")] = None,
    back_dated: Annotated[bool, typer.Option("--back-dated", help="Allow a date in the past.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show the effect, store nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """The accounting profile; or a new version of it, stored once its effect on every order was seen."""
    from ladenbuch.cli.profiles import change_profile, show_profile
    from ladenbuch.errors import UsageError

    if file is None:
        if effective_from or back_dated or preview or yes:
            raise UsageError("OPTIONS", "these options go with --file FILE")
        raise typer.Exit(show_profile(tenant, as_json=as_json))
    raise typer.Exit(
        change_profile(tenant, file, effective_from, back_dated=back_dated, preview=preview, yes=yes, as_json=as_json)
    )
