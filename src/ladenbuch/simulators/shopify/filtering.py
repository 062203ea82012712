"""Which deliveries a subscription's ``filter`` lets through: Shopify's side of it.

Shopify's search syntax on payload fields (facts 3.2). What its documentation leaves open is refused here like
anything that makes no sense, because a stand-in that guessed would let a client guess too: a term without a
field, ``null``, a star inside a word, a range over words or over a date without a zone, AND beside OR without
brackets. Works in two steps that know nothing of each other: words to postfix, postfix over a table of
everything the payload has under each path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple


class BadFilter(Exception):
    """The expression is not one Shopify is known to take."""


class Test(NamedTuple):
    """``path operator value``; `shape` is how the value was written: plain, text, starts, any, moment, number."""

    path: str
    operator: str
    value: str
    shape: str


_WORD = r"(?:\\.|[^\s()\\:'\"*\[\]{}~^<>=!|&])"
_LEXEME = re.compile(
    rf"""\s*(?:
      (?P<open>\()
    | (?P<close>\))
    | (?P<and>AND(?=\s))
    | (?P<or>OR(?=\s))
    | (?P<not>NOT(?=\s)|-(?=\S))
    | (?P<path>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
      :(?P<operator><=|>=|<|>|)
      (?: "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)' | (?P<plain>{_WORD}*)(?P<star>\*?) )
      (?=\s|\)|$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MOMENT = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_STRENGTH = {"not": 2, "and": 1, "or": 1}
_WHITE = " \t\r\n"


@lru_cache(maxsize=256)
def compile_filter(text: str) -> tuple[Test | str, ...]:
    """The expression in postfix; raises BadFilter with a sentence."""
    if len(text) > 2_000 or any(c not in _WHITE and (c.isspace() or not c.isprintable()) for c in text):
        raise BadFilter("The specified filter is invalid")
    output: list[Test | str] = []
    stack: list[str] = []
    joined: list[str] = [""]  # the connective in use at each depth
    wants_operand = True
    for kind, found in _lexemes(text):
        if kind in ("open", "not", "test") and not wants_operand:
            _push("and", output, stack, joined)
            wants_operand = True
        if kind == "open":
            stack.append("(")
            joined.append("")
            if len(joined) > 21:
                raise BadFilter("The specified filter is nested too deeply")
        elif kind == "not":
            if stack and stack[-1] == "not":
                raise BadFilter("A modifier stands before a term")
            stack.append("not")
        elif kind == "test":
            output.append(_test(found))
            wants_operand = False
        elif kind == "close":
            if wants_operand or len(joined) == 1:
                raise BadFilter("The specified filter has a bracket that does not fit")
            while stack[-1] != "(":
                output.append(stack.pop())
            stack.pop()
            joined.pop()
        else:
            if wants_operand:
                raise BadFilter("A connective stands between two terms")
            _push(kind, output, stack, joined)
            wants_operand = True
    if wants_operand or len(joined) > 1:
        raise BadFilter("The specified filter is incomplete")
    return (*output, *reversed(stack))


def _push(word: str, output: list[Test | str], stack: list[str], joined: list[str]) -> None:
    if joined[-1] not in ("", word):
        raise BadFilter("AND and OR need brackets beside each other")
    joined[-1] = word
    while stack and stack[-1] != "(" and _STRENGTH[stack[-1]] >= _STRENGTH[word]:
        output.append(stack.pop())
    stack.append(word)


def _lexemes(text: str) -> list[tuple[str, re.Match[str]]]:
    found: list[tuple[str, re.Match[str]]] = []
    at = 0
    while text[at:].strip():
        match = _LEXEME.match(text, at)
        if match is None:
            raise BadFilter(f"The specified filter is invalid near character {at + 1}")
        kind = next((k for k in ("open", "close", "and", "or", "not") if match.group(k)), "test")
        found.append((kind, match))
        at = match.end()
    return found


def _test(match: re.Match[str]) -> Test:
    path, operator = match.group("path"), match.group("operator") or "="
    quoted = match.group("double") if match.group("double") is not None else match.group("single")
    if quoted is not None:
        value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        if operator == "=":
            return Test(path, operator, value, "text")
        if _moment(value) is None:
            raise BadFilter("A quoted range needs a date and time with a zone")
        return Test(path, operator, value, "moment")
    plain, star = re.sub(r"\\(.)", r"\1", match.group("plain"), flags=re.DOTALL), bool(match.group("star"))
    if operator != "=":
        if star or not _NUMBER.fullmatch(plain):
            raise BadFilter("A range needs a number")
        return Test(path, operator, plain, "number")
    if star:
        return Test(path, operator, plain, "starts" if plain else "any")
    if plain in ("", "null"):
        raise BadFilter("A value is missing")
    return Test(path, operator, plain, "plain")


def passes(expression: str | None, payload: Mapping[str, Any]) -> bool:
    """Whether a payload meets the expression; everything does without one. Raises BadFilter."""
    if not expression:
        return True
    table = _table(payload)
    stack: list[bool] = []
    for step in compile_filter(expression):
        if isinstance(step, Test):
            stack.append(any(_meets(step, value) for value in table.get(step.path, ())))
        elif step == "not":
            stack.append(not stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append((left and right) if step == "and" else (left or right))
    return stack[0]


def _table(payload: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Path -> every value that stands under it; elements of lists stand under the path of the list."""
    table: dict[str, list[Any]] = {}
    open_ones: list[tuple[str, Any]] = list(payload.items())
    while open_ones:
        path, value = open_ones.pop()
        if isinstance(value, list | tuple):
            open_ones += [(path, item) for item in value]
            continue
        table.setdefault(path, []).append(value)
        if isinstance(value, Mapping):
            open_ones += [(f"{path}.{name}", inner) for name, inner in value.items()]
    return table


def _meets(test: Test, value: Any) -> bool:
    if value is None:
        return False
    if test.shape == "any":
        return True
    if isinstance(value, Mapping):
        return False
    written = value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
    number = not isinstance(value, bool | str) or _NUMBER.fullmatch(written) is not None
    match test.shape:
        case "starts":
            return written.startswith(test.value)
        case "moment":
            held, bound = _moment(written), _moment(test.value)
            return held is not None and bound is not None and _orders(test.operator, (held > bound) - (held < bound))
        case "number":
            if not number:
                return False
            gap = Fraction(written) - Fraction(test.value)
            return _orders(test.operator, (gap > 0) - (gap < 0))
        case "plain" if not isinstance(value, str) and number and _NUMBER.fullmatch(test.value):
            return Fraction(written) == Fraction(test.value)
    return written == test.value


def _orders(operator: str, sign: int) -> bool:
    return sign in {"<": (-1,), ">": (1,), "<=": (-1, 0), ">=": (0, 1)}[operator]


def _moment(text: str) -> datetime | None:
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
