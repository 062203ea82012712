"""Plan a period, hold that plan against the world again, and want what was planned.

    orders of the period (pages of ids) -> each read once, planned with the stored books, profiles and evidence
    a kept plan -> each order read and planned again -> everything as it was, or nothing is wanted

Reading writes nothing, and asks nobody about a VAT id: where no stored answer counts, the order waits in the plan and
the settle asks. Wanting goes through the one door every path uses (`inbox.want`); `settle` plans from fresh facts, so
what happens between the check and the run is not lost, but shows up in what `follow` returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa

from ladenbuch import books, inbox
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.plan import plan
from ladenbuch.domain.preview import OrderPreview, Remembered, content_of, preview_of, unreadable, why_changed
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.errors import Rejected, Retryable
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify.period import VISIBLE, hidden_before, orders_processed
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.evidence import gather
from ladenbuch.workflows.foreign import documents_of_others

#: How often one order is tried before the whole is given up, and the longest wait between two tries, in seconds.
_TRIES, _LONGEST_WAIT = 4, 30.0
#: What is wrong with one order, not with the shop: it is listed and the others go on.
_OF_ONE_ORDER = frozenset({"ORDER-SHAPE", "ORDER-MOVING", "MONEY-FORMAT", "MONEY-PRECISION", "MONEY-WEIGHTS"})
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Period:
    """Days [since, until) of the accounting time zone, as instants [start, end)."""

    since: date
    until: date
    time_zone: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Stale:
    """An order whose kept plan is no longer its plan."""

    order_id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order that was wanted: `missing` and `extra` are keys, compared with its plan."""

    order_id: str
    name: str
    code: str
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    content: bool = False

    @property
    def as_planned(self) -> bool:
        """Exactly the planned actions were carried out, with the planned documents."""
        return not (self.missing or self.extra or self.content)


@dataclass(slots=True)
class Followed:
    """How far the wanted orders are. `remaining` is gid -> the code of its last attempt ("" before the first)."""

    settled: dict[str, str] = field(default_factory=dict)
    remaining: dict[str, str] = field(default_factory=dict)

    @property
    def codes(self) -> Counter[str]:
        """Why what remains does, where it was tried."""
        return Counter(code for code in self.remaining.values() if code)


def period_of(ctx: Context, tenant: str, since: date, until: date) -> Period:
    """The period in the tenant's accounting time zone (that of the profile in force now)."""
    profile = profile_at(ctx.profiles(tenant), ctx.clock())
    start, end = (datetime.combine(day, time.min, profile.zone).astimezone(UTC) for day in (since, until))
    return Period(since, until, profile.time_zone, start, end)


@working_as(Priority.BACKFILL)
def orders_of(ctx: Context, tenant: str, period: Period) -> list[str]:
    """The gids of the period's orders, oldest first. Raises what Shopify's client raises: a list with gaps is none."""
    return list(orders_processed(ctx.shopify(tenant).execute, period.start, period.end))


def hidden_until(ctx: Context, tenant: str, period: Period) -> datetime | None:
    """The end of that part of the period in which Shopify may hide orders from this app; None when it hides none."""
    now = ctx.clock()
    if period.start >= now - VISIBLE:
        return None
    hidden = hidden_before(ctx.shopify(tenant).installation(), now)
    return None if hidden is None else min(hidden, period.end)


@working_as(Priority.BACKFILL)
def look(ctx: Context, tenant: str, order_id: str, name: str = "", cut_off: datetime | None = None) -> OrderPreview:
    """Read and plan one order; nothing is written. A busy shop is waited for, within bounds.

    `cut_off`: plan as if that were the tenant's.

    Raises Retryable when the shop stays away and Rejected when it refuses; what is wrong with this one order alone
    comes back as `unreadable`.
    """
    for attempt in range(_TRIES):
        try:
            return _look(ctx, tenant, order_id, name, cut_off)
        except Rejected as error:
            if error.code not in _OF_ONE_ORDER:
                raise
            return unreadable(order_id, name or order_id, error.code)
        except Retryable as error:
            if attempt == _TRIES - 1:
                if error.code not in _OF_ONE_ORDER:
                    raise
                return unreadable(order_id, name or order_id, error.code)
            ctx.sleep(min(error.after if error.after is not None else 2.0**attempt, _LONGEST_WAIT))
    raise AssertionError("unreachable")


def _look(ctx: Context, tenant: str, order_id: str, name: str, cut_off: datetime | None) -> OrderPreview:
    fetched = ctx.shopify(tenant).fetch_order(order_id)
    if fetched.order is None:
        return unreadable(order_id, name or order_id, fetched.reason or "NOT-FOUND")
    return look_at(ctx, tenant, fetched.order, cut_off)


