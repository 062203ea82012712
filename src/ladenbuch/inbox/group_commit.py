"""Many deliveries, one transaction, one wait for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue

from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import Retryable
from ladenbuch.inbox.deliveries import Delivery, Sealer, record_all
from ladenbuch.inbox.marks import want_all
from ladenbuch.telemetry.trace import trace_of

log = logging.getLogger(__name__)

_BATCH = 256
_WAITING = 4096
_AnyFuture = Future[bool] | asyncio.Future[bool]


@dataclass(slots=True)
class _Group:
    """Deliveries handed to the writer together, and who waits for them; `loop` None: threads wait."""

    loop: asyncio.AbstractEventLoop | None
    events: list[Delivery]
    futures: list[_AnyFuture]


class GroupCommit:
    """Writes deliveries so that everything that waits shares one transaction, and one wait for the disk.

    One writer thread takes all that waits, seals the bodies, commits events and marks together, and only then
    resolves the futures: True for a new delivery, False for a duplicate, the exception when it is not on disk.
    A batch that fails for the sake of one row is done again row by row, so that no row fails its neighbours.
    `on_commit` is called after a commit that left new wants. At most 4,096 deliveries wait; more are refused
    with Retryable("INBOX-FULL"), which costs a retry by Shopify and no memory.
    """

    def __init__(
        self,
        database: Database,
        vault: Sealer,
        clock: Callable[[], datetime],
        on_commit: Callable[[], None] = lambda: None,
        *,
        writers: int = 1,
    ) -> None:
        self._door = database.system("ingest")
        self._vault = vault
        self._clock = clock
        self._on_commit = on_commit
        self._waiting: SimpleQueue[_Group | None] = SimpleQueue()  # None tells one writer to stop
        self._gathering: dict[asyncio.AbstractEventLoop, _Group] = {}  # each touched by its loop's thread alone
        self._lock = threading.Lock()  # for the two below, and so that nothing is handed over after the last None
        self._outstanding = 0  # handed over, not yet in a transaction
        self._closed = False
        # One is enough: it waits for the disk without holding anything the event loop needs, and what arrives
        # meanwhile makes the next group larger. A second one made groups smaller and cost a quarter more.
        self._threads = [
            threading.Thread(target=self._write, name=f"inbox-writer-{number}", daemon=True)
            for number in range(writers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, event: Delivery) -> Future[bool]:
        """For threads: the future resolves after the commit. Raises Retryable when nothing can be taken."""
        future: Future[bool] = Future()
        with self._lock:
            self._check(0)
            self._outstanding += 1
            self._waiting.put(_Group(None, [event], [future]))
        return future

    def submit_async(self, event: Delivery) -> asyncio.Future[bool]:
        """The same for the running event loop.

        What its other tasks submit in the same turn goes to the writer together, and comes back together: one
        wake-up of a thread in each direction for all of them.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        group = self._gathering.get(loop)
        self._check(0 if group is None else len(group.events))
        if group is None:
            group = self._gathering[loop] = _Group(loop, [], [])
            loop.call_soon(self._hand_over, loop, 0)
        group.events.append(event)
        group.futures.append(future)
        return future

    def waiting(self) -> int:
        """Deliveries taken but not yet in a transaction."""
        return self._outstanding + sum(len(group.events) for group in list(self._gathering.values()))

    def close(self) -> None:
        """Write what waits, then stop. Callable twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _check(self, gathered: int) -> None:
        if self._closed:
            raise Retryable("INBOX-CLOSED", "the inbox is shutting down")
        if self._outstanding + gathered >= _WAITING:
            raise Retryable("INBOX-FULL", "more webhooks arrive than the disk takes")

    def _hand_over(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        # A turn that brought more is followed by another one, without ever waiting: as long as requests stand at
        # the door, taking one in costs less than a transaction without it.
        size = len(self._gathering[loop].events)
        if before < size < _BATCH and not self._closed:
            loop.call_soon(self._hand_over, loop, size)
            return
        # The list is its loop's own until it is out of `_gathering`: exchanging one across threads while it is
        # filled can acknowledge a delivery that nobody wrote.
        group = self._gathering.pop(loop)
        with self._lock:
            if not self._closed:
                self._outstanding += len(group.events)
                self._waiting.put(group)
                return
        closed = Retryable("INBOX-CLOSED", "the inbox is shutting down")
        _resolve(group.futures, [closed] * len(group.futures))

    def _write(self) -> None:
        while (group := self._waiting.get()) is not None:
            batch = [group]
            size = len(group.events)
            stop = False
            while size < _BATCH:
                try:
                    more = self._waiting.get_nowait()
                except Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
                size += len(more.events)
            with self._lock:
                self._outstanding -= size
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[_Group]) -> None:
        events = [event for group in batch for event in group.events]
        try:
            answers: list[bool | Exception] = list(self._transact(events))
        except Retryable as error:
            answers = [error] * len(events)  # the disk or the server, not a row: no use in trying each
        except Exception:
            answers = [self._alone(event) for event in events]
        if True in answers:
            self._on_commit_safely()
        start = 0
        for group in batch:
            end = start + len(group.events)
            _answer(group, answers[start:end])
            start = end
        if log.isEnabledFor(logging.INFO):  # after the answers: nobody waits for the log
            _tell(events, answers)

    def _alone(self, event: Delivery) -> bool | Exception:
        try:
            return self._transact([event])[0]
        except Exception as error:
            log.warning("a webhook could not be written: %s", type(error).__name__)
            return error

    def _transact(self, events_: list[Delivery]) -> list[bool]:
        rows = [event.row(event.sealed_by(self._vault)) for event in events_]

        def write(tx: Transaction) -> list[bool]:
            new = record_all(tx, rows)
            marks: dict[tuple[str, str], str] = {}
            for event, is_new in zip(events_, new, strict=True):
                if is_new and (mark := event.mark) is not None:
                    marks.setdefault((event.tenant, mark), trace_of(event.webhook_id))
            want_all(tx, marks, self._clock(), traces=marks)
            return new

        return self._door.run(Store.INBOX, write)

    def _on_commit_safely(self) -> None:
        try:
            self._on_commit()
        except Exception as error:
            log.error("waking the dispatcher failed with %s", type(error).__name__)


def _tell(events: Sequence[Delivery], answers: Sequence[bool | Exception]) -> None:
    """One line for all that were written together: a line each would cost the ingest more than the disk does."""
    told = [
        {
            "trace": trace_of(one.webhook_id),
            "tenant": one.tenant,
            "topic": one.topic,
            "order": one.order_id,
            "new": answer,
        }
        for one, answer in zip(events, answers, strict=True)
        if not isinstance(answer, Exception)
    ]
    if told:
        log.info("webhooks on disk", extra=told[0] if len(told) == 1 else {"webhooks": told})


def _answer(group: _Group, answers: Sequence[bool | Exception]) -> None:
    if group.loop is None:
        _resolve(group.futures, answers)
    else:
        with contextlib.suppress(RuntimeError):  # the loop was closed, so nobody waits for the answer
            group.loop.call_soon_threadsafe(_resolve, group.futures, answers)


def _resolve(futures: Sequence[_AnyFuture], answers: Sequence[bool | Exception]) -> None:
    for future, answer in zip(futures, answers, strict=True):
        if future.done():  # cancelled: the client went away; the delivery is written all the same
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
