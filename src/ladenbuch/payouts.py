"""What payment providers said of their balances, and what was written of it: payouts, movements, lines, days, turns.

What a provider says is taken over again at every look; the day a payout was first seen paid is pinned. A line is
written down once it is confirmed in sevdesk and never changed. The balance of a day is kept as it was last compared.
Nothing here names a buyer: orders and amounts.

Functions take an open transaction of the books store and never open one. Amounts are minor units, instants aware UTC,
days ISO dates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, from_micros, insert_new, to_micros, upsert
from ladenbuch.domain.balance import Movement, Payout
from ladenbuch.domain.clearing import BookLine, DayBalance, Named
from ladenbuch.domain.closed_days import Closed
from ladenbuch.domain.payouts import FeeVoucher, KnownPayout, LedgerLine

_GATEWAY = sa.String(64)

payouts = sa.Table(
    "payouts",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("trace", sa.String(128), nullable=False),
    sa.Column("paid_on", sa.String(10)),
    sa.Column("whole", sa.Integer, nullable=False),  # its parts are known and add up
)

movements = sa.Table(
    "payout_movements",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("fee", sa.BigInteger, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("order_transaction", sa.String(128)),
    sa.Column("order_id", sa.String(64)),
    sa.Column("order_name", sa.String(64)),
    sa.Column("payout_id", sa.String(128)),
    sa.Column("source_id", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_payout_movements_at", "tenant", "gateway", "at"),
)

lines = sa.Table(
    "payout_lines",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("value_date", sa.String(10), nullable=False),
    sa.Column("about", sa.String(128), nullable=False),
    sa.Column("order_id", sa.String(64)),
    sa.Column("sevdesk_id", sa.String(64), nullable=False),
)

vouchers = sa.Table(
    "payout_vouchers",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("payout_id", sa.String(128), nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("gross", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Integer, nullable=False),
    sa.Column("account", sa.String(16), nullable=False),
    sa.Column("supplier", sa.String(100), nullable=False),
    sa.Column("sevdesk_id", sa.String(64), nullable=False),
    sa.Column("booked_at", sa.BigInteger),
)

days = sa.Table(
    "payout_days",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("currency", sa.String(3), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("clearing", sa.BigInteger, nullable=False),
    sa.Column("unpaid", sa.BigInteger, nullable=False),
    sa.Column("reserved", sa.BigInteger, nullable=False),
    sa.Column("in_transit", sa.BigInteger, nullable=False),
    sa.Column("told", sa.BigInteger),
    sa.Column("named", sa.Text, nullable=False),
    sa.Column("compared_at", sa.BigInteger, nullable=False),
)

turns = sa.Table(
    "payout_turns",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("gateway", _GATEWAY, primary_key=True),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("read_until", sa.BigInteger),  # movements are known up to here
    sa.Column("start", sa.BigInteger),  # since when the account is kept, as it was at the first look
    sa.Column("opening", sa.BigInteger),  # the provider's balance at the start, pinned then
    sa.Column("told", sa.BigInteger),  # its balance as it said it last
    sa.Column("code", sa.String(64), nullable=False),  # what came of the last look, "" for all well
    sa.Column("problems", sa.Text, nullable=False),
    sa.Column("looked_at", sa.BigInteger),
    sa.Column("closed", sa.Text),  # what is over and not read any more (`domain.closed_days`), as JSON
)


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the looks at one gateway of a tenant stand. `problems` are (code, sentence) pairs of the last look."""

    tenant: str
    gateway: str
    due_at: datetime
    read_until: datetime | None = None
    start: datetime | None = None
    opening: int | None = None
    told: int | None = None
    code: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    looked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WrittenVoucher:
    """A fee voucher that exists in sevdesk; `booked` once its line pays it."""

    key: str
    payout_id: str
    day: date
    gross: int
    rule: int
    supplier: str
    sevdesk_id: str
    booked: bool


# -- turns --------------------------------------------------------------------------------------------------------


def _mine(table: sa.Table, tenant: str, gateway: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.tenant == tenant, table.c.gateway == gateway)


def turns_of(tx: Transaction) -> list[Turn]:
    """Every turn the door can see."""
    return [_turn(row) for row in tx.execute(sa.select(turns).order_by(turns.c.due_at, turns.c.tenant))]


def turn(tx: Transaction, tenant: str, gateway: str) -> Turn | None:
    """Where the looks at a gateway stand, None before the first."""
    row = tx.execute(sa.select(turns).where(_mine(turns, tenant, gateway))).first()
    return None if row is None else _turn(row)


def plan(tx: Transaction, tenant: str, gateway: str, at: datetime) -> bool:
    """Plan the first look; False when it was planned before."""
    return insert_new(tx, turns, tenant=tenant, gateway=gateway, due_at=to_micros(at), code="", problems="[]")


