"""Directories made elsewhere and moved into place with one rename, so that nobody ever sees half of one.

What a killed process leaves behind is removed by the next one that stages beside the same place;
what a living process is still writing is known by its lock and left alone.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from training.common.command import TrainingError

_PREFIX: Final = ".unfinished-"
_ADVICE: Final = (
    ((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room there (or under your quota) and run the command again"),
    ((errno.EROFS, errno.EACCES, errno.EPERM), "it must be writable for whoever runs this command"),
    ((errno.EXDEV,), "a directory and the one it lies in must be on one file system, in one mount"),
)
# Callers have an answer of their own to these.
_ANSWERED: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)


@contextlib.contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """An empty directory inside `parent`, to be filled and renamed into place; what is left of it goes.

    Raises:
        TrainingError: `parent` cannot be written.
    """
    with explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        own, lock = _locked_directory(parent)
    try:
        directory = own / "new"
        with explained(parent):
            directory.mkdir(mode=0o755)
        yield directory
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(lock)


def _locked_directory(parent: Path) -> tuple[Path, int]:
    while True:
        own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            lock = _try_lock(own)
        except FileNotFoundError:
            continue  # Taken for a leftover before it was locked.
        if lock is not None and own.exists():
            return own, lock
        if lock is not None:
            os.close(lock)


def _try_lock(directory: Path) -> int | None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def remove_leftovers(parent: Path) -> list[Path]:
    """Remove what killed processes have left in `parent`; returns what was removed."""
    removed = []
    for directory in sorted(parent.glob(f"{_PREFIX}*")):
        try:
            lock = _try_lock(directory)
        except FileNotFoundError:
            continue
        if lock is None:
            continue  # Its process is alive.
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)
        removed.append(directory)
    return removed


def write_file(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk.

    Raises:
        TrainingError: the disk is full, or not writable.
    """
    with explained(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def move(directory: Path, target: Path) -> None:
    """Rename a directory to its place, and wait until that is on the disk.

    Raises:
        TrainingError: the place is not writable, or on another file system.
        OSError: something is there already.
    """
    with explained(target.parent):
        os.rename(directory, target)
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def explained(where: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into a sentence that says what to do.

    Raises:
        TrainingError: instead of an OSError.
        OSError: something is there already, or nothing is there.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _ANSWERED:
            raise
        place = error.filename2 or error.filename or where
        advice = next((advice for numbers, advice in _ADVICE if error.errno in numbers), "see what is wrong with it")
        raise TrainingError(f"could not write {place}: {error.strerror}; {advice}") from error
