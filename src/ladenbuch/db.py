"""The two stores of the connector and the only doors into them.

    database = Database.open(data_dir=Path("data"))           # or url="postgresql://..."
    database.tenant("t1").run(Store.BOOKS, lambda tx: audit.append(tx, "t1", ...))

A transaction is a function handed to a door. It runs whole or not at all, may be run again after a deadlock
(so it does nothing but talk to its transaction), and never spans two stores: a door opened inside another
one's transaction is refused. SQLite: one file per store, WAL, synchronous=FULL, BEGIN IMMEDIATE for writes;
readers never wait. PostgreSQL: one schema per store, and row-level security as the second wall behind the
predicates of the queries (`migrations/walls.py`).

Errors that leave a door: Retryable DB-UNWRITABLE (full or read-only disk), DB-CORRUPT, DB-BUSY, DB-DOWN;
Ambiguous DB-COMMIT (the connection died during the commit); Rejected DB-CONSTRAINT, DB-FORBIDDEN.
None of them carries a value of a row.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from ladenbuch.domain import failures
from ladenbuch.errors import Rejected, Retryable, UsageError
from ladenbuch.statements import Statement as Statement
from ladenbuch.statements import Transaction as Transaction
from ladenbuch.statements import insert_new as insert_new
from ladenbuch.statements import upsert as upsert

T = TypeVar("T")


class Store(StrEnum):
    """What can be lost together: what was heard (inbox), and what was decided and done (books)."""

    INBOX = "inbox"
    BOOKS = "books"


@dataclass(frozen=True)
class Sealed:
    """Ciphertext as a row holds it: made and opened by the vault, carried by everybody else."""

    key_id: str
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction a thread is in, and whether it may only read. `mark` is another object for every transaction."""

    tx: Transaction
    read: bool
    mark: object


_NAMES = {  # stable names, so that a later migration can name what it changes
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}
inbox_metadata = sa.MetaData(naming_convention=_NAMES)
books_metadata = sa.MetaData(naming_convention=_NAMES)
METADATA: Mapping[Store, sa.MetaData] = {Store.INBOX: inbox_metadata, Store.BOOKS: books_metadata}

# The modules that own tables. A table with a column `tenant` is behind row-level security; a table without
# one can be read through every door and written through system doors only. `info={"append_only": True}`
# refuses UPDATE and DELETE on either database.
TABLE_OWNERS: Mapping[Store, tuple[str, ...]] = {
    Store.INBOX: ("ladenbuch.executors", "ladenbuch.heartbeats", "ladenbuch.inbox"),
    Store.BOOKS: (
        "ladenbuch.alarms",
        "ladenbuch.audit",
        "ladenbuch.backfills",
        "ladenbuch.books",
        "ladenbuch.budgets",
        "ladenbuch.checkups",
        "ladenbuch.circuits",
        "ladenbuch.deadletters",
        "ladenbuch.entitlements",
        "ladenbuch.erasure",
        "ladenbuch.events",
        "ladenbuch.evidence",
        "ladenbuch.grants",
        "ladenbuch.heartbeats",
        "ladenbuch.money_back",
        "ladenbuch.outbox",
        "ladenbuch.payouts",
        "ladenbuch.privacy",
        "ladenbuch.reconciliations",
        "ladenbuch.suppressions",
        "ladenbuch.reminders",
        "ladenbuch.tenants",
        "ladenbuch.used_signatures",
        "ladenbuch.vault",
        "ladenbuch.write_backs",
    ),
}

