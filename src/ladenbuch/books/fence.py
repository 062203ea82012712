"""Who may write: the fence of an order's newest run, and exclusive rights of a tenant held for a while."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ladenbuch.books.columns import _K, _O, _ORDER, _T
from ladenbuch.db import Statement, Transaction, books_metadata, insert_new, to_micros, upsert
from ladenbuch.errors import Retryable

fences = sa.Table(
    "fences",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("run_no", sa.BigInteger, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
)

leases = sa.Table(
    "leases",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)

_FENCE = Statement(
    sa.select(fences.c.run_no, fences.c.run_id).where(fences.c.tenant == _T, fences.c.order_id == _O).with_for_update()
)

_LEASE = Statement(
    sa.update(leases)
    .where(leases.c.tenant == _T, leases.c.name == _K)
    .where(sa.or_(leases.c.holder == sa.bindparam("h"), leases.c.until <= sa.bindparam("now")))
    .values(holder=sa.bindparam("h"), until=sa.bindparam("u"))
)

_GIVE_LEASE = Statement(
    sa.delete(leases).where(leases.c.tenant == _T, leases.c.name == _K, leases.c.holder == sa.bindparam("h"))
)


def take_fence(tx: Transaction, tenant: str, order_id: str, run_no: int, run_id: str) -> None:
    """Make this run the only one that may write for the order. Raises `Retryable("STALE-RUN")` for an older run."""
    held = _FENCE.first(tx, t=tenant, o=order_id)
    if held is not None and (held.run_no > run_no or (held.run_no == run_no and held.run_id != run_id)):
        raise Retryable("STALE-RUN", "a newer run has taken over this order")
    upsert(tx, fences, tenant=tenant, order_id=order_id, run_no=run_no, run_id=run_id)


def check_fence(tx: Transaction, tenant: str, order_id: str, run_id: str) -> None:
    """Raises `Retryable("STALE-RUN")` unless the run still holds the order."""
    held = _FENCE.first(tx, t=tenant, o=order_id)
    if held is None or held.run_id != run_id:
        raise Retryable("STALE-RUN", "a newer run has taken over this order")


def take_lease(tx: Transaction, tenant: str, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or renew an exclusive right of the tenant; False while somebody else holds it."""
    if insert_new(tx, leases, tenant=tenant, name=name, holder=holder, until=to_micros(until)):
        return True
    return _LEASE.change(tx, t=tenant, k=name, h=holder, u=to_micros(until), now=to_micros(now)) == 1


def give_lease(tx: Transaction, tenant: str, name: str, holder: str) -> None:
    """Give an exclusive right back; nothing happens when it is not held."""
    _GIVE_LEASE.change(tx, t=tenant, k=name, h=holder)


def drop_leases(tx: Transaction, executor: str) -> None:
    """Give back what a dead predecessor of this executor held; its run ids begin with the executor's id."""
    tx.execute(sa.delete(leases).where(leases.c.holder.startswith(f"{executor}:", autoescape=True)))


def drop_fences(tx: Transaction, tenant: str) -> None:
    """No run of before may write for any order of the tenant, and the next one may, whatever its number."""
    tx.execute(sa.delete(fences).where(fences.c.tenant == tenant))


def drop_leases_of(tx: Transaction, tenant: str) -> None:
    """A tenant leaves: it holds nothing any more."""
    tx.execute(sa.delete(leases).where(leases.c.tenant == tenant))
