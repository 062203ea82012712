"""What the page "Given up" shows: what failed until its last attempt, what still keeps failing, and what was done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, books, deadletters
from ladenbuch.audit import Entry
from ladenbuch.db import Database, Door, Store, Transaction
from ladenbuch.deadletters import DeadLetter, State, Which
from ladenbuch.domain import failures
from ladenbuch.errors import UsageError
from ladenbuch.workflows.redriving import id_of, named


@dataclass(frozen=True)
class Failure:
    """One of its last failures."""

    at: datetime
    code: str
    message: str
    trace: str | None


@dataclass(frozen=True)
class Given:
    """One that gave up, or keeps failing. `name`: of the order, where it was ever read; `done`: what people did."""

    letter: DeadLetter
    name: str | None = None
    done: Sequence[Entry] = ()

    @property
    def id(self) -> str:
        """As the command line names it."""
        return id_of(self.letter)

    @property
    def typed(self) -> str:
        """The same, safe in a shell."""
        return shlex.quote(self.id)

    @property
    def hopeless(self) -> bool:
        """Whether the same call again cannot help: then something must be mended first."""
        return failures.known(self.letter.code).verdict == "never"

    @property
    def failures(self) -> Sequence[Failure]:
        """The last ones, newest first."""
        told: Sequence[Mapping[str, Any]] = self.letter.detail.get("failures", [])
        found = [
            Failure(datetime.fromisoformat(item["at"]), item["code"], item["message"], item.get("trace"))
            for item in told
        ]
        return found[::-1]

    @property
    def next(self) -> datetime | None:
        """When it is tried again, where it is."""
        at = self.letter.detail.get("next")
        return None if at is None else datetime.fromisoformat(at)


class GivenUp:
    """The reads of the page. `tenant` None means every shop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _door(self, tenant: str | None) -> Door:
        return self._database.system("dashboard") if tenant is None else self._database.tenant(tenant)

    def counts(self, tenant: str | None) -> Mapping[State, int]:
        """How many are in each state."""

        def read(tx: Transaction) -> dict[State, int]:
            return {one: sum(deadletters.count(tx, Which(tenant, state=one)).values()) for one in deadletters.STATES}

        return self._door(tenant).read(Store.BOOKS, read)

    def rows(self, tenant: str | None, state: State, skip: int, limit: int) -> list[Given]:
        """Newest first."""

        def read(tx: Transaction) -> list[Given]:
            found = deadletters.find(tx, Which(tenant, state=state), limit, skip)
            names = _names(tx, found)
            return [Given(one, names.get((one.tenant, one.subject))) for one in found]

        return self._door(tenant).read(Store.BOOKS, read)

    def one(self, tenant: str | None, id: str) -> Given | None:
        """One with what people did about it; None where there is none of that id, or one in several shops."""
        try:
            letter = named(self._database, id, tenant)
        except UsageError:
            return None

        def read(tx: Transaction) -> Given:
            told = audit.entries(tx, letter.tenant, letter.subject, 50)
            done = [entry for entry in told if entry.event.startswith("gave-up")]
            return Given(letter, _names(tx, [letter]).get((letter.tenant, letter.subject)), done[::-1])

        return self._database.tenant(letter.tenant).read(Store.BOOKS, read)


def _names(tx: Transaction, found: Sequence[DeadLetter]) -> dict[tuple[str, str], str]:
    """What the orders among them are called."""
    wanted = [one for one in found if one.kind == "order"]
    if not wanted:
        return {}
    table = books.orders
    owners, ids = {one.tenant for one in wanted}, {one.subject for one in wanted}
    query = sa.select(table.c.tenant, table.c.order_id, table.c.name).where(
        table.c.tenant.in_(owners), table.c.order_id.in_(ids)
    )
    return {(row.tenant, row.order_id): row.name for row in tx.execute(query)}
