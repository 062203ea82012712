"""What our books hold of a month, as the values a certificate is made from. Only read.

Orders processed in the month or listed for it, every document dated in it or of these orders, with what they cover and
what is linked to them, and sevdesk's own documents that cancel them: the books keep their ids with the intent.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from ladenbuch import books
from ladenbuch.db import Store, Transaction, from_micros, to_micros
from ladenbuch.domain.books import BESIDE, Books
from ladenbuch.domain.certificate import MATCHED_THERE
from ladenbuch.domain.modes import Modes
from ladenbuch.domain.month import KnownOrder, ListedOrder, OurDocument, TheirDocument
from ladenbuch.domain.profile import Profile, profile_at
from ladenbuch.domain.reconciling import HANDS, KnownHand
from ladenbuch.domain.reconciling_lines import OurLine
from ladenbuch.errors import Rejected
from ladenbuch.shopify.orders import order_from_envelope
from ladenbuch.workflows.context import Context
from ladenbuch.workflows.preview import Period

_BATCH = 400
#: Days before a month in which its predecessor in the sequence of numbers is looked for.
_BACK = 62
#: Modes in which somebody else links the money (bookkeeping 4.2).
_THEIRS = ("bank", "feed", "off")


def batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Portions a database takes in one list."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def reference(credit: bool, id_: str) -> str:
    """How a document of sevdesk is named here: it counts invoices and credit notes apart."""
    return f"{'CreditNote' if credit else 'Invoice'}/{id_}"


@dataclass(slots=True)
class Kept:
    """What the books hold: orders, documents by key, and what belongs to them."""

    known: list[KnownOrder] = field(default_factory=list)
    causes: dict[str, frozenset[str]] = field(default_factory=dict)
    documents: dict[str, OurDocument] = field(default_factory=dict)
    zone: tzinfo = UTC


def read_month(ctx: Context, tenant: str, period: Period, listed: Sequence[ListedOrder]) -> Kept:
    """The orders of the period and those listed, every document dated in it or of these orders."""
    kept = Kept(zone=ZoneInfo(period.time_zone))
    table, ids = books.orders.c, sorted(item.id for item in listed)
    columns = (
        table.order_id, table.name, table.verdict, table.code, table.processed_at, table.updated_at, table.certificate,
    )  # fmt: skip
    days = (books.documents.c.invoice_date >= period.since.isoformat(),
            books.documents.c.invoice_date < period.until.isoformat())  # fmt: skip
    instants, zone = (to_micros(period.start), to_micros(period.end)), ZoneInfo(period.time_zone)

    def read(tx: Transaction) -> None:
        mine = sa.select(*columns).where(table.tenant == tenant)
        dated = mine.where(table.processed_at >= instants[0], table.processed_at < instants[1])
        rows: dict[str, Any] = {row.order_id: row for row in tx.execute(dated)}
        for some in batches([gid for gid in ids if gid not in rows]):
            rows |= {row.order_id: row for row in tx.execute(mine.where(table.order_id.in_(some)))}
        asked = _asked(tx, tenant)
        _orders(kept, rows, asked)
        _documents(ctx, tx, tenant, kept, sa.and_(*days))
        intents = books.intents.c
        cancelled = sa.select(intents.order_id).where(
            intents.tenant == tenant,
            intents.kind == "cancel",
            intents.done_at >= instants[0],
            intents.done_at < instants[1],
        )
        for some in batches(sorted({*rows, *tx.execute(cancelled).scalars()})):
            _documents(ctx, tx, tenant, kept, books.documents.c.order_id.in_(some))
            _cancellations(tx, tenant, kept, some, zone)

    ctx.door(tenant).read(Store.BOOKS, read)
    return kept


def read_orders(ctx: Context, tenant: str, order_ids: Iterable[str], kept: Kept) -> None:
    """Add some orders with all their documents, whatever they are dated."""
    table, ids = books.orders.c, sorted(set(order_ids))
    columns = (
        table.order_id, table.name, table.verdict, table.code, table.processed_at, table.updated_at, table.certificate,
    )  # fmt: skip
    there = {item.id for item in kept.known}

    def read(tx: Transaction) -> None:
        asked = _asked(tx, tenant)
        for some in batches(ids):
            mine = sa.select(*columns).where(table.tenant == tenant, table.order_id.in_(some))
            _orders(kept, {row.order_id: row for row in tx.execute(mine) if row.order_id not in there}, asked)
            _documents(ctx, tx, tenant, kept, books.documents.c.order_id.in_(some))
            _cancellations(tx, tenant, kept, some, kept.zone)

    if ids:
        ctx.door(tenant).read(Store.BOOKS, read)


def _asked(tx: Transaction, tenant: str) -> dict[str, list[str]]:
    """Codes of the open questions, by order."""
    asked: dict[str, list[str]] = {}
    questions = sa.select(books.attention.c.order_id, books.attention.c.code)
    for row in tx.execute(questions.where(books.attention.c.tenant == tenant)):
        asked.setdefault(row.order_id, []).append(row.code)
    return asked


def _orders(kept: Kept, rows: Mapping[str, Any], asked: Mapping[str, Sequence[str]]) -> None:
    for gid, row in rows.items():
        order, kept.causes[gid] = _known(row, tuple(sorted(asked.get(gid, ()))))
        kept.known.append(order)


def linked_lines(ctx: Context, tenant: str, period: Period, judged_until: datetime) -> list[OurLine]:
    """Lines on sevdesk's accounts that our books linked to documents on the days of a period, before an instant."""
    bookings, documents = books.bookings.c, books.documents.c
    same = sa.and_(bookings.tenant == documents.tenant, bookings.document_key == documents.key)
    query = (
        sa.select(bookings.transaction_id, bookings.account, bookings.order_id, documents.number, documents.key,
                  books.orders.c.name)
        .join(books.documents, same)
        .join(books.orders, sa.and_(books.orders.c.tenant == bookings.tenant,
                                    books.orders.c.order_id == bookings.order_id))
        .where(bookings.tenant == tenant, bookings.transaction_id != "", documents.state == "final")
        .where(bookings.booked_on >= period.since.isoformat(), bookings.booked_on < period.until.isoformat())
        .where(bookings.booked_at < to_micros(judged_until))
    )  # fmt: skip
    rows = ctx.door(tenant).read(Store.BOOKS, lambda tx: tx.execute(query).all())
    return [OurLine(row.transaction_id, row.account, row.order_id, row.name, row.number, row.key) for row in rows]


