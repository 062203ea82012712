"""What a decision may rest on besides the order and the books: VAT rates, and whether the buyer's VAT id is valid.

In: an order. Out: `Evidence` for `plan`. Most orders need no look at any store. Only a buyer with a VAT id and goods or
services bound for another member state makes a difference (UStG §6a, §3a (2)); then the answer we keep counts, and
somebody is asked when there is none, when nobody could say last time, or when it is too old to prove this order.

A look-up that fails is an answer too, "unavailable": kept with its time, and it holds the order instead of guessing
(facts 3.3 no. 7). Raises only what the store raises.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from ladenbuch import evidence
from ladenbuch.db import Store
from ladenbuch.domain.evidence import UNAVAILABLE, Evidence, VatIdAnswer, vat_id_of
from ladenbuch.domain.order import Order
from ladenbuch.domain.territory import UNION, territory_of
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)


def gather(ctx: Context, tenant: str, order: Order, now: datetime) -> Evidence:
    """The evidence for one order at `now`; asks about its VAT id when that is needed, and records the answer."""
    vat_id = vat_id_of(order)
    if vat_id is None or not _bound_for_the_union(order):
        return Evidence(ctx.rates)
    door = ctx.door(tenant)
    unseal = ctx.unseal(tenant, evidence.PURPOSE)
    kept = door.read(Store.BOOKS, lambda tx: evidence.latest(tx, tenant, (vat_id,), unseal)).get(vat_id)
    if kept is not None and kept.verdict != UNAVAILABLE:
        oldest = order.processed_at - timedelta(seconds=ctx.timing.vat_answer_age)
        if kept.asked_at >= oldest:
            return Evidence(ctx.rates, {vat_id: kept})
    if ctx.vat_ids is None:  # nobody was asked, so there is nothing to keep
        return Evidence(ctx.rates, {vat_id: VatIdAnswer(vat_id, UNAVAILABLE, now, reference="nobody is asked")})
    answer = _ask(ctx, vat_id, now)
    if len(vat_id) <= evidence.LONGEST:
        seal = ctx.seal(tenant, evidence.PURPOSE)
        door.run(Store.BOOKS, lambda tx: evidence.record(tx, tenant, answer, seal))
    return Evidence(ctx.rates, {vat_id: answer})


def _ask(ctx: Context, vat_id: str, now: datetime) -> VatIdAnswer:
    assert ctx.vat_ids is not None
    try:
        return ctx.vat_ids(vat_id, now)
    except Exception as error:  # whatever is wrong with the look-up, it is no fault of the buyer's id
        cause = type(error).__name__
        log.warning("a VAT id could not be looked up", extra={"why": cause})
        return VatIdAnswer(vat_id, UNAVAILABLE, now, reference=cause)


def _bound_for_the_union(order: Order) -> bool:
    """Whether anything in it may be supplied in another member state; which address counts is `domain.supply`'s."""
    shipped = order.shipping_address or order.billing_address
    billed = order.billing_address or order.shipping_address
    ships = any(line.requires_shipping for line in order.lines) or bool(order.shipping_lines)
    places = [territory_of(shipped if ships else billed, goods=True)]
    if not all(line.requires_shipping for line in order.lines):
        places.append(territory_of(billed, goods=False))
    return any(place is not None and place.status == UNION for place in places)
