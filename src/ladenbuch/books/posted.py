"""What was posted: documents with their pins and covers, money lines, bookings, and what others did to them.

Rows are added and advanced (intended -> draft -> final), never taken back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from ladenbuch.books.columns import _K, _KEY, _ORDER, _T, Seal
from ladenbuch.db import Statement, Store, Transaction, books_metadata, from_micros, insert_new, to_micros
from ladenbuch.domain.books import BESIDE, Booked, Hand, PostedDocument, PostedLine
from ladenbuch.domain.clearing import BookLine
from ladenbuch.domain.threshold import AT_HOME, EuSale, counted
from ladenbuch.sealed import SealedColumn, held

documents = sa.Table(
    "documents",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sevdesk_id", sa.String(64)),
    sa.Column("number", sa.String(64)),
    sa.Column("invoice_date", sa.String(10), nullable=False),
    sa.Column("gross", sa.BigInteger, nullable=False),
    sa.Column("sums", sa.Text, nullable=False),
    sa.Column("tax", sa.Text, nullable=False),
    sa.Column("tax_point", sa.BigInteger, nullable=False),
    sa.Column("profile_version", sa.Integer, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("pins", sa.LargeBinary, nullable=False),
    sa.Column("hash_posted", sa.String(64)),
    sa.Column("hash_seen", sa.String(64)),
    sa.Column("made_by", sa.String(16), nullable=False),
    sa.Column("finalised_at", sa.BigInteger),
    sa.Column("eu_net", sa.BigInteger),  # what it adds to the EU threshold (domain.threshold); NULL: nothing
    sa.Index("ix_documents_order", "tenant", "order_id"),
    sa.Index(
        "ix_documents_eu",
        "tenant",
        "tax_point",
        sqlite_where=sa.text("eu_net IS NOT NULL"),
        postgresql_where=sa.text("eu_net IS NOT NULL"),
    ),
)

#: What a document was decided on, its party included (P1-P11): kept as long as the document must be.
PINS = SealedColumn(
    Store.BOOKS, documents, "pins", lambda row: "pins", lambda row: held(str(row.order_id)), uses=("order_id",)
)

covers = sa.Table(
    "covers",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("fact_id", sa.String(128), primary_key=True),
    sa.Column("document_key", _KEY, nullable=False),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Index("ix_covers_order", "tenant", "order_id"),
)

money_lines = sa.Table(
    "money_lines",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("payment_id", sa.String(128), nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("value_date", sa.String(10), nullable=False),
    sa.Column("sevdesk_id", sa.String(64), nullable=False),
    sa.Index("ix_money_lines_order", "tenant", "order_id"),
    sa.Index("ix_money_lines_account", "tenant", "account", "value_date"),
)

bookings = sa.Table(
    "bookings",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("payment_id", sa.String(128), nullable=False),
    sa.Column("document_key", _KEY, nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("transaction_id", sa.String(64), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("booked_on", sa.String(10), nullable=False),
    sa.Column("paid_after", sa.BigInteger),
    sa.Column("booked_at", sa.BigInteger, nullable=False),
    sa.Index("ix_bookings_order", "tenant", "order_id"),
)

hands = sa.Table(
    "hands",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("document_key", _KEY, primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("sevdesk_id", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("seen", sa.Text, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    sa.Index("ix_hands_order", "tenant", "order_id"),
)

_COVER = Statement(sa.insert(covers))

_OF_DOCUMENT = sa.and_(documents.c.tenant == _T, documents.c.key == _K)

_DRAFTED = Statement(
    sa.update(documents)
    .where(_OF_DOCUMENT)
    .values(state="draft", sevdesk_id=sa.bindparam("id"), hash_posted=sa.bindparam("h"), hash_seen=sa.bindparam("h"))
)

_FINALISED = Statement(
    sa.update(documents)
    .where(_OF_DOCUMENT)
    .values(state="final", number=sa.bindparam("n"), finalised_at=sa.bindparam("at"))
)

_STATE = Statement(sa.select(documents.c.state).where(_OF_DOCUMENT))
_CANCELLED = Statement(sa.update(documents).where(_OF_DOCUMENT).values(state="cancelled"))

_EU_SALES = Statement(
    sa.select(documents.c.order_id, documents.c.key, documents.c.tax_point, documents.c.eu_net, documents.c.tax)
    .where(documents.c.tenant == _T, documents.c.eu_net.is_not(None), documents.c.state != "cancelled")
    .where(documents.c.tax_point >= sa.bindparam("at"))
    .order_by(documents.c.tax_point, documents.c.key)
)


def pin_document(tx: Transaction, tenant: str, order_id: str, document: PostedDocument, seal: Seal) -> None:
    """Write down a document with everything it was decided on, before it is posted (P1-P11), and what it covers.

    A fact that another document covers already raises the unique constraint: a fact is covered exactly once (R1).
    """
    draft = document.draft
    key_id, pins = seal(document.key, json.dumps(draft.as_json(), ensure_ascii=False).encode())
    assert document.tax_point is not None
    for_eu = counted(document, order_id)
    sums = {str(rate): [item.gross, item.net, item.tax] for rate, item in draft.sums.items()}
    sums = document.tax.get("sums") or sums  # of an invoice of others as it stands (R16)
    fresh = insert_new(
        tx,
        documents,
        tenant=tenant,
        key=document.key,
        order_id=order_id,
        kind=document.kind,
        state="intended",
        invoice_date=draft.issued_on.isoformat(),
        gross=draft.gross,
        sums=json.dumps(sums),
        tax=json.dumps(dict(document.tax), ensure_ascii=False),
        tax_point=to_micros(document.tax_point),
        profile_version=document.profile_version,
        key_id=key_id,
        pins=pins,
        made_by=document.made_by,
        eu_net=None if for_eu is None else for_eu.net,
    )
    if not fresh:
        return
    for cover in document.covers:
        row = {"tenant": tenant, "fact_id": cover.fact_id, "document_key": document.key}
        _COVER.change(tx, **row, order_id=order_id, amount=cover.amount)


def content_of(tx: Transaction, tenant: str, key: str) -> str | None:
    """The hash of what sevdesk returned when the document was posted (R12)."""
    query = sa.select(documents.c.hash_posted).where(documents.c.tenant == tenant, documents.c.key == key)
    return tx.execute(query).scalar_one_or_none()


def drafted(tx: Transaction, tenant: str, key: str, sevdesk_id: str, content: str) -> None:
    """The draft exists in sevdesk and equals its pins."""
    _DRAFTED.change(tx, t=tenant, k=key, id=sevdesk_id, h=content)


def finalised(tx: Transaction, tenant: str, key: str, number: str, now: datetime) -> None:
    """The document has its number and is in the tenant's books."""
    _FINALISED.change(tx, t=tenant, k=key, n=number, at=to_micros(now))


