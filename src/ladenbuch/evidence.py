"""Answers about VAT ids, kept as proof: what was asked when, and what was said (UStG §6a (1) no. 4).

Rows are only added, never changed: a buyer's id that was valid on Monday and invalid on Friday has both answers. The
registered name is sealed, because it may be a person's; the id itself stays readable, as in the documents it decides.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sqlalchemy as sa

from ladenbuch.db import Statement, Transaction, books_metadata, from_micros, one_at_a_time, to_micros
from ladenbuch.domain.evidence import VatIdAnswer

Seal = Callable[[bytes], tuple[str, bytes]]
Unseal = Callable[[str, bytes], bytes]
#: What names are sealed for (`vault.Vault.seal`).
PURPOSE = "vat"
#: Longest id that is kept. No state's is longer than 14 characters; a buyer may write a letter into the field.
LONGEST = 64

vat_checks = sa.Table(
    "vat_checks",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("vat_id", sa.String(LONGEST), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("asked_at", sa.BigInteger, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("key_id", sa.String(64)),
    sa.Column("name", sa.LargeBinary),
    sa.Column("reference", sa.Text),
    info={"append_only": True},
)

# Built once: putting a statement together costs more than running it.
_MINE = sa.and_(vat_checks.c.tenant == sa.bindparam("t"), vat_checks.c.vat_id == sa.bindparam("v"))
_LAST = Statement(sa.select(sa.func.max(vat_checks.c.seq)).where(_MINE))
_LATEST = Statement(
    sa.select(vat_checks).where(_MINE).order_by(vat_checks.c.asked_at.desc(), vat_checks.c.seq.desc()).limit(1)
)
_HISTORY = Statement(sa.select(vat_checks).where(_MINE).order_by(vat_checks.c.asked_at, vat_checks.c.seq))
_ADD = Statement(sa.insert(vat_checks))


def record(tx: Transaction, tenant: str, answer: VatIdAnswer, seal: Seal) -> None:
    """Add an answer to the history of its id. Raises ValueError for an id longer than LONGEST, which is none."""
    if len(answer.vat_id) > LONGEST:
        raise ValueError("no VAT id is that long")
    # Two orders of one buyer may ask at the same instant; both answers are kept.
    one_at_a_time(tx, f"vat_checks {tenant} {answer.vat_id}")
    last = _LAST.scalar(tx, t=tenant, v=answer.vat_id)
    key_id, name = (None, None) if answer.name is None else seal(answer.name.encode())
    _ADD.change(
        tx,
        tenant=tenant,
        vat_id=answer.vat_id,
        seq=0 if last is None else last + 1,
        asked_at=to_micros(answer.asked_at),
        verdict=answer.verdict,
        key_id=key_id,
        name=name,
        reference=answer.reference,
    )


def latest(tx: Transaction, tenant: str, vat_ids: Iterable[str], unseal: Unseal) -> dict[str, VatIdAnswer]:
    """The answer asked for last, by id; ids nobody asked about are absent."""
    rows = (_LATEST.first(tx, t=tenant, v=vat_id) for vat_id in dict.fromkeys(vat_ids))
    return {row.vat_id: _answer(row, unseal) for row in rows if row is not None}


def history(tx: Transaction, tenant: str, vat_id: str, unseal: Unseal) -> list[VatIdAnswer]:
    """Every answer about an id, oldest first."""
    return [_answer(row, unseal) for row in _HISTORY.rows(tx, t=tenant, v=vat_id)]


def _answer(row: sa.Row[tuple[object, ...]], unseal: Unseal) -> VatIdAnswer:
    name = None if row.name is None else unseal(row.key_id, bytes(row.name)).decode()
    return VatIdAnswer(row.vat_id, row.verdict, from_micros(row.asked_at), name, row.reference)
