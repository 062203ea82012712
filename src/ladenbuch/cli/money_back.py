"""`ladenbuch money-back`: transfers and whose they are, what a person says of them, and who is overdue."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import typer

from ladenbuch import audit, books, inbox, money_back, reminders, tenants
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.resolving import _who
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.profile import profile_at
from ladenbuch.errors import UsageError
from ladenbuch.money_back import KnownClaim, SeenLine, Waiting
from ladenbuch.reminders import Reminded

#: Verdicts a person has to look at; and all that are for an order.
_OPEN = money_back.OPEN
_ALL = (*_OPEN, "exact", "partial", "over", "several", "again", "chosen")
#: How far back money that is nobody's is listed.
_SINCE = timedelta(days=62)


def show_lines(tenant: str | None, *, every: bool, as_json: bool) -> int:
    """List them; exit 1 while a line is unclear or nobody's."""
    with opened() as house:
        owner, today = chosen(house, tenant), house.context.clock().date()

        def read(tx: Transaction) -> tuple[list[KnownClaim], list[SeenLine], dict[str, str]]:
            claims = money_back.listed(tx, owner.id, _ALL if every else _OPEN)
            names = {one.order_id: one.name for one in money_back.waiting(tx, owner.id)}
            return claims, money_back.unmatched(tx, owner.id, today - _SINCE), names

        claims, nobodys, names = house.database.tenant(owner.id).read(Store.BOOKS, read)
    unclear = sum(one.verdict in _OPEN for one in claims)
    if as_json:
        lines = [_claim(one, names) for one in claims]
        say_json({"tenant": owner.id, "lines": lines, "nobodys": [_line(one) for one in nobodys]})
    else:
        for one in claims:
            name = names.get(one.order_id, one.order_id)
            typer.echo(f"{one.line_id}  {_day(one.day)}  {to_decimal(one.amount):>10}  {one.verdict:<9}  {name}")
        for line in nobodys:
            typer.echo(f"{line.id}  {_day(line.day)}  {to_decimal(line.amount):>10}  nobody's")
        typer.echo(f"{unclear} unclear, {len(nobodys)} that nothing says the order of")
    return 1 if unclear or nobodys else 0


def look_now(tenant: str | None, *, as_json: bool) -> int:
    """Look at everything of two months; how many orders are to be settled because of it."""
    from ladenbuch.workflows.money_back import look

    with opened() as house:
        owner = chosen(house, tenant)
        _may(owner)
        found = look(house.context, owner.id, deep=True)
    if as_json:
        say_json({"tenant": owner.id, "orders": found})
    else:
        typer.echo(f"{found} orders have a transfer to be looked at")
    return 0


def assign(line: str, order: str, tenant: str | None, actor: str | None, *, as_json: bool) -> int:
    """A person says whose a line is."""
    with opened() as house:
        owner = chosen(house, tenant)
        _may(owner)
        by, now, door = _who(actor), house.context.clock(), house.database.tenant(owner.id)

        def write(tx: Transaction) -> str:
            known = money_back.seen(tx, owner.id, [line]).get(line)
            if known is None or known.amount <= 0:
                raise UsageError("TRANSFER", f"no line {line} came to a bank account")
            orders = books.orders_named(tx, owner.id, [order])
            if len(orders) != 1:
                raise UsageError("ORDER", f"{len(orders)} orders are called {order}")
            if not money_back.take(tx, owner.id, line, orders[0][0], known.amount):
                raise UsageError("TRANSFER", f"line {line} was said to be for another order")
            said = f"Line {line} of {known.amount} minor units is for {order}, says {by}."
            audit.append(tx, owner.id, now, actor=by, event="assigned", subject=orders[0][0], sentence=said)
            return orders[0][0]

        order_id = door.run(Store.BOOKS, write)
        door.run(Store.INBOX, lambda tx: inbox.want(tx, owner.id, order_id, now))
    if as_json:
        say_json({"tenant": owner.id, "line": line, "order": order_id})
    else:
        typer.echo(f"line {line} is for {order}")
    return 0


def show_overdue(tenant: str | None, *, as_json: bool) -> int:
    """What is open by transfer; exit 1 when something is overdue."""
    with opened() as house:
        owner = chosen(house, tenant)
        today = profile_at(house.context.profiles(owner.id), house.context.clock()).local_date(house.context.clock())

        def read(tx: Transaction) -> tuple[list[Waiting], dict[str, list[Reminded]]]:
            waits = money_back.waiting(tx, owner.id, owing=True)
            return waits, reminders.reminded(tx, owner.id, [one.order_id for one in waits])

        waits, had = house.database.tenant(owner.id).read(Store.BOOKS, read)
    rows = [_waiting(one, had.get(one.order_id, []), today) for one in waits]
    if as_json:
        say_json({"tenant": owner.id, "orders": rows})
    else:
        for row in rows:
            late = f"{row['days_overdue']} days overdue" if row["days_overdue"] > 0 else "not due yet"
            paused = f", not reminded: {row['paused']}" if row["paused"] else ""
            owed = to_decimal(row["owed_minor"])
            typer.echo(f"{row['name']:<12}  {owed:>10}  {late}, reminded {row['reminded']} times{paused}")
        typer.echo(f"{len(rows)} orders wait for a transfer")
    return 1 if any(row["days_overdue"] > 0 for row in rows) else 0


def _may(owner: tenants.Tenant) -> None:
    if owner.state != "active":
        raise UsageError("TENANT", f"{owner.id} is {owner.state}: nothing is done for it")


def _day(day: date | None) -> str:
    return "          " if day is None else day.isoformat()


def _claim(one: KnownClaim, names: dict[str, str]) -> dict[str, Any]:
    return {
        "line": one.line_id,
        "account": one.account,
        "day": None if one.day is None else one.day.isoformat(),
        "amount_minor": one.whole,
        "order": one.order_id,
        "name": names.get(one.order_id),
        "share_minor": one.amount,
        "verdict": one.verdict,
        "evidence": list(one.evidence),
    }


def _line(one: SeenLine) -> dict[str, Any]:
    day = None if one.day is None else one.day.isoformat()
    return {"line": one.id, "account": one.account, "day": day, "amount_minor": one.amount}


def _waiting(one: Waiting, had: list[Reminded], today: date) -> dict[str, Any]:
    return {
        "order": one.order_id,
        "name": one.name,
        "owed_minor": one.owed,
        "due": None if one.due is None else one.due.isoformat(),
        "days_overdue": 0 if one.due is None else max(0, (today - one.due).days),
        "reminded": len(had),
        "paused": one.paused,
    }
