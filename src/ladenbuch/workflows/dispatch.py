"""Due marks -> runs: fair over tenants, one run per order, never more than this process or one tenant can carry.

The mark is the truth and the engine a hint. A claim is a compare-and-set on the mark, so any number of workers may
dispatch at once; a lost start leaves a claim that is given back when its executor starts again or its time is up.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from ladenbuch import books, inbox, outbox
from ladenbuch.db import Store, Transaction
from ladenbuch.engine.port import Engine
from ladenbuch.errors import Retryable
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

#: The name under which the engine knows the workflow.
SETTLE = "settle"


def dispatch(ctx: Context, engine: Engine, workers: int, per_tenant: int | None = None) -> int:
    """Claim due marks while there is room and start a run for each; returns how many were started.

    `per_tenant` is how many runs one tenant may have at once, on all machines together; None for no such limit.
    """
    room = workers - engine.running()
    if room <= 0:
        return 0
    now = ctx.clock()
    system = ctx.database.system("dispatch")
    first = system.read(Store.INBOX, inbox.next_due)
    if first is None or first > now:
        return 0

    def claim(tx: Transaction) -> list[tuple[str, str, str, str]]:
        claimed = []
        for mark in inbox.due(tx, now, room, per_tenant):
            run_id = f"{ctx.executor}:{ctx.new_id()}"
            held = inbox.claim(tx, mark.tenant, mark.order_id, run_id=run_id, executor=ctx.executor, now=now)
            if held is not None:
                claimed.append((mark.tenant, mark.order_id, run_id, held.trace or run_id))
        return claimed

    runs = system.run(Store.INBOX, claim)
    for tenant, order_id, run_id, trace in runs:
        log.info("dispatched", extra={"trace": trace, "tenant": tenant, "order": order_id, "run_id": run_id})
        try:
            engine.start(SETTLE, run_id, tenant, order_id, run_id)
            ctx.work.taken()
        except Retryable as error:
            ctx.work.refused(error.code, ctx.clock())
            _give_back(ctx, tenant, order_id, run_id, error.code)
    return len(runs)


def _give_back(ctx: Context, tenant: str, order_id: str, run_id: str, code: str) -> None:
    now, due_at = ctx.clock(), ctx.until(1.0)
    ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.postpone(tx, tenant, order_id, run_id, due_at, code, now))


def take_over(ctx: Context) -> set[str]:
    """At start, holding the executor's lock: what a dead predecessor held is due again at once; whose that was.

    On files the lock is the folder's, so whoever else left claims there under another name is dead, too.
    """
    now = ctx.clock()
    system = ctx.database.system("start")
    others = system.read(Store.INBOX, inbox.claimants) if ctx.database.is_sqlite else set()

    def release(tx: Transaction, name: str) -> None:
        books.drop_leases(tx, name)
        outbox.release_executor(tx, name, now)

    names = {ctx.executor, *others}
    for name in sorted(names):
        system.run(Store.BOOKS, partial(release, name=name))
        system.run(Store.INBOX, partial(inbox.release_executor, executor=name, now=now))
    return names


def sweep(ctx: Context) -> None:
    """Claims older than `claim_ttl` become due again: their run is gone, and if it is not, the fence stops it."""
    before = ctx.clock() - timedelta(seconds=ctx.timing.claim_ttl)
    system, now = ctx.database.system("reaper"), ctx.clock()
    system.run(Store.INBOX, lambda tx: inbox.release_stale(tx, before, now))
    system.run(Store.BOOKS, lambda tx: outbox.release_stale(tx, before, now))
