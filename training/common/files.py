"""Files of rows: JSON lines read row by row, and results written whole or not at all."""

import codecs
import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.common.command import TrainingError
from training.common.staging import explained, write_file


def json_lines(path: Path, hint: str = "", encoding: str = "utf-8") -> Iterator[tuple[int, Any]]:
    """Row number, counted from 1, and value of each line; a byte order mark and empty lines are skipped.

    Raises:
        TrainingError: the file is not there or cannot be read, or a row is no JSON or holds half a character.
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
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if line.isspace() or not line:
                continue
            try:
                # Decoded here: a file cut off inside a letter is an error of its last row.
                row = json.loads(line.decode(encoding))
            except (ValueError, RecursionError) as error:
                raise TrainingError(f"{path}, row {number}: not JSON ({error})") from error
            if b"\\ud" in line.lower() and (half := _lone_surrogate(row)):
                raise TrainingError(
                    f"{path}, row {number}: holds {half}, half of a character, which no file can hold: remove it, or"
                    " write the text again from where it came"
                )
            yield number, row


def _lone_surrogate(row: Any) -> str | None:
    """The first one in a value, as JSON writes it; such as an emoji that was cut through leaves."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(error.object[error.start]):04x}"
    return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader, and no interruption, ever meets half of it."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    write_file(unfinished, content)
    os.replace(unfinished, path)


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file, in the same way."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.copyfile(source, unfinished)
    os.replace(unfinished, path)


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or leave what was there as it was; makes the directory it lies in.

    Raises:
        TrainingError: the disk is full, or the place cannot be written to.
    """
    with writing(path):
        write_whole(path, text.encode("utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add a line to a file; makes the file, and the directory it lies in.

    Raises:
        TrainingError: the disk is full, or the place cannot be written to.
    """
    with writing(path), path.open("ab") as file:
        file.write(f"{line}\n".encode())


def cut_half_a_line(path: Path) -> None:
    """Remove what stands after the last line end: a line whose writing was interrupted."""
    with writing(path):
        if path.exists():
            whole = path.read_bytes().rpartition(b"\n")
            os.truncate(path, len(whole[0] + whole[1]))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """While a file is written: makes the directory it lies in, and says what went wrong.

    Raises:
        TrainingError: instead of an OSError.
    """
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield
    except OSError as error:
        raise TrainingError(f"could not write {path}: {error.strerror}") from error


def no_space_left(error: BaseException | None) -> bool:
    """Whether a full disk or quota is what an error, or an error that caused it, comes from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
