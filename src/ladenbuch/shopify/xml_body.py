"""A delivery in XML, made into the JSON it would have been: from here on nobody knows that there are two formats.

Shopify writes XML as Rails does: dashes in names, `type` and `nil` in attributes, a list as an element of type array.

    <order><id type="integer">1</id><line-items type="array"><line-item>…   ->   {"id":1,"line_items":[{…

Only that is read. What XML can do beyond it is refused before anything is expanded or fetched: a document type, and
with it every entity of somebody's own, processing instructions, other encodings than UTF-8, the types `yaml`, `symbol`
and `file` by which Rails was once taken over, text between elements, and documents too large, too deep or too wide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn
from xml.parsers import expat

import msgspec

from ladenbuch.errors import Rejected

LARGEST = 1_500_000
MOST_ELEMENTS = 50_000
DEEPEST = 32
_LONGEST_NAME = 100

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_TEXTS = frozenset(("string", "datetime", "dateTime", "date", "time"))
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def looks_like_xml(body: bytes) -> bool:
    """Whether a body cannot be JSON because it begins as XML does."""
    return body.lstrip()[:1] == b"<" or body.startswith(b"\xef\xbb\xbf<")


def to_json(body: bytes) -> bytes:
    """The body in JSON, compact and in the order of the document, without its outermost name.

    Raises Rejected("WEBHOOK-XML") for anything but a plain document.
    """
    if len(body) > LARGEST:
        _refuse("is too large")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        _refuse(f"is no XML (line {error.lineno})")
    if not isinstance(reader.result, dict):
        _refuse("has no fields")
    return _ENCODER.encode(reader.result)


class _Open:
    """An element whose end has not come yet."""

    __slots__ = ("children", "kind", "name", "nil", "text")

    def __init__(self, name: str, kind: str | None, nil: bool) -> None:
        self.name = name
        self.kind = kind
        self.nil = nil
        self.text: list[str] = []
        self.children: list[tuple[str, object]] = []


class _Reader:
    def __init__(self) -> None:
        parser = expat.ParserCreate("UTF-8")  # said here, it outranks what the document claims
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.buffer_text = True
        parser.XmlDeclHandler = _declared
        parser.StartDoctypeDeclHandler = _doctype
        parser.EntityDeclHandler = _doctype
        parser.ExternalEntityRefHandler = _doctype
        parser.SkippedEntityHandler = _doctype
        parser.ProcessingInstructionHandler = _instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self.parser = parser
        self.result: object = None
        self._open: list[_Open] = []
        self._elements = 0

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._open) >= DEEPEST or len(name) > _LONGEST_NAME:
            _refuse("has too many elements, or they stand too deep or have too long names")
        if set(attributes) - {"type", "nil"}:
            _refuse("has other attributes than type and nil")
        if ":" in name:
            _refuse("has names with a prefix")
        self._open.append(_Open(name.replace("-", "_"), attributes.get("type"), attributes.get("nil") == "true"))

    def _characters(self, data: str) -> None:
        self._open[-1].text.append(data)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        value = _value(element)
        if self._open:
            self._open[-1].children.append((element.name, value))
        else:
            self.result = value


def _value(element: _Open) -> object:
    text = "".join(element.text)
    if element.children or element.kind == "array":
        if text.strip():
            _refuse("has text between elements")
        if element.kind == "array":
            return [value for _, value in element.children]
        if element.kind is not None:
            _refuse("has a typed element with others inside")
        fields = dict(element.children)
        if len(fields) != len(element.children):
            _refuse("has a field twice")
        return fields
    if element.nil:
        return None
    return _typed(element.kind, text)


def _typed(kind: str | None, text: str) -> object:
    if kind is None or kind in _TEXTS:
        return text
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind in ("float", "decimal") and _NUMBER.fullmatch(text):
        return Decimal(text)
    return _refuse("has a value that is not of its type, or a type that is none")


def _declared(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.upper() != "UTF-8":
        _refuse("is not in UTF-8")


def _doctype(*_: Any) -> NoReturn:
    _refuse("has a document type or entities")


def _instruction(*_: Any) -> NoReturn:
    _refuse("has processing instructions")


def _refuse(why: str) -> NoReturn:
    raise Rejected("WEBHOOK-XML", f"the body {why}")
