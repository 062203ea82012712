"""Addresses and texts as they may stand in headers: one mailbox, one line, nothing that could add another.

Pure. What a stranger typed at a checkout becomes harmless here, before anything else happens to it.
"""

from __future__ import annotations

import re
import unicodedata
from email.headerregistry import Address, HeaderRegistry
from email.policy import SMTP
from functools import lru_cache
from typing import Any

from ladenbuch.errors import Rejected

# One plain mailbox: a local part without quoting (RFC 5321 atoms) and a domain with at least one dot.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z")
# "Shop <a@shop.de>" or "a@shop.de", on one line.
_BRANDED = re.compile(r'"?(?P<name>[^<>"\r\n]*?)"? *<(?P<spec>[^<>\s]+)>\Z|(?P<bare>[^<>\s]+)\Z')
# Bidirectional controls: they make a text read differently from what it says (Unicode TR 36).
_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINK = re.compile(r"://|www\.|@|\.[a-z]{2,}/", re.IGNORECASE)


class _Headers(HeaderRegistry):
    """The library's headers, without making a class for each and reading the same few over and over."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: dict[str, Any] = {}
        self._known = lru_cache(maxsize=64)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        if name not in self._classes:
            self._classes[name] = super().__getitem__(name)
        return self._classes[name]

    def __call__(self, name: str, value: Any) -> Any:
        # What says something about the buyer is kept nowhere.
        return (self._known if name.lower() in _SAME_IN_ALL else super().__call__)(name, value)


_SAME_IN_ALL = {"auto-submitted", "content-language", "content-transfer-encoding", "content-type", "mime-version"}
POLICY = SMTP.clone(header_factory=_Headers())


def mailbox(text: str) -> str:
    """The address as it may stand on an envelope: ASCII, one mailbox, an international domain in its xn--
    form.

    Raises `Rejected("LETTER-ADDRESS")` without repeating the address, for anything else: several addresses,
    display names, quoting, spaces, line breaks.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not at or len(local) > 64 or len(domain) > 253 or not _LOCAL.match(local) or not _DOMAIN.match(domain):
        raise Rejected("LETTER-ADDRESS", "the buyer's e-mail address is missing or cannot be used on an envelope")
    return f"{local}@{domain}"


def plain(text: str, limit: int = 120) -> str:
    """One line without control, line-separating or direction-changing characters, cut to `limit`
    characters."""
    harmless = (
        " " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _DIRECTION else char for char in text
    )
    return " ".join("".join(harmless).split())[:limit].rstrip()


def lines(text: str) -> str:
    """The same of a text of several lines: an empty line parts paragraphs."""
    kept = [plain(line, 1000) for line in text.replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def unlinked(text: str, limit: int = 80) -> str:
    """What a stranger typed, as one plain line; nothing when it carries a link instead of what was asked for."""
    line = plain(text, limit)
    return "" if _LINK.search(line) else line


def bare(text: str) -> str:
    """The address alone of `Shop <rechnung@shop.de>`."""
    match = _BRANDED.match(text)
    return "" if match is None else match["spec"] or match["bare"]


@lru_cache(maxsize=64)
def header(name: str, text: str, shop_name: str, which: str) -> Any:
    """The header with an address of the tenant: the same in all its letters."""
    return POLICY.header_factory(name, branded(text, shop_name, which))


@lru_cache(maxsize=64)
def branded(text: str, shop_name: str, which: str) -> Address:
    """An address of the tenant, `rechnung@shop.de` or `Shop <rechnung@shop.de>`; without a name the shop's stands.

    Raises `Rejected("LETTER-SENDER")` that names the field (`which`), never the address.
    """
    match = _BRANDED.match(text)
    name, address = (match["name"] or "", match["spec"] or match["bare"]) if match else ("", "")
    try:
        spec = mailbox(address)
    except Rejected as error:
        raise Rejected("LETTER-SENDER", f"{which} of this shop is not a usable e-mail address") from error
    return Address(plain(name) or plain(shop_name), addr_spec=spec)
