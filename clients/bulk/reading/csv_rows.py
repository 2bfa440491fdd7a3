"""CSV and TSV, with Python's reader: pyarrow's ends at a field longer than its block, or a byte that is not UTF-8."""

import csv
from collections.abc import Iterator
from typing import Final

from clients.bulk.errors import BulkError
from clients.bulk.reading.files import LONGEST_LINE, Lines, LineTooLongError
from clients.bulk.reading.rows import Columns, Kind, Row

_DELIMITERS: Final = (",", ";", "\t", "|")
_LONG: Final = f"a line or a quoted field of more than {LONGEST_LINE} characters: is a quote never closed?"


class CsvRows:
    """Rows of a table with a header, or without one: columns are named 1, 2, 3 then."""

    def __init__(self, lines: Lines, columns: Columns, delimiter: str | None, has_header: bool) -> None:
        """Read the first row.

        Args:
            lines: of the file, their ends untouched.
            columns: which are wanted.
            delimiter: seen from the first line when None.
            has_header: whether the first row holds names.

        Raises:
            BulkError: the file is empty, or lacks a column.
        """
        csv.field_size_limit(LONGEST_LINE)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise BulkError("the input is empty")
        delimiter = delimiter or max(_DELIMITERS, key=first.count)
        self._reader = csv.reader(_chained(first, lines), delimiter=delimiter)
        cells = next(self._reader)
        self._first = None if has_header else cells
        names = [cell.strip() for cell in cells] if has_header else [str(place + 1) for place in range(len(cells))]
        text, keep = columns.choose(names)
        self.count = None
        self.kept: dict[str, Kind] = dict.fromkeys(keep, "string")
        self._names = names
        self._text = names.index(text)
        self._keep = [names.index(name) for name in keep]

    def __iter__(self) -> Iterator[Row]:
        if self._first is not None:
            yield self._row(self._first)
        while True:
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, LineTooLongError):
                # The reader begins anew with the next line.
                yield Row(None, [None] * len(self._keep), f"near line {self._reader.line_num}: {_LONG}")
            else:
                if cells:
                    yield self._row(cells)

    def _row(self, cells: list[str]) -> Row:
        count = len(self._names)
        if len(cells) == count:
            return Row(cells[self._text], [cells[place] for place in self._keep])
        kept = [cells[place] if place < len(cells) else None for place in self._keep]
        return Row(None, kept, f"{len(cells)} cells, and the first row has {count}: quote a text with the delimiter")


class _chained:  # noqa: N801 - as itertools.chain, but it goes on after an exception
    def __init__(self, first: str, lines: Lines) -> None:
        self._first: str | None = first
        self._lines = lines

    def __iter__(self) -> "_chained":
        return self

    def __next__(self) -> str:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._lines)
