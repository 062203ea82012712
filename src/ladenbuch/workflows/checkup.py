"""Once a day each active tenant's connection is looked at as the doctor does, and compared with the day before.

    due ──► claim ──► scopes read again ──► examine ──► compared, kept, said ──► due tomorrow
              │ dies: due again in a quarter of an hour      │ a side does not answer: again in an hour

Automatic assignment that was switched on on an account of ours is switched off again (bookkeeping 4.2).

A change is a line in the audit chain. A token sevdesk refuses stops writing at once, not with the next order; one it
takes again ends that stop. What Shopify refuses is said by `tokens.lose`, whoever asks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from ladenbuch import alarms, audit, checkups, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.compared import Change, carried, changes
from ladenbuch.domain.connected import Finding
from ladenbuch.domain.profile import LINED_MODES, profile_at
from ladenbuch.errors import LadenbuchError
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import lockout, scopes
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.readiness import Mail, examine

log = logging.getLogger(__name__)

DAILY, _AGAIN = timedelta(days=1), timedelta(hours=1)
#: The day is moved by up to this much to either side, so that many tenants do not come in one minute.
_JITTER = timedelta(hours=1)
#: How long a look may take before somebody else may begin it anew.
_CLAIM = timedelta(minutes=15)
#: Looks in one firing of the tick: a thousand tenants fit into a few hours, and none waits behind all of them.
MOST = 20
#: What sevdesk's door says when it does not let us in (see `readiness.refusal`).
_SHUT = frozenset(
    {
        "SEVDESK-TOKEN-MISSING",
        "SEVDESK-TOKEN-FORM",
        "SEVDESK-TOKEN-WRONG",
        "SEVDESK-TOKEN-REVOKED",
        "SEVDESK-FORBIDDEN",
    }
)
#: And what is said when Shopify's is shut.
_SHOP_SHUT = frozenset({"SHOPIFY-RECONNECT", "SHOPIFY-TOKEN"})
_LACKS = "CONNECTION-LACKS"
_BY = "checkup"


def check_all(ctx: Context, mail: Mail) -> int:
    """A tick: look at those that are due, longest first; one tenant's trouble does not stop the others. How many."""
    now, done = ctx.clock(), 0

    def read(tx: Transaction) -> tuple[list[str], dict[str, datetime]]:
        return [one.id for one in tenants.all(tx) if one.state == "active"], checkups.times(tx)

    active, times = ctx.database.system("checkup").read(Store.BOOKS, read)
    for tenant in active:
        if tenant not in times:
            first = now + _JITTER * ctx.chance()
            ctx.door(tenant).run(Store.BOOKS, lambda tx, t=tenant, at=first: checkups.plan(tx, t, at))  # type: ignore[misc]
    due = sorted((times[tenant], tenant) for tenant in active if tenant in times and times[tenant] <= now)
    for _, tenant in due[:MOST]:
        until = ctx.clock() + _CLAIM
        if not ctx.door(tenant).run(Store.BOOKS, lambda tx, t=tenant, u=until: checkups.claim(tx, t, ctx.clock(), u)):  # type: ignore[misc]
            continue
        done += _tried(ctx, tenant, mail)
    return done


def _tried(ctx: Context, tenant: str, mail: Mail) -> bool:
    with bound(trace=f"checkup-{ctx.clock():%Y%m%dT%H%M%S}", tenant=tenant):
        try:
            check(ctx, tenant, mail)
            return True
        except LadenbuchError as error:
            code = error.code
            log.warning("a look at a connection failed", extra={"code": code})
        except Exception:
            code = "BUG"
            log.exception("a look at a connection failed")
        again = ctx.clock() + _AGAIN
        ctx.door(tenant).run(Store.BOOKS, lambda tx: checkups.failed(tx, tenant, code, again))
        return False


