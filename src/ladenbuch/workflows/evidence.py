"""What a decision may rest on besides the order and the books: VAT rates, and whether the buyer's VAT id is valid.

In: an order. Out: `Evidence` for `plan`. Most orders need no look at any store. What is bound for another member state
does: without an OSS registration it counts what EU consumers bought so far (UStG §3c (4)). A VAT id makes a difference
there alone (§6a, §3a (2)); the answer we keep counts, and somebody is asked when there is none, when nobody could say
last time, or when it is too old to prove this order.

A look-up that fails is an answer too, "unavailable": kept with its time, and it holds the order instead of guessing
(facts 3.3 no. 7). Raises only what the store raises.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ladenbuch import books, evidence, tenants
from ladenbuch.db import Store, Transaction, one_at_a_time
from ladenbuch.domain.books import PostedDocument
from ladenbuch.domain.evidence import UNAVAILABLE, Evidence, VatIdAnswer, vat_id_of
from ladenbuch.domain.facts import moved, moved_at
from ladenbuch.domain.feed import DAYS, FeedLine, Rival, Wanted, left_by
from ladenbuch.domain.modes import Modes
from ladenbuch.domain.order import Order
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.tax import REGISTER
from ladenbuch.domain.territory import UNION, territory_of
from ladenbuch.domain.threshold import EuSale, count, counted, overtaken
from ladenbuch.errors import LadenbuchError, NeedsAttention
from ladenbuch.sealed import held
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.workflows.context import Context, profiles_in
from ladenbuch.workflows.run import Run

log = logging.getLogger(__name__)


def gather(ctx: Context, tenant: str, order: Order, now: datetime) -> Evidence:
    """The evidence for one order at `now`; asks about its VAT id when that is needed, and records the answer."""
    if not _bound_for_the_union(order):
        return Evidence(ctx.rates)
    vat_id = vat_id_of(order)
    asked = () if vat_id is None else (vat_id,)
    door = ctx.door(tenant)
    unseal = ctx.unseal(tenant, evidence.PURPOSE)
    sold, answers = door.read(
        Store.BOOKS, lambda tx: (_sold(tx, tenant, order), evidence.latest(tx, tenant, asked, unseal))
    )
    if vat_id is None:
        return Evidence(ctx.rates, eu_sales=sold)
    kept = answers.get(vat_id)
    if kept is not None and kept.verdict != UNAVAILABLE:
        oldest = order.processed_at - timedelta(seconds=ctx.timing.vat_answer_age)
        if kept.asked_at >= oldest:
            return Evidence(ctx.rates, {vat_id: kept}, sold)
    if ctx.vat_ids is None:  # nobody was asked, so there is nothing to keep
        nobody = VatIdAnswer(vat_id, UNAVAILABLE, now, reference="nobody is asked")
        return Evidence(ctx.rates, {vat_id: nobody}, sold)
    answer = _ask(ctx, vat_id, now)
    if len(vat_id) <= evidence.LONGEST:
        seal = ctx.seal(tenant, evidence.PURPOSE, held(vat_id))
        door.run(Store.BOOKS, lambda tx: evidence.record(tx, tenant, answer, seal))
    return Evidence(ctx.rates, {vat_id: answer}, sold)


def lines_of_feeds(run: Run, wanted: Sequence[Wanted]) -> tuple[FeedLine, ...]:
    """What feeds brought to their accounts, nobody linked, and no other order uses; each marked where a payment of
    another order may be it, and without those that name one."""
    found: dict[str, FeedLine] = {}
    amounts = {item.amount for item in wanted}
    for account, first, last in dict.fromkeys((item.account, item.first, item.last) for item in wanted):
        for line in run.sevdesk.free_lines(account, first, last):
            assert line.value_date is not None
            text = f"{line.purpose} {line.payer or ''}"
            if line.amount in amounts:
                found[line.id] = FeedLine(line.id, line.account_id, line.amount, line.value_date, text)
    if not found:
        return ()
    door = run.ctx.door(run.tenant)
    taken = door.read(Store.BOOKS, lambda tx: books.taken_lines(tx, run.tenant, list(found)))
    return left_by(
        _rivals(run, list(found.values())),
        [line for line in found.values() if taken.get(line.id, run.order_id) == run.order_id],
    )


def _rivals(run: Run, lines: Sequence[FeedLine]) -> list[Rival]:
    """Payments of other orders that one of the lines may be, as those orders were settled last: none that is covered.

    An order that was never settled is not known; feeds are hours behind the shop.
    """
    ctx, tenant, unseal = run.ctx, run.tenant, run.ctx.unseal(run.tenant, "snapshot")
    first = min(line.value_date for line in lines) - timedelta(days=DAYS + 1)
    since, amounts = datetime(first.year, first.month, first.day, tzinfo=UTC), {line.amount for line in lines}

    def read(tx: Transaction) -> tuple[list[Profile], dict[str, list[str]], dict[str, tuple[str, bytes]]]:
        known = books.uncovered_money(tx, tenant, amounts, since)
        known.pop(run.order_id, None)
        return profiles_in(tx, tenant), known, books.snapshots_of(tx, tenant, list(known))

    profiles, known, kept = ctx.door(tenant).read(Store.BOOKS, read)
    modes = Modes(tuple(profiles), profile_at(profiles, ctx.clock()))
    found = []
    for order_id, facts in known.items():
        key_id, sealed = kept[order_id]
        try:
            order = order_from_envelope(json.loads(zlib.decompress(unseal(order_id, key_id, sealed))))
        except LadenbuchError:  # its buyer was forgotten: whose feed brings it, nobody knows any more
            found += [Rival(None, line.amount, line.value_date) for line in lines]
            continue
        for payment in order.payments:
            at = moved_at(payment)
            gateway = None if at is None else modes.at(payment.gateway, at, manual=payment.manual)
            if at is not None and gateway is not None and gateway.mode == "feed" and payment.id in facts:
                day = profile_at(profiles, at).local_date(at)
                found.append(Rival(gateway.account, moved(payment), day, payment.payment_id))
    return found


def check_threshold(tx: Transaction, run: Run, document: PostedDocument) -> None:
    """Look at the EU threshold once more, in the transaction that pins a document, one at a time per tenant.

    Raises NeedsAttention("TAX-THRESHOLD") where another order passed it since the plan was made. Where the document
    itself makes a later sale pass it that is pinned already, that stays, and is said: a person corrects it.
    """
    mine = counted(document, run.order_id)
    if mine is None or not mine.at_home or mine.net <= 0:
        return
    one_at_a_time(tx, f"eu threshold {run.tenant}")
    profiles = profiles_in(tx, run.tenant)
    profile = next((item for item in profiles if item.version == document.profile_version), profiles[-1])
    known = books.eu_sales(tx, run.tenant, year_before(mine.at))
    counter = count(known, profile, mine.at, mine.net)
    if counter.exceeded:
        raise NeedsAttention("TAX-THRESHOLD", counter.passed, choices=REGISTER)
    before = overtaken(known, profiles)
    for late in overtaken([*known, mine], profiles):
        if late not in before:
            run.say(tx, "threshold", f"With this sale, {late.key} passes the EU threshold, and is posted already.")


def year_before(instant: datetime) -> datetime:
    """An instant before the calendar year before, in any time zone."""
    return datetime(instant.year - 2, 12, 30, tzinfo=UTC)


def _sold(tx: Transaction, tenant: str, order: Order) -> tuple[EuSale, ...]:
    """What other orders add to the EU threshold; nothing is read where OSS was declared before anything happened."""
    dated = [order.processed_at, *(item.happened_at for item in order.agreements)]
    dated += [at for at in map(moved_at, order.payments) if at is not None]
    earliest = min(dated + [item.created_at for item in order.fulfilments])
    versions = tenants.profiles(tx, tenant)
    declared = [str(item.profile.get("oss_from") or "9999") for item in versions]
    if declared and max(declared) <= (earliest - timedelta(days=1)).date().isoformat():
        return ()
    return tuple(item for item in books.eu_sales(tx, tenant, year_before(earliest)) if item.order_id != order.id)


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