# Why code may look across tenants. Reviewed: a new reason is a new line here, not a string at a call site.
SYSTEM_REASONS = frozenset(
    {
        "audit verify",  # the chains of all tenants, by the operator's command
        "backfill",  # whose years of orders are being taken over
        "budgets",  # a bucket may belong to several tenants: shops that keep their books in one account
        "circuits",  # a sevdesk token may be that of several tenants; whoever fails with it, it is left alone
        "clock",  # this process's clock is off, or right again
        "checkup",  # whose connection was not looked at for a day
        "dashboard",  # the operator's overview of all shops
        "dead letters",  # inspect and redrive over all tenants
        "deliver",  # which letters of whom are due
        "demo",  # the simulated day reads its result
        "digest",  # to whom a digest of what is wrong is due; the operator's is about all shops
        "dispatch",  # which marks of whom are due
        "events",  # which events wait for which receiver of whom
        "doctor",  # the operator's self-check
        "feedback",  # whose letter a mail provider tells of
        "health",  # live and ready checks
        "ingest",  # one group commit holds the webhooks of many shops
        "keep alive",  # whose refresh tokens nobody used for a week
        "keys rotate",  # re-seals the rows of all tenants
        "lifecycle",  # install and uninstall
        "money back",  # whose bank accounts are looked at, and who is reminded
        "metrics",  # depths and ages over all tenants
        "payouts",  # whose balance with a payment provider is due for a look
        "operator",  # tenants add, stop, go
        "poll",  # which tenants have to be polled
        "prune",  # retention over all tenants
        "readiness",  # which other shops keep their books in the same sevdesk account
        "reaper",  # claims of dead executors, and which processes live
        "reconcile",  # which tenants have to be reconciled
        "services",  # a service that answers none of our calls is everybody's
        "silence",  # whose webhooks, polls or orders do not come
        "start",  # what a dead predecessor of this process left behind
        "write back",  # which orders of whom have something to be written
        "webhook",  # whose shop is this?
    }
)

