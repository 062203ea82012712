"""The life of one order as a list of dated sentences, read from inbox, books, outbox and the audit chain."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, books, inbox, outbox
from ladenbuch.bootstrap import Ladenbuch
from ladenbuch.db import Store, Transaction, from_micros

_WHAT = {
    "draft": "decided",
    "finalised": "posted",
    "money": "paid",
    "booked": "paid",
    "promised": "mailed",
    "mailed": "mailed",
    "attention": "asks",
    "stop": "stopped",
}


def story_of(house: Ladenbuch, tenant: str, order: str) -> dict[str, Any] | None:
    """Everything known of an order (gid, number or name) in order of time, or None."""
    door = house.database.tenant(tenant)
    state = door.read(Store.BOOKS, lambda tx: _state(tx, tenant, order))
    if state is None:
        return None
    gid = state.order_id
    heard = door.read(Store.INBOX, lambda tx: inbox.history(tx, tenant, gid))
    entries = [
        {
            "at": from_micros(row["received_at"]).isoformat(),
            "what": "heard",
            "sentence": f"Shopify told us: {row['topic']}.",
        }
        for row in heard
    ]

    def told(tx: Transaction) -> list[dict[str, Any]]:
        found = [
            {"at": item.at.isoformat(), "what": _WHAT.get(item.event, "noted"), "sentence": item.sentence}
            for item in audit.entries(tx, tenant, gid)
        ]
        for letter in outbox.of_order(tx, tenant, gid):
            if letter.state in ("uncertain", "failed"):
                sentence = f"The letter is {letter.state}: {letter.reason}"
                found.append({"at": letter.changed_at.isoformat(), "what": "mailed", "sentence": sentence})
        return found

    entries += door.read(Store.BOOKS, told)
    open_items = door.read(Store.BOOKS, lambda tx: _attention(tx, tenant, gid))
    decision = door.read(Store.BOOKS, lambda tx: _decision(tx, tenant, gid))
    return {
        "order": gid,
        "name": state.name,
        "verdict": state.verdict,
        "code": state.code,
        "entries": sorted(entries, key=lambda entry: entry["at"]),
        "decision": decision,
        "attention": open_items,
        "certificate": json.loads(state.certificate),
    }


def _state(tx: Transaction, tenant: str, order: str) -> Any:
    name = order if order.startswith("#") else f"#{order}"
    gid = order if order.startswith("gid://") else f"gid://shopify/Order/{order}"
    table = books.orders
    statement = sa.select(table).where(table.c.tenant == tenant)
    statement = statement.where(sa.or_(table.c.order_id == gid, table.c.name == name))
    return tx.execute(statement.order_by(table.c.processed_at.desc())).first()


def _attention(tx: Transaction, tenant: str, gid: str) -> list[dict[str, Any]]:
    table = books.attention
    rows = tx.execute(sa.select(table).where(table.c.tenant == tenant, table.c.order_id == gid))
    return [{"code": row.code, "message": row.message, "choices": json.loads(row.choices)} for row in rows]


def _decision(tx: Transaction, tenant: str, gid: str) -> dict[str, Any] | None:
    table = books.documents
    row = tx.execute(sa.select(table.c.tax).where(table.c.tenant == tenant, table.c.order_id == gid)).first()
    return json.loads(row.tax) if row is not None else None
