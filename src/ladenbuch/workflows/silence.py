"""What nobody says: webhooks that do not come, polls that fail, orders nobody tries, a shop that sells nothing.

`listened` is called by each poll with what it saw, `look_around` is a tick. Both ask the stores alone, so that they
find out what is silent when everything else is; the verdicts are those of `domain.silence`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ladenbuch import books, grants, inbox, tenants
from ladenbuch.alarms import HOUSE, Alarm, end_alarm, open_alarms, raise_alarm
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.silence import Change, Verdict, few, overdue, unheard
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows import lockout
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

#: Under which name the inbox remembers a tenant's last successful poll.
POLLED = "polled"
#: A delivery may be dated so much before the change it tells of: Shopify's parts do not share one clock.
_SPARE = timedelta(seconds=2)
#: How often a shop's orders are counted, and how late an order may reach the books without being missed.
_COUNTED_EVERY, _LATE = timedelta(minutes=20), timedelta(minutes=10)
_WEEK = timedelta(days=7)

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at the stores gave, of all tenants."""

    owners: list[tenants.Tenant]
    lost: frozenset[str]
    stops: Mapping[str, str]
    open: Mapping[Key, Alarm]
    polled: Mapping[str, datetime]
    untried: Mapping[str, datetime]


# -- told by others ----------------------------------------------------------------------------------------------------


def listened(ctx: Context, owner: tenants.Tenant, changes: Mapping[str, datetime]) -> None:
    """A poll saw these orders change, at those instants of the shop's clock: did webhooks tell of them?

    What happened before the shop or this process was listening is left out. Nothing is said where no webhook is
    expected: without an address of ours, or where a filter keeps some of them away.
    """
    if not ctx.hears:
        return
    since = max(owner.state_since, ctx.begun or owner.state_since)
    heard_of = {gid: at for gid, at in changes.items() if at >= since}
    if not heard_of:
        return
    tenant, door = owner.id, ctx.door(owner.id)

    def read(tx: Transaction) -> tuple[set[str], datetime | None]:
        return inbox.told(tx, tenant, heard_of, _SPARE), inbox.last_told(tx, tenant)

    told, last = door.read(Store.INBOX, read)
    now = ctx.shopify(tenant).in_shop_time(ctx.clock())
    found = unheard([Change(at, gid in told) for gid, at in heard_of.items()], last, now, ctx.thresholds)
    known = {(one.tenant, one.kind, one.subject) for one in door.read(Store.BOOKS, lambda tx: open_alarms(tx, tenant))}
    _say(ctx, tenant, "WEBHOOKS-SILENT", "", found.verdict, {"count": found.count}, known)


# -- the tick ----------------------------------------------------------------------------------------------------------


def look_around(ctx: Context, fallen: Callable[[], Mapping[str, str | None]] = dict) -> int:
    """Look at every tenant, raise and end alarms; how many were raised. One tenant's trouble does not stop the others.

    `fallen`: of each shop this process has asked, the version of the API that answered where it was another one.
    """
    seen, raised = _look(ctx), 0
    for owner in seen.owners:
        try:
            if owner.state in ("uninstalled", "redacted"):
                _forget(ctx, owner.id, seen)
                continue
            for kind, subject, verdict, facts in _of(ctx, owner, seen):
                raised += _say(ctx, owner.id, kind, subject, verdict, facts, seen.open)
        except LadenbuchError as error:
            log.warning("silence was not looked into", extra={"tenant": owner.id, "code": error.code})
    return raised + _versions(ctx, fallen(), seen)


def _look(ctx: Context) -> _Seen:
    system = ctx.database.system("silence")

    def of_books(tx: Transaction) -> tuple[list[tenants.Tenant], frozenset[str], dict[str, str], list[Alarm]]:
        lost = frozenset(one.tenant for one in grants.all(tx) if one.needs_reconnect is not None)
        return tenants.all(tx), lost, tenants.stops(tx), open_alarms(tx)

    owners, lost, stops, current = system.read(Store.BOOKS, of_books)
    polled, untried = system.read(Store.INBOX, lambda tx: (inbox.noted(tx, POLLED), inbox.oldest_untried(tx)))
    return _Seen(owners, lost, stops, {(one.tenant, one.kind, one.subject): one for one in current}, polled, untried)


