"""`ladenbuch privacy requests|answer|holds|inventory`: what buyers and merchants asked, and what is kept how long."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from ladenbuch import privacy
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json, writable, write_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.workflows.inventory import inventory, page
from ladenbuch.workflows.privacy import fetch
from ladenbuch.workflows.rotation import before_data_keys

_STATES = {
    "open": "waits to be fetched",
    "answered": "answered",
    "lapsed": "NEVER FETCHED, deleted",
    "done": "done",
    "refused": "REFUSED",
}


def list_requests(tenant: str | None, *, as_json: bool) -> int:
    """All requests, what is due first on top; exit 1 while one waits for somebody."""
    with opened() as house:
        owner = None if tenant is None else chosen(house, tenant).id
        found = house.database.system("operator").read(Store.BOOKS, lambda tx: privacy.requests(tx, owner))
    now = utc_now()
    waiting = [one for one in found if one.state == "open"]
    if as_json:
        rows = [_shown(one) | {"days_left": (one.due_at - now).days if one.state == "open" else None} for one in found]
        say_json({"requests": rows})
        return 1 if waiting else 0
    if not found:
        typer.echo("nobody asked for anything")
    for one in found:
        left = f", {(one.due_at - now).days} days left (until {one.due_at:%Y-%m-%d})" if one.state == "open" else ""
        typer.echo(f"{one.id:24} {one.tenant:16} {one.kind:24} {one.received_at:%Y-%m-%d}  {_STATES[one.state]}{left}")
        if one.note:
            typer.echo(f"    {one.note}")
    return 1 if waiting else 0


def check_privacy(house: Ladenbuch, tenant: str, check: Callable[[str, bool, str, str], None]) -> None:
    """For the doctor: answers that wait to be fetched, and rows that forgetting a buyer does not reach."""
    found = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: privacy.requests(tx, tenant))
    waiting = [one.due_at for one in found if one.waits]
    if waiting:  # an alarm says so when it is urgent
        count, until = len(waiting), f"{min(waiting):%Y-%m-%d}"
        english = f"answers that wait to be fetched: {count}, the first until {until}: ladenbuch privacy requests"
        german = f"Auskünfte, die auf Abholung warten: {count}, die erste bis {until}: ladenbuch privacy requests"
        check(f"{tenant}: data requests", True, english, german)
    rows = before_data_keys(house.database, tenant)
    if rows:
        english = (
            f"{rows} rows hang on a key of LADENBUCH_KEYS itself: no buyer of theirs can be forgotten in a backup "
            "while that key exists; ladenbuch keys rotate"
        )
        german = (
            f"{rows} Zeilen hängen unmittelbar an einem Schlüssel aus LADENBUCH_KEYS: In einer Sicherung ist ihr "
            "Käufer nicht zu vergessen, solange es ihn gibt; ladenbuch keys rotate"
        )
        check(f"{tenant}: forgetting", False, english, german)


def _shown(one: privacy.Request) -> dict[str, Any]:
    return {
        "id": one.id,
        "tenant": one.tenant,
        "kind": one.kind,
        "state": one.state,
        "received_at": one.received_at.isoformat(),
        "due_at": one.due_at.isoformat(),
        "done_at": None if one.done_at is None else one.done_at.isoformat(),
        "orders": one.orders,
        "note": one.note,
    }


def answer(request: str, to: Path, tenant: str | None) -> int:
    """Write the answer to a data request into a file only its owner can read, and note that it was fetched."""
    writable(to)
    if to.exists():
        raise UsageError("FILE", f"{to} exists; an answer is never written over something")
    with opened() as house:
        owner = None if tenant is None else chosen(house, tenant).id
        known = house.database.system("operator").read(Store.BOOKS, lambda tx: privacy.requests(tx, owner))
        mine = [one.tenant for one in known if one.id == request]
        if len(mine) != 1:
            raise UsageError("PRIVACY-REQUEST", f"{len(mine)} requests are called {request}; name one with --tenant")
        try:
            write_json(to, fetch(house.context, mine[0], request, by=getpass.getuser(), done=False))
            fetch(house.context, mine[0], request, by=getpass.getuser())  # noted once the file is there
        except Rejected as refusal:
            raise UsageError(refusal.code, refusal.message) from None
    typer.echo(f"{to}: everything we hold of this customer; give it to the merchant, and delete the file afterwards")
    return 0


def list_holds(tenant: str | None, *, as_json: bool) -> int:
    """What is kept of forgotten buyers, until when, by which law."""
    with opened() as house:
        owner = None if tenant is None else chosen(house, tenant).id
        found = house.database.system("operator").read(Store.BOOKS, lambda tx: privacy.on_hold(tx, owner))
    if as_json:
        rows = [
            {"tenant": one.tenant, "kind": one.kind, "subject": one.subject, "until": str(one.until), "why": one.why}
            for one in found
        ]
        say_json({"holds": rows})
        return 0
    for one in found:
        typer.echo(f"{one.until}  {one.tenant:16} {one.kind:10} {one.subject}  {one.why}")
    if not found:
        typer.echo("nothing is held")
    return 0


def show_inventory(*, as_json: bool) -> None:
    """The data inventory, generated from the schema; no settings and no stores are needed."""
    if as_json:
        say_json({"columns": [asdict(column) for column in inventory()]})
    else:
        typer.echo(page(), nl=False)
