"""The log, and the one door through which everything printed leaves: secrets are blotted out there.

python-telegram-bot puts the token into exceptions, httpx into its log lines, for it is part of every URL. So nothing is
filtered where it arises: standard output and standard error themselves are replaced.
"""

import atexit
import logging
import re
import sys
import threading
import warnings
from typing import Final, TextIO
from urllib.parse import quote

_TOKEN: Final = re.compile(r"(\d{3,20}(?::|%3A))[A-Za-z0-9_-]{20,}", re.IGNORECASE)
"""Whatever looks like a bot's token, such as one that was typed as a flag."""
_BLOT: Final = "…"
_SECRETS: Final[set[str]] = set()


class BlottedStream:
    """A text stream that passes on whole lines, without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Pass on the lines that are complete; a secret might be cut in two otherwise."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._stream.write(without_secrets(line) + "\n")
            if lines:
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing: whole lines are flushed already."""

    def close_line(self) -> None:
        """Pass on what has no end of line, when nothing more will come."""
        with self._lock:
            self._stream.write(without_secrets(self._begun))
            self._stream.flush()
            self._begun = ""

    def isatty(self) -> bool:
        """Never: no colours."""
        return False

    def fileno(self) -> int:
        """The descriptor of the stream behind it."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        """The encoding of the stream behind it."""
        return self._stream.encoding


def blot_out_secrets() -> None:
    """From now on, standard output and standard error leave out what looks like a token, and what `hide` is told."""
    for name in ("stdout", "stderr"):
        stream = BlottedStream(getattr(sys, name))
        setattr(sys, name, stream)
        atexit.register(stream.close_line)


def hide(*secrets: str) -> None:
    """Leave these out of everything that is printed; of a token, what follows its colon."""
    for secret in secrets:
        hidden = secret.partition(":")[2] or secret
        _SECRETS.update({hidden, quote(hidden, safe="")})


def without_secrets(text: str) -> str:
    """A text with the secrets blotted out."""
    for secret in sorted(_SECRETS, key=len, reverse=True):
        text = text.replace(secret, _BLOT)
    return _TOKEN.sub(rf"\1{_BLOT}", text)


def set_up_log(level: str) -> None:
    """Everything to standard error."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
    logging.captureWarnings(True)
    # A line for every request; wanted only by who looks for a fault.
    if level != "debug":
        logging.getLogger("httpx").setLevel(logging.WARNING)
    # python-telegram-bot logs whole updates, texts included, and raises what matters besides.
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    # We fetch updates as JSON, so that one that can't be read does not take its neighbours along.
    warnings.filterwarnings("ignore", message="Please use 'Bot.getUpdates'")
