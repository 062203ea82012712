"""`ladenbuch dead-letters`: list, show, annotate, redrive and drop what gave up after its last attempt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import sqlalchemy as sa
import typer

from ladenbuch import audit, books
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.resolving import _who
from ladenbuch.db import Store, Transaction
from ladenbuch.deadletters import DeadLetter, State, Which
from ladenbuch.domain import failures
from ladenbuch.errors import UsageError
from ladenbuch.workflows import redriving
from ladenbuch.workflows.redriving import Step, id_of

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
#: How many are listed by name; the count says how many there are.
_LISTED = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which ones are meant, as typed: by their ids, or by what they have in common."""

    tenant: str | None = None
    kind: str | None = None
    code: str | None = None
    older_than: str | None = None
    newer_than: str | None = None
    ids: tuple[str, ...] = ()
    everything: bool = False

    @property
    def filters(self) -> bool:
        """Whether anything but ids and a tenant is said."""
        return any((self.kind, self.code, self.older_than, self.newer_than))


def show_all(which: Filter, state: str, *, as_json: bool) -> int:
    """List them; exit 1 while any is open."""
    with opened() as house:
        found = redriving.matching(house.database, _which(house, which, utc_now(), state))
        names = _names(house, found[:_LISTED])
    if as_json:
        say_json({"dead_letters": [_json(one, names) for one in found]})
    else:
        for one in found[:_LISTED]:
            _print(one, names)
        if len(found) > _LISTED:
            typer.echo(f"… and {len(found) - _LISTED} more")
        typer.echo(f"{len(found)} {'given up' if state == 'open' else state}" if found else "Nothing is given up.")
    return 1 if any(one.state == "open" for one in found) else 0


def show_one(id: str, tenant: str | None, *, as_json: bool) -> int:
    """One with its last failures and what people did about it."""
    with opened() as house:
        one = redriving.named(house.database, id, _tenant(house, tenant))
        told = house.database.tenant(one.tenant).read(
            Store.BOOKS, lambda tx: audit.entries(tx, one.tenant, one.subject, 50)
        )
        names = _names(house, [one])
    done = [entry for entry in told if entry.event.startswith("gave-up")]
    if as_json:
        history = [{"at": entry.at, "by": entry.actor, "what": entry.sentence} for entry in done]
        say_json(_json(one, names) | {"history": history})
        return 0
    _print(one, names)
    known = failures.known(one.code)
    typer.echo(f"    {known.verdict}, the {known.fault}'s own; what to do: docs/reference/codes.md, {one.code}")
    for failure in one.detail.get("failures", ()):
        typer.echo(f"    {failure['at'][:19]}  {failure['code']}  {failure['message']}  trace {failure['trace']}")
    for entry in done:
        typer.echo(f"    {entry.at:%Y-%m-%dT%H:%M:%S}  {entry.actor}: {entry.sentence}")
    return 0


def remark(id: str, note: str, tenant: str | None, actor: str | None, *, as_json: bool) -> int:
    """Keep a remark with one of them."""
    with opened() as house:
        one = redriving.named(house.database, id, _tenant(house, tenant))
        done = redriving.annotate(house.database, one, note, actor=_who(actor), now=utc_now())
    return _told([done], "noted", as_json=as_json)


def redrive_all(which: Filter, rate: int | None, actor: str | None, *, preview: bool, as_json: bool) -> int:
    """Try them again, or with `preview` say which would be, and when."""
    with opened() as house:
        found, now = _meant(house, which), utc_now()
        done = redriving.redrive(house.database, found, actor=_who(actor), now=now, rate=rate, preview=preview)
    return _told(done, "would be tried again" if preview else "tried again", as_json=as_json)


def drop_all(which: Filter, reason: str, actor: str | None, *, preview: bool, as_json: bool) -> int:
    """Give them up for good, or with `preview` say which would be."""
    with opened() as house:
        found = _meant(house, which)
        done = redriving.drop(house.database, found, actor=_who(actor), reason=reason, now=utc_now(), preview=preview)
    return _told(done, "would be dropped" if preview else "dropped", as_json=as_json)


