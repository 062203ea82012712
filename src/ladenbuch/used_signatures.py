"""Signatures of mail providers that were taken once, and with which words: the same ones again say nothing new, and
other words under a used signature are somebody else's.

Mailgun's signature does not cover what is told beside it, so this is its whole protection; with the others it only
says that something came twice. Digests, no tenant, nothing of anybody; gone when the provider would be too late anyway.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from ladenbuch.db import Transaction, books_metadata, insert_new, to_micros

used = sa.Table(
    "used_signatures",
    books_metadata,
    sa.Column("provider", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)


def use(tx: Transaction, provider: str, signature: str, body: bytes, now: datetime) -> Literal["new", "same", "other"]:
    """Use a signature for a body: it is new, or was used with the same or another one. Through a system door."""
    digest, content = hashlib.sha256(signature.encode()).hexdigest(), hashlib.sha256(body).hexdigest()
    if insert_new(tx, used, provider=provider, digest=digest, body=content, at=to_micros(now)):
        return "new"
    query = sa.select(used.c.body).where(used.c.provider == provider, used.c.digest == digest)
    return "same" if tx.execute(query).scalar() == content else "other"


def prune(tx: Transaction, before: datetime) -> int:
    """Forget what was used before an instant; how many."""
    return int(tx.execute(sa.delete(used).where(used.c.at < to_micros(before))).rowcount)