def known_hands(ctx: Context, tenant: str) -> list[KnownHand]:
    """What people did in sevdesk to our documents and beside them, as far as a question is or was asked about it."""
    hands, orders, documents = books.hands.c, books.orders.c, books.documents.c
    query = sa.select(hands.document_key, hands.kind, hands.sevdesk_id, hands.order_id, hands.seen, hands.seen_at)
    query = query.where(hands.tenant == tenant, hands.kind.in_(tuple(HANDS)))

    def read(tx: Transaction) -> list[KnownHand]:
        rows = tx.execute(query).all()
        asked = _asked(tx, tenant)
        names: dict[str, Any] = {}
        numbers: dict[str, Any] = {}
        for some in batches(sorted({row.order_id for row in rows})):
            of = sa.select(orders.order_id, orders.name, orders.settled_at)
            for one in tx.execute(of.where(orders.tenant == tenant, orders.order_id.in_(some))):
                names[one.order_id] = one
            own = sa.select(documents.key, documents.number, documents.kind)
            for one in tx.execute(own.where(documents.tenant == tenant, documents.order_id.in_(some))):
                numbers[one.key] = one
        found = []
        for row in rows:
            order, seen, own_ = names.get(row.order_id), json.loads(row.seen), numbers.get(row.document_key)
            beside = row.kind in BESIDE
            is_asked = HANDS[row.kind][1] in asked.get(row.order_id, ())
            found.append(
                KnownHand(
                    kind=row.kind,
                    key=row.document_key,
                    order_id=row.order_id,
                    order_name="" if order is None else order.name,
                    number=seen["number"] if beside or own_ is None else own_.number,
                    their_id=seen["content"] if beside else "",
                    asked=is_asked,
                    answered=not is_asked and order is not None and order.settled_at > row.seen_at,
                )
            )
        return found

    return ctx.door(tenant).read(Store.BOOKS, read)


def _known(row: Any, asked: tuple[str, ...]) -> tuple[KnownOrder, frozenset[str]]:
    proof = json.loads(row.certificate)
    order = KnownOrder(
        id=row.order_id,
        name=row.name,
        verdict=row.verdict,
        code=row.code,
        processed_at=from_micros(row.processed_at),
        updated_at=from_micros(row.updated_at),
        holds=bool(proof.get("holds")),
        gross_by_rate=proof.get("gross_by_rate_minor", {}),
        projected=bool(proof.get("projected")),
        asked=asked,
    )
    return order, frozenset(proof.get("open_causes", ()))


