"""A tenant's stores filled as the workflows fill them, without any call: lives planned, carried out, written down."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ladenbuch import books, tenants
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.actions import Action
from ladenbuch.domain.answers import question_hash
from ladenbuch.domain.certificate import certificate
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import facts_of
from ladenbuch.domain.plan import plan
from ladenbuch.sealed import held
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.workflows.context import profiles_in

_numbers = itertools.count(1)


def open_shop(
    house: Ladenbuch, tenant: str, profile: Mapping[str, Any], cut_off: datetime, effective: datetime
) -> None:
    """A live tenant with one version of its profile."""

    def write(tx: Transaction) -> None:
        tenants.add(tx, id=tenant, shop=f"{tenant}.myshopify.com", cut_off=cut_off, now=cut_off)
        tenants.add_profile(tx, tenant, profile, effective, cut_off)
        tenants.set_draft_only(tx, tenant, False)

    house.database.system("operator").run(Store.BOOKS, write)


def settle(
    house: Ladenbuch, tenant: str, envelopes: Iterable[Mapping[str, Any]], now: datetime, evidence: Evidence
) -> None:
    """Every order planned, carried out as far as it is due, and recorded with its snapshot, a hundred at a time."""
    door, ctx = house.database.tenant(tenant), house.context
    waiting = iter(envelopes)
    while some := list(itertools.islice(waiting, 100)):
        door.run(Store.BOOKS, partial(_settle_all, ctx, tenant, some, now, evidence))


def _settle_all(
    ctx: Any, tenant: str, some: list[Mapping[str, Any]], now: datetime, rates: Evidence, tx: Transaction
) -> None:
    for envelope in some:
        _settle(ctx, tx, tenant, envelope, now, rates)


def _settle(
    ctx: Any, tx: Transaction, tenant: str, envelope: Mapping[str, Any], now: datetime, rates: Evidence
) -> None:
    facts = facts_of(order_from_envelope(envelope))
    profiles, gid = profiles_in(tx, tenant), facts.order.id
    known = books.load(tx, tenant, gid, ctx.unseal(tenant, "pins"))
    for action in plan(facts, known, profiles, now, rates).due(now):
        _carry_out(ctx, tx, tenant, gid, action, now)
    known = books.load(tx, tenant, gid, ctx.unseal(tenant, "pins"))
    left = plan(facts, known, profiles, now, rates)
    proof = certificate(facts, known, left)
    code = next((item.code for item in (*left.attention, *left.waiting)), None)
    state = books.OrderState(
        order_id=gid,
        name=facts.order.name,
        verdict="attention" if left.attention else proof.verdict,
        code=left.exclusion.code if left.exclusion else code,
        total=facts.order.current_total,
        currency=facts.order.currency,
        processed_at=facts.order.processed_at,
        updated_at=facts.order.updated_at,
        certificate=proof.as_json(),
        snapshot=zlib.compress(json.dumps(envelope, default=str).encode(), 1),
    )
    books.record_state(tx, tenant, state, ctx.seal(tenant, "snapshot", gid), now)
    asked = [(item, question_hash(item, facts)) for item in left.attention]
    books.record_attention(tx, tenant, gid, asked, now)


def _carry_out(ctx: Any, tx: Transaction, tenant: str, gid: str, action: Action, now: datetime) -> None:
    number = next(_numbers)
    values = {"key": action.key, "kind": action.kind, "run_id": "r", "reason": action.reason, "now": now}
    books.intend(tx, tenant, gid, **values)
    if action.kind in ("invoice", "credit_note"):
        assert action.document is not None
        books.pin_document(tx, tenant, gid, action.document, ctx.seal(tenant, "pins", held(gid)))
        books.drafted(tx, tenant, action.document.key, str(number), "h")
    elif action.kind == "finalise":
        assert action.document is not None
        prefix = "GU" if action.document.kind == "credit_note" else "RE"
        books.finalised(tx, tenant, action.document.key, f"{prefix}-{number}", now)
    elif action.kind == "cancel":
        assert action.document is not None
        books.cancelled(tx, tenant, action.document.key)
    elif action.kind == "money_line":
        assert action.line is not None
        books.line_written(tx, tenant, gid, action.line, action.line.account or "0", str(number))
    elif action.booking is not None:
        day = now.date()
        books.booked(
            tx, tenant, gid, action.booking, account="12", transaction_id="1", booked_on=day, paid_after=None, now=now
        )
    books.done(tx, tenant, action.key, now, str(number))
