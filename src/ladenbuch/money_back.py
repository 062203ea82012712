"""Money that comes by transfer: which orders wait for it, which lines of bank accounts were seen, whose they are.

    awaited    an order that waits for a transfer, as it was settled last; kept for a while when it is paid, so that a
               second transfer for it is known
    lines      lines of the merchant's bank accounts by their id in sevdesk: what they are, and a mark of what they said
               (never the words: a purpose and a payer are somebody's)
    claims     which order a line, or a part of it, is for or may be for

Functions take an open transaction of the books store and never open one. Amounts in minor units, instants aware UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, to_micros, upsert
from ladenbuch.domain.money_back import Matched

_ORDER = sa.String(64)
#: Verdicts of what was said of a line and an order once, and is not said any more.
_NOT_ITS = ("lost", "refused")

#: Verdicts a person has to look at.
OPEN = ("ambiguous", "elsewhere", "back", "refused")

awaited = sa.Table(
    "awaited",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("owed", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("numbers", sa.Text, nullable=False),  # of its invoices, as JSON
    sa.Column("document_key", sa.String(200)),
    sa.Column("due", sa.String(10)),
    sa.Column("paused", sa.String(32)),  # why it is not reminded
    sa.Column("look", sa.Integer, nullable=False),  # its documents changed in sevdesk since it was settled
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)

lines = sa.Table(
    "bank_lines",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("line_id", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("day", sa.String(10)),
    sa.Column("mark", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
)

claims = sa.Table(
    "bank_claims",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("line_id", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("wanted_at", sa.BigInteger),  # when a look at the order was asked for; NULL: not yet
    sa.Index("ix_bank_claims_order", "tenant", "order_id"),
)

# Asked for at every settle, mostly to hear that there is nothing; built once.
_T: sa.BindParameter[str] = sa.bindparam("t")
_O: sa.BindParameter[str] = sa.bindparam("o")
_WAITING_OF = Statement(sa.select(awaited).where(awaited.c.tenant == _T, awaited.c.order_id == _O))
_CLAIMS_OF = Statement(sa.select(claims.c.line_id).where(claims.c.tenant == _T, claims.c.order_id == _O))
_UNWANTED = Statement(
    sa.select(claims.c.order_id).where(claims.c.tenant == _T, claims.c.wanted_at.is_(None)).distinct()
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits, or waited, for a transfer. `due`: the day it is to be paid by. `paused`: why it is not
    reminded. `look`: its documents changed in sevdesk since it was settled."""

    order_id: str
    name: str
    owed: int
    total: int
    numbers: tuple[str, ...] = ()
    document_key: str | None = None
    due: date | None = None
    paused: str | None = None
    look: bool = False


@dataclass(frozen=True, slots=True)
class SeenLine:
    """A line as it was seen last. `mark` stands for everything it said."""

    id: str
    account: str
    amount: int
    day: date | None
    mark: str
    verdict: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """A line that is, or may be, for an order. `others`: how many more orders it may be for, or is shared with."""

    line_id: str
    order_id: str
    amount: int
    verdict: str
    evidence: tuple[str, ...]
    account: str
    whole: int
    day: date | None
    others: int = 0


# -- orders that wait ---------------------------------------------------------------------------------------------


def waits(tx: Transaction, tenant: str, one: Waiting, now: datetime) -> None:
    """An order was settled: what it waits for now; nothing any more where `owed` is 0."""
    upsert(
        tx,
        awaited,
        tenant=tenant,
        order_id=one.order_id,
        name=one.name,
        owed=one.owed,
        total=one.total,
        numbers=json.dumps(list(one.numbers)),
        document_key=one.document_key,
        due=None if one.due is None else one.due.isoformat(),
        paused=one.paused,
        look=0,
        changed_at=to_micros(now),
    )


def waiting(tx: Transaction, tenant: str, *, owing: bool = False) -> list[Waiting]:
    """The orders that wait or waited; `owing`: only those that still do."""
    mine = sa.select(awaited).where(awaited.c.tenant == tenant)
    mine = mine.where(awaited.c.owed > 0) if owing else mine
    return [_waiting(row) for row in tx.execute(mine.order_by(awaited.c.order_id))]


