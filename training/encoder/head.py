"""A classifier's head: whether a checkpoint has one, its columns put into our order, its probabilities."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from transformers.utils.hub import cached_file

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.encoder.label_columns import SIGMOIDS, SOFTMAX, Columns

_HEAD: Final = "classifier."
"""How the names of a head's weights begin."""


def has_head(checkpoint: str) -> bool:
    """Whether a checkpoint, local or from the hub, has a classifier's head.

    Raises:
        OSError: the hub cannot be asked.
    """
    return any(name.startswith(_HEAD) for name in weight_names(checkpoint))


def weight_names(checkpoint: str) -> set[str]:
    """The names of the weights in a checkpoint's file or files, local or from the hub; none if it has no file of them.

    Raises:
        OSError: the hub cannot be asked.
    """
    for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"):
        path = cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False)
        if path is None:
            continue
        if name.endswith(".json"):
            return set(json.loads(Path(path).read_text(encoding="utf-8"))["weight_map"])
        if name.endswith(".bin"):
            return set(torch.load(path, map_location="meta", weights_only=True))
        with safe_open(path, framework="np") as file:
            return set(file.keys())
    return set()


def output_layer(model: Any) -> torch.nn.Linear | None:
    """The last layer of a classifier of transformers, which has a line for each column; None if it is another kind."""
    head = getattr(model, "classifier", None)
    layer = getattr(head, "out_proj", head)
    return layer if isinstance(layer, torch.nn.Linear) else None


def with_columns(checkpoint: str, model: Any, columns: Columns) -> Any:
    """The classifier with its columns in this order, and named so."""
    order = columns.order if columns.softmax else columns.order[: len(EMOTIONS)]
    if order != tuple(range(model.config.num_labels)):
        layer = output_layer(model)
        if layer is None:
            raise TrainingError(
                f"the columns of {checkpoint} stand in another order, and the head of a {type(model).__name__} is none"
                " that can be put into ours"
            )
        rows = torch.tensor(order)
        layer.weight = torch.nn.Parameter(layer.weight.detach()[rows].clone())
        layer.bias = torch.nn.Parameter(layer.bias.detach()[rows].clone())
        layer.out_features = model.num_labels = len(order)
    model.config.problem_type = SOFTMAX if columns.softmax else SIGMOIDS
    name_columns(model.config, columns.names[: len(order)])
    return model


def name_columns(config: Any, names: Sequence[str]) -> None:
    """Write the columns' names into a configuration of transformers."""
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}


def probabilities_of(model: Any, logits: torch.Tensor) -> torch.Tensor:
    """Of a classifier's logits, float32 `[rows, 6]`: six sigmoids, or a softmax model's columns of ours."""
    if model.config.problem_type == SOFTMAX:
        return torch.softmax(logits.float(), dim=-1)[:, : len(EMOTIONS)]
    return torch.sigmoid(logits.float())
