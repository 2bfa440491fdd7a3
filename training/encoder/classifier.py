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
from training.encoder.mean_pooling import POOLING, MeanPooledClassifier

MAX_LENGTH: Final = 128
_BATCH: Final = 64


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


def load_classifier(base_model: str, outputs: int = len(EMOTIONS), pooling: str | None = None) -> Any:
    """A checkpoint, local or from the hub, as a multi-label classifier of the six emotions, or of `outputs` classes.

    Args:
        base_model: a directory or a hub name.
        outputs: how many classes.
        pooling: "mean" for a classifier over the mean of the tokens; the checkpoint's own way when None.

    Raises:
        TrainingError: it cannot be loaded, or its architecture has no classifier with this pooling.
    """
    try:
        config = AutoConfig.from_pretrained(base_model)
        config.problem_type = "multi_label_classification"
        names = EMOTIONS if outputs == len(EMOTIONS) else [str(index) for index in range(outputs)]
        config.id2label = dict(enumerate(names))
        config.label2id = {name: index for index, name in enumerate(names)}
        kind: Any = AutoModelForSequenceClassification
        if (pooling or getattr(config, "classifier_pooling", None)) == POOLING:
            kind, config.classifier_pooling = MeanPooledClassifier, POOLING
            if config.model_type != "bert":
                raise ValueError(f"mean pooling is made for BERT's encoders, and this is a {config.model_type}")
        return kind.from_pretrained(base_model, config=config, attn_implementation="eager")
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"could not load the checkpoint {base_model}: {error}\nGive a local directory or the"
            " name of a checkpoint on the Hugging Face hub (which needs a network)"
        ) from error


def predict(model: Any, token_ids: Sequence[Sequence[int]], pad_id: int) -> npt.NDArray[np.float32]:
    """Probabilities of a classifier for encoded texts, float32 `[rows, 6]`."""
    model.eval()
    device = next(model.parameters()).device
    probabilities = []
    with torch.no_grad():
        for start in range(0, len(token_ids), _BATCH):
            batch = padded(token_ids[start : start + _BATCH], pad_id)
            logits = model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits
            probabilities.append(torch.sigmoid(logits.float()).cpu().numpy())
    return np.concatenate(probabilities)


def save_checkpoint(model: Any, tokenizer: Tokenizer, directory: Path) -> None:
    """Write a checkpoint with its tokenizer, as `load_classifier` and `load_tokenizer` read them."""
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
