"""`ladenbuch plan|apply --tenant T --since … --until …`: what a period would post, and exactly that, carried out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from ladenbuch import tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import read_json, say_json, writable, write_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.progress import confirm, progress, say
from ladenbuch.db import Store
from ladenbuch.domain.document import rate_text
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.preview import OrderPreview, Remembered, Summary
from ladenbuch.errors import NeedsAttention, UsageError

if TYPE_CHECKING:
    from ladenbuch.workflows.preview import Followed, Outcome, Stale

#: What a plan file says it is; another version is refused.
KIND, VERSION = "period-plan", 1
#: Orders named in a message for people.
_NAMED = 10
_SORTS = {"invoices": "invoices", "credit_notes": "credit notes", "cancellations": "cancelled invoices"}


@dataclass(frozen=True, slots=True)
class Made:
    """A period that was planned: everything `--json` says, the counts, and the orders themselves."""

    data: dict[str, Any]
    summary: Summary
    orders: list[OrderPreview]


def plan_period(tenant: str | None, since: str, until: str, out: Path | None, *, as_json: bool) -> int:
    """Say what a period would post; exit 1 when a person is needed. Nothing is written but `out`."""
    days = days_of(since, until)
    if out is not None:
        writable(out)
    with opened() as house:
        made = _plan(house, chosen(house, tenant), *days)
    if out is not None:
        write_json(out, made.data)
        say(f"the plan is in {out}; carry it out with: ladenbuch apply --tenant {made.data['tenant']} --plan {out}")
    if as_json:
        say_json(made.data)
    else:
        _show(made)
    return 1 if made.summary.findings else 0


def apply_period(
    tenant: str | None,
    file: Path | None,
    since: str | None,
    until: str | None,
    *,
    yes: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Want exactly what was planned, or nothing: a plan of which any order changed is refused before that.

    Raises NeedsAttention("PLAN-STALE") (exit 1). With `wait`, follow until all is settled; exit 1 when something
    remains or came out otherwise.
    """
    if (file is None) == (since is None and until is None):
        raise UsageError("OPTIONS", "give --plan FILE, or --since and --until")
    days = None if file is not None else days_of(since, until)
    data = _read(file) if file is not None else {}
    with opened() as house:
        owner = chosen(house, tenant)
        if days is not None:
            made = _plan(house, owner, *days)
            data, fresh = made.data, made.orders
            if not yes:
                _show(made, to_stderr=as_json)
        elif data["tenant"] != owner.id:
            raise UsageError("PLAN-FILE", f"{file} is a plan of tenant {data['tenant']!r}, not of {owner.id!r}")
        if days is None or (not yes and any(item.acts for item in fresh)):
            if days is not None:
                _confirm(fresh)
            fresh = _checked(house, owner.id, data, as_json=as_json)
        return _carry_out(house, owner.id, fresh, wait=wait, timeout=timeout, as_json=as_json)


# -- planning -----------------------------------------------------------------------------------------------------


def _plan(house: Ladenbuch, owner: tenants.Tenant, since: date, until: date) -> Made:
    from ladenbuch.workflows.preview import hidden_until, look_at_all, orders_of, period_of

    ctx = house.context
    period = period_of(ctx, owner.id, since, until)
    hidden = hidden_until(ctx, owner.id, period)
    gids = orders_of(ctx, owner.id, period)
    summary, orders = Summary(), []
    with progress("reading and planning", len(gids)) as step:
        for item in look_at_all(ctx, owner.id, gids):
            step()
            if item.processed_at is None or period.start <= item.processed_at < period.end:
                summary.add(item)
                orders.append(item)
    stopped = house.database.tenant(owner.id).read(Store.BOOKS, lambda tx: tenants.stopped(tx, owner.id))
    data = {
        "kind": KIND,
        "version": VERSION,
        "tenant": owner.id,
        "shop": owner.shop,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "time_zone": period.time_zone,
        "made_at": ctx.clock().isoformat(),
        "draft_only": owner.draft_only,
        "stopped": stopped,
        "hidden_until": hidden.isoformat() if hidden else None,
        **summary.as_json(),
        "orders": [item.as_json() for item in orders],
    }
    return Made(data, summary, orders)


