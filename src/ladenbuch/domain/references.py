"""Which of our orders a bank transfer names, in all the ways people and banks write it.

People write "#1001", "1001", "Bestellung Nr. 1001", "Best.-Nr:1001", "order SL-1001", "RE-2041 vom 23.11."; banks break
lines in the middle of a number and put fields of their own around it (SVWZ+, EREF+, IBAN: ...). How sure a name is:

    3   written in full with its own prefix, or called an order, an invoice or a number
    2   the bare number, a word of its own
    1   glued to letters, or broken in two (called something: 2)

Numbers in dates, times, sums of money, IBANs and the bank's own fields name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CALLED, BARE, WEAK = 3, 2, 1

#: Fields of the bank in the purpose (SEPA): those whose value is the bank's own, and those whose name alone goes.
_FIELDS = re.compile(
    r"\b(?:KREF|MREF|CRED|DEBT|IBAN|BIC|TAN|DATUM|COAM|OAMT)\s*[+:]\s*\S+(?:\s+\d{2}:\d{2})?", re.IGNORECASE
)
_LABELS = re.compile(r"\b(?:SVWZ|EREF|ABWA|ABWE|PURP)\s*\+", re.IGNORECASE)
_NOISE = (
    re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),  # an IBAN
    re.compile(r"\b\d{1,2}[.]\s?\d{1,2}[.]\s?(?:\d{4}|\d{2})?(?!\d)"),
    re.compile(r"\b\d{1,2}[/-]\d{1,2}[/-](?:\d{4}|\d{2})\b"),
    re.compile(r"\b\d{4}-\d{2}-\d{2}\b"),
    re.compile(r"\b\d{1,2}[:.]\d{2}(?:[:.]\d{2})?\s*uhr\b", re.IGNORECASE),
    re.compile(r"(?:\beur\b|€)\s*\d+(?:[.,]\d{2})?(?!\d)|\b\d+(?:[.,]\d{2})?\s*(?:eur(?:o|os)?\b|€)", re.IGNORECASE),
    re.compile(r"\b\d{1,3}(?:[.]\d{3})*,\d{2}\b"),
)
_TOKEN = re.compile(r"\d+")
#: What calls a number an order's, directly before it; and an invoice's.
_ORDER_WORD = re.compile(
    r"(?:bestell\w*|best|order\w*|auftrag\w*|auftr|shop|nummer|nr|no|number|numero|ref|referenz|bnr)[\s.:#/_-]*"
    r"(?:(?:nr|no|nummer|number|id)[\s.:#/_-]*)?$",
    re.IGNORECASE,
)
_INVOICE_WORD = re.compile(
    r"(?:rechnung\w*|rechn|rech|rg|re|rnr|invoice|inv|faktura)[\s.:#/_-]*(?:(?:nr|no|nummer|number)[\s.:#/_-]*)?$",
    re.IGNORECASE,
)
#: What calls a number somebody else's: a customer's, a contract's, an account's.
_OTHER_WORD = re.compile(
    r"\b(?:kunde\w*|kd|konto\w*|kto|steuer\w*|vertrag\w*|mitglied\w*|mandat\w*|tel\w*|plz|customer|client)[\s.:#/_-]*"
    r"(?:(?:nr|no|nummer|number|id)[\s.:#/_-]*)?$",
    re.IGNORECASE,
)
#: What joins two numbers of one list: the second is called what the first is.
_AND = re.compile(r"\s*(?:,|;|\+|&|/|und|and|u\.?)\s*#?\s*\Z", re.IGNORECASE)
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Name:
    """A name an order answers to, cut at its last number: "#SL-1001" is "sl", 1001 and "". `invoice`: of a document."""

    order_id: str
    number: str
    before: str = ""
    after: str = ""
    hashed: bool = False
    invoice: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """An order a text names, how surely (3..1), and whether by the number of its invoice."""

    order_id: str
    strength: int
    invoice: bool = False


def name_of(order_id: str, written: str, *, invoice: bool = False) -> Name | None:
    """A name as it is looked for; None for one without a number, which nobody can be held to have written."""
    found = list(_TOKEN.finditer(written))
    if not found:
        return None
    last = found[-1]
    before = _plain(written[: last.start()])
    return Name(order_id, _digits(last[0]), before, _plain(written[last.end() :]), "#" in written, invoice)


class Names:
    """All names that may be found in a text, by their number."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._known: dict[str, list[Name]] = {}
        self.add(names)

    def add(self, names: Iterable[Name]) -> None:
        """More names to be found."""
        for name in names:
            self._known.setdefault(name.number, []).append(name)

    def named(self, text: str) -> list[Named]:
        """The orders a text names, each once as surely as it is named, the surest first."""
        found: dict[str, Named] = {}
        for name, strength in self._hits(cleaned(text)):
            known = found.get(name.order_id)
            if known is None or strength > known.strength:
                found[name.order_id] = Named(name.order_id, strength, name.invoice)
        return sorted(found.values(), key=lambda one: (-one.strength, one.order_id))

    def _hits(self, text: str) -> list[tuple[Name, int]]:
        hits: list[tuple[Name, int]] = []
        tokens = list(_TOKEN.finditer(text))
        called: dict[int, bool] = {}  # where a number ended that was called something: whether an invoice
        for index, token in enumerate(tokens):
            left, right = text[: token.start()], text[token.end() :]
            if _OTHER_WORD.search(left):
                continue
            joined = next((end for end in called if _AND.match(text, end, token.start())), None)
            word = None if joined is None else called[joined]
            if word is None:
                word = True if _INVOICE_WORD.search(left) else False if _ORDER_WORD.search(left) else None
            for name in self._known.get(_digits(token[0]), ()):
                strength = _strength(name, left, right, word)
                if strength:
                    hits.append((name, strength))
                if strength == CALLED:
                    called[token.end()] = name.invoice
            if word is not None:
                called.setdefault(token.end(), word)
            hits += self._broken(text, tokens, index, BARE if word is not None else WEAK)
        return hits

    def _broken(self, text: str, tokens: list[re.Match[str]], index: int, strength: int) -> list[tuple[Name, int]]:
        """A number a bank broke in two, or a person wrote with a blank or a dot in it."""
        if index + 1 >= len(tokens):
            return []
        one, other = tokens[index], tokens[index + 1]
        if not re.fullmatch(r"[ .\n-]{1,2}", text[one.end() : other.start()]):
            return []
        found = self._known.get(_digits(one[0] + other[0]), ())
        return [(name, strength) for name in found if len(name.number) > _SHORTEST]


