"""What the dashboard reads, from the stores' own tables; nothing here writes.

The two stores are read one after the other, never in one transaction, so a page may show an order between two of its
steps; the next look shows the next step. Lists walk the indices by (tenant, processed_at) and (tenant, verdict,
processed_at); what is open is found through the partial indices of the marks, which hold outstanding work only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ladenbuch import alarms, books, deadletters, inbox, outbox, tenants
from ladenbuch.db import Database, Door, Store, Transaction, from_micros, to_micros
from ladenbuch.inbox.deliveries import events
from ladenbuch.inbox.marks import order_marks
from ladenbuch.web import codes
from ladenbuch.web.backlog import Budgets, read_backlog
from ladenbuch.web.pages import PAGE_SIZE, MonthRow, OrderRow, Overview, State, Timeline
from ladenbuch.web.takeovers import takeovers
from ladenbuch.web.telling import Life, tell
from ladenbuch.web.words import Language
from ladenbuch.workflows.silence import POLLED

_VERDICTS: dict[str, State] = {
    "documented": "documented",
    "waiting": "waiting",
    "excluded": "excluded",
    "attention": "attention",
}
#: Up to this many never-settled marks are compared with the books one by one; beyond it the count is taken as it is.
_COMPARED = 2000

_orders = books.orders
_ROW = (
    _orders.c.tenant,
    _orders.c.order_id,
    _orders.c.name,
    _orders.c.verdict,
    _orders.c.code,
    _orders.c.total,
    _orders.c.currency,
    _orders.c.processed_at,
)


@dataclass(frozen=True)
class _Open:
    """An order somebody asked for that was never settled."""

    tenant: str
    order_id: str
    since: datetime
    code: str | None


class SqlReads:
    """`Reads` over a database. `clock` (aware UTC) dates the ages; `budgets` and `unwritable` say what this process
    knows besides."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        budgets: Budgets = dict,
        unwritable: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._budgets = budgets
        self._unwritable = unwritable

    def _door(self, tenant: str | None) -> Door:
        return self._database.system("dashboard") if tenant is None else self._database.tenant(tenant)

    def tenants(self) -> Sequence[tenants.Tenant]:
        """The shops one may look at."""
        return self._door(None).read(Store.BOOKS, tenants.all)

    # -- the numbers ---------------------------------------------------------------------------------------------

    def overview(self, tenant: str | None) -> Overview:
        """Counts and ages, now."""
        door = self._door(tenant)
        now = self._clock()
        waiting, oldest, heard, pending = door.read(Store.INBOX, partial(_work, tenant=tenant))
        polled = min(door.read(Store.INBOX, lambda tx: inbox.noted(tx, POLLED, tenant)).values(), default=None)
        line = read_backlog(self._door(None), tenant, now, self._budgets, unwritable=self._unwritable())

        def read(tx: Transaction) -> Overview:
            counts = _verdicts(tx, tenant)
            letters = outbox.counts(tx, tenant)
            paid = sa.select(sa.func.coalesce(sa.func.sum(books.bookings.c.amount), 0))
            # An order that is settled between the two reads is in both; it counts once.
            known = len(_settled(tx, pending)) if len(pending) <= _COMPARED else 0
            gave_up = len(_gave_up(tx, tenant, pending))
            done = sum(count for verdict, count in counts.items() if verdict in _VERDICTS)
            return Overview(
                orders_total=sum(counts.values()) + len(pending) - known + gave_up,
                accounted_for=done,
                documented=counts["documented"],
                waiting=counts["waiting"],
                excluded=counts["excluded"],
                attention=counts["attention"],
                paid_minor=int(tx.execute(_of(paid, books.bookings, tenant)).scalar_one()),
                letters_accepted=sum(letters[state] for state in outbox.TAKEN),
                letters_uncertain=letters["uncertain"],
                letters_failed=letters["failed"],
                queue_depth=waiting,
                last_look_age=None if polled is None else max(0.0, (now - polled).total_seconds()),
                last_event_age=None if heard is None else max(0.0, (now - heard).total_seconds()),
                oldest_unattempted_age=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
                stops=_stops(tx, tenant),
                months=_months(tx, tenant, now),
                alarms=tuple(alarms.open_alarms(tx, tenant)),
                takeovers=takeovers(tx, tenant, now),
                backlog=line,
            )

        return door.read(Store.BOOKS, read)

    # -- lists ---------------------------------------------------------------------------------------------------

    def orders(
        self, tenant: str | None, state: State | None, page: int, language: Language = "de"
    ) -> Sequence[OrderRow]:
        """Newest first; orders never settled stand before all others. One row more than a page says there is more."""
        start, count = (page - 1) * PAGE_SIZE, PAGE_SIZE + 1
        door = self._door(tenant)
        pending = self._pending(door, tenant) if state in (None, "open") else []
        rows = [_open_row(one, language) for one in pending[start : start + count]]
        if state == "open" or len(rows) >= count:
            return rows
        skip = max(0, start - len(pending))

        def read(tx: Transaction) -> list[OrderRow]:
            found = _newest(tx, tenant, state, skip, count - len(rows))
            return _complete(tx, found, language)

        return [*rows, *door.read(Store.BOOKS, read)]

    def _pending(self, door: Door, tenant: str | None) -> list[_Open]:
        pending: list[_Open] = door.read(Store.INBOX, lambda tx: _unsettled(tx, tenant))
        known, dead = door.read(Store.BOOKS, lambda tx: (_settled(tx, pending), _gave_up(tx, tenant, pending)))
        found = [one for one in pending if (one.tenant, one.order_id) not in known]
        return sorted([*found, *dead], key=lambda one: (one.since, one.order_id), reverse=True)

    # -- one order -----------------------------------------------------------------------------------------------

    def timeline(self, tenant: str | None, order_id: str, language: Language = "de") -> Timeline | None:
        """One order, or None when this shop (with None: no shop) has no such order."""
        owners = [tenant] if tenant is not None else [one.id for one in self.tenants()]
        for owner in owners:
            life = self._life(owner, order_id)
            if life is not None:
                return tell(life, language)
        return None

    def _life(self, tenant: str, order_id: str) -> Life | None:
        door = self._database.tenant(tenant)

        def of_inbox(tx: Transaction) -> tuple[Any, list[Any]]:
            where = (order_marks.c.tenant == tenant, order_marks.c.order_id == order_id)
            mark = tx.execute(sa.select(order_marks).where(*where)).one_or_none()
            return mark, list(inbox.history(tx, tenant, order_id))

        mark, heard = door.read(Store.INBOX, of_inbox)

        def of_books(tx: Transaction) -> Life | None:
            columns = (*_ROW, _orders.c.certificate, _orders.c.settled_at)
            where = (_orders.c.tenant == tenant, _orders.c.order_id == order_id)
            order = tx.execute(sa.select(*columns).where(*where)).one_or_none()
            if order is None and mark is None:
                return None

            def rows(table: sa.Table, *without: str) -> Sequence[Any]:
                wanted = [column for column in table.columns if column.name not in without]
                mine = (table.c.tenant == tenant, table.c.order_id == order_id)
                return tx.execute(sa.select(*wanted).where(*mine)).all()

            asked = rows(books.attention)
            documents = rows(books.documents, "pins", "key_id")
            gone = {row.key for row in documents if row.state == "cancelled"}
            return Life(
                name=_short(order_id) if order is None else order.name,
                state="attention" if asked else "open" if order is None else _VERDICTS.get(order.verdict, "open"),
                order=order,
                mark=mark,
                heard=heard,
                documents=documents,
                money_lines=rows(books.money_lines),
                bookings=rows(books.bookings),
                intents=rows(books.intents),
                letters=rows(outbox.letters, "payload", "key_id"),
                resolutions=rows(books.resolutions),
                hands=rows(books.hands),
                attention=asked,
                covered=sum(row.amount for row in rows(books.covers) if row.document_key not in gone),
                gateways=_gateways(tx, tenant),
            )

        return door.read(Store.BOOKS, of_books)


