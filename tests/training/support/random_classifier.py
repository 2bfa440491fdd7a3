"""Classifiers with random weights, to compare their exported graphs with PyTorch."""

import dataclasses
from typing import Any, Literal

import numpy as np
import onnx
import torch
import transformers

from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import Probabilities
from training.export.graphs.weights import EncoderWeights, Shape, from_checkpoint

VOCABULARY, MAX_LENGTH = 150, 40
Family = Literal["bert", "xlm-roberta"]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A random classifier, what is exported of it, and rows of ids for it."""

    model: Any
    weights: EncoderWeights
    rows: list[list[int]]

    @property
    def shape(self) -> Shape:
        return self.weights.shape

    def answers(self, rows: list[list[int]]) -> Probabilities:
        """PyTorch's, all rows padded into one batch."""
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self.shape.pad_id] * (longest - len(row)) for row in rows])
        with torch.no_grad():
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            return self.model(input_ids=ids, attention_mask=mask).logits.sigmoid().numpy()


def classifier(family: Family, **changes: Any) -> Classifier:
    torch.manual_seed(7)
    pad_id, unk_id = (0, 1) if family == "bert" else (1, 3)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 56, "max_position_embeddings": MAX_LENGTH + 2 + 5, "num_labels": 6,
        "pad_token_id": pad_id, "type_vocab_size": 2 if family == "bert" else 1, **changes,
    }  # fmt: skip
    kind = "Bert" if family == "bert" else "XLMRoberta"
    config = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for parameter in model.parameters():  # Biases, layer norms and the padding row too.
            parameter.add_(torch.randn_like(parameter) * 0.15)
    random = np.random.default_rng(7)
    lengths = [1, MAX_LENGTH, *random.integers(2, MAX_LENGTH, 78)]
    rows = [[int(token) for token in random.integers(5, VOCABULARY, length)] for length in lengths]
    return Classifier(model.eval(), from_checkpoint(model, MAX_LENGTH, pad_id, unk_id), rows)


def portable_gpu_graph(weights: EncoderWeights, precision: Literal["fp32", "fp16"]) -> onnx.ModelProto:
    return portable(build_gpu_graph(weights, precision))
