"""Years of orders taken over: what can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, Since, TenantOption, Until

group = typer.Typer(help="Years of orders: planned from an export, then taken over behind live traffic.")


BackfillId = Annotated[str | None, typer.Option("--backfill", help="Its id; default: the newest.")]


@group.command("plan")
def backfill_plan(
    since: Since = None,
    until: Until = None,
    move_cut_off: Annotated[
        bool, typer.Option("--move-cut-off", help="Plan what lies before the cut-off too; starting moves it.")
    ] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Plan a period of any length from an export; nothing is posted. Goes on after a kill. Exit 1: needs a person."""
    from ladenbuch.cli.backfilling import plan

    raise typer.Exit(plan(tenant, since, until, move_cut_off=move_cut_off, as_json=as_json))


@group.command("start")
def backfill_start(
    without_changed: Annotated[
        bool, typer.Option("--without-changed", help="Leave orders that changed since to live traffic.")
    ] = False,
    beside_others: Annotated[
        bool, typer.Option("--beside-others", help="Although others wrote invoices in that time: they are other sales.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    backfill_id: BackfillId = None,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Begin to take over what was planned; a stale plan is refused (exit 1). A running `serve` settles the orders."""
    from ladenbuch.cli.backfilling import start

    kept = {"without_changed": without_changed, "beside_others": beside_others}
    raise typer.Exit(start(tenant, backfill_id, **kept, yes=yes, as_json=as_json))


@group.command("status")
def backfill_status(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """How far it is and when it will be done. Exit 1 when it stopped by itself or orders are stuck."""
    from ladenbuch.cli.backfilling import status

    raise typer.Exit(status(tenant, backfill_id, as_json=as_json))


@group.command("pause")
def backfill_pause(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Begin with no further order; those under way end."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "pause", as_json=as_json))


@group.command("resume")
def backfill_resume(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Go on after a pause; refused when the profile changed meanwhile (exit 1)."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "resume", as_json=as_json))


@group.command("cancel")
def backfill_cancel(backfill_id: BackfillId = None, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Begin with no further order, for good; what was posted stays."""
    from ladenbuch.cli.backfilling import move

    raise typer.Exit(move(tenant, backfill_id, "cancel", as_json=as_json))


@group.command("report")
def backfill_report(
    form: Annotated[
        Literal["json", "csv", "markdown"], typer.Option("--format", help="CSV lists every order.")
    ] = "json",
    out: Annotated[Path | None, typer.Option(help="Into this file instead of standard output.")] = None,
    backfill_id: BackfillId = None,
    tenant: TenantOption = None,
) -> None:
    """Everything about it: sums per month and rate, what came of each order. Exit 1 as `status`."""
    from ladenbuch.cli.backfilling import report

    raise typer.Exit(report(tenant, backfill_id, form, out))
