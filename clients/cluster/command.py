"""What the command lines have in common: arguments, the way to a job, and how it ends."""

import argparse
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from clients.bulk.errors import INTERNAL, INTERRUPTED, UNREACHABLE, WRONG_USE, BulkError
from clients.bulk.flags import add_input_flags, kept_columns, seconds
from clients.cluster.job import Job, JobError, Reading, begin, describe, read
from clients.cluster.parts import Counts
from clients.cluster.pinned import pin
from clients.cluster.work import Work
from clients.scoring import ScoringError, VersionError
from contract.version_directory import DEFAULT_PROFILE

_KEPT: Final = "What is done is kept: the same command goes on"
_SCORING_ERROR: Final = re.compile(r"^clients\.scoring\.errors\.\w+: (.+)$", re.MULTILINE)
"""In the traceback of a worker."""
_EPILOG: Final = """\
exit status:
  0      all rows are there; those that could not be scored say why in the column `error`
  1      a worker failed for another reason than those below; the same command goes on
  2      wrong arguments, or another input or other settings than the job began with
  3      no Triton answers, or it refuses; go on later with the same command
  4      a file can't be read or written; go on later
  130    stopped with Ctrl-C (143: with SIGTERM); go on later"""


def make_parser(program: str, description: str, *, has_workers: bool) -> argparse.ArgumentParser:
    """A parser with the arguments that all have."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", type=Path, help="CSV, TSV, JSON lines, Parquet, .txt; or a directory")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="a directory, which every worker's machine sees")
    add_input_flags(parser)
    _add_triton(parser)
    job = parser.add_argument_group("the job")
    job.add_argument("--rows-per-part", type=_whole, default=50_000, metavar="N", help="default: %(default)s")
    if has_workers:
        job.add_argument("--workers", type=_whole, default=4, metavar="N", help="at once (default: %(default)s)")
    return parser


def _add_triton(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what scores")
    group.add_argument(
        "--triton",
        default="127.0.0.1:8001",
        metavar="ADDRESSES",
        help="host:port, with commas between; a name stands for all its addresses (default: %(default)s)",
    )
    group.add_argument(
        "--repository",
        type=Path,
        default=Path("model_repository"),
        metavar="DIRECTORY",
        help="Triton's, or a copy without its graphs; read here and sent to workers (default: %(default)s)",
    )
    group.add_argument("--model", default="rubert", help="default: %(default)s")
    group.add_argument("--version", help="of the model (default: the one that answers by default)")
    group.add_argument("--profile", default=DEFAULT_PROFILE, help="whose thresholds (default: %(default)s)")
    group.add_argument(
        "--calls",
        type=_whole,
        default=8,
        metavar="N",
        help="at once at each Triton, over all workers of this command (default: %(default)s)",
    )
    group.add_argument(
        "--patience",
        type=seconds,
        default=300.0,
        metavar="SECONDS",
        help="while nothing answers or all is busy (default: 300)",
    )


def make_work(parsed: argparse.Namespace, workers: int = 1) -> Work:
    """The job that arguments ask for, begun now or gone on with, with the version that it began with.

    Raises:
        BulkError: the arguments or the input are wrong, or the output belongs to another job.
        ScoringError: there is no such version or profile, or no Triton answers.
    """
    if workers > parsed.calls:
        raise JobError(f"--workers {workers} needs --calls {workers} at least: each worker makes a call at once")
    reading = Reading(
        text=parsed.text,
        keep=kept_columns(parsed),
        format=parsed.format,
        encoding=parsed.encoding,
        delimiter=parsed.delimiter,
        header=not parsed.no_header,
    )
    while True:
        before = read(parsed.output)
        work = _work(parsed, reading, workers, before)
        try:
            begin(work.output, work.job)
        except JobError:
            # Another shard may have begun the job just now, with a version that was the newest then.
            if parsed.version is not None or before is not None or read(parsed.output) is None:
                raise
        else:
            return work


def _work(parsed: argparse.Namespace, reading: Reading, workers: int, before: Job | None) -> Work:
    files, kept = describe(parsed.input, reading)
    goes_on = before is not None and before.model.removeprefix("emotion_") == parsed.model.removeprefix("emotion_")
    pinned = pin(
        parsed.triton,
        parsed.repository,
        model=parsed.model,
        version=parsed.version or (before.version if before is not None and goes_on else None),
        profile=parsed.profile,
        workers=workers,
        calls=parsed.calls,
        patience=parsed.patience,
    )
    job = Job(
        input=files,
        reading=reading,
        kept=kept,
        rows=parsed.rows_per_part,
        model=pinned.model,
        version=pinned.version,
        profile=pinned.profile,
    )
    return Work(parsed.output.absolute(), job, pinned)


def run(job: Callable[[], Counts], *worker_errors: type[Exception]) -> int:
    """Do a job, say how it ended, and give the exit status.

    Args:
        job: gives the rows of the whole output.
        worker_errors: what an engine raises when a worker failed too often; the message has what the worker raised.
    """
    # As Ctrl-C: calls under way end before this process does.
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        counts = job()
    except BulkError as error:
        return _end(error, error.status)
    except VersionError as error:
        return _end(error, WRONG_USE)
    except ScoringError as error:
        return _end(f"{error}. {_KEPT}", UNREACHABLE)
    except worker_errors as error:
        told = _SCORING_ERROR.findall(str(error))
        status = UNREACHABLE if told else INTERNAL
        return _end(f"a worker failed: {told[-1] if told else error}. {_KEPT}", status)
    except KeyboardInterrupt as stopped:
        return _end(f"stopped. {_KEPT}", INTERRUPTED + (stopped.args or (signal.SIGINT,))[0])
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"{counts.rows:,} rows, {counts.errors:,} of them with an error", file=sys.stderr)
    return 0


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(number)


def _end(why: object, status: int) -> int:
    print(f"error: {why}" if status < INTERRUPTED else why, file=sys.stderr)
    return status


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)
