"""Secrets and personal data at rest: envelope encryption with AES-256-GCM, and keys that can be forgotten.

    LADENBUCH_KEYS (root keys) --wrap--> data keys of a tenant --wrap--> the keys of its subjects --seal--> rows

A ciphertext opens only for the tenant, the purpose and the row it was sealed for, wherever it was copied. Its key id
stands beside it. What was sealed for a *subject* (an order's gid, say) cannot be opened by anybody, in no store, once
`Vault.forget_subject` is on disk; nor anything of a tenant after `Vault.forget_tenant`. What bookkeeping law keeps is
sealed for `held(subject)`, so that the one can be forgotten years before the other.

Sealing and opening read no database: a tenant's keys are kept unwrapped for `age` seconds and then checked against
their versions, so that a process notices within seconds what another one forgot. Random 96-bit nonces: NIST SP
800-38D, 8.3, allows 2^32 of them per key; a subject's key seals a few rows.

Rows of before 2026-12 (`v1`: sealed with a root key, bound to tenant and purpose) still open; `keys rotate` moves them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ladenbuch.db import (
    Database,
    Sealed,
    Statement,
    Store,
    Transaction,
    books_metadata,
    from_micros,
    to_micros,
    upsert,
)
from ladenbuch.errors import Rejected
from ladenbuch.sealed import SealedColumn
from ladenbuch.vault import data_keys as stored
from ladenbuch.vault.data_keys import NONCE_BYTES, DataKey, TenantKeys
from ladenbuch.vault.data_keys import data_keys as data_keys
from ladenbuch.vault.data_keys import is_data_key as is_data_key
from ladenbuch.vault.data_keys import subject_keys as subject_keys
from ladenbuch.vault.keyring import KeyRing, generate_key
from ladenbuch.vault.tree import LEAVES, PATH_BYTES, Tree, grow

__all__ = ["SECRETS", "KeyRing", "Sealed", "Secret", "Vault", "generate_key", "secrets"]

#: Seconds a tenant's keys are used before they are checked again: how late another process may notice a forgetting.
AGE = 3.0
_REMEMBERED = 8_192  # keys of subjects, over all tenants
_TENANTS = 4_096
_OF_TENANT, _OF_SUBJECT = b"\0", b"\1"  # how a ciphertext begins; then, for a subject, the leaf of its key

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

SECRETS = SealedColumn(Store.BOOKS, secrets, "ciphertext", lambda row: _purpose(row.name), lambda row: None)


@dataclass(frozen=True)
class Secret:
    """An opened secret; its repr hides the value."""

    value: str = field(repr=False)
    expires_at: datetime | None


@dataclass(slots=True)
class _Known:
    """What is in memory of a tenant: its keys, until when they need no check, and the ciphers made of them."""

    keys: TenantKeys
    until: float
    sealers: dict[str | None, tuple[str, bytes, AESGCM]] = field(default_factory=dict, repr=False)


class Vault:
    """Seals and opens, forgets, and keeps named secrets per tenant. Thread-safe.

    Without a `database` the data keys live and die with the object: what it sealed, no other vault opens.
    """

    def __init__(
        self, keys: KeyRing, database: Database | None = None, *, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._ring = keys
        self._database = database
        self._ticks = ticks
        self._known: dict[str, _Known] = {}
        self._sealers = 0
        self._within = threading.local()

    def __repr__(self) -> str:
        return f"Vault({self._ring!r})"

    def seal(self, tenant: str, purpose: str, row: str, plaintext: bytes, subject: str | None = None) -> Sealed:
        """Encrypt for one tenant, purpose and row (its primary key); for `subject`, so that it can be forgotten.

        Raises Rejected("VAULT-KEY") when the tenant's newest data key is wrapped by a root key we do not hold.
        """
        try:
            known = self._of(tenant, make=True)
            key_id, head, cipher = known.sealers.get(subject) or self._sealer(known, subject)
        except BaseException:
            plaintext = b""  # a dump of this frame's variables shows nothing
            raise
        return Sealed(key_id, head + _encrypted(cipher, plaintext, _bound_to(tenant, purpose, key_id, row)))

    def open(self, tenant: str, purpose: str, row: str, sealed: Sealed) -> bytes:
        """Decrypt what was sealed for the same tenant, purpose and row.

        Raises Rejected("VAULT-OPEN") for another purpose or row, or altered bytes; Rejected("VAULT-FORGOTTEN") when the
        subject or the tenant was forgotten (or it was sealed for another tenant); Rejected("VAULT-KEY") when
        LADENBUCH_KEYS lacks a key.
        """
        if not stored.is_data_key(sealed.key_id):
            return self._open_v1(tenant, purpose, sealed)
        cipher, rest = self._opener(self._data_key(tenant, sealed.key_id), bytes(sealed.ciphertext))
        return _decrypted(cipher, rest, _bound_to(tenant, purpose, sealed.key_id, row))

    def forget_subject(self, tx: Transaction, tenant: str, *subjects: str) -> None:
        """Nothing sealed for these subjects until now opens any more, anywhere, once `tx` (books) is on disk.

        What is sealed for them later opens again. Raises Rejected("VAULT-KEY") when LADENBUCH_KEYS lacks a key that is
        still in use: nothing was forgotten then. v1 rows are not reached: run `keys rotate` before.
        """
        if self._database is None:
            raise RuntimeError("a vault without a database keeps no keys that could be forgotten")
        stored.forget_subjects(tx, tenant, self._ring, subjects)
        self._drop(tenant)

    def forget_tenant(self, tx: Transaction, tenant: str) -> None:
        """Nothing of this tenant opens any more once `tx` is on disk; its secrets are deleted as well.

        v1 rows are not reached: run `keys rotate` before.
        """
        stored.forget_tenant(tx, tenant)
        self.delete_secrets(tx, tenant)
        self._drop(tenant)

    def forgotten(self, tenant: str, subjects: Collection[str]) -> list[str]:
        """Those of the subjects that were forgotten at least once, as far as the tenant's keys tell."""
        return stored.forgotten(self._of(tenant).keys, subjects)

    # -- rotation --------------------------------------------------------------------------------------------------

    @property
    def root(self) -> str:
        """The root key that wraps."""
        return self._ring.primary

    def newest(self, tenant: str) -> str | None:
        """The data key that seals, as the database says now; None before the first one."""
        return self._look(tenant, None).keys.newest

    def older(self, tx: Transaction, tenant: str) -> list[str]:
        """The data keys of a tenant that no longer seal, oldest first."""
        return [key_id for key_id, _ in stored.stamp(tx, tenant)[:-1]]

    def rewrap(self, tx: Transaction, tenant: str) -> int:
        """Wrap the tenant's data keys with the first root key; how many were wrapped by another one.

        Raises Rejected("VAULT-KEY") when LADENBUCH_KEYS lacks the key one of them is wrapped by.
        """
        return stored.rewrap(tx, tenant, self._ring)

    def renew(self, tx: Transaction, tenant: str) -> str:
        """Begin a new data key for a tenant; its id. What is sealed with the older ones still opens."""
        key_id = stored.make(tx, tenant, self._ring)
        self._drop(tenant)
        return key_id

    def retire(self, tx: Transaction, tenant: str) -> int:
        """Drop all data keys of a tenant but the newest; how many. What was not sealed anew before is lost."""
        gone = self.older(tx, tenant)
        for key_id in gone:
            stored.drop(tx, tenant, key_id)
        self._drop(tenant)
        return len(gone)

    def wrapped_by(self, tx: Transaction) -> dict[str, int]:
        """How many data keys each root key wraps, over the tenants the door shows."""
        return stored.wrapped_by(tx)

    def reseal(self, tenant: str, purpose: str, row: str, sealed: Sealed, subject: str | None) -> Sealed:
        """The same content sealed with the newest data key. Raises what `open` raises.

        Both with the keys of one moment: a subject forgotten before cannot be opened, and one forgotten meanwhile is
        sealed with a key that was forgotten too. Nothing forgotten comes back.
        """
        known = self._of(tenant, make=True)
        if not stored.is_data_key(sealed.key_id):
            plain = self._open_v1(tenant, purpose, sealed)
        else:
            cipher, rest = self._opener(_key_of(known.keys, sealed.key_id), bytes(sealed.ciphertext))
            plain = _decrypted(cipher, rest, _bound_to(tenant, purpose, sealed.key_id, row))
        key_id, head, cipher = known.sealers.get(subject) or self._sealer(known, subject)
        return Sealed(key_id, head + _encrypted(cipher, plain, _bound_to(tenant, purpose, key_id, row)))

    # -- secrets ---------------------------------------------------------------------------------------------------

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
        try:
            sealed = self.seal(tenant, _purpose(name), name, value.encode())
        finally:
            value = ""  # a dump of this frame's variables shows nothing
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
        value = self.open(tenant, _purpose(name), name, Sealed(row.key_id, row.ciphertext)).decode()
        return Secret(value, None if row.expires_at is None else from_micros(row.expires_at))

    def secret_names(self, tx: Transaction, tenant: str) -> list[str]:
        """The names of a tenant's secrets."""
        query = sa.select(secrets.c.name).where(secrets.c.tenant == tenant).order_by(secrets.c.name)
        return list(tx.execute(query).scalars())

    def delete_secret(self, tx: Transaction, tenant: str, name: str) -> bool:
        """Forget one secret; False when there was none."""
        mine = (secrets.c.tenant == tenant) & (secrets.c.name == name)
        return tx.execute(sa.delete(secrets).where(mine)).rowcount == 1

    def delete_secrets(self, tx: Transaction, tenant: str, *, keep: Collection[str] = ()) -> int:
        """Forget the secrets of a tenant but those named in `keep`; how many went."""
        others = secrets.c.name.not_in(list(keep))
        return tx.execute(sa.delete(secrets).where(secrets.c.tenant == tenant, others)).rowcount

    # -- keys ------------------------------------------------------------------------------------------------------

    def _open_v1(self, tenant: str, purpose: str, sealed: Sealed) -> bytes:
        cipher = self._ring.cipher(sealed.key_id)
        return _decrypted(cipher, bytes(sealed.ciphertext), _bound_to_v1(tenant, purpose, sealed.key_id))

    def _sealer(self, known: _Known, subject: str | None) -> tuple[str, bytes, AESGCM]:
        newest = known.keys.newest
        assert newest is not None
        key = known.keys.by_id.get(newest)
        if key is None:
            raise _no_root(known.keys.lost[newest])
        if subject is None:
            made = key.id, _OF_TENANT, key.seals
        else:
            path = stored.first_path(key.tree, subject)
            made = key.id, _OF_SUBJECT + path.to_bytes(PATH_BYTES), _leaf(key.tree, path)
        if self._sealers >= _REMEMBERED:
            self._sealers = 0
            for other in list(self._known.values()):
                other.sealers.clear()
        self._sealers += 1
        known.sealers[subject] = made
        return made

    def _opener(self, key: DataKey, ciphertext: bytes) -> tuple[AESGCM, bytes]:
        if ciphertext.startswith(_OF_TENANT):
            return key.seals, ciphertext[1:]
        if not ciphertext.startswith(_OF_SUBJECT):
            raise _not_this()
        path = int.from_bytes(ciphertext[1 : 1 + PATH_BYTES])
        if path >= LEAVES:
            raise _not_this()
        return _leaf(key.tree, path), ciphertext[1 + PATH_BYTES :]

    def _data_key(self, tenant: str, key_id: str) -> DataKey:
        known = self._of(tenant)
        if key_id not in known.keys.by_id and key_id not in known.keys.lost:
            known = self._look(tenant, None)  # another process may just have made it
        return _key_of(known.keys, key_id)

    def _of(self, tenant: str, *, make: bool = False) -> _Known:
        known = self._known.get(tenant)
        if known is None or (self._ticks() >= known.until and (make or not self._out_of_reach())):
            known = self._seen().get(tenant) or self._look(tenant, known)
        return self._made(tenant) if make and known.keys.newest is None else known

    def _out_of_reach(self) -> bool:
        # A long reading of the inbox opens what it finds with the keys it began with; sealing waits for newer ones.
        return self._database is not None and self._database.elsewhere(Store.BOOKS)

    def _look(self, tenant: str, known: _Known | None) -> _Known:
        """The tenant's keys as they are now, in the transaction this thread is in, else in one of its own."""
        database = self._database
        if database is None:
            return self._known.setdefault(tenant, _Known(TenantKeys({}, {}, ()), float("inf")))
        until = self._ticks() + AGE

        def read(tx: Transaction) -> _Known:
            if known is not None and stored.stamp(tx, tenant) == known.keys.stamp:
                return known
            return _Known(stored.load(tx, tenant, self._ring), until)

        within = database.inside(Store.BOOKS)
        found = read(within.tx) if within is not None else database.tenant(tenant).read(Store.BOOKS, read)

        def keep() -> None:
            if len(self._known) >= _TENANTS:
                self._known.clear()
            found.until = until
            self._known[tenant] = found

        if within is None or within.read:
            keep()
        else:
            self._seen()[tenant] = found
            database.after_commit(keep)  # it may have seen what is rolled back
        return found

    def _seen(self) -> dict[str, _Known]:
        """The keys this thread has looked up in the write transaction it is in; empty in any other place."""
        within = None if self._database is None else self._database.inside(Store.BOOKS)
        if within is None or within.read:
            return {}
        if getattr(self._within, "mark", None) is not within.mark:
            self._within.mark, self._within.seen = within.mark, {}
        seen: dict[str, _Known] = self._within.seen
        return seen

    def _made(self, tenant: str) -> _Known:
        """The tenant's first key, made in the transaction this thread is in, else in one of its own."""
        database = self._database
        if database is None:
            key = DataKey(f"d:{os.urandom(8).hex()}", 0, AESGCM(os.urandom(32)), Tree(grow()))
            self._known[tenant] = _Known(TenantKeys({key.id: key}, {}, ((key.id, 0),)), float("inf"))
            return self._known[tenant]
        within = database.inside(Store.BOOKS)
        if within is not None:
            stored.make_first(within.tx, tenant, self._ring)
        else:
            database.tenant(tenant).run(Store.BOOKS, lambda tx: stored.make_first(tx, tenant, self._ring))
        return self._look(tenant, None)

    def _drop(self, tenant: str) -> None:
        """Forget what is in memory of a tenant, now and once the transaction is on disk."""
        if self._database is not None:
            self._known.pop(tenant, None)
            self._seen().pop(tenant, None)
            self._database.after_commit(partial(self._known.pop, tenant, None))


