"""Stores as a new installation has them: migrated once per process, then copied."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from ladenbuch.db import Database


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ladenbuch-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database.open(data_dir=folder)
    database.migrate()
    database.close()
    return folder


def migrated(folder: Path) -> Path:
    """`folder` with both stores in it, as files; what it already holds stays."""
    shutil.copytree(_template(), folder, dirs_exist_ok=True)
    return folder