def _of(ctx: Context, owner: tenants.Tenant, seen: _Seen) -> Iterable[tuple[str, str, Verdict, dict[str, str | int]]]:
    """The verdicts about one tenant: kind, subject, verdict, facts."""
    tenant, now, active = owner.id, ctx.clock(), owner.state == "active"
    lost: Verdict = "on" if tenant in seen.lost else "off"
    yield "TOKEN-REFUSED", "shopify", lost, {"service": "Shopify"}
    stop = seen.stops.get(tenant)  # behind somebody else's stop nobody knows; the daily look asks sevdesk
    locked: Verdict = "off" if stop is None else "on" if stop == lockout.REASON else "as it was"
    yield "TOKEN-REFUSED", "sevdesk", locked, {"service": "sevdesk"}
    begun = ctx.begun or now
    since = max(owner.state_since, begun)
    interval = timedelta(seconds=ctx.timing.poll_seconds)
    verdict, minutes = overdue(max(seen.polled.get(tenant, since), since), now, interval * float(ctx.thresholds.polls))
    blind = verdict == "on" and active
    yield "POLL-STALE", "", "on" if blind else "off", {"minutes": minutes}
    waiting = seen.untried.get(tenant)
    verdict, minutes = ("off", 0) if waiting is None else overdue(max(waiting, since), now, ctx.thresholds.untried)
    late = verdict == "on" and active
    yield "QUEUE-OLD", "", "on" if late else "off", {"minutes": minutes}
    if not active:
        yield "WEBHOOKS-SILENT", "", "off", {"count": 0}
        yield "ORDERS-FEW", "", "off", {"count": 0, "hours": 0, "least": 0}
    elif not (blind or late) and _counts(ctx, tenant, now):
        found = few(*_sales(ctx, owner, now), ctx.thresholds)
        yield "ORDERS-FEW", "", found.verdict, {"count": found.count, "hours": found.hours, "least": found.least}


def _counts(ctx: Context, tenant: str, now: datetime) -> bool:
    take = ctx.door(tenant).run
    return take(Store.INBOX, lambda tx: inbox.take_turn(tx, tenant, "turn:count", now, _COUNTED_EVERY))


def _sales(ctx: Context, owner: tenants.Tenant, now: datetime) -> tuple[Mapping[int, int], int]:
    """How many orders came in each hour back from now, as far as the earlier weeks go; and how many weeks are known."""
    weeks = ctx.thresholds.weeks
    until = now - _LATE
    since = until - _WEEK * (weeks + 1)
    read = ctx.door(owner.id).read
    hours = read(Store.BOOKS, lambda tx: books.orders_by_hour(tx, owner.id, since, until))
    return hours, min(weeks, max(0, (until - owner.cut_off) // _WEEK))


def _forget(ctx: Context, tenant: str, seen: _Seen) -> None:
    """Nobody works for this tenant any more: nothing about it is a reason for alarm."""
    for owner, kind, subject in seen.open:
        if owner == tenant:
            _say(ctx, tenant, kind, subject, "off", {}, seen.open)


def _versions(ctx: Context, answered: Mapping[str, str | None], seen: _Seen) -> int:
    """Shopify serves a version it no longer has by another one, without an error (facts 1.1)."""
    others = sorted({version for version in answered.values() if version is not None})
    if not answered:
        return 0
    verdict: Verdict = "on" if others else "off"
    facts = {"found": others[0] if others else "", "wanted": ctx.api_version}
    return _say(ctx, HOUSE, "VERSION-FELL", "", verdict, facts, seen.open)


def _say(
    ctx: Context,
    tenant: str,
    kind: str,
    subject: str,
    verdict: Verdict,
    facts: Mapping[str, str | int],
    known: Iterable[Key] | None = None,
) -> int:
    """Raise or end an alarm; 1 when it is new. `known`: the open ones, where somebody has just looked."""
    now = ctx.clock()
    if verdict == "as it was" or (verdict == "off" and known is not None and (tenant, kind, subject) not in known):
        return 0
    door = ctx.database.system("silence") if tenant == HOUSE else ctx.door(tenant)
    if verdict == "on":
        return int(door.run(Store.BOOKS, lambda tx: raise_alarm(tx, tenant, kind, subject, now, facts)))
    door.run(Store.BOOKS, lambda tx: end_alarm(tx, tenant, kind, subject, now))
    return 0