def _of(statement: sa.Select[Any], table: sa.Table, tenant: str | None) -> sa.Select[Any]:
    return statement if tenant is None else statement.where(table.c.tenant == tenant)


def _short(order_id: str) -> str:
    return order_id.rsplit("/", 1)[-1]


# -- the inbox: what is outstanding -----------------------------------------------------------------------------------


def _work(tx: Transaction, tenant: str | None) -> tuple[int, datetime | None, datetime | None, list[_Open]]:
    """How many marks wait, since when the oldest untried one does, when the shop was last heard, what is unsettled."""
    marks = order_marks.c
    free = (marks.run_id.is_(None), marks.due_at.is_not(None))
    outstanding = sa.select(sa.func.count()).where(*free, marks.wanted > marks.settled)  # not those that wait for a day
    waiting = tx.execute(_of(outstanding, order_marks, tenant)).scalar_one()
    untried = sa.select(sa.func.min(marks.oldest_wanted_at)).where(*free, marks.wanted > marks.attempted)
    oldest = tx.execute(_of(untried, order_marks, tenant)).scalar_one()
    last = sa.select(events.c.received_at).order_by(events.c.received_at.desc()).limit(1)
    heard = tx.execute(_of(last, events, tenant)).scalar_one_or_none()
    at = [None if value is None else from_micros(value) for value in (oldest, heard)]
    return int(waiting), at[0], at[1], _unsettled(tx, tenant)


