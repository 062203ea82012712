"""`keys rotate`: everything under the first root key and the newest data key, while writers go on.

    wrap       each tenant's data keys with the first root key: one small row per tenant
    renew      on request, a new data key per tenant; within seconds everybody seals with it
    seal anew  every row that hangs on anything else, a page at a time; a row written meanwhile is newer, and left
    retire     the data keys nothing hangs on any more

Nothing of it is remembered outside the rows themselves: after a kill the same command goes on where it stopped. What
was forgotten cannot be opened, so it stays as it is and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, books, evidence, inbox, outbox, privacy, tenants, vault
from ladenbuch.db import Database, Sealed, Store, Transaction
from ladenbuch.errors import Rejected
from ladenbuch.sealed import SealedColumn
from ladenbuch.vault import Vault

#: Every column of ciphertext; a test holds this against the tables.
COLUMNS: tuple[SealedColumn, ...] = (
    vault.SECRETS,
    books.PINS,
    books.SNAPSHOTS,
    outbox.PAYLOADS,
    evidence.NAMES,
    inbox.BODIES,
    privacy.ANSWERS,
)
_LISTED = 20  # rows that do not open
#: Seconds after which whatever was sealed with a data key that is no longer the newest is on disk, or never will be:
#: a process may seal with it for `vault.AGE`, and then wait for its turn to write.
SETTLED = 60.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that does not open although nobody forgot it."""

    tenant: str
    column: str
    row: str
    code: str


