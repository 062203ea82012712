"""What buyers and merchants asked to be told or forgotten, whose data was erased, and what the law still keeps.

    requests   each compliance delivery: what was asked, until when it is due, what was done; an answer is sealed
    redactions orders whose buyer was forgotten: whatever is heard or settled of them later is erased again
    buyers     keyed marks (HMAC) of forgotten buyers, so that an older order of theirs is recognised when it turns up
    holds      the hold list: what is kept although its buyer was forgotten, until when, by which law

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from ladenbuch.db import (
    Sealed,
    Statement,
    Store,
    Transaction,
    books_metadata,
    from_micros,
    insert_new,
    to_micros,
    upsert,
)
from ladenbuch.domain.retention import EXTENDED
from ladenbuch.sealed import SealedColumn

State = Literal["open", "answered", "lapsed", "done", "refused"]

privacy_requests = sa.Table(
    "privacy_requests",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("done_at", sa.BigInteger),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(64)),
    sa.Column("answer", sa.LargeBinary),
)
redactions = sa.Table(
    "redactions",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", sa.String(64), primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
redacted_buyers = sa.Table(
    "redacted_buyers",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("mark", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
)
holds = sa.Table(
    "holds",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("until", sa.String(10), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("released_at", sa.BigInteger),
    sa.Index("ix_holds_until", "until"),
)

#: What answers are sealed for (`vault.Vault.seal`).
PURPOSE = "privacy.answer"


def subject_of(request: str) -> str:
    """The subject of an answer: forgotten some time after it was fetched."""
    return f"request {request}"


ANSWERS = SealedColumn(
    Store.BOOKS, privacy_requests, "answer", lambda row: PURPOSE, lambda row: subject_of(str(row.id))
)

_T, _O = sa.bindparam("t", type_=sa.Text), sa.bindparam("o", type_=sa.Text)
_REDACTED = Statement(sa.select(redactions.c.at).where(redactions.c.tenant == _T, redactions.c.order_id == _O))
_ANY_BUYER = Statement(sa.select(redacted_buyers.c.mark).where(redacted_buyers.c.tenant == _T).limit(1))


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `due_at`: the last moment to answer it; `orders`: how many it is about; `note`: what was done.

    `answered`: an answer is there, fetched or not.
    """

    tenant: str
    id: str
    kind: str
    state: State
    received_at: datetime
    due_at: datetime
    done_at: datetime | None
    orders: int
    note: str
    answered: bool

    @property
    def waits(self) -> bool:
        """Whether an answer waits to be fetched."""
        return self.answered and self.state == "open"

    @property
    def lapses_at(self) -> datetime:
        """When an answer nobody fetched is deleted: the month for it, extended as far as the law allows, is over."""
        return self.due_at + timedelta(days=EXTENDED)

    def goes_at(self, answer_days: float) -> datetime:
        """When the answer is deleted: some days after it was fetched, else when it lapses."""
        return self.lapses_at if self.done_at is None else self.done_at + timedelta(days=answer_days)


@dataclass(frozen=True, slots=True)
class Hold:
    """What is kept of a forgotten buyer. `kind` is documents or vat-id; `subject` the order's gid or the VAT id."""

    tenant: str
    kind: str
    subject: str
    until: date
    why: str
    released_at: datetime | None


# -- requests --------------------------------------------------------------------------------------------------------


def received(tx: Transaction, tenant: str, id: str, kind: str, received_at: datetime, due_at: datetime) -> bool:
    """Note a request; False when it is known."""
    row = {"received_at": to_micros(received_at), "due_at": to_micros(due_at), "state": "open", "orders": 0}
    return insert_new(tx, privacy_requests, tenant=tenant, id=id, kind=kind, note="", **row)


def close(
    tx: Transaction,
    tenant: str,
    id: str,
    state: State,
    now: datetime,
    note: str,
    *,
    orders: int | None = None,
    answer: Sealed | None = None,
) -> None:
    """Say what became of a request; an answer waits in the state `open` until somebody fetched it."""
    values: dict[str, Any] = {"state": state, "note": note}
    if state != "open":
        values["done_at"] = to_micros(now)
    if orders is not None:
        values["orders"] = orders
    if answer is not None:
        values |= {"key_id": answer.key_id, "answer": answer.ciphertext}
    tx.execute(sa.update(privacy_requests).where(_request(tenant, id)).values(**values))


def drop_answer(tx: Transaction, tenant: str, id: str) -> None:
    """The answer was fetched long ago: it goes, that there was one stays."""
    tx.execute(sa.update(privacy_requests).where(_request(tenant, id)).values(key_id=None, answer=None))


def drop_answers(tx: Transaction, tenant: str) -> None:
    """A tenant leaves: nobody fetches its answers any more."""
    tx.execute(sa.update(privacy_requests).where(privacy_requests.c.tenant == tenant).values(key_id=None, answer=None))


def requests(tx: Transaction, tenant: str | None = None) -> list[Request]:
    """Requests of a tenant, or of all the door shows; what is due first comes first."""
    query = sa.select(privacy_requests)
    if tenant is not None:
        query = query.where(privacy_requests.c.tenant == tenant)
    rows = tx.execute(query.order_by(privacy_requests.c.due_at, privacy_requests.c.tenant, privacy_requests.c.id))
    return [_as_request(row) for row in rows]


