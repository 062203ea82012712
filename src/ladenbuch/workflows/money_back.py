"""A tick: what came to the merchant's bank accounts in sevdesk, and whose it is (P1, B13, bookkeeping 4.1).

    lines entered lately ──► new or changed? ──► matched with the orders that wait ──► kept ──► those orders are wanted
    documents that changed ──► paid beyond what we linked? ───────────────────────────────────► that order is wanted

The settle of an order does the rest. sevdesk tells nobody of a line, promises no order and filters by the day of entry
alone (facts 1.4); so each look lists the days since the last one, less three, and counts the lines of the last two
months in the same breath: where there are more than the new ones explain, a line came late or dated back, and those
months are listed at once. Once a day they are listed anyway, for lines that were changed or taken away.

Nothing is asked while no order waits, but once an hour: somebody may pay twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial

from ladenbuch import books, inbox, money_back, tenants
from ladenbuch.bucket import Priority, working_as
from ladenbuch.db import Store, Transaction
from ladenbuch.domain.money_back import Awaited, BankLine, Desk, Matched
from ladenbuch.domain.order import Order
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.references import called_otherwise
from ladenbuch.errors import LadenbuchError, Retryable
from ladenbuch.money_back import SeenLine, Waiting
from ladenbuch.sevdesk.accounts import CheckAccount, RemoteTransaction
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.telemetry.trace import bound
from ladenbuch.workflows import lockout
from ladenbuch.workflows.context import Context, profiles_in

log = logging.getLogger(__name__)

#: How far each look reaches back behind the last; how far the look goes that misses nothing.
_BACK, _DEEP = timedelta(days=3), timedelta(days=62)
#: How often it is looked where an order waits; where none does; as deep as it goes; how long accounts are remembered.
_NONE_WAITS, _DEEP_AGAIN, _ACCOUNTS_AGAIN = timedelta(hours=1), timedelta(hours=24), timedelta(hours=1)
#: After an order began to wait, lines that were nobody's are looked at again, so often at most.
_ANEW = timedelta(minutes=10)
#: How long an order that is paid is remembered, for a second transfer; and a line that was nobody's.
_KEPT = timedelta(days=120)
#: How much earlier than its order a line may be dated that names nothing.
_EARLY = timedelta(days=1)
_CURSOR = "bank"
#: Under which name the inbox notes when a look was over, for figures.
LOOKED = "bank looked"
_LATELY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """How far a tenant's accounts are known. `total`: lines of the last two months, by account, when last counted."""

    looked_at: datetime | None = None
    deep_at: datetime | None = None
    documents_at: datetime | None = None
    accounts_at: datetime | None = None
    accounts: tuple[str, ...] = ()
    totals: tuple[tuple[str, int], ...] = ()

    @classmethod
    def read(cls, text: str | None) -> _Cursor:
        if text is None:
            return cls()
        kept = json.loads(text)
        at = {name: datetime.fromisoformat(kept[name]) if kept[name] else None for name in _INSTANTS}
        return cls(**at, accounts=tuple(kept["accounts"]), totals=tuple((a, n) for a, n in kept["totals"]))

    def written(self) -> str:
        instants = {name: value.isoformat() if (value := getattr(self, name)) else None for name in _INSTANTS}
        return json.dumps({**instants, "accounts": self.accounts, "totals": self.totals})


_INSTANTS = ("looked_at", "deep_at", "documents_at", "accounts_at")


def look_all(ctx: Context, every: timedelta) -> int:
    """Look at the bank accounts of every active tenant whose turn it is; one tenant's trouble does not stop the others.

    Returns how many orders were wanted. A tenant another process looked at less than half of `every` ago is its.
    """
    active = [one for one in ctx.database.system("money back").read(Store.BOOKS, tenants.all) if one.state == "active"]
    jobs: list[Callable[[], int]] = [partial(_look_one, ctx, owner.id, every) for owner in active]
    found = sum(ctx.spread(jobs))
    if found:
        ctx.wake("dispatch")
    return found


