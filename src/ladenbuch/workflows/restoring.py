"""What follows once a backup was put back: nothing goes out twice, and what was done since is found again.

    fences    no run of before may write any more, and every claim is given back
    letters   what the backup held as promised may have gone out since: a person is asked, order by order
    orders    what was unfinished then is wanted, and the poll goes back to a day before the copy
    erased    orders whose key was forgotten since are erased again
    chain     the audit log says that it goes on from a restore

From then on the tenant's books carry `restored_at`: an order from before it is looked for in sevdesk, action by action,
before anything of it is written (`taking_back`). Where only the inbox was lost the books are whole, and letters stay as
they are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ladenbuch import audit, books, inbox, outbox, privacy, tenants
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.errors import LadenbuchError, Rejected, UsageError
from ladenbuch.vault.data_keys import data_keys, replace_all, subject_keys
from ladenbuch.workflows import redaction
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.poll import CURSOR

#: How far before the copy the poll begins again: what was told before it may have been settled after it.
_BACK = timedelta(days=1)
_PAGE = 500
#: By whom an order is said to be erased again.
_BY = "restored"


@dataclass(slots=True)
class Restored:
    """What was done for one tenant. `needs`: the codes of connections that are not what the backup held."""

    tenant: str
    wanted: int = 0
    letters: int = 0
    erased: int = 0
    needs: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "tenant": self.tenant,
            "orders_wanted": self.wanted,
            "letters_held": self.letters,
            "erased_again": self.erased,
            "needs": self.needs,
        }


@dataclass(frozen=True, slots=True)
class Lost:
    """What was put back: when each store was copied, None for one that is no copy. `empty`: the inbox is new."""

    books: datetime | None
    inbox: datetime | None
    empty: bool = False

    def __bool__(self) -> bool:
        return self.books is not None or self.inbox is not None or self.empty


def lost(database: Database) -> Lost:
    """What the stores say of themselves: copies of `ladenbuch backup` carry their instant, and a new inbox beside books
    that were at work has never polled."""

    def read_books(tx: Transaction) -> list[str]:
        return [one.id for one in tenants.all(tx) if one.state == "active" and books.known_orders(tx, one.id, "", 1)]

    system = database.system("start")
    known = system.read(Store.BOOKS, read_books)
    never = system.read(
        Store.INBOX,
        lambda tx: all(
            inbox.cursor(tx, one, CURSOR) is None and not inbox.marked_orders(tx, one, "", 1) for one in known
        ),
    )
    return Lost(database.copied_at(Store.BOOKS), database.copied_at(Store.INBOX), bool(known) and never)


def note_stand(database: Database, file: Path) -> None:
    """How far the audit chains are, in a file beside the stores, so that older books are noticed at the next start."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(database.system("start").read(Store.BOOKS, audit.lengths)))
    part.replace(file)


def _behind(database: Database, file: Path) -> bool:
    try:
        stood = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    now = database.system("start").read(Store.BOOKS, audit.lengths)
    return any(tenant in now and now[tenant] < length for tenant, length in stood.items())


def refuse_copy(database: Database, stand: Path | None = None) -> None:
    """Raises UsageError("RESTORED") for stores that were put back and of which nobody has said so yet.

    `stand`: the file of `note_stand`, for copies that other tools have made.
    """
    found = lost(database)
    if found.books is not None or found.inbox is not None:
        at = min(filter(None, (found.books, found.inbox)))
        raise UsageError("RESTORED", f"the stores are a backup of {at.isoformat()}: run `ladenbuch restored` first")
    if found.empty:
        raise UsageError("RESTORED", "the inbox is empty and the books are not: run `ladenbuch restored` first")
    if stand is not None and _behind(database, stand):
        message = (
            "the books are older than they were: run `ladenbuch restored --taken-at` with the instant of their copy"
        )
        raise UsageError("RESTORED", message)


def put_keys(database: Database, file: Path) -> int:
    """Put the keys of a copy in the place of those in the books; how many there are. Raises UsageError("BACKUP")."""
    names = (data_keys.name, subject_keys.name)
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
            copy.row_factory = sqlite3.Row
            rows = {name: [dict(row) for row in copy.execute(f"SELECT * FROM {name}")] for name in names}
    except sqlite3.Error as error:
        raise UsageError("BACKUP", f"{file} holds no keys: {error}") from None
    database.system("operator").run(Store.BOOKS, lambda tx: replace_all(tx, rows))
    return len(rows[data_keys.name])


def restored(
    ctx: Context, found: Lost, *, connected: Callable[[str], Iterable[str]] = lambda tenant: ()
) -> list[Restored]:
    """Bring every tenant on from what was put back; the files are then no copies any more. Repeatable after a kill.

    `connected` says by codes what a tenant's connections lack. Raises Rejected("VAULT-FORGOTTEN") where the keys do not
    fit the books: nothing was done then.
    """
    now = ctx.clock()
    owners = ctx.database.system("operator").read(Store.BOOKS, tenants.all)
    mine = [owner for owner in owners if owner.state != "redacted"]
    for owner in mine:
        _fits(ctx, owner)
    ctx.database.system("operator").run(Store.INBOX, lambda tx: inbox.release_stale(tx, now + _BACK, now))
    done = [_bring_on(ctx, owner, found, now) for owner in mine]
    ctx.database.no_copy()
    for one, owner in zip(done, mine, strict=True):
        if owner.state == "active":
            one.needs += connected(owner.id)
    return done