def claim(tx: Transaction, tenant: str, gateway: str, now: datetime, until: datetime) -> bool:
    """Take a turn that is due; False when another process did. Who dies at it leaves it due again `until` then."""
    mine = sa.and_(_mine(turns, tenant, gateway), turns.c.due_at <= to_micros(now))
    return tx.execute(sa.update(turns).where(mine).values(due_at=to_micros(until))).rowcount == 1


def done(tx: Transaction, tenant: str, gateway: str, due: datetime, code: str, now: datetime) -> None:
    """A look is over, well (`code` "") or not; the next one is due then."""
    values = {"due_at": to_micros(due), "code": code, "looked_at": to_micros(now)}
    tx.execute(sa.update(turns).where(_mine(turns, tenant, gateway)).values(**values))


def read_up_to(tx: Transaction, tenant: str, gateway: str, at: datetime, told: int | None) -> None:
    """Movements are known up to an instant, when the provider said that it owes `told`, if it said so."""
    values = {"read_until": to_micros(at), "told": told}
    tx.execute(sa.update(turns).where(_mine(turns, tenant, gateway)).values(**values))


def open_at(tx: Transaction, tenant: str, gateway: str, start: datetime, opening: int) -> None:
    """Pin since when the account is kept, and what the provider owed then."""
    mine = sa.and_(_mine(turns, tenant, gateway), turns.c.start.is_(None))
    tx.execute(sa.update(turns).where(mine).values(start=to_micros(start), opening=opening))


def say(tx: Transaction, tenant: str, gateway: str, problems: Iterable[tuple[str, str]]) -> None:
    """What the last look could not do, and why."""
    told = json.dumps([list(item) for item in problems], ensure_ascii=False)
    tx.execute(sa.update(turns).where(_mine(turns, tenant, gateway)).values(problems=told))


def closed(tx: Transaction, tenant: str, gateway: str) -> Closed | None:
    """What of a gateway is over; None where nothing is yet."""
    kept = tx.execute(sa.select(turns.c.closed).where(_mine(turns, tenant, gateway))).scalar()
    if kept is None:
        return None
    said: dict[str, Any] = json.loads(kept)
    lists = {name: tuple(it) for name, it in said.items() if isinstance(it, list)}
    return Closed(**{**said, **lists, "day": date.fromisoformat(said["day"])})


def close(tx: Transaction, tenant: str, gateway: str, made: Closed) -> None:
    """Note what is over."""
    told = json.dumps({**asdict(made), "day": made.day.isoformat()})
    tx.execute(sa.update(turns).where(_mine(turns, tenant, gateway)).values(closed=told))


def _turn(row: Any) -> Turn:
    def at(value: int | None) -> datetime | None:
        return None if value is None else from_micros(value)

    told = tuple((code, sentence) for code, sentence in json.loads(row.problems))
    return Turn(
        row.tenant, row.gateway, from_micros(row.due_at), at(row.read_until), at(row.start), row.opening, row.told,
        row.code, told, at(row.looked_at),
    )  # fmt: skip


# -- what a provider said -----------------------------------------------------------------------------------------


def see_payout(tx: Transaction, tenant: str, gateway: str, item: KnownPayout, whole: bool) -> None:
    """A payout as it is now; the day it was first seen paid stays."""
    one = item.payout
    said = {
        "issued_at": to_micros(one.issued_at),
        "status": one.status,
        "net": one.net,
        "currency": one.currency,
        "trace": one.trace[:128],
        "whole": int(whole),
    }
    paid_on = None if item.paid_on is None else item.paid_on.isoformat()
    if not insert_new(tx, payouts, tenant=tenant, gateway=gateway, id=one.id, paid_on=paid_on, **said):
        mine = sa.and_(_mine(payouts, tenant, gateway), payouts.c.id == one.id)
        tx.execute(sa.update(payouts).where(mine).values(**said))
        tx.execute(sa.update(payouts).where(mine, payouts.c.paid_on.is_(None)).values(paid_on=paid_on))


def see_movements(tx: Transaction, tenant: str, gateway: str, seen: Iterable[Movement]) -> None:
    """Movements as they are now: which payout one belongs to is known later than the movement."""
    for item in seen:
        upsert(
            tx, movements, tenant=tenant, gateway=gateway, id=item.id, type=item.type, at=to_micros(item.at),
            amount=item.amount, fee=item.fee, net=item.net, currency=item.currency,
            order_transaction=item.order_transaction, order_id=item.order_id, order_name=item.order_name,
            payout_id=item.payout_id, source_id=item.source_id, reason=item.reason[:500],
        )  # fmt: skip


