"""`ladenbuch replay`: want orders to be settled again, as if Shopify had just told us of them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
import typer

from ladenbuch import books, inbox
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.bucket import Priority, working_as
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.orders import find_gid
from ladenbuch.db import Store
from ladenbuch.errors import UsageError


def parked_with(house: Ladenbuch, tenant: str, code: str) -> list[str]:
    """The gids of all orders whose last look ended with this code (an attention, a waiting, an exclusion)."""
    table = books.orders
    wanted = sa.select(table.c.order_id).where(table.c.tenant == tenant, table.c.code == code)
    asked = sa.select(books.attention.c.order_id).where(
        books.attention.c.tenant == tenant, books.attention.c.code == code
    )
    found = house.database.tenant(tenant).read(
        Store.BOOKS, lambda tx: tx.execute(sa.union(wanted, asked)).scalars().all()
    )
    return sorted(found)


def replay(house: Ladenbuch, tenant: str, orders: Sequence[str]) -> int:
    """Want orders to be settled again, now; a running `serve` does it. Returns how many were asked for."""
    now = utc_now()
    pairs = [(tenant, gid) for gid in orders]
    house.database.tenant(tenant).run(Store.INBOX, lambda tx: inbox.want_all(tx, pairs, now))
    return len(pairs)


def replay_orders(orders: list[str], code: str | None, tenant: str | None, *, as_json: bool) -> int:
    """Want orders settled again: those named, and those that ended with a code; exit 1 when there is none."""
    if not orders and code is None:
        raise UsageError("ORDER", "name orders, or a code with --code")
    with opened() as house:
        owner = chosen(house, tenant).id
        named = {find_gid(house, owner, order) for order in orders}
        replay(house, owner, sorted(named))
        parked = set(parked_with(house, owner, code) if code is not None else ()) - named
        with working_as(Priority.BACKFILL):  # many, and what the shop tells meanwhile goes first
            replay(house, owner, sorted(parked))
        wanted = sorted(named | parked)
    if as_json:
        say_json({"wanted": wanted})
    else:
        typer.echo(f"{len(wanted)} orders are looked at again; a running `ladenbuch serve` does it")
    return 0 if wanted else 1
