"""Plan years of orders from an export: what would be posted per month and rate, with no order read twice.

    the period ──► an export (bulk operation) ──► orders one after the other, in constant memory
        whole in the export      planned from it
        not whole (`bulk.needs`) read by itself, behind live traffic
    ──► a row and its totals for every hundred orders, together with the place in the file
    ──► as many objects and orders as Shopify counted: the part of the period counts, else nothing of it does

Killed at any line, the same command goes on at the last hundred. Where Shopify cannot finish an export, the period is
cut in halves; where it does not export the ledger at all, only the orders' ids are exported and each is read by itself.
Nothing is posted here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from ladenbuch import alarms, audit, backfills, tenants
from ladenbuch.backfills import Backfill, Planned
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.backfilling import Totals, count, expected, needs_settling
from ladenbuch.domain.preview import OrderPreview, unreadable
from ladenbuch.errors import NeedsAttention, Rejected, Retryable, UsageError
from ladenbuch.shopify import bulk
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.preview import Period, hidden_until, look, look_at, period_of

#: Orders between two commits.
_PORTION = 100
#: Longest an export is waited for, in seconds: Shopify gives up after ten days.
_LONGEST = 10 * 86400.0
#: A part of the period is not cut into less than this.
_SHORTEST = timedelta(days=1)
#: How often a part is exported anew before the command gives up.
_TRIES = 3

#: What an alarm about an export is about.
_SUBJECT = "backfill"

#: Called after every portion with how many orders are planned, and how many Shopify counts in this part.
Seen = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the planning is: what is left of the period, and the place in the export of its first part."""

    parts: tuple[tuple[str, str], ...]
    kind: Literal["orders", "heads"] = "orders"
    part: int = 0
    orders: int = 0  # in proven parts
    export: str | None = None
    place: bulk.Place = field(default_factory=bulk.Place)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        place = self.place
        at = {"byte": place.byte, "lines": place.lines, "roots": place.roots}
        return {
            "parts": [list(one) for one in self.parts],
            "kind": self.kind,
            "part": self.part,
            "orders": self.orders,
            "export": self.export,
            "place": at,
        }

    @classmethod
    def from_json(cls, data: Any) -> Cursor:
        """Read what `as_json` wrote."""
        parts = tuple((str(since), str(until)) for since, until in data["parts"])
        place = bulk.Place(**data["place"])
        return cls(parts, data["kind"], data["part"], data["orders"], data["export"], place)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The part that is being read, as instants."""
        since, until = self.parts[0]
        return datetime.fromisoformat(since), datetime.fromisoformat(until)

    def anew(self) -> Cursor:
        """The same part, from the beginning of a new export."""
        return replace(self, export=None, place=bulk.Place())


def basis(tx: Transaction, tenant: str, cut_off: datetime | None) -> str:
    """What a plan rests on besides orders and books, as a hash: all profile versions, the cut-off, drafts only or not.

    `cut_off`: as if that were the tenant's.
    """
    owner = tenants.get(tx, tenant)
    told: list[object] = [(cut_off or owner.cut_off).isoformat(), owner.draft_only]
    told += [[one.version, one.effective_from.isoformat(), one.profile] for one in tenants.profiles(tx, tenant)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


@working_as(Priority.BACKFILL)
def plan(
    ctx: Context,
    tenant: str,
    since: date,
    until: date,
    *,
    move_cut_off: bool = False,
    by: str = "operator",
    seen: Seen = lambda planned, counted: None,
) -> Backfill:
    """Plan the days [since, until), or go on where a planning of them was killed.

    `move_cut_off`: plan as if the tenant's cut-off were the first of these days; starting then moves it there.
    Raises NeedsAttention("ORDERS-HIDDEN") when Shopify would hide a part of them, UsageError("BACKFILL-CUT-OFF"
    | "BACKFILL-OPEN"), Retryable("BULK-INCOMPLETE" | …) when the shop's export cannot be used now.
    """
    period = period_of(ctx, tenant, since, until)
    _must_be_seen(ctx, tenant, period)
    found = _begun(ctx, tenant, period, move_cut_off=move_cut_off, by=by)
    cursor, tries = Cursor.from_json(found.cursor), 0
    while cursor.parts:
        tries += 1
        before = cursor.part
        cursor = _part(ctx, found, cursor, seen, last=tries >= _TRIES)
        tries = 0 if cursor.part > before else tries
    now = ctx.clock()

    def finish(tx: Transaction) -> Backfill:
        if backfills.move(tx, tenant, found.id, ("planning",), "planned", now):
            sentence = f"A backfill of {since} until before {until} was planned."
            audit.append(tx, tenant, now, actor=by, event="backfill.planned", subject=found.id, sentence=sentence)
        made = backfills.get(tx, tenant, found.id)
        assert made is not None
        return made

    return ctx.door(tenant).run(Store.BOOKS, finish)


def _must_be_seen(ctx: Context, tenant: str, period: Period) -> None:
    hidden = hidden_until(ctx, tenant, period)
    if hidden is None:
        return
    day = hidden.astimezone(period.start.tzinfo).date() + timedelta(days=1)
    raise NeedsAttention(
        "ORDERS-HIDDEN",
        f"the app may not see orders before {hidden:%Y-%m-%d %H:%M} UTC: the scope read_all_orders is missing",
        choices=("grant read_all_orders", f"begin on {day} or later"),
    )


def _begun(ctx: Context, tenant: str, period: Period, *, move_cut_off: bool, by: str) -> Backfill:
    """The planning of this period that was begun and not finished, or a new one."""
    now, door = ctx.clock(), ctx.door(tenant)
    new_id = f"{now:%Y%m%d}-{ctx.new_id()[:8]}"

    def begin(tx: Transaction) -> Backfill:
        owner = tenants.get(tx, tenant)
        cut_off = _moved(owner, period) if move_cut_off else None
        known, rests_on = backfills.get(tx, tenant), basis(tx, tenant, cut_off)
        if known is not None and known.state in ("running", "paused"):
            message = f"the backfill {known.id} is {known.state}; let it end, or cancel it"
            raise UsageError("BACKFILL-OPEN", message)
        if known is not None and known.state == "planning":
            asked = (period.since, period.until, cut_off, rests_on)
            if (known.since, known.until, known.cut_off, known.basis) == asked:
                return known
        cursor = Cursor(((period.start.isoformat(), period.end.isoformat()),))
        since, until, told = period.since, period.until, cursor.as_json()
        backfills.begin(tx, tenant, new_id, since, until, cut_off=cut_off, basis=rests_on, cursor=told, now=now)
        made = backfills.get(tx, tenant, new_id)
        assert made is not None
        return made

    return door.run(Store.BOOKS, begin)


def _moved(owner: tenants.Tenant, period: Period) -> datetime | None:
    """The cut-off that takes in the period; None when it does already. What lies between must not be left out."""
    if period.start >= owner.cut_off:
        return None
    if period.end < owner.cut_off:
        message = (
            f"orders from {period.until} until {owner.cut_off:%Y-%m-%d} would become ours without being taken over"
        )
        raise UsageError("BACKFILL-CUT-OFF", f"{message}: end the period on {owner.cut_off:%Y-%m-%d} or later")
    return period.start


# -- one part of the period ---------------------------------------------------------------------------------------


def _part(ctx: Context, found: Backfill, cursor: Cursor, seen: Seen, *, last: bool) -> Cursor:
    """One export, waited for, read and proven; or the part cut in halves. Returns the cursor to go on with."""
    tenant, execute = found.tenant, ctx.shopify(found.tenant).execute
    cursor = _exported(ctx, found, cursor)
    assert cursor.export is not None
    try:
        export = bulk.wait(execute, cursor.export, ctx.sleep, ctx.chance, _LONGEST)
    except Rejected as error:
        if error.code != "SHOPIFY-SCOPE" or cursor.kind == "heads":
            raise
        return _drop(ctx, found, replace(cursor.anew(), kind="heads"))  # a scope for one field fails the whole export
    if export.state != "done":
        return _otherwise(ctx, found, cursor, export, last=last)
    try:
        cursor = _read(ctx, found, cursor, export, seen)
    except Retryable as error:
        if error.code == "BULK-INCOMPLETE":
            told = error.detail
            facts = {"expected": int(str(told.get("objects", 0))), "read": int(str(told.get("lines", 0)))}
            _drop(ctx, found, cursor.anew(), facts)
        elif error.code == "BULK-EXPIRED" and not last:
            return _drop(ctx, found, cursor.anew())
        raise
    done = replace(cursor.anew(), parts=cursor.parts[1:], part=cursor.part + 1, orders=cursor.orders + export.roots)

    def keep(tx: Transaction) -> bool:
        alarms.end_alarm(tx, tenant, "BULK-COUNT", _SUBJECT, ctx.clock())
        return backfills.proven(tx, tenant, found.id, done.as_json())

    _still(ctx.door(tenant).run(Store.BOOKS, keep))
    return done


def _exported(ctx: Context, found: Backfill, cursor: Cursor) -> Cursor:
    """The cursor with an export under way; where the ledger is not exported, with one of the orders' ids."""
    if cursor.export is not None:
        return cursor
    execute = ctx.shopify(found.tenant).execute
    try:
        made = bulk.begin(execute, bulk.query_of(cursor.kind, *cursor.bounds))
    except Rejected as error:
        if error.code != "BULK-REFUSED" or cursor.kind == "heads":
            raise
        return _exported(ctx, found, replace(cursor, kind="heads"))
    return _aim(ctx, found, replace(cursor, export=made, place=bulk.Place()))


