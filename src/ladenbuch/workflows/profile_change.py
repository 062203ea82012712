"""What a new version of a tenant's profile would change, from the stored orders; and the version, once it is confirmed.

Every order that was ever settled is planned from its sealed snapshot: nothing is fetched again and nobody is asked
about a VAT id. The orders pass by one after the other, in pages, so that memory does not grow with their number.

Reading writes nothing. `store` adds the version with its line in the audit chain, and refuses when another version was
added since the effect was shown; the orders that change are then wanted, through the one door every path uses.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, books, inbox, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction, from_micros
from ladenbuch.domain.books import Books
from ladenbuch.domain.evidence import Evidence
from ladenbuch.domain.facts import Facts, facts_of
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.profile_change import NOT_CHOSEN, Change, FieldChange, Outcome, changed_fields, outcome_of
from ladenbuch.errors import LadenbuchError, NeedsAttention, Rejected
from ladenbuch.inbox.marks import order_marks
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.evidence import gather

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Orders read in one transaction.
_PAGE = 100


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that is not stored yet. `known` are those there are, `replaces` the one in force when it begins.

    `until` is when a version dated later takes over, None when none does. `kept` are gateways whose account the new
    version does not name and takes over.
    """

    profile: Profile
    known: tuple[Profile, ...]
    replaces: Profile
    fields: tuple[FieldChange, ...]
    until: datetime | None
    kept: tuple[str, ...]

    @property
    def all(self) -> tuple[Profile, ...]:
        """The versions as they would be."""
        return *self.known, self.profile


def new_version(ctx: Context, tenant: str, data: Mapping[str, Any], effective_from: datetime) -> NewVersion:
    """A version out of a profile file, from an aware instant on. Switches that are the tenant's own are not read.

    Raises Rejected("PROFILE") for what is no profile, and for another `shop_key` once documents carry the old one.
    """
    known = tuple(ctx.profiles(tenant))
    replaces = profile_at(known, effective_from)
    said = {name: value for name, value in data.items() if name not in NOT_CHOSEN}
    own = {"go_live": replaces.go_live.isoformat(), "draft_only": replaces.draft_only}
    whole = {"shop_key": replaces.shop_key} | said | own | {"effective_from": effective_from.isoformat()}
    profile = Profile.from_json(whole, version=max(item.version for item in known) + 1)
    if profile.shop_key != replaces.shop_key and _documented(ctx, tenant):
        raise Rejected("PROFILE", f"shop_key stays {replaces.shop_key!r}: documents are found by it")
    profile, kept = _with_accounts(profile, replaces)
    later = [item.effective_from for item in known if item.effective_from > effective_from]
    fields = changed_fields(replaces, profile)
    return NewVersion(profile, known, replaces, fields, min(later, default=None), kept)


def _documented(ctx: Context, tenant: str) -> bool:
    first = sa.select(books.documents.c.key).where(books.documents.c.tenant == tenant).limit(1)
    return ctx.door(tenant).read(Store.BOOKS, lambda tx: tx.execute(first).first()) is not None


def _with_accounts(profile: Profile, before: Profile) -> tuple[Profile, tuple[str, ...]]:
    """An account the file does not name stays while the gateway's mode does: it was found or made for it."""
    gateways, kept = dict(profile.gateways), []
    for name, gateway in profile.gateways.items():
        old = before.gateways.get(name)
        if old is not None and gateway.account is None and old.account is not None and old.mode == gateway.mode:
            gateways[name] = replace(gateway, account=old.account)
            kept.append(name)
    return replace(profile, gateways=gateways), tuple(kept)


def stored_orders(ctx: Context, tenant: str) -> int:
    """How many orders `effect` will pass by."""
    count = sa.select(sa.func.count()).select_from(books.orders).where(books.orders.c.tenant == tenant)
    return int(ctx.door(tenant).read(Store.BOOKS, lambda tx: tx.execute(count).scalar_one()))


def never_read(ctx: Context, tenant: str) -> int:
    """How many orders were heard of and never settled: nothing can be said of them yet."""
    marks = order_marks.c
    count = sa.select(sa.func.count()).where(marks.tenant == tenant, marks.settled == 0)
    return int(ctx.door(tenant).read(Store.INBOX, lambda tx: tx.execute(count).scalar_one()))


def effect(ctx: Context, tenant: str, version: NewVersion, seen: Callable[[], None] = lambda: None) -> Change:
    """Plan every stored order under the versions there are and under the new one. Nothing is written."""
    change = Change()
    quiet = replace(ctx, vat_ids=None)  # without anybody to ask, stored answers count and nothing is written
    for row, known in _orders(ctx, tenant):
        seen()
        try:
            facts = _facts(ctx, tenant, row)
            evidence = gather(quiet, tenant, facts.order, ctx.clock())
        except (LadenbuchError, zlib.error, ValueError):
            change.unreadable += 1
            continue
        _count(change, row, facts, known, version, evidence, ctx.clock())
    return change


