"""JSON in and out of the command line."""

from __future__ import annotations

import json
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
