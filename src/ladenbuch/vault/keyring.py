"""Root keys: what LADENBUCH_KEYS holds. They wrap the data keys of tenants and seal nothing else."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ladenbuch.errors import Rejected, UsageError

KEY_BYTES = 32


class Key(bytes):
    """A key in memory. Dumps of variables show that it is one, and not which."""

    def __repr__(self) -> str:
        return "Key(...)"

    __str__ = __repr__


def generate_key() -> str:
    """A new random key in the form LADENBUCH_KEYS takes: id:base64-of-32-bytes."""
    return f"k{secrets.token_hex(4)}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


class KeyRing:
    """Root keys by id; the first one wraps, all of them unwrap. Its repr shows ids only."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise UsageError("SETTING", "LADENBUCH_KEYS holds no key; make one with: ladenbuch keys generate")
        self.primary = next(iter(keys))
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read "id:base64,id:base64". Raises UsageError("SETTING"), never quoting what it read."""
        keys, problem = _read(text)
        if problem is not None:
            text, keys = "", {}  # a dump of this frame's variables shows nothing
            raise UsageError("SETTING", problem)
        return cls(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the first one first."""
        return tuple(self._ciphers)

    def cipher(self, key_id: str) -> AESGCM:
        """The cipher of a key. Raises Rejected("VAULT-KEY") when the ring does not hold it."""
        try:
            return self._ciphers[key_id]
        except KeyError:
            raise Rejected("VAULT-KEY", f"LADENBUCH_KEYS does not hold the key {key_id!r}") from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._ciphers)})"


def _read(text: str) -> tuple[dict[str, bytes], str | None]:
    """The keys, or what is wrong: raised by a caller that has nothing secret left in its frame."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate((p.strip() for p in text.split(",") if p.strip()), start=1):
        key_id, colon, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not colon or not key_id or len(key) != KEY_BYTES:
            return {}, f"LADENBUCH_KEYS: entry {number} is not id:base64-of-32-bytes"
        if key_id in keys:
            return {}, f"LADENBUCH_KEYS: entry {number} repeats the id of another key"
        keys[key_id] = key
    if not keys:
        return {}, "LADENBUCH_KEYS holds no key; make one with: ladenbuch keys generate"
    return keys, None
