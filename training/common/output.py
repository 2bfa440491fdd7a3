"""Where results are written: each file whole or not at all."""

import json
from pathlib import Path
from typing import Any

from training.common.files import write_whole
from training.common.labels import label_names
from training.common.staging import explained


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
