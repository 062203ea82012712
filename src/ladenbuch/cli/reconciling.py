"""`ladenbuch reconcile`: shop, books and sevdesk against each other; each difference named, mended where it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ladenbuch import audit, reconciliations, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.certifying import telling
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.period import days_of
from ladenbuch.cli.progress import say
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import UsageError
from ladenbuch.web.reconciled import sentence_of, standing_of, title_of

if TYPE_CHECKING:
    from rich.console import Console

    from ladenbuch.domain.reconciling import Report


def reconcile(
    tenant: str | None, since: str | None, until: str | None, *, fix: bool, wait: float, as_json: bool
) -> int:
    """Look at a period, by default the open one; exit 1 when anything was found that is not mended.

    `fix`: what was seen at least a quarter of an hour ago is mended where it may be; a running `ladenbuch serve` does
    the work, waited for `wait` seconds.
    """
    from ladenbuch.workflows.reconcile import reconcile as look
    from ladenbuch.workflows.reconcile_turns import open_period

    if (since is None) != (until is None):
        raise UsageError("OPTIONS", "give --since and --until, or neither for the open period")
    period = None if since is None else days_of(since, until)
    with opened() as house:
        owner = chosen(house, tenant)
        _may(house, owner)
        first, last = period or open_period(house.context, owner.id)
        made = look(house.context, owner.id, first, last, fix=fix, wait=wait, told=telling())
    if as_json:
        say_json(made.as_json())
    else:
        _show(made, fix=fix)
    return 0 if made.status in ("CONSISTENT", "RECONCILED") else 1


def accept(tenant: str | None, mark: str, why: str) -> int:
    """Remember that a difference may stay as it is, and why; it is told no more."""
    with opened() as house:
        owner = chosen(house, tenant)
        now = house.context.clock()

        def write(tx: Transaction) -> bool:
            known = reconciliations.accept(tx, owner.id, mark, why)
            if known:
                said, event = f"{mark} may stay as it is: {why}.", "reconcile.accepted"
                audit.append(tx, owner.id, now, actor="operator", event=event, subject=mark, sentence=said)
            return known

        if not house.database.tenant(owner.id).run(Store.BOOKS, write):
            raise UsageError("MARK", f"nothing of the mark {mark!r} was seen; `ladenbuch reconcile --json` names them")
    say(f"{mark} is accepted")
    return 0


def _may(house: Ladenbuch, owner: tenants.Tenant) -> None:
    if owner.state in ("uninstalled", "redacted"):
        raise UsageError("TENANT", f"{owner.id} is {owner.state}: nothing of it is read any more")


def _show(made: Report, *, fix: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    colour = {"CONSISTENT": "green", "RECONCILED": "green"}.get(made.status, "red")
    period = "" if made.since is None else f"  {made.since} until before {made.until}"
    console.print(f"[bold]{made.tenant}[/bold]{period}  [bold {colour}]{made.status}[/]")
    console.print(
        f"  {made.orders:,} orders and {made.documents:,} documents compared: {made.found:,} differences, "
        f"{made.fixed:,} mended"
    )
    _items(console, made)
    if any(item.state in ("seen", "confirmed") for item in made.items):
        hint = "nothing is mended on one sighting: look again in a quarter of an hour"
        say(hint if fix else f"{hint}, with --fix")


def _items(console: Console, made: Report) -> None:
    from rich.markup import escape

    last = ""
    for item in made.items:
        one = item.discrepancy
        if one.sort != last:
            console.print(f"[bold]{title_of('en', one.sort)}[/bold]")
            last = one.sort
        named = " ".join(part for part in (one.order_name, one.document) if part) or one.order_id or ""
        console.print(f"  {escape(named)}: {escape(sentence_of('en', one))} [{standing_of('en', item)}]")
