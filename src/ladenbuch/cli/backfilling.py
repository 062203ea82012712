"""`ladenbuch backfill …`: years of orders planned, taken over behind live traffic, and reported."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

from ladenbuch.cli.files import say_json, writable
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.period import days_of
from ladenbuch.cli.progress import confirm, counting, say

Format = Literal["json", "csv", "markdown"]
_COLUMNS = ("order", "name", "processed_at", "planned", "state", "code", "at")
#: Orders a Markdown report names; a CSV names all.
_LISTED = 100


def plan(tenant: str | None, since: str | None, until: str | None, *, move_cut_off: bool, as_json: bool) -> int:
    """Plan a period; exit 1 when a person is needed. Goes on where a planning of the same period was killed."""
    from ladenbuch.workflows import backfill, backfill_plan

    first, after = days_of(since, until)
    with opened() as house:
        owner = chosen(house, tenant)
        with counting("planning") as seen:
            backfill_plan.plan(house.context, owner.id, first, after, move_cut_off=move_cut_off, by=_who(), seen=seen)
        data = backfill.status(house.context, owner.id)
        _said(data, as_json=as_json)
    return 1 if data["plan"]["attention"] or data["plan"]["unreadable"] else 0


def start(
    tenant: str | None, id: str | None, *, without_changed: bool, beside_others: bool, yes: bool, as_json: bool
) -> int:
    """Let it begin. Raises NeedsAttention("PLAN-STALE" | "FOREIGN-DOCUMENTS") (exit 1)."""
    from ladenbuch.workflows import backfill

    with opened() as house:
        owner = chosen(house, tenant)
        data = backfill.status(house.context, owner.id, id)
        if not yes:
            _show(data, to_stderr=True)
            if data["cut_off"]:
                say(f"the cut-off moves to {data['cut_off']}: from there on every order becomes ours")
            confirm(f"Take over {data['remaining']} orders?", "nothing was begun")
        say("comparing every order with the plan")
        kept = {"without_changed": without_changed, "beside_others": beside_others}
        backfill.start(house.context, owner.id, data["backfill"], **kept, by=_who())
        data = backfill.status(house.context, owner.id, data["backfill"])
        _said(data, as_json=as_json)
        if not as_json:
            say("a running `ladenbuch serve` settles them; `ladenbuch backfill status` says how far it is")
    return 0


def move(tenant: str | None, id: str | None, what: Literal["pause", "resume", "cancel"], *, as_json: bool) -> int:
    """Pause, resume or cancel."""
    from ladenbuch.workflows import backfill

    does: dict[str, Callable[..., Any]] = {
        "pause": backfill.pause,
        "resume": backfill.resume,
        "cancel": backfill.cancel,
    }
    with opened() as house:
        owner = chosen(house, tenant)
        found = does[what](house.context, owner.id, id, by=_who())
        _said(backfill.status(house.context, owner.id, found.id), as_json=as_json)
    return 0


def status(tenant: str | None, id: str | None, *, as_json: bool) -> int:
    """How far it is; exit 1 when it was paused for a reason or an order is stuck."""
    from ladenbuch.workflows import backfill

    with opened() as house:
        data = backfill.status(house.context, chosen(house, tenant).id, id)
    _said(data, as_json=as_json)
    return 1 if data["reason"] == "PLAN-STALE" or data["orders"]["stuck"] else 0


def report(tenant: str | None, id: str | None, form: Format, out: Path | None) -> int:
    """Everything about it, orders included, to standard output or to a file; exit 1 as `status`."""
    from ladenbuch.workflows import backfill

    if out is not None:
        writable(out)
    with opened() as house:
        ctx, owner = house.context, chosen(house, tenant)
        data = backfill.status(ctx, owner.id, id)
        orders = (_order(row) for row in backfill.rows(ctx, owner.id, data["backfill"]))
        lines = {"json": _json, "csv": _csv, "markdown": _markdown}[form](data, orders)
        if out is None:
            _write(sys.stdout, lines)
        else:
            part = out.with_name(f".{out.name}.part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                _write(file, lines)
            part.replace(out)
            say(f"the report is in {out}")
    return 1 if data["reason"] == "PLAN-STALE" or data["orders"]["stuck"] else 0


# -- reports ------------------------------------------------------------------------------------------------------


def _order(row: Any) -> dict[str, Any]:
    times = (row.processed_at, row.at)
    bought, at = (None if one is None else one.isoformat() for one in times)
    told = (row.order_id, row.name, bought, row.says, row.state, row.code, at)
    return dict(zip(_COLUMNS, told, strict=True))


def _json(data: dict[str, Any], orders: Iterable[dict[str, Any]]) -> Iterator[str]:
    """One object, written while the orders are read."""
    import json

    head = json.dumps(data, ensure_ascii=False, indent=1)
    yield head[: head.rindex("}")].rstrip() + ',\n "order_list": [\n'
    for number, order in enumerate(orders):
        yield (",\n" if number else "") + "  " + json.dumps(order, ensure_ascii=False)
    yield "\n ]\n}\n"


def _csv(data: dict[str, Any], orders: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for order in orders:
        yield _row(_harmless(order[name]) for name in _COLUMNS)


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _harmless(cell: object) -> object:
    """A text no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell


