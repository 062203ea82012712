"""The table `events`: each webhook delivery once per tenant, its body sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Protocol

import msgspec
import sqlalchemy as sa

from ladenbuch.db import Store, Transaction, from_micros, inbox_metadata, to_micros
from ladenbuch.inbox.arrays import array_text
from ladenbuch.inbox.marks import order_marks, poll_cursors
from ladenbuch.sealed import SealedColumn

events = sa.Table(
    "events",
    inbox_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("api_version", sa.Text),
    sa.Column("triggered_at", sa.BigInteger),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("ix_events_order", "tenant", "order_id"),
    sa.Index("ix_events_received_at", "received_at"),
)


class Sealed(Protocol):
    """What the vault makes of a body: ciphertext, and which key opens it."""

    @property
    def key_id(self) -> str: ...
    @property
    def ciphertext(self) -> bytes: ...


class Sealer(Protocol):
    """The part of the vault that is needed here; the vault itself is a sibling."""

    def seal(self, tenant: str, purpose: str, row: str, plaintext: bytes, subject: str | None = None, /) -> Sealed: ...


BODY_PURPOSE = "inbox.body"
"""The purpose under which bodies are sealed, for those who open them again."""

BODIES = SealedColumn(
    Store.INBOX,
    events,
    "body",
    lambda row: BODY_PURPOSE,
    lambda row: str(row.order_id or row.webhook_id),
    uses=("order_id",),
)

_HEARD = "event:"


class Heard(msgspec.Struct, frozen=True):
    """A delivery as it was kept, body sealed."""

    topic: str
    shop: str
    received_at: datetime
    triggered_at: datetime | None
    key_id: str
    body: bytes


def mark_of(webhook_id: str) -> str:
    """The mark of a delivery that is not about an order."""
    return f"{_HEARD}{webhook_id}"


def heard_in(mark: str) -> str | None:
    """The webhook id of such a mark; None for the mark of an order."""
    return mark.removeprefix(_HEARD) if mark.startswith(_HEARD) else None


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One verified webhook delivery, body in the clear. `order_id` is a gid, None when no order is concerned.

    `acted_on`: no order, but something is to be done because of it; its mark is `mark_of(webhook_id)`.
    Its repr does not show the body.
    """

    tenant: str
    webhook_id: str
    topic: str
    shop: str
    received_at: datetime
    body: bytes
    order_id: str | None = None
    event_id: str | None = None
    api_version: str | None = None
    triggered_at: datetime | None = None
    acted_on: bool = False

    def __repr__(self) -> str:
        return f"Delivery({self.tenant}, {self.webhook_id}, {self.topic}, {self.order_id})"

    @property
    def mark(self) -> str | None:
        """What the mark of this delivery is about: an order's gid, the delivery itself, or None for no mark."""
        return mark_of(self.webhook_id) if self.order_id is None and self.acted_on else self.order_id

    def sealed_by(self, vault: Sealer) -> Sealed:
        """The body, sealed for its order; one that concerns no order, for itself alone."""
        return vault.seal(self.tenant, BODY_PURPOSE, self.webhook_id, self.body, self.order_id or self.webhook_id)

    def row(self, sealed: Sealed) -> tuple[object, ...]:
        """The values of one row of `events`, in the order of its columns."""
        triggered = None if self.triggered_at is None else to_micros(self.triggered_at)
        return (
            self.tenant,
            self.webhook_id,
            self.event_id,
            self.topic,
            self.order_id,
            self.shop,
            self.api_version,
            triggered,
            to_micros(self.received_at),
            sealed.key_id,
            sealed.ciphertext,
        )


def record(tx: Transaction, event: Delivery, sealed: Sealed) -> bool:
    """Keep one delivery; False when this tenant already had this webhook id, and then nothing was changed."""
    return record_all(tx, [event.row(sealed)])[0]


def record_all(tx: Transaction, rows: Sequence[tuple[object, ...]]) -> list[bool]:
    """`record` for many `Delivery.row`s, in order; of two equal ones the first is the new one."""
    if tx.dialect.name == "sqlite":
        # The driver's cursor: SQLAlchemy's own path costs more per row than SQLite does.
        execute = tx.connection.cursor().execute
        return [execute(_RECORD_SQLITE, row).rowcount == 1 for row in rows]
    *columns, bodies = (list(values) for values in zip(*rows, strict=True))
    lengths = [len(body) for body in bodies]
    starts = list(accumulate(lengths, initial=1))[:-1]
    parameters = (b"".join(bodies), *map(array_text, [*columns, starts, lengths]))
    new = {tuple(key) for key in tx.exec_driver_sql(_RECORD_POSTGRESQL, parameters)}
    answers = []
    for row in rows:
        answers.append(row[:2] in new)
        new.discard(row[:2])
    return answers


