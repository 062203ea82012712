"""`ladenbuch backup`: a copy of the stores, or what to run where a database server keeps them."""

from __future__ import annotations

from pathlib import Path

import typer

from ladenbuch.bootstrap import utc_now
from ladenbuch.cli.files import say_json
from ladenbuch.errors import UsageError
from ladenbuch.settings import Settings

#: One pg_dump is one snapshot of both schemas; the tables of keys go apart (decision 0012).
ON_POSTGRESQL = (
    "a database server is backed up by its own tools: run "
    "`pg_dump --format=custom --schema=books --schema=inbox --exclude-table-data=books.data_keys "
    "--exclude-table-data=books.subject_keys --file=ladenbuch.dump URL` and, to a place that is overwritten within 30 "
    "days, `pg_dump --format=custom --data-only --table=books.data_keys --table=books.subject_keys "
    "--file=keys.dump URL`"
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
