"""The one kind of error that a training command shows as a sentence instead of a traceback."""

import sys
from collections.abc import Callable


class TrainingError(Exception):
    """Something the person at the keyboard can put right; the message says what and how."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; a `TrainingError` or Ctrl-C ends it with one sentence."""
    try:
        main()
    except TrainingError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
