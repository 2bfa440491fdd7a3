"""Rows to scored rows, and tables to tables with their scores; the columns are those of `clients.bulk`."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from clients.bulk.reading.rows import Row
from clients.bulk.writing.columns import ROW, ScoredWith, values
from clients.bulk.writing.formats import ParquetFormat
from clients.scoring import Scorer, Scores
from clients.scoring.texts import fault

_TEXTS: Final = 1024
"""Scored together: enough to fill calls well."""
_AHEAD: Final = 2
"""Times that, under way beside what is waited for, so that no Triton waits."""
_FORM: Final = ParquetFormat({})
_BATCH: Final = pa.ipc.read_schema(pa.BufferReader(_FORM.begin()))

ANSWER: Final = pa.schema([field for field in _BATCH if field.name != ROW])
"""What is known of a row once it is scored."""


def score_rows(first: int, rows: Sequence[Row], scorer: Scorer, profile: str) -> Iterator[list[list[Any]]]:
    """Score rows, and give some at a time: a list a row, as `clients.bulk.writing.columns.values` has it.

    Args:
        first: number of the first row.
        rows: with an error those that are not to be scored; what else can't be scored gets one.
        scorer: of the version.
        profile: whose thresholds pick the emotions.

    Raises:
        ScoringError: no Triton answers, or it refuses.
    """
    told = ScoredWith(scorer.model, scorer.version, profile, scorer.card.profiles[profile].thresholds)
    under_way: deque[tuple[int, Callable[[], Scores]]] = deque()

    def done() -> list[list[Any]]:
        start, wait = under_way.popleft()
        return list(values(first + start, rows[start : start + _TEXTS], wait(), told))

    for start in range(0, len(rows), _TEXTS):
        texts = [row.text for row in rows[start : start + _TEXTS] if row.error is None]
        under_way.append((start, scorer.submit(texts)))
        if len(under_way) > _AHEAD:
            yield done()
    while under_way:
        yield done()


def check_columns(names: Sequence[str], text: str) -> None:
    """Whether a table can be given the columns of `ANSWER`.

    Raises:
        ValueError: it has one of them already, or has no column with the texts.
    """
    if text not in names:
        raise ValueError(f"there is no column {text!r} with texts; there are: {', '.join(names)}")
    if taken := [name for name in names if name in ANSWER.names]:
        raise ValueError(f"column {taken[0]!r} is one of the answer's too: rename it first")


def score_table(table: pa.Table, scorer: Scorer, profile: str, text: str) -> pa.Table:
    """A table with the columns of `ANSWER` after its own.

    Args:
        table: rows of any kind.
        scorer: of the version.
        profile: whose thresholds pick the emotions.
        text: name of the column with the texts; what is no text gets an error.

    Raises:
        ScoringError: no Triton answers, or it refuses.
        ValueError: see `check_columns`.
    """
    check_columns(table.column_names, text)
    rows = [Row(value, (), fault(value)) for value in table[text].to_pylist()]
    batches = [
        pa.ipc.read_record_batch(pa.py_buffer(_FORM.render(lines)), _BATCH)
        for lines in score_rows(1, rows, scorer, profile)
    ]
    answers = pa.Table.from_batches(batches, _BATCH)
    for field in ANSWER:
        table = table.append_column(field, answers[field.name])
    return table