def _look_one(ctx: Context, tenant: str, every: timedelta) -> int:
    now = ctx.clock()
    door = ctx.door(tenant)
    try:
        with bound(trace=f"bank-{now:%Y%m%dT%H%M%S}", tenant=tenant):
            found = _want(ctx, tenant)  # what a look that died had found
            turn = "turn:bank", now, every / 2, ctx.executor
            ours = door.run(Store.INBOX, lambda tx: inbox.take_turn(tx, tenant, *turn))
            if ours and door.read(Store.BOOKS, lambda tx: tenants.stopped(tx, tenant)) != lockout.REASON:
                with working_as(Priority.WEBHOOKS):
                    found += look(ctx, tenant)
            return found
    except LadenbuchError as error:
        log.warning("look at bank accounts postponed", extra={"code": error.code})
        if error.code == "SEVDESK-TOKEN":  # else it is asked with it again, every minute
            lockout.lock_out(ctx, tenant, by="money back", subject=tenant)
    except Exception:
        log.exception("look at bank accounts failed")
    return 0


def look(ctx: Context, tenant: str, *, deep: bool = False) -> int:
    """One look at a tenant's bank accounts and documents; how many orders were wanted. `deep`: at all of two months."""
    door, now = ctx.door(tenant), ctx.clock()
    cursor = _Cursor.read(door.read(Store.INBOX, lambda tx: inbox.cursor(tx, tenant, _CURSOR)))

    def read(tx: Transaction) -> tuple[list[Profile], list[Waiting], bool]:
        waits, newest = money_back.waiting(tx, tenant, owing=True), money_back.newest_wait(tx, tenant)
        began = newest is not None and cursor.deep_at is not None and newest > cursor.deep_at
        anew = began and _past(cursor.deep_at, _ANEW, now)
        return profiles_in(tx, tenant), waits, anew and bool(money_back.unmatched(tx, tenant, (now - _DEEP).date()))

    profiles, waits, anew = door.read(Store.BOOKS, read)
    if not profile_at(profiles, now).money_back or not (waits or deep or cursor.looked_at):
        return 0  # nothing ever waited for a transfer
    if not deep and not waits and cursor.looked_at is not None and now - cursor.looked_at < _NONE_WAITS:
        return 0
    walk = _Look(ctx, tenant, profiles, waits, cursor, now)
    walk.accounts(anew=deep, deep=deep or anew)
    walk.documents()
    if door.read(Store.BOOKS, lambda tx: tenants.standing(tx, tenant)) != "active":
        return 0

    def note(tx: Transaction) -> None:
        inbox.set_cursor(tx, tenant, _CURSOR, walk.cursor.written())
        inbox.note(tx, tenant, LOOKED, now)

    door.run(Store.INBOX, note)
    if walk.cursor.deep_at == now:
        door.run(Store.BOOKS, lambda tx: money_back.prune(tx, tenant, now - _KEPT))
    return _want(ctx, tenant)


def _shared(ctx: Context, tenant: str) -> bool:
    """Whether another shop keeps its books in the same sevdesk account: then its buyers' transfers come here, too."""
    known = ctx.database.system("money back").read(Store.BOOKS, tenants.all)
    mine = next((one.sevdesk_ref for one in known if one.id == tenant), None)
    return mine is not None and sum(one.sevdesk_ref == mine and one.state == "active" for one in known) > 1


def _past(at: datetime | None, age: timedelta, now: datetime) -> bool:
    return at is None or now - at >= age


def _want(ctx: Context, tenant: str) -> int:
    """Ask for a look at every order with a line nobody has looked at; then remember that it was asked for."""
    door, now = ctx.door(tenant), ctx.clock()
    orders = door.read(Store.BOOKS, lambda tx: money_back.unwanted(tx, tenant))
    if orders:
        with working_as(Priority.WEBHOOKS):
            door.run(Store.INBOX, lambda tx: inbox.want_all(tx, [(tenant, one) for one in orders], now))
        door.run(Store.BOOKS, lambda tx: money_back.wanted(tx, tenant, orders, now))
    return len(orders)