def _orders(ctx: Context, tenant: str) -> Iterator[tuple[Any, Books]]:
    """Every stored order with its books, oldest first, a page at a time."""
    table = books.orders
    wanted = (table.c.order_id, table.c.name, table.c.processed_at, table.c.key_id, table.c.snapshot)
    at, last = table.c.processed_at, table.c.order_id
    unseal = ctx.unseal(tenant, "pins")
    after: tuple[int, str] | None = None
    while True:
        query = sa.select(*wanted).where(table.c.tenant == tenant).order_by(at, last).limit(_PAGE)
        if after is not None:
            query = query.where(sa.or_(at > after[0], sa.and_(at == after[0], last > after[1])))

        def read(tx: Transaction, query: sa.Select[Any] = query) -> list[tuple[Any, Books]]:
            return [(row, books.load(tx, tenant, row.order_id, unseal)) for row in tx.execute(query)]

        page = ctx.door(tenant).read(Store.BOOKS, read)
        yield from page
        if len(page) < _PAGE:
            return
        after = (page[-1][0].processed_at, page[-1][0].order_id)


def _facts(ctx: Context, tenant: str, row: Any) -> Facts:
    """The order as it was last settled. Raises what a broken snapshot raises."""
    envelope = zlib.decompress(ctx.unseal(tenant, "snapshot")(row.order_id, row.key_id, bytes(row.snapshot)))
    return facts_of(order_from_envelope(json.loads(envelope)))


def _count(
    change: Change, row: Any, facts: Facts, known: Books, version: NewVersion, evidence: Evidence, now: datetime
) -> None:
    def under(profiles: Sequence[Profile], posted: Books) -> Outcome:
        return outcome_of(plan(facts, posted, profiles, now, evidence))

    first = known.invoice
    if first is None:
        alone = [replace(version.profile, effective_from=_EPOCH)]
        change.add_open(
            row.order_id, row.name, under(version.known, known), under(version.all, known), under(alone, known)
        )
        return
    pinned = next((item for item in version.known if item.version == first.profile_version), version.replaces)
    never = Books(resolutions=known.resolutions)
    lives = [
        under([replace(item, effective_from=_EPOCH, version=1, draft_only=False)], never)
        for item in (pinned, version.profile)
    ]
    left = under(version.known, known), under(version.all, known)
    change.add_posted(row.order_id, row.name, left, (lives[0], lives[1]))


# -- once it is confirmed -----------------------------------------------------------------------------------------


def store(ctx: Context, tenant: str, version: NewVersion, change: Change) -> int:
    """Add the version, with its line in the audit chain; its number comes back.

    Raises NeedsAttention("PROFILE-STALE") when versions were added since the effect was worked out.
    """
    now = ctx.clock()
    data = {name: value for name, value in version.profile.as_json().items() if name not in NOT_CHOSEN}
    sentence = (
        f"Profile version {version.profile.version} is in force from {version.profile.effective_from.isoformat()}: "
        f"{len(version.fields)} choices, {change.open.changed} open orders change, "
        f"{change.posted.changed} posted orders would differ."
    )
    fields = {item.name: [item.before, item.after] for item in version.fields}
    detail = {"fields": fields, "open": change.open.changed, "posted": change.posted.changed}

    def write(tx: Transaction) -> int:
        number = tenants.add_profile(tx, tenant, data, version.profile.effective_from, now)
        if number != version.profile.version:
            message = "another version was added since: nothing was stored"
            raise NeedsAttention("PROFILE-STALE", message, choices=("look at its effect again",))
        audit.append(
            tx, tenant, now, actor="operator", event="tenant.profile", subject=tenant, sentence=sentence, detail=detail
        )
        return number

    return ctx.door(tenant).run(Store.BOOKS, write)


@working_as(Priority.BACKFILL)
def look_again(ctx: Context, tenant: str, change: Change) -> int:
    """Want the orders that change to be settled again; how many comes back."""
    now, pairs = ctx.clock(), [(tenant, gid) for gid in change.again]
    ctx.door(tenant).run(Store.INBOX, lambda tx: inbox.want_all(tx, pairs, now))
    ctx.wake("dispatch")
    return len(pairs)


def versions(ctx: Context, tenant: str) -> list[tuple[int, datetime, datetime]]:
    """(number, in force from, added at) of every version, as they were added."""
    table = tenants.profile_versions
    query = sa.select(table.c.version, table.c.effective_from, table.c.created_at).where(table.c.tenant == tenant)
    rows = ctx.door(tenant).read(Store.BOOKS, lambda tx: tx.execute(query.order_by(table.c.version)).all())
    return [(row.version, from_micros(row.effective_from), from_micros(row.created_at)) for row in rows]
