"""The command as a whole: signals, errors and exit statuses."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from clients.bulk import job
from clients.bulk.arguments import parse
from clients.bulk.errors import INTERRUPTED, UNREACHABLE, WRONG_USE, BulkError
from clients.scoring import ScoringError, VersionError


class Interrupted(BaseException):
    """A signal asks the job to stop."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(arguments: list[str] | None = None) -> int:
    """Do a job; gives the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return job.run(parse(arguments))
    except BulkError as error:
        return _end(error, error.status)
    except VersionError as error:
        return _end(error, WRONG_USE)
    except ScoringError as error:
        return _end(f"{error}. What is done is kept: the same command goes on", UNREACHABLE)
    except Interrupted as interrupted:
        return _end("stopped. What is done is kept: the same command goes on", INTERRUPTED + interrupted.number)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    # Wherever the job is: what counts is what it has marked, as when it is killed. A second signal does not wait for
    # calls under way.
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, _end_at_once)
    raise Interrupted(number)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED + number)


def _end(why: object, status: int) -> int:
    print(f"error: {why}" if status < INTERRUPTED else why, file=sys.stderr)
    return status
