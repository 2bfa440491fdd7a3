"""The input, cut into pieces of a fixed number of rows; where an engine shares them out, each is a file of its own.

It is cut once, by whoever begins the job: then workers read no more than they score, whatever the input's format, and
rows that can't be read are the same rows for all.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from clients.bulk.errors import FileError
from clients.bulk.reading.files import DAMAGED, InputFile
from clients.bulk.reading.opening import open_source
from clients.bulk.reading.rows import Cell, Row
from clients.cluster.job import Job, JobError
from clients.scoring.texts import fault

_DIRECTORY: Final = "_pieces"
_MOST_CHARACTERS: Final = 1 << 26
"""In one piece, so that long texts fill no memory."""
_OWN: Final = (pa.field("text", pa.string()), pa.field("error", pa.string()))
"""Columns before those that are kept, which may have the same names."""
_FIRST: Final = b"first row"


@dataclass(frozen=True)
class Piece:
    """Some rows of the input, one after the other."""

    number: int
    """From 0 on."""
    first: int
    """Number of its first row in the whole input, from 1 on."""
    rows: list[Row]
    """A text that can't be scored has gone, and its row has an error."""


def pieces(job: Job) -> Iterator[Piece]:
    """All pieces of a job's input, one in memory at a time; they begin and end at the same rows whoever reads them.

    Raises:
        BulkError: a file can't be read, or is not like the first.
    """
    number, first, characters = 0, 1, 0
    rows: list[Row] = []
    for row in _rows(job):
        rows.append(row)
        characters += sum(len(cell) for cell in (row.text, *row.kept) if isinstance(cell, str))
        if len(rows) >= job.rows or characters >= _MOST_CHARACTERS:
            yield Piece(number, first, rows)
            number, first, characters, rows = number + 1, first + len(rows), 0, []
    if rows:
        yield Piece(number, first, rows)


def cut(output: Path, job: Job) -> int:
    """Write all pieces, unless that is done, and say how many there are.

    Raises:
        BulkError: a file can't be read or is not like the first.
        OSError: the output can't be written.
    """
    directory = output / _DIRECTORY
    if not directory.exists():
        temporary = output / f"{_DIRECTORY}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for piece in pieces(job):
            _write(_path(temporary, piece.number), piece, job)
        try:
            temporary.rename(directory)
        except OSError:
            # Whoever was given the same command at the same time has cut the same pieces.
            shutil.rmtree(temporary)
            if not directory.exists():
                raise
    return len(list(directory.iterdir()))


def read_piece(output: Path, number: int) -> Piece:
    """A piece that was cut."""
    with pa.OSFile(str(_path(output / _DIRECTORY, number))) as file:
        table = pa.ipc.open_file(file).read_all()
    text, error, *kept = (column.to_pylist() for column in table.columns)
    cells = zip(*kept, strict=True) if kept else iter(() for _ in text)
    rows = [Row(*row) for row in zip(text, cells, error, strict=True)]
    return Piece(number, int(table.schema.metadata[_FIRST]), rows)


def remove_pieces(output: Path) -> None:
    """When all are scored."""
    for directory in output.glob(f"{_DIRECTORY}*"):
        shutil.rmtree(directory)


def _rows(job: Job) -> Iterator[Row]:
    for file in job.input:
        source = open_source(InputFile(file.path), job.reading.settings(file.path))
        if dict(source.kept) != job.kept:
            raise JobError(f"{file.path} has other columns than {job.input[0].path}: score them in two jobs")
        try:
            for row in source:
                error = row.error or fault(row.text)
                text = row.text if error is None else None
                yield Row(text, [_clean(cell) for cell in row.kept], error)
        except (*DAMAGED, UnicodeError) as error:
            raise FileError(f"{file.path} can't be read to its end: {error}") from None


def _clean(cell: Cell) -> Cell:
    """A cell that Arrow can hold; `clients.bulk` writes the same in the end."""
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell


def _write(path: Path, piece: Piece, job: Job) -> None:
    fields = [*_OWN, *(pa.field(name, pa.type_for_alias(kind)) for name, kind in job.kept.items())]
    schema = pa.schema(fields, metadata={_FIRST: str(piece.first)})
    columns = [[row.text for row in piece.rows], [row.error for row in piece.rows]]
    columns += [[row.kept[place] for row in piece.rows] for place in range(len(job.kept))]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:06d}.arrow"
