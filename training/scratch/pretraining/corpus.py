"""Plain text as blocks of tokens."""

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from training.common.command import TrainingError
from training.data.cleaning.decontamination import without_overlap
from training.data.rows.loading import load_rows, load_source, training_splits
from training.scratch.pretraining.masking import WordPieces
from training.scratch.pretraining.settings import BLOCK


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


def all_passages(texts: Path, datasets: list[str], repeats: int, data_dir: Path | None) -> list[str]:
    """The passages of a directory, and then the data sets' texts, each a passage, but for those that are CEDR's too.

    None is a text of the behaviour suite, or nearly.

    Raises:
        TrainingError: CEDR was named: its texts include the held-out ones.
    """
    if "cedr" in datasets:
        raise TrainingError("CEDR's held-out texts must not be seen: name other data sets for pre-training")
    passages = without_overlap(list(read_passages(texts)))
    if not datasets:
        return passages
    # All of CEDR, and not one fold of it: the same checkpoint serves all folds.
    cedr = [example.text for example in load_source("cedr", "train", data_dir)]
    for name in datasets:
        splits = [load_rows(name, split, data_dir) for split in training_splits(name, data_dir)]
        rows = without_overlap([" ".join(row.text.split()) for split in splits for row in split], cedr)
        passages += rows * repeats
    return passages


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
