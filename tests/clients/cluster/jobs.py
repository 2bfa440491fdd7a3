"""Inputs, and the commands of a job as a person gives them."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.support.triton_process import ROOT, hear_ctrl_c

ROWS_PER_PART = 64
BAD = ("", "   ", "нуль\0внутри", "я" * 10_001)
SAID = ("рад", "грустно", "ого, страшно", "злюсь", "заседание", "рад\nи «грустно»", "неведомо что, да")


def write_input(path: Path, rows: int) -> None:
    """A CSV file with `rows` rows, of which every tenth has no text that can be scored."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "note"])
        for number in range(rows):
            bad = number % 10 == 7
            text = BAD[number % len(BAD)] if bad else f"{SAID[number % len(SAID)]} {'ого ' * (number % 5)}{number}"
            writer.writerow([f"id-{number}", text, f'"{number}", да'])


def command(part: str, source: Path, output: Path, *flags: str) -> list[str]:
    """`python -m clients.<part>`."""
    rows = f"--rows-per-part={ROWS_PER_PART}"
    return [sys.executable, "-m", f"clients.{part}", str(source), str(output), rows, *flags]


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, which a test may kill as a whole."""
    with log.open("wb") as file:
        # As executors of Spark are told which Python to use.
        environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
        return subprocess.Popen(
            arguments,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,
            env=environment,
        )


def parts(output: Path) -> dict[str, int]:
    """Parts that are there, with the time of their last change."""
    return {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}


def whole(output: Path) -> pa.Table:
    """All parts, in the order of their names."""
    return pa.concat_tables(parquet.read_table(path) for path in sorted(output.glob("part-*.parquet")))
