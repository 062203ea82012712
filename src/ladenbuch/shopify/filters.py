"""Filter expressions of webhook subscriptions, read and evaluated as Shopify does it.

    status:active AND (variants.price:>=10.00 OR -tags:*) AND created_at:>'2026-11-01T00:00:00Z'

A filter is Shopify's search syntax on fields of the payload (facts 3.2). What Shopify documents is evaluated; what it
leaves open is refused with a code, because a filter that is read differently on the other side loses deliveries:

    FILTER-SYNTAX       it cannot be read: a word without a field, a bracket too few, a raw colon in a value
    FILTER-UNSUPPORTED  it can be read, but nobody says what it matches: `null`, `*` inside a word, a range over text
    FILTER-AMBIGUOUS    AND and OR side by side without brackets

A term holds when any value found under its path holds, so lists need no index. Equality is exact, in capitals and small
letters too. A number compares with a number by value, with text by its letters: money is text in payloads, so only
`total_price:"0.00"` is equal to it, while ranges read such text as a number. `field:*` holds for anything but null.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from ladenbuch.errors import Rejected

Comparator = Literal[":", ":<", ":>", ":<=", ":>="]

_LONGEST = 2_000
_DEEPEST = 20
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_WHITE = " \t\r\n"
_UNCLEAR = frozenset("[]{}~^<>=!|&")
_UNSUPPORTED = "FILTER-UNSUPPORTED"
_RANGES: dict[Comparator, Callable[[Any, Any], bool]] = {
    ":<=": operator.le,  # the longer ones first: that is how they are looked for
    ":>=": operator.ge,
    ":<": operator.lt,
    ":>": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison. `value` is without quotes and escapes; `kind` says how it was written and is compared."""

    path: tuple[str, ...]
    comparator: Comparator
    value: str
    kind: Literal["word", "quoted", "prefix", "exists"]

    def holds(self, payload: Mapping[str, object]) -> bool:
        return any(self._fits(value) for value in _values(payload, self.path))

    def _fits(self, value: object) -> bool:
        if value is None:
            return False
        if self.kind == "exists":
            return True
        if self.comparator != ":":
            return self._in_range(value)
        text = _text(value)
        if text is None:
            return False
        if self.kind == "prefix":
            return text.startswith(self.value)
        if self.kind == "word" and _is_number(value) and _NUMBER.fullmatch(self.value):
            return Decimal(text) == Decimal(self.value)
        return text == self.value

    def _in_range(self, value: object) -> bool:
        text = _text(value)
        if text is None or isinstance(value, bool):
            return False
        if self.kind == "quoted":
            instant = _instant(text)
            return instant is not None and _RANGES[self.comparator](instant, _instant(self.value))
        if not (_is_number(value) or _NUMBER.fullmatch(text)):
            return False
        return _RANGES[self.comparator](Decimal(text), Decimal(self.value))


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where `inner` does not: also where the field is missing."""

    inner: Node

    def holds(self, payload: Mapping[str, object]) -> bool:
        return not self.inner.holds(payload)


@dataclass(frozen=True, slots=True)
class Joined:
    """Two or more parts, all joined by the same word."""

    word: Literal["AND", "OR"]
    parts: tuple[Node, ...]

    def holds(self, payload: Mapping[str, object]) -> bool:
        found = (part.holds(payload) for part in self.parts)
        return all(found) if self.word == "AND" else any(found)


Node = Term | Not | Joined


@dataclass(frozen=True, slots=True)
class Filter:
    """An expression that was understood. `matches` takes a payload as JSON gives it, floats as Decimal or float."""

    text: str
    root: Node

    def matches(self, payload: Mapping[str, object]) -> bool:
        """Whether a delivery with this payload is sent."""
        return self.root.holds(payload)

    def terms(self) -> Iterator[Term]:
        """Every comparison in it, from left to right."""
        waiting: list[Node] = [self.root]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Term):
                yield node
            else:
                waiting += [node.inner] if isinstance(node, Not) else reversed(node.parts)


def parse(text: str) -> Filter:
    """Read an expression. Raises Rejected with one of the three codes above; the message names the place."""
    if len(text) > _LONGEST:
        raise Rejected("FILTER-SYNTAX", f"a filter has at most {_LONGEST} characters")
    if any(character not in _WHITE and not character.isprintable() for character in text):
        raise Rejected(_UNSUPPORTED, "a filter has a control character, or white space that is none of the usual")
    reader = _Reader(text)
    root = reader.query(0)
    if reader.at < len(text):
        raise reader.wrong("a bracket is closed that was not opened")
    return Filter(text, root)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def wrong(self, what: str, code: str = "FILTER-SYNTAX") -> Rejected:
        return Rejected(code, f"{what} (character {self.at + 1} of the filter)")

    def query(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.wrong("too many brackets inside each other")
        parts = [self.term(depth)]
        words: set[Literal["AND", "OR"]] = set()
        while self.skip() and not self.text.startswith(")", self.at):
            words.add("OR" if self.word("OR") else "AND")
            if "OR" not in words:
                self.word("AND")
            elif words == {"AND", "OR"}:
                raise self.wrong("AND and OR side by side: say with brackets what belongs together", "FILTER-AMBIGUOUS")
            parts.append(self.term(depth))
        return parts[0] if len(parts) == 1 else Joined(words.pop(), tuple(parts))

    def skip(self) -> bool:
        while self.at < len(self.text) and self.text[self.at] in _WHITE:
            self.at += 1
        return self.at < len(self.text)

    def word(self, word: str) -> bool:
        """Take a connective or NOT: in capitals, followed by white space."""
        end = self.at + len(word)
        if self.text.startswith(word, self.at) and self.text[end : end + 1] in tuple(_WHITE):
            self.at = end
            return self.skip() or True
        return False

    def term(self, depth: int) -> Node:
        if not self.skip():
            raise self.wrong("something is missing here")
        if self.word("NOT"):
            return Not(self.single(depth))
        if self.text.startswith("-", self.at):
            self.at += 1
            return Not(self.single(depth))
        return self.single(depth)

    def single(self, depth: int) -> Node:
        if self.text.startswith("(", self.at):
            self.at += 1
            inner = self.query(depth + 1)
            if not self.text.startswith(")", self.at):
                raise self.wrong("a bracket is not closed")
            self.at += 1
            return inner
        found = _PATH.match(self.text, self.at)
        if found is None:
            raise self.wrong("a field and a colon are needed, as in financial_status:paid")
        self.at = found.end()
        return self.comparison(tuple(found.group()[:-1].split(".")))

    def comparison(self, path: tuple[str, ...]) -> Term:
        comparator: Comparator = ":"
        for longer in _RANGES:
            if self.text.startswith(longer[1:], self.at):
                comparator = longer
                self.at += len(longer) - 1
                break
        if self.text[self.at : self.at + 1] in ("'", '"'):
            value = self.quoted()
            if comparator != ":" and _instant(value) is None:
                raise self.wrong("a quoted range needs an instant with its zone, 2026-11-01T00:00:00Z", _UNSUPPORTED)
            return Term(path, comparator, value, "quoted")
        return self.bare(path, comparator)

    def quoted(self) -> str:
        mark, self.at = self.text[self.at], self.at + 1
        taken: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != mark:
            taken.append(self.character())
        if self.at >= len(self.text):
            raise self.wrong("a quotation mark is not closed")
        self.at += 1
        if self.text[self.at : self.at + 1] not in ("", *_WHITE, ")"):
            raise self.wrong("a space is needed after the quotation mark")
        return "".join(taken)

    def character(self) -> str:
        """One character, which a backslash takes literally."""
        if self.text[self.at] == "\\":
            self.at += 1
            if self.at >= len(self.text):
                raise self.wrong("a backslash takes the next character literally, and there is none")
        self.at += 1
        return self.text[self.at - 1]

    def bare(self, path: tuple[str, ...], comparator: Comparator) -> Term:
        taken: list[str] = []
        star = False
        while self.at < len(self.text) and (raw := self.text[self.at]) not in (*_WHITE, ")"):
            if star:
                raise self.wrong("* stands alone or at the end of a word", _UNSUPPORTED)
            if raw in "(:\"'":
                raise self.wrong(f"a value with {raw} has to be quoted")
            if raw in _UNCLEAR:
                raise self.wrong(f"a value with {raw} has to be quoted; nothing but : < > <= >= compares", _UNSUPPORTED)
            star = raw == "*"
            one = self.character()
            if not star:
                taken.append(one)
        value = "".join(taken)
        if not value and not star:
            raise self.wrong("a value is missing")
        if comparator != ":":
            if star or not _NUMBER.fullmatch(value):
                raise self.wrong("a range needs a number, or an instant in quotation marks", _UNSUPPORTED)
        elif value == "null" and not star:
            raise self.wrong("null matches nothing Shopify documents: write -field:* or quote it", _UNSUPPORTED)
        return Term(path, comparator, value, ("prefix" if value else "exists") if star else "word")


def _values(value: object, path: tuple[str, ...]) -> Iterator[object]:
    """Everything found under a path; lists are looked through wherever they stand."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: object) -> str | None:
    """A value as it stands in the payload; None for an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float | Decimal) else None


def _instant(text: str) -> datetime | None:
    """An instant with its zone; None for a date alone, because nobody says whose midnight that would be."""
    try:
        return datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None
