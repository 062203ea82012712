"""A tick: what is kept no longer than it must be, each with its row in the audit log (`domain.retention`).

    holds      the years of a forgotten buyer's document are over: the buyer leaves it
    documents  the years are over for somebody who never asked: the same
    inbox      what was heard long ago
    reports    of reconciliations and of balances by the day, long ago
    events     for other tools, long ago; secrets that were replaced
    answers    fetched long ago; or never, and nobody may come for them any more
    tenants    gone, and no shop/redact came
    late news  about orders of forgotten buyers, while nothing is settled; of redacted tenants, all of it
    ended      a redacted tenant of which no law keeps anything any more: all of it
    strays     what a process that had not heard of it wrote for an erased tenant

Everything may be repeated; one tenant's trouble does not stop the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from ladenbuch import alarms, audit, books, erasure, events, inbox, payouts, privacy, reconciliations, tenants
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.event_words import OVERLAP
from ladenbuch.domain.retention import HURRY, LAW, keep_until
from ladenbuch.errors import LadenbuchError
from ladenbuch.workflows import leaving, redaction
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.event_delivery import previous_name

log = logging.getLogger(__name__)

_BATCH = 500
#: How long an erased tenant is looked after: until no process remembers its keys or whose shop it was.
_LOOKED_AFTER = timedelta(days=2)
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
        "reports": _reports,
        "events": _events,
    }
    owners = ctx.database.system("prune").read(Store.BOOKS, tenants.all)
    for owner in owners:
        for name, job in jobs.items():
            done[name] = done.get(name, 0) + _tried(owner.id, name, partial(job, ctx, owner))
    done["holds"] = _holds(ctx)
    done["ended"] = sum(_tried(owner.id, "ended", partial(_ended, ctx, owner)) for owner in owners)
    done["strays"] = sum(_tried(one.tenant, "strays", partial(_stray, ctx, one)) for one in _just_erased(ctx))
    return done


def _tried(tenant: str, name: str, job: Callable[[], int]) -> int:
    try:
        return job()
    except LadenbuchError as error:
        log.warning("retention postponed", extra={"tenant": tenant, "job": name, "code": error.code})
        return 0


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


def _ended(ctx: Context, owner: tenants.Tenant) -> int:
    """The last hold is over: the tenant is deleted whole; the row that proves it is the operator's."""
    if owner.state != "redacted" or ctx.clock() - owner.state_since < timedelta(days=ctx.keeping.absent_days):
        return 0  # a shop that comes back soon finds itself again

    def kept(tx: Transaction) -> tuple[bool, date | None, str]:
        return bool(privacy.on_hold(tx, owner.id)), books.last_entry(tx, owner.id), audit.head(tx, owner.id)

    held, last, head = ctx.door(owner.id).read(Store.BOOKS, kept)
    if held or (last is not None and keep_until(last, ctx.keeping.years) >= _today(ctx)):
        return 0
    _erase(ctx, owner.id, owner.shop, head)
    return 1


def _just_erased(ctx: Context) -> list[erasure.Erasure]:
    since = ctx.clock() - _LOOKED_AFTER
    known = ctx.database.system("prune").read(Store.BOOKS, erasure.erased)
    return list({one.tenant: one for one in known if one.at >= since}.values())


def _stray(ctx: Context, one: erasure.Erasure) -> int:
    """A webhook or a run that was under way while its tenant was erased may have left a row: it goes, too."""
    gone = ctx.door(one.tenant).read(Store.BOOKS, partial(erasure.gone, tenant=one.tenant))
    if not gone or not erasure.residue(ctx.database, one.tenant):
        return 0
    _erase(ctx, one.tenant, one.shop, one.last_hash)
    return 1


def _erase(ctx: Context, tenant: str, shop: str, head: str) -> None:
    id, now = f"retention {ctx.new_id()}", ctx.clock()
    proof = erasure.erase(ctx.database, tenant, shop, id=id, actor="retention", now=now, last_hash=head)
    ctx.forget(tenant)
    left = erasure.residue(ctx.database, tenant)
    log.log(
        logging.ERROR if left else logging.WARNING,
        "a tenant was erased: nothing of it has to be kept any more",
        extra={"tenant": tenant, "rows": sum(proof.rows.values()), "left": sum(left.values())},
    )


def _late_news(ctx: Context, owner: tenants.Tenant) -> int:
    door = ctx.door(owner.id)
    if owner.state == "redacted":
        late = door.run(Store.INBOX, lambda tx: inbox.erase_all(tx, owner.id))
        if late:
            _say(ctx, owner.id, "privacy.erased", f"{late} webhooks that came while the tenant left were erased.")
        return late
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
    now, gone, door = ctx.clock(), 0, ctx.door(owner.id)
    for one in door.read(Store.BOOKS, lambda tx: privacy.requests(tx, owner.id)):
        if one.waits and one.due_at - now < timedelta(days=HURRY):
            door.run(Store.BOOKS, partial(_remind, one, now))
        if one.answered and one.goes_at(ctx.keeping.answer_days) < now:
            door.run(Store.BOOKS, partial(_drop_answer, ctx, one, now))
            gone += 1
    return gone


def _remind(one: privacy.Request, now: datetime, tx: Transaction) -> None:
    facts = {"request": one.id, "until": f"{one.due_at:%Y-%m-%d}"}
    alarms.raise_alarm(tx, one.tenant, "PRIVACY-DUE", one.id, now, facts)


def _reports(ctx: Context, owner: tenants.Tenant) -> int:
    before = ctx.clock() - timedelta(days=ctx.keeping.report_days)

    def prune(tx: Transaction) -> int:
        return reconciliations.prune(tx, owner.id, before) + payouts.prune_days(tx, owner.id, before.date())

    return ctx.door(owner.id).run(Store.BOOKS, prune)


def _events(ctx: Context, owner: tenants.Tenant) -> int:
    """Events that were told long ago; and secrets that were replaced, once they sign nothing any more."""
    now, door = ctx.clock(), ctx.door(owner.id)

    def prune(tx: Transaction) -> int:
        for one in events.endpoints(tx, owner.id):
            if one.rotated_at is not None and one.rotated_at + OVERLAP < now:
                ctx.vault.delete_secret(tx, owner.id, previous_name(one.id))
        return events.prune(tx, owner.id, now - timedelta(days=ctx.keeping.event_days))

    gone = 0
    while some := door.run(Store.BOOKS, prune):  # in small bites, so that nobody waits long, and all of them
        gone += some
    return gone


def _drop_answer(ctx: Context, one: privacy.Request, now: datetime, tx: Transaction) -> None:
    ctx.vault.forget_subject(tx, one.tenant, privacy.subject_of(one.id))
    privacy.drop_answer(tx, one.tenant, one.id)
    if one.done_at is not None:
        sentence = f"The answer to data request {one.id} was deleted; it had been fetched."
    else:
        sentence = f"The answer to data request {one.id} was deleted; nobody fetched it until {one.lapses_at:%Y-%m-%d}."
        privacy.close(tx, one.tenant, one.id, "lapsed", now, sentence)
        alarms.end_alarm(tx, one.tenant, "PRIVACY-DUE", one.id, now)
    audit.append(tx, one.tenant, now, actor="retention", event="retention.answer", subject=one.id, sentence=sentence)


def _say(ctx: Context, tenant: str, event: str, sentence: str) -> None:
    now = ctx.clock()
    ctx.door(tenant).run(
        Store.BOOKS,
        lambda tx: audit.append(tx, tenant, now, actor="retention", event=event, subject=tenant, sentence=sentence),
    )
