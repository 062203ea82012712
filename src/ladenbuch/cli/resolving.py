"""`ladenbuch questions` and `ladenbuch resolve`: what a person must decide, and the decision."""

from __future__ import annotations

import getpass
from typing import Any

import sqlalchemy as sa
import typer

from ladenbuch import books
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.db import Store
from ladenbuch.errors import UsageError
from ladenbuch.web import codes


def list_questions(tenant: str | None, code: str | None, *, as_json: bool) -> int:
    """Every open question, oldest first, with its numbered choices; exit 1 while there is one."""
    from ladenbuch.workflows.resolving import ALWAYS

    with opened() as house:
        owner = chosen(house, tenant).id
        found = house.database.tenant(owner).read(Store.BOOKS, lambda tx: books.questions(tx, owner, code=code))
        names = _names(house, owner)
    if as_json:
        say_json({"questions": [_json(item, names) for item in found]})
        return 1 if found else 0
    for item in found:
        name = names.get(item.order_id, item.order_id)
        typer.echo(f"{name}  {item.code}: {codes.sentence('en', item.code, item.message)}")
        for number, choice in enumerate(dict.fromkeys((*item.choices, *ALWAYS)), 1):
            typer.echo(f"    {number}  {choice}")
    typer.echo(f"{len(found)} open" if found else "Nothing to decide.")
    return 1 if found else 0


def resolve_question(
    order: str, code: str, choice: str, tenant: str | None, actor: str | None, *, as_json: bool
) -> int:
    """Answer one question of an order (gid, number or name), or of `all` orders that ask it."""
    from ladenbuch.workflows.resolving import resolve

    with opened() as house:
        owner = chosen(house, tenant).id
        door = house.database.tenant(owner)
        gid = None if order == "all" else _gid(house, owner, order)
        asked = door.read(Store.BOOKS, lambda tx: books.questions(tx, owner, gid, code.upper()))
        if not asked:
            raise UsageError("QUESTION", f"nobody asks {code.upper()} about {order}; see `ladenbuch questions`")
        who = _who(actor)
        now = utc_now()
        taken = [resolve(door, owner, item, choice, actor=who, now=now) for item in asked]
        names = _names(house, owner)
    if as_json:
        say_json(
            {
                "resolved": [
                    _json(item.question, names) | {"choice": item.choice, "recorded": item.recorded} for item in taken
                ]
            }
        )
        return 0
    for item in taken:
        what = "recorded" if item.recorded else "to be done there; nothing recorded"
        typer.echo(
            f"{names.get(item.question.order_id, item.question.order_id)}  {code.upper()}: {item.choice} ({what})"
        )
    typer.echo("A running `ladenbuch serve` looks at them again now.")
    return 0


def _who(actor: str | None) -> str:
    """Who decides: as told, else the user of this machine. Raises UsageError for what cannot stand in the log."""
    try:
        name = actor if actor is not None else getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        name = "operator"
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError("OPTIONS", "--as must be a name of at most 100 printable characters")
    return name.strip()


def _json(item: books.Question, names: dict[str, str]) -> dict[str, Any]:
    return {
        "order": item.order_id,
        "name": names.get(item.order_id),
        "code": item.code,
        "message": item.message,
        "choices": list(item.choices),
        "since": item.since.isoformat(),
    }


def _names(house: Ladenbuch, tenant: str) -> dict[str, str]:
    table, asked = books.orders, books.attention
    statement = sa.select(table.c.order_id, table.c.name).where(
        table.c.tenant == tenant,
        table.c.order_id.in_(sa.select(asked.c.order_id).where(asked.c.tenant == tenant)),
    )
    rows = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tx.execute(statement).all())
    return {row.order_id: row.name for row in rows}


def _gid(house: Ladenbuch, tenant: str, order: str) -> str:
    """The gid of an order by gid, number or name, from our own books: a question is only asked about a known order."""
    table = books.orders
    name = order if order.startswith("#") else f"#{order}"
    gid = order if order.startswith("gid://") else f"gid://shopify/Order/{order}"
    statement = sa.select(table.c.order_id).where(table.c.tenant == tenant)
    statement = statement.where(sa.or_(table.c.order_id == gid, table.c.name == name)).order_by(
        table.c.processed_at.desc()
    )
    found = house.database.tenant(tenant).read(Store.BOOKS, lambda tx: tx.execute(statement).scalars().first())
    if found is None:
        raise UsageError("ORDER", f"no order {order} is in the books")
    return str(found)