def waiting_of(tx: Transaction, tenant: str, order_id: str) -> Waiting | None:
    """What one order waits for; None when it never did."""
    row = _WAITING_OF.first(tx, t=tenant, o=order_id)
    return None if row is None else _waiting(row)


def newest_wait(tx: Transaction, tenant: str) -> datetime | None:
    """When an order last began to wait, or changed; None when none owes anything."""
    mine = sa.select(sa.func.max(awaited.c.changed_at)).where(awaited.c.tenant == tenant, awaited.c.owed > 0)
    found = tx.execute(mine).scalar()
    return None if found is None else from_micros(found)


def look_again(tx: Transaction, tenant: str, order_ids: Sequence[str], *, paid: bool = False) -> list[str]:
    """Documents of these orders changed in sevdesk; which wait for money (`paid`: or did), and are looked at."""
    mine = sa.and_(awaited.c.tenant == tenant, awaited.c.order_id.in_(list(order_ids)))
    mine = mine if paid else sa.and_(mine, awaited.c.owed > 0)
    found = list(tx.execute(sa.select(awaited.c.order_id).where(mine)).scalars())
    tx.execute(sa.update(awaited).where(mine).values(look=1))
    return found


# -- lines and what they are for ----------------------------------------------------------------------------------


def seen(tx: Transaction, tenant: str, line_ids: Sequence[str]) -> dict[str, SeenLine]:
    """These lines as they were seen last; one that never was is missing."""
    found: dict[str, SeenLine] = {}
    for start in range(0, len(line_ids), 400):
        some = lines.c.line_id.in_(list(line_ids[start : start + 400]))
        rows = tx.execute(sa.select(lines).where(lines.c.tenant == tenant, some))
        found |= {row.line_id: _line(row) for row in rows}
    return found


def saw(tx: Transaction, tenant: str, found: Iterable[tuple[SeenLine, Matched | None]], now: datetime) -> None:
    """Lines as they are now, and what they are for: what was said of them before is forgotten, but not what a person
    chose (`take`). None: it stays what it was, and its orders are looked at. Orders it was for are looked at, too."""
    for line, matched in found:
        upsert(
            tx,
            lines,
            tenant=tenant,
            line_id=line.id,
            account=line.account,
            amount=line.amount,
            day=None if line.day is None else line.day.isoformat(),
            mark=line.mark,
            verdict=line.verdict,
            seen_at=to_micros(now),
        )
        mine = sa.and_(claims.c.tenant == tenant, claims.c.line_id == line.id)
        tx.execute(sa.update(claims).where(mine).values(wanted_at=None))
        if matched is None:
            continue
        _drop(tx, tenant, line.id, {claim.order_id for claim in matched.claims})
        for claim in matched.claims:
            said = {"amount": claim.amount, "verdict": matched.verdict, "evidence": ", ".join(claim.evidence)}
            upsert(tx, claims, tenant=tenant, line_id=line.id, order_id=claim.order_id, wanted_at=None, **said)
        if matched.verdict in ("exact", "partial", "over", "several"):
            for claim in matched.claims:
                whose = sa.and_(awaited.c.tenant == tenant, awaited.c.order_id == claim.order_id)
                rest = sa.case((awaited.c.owed > claim.amount, awaited.c.owed - claim.amount), else_=0)
                tx.execute(sa.update(awaited).where(whose).values(owed=rest))


def _drop(tx: Transaction, tenant: str, line_id: str, kept: set[str]) -> None:
    """What was said of a line is not said any more: the orders it was for are looked at, and it is theirs no more."""
    mine = sa.and_(claims.c.tenant == tenant, claims.c.line_id == line_id)
    lost = sa.and_(claims.c.verdict != "chosen", claims.c.order_id.not_in(sorted(kept)))
    tx.execute(sa.update(claims).where(mine, lost).values(amount=0, verdict="lost", evidence=""))


