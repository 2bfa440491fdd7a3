"""Tables as people save them: CSV, JSON lines or Parquet, each row with the number that a person finds it by."""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from training.common.command import TrainingError
from training.common.files import json_lines

DELIMITERS: Final = (",", ";", "\t", "|")
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".parquet")
_FIELD_LIMIT: Final = 1 << 24


def read_table(path: Path, encoding: str, delimiter: str | None) -> Iterator[tuple[int, Any]]:
    """Number and columns of each row; empty lines are skipped. Numbers are lines of a text file, rows of Parquet's.

    Args:
        path: its ending says what it is, one of `SUFFIXES`.
        encoding: of a text file, `utf-8` or `cp1251`; a byte order mark is skipped.
        delimiter: of CSV; seen from its first line when None.

    Raises:
        TrainingError: the file cannot be read, is damaged or encoded otherwise; says where.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    text = _decoded(path, encoding)
    return json_lines(path, encoding=encoding) if suffix == ".jsonl" else _csv(path, text, delimiter)


def _decoded(path: Path, encoding: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    if encoding == "cp1251" and not content.isascii() and _is_utf8(content):
        raise TrainingError(f"{path} is UTF-8, though cp1251 is named for it: leave `encoding` out")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        advice = (
            'save it as UTF-8, or put a file rows.json beside it that says {"encoding": "cp1251"}'
            if encoding == "utf-8"
            else "save it as UTF-8"
        )
        raise TrainingError(f"{path}, row {line}: not {encoding.upper()}: {advice}") from error


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _csv(path: Path, text: str, delimiter: str | None) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(_FIELD_LIMIT)
    if delimiter is None:
        delimiter = _sniffed(text.lstrip("\r\n").partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            number, line = line, reader.line_num + 1
            # Excel leaves rows of delimiters alone where a table was longer once.
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(path, header)
            elif len(cells) != len(header):
                raise TrainingError(
                    f"{path}, row {number}: {len(cells)} fields, and the first row has {len(header)}: put a text that"
                    f' holds a {delimiter!r} between double quotes (")'
                )
            else:
                yield number, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise TrainingError(f"{path}, row {line}: not CSV ({error})") from error


def _sniffed(header: str) -> str:
    """The delimiter of a first line: names of columns hold none of them."""
    return max(DELIMITERS, key=header.count)


def _check_header(path: Path, header: list[str]) -> None:
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise TrainingError(f"{path} has two columns named {', '.join(repeated)}: rename one, or remove it")


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    # Imported here: the other formats need none of it.
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        _check_header(path, table.column_names)
        rows = table.to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise TrainingError(f"{path} cannot be read as Parquet ({error}): write it again") from error
    yield from enumerate(rows, start=1)