def look_at(ctx: Context, tenant: str, order: Order, cut_off: datetime | None = None) -> OrderPreview:
    """Plan an order that was read; nothing is written and nobody asked. `cut_off` as in `look`."""
    # Without anybody to ask, `gather` takes the stored answers and writes nothing.
    evidence = gather(replace(ctx, vat_ids=None), tenant, order, ctx.clock())
    unseal = ctx.unseal(tenant, "pins")

    def read(tx: Transaction) -> tuple[Books, list[Profile]]:
        return books.load(tx, tenant, order.id, unseal), profiles_in(tx, tenant)

    known, profiles = ctx.door(tenant).read(Store.BOOKS, read)
    if cut_off is not None:
        profiles = [replace(one, go_live=cut_off) for one in profiles]
    now = ctx.clock()
    made = plan(facts_of(order), known, profiles, now, evidence)
    others = documents_of_others(ctx, tenant, order, made, known)
    if others:
        made = plan(facts_of(order), known, profiles, now, replace(evidence, foreign=others))
    return preview_of(order, made, known, profiles, now)


def look_at_all(ctx: Context, tenant: str, order_ids: Iterable[str]) -> Iterator[OrderPreview]:
    """`look` at each, one after the other."""
    for order_id in order_ids:
        yield look(ctx, tenant, order_id)


def check(
    ctx: Context, tenant: str, kept: Sequence[Remembered], seen: Callable[[], None] = lambda: None
) -> tuple[list[OrderPreview], list[Stale]]:
    """Plan every order of a kept plan again: what is true now, and which of them are no longer as planned."""
    fresh: list[OrderPreview] = []
    stale: list[Stale] = []
    for was in kept:
        now = look(ctx, tenant, was.order_id, was.name)
        why = why_changed(was, now)
        if why is not None:
            stale.append(Stale(was.order_id, was.name, why))
        fresh.append(now)
        seen()
    return fresh, stale


# -- carrying it out ----------------------------------------------------------------------------------------------


@working_as(Priority.BACKFILL)
def want(ctx: Context, tenant: str, order_ids: Sequence[str]) -> dict[str, int]:
    """Want these orders, all in one transaction; gid -> the number that says so in its mark."""
    now = ctx.clock()
    wanted = ctx.door(tenant).run(
        Store.INBOX, lambda tx: {gid: inbox.want(tx, tenant, gid, now) for gid in sorted(set(order_ids))}
    )
    ctx.wake("dispatch")
    return wanted


def progress(ctx: Context, tenant: str, wanted: Mapping[str, int]) -> Followed:
    """Which of these wants are settled, by the marks."""
    table, found = order_marks, Followed()
    columns = sa.select(table.c.order_id, table.c.settled, table.c.last_code, table.c.attempts)
    gids = list(wanted)

    def read(tx: Transaction) -> list[Any]:
        rows: list[Any] = []
        for begin in range(0, len(gids), _BATCH):
            some = table.c.order_id.in_(gids[begin : begin + _BATCH])
            rows += tx.execute(columns.where(table.c.tenant == tenant, some)).all()
        return rows

    for row in ctx.door(tenant).read(Store.INBOX, read):
        if row.settled >= wanted[row.order_id]:
            found.settled[row.order_id] = row.last_code or ""
        else:
            found.remaining[row.order_id] = (row.last_code or "") if row.attempts else ""
    return found


def follow(
    ctx: Context,
    tenant: str,
    wanted: Mapping[str, int],
    seconds: float,
    seen: Callable[[Followed], None] = lambda found: None,
) -> Followed:
    """Wait until all are settled, at most `seconds`. Somebody else settles them: this only looks."""
    until = ctx.until(seconds)
    while True:
        found = progress(ctx, tenant, wanted)
        seen(found)
        if not found.remaining or ctx.clock() >= until:
            return found
        ctx.sleep(0.25 if len(wanted) < _BATCH else 1.0)


def outcome(ctx: Context, tenant: str, planned: OrderPreview, code: str) -> Outcome:
    """Compare what was carried out for a settled order with what was planned for it."""
    unseal = ctx.unseal(tenant, "pins")
    known = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.load(tx, tenant, planned.order_id, unseal))
    # A draft whose number was taken is written anew: the same document, with a key of its own kind.
    done = {key for key in known.applied - planned.applied if not key.startswith("anew:")}
    contents = {item.key: content_of(item) for item in known.documents}
    other = any(contents.get(paper.key, paper.content) != paper.content for paper in planned.papers)
    missing, extra = planned.due_keys - known.applied, done - planned.due_keys
    return Outcome(planned.order_id, planned.name, code, tuple(sorted(missing)), tuple(sorted(extra)), other)