def taken_over(tx: Transaction, tenant: str, key: str) -> None:
    """A person finalised the document: whoever did also sent it."""
    tx.execute(
        sa.update(documents).where(documents.c.tenant == tenant, documents.c.key == key).values(made_by="adopted")
    )


def moved(tx: Transaction, tenant: str, key: str, number: str | None, day: date) -> None:
    """A person gave the document another number or day: sevdesk's are what counts (R16)."""
    values = {"invoice_date": day.isoformat()} | ({} if number is None else {"number": number})
    tx.execute(sa.update(documents).where(documents.c.tenant == tenant, documents.c.key == key).values(**values))


def cancelled(tx: Transaction, tenant: str, key: str) -> None:
    """sevdesk's cancellation of the document exists: it carries nothing any more."""
    _CANCELLED.change(tx, t=tenant, k=key)


def fell(tx: Transaction, tenant: str, key: str) -> bool:
    """Whether a document of ours was cancelled, by us or by hand, or is gone from sevdesk, as far as the books know."""
    if _STATE.scalar(tx, t=tenant, k=key) == "cancelled":
        return True
    by_hand = hands.c.kind.in_(("cancelled", "gone"))
    found = sa.select(hands.c.kind).where(hands.c.tenant == tenant, hands.c.document_key == key, by_hand)
    return tx.execute(found.limit(1)).first() is not None


def record_hands(
    tx: Transaction, tenant: str, order_id: str, seen: Sequence[Hand], looked_at: Sequence[str], now: datetime
) -> None:
    """What others did to the documents `looked_at`, as it stands now; what no longer holds is forgotten."""
    where = (hands.c.tenant == tenant, hands.c.order_id == order_id, hands.c.document_key.in_(looked_at))
    tx.execute(sa.delete(hands).where(*where, hands.c.kind.not_in(BESIDE)))
    _add_hands(tx, tenant, order_id, seen, now)


def record_beside(tx: Transaction, tenant: str, order_id: str, seen: Sequence[Hand], now: datetime) -> None:
    """Documents that stand beside ours for an order, as they were found; those known before keep their instant."""
    known = sa.select(hands.c.kind, hands.c.sevdesk_id).where(
        hands.c.tenant == tenant, hands.c.order_id == order_id, hands.c.kind.in_(BESIDE)
    )
    there = {(row.kind, row.sevdesk_id) for row in tx.execute(known)}
    _add_hands(tx, tenant, order_id, [one for one in seen if (one.kind, one.sevdesk_id) not in there], now)


