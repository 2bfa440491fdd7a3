"""From a file's name to its rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from clients.bulk.errors import BulkError
from clients.bulk.reading.csv_rows import CsvRows
from clients.bulk.reading.files import STANDARD_INPUT, InputFile
from clients.bulk.reading.json_rows import JsonRows
from clients.bulk.reading.line_rows import LineRows
from clients.bulk.reading.rows import Columns, Source

Format = Literal["csv", "tsv", "jsonl", "parquet", "lines"]
_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "lines",
}


@dataclass(frozen=True)
class InputSettings:
    """How an input is to be read; None for what is found out."""

    name: str
    format: Format | None
    columns: Columns
    encoding: str | None
    delimiter: str | None
    has_header: bool


def input_format(name: str, named: Format | None) -> Format:
    """What an input is, by its ending if that is not said.

    Raises:
        BulkError: neither says it.
    """
    if named is not None:
        return named
    if name == STANDARD_INPUT:
        raise BulkError("what comes by standard input? Name it: --format csv, tsv, jsonl or lines")
    path = Path(name)
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise BulkError(f"what is {name}? Its ending is none of {', '.join(_SUFFIXES)}: name it with --format")
    return _SUFFIXES[suffix]


def open_source(file: InputFile, settings: InputSettings) -> Source:
    """The rows of an input.

    Raises:
        BulkError: it is not what it should be, or lacks a column.
    """
    kind = input_format(settings.name, settings.format)
    if kind == "parquet":
        if not file.is_regular:
            raise BulkError("Parquet can't be read from a pipe: its index is at its end. Name a file")
        # Imported here: the other formats need none of it, and it takes 60 MB.
        from clients.bulk.reading.parquet_rows import ParquetRows

        return ParquetRows(settings.name, settings.columns)
    if kind in ("csv", "tsv"):
        delimiter = settings.delimiter or ("\t" if kind == "tsv" else None)
        return CsvRows(file.decoded(settings.encoding, newline=""), settings.columns, delimiter, settings.has_header)
    lines = file.decoded(settings.encoding, newline="\n")
    return JsonRows(lines, settings.columns) if kind == "jsonl" else LineRows(lines, settings.columns)