def called_otherwise(text: str, known: Mapping[str, object] | Iterable[str] = ()) -> list[str]:
    """Numbers a text calls an order's or an invoice's that are none of `known`: a reference that leads nowhere."""
    text, mine = cleaned(text), set(known)
    found = []
    for token in _TOKEN.finditer(text):
        left = text[: token.start()]
        if _OTHER_WORD.search(left):
            continue
        hashed = left.rstrip().endswith("#")
        if (hashed or _ORDER_WORD.search(left) or _INVOICE_WORD.search(left)) and _digits(token[0]) not in mine:
            found.append(_digits(token[0]))
    return found


def cleaned(text: str) -> str:
    """A purpose without the bank's own fields, dates, sums and IBANs."""
    text = _LABELS.sub(" ", _FIELDS.sub(" | ", text.replace("\r", " ").replace("\t", " ")))
    for noise in _NOISE:
        text = noise.sub(" | ", text)
    return text


def _strength(name: Name, left: str, right: str, word: bool | None) -> int:
    """How surely a number at a place is this name; 0 where it is not."""
    glued_left, glued_right = left[-1:].isalnum(), right[:1].isalnum()
    full_left = _ends(left, name.before) if name.before else True
    full_right = _begins(right, name.after) if name.after else not glued_right
    if name.before and full_left and full_right:
        return CALLED
    hash_before = left.rstrip().endswith("#")
    if name.hashed and hash_before and not glued_right and not name.before:
        return CALLED
    if word is not None and not glued_right and (not glued_left or not name.before):
        return CALLED if word is name.invoice else BARE
    if hash_before and not glued_right:
        return CALLED if not name.invoice else BARE
    if len(name.number) < _SHORTEST:
        return 0
    if glued_left or glued_right:
        return WEAK if len(name.number) > _SHORTEST else 0
    return BARE


def _ends(left: str, before: str) -> bool:
    """Whether a text ends with these letters and digits, whatever stands between them; not in the middle of a word."""
    return _walk(reversed(left), list(reversed(before)))


def _begins(right: str, after: str) -> bool:
    return _walk(iter(right), list(after))


def _walk(text: Iterable[str], wanted: list[str]) -> bool:
    left, skipped = list(wanted), 0
    for char in text:
        folded = char.casefold()
        if not left:
            return not folded.isalnum()
        if folded == left[0]:
            left.pop(0)
            skipped = 0
        elif folded.isalnum() or skipped > 2:
            return False
        else:
            skipped += 1
    return not left


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _digits(text: str) -> str:
    return text.lstrip("0") or "0"