_COLUMNS = ", ".join(column.name for column in events.columns)
_RECORD_SQLITE = (
    f"INSERT INTO events ({_COLUMNS}) VALUES ({', '.join('?' * len(events.columns))}) ON CONFLICT DO NOTHING"
)
_ARRAYS = ", ".join(
    f"%s::{'bigint' if isinstance(column.type, sa.BigInteger) else 'text'}[]" for column in events.columns[:-1]
)
_WITHOUT_BODY = ", ".join(column.name for column in events.columns[:-1])
# All bodies travel as one binary value (an array of bytea is escaped and parsed byte by byte), and are cut apart
# by the server. Sorted, so that two writers meeting the same new keys wait for each other instead of deadlocking.
_RECORD_POSTGRESQL = (
    f"WITH all_bodies AS (SELECT %b::bytea AS bodies) INSERT INTO events ({_COLUMNS}) "
    f"SELECT {_WITHOUT_BODY}, substring(bodies FROM start FOR size) "
    f"FROM all_bodies, unnest({_ARRAYS}, %s::int[], %s::int[]) AS heard({_WITHOUT_BODY}, start, size) "
    "ORDER BY tenant, webhook_id ON CONFLICT DO NOTHING RETURNING tenant, webhook_id"
)


def history(tx: Transaction, tenant: str, order_id: str) -> list[sa.RowMapping]:
    """The deliveries about one order in the order they came, without their bodies."""
    columns = [column for column in events.columns if column.name not in ("body", "key_id")]
    query = sa.select(*columns).where(events.c.tenant == tenant, events.c.order_id == order_id)
    return list(tx.execute(query.order_by(events.c.received_at, events.c.webhook_id)).mappings())


def heard(tx: Transaction, tenant: str, webhook_id: str) -> Heard | None:
    """One delivery with its sealed body, or None when it was pruned or never came."""
    query = sa.select(events).where(events.c.tenant == tenant, events.c.webhook_id == webhook_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    triggered = None if row.triggered_at is None else from_micros(row.triggered_at)
    return Heard(row.topic, row.shop, from_micros(row.received_at), triggered, row.key_id, row.body)


def told_since(tx: Transaction, tenant: str, order_id: str, since: datetime, limit: int = 20) -> list[str]:
    """The webhook ids of the deliveries about one order that were received since an instant, oldest first."""
    mine = (events.c.tenant == tenant, events.c.order_id == order_id, events.c.received_at >= to_micros(since))
    query = sa.select(events.c.webhook_id).where(*mine).order_by(events.c.received_at, events.c.webhook_id)
    return list(tx.execute(query.limit(limit)).scalars())


def bodies(tx: Transaction, tenant: str, order_id: str, topic: str) -> list[tuple[str, str, bytes]]:
    """The sealed bodies of one topic about one order, in the order they came: webhook id, key id, ciphertext."""
    query = sa.select(events.c.webhook_id, events.c.key_id, events.c.body).where(
        events.c.tenant == tenant, events.c.order_id == order_id, events.c.topic == topic
    )
    rows = tx.execute(query.order_by(events.c.received_at, events.c.webhook_id))
    return [(row.webhook_id, row.key_id, row.body) for row in rows]


def prune(tx: Transaction, before: datetime) -> int:
    """Forget deliveries received before that instant; keep it well above Shopify's retry window of hours.

    Marks stay: they are small, and their run numbers must not begin again. Returns how many events went.
    """
    return int(tx.execute(sa.delete(events).where(events.c.received_at < to_micros(before))).rowcount)


def erase(tx: Transaction, tenant: str, order_ids: Collection[str], webhook_ids: Collection[str] = ()) -> int:
    """Forget what was heard about these orders, and these deliveries; how many that were. Marks stay."""
    gone = sa.or_(events.c.order_id.in_(list(order_ids)), events.c.webhook_id.in_(list(webhook_ids)))
    return int(tx.execute(sa.delete(events).where(events.c.tenant == tenant, gone)).rowcount)


def erase_before(tx: Transaction, tenant: str, before: datetime) -> int:
    """Forget what was received before that instant, except what still has to be acted on; how many that were."""
    mark = sa.literal(_HEARD).concat(events.c.webhook_id)
    waiting = sa.select(order_marks.c.order_id).where(
        order_marks.c.tenant == tenant, order_marks.c.order_id == mark, order_marks.c.wanted > order_marks.c.settled
    )
    old = (events.c.tenant == tenant) & (events.c.received_at < to_micros(before))
    return int(tx.execute(sa.delete(events).where(old, ~waiting.exists())).rowcount)


def erase_all(tx: Transaction, tenant: str) -> int:
    """A tenant leaves: everything it was told is deleted, and how far its polls have seen; marks stay."""
    tx.execute(sa.delete(poll_cursors).where(poll_cursors.c.tenant == tenant))
    return int(tx.execute(sa.delete(events).where(events.c.tenant == tenant)).rowcount)


def heard_orders(tx: Transaction, tenant: str) -> list[str]:
    """The orders somebody told us of, as far as it is remembered."""
    query = sa.select(events.c.order_id).where(events.c.tenant == tenant, events.c.order_id.is_not(None)).distinct()
    return list(tx.execute(query.order_by(events.c.order_id)).scalars())


def newest_bodies(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> list[tuple[str, str, str, bytes]]:
    """The sealed bodies of what was heard about these orders: order, webhook id, key id, ciphertext; newest first."""
    query = sa.select(events.c.order_id, events.c.webhook_id, events.c.key_id, events.c.body).where(
        events.c.tenant == tenant, events.c.order_id.in_(list(order_ids))
    )
    rows = tx.execute(query.order_by(events.c.received_at.desc(), events.c.webhook_id))
    return [(row.order_id, row.webhook_id, row.key_id, row.body) for row in rows]