def _otherwise(ctx: Context, found: Backfill, cursor: Cursor, export: bulk.Export, *, last: bool) -> Cursor:
    """What to do when an export gave nothing: again, in halves, or not at all."""
    since, until = cursor.bounds
    if export.split and until - since > _SHORTEST:
        middle = (since + (until - since) / 2).replace(microsecond=0)
        halves = ((since.isoformat(), middle.isoformat()), (middle.isoformat(), until.isoformat()))
        return _drop(ctx, found, replace(cursor.anew(), parts=(*halves, *cursor.parts[1:])))
    if last:
        raise Retryable("BULK-FAILED", f"Shopify's export ended as {export.status} ({export.error or 'no reason'})")
    return _drop(ctx, found, cursor.anew())


def _read(ctx: Context, found: Backfill, cursor: Cursor, export: bulk.Export, seen: Seen) -> Cursor:
    """Plan every order of the file from the cursor's place on; the cursor behind the last one."""
    portion: list[tuple[Planned, Totals]] = []

    def keep(cursor: Cursor) -> None:
        first = cursor.orders + cursor.place.roots - len(portion)
        told, now = cursor.as_json(), ctx.clock()
        _still(
            ctx.door(found.tenant).run(
                Store.BOOKS,
                lambda tx: backfills.keep(tx, found.tenant, found.id, cursor.part, first, portion, told, now),
            )
        )
        portion.clear()
        seen(cursor.place.roots, export.roots)

    for one in bulk.read(ctx.shopify(found.tenant).open_file, export, cursor.place):
        item, why = _planned(ctx, found, one)
        totals: Totals = Totals()
        count(totals, item, why)
        portion.append((_row(item), totals))
        cursor = replace(cursor, place=one.behind)
        if len(portion) >= _PORTION:
            keep(cursor)
    if portion:
        keep(cursor)
    return cursor