def _unsettled(tx: Transaction, tenant: str | None) -> list[_Open]:
    """Orders' marks never settled, newest want first. They are due or held: both have an index without the settled."""
    marks = order_marks.c
    columns = (marks.tenant, marks.order_id, marks.oldest_wanted_at, marks.claimed_at, marks.last_code)
    free = sa.and_(marks.run_id.is_(None), marks.due_at.is_not(None))
    found: list[_Open] = []
    for outstanding in (free, marks.run_id.is_not(None)):
        query = sa.select(*columns).where(outstanding, marks.settled == 0, ~marks.order_id.like("event:%"))
        for row in tx.execute(_of(query, order_marks, tenant)):
            since = from_micros(row.oldest_wanted_at or row.claimed_at or 0)
            found.append(_Open(row.tenant, row.order_id, since, row.last_code))
    return sorted(found, key=lambda one: (one.since, one.order_id), reverse=True)


def _gave_up(tx: Transaction, tenant: str | None, pending: Sequence[_Open]) -> list[_Open]:
    """Orders that were given up before they were ever settled: neither due nor in the books, and not forgotten."""
    table = deadletters.dead_letters
    columns = (table.c.tenant, table.c.subject, table.c.gave_up_at, table.c.code)
    settled = sa.exists().where(_orders.c.tenant == table.c.tenant, _orders.c.order_id == table.c.subject)
    query = sa.select(*columns).where(table.c.state == "open", table.c.kind == "order", ~settled)
    due = {(one.tenant, one.order_id) for one in pending}
    found = (
        _Open(row.tenant, row.subject, from_micros(row.gave_up_at), row.code)
        for row in tx.execute(_of(query, table, tenant))
    )
    return [one for one in found if (one.tenant, one.order_id) not in due]


def _open_row(one: _Open, language: Language) -> OrderRow:
    reason = codes.sentence(language, one.code) if one.code else ""
    name = _short(one.order_id)
    return OrderRow(one.tenant, one.order_id, name, one.since, None, "EUR", "open", code=one.code, reason=reason)


# -- the books --------------------------------------------------------------------------------------------------------


