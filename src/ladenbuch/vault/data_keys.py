"""The tables `data_keys` and `subject_keys`: a tenant's keys, wrapped.

`data_keys` has one row per key of a tenant, wrapped by a root key; the one with the highest generation seals. Of each,
`subject_keys` holds the nodes of its tree of subjects (`vault.tree`), wrapped by the data key: one row at first, one
more for each subject forgotten. Whoever has these two tables and LADENBUCH_KEYS can open everything that was not
forgotten; whoever lacks one of them, nothing. So backups leave them out, or keep them for days only (decision 0012).

Functions take an open transaction of the books store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ladenbuch import erasure
from ladenbuch.db import Statement, Transaction, books_metadata, one_at_a_time
from ladenbuch.errors import Rejected
from ladenbuch.vault.keyring import KEY_BYTES, Key, KeyRing
from ladenbuch.vault.tree import Nodes, Tree, grow, packed, path_of, unpacked

NONCE_BYTES = 12

data_keys = sa.Table(
    "data_keys",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),  # counts forgettings, so that processes notice them
    sa.Column("wrapped_by", sa.Text, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("tenant", "generation"),
)
subject_keys = sa.Table(
    "subject_keys",
    books_metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)
_T, _K = (sa.bindparam(name, type_=sa.Text) for name in "tk")
_STAMP = Statement(
    sa.select(data_keys.c.key_id, data_keys.c.version).where(data_keys.c.tenant == _T).order_by(data_keys.c.generation)
)
_KEYS = Statement(sa.select(data_keys).where(data_keys.c.tenant == _T).order_by(data_keys.c.generation))
_PARTS = Statement(
    sa.select(subject_keys.c.part, subject_keys.c.wrapped)
    .where(subject_keys.c.tenant == _T, subject_keys.c.key_id == _K)
    .order_by(subject_keys.c.part)
)

Stamp = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DataKey:
    """One key of a tenant, unwrapped: `seals` what concerns no subject, `tree` gives the keys of subjects."""

    id: str
    version: int
    seals: AESGCM = field(repr=False)
    tree: Tree = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """All keys of a tenant, oldest first. `lost` names the root key for those LADENBUCH_KEYS cannot unwrap."""

    by_id: dict[str, DataKey]
    lost: dict[str, str]
    stamp: Stamp

    @property
    def newest(self) -> str | None:
        """The key that seals."""
        return self.stamp[-1][0] if self.stamp else None


def is_data_key(key_id: str) -> bool:
    """Whether an id is one of ours; those of root keys cannot have a colon."""
    return ":" in key_id


def stamp(tx: Transaction, tenant: str) -> Stamp:
    """Which keys there are, oldest first, each with its version: equal stamps mean equal keys."""
    return tuple((row.key_id, row.version) for row in _STAMP.rows(tx, t=tenant))


def load(tx: Transaction, tenant: str, ring: KeyRing) -> TenantKeys:
    """Every key of a tenant, unwrapped. Raises Rejected("VAULT-OPEN") for a wrapped key that was altered."""
    rows = _KEYS.rows(tx, t=tenant)
    by_id: dict[str, DataKey] = {}
    lost: dict[str, str] = {}
    for row in rows:
        if row.wrapped_by not in ring.ids:
            lost[row.key_id] = row.wrapped_by
            continue
        wraps, seals = _unwrapped(row, ring)
        nodes = Nodes()
        for part in _PARTS.rows(tx, t=tenant, k=row.key_id):
            nodes.update(_nodes(wraps, part, tenant, row.key_id))
        by_id[row.key_id] = DataKey(row.key_id, row.version, seals, Tree(nodes))
    return TenantKeys(by_id, lost, tuple((row.key_id, row.version) for row in rows))


def make(tx: Transaction, tenant: str, ring: KeyRing) -> str:
    """Make a new key for a tenant, the one that seals from now on; its id."""
    one_at_a_time(tx, f"data_keys {tenant}")
    newest = _KEYS.rows(tx, t=tenant)
    key_id = f"d:{os.urandom(8).hex()}"
    key = Key(os.urandom(KEY_BYTES))
    row = {"tenant": tenant, "key_id": key_id, "generation": newest[-1].generation + 1 if newest else 1, "version": 0}
    tx.execute(sa.insert(data_keys).values(**row, wrapped_by=ring.primary, wrapped=_wrapped(key, ring, row)))
    _add_part(tx, _purposes(key)[0], tenant, key_id, 0, grow())
    return key_id


def make_first(tx: Transaction, tenant: str, ring: KeyRing) -> None:
    """Make the tenant's first key unless somebody else just did.

    Raises Rejected("VAULT-FORGOTTEN") for a tenant that was erased: what still arrives for it is not kept.
    """
    one_at_a_time(tx, f"data_keys {tenant}")
    if stamp(tx, tenant):
        return
    if erasure.gone(tx, tenant):
        raise Rejected("VAULT-FORGOTTEN", "the tenant was erased; nothing is sealed for it any more")
    make(tx, tenant, ring)


def forget_subjects(tx: Transaction, tenant: str, ring: KeyRing, subjects: Collection[str]) -> None:
    """Make the keys of these subjects impossible to compute, under every key of the tenant.

    Raises Rejected("VAULT-KEY") when a root key is missing: nothing was forgotten then.
    """
    one_at_a_time(tx, f"data_keys {tenant}")
    _overwrite_what_is_deleted(tx)
    for row in _KEYS.rows(tx, t=tenant):
        wraps, _ = _unwrapped(row, ring)
        parts = {part.part: _nodes(wraps, part, tenant, row.key_id) for part in _PARTS.rows(tx, t=tenant, k=row.key_id)}
        part_of = {node: part for part, nodes in parts.items() for node in nodes}
        fresh = max(parts) + 1
        changed = {fresh}
        nodes = Nodes(item for some in parts.values() for item in some.items())
        parts[fresh] = Nodes()
        for subject in dict.fromkeys(subjects):
            tree = Tree(nodes)
            path = first_path(tree, subject)
            above, instead = tree.above(path), tree.without(path)
            assert above is not None
            changed.add(part := part_of.pop(above))
            del nodes[above], parts[part][above]
            nodes.update(instead)
            parts[fresh].update(instead)
            part_of |= dict.fromkeys(instead, fresh)
        mine = (subject_keys.c.tenant == tenant) & (subject_keys.c.key_id == row.key_id)
        for part in changed:
            tx.execute(sa.delete(subject_keys).where(mine, subject_keys.c.part == part))
            if parts[part]:
                _add_part(tx, wraps, tenant, row.key_id, part, parts[part])
        this = (data_keys.c.tenant == tenant) & (data_keys.c.key_id == row.key_id)
        tx.execute(sa.update(data_keys).where(this).values(version=row.version + 1))


def first_path(tree: Tree, subject: str) -> int:
    """The leaf a subject is sealed with: the first one of its leaves that was not forgotten."""
    number = 0
    while not tree.holds(path := path_of(subject, number)):
        number += 1
    return path


def forget_tenant(tx: Transaction, tenant: str) -> int:
    """Forget every key of a tenant; how many there were."""
    one_at_a_time(tx, f"data_keys {tenant}")
    _overwrite_what_is_deleted(tx)
    tx.execute(sa.delete(subject_keys).where(subject_keys.c.tenant == tenant))
    return tx.execute(sa.delete(data_keys).where(data_keys.c.tenant == tenant)).rowcount


def drop(tx: Transaction, tenant: str, key_id: str) -> None:
    """Forget one key of a tenant, not the newest."""
    one_at_a_time(tx, f"data_keys {tenant}")
    assert stamp(tx, tenant)[-1][0] != key_id, "the newest key seals"
    _overwrite_what_is_deleted(tx)
    for table in (subject_keys, data_keys):
        tx.execute(sa.delete(table).where(table.c.tenant == tenant, table.c.key_id == key_id))


def rewrap(tx: Transaction, tenant: str, ring: KeyRing) -> int:
    """Wrap the tenant's keys with the first root key; how many were wrapped by another one.

    Raises Rejected("VAULT-KEY") when one of them cannot be unwrapped.
    """
    one_at_a_time(tx, f"data_keys {tenant}")
    old = [row for row in _KEYS.rows(tx, t=tenant) if row.wrapped_by != ring.primary]
    if old:
        _overwrite_what_is_deleted(tx)
    for row in old:
        wrapped = _wrapped(_data_key(row, ring), ring, row._asdict())
        this = (data_keys.c.tenant == tenant) & (data_keys.c.key_id == row.key_id)
        tx.execute(sa.update(data_keys).where(this).values(wrapped_by=ring.primary, wrapped=wrapped))
    return len(old)


def wrapped_by(tx: Transaction) -> dict[str, int]:
    """How many data keys each root key wraps, over all tenants."""
    query = sa.select(data_keys.c.wrapped_by, sa.func.count()).group_by(data_keys.c.wrapped_by)
    return {row[0]: int(row[1]) for row in tx.execute(query)}


def _data_key(row: sa.Row[tuple[object, ...]], ring: KeyRing) -> bytes:
    return Key(_opened(ring.cipher(row.wrapped_by), row.wrapped, _name_of_key(row._asdict(), row.wrapped_by)))


def _unwrapped(row: sa.Row[tuple[object, ...]], ring: KeyRing) -> tuple[AESGCM, AESGCM]:
    return _purposes(_data_key(row, ring))


def _purposes(key: bytes) -> tuple[AESGCM, AESGCM]:
    """What wraps the nodes of the tree, and what seals."""
    return AESGCM(blake2s(b"wraps", key=key).digest()), AESGCM(blake2s(b"seals", key=key).digest())


def _wrapped(key: bytes, ring: KeyRing, row: dict[str, object]) -> bytes:
    return _closed(ring.cipher(ring.primary), key, _name_of_key(row, ring.primary))


def _name_of_key(row: dict[str, object], root: str) -> bytes:
    return json.dumps(["ladenbuch.v2.data-key", row["tenant"], row["key_id"], row["generation"], root]).encode()


def _nodes(wraps: AESGCM, part: sa.Row[tuple[object, ...]], tenant: str, key_id: str) -> Nodes:
    return unpacked(_opened(wraps, part.wrapped, _name_of_part(tenant, key_id, part.part)))


def _add_part(tx: Transaction, wraps: AESGCM, tenant: str, key_id: str, part: int, nodes: Nodes) -> None:
    wrapped = _closed(wraps, packed(nodes), _name_of_part(tenant, key_id, part))
    tx.execute(sa.insert(subject_keys).values(tenant=tenant, key_id=key_id, part=part, wrapped=wrapped))


def _name_of_part(tenant: str, key_id: str, part: int) -> bytes:
    return json.dumps(["ladenbuch.v2.subjects", tenant, key_id, part]).encode()


def _closed(cipher: AESGCM, plain: bytes, name: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, name)


def _opened(cipher: AESGCM, wrapped: bytes, name: bytes) -> bytes:
    wrapped = bytes(wrapped)
    try:
        return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name)
    except (InvalidTag, ValueError):
        raise Rejected("VAULT-OPEN", "a data key was altered, or belongs to another tenant") from None


def _overwrite_what_is_deleted(tx: Transaction) -> None:
    # SQLite leaves deleted bytes in the file until it needs the room. (PostgreSQL does until VACUUM: decision 0012.)
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql("PRAGMA secure_delete=ON")


def forgotten(keys: TenantKeys, subjects: Collection[str]) -> list[str]:
    """Those of the subjects that were forgotten at least once: their first leaf is gone under a key that is held."""
    trees = [key.tree for key in keys.by_id.values()]
    return [one for one in subjects if any(not tree.holds(path_of(one, 0)) for tree in trees)]


def replace_all(tx: Transaction, rows: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """Put the newest copy of both tables, by name, in the place of what a backup held of them (decision 0012)."""
    _overwrite_what_is_deleted(tx)
    for table in (subject_keys, data_keys):
        tx.execute(sa.delete(table))
        if rows[table.name]:
            tx.execute(sa.insert(table), list(map(dict, rows[table.name])))