_BUSY_SECONDS = 30
#: Connections to PostgreSQL of one process and store, and for how many seconds one is kept that nobody uses: for a new
#: one the server starts a process, which reads the catalogue anew.
_CONNECTIONS, _KEPT = 15, 30.0
_SINCE = "ladenbuch_set_aside"
_CONFLICT_RETRIES = failures.row("database", "sqlstate", "40001").at_once
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly. Raises ValueError for an instant without time zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The instant (UTC) of `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


def one_at_a_time(tx: Transaction, what: str) -> None:
    """From here to the end of the transaction, no other transaction is inside the same `what`.

    SQLite has one writer anyway; PostgreSQL takes a transaction-level advisory lock.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(what, 0))))


class Database:
    """Both stores. Thread-safe; `open` it once per process and `close` it at the end."""

    def __init__(self, engines: Mapping[Store, sa.Engine]) -> None:
        self._engines = engines
        self._on_files = engines[Store.BOOKS].dialect.name == "sqlite"
        self._errors = _drivers_errors(self._on_files)
        # SQLite's own wait for the writer is a sleeping poll without a queue; a lock is fair and quick.
        self._writers = {store: threading.Lock() for store in engines} if self.is_sqlite else {}
        # Connections between two transactions, by store and (files) whether they read: kept out of SQLAlchemy's pool,
        # whose check-out and check-in cost more than a small transaction.
        self._idle: dict[tuple[Store, bool], list[Transaction]] = {
            (store, read): [] for store in engines for read in (True, False)
        }
        # How many transactions a store of PostgreSQL may have: as many as its pool has connections, so that a
        # connection that is set aside above is never what somebody waits for in the pool.
        self._setting_aside = threading.Lock()
        self._room = {store: threading.BoundedSemaphore(_CONNECTIONS) for store in engines}
        self._inside = threading.local()

    @classmethod
    def open(cls, *, data_dir: Path | None = None, url: str | None = None) -> Database:
        """SQLite in `data_dir` (made when missing, owner only), or PostgreSQL 15+ by `url`.

        Raises UsageError("SETTING") for an address that is not PostgreSQL, Retryable("DB-UNWRITABLE").
        """
        if url is not None:
            address = _postgresql_address(url)
            return cls({store: _postgresql_engine(address) for store in Store})
        if data_dir is None:
            raise UsageError("SETTING", "neither LADENBUCH_DATA_DIR nor LADENBUCH_DATABASE_URL is set")
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            for store in Store:  # made here so that nobody else can read it; SQLite gives -wal and -shm the same mode
                os.close(os.open(data_dir / f"{store}.db", os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            failure = failures.row("database", "sqlite", "SQLITE_CANTOPEN")
            raise failure.error(_said(failure, os.strerror(error.errno or 0))) from error
        return cls({store: _sqlite_engine(data_dir / f"{store}.db") for store in Store})

    @property
    def is_sqlite(self) -> bool:
        """Whether the stores are files of this machine."""
        return self._on_files

    def migrate(self) -> None:
        """Bring both stores to the newest revision; safe to call twice and from several processes at once."""
        from ladenbuch import migrations  # it needs Alembic, which nobody else should have to wait for

        for store in Store:
            metadata = import_tables(store)
            self._transact(store, {}, partial(migrations.upgrade, store=store.value, metadata=metadata))

    def damaged(self, seconds: float | None = None) -> list[str]:
        """What is wrong with the files of SQLite, in its own words; empty where nothing is, and on PostgreSQL.

        With `seconds` the quick check, for so long at most of each file: what it has not seen by then counts as sound.
        """
        found = []
        for store, engine in self._engines.items() if self.is_sqlite else ():
            found += [f"{store}: {words}" for words in _examined(str(engine.url.database), seconds)]
        return found

    def tenant(self, tenant: str) -> Door:
        """The door of one tenant: on PostgreSQL, no other tenant's row can be seen or written through it."""
        if not tenant:
            raise Rejected("TENANT-UNKNOWN", "no tenant was named")
        return Door(self, {"role": "ladenbuch_app", "ladenbuch.tenant": tenant})

    def system(self, reason: str) -> Door:
        """The door over all tenants, for one of the reasons in SYSTEM_REASONS."""
        if reason not in SYSTEM_REASONS:
            raise ValueError(f"{reason!r} is not a reviewed reason to look across tenants (SYSTEM_REASONS)")
        return Door(self, {"role": "ladenbuch_system", "ladenbuch.tenant": ""})

    def erasing(self, tenant: str) -> Door:
        """The door through which a tenant's rows are deleted, those of append-only tables too: for erasure alone."""
        if not tenant:
            raise Rejected("TENANT-UNKNOWN", "no tenant was named")
        return Door(self, {"role": "ladenbuch_eraser", "ladenbuch.tenant": tenant})

    def truncate_logs(self) -> None:
        """Empty SQLite's write-ahead logs into the files, so that deleted rows are in neither; nothing elsewhere."""
        for engine in self._engines.values() if self.is_sqlite else ():
            with engine.connect() as tx:
                tx.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy(self, store: Store, target: Path) -> None:
        """One snapshot of a store's file as a new file, while others read and write; without what was deleted from it.

        Only where the stores are files. Raises sqlite3.Error where it cannot be read or written.
        """
        raw = self._engines[store].raw_connection()
        try:
            raw.cursor().execute("VACUUM INTO ?", (str(target),))
        finally:
            raw.close()

    def copied_at(self, store: Store) -> datetime | None:
        """When the store's file was copied by `ladenbuch backup`, if it is a copy that was put back; else None."""
        if not self.is_sqlite:
            return None
        with self._engines[store].connect() as tx:
            seconds = int(tx.exec_driver_sql("PRAGMA user_version").scalar_one())
        return from_micros(seconds * 1_000_000) if seconds else None

    def no_copy(self) -> None:
        """From now on the files are the stores themselves: `restored` has said so."""
        for engine in self._engines.values() if self.is_sqlite else ():
            with engine.connect() as tx:
                tx.exec_driver_sql("PRAGMA query_only=OFF")
                tx.exec_driver_sql("PRAGMA user_version=0")

    def connections(self) -> dict[tuple[Store, str], int]:
        """Open connections of each store's pool: "busy" in a transaction, "idle" between two."""
        found: dict[tuple[Store, str], int] = {}
        for store, engine in self._engines.items():
            pool = engine.pool
            assert isinstance(pool, sa.QueuePool)
            parked = sum(len(self._idle[store, read]) for read in (True, False))
            found[store, "busy"] = max(0, pool.checkedout() - parked)
            found[store, "idle"] = parked + pool.checkedin()
        return found

    def inside(self, store: Store) -> OpenTransaction | None:
        """The transaction of that store this thread is in, for the vault: it looks up keys where it is asked to seal.

        None outside of any. Raises RuntimeError inside one of the other store, where nothing of this one can be read.
        """
        if getattr(self._inside, "store", None) is None:
            return None
        if self._inside.store is not store:
            raise RuntimeError(f"a look at {store} was asked for inside a transaction in {self._inside.store}")
        return OpenTransaction(self._inside.tx, self._inside.read, self._inside.later)

    def elsewhere(self, store: Store) -> bool:
        """Whether this thread is in a transaction of the other store, from where `store` cannot be read."""
        return getattr(self._inside, "store", None) not in (None, store)

    def after_commit(self, fn: Callable[[], object]) -> None:
        """Run `fn` once the transaction this thread is in is on disk, never when it is rolled back; at once outside."""
        if getattr(self._inside, "store", None) is None:
            fn()
        else:
            self._inside.later.append(fn)

    def close(self) -> None:
        """Give all connections back."""
        for idle in self._idle.values():
            while idle:
                _let_go(idle.pop())
        for engine in self._engines.values():
            engine.dispose()

    def _transact(
        self, store: Store, local: Mapping[str, str], fn: Callable[[Transaction], T], *, read: bool = False
    ) -> T:
        if getattr(self._inside, "store", None) is not None:
            raise RuntimeError(f"a transaction in {store} was asked for inside one in {self._inside.store}")
        for attempt in range(_CONFLICT_RETRIES + 1):
            self._inside.store, self._inside.read, self._inside.later = store, read, []
            self._inside.committing = False
            try:
                result = self._once(store, local, fn, read)
            except _Conflict:
                if attempt == _CONFLICT_RETRIES:
                    raise Retryable("DB-BUSY", "the database kept refusing the transaction") from None
                continue
            finally:
                self._inside.store = self._inside.tx = None
            for then in self._inside.later:
                then()
            return result
        raise AssertionError("unreachable")

    def _once(self, store: Store, local: Mapping[str, str], fn: Callable[[Transaction], T], read: bool) -> T:
        writer = None if read else self._writers.get(store)
        if writer is not None and not writer.acquire(timeout=_BUSY_SECONDS):
            raise Retryable("DB-BUSY", f"the {store} database was busy for {_BUSY_SECONDS} seconds")
        try:
            return self._in_file(store, fn, read) if self.is_sqlite else self._on_server(store, local, fn, read)
        except self._errors as error:
            known, cause = _translated(error, read, self._inside.committing)
            if known is None:
                raise
            raise known from cause
        finally:
            if writer is not None:
                writer.release()

    def _in_file(self, store: Store, fn: Callable[[Transaction], T], read: bool) -> T:
        idle = self._idle[store, read]
        try:
            tx = idle.pop()
        except IndexError:
            tx = self._engines[store].connect()
            tx.begin()  # SQLAlchemy sees one long transaction; the driver begins and commits the real ones
            _driver(tx).execute(f"PRAGMA query_only={'ON' if read else 'OFF'}")
        driver = _driver(tx)
        try:
            driver.execute("BEGIN" if read else "BEGIN IMMEDIATE")
            self._inside.tx = tx
            result = fn(tx)
            driver.commit()
        except BaseException:
            tx.close()  # whatever state it is in, the pool puts it right
            raise
        idle.append(tx)
        return result

    def _on_server(self, store: Store, local: Mapping[str, str], fn: Callable[[Transaction], T], read: bool) -> T:
        if not self._room[store].acquire(timeout=_BUSY_SECONDS):
            raise sa.exc.TimeoutError("no connection became free")
        try:
            tx = self._begun(store, _begin(store, tuple(local.items()), None if read else IDLE_SECONDS))
            try:
                self._inside.tx = tx
                result = fn(tx)
                self._inside.committing = True
                _driver(tx).commit()
            except BaseException:
                _let_go(tx)
                raise
            self._set_aside(store, tx)
            return result
        finally:
            self._room[store].release()

    def _set_aside(self, store: Store, tx: Transaction) -> None:
        """Keep a connection for the next transaction; give back the one that was used by nobody for a while."""
        now, tired = time.monotonic(), None
        with self._setting_aside:
            idle = self._idle[store, False]
            idle.append(tx)
            tx.info[_SINCE] = now
            if now - idle[0].info[_SINCE] > _KEPT:
                tired = idle.pop(0)
        if tired is not None:
            _let_go(tired)

    def _begun(self, store: Store, begin: str) -> Transaction:
        """A connection whose transaction has begun: one that was set aside, or one of the pool.

        A restarted server costs nobody a failed transaction: of a connection that was set aside, the beginning is the
        test whether it still lives, and nothing has happened on it yet.
        """
        idle = self._idle[store, False]
        while True:
            try:
                with self._setting_aside:
                    tx, kept = idle.pop(), True
            except IndexError:
                tx, kept = self._engines[store].connect(), False
                tx.begin()  # SQLAlchemy sees one long transaction; the real ones are begun and committed here
            try:
                _driver(tx).execute(begin, prepare=False)
            except BaseException as error:
                gone = isinstance(error, self._errors) and _driver(tx).closed
                _let_go(tx)
                if not (kept and gone):
                    raise
            else:
                return tx


class Door:
    """Whole transactions for one tenant, or for the system; `Database.tenant` and `.system` make it."""

    def __init__(self, database: Database, local: Mapping[str, str]) -> None:
        self._database = database
        self._local = local

    def run(self, store: Store, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` in one write transaction: all of it is on disk on return, none of it when it raises.

        After a deadlock or serialization failure `fn` is run again, at most three times.
        """
        return self._database._transact(store, self._local, fn)

    def read(self, store: Store, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` on one consistent snapshot; it waits for no writer and cannot write (RuntimeError)."""
        return self._database._transact(store, self._local, fn, read=True)


