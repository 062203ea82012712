"""Everything we hold of a tenant, in one file a person can open: a zip of JSON lines, one file per table.

What is sealed at rest is opened; secrets and keys are left out, because they would be worth more than the data. The
manifest names every file with its rows and SHA-256, and the last hash of the audit chain.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ladenbuch import audit, erasure, evidence, inbox, outbox, privacy, tenants
from ladenbuch.books.posted import PINS
from ladenbuch.books.verdicts import SNAPSHOTS
from ladenbuch.db import Store, Transaction
from ladenbuch.errors import Rejected, UsageError
from ladenbuch.sealed import SealedColumn
from ladenbuch.workflows.context import Context

MANIFEST = "manifest.json"
#: Tables that hold keys and secrets, or are of use to the machine alone.
_KEPT_BACK = frozenset({"secrets", "data_keys", "subject_keys"})
_COLUMNS: tuple[SealedColumn, ...] = (
    PINS,
    SNAPSHOTS,
    evidence.NAMES,
    inbox.BODIES,
    outbox.PAYLOADS,
    privacy.ANSWERS,
)
_SEALED = {column.table.name: column for column in _COLUMNS}


def export(ctx: Context, tenant: str, path: Path, *, by: str) -> dict[str, Any]:
    """Write the tenant's data to `path`, readable by the owner alone; the manifest comes back.

    The audit chain then says who took it: everything in it is in the clear.

    One snapshot per store. Raises UsageError("FILE") when the file exists or cannot be written.
    """
    files: dict[str, dict[str, Any]] = {}
    owner = ctx.door(tenant).read(Store.BOOKS, lambda tx: tenants.get(tx, tenant))
    head = ctx.door(tenant).read(Store.BOOKS, lambda tx: audit.head(tx, tenant))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as file:
            for store in Store:
                ctx.vault.newest(tenant)  # while the inbox is read, the books, where the keys are, are out of reach
                ctx.door(tenant).read(store, lambda tx, store=store: _store(ctx, tx, tenant, store, file, files))  # type: ignore[misc]
            manifest = {
                "tenant": tenant,
                "shop": owner.shop,
                "shop_gid": owner.shop_gid,
                "exported_at": ctx.clock().isoformat(),
                "audit_head": head,
                "not_exported": sorted(_KEPT_BACK),
                "files": files,
            }
            file.writestr(MANIFEST, json.dumps(manifest, indent=1))
    except OSError as error:
        raise UsageError("FILE", f"{path}: {error.strerror or error}") from None
    rows, now = sum(about["rows"] for about in files.values()), ctx.clock()
    sentence = f"Everything held of the tenant was written into a file: {rows} rows, in the clear."
    ctx.door(tenant).run(
        Store.BOOKS,
        lambda tx: audit.append(
            tx, tenant, now, actor=by, event="tenant.exported", subject=tenant, sentence=sentence, detail={"head": head}
        ),
    )
    return manifest


def _store(
    ctx: Context, tx: Transaction, tenant: str, store: Store, file: zipfile.ZipFile, files: dict[str, dict[str, Any]]
) -> None:
    for table in erasure.tables_of_tenants(store):
        if table.name in _KEPT_BACK:
            continue
        digest, rows, name = hashlib.sha256(), 0, f"{store}/{table.name}.jsonl"
        with file.open(name, "w") as out:
            for line in _lines(ctx, tx, tenant, table):
                out.write(line)
                digest.update(line)
                rows += 1
        files[name] = {"rows": rows, "sha256": digest.hexdigest()}


def _lines(ctx: Context, tx: Transaction, tenant: str, table: sa.Table) -> Iterator[bytes]:
    column = _SEALED.get(table.name)
    query = sa.select(table).where(table.c.tenant == tenant).order_by(*table.primary_key.columns)
    for row in tx.execute(query):
        values = dict(row._mapping)
        if column is not None:
            del values["key_id"]
            values[column.column] = _opened(ctx, tenant, column, row)
        yield json.dumps(values, ensure_ascii=False, default=_shown).encode() + b"\n"


def _opened(ctx: Context, tenant: str, column: SealedColumn, row: Any) -> object:
    """What a row holds in the clear: JSON as JSON, anything else as text; None where its key was forgotten."""
    try:
        plain = ctx.vault.open(tenant, column.purpose(row), column.row_id(row), column.sealed(row))
    except Rejected as refusal:
        if refusal.code == "VAULT-FORGOTTEN":
            return None
        raise
    if plain[:1] == b"\x78":
        plain = zlib.decompress(plain)
    try:
        return json.loads(plain)
    except ValueError:
        return _shown(plain)


def _shown(value: object) -> str:
    if not isinstance(value, (bytes, memoryview)):
        return str(value)
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def check(path: Path) -> dict[str, Any]:
    """The manifest of an export, once every file in it has its rows and its hash. Raises UsageError("FILE")."""
    try:
        with zipfile.ZipFile(path) as file:
            manifest: dict[str, Any] = json.loads(file.read(MANIFEST))
            for name, said in manifest["files"].items():
                if hashlib.sha256(file.read(name)).hexdigest() != said["sha256"]:
                    raise UsageError("FILE", f"{path}: {name} is not what was exported")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError("FILE", f"{path} is no export ({type(error).__name__})") from None
    return manifest