@dataclass(slots=True)
class Rotated:
    """What was done.

    `data_keys` were wrapped anew, `renewed` begun, `retired` dropped; `rows` were sealed anew, `forgotten` left as they
    are because nobody can open them, `overtaken` because somebody had just written them. `unreadable` counts all of
    these, `listed` names the first ones. `needed` says how much still hangs on which root key but the first.
    """

    tenants: int = 0
    data_keys: int = 0
    renewed: int = 0
    retired: int = 0
    rows: int = 0
    forgotten: int = 0
    overtaken: int = 0
    unreadable: int = 0
    listed: list[Unreadable] = field(default_factory=list)
    needed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Tenant:
    """How far one tenant is; the last two count the last pass over its rows."""

    id: str
    wrapped: int = 0
    renewed: bool = False
    rows: int = 0
    forgotten: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One run of it. `renew`: with new data keys; `step` is called for every row looked at."""

    database: Database
    keys: Vault
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    tenant: str | None = None
    renew: bool = False
    step: Callable[[], None] = lambda: None
    done: Rotated = field(default_factory=Rotated)

    def total(self) -> int:
        """How many rows `run` will look at, if nobody writes."""
        return sum(self._older(owner, all_of_them=self._renews(owner)) for owner in self._owners())

    def run(self) -> Rotated:
        """Rotate. Raises what the stores raise, and Rejected("VAULT-KEY") when LADENBUCH_KEYS lacks a key in use."""
        begun = [self._begin(owner) for owner in self._owners()]
        for one in begun:
            self._seal_anew(one, self.step)
        unfinished = [one for one in begun if self._older_keys(one.id)]
        if unfinished:
            self.sleep(SETTLED)
        for one in begun:
            self._finish(one, again=one in unfinished)
        self.done.needed = self._needed()
        return self.done

    def _owners(self) -> Sequence[str]:
        if self.tenant is not None:
            return [self.tenant]

        def read(tx: Transaction) -> set[str]:
            keyed = tx.execute(sa.select(vault.data_keys.c.tenant)).scalars()
            return {item.id for item in tenants.all(tx)} | set(keyed)

        return sorted(self.database.system("keys rotate").read(Store.BOOKS, read))

    def _older_keys(self, tenant: str) -> list[str]:
        return self.database.tenant(tenant).read(Store.BOOKS, lambda tx: self.keys.older(tx, tenant))

    def _renews(self, tenant: str) -> bool:
        # A rotation that was killed has left an older key behind: that one is finished, not another one begun.
        return self.renew and not self._older_keys(tenant)

    def _older(self, tenant: str, *, all_of_them: bool = False) -> int:
        door, newest = self.database.tenant(tenant), self.keys.newest(tenant)

        def count(column: SealedColumn) -> int:
            return door.read(column.store, lambda tx: column.count(tx, tenant, None if all_of_them else newest))

        return sum(map(count, COLUMNS))

    def _begin(self, tenant: str) -> _Tenant:
        one = _Tenant(tenant, renewed=self._renews(tenant) and self.keys.newest(tenant) is not None)
        first = self.keys.newest(tenant) is None and self._older(tenant) > 0

        def begin(tx: Transaction) -> int:
            if one.renewed or first:
                self.keys.renew(tx, tenant)
            return self.keys.rewrap(tx, tenant)

        one.wrapped = self.database.tenant(tenant).run(Store.BOOKS, begin)
        return one

    def _seal_anew(self, one: _Tenant, step: Callable[[], None]) -> None:
        one.forgotten, one.unreadable = 0, []
        newest = self.keys.newest(one.id)
        for column in COLUMNS:
            self._column(one, column, newest, step)

    def _column(self, one: _Tenant, column: SealedColumn, newest: str | None, step: Callable[[], None]) -> None:
        door = self.database.tenant(one.id)
        after: tuple[object, ...] = ()
        while rows := door.read(column.store, partial(column.older, tenant=one.id, newest=newest, after=after)):
            fresh: list[tuple[Any, Sealed]] = []
            for row in rows:
                step()
                sealed = self._anew(one, column, row)
                if sealed is not None:
                    fresh.append((row, sealed))
            replaced = door.run(column.store, partial(_replace, column, one.id, fresh)) if fresh else 0
            self.done.overtaken += len(fresh) - replaced
            one.rows += replaced
            after = column.key(rows[-1])

    def _anew(self, one: _Tenant, column: SealedColumn, row: Any) -> Sealed | None:
        name = column.row_id(row)
        try:
            return self.keys.reseal(one.id, column.purpose(row), name, column.sealed(row), column.subject(row))
        except Rejected as refusal:
            if refusal.code == "VAULT-FORGOTTEN":
                one.forgotten += 1
            else:
                one.unreadable.append(Unreadable(one.id, column.name, name, refusal.code))
            return None

    def _finish(self, one: _Tenant, *, again: bool) -> None:
        done, door = self.done, self.database.tenant(one.id)
        if again:
            self._seal_anew(one, lambda: None)
        retired = again and not one.unreadable

        def finish(tx: Transaction) -> int:
            dropped = self.keys.retire(tx, one.id) if retired else 0
            if one.wrapped or one.renewed or one.rows or dropped:
                sentence = (
                    f"{one.wrapped} data keys were wrapped with {self.keys.root}, {one.rows} rows sealed anew, "
                    f"{dropped} data keys dropped."
                )
                audit.append(
                    tx,
                    one.id,
                    self.clock(),
                    actor="operator",
                    event="keys.rotated",
                    subject=one.id,
                    sentence=sentence,
                )
            return dropped

        done.retired += door.run(Store.BOOKS, finish)
        done.tenants += 1
        done.data_keys += one.wrapped
        done.renewed += one.renewed
        done.rows += one.rows
        done.forgotten += one.forgotten
        done.unreadable += len(one.unreadable)
        done.listed += one.unreadable[: _LISTED - len(done.listed)]

    def _needed(self) -> dict[str, int]:
        """How many data keys and rows hang on each root key but the first one: these must stay in LADENBUCH_KEYS."""
        system = self.database.system("keys rotate")
        needed = system.read(Store.BOOKS, self.keys.wrapped_by)
        for column in COLUMNS:
            for key_id, number in system.read(column.store, column.by_key):
                if not vault.is_data_key(key_id):
                    needed[key_id] = needed.get(key_id, 0) + number
        return {key_id: number for key_id, number in needed.items() if key_id != self.keys.root}


def before_data_keys(database: Database, tenant: str) -> int:
    """How many rows of a tenant hang on a root key itself: forgetting a subject does not reach their copies."""
    door = database.tenant(tenant)
    return sum(door.read(column.store, partial(column.by_root, tenant=tenant)) for column in COLUMNS)


def _replace(column: SealedColumn, tenant: str, fresh: Sequence[tuple[Any, Sealed]], tx: Transaction) -> int:
    return sum(column.replace(tx, tenant, row, sealed) for row, sealed in fresh)
