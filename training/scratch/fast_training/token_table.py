"""Texts as token ids on a device, and batches of rows of like length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from training.encoder.classifier import MAX_LENGTH

# Batches are cut from this many at a time, sorted by length: little padding, and still a new mix each epoch.
_SORTED_TOGETHER: Final = 32
_LENGTH_STEP: Final = 8


@dataclass(frozen=True)
class TokenTable:
    """Texts as token ids on a device. `ids` int64, all rows after one another; `starts`, `lengths` int64 `[rows]`."""

    ids: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    pad_id: int

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, pad_id: int, device: torch.device) -> Self:
        """Encode, cut to `MAX_LENGTH`."""
        tokenizer.enable_truncation(MAX_LENGTH)
        encoded: list[npt.NDArray[np.int64]] = []
        for start in range(0, len(texts), 20_000):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + 20_000]))
            encoded += [np.array(encoding.ids, dtype=np.int64) for encoding in batch]
        tokenizer.no_truncation()
        lengths = torch.tensor([len(row) for row in encoded])
        starts = lengths.cumsum(0) - lengths
        return cls(torch.from_numpy(np.concatenate(encoded)).to(device), starts.to(device), lengths.to(device), pad_id)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: torch.Tensor, longest: int) -> dict[str, torch.Tensor]:
        """The rows' `input_ids` and `attention_mask`, int64 `[b, longest]`."""
        place = torch.arange(longest, device=self.ids.device)
        inside = place < self.lengths[rows, None]
        index = (self.starts[rows, None] + place).clamp(max=len(self.ids) - 1)
        return {"input_ids": torch.where(inside, self.ids[index], self.pad_id), "attention_mask": inside.long()}


def padded_length(longest: int) -> int:
    """The length that a batch is padded to: few different ones, each a GPU graph of its own."""
    return min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, MAX_LENGTH)


def partial_passes(rows: npt.NDArray[np.int64], epochs: float) -> list[npt.NDArray[np.int64]]:
    """The rows of each pass, the last one shorter where `epochs` is no whole number."""
    whole, rest = int(epochs), epochs % 1
    last = np.random.default_rng(0).permutation(rows)[: round(rest * len(rows))]
    return [rows] * whole + ([last] if len(last) else [])


def epoch_batches(
    rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], batch_size: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """One pass over rows: their numbers int64 `[batches, batch_size]`, and the length to pad each batch to.

    Every one of `rows` comes once; the last batch is filled up with others, so that all have one size. `lengths` are
    those of all rows of the table.
    """
    order = random.permutation(rows)
    order = np.concatenate([order, random.choice(rows, size=-len(order) % batch_size)])
    together = batch_size * _SORTED_TOGETHER
    parts = [order[start : start + together] for start in range(0, len(order), together)]
    sorted_parts = [part[np.argsort(lengths[part], kind="stable")] for part in parts]
    cut = np.concatenate(sorted_parts).reshape(-1, batch_size)
    cut = cut[random.permutation(len(cut))]
    return cut, [padded_length(int(longest)) for longest in lengths[cut].max(axis=1)]
