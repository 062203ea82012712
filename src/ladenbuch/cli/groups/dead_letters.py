"""What gave up: what can be typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="What gave up after its last attempt: why, and what becomes of it.")


Kind = Annotated[Literal["order", "letter", "event"] | None, typer.Option(help="Only of this kind.")]


CodeOption = Annotated[str | None, typer.Option("--code", help="Only what ended with this code.")]


Older = Annotated[str | None, typer.Option("--older-than", help="Only what gave up longer ago: 90m, 12h, 3d.")]


Newer = Annotated[str | None, typer.Option("--newer-than", help="Only what gave up since: 90m, 12h, 3d.")]


Ids = Annotated[list[str] | None, typer.Argument(help="Ids as `list` prints them: order:4711, letter:…, event:…")]


Everything = Annotated[bool, typer.Option("--all", help="All there are.")]


Preview = Annotated[bool, typer.Option("--preview", help="Only say what would happen.")]


As = Annotated[str | None, typer.Option("--as", help="Who does it; default: the user of this machine.")]


@group.command("list")
def dead_letters_list(
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    state: Annotated[
        Literal["open", "trying", "redriven", "settled", "dropped", "all"],
        typer.Option(help="open: given up; trying: keeps failing, and is still tried."),
    ] = "open",
    as_json: Json = False,
) -> None:
    """What gave up, newest first; exit 1 while anything is open."""
    from ladenbuch.cli.dead_letters import Filter, show_all

    raise typer.Exit(show_all(Filter(tenant, kind, code, older_than, newer_than), state, as_json=as_json))


@group.command("show")
def dead_letters_show(
    id: Annotated[str, typer.Argument(help="As `list` prints it.")], tenant: TenantOption = None, as_json: Json = False
) -> None:
    """One of them: why, its last failures, what was done about it."""
    from ladenbuch.cli.dead_letters import show_one

    raise typer.Exit(show_one(id, tenant, as_json=as_json))


@group.command("annotate")
def dead_letters_annotate(
    id: Annotated[str, typer.Argument(help="As `list` prints it.")],
    note: Annotated[str, typer.Option(help="What others should know; it stays, and is in the audit log.")],
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Keep a remark with one of them."""
    from ladenbuch.cli.dead_letters import remark

    raise typer.Exit(remark(id, note, tenant, actor, as_json=as_json))


@group.command("redrive")
def dead_letters_redrive(
    ids: Ids = None,
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    everything: Everything = False,
    rate: Annotated[int | None, typer.Option(min=1, max=6000, help="At most so many a minute.")] = None,
    preview: Preview = False,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Try them again, with fresh patience; a running `serve` does it. Exit 1 when there was none, or some stay."""
    from ladenbuch.cli.dead_letters import Filter, redrive_all

    which = Filter(tenant, kind, code, older_than, newer_than, ids=tuple(ids or ()), everything=everything)
    raise typer.Exit(redrive_all(which, rate, actor, preview=preview, as_json=as_json))


@group.command("drop")
def dead_letters_drop(
    reason: Annotated[str, typer.Option(help="Why nothing more is done; it stays, and is in the audit log.")],
    ids: Ids = None,
    tenant: TenantOption = None,
    kind: Kind = None,
    code: CodeOption = None,
    older_than: Older = None,
    newer_than: Newer = None,
    everything: Everything = False,
    preview: Preview = False,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Give them up for good, with a reason. A new change of the order is looked at all the same."""
    from ladenbuch.cli.dead_letters import Filter, drop_all

    which = Filter(tenant, kind, code, older_than, newer_than, ids=tuple(ids or ()), everything=everything)
    raise typer.Exit(drop_all(which, reason, actor, preview=preview, as_json=as_json))