def missing(tx: Transaction, tenant: str, account: str, since: date) -> dict[str, SeenLine]:
    """Lines of an account since a day that are, or may be, for an order, by id: what a whole list should show."""
    said = sa.select(claims.c.line_id).where(claims.c.tenant == tenant, claims.c.verdict != "lost")
    mine = sa.and_(lines.c.tenant == tenant, lines.c.account == account, lines.c.day >= since.isoformat())
    rows = tx.execute(sa.select(lines).where(mine, lines.c.line_id.in_(said), lines.c.verdict != "gone"))
    return {row.line_id: _line(row) for row in rows}


def claims_of(tx: Transaction, tenant: str, order_id: str) -> list[KnownClaim]:
    """What is, or may be, for an order, in the order of the lines."""
    ids = [row.line_id for row in _CLAIMS_OF.rows(tx, t=tenant, o=order_id)]
    return [one for one in _claims(tx, tenant, ids) if one.order_id == order_id and one.verdict not in _NOT_ITS]


def listed(tx: Transaction, tenant: str, verdicts: Sequence[str]) -> list[KnownClaim]:
    """What lines of these verdicts are for, the newest lines first."""
    mine = sa.select(claims.c.line_id).where(claims.c.tenant == tenant, claims.c.verdict.in_(list(verdicts)))
    ids = list(dict.fromkeys(tx.execute(mine).scalars()))
    return sorted(_claims(tx, tenant, ids), key=lambda one: (-int(one.line_id), one.order_id))


def unmatched(tx: Transaction, tenant: str, since: date) -> list[SeenLine]:
    """Money that came in since a day and that nothing says whose it is."""
    none = sa.and_(lines.c.tenant == tenant, lines.c.verdict == "none", lines.c.amount > 0)
    rows = tx.execute(sa.select(lines).where(none, lines.c.day >= since.isoformat()).order_by(lines.c.day))
    return [_line(row) for row in rows]


def unwanted(tx: Transaction, tenant: str) -> list[str]:
    """Orders with a line nobody has looked at yet."""
    return [row.order_id for row in _UNWANTED.rows(tx, t=tenant)]


def wanted(tx: Transaction, tenant: str, order_ids: Sequence[str], now: datetime) -> None:
    """A look at these orders was asked for."""
    mine = sa.and_(claims.c.tenant == tenant, claims.c.order_id.in_(list(order_ids)), claims.c.wanted_at.is_(None))
    tx.execute(sa.update(claims).where(mine).values(wanted_at=to_micros(now)))


def take(tx: Transaction, tenant: str, line_id: str, order_id: str, amount: int) -> bool:
    """A person says that a line is for an order: for no other one then, and those are looked at. False where it is
    another's already."""
    mine = sa.and_(claims.c.tenant == tenant, claims.c.line_id == line_id)
    taken = sa.select(claims.c.order_id).where(mine, claims.c.verdict == "chosen", claims.c.order_id != order_id)
    if tx.execute(taken).first() is not None:
        return False
    _drop(tx, tenant, line_id, {order_id})
    tx.execute(sa.update(claims).where(mine).values(wanted_at=None))
    said = {"amount": amount, "verdict": "chosen", "evidence": "a person", "wanted_at": None}
    upsert(tx, claims, tenant=tenant, line_id=line_id, order_id=order_id, **said)
    tx.execute(sa.update(lines).where(lines.c.tenant == tenant, lines.c.line_id == line_id).values(verdict="chosen"))
    return True


