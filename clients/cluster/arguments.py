"""What the three commands take alike."""

import argparse
from pathlib import Path

from clients.cluster.job import InputFile, Job, JobError, read
from clients.cluster.pinned import pin
from clients.cluster.work import Task
from contract.version_directory import DEFAULT_PROFILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to a command's own."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="a file, or a directory of files, that every worker's machine sees")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a directory for the parts, seen by every worker's machine as well")
    parser.add_argument("--triton", default="127.0.0.1:8001", metavar="HOST:PORT,…", help="gRPC addresses; a name stands for all addresses it has, such as a headless service's (%(default)s)")
    parser.add_argument("--calls", type=int, default=8, metavar="N", help="calls at once at each Triton, over the whole job (%(default)s)")
    parser.add_argument("--patience", type=float, default=300.0, metavar="SECONDS", help="how long a call is tried for while Triton is busy or away (%(default)g)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="DIRECTORY", help="the one that Triton serves, or a copy without its graphs; only this machine needs it (%(default)s)")
    parser.add_argument("--model", default="rubert", help="with or without emotion_ (%(default)s)")
    parser.add_argument("--version", help="of the model; the one that the gateway would take if left out")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="whose thresholds pick the emotions (%(default)s)")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="the column with the texts (%(default)s)")
    parser.add_argument("--rows-per-part", type=int, default=50_000, metavar="N", help="rows in one file of the output, which are scored anew if their worker dies (%(default)s)")


def task(arguments: argparse.Namespace, workers: int) -> Task:
    """The job that the arguments describe, with the version that it has or gets.

    Raises:
        JobError: the input can't be read.
        ScoringError: no such version or profile, or no Triton answers.
    """
    before = read(arguments.output)
    version = arguments.version or (before.version if before is not None else None)
    pinned = pin(arguments.triton, arguments.model_repository, model=arguments.model, version=version, profile=arguments.profile, workers=workers, calls=arguments.calls, patience=arguments.patience)
    job = Job(input=[InputFile.of(path) for path in files(arguments.input)], text=arguments.text, ids=None, rows=arguments.rows_per_part, model=pinned.model, version=pinned.version, profile=pinned.profile)
    return Task(arguments.output.resolve(), job, pinned)


def files(source: Path) -> list[Path]:
    """The files of an input, in the order of their names."""
    if not source.is_dir():
        return [source.resolve()]
    found = sorted(path.resolve() for path in source.iterdir() if path.is_file() and not path.name.startswith((".", "_")))
    if not found:
        raise JobError(f"{source} has no files")
    return found