def answer_of(tx: Transaction, tenant: str, id: str) -> Sealed | None:
    """The sealed answer to a request, or None."""
    row = tx.execute(sa.select(privacy_requests).where(_request(tenant, id))).first()
    return None if row is None or row.answer is None else Sealed(row.key_id, bytes(row.answer))


def _request(tenant: str, id: str) -> sa.ColumnElement[bool]:
    return (privacy_requests.c.tenant == tenant) & (privacy_requests.c.id == id)


def _as_request(row: Any) -> Request:
    done = None if row.done_at is None else from_micros(row.done_at)
    at, due = from_micros(row.received_at), from_micros(row.due_at)
    return Request(row.tenant, row.id, row.kind, row.state, at, due, done, row.orders, row.note, row.answer is not None)


# -- who was forgotten -----------------------------------------------------------------------------------------------


def redact(tx: Transaction, tenant: str, order_id: str, request: str, now: datetime) -> bool:
    """Note that the buyer of an order was forgotten; False when that is known."""
    return insert_new(tx, redactions, tenant=tenant, order_id=order_id, request=request, at=to_micros(now))


def redacted(tx: Transaction, tenant: str, order_id: str) -> bool:
    """Whether the buyer of an order was forgotten."""
    return _REDACTED.scalar(tx, t=tenant, o=order_id) is not None


def redacted_orders(tx: Transaction, tenant: str) -> list[str]:
    """The orders whose buyers were forgotten."""
    query = sa.select(redactions.c.order_id).where(redactions.c.tenant == tenant).order_by(redactions.c.order_id)
    return list(tx.execute(query).scalars())


def forget_buyer(tx: Transaction, tenant: str, mark: str, now: datetime) -> None:
    """Note a forgotten buyer by a keyed mark; a later request moves the moment up to which orders are theirs."""
    upsert(tx, redacted_buyers, tenant=tenant, mark=mark, at=to_micros(now))


def any_buyer(tx: Transaction, tenant: str) -> bool:
    """Whether anybody was forgotten at all."""
    return _ANY_BUYER.scalar(tx, t=tenant) is not None


def forgotten_since(tx: Transaction, tenant: str, marks: Collection[str]) -> datetime | None:
    """When the buyer with one of these marks was forgotten last, or None."""
    query = sa.select(sa.func.max(redacted_buyers.c.at)).where(
        redacted_buyers.c.tenant == tenant, redacted_buyers.c.mark.in_(list(marks))
    )
    at = tx.execute(query).scalar()
    return None if at is None else from_micros(int(at))


# -- the hold list ---------------------------------------------------------------------------------------------------


def hold(tx: Transaction, tenant: str, kind: str, subject: str, until: date, why: str, now: datetime) -> None:
    """Keep something until a day, that included; a later day replaces an earlier one."""
    key = {"tenant": tenant, "kind": kind, "subject": subject}
    if insert_new(tx, holds, **key, until=until.isoformat(), why=why, since=to_micros(now)):
        return
    mine = (holds.c.tenant == tenant) & (holds.c.kind == kind) & (holds.c.subject == subject)
    tx.execute(sa.update(holds).where(mine, holds.c.until < until.isoformat()).values(until=until.isoformat()))


def documented(tx: Transaction, tenant: str, order_id: str) -> bool:
    """Whether the order's documents are or were on the hold list."""
    mine = (holds.c.tenant == tenant) & (holds.c.kind == "documents") & (holds.c.subject == order_id)
    return tx.execute(sa.select(holds.c.since).where(mine)).first() is not None


def on_hold(tx: Transaction, tenant: str | None = None) -> list[Hold]:
    """What is kept, soonest to go first."""
    query = sa.select(holds).where(holds.c.released_at.is_(None))
    if tenant is not None:
        query = query.where(holds.c.tenant == tenant)
    return [_hold(row) for row in tx.execute(query.order_by(holds.c.until, holds.c.tenant, holds.c.subject))]


def over(tx: Transaction, today: date, limit: int) -> list[Hold]:
    """What may go by now: the day until which it is kept is past."""
    query = sa.select(holds).where(holds.c.released_at.is_(None), holds.c.until < today.isoformat())
    return [_hold(row) for row in tx.execute(query.order_by(holds.c.until, holds.c.subject).limit(limit))]


def release(tx: Transaction, item: Hold, now: datetime) -> None:
    """It is gone. A VAT id leaves the list with it; that of an order stays, as its number is no secret."""
    mine = (holds.c.tenant == item.tenant) & (holds.c.kind == item.kind) & (holds.c.subject == item.subject)
    if item.kind == "vat-id":
        tx.execute(sa.delete(holds).where(mine))
    else:
        tx.execute(sa.update(holds).where(mine).values(released_at=to_micros(now)))


def _hold(row: Any) -> Hold:
    released = None if row.released_at is None else from_micros(row.released_at)
    return Hold(row.tenant, row.kind, row.subject, date.fromisoformat(row.until), row.why, released)
