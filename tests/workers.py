"""Worker processes that start in no time: one process imports the connector once, and each worker is forked from it.

    with Nursery() as nursery:
        first = nursery.start("w1", settings)     # a process of its own, with its own connections and engine
        os.kill(first, signal.SIGKILL)

Real processes, to be killed, stopped and continued; only the second of imports per start is saved. On PostgreSQL only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Seconds between two looks of the reaper: a fifth of the product's, so that four of them do not take eight seconds.
REAP = 0.4


class Nursery:
    """Starts workers by fork; at the end all of them are killed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.pids: list[int] = []

    def __enter__(self) -> Nursery:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=env,
            )
        return self

    def start(self, name: str, settings: Mapping[str, str], *, version: str = "") -> int:
        """A worker under a name; its process id, once it works. `version` is what it calls itself."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([dict(settings) | {"LADENBUCH_EXECUTOR_ID": name}, version]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline() or 0)
        assert pid, f"the worker did not start: see {self._log}"
        self.pids.append(pid)
        return pid

    def __exit__(self, *_: object) -> None:
        for pid in self.pids:
            for how in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    break
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process.wait(30)


def work(env: Mapping[str, str], version: str, told: int) -> None:
    """What `ladenbuch serve --role worker` does, without its pages; ends in order on SIGTERM."""
    import ladenbuch
    from ladenbuch.bootstrap import Ladenbuch
    from ladenbuch.db import Database
    from ladenbuch.engine.dbos import DbosEngine
    from ladenbuch.settings import Settings
    from ladenbuch.vault import KeyRing, Vault

    ladenbuch.__version__ = version or ladenbuch.__version__
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    settings = Settings.read(env)
    assert settings.database_url is not None and settings.keys is not None
    url = settings.database_url.get_secret_value()
    database = Database.open(url=url)
    database.migrate()
    vault = Vault(KeyRing.parse(settings.keys.get_secret_value()), database)
    house = Ladenbuch(settings, database, vault, ticks={"reap": REAP})
    house.work(DbosEngine(settings.executor_id, url=url, workers=settings.workers))
    os.write(told, f"{os.getpid()}\n".encode())
    os.close(told)
    while not ended:
        time.sleep(0.05)
    house.close()


def main() -> None:
    import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the killed ones
    for line in sys.stdin:
        env, version = json.loads(line)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sys.stdin.close()
            status = 1
            try:
                work(env, version, os.dup(1))
                status = 0
            except BaseException:
                import traceback

                traceback.print_exc()
                os.write(1, b"0\n")
            finally:
                sys.stderr.flush()
                os._exit(status)


def import_everything() -> Any:
    """Before the first fork, so that it is done once."""
    import dbos
    import psycopg

    from ladenbuch import bootstrap, workflows
    from ladenbuch.db import Store, import_tables
    from ladenbuch.engine import dbos as engine
    from ladenbuch.workflows import deliver, dispatch, lifecycle, poll, retention, settle, subscriptions

    return dbos, psycopg, bootstrap, workflows, engine, deliver, dispatch, lifecycle, poll, retention, settle, [
        import_tables(store) for store in Store
    ], subscriptions  # fmt: skip


if __name__ == "__main__":
    main()