def _fits(ctx: Context, owner: tenants.Tenant) -> None:
    """That the tenant's secrets open; one that was erased whole since the copy is told apart by its name."""

    def read(tx: Transaction) -> None:
        for name in ctx.vault.secret_names(tx, owner.id):
            ctx.vault.get_secret(tx, owner.id, name)

    try:
        ctx.door(owner.id).read(Store.BOOKS, read)
    except Rejected as error:
        if error.code != "VAULT-FORGOTTEN":
            raise
        message = (
            f"the secrets of {owner.id} do not open: give the newest copy of the keys with --keys; where that was it, "
            f"the tenant was erased since, or its data keys were renewed"
        )
        raise Rejected("VAULT-FORGOTTEN", message) from None


def _bring_on(ctx: Context, owner: tenants.Tenant, found: Lost, now: datetime) -> Restored:
    tenant, door = owner.id, ctx.door(owner.id)
    done = Restored(tenant)
    again = _forgotten(ctx, tenant)
    if again:
        done.erased = redaction.erase(ctx, tenant, again, "", by=_BY).orders

    def write(tx: Transaction) -> set[str]:
        books.drop_fences(tx, tenant)
        books.drop_leases_of(tx, tenant)
        held = outbox.take_back(tx, tenant) if found.books is not None else {}
        books.unpromise(tx, tenant, list(held))
        done.letters = len(held)
        if found.books is not None:
            tenants.restored(tx, tenant, now)
        what = "books" if found.books is not None else "inbox"
        copied = found.books or found.inbox
        of = "was lost" if copied is None else f"was put back from the backup of {copied.isoformat()}"
        sentence = f"The chain goes on from a restore: the {what} {of}; {len(held)} letters are held."
        audit.append(tx, tenant, now, actor="operator", event="restored", subject=tenant, sentence=sentence)
        return {
            *(order for order in held.values() if order),
            *books.unconfirmed(tx, tenant),
            *books.unfinished(tx, tenant),
        }

    wanted = door.run(Store.BOOKS, write)
    if found.books is not None:
        wanted |= set(_heard_only(ctx, tenant))
    copied = min((at for at in (found.books, found.inbox) if at is not None), default=None)

    def want(tx: Transaction) -> None:
        inbox.want_all(tx, [(tenant, order) for order in wanted], now)
        known = inbox.cursor(tx, tenant, CURSOR)
        if known is not None and copied is not None:
            back = min(datetime.fromisoformat(known), copied - _BACK)
            inbox.set_cursor(tx, tenant, CURSOR, max(back, owner.cut_off).isoformat())

    door.run(Store.INBOX, want)
    done.wanted = len(wanted)
    return done


def _heard_only(ctx: Context, tenant: str) -> Iterator[str]:
    """Orders the inbox knows and the books do not: settled after the copy, or never."""
    door, after = ctx.door(tenant), ""
    settled = set(_all(lambda last: door.read(Store.BOOKS, lambda tx: books.known_orders(tx, tenant, last, _PAGE))))
    while page := door.read(Store.INBOX, lambda tx, after=after: inbox.marked_orders(tx, tenant, after, _PAGE)):  # type: ignore[misc]
        yield from (one for one in page if one not in settled)
        after = page[-1]


def _all(page_after: Callable[[str], list[str]]) -> Iterator[str]:
    after = ""
    while page := page_after(after):
        yield from page
        after = page[-1]


def _forgotten(ctx: Context, tenant: str) -> list[str]:
    """Orders we know whose key was forgotten and of which the books do not say so: erased after the copy."""
    door = ctx.door(tenant)

    def known(tx: Transaction, after: str) -> list[str]:
        return books.known_orders(tx, tenant, after, _PAGE)

    def heard(after: str) -> list[str]:
        return door.read(Store.INBOX, lambda tx: inbox.marked_orders(tx, tenant, after, _PAGE))

    orders = {*_all(lambda after: door.read(Store.BOOKS, lambda tx: known(tx, after))), *_all(heard)}
    said = set(door.read(Store.BOOKS, lambda tx: privacy.redacted_orders(tx, tenant)))
    return ctx.vault.forgotten(tenant, sorted(orders - said))


def connections(ctx: Context, tenant: str) -> Mapping[str, str]:
    """What the tenant's connections answer now, by side: OK or a code. Tokens renewed since the copy are refused."""
    found: dict[str, str] = {}
    for side, look in (
        ("shopify", lambda: ctx.shopify(tenant).installation()),
        ("sevdesk", lambda: ctx.sevdesk(tenant).check_accounts()),
    ):
        try:
            look()
            found[side] = "OK"
        except LadenbuchError as error:
            found[side] = error.code
    return found