def days_of(since: str | None, until: str | None) -> tuple[date, date]:
    """The first day of a period and the first one after it. Raises UsageError("PERIOD")."""
    days = []
    for name, text in (("--since", since), ("--until", until)):
        try:
            if text is None or len(text) != 10:
                raise ValueError
            days.append(date.fromisoformat(text))
        except ValueError:
            raise UsageError("PERIOD", f"{name} must be a date like 2026-11-01") from None
        if not 1970 < days[-1].year < 9000:
            raise UsageError("PERIOD", f"{name} is no day a shop was open")
    if days[0] >= days[1]:
        raise UsageError("PERIOD", "--until is the first day after the period: it must lie after --since")
    return days[0], days[1]


# -- applying -----------------------------------------------------------------------------------------------------


def _checked(house: Ladenbuch, tenant: str, data: dict[str, Any], *, as_json: bool) -> list[OrderPreview]:
    """Plan every order again. Raises NeedsAttention("PLAN-STALE") when any of them is no longer as planned."""
    from ladenbuch.workflows.preview import check

    kept = [Remembered.from_json(item) for item in data["orders"]]
    with progress("checking the plan", len(kept)) as step:
        fresh, stale = check(house.context, tenant, kept, step)
    if stale:
        _refuse(tenant, stale, as_json=as_json)
    return fresh


def _refuse(tenant: str, stale: list[Stale], *, as_json: bool) -> NoReturn:
    if as_json:
        say_json({"tenant": tenant, "refused": "PLAN-STALE", "stale": [asdict(item) for item in stale], "wanted": []})
    named = "; ".join(f"{item.name}: {item.why}" for item in stale[:_NAMED])
    more = f"; and {len(stale) - _NAMED} more" if len(stale) > _NAMED else ""
    many = "1 order is" if len(stale) == 1 else f"{len(stale)} orders are"
    raise NeedsAttention(
        "PLAN-STALE", f"{many} no longer as planned, so nothing was posted: {named}{more}", choices=("plan again",)
    )


def _confirm(orders: list[OrderPreview]) -> None:
    acting = sum(item.acts for item in orders)
    confirm(f"Carry out what is planned for {acting} orders?", "nothing was posted")


def _carry_out(
    house: Ladenbuch, tenant: str, fresh: list[OrderPreview], *, wait: bool, timeout: float, as_json: bool
) -> int:
    from ladenbuch.workflows.preview import follow, outcome, want

    ctx = house.context
    acting = {item.order_id: item for item in fresh if item.acts}
    wanted = want(ctx, tenant, list(acting)) if acting else {}
    report: dict[str, Any] = {"tenant": tenant, "refused": None, "stale": [], "wanted": sorted(wanted)}
    if not wait or not wanted:
        if as_json:
            say_json(report)
        elif not wanted:
            typer.echo("there is nothing to do")
        else:
            typer.echo(f"{len(wanted)} orders are wanted; a running `ladenbuch serve` settles them")
        return 0
    with progress("settling", len(wanted)) as step:
        done = 0

        def seen(found: Followed) -> None:
            nonlocal done
            while done < len(found.settled):
                done += 1
                step()

        found = follow(ctx, tenant, wanted, timeout, seen)
    results = [outcome(ctx, tenant, acting[gid], code) for gid, code in sorted(found.settled.items())]
    return _report(house, tenant, report, found, results, as_json=as_json)