def forget_beside(tx: Transaction, tenant: str, kind: str, sevdesk_id: str) -> list[str]:
    """A document beside ours is cancelled, gone, or ours by now; the orders it was told with come back."""
    of = sa.and_(hands.c.tenant == tenant, hands.c.kind == kind, hands.c.sevdesk_id == sevdesk_id)
    orders = list(tx.execute(sa.select(hands.c.order_id).where(of)).scalars())
    tx.execute(sa.delete(hands).where(of))
    return orders


def _add_hands(tx: Transaction, tenant: str, order_id: str, seen: Sequence[Hand], now: datetime) -> None:
    for hand in seen:
        row = {"amount": hand.amount, "number": hand.number, "by_rate": dict(hand.by_rate), "content": hand.content}
        insert_new(
            tx,
            hands,
            tenant=tenant,
            document_key=hand.document_key,
            kind=hand.kind,
            sevdesk_id=hand.sevdesk_id,
            order_id=order_id,
            seen=json.dumps(row, sort_keys=True),
            seen_at=to_micros(now),
        )


def line_written(tx: Transaction, tenant: str, order_id: str, line: PostedLine, account: str, sevdesk_id: str) -> None:
    """A money line stands on the gateway's account."""
    insert_new(
        tx,
        money_lines,
        tenant=tenant,
        key=line.key,
        order_id=order_id,
        payment_id=line.payment_id,
        account=account,
        amount=line.amount,
        value_date=line.value_date.isoformat(),
        sevdesk_id=sevdesk_id,
    )


def line_sums(tx: Transaction, tenant: str, account: str, until: date) -> tuple[int, int]:
    """How many lines of orders on an account are dated up to a day, and their sum in minor units."""
    mine = (money_lines.c.tenant == tenant, money_lines.c.account == account)
    total = sa.func.coalesce(sa.func.sum(money_lines.c.amount), 0)
    found = sa.select(sa.func.count(), total).where(*mine, money_lines.c.value_date <= until.isoformat())
    row = tx.execute(found).one()
    return int(row[0]), int(row[1])


def lines_on(
    tx: Transaction, tenant: str, account: str, after: date | None = None, keys: Sequence[str] = ()
) -> list[BookLine]:
    """The lines of orders on an account, by day; those dated `after` a day, and some by their keys."""
    mine = sa.select(money_lines).where(money_lines.c.tenant == tenant, money_lines.c.account == account)
    if after is not None:
        mine = mine.where(sa.or_(money_lines.c.value_date > after.isoformat(), money_lines.c.key.in_(keys)))
    return [
        BookLine(row.key, "order", row.payment_id, row.amount, date.fromisoformat(row.value_date), row.order_id)
        for row in tx.execute(mine.order_by(money_lines.c.value_date, money_lines.c.key))
    ]


