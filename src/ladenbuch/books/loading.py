"""Everything posted and pinned for one order, read as the value `plan` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from ladenbuch.books.asking import resolutions
from ladenbuch.books.columns import _O, _T, Unseal
from ladenbuch.books.intending import intents
from ladenbuch.books.posted import bookings, covers, documents, hands, money_lines
from ladenbuch.db import Statement, Transaction, from_micros
from ladenbuch.domain.books import Booked, Books, Cover, Hand, PostedDocument, PostedLine
from ladenbuch.domain.document import CreditNoteDraft, InvoiceDraft


def _of_order(table: sa.Table) -> Statement:
    return Statement(sa.select(table).where(table.c.tenant == _T, table.c.order_id == _O))


# Built once: putting a statement together costs more than running it.
_OF_ORDER = {
    table: _of_order(table) for table in (intents, covers, documents, money_lines, bookings, resolutions, hands)
}


def load(tx: Transaction, tenant: str, order_id: str, unseal: Unseal) -> Books:
    """Everything posted and pinned for one order, as the value `plan` takes."""

    def of(table: sa.Table) -> Sequence[Any]:
        return _OF_ORDER[table].rows(tx, t=tenant, o=order_id)

    keys = of(intents)
    answers = sorted(of(resolutions), key=lambda row: row.at)
    answered = tuple((row.code, row.facts_hash, row.choice) for row in answers)
    if not keys:
        return Books(resolutions=answered, hands=tuple(_hand(row) for row in of(hands)))
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
        bookings=tuple(_booked(row) for row in of(bookings)),
        letters=frozenset(row.key for row in keys if row.kind == "letter" and row.done_at is not None),
        applied=applied,
        resolutions=answered,
        pending={row.key: from_micros(row.called_at) for row in keys if row.done_at is None and row.run_id},
        hands=tuple(_hand(row) for row in of(hands)),
    )


def document(tx: Transaction, tenant: str, order_id: str, key: str, unseal: Unseal) -> PostedDocument | None:
    """One document of an order by its key, as `load` would show it; None while it is not in the books."""
    row = next((row for row in _OF_ORDER[documents].rows(tx, t=tenant, o=order_id) if row.key == key), None)
    if row is None:
        return None
    covered = [one for one in _OF_ORDER[covers].rows(tx, t=tenant, o=order_id) if one.document_key == key]
    return _document(row, [Cover(one.fact_id, one.amount) for one in covered], unseal)


def applied(tx: Transaction, tenant: str, order_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """The keys that were carried out for each of these orders; without any, it is missing."""
    mine = sa.and_(intents.c.tenant == tenant, intents.c.order_id.in_(order_ids), intents.c.done_at.is_not(None))
    found: dict[str, set[str]] = {}
    for row in tx.execute(sa.select(intents.c.order_id, intents.c.key).where(mine)):
        found.setdefault(row.order_id, set()).add(row.key)
    return {order_id: frozenset(keys) for order_id, keys in found.items()}


def _booked(row: Any) -> Booked:
    account = None if row.transaction_id else row.account  # without a line of ours sevdesk made one there
    return Booked(row.key, row.payment_id, row.document_key, row.amount, True, account=account)


def _hand(row: Any) -> Hand:
    seen = json.loads(row.seen)
    rates = tuple((str(rate), int(gross)) for rate, gross in seen["by_rate"].items())
    return Hand(row.kind, row.document_key, seen["amount"], row.sevdesk_id, seen["number"], rates, seen["content"])


def _document(row: Any, covered: list[Cover], unseal: Unseal) -> PostedDocument:
    pins = json.loads(unseal(row.key, row.key_id, row.pins))
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
        dated=date.fromisoformat(row.invoice_date),
    )