def known_payouts(tx: Transaction, tenant: str, gateway: str) -> list[KnownPayout]:
    """All payouts, the oldest first."""
    mine = sa.select(payouts).where(_mine(payouts, tenant, gateway))
    return [_payout(row) for row in tx.execute(mine.order_by(payouts.c.issued_at, payouts.c.id))]


def not_whole(tx: Transaction, tenant: str, gateway: str) -> set[str]:
    """Payouts whose parts are not all known."""
    mine = sa.select(payouts.c.id).where(_mine(payouts, tenant, gateway), payouts.c.whole == 0)
    return set(tx.execute(mine).scalars())


def known_movements(
    tx: Transaction,
    tenant: str,
    gateway: str,
    *,
    since: datetime | None = None,
    of: Sequence[str] = (),
    ids: Sequence[str] = (),
) -> list[Movement]:
    """All movements, or those since an instant, those of some payouts and some by their ids; the oldest first."""
    mine = sa.select(movements).where(_mine(movements, tenant, gateway))
    wanted: list[sa.ColumnElement[bool]] = [movements.c.payout_id.in_(of)] if of else []
    if since is not None:
        wanted.append(movements.c.at >= to_micros(since))
    if ids:
        wanted.append(movements.c.id.in_(ids))
    if wanted:
        mine = mine.where(sa.or_(*wanted))
    return [_movement(row) for row in tx.execute(mine.order_by(movements.c.at, movements.c.id))]


def movement_sums(tx: Transaction, tenant: str, gateway: str, before: datetime) -> tuple[int, ...]:
    """How many movements lie before an instant, and their amounts, fees and net together."""
    sums = [
        sa.func.coalesce(sa.func.sum(column), 0) for column in (movements.c.amount, movements.c.fee, movements.c.net)
    ]
    mine = sa.and_(_mine(movements, tenant, gateway), movements.c.at < to_micros(before))
    return tuple(int(one) for one in tx.execute(sa.select(sa.func.count(), *sums).where(mine)).one())


def _payout(row: Any) -> KnownPayout:
    one = Payout(row.id, from_micros(row.issued_at), row.status, row.net, row.currency, row.trace)
    return KnownPayout(one, None if row.paid_on is None else date.fromisoformat(row.paid_on))


def _movement(row: Any) -> Movement:
    return Movement(
        row.id, row.type, from_micros(row.at), row.amount, row.fee, row.net, row.currency, row.order_transaction,
        row.order_id, row.order_name, row.payout_id, row.source_id, row.reason,
    )  # fmt: skip


# -- what was written ---------------------------------------------------------------------------------------------


def line_written(tx: Transaction, tenant: str, gateway: str, line: LedgerLine, sevdesk_id: str) -> None:
    """A line stands on the gateway's account."""
    insert_new(
        tx, lines, tenant=tenant, gateway=gateway, key=line.key, kind=line.kind, account=line.account,
        amount=line.amount, value_date=line.day.isoformat(), about=line.about, order_id=line.order_id,
        sevdesk_id=sevdesk_id,
    )  # fmt: skip


def written(tx: Transaction, tenant: str, gateway: str, payout: str | None = None) -> dict[str, str]:
    """The keys of lines that stand (of one payout), with the ids they have in sevdesk."""
    mine = sa.select(lines.c.key, lines.c.sevdesk_id).where(_mine(lines, tenant, gateway))
    mine = mine if payout is None else mine.where(lines.c.about == payout)
    return {row.key: row.sevdesk_id for row in tx.execute(mine)}


def lines_on(
    tx: Transaction, tenant: str, account: str, after: date | None = None, keys: Sequence[str] = ()
) -> list[BookLine]:
    """The lines on an account that no order wrote; those dated `after` a day, and some by their keys."""
    ours = sa.select(lines).where(lines.c.tenant == tenant, lines.c.account == account)
    if after is not None:
        ours = ours.where(sa.or_(lines.c.value_date > after.isoformat(), lines.c.key.in_(keys)))
    return [
        BookLine(row.key, row.kind, row.about, row.amount, date.fromisoformat(row.value_date), row.order_id)
        for row in tx.execute(ours.order_by(lines.c.value_date, lines.c.key))
    ]


def line_sums(tx: Transaction, tenant: str, account: str, until: date) -> tuple[int, int]:
    """How many such lines are dated up to a day, and their sum."""
    mine = sa.and_(lines.c.tenant == tenant, lines.c.account == account, lines.c.value_date <= until.isoformat())
    row = tx.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(lines.c.amount), 0)).where(mine)).one()
    return int(row[0]), int(row[1])


