"""A tick: number, link and status of an order's documents -> metafields and tags of the order in the shop.

Each value is written once and only where it differs from what we wrote last; a metafield is set only if it stands as we
know it (compare and set), tags are only added. So what our own write causes (`orders/updated`, a look at the order,
nothing new in the books) ends there: no second write follows. What others wrote into one of our metafields stays.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ladenbuch import alarms, audit, books, inbox, privacy, tenants, write_backs
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import Books
from ladenbuch.domain.retry import LADDER
from ladenbuch.domain.write_back import NAMESPACE, TYPES, Wanted, known_value, wanted
from ladenbuch.errors import LadenbuchError, Rejected, Retryable
from ladenbuch.shopify.writing_back import Outcome, standing, write
from ladenbuch.telemetry.spans import span
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

_BATCH = 100
#: Longer than two calls to the shop and the waits before them.
_LEASE = timedelta(seconds=120)
#: A settle is at work on the order: it would have to look again because of us.
_BUSY = timedelta(seconds=5)
#: A stopped shop's orders are looked at again so often: they must not fill every batch and keep others waiting.
_STOPPED = timedelta(minutes=10)
#: What only a person can mend is tried again so often.
_HOURS = timedelta(hours=6)
_ALARM = "WRITE-BACK-OFF"
#: What is not the order's: the shop lets us write nothing.
_SHUT = ("SHOPIFY-SCOPE", "SHOPIFY-FORBIDDEN", "SHOPIFY-TOKEN", "SHOPIFY-FROZEN", "SHOPIFY-GONE", "SHOPIFY-LOCKED")
FOREIGN, REFUSED = "WRITE-BACK-FOREIGN", "WRITE-BACK-REFUSED"


@dataclass(frozen=True, slots=True)
class _Claimed:
    """One order as it was claimed: what the books say of it, and how much of that the tenant wants in the shop."""

    one: write_backs.WriteBack
    known: Books
    choice: str


def write_back_all(ctx: Context) -> int:
    """Write what is due; how many orders were written to. One shop's trouble does not stop the others."""
    now = ctx.clock()
    door = ctx.database.system("write back")
    lanes: dict[str, list[str]] = {}
    for tenant, order_id in door.read(Store.BOOKS, lambda tx: write_backs.due(tx, now, _BATCH)):
        lanes.setdefault(tenant, []).append(order_id)
    return sum(ctx.spread([partial(_serve, ctx, tenant, orders) for tenant, orders in lanes.items()]))


def _serve(ctx: Context, tenant: str, orders: list[str]) -> int:
    written = 0
    for order_id in orders:
        run_id = f"{ctx.executor}:{ctx.new_id()}"
        about = {"tenant": tenant, "order": order_id}
        with bound(trace=run_id, **about), span("write back", **about), working_as(Priority.BACKFILL):
            try:
                written += _one(ctx, tenant, order_id, run_id)
            except LadenbuchError as error:
                log.warning("not written back", extra={"code": error.code})
                if error.code != REFUSED:
                    break  # the shop's trouble, not this order's
            except Exception:
                log.exception("could not be written back")
                break
    return written


def _one(ctx: Context, tenant: str, order_id: str, run_id: str) -> int:
    """Bring one order up to date; 1 when something was written. Raises what ends the shop's turn."""
    claimed = _claim(ctx, tenant, order_id, run_id)
    if claimed is None:
        return 0
    one = claimed.one
    try:
        wrote, reason = _bring(ctx, claimed, run_id)
    except LadenbuchError as error:
        _failed(ctx, one, run_id, error)
        raise

    def end(tx: Transaction) -> None:
        write_backs.done(tx, one, run_id, ctx.clock(), reason)
        if wrote:
            alarms.end_alarm(tx, tenant, _ALARM, "", ctx.clock())

    ctx.door(tenant).run(Store.BOOKS, end)
    return int(wrote)


def _claim(ctx: Context, tenant: str, order_id: str, run_id: str) -> _Claimed | None:
    door, now = ctx.door(tenant), ctx.clock()
    held = door.read(Store.INBOX, lambda tx: inbox.holder(tx, tenant, order_id))
    busy = held is not None and held.run_id is not None

    def claim(tx: Transaction) -> _Claimed | None:
        one = write_backs.claim(tx, tenant, order_id, run_id, now, now + _LEASE)
        if one is None:
            return None
        stopped = tenants.stopped(tx, tenant) is not None
        if stopped or busy:
            write_backs.wait(tx, one, run_id, now + (_STOPPED if stopped else _BUSY))
            return None
        version = tenants.in_force(tenants.profiles(tx, tenant), now)
        choice = "off" if version is None else str(version.profile.get("write_back", "off"))
        if choice == "off" or privacy.redacted(tx, tenant, order_id):
            write_backs.done(tx, one, run_id, now)
            return None
        return _Claimed(one, books.load(tx, tenant, order_id, ctx.unseal(tenant, "pins")), choice)

    return door.run(Store.BOOKS, claim)