def numbers_of_orders(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The numbers of each order's documents, in the order they were written."""
    mine = sa.and_(documents.c.tenant == tenant, documents.c.order_id.in_(order_ids), documents.c.number.is_not(None))
    found: dict[str, tuple[str, ...]] = {}
    for row in tx.execute(sa.select(documents.c.order_id, documents.c.number).where(mine).order_by(documents.c.number)):
        found[row.order_id] = (*found.get(row.order_id, ()), row.number)
    return found


def taken_lines(tx: Transaction, tenant: str, sevdesk_ids: Sequence[str]) -> dict[str, str]:
    """Lines of sevdesk that an order uses already: id -> order."""
    statement = sa.select(money_lines.c.sevdesk_id, money_lines.c.order_id).where(
        money_lines.c.tenant == tenant, money_lines.c.sevdesk_id.in_(sevdesk_ids)
    )
    return {row.sevdesk_id: row.order_id for row in tx.execute(statement)}


def paid_by_us(tx: Transaction, tenant: str, sevdesk_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Of documents by their id in sevdesk: whose order they are, and what we linked to them."""
    found: dict[str, tuple[str, int]] = {}
    for start in range(0, len(sevdesk_ids), 400):
        mine = sa.and_(documents.c.tenant == tenant, documents.c.kind != "credit_note")
        some = documents.c.sevdesk_id.in_(list(sevdesk_ids[start : start + 400]))
        known = sa.select(documents.c.sevdesk_id, documents.c.order_id, documents.c.key).where(mine, some)
        rows = tx.execute(known).all()
        keys = [row.key for row in rows]
        booked_on = (bookings.c.tenant == tenant, bookings.c.document_key.in_(keys))
        total = sa.select(bookings.c.document_key, sa.func.sum(bookings.c.amount).label("paid")).where(*booked_on)
        paid = {row.document_key: int(row.paid) for row in tx.execute(total.group_by(bookings.c.document_key))}
        found |= {str(row.sevdesk_id): (row.order_id, paid.get(row.key, 0)) for row in rows}
    return found


def booked(
    tx: Transaction,
    tenant: str,
    order_id: str,
    booking: Booked,
    *,
    account: str,
    transaction_id: str,
    booked_on: date,
    paid_after: int | None,
    now: datetime,
) -> None:
    """A transaction pays a document in sevdesk; `paid_after` is the document's paid amount read back."""
    insert_new(
        tx,
        bookings,
        tenant=tenant,
        key=booking.key,
        order_id=order_id,
        payment_id=booking.payment_id,
        document_key=booking.document_key,
        account=account,
        transaction_id=transaction_id,
        amount=booking.amount,
        booked_on=booked_on.isoformat(),
        paid_after=paid_after,
        booked_at=to_micros(now),
    )


def orders_of_invoices(tx: Transaction, tenant: str, sevdesk_ids: Sequence[str]) -> dict[str, str]:
    """Invoices of sevdesk that are in our books: id -> the order they are of."""
    query = sa.select(documents.c.sevdesk_id, documents.c.order_id).where(
        documents.c.tenant == tenant, documents.c.sevdesk_id.in_(sevdesk_ids), documents.c.kind != "credit_note"
    )
    return {row.sevdesk_id: row.order_id for row in tx.execute(query)}


def noted_candidates(tx: Transaction, tenant: str, order_id: str, kind: str) -> list[str]:
    """The keys of what is noted beside an order under one kind of hand."""
    query = sa.select(hands.c.document_key).where(
        hands.c.tenant == tenant, hands.c.order_id == order_id, hands.c.kind == kind
    )
    return list(tx.execute(query).scalars())


def has_documents(tx: Transaction, tenant: str) -> bool:
    """Whether anything was ever intended or written for the tenant."""
    return tx.execute(sa.select(documents.c.key).where(documents.c.tenant == tenant).limit(1)).first() is not None


def invoiced_orders(tx: Transaction, tenant: str, since: datetime) -> int:
    """How many orders got a final document since then."""
    query = sa.select(sa.func.count(documents.c.order_id.distinct())).where(
        documents.c.tenant == tenant, documents.c.finalised_at >= to_micros(since)
    )
    return int(tx.execute(query).scalar_one())


def eu_sales(tx: Transaction, tenant: str, since: datetime) -> list[EuSale]:
    """What counts for the EU threshold with a tax point from `since` on, drafts and mere intents too; oldest first."""
    rows = _EU_SALES.rows(tx, t=tenant, at=to_micros(since))
    return [
        EuSale(from_micros(row.tax_point), row.eu_net, row.order_id, row.key, json.loads(row.tax)["case"] in AT_HOME)
        for row in rows
    ]


def orders_before(tx: Transaction, tenant: str, day: date, limit: int) -> list[str]:
    """Orders all of whose documents are from before a day; the oldest first."""
    last = sa.func.max(documents.c.invoice_date)
    query = sa.select(documents.c.order_id).where(documents.c.tenant == tenant).group_by(documents.c.order_id)
    return list(
        tx.execute(query.having(last < day.isoformat()).order_by(last, documents.c.order_id).limit(limit)).scalars()
    )


def last_entry(tx: Transaction, tenant: str) -> date | None:
    """The day of the tenant's newest document, booking or line of money; None where there is nothing to keep."""
    asked = (
        sa.select(sa.func.max(documents.c.invoice_date)).where(documents.c.tenant == tenant),
        sa.select(sa.func.max(bookings.c.booked_on)).where(bookings.c.tenant == tenant),
        sa.select(sa.func.max(money_lines.c.value_date)).where(money_lines.c.tenant == tenant),
    )
    found = [str(day) for query in asked if (day := tx.execute(query).scalar()) is not None]
    return max(map(date.fromisoformat, found), default=None)


def erase_in_documents(tx: Transaction, tenant: str, order_id: str, text: str, instead: str) -> None:
    """A buyer's VAT id leaves what was written about an order: its years are over."""
    mine = (documents.c.tenant == tenant) & (documents.c.order_id == order_id)
    tx.execute(sa.update(documents).where(mine).values(tax=sa.func.replace(documents.c.tax, text, instead)))
