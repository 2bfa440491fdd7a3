"""A classifier of the six emotions: its checkpoint, its rows of tokens, its predictions."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.rows.examples import Example, targets

BASE_MODELS: Final = {"rubert": "cointegrated/rubert-tiny2", "xlm": "FacebookAI/xlm-roberta-base"}
MAX_LENGTH: Final = 128


class TokenRows(torch.utils.data.Dataset[dict[str, list[float]]]):
    """Examples as token ids and 0/1 targets, encoded once."""

    def __init__(self, examples: list[Example], tokenizer: Tokenizer) -> None:
        tokenizer.enable_truncation(MAX_LENGTH)
        encodings = tokenizer.encode_batch([example.text for example in examples])
        tokenizer.no_truncation()
        self._ids = [encoding.ids for encoding in encodings]
        self._targets = targets(examples).tolist()

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, list[float]]:
        return {"input_ids": self._ids[index], "labels": self._targets[index]}


def collate(rows: list[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest: `input_ids` and `attention_mask` int64 `[b, longest]`, `labels` `[b, 6]`."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), pad_id)
    for index, row in enumerate(rows):
        ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
    return {
        "input_ids": ids,
        "attention_mask": (ids != pad_id).long(),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def load_classifier(base_model: str, outputs: int = len(EMOTIONS)) -> Any:
    """A checkpoint, local or from the hub, as a multi-label classifier of the six emotions, or of `outputs` classes.

    Raises:
        TrainingError: it cannot be loaded.
    """
    try:
        config = AutoConfig.from_pretrained(base_model)
        config.problem_type = "multi_label_classification"
        names = EMOTIONS if outputs == len(EMOTIONS) else [str(index) for index in range(outputs)]
        config.id2label = dict(enumerate(names))
        config.label2id = {name: index for index, name in enumerate(names)}
        return AutoModelForSequenceClassification.from_pretrained(
            base_model, config=config, attn_implementation="eager"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"could not load the checkpoint {base_model}: {error}\nGive a local directory or the"
            " name of a checkpoint on the Hugging Face hub (which needs a network)"
        ) from error


def predict(model: Any, rows: TokenRows, pad_id: int) -> npt.NDArray[np.float32]:
    """Probabilities of a classifier for encoded texts, float32 `[rows, 6]`."""
    model.eval()
    device = next(model.parameters()).device
    answers = []
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            batch = collate([rows[i] for i in range(start, min(start + 64, len(rows)))], pad_id)
            logits = model(
                input_ids=batch["input_ids"].to(device),
                attention_mask=batch["attention_mask"].to(device),
            ).logits
            answers.append(torch.sigmoid(logits.float()).cpu().numpy())
    return np.concatenate(answers)
