"""JSON in and out of the command line."""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from ladenbuch.errors import UsageError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, amounts as exact decimals. Raises UsageError naming the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise UsageError("FILE", f"{path}: {error.strerror or type(error).__name__}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError("FILE", f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UsageError("FILE", f"{path}: a JSON object is expected")
    return data


def say_json(value: Any) -> None:
    """One JSON object alone on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None, default=str) + "\n")


def writable(out: Path) -> None:
    """Refuse before an hour of reading, not after it. Raises UsageError("FILE")."""
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError("FILE", f"{out} cannot be written")


def write_json(out: Path, data: dict[str, Any]) -> None:
    """Whole or not at all, readable by its owner only. Raises UsageError("FILE")."""
    part = out.with_name(f".{out.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=1)
            file.write("\n")
        part.replace(out)
    except OSError as error:
        raise UsageError("FILE", f"{out}: {error.strerror or type(error).__name__}") from None