def _verdicts(tx: Transaction, tenant: str | None) -> Counter[str]:
    """Orders by verdict; whoever has an open question counts as attention, whatever the verdict was."""
    query = sa.select(_orders.c.verdict, sa.func.count().label("number")).group_by(_orders.c.verdict)
    counts = Counter({row.verdict: int(row.number) for row in tx.execute(_of(query, _orders, tenant))})
    asked = _asked(tenant)
    here = sa.and_(asked.c.tenant == _orders.c.tenant, asked.c.order_id == _orders.c.order_id)
    moved = sa.select(_orders.c.verdict, sa.func.count().label("number")).select_from(asked.join(_orders, here))
    for row in tx.execute(moved.where(_orders.c.verdict != "attention").group_by(_orders.c.verdict)):
        counts[row.verdict] -= int(row.number)
        counts["attention"] += int(row.number)
    return counts


def _months(tx: Transaction, tenant: str | None, now: datetime) -> tuple[MonthRow, ...]:
    """The last month that is over and the running one, each in its shop's calendar, where they have orders."""
    owners = [tenant] if tenant is not None else [one.id for one in tenants.all(tx)]
    found: dict[date, list[int]] = {}
    for owner in owners:
        version = tenants.in_force(tenants.profiles(tx, owner), now)
        zone = ZoneInfo(str((version.profile if version else {}).get("time_zone") or "Europe/Berlin"))
        this = now.astimezone(zone).date().replace(day=1)
        last = (this - timedelta(days=1)).replace(day=1)
        for first, following in ((last, this), (this, (this + timedelta(days=32)).replace(day=1))):
            counts = found.setdefault(first, [0, 0])
            begin, end = (to_micros(datetime.combine(day, time.min, zone)) for day in (first, following))
            for place, count in enumerate(_month(tx, owner, begin, end)):
                counts[place] += count
    return tuple(MonthRow(first, *counts) for first, counts in sorted(found.items()) if counts[0])


def _month(tx: Transaction, tenant: str, begin: int, end: int) -> tuple[int, int]:
    """Orders processed in [begin, end), and how many of them are accounted for."""
    table = books.attention
    asked = sa.exists().where(table.c.tenant == _orders.c.tenant, table.c.order_id == _orders.c.order_id)
    holds = _orders.c.certificate.not_like('%"holds": false%')
    fine = sa.and_(_orders.c.verdict.in_(("documented", "waiting", "excluded")), holds, ~asked)
    query = sa.select(sa.func.count(), sa.func.count(sa.case((fine, 1)))).where(
        _orders.c.tenant == tenant, _orders.c.processed_at >= begin, _orders.c.processed_at < end
    )
    row = tx.execute(query).one()
    return int(row[0]), int(row[1])


def _asked(tenant: str | None) -> sa.Subquery:
    table = books.attention
    return _of(sa.select(table.c.tenant, table.c.order_id).distinct(), table, tenant).subquery()


def _settled(tx: Transaction, pending: Sequence[_Open]) -> set[tuple[str, str]]:
    """Which of these the books know already."""
    known: set[tuple[str, str]] = set()
    for start in range(0, len(pending), 500):
        ids = [one.order_id for one in pending[start : start + 500]]
        query = sa.select(_orders.c.tenant, _orders.c.order_id)
        owners = {one.tenant for one in pending[start : start + 500]}
        where = (_orders.c.tenant.in_(owners), _orders.c.order_id.in_(ids))
        known |= {(row.tenant, row.order_id) for row in tx.execute(query.where(*where))}
    return known & {(one.tenant, one.order_id) for one in pending}


def _stops(tx: Transaction, tenant: str | None) -> tuple[str, ...]:
    everybody = tenants.stopped(tx, None)
    found = [] if everybody is None else [everybody]
    query = sa.select(tenants.write_stops.c.reason).order_by(tenants.write_stops.c.since)
    found += tx.execute(_of(query, tenants.write_stops, tenant)).scalars()
    resting = sa.select(tenants.tenants.c.tenant, tenants.tenants.c.state_reason).order_by(
        tenants.tenants.c.state_since
    )
    resting = resting.where(tenants.tenants.c.state == "suspended")
    for row in tx.execute(_of(resting, tenants.tenants, tenant)):
        found.append(f"{row.tenant}: {row.state_reason or 'suspended'}")
    return tuple(dict.fromkeys(found))