def _bring(ctx: Context, claimed: _Claimed, run_id: str) -> tuple[bool, str | None]:
    """Write what differs. Whether anything was written, and why something was not."""
    one, known = claimed.one, claimed.known
    meant = wanted(known, ctx.document_link)
    if claimed.choice == "metafields":
        meant = replace(meant, tags=())
    left = _left(meant, one.written)
    if not left.metafields and not left.tags:
        return False, None
    now_there: dict[str, tuple[str, str]] = dict(one.written.metafields)
    foreign: list[str] = []
    wrote, again = False, one.attempts > 1  # a call before this one may have landed
    for _ in range(3):
        if again:
            left, now_there, foreign, seen = _look(ctx, claimed, meant)
            one = replace(one, written=seen)
            if not left.metafields and not left.tags:
                _note(ctx, one, run_id)
                break
        outcome = _write(ctx, one, left, now_there)
        one = replace(one, written=_after(one.written, left, outcome))
        said = [*outcome.digests, *(() if outcome.refused else left.tags)]
        wrote = wrote or bool(said)
        _note(ctx, one, run_id, said)
        if outcome.refused:
            return wrote, f"{REFUSED}: {outcome.refused}"
        if not outcome.stale:
            break
        left, again = replace(left, tags=()), True
    else:
        raise Retryable("WRITE-BACK-MOVING", "somebody else keeps writing to our metafields")
    return wrote, f"{FOREIGN}: {', '.join(foreign)}" if foreign else None


def _left(meant: Wanted, written: write_backs.Written) -> Wanted:
    fields = {key: value for key, value in meant.metafields.items() if written.metafields.get(key, ("",))[0] != value}
    return Wanted(fields, tuple(tag for tag in meant.tags if tag not in written.tags))


def _look(
    ctx: Context, claimed: _Claimed, meant: Wanted
) -> tuple[Wanted, dict[str, tuple[str, str]], list[str], write_backs.Written]:
    """What stands in the shop: what is left to do, what may be replaced, what is not ours, and what counts as written.

    Raises Rejected("WRITE-BACK-REFUSED") where the order cannot be seen.
    """
    one, known = claimed.one, claimed.known
    there = standing(ctx.shopify(one.tenant), one.order_id, NAMESPACE, list(TYPES))
    if there is None:
        raise Rejected(REFUSED, "the order cannot be seen in the shop")
    left, ours, foreign = {}, {}, []
    written = {key: pair for key, pair in one.written.metafields.items() if key in there.metafields}
    for key, value in meant.metafields.items():
        found = there.metafields.get(key)
        if found is None:
            left[key] = value
        elif found[0] == value:
            written[key] = found
        elif found[0] == one.written.metafields.get(key, ("",))[0] or known_value(
            known, key, found[0], ctx.document_link
        ):
            left[key], ours[key] = value, found
        else:
            foreign.append(key)
    tags = tuple(dict.fromkeys((*one.written.tags, *(tag for tag in meant.tags if tag in there.tags))))
    seen = write_backs.Written(written, tags)
    return Wanted(left, tuple(tag for tag in meant.tags if tag not in tags)), ours, foreign, seen


def _write(ctx: Context, one: write_backs.WriteBack, left: Wanted, there: Mapping[str, tuple[str, str]]) -> Outcome:
    fields = [
        (key, TYPES[key], value, there[key][1] if key in there else None) for key, value in left.metafields.items()
    ]
    return write(ctx.shopify(one.tenant), one.order_id, NAMESPACE, fields, left.tags)


def _after(before: write_backs.Written, left: Wanted, outcome: Outcome) -> write_backs.Written:
    fields = dict(before.metafields)
    fields |= {key: (left.metafields[key], digest) for key, digest in outcome.digests.items() if key in left.metafields}
    tags = before.tags if outcome.refused else tuple(dict.fromkeys((*before.tags, *left.tags)))
    return write_backs.Written(fields, tags)


def _note(ctx: Context, one: write_backs.WriteBack, run_id: str, wrote: Sequence[str] = ()) -> None:
    now = ctx.clock()

    def note(tx: Transaction) -> None:
        write_backs.note(tx, one, run_id, now, one.written)
        if wrote:
            sentence = f"Written to the order in the shop: {', '.join(wrote)}."
            audit.append(tx, one.tenant, now, actor="write-back", event="written-back", subject=one.order_id,
                         sentence=sentence)  # fmt: skip

    ctx.door(one.tenant).run(Store.BOOKS, note)


def _failed(ctx: Context, one: write_backs.WriteBack, run_id: str, error: LadenbuchError) -> None:
    """It is tried again; where the shop lets us write nothing at all, people are told."""
    now = ctx.clock()
    shut = error.code in _SHUT
    if isinstance(error, Rejected) and not shut:
        said = f"{error.code}: {error.message}"
        ctx.door(one.tenant).run(Store.BOOKS, lambda tx: write_backs.done(tx, one, run_id, now, said))
        return
    step = timedelta(seconds=LADDER[min(one.attempts, len(LADDER)) - 1])
    after = timedelta(seconds=getattr(error, "after", None) or 0)
    at = now + (_HOURS if shut else max(step, after))

    def note(tx: Transaction) -> None:
        write_backs.postpone(tx, one, run_id, now, at, error.code)
        if shut:
            alarms.raise_alarm(tx, one.tenant, _ALARM, "", now, {"code": error.code})

    ctx.door(one.tenant).run(Store.BOOKS, note)
