"""Character maps in SentencePiece's binary form, which `normalizers.Precompiled` reads in one pass over a text.

The form: the size of a double-array trie in bytes (uint32, little endian), the trie (darts-clone's
units, uint32), then every replacement in UTF-8, each closed by a zero byte. A key's value is where
its replacement begins. https://github.com/s-yata/darts-clone, `sentencepiece/src/normalizer.cc`.

`Precompiled` looks up a grapheme (what a reader sees as one character) of fewer than six bytes
as a whole, and takes the shortest key that it begins with; a longer one, or one without such a
key, character by character. A map of single characters therefore drops the marks behind a
character that it maps.
"""

import struct
from collections.abc import Mapping
from typing import Final

from tokenizers import normalizers

_BLOCK: Final = 256
_LEAF: Final = 1 << 8
_END: Final = 1 << 31


def precompiled(replacements: Mapping[str, str]) -> normalizers.Precompiled:
    """A normaliser that replaces each key by its value; an empty value removes it.

    Raises:
        ValueError: a key is empty or holds a zero character.
    """
    if any(not key or "\0" in key for key in replacements):
        raise ValueError("a key of a character map needs characters other than zero")
    values: dict[str, int] = {}
    text = bytearray()
    for value in replacements.values():
        if value not in values:
            values[value] = len(text)
            text += value.encode() + b"\0"
    units = _double_array({key.encode(): values[value] for key, value in replacements.items()})
    trie = struct.pack(f"<{len(units)}I", *units)
    return normalizers.Precompiled(struct.pack("<I", len(trie)) + trie + bytes(text))


def _double_array(values: Mapping[bytes, int]) -> list[int]:
    """The units of darts-clone's double array.

    A node's children lie at its base XOR their byte, in one block of 256 units; the child of
    byte 0 holds the value of a key that ends there. A unit holds its byte, whether a key ends at
    it, and its own position XOR its base. Two nodes never share a base: a unit doesn't say whose
    child it is.
    """
    units = _Units()
    waiting = [(0, _trie(values))]
    while waiting:
        position, node = waiting.pop()
        labels = [*node.children, *([0] if node.value is not None else [])]
        base = units.place(labels)
        units.values[position] |= _offset(position ^ base)
        if node.value is not None:
            units.values[position] |= _LEAF
            units.values[base] = _END | node.value
        for label, child in node.children.items():
            units.values[base ^ label] = label
            waiting.append((base ^ label, child))
    return units.values


class _Units:
    def __init__(self) -> None:
        self.values = [0] * _BLOCK
        self._free = [set(range(1, _BLOCK))]
        """Of each block."""
        self._bases: set[int] = set()

    def place(self, labels: list[int]) -> int:
        """A base that is nobody's and whose units for all labels are free, now taken; may add a block."""
        for block, free in enumerate(self._free):
            if len(free) < len(labels):
                continue
            for candidate in free:
                low = candidate ^ labels[0]
                base = block * _BLOCK + low
                if base not in self._bases and all(low ^ label in free for label in labels):
                    free.difference_update([low ^ label for label in labels])
                    self._bases.add(base)
                    return base
        self._free.append(set(range(_BLOCK)))
        self.values.extend([0] * _BLOCK)
        return self.place(labels)


class _Node:
    def __init__(self) -> None:
        self.children: dict[int, _Node] = {}
        self.value: int | None = None


def _trie(values: Mapping[bytes, int]) -> _Node:
    root = _Node()
    for key, value in values.items():
        node = root
        for byte in key:
            node = node.children.setdefault(byte, _Node())
        node.value = value
    return root


def _offset(distance: int) -> int:
    """A distance of up to 29 bits as darts-clone packs it: in 21 bits, or without its lowest eight."""
    if distance < 1 << 21:
        return distance << 10
    if distance & 0xFF:
        raise ValueError("the character map is too large")
    return (distance >> 8) << 10 | 1 << 9