def let_go(tx: Transaction, tenant: str, line_id: str, order_id: str) -> None:
    """A line is not for this order: a person said so. Whose it is stays open (`listed` as "refused")."""
    mine = sa.and_(claims.c.tenant == tenant, claims.c.line_id == line_id, claims.c.order_id == order_id)
    tx.execute(sa.update(claims).where(mine).values(verdict="refused"))


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant's transfers stand: orders that wait for one, lines whose order a person has to say, and lines that
    nothing says the order of."""

    awaited: int = 0
    unclear: int = 0
    nobodys: int = 0


def standing(tx: Transaction, since: date) -> dict[str, Standing]:
    """How it stands with each tenant the door shows that has any; lines that are nobody's count since a day."""

    def counted(tenant: Any, number: Any, *where: Any) -> dict[str, int]:
        rows = tx.execute(sa.select(tenant, number.label("number")).where(*where).group_by(tenant))
        return {row.tenant: int(row.number) for row in rows}

    waits = counted(awaited.c.tenant, sa.func.count(), awaited.c.owed > 0)
    asks = counted(claims.c.tenant, sa.func.count(claims.c.line_id.distinct()), claims.c.verdict.in_(OPEN))
    none = (lines.c.verdict == "none", lines.c.amount > 0, lines.c.day >= since.isoformat())
    nobodys = counted(lines.c.tenant, sa.func.count(), *none)
    known = sorted({*waits, *asks, *nobodys})
    return {one: Standing(waits.get(one, 0), asks.get(one, 0), nobodys.get(one, 0)) for one in known}


def prune(tx: Transaction, tenant: str, before: datetime) -> int:
    """Forget orders that were paid before, what was said of lines and is not said any more, and lines that are for no
    order; how many. What an order rests on stays as long as its documents: without it a later look would miss money
    the shop was told of."""
    at = to_micros(before)
    paid = sa.and_(awaited.c.tenant == tenant, awaited.c.owed == 0, awaited.c.changed_at < at)
    lost = sa.and_(claims.c.tenant == tenant, claims.c.verdict.in_(_NOT_ITS), claims.c.wanted_at < at)
    said = sa.exists().where(claims.c.tenant == lines.c.tenant, claims.c.line_id == lines.c.line_id)
    none = sa.and_(lines.c.tenant == tenant, lines.c.seen_at < at, ~said)
    gone = tx.execute(sa.delete(awaited).where(paid)).rowcount + tx.execute(sa.delete(claims).where(lost)).rowcount
    return gone + tx.execute(sa.delete(lines).where(none)).rowcount


def forget(tx: Transaction, tenant: str) -> None:
    """The tenant is redacted: nobody waits any more."""
    for table in (awaited, lines, claims):
        tx.execute(sa.delete(table).where(table.c.tenant == tenant))


def _claims(tx: Transaction, tenant: str, line_ids: Sequence[str]) -> list[KnownClaim]:
    found: list[KnownClaim] = []
    for start in range(0, len(line_ids), 400):
        some = list(line_ids[start : start + 400])
        rows = list(tx.execute(sa.select(claims).where(claims.c.tenant == tenant, claims.c.line_id.in_(some))))
        known = seen(tx, tenant, some)
        shared: dict[str, int] = {}
        for row in rows:
            shared[row.line_id] = shared.get(row.line_id, 0) + (row.verdict not in _NOT_ITS)
        found += [_claim(row, known, shared) for row in rows if row.line_id in known]
    return sorted(found, key=lambda one: (int(one.line_id), one.order_id))


def _claim(row: Any, known: Mapping[str, SeenLine], shared: Mapping[str, int]) -> KnownClaim:
    line, evidence = known[row.line_id], tuple(part for part in row.evidence.split(", ") if part)
    said = row.line_id, row.order_id, row.amount, row.verdict, evidence
    return KnownClaim(*said, line.account, line.amount, line.day, shared[row.line_id] - 1)


def _waiting(row: Any) -> Waiting:
    due = None if row.due is None else date.fromisoformat(row.due)
    numbers = tuple(json.loads(row.numbers))
    said = row.order_id, row.name, row.owed, row.total, numbers, row.document_key, due, row.paused
    return Waiting(*said, look=bool(row.look))


def _line(row: Any) -> SeenLine:
    day = None if row.day is None else date.fromisoformat(row.day)
    return SeenLine(row.line_id, row.account, row.amount, day, row.mark, row.verdict, from_micros(row.seen_at))
