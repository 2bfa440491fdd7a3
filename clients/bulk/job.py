"""The way of a file: rows are read, scored a chunk ahead of one another, and written in their order."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clients.bulk.engines.opening import Engine, EngineSettings, open_engine
from clients.bulk.errors import DONE, SOME_ERRORS, BulkError, FileError
from clients.bulk.progress import Progress
from clients.bulk.reading.files import DAMAGED, STANDARD_INPUT, InputFile
from clients.bulk.reading.opening import InputSettings, input_format, open_source
from clients.bulk.reading.rows import Row, Source
from clients.bulk.writing.columns import ScoredWith, check_kept, values
from clients.bulk.writing.formats import OutputFormat, format_of, output_format
from clients.bulk.writing.journal import Journal, Mark
from clients.scoring import Scores
from clients.scoring.texts import fault
from contract.regular_files import sha256

_CHUNK_TEXTS: Final = 1024
"""Whole calls to Triton, of rows whose lengths hardly differ once they are sorted."""
_CHUNK_ROWS: Final = 4096
_CHUNK_CHARACTERS: Final = 1 << 22
"""So that a chunk of bad rows, or of long ones, ends too."""
_AHEAD: Final = 2
"""Chunks that are being scored while one is written."""
_LARGEST_INPUT: Final = 1 << 62


@dataclass(frozen=True)
class JobSettings:
    """All that a job is told."""

    input: InputSettings
    output: Path
    engine: EngineSettings
    version: str | None
    profile: str
    overwrite: bool
    restart: bool
    fail_on_errors: bool
    quiet: bool


@dataclass(frozen=True)
class _Chunk:
    """Rows that are scored together, and the digest of the input up to their end."""

    rows: list[Row]
    digest: str


def run(settings: JobSettings) -> int:
    """Do a job, or the rest of one.

    Returns:
        The exit status.

    Raises:
        BulkError: it can't be done as it was asked for, or a file can't be read or written.
        ScoringError: nothing scores; what is done is kept.
    """
    format_of(settings.output.name)
    input_format(settings.input.name, settings.input.format)
    if not settings.output.parent.is_dir():
        raise BulkError(f"{settings.output.parent} is no directory: make it, or name another output")
    name = settings.input.name
    if name != STANDARD_INPUT and _is_same_file(Path(name), settings.output):
        raise BulkError(f"{name} is the input and the output: name another output")
    journal = Journal(settings.output)
    try:
        mark = None if settings.restart else journal.read_mark()
        if mark is None and settings.output.exists() and not settings.overwrite:
            raise BulkError(f"{settings.output} exists already: name another output, or add --overwrite")
        return _Job(settings, journal, mark).run()
    finally:
        journal.close()


class _Job:
    """One run of a job."""

    def __init__(self, settings: JobSettings, journal: Journal, mark: Mark | None) -> None:
        self._settings = settings
        self._journal = journal
        self._before = mark
        self._read = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def run(self) -> int:
        """From the last mark to the output."""
        file = InputFile(self._settings.input.name)
        source = open_source(file, self._settings.input)
        check_kept(source.kept)
        form = output_format(self._settings.output.name, source.kept)
        asked = self._asked(file, source)
        if self._before is not None:
            self._check_same(asked)
        mark = self._before
        if mark is None or not mark.complete:
            progress = Progress(mark.rows if mark else 0, self._settings.quiet)
            try:
                mark = self._score(asked, source, file, form, progress)
            finally:
                progress.close()
        return self._finish(mark, form)

    def _asked(self, file: InputFile, source: Source) -> dict[str, Any]:
        """What must be the same for a job to go on, as far as it is known before Triton is asked."""
        settings = self._settings.input
        content = sha256(Path(settings.name), _LARGEST_INPUT) if file.is_regular else "from a pipe"
        return {
            "input": content,
            "format": input_format(settings.name, settings.format),
            "text": settings.columns.text,
            "keep": list(source.kept),
            "encoding": settings.encoding,
            "delimiter": settings.delimiter,
            "header": settings.has_header,
            "output": format_of(self._settings.output.name),
            "through": self._settings.engine.kind,
            "profile": self._settings.profile,
        }

    def _check_same(self, now: Mapping[str, Any]) -> None:
        assert self._before is not None  # noqa: S101 - asked for only then
        before = self._before.settings
        for name, value in now.items():
            if before.get(name) == value:
                continue
            if name == "input":
                raise BulkError(_CHANGED)
            told = f"{before.get(name)!r} then, and {value!r} now" if len(str(value)) < 100 else "not the same"
            raise BulkError(
                f"{self._journal.part} was begun with other settings: {name} is {told}. Give the same ones"
                " to go on, or --restart to begin anew"
            )

    def _score(
        self, asked: dict[str, Any], source: Source, file: InputFile, form: OutputFormat, progress: Progress
    ) -> Mark:
        settings, before = self._settings, self._before
        version = settings.version or (before.settings["version"] if before else None)
        with open_engine(settings.engine, version, progress.waiting, progress.say) as engine:
            thresholds = engine.profiles.get(settings.profile)
            if thresholds is None:
                raise BulkError(
                    f"{engine.model} version {engine.version} has no profile {settings.profile!r}: it has"
                    f" {', '.join(engine.profiles)}"
                )
            told = ScoredWith(engine.model, engine.version, settings.profile, thresholds)
            scored_with = {
                "model": engine.model,
                "version": engine.version,
                "files": engine.identity,
                "thresholds": dict(thresholds),
            }
            rows = self._rows(source)
            if before is not None:
                self._check_same(scored_with)
                self._skip(rows, before)
                self._journal.go_on(before)
                mark = before
                progress.say(f"going on after {mark.rows:,} rows")
            else:
                mark = Mark(settings={**asked, **scored_with})
                self._journal.begin(mark, form.begin())
            progress.begin()
            for chunk, scores in _scored(engine, self._chunks(rows, engine.most_characters)):
                lines = list(values(mark.rows + 1, chunk.rows, scores, told))
                self._journal.append(form.render(lines))
                errors = sum(line[-1] is not None for line in lines)
                mark = mark.model_copy(
                    update={
                        "rows": mark.rows + len(lines),
                        "errors": mark.errors + errors,
                        "digest": chunk.digest,
                    }
                )
                self._journal.set_mark(mark)
                share = self._read / source.count if source.count else file.share_read()
                progress.update(len(lines), share, self._read)
            if file.has_changed():
                raise BulkError(f"{settings.input.name} was changed while it was read: begin anew with --restart")
            mark = mark.model_copy(update={"complete": True})
            self._journal.set_mark(mark, at_once=True)
            progress.say(
                f"{mark.rows:,} rows, {mark.errors:,} of them with an error, by {engine.model} version"
                f" {engine.version}, profile {settings.profile}; {progress.rate:,.0f} rows/s"
            )
            return mark

    def _finish(self, mark: Mark, form: OutputFormat) -> int:
        output = self._settings.output
        # It is the output already if the job was killed just then.
        if self._journal.is_whole(mark):
            try:
                form.finish(self._journal.part, output)
            except OSError as error:
                raise FileError(f"{output} can't be written: {error.strerror}") from None
        elif not output.exists():
            raise BulkError(f"{self._journal.part} is shorter than it was: begin anew with --restart")
        self._journal.remove()
        return SOME_ERRORS if mark.errors and self._settings.fail_on_errors else DONE

    def _rows(self, source: Source) -> Iterator[Row]:
        """The rows of the input, counted, with their digest."""
        try:
            for row in source:
                self._read += 1
                told = repr((row.text, row.error, list(row.kept)))
                self._digest.update(told.encode("utf-8", "surrogatepass"))
                yield row
        except (*DAMAGED, UnicodeError) as error:
            name = self._settings.input.name
            raise FileError(f"{name} can't be read further than row {self._read:,}: {error}") from None

    def _skip(self, rows: Iterator[Row], mark: Mark) -> None:
        for _ in range(mark.rows):
            next(rows, None)
        if self._read != mark.rows or (mark.rows and self._digest.hexdigest() != mark.digest):
            raise BulkError(_CHANGED)

    def _chunks(self, rows: Iterator[Row], most_characters: int) -> Iterator[_Chunk]:
        """Rows in chunks, which begin and end at the same places whenever the same input is read."""
        chunk: list[Row] = []
        texts = characters = 0
        for row in rows:
            chunk.append(row)
            row.error = row.error or fault(row.text, most_characters)
            if row.error is None:
                texts += 1
                characters += len(str(row.text))
            else:
                row.text = None
            characters += sum(len(cell) for cell in row.kept if isinstance(cell, str))
            if texts >= _CHUNK_TEXTS or len(chunk) >= _CHUNK_ROWS or characters >= _CHUNK_CHARACTERS:
                yield _Chunk(chunk, self._digest.hexdigest())
                chunk, texts, characters = [], 0, 0
        if chunk:
            yield _Chunk(chunk, self._digest.hexdigest())


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


_CHANGED: Final = "the input is not what it was when the job began: begin anew with --restart"


def _scored(engine: Engine, chunks: Iterator[_Chunk]) -> Iterator[tuple[_Chunk, Scores]]:
    """Chunks with the scores of their rows that have no error, in their order."""
    under_way: deque[tuple[_Chunk, Callable[[], Scores]]] = deque()
    for chunk in chunks:
        texts = [str(row.text) for row in chunk.rows if row.error is None]
        under_way.append((chunk, engine.submit(texts)))
        if len(under_way) > _AHEAD:
            done, wait = under_way.popleft()
            yield done, wait()
    for done, wait in under_way:
        yield done, wait()
