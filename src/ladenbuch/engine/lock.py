"""One process per identity: a file lock beside SQLite, an advisory lock in PostgreSQL.

Both belong to the living process alone: the kernel, or the server, lets go when it dies, however it dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from ladenbuch.errors import UsageError

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)


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
    while it is not. An answer of the server within `still_held` is the proof of life.
    """

    def __init__(self, url: str, executor_id: str) -> None:
        self._dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(False)
        self._executor_id = executor_id
        self._connection: psycopg.Connection[Any] | None = None

    def acquire(self) -> None:
        if not self._try():
            raise UsageError("ENGINE-LOCKED", f"another process already runs as executor {self._executor_id!r}")

    def _try(self) -> bool:
        import psycopg

        connection = psycopg.connect(self._dsn, autocommit=True, application_name="ladenbuch-engine-lock")
        name = f"ladenbuch engine {self._executor_id}"
        row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s::text, 0))", (name,)).fetchone()
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
        except psycopg.Error:
            log.warning("the connection that holds the engine's lock was lost")
            self.release()
            return False

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