def _meant(house: Ladenbuch, which: Filter) -> Sequence[DeadLetter]:
    """The rows somebody means. Raises UsageError for ids and filters together, and for neither."""
    if bool(which.ids) == (which.filters or which.everything):
        raise UsageError("OPTIONS", "name ids, or choose by --kind, --code, --older-than, --newer-than, or --all")
    if which.ids:
        tenant = _tenant(house, which.tenant)
        return [redriving.named(house.database, id, tenant) for id in dict.fromkeys(which.ids)]
    return redriving.matching(house.database, _which(house, which, utc_now(), "open"))


def _tenant(house: Ladenbuch, tenant: str | None) -> str | None:
    return None if tenant is None else chosen(house, tenant).id


def _which(house: Ladenbuch, typed: Filter, now: datetime, state: str) -> Which:
    return Which(
        _tenant(house, typed.tenant),
        typed.kind,
        None if typed.code is None else typed.code.upper(),
        None if state == "all" else cast(State, state),
        after=None if typed.newer_than is None else now - _age("--newer-than", typed.newer_than),
        before=None if typed.older_than is None else now - _age("--older-than", typed.older_than),
    )


def _age(option: str, text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text.strip().lower())
    if found is None:
        raise UsageError("OPTIONS", f"{option} is a time such as 90m, 12h or 3d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _told(steps: Sequence[Step], what: str, *, as_json: bool) -> int:
    left = [step for step in steps if step.why is not None]
    if as_json:
        listed = [
            {"id": id_of(step.letter), "tenant": step.letter.tenant, "done": step.why is None, "at": step.at}
            | ({"why": step.why} if step.why else {})
            for step in steps
        ]
        say_json({"what": what, "items": listed})
    else:
        for step in steps[:_LISTED]:
            when = f" at {step.at:%Y-%m-%dT%H:%M:%S} UTC" if step.at is not None else ""
            typer.echo(f"{id_of(step.letter)}  " + (f"stays: {step.why}" if step.why else f"{what}{when}"))
        typer.echo(f"{len(steps) - len(left)} {what}" + (f", {len(left)} stay" if left else ""))
    return 1 if left or not steps else 0


def _print(one: DeadLetter, names: dict[tuple[str, str], str]) -> None:
    name = names.get((one.tenant, one.subject))
    typer.echo(f"{id_of(one)}  {f'{name}  ' if name else ''}{one.tenant}  {one.code}  {one.state}")
    tried = f"after {one.attempts} attempts" if one.state != "trying" else f"failed {one.attempts} times"
    again = f", again at {one.detail['next'][:19]}" if one.detail.get("next") else ""
    typer.echo(f"    {one.gave_up_at:%Y-%m-%dT%H:%M:%S}  {tried}{again}: {one.message}")
    if one.note:
        typer.echo(f"    note: {one.note}")


def _json(one: DeadLetter, names: dict[tuple[str, str], str]) -> dict[str, Any]:
    known = failures.known(one.code)
    return {
        "id": id_of(one),
        "tenant": one.tenant,
        "kind": one.kind,
        "subject": one.subject,
        "name": names.get((one.tenant, one.subject)),
        "state": one.state,
        "code": one.code,
        "message": one.message,
        "class": known.verdict,
        "attempts": one.attempts,
        "gave_up_at": one.gave_up_at,
        "next": one.detail.get("next"),
        "failures": one.detail.get("failures", []),
        "note": one.note,
    }


def _rows(query: sa.Select[Any], tx: Transaction) -> Sequence[Any]:
    return tx.execute(query).all()


def _names(house: Ladenbuch, found: Sequence[DeadLetter]) -> dict[tuple[str, str], str]:
    """What the orders among them are called, where they were ever read."""
    table, names = books.orders, dict[tuple[str, str], str]()
    for tenant in {one.tenant for one in found}:
        ids = [one.subject for one in found if one.tenant == tenant and one.kind == "order"]
        query = sa.select(table.c.order_id, table.c.name).where(table.c.tenant == tenant, table.c.order_id.in_(ids))
        rows = house.database.tenant(tenant).read(Store.BOOKS, partial(_rows, query))
        names |= {(tenant, row.order_id): row.name for row in rows}
    return names
