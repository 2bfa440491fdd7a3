"""A classifier of the six emotions: its checkpoint, its rows of tokens, its predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.encoder.head import has_head, name_columns, probabilities_of, with_columns
from training.encoder.label_columns import SIGMOIDS, Reading, read_columns
from training.encoder.lookup import loading
from training.encoder.mean_pooling import POOLING, MeanPooledClassifier

MAX_LENGTH: Final = 128
_BATCH: Final = 64
_BUFFER: Final = "embeddings.position_ids"
"""What older versions of transformers saved, and newer ones make."""


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """The token ids of each text, special tokens included, cut to `MAX_LENGTH`."""
    tokenizer.enable_truncation(MAX_LENGTH)
    encodings = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    return [encoding.ids for encoding in encodings]


class TokenRows(torch.utils.data.Dataset[dict[str, list[float]]]):
    """Rows of token ids with their 0/1 targets `[rows, 6]`, as training takes them."""

    def __init__(self, token_ids: list[list[int]], targets: npt.NDArray[np.float32]) -> None:
        self._ids = token_ids
        self._targets = targets.tolist()

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, list[float]]:
        return {"input_ids": self._ids[index], "labels": self._targets[index]}


def collate(rows: list[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest: `input_ids` and `attention_mask` int64 `[b, longest]`, `labels` `[b, 6]`."""
    return {
        **padded([row["input_ids"] for row in rows], pad_id),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def padded(token_ids: Sequence[Sequence[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows padded to the longest: `input_ids` and `attention_mask`, int64 `[rows, longest]`."""
    ids = torch.full((len(token_ids), max(map(len, token_ids))), pad_id)
    for index, row in enumerate(token_ids):
        ids[index, : len(row)] = torch.tensor(row)
    return {"input_ids": ids, "attention_mask": (ids != pad_id).long()}


def load_classifier(checkpoint: str, reading: Reading | None = None) -> Any:
    """A checkpoint, local or from the hub, as a classifier of the six emotions, its columns in our order.

    Of a softmax model that was asked for, the columns that are none of the six stay behind ours: its `problem_type`
    is then transformers' single_label_classification.

    Args:
        checkpoint: a directory or a hub name.
        reading: what a person says of it; nothing when None.

    Raises:
        TrainingError: it cannot be loaded, has no head, or its head is not to be read as the six emotions.
    """
    with loading(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint)
    columns = read_columns(checkpoint, config, reading)
    with loading(checkpoint):
        model, found = _kind(config).from_pretrained(
            checkpoint, config=config, attn_implementation="eager", output_loading_info=True
        )
    # transformers only warns of either.
    unplaced = {name for name in found["unexpected_keys"] if not name.endswith(_BUFFER)}
    for names, wrong in (
        (found["missing_keys"], "lacks"),
        (unplaced, "holds, and a classifier of its type has no place for,"),
    ):
        if names:
            first = ", ".join(sorted(names)[:3])
            raise TrainingError(f"{checkpoint} {wrong} {first} ({len(names)} in all): fine-tune it first")
    return with_columns(checkpoint, model, columns)


def load_base_classifier(base_model: str, outputs: int = len(EMOTIONS), pooling: str | None = None) -> Any:
    """An encoder with a head to train, for the six emotions or `outputs` classes: its own, or a random one.

    Args:
        base_model: a directory or a hub name.
        outputs: how many classes.
        pooling: "mean" for a classifier over the mean of the tokens; the checkpoint's own way when None.

    Raises:
        TrainingError: it cannot be loaded, its architecture has no classifier with this pooling, or it has a head
            that is not to be read as the six emotions.
    """
    with loading(base_model):
        config = AutoConfig.from_pretrained(base_model)
        own_head = outputs == len(EMOTIONS) and has_head(base_model)
    columns = read_columns(base_model, config) if own_head else None
    with loading(base_model):
        if pooling:
            config.classifier_pooling = pooling
        if columns is None:
            config.problem_type = SIGMOIDS
            name_columns(config, EMOTIONS if outputs == len(EMOTIONS) else [str(index) for index in range(outputs)])
        model = _kind(config).from_pretrained(base_model, config=config, attn_implementation="eager")
    return with_columns(base_model, model, columns) if columns else model


def _kind(config: Any) -> Any:
    if getattr(config, "classifier_pooling", None) != POOLING:
        return AutoModelForSequenceClassification
    if config.model_type != "bert":
        raise ValueError(f"mean pooling is made for BERT's encoders, and this is a {config.model_type}")
    return MeanPooledClassifier


def predict(model: Any, token_ids: Sequence[Sequence[int]], pad_id: int) -> npt.NDArray[np.float32]:
    """Probabilities of a classifier for encoded texts, float32 `[rows, 6]`."""
    model.eval()
    device = next(model.parameters()).device
    probabilities = []
    with torch.no_grad():
        for start in range(0, len(token_ids), _BATCH):
            batch = padded(token_ids[start : start + _BATCH], pad_id)
            logits = model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits
            probabilities.append(probabilities_of(model, logits).cpu().numpy())
    return np.concatenate(probabilities)


def save_checkpoint(model: Any, tokenizer: Tokenizer, directory: Path) -> None:
    """Write a checkpoint with its tokenizer, as `load_classifier` and `load_tokenizer` read them."""
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
