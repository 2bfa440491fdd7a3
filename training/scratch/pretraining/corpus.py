"""Plain text as blocks of tokens, and the hiding of whole words in them, for pre-training."""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from training.common.command import TrainingError
from training.encoder.tokenizer import SPECIAL_TOKENS, UNIGRAM_SPECIAL_TOKENS

BLOCK: Final = 128
IGNORED: Final = -100


def read_passages(directory: Path) -> Iterator[str]:
    """The passages of all `.txt` and `.txt.xz` files under a directory, in the files' order.

    Raises:
        TrainingError: there is no such file, or one is damaged.
    """
    paths = sorted([*directory.rglob("*.txt"), *directory.rglob("*.txt.xz")])
    if not paths:
        raise TrainingError(f"{directory} holds no .txt or .txt.xz file")
    for path in paths:
        opener: Any = lzma.open if path.suffix == ".xz" else open
        try:
            with opener(path, mode="rt", encoding="utf-8") as file:
                for line in file:
                    if passage := line.strip():
                        yield passage
        except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
            raise TrainingError(f"{path} cannot be read to its end: {error}") from error


@dataclass(frozen=True)
class WordPieces:
    """What masking needs to know of a vocabulary. `starts_word` and `special` are bool `[vocabulary]`."""

    starts_word: torch.Tensor
    special: torch.Tensor
    pad_id: int
    begin_id: int
    end_id: int
    mask_id: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, device: torch.device) -> Self:
        """Of a tokenizer made by `training.encoder.tokenizer`."""
        vocabulary = tokenizer.get_vocab()
        pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
        if json.loads(tokenizer.to_str())["model"]["type"] == "WordPiece":
            pad, unk, begin, end, mask = SPECIAL_TOKENS
            starts = [not piece.startswith("##") for piece in pieces]
        else:
            # `special_tokens_as_text` put a space in front of them.
            begin, pad, end, unk, mask = (f" {token}" for token in UNIGRAM_SPECIAL_TOKENS)
            starts = [piece.startswith("▁") for piece in pieces]
        return cls(
            torch.tensor(starts, device=device),
            torch.tensor([piece in (pad, unk, begin, end, mask) for piece in pieces], device=device),
            *(vocabulary[token] for token in (pad, begin, end, mask)),
        )


def pack(tokenizer: Tokenizer, passages: list[str]) -> npt.NDArray[np.int32]:
    """Passages one after another, the end token between them, as int32 `[blocks, BLOCK]`.

    Each block starts with the begin token, as a text does later.

    Raises:
        TrainingError: the passages don't fill one block.
    """
    pieces = WordPieces.of(tokenizer, torch.device("cpu"))
    stream: list[npt.NDArray[np.int32]] = []
    for start in tqdm(range(0, len(passages), 20_000), desc="tokenizing", unit="batch"):
        batch = passages[start : start + 20_000]
        encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        stream += [np.array([*encoding.ids, pieces.end_id], dtype=np.int32) for encoding in encodings]
    blocks = sum(map(len, stream)) // (BLOCK - 1)
    if not blocks:
        raise TrainingError(f"{len(passages)} passages are too few: they don't fill one block of {BLOCK} tokens")
    flat = np.concatenate(stream)
    packed = np.full((blocks, BLOCK), pieces.begin_id, dtype=np.int32)
    packed[:, 1:] = flat[: blocks * (BLOCK - 1)].reshape(blocks, BLOCK - 1)
    return packed


def mask_whole_words(
    ids: torch.Tensor, pieces: WordPieces, share: float, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide a share of the words, every piece of each.

    Args:
        ids: int64 `[blocks, length]`.
        pieces: of the vocabulary.
        share: of words to hide, 0 to 1.
        generator: on the ids' device; that device's own when None.

    Returns:
        What the encoder sees, and what it must say (`IGNORED` where nothing was hidden).
        Of the hidden pieces 80 % are masked, 10 % random, 10 % unchanged (BERT's recipe).
    """
    word = (pieces.starts_word | pieces.special)[ids].cumsum(1)
    draws = torch.rand(ids.shape[0], ids.shape[1] + 1, device=ids.device, generator=generator)
    hidden = (draws.gather(1, word) < share) & ~pieces.special[ids]
    labels = torch.where(hidden, ids, IGNORED)
    kind = torch.rand(ids.shape, device=ids.device, generator=generator)
    seen = torch.where(hidden & (kind < 0.8), pieces.mask_id, ids)
    random = torch.randint(len(pieces.special), ids.shape, device=ids.device, generator=generator)
    return torch.where(hidden & (kind >= 0.9), random, seen), labels
