"""Triton's log: handed through line by line, and read for what went wrong."""

import contextlib
import json
import re
import sys
import threading
from collections import deque
from typing import IO, Final

KEPT_LINES: Final = 2000
NO_GPU_REMEDY: Final = (
    "serve it on a machine with a GPU and --device gpu, or give it a configs/cpu.pbtxt with KIND_CPU instances"
)

_FAILED_MODEL: Final = re.compile(r"failed to load '(?P<model>[^']+)' version (?P<version>\d+): ")
_ERROR: Final = re.compile(r"^(?:E\d{4} .*?\] |error: )(?P<text>.+)$")
_EXCEPTION_PLACE: Final = re.compile(r"\s*\n\s*At:\n.*", re.DOTALL)
_STATUS: Final = re.compile(r"^(?:Internal|Invalid argument|Unavailable|Not found|Unsupported): ")
# In every start on a machine without a GPU, and no cause of anything.
_NOISE: Final = ("CudaDriverHelper", "DCGM", "NVML", "Exit timeout expired")


class LogPump(threading.Thread):
    """Copies a process's output to stderr, unchanged, and keeps the last lines of it."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__(name="triton-log", daemon=True)
        self._source = source
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def run(self) -> None:
        """Copy until the process and all its children have closed the pipe."""
        for line in self._source:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))
            # A reader that has gone away must not stop Triton: go on draining.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()

    def lines(self) -> list[str]:
        """The last lines so far."""
        return list(self._lines)


def explain(lines: list[str]) -> str | None:
    """Find in Triton's log why it did not start.

    Returns:
        One sentence with the cause and the remedy, or None if the log has no error in it.
    """
    models: dict[str, str] = {}
    errors = []
    for line in lines:
        found = _ERROR.match(line)
        if not found:
            continue
        text = _unquote(found["text"])
        model = _FAILED_MODEL.search(text)
        if model:
            reason = _shorten(text[model.end() :])
            if "no GPUs are available" in reason:
                reason += f" ({NO_GPU_REMEDY})"
            models.setdefault(f"{model['model']} version {model['version']}", reason)
        elif not any(noise in text for noise in _NOISE):
            errors.append(_shorten(text))
    if models:
        return " ".join(f"Model {name} could not be loaded: {why}" for name, why in models.items())
    for text in errors:
        if "already in use" in text or "Failed to bind" in text:
            return f"A port was taken while Triton started ({text}): choose another."
    return f"Its log says: {errors[0]}." if errors else None


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def _shorten(text: str) -> str:
    text = _EXCEPTION_PLACE.sub("", text)
    for prefix in (_STATUS, re.compile(r"^\w*(?:Exception|Error): ")):
        text = prefix.sub("", text)
    return " ".join(text.split())
