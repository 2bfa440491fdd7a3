"""The version whose texts are read: its tokenizer, checked against its card, and what the card says of its rows."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

CARD: Final = "card.json"
TOKENIZER: Final = "tokenizer.json"


class VersionError(Exception):
    """A version's files are missing or not what its card says; says which."""


@dataclass(frozen=True)
class Version:
    """What is needed to make one version's rows of token ids."""

    tokenizer: Tokenizer
    """Cuts to the version's `max_length`, and pads nothing."""
    pad_id: int
    unk_id: int


def read_version(directory: Path) -> Version:
    """Read a version directory.

    Raises:
        VersionError: a file is missing or damaged, or the tokenizer is another than the card's.
    """
    try:
        card = json.loads((directory / CARD).read_bytes())
        content = (directory / TOKENIZER).read_bytes()
        expected, max_length = card["files"][TOKENIZER], int(card["max_length"])
        pad_id, unk_id = int(card["pad_id"]), int(card["unk_id"])
    except OSError as error:
        raise VersionError(f"{error.filename} can't be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError) as error:
        raise VersionError(f"{directory / CARD} is damaged ({type(error).__name__}: {error})") from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise VersionError(f"{directory / TOKENIZER} is not the file that its card describes")
    return Version(_tokenizer(directory / TOKENIZER, content, max_length), pad_id, unk_id)


def _tokenizer(path: Path, content: bytes, max_length: int) -> Any:
    try:
        tokenizer = Tokenizer.from_buffer(content)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise VersionError(f"{path} is no tokenizer that can be loaded ({error})") from None
    return tokenizer
