"""`ladenbuch backup` and `ladenbuch restored`: a copy of the stores, and what follows once one was put back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import typer

from ladenbuch.bootstrap import utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import opened
from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings

#: One pg_dump is one snapshot of both schemas, by the role that sees all rows; the tables of keys go apart (0012).
ON_POSTGRESQL = (
    "a database server is backed up by its own tools: run "
    "`pg_dump --format=custom --schema=books --schema=inbox --role=ladenbuch_system --enable-row-security "
    "--exclude-table-data=books.data_keys --exclude-table-data=books.subject_keys --file=ladenbuch.dump URL` and, to a "
    "place that is overwritten within 30 days, `pg_dump --format=custom --data-only --inserts --table=books.data_keys "
    "--table=books.subject_keys --role=ladenbuch_system --enable-row-security --file=keys.dump URL`"
)


def back_up_now(into: Path, keys: Path | None, *, as_json: bool) -> int:
    """Write one backup below `into`; it needs no LADENBUCH_KEYS. Raises UsageError, Rejected("BACKUP")."""
    from ladenbuch.workflows.backup import back_up

    settings = Settings.read()
    if settings.database_url is not None:
        raise UsageError("BACKUP", ON_POSTGRESQL)
    done = back_up(Path(settings.data_dir), into, utc_now, keys)
    rows = {name: sum(file["rows"].values()) for name, file in done.manifest["files"].items()}
    if as_json:
        say_json({"backup": str(done.folder), "keys": str(done.keys), **done.manifest})
        return 0
    told = ", ".join(f"{name} {number} rows" for name, number in rows.items())
    typer.echo(f"{done.folder}: {told}; {len(done.manifest['audit'])} audit chains whole")
    typer.echo(f"{done.keys}: the keys, to be kept apart and for 30 days at most")
    return 0


def say_restored(keys: Path | None, taken_at: str | None, *, as_json: bool) -> int:
    """Bring every tenant on from the backup that was put back; exit 1 while letters or connections need a person.

    Raises UsageError where nothing was put back, while a `serve` runs, and for keys that are none.
    """
    from ladenbuch.engine.lock import FileLock
    from ladenbuch.workflows import restoring

    at = None if taken_at is None else _instant(taken_at)
    settings = Settings.read()
    on_files = settings.database_url is None
    lock = FileLock(Path(settings.data_dir) / "engine.lock") if on_files else None
    if lock is not None:
        lock.acquire()
    try:
        with opened(settings) as house:
            found = restoring.lost(house.database) if at is None else restoring.Lost(at, at)
            if not found:
                raise UsageError(
                    "RESTORED", "nothing says that these stores were put back; name the instant with --taken-at"
                )
            if keys is not None:
                restoring.put_keys(house.database, keys)
            ctx = house.context

            def lacks(tenant: str) -> list[str]:
                answers = restoring.connections(ctx, tenant)
                return [f"{side}: {code}" for side, code in answers.items() if code != "OK"]

            done = restoring.restored(ctx, found, connected=lacks)
            if house.stand is not None:
                house.stand.unlink(missing_ok=True)
    finally:
        if lock is not None:
            lock.release()
    copied = min((one for one in (found.books, found.inbox) if one is not None), default=None)
    if as_json:
        say_json(
            {"copied_at": copied and copied.isoformat(), "books": found.books is not None}
            | {"tenants": [one.as_json() for one in done]}
        )
    else:
        for one in done:
            typer.echo(
                f"{one.tenant}: {one.wanted} orders are looked at again, {one.letters} letters held, "
                f"{one.erased} buyers erased again" + "".join(f"; {need}" for need in one.needs)
            )
        since = "the inbox was new" if copied is None else f"since {copied.isoformat()}"
        typer.echo(
            f"Compliance webhooks {since} are not known any more: docs/how-to/back-up-and-restore.md says what to do"
        )
    return 1 if any(one.needs or one.letters for one in done) else 0


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError("RESTORED", "--taken-at is an instant with its zone, as 2026-11-23T10:15:00+01:00") from None
    return at