def _documents(ctx: Context, tx: Transaction, tenant: str, kept: Kept, which: sa.ColumnElement[bool]) -> None:
    """Documents that fit, with what they cover and what is linked to them."""
    table, unseal = books.documents, ctx.unseal(tenant, "pins")
    rows = tx.execute(sa.select(table).where(table.c.tenant == tenant, which)).all()
    fresh = [row for row in rows if row.key not in kept.documents]
    keys = [row.key for row in fresh]
    covers: dict[str, list[str]] = {}
    booked: dict[str, int] = {}
    for some in batches(keys):
        of = sa.select(books.covers.c.document_key, books.covers.c.fact_id).where(
            books.covers.c.tenant == tenant, books.covers.c.document_key.in_(some)
        )
        for cover in tx.execute(of):
            covers.setdefault(cover.document_key, []).append(cover.fact_id)
        linked = sa.select(books.bookings.c.document_key, books.bookings.c.amount).where(
            books.bookings.c.tenant == tenant, books.bookings.c.document_key.in_(some)
        )
        for link in tx.execute(linked):
            booked[link.document_key] = booked.get(link.document_key, 0) + link.amount
    hands = _hands(tx, tenant, keys)
    for row in fresh:
        done = hands.get(row.key, {})
        pins = json.loads(unseal(row.key, row.key_id, bytes(row.pins)))
        sums = json.loads(row.sums)
        kept.documents[row.key] = OurDocument(
            key=row.key,
            order_id=row.order_id,
            order_name=pins["note"].partition(" / ")[0],
            kind=row.kind,
            state=row.state,
            sevdesk_id=None if row.sevdesk_id is None else reference(row.kind == "credit_note", row.sevdesk_id),
            number=row.number,
            note=pins["note"],
            day=date.fromisoformat(row.invoice_date),
            currency=pins["currency"],
            tax_rule=int(pins["tax_rule"]),
            sums=tuple((Decimal(rate), gross, net, tax) for rate, (gross, net, tax) in sums.items()),
            covers=tuple(sorted(covers.get(row.key, ()))),
            booked=abs(booked.get(row.key, 0)),
            others=abs(sum(done.get("paid", {}).values())),
            adopted=row.made_by == "adopted" or "finalised" in done,
            owned=bool(done.keys() & {"cancelled", "gone"}),
            theirs=MATCHED_THERE in kept.causes.get(row.order_id, ()),
            taxed_on=from_micros(row.tax_point).astimezone(kept.zone).date(),
            supplied_on=date.fromisoformat(pins["delivery_date"]),
        )


