"""What the commands share: the checkout, git, their error, and how it ends them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


class SupplyChainError(Exception):
    """What is wrong, and what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
        """The exit status of the command that it ends."""


def git(*arguments: str, root: Path = ROOT) -> str:
    """What git says of a checkout.

    Raises:
        SupplyChainError: it refuses, such as where there is no checkout.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise SupplyChainError("there is no git here, which says what belongs to the project: install it") from None
    if "not a git repository" in done.stderr:
        raise SupplyChainError(f"{root} is no clone: git says what belongs to the project, and when it was made")
    if done.returncode:
        raise SupplyChainError(f"git {arguments[0]} in {root}: {done.stderr.strip()}")
    return done.stdout.strip()


def run_command(main: Callable[[], None]) -> None:
    """Run a command; an error of ours is a sentence and an exit status, not a traceback."""
    try:
        main()
    except SupplyChainError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.status)
