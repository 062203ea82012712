"""A buyer is forgotten: what the law keeps goes on the hold list, everything else is erased, backups included.

    inbox     what was heard about the orders is deleted
    letters   what is still promised is not sent
    contacts  the customer number is not remembered; sevdesk is asked should it be needed again
    snapshot  sealed anew without the buyer, so that the order stays accounted for
    pins      kept for `held(order)`, with the last day of the years
    keys      what was sealed for the order opens for nobody any more (`vault.Vault.forget_subject`)

Documents, covers, bookings and certificates do not change; sevdesk's copy stays, as the merchant must keep it. What is
settled or heard of such an order later is erased again by the same function.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from secrets import token_hex
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, books, events, evidence, inbox, outbox, privacy, write_backs
from ladenbuch.db import Sealed, Store, Transaction
from ladenbuch.domain.order import Order
from ladenbuch.domain.redaction import ERASED, without_buyer, without_party
from ladenbuch.domain.retention import LAW, SEVDESK_STAYS, keep_until
from ladenbuch.errors import Rejected
from ladenbuch.sealed import Unseal, held
from ladenbuch.workflows.context import Context

log = logging.getLogger(__name__)

#: Why a promised letter is not sent.
NOT_SENT = "PRIVACY: the buyer's data was erased before it was sent"
#: The tenant's secret for marks of forgotten buyers; it stays when the app is uninstalled.
MARKS = "privacy_marks"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who it is about, as far as Shopify says: the customer's gid, and mail addresses in lower case."""

    customer: str | None = None
    mails: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, customer: object) -> Buyer:
        """From a compliance webhook's `customer`, which may have nothing but an address (facts 3.7)."""
        told = customer if isinstance(customer, Mapping) else {}
        id, mail = told.get("id"), told.get("email")
        gid = f"gid://shopify/Customer/{id}" if isinstance(id, int) and not isinstance(id, bool) and id > 0 else None
        return cls(gid, _mails([mail]))

    @classmethod
    def of_order(cls, order: Order) -> Buyer:
        """Who bought an order."""
        customer = order.customer
        return cls(customer.id if customer else None, _mails([order.email, customer.email if customer else None]))

    @property
    def texts(self) -> list[str]:
        """What identifies them, one text each."""
        return [f"mail {mail}" for mail in sorted(self.mails)] + ([self.customer] if self.customer else [])

    def bought(self, envelope: Mapping[str, Any]) -> bool:
        """Whether an order as it was fetched, or a webhook's body, is theirs."""
        told = envelope.get("order") if isinstance(envelope.get("order"), Mapping) else envelope
        assert isinstance(told, Mapping)
        customer = told.get("customer")
        customer = customer if isinstance(customer, Mapping) else {}
        id = customer.get("id")
        gid = f"gid://shopify/Customer/{id}" if isinstance(id, int) else id
        if self.customer is not None and gid == self.customer:
            return True
        default = customer.get("defaultEmailAddress")
        mail = default.get("emailAddress") if isinstance(default, Mapping) else None
        return bool(self.mails & _mails([told.get("email"), told.get("contact_email"), customer.get("email"), mail]))


def _mails(found: Iterable[object]) -> frozenset[str]:
    return frozenset(mail.strip().lower() for mail in found if isinstance(mail, str) and mail.strip())


@dataclass(slots=True)
class Erased:
    """What was done: orders erased, deliveries deleted, letters withdrawn, documents kept and until when at most."""

    orders: int = 0
    deliveries: int = 0
    letters: int = 0
    documents: int = 0
    until: date | None = None

    def sentence(self) -> str:
        """For the audit log and the list of requests: no personal data."""
        said = f"The buyer's data of {self.orders} orders was erased"
        if self.letters:
            said += f", {self.letters} letters are not sent"
        if self.until is None:
            return f"{said}."
        kept = f"{self.documents} documents are kept until {self.until.isoformat()} at the latest ({LAW})"
        return f"{said}; {kept}. {SEVDESK_STAYS}."


# -- whose orders ----------------------------------------------------------------------------------------------------


