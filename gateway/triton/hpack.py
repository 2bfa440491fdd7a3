"""Header blocks of HTTP/2 (HPACK, RFC 7541), as far as gRPC calls need them.

Nothing is remembered from one block to the next: a connection whose client allows a dynamic table of 0 bytes has none.
So what a block says depends on its bytes alone, and answers of one kind have the same bytes.
"""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final

Fields = Mapping[str, str]

_STATIC_ENTRIES: Final = 61
_STATUS: Final = ":status"
_STATIC: Final = {
    **{8 + place: (_STATUS, code) for place, code in enumerate(("200", "204", "206", "304", "400", "404", "500"))},
    31: ("content-type", ""),
}
"""Of the static table (appendix A) what a gRPC answer's meaning depends on; the other fields are passed over."""

_CODE_LENGTHS: Final = (
    "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad677777777777777777777"
    "77878djde6f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmo"
    "lmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu"
)
"""Bits of each octet's Huffman code (appendix B) and of the end's, in base 36. The code is canonical: codes of one
length follow each other in the order of the octets."""


class HeaderError(ValueError):
    """A header block that can't be read."""


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields as literals without indexing (6.2.2), names in lower case, all in ASCII."""
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields)


@lru_cache(256)
def decode(block: bytes) -> Fields:
    """The fields of a block of a connection without a dynamic table; of those with one name the last.

    Raises:
        HeaderError: it is malformed, or refers to a dynamic table.
    """
    fields: dict[str, str] = {}
    place = 0
    try:
        while place < len(block):
            first = block[place]
            if first & 0x80:  # indexed
                index, place = _integer(block, place, 7)
                name, value = _static(index)
            elif first & 0xE0 == 0x20:  # the table's size changes: to 0, which it must be
                size, place = _integer(block, place, 5)
                if size:
                    raise HeaderError("a dynamic table that nobody has allowed")
                continue
            else:  # a literal: to be indexed (6 bits, and no table to put it in), or not (4 bits)
                index, place = _integer(block, place, 6 if first & 0x40 else 4)
                if index:
                    name = _static(index)[0]
                else:
                    name, place = _string(block, place)
                value, place = _string(block, place)
            fields[name] = value
    except IndexError:
        raise HeaderError("a header block that is cut short") from None
    fields.pop("", None)
    return MappingProxyType(fields)


def _static(index: int) -> tuple[str, str]:
    if not 0 < index <= _STATIC_ENTRIES:
        raise HeaderError(f"no header field has the index {index}")
    return _STATIC.get(index, ("", ""))


def _literal(text: str) -> bytes:
    octets = text.encode("ascii")
    return _number(len(octets), 7) + octets


def _number(number: int, bits: int) -> bytes:
    """An integer (5.1) whose first octet has `bits` for it, and nothing in the others."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([number])
    found, number = [most], number - most
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
    """The integer at a place, and the place behind it."""
    most = (1 << bits) - 1
    number = block[place] & most
    place += 1
    if number < most:
        return number, place
    for shift in range(0, 28, 7):
        octet = block[place]
        place += 1
        number += (octet & 0x7F) << shift
        if not octet & 0x80:
            return number, place
    raise HeaderError("a number in a header block that is too large")


def _string(block: bytes, place: int) -> tuple[str, int]:
    """The string at a place, and the place behind it."""
    is_huffman = block[place] & 0x80
    length, place = _integer(block, place, 7)
    end = place + length
    if end > len(block):
        raise HeaderError("a header block that is cut short")
    octets = block[place:end]
    return (_from_huffman(octets) if is_huffman else octets).decode("latin-1"), end


def _from_huffman(octets: bytes) -> bytes:
    codes = _codes()
    found = bytearray()
    code, length = 0, 0
    for octet in octets:
        for bit in range(7, -1, -1):
            code, length = code << 1 | octet >> bit & 1, length + 1
            symbol = codes.get((length, code))
            if symbol is not None:
                if symbol > 0xFF:
                    raise HeaderError("a string in a header block that has an end in it")
                found.append(symbol)
                code, length = 0, 0
    if length > 7 or code != (1 << length) - 1:
        raise HeaderError("a string in a header block that does not end as it should")
    return bytes(found)


@cache
def _codes() -> dict[tuple[int, int], int]:
    """The octet, or 256 for the end, of each Huffman code, by its length in bits and itself."""
    lengths = [int(digit, 36) for digit in _CODE_LENGTHS]
    codes: dict[tuple[int, int], int] = {}
    code, before = 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
        code <<= length - before
        codes[length, code] = symbol
        code, before = code + 1, length
    return codes