def import_tables(store: Store) -> sa.MetaData:
    """Import the modules that own the store's tables; the complete metadata comes back."""
    for name in TABLE_OWNERS[store]:
        import_module(name)
    return METADATA[store]


# --- SQLite ---


def _sqlite_engine(path: Path) -> sa.Engine:
    # isolation_level=None: the driver begins nothing on its own; the only BEGIN is that of `Database._in_file`.
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS, "isolation_level": None},
        pool_size=16,
        max_overflow=48,
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _sqlite_connected)
    return engine


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    # Changing the journal mode does not honour the busy timeout; it happens once in the life of a file.
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _examined(path: str, seconds: float | None) -> list[str]:
    """What SQLite finds in a file, at most ten lines."""
    check = "integrity_check" if seconds is None else "quick_check"
    raw = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        if seconds is not None:
            end = time.monotonic() + seconds
            raw.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        words = [str(row[0]) for row in raw.execute(f"PRAGMA {check}(10)")]
        return [] if words == ["ok"] else words
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        failure = failures.by_prefix("database", "sqlite", name)
        return [str(error)] if failure is not None and failure.code == "DB-CORRUPT" else []
    finally:
        raw.close()


def _driver(tx: Transaction) -> Any:
    return tx.connection.dbapi_connection


# --- PostgreSQL ---

