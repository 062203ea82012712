"""The engine of production: DBOS (MIT part) on a database of its own that may be deleted at any time.

What DBOS gives us: a thread pool, and the recovery of runs that a killed process of the same name left
behind. What we do not use of it: steps, results, retries, delays, schedules (docs/decisions says why). One
generic workflow without steps takes a registered name, a run id and ids; our functions' exceptions become
codes before DBOS sees them, so that nothing but ids and codes ever lies in its tables, as JSON.

One process per identity (lock.py), because a second process under the same executor id would run the first
one's work at the same time. Importing dbos takes most of a second, so it happens at launch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from ladenbuch.db import IDLE_SECONDS
from ladenbuch.engine.lock import AdvisoryLock, FileLock, Lock, hold
from ladenbuch.engine.port import CRASHED
from ladenbuch.engine.ticker import Ticker
from ladenbuch.errors import LadenbuchError, Retryable, UsageError

log = logging.getLogger(__name__)

SCHEMA = "engine"
"""Where the engine's tables live on PostgreSQL."""

_APP = "ladenbuch"
_WORKFLOW = "ladenbuch.run"
_HOUSEKEEPING_SECONDS = 1.0
_PRUNE_SECONDS = 60.0
_KEEP_ENDED_SECONDS = 600.0  # run ids are never used twice (inbox.claim counts), so this is only for looking
_CLOSE_GRACE_SECONDS = 10.0

_current: DbosEngine | None = None  # DBOS is one per process, and so is its registry of workflows
_workflow: Callable[..., Any] | None = None
_module_lock = threading.Lock()


