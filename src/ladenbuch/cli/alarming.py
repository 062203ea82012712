"""`ladenbuch alarms`: what a person should hear of at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import typer

from ladenbuch.alarms import HOUSE, Alarm, ended_alarms, open_alarms
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.domain.connected import Language
from ladenbuch.web.alarm_words import alarm_sentence, alarm_todo


def list_alarms(tenant: str | None, ended_days: int | None, language: Language, *, as_json: bool) -> int:
    """Open alarms, oldest first, and those that ended lately where days are given; exit 1 when one is open."""
    with opened() as house:
        owner = chosen(house, tenant).id if tenant else None
        current, past = alarms_of(house, owner, ended_days)
    if as_json:
        told = {"open": [_row(one, language) for one in current], "ended": [_row(one, language) for one in past]}
        say_json({"ok": not current, **told})
        return 1 if current else 0
    for one in [*current, *past]:
        until = "" if one.ended_at is None else f" to {one.ended_at:%Y-%m-%d %H:%M}"
        typer.echo(f"{one.tenant or '(all)':20} {one.kind:16} {one.since:%Y-%m-%d %H:%M}{until} UTC")
        typer.echo(f"{'':20} {alarm_sentence(language, one.kind, one.facts)}")
        if one.ended_at is None:
            typer.echo(f"{'':20} → {alarm_todo(language, one.kind)}")
    typer.echo(f"{len(current)} open alarms")
    return 1 if current else 0


def alarms_of(house: Ladenbuch, owner: str | None, ended_days: int | None = None) -> tuple[list[Alarm], list[Alarm]]:
    """What is open, for one tenant or for all and the installation, and what ended in the last days."""
    door = house.database.tenant(owner) if owner else house.database.system("operator")
    current = door.read(Store.BOOKS, lambda tx: open_alarms(tx, owner))
    if ended_days is None:
        return current, []
    since = utc_now() - timedelta(days=ended_days)
    return current, door.read(Store.BOOKS, lambda tx: ended_alarms(tx, owner, since))


def _row(one: Alarm, language: Language) -> dict[str, Any]:
    return {
        "tenant": None if one.tenant == HOUSE else one.tenant,
        "kind": one.kind,
        "subject": one.subject,
        "since": one.since.isoformat(),
        "last_seen": one.last_seen.isoformat(),
        "ended_at": None if one.ended_at is None else one.ended_at.isoformat(),
        "times": one.times,
        "facts": dict(one.facts),
        "sentence": alarm_sentence(language, one.kind, one.facts),
        "todo": alarm_todo(language, one.kind),
    }
