"""What a dead process held is taken over by a living one, within seconds; a slow one keeps what it has.

    who is dead   engine/liveness.py: lock free and no beat for a while
    taking over   in three transactions (books, engine, inbox), each of which holds the dead one's lock to its end: two
                  reapers do not meet, and a process that comes back under that name either waits for a moment or is
                  there first, and then nothing of its is touched
    a zombie      a process that lost its lock and runs on (its machine slept, its network was cut) can write nothing:
                  the order's fence belongs to the newer run (books/fence.py)

The marks come last, so that no run finds a lease of the dead in its way. A reaper that dies half-way is no matter: the
next one does it again. Runs of this process that ended without a word, because the database was away when they wanted
to say so, are given up here too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ladenbuch import books, executors, inbox, outbox
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.engine.liveness import PATIENCE, Watch
from ladenbuch.engine.lock import hold, locked
from ladenbuch.engine.port import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was released of a dead process: marks of orders, and letters nobody can be sure of (LETTER-UNCERTAIN)."""

    executor: str
    runs: int
    letters_uncertain: int
    engine_rows: int


class Reaper:
    """Says that this process lives, and looks after the others; on PostgreSQL only, where there are others.

    `executor` is this process's id, `clock` gives its instants, `monotonic` its seconds. `taken` hears of every
    takeover.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        executor: str,
        role: str,
        version: str,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
        taken: Callable[[Taken], object] = lambda taken: None,
    ) -> None:
        self._door = database.system("reaper")
        self._engine = engine
        self._executor = executor
        self._role, self._version = role, version
        self._clock = clock
        self._taken = taken
        self._others = Watch(monotonic, patience)
        self._own = Watch(monotonic, patience)
        self._begun = False

    def tick(self) -> list[Taken]:
        """One beat and one look; what was taken over. Nothing while this process has no lock of its own."""
        if not self._engine.alone():
            self._others.forget()
            return []
        try:
            suspects, mine = self._door.run(Store.INBOX, self._look)
        except BaseException:
            self._others.forget()
            self._own.forget()
            raise
        self._release(mine)
        return [taken for name in self._others.look(suspects) if (taken := self._take_over(name)) is not None]

    def give_up(self) -> None:
        """Only what this process itself lost, where it has no neighbours."""
        self._release(self._door.read(Store.INBOX, lambda tx: inbox.runs_of(tx, self._executor)))

    def end(self) -> None:
        """This process ends in order. Call it when nothing of it runs any more, while it still has its lock."""
        self._door.run(Store.INBOX, lambda tx: executors.end(tx, self._executor, self._clock()))

    def _look(self, tx: Transaction) -> tuple[dict[str, object], dict[str, tuple[str, str]]]:
        now = self._clock()
        if not self._begun or not executors.beat(tx, self._executor, now):
            executors.begin(tx, self._executor, self._role, self._version, now)
            executors.prune(tx, now)
            self._begun = True
        # A process of an older version writes no row, but its name stands in the marks it claims.
        names: dict[str, object] = dict.fromkeys(inbox.claimants(tx))
        names |= {row.name: row.beats for row in executors.all(tx) if row.role != "web" and not row.gone}
        names.pop(self._executor, None)
        alive = locked(tx, names)
        return {name: sign for name, sign in names.items() if name not in alive}, inbox.runs_of(tx, self._executor)

    def _release(self, mine: dict[str, tuple[str, str]]) -> None:
        """A mark under our name without its run: nobody else would ever end it."""
        lost = self._own.look({run_id: None for run_id in mine if not self._engine.holds(run_id)})
        now = self._clock()

        def release(tx: Transaction) -> int:
            return sum(inbox.release_run(tx, *mine[run_id], run_id, now) for run_id in lost)

        if lost:
            log.warning("gave up %s runs that ended without a word", self._door.run(Store.INBOX, release))

    def _take_over(self, executor: str) -> Taken | None:
        now = self._clock()

        def of_books(tx: Transaction) -> int | None:
            if not hold(tx, executor):
                return None
            books.drop_leases(tx, executor)
            return len(outbox.release_executor(tx, executor, now))

        def of_inbox(tx: Transaction) -> int | None:
            if not hold(tx, executor):
                return None
            runs = inbox.release_executor(tx, executor, now)
            executors.taken(tx, executor, self._executor, runs, now)
            return runs

        letters = self._door.run(Store.BOOKS, of_books)
        if letters is None:
            return None
        rows = self._engine.forget(executor)
        runs = self._door.run(Store.INBOX, of_inbox)
        if runs is None:
            return None
        taken = Taken(executor, runs, letters, rows)
        log.warning("took over what %s held: %s runs, %s letters uncertain", executor, runs, letters)
        self._taken(taken)
        return taken
