"""The input file of perf_analyzer, from token rows or from texts.

perf_analyzer joins several rows into one request only if all rows of the file share a shape. So for such
requests every row is padded to the longest, as clients may; the graph drops the padding before it computes.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import BenchmarkError
from benchmarks.setup.texts import Row
from contract.text_models import TEXT
from contract.version_directory import INPUT_IDS


def write_input(path: Path, rows: Sequence[Row], pad_id: int, rows_per_request: int = 1) -> None:
    """Write `rows` for requests of `rows_per_request` rows; rows that fill no whole request are left out.

    Raises:
        BenchmarkError: there are fewer rows than one request takes.
    """
    whole = len(rows) - len(rows) % rows_per_request
    if whole == 0:
        raise BenchmarkError(f"{len(rows)} texts don't fill one request of {rows_per_request}: give more with --texts")
    longest = max(map(len, rows[:whole])) if rows_per_request > 1 else 0
    padded = [[*row, *[pad_id] * (longest - len(row))] for row in rows[:whole]]
    entries = [{INPUT_IDS: {"content": row, "shape": [len(row)]}} for row in padded]
    path.write_text(json.dumps({"data": entries}), encoding="ascii")


def write_text_input(path: Path, texts: Sequence[str]) -> None:
    """Write `texts` for requests of one row to a model that reads texts."""
    entries = [{TEXT: {"content": [text], "shape": [1]}} for text in texts]
    path.write_text(json.dumps({"data": entries}, ensure_ascii=False), encoding="utf-8")
