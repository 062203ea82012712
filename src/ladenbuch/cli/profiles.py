"""`ladenbuch tenants profile`: read a tenant's profile, and add a version of it once its effect was seen (R10)."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import read_json, say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.progress import confirm, progress, say
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.profile_change import NOT_CHOSEN, Change, Group
from ladenbuch.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ladenbuch.workflows.profile_change import NewVersion

_SORTS = {"invoice": "invoices", "credit_note": "credit notes", "cancel": "cancelled invoices"}


def show_profile(tenant: str, *, as_json: bool) -> int:
    """Print the profile in force, as a file `--file` takes; the versions go to standard error."""
    from ladenbuch.workflows.profile_change import versions

    with opened() as house:
        owner = chosen(house, tenant)
        known = versions(house.context, owner.id)
        profile = profile_at(house.context.profiles(owner.id), house.context.clock())
    data = choices_of(profile)
    if as_json:
        dated = [
            {"version": number, "effective_from": start.isoformat(), "added_at": added.isoformat()}
            for number, start, added in known
        ]
        say_json({"tenant": owner.id, "version": profile.version, "profile": data, "versions": dated})
        return 0
    for number, start, added in known:
        here = "  in force" if number == profile.version else ""
        say(f"version {number}, from {_moment(start, profile)}, added {_moment(added, profile)}{here}")
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=1) + "\n")
    return 0


def choices_of(profile: Profile) -> dict[str, Any]:
    """The choices of a version; what is the tenant's own switch or the version's date is left out."""
    return {name: value for name, value in profile.as_json().items() if name not in NOT_CHOSEN}


def change_profile(
    tenant: str,
    file: Path,
    effective_from: str | None,
    *,
    back_dated: bool,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what a new version changes, and store it when somebody agrees. Exit 1 when a preview would park orders.

    Raises UsageError for a file that is no profile, a date in the past without `back_dated`, and no agreement.
    """
    from ladenbuch.workflows import profile_change as changing
    from ladenbuch.workflows.senders import refuse_foreign

    data = read_json(file)
    with opened() as house:
        owner, ctx = chosen(house, tenant).id, house.context
        now = ctx.clock()
        start = now if effective_from is None else _instant(effective_from, profile_at(ctx.profiles(owner), now))
        if start < now and not back_dated:
            raise UsageError("EFFECTIVE-FROM", f"{effective_from} lies in the past; say --back-dated if that is meant")
        version = changing.new_version(ctx, owner, data, start)
        if not version.fields:
            return _unchanged(owner, version, as_json=as_json)
        refuse_foreign(ctx, owner, version.profile.letters_from, house.settings)
        with progress("planning under both versions", changing.stored_orders(ctx, owner)) as step:
            change = changing.effect(ctx, owner, version, step)
        unread = changing.never_read(ctx, owner)
        told = _told(owner, version, change, unread)
        if not as_json or not (preview or yes):
            _show(owner, version, change, unread, to_stderr=as_json)
        if not preview:
            if not yes:
                confirm(f"Store it as version {version.profile.version}?", "nothing was stored")
            told |= _store(house, owner, version, change)
    if as_json:
        say_json(told)
    elif not preview:
        typer.echo(f"stored as version {told['version']}, in force from {_moment(start, version.profile)}")
        if told["wanted"]:
            typer.echo(f"{told['wanted']} orders are looked at again; a running `ladenbuch serve` does it")
    return 1 if preview and (change.open.parked or change.answered.parked) else 0


def _store(house: Ladenbuch, tenant: str, version: NewVersion, change: Change) -> dict[str, Any]:
    from ladenbuch.workflows import profile_change as changing

    number = changing.store(house.context, tenant, version, change)
    return {"stored": True, "version": number, "wanted": changing.look_again(house.context, tenant, change)}


def _unchanged(tenant: str, version: NewVersion, *, as_json: bool) -> int:
    if as_json:
        say_json(_told(tenant, version, Change(), 0))
    else:
        typer.echo(f"{tenant}: the file says what version {version.replaces.version} says; nothing to store")
    return 0


