"""Rows to bytes, a chunk after the other, and what is made of all chunks at the end."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from clients.bulk.errors import BulkError
from clients.bulk.reading.rows import Kind
from clients.bulk.writing.columns import OUTPUT_COLUMNS, ROW
from contract.labels import EMOTIONS

Format = Literal["csv", "jsonl", "parquet"]
_SUFFIXES: Final[dict[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_GROUP_ROWS: Final = 1 << 15
_GROUP_BYTES: Final = 1 << 25
"""Of Parquet's row groups: whichever comes first."""


class OutputFormat(Protocol):
    """How rows are kept until all are there, and what becomes of them then."""

    def begin(self) -> bytes:
        """What stands before the first row."""

    def render(self, rows: Iterable[list[Any]]) -> bytes:
        """Some rows; what is appended."""

    def finish(self, part: Path, output: Path) -> None:
        """Make the output of the whole part, with one rename at the end; the part may be gone then.

        Raises:
            OSError: it can't be written.
        """


def output_format(name: str, kept: Mapping[str, Kind]) -> OutputFormat:
    """The format that a name's ending says.

    Raises:
        BulkError: it says none.
    """
    kind = format_of(name)
    if kind == "parquet":
        return ParquetFormat(kept)
    return CsvFormat(kept) if kind == "csv" else JsonLinesFormat(kept)


def format_of(name: str) -> Format:
    """What an output is to be, by its ending.

    Raises:
        BulkError: it says nothing.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise BulkError(f"what is {name} to be? Let it end with one of {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix]


class CsvFormat:
    """CSV in UTF-8 as RFC 4180 has it; several emotions are joined with `|`."""

    def __init__(self, kept: Mapping[str, Kind]) -> None:
        self._columns = [ROW, *kept, *OUTPUT_COLUMNS]
        self._emotions = self._columns.index("emotions")

    def begin(self) -> bytes:
        """The header."""
        return self._lines([self._columns])

    def render(self, rows: Iterable[list[Any]]) -> bytes:
        """A record a row."""
        return self._lines(map(self._cells, rows))

    def finish(self, part: Path, output: Path) -> None:
        """The part is the output."""
        os.replace(part, output)

    def _cells(self, row: list[Any]) -> list[Any]:
        emotions = row[self._emotions]
        row[self._emotions] = None if emotions is None else "|".join(emotions)
        return [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]

    def _lines(self, rows: Iterable[list[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()


class JsonLinesFormat:
    """An object a line."""

    def __init__(self, kept: Mapping[str, Kind]) -> None:
        self._columns = [ROW, *kept, *OUTPUT_COLUMNS]

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def render(self, rows: Iterable[list[Any]]) -> bytes:
        """A line a row."""
        lines = (json.dumps(dict(zip(self._columns, map(_json, row), strict=True)), ensure_ascii=False) for row in rows)
        return "".join(f"{line}\n" for line in lines).encode()

    def finish(self, part: Path, output: Path) -> None:
        """The part is the output."""
        os.replace(part, output)


class ParquetFormat:
    """Parquet; until all rows are there they are an Arrow stream, since a Parquet file can't be gone on with."""

    def __init__(self, kept: Mapping[str, Kind]) -> None:
        # Imported here: the other formats need none of it, and it takes 60 MB.
        import pyarrow

        kinds = {
            "string": pyarrow.string(),
            "int64": pyarrow.int64(),
            "float64": pyarrow.float64(),
            "bool": pyarrow.bool_(),
        }
        own = {
            **dict.fromkeys(OUTPUT_COLUMNS, pyarrow.string()),
            **dict.fromkeys((*EMOTIONS, "known"), pyarrow.float64()),
            "emotions": pyarrow.list_(pyarrow.string()),
            "truncated": pyarrow.bool_(),
        }
        fields = {ROW: pyarrow.int64(), **{name: kinds[kind] for name, kind in kept.items()}, **own}
        self._pyarrow = pyarrow
        self._schema = pyarrow.schema(list(fields.items()))

    def begin(self) -> bytes:
        """The schema."""
        return bytes(self._schema.serialize())

    def render(self, rows: Iterable[list[Any]]) -> bytes:
        """A record batch."""
        columns = list(zip(*rows, strict=True))
        arrays = [self._pyarrow.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        return bytes(self._pyarrow.record_batch(arrays, schema=self._schema).serialize())

    def finish(self, part: Path, output: Path) -> None:
        """Write the batches as row groups, of which one at a time is in memory."""
        import pyarrow.parquet

        whole = part.with_name(f"{part.name}.parquet")
        with part.open("rb") as file, pyarrow.parquet.ParquetWriter(whole, self._schema) as writer:
            group: list[Any] = []
            for batch in pyarrow.ipc.open_stream(file):
                group.append(batch)
                if sum(one.num_rows for one in group) >= _GROUP_ROWS or sum(map(_bytes, group)) >= _GROUP_BYTES:
                    self._write(writer, group)
                    group = []
            self._write(writer, group)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(whole, output)

    def _write(self, writer: Any, group: list[Any]) -> None:
        if group:
            writer.write_table(self._pyarrow.Table.from_batches(group, self._schema).combine_chunks())


def _bytes(batch: Any) -> int:
    return int(batch.nbytes)


def _json(value: Any) -> Any:
    """JSON has no number for what is none, nor for what is endless."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
