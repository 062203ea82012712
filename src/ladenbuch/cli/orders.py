"""One order of a tenant: fetch it, tell its life."""

from __future__ import annotations

import json

import typer

from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.planning import show
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.plan import Plan
from ladenbuch.errors import UsageError


def find_gid(house: Ladenbuch, tenant: str, order: str) -> str:
    """The gid of an order given as gid, number or name."""
    if order.startswith("gid://shopify/Order/"):
        return order
    if order.isdigit() and len(order) > 9:
        return f"gid://shopify/Order/{order}"
    name = order if order.startswith("#") else f"#{order}"
    found = house.shopify(tenant).find_order(name)
    if found is None:
        raise UsageError("ORDER", f"Shopify knows no order {name}")
    return found


def fetch_order(order: str, tenant: str | None, *, as_json: bool) -> int:
    """Print one order as Shopify gives it now: the envelope `plan --order` reads."""
    with opened() as house:
        owner = chosen(house, tenant)
        gid = find_gid(house, owner.id, order)
        fetched = house.shopify(owner.id).fetch_order(gid)
    if fetched.order is None:
        typer.echo(f"{gid}: {fetched.reason}", err=True)
        return 1
    if as_json:
        say_json(fetched.envelope)
    else:
        show(facts_of(fetched.order), Plan(gid))
        typer.echo(json.dumps(fetched.envelope["order"], ensure_ascii=False, indent=1, default=str)[:4000])
    return 0


def explain_order(order: str, tenant: str | None, *, as_json: bool) -> int:
    """Tell the life of one order from our own books: heard, decided, posted, paid, mailed."""
    from ladenbuch.cli.story import story_of

    with opened() as house:
        owner = chosen(house, tenant)
        told = story_of(house, owner.id, order)
    if told is None:
        typer.echo(f"nothing is known of order {order}", err=True)
        return 1
    if as_json:
        say_json(told)
        return 0
    typer.echo(f"{told['name']}  {told['verdict']}" + (f" ({told['code']})" if told["code"] else ""))
    for entry in told["entries"]:
        typer.echo(f"  {entry['at'][:19].replace('T', ' ')}  {entry['what']:9} {entry['sentence']}")
    for item in told["attention"]:
        typer.echo(f"  asks: {item['code']}: {item['message']}; choose: {', '.join(item['choices'])}")
    return 0


def replay_orders(orders: list[str], code: str | None, tenant: str | None, *, as_json: bool) -> int:
    """Want orders settled again: those named, and those that ended with a code; exit 1 when there is none."""
    from ladenbuch.cli.admin import parked_with, replay

    if not orders and code is None:
        raise UsageError("ORDER", "name orders, or a code with --code")
    with opened() as house:
        owner = chosen(house, tenant).id
        wanted = [find_gid(house, owner, order) for order in orders]
        wanted += parked_with(house, owner, code) if code is not None else []
        wanted = sorted(set(wanted))
        replay(house, owner, wanted)
    if as_json:
        say_json({"wanted": wanted})
    else:
        typer.echo(f"{len(wanted)} orders are looked at again; a running `ladenbuch serve` does it")
    return 0 if wanted else 1
