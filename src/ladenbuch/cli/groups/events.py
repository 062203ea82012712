"""Events for other tools, and what is written back to the shop: what can be typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ladenbuch.cli.options import Json, TenantOption

group = typer.Typer(help="Events for other tools: who hears of what, and what became of each.")

Id = Annotated[str, typer.Argument(help="The receiver, as `receivers` prints it.")]
As = Annotated[str | None, typer.Option("--as", help="Who does it; default: the user of this machine.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only events of this name (`events names`).")]
Order = Annotated[str | None, typer.Option("--order", help="Only those about this order: its name or its gid.")]
Newer = Annotated[str | None, typer.Option("--newer-than", help="Only what happened since: 90m, 12h, 3d.")]
Older = Annotated[str | None, typer.Option("--older-than", help="Only what happened longer ago: 90m, 12h, 3d.")]


@group.command("names")
def events_names(as_json: Json = False) -> None:
    """The events there are, and when each is told."""
    from ladenbuch.cli.events import names

    names(as_json=as_json)


@group.command("receivers")
def events_receivers(tenant: TenantOption = None, as_json: Json = False) -> None:
    """Who hears of events, how each behaves, what waits for it; exit 1 while one fails or is switched off."""
    from ladenbuch.cli.events import receivers

    raise typer.Exit(receivers(tenant, as_json=as_json))


@group.command("add")
def events_add(
    url: Annotated[str, typer.Argument(help="https://…; read from standard input where it is left out.")] = "-",
    tell: Annotated[list[str] | None, typer.Option("--tell", help="An event; again for more. Default: all.")] = None,
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Name a receiver; the secret that signs for it is printed this once."""
    from ladenbuch.cli.events import add

    add(url, tell or [], tenant, actor, as_json=as_json)


@group.command("rotate")
def events_rotate(
    id: Id,
    at_once: Annotated[bool, typer.Option("--at-once", help="The old secret is void now, not in a day.")] = False,
    tenant: TenantOption = None,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """A new secret for a receiver, printed this once; the old one signs beside it for a day."""
    from ladenbuch.cli.events import rotate

    rotate(id, tenant, actor, at_once=at_once, as_json=as_json)


@group.command("remove")
def events_remove(id: Id, tenant: TenantOption = None, actor: As = None, as_json: Json = False) -> None:
    """A receiver hears nothing any more; what waited for it goes, too."""
    from ladenbuch.cli.events import remove

    remove(id, tenant, actor, as_json=as_json)


@group.command("on")
def events_on(id: Id, tenant: TenantOption = None, actor: As = None, as_json: Json = False) -> None:
    """Switch a receiver on again; what was held meanwhile is sent by `replay`. Exit 1 when it was on."""
    from ladenbuch.cli.events import switch

    raise typer.Exit(switch(id, tenant, actor, on=True, as_json=as_json))


@group.command("off")
def events_off(id: Id, tenant: TenantOption = None, actor: As = None, as_json: Json = False) -> None:
    """Switch a receiver off: what happens is held for a `replay`. Exit 1 when it was off."""
    from ladenbuch.cli.events import switch

    raise typer.Exit(switch(id, tenant, actor, on=False, as_json=as_json))


@group.command("try")
def events_try(id: Id, tenant: TenantOption = None, as_json: Json = False) -> None:
    """Send a receiver a signed `ping` now, which tells nothing; exit 1 when it does not take it."""
    from ladenbuch.cli.events import try_

    raise typer.Exit(try_(id, tenant, as_json=as_json))


@group.command("list")
def events_list(
    tenant: TenantOption = None,
    receiver: Annotated[str | None, typer.Option("--receiver", help="Only for this one.")] = None,
    state: Annotated[
        Literal["waiting", "delivered", "given_up", "held"] | None, typer.Option(help="Only so far.")
    ] = None,
    kind: Kind = None,
    order: Order = None,
    newer_than: Newer = None,
    older_than: Older = None,
    as_json: Json = False,
) -> None:
    """What was told to whom, and how far it came; exit 1 while anything was given up or is held."""
    from ladenbuch.cli.events import Filter, show_all

    which = Filter(receiver, state, kind, order, newer_than, older_than)
    raise typer.Exit(show_all(which, tenant, as_json=as_json))


@group.command("replay")
def events_replay(
    id: Id,
    events: Annotated[list[str] | None, typer.Argument(help="Ids of events; none: all that are meant.")] = None,
    tenant: TenantOption = None,
    state: Annotated[
        Literal["waiting", "delivered", "given_up", "held"] | None, typer.Option(help="Only so far.")
    ] = None,
    kind: Kind = None,
    order: Order = None,
    newer_than: Newer = None,
    older_than: Older = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is kept.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would be sent.")] = False,
    actor: As = None,
    as_json: Json = False,
) -> None:
    """Send a receiver events once more, with the ids they had; a running `serve` does it. Exit 1 when there is none."""
    from ladenbuch.cli.events import Filter, send_again

    which = Filter(id, state, kind, order, newer_than, older_than, tuple(events or ()), everything)
    raise typer.Exit(send_again(id, which, tenant, actor, preview=preview, as_json=as_json))


@group.command("written")
def events_written(
    order: Order = None,
    again: Annotated[bool, typer.Option("--again", help="With --order: look at it again now.")] = False,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """What could not be written back to the shop, and why, or what is written to one order; exit 1 when anything is
    not."""
    from ladenbuch.cli.events import written

    raise typer.Exit(written(order, tenant, again=again, as_json=as_json))
