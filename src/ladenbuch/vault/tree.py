"""A key for every subject, each of them forgettable, without keeping one key per subject.

A tree of keys (Goldreich, Goldwasser and Micali 1986; "puncturable" since Boneh and Waters 2013): each node's key gives
those of its eight children by keyed BLAKE2s (RFC 7693), one way only. Whoever holds the root can compute every leaf, so
that sealing a new order's first webhook takes neither a read nor a write of any database. Forgetting a leaf replaces
the node above it by all nodes that do *not* lie on the way to the leaf: every other leaf is still computed as before,
and this one by nobody who holds only what is kept.

A leaf is named by 42 bits of a hash of its subject. That two of a million subjects share one, so that forgetting the
one forgets the other, happens once in four million forgettings. More bits cost time with each new subject, more
children per node room with each forgotten one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from hashlib import blake2s

PATH_BYTES, KEY_BYTES = 6, 32
LEAVES = 1 << 42
_STEP = 3  # bits per level: eight children
_BITS = 42
_CHILD = (1 << _STEP) - 1
_ROOT = 1  # a node's number: a one, then the bits of the way to it
#: Leaves that are kept computed.
_LATELY = 64
_DIGITS = tuple(bytes([digit]) for digit in range(1 << _STEP))


class Nodes(dict[int, bytes]):
    """Keys of nodes by number. Dumps of variables show how many."""

    def __repr__(self) -> str:
        return f"Nodes({len(self)})"


class Tree:
    """The nodes that are kept, by number. `repr` shows how many."""

    __slots__ = ("_leaves", "_nodes")

    def __init__(self, nodes: Mapping[int, bytes]) -> None:
        self._nodes = nodes
        self._leaves: dict[int, bytes] = {}  # computed lately: an order's rows are opened many times in one settle

    def __repr__(self) -> str:
        return f"Tree({len(self._nodes)} nodes)"

    def holds(self, path: int) -> bool:
        """Whether this leaf was not forgotten."""
        return self.above(path) is not None

    def above(self, path: int) -> int | None:
        """The number of the node that is kept on the way to a leaf; None when the leaf was forgotten."""
        return next((node for node in _way(path) if node in self._nodes), None)

    def leaf(self, path: int) -> bytes | None:
        """The key of a leaf; None when it was forgotten."""
        known = self._leaves.get(path)
        if known is not None:
            return known
        node = self.above(path)
        if node is None:
            return None
        key = self._nodes[node]
        for shift in range(_BITS - node.bit_length() + 1 - _STEP, -1, -_STEP):
            key = blake2s(_DIGITS[path >> shift & _CHILD], key=key).digest()
        if len(self._leaves) >= _LATELY:
            self._leaves.clear()
        self._leaves[path] = key
        return key

    def without(self, path: int) -> Nodes:
        """The nodes that must take the place of `above(path)` so that this leaf, and only it, is forgotten."""
        node = self.above(path)
        assert node is not None
        key, kept = self._nodes[node], Nodes()
        for shift in range(_BITS - node.bit_length() + 1 - _STEP, -1, -_STEP):
            wanted = path >> shift & _CHILD
            children = [blake2s(digit, key=key).digest() for digit in _DIGITS]
            kept.update({node << _STEP | digit: child for digit, child in enumerate(children) if digit != wanted})
            node, key = node << _STEP | wanted, children[wanted]
        return kept


def grow() -> Nodes:
    """The nodes of a new tree: its root."""
    return Nodes({_ROOT: os.urandom(KEY_BYTES)})


def path_of(subject: str, number: int) -> int:
    """The leaf of a subject: number 0 at first, the next one after each time it was forgotten."""
    digest = blake2s(f"{number} {subject}".encode(), digest_size=PATH_BYTES).digest()
    return int.from_bytes(digest) % LEAVES


_NODE_BYTES = 6


def packed(nodes: Mapping[int, bytes]) -> bytes:
    """Nodes as bytes."""
    return b"".join(number.to_bytes(_NODE_BYTES) + key for number, key in nodes.items())


def unpacked(data: bytes) -> Nodes:
    """The reverse of `packed`."""
    size = _NODE_BYTES + KEY_BYTES
    cut = (data[start : start + size] for start in range(0, len(data), size))
    return Nodes({int.from_bytes(item[:_NODE_BYTES]): item[_NODE_BYTES:] for item in cut})


def _way(path: int) -> Iterator[int]:
    """The numbers of all nodes from the root to a leaf."""
    full = 1 << _BITS | path
    return (full >> shift for shift in range(_BITS, -1, -_STEP))