#: Seconds a writing transaction may stand still between two statements. A suspended or unreachable process would keep
#: its rows locked for as long as it likes, and whoever takes its work over would wait for them.
IDLE_SECONDS = 20.0


def _postgresql_address(url: str) -> URL:
    try:
        address = make_url(url)
    except sa.exc.ArgumentError:
        address = None
    if address is None or address.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise UsageError("SETTING", "LADENBUCH_DATABASE_URL: must start with postgresql://") from None
    return address.set(drivername="postgresql+psycopg")


def _postgresql_engine(address: URL) -> sa.Engine:
    return sa.create_engine(
        address,
        pool_size=1,  # the rest is set aside by `Database`, without the pool's costs
        max_overflow=_CONNECTIONS - 1,
        pool_timeout=_BUSY_SECONDS,
        pool_pre_ping=True,  # a restarted server costs nobody a failed transaction
        hide_parameters=True,
        connect_args={"connect_timeout": 10, "autocommit": True},  # the driver begins nothing on its own: see `_begin`
    )


@lru_cache(maxsize=1024)
def _begin(store: Store, local: tuple[tuple[str, str], ...], idle_seconds: float | None) -> str:
    """What begins a transaction, in one message to the server; without seconds one that only reads.

    All LOCAL to this transaction: nothing leaks to whoever gets the connection next, poolers included.
    """
    from psycopg import sql

    wanted = {"search_path": store.value, **dict(local)}
    if idle_seconds is None:  # one snapshot, as on SQLite
        begin = sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    else:
        begin = sql.SQL("BEGIN")
        wanted["idle_in_transaction_session_timeout"] = f"{round(idle_seconds * 1000)}ms"
    said = [
        sql.SQL("SET LOCAL {} TO {}").format(
            sql.SQL(".").join(map(sql.Identifier, name.split("."))), sql.Literal(value)
        )
        for name, value in wanted.items()
    ]
    return sql.SQL("; ").join([begin, *said]).as_string()


