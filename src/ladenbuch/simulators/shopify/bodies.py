"""What a delivery carries: the payload cut to the fields a subscription asked for, as JSON or as XML.

XML is written the way Rails writes a hash: names with dashes, types in attributes, null as ``nil="true"``, a
list as an element of type array whose children bear its name without the s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

_ROOTS = {"order_transactions": "transaction", "orders": "order"}
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0 has no way to say them


def trimmed(payload: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Only `fields` of the payload, in its order; ``a.b`` means b inside a, in every element where a is a list.

    All of it without fields. A field the payload has not is not sent.
    """
    if not fields:
        return dict(payload)
    wanted: dict[str, list[str]] = {}
    for field in fields:
        head, _, rest = field.partition(".")
        wanted.setdefault(head, []).append(rest)
    return {
        name: value if "" in wanted[name] else _inside(value, wanted[name])
        for name, value in payload.items()
        if name in wanted
    }


def _inside(value: Any, fields: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_inside(item, fields) for item in value]
    return trimmed(value, fields) if isinstance(value, Mapping) else value


def as_json(payload: Mapping[str, Any]) -> bytes:
    """Compact UTF-8, nothing escaped that need not be."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def as_xml(topic: str, payload: Mapping[str, Any]) -> bytes:
    """The same payload as XML; its root is named after the topic's group."""
    group = topic.partition("/")[0]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    _element(lines, _ROOTS.get(group, _singular(group)), payload, "")
    return ("\n".join(lines) + "\n").encode()


def _element(lines: list[str], name: str, value: Any, indent: str) -> None:
    tag = name.replace("_", "-")
    if isinstance(value, Mapping) or (isinstance(value, list) and value):
        kind = ' type="array"' if isinstance(value, list) else ""
        inner = [(_singular(name), item) for item in value] if isinstance(value, list) else list(value.items())
        lines.append(f"{indent}<{tag}{kind}>")
        for key, item in inner:
            _element(lines, key, item, indent + "  ")
        lines.append(f"{indent}</{tag}>")
    elif isinstance(value, list):
        lines.append(f'{indent}<{tag} type="array"/>')
    elif value is None:
        lines.append(f'{indent}<{tag} nil="true"/>')
    else:
        kind, text = _scalar(value)
        lines.append(f"{indent}<{tag}{kind}>{text}</{tag}>")


def _scalar(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return ' type="boolean"', "true" if value else "false"
    if isinstance(value, int):
        return ' type="integer"', str(value)
    if isinstance(value, float | Decimal):
        return f' type="{"float" if isinstance(value, float) else "decimal"}"', str(value)
    return "", escape(_UNSENDABLE.sub("", str(value)), {"\r": "&#13;"})


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-2] if name.endswith("sses") else name.removesuffix("s")
