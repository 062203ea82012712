"""Every night: does the same money stand on an account of ours and on one that a feed fills? (bookkeeping 4.2)

    ours      what our books put on accounts, with what it pays: a line per transaction, or sevdesk's own line (offline)
    theirs    the lines of every other online account, and lines on our accounts that carry no key of ours: a gateway's
              CSV somebody imported there
    pairs     same amount, at most two days apart, theirs linked to nothing, or naming ours (`domain.double_money`)

A pair is a difference of the reconciliation like any other: listed, with an alarm when it was seen twice, gone when one
of the lines is gone or both pay a document, accepted when a person says that it is two payments. Nothing is deleted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from ladenbuch import books
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.books import transaction_of
from ladenbuch.domain.double_money import DAYS, OwnLine, Pair, TheirLine, pairs, words_of
from ladenbuch.domain.gift_cards import CARD
from ladenbuch.domain.money import to_decimal
from ladenbuch.domain.profile import LINED_MODES, OFFLINE_MODE, Profile
from ladenbuch.domain.reconciling import CASES, Discrepancy
from ladenbuch.sevdesk.accounts import RemoteTransaction
from ladenbuch.workflows.certify import patiently
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.month_books import batches
from ladenbuch.workflows.preview import Period

CODE = "MONEY-TWICE"
_NAMED = ", where it names the order"
#: What lines begin with that this program writes, for whichever shop.
_KEY = re.compile(r"SHP[A-Z]{1,6} \S")
#: How long after its value date a feed may enter a line.
_LATE = timedelta(days=35)
#: Orders that wait for a transfer or a feed: their verdict's code.
_WAITING = ("UNPAID", "FEED-WAITING", "FEED-UNMATCHED", "PAYMENT-UNLINKED")
_SLACK = timedelta(days=DAYS)


@working_as(Priority.BACKFILL)
def twice(ctx: Context, tenant: str, period: Period) -> list[Discrepancy]:
    """The same money on two accounts, where the other side's line was entered on the days of a period."""
    profiles = ctx.profiles(tenant)
    own = own_accounts(profiles)
    if not own:
        return []
    sevdesk = ctx.sevdesk(tenant)
    accounts = {item.id: item for item in patiently(ctx, sevdesk.check_accounts)}
    others = [item.id for item in accounts.values() if item.active and item.kind == "online"]
    if not others:
        return []
    ours, cards = _ours(ctx, tenant, period, own)
    known = {line.id for line in ours}
    theirs: list[TheirLine] = []
    for account in sorted(others):
        for row in sevdesk.lines(account, period.since, period.until, lambda read: patiently(ctx, read)):
            if row.id not in known and not _KEY.match(row.purpose):
                theirs.append(_their(row))
    theirs = _untaken(ctx, tenant, theirs)
    expected = _expected(ctx, tenant, {line.amount for line in theirs}) + cards
    names = {item.id: item.name for item in accounts.values()}
    return [_told(pair, names) for pair in pairs(ours, theirs, expected)]


@working_as(Priority.BACKFILL)
def still_twice(ctx: Context, tenant: str, seen: Discrepancy) -> bool:
    """Whether a pair that was found is still one: both lines are there as they were, and theirs found no document."""
    sevdesk = ctx.sevdesk(tenant)
    rows: list[RemoteTransaction] = []
    for reference in (seen.held, seen.key):
        kind, _, id_ = (reference or "").partition("/")
        if kind != "CheckAccountTransaction":
            continue  # sevdesk made ours; it goes only with its booking, which the night sees
        row = patiently(ctx, lambda one=id_: sevdesk.get_transaction(one))  # type: ignore[misc]
        if row is None or row.deleted:
            return False
        rows.append(row)
    days = [row.value_date for row in rows if row.value_date is not None]
    alike = len({row.amount for row in rows}) == 1 and max(days) - min(days) <= _SLACK
    theirs, named = rows[0], seen.message.endswith(_NAMED)
    return alike and (not theirs.is_linked or (named and not all(row.is_linked for row in rows)))


def own_accounts(profiles: Iterable[Profile]) -> dict[str, set[str]]:
    """The accounts our money stands on by any version, with the names of their gateways."""
    found: dict[str, set[str]] = {}
    for profile in profiles:
        gateways = {**profile.gateways, **({"": profile.default_gateway} if profile.default_gateway else {})}
        for name, gateway in gateways.items():
            if gateway.mode in (*LINED_MODES, OFFLINE_MODE) and gateway.account is not None:
                found.setdefault(gateway.account, set()).add(name)
    return found


