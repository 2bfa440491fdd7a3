"""JSON lines: an object a line, or a string, which is a text by itself."""

import json
from collections.abc import Iterator
from typing import Any

from clients.bulk.errors import BulkError
from clients.bulk.reading.files import LONGEST_LINE, Lines, LineTooLongError
from clients.bulk.reading.rows import Cell, Columns, Kind, Row


class JsonRows:
    """Rows of a file whose first object says which columns there are."""

    def __init__(self, lines: Lines, columns: Columns) -> None:
        """Read up to the first object.

        Raises:
            BulkError: there is none, or it lacks a column.
        """
        self._lines = lines
        self._before: list[str] = []
        names = self._first_names(columns)
        self._text, keep = columns.choose(names)
        self._keep = keep
        self.count = None
        self.kept: dict[str, Kind] = dict.fromkeys(keep, "string")

    def __iter__(self) -> Iterator[Row]:
        while self._before:
            yield self._row(self._before.pop(0))
        while True:
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except LineTooLongError:
                yield self._bad(f"a line of more than {LONGEST_LINE} characters")
            else:
                if line.strip():
                    yield self._row(line)

    def _first_names(self, columns: Columns) -> list[str]:
        for _ in range(1000):
            try:
                line = next(self._lines)
            except (StopIteration, LineTooLongError):
                break
            if not line.strip():
                continue
            self._before.append(line)
            value, _ = _parsed(line)
            if isinstance(value, dict):
                return [*value, *(name for name in columns.keep or () if name not in value)]
            if isinstance(value, str):
                return [columns.text or "text"]
        if not self._before:
            raise BulkError("the input is empty")
        raise BulkError("the input is no JSON lines: none of its first lines is an object; name another --format")

    def _row(self, line: str) -> Row:
        value, error = _parsed(line)
        if error is not None:
            return self._bad(error)
        if isinstance(value, str):
            return Row(value, [None] * len(self._keep))
        if not isinstance(value, dict):
            return self._bad("neither a JSON object nor a string")
        kept = [_cell(value.get(name)) for name in self._keep]
        if self._text not in value:
            return Row(None, kept, f"no field {self._text!r}")
        return Row(value[self._text], kept)

    def _bad(self, error: str) -> Row:
        return Row(None, [None] * len(self._keep), error)


def _parsed(line: str) -> tuple[Any, str | None]:
    try:
        return json.loads(line), None
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"


def _cell(value: Any) -> Cell:
    """Strings stay; any other value is kept as JSON, since no two rows need have the same kind."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
