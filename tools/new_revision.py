"""Write a migration: `python tools/new_revision.py books "what changes"`, then read what it wrote.

Compares the tables the modules declare with a database migrated to the newest revision, and writes the
difference as a new revision. `--first` writes the store's first revision anew, as explicit CREATE statements,
to be used until the first release only: nobody's database may have run the old one.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from alembic import command

from ladenbuch import migrations
from ladenbuch.db import Database, Store, import_tables


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=[store.value for store in Store])
    parser.add_argument("message")
    parser.add_argument("--first", action="store_true")
    chosen = parser.parse_args()
    store = Store(chosen.store)
    folder = migrations.HERE / store.value
    old = sorted(folder.glob(f"{store.value}_*.py"))
    number = 1 if chosen.first else len(old) + 1
    revision = f"{store.value}_{number:04d}"
    metadata = import_tables(store)
    if chosen.first:
        for path in old:
            path.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        database = Database.open(data_dir=Path(scratch))
        if not chosen.first:
            database.migrate()
        with database._engines[store].connect() as tx, tx.begin():
            configuration = migrations.config(store.value, tx, metadata)
            configuration.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            command.revision(configuration, chosen.message, autogenerate=True, rev_id=revision)
        database.close()
    print(f"now set HEADS[{store.value!r}] = {revision!r} in migrations/__init__.py")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
