"""How many orders wait, why, and until when: read from the stores, in a sentence of the reader's language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from ladenbuch import alarms, books, tenants
from ladenbuch.db import Door, Store, Transaction, from_micros, to_micros
from ladenbuch.domain.backlog import WINDOW, Backlog, Known, Waiting, backlog
from ladenbuch.inbox.marks import order_marks
from ladenbuch.web import figures
from ladenbuch.web.words import Language, say
from ladenbuch.workflows.outage import KIND as DOWN

#: What is due later waits for something of its own (its ladder, its day), not in this line.
_LATER = timedelta(minutes=15)
#: The used share of each service's budgets, as the process that works knows them.
Budgets = Callable[[], Mapping[str, Sequence[float]]]


def read_backlog(
    door: Door, tenant: str | None, now: datetime, budgets: Budgets = dict, *, unwritable: bool = False
) -> Backlog:
    """What waits for one tenant or for all, through a system door: what is down belongs to nobody. Raises what the door
    raises. `unwritable`: somebody found that the database can only be read."""
    marks, orders = order_marks.c, books.orders.c

    def of_inbox(tx: Transaction) -> tuple[Counter[str], Counter[str]]:
        free = sa.and_(marks.run_id.is_(None), marks.due_at <= to_micros(now + _LATER))
        query = sa.select(marks.tenant, marks.last_code, sa.func.count().label("number"))
        query = query.where(sa.or_(free, marks.run_id.is_not(None)), marks.wanted > marks.settled)
        query = query.where(marks.order_id.not_like("event:%")).group_by(marks.tenant, marks.last_code)
        if tenant is not None:
            query = query.where(marks.tenant == tenant)
        shops: Counter[str] = Counter()
        codes: Counter[str] = Counter()
        for row in tx.execute(query):
            shops[row.tenant] += int(row.number)
            codes[row.last_code or ""] += int(row.number)
        return shops, codes

    waiting, codes = door.read(Store.INBOX, of_inbox)

    def of_books(tx: Transaction) -> Backlog:
        found = []
        stops = []
        for owner, count in waiting.items():
            if tenants.standing(tx, owner) != "active":
                continue
            stop = tenants.stopped(tx, owner)
            if stop is not None:
                stops.append(stop)
            since = to_micros(now - WINDOW)
            at = orders.settled_at
            query = sa.select(sa.func.count(), sa.func.min(at), sa.func.max(at))
            row = tx.execute(query.where(orders.tenant == owner, at >= since)).one()
            ends = [None if value is None else from_micros(value) for value in row[1:]]
            found.append(Waiting(count, int(row[0]), *ends))
        down = {
            one.subject: _instant(str(one.facts["since"]))
            for one in alarms.open_alarms(tx, alarms.HOUSE)
            if one.kind == DOWN
        }
        used = {service: max(shares, default=0.0) for service, shares in budgets().items()}
        all_stopped = stops[0] if stops and len(stops) == len(found) else None
        return backlog(found, Known(unwritable, all_stopped, down, used, codes), now)

    return door.read(Store.BOOKS, of_books)


def backlog_sentence(language: Language, found: Backlog, now: datetime) -> str:
    """`412 orders waiting, Shopify budget, done about 14:32.`"""
    count = say(language, f"backlog.{'one' if found.orders == 1 else 'many'}", n=figures.number(language, found.orders))
    if found.cause == "database":
        return say(language, "backlog.database")
    since = "" if found.since is None else _hour(language, found.since, now)
    cause = ""
    if found.cause is not None:
        cause = say(language, f"backlog.{found.cause}", since=since, why=found.reason)
    if found.blocked:
        end = say(language, "backlog.go" if found.cause == "stopped" else "backlog.back")
    elif found.until is None:
        end = say(language, "backlog.unknown")
    else:
        end = say(language, "backlog.until", when=_hour(language, found.until, now))
    return f"{', '.join(part for part in (count, cause, end) if part)}."


def _hour(language: Language, at: datetime, now: datetime) -> str:
    """`14:32`, with the day where it is another one."""
    same = figures.moment(language, at, "y-MM-dd") == figures.moment(language, now, "y-MM-dd")
    return figures.moment(language, at, "HH:mm" if same else "d. MMM, HH:mm")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
