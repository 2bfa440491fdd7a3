"""Parquet, a few rows at a time."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pyarrow import types

from clients.bulk.errors import BulkError, FileError
from clients.bulk.reading.rows import Columns, Kind, Row

_BATCH_ROWS: Final = 512
_BUFFER: Final = 1 << 20


class ParquetRows:
    """Rows of a file; whole numbers, numbers, booleans and strings keep their kind, dates and decimals become text."""

    def __init__(self, name: str, columns: Columns) -> None:
        """Read its schema.

        Raises:
            FileError: it can't be read, or is no Parquet.
            BulkError: a column is not there or can't be kept.
        """
        try:
            # Page after page through a small buffer: a row group may be larger than the memory.
            self._file = pyarrow.parquet.ParquetFile(name, buffer_size=_BUFFER, pre_buffer=False)
        except (OSError, pyarrow.ArrowException) as error:
            raise FileError(f"{name} can't be read as Parquet: {error}") from None
        self._name = name
        schema = self._file.schema_arrow
        self._text, self._keep = columns.choose(schema.names)
        self.kept: dict[str, Kind] = {column: _kind(column, schema.field(column).type) for column in self._keep}
        self.count: int | None = self._file.metadata.num_rows

    def __iter__(self) -> Iterator[Row]:
        wanted = [self._text, *self._keep]
        try:
            for batch in self._file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
                texts = _texts(batch.column(batch.schema.get_field_index(self._text)))
                kept = [
                    _cells(batch.column(batch.schema.get_field_index(name)), kind) for name, kind in self.kept.items()
                ]
                for place, text in enumerate(texts):
                    yield Row(text, [column[place] for column in kept])
        except (OSError, pyarrow.ArrowException) as error:
            raise FileError(f"{self._name} can't be read further, it is damaged: {error}") from None


def _kind(name: str, kind: Any) -> Kind:
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return "bool"
    if types.is_integer(kind) and kind != pyarrow.uint64():
        return "int64"
    if types.is_floating(kind):
        return "float64"
    if types.is_nested(kind):
        raise BulkError(f"column {name!r} holds {kind}, which can't be kept: name those to keep with --keep")
    return "string"


def _texts(column: Any) -> list[object]:
    """Strings, whatever they are stored as; bytes that are no UTF-8 become lone surrogates, which no text holds."""
    plain = column.dictionary_decode() if types.is_dictionary(column.type) else column
    if types.is_string(plain.type) or types.is_large_string(plain.type) or types.is_string_view(plain.type):
        plain = plain.cast(pyarrow.large_binary())
    values: list[object] = plain.to_pylist()
    return [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]


def _cells(column: Any, kind: Kind) -> list[Any]:
    if kind == "string":
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if types.is_string(column.type) or types.is_large_string(column.type) or types.is_binary(column.type):
            return _texts(column)
        column = column.cast(pyarrow.large_string())
    elif types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values: list[Any] = column.to_pylist()
    return values
