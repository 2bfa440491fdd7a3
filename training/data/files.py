"""Files of rows: JSON lines read row by row, and results written whole or not at all."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.command import TrainingError


def json_lines(path: Path, hint: str = "") -> Iterator[tuple[int, Any]]:
    """Row number, counted from 1, and value of each line.

    Raises:
        TrainingError: the file is not there or cannot be read, or a row is no JSON.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        advice = hint or "name the right directory with --data-dir, or leave it out to load from the Hugging Face hub"
        raise TrainingError(f"{path} does not exist: {advice}") from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            try:
                # Decoded here: a file cut off inside a letter is an error of its last row.
                row = json.loads(line.decode("utf-8"))
            except ValueError as error:
                raise TrainingError(f"{path}, row {number}: not JSON ({error})") from error
            yield number, row


def write_whole(path: Path, text: str) -> None:
    """Write a file, or leave what was there as it was.

    Raises:
        TrainingError: the disk is full, or the place cannot be written to.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        advice = ": make room, or name a file on another disk" if no_space_left(error) else ""
        raise TrainingError(f"could not write {path} ({error.strerror}){advice}") from error


def no_space_left(error: BaseException | None) -> bool:
    """Whether a full disk or quota is what an error, or an error that caused it, comes from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