def orders_of(ctx: Context, tenant: str, buyer: Buyer) -> list[str]:
    """The buyer's orders among all we know of: by what they looked like when settled last, or by what was heard."""
    if not buyer.texts:
        return []
    settled: set[str] = set()
    found: set[str] = set()
    for order_id, envelope in snapshots(ctx, tenant):
        settled.add(order_id)
        if envelope is not None and buyer.bought(envelope):
            found.add(order_id)
    door = ctx.door(tenant)
    unseal = ctx.unseal(tenant, inbox.BODY_PURPOSE)
    rest = [one for one in door.read(Store.INBOX, lambda tx: inbox.heard_orders(tx, tenant)) if one not in settled]
    for start in range(0, len(rest), _PAGE):
        some = rest[start : start + _PAGE]
        for order_id, webhook_id, key_id, body in door.read(
            Store.INBOX,
            lambda tx, some=some: inbox.newest_bodies(tx, tenant, some),  # type: ignore[misc]
        ):
            said = _json(_opened(unseal, webhook_id, key_id, body))
            if said is not None and buyer.bought(said):
                found.add(order_id)
    return sorted(found)


def heard_of(ctx: Context, tenant: str, order_id: str) -> dict[str, dict[str, Any] | None]:
    """What each webhook about an order said, by its id; None where it was forgotten."""
    door, unseal = ctx.door(tenant), ctx.unseal(tenant, inbox.BODY_PURPOSE)
    rows = door.read(Store.INBOX, lambda tx: inbox.newest_bodies(tx, tenant, [order_id]))
    return {row[1]: _json(_opened(unseal, *row[1:])) for row in rows}