def _ours(ctx: Context, tenant: str, period: Period, own: Container[str]) -> tuple[list[OwnLine], Counter[int]]:
    """What our books put on these accounts around the days of a period; and the amounts a feed brought for gift cards,
    which stay unlinked beside what is owed for them."""
    lines, booked, orders = books.money_lines.c, books.bookings.c, books.orders.c
    days = ((period.since - _LATE - _SLACK).isoformat(), (period.until + _SLACK).isoformat())
    wanted = sa.select(
        lines.payment_id, lines.account, lines.amount, lines.value_date, lines.sevdesk_id, lines.order_id
    )
    wanted = wanted.where(lines.tenant == tenant, lines.value_date >= days[0], lines.value_date < days[1])
    offline = sa.select(booked.payment_id, booked.account, booked.amount, booked.booked_on, booked.order_id)
    offline = offline.where(booked.tenant == tenant, booked.transaction_id == "")
    offline = offline.where(booked.booked_on >= days[0], booked.booked_on < days[1])

    def read(tx: Transaction) -> tuple[list[OwnLine], Counter[int]]:
        written = [row for row in tx.execute(wanted) if row.account in own]
        made = [row for row in tx.execute(offline) if row.account in own]
        ids = sorted({row.order_id for row in (*written, *made)})
        linked, documented, names = set[str](), set[str](), dict[str, str]()
        for some in batches(ids):
            mine = sa.and_(booked.tenant == tenant, booked.order_id.in_(some))
            linked |= set(tx.execute(sa.select(booked.transaction_id).where(mine)).scalars())
            final = sa.select(books.documents.c.order_id).where(
                books.documents.c.tenant == tenant,
                books.documents.c.order_id.in_(some),
                books.documents.c.state == "final",
            )
            documented |= set(tx.execute(final).scalars())
            called = sa.select(orders.order_id, orders.name).where(orders.tenant == tenant, orders.order_id.in_(some))
            names |= {row.order_id: row.name for row in tx.execute(called)}
        cards = {transaction_of(row.payment_id) for row in written if row.payment_id.endswith(f"/{CARD}")}
        found = []
        for row in written:
            unlinked = transaction_of(row.payment_id) in cards or row.order_id not in documented  # as it should be
            settled = unlinked or row.sevdesk_id in linked
            found.append(_own(row, row.value_date, names, settled, row.sevdesk_id))
        found += [_own(row, row.booked_on, names, True, None) for row in made]
        lined = {transaction_of(row.payment_id) for row in written if not row.payment_id.endswith(f"/{CARD}")}
        owed = [row for row in written if row.payment_id.endswith(f"/{CARD}")]
        fed = Counter(-row.amount for row in owed if transaction_of(row.payment_id) not in lined)
        return found, fed

    return ctx.door(tenant).read(Store.BOOKS, read)


def _own(row: Any, day: str, names: dict[str, str], settled: bool, id_: str | None) -> OwnLine:
    name = names.get(row.order_id, "")
    transaction = transaction_of(row.payment_id).rsplit("/", 1)[-1]
    told = frozenset(word for word in words_of(name) if len(word) > 2) | {row.order_id.rsplit("/", 1)[-1], transaction}
    return OwnLine(row.account, row.amount, date.fromisoformat(day), settled, row.order_id, name, id_, told)


def _their(row: RemoteTransaction) -> TheirLine:
    assert row.value_date is not None
    return TheirLine(
        row.id, row.account_id, row.amount, row.value_date, row.is_linked, words_of(row.purpose, row.payer)
    )


def _untaken(ctx: Context, tenant: str, theirs: list[TheirLine]) -> list[TheirLine]:
    """Without the lines that orders use as their payment: those a feed brought, in its own mode."""

    def read(tx: Transaction) -> set[str]:
        taken = set[str]()
        for some in batches([line.id for line in theirs]):
            taken |= books.taken_lines(tx, tenant, some).keys()
        return taken

    taken = ctx.door(tenant).read(Store.BOOKS, read)
    return [line for line in theirs if line.id not in taken]


def _expected(ctx: Context, tenant: str, amounts: set[int]) -> Counter[int]:
    """How many payments of each amount orders wait for: unpaid ones, and invoices that are open."""
    orders = books.orders.c
    found: Counter[int] = Counter()

    def read(tx: Transaction) -> None:
        wanted = sorted(amount for amount in amounts if amount > 0)
        for start in range(0, len(wanted), 400):
            some = wanted[start : start + 400]
            query = sa.select(orders.total, orders.code, orders.certificate)
            for row in tx.execute(query.where(orders.tenant == tenant, orders.total.in_(some))):
                rest = json.loads(row.certificate).get("open_minor")
                found[row.total] += row.code in _WAITING or rest == row.total

    ctx.door(tenant).read(Store.BOOKS, read)
    return found


def _told(pair: Pair, accounts: dict[str, str]) -> Discrepancy:
    own, line, case = pair.ours, pair.theirs, CASES[CODE]
    there = accounts.get(line.account, line.account)
    here = accounts.get(own.account, own.account)
    where = f"on {here} and on {there}" if here != there else f"twice on {here}"
    message = f"{to_decimal(own.amount)} of {own.day} stands {where} ({line.day})"
    if pair.named:
        message += _NAMED
    key = None if own.id is None else f"CheckAccountTransaction/{own.id}"
    shown = f"{to_decimal(own.amount)} {own.day:%d.%m.} / {there} {line.day:%d.%m.}"
    named = own.order_id, own.order_name or None, shown, key, f"CheckAccountTransaction/{line.id}"
    return Discrepancy(case.sort, CODE, message, case.cure, case.human, *named)
