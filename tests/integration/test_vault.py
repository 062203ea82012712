"""Secrets and personal data at rest: bound to tenant, purpose and row, and forgettable (S39, S44, S49, B9, B16)."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from ladenbuch import vault as vaults
from ladenbuch.db import Database, Sealed, Store
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.sealed import held
from ladenbuch.telemetry import configure_logging
from ladenbuch.vault import KeyRing, Vault, generate_key

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOKEN = "shpat_0123456789abcdef"
OLD, NEW = generate_key(), generate_key()
VAULT = Vault(KeyRing.parse(OLD))


def code(fn: Any, *arguments: Any) -> str:
    with pytest.raises(Rejected) as caught:
        fn(*arguments)
    return caught.value.code


@given(st.binary(max_size=300), st.text(), st.text(), st.none() | st.text())
def test_what_is_sealed_opens_for_the_same_row(data: bytes, tenant: str, row: str, subject: str | None) -> None:
    assert VAULT.open(tenant, "p", row, VAULT.seal(tenant, "p", row, data, subject)) == data


@pytest.mark.parametrize("subject", [None, "order 1"])
def test_s44_another_tenant_purpose_row_or_key_does_not_open(subject: str | None) -> None:
    sealed = VAULT.seal("a", "token", "1", b"x", subject)
    assert code(VAULT.open, "b", "token", "1", sealed) == "VAULT-FORGOTTEN", "of no key that b has"
    assert code(VAULT.open, "a", "body", "1", sealed) == "VAULT-OPEN"
    assert code(VAULT.open, "a", "token", "2", sealed) == "VAULT-OPEN"
    assert code(VAULT.open, "a", "token", "1", Sealed("d:0", sealed.ciphertext)) == "VAULT-FORGOTTEN"
    assert code(VAULT.open, "a", "token", "1", Sealed("k1", sealed.ciphertext)) == "VAULT-KEY"


def test_names_cannot_be_shifted_between_tenant_purpose_and_row() -> None:
    assert code(VAULT.open, "a", "b,c", "", VAULT.seal("a", "b", "c", b"x")) == "VAULT-OPEN"
    assert code(VAULT.open, "a", "b", '"]c', VAULT.seal("a", 'b"]', "c", b"x")) == "VAULT-OPEN"
    assert code(VAULT.open, "a", "bc", "", VAULT.seal("a", "b", "c", b"x")) == "VAULT-OPEN"


@given(st.data(), st.sampled_from([None, "order 1"]))
def test_a_flipped_bit_does_not_open(data: st.DataObject, subject: str | None) -> None:
    sealed = VAULT.seal("a", "p", "r", b"0123456789", subject)
    position = data.draw(st.integers(0, len(sealed.ciphertext) * 8 - 1))
    flipped = bytearray(sealed.ciphertext)
    flipped[position // 8] ^= 1 << position % 8
    assert code(VAULT.open, "a", "p", "r", Sealed(sealed.key_id, bytes(flipped))) == "VAULT-OPEN"


@pytest.mark.parametrize("subject", [None, "order 1"])
def test_a_cut_ciphertext_does_not_open(subject: str | None) -> None:
    sealed = VAULT.seal("a", "p", "r", b"0123456789", subject)
    for length in range(len(sealed.ciphertext)):
        assert code(VAULT.open, "a", "p", "r", Sealed(sealed.key_id, sealed.ciphertext[:length])) == "VAULT-OPEN"


def test_every_sealing_has_its_own_nonce() -> None:
    assert len({VAULT.seal("a", "p", "r", b"same").ciphertext[1:13] for _ in range(2000)}) == 2000


def test_s7_nothing_secret_is_in_a_repr() -> None:
    key = OLD.split(":")[1]
    assert key not in repr(KeyRing.parse(OLD)) + repr(VAULT)
    assert "ciphertext" not in repr(VAULT.seal("a", "p", "r", b"x"))
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


def vault(database: Database, keys: str = OLD, **more: Any) -> Vault:
    return Vault(KeyRing.parse(keys), database, **more)


def rows_of(database: Database, *tables: sa.Table) -> list[Any]:
    door = database.system("doctor")
    return [
        row for table in tables for row in door.read(Store.BOOKS, lambda tx, t=table: tx.execute(sa.select(t)).all())
    ]


def test_s39_s49_s133_a_secret_is_stored_as_ciphertext_only(database: Database) -> None:
    """S133: a token is shown once; it is kept with its expiry, as ciphertext only."""
    door, mine = database.tenant("t1"), vault(database)
    expires = NOW + timedelta(hours=1)
    door.run(Store.BOOKS, lambda tx: mine.put_secret(tx, "t1", "shopify", "old", NOW))
    door.run(Store.BOOKS, lambda tx: mine.put_secret(tx, "t1", "shopify", TOKEN, NOW, expires))
    found = door.read(Store.BOOKS, lambda tx: vault(database).get_secret(tx, "t1", "shopify"))
    assert found == vaults.Secret(TOKEN, expires)
    (row,) = rows_of(database, vaults.secrets)
    assert TOKEN.encode() not in bytes(row.ciphertext)
    (key,) = rows_of(database, vaults.data_keys)
    assert (row.key_id, key.wrapped_by) == (key.key_id, OLD.split(":")[0])
    assert door.read(Store.BOOKS, lambda tx: mine.get_secret(tx, "t1", "sevdesk")) is None
    elsewhere = vault(database, NEW)
    with pytest.raises(Rejected, match="VAULT-KEY"):
        door.read(Store.BOOKS, lambda tx: elsewhere.get_secret(tx, "t1", "shopify"))


def test_s44_a_row_copied_to_another_tenant_or_name_does_not_open(database: Database) -> None:
    system, mine = database.system("operator"), vault(database)

    def copy(tx: sa.Connection) -> None:
        mine.put_secret(tx, "a", "shopify", TOKEN, NOW)
        mine.put_secret(tx, "b", "other", TOKEN, NOW)
        row = tx.execute(sa.select(vaults.secrets).where(vaults.secrets.c.tenant == "a")).mappings().one()
        tx.execute(sa.insert(vaults.secrets).values(**{**row, "tenant": "b"}))
        tx.execute(sa.insert(vaults.secrets).values(**{**row, "name": "sevdesk"}))

    system.run(Store.BOOKS, copy)
    for tenant, name, why in (("b", "shopify", "VAULT-FORGOTTEN"), ("a", "sevdesk", "VAULT-OPEN")):
        assert code(system.read, Store.BOOKS, lambda tx, t=tenant, n=name: mine.get_secret(tx, t, n)) == why


@pytest.mark.parametrize("table", [vaults.data_keys, vaults.subject_keys], ids=str)
def test_s44_a_key_copied_to_another_tenant_does_not_open_anything(database: Database, table: sa.Table) -> None:
    system, mine = database.system("operator"), vault(database)
    sealed = {tenant: mine.seal(tenant, "p", "r", b"x", "order 1") for tenant in ("a", "b")}

    def copy(tx: sa.Connection) -> None:
        row = dict(tx.execute(sa.select(table).where(table.c.tenant == "a")).mappings().one())
        del row["tenant"], row["key_id"]
        tx.execute(sa.update(table).where(table.c.tenant == "b").values(**row))

    system.run(Store.BOOKS, copy)
    assert vault(database).open("a", "p", "r", sealed["a"]) == b"x"
    assert code(vault(database).open, "b", "p", "r", sealed["b"]) == "VAULT-OPEN"


def test_forgetting_a_tenants_secrets_leaves_the_others(database: Database) -> None:
    system, mine = database.system("lifecycle"), vault(database)

    def fill(tx: sa.Connection) -> int:
        for tenant in ("a", "b"):
            mine.put_secret(tx, tenant, "x", "1", NOW)
            mine.put_secret(tx, tenant, "y", "2", NOW)
        return mine.delete_secrets(tx, "a", keep=["y"])

    assert system.run(Store.BOOKS, fill) == 1
    assert system.read(Store.BOOKS, lambda tx: mine.get_secret(tx, "a", "x")) is None
    assert system.read(Store.BOOKS, lambda tx: mine.get_secret(tx, "a", "y")) is not None
    assert system.read(Store.BOOKS, lambda tx: mine.get_secret(tx, "b", "x")) is not None


def test_what_an_older_version_sealed_with_a_root_key_still_opens(database: Database) -> None:
    """v1: bound to tenant, purpose and key id, by hand as it was."""
    key_id, _, encoded = OLD.partition(":")
    nonce = b"n" * 12
    name = json.dumps(["ladenbuch.v1", "a", "pins", key_id]).encode()
    sealed = Sealed(key_id, nonce + AESGCM(base64.b64decode(encoded)).encrypt(nonce, b"old", name))
    assert vault(database).open("a", "pins", "any row", sealed) == b"old"
    assert code(vault(database).open, "b", "pins", "any row", sealed) == "VAULT-OPEN"
    assert code(vault(database).open, "a", "letter", "any row", sealed) == "VAULT-OPEN"
    assert code(vault(database, NEW).open, "a", "pins", "any row", sealed) == "VAULT-KEY"


# -- nothing secret in what is told of a failure -------------------------------------------------------------------


def failures(database: Database) -> Iterator[Callable[[], object]]:
    """Everything that can go wrong with a secret or a key in hand."""
    door, mine = database.tenant("t1"), vault(database)
    door.run(Store.BOOKS, lambda tx: mine.put_secret(tx, "t1", "shopify", TOKEN, NOW))
    sealed = mine.seal("t1", "p", "r", TOKEN.encode(), "o1")
    lacking = vault(database, NEW)
    yield lambda: KeyRing.parse(f"{OLD},{NEW},k3:short")
    yield lambda: KeyRing.parse(f"{OLD},{OLD}")
    yield lambda: door.read(Store.BOOKS, lambda tx: mine.put_secret(tx, "t1", "shopify", TOKEN, NOW))
    yield lambda: door.run(
        Store.BOOKS, lambda tx: mine.put_secret(tx, "t1", "shopify", TOKEN, NOW.replace(tzinfo=None))
    )
    yield lambda: door.run(Store.BOOKS, lambda tx: lacking.put_secret(tx, "t1", "shopify", TOKEN, NOW))
    yield lambda: door.read(Store.BOOKS, lambda tx: lacking.get_secret(tx, "t1", "shopify"))
    yield lambda: mine.open("t1", "p", "another row", sealed)
    yield lambda: lacking.seal("t1", "p", "r", TOKEN.encode())
    for change in (lambda tx: mine.forget_subject(tx, "t1", "o1"), lambda tx: mine.renew(tx, "t1")):
        yield lambda change=change: door.read(Store.BOOKS, change)  # type: ignore[misc]
    yield lambda: door.read(Store.BOOKS, lambda tx: vault(database, f"{NEW},{OLD}").rewrap(tx, "t1"))

    def altered(tx: sa.Connection) -> None:
        tx.execute(sa.update(vaults.subject_keys).values(wrapped=b"0" * 60))
        vault(database).open("t1", "p", "r", sealed)

    yield lambda: door.run(Store.BOOKS, altered)


def dump(fail: Callable[[], object]) -> str:
    """A failure as a debugger or an error tracker shows it: every frame with its variables, and the chain."""
    try:
        try:
            fail()
        except Exception as error:
            logging.getLogger("ladenbuch.test").exception("it failed: %s", error)
            structlog.get_logger("ladenbuch.test").exception("it failed", error=str(error))
            raise RuntimeError("while handling") from error
    except RuntimeError as outer:
        return "".join(traceback.TracebackException.from_exception(outer, capture_locals=True).format())
    raise AssertionError("it did not fail")


def test_s7_s49_neither_tracebacks_nor_dumps_of_variables_nor_logs_show_a_secret(database: Database) -> None:
    secret = [TOKEN, *(key.split(":")[1] for key in (OLD, NEW))]
    secret += [str(base64.b64decode(key.split(":")[1]))[2:-1] for key in (OLD, NEW)]
    out = io.StringIO()
    configure_logging("json", stream=out)
    told = [dump(fail) for fail in failures(database)]
    assert len(told) == 12
    assert all("/vault/" in one for one in told), "each of them passed through the vault"
    for one in (*told, out.getvalue()):
        assert [text for text in secret if text in one] == []
    assert len(out.getvalue().splitlines()) == 24


# -- forgetting ---------------------------------------------------------------------------------------------------


def forget(database: Database, mine: Vault, tenant: str, *subjects: str) -> None:
    database.tenant(tenant).run(Store.BOOKS, lambda tx: mine.forget_subject(tx, tenant, *subjects))


def test_b9_a_forgotten_subject_is_unreadable_at_once_and_nobody_else(database: Database) -> None:
    mine, other = vault(database), vault(database, ticks=lambda: 0.0)
    kept = {name: mine.seal("a", "p", name, name.encode(), name) for name in ("o1", "o2", held("o1"))}
    kept["tenant"] = mine.seal("a", "p", "tenant", b"tenant")
    theirs = mine.seal("b", "p", "o1", b"o1", "o1")
    assert other.open("a", "p", "o1", kept["o1"]) == b"o1"
    forget(database, mine, "a", "o1")
    for now in (mine, vault(database)):
        assert code(now.open, "a", "p", "o1", kept["o1"]) == "VAULT-FORGOTTEN"
        for name in kept.keys() - {"o1"}:
            assert now.open("a", "p", name, kept[name]) == name.encode()
        assert now.open("b", "p", "o1", theirs) == b"o1"
    later = mine.seal("a", "p", "o1", b"again", "o1")
    assert vault(database).open("a", "p", "o1", later) == b"again", "what is sealed afterwards opens"
    forget(database, mine, "a", "o1")
    assert code(vault(database).open, "a", "p", "o1", later) == "VAULT-FORGOTTEN"


def test_b9_many_at_once_are_forgotten_like_one_by_one(database: Database) -> None:
    mine = vault(database)
    sealed = {f"o{n}": mine.seal("a", "p", f"o{n}", b"x", f"o{n}") for n in range(60)}
    forget(database, mine, "a", *(f"o{n}" for n in range(40)), "o1")
    for n in range(40, 50):
        forget(database, mine, "a", f"o{n}")
    fresh = vault(database)
    for n in range(60):
        if n < 50:
            assert code(fresh.open, "a", "p", f"o{n}", sealed[f"o{n}"]) == "VAULT-FORGOTTEN"
        else:
            assert fresh.open("a", "p", f"o{n}", sealed[f"o{n}"]) == b"x"
    assert len(rows_of(database, vaults.subject_keys)) < 20


def test_b9_other_processes_notice_within_seconds(database: Database) -> None:
    seconds = 0.0
    mine, other = vault(database), vault(database, ticks=lambda: seconds)
    sealed = other.seal("a", "p", "r", b"x", "o1")
    forget(database, mine, "a", "o1")
    seconds = vaults.AGE
    assert code(other.open, "a", "p", "r", sealed) == "VAULT-FORGOTTEN"
    fresh = other.seal("a", "p", "r", b"x", "o1")
    assert vault(database).open("a", "p", "r", fresh) == b"x"


def test_b9_a_forgotten_tenant_is_unreadable_with_its_secrets(database: Database) -> None:
    mine = vault(database)
    sealed = {tenant: mine.seal(tenant, "p", "r", b"x", "o1") for tenant in ("a", "b")}
    database.tenant("a").run(Store.BOOKS, lambda tx: mine.put_secret(tx, "a", "token", TOKEN, NOW))
    database.tenant("a").run(Store.BOOKS, lambda tx: mine.forget_tenant(tx, "a"))
    assert code(mine.open, "a", "p", "r", sealed["a"]) == "VAULT-FORGOTTEN"
    assert mine.open("b", "p", "r", sealed["b"]) == b"x"
    assert {row.tenant for row in rows_of(database, vaults.data_keys, vaults.subject_keys, vaults.secrets)} == {"b"}


def test_b9_what_was_rolled_back_was_not_forgotten(database: Database) -> None:
    mine = vault(database)
    sealed = mine.seal("a", "p", "r", b"x", "o1")

    def forget_and_fail(tx: sa.Connection) -> None:
        mine.forget_subject(tx, "a", "o1")
        assert code(mine.open, "a", "p", "r", sealed) == "VAULT-FORGOTTEN", "inside, it is so already"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.tenant("a").run(Store.BOOKS, forget_and_fail)
    assert mine.open("a", "p", "r", sealed) == b"x"
    made = []

    def seal_and_fail(tx: sa.Connection) -> None:
        made.append(mine.seal("new", "p", "r", b"x"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.tenant("new").run(Store.BOOKS, seal_and_fail)
    assert code(mine.open, "new", "p", "r", made[0]) == "VAULT-FORGOTTEN", "its key went with the transaction"
    assert mine.open("new", "p", "r", mine.seal("new", "p", "r", b"y")) == b"y"


@pytest.mark.parametrize("with_keys", [False, True], ids=["as-told", "against-the-rule"])
def test_b9_a_backup_gives_a_forgotten_subject_back_only_with_its_keys(database: Database, with_keys: bool) -> None:
    """The rule of decision 0012: backups leave the two tables out; today's keys open all of them but the forgotten."""
    mine = vault(database)
    backup = {name: mine.seal("a", "p", name, name.encode(), name) for name in ("o1", "o2")}
    tables = (vaults.data_keys, vaults.subject_keys)
    door = database.system("doctor")
    keys = {t: door.read(Store.BOOKS, lambda tx, t=t: tx.execute(sa.select(t)).mappings().all()) for t in tables}
    forget(database, mine, "a", "o1")

    def restore(tx: sa.Connection) -> None:
        for table, rows in keys.items():
            tx.execute(sa.delete(table))
            tx.execute(sa.insert(table), [dict(row) for row in rows])

    if with_keys:
        database.system("lifecycle").run(Store.BOOKS, restore)
        assert vault(database).open("a", "p", "o1", backup["o1"]) == b"o1", "why the rule is needed"
    else:
        assert code(vault(database).open, "a", "p", "o1", backup["o1"]) == "VAULT-FORGOTTEN"
    assert vault(database).open("a", "p", "o2", backup["o2"]) == b"o2"


