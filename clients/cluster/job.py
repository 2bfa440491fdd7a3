"""What a job is, in `_job.json` of its output: whoever goes on with it goes on with the same."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.bulk.errors import BulkError, FileError
from clients.bulk.reading.files import InputFile
from clients.bulk.reading.opening import Format, InputSettings, open_source
from clients.bulk.reading.rows import Columns, Kind
from clients.bulk.writing.columns import check_kept
from contract.regular_files import read_file

JOB: Final = "_job.json"
DONE: Final = "_SUCCESS"
"""Empty; there when every part is. Hadoop and Spark name it so."""
_MOST_BYTES: Final = 1 << 26


class JobError(BulkError):
    """A job can't be begun as asked, or gone on with."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeenFile(_Strict):
    """A file as it was when the job began."""

    path: str
    bytes: int
    changed_ns: int = Field(description="time of its last change, nanoseconds since 1970")

    @classmethod
    def now(cls, path: Path) -> Self:
        """As it is now."""
        found = path.stat()
        return cls(path=str(path), bytes=found.st_size, changed_ns=found.st_mtime_ns)


class Reading(_Strict):
    """How the input is read; null for what is found out. See `clients.bulk.reading.opening.InputSettings`."""

    text: str | None = None
    keep: tuple[str, ...] | None = None
    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True

    def settings(self, path: str) -> InputSettings:
        """For one file."""
        columns = Columns(self.text, self.keep)
        return InputSettings(path, self.format, columns, self.encoding, self.delimiter, self.header)


class Job(_Strict):
    """Everything that an answer depends on."""

    input: tuple[SeenFile, ...] = Field(min_length=1)
    reading: Reading
    kept: dict[str, Kind] = Field(description="columns that come out again, and of what kind")
    rows: int = Field(ge=1, description="in one part")
    model: str
    version: str
    profile: str


def describe(source: Path, reading: Reading) -> tuple[tuple[SeenFile, ...], dict[str, Kind]]:
    """The files of an input, in the order of their names, and the columns of the first that are kept.

    Args:
        source: a file, or a directory whose files are read; names that begin with . or _ are left out.
        reading: how.

    Raises:
        BulkError: there is no file, or it can't be read as asked.
    """
    try:
        found = [source]
        if source.is_dir():
            found = sorted(path for path in source.iterdir() if path.is_file() and path.name[0] not in "._")
        if not found:
            raise JobError(f"{source} holds no files")
        files = tuple(SeenFile.now(path.resolve()) for path in found)
    except OSError as error:
        raise FileError(f"{source} can't be read: {error.strerror}") from None
    kept = dict(open_source(InputFile(files[0].path), reading.settings(files[0].path)).kept)
    check_kept(kept)
    return files, kept


def begin(output: Path, job: Job) -> None:
    """Write a job down, unless it is already; of several that begin at once one writes.

    Raises:
        JobError: the output belongs to another job, or holds other files.
        FileError: it can't be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        before = read(output)
        if before is None:
            if strangers := [path.name for path in output.iterdir() if path.name[0] not in "._"]:
                raise JobError(f"{output} already holds {strangers[0]}: name a directory that is empty or not there")
            _write_first(output, job)
            before = read(output)
    except OSError as error:
        raise FileError(f"{output} can't be written: {error.strerror}") from None
    if other := [name for name in Job.model_fields if getattr(before, name, None) != getattr(job, name)]:
        raise JobError(
            f"{output} was begun with another {' and another '.join(other)}, see {output / JOB}:"
            " go on as it was begun, or name another directory"
        )


def read(output: Path) -> Job | None:
    """The job that an output belongs to; None if none was begun there.

    Raises:
        JobError: `_job.json` is damaged.
        FileError: it can't be read.
    """
    path = output / JOB
    try:
        return Job.model_validate_json(read_file(path, _MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror}") from None
    except ValidationError as error:
        raise JobError(f"{path} is damaged ({error.errors()[0]['msg']}): remove {output} and begin anew") from None


def _write_first(output: Path, job: Job) -> None:
    """Write `_job.json` in one step, unless somebody else is faster."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{JOB}.", dir=output)
    with os.fdopen(descriptor, "w") as file:
        file.write(job.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(descriptor)
    Path(temporary).chmod(0o644)
    with contextlib.suppress(FileExistsError):
        os.link(temporary, output / JOB)
    Path(temporary).unlink()
