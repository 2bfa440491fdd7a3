"""Predictions for every row of a token table."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.scratch.fast_training.token_table import TokenTable, padded_length


@torch.no_grad()
def predict_logits(model: Any, table: TokenTable, batch_size: int = 512) -> npt.NDArray[np.float32]:
    """Logits of every row, float32 `[rows, outputs]`."""
    model.eval()
    device = table.ids.device
    order = torch.argsort(table.lengths)
    answers = torch.empty(len(table), model.config.num_labels, device=device)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = padded_length(int(table.lengths[rows[-1]]))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            answers[rows] = model(**table.batch(rows, longest)).logits.float()
    result: npt.NDArray[np.float32] = answers.cpu().numpy()
    return result


def predict_probabilities(model: Any, table: TokenTable) -> npt.NDArray[np.float32]:
    """Probabilities of every row, float32 `[rows, outputs]`."""
    return sigmoid(predict_logits(model, table))


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits as probabilities."""
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), dtype=np.float32)
