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
from ladenbuch.inbox.deliveries import BODY_PURPOSE, Delivery, Sealer, record_all
from ladenbuch.inbox.marks import want_all

log = logging.getLogger(__name__)

_BATCH = 256
_WAITING = 4096
_AnyFuture = Future[bool] | asyncio.Future[bool]


@dataclass(slots=True)
class _Waiting:
    event: Delivery
    future: _AnyFuture
    loop: asyncio.AbstractEventLoop | None


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
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()  # None tells one writer to stop
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
        self._take(_Waiting(event, future, None))
        return future

    def submit_async(self, event: Delivery) -> asyncio.Future[bool]:
        """The same for the running event loop; a whole batch costs the loop one wake-up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._take(_Waiting(event, future, loop))
        return future

    def waiting(self) -> int:
        """Deliveries taken but not yet in a transaction."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what waits, then stop. Callable twice."""
        self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        batch: list[_Waiting] = []
        while not self._waiting.empty():  # taken while we closed
            waiting = self._waiting.get()
            if waiting is not None:
                batch.append(waiting)
        if batch:
            self._commit(batch)

    def _take(self, waiting: _Waiting) -> None:
        if self._closed:
            raise Retryable("INBOX-CLOSED", "the inbox is shutting down")
        if self._waiting.qsize() >= _WAITING:
            raise Retryable("INBOX-FULL", "more webhooks arrive than the disk takes")
        self._waiting.put(waiting)

    def _write(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            # One by one out of the queue: exchanging a whole list across threads can acknowledge a delivery
            # that nobody wrote.
            batch = [waiting]
            stop = False
            while len(batch) < _BATCH:
                try:
                    waiting = self._waiting.get_nowait()
                except Empty:
                    break
                if waiting is None:
                    stop = True
                    break
                batch.append(waiting)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            answers: list[bool | Exception] = list(self._transact([waiting.event for waiting in batch]))
        except Retryable as error:
            answers = [error] * len(batch)  # the disk or the server, not a row: no use in trying each
        except Exception:
            answers = [self._alone(waiting.event) for waiting in batch]
        if any(answer is True for answer in answers):
            self._on_commit_safely()
        _answer(batch, answers)

    def _alone(self, event: Delivery) -> bool | Exception:
        try:
            return self._transact([event])[0]
        except Exception as error:
            log.warning("a webhook could not be written: %s", type(error).__name__)
            return error

    def _transact(self, events_: list[Delivery]) -> list[bool]:
        rows = [event.row(self._vault.seal(event.tenant, BODY_PURPOSE, event.body)) for event in events_]

        def write(tx: Transaction) -> list[bool]:
            new = record_all(tx, rows)
            orders = [
                (event.tenant, event.order_id)
                for event, is_new in zip(events_, new, strict=True)
                if is_new and event.order_id is not None
            ]
            want_all(tx, orders, self._clock())
            return new

        return self._door.run(Store.INBOX, write)

    def _on_commit_safely(self) -> None:
        try:
            self._on_commit()
        except Exception as error:
            log.error("waking the dispatcher failed with %s", type(error).__name__)


def _answer(batch: list[_Waiting], answers: Sequence[bool | Exception]) -> None:
    loops: dict[asyncio.AbstractEventLoop | None, list[tuple[_AnyFuture, bool | Exception]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        loops.setdefault(waiting.loop, []).append((waiting.future, answer))
    for loop, pairs in loops.items():
        if loop is None:
            _resolve(pairs)
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed, so nobody waits for the answer
                loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[_AnyFuture, bool | Exception]]) -> None:
    for future, answer in pairs:
        if future.done():  # cancelled: the client went away; the delivery is written all the same
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