class _Look:
    """One look, kept account by account: a death costs a second look, never a line."""

    def __init__(
        self,
        ctx: Context,
        tenant: str,
        profiles: Sequence[Profile],
        waits: Sequence[Waiting],
        cursor: _Cursor,
        now: datetime,
    ) -> None:
        self.ctx, self.tenant, self.profiles, self.now = ctx, tenant, profiles, now
        self.cursor, self.door, self.sevdesk = cursor, ctx.door(tenant), ctx.sevdesk(tenant)
        self.profile = profile_at(profiles, now)
        self.today = self.profile.local_date(now)
        self.waits = list(waits)
        self.shared = _shared(ctx, tenant)

    @cached_property
    def desk(self) -> Desk:
        """The orders that wait, and those that did: read when there is something to hold against them."""
        self.waits = self.door.read(Store.BOOKS, lambda tx: money_back.waiting(tx, self.tenant))
        return Desk(_awaited(one) for one in self.waits)

    def accounts(self, *, anew: bool, deep: bool) -> None:
        """Every bank account that is not ours: what was entered lately, or all of two months."""
        cursor, now = self.cursor, self.now
        if anew or not cursor.accounts or _past(cursor.accounts_at, _ACCOUNTS_AGAIN, now):
            found = tuple(one.id for one in self.sevdesk.check_accounts() if self._is_theirs(one))
            cursor = replace(cursor, accounts=found, accounts_at=now)
        deep = deep or cursor.looked_at is None or _past(cursor.deep_at, _DEEP_AGAIN, now)
        totals = dict(cursor.totals)
        first = self.today - _DEEP if cursor.looked_at is None else self.profile.local_date(cursor.looked_at) - _BACK
        for account in cursor.accounts:
            total = self.sevdesk.count_lines(account, self.today - _DEEP)
            fresh = 0 if deep else self._lines(account, first)
            if deep or (total is not None and total != totals.get(account, total) + fresh):
                self._lines(account, min(first, self.today - _DEEP), whole=True)
            totals[account] = total or 0
        self.cursor = replace(
            cursor, looked_at=now, deep_at=now if deep else cursor.deep_at, totals=tuple(sorted(totals.items()))
        )

    def documents(self) -> None:
        """Invoices that changed: where more is paid than we linked, their orders are looked at."""
        since, now = self.cursor.documents_at, self.now
        if not any(one.owed > 0 and one.numbers for one in self.waits):
            self.cursor = replace(self.cursor, documents_at=now if since is not None else None)
            return
        changed = [
            one
            for one in self.sevdesk.changed("Invoice", (since or now - _BACK) - _LATELY, lambda read: read())
            if one.final and one.paid > 0
        ]

        def note(tx: Transaction) -> list[str]:
            known = books.paid_by_us(tx, self.tenant, [one.id for one in changed])
            orders = {known[one.id][0] for one in changed if one.id in known and one.paid > known[one.id][1]}
            return money_back.look_again(tx, self.tenant, sorted(orders))

        orders = self.door.run(Store.BOOKS, note) if changed else []
        if orders:
            self.door.run(Store.INBOX, lambda tx: inbox.want_all(tx, [(self.tenant, one) for one in orders], now))
        self.cursor = replace(self.cursor, documents_at=now)

    def _is_theirs(self, account: CheckAccount) -> bool:
        """Whether it is a bank account of the merchant's own: lines come to it, and no gateway is kept on it."""
        gateways = [one for profile in self.profiles for one in (*profile.gateways.values(), profile.default_gateway)]
        ours = {one.account for one in gateways if one is not None}
        fits = account.kind == "online" and account.active and account.currency == self.profile.currency
        fits = fits and account.provider != "PAYPAL"  # what PayPal brings was paid at checkout, and names orders
        return fits and account.id not in ours and "(automatisch" not in account.name

    def _lines(self, account: str, since: date, *, whole: bool = False) -> int:
        """Judge what is new or changed on an account since a day; how many lines were new. `whole`: look for what is
        gone, too."""
        rows = self.sevdesk.bank_lines(account, since)
        ids = [row.id for row in rows]

        def read(tx: Transaction) -> tuple[dict[str, SeenLine], dict[str, str], dict[str, SeenLine]]:
            expected = money_back.missing(tx, self.tenant, account, since + _BACK) if whole else {}
            return money_back.seen(tx, self.tenant, ids), books.taken_lines(tx, self.tenant, ids), expected

        known, taken, expected = self.door.read(Store.BOOKS, read)
        judged: list[tuple[SeenLine, Matched | None]] = []
        unlinked = []
        for row in rows:
            before = known.get(row.id)
            if before is not None and before.mark == _mark(row) and not self._is_nobodys(row, before):
                continue
            made = self._judged(row, row.id in taken, before)
            if made is None and before is not None and before.mark == _mark(row):
                continue
            verdict = made.verdict if made is not None else before.verdict if before is not None else "linked"
            judged.append((SeenLine(row.id, account, row.amount, row.value_date, _mark(row), verdict, self.now), made))
            if row.id in taken and not row.is_linked:
                unlinked.append(taken[row.id])
        gone = [replace(line, mark="gone", verdict="gone") for id_, line in expected.items() if id_ not in set(ids)]
        if judged or gone:
            self.door.run(Store.BOOKS, lambda tx: self._keep(tx, [*judged, *((one, None) for one in gone)], unlinked))
        return sum(row.id not in known for row in rows)

    def _keep(self, tx: Transaction, judged: list[tuple[SeenLine, Matched | None]], unlinked: list[str]) -> None:
        if tenants.standing(tx, self.tenant) != "active":  # redacted meanwhile: no row of it may be left
            raise Retryable("STOPPED", "the tenant went while its accounts were looked at")
        money_back.saw(tx, self.tenant, judged, self.now)
        money_back.look_again(tx, self.tenant, unlinked, paid=True)

    def _is_nobodys(self, row: RemoteTransaction, before: SeenLine) -> bool:
        return before.verdict == "none" and row.amount > 0 and not row.is_linked

    def _judged(self, row: RemoteTransaction, taken: bool, before: SeenLine | None) -> Matched | None:
        """What a line is. None: it stays what it was, because we linked it, a person chose, or others linked it."""
        if taken or (row.is_linked and before is not None) or (before is not None and before.verdict == "chosen"):
            return None  # what a linked line pays, the documents say; what it was for before, its order's settle does
        line = BankLine(row.id, row.account_id, row.amount, row.value_date, row.purpose, row.payer or "")
        if row.is_linked:
            return self.desk.linked(line)
        self._known_by_name(line)
        made = self.desk.match(line, self._people(self.desk.candidates(line), line.day))
        if self.shared and made.sure and not all("sender" in claim.evidence for claim in made.claims):
            made = replace(made, verdict="ambiguous")  # the other shop may have an order of the same name (5.30)
        return None if before is not None and made.verdict == before.verdict == "none" else made

    def _known_by_name(self, line: BankLine) -> None:
        """Orders that never waited for a transfer, and that this one names all the same."""
        numbers = called_otherwise(line.text, self.desk.numbers)
        shapes = {_shape(one.name) for one in self.waits}
        names = [f"{before}{number}{after}" for number in numbers[:5] for before, after in shapes]
        if not names:
            return
        found = self.door.read(Store.BOOKS, lambda tx: books.orders_named(tx, self.tenant, names))
        self.desk.add(Awaited(order, name, 0, total) for order, name, total in found)

    def _people(self, order_ids: Iterable[str], day: date | None) -> dict[str, list[str]]:
        """The names the buyers of these orders go by, as the shop said when they were settled. Nobody's for an order
        that was placed after the line's day: money that was there before is not sent for it."""
        unseal = self.ctx.unseal(self.tenant, "snapshot")
        wanted = list(order_ids)
        rows = self.door.read(Store.BOOKS, lambda tx: books.snapshots_of(tx, self.tenant, wanted)) if wanted else {}
        people: dict[str, list[str]] = {}
        for order_id, (key_id, sealed) in rows.items():
            try:
                envelope = json.loads(zlib.decompress(unseal(order_id, key_id, sealed)))
                order = order_from_envelope(envelope)
                early = day is not None and self.profile.local_date(order.processed_at) > day + _EARLY
                people[order_id] = [] if early else names_of(order)
            except LadenbuchError:
                people[order_id] = []
        return people


def names_of(order: Order) -> list[str]:
    """What the buyer of an order, or their company, is called."""
    found = []
    for address in (order.billing_address, order.shipping_address):
        if address is not None:
            found += [f"{address.first_name or ''} {address.last_name or ''}", address.company or ""]
    buyer = order.customer
    if buyer is not None:
        found += [f"{buyer.first_name or ''} {buyer.last_name or ''}", buyer.display_name or ""]
    if order.company is not None:
        found.append(order.company.name)
    return list(dict.fromkeys(name.strip() for name in found if name.strip()))


def _awaited(one: Waiting) -> Awaited:
    return Awaited(one.order_id, one.name, one.owed, one.total, one.numbers)


def _shape(name: str) -> tuple[str, str]:
    """What stands around the last number of an order's name."""
    digits = [at for at, char in enumerate(name) if char.isdigit()]
    if not digits:
        return "", ""
    end = digits[-1] + 1
    start = end
    while start and name[start - 1].isdigit():
        start -= 1
    return name[:start], name[end:]


def _mark(row: RemoteTransaction) -> str:
    """Stands for what a line says, and whether somebody linked it."""
    said = (row.id, row.amount, str(row.value_date), row.purpose, row.payer or "", row.is_linked)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]
