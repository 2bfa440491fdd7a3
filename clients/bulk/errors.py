"""How a job ends: its exit statuses, and the errors that lead to them. Each message says what to do."""

from typing import Final

DONE: Final = 0
"""All rows are there."""
INTERNAL: Final = 1
"""A fault of this program, with a traceback."""
WRONG_USE: Final = 2
"""Arguments, the input's form, or other settings than those that the job began with."""
UNREACHABLE: Final = 3
"""Nothing answered, or it refused to; the same command goes on later."""
NOT_WRITTEN: Final = 4
"""The disk is full, or a file can't be read or written; the same command goes on later."""
SOME_ERRORS: Final = 5
"""All rows are there, some have an error, and `--fail-on-errors` was given."""
INTERRUPTED: Final = 128
"""Plus the signal's number; the same command goes on later."""


class BulkError(Exception):
    """Ends a job; the message is for the person at the keyboard."""

    status = WRONG_USE


class FileError(BulkError):
    """A file can't be read or written."""

    status = NOT_WRITTEN