def _key_of(keys: TenantKeys, key_id: str) -> DataKey:
    if key_id in keys.lost:
        raise _no_root(keys.lost[key_id])
    try:
        return keys.by_id[key_id]
    except KeyError:
        raise _forgotten() from None


def _encrypted(cipher: AESGCM, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound_to)


def _decrypted(cipher: AESGCM, sealed: bytes, bound_to: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):  # ValueError: too short to be a ciphertext
        raise _not_this() from None


def _leaf(tree: Tree, path: int) -> AESGCM:
    key = tree.leaf(path)
    if key is None:
        raise _forgotten()
    return AESGCM(key)


def _forgotten() -> Rejected:
    return Rejected("VAULT-FORGOTTEN", "the key it was sealed with was forgotten, or is another tenant's")


def _not_this() -> Rejected:
    return Rejected("VAULT-OPEN", "sealed for another purpose or row, or altered")


def _no_root(key_id: str) -> Rejected:
    return Rejected("VAULT-KEY", f"LADENBUCH_KEYS does not hold the key {key_id!r}")


def _purpose(name: str) -> str:
    return f"secret:{name}"


@lru_cache(maxsize=4096)  # JSON costs as much as sealing a small body
def _bound_to_v1(tenant: str, purpose: str, key_id: str) -> bytes:
    # JSON, so that no choice of names can make two different triples look alike.
    return json.dumps(["ladenbuch.v1", tenant, purpose, key_id]).encode()


@lru_cache(maxsize=4096)
def _named(tenant: str, purpose: str, key_id: str) -> bytes:
    return json.dumps(["ladenbuch.v2", tenant, purpose, key_id]).encode()


def _bound_to(tenant: str, purpose: str, key_id: str, row: str) -> bytes:
    return _named(tenant, purpose, key_id) + row.encode()  # the row comes last: the JSON before it says where it ends