def _newest(tx: Transaction, tenant: str | None, state: State | None, skip: int, limit: int) -> list[Any]:
    """A slice of the orders, newest first. Several shops are merged, so that each one's index gives the order."""
    owners = [tenant] if tenant is not None else [one.id for one in tenants.all(tx)]
    if len(owners) == 1:
        return list(tx.execute(_slice(owners[0], state).offset(skip).limit(limit)))
    streams = [tx.execute(_slice(owner, state).limit(skip + limit)).all() for owner in owners]
    return list(islice(merge(*streams, key=lambda row: row.processed_at, reverse=True), skip, skip + limit))


def _slice(tenant: str, state: State | None) -> sa.Select[Any]:
    query = sa.select(*_ROW).where(_orders.c.tenant == tenant)
    if state == "attention":
        asked = _asked(tenant)
        query = query.join(asked, asked.c.order_id == _orders.c.order_id)
    elif state is not None:
        table = books.attention
        open_question = sa.exists().where(table.c.tenant == _orders.c.tenant, table.c.order_id == _orders.c.order_id)
        query = query.where(_orders.c.verdict == state, ~open_question)
    return query.order_by(_orders.c.processed_at.desc(), _orders.c.order_id.desc())


def _complete(tx: Transaction, rows: Sequence[Any], language: Language) -> list[OrderRow]:
    """Rows with the number of their invoice and the question that is open."""
    numbers: dict[tuple[str, str], str] = {}
    questions: dict[tuple[str, str], Any] = {}
    for row in _about(tx, books.documents, rows, "number"):
        if row.number is not None:
            numbers[row.tenant, row.order_id] = row.number
    for row in _about(tx, books.attention, rows, "code", "message", "since"):
        known = questions.get((row.tenant, row.order_id))
        if known is None or (row.since, row.code) < (known.since, known.code):
            questions[row.tenant, row.order_id] = row
    return [_row(row, numbers, questions, language) for row in rows]


def _about(tx: Transaction, table: sa.Table, rows: Sequence[Any], *names: str) -> Iterable[Any]:
    if not rows:
        return ()
    columns = [table.c[name] for name in ("tenant", "order_id", *names)]
    ids = [row.order_id for row in rows]
    owners = {row.tenant for row in rows}
    return tx.execute(sa.select(*columns).where(table.c.tenant.in_(owners), table.c.order_id.in_(ids))).all()


def _row(
    row: Any, numbers: dict[tuple[str, str], str], questions: dict[tuple[str, str], Any], language: Language
) -> OrderRow:
    key = (row.tenant, row.order_id)
    question = questions.get(key)
    code, message = (row.code, "") if question is None else (question.code, question.message)
    return OrderRow(
        tenant=row.tenant,
        order_id=row.order_id,
        name=row.name,
        at=from_micros(row.processed_at),
        total_minor=row.total,
        currency=row.currency,
        state="attention" if question is not None else _VERDICTS.get(row.verdict, "open"),
        code=code,
        reason="" if code is None else codes.sentence(language, code, message),
        invoice_number=numbers.get(key),
    )


def _gateways(tx: Transaction, tenant: str) -> dict[str, str]:
    """The accounts of the newest profile, by the payment method whose money stands there."""
    names: dict[str, str] = {}
    for version in tenants.profiles(tx, tenant)[-1:]:
        for gateway, how in dict(version.profile.get("gateways") or {}).items():
            if isinstance(how, dict) and how.get("account"):
                names[str(how["account"])] = str(gateway).replace("_", " ").title().replace("Paypal", "PayPal")
    return names