def _markdown(data: dict[str, Any], orders: Iterable[dict[str, Any]]) -> Iterator[str]:
    from ladenbuch.domain.backfilling import markdown

    yield f"# Backfill {data['backfill']}\n\n{data['since']} until before {data['until']}: {data['state']}\n\n"
    counts = {"orders of the period": data["plan"]["orders"], **data["orders"]}
    yield "| orders | count |\n|---|---|\n"
    for name, number in counts.items():
        yield f"| {name.replace('_', ' ')} | {number} |\n"
    yield "\n" + "\n".join(markdown(data["plan"]["months"])) + "\n"
    for title in ("read_one_by_one", "waiting", "attention", "excluded", "unreadable"):
        if data["plan"][title]:
            listed = ", ".join(f"{code}: {number}" for code, number in data["plan"][title].items())
            yield f"\n{title.replace('_', ' ')}: {listed}\n"
    others = [order for order in orders if order["state"] in ("changed", "stuck")]
    if others:
        yield "\n| order | planned | came out as | code |\n|---|---|---|---|\n"
        for order in others[:_LISTED]:
            yield f"| {order['name']} | {order['planned']} | {order['state']} | {order['code'] or ''} |\n"
    if len(others) > _LISTED:
        yield f"\nand {len(others) - _LISTED} more: see the CSV\n"


def _write(file: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        file.write(line)


# -- for people ---------------------------------------------------------------------------------------------------


def _said(data: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(data)
    else:
        _show(data)


def _show(data: dict[str, Any], *, to_stderr: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    from ladenbuch.domain.money import to_decimal

    console, plan, orders = Console(stderr=to_stderr, highlight=False), data["plan"], data["orders"]
    console.print(
        f"[bold]{data['tenant']}[/bold]  backfill {data['backfill']}, {data['since']} until before {data['until']}: "
        f"[bold]{data['state']}[/bold]" + (f" ({data['reason']})" if data["reason"] else "")
    )
    if data["writing_stopped"] is not None:
        console.print(f"writing is stopped: {data['writing_stopped']}; nothing is posted until `ladenbuch go`")
    if data["cut_off"]:
        moved = "moved" if data["started_at"] else "moves when it starts"
        console.print(f"the cut-off {moved} to {data['cut_off']}")
    console.print(
        f"{plan['orders']} orders: {plan['to_settle']} to be settled, {plan['with_actions']} with something to do, "
        f"{plan['not_yet_due']} later, {plan['nothing_to_do']} are done"
    )
    if plan["read_one_by_one"]:
        listed = ", ".join(f"{why}: {number}" for why, number in plan["read_one_by_one"].items())
        console.print(f"read one by one, because the export lacks a part of them: {listed}")
    if data["started_at"]:
        settled = orders["as_planned"] + orders["changed"]
        said = f"{settled} settled, {orders['as_planned']} of them exactly as planned; {data['remaining']} remain"
        if orders["stuck"]:
            said += f"; {orders['stuck']} are stuck"
        if data["state"] == "running":
            about = data["done_about"][:16].replace("T", " ") + " UTC" if data["done_about"] else "not known yet"
            said += f"; {data['per_minute']} a minute, done about {about}"
        console.print(said)
    if plan["months"]:
        table = Table("month", "documents", "rule", "rate", "count", "gross", "net", "VAT")
        for row in plan["months"]:
            amounts = (to_decimal(row[name]) for name in ("gross_minor", "net_minor", "tax_minor"))
            told = (row["month"], row["kind"].replace("_", " "), str(row["tax_rule"]), f"{row['tax_rate']} %")
            table.add_row(*told, str(row["documents"]), *(f"{one} {row['currency']}" for one in amounts))
        console.print(table)
    for title in ("waiting", "attention", "excluded", "unreadable"):
        for code, number in plan[title].items():
            console.print(f"{title:10} {code}: {number}")


def _who() -> str:
    import getpass

    return getpass.getuser()
