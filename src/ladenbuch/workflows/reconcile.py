"""Hold shop, books and sevdesk against each other, mend what may be mended without a person, and say what is left.

    look        a period's three lists (`certify.month_of`), or what changed lately; each difference by name
    look again  what was seen before and is not found now, one by one and by id: a list is no proof that a thing is gone
    cure        what was seen twice, a quarter of an hour apart (R17), and has a cure (`domain.reconciling`)
    report      kept, with the state of every difference; an alarm while only a person can go on

Curing is wanting the order through the one door every path uses; `settle` does the rest, behind live traffic. Two
things alone are done here: writing down that a document stands beside ours, and deleting a draft of ours that was left
behind.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ladenbuch import alarms, audit, books, reconciliations, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import Hand
from ladenbuch.domain.month import ORDER, Month
from ladenbuch.domain.period import certify, compare
from ladenbuch.domain.profile import profile_at
from ladenbuch.domain.reconciling import (
    APART,
    BESIDE,
    DELETE,
    HUMAN,
    Discrepancy,
    Item,
    Report,
    Sighting,
    discrepancies,
    of_hand,
    place,
    state_of,
)
from ladenbuch.domain.reconciling_lines import LINKED, lines_off
from ladenbuch.errors import Rejected
from ladenbuch.sevdesk.credit_notes import credit_note_hash
from ladenbuch.sevdesk.documents import content_hash
from ladenbuch.sevdesk.listing import Kind, ListedDocument
from ladenbuch.workflows.certify import Theirs, Told, month_of, patiently
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.double_money import still_twice, twice
from ladenbuch.workflows.month_books import Kept, known_hands, linked_lines, read_orders, whose_money, with_ids
from ladenbuch.workflows.preview import Period, follow, period_of, want

log = logging.getLogger(__name__)

_BY = "reconcile"
#: Days listed where sevdesk does not say what changed lately.
_LATELY = timedelta(days=3)
_KINDS: tuple[Kind, ...] = ("Invoice", "CreditNote")
#: Sorts about lines on accounts, not about documents.
_LINES = ("elsewhere", "twice")
#: Pairs of lines that a look at changes asks for again; more are left to the night.
_ASKED_AGAIN = 20
#: How long a difference is looked at with every look at changes; later every night, and when its question is answered.
_FRESH = timedelta(hours=1)


@dataclass(slots=True)
class _Look:
    """What one look found: differences by mark, and how much was compared."""

    found: dict[str, Discrepancy]
    orders: int = 0
    documents: int = 0


# -- looks --------------------------------------------------------------------------------------------------------


def reconcile(
    ctx: Context,
    tenant: str,
    since: date,
    until: date,
    *,
    kind: str = "demand",
    fix: bool = False,
    wait: float = 0.0,
    told: Told = lambda what: None,
) -> Report:
    """Look at everything dated in the days [since, until), month by month; the report is kept.

    `fix`: what was seen twice is cured, and followed for `wait` seconds. Raises what the clients raise when a service
    stays away: a list with a gap proves nothing, and no report is made of it.
    """
    started, look = ctx.clock(), _Look({})
    hands = known_hands(ctx, tenant)
    for start, end in _months(since, until):
        period = period_of(ctx, tenant, start, end)
        month = month_of(ctx, tenant, period, APART, told)
        made = certify(month)
        found = discrepancies(month, made, hands)
        told("payments in sevdesk")
        found += _lines(ctx, tenant, period, {item.key for item in found if item.key is not None})
        told("money on other accounts")
        found += twice(ctx, tenant, period)
        for item in found:
            look.found.setdefault(item.mark, item)
        look.orders += len(made.orders)
        look.documents += made.compared
    told("what was seen before")
    return _reported(ctx, tenant, look, kind, started, (since, until), fix=fix, wait=wait)


@working_as(Priority.BACKFILL)
def _lines(ctx: Context, tenant: str, period: Period, excused: Collection[str]) -> list[Discrepancy]:
    """Payments we linked on the days of a period that are not linked any more; what no list shows, by its id."""
    ours = linked_lines(ctx, tenant, period, ctx.clock() - APART)
    sevdesk, statuses = ctx.sevdesk(tenant), dict[str, int | None]()
    for account in sorted({item.account for item in ours}):
        days = period.since - _LATELY, period.until + timedelta(days=2)
        for line in sevdesk.lines(account, *days, lambda read: patiently(ctx, read)):
            statuses[line.id] = line.status
    for item in ours:
        if statuses.get(item.id) is None:
            statuses[item.id] = _status(ctx, tenant, item.id)
    return lines_off(ours, statuses, excused)


def _status(ctx: Context, tenant: str, id_: str) -> int | None:
    line = patiently(ctx, lambda: ctx.sevdesk(tenant).get_transaction(id_))
    return None if line is None or line.deleted else line.status


def look_at_changes(ctx: Context, tenant: str, since: datetime, *, fix: bool = True) -> Report:
    """Look at the documents that changed in sevdesk since an instant, and at what was seen before."""
    started = ctx.clock()
    rows = _changed(ctx, tenant, since)
    look = _look_at(ctx, tenant, rows)
    return _reported(ctx, tenant, look, "rolling", started, None, fix=fix, wait=0.0)


def _months(since: date, until: date) -> Iterable[tuple[date, date]]:
    while since < until:
        end = min((since.replace(day=1) + timedelta(days=32)).replace(day=1), until)
        yield since, end
        since = end


@working_as(Priority.BACKFILL)
def _changed(ctx: Context, tenant: str, since: datetime) -> list[ListedDocument]:
    """What sevdesk says changed; where that is not heard, what is dated lately."""
    sevdesk, found = ctx.sevdesk(tenant), list[ListedDocument]()
    today = ctx.clock().date()
    for kind in _KINDS:
        try:
            found += list(sevdesk.changed(kind, since, lambda read: patiently(ctx, read)))
        except Rejected as error:
            if error.code != "SEVDESK-IMPLAUSIBLE":
                raise
            days = today - _LATELY, today + timedelta(days=2)
            found += list(sevdesk.listed(kind, *days, lambda read: patiently(ctx, read)))
    return found


@working_as(Priority.BACKFILL)
def _look_at(
    ctx: Context,
    tenant: str,
    rows: Sequence[ListedDocument],
    order_ids: Iterable[str] = (),
    held: Collection[str] = (),
) -> _Look:
    """Compare some documents of sevdesk, some orders with all their documents, and some documents by their ids."""
    now, profiles = ctx.clock(), ctx.profiles(tenant)
    profile = profile_at(profiles, now)
    kept, theirs = Kept(zone=ZoneInfo(profile.time_zone)), Theirs(ctx, ctx.sevdesk(tenant), lambda what: None)
    for row in rows:
        theirs.keep(row)
    for one in held:
        if one not in theirs.found:
            theirs.one(*one.split("/"))
    today = profile.local_date(now)
    month = Month(
        since=date.min,
        until=date.max,
        today=today,
        judged_until=now - APART,
        go_live=profiles[0].go_live,
        shop_keys=frozenset(item.shop_key for item in profiles),
    )
    period = Period(today, today, profile.time_zone, now, now)
    ripe = [item for item in theirs.found.values() if not month.young(item)]
    ours = with_ids(ctx, tenant, kept, (item.id for item in ripe), period)
    asked_for = set(order_ids)
    wanted = {item.order_id for item in ours} | asked_for
    pointed = (month.order_number(item.note) for item in ripe)
    wanted |= {f"{ORDER}{number}" for number in pointed if number is not None}
    read_orders(ctx, tenant, wanted, kept)
    ours = list(kept.documents.values())
    theirs.complete(ours, held)
    ours = whose_money(ctx, tenant, profiles, ours, theirs.found)
    month = replace(month, known=tuple(kept.known), ours=tuple(ours), theirs=tuple(theirs.found.values()))
    made = compare(month, asked_for)
    found = {item.mark: item for item in discrepancies(month, made, known_hands(ctx, tenant))}
    return _Look(found, len(kept.known), made.compared)


@working_as(Priority.BACKFILL)
def _again(ctx: Context, tenant: str, seen: Sequence[Sighting]) -> dict[str, Discrepancy]:
    """Which of these are still there: their orders and documents are read anew, by id."""
    marks = {item.discrepancy.mark for item in seen}
    orders = {item.discrepancy.order_id for item in seen if item.discrepancy.order_id is not None}
    held = {one.held for one in (item.discrepancy for item in seen) if one.held and one.sort not in _LINES}
    look = _look_at(ctx, tenant, (), orders, held)
    still = {mark: item for mark, item in look.found.items() if mark in marks}
    settled = _settled(ctx, tenant, orders)
    for item in seen:
        one = item.discrepancy
        if one.code in ("ORDER-UNKNOWN", "ORDER-CHANGED"):
            there = settled.get(one.order_id or "", item.first_seen) <= item.last_seen
        elif one.sort == "hole":
            there = not _number_exists(ctx, tenant, one.document or "")
        elif one.sort == "unlisted":
            there = _is_hidden(ctx, tenant, one.order_id or "")
        elif one.sort == "twice":
            there = still_twice(ctx, tenant, one)
        elif one.sort == "elsewhere":
            there = (_status(ctx, tenant, (one.held or "").partition("/")[2]) or 0) < LINKED
        else:
            continue
        if there:
            still[one.mark] = one
    return still


def _number_exists(ctx: Context, tenant: str, named: str) -> bool:
    """Whether some document has the (first of the) missing numbers by now."""
    theirs, number = Theirs(ctx, ctx.sevdesk(tenant), lambda what: None), named.partition(" … ")[0]
    return theirs.exists(number, credit=False) or theirs.exists(number, credit=True)


def _is_hidden(ctx: Context, tenant: str, order_id: str) -> bool:
    return patiently(ctx, lambda: ctx.shopify(tenant).updated_at(order_id)) is None


def _settled(ctx: Context, tenant: str, order_ids: Iterable[str]) -> dict[str, datetime]:
    """When each of these orders was last looked at, as far as it ever was."""
    return ctx.door(tenant).read(Store.BOOKS, lambda tx: books.looked_at(tx, tenant, sorted(order_ids)))


# -- sightings, cures, report -------------------------------------------------------------------------------------


def _reported(
    ctx: Context,
    tenant: str,
    look: _Look,
    kind: str,
    started: datetime,
    days: tuple[date, date] | None,
    *,
    fix: bool,
    wait: float,
) -> Report:
    door = ctx.door(tenant)
    seen = door.read(Store.BOOKS, lambda tx: reconciliations.known(tx, tenant))
    missed = [item for mark, item in seen.items() if mark not in look.found]
    carried = [] if days is not None else _carried(ctx, tenant, missed)
    still = _again(ctx, tenant, [item for item in missed if item not in carried])
    still |= {item.discrepancy.mark: item.discrepancy for item in carried}
    look.found |= still
    mended = [item for item in missed if item.discrepancy.mark not in still]
    _note(ctx, tenant, look.found, mended)
    states = _states(ctx, look.found, seen)
    if fix:
        cured = _cure(ctx, tenant, [item for mark, item in look.found.items() if states[mark] == "confirmed"], wait)
        if cured and wait > 0:
            mended += _followed(ctx, tenant, look, cured, wait)
        states = _states(ctx, look.found, door.read(Store.BOOKS, lambda tx: reconciliations.known(tx, tenant)))
    now = ctx.clock()
    first = {mark: item.first_seen for mark, item in seen.items()}
    items = [Item(item, states[mark], first.get(mark, now)) for mark, item in look.found.items()]
    items += [Item(item.discrepancy, "fixed", item.first_seen) for item in mended if item.cured_at is not None]
    items.sort(key=lambda item: place(item.discrepancy))
    since, until = days or (None, None)
    made = Report(tenant, kind, started, now, since, until, look.orders, look.documents, tuple(items))
    door.run(Store.BOOKS, lambda tx: _keep(tx, ctx.new_id(), made))
    return made


def _carried(ctx: Context, tenant: str, missed: Sequence[Sighting]) -> list[Sighting]:
    """Of what a look at changes did not meet, that which is left to the night: seen long ago, and nothing was done
    about it since, neither by us nor, as far as our books know, by a person."""
    now = ctx.clock()
    answered = {of_hand(hand).mark for hand in known_hands(ctx, tenant) if not hand.asked}
    many = sum(item.discrepancy.sort == "twice" for item in missed) > _ASKED_AGAIN
    return [
        item
        for item in missed
        if (many and item.discrepancy.sort == "twice")
        or (now - (item.cured_at or item.first_seen) > _FRESH and item.discrepancy.mark not in answered)
    ]


def _note(ctx: Context, tenant: str, found: dict[str, Discrepancy], mended: Sequence[Sighting]) -> None:
    """Remember what is there, forget what is gone; a document beside ours that is gone is no question any more."""
    now = ctx.clock()

    def write(tx: Transaction) -> set[str]:
        reconciliations.see(tx, tenant, found.values(), now)
        orders: set[str] = set()
        for item in mended:
            one = item.discrepancy
            reconciliations.gone(tx, tenant, one.mark)
            if one.sort in ("doubled", "foreign") and one.held is not None:
                orders |= set(books.forget_beside(tx, tenant, one.sort, one.held.partition("/")[2]))
        return orders

    orders = ctx.door(tenant).run(Store.BOOKS, write)
    if orders:
        want(ctx, tenant, sorted(orders))


def _states(ctx: Context, found: dict[str, Discrepancy], seen: dict[str, Sighting]) -> dict[str, str]:
    now = ctx.clock()
    return {mark: state_of(item, seen.get(mark), now) for mark, item in found.items()}


def _cure(ctx: Context, tenant: str, items: Sequence[Discrepancy], wait: float) -> dict[str, int]:
    """Begin what mends these; the orders that were wanted for it, with the number of each want. Nothing is begun for a
    tenant that is stopped or left."""
    door = ctx.door(tenant)

    def may(tx: Transaction) -> bool:
        return tenants.standing(tx, tenant) == "active" and tenants.stopped(tx, tenant) is None

    if not items or not door.read(Store.BOOKS, may):
        return {}
    now, orders = ctx.clock(), set[str]()
    for item in items:
        if item.cure == DELETE and not _deleted(ctx, tenant, item):
            continue
        if item.order_id is not None:
            orders.add(item.order_id)
        door.run(Store.BOOKS, lambda tx, item=item: _begun(tx, tenant, item, now))  # type: ignore[misc]
    return want(ctx, tenant, sorted(orders)) if orders else {}


def _begun(tx: Transaction, tenant: str, item: Discrepancy, now: datetime) -> None:
    if item.cure == BESIDE and item.held is not None and item.order_id is not None:
        id_ = item.held.partition("/")[2]
        hand = Hand(item.sort, f"beside:{item.key or item.held}", 0, id_, item.document, content=item.held)
        books.record_beside(tx, tenant, item.order_id, [hand], now)
    reconciliations.cured(tx, tenant, item.mark, now)
    what = {DELETE: "was deleted", BESIDE: "was written down"}.get(item.cure, "is looked at again")
    sentence = f"{item.document or item.order_name or item.mark} ({item.sort}) {what}: seen twice, {item.message}."
    audit.append(tx, tenant, now, actor=_BY, event="reconcile", subject=item.order_id or tenant, sentence=sentence)


def _deleted(ctx: Context, tenant: str, item: Discrepancy) -> bool:
    """Delete a draft that was left behind, if it is a draft still, carries the note, and equals what we wrote."""
    assert item.held is not None and item.key is not None
    kind, _, id_ = item.held.partition("/")
    own = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.content_of(tx, tenant, item.key or ""))
    sevdesk = ctx.sevdesk(tenant)
    with working_as(Priority.BACKFILL):
        if kind == "CreditNote":
            note = sevdesk.get_credit_note(id_)
            if note is None or not note.is_draft or credit_note_hash(note, sevdesk.credit_note_positions(id_)) != own:
                return False
            sevdesk.delete_credit_note_draft(id_)
        else:
            draft = sevdesk.get_invoice(id_)
            if draft is None or not draft.is_draft or content_hash(draft, sevdesk.invoice_positions(id_)) != own:
                return False
            sevdesk.delete_draft(id_)
    return True


def _followed(ctx: Context, tenant: str, look: _Look, wanted: dict[str, int], wait: float) -> list[Sighting]:
    """Wait until the cures are done, look at what they were for, and forget what is gone."""
    follow(ctx, tenant, wanted, wait)
    seen = ctx.door(tenant).read(Store.BOOKS, lambda tx: reconciliations.known(tx, tenant))
    cured = [item for item in seen.values() if item.cured_at is not None and item.discrepancy.mark in look.found]
    still = _again(ctx, tenant, cured)
    mended = [item for item in cured if item.discrepancy.mark not in still]
    for item in mended:
        del look.found[item.discrepancy.mark]
    look.found |= still
    _note(ctx, tenant, still, mended)
    return mended


def _keep(tx: Transaction, id: str, made: Report) -> None:
    reconciliations.keep(tx, id, made)
    now = made.ended_at
    left = sum(item.state in HUMAN for item in made.items)
    if left:
        alarms.raise_alarm(tx, made.tenant, "BOOKS-DIFFER", "", now, {"count": left})
    else:
        alarms.end_alarm(tx, made.tenant, "BOOKS-DIFFER", "", now)
