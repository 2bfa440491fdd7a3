"""Text to token ids, with the tokenizer of the version that will read them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding, Tokenizer

# One job, one thread: the library would otherwise spread a batch over every core, and
# those are Triton's. Read by the library at its first batch.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class TokenizerError(ValueError):
    """`tokenizer.json` is missing or can't be read; says which file and why."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's token ids, special tokens included, cut to the model's maximum."""

    ids: list[int]
    truncated: bool
    total: int
    """Tokens before the cut, special tokens included."""


class TextTokenizer:
    """The tokenizer of one version. Safe to use from several threads."""

    def __init__(self, path: Path, max_length: int) -> None:
        """Load `tokenizer.json`; rows will have at most `max_length` tokens.

        Raises:
            TokenizerError: the file is missing or damaged.
        """
        try:
            # The library raises bare Exceptions.
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise TokenizerError(f"{path} can't be read ({error}): publish it again") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._max_length = max_length
        self._special = self._tokenizer.num_special_tokens_to_add(False)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, in order.

        About 0.5 ms for 1,000 characters. The interpreter's lock is released meanwhile.
        """
        # Of the library's calls only the batch ones release the lock; `encode` holds it,
        # for seconds if the text is long.
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [self._tokens(encoding) for encoding in encodings]

    def _tokens(self, encoding: Encoding) -> Tokens:
        ids: list[int] = encoding.ids
        if len(ids) < self._max_length:
            return Tokens(ids, truncated=False, total=len(ids))
        rest = encoding.overflowing
        total = len(ids) + sum(len(part.ids) - self._special for part in rest)
        return Tokens(ids, truncated=bool(rest), total=total)
