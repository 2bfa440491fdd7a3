"""Is the bot alive? It writes the time of its last contact with Telegram; `python -m clients.telegram.health` reads it.

Exit codes: 0 it was in contact lately, 1 it was not.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clients.telegram.settings import DEFAULT_STATE, STATE_VARIABLE

FILE: Final = "last-contact"
MOST_SECONDS: Final = 120
"""Since the last contact, while all is well: several times what a long poll takes."""


class Health:
    """The file with the time of the last contact."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def in_contact(self) -> None:
        """Telegram has just answered."""
        self._path.touch()

    def seconds_ago(self) -> float | None:
        """How long ago the last contact was; None if there was none."""
        try:
            return time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return None


def main(arguments: Sequence[str]) -> int:
    """Say how long ago the last contact was; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m clients.telegram.health", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(os.environ.get(STATE_VARIABLE, DEFAULT_STATE)))
    seconds = Health(parser.parse_args(arguments).state).seconds_ago()
    print("no contact with Telegram yet" if seconds is None else f"last contact with Telegram {seconds:.0f} s ago")
    return 0 if seconds is not None and seconds < MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
