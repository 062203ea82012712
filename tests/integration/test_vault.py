"""Secrets at rest: bound to tenant, purpose and key (S39, S44, S49, B16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch import vault as vaults
from ladenbuch.db import Database, Sealed, Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.vault import KeyRing, Vault, generate_key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOKEN = "shpat_0123456789abcdef"
OLD, NEW = generate_key(), generate_key()
VAULT = Vault(KeyRing.parse(OLD))


def code(fn: Any, *arguments: Any) -> str:
    with pytest.raises(Rejected) as caught:
        fn(*arguments)
    return caught.value.code


@given(st.binary(max_size=300), st.text(), st.text())
def test_what_is_sealed_opens_for_the_same_tenant_and_purpose(data: bytes, tenant: str, purpose: str) -> None:
    assert VAULT.open(tenant, purpose, VAULT.seal(tenant, purpose, data)) == data


def test_s44_another_tenant_purpose_or_key_id_does_not_open() -> None:
    both = Vault(KeyRing.parse(f"{OLD},{NEW}"))
    sealed = both.seal("a", "token", b"x")
    assert code(both.open, "b", "token", sealed) == "VAULT-OPEN"
    assert code(both.open, "a", "body", sealed) == "VAULT-OPEN"
    assert code(both.open, "a", "token", Sealed(NEW.split(":")[0], sealed.ciphertext)) == "VAULT-OPEN"
    assert code(Vault(KeyRing.parse(NEW)).open, "a", "token", sealed) == "VAULT-KEY"


def test_names_cannot_be_shifted_between_tenant_and_purpose() -> None:
    assert code(VAULT.open, "a", "b,c", VAULT.seal("a,b", "c", b"x")) == "VAULT-OPEN"
    assert code(VAULT.open, 'a","b', "c", VAULT.seal("a", 'b","c', b"x")) == "VAULT-OPEN"


@given(st.data())
def test_a_flipped_bit_does_not_open(data: st.DataObject) -> None:
    sealed = VAULT.seal("a", "p", b"0123456789")
    position = data.draw(st.integers(0, len(sealed.ciphertext) * 8 - 1))
    flipped = bytearray(sealed.ciphertext)
    flipped[position // 8] ^= 1 << position % 8
    assert code(VAULT.open, "a", "p", Sealed(sealed.key_id, bytes(flipped))) == "VAULT-OPEN"


@pytest.mark.parametrize("length", [0, 5, 12, 20, 27])
def test_a_cut_ciphertext_does_not_open(length: int) -> None:
    sealed = VAULT.seal("a", "p", b"0123456789")
    assert code(VAULT.open, "a", "p", Sealed(sealed.key_id, sealed.ciphertext[:length])) == "VAULT-OPEN"


def test_every_sealing_has_its_own_nonce() -> None:
    assert len({VAULT.seal("a", "p", b"same").ciphertext[:12] for _ in range(2000)}) == 2000


def test_s7_nothing_secret_is_in_a_repr() -> None:
    key = OLD.split(":")[1]
    assert key not in repr(KeyRing.parse(OLD)) + repr(VAULT)
    assert "ciphertext" not in repr(VAULT.seal("a", "p", b"x"))
    assert TOKEN not in repr(vaults.Secret(TOKEN, None))


@pytest.mark.parametrize(
    "text",
    ["", " , ", "k1", "k1:", "k1:c2hvcnQ=", ":" + OLD.split(":")[1], f"{OLD},{OLD}"],
    ids=["empty", "comma", "no-colon", "no-key", "short", "no-id", "twice"],
)
def test_s8_wrong_keys_name_the_variable_only(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        KeyRing.parse(text)
    assert "LADENBUCH_KEYS" in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)
    assert OLD.split(":")[1] not in str(caught.value)


def test_s39_a_secret_is_stored_as_ciphertext_only(database: Database) -> None:
    door = database.tenant("t1")
    expires = NOW + timedelta(hours=1)
    door.run(Store.BOOKS, lambda tx: VAULT.put_secret(tx, "t1", "shopify", "old", NOW))
    door.run(Store.BOOKS, lambda tx: VAULT.put_secret(tx, "t1", "shopify", TOKEN, NOW, expires))
    found = door.read(Store.BOOKS, lambda tx: VAULT.get_secret(tx, "t1", "shopify"))
    assert found == vaults.Secret(TOKEN, expires)
    rows = door.read(Store.BOOKS, lambda tx: tx.execute(sa.select(vaults.secrets)).all())
    assert len(rows) == 1
    assert TOKEN.encode() not in bytes(rows[0].ciphertext)
    assert rows[0].key_id == OLD.split(":")[0]
    assert door.read(Store.BOOKS, lambda tx: VAULT.get_secret(tx, "t1", "sevdesk")) is None


def test_s44_a_row_copied_to_another_tenant_or_name_does_not_open(database: Database) -> None:
    system = database.system("operator")

    def copy(tx: sa.Connection) -> None:
        VAULT.put_secret(tx, "a", "shopify", TOKEN, NOW)
        row = tx.execute(sa.select(vaults.secrets)).mappings().one()
        tx.execute(sa.insert(vaults.secrets).values(**{**row, "tenant": "b"}))
        tx.execute(sa.insert(vaults.secrets).values(**{**row, "name": "sevdesk"}))

    system.run(Store.BOOKS, copy)
    for tenant, name in (("b", "shopify"), ("a", "sevdesk")):
        assert code(system.read, Store.BOOKS, lambda tx, t=tenant, n=name: VAULT.get_secret(tx, t, n)) == "VAULT-OPEN"


def test_s49_rotation_moves_every_secret_to_the_first_key(database: Database) -> None:
    door = database.tenant("t1")

    def fill(tx: sa.Connection) -> None:
        for i in range(25):
            VAULT.put_secret(tx, "t1", f"s{i}", f"value {i}", NOW)

    door.run(Store.BOOKS, fill)
    both, new = Vault(KeyRing.parse(f"{NEW},{OLD}")), Vault(KeyRing.parse(NEW))
    done = [door.run(Store.BOOKS, lambda tx: both.rotate_secrets(tx, "t1", 10)) for _ in range(4)]
    assert done == [10, 10, 5, 0]
    for i in range(25):
        found = door.read(Store.BOOKS, lambda tx, i=i: new.get_secret(tx, "t1", f"s{i}"))
        assert found is not None
        assert found.value == f"value {i}"


def test_forgetting_a_tenants_secrets_leaves_the_others(database: Database) -> None:
    system = database.system("lifecycle")

    def fill(tx: sa.Connection) -> int:
        for tenant in ("a", "b"):
            VAULT.put_secret(tx, tenant, "x", "1", NOW)
            VAULT.put_secret(tx, tenant, "y", "2", NOW)
        return VAULT.delete_secrets(tx, "a")

    assert system.run(Store.BOOKS, fill) == 2
    assert system.read(Store.BOOKS, lambda tx: VAULT.get_secret(tx, "a", "x")) is None
    assert system.read(Store.BOOKS, lambda tx: VAULT.get_secret(tx, "b", "y")) is not None
