"""What the launcher says beside Triton's own lines."""

import contextlib
import sys
from typing import TextIO


def report(sentence: str, to: TextIO | None = None) -> None:
    """Say something to whoever started this, beside Triton's own lines.

    Args:
        sentence: without the end of the line.
        to: standard error if None.
    """
    if (stream := to or sys.stderr) is None:
        return  # it was closed when this began
    # Not every terminal has Russian letters, and a file's name may hold any bytes.
    shown = sentence.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
    # A reader that has gone away, or a log's disk that is full, must not stop what is served.
    with contextlib.suppress(OSError):
        print(shown, file=stream, flush=True)


def not_loaded(model: str, version: str, reason: str) -> str:
    """That a version, or a model as a whole, could not be loaded."""
    name = f"{model} version {version}" if version else model
    return f"Model {name} could not be loaded: {reason.rstrip('.')}."
