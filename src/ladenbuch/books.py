"""What we decided and did in sevdesk: intents with pins, documents, covers, money lines, bookings, attention.

Rows about what was posted are only added to and advanced (intended -> draft -> final), never taken back. Every write
of a run passes its fence: a run that was replaced (its mark was claimed again) can commit nothing more. What was
decided is sealed, because it names the buyer; amounts, keys, numbers and hashes stay readable for the proof.

Functions take an open transaction of the books store and never open one. Amounts are minor units, instants UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, insert_new, to_micros, upsert
from ladenbuch.domain.books import Booked, Books, Cover, Hand, PostedDocument, PostedLine
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft
from ladenbuch.domain.facts import Problem
from ladenbuch.domain.threshold import AT_HOME, EuSale, counted
from ladenbuch.errors import Retryable

Seal = Callable[[bytes], tuple[str, bytes]]
Unseal = Callable[[str, bytes], bytes]

_KEY = sa.String(200)
_ORDER = sa.String(64)

fences = sa.Table(
    "fences",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("run_no", sa.BigInteger, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
)
intents = sa.Table(
    "intents",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("order_id", _ORDER, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("called_at", sa.BigInteger, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("done_at", sa.BigInteger),
    sa.Column("remote_id", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_intents_order", "tenant", "order_id"),
)
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
contacts = sa.Table(
    "contacts",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("customer_number", sa.String(128), primary_key=True),
    sa.Column("sevdesk_id", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(16), nullable=False, server_default="created"),
    sa.Column("unfinished", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("vat_mark", sa.String(32)),
)
orders = sa.Table(
    "orders",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("code", sa.String(64)),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("processed_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("settled_at", sa.BigInteger, nullable=False),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
    sa.Index("ix_orders_at", "tenant", "processed_at"),
    sa.Index("ix_orders_verdict", "tenant", "verdict", "processed_at"),
    sa.Index("ix_orders_name", "tenant", "name"),
)
attention = sa.Table(
    "attention",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("code", sa.String(64), primary_key=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("choices", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("facts_hash", sa.String(64), nullable=False, server_default=""),
)
resolutions = sa.Table(
    "resolutions",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("order_id", _ORDER, primary_key=True),
    sa.Column("code", sa.String(64), primary_key=True),
    sa.Column("facts_hash", sa.String(64), primary_key=True),
    sa.Column("choice", sa.String(200), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
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
leases = sa.Table(
    "leases",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)


_T, _O, _K = (sa.bindparam(name, type_=sa.Text) for name in "tok")


def _of_order(table: sa.Table) -> Statement:
    return Statement(sa.select(table).where(table.c.tenant == _T, table.c.order_id == _O))


# Built once: putting a statement together costs more than running it.
_OF_ORDER = {
    table: _of_order(table) for table in (intents, covers, documents, money_lines, bookings, resolutions, hands)
}
_FENCE = Statement(
    sa.select(fences.c.run_no, fences.c.run_id).where(fences.c.tenant == _T, fences.c.order_id == _O).with_for_update()
)
_LEASE = Statement(
    sa.update(leases)
    .where(leases.c.tenant == _T, leases.c.name == _K)
    .where(sa.or_(leases.c.holder == sa.bindparam("h"), leases.c.until <= sa.bindparam("now")))
    .values(holder=sa.bindparam("h"), until=sa.bindparam("u"))
)
_GIVE_LEASE = Statement(
    sa.delete(leases).where(leases.c.tenant == _T, leases.c.name == _K, leases.c.holder == sa.bindparam("h"))
)
_OF_KEY = sa.and_(intents.c.tenant == _T, intents.c.key == _K)
_INTENT = Statement(sa.select(intents).where(_OF_KEY))
_CALL_AGAIN = Statement(
    sa.update(intents)
    .where(_OF_KEY, intents.c.done_at.is_(None))
    .values(called_at=sa.bindparam("at"), run_id=sa.bindparam("r"), calls=intents.c.calls + 1)
)
_TAKE_OVER = Statement(
    sa.update(intents)
    .where(_OF_KEY, intents.c.done_at.is_(None), intents.c.run_id == sa.bindparam("was"))
    .where(intents.c.called_at == sa.bindparam("then"))
    .values(called_at=sa.bindparam("at"), run_id=sa.bindparam("r"), calls=intents.c.calls + 1)
)
_REFUSE = Statement(sa.delete(intents).where(_OF_KEY, intents.c.done_at.is_(None)))
_DONE = Statement(
    sa.update(intents).where(_OF_KEY).values(done_at=sa.bindparam("at"), remote_id=sa.bindparam("remote"))
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
_CANCELLED = Statement(sa.update(documents).where(_OF_DOCUMENT).values(state="cancelled"))
_EU_SALES = Statement(
    sa.select(documents.c.order_id, documents.c.key, documents.c.tax_point, documents.c.eu_net, documents.c.tax)
    .where(documents.c.tenant == _T, documents.c.eu_net.is_not(None), documents.c.state != "cancelled")
    .where(documents.c.tax_point >= sa.bindparam("at"))
    .order_by(documents.c.tax_point, documents.c.key)
)
_OF_CUSTOMER = sa.and_(contacts.c.tenant == _T, contacts.c.customer_number == sa.bindparam("n"))
_CONTACT = Statement(sa.select(contacts).where(_OF_CUSTOMER))
_FINISHED = Statement(sa.update(contacts).where(_OF_CUSTOMER).values(unfinished=False))
_VAT_MARK = Statement(sa.update(contacts).where(_OF_CUSTOMER).values(vat_mark=sa.bindparam("m")))
_ASKED = Statement(
    sa.select(attention.c.code, attention.c.since).where(attention.c.tenant == _T, attention.c.order_id == _O)
)


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent row: `called_at` is the last instant a call may have left us, `done` whether it is confirmed."""

    key: str
    new: bool
    done: bool
    run_id: str
    called_at: datetime
    remote_id: str | None


