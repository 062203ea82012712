"""A tick: what is kept no longer than it must be, each with its row in the audit log (`domain.retention`).

    holds      the years of a forgotten buyer's document are over: the buyer leaves it
    documents  the years are over for somebody who never asked: the same
    inbox      what was heard long ago
    answers    fetched long ago
    tenants    gone, and no shop/redact came
    late news  about orders of forgotten buyers, while nothing is settled

Everything may be repeated; one tenant's trouble does not stop the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from ladenbuch import audit, books, erasure, inbox, privacy, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.retention import LAW
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows import leaving, redaction
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

_BATCH = 500
#: The years end where the books are kept.
_BERLIN = ZoneInfo("Europe/Berlin")


def retain(ctx: Context) -> dict[str, int]:
    """Do what is due for every tenant; how much of each kind that was."""
    done: dict[str, int] = {}
    jobs: dict[str, Callable[[Context, tenants.Tenant], int]] = {
        "tenants": _absent,
        "late_news": _late_news,
        "documents": _old_documents,
        "inbox": _inbox,
        "answers": _answers,
    }
    for owner in ctx.database.system("prune").read(Store.BOOKS, tenants.all):
        for name, job in jobs.items():
            try:
                done[name] = done.get(name, 0) + job(ctx, owner)
            except LadenbuchError as error:
                log.warning("retention postponed", extra={"tenant": owner.id, "job": name, "code": error.code})
    done["holds"] = _holds(ctx)
    return done


def _today(ctx: Context) -> date:
    return ctx.clock().astimezone(_BERLIN).date()


def _holds(ctx: Context) -> int:
    today, gone = _today(ctx), 0
    for item in ctx.database.system("prune").read(Store.BOOKS, lambda tx: privacy.over(tx, today, _BATCH)):
        try:
            if item.kind == "vat-id":
                _forget_checks(ctx, item)
            ctx.door(item.tenant).run(Store.BOOKS, partial(redaction.release, ctx, item, ctx.clock()))
            gone += 1
        except LadenbuchError as error:
            log.warning("a hold stays", extra={"tenant": item.tenant, "code": error.code})
    if gone:
        ctx.database.truncate_logs()
    return gone


def _forget_checks(ctx: Context, item: privacy.Hold) -> None:
    def read(tx: Transaction) -> tuple[str, str]:
        return tenants.get(tx, item.tenant).shop, audit.head(tx, item.tenant)

    shop, head = ctx.door(item.tenant).read(Store.BOOKS, read)
    erasure.erase_vat_checks(
        ctx.database,
        item.tenant,
        shop,
        item.subject,
        id=f"vat-id {ctx.new_id()}",
        actor="retention",
        now=ctx.clock(),
        last_hash=head,
    )


def _absent(ctx: Context, owner: tenants.Tenant) -> int:
    """Shopify sends shop/redact 48 hours after an uninstall; one that never comes is not waited for."""
    if owner.state != "uninstalled" or ctx.clock() - owner.state_since < timedelta(days=ctx.keeping.absent_days):
        return 0
    why = f"no shop/redact came within {ctx.keeping.absent_days:g} days"
    leaving.redact(ctx, owner.id, by="retention", why=why)
    return 1


def _late_news(ctx: Context, owner: tenants.Tenant) -> int:
    door = ctx.door(owner.id)
    forgotten = set(door.read(Store.BOOKS, lambda tx: privacy.redacted_orders(tx, owner.id)))
    if not forgotten:
        return 0
    heard = forgotten.intersection(door.read(Store.INBOX, lambda tx: inbox.heard_orders(tx, owner.id)))
    for order_id in sorted(heard):
        redaction.again(ctx, owner.id, order_id)
    if heard:
        _say(ctx, owner.id, "privacy.erased", f"What was heard later about {len(heard)} erased orders was erased.")
    return len(heard)


def _old_documents(ctx: Context, owner: tenants.Tenant) -> int:
    """Nobody asked, but the years are over: the buyer is erased as if they had (Art. 5 (1) e GDPR)."""
    first_kept = date(_today(ctx).year - ctx.keeping.years, 1, 1)

    def read(tx: Transaction) -> list[str]:
        old = books.orders_before(tx, owner.id, first_kept, _BATCH)
        known = set(privacy.redacted_orders(tx, owner.id)) if old else set()
        return [order_id for order_id in old if order_id not in known]

    old = ctx.door(owner.id).read(Store.BOOKS, read)
    if old:
        redaction.erase(ctx, owner.id, old, f"the years are over ({LAW})", by="retention")
    return len(old)


def _inbox(ctx: Context, owner: tenants.Tenant) -> int:
    before = ctx.clock() - timedelta(days=ctx.keeping.inbox_days)
    gone = ctx.door(owner.id).run(Store.INBOX, lambda tx: inbox.erase_before(tx, owner.id, before))
    if gone:
        days = f"{ctx.keeping.inbox_days:g}"
        _say(ctx, owner.id, "retention.inbox", f"{gone} webhooks older than {days} days were deleted.")
    return gone


def _answers(ctx: Context, owner: tenants.Tenant) -> int:
    before = ctx.clock() - timedelta(days=ctx.keeping.answer_days)
    gone = 0
    for one in ctx.door(owner.id).read(Store.BOOKS, lambda tx: privacy.requests(tx, owner.id)):
        if one.answered and one.done_at is not None and one.done_at < before:
            ctx.door(owner.id).run(Store.BOOKS, partial(_drop_answer, ctx, one, ctx.clock()))
            gone += 1
    return gone


def _drop_answer(ctx: Context, one: privacy.Request, now: datetime, tx: Transaction) -> None:
    ctx.vault.forget_subject(tx, one.tenant, privacy.subject_of(one.id))
    privacy.drop_answer(tx, one.tenant, one.id)
    sentence = f"The answer to data request {one.id} was deleted; it had been fetched."
    audit.append(tx, one.tenant, now, actor="retention", event="retention.answer", subject=one.id, sentence=sentence)


def _say(ctx: Context, tenant: str, event: str, sentence: str) -> None:
    now = ctx.clock()
    ctx.door(tenant).run(
        Store.BOOKS,
        lambda tx: audit.append(tx, tenant, now, actor="retention", event=event, subject=tenant, sentence=sentence),
    )
