"""Arrays for PostgreSQL, written as text."""

from __future__ import annotations

from collections.abc import Sequence


def array_text(values: Sequence[object]) -> str:
    """A PostgreSQL array literal; the driver's own way puts each element through two regular expressions."""
    text = ",".join(["NULL" if value is None else f'"{value}"' for value in values])
    if "\\" in text or text.count('"') != 2 * (len(values) - values.count(None)):
        escaped = [str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values]
        pairs = zip(values, escaped, strict=True)
        text = ",".join(["NULL" if value is None else f'"{element}"' for value, element in pairs])
    return "{" + text + "}"
