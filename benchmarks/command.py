"""What every benchmark command shares: its parser, and errors shown as a sentence, not a traceback."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from contract.version_directory import CardError
from server.errors import LauncherError
from training.common.command import TrainingError

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build/benchmarks"
"""Downloads, environments and models that the benchmarks make; not in git."""


class BenchmarkError(Exception):
    """Something the person at the keyboard can put right; the message says what and how."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; an explained error, a full disk or Ctrl-C ends it with one sentence."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, _leave)
    try:
        main()
    except (BenchmarkError, CardError, LauncherError, OSError, TrainingError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _leave(number: int, _: FrameType | None) -> None:
    """End with the status that the signal would give, but stop servers on the way out."""
    sys.exit(128 + number)


def positive(text: str) -> int:
    """A whole number above 0, for a flag."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def add_texts_flag(parser: argparse.ArgumentParser) -> None:
    """The one flag that every part needs."""
    parser.add_argument(
        "--texts", type=Path, required=True, metavar="FILE",
        help="texts to send: one a line, or JSON lines with a field `text` (.jsonl)",
    )  # fmt: skip


def add_triton_flags(parser: argparse.ArgumentParser) -> None:
    """Add what is served, by which Triton, and by what it is asked: whoever starts Triton and loads it wants these."""
    parser.add_argument("--model", default="emotion_rubert", help="default: %(default)s")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument(
        "--environment", type=Path, default=Path(".venv-triton"), help="Triton's (default: %(default)s)"
    )
    parser.add_argument("--perf-analyzer", type=Path, help="a perf_analyzer that is there (default: download 2.48.0's)")