def _planned(ctx: Context, found: Backfill, one: bulk.Exported) -> tuple[OrderPreview, str | None]:
    """The plan of an exported order, and why it was read by itself, if it was."""
    name, why = str(one.raw.get("name") or one.id), bulk.needs(one.raw)
    if why is not None:
        return look(ctx, found.tenant, one.id, name, found.cut_off), why
    try:
        order = order_from_envelope(one.envelope())
    except Rejected as error:
        return unreadable(one.id, name, error.code), None
    if order.gaps:
        return look(ctx, found.tenant, one.id, name, found.cut_off), "gaps"
    return look_at(ctx, found.tenant, order, found.cut_off), None


def _row(item: OrderPreview) -> Planned:
    due = sorted({step.kind for step in item.steps if step.due})
    said = [*due, *item.waiting, *item.attention, *([item.excluded] if item.excluded else [])]
    return Planned(
        item.order_id,
        item.name,
        item.processed_at,
        item.updated_at,
        len(item.applied),
        expected(item),
        " ".join([*said, *([item.unreadable] if item.unreadable else [])]),
        needs_settling(item),
    )


def _aim(ctx: Context, found: Backfill, cursor: Cursor) -> Cursor:
    _still(
        ctx.door(found.tenant).run(Store.BOOKS, lambda tx: backfills.aim(tx, found.tenant, found.id, cursor.as_json()))
    )
    return cursor


def _drop(ctx: Context, found: Backfill, cursor: Cursor, short: Mapping[str, str | int] | None = None) -> Cursor:
    """Nothing of the part counts; `short` are the facts of an alarm."""

    def drop(tx: Transaction) -> bool:
        if short is not None:
            alarms.raise_alarm(tx, found.tenant, "BULK-COUNT", _SUBJECT, ctx.clock(), short)
        return backfills.unproven(tx, found.tenant, found.id, cursor.part, cursor.as_json())

    _still(ctx.door(found.tenant).run(Store.BOOKS, drop))
    return cursor


def _still(planning: bool) -> None:
    if not planning:
        raise UsageError("BACKFILL-OPEN", "the planning was ended from elsewhere")
