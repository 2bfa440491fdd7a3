"""Plain lines: each is a text."""

from collections.abc import Iterator

from clients.bulk.errors import BulkError
from clients.bulk.reading.files import LONGEST_LINE, Lines, LineTooLongError
from clients.bulk.reading.rows import Columns, Kind, Row


class LineRows:
    """Rows of a file without columns; the text itself can be kept, by the name of `text`."""

    def __init__(self, lines: Lines, columns: Columns) -> None:
        """Read nothing yet.

        Raises:
            BulkError: a column is named, and there is none.
        """
        if {columns.text, *(columns.keep or ())} - {None, "text"}:
            raise BulkError("plain lines have no columns but `text`: leave out --text and --keep, or name a --format")
        self._lines = lines
        self._keeps_text = bool(columns.keep)
        self.count = None
        self.kept: dict[str, Kind] = {"text": "string"} if self._keeps_text else {}

    def __iter__(self) -> Iterator[Row]:
        while True:
            try:
                text = next(self._lines).rstrip("\r\n")
            except StopIteration:
                return
            except LineTooLongError:
                yield Row(None, [None] * self._keeps_text, f"a line of more than {LONGEST_LINE} characters")
            else:
                yield Row(text, [text] * self._keeps_text)