def _report(
    house: Ladenbuch,
    tenant: str,
    report: dict[str, Any],
    found: Followed,
    results: list[Outcome],
    *,
    as_json: bool,
) -> int:
    changed = [item for item in results if not item.as_planned]
    report |= {
        "settled": len(found.settled),
        "as_planned": len(results) - len(changed),
        "changed": [
            {
                "order": item.order_id,
                "name": item.name,
                "code": item.code,
                "missing": list(item.missing),
                "extra": list(item.extra),
                "content": item.content,
            }
            for item in changed
        ],
        "remaining": len(found.remaining),
        "remaining_codes": dict(sorted(found.codes.items())),
    }
    if as_json:
        say_json(report)
    else:
        typer.echo(f"{report['settled']} orders are settled, {report['as_planned']} of them exactly as planned")
        for item in changed[:_NAMED]:
            parts = (("not done", item.missing), ("besides", item.extra))
            said = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in parts if keys)
            typer.echo(f"  {item.name} came out otherwise ({item.code}): {said or 'a document reads otherwise'}")
        if found.remaining:
            codes = ", ".join(f"{code}: {count}" for code, count in sorted(found.codes.items()))
            typer.echo(f"{len(found.remaining)} orders remain" + (f" ({codes})" if codes else ""))
    if found.remaining and not found.settled and not found.codes:
        say("none was tried: is `ladenbuch serve` running? The orders stay wanted until it is")
    return 1 if changed or found.remaining else 0


# -- files --------------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    """A plan file whose entries can be read. Raises UsageError("FILE" | "PLAN-FILE")."""
    data = read_json(file)
    if data.get("kind") != KIND or data.get("version") != VERSION:
        raise UsageError("PLAN-FILE", f"{file} is no plan of a period; `ladenbuch plan --since … --out` writes one")
    try:
        if not isinstance(data["tenant"], str):
            raise ValueError("tenant is no text")
        kept = [Remembered.from_json(item) for item in data["orders"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError("PLAN-FILE", f"{file} does not fit: {type(error).__name__}: {error}") from None
    if len({item.order_id for item in kept}) != len(kept):
        raise UsageError("PLAN-FILE", f"{file} names an order twice")
    return data


# -- for people ---------------------------------------------------------------------------------------------------


def _show(made: Made, *, to_stderr: bool = False) -> None:
    """The plan as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=to_stderr, highlight=False)
    data, summary = made.data, made.summary
    counts = data["counts"]
    console.print(f"[bold]{data['tenant']}[/bold]  {data['since']} until before {data['until']}, {data['time_zone']}")
    if data["draft_only"]:
        console.print("drafts only: invoices are made as drafts, nothing gets a number, is booked or sent")
    if data["stopped"] is not None:
        console.print(f"writing is stopped: {data['stopped']}; nothing is posted until `ladenbuch go`")
    if data["hidden_until"] is not None:
        console.print(f"before {data['hidden_until']} Shopify may hide orders: the scope read_all_orders is missing")
    console.print(
        f"{counts['orders']} orders: {counts['with_actions']} with something to do, {counts['not_yet_due']} later, "
        f"{counts['waiting']} wait, {counts['excluded']} are excluded, {counts['attention']} need a person, "
        f"{counts['unreadable']} could not be read, {counts['nothing_to_do']} are done"
    )
    if data["actions"]:
        table = Table("action", "count", "amount")
        for kind, row in data["actions"].items():
            table.add_row(kind, str(row["count"]), "" if kind == "letter" else to_decimal(row["amount_minor"]))
        console.print(table)
    if summary.sums:
        table = Table("documents", "rule", "rate", "count", "gross", "net", "VAT")
        for sort, title in _SORTS.items():
            for currency, rule, rate, row in summary.rows(sort):
                amounts = (f"{to_decimal(value)} {currency}" for value in (row.gross, row.net, row.tax))
                table.add_row(title, str(rule), f"{rate_text(rate)} %", str(row.documents), *amounts)
        console.print(table)
    if summary.papers:
        table = Table("order", "document", "delivered", "gross", "rule", "rates", title="the first documents")
        for paper in summary.papers:
            rates = ", ".join(f"{rate_text(rate)} %" for rate, _ in paper.sums)
            day = paper.delivered_on.isoformat()
            table.add_row(paper.order_name, paper.key, day, to_decimal(paper.gross), str(paper.tax_rule), rates)
        console.print(table)
    for title in ("waiting", "excluded", "attention", "unreadable"):
        for code, count in data[title].items():
            console.print(f"{title:10} {code}: {count}")
