"""The table `executors`: the processes that share one PostgreSQL, when each was heard of last, who took its work over.

A row is no proof of life, only the advisory lock is (engine/lock.py): the row says which names to look after, and
whether a process whose lock is free has been silent meanwhile. `beats` is compared with itself only, never a clock of
one machine with that of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, from_micros, inbox_metadata, insert_new, to_micros

executors = sa.Table(
    "executors",
    inbox_metadata,
    sa.Column("name", sa.Text, primary_key=True),  # the executor id; of one that only serves pages "web:" before it
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("began_at", sa.BigInteger, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sa.Column("beaten_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),  # it went in order and held nothing any more
    sa.Column("taken_at", sa.BigInteger),  # it died, and `taken_by` has released what it held
    sa.Column("taken_by", sa.Text),
    sa.Column("taken_runs", sa.BigInteger, nullable=False, server_default="0"),
)
#: Seconds without a beat after which a process is not counted among the living.
SILENT = 15.0
_KEPT = timedelta(days=2)

_c = executors.c
_NAME = _c.name == sa.bindparam("n_", type_=sa.Text)
_NOW = sa.bindparam("now_", type_=sa.BigInteger)
_BEGUN = Statement(
    sa.update(executors)
    .where(_NAME)
    .values(
        role=sa.bindparam("role_"), version=sa.bindparam("version_"), began_at=_NOW, beats=_c.beats + 1,
        beaten_at=_NOW, ended_at=None,
    )
)  # fmt: skip
_BEAT = Statement(sa.update(executors).where(_NAME).values(beats=_c.beats + 1, beaten_at=_NOW, ended_at=None))
_ENDED = Statement(sa.update(executors).where(_NAME).values(ended_at=_NOW))
_TAKEN = Statement(
    sa.update(executors)
    .where(_NAME)
    .values(taken_at=_NOW, taken_by=sa.bindparam("by_"), taken_runs=_c.taken_runs + sa.bindparam("runs_"))
)
_ALL = Statement(sa.select(executors).order_by(_c.name))


@dataclass(frozen=True, slots=True)
class Executor:
    """One process as its row has it. `taken_runs` counts the runs that were ever taken over from that name."""

    name: str
    role: str
    version: str
    began_at: datetime
    beats: int
    beaten_at: datetime
    ended_at: datetime | None
    taken_at: datetime | None
    taken_by: str | None
    taken_runs: int

    @property
    def gone(self) -> bool:
        """Nothing is left to take over: it ended in order, or was taken over and has not been heard of since."""
        return self.ended_at is not None or (self.taken_at is not None and self.taken_at >= self.beaten_at)

    def alive(self, now: datetime) -> bool:
        """Whether it was heard of lately."""
        return not self.gone and (now - self.beaten_at).total_seconds() <= SILENT


def begin(tx: Transaction, name: str, role: str, version: str, now: datetime) -> None:
    """A process begins under a name: its first beat."""
    at = to_micros(now)
    if not insert_new(
        tx, executors, name=name, role=role, version=version, began_at=at, beats=0, beaten_at=at, taken_runs=0
    ):
        _BEGUN.change(tx, n_=name, role_=role, version_=version, now_=at)


def beat(tx: Transaction, name: str, now: datetime) -> bool:
    """A process lives; False when it has no row any more."""
    return _BEAT.change(tx, n_=name, now_=to_micros(now)) == 1


def end(tx: Transaction, name: str, now: datetime) -> None:
    """A process ends in order and holds nothing any more."""
    _ENDED.change(tx, n_=name, now_=to_micros(now))


def taken(tx: Transaction, name: str, by: str, runs: int, now: datetime) -> None:
    """What a dead process held was released by another; `runs` marks of orders were among it."""
    at = to_micros(now)
    insert_new(
        tx, executors, name=name, role="worker", version="", began_at=at, beats=0, beaten_at=at, taken_runs=0
    )  # one that never wrote a row: a version from before there were any
    _TAKEN.change(tx, n_=name, by_=by, runs_=runs, now_=at)


def all(tx: Transaction) -> list[Executor]:
    """Everybody who was heard of, by name."""
    return [_executor(row) for row in _ALL.rows(tx)]


def prune(tx: Transaction, now: datetime) -> int:
    """Forget who is gone and was not heard of for two days: containers come with a new name every time."""
    old = _c.beaten_at < to_micros(now - _KEPT)
    gone = sa.or_(_c.ended_at.is_not(None), _c.taken_at >= _c.beaten_at, _c.role == "web")
    return int(tx.execute(sa.delete(executors).where(old, gone)).rowcount)


def _executor(row: Any) -> Executor:
    ended, taken = (None if at is None else from_micros(at) for at in (row.ended_at, row.taken_at))
    began, beaten = from_micros(row.began_at), from_micros(row.beaten_at)
    known = (row.name, row.role, row.version, began, row.beats, beaten)
    return Executor(*known, ended, taken, row.taken_by, row.taken_runs)