def _told(tenant: str, version: NewVersion, change: Change, unread: int) -> dict[str, Any]:
    """The shape documented in docs/reference/profile.md."""
    return {
        "tenant": tenant,
        "version": version.profile.version,
        "effective_from": version.profile.effective_from.isoformat(),
        "until": version.until.isoformat() if version.until else None,
        "replaces": version.replaces.version,
        "fields": [{"name": item.name, "before": item.before, "after": item.after} for item in version.fields],
        "accounts_kept": list(version.kept),
        "never_read": unread,
        **change.as_json(),
        "stored": False,
        "wanted": 0,
    }


def _instant(text: str, profile: Profile) -> datetime:
    """An instant, or the beginning of a day in the accounting time zone."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.min, profile.zone).astimezone(UTC)
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("EFFECTIVE-FROM", "--effective-from must be a date like 2027-01-01, or an instant") from None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=profile.zone).astimezone(UTC)


def _moment(instant: datetime, profile: Profile) -> str:
    return "the beginning" if instant.year < 1971 else f"{instant.astimezone(profile.zone):%Y-%m-%d %H:%M}"


# -- for people ---------------------------------------------------------------------------------------------------


def _show(tenant: str, version: NewVersion, change: Change, unread: int, *, to_stderr: bool) -> None:
    """The effect as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=to_stderr, highlight=False)
    new, start = version.profile, _moment(version.profile.effective_from, version.profile)
    console.print(f"[bold]{tenant}[/bold]  profile version {new.version} from {start}, {new.time_zone}")
    console.print(f"it takes the place of version {version.replaces.version}")
    if version.until is not None:
        console.print(f"from {_moment(version.until, new)} on a version dated later stays in force")
    table = Table("choice", f"version {version.replaces.version}", f"version {new.version}")
    for item in version.fields:
        table.add_row(item.name, item.before or "–", item.after or "–")
    console.print(table)
    for name in version.kept:
        console.print(f"{name} keeps its account {new.gateways[name].account}")
    _group(console, change.open, "open order", "changes", "change")
    if change.undated:
        console.print(f"  {change.undated} of them owe no tax yet: the version in force on that day decides")
    _sums(console, change)
    if change.answered.changed:
        console.print("posted orders with a question this version answers:")
        _group(console, change.answered, "posted order", "goes on", "go on")
    _group(console, change.posted, "posted order", "would differ", "would differ")
    console.print("  posted orders keep the version they were posted under: nothing is done about them")
    if change.earlier.changed and change.earliest is not None:
        codes = ", ".join(f"{code} {count}" for code, count in sorted(change.earlier.released.items()))
        day = change.earliest.astimezone(new.zone).date()
        console.print(f"{change.earlier.changed} open orders arose before it and stay parked ({codes});")
        console.print(f"  --effective-from {day} --back-dated answers them")
    if unread:
        console.print(f"{unread} orders were never read yet: nothing can be said of them")
    if change.unreadable:
        console.print(f"{change.unreadable} stored orders could not be read")


def _group(console: Console, group: Group, noun: str, one: str, many: str) -> None:
    nouns = noun if group.orders == 1 else f"{noun}s"
    console.print(f"[bold]{group.orders} {nouns}[/bold]: {group.changed} {one if group.changed == 1 else many}")
    kinds = [
        f"{kind} {count}" for kind, count in group.as_json()["kinds"].items() if kind not in ("parked", "released")
    ]
    if kinds:
        console.print(f"  {', '.join(kinds)}")
    for title, codes in (("newly parked", group.parked), ("released", group.released)):
        for code, count in sorted(codes.items()):
            console.print(f"  {title:12} {code}: {count}")
    for _, name, text in group.named:
        console.print(f"  {name}: {text}")
    if group.changed > len(group.named):
        console.print(f"  … and {group.changed - len(group.named)} more")


def _sums(console: Console, change: Change) -> None:
    from rich.table import Table

    rows = change.rows()
    if not rows:
        return
    table = Table("documents", "rule", "rate", "gross now", "gross then", "VAT now", "VAT then")
    for kind, currency, rule, rate, row in rows:
        amounts = (row.before[0], row.after[0], row.before[2], row.after[2])
        shown = (f"{to_decimal(value)} {currency}" for value in amounts)
        table.add_row(_SORTS[kind], str(rule), f"{rate_text(rate)} %", *shown)
    console.print(table)