def test_b9_sqlite_overwrites_what_wrapped_a_forgotten_key(tmp_path: Path) -> None:
    database = Database.open(data_dir=tmp_path)
    database.migrate()
    mine = vault(database)
    mine.seal("a", "p", "r", b"x", "o1")
    before = [bytes(row.wrapped) for row in rows_of(database, vaults.subject_keys)]
    forget(database, mine, "a", "o1")
    database.truncate_logs()
    database.close()
    file = (tmp_path / "books.db").read_bytes()
    assert not any(wrapped[:16] in file for wrapped in before)


def test_two_processes_make_one_first_key(database: Database) -> None:
    vaults_of_many = [vault(database) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        sealed = list(pool.map(lambda mine: mine.seal("a", "p", "r", b"x", "o1"), vaults_of_many))
    assert len(rows_of(database, vaults.data_keys)) == 1
    assert {one.open("a", "p", "r", each) for one in vaults_of_many for each in sealed} == {b"x"}


def test_sealing_reads_no_database_once_a_tenant_is_known(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = vault(database, ticks=lambda: 0.0)
    first = mine.seal("a", "p", "r", b"x", "o1")
    monkeypatch.setattr(database, "tenant", None)
    assert mine.open("a", "p", "r", first) == b"x"
    for number in range(20_000):
        mine.seal("a", "p", "r", b"x", f"o{number}")
    assert sum(len(known.sealers) for known in mine._known.values()) <= vaults._REMEMBERED
