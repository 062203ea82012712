"""What lies on disk: every cell of every table, every byte of every file, and where something is in it.

Used to show that no token and nothing that names a buyer stands anywhere in the clear (S49, line 4 of the platform).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from acceptance.connector import Connector
from ladenbuch import vault
from ladenbuch.cli.demo import TENANT
from ladenbuch.db import Database, Store, Transaction
from ladenbuch.simulators.lives import Life
from ladenbuch.vault import KeyRing, Vault

#: What stands in the clear all the same, and why: docs/reference/sealed-data.md.
HELD = {
    place: {"vat id"}
    for place in (
        "books.vat_checks.vat_id",
        "books.vat_names.vat_id",
        "books.documents.tax",
        "books.intents.reason",
        "books.attention.message",
    )
}


def secrets_of(stage: Connector) -> set[str]:
    """Every secret the connector was given or was granted, and its own keys."""
    keys = stage.env["LADENBUCH_KEYS"]
    database = Database.open(data_dir=Path(stage.env["LADENBUCH_DATA_DIR"]))
    opens = Vault(KeyRing.parse(keys), database)
    door, known = database.tenant(TENANT), vault.secrets.c

    def read(tx: Transaction) -> set[str]:
        names = tx.execute(sa.select(known.name).where(known.tenant == TENANT)).scalars()
        return {found.value for name in names if (found := opens.get_secret(tx, TENANT, name))}

    try:
        given = door.read(Store.BOOKS, read)
    finally:
        database.close()
    assert len(given) >= 3
    return {*given, *(key.partition(":")[2] for key in keys.split(","))} - {stage.ports["client_id"]}


def in_the_clear(stage: Connector, lives: Iterable[Life]) -> dict[str, set[str]]:
    """Where in the data folder or the log a secret or a buyer stands in the clear, but for what is held."""
    data = Path(stage.env["LADENBUCH_DATA_DIR"])
    secret = {"secret": secrets_of(stage)}
    told = {kind: texts for kind, texts in buyers(lives).items() if texts} | secret
    seen = found(cells(data), told)
    ours = {place: kinds - HELD.get(place, set()) for place, kinds in seen.items()}
    # Free pages and write-ahead logs too; the ids that are held stand in these as well.
    raw = {kind: texts for kind, texts in told.items() if kind != "vat id"}
    log = stage.folder / "serve.log"
    spilled = found([*files(data), (log.name, log.read_bytes())], raw)
    return {place: kinds for place, kinds in (*ours.items(), *spilled.items()) if kinds}


def cells(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of every SQLite file in a folder: file.table.column, and the value as bytes."""
    for file in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
            names = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                rows = opened.execute(f'SELECT * FROM "{name}"')
                columns = [column[0] for column in rows.description]
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        if value is not None:
                            yield f"{file.stem}.{name}.{column}", _bytes(value)


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder, free pages and write-ahead logs of databases included."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.name, file.read_bytes()


def found(places: Iterable[tuple[str, bytes]], wanted: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """In which places something of which kind stands, whatever its case, also as JSON escapes it."""
    needles = [(kind, form) for kind, texts in wanted.items() for text in texts for form in _forms(text)]
    whole: dict[str, list[bytes]] = {}
    for place, value in places:
        whole.setdefault(place, []).append(value.lower())
    joined = {place: b"\n".join(values) for place, values in whole.items()}
    seen = {place: {kind for kind, form in needles if form in text} for place, text in joined.items()}
    return {place: kinds for place, kinds in seen.items() if kinds}


def buyers(lives: Iterable[Life]) -> dict[str, set[str]]:
    """What names the buyers of these lives: addresses, telephone numbers, streets, full names, companies, VAT ids."""
    told: dict[str, set[str]] = {kind: set() for kind in ("name", *_KINDS.values())}
    for life in lives:
        for event in life.events:
            _gather(event.snapshot, told)
    return told


_KINDS = {
    "email": "email", "emailAddress": "email", "phone": "phone", "address1": "street", "displayName": "name",
    "company": "company", "taxId": "vat id", "taxRegistrationId": "vat id",
}  # fmt: skip


def _gather(value: Any, told: dict[str, set[str]]) -> None:
    if isinstance(value, Mapping):
        if value.get("firstName") and value.get("lastName"):
            told["name"].add(f"{value['firstName']} {value['lastName']}")
        for key, inner in value.items():
            if key in _KINDS and isinstance(inner, str) and len(inner) > 5:
                told[_KINDS[key]].add(inner)
            else:
                _gather(inner, told)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _gather(inner, told)


def _forms(text: str) -> set[bytes]:
    low = text.lower()
    return {low.encode(), low.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")}


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
