"""Triton's log: handed through line by line, and read for what went wrong."""

import contextlib
import json
import re
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, Final

from server.messages import not_loaded

KEPT_LINES: Final = 2000
NO_GPU_REMEDY: Final = (
    "serve it on a machine with a GPU and --device gpu, or give it a configs/cpu.pbtxt with KIND_CPU instances"
)

_FAILED_MODEL: Final = re.compile(
    r"(?:failed to load '(?P<loaded>[^']+)' version (?P<version>\d+)"
    r"|failed to load model '(?P<model>[^']+)'|Poll failed for model directory '(?P<directory>[^']+)'): "
)
_ERROR: Final = re.compile(r"^(?:E\d{4} .*?\] |error: )(?P<text>.+)$")
_EXCEPTION_PLACE: Final = re.compile(r"\s*\n\s*At:\n.*", re.DOTALL)
_STATUS: Final = re.compile(r"^(?:Internal|Invalid argument|Unavailable|Not found|Unsupported): ")
# In every start on a machine without a GPU, and no cause of anything.
_NOISE: Final = ("CudaDriverHelper", "DCGM", "NVML", "Exit timeout expired")


class LogForwarder(threading.Thread):
    """Copies a process's output to stderr, and keeps the last lines of it."""

    def __init__(self, source: IO[bytes], shown: Path, real: Path) -> None:
        """Made for one process.

        Args:
            source: its output.
            shown: the directory that it takes for the model repository; its name is replaced in every line by
            real: the name of the repository itself.
        """
        super().__init__(name="triton-log", daemon=True)
        self._source = source
        self._names = (bytes(shown), bytes(real))
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._fresh: deque[str] = deque(maxlen=KEPT_LINES)

    def run(self) -> None:
        """Copy until the process and all its children have closed the pipe."""
        for raw in self._source:
            line = raw.replace(*self._names)
            text = line.decode(errors="replace").rstrip("\n")
            self._lines.append(text)
            self._fresh.append(text)
            # A reader that has gone away must not stop Triton: go on draining.
            with contextlib.suppress(OSError, ValueError):
                if sys.stderr is None:  # it was closed when this began
                    continue
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()

    def lines(self) -> list[str]:
        """The last lines so far."""
        return list(self._lines)

    def has_seen(self, text: str) -> bool:
        """Whether one of the last lines has this in it."""
        return any(text in line for line in self.lines())

    def fresh_lines(self) -> list[str]:
        """Those that came since the last call."""
        return [self._fresh.popleft() for _ in range(len(self._fresh))]


def failed_models(lines: list[str]) -> dict[tuple[str, str], str]:
    """Find in Triton's log what it could not load.

    Returns:
        Why, by model and version; the version is empty if it is the model as a whole.
    """
    models: dict[tuple[str, str], str] = {}
    for text in _errors(lines):
        if found := _FAILED_MODEL.search(text):
            name = found["loaded"] or found["model"] or found["directory"]
            models.setdefault((name, found["version"] or ""), _shorten(text[found.end() :]))
    return models


def explain(lines: list[str]) -> str | None:
    """Find in Triton's log why it did not start.

    Returns:
        One sentence with the cause and the remedy, or None if the log has no error in it.
    """
    if models := failed_models(lines):
        return " ".join(not_loaded(*key, why) for key, why in models.items())
    errors = [_shorten(text) for text in _errors(lines) if not any(noise in text for noise in _NOISE)]
    for text in errors:
        if "already in use" in text or "Failed to bind" in text:
            return f"A port was taken while Triton started ({text}): choose another."
    return f"Its log says: {errors[0]}." if errors else None


def _errors(lines: list[str]) -> list[str]:
    return [_unquote(found["text"]) for found in map(_ERROR.match, lines) if found]


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def _shorten(text: str) -> str:
    """An error message of Triton's without the places in the code and the names of exceptions."""
    text = _EXCEPTION_PLACE.sub("", text)
    for prefix in (_STATUS, re.compile(r"^\w*(?:Exception|Error): ")):
        text = prefix.sub("", text)
    remedy = f" ({NO_GPU_REMEDY})" if "no GPUs are available" in text else ""
    return " ".join(text.split()) + remedy
