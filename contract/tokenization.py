"""Text to token ids, with the tokenizer of the version that will read them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import Encoding, Tokenizer

from contract.regular_files import read_file
from contract.version_directory import MOST_BYTES, TOKENIZER

# One job, one thread: the library would otherwise spread a batch over every core, and
# those are Triton's. Read by the library at its first batch.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


_WORD_START: Final = "▁"


class TokenizerError(ValueError):
    """`tokenizer.json` is missing, can't be read or can't be used; says which file and why."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's token ids, special tokens included, cut to the model's maximum."""

    ids: list[int]
    truncated: bool
    total: int
    """Tokens before the cut, special tokens included."""
    words: int
    """Of `ids`, those that stand for something in the text: special tokens and bare word starts left out."""
    unknown: int
    """Of `words`, those that are the unknown token."""


class TextTokenizer:
    """The tokenizer of one version. Safe to use from several threads."""

    def __init__(self, path: Path, max_length: int, unk_id: int) -> None:
        """Load `tokenizer.json`; rows will have at most `max_length` tokens, and `unk_id` stands for what is unknown.

        Raises:
            TokenizerError: the file is missing or damaged.
        """
        try:
            self._tokenizer = Tokenizer.from_buffer(read_file(path, MOST_BYTES[TOKENIZER]))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(max_length)
            self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(False)
            """Tokens that every text gets beside its own."""
        except OSError as error:
            raise TokenizerError(f"{path} can't be read ({error.strerror}): publish it again") from error
        except BaseException as error:
            raise _as_tokenizer_error(error, f"{path} can't be read ({error}): publish it again") from error
        self._max_length = max_length
        self._unk_id = unk_id
        # Unigram sets it, with nothing behind, before a character that begins no piece.
        self._word_start = self._tokenizer.token_to_id(_WORD_START)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, in order.

        About 0.5 ms for 1,000 characters. The interpreter's lock is released meanwhile.

        Raises:
            TokenizerError: the library gave up.
        """
        try:
            # Of the library's calls only the batch ones release the lock; `encode` holds it,
            # for seconds if the text is long.
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        except BaseException as error:
            # Not the library's words: they may hold the client's.
            raise _as_tokenizer_error(error, f"the tokenizer ended with {type(error).__name__}") from None
        return [self._tokens(encoding) for encoding in encodings]

    def vocabulary_size(self) -> int:
        """How many ids it may give: the highest and one."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def has_id(self, token_id: int) -> bool:
        """Whether an id is a token's."""
        return self._tokenizer.id_to_token(token_id) is not None

    def _tokens(self, encoding: Encoding) -> Tokens:
        ids: list[int] = encoding.ids
        words = len(ids) - self.special_tokens
        if self._word_start is not None:
            words -= ids.count(self._word_start)
        unknown = ids.count(self._unk_id)
        if len(ids) < self._max_length:
            return Tokens(ids, truncated=False, total=len(ids), words=words, unknown=unknown)
        rest = encoding.overflowing
        total = len(ids) + sum(len(part.ids) - self.special_tokens for part in rest)
        return Tokens(ids, truncated=bool(rest), total=total, words=words, unknown=unknown)


def _as_tokenizer_error(error: BaseException, sentence: str) -> BaseException:
    """A failure of the library, whose panics are no `Exception`; what ends a process or a task stays what it is."""
    if type(error).__name__ == "PanicException" or isinstance(error, Exception):
        return TokenizerError(sentence)
    return error
