"""What a job has done, durably: `OUTPUT.part`, and `OUTPUT.part.json` that says how much of it holds.

Rows are appended to the part; about every second it is synchronised with the disk, and then the mark is replaced, which
says how many rows and bytes are there for certain. What was appended after the last mark is cut off when the job goes
on, so that it doesn't matter when it was killed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from clients.bulk.errors import BulkError, FileError

_MARK_SECONDS: Final = 1.0


class Mark(BaseModel):
    """How far a job is, and with what it began."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, Any]
    rows: int = 0
    errors: int = 0
    size: int = 0
    digest: str = ""
    """Of the rows of the input that are done."""
    complete: bool = False


class Journal:
    """The part and its mark. One job at a time: the part is locked."""

    def __init__(self, output: Path) -> None:
        """Open the part, or make it.

        Raises:
            BulkError: another job is at it.
            FileError: it can't be written.
        """
        self.output = output
        self.part = output.with_name(f"{output.name}.part")
        self._mark_path = output.with_name(f"{output.name}.part.json")
        with self._explained():
            self._file: BinaryIO = open(self.part, "a+b", buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise BulkError(f"another job is writing {output}: wait for it, or name another output") from None
        self._mark_due = time.monotonic() + _MARK_SECONDS

    def read_mark(self) -> Mark | None:
        """How far the job came; None if there was none.

        Raises:
            BulkError: it is damaged.
        """
        try:
            return Mark.model_validate_json(self._mark_path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise BulkError(f"{self._mark_path} is damaged: begin anew with --restart") from None

    def begin(self, mark: Mark, start: bytes) -> None:
        """Begin anew, with what stands before the first row.

        Raises:
            FileError: it can't be written.
        """
        with self._explained():
            self._mark_path.unlink(missing_ok=True)
            self._file.truncate(0)
        self.append(start)
        self.set_mark(mark, at_once=True)

    def go_on(self, mark: Mark) -> None:
        """Cut off what came after a mark.

        Raises:
            BulkError: there is less than it says.
            FileError: it can't be written.
        """
        with self._explained():
            if os.fstat(self._file.fileno()).st_size < mark.size:
                raise BulkError(f"{self.part} is shorter than it was: begin anew with --restart")
            self._file.truncate(mark.size)

    def append(self, data: bytes) -> None:
        """Add rows.

        Raises:
            FileError: it can't be written.
        """
        view = memoryview(data)
        with self._explained():
            while view:
                view = view[self._file.write(view) :]

    def set_mark(self, mark: Mark, *, at_once: bool = False) -> None:
        """Say that all that was appended so far holds; once in a second, unless at once.

        Raises:
            FileError: it can't be written.
        """
        if not at_once and time.monotonic() < self._mark_due:
            return
        with self._explained():
            os.fsync(self._file.fileno())
            size = os.fstat(self._file.fileno()).st_size
            unfinished = self._mark_path.with_name(f"{self._mark_path.name}.new")
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(mark.model_copy(update={"size": size}).model_dump_json())
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self._mark_path)
            self._sync_directory()
        self._mark_due = time.monotonic() + _MARK_SECONDS

    def remove(self) -> None:
        """The output is there: nothing else stays.

        Raises:
            FileError: something can't be removed.
        """
        with self._explained():
            self._sync_directory()
            self.part.unlink(missing_ok=True)
            self._mark_path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let another job at it; nothing stays of one that has not begun."""
        if not self._file.closed:
            if not self._mark_path.exists() and os.fstat(self._file.fileno()).st_size == 0:
                self.part.unlink(missing_ok=True)
            self._file.close()

    def is_whole(self, mark: Mark) -> bool:
        """Whether the part has all that a mark says; not if it has become the output already."""
        return os.fstat(self._file.fileno()).st_size >= mark.size

    def _sync_directory(self) -> None:
        descriptor = os.open(self.output.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileError(f"{self.output} can't be written: {error.strerror}") from None
