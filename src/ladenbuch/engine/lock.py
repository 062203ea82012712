"""One process per identity: a file lock beside SQLite, an advisory lock in PostgreSQL.

Both belong to the living process alone: the kernel, or the server, lets go when it dies, however it dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from ladenbuch.errors import Retryable, UsageError

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

#: Longest name of an executor: run ids are made of it and 33 characters more, and take 64.
LONGEST = 31
#: Seconds for which a taken lock is asked for again: a killed owner's connection ends moments after it, and a reaper
#: holds the lock of the dead for the length of a transaction.
_PATIENCE = 2.0
#: The server notices within seconds, not hours, that the machine of a lock's owner is gone.
_NOTICE = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 3, "tcp_keepalives_count": 3, "tcp_user_timeout": 12000}


class Lock(Protocol):
    """`acquire` raises UsageError("ENGINE-LOCKED"); `still_held` takes a lost lock again when it is free."""

    def acquire(self) -> None: ...
    def still_held(self) -> bool: ...
    def release(self) -> None: ...


class FileLock:
    """One worker process per data directory; the kernel lets go when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise UsageError(
                "ENGINE-LOCKED", f"another ladenbuch process already works in {self._path.parent}"
            ) from None
        self._descriptor = descriptor

    def still_held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class AdvisoryLock:
    """One process per executor id of a PostgreSQL database, held by a connection that does nothing else.

    If that connection is lost the lock is gone too: it is taken again when it is free, and nothing is started
    while it is not. An answer of the server within `still_held` is the proof of life. `of` says what the id is unique
    among: processes that run things ("engine"), or such that only serve pages ("web").
    """

    def __init__(self, url: str, executor_id: str, of: str = "engine") -> None:
        self._dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(False)
        self._executor_id = executor_id
        self._of = of
        self._connection: psycopg.Connection[Any] | None = None

    @classmethod
    def first_free(cls, url: str, names: Iterable[str], of: str = "engine") -> tuple[str, AdvisoryLock]:
        """The first of `names` nobody holds, and its lock, held. Raises UsageError("ENGINE-LOCKED")."""
        for name in names:
            lock = cls(url, name, of)
            if lock._try():
                return name, lock
        raise UsageError("ENGINE-LOCKED", "all names for this process are taken; set LADENBUCH_EXECUTOR_ID")

    def acquire(self) -> None:
        until = time.monotonic() + _PATIENCE
        while self._connection is None and not self._try():
            if time.monotonic() > until:
                raise UsageError("ENGINE-LOCKED", f"another process already runs as executor {self._executor_id!r}")
            time.sleep(0.1)

    def _try(self) -> bool:
        import psycopg

        options = " ".join(f"-c {name}={value}" for name, value in _NOTICE.items())
        query = "SELECT pg_try_advisory_lock(hashtextextended(%s::text, 0))"
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                application_name="ladenbuch-engine-lock",
                options=options,
                connect_timeout=10,
            )
            row = connection.execute(query, (lock_name(self._executor_id, self._of),)).fetchone()
        except psycopg.OperationalError:
            raise Retryable("DB-DOWN", "the database server cannot be reached") from None
        if row is None or row[0] is not True:
            connection.close()
            return False
        self._connection = connection
        return True

    def still_held(self) -> bool:
        import psycopg

        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return True
            return self._try()
        except (psycopg.Error, Retryable):
            log.warning("the connection that holds the engine's lock was lost")
            self.release()
            return False

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def lock_name(executor_id: str, of: str = "engine") -> str:
    """What the advisory lock of an executor is called, before it is hashed."""
    return f"ladenbuch {of} {executor_id}"


def names_of_host(host: str | None = None) -> Iterable[str]:
    """Names for the processes of this host, container or pod, in the order in which they are tried.

    Stable over restarts, so that a process that comes back takes its own work up; another's is taken over anyway.
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", host or socket.gethostname()) or "main"
    if len(plain) > LONGEST - 4:
        plain = f"{plain[: LONGEST - 13]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
    yield plain
    for number in range(2, 1000):
        yield f"{plain}-{number}"


_LOCKED = sa.text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE EXISTS (SELECT 1 FROM pg_locks WHERE locktype ="
    " 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32) | objid::bigint = hashtextextended('ladenbuch engine ' || name, 0))"
)
_HOLD = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def locked(tx: sa.Connection, executors: Iterable[str]) -> set[str]:
    """Which of these executors' locks are held at this moment. It takes none, so it is in nobody's way."""
    return set(tx.execute(_LOCKED, {"names": list(executors)}).scalars())


def hold(tx: sa.Connection, executor_id: str) -> bool:
    """Hold the lock of another executor to the end of this transaction; False while that one lives."""
    return tx.execute(_HOLD, {"name": lock_name(executor_id)}).scalar() is True