class DbosEngine:
    """Keeps the promise of `port.Engine` with threads.

    Exactly one of `data_dir` (SQLite: engine.db and engine.lock in it) and `url` (PostgreSQL: schema
    `engine`) is given, with the `lock` of the executor id where it was taken already. Under a stable `executor_id` a
    process that comes back takes its runs up at once; those of one that does not are taken over (reaper.py).
    `app_version` is pinned: runs carry only ids, so any later version may finish them. At most `workers`
    runs go on at a time, the rest waits in memory.
    """

    def __init__(
        self,
        executor_id: str,
        *,
        data_dir: Path | None = None,
        url: str | None = None,
        lock: Lock | None = None,
        workers: int = 8,
        app_version: str = "1",
        keep_ended_seconds: float = _KEEP_ENDED_SECONDS,
    ) -> None:
        if (data_dir is None) == (url is None):
            raise ValueError("give either data_dir or url")
        self.executor_id = executor_id
        self._workers = workers
        self._app_version = app_version
        self._keep_ended = keep_ended_seconds
        self._functions: dict[str, Callable[..., str]] = {}
        self._tickers: dict[str, Ticker] = {}
        self._lock: Lock
        if data_dir is not None:
            self._path: Path | None = data_dir / "engine.db"
            self._url = f"sqlite:///{self._path}"
            self._lock = FileLock(data_dir / "engine.lock")
        else:
            assert url is not None
            self._path = None
            self._url = sa.make_url(url).set(drivername="postgresql+psycopg").render_as_string(False)
            self._lock = lock or AdvisoryLock(url, executor_id)
        self._table = "workflow_status" if url is None else f'"{SCHEMA}".workflow_status'
        self._engine: sa.Engine | None = None
        self._inode: tuple[int, int] | None = None
        self._guard = threading.Lock()  # the set of runs in flight
        self._active: set[str] = set()
        self._repair = threading.Lock()  # one thread at a time makes the database anew
        self._launched = False
        self._owns_lock = False
        self._last_prune = 0.0

    # port.Engine

    def register(self, name: str, fn: Callable[..., str]) -> None:
        self._refuse_after_launch()
        self._functions[name] = fn

    def every(self, name: str, seconds: float, fn: Callable[[], None]) -> None:
        self._refuse_after_launch()
        self._tickers[name] = Ticker(name, seconds, fn)

    def wake(self, name: str) -> None:
        ticker = self._tickers.get(name)
        if ticker is not None:
            ticker.wake()

    def launch(self) -> None:
        global _current
        self._refuse_after_launch()
        self._lock.acquire()
        self._owns_lock = True
        try:
            with _module_lock:
                if _current is not None:
                    raise UsageError("ENGINE-LOCKED", "this process already runs an engine")
                _current = self
            try:
                self._launch_dbos()
            except BaseException:
                _destroy_dbos()
                _current = None
                raise
        except BaseException:
            self._dispose()
            self._owns_lock = False
            self._lock.release()
            raise
        self._launched = True
        self._tickers["engine.housekeeping"] = Ticker("engine.housekeeping", _HOUSEKEEPING_SECONDS, self._keep_house)
        for ticker in self._tickers.values():
            ticker.begin()

    def start(self, name: str, run_id: str, *args: str) -> None:
        if name not in self._functions:
            raise KeyError(name)
        if not self._launched:
            raise Retryable("ENGINE-DOWN", "the engine is not launched")
        if not self._owns_lock:
            raise Retryable("ENGINE-DOWN", "the engine's lock was lost; another process may hold it")
        with self._guard:
            if run_id in self._active:
                return
        if self._vanished():
            self._recreate("the engine's database file is gone")
        try:
            self._submit(name, run_id, args)
        except Exception as first:
            # Whatever the database says when its tables were pulled away (no such table, malformed, read-only
            # because moved), the cure is the same, and nothing that matters is lost by it.
            try:
                self._recreate(type(first).__name__)
                self._submit(name, run_id, args)
            except Exception as second:
                reason = f"the engine's database fails: {type(second).__name__}"
                raise Retryable("ENGINE-DOWN", reason) from None

    def running(self) -> int:
        with self._guard:
            return len(self._active)

    def holds(self, run_id: str) -> bool:
        with self._guard:
            return run_id in self._active

    def alone(self) -> bool:
        return self._launched and self._owns_lock

    def forget(self, executor_id: str) -> int:
        if self._engine is None:
            return 0
        with self._engine.begin() as connection:
            if self._path is None and not hold(connection, executor_id):
                return 0
            statement = sa.text(
                f"DELETE FROM {self._table} WHERE executor_id = :executor AND status IN ('PENDING', 'ENQUEUED')"
            )
            return int(connection.execute(statement, {"executor": executor_id}).rowcount)

    def close(self) -> None:
        global _current
        if not self._launched:
            return
        self._launched = False
        for ticker in self._tickers.values():
            ticker.stop()
        deadline = time.monotonic() + _CLOSE_GRACE_SECONDS
        for ticker in self._tickers.values():
            ticker.join(max(0.0, deadline - time.monotonic()))
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.005)
        with _module_lock:
            _destroy_dbos()
            _current = None
        self._dispose()
        self._owns_lock = False
        self._lock.release()

    # Runs

    def _submit(self, name: str, run_id: str, args: tuple[str, ...]) -> None:
        from dbos import DBOS, SetWorkflowID

        assert _workflow is not None
        with self._guard:
            self._active.add(run_id)
        try:
            with SetWorkflowID(run_id):
                handle = DBOS.start_workflow(_workflow, name, run_id, list(args))
        except BaseException:
            with self._guard:
                self._active.discard(run_id)
            raise
        if not hasattr(handle, "future"):
            # A polling handle: this id already ran, or runs elsewhere; it is not in flight here.
            with self._guard:
                self._active.discard(run_id)

    def _execute(self, name: str, run_id: str, args: list[str]) -> str:
        with self._guard:
            self._active.add(run_id)  # a recovered run did not come through start()
        try:
            return self._functions[name](*args)
        except LadenbuchError as error:
            return error.code
        except Exception as error:
            # The text of an unplanned exception may hold personal data; its place is enough.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("run %s of %s crashed with %s\n%s", run_id, name, type(error).__name__, where)
            return CRASHED
        finally:
            with self._guard:
                self._active.discard(run_id)

    # The database that may vanish

    def _launch_dbos(self) -> None:
        from dbos import DBOS, DBOSConfig

        _quieten()
        _register_workflow()
        self._engine = self._make_engine()
        if self._path is not None and not self._path.exists():
            self._build_file(self._path)
        config: DBOSConfig = {
            "name": _APP,
            "system_database_url": self._url,
            "system_database_engine": self._engine,
            "executor_id": self.executor_id,
            "application_version": self._app_version,
            "serializer": _json_serializer(),
            "max_executor_threads": self._workers,
            "log_level": "WARNING",
            "enable_otlp": False,
            "use_listen_notify": False,  # nobody waits for a message here
            "notification_listener_polling_interval_sec": 0.01,  # decides how long closing takes
        }
        if self._path is None:
            config["dbos_system_schema"] = SCHEMA
        DBOS(config=config)
        try:
            DBOS.launch()
        except Exception as first:
            # A broken or foreign file: the engine remembers nothing that matters, so begin with a new one.
            if self._path is None:
                raise
            log.warning("engine.db could not be used (%s), a new one is made", type(first).__name__)
            _destroy_dbos()
            self._dispose()
            self._build_file(self._path)
            self._engine = self._make_engine()
            config["system_database_engine"] = self._engine
            DBOS(config=config)
            DBOS.launch()
        self._inode = self._stat()

    def _make_engine(self) -> sa.Engine:
        engine = sa.create_engine(
            self._url, pool_size=self._workers + 8, max_overflow=16, pool_timeout=30, pool_pre_ping=True
        )
        event.listen(engine, "connect", _postgresql_settings if self._path is None else _sqlite_settings)
        return engine

    def _stat(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_dev, found.st_ino)

    def _vanished(self) -> bool:
        # Connections to a deleted file go on working on nothing, without an error: only the inode tells.
        return self._path is not None and self._stat() != self._inode

    def _recreate(self, reason: str) -> None:
        """Make the tables anew under the running DBOS. Runs in flight go on; only their rows are gone."""
        from dbos import DBOS

        with self._repair:
            if not self._vanished() and self._usable():
                return
            log.warning("making the engine's database anew: %s", reason)
            if self._path is not None:
                self._build_file(self._path)
            else:
                with self._jobs_held_back():
                    DBOS.migrate(self._url, schema=SCHEMA)
            assert self._engine is not None
            self._engine.dispose()  # connections to the deleted file would go on working on nothing

    @contextlib.contextmanager
    def _jobs_held_back(self) -> Iterator[None]:
        """Keep DBOS's background jobs from their lock while tables are made on PostgreSQL.

        They hold it in a transaction that stays open for a second at a time, and every index, built concurrently, waits
        for that: twenty seconds in all. Should DBOS name its lock differently one day, it takes that long again.
        """
        import psycopg

        name = f"dbos.background_job.{SCHEMA}.{_APP}.background_jobs"
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        dsn = sa.make_url(self._url).set(drivername="postgresql").render_as_string(False)
        with psycopg.connect(dsn, autocommit=True, application_name="ladenbuch-engine-repair") as session:
            session.execute("SET lock_timeout = '5s'")
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                session.execute("SELECT pg_advisory_lock(%s)", (key,))  # ends with the session
            yield

    def _build_file(self, path: Path) -> None:
        """Put a complete, empty engine.db in place at once, so that no thread ever sees half of one."""
        from dbos import DBOS

        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        _remove_database(fresh)
        DBOS.migrate(f"sqlite:///{fresh}")
        with contextlib.closing(sqlite3.connect(fresh)) as connection:
            # Twice the throughput; DBOS leaves it off. Written into the file, so it is done once.
            connection.execute("PRAGMA journal_mode=WAL")
        _remove_database(path)
        fresh.replace(path)
        self._inode = self._stat()

    def _usable(self) -> bool:
        assert self._engine is not None
        try:
            with self._engine.connect() as connection:
                connection.execute(sa.text(f"SELECT 1 FROM {self._table} LIMIT 1"))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _keep_house(self) -> None:
        self._owns_lock = self._lock.still_held()
        if self._vanished() or not self._usable():
            self._recreate("its tables are gone")
        if time.monotonic() - self._last_prune >= _PRUNE_SECONDS:
            self._last_prune = time.monotonic()
            self._prune()

    def _prune(self) -> None:
        # Ended runs are of no use to anybody; children of the row go by foreign key.
        before = int((time.time() - self._keep_ended) * 1000)
        assert self._engine is not None
        with self._engine.begin() as connection:
            statement = sa.text(f"DELETE FROM {self._table} WHERE completed_at < :before")
            connection.execute(statement, {"before": before})
            # A run whose end could not be written, because the database was away, would stay pending for good.
            mine = {"executor": self.executor_id, "before": before}
            statement = sa.text(
                f"SELECT workflow_uuid FROM {self._table} WHERE executor_id = :executor AND created_at < :before"
                " AND status = 'PENDING'"
            )
            lost = [row for row in connection.execute(statement, mine).scalars() if not self.holds(row)]
            for run_id in lost:
                statement = sa.text(f"DELETE FROM {self._table} WHERE workflow_uuid = :run AND status = 'PENDING'")
                connection.execute(statement, {"run": run_id})

    def _refuse_after_launch(self) -> None:
        if self._launched:
            raise RuntimeError("the engine is already launched")


