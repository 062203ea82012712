"""`ladenbuch keys rotate`: what it did, in figures and in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from ladenbuch.cli.files import say_json
from ladenbuch.cli.house import chosen, opened
from ladenbuch.cli.progress import progress, say

if TYPE_CHECKING:
    from ladenbuch.workflows.rotation import Rotated


def rotate_keys(tenant: str | None, *, data_keys: bool, as_json: bool) -> int:
    """Rotate the keys of all tenants or one; exit 1 when a row does not open although nobody forgot it."""
    from ladenbuch.bootstrap import utc_now
    from ladenbuch.workflows.rotation import Rotation

    with opened() as house:
        owner = chosen(house, tenant).id if tenant else None
        begun = time.monotonic()
        rotation = Rotation(house.database, house.vault, utc_now, _wait, owner, data_keys)
        with progress("rows sealed anew", rotation.total()) as step:
            done = replace(rotation, step=step).run()
        seconds, root = time.monotonic() - begun, house.vault.root
    if as_json:
        figures = asdict(done)
        say_json({"root": root, **figures, "seconds": round(seconds, 1)})
    else:
        for line in _told(done, root, tenant):
            typer.echo(line)
    return 1 if done.unreadable else 0


def _wait(seconds: float) -> None:
    say(f"Waiting {seconds:.0f} s for writers that still have an older data key in memory.")
    time.sleep(seconds)


def _told(done: Rotated, root: str, tenant: str | None) -> Iterator[str]:
    yield f"{done.tenants} tenants: {done.data_keys} data keys wrapped with {root}, {done.rows} rows sealed anew."
    if done.renewed or done.retired:
        yield f"{done.renewed} data keys begun, {done.retired} dropped."
    if done.forgotten:
        yield f"{done.forgotten} rows were forgotten and stay unreadable."
    for item in done.listed:
        yield f"unreadable: {item.column} {item.row} of {item.tenant}: {item.code}"
    if done.unreadable > len(done.listed):
        yield f"and {done.unreadable - len(done.listed)} more"
    if done.needed:
        yield "Still needed: " + ", ".join(f"{key} ({number})" for key, number in sorted(done.needed.items())) + "."
    elif tenant is None:
        yield f"Every key but {root} may leave LADENBUCH_KEYS."
