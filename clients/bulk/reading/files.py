"""Opening an input: standard input or a file, compressed or not, and its text in whatever encoding."""

import codecs
import gzip
import io
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import Final, TextIO, cast

from clients.bulk.errors import BulkError, FileError

STANDARD_INPUT: Final = "-"
LONGEST_LINE: Final = 1 << 24
"""Characters; a longer line is a row with an error."""
_SAMPLE: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DAMAGED: Final = (OSError, EOFError, zlib.error)
"""What reading a file may raise; a damaged .gz raises the last two."""


class LineTooLongError(Exception):
    """A line has more than `LONGEST_LINE` characters; the next one can be read."""


class InputFile:
    """An input's bytes, decompressed."""

    def __init__(self, name: str) -> None:
        """Open it.

        Raises:
            FileError: it can't be read.
        """
        self.name = name
        try:
            self._raw = sys.stdin.buffer if name == STANDARD_INPUT else Path(name).open("rb")  # noqa: SIM115
            found = os.fstat(self._raw.fileno())
        except OSError as error:
            raise FileError(f"{name} can't be read: {error.strerror}") from None
        self.is_regular = name != STANDARD_INPUT and stat.S_ISREG(found.st_mode)
        self._state = found.st_size, found.st_mtime_ns
        raw = cast(io.BufferedReader, self._raw)
        zipped = raw.peek(2).startswith(_GZIP)
        self.bytes = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), _SAMPLE) if zipped else raw

    def share_read(self) -> float | None:
        """How much of the file has been read, 0 to 1; None if nobody knows how much there is."""
        return self._raw.tell() / max(self._state[0], 1) if self.is_regular else None

    def has_changed(self) -> bool:
        """Whether a regular file is no longer what was opened."""
        found = os.fstat(self._raw.fileno())
        return self.is_regular and (found.st_size, found.st_mtime_ns) != self._state

    def sample(self) -> bytes:
        """What it begins with, up to a megabyte; stays to be read.

        Raises:
            FileError: it can't be read.
        """
        if self.bytes is self._raw and self.is_regular:
            start = self._raw.read(_SAMPLE)
            self._raw.seek(0)
            return start
        try:
            return self.bytes.peek(_SAMPLE)
        except DAMAGED as error:
            raise FileError(f"{self.name} can't be read: {error}") from None

    def decoded(self, encoding: str | None, newline: str) -> "Lines":
        """Its lines.

        Args:
            encoding: None to find it out: by its byte order mark, UTF-8, or windows-1251 where that can't be.
            newline: as `open` takes it.

        Raises:
            BulkError: there is no such encoding.
        """
        found = _encoding(self.sample())
        name = (encoding or found).lower().replace("_", "-")
        if name in ("cp1251", "windows-1251") and found != "cp1251" and not self.sample().isascii():
            raise BulkError(f"{self.name} is {found}, though {encoding} is named for it: leave --encoding out")
        if name in ("utf-8", "utf8"):
            name = "utf-8-sig"
        # What can't be decoded becomes lone surrogates, which no text holds: the row's error says so.
        lenient = "surrogatepass" if name.startswith(("utf-16", "utf-32")) else "surrogateescape"
        try:
            return Lines(io.TextIOWrapper(self.bytes, name, lenient, newline=newline))
        except LookupError:
            raise BulkError(f"there is no encoding {name!r}: utf-8 and cp1251 are usual") from None


class Lines:
    """Lines of a text, with their ends. Goes on after a `LineTooLongError`."""

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
            while (rest := self._text.readline(LONGEST_LINE)) and rest[-1] not in "\r\n":
                pass
            raise LineTooLongError
        return line


def _encoding(sample: bytes) -> str:
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    try:
        # The last letter of the sample may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        decoded = sample.decode("utf-8", "surrogateescape")
        wrong = sum("\udc80" <= character <= "\udcff" for character in decoded)
        right = sum(character > "\x7f" for character in decoded) - wrong
        # A few bad rows make no windows-1251 of a UTF-8 file.
        return "cp1251" if wrong > max(3, right) else "utf-8"
    return "utf-8"
