"""Where results are written: each file whole or not at all."""

import json
from pathlib import Path
from typing import Any

from training.common.command import TrainingError
from training.common.staging import explained
from training.data.rows.corrections import label_names
from training.runs.directory import METRICS, write_whole


def check_output(output: Path) -> None:
    """That results may go there, asked before hours are spent on them.

    Raises:
        TrainingError: it is a file, or a run, whose own metrics.json must stay.
    """
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file: name a directory with --output")
    path = output / METRICS
    if path.exists() and "recipe" in json.loads(path.read_text(encoding="utf-8")):
        raise TrainingError(
            f"{output} holds the {METRICS} of a run: name another directory, such as {output}/evaluation"
        )


def write_result(output: Path, name: str, content: bytes) -> Path:
    """Write one file of the results, and make their directory if it is not there.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    with explained(output):
        output.mkdir(parents=True, exist_ok=True)
    write_whole(output / name, content)
    return output / name


def as_json(value: Any) -> bytes:
    """Readable JSON; sets of labels as a corrections file writes them."""

    def written(item: Any) -> str:
        if isinstance(item, frozenset):
            return label_names(item)
        raise TypeError(f"{type(item).__name__} cannot be written as JSON")

    return (json.dumps(value, indent=2, ensure_ascii=False, default=written) + "\n").encode()
