"""Open questions about orders, and what people answered (R16)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ladenbuch.books.columns import _O, _ORDER, _T
from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, to_micros, upsert
from ladenbuch.domain.facts import Problem

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

_ASKED = Statement(
    sa.select(attention.c.code, attention.c.since).where(attention.c.tenant == _T, attention.c.order_id == _O)
)


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


def drop_questions(tx: Transaction, tenant: str) -> None:
    """A tenant leaves: nobody is asked any more. What was answered stays."""
    tx.execute(sa.delete(attention).where(attention.c.tenant == tenant))


def erase_in_questions(tx: Transaction, tenant: str, order_id: str, text: str, instead: str) -> None:
    """A buyer's VAT id leaves what was written about an order: its years are over."""
    mine = (attention.c.tenant == tenant) & (attention.c.order_id == order_id)
    tx.execute(sa.update(attention).where(mine).values(message=sa.func.replace(attention.c.message, text, instead)))
