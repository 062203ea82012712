"""What to do because of a delivery that is not about an order: the app was uninstalled, scopes changed, privacy.

The delivery's mark brings it here, as an order's brings `settle`: at least once, after a crash again. Its body is a
hint like any other. Each topic has one handler; what a handler does it can do twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ladenbuch import inbox, tenants
from ladenbuch.db import Store
from ladenbuch.errors import LadenbuchError, Rejected
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.failing import Failed, failed, follow, went_well

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """One delivery as its handler gets it: what Shopify said, and when it says that it happened."""

    tenant: str
    webhook_id: str
    topic: str
    shop: str
    said: Mapping[str, Any]
    happened_at: datetime


Handler = Callable[[Context, News], str]


def hear(ctx: Context, tenant: str, mark: str, run_id: str, handlers: Mapping[str, Handler]) -> str:
    """Handle one delivery and release its mark. Ids in, a code out; never raises for what can be expected."""
    door = ctx.door(tenant)
    claim = door.read(Store.INBOX, lambda tx: inbox.holder(tx, tenant, mark))
    if claim is None or claim.run_id != run_id:
        return "STALE-RUN"
    with bound(trace=claim.trace or run_id, tenant=tenant, mark=mark):
        code = _hear(ctx, tenant, mark, run_id, claim, handlers)
        log.info("run ended", extra={"code": code})
        return code


def _hear(
    ctx: Context, tenant: str, mark: str, run_id: str, claim: inbox.Claim, handlers: Mapping[str, Handler]
) -> str:
    door = ctx.door(tenant)
    try:
        code = _handle(ctx, tenant, mark, handlers)
    except LadenbuchError as error:
        return _later(ctx, tenant, mark, run_id, _failed(mark, error, claim))
    except Exception as error:
        log.exception("a delivery could not be handled")
        return _later(ctx, tenant, mark, run_id, _failed(mark, error, claim))
    now = ctx.clock()
    if claim.run_no > 1:
        went_well(ctx, tenant, "event", _subject(mark))
    door.run(Store.INBOX, lambda tx: inbox.settled(tx, tenant, mark, run_id, claim.wanted, now, code))
    return code


def _handle(ctx: Context, tenant: str, mark: str, handlers: Mapping[str, Handler]) -> str:
    webhook_id = _subject(mark)
    kept = ctx.door(tenant).read(Store.INBOX, lambda tx: inbox.heard(tx, tenant, webhook_id))
    handler = handlers.get(kept.topic) if kept is not None else None
    if kept is None or handler is None:
        return "NOTHING-TO-DO"
    if ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.standing(tx, tenant)) == "redacted":
        return "NOTHING-TO-DO"  # it came while the tenant was redacted: `retention` deletes it
    try:
        plain = ctx.unseal(tenant, inbox.BODY_PURPOSE)(webhook_id, kept.key_id, kept.body)
    except Rejected as refusal:
        if refusal.code == "VAULT-FORGOTTEN":
            return "NOTHING-TO-DO"
        raise
    try:
        said = msgspec.json.decode(plain)
    except msgspec.DecodeError:
        said = None
    if not isinstance(said, dict):
        log.warning("a genuine delivery is unreadable", extra={"tenant": tenant, "topic": kept.topic})
        return "UNREADABLE"
    news = News(tenant, webhook_id, kept.topic, kept.shop, said, kept.triggered_at or kept.received_at)
    return handler(ctx, news)


def _failed(mark: str, error: BaseException, claim: inbox.Claim) -> Failed:
    return failed("event", _subject(mark), error, claim.attempts, claim.claimed_at)


def _subject(mark: str) -> str:
    return inbox.heard_in(mark) or ""


def _later(ctx: Context, tenant: str, mark: str, run_id: str, what: Failed) -> str:
    follows = follow(ctx, tenant, what)
    at, now = follows.at, ctx.clock()
    if at is None:
        ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.give_up(tx, tenant, mark, run_id, what.code))
    else:
        ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.postpone(tx, tenant, mark, run_id, at, what.code, now))
    return what.code
