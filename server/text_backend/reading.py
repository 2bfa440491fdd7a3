"""From the bytes that clients send to rows of token ids, as `contract/tokenization.py` makes them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.text_backend.version import Version

# One job, one thread: the library would otherwise spread a batch over every core. Read at its first batch.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_WORD_START: Final = "▁"
_MOST_BYTES_PER_CHARACTER: Final = 4


class TextError(ValueError):
    """A text can't be read; says which of its request, and what to do. Never holds the text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One text's token ids, special tokens included, cut to the model's maximum."""

    ids: list[int]
    known: float
    """The share of the text's own tokens that the model knows; 0 without any."""


class TextReader:
    """Reads texts with one version's tokenizer."""

    def __init__(self, version: Version, most_characters: int) -> None:
        """Read nothing yet.

        Args:
            version: whose tokenizer reads.
            most_characters: in one text; a longer one is an error.
        """
        self._tokenizer = version.tokenizer
        self._unk_id = version.unk_id
        self._most_characters = most_characters
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(False)
        # Unigram sets it, with nothing behind, before a character that begins no piece.
        self._word_start = self._tokenizer.token_to_id(_WORD_START)

    def decode(self, elements: Iterable[bytes], *, may_be_empty: bool = False) -> list[str]:
        """The texts of one request.

        Raises:
            TextError: one of them is empty, too long or not UTF-8.
        """
        return [self._text(number, element, may_be_empty) for number, element in enumerate(elements)]

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Token ids of each text, in order.

        Raises:
            TextError: the library gave up.
        """
        try:
            encodings = self._tokenizer.encode_batch_fast(texts)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the library is no Exception
            # Not the library's words: they may hold the text.
            raise TextError(f"the tokenizer can't read it (it ended with {type(error).__name__})") from None
        return [self._row(encoding.ids) for encoding in encodings]

    def _text(self, number: int, element: bytes, may_be_empty: bool) -> str:
        if not element and not may_be_empty:
            raise TextError(f"text {number} is empty: leave it out")
        size = len(element)
        if size <= self._most_characters * _MOST_BYTES_PER_CHARACTER:
            try:
                text = element.decode()
            except UnicodeDecodeError as error:
                raise TextError(f"text {number} is not UTF-8 (byte {error.start}): encode it as UTF-8") from None
            if len(text) <= self._most_characters:
                return text
        raise TextError(
            f"text {number} has {size} bytes, and a text may have {self._most_characters} characters: cut it"
        )

    def _row(self, ids: list[int]) -> Row:
        words = len(ids) - self._special_tokens
        if self._word_start is not None:
            words -= ids.count(self._word_start)
        return Row(ids, 1 - ids.count(self._unk_id) / words if words else 0.0)


def padded(rows: Sequence[Row], pad_id: int) -> npt.NDArray[np.int64]:
    """Token ids, `[rows, length]`, right-padded to the longest row."""
    ids: npt.NDArray[Any] = np.full((len(rows), max(len(row.ids) for row in rows)), pad_id, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
    return ids
