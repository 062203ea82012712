"""One bucket of the other side, shared by processes that know each other by a table only (`budgets`, `budget_shares`).

A process does not take points, it holds a share of the bucket: of its capacity (`part`) and of what flows back
(`flow`), and works with that alone, without a word to the database. It renews its share every `RENEW` seconds while it
calls, and with it gets more or gives some away, by how much each process uses: who uses little holds little, and who
runs short asks again at once. Why the sum never exceeds the bucket:

    every share carries its own debt; who gives a part away gives the debt of that part with it, and keeps at least
    what is under way, so debts and shares only change hands, under the lock of the bucket's row
    parts and flows add up to one, so the debts together are at least that of the other side
    a share that was not renewed may be used until its lease ends. From then on its debt flows back no more, so that the
    others have its flow; its part is taken back `GRACE` seconds later, when none of its calls can be on the way any
    more (or as soon as its process is known to be dead), as if all of it had just been used

One process never holds all of the capacity: a newcomer finds `KEPT` of it, a call at least, and need not wait for the
others. Who calls nobody for `IDLE` seconds gives back what he holds: orders of one account are settled now here, now
there, and a share that lies idle is missing elsewhere.

Keys are hashes, because every tenant's door may read a table without a tenant; only the system door writes it.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from ladenbuch.bucket import Bucket, Holding
from ladenbuch.db import (
    Database,
    Statement,
    Store,
    Transaction,
    books_metadata,
    from_micros,
    insert_new,
    to_micros,
    upsert,
)
from ladenbuch.errors import Ambiguous, Retryable

budgets = sa.Table(
    "budgets",
    books_metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("maximum", sa.BigInteger, nullable=False),  # thousandths of a point, here and below
    sa.Column("rate", sa.BigInteger, nullable=False),  # per second
    sa.Column("known", sa.Boolean, nullable=False),
    sa.Column("part", sa.BigInteger, nullable=False),  # millionths that nobody holds, here and below
    sa.Column("flow", sa.BigInteger, nullable=False),
    sa.Column("debt", sa.BigInteger, nullable=False),  # of the part that nobody holds
    sa.Column("at", sa.BigInteger, nullable=False),  # when that was the debt
)
budget_shares = sa.Table(
    "budget_shares",
    books_metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(96), primary_key=True),
    sa.Column("part", sa.BigInteger, nullable=False),
    sa.Column("flow", sa.BigInteger, nullable=False),
    sa.Column("wish", sa.BigInteger, nullable=False),  # millionths it could use
    sa.Column("until", sa.BigInteger, nullable=False),
)
#: Seconds: a share is used for so long after it was renewed, renewed so often, and taken back so long after its end.
LEASE, RENEW, GRACE = 5.0, 2.0, 20.0
#: Seconds without a call after which a process gives its share back.
IDLE = 1.0
#: Seconds between two tries of a process whose share is too small.
HURRY = 0.25
#: The share of its points under which a process asks for more before somebody waits.
_LOW = 0.3
#: Millionths of the capacity that the holders together leave to a newcomer.
KEPT = 62_500
_WHOLE = 1_000_000
#: Least wish of a process that calls at all, and how much more than it used it may use until the next renewal.
_LEAST, _MORE = 50_000, 1.5

_K, _H = sa.bindparam("k", type_=sa.String), sa.bindparam("h", type_=sa.String)
_POOL = Statement(sa.select(budgets).where(budgets.c.key == _K).with_for_update())
_SHARES = Statement(sa.select(budget_shares).where(budget_shares.c.key == _K).order_by(budget_shares.c.holder))
_END = Statement(sa.update(budget_shares).where(budget_shares.c.key == _K, budget_shares.c.holder == _H).values(flow=0))
_DROP = Statement(sa.delete(budget_shares).where(budget_shares.c.key == _K, budget_shares.c.holder == _H))


@dataclass(frozen=True, slots=True)
class Pool:
    """What nobody holds of a bucket of a size: shares in millionths, debt in points, at an instant."""

    maximum: float
    rate: float
    known: bool
    part: int
    flow: int
    debt: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """What one process holds, and could use; all in millionths."""

    part: int = 0
    flow: int = 0
    wish: int = _WHOLE


def key_of(service: str, account: str) -> str:
    """The name of a bucket: a hash, for it may be made from a token."""
    return hashlib.sha256(f"{service}\0{account}".encode()).hexdigest()


def fair(wishes: Mapping[str, int], whole: int) -> dict[str, int]:
    """`whole` by wishes: nobody gets more than he could use while another lacks. What nobody wishes nobody gets."""
    got: dict[str, int] = {}
    left, waiting = whole, sorted(wishes.items(), key=lambda item: (item[1], item[0]))
    for number, (name, wish) in enumerate(waiting):
        got[name] = min(wish, left // (len(waiting) - number))
        left -= got[name]
    return got


def exchange(pool: Pool, mine: Share, held: Holding, target: tuple[int, int], need: float) -> tuple[Pool, Share, float]:
    """Give to the pool or take from it until `mine` is `target` (part, flow), as far as it goes; the debt comes last.

    `need` is what a single call costs, in points: who holds less takes that much, even of what is kept for newcomers.
    """
    part, flow = target
    part = max(part, math.ceil(min(1.0, need / pool.maximum) * _WHOLE))
    part = max(part, math.ceil(held.under_way / pool.maximum * _WHOLE))  # what is under way cannot change hands
    debt = held.debt
    if part < mine.part:
        given = mine.part - part
        over = debt + held.under_way - pool.maximum * part / _WHOLE
        moved = min(debt, max(debt * given / mine.part, over))
        pool, debt = replace(pool, part=pool.part + given, debt=pool.debt + moved), debt - moved
    else:
        taken = min(part - mine.part, pool.part)
        moved = pool.debt * taken / pool.part if taken else 0.0
        pool, debt = replace(pool, part=pool.part - taken, debt=pool.debt - moved), debt + moved
        part = mine.part + taken
    flow = min(flow, mine.flow + pool.flow)
    pool = replace(pool, flow=pool.flow + mine.flow - flow)
    return pool, replace(mine, part=part, flow=flow), debt


class SharedBudget:
    """One process's share of one bucket; give it to a `Bucket` as its `sharing`. Thread-safe.

    `fixed`: the size is a setting and nothing the other side tells, so ours is what counts.
    """

    def __init__(
        self,
        database: Database,
        key: str,
        holder: str,
        clock: Callable[[], datetime],
        *,
        fixed: bool = False,
        lease: float = LEASE,
        renew: float = RENEW,
        grace: float = GRACE,
    ) -> None:
        self._door = database.system("budgets")
        self._key = key
        self._holder = holder
        self._clock = clock
        self._fixed = fixed
        self._lease, self._renew, self._grace = lease, renew, grace
        self._lock = threading.Lock()
        self._share = Share(wish=0)
        self._lacking = True  # whether asking again could bring more
        self._looked_at: datetime | None = None
        self._until: datetime | None = None
        self._before: tuple[float, int] = (0.0, 0)  # what was settled and told at the last renewal
        self.renewals = 0

    def renew(self, bucket: Bucket, cost: float) -> None:
        """Hold enough to go on. Raises `Retryable` when the database stays away for longer than the lease."""
        if not self._due(bucket):
            return
        with self._lock:
            if not self._due(bucket):
                return
            now = self._clock()
            try:
                with bucket.lock:  # nothing is taken or settled while shares change hands
                    self._renew_now(bucket, cost, now)
            except Ambiguous:
                self._abandon(bucket)  # nobody knows what is ours now: it is taken back, and we begin anew
            except Retryable:
                if self._until is None or now >= self._until:
                    bucket.resize(0.0, 0.0, 0.0)
                    raise

    def give_back(self, bucket: Bucket) -> None:
        """Hold nothing any more, unless a call is under way: then its share is taken back later."""
        with self._lock, bucket.lock:
            now = self._clock()
            held = self._held(bucket, now)
            if self._looked_at is None or held.under_way > 0:
                return

            def trade(tx: Transaction) -> None:
                pool, shares = self._read(tx, held, now)
                if self._holder in shares:
                    pool, _, _ = exchange(pool, shares[self._holder][0], held, (0, 0), 0.0)
                self._keep(tx, pool, None)  # also what was left behind by others, or by us

            self._door.run(Store.BOOKS, trade)
            self._share, self._lacking = Share(wish=0), True
            self._looked_at = self._until = None
            bucket.resize(0.0, 0.0, 0.0)

    def give_back_if_idle(self, bucket: Bucket) -> bool:
        """`give_back` when nothing was asked for during the last `IDLE` seconds; says whether."""
        if self._looked_at is None or bucket.waiting or (self._clock() - bucket.asked_at).total_seconds() < IDLE:
            return False
        self.give_back(bucket)
        return self._looked_at is None

    # -- inside --------------------------------------------------------------------------------------------------

    def _due(self, bucket: Bucket) -> bool:
        if self._looked_at is None or self._until is None:
            return True
        now = self._clock()
        since = (now - self._looked_at).total_seconds()
        if now >= self._until or since >= self._renew or since < 0:
            return True
        return self._lacking and since >= HURRY and _short(bucket)

    def _held(self, bucket: Bucket, now: datetime) -> Holding:
        """What the bucket holds; what has flowed back to it since its lease ended was not ours any more."""
        held = bucket.holding()
        late = 0.0 if self._until is None else max(0.0, (now - self._until).total_seconds())
        debt = min(held.maximum * held.part, held.debt + late * held.rate * held.flow)
        return replace(held, debt=max(held.debt, debt))

    def _renew_now(self, bucket: Bucket, cost: float, now: datetime) -> None:
        held = self._held(bucket, now)
        since = 0.0 if self._looked_at is None else (now - self._looked_at).total_seconds()
        settled, told = self._before
        # Who begins, begins an order: a dozen calls, for which it had better not ask anew.
        begins = self._looked_at is None
        wish = _WHOLE if begins or (since and _short(bucket)) else _wish(held, held.settled - settled, since)
        tells = self._fixed or held.told != told

        def trade(tx: Transaction) -> tuple[Pool, Share, float, bool]:
            pool, shares = self._read(tx, held, now)
            if tells:
                pool = replace(pool, maximum=held.maximum, rate=held.rate, known=held.known)
            mine, _ = shares.pop(self._holder, (None, now))
            ours = held if mine is not None else replace(held, debt=0.0)  # it was taken back with all its debt
            others = {name: share.wish for name, (share, until) in shares.items() if until > now}
            got = fair(others | {self._holder: wish}, _WHOLE)[self._holder]
            kept = max(KEPT, math.ceil(min(0.5, cost / pool.maximum) * _WHOLE))
            target = (got * (_WHOLE - kept) // _WHOLE, got)
            pool, share, debt = exchange(pool, replace(mine or Share(), wish=wish), ours, target, cost)
            self._keep(tx, pool, share, now)
            return pool, share, debt, wish < _WHOLE or share.part < target[0] or share.flow < target[1]

        pool, self._share, debt, self._lacking = self._door.run(Store.BOOKS, trade)
        part, flow = self._share.part / _WHOLE, self._share.flow / _WHOLE
        bucket.resize(part, flow, debt, maximum=pool.maximum, rate=pool.rate, known=pool.known)
        self._looked_at, self._until = now, now + timedelta(seconds=self._lease)
        self._before = (held.settled, held.told)
        self.renewals += 1

    def _abandon(self, bucket: Bucket) -> None:
        self._holder = f"{self._holder}+"[-96:]
        self._share, self._lacking = Share(wish=0), True
        self._looked_at = self._until = None
        bucket.resize(0.0, 0.0, 0.0)

    def _read(self, tx: Transaction, held: Holding, now: datetime) -> tuple[Pool, dict[str, tuple[Share, datetime]]]:
        """The pool as it is now, what was left behind taken back; and who holds what until when.

        Whoever calls writes the pool. What no share holds is the pool's, whatever its row says: nothing can be lost.
        """
        size = {"maximum": _thousandths(held.maximum), "rate": _thousandths(held.rate), "known": held.known}
        nobody = {"part": _WHOLE, "flow": _WHOLE, "debt": 0, "at": to_micros(now)}
        insert_new(tx, budgets, key=self._key, **size, **nobody)
        row = _POOL.first(tx, k=self._key)
        assert row is not None
        maximum, rate = row.maximum / 1000, row.rate / 1000
        at = max(now, from_micros(row.at))  # another machine's clock may be ahead
        gone = (at - from_micros(row.at)).total_seconds() * rate * row.flow / _WHOLE
        pool = Pool(maximum, rate, bool(row.known), row.part, row.flow, max(0.0, row.debt / 1000 - gone), at)
        shares: dict[str, tuple[Share, datetime]] = {}
        for one in _SHARES.rows(tx, k=self._key):
            until = from_micros(one.until)
            if until > now:
                shares[one.holder] = (Share(one.part, one.flow, one.wish), until)
            elif until + timedelta(seconds=self._grace) > now:
                shares[one.holder] = (Share(one.part, 0, one.wish), until)
                if one.flow:
                    _END.change(tx, k=self._key, h=one.holder)
            else:
                _DROP.change(tx, k=self._key, h=one.holder)
        part = _WHOLE - sum(share.part for share, _ in shares.values())
        flow = _WHOLE - sum(share.flow for share, _ in shares.values())
        debt = pool.debt + maximum * (part - pool.part) / _WHOLE  # as if all of it had just been used
        return replace(pool, part=part, flow=flow, debt=debt), shares

    def _keep(self, tx: Transaction, pool: Pool, share: Share | None, now: datetime | None = None) -> None:
        size = {"maximum": _thousandths(pool.maximum), "rate": _thousandths(pool.rate), "known": pool.known}
        free = {"part": pool.part, "flow": pool.flow, "debt": math.ceil(pool.debt * 1000), "at": to_micros(pool.at)}
        upsert(tx, budgets, key=self._key, **size, **free)
        if share is None or now is None:
            _DROP.change(tx, k=self._key, h=self._holder)
            return
        until = to_micros(now + timedelta(seconds=self._lease))
        held = {"part": share.part, "flow": share.flow, "wish": share.wish, "until": until}
        upsert(tx, budget_shares, key=self._key, holder=self._holder, **held)


def _wish(held: Holding, used: float, since: float) -> int:
    if since <= 0 or held.rate <= 0:
        return _LEAST
    return min(_WHOLE, max(_LEAST, math.ceil(_MORE * used / (since * held.rate) * _WHOLE)))


def _short(bucket: Bucket) -> bool:
    """Whether those in line do not all find their points, or those who come next hardly will."""
    held = bucket.holding()
    left = max(bucket.reserve, _LOW) * held.maximum * held.part
    return bucket.available() - left < bucket.waiting


def _thousandths(value: float) -> int:
    return round(value * 1000)


def bury(tx: Transaction, executor: str, now: datetime) -> int:
    """Take back what a dead process held and may use no longer: how many shares. Through a system door.

    `executor`: its name, with which the names of its holders begin, up to a colon. The caller knows that it is dead.
    """
    mine = budget_shares.c.holder.startswith(f"{executor}:", autoescape=True)
    over = budget_shares.c.until <= to_micros(now)
    return int(tx.execute(sa.delete(budget_shares).where(mine, over)).rowcount)


def prune(tx: Transaction, before: datetime) -> int:
    """Forget buckets nobody asked for since `before`: they are full again. Through a system door."""
    idle = sa.select(budgets.c.key).where(budgets.c.at < to_micros(before))
    tx.execute(sa.delete(budget_shares).where(budget_shares.c.key.in_(idle)))
    return int(tx.execute(sa.delete(budgets).where(budgets.c.at < to_micros(before))).rowcount)
