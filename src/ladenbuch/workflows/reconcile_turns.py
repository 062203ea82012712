"""A tick: whose turn it is to be held against sevdesk. Every few minutes what changed there, every night everything.

    turn due ──► claim ──► look, cure what was seen twice ──► report ──► due again
                   │ dies: due again later                      │ a side does not answer: in a quarter of an hour

The night's look covers the open period: from the go-live, the day after the books were closed, or the first day of the
month before the last, whichever is latest.
"""

from __future__ import annotations

import logging
from datetime import date, datetime, time, timedelta

from ladenbuch import reconciliations, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.reconciling import APART
from ladenbuch.errors import LadenbuchError
from ladenbuch.reconciliations import Turn
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import lockout
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.reconcile import look_at_changes, reconcile

log = logging.getLogger(__name__)

#: How far each look at changes reaches back behind the last: what is too young to be judged is met once more.
_OVERLAP = 2 * APART
#: How long a look may take before somebody else may begin it anew.
_CLAIMS = {"rolling": timedelta(minutes=15), "nightly": timedelta(hours=4)}
_AGAIN = timedelta(minutes=15)
#: The night's look begins at this time of the tenant, moved by up to two hours so that many do not come at once.
_NIGHT, _JITTER = time(2, 30), timedelta(hours=2)
#: Looks in one firing of the tick.
MOST = 20


def reconcile_all(ctx: Context, every: float) -> int:
    """Look where it is due, the longest first; one tenant's trouble does not stop the others. How many were looked at.

    `every`: seconds between two looks at changes.
    """
    now, looked = ctx.clock(), 0

    def read(tx: Transaction) -> tuple[list[str], dict[str, Turn]]:
        active = [one.id for one in tenants.all(tx) if one.state == "active"]
        return active, {one.tenant: one for one in reconciliations.all_turns(tx)}

    active, turns = ctx.database.system("reconcile").read(Store.BOOKS, read)
    for tenant in active:
        if tenant not in turns:
            _plan(ctx, tenant, now, every)
    due = [(turn.nightly_due, "nightly", turn) for turn in turns.values() if turn.nightly_due <= now]
    due += [(turn.rolling_due, "rolling", turn) for turn in turns.values() if turn.rolling_due <= now]
    for _, kind, turn in sorted(due, key=lambda one: (one[0], one[2].tenant))[:MOST]:
        if turn.tenant in active:
            looked += _take(ctx, turn, kind, every)
    return looked


def _plan(ctx: Context, tenant: str, now: datetime, every: float) -> None:
    try:
        profile = profile_at(ctx.profiles(tenant), now)
    except LadenbuchError:
        return  # nothing is settled for it yet, so there is nothing to look at
    first, night = now + timedelta(seconds=every), _next_night(ctx, profile, now)
    ctx.door(tenant).run(Store.BOOKS, lambda tx: reconciliations.plan(tx, tenant, first, night, now))


def _take(ctx: Context, turn: Turn, kind: str, every: float) -> bool:
    """One turn; False when another process has it, or it could not be looked."""
    tenant, started = turn.tenant, ctx.clock()
    door, until = ctx.door(tenant), started + _CLAIMS[kind]
    if not door.run(Store.BOOKS, lambda tx: reconciliations.claim(tx, tenant, kind, started, until)):
        return False
    again, seen_until = started + _AGAIN, None
    with bound(trace=f"reconcile-{started:%Y%m%dT%H%M%S}", tenant=tenant):
        try:
            if door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant)) != lockout.REASON:
                _look(ctx, turn, kind)
                again, seen_until = _next(ctx, tenant, kind, every), started if kind == "rolling" else None
        except LadenbuchError as error:
            log.warning("reconciliation postponed", extra={"code": error.code})
        except Exception:
            log.exception("reconciliation failed")
    door.run(Store.BOOKS, lambda tx: reconciliations.done(tx, tenant, kind, again, seen_until))
    return seen_until is not None or again - started > _AGAIN


def _look(ctx: Context, turn: Turn, kind: str) -> None:
    if kind == "rolling":
        made = look_at_changes(ctx, turn.tenant, turn.seen_until - _OVERLAP)
    else:
        made = reconcile(ctx, turn.tenant, *open_period(ctx, turn.tenant), kind="nightly", fix=True)
    told = {"code": made.status, "found": made.found, "fixed": made.fixed}
    log.log(logging.INFO if made.status != "UNRESOLVED" else logging.WARNING, "reconciled", extra=told)


def _next(ctx: Context, tenant: str, kind: str, every: float) -> datetime:
    now = ctx.clock()
    if kind == "rolling":
        return now + timedelta(seconds=every)
    return _next_night(ctx, profile_at(ctx.profiles(tenant), now), now)


def _next_night(ctx: Context, profile: Profile, now: datetime) -> datetime:
    local = now.astimezone(profile.zone)
    night = datetime.combine(local.date(), _NIGHT, profile.zone)
    if night <= local:
        night = datetime.combine(local.date() + timedelta(days=1), _NIGHT, profile.zone)
    return night + _JITTER * ctx.chance()


def open_period(ctx: Context, tenant: str) -> tuple[date, date]:
    """The days [since, until) of which something may still be put right; today is the last of them."""
    now = ctx.clock()
    profiles = ctx.profiles(tenant)
    profile = profile_at(profiles, now)
    today = profile.local_date(now)
    month = today.replace(day=1)
    for _ in range(2):
        month = (month - timedelta(days=1)).replace(day=1)
    since = max(month, profile.local_date(profiles[0].go_live))
    if profile.books_closed_until is not None:
        since = max(since, profile.books_closed_until + timedelta(days=1))
    return min(since, today), today + timedelta(days=1)
