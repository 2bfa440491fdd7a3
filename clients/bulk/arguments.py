"""The command line of `python -m clients.bulk`."""

import argparse
from pathlib import Path
from typing import Final

from clients.bulk.engines.opening import KEY_VARIABLE, USUAL_TRITON, EngineSettings
from clients.bulk.flags import add_input_flags, kept_columns, seconds
from clients.bulk.job import JobSettings
from clients.bulk.reading.opening import InputSettings
from clients.bulk.reading.rows import Columns
from contract.version_directory import DEFAULT_PROFILE

_DESCRIPTION: Final = """\
Scores every row of a file with emotions. A job that was stopped or killed goes on when the same command is
given again."""
_EPILOG: Final = """\
exit status:
  0      all rows are there; those that could not be scored say why in the column `error`
  2      wrong arguments, or another input or other settings than the job began with
  3      no Triton or gateway answers, or it refuses; go on later with the same command
  4      a file can't be read or written, such as on a full disk; go on later
  5      as 0, but some rows have an error and --fail-on-errors was given
  130    stopped with Ctrl-C (143: with SIGTERM); go on later
example:
  python -m clients.bulk reviews.csv scored.parquet --text review --keep id,date"""


def parse(arguments: list[str] | None) -> JobSettings:
    """The settings of a job; ends the process with status 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m clients.bulk",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", help="CSV, TSV, JSON lines, Parquet or .txt, also .gz; - is a pipe")
    parser.add_argument("output", metavar="OUTPUT", help="ends with .csv, .jsonl or .parquet", type=Path)
    add_input_flags(parser)
    _add_engine(parser)
    job = parser.add_argument_group("the job")
    job.add_argument("--overwrite", action="store_true", help="replace an OUTPUT that exists")
    job.add_argument("--restart", action="store_true", help="forget what a killed job has done")
    job.add_argument("--fail-on-errors", action="store_true", help="status 5 if a row could not be scored")
    job.add_argument("--quiet", action="store_true", help="no progress")
    parsed = parser.parse_args(arguments)
    if parsed.gateway and parsed.triton:
        parser.error("--gateway and --triton contradict each other: give one of them")
    return _settings(parsed)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what scores")
    group.add_argument("--gateway", metavar="URL", help="through a gateway, such as http://127.0.0.1:8080")
    group.add_argument(
        "--key-file", type=Path, metavar="FILE", help=f"its API key (default: the one in {KEY_VARIABLE})"
    )
    group.add_argument(
        "--triton",
        metavar="ADDRESSES",
        help=f"straight at Triton, host:port with commas between (default: {USUAL_TRITON} or one that is started)",
    )
    group.add_argument(
        "--repository",
        type=Path,
        default=Path("model_repository"),
        metavar="DIRECTORY",
        help="Triton's, or a copy (default: %(default)s)",
    )
    group.add_argument(
        "--environment",
        type=Path,
        default=Path(".venv-triton"),
        metavar="DIRECTORY",
        help="for a Triton that is started (default: %(default)s)",
    )
    group.add_argument("--model", default="rubert", help="default: %(default)s")
    group.add_argument("--version", type=_version, help="of the model (default: the one that answers by default)")
    group.add_argument("--profile", default=DEFAULT_PROFILE, help="whose thresholds (default: %(default)s)")
    group.add_argument("--calls", type=_count, default=4, help="at once, at each Triton (default: %(default)s)")
    group.add_argument(
        "--patience",
        type=seconds,
        default=300.0,
        metavar="SECONDS",
        help="while nothing answers or all is busy (default: 300)",
    )


def _settings(parsed: argparse.Namespace) -> JobSettings:
    return JobSettings(
        InputSettings(
            parsed.input,
            parsed.format,
            Columns(parsed.text, kept_columns(parsed)),
            parsed.encoding,
            parsed.delimiter,
            not parsed.no_header,
        ),
        parsed.output,
        EngineSettings(
            parsed.gateway,
            parsed.key_file,
            parsed.triton,
            parsed.repository,
            parsed.environment,
            parsed.model,
            parsed.calls,
            parsed.patience,
        ),
        parsed.version,
        parsed.profile,
        parsed.overwrite,
        parsed.restart,
        parsed.fail_on_errors,
        parsed.quiet,
    )


def _version(text: str) -> str:
    if not text.isascii() or not text.isdecimal() or text[0] == "0":
        raise argparse.ArgumentTypeError(f"{text!r} is no version, which is a number from 1 on")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 64")
    return int(text)