def _postgresql_settings(connection: Any, _record: object) -> None:
    # As DBOS does it to engines of its own making: a suspended process keeps no rows of the engine locked.
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(IDLE_SECONDS * 1000)}")
    connection.commit()  # the pool rolls back what it gets back


def _sqlite_settings(connection: Any, _record: object) -> None:
    # NORMAL does not wait for the disk on each commit: a power cut may take the newest rows, which is as
    # harmless as a deleted engine.db. The other settings as DBOS itself would make them.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


def _remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _register_workflow() -> None:
    """DBOS keeps its registry for the life of the process, so the one workflow is registered once."""
    global _workflow
    if _workflow is not None:
        return
    from dbos import DBOS

    @DBOS.workflow(name=_WORKFLOW)
    def run(name: str, run_id: str, args: list[str]) -> str:
        engine = _current
        if engine is None or name not in engine._functions:
            return "UNKNOWN-RUN"
        return engine._execute(name, run_id, args)

    _workflow = run


def _destroy_dbos() -> None:
    from dbos import DBOS

    DBOS.destroy()


def _quieten() -> None:
    """Send DBOS's log records, warnings and worse, through ours instead of its console handler."""
    logger = logging.getLogger("dbos")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.NullHandler())  # DBOS adds a console handler only where there is none
    logger.addFilter(_one_line)
    logger.propagate = True
    logger.setLevel(logging.WARNING)


def _one_line(record: logging.LogRecord) -> bool:
    """One line for each trouble of the engine with its database; what follows from a deleted row is none.

    Our functions never raise into DBOS, so a "background workflow" exception is always its own bookkeeping.
    """
    text = record.getMessage()
    if "background workflow" in text or "outcome was not recorded" in text:
        return False
    record.msg, record.args = text.splitlines()[0] if text else "", ()
    record.exc_info = record.exc_text = None
    return True


def _json_serializer() -> Any:
    """Ids and codes as JSON instead of pickles, so that the engine's tables can hold nothing else."""
    from dbos import Serializer

    class Json(Serializer):
        def serialize(self, data: Any) -> str:
            return json.dumps(data, separators=(",", ":"), default=lambda value: type(value).__name__)

        def deserialize(cls, serialized_data: str) -> Any:
            return json.loads(serialized_data)

        def name(self) -> str:
            return "ladenbuch_json"

    return Json()
