"""`ladenbuch adopt`: whose are the documents others wrote in a period, and taking them over; looked at first."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ladenbuch import tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import read_json, say_json, writable, write_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.period import days_of
from ladenbuch.cli.progress import confirm, progress, say
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.takeover import ACTS, OUTCOMES, changed, counts, fingerprint, sums
from ladenbuch.errors import NeedsAttention, UsageError

if TYPE_CHECKING:
    from ladenbuch.workflows.adopting import Survey
    from ladenbuch.workflows.preview import Period

#: What a kept takeover says it is; another version is refused.
KIND, VERSION = "takeover", 1
_NAMED = 10
_COLUMNS = ("document", "number", "day", "gross_minor", "currency", "outcome", "order", "name", "evidence", "why")
_TOLD = {
    "adopt": "are an order's invoice and are taken over",
    "ask": "may be an order's invoice: a person chooses",
    "adopted": "were taken over before",
    "doubled": "are the invoice of an order that has one of ours already",
    "left out": "are of orders that are not ours",
    "follows": "correct or cancel another of these",
    "none": "are no order's",
}


def adopt_period(
    tenant: str | None,
    since: str | None,
    until: str | None,
    plan_file: Path | None,
    out: Path | None,
    csv_file: Path | None,
    *,
    apply: bool,
    yes: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Look at a period, or at a kept takeover again; with `apply` carry it out. Exit 1 when a person is needed.

    Raises NeedsAttention("PLAN-STALE") when a kept takeover is no longer as it was: then nothing is noted.
    """
    if (plan_file is None) == (since is None and until is None):
        raise UsageError("OPTIONS", "give --plan FILE, or --since and --until")
    if wait and not apply:
        raise UsageError("OPTIONS", "--wait follows what --apply begins")
    kept = None if plan_file is None else _read(plan_file)
    days = days_of(since, until) if kept is None else days_of(kept["since"], kept["until"])
    for file in (out, csv_file):
        if file is not None:
            writable(file)
    with opened() as house:
        owner = chosen(house, tenant)
        if kept is not None and kept["tenant"] != owner.id:
            raise UsageError(
                "PLAN-FILE", f"{plan_file} is a takeover of tenant {kept['tenant']!r}, not of {owner.id!r}"
            )
        period, found = _look(house, owner, *days)
        data = _data(owner, period, found)
        _keep(data, out, csv_file)
        if kept is not None:
            _refuse_stale(owner.id, kept, found, as_json=as_json)
        if not apply:
            say_json(data) if as_json else _show(data)
            return 1 if found.asks else 0
        if not yes and kept is None:
            _show(data, to_stderr=as_json)
            if found.found:
                confirm(f"Take over what belongs to {len(found.found)} orders?", "nothing was noted")
        return _carry_out(house, owner, period, found, data, wait=wait, timeout=timeout, as_json=as_json)


def _look(house: Ladenbuch, owner: tenants.Tenant, *days: Any) -> tuple[Period, Survey]:
    from ladenbuch.workflows.adopting import survey
    from ladenbuch.workflows.preview import period_of

    period = period_of(house.context, owner.id, *days)
    with progress("reading documents and orders", None) as step:
        return period, survey(house.context, owner.id, period, step)


def _data(owner: tenants.Tenant, period: Period, found: Survey) -> dict[str, Any]:
    return {
        "kind": KIND,
        "version": VERSION,
        "tenant": owner.id,
        "shop": owner.shop,
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "fingerprint": fingerprint(found.lines),
        "documents": found.documents,
        "ours": found.ours,
        "orders": found.orders,
        "hidden_until": found.hidden_until.isoformat() if found.hidden_until else None,
        "counts": counts(found.lines),
        "gross_minor": sums(found.lines),
        "lines": [line.as_json() for line in found.lines],
    }


