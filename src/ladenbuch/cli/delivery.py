"""`ladenbuch letters rate`, `letters bounce` and `suppressions`: what became of letters, and who gets none.

Addresses are read from standard input, so that they stand in no list of processes and no shell's history.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import typer

from ladenbuch import suppressions, tenants
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.resolving import _who
from ladenbuch.db import Store
from ladenbuch.domain.delivery_rate import Rate, percent
from ladenbuch.errors import LadenbuchError, UsageError
from ladenbuch.mail.addresses import mailbox
from ladenbuch.mail.feedback.dsn import LONGEST
from ladenbuch.workflows import feedback, suppressing
from ladenbuch.workflows.delivering import rate_in

_LONGEST_ADDRESS = 320
_WORDS = {
    "delivered": "delivered",
    "presumed": "accepted, and not sent back for two days",
    "complained": "delivered, and called spam",
    "bounced": "bounced",
    "suppressed": "not sent: the address is on the list",
    "failed": "refused for good",
    "uncertain": "uncertain",
    "silent": "accepted, and nothing told for two days",
    "late": "not sent for two days",
    "under_way": "under way",
    "withdrawn": "withdrawn: the buyer was erased, or its cause ended",
    "invalid": "of these, to invalid addresses",
}


def show_rates(tenant: str | None, *, as_json: bool) -> int:
    """The figures of one shop or of all; exit 1 when one is low."""
    with opened() as house:
        now = house.context.clock()
        owners = [chosen(house, tenant)] if tenant else _all(house)
        found = {
            owner.id: house.database.tenant(owner.id).read(
                Store.BOOKS, lambda tx, id=owner.id: rate_in(tx, id, now, house.context.telling)  # type: ignore[misc]
            )
            for owner in owners
        }  # fmt: skip
    if as_json:
        say_json({"tenants": [{"tenant": name, **as_figures(one)} for name, one in found.items()]})
    else:
        for name, one in found.items():
            _show(name, one)
    return 1 if any(one.low for one in found.values()) else 0


def as_figures(one: Rate) -> dict[str, Any]:
    """The figures with both rates, in percent with two decimals (None: nothing is judged yet)."""
    rates = {"rate_percent": one.rate, "valid_rate_percent": one.of_valid}
    told: dict[str, Any] = {name: None if value is None else percent(value) for name, value in rates.items()}
    sums = {"promised": one.promised, "judged": one.judged, "arrived": one.arrived, "lost": one.lost, "low": one.low}
    return told | sums | asdict(one)


def _all(house: Any) -> list[tenants.Tenant]:
    known: list[tenants.Tenant] = house.database.system("operator").read(Store.BOOKS, tenants.all)
    return [owner for owner in known if owner.state != "redacted"]


def _show(name: str, one: Rate) -> None:
    if not one.promised:
        typer.echo(f"{name}: no letters in the last 30 days")
        return
    typer.echo(
        f"{name}: {one.arrived} of {one.judged} letters of the last 30 days arrived: {percent(one.rate)} %, "
        f"without invalid addresses {percent(one.of_valid)} %{'  LETTERS-LOST' if one.low else ''}"
    )
    for field, number in asdict(one).items():
        if number:
            typer.echo(f"  {number:>8}  {_WORDS[field]}")


def take_bounce(*, as_json: bool) -> int:
    """A message from standard input. Raises Rejected("FEEDBACK-SHAPE")."""
    raw = sys.stdin.buffer.read(LONGEST + 1)
    with opened() as house:
        told, results = feedback.take_bounce(house.context, raw)
    ours = results["changed"] + results["known"] + results["delayed"]
    if as_json:
        say_json({"told": told, **{name: results[name] for name in feedback.RESULTS}})
    elif not told:
        typer.echo("no bounce message and no complaint")
    else:
        listed = ", ".join(f"{results[name]} {name}" for name in feedback.RESULTS if results[name])
        typer.echo(f"{told} told: {listed}")
    return 0 if ours else 1


def show_list(tenant: str | None, *, look_for: bool, as_json: bool) -> int:
    """The list of a shop, or one address of it; exit 1 when that one is not on it."""
    address = _address() if look_for else None
    with opened() as house:
        owner = chosen(house, tenant).id
        wanted = None if address is None else suppressing.look_up(house.context, owner, address).recipient
        found = house.database.tenant(owner).read(Store.BOOKS, lambda tx: suppressions.listed(tx, owner))
    rows = [one for one in found if wanted in (None, one.recipient)]
    if as_json:
        say_json({"suppressions": [asdict(one) for one in rows]})
    else:
        for one in rows:
            about = f"letter {one.letter}" if one.letter else one.actor
            typer.echo(f"{one.recipient[:12]}  {one.since:%Y-%m-%dT%H:%M:%S}  {one.cause:9}  {about}: {one.note}")
        typer.echo(
            f"{len(rows)} addresses get no letters" if wanted is None else "on the list" if rows else "not on it"
        )
    return 1 if wanted is not None and not rows else 0


def put(tenant: str | None, note: str, actor: str | None, *, as_json: bool) -> int:
    """Put an address on a shop's list; exit 1 when it was on it."""
    address, by = _address(), _who(actor)
    with opened() as house:
        new = suppressing.put(house.context, chosen(house, tenant).id, address, by=by, note=_note(note))
    _said({"added": new}, "gets no letters any more" if new else "was on the list", as_json=as_json)
    return 0 if new else 1


def take_off(tenant: str | None, note: str, actor: str | None, *, send: bool, as_json: bool) -> int:
    """Take an address off a shop's list; exit 1 when it was not on it."""
    address, by = _address(), _who(actor)
    with opened() as house:
        owner = chosen(house, tenant).id
        gone, letters = suppressing.take_off(house.context, owner, address, by=by, note=_note(note), send=send)
    words = f"gets letters again; {letters} are promised anew" if gone else "was not on the list"
    _said({"removed": gone, "letters": letters}, words, as_json=as_json)
    return 0 if gone else 1


def _said(told: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        say_json(told)
    else:
        typer.echo(f"the address {words}")


def _note(text: str) -> str:
    note = " ".join(text.split())
    if not note or len(note) > 500:
        raise UsageError("NOTE", "a note is one line of at most 500 characters")
    return note


def _address() -> str:
    text = sys.stdin.read(_LONGEST_ADDRESS + 1).strip()
    try:
        return mailbox(text)
    except LadenbuchError:
        raise UsageError("ADDRESS", "give one e-mail address on standard input") from None
