"""Open circuits that several processes know of: a row per tenant and service that fails (`circuits`), and one per
sevdesk token (`token_circuits`), whichever tenants use it.

Written when a circuit opens, is probed and closes, never for a call; read every `LOOK` seconds while there are calls.
Tokens are kept as hashes; what shops share has no tenant, and only the system door reads and writes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from ladenbuch.breaker import Circuit
from ladenbuch.db import Database, Door, Statement, Store, Transaction, books_metadata, from_micros, to_micros, upsert

circuits = sa.Table(
    "circuits",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("service", sa.String(16), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("pause", sa.BigInteger, nullable=False),  # milliseconds
    sa.Column("probed_until", sa.BigInteger),
)

token_circuits = sa.Table(
    "token_circuits",
    books_metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("pause", sa.BigInteger, nullable=False),  # milliseconds
    sa.Column("probed_until", sa.BigInteger),
)

#: Seconds for which a process believes what it read.
LOOK = 2.0

_c, _k = circuits.c, token_circuits.c
_T, _S = sa.bindparam("t", type_=sa.String), sa.bindparam("s", type_=sa.String)
_MINE = sa.and_(_c.tenant == _T, _c.service == _S)
_KEY = sa.bindparam("k", type_=sa.String)
_NOW = sa.bindparam("now", type_=sa.BigInteger)
_READ = Statement(sa.select(circuits).where(_MINE))
_CLOSE = Statement(sa.delete(circuits).where(_MINE))
_PROBE = Statement(
    sa.update(circuits)
    .where(_MINE, _c.until <= _NOW, sa.or_(_c.probed_until.is_(None), _c.probed_until <= _NOW))
    .values(probed_until=sa.bindparam("p", type_=sa.BigInteger))
)
_READ_TOKEN = Statement(sa.select(token_circuits).where(_k.key == _KEY))
_CLOSE_TOKEN = Statement(sa.delete(token_circuits).where(_k.key == _KEY))
_PROBE_TOKEN = Statement(
    sa.update(token_circuits)
    .where(_k.key == _KEY, _k.until <= _NOW, sa.or_(_k.probed_until.is_(None), _k.probed_until <= _NOW))
    .values(probed_until=sa.bindparam("p", type_=sa.BigInteger))
)


@dataclass(frozen=True, slots=True)
class _Row:
    """Which row a circuit is: its table, the columns that name it, and what is done with it by these names."""

    table: sa.Table
    columns: dict[str, str]
    names: dict[str, str]
    read: Statement
    close: Statement
    probe: Statement


class SharedCircuits:
    """One circuit, for a `Breaker`. Thread-safe. Made by `of_tenant` or `of_token`."""

    def __init__(self, door: Door, row: _Row, clock: Callable[[], datetime]) -> None:
        self._door = door
        self._row = row
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[datetime, Circuit | None] | None = None

    @classmethod
    def of_tenant(cls, database: Database, tenant: str, service: str, clock: Callable[[], datetime]) -> SharedCircuits:
        """The circuit of a tenant's calls to a service."""
        named = {"tenant": tenant, "service": service}
        row = _Row(circuits, named, {"t": tenant, "s": service}, _READ, _CLOSE, _PROBE)
        return cls(database.tenant(tenant), row, clock)

    @classmethod
    def of_token(cls, database: Database, key: str, clock: Callable[[], datetime]) -> SharedCircuits:
        """The circuit of a token, by `key`, its hash (`budgets.key_of`)."""
        row = _Row(token_circuits, {"key": key}, {"k": key}, _READ_TOKEN, _CLOSE_TOKEN, _PROBE_TOKEN)
        return cls(database.system("circuits"), row, clock)

    @property
    def known(self) -> Circuit | None:
        """What was read last; the database is not asked."""
        return None if self._known is None else self._known[1]

    def look(self) -> Circuit | None:
        """The open circuit, as it was at most `LOOK` seconds ago."""
        known, now = self._known, self._clock()
        if known is not None and timedelta(0) <= now - known[0] < timedelta(seconds=LOOK):
            return known[1]
        found = self._door.read(Store.BOOKS, self._read)
        with self._lock:
            if self._known is known or self._known is None:
                self._known = (now, found)
            return self._known[1]  # else somebody opened or closed it while we read, and knows better

    def open(self, circuit: Circuit) -> None:
        """Open it for every process; for this one at once, for calls go on while it is written."""
        self._remember(self._clock(), circuit)
        probed = None if circuit.probed_until is None else to_micros(circuit.probed_until)
        said = {"kind": circuit.kind, "until": to_micros(circuit.until), "pause": round(circuit.pause * 1000)}
        row = self._row
        self._door.run(Store.BOOKS, lambda tx: upsert(tx, row.table, **row.columns, **said, probed_until=probed))

    def probe(self, now: datetime, until: datetime) -> bool:
        """Become the one probe; False when another one is it, or the circuit was closed or opened anew."""
        times = {"now": to_micros(now), "p": to_micros(until)}

        def take(tx: Transaction) -> tuple[bool, Circuit | None]:
            return self._row.probe.change(tx, **self._row.names, **times) == 1, self._read(tx)

        mine, found = self._door.run(Store.BOOKS, take)
        self._remember(now, found)
        return mine

    def close(self) -> None:
        """Close it for every process."""
        self._door.run(Store.BOOKS, lambda tx: self._row.close.change(tx, **self._row.names))
        self._remember(self._clock(), None)

    def _read(self, tx: Transaction) -> Circuit | None:
        row = self._row.read.first(tx, **self._row.names)
        if row is None:
            return None
        probed = None if row.probed_until is None else from_micros(row.probed_until)
        return Circuit(row.kind, from_micros(row.until), row.pause / 1000, probed)

    def _remember(self, now: datetime, circuit: Circuit | None) -> None:
        with self._lock:
            self._known = (now, circuit)


def prune(tx: Transaction, before: datetime) -> int:
    """Forget circuits of tokens that nobody has asked with since `before`. Through a system door."""
    return int(tx.execute(sa.delete(token_circuits).where(_k.until < to_micros(before))).rowcount)