def voucher_written(tx: Transaction, tenant: str, gateway: str, item: FeeVoucher, sevdesk_id: str, day: date) -> None:
    """A fee voucher exists, dated `day`."""
    insert_new(
        tx, vouchers, tenant=tenant, gateway=gateway, key=item.key, payout_id=item.payout_id, day=day.isoformat(),
        gross=item.gross, rule=item.provider.rule, account=item.provider.account, supplier=item.provider.name,
        sevdesk_id=sevdesk_id,
    )  # fmt: skip


def fees_by_hand(tx: Transaction, tenant: str, gateway: str, payout_id: str, day: date, now: datetime) -> None:
    """A person booked the fees of a payout: there is no voucher of ours, and nobody asks for one any more."""
    insert_new(
        tx, vouchers, tenant=tenant, gateway=gateway, key=f"SHPFEE-{payout_id.rsplit('/', 1)[-1]}",
        payout_id=payout_id, day=day.isoformat(), gross=0, rule=0, account="", supplier="", sevdesk_id="",
        booked_at=to_micros(now),
    )  # fmt: skip


def unbooked(tx: Transaction, tenant: str, gateway: str) -> set[str]:
    """Payouts whose fees stand on their line and are not paid by it yet."""
    same = vouchers.c.tenant == lines.c.tenant, vouchers.c.gateway == lines.c.gateway
    done = sa.exists().where(*same, vouchers.c.payout_id == lines.c.about, vouchers.c.booked_at.is_not(None))
    mine = sa.and_(_mine(lines, tenant, gateway), lines.c.kind == "fee", ~done)
    return set(tx.execute(sa.select(lines.c.about).where(mine)).scalars())


def voucher_booked(tx: Transaction, tenant: str, gateway: str, key: str, now: datetime) -> None:
    """Its line pays it."""
    mine = sa.and_(_mine(vouchers, tenant, gateway), vouchers.c.key == key)
    tx.execute(sa.update(vouchers).where(mine).values(booked_at=to_micros(now)))


def vouchers_of(tx: Transaction, tenant: str, gateway: str) -> dict[str, WrittenVoucher]:
    """The fee vouchers by key."""
    mine = sa.select(vouchers).where(_mine(vouchers, tenant, gateway)).order_by(vouchers.c.key)
    return {
        row.key: WrittenVoucher(
            row.key, row.payout_id, date.fromisoformat(row.day), row.gross, row.rule, row.supplier, row.sevdesk_id,
            row.booked_at is not None,
        )
        for row in tx.execute(mine)
    }  # fmt: skip


# -- days ---------------------------------------------------------------------------------------------------------


def keep_day(tx: Transaction, tenant: str, made: DayBalance, now: datetime) -> None:
    """The balance of a day as it was just compared, in place of an earlier look at it."""
    named = [
        [item.code, item.amount, item.about, None if item.day is None else item.day.isoformat(), item.order_id]
        for item in made.named
    ]
    upsert(
        tx, days, tenant=tenant, gateway=made.gateway, currency=made.currency, day=made.day.isoformat(),
        clearing=made.clearing, unpaid=made.unpaid, reserved=made.reserved, in_transit=made.in_transit,
        told=made.told, named=json.dumps(named, ensure_ascii=False), compared_at=to_micros(now),
    )  # fmt: skip


def kept_days(tx: Transaction, tenant: str, gateway: str, limit: int = 400) -> list[DayBalance]:
    """The last compared days, the newest first."""
    mine = sa.select(days).where(_mine(days, tenant, gateway)).order_by(days.c.day.desc(), days.c.currency)
    return [_day(row) for row in tx.execute(mine.limit(limit))]


def _day(row: Any) -> DayBalance:
    named = tuple(
        Named(code, amount, about, None if day is None else date.fromisoformat(day), order_id)
        for code, amount, about, day, order_id in json.loads(row.named)
    )
    return DayBalance(
        row.gateway, row.currency, date.fromisoformat(row.day), row.clearing, row.unpaid, row.reserved,
        row.in_transit, named, row.told,
    )  # fmt: skip


# -- the end ------------------------------------------------------------------------------------------------------


def prune_days(tx: Transaction, tenant: str, before: date) -> int:
    """Delete compared days before one; how many."""
    old = sa.and_(days.c.tenant == tenant, days.c.day < before.isoformat())
    return tx.execute(sa.delete(days).where(old)).rowcount


def gateways(tx: Transaction, tenant: str) -> Sequence[str]:
    """The gateways of a tenant that were ever looked at."""
    mine = sa.select(turns.c.gateway).where(turns.c.tenant == tenant).order_by(turns.c.gateway)
    return list(tx.execute(mine).scalars())


def forget(tx: Transaction, tenant: str) -> None:
    """The tenant is redacted: nobody looks any more. What was written is kept as long as documents are."""
    for table in (days, turns):
        tx.execute(sa.delete(table).where(table.c.tenant == tenant))
