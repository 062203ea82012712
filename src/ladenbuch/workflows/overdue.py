"""Once a day: who is reminded of a payment that did not come (P2). The ladder is the profile's (`domain.overdue`).

Right before anybody is reminded, the bank accounts are looked at and Shopify is asked what is open: a reminder of
money that came this morning is worse than one a day late. Where either cannot be asked, nobody is reminded now. A
level that was promised stands in the history, so that a second run of the day sends nothing.
"""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ladenbuch import audit, books, inbox, money_back, reminders, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.order import Order
from ladenbuch.domain.overdue import Due, reminder
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.errors import LadenbuchError, Retryable
from ladenbuch.money_back import Waiting
from ladenbuch.reminders import Reminded
from ladenbuch.shopify import paying
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import lettering
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.money_back import look

log = logging.getLogger(__name__)

#: The hour of the tenant's day from which on it is looked who is overdue.
_FROM = 9
_CURSOR = "overdue"


@dataclass(frozen=True, slots=True)
class Reminding:
    """An order and the reminder it gets."""

    waits: Waiting
    due: Due


def remind_all(ctx: Context) -> int:
    """Remind for every active tenant that has a ladder and has not been looked at today. How many letters."""
    active = [one for one in ctx.database.system("money back").read(Store.BOOKS, tenants.all) if one.state == "active"]
    found = 0
    for owner in active:
        with bound(trace=f"overdue-{ctx.clock():%Y%m%d}", tenant=owner.id):
            try:
                found += _of_today(ctx, owner.id)
            except LadenbuchError as error:
                log.warning("reminders postponed", extra={"code": error.code})
            except Exception:
                log.exception("reminders failed")
    if found:
        ctx.wake("deliver")
    return found


def _of_today(ctx: Context, tenant: str) -> int:
    now, door = ctx.clock(), ctx.door(tenant)
    profile = profile_at(ctx.profiles(tenant), now)
    local = now.astimezone(profile.zone)
    if not profile.reminders.on or profile.draft_only or local.hour < _FROM:
        return 0
    today = local.date().isoformat()
    if door.read(Store.INBOX, lambda tx: inbox.cursor(tx, tenant, _CURSOR)) == today:
        return 0
    if door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant)) is not None:
        return 0  # what is promised now would go out when it is true no more
    found = remind(ctx, tenant)
    door.run(Store.INBOX, lambda tx: inbox.set_cursor(tx, tenant, _CURSOR, today))
    return found


def remind(ctx: Context, tenant: str) -> int:
    """Remind whoever is to be reminded now; how many letters were promised.

    Raises what the bank accounts' look does, and Retryable where an order could not be asked about: it comes again.
    """
    if not overdue(ctx, tenant):
        return 0
    look(ctx, tenant)
    found, later = 0, None
    for one in overdue(ctx, tenant):
        try:
            found += _promise(ctx, tenant, one)
        except Retryable as error:  # of this order nothing is known now; the others need not wait for it
            log.warning("a reminder was postponed", extra={"code": error.code, "order": one.waits.order_id})
            later = error
    if later is not None:
        raise later
    return found


def overdue(ctx: Context, tenant: str) -> list[Reminding]:
    """The orders that are to be reminded now, and of what."""
    door, profile = ctx.door(tenant), profile_at(ctx.profiles(tenant), ctx.clock())
    today = profile.local_date(ctx.clock())

    def read(tx: Transaction) -> tuple[list[Waiting], dict[str, list[Reminded]], set[str]]:
        waits = money_back.waiting(tx, tenant, owing=True)
        had = reminders.reminded(tx, tenant, [one.order_id for one in waits])
        late = [one.order_id for one in waits if one.due is not None and one.due < today]
        return waits, had, {order for order in late if money_back.claims_of(tx, tenant, order)}

    waits, had, claimed = door.read(Store.BOOKS, read)
    found = []
    for one in waits:
        levels = [(item.level, item.on) for item in had.get(one.order_id, ())]
        invoiced, paused = one.document_key is not None, one.paused
        if one.order_id in claimed:
            paused = "partial"
        due = reminder(profile.reminders, one.due, today, levels, invoiced=invoiced, paused=paused)
        if due is not None:
            found.append(Reminding(one, due))
    return found


def _promise(ctx: Context, tenant: str, one: Reminding) -> int:
    """Promise the letter with its line in the history; 0 where nothing is open any more, or nobody has an address."""
    waits, due = one.waits, one.due
    seen = paying.payable(ctx.shopify(tenant), waits.order_id)
    if seen is None or not seen.can or seen.open < waits.owed:
        now = ctx.clock()
        ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.want(tx, tenant, waits.order_id, now))
        return 0
    order = _known(ctx, tenant, waits.order_id)
    to = None if order is None else order.email or (order.customer.email if order.customer is not None else None)
    if order is None or not to:
        return 0
    day, profile = _today(ctx, tenant)
    key = f"remind:{order.number_id}:{due.level}"
    payload = {
        "level": due.level, "days_overdue": due.days_overdue, "open": waits.owed, "until": due.until.isoformat(),
        "document": waits.document_key, "to": to, "locale": order.locale or "de", "name": _name(order),
        "order": order.name, "amount": order.current_total, "currency": order.currency,
        "due": None if waits.due is None else waits.due.isoformat(),
    }  # fmt: skip
    said = f"Order {order.name} is {due.days_overdue} days overdue: reminder {due.level} was promised."

    def write(tx: Transaction) -> int:
        if tenants.stopped(tx, tenant) is not None:  # or gone, since the day's look began
            return 0
        now = ctx.clock()
        line = Reminded(waits.order_id, due.level, day, due.days_overdue, waits.owed)
        if not profile.letters or not reminders.remind(tx, tenant, line, now):
            return 0
        since = _fell_due(profile, waits, due)
        order_id = waits.order_id
        if not lettering.promise(ctx, tx, tenant, "reminder", key, order_id=order_id, payload=payload, since=since):
            return 0
        audit.append(tx, tenant, now, actor="overdue", event="reminded", subject=waits.order_id, sentence=said)
        return 1

    return ctx.door(tenant).run(Store.BOOKS, write)


def _fell_due(profile: Profile, waits: Waiting, due: Due) -> datetime:
    """Since when this level was to be reminded of: after a backup was put back, an earlier one may have gone out."""
    steps = profile.reminders.prepayment if waits.document_key is None else profile.reminders.invoice
    assert waits.due is not None
    return profile.start_of(waits.due + timedelta(days=steps[due.level - 1]))


def _today(ctx: Context, tenant: str) -> tuple[date, Profile]:
    profile = profile_at(ctx.profiles(tenant), ctx.clock())
    return profile.local_date(ctx.clock()), profile


def _known(ctx: Context, tenant: str, order_id: str) -> Order | None:
    """The order as it was settled last; None where its buyer was forgotten."""
    rows = ctx.door(tenant).read(Store.BOOKS, lambda tx: books.snapshots_of(tx, tenant, [order_id]))
    if order_id not in rows:
        return None
    key_id, sealed = rows[order_id]
    try:
        envelope = zlib.decompress(ctx.unseal(tenant, "snapshot")(order_id, key_id, sealed))
        return order_from_envelope(json.loads(envelope))
    except LadenbuchError:
        return None


def _name(order: Order) -> str:
    address = order.billing_address or order.shipping_address
    return "" if address is None else f"{address.first_name or ''} {address.last_name or ''}".strip()
