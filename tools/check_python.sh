#!/bin/sh
# Name what is missing, and the package that brings it.
python="$1"
if [ -z "$python" ]; then
    echo "No Python found. Install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)." >&2
    exit 1
fi
"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed (make PYTHON=/path/to/python3.12).")
try:
    import ensurepip, venv  # noqa: F401
except ImportError:
    sys.exit("Python's venv module is missing (Debian: apt-get install python3-venv).")
try:
    import sqlite3  # noqa: F401
except ImportError:
    sys.exit("Python was built without sqlite3 (Debian: apt-get install libsqlite3-0; pyenv: libsqlite3-dev, then rebuild).")
PY
