"""Our clock is off: numbers and dates wait, and a person hears of it, until it is right again.

Each process judges its own clock (`telemetry.clocks`). While it is off, the process goes by everybody else's
(`Context.clock`), so that dates and waits are right all the same; drafts and money go on, but nothing gets a number
(`posting.carry_out`). The other processes go on whole.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from ladenbuch import inbox
from ladenbuch.alarms import HOUSE, end_alarm, open_alarms, raise_alarm
from ladenbuch.db import Store, Transaction
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

KIND = "CLOCK-OFF"
#: When an order whose number waits is looked at again, if nobody says sooner that the clock is right.
AGAIN = 600.0
#: What a process that is gone left open is ended after so long; as often is looked for such.
_SILENT = timedelta(minutes=15)


class ClockWatch:
    """A tick of one process."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._off: timedelta | None = None
        self._looked: datetime | None = None

    def __call__(self) -> None:
        """Raise the alarm of this process, or end it and let go on what waited."""
        ctx, off, before = self._ctx, self._ctx.clock_off(), self._off
        now = ctx.clock()
        system = ctx.database.system("clock")
        if off is not None:
            self._off = off if before is None else max(before, off)
            seconds = f"{off.total_seconds():+.0f}"
            facts = {"process": ctx.executor, "seconds": seconds}
            system.run(Store.BOOKS, lambda tx: raise_alarm(tx, HOUSE, KIND, ctx.executor, now, facts))
            return
        if before is None and self._looked is not None and timedelta(0) <= now - self._looked < _SILENT:
            return
        if system.run(Store.BOOKS, self._calm) or before is not None:
            # What waits for its number; and what a clock that was ahead put off before anybody knew.
            until = now + timedelta(seconds=AGAIN) + max(timedelta(0), before or timedelta(0))
            system.run(Store.INBOX, lambda tx: inbox.bring_forward(tx, now, until))
            ctx.wake("dispatch")
        self._off, self._looked = None, now

    def _calm(self, tx: Transaction) -> bool:
        """End our alarm, and those of processes that say nothing any more; whether there were any."""
        now = self._ctx.clock()
        over = [
            one.subject
            for one in open_alarms(tx, HOUSE)
            if one.kind == KIND and (one.subject == self._ctx.executor or now - one.last_seen > _SILENT)
        ]
        for subject in over:
            end_alarm(tx, HOUSE, KIND, subject, now)
        return bool(over)