def _carry_out(
    house: Ladenbuch,
    owner: tenants.Tenant,
    period: Period,
    found: Survey,
    data: dict[str, Any],
    *,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> int:
    from ladenbuch.workflows.adopting import take_over, taken_now
    from ladenbuch.workflows.preview import Followed, follow

    ctx = house.context
    wanted = take_over(ctx, owner.id, period, found, by=os.environ.get("USER") or "operator")
    report: dict[str, Any] = {**data, "refused": None, "stale": [], "wanted": sorted(wanted)}
    if not wait or not wanted:
        if as_json:
            say_json(report)
        elif wanted:
            typer.echo(f"{len(wanted)} orders are wanted; a running `ladenbuch serve` takes their documents over")
        else:
            typer.echo("there is nothing to take over")
        return 0
    with progress("taking over", len(wanted)) as step:
        done = 0

        def seen(followed: Followed) -> None:
            nonlocal done
            while done < len(followed.settled):
                done += 1
                step()

        followed = follow(ctx, owner.id, wanted, timeout, seen)
    taken = taken_now(ctx, owner.id, found)
    promised = {line.document for line in found.lines if line.outcome == "adopt"}
    missing = sorted(promised - taken.keys())
    report |= {
        "settled": len(followed.settled),
        "taken_over": len(taken),
        "not_taken": missing,
        "remaining": len(followed.remaining),
        "remaining_codes": dict(sorted(followed.codes.items())),
    }
    if as_json:
        say_json(report)
    else:
        typer.echo(f"{len(taken)} documents were taken over, {len(followed.settled)} orders are settled")
        if missing:
            typer.echo(f"{len(missing)} were not: {', '.join(missing[:_NAMED])}")
        if followed.remaining:
            typer.echo(f"{len(followed.remaining)} orders remain; they stay wanted")
    return 1 if missing or followed.remaining else 0


# -- what was kept ------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    """A kept takeover. Raises UsageError("FILE" | "PLAN-FILE")."""
    data = read_json(file)
    if data.get("kind") != KIND or data.get("version") != VERSION:
        raise UsageError("PLAN-FILE", f"{file} is no takeover; `ladenbuch adopt --since … --out` writes one")
    try:
        for line in data["lines"]:
            fits = (line["document"], line["outcome"], line["gross_minor"], line["number"], line["order"])
            if not isinstance(fits[0], str) or fits[1] not in OUTCOMES:
                raise ValueError("a line names no document or outcome")
        if not all(isinstance(data[name], str) for name in ("tenant", "since", "until", "fingerprint")):
            raise ValueError("tenant, period and fingerprint are texts")
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("PLAN-FILE", f"{file} does not fit: {type(error).__name__}: {error}") from None
    return data


def _refuse_stale(tenant: str, kept: dict[str, Any], found: Survey, *, as_json: bool) -> None:
    if kept["fingerprint"] == fingerprint(found.lines):
        return
    why = changed(kept["lines"], found.lines)
    if as_json:
        say_json({"tenant": tenant, "refused": "PLAN-STALE", "stale": why, "wanted": []})
    more = f"; and {len(why) - _NAMED} more" if len(why) > _NAMED else ""
    said = "; ".join(why[:_NAMED]) or "its fingerprint is another"
    raise NeedsAttention("PLAN-STALE", f"the takeover is no longer as it was: {said}{more}", choices=("plan again",))


def _keep(data: dict[str, Any], out: Path | None, csv_file: Path | None) -> None:
    if out is not None:
        write_json(out, data)
        command = f"ladenbuch adopt --tenant {data['tenant']} --plan {out} --apply"
        say(f"the takeover is in {out}; carry it out with: {command}")
    if csv_file is not None:
        text = io.StringIO()
        table = csv.DictWriter(text, _COLUMNS, delimiter=";", lineterminator="\n")
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in line.items()} for line in data["lines"])
        csv_file.write_text(text.getvalue(), encoding="utf-8-sig")


def _cell(value: Any) -> Any:
    """A value as a spreadsheet may show it: what begins like a formula is text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


# -- for people ---------------------------------------------------------------------------------------------------


def _show(data: dict[str, Any], *, to_stderr: bool = False) -> None:
    """The takeover as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=to_stderr, highlight=False)
    console.print(f"[bold]{data['tenant']}[/bold]  {data['since']} until before {data['until']}")
    console.print(
        f"{data['documents']} documents in sevdesk, {data['ours']} of them ours; {data['orders']} orders read"
    )
    if data["hidden_until"] is not None:
        console.print(f"before {data['hidden_until']} Shopify may hide orders: the scope read_all_orders is missing")
    table = Table("outcome", "documents", "gross", "")
    for outcome, count in data["counts"].items():
        if count:
            table.add_row(outcome, str(count), to_decimal(data["gross_minor"][outcome]), _TOLD[outcome])
    console.print(table)
    for outcome in (*ACTS, "doubled"):
        lines = [line for line in data["lines"] if line["outcome"] == outcome]
        if not lines:
            continue
        shown = Table(
            "document", "day", "gross", "order", "evidence", "why", title=f"{outcome}: the first of {len(lines)}"
        )
        for line in lines[:_NAMED]:
            gross = f"{to_decimal(line['gross_minor'])} {line['currency']}"
            called = line["number"] or line["document"]
            shown.add_row(called, line["day"], gross, line["name"] or "", line["evidence"], line["why"])
        console.print(shown)