# -- the fence ----------------------------------------------------------------------------------------------------


def take_fence(tx: Transaction, tenant: str, order_id: str, run_no: int, run_id: str) -> None:
    """Make this run the only one that may write for the order. Raises `Retryable("STALE-RUN")` for an older run."""
    held = _FENCE.first(tx, t=tenant, o=order_id)
    if held is not None and (held.run_no > run_no or (held.run_no == run_no and held.run_id != run_id)):
        raise Retryable("STALE-RUN", "a newer run has taken over this order")
    upsert(tx, fences, tenant=tenant, order_id=order_id, run_no=run_no, run_id=run_id)


def check_fence(tx: Transaction, tenant: str, order_id: str, run_id: str) -> None:
    """Raises `Retryable("STALE-RUN")` unless the run still holds the order."""
    held = _FENCE.first(tx, t=tenant, o=order_id)
    if held is None or held.run_id != run_id:
        raise Retryable("STALE-RUN", "a newer run has taken over this order")


def take_lease(tx: Transaction, tenant: str, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or renew an exclusive right of the tenant; False while somebody else holds it."""
    if insert_new(tx, leases, tenant=tenant, name=name, holder=holder, until=to_micros(until)):
        return True
    return _LEASE.change(tx, t=tenant, k=name, h=holder, u=to_micros(until), now=to_micros(now)) == 1


def give_lease(tx: Transaction, tenant: str, name: str, holder: str) -> None:
    """Give an exclusive right back; nothing happens when it is not held."""
    _GIVE_LEASE.change(tx, t=tenant, k=name, h=holder)


def drop_leases(tx: Transaction, executor: str) -> None:
    """Give back what a dead predecessor of this executor held; its run ids begin with the executor's id."""
    tx.execute(sa.delete(leases).where(leases.c.holder.startswith(f"{executor}:", autoescape=True)))


# -- intents ------------------------------------------------------------------------------------------------------


def intend(
    tx: Transaction, tenant: str, order_id: str, *, key: str, kind: str, run_id: str, reason: str, now: datetime
) -> Intent:
    """Write down that a call is about to be made, once per key and for ever (R7). An existing row is returned as is."""
    values = {"order_id": order_id, "kind": kind, "run_id": run_id, "called_at": to_micros(now), "calls": 1}
    if insert_new(tx, intents, tenant=tenant, key=key, reason=reason, **values):
        return Intent(key, True, False, run_id, now, None)
    found = intent(tx, tenant, key)
    assert found is not None
    return found


def intent(tx: Transaction, tenant: str, key: str) -> Intent | None:
    """The intent of a key, or None."""
    row = _INTENT.first(tx, t=tenant, k=key)
    if row is None:
        return None
    return Intent(key, False, row.done_at is not None, row.run_id, from_micros(row.called_at), row.remote_id)


def call_again(tx: Transaction, tenant: str, key: str, run_id: str, now: datetime) -> None:
    """The call of an intent is about to be repeated, after it was looked for and not found."""
    _CALL_AGAIN.change(tx, t=tenant, k=key, at=to_micros(now), r=run_id)


def take_over(tx: Transaction, tenant: str, seen: Intent, run_id: str, at: datetime) -> Intent | None:
    """Make an unconfirmed intent this run's, called at `at`, if it still is as it was `seen`; else None.

    For what several orders want at once (a contact): of two runs that saw the same row only one gets it.
    """
    then, now = to_micros(seen.called_at), to_micros(at)
    if _TAKE_OVER.change(tx, t=tenant, k=seen.key, was=seen.run_id, then=then, r=run_id, at=now) != 1:
        return None
    return replace(seen, run_id=run_id, called_at=from_micros(now))


def refuse(tx: Transaction, tenant: str, key: str) -> None:
    """Forget an intent whose call was refused with nothing stored: the key was never applied."""
    _REFUSE.change(tx, t=tenant, k=key)


def done(tx: Transaction, tenant: str, key: str, now: datetime, remote_id: str | None = None) -> None:
    """The call is confirmed: the key is used, for ever."""
    _DONE.change(tx, t=tenant, k=key, at=to_micros(now), remote=remote_id)


# -- what was posted ----------------------------------------------------------------------------------------------


def pin_document(tx: Transaction, tenant: str, order_id: str, document: PostedDocument, seal: Seal) -> None:
    """Write down a document with everything it was decided on, before it is posted (P1-P11), and what it covers.

    A fact that another document covers already raises the unique constraint: a fact is covered exactly once (R1).
    """
    draft = document.draft
    key_id, pins = seal(json.dumps(draft.as_json(), ensure_ascii=False).encode())
    assert document.tax_point is not None
    for_eu = counted(document, order_id)
    sums = {str(rate): [item.gross, item.net, item.tax] for rate, item in draft.sums.items()}
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


def cancelled(tx: Transaction, tenant: str, key: str) -> None:
    """sevdesk's cancellation of the document exists: it carries nothing any more."""
    _CANCELLED.change(tx, t=tenant, k=key)


def record_hands(
    tx: Transaction, tenant: str, order_id: str, seen: Sequence[Hand], looked_at: Sequence[str], now: datetime
) -> None:
    """What others did to the documents `looked_at`, as it stands now; what no longer holds is forgotten."""
    where = (hands.c.tenant == tenant, hands.c.order_id == order_id, hands.c.document_key.in_(looked_at))
    tx.execute(sa.delete(hands).where(*where))
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


def taken_lines(tx: Transaction, tenant: str, sevdesk_ids: Sequence[str]) -> dict[str, str]:
    """Lines of sevdesk that an order uses already: id -> order."""
    statement = sa.select(money_lines.c.sevdesk_id, money_lines.c.order_id).where(
        money_lines.c.tenant == tenant, money_lines.c.sevdesk_id.in_(sevdesk_ids)
    )
    return {row.sevdesk_id: row.order_id for row in tx.execute(statement)}


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


@dataclass(frozen=True, slots=True)
class KnownContact:
    """The contact of a customer number. `origin`: created by us, or adopted and then never written to by us (but for a
    missing VAT id). `unfinished`: its address or mailbox may be missing. `vat_mark` marks the VAT id it is known to
    carry.
    """

    sevdesk_id: str
    origin: str = "created"
    unfinished: bool = False
    vat_mark: str | None = None


def contact(tx: Transaction, tenant: str, customer_number: str) -> KnownContact | None:
    """The sevdesk contact of a customer number, or None."""
    row = _CONTACT.first(tx, t=tenant, n=customer_number)
    return None if row is None else KnownContact(row.sevdesk_id, row.origin, bool(row.unfinished), row.vat_mark)


def contact_known(tx: Transaction, tenant: str, customer_number: str, known: KnownContact) -> None:
    """Remember the contact; the first answer stays."""
    insert_new(
        tx,
        contacts,
        tenant=tenant,
        customer_number=customer_number,
        sevdesk_id=known.sevdesk_id,
        origin=known.origin,
        unfinished=known.unfinished,
        vat_mark=known.vat_mark,
    )


def contact_finished(tx: Transaction, tenant: str, customer_number: str) -> None:
    """The contact has its address and mailbox, or sevdesk will not have them."""
    _FINISHED.change(tx, t=tenant, n=customer_number)


def contact_carries(tx: Transaction, tenant: str, customer_number: str, vat_mark: str) -> None:
    """The contact carries the VAT id with this mark."""
    _VAT_MARK.change(tx, t=tenant, n=customer_number, m=vat_mark)


# -- reading ------------------------------------------------------------------------------------------------------


def load(tx: Transaction, tenant: str, order_id: str, unseal: Unseal) -> Books:
    """Everything posted and pinned for one order, as the value `plan` takes."""

    def of(table: sa.Table) -> Sequence[Any]:
        return _OF_ORDER[table].rows(tx, t=tenant, o=order_id)

    keys = of(intents)
    answers = sorted(of(resolutions), key=lambda row: row.at)
    answered = tuple((row.code, row.facts_hash, row.choice) for row in answers)
    if not keys:
        return Books(resolutions=answered)
    by_document: dict[str, list[Cover]] = {}
    for row in of(covers):
        by_document.setdefault(row.document_key, []).append(Cover(row.fact_id, row.amount))
    applied = frozenset(row.key for row in keys if row.done_at is not None)
    return Books(
        documents=tuple(_document(row, by_document.get(row.key, []), unseal) for row in of(documents)),
        lines=tuple(
            PostedLine(
                row.key,
                row.payment_id,
                row.account,
                row.amount,
                date.fromisoformat(row.value_date),
                True,
                row.sevdesk_id,
            )
            for row in of(money_lines)
            if f"gone:{row.key}" not in applied
        ),
        bookings=tuple(Booked(row.key, row.payment_id, row.document_key, row.amount, True) for row in of(bookings)),
        letters=frozenset(row.key for row in keys if row.kind == "letter" and row.done_at is not None),
        applied=applied,
        resolutions=answered,
        pending={row.key: from_micros(row.called_at) for row in keys if row.done_at is None},
        hands=tuple(_hand(row) for row in of(hands)),
    )


def eu_sales(tx: Transaction, tenant: str, since: datetime) -> list[EuSale]:
    """What counts for the EU threshold with a tax point from `since` on, drafts and mere intents too; oldest first."""
    rows = _EU_SALES.rows(tx, t=tenant, at=to_micros(since))
    return [
        EuSale(from_micros(row.tax_point), row.eu_net, row.order_id, row.key, json.loads(row.tax)["case"] in AT_HOME)
        for row in rows
    ]


def _hand(row: Any) -> Hand:
    seen = json.loads(row.seen)
    rates = tuple((str(rate), int(gross)) for rate, gross in seen["by_rate"].items())
    return Hand(row.kind, row.document_key, seen["amount"], row.sevdesk_id, seen["number"], rates, seen["content"])


def _document(row: Any, covered: list[Cover], unseal: Unseal) -> PostedDocument:
    pins = json.loads(unseal(row.key_id, row.pins))
    return PostedDocument(
        key=row.key,
        kind=row.kind,
        draft=(CreditNoteDraft if row.kind == "credit_note" else InvoiceDraft).from_json(pins),
        covers=tuple(sorted(covered, key=lambda cover: cover.fact_id)),
        state=row.state,
        sevdesk_id=row.sevdesk_id,
        number=row.number,
        content=row.hash_posted,
        tax_point=from_micros(row.tax_point),
        tax=json.loads(row.tax),
        profile_version=row.profile_version,
        made_by=row.made_by,
        written_at=None if row.finalised_at is None else from_micros(row.finalised_at),
    )


# -- the state of an order ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderState:
    """What is shown of an order: its verdict, its certificate, and the sealed snapshot it was decided on."""

    order_id: str
    name: str
    verdict: str
    code: str | None
    total: int
    currency: str
    processed_at: datetime
    updated_at: datetime
    certificate: Mapping[str, Any]
    snapshot: bytes


def record_state(tx: Transaction, tenant: str, state: OrderState, seal: Seal, looked_at: datetime) -> None:
    """Remember the order's verdict and certificate after a settle; the snapshot is sealed.

    `looked_at` (aware UTC) is the moment before the order was read: what changed later was not seen.
    """
    key_id, snapshot = seal(state.snapshot)
    upsert(
        tx,
        orders,
        tenant=tenant,
        order_id=state.order_id,
        name=state.name,
        verdict=state.verdict,
        code=state.code,
        total=state.total,
        currency=state.currency,
        processed_at=to_micros(state.processed_at),
        updated_at=to_micros(state.updated_at),
        settled_at=to_micros(looked_at),
        certificate=json.dumps(state.certificate, ensure_ascii=False),
        key_id=key_id,
        snapshot=snapshot,
    )


#: Shopify dates changes in whole seconds, and its clock is not ours: a look this soon after a change, in microseconds,
#: may have missed another one that carries the same instant.
_SAME_INSTANT = 2_000_000


def seen(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, datetime]:
    """The `updated_at` of each order as it was last settled.

    Orders never settled are missing, and those that were looked at so soon after their change that a second one could
    carry the same instant.
    """
    statement = sa.select(orders.c.order_id, orders.c.updated_at).where(
        orders.c.tenant == tenant,
        orders.c.order_id.in_(order_ids),
        orders.c.settled_at >= orders.c.updated_at + _SAME_INSTANT,
    )
    return {row.order_id: from_micros(row.updated_at) for row in tx.execute(statement)}


def record_attention(
    tx: Transaction, tenant: str, order_id: str, items: Sequence[tuple[Problem, str]], now: datetime
) -> list[str]:
    """Replace the order's open questions by these, each with the hash of what it is about; returns the new codes."""
    known = {row.code: row.since for row in _ASKED.rows(tx, t=tenant, o=order_id)}
    codes = [problem.code for problem, _ in items]
    if known:
        where = (attention.c.tenant == tenant, attention.c.order_id == order_id)
        tx.execute(sa.delete(attention).where(*where, attention.c.code.not_in(codes)))
    for problem, mark in items:
        upsert(
            tx,
            attention,
            tenant=tenant,
            order_id=order_id,
            code=problem.code,
            message=problem.message,
            facts=json.dumps(list(problem.facts)),
            choices=json.dumps(list(problem.choices), ensure_ascii=False),
            since=known.get(problem.code, to_micros(now)),
            facts_hash=mark,
        )
    return [code for code in codes if code not in known]


@dataclass(frozen=True, slots=True)
class Question:
    """An open question about an order: what happened, what to choose from, and the hash an answer is bound to."""

    order_id: str
    code: str
    message: str
    choices: tuple[str, ...]
    facts_hash: str
    since: datetime


def questions(tx: Transaction, tenant: str, order_id: str | None = None, code: str | None = None) -> list[Question]:
    """Open questions of a tenant, oldest first; of one order or one code where these are given."""
    wanted = sa.select(attention).where(attention.c.tenant == tenant)
    if order_id is not None:
        wanted = wanted.where(attention.c.order_id == order_id)
    if code is not None:
        wanted = wanted.where(attention.c.code == code)
    rows = tx.execute(wanted.order_by(attention.c.since, attention.c.order_id, attention.c.code))
    return [
        Question(
            row.order_id, row.code, row.message, tuple(json.loads(row.choices)), row.facts_hash, from_micros(row.since)
        )
        for row in rows
    ]


def resolve(tx: Transaction, tenant: str, question: Question, choice: str, actor: str, now: datetime) -> None:
    """Remember what a person decided, bound to what was asked (R16); a later answer replaces it."""
    upsert(
        tx,
        resolutions,
        tenant=tenant,
        order_id=question.order_id,
        code=question.code,
        facts_hash=question.facts_hash,
        choice=choice,
        actor=actor,
        at=to_micros(now),
    )