def _hands(tx: Transaction, tenant: str, keys: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """What others did to documents, as far as our books know: key -> kind -> their document -> amount."""
    table = books.hands.c
    found: dict[str, dict[str, dict[str, int]]] = {}
    for some in batches(keys):
        query = sa.select(table.document_key, table.kind, table.sevdesk_id, table.seen)
        for row in tx.execute(query.where(table.tenant == tenant, table.document_key.in_(some))):
            amount = int(json.loads(row.seen)["amount"])
            found.setdefault(row.document_key, {}).setdefault(row.kind, {})[row.sevdesk_id] = amount
    return found


def _cancellations(tx: Transaction, tenant: str, kept: Kept, order_ids: Sequence[str], zone: tzinfo) -> None:
    """sevdesk's own documents that cancel ours: the books keep their ids with the intent, or with what a person did."""
    intents, hands = books.intents.c, books.hands.c
    done = sa.select(intents.key, intents.remote_id, intents.done_at).where(
        intents.tenant == tenant,
        intents.kind == "cancel",
        intents.order_id.in_(order_ids),
        intents.done_at.is_not(None),
    )
    by_hand = sa.select(hands.document_key, hands.sevdesk_id, hands.seen_at).where(
        hands.tenant == tenant, hands.kind == "cancelled", hands.order_id.in_(order_ids)
    )
    found = [(row.key, row.key.removeprefix("sr:"), row.remote_id, row.done_at) for row in tx.execute(done)]
    found += [(f"hand:{key}", key, remote, at) for key, remote, at in tx.execute(by_hand)]
    for key, of, remote, at in found:
        origin = kept.documents.get(of)
        if origin is not None and remote:
            day = from_micros(at).astimezone(zone).date()
            kept.documents[key] = replace(
                origin, key=key, kind="cancellation", state="final", sevdesk_id=reference(False, remote), number=None,
                day=day, covers=(), booked=0, others=0,
            )  # fmt: skip


def last_before(ctx: Context, tenant: str, since: date) -> tuple[frozenset[tuple[bool, str]], date]:
    """The numbers of our last invoice and our last credit note dated before `since`, and the earlier of their days.

    Ones that lie too long back are left out: what was written since is too much to be read for a number.
    """
    table = books.documents.c
    oldest = (since - timedelta(days=_BACK)).isoformat()
    query = sa.select(table.number, table.invoice_date).where(
        table.tenant == tenant,
        table.number.is_not(None),
        table.invoice_date < since.isoformat(),
        table.invoice_date >= oldest,
    )
    query = query.order_by(table.invoice_date.desc(), table.finalised_at.desc()).limit(1)
    numbers, days = set(), [since]
    for credit in (False, True):
        kind = table.kind == "credit_note" if credit else table.kind != "credit_note"

        def read(tx: Transaction, kind: sa.ColumnElement[bool] = kind) -> Any:
            return tx.execute(query.where(kind)).first()

        row = ctx.door(tenant).read(Store.BOOKS, read)
        if row is not None:
            numbers.add((credit, row.number))
            days.append(date.fromisoformat(row.invoice_date))
    return frozenset(numbers), min(days)


def with_ids(ctx: Context, tenant: str, kept: Kept, ids: Iterable[str], period: Period) -> list[OurDocument]:
    """The documents read, and those among `ids` (references to sevdesk) that are ours though dated elsewhere."""
    known = {item.sevdesk_id for item in kept.documents.values()}
    wanted = sorted({one.partition("/")[2] for one in set(ids) - known})
    intents = books.intents.c

    def read(tx: Transaction) -> None:
        for some in batches(wanted):
            _documents(ctx, tx, tenant, kept, books.documents.c.sevdesk_id.in_(some))
            cancels = sa.select(intents.order_id).where(
                intents.tenant == tenant, intents.kind == "cancel", intents.remote_id.in_(some)
            )
            orders = sorted(set(tx.execute(cancels).scalars()))
            if orders:
                _documents(ctx, tx, tenant, kept, books.documents.c.order_id.in_(orders))
                _cancellations(tx, tenant, kept, orders, ZoneInfo(period.time_zone))

    if wanted:
        ctx.door(tenant).read(Store.BOOKS, read)
    return list(kept.documents.values())


def whose_money(
    ctx: Context,
    tenant: str,
    profiles: Sequence[Profile],
    ours: Sequence[OurDocument],
    theirs: Mapping[str, TheirDocument],
) -> list[OurDocument]:
    """Where more is paid than we linked: whether the money is matched in sevdesk, by the stored order."""
    more = {
        item.order_id
        for item in ours
        if not item.theirs and (held := theirs.get(item.sevdesk_id or "")) and abs(held.paid) > item.booked
    }
    matched = {gid for gid in more if _matched(ctx, tenant, profiles, gid)}
    return [replace(item, theirs=True) if item.order_id in matched else item for item in ours]


def _matched(ctx: Context, tenant: str, profiles: Sequence[Profile], order_id: str) -> bool:
    """Whether the money of an order comes by transfer, a bank feed or a hand: no gateway of it is ours to book."""
    table = books.orders.c
    query = sa.select(table.key_id, table.snapshot).where(table.tenant == tenant, table.order_id == order_id)
    row = ctx.door(tenant).read(Store.BOOKS, lambda tx: tx.execute(query).first())
    if row is None:
        return False
    try:
        envelope = zlib.decompress(ctx.unseal(tenant, "snapshot")(order_id, row.key_id, bytes(row.snapshot)))
    except Rejected as refusal:
        if refusal.code != "VAULT-FORGOTTEN":
            raise
        return False  # how it was paid went with its buyer: what differs is said
    order = order_from_envelope(json.loads(envelope))
    modes = Modes.of(profiles, profile_at(profiles, order.processed_at), Books())
    ways = [modes.gateway(item) for item in order.payments]
    return all(way is not None and way.mode in _THEIRS for way in ways)
