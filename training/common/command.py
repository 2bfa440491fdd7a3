"""What every training command shares: its parser, and errors shown as a sentence, not a traceback."""

import argparse
import os
import sys
from collections.abc import Callable


class TrainingError(Exception):
    """Something the person at the keyboard can put right; the message says what and how."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; a `TrainingError` or Ctrl-C ends it with one sentence."""
    try:
        main()
    except TrainingError as error:
        # Of torchrun's processes, which meet the same error, one speaks.
        sys.exit(f"error: {error}" if os.environ.get("RANK", "0") == "0" else 1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def command_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for `python -m module`; abbreviated flags are errors."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
