"""The life of one order as a list of dated sentences: what the dashboard shows, for the terminal."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from ladenbuch import books
from ladenbuch.bootstrap import Ladenbuch, utc_now
from ladenbuch.db import Store, Transaction
from ladenbuch.web.reads import SqlReads
from ladenbuch.web.words import Language


def story_of(house: Ladenbuch, tenant: str, order: str, language: Language = "en") -> dict[str, Any] | None:
    """Everything known of an order (gid, number or name) in order of time, in German or English; or None."""
    door = house.database.tenant(tenant)
    state = door.read(Store.BOOKS, lambda tx: _state(tx, tenant, order))
    if state is None:
        return None
    gid = state.order_id
    told = SqlReads(house.database, utc_now).timeline(tenant, gid, language)
    assert told is not None
    return {
        "order": gid,
        "name": state.name,
        "verdict": state.verdict,
        "code": state.code,
        "entries": [
            {"at": item.at.isoformat(), "what": item.kind, "sentence": item.sentence, "detail": dict(item.detail)}
            for item in told.entries
        ],
        "waiting": list(told.waiting),
        "decision": door.read(Store.BOOKS, lambda tx: _decision(tx, tenant, gid)),
        "attention": [
            {"code": item.code, "message": item.message, "facts": dict(item.facts), "choices": list(item.choices)}
            for item in told.attention
        ],
        "certificate": json.loads(state.certificate),
    }


def _state(tx: Transaction, tenant: str, order: str) -> Any:
    name = order if order.startswith("#") else f"#{order}"
    gid = order if order.startswith("gid://") else f"gid://shopify/Order/{order}"
    table = books.orders
    statement = sa.select(table).where(table.c.tenant == tenant)
    statement = statement.where(sa.or_(table.c.order_id == gid, table.c.name == name))
    return tx.execute(statement.order_by(table.c.processed_at.desc())).first()


def _decision(tx: Transaction, tenant: str, gid: str) -> dict[str, Any] | None:
    table = books.documents
    row = tx.execute(sa.select(table.c.tax).where(table.c.tenant == tenant, table.c.order_id == gid)).first()
    return json.loads(row.tax) if row is not None else None