def snapshots(
    ctx: Context, tenant: str, only: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """What Shopify said of each order, or of those named; None where it was forgotten."""
    table, after = books.orders, ""
    unseal = ctx.unseal(tenant, "snapshot")
    while True:
        query = sa.select(table.c.order_id, table.c.key_id, table.c.snapshot).where(table.c.tenant == tenant)
        if only is not None:
            query = query.where(table.c.order_id.in_(list(only)))
        page = query.where(table.c.order_id > after).order_by(table.c.order_id).limit(_PAGE)
        rows = ctx.door(tenant).read(Store.BOOKS, lambda tx, page=page: tx.execute(page).all())  # type: ignore[misc]
        for row in rows:
            plain = _opened(unseal, row.order_id, row.key_id, row.snapshot)
            yield row.order_id, None if plain is None else _json(zlib.decompress(plain))
        if len(rows) < _PAGE:
            return
        after = rows[-1].order_id


def _opened(unseal: Unseal, row: str, key_id: str, ciphertext: bytes) -> bytes | None:
    """What a row holds; None where it was forgotten."""
    try:
        return unseal(row, key_id, bytes(ciphertext))
    except Rejected as refusal:
        if refusal.code != "VAULT-FORGOTTEN":
            raise
        return None


def _json(plain: bytes | None) -> dict[str, Any] | None:
    try:
        said = None if plain is None else json.loads(plain)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


# -- marks -----------------------------------------------------------------------------------------------------------


def forget_buyer(ctx: Context, tx: Transaction, tenant: str, buyer: Buyer, now: datetime) -> None:
    """Remember by keyed marks that this buyer was forgotten: without the key nobody can try addresses."""
    secret = ctx.vault.get_secret(tx, tenant, MARKS)
    if secret is None:
        ctx.vault.put_secret(tx, tenant, MARKS, token_hex(32), now)
        secret = ctx.vault.get_secret(tx, tenant, MARKS)
    assert secret is not None
    for mark in _marks(secret.value, buyer):
        privacy.forget_buyer(tx, tenant, mark, now)


def was_forgotten(ctx: Context, tx: Transaction, tenant: str, order: Order) -> bool:
    """Whether an order is of a buyer who was forgotten after it was placed. What they buy later is not meant."""
    if not privacy.any_buyer(tx, tenant):
        return False
    secret = ctx.vault.get_secret(tx, tenant, MARKS)
    if secret is None:
        return False
    since = privacy.forgotten_since(tx, tenant, _marks(secret.value, Buyer.of_order(order)))
    return since is not None and order.processed_at <= since


def _marks(secret: str, buyer: Buyer) -> list[str]:
    return [
        hmac.new(secret.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest() for text in buyer.texts
    ]


# -- erasing ---------------------------------------------------------------------------------------------------------


def erase(
    ctx: Context,
    tenant: str,
    orders: Sequence[str],
    request: str,
    *,
    by: str,
    buyer: Buyer | None = None,
) -> Erased:
    """Erase the buyers of these orders. Repeatable: a second time does it for what came meanwhile.

    `buyer`, if one person asked, is remembered by a mark.
    Raises Rejected("VAULT-KEY") when a key still in use is missing: then nothing is forgotten.
    """
    door, done = ctx.door(tenant), Erased()
    for start in range(0, len(orders), _PAGE):
        some = list(orders[start : start + _PAGE])
        done.deliveries += door.run(Store.INBOX, lambda tx, some=some: inbox.erase(tx, tenant, some))  # type: ignore[misc]

        def write(tx: Transaction, some: list[str] = some) -> None:
            now = ctx.clock()
            if buyer is not None:
                forget_buyer(ctx, tx, tenant, buyer, now)
            for order_id in some:
                _erase_order(ctx, tx, tenant, order_id, request, by, now, done)

        door.run(Store.BOOKS, write)
    if buyer is not None and not orders:
        door.run(Store.BOOKS, lambda tx: forget_buyer(ctx, tx, tenant, buyer, ctx.clock()))
    ctx.database.truncate_logs()
    return done


def again(ctx: Context, tenant: str, order_id: str) -> None:
    """After a settle of an order whose buyer was forgotten: what it brought is erased, what was written is held."""
    door = ctx.door(tenant)
    heard = door.run(Store.INBOX, lambda tx: inbox.erase(tx, tenant, [order_id]))

    def write(tx: Transaction) -> None:
        now = ctx.clock()
        if heard:  # what was just deleted may be in a backup already
            _erase_order(ctx, tx, tenant, order_id, "", "settle", now, Erased())
        else:
            outbox.withdraw(tx, tenant, order_id, now, NOT_SENT)
            _tell_nobody(tx, tenant, order_id)
            _hold(ctx, tx, tenant, order_id, now)

    door.run(Store.BOOKS, write)


def _erase_order(
    ctx: Context,
    tx: Transaction,
    tenant: str,
    order_id: str,
    request: str,
    by: str,
    now: datetime,
    done: Erased,
) -> None:
    fresh = privacy.redact(tx, tenant, order_id, request, now)
    envelope = snapshot_of(ctx, tx, tenant, order_id)
    withdrawn = outbox.withdraw(tx, tenant, order_id, now, NOT_SENT)
    outbox.forget_recipients(tx, tenant, order_id)
    _tell_nobody(tx, tenant, order_id)
    until, kept = _hold(ctx, tx, tenant, order_id, now)
    _within_reach(ctx, tx, tenant, order_id)
    ctx.vault.forget_subject(tx, tenant, order_id)
    if envelope is not None:
        _seal_anew(ctx, tx, tenant, order_id, without_buyer(envelope))
    done.orders, done.letters, done.documents = done.orders + 1, done.letters + withdrawn, done.documents + kept
    done.until = max(filter(None, (done.until, until)), default=None)
    if fresh:
        what = f"{kept} documents are kept until {until.isoformat()} ({LAW})" if until else "nothing has to be kept"
        sentence = f"The buyer's data of this order was erased; {what}."
        audit.append(tx, tenant, now, actor=by, event="privacy.erased", subject=order_id, sentence=sentence)


def _tell_nobody(tx: Transaction, tenant: str, order_id: str) -> None:
    """Other tools hear nothing of the order any more, and nothing is written to it in the shop."""
    events.erase(tx, tenant, order_id)
    write_backs.erase(tx, tenant, order_id)


def empty(ctx: Context, tx: Transaction, tenant: str, order_id: str, request: str, now: datetime, done: Erased) -> None:
    """The same for one of all orders of a tenant that leaves: whoever calls drops the keys of the whole tenant."""
    privacy.redact(tx, tenant, order_id, request, now)
    envelope = snapshot_of(ctx, tx, tenant, order_id)
    until, kept = _hold(ctx, tx, tenant, order_id, now)
    if envelope is not None:
        _seal_anew(ctx, tx, tenant, order_id, without_buyer(envelope))
    done.orders, done.documents = done.orders + 1, done.documents + kept
    done.until = max(filter(None, (done.until, until)), default=None)


def _within_reach(ctx: Context, tx: Transaction, tenant: str, order_id: str) -> None:
    """Rows from before tenants had data keys are sealed anew for their subject, so that forgetting it reaches them."""
    for column in (outbox.PAYLOADS, books.PINS):
        for row in column.of_order(tx, tenant, order_id):
            name = column.row_id(row)
            sealed = ctx.vault.reseal(tenant, column.purpose(row), name, column.sealed(row), column.subject(row))
            column.replace(tx, tenant, row, sealed)


def snapshot_of(ctx: Context, tx: Transaction, tenant: str, order_id: str) -> dict[str, Any] | None:
    """What Shopify said of an order, inside an open transaction; None where there is nothing, or it was forgotten."""
    table = books.orders
    query = sa.select(table.c.key_id, table.c.snapshot)
    row = tx.execute(query.where(table.c.tenant == tenant, table.c.order_id == order_id)).first()
    if row is None:
        return None
    plain = _opened(ctx.unseal(tenant, "snapshot"), order_id, row.key_id, row.snapshot)
    return None if plain is None else _json(zlib.decompress(plain))


def _seal_anew(ctx: Context, tx: Transaction, tenant: str, order_id: str, envelope: Mapping[str, Any]) -> None:
    table = books.orders
    query = sa.select(table.c.order_id, table.c.key_id, table.c.snapshot)
    row = tx.execute(query.where(table.c.tenant == tenant, table.c.order_id == order_id)).one()
    plain = zlib.compress(json.dumps(envelope, default=str).encode(), 1)
    sealed = ctx.vault.seal(tenant, "snapshot", order_id, plain, order_id)
    books.SNAPSHOTS.replace(tx, tenant, row, sealed)


def _hold(ctx: Context, tx: Transaction, tenant: str, order_id: str, now: datetime) -> tuple[date | None, int]:
    """Put the order's documents, and the VAT ids they rest on, on the hold list; the contacts go. Day and number."""
    table = books.documents
    query = sa.select(table.c.key, table.c.invoice_date, table.c.key_id, table.c.pins)
    rows = tx.execute(query.where(table.c.tenant == tenant, table.c.order_id == order_id)).all()
    until = max((keep_until(date.fromisoformat(row.invoice_date), ctx.keeping.years) for row in rows), default=None)
    for row in rows:
        pins = _json(_opened(ctx.unseal(tenant, "pins"), row.key, row.key_id, row.pins))
        party = pins["party"] if pins else {}
        if not party.get("collective") and party.get("customer_number"):
            books.forget_contact(tx, tenant, party["customer_number"])
            books.forget_contact_steps(tx, tenant, party["customer_number"])
        if until is not None and party.get("vat_id"):
            privacy.hold(tx, tenant, "vat-id", party["vat_id"], until, LAW, now)
    if until is not None:
        privacy.hold(tx, tenant, "documents", order_id, until, LAW, now)
    return until, len(rows)


def seal_answer(ctx: Context, tenant: str, request: str, plain: bytes) -> Sealed:
    """The answer to a request, sealed for it alone."""
    return ctx.vault.seal(tenant, privacy.PURPOSE, request, plain, privacy.subject_of(request))


def release(ctx: Context, item: privacy.Hold, now: datetime, tx: Transaction) -> None:
    """The years are over: the buyer leaves the documents, backups included; amounts, dates and numbers stay."""
    tenant, order_id = item.tenant, item.subject
    if item.kind == "vat-id":
        evidence.forget_names(tx, tenant, item.subject)  # the answers themselves: `retention`
        ctx.vault.forget_subject(tx, tenant, held(item.subject))
    else:
        table = books.documents
        query = sa.select(table.c.key, table.c.order_id, table.c.key_id, table.c.pins)
        rows = tx.execute(query.where(table.c.tenant == tenant, table.c.order_id == order_id)).all()
        opened = [_json(_opened(ctx.unseal(tenant, "pins"), row.key, row.key_id, row.pins)) for row in rows]
        ctx.vault.forget_subject(tx, tenant, held(order_id))
        for row, pins in zip(rows, opened, strict=True):
            if pins is not None:
                plain = json.dumps(without_party(pins), ensure_ascii=False).encode()
                sealed = ctx.vault.seal(tenant, "pins", row.key, plain, held(order_id))
                books.PINS.replace(tx, tenant, row, sealed)
                if vat_id := pins["party"].get("vat_id"):
                    books.erase_in_documents(tx, tenant, order_id, vat_id, ERASED)
                    books.erase_in_intents(tx, tenant, order_id, vat_id, ERASED)
                    books.erase_in_questions(tx, tenant, order_id, vat_id, ERASED)
    privacy.release(tx, item, now)
    what = "The name VIES gave for a VAT id" if item.kind == "vat-id" else "The buyer of this order's documents"
    sentence = f"{what} was erased: it had to be kept until {item.until.isoformat()} ({item.why})."
    subject = tenant if item.kind == "vat-id" else order_id
    audit.append(tx, tenant, now, actor="retention", event="privacy.released", subject=subject, sentence=sentence)
