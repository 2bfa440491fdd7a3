"""Parts of a job's output: a piece of the input, scored, is one Parquet file, and it is there as a whole or not at all.

So whoever scores a piece once more (because its worker was killed, or two tasks had it) changes nothing.
"""

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow import parquet

from clients.bulk.writing.formats import ParquetFormat


class Counts(NamedTuple):
    """Rows of one part or of several."""

    rows: int
    errors: int
    """Of these, those with an error in place of an answer."""


def part_path(output: Path, number: int) -> Path:
    """Where a part lies; in the order of their names, parts are in the order of the input."""
    return output / f"part-{number:06d}.parquet"


def write_part(output: Path, number: int, form: ParquetFormat, scored: Iterable[list[list[Any]]]) -> Counts:
    """Write a part durably, and in one step for whoever looks.

    Args:
        output: the job's directory.
        number: of the part.
        form: its columns.
        scored: its rows, some at a time; their last cell is the error.

    Raises:
        OSError: it can't be written.
    """
    path = part_path(output, number)
    temporary = output / f".{path.name}.{uuid.uuid4().hex}"
    rows = errors = 0
    with temporary.open("wb") as file:
        file.write(form.begin())
        for lines in scored:
            rows += len(lines)
            errors += sum(line[-1] is not None for line in lines)
            file.write(form.render(lines))
    form.finish(temporary, path)
    temporary.unlink(missing_ok=True)
    return Counts(rows, errors)


def count(parts: Iterable[Path]) -> Counts:
    """Rows of parts that are there, by their metadata."""
    rows = errors = 0
    for part in parts:
        metadata = parquet.read_metadata(part)
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        rows += metadata.num_rows
        # The error is the last column.
        errors += sum(group.num_rows - group.column(group.num_columns - 1).statistics.null_count for group in groups)
    return Counts(rows, errors)


def clear_away(output: Path) -> None:
    """Remove what killed workers have left of parts that are there."""
    for temporary in output.glob(".part-*"):
        if (output / ".".join(temporary.name.split(".")[1:3])).exists():
            temporary.unlink(missing_ok=True)
