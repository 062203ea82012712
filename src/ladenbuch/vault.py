"""Secrets and personal data at rest: AES-256-GCM, bound to a tenant and a purpose, key id in every row.

A ciphertext copied to another tenant's row, another purpose or another key id does not open. The keys come
from LADENBUCH_KEYS: the first one seals, all of them open, so that a new key can be put in front at any time
and `rotate_secrets` moves the rows over. Sealing uses a random 96-bit nonce; NIST SP 800-38D, 8.3, allows
2^32 of them per key, so rotate long before.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets as _random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ladenbuch.db import Sealed, Statement, Transaction, books_metadata, from_micros, to_micros, upsert
from ladenbuch.errors import Rejected, UsageError

__all__ = ["KeyRing", "Sealed", "Secret", "Vault", "generate_key", "secrets"]

_KEY_BYTES, _NONCE_BYTES = 32, 12

secrets = sa.Table(
    "secrets",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False, index=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)
_SECRET = Statement(
    sa.select(secrets.c.key_id, secrets.c.ciphertext, secrets.c.expires_at).where(
        secrets.c.tenant == sa.bindparam("t"), secrets.c.name == sa.bindparam("n")
    )
)


def generate_key() -> str:
    """A new random key in the form LADENBUCH_KEYS takes: id:base64-of-32-bytes."""
    return f"k{_random.token_hex(4)}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


class KeyRing:
    """Keys by id; the first one seals. Its repr shows ids only."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise UsageError("SETTING", "LADENBUCH_KEYS holds no key; make one with: ladenbuch keys generate")
        self.primary = next(iter(keys))
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read "id:base64,id:base64". Raises UsageError("SETTING"), never quoting what it read."""
        keys: dict[str, bytes] = {}
        for number, part in enumerate((p.strip() for p in text.split(",") if p.strip()), start=1):
            key_id, colon, encoded = part.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not colon or not key_id or len(key) != _KEY_BYTES:
                raise UsageError("SETTING", f"LADENBUCH_KEYS: entry {number} is not id:base64-of-32-bytes") from None
            if key_id in keys:
                raise UsageError("SETTING", f"LADENBUCH_KEYS: entry {number} repeats the id of another key")
            keys[key_id] = key
        return cls(keys)

    def cipher(self, key_id: str) -> AESGCM:
        """The cipher of a key. Raises Rejected("VAULT-KEY") when the ring does not hold it."""
        try:
            return self._ciphers[key_id]
        except KeyError:
            raise Rejected("VAULT-KEY", f"LADENBUCH_KEYS does not hold the key {key_id!r}") from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._ciphers)})"


@dataclass(frozen=True)
class Secret:
    """An opened secret; its repr hides the value."""

    value: str = field(repr=False)
    expires_at: datetime | None


class Vault:
    """Seals and opens with a key ring, and keeps named secrets per tenant."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        return f"Vault({self._keys!r})"

    def seal(self, tenant: str, purpose: str, plaintext: bytes) -> Sealed:
        """Encrypt for one tenant and purpose under the primary key."""
        key_id = self._keys.primary
        nonce = os.urandom(_NONCE_BYTES)
        body = self._keys.cipher(key_id).encrypt(nonce, plaintext, _bound_to(tenant, purpose, key_id))
        return Sealed(key_id, nonce + body)

    def open(self, tenant: str, purpose: str, sealed: Sealed) -> bytes:
        """Decrypt what was sealed for the same tenant and purpose.

        Raises Rejected("VAULT-OPEN") for another tenant, another purpose or altered bytes,
        Rejected("VAULT-KEY") when its key is not in the ring.
        """
        nonce, body = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        cipher = self._keys.cipher(sealed.key_id)
        try:
            return cipher.decrypt(nonce, body, _bound_to(tenant, purpose, sealed.key_id))
        except (InvalidTag, ValueError):  # ValueError: too short to be a ciphertext
            raise Rejected("VAULT-OPEN", "sealed for another tenant or purpose, or altered") from None

    def put_secret(
        self,
        tx: Transaction,
        tenant: str,
        name: str,
        value: str,
        now: datetime,
        expires_at: datetime | None = None,
    ) -> None:
        """Keep a secret under a name, replacing what was there."""
        sealed = self.seal(tenant, _purpose(name), value.encode())
        upsert(
            tx,
            secrets,
            tenant=tenant,
            name=name,
            key_id=sealed.key_id,
            ciphertext=sealed.ciphertext,
            expires_at=None if expires_at is None else to_micros(expires_at),
            updated_at=to_micros(now),
        )

    def get_secret(self, tx: Transaction, tenant: str, name: str) -> Secret | None:
        """The secret of that name, or None. Expired ones come back too: the caller has the clock."""
        row = _SECRET.first(tx, t=tenant, n=name)
        if row is None:
            return None
        value = self.open(tenant, _purpose(name), Sealed(row.key_id, row.ciphertext)).decode()
        return Secret(value, None if row.expires_at is None else from_micros(row.expires_at))

    def delete_secret(self, tx: Transaction, tenant: str, name: str) -> bool:
        """Forget one secret; False when there was none."""
        mine = (secrets.c.tenant == tenant) & (secrets.c.name == name)
        return tx.execute(sa.delete(secrets).where(mine)).rowcount == 1

    def delete_secrets(self, tx: Transaction, tenant: str, *, keep: Collection[str] = ()) -> int:
        """Forget the secrets of a tenant but those named in `keep`; how many went."""
        others = secrets.c.name.not_in(list(keep))
        return tx.execute(sa.delete(secrets).where(secrets.c.tenant == tenant, others)).rowcount

    def rotate_secrets(self, tx: Transaction, tenant: str, limit: int = 500) -> int:
        """Seal up to `limit` secrets of a tenant anew that are not under the primary key; how many it did."""
        old = (secrets.c.tenant == tenant) & (secrets.c.key_id != self._keys.primary)
        rows = tx.execute(
            sa.select(secrets.c.name, secrets.c.key_id, secrets.c.ciphertext).where(old).limit(limit)
        ).all()
        for row in rows:
            purpose = _purpose(row.name)
            sealed = self.seal(tenant, purpose, self.open(tenant, purpose, Sealed(row.key_id, row.ciphertext)))
            # The old ciphertext in the condition: a secret replaced meanwhile is newer than what we read.
            tx.execute(
                sa.update(secrets)
                .where(secrets.c.tenant == tenant, secrets.c.name == row.name)
                .where(secrets.c.ciphertext == row.ciphertext)
                .values(key_id=sealed.key_id, ciphertext=sealed.ciphertext)
            )
        return len(rows)


def _purpose(name: str) -> str:
    return f"secret:{name}"


@lru_cache(maxsize=4096)  # JSON costs as much as sealing a small body
def _bound_to(tenant: str, purpose: str, key_id: str) -> bytes:
    # JSON, so that no choice of names can make two different triples look alike.
    return json.dumps(["ladenbuch.v1", tenant, purpose, key_id]).encode()
