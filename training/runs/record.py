"""How a run was begun: who may write to its folder, and whether the same run may go on there."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from training.common.command import TrainingError
from training.data.rows.examples import Example, rows_digest
from training.runs.settings import RunSettings

RECORD: Final = "run.json"

Record = dict[str, dict[str, Any]]
"""What must be the same when a run goes on, by kind: its `recipe`, and what else its trainer names."""


def check(settings: RunSettings, record: Record) -> None:
    """That a run may begin in its folder, or go on there; nothing is written.

    Args:
        settings: of the run.
        record: how it is to be made; a part of it will do.

    Raises:
        TrainingError: the folder holds another run or something else, or --resume is missing.
    """
    run = settings.folder
    # Listed first: a process that begins the same run leaves its record before anything else.
    holds_files = run.is_dir() and any(not path.name.startswith(".") for path in run.iterdir())
    if not (run / RECORD).exists():
        if holds_files:
            raise TrainingError(f"{run} holds files that are no run of this command: name another {settings.ELSEWHERE}")
        return
    if not (settings.resume or settings.shared):
        raise TrainingError(
            f"{run} holds a run already: go on with it by --resume, or name another {settings.ELSEWHERE}"
        )
    before = read_record(run / RECORD)
    # A run that was begun before a part was written down goes on.
    named = before.keys() & record.keys()
    if changes := [change for part in record if part in named for change in _changes(before[part], record[part])]:
        raise TrainingError(
            f"{run} was begun otherwise: {'; '.join(changes)}. Go on as it was begun, or begin anew with another"
            f" {settings.ELSEWHERE}"
        )


def read_record(path: Path) -> Record:
    """What a `run.json` says.

    Raises:
        TrainingError: it is damaged.
    """
    try:
        record: Record = json.loads(path.read_bytes())
    except ValueError as error:
        raise TrainingError(f"{path} is damaged ({error}): copy the run again, or train it again") from error
    return record


def _changes(before: dict[str, Any], now: dict[str, Any], within: str = "") -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{within}{name}.")
        elif old != new:
            yield f"{within}{name} was {old}, is {new}"


def fingerprint(rows: Sequence[Example]) -> dict[str, int | str]:
    """How many rows there are, and the SHA-256 of their texts and labels."""
    return {"rows": len(rows), "sha256 of the rows": rows_digest(rows)}


@contextlib.contextmanager
def begun(settings: RunSettings, record: Record) -> Iterator[None]:
    """Begin a run or go on with it, alone in its folder unless it is shared.

    Raises:
        TrainingError: see `check`; the folder cannot be made, another process holds it, or the disk is full.
    """
    with _nothing_left_of_nothing(settings), _held(settings), full_disk_explained(settings.folder):
        check(settings, record)
        if not _write_new(settings.folder / RECORD, json.dumps(record, indent=2).encode()):
            check(settings, record)
        try:
            yield
        except KeyboardInterrupt:
            if _holds_more_than_its_record(settings.folder):
                print(f"{settings.folder} keeps what is done: go on with --resume", file=sys.stderr)
            raise


@contextlib.contextmanager
def _nothing_left_of_nothing(settings: RunSettings) -> Iterator[None]:
    """Remove the folder of a run that failed before it had anything to keep: it would block the next try."""
    run = settings.folder
    made = [path for path in (run, *run.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        # A shared run may be another process's too, which has begun it and trains its first fold.
        if made and run.exists() and not settings.shared and not _holds_more_than_its_record(run):
            shutil.rmtree(run)
            for parent in made[1:]:
                parent.rmdir()
        raise


def _holds_more_than_its_record(run: Path) -> bool:
    # What names the run in MLflow is nothing to keep either.
    beside = {RECORD, *(path.name for path in run.glob("mlflow*.json"))}
    return any(path.is_file() and path.name not in beside for path in run.rglob("*"))


@contextlib.contextmanager
def _held(settings: RunSettings) -> Iterator[None]:
    run = settings.folder
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = os.open(run, os.O_RDONLY)
    except OSError as error:
        raise TrainingError(f"{run} cannot be made: {error.strerror}; name another {settings.ELSEWHERE}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_NB | (fcntl.LOCK_SH if settings.shared else fcntl.LOCK_EX))
        yield
    except BlockingIOError as error:
        raise TrainingError(f"another process is training in {run}: wait for it, or stop it") from error
    finally:
        os.close(handle)


def _write_new(path: Path, content: bytes) -> bool:
    """Write a whole file, unless it is there; of several processes one does."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.link(unfinished, path)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def full_disk_explained(run: Path) -> Iterator[None]:
    """Turn a full disk into a sentence; every other failure stays what it is.

    Raises:
        TrainingError: instead of what PyTorch, safetensors or the operating system say.
    """
    try:
        yield
    except TrainingError:
        raise
    # safetensors' own error is an Exception, and neither it nor PyTorch's RuntimeError has an errno.
    except Exception as error:
        if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and shutil.disk_usage(run).free >= 1e6:
            raise
        raise TrainingError(f"the disk of {run} is full: free some space, then go on with --resume") from error
