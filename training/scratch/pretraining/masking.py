"""Masked language modelling: whole words hidden in blocks of tokens, and the loss over what was hidden."""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from tokenizers import Tokenizer

from training.common.command import TrainingError
from training.encoder.tokenizer import SPECIAL_TOKENS, UNIGRAM_SPECIAL_TOKENS

IGNORED: Final = -100
MASKED_SHARE: Final = 0.2


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
        """Of a tokenizer made by `training.encoder.tokenizer`.

        Raises:
            TrainingError: it is another one, and lacks special tokens of these names.
        """
        vocabulary = tokenizer.get_vocab()
        pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
        if json.loads(tokenizer.to_str())["model"]["type"] == "WordPiece":
            pad, unk, begin, end, mask = SPECIAL_TOKENS
            starts = [not piece.startswith("##") for piece in pieces]
        else:
            # `special_tokens_as_text` put a space in front of them.
            begin, pad, end, unk, mask = (f" {token}" for token in UNIGRAM_SPECIAL_TOKENS)
            starts = [piece.startswith("▁") for piece in pieces]
        if lacking := [repr(token) for token in (pad, unk, begin, end, mask) if token not in vocabulary]:
            raise TrainingError(
                f"the vocabulary lacks {', '.join(lacking)}, without which no words can be hidden: take a checkpoint of"
                " training.scratch.pretrain"
            )
        return cls(
            torch.tensor(starts, device=device),
            torch.tensor([piece in (pad, unk, begin, end, mask) for piece in pieces], device=device),
            *(vocabulary[token] for token in (pad, begin, end, mask)),
        )


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


class MaskedLoss(torch.nn.Module):
    """Cross-entropy over the hidden pieces only, with a fixed number of rows for the compiler."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.base_model
        self.head = model.cls if hasattr(model, "cls") else model.lm_head

    def forward(self, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From what the encoder sees and what it must say, int64 `[blocks, length]` each."""
        hidden = self.encoder(input_ids=seen).last_hidden_state.flatten(0, 1)
        flat = labels.flatten()
        budget = int(len(flat) * MASKED_SHARE * 1.1)
        chosen = torch.topk((flat != IGNORED).int(), budget, sorted=False).indices
        logits = self.head(hidden[chosen])
        return torch.nn.functional.cross_entropy(logits.float(), flat[chosen], ignore_index=IGNORED)