@working_as(Priority.BACKFILL)
def check(ctx: Context, tenant: str, mail: Mail) -> list[Finding]:
    """Look at one tenant now, keep what was found, and do what follows; the findings come back.

    Raises what cannot be expected; a side that refuses or does not answer is a finding.
    """
    try:
        if scopes.reread(ctx, tenant):
            ctx.subscribe(tenant)
    except LadenbuchError as error:  # a finding says why
        log.info("scopes could not be read", extra={"tenant": tenant, "code": error.code})
    found = examine(ctx, tenant, mail)
    done = _leave_alone(ctx, tenant, found)
    found = [item for item in found if item not in done]
    keep(ctx, tenant, found)
    return found


def _leave_alone(ctx: Context, tenant: str, found: Sequence[Finding]) -> list[Finding]:
    """Switch automatic assignment off on accounts of ours, where somebody switched it on (bookkeeping 4.2); the
    findings that are done with. On accounts a feed fills it is the merchant's to decide."""

    def may(tx: Transaction) -> bool:
        return tenants.standing(tx, tenant) == "active" and tenants.stopped(tx, tenant) is None

    on = [item for item in found if item.code == "ACCOUNT-AUTO-MAP"]
    fed = {item.about for item in found if item.code == "DOUBLE-FEED"}
    if not on or not ctx.door(tenant).read(Store.BOOKS, may):
        return []
    gateways = profile_at(ctx.profiles(tenant), ctx.clock()).gateways
    done = []
    for item in on:
        gateway = gateways.get(item.about)
        if gateway is None or gateway.mode not in LINED_MODES or gateway.account is None or item.about in fed:
            continue
        account = gateway.account
        ctx.sevdesk(tenant).stop_auto_mapping(account)
        done.append(item)
        sentence = f"Automatic assignment was switched off on account {account}: {item.about} is booked by us alone."
        ctx.door(tenant).run(
            Store.BOOKS,
            lambda tx, told=sentence, about=account: audit.append(  # type: ignore[misc]
                tx, tenant, ctx.clock(), actor=_BY, event="account.auto_map", subject=about, sentence=told
            ),
        )
    return done


def keep(ctx: Context, tenant: str, found: Sequence[Finding]) -> None:
    """Keep findings of now, whoever asked for them; a change since the last ones is said once, in the audit chain."""
    now = ctx.clock()
    tomorrow = now + DAILY + _JITTER * (2 * ctx.chance() - 1)
    silent = next((item.code for item in found if item.later), None)

    def write(tx: Transaction) -> bool:
        if tenants.standing(tx, tenant) in ("uninstalled", "redacted"):
            return False  # it left while we looked
        known = checkups.get(tx, tenant)
        if silent is not None:
            checkups.failed(tx, tenant, silent, now + _AGAIN)
            return True
        before = () if known is None else known.findings
        after = carried(before, found)
        new = changes(before, after) if known is not None and known.checked_at is not None else []
        checkups.put(tx, tenant, after, new, now, tomorrow)
        _alarm(tx, tenant, after, new, now)
        if new:
            sentence = f"The connection changed: {'; '.join(item.english for item in new)}."
            audit.append(tx, tenant, now, actor=_BY, event="READINESS_CHANGED", subject=tenant, sentence=sentence)
        return True

    if not ctx.door(tenant).run(Store.BOOKS, write):
        return
    codes = {item.code for item in found}
    if codes & _SHUT:
        lockout.lock_out(ctx, tenant, by=_BY, subject=tenant)
    elif "SEVDESK" in codes:
        lockout.let_in(ctx, tenant, by=_BY)


def _alarm(tx: Transaction, tenant: str, found: Sequence[Finding], new: Sequence[Change], now: datetime) -> None:
    """Something is missing at a tenant that is live, and was not yesterday. A refused token has an alarm of its own,
    and what somebody forced the start in spite of is none."""
    missing = {item.code for item in found if item.level == "missing"}
    for one in alarms.open_alarms(tx, tenant):
        if one.kind == _LACKS and one.subject not in missing:
            alarms.end_alarm(tx, tenant, _LACKS, one.subject, now)
    if tenants.get(tx, tenant).draft_only:
        return
    for item in new:
        code = item.finding.code
        if item.came and code in missing - _SHUT - _SHOP_SHUT:
            alarms.raise_alarm(tx, tenant, _LACKS, code, now, {"code": code})