def _let_go(tx: Transaction) -> None:
    """Give a connection back in whatever state it is: the pool puts it right, or away when it is dead."""
    if not tx.invalidated and getattr(_driver(tx), "closed", False):
        tx.invalidate()
    with suppress(sa.exc.DBAPIError):
        tx.close()


# --- errors ---


class _Conflict(Exception):
    """PostgreSQL asks for the whole transaction again."""


def _drivers_errors(on_files: bool) -> tuple[type[Exception], ...]:
    if on_files:  # nobody waits for the import of a driver that is not used
        return (sa.exc.TimeoutError, sa.exc.DBAPIError, sqlite3.Error)
    import psycopg

    return (sa.exc.TimeoutError, sa.exc.DBAPIError, psycopg.Error)


def _translated(error: Exception, read: bool, committing: bool) -> tuple[Exception | None, Exception | None]:
    """What the driver raised, in the words of errors.py (None: it has none), and the cause it may name."""
    if isinstance(error, sa.exc.TimeoutError):
        return failures.row("database", "answer", "no connection became free").error(), error
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(original, sqlite3.IntegrityError) or (getattr(original, "sqlstate", None) or "").startswith("23"):
        # No cause: the driver's own text quotes the row.
        return failures.row("database", "sqlstate", "23").error(_constraint(original)), None
    if isinstance(original, sqlite3.Error):
        known = _sqlite_error(original, read)
    else:
        known = _postgresql_error(original, read, committing)
    return known, None if isinstance(known, Rejected) else error


def _sqlite_error(error: sqlite3.Error, read: bool) -> Exception | None:
    name = getattr(error, "sqlite_errorname", "") or ""
    if read and name == "SQLITE_READONLY":
        return RuntimeError("a read transaction tried to write")
    failure = failures.by_prefix("database", "sqlite", name)
    return None if failure is None else failure.error(_said(failure, str(error)))


def _postgresql_error(error: BaseException | None, read: bool, committing: bool) -> Exception | None:
    state = getattr(error, "sqlstate", None) or ""
    if read and state == "25006":
        return RuntimeError("a read transaction tried to write")
    # No state: the connection is gone.
    failure = failures.by_prefix("database", "sqlstate", state) if state else _row("no answer")
    if failure is None:
        return None
    if failure.at_once:
        return _Conflict()
    if committing and failure.code == _row("no answer").code:
        return _row("no answer to a commit").error(write=True)
    return failure.error(_said(failure, "disk full" if state == "53100" else "read-only or failing storage"))


def _row(named: str) -> failures.Failure:
    return failures.row("database", "answer", named)


def _said(failure: failures.Failure, why: str) -> str | None:
    return f"the database cannot be written ({why}): {failure.text}" if failure.code == "DB-UNWRITABLE" else None


def _constraint(error: BaseException | None) -> str:
    if isinstance(error, sqlite3.Error):
        return str(error)  # "UNIQUE constraint failed: table.column": names only
    name = getattr(getattr(error, "diag", None), "constraint_name", None)
    return f"constraint failed: {name}"
