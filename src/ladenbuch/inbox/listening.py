"""What the inbox tells of its own silence: who polled when, which changes a webhook told of, what nobody tried yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, from_micros, insert_new, to_micros, upsert
from ladenbuch.inbox.deliveries import events
from ladenbuch.inbox.marks import order_marks, poll_cursors

_m, _p, _e = order_marks.c, poll_cursors.c, events.c
#: Instants in `poll_cursors.cursor` have as many digits, so that text compares like time.
_DIGITS = 20
#: Orders asked about in one statement.
_MANY = 400
_T: sa.BindParameter[str] = sa.bindparam("t")
_N: sa.BindParameter[str] = sa.bindparam("n")
_NOTED = Statement(sa.select(_p.tenant, _p.cursor).where(_p.name == _N))
_NOTED_OF = Statement(sa.select(_p.tenant, _p.cursor).where(_p.tenant == _T, _p.name == _N))
_taken = sa.func.substr(_p.cursor, 1, _DIGITS)
_FREE = sa.or_(_taken <= sa.bindparam("until"), _taken > sa.bindparam("now"))
_OURS = sa.func.substr(_p.cursor, _DIGITS + 1) == sa.bindparam("by")
_TAKE = Statement(
    sa.update(poll_cursors).where(_p.tenant == _T, _p.name == _N, _FREE).values(cursor=sa.bindparam("mine"))
)
_TAKE_AGAIN = Statement(
    sa.update(poll_cursors)
    .where(_p.tenant == _T, _p.name == _N, sa.or_(_FREE, _OURS))
    .values(cursor=sa.bindparam("mine"))
)


def take_turn(
    tx: Transaction, tenant: str, name: str, now: datetime, every: timedelta, process: str | None = None
) -> bool:
    """Whether it is our turn to do `name` for the tenant: nobody did within `every` before `now`.

    So any number of processes may have the same tick, and each tenant is asked once. With `process`, only others are
    waited for. A clock that was set back waits for nobody.
    """
    by = f" {process}" if process else ""
    mine = _text(now) + by
    if insert_new(tx, poll_cursors, tenant=tenant, name=name, cursor=mine):
        return True
    free = {"t": tenant, "n": name, "until": _text(now - every), "now": _text(now), "mine": mine}
    return (_TAKE_AGAIN.change(tx, by=by, **free) if process else _TAKE.change(tx, **free)) == 1


def note(tx: Transaction, tenant: str, name: str, at: datetime) -> None:
    """Something happened for the tenant at an instant."""
    upsert(tx, poll_cursors, tenant=tenant, name=name, cursor=_text(at))


def noted(tx: Transaction, name: str, tenant: str | None = None) -> dict[str, datetime]:
    """When `name` was noted last (or its turn taken), by tenant: of one, or of all the door sees."""
    rows = _NOTED.rows(tx, n=name) if tenant is None else _NOTED_OF.rows(tx, t=tenant, n=name)
    return {row.tenant: from_micros(int(row.cursor[:_DIGITS])) for row in rows}


def told(tx: Transaction, tenant: str, changes: Mapping[str, datetime], spare: timedelta) -> set[str]:
    """Those of the orders whose change, at that instant of the shop's clock, a webhook told of.

    A delivery tells of what was changed before it was triggered. `spare`: how much earlier it may be dated.
    """
    found: set[str] = set()
    ids = sorted(changes)
    at = sa.func.max(sa.func.coalesce(_e.triggered_at, _e.received_at)).label("at")
    for start in range(0, len(ids), _MANY):
        some = ids[start : start + _MANY]
        query = sa.select(_e.order_id, at).where(_e.tenant == tenant, _e.order_id.in_(some)).group_by(_e.order_id)
        found |= {row.order_id for row in tx.execute(query) if from_micros(row.at) >= changes[row.order_id] - spare}
    return found


def last_told(tx: Transaction, tenant: str) -> datetime | None:
    """When the newest webhook about any order of the shop was received; None when there was none."""
    query = sa.select(sa.func.max(_e.received_at)).where(_e.tenant == tenant, _e.order_id.is_not(None))
    at = tx.execute(query).scalar()
    return None if at is None else from_micros(at)


def delays(tx: Transaction, tenant: str, since: datetime) -> dict[str, list[float]]:
    """By topic, how many seconds each delivery received since an instant came after its event; of those that say."""
    mine = (_e.tenant == tenant, _e.received_at >= to_micros(since), _e.triggered_at.is_not(None))
    found: dict[str, list[float]] = {}
    for row in tx.execute(sa.select(_e.topic, (_e.received_at - _e.triggered_at).label("late")).where(*mine)):
        found.setdefault(row.topic, []).append(max(0, row.late) / 1_000_000)
    return {topic: sorted(found[topic]) for topic in sorted(found)}


def asleep(tx: Transaction, tenant: str, order_ids: Collection[str]) -> set[str]:
    """Those of the orders that will be looked at anyway, later: wanted, not settled, and in no run's hands."""
    ids, found = sorted(order_ids), set[str]()
    free = (_m.tenant == tenant, _m.run_id.is_(None), _m.due_at.is_not(None), _m.wanted > _m.settled)
    for start in range(0, len(ids), _MANY):
        query = sa.select(_m.order_id).where(*free, _m.order_id.in_(ids[start : start + _MANY]))
        found |= set(tx.execute(query).scalars())
    return found


def oldest_untried(tx: Transaction) -> dict[str, datetime]:
    """By tenant, since when its oldest order waits for its first try. Through a system door."""
    free = (_m.run_id.is_(None), _m.due_at.is_not(None), _m.wanted > _m.attempted)
    query = sa.select(_m.tenant, sa.func.min(_m.oldest_wanted_at).label("at")).where(*free).group_by(_m.tenant)
    return {row.tenant: from_micros(row.at) for row in tx.execute(query) if row.at is not None}


def _text(at: datetime) -> str:
    return f"{to_micros(at):0{_DIGITS}d}"
