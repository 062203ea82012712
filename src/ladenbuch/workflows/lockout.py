"""sevdesk refuses a tenant's token: writing stops, because many failing calls can get a token blocked (facts 1.8, 5.1).

It stops by the first refusal anybody meets, a settle or the daily look, and goes on by the first call that is answered
with the token again; what waited is due at once. A stop by anybody else, or for anything else, is left alone.
"""

from __future__ import annotations

from ladenbuch import alarms, audit, inbox, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.workflows.context import Context

#: The stop's reason: by it we know our own.
REASON = "sevdesk refuses the token; connect the account again"
#: What the alarm is about.
SUBJECT = "sevdesk"
#: The codes under which orders wait meanwhile.
_WAITING = ("STOPPED", "SEVDESK-TOKEN", "SEVDESK-BREAKER")


def lock_out(ctx: Context, tenant: str, *, by: str, subject: str) -> bool:
    """Stop writing for the tenant; False when it is stopped already."""
    now = ctx.clock()

    def stop(tx: Transaction) -> bool:
        alarms.raise_alarm(tx, tenant, "TOKEN-REFUSED", SUBJECT, now, {"service": "sevdesk"})
        if tenants.standing(tx, tenant) != "active" or tenant in tenants.stops(tx):
            return False  # a stop of everybody is not this one: it may end while the token is still refused
        tenants.stop(tx, tenant, REASON, now)
        audit.append(tx, tenant, now, actor=by, event="stop", subject=subject, sentence=f"Posting stopped: {REASON}.")
        return True

    return ctx.door(tenant).run(Store.BOOKS, stop)


def let_in(ctx: Context, tenant: str, *, by: str) -> bool:
    """The token is taken (again): end our own stop, and make due what waited. False when there was no such stop."""
    now = ctx.clock()

    def go(tx: Transaction) -> bool:
        alarms.end_alarm(tx, tenant, "TOKEN-REFUSED", SUBJECT, now)
        if not tenants.go(tx, tenant, reason=REASON):
            return False
        sentence = "Posting goes on: sevdesk takes the token again."
        audit.append(tx, tenant, now, actor=by, event="go", subject=tenant, sentence=sentence)
        return True

    went = ctx.door(tenant).run(Store.BOOKS, go)
    if went:
        for code in _WAITING:
            ctx.door(tenant).run(Store.INBOX, lambda tx, code=code: inbox.resume(tx, tenant, code, now))  # type: ignore[misc]
        ctx.wake("dispatch")
    return went
