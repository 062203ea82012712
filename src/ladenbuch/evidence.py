"""Answers about VAT ids, kept as proof: what was asked when, and what was said (UStG §6a (1) no. 4).

Rows are only added, never changed: a buyer's id that was valid on Monday and invalid on Friday has both answers. The
registered name is sealed, because it may be a person's, in a table of its own; the id itself stays readable, as in the
documents it decides.

Functions take an open transaction of the books store and never open one. Instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from ladenbuch.db import Statement, Store, Transaction, books_metadata, from_micros, one_at_a_time, to_micros
from ladenbuch.domain.evidence import VatIdAnswer
from ladenbuch.errors import Rejected
from ladenbuch.sealed import Seal, SealedColumn, Unseal, held, row_id

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
    sa.Column("reference", sa.Text),
    info={"append_only": True},
)
vat_names = sa.Table(  # a table of its own: ciphertext is sealed anew when keys are rotated, an answer never changes
    "vat_names",
    books_metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("vat_id", sa.String(LONGEST), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("name", sa.LargeBinary, nullable=False),
)
#: The registered name is part of the proof (§6a (1) no. 4 UStG): kept as long as the documents it decides.
NAMES = SealedColumn(Store.BOOKS, vat_names, "name", lambda row: PURPOSE, lambda row: held(str(row.vat_id)))

# Built once: putting a statement together costs more than running it.
_MINE = sa.and_(vat_checks.c.tenant == sa.bindparam("t"), vat_checks.c.vat_id == sa.bindparam("v"))
_LAST = Statement(sa.select(sa.func.max(vat_checks.c.seq)).where(_MINE))
_NAMED = sa.and_(
    vat_checks.c.tenant == vat_names.c.tenant,
    vat_checks.c.vat_id == vat_names.c.vat_id,
    vat_checks.c.seq == vat_names.c.seq,
)
_ANSWERS = (
    sa.select(vat_checks, vat_names.c.key_id, vat_names.c.name)
    .select_from(vat_checks.outerjoin(vat_names, _NAMED))
    .where(_MINE)
)
_LATEST = Statement(_ANSWERS.order_by(vat_checks.c.asked_at.desc(), vat_checks.c.seq.desc()).limit(1))
_HISTORY = Statement(_ANSWERS.order_by(vat_checks.c.asked_at, vat_checks.c.seq))
_ADD = Statement(sa.insert(vat_checks))
_ADD_NAME = Statement(sa.insert(vat_names))


def record(tx: Transaction, tenant: str, answer: VatIdAnswer, seal: Seal) -> None:
    """Add an answer to the history of its id. Raises ValueError for an id longer than LONGEST, which is none."""
    if len(answer.vat_id) > LONGEST:
        raise ValueError("no VAT id is that long")
    # Two orders of one buyer may ask at the same instant; both answers are kept.
    one_at_a_time(tx, f"vat_checks {tenant} {answer.vat_id}")
    last = _LAST.scalar(tx, t=tenant, v=answer.vat_id)
    row = {"tenant": tenant, "vat_id": answer.vat_id, "seq": 0 if last is None else last + 1}
    _ADD.change(
        tx,
        **row,
        asked_at=to_micros(answer.asked_at),
        verdict=answer.verdict,
        reference=answer.reference,
    )
    if answer.name is not None:
        key_id, name = seal(row_id(answer.vat_id, row["seq"]), answer.name.encode())
        _ADD_NAME.change(tx, **row, key_id=key_id, name=name)


def latest(tx: Transaction, tenant: str, vat_ids: Iterable[str], unseal: Unseal) -> dict[str, VatIdAnswer]:
    """The answer asked for last, by id; ids nobody asked about are absent."""
    rows = (_LATEST.first(tx, t=tenant, v=vat_id) for vat_id in dict.fromkeys(vat_ids))
    return {row.vat_id: _answer(row, unseal) for row in rows if row is not None}


def history(tx: Transaction, tenant: str, vat_id: str, unseal: Unseal) -> list[VatIdAnswer]:
    """Every answer about an id, oldest first."""
    return [_answer(row, unseal) for row in _HISTORY.rows(tx, t=tenant, v=vat_id)]


def _answer(row: sa.Row[tuple[object, ...]], unseal: Unseal) -> VatIdAnswer:
    name = None if row.name is None else _name(row, unseal)
    return VatIdAnswer(row.vat_id, row.verdict, from_micros(row.asked_at), name, row.reference)


def _name(row: sa.Row[tuple[object, ...]], unseal: Unseal) -> str | None:
    try:
        return unseal(row_id(row.vat_id, row.seq), row.key_id, bytes(row.name)).decode()
    except Rejected as refusal:
        if refusal.code != "VAULT-FORGOTTEN":
            raise
        return None


def forget_names(tx: Transaction, tenant: str, vat_id: str) -> int:
    """The names that answers gave for an id are deleted; that it was asked, and the verdict, stay."""
    mine = (vat_names.c.tenant == tenant) & (vat_names.c.vat_id == vat_id)
    return int(tx.execute(sa.delete(vat_names).where(mine)).rowcount)
