"""A shop's day, the backup of its noon put back in the evening, and what is there in the end (issue line 9).

    python tests/restore_world.py [SEED] [ORDERS] [HOURS] ["both"|"books"|"inbox"|"no inbox"]

One thread under virtual time, as ring 1, in fair weather: orders, edits, refunds and letters until the backup, then as
much again, a process that dies, both stores (or one of them) put back, the shop going on all the while. Counted is what
stands in sevdesk before and after, by natural keys, and what the independent auditor says of the whole day.
"""

from __future__ import annotations

import heapq
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from chaos.simulation import MortalDatabase, Simulation
from ladenbuch import books
from ladenbuch.db import Store
from ladenbuch.simulators.auditor import AuditReport
from ladenbuch.workflows.backup import Backup, back_up
from ladenbuch.workflows.recovering import SEND, SENT
from ladenbuch.workflows.resolving import resolve
from ladenbuch.workflows.restoring import lost, put_keys, restored

TENANT = "chaos"
#: How long nobody serves: the old process is dead, the operator is at work.
_DOWN = timedelta(minutes=10)


@dataclass
class RestoredDay(Simulation):
    """A history whose stores are put back once: `which`, and in which parts of the span it was copied and put back."""

    which: Literal["both", "books", "inbox", "no inbox"] = "both"
    backup_at: float = 0.1
    restore_at: float = 0.5
    figures: dict[str, Any] = field(default_factory=dict)
    by_hand: list[str] = field(default_factory=list)

    def run(self) -> AuditReport:
        self.crash_rate, self.others = 0.0, {}
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self._build(Path(folder) / "data")
            try:
                self._work()
                self._until(self.start + self.span * self.backup_at)
                made = back_up(Path(folder) / "data", Path(folder) / "backups", self.clock.now)
                at_backup = self._held()
                self._until(self.start + self.span * self.restore_at)
                self._down()
                before = self._held()
                self._put_back(Path(folder) / "data", made)
                self._work()
                self._until(self.start + self.span)
                idle = self._rest()
                self.report = self._audit()
                if not idle:
                    self.report.findings.append("orders are still wanted, or held, hours after the last event")
                after = self._held()
                doubled = sum(
                    count - max(before[key], 1) for key, count in after.items() if count > max(before[key], 1)
                )
                self.figures |= {
                    "posted_at_backup": sum(at_backup.values()),
                    "posted_since": sum((before - at_backup).values()),
                    "again": sum(
                        count - before[key] for key, count in after.items() if before[key] and count > before[key]
                    ),
                    "doubled": doubled,
                    "posted_later": sum((after - before).values()),
                    "letters_asked": len(self._uncertain()),
                }
                self._answer_letters()
                self._rest()
                report = self._audit()
                self.figures |= {
                    "letters_doubled": sum(n - 1 for n in self._letters().values() if n > 1),
                    "duplicates": report.duplicates,
                    "missing": report.missing,
                    "cent_deviation": report.cent_deviation,
                    "findings": sorted({*self.report.findings, *report.findings}),
                    "letters_by_hand": len(self.by_hand),
                    "questions": dict(Counter(self._questions())),
                }
            finally:
                self.database.close()
        return self.report

    @property
    def held(self) -> bool:
        """Whether nothing was posted or mailed again and the auditor is content; and there was something to do."""
        wrong = ("again", "doubled", "letters_doubled", "duplicates", "missing", "cent_deviation")
        return (
            not any(self.figures[one] for one in wrong)
            and not self.figures["findings"]
            and self.figures["posted_since"] > 0
        )

    # -- the process --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        self._open()
        self.house.work(self.engine)

    def _until(self, end: Any) -> None:
        while self.clock.now() < end:
            self._turn()

    def _rest(self) -> bool:
        deadline, quiet = self.clock.now() + timedelta(hours=6), 0
        while self.clock.now() < deadline and quiet < 20:
            self._turn()
            quiet = quiet + 1 if self._idle() else 0
        return quiet >= 20

    def _down(self) -> None:
        """The process is dead: what it had sent still lands, the shop goes on, webhooks meet nobody."""
        until = self.clock.now() + _DOWN
        while self.clock.now() < until:
            now = min(until, self.clock.now() + timedelta(seconds=30))
            timers = self.engine._timers
            while timers and timers[0][0] <= now:
                instant, _, land = heapq.heappop(timers)
                self.clock.advance_to(instant)
                land()
            self.clock.advance_to(now)
            self.shopify.advance(now)
            for delivery in self.shopify.due_deliveries(now):
                self.shopify.report(delivery.id, None, now)

    def _put_back(self, data: Path, made: Backup) -> None:
        """What an operator does: the files, the keys, `ladenbuch restored`."""
        self.database.close()
        stores = {"both": Store, "books": [Store.BOOKS], "inbox": [Store.INBOX], "no inbox": [Store.INBOX]}[self.which]
        for store in stores:
            for left in data.glob(f"{store}.db*"):
                left.unlink()
            if self.which != "no inbox":
                shutil.copy(made.folder / f"{store}.db", data / f"{store}.db")
        database = MortalDatabase.open(data_dir=data)
        assert isinstance(database, MortalDatabase)
        database.death = self.death
        for engine in database._engines.values():
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.database = database
        self.database.migrate()
        if Store.BOOKS in stores:
            put_keys(self.database, made.keys)
        self._open()
        found = lost(self.database)
        assert found, "a store that was put back is noticed"
        told = restored(self.house.context, found)
        self.figures |= {"wanted": told[0].wanted, "letters_held": told[0].letters}

    # -- looking ------------------------------------------------------------------------------------------------------

    def _held(self) -> Counter[str]:
        """What stands in sevdesk, by natural key: documents, lines of money, contacts."""
        state = self.sevdesk.state()
        found = [
            f"{row['kind']} {row.get('type')} {row['note']}" for row in (*state["invoices"], *state["credit_notes"])
        ]
        found += [
            f"line {row['purpose'].split(' order:')[0]}"
            for row in state["transactions"]
            if "SHPTX" in (row["purpose"] or "")
        ]
        found += [f"contact {row['customerNumber']}" for row in state["contacts"] if row["customerNumber"]]
        return Counter(found)

    def _letters(self) -> Counter[str]:
        return Counter(f"{', '.join(item.rcpt_tos)} {item.message['Subject']}" for item in self.mail.messages)

    def _questions(self) -> list[str]:
        asked = sa.select(books.attention.c.code)
        return list(self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(asked).scalars().all()))

    def _uncertain(self) -> list[str]:
        table, orders = books.attention, books.orders
        names = sa.select(orders.c.name).join(table, table.c.order_id == orders.c.order_id)
        names = names.where(table.c.code == "RESTORE-LETTER")
        asked = self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(names).scalars().all())
        return [*super()._uncertain(), *asked, *self.by_hand]

    def _name(self, order: str) -> str:
        query = sa.select(books.orders.c.name).where(books.orders.c.order_id == order)
        return str(self.database.tenant(TENANT).read(Store.BOOKS, lambda tx: tx.execute(query).scalar_one()))

    def _answer_letters(self) -> None:
        """A person looks into the relay's log, and answers."""
        door = self.database.tenant(TENANT)
        sent = "\n".join(str(item.message["Subject"]) for item in self.mail.messages)
        for _ in range(5):
            asked = door.read(Store.BOOKS, lambda tx: books.questions(tx, TENANT, code="RESTORE-LETTER"))
            if not asked:
                return
            for item in asked:
                numbers = door.read(Store.BOOKS, lambda tx, order=item.order_id: self._numbers(tx, order))
                unsent = [number for number in numbers if number and number not in sent]
                some = 0 < len(unsent) < len([number for number in numbers if number])
                if some:  # one answer for all: the rest is sent by hand
                    self.by_hand.append(self._name(item.order_id))
                answer = SEND if unsent and not some else SENT
                resolve(door, TENANT, item, answer, actor="a person", now=self.clock.now())
            self._rest()
            sent = "\n".join(str(item.message["Subject"]) for item in self.mail.messages)

    def _numbers(self, tx: Any, order: str) -> list[str]:
        query = sa.select(books.documents.c.number).where(books.documents.c.order_id == order)
        return list(tx.execute(query).scalars())


def main(arguments: list[str]) -> int:
    """Live one day, print one JSON object."""
    seed, orders, hours = (int(one) for one in (arguments + ["7", "200", "10"][len(arguments) :])[:3])
    which: Any = arguments[3] if len(arguments) > 3 else "both"
    begun = time.monotonic()
    day = RestoredDay(seed, orders=orders, span=timedelta(hours=hours), faults="calm", mix="wide", which=which)
    day.run()
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({"seed": seed, "orders": orders, "which": which, **day.figures, "seconds": seconds}))
    return 0 if day.held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
